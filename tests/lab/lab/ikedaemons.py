# SPDX-License-Identifier: BSD-3-Clause
"""IKE daemons that nobody here wrote, on a LinuxPeer: strongSwan and libreswan behind one interface."""
import re
from dataclasses import dataclass, field

from .core import LabError, wait_until


@dataclass
class Conn:
    """One connection as the peer sees it: local is the peer itself, remote is Culvert."""
    local: str
    remote: str
    local_ts: list
    remote_ts: list
    version: int = 2
    psk: str = "a secret that only the lab knows"
    ike: str = "aes256-sha256-ecp256"       # strongSwan's words; libreswan's are derived where they differ
    esp: str = "aes128gcm16"
    pfs: str = ""                           # group in strongSwan's words, "" = none asked for
    local_id: str = ""
    remote_id: str = ""
    start: str = "none"                     # none | trap | start
    encap: bool = False                     # UDP encapsulation without a NAT
    child_rekey: str = "1h"
    ike_rekey: str = "4h"
    dpd: str = "0s"
    mobike: bool = False
    extra: dict = field(default_factory=dict)


def block(name, body, depth=0):
    pad = "  " * depth
    lines = [f"{pad}{name} {{"]
    for key, value in body.items():
        if isinstance(value, dict):
            lines.append(block(key, value, depth + 1))
        elif value != "":
            lines.append(f"{pad}  {key} = {value}")
    return "\n".join(lines + [pad + "}"])


class StrongSwan:
    """charon with the few plugins that the lab needs, so that it is up in a moment; driven through swanctl."""

    layer = "strongswan"

    def __init__(self, peer, conn, retransmit_base="1.4", retransmit_tries=4):
        self.peer, self.conn = peer, conn
        self.timing = (retransmit_base, retransmit_tries)
        self.env = f"STRONGSWAN_CONF={peer.work}/strongswan.conf SWANCTL_DIR={peer.work}"
        self.pid = None

    def start(self):
        base, tries = self.timing
        self.peer.file("strongswan.conf", block("charon", {
            "load": "random nonce aes sha1 sha2 openssl hmac xcbc cmac ctr kdf pem pkcs1 x509 pubkey revocation "
                    "constraints kernel-netlink socket-default vici xauth-generic",
            "install_routes": "no", "install_virtual_ip": "no", "threads": 8,
            "retransmit_timeout": "1.5", "retransmit_base": base, "retransmit_tries": tries,
            **self.conn.extra.get("charon", {}),
            "filelog": {"stderr": {"default": 1, "ike": 2, "time_format": "%H:%M:%S", "flush_line": "yes"}},
            **self.conn.extra.get("charon", {}),
        }) + "\n" + block("swanctl", {"load": "nonce openssl"}) + "\n")
        self.pid = self.peer.background(f"env {self.env} /usr/lib/ipsec/charon", "charon.log")
        wait_until(lambda: self.peer.ok(f"[ -S /run/charon.vici ] && {self.env} swanctl --stats >/dev/null 2>&1"), 20,
                   f"charon on {self.peer.name}", 0.2)
        self.load()
        return self

    def load(self, conn=None):
        """(Re)load the connection. Existing SAs go on, as in production."""
        self.conn = conn or self.conn
        c = self.conn
        local = {"auth": "psk", "id": c.local_id, **c.extra.get("local", {})}
        remote = {"auth": "psk", "id": c.remote_id, **c.extra.get("remote", {})}
        child = {
            "local_ts": ",".join(c.local_ts), "remote_ts": ",".join(c.remote_ts),
            "esp_proposals": c.esp + (f"-{c.pfs}" if c.pfs else ""),
            "rekey_time": c.child_rekey, "start_action": c.start, **c.extra.get("child", {}),
        }
        connection = {
            "version": c.version, "local_addrs": c.local, "remote_addrs": c.remote, "proposals": c.ike,
            "local": local, "remote": remote, "mobike": "yes" if c.mobike else "no",
            "encap": "yes" if c.encap else "no", "dpd_delay": c.dpd,
            ("rekey_time" if c.version == 2 else "reauth_time"): c.ike_rekey,
            **c.extra.get("connection", {}), "children": {"lab": child},
        }
        if c.version == 1:
            connection["rekey_time"] = c.ike_rekey
            del connection["reauth_time"]
        text = block("connections", {"lab": connection}) + "\n" + \
            block("secrets", {"ike-lab": {"secret": f'"{c.psk}"'}, **c.extra.get("secrets", {})}) + "\n" + \
            block("pools", c.extra.get("pools", {})) + "\n"
        self.peer.file("swanctl.conf", text, 0o600)
        out = self.peer.sh(f"{self.env} swanctl --load-all --clear --file {self.peer.work}/swanctl.conf 2>&1")
        if "loaded connection 'lab'" not in out:
            raise LabError(f"strongSwan did not load the connection:\n{out}\n{text}")

    def swanctl(self, words, check=True, timeout=30):
        return self.peer.sh(f"{self.env} swanctl {words} 2>&1", check=check, timeout=timeout)

    def initiate(self, timeout=15, check=True):
        """Negotiate the child now; returns swanctl's output."""
        return self.swanctl(f"--initiate --child lab --timeout {timeout}", check=check, timeout=timeout + 5)

    def sas(self):
        return self.swanctl("--list-sas", check=False)

    def ike_count(self):
        return len(re.findall(r"^lab: #\d+, ESTABLISHED", self.sas(), re.M))

    def child_count(self):
        return len(re.findall(r"^  lab: #\d+.*INSTALLED", self.sas(), re.M))

    def child_ids(self):
        return re.findall(r"^  lab: #(\d+).*INSTALLED", self.sas(), re.M)

    def ike_ids(self):
        return re.findall(r"^lab: #(\d+), ESTABLISHED", self.sas(), re.M)

    def rekey_child(self):
        self.swanctl("--rekey --child lab")

    def rekey_ike(self):
        self.swanctl("--rekey --ike lab")

    def terminate_child(self):
        self.swanctl("--terminate --child lab --timeout 5", check=False)

    def terminate(self):
        self.swanctl("--terminate --ike lab --timeout 5", check=False)

    def log(self):
        return self.peer.log_text("charon.log")

    def kill(self):
        """kill -9: the peer forgets its IKE SAs and says nothing."""
        self.peer.sh(f"kill -9 {self.pid}; while kill -0 {self.pid} 2>/dev/null; do sleep 0.05; done; "
                     "rm -f /run/charon.*; ip xfrm state flush; ip xfrm policy flush")

    def restart(self):
        self.kill()
        return self.start()


class Libreswan:
    """pluto, driven through whack. Its configuration lives in the peer's own overlay of /etc."""

    layer = "libreswan"
    _WORDS = {"sha256": "sha2_256", "sha384": "sha2_384", "sha512": "sha2_512", "aes128gcm16": "aes_gcm128",
              "aes192gcm16": "aes_gcm192", "aes256gcm16": "aes_gcm256", "ecp256": "dh19", "ecp384": "dh20",
              "modp2048": "dh14", "modp3072": "dh15"}

    def __init__(self, peer, conn):
        self.peer, self.conn = peer, conn

    def _proposal(self, text):
        """strongSwan's aes256-sha256-ecp256 as libreswan's aes256-sha2_256;dh19."""
        words = [self._WORDS.get(word, word) for word in text.split("-")]
        groups = [word for word in words if word.startswith("dh")]
        rest = [word for word in words if not word.startswith("dh")]
        return "-".join(rest) + (";" + groups[0] if groups else "")

    def connections(self):
        """Lines of ipsec.conf."""
        c = self.conn
        subnets = {"left": c.local_ts, "right": c.remote_ts}
        lines = ["conn lab", f"  left={c.local}", f"  right={c.remote}", "  authby=secret", "  type=tunnel",
                 f"  ikev2={'yes' if c.version == 2 else 'no'}", f"  ike={self._proposal(c.ike)}",
                 f"  esp={self._proposal(c.esp)}" + (";" + self._WORDS[c.pfs] if c.pfs else ""),
                 f"  pfs={'yes' if c.pfs else 'no'}", f"  encapsulation={'yes' if c.encap else 'auto'}",
                 f"  leftid={c.local_id or c.local}", f"  rightid={c.remote_id or c.remote}", "  rekey=yes",
                 "  salifetime=1h", "  ikelifetime=4h", "  auto=add", "  replay-window=64", "  mobike=no"]
        for side, networks in subnets.items():
            lines.append(f"  {side}subnet={networks[0]}")
        return lines + [f"  {key}={value}" for key, value in c.extra.get("libreswan", {}).items()]

    def names(self):
        """Of the connections."""
        return ["lab"]

    def start(self):
        c = self.conn
        lines = ["config setup", "  ikev1-policy=accept", f"  logfile={self.peer.work}/pluto.log", "  logtime=yes",
                 "  virtual-private=%v4:10.0.0.0/8,%v4:192.168.0.0/16", "  uniqueids=yes", ""]
        self.peer.file("ipsec.conf", "\n".join(lines + self.connections()) + "\n")
        self.peer.file("ipsec.secrets", f'%any %any : PSK "{c.psk}"\n', 0o600)
        self.peer.sh(f"mkdir -p /run/pluto /var/lib/ipsec/nss /etc/ipsec.d && cp {self.peer.work}/ipsec.conf "
                     f"{self.peer.work}/ipsec.secrets /etc/ && certutil -N -d sql:/var/lib/ipsec/nss --empty-password")
        self.peer.background("/usr/libexec/ipsec/pluto --config /etc/ipsec.conf --nofork", "pluto-start.log")
        wait_until(self._ready, 30, "pluto to be ready")
        return self

    def _ready(self):
        log = self.log()
        return "loading secrets" in log and all(f'"{name}": added' in log for name in self.names())

    def initiate(self, timeout=15, check=True):
        out = self.peer.sh(f"timeout {timeout} /usr/libexec/ipsec/whack --initiate --name lab 2>&1", check=False,
                           timeout=timeout + 5)
        if check:
            wait_until(lambda: self.child_count() > 0, timeout, "libreswan to establish the child")
        return out

    def sas(self):
        return self.peer.sh("/usr/libexec/ipsec/whack --status | grep -E '#[0-9]'; "
                            "/usr/libexec/ipsec/whack --trafficstatus", check=False)

    def ike_count(self):
        return len(set(re.findall(r"#(\d+):.*(?:ESTABLISHED_IKE_SA|MAIN_[RI]\d|AGGR_[RI]2)\b", self.sas())))

    def child_count(self):
        return len(set(re.findall(r"#(\d+): \"lab\".*(?:ESTABLISHED_CHILD_SA|QUICK_I2|QUICK_R2)\b", self.sas())))

    def rekey_child(self):
        self.peer.sh("/usr/libexec/ipsec/whack --rekey-ipsec --name lab", check=False)

    def rekey_ike(self):
        self.peer.sh("/usr/libexec/ipsec/whack --rekey-ike --name lab", check=False)

    def terminate(self):
        self.peer.sh("/usr/libexec/ipsec/whack --terminate --name lab", check=False)

    def log(self):
        return self.peer.log_text("pluto.log")
