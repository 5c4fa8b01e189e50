# SPDX-License-Identifier: BSD-3-Clause
"""What policy says about packets beyond whom to talk to: fragments, path MTU, replay windows, VRFs."""
import re

from lab import config as cfg
from lab.core import require, wait_until
from lab.topology import HOST_B, NEXT_HOP, REMOTE
from lab.vpn import Vpn


def counters(vpn):
    return {c["counter"]: c["count"] for c in vpn.culvert.show("counters")["counters"]}


def fragments_after_encryption(lab):
    """FRAG-3, FRAG-4, FRAG-11, FRAG-T2, FRAG-T3: before encryption by default; then the interface says after, SAs that are up follow, and a
    Linux peer puts the outer packets together. REPLAY-5: the entry's window is the one in use."""
    vpn = Vpn(lab, 2)
    config = vpn.config()
    ipsec = config["culvert-ipsec:ipsec"]
    ipsec["security-association"] = {"replay": {"window-size": 256}}
    ipsec["crypto-map"][0]["entry"][0]["replay"] = {"window-size": 4096}
    vpn.culvert.commit(config)
    vpn.up()
    vpn.site.ping(count=3, size=1472, interval=0.05)
    now = counters(vpn)
    require(now.get("frag-before", 0) >= 3 and "frag-after" not in now, f"before encryption: {now}")
    text = vpn.culvert.cli("show", "crypto", "ipsec", "sa", "detail").stdout
    require("replay window size: 4096" in text and "fragmentation before-encryption" in text, text)
    spi = [sa["spi"] for sa in vpn.culvert.show("crypto", "ipsec", "sa")["interfaces"][0]["flows"][0]["sas"]]
    for interface in config["ietf-interfaces:interfaces"]["interface"]:
        if "culvert-ipsec:crypto-map" in interface:
            interface["culvert-ipsec:ipsec-fragmentation"] = "after-encryption"
    vpn.culvert.commit(config)
    capture = vpn.site.capture()
    vpn.site.ping(count=3, size=1472, interval=0.05)
    capture.stop()
    after = counters(vpn)
    require(after.get("frag-after", 0) >= 3 and after["frag-before"] == now["frag-before"], f"{now} -> {after}")
    cut = capture.count("ip.flags.mf == 1 && ip.src == 192.0.2.1")
    require(cut >= 3, f"{cut} first fragments of outer packets on the wire")
    text = vpn.culvert.cli("show", "crypto", "ipsec", "sa", "detail").stdout
    require("fragmentation after-encryption" in text, text)
    same = [sa["spi"] for sa in vpn.culvert.show("crypto", "ipsec", "sa")["interfaces"][0]["flows"][0]["sas"]]
    require(same == spi, f"the SAs stayed: {spi} {same}")


def path_mtu_learned(lab):
    """A Linux router between Culvert and the peer has a small MTU and says so about an outer packet: hosts inside are told
    what fits with the overhead of the SA, and a packet of that size crosses (RFC 1191, FRAG-10, promise 5)."""
    vpn = Vpn(lab, 2, nat="culvert").up()
    lab.run("nat", "ip", "link", "set", "far", "mtu", "1400")

    def told():
        done = lab.run("host-a", "ping", "-4", "-n", "-c", "2", "-i", "0.2", "-M", "do", "-s", "1380", "-W", "1", HOST_B[4],
                       check=False)
        match = re.search(r"mtu ?= ?(\d+)", done.stdout)
        return match and int(match[1])
    mtu = wait_until(told, 15, "the smaller MTU to reach the host inside")
    require(1300 < mtu < 1350, f"the inner MTU is {mtu}")  # 1400 less IP, UDP, ESP, IV, padding and tag
    vpn.site.ping(4, 3, size=mtu - 28, interval=0.1)
    require(counters(vpn).get("pmtu-learned") == 1, f"{counters(vpn)}")
    flow = vpn.culvert.show("crypto", "ipsec", "sa")["interfaces"][0]["flows"][0]
    require(flow["path_mtu"] == 1400 and flow["media_mtu"] == 1500, f"{flow}")


def inside_vrf_differs(lab):
    """VRF-2, VRF-4, VRF-11, VRF-12, VRF-14, VRF-16: the hosts are in VRF red, the tunnel and its map in the global table, and the way there is a
    route of red with a global next hop. The global table knows nothing of the hosts, and a Linux peer sees no difference."""
    vpn = Vpn(lab, 2)
    config = vpn.config(profile={"vrf": "red"})
    config["culvert-vrf:vrfs"] = {"vrf": [{"name": "red"}]}
    cfg.interface(config, "lan")["culvert-vrf:vrf"] = "red"
    config["ietf-routing:routing"]["control-plane-protocols"]["control-plane-protocol"].append(
        {"type": "ietf-routing:static", "name": "red", "culvert-vrf:vrf": "red", "static-routes": {
            "ietf-ipv4-unicast-routing:ipv4": {"route": [
                {"destination-prefix": REMOTE[4], "next-hop": {"next-hop-address": NEXT_HOP[4],
                                                                "culvert-vrf:global": True}}]}}})
    vpn.culvert.commit(config)
    vpn.up()
    capture = vpn.site.capture()
    vpn.require_traffic(sizes=(56, 1472))
    capture.stop()
    capture.require_only_esp(6)
    flow = vpn.culvert.show("crypto", "ipsec", "sa", "vrf", "red")["interfaces"][0]["flows"][0]
    require(flow["protected_vrf"] == "red" and flow["pkts_decaps"] >= 6, f"{flow}")
    session = vpn.culvert.show("crypto", "session")["sessions"][0]
    require(session.get("ivrf") == "red" and session.get("fvrf") in (None, "global"), f"{session}")
    table = vpn.culvert.cli("show", "ip", "route").stdout
    require("10.1.0." not in table, f"the global table knows the hosts' network:\n{table}")


def invalid_spi_recovery(lab):
    """ISPI-2, ISPI-3: both of Culvert's processes die and forget the tunnel, while strongSwan goes on sending on it. With
    recovery switched on the first such packet makes Culvert negotiate, and traffic from the peer's side comes back."""
    vpn = Vpn(lab, 2)
    config = vpn.config()
    config["culvert-ike:ike"]["invalid-spi-recovery"] = True
    vpn.culvert.commit(config)
    vpn.up()
    vpn.culvert.kill_control()
    vpn.culvert.kill_dataplane()
    vpn.culvert.write_startup(config)
    vpn.culvert.start()
    vpn.site.ping_until_works(4, "host-b", 25)
    stats = vpn.culvert.show("crypto", "ike", "stats")["stats"]
    require(stats["invalid_spi_reported"] >= 1 and stats["invalid_spi_initiated"] == 1, f"{stats}")
    require("RECVD_PKT_INV_SPI" in lab.log_text("culvertd.log"), "ISPI-8: nothing in the log")
