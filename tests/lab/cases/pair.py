# SPDX-License-Identifier: BSD-3-Clause
"""Two Culverts back to back: what no peer in Debian 12 negotiates. tshark and scapy judge the wire."""
import copy
import json
import sys
from pathlib import Path

from lab import config as cfg
from lab import ike_stranger
from lab.core import SOURCE, require, wait_until
from lab.gateway import Culvert, require_either_may_die
from lab.judge import judge_capture, of_manual
from lab.pki import Pki
from lab.topology import GW_WAN, HOST_A, HOST_B, NEXT_HOP, TwoGateways


def bundle_v1(lab):
    """IPSEC-18, IPSEC-19, ISPI-7: AH around ESP around IPComp from one IKEv1 proposal; either end begins; either process
    may die; clearing one end ends all of it at the other."""
    site = TwoGateways(lab)
    config = cfg.vpn(NEXT_HOP[4], version=1, transforms=["ah-sha256-hmac", "esp-aes", "esp-sha256-hmac", "comp-deflate"])
    near, far = Culvert(lab).start(config), Culvert(lab, "gw2").start(cfg.mirror(config))
    for source in ("host-a", "host-b"):
        site.ping_until_works(source=source)
        capture = site.capture()
        for size in (20, 1200, 3000):
            site.ping(count=3, source=source, size=size)
        capture.stop()
        whole = capture.count("ah && esp")
        require(whole >= 24 and capture.count("ah || esp || icmp") == whole, capture.show("ah || esp || icmp"))
        require(capture.count("ah && frame.len > 700") == 0, "not compressed:\n" + capture.show("frame.len > 700"))
        for culvert in (near, far):
            flow = culvert.show("crypto", "ipsec", "sa")["interfaces"][0]["flows"][0]
            kinds = [sa["protocol"] for sa in flow["sas"]]
            require(all(kinds.count(kind) >= 2 for kind in ("ah", "esp", "pcp")), str(flow))
            require(flow["recv_errors"] == 0 and flow["pkts_compressed"] and flow["pkts_decompressed"], str(flow))
        near.cli("clear", "crypto", "session")
        wait_until(lambda: not far.show("crypto", "ipsec", "sa")["interfaces"][0]["flows"][0]["sas"], 90,
                   "the far end to have let go of all SAs", 0.5)
    site.ping_until_works()
    require_either_may_die(site, near, far)


def mirror_images(lab):
    """IPSEC-T4, cases 3 and 4: one end's list has two hosts, the other's their networks. The wider end gets nothing, and nothing
    of its leaves in clear; the narrower end begins, and the SA is for the two hosts."""
    site = TwoGateways(lab)
    config = cfg.vpn(NEXT_HOP[4])
    narrow, wide = copy.deepcopy(config), cfg.mirror(config)
    narrow["culvert-acl:access-lists"]["access-list"][0]["line"][0].update(
        {"source": f"{HOST_A[4]}/32", "destination": f"{HOST_B[4]}/32"})
    near, far = Culvert(lab).start(narrow), Culvert(lab, "gw2").start(wide)
    capture = site.capture()
    site.ping(source="host-b", count=5, check=False)
    wait_until(lambda: _waited_in_vain(far) >= 5, 60, "what waited for the refused SA to be dropped", 0.5)
    refused = near.show("crypto", "ike", "stats")["stats"]["ts_unacceptable"]
    require(refused and not _pairs(near) and not _pairs(far), f"{refused} refusals, SAs: {_pairs(near)} {_pairs(far)}")
    site.ping_until_works()
    site.ping(source="host-b")
    capture.stop()
    capture.require_only_esp(6)
    hosts = (f"{HOST_A[4]}/32", f"{HOST_B[4]}/32")
    require(_pairs(near) == {hosts} and _pairs(far) == {hosts[::-1]}, f"{_pairs(near)} {_pairs(far)}")


def _waited_in_vain(culvert):
    drops = culvert.drops()
    return sum(drops.get(reason, 0) for reason in ("hold-failed", "hold-full", "policy-no-sa"))


def _pairs(culvert):
    """{(local, remote)} of the flows that have SAs."""
    return {(flow["local_ident"]["prefix"], flow["remote_ident"]["prefix"])
            for interface in culvert.show("crypto", "ipsec", "sa")["interfaces"] for flow in interface["flows"] if flow["sas"]}


def _with_nonces(config, pki, own, peer, usage="general"):
    """Method rsa-encr with our own key and the peer's typed by hand."""
    der = pki.public(peer)
    config["culvert-platform:platform"]["allow-legacy"] = True
    config["culvert-pki:pki"] = {"rsa-key-pair": [{"name": "gw", "general-key": str(pki.path(f"{own}.key"))}]}
    ike = config["culvert-ike:ike"]
    address = ike["keyring"][0]["pre-shared-key"][0]["address"]
    ike["keyring"] = [{"name": "vpn1", "rsa-public-key": [
        {"name": "peer", "address": address, "usage": usage, "key-string": f"{der[:100]} \n{der[100:]}"}]}]
    ike["profile"][0]["keyring"] = ["vpn1"]
    ike["policy"][0]["authentication"] = "rsa-encr"
    return config


def _stranger(lab, culvert, pki, role, begin):
    """Phase 1 with the other implementation in this role; both ends say that the other has proved itself."""
    log = f"stranger-{role}.log"
    process = lab.spawn("wan", [sys.executable, Path(ike_stranger.__file__), role, NEXT_HOP[4], GW_WAN[4],
                                pki.path("far.key"), pki.path("near.pub")], log)
    begin()
    seen = json.loads(wait_until(lambda: "}" in lab.log_text(log) and lab.log_text(log), 40, f"the stranger as {role}"))
    require(seen["peer_id"] == GW_WAN[4], seen)
    sa = wait_until(lambda: [s for s in culvert.show("crypto", "isakmp", "sa")["sas"] if s["state"] == "QM_IDLE"], 20,
                    "phase 1 to be up here, too")[0]
    require(sa["auth"] == "rsa-encr" and sa["remote_id"] == NEXT_HOP[4], sa)
    culvert.cli("clear", "crypto", "session")
    lab.stop(process)


def encrypted_nonces(lab):
    """IKE-40, IKE-45, VRF-17, VRF-T2: RSA encrypted nonces, keys typed by hand, against an implementation made from the RFC in
    both roles, then between two Culverts; with the key for signatures only, nothing comes up."""
    site, pki = TwoGateways(lab), Pki(lab)
    for name in ("near", "far"):
        pki.key(name, "RSA")
        pki.public(name)
    plain = cfg.vpn(NEXT_HOP[4], version=1)
    near = Culvert(lab).start(_with_nonces(copy.deepcopy(plain), pki, "near", "far"))
    lab.run("wan", "ip", "link", "set", "outside", "arp", "on")
    lab.address("wan", "outside", f"{NEXT_HOP[4]}/24")
    _stranger(lab, near, pki, "initiator", lambda: None)
    _stranger(lab, near, pki, "responder", lambda: site.ping(count=1, wait=0, check=False))
    lab.run("wan", "ip", "address", "flush", "dev", "outside")
    lab.run("wan", "ip", "link", "set", "outside", "arp", "off")
    far = Culvert(lab, "gw2").start(_with_nonces(cfg.mirror(plain), pki, "far", "near"))
    for source in ("host-a", "host-b"):
        site.ping_until_works(source=source, timeout=60)
        near.cli("clear", "crypto", "session")
    shown = near.cli("show", "crypto", "key", "pubkey-chain", "rsa").stdout
    require("vpn1" in shown and NEXT_HOP[4] in shown and "General Purpose" in shown, shown)
    mine = far.show("crypto", "key", "mypubkey", "rsa")["keys"][0]
    theirs = near.show("crypto", "key", "pubkey-chain", "rsa", "address", NEXT_HOP[4])["keys"][0]
    require(mine["key_data"] == theirs["key_data"] == pki.public("far").upper(), (mine, theirs))
    far.commit(_with_nonces(cfg.mirror(plain), pki, "far", "near", "signature"))
    near.cli("clear", "crypto", "session", check=False)  # the far end may have let go already
    require(site.ping(count=10, wait=1, check=False).received == 0, "up without a key for encryption")


def _sent(culvert):
    """Packets sent by pairs for all workers, and by those for one; None: one of the two is not there."""
    flow = culvert.show("crypto", "ipsec", "sa")["interfaces"][0]["flows"][0]
    kinds = [[sa["packets"] for sa in flow["sas"]
              if sa["direction"] == "outbound" and sa["status"] == "ACTIVE" and "worker" in sa and bool(sa["worker"]) == own]
             for own in (False, True)]
    return [sum(kind) for kind in kinds] if all(kinds) else None


def per_resource(lab):
    """RFC 9611: the worker that has packets for a flow gets a pair of its own, at both ends, and sends by that alone; when
    all of them are gone, there are two again."""
    site = TwoGateways(lab)
    config = cfg.vpn(NEXT_HOP[4], profile={"per-resource": 2})
    near, far = Culvert(lab).start(config), Culvert(lab, "gw2").start(cfg.mirror(config))

    def settle():
        site.ping_until_works()
        for culvert in (near, far):
            wait_until(lambda: site.ping(count=1, check=False).received and _sent(culvert), 60, "a pair for the worker", 0.5)

    settle()
    before = [_sent(culvert) for culvert in (near, far)]
    for source in ("host-a", "host-b"):
        site.ping(count=5, source=source)
    after = [_sent(culvert) for culvert in (near, far)]
    for (common, own), (common_now, own_now) in zip(before, after):
        require(common_now == common and own_now >= own + 10, f"{before} {after}")
    near.cli("clear", "crypto", "session")
    settle()


# Between them: every cipher and every integrity algorithm that a manual entry may have and scapy knows, ESP and AH.
MANUAL_SETS = [
    ["esp-aes", "esp-sha256-hmac"],
    ["esp-aes 192", "esp-sha384-hmac"],
    ["esp-aes 256", "esp-sha512-hmac"],
    ["esp-null", "esp-aes-cmac"],
    ["esp-3des", "esp-md5-hmac"],
    ["esp-des", "esp-sha-hmac"],
    ["ah-sha384-hmac"],
    ["ah-sha512-hmac", "esp-aes", "esp-sha256-hmac"],
]
CIPHER_KEY = {"esp-aes": 16, "esp-aes 192": 24, "esp-aes 256": 32, "esp-3des": 24, "esp-des": 8, "esp-null": 0}
AUTH_KEY = {"md5-hmac": 16, "sha-hmac": 20, "sha256-hmac": 32, "sha384-hmac": 48, "sha512-hmac": 64, "aes-cmac": 16}


def _session_key(transforms, seed):
    """Keys of one direction that are different for each set, SPI and direction; SPIs that both ends can have."""
    def key(n, length):
        return bytes((37 * seed + 11 * n + 5 * i) & 0xff for i in range(length)).hex()

    cipher = [CIPHER_KEY[t] for t in transforms if t in CIPHER_KEY]
    auth = [AUTH_KEY[t.split("-", 1)[1]] for t in transforms if t not in CIPHER_KEY]
    spi = 1000 + 10 * seed
    found = {"spi": spi, "authenticator": key(1, auth[-1])}
    if cipher and cipher[0]:
        found["cipher"] = key(2, cipher[0])
    if cipher and len(auth) == 2:
        found["ah"] = {"spi": spi + 4, "authenticator": key(3, auth[0])}
    return found


def scapy_manual(lab):
    """Manual SAs of every kind between two Culverts: scapy decrypts what either sent with the keys configured, and makes
    the same bytes again (IPSEC-19, IPSEC-66). A new set takes its keys into use by a clear (IPSEC-70)."""
    site = TwoGateways(lab)
    config = json.loads((SOURCE / "docs/examples/manual.json").read_text())
    config["culvert-platform:platform"]["allow-legacy"] = True
    near = far = None
    for n, transforms in enumerate(MANUAL_SETS):
        lab.say(" ".join(transforms))
        ours = copy.deepcopy(config)
        keys = {"inbound": _session_key(transforms, 2 * n), "outbound": _session_key(transforms, 2 * n + 1)}
        ours["culvert-ipsec:ipsec"]["transform-set"][0]["transform"] = transforms
        ours["culvert-ipsec:ipsec"]["crypto-map"][0]["entry"][0]["session-key"] = keys
        theirs = cfg.mirror(ours)
        theirs["culvert-ipsec:ipsec"]["crypto-map"][0]["entry"][0]["session-key"] = {
            "inbound": keys["outbound"], "outbound": keys["inbound"]}
        if n:
            for culvert, new in ((near, ours), (far, theirs)):
                culvert.commit(new)
                culvert.cli("clear", "crypto", "sa")
        else:
            near, far = Culvert(lab).start(ours), Culvert(lab, "gw2").start(theirs)
        site.ping_until_works()
        capture = site.capture(name=f"wire{n}")
        for size in (1, 13, 500):
            site.ping(count=3, interval=0.02, size=size)
        capture.stop()
        for way, src, dst in (("outbound", HOST_A[4], HOST_B[4]), ("inbound", HOST_B[4], HOST_A[4])):
            sas = of_manual(transforms, keys[way])
            seen = judge_capture(capture.path, sas)
            for sa in sas:
                require(len(seen[sa.spi]) >= 9, f"{sa.proto} {sa.spi:#x}: {len(seen[sa.spi])} packets")
            inner = [packet for _, packet in seen[sas[-1].spi]]
            require(all((p.src, p.dst) == (src, dst) for p in inner), str([p.summary() for p in inner]))
            require({29, 41, 528} <= {len(p) for p in inner}, str([len(p) for p in inner]))


def ah_gmac(lab):
    """RFC 4543 section 4, which no peer in Debian 12 has: AH with AES-GMAC of each key length, negotiated by both versions
    of IKE, with and without extended numbers, alone and around ESP (IPSEC-17)."""
    site = TwoGateways(lab)
    near = far = None
    for n, (version, transforms, esn) in enumerate((
            (2, ["ah-gmac 256"], True), (2, ["ah-gmac 128"], False), (1, ["ah-gmac 192"], False),
            (1, ["ah-gmac 128", "esp-gcm 256"], False))):
        lab.say(f"IKEv{version}: {transforms}")
        config = cfg.vpn(NEXT_HOP[4], version=version, transforms=transforms)
        if esn:
            config["culvert-ipsec:ipsec"]["transform-set"][0]["esn"] = True
        if n:
            near.cli("clear", "crypto", "session", check=False)
            near.commit(config)
            far.commit(cfg.mirror(config))
        else:
            near, far = Culvert(lab).start(config), Culvert(lab, "gw2").start(cfg.mirror(config))
        site.ping_until_works(source=("host-a", "host-b")[n % 2], timeout=40)
        capture = site.capture(name=f"wire{n}")
        for size in (20, 1200, 3000):
            site.ping(count=3, size=size)
        capture.stop()
        # 12 and an IV of 8 and an ICV of 16: 9 words of 4, less 2
        whole = capture.count("ah.length == 7")
        require(whole >= 24 and capture.count("ah || esp || icmp") == whole, capture.show("ah || esp || icmp"))
        require(bool(capture.count("esp")) == (len(transforms) > 1), capture.show("esp"))
        for culvert in (near, far):
            text = culvert.cli("show", "crypto", "ipsec", "sa").stdout
            require(f"transform: {transforms[0]} ," in text, text)
            flow = culvert.show("crypto", "ipsec", "sa")["interfaces"][0]["flows"][0]
            require(flow["recv_errors"] == 0, str(flow))
