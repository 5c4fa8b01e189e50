# SPDX-License-Identifier: BSD-3-Clause
"""Dynamic tunnel interfaces: clones of a virtual template for the sessions of strongSwan on a real Linux kernel."""
import json

from lab import config as cfg
from lab.core import SOURCE, require, wait_until
from lab.gateway import Culvert
from lab.ikedaemons import Conn, StrongSwan
from lab.topology import GW_WAN, HOST_A, LAN, NEXT_HOP, REMOTE, Site

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


def client_v1(lab):
    """VTI-T6 without Easy VPN groups, VTI-T11: strongSwan logs in (Xauth), gets an address (mode configuration) and, only then, an interface
    (VTI-22 to VTI-25) from the address it came to (VTI-29) with a route to its own (VTI-30). It stays, without
    line protocol and route, while the IKE SA lives alone, and goes with that. A failed login makes none, ever."""
    hub = Hub(lab, example(), version=1, local_ts=["dynamic"], remote_ts=["0.0.0.0/0"], extra={
        "connection": {"vips": "0.0.0.0", "local-xauth": {"auth": "xauth", "xauth_id": "alice"}}, "secrets": LOGIN,
        "charon": {"install_virtual_ip": "yes"}})
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
