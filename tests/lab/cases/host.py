# SPDX-License-Identifier: BSD-3-Clause
"""The host path: programs on the gateway's own Linux, reached and speaking through Culvert's ports."""
import sys

from lab import config as cfg
from lab.core import require, wait_until
from lab.gateway import Culvert
from lab.topology import GW_LAN, HOST_A, Site

PORT = 8022
# A server that answers each connection with its peer's address; one address and port on the command line.
SERVER = """
import socket, sys
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
with socket.create_server((sys.argv[1], int(sys.argv[2])), family=family) as server:
    while True:
        line, peer = server.accept()
        with line:
            line.sendall(peer[0].encode() + b"\\n" + line.recv(65536, socket.MSG_WAITALL if len(sys.argv) > 3 else 0))
"""
CLIENT = """
import socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=10) as line:
    line.sendall(b"x" * 9000)
    line.shutdown(socket.SHUT_WR)
    print(line.makefile().readline().strip())
"""


def serve(lab, ns, address, port=PORT):
    server = lab.spawn(ns, [sys.executable, "-c", SERVER, address, port], "server.log")
    wait_until(lambda: f"{address}]:{port}" in (text := lab.run(ns, "ss", "-ltn").stdout) or f"{address}:{port}" in text, 10,
               f"a server on {address}")
    return server


def ask(lab, ns, address, port=PORT, check=True):
    """Connect and return what address the server says that we have; None when it cannot be reached."""
    done = lab.run(ns, sys.executable, "-c", CLIENT, address, port, check=check, timeout=15)
    return done.stdout.strip() if done.returncode == 0 else None


def with_host_path(config):
    config["culvert-platform:platform"]["host-path"] = True
    return config


def tcp(lab):
    """TCP over both families from a host to a server on the box and from the box to a server on a host, ping from the box;
    ARP, ND and echo requests stay Culvert's; devices follow the configuration: addresses, state, on and off."""
    site = Site(lab)
    culvert = Culvert(lab).start(with_host_path(cfg.base()))
    text = culvert.cli("show", "interfaces", "lan").stdout
    require("Host device: lan" in text, text)
    for family in (4, 6):
        serve(lab, "gw", GW_LAN[family])
        require(ask(lab, "host-a", GW_LAN[family]) == HOST_A[family], f"IPv{family} to the box")
        serve(lab, "host-a", HOST_A[family])
        require(ask(lab, "gw", HOST_A[family]) == GW_LAN[family], f"IPv{family} from the box")
        lab.run("gw", "ping", f"-{family}", "-n", "-c", "2", "-i", "0.2", "-W", "2", HOST_A[family])
        lab.run("host-a", "ping", f"-{family}", "-n", "-c", "2", "-i", "0.2", "-W", "2", GW_LAN[family])
    del site
    config = with_host_path(cfg.base())
    lan = cfg.interface(config, "lan")
    lan["ietf-ip:ipv4"]["address"].append({"ip": "10.1.7.1", "prefix-length": 24})
    lan["culvert-platform:mtu"] = 1400
    culvert.commit(config)
    seen = lab.run("gw", "ip", "addr", "show", "dev", "lan").stdout
    require("inet 10.1.7.1/24" in seen and "mtu 1400" in seen and f"inet {GW_LAN[4]}/24" in seen, seen)
    lan["enabled"] = False
    culvert.commit(config)
    seen = lab.run("gw", "ip", "link", "show", "dev", "lan").stdout
    require(",UP" not in seen, seen)
    lan["enabled"] = True
    lan["culvert-platform:host-device"] = "inside"
    culvert.commit(config)
    seen = lab.run("gw", "ip", "addr", "show").stdout
    require("inside:" in seen and " lan:" not in seen and f"inet6 {GW_LAN[6]}/64" in seen, seen)
    require(ask(lab, "host-a", GW_LAN[4]) == HOST_A[4], "not reached under the new name")
    lan["culvert-platform:host-device"] = "cv-lan"
    refused = culvert.commit(config, check=False)
    require(refused.returncode and "a device called cv-lan already" in refused.stdout + refused.stderr,
            f"{refused.stdout}{refused.stderr}")
    lan["culvert-platform:host-path"] = False
    culvert.commit(config)
    require(ask(lab, "host-a", GW_LAN[4], check=False) is None, "reached without a host path")
