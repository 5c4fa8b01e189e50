# SPDX-License-Identifier: BSD-3-Clause
"""Real peers beyond a path that loses, repeats and reorders what IKE says (issue 4)."""
import json
import sys

from lab.core import SOURCE, require, wait_until
from lab.vpn import Vpn

LOST, REPEATED, LATE = 20, 20, 20  # per cent


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
