# SPDX-License-Identifier: BSD-3-Clause
"""The lab proves itself: Linux to Linux over the same cables and with the same judges, no Culvert in it."""
from lab.core import require
from lab.ikedaemons import Conn, Libreswan, StrongSwan
from lab.topology import GW_WAN, LAN, REMOTE, Site


def _left(site, version):
    peer = site.boot_linux_gateway()
    return StrongSwan(peer, Conn(local=GW_WAN[4], remote=site.peer_as_seen, local_ts=[LAN[4]], remote_ts=[REMOTE[4]],
                                 version=version, start="trap", remote_id="%any")).start()


def _talk(lab, daemon, version, nat=None):
    site = Site(lab, nat)
    peer = site.boot_peer(daemon.layer)
    right = daemon(peer, Conn(local=site.peer_outer[4], remote=site.gw_as_seen, local_ts=[REMOTE[4]],
                              remote_ts=[LAN[4]], version=version, remote_id=GW_WAN[4])).start()
    left = _left(site, version)
    capture = site.capture()
    if nat == "peer":
        right.initiate()
    site.ping_until_works()
    site.ping(count=20, interval=0.05)
    require(left.child_count() >= 1 and right.child_count() >= 1, left.sas() + right.sas())
    capture.stop().require_only_esp(40)
    return site, left, right


def strongswan_ikev2(lab):
    site, left, _right = _talk(lab, StrongSwan, 2)
    with site.stream() as stream:
        left.rekey_child()
        left.rekey_ike()
        site.ping(count=5)
    require(stream.lost == 0, stream.result.text)


def strongswan_ikev1(lab):
    _talk(lab, StrongSwan, 1)


def libreswan_ikev2(lab):
    _talk(lab, Libreswan, 2)


def libreswan_ikev1(lab):
    _talk(lab, Libreswan, 1)


def nat(lab):
    _site, _left_daemon, right = _talk(lab, StrongSwan, 2, "culvert")
    require("4500" in right.sas(), "no UDP encapsulation behind the NAT\n" + right.sas())
