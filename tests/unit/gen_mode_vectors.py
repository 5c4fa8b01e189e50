#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Known-answer packets of AH, transport mode and extended sequence numbers made by scapy: prints mode_vectors.h.

Run again only to add cases; the header is in the tree, so that building needs no scapy.
"""
import logging
logging.getLogger("scapy").setLevel(logging.ERROR)
from scapy.layers.inet import IP, IPOption, UDP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrHopByHop, PadN, RouterAlert
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from scapy.layers.ipsec import AH, AUTH_ALGOS, ESP, AuthAlgo, SecurityAssociation, zero_mutable_fields
from scapy.packet import Raw

A4, B4, A6, B6 = "192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2"
CRYPT = {"NULL": ("CV_ENCR_NULL", 0, 0), "DES": ("CV_ENCR_DES", 8, 8), "3DES": ("CV_ENCR_3DES", 24, 8),
         "AES-CBC": ("CV_ENCR_AES128_CBC", 16, 16), "AES-CTR": ("CV_ENCR_AES128_CTR", 20, 8),
         "AES-GCM": ("CV_ENCR_AES128_GCM16", 20, 8),
         "CHACHA20-POLY1305": ("CV_ENCR_CHACHA20_POLY1305", 36, 8)}
AUTH = {None: ("CV_INTEG_NONE", 0), "HMAC-SHA1-96": ("CV_INTEG_HMAC_SHA1_96", 20),
        "SHA2-256-128": ("CV_INTEG_HMAC_SHA256_128", 32), "SHA2-384-192": ("CV_INTEG_HMAC_SHA384_192", 48),
        "SHA2-512-256": ("CV_INTEG_HMAC_SHA512_256", 64), "HMAC-MD5-96": ("CV_INTEG_HMAC_MD5_96", 16),
        "AES-CMAC-96": ("CV_INTEG_AES_CMAC_96", 16),
        **{f"AES-{bits}-GMAC": (f"CV_INTEG_AES{bits}_GMAC", bits // 8 + 4) for bits in (128, 192, 256)}}


class Gmac(AuthAlgo):
    """RFC 4543 section 4, which scapy does not have: OpenSSL's GCM over the packet as scapy hides it. The field of the ICV
    is IV, ICV; the IV is the number, and is covered."""

    def sign(self, pkt, key, esn_en=False, esn=0):
        iv = (esn << 32 | pkt[AH].seq).to_bytes(8, "big")
        clone = zero_mutable_fields(pkt.copy(), sending=True)
        clone[AH].icv = iv + bytes(16)
        covered = bytes(clone) + (esn.to_bytes(4, "big") if esn_en else b"")
        pkt[AH].icv = iv + AESGCM(key[:-4]).encrypt(key[-4:] + iv, b"", covered)
        return pkt


for name in AUTH:
    if name and name.endswith("GMAC"):
        AUTH_ALGOS[name] = Gmac(name, mac=AESGCM, digestmod=None, icv_size=24)


def clear(family, transport, options, size):
    data = UDP(sport=1000, dport=53) / Raw(bytes(i * 7 & 0xff for i in range(size)))
    if family == 4:
        src, dst = (A4, B4) if transport else ("10.1.0.5", "10.2.0.9")
        opts = [IPOption(b"\x94\x04\x00\x00"), IPOption(b"\x44\x08\x05\x00\x00\x00\x00\x01")] if options else []
        return IP(src=src, dst=dst, ttl=61, tos=0x28, id=4711, options=opts) / data
    src, dst = (A6, B6) if transport else ("2001:db8:1::5", "2001:db8:2::9")
    p = IPv6(src=src, dst=dst, hlim=61, tc=0x28, fl=0x12345)
    return p / IPv6ExtHdrHopByHop(options=[RouterAlert(), PadN(optdata=b"\0\0")]) / data if options else p / data


def case(proto, crypt, auth, transport, family, outer, seq, esn, options=False, size=33):
    esp = proto == "ESP"
    encr, ckey_len, iv_len = CRYPT[crypt] if esp else ("CV_ENCR_NONE", 0, 0)
    integ, akey_len = AUTH[auth]
    ckey = bytes(0x10 + i & 0xff for i in range(ckey_len))
    akey = bytes(0x80 + i & 0xff for i in range(akey_len))
    kwargs = dict(spi=0x12340002, seq_num=seq & 0xffffffff)
    if esp:
        kwargs.update(crypt_algo=crypt, crypt_key=ckey)
    if auth:
        kwargs.update(auth_algo=auth, auth_key=akey)
    if not transport:
        kwargs.update(tunnel_header=IP(src=A4, dst=B4, ttl=64) if outer == 4 else IPv6(src=A6, dst=B6, hlim=64))
    if esn:
        kwargs.update(esn_en=True, esn=seq >> 32)
    sa = SecurityAssociation(ESP if esp else AH, **kwargs)
    packet = clear(family, transport, options, size)
    packet = packet.__class__(bytes(packet))
    iv = {} if not esp or not iv_len else {"iv": seq.to_bytes(8, "big") if iv_len == 8 else bytes(range(0xa0, 0xb0))}
    wire = sa.encrypt(packet, seq_num=seq & 0xffffffff, **iv, **({"esn_en": True, "esn": seq >> 32} if esn else {}))
    print("\t{%d, %s, %s, %s, %d, UINT64_C(%d), %s, %s," % (50 if esp else 51, encr, integ,
          "CV_SA_TRANSPORT" if transport else "CV_SA_TUNNEL", outer, seq, "true" if esn else "false",
          "true" if options else "false"))
    for blob in (ckey + akey, bytes(packet), bytes(wire)):
        text = blob.hex()
        print("\n".join('\t\t"%s"' % text[i:i + 96] for i in range(0, len(text), 96)) + ",")
    print("\t},")


print("/* SPDX-License-Identifier: BSD-3-Clause */")
print("/* Made by gen_mode_vectors.py with scapy 2.5 and, for AES-GMAC, OpenSSL; do not edit. */")
print("/* clang-format off */")
print("static const struct mode_vector mode_vectors[] = {")
ESN = (5 << 32) + 9
for n, (crypt, auth) in enumerate([("NULL", "SHA2-256-128"), ("DES", "HMAC-MD5-96"), ("3DES", "HMAC-SHA1-96"),
                                   ("AES-CBC", "SHA2-384-192"), ("AES-CTR", "SHA2-512-256"), ("NULL", "AES-CMAC-96"),
                                   ("AES-GCM", None), ("CHACHA20-POLY1305", None)]):
    case("ESP", crypt, auth, False, 4, 4, 3 + n, False)
    case("ESP", crypt, auth, True, 4, 4, 3 + n, False, size=20 + n)
    case("ESP", crypt, auth, True, 6, 6, 3 + n, False, size=40 + n)
    if crypt == "AES-GCM":  # with HMAC, scapy 2.5 leaves the high half out (RFC 4303 2.2.1)
        case("ESP", crypt, auth, False, 6, 4, ESN, True)
case("ESP", "AES-CBC", "HMAC-SHA1-96", True, 4, 4, 9, False, options=True)
for auth in ("HMAC-MD5-96", "HMAC-SHA1-96", "SHA2-256-128", "SHA2-384-192", "SHA2-512-256", "AES-CMAC-96"):
    case("AH", None, auth, False, 4, 4, 3, False)
    case("AH", None, auth, True, 4, 4, 4, False)
    case("AH", None, auth, False, 4, 6, 5, False)
    case("AH", None, auth, True, 6, 6, 6, False)
case("AH", None, "SHA2-256-128", True, 4, 4, 7, False, options=True)
case("AH", None, "SHA2-256-128", False, 6, 4, ESN, True)
for bits in (128, 192, 256):
    case("AH", None, f"AES-{bits}-GMAC", False, 4, 4, 3, False)
    case("AH", None, f"AES-{bits}-GMAC", True, 4, 4, 4, False, options=bits == 192)
    case("AH", None, f"AES-{bits}-GMAC", False, 4, 6, 5, False)
    case("AH", None, f"AES-{bits}-GMAC", True, 6, 6, ESN, True)
print("};")
