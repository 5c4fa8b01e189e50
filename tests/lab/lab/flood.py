# SPDX-License-Identifier: BSD-3-Clause
"""Floods a router with what its workers cannot finish themselves: frames of the named classes in turn, at a steady rate.

    flood.py DEVICE ROUTER-MAC RATE SECONDS CLASS...

Says so when half a second's worth is sent. Ends after SECONDS, after RATE * SECONDS frames, or at SIGINT, and prints how many
frames it sent. Addresses are those of
the lab (topology.py)."""
import itertools
import json
import signal
import socket
import struct
import sys
import time

from pinger import checksum

GW_LAN = {4: "10.1.0.1", 6: "2001:db8:1::1"}
GW_WAN = "192.0.2.1"
HOST_A = {4: "10.1.0.10", 6: "2001:db8:1::10"}
VARIANTS = 256
ELSEWHERE = {4: "198.51.100.1", 6: "2001:db8:ffff::1"}  # behind the default route; not routed at all


def ether(dst, source, kind, body):
    return dst + source + struct.pack("!H", kind) + body.ljust(46, b"\0")


def ipv4(dst, proto, body, number, ttl=64, fragment=0):
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(body), number, fragment, ttl, proto, 0, socket.inet_aton(HOST_A[4]),
                       socket.inet_aton(dst))
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + body


def ipv6(source, dst, proto, body, hops=64):
    return struct.pack("!IHBB", 6 << 28, len(body), proto, hops) + source + dst + body


def udp(sport, dport, payload=b"flooding"):
    return struct.pack("!HHHH", sport, dport, 8 + len(payload), 0) + payload


def address6(text):
    return socket.inet_pton(socket.AF_INET6, text)


def solicitation(number, mac):
    """A neighbour that asks for the router's address (RFC 4861 4.3)."""
    source, target = address6(f"fe80::{number + 1:x}"), address6(GW_LAN[6])
    group = address6("ff02::1:ff00:0")[:13] + target[13:]
    body = struct.pack("!BBHI", 135, 0, 0, 0) + target + b"\1\1" + mac
    total = checksum(source + group + struct.pack("!II", len(body), 58) + body)
    return b"\x33\x33\xff" + target[13:], ipv6(source, group, 58, body[:2] + struct.pack("!H", total) + body[4:], 255)


def frame(kind, number, router):
    mac = b"\x02\x10\0\0\0" + bytes([number])
    if kind == "arp":
        sender = socket.inet_aton(f"10.1.0.{100 + number % 100}")
        return ether(b"\xff" * 6, mac, 0x0806, struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1) + mac + sender + b"\0" * 6 +
                     socket.inet_aton(GW_LAN[4]))
    if kind == "nd":
        group, packet = solicitation(number, mac)
        return ether(group, mac, 0x86dd, packet)
    if kind == "unreachable":
        return ether(router, mac, 0x86dd, ipv6(address6(HOST_A[6]), address6(ELSEWHERE[6]), 17, udp(1024 + number, 9)))
    ping = struct.pack("!BBHHH", 8, 0, 0, number, 1) + b"flooding"
    ping = ping[:2] + struct.pack("!H", checksum(ping)) + ping[4:]
    return ether(router, mac, 0x0800, {
        "neighbour": lambda: ipv4(f"192.0.2.{100 + number % 100}", 17, udp(1024 + number, 9), number),
        "ttl": lambda: ipv4(ELSEWHERE[4], 17, udp(1024 + number, 9), number, ttl=1),
        "mtu": lambda: ipv4(ELSEWHERE[4], 17, udp(1024 + number, 9, b"x" * 1472), number, fragment=0x4000),
        "acquire": lambda: ipv4(f"10.3.0.{number}", 17, udp(1024 + number, 9), number),
        "invalid-spi": lambda: ipv4(GW_LAN[4], 50, struct.pack("!II", 0x77000000 + number, 1) + b"flooding" * 4, number),
        "fragment": lambda: ipv4(GW_LAN[4], 17, udp(1024 + number, 9, b"flooding" * 4), number, fragment=0x2000),
        "local": lambda: ipv4(GW_LAN[4], 1, ping, number),
        "ike-first": lambda: ipv4(GW_WAN, 17, udp(1024 + number, 500, struct.pack("!QQBBBBII", 0x1234567800 + number, 0, 33, 0x20, 34, 8,
                                                                             0, 60) + b"\0" * 32), number),
    }[kind]())


def main(device, router, rate, seconds, kinds):
    stop = []
    signal.signal(signal.SIGINT, lambda *_: stop.append(True))
    out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    out.bind((device, 0))
    router = bytes.fromhex(router.replace(":", ""))
    frames = itertools.cycle([frame(kind, number, router) for number in range(VARIANTS) for kind in kinds])
    begun, sent = time.monotonic(), 0
    while not stop and time.monotonic() - begun < seconds and sent < rate * seconds:
        due = int((time.monotonic() - begun) * rate)
        for _ in range(min(due - sent, rate // 20)):
            out.send(next(frames))
            sent += 1
            if sent == rate // 2:
                print("flooding", flush=True)
        time.sleep(0.001)
    print(json.dumps({"sent": sent}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]), sys.argv[5:])
