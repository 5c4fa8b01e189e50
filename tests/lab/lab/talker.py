#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Says to whoever asks by TCP or UDP what address and port the question came from.

    talker.py serve PORT
    talker.py ask tcp|udp HOST PORT SECONDS [ttl=N] [src=ADDRESS] [from=PORT] [size=BYTES]

ask prints the answer; or, when it is refused, times out or is told of an error, the name of that."""
import errno
import socket
import sys
import threading

IP_RECVERR = 11


def answer(peer):
    return f"{peer[0]} {peer[1]}\n".encode()


def serve_udp(port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("", port))
        while True:
            try:
                data, peer = s.recvfrom(65535)
                s.sendto(answer(peer).ljust(len(data)), peer)
            except OSError:
                pass


def converse(connection, peer):
    with connection:
        try:
            while connection.recv(65535):
                connection.sendall(answer(peer))
        except OSError:
            pass


def serve(port):
    threading.Thread(target=serve_udp, args=(port,), daemon=True).start()
    with socket.create_server(("", port)) as s:
        while True:
            threading.Thread(target=converse, args=s.accept(), daemon=True).start()


def question(s, size):
    s.send(b"?" * size)
    return s.recv(65535).decode().split("\n")[0]


def ask(kind, host, port, seconds, *options):
    value = dict(o.split("=") for o in options)
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM) as s:
        s.settimeout(float(seconds))
        if kind == "udp":
            s.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
        if "ttl" in value:
            s.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, int(value["ttl"]))
        if "from" in value:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind((value.get("src", ""), int(value["from"])))
        try:
            s.connect((host, int(port)))
            print(question(s, int(value.get("size", 1))), flush=True)
        except TimeoutError:
            print("timeout", flush=True)
        except OSError as e:
            print(errno.errorcode.get(e.errno, e), flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(int(sys.argv[2]))
    else:
        ask(*sys.argv[2:])
