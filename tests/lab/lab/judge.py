# SPDX-License-Identifier: BSD-3-Clause
"""scapy as the judge of captured ESP and AH: it decrypts or verifies each packet with the keys it is given, and then makes
the same packet again from what was inside. Keys are those a test has configured or those of a Linux peer: Culvert
tells none."""
import re
from dataclasses import dataclass

from .core import require

# Names of scapy by those of the Linux kernel, and by those of the manuals' transform lists.
LINUX_CIPHER = {"cbc(aes)": "AES-CBC", "rfc3686(ctr(aes))": "AES-CTR", "rfc4106(gcm(aes))": "AES-GCM",
                "rfc7539esp(chacha20,poly1305)": "CHACHA20-POLY1305", "cbc(des3_ede)": "3DES"}
LINUX_AUTH = {"hmac(sha1)": "HMAC-SHA1-96", "hmac(sha256)": "SHA2-256-128", "hmac(sha384)": "SHA2-384-192",
              "hmac(sha512)": "SHA2-512-256", "cmac(aes)": "AES-CMAC-96"}
CIPHER = {"esp-aes": "AES-CBC", "esp-aes 192": "AES-CBC", "esp-aes 256": "AES-CBC", "esp-3des": "3DES", "esp-des": "DES",
          "esp-null": "NULL"}
AUTH = {"md5-hmac": "HMAC-MD5-96", "sha-hmac": "HMAC-SHA1-96", "sha256-hmac": "SHA2-256-128", "sha384-hmac": "SHA2-384-192",
        "sha512-hmac": "SHA2-512-256", "aes-cmac": "AES-CMAC-96"}


@dataclass
class Sa:
    """What scapy is told of one SA. tunnel: the packet inside has an IP header of its own."""
    proto: str                # "ESP", "AH"
    spi: int
    cipher: str = None        # scapy's names
    cipher_key: bytes = None  # with its salt
    auth: str = None
    auth_key: bytes = None
    tunnel: bool = True
    esn: bool = False         # and the high half of each number is 0


def _association(sa, outer):
    from scapy.all import AH, ESP, SecurityAssociation  # pylint: disable=import-outside-toplevel
    return SecurityAssociation({"ESP": ESP, "AH": AH}[sa.proto], spi=sa.spi, crypt_algo=sa.cipher, crypt_key=sa.cipher_key,
                               auth_algo=sa.auth, auth_key=sa.auth_key, esn_en=sa.esn,
                               tunnel_header=outer if sa.tunnel else None)


def _open(sa, packet):
    """The packet inside. It must come out, and the same bytes be made of it again; but for AH with ESP in it, where scapy
    checks the one and signs the other."""
    from scapy.all import AH, ESP, IP, IPv6  # pylint: disable=import-outside-toplevel
    layer = packet[{"ESP": ESP, "AH": AH}[sa.proto]]
    outer = packet.copy()
    outer.remove_payload()
    judge = _association(sa, outer)
    inner = judge.decrypt(packet.copy())
    if sa.proto == "AH":  # scapy does not look at what is behind it
        inner = {4: IP, 41: IPv6}.get(layer.nh, packet.__class__)(bytes(inner))
    if sa.proto == "AH" and ESP in inner:
        return layer.seq, inner
    iv = bytes(layer.data)[:judge.crypt_algo.iv_size] if sa.proto == "ESP" else None
    again = bytes(judge.encrypt(inner.copy(), seq_num=layer.seq, iv=iv))
    require(again == bytes(packet), f"{sa.proto} {sa.spi:#x}, number {layer.seq}: scapy makes\n{again.hex()}\nof\n"
                                    f"{inner.summary()}\nand on the wire was\n{bytes(packet).hex()}")
    return layer.seq, inner


def judge_capture(path, sas):
    """{spi: [(sequence number, packet inside), ...]} of what was captured, outermost SA first in sas for each packet that
    has several. Fragments are not looked at."""
    from scapy.all import IP, IPv6, rdpcap  # pylint: disable=import-outside-toplevel
    seen = {sa.spi: [] for sa in sas}
    for frame in rdpcap(str(path)):
        packet = frame[IP] if IP in frame else frame[IPv6] if IPv6 in frame else None
        if packet is None or packet.version == 4 and (packet.frag or packet.flags.MF):
            continue
        packet = packet.__class__(bytes(packet)[:packet.len if packet.version == 4 else packet.plen + 40])
        for sa in sas:
            if sa.proto in packet and packet[sa.proto].spi == sa.spi:
                number, packet = _open(sa, packet)
                seen[sa.spi].append((number, packet))
    for spi, packets in seen.items():
        numbers = [number for number, _ in packets]
        require(numbers == list(range(numbers[0], numbers[0] + len(numbers))) if numbers else False,
                f"SPI {spi:#x}: sequence numbers {numbers}")
    return seen


def of_linux(text):
    """The SAs in the output of `ip xfrm state`."""
    found = []
    for block in re.split(r"^(?=src )", text, flags=re.M)[1:]:
        enc = re.search(r"enc (\S+) 0x([0-9a-f]+)", block)
        auth = re.search(r"auth-trunc (\S+) 0x([0-9a-f]+)", block)
        aead = re.search(r"aead (\S+) 0x([0-9a-f]+)", block)
        proto = re.search(r"proto (\w+) spi 0x([0-9a-f]+)", block)
        if not (proto and (aead or enc)):
            continue
        name, key = (aead or enc)[1], (aead or enc)[2]
        found.append(Sa(proto[1].upper(), int(proto[2], 16), LINUX_CIPHER[name], bytes.fromhex(key),
                        LINUX_AUTH[auth[1]] if auth else None,
                        bytes.fromhex(auth[2]) if auth else None, esn="esn" in block.split("replay-window")[-1]))
    return found


def of_manual(transforms, key, tunnel=True):
    """The SAs of one direction of a manual entry, the outermost first; key: its session-key/inbound or outbound."""
    ah = [t[3:] for t in transforms if t.startswith("ah-")]
    cipher = [t for t in transforms if t in CIPHER]
    auth = [t[4:] for t in transforms if t.startswith("esp-") and t[4:] in AUTH]
    found = []
    if ah:
        own = key["ah"] if cipher else key
        found.append(Sa("AH", own["spi"], auth=AUTH[ah[0]], auth_key=bytes.fromhex(own["authenticator"]),
                        tunnel=tunnel and not cipher))
    if cipher:
        found.append(Sa("ESP", key["spi"], CIPHER[cipher[0]], bytes.fromhex(key.get("cipher", "")) or None,
                        auth=AUTH[auth[0]], auth_key=bytes.fromhex(key["authenticator"]), tunnel=tunnel))
    return found
