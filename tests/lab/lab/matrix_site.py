# SPDX-License-Identifier: BSD-3-Clause
"""Runs cells of the matrix (matrix.py) against one Linux kernel: one lab with one peer and one Culvert takes many cells at
a time. A tunnel cell is a child of its own, for one host behind the peer; a transport cell has an address of the peer's
for itself. The two ends take turns in who begins, and the IKE versions where IKEv1 has numbers for the cell."""
import json
import re
import shutil
import sys
from pathlib import Path

from . import config as cfg
from .core import LabError, wait_until
from .gateway import Culvert
from .ikedaemons import Conn, StrongSwan, block
from .matrix import SIZES
from .topology import GW_WAN, HOST_A, HOST_B, NEXT_HOP, PEER_BEHIND_NAT, PLEN, Site

CELL_NET = {4: "10.3.0.0/16", 6: "2001:db8:3::/64"}     # hosts behind the peer, one for each cell; host-b answers for all
OUTER = {4: "192.0.2.{}", 6: "2001:db8:f::{:x}"}
FIRST_OUTER = 10


class Plan:
    """A cell with what it needs to be run: numbers, addresses, who begins."""

    def __init__(self, number, cell):
        self.number, self.cell, self.name = number, cell, f"c{number}"
        self.version = 1 if number % 3 == 0 and v1_can(cell) else 2
        # Nobody reaches a peer behind a NAT before it has spoken.
        self.culvert_begins = number % 2 == 0 and cell.nat != "nat"
        self.own = self.seen = None     # the peer's address, as it knows it and as Culvert sees it
        if cell.mode == "tunnel":
            self.here = HOST_A[cell.inner]
            # from 1: the address with host number 0 is the subnet routers' (RFC 4291 2.6.1), and is written in another way
            host = number + 1
            self.there = f"10.3.{host >> 8}.{host & 255}" if cell.inner == 4 else f"2001:db8:3::{host:x}"
        else:
            self.here = GW_WAN[cell.outer]

    def set_peer(self, own, seen):
        self.own, self.seen = own, seen
        if self.cell.mode == "transport":
            self.there = own

    @property
    def group(self):
        """Cells of one group share an IKE SA."""
        cell = self.cell
        if cell.mode == "transport":
            return self.name
        return f"o{cell.outer}v{self.version}{cell.nat}"


def v1_can(cell):
    """IKEv1 has no numbers for ChaCha20-Poly1305 and AES-CMAC, and strongSwan no ESN with it."""
    return "poly1305" not in cell.cipher and "cmac" not in cell.integrity and not cell.esn


class Daemon(StrongSwan):
    """strongSwan with the connections of a batch."""

    def __init__(self, peer, plans):
        # its default of 3 quick modes at a time refuses the fourth
        super().__init__(peer, Conn("", "", [], [], extra={"charon": {"max_ikev1_exchanges": 500}}))
        self.plans = plans

    def load(self, conn=None):
        connections = {}
        for plan in self.plans:
            cell = plan.cell
            connection = connections.setdefault(plan.group, {
                "version": plan.version, "local_addrs": plan.own, "remote_addrs": GW_WAN[cell.outer],
                "proposals": "aes256-sha256-ecp256", "mobike": "no", "encap": "yes" if cell.nat == "udp" else "no",
                # behind the NAT both versions have the same two identities: the INITIAL_CONTACT of the second to be up
                # would tell Culvert to forget the first (RFC 7296 2.4)
                "unique": "never",
                "local": {"auth": "psk", "id": plan.own}, "remote": {"auth": "psk", "id": GW_WAN[cell.outer]},
                "children": {}})
            width = 32 if (cell.inner if cell.mode == "tunnel" else cell.outer) == 4 else 128
            connection["children"][plan.name] = {
                f"{cell.protocol}_proposals": cell.proposal, "mode": cell.mode, "replay_window": 64,
                "local_ts": f"{plan.there}/{width}", "remote_ts": f"{plan.here}/{width}",
                # A trap keeps the peer from answering in clear while it is still installing the SAs.
                "start_action": "none" if cell.mode == "transport" and plan.culvert_begins else "trap"}
        text = block("connections", connections) + "\n" + \
            block("secrets", {"ike-lab": {"secret": f'"{cfg.PSK}"'}}) + "\n"
        self.peer.file("swanctl.conf", text, 0o600)
        out = self.swanctl(f"--load-all --clear --file {self.peer.work}/swanctl.conf", timeout=60)
        for name in connections:
            if f"loaded connection '{name}'" not in out:
                raise LabError(f"strongSwan did not load {name}:\n{out}")

    def installed(self):
        """{child: [mode, protocol and algorithms; packets in; packets out]} of what the kernel has."""
        found, current = {}, None
        for line in self.sas().splitlines():
            match = re.match(r"  (c\d+): #\d+, reqid \d+, INSTALLED, (.*)", line)
            if match:
                current = found.setdefault(match[1], [match[2], 0, 0])
                current[0] = match[2]
            match = re.match(r"    (in|out) .*?(\d+) packets", line)
            if match and current:
                current[1 if match[1] == "in" else 2] += int(match[2])
        return found


class MatrixSite:
    def __init__(self, lab, nat=False):
        self.lab, self.nat = lab, nat
        self.site = site = Site(lab, "peer" if nat else None)
        self.peer = site.boot_peer("strongswan")
        for name in ("matrix_pinger.py", "pinger.py"):
            shutil.copy(Path(__file__).with_name(name), self.peer.work / name)
        for family in (4, 6):
            self.peer.sh(f"ip -{family} route add {CELL_NET[family]} via {HOST_B[family]}")
            lab.run("host-b", "ip", f"-{family}", "route", "add", "local", CELL_NET[family], "dev", "lo")
        # IPv6 routers do not fragment; hosts that know the MTU of the path do.
        for ns, via in (("host-a", "2001:db8:1::1"), ("host-b", "2001:db8:2::1")):
            lab.run(ns, "ip", "-6", "route", "replace", "default", "via", via, "mtu", "1280")
        self.peer.sh("sysctl -qw net.core.xfrm_acq_expires=2; modprobe -a -q ah4 ah6 || true")
        self.let_neighbours_speak()
        self.culvert = Culvert(lab).start(self.base())
        self.daemon = None
        self.addresses = {4: set(), 6: set()}
        self.refused = {}

    def close(self):
        """Make room for the next site: everything that this one made goes."""
        self.lab.close_site()

    def let_neighbours_speak(self):
        """Transport mode between the gateways' own IPv6 addresses covers Neighbour Discovery too, and Linux would hold it
        until there is an SA, which cannot come without it. What an operator configures as a pass shunt."""
        self.peer.sh("\n".join(f"ip xfrm policy add src ::/0 dst ::/0 proto ipv6-icmp type {kind} dir {way} priority 1 "
                               "action allow" for kind in (135, 136) for way in ("in", "out")))

    # ---- configuration ----

    @staticmethod
    def base():
        config = cfg.base()
        config["culvert-platform:platform"]["allow-legacy"] = True
        return config

    @staticmethod
    def transform_set(cell):
        return {"transform": cell.transforms, "mode": cell.mode, "esn": cell.esn}

    def why_refused(self, cell):
        """Culvert's error about the cell's transform set, or None."""
        key = (cell.suite, cell.mode, cell.esn)
        if key not in self.refused:
            config = self.base()
            config["culvert-ipsec:ipsec"] = {"transform-set": [{"name": "t", **self.transform_set(cell)}]}
            path = self.culvert.config_file(config, "one.json")
            done = self.culvert.cli("config", "load", path, check=False)
            if done.returncode == 0:
                done = self.culvert.cli("config", "validate", check=False)
            self.refused[key] = None if done.returncode == 0 else (done.stderr + done.stdout).strip().splitlines()[0]
        return self.refused[key]

    def config(self, plans):
        config = self.base()
        cfg.interface(config, "wan")["culvert-ipsec:crypto-map"] = "vpn"
        groups = {plan.group: plan for plan in plans}
        lists, sets, entries = [], [], []
        for plan in plans:
            cell = plan.cell
            width = 32 if ":" not in plan.here else 128
            lists.append({"name": plan.name, "line": [{
                "sequence": 10, "action": "permit", "source": f"{plan.here}/{width}",
                "destination": f"{plan.there}/{width}"}]})
            sets.append({"name": plan.name, **self.transform_set(cell)})
            entries.append({"sequence": plan.number + 1, "access-list": plan.name, "peer": [plan.seen],
                            "transform-set": [plan.name], "ike-profile": plan.group,
                            "auto-start": cell.mode == "transport" and plan.culvert_begins})
        config["culvert-acl:access-lists"] = {"access-list": lists}
        config["culvert-ike:ike"] = {
            "keyring": [{"name": "lab", "pre-shared-key": [
                {"name": f"any{family}", "address": GW_WAN[family] + f"/{PLEN[family]}", "key": cfg.PSK}
                for family in (4, 6)]}],
            "proposal": [{"name": "lab", "encryption": ["aes256-cbc"], "integrity": ["sha256"], "prf": ["sha256"],
                          "group": ["group19"]}],
            "policy": [{"priority": 10, "encryption": "aes256-cbc", "hash": "sha256", "authentication": "pre-share",
                        "group": "group19"}],
            "profile": [{"name": name, "version": f"ikev{plan.version}", "keyring": ["lab"],
                         "match-identity": [{"name": "peer", "type": "address", "value": plan.own}],
                         "force-encapsulation": plan.cell.nat == "udp",
                         **({"proposal": ["lab"]} if plan.version == 2 else {})} for name, plan in groups.items()]}
        config["culvert-ipsec:ipsec"] = {"transform-set": sets, "crypto-map": [{"name": "vpn", "entry": entries}]}
        return config

    def give_addresses(self, plans):
        """An outer address of the peer's for each group."""
        given, new = {}, []
        for plan in plans:
            family, key = plan.cell.outer, (plan.group, plan.cell.outer)
            if self.nat:
                plan.set_peer(PEER_BEHIND_NAT, NEXT_HOP[4])
                continue
            if key not in given:
                given[key] = OUTER[family].format(FIRST_OUTER + len(given))
                if given[key] not in self.addresses[family]:
                    new.append(f"ip addr add {given[key]}/{PLEN[family]} dev vec0" + (" nodad" if family == 6 else ""))
                    self.addresses[family].add(given[key])
            plan.set_peer(given[key], given[key])
        if new:
            self.peer.sh("\n".join(new))

    # ---- traffic ----

    def ping(self, where, flows, sizes, tries, patience=1.0):
        """{id: sizes answered}; where: host-a, host-b, or the peer."""
        if not flows:
            return {}
        job = {"flows": flows, "sizes": list(sizes), "tries": tries, "patience": patience, "gap": 0.004}
        seconds = 20 + tries * (patience + 0.02 * len(flows) * len(sizes))
        file = self.peer.file(f"job-{where}.json", json.dumps(job))
        script = self.peer.work / "matrix_pinger.py"
        if where == "peer":
            return json.loads(self.peer.sh(f"python3 {script} {file}", timeout=seconds))
        return json.loads(self.lab.run(where, sys.executable, script, file, timeout=seconds).stdout)

    @staticmethod
    def flows(plans, from_here):
        """Flows of tunnel cells, from host-a or to it; of transport cells, from the peer."""
        return [{"id": plan.name, "family": 4 if ":" not in plan.here else 6,
                 "source": plan.here if from_here else plan.there, "target": plan.there if from_here else plan.here}
                for plan in plans]

    # ---- a batch ----

    def run(self, cells):
        """{cell: "" when it passed, or why it did not}"""
        verdict = {cell: self.why_refused(cell) for cell in cells}
        plans = [Plan(number, cell) for number, cell in enumerate(cells) if not verdict[cell]]
        verdict = {cell: f"Culvert refuses it: {text}" for cell, text in verdict.items() if text}
        if not plans:
            return verdict
        self.give_addresses(plans)
        if self.daemon:
            self.culvert.commit(self.base())
            self.daemon.kill()
        self.daemon = Daemon(self.peer, plans)
        self.daemon.start()
        clear = self.watch_clear()
        self.culvert.commit(self.config(plans))
        tunnels = [plan for plan in plans if plan.cell.mode == "tunnel"]
        transports = [plan for plan in plans if plan.cell.mode == "transport"]
        self.bring_up(tunnels, transports)
        outward = self.ping("host-a", self.flows(tunnels, True), SIZES, 3)
        inward = {**self.ping("host-b", self.flows(tunnels, False), SIZES, 3),
                  **self.ping("peer", self.flows(transports, False), SIZES, 3)}
        installed = self.daemon.installed()
        self.lab.stop(clear)
        leaks = self.lab.log_text("clear.log")
        for plan in plans:
            # the answers of transport cells are the way out: the peers are the end points
            ways = [("in", inward)] + ([("out", outward)] if plan in tunnels else [])
            verdict[plan.cell] = self.judge(plan, installed.get(plan.name), ways, leaks)
        return verdict

    def watch_clear(self):
        open(self.lab.work / "clear.log", "w", encoding="ascii").close()
        process = self.lab.spawn("wan", ["tcpdump", "-i", "outside", "-n", "-l", "-t", "-q",
                                         "icmp[icmptype] == icmp-echo or icmp[icmptype] == icmp-echoreply or "
                                         "(icmp6 and (ip6[40] == 128 or ip6[40] == 129))"], "clear.log")
        wait_until(lambda: "listening on" in self.lab.log_text("clear.log"), 10, "tcpdump to listen")
        return process

    def bring_up(self, tunnels, transports):
        """The first packet of each flow is what starts its negotiation, from the side whose turn it is."""
        for where, plans, begins in (("host-a", tunnels, True), ("host-b", tunnels, False)):
            mine = [plan for plan in plans if plan.culvert_begins == begins]
            self.ping(where, self.flows(mine, begins), (100,), 8, 1.5)
        mine = [plan for plan in transports if not plan.culvert_begins]
        self.ping("peer", self.flows(mine, False), (100,), 8, 1.5)
        theirs = {plan.name for plan in transports if plan.culvert_begins}
        try:
            wait_until(lambda: theirs <= set(self.daemon.installed()), 10, "the transport SAs that Culvert begins", 0.5)
        except LabError:
            pass    # judged one by one

    @staticmethod
    def judge(plan, sa, ways, leaks):
        if not sa:
            return "no SA came up"
        if sa[0] != plan.cell.installed:
            return f"the kernel has {sa[0]}, expected {plan.cell.installed}"
        for way, answered in ways:
            missing = [size for size in SIZES if size not in answered.get(plan.name, [])]
            if missing:
                return f"{way}: no answer to packets of {missing} bytes"
        if re.search(rf"{re.escape(plan.there)}\b", leaks):
            return "packets in clear on the wire"
        # one at least for each size and direction, else they took another way
        if min(sa[1], sa[2]) < len(SIZES) * len(ways):
            return f"the kernel counted only {sa[1]} packets in and {sa[2]} out on this SA"
        return ""
