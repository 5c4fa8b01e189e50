# SPDX-License-Identifier: BSD-3-Clause
"""Multicast streams: a sender and a receiver, for namespaces and for peers. Standard library only.

    multicast_program.py send GROUP PORT DEVICE TTL COUNT
    multicast_program.py receive GROUP PORT DEVICE FILE

The receiver joins the group on the device, writes the numbers that it has seen and how often into FILE, again whenever
they change, and ends by being stopped. The sender sends COUNT numbered datagrams, a few milliseconds apart."""
import json
import os
import socket
import struct
import sys
import time


def open_socket(group):
    return socket.socket(socket.AF_INET6 if ":" in group else socket.AF_INET, socket.SOCK_DGRAM)


def send(group, port, device, ttl, count):
    index = socket.if_nametoindex(device)
    with open_socket(group) as s:
        if ":" in group:
            s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
            s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, int(ttl))
        else:
            s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, struct.pack("=4s4si", bytes(4), bytes(4), index))
            s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, int(ttl))
        for number in range(int(count)):
            s.sendto(str(number).encode() + bytes(100), (group, int(port)))
            time.sleep(0.005)


def write(path, seen):
    with open(path + ".new", "w", encoding="utf-8") as file:
        json.dump(seen, file)
    os.rename(path + ".new", path)


def receive(group, port, device, path):
    index, seen = socket.if_nametoindex(device), {}
    with open_socket(group) as s:
        s.bind((group, int(port)))
        if ":" in group:
            s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, socket.inet_pton(socket.AF_INET6, group) + struct.pack("=I", index))
        else:
            s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, struct.pack("=4s4si", socket.inet_aton(group), bytes(4), index))
        s.settimeout(0.2)
        write(path, seen)
        while True:
            changed = False
            try:
                while True:
                    number = s.recv(2048).split(b"\0")[0].decode()
                    seen[number] = seen.get(number, 0) + 1
                    changed = True
            except TimeoutError:
                if changed:
                    write(path, seen)


if __name__ == "__main__":
    {"send": send, "receive": receive}[sys.argv[1]](*sys.argv[2:])
