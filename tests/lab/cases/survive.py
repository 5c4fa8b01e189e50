# SPDX-License-Identifier: BSD-3-Clause
"""Processes and peers die; traffic does not notice, or comes back by itself."""
from lab.core import require, wait_until
from lab.vpn import Vpn


def _kill_control(lab, version):
    """kill -9 of culvertd under traffic: not one packet of the established SAs is lost, and the new culvertd still has
    the IKE SA: the peer rekeys the child over it."""
    vpn = Vpn(lab, version).up()
    ikes, children = vpn.daemon.ike_ids(), vpn.daemon.child_ids()
    with vpn.site.stream(interval=0.005) as stream:
        vpn.culvert.kill_control()
        vpn.site.ping(count=10, interval=0.1)
        vpn.culvert.start_control()
        vpn.site.ping(count=10, interval=0.1)
        require(vpn.daemon.ike_ids() == ikes, "the peer has another IKE SA than before")
        require(vpn.daemon.child_ids() == children, "the peer has another child than before")
        vpn.daemon.rekey_child()
        wait_until(lambda: vpn.daemon.child_ids() and set(vpn.daemon.child_ids()).isdisjoint(children), 15,
                   "the child to be rekeyed over the old IKE SA")
        require(vpn.daemon.ike_ids() == ikes, "the rekey took another IKE SA")
        vpn.site.ping(count=5, interval=0.1)
    lab.say(f"{stream.result.sent} packets sent, {stream.lost} lost")
    require(stream.lost == 0, stream.result.text)


def kill_control_v2(lab):
    _kill_control(lab, 2)


def kill_control_v1(lab):
    _kill_control(lab, 1)


def kill_control_many_times(lab):
    """Ten times in a row, at different moments of its start, the traffic still not noticing."""
    vpn = Vpn(lab, 2).up()
    ikes = vpn.daemon.ike_ids()
    with vpn.site.stream(interval=0.005) as stream:
        vpn.culvert.kill_control()
        for attempt in range(9):
            process = vpn.culvert.spawn_control()
            # The next one dies at another point of its start: waiting is the point here, not luck.
            try:
                process.wait(0.02 + 0.07 * attempt)
            except Exception:  # pylint: disable=broad-except
                pass
            require(process.poll() is None, "culvertd ended by itself")
            vpn.culvert.kill(process)
        vpn.culvert.start_control()
        vpn.site.ping(count=5, interval=0.1)
    require(stream.lost == 0, stream.result.text)
    require(vpn.daemon.ike_ids() == ikes, "the IKE SA did not survive")


def _kill_dataplane(lab, version):
    """kill -9 of the dataplane under traffic: the control process restores everything without an operator, and nothing
    leaves in clear meanwhile."""
    vpn = Vpn(lab, version).up()
    before = vpn.daemon.child_ids()
    capture = vpn.site.capture()
    with vpn.site.stream(interval=0.02):
        vpn.culvert.kill_dataplane()
        vpn.culvert.start_dataplane()
        wait_until(lambda: vpn.site.ping(count=1, check=False).received, 30, "traffic after the dataplane's restart")
    vpn.require_traffic((56, 1400))
    require(set(vpn.daemon.child_ids()) - set(before), "no new child: keys were used again from sequence number 0")
    capture.stop().require_only_esp(20)


def kill_dataplane_v2(lab):
    _kill_dataplane(lab, 2)


def kill_dataplane_v1(lab):
    _kill_dataplane(lab, 1)


def kill_both(lab):
    """Both at once, as after a crash of the machine: everything comes back from the configuration."""
    vpn = Vpn(lab, 2, conn={"start": "trap"}).up()
    vpn.culvert.kill_control()
    vpn.culvert.kill_dataplane()
    vpn.culvert.start()
    vpn.site.ping_until_works(timeout=60)


def _peer_restart(lab, version, waker):
    """The peer forgets everything. waker "peer": its own traffic starts anew. waker "culvert": only our side sends, so
    Culvert has to notice by itself (DPD) and negotiate again."""
    dpd = {"profile": {"dpd": {"mode": "on-demand", "interval": 10, "retry": 2}}}
    vpn = Vpn(lab, version, culvert=dpd, conn={"start": "trap"}).up()
    vpn.daemon.restart()
    vpn.site.ping_until_works(source="host-b" if waker == "peer" else "host-a", timeout=90)
    vpn.require_traffic((56,))


def peer_restart_peer_sends_v2(lab):
    _peer_restart(lab, 2, "peer")


def peer_restart_peer_sends_v1(lab):
    _peer_restart(lab, 1, "peer")


def peer_restart_we_send_v2(lab):
    _peer_restart(lab, 2, "culvert")


def peer_restart_we_send_v1(lab):
    _peer_restart(lab, 1, "culvert")


def peer_gone(lab):
    """The peer's plug is pulled: fail closed (promise 11), and the session is shown as down."""
    vpn = Vpn(lab, 2, culvert={"profile": {"dpd": {"mode": "periodic", "interval": 10, "retry": 2}}}).up()
    capture = vpn.site.capture()
    vpn.peer.power_off()
    with vpn.site.stream(interval=0.1):
        wait_until(lambda: "UP-ACTIVE" not in vpn.culvert.cli("show", "crypto", "session").stdout.upper(), 60,
                   "show crypto session to say that the session is down")
    capture.stop()
    require(capture.count("icmp") == 0, "in clear on the wire:\n" + capture.show("icmp"))


def fail_closed(lab):
    """No packet of protected traffic leaves in clear before, while and after there is a tunnel."""
    vpn = Vpn(lab, 2)
    capture = vpn.site.capture()
    vpn.daemon.swanctl("--unload-conn --name lab", check=False)
    vpn.site.ping(count=5, interval=0.1, check=False)
    vpn.site.ping(count=5, interval=0.1, source="host-b", check=False)
    vpn.daemon.load()
    vpn.up(timeout=40)
    vpn.culvert.cli("clear", "crypto", "sa")
    vpn.site.ping(count=20, interval=0.05, check=False)
    capture.stop()
    ours = "icmp && ip.src == 10.1.0.0/24"
    require(capture.count(ours) == 0, "in clear on the wire:\n" + capture.show(ours))


def clear_text_is_refused(lab):
    """A clear packet from outside that policy says must be protected is dropped and counted (IPSEC-30)."""
    vpn = Vpn(lab, 2)
    vpn.daemon.terminate()
    # The peer has no policy installed now, so its host's pings go out in clear.
    result = vpn.site.ping(count=5, interval=0.1, source="host-b", check=False)
    require(result.received == 0, "a clear ping was answered")
    text = vpn.culvert.cli("show", "drops").stdout
    require("policy-clear-in" in text, f"no drop was counted under its name:\n{text}")
