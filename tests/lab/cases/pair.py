# SPDX-License-Identifier: BSD-3-Clause
"""Two Culverts back to back: what no peer in Debian 12 negotiates. tshark judges the wire."""
from lab import config as cfg
from lab.core import require, wait_until
from lab.gateway import Culvert, require_either_may_die
from lab.topology import NEXT_HOP, TwoGateways


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
