# SPDX-License-Identifier: BSD-3-Clause
"""Culvert negotiates with daemons that nobody here wrote (IKE-*, IPSEC-31): both roles, both versions."""
from lab.core import require, wait_until
from lab.ikedaemons import Libreswan, StrongSwan
from lab.vpn import Vpn


def _negotiate(lab, version, role, daemon, **options):
    vpn = Vpn(lab, version, daemon, **options)
    capture = vpn.site.capture()
    vpn.up(role).require_traffic()
    require(vpn.daemon.ike_count() >= 1 and vpn.daemon.child_count() >= 1, vpn.daemon.sas())
    if version == 2:  # neither daemon announces a window of more than one message (RFC 7296 2.3)
        sa = vpn.culvert.show("crypto", "ikev2", "sa")["sas"][0]
        require((sa["window"], sa["peer_window"]) == (8, 1), sa)
    # pluto has no policy in the kernel until it has processed the last message of quick mode, and the answer to our first
    # packet may be quicker than that.
    capture.stop().require_only_esp(30, peer_may_leak=daemon is Libreswan)
    return vpn


def strongswan_v2_initiator(lab):
    """A peer that does not know per-resource SAs (RFC 9611) ignores our offer: one pair, and traffic asks for no other."""
    vpn = _negotiate(lab, 2, "initiator", StrongSwan, culvert={"profile": {"per-resource": 3}})
    flow = vpn.culvert.show("crypto", "ipsec", "sa")["interfaces"][0]["flows"][0]
    require(all("worker" not in sa for sa in flow["sas"]) and vpn.daemon.child_count() == 1, str(flow))


def strongswan_v2_responder(lab):
    _negotiate(lab, 2, "responder", StrongSwan)


def strongswan_v1_initiator(lab):
    _negotiate(lab, 1, "initiator", StrongSwan)


def strongswan_v1_responder(lab):
    _negotiate(lab, 1, "responder", StrongSwan)


def libreswan_v2_initiator(lab):
    _negotiate(lab, 2, "initiator", Libreswan)


def libreswan_v2_responder(lab):
    _negotiate(lab, 2, "responder", Libreswan)


def libreswan_v1_initiator(lab):
    _negotiate(lab, 1, "initiator", Libreswan)


def libreswan_v1_responder(lab):
    _negotiate(lab, 1, "responder", Libreswan)


def pfs_v2(lab):
    """A rekeyed child brings a Diffie-Hellman exchange of its own."""
    vpn = _negotiate(lab, 2, "initiator", StrongSwan, conn={"pfs": "ecp256"}, culvert={"pfs": "group19"})
    with vpn.site.stream() as stream:
        before = vpn.daemon.child_ids()
        vpn.daemon.rekey_child()
        wait_until(lambda: set(vpn.daemon.child_ids()).isdisjoint(before), 10, "the peer's rekeyed child")
    require(stream.lost == 0, stream.result.text)


def pfs_v1(lab):
    """Quick mode with its own Diffie-Hellman exchange (RFC 2409 5.5), as initiator and as responder."""
    vpn = _negotiate(lab, 1, "initiator", StrongSwan, conn={"pfs": "ecp256"}, culvert={"pfs": "group19"})
    vpn.down()
    vpn.up("responder").require_traffic((56,))


def nat_culvert_v2(lab):
    """Culvert's address is hidden: it must notice, float to UDP 4500 and encapsulate ESP there (RFC 7296 2.23)."""
    _behind_nat(lab, 2, "culvert", "initiator")


def nat_culvert_v1(lab):
    """The same with IKEv1 (RFC 3947)."""
    _behind_nat(lab, 1, "culvert", "initiator")


def nat_peer_v2(lab):
    """The peer's address is hidden; Culvert answers to the mapped address and port."""
    _behind_nat(lab, 2, "peer", "responder")


def nat_peer_v1(lab):
    _behind_nat(lab, 1, "peer", "responder")


def _behind_nat(lab, version, nat, role):
    vpn = Vpn(lab, version, nat=nat)
    capture = vpn.site.capture()
    vpn.up(role).require_traffic()
    capture.stop()
    capture.require_only_esp(20)
    require(capture.count("udp.port == 4500 && esp") >= 20, "ESP is not in UDP 4500")
    require(capture.count("ip.proto == 50") == 0, "bare ESP although there is a NAT")


def forced_encapsulation(lab):
    """ESP in UDP without a NAT, because the operator says so."""
    vpn = Vpn(lab, 2, culvert={"profile": {"force-encapsulation": True}})
    capture = vpn.site.capture()
    vpn.up().require_traffic()
    capture.stop().require_only_esp(20)
    require(capture.count("ip.proto == 50") == 0, "bare ESP although encapsulation is forced")


def _refused(lab, version, role, reason, conn=None, culvert=None):
    """A negotiation that must fail: no SA on either side, nothing in clear, and the operator is told why."""
    vpn = Vpn(lab, version, conn=conn, culvert=culvert)
    capture = vpn.site.capture()
    if role == "initiator":
        result = vpn.site.ping(count=8, interval=0.5, check=False)
        require(result.received == 0, "a ping came back although nothing was negotiated")
    else:
        vpn.daemon.initiate(10, check=False)
    wait_until(lambda: any(word in lab.log_text("culvertd.log").lower() for word in reason), 15,
               f"culvertd's log to say one of {reason}")
    require(vpn.daemon.child_count() == 0, vpn.daemon.sas())
    capture.stop()
    require(capture.count("isakmp") >= 2, "no negotiation was even tried")
    require(capture.count("esp") == 0, "ESP although nothing was negotiated")
    require(capture.count("icmp") == 0, "in clear on the wire:\n" + capture.show("icmp"))
    return vpn


_AUTH = ("authentication", "preshared", "pre-shared", "mismatch", "decrypt")
_PROPOSAL = ("proposal", "no_proposal_chosen")


def wrong_psk_v2_initiator(lab):
    """And when the key is put right, the tunnel comes up without anything else being done."""
    vpn = _refused(lab, 2, "initiator", _AUTH, conn={"psk": "another secret"})
    vpn.reload_peer(psk=vpn.config()["culvert-ike:ike"]["keyring"][0]["pre-shared-key"][0]["key"])
    vpn.up(timeout=40).require_traffic((56,))


def wrong_psk_v2_responder(lab):
    _refused(lab, 2, "responder", _AUTH, conn={"psk": "another secret"})


def wrong_psk_v1_initiator(lab):
    _refused(lab, 1, "initiator", _AUTH, conn={"psk": "another secret"})


def wrong_psk_v1_responder(lab):
    _refused(lab, 1, "responder", _AUTH, conn={"psk": "another secret"})


def no_proposal_ike_v2(lab):
    """No common IKE proposal."""
    _refused(lab, 2, "initiator", _PROPOSAL, conn={"ike": "aes256-sha512-modp3072"})


def no_proposal_ike_v2_responder(lab):
    _refused(lab, 2, "responder", _PROPOSAL, conn={"ike": "aes256-sha512-modp3072"})


def no_proposal_ike_v1(lab):
    _refused(lab, 1, "initiator", _PROPOSAL, conn={"ike": "aes256-sha512-modp3072"})


def no_proposal_ike_v1_responder(lab):
    _refused(lab, 1, "responder", _PROPOSAL, conn={"ike": "aes256-sha512-modp3072"})


def no_proposal_esp_v2(lab):
    """The IKE SA comes up, its child has no transform in common."""
    _refused(lab, 2, "initiator", _PROPOSAL, conn={"esp": "aes256gcm16"})


def no_proposal_esp_v1(lab):
    _refused(lab, 1, "responder", _PROPOSAL, conn={"esp": "aes256gcm16"})


def default_proposals_v2(lab):
    """A profile without proposals offers the built-in ones, and a stock strongSwan takes one."""
    vpn = Vpn(lab, 2, conn={"ike": "default"}, culvert={"ike": {"encryption": ["aes256-gcm16"], "prf": ["sha384"],
                                                                 "group": ["group20"]}})
    config = vpn.config()
    del config["culvert-ike:ike"]["proposal"], config["culvert-ike:ike"]["profile"][0]["proposal"]
    vpn.culvert.commit(config)
    vpn.up().require_traffic((56,))


def cookies_v2(lab):
    """Above the threshold a stranger must prove its address first (RFC 7296 2.6); threshold 0: always."""
    vpn = Vpn(lab, 2)
    config = vpn.config()
    config["culvert-ike:ike"]["cookie-threshold"] = 0
    vpn.culvert.commit(config)
    capture = vpn.site.capture()
    vpn.up("responder").require_traffic((56,))
    capture.stop()
    require(capture.count("isakmp.notify.msgtype == 16390") >= 2, "no COOKIE was asked for and returned")
