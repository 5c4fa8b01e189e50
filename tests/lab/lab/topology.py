# SPDX-License-Identifier: BSD-3-Clause
"""The one topology of the lab (docs/lab.md):

    host-a -- [gateway] -- wan (bridge) [-- nat --] far (bridge) -- Linux peer -- host-b

Every name on the left is a network namespace; the gateway is Culvert, or a second Linux peer in the tests that prove
the lab itself. Addresses are the same in every lab, since namespaces keep labs apart."""
import json
import signal
import subprocess
import sys
from pathlib import Path

from .core import LabError, Skip, TOOLS, speed, wait_until
from .peer import LinuxPeer

LAN = {4: "10.1.0.0/24", 6: "2001:db8:1::/64"}
REMOTE = {4: "10.2.0.0/24", 6: "2001:db8:2::/64"}
HOST_A = {4: "10.1.0.10", 6: "2001:db8:1::10"}
HOST_B = {4: "10.2.0.10", 6: "2001:db8:2::10"}
GW_LAN = {4: "10.1.0.1", 6: "2001:db8:1::1"}
GW_WAN = {4: "192.0.2.1", 6: "2001:db8:f::1"}
NEXT_HOP = {4: "192.0.2.2", 6: "2001:db8:f::2"}    # the peer, or the NAT in front of it
PEER_LAN = {4: "10.2.0.1", 6: "2001:db8:2::1"}
PEER_BEHIND_NAT = "203.0.113.2"
NAT_FAR = "203.0.113.1"
PLEN = {4: 24, 6: 64}


class Site:
    """Namespaces, cables and addresses around the gateway. nat: None, "culvert" (the gateway's address is hidden), "peer"
    (the peer's address is hidden)."""

    def __init__(self, lab, nat=None):
        self.lab, self.nat = lab, nat
        self.peer = None
        for ns in ("host-a", "gw", "wan", "host-b"):
            lab.namespace(ns)
        lab.veth("host-a", "eth0", "gw", "cv-lan")
        lab.veth("gw", "cv-wan", "wan", "gw0")
        lab.silent("gw", "cv-lan", "cv-wan")
        lab.silent("wan", "gw0")
        for family in (4, 6):
            lab.address("host-a", "eth0", f"{HOST_A[family]}/{PLEN[family]}")
            lab.route("host-a", "default", GW_LAN[family])
        lab.tap("wan", "peer0")
        lab.tap("wan", "peer1")
        lab.veth("wan", "hb0", "host-b", "eth0")
        lab.silent("wan", "hb0")
        lab.bridge("wan", "inside", "peer1", "hb0")
        for family in (4, 6):
            lab.address("host-b", "eth0", f"{HOST_B[family]}/{PLEN[family]}")
            lab.route("host-b", "default", PEER_LAN[family])
        if nat:
            self._build_nat()
        else:
            lab.bridge("wan", "outside", "gw0", "peer0")
        self.peer_outer = {4: PEER_BEHIND_NAT if nat else NEXT_HOP[4], 6: NEXT_HOP[6]}
        # What each end must be told about the other.
        self.peer_as_seen = NEXT_HOP[4] if nat == "peer" else self.peer_outer[4]
        self.gw_as_seen = NAT_FAR if nat == "culvert" else GW_WAN[4]

    def _build_nat(self):
        """A router that hides one side; ports are translated at random, as carriers do, into a range that tshark gives no meaning to."""
        lab = self.lab
        lab.namespace("nat")
        lab.veth("wan", "nat0", "nat", "near")
        lab.veth("wan", "nat1", "nat", "far")
        lab.silent("wan", "nat0", "nat1")
        lab.bridge("wan", "outside", "gw0", "nat0")
        lab.bridge("wan", "beyond", "peer0", "nat1")
        lab.address("nat", "near", f"{NEXT_HOP[4]}/24")
        lab.address("nat", "far", f"{NAT_FAR}/24")
        lab.run("nat", "sysctl", "-qw", "net.ipv4.ip_forward=1")
        out = "far" if self.nat == "culvert" else "near"
        rules = f"""table ip lab {{
  chain post {{ type nat hook postrouting priority 100; 
    oifname "{out}" meta l4proto udp masquerade to :40000-60000 random
    oifname "{out}" masquerade; }}
}}
"""
        done = lab.run("nat", "nft", "-f", "-", stdin=rules, check=False)
        if done.returncode:
            raise Skip(f"this kernel cannot masquerade: {done.stderr.strip()}")

    def boot_peer(self, daemon="strongswan", name="peer"):
        """The Linux peer, with forwarding and its addresses; routes for the protected networks point outside, so that
        a packet without an SA is seen in clear rather than not at all."""
        lines = ["sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv6.conf.all.accept_dad=0 "
                 "net.ipv6.conf.default.accept_dad=0", "ip link set vec0 up", "ip link set vec1 up"]
        for family in (4, 6):
            lines += [f"ip addr add {self.peer_outer[family]}/{PLEN[family]} dev vec0" + (" nodad" if family == 6 else ""),
                      f"ip addr add {PEER_LAN[family]}/{PLEN[family]} dev vec1" + (" nodad" if family == 6 else "")]
        gateway = NAT_FAR if self.nat else GW_WAN[4]
        lines += [f"ip route add default via {gateway}", f"ip -6 route add default via {GW_WAN[6]}"]
        self.peer = LinuxPeer(self.lab, name, "wan", ["peer0", "peer1"], "\n".join(lines), layer_of(daemon))
        return self.peer

    def boot_linux_gateway(self):
        """A second Linux peer where Culvert belongs: proves the lab, and measures what Linux to Linux does."""
        lab = self.lab
        for number, port in enumerate(("cv-wan", "cv-lan")):
            lab.tap("gw", f"t{number}")
            lab.bridge("gw", f"b{number}", f"t{number}", port)
        lines = ["sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv6.conf.all.accept_dad=0 "
                 "net.ipv6.conf.default.accept_dad=0", "ip link set vec0 up", "ip link set vec1 up"]
        for family in (4, 6):
            for device, table in (("vec0", GW_WAN), ("vec1", GW_LAN)):
                nodad = " nodad" if family == 6 else ""
                lines.append(f"ip addr add {table[family]}/{PLEN[family]} dev {device}{nodad}")
        lines += [f"ip route add default via {NEXT_HOP[4]}", f"ip -6 route add default via {NEXT_HOP[6]}"]
        return LinuxPeer(lab, "left", "gw", ["t0", "t1"], "\n".join(lines), layer_of("strongswan"))

    # ---- traffic ----

    def _pinger(self, family, source, count, interval, size, grace):
        return pinger(family, (HOST_B if source == "host-a" else HOST_A)[family], count, interval, size, grace)

    def ping(self, family=4, count=3, source="host-a", interval=0.2, size=56, wait=2, check=True):
        """Ping across, IPv4 packets being allowed to be fragmented; returns a Ping with sent and received. wait: seconds
        for the last answers."""
        argv = self._pinger(family, source, count, interval, size, wait * speed())
        result = Ping(self.lab.run(source, *argv, timeout=count * interval + wait + 10).stdout)
        if check and result.lost:
            raise LabError(f"ping from {source} over IPv{family}, {size} bytes: {result}")
        return result

    def ping_until_works(self, family=4, source="host-a", timeout=20):
        """Traffic is what starts a negotiation: ping until one comes back."""
        return wait_until(lambda: self.ping(family, 1, source, wait=1, check=False).received, timeout,
                          f"a first ping from {source} over IPv{family}", 0.1)

    def teach_path_mtu(self, size):
        """IPv6 routers do not fragment: long packets from host-a, and the answers, until both hosts know the MTU of the path."""
        wait_until(lambda: self.ping(6, 1, "host-a", size=size, wait=0.5, check=False).received, 20, f"{size} bytes over IPv6 to pass", 0.1)

    def stream(self, family=4, source="host-a", interval=0.01, size=56, **bound):
        """Steady traffic beside whatever else is done: with site.stream() as stream: ...; then stream.lost."""
        return Stream(self.lab, source, (HOST_B if source == "host-a" else HOST_A)[family], family, interval, size, **bound)

    def iperf(self, seconds=3, family=4, reverse=False, extra=(), amount=None):
        """iperf3 from host-a to a server on host-b; returns bits per second as the receiver saw them. amount: so many bytes
        ("2M") that have to arrive in that time, whatever the rate."""
        server = self.lab.spawn("host-b", ["iperf3", "-s", "-1", "-B", HOST_B[family]], "iperf-server.log")
        wait_until(lambda: HOST_B[family] in self.lab.run("host-b", "ss", "-ltn").stdout, 5, "the iperf3 server")
        length = ["-n", amount] if amount else ["-t", seconds]
        done = self.lab.run("host-a", "iperf3", "-J", "-c", HOST_B[family], *length, *(["-R"] if reverse else []), *extra,
                            timeout=seconds + 15, check=False)
        self.lab.stop(server)
        result = json.loads(done.stdout or "{}")
        if "end" not in result or "error" in result:
            raise LabError(f"iperf3: {result.get('error', done.stderr)}")
        end = result["end"]
        return end.get("sum_received", end.get("sum"))["bits_per_second"]

    def capture(self, device="outside", name="wire", only=""):
        return Capture(self.lab, "wan", device, name, only)


class TwoGateways(Site):
    """host-a - gw - wan - gw2 - host-b, without a peer: both gateways are for Culvert. The far one has the peer's addresses."""

    def __init__(self, lab):  # pylint: disable=super-init-not-called
        self.lab, self.nat, self.peer = lab, None, None
        for ns in ("host-a", "gw", "wan", "gw2", "host-b"):
            lab.namespace(ns)
        for host, gw, port in (("host-a", "gw", "gw0"), ("host-b", "gw2", "gw1")):
            lab.veth(host, "eth0", gw, "cv-lan")
            lab.veth(gw, "cv-wan", "wan", port)
            lab.silent(gw, "cv-lan", "cv-wan")
            lab.silent("wan", port)
        lab.bridge("wan", "outside", "gw0", "gw1")
        for family in (4, 6):
            for host, table, gateway in (("host-a", HOST_A, GW_LAN), ("host-b", HOST_B, PEER_LAN)):
                lab.address(host, "eth0", f"{table[family]}/{PLEN[family]}")
                lab.route(host, "default", gateway[family])


def layer_of(daemon):
    done = subprocess.run([TOOLS / "peer-packages", daemon], capture_output=True, text=True)
    if done.returncode:
        raise Skip(f"cannot get the packages of {daemon}: {done.stderr.strip()[-300:]}")
    return done.stdout.strip()


def pinger(family, target, count, interval, size, grace):
    return [sys.executable, Path(__file__).with_name("pinger.py"), family, target, count, interval, size, grace]


class Ping:
    """What pinger.py counted."""

    def __init__(self, text):
        values = json.loads(text.strip().splitlines()[-1])
        self.sent, self.received, self.duplicates = values["sent"], values["received"], values["duplicates"]
        self.lost, self.errors = self.sent - self.received, values["errors"]
        self.text = f"{self.received} of {self.sent} came back, {self.duplicates} twice, {self.errors} errors; " \
                    f"missing: {values['lost']}; slowest {values['rtt_max'] * 1000:.1f} ms"

    def __str__(self):
        return self.text


class Stream:
    """Pings at a steady rate in the background while the body of the with statement runs; lost and result are there
    afterwards. Bounded: it ends by itself after limit packets."""

    LIMIT = 120000

    def __init__(self, lab, ns, target, family=4, interval=0.01, size=56, limit=LIMIT):
        self.lab, self.ns = lab, ns
        self.argv = pinger(family, target, limit, interval, size, 3 * speed())
        self.process = self.result = None

    def __enter__(self):
        self.process = subprocess.Popen(self.lab.in_ns(self.ns, self.argv), stdout=subprocess.PIPE, text=True)
        self.lab.closers.append(self._kill)
        self.process.stdout.readline()  # it says when it begins
        return self

    def __exit__(self, kind, value, trace):
        self.process.send_signal(signal.SIGINT)
        out, _ = self.process.communicate(timeout=15 * speed())
        self.result = Ping(out)

    def _kill(self):
        if self.process.poll() is None:
            self.process.kill()

    @property
    def lost(self):
        return self.result.lost


class Capture:
    """tcpdump on a bridge; the judges are tshark and scapy."""

    # What may be on the outside wire: ESP (also in UDP), IKE, ARP, IPv6 neighbour discovery and its MLD reports; fragments
    # are judged by what they are reassembled to.
    ALLOWED = ("esp || isakmp || udpencap || arp || lldp || (icmpv6.type >= 133 && icmpv6.type <= 137) || "
               "icmpv6.type == 143 || ip.proto == 50 || ip.reassembled_in || ipv6.reassembled.in")

    def __init__(self, lab, ns, device, name, only):
        self.lab, self.path = lab, lab.work / f"{name}.pcap"
        log = f"{name}-tcpdump.log"
        self.process = lab.spawn(ns, ["tcpdump", "-i", device, "-n", "-U", "--immediate-mode", "-B", "8192", "-s", "0", "-Z", "root", "-w", self.path,
                                      *([only] if only else [])], log)
        wait_until(lambda: "listening on" in lab.log_text(log), 10, "tcpdump to listen")

    def stop(self):
        """End the capture once everything that was on the wire is in the file."""
        sizes = [-1, -2]

        def settled():
            sizes.append(self.path.stat().st_size)
            return sizes[-1] == sizes[-2] == sizes[-3]

        wait_until(settled, 10, f"{self.path.name} to be written")
        self.lab.stop(self.process)
        return self

    def count(self, display_filter):
        """How many captured frames tshark says match."""
        done = self.lab.command("tshark", "-2", "-n", "-r", self.path, "-Y", display_filter, "-T", "fields", "-e",
                                "frame.number", timeout=60)
        return len(done.stdout.split())

    def show(self, display_filter, limit=10):
        done = self.lab.command("tshark", "-2", "-n", "-r", self.path, "-Y", display_filter, timeout=60)
        return "\n".join(done.stdout.splitlines()[:limit])

    def require_only_esp(self, at_least=1, peer_may_leak=False):
        """tshark says: nothing but ESP, IKE and neighbour discovery was on the wire, and enough of the first.
        peer_may_leak: judge only what did not come from the network behind the peer."""
        stray = self.show(f"!({self.ALLOWED})" + (f" && !(ip.src == {REMOTE[4]})" if peer_may_leak else ""))
        if stray:
            raise LabError(f"in clear on the wire:\n{stray}")
        esp = self.count("esp")
        if esp < at_least:
            raise LabError(f"only {esp} ESP packets on the wire, expected at least {at_least}")
        return esp
