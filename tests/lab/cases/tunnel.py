# SPDX-License-Identifier: BSD-3-Clause
"""Tunnel interfaces against the tunnel interfaces of a real Linux kernel."""
import json
import re

from lab import config as cfg
from lab import multicast
from lab.core import SOURCE, require, wait_until
from lab.gateway import Culvert
from lab.ikedaemons import Conn, StrongSwan
from lab.topology import GW_LAN, GW_WAN, HOST_A, HOST_B, LAN, NEXT_HOP, PEER_LAN, REMOTE, Site

MARK = 42
INNER = {4: ("10.99.0.1", "10.99.0.2", 30), 6: ("2001:db8:99::1", "2001:db8:99::2", 126)}
ANY = {4: "0.0.0.0/0", 6: "::/0"}
GROUP = {4: "239.1.2.3", 6: "ff3e::1:2:3"}


class Tunnel:
    """A Site with a tunnel interface of Culvert and a VTI of the peer, of one family inside and outside, and
    routes through them on both sides. tunnel, interface: fields to add to Culvert's."""

    def __init__(self, lab, version=2, family=4, tunnel=None, interface=None, start="none", change=None, esp="aes128gcm16"):
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
                         local_id=own, remote_id=ours, start=start, esp=esp, extra={"child": {"mark_in": MARK, "mark_out": MARK}})
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

    def drops(self):
        return self.culvert.drops()

    def routes(self, *words):
        return self.culvert.cli("show", "ip" if self.family == 4 else "ipv6", "route", *words).stdout

    def require_traffic(self):
        """Host to host, both ways and fragmented; and the two tunnel addresses."""
        family = self.family
        if family == 6:
            self.site.teach_path_mtu(1400)
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
    """VTI-T1, VTI-16 (docs/examples/vti.json): static VTI. Nobody sends anything and the tunnel comes up (VTI-18); routes into it encrypt, what comes out is
    routed (VTI-1); one pair, any to any (VTI-17); a rekey from either side loses nothing and is not seen by the line
    protocol; when the SA is gone and cannot come back, line protocol and routes go (VTI-19) and nothing leaves in clear."""
    t = Tunnel(lab, version).wait_line("up")
    t.site.ping_until_works()  # an IKEv1 peer may take a moment longer than we
    capture = t.site.capture()
    t.require_traffic()
    capture.stop()
    capture.require_only_esp(20)
    text = t.culvert.cli("show", "interfaces", "tunnel0").stdout
    fits = t.culvert.show("crypto", "ipsec", "sa")["interfaces"][0]["flows"][0]["ip_mtu"]
    for line in ("tunnel0 is up, line protocol is up", "Tunnel source 192.0.2.1 (wan), destination 192.0.2.2",
                 "Tunnel protocol/transport IPsec/IP", 'Tunnel protection via IPsec (profile "P1")', "MTU 1500 bytes", "Hardware is tunnel",
                 "Internet address is 10.99.0.1/30", "Key disabled, sequencing disabled", "Checksumming of packets disabled",
                 "Keepalive not set", "Tunnel transmit bandwidth 8000 (kbps), txload ", "Tunnel receive bandwidth 8000 (kbps), rxload ",
                 "Last clearing of \"show interface\" counters never", "Queueing strategy: fifo", "Output queue: 0/0 (size/max); Total output drops: ",
                 "Encapsulation TUNNEL", f"Tunnel transport MTU {fits} bytes", "5 minute input rate ", "5 minute output rate "):
        require(line in text, text)
    counted = wait_until(lambda: (i := t.interface()) and "last_s" in i["input"] and "last_s" in i["output"] and i, 15, "what it carries")
    require(counted["input"]["bits_per_second"] and counted["output"]["bits_per_second"], f"{counted}")
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


def vti_multicast(lab):
    """VTI-T2, VTI-4: multicast streams that pass through, into the VTI and out of it: a Linux kernel at each end receives each packet once;
    nothing leaves by another interface or in clear, below the TTL threshold, or when it came in by an interface that is not expected."""
    through, far, wrong, back = "239.1.2.3", "239.1.2.4", "239.1.2.5", "239.1.2.6"

    def change(config):
        config["culvert-multicast:multicast-routing"] = {"route": [
            multicast.route(through, "lan", ("tunnel0", 1)), multicast.route(far, "lan", ("tunnel0", 32)),
            multicast.route(wrong, "wan", ("tunnel0", 1)), multicast.route(back, "tunnel0", ("lan", 1), source="10.99.0.2")]}
    t = Tunnel(lab, 2, change=change).wait_line("up")
    receivers = {group: multicast.Receiver(lab, group, "ipsec0", peer=t.peer) for group in (through, far, wrong)}
    receivers[back] = multicast.Receiver(lab, back, "eth0", ns="host-a")
    t.site.ping_until_works()
    capture = t.site.capture()
    multicast.send(lab, "host-a", "eth0", through)
    receivers[through].require_all(100)
    multicast.send(lab, "host-a", "eth0", far, ttl=32, count=20)  # not above the threshold
    multicast.send(lab, "host-a", "eth0", far, ttl=33, count=10)
    receivers[far].require_all(10)
    multicast.send(lab, "host-a", "eth0", wrong, count=20)
    wait_until(lambda: multicast.shown(t.culvert, wrong)["wrong_interface"] == 20, 10, "what came by a wrong interface to be counted")
    multicast.send_from_peer(t.peer, "ipsec0", back)
    receivers[back].require_all(100)
    capture.stop()
    capture.require_only_esp(200)
    require(not receivers[wrong].seen, f"{receivers[wrong].seen}")
    seen = multicast.shown(t.culvert, through)
    require(seen["packets"] == seen["copies"] == 100 and seen["incoming_interface"] == "lan" and
            seen["outgoing_interfaces"] == [{"interface": "tunnel0", "ttl_threshold": 1}], f"{seen}")
    seen = multicast.shown(t.culvert, far), multicast.shown(t.culvert, wrong)
    require(seen[0]["packets"] == 30 and seen[0]["copies"] == 10 and seen[1]["packets"] == 0, f"{seen}")
    require(t.drops().get("multicast-reverse-path") == 20 and t.drops().get("multicast-nowhere") == 20, f"{t.drops()}")
    text = t.culvert.cli("show", "ip", "mroute").stdout
    for line in ("(*, 239.1.2.3), static", "(10.99.0.2, 239.1.2.6), static", "  Incoming interface: lan", "    tunnel0, TTL threshold 32"):
        require(line in text, text)


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
    route of the tunnel's. VTI-3, VTI-9: a policy on the same outside interface goes on beside it. VRF-10, VRF-T11: unicast RPF, strict on the tunnel too, delivers what belongs there and drops
    inner packets whose source red does not reach by the tunnel."""
    def change(config):
        config["culvert-vrf:vrfs"] = {"vrf": [{"name": "red"}]}
        for name in ("lan", "tunnel0"):
            cfg.interface(config, name)["culvert-vrf:vrf"] = "red"
        for name in ("lan", "wan", "tunnel0"):
            cfg.interface(config, name)["culvert-platform:verify-source"] = {"ipv4": {"reachable-via": "rx"}}
        config["ietf-routing:routing"]["control-plane-protocols"]["control-plane-protocol"][0]["culvert-vrf:vrf"] = "red"
        config["culvert-acl:access-lists"] = {"access-list": [{"name": "other", "line": [
            {"sequence": 10, "action": "permit", "source": "192.0.2.1/32", "destination": "198.51.100.0/24"}]}]}
        config["culvert-ipsec:ipsec"]["crypto-map"] = [{"name": "policy", "entry": [
            {"sequence": 10, "access-list": "other", "peer": ["192.0.2.9"], "transform-set": ["gcm"]}]}]
        cfg.interface(config, "wan")["culvert-ipsec:crypto-map"] = "policy"
    t = Tunnel(lab, 2, change=change).wait_line("up")
    capture = t.site.capture()
    t.require_traffic()
    capture.stop()
    capture.require_only_esp(20)
    require("tunnel0" not in t.routes() and "10.2.0.0" not in t.routes(), t.routes())
    require("S    10.2.0.0/24 is directly connected, tunnel0" in t.routes("vrf", "red"), t.routes("vrf", "red"))
    session = next(s for s in t.culvert.show("crypto", "session")["sessions"] if s["interface"] == "tunnel0")
    require(session.get("ivrf") == "red" and session.get("fvrf") in (None, "global"), f"{session}")
    require("reverse-path" not in t.drops(), f"{t.drops()}")
    before = t.interface()["rx_drops"]
    t.peer.sh(f"ip addr add 10.77.0.1/32 dev ipsec0 && ping -n -c 3 -i 0.2 -W 1 -I 10.77.0.1 {HOST_A[4]} || true")
    dropped = wait_until(lambda: t.drops().get("reverse-path"), 5, "spoofed sources to be dropped")
    require(t.interface()["rx_drops"] - before >= dropped, f"{t.interface()}")
    require("IP verify source reachable-via rx" in t.culvert.cli("show", "interfaces", "tunnel0").stdout, "the setting in show")


# Culvert's mode, further fields, Linux's device, families inside, family outside.
PLAIN = [
    ("gre-ipv4", {"key": 7, "checksum": True, "sequence": True}, "type gre key 7 csum seq", (4, 6), 4),
    ("ipip", {}, "type ipip", (4,), 4),
    ("ipv6ip", {}, "type sit", (6,), 4),
    ("gre-ipv6", {"ttl": "inherit", "dscp": "af21"}, "type ip6gre encaplimit none", (4, 6), 6),
]


def plain_config(mode, fields, inner, outer):
    config = cfg.base()
    tunnel = {"name": "tunnel0", "type": "iana-if-type:tunnel",
              "culvert-tunnel:tunnel": {"mode": mode, "source-interface": "wan", "destination": NEXT_HOP[outer], **fields}}
    statics = {}
    for family in inner:
        mine, _, plen = INNER[family]
        tunnel[f"ietf-ip:ipv{family}"] = {"address": [{"ip": mine, "prefix-length": plen}]}
        statics[f"ietf-ipv{family}-unicast-routing:ipv{family}"] = {"route": [
            {"destination-prefix": REMOTE[family], "next-hop": {"outgoing-interface": "tunnel0"}}]}
    config["ietf-interfaces:interfaces"]["interface"].append(tunnel)
    config["ietf-routing:routing"]["control-plane-protocols"]["control-plane-protocol"][0]["static-routes"] = statics
    return config


def linux_tunnel(peer, device, inner, outer, mtu=""):
    """The other end; what was there before goes."""
    lines = ["ip link del tun0 2>/dev/null || true", "modprobe -a ip_gre ipip sit ip6_gre",
             f"ip link add tun0 {device} local {NEXT_HOP[outer]} remote {GW_WAN[outer]} ttl 64", f"ip link set tun0 up {mtu}"]
    for family in inner:
        lines += [f"ip -{family} addr add {INNER[family][1]}/{INNER[family][2]} dev tun0 {'nodad' if family == 6 else ''}",
                  f"ip -{family} route replace {LAN[family]} dev tun0"]
    peer.sh("\n".join(lines))


def require_inner(site, inner):
    """Both ways, and packets that do not fit: IPv4 is cut before it is encapsulated, IPv6 hosts are told."""
    for family in inner:
        site.ping_until_works(family)
        for size in (56, 1400, 3000) if family == 4 else (56, 1200):
            site.ping(family, 3, "host-a", 0.05, size)
        site.ping(family, 3, "host-b", 0.05, 1400 if family == 4 else 1200)
        if family == 6:
            site.ping(6, 3, "host-a", 0.05, 1440, wait=0.5, check=False)
            site.ping(6, 3, "host-a", 0.05, 1440)


def gre_and_ipip(lab):
    """RFC 2784, RFC 2890 (key, checksum, sequence), RFC 2003, RFC 4213, GRE over IPv6, against Linux's own devices: both families inside,
    both ways, long packets; packets of another key or with a lower number are refused, by name. Multicast streams of both families pass through (VTI-4)."""
    site = Site(lab)
    peer = site.boot_peer("strongswan")
    culvert = Culvert(lab).start(cfg.base())
    for mode, fields, device, inner, outer in PLAIN:
        lab.say(mode)
        linux_tunnel(peer, device, inner, outer)
        dropped = sum(i["rx_drops"] for i in culvert.show("interfaces")["interfaces"] if i["name"] == "tunnel0")
        config = plain_config(mode, fields, inner, outer)
        if inner == (4, 6) and outer == 4:
            config["culvert-multicast:multicast-routing"] = {"route": [multicast.route(group, "lan", ("tunnel0", 1)) for group in GROUP.values()]}
        culvert.commit(config)
        wait_until(lambda: culvert.show("interfaces", "tunnel0")["interfaces"][0].get("link") == "up", 10, f"{mode} to be up")
        require_inner(site, inner)
        if 6 in inner and outer == 4:  # RFC 4213 3.7
            peer.sh("ping -6 -n -c 2 -W 2 fe80::c000:201%tun0")
        for group in GROUP.values() if inner == (4, 6) and outer == 4 else ():
            receiver = multicast.Receiver(lab, group, "tun0", peer=peer)
            multicast.send(lab, "host-a", "eth0", group, count=50)
            receiver.require_all(50)
        counted = culvert.show("interfaces", "tunnel0")["interfaces"][0]
        require(counted["rx_packets"] >= 6 and counted["tx_packets"] >= 9 and counted["rx_drops"] == dropped, f"{mode}: {counted}")
        if "key" in fields:
            linux_tunnel(peer, device.replace("key 7", "key 8"), inner, outer)
            site.ping(4, 3, "host-b", 0.05, wait=1, check=False)
            drops = {d["reason"]: d["packets"] for d in culvert.show("drops")["drops"]}
            require(drops.get("tunnel-unknown", 0) >= 3, f"{drops}")
            linux_tunnel(peer, device, inner, outer)
            site.ping(4, 3, "host-b", 0.05, wait=1, check=False)  # a new device counts from 0
            drops = {d["reason"]: d["packets"] for d in culvert.show("drops")["drops"]}
            require(drops.get("tunnel-sequence", 0) >= 3, f"{drops}")


def gre_protected(lab):
    """GRE under IPsec in transport mode, then in tunnel mode: the SA is for GRE between the two ends, both families and long packets pass, the
    wire shows ESP only, and GRE that comes in clear is refused."""
    site = Site(lab)
    peer = site.boot_peer("strongswan")
    linux_tunnel(peer, "type gre key 7", (4, 6), 4, "mtu 1400")
    own, ours = NEXT_HOP[4], GW_WAN[4]
    culvert = None
    for mode in ("transport", "tunnel"):
        lab.say(mode)
        conn = Conn(local=own, remote=ours, psk=cfg.PSK, local_ts=[f"{own}/32[gre]"], remote_ts=[f"{ours}/32[gre]"], local_id=own,
                    remote_id=ours, extra={"child": {"mode": mode}})
        config = plain_config("gre-ipv4", {"key": 7, "protection": {"profile": "P1"}}, (4, 6), 4)
        vpn = cfg.vpn(own)
        config["culvert-ike:ike"] = vpn["culvert-ike:ike"]
        config["culvert-ipsec:ipsec"] = {
            "transform-set": [{"name": "lab", "algorithm": "aes128-gcm16", "mode": mode}],
            "profile": [{"name": "P1", "transform-set": ["lab"], "ike-profile": "lab"}]}
        if culvert is None:
            daemon = StrongSwan(peer, conn).start()
            culvert = Culvert(lab).start(config)
        else:
            daemon.load(conn)
            culvert.commit(config)
            culvert.cli("clear", "crypto", "session")
            daemon.terminate()
            wait_until(lambda: "TUNNEL" in daemon.sas(), 30, "an SA in tunnel mode")
        wait_until(lambda: culvert.show("interfaces", "tunnel0")["interfaces"][0].get("link") == "up", 30, "the line protocol")
        site.ping_until_works(4)
        capture = site.capture(name=mode)
        require_inner(site, (4, 6))
        capture.stop()
        capture.require_only_esp(20)
        require(mode.upper() in daemon.sas(), daemon.sas())
    daemon.kill()
    site.ping(4, 3, "host-b", 0.05, wait=1, check=False)
    drops = {d["reason"]: d["packets"] for d in culvert.show("drops")["drops"]}
    require(drops.get("policy-clear-in", 0) >= 3, f"{drops}")


# A keepalive as the other end sends it: GRE to the gateway, inside GRE of type 0 from there back here.
KEEPALIVE = """
import socket, struct
own, peer = socket.inet_aton("192.0.2.2"), socket.inet_aton("192.0.2.1")
def total(data):
    s = sum(struct.unpack(f"!{len(data) // 2}H", data))
    s = (s >> 16) + (s & 0xffff)
    return ~(s + (s >> 16)) & 0xffff
head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 24, 0, 0, 255, 47, 0, peer, own)
inner = head[:10] + struct.pack("!H", total(head)) + head[12:] + bytes(4)
sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_GRE)
for _ in range(5):
    sock.sendto(bytes([0, 0, 8, 0]) + inner, ("192.0.2.1", 0))
"""


def keepalive(lab):
    """GRE keepalives with a Linux kernel, which answers by forwarding and knows nothing of them: line protocol and routes go when its
    device is down, come back with it, and traffic does; between, a less specific route is used. A keepalive from there is sent back."""
    site = Site(lab)
    peer = site.boot_peer("strongswan")
    linux_tunnel(peer, "type gre", (4,), 4)
    peer.sh("sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.tun0.rp_filter=0 net.ipv4.conf.tun0.accept_local=1")
    config = plain_config("gre-ipv4", {"keepalive": {"interval": 1, "retries": 3}}, (4,), 4)
    routes = config["ietf-routing:routing"]["control-plane-protocols"]["control-plane-protocol"][0]["static-routes"]
    routes["ietf-ipv4-unicast-routing:ipv4"]["route"].append({"destination-prefix": "10.0.0.0/8", "next-hop": {"special-next-hop": "blackhole"}})
    culvert = Culvert(lab).start(config)

    def wait_line(state):
        wait_until(lambda: culvert.show("interfaces", "tunnel0")["interfaces"][0].get("link") == state, 30, f"line protocol {state}")

    def route():
        return "10.2.0.0/24 is directly connected, tunnel0" in culvert.cli("show", "ip", "route").stdout
    wait_line("up")
    site.ping_until_works()
    wait_until(lambda: culvert.show("interfaces", "tunnel0")["interfaces"][0]["rx_packets"] >= 5, 20, "answers")
    require(route() and not flapped(lab), "line protocol went down while every keepalive was answered")
    text = culvert.cli("show", "interfaces", "tunnel0").stdout
    require("Keepalive set (1 sec), retries 3" in text, text)
    peer.sh("ip link set tun0 down")
    wait_line("down")
    require(not route(), culvert.cli("show", "ip", "route").stdout)
    site.ping(4, 2, "host-a", 0.05, wait=1, check=False)
    require(culvert.drops().get("route-blackhole"), f"{culvert.drops()}")
    peer.sh(f"ip link set tun0 up && ip route replace {LAN[4]} dev tun0")
    wait_line("up")
    site.ping_until_works()
    capture = site.capture()
    peer.file("keepalive.py", KEEPALIVE)
    peer.sh(f"python3 {peer.work}/keepalive.py")
    capture.stop()
    sent_back = "gre.proto == 0 && ip.src == 192.0.2.1 && !(ip.src == 192.0.2.2)"
    require(capture.count(sent_back), capture.show("gre"))


def multipoint(lab):
    """DMVPN-1, DMVPN-4, DMVPN-8, DMVPN-13 (key), docs/examples/mgre.json: one interface, two Linux GRE devices with `remote any` at two addresses as other
    ends. In clear, then under IPsec in transport mode with an SA for each: every route takes the way of its next hop, answers come back from
    either, multicast goes to the end that is to get it and to no other, a next hop that is not known and one without an SA carry
    nothing; a change of one next hop leaves the SAs of the other alone."""
    site = Site(lab)
    peer = site.boot_peer("strongswan")
    second = "192.0.2.3"
    peer.sh("\n".join(["modprobe ip_gre", "sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0",
                       f"ip addr add {second}/24 dev vec0", "ip link add gre2 type gre remote any local 192.0.2.2 key 7",
                       f"ip link add gre3 type gre remote any local {second} key 7", "ip link set gre2 up mtu 1400", "ip link set gre3 up mtu 1400",
                       "ip addr add 10.99.0.2/24 dev gre2", "ip addr add 10.99.0.3/32 dev gre3", "ip addr add 10.77.0.1/32 dev lo",
                       f"ip neigh add 10.99.0.1 lladdr {GW_WAN[4]} dev gre2", f"ip route add {LAN[4]} via 10.99.0.1 dev gre2"]))
    config = json.loads((SOURCE / "docs/examples/mgre.json").read_text())
    config["culvert-platform:platform"]["host-path"] = True
    tunnel = cfg.interface(config, "tunnel0")["culvert-tunnel:tunnel"]
    protection = tunnel.pop("protection")
    culvert = Culvert(lab).start(config)
    ends = {HOST_B[4]: "192.0.2.2", "10.77.0.1": second}

    def ping(target, check=True, count=3):
        return lab.run("host-a", "ping", "-n", "-c", str(count), "-i", "0.2", "-W", "2", target, check=check).returncode == 0

    def interface():
        return culvert.show("interfaces", "tunnel0")["interfaces"][0]
    wait_until(lambda: interface().get("link") == "up", 15, "the line protocol")
    for target in ends:
        wait_until(lambda t=target: ping(t, False, 1), 20, f"an answer from {target}")
    capture = site.capture()
    for target in ends:
        ping(target)
    site.ping(4, 3, "host-a", 0.05, 3000)
    site.ping(4, 3, "host-b", 0.05, 1300)
    wait_until(lambda: "inet 10.99.0.1" in lab.run("gw", "ip", "addr").stdout, 10, "the device of the tunnel on the host")
    lab.run("gw", "ping", "-n", "-c", "2", "-i", "0.2", "-W", "1", "-I", "tunnel0", "224.0.0.5", check=False)
    ping("10.99.0.9", False, 1)
    capture.stop()
    for target, end in ends.items():
        require(capture.count(f"gre.key == 7 && ip.dst == {end} && ip.dst == {target}") >= 3, capture.show("gre"))
    require(capture.count("gre && ip.dst == 192.0.2.2 && ip.dst == 224.0.0.5") and
            not capture.count(f"ip.dst == {second} && ip.dst == 224.0.0.5"), capture.show("ip.dst == 224.0.0.5"))
    require(culvert.drops().get("tunnel-next-hop"), f"{culvert.drops()}")
    lab.say("protected")
    daemon = StrongSwan(peer, Conn(local=f"192.0.2.2,{second}", remote=GW_WAN[4], psk=cfg.PSK, local_id="%any", remote_id=GW_WAN[4],
                                   local_ts=["192.0.2.2/32[gre]", f"{second}/32[gre]"], remote_ts=[f"{GW_WAN[4]}/32[gre]"],
                                   extra={"child": {"mode": "transport"}})).start()
    tunnel["protection"] = protection
    culvert.commit(config)

    def up():
        return {s["peer"] for s in culvert.show("crypto", "session")["sessions"] if s["status"].startswith("UP-ACTIVE")}
    wait_until(lambda: up() == set(ends.values()), 30, "an SA for each of the two, with no traffic")
    for target in ends:
        wait_until(lambda t=target: ping(t, False, 1), 20, f"an answer from {target}")
    capture = site.capture(name="protected")
    for target in ends:
        ping(target)
    site.ping(4, 3, "host-a", 0.05, 3000)
    site.ping(4, 3, "host-b", 0.05, 1300)
    capture.stop()
    capture.require_only_esp(15)
    for end in ends.values():
        require(capture.count(f"esp && ip.dst == {end}") >= 3, capture.show("esp"))
    require(daemon.sas().count("TRANSPORT") == 2, daemon.sas())
    text = culvert.cli("show", "interfaces", "tunnel0").stdout
    for line in ("Tunnel protocol/transport multi-GRE/IP", "Next hop 10.99.0.2, NBMA address 192.0.2.2, multicast",
                 f"Next hop 10.99.0.3, NBMA address {second}\n"):
        require(line in text, text)
    inbound = spis_with(culvert, second)
    del tunnel["next-hop"][0]
    culvert.commit(config)
    require(spis_with(culvert, second) == inbound, "the SAs of the next hop that stayed are others")
    peer.sh(f"ip neigh add 10.99.0.1 lladdr {GW_WAN[4]} dev gre3 && ip route replace {LAN[4]} via 10.99.0.1 dev gre3 onlink")
    require(ping("10.77.0.1") and not ping(HOST_B[4], False, 1), "what is left is not what was configured")
    require(f"{REMOTE[4]}" not in culvert.cli("show", "ip", "route").stdout, "a route by a next hop that is gone")


def spis_with(culvert, peer):
    """SPIs of the SAs with a peer."""
    return {sa["spi"] for i in culvert.show("crypto", "ipsec", "sa")["interfaces"] for f in i["flows"] if f["current_peer"] == peer
            for sa in f["sas"]}


C_WAN, C_LAN, HOST_C = "10.2.0.20", "10.3.0.1", "10.3.0.10"
TO_C = "10.3.0.0/24"


def _second_gateway(t):
    """C: a Culvert with 10.3.0.0/24 behind it, in the network behind the peer."""
    lab = t.lab
    for ns in ("gw2", "host-c"):
        lab.namespace(ns)
    lab.veth("host-c", "eth0", "gw2", "cv-lan")
    lab.veth("gw2", "cv-wan", "wan", "gw1")
    lab.silent("gw2", "cv-lan", "cv-wan")
    lab.silent("wan", "gw1")
    lab.run("wan", "ip", "link", "set", "gw1", "master", "inside")
    lab.address("host-c", "eth0", f"{HOST_C}/24")
    lab.route("host-c", "default", C_LAN)
    config = json.loads(json.dumps(cfg.vpn(GW_LAN[4])).replace(REMOTE[4], "%").replace(LAN[4], TO_C).replace("%", LAN[4]))
    for name, address in (("lan", C_LAN), ("wan", C_WAN)):
        cfg.interface(config, name)["ietf-ip:ipv4"] = {"address": [{"ip": address, "prefix-length": 24}]}
        del cfg.interface(config, name)["ietf-ip:ipv6"]
    config["ietf-routing:routing"] = cfg.static_routes({"0.0.0.0/0": {"next-hop-address": PEER_LAN[4]}})
    return Culvert(lab, "gw2").start(config)


def _nest(config):
    """To C by a crypto map on the outside interface, from the address inside; to its address by the tunnel to the peer,
    which only authenticates."""
    inner = cfg.vpn(C_WAN)
    config["culvert-acl:access-lists"] = {"access-list": [{"name": "protected", "line": [
        {"sequence": 10, "action": "permit", "source": LAN[4], "destination": TO_C}]}]}
    ipsec = config["culvert-ipsec:ipsec"]
    ipsec["transform-set"] = [{"name": "gcm", "transform": ["esp-null", "esp-sha256-hmac"]},
                              {"name": "lab", "transform": ["esp-gcm 128"]}]
    ipsec["crypto-map"] = inner["culvert-ipsec:ipsec"]["crypto-map"]
    ipsec["crypto-map"][0]["local-address"] = "lan"
    del ipsec["crypto-map"][0]["entry"][0]["ike-profile"]
    cfg.interface(config, "wan")["culvert-ipsec:crypto-map"] = "vpn"
    config["ietf-routing:routing"] = cfg.static_routes({
        REMOTE[4]: {"outgoing-interface": "tunnel0"}, "0.0.0.0/0": {"next-hop-address": NEXT_HOP[4]}})
    keyring = config["culvert-ike:ike"]["keyring"][0]["pre-shared-key"]
    keyring.append({"name": "c", "address": C_WAN, "key": cfg.PSK})
    ipsec["crypto-map"][0]["entry"][0]["ike-profile"] = config["culvert-ike:ike"]["profile"][0]["name"]


def nested(lab):
    """IPSEC-15, IPSEC-T16: what is for C is encrypted for C, and then authenticated for the peer on the way, IKE as well.
    What the peer forwards is still encrypted; the MTU told to the sender is exact for both, and nothing is cut."""
    t = Tunnel(lab, change=_nest, esp="null-sha256").wait_line("up")
    far = _second_gateway(t)
    site = t.site
    wait_until(lambda: lab.run("host-a", "ping", "-c", "1", "-W", "1", HOST_C, check=False).returncode == 0, 25, "C")
    outside, inside = site.capture(), site.capture("inside", "inside")
    done = lab.run("host-a", "ping", "-n", "-c", "2", "-M", "do", "-s", "1472", "-W", "1", HOST_C, check=False)
    match = re.search(r"mtu ?= ?(\d+)", done.stdout)
    # 1500: IP, SPI and number, ICV of 16, trailer: 1454; in this IP, SPI and number, IV, ICV of 16, trailer: 1398
    require(match and int(match[1]) == 1398, done.stdout)
    for source, target in (("host-a", HOST_C), ("host-c", HOST_A[4])):
        lab.run(source, "ping", "-n", "-c", "3", "-i", "0.2", "-M", "do", "-s", "1370", "-W", "2", target)
    outside.stop()
    inside.stop()
    clear = f"ip.addr == {HOST_C}"
    require(outside.count("esp && frame.len == 1514") >= 6 and not outside.count("ip.flags.mf == 1"), outside.show("esp"))
    require(outside.count(f"esp && !(ip.src == {GW_WAN[4]} && ip.dst == {NEXT_HOP[4]}) && "
                          f"!(ip.dst == {GW_WAN[4]} && ip.src == {NEXT_HOP[4]})") == 0, outside.show("esp"))
    require(inside.count(f"esp && ip.addr == {C_WAN} && ip.addr == {GW_LAN[4]}") >= 12, inside.show("esp"))
    require(not inside.count(clear) and not outside.count(clear), inside.show(clear) + outside.show(clear))
    near, other = (culvert.show("crypto", "session")["sessions"] for culvert in (t.culvert, far))
    require({s["peer"] for s in near} == {NEXT_HOP[4], C_WAN} and [s["peer"] for s in other] == [GW_LAN[4]], f"{near} {other}")


# arguments: address, port, bits per second, seconds, bytes of a packet. Prints how long it took and what was sent.
SENDER = """
import socket, sys, time
to, rate, seconds, size = (sys.argv[1], int(sys.argv[2])), int(sys.argv[3]), float(sys.argv[4]), int(sys.argv[5])
sock, begin, sent, missed = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), time.monotonic(), 0, 0
while (now := time.monotonic() - begin) < seconds:
    missed = max(missed, now * rate / 8 - sent - 4 * size)  # after a pause no burst that a policer would cut
    while sent + size <= now * rate / 8 - missed:
        sock.sendto(bytes(size - 28), to)
        sent += size
    time.sleep(0.001)
print(time.monotonic() - begin, sent)
"""
# argument: port. Counts until nothing has come for two seconds.
RECEIVER = """
import socket, sys
sock, got = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), 0
sock.bind(("10.2.0.10", int(sys.argv[1])))
print("ready", flush=True)
sock.settimeout(30)
try:
    while True:
        got += 28 + len(sock.recv(2048))
        sock.settimeout(2)
except TimeoutError:
    print(got, flush=True)
"""


def _policed(config):
    config.clear()
    config.update(json.loads((SOURCE / "docs/examples/qos.json").read_text()))


def policed(lab):
    """VTI-T4, VTI-36: 4 Mbit/s into a tunnel whose service policy lets 2 Mbit/s through. The rest is dropped before it is
    encrypted: the ESP packets on the wire have sequence numbers without gaps."""
    t = Tunnel(lab, change=_policed).wait_line("up")
    t.site.ping_until_works()
    capture = t.site.capture(only=f"esp and src host {GW_WAN[4]}")
    receiver = lab.spawn("host-b", ["python3", "-c", RECEIVER, "5001"], "receiver.log")
    wait_until(lambda: "ready" in lab.log_text("receiver.log"), 10, "the receiver")
    done = lab.run("host-a", "python3", "-c", SENDER, HOST_B[4], 5001, 4000000, 4, 1228)
    seconds, sent = (float(word) for word in done.stdout.split())
    wait_until(lambda: receiver.poll() is not None, 30, "the receiver to end")
    got = int(lab.log_text("receiver.log").split()[-1])
    capture.stop()
    shown = t.culvert.show("policy-map", "interface", "tunnel0")["interfaces"]
    require(len(shown) == 1 and shown[0]["direction"] == "output" and shown[0]["policy"] == "limit", f"{shown}")
    police = shown[0]["classes"][0]["police"]
    passed, over = police["conform"]["bytes"], police["exceed"]["bytes"]
    note = f"{sent} bytes in {seconds} s, {passed} passed, {over} dropped, {got} arrived"
    # what the rate gives in that time and in the pings before it, and a bucket of 250 ms
    require(0.6 * 250000 * seconds < passed < 62500 + 250000 * (seconds + 2), note)
    require(over > 0.2 * sent, note)
    require(0.95 * passed - 20000 < got <= passed, note)
    require(t.drops().get("qos-police") == police["drops"] == police["exceed"]["packets"], f"{t.drops()} {police}")
    numbers = lab.command("tshark", "-n", "-r", capture.path, "-T", "fields", "-e", "esp.sequence", timeout=60).stdout.split()
    numbers = sorted(int(n, 0) for n in numbers)
    # a capture may miss a packet; the policer has dropped about half of them
    require(len(numbers) > 300 and numbers[-1] - numbers[0] < 1.05 * len(numbers), f"{len(numbers)} {numbers[:1]} {numbers[-1:]}")
    text = t.culvert.cli("show", "policy-map", "interface", "tunnel0").stdout
    for line in ("Service-policy output: limit", "Class-map: VTI (match-all)", "police: rate 2000000 bps, burst 62500 bytes",
                 "Class-map: class-default (match-any)"):
        require(line in text, text)


def _prioritized(config):
    """LLQ-T1's policy map in front of the tunnel, on the interface that its packets leave by, with a rate to be short of."""
    _policed(config)
    tunnel = cfg.interface(config, "tunnel0")
    del tunnel["culvert-qos:service-policy"]
    cfg.interface(config, "wan")["culvert-qos:service-policy"] = {"output": "policy1", "output-rate": 1000}
    config["culvert-acl:access-lists"] = {"access-list": [{"name": "102", "line": [
        {"sequence": 10 * n, "action": "permit", "protocol": "udp", "source": HOST_A[4], "destination": HOST_B[4],
         "destination-port": {"lower": low, "upper": high}} for n, (low, high) in enumerate(((16384, 20000), (53000, 56000)), 1)]}]}
    config["culvert-qos:qos"] = {
        "class-map": [{"name": "voice", "access-group": ["102"]}],
        "policy-map": [{"name": "policy1", "class": [{"name": "voice", "priority": 50},
                                                     {"name": "class-default", "fair-queue": {}, "queue-limit": 64, "random-detect": {
                                                         "exponential-weighting-constant": 4}}]}]}


def priority(lab):
    """LLQ-T1, LLQ-T6, LLQ-3, LLQ-13, LLQ-17, X-3: 50 kbit/s of voice and four times as much data as the interface lets out, all
    through one tunnel. Voice arrives, only data is dropped, port 20001 is data, and the peer misses nothing from its replay
    window though voice overtakes data in their SA. LLQ-6: data is dropped early, at random, before its queue is full."""
    t = Tunnel(lab, change=_prioritized).wait_line("up")
    t.site.ping_until_works()
    receiver = lab.spawn("host-b", ["python3", "-c", RECEIVER, "16384"], "voice.log")
    wait_until(lambda: "ready" in lab.log_text("voice.log"), 10, "the receiver")
    data = lab.spawn("host-a", ["python3", "-c", SENDER, HOST_B[4], "20001", "4000000", "6", "1228"], "data.log")
    wait_until(lambda: t.drops().get("qos-random", 0) > 50, 20, "data to be dropped early")
    done = lab.run("host-a", "python3", "-c", SENDER, HOST_B[4], 16384, 45000, 3, 200)
    sent = int(done.stdout.split()[1])
    wait_until(lambda: receiver.poll() is not None and data.poll() is not None, 40, "both to end")
    got = int(lab.log_text("voice.log").split()[-1])
    shown = t.culvert.show("policy-map", "interface", "wan")["interfaces"][0]
    voice, rest = shown["classes"]
    require(voice["name"] == "voice" and rest["name"] == "class-default" and shown["output_rate"] == 1000, f"{shown}")
    require(voice["queue"]["queue_drops"] == voice["queue"]["priority_drops"] == 0 and voice["bytes"] == sent, f"{voice} {sent}")
    require(got >= 0.97 * sent, f"{got} of {sent} bytes of voice arrived; {voice}")
    require(rest["queue"]["random_drops"] + rest["queue"]["queue_drops"] > 300 and rest["packets"] > 1000, f"{rest}")
    stats = t.peer.sh("ip -s xfrm state")
    replayed = re.findall(r"replay-window \d+ replay (\d+)", stats)
    require(replayed and not any(map(int, replayed)), stats)
    text = t.culvert.cli("show", "crypto", "eng", "qos").stdout
    for line in ("interface wan, policy policy1", "Class voice (priority): offered", "priority 50 kbps",
                 "random-detect: exponential weight 4", "af11: thresholds 25 to 32, 1/10"):
        require(line in text, text)


def _classes(t):
    """{class: what `show policy-map interface wan` says of it}."""
    return {k["name"]: k for k in t.culvert.show("policy-map", "interface", "wan")["interfaces"][0]["classes"]}


def _congest(t, log):
    """Four times as much data as the interface lets out, until it is stopped or for 30 seconds; returns once some is dropped."""
    def dropped():
        return sum(t.drops().get(reason, 0) for reason in ("qos-queue-full", "qos-random"))
    before = dropped()
    data = t.lab.spawn("host-a", ["python3", "-c", SENDER, HOST_B[4], "20001", "4000000", "30", "1228"], log)
    wait_until(lambda: dropped() > before + 50, 20, "data to be dropped")
    return data


def _voice(t, rate, log):
    """Three seconds of voice at so many bits per second beside data. Returns what of it was sent and what host-b got, in bytes."""
    receiver = t.lab.spawn("host-b", ["python3", "-c", RECEIVER, "16384"], log)
    wait_until(lambda: "ready" in t.lab.log_text(log), 10, "the receiver")
    sent = int(t.lab.run("host-a", "python3", "-c", SENDER, HOST_B[4], 16384, rate, 3, 200).stdout.split()[1])
    wait_until(lambda: receiver.poll() is not None, 30, "the receiver to end")
    return sent, int(t.lab.log_text(log).split()[-1])


def priority_limits(lab):
    """LLQ-T2 to LLQ-T5, LLQ-9, LLQ-12, with priority's load. Without the priority class voice is lost like data; what cannot be (a 65th class, a
    policy of two units, priority in per cent, fair-queue elsewhere) is refused and changes nothing; a policy that promises more than the
    engine does is taken with a warning; and voice far above its rate gets its rate, while data gets the rest."""
    def no_priority(config):
        _prioritized(config)
        config["culvert-qos:qos"]["policy-map"][0]["class"] = [{"name": "class-default", "queue-limit": 64}]
    t = Tunnel(lab, change=no_priority).wait_line("up")
    t.site.ping_until_works()
    data = _congest(t, "data-fifo.log")
    sent, got = _voice(t, 45000, "voice-fifo.log")
    lab.stop(data)
    rest = _classes(t)["class-default"]
    note = f"{got} of {sent} bytes of voice arrived; {rest}"
    require(rest["queue"]["queue_drops"] > 0.4 * rest["packets"], note)
    require(0 < got < 0.7 * sent, note)

    wanted = {}
    _prioritized(wanted)
    qos = wanted["culvert-qos:qos"]
    voice, bar = {"name": "voice", "priority": 50}, {"name": "bar", "bandwidth": 20}
    qos["class-map"].append({"name": "bar", "dscp": ["af31"]})
    qos["engine-rate"] = 60
    many = [{"name": f"c{n}", "dscp": ["af41"]} for n in range(65)]
    for classes, why in (([{"name": m["name"], "queue-limit": 9} for m in many], "at most 64 beside class-default (LLQ-7)"),
                         ([voice, bar, {"name": "class-default", "bandwidth-percent": 20}], "bandwidth in several units"),
                         ([{"name": "voice", "priority": "10%"}], "priority"),
                         ([voice, {**bar, "fair-queue": {}}], "only in class class-default (LLQ-6)")):
        bad = json.loads(json.dumps(wanted))
        bad["culvert-qos:qos"]["class-map"] += many
        bad["culvert-qos:qos"]["policy-map"][0]["class"] = classes
        refused = t.culvert.commit(bad, check=False)
        require(refused.returncode and why in refused.stdout + refused.stderr, f"{why}: {refused.stdout}{refused.stderr}")
        require(list(_classes(t)) == ["class-default"], f"{why}: {_classes(t)}")
    qos["policy-map"][0]["class"] = [voice, bar, {"name": "class-default", "fair-queue": {}, "queue-limit": 64}]
    taken = t.culvert.commit(wanted)
    require("promise 70 kbit/s, encryption does 60 (LLQ-12)" in taken.stdout + taken.stderr, f"{taken.stdout}{taken.stderr}")

    data = _congest(t, "data-llq.log")
    before = _classes(t)
    sent, got = _voice(t, 800000, "voice-llq.log")
    after = _classes(t)
    lab.stop(data)
    passed, rest = (after[k]["queue"]["sent_bytes"] - before[k]["queue"]["sent_bytes"] for k in ("voice", "class-default"))
    note = f"{sent} bytes of voice, {passed} sent, {got} arrived; {rest} of data sent; {after}"
    require(after["voice"]["queue"]["priority_drops"] > 100 and after["voice"]["queue"]["queue_drops"] == 0, note)
    require(0.97 * passed <= got <= passed and rest > 4 * passed, note)
