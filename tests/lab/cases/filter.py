# SPDX-License-Identifier: BSD-3-Clause
"""What interfaces let through."""
import json
import sys

from lab import talker
from lab.core import SOURCE, require, speed, wait_until
from lab.topology import HOST_A, HOST_B

from cases.tunnel import Tunnel


def matches(culvert, name):
    """Packets by line of an access list, under 0 those that matched none; nothing before the dataplane is there."""
    acl = next(a for a in culvert.show("access-lists", name)["access_lists"])
    return {0: acl.get("implicit_deny", 0), **{line["sequence"]: line.get("matches", 0) for line in acl["lines"]}}


def outside_and_tunnel(lab):
    """IPSEC-T17, IKE-5, IPSEC-2: an inbound list without permits for IKE and ESP: no SA, and the filter counts. Then docs/examples/filter.json as
    written, and the SA comes up. VTI-5: the tunnel's lists see clear packets, in and out, while the outside list sees ESP."""
    config = json.loads((SOURCE / "docs/examples/filter.json").read_text())
    closed = json.loads(json.dumps(config))
    for acl in closed["culvert-acl:access-lists"]["access-list"]:
        if acl["name"] == "outside":
            del acl["line"][:3]

    def start_closed(running):
        running.clear()
        running.update(closed)
    t = Tunnel(lab, change=start_closed)
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
    drops = t.drops()
    require(drops.get("access-list-out") and drops.get("access-list-in"), f"{drops}")
    tunnel = t.interface()
    require(tunnel["rx_drops"] and tunnel["tx_drops"], f"{tunnel}")
    text = culvert.cli("show", "access-lists", "from-site2").stdout
    require("10 deny 17 any any eq 9 (" in text and "20 permit ip 10.2.0.0 0.0.0.255 10.1.0.0 0.0.0.255 (" in text, text)
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
    def example(running):
        running.clear()
        running.update(json.loads((SOURCE / "docs/examples/inspect.json").read_text()))
    t = Tunnel(lab, change=example).wait_line("up", 40)
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
