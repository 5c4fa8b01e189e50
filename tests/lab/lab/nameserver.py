# SPDX-License-Identifier: BSD-3-Clause
"""A name server on loopback that knows one name, and that only while there is a file with its IPv4 address.

    nameserver.py NAME FILE     serves 127.0.0.1, port PORT"""
import pathlib
import socket
import struct
import sys

ADDRESS, PORT = "127.0.0.1", 5353


class NameServer:
    """For a process of the namespace ns, such as culvertd in "gw"."""

    def __init__(self, lab, ns, name):
        self.file = lab.work / "address"
        self.process = lab.spawn(ns, [sys.executable, __file__, name, self.file], "nameserver.log")

    def say(self, address):
        self.file.write_text(address)


def answer(query, name, address):
    end = query.index(b"\0", 12) + 1
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1:at + 1 + query[at]].decode())
        at += 1 + query[at]
    (kind,) = struct.unpack("!H", query[end:end + 2])
    known = ".".join(labels).lower() == name and address
    record = b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 30, 4) + socket.inet_aton(address) if known and kind == 1 else b""
    flags = 0x8180 if known else 0x8183
    return query[:2] + struct.pack("!HHHHH", flags, 1, 1 if record else 0, 0, 0) + query[12:end + 4] + record


def main(name, path):
    path = pathlib.Path(path)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind((ADDRESS, PORT))
        while True:
            query, client = s.recvfrom(1500)
            s.sendto(answer(query, name, path.read_text() if path.exists() else ""), client)


if __name__ == "__main__":
    main(*sys.argv[1:])
