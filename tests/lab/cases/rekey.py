# SPDX-License-Identifier: BSD-3-Clause
"""A rekey loses nothing (promise 2): traffic runs at a steady rate in one direction and back while keys change."""
from lab.core import require, wait_until
from lab.vpn import Vpn


def _under_traffic(vpn, action, changed, what, timeout=20):
    """Run traffic, do the thing, wait until it shows, go on for a moment; not one packet may be missing."""
    with vpn.site.stream(interval=0.005) as stream:
        action()
        wait_until(changed, timeout, what, 0.3)
        vpn.site.ping(count=10, interval=0.1)
    vpn.lab.say(f"{what}: {stream.result.sent} packets sent, {stream.lost} lost")
    require(stream.result.sent > 50, "the traffic did not run")
    require(stream.lost == 0, f"{what}: {stream.lost} of {stream.result.sent} packets lost\n{stream.result.text}")
    require(stream.result.duplicates == 0, f"{what}: duplicates")


def _peer_rekeys(lab, version, role):
    vpn = Vpn(lab, version).up(role)
    children, ikes = vpn.daemon.child_ids(), vpn.daemon.ike_ids()
    _under_traffic(vpn, vpn.daemon.rekey_child, lambda: vpn.daemon.child_ids() and
                   set(vpn.daemon.child_ids()).isdisjoint(children), "the peer rekeys the child")
    _under_traffic(vpn, vpn.daemon.rekey_ike, lambda: vpn.daemon.ike_ids() and
                   set(vpn.daemon.ike_ids()).isdisjoint(ikes), "the peer rekeys the IKE SA")
    children = vpn.daemon.child_ids()
    _under_traffic(vpn, vpn.daemon.rekey_child, lambda: vpn.daemon.child_ids() and
                   set(vpn.daemon.child_ids()).isdisjoint(children), "the peer rekeys the child again")


def peer_v2_culvert_initiator(lab):
    _peer_rekeys(lab, 2, "initiator")


def peer_v2_culvert_responder(lab):
    _peer_rekeys(lab, 2, "responder")


def peer_v1_culvert_initiator(lab):
    _peer_rekeys(lab, 1, "initiator")


def peer_v1_culvert_responder(lab):
    _peer_rekeys(lab, 1, "responder")


def _by_time(lab, version):
    """The shortest lifetime there is: Culvert must have rekeyed twice within it, without a gap."""
    vpn = Vpn(lab, version, culvert={"lifetime": {"seconds": 30}}).up()
    seen = set(vpn.daemon.child_ids())

    def two_more():
        seen.update(vpn.daemon.child_ids())
        return len(seen) >= 3

    _under_traffic(vpn, lambda: None, two_more, "two rekeys by time", 75)


def by_time_v2(lab):
    _by_time(lab, 2)


def by_time_v1(lab):
    _by_time(lab, 1)


def _by_volume(lab, version):
    """1024 kilobytes per SA, about 250 kilobytes a second: several SAs, not one lost packet."""
    vpn = Vpn(lab, version, culvert={"lifetime": {"kilobytes": 1024}}).up()
    seen = set(vpn.daemon.child_ids())

    def two_more():
        seen.update(vpn.daemon.child_ids())
        return len(seen) >= 3

    with vpn.site.stream(interval=0.005, size=1200) as stream:
        wait_until(two_more, 40, "two rekeys by volume", 0.3)
    lab.say(f"{stream.result.sent} packets sent, {stream.lost} lost, {len(seen)} children")
    require(stream.lost == 0, stream.result.text)


def by_volume_v2(lab):
    _by_volume(lab, 2)


def by_volume_v1(lab):
    _by_volume(lab, 1)


def ike_by_time_v2(lab):
    """Culvert rekeys the IKE SA itself: 60 seconds is the shortest lifetime."""
    vpn = Vpn(lab, 2, culvert={"profile": {"lifetime": 60}}).up()
    before = vpn.daemon.ike_ids()
    children = vpn.daemon.child_ids()
    _under_traffic(vpn, lambda: None, lambda: vpn.daemon.ike_ids() and set(vpn.daemon.ike_ids()).isdisjoint(before),
                   "Culvert rekeys the IKE SA", 75)
    require(vpn.daemon.child_ids() == children, "the child did not move over to the new IKE SA")


def ike_by_time_v1(lab):
    """Culvert renews phase 1 with another main mode; the IPsec SAs go on and are renewed over the new one."""
    policy = {"encryption": "aes256-cbc", "hash": "sha256", "authentication": "pre-share", "group": "group19",
              "lifetime": 60}
    vpn = Vpn(lab, 1, culvert={"ike": policy}).up()
    before, children = vpn.daemon.ike_ids(), vpn.daemon.child_ids()
    _under_traffic(vpn, lambda: None, lambda: vpn.daemon.ike_ids() and set(vpn.daemon.ike_ids()).isdisjoint(before),
                   "Culvert renews phase 1", 75)
    require(set(children) & set(vpn.daemon.child_ids()), "the IPsec SAs did not outlive their phase 1")
    children = vpn.daemon.child_ids()
    _under_traffic(vpn, vpn.daemon.rekey_child, lambda: vpn.daemon.child_ids() and
                   set(vpn.daemon.child_ids()).isdisjoint(children), "the peer rekeys the child over the new phase 1")
