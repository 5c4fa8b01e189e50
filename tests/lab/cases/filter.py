# SPDX-License-Identifier: BSD-3-Clause
"""What interfaces let through."""
import json
import sys

from lab import config as cfg
from lab import talker
from lab.core import SOURCE, require, speed, wait_until
from lab.gateway import Culvert
from lab.ikedaemons import Conn, StrongSwan
from lab.topology import GW_WAN, HOST_A, HOST_B, LAN, NEXT_HOP, REMOTE, Site

from cases.tunnel import Tunnel


def matches(culvert, name):
    """Packets by line of an access list, under 0 those that matched none; nothing before the dataplane is there."""
    acl = next(a for a in culvert.show("access-lists", name)["access_lists"])
    return {0: acl.get("implicit_deny", 0), **{line["sequence"]: line.get("matches", 0) for line in acl["lines"]}}


def instead(config):
    """A change of Tunnel's configuration: it is this one."""
    def change(running):
        running.clear()
        running.update(config)
    return change


def example(name):
    return json.loads((SOURCE / f"docs/examples/{name}.json").read_text())


BURST = """
import socket, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
    line.bind(("10.2.0.10", 4009))
    for _ in range(100):
        line.sendto(b"x", (sys.argv[1], 9))
"""


def outside_and_tunnel(lab):
    """IPSEC-T17, IKE-5, IPSEC-2: an inbound list without permits for IKE and ESP: no SA, and the filter counts. Then docs/examples/filter.json as
    written, and the SA comes up. VTI-5: the tunnel's lists see clear packets, in and out, while the outside list sees ESP.
    A line with `log` says once which flow it has denied."""
    config = example("filter")
    closed = json.loads(json.dumps(config))
    for acl in closed["culvert-acl:access-lists"]["access-list"]:
        if acl["name"] == "outside":
            del acl["line"][:3]
    t = Tunnel(lab, change=instead(closed))
    culvert = t.culvert
    wait_until(lambda: matches(culvert, "outside")[0] >= 2, 20, "answers of IKE to be denied")
    t.daemon.initiate(timeout=4, check=False)
    wait_until(lambda: t.drops().get("access-list-in", 0) >= 4, 20, "what the peer begins to be denied, too")
    require(t.interface()["link"] == "down" and not culvert.show("crypto", "session")["sessions"][0].get("active_sas"), "no SA")
    require(t.interface("wan")["rx_drops"] >= 4, f"{t.interface('wan')}")
    culvert.commit(config)
    t.wait_line("up", 40)
    t.site.ping_until_works()
    culvert.cli("clear", "access-list", "counters")
    require(not any(matches(culvert, "from-site2").values()), "counters at zero")
    t.site.ping(4, 5, "host-a", 0.05)
    t.site.ping(4, 5, "host-b", 0.05)
    inside, outside, away = (matches(culvert, name) for name in ("from-site2", "outside", "to-site2"))
    require(inside[20] >= 10 and inside[10] == inside[0] == 0, f"{inside}")
    require(outside[10] >= 10, f"{outside}")
    require(away[10] >= 10 and away[0] == 0, f"{away}")

    def sent(source, target, port, counted):
        lab.run(source, "bash", "-c", f"echo x > /dev/udp/{target}/{port}", check=False)
        return counted()
    wait_until(lambda: sent("host-b", HOST_A[4], 9, lambda: matches(culvert, "from-site2")[10]), 10, "the line about port 9 to deny")
    wait_until(lambda: sent("host-a", HOST_B[4], 7, lambda: matches(culvert, "to-site2")[0]), 10, "all but ping to be denied on the way out")
    # one line in the log for many packets of a flow, and none for what lines without `log` decide
    lab.run("host-b", "python3", "-c", BURST, HOST_A[4])
    wait_until(lambda: "-> 10.1.0.10(9)" in lab.log_text("culvertd.log") and "4009" in lab.log_text("culvertd.log"), 20, "what is denied in the log")
    said = [line for line in lab.log_text("culvertd.log").splitlines() if "IPACCESSLOG" in line]
    require(sum("list from-site2 line 10 denied udp 10.2.0.10(4009) -> 10.1.0.10(9), " in line for line in said) == 1, f"{said}")
    require(all("line 10 denied udp 10.2.0.10(" in line for line in said), f"{said}")
    drops = t.drops()
    require(drops.get("access-list-out") and drops.get("access-list-in"), f"{drops}")
    tunnel = t.interface()
    require(tunnel["rx_drops"] and tunnel["tx_drops"], f"{tunnel}")
    text = culvert.cli("show", "access-lists", "from-site2").stdout
    require("10 deny 17 any any eq 9 log (" in text and "20 permit ip 10.2.0.0 0.0.0.255 10.1.0.0 0.0.0.255 (" in text, text)
    require("Inbound  access list is outside" in culvert.cli("show", "interfaces", "wan").stdout, "the list in show")


PORT = 7777


def serve(lab, ns):
    lab.spawn(ns, [sys.executable, talker.__file__, "serve", str(PORT)], f"talker-{ns}.log")


def ask(lab, ns, kind, host, *options, port=PORT, seconds=4):
    """What talker.py in a namespace hears from the one on another host."""
    return lab.run(ns, sys.executable, talker.__file__, "ask", kind, host, str(port), str(seconds * speed()), *options,
                   timeout=seconds * speed() + 10).stdout.strip()


def ask_until(lab, want, *args, **options):
    wait_until(lambda: ask(lab, *args, **options) == want, 30, f"{args} to answer {want}")


def inspection(lab):
    """VTI-37, VTI-39, VTI-40: docs/examples/inspect.json as written. What a host behind the router begins through the tunnel is
    answered past the tunnel's inbound list, TCP, UDP, ping, fragments and ICMP errors; what the other end begins is not let in;
    what is forgotten is answered no more."""
    t = Tunnel(lab, change=instead(example("inspect"))).wait_line("up", 40)
    culvert = t.culvert
    for ns in ("host-a", "host-b"):
        serve(lab, ns)
    t.site.ping_until_works()
    for kind in ("tcp", "udp"):
        ask_until(lab, f"{HOST_A[4]} 5000", "host-a", kind, HOST_B[4], "from=5000")
    t.site.ping(4, 3, "host-a", 0.05, 3000)
    ask_until(lab, "ECONNREFUSED", "host-a", "udp", HOST_B[4], port=9)
    ask_until(lab, "EHOSTUNREACH", "host-a", "udp", HOST_B[4], "ttl=2")  # the peer's time exceeded
    require(ask(lab, "host-b", "tcp", HOST_A[4], seconds=2) == "timeout", "the other end's TCP is let in")
    require(ask(lab, "host-b", "udp", HOST_A[4], seconds=2) == "timeout", "the other end's UDP is let in")
    require(not t.site.ping(4, 2, "host-b", 0.05, wait=1, check=False).received, "the other end's ping is let in")
    require(t.drops().get("access-list-in", 0) >= 4, f"{t.drops()}")
    sessions = culvert.show("ip", "inspect", "sessions")["sessions"]
    udp = [s for s in sessions if s["protocol"] == "udp" and s.get("source_port") == 5000]
    require(udp and udp[0]["state"] == "open" and udp[0]["interface_in"] == "lan" and udp[0]["interface_out"] == "tunnel0", f"{sessions}")
    require(not [s for s in sessions if s["source"] != HOST_A[4]], f"{sessions}")
    require(f"{HOST_A[4]}:5000" in culvert.cli("show", "ip", "inspect", "sessions").stdout, "the connection in show")
    culvert.cli("clear", "ip", "inspect", "sessions")
    require(ask(lab, "host-b", "udp", HOST_A[4], f"from={PORT + 1}", seconds=2, port=5000) == "timeout", "let in after clear")
    require("Inspection: in" in culvert.cli("show", "interfaces", "lan").stdout, "inspection in show")


INTERNET = "198.51.100.9"


def internet(lab, site):
    """A host beside the peer on the outside network, with an address that only a route leads to; pool and gateway are reached
    through the gateway."""
    lab.namespace("inet")
    lab.veth("wan", "inet0", "inet", "eth0")
    lab.silent("wan", "inet0")
    lab.run("wan", "ip", "link", "set", "inet0", "master", "outside")
    lab.address("inet", "lo", f"{INTERNET}/32")
    lab.address("inet", "eth0", "192.0.2.99/24")
    lab.run("inet", "ip", "route", "add", "10.2.100.0/24", "via", GW_WAN[4], "src", INTERNET)
    lab.run("inet", "ip", "route", "add", f"{GW_WAN[4]}/32", "dev", "eth0", "src", INTERNET)
    serve(lab, "inet")
    return site


def translation(lab):
    """VTI-T5, VTI-37, VTI-38, VTI-O2: docs/examples/nat.json as written. What the other site sends through the tunnel to the internet leaves
    with an address of the pool, and what answers it passes the outside list; new connections from outside do not, except
    to the port that a static entry and a line of the list let in. ESP and IKE are not translated, ping of the router works, ICMP errors
    find the host that they are for."""
    t = Tunnel(lab, change=instead(example("nat"))).wait_line("up", 40)
    culvert = t.culvert
    internet(lab, t.site)
    serve(lab, "host-b")
    t.peer.sh("ip route add 198.51.100.0/24 dev ipsec0")
    for kind in ("tcp", "udp"):
        ask_until(lab, "10.2.100.1 5000", "host-b", kind, INTERNET, "from=5000")
    require(ask(lab, "host-b", "udp", INTERNET, "from=4500").startswith("10.2.100.1 "), "VTI-O2: the line above it is for everything")
    require(ask(lab, "host-b", "udp", INTERNET, "from=5001", "size=3000") == "10.2.100.1 5001", "fragments")
    lab.run("host-b", "ping", "-n", "-c", "3", "-i", "0.2", "-W", str(2 * speed()), INTERNET)
    ask_until(lab, "ECONNREFUSED", "host-b", "udp", INTERNET, port=9)
    ask_until(lab, "EHOSTUNREACH", "host-b", "udp", INTERNET, "ttl=2")  # ours, at the end of the tunnel
    shown = culvert.show("ip", "nat", "translations")["translations"]
    tcp = [x for x in shown if x.get("protocol") == "tcp" and x.get("inside_local_port") == 5000 and x.get("outside") == INTERNET]
    require(shown[0].get("static") and tcp and tcp[0]["inside_global"] == "10.2.100.1" and tcp[0]["inside_local"] == HOST_B[4], f"{shown}")
    require("10.2.100.1:5000" in culvert.cli("show", "ip", "nat", "translations").stdout, "the translation in show")
    require(ask(lab, "inet", "tcp", GW_WAN[4], seconds=2) == "timeout", "new TCP to the outside address")
    require(ask(lab, "inet", "udp", "10.2.100.1", "from=7000", port=5000, seconds=2) == "timeout", "somebody else to a port that is open")
    require(t.drops().get("access-list-in", 0) >= 2, f"{t.drops()}")
    ask_until(lab, f"{INTERNET} 6000", "inet", "tcp", GW_WAN[4], "from=6000", port=8080)
    lab.run("inet", "ping", "-n", "-c", "2", "-i", "0.2", "-W", str(2 * speed()), GW_WAN[4])
    t.site.ping(4, 3, "host-b", 0.05)  # not to the outside interface: as it is
    culvert.cli("clear", "ip", "nat", "translations")
    require(not [x for x in culvert.show("ip", "nat", "translations")["translations"] if x.get("inside_local_port") == 5000], "cleared")


def before_crypto(lab):
    """IPSEC-T15, IPSEC-4, IPSEC-76: the crypto map's interface is NAT outside. The flow that the NAT list denies is encrypted with AES-256 as it
    is; another host is translated by a static entry first, and its outside address is what the crypto list, the SA and the peer see, in
    both directions; the rest leaves in clear, with the interface's address."""
    site = Site(lab)
    peer = site.boot_peer("strongswan")
    known = "10.9.0.20"
    config = cfg.vpn(NEXT_HOP[4], 2, esp="aes256-cbc-sha256-128")
    cfg.interface(config, "wan")["culvert-firewall:nat"] = "outside"
    cfg.interface(config, "lan")["culvert-firewall:nat"] = "inside"
    lists = config["culvert-acl:access-lists"]["access-list"]
    lists[0]["line"].append({"sequence": 20, "action": "permit", "source": f"{known}/32", "destination": REMOTE[4]})
    lists.append({"name": "110", "line": [
        {"sequence": 10, "action": "deny", "source": LAN[4], "destination": REMOTE[4]},
        {"sequence": 20, "action": "permit", "source": LAN[4], "destination": "any"}]})
    config["culvert-firewall:firewall"] = {"nat": {
        "source-rule": [{"sequence": 10, "access-list": "110", "interface": "wan"}],
        "static": [{"name": "second", "local-address": "10.1.0.20", "global-address": known}]}}
    StrongSwan(peer, Conn(local=NEXT_HOP[4], remote=GW_WAN[4], psk=cfg.PSK, local_ts=[REMOTE[4]], remote_ts=[LAN[4], f"{known}/32"],
                          local_id=NEXT_HOP[4], remote_id=GW_WAN[4], esp="aes256-sha256")).start()
    culvert = Culvert(lab).start(config)
    lab.address("host-a", "eth0", "10.1.0.20/24")
    peer.background(f"python3 {talker.__file__} serve {PORT}", "talker.log")
    for ns in ("host-a", "host-b"):
        serve(lab, ns)
    ask_until(lab, f"{HOST_A[4]} 5000", "host-a", "udp", HOST_B[4], "from=5000")
    ask_until(lab, f"{known} 5001", "host-a", "udp", HOST_B[4], "from=5001", "src=10.1.0.20")
    ask_until(lab, f"{HOST_B[4]} 5002", "host-b", "tcp", known, "from=5002")
    ask_until(lab, f"{HOST_B[4]} 5003", "host-b", "tcp", HOST_A[4], "from=5003")
    ask_until(lab, f"{GW_WAN[4]} 5004", "host-a", "tcp", NEXT_HOP[4], "from=5004")
    require(ask(lab, "host-a", "udp", NEXT_HOP[4], "from=5004", "size=3000") == f"{GW_WAN[4]} 5004", "fragments in clear")
    flows = [f for s in culvert.show("crypto", "session")["sessions"] for f in s["flows"] if f.get("active_sas")]
    require({f["local"] for f in flows} == {LAN[4], f"{known}/32"}, f"{flows}")
    require(all(f["in"]["packets"] and f["out"]["packets"] for f in flows), f"{flows}")
    require("PFS (Y/N): N" in culvert.cli("show", "crypto", "map").stdout, "the map in show")
    require("second" in [x.get("name") for x in culvert.show("ip", "nat", "translations")["translations"]], "the static entry in show")
