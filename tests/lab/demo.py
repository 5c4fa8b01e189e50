#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The lab as a demonstration: tools/quickstart builds and then runs this."""
import argparse
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from lab import config as cfg  # noqa: E402
from lab.core import Lab, LabError, Skip, wait_until  # noqa: E402
from lab.topology import GW_WAN, HOST_A, HOST_B, NEXT_HOP  # noqa: E402
from lab.vpn import Vpn  # noqa: E402

PICTURE = """
   host-a ---------- Culvert ============ Linux peer ---------- host-b
   10.1.0.10         192.0.2.1   wire     192.0.2.2             10.2.0.10
   (namespace)       (DPDK)      (ESP)    (kernel+strongSwan)   (namespace)
"""


def heading(lab, text):
    print()
    lab.say(text)


def table(vpn, *words):
    print(f"\n$ culvert {' '.join(words)}")
    print(vpn.culvert.cli(*words).stdout.rstrip())


def demonstrate(lab, options):
    version, outer = (1 if options.ikev1 else 2), (6 if options.ipv6 else 4)
    print(PICTURE)
    lab.say("Making namespaces, booting a Linux kernel with strongSwan as the peer, starting Culvert")
    vpn = Vpn(lab, version, outer=outer, esp=options.esp)
    address = GW_WAN[outer], NEXT_HOP[outer]
    wire = vpn.site.capture()

    heading(lab, f"Pinging from host-a {HOST_A[4]} to host-b {HOST_B[4]}: the first packet makes Culvert negotiate "
                 f"IKEv{version} with {address[1]}")
    vpn.up()
    lab.say("Negotiated. Five more pings:")
    print(lab.run("host-a", "ping", "-n", "-c", "5", "-i", "0.2", HOST_B[4]).stdout.rstrip())

    heading(lab, "TCP through the tunnel with iperf3, three seconds each way")
    there = vpn.site.iperf(3)
    back = vpn.site.iperf(3, reverse=True)

    wire.stop()
    heading(lab, f"Proof: what tcpdump saw on the wire between {address[0]} and {address[1]}, as tshark counts it")
    esp = wire.require_only_esp(10)
    rows = (("ESP", esp), ("IKE", wire.count("isakmp")),
            ("ARP and neighbour discovery", wire.count("arp || icmpv6")),
            (f"anything else, or any packet of {HOST_A[4]} and {HOST_B[4]} in clear",
             wire.count(f"!({wire.ALLOWED}) || ip.addr == {HOST_A[4]} || ip.addr == {HOST_B[4]}")))
    for name, count in rows:
        print(f"  {count:8d}  {name}")
    print("The first ESP packets:")
    print(wire.show("esp", 4))

    heading(lab, "What the operator sees")
    table(vpn, "show", "crypto", "session")
    table(vpn, "show", "crypto", "ipsec", "sa")
    print(f"\nThroughput (TCP, one worker, both ends on this machine, the peer a user-mode kernel, so the peer is the "
          f"limit):\n  host-a -> host-b  {there / 1e6:8.1f} Mbit/s\n  host-b -> host-a  {back / 1e6:8.1f} Mbit/s")
    if rows[-1][1]:
        raise LabError("something else than ESP was on the wire")
    return vpn


def explore(lab, vpn):
    cli = f"{vpn.culvert.build}/mgmt/cli/culvert --socket {vpn.culvert.run_dir}/culvertd.sock"
    ns = lab.namespaces
    print(f"""
Left running until Ctrl-C. In another terminal, as root:
  {cli}                               # interactive; ? helps
  {cli} show crypto session detail
  {cli} show drops
  {cli} config show running
  ip netns exec {ns['host-a']} ping {HOST_B[4]}            # from the host behind Culvert
  ip netns exec {ns['wan']} tcpdump -ni outside            # the wire
Configuration: {vpn.culvert.config_dir}/startup.json, explained in docs/operator-guide.md; logs: {lab.work}""", flush=True)
    wait_until(lambda: any(p.poll() is not None for p in (vpn.culvert.dataplane, vpn.culvert.control)), 10 ** 9,
               "a process to end", 1.0)
    raise LabError("a process of Culvert has ended")


def main():
    parser = argparse.ArgumentParser(prog="quickstart")
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--ikev1", action="store_true")
    parser.add_argument("--ipv6", action="store_true")
    parser.add_argument("--esp", default="aes128-gcm16", choices=sorted(cfg.ESP))
    options = parser.parse_args()
    os.environ.setdefault("CULVERT_LAB_SLOW", "4")  # deadlines: a demonstration shall also end well on a busy machine
    try:
        with Lab("quickstart") as lab:
            vpn = demonstrate(lab, options)
            if options.keep:
                explore(lab, vpn)
            heading(lab, "Done: negotiated, encrypted, measured. Cleaning up"
                         " (--keep leaves it running for you to explore)")
        return 0
    except (LabError, Skip) as error:
        print(f"quickstart: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nCleaned up.")
        return 130


if __name__ == "__main__":
    sys.exit(main())
