# SPDX-License-Identifier: BSD-3-Clause
"""ESP against the Linux kernel: every algorithm, both families inside and outside, judged by scapy as well."""
import re
import sys

from lab import config as cfg
from lab.core import require, wait_until
from lab.judge import judge_capture, of_linux
from lab.topology import HOST_A, HOST_B
from lab.vpn import Vpn


def _algorithms(lab, version, names):
    """One tunnel after the other: commit the transform set, reload the peer, negotiate in both roles, talk."""
    vpn = Vpn(lab, version, esp=names[0])
    for n, name in enumerate(names):
        role = ("initiator", "responder")[n % 2]
        if n:
            vpn.down()
            vpn.reload_peer(esp=cfg.ESP[name])
            vpn.culvert.commit(vpn.config(esp=name))
        lab.say(f"{name}, Culvert is {role}")
        vpn.up(role).require_traffic()
        sas = vpn.peer.sh("ip xfrm state")
        bits = int(re.match(r"aes(\d+)", name)[1])
        require(("rfc4106" in sas) == ("gcm" in name), f"{name}: the kernel has another algorithm\n{sas}")
        keys = re.findall(r"(?:aead rfc4106\(gcm\(aes\)\)|enc cbc\(aes\)) 0x([0-9a-f]+)", sas)
        salt = 32 if "gcm" in name else 0
        require(keys and all(len(key) * 4 == bits + salt for key in keys), f"{name}: the key is not of {bits} bits")


def gcm_v2(lab):
    _algorithms(lab, 2, ["aes128-gcm16", "aes192-gcm16", "aes256-gcm16"])


def cbc_sha256_v2(lab):
    _algorithms(lab, 2, ["aes128-cbc-sha256-128", "aes192-cbc-sha256-128", "aes256-cbc-sha256-128"])


def cbc_sha1_v2(lab):
    _algorithms(lab, 2, ["aes128-cbc-sha1-96", "aes192-cbc-sha1-96", "aes256-cbc-sha1-96"])


def gcm_v1(lab):
    _algorithms(lab, 1, ["aes128-gcm16", "aes192-gcm16", "aes256-gcm16"])


def cbc_sha256_v1(lab):
    _algorithms(lab, 1, ["aes128-cbc-sha256-128", "aes192-cbc-sha256-128", "aes256-cbc-sha256-128"])


def cbc_sha1_v1(lab):
    _algorithms(lab, 1, ["aes128-cbc-sha1-96", "aes192-cbc-sha1-96", "aes256-cbc-sha1-96"])


def _families(lab, version, inner, outer, esp="aes256-gcm16"):
    vpn = Vpn(lab, version, inner=(inner,), outer=outer, esp=esp)
    capture = vpn.site.capture()
    vpn.up("initiator").require_traffic()
    vpn.down()
    vpn.up("responder").require_traffic((56,))
    capture.stop().require_only_esp(20)
    require(capture.count(f"esp && {'ip' if outer == 6 else 'ipv6'}") == 0, "ESP in the other outer family")


def inner6_outer4_v2(lab):
    _families(lab, 2, 6, 4)


def inner4_outer6_v2(lab):
    _families(lab, 2, 4, 6)


def inner6_outer6_v2(lab):
    _families(lab, 2, 6, 6)


def inner6_outer6_v1(lab):
    _families(lab, 1, 6, 6, "aes128-cbc-sha256-128")


def inner4_outer6_v1(lab):
    _families(lab, 1, 4, 6)


def inner6_outer4_v1(lab):
    _families(lab, 1, 6, 4)


def path_mtu(lab):
    """A packet that does not fit with its overhead and must not be fragmented is answered with the MTU that would fit,
    so that TCP finds its size by itself; nothing needs tuning (promise 5)."""
    vpn = Vpn(lab, 2, inner=(4, 6)).up()
    done = lab.run("host-a", "ping", "-4", "-n", "-c", "2", "-M", "do", "-s", "1472", "-W", "1", HOST_B[4], check=False)
    match = re.search(r"mtu ?= ?(\d+)", done.stdout)
    require(match and 1400 <= int(match[1]) < 1500, f"no fragmentation needed came back:\n{done.stdout}")
    vpn.site.ping(4, 2, size=int(match[1]) - 28)
    for family in vpn.inner:
        rate = vpn.site.iperf(30, family, amount="4M")
        lab.say(f"TCP over IPv{family}: {rate / 1e6:.1f} Mbit/s")


DEAF = """table inet deaf {
  chain in {
    type filter hook input priority 0
    icmp type destination-unreachable drop
    icmpv6 type packet-too-big drop
  }
}
"""


def mss_clamped(lab):
    """Hosts that no ICMP reaches: TCP finds a size that fits because its SYNs are changed on their way, over IPv4 to
    what the SA leaves, over IPv6 to a number. And an
    interface whose IPv4 has a smaller MTU of its own (promise 5)."""
    vpn = Vpn(lab, 2, inner=(4, 6)).up()
    config = vpn.config()
    cfg.interface(config, "lan")["ietf-ip:ipv4"]["mtu"] = 1200
    vpn.culvert.commit(config)
    done = lab.run("host-b", "ping", "-4", "-n", "-c", "2", "-M", "do", "-s", "1300", "-W", "1", HOST_A[4], check=False)
    require("mtu = 1200" in done.stdout, done.stdout)
    lab.run("host-b", "ping", "-4", "-n", "-c", "2", "-M", "do", "-s", "1172", "-W", "2", HOST_A[4])
    for host in ("host-a", "host-b"):
        lab.run(host, "nft", "-f", "-", stdin=DEAF)
        lab.run(host, "sysctl", "-qw", "net.ipv4.route.flush=1")
    done = lab.run("host-a", "ping", "-4", "-n", "-c", "2", "-M", "do", "-s", "1472", "-W", "1", HOST_B[4], check=False)
    require("mtu" not in done.stdout and " 0 received" in done.stdout, f"host-a hears ICMP errors:\n{done.stdout}")
    config = vpn.config()
    cfg.interface(config, "lan")["culvert-platform:tcp-adjust-mss"] = {"ipv4": "auto", "ipv6": 1340}
    vpn.culvert.commit(config)
    capture = vpn.site.capture("inside", "inside")
    for family in vpn.inner:
        for reverse in (False, True):
            rate = vpn.site.iperf(30, family, reverse, amount="2M")
            lab.say(f"TCP over IPv{family}: {rate / 1e6:.1f} Mbit/s")
    capture.stop()
    fits = 1500 - 20 - 8 - 8 - 2 - 16 - 40  # less outer header, ESP with AES-GCM, and the headers of the segment
    for family, most in (("ip", fits), ("ipv6", 1340)):
        mine = f"tcp.flags.syn == 1 && {family} && {family}.src == {HOST_A[4 if family == 'ip' else 6]}"
        require(capture.count(f"{mine} && tcp.options.mss_val == {most}") == capture.count(mine) > 0, capture.show(mine))
    text = vpn.culvert.cli("show", "interfaces", "lan").stdout
    require("IP TCP MSS adjusted to the path MTU" in text and "IPv6 TCP MSS adjusted to 1340 bytes" in text, text)


def scapy_judges(lab):
    """scapy decrypts what was on the wire with the keys of the peer's kernel, and makes the same bytes again: SPI, numbers,
    IV, padding, next header, ICV; one cipher of each kind, negotiated
    (of GCM only the full ICV: scapy has no other)."""
    sets = [("aes128-sha256", ["esp-aes", "esp-sha256-hmac"]), ("aes256gcm16", ["esp-gcm 256"]),
            ("aes192gcm16", ["esp-gcm 192"]), ("chacha20poly1305", ["esp-chacha20-poly1305"]),
            ("aes128ctr-sha512", ["esp-ctr 128", "esp-sha512-hmac"])]
    vpn = Vpn(lab, 2, conn={"esp": sets[0][0]}, culvert={"transforms": sets[0][1]})
    for n, (name, transforms) in enumerate(sets):
        if n:
            vpn.down()
            vpn.reload_peer(esp=name)
            vpn.culvert.commit(vpn.config(transforms=transforms))
        vpn.up()
        capture = vpn.site.capture(name=f"judged{n}")
        vpn.site.ping(count=10, interval=0.05, size=100 + n)
        capture.stop()
        sas = of_linux(vpn.peer.sh("ip xfrm state"))
        seen = judge_capture(capture.path, sas)
        for sa in sas:
            inner = [packet for _, packet in seen[sa.spi]]
            require(all({p.src, p.dst} == {HOST_A[4], HOST_B[4]} for p in inner), str([p.summary() for p in inner]))
            require(sum(len(p) == 128 + n for p in inner) >= 10, f"{name}: {[len(p) for p in inner]}")
        require(len(sas) == 2, f"{name}: {sas}")
        lab.say(f"{name}: judged")


def replay_and_forgery(lab):
    """A captured packet sent again is dropped as a replay, one with a flipped bit for its integrity (IPSEC-*); the log says how many
    were outside the window, in one message (REPLAY-9)."""
    from scapy.all import ESP, rdpcap, wrpcap  # pylint: disable=import-outside-toplevel
    vpn = Vpn(lab, 2).up()
    capture = vpn.site.capture()
    vpn.site.ping(count=5, interval=0.05, source="host-b")
    capture.stop()
    ours = [p for p in rdpcap(str(capture.path)) if ESP in p and p["IP"].dst == "192.0.2.1"]
    require(len(ours) >= 5, "no ESP towards Culvert was captured")
    before = vpn.culvert.drops()
    wrpcap(str(lab.work / "replayed.pcap"), ours)
    forged = [p.copy() for p in ours]
    for n, packet in enumerate(forged):
        data = bytearray(bytes(packet[ESP].data))
        data[-1] ^= 1
        packet[ESP].data = bytes(data)
        packet[ESP].seq += 100 + n
    wrpcap(str(lab.work / "forged.pcap"), forged)
    inside = vpn.site.lab.spawn("host-a", ["tcpdump", "-i", "eth0", "-n", "-l", "icmp"], "inside.log")
    _replay(lab, "replayed.pcap")
    _replay(lab, "forged.pcap")
    after = vpn.culvert.drops()
    lab.stop(inside)
    require(after.get("esp-replay", 0) - before.get("esp-replay", 0) == len(ours), f"replays: {before} -> {after}")
    require(after.get("esp-auth", 0) - before.get("esp-auth", 0) == len(ours), f"forgeries: {before} -> {after}")
    require("ICMP echo" not in lab.log_text("inside.log"), "a replayed or forged packet reached the inside")

    def told():
        return re.findall(r"CRYPTO-4-PKT_REPLAY_ERR: decrypt: replay check failed connection id=\d+, (\d+) packets", lab.log_text("culvertd.log"))
    wait_until(lambda: sum(map(int, told())) == len(ours), 15, "the log to say how many were replayed")
    require(len(told()) <= 2, f"a message for a look, not for a packet: {told()}")
    vpn.site.ping(count=3)


def _replay(lab, name):
    script = ("import socket,sys\nfrom scapy.all import rdpcap\ns=socket.socket(socket.AF_PACKET,socket.SOCK_RAW)\n"
              "s.bind(('outside',0))\n"
              f"[s.send(bytes(p)) for p in rdpcap('{lab.work / name}')]\n")
    lab.run("wan", sys.executable, "-c", script)
