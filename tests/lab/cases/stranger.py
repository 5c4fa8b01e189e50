# SPDX-License-Identifier: BSD-3-Clause
"""What one who knows no key learns from the router, and makes it remember: ike-scan asks."""
import re

from lab import config as cfg
from lab.core import require, wait_until
from lab.gateway import Culvert
from lab.topology import GW_WAN, Site, layer_of

PEER, STRANGER = "192.0.2.2", "192.0.2.66"
V1 = {"encryption": "aes256-cbc", "hash": "sha256", "authentication": "pre-share", "group": "group14"}
V2 = {"encryption": ["aes256-cbc"], "integrity": ["sha1"], "prf": ["sha1"], "group": ["group14"]}  # ike-scan knows no better
MAIN = ("--trans=(1=7,14=256,2=4,3=1,4=14)",)
AGGRESSIVE = (*MAIN, "--aggressive", "--dhgroup=14", "--idtype=1", "--id=0xc0000202")
IKEV2 = ("--ikev2", "--dhgroup=14")
# What a peer has to be told before the keys are there: NAT traversal, dead peer detection, fragments. No product, no version.
TOLD = {"RFC 3947 NAT-T", "draft-ietf-ipsec-nat-t-ike-03", "draft-ietf-ipsec-nat-t-ike-02\\n", "Dead Peer Detection v1.0",
        "IKE Fragmentation"}
HALF_OPEN = 5


class Scanner:
    """ike-scan in a namespace on the outside wire, with the peer's address and another's."""

    def __init__(self, lab):
        self.lab, self.root = lab, layer_of("ike-scan")
        lab.namespace("stranger")
        lab.veth("wan", "stranger0", "stranger", "eth0")
        lab.silent("wan", "stranger0")
        lab.run("wan", "ip", "link", "set", "stranger0", "master", "outside")
        lab.address("stranger", "eth0", f"{PEER}/24", f"{STRANGER}/24")

    def __call__(self, words, source=PEER, attempts=4):
        """The answer as ike-scan reads it; "" if there is none."""
        done = self.lab.run("stranger", f"{self.root}/usr/bin/ike-scan", "-M", "-N", f"--retry={attempts}", "--timeout=700",
                            f"--bindip={source}", f"--vidpatterns={self.root}/usr/share/ike-scan/ike-vendor-ids", *words, GW_WAN[4])
        return "\n".join(line for line in done.stdout.splitlines() if line.startswith((GW_WAN[4] + "\t", "\t")))


def _tells_no_more(answer):
    require("handshake returned" in answer.lower(), f"no handshake:\n{answer}")
    told = set(re.findall(r"VID=\w+ \((.*)\)", answer))
    require(answer.count("VID=") == len(told) and told <= TOLD, f"vendor ids that nobody needs:\n{answer}")


def ike_scan(lab):
    """IKEv1 answers main mode where it is configured, and only the peer; aggressive mode with a preshared key only behind its switch
    (RFC 9395); neither does IKEv2 name its maker. Whoever sends only first messages makes no more half-open SAs than the limit."""
    Site(lab)
    scan = Scanner(lab)
    culvert = Culvert(lab).start(cfg.vpn(PEER, version=1, ike=V1))

    def stats():
        return culvert.show("crypto", "ike", "stats")["stats"]

    wait_until(lambda: scan(MAIN, attempts=1), 30, "the router to answer its peer")
    _tells_no_more(scan(MAIN))
    require("INVALID-EXCHANGE-TYPE" in scan(AGGRESSIVE), "aggressive mode is not refused")
    require("NO_PROPOSAL_CHOSEN" in scan(IKEV2), "IKEv2 where only IKEv1 is configured")
    require(not scan(MAIN, STRANGER, 2), "main mode with a stranger")
    require("NO_PROPOSAL_CHOSEN" in scan(IKEV2, STRANGER), "IKEv2 with a stranger")

    culvert.commit(cfg.vpn(PEER, version=1, ike=V1, profile={"aggressive-mode": {"allow-preshared-key": True}}))
    _tells_no_more(scan(AGGRESSIVE))
    require(not scan(AGGRESSIVE, STRANGER, 2), "aggressive mode with a stranger")

    config = cfg.vpn(PEER, version=2, ike=V2)
    config["culvert-platform:platform"]["allow-legacy"] = True
    config["culvert-ike:ike"]["half-open-max"] = HALF_OPEN
    culvert.commit(config)
    for source in (PEER, STRANGER):  # who it is it says later, under the keys
        answer = scan(IKEV2, source)
        _tells_no_more(answer)
        require("VID=" not in answer, f"a vendor id in IKEv2:\n{answer}")
    for words in (MAIN, AGGRESSIVE):
        require(not scan(words, attempts=2), "IKEv1 where nothing is configured for it")
    for _ in range(2 * HALF_OPEN):
        scan(IKEV2, attempts=1)
    now = stats()
    require(now["half_open"] <= HALF_OPEN and now["cookies_sent"] + now["half_open_refused"] > 0, now)
