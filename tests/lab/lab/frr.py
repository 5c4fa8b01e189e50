# SPDX-License-Identifier: BSD-3-Clause
"""FRR's daemons in a namespace of the lab, from unpacked Debian packages."""
import json
import os
import socket
from pathlib import Path

from .core import LabError, speed, wait_until
from .topology import layer_of

# FRR looks up its user and groups before it does anything else: a library shows it files in which they are.
USERS = "frr:x:65533:65533::/:/bin/false\n"
GROUPS = "frr:x:65533:\nfrrvty:x:65532:frr,root\n"


class Frr:
    """zebra and other daemons with a configuration each: {"ospfd": text, ...}."""

    def __init__(self, lab, ns, daemons):
        self.lab, self.ns = lab, ns
        self.root = layer_of("frr")
        self.work = lab.work / f"frr-{ns}"
        self.work.mkdir()
        libraries = f"{self.root}/usr/lib/x86_64-linux-gnu"
        self.env = {"LD_LIBRARY_PATH": f"{libraries}/frr:{libraries}", "LD_PRELOAD": f"{libraries}/libnss_wrapper.so"}
        for name, more in (("passwd", USERS), ("group", GROUPS)):
            (self.work / name).write_text(Path("/etc", name).read_text() + more)
            self.env[f"NSS_WRAPPER_{name.upper()}"] = str(self.work / name)
        self.daemons = {}
        self.configs = {"zebra": f"hostname {ns}\n", **daemons}
        for name in self.configs:
            self.start(name)

    def start(self, name):
        (self.work / f"{name}.conf").write_text(self.configs[name])
        self.daemons[name] = self.lab.spawn(self.ns, [
            f"{self.root}/usr/lib/frr/{name}", "-u", "root", "-g", "root", "-f", self.work / f"{name}.conf",
            "-i", self.work / f"{name}.pid", "-z", self.work / "zserv.api", "--vty_socket", self.work, "-P", "0",
            "--log", "stdout", *(["--retain"] if name == "zebra" else [])], f"frr-{self.ns}/{name}.log", env=self.env)

        def ready():
            if self.daemons[name].poll() is not None:
                raise LabError(f"{name} in {self.ns} ended:\n{self.log(name)}")
            return os.path.exists(self.work / f"{name}.vty")
        wait_until(ready, 15, f"{name} in {self.ns}")

    def log(self, name):
        return self.lab.log_text(f"frr-{self.ns}/{name}.log")

    def ask(self, daemon, command):
        """What vtysh would: a command ends with a zero, an answer with three and a status."""
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(10 * speed())
            line.connect(str(self.work / f"{daemon}.vty"))
            for word in ("enable", command):
                line.sendall(word.encode() + b"\0")
                answer = b""
                while answer[-4:-1] != b"\0\0\0":
                    more = line.recv(65536)
                    if not more:
                        raise LabError(f"{daemon} in {self.ns} hung up on '{word}'")
                    answer += more
        return answer[:-4].decode()

    def json(self, daemon, command):
        text = self.ask(daemon, command + " json")
        try:
            return json.loads(text)
        except ValueError:
            return {}

    def full_neighbours(self):
        """OSPF neighbours in state Full, as interface names."""
        found = self.json("ospfd", "show ip ospf neighbor").get("neighbors", {})
        return sorted(n["ifaceName"].split(":")[0] for entries in found.values() for n in entries
                      if n.get("nbrState", n.get("state", "")).startswith("Full"))

    def full_neighbours6(self):
        """OSPFv3 neighbours in state Full, as interface names."""
        found = self.json("ospf6d", "show ipv6 ospf6 neighbor").get("neighbors", [])
        return sorted(n["interfaceName"] for n in found if n["state"] == "Full")
