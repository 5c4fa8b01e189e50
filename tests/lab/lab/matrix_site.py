# SPDX-License-Identifier: BSD-3-Clause
"""Runs cells of the matrix (matrix.py) against one Linux kernel: one lab with one peer and one Culvert takes many cells at
a time. A tunnel cell is a child of its own, for one host behind the peer; a transport cell has an address of the peer's
for itself. The two ends take turns in who begins, and the IKE versions where IKEv1 has numbers for the cell."""
import re

from . import config as cfg
from .cell_site import CellSite, cell_host, seen_in_clear
from .core import LabError, wait_until
from .ikedaemons import Conn, StrongSwan, block
from .matrix import SIZES
from .topology import GW_WAN, HOST_A, NEXT_HOP, PEER_BEHIND_NAT, PLEN

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
            self.there = cell_host(number, cell.inner)
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


class MatrixSite(CellSite):
    def __init__(self, lab, nat=False):
        super().__init__(lab, "peer" if nat else None, "strongswan", self.base())
        self.peer.sh("sysctl -qw net.core.xfrm_acq_expires=2; modprobe -a -q ah4 ah6 || true")
        self.daemon = None
        self.addresses = {4: set(), 6: set()}
        self.refused = {}

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
        self.let_neighbours_speak()     # each time: the end of a daemon takes all policies along
        self.daemon = Daemon(self.peer, plans)
        self.daemon.start()
        clear = self.watch_clear()
        self.culvert.commit(self.config(plans))
        tunnels = [plan for plan in plans if plan.cell.mode == "tunnel"]
        transports = [plan for plan in plans if plan.cell.mode == "transport"]
        self.bring_up(tunnels, transports)
        up = set(self.daemon.installed())
        # an end point without an SA would speak in clear, as its daemon has no trap for a cell that Culvert begins
        transports = [plan for plan in transports if plan.name in up]
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

    def bring_up(self, tunnels, transports):
        """The first packet of each flow is what starts its negotiation, from the side whose turn it is."""
        for where, plans, begins in (("host-a", tunnels, True), ("host-b", tunnels, False)):
            mine = [plan for plan in plans if plan.culvert_begins == begins]
            self.ping(where, self.flows(mine, begins), (100,), 8, 1.5)
        mine = [plan for plan in transports if not plan.culvert_begins]
        self.ping("peer", self.flows(mine, False), (100,), 8, 1.5)
        every = {plan.name for plan in tunnels + transports}
        try:
            wait_until(lambda: every <= set(self.daemon.installed()), 60, "the SAs of all cells", 0.5)
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
        if leak := seen_in_clear(plan, leaks):
            return leak
        # one at least for each size and direction, else they took another way
        if min(sa[1], sa[2]) < len(SIZES) * len(ways):
            return f"the kernel counted only {sa[1]} packets in and {sa[2]} out on this SA"
        return ""
