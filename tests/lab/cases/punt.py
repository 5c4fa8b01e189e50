# SPDX-License-Identifier: BSD-3-Clause
"""Floods of what workers hand to the main core, while what matters goes on."""
import json
import signal
import subprocess
import sys

from lab import config as cfg
from lab.core import SOURCE, require, wait_until
from lab.topology import GW_LAN
from lab.vpn import Vpn

RATE = 20000     # frames a second
SECONDS = 30     # at most; a flood ends when what it was to disturb is done


class Flood:
    """with Flood(...): frames of these classes come from host-a, in turn."""

    def __init__(self, lab, router, kinds):
        argv = [sys.executable, SOURCE / "tests/lab/lab/flood.py", "eth0", router, RATE, SECONDS, *kinds]
        self.process = subprocess.Popen(lab.in_ns("host-a", argv), stdout=subprocess.PIPE, text=True)
        lab.closers.append(self._kill)
        self.sent = 0

    def __enter__(self):
        self.process.stdout.readline()  # it says when it is well under way
        return self

    def __exit__(self, kind, value, trace):
        self.process.send_signal(signal.SIGINT)
        out, _ = self.process.communicate(timeout=30)
        self.sent = json.loads(out)["sent"]

    def _kill(self):
        if self.process.poll() is None:
            self.process.kill()


def floods(lab):
    """Each class of the slow path has room of its own (issue 3): while host-a floods some of them, a strongSwan peer and Culvert
    negotiate and traffic crosses, and the router resolves neighbours (ARP, ND) and answers pings. What is over a class's rate is
    refused and counted under its name; nothing else is."""
    vpn = Vpn(lab, 2)
    config = vpn.config()
    statics = config["ietf-routing:routing"]["control-plane-protocols"]["control-plane-protocol"][0]["static-routes"]
    del statics["ietf-ipv6-unicast-routing:ipv6"]  # so that there is something that no route leads to
    cfg.interface(config, "wan")["culvert-platform:mtu"] = 1400
    config["culvert-acl:access-lists"]["access-list"].append({"name": "nobody", "line": [
        {"sequence": 10, "action": "permit", "source": "10.1.0.0/24", "destination": "10.3.0.0/24"}]})
    entries = config["culvert-ipsec:ipsec"]["crypto-map"][0]["entry"]
    entries.append({**entries[0], "sequence": 20, "access-list": "nobody", "peer": ["192.0.2.99"]})
    vpn.culvert.commit(config)
    vpn.up()
    router = next(i["mac"] for i in vpn.culvert.show("interfaces")["interfaces"] if i["name"] == "lan")

    def refused():
        return {c["counter"][8:]: c["count"] for c in vpn.culvert.show("counters")["counters"] if c["counter"].startswith("refused-")}

    def neighbours():
        lab.run("host-a", "ip", "neigh", "flush", "dev", "eth0")
        for family in (4, 6):
            wait_until(lambda f=family: lab.run("host-a", "ping", f"-{f}", "-n", "-c", "1", "-W", "1", GW_LAN[f], check=False)
                       .returncode == 0, 15, f"the router to answer over IPv{family}")

    def negotiation():
        vpn.down()
        vpn.up(timeout=20)
        vpn.site.ping_until_works(4, "host-b")

    # classes that are flooded, what must go on, classes whose rates are exceeded
    phases = [(("ttl", "unreachable", "mtu", "invalid-spi"), (neighbours, negotiation), {"ttl", "unreachable", "mtu", "invalid-spi"}),
              (("neighbour", "acquire", "fragment", "local"), (neighbours, negotiation), set()),
              (("arp", "nd"), (negotiation,), {"arp", "nd"}),
              (("ike-first",), (neighbours, negotiation), set())]
    for kinds, tasks, exceeded in phases:
        before = refused()
        with Flood(lab, router, kinds) as flooding:
            for task in tasks:
                task()
            if exceeded:
                wait_until(lambda b=before, e=exceeded: all(refused().get(k, 0) > b.get(k, 0) for k in e), 15, f"{exceeded} to be refused")
        now = refused()
        lab.say(f"{' '.join(kinds)}: {flooding.sent} frames, refused {now}")
        others = {k for k in now if now[k] > before.get(k, 0)} - set(kinds)
        require(not others, f"classes that were not flooded were refused, too: {others}")
    negotiation()
