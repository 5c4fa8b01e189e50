# SPDX-License-Identifier: BSD-3-Clause
"""ping that counts exactly: numbered echo requests at a steady rate, and after the last (or SIGINT) it waits for every one
that is still under way. ping(8) waits for two round-trip times only, which a busy machine exceeds.

    pinger.py 4|6 ADDRESS COUNT INTERVAL SIZE GRACE     prints one JSON object"""
import json
import os
import select
import signal
import socket
import struct
import sys
import time


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data[:len(data) // 2 * 2]))
    if len(data) % 2:
        total += data[-1] << 8
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


class Pinger:
    def __init__(self, family, target, count, interval, size, grace):
        self.v4, self.target, self.count, self.interval, self.grace = family == 4, target, count, interval, grace
        self.ident = os.getpid() & 0xffff
        self.payload = bytes(n & 0xff for n in range(size))
        self.sent_at, self.answered, self.duplicates, self.errors, self.stop = {}, {}, 0, 0, False
        if self.v4:
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
            self.socket.setsockopt(socket.IPPROTO_IP, 10, 0)    # IP_MTU_DISCOVER: may be fragmented on the way
        else:
            self.socket = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self.socket.setblocking(False)

    def send(self, seq):
        header = struct.pack("!BBHHH", 8 if self.v4 else 128, 0, 0, self.ident, seq & 0xffff)
        data = header + self.payload
        if self.v4:
            data = data[:2] + struct.pack("!H", checksum(data)) + data[4:]
        self.sent_at[seq & 0xffff] = time.monotonic()
        try:
            self.socket.sendto(data, (self.target, 0))
        except OSError:
            self.errors += 1

    def receive(self, patience):
        if not select.select([self.socket], [], [], max(0, patience))[0]:
            return
        while True:
            try:
                data, _ = self.socket.recvfrom(65536)
            except BlockingIOError:
                return
            except OSError:
                self.errors += 1
                return
            if self.v4:
                data = data[(data[0] & 15) * 4:]
            kind, _, _, ident, seq = struct.unpack("!BBHHH", data[:8])
            if kind != (0 if self.v4 else 129) or ident != self.ident or seq not in self.sent_at:
                continue
            if data[8:] != self.payload:
                self.errors += 1
            elif seq in self.answered:
                self.duplicates += 1
            else:
                self.answered[seq] = time.monotonic() - self.sent_at[seq]

    def run(self):
        begin = time.monotonic()
        sent = 0
        while sent < self.count and not self.stop:
            self.send(sent)
            sent += 1
            due = begin + sent * self.interval
            while not self.stop and time.monotonic() < due and not (sent == self.count and len(self.answered) == sent):
                self.receive(due - time.monotonic())
        end = time.monotonic() + self.grace
        while len(self.answered) < sent and time.monotonic() < end:
            self.receive(end - time.monotonic())
        lost = [seq for seq in self.sent_at if seq not in self.answered]
        return {"sent": sent, "received": len(self.answered), "duplicates": self.duplicates, "errors": self.errors,
                "lost": lost[:50], "rtt_max": max(self.answered.values(), default=0)}


def main():
    pinger = Pinger(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4]), int(sys.argv[5]),
                    float(sys.argv[6]))

    def end(*_):
        pinger.stop = True

    signal.signal(signal.SIGINT, end)
    print("sending", flush=True)
    print(json.dumps(pinger.run()))


if __name__ == "__main__":
    main()
