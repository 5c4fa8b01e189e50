# SPDX-License-Identifier: BSD-3-Clause
"""The decrypted capture of IKE, read by tshark with the tables that Culvert writes beside it."""
import os
import stat
from pathlib import Path

from lab.core import require
from lab.topology import LAN, REMOTE
from lab.vpn import Vpn

_V2 = (({"encryption": ["aes256-gcm16"], "prf": ["sha256"], "group": ["group19"]}, "aes256gcm16-prfsha256-ecp256", "initiator"),
       ({"encryption": ["aes128-cbc"], "integrity": ["sha256"], "prf": ["sha256"], "group": ["group31"]},
        "aes128-sha256-prfsha256-curve25519", "responder"))
# AES-256 with SHA-1 would need more key than SKEYID_e has (RFC 2409, appendix B); sha256 just has it.
_V1 = (({"encryption": "aes256-cbc", "hash": "sha256", "authentication": "pre-share", "group": "group14"},
        "aes256-sha256-modp2048", "initiator"),
       ({"encryption": "aes128-cbc", "hash": "sha512", "authentication": "pre-share", "group": "group19"},
        "aes128-sha512-ecp256", "responder"))


def _fields(lab, place, names, keys=True):
    """What tshark says of these fields in all messages."""
    words = [w for name in names for w in ("-e", name)]
    home = place if keys else lab.work
    return lab.command("env", f"WIRESHARK_CONFIG_DIR={home}", "tshark", "-n", "-r", place / "ike.pcapng", "-T", "fields", *words,
                       timeout=60).stdout


def decrypted(lab):
    """Issue 4, "a decrypted IKE capture": refused until it is allowed; identities and traffic selectors of strongSwan's and our
    messages, both versions and roles, come out with the keys and not without; files are closed to others; keys are wiped."""
    vpn = Vpn(lab, 2)
    refused = vpn.culvert.cli("capture", "ike", "start", "early", check=False)
    require(refused.returncode and "allow-decrypted-capture" in refused.stdout + refused.stderr, f"not refused: {refused}")
    for version, suites, names in ((2, _V2, ("isakmp.id.data.ipv4_addr", "isakmp.ts.start_ipv4")),
                                   (1, _V1, ("isakmp.id.data.ipv4_addr",))):
        for ours, theirs, role in suites:
            lab.say(f"IKEv{version}, {theirs}, Culvert is {role}")
            vpn.down()
            config = vpn.config(version=version, ike=ours)
            config["culvert-ike:ike"]["allow-decrypted-capture"] = True
            vpn.culvert.commit(config)
            vpn.reload_peer(version=version, ike=theirs)
            name = f"v{version}-{role}"
            vpn.culvert.cli("capture", "ike", "start", name, "peer", vpn.peer_address)
            vpn.up(role)
            vpn.culvert.cli("capture", "ike", "stop")
            place = Path(next(c["directory"] for c in vpn.culvert.show("crypto", "ike", "capture")["captures"]
                              if c["name"] == name))
            for path in (place, *place.iterdir()):
                mode = stat.S_IMODE(os.stat(path).st_mode)
                require(mode & 0o077 == 0, f"{path} has mode {mode:o}")
            read = _fields(lab, place, names)
            for what in (vpn.peer_address, vpn.conn_args["remote"], LAN[4].split("/")[0], REMOTE[4].split("/")[0]):
                require(what in read, f"{what} is not among identities and selectors: {read}")
            hidden = _fields(lab, place, names, keys=False)
            require(not hidden.strip(), f"readable without keys: {hidden}")
            table = place / f"ikev{version}_decryption_table"
            key = table.read_text().split(",")[1 if version == 1 else 2].strip()
            vpn.culvert.cli("capture", "ike", "wipe", name)
            require(len(key) >= 32 and not table.exists() and (place / "ike.pcapng").exists(), "the keys are still there")
            log = lab.log_text("culvertd.log")
            require(key not in log and "AND THE KEYS" in log and f"wiped the keys of '{name}'" in log, "the log is not as it should be")
    lab.say("a capture ends when its number of messages is there, and when it is not allowed any more")
    vpn.culvert.cli("capture", "ike", "start", "short", "packets", "2")
    vpn.down()
    vpn.up("responder")
    shown = vpn.culvert.show("crypto", "ike", "capture")
    require("running" not in shown and "as many messages as were asked for" in lab.log_text("culvertd.log"), shown)
    vpn.culvert.cli("capture", "ike", "start", "unwelcome")
    config["culvert-ike:ike"]["allow-decrypted-capture"] = False
    vpn.culvert.commit(config)
    require("running" not in vpn.culvert.show("crypto", "ike", "capture"), "a capture goes on that is not allowed")
    vpn.culvert.cli("capture", "ike", "wipe", "unwelcome", "all")
    require("unwelcome" not in str(vpn.culvert.show("crypto", "ike", "capture")), "the capture is still there")
