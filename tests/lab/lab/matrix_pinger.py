# SPDX-License-Identifier: BSD-3-Clause
"""Echo requests for many flows at once, each in several sizes; a request without an answer is sent again, a bounded number
of times. An answer counts only when it carries back every byte.

    matrix_pinger.py FILE      {"flows": [{"id", "family", "source", "target"}], "sizes", "tries", "patience", "gap"}
prints {id: [sizes that were answered]}"""
import json
import select
import socket
import struct
import sys
import time

from pinger import checksum


class Flows:
    def __init__(self, job):
        self.job, self.sockets, self.answered, self.waiting = job, {}, {}, {}
        self.by_key = {}
        for number, flow in enumerate(job["flows"], 1):
            self.answered[flow["id"]] = set()
            self.by_key[(number, flow["target"])] = flow
            flow["ident"] = number
            for size in job["sizes"]:
                self.waiting[(flow["id"], size)] = flow

    def socket_of(self, flow):
        source = flow["source"]
        if source not in self.sockets:
            v4 = flow["family"] == 4
            sock = socket.socket(socket.AF_INET if v4 else socket.AF_INET6, socket.SOCK_RAW,
                                 socket.IPPROTO_ICMP if v4 else socket.IPPROTO_ICMPV6)
            if v4:
                sock.setsockopt(socket.IPPROTO_IP, 10, 0)    # IP_MTU_DISCOVER: may be fragmented on the way
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
            if not v4:
                sock.setsockopt(socket.IPPROTO_IPV6, 78, 1)  # IPV6_FREEBIND: the address is only in the route table
            sock.bind((source, 0))
            sock.setblocking(False)
            self.sockets[source] = sock
        return self.sockets[source]

    @staticmethod
    def payload(ident, size):
        return bytes((ident + n) & 0xff for n in range(size))

    def send(self, flow, size):
        v4 = flow["family"] == 4
        data = struct.pack("!BBHHH", 8 if v4 else 128, 0, 0, flow["ident"], size)
        data += self.payload(flow["ident"], size - (28 if v4 else 48))
        if v4:
            data = data[:2] + struct.pack("!H", checksum(data)) + data[4:]
        sock = self.socket_of(flow)
        try:
            sock.sendto(data, (flow["target"], 0))
        except OSError:
            pass    # no room, or an ICMP error before: it is missing then, and sent again

    def receive(self, until):
        while self.waiting:
            ready = select.select(list(self.sockets.values()), [], [], max(0, until - time.monotonic()))[0]
            if not ready:
                return
            for sock in ready:
                self.drain(sock)

    def drain(self, sock):
        v4 = sock.family == socket.AF_INET
        while True:
            try:
                data, sender = sock.recvfrom(65536)
            except OSError:
                return
            if v4:
                data = data[(data[0] & 15) * 4:]
            kind, _, _, ident, size = struct.unpack("!BBHHH", data[:8])
            flow = self.by_key.get((ident, sender[0]))
            if kind != (0 if v4 else 129) or not flow or data[8:] != self.payload(ident, size - (28 if v4 else 48)):
                continue
            if self.waiting.pop((flow["id"], size), None):
                self.answered[flow["id"]].add(size)

    def run(self):
        for _ in range(self.job["tries"]):
            for (_, size), flow in list(self.waiting.items()):
                self.send(flow, size)
                self.receive(time.monotonic() + self.job["gap"])
            self.receive(time.monotonic() + self.job["patience"])
            if not self.waiting:
                break
        return {name: sorted(sizes) for name, sizes in self.answered.items()}


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file:
        print(json.dumps(Flows(json.load(file)).run()))
