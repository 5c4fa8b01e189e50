# SPDX-License-Identifier: BSD-3-Clause
"""What policy says about packets beyond whom to talk to: fragments, path MTU, replay windows, VRFs."""
import re

from lab import config as cfg, nameserver
from lab.core import require, wait_until
from lab.ikedaemons import Conn, StrongSwan
from lab.nameserver import NameServer
from lab.peer import LinuxPeer
from lab.topology import GW_LAN, GW_WAN, HOST_A, HOST_B, NEXT_HOP, PEER_LAN, REMOTE, layer_of
from lab.vpn import Vpn

_HUB = "hub.example.test"

def counters(vpn):
    return {c["counter"]: c["count"] for c in vpn.culvert.show("counters")["counters"]}


def fragments_after_encryption(lab):
    """FRAG-3, FRAG-4, FRAG-11, FRAG-T2, FRAG-T3: before encryption by default; then the interface says after, SAs that are up follow, and a
    Linux peer puts the outer packets together. REPLAY-5: the entry's window is the one in use."""
    vpn = Vpn(lab, 2)
    config = vpn.config()
    ipsec = config["culvert-ipsec:ipsec"]
    ipsec["security-association"] = {"replay": {"window-size": 256}}
    ipsec["crypto-map"][0]["entry"][0]["replay"] = {"window-size": 4096}
    vpn.culvert.commit(config)
    vpn.up()
    vpn.site.ping(count=3, size=1472, interval=0.05)
    now = counters(vpn)
    require(now.get("frag-before", 0) >= 3 and "frag-after" not in now, f"before encryption: {now}")
    text = vpn.culvert.cli("show", "crypto", "ipsec", "sa", "detail").stdout
    require("replay window size: 4096" in text and "fragmentation before-encryption" in text, text)
    spi = [sa["spi"] for sa in vpn.culvert.show("crypto", "ipsec", "sa")["interfaces"][0]["flows"][0]["sas"]]
    for interface in config["ietf-interfaces:interfaces"]["interface"]:
        if "culvert-ipsec:crypto-map" in interface:
            interface["culvert-ipsec:ipsec-fragmentation"] = "after-encryption"
    vpn.culvert.commit(config)
    capture = vpn.site.capture()
    vpn.site.ping(count=3, size=1472, interval=0.05)
    capture.stop()
    after = counters(vpn)
    require(after.get("frag-after", 0) >= 3 and after["frag-before"] == now["frag-before"], f"{now} -> {after}")
    cut = capture.count("ip.flags.mf == 1 && ip.src == 192.0.2.1")
    require(cut >= 3, f"{cut} first fragments of outer packets on the wire")
    text = vpn.culvert.cli("show", "crypto", "ipsec", "sa", "detail").stdout
    require("fragmentation after-encryption" in text, text)
    same = [sa["spi"] for sa in vpn.culvert.show("crypto", "ipsec", "sa")["interfaces"][0]["flows"][0]["sas"]]
    require(same == spi, f"the SAs stayed: {spi} {same}")


def path_mtu_learned(lab):
    """A Linux router between Culvert and the peer has a small MTU and says so about an outer packet: hosts inside are told
    what fits with the overhead of the SA, and a packet of that size crosses (RFC 1191, FRAG-10, promise 5)."""
    vpn = Vpn(lab, 2, nat="culvert").up()
    lab.run("nat", "ip", "link", "set", "far", "mtu", "1400")

    def told():
        done = lab.run("host-a", "ping", "-4", "-n", "-c", "2", "-i", "0.2", "-M", "do", "-s", "1380", "-W", "1", HOST_B[4],
                       check=False)
        match = re.search(r"mtu ?= ?(\d+)", done.stdout)
        return match and int(match[1])
    mtu = wait_until(told, 15, "the smaller MTU to reach the host inside")
    require(1300 < mtu < 1350, f"the inner MTU is {mtu}")  # 1400 less IP, UDP, ESP, IV, padding and tag
    vpn.site.ping(4, 3, size=mtu - 28, interval=0.1)
    require(counters(vpn).get("pmtu-learned") == 1, f"{counters(vpn)}")
    flow = vpn.culvert.show("crypto", "ipsec", "sa")["interfaces"][0]["flows"][0]
    require(flow["path_mtu"] == 1400 and flow["media_mtu"] == 1500, f"{flow}")


def inside_vrf_differs(lab):
    """VRF-2, VRF-4, VRF-11, VRF-12, VRF-14, VRF-16, VRF-10, VRF-T11: the hosts are in VRF red, the tunnel and its map in the global table, and the way there is a
    route of red with a global next hop. The global table knows nothing of the hosts, and a Linux peer sees no difference.
    Strict unicast RPF on both interfaces: outer packets and the hosts' own are judged, what comes out of the map's SAs is delivered."""
    vpn = Vpn(lab, 2)
    config = vpn.config(profile={"vrf": "red"})
    config["culvert-vrf:vrfs"] = {"vrf": [{"name": "red"}]}
    cfg.interface(config, "lan")["culvert-vrf:vrf"] = "red"
    for name in ("lan", "wan"):
        cfg.interface(config, name)["culvert-platform:verify-source"] = {"ipv4": {"reachable-via": "rx"}}
    config["ietf-routing:routing"]["control-plane-protocols"]["control-plane-protocol"].append(
        {"type": "ietf-routing:static", "name": "red", "culvert-vrf:vrf": "red", "static-routes": {
            "ietf-ipv4-unicast-routing:ipv4": {"route": [
                {"destination-prefix": REMOTE[4], "next-hop": {"next-hop-address": NEXT_HOP[4],
                                                                "culvert-vrf:global": True}}]}}})
    vpn.culvert.commit(config)
    vpn.up()
    capture = vpn.site.capture()
    vpn.require_traffic(sizes=(56, 1472))
    capture.stop()
    capture.require_only_esp(6)
    flow = vpn.culvert.show("crypto", "ipsec", "sa", "vrf", "red")["interfaces"][0]["flows"][0]
    require(flow["protected_vrf"] == "red" and flow["pkts_decaps"] >= 6, f"{flow}")
    session = vpn.culvert.show("crypto", "session")["sessions"][0]
    require(session.get("ivrf") == "red" and session.get("fvrf") in (None, "global"), f"{session}")
    table = vpn.culvert.cli("show", "ip", "route").stdout
    require("10.1.0." not in table, f"the global table knows the hosts' network:\n{table}")
    require(not vpn.culvert.drops().get("reverse-path"), f"{vpn.culvert.drops()}")
    spoof(lab, "host-a", HOST_B[4])
    wait_until(lambda: vpn.culvert.drops().get("reverse-path"), 5, "a source that is not the host's to be dropped")


def spoof(lab, ns, target):
    """Three echo requests from an address that is not of the host's network."""
    lab.address(ns, "eth0", "10.77.0.1/32")
    lab.run(ns, "ping", "-4", "-n", "-c", "3", "-i", "0.05", "-W", "0.2", "-I", "10.77.0.1", target, check=False)


def invalid_spi_recovery(lab):
    """ISPI-2, ISPI-3: both of Culvert's processes die and forget the tunnel, while strongSwan goes on sending on it. With
    recovery switched on the first such packet makes Culvert negotiate, and traffic from the peer's side comes back."""
    vpn = Vpn(lab, 2)
    config = vpn.config()
    config["culvert-ike:ike"]["invalid-spi-recovery"] = True
    vpn.culvert.commit(config)
    vpn.up()
    vpn.culvert.kill_control()
    vpn.culvert.kill_dataplane()
    vpn.culvert.write_startup(config)
    vpn.culvert.start()
    vpn.site.ping_until_works(4, "host-b", 25)
    stats = vpn.culvert.show("crypto", "ike", "stats")["stats"]
    require(stats["invalid_spi_reported"] >= 1 and stats["invalid_spi_initiated"] == 1, f"{stats}")
    require("RECVD_PKT_INV_SPI" in lab.log_text("culvertd.log"), "ISPI-8: nothing in the log")


def per_host(lab):
    """IPSEC-52, IPSEC-T7: with level per-host every pair of hosts has its pair of SAs, whose idents are the two hosts, although the access
    list names networks; a Linux peer agrees to each of them. The first packet of a pair of hosts never uses another pair's SA."""
    vpn = Vpn(lab, 2, culvert={"entry": {"level": "per-host"}})
    sources, targets = [HOST_A[4], "10.1.0.11", "10.1.0.12"], [HOST_B[4], "10.2.0.11"]
    for source in sources[1:]:
        lab.address("host-a", "eth0", f"{source}/24")
    lab.address("host-b", "eth0", f"{targets[1]}/24")
    pairs = [(source, target) for source in sources for target in targets]
    for number, (source, target) in enumerate(pairs):
        wait_until(lambda s=source, t=target: lab.run("host-a", "ping", "-4", "-n", "-c", "1", "-W", "1", "-I", s, t, check=False)
                   .returncode == 0, 25, f"{source} to reach {target}")
        flows = [flow for flow in vpn.culvert.show("crypto", "ipsec", "sa")["interfaces"][0]["flows"] if flow["sas"]]
        require(len(flows) == number + 1, f"{number + 1} pairs of hosts, {len(flows)} flows with SAs")
    idents = {(flow["local_ident"]["prefix"], flow["remote_ident"]["prefix"]) for flow in flows}
    require(idents == {(f"{source}/32", f"{target}/32") for source, target in pairs}, f"{idents}")
    require(all(len(flow["sas"]) == 2 for flow in flows), "a pair of SAs for each pair of hosts")
    require(vpn.daemon.child_count() == len(pairs), f"the peer has {vpn.daemon.child_count()} children")


def dscp(lab):
    """RFC 4301 4.4.1.1, 4.1: DSCP chooses the line, IKEv2 does not negotiate it. Two lines of one flow have a pair of SAs each with a Linux
    peer, and each packet leaves by the pair of its line; replies come by whichever the peer takes; other classes leave in clear."""
    vpn = Vpn(lab, 2)
    config = vpn.config()
    line = config["culvert-acl:access-lists"]["access-list"][0]["line"][0]
    config["culvert-acl:access-lists"]["access-list"][0]["line"] = [
        {**line, "sequence": 10, "dscp": ["ef", "cs5"]}, {**line, "sequence": 20, "dscp": [0]}]
    vpn.culvert.commit(config)

    def ping(tos, count=3):
        return lab.run("host-a", "ping", "-4", "-n", "-c", str(count), "-i", "0.1", "-W", "1", "-Q", hex(tos), HOST_B[4],
                       check=False).returncode == 0

    def sent():
        flows = vpn.culvert.show("crypto", "ipsec", "sa")["interfaces"][0]["flows"]
        return {tuple(flow["dscp"]): flow["pkts_encaps"] for flow in flows if flow["sas"]}
    for tos in (0, 46 << 2):
        wait_until(lambda t=tos: ping(t), 25, f"packets with TOS {tos:#x} to cross")
    require(vpn.daemon.child_count() == 2, f"the peer has {vpn.daemon.child_count()} children")
    classes = {"ef": ("cs5", "ef"), "default": ("default",)}
    for tos, name in ((46 << 2, "ef"), (40 << 2, "ef"), (0, "default"), (46 << 2 | 1, "ef")):
        before = sent()
        require(ping(tos, 5), f"TOS {tos:#x} does not cross")
        other = classes["default" if name == "ef" else "ef"]
        require(sent()[classes[name]] >= before[classes[name]] + 5 and sent()[other] == before[other], f"{tos:#x}: {before} {sent()}")
    capture = vpn.site.capture()
    ping(10 << 2)
    capture.stop()
    require(capture.count("icmp.type == 8 && ip.dsfield.dscp == 10"), capture.show("ip"))
    require("dscp cs5 ef" in vpn.culvert.cli("show", "access-lists").stdout, "the classes in show access-lists")


def echoes(lab, ns):
    """ICMP echo requests that a host has received."""
    names, values = [line.split() for line in lab.run(ns, "cat", "/proc/net/snmp").stdout.splitlines() if line.startswith("Icmp:")]
    return int(values[names.index("InEchos")])


def two_customers(lab):
    """VRF-T1, VRF-3, VRF-6, VRF-7, VRF-8, VRF-9: two customers with the same networks on both sides, each with a Linux peer of its own, on one
    public address, in one map whose two entries have one access list. Each reaches its own other site and no other."""
    vpn = Vpn(lab, 2)
    for ns in ("host-c", "host-d"):
        lab.namespace(ns)
    lab.veth("host-c", "eth0", "gw", "cv-lan2")
    lab.silent("gw", "cv-lan2")
    for tap in ("peer2", "peer3"):
        lab.tap("wan", tap)
    lab.run("wan", "ip", "link", "set", "peer2", "master", "outside")
    lab.veth("wan", "hd0", "host-d", "eth0")
    lab.silent("wan", "hd0")
    lab.bridge("wan", "inside2", "peer3", "hd0")
    for ns, address, gateway in (("host-c", HOST_A[4], GW_LAN[4]), ("host-d", HOST_B[4], PEER_LAN[4])):
        lab.address(ns, "eth0", f"{address}/24")
        lab.route(ns, "default", gateway)
    second = "192.0.2.3"
    peer = LinuxPeer(lab, "second", "wan", ["peer2", "peer3"], "\n".join([
        "sysctl -qw net.ipv4.ip_forward=1", "ip link set vec0 up", "ip link set vec1 up", f"ip addr add {second}/24 dev vec0",
        f"ip addr add {PEER_LAN[4]}/24 dev vec1", f"ip route add default via {GW_WAN[4]}"]), layer_of(StrongSwan.layer))
    StrongSwan(peer, Conn(**{**vpn.conn_args, "local": second, "local_id": second, "esp": "aes256-sha256"})).start()

    config = vpn.config(profile={"vrf": "a"})
    config["culvert-vrf:vrfs"] = {"vrf": [{"name": "a"}, {"name": "b"}]}
    lan = cfg.interface(config, "lan")
    lan["culvert-vrf:vrf"] = "a"
    config["ietf-interfaces:interfaces"]["interface"].append(
        {**lan, "name": "lan2", "culvert-platform:device": "net_af_packet2,iface=cv-lan2", "culvert-vrf:vrf": "b"})
    for vrf in ("a", "b"):
        config["ietf-routing:routing"]["control-plane-protocols"]["control-plane-protocol"].append(
            {"type": "ietf-routing:static", "name": vrf, "culvert-vrf:vrf": vrf, "static-routes": {
                "ietf-ipv4-unicast-routing:ipv4": {"route": [
                    {"destination-prefix": REMOTE[4], "next-hop": {"next-hop-address": NEXT_HOP[4],
                                                                    "culvert-vrf:global": True}}]}}})
    ike, ipsec = config["culvert-ike:ike"], config["culvert-ipsec:ipsec"]
    ike["keyring"][0]["pre-shared-key"].append({"name": "second", "address": second, "key": cfg.PSK})
    ike["profile"].append({**ike["profile"][0], "name": "second", "vrf": "b",
                           "match-identity": [{"name": "peer", "type": "address", "value": second}]})
    ipsec["transform-set"].append({"name": "second", "algorithm": "aes256-cbc-sha256-128"})
    ipsec["crypto-map"][0]["entry"].append({**ipsec["crypto-map"][0]["entry"][0], "sequence": 20, "peer": [second],
                                             "transform-set": ["second"], "ike-profile": "second"})
    vpn.culvert.commit(config)
    capture = vpn.site.capture()
    for near, far, other in (("host-a", "host-b", "host-d"), ("host-c", "host-d", "host-b")):
        before = echoes(lab, far), echoes(lab, other)
        wait_until(lambda n=near: lab.run(n, "ping", "-4", "-n", "-c", "3", "-i", "0.1", "-W", "1", HOST_B[4], check=False)
                   .returncode == 0, 25, f"{near} to reach {far}")
        require(echoes(lab, far) >= before[0] + 3 and echoes(lab, other) == before[1], f"{near} reached another than {far}")
        done = lab.run(far, "ping", "-4", "-n", "-c", "3", "-i", "0.1", "-W", "1", HOST_A[4], check=False)
        require(done.returncode == 0, f"{far} does not reach {near}:\n{done.stdout}")
    capture.stop()
    capture.require_only_esp(12)
    for vrf, address, transform in (("a", NEXT_HOP[4], "esp-gcm 128"), ("b", second, "esp-aes 256 esp-sha256-hmac")):
        flows = vpn.culvert.show("crypto", "ipsec", "sa", "vrf", vrf)["interfaces"][0]["flows"]
        require(len(flows) == 1 and flows[0]["current_peer"] == address and flows[0]["protected_vrf"] == vrf, f"{flows}")
        require({sa["transform"] for sa in flows[0]["sas"]} == {transform}, f"{flows}")
    vpn.culvert.cli("clear", "crypto", "sa", "vrf", "a")
    left = [flow for flow in vpn.culvert.show("crypto", "ipsec", "sa")["interfaces"][0]["flows"] if flow["sas"]]
    require([flow["protected_vrf"] for flow in left] == ["b"], f"{left}")


def _temporary(vpn):
    return [flow["flow"] for entry in vpn.culvert.show("crypto", "map")["maps"][0]["entries"] for flow in entry["temporary"]]


def dynamic_entry(lab):
    """IPSEC-31, IPSEC-54, IPSEC-55, IPSEC-57, IPSEC-59, IPSEC-T12: a strongSwan behind a NAT, whose address Culvert does not know, under an
    entry without peers. Without an access list its flow is in clear until the peer negotiates it, then a temporary rule
    protects it, also after culvertd was killed and after a rekey, and goes with the last SA. With an access list, and from a
    dynamic map (IPSEC-56), nothing leaves in clear at any time, and Culvert never begins."""
    branch = "branch.example.org"
    vpn = Vpn(lab, 2, nat="peer", conn={"local_id": branch})
    config = vpn.config(identity={"type": "fqdn", "value": branch})
    key = config["culvert-ike:ike"]["keyring"][0]["pre-shared-key"][0]
    key["identity"] = branch
    del key["address"]
    entry = config["culvert-ipsec:ipsec"]["crypto-map"][0]["entry"][0]
    del entry["peer"]
    for listed in (False, True):
        lab.say("with an access list" if listed else "without an access list")
        if listed:  # the same template, out of a dynamic map that the crypto map includes
            template = {**entry, "sequence": 5, "access-list": "protected"}
            config["culvert-ipsec:ipsec"]["dynamic-map"] = [{"name": "branches", "entry": [template]}]
            config["culvert-ipsec:ipsec"]["crypto-map"][0]["entry"] = [{"sequence": 65535, "dynamic-map": "branches"}]
        else:
            del entry["access-list"]
        vpn.culvert.commit(config)
        require(_temporary(vpn) == [], "a temporary rule without a flow")
        dropped = vpn.culvert.drops().get("policy-no-sa", 0)
        capture = vpn.site.capture(name=f"before-{listed}")
        vpn.site.ping(count=2, check=False, wait=1)
        capture.stop()
        require((capture.count("icmp.type == 8 && ip.src == 10.1.0.10") == 0) == listed, capture.show("icmp"))
        require(capture.count("isakmp") == 0, "IPSEC-55: Culvert began")
        require(not listed or vpn.culvert.drops().get("policy-no-sa", 0) == dropped + 2, f"{dropped} {vpn.culvert.drops()}")
        vpn.up("responder")
        require(len(_temporary(vpn)) == 1, f"{_temporary(vpn)}")
        capture = vpn.site.capture(name=f"up-{listed}")
        vpn.require_traffic((56,))
        vpn.culvert.kill_control()
        vpn.site.ping(count=3, interval=0.1)
        vpn.culvert.start_control()
        old = vpn.daemon.child_ids()
        vpn.daemon.rekey_child()
        wait_until(lambda: vpn.daemon.child_ids() and set(vpn.daemon.child_ids()).isdisjoint(old), 15, "the rekey")
        vpn.site.ping(count=3, interval=0.1)
        capture.stop()
        capture.require_only_esp(10)
        require(len(_temporary(vpn)) == 1, f"{_temporary(vpn)}")
        vpn.daemon.terminate()
        wait_until(lambda: _temporary(vpn) == [], 10, "the temporary rule to go")


def peer_by_name(lab):
    """IPSEC-50, RTR-4, RTR-8: the peer and its key are known by a host name only, which has no address yet; the tunnel comes up
    once it has one."""
    vpn = Vpn(lab)
    server = NameServer(lab, "gw", _HUB)
    config = vpn.config()
    config["culvert-platform:platform"]["name-server"] = [{"address": nameserver.ADDRESS, "port": nameserver.PORT}]
    config["culvert-ipsec:ipsec"]["crypto-map"][0]["entry"][0]["peer"] = [_HUB]
    key = config["culvert-ike:ike"]["keyring"][0]["pre-shared-key"][0]
    del key["address"]
    key["hostname"] = _HUB
    vpn.culvert.commit(config)

    def shown():
        return vpn.culvert.show("crypto", "map")["maps"][0]["entries"][0]["peer_names"][0]
    wait_until(lambda: "error" in shown(), 20, "the name to be unknown")
    vpn.site.ping(4, 2, "host-a", 0.2, wait=0.5, check=False)
    require(vpn.daemon.ike_count() == 0 and "address" not in shown(), f"{shown()}")
    server.say(vpn.peer_address)
    wait_until(lambda: shown().get("address") == vpn.peer_address, 60, "the address of the name")
    vpn.up().require_traffic((56,))
    require(vpn.culvert.show("crypto", "session")["sessions"][0]["peer_name"] == _HUB, "the name in show crypto session")
