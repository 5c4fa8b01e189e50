# SPDX-License-Identifier: BSD-3-Clause
"""FRR's daemons in a namespace of the lab, from unpacked Debian packages."""
import json
import os
import socket

from .core import LabError, speed, wait_until
from .topology import layer_of

# FRR looks up its groups before it does anything else; they exist only where it runs.
START = """
set -e
cp /etc/group /etc/passwd {work}
grep -q ^frr: {work}/passwd || echo 'frr:x:65533:65533::/:/bin/false' >> {work}/passwd
grep -q ^frr: {work}/group || printf 'frr:x:65533:\\nfrrvty:x:65532:frr,root\\n' >> {work}/group
mount --bind {work}/group /etc/group
mount --bind {work}/passwd /etc/passwd
mkdir -p /var/run/frr /var/tmp/frr
mount -t tmpfs frr /var/run/frr
mount -t tmpfs frr /var/tmp/frr
exec {program} -u root -g root -f {work}/{name}.conf -i {work}/{name}.pid -z {work}/zserv.api --vty_socket {work} -P 0 \
    --log stdout {extra}
"""


class Frr:
    """zebra and other daemons with a configuration each: {"ospfd": text, ...}."""

    def __init__(self, lab, ns, daemons):
        self.lab, self.ns = lab, ns
        self.root = layer_of("frr")
        self.work = lab.work / f"frr-{ns}"
        self.work.mkdir()
        self.env = {"LD_LIBRARY_PATH": ":".join(f"{self.root}/usr/lib/x86_64-linux-gnu{sub}" for sub in ("/frr", ""))}
        self.daemons = {}
        self.configs = {"zebra": f"hostname {ns}\n", **daemons}
        for name in self.configs:
            self.start(name)

    def start(self, name):
        (self.work / f"{name}.conf").write_text(self.configs[name])
        script = START.format(work=self.work, name=name, program=f"{self.root}/usr/lib/frr/{name}",
                              extra="--retain" if name == "zebra" else "")
        self.daemons[name] = self.lab.spawn(self.ns, ["unshare", "-m", "bash", "-c", script], f"frr-{self.ns}/{name}.log",
                                            env=self.env)

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
