# SPDX-License-Identifier: BSD-3-Clause
"""The host path: programs on the gateway's own Linux, reached and speaking through Culvert's ports."""
import json
import os
import re
import signal
import socket
import sys
import time
from pathlib import Path

from lab import config as cfg
from lab import multicast, route_sender
from lab.core import SOURCE, require, wait_until
from lab.frr import Frr
from lab.gateway import Culvert
from lab.topology import Capture, GW_LAN, GW_WAN, HOST_A, HOST_B, LAN, NEXT_HOP, REMOTE, Site, Stream, TwoGateways, layer_of

PORT = 8022
# A server that takes all it is sent and answers with its peer's address; one address and port on the command line.
SERVER = """
import socket, sys
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
with socket.create_server((sys.argv[1], int(sys.argv[2])), family=family) as server:
    while True:
        line, peer = server.accept()
        with line:
            while line.recv(65536):
                pass
            line.sendall(peer[0].encode())
"""
CLIENT = """
import socket, sys
own = (sys.argv[4], 0) if len(sys.argv) > 4 else None
with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=float(sys.argv[3]), source_address=own) as line:
    line.sendall(b"x" * 9000)
    line.shutdown(socket.SHUT_WR)
    print(line.makefile().read())
"""


def serve(lab, ns, address, port=PORT):
    wait_until(lambda: address in (text := lab.run(ns, "ip", "-o", "addr", "show", "to", address).stdout) and "tentative" not in text,
               20, f"{address} to be in use")
    server = lab.spawn(ns, [sys.executable, "-c", SERVER, address, port], "server.log")
    wait_until(lambda: f"{address}]:{port}" in (text := lab.run(ns, "ss", "-ltn").stdout) or f"{address}:{port}" in text, 10,
               f"a server on {address}")
    return server


def ask(lab, ns, address, port=PORT, check=True, patience=15):
    """Connect and return what address the server says that we have; None when it cannot be reached."""
    done = lab.run(ns, sys.executable, "-c", CLIENT, address, port, patience, check=check, timeout=patience + 5)
    return done.stdout.strip() if done.returncode == 0 else None


def with_host_path(config):
    config["culvert-platform:platform"]["host-path"] = True
    return config


def tcp(lab):
    """TCP over both families from a host to a server on the box and from the box to a server on a host, ping from the box;
    ARP, ND and echo requests stay Culvert's; devices follow the configuration: addresses, state, name,
    the namespace of a VRF, on and off."""
    site = Site(lab)
    culvert = Culvert(lab).start(with_host_path(cfg.base()))
    text = culvert.cli("show", "interfaces", "lan").stdout
    require("Host device: lan" in text, text)
    for family in (4, 6):
        serve(lab, "gw", GW_LAN[family])
        require(ask(lab, "host-a", GW_LAN[family]) == HOST_A[family], f"IPv{family} to the box")
        serve(lab, "host-a", HOST_A[family])
        require(ask(lab, "gw", HOST_A[family]) == GW_LAN[family], f"IPv{family} from the box")
        lab.run("gw", "ping", f"-{family}", "-n", "-c", "2", "-i", "0.2", "-W", "2", HOST_A[family])
        lab.run("host-a", "ping", f"-{family}", "-n", "-c", "2", "-i", "0.2", "-W", "2", GW_LAN[family])
    del site
    config = with_host_path(cfg.base())
    lan = cfg.interface(config, "lan")
    lan["ietf-ip:ipv4"]["address"].append({"ip": "10.1.7.1", "prefix-length": 24})
    lan["culvert-platform:mtu"] = 1400
    culvert.commit(config)
    seen = lab.run("gw", "ip", "addr", "show", "dev", "lan").stdout
    require("inet 10.1.7.1/24" in seen and "mtu 1400" in seen and f"inet {GW_LAN[4]}/24" in seen, seen)
    lan["enabled"] = False
    culvert.commit(config)
    seen = lab.run("gw", "ip", "link", "show", "dev", "lan").stdout
    require(",UP" not in seen, seen)
    lan["enabled"] = True
    lan["culvert-platform:host-device"] = "inside"
    culvert.commit(config)
    seen = lab.run("gw", "ip", "addr", "show").stdout
    require("inside:" in seen and " lan:" not in seen and f"inet6 {GW_LAN[6]}/64" in seen, seen)
    require(ask(lab, "host-a", GW_LAN[4]) == HOST_A[4], "not reached under the new name")
    lan["culvert-platform:host-device"] = "cv-lan"
    refused = culvert.commit(config, check=False)
    require(refused.returncode and "a device called cv-lan already" in refused.stdout + refused.stderr,
            f"{refused.stdout}{refused.stderr}")
    del lan["culvert-platform:host-device"]
    lab.namespace("red")
    config["culvert-vrf:vrfs"] = {"vrf": [{"name": "red", "host-namespace": lab.namespaces["red"]}]}
    lan["culvert-vrf:vrf"] = "red"
    culvert.commit(config)
    serve(lab, "red", GW_LAN[4])
    require(ask(lab, "host-a", GW_LAN[4]) == HOST_A[4], "not reached in the VRF's namespace")
    require(" lan:" not in lab.run("gw", "ip", "link").stdout, "the device is in the dataplane's own namespace, too")
    lan["culvert-platform:host-path"] = False
    culvert.commit(config)
    require("UP" not in lab.run("red", "ip", "link", "show", "type", "tun", check=False).stdout, "the device is still there")
    require(ask(lab, "host-a", GW_LAN[4], check=False, patience=2) is None, "reached without a host path")


def kernel_aside(lab):
    """The kernel's own stack takes nothing from the interfaces of Culvert's ports (net_af_packet gives it a copy of each frame): a ping of the
    router's address is answered once and by Culvert, and a server on the host is reached past neither an access list nor a switched-off
    host path. What a killed dataplane leaves on the devices is nothing, and its successor has them again;
    where the kernel refuses, the log warns and the port works."""
    Site(lab)
    config = with_host_path(cfg.base())
    config["culvert-acl:access-lists"] = {"access-list": [{"name": "no-server", "line": [
        {"sequence": 10, "action": "deny", "protocol": "tcp", "source": "any", "destination": GW_LAN[4], "destination-port": {"lower": PORT}},
        {"sequence": 20, "action": "permit", "source": "any", "destination": "any"}]}]}
    for device in ("cv-lan", "cv-wan"):
        lab.run("gw", "ip", "link", "set", device, "arp", "on")  # as anywhere but in this lab
        lab.run("gw", "sysctl", "-qw", f"net.ipv6.conf.{device}.disable_ipv6=0")
    culvert = Culvert(lab).start(config)

    def kernel_saw():
        names, values = (line.split() for line in lab.run("gw", "cat", "/proc/net/snmp").stdout.splitlines() if line.startswith("Icmp:"))
        of_ipv6 = dict(line.split() for line in lab.run("gw", "cat", "/proc/net/snmp6").stdout.splitlines())
        return int(values[names.index("InEchos")]) + int(of_ipv6["Icmp6InEchos"])
    serve(lab, "gw", GW_LAN[4])
    require(ask(lab, "host-a", GW_LAN[4]) == HOST_A[4], "the host path")
    for family in (4, 6):
        pings = lab.run("host-a", "ping", f"-{family}", "-n", "-c", "5", "-i", "0.2", "-W", "2", GW_LAN[family]).stdout
        require(" 5 received" in pings and "DUP" not in pings and kernel_saw() == 0, f"{pings}{kernel_saw()} pings came to the kernel")
    lan = cfg.interface(config, "lan")
    lan["culvert-acl:access-group"] = {"ipv4": {"in": "no-server"}}
    culvert.commit(config)
    require(ask(lab, "host-a", GW_LAN[4], check=False, patience=3) is None, "the server is reached past the access list")
    require(culvert.drops().get("access-list-in"), f"{culvert.drops()}")
    del lan["culvert-acl:access-group"]
    lan["culvert-platform:host-path"] = False
    culvert.commit(config)
    lab.address("gw", "lo", f"{GW_LAN[4]}/32")
    lab.run("gw", "ip", "route", "add", LAN[4], "dev", "wan")
    require(ask(lab, "host-a", GW_LAN[4], check=False, patience=3) is None, "the server is reached without a host path")

    def shields():
        return sorted(re.findall(r"table netdev culvert-(\S+)", lab.run("gw", "nft", "list", "tables").stdout))
    require(shields() == ["cv-lan-net_af_packet0", "cv-wan-net_af_packet1"], f"{shields()}")
    culvert.kill_dataplane()
    wait_until(lambda: not shields(), 10, "the devices to be the kernel's again")
    culvert.start_dataplane()
    wait_until(lambda: len(shields()) == 2, 20, "the devices to be Culvert's again")
    culvert.kill_dataplane()
    lab.run("gw", "nft", "add", "table", "netdev", "culvert-cv-lan-net_af_packet0")
    culvert.start_dataplane()
    wait_until(lambda: "cv-lan: the kernel's own stack cannot be kept off it (File exists)" in lab.log_text("dataplane.log"), 20, "a warning")
    wait_until(lambda: lab.run("host-a", "ping", "-n", "-c", "1", "-W", "1", GW_LAN[4], check=False).returncode == 0, 20, "the port to work all the same")


def policy(lab):
    """What a program on the box sends meets the crypto map like forwarded traffic (VTI-4, IPSEC-28): TCP from the inside address
    to a protected network comes as ESP, long segments learn the tunnel's MTU, and not one packet is in clear while there is no
    SA. Kernel routes become Culvert's and give way to a lower distance; those to nowhere, as the operator guide gives them, drop."""
    site = TwoGateways(lab)
    config = with_host_path(cfg.vpn(NEXT_HOP[4]))
    near, far = Culvert(lab).start(config), Culvert(lab, "gw2")
    wait_until(lambda: "default via 192.0.2.2 dev wan proto 199" in lab.run("gw", "ip", "route").stdout, 10,
               "the configured route in the kernel")
    serve(lab, "host-b", HOST_B[4])
    capture = site.capture()
    client = lab.spawn("gw", [sys.executable, "-c", CLIENT, HOST_B[4], PORT, 60, GW_LAN[4]], "client.log")
    far.start(cfg.mirror(config))
    wait_until(lambda: client.poll() is not None, 70, "the client on the box")
    require(client.returncode == 0 and lab.log_text("client.log").strip() == GW_LAN[4], lab.log_text("client.log"))
    capture.stop()
    capture.require_only_esp(10)
    flow = near.show("crypto", "ipsec", "sa")["interfaces"][0]["flows"][0]
    require(flow["pkts_encaps"] >= 10 and flow["pkts_decaps"] >= 5, f"{flow}")

    def route(prefix):
        found = [r for r in near.show("ip", "route")["routes"] if r["prefix"] == prefix]
        return found[0] if found else None
    lab.run("gw", "ip", "route", "add", "10.77.0.0/16", "via", HOST_A[4], "dev", "lan", "proto", "ospf")
    lab.run("gw", "ip", "route", "add", "0.0.0.0/0", "via", HOST_A[4], "dev", "lan", "proto", "ospf")
    wait_until(lambda: route("10.77.0.0/16"), 10, "the kernel's route")
    seen = route("10.77.0.0/16")
    require(seen["source"] == "ospf" and seen["distance"] == 110 and seen["next_hops"][0]["interface"] == "lan" and
            seen["next_hops"][0]["address"] == HOST_A[4], f"{seen}")
    require(route("0.0.0.0/0")["source"] == "static", f"{route('0.0.0.0/0')}")
    guide = (SOURCE / "docs/operator-guide.md").read_text()
    commands = re.findall("^ip route add (?:blackhole|unreachable|prohibit) .*$", guide, re.M)
    require(len(commands) == 3, f"the guide has {commands}")
    for line in commands:
        prefix = line.split()[4]
        lab.run("gw", *line.split())
        wait_until(lambda p=prefix: route(p), 10, line)
        require(route(prefix)["next_hops"][0].get("blackhole") and route(prefix)["source"] == "bgp", f"{route(prefix)}")
        before = near.drops().get("route-blackhole", 0)
        pings = lab.run("host-a", "ping", "-n", "-c", "3", "-i", "0.2", "-W", "1", prefix.replace("0.0/16", "0.9"), check=False).stdout
        require(" 0 received" in pings and "errors" not in pings, pings)
        wait_until(lambda b=before: near.drops().get("route-blackhole", 0) == b + 3, 10, "three packets to be dropped")
    require("B    10.78.0.0/16 is discarded" in near.cli("show", "ip", "route").stdout, near.cli("show", "ip", "route").stdout)
    near.kill_control()
    near.start_control()
    require(route("10.77.0.0/16") == seen, "a new control process swept the kernel's routes")
    lab.run("gw", "ip", "route", "del", "10.77.0.0/16")
    lab.run("gw", "ip", "route", "del", "unreachable", "10.79.0.0/16", "proto", "bgp")
    wait_until(lambda: not route("10.77.0.0/16") and not route("10.79.0.0/16"), 10, "the kernel's routes to go")
    require(route("10.78.0.0/16"), "another went, too")


PIM = f"ip pim rp {GW_LAN[4]} 224.0.0.0/4\ninterface lan\n ip pim\ninterface wan\n ip pim\n ip igmp\n"


def smcroute(lab, *routes):
    """Debian's smcroute on the gateway's own Linux, for the devices lan and wan; returns when it has both."""
    work = lab.work / "smcroute"
    work.mkdir(exist_ok=True)
    (work / "conf").write_text("\n".join(("phyint lan enable", "phyint wan enable", *routes, "")))
    daemon = lab.spawn("gw", [f"{layer_of('smcroute')}/usr/sbin/smcrouted", "-n", "-N", "-c", 3600, "-f", work / "conf", "-u", work / "sock", "-P", work / "pid"],
                       "smcroute.log")
    wait_until(lambda: all(f" {name} " in lab.run("gw", "cat", "/proc/net/ip_mr_vif").stdout for name in ("lan", "wan")), 15, "smcroute to have its devices")
    return daemon


def multicast_routing(lab):
    """The kernel's multicast routes are Culvert's (VTI-4): smcroute makes one for a source that is named, and one when the first packet from a source
    that is not makes the kernel ask; reports of members reach it, to whichever group; the kernel goes on counting; configured routes go first; with the
    daemon the routes go, and a new culvertd leaves them alone. PIM of FRR, which hears of a receiver by IGMP, forwards to it."""
    named, asked, fixed, reported = "239.1.2.3", "239.1.2.4", "239.1.2.5", "239.1.2.9"
    Site(lab)
    config = with_host_path(cfg.base())
    config["culvert-multicast:multicast-routing"] = {"route": [multicast.route(fixed, "lan", source=HOST_A[4])]}
    culvert = Culvert(lab).start(config)
    lab.address("wan", "outside", "192.0.2.77/24")
    lab.route("wan", LAN[4], "192.0.2.1")
    receivers = {group: multicast.Receiver(lab, group, "outside", ns="wan") for group in (named, asked, fixed)}

    def send(group, count=100):
        multicast.send(lab, "host-a", "eth0", group, count=count)

    def is_forwarded(group):
        return (multicast.shown(culvert, group) or {}).get("origin") == "host"
    send(named, 20)
    wait_until(lambda: culvert.drops().get("multicast", 0) >= 20, 10, "groups without a route to be dropped")
    daemon = smcroute(lab, *(f"mroute from lan group {group} source {HOST_A[4]} to wan" for group in (named, fixed)),
                      f"mroute from lan group {asked} to wan")
    wait_until(lambda: is_forwarded(named), 10, "the kernel's route")
    send(named)
    receivers[named].require_all(100)
    seen = multicast.shown(culvert, named)
    require(seen["source"] == HOST_A[4] and seen["packets"] == 100 and seen["copies"] == 100 and seen["incoming_interface"] == "lan" and
            seen["outgoing_interfaces"] == [{"interface": "wan", "ttl_threshold": 1}], f"{seen}")
    require(not is_forwarded(asked) and multicast.shown(culvert, fixed)["origin"] == "static", "other routes")
    culvert.cli("clear", "counters")
    send(named, 5)
    seen = wait_until(lambda: (now := multicast.shown(culvert, named))["packets"] >= 5 and now, 10, "packets after the counters are cleared")
    require(seen["packets"] == seen["copies"] == 5 and 0 < seen["bytes"] < 5 * 1500, f"{seen}")

    def asked_for():
        send(asked, 1)
        return is_forwarded(asked)
    wait_until(asked_for, 15, "the daemon to be asked", 0.5)
    before = multicast.shown(culvert, asked)["packets"]
    send(asked)
    wait_until(lambda: set(receivers[asked].seen) == {str(n) for n in range(100)}, 10, "the stream that the daemon was asked about")
    carried = multicast.shown(culvert, asked)["packets"] - before
    require(carried in (100, 101), f"{carried} of 100 packets, or of 101 with the last one before")
    send(fixed, 20)
    wait_until(lambda: multicast.shown(culvert, fixed)["packets"] == 20, 10, "the configured route to be used")
    require(not receivers[fixed].seen, f"{receivers[fixed].seen}")

    def counted():
        send(named, 1)
        table = (line.split() for line in lab.run("gw", "cat", "/proc/net/ip_mr_cache").stdout.splitlines())
        return any(line[0] == "030201EF" and int(line[3]) for line in table)
    wait_until(counted, 25, "the kernel to count the stream", 0.5)
    capture = Capture(lab, "gw", "lan", "reports", "igmp")
    lab.run("host-a", "sysctl", "-qw", "net.ipv4.conf.eth0.force_igmp_version=2")
    multicast.Receiver(lab, reported, "eth0", ns="host-a")
    wait_until(lambda: "igmp" in lab.run("gw", "tcpdump", "-n", "-r", capture.path, f"dst {reported}", check=False).stdout, 25,
               "a report to its own group", 0.5)
    capture.stop()
    culvert.kill_control()
    culvert.start_control()
    require(is_forwarded(named) and is_forwarded(asked), "a new control process swept the kernel's routes")
    lab.stop(daemon)
    wait_until(lambda: not is_forwarded(named) and not is_forwarded(asked), 10, "the kernel's routes to go")
    require(multicast.shown(culvert, fixed)["origin"] == "static", "the configured route went, too")
    Frr(lab, "gw", {"pimd": PIM})
    joined = "239.1.2.6"
    receivers[joined] = multicast.Receiver(lab, joined, "outside", ns="wan")

    def arrives():
        send(joined, 1)
        return is_forwarded(joined) and receivers[joined].seen
    wait_until(arrives, 60, "PIM to forward to who joined", 0.5)
    send(joined)
    wait_until(lambda: set(receivers[joined].seen) == {str(n) for n in range(100)}, 10, "the stream that was joined")


def far_host(lab):
    """Another namespace, "far", on the outside wire, behind the gateway."""
    lab.namespace("far")
    lab.veth("wan", "far0", "far", "eth0")
    lab.silent("wan", "far0")
    lab.run("wan", "ip", "link", "set", "far0", "master", "outside")
    lab.address("far", "eth0", f"{NEXT_HOP[4]}/24")
    lab.route("far", "default", GW_WAN[4])


class RouteTable:
    """A gateway whose kernel gets many routes by way of host-a, which answers to every address in them; what is in force is what "far" gets
    an answer through. CULVERT_LAB_ROUTES=500000: a full table, whose times docs/benchmarks.md has."""

    def __init__(self, lab):
        self.lab, self.count = lab, int(os.environ.get("CULVERT_LAB_ROUTES", "20000"))
        Site(lab)
        far_host(lab)
        lab.run("host-a", "ip", "route", "add", "local", "16.0.0.0/4", "dev", "lo")
        self.culvert = Culvert(lab).start(with_host_path(cfg.base()))
        wait_until(lambda: lab.run("far", "ping", "-c", "1", "-W", "1", HOST_A[4], check=False).returncode == 0, 20, "the way to host-a")

    def answers(self, n, patience=1):
        address = socket.inet_ntoa(route_sender.prefix(n)[:3] + b"\1")
        return self.lab.run("far", "ping", "-n", "-c", "1", "-W", patience, address, check=False).returncode == 0

    def one(self, what, n):
        self.lab.run("gw", "ip", "route", what, f"{socket.inet_ntoa(route_sender.prefix(n))}/24", "via", HOST_A[4], "dev", "lan")

    def send(self, what, count):
        return self.lab.run("gw", sys.executable, route_sender.__file__, what, count, HOST_A[4], "lan", timeout=120).stdout.split()

    def main_lcore(self):
        """Its time of the CPU, in seconds."""
        pid = str(self.culvert.dataplane.pid)
        ticks = (Path("/proc") / pid / "task" / pid / "stat").read_text().rsplit(")", 1)[1].split()[11:13]
        return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")

    def events_dropped(self):
        """How many messages the kernel could not give to a socket of the dataplane."""
        lines = Path(f"/proc/{self.culvert.dataplane.pid}/net/netlink").read_text().splitlines()[1:]
        return sum(int(line.split()[8]) for line in lines)


def many_routes(lab):
    """A table full of routes comes to the kernel and goes again while packets are forwarded, of which none is lost; the last
    route counts, and the first, and one between."""
    table = RouteTable(lab)
    count, answers = table.count, table.answers

    def give(what, done):
        before = table.main_lcore()
        took = table.send(what, count)
        begin = time.monotonic()
        wait_until(done, 60, f"'{what}' to be followed", 0.01)
        lab.say("{} of {} routes: kernel {:.2f} s (its CPU time {:.2f} s), followed {:.2f} s later ({:.2f} s of the main lcore), {} events dropped"
                .format(what, count, *map(float, took), time.monotonic() - begin, table.main_lcore() - before, table.events_dropped()))
    require(not answers(count - 1), "there is a route already")
    with Stream(lab, "host-a", NEXT_HOP[4], interval=0.005) as stream:
        give("add", lambda: answers(count - 1, 0.1))
        require(answers(0) and answers(count // 2), "the last route is there, but not all")
        give("del", lambda: not answers(count - 1, 0.1) and not answers(0, 0.1))
    lab.say(f"meanwhile: {stream.result}")
    require(stream.lost == 0, f"{stream.result}")


def events_lost(lab):
    """While the dataplane stands still, so many of the kernel's routes change (one comes and goes until then) that the kernel drops what it says of
    them. Afterwards the routes are those that the kernel has, and none is that only an old message still names. A full table that goes
    meanwhile is gone within the ten seconds that one may take."""
    table = RouteTable(lab)
    count, answers = table.count, table.answers
    old, new, later = range(count, count + 3)
    table.send("add", count)
    wait_until(lambda: answers(count - 1, 0.1), 60, "the routes", 0.01)
    table.culvert.dataplane.send_signal(signal.SIGSTOP)
    try:
        table.one("add", old)  # the kernel can still say that it comes, and not that it goes
        while not table.events_dropped():
            table.send("flap", 20000)
        table.send("del", count)
        table.one("del", old)
        table.one("add", new)
    finally:
        table.culvert.dataplane.send_signal(signal.SIGCONT)
    begin, before = time.monotonic(), table.main_lcore()
    wait_until(lambda: answers(new, 0.1) and not answers(count - 1, 0.1) and not answers(0, 0.1), 10, "the kernel's routes", 0.01)
    lab.say(f"{count} routes followed {time.monotonic() - begin:.2f} s later ({table.main_lcore() - before:.2f} s of the main lcore)")
    table.one("add", later)  # whatever was said before is read by now
    wait_until(lambda: answers(later, 0.1), 10, "a route that comes afterwards", 0.01)
    have = {r["prefix"] for r in table.culvert.show("ip", "route")["routes"] if r["source"] not in ("connected", "local", "static")}
    require(have == {f"{socket.inet_ntoa(route_sender.prefix(n))}/24" for n in (new, later)}, f"{sorted(have)[:10]} and more: {len(have)}")


OSPF_TIMERS = " ip ospf hello-interval 1\n ip ospf dead-interval 10\n"
OSPF = """
interface {inside}
{timers}
interface tunnel0
 ip ospf network point-to-point
 ip ospf mtu-ignore
{timers}
router ospf
 ospf router-id {router}
 log-adjacency-changes
 network {lan} area 0
 network 10.50.0.1/32 area 0
 network 10.99.0.0/30 area 0
"""
BGP = """
router bgp {own}
 bgp router-id {router}
 no bgp ebgp-requires-policy
 no bgp network import-check
 timers bgp 1 10
 neighbor {peer} remote-as {theirs}
 neighbor {peer} timers connect 1
{session} address-family ipv4 unicast
  neighbor {peer} activate
  network {network}
"""


OSPF6_INTERFACE = """
interface {name}
 ipv6 ospf6 area 0.0.0.0
 ipv6 ospf6 hello-interval 1
 ipv6 ospf6 dead-interval 10
"""
OSPF6_TUNNEL = " ipv6 ospf6 network point-to-point\n ipv6 ospf6 mtu-ignore\n"
OSPF6_ROUTER = """
router ospf6
 ospf6 router-id {router}
"""


def ipv6_tunnel(mode):
    """Both gateways' configuration: tunnel0 of this mode over IPv6, with IPv6 inside; VTI is protected."""
    config = with_host_path(cfg.vpn(NEXT_HOP[6], inner=(6,)))
    del cfg.interface(config, "wan")["culvert-ipsec:crypto-map"], config["culvert-acl:access-lists"], config["ietf-routing:routing"]
    ipsec = config["culvert-ipsec:ipsec"]
    del ipsec["crypto-map"]
    ipsec["profile"] = [{"name": "P1", "transform-set": ["lab"], "ike-profile": "lab"}]
    tunnel = {"mode": mode, "source-interface": "wan", "destination": NEXT_HOP[6]}
    if mode == "ipsec-ipv6":
        tunnel["protection"] = {"profile": "P1"}
    config["ietf-interfaces:interfaces"]["interface"].append({
        "name": "tunnel0", "type": "iana-if-type:tunnel", "culvert-tunnel:tunnel": tunnel,
        "ietf-ip:ipv6": {"address": [{"ip": "2001:db8:99::1", "prefix-length": 126}]}})
    far = cfg.mirror(config)
    cfg.interface(far, "tunnel0")["ietf-ip:ipv6"]["address"][0]["ip"] = "2001:db8:99::2"
    return config, far


def link_local(lab, ns, device):
    words = lab.run(ns, "ip", "-6", "-o", "addr", "show", "dev", device, "scope", "link", check=False).stdout.split()
    return words[words.index("inet6") + 1].split("/")[0] if words else None


def ospfv3(lab):
    """OSPFv3 of FRR over Ethernet, an IPsec tunnel and then GRE, which it does by link-local addresses only: those of the two ends differ and reach each
    other; what it learns is forwarded by, and goes with the daemon."""
    site = TwoGateways(lab)
    gateways = {"gw": Culvert(lab), "gw2": Culvert(lab, "gw2")}
    frr = {}

    def learned(name):
        return {r["prefix"]: (r["source"], r["next_hops"][0]["interface"], r["next_hops"][0].get("address"))
                for r in gateways[name].show("ipv6", "route")["routes"]}
    for mode in ("ipsec-ipv6", "gre-ipv6"):
        lab.say(mode)
        for culvert, config in zip(gateways.values(), ipv6_tunnel(mode)):
            (culvert.commit if frr else culvert.start)(config)
        own = {ns: wait_until(lambda n=ns: link_local(lab, n, "tunnel0"), 10, f"a link-local address in {ns}") for ns in gateways}
        require(own["gw"] != own["gw2"], f"{own}")
        wait_until(lambda: lab.run("gw", "ping", "-6", "-n", "-c", "1", "-W", "1", f"{own['gw2']}%tunnel0", check=False).returncode == 0, 30,
                   "the other end's link-local address to answer")
        for ns, inside, router in (("gw", "lan", "1.1.1.1"), ("gw2", "lan", "2.2.2.2"), ("host-a", "eth0", "3.3.3.3")):
            if ns not in frr:
                tunnel = OSPF6_INTERFACE.format(name="tunnel0") + OSPF6_TUNNEL if ns != "host-a" else ""
                frr[ns] = Frr(lab, ns, {"ospf6d": OSPF6_INTERFACE.format(name=inside) + tunnel + OSPF6_ROUTER.format(router=router)})
        wait_until(lambda: frr["gw"].full_neighbours6() == ["lan", "tunnel0"], 60, "OSPFv3 on Ethernet and tunnel", 0.5)
        wait_until(lambda: learned("gw").get(REMOTE[6]) == ("ospf", "tunnel0", own["gw2"]) and
                   learned("gw2").get(LAN[6]) == ("ospf", "tunnel0", own["gw"]), 60, "the routes of OSPFv3", 0.5)
        site.ping_until_works(6)
        site.ping(6, 20, "host-b", 0.02)
        require(frr["gw"].full_neighbours6() == ["lan", "tunnel0"], frr["gw"].log("ospf6d"))
    lab.stop(frr["gw"].daemons["ospf6d"])
    wait_until(lambda: REMOTE[6] not in learned("gw"), 30, "OSPFv3's routes to go", 0.5)


BGP_UNNUMBERED = """
router bgp {own}
 bgp router-id {router}
 no bgp ebgp-requires-policy
 no bgp network import-check
 timers bgp 1 10
{neighbours}
 address-family ipv4 unicast
  network {network}
"""


def unnumbered(lab):
    """FRR's BGP with neighbours that are named by their interface, on Ethernet and over GRE: it hears their router advertisements, which the kernel does
    not heed, and its IPv4 routes have their link-local addresses as gateways (RFC 8950)."""
    site = TwoGateways(lab)
    gateways = {"gw": Culvert(lab), "gw2": Culvert(lab, "gw2")}
    for culvert, config in zip(gateways.values(), ipv6_tunnel("gre-ipv6")):
        culvert.start(config)
    own = {(ns, device): wait_until(lambda n=ns, d=device: link_local(lab, n, d), 10, f"a link-local address of {device}")
           for ns, device in (("gw", "lan"), ("gw", "tunnel0"), ("gw2", "tunnel0"), ("host-a", "eth0"))}
    lab.address("host-a", "lo", "10.62.0.1/32")
    for number, (ns, network, devices) in enumerate((("gw", LAN[4], ("lan", "tunnel0")), ("gw2", REMOTE[4], ("tunnel0",)), ("host-a", "10.62.0.0/16", ("eth0",))), 1):
        neighbours = "\n".join(f" neighbor {device} interface remote-as external\n neighbor {device} timers connect 1" for device in devices)
        Frr(lab, ns, {"bgpd": BGP_UNNUMBERED.format(own=65000 + number, router=f"{number}.{number}.{number}.{number}", neighbours=neighbours, network=network)})

    def learned(name):
        return {r["prefix"]: (r["source"], r["next_hops"][0]["interface"], r["next_hops"][0].get("address")) for r in gateways[name].show("ip", "route")["routes"]}
    expected = {"gw": {REMOTE[4]: ("bgp", "tunnel0", own["gw2", "tunnel0"]), "10.62.0.0/16": ("bgp", "lan", own["host-a", "eth0"])},
                "gw2": {prefix: ("bgp", "tunnel0", own["gw", "tunnel0"]) for prefix in (LAN[4], "10.62.0.0/16")}}
    wait_until(lambda: all(routes.items() <= learned(name).items() for name, routes in expected.items()), 90, f"the routes {expected}", 0.5)
    site.ping_until_works()
    site.ping(count=20, interval=0.02)
    lab.run("host-b", "ping", "-n", "-c", "20", "-i", "0.02", "-W", "2", "10.62.0.1")
    require("proto ra" not in lab.run("gw", "ip", "-6", "route").stdout, "the kernel took a route of a router advertisement")


def ipv6_gateways(lab):
    """The kernel's IPv4 routes with IPv6 gateways (RFC 8950), as an operator gives them, to a link-local address and over two next hops, and as
    FRR's BGP does over an IPv6 session: found by ND, IPv4 packets arrive, those of the box and those that are forwarded."""
    Site(lab)
    culvert = Culvert(lab).start(with_host_path(cfg.base()))
    far_host(lab)
    own = link_local(lab, "host-a", "eth0")

    def route(prefix):
        return next((r for r in culvert.show("ip", "route")["routes"] if r["prefix"] == prefix), None)

    wait_until(lambda: GW_LAN[6] in lab.run("gw", "ip", "addr", "show", "dev", "lan", check=False).stdout, 10, "the device")

    def reach(address):
        for ns in ("gw", "far"):
            wait_until(lambda n=ns: lab.run(n, "ping", "-n", "-c", "1", "-W", "1", address, check=False).returncode == 0, 10, f"{address} to answer {ns}")
            lab.run(ns, "ping", "-n", "-c", "20", "-i", "0.02", "-W", "2", address)
    for n, hops in ((77, [HOST_A[6]]), (78, [own]), (79, [HOST_A[6], own])):
        lab.address("host-a", "lo", f"10.{n}.0.1/32")
        words = [word for hop in hops for word in ("nexthop", "via", "inet6", hop, "dev", "lan")]
        lab.run("gw", "ip", "route", "add", f"10.{n}.0.0/16", "proto", "bgp", *(words if len(hops) > 1 else words[1:]))
        wait_until(lambda p=f"10.{n}.0.0/16": route(p), 10, "the kernel's route")
        seen = [(hop["address"], hop["interface"]) for hop in route(f"10.{n}.0.0/16")["next_hops"]]
        require(sorted(seen) == sorted((hop, "lan") for hop in hops), f"{seen}")
        reach(f"10.{n}.0.1")
    lab.address("host-a", "lo", "10.62.0.1/32")
    frr = {ns: Frr(lab, ns, {"bgpd": BGP.format(
        own=mine, theirs=theirs, router=router, peer=peer, network=network, session=f" neighbor {peer} capability extended-nexthop\n")})
           for ns, mine, theirs, router, peer, network in (("gw", 65001, 65003, "1.1.1.1", HOST_A[6], "10.61.0.0/16"),
                                                           ("host-a", 65003, 65001, "3.3.3.3", GW_LAN[6], "10.62.0.0/16"))}
    wait_until(lambda: route("10.62.0.0/16"), 60, "the route of BGP", 0.5)
    seen = route("10.62.0.0/16")
    require(seen["source"] == "bgp" and seen["next_hops"][0]["address"] in (HOST_A[6], own), f"{seen}")
    reach("10.62.0.1")
    lab.stop(frr["gw"].daemons["bgpd"])
    wait_until(lambda: not route("10.62.0.0/16"), 30, "the route of BGP to go", 0.5)


def routing(lab):
    """VTI-4, VTI-T2: FRR on both gateways and on a host. OSPF over Ethernet and over an IPsec tunnel, BGP over the tunnel: what
    they learn is forwarded by, in the right direction and encrypted; both adjacencies outlive rekeys (VTI-20, promise 3)
    and a smaller MTU of the path; when the daemon ends, its routes go.
    CULVERT_LAB_REKEYS=100: through so many rekeys, three to seven seconds each, four changes of the path's MTU and the death of the
    far control process, which neither adjacency notices, and restarts of the far end: too long for every run."""
    count = int(os.environ.get("CULVERT_LAB_REKEYS", "2"))
    site = TwoGateways(lab)
    config = with_host_path(json.loads((SOURCE / "docs/examples/vti.json").read_text()))
    del config["ietf-routing:routing"]
    config["culvert-ipsec:ipsec"]["lifetime"] = {"kilobytes": 1024}
    theirs = cfg.mirror(config)
    cfg.interface(theirs, "tunnel0")["ietf-ip:ipv4"]["address"][0]["ip"] = "10.99.0.2"
    near, far = Culvert(lab).start(config), Culvert(lab, "gw2").start(theirs)
    capture = site.capture()
    lab.address("host-a", "lo", "10.50.0.1/32")
    frr = {}
    for ns, inside, router, lan in (("gw", "lan", "1.1.1.1", LAN[4]), ("gw2", "lan", "2.2.2.2", REMOTE[4]),
                                    ("host-a", "eth0", "3.3.3.3", LAN[4])):
        daemons = {"ospfd": OSPF.format(inside=inside, router=router, lan=lan, timers=OSPF_TIMERS)}
        if ns != "host-a":
            own, other = (65001, 65002) if ns == "gw" else (65002, 65001)
            daemons["bgpd"] = BGP.format(own=own, theirs=other, router=router, session="", network="10.61.0.0/16" if ns == "gw" else "10.62.0.0/16",
                                         peer="10.99.0.2" if ns == "gw" else "10.99.0.1")
        frr[ns] = Frr(lab, ns, daemons)

    def sources(culvert):
        return {r["prefix"]: (r["source"], r["next_hops"][0]["interface"]) for r in culvert.show("ip", "route")["routes"]}
    wait_until(lambda: frr["gw"].full_neighbours() == ["lan", "tunnel0"], 60, "OSPF on Ethernet and tunnel", 0.5)
    expected = {REMOTE[4]: ("ospf", "tunnel0"), "10.50.0.1/32": ("ospf", "lan"), "10.62.0.0/16": ("bgp", "tunnel0")}
    wait_until(lambda: expected.items() <= sources(near).items(), 60, f"{expected} among the routes", 0.5)
    wait_until(lambda: sources(far).get("10.50.0.1/32") == ("ospf", "tunnel0"), 30, "the host's address at the far end", 0.5)
    site.ping_until_works()
    site.ping(source="host-b")
    changes = frr["gw"].log("ospfd").count("AdjChg")

    def rekeys():
        return near.show("crypto", "ike", "stats")["stats"]["child_rekeyed"]
    before = rekeys()

    def more_rekeys(n):
        goal = rekeys() + n
        wait_until(lambda: rekeys() >= goal, max(60, 12 * n), "rekeys under traffic", 0.5)

    def path_mtu(mtu):  # as the gateways know it
        for culvert, side in ((near, config), (far, theirs)):
            cfg.interface(side, "wan")["culvert-platform:mtu"] = mtu
            culvert.commit(side)
    with site.stream(interval=0.004, size=1300, limit=120000 + 3000 * count) as stream:
        more_rekeys(count)
        for mtu in (1400,) if count == 2 else (1400, 1500):
            path_mtu(mtu)
            more_rekeys(1)
        if count > 2:
            lab.say("the far control process dies")
            far.kill_control()
            far.start_control()
            more_rekeys(1)
    for mtu in () if count == 2 else (1280, 1450):  # for a moment the stream's packets would not fit into the far end's
        path_mtu(mtu)
        site.ping(count=50, interval=0.02, size=1300)
    require(stream.lost == 0, f"lost in {rekeys() - before} rekeys: {stream.result.text}")
    require(frr["gw"].log("ospfd").count("AdjChg") == changes and frr["gw"].full_neighbours() == ["lan", "tunnel0"],
            f"OSPF noticed a rekey: {frr['gw'].log('ospfd')}")
    peer = frr["gw"].json("bgpd", "show bgp neighbors")["10.99.0.2"]
    require(peer["bgpState"] == "Established" and peer["connectionsDropped"] == 0, f"BGP noticed a rekey: {peer}")
    capture.stop()
    capture.require_only_esp(50)
    lab.say(f"{rekeys() - before} rekeys, nothing lost")
    if count > 2:
        for die, come_back in ((far.kill_dataplane, far.start_dataplane), (far.stop, far.start)):
            lab.say("the far end restarts")
            die()
            come_back()
            wait_until(lambda: frr["gw"].full_neighbours() == ["lan", "tunnel0"] and expected.items() <= sources(near).items(), 90,
                       "OSPF and BGP after a restart of the far end", 0.5)
            site.ping_until_works()
    lab.stop(frr["gw"].daemons["ospfd"])
    wait_until(lambda: REMOTE[4] not in sources(near) and "10.50.0.1/32" not in sources(near), 30, "OSPF's routes to go", 0.5)
