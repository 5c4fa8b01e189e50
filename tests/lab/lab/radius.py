# SPDX-License-Identifier: BSD-3-Clause
"""FreeRADIUS in a namespace of its own, on a cable to the kernel of the gateway: culvertd asks it as an ordinary process."""
from .core import wait_until
from .ikedaemons import block
from .topology import layer_of

SERVER, GATEWAY, PORT = "172.31.0.1", "172.31.0.2", 1645
INTERFACE = "cv-aaa"    # of the gateway's kernel
SECRET = "rad123"


class FreeRadius:
    """users: {name: (password, {attribute of the answer: value})}"""

    def __init__(self, lab, users):
        self.lab, self.users = lab, users
        self.root = layer_of("freeradius")
        self.dir = lab.work / "radius"
        self.dir.mkdir()
        self.process = None
        lab.namespace("aaa")
        lab.veth("aaa", "eth0", "gw", INTERFACE)
        lab.address("aaa", "eth0", f"{SERVER}/30")
        lab.address("gw", INTERFACE, f"{GATEWAY}/30")

    def _configuration(self):
        """Message-Authenticator: those of before 2024 put it into answers only where they are told to."""
        users = "\n".join(f'{name} Cleartext-Password := "{password}"\n' +
                          ",\n".join(f"\t{attribute} = {value}" for attribute, value in answer) + "\n"
                          for name, (password, answer) in self.users.items())
        (self.dir / "users").write_text(users)
        return "\n".join([
            f"libdir = {self.root}/usr/lib/freeradius", f"raddbdir = {self.dir}", f"logdir = {self.dir}",
            f"run_dir = {self.dir}", f"db_dir = {self.dir}",
            block("security", {"reject_delay": 0, "status_server": "no"}),
            block("client gateway", {"ipaddr": GATEWAY, "secret": SECRET, "require_message_authenticator": "yes"}),
            block("modules", {"files": {"usersfile": self.dir / "users"}, "pap": {"normalise": "no"}}),
            block("server default", {"listen": {"type": "auth", "ipaddr": SERVER, "port": PORT}}).rstrip("}") +
            "  authorize {\n    update reply {\n      Message-Authenticator := 0x00\n    }\n    files\n    pap\n  }\n  authenticate {\n    Auth-Type PAP {\n      pap\n    }\n  }\n}", ""])

    def start(self):
        (self.dir / "radiusd.conf").write_text(self._configuration())
        libraries = f"{self.root}/usr/lib/freeradius:{self.root}/usr/lib/x86_64-linux-gnu"
        self.process = self.lab.spawn("aaa", [
            f"{self.root}/usr/sbin/freeradius", "-fxx", "-l", "stdout", "-n", "radiusd", "-d", self.dir,
            "-D", f"{self.root}/usr/share/freeradius"], "radius.log", env={"LD_LIBRARY_PATH": libraries})
        wait_until(lambda: "Ready to process requests" in self.log(), 20, "the RADIUS server")
        return self

    def stop(self):
        self.lab.stop(self.process)

    def log(self):
        return self.lab.log_text("radius.log")


def asked_by(config, profile, **what):
    """Put the server into a configuration, and what the profile asks it."""
    config["culvert-aaa:aaa"] = {
        "radius-server": [{"name": "lab", "address": SERVER, "port": PORT, "key": SECRET, "timeout": 1, "retransmit": 1,
                           "source-address": GATEWAY, "source-interface": INTERFACE}],
        "server-group": [{"name": "ike", "server": ["lab"]}]}
    profile["aaa"] = what
