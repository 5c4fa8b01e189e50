# SPDX-License-Identifier: BSD-3-Clause
"""Manual SAs against a Linux kernel that has the same keys from `ip xfrm`: no IKE anywhere (IKE-4, IPSEC-66..71,
IPSEC-T13)."""
import copy
import json

from lab import config as cfg
from lab.core import SOURCE, require, wait_until
from lab.gateway import Culvert, require_either_may_die
from lab.topology import GW_WAN, LAN, NEXT_HOP, REMOTE, Site

# As in the example. Keys by direction: Culvert to peer, peer to Culvert.
CIPHER = {"out": "00112233445566778899aabbccddeeff", "in": "102132435465768798a9bacbdcedfe0f"}
AUTH = {"out": "a1" * 32, "in": "b2" * 32}
SPI = {"out": 1000, "in": 257}


def _config():
    """docs/examples/manual.json, which the operator guide explains, and a second permit line."""
    config = json.loads((SOURCE / "docs/examples/manual.json").read_text())
    lines = config["culvert-acl:access-lists"]["access-list"][0]["line"]
    lines.append({"sequence": 20, "action": "permit", "source": LAN[4], "destination": "10.77.0.0/16"})
    return config


def _peer(peer, proto, algorithms, cipher=CIPHER):
    """The same on Linux. algorithms: words of `ip xfrm state`, with {cipher} and {auth} for the keys."""
    lines = ["set -e; ip xfrm state flush; ip xfrm policy flush"]
    for way, src, dst in (("out", GW_WAN[4], NEXT_HOP[4]), ("in", NEXT_HOP[4], GW_WAN[4])):
        words = algorithms.format(cipher="0x" + cipher[way], auth="0x" + AUTH[way])
        lines.append(f"ip xfrm state add src {src} dst {dst} proto {proto} spi {SPI[way]} reqid 1 mode tunnel {words}")
    for way, src, dst, outer in (("out", REMOTE[4], LAN[4], (NEXT_HOP[4], GW_WAN[4])),
                                 ("in", LAN[4], REMOTE[4], (GW_WAN[4], NEXT_HOP[4])),
                                 ("fwd", LAN[4], REMOTE[4], (GW_WAN[4], NEXT_HOP[4]))):
        lines.append(f"ip xfrm policy add src {src} dst {dst} dir {way} tmpl src {outer[0]} dst {outer[1]} "
                     f"proto {proto} reqid 1 mode tunnel")
    peer.sh("\n".join(lines))


ESP = "enc 'cbc(aes)' {cipher} auth-trunc 'hmac(sha256)' {auth} 128"


def _profile(site, culvert):
    """The operator guide's "Where the cycles go": counted while it is on, kept afterwards."""
    require(culvert.show("workers", "profile")["profile"] == "never begun", "a profile that nobody has begun")
    culvert.cli("profile", "workers", "start")
    require("profile is running" in culvert.cli("show", "workers").stdout, "show workers does not tell of the profile")
    site.ping(count=20, interval=0.05)
    culvert.cli("profile", "workers", "stop")
    # each worker ends it in the next round of its loop
    wait_until(lambda: culvert.show("workers", "profile") == culvert.show("workers", "profile"), 5, "the end of the profile")
    first = culvert.show("workers", "profile")
    seen = {}
    for worker in first["workers"]:
        require(worker["role"] == "main" or abs(sum(s["share_percent"] for s in worker["stages"]) + worker.get("other_percent", 100)
                                                - 100) < 0.1, f"shares: {worker}")
        for stage in worker["stages"]:
            seen[stage["stage"]] = seen.get(stage["stage"], 0) + stage["packets"]
            require(stage["calls"] and stage["cycles_per_packet"] > 0, f"a stage without cycles: {stage}")
    require(first["profile"] == "ended", f"state: {first}")
    require(seen.get("crypto", 0) >= 40 and seen.get("rx", 0) >= 40, f"20 echoes and their answers: {seen}")
    site.ping(count=5, interval=0.05)
    again = culvert.show("workers", "profile")
    require(again == first, f"an ended profile goes on: {first} {again}")
    text = culvert.cli("show", "workers", "profile").stdout
    require("Profile ended" in text and "crypto" in text and "Cycles/Packet" in text, text)


def esp(lab):
    """IPSEC-T13: SAs without IKE, at start; only the first permit line; no replay check; back after clear and after the
    death of either process; new keys only after clear; a key of the wrong length is refused."""
    site = Site(lab)
    peer = site.boot_peer()
    _peer(peer, "esp", ESP)
    config = _config()
    culvert = Culvert(lab).start(config)
    capture = site.capture()
    site.ping_until_works()
    site.ping(count=5, size=100)
    site.ping(count=3, source="host-b", size=3000)
    _profile(site, culvert)
    text = culvert.cli("show", "crypto", "ipsec", "sa").stdout
    require("replay detection support: N" in text and "spi: 0x101(257)" in text and "spi: 0x3E8(1000)" in text, text)
    require(AUTH["in"] not in text + culvert.running(), "a session key is printed")
    require("ipsec-manual" in culvert.cli("show", "crypto", "map").stdout, "show crypto map does not say ipsec-manual")
    # The second permit line is not the entry's: its traffic goes in clear (IPSEC-67).
    lab.run("host-a", "ping", "-c", "1", "-W", "1", "10.77.0.1", check=False)
    capture.stop()
    require(capture.count("esp") >= 14 and capture.count("isakmp") == 0, "ESP without IKE was expected")
    require(capture.count("icmp && ip.dst == 10.77.0.1") >= 1 and capture.count(f"icmp && ip.dst == {REMOTE[4]}") == 0,
            capture.show("icmp"))
    # IPSEC-71
    culvert.cli("clear", "crypto", "sa")
    require("#pkts encaps: 0," in culvert.cli("show", "crypto", "ipsec", "sa").stdout, "the SAs were not new")
    wait_until(lambda: site.ping(count=1, check=False).received, 5, "the manual SAs to come back")
    # IPSEC-70: edited keys are not used before a clear
    edited = copy.deepcopy(config)
    keys = edited["culvert-ipsec:ipsec"]["crypto-map"][0]["entry"][0]["session-key"]
    changed = {way: key[::-1] for way, key in CIPHER.items()}
    for way in ("in", "out"):
        keys[f"{way}bound"]["cipher"] = changed[way]
    culvert.commit(edited)
    site.ping(count=3)
    _peer(peer, "esp", ESP, changed)
    require(site.ping(count=1, wait=1, check=False).received == 0, "the edited keys were used before a clear")
    culvert.cli("clear", "crypto", "sa")
    wait_until(lambda: site.ping(count=1, check=False).received, 5, "the new keys")
    require_either_may_die(site, culvert)
    # IPSEC-68
    keys["inbound"]["cipher"] = CIPHER["in"][:-2]
    done = culvert.commit(edited, check=False)
    require(done.returncode == 1 and "session-key/inbound/cipher: 30 hexadecimal digits; the transform set needs 32"
            in done.stderr + done.stdout, f"{done.stdout}{done.stderr}")
    # And without the entry there are no SAs.
    culvert.commit(cfg.base())
    require("spi:" not in culvert.cli("show", "crypto", "ipsec", "sa").stdout, "SAs of no entry")


AH_SPI = {"out": 1002, "in": 260}
AH_KEY = {"out": "c3" * 32, "in": "d4" * 32}


def _bundle_peer(peer):
    """AH around ESP on Linux: the template that is applied first is the inner one. align4: by itself Linux pads AH in
    IPv4 as in IPv6, and takes nothing else."""
    lines = ["set -e; ip xfrm state flush; ip xfrm policy flush"]
    ends = {"out": (GW_WAN[4], NEXT_HOP[4]), "in": (NEXT_HOP[4], GW_WAN[4])}
    for way, (src, dst) in ends.items():
        lines.append(f"ip xfrm state add src {src} dst {dst} proto esp spi {SPI[way]} reqid 1 mode tunnel "
                     + ESP.format(cipher="0x" + CIPHER[way], auth="0x" + AUTH[way]))
        lines.append(f"ip xfrm state add src {src} dst {dst} proto ah spi {AH_SPI[way]} reqid 2 mode transport "
                     f"flag align4 auth-trunc 'hmac(sha256)' 0x{AH_KEY[way]} 128")
    for way, src, dst, outer in (("out", REMOTE[4], LAN[4], ends["in"]), ("in", LAN[4], REMOTE[4], ends["out"]),
                                 ("fwd", LAN[4], REMOTE[4], ends["out"])):
        lines.append(f"ip xfrm policy add src {src} dst {dst} dir {way} "
                     f"tmpl src {outer[0]} dst {outer[1]} proto esp reqid 1 mode tunnel "
                     f"tmpl src {outer[0]} dst {outer[1]} proto ah reqid 2 mode transport")
    peer.sh("\n".join(lines))


def bundle(lab):
    """IPSEC-T13, IPSEC-18: AH and ESP in one set, AH outside. Linux takes our packets and we take its; the SAs are there
    at start, come back after a clear and after the death of either process; show has both protocols."""
    site = Site(lab)
    peer = site.boot_peer()
    _bundle_peer(peer)
    config = _config()
    ipsec = config["culvert-ipsec:ipsec"]
    ipsec["transform-set"][0]["transform"] = ["ah-sha256-hmac", "esp-aes", "esp-sha256-hmac"]
    keys = ipsec["crypto-map"][0]["entry"][0]["session-key"]
    for way in ("in", "out"):
        keys[f"{way}bound"]["ah"] = {"spi": AH_SPI[way], "authenticator": AH_KEY[way]}
    culvert = Culvert(lab).start(config)
    capture = site.capture()
    site.ping_until_works()
    site.ping(count=5, size=100)
    site.ping(count=3, source="host-b", size=3000)
    capture.stop()
    whole = capture.count("ip.proto == 51 && ah.next_header == 50")
    require(whole >= 22 and capture.count("esp") == whole, f"{whole} of AH with ESP:\n" + capture.show("esp"))
    require(capture.count("icmp && !esp") == 0, capture.show("icmp"))
    text = culvert.cli("show", "crypto", "ipsec", "sa").stdout
    for spi in ("0x101(257)", "0x3E8(1000)", "0x104(260)", "0x3EA(1002)"):
        require(f"spi: {spi}" in text, text)
    require("transform: ah-sha256-hmac ," in text and "transform: esp-aes esp-sha256-hmac ," in text, text)
    require(AH_KEY["in"] not in text + culvert.running(), "a session key is printed")
    errors = peer.xfrm_errors()
    require(not errors, f"the peer's kernel counted {errors}")
    culvert.cli("clear", "crypto", "sa")
    wait_until(lambda: site.ping(count=1, check=False).received, 5, "the manual SAs to come back")
    require_either_may_die(site, culvert)
    culvert.commit(cfg.base())
    require("spi:" not in culvert.cli("show", "crypto", "ipsec", "sa").stdout, "SAs of no entry")
