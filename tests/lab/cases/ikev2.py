# SPDX-License-Identifier: BSD-3-Clause
"""IKEv2 beyond the plain case, against strongSwan (issue IKE, RFC 7296 and its extensions)."""
from lab.core import require
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
