# SPDX-License-Identifier: BSD-3-Clause
"""What policy says about packets beyond whom to talk to: fragments, path MTU, replay windows, VRFs."""
from lab.core import require
from lab.vpn import Vpn


def counters(vpn):
    return {c["counter"]: c["count"] for c in vpn.culvert.show("counters")["counters"]}


def fragments_after_encryption(lab):
    """FRAG-3, 4, 11, T2, T3: before encryption by default; then the interface says after, SAs that are up follow, and a
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
