# SPDX-License-Identifier: BSD-3-Clause
"""Ends that change their addresses under a tunnel that stays (MOBIKE, RFC 4555), strongSwan at the other end."""
import copy

from lab import config as cfg
from lab.core import require, wait_until
from lab.topology import GW_WAN, NEXT_HOP
from lab.vpn import Vpn

MOVED_PEER, MOVED_US = "192.0.2.77", "192.0.2.66"


def _ike_sa(vpn):
    sas = vpn.culvert.show("crypto", "ikev2", "sa")["sas"]
    require(len(sas) == 1 and sas[0]["mobike"] is True, sas)
    return sas[0]


def _same_tunnel(before, after):
    """Neither the IKE SA nor its child was made anew, and no key was."""
    for field in ("spi_i", "spi_r", "rekeys"):
        require(before[field] == after[field], f"{field}: {before} {after}")
    require([(c["spi_in"], c["spi_out"], c["rekeys"]) for c in before["children"]] ==
            [(c["spi_in"], c["spi_out"], c["rekeys"]) for c in after["children"]], f"{before} {after}")


def _outer_addresses(vpn):
    flow = vpn.culvert.show("crypto", "ipsec", "sa")["interfaces"][0]["flows"][0]
    return flow["local_endpoint"], flow["remote_endpoint"]


def peer_roams(lab):
    """
    The road warrior: strongSwan set the tunnel up and loses its IPv4 address, so that it goes on from its IPv6 address to
    the one that Culvert has told it of; then gets another IPv4 address and loses IPv6. Culvert follows. At the end a commit
    gives Culvert another address, of which it tells the peer from there.
    """
    # else the address of its inner interface is another way out, which may be quicker
    vpn = Vpn(lab, 2, conn={"mobike": True, "local": "%any", "extra": {"charon": {"interfaces_use": "vec0"}}})
    vpn.up("responder").require_traffic(sizes=(56, 1200))
    before = _ike_sa(vpn)
    for change, ours, theirs in (
            # the policy is looked up with a route, wherever that leads
            (f"ip addr del {NEXT_HOP[4]}/24 dev vec0; ip route replace default dev vec0", GW_WAN[6], NEXT_HOP[6]),
            (f"ip addr add {MOVED_PEER}/24 dev vec0; ip route replace default via {GW_WAN[4]}; "
             f"ip addr del {NEXT_HOP[6]}/64 dev vec0", GW_WAN[4], MOVED_PEER)):
        with vpn.site.stream(interval=0.02) as stream:
            vpn.peer.sh(change)
            wait_until(lambda: _outer_addresses(vpn) == (ours, theirs), 20, f"the SAs to follow to {theirs}")
            vpn.site.ping_until_works(4, "host-b")
        require(stream.result.received, "nothing passed while the peer moved")
        after = _ike_sa(vpn)
        require((after["local"], after["remote"]) == (ours, theirs), after)
        _same_tunnel(before, after)
        vpn.site.ping(4, 5, "host-a", 0.05, 1000)
        vpn.site.ping(4, 5, "host-b", 0.05, 1000)
    _commit_another_address(vpn, MOVED_PEER)
    _same_tunnel(before, _ike_sa(vpn))


def _commit_another_address(vpn, peer):
    """Our interface gets it, our SAs and those of the peer, which is at that address, have it."""
    config = copy.deepcopy(vpn.config())
    cfg.interface(config, "wan")["ietf-ip:ipv4"]["address"][0]["ip"] = MOVED_US
    vpn.culvert.commit(config)
    wait_until(lambda: _outer_addresses(vpn) == (MOVED_US, peer), 20, "our SAs to have the new address")
    wait_until(lambda: MOVED_US in vpn.peer.sh("ip xfrm state"), 20, "the peer to follow")
    after = _ike_sa(vpn)
    require((after["local"], after["remote"]) == (MOVED_US, peer), after)
    vpn.require_traffic(sizes=(56, 1200))


def we_move(lab):
    """Culvert set the tunnel up; a commit gives its interface another address, and strongSwan follows."""
    vpn = Vpn(lab, 2, conn={"mobike": True})
    vpn.up("initiator").require_traffic(sizes=(56, 1200))
    before = _ike_sa(vpn)
    _commit_another_address(vpn, NEXT_HOP[4])
    _same_tunnel(before, _ike_sa(vpn))
    require(vpn.daemon.ike_count() == 1 and vpn.daemon.child_count() == 1, vpn.daemon.sas())
