# SPDX-License-Identifier: BSD-3-Clause
"""Tunnel interfaces against the tunnel interfaces of a real Linux kernel."""
import json

from lab import config as cfg
from lab.core import SOURCE, require, wait_until
from lab.gateway import Culvert
from lab.ikedaemons import Conn, StrongSwan
from lab.topology import GW_WAN, HOST_B, LAN, NEXT_HOP, REMOTE, Site

MARK = 42
INNER = {4: ("10.99.0.1", "10.99.0.2", 30), 6: ("2001:db8:99::1", "2001:db8:99::2", 126)}
ANY = {4: "0.0.0.0/0", 6: "::/0"}


class Tunnel:
    """A Site with a tunnel interface of Culvert and a VTI of the peer, of one family inside and outside, and
    routes through them on both sides. tunnel, interface: fields to add to Culvert's."""

    def __init__(self, lab, version=2, family=4, tunnel=None, interface=None, start="none", change=None):
        self.lab, self.version, self.family = lab, version, family
        self.site = Site(lab)
        self.peer = self.site.boot_peer("strongswan")
        mine, theirs, plen = INNER[family]
        own, ours = NEXT_HOP[family], GW_WAN[family]
        module, kind, nodad = ("ip6_vti", "vti6", "nodad") if family == 6 else ("ip_vti", "vti", "")
        self.peer.sh(f"modprobe {module} && ip link add ipsec0 type {kind} local {own} remote {ours} key {MARK} && "
                     f"ip link set ipsec0 up && sysctl -qw net.ipv4.conf.ipsec0.disable_policy=1 && "
                     f"ip -{family} addr add {theirs}/{plen} dev ipsec0 {nodad} && "
                     f"ip -{family} route add {LAN[family]} dev ipsec0")
        self.conn = Conn(local=own, remote=ours, version=version, psk=cfg.PSK, local_ts=[ANY[family]], remote_ts=[ANY[family]],
                         local_id=own, remote_id=ours, start=start, extra={"child": {"mark_in": MARK, "mark_out": MARK}})
        self.daemon = StrongSwan(self.peer, self.conn).start()
        self.config = self.make_config(tunnel, interface)
        if change:
            change(self.config)
        self.culvert = Culvert(lab).start(self.config)

    def make_config(self, tunnel, interface):
        if (self.version, self.family, tunnel, interface) == (2, 4, None, None):
            return json.loads((SOURCE / "docs/examples/vti.json").read_text())
        mine, theirs, plen = INNER[self.family]
        config = cfg.vpn(NEXT_HOP[self.family], self.version, inner=(self.family,))
        del cfg.interface(config, "wan")["culvert-ipsec:crypto-map"]
        del config["culvert-acl:access-lists"]
        ipsec = config["culvert-ipsec:ipsec"]
        del ipsec["crypto-map"]
        ipsec["profile"] = [{"name": "P1", "transform-set": ["lab"], "ike-profile": "lab"}]
        config["ietf-interfaces:interfaces"]["interface"].append({
            "name": "tunnel0", "type": "iana-if-type:tunnel",
            f"ietf-ip:ipv{self.family}": {"address": [{"ip": mine, "prefix-length": plen}]},
            "culvert-tunnel:tunnel": {"mode": f"ipsec-ipv{self.family}", "source-interface": "wan",
                                      "destination": NEXT_HOP[self.family], "protection": {"profile": "P1"},
                                      **(tunnel or {})}, **(interface or {})})
        config["ietf-routing:routing"] = {"control-plane-protocols": {"control-plane-protocol": [
            {"type": "ietf-routing:static", "name": "global", "static-routes": {
                f"ietf-ipv{self.family}-unicast-routing:ipv{self.family}": {"route": [
                    {"destination-prefix": REMOTE[self.family], "next-hop": {"outgoing-interface": "tunnel0"}}]}}}]}}
        return config

    def interface(self, name="tunnel0"):
        return self.culvert.show("interfaces", name)["interfaces"][0]

    def wait_line(self, state, timeout=25):
        wait_until(lambda: self.interface().get("link") == state, timeout, f"the line protocol of tunnel0 to be {state}")
        return self

    def routes(self, *words):
        return self.culvert.cli("show", "ip" if self.family == 4 else "ipv6", "route", *words).stdout

    def require_traffic(self):
        """Host to host, both ways and fragmented; and the two tunnel addresses."""
        family = self.family
        if family == 6:  # the first long packet teaches the hosts the path MTU
            self.site.ping(6, 2, "host-a", 0.05, 1400, wait=0.5, check=False)
        for size in (56, 1400, 3000) if family == 4 else (56, 1400):
            self.site.ping(family, 3, "host-a", 0.05, size)
        self.site.ping(family, 3, "host-b", 0.05)
        mine, theirs, _ = INNER[family]
        self.lab.run("host-a", "ping", f"-{family}", "-n", "-c", "2", "-i", "0.2", "-W", "2", theirs)
        self.lab.run("host-b", "ping", f"-{family}", "-n", "-c", "2", "-i", "0.2", "-W", "2", mine)


def flapped(lab):
    """How often Culvert's log says that the line protocol of tunnel0 went down."""
    return lab.log_text("culvertd.log").count("tunnel0: line protocol down")


def vti(lab, version):
    """VTI-T1: static VTI. Nobody sends anything and the tunnel comes up (VTI-18); routes into it encrypt, what comes out is
    routed (VTI-1); one pair, any to any (VTI-17); a rekey from either side loses nothing and is not seen by the line
    protocol; when the SA is gone and cannot come back, line protocol and routes go (VTI-19) and nothing leaves in clear."""
    t = Tunnel(lab, version).wait_line("up")
    t.site.ping_until_works()  # an IKEv1 peer may take a moment longer than we
    capture = t.site.capture()
    t.require_traffic()
    capture.stop()
    capture.require_only_esp(20)
    text = t.culvert.cli("show", "interfaces", "tunnel0").stdout
    for line in ("tunnel0 is up, line protocol is up", "Tunnel source 192.0.2.1 (wan), destination 192.0.2.2",
                 "Tunnel protocol/transport IPsec/IP", 'Tunnel protection via IPsec (profile "P1")'):
        require(line in text, text)
    counted = t.interface()
    require(counted["rx_packets"] >= 14 and counted["tx_packets"] >= 14, f"{counted}")
    session = t.culvert.show("crypto", "session")["sessions"][0]
    flow = session["flows"][0]
    require(session["interface"] == "tunnel0" and session["peer"] == "192.0.2.2" and flow["active_sas"] in (2, 4) and
            flow["local"] == flow["remote"] == "0.0.0.0/0", f"{session}")
    table = t.routes()
    for line in ("S    10.2.0.0/24 is directly connected, tunnel0", "C    10.99.0.0/30 is directly connected, tunnel0"):
        require(line in table, table)
    downs = flapped(lab)
    with t.site.stream() as stream:
        t.daemon.rekey_child()
        wait_until(lambda: t.culvert.show("crypto", "ike", "stats")["stats"]["child_rekeyed"] >= 1, 15, "a rekey")
        t.daemon.rekey_child()
        wait_until(lambda: t.culvert.show("crypto", "ike", "stats")["stats"]["child_rekeyed"] >= 2, 15, "another one")
    require(not stream.lost and flapped(lab) == downs, f"{stream.result}")
    t.daemon.kill()
    t.culvert.cli("clear", "crypto", "session")
    t.wait_line("down")
    wait_until(lambda: flapped(lab) > downs, 5, "the log to say so")
    table = t.routes()
    t.site.ping(4, 3, "host-a", 0.05, wait=1, check=False)
    require("10.2.0.0/24" not in table and "tunnel0" not in table.replace("10.99.0.1/32 is directly connected, tunnel0", ""), table)
    capture = t.site.capture(name="down")
    t.site.ping(4, 3, "host-a", 0.05, wait=1, check=False)
    capture.stop()
    require(not capture.count("ip.addr == 10.2.0.0/24"), capture.show("ip.addr == 10.2.0.0/24"))
    t.daemon.start()
    t.wait_line("up", 40)
    t.site.ping(4, 3)


def vti_v2(lab):
    vti(lab, 2)


def vti_v1(lab):
    vti(lab, 1)


vti_v2.__doc__ = vti_v1.__doc__ = vti.__doc__


def vti_ipv6(lab):
    """VTI-8: IPv6 in IPsec over IPv6, the peer begins; IPv4 is not carried."""
    t = Tunnel(lab, 2, 6, tunnel={"protection": {"profile": "P1", "initiate": False}})
    t.daemon.initiate()
    t.wait_line("up")
    capture = t.site.capture()
    t.require_traffic()
    capture.stop()
    capture.require_only_esp(15)
    require("Tunnel protocol/transport IPsec/IPv6" in t.culvert.cli("show", "interfaces", "tunnel0").stdout, "the protocol")


def vti_in_a_vrf(lab):
    """VTI-T3, VTI-14, VTI-15: the hosts and the tunnel interface are in VRF red, its source and destination in the global table, which has no
    route of the tunnel's. VTI-3, VTI-9: a policy on the same outside interface goes on beside it."""
    def change(config):
        config["culvert-vrf:vrfs"] = {"vrf": [{"name": "red"}]}
        for name in ("lan", "tunnel0"):
            cfg.interface(config, name)["culvert-vrf:vrf"] = "red"
        config["ietf-routing:routing"]["control-plane-protocols"]["control-plane-protocol"][0]["culvert-vrf:vrf"] = "red"
        config["culvert-acl:access-lists"] = {"access-list": [{"name": "other", "line": [
            {"sequence": 10, "action": "permit", "source": "192.0.2.1/32", "destination": "198.51.100.0/24"}]}]}
        config["culvert-ipsec:ipsec"]["crypto-map"] = [{"name": "policy", "entry": [
            {"sequence": 10, "access-list": "other", "peer": ["192.0.2.9"], "transform-set": ["lab"]}]}]
        cfg.interface(config, "wan")["culvert-ipsec:crypto-map"] = "policy"
    t = Tunnel(lab, 2, change=change).wait_line("up")
    capture = t.site.capture()
    t.require_traffic()
    capture.stop()
    capture.require_only_esp(20)
    require("tunnel0" not in t.routes() and "10.2.0.0" not in t.routes(), t.routes())
    require("S    10.2.0.0/24 is directly connected, tunnel0" in t.routes("vrf", "red"), t.routes("vrf", "red"))
    session = t.culvert.show("crypto", "session")["sessions"][0]
    require(session.get("ivrf") == "red" and session.get("fvrf") in (None, "global"), f"{session}")
