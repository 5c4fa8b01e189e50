# SPDX-License-Identifier: BSD-3-Clause
"""IKEv1 with FreeRADIUS as judge and strongSwan as peer (AGGR-*, VRF-34)."""
from lab.core import require, wait_until
from lab.radius import FreeRadius, asked_by
from lab.vpn import Vpn
from lab import config as cfg

_SPOKE = "user@example.com"
_CLIENT = "10.2.0.77"


def keys(lab):
    """AGGR-T1, AGGR-1, 7..9: the hub has no preshared key; the server has it, in both of its forms. AGGR-T2: another key there.
    AGGR-14: a user that it does not know, and a server that is gone."""
    aggressive = {"connection": {"aggressive": "yes"},
                  "charon": {"i_dont_care_about_security_and_use_aggressive_mode_psk": "yes"}}
    vpn = Vpn(lab, 1, conn={"local_id": _SPOKE, "extra": aggressive})
    radius = FreeRadius(lab, {
        _SPOKE: ("cisco", [("Service-Type", "Outbound-User"), ("Tunnel-Medium-Type:1", "IPv4"), ("Tunnel-Type:1", "ESP"),
                           ("Tunnel-Password:1", f'"{cfg.PSK}"'), ("Cisco-AVPair", '"ipsec:key-exchange=ike"')]),
        "pair@example.com": ("cisco", [("Tunnel-Type:1", "ESP"),
                                       ("Cisco-AVPair", f'"ipsec:tunnel-password={cfg.PSK}"')]),
        "other@example.com": ("cisco", [("Tunnel-Password:1", '"not that one"')])}).start()
    config = vpn.config()
    ike = config["culvert-ike:ike"]
    del ike["keyring"], ike["profile"][0]["keyring"], config["culvert-ipsec:ipsec"]["crypto-map"][0]["entry"][0]["peer"]
    ike["profile"][0]["aggressive-mode"] = {"allow-preshared-key": True}
    ike["profile"][0]["match-identity"] = [
        {"name": "spokes", "type": "user-fqdn", "domain": True, "value": "example.com"}]
    asked_by(config, ike["profile"][0], **{"authorization": "ike", "authorization-password": "cisco"})
    vpn.culvert.commit(config)
    require(cfg.PSK not in str(config), "the hub's configuration has the key")
    for spoke in (_SPOKE, "pair@example.com"):
        vpn.reload_peer(local_id=spoke)
        vpn.up("responder").require_traffic((56,))
        require(f'"remote_id": "{spoke}"' in vpn.culvert.cli("show", "crypto", "isakmp", "sa", "--json").stdout, "another peer")
        vpn.down()
    server = vpn.culvert.show("aaa", "servers")["servers"][0]
    require(server["accepts"] == 2 and server["bad_answers"] == 0, f"{server}")
    for spoke in ("other@example.com", "nobody@example.com"):
        vpn.reload_peer(local_id=spoke)
        vpn.daemon.initiate(4, check=False)
        require(vpn.daemon.child_count() == 0, vpn.daemon.sas())
    wait_until(lambda: vpn.culvert.show("aaa", "servers")["servers"][0]["rejects"] >= 1, 10, "a refusal")
    radius.stop()
    vpn.reload_peer(local_id=_SPOKE)
    vpn.daemon.initiate(4, check=False)
    wait_until(lambda: vpn.culvert.show("aaa", "servers")["servers"][0]["state"] == "dead", 20, "the server to be given up")
    require("no AAA server answers" in lab.log_text("culvertd.log"), "the log does not say why")
    for word in (cfg.PSK, "rad123"):
        require(word not in lab.log_text("culvertd.log"), "a secret is in the log")


def logins(lab):
    """VRF-34, IKE-55: a login that the server judges, which gives the inner address with it; then a wrong password; then no
    server, where local users step in."""
    def secret(password):
        return {"connection": {"vips": "0.0.0.0", "local-xauth": {"auth": "xauth", "xauth_id": "alice"}},
                "secrets": {"xauth-lab": {"id": "alice", "secret": f'"{password}"'}}}

    vpn = Vpn(lab, 1, conn={"local_ts": ["dynamic"], "extra": secret("correct horse")})
    radius = FreeRadius(lab, {"alice": ("correct horse", [("Framed-IP-Address", _CLIENT)])}).start()
    config = vpn.config()
    profile = config["culvert-ike:ike"]["profile"][0]
    profile.update({"xauth": {"role": "server"}, "mode-config": {"respond": True}})
    asked_by(config, profile, **{"authentication": "ike"})
    vpn.culvert.commit(config)
    vpn.daemon.initiate()
    require(f"{_CLIENT}/32" in vpn.daemon.sas(), vpn.daemon.sas())
    shown = vpn.culvert.cli("show", "crypto", "isakmp", "sa", "--json").stdout
    require('"xauth_user": "alice"' in shown and f'"peer_inner_address": "{_CLIENT}"' in shown, shown)
    vpn.down()
    vpn.reload_peer(extra=secret("another"))
    vpn.daemon.initiate(8, check=False)
    require(vpn.daemon.child_count() == 0, vpn.daemon.sas())
    require("password refused" in lab.log_text("culvertd.log"), "the log does not say why")
    radius.stop()
    config["culvert-ike:ike"]["user"] = [{"name": "alice", "password": "correct horse"}]
    config["culvert-ike:ike"]["address-pool"] = [{"name": "inner", "first": _CLIENT, "last": _CLIENT}]
    profile["mode-config"]["pool"] = "inner"
    profile["aaa"]["local-fallback"] = True
    vpn.culvert.commit(config)
    vpn.reload_peer(extra=secret("correct horse"))
    vpn.daemon.initiate()
    require(f"{_CLIENT}/32" in vpn.daemon.sas(), vpn.daemon.sas())
    require("RADIUS server lab: 172.31.0.1 port 1645" in vpn.culvert.cli("show", "aaa", "servers").stdout, "show aaa servers")
