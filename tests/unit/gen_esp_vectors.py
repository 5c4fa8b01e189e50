#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Known-answer ESP packets made by scapy, an implementation nobody here wrote: prints esp_vectors.h.

Run again only to add cases; the header is in the tree, so that building needs no scapy.
"""
import logging
logging.getLogger("scapy").setLevel(logging.ERROR)
from scapy.layers.inet import IP, ICMP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.ipsec import ESP, SecurityAssociation
from scapy.packet import Raw

ALGS = [(f"{{.encr = CV_ENCR_AES{b}_GCM16}}", "AES-GCM", b // 8 + 4, 8, None, 0) for b in (128, 192, 256)]
ALGS += [(f"{{.encr = CV_ENCR_AES{b}_CBC, .integ = CV_INTEG_HMAC_SHA1_96}}", "AES-CBC", b // 8, 16, "HMAC-SHA1-96", 20) for b in (128, 192, 256)]
ALGS += [(f"{{.encr = CV_ENCR_AES{b}_CBC, .integ = CV_INTEG_HMAC_SHA256_128}}", "AES-CBC", b // 8, 16, "SHA2-256-128", 32) for b in (128, 192, 256)]
OUTER4 = IP(src="192.0.2.1", dst="192.0.2.2", ttl=64)
OUTER6 = IPv6(src="2001:db8::1", dst="2001:db8::2", hlim=64)


def inner(family, size, tos):
    data = Raw(bytes(i * 7 & 0xff for i in range(size)))
    if family == 4:
        return IP(src="10.1.0.5", dst="10.2.0.9", ttl=61, tos=tos, id=4711) / UDP(sport=1000, dport=53) / data
    return IPv6(src="2001:db8:1::5", dst="2001:db8:2::9", hlim=61, tc=tos) / UDP(sport=1000, dport=53) / data


def case(alg, size, seq, outer, family, natt=False, tos=0):
    name, crypt, ckey_len, iv_len, auth, akey_len = alg
    ckey = bytes(0x10 + i & 0xff for i in range(ckey_len))
    akey = bytes(0x80 + i & 0xff for i in range(akey_len))
    spi = 0x12340000 + 2
    kwargs = dict(spi=spi, crypt_algo=crypt, crypt_key=ckey, tunnel_header=outer.copy())
    if auth:
        kwargs.update(auth_algo=auth, auth_key=akey)
    if natt:
        kwargs.update(nat_t_header=UDP(sport=4500, dport=4500))
    sa = SecurityAssociation(ESP, **kwargs)
    clear = inner(family, size, tos)
    clear = clear.__class__(bytes(clear))
    iv = seq.to_bytes(8, "big") if iv_len == 8 else bytes(0xa0 + i for i in range(16))
    wire = sa.encrypt(clear, seq_num=seq, iv=iv)
    print("\t{%s, 0x%08x, %d, %s, %d," % (name, spi, seq, "true" if natt else "false", 4 if outer is OUTER4 else 6))
    for blob in (ckey + akey, bytes(clear), bytes(wire)):
        text = blob.hex()
        print("\n".join('\t\t"%s"' % text[i:i + 96] for i in range(0, len(text), 96)) + ",")
    print("\t},")


print("/* SPDX-License-Identifier: BSD-3-Clause */")
print("/* Made by gen_esp_vectors.py with scapy 2.5; do not edit. */")
print("/* clang-format off */")
print("static const struct esp_vector esp_vectors[] = {")
for n, a in enumerate(ALGS):
    case(a, 20 + n, 1 + n, OUTER4, 4)
    case(a, 61 + n, 0x01020304, OUTER6, 6)
for a in (ALGS[0], ALGS[3], ALGS[8]):
    case(a, 33, 7, OUTER4, 4, natt=True)
    case(a, 0, 8, OUTER4, 6)
    case(a, 1, 9, OUTER6, 4)
print("};")
