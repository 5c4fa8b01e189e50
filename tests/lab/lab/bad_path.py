# SPDX-License-Identifier: BSD-3-Clause
"""A cable between two devices that mistreats IKE, in place of a bridge:

    bad_path.py DEVICE DEVICE LOST REPEATED LATE SEED

Of the UDP packets over IPv4 of ports 500 and 4500 that are no ESP (RFC 3948), LOST per cent are lost, REPEATED per cent come twice, and
LATE per cent come up to 400 ms later, so that others overtake them. Everything else passes. At SIGTERM it prints how many it
has done what to."""
import heapq
import json
import random
import select
import signal
import socket
import struct
import sys
import time

LATE_S = 0.4
OUTGOING = 4  # PACKET_OUTGOING: what we have sent ourselves comes back to us


def is_ike(frame):
    """UDP over IPv4, not a later fragment, to or from IKE's ports."""
    if frame[12:14] != b"\x08\0" or frame[23] != 17 or struct.unpack_from("!H", frame, 20)[0] & 0x1fff:
        return False
    udp = 14 + 4 * (frame[14] & 15)
    ports = set(struct.unpack_from("!HH", frame, udp))
    return 500 in ports or 4500 in ports and frame[udp + 8:udp + 12] == b"\0" * 4


def without_checksum(frame):
    """Peers leave it to a device that is not there: over IPv4 it may be 0 (RFC 768)."""
    at = 14 + 4 * (frame[14] & 15) + 6
    return frame[:at] + b"\0\0" + frame[at + 2:]


def main(devices, lost, repeated, late, seed):
    ends, counts, queue, stop = [], {"ike": 0, "lost": 0, "repeated": 0, "late": 0}, [], []
    signal.signal(signal.SIGTERM, lambda *_: stop.append(True))
    for device in devices:
        end = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        end.bind((device, 0))
        end.setsockopt(263, 1, struct.pack("iHH8s", socket.if_nametoindex(device), 1, 0, b""))  # PACKET_MR_PROMISC
        ends.append(end)
    draw = random.Random(seed)
    print("ready", flush=True)
    while not stop:
        wait = max(0, queue[0][0] - time.monotonic()) if queue else 0.2
        for end in select.select(ends, [], [], min(wait, 0.2))[0]:
            frame, where = end.recvfrom(65535)
            if where[2] == OUTGOING:
                continue
            other = ends[1 - ends.index(end)]
            if len(frame) < 42 or not is_ike(frame):
                other.send(frame)
                continue
            counts["ike"] += 1
            frame = without_checksum(frame)
            if draw.uniform(0, 100) < lost:
                counts["lost"] += 1
                continue
            for copy in range(1 + (draw.uniform(0, 100) < repeated)):
                delay = draw.uniform(0, LATE_S) if draw.uniform(0, 100) < late else 0
                counts["repeated"] += copy
                counts["late"] += delay > 0
                heapq.heappush(queue, (time.monotonic() + delay, counts["ike"], copy, other, frame))
        while queue and queue[0][0] <= time.monotonic():
            _, _, _, other, frame = heapq.heappop(queue)
            other.send(frame)
    print(json.dumps(counts), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:3], *(int(word) for word in sys.argv[3:7]))
