# SPDX-License-Identifier: BSD-3-Clause
"""Real peers beyond a path that loses, repeats and reorders what IKE says (issue 4)."""
import json
import os
import signal
import struct
import subprocess
import sys
import time

from lab.core import SOURCE, require, wait_until
from lab.gateway import build_root
from lab.pki import Pki, swan_certificates, with_certificates
from lab.topology import GW_WAN
from lab.vpn import Vpn

LOST, REPEATED, LATE = 20, 20, 20  # per cent
SPOOFED_RATE, SPOOFED_SECONDS = 100000, 120  # what the generator aims at; it ends when the peers are done
STRANGER = "192.0.2.66"
YEAR_S = 365 * 86400


def _bad_path(lab):
    """In place of the outside bridge of a Site."""
    lab.run("wan", "ip", "link", "del", "outside")
    process = lab.spawn("wan", [sys.executable, SOURCE / "tests/lab/lab/bad_path.py", "gw0", "peer0", LOST, REPEATED, LATE, 1],
                        "bad_path.log")
    wait_until(lambda: "ready" in lab.log_text("bad_path.log"), 10, "the bad path")
    return process


def _survives(lab, version):
    """Both roles, and rekeys by both ends: each exchange comes to its end by repetition, with neither end doing anything
    twice; in the end one pair carries traffic."""
    vpn = Vpn(lab, version, conn={"extra": {"charon": {"retransmit_timeout": "1.0", "retransmit_tries": 8}}})
    path = _bad_path(lab)
    vpn.up("initiator", 60)
    for rekey in (vpn.daemon.rekey_child, vpn.daemon.rekey_ike, lambda: vpn.culvert.cli("clear", "crypto", "sa")):
        rekey()
        vpn.site.ping_until_works(timeout=60)
    vpn.culvert.cli("clear", "crypto", "session")
    wait_until(lambda: vpn.daemon.ike_count() == 0, 60, "the peer to forget its IKE SAs")
    wait_until(lambda: vpn.daemon.initiate(20, check=False) and vpn.daemon.child_count(), 90, "the peer to set up the tunnel")
    vpn.site.ping_until_works(source="host-b", timeout=60)
    vpn.require_traffic((56,))
    lab.stop(path)
    counts = json.loads(lab.log_text("bad_path.log").splitlines()[-1])
    lab.say(f"IKEv{version}: {counts}")
    require(counts["lost"] and counts["repeated"] and counts["late"], f"not a bad path: {counts}")


def bad_path_v2(lab):
    _survives(lab, 2)


def bad_path_v1(lab):
    _survives(lab, 1)


class _Spoofed:
    """with _Spoofed(...): first messages from addresses that are nobody's. The answers go to a namespace that drops them."""

    def __init__(self, lab, router):
        lab.namespace("stranger")
        lab.veth("wan", "stranger0", "stranger", "eth0")
        lab.silent("wan", "stranger0")
        lab.run("wan", "ip", "link", "set", "stranger0", "master", "outside")
        lab.address("stranger", "eth0", f"{STRANGER}/24")
        argv = [sys.executable, SOURCE / "tests/lab/lab/spoof.py", "eth0", router, GW_WAN[4], SPOOFED_RATE, SPOOFED_SECONDS]
        self.process = subprocess.Popen(lab.in_ns("stranger", argv), stdout=subprocess.PIPE, text=True)
        lab.closers.append(self._kill)

    def __enter__(self):
        self.process.stdout.readline()
        return self

    def __exit__(self, kind, value, trace):
        self.process.send_signal(signal.SIGINT)
        out, _ = self.process.communicate(timeout=30)
        self.sent = json.loads(out)

    def _kill(self):
        if self.process.poll() is None:
            self.process.kill()


def spoofed_first_messages(lab):
    """
    As many forged first messages of IKEv2 a second as can be made, 100,000 at most, while strongSwan connects, rekeys and ends, and
    Culvert connects to it. First messages beyond what culvertd is given are refused before it; who has a cookie or an SPI
    goes by another way, so that a peer has to be lucky once and not with each message.
    """
    timing = {"retransmit_timeout": "0.5", "retransmit_base": "1.0", "retransmit_tries": 180}
    vpn = Vpn(lab, 2, conn={"extra": {"charon": timing}})
    config = vpn.config()
    routing = config["ietf-routing:routing"]["control-plane-protocols"]["control-plane-protocol"][0]["static-routes"]
    routing["ietf-ipv4-unicast-routing:ipv4"]["route"].append(
        {"destination-prefix": "198.18.0.0/15", "next-hop": {"next-hop-address": STRANGER}})
    vpn.culvert.commit(config)
    router = next(i["mac"] for i in vpn.culvert.show("interfaces")["interfaces"] if i["name"] == "wan")
    took = {}

    def timed(what, work):
        begun = time.monotonic()
        work()
        took[what] = round(time.monotonic() - begun, 1)

    def seen():
        """By the device, by its reasons to drop, by culvertd."""
        wan = next(i for i in vpn.culvert.show("interfaces")["interfaces"] if i["name"] == "wan")
        drops = {d["reason"]: d["packets"] for d in vpn.culvert.show("drops")["drops"]}
        cookies = vpn.culvert.show("crypto", "ike", "stats")["stats"]["cookies_sent"]
        return time.monotonic(), wan["rx_packets"], drops.get("slow-path-rate", 0), drops.get("slow-path-full", 0), \
            drops.get("punt-full", 0), cookies

    def peer_connects():
        vpn.daemon.initiate(90)
        vpn.site.ping_until_works(source="host-b", timeout=20)

    with _Spoofed(lab, router) as flood:
        before = seen()
        timed("connect", peer_connects)
        received, rate, full, punted, cookies = (round((b - a) / (time.monotonic() - before[0])) for a, b in
                                                 zip(before[1:], seen()[1:]))
        for what, rekey in (("rekey of the child", vpn.daemon.rekey_child), ("of the IKE SA", vpn.daemon.rekey_ike)):
            timed(what, rekey)
            vpn.site.ping_until_works(source="host-b", timeout=20)
        timed("show", lambda: vpn.culvert.show("crypto", "session"))
        timed("end", vpn.down)
        timed("our own connection", lambda: vpn.up(timeout=60))
        stats = vpn.culvert.show("crypto", "ike", "stats")["stats"]
    made = flood.sent["sent"] / flood.sent["seconds"]
    lab.say(f"{made:.0f} forged first messages a second for {flood.sent['seconds']} s; a second, the device received {received}, "
            f"{rate} were over their class's rate, {full} found its ring full, {punted} that to culvertd, which answered {cookies} "
            f"with cookies; {stats['half_open']} half-open; seconds: {took}")
    require(cookies > 0 and stats["half_open"] <= 1000, stats)
    vpn.require_traffic((56,))


def time_of_day(lab):
    """
    The time of day jumps by years, back and forth, under a running culvertd: what is established lives on and is rekeyed without
    loss, for its times are of another clock; only certificates are judged by what the day seems to be.
    """
    vpn = Vpn(lab, 2)
    pki = Pki(lab)
    pki.issue("gw1", "EC", "DNS:gw1.lab", 11)
    pki.issue("peer", "EC", "DNS:peer.lab", 12)
    vpn.culvert.commit(with_certificates(vpn, pki))
    swan_certificates(vpn, pki)
    clock = lab.work / "clock"

    def jump(seconds):
        """One write: the shim has the file mapped."""
        with open(clock, "r+b" if clock.exists() else "wb") as f:
            f.write(struct.pack("=q", seconds))

    jump(0)
    vpn.culvert.kill_control()
    vpn.culvert.start_control({"LD_PRELOAD": str(build_root() / "tests/lab/libclock_shim.so"), "CULVERT_LAB_CLOCK": str(clock),
                               "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"})
    vpn.up("responder")
    for years, why in ((-3, "not valid yet"), (3, "expired")):
        ikes = vpn.daemon.ike_ids()
        jump(years * YEAR_S)
        with vpn.site.stream(interval=0.01) as stream:
            vpn.daemon.rekey_child()
            vpn.site.ping(count=5, interval=0.1)
        require(stream.lost == 0, stream.result.text)
        require(vpn.daemon.ike_ids() == ikes and vpn.daemon.child_count() == 1, vpn.daemon.sas())
        require(len(vpn.culvert.show("crypto", "ikev2", "sa")["sas"]) == 1, "the IKE SA is not shown")
        vpn.down()
        said = lab.log_text("culvertd.log").count(why)
        vpn.daemon.initiate(10, check=False)
        wait_until(lambda s=said, w=why: lab.log_text("culvertd.log").count(w) > s, 15, f"culvertd to say {why!r}")
        require(vpn.daemon.child_count() == 0, vpn.daemon.sas())
        jump(0)
        vpn.up("responder")
    vpn.require_traffic((56,))
