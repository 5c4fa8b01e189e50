# SPDX-License-Identifier: BSD-3-Clause
"""What only IKEv1 has, against daemons that nobody here wrote (IKE-*, AGGR-*): aggressive mode, fragments, Xauth."""
from pathlib import Path

from lab.core import require, wait_until
from lab.ikedaemons import Libreswan, StrongSwan
from lab.pki import Pki, swan_certificates, with_certificates
from lab.vpn import Vpn

_SPOKE, _HUB = "user@example.com", "hub.example.com"


def _aggressive(lab, daemon, role, hub):
    """hub: Culvert knows nothing of the peer's address, only its identity and the key that belongs to it."""
    vpn = Vpn(lab, 1, daemon,
              conn={"local_id": _SPOKE,
                    "remote_id": "@" + _HUB if daemon is Libreswan else _HUB,
                    "extra": {"connection": {"aggressive": "yes"}, "libreswan": {"aggressive": "yes"},
                              "charon": {"i_dont_care_about_security_and_use_aggressive_mode_psk": "yes"}}},
              culvert={"identity": {"type": "user-fqdn", "value": _SPOKE},
                       "local_id": {"type": "fqdn", "value": _HUB},
                       "profile": {"aggressive-mode": {"initiate": role == "initiator", "allow-preshared-key": True}}})
    if hub:
        config = vpn.config()
        key = config["culvert-ike:ike"]["keyring"][0]["pre-shared-key"][0]
        key["identity"] = _SPOKE
        del key["address"]
        del config["culvert-ipsec:ipsec"]["crypto-map"][0]["entry"][0]["peer"]
        vpn.culvert.commit(config)
    capture = vpn.site.capture()
    vpn.up(role).require_traffic((56, 1472))
    require(vpn.daemon.ike_count() >= 1 and vpn.daemon.child_count() >= 1, vpn.daemon.sas())
    capture.stop()
    require(capture.count("isakmp.exchangetype == 4") >= 3, "not an aggressive mode of three messages")
    require(capture.count("isakmp.exchangetype == 2") == 0, "main mode after all")
    return vpn


def aggressive_strongswan_initiator(lab):
    """AGGR-T1, the spoke's side: AGGR-2, 3."""
    _aggressive(lab, StrongSwan, "initiator", False)


def aggressive_strongswan_responder(lab):
    """AGGR-T1, the hub's side: a peer of unknown address, its key found by its identity (AGGR-8, 12)."""
    _aggressive(lab, StrongSwan, "responder", True)


def aggressive_libreswan(lab):
    """Both roles, one after the other."""
    vpn = _aggressive(lab, Libreswan, "initiator", False)
    vpn.down()
    vpn.up("responder").require_traffic((56,))


def _fragments(lab, daemon):
    vpn = Vpn(lab, 1, daemon,
              conn={"ike": "aes256-sha256-modp4096",
                    "extra": {"connection": {"fragmentation": "yes"}, "charon": {"fragment_size": 400},
                              "libreswan": {"fragmentation": "force"}}},
              culvert={"ike": {"encryption": "aes256-cbc", "hash": "sha256", "authentication": "pre-share",
                               "group": "group16"},
                       "profile": {"fragmentation": {"enabled": True, "size": 400}}})
    return vpn


def fragments_strongswan(lab):
    """Messages with long public values in pieces, both ways and in both roles; none is longer than 400 octets."""
    vpn = _fragments(lab, StrongSwan)
    for role in ("initiator", "responder"):
        capture = vpn.site.capture()
        vpn.up(role).require_traffic((56,))
        capture.stop()
        for address in (vpn.peer_address, vpn.conn_args["remote"]):
            pieces = capture.count(f"isakmp.nextpayload == 132 && ip.src == {address}")
            require(pieces >= 2, f"{pieces} fragments from {address}")
        require(capture.count("isakmp && ip.len > 400") == 0, "longer than agreed:\n" + capture.show("ip.len > 400"))
        vpn.down()


def fragments_libreswan(lab):
    vpn = _fragments(lab, Libreswan)
    capture = vpn.site.capture()
    vpn.up("initiator").require_traffic((56,))
    capture.stop()
    require(capture.count(f"isakmp.nextpayload == 132 && ip.src == {vpn.conn_args['remote']}") >= 2, "not in pieces")


def defaults(lab):
    """USAB-13, USAB-14, USAB-19: no policy and no transform set of ours; SAFENET-T3: the profile as show prints it."""
    vpn = Vpn(lab, 1, esp="aes256-gcm16",
              culvert={"profile": {"local-address": {"interface": "wan"}}, "identity": {"type": "address", "value": "192.0.2.0/24"}})
    config = vpn.config()
    policy = config["culvert-ike:ike"].pop("policy")
    del config["culvert-ipsec:ipsec"]["transform-set"]
    del config["culvert-ipsec:ipsec"]["crypto-map"][0]["entry"][0]["transform-set"]
    vpn.culvert.commit(config)
    vpn.culvert.cli("log-level", "info")   # the message about policies has severity 6
    vpn.down()
    vpn.up().require_traffic((56,))
    log = lab.log_text("culvertd.log")
    for words in ("%CRYPTO-6-IKMP_POLICY_DEFAULT", "%CRYPTO-5-IPSEC_DEFAULT_TRANSFORM"):
        require(words in log, f"the log does not say {words}")
    listed = ("show", "crypto", "isakmp", "default", "policy")
    require("65507" in str(vpn.culvert.show(*listed[1:])), "no default policy is listed")
    shown = vpn.culvert.cli("show", "crypto", "isakmp", "profile").stdout
    for words in ("address 192.0.2.0/24", "Certificate maps matched are:\n   keyring(s): lab", "trustpoint(s): <all>",
                  "interface binding: wan (192.0.2.1:global)"):
        require(words in shown, f"{words!r} is not in {shown}")
    config["culvert-ike:ike"]["policy"] = policy
    vpn.culvert.commit(config)
    require("65507" not in str(vpn.culvert.show(*listed[1:])), "default policies are listed beside one of ours")


_LOGIN = {"xauth-lab": {"id": "alice", "secret": '"correct horse"'}}
_CLIENT = "10.2.0.77"      # an address of the remote network that nobody has but by mode configuration


def xauth_strongswan_client(lab):
    """Culvert is the gateway: it asks for the login (IKE-55) and gives the address that it is asked for (IKE-59)."""
    vpn = Vpn(lab, 1, conn={"local_ts": ["dynamic"], "extra": {
        "connection": {"vips": "0.0.0.0", "local-xauth": {"auth": "xauth", "xauth_id": "alice"}}, "secrets": _LOGIN}})
    config = vpn.config()
    ike = config["culvert-ike:ike"]
    ike["user"] = [{"name": "alice", "password": "correct horse"}]
    ike["address-pool"] = [{"name": "inner", "first": _CLIENT, "last": _CLIENT}]
    ike["profile"][0].update({"xauth": {"role": "server"}, "mode-config": {"respond": True, "pool": "inner"}})
    vpn.culvert.commit(config)
    vpn.daemon.initiate()
    require(f"{_CLIENT}/32" in vpn.daemon.sas(), vpn.daemon.sas())
    shown = vpn.culvert.cli("show", "crypto", "isakmp", "sa", "--json").stdout
    require('"xauth_user": "alice"' in shown and f'"peer_inner_address": "{_CLIENT}"' in shown, shown)
    # a wrong password, and nothing comes up
    vpn.down()
    ike["user"][0]["password"] = "another"
    vpn.culvert.commit(config)
    vpn.daemon.initiate(8, check=False)
    require(vpn.daemon.child_count() == 0, vpn.daemon.sas())
    require("password refused" in lab.log_text("culvertd.log"), "the log does not say why")


def xauth_strongswan_server(lab):
    """Culvert is the client: it logs in, asks for an address and gets one (IKE-59)."""
    vpn = Vpn(lab, 1, conn={"extra": {
        "connection": {"pools": "inner", "remote-xauth": {"auth": "xauth"}}, "secrets": _LOGIN,
        "pools": {"inner": {"addrs": "10.1.0.99/32"}}}},
        culvert={"profile": {"xauth": {"role": "client", "user": "alice", "password": "correct horse"},
                             "mode-config": {"request": True}}})
    vpn.site.ping(count=3, interval=0.5, check=False)
    wait_until(lambda: vpn.daemon.ike_count() == 1, 15, "the login")
    wait_until(lambda: '"inner_address": "10.1.0.99"' in
               vpn.culvert.cli("show", "crypto", "isakmp", "sa", "--json").stdout, 10, "the inner address")


def _rsa_config(vpn, pki):
    config = with_certificates(vpn, pki)
    del config["culvert-ike:ike"]["profile"][0]["authentication"]
    for policy in config["culvert-ike:ike"]["policy"]:
        policy["authentication"] = "rsa-sig"
    return config


def aggressive_certificates(lab):
    """IKE-10, IKE-13, IKE-37: aggressive mode with RSA signatures, Culvert in both roles; then with a login after it (IKE-55)."""
    vpn = Vpn(lab, 1)
    pki = Pki(lab)
    pki.issue("gw1", "RSA", "DNS:gw1.lab", 11)
    pki.issue("peer", "RSA", "DNS:peer.lab", 12)
    config = _rsa_config(vpn, pki)
    profile = config["culvert-ike:ike"]["profile"][0]
    capture = vpn.site.capture()
    for role in ("initiator", "responder", "responder with a login"):
        lab.say(f"Culvert is {role}")
        vpn.down()
        profile["aggressive-mode"] = {"initiate": role == "initiator", "allow-signature": True}
        extra = {}
        if "login" in role:
            config["culvert-ike:ike"]["user"] = [{"name": "alice", "password": "correct horse"}]
            profile["xauth"] = {"role": "server"}
            extra = {"secrets": _LOGIN}
        vpn.culvert.commit(config)
        swan_certificates(vpn, pki, connection={
            "aggressive": "yes", **({"local-xauth": {"auth": "xauth", "xauth_id": "alice"}} if extra else {})}, **extra)
        vpn.up(role.split()[0]).require_traffic((56,))
        shown = vpn.culvert.cli("show", "crypto", "isakmp", "sa", "--json").stdout
        for words in ('"auth": "rsa-sig"', '"mode": "aggressive"', "O=Lab, CN=peer", *(['"xauth_user": "alice"'] if extra else [])):
            require(words in shown, f"{words} is not in {shown}")
    capture.stop()
    require(capture.count("isakmp.exchangetype == 2") == 0, "main mode after all")


def rsa_keys(lab):
    """IKE-38, IKE-44, IKE-45: signatures without certificates: each end has the other's RSA key, entered by hand by address and by
    name; ours is made by the router; both roles; then Culvert has another key for the peer, and wipes its own."""
    vpn = Vpn(lab, 1)
    pki = Pki(lab)
    for name in ("peer", "other"):
        pki.key(name, "RSA")
        pki.public(name)
    made = vpn.culvert.cli("crypto", "key", "generate", "rsa", "label", "gw", "modulus", "2048", timeout=60).stdout
    file = next(line.strip() for line in made.splitlines() if line.strip().startswith("/"))
    vpn.culvert.cli("config", "commit", timeout=40)
    key = next(k["key_data"] for k in vpn.culvert.show("crypto", "key", "mypubkey", "rsa")["keys"] if k["name"] == "gw")
    pki.path("gw1.der").write_bytes(bytes.fromhex(key))
    lab.command("openssl", "pkey", "-pubin", "-inform", "DER", "-in", pki.path("gw1.der"), "-out", pki.path("gw1.pub"))

    def commit(key="peer", fqdn=None):
        config = vpn.config(ike={"encryption": "aes256-cbc", "hash": "sha256", "authentication": "rsa-sig", "group": "group19"})
        config["culvert-pki:pki"] = {"rsa-key-pair": [{"name": "gw", "general-key": file}]}
        profile = config["culvert-ike:ike"]["profile"][0]
        config["culvert-ike:ike"]["keyring"] = [{"name": "lab", "rsa-public-key": [
            {"name": "peer", "address": vpn.peer_address, "key-string": pki.public(key), **({"hostname": fqdn} if fqdn else {})}]}]
        if fqdn:
            profile["match-identity"] = [{"name": "peer", "type": "fqdn", "value": fqdn}]
            profile["local-identity"] = {"type": "fqdn", "value": "gw1.lab"}
        vpn.culvert.commit(config)

    for kind, name in (("private", "peer.key"), ("pubkey", "peer.pub"), ("pubkey", "gw1.pub")):
        (vpn.peer.work / kind).mkdir(exist_ok=True)
        (vpn.peer.work / kind / name).write_bytes(pki.path(name).read_bytes())
    end = {"auth": "pubkey"}
    extra = {"local": {**end, "pubkeys": "peer.pub"}, "remote": {**end, "pubkeys": "gw1.pub"}}
    for role, fqdn in (("initiator", None), ("responder", "peer.lab")):
        lab.say(f"Culvert is {role}")
        vpn.down()
        commit(fqdn=fqdn)
        vpn.reload_peer(extra=extra, **({"local_id": fqdn, "remote_id": "gw1.lab"} if fqdn else {}))
        vpn.up(role).require_traffic((56,))
        shown = vpn.culvert.cli("show", "crypto", "isakmp", "sa", "--json").stdout
        require('"auth": "rsa-sig"' in shown and "peer_subject" not in shown, shown)
    vpn.down()
    commit(key="other", fqdn="peer.lab")
    vpn.daemon.initiate(8, check=False)
    wait_until(lambda: "the peer's signature is wrong" in lab.log_text("culvertd.log"), 10, "culvertd to refuse the signature")
    require(vpn.daemon.child_count() == 0, vpn.daemon.sas())
    refused = vpn.culvert.cli("crypto", "key", "zeroize", "rsa", "gw", check=False)
    require(refused.returncode and "uses" in refused.stderr and Path(file).exists(), refused)
    vpn.culvert.commit(vpn.config())
    vpn.culvert.cli("crypto", "key", "zeroize", "rsa", "gw")
    require(not Path(file).exists(), "the key is still there")


def certificates(lab):
    """IKE-37, CERTMAP-T2: main mode with RSA signatures, Culvert in both roles; a login after them; then Culvert believes another CA."""
    vpn = Vpn(lab, 1)
    pki = Pki(lab)
    pki.issue("gw1", "RSA", "DNS:gw1.lab", 11)
    pki.issue("peer", "RSA", "DNS:peer.lab", 12)
    config = _rsa_config(vpn, pki)
    for role in ("initiator", "responder"):
        lab.say(f"Culvert is {role}")
        vpn.down()
        vpn.culvert.commit(config)
        swan_certificates(vpn, pki)
        vpn.up(role).require_traffic((56,))
        shown = vpn.culvert.cli("show", "crypto", "isakmp", "sa", "--json").stdout
        require('"auth": "rsa-sig"' in shown and "O=Lab, CN=peer" in shown, shown)
    shown = vpn.culvert.cli("show", "crypto", "ca", "certificates").stdout  # CERTMAP-T2: ours has serial number 11
    require(all(words in shown for words in ("Status: Available", "Certificate Serial Number: 0B", "O=Lab, CN=gw1", "CA Certificate",
                                             "CN=Lab Root", "Associated Trustpoints: lab")), shown)
    lab.say("the peer has to log in as well")
    vpn.down()
    config["culvert-ike:ike"]["user"] = [{"name": "alice", "password": "correct horse"}]
    config["culvert-ike:ike"]["profile"][0]["xauth"] = {"role": "server"}
    vpn.culvert.commit(config)
    swan_certificates(vpn, pki, connection={"local-xauth": {"auth": "xauth", "xauth_id": "alice"}}, secrets=_LOGIN)
    vpn.up("responder").require_traffic((56,))
    shown = vpn.culvert.cli("show", "crypto", "isakmp", "sa", "--json").stdout
    require('"auth": "rsa-sig"' in shown and '"xauth_user": "alice"' in shown, shown)
    del config["culvert-ike:ike"]["profile"][0]["xauth"]
    swan_certificates(vpn, pki)
    vpn.down()
    pki.root("other", "Other Root")
    config["culvert-pki:pki"]["trust-point"][0]["ca-certificate"] = [str(pki.path("other.pem"))]
    vpn.culvert.commit(config)
    vpn.daemon.initiate(8, check=False)
    wait_until(lambda: "leads to no trusted CA" in lab.log_text("culvertd.log") or
               "has sent no certificate" in lab.log_text("culvertd.log"), 10, "culvertd to refuse the certificate")
    require(vpn.daemon.child_count() == 0, vpn.daemon.sas())
