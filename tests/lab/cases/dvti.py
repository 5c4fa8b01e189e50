# SPDX-License-Identifier: BSD-3-Clause
"""Dynamic tunnel interfaces: clones of a virtual template for the sessions of strongSwan on a real Linux kernel."""
import json

from lab import config as cfg
from lab.core import SOURCE, require, wait_until
from lab.gateway import Culvert
from lab.ikedaemons import Conn, StrongSwan
from lab.topology import GW_WAN, HOST_A, LAN, NEXT_HOP, REMOTE, Site

from cases.filter import INTERNET, PORT, ask, internet
from cases.tunnel import SENDER

INNER = "10.2.9.1"
LOGIN = {"xauth-lab": {"id": "alice", "secret": '"correct horse"'}}


def example():
    return json.loads((SOURCE / "docs/examples/dvti.json").read_text())


class Hub:
    """Culvert with a virtual template, and a peer that comes to it."""

    def __init__(self, lab, config, **conn):
        self.lab, self.config = lab, config
        self.site = Site(lab)
        self.peer = self.site.boot_peer("strongswan")
        self.conn = {"local": NEXT_HOP[4], "remote": GW_WAN[4], "psk": cfg.PSK, "local_id": NEXT_HOP[4], "remote_id": GW_WAN[4],
                     "local_ts": [REMOTE[4]], "remote_ts": [LAN[4]], **conn}
        self.daemon = StrongSwan(self.peer, Conn(**self.conn)).start()
        self.culvert = Culvert(lab).start(config)
        wait_until(lambda: self.culvert.show("dataplane")["configuration"] == "in force", 20, "the dataplane to have it")

    def template(self):
        return self.culvert.show("vtemplate")["templates"][0]

    def clones(self):
        return self.template()["clones"]

    def clone(self, name):
        return self.culvert.show("interfaces", name)["interfaces"][0]

    def wait_clone(self):
        """The one interface there is, once it carries packets; its name."""
        wait_until(lambda: len(self.clones()) == 1, 15, "a clone")
        name = self.clones()[0]["name"]
        wait_until(lambda: self.clone(name).get("link") == "up", 15, f"the line protocol of {name}")
        return name

    def wait_none(self, what):
        wait_until(lambda: not self.clones(), 20, what)

    def routes(self, *words):
        return self.culvert.cli("show", "ip", "route", *words).stdout


CLIENT = {"version": 1, "local_ts": ["dynamic"], "remote_ts": ["0.0.0.0/0"], "extra": {
    "connection": {"vips": "0.0.0.0", "local-xauth": {"auth": "xauth", "xauth_id": "alice"}}, "secrets": LOGIN,
    "charon": {"install_virtual_ip": "yes"}}}


def client_v1(lab):
    """VTI-T6 without Easy VPN groups, VTI-T11: strongSwan logs in (Xauth), gets an address (mode configuration) and, only then, an interface
    (VTI-22 to VTI-25) from the address it came to (VTI-29) with a route to its own (VTI-30). It stays, without
    line protocol and route, while the IKE SA lives alone, and goes with that. A failed login makes none, ever."""
    hub = Hub(lab, example(), **CLIENT)
    culvert = hub.culvert
    require(not hub.clones(), "nobody has come yet")
    hub.daemon.initiate()
    name = hub.wait_clone()
    shown = hub.clones()[0]
    require(shown["inner_address"] == INNER and shown["source"] == GW_WAN[4] and shown["destination"] == NEXT_HOP[4] and
            shown["sa_pairs"] == 1 and shown["ike_profile"] == "clients", f"{shown}")
    text = culvert.cli("show", "interfaces", name).stdout
    for line in (f"{name} is up, line protocol is up", "Cloned from Virtual-Template1",
                 f"Tunnel source {GW_WAN[4]}, destination {NEXT_HOP[4]}", '(profile "P1"), never initiates', "MTU 1400 bytes"):
        require(line in text, text)
    require(f"S    {INNER}/32 is directly connected, {name}" in hub.routes(), hub.routes())
    session = culvert.show("crypto", "session")["sessions"][0]
    require(session["interface"] == name and session["flows"][0]["remote"] == f"{INNER}/32", f"{session}")
    capture = hub.site.capture()
    hub.peer.sh(f"ip route replace {LAN[4]} via {GW_WAN[4]} src {INNER}; "
                f"for i in $(seq 20); do ping -n -c 1 -W 1 -I {INNER} {HOST_A[4]} && break; done; "
                f"ping -n -c 5 -i 0.2 -W 2 -s 1200 -I {INNER} {HOST_A[4]}")
    lab.run("host-a", "ping", "-n", "-c", "5", "-i", "0.2", "-W", "2", INNER)
    capture.stop()
    capture.require_only_esp(20)
    counted = hub.clone(name)
    require(counted["rx_packets"] >= 10 and counted["tx_packets"] >= 10, f"{counted}")
    # VTI-T11
    culvert.cli("clear", "crypto", "sa")
    wait_until(lambda: hub.clone(name).get("link") == "down", 10, "the line protocol to go with the IPsec SAs")
    require(hub.clones()[0]["sa_pairs"] == 0 and INNER not in hub.routes(), f"{hub.clones()} {hub.routes()}")
    hub.daemon.terminate()
    hub.wait_none("the interface to go with its last SA")
    # VTI-25
    hub.config["culvert-ike:ike"]["user"][0]["password"] = "another"
    culvert.commit(hub.config)
    hub.daemon.initiate(8, check=False)
    wait_until(lambda: "password refused" in lab.log_text("culvertd.log"), 10, "the login to fail")
    require(not hub.clones() and lab.log_text("culvertd.log").count("cloned from Virtual-Template1") == 1, f"{hub.clones()}")


def in_a_vrf(config):
    """The template, its peers by IKEv2, and the network behind the router in VRF red; the peers come to the global table."""
    config["culvert-vrf:vrfs"] = {"vrf": [{"name": "red"}]}
    for name in ("lan", "Virtual-Template1"):
        cfg.interface(config, name)["culvert-vrf:vrf"] = "red"
    config["culvert-ike:ike"] = {
        "keyring": config["culvert-ike:ike"]["keyring"],
        "profile": [{"name": "clients", "version": "ikev2", "keyring": ["clients"],
                     "match-identity": [{"name": "anyone", "type": "address", "value": "0.0.0.0/0"}],
                     "culvert-tunnel:virtual-template": "Virtual-Template1"}]}
    return config


def client_v2(lab):
    """VTI-T8: the clone is in the VRF of its template, and the route to what the peer has proposed (VTI-26, VTI-30) only there. A second
    proxy is refused; a rekey changes nothing; an edited template is for those that come later (VTI-35); the interface outlives
    the death of either process."""
    hub = Hub(lab, in_a_vrf(example()))
    culvert = hub.culvert
    hub.daemon.initiate()
    name = hub.wait_clone()
    hub.site.ping_until_works(4, "host-b")
    for size in (56, 1300, 3000):
        hub.site.ping(4, 3, "host-a", 0.05, size)
    require(f"S    {REMOTE[4]} is directly connected, {name}" in hub.routes("vrf", "red"), hub.routes("vrf", "red"))
    require(name not in hub.routes(), hub.routes())
    session = culvert.show("crypto", "session")["sessions"][0]
    require(session["ivrf"] == "red" and session["interface"] == name, f"{session}")
    # another flow of the same session
    hub.daemon.load(Conn(**{**hub.conn, "remote_ts": ["10.77.0.0/16"]}))
    hub.daemon.initiate(8, check=False)
    require(len(hub.clones()) == 1 and hub.daemon.child_count() == 1, hub.daemon.sas())
    require(culvert.show("crypto", "ike", "stats")["stats"]["ts_unacceptable"] >= 1, "the second proxy was not refused")
    hub.daemon.load(Conn(**hub.conn))
    cfg.interface(hub.config, "Virtual-Template1")["culvert-platform:mtu"] = 1300
    with hub.site.stream() as stream:
        hub.daemon.rekey_child()
        wait_until(lambda: culvert.show("crypto", "ike", "stats")["stats"]["child_rekeyed"] >= 1, 15, "a rekey")
        culvert.commit(hub.config)
        require(hub.clone(name)["mtu"] == 1400, f"{hub.clone(name)}")
        culvert.kill_control()
        culvert.start_control()
        wait_until(lambda: hub.clones(), 15, "the clone to be known again")
    require(not stream.lost and [c["name"] for c in hub.clones()] == [name], f"{stream.result} {hub.clones()}")
    culvert.kill_dataplane()
    culvert.start_dataplane()
    hub.wait_clone()
    hub.site.ping_until_works(4)
    require([c["name"] for c in hub.clones()] == [name], f"{hub.clones()}")
    hub.daemon.terminate()
    hub.wait_none("the interface to go with its session")
    require(name not in hub.routes("vrf", "red"), hub.routes("vrf", "red"))


def with_features(config):
    """What VTI-T5 and VTI-T4 have on a tunnel, on the template."""
    nat = json.loads((SOURCE / "docs/examples/nat.json").read_text())
    qos = json.loads((SOURCE / "docs/examples/qos.json").read_text())
    config["culvert-acl:access-lists"] = nat["culvert-acl:access-lists"]
    config["culvert-firewall:firewall"] = nat["culvert-firewall:firewall"]
    config["culvert-qos:qos"] = qos["culvert-qos:qos"]
    statics = config["ietf-routing:routing"]["control-plane-protocols"]["control-plane-protocol"][0]["static-routes"]
    statics["ietf-ipv4-unicast-routing:ipv4"]["route"].append(
        {"destination-prefix": "198.51.100.0/24", "next-hop": {"next-hop-address": "192.0.2.99"}})
    cfg.interface(config, "wan").update({"culvert-acl:access-group": {"ipv4": {"in": "outside"}}, "culvert-firewall:nat": "outside"})
    cfg.interface(config, "Virtual-Template1").update({
        "culvert-firewall:inspect": "in", "culvert-firewall:nat": "inside", "culvert-qos:service-policy": {"output": "limit"}})
    return config


def features(lab):
    """VTI-T9, VTI-T10, VTI-T11: the clone inspects, translates and polices. The client's TCP to the internet leaves with an address of the
    pool and is answered past the outside list, new TCP from there is not let in; of what the network behind the router sends to the client
    at twice the rate, the rate arrives. When the IKE SA alone is deleted, the interface stays and carries; with the IPsec SAs it goes."""
    hub = Hub(lab, with_features(example()), **CLIENT)
    culvert = hub.culvert
    internet(lab, hub.site)
    hub.daemon.initiate()
    name = hub.wait_clone()
    hub.peer.sh(f"ip route replace {LAN[4]} via {GW_WAN[4]} src {INNER}; ip route replace 198.51.100.0/24 via {GW_WAN[4]} src {INNER}; "
                f"for i in $(seq 20); do ping -n -c 1 -W 1 -I {INNER} {HOST_A[4]} && break; done")
    talker = SOURCE / "tests/lab/lab/talker.py"

    def heard(kind):
        return hub.peer.sh(f"python3 {talker} ask {kind} {INTERNET} {PORT} 4 from=5000 src={INNER}", check=False).strip()
    for kind in ("tcp", "udp"):
        wait_until(lambda k=kind: heard(k) == "10.2.100.1 5000", 30, f"an answer to translated {kind}")
    shown = culvert.show("ip", "nat", "translations")["translations"]
    require([x for x in shown if x.get("inside_local") == INNER and x["inside_global"] == "10.2.100.1"], f"{shown}")
    require(ask(lab, "inet", "tcp", GW_WAN[4], seconds=2) == "timeout", "new TCP to the outside address")
    text = culvert.cli("show", "interfaces", name).stdout
    require("Inspection: in" in text and "Address translation: inside" in text, text)
    # VTI-T10
    culvert.cli("clear", "counters")
    done = lab.run("host-a", "python3", "-c", SENDER, INNER, 5001, 4000000, 3, 1228)
    seconds, sent = (float(word) for word in done.stdout.split())
    shown = culvert.show("policy-map", "interface", name)["interfaces"]
    require(len(shown) == 1 and shown[0]["direction"] == "output" and shown[0]["policy"] == "limit", f"{shown}")
    police = shown[0]["classes"][0]["police"]
    passed, over = police["conform"]["bytes"], police["exceed"]["bytes"]
    require(passed < 62500 + 250000 * (seconds + 1) and over > 0.2 * sent and passed + over >= 0.95 * sent, f"{sent} {seconds} {police}")
    # VTI-T11, VTI-24; nobody begins anew from here (VTI-29)
    culvert.cli("clear", "crypto", "isakmp")
    require(hub.clones()[0]["sa_pairs"] == 1 and hub.clone(name)["link"] == "up" and INNER in hub.routes(), f"{hub.clones()}")
    before = hub.clone(name)["tx_packets"]
    lab.run("host-a", "ping", "-n", "-c", "3", "-i", "0.2", "-W", "1", INNER, check=False)
    require(hub.clone(name)["tx_packets"] >= before + 3, f"{hub.clone(name)}")
    culvert.cli("clear", "crypto", "sa")
    hub.wait_none("the interface to go with its last SA")
    require(INNER not in hub.routes() and not culvert.show("policy-map", "interface")["interfaces"], hub.routes())
