# SPDX-License-Identifier: BSD-3-Clause
"""Give the kernel many routes as a routing daemon does, many to a message of netlink, or take them back, or one that comes and goes so
often: add|del|flap, how many, gateway, device. Prefix n is the n-th /24 of 16.0.0.0/4; FLAPPING is that of flap. Prints how many seconds
it took, and how many of the CPU."""
import socket
import struct
import sys
import time

NEW, DELETE, ERROR = 24, 25, 2
REQUEST, ACK, CREATE = 1, 4, 0x400
MAIN, PROTOCOL_BGP, UNIVERSE, UNICAST = 254, 186, 0, 1
DESTINATION, DEVICE, GATEWAY = 1, 4, 5
CHUNK = 300  # routes in a message
FLAPPING = (1 << 20) - 1


def prefix(n):
    return bytes((16 + (n >> 16), n >> 8 & 255, n & 255, 0))


def changes(what, count):
    """Pairs: is it a new one, and which prefix."""
    if what == "flap":
        return [(new, FLAPPING) for _ in range(count) for new in (True, False)]
    return [(what == "add", n) for n in range(count)]


def requests(what, count, gateway, device):
    tail = struct.pack("HH4sHHI", 8, GATEWAY, socket.inet_aton(gateway), 8, DEVICE, socket.if_nametoindex(device))
    body = struct.pack("BBBBBBBBI", socket.AF_INET, 24, 0, 0, MAIN, PROTOCOL_BGP, UNIVERSE, UNICAST, 0)
    size = 16 + len(body) + 8 + len(tail)
    wanted = changes(what, count)
    for seq, (new, n) in enumerate(wanted, 1):
        flags = REQUEST | (CREATE if new else 0) | (ACK if seq == len(wanted) else 0)
        yield struct.pack("IHHII", size, NEW if new else DELETE, flags, seq, 0) + body + struct.pack("HH4s", 8, DESTINATION, prefix(n)) + tail


def main(what, count, gateway, device):
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as line:
        line.bind((0, 0))
        messages = list(requests(what, int(count), gateway, device))
        begin, cpu = time.monotonic(), time.process_time()
        for n in range(0, len(messages), CHUNK):
            line.send(b"".join(messages[n:n + CHUNK]))
        _, kind, _, seq, _, code = struct.unpack("IHHIIi", line.recv(65536)[:20])
        print(time.monotonic() - begin, time.process_time() - cpu)
    if kind != ERROR or code or seq != len(messages):
        raise SystemExit(f"route {seq}: error {-code}")


if __name__ == "__main__":
    main(*sys.argv[1:])
