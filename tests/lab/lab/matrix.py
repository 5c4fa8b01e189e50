# SPDX-License-Identifier: BSD-3-Clause
"""The one table of what the IPsec dataplane can do, and the cells that follow from it: mode x protocol x cipher x integrity
x ESN x inner family x outer family x NAT. cells() is the whole product without what WHY_NOT gives a reason for; pairwise()
is a small part of it in which any two values of two columns meet at least once."""
import hashlib
import itertools
from dataclasses import dataclass

# Cipher: transform of Culvert's transform set, strongSwan's word in a proposal, strongSwan's name of what is installed.
CIPHERS = {
    "aes128-gcm16": ("esp-gcm 128", "aes128gcm16", "AES_GCM_16-128"),
    "aes192-gcm16": ("esp-gcm 192", "aes192gcm16", "AES_GCM_16-192"),
    "aes256-gcm16": ("esp-gcm 256", "aes256gcm16", "AES_GCM_16-256"),
    "aes128-gcm12": ("esp-gcm12 128", "aes128gcm12", "AES_GCM_12-128"),
    "aes192-gcm12": ("esp-gcm12 192", "aes192gcm12", "AES_GCM_12-192"),
    "aes256-gcm12": ("esp-gcm12 256", "aes256gcm12", "AES_GCM_12-256"),
    "aes128-gcm8": ("esp-gcm8 128", "aes128gcm8", "AES_GCM_8-128"),
    "aes192-gcm8": ("esp-gcm8 192", "aes192gcm8", "AES_GCM_8-192"),
    "aes256-gcm8": ("esp-gcm8 256", "aes256gcm8", "AES_GCM_8-256"),
    "aes128-gmac": ("esp-gmac 128", "aes128gmac", "NULL_AES_GMAC-128"),
    "aes192-gmac": ("esp-gmac 192", "aes192gmac", "NULL_AES_GMAC-192"),
    "aes256-gmac": ("esp-gmac 256", "aes256gmac", "NULL_AES_GMAC-256"),
    "chacha20-poly1305": ("esp-chacha20-poly1305", "chacha20poly1305", "CHACHA20_POLY1305"),
    "aes128-cbc": ("esp-aes", "aes128", "AES_CBC-128"),
    "aes192-cbc": ("esp-aes 192", "aes192", "AES_CBC-192"),
    "aes256-cbc": ("esp-aes 256", "aes256", "AES_CBC-256"),
    "aes128-ctr": ("esp-ctr 128", "aes128ctr", "AES_CTR-128"),
    "aes192-ctr": ("esp-ctr 192", "aes192ctr", "AES_CTR-192"),
    "aes256-ctr": ("esp-ctr 256", "aes256ctr", "AES_CTR-256"),
    "3des-cbc": ("esp-3des", "3des", "3DES_CBC"),
    "des-cbc": ("esp-des", "des", "DES_CBC"),
    "null": ("esp-null", "null", "NULL"),
}
# Integrity: the part of the transform's name behind esp- or ah-, strongSwan's word, strongSwan's name.
INTEGRITY = {
    "sha1-96": ("sha-hmac", "sha1", "HMAC_SHA1_96"),
    "sha256-128": ("sha256-hmac", "sha256", "HMAC_SHA2_256_128"),
    "sha384-192": ("sha384-hmac", "sha384", "HMAC_SHA2_384_192"),
    "sha512-256": ("sha512-hmac", "sha512", "HMAC_SHA2_512_256"),
    "aes-xcbc-96": ("aes-xcbc", "aesxcbc", "AES_XCBC_96"),
    "aes-cmac-96": ("aes-cmac", "aescmac", "AES_CMAC_96"),
    "md5-96": ("md5-hmac", "md5", "HMAC_MD5_96"),
}
AEAD = {name for name in CIPHERS if any(word in name for word in ("gcm", "gmac", "poly1305"))}

FACTORS = {
    "mode": ("tunnel", "transport"),
    "protocol": ("esp", "ah"),
    "cipher": (*CIPHERS, "-"),
    "integrity": (*INTEGRITY, "-"),
    "esn": (False, True),
    "inner": (4, 6),
    "outer": (4, 6),
    "nat": ("none", "udp", "nat"),
}
# What the values of the NAT column mean.
NAT_MEANS = {"none": "nothing between the peers", "udp": "UDP encapsulation forced, nothing between the peers",
             "nat": "a router between the peers that translates addresses and ports"}
SIZES = (64, 577, 1280, 1500, 4000, 9000)   # bytes of the inner IP packet (transport mode: of the packet before IPsec)


@dataclass(frozen=True, order=True)
class Cell:
    """One combination. cipher and integrity are keys of the tables above, "-" = none."""
    mode: str
    protocol: str
    cipher: str
    integrity: str
    esn: bool
    inner: int
    outer: int
    nat: str

    @property
    def suite(self):
        return "+".join(part for part in (self.protocol, self.cipher, self.integrity) if part != "-")

    def __str__(self):
        return f"{self.mode} {self.suite}{' esn' if self.esn else ''} {self.inner}in{self.outer} {self.nat}"

    @property
    def transforms(self):
        """As in Culvert's transform set."""
        names = [] if self.cipher == "-" else [CIPHERS[self.cipher][0]]
        return names + ([] if self.integrity == "-" else [f"{self.protocol}-{INTEGRITY[self.integrity][0]}"])

    @property
    def proposal(self):
        """As strongSwan proposes it."""
        words = [] if self.cipher == "-" else [CIPHERS[self.cipher][1]]
        words += [] if self.integrity == "-" else [INTEGRITY[self.integrity][1]]
        return "-".join(words + ["esn" if self.esn else "noesn"])

    @property
    def installed(self):
        """How strongSwan's list of SAs must describe the SA that its kernel has."""
        names = [] if self.cipher == "-" else [CIPHERS[self.cipher][2]]
        names += [] if self.integrity == "-" else [INTEGRITY[self.integrity][2]]
        return (f"{self.mode.upper()}{'' if self.nat == 'none' else '-in-UDP'}, {self.protocol.upper()}:"
                + "/".join(names) + ("/ESN" if self.esn else ""))


# Combinations that are not cells, each with its reason; the first that holds is counted.
WHY_NOT = [
    ("AH has no cipher", lambda c: c.protocol == "ah" and c.cipher != "-"),
    ("AH is nothing but integrity", lambda c: c.protocol == "ah" and c.integrity == "-"),
    ("ESP has a cipher, if only NULL (RFC 4303 3.2)", lambda c: c.protocol == "esp" and c.cipher == "-"),
    ("a combined-mode cipher brings its own integrity (RFC 4303 3.2.3)",
     lambda c: c.cipher in AEAD and c.integrity != "-"),
    ("encryption without integrity is refused at commit (RFC 8221 section 4)",
     lambda c: c.protocol == "esp" and c.cipher not in AEAD and c.integrity == "-"),
    ("AH protects the addresses and ports that a NAT changes, and has no UDP encapsulation (RFC 3715 2.1, RFC 3948 1)",
     lambda c: c.protocol == "ah" and c.nat != "none"),
    ("transport mode has no inner packet: there is one family", lambda c: c.mode == "transport" and c.inner != c.outer),
    ("the addresses of a transport mode packet are those of the peers; behind a NAT they are not what was negotiated "
     "(RFC 3948 2.1, 5.2). Its UDP encapsulation is tested as \"udp\"",
     lambda c: c.mode == "transport" and c.nat == "nat"),
    ("IPv6 is not translated; its UDP encapsulation is tested as \"udp\"", lambda c: c.outer == 6 and c.nat == "nat"),
]


def why_not(cell):
    return next((reason for reason, holds in WHY_NOT if holds(cell)), None)


def product():
    return [Cell(*values) for values in itertools.product(*FACTORS.values())]


def cells():
    return [cell for cell in product() if not why_not(cell)]


def skipped():
    """{reason: number of combinations}"""
    found = {reason: 0 for reason, _ in WHY_NOT}
    for cell in product():
        reason = why_not(cell)
        if reason:
            found[reason] += 1
    return found


def _pairs(cell):
    values = [(name, getattr(cell, name)) for name in FACTORS]
    return set(itertools.combinations(values, 2))


def pairwise(among=None):
    """A small list of cells that meets every pair of values that some cell meets. Greedy, and the same each time."""
    left = {cell: _pairs(cell) for cell in (cells() if among is None else among)}
    missing = set().union(*left.values())
    spread = {cell: hashlib.sha256(str(cell).encode()).digest() for cell in left}  # of equals, not the neighbours
    chosen = []
    while missing:
        best = max(left, key=lambda cell: (len(left[cell] & missing), spread[cell]))
        chosen.append(best)
        missing -= left.pop(best)
    return chosen


# ---- the table for people ----

def _columns():
    """What the columns of the table are: everything but the suite."""
    return [(mode, esn, inner, outer, nat) for mode in FACTORS["mode"] for nat in FACTORS["nat"]
            for inner, outer in itertools.product(FACTORS["inner"], FACTORS["outer"]) for esn in FACTORS["esn"]]


def table(verdicts):
    """A line for each suite, a sign for each combination of the rest: . not a cell, + passed, X failed, blank not run."""
    suites = list(dict.fromkeys(cell.suite for cell in cells()))
    lines = []
    for suite in suites:
        mine = {(c.mode, c.esn, c.inner, c.outer, c.nat): text for c, text in verdicts.items() if c.suite == suite}
        there = {(c.mode, c.esn, c.inner, c.outer, c.nat) for c in cells() if c.suite == suite}
        signs = ""
        for n, key in enumerate(_columns()):
            signs += " " if n and n % 8 == 0 else ""
            signs += "." if key not in there else " " if key not in mine else "X" if mine[key] else "+"
        lines.append(f"{suite:32}{signs}")
    heads = ["/".join(dict.fromkeys((mode, nat))) for mode in FACTORS["mode"] for nat in FACTORS["nat"]]
    legend = ("groups of eight: " + ", ".join(heads) + "; in each 4in4, 4in6, 6in4, 6in6, without and with ESN. "
              "+ passed, X failed, . not a cell")
    passed = sum(not text for text in verdicts.values())
    return "\n".join([legend, *lines, f"{passed} of {len(verdicts)} cells passed"])


def document(verdicts, stamp):
    """docs/ipsec-matrix.md. stamp: what was run, in words."""
    reasons = "\n".join(f"| {reason} | {n} |" for reason, n in skipped().items() if n)
    failed = "\n".join(f"| {cell} | {text} |" for cell, text in sorted(verdicts.items()) if text) or "| none | |"
    nat = "\n".join(f"- `{name}`: {text}" for name, text in NAT_MEANS.items())
    return f"""# The IPsec matrix

Written by `tools/matrix` from the one table in `tests/lab/lab/matrix.py`: each cell is one SA pair negotiated with strongSwan on a
real Linux kernel, by turns from either side and with either version of IKE. It has passed when packets of {", ".join(map(str, SIZES))}
bytes came back in both directions with every byte as it was sent, the kernel reports the algorithms, mode and sequence numbers of
the cell and has counted the packets on that SA, and Culvert sent nothing in clear.

{stamp}

NAT:
{nat}

```
{table(verdicts)}
```

A blank in the table is a cell that was not run; the [roadmap](roadmap.md) says what is missing for it.

## Cells that failed

| cell | what happened |
|---|---|
{failed}

## Combinations that are no cells

| reason | combinations |
|---|---|
{reasons}
"""
