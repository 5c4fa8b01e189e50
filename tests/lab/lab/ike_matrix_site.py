# SPDX-License-Identifier: BSD-3-Clause
"""Runs cells of the IKE matrix (ike_matrix.py): all cells of one daemon and one kind of NAT at a time. Each has an outer address
of the peer's for itself, and with it an IKE SA, and a child for one host behind the peer."""
import re

from . import config as cfg
from .cell_site import CellSite, cell_host, seen_in_clear
from .core import LabError, speed, wait_until
from .ike_matrix import AEAD, CIPHERS, GROUPS, HASHES, KEYS
from .ikedaemons import Conn, Libreswan, StrongSwan, block
from .pki import Pki
from .topology import GW_WAN, HOST_A, NAT_FAR

SIZES = (100, 1500)
# More than a child that lives 1024 kilobytes can take; and longer than an IKE SA that lives 60 seconds.
MANY_SIZES = range(8000, 8150)
MANY_SECONDS = 10   # so slowly that there is time between the soft limit and the hard one
IKE_SECONDS = 60
FRAGMENT = 576


class Plan:
    """A cell with what it needs to be run: addresses and names."""

    def __init__(self, number, cell):
        self.number, self.cell, self.name = number, cell, f"c{number}"
        self.v1 = cell.version != "2"
        self.begins = cell.role == "initiator"
        self.here, self.there = HOST_A[4], cell_host(number, 4)
        host = 10 + number
        # as the peer knows its address, and as Culvert sees it
        self.own = f"192.0.2.{host}" if cell.nat == "none" else f"203.0.113.{host}"
        self.seen = f"203.0.113.{host}" if cell.nat == "culvert" else f"192.0.2.{host}"
        self.gateway = NAT_FAR if cell.nat == "culvert" else GW_WAN[4]
        certificates = cell.auth != "psk"
        # a profile is chosen by identity: each cell has one of its own
        self.own_id = f"{self.name}.peer.lab" if certificates else self.own
        self.gateway_id = f"gw1-{cell.auth}.lab" if certificates else GW_WAN[4]

    @property
    def words(self):
        """(cipher, hash, group) as CIPHERS, HASHES and GROUPS have them."""
        return CIPHERS[self.cell.cipher], HASHES[self.cell.hash], GROUPS[self.cell.group]


class _Swan(StrongSwan):
    """strongSwan with the connections of a batch."""

    def __init__(self, peer, plans, pki):
        super().__init__(peer, Conn("", "", [], [], extra={"charon": {
            "max_ikev1_exchanges": 500, "fragment_size": FRAGMENT, "i_dont_care_about_security_and_use_aggressive_mode_psk": "yes"}}))
        self.plans, self.pki = plans, pki

    @staticmethod
    def proposal(plan):
        cipher, digest, group = plan.words
        middle = f"prf{digest[0]}" if plan.cell.cipher in AEAD else digest[0]
        return f"{cipher[0]}-{middle}-{group[0]}"

    def load(self, conn=None):
        self._certificates()
        connections = {plan.name: self._connection(plan) for plan in self.plans}
        words = block("connections", connections) + "\n" + \
            block("secrets", {"ike-lab": {"secret": f'"{cfg.PSK}"'}}) + "\n"
        self.peer.file("swanctl.conf", words, 0o600)
        out = self.swanctl(f"--load-all --clear --file {self.peer.work}/swanctl.conf", timeout=60)
        for name in connections:
            if f"loaded connection '{name}'" not in out:
                raise LabError(f"strongSwan did not load {name}:\n{out}")

    def _certificates(self):
        files = [("x509ca", "ca.pem")] + [(kind, f"{plan.name}.{end}") for plan in self.plans if plan.cell.auth != "psk"
                                          for kind, end in (("x509", "pem"), ("private", "key"))]
        for kind, name in files:
            (self.peer.work / kind).mkdir(exist_ok=True)
            (self.peer.work / kind / name).write_bytes(self.pki.path(name).read_bytes())

    def _connection(self, plan):
        cell = plan.cell
        ends = [{"auth": "psk"}, {"auth": "psk"}] if cell.auth == "psk" else \
            [{"auth": "pubkey", "certs": f"{plan.name}.pem"}, {"auth": "pubkey", "cacerts": "ca.pem"}]
        return {
            "version": 1 if plan.v1 else 2, "local_addrs": plan.own, "remote_addrs": plan.gateway,
            "proposals": self.proposal(plan), "mobike": "no", "aggressive": "yes" if "aggr" in cell.version else "no",
            "fragmentation": "yes" if cell.fragments else "no", "rekey_time": "4h",
            "local": {**ends[0], "id": plan.own_id}, "remote": {**ends[1], "id": plan.gateway_id},
            "children": {plan.name: {
                "esp_proposals": "aes128gcm16" + (f"-{plan.words[2][0]}" if cell.pfs else ""),
                "local_ts": f"{plan.there}/32", "remote_ts": f"{plan.here}/32", "rekey_time": "1h",
                "start_action": "none" if plan.begins else "trap"}}}

    def found(self):
        """{cell: (IKE SA, child SA, what the peer says of them)}"""
        found, ike, name, child, role = {}, None, None, None, None
        for line in self.sas().splitlines():
            if match := re.match(r"(c\d+): #(\d+), ESTABLISHED, IKEv([12]), \S+_i(\*?)", line):
                name, ike, role = match[1], match[2], f"IKEv{match[3]}, Culvert is {'responder' if match[4] else 'initiator'}, "
                child = None
            elif name and (match := re.match(r"  ([A-Z0-9_]+-?\d*/\S+)$", line)):
                role += match[1]
            elif name and (match := re.match(r"  (c\d+): #(\d+), reqid \d+, INSTALLED, (.*)", line)) and match[1] == name:
                child = match[2]
                found[name] = (ike, child, role, match[3])
        return found

    @staticmethod
    def expected(plan):
        cipher, digest, group = plan.words
        names = [cipher[1], *([] if plan.cell.cipher in AEAD else [digest[1]]), digest[2], group[1]]
        return f"IKEv{1 if plan.v1 else 2}, Culvert is {plan.cell.role}, {'/'.join(names)}"

    def begin(self, plan):
        """Its traps do that."""

    def rekey_child_of(self, plan):
        self.swanctl(f"--rekey --child {plan.name}")

    def rekey_ike_of(self, plan):
        self.swanctl(f"--rekey --ike {plan.name}")


class _Pluto(Libreswan):
    """libreswan with the connections of a batch."""

    def __init__(self, peer, plans):
        super().__init__(peer, Conn("", "", [], []))
        self.plans = plans

    @staticmethod
    def proposal(plan):
        cipher, digest, group = plan.words
        return f"{cipher[2]}-{digest[3]};{group[2]}"

    def connections(self):
        lines = []
        for plan in self.plans:
            cell = plan.cell
            lines += ["", f"conn {plan.name}", f"  left={plan.own}", f"  right={plan.gateway}", "  authby=secret",
                      f"  ikev2={'no' if plan.v1 else 'yes'}", f"  aggressive={'yes' if 'aggr' in cell.version else 'no'}",
                      f"  ike={self.proposal(plan)}",
                      "  esp=aes_gcm128" + (f";{plan.words[2][2]}" if cell.pfs else ""), f"  pfs={'yes' if cell.pfs else 'no'}",
                      f"  leftid={plan.own_id}", f"  rightid={plan.gateway_id}", f"  leftsubnet={plan.there}/32",
                      f"  rightsubnet={plan.here}/32", f"  fragmentation={'yes' if cell.fragments else 'no'}", "  mobike=no",
                      "  salifetime=1h", "  ikelifetime=4h", f"  auto={'add' if plan.begins else 'ondemand'}"]
        return lines

    def names(self):
        return [plan.name for plan in self.plans]

    def found(self):
        """{cell: (IKE SA, child SA, what the peer says of them)}"""
        found = {}
        status = self.peer.sh("/usr/libexec/ipsec/whack --status", check=False)
        for plan in self.plans:
            newest = re.search(rf'"{plan.name}":   newest (?:ISAKMP|IKE) SA: #(\d+); newest (?:IPsec|Child) SA: #(\d+)', status)
            words = re.search(rf'"{plan.name}":   IKE(?:v1|v2)? algorithm newest: (\S+)', status)
            if newest and newest[1] != "0" and newest[2] != "0":
                found[plan.name] = (newest[1], newest[2], words[1] if words else "")
        return found

    @staticmethod
    def expected(plan):
        cipher, digest, group = plan.words
        return "-".join((cipher[3], digest[4], group[3]))

    def begin(self, plan):
        """A trap of the kernel that pluto was too busy to hear of is silent for half a minute."""
        self.peer.sh(f"/usr/libexec/ipsec/whack --initiate --asynchronous --name {plan.name}", check=False)

    def rekey_child_of(self, plan):
        self.peer.sh(f"/usr/libexec/ipsec/whack --rekey-ipsec --name {plan.name}", check=False)

    def rekey_ike_of(self, plan):
        self.peer.sh(f"/usr/libexec/ipsec/whack --rekey-ike --name {plan.name}", check=False)


class IkeMatrixSite(CellSite):
    def __init__(self, lab, nat, daemon, pki):
        super().__init__(lab, None if nat == "none" else nat, daemon, self.base())
        self.pki, self.daemon = pki, None

    @staticmethod
    def base():
        config = cfg.base()
        config["culvert-platform:platform"]["allow-legacy"] = True
        return config

    # ---- configuration ----

    def config(self, plans):
        config = self.base()
        cfg.interface(config, "wan")["culvert-ipsec:crypto-map"] = "vpn"
        config["culvert-acl:access-lists"] = {"access-list": [{"name": plan.name, "line": [{
            "sequence": 10, "action": "permit", "source": f"{plan.here}/32", "destination": f"{plan.there}/32"}]} for plan in plans]}
        config["culvert-pki:pki"] = {"trust-point": [{
            "name": auth, "ca-certificate": [str(self.pki.path("ca.pem"))],
            "certificate": str(self.pki.path(f"gw1-{auth}.pem")), "private-key": str(self.pki.path(f"gw1-{auth}.key"))}
            for auth in KEYS]}
        config["culvert-ike:ike"] = {
            # Not for the others: strongSwan takes the method of an IKEv1 offer from its first transform, whichever it chooses.
            "keyring": [{"name": "lab", "pre-shared-key": [{"name": plan.name, "address": plan.seen, "key": cfg.PSK}
                                                           for plan in plans if plan.cell.auth == "psk"]}],
            "policy": self.policies(plans),
            "proposal": [self.proposal(plan) for plan in plans if not plan.v1],
            "profile": [self.profile(plan) for plan in plans]}
        config["culvert-ipsec:ipsec"] = {
            "transform-set": [{"name": "lab", "algorithm": "aes128-gcm16"}],
            "crypto-map": [{"name": "vpn", "entry": [{
                "sequence": plan.number + 1, "access-list": plan.name, "peer": [plan.seen], "transform-set": ["lab"],
                "ike-profile": plan.name, **({"pfs": plan.cell.group} if plan.cell.pfs else {}),
                **({"lifetime": {"kilobytes": 1024}} if plan.cell.rekey == "child by Culvert" else {})} for plan in plans]}]}
        return config

    @staticmethod
    def policies(plans):
        """Those of IKEv1 are the router's; group 14 comes first, for aggressive mode."""
        seconds = {}
        for plan in plans:
            if plan.v1:
                cell = plan.cell
                words = (cell.cipher, cell.hash, cell.group, {"psk": "pre-share"}.get(cell.auth, f"{cell.auth}-sig"))
                seconds[words] = min(seconds.get(words, 86400), IKE_SECONDS if cell.rekey == "IKE by Culvert" else 86400)
        ordered = sorted(seconds, key=lambda words: words[2] != "group14")
        return [{"priority": n, "encryption": words[0], "hash": words[1], "group": words[2], "authentication": words[3],
                 "lifetime": seconds[words]} for n, words in enumerate(ordered, 1)]

    @staticmethod
    def proposal(plan):
        cell = plan.cell
        return {"name": plan.name, "encryption": [cell.cipher], "prf": [cell.hash], "group": [cell.group],
                **({} if cell.cipher in AEAD else {"integrity": [cell.hash]})}

    @staticmethod
    def profile(plan):
        cell = plan.cell
        profile = {"name": plan.name, "version": "ikev1" if plan.v1 else "ikev2",
                   "fragmentation": {"enabled": cell.fragments, "size": FRAGMENT}}
        if cell.auth == "psk":
            profile["keyring"] = ["lab"]
            profile["match-identity"] = [{"name": "peer", "type": "address", "value": plan.own_id}]
        else:
            profile["trust-point"] = [cell.auth]
            profile["local-identity"] = {"type": "fqdn", "value": plan.gateway_id}
            profile["match-identity"] = [{"name": "peer", "type": "fqdn", "value": plan.own_id}]
        if plan.v1:
            if "aggr" in cell.version:
                profile["aggressive-mode"] = {
                    "initiate": plan.begins, "allow-preshared-key" if cell.auth == "psk" else "allow-signature": True}
            return profile
        profile["proposal"] = [plan.name]
        if cell.auth != "psk":
            profile["authentication"] = {"local": "signature", "remote": "signature"}
        if cell.rekey == "IKE by Culvert":
            profile["lifetime"] = IKE_SECONDS
        return profile

    def give_addresses(self, plans):
        lines = "\n".join(f"addr add {plan.own}/24 dev vec0" for plan in plans)
        self.peer.sh(f"ip -batch - <<'END'\n{lines}\nEND")
        if self.nat == "peer":
            rules = "\n".join(f'add rule ip lab post oifname "near" ip saddr {plan.own} meta l4proto udp '
                              f"snat to {plan.seen}:40000-60000 random" for plan in plans)
            for plan in plans:
                self.lab.run("nat", "ip", "addr", "add", f"{plan.seen}/24", "dev", "near")
            self.lab.run("nat", "nft", "-f", "-", stdin=f"flush chain ip lab post\n{rules}\n")

    # ---- a batch ----

    def run(self, cells):
        """{cell: "" when it passed, or why it did not}"""
        plans = [Plan(number, cell) for number, cell in enumerate(cells)]
        self.give_addresses(plans)
        for plan in plans:
            if plan.cell.auth != "psk":
                self.pki.issue(plan.name, KEYS[plan.cell.auth], f"DNS:{plan.own_id}", 100 + plan.number)
        daemon = _Swan(self.peer, plans, self.pki) if cells[0].daemon == "strongswan" else _Pluto(self.peer, plans)
        self.daemon = daemon.start()
        clear = self.watch_clear()
        self.culvert.commit(self.config(plans))
        first = self.bring_up(plans)
        before = self.both_ways(plans)
        renewed = self.renew([plan for plan in plans if plan.name in first], first)
        after = self.both_ways(plans)
        self.lab.stop(clear)
        leaks = self.lab.log_text("clear.log")
        return {plan.cell: self.judge(plan, first.get(plan.name), before, renewed, after, leaks) for plan in plans}

    def bring_up(self, plans):
        """The first packet of each flow is what starts its negotiation, from the side whose turn it is. What the daemon has then."""
        found = {}
        for plan in plans:
            if not plan.begins:
                self.daemon.begin(plan)

        def all_up():
            for where, begins in (("host-a", True), ("host-b", False)):
                mine = [plan for plan in plans if plan.begins == begins and plan.name not in found]
                self.ping(where, self.flows(mine, begins), SIZES[:1], 2, 1.5)
            for name, what in self.daemon.found().items():
                found.setdefault(name, what)    # what was first: some are soon renewed
            return len(found) == len(plans)

        try:
            wait_until(all_up, 30, "everything to come up")
        except LabError:
            pass    # judged one by one
        return found

    def both_ways(self, plans):
        """[what was answered from here, from there]. Who is behind a NAT speaks first: it may have forgotten an idle flow."""
        ways = {"host-a": True, "host-b": False}
        order = sorted(ways, reverse=self.nat == "peer")
        answered = {where: self.ping(where, self.flows(plans, ways[where]), SIZES, 4) for where in order}
        return [answered[where] for where in ways]

    def renew(self, plans, first):
        """Everything is renewed as its cell says. What the daemon has then."""
        latest = {}

        def all_renewed():
            latest.update(self.daemon.found())
            return all(self.is_renewed(plan, first, latest) for plan in plans)

        of = {kind: [plan for plan in plans if plan.cell.rekey == kind] for kind in {plan.cell.rekey for plan in plans}}
        for plan in of.get("child by peer", []):
            self.daemon.rekey_child_of(plan)
        for plan in of.get("IKE by peer", []):
            self.daemon.rekey_ike_of(plan)
        flows = self.flows(of.get("child by Culvert", []), True)
        self.ping("host-a", flows, MANY_SIZES, 2, gap=MANY_SECONDS / (len(MANY_SIZES) * max(len(flows), 1)))
        try:
            wait_until(all_renewed, IKE_SECONDS + 15 if "IKE by Culvert" in of else 10, "everything to be renewed", 1.0 * speed())
        except LabError:
            pass    # judged one by one
        return latest

    @staticmethod
    def is_renewed(plan, first, latest):
        if plan.name not in latest:
            return False
        which = 0 if plan.cell.rekey.startswith("IKE") else 1
        return latest[plan.name][which] != first[plan.name][which]

    def judge(self, plan, first, before, renewed, after, leaks):
        if not first:
            return "nothing came up"
        wrong = self.wrong_algorithms(plan, first)
        if wrong:
            return wrong
        for when, (out, back) in (("", before), (" after it was renewed", after)):
            for way, answered in (("out", out), ("in", back)):
                missing = [size for size in SIZES if size not in answered.get(plan.name, [])]
                if missing:
                    return f"{way}{when}: no answer to packets of {missing} bytes"
        if not self.is_renewed(plan, {plan.name: first}, renewed):
            return f"not renewed: {first} before, {renewed.get(plan.name)} afterwards"
        return seen_in_clear(plan, leaks)

    def wrong_algorithms(self, plan, first):
        expected = self.daemon.expected(plan)
        return None if first[2] == expected else f"the peer has {first[2]}, expected {expected}"


def certificates(lab):
    """A CA, and a certificate of each kind of key for Culvert."""
    pki = Pki(lab)
    for number, (auth, kind) in enumerate(KEYS.items(), 1):
        pki.issue(f"gw1-{auth}", kind, f"DNS:gw1-{auth}.lab", number)
    return pki
