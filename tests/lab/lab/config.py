# SPDX-License-Identifier: BSD-3-Clause
"""Configurations of Culvert for the lab's topology, as plain dictionaries in the shape of the YANG modules."""
from .topology import GW_LAN, GW_WAN, LAN, NEXT_HOP, PEER_LAN, PLEN, REMOTE

PSK = "a secret that only the lab knows"

# Culvert's names of the ESP transforms, and strongSwan's.
ESP = {
    "aes128-gcm16": "aes128gcm16", "aes192-gcm16": "aes192gcm16", "aes256-gcm16": "aes256gcm16",
    "aes128-cbc-sha256-128": "aes128-sha256", "aes192-cbc-sha256-128": "aes192-sha256",
    "aes256-cbc-sha256-128": "aes256-sha256",
    "aes128-cbc-sha1-96": "aes128-sha1", "aes192-cbc-sha1-96": "aes192-sha1", "aes256-cbc-sha1-96": "aes256-sha1",
}


def _addresses(table):
    return {f"ietf-ip:ipv{family}": {"address": [{"ip": table[family], "prefix-length": PLEN[family]}]}
            for family in (4, 6)}


def _static(family, prefix, via):
    return {f"ietf-ipv{family}-unicast-routing:ipv{family}": {
        "route": [{"destination-prefix": prefix, "next-hop": {"next-hop-address": via}}]}}


def base():
    """Two interfaces and default routes; nothing is encrypted."""
    return {
        "culvert-platform:platform": {"hostname": "gw1", "poll-mode": "adaptive"},
        "ietf-interfaces:interfaces": {"interface": [
            {"name": "lan", "type": "iana-if-type:ethernetCsmacd",
             "culvert-platform:device": "net_af_packet0,iface=cv-lan", **_addresses(GW_LAN)},
            {"name": "wan", "type": "iana-if-type:ethernetCsmacd",
             "culvert-platform:device": "net_af_packet1,iface=cv-wan", **_addresses(GW_WAN)},
        ]},
        "ietf-routing:routing": {"control-plane-protocols": {"control-plane-protocol": [
            {"type": "ietf-routing:static", "name": "global", "static-routes": {
                **_static(4, "0.0.0.0/0", NEXT_HOP[4]), **_static(6, "::/0", NEXT_HOP[6])}}]}},
    }


def static_routes(routes):
    """Routing with these IPv4 routes, {prefix: next-hop}."""
    return {"control-plane-protocols": {"control-plane-protocol": [
        {"type": "ietf-routing:static", "name": "global", "static-routes": {"ietf-ipv4-unicast-routing:ipv4": {
            "route": [{"destination-prefix": prefix, "next-hop": hop} for prefix, hop in routes.items()]}}}]}}


def interface(config, name):
    return next(i for i in config["ietf-interfaces:interfaces"]["interface"] if i["name"] == name)


def vpn(peer, version=2, esp="aes128-gcm16", inner=(4,), psk=PSK, pfs=None, identity=None, local_id=None,
        auto_start=False, lifetime=None, profile=None, ike=None, entry=None, transforms=None):
    """One crypto map entry to one peer. peer: its address as Culvert sees it. identity: what it calls itself, if not by
    that address, as {"type", "value"}. ike: proposal (IKEv2) or policy (IKEv1) fields; lifetime: {"seconds", "kilobytes"};
    profile, entry: fields to add or replace; transforms: the manuals' list instead of esp."""
    config = base()
    if "sha1" in esp:
        config["culvert-platform:platform"]["allow-legacy"] = True
    interface(config, "wan")["culvert-ipsec:crypto-map"] = "vpn"
    config["culvert-acl:access-lists"] = {"access-list": [{"name": "protected", "line": [
        {"sequence": 10 * (n + 1), "action": "permit", "source": LAN[family], "destination": REMOTE[family]}
        for n, family in enumerate(inner)]}]}
    ike_tree = {
        "keyring": [{"name": "lab", "pre-shared-key": [{"name": "peer", "address": peer, "key": psk}]}],
        "profile": [{"name": "lab", "version": f"ikev{version}", "keyring": ["lab"],
                     "match-identity": [{"name": "peer", **(identity or {"type": "address", "value": peer})}],
                     **({"local-identity": local_id} if local_id else {}), **(profile or {})}],
    }
    if version == 2:
        ike_tree["proposal"] = [{"name": "lab", **(ike or {"encryption": ["aes256-cbc"], "integrity": ["sha256"],
                                                            "prf": ["sha256"], "group": ["group19"]})}]
        ike_tree["profile"][0]["proposal"] = ["lab"]
    else:
        ike_tree["policy"] = [{"priority": 10, **(ike or {"encryption": "aes256-cbc", "hash": "sha256",
                                                           "authentication": "pre-share", "group": "group19"})}]
    config["culvert-ike:ike"] = ike_tree
    config["culvert-ipsec:ipsec"] = {
        "transform-set": [{"name": "lab", **({"transform": transforms} if transforms else {"algorithm": esp})}],
        "crypto-map": [{"name": "vpn", "entry": [{
            "sequence": 10, "access-list": "protected", "peer": [peer], "transform-set": ["lab"], "ike-profile": "lab",
            **({"pfs": pfs} if pfs else {}), **({"auto-start": True} if auto_start else {}),
            **({"lifetime": lifetime} if lifetime else {}), **(entry or {})}]}],
    }
    return config


def mirror(config):
    """The same for the other end of the tunnel: every address and network changes places with its opposite."""
    swap = {}
    for here, there in ((GW_LAN, PEER_LAN), (GW_WAN, NEXT_HOP), (LAN, REMOTE)):
        for family in (4, 6):
            swap.update({here[family]: there[family], there[family]: here[family]})

    def walk(node):
        if isinstance(node, dict):
            return {key: walk(value) for key, value in node.items()}
        if isinstance(node, list):
            return [walk(value) for value in node]
        return swap.get(node, node) if isinstance(node, str) else node
    return walk(config)
