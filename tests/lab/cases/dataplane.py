# SPDX-License-Identifier: BSD-3-Clause
"""culvert-dataplane by itself, told what to do by chan_probe instead of culvertd: between two hosts in namespaces."""
import re

from lab.core import LabError, require, wait_until
from lab.gateway import build_root
from lab.topology import Stream

CONFIG = """
port 0 lan net_af_packet0,iface=cv-a
port 1 wan net_af_packet1,iface=cv-b
if 1 lan 0
if 2 wan 1
addr 1 10.0.1.1/24
addr 2 10.0.2.1/24
addr 1 2001:db8:1::1/64
addr 2 2001:db8:2::1/64
"""


class Router:
    """Namespaces <tag>a and <tag>b with a host each, the dataplane in <tag>gw between them."""

    def __init__(self, lab, tag="", options=(), sides="ab"):
        self.lab, self.tag = lab, tag
        self.a, self.gw, self.b = (tag + name for name in ("a", "gw", "b"))
        lab.namespace(self.gw)
        for side in sides:
            number, ns, device = "xab".index(side), tag + side, f"cv-{side}"
            lab.namespace(ns)
            lab.veth(ns, "eth0", self.gw, device)
            lab.address(ns, "eth0", f"10.0.{number}.2/24", f"2001:db8:{number}::2/64")
            lab.route(ns, "default", f"10.0.{number}.1")
            lab.route(ns, "default", f"2001:db8:{number}::1")
            lab.silent(self.gw, device)
        self.socket = lab.work / f"{tag}dataplane.sock"
        self.log = f"{tag}dataplane.log"
        self.options = options
        self.process = None
        self.start()

    def start(self):
        already = self.lab.log_text(self.log).count(" ready:")
        self.process = self.lab.spawn(self.gw, [build_root() / "dataplane/culvert-dataplane", "--socket", self.socket,
                                                "--no-huge", "--memory", "128", "--test-faults", *self.options], self.log)

        def ready():
            if self.process.poll() is not None:
                raise LabError(f"culvert-dataplane ended with {self.process.returncode} while starting")
            return self.lab.log_text(self.log).count(" ready:") > already
        wait_until(ready, 20, "culvert-dataplane to be ready")

    def tell(self, script, check=True):
        """Run a chan_probe script; returns what it printed."""
        done = self.lab.run(None, build_root() / "tests/lab/chan_probe", self.socket, stdin=script, check=False)
        if check and done.returncode != 0:
            raise LabError(f"chan_probe: {done.stderr}{done.stdout}")
        return done.stdout + done.stderr

    def configure(self, config=CONFIG):
        self.tell(f"sync\n{config}\ncommit\n")
        self.wait_forwarding()

    def ping(self, ns, address, *options, count=3):
        done = self.lab.run(ns, "ping", "-c", count, "-i", "0.1", "-W", "1", *options, address, check=False)
        match = re.search(r"(\d+) received", done.stdout)
        return int(match[1]) if match else 0, done.stdout

    def wait_forwarding(self):
        for address in ("10.0.2.2", "2001:db8:2::2"):
            wait_until(lambda a=address: self.ping(self.a, a, count=1)[0], 10, f"an answer of {address}")

    def everything(self):
        """What an operator can see of the configuration, without what changes by itself."""
        text = self.tell("dump if\ndump fib 0\ndump fib 7\ndump worker\n")
        return re.sub(r" age \d+", "", text)


def forwards(lab):
    """IPv4 and IPv6, errors with the right words, fragments, and the router's own addresses."""
    router = Router(lab)
    router.configure()
    for target in ("10.0.1.1", "10.0.2.1", "10.0.2.2", "2001:db8:1::1", "2001:db8:2::1", "2001:db8:2::2"):
        received, text = router.ping(router.a, target)
        require(received == 3, f"ping {target}: {text}")
    received, text = router.ping(router.a, "10.0.2.2", "-t", "1")
    require(received == 0 and "From 10.0.1.1" in text and "Time to live exceeded" in text, text)
    received, text = router.ping(router.a, "2001:db8:2::2", "-t", "1")
    require(received == 0 and "From 2001:db8:1::1" in text and "Hop limit" in text, text)
    received, text = router.ping(router.a, "198.51.100.1")
    require(received == 0 and "From 10.0.1.1" in text and "Net Unreachable" in text, text)
    for target in ("10.0.2.2", "10.0.1.1", "2001:db8:2::2"):
        received, text = router.ping(router.a, target, "-s", "4000")
        require(received == 3, f"in fragments: {text}")
    drops = router.tell("drops\n")
    require("ttl-exceeded" in drops and "no-route" in drops, f"drops have names:\n{drops}")


def vlans_and_vrfs(lab):
    """Two routers with a trunk between them that carries the same addresses twice: untagged in the global VRF, and on
    VLAN 100 in VRF red, where the hosts are. The VRFs do not see each other."""
    one, two = Router(lab, "x", sides="a"), Router(lab, "y", sides="b")
    lab.veth(one.gw, "trunk", two.gw, "trunk")
    for router, inside, mine, other, behind in ((one, "a", "192.0.2.1", "192.0.2.2", "2"), (two, "b", "192.0.2.2", "192.0.2.1", "1")):
        lab.silent(router.gw, "trunk")
        number = "xab".index(inside)
        router.tell(f"""sync
port 0 lan net_af_packet0,iface=cv-{inside}
port 1 trunk net_af_packet1,iface=trunk
vrf 7 red
if 1 lan 0 1500 7
if 2 trunk 1
vlan 12 red 2 100 1500 7
addr 1 10.0.{number}.1/24
addr 2 {mine}/24
addr 12 {mine}/24
route 7 10.0.{behind}.0/24 {other}
commit
""")
    wait_until(lambda: one.ping(one.a, "10.0.2.2", count=1)[0], 10, "an answer through VRF red")
    received, text = one.ping(one.a, "10.0.2.2")
    require(received == 3 and "ttl=62" in text, text)
    for router in (one, two):
        counters = router.tell("counters 12\ncounters 2\n")
        red, trunk = re.findall(r"rx (\d+) tx (\d+)", counters)
        require(int(red[0]) >= 3 and int(red[1]) >= 3, f"counted on the VLAN interface:\n{counters}")
        require(int(trunk[0]) < 3, f"and not on its parent:\n{counters}")
    require("10.0.2." not in one.tell("dump fib 0\n"), "the global table knows nothing of red")
    one.tell("expect 3\nvrf-del 7\n")
    one.tell("route-del 7 10.0.2.0/24\n")
    received, text = one.ping(one.a, "10.0.2.2")
    require(received == 0 and "Net Unreachable" in text, text)


def all_or_nothing(lab):
    """A failure injected into every step of a transaction leaves everything as it was, and traffic never stops."""
    router = Router(lab)
    router.configure()
    before = router.everything()
    change = """
port 2 extra net_null0
vrf 7 red
if 3 extra 2
addr 3 10.0.3.1/24
route 0 198.51.100.0/24 10.0.2.9
addr-del 1 2001:db8:1::1/64
"""
    commands = [line for line in change.splitlines() if line]
    with Stream(lab, router.a, "10.0.2.2", interval=0.01) as flood:
        steps = len(commands) + 7   # then prepare of each of the seven modules
        for nth in range(1, steps + 1):
            script = f"fail-at {nth}\nbegin\n"
            for number, command in enumerate(commands[:nth], 1):
                script += ("expect 10\n" if number == nth else "") + command + "\n"
            script += f"expect {9 if nth <= len(commands) else 10}\ncommit\n"
            router.tell(script)
            after = router.everything()
            require(after == before, f"step {nth} left something behind:\n{before}\n--- after\n{after}")
        # A client that dies in the middle, and one that thinks better of it.
        router.tell("begin\n" + change)
        router.tell("begin\n" + change + "abort\n")
        require(router.everything() == before, "an unfinished transaction left something behind")
        router.tell("begin\n" + change + "commit\n")
        after = router.everything()
        require("198.51.100.0/24" in after and "net_null" in after and "10.0.3.0/24" in after, f"the change:\n{after}")
    require(flood.lost == 0, flood.result.text)


def sync_sweeps(lab):
    """A synchronising transaction keeps what it names, with its counters, and removes the rest, without a lost packet."""
    router = Router(lab)
    router.configure(CONFIG + "port 2 extra net_null0\nif 3 extra 2\naddr 3 10.0.3.1/24\nroute 0 198.51.100.0/24 10.0.2.9\n")
    with Stream(lab, router.a, "10.0.2.2", interval=0.005) as flood:
        counted = int(re.search(r"if 2 rx (\d+)", router.tell("counters 2\n"))[1])
        for _ in range(5):
            router.tell(f"sync\n{CONFIG}\ncommit\n")
        text = router.everything()
        require("10.0.3." not in text and "198.51.100" not in text and "if 3" not in text, f"not swept:\n{text}")
        require(int(re.search(r"if 2 rx (\d+)", router.tell("counters 2\n"))[1]) >= counted, "counters went on")
    require(flood.lost == 0, flood.result.text)
    router.tell("sync\ncommit\n")
    require("if 1" not in router.everything(), "an empty configuration is empty")


def workers_come_and_go(lab):
    """The number of active workers changes under traffic; devices with one transmit queue are shared by hand-over."""
    router = Router(lab, options=("--workers", "3"))
    router.configure("workers 3\n" + CONFIG.replace("cv-a", "cv-a,qpairs=2").replace("cv-b", "cv-b,qpairs=2"))
    with Stream(lab, router.a, "10.0.2.2", interval=0.005) as flood:
        for active in (1, 3, 2, 1, 2, 3):
            router.tell(f"workers {active}\n")
            dump = router.tell("dump worker\n")
            queues = [int(n) for n in re.findall(r"rxq (\d+):", dump)]
            require(sum(queues) == 4, f"every queue is polled by one worker:\n{dump}")
            require(all((n > 0) == (i < active) for i, n in enumerate(queues)), f"{active} active workers:\n{dump}")
            received, text = router.ping(router.a, "10.0.2.2")
            require(received == 3, text)
    require(flood.lost == 0, flood.result.text)
    router.tell("expect 2\nworkers 4\n")


def ports_come_and_go(lab):
    """Ports are attached, replaced and detached under traffic; a device that cannot be had leaves the old one."""
    router = Router(lab)
    router.configure()
    router.tell("expect 8\nport 5 none net_af_packet9,iface=not-there\nexpect 4\nport 5 twice net_af_packet0,iface=cv-a\n")
    for _ in range(3):
        router.tell("begin\nif-del 2\nport-del 1\ncommit\n")
        require(router.ping(router.a, "10.0.2.2", count=1)[0] == 0, "no way without the port")
        require(router.ping(router.a, "10.0.1.1")[0] == 3, "the other port goes on")
        router.tell(f"sync\n{CONFIG}\ncommit\n")
        router.wait_forwarding()
    # Replaced by itself with other queue sizes, then by something that does not exist.
    router.tell("port 1 wan net_af_packet1,iface=cv-b,framecnt=1024\n")
    router.wait_forwarding()
    router.tell("expect 8\nport 1 wan net_af_packet1,iface=not-there\n")
    router.wait_forwarding()


def side_by_side(lab):
    """Three instances on one machine; one is killed hard and comes back on the same socket."""
    routers = [Router(lab, tag) for tag in ("x", "y", "z")]
    for router in routers:
        router.configure()
    routers[1].process.kill()
    routers[1].process.wait(5)
    for router in (routers[0], routers[2]):
        require(router.ping(router.a, "10.0.2.2")[0] == 3, "the others go on")
    routers[1].start()
    routers[1].configure()
    second = lab.run(None, build_root() / "dataplane/culvert-dataplane", "--socket", routers[0].socket, "--no-huge",
                     check=False)
    require(second.returncode == 1 and "in use" in second.stderr, f"a second one on the same socket: {second.stderr}")
    require(routers[0].ping(routers[0].a, "10.0.2.2")[0] == 3, "and the first is not disturbed")
    for router in routers:
        router.process.terminate()
        require(router.process.wait(10) == 0, "SIGTERM ends it in good order")


def capture_and_trace(lab):
    """A capture is a readable pcapng of what passed; a trace names the stages."""
    directory = lab.work / "captures"
    directory.mkdir()
    router = Router(lab, options=("--capture-dir", directory))
    router.configure()
    router.tell("capture 1 20 lan.pcapng\n")
    router.ping(router.a, "10.0.2.2", count=15)
    wait_until(lambda: "lan.pcapng: 20 frames" in lab.log_text(router.log), 5, "the end of the capture")
    text = lab.run(None, "tcpdump", "-nr", directory / "lan.pcapng").stdout
    # what hosts say of their own accord is there, too
    requests, replies, others = (text.count(word) for word in ("ICMP echo request", "ICMP echo reply", " ICMP6,"))
    others += text.count(" ARP,")
    require(requests >= 5 and requests - replies in (0, 1) and requests + replies + others == 20, f"the capture:\n{text}")
    router.tell("expect 2\ncapture 1 20 ../x\nexpect 3\ncapture 9 20 x\n")
    lab.spawn(router.a, ["ping", "-i", "0.1", "-c", "40", "10.0.2.2"], "ping.log")
    text = router.tell("trace 5\nevents 2000\n")
    require(len(re.findall(r"event trace", text)) == 5, f"five traces:\n{text}")
    require(re.search(r"\[rx\] .*\[ip-input\] .*\[route\] .*\[tx\] sent", text), f"stages:\n{text}")


def rude_clients(lab):
    """A client that dies anywhere, a second one,: none of them disturbs traffic."""
    router = Router(lab)
    router.configure()
    with Stream(lab, router.a, "10.0.2.2", interval=0.01) as flood:
        holder = lab.spawn(None, ["sh", "-c", f"(echo begin; echo vrf 9 nine; sleep 30) | "
                                  f"{build_root()}/tests/lab/chan_probe {router.socket}"], "holder.log")
        wait_until(lambda: "vrf 9 nine: ok" in lab.log_text("holder.log"), 5, "the first client")
        require("busy" in router.tell("hello\n", check=False).lower(), "a second client is refused")
        lab.stop(holder)
        wait_until(lambda: "busy" not in router.tell("hello\n", check=False).lower(), 5, "the place to be free")
        router.tell("expect 3\nvrf-del 9\n")
    require(flood.lost == 0, flood.result.text)


def drivers(lab):
    """tap, memif and pcap ports: two routers joined by memif; a tap each, behind which the namespace's own kernel is the
    host; and a libpcap port to a host on a cable."""
    one, two = Router(lab, "x", sides="a"), Router(lab, "y", sides="")
    joint = lab.work / "memif.sock"
    for router, role, mine, other, number, behind in ((one, "server", "192.0.2.1", "192.0.2.2", 1, 2),
                                                     (two, "client", "192.0.2.2", "192.0.2.1", 2, 1)):
        router.tell(f"""sync
port 0 tap net_tap0,iface=tap0
port 1 joint net_memif0,role={role},socket={joint},socket-abstract=no
if 1 tap 0
if 2 joint 1
addr 1 172.16.{number}.1/24
addr 2 {mine}/24
route 0 172.16.{behind}.0/24 {other}
commit
""")
        lab.run(router.gw, "sysctl", "-qw", "net.ipv6.conf.tap0.disable_ipv6=1", check=False)
        lab.run(router.gw, "ip", "link", "set", "tap0", "up")
        lab.address(router.gw, "tap0", f"172.16.{number}.2/24")
        lab.route(router.gw, f"172.16.{behind}.0/24", f"172.16.{number}.1")
    wait_until(lambda: one.ping(one.gw, "172.16.2.2", count=1)[0], 15, "an answer over tap, memif and tap")
    received, text = one.ping(one.gw, "172.16.2.2")
    require(received == 3 and "ttl=62" in text, text)
    one.tell("begin\nport 2 cable net_pcap0,iface=cv-a\nif 3 cable 2\naddr 3 10.0.1.1/24\ncommit\n")
    two.tell("route 0 10.0.1.0/24 192.0.2.1\n")
    lab.route(two.gw, "10.0.1.0/24", "172.16.2.1")
    wait_until(lambda: one.ping(one.a, "172.16.2.2", count=1)[0], 10, "an answer over pcap")
    # The other end of a memif goes away and comes back: neither side dies of it.
    two.tell("begin\nif-del 2\nport-del 1\ncommit\n")
    require(one.ping(one.gw, "172.16.1.1")[0] == 3, "the end that is left goes on")
    two.tell(f"begin\nport 1 joint net_memif0,role=client,socket={joint},socket-abstract=no\nif 2 joint 1\n"
             "addr 2 192.0.2.2/24\ncommit\n")
    wait_until(lambda: one.ping(one.gw, "172.16.2.2", count=1)[0], 15, "an answer after memif came back")
