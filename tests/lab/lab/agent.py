# SPDX-License-Identifier: BSD-3-Clause
"""Runs inside a peer: reads one JSON request per line from /dev/ttyS0, runs it with bash, leaves the answer as a file in
the shared work directory and says the request's number on the line when it is there. Standard library only."""
import json
import os
import subprocess
import sys
import termios
import threading
import tty


def answer(work, request):
    out = {"rc": 0, "out": "", "err": ""}
    try:
        if request.get("background"):
            with open(os.path.join(work, request["background"]), "ab") as log:
                process = subprocess.Popen(["/bin/bash", "-c", request["sh"]], stdin=subprocess.DEVNULL, stdout=log,
                                           stderr=log, start_new_session=True)
            threading.Thread(target=process.wait, daemon=True).start()  # no zombies: a killed daemon is to be gone
            out["out"] = str(process.pid)
        else:
            done = subprocess.run(["/bin/bash", "-c", request["sh"]], stdin=subprocess.DEVNULL, capture_output=True,
                                  text=True, errors="replace", timeout=request["timeout"])
            out = {"rc": done.returncode, "out": done.stdout, "err": done.stderr}
    except subprocess.TimeoutExpired:
        out = {"rc": 124, "out": "", "err": "timed out in the peer"}
    path = os.path.join(work, f"answer.{request['id']}")
    with open(path + ".new", "w", encoding="utf-8") as file:
        json.dump(out, file)
    os.rename(path + ".new", path)
    with LOCK:
        os.write(LINE, f"{request['id']}\n".encode())


def main():
    buffer = b""
    while True:
        data = os.read(LINE, 4096)
        if not data:
            return
        buffer += data
        while b"\n" in buffer:
            line, buffer = buffer.split(b"\n", 1)
            threading.Thread(target=answer, args=(sys.argv[1], json.loads(line)), daemon=True).start()


LOCK = threading.Lock()
LINE = os.open("/dev/ttyS0", os.O_RDWR | os.O_NOCTTY)
tty.setraw(LINE, termios.TCSANOW)
os.write(LINE, b"ready\n")
main()
