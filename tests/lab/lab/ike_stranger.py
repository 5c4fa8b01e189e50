# SPDX-License-Identifier: BSD-3-Clause
"""Main mode of IKEv1 with RSA encrypted nonces, written from RFC 2409 5.2 alone: no daemon of Debian 12 has it. Either role,
phase 1 only; one transform: AES-256-CBC, SHA2-256, group 19. Runs by itself in a namespace:

    python3 ike_stranger.py ROLE OWN-ADDRESS PEER-ADDRESS OWN-PRIVATE-KEY.pem PEER-PUBLIC-KEY.pem

and prints one JSON object with what it has seen once the peer has proved itself, or dies with what is wrong."""
import hashlib
import hmac
import ipaddress
import json
import os
import socket
import struct
import sys

from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key, load_pem_public_key

SA, KE, ID, HASH, NONCE = 1, 4, 5, 8, 10
MAIN_MODE, INFORMATIONAL, ENCRYPTED = 2, 5, 1
TRANSFORM = ((1, 7), (14, 256), (2, 4), (3, 4), (4, 19), (11, 1), (12, 3600))  # RFC 2409 appendix A; method 4: RSA encryption


def prf(key, *parts):
    return hmac.new(key, b"".join(parts), hashlib.sha256).digest()


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def chain(payloads):
    """(type, body) pairs as a chain; returns the type of the first and the octets."""
    out = b""
    for n, (_, body) in enumerate(payloads):
        following = payloads[n + 1][0] if n + 1 < len(payloads) else 0
        out += struct.pack(">BBH", following, 0, 4 + len(body)) + body
    return payloads[0][0], out


def unchain(kind, data):
    found = {}
    while kind:
        following, _, length = struct.unpack_from(">BBH", data)
        assert 4 <= length <= len(data), "payload longer than its message"
        found.setdefault(kind, data[4:length])
        kind, data = following, data[length:]
    return found


def offer():
    attributes = b"".join(struct.pack(">HH", 0x8000 | kind, value) for kind, value in TRANSFORM)
    transform = struct.pack(">BBHBBH", 0, 0, 8 + len(attributes), 1, 1, 0) + attributes
    return struct.pack(">II", 1, 1) + struct.pack(">BBHBBBB", 0, 0, 8 + len(transform), 1, 1, 0, 1) + transform


def chosen(body):
    """The attributes of the first transform of an SA payload, and its bytes as an answer."""
    spi_len = body[14]
    at = 16 + spi_len
    length, = struct.unpack_from(">H", body, at + 2)
    found, rest = {}, body[at + 8:at + length]
    while rest:
        kind, value = struct.unpack_from(">HH", rest)
        if kind & 0x8000:
            found[kind & 0x7fff], rest = value, rest[4:]
        else:
            found[kind], rest = int.from_bytes(rest[4:4 + value], "big"), rest[4 + value:]
    transform = b"\0" + body[at + 1:at + length]
    answer = body[:8] + struct.pack(">BBHBBBB", 0, 0, 8 + len(transform), body[12], 1, 0, 1) + transform
    return found, answer


class Stranger:
    def __init__(self, own, peer, own_key, peer_key):
        self.own, self.peer = own, peer
        with open(own_key, "rb") as f:
            self.private = load_pem_private_key(f.read(), None)
        with open(peer_key, "rb") as f:
            self.public = load_pem_public_key(f.read())
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((own, 500))
        self.socket.settimeout(2)
        self.last = None
        self.dh = ec.generate_private_key(ec.SECP256R1())
        self.ke = self.dh.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)[1:]
        self.nonce = os.urandom(20)
        self.id = bytes([1, 0, 0, 0]) + ipaddress.ip_address(own).packed
        self.cookies = [b"\0" * 8, b"\0" * 8]

    # ---- messages ----

    def send(self, payloads, key=None):
        first, body = chain(payloads)
        if key:
            body += b"\0" * (-len(body) % 16)
            sealed = Cipher(algorithms.AES(key), modes.CBC(self.iv)).encryptor()
            body = sealed.update(body) + sealed.finalize()
            self.iv = body[-16:]
        head = b"".join(self.cookies) + struct.pack(
            ">BBBBII", first, 0x10, MAIN_MODE, ENCRYPTED if key else 0, 0, 28 + len(body))
        self.last = head + body
        self.socket.sendto(self.last, (self.peer, 500))

    def receive(self, accept, key=None):
        """The next message of main mode that accept() takes; ours is repeated meanwhile, those of the peer are passed over."""
        while True:
            data = self.next()
            first, _, exchange, flags, _, length = struct.unpack_from(">BBBBII", data, 16)
            if exchange == INFORMATIONAL and not flags & ENCRYPTED:
                sys.exit(f"the peer refuses: {data[28:].hex()}")
            if exchange != MAIN_MODE or length != len(data) or bool(flags & ENCRYPTED) != bool(key):
                continue
            body = data[28:]
            if key:
                opened = Cipher(algorithms.AES(key), modes.CBC(self.iv)).decryptor()
                self.iv, body = body[-16:], opened.update(body) + opened.finalize()
            found = unchain(first, body)
            if accept(found):
                return data, found

    def seal(self, body):
        return self.public.encrypt(body, padding.PKCS1v15())

    def next(self):
        for _ in range(60):
            try:
                return self.socket.recvfrom(65535)[0]
            except TimeoutError:
                if self.last:
                    self.socket.sendto(self.last, (self.peer, 500))
        raise TimeoutError("the peer does not answer")

    def exchange(self):
        """KE, identity and nonce: ours, of which two are for the peer's eyes only."""
        return [(KE, self.ke), (ID, self.seal(self.id)), (NONCE, self.seal(self.nonce))]

    def open(self, found):
        self.peer_ke = found[KE]
        self.peer_id = self.private.decrypt(found[ID], padding.PKCS1v15())
        self.peer_nonce = self.private.decrypt(found[NONCE], padding.PKCS1v15())
        assert 8 <= len(self.peer_nonce) <= 256

    # ---- keys (RFC 2409 5) ----

    def derive(self, initiator):
        point = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), b"\4" + self.peer_ke)
        gxy = self.dh.exchange(ec.ECDH(), point)
        nonces = (self.nonce, self.peer_nonce) if initiator else (self.peer_nonce, self.nonce)
        values = (self.ke, self.peer_ke) if initiator else (self.peer_ke, self.ke)
        cookies = b"".join(self.cookies)
        self.skeyid = prf(sha256(*nonces), cookies)
        d = prf(self.skeyid, gxy, cookies, b"\0")
        a = prf(self.skeyid, d, gxy, cookies, b"\1")
        self.iv = sha256(*values)[:16]
        return prf(self.skeyid, a, gxy, cookies, b"\2")

    def proof(self, of_initiator, we_are_initiator):
        ours = of_initiator == we_are_initiator
        mine, other = (self.ke, self.peer_ke) if ours else (self.peer_ke, self.ke)
        first, second = self.cookies if of_initiator else reversed(self.cookies)
        return prf(self.skeyid, mine, other, first, second, self.offered, self.id if ours else self.peer_id)

    # ---- roles ----

    def initiator(self):
        self.cookies[0] = os.urandom(8)
        self.offered = offer()
        self.send([(SA, self.offered)])
        data, found = self.receive(lambda m: SA in m)
        self.cookies[1] = data[8:16]
        assert chosen(found[SA])[0][3] == 4, "another method was chosen"
        self.send(self.exchange())
        self.open(self.receive(lambda m: KE in m)[1])
        key = self.derive(True)
        self.send([(HASH, self.proof(True, True))], key)
        _, found = self.receive(lambda m: True, key)
        assert hmac.compare_digest(found[HASH], self.proof(False, True)), "HASH_R is wrong"
        assert ID not in found, "an identity in message 6"

    def responder(self):
        data, found = self.receive(lambda m: SA in m)
        self.cookies = [data[:8], os.urandom(8)]
        self.offered = found[SA]
        attributes, answer = chosen(self.offered)
        assert attributes[3] == 4 and attributes[4] == 19, attributes
        self.send([(SA, answer)])
        self.open(self.receive(lambda m: KE in m)[1])
        self.send(self.exchange())
        key = self.derive(False)
        _, found = self.receive(lambda m: True, key)
        assert hmac.compare_digest(found[HASH], self.proof(True, False)), "HASH_I is wrong"
        assert ID not in found, "an identity in message 5"
        self.send([(HASH, self.proof(False, False))], key)


def main(role, *words):
    stranger = Stranger(*words)
    getattr(stranger, role)()
    print(json.dumps({"role": role, "peer_id": str(ipaddress.ip_address(stranger.peer_id[4:])),
                      "nonce": len(stranger.peer_nonce)}), flush=True)
    while True:  # whatever else the peer wants: phase 1 is all that we can, and our last message may be lost
        stranger.next()


if __name__ == "__main__":
    main(*sys.argv[1:])
