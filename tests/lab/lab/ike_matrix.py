# SPDX-License-Identifier: BSD-3-Clause
"""The one table of what IKE must negotiate with daemons that nobody here wrote: daemon x version x role x authentication x
cipher x hash x group x PFS x NAT x fragments x kind of rekey. The product is far too large to run; cover() takes cells until any
two, or any three, values that can meet have met."""
import itertools
import random
from collections import namedtuple

# Culvert's word: strongSwan's in a proposal and its name of what was negotiated, then libreswan's.
CIPHERS = {
    "aes128-cbc": ("aes128", "AES_CBC-128", "aes128", "AES_CBC_128"),
    "aes192-cbc": ("aes192", "AES_CBC-192", "aes192", "AES_CBC_192"),
    "aes256-cbc": ("aes256", "AES_CBC-256", "aes256", "AES_CBC_256"),
    "aes256-ctr": ("aes256ctr", "AES_CTR-256", "aes_ctr256", "AES_CTR_256"),
    "aes128-gcm16": ("aes128gcm16", "AES_GCM_16-128", "aes_gcm128", "AES_GCM_16_128"),
    "aes256-gcm16": ("aes256gcm16", "AES_GCM_16-256", "aes_gcm256", "AES_GCM_16_256"),
    "chacha20-poly1305": ("chacha20poly1305", "CHACHA20_POLY1305", "chacha20_poly1305", "CHACHA20_POLY1305_256"),
    "3des": ("3des", "3DES_CBC", "3des", "3DES_CBC_192"),
}
AEAD = ("aes128-gcm16", "aes256-gcm16", "chacha20-poly1305")
HASHES = {
    "sha1": ("sha1", "HMAC_SHA1_96", "PRF_HMAC_SHA1", "sha1", "HMAC_SHA1"),
    "sha256": ("sha256", "HMAC_SHA2_256_128", "PRF_HMAC_SHA2_256", "sha2_256", "HMAC_SHA2_256"),
    "sha384": ("sha384", "HMAC_SHA2_384_192", "PRF_HMAC_SHA2_384", "sha2_384", "HMAC_SHA2_384"),
    "sha512": ("sha512", "HMAC_SHA2_512_256", "PRF_HMAC_SHA2_512", "sha2_512", "HMAC_SHA2_512"),
}
GROUPS = {
    "group2": ("modp1024", "MODP_1024", "dh2", "MODP1024"),
    "group5": ("modp1536", "MODP_1536", "dh5", "MODP1536"),
    "group14": ("modp2048", "MODP_2048", "dh14", "MODP2048"),
    "group15": ("modp3072", "MODP_3072", "dh15", "MODP3072"),
    "group16": ("modp4096", "MODP_4096", "dh16", "MODP4096"),
    "group19": ("ecp256", "ECP_256", "dh19", "DH19"),
    "group20": ("ecp384", "ECP_384", "dh20", "DH20"),
    "group21": ("ecp521", "ECP_521", "dh21", "DH21"),
    "group31": ("curve25519", "CURVE_25519", "dh31", "DH31"),
    "group32": ("curve448", "CURVE_448", None, None),
}
# Kinds of keys, as the lab's CA calls them.
KEYS = {"rsa": "RSA", "ecdsa": "EC", "eddsa": "ED25519"}

FACTORS = {
    "daemon": ("strongswan", "libreswan"),
    "version": ("2", "1 main", "1 aggressive"),
    "role": ("initiator", "responder"),
    "auth": ("psk", *KEYS),
    "cipher": tuple(CIPHERS),
    "hash": tuple(HASHES),
    "group": tuple(GROUPS),
    "pfs": (False, True),
    "nat": ("none", "culvert", "peer"),
    "fragments": (False, True),
    "rekey": ("child by Culvert", "child by peer", "IKE by Culvert", "IKE by peer"),
}
MEANING = {
    "role": "what Culvert was when the IKE SA began",
    "hash": "of the PRF, and of the integrity algorithm unless the cipher brings its own",
    "pfs": "whether children have a Diffie-Hellman exchange of the same group of their own",
    "nat": "which end a router hides, that translates addresses and ports",
    "fragments": "whether both ends put messages into pieces of at most 576 bytes",
    "rekey": "what was renewed under traffic, and by whom, before the second round of packets",
}

Cell = namedtuple("Cell", FACTORS)

# Combinations that are not cells, each with its reason; the first that holds is counted.
WHY_NOT = [
    ("IKEv1 has no numbers for these ciphers in phase 1", lambda c: c.version != "2" and (c.cipher in AEAD or "ctr" in c.cipher)),
    ("Curve25519 and Curve448 are not defined for IKEv1", lambda c: c.version != "2" and c.group in ("group31", "group32")),
    ("EdDSA is not defined for IKEv1", lambda c: c.version != "2" and c.auth == "eddsa"),
    ("the initiator of aggressive mode offers the groups of the first policy only (AGGR-Q4): one group here",
     lambda c: c.version == "1 aggressive" and c.role == "initiator" and c.group != "group14"),
    ("who began aggressive mode renews it: the other, which may not begin it, would try main mode, which such a peer refuses",
     lambda c: c.version == "1 aggressive" and c.role == "responder" and c.rekey == "IKE by Culvert"),
    ("nobody reaches a peer behind a NAT before it has spoken", lambda c: c.nat == "peer" and c.role == "initiator"),
    ("nobody reaches Culvert behind a NAT before it has spoken", lambda c: c.nat == "culvert" and c.role == "responder"),
    ("certificates with libreswan: its keys live in a database of their own, not built into the lab (roadmap)",
     lambda c: c.daemon == "libreswan" and c.auth != "psk"),
    ("libreswan has no elliptic curves for the PFS of IKEv1",
     lambda c: c.daemon == "libreswan" and c.version != "2" and c.pfs and c.group in ("group19", "group20", "group21")),
    ("libreswan renews what it has by IKEv1 when its time has come, not on command",
     lambda c: c.daemon == "libreswan" and c.version != "2" and c.rekey in ("IKE by peer", "child by peer")),
    ("libreswan has no Curve448, and Debian builds it without group 2",
     lambda c: c.daemon == "libreswan" and c.group in ("group32", "group2")),
]


def why_not(cell):
    return next((reason for reason, holds in WHY_NOT if holds(cell)), None)


def text(cell):
    return (f"{cell.daemon} IKEv{cell.version} {cell.role} {cell.auth} {cell.cipher}/{cell.hash}/{cell.group}"
            f"{' pfs' if cell.pfs else ''} nat={cell.nat}{' fragments' if cell.fragments else ''}, {cell.rekey}")


# ---- which cells ----

def _tuples(cell, strength):
    return set(itertools.combinations(zip(FACTORS, cell), strength))


def _complete(fixed, dice):
    """A cell with these values that is one, or None: at random, a bounded number of times."""
    for _ in range(60):
        cell = Cell(*(fixed.get(name) if name in fixed else dice.choice(values) for name, values in FACTORS.items()))
        if not why_not(cell):
            return cell
    return None


def _possible(fixed):
    """Is there a cell with these values? Looked for over all of the columns that decide it."""
    deciding = ("daemon", "version", "role", "auth", "cipher", "group", "pfs", "nat", "rekey")
    free = [(name, FACTORS[name]) for name in deciding if name not in fixed]
    rest = {name: values[0] for name, values in FACTORS.items() if name not in deciding}
    for values in itertools.product(*(values for _, values in free)):
        if not why_not(Cell(**{**rest, **dict(zip((name for name, _ in free), values)), **fixed})):
            return dict(zip((name for name, _ in free), values))
    return None


def cover(strength):
    """Cells in which any `strength` values that can meet do. The same list each time."""
    dice = random.Random(strength)
    missing = dict.fromkeys(
        combination for names in itertools.combinations(FACTORS, strength)
        for combination in (tuple(zip(names, values)) for values in itertools.product(*(FACTORS[n] for n in names)))
        if _possible(dict(combination)) is not None)
    chosen = []
    while missing:
        fixed = dict(next(iter(missing)))
        tries = [cell for cell in (_complete(fixed, dice) for _ in range(30)) if cell]
        if not tries:
            tries = [_complete({**_possible(fixed), **fixed}, dice)]
        best = max(tries, key=lambda cell: sum(found in missing for found in _tuples(cell, strength)))
        for found in _tuples(best, strength):
            missing.pop(found, None)
        chosen.append(best)
    return chosen


# ---- the table for people ----

def table(verdicts):
    """A line for each cell."""
    heads = [*FACTORS, "verdict"]
    rows = [[("yes" if value is True else "no" if value is False else value) for value in cell] + [why or "passed"]
            for cell, why in sorted(verdicts.items())]
    widths = [max(len(row[n]) for row in [heads, *rows]) for n in range(len(heads))]
    lines = [" ".join(word.ljust(width) for word, width in zip(row, widths)).rstrip() for row in [heads, *rows]]
    passed = sum(not why for why in verdicts.values())
    return "\n".join([*lines, f"{passed} of {len(verdicts)} cells passed"])


def document(verdicts, stamp):
    """docs/ike-matrix.md. stamp: what was run, in words."""
    reasons = "\n".join(f"- {reason}" for reason, _ in WHY_NOT)
    columns = "\n".join(f"- `{name}`: {MEANING.get(name, 'see the table')}; "
                        + ", ".join("yes" if v is True else "no" if v is False else v for v in values)
                        for name, values in FACTORS.items())
    return f"""# The IKE matrix

Written by `tools/matrix --ike` from the one table in `tests/lab/lab/ike_matrix.py`: each cell is an IKE SA of its own with strongSwan or
libreswan on a real Linux kernel, and a child of AES-GCM-128. It has passed when packets of 100 and 1500 bytes came back in both
directions, the peer reports the algorithms of the cell (strongSwan: also version and role), what the cell says was renewed by who it says, packets
came back in both directions again, and Culvert sent nothing in clear.

{stamp}

Columns:
{columns}

No cells are combinations of which one of these is true:
{reasons}

```
{table(verdicts)}
```
"""
