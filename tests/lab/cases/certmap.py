# SPDX-License-Identifier: BSD-3-Clause
"""Certificate maps and crypto identities (CERTMAP-*, DN-*) with strongSwan's certificates."""
from lab.core import require, wait_until
from lab.pki import Pki, swan_certificates, with_certificates
from lab.vpn import Vpn


def _entry(sequence, field, operator, value):
    return {"sequence": sequence, "criterion": [{"field": field, "operator": operator, "value": value}]}


def _config(vpn, pki, crl=False, identity=None):
    """The profile takes nobody by identity, only by certificate: OU blue, or OU green from this CA."""
    config = with_certificates(vpn, pki, crl)
    rules = config["culvert-pki:pki"]
    rules["certificate-map"] = [{"name": "cert_map", "entry": [
        _entry(10, "subject-name", "co", "ou = blue"),
        {"sequence": 20, "criterion": [{"field": "subject-name", "operator": "co", "value": "OU=green"},
                                       {"field": "issuer-name", "operator": "co", "value": "cn = lab root"}]}]}]
    rules["identity"] = [{"name": "to-bigbiz", "dn": ["ou=BigBiz"]},
                         {"name": "to-little-com", "dn": ["ou=none"], "fqdn": ["peer.lab"]}]
    profile = config["culvert-ike:ike"]["profile"][0]
    del profile["match-identity"]
    profile["match-certificate"] = ["cert_map"]
    profile["client-group"] = "new_group"
    if vpn.version == 1:
        del profile["authentication"]
        for policy in config["culvert-ike:ike"]["policy"]:
            policy["authentication"] = "rsa-sig"
    if identity:
        config["culvert-ipsec:ipsec"]["crypto-map"][0]["entry"][0]["identity"] = identity
    return config


def _stat(vpn, name):
    return vpn.culvert.show("crypto", "ike", "stats")["stats"][name]


def _sas(vpn):
    return vpn.culvert.cli("show", "crypto", "isakmp" if vpn.version == 1 else "ikev2", "sa", "--json").stdout


def _maps(lab, version):
    vpn = Vpn(lab, version)
    pki = Pki(lab)
    log = lambda: lab.log_text("culvertd.log")
    pki.issue("gw1", "RSA", "DNS:gw1.lab", 11)
    pki.issue("peer", "RSA", "DNS:peer.lab", 12, "green")
    vpn.down()
    vpn.culvert.commit(_config(vpn, pki, identity="to-little-com"))
    swan_certificates(vpn, pki)
    vpn.up("responder").require_traffic((56,))
    shown = _sas(vpn)
    require('"certificate_map": "cert_map 20"' in shown and '"peer_group": "new_group"' in shown, shown)
    require("OU=green" in shown, shown)
    text = vpn.culvert.cli("show", "crypto", "identity").stdout
    require("to-bigbiz" in text and "dn ou=bigbiz" in text and "fqdn peer.lab" in text, text)
    require("cert_map" in vpn.culvert.cli("show", "crypto", "isakmp", "profile").stdout, "no map in the profile")

    lab.say("the entry is for another unit: IKE comes up, the child does not (DN-8)")
    vpn.down()
    vpn.culvert.commit(_config(vpn, pki, identity="to-bigbiz"))
    vpn.daemon.initiate(8, check=False)
    wait_until(lambda: "%CRYPTO-4-IKE_QUICKMODE_BAD_CERT" in log(), 15, "the refusal in the log")
    require(vpn.daemon.child_count() == 0, vpn.daemon.sas())
    require(_stat(vpn, "identity_refused") >= 1, "not counted")

    lab.say("no map fits: refused and counted")
    vpn.down()
    vpn.culvert.commit(_config(vpn, pki))
    pki.issue("peer", "RSA", "DNS:peer.lab", 13, "red")
    swan_certificates(vpn, pki)
    before = _stat(vpn, "auth_failed")
    vpn.daemon.initiate(8, check=False)
    wait_until(lambda: _stat(vpn, "certmap_no_match") >= 1 and _stat(vpn, "auth_failed") > before, 15, "the refusal")
    require(vpn.daemon.child_count() == 0, vpn.daemon.sas())

    lab.say("the map fits, the certificate is revoked")
    vpn.down()
    pki.issue("peer", "RSA", "DNS:peer.lab", 14, "blue")
    swan_certificates(vpn, pki)
    pki.crl()
    vpn.culvert.commit(_config(vpn, pki, crl=True))
    vpn.up("responder").require_traffic((56,))
    require('"certificate_map": "cert_map 10"' in _sas(vpn), _sas(vpn))
    vpn.down()
    pki.crl(14)
    vpn.daemon.initiate(8, check=False)
    wait_until(lambda: "revoked" in log(), 15, "culvertd to refuse the revoked certificate")
    require(vpn.daemon.child_count() == 0, vpn.daemon.sas())


def strongswan_v2(lab):
    """CERTMAP-T1, CERTMAP-T3, DN-T1, DN-T2, DN-T4 with IKEv2."""
    _maps(lab, 2)


def strongswan_v1(lab):
    """The same with main mode (CERTMAP-12)."""
    _maps(lab, 1)
