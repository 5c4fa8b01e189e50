# SPDX-License-Identifier: BSD-3-Clause
"""Multicast streams through the gateway (multicast_program.py), and the routes for them."""
import json
import sys
from pathlib import Path

from .core import require, wait_until

PROGRAM = Path(__file__).with_name("multicast_program.py")
PORT = 5000


def send(lab, ns, device, group, ttl=16, count=100):
    lab.run(ns, sys.executable, PROGRAM, "send", group, PORT, device, ttl, count, timeout=30)


def send_from_peer(peer, device, group, ttl=16, count=100):
    peer.sh(f"python3 {PROGRAM} send {group} {PORT} {device} {ttl} {count}", timeout=30)


class Receiver:
    """Joins a group on a device of a namespace, or of the peer, and counts."""

    def __init__(self, lab, group, device, ns=None, peer=None):
        self.path = (peer.work if peer else lab.work) / f"received-{group.replace(':', '-')}"
        argv = ["python3" if peer else sys.executable, PROGRAM, "receive", group, PORT, device, self.path]
        if peer:
            peer.background(" ".join(map(str, argv)), "receiver.log")
        else:
            lab.spawn(ns, argv, f"{self.path.name}.log")
        wait_until(self.path.exists, 15, f"a receiver of {group}")

    @property
    def seen(self):
        return json.loads(self.path.read_text())

    def require_all(self, count):
        """Each of the numbers of a stream, once."""
        wait_until(lambda: len(self.seen) == count, 10, f"all {count} packets of a stream to arrive")
        require(set(self.seen.values()) == {1}, f"twice: {[n for n, times in self.seen.items() if times > 1]}")


def route(group, into, *out, source="any"):
    """A configured route; out: (interface, TTL threshold)."""
    return {"vrf": "global", "group": group, "source": source, "incoming-interface": into,
            "outgoing-interface": [{"name": name, "ttl-threshold": threshold} for name, threshold in out]}


def shown(culvert, group):
    """What Culvert says of its route, None when it has none."""
    return next((r for r in culvert.show("ip", "mroute")["routes"] if r["group"] == group), None)
