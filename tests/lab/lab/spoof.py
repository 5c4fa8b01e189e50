# SPDX-License-Identifier: BSD-3-Clause
"""First messages of IKEv2 from as many addresses as a network of /15 has, each with its own SPI and otherwise good: what they ask
for is what the gateway would agree to.

    spoof.py DEVICE ROUTER-MAC ROUTER-ADDRESS RATE SECONDS

Says so when a quarter of a second's worth is sent. Ends after SECONDS, or at SIGINT, and prints how many frames it sent in what time."""
import ctypes
import json
import os
import signal
import socket
import struct
import sys
import time

from pinger import checksum

NETWORK = "198.18.0.0"       # /15 (RFC 2544)
FRAMES = 16384               # different ones, sent again and again: no address or SPI is remembered
BURST = 64
# AES-CBC-256, HMAC-SHA2-256 twice, ECP-256 (RFC 7296 3.3): what config.vpn() has
TRANSFORMS = (struct.pack("!BBHBBHHH", 3, 0, 12, 1, 0, 12, 0x800e, 256), struct.pack("!BBHBBH", 3, 0, 8, 2, 0, 5),
              struct.pack("!BBHBBH", 3, 0, 8, 3, 0, 12), struct.pack("!BBHBBH", 0, 0, 8, 4, 0, 19))


def payload(following, body):
    return struct.pack("!BBH", following, 0, 4 + len(body)) + body


def first_message(number):
    proposal = b"".join(TRANSFORMS)
    body = payload(34, struct.pack("!BBHBBBB", 0, 0, 8 + len(proposal), 1, 1, 0, len(TRANSFORMS)) + proposal)
    body += payload(40, struct.pack("!HH", 19, 0) + os.urandom(64)) + payload(0, os.urandom(32))
    return struct.pack("!QQBBBBII", 0x7370000000000001 + number, 0, 33, 0x20, 34, 8, 0, 28 + len(body)) + body


def frame(number, router, address):
    source = struct.pack("!I", struct.unpack("!I", socket.inet_aton(NETWORK))[0] + 1 + number * 7)
    message = first_message(number)
    udp = struct.pack("!HHHH", 500, 500, 8 + len(message), 0) + message
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), number, 0, 64, 17, 0, source, socket.inet_aton(address))
    head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
    return router + b"\x02\x10\0\0\0\x01\x08\0" + head + udp


class Vector(ctypes.Structure):
    _fields_ = [("base", ctypes.c_char_p), ("len", ctypes.c_size_t)]


class Message(ctypes.Structure):
    """struct mmsghdr."""
    _fields_ = [("name", ctypes.c_void_p), ("namelen", ctypes.c_uint), ("iov", ctypes.POINTER(Vector)), ("iovlen", ctypes.c_size_t),
                ("control", ctypes.c_void_p), ("controllen", ctypes.c_size_t), ("flags", ctypes.c_int), ("sent", ctypes.c_uint)]


def main(device, router, address, rate, seconds):
    stop = []
    signal.signal(signal.SIGINT, lambda *_: stop.append(True))
    router = bytes.fromhex(router.replace(":", ""))
    frames = [frame(number, router, address) for number in range(FRAMES)]
    vectors = (Vector * FRAMES)(*[Vector(f, len(f)) for f in frames])
    messages = (Message * FRAMES)()
    for i in range(FRAMES):
        messages[i].iov, messages[i].iovlen = ctypes.pointer(vectors[i]), 1
    out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    out.bind((device, 0))
    libc = ctypes.CDLL(None, use_errno=True)
    begun, sent, said = time.monotonic(), 0, False
    while not stop and time.monotonic() - begun < seconds:
        due = int((time.monotonic() - begun) * rate) - sent
        if due < BURST:
            time.sleep(0.0005)
            continue
        at = sent % FRAMES
        done = libc.sendmmsg(out.fileno(), ctypes.byref(messages, at * ctypes.sizeof(Message)), min(BURST, FRAMES - at), 0)
        if done < 0 and ctypes.get_errno() not in (11, 105):  # EAGAIN, ENOBUFS: once more
            sys.exit(os.strerror(ctypes.get_errno()))
        sent += max(done, 0)
        if not said and sent >= min(rate, 4 * FRAMES) // 4:
            said = True
            print("flooding", flush=True)
    print(json.dumps({"sent": sent, "seconds": round(time.monotonic() - begun, 3)}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), float(sys.argv[5]))
