# SPDX-License-Identifier: BSD-3-Clause
"""One Linux peer and one Culvert that take many cells of a matrix at a time: each cell is an SA pair of its own, in tunnel
mode for one host behind the peer, for which host-b answers."""
import json
import re
import shutil
import sys
from pathlib import Path

from .core import wait_until
from .gateway import Culvert
from .topology import HOST_B, Site

CELL_NET = {4: "10.3.0.0/16", 6: "2001:db8:3::/64"}     # hosts behind the peer, one for each cell


def cell_host(number, family):
    """Counted from 1: the address with host number 0 is the subnet routers' (RFC 4291 2.6.1), and is written in another way."""
    host = number + 1
    return f"10.3.{host >> 8}.{host & 255}" if family == 4 else f"2001:db8:3::{host:x}"


def seen_in_clear(plan, leaks):
    """What clear.log has that Culvert sent for a cell, as a reason why the cell failed; or "". What the peer sends in clear
    while it installs its SAs is its own affair."""
    ours = re.compile(rf"IP6? {re.escape(plan.here)} > {re.escape(plan.there)}: ")
    lines = [line for line in leaks.splitlines() if ours.match(line)]
    return f"{len(lines)} packets in clear on the wire, first {lines[0].strip()}" if lines else ""


class CellSite:
    def __init__(self, lab, nat, daemon, base):
        self.lab, self.nat = lab, nat
        self.site = site = Site(lab, nat)
        self.peer = site.boot_peer(daemon)
        for name in ("matrix_pinger.py", "pinger.py"):
            shutil.copy(Path(__file__).with_name(name), self.peer.work / name)
        for family in (4, 6):
            self.peer.sh(f"ip -{family} route add {CELL_NET[family]} via {HOST_B[family]}")
            lab.run("host-b", "ip", f"-{family}", "route", "add", "local", CELL_NET[family], "dev", "lo")
        # IPv6 routers do not fragment; hosts that know the MTU of the path do.
        for ns, via in (("host-a", "2001:db8:1::1"), ("host-b", "2001:db8:2::1")):
            lab.run(ns, "ip", "-6", "route", "replace", "default", "via", via, "mtu", "1280")
        self.culvert = Culvert(lab).start(base)

    def close(self):
        """Make room for the next site: everything that this one made goes."""
        self.lab.close_site()

    def ping(self, where, flows, sizes, tries, patience=1.0, gap=0.004):
        """{id: sizes answered}; where: host-a, host-b, or the peer. gap: seconds between packets."""
        if not flows:
            return {}
        job = {"flows": flows, "sizes": list(sizes), "tries": tries, "patience": patience, "gap": gap}
        seconds = 20 + tries * (patience + (gap + 0.016) * len(flows) * len(sizes))
        file = self.peer.file(f"job-{where}.json", json.dumps(job))
        script = self.peer.work / "matrix_pinger.py"
        if where == "peer":
            return json.loads(self.peer.sh(f"python3 {script} {file}", timeout=seconds))
        return json.loads(self.lab.run(where, sys.executable, script, file, timeout=seconds).stdout)

    @staticmethod
    def flows(plans, from_here):
        """Flows from the host behind Culvert of each plan to the one behind the peer, or back."""
        return [{"id": plan.name, "family": 4 if ":" not in plan.here else 6,
                 "source": plan.here if from_here else plan.there, "target": plan.there if from_here else plan.here}
                for plan in plans]

    def watch_clear(self):
        """Echo messages that pass outside in clear; what was seen is in clear.log once the process was stopped."""
        open(self.lab.work / "clear.log", "w", encoding="ascii").close()
        process = self.lab.spawn("wan", ["tcpdump", "-i", "outside", "-n", "-l", "-t", "-q",
                                         "icmp[icmptype] == icmp-echo or icmp[icmptype] == icmp-echoreply or "
                                         "(icmp6 and (ip6[40] == 128 or ip6[40] == 129))"], "clear.log")
        wait_until(lambda: "listening on" in self.lab.log_text("clear.log"), 10, "tcpdump to listen")
        return process
