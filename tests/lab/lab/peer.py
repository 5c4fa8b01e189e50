# SPDX-License-Identifier: BSD-3-Clause
"""A real Linux kernel as a peer (tools/linux-peer), driven through a serial line."""
import json
import os
import select
import shutil
import socket
import time
from pathlib import Path

from .core import LabError, TOOLS, speed


class LinuxPeer:
    """Boots in the constructor and answers when it returns. setup: bash lines run before the agent starts."""

    def __init__(self, lab, name, ns, taps, setup="", layer=None, mem="128M"):
        self.lab, self.name, self.counter = lab, name, 0
        self.work = lab.work / f"peer-{name}"
        self.work.mkdir(exist_ok=True)
        self.log = f"peer-{name}/kernel.log"
        shutil.copy(Path(__file__).with_name("agent.py"), self.work / "agent.py")
        script = self.work / "boot.sh"
        script.write_text(f"set -e\n{setup}\nexec python3 -u {self.work}/agent.py {self.work} 2>{self.work}/agent.log\n")
        self.line, theirs = socket.socketpair()
        fd = theirs.fileno()
        options = ["-m", mem, "-w", self.work, "-c", f"{fd},{fd}"]
        if layer:
            options += ["-l", layer]
        self.process = lab.spawn(ns, [TOOLS / "linux-peer", *options, f"{lab.id}-{name}", script, *taps], self.log,
                                 env={"TMPDIR": str(lab.work / "mem")}, pass_fds=(fd,))
        theirs.close()
        self.buffer = b""
        self._wait_line("ready", 30, "boot")
        lab.witnesses.append(self._testimony)

    def _testimony(self):
        script = "grep -v '[^0-9]0$' /proc/net/xfrm_stat; ip -s xfrm state | grep -E '^src|spi|packets'; ip neigh; cat /proc/net/dev"
        return f"---- peer {self.name}\n{self.sh(script, check=False, timeout=5)}"

    def _wait_line(self, word, timeout, what):
        """Read the line until it says word; other answers that pass by are left as files anyway."""
        deadline = time.monotonic() + timeout * speed()
        while True:
            while b"\n" in self.buffer:
                line, self.buffer = self.buffer.split(b"\n", 1)
                if line.strip().decode(errors="replace") == word:
                    return
            left = deadline - time.monotonic()
            if left <= 0:
                raise LabError(f"peer {self.name}: {what}: no answer in {timeout} s")
            if self.process.poll() is not None:
                raise LabError(f"peer {self.name} went down during: {what}")
            if select.select([self.line], [], [], min(left, 0.5))[0]:
                data = self.line.recv(4096)
                if not data:
                    raise LabError(f"peer {self.name} closed its line during: {what}")
                self.buffer += data

    def _ask(self, **request):
        self.counter += 1
        request["id"] = self.counter
        self.lab.debug(f"{self.name}# {request['sh']}")
        self.line.sendall(json.dumps(request).encode() + b"\n")
        self._wait_line(str(self.counter), request.get("timeout", 10) + 5, request["sh"])
        path = self.work / f"answer.{self.counter}"
        result = json.loads(path.read_text())
        path.unlink()
        return result

    def sh(self, script, check=True, timeout=20):
        """Run a bash script in the peer; returns its output."""
        result = self._ask(sh=script, timeout=timeout * speed())
        if check and result["rc"] != 0:
            raise LabError(f"{self.name}# {script}: exit {result['rc']}\n{result['out']}{result['err']}")
        return result["out"] + (result["err"] if not check else "")

    def ok(self, script, timeout=20):
        """True when the script succeeds."""
        return self._ask(sh=script, timeout=timeout * speed())["rc"] == 0

    def background(self, script, log):
        """Start in the background; output to log in the peer's work directory. Returns the pid there."""
        return int(self._ask(sh="exec " + script, background=log)["out"])

    def log_text(self, log):
        return self.lab.log_text(f"{self.work.name}/{log}")

    def file(self, name, text, mode=0o644):
        """A file both sides see; returns its path."""
        path = self.work / name
        path.write_text(text)
        os.chmod(path, mode)
        return path

    def power_off(self):
        """Pull the plug: nothing is said to anybody."""
        self.lab.stop(self.process, timeout=1)
        self.line.close()

    # ---- what the kernel's own IPsec counts ----

    def xfrm_states(self):
        """[(src, dst, spi, packets)] of the kernel's SAs."""
        states, current = [], None
        for line in self.sh("ip -s xfrm state").splitlines():
            words = line.split()
            if line.startswith("src "):
                current = [words[1], words[3], 0, 0]
                states.append(current)
            elif "spi" in words and current:
                current[2] = int(words[words.index("spi") + 1].split("(")[0], 16)
            elif current and "(packets)" in line and current[3] == 0 and "current" not in line and "INF" not in line:
                current[3] = int(words[1].split("(")[0])
        return [tuple(state) for state in states]

    def xfrm_errors(self):
        """The kernel's XFRM error counters that are not zero."""
        errors = {}
        for line in self.sh("cat /proc/net/xfrm_stat 2>/dev/null || true").splitlines():
            name, value = line.split()
            if int(value):
                errors[name] = int(value)
        return errors
