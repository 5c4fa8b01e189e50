# SPDX-License-Identifier: BSD-3-Clause
"""IKEv2 beyond the plain case, against strongSwan (issue IKE, RFC 7296 and its extensions)."""
from lab.core import require, wait_until
from lab.ikedaemons import Libreswan
from lab.pki import Pki, swan_certificates, with_certificates
from lab.vpn import Vpn


def _suite(encryption, prf, group, integrity=None):
    suite = {"encryption": [encryption], "prf": [prf], "group": [group]}
    return {**suite, "integrity": [integrity]} if integrity else suite


# Culvert's proposal, strongSwan's words for it, Culvert's role: each cipher, PRF and group of RFC 8247 and around it once.
_SUITES = (
    (_suite("chacha20-poly1305", "sha256", "group31"), "chacha20poly1305-prfsha256-curve25519", "initiator"),
    (_suite("aes256-gcm8", "aes-cmac", "group32"), "aes256gcm8-prfaescmac-curve448", "responder"),
    (_suite("aes128-gcm12", "aes-xcbc", "group14"), "aes128gcm12-prfaesxcbc-modp2048", "initiator"),
    (_suite("aes256-gcm16", "sha384", "group20"), "aes256gcm16-prfsha384-ecp384", "responder"),
    (_suite("aes192-ctr", "sha512", "group21", "sha512"), "aes192ctr-sha512-prfsha512-ecp521", "initiator"),
    (_suite("aes128-cbc", "sha256", "group15", "aes-xcbc"), "aes128-aesxcbc-prfsha256-modp3072", "responder"),
    (_suite("aes256-cbc", "sha256", "group16", "aes-cmac"), "aes256-aescmac-prfsha256-modp4096", "initiator"),
    (_suite("aes256-cbc", "sha256", "group17", "sha384"), "aes256-sha384-prfsha256-modp6144", "responder"),
    (_suite("aes256-cbc", "sha256", "group18", "sha256"), "aes256-sha256-modp8192", "initiator"),
    (_suite("3des", "sha1", "group2", "sha1"), "3des-sha1-modp1024", "responder"),
)


def suites(lab):
    """IKE-18, IKE-19, IKE-21 for IKEv2: one tunnel after the other with each algorithm; legacy ones behind allow-legacy."""
    vpn = Vpn(lab, 2)
    for ours, theirs, role in _SUITES:
        lab.say(f"{theirs}, Culvert is {role}")
        vpn.down()
        config = vpn.config(ike=ours)
        if "3des" in ours["encryption"]:
            output = vpn.culvert.commit(config, check=False)
            require("allow-legacy" in str(output), f"3des was taken without allow-legacy: {output}")
            config["culvert-platform:platform"]["allow-legacy"] = True
        vpn.culvert.commit(config)
        vpn.reload_peer(ike=theirs)
        vpn.up(role).require_traffic((56,))
        sa = vpn.culvert.show("crypto", "ikev2", "sa")
        require(ours["encryption"][0] in str(sa), f"not {ours['encryption']}: {sa}")


def reauthentication(lab):
    """RFC 4478: Culvert says for how long an authentication is good, and strongSwan authenticates again in time."""
    vpn = Vpn(lab, 2, conn={"extra": {"connection": {"rand_time": "0s", "over_time": "25s"}}})
    config = vpn.config()
    config["culvert-ike:ike"]["profile"][0]["authentication-lifetime"] = 30
    vpn.culvert.commit(config)
    vpn.up("responder").require_traffic((56,))
    before = vpn.culvert.show("crypto", "ikev2", "sa")["sas"][0]
    require(before["authentication_remaining"] <= 30, before)

    def another():
        sas = vpn.culvert.show("crypto", "ikev2", "sa")["sas"]
        return len(sas) == 1 and sas[0]["spi_i"] != before["spi_i"] and sas[0]["children"]
    wait_until(another, 60, "strongSwan has not authenticated again")
    require("received AUTH_LIFETIME of 30s" in vpn.daemon.log(), "strongSwan was not told")
    vpn.require_traffic((56,))


def certificates(lab):
    """PKI and RFC 7427: each kind of key, Culvert in both roles, in fragments (RFC 7383); then a revoked peer."""
    vpn = Vpn(lab, 2)
    pki = Pki(lab)
    for kind, role in (("RSA", "initiator"), ("RSA", "responder"), ("EC", "initiator"), ("EC384", "responder"),
                       ("ED25519", "initiator")):
        lab.say(f"{kind}, Culvert is {role}")
        vpn.down()
        pki.issue("gw1", kind, "DNS:gw1.lab", 11)
        pki.issue("peer", kind, "DNS:peer.lab", 12)
        config = with_certificates(vpn, pki)
        config["culvert-ike:ike"]["profile"][0]["fragmentation"] = {"size": 576 if role == "initiator" else 1280}
        vpn.culvert.commit(config)
        swan_certificates(vpn, pki)
        vpn.up(role).require_traffic((56,))
        sa = vpn.culvert.show("crypto", "ikev2", "sa")
        require("O=Lab, CN=peer" in str(sa), f"the peer's certificate is not shown: {sa}")
    require(vpn.daemon.log().count("ED25519 successful") + vpn.daemon.log().count("EdDSA") > 0, "no EdDSA signature at the peer")
    # RFC 7383: strongSwan has put ours together
    require(vpn.daemon.log().count("received fragment #") >= 4, "the peer has seen no fragments of ours")
    lab.say(f"the peer has split its own {vpn.daemon.log().count('splitting IKE message')} times")
    lab.say("the peer is revoked: CRL required, read again without a commit")
    vpn.down()
    pki.crl()
    vpn.culvert.commit(with_certificates(vpn, pki, crl=True))
    vpn.up("responder").require_traffic((56,))
    vpn.down()
    pki.crl(12)
    vpn.daemon.initiate(10, check=False)
    wait_until(lambda: "revoked" in lab.log_text("culvertd.log"), 15, "culvertd to refuse the revoked certificate")
    require(vpn.daemon.child_count() == 0, vpn.daemon.sas())


def certificates_classic(lab):
    """A peer without RFC 7427: RSA with SHA-1 (method 1) and ECDSA by RFC 4754; it splits its messages into small fragments."""
    vpn = Vpn(lab, 2, conn={"extra": {"charon": {"signature_authentication": "no", "fragment_size": 600}}})
    pki = Pki(lab)
    for kind, role in (("RSA", "responder"), ("EC", "initiator"), ("EC384", "responder")):
        lab.say(f"{kind}, Culvert is {role}")
        vpn.down()
        pki.issue("gw1", kind, "DNS:gw1.lab", 11)
        pki.issue("peer", kind, "DNS:peer.lab", 12)
        vpn.culvert.commit(with_certificates(vpn, pki))
        swan_certificates(vpn, pki)
        vpn.up(role).require_traffic((56,))
    log = vpn.daemon.log()
    require("splitting IKE message" in log, "the peer has sent no fragments")
    for words in ("RSA signature", "ECDSA-256 signature", "ECDSA-384 signature"):
        require(f"with {words} successful" in log, f"no {words} of ours was judged by the peer")


_PPK, _WRONG = "5e884898da28047151d0e56f8dc62927", "73603d0d6aabbdd62a11ef721d1542d8"


def _ppk_culvert(vpn, mode, key=_PPK, name="lab-ppk"):
    config = vpn.config(profile={"ppk": {"mode": mode, "id": [name]}})
    config["culvert-ike:ike"]["ppk"] = [{"id": name, "key": key}]
    vpn.culvert.commit(config)


def _ppk_swan(vpn, required, only=True):
    """only: no other id is taken; as initiator strongSwan has to name one."""
    vpn.reload_peer(extra={"connection": {**({"ppk_id": "lab-ppk"} if only else {}),
                                          "ppk_required": "yes" if required else "no"},
                           "secrets": {"ppk-lab": {"id": "lab-ppk", "secret": f'"{_PPK}"'}}})


def _ppk_used(vpn):
    return any(sa["ppk"] for sa in vpn.culvert.show("crypto", "ikev2", "sa")["sas"])


def ppk(lab):
    """RFC 8784 with strongSwan: both roles, demanded and optional, an unknown and a wrong key."""
    vpn = Vpn(lab, 2)
    for mode, required, role in (("required", True, "initiator"), ("required", True, "responder"),
                                 ("optional", False, "initiator"), ("optional", True, "responder")):
        lab.say(f"Culvert {mode}, the peer {'demands it' if required else 'can do without'}, Culvert is {role}")
        vpn.down()
        _ppk_culvert(vpn, mode)
        _ppk_swan(vpn, required)
        vpn.up(role).require_traffic((56,))
        require(_ppk_used(vpn), vpn.culvert.show("crypto", "ikev2", "sa"))
    vpn.daemon.rekey_child()
    vpn.daemon.rekey_ike()
    wait_until(lambda: vpn.daemon.ike_count() == 1 and vpn.daemon.child_count() == 1, 10, "one pair after rekeying")
    vpn.require_traffic((56,))
    for role in ("initiator", "responder"):
        lab.say(f"each has a key that the other does not know, both can do without, Culvert is {role}")
        vpn.down()
        _ppk_culvert(vpn, "optional", name="another")
        _ppk_swan(vpn, False, only=role == "responder")
        vpn.up(role).require_traffic((56,))
        require(not _ppk_used(vpn), vpn.culvert.show("crypto", "ikev2", "sa"))
    for role in ("initiator", "responder"):
        lab.say(f"the same name, another key, Culvert is {role}")
        vpn.down()
        _ppk_culvert(vpn, "optional", key=_WRONG)
        _ppk_swan(vpn, False)
        before = lab.log_text("culvertd.log").count("authentication failed")
        if role == "initiator":
            require(vpn.site.ping(count=4, interval=0.5, check=False).received == 0, "a ping came back")
        else:
            vpn.daemon.initiate(10, check=False)
        wait_until(lambda: lab.log_text("culvertd.log").count("authentication failed") > before, 20, "the refusal")
        require(vpn.daemon.child_count() == 0, vpn.daemon.sas())


def intermediate_libreswan(lab):
    """RFC 9242 with libreswan, which does IKE_INTERMEDIATE without a key exchange in it: AUTH covers the messages at both ends.
    Culvert would rather have an additional key exchange, and takes the peer that has none."""
    vpn = Vpn(lab, 2, Libreswan, conn={"extra": {"libreswan": {"intermediate": "yes"}}})
    config = vpn.config()
    plain = config["culvert-ike:ike"]["proposal"][0]
    config["culvert-ike:ike"]["proposal"] = [{**plain, "name": "more", "additional-group": ["group20"]}, plain]
    config["culvert-ike:ike"]["profile"][0]["proposal"] = ["more", "lab"]
    vpn.culvert.commit(config)
    capture = vpn.site.capture()
    vpn.up("responder").require_traffic((56,))
    capture.stop()
    require(capture.count("isakmp.exchangetype == 43") == 2, "no IKE_INTERMEDIATE:\n" + capture.show("isakmp"))
