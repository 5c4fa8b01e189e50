# SPDX-License-Identifier: BSD-3-Clause
"""IPComp with DEFLATE inside ESP (RFC 3173, 2394; IPSEC-19, IPSEC-76, IPSEC-77) against strongSwan and the Linux kernel's
own compression."""
from lab.core import require, wait_until
from lab.vpn import Vpn

_SET = ["esp-aes", "esp-sha256-hmac", "comp-deflate"]


def _flow(vpn):
    return vpn.culvert.show("crypto", "ipsec", "sa")["interfaces"][0]["flows"][0]


def _compresses(vpn, role):
    """Long packets of one pattern are short on the wire, both ways; short ones go as they are."""
    vpn.up(role)
    # A pair of the role before may linger in the same flow for a while.
    wait_until(lambda: len(_flow(vpn)["sas"]) == 4, 30, "one pair alone: ESP and IPComp, both ways")
    before = _flow(vpn)
    capture = vpn.site.capture()
    vpn.require_traffic((20, 1200, 3000))
    capture.stop()
    require(capture.count("icmp && !esp") == 0, capture.show("icmp"))
    # 1200 bytes of payload, and the 1472 of the fragments of 3000, all of one pattern
    longest = capture.count("esp && frame.len > 700")
    require(longest == 0, f"{longest} long packets:\n" + capture.show("frame.len > 700"))
    after = _flow(vpn)
    for field in ("pkts_compressed", "pkts_decompressed", "pkts_not_compressed", "pkts_not_decompressed"):
        require(after[field] > before[field], f"{field}: {before[field]} before, {after[field]} after\n{after}")
    require(after["pkts_decompress_failed"] == 0, str(after))
    pcp = [sa for sa in after["sas"] if sa["protocol"] == "pcp"]
    require(len(pcp) == 2 and all(256 <= sa["spi"] < 61440 for sa in pcp), str(after["sas"]))
    state = vpn.peer.sh("ip xfrm state")
    require(state.count("proto comp") >= 2 and "deflate" in state, state)
    for sa in pcp:
        require(f"proto comp spi 0x{sa['spi']:08x}" in state, f"CPI {sa['spi']:#x}:\n{state}")


def _vpn(lab, version):
    return Vpn(lab, version, esp="aes128-cbc-sha256-128", conn={"extra": {"child": {"ipcomp": "yes"}}},
               culvert={"transforms": _SET})


def v2(lab):
    """Both roles; incompressible traffic passes too; after a rekey; and without it where the peer has none (RFC 7296 2.22)."""
    vpn = _vpn(lab, 2)
    _compresses(vpn, "initiator")
    vpn.down()
    _compresses(vpn, "responder")
    vpn.daemon.rekey_child()
    vpn.site.ping(count=5, size=1200)
    require(vpn.site.iperf(2) > 0, "no TCP")
    vpn.down()
    vpn.reload_peer(extra={"child": {"ipcomp": "no"}})
    vpn.up("initiator").require_traffic((56, 1200))
    flow = _flow(vpn)
    require(flow["pkts_compressed"] == 0 and not [sa for sa in flow["sas"] if sa["protocol"] == "pcp"], str(flow))
    vpn.down()
    vpn.up("responder").require_traffic((56, 1200))


def v1(lab):
    """Two protocols under one proposal number, in both roles."""
    vpn = _vpn(lab, 1)
    _compresses(vpn, "initiator")
    vpn.down()
    _compresses(vpn, "responder")
