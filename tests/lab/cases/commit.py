# SPDX-License-Identifier: BSD-3-Clause
"""A commit applies whole or not at all, and touches only what changed (promise 4)."""
import copy
import json

from lab import config as cfg
from lab.core import SOURCE, require
from lab.gateway import Culvert
from lab.ikedaemons import Conn, StrongSwan
from lab.topology import GW_WAN, NEXT_HOP, Site
from lab.vpn import Vpn

# What moves by itself, and says nothing about a commit.
_MOVING = ("packet", "pkt", "byte", "octet", "age", "uptime", "remain", "rate", "last", "time", "seq", "count", "drop",
           "error", "cycles", "per_second", "load", "poll", "idle", "expire", "life", "hold", "neigh", "established", "heard", "messages")


def _stable(node):
    if isinstance(node, dict):
        return {k: _stable(v) for k, v in node.items() if not any(word in k.lower() for word in _MOVING)}
    if isinstance(node, list):
        return [_stable(v) for v in node]
    return node


def _state(culvert):
    """Everything a commit could have touched, as the operator sees it and as the dataplane reports it."""
    state = {words: _stable(culvert.show(*words.split())) for words in (
        "interfaces", "ip route", "crypto map", "access-lists", "crypto session", "crypto ipsec sa")}
    state["running"] = culvert.running()
    return state


def _differs(before, after):
    return "\n".join(f"{key}:\n  before {json.dumps(before[key])[:2000]}\n  after  {json.dumps(after[key])[:2000]}"
                     for key in before if before[key] != after[key])


def _bigger(config):
    """A change that touches every kind of object: VRF, VLAN, loopback, MTU, address, route, ACL, map entry, workers."""
    new = copy.deepcopy(config)
    new["culvert-vrf:vrfs"] = {"vrf": [{"name": "blue"}]}
    interfaces = new["ietf-interfaces:interfaces"]["interface"]
    interfaces += [
        {"name": "lan.30", "type": "iana-if-type:l2vlan", "culvert-platform:parent": "lan",
         "culvert-platform:vlan-id": 30, "culvert-vrf:vrf": "blue",
         "ietf-ip:ipv4": {"address": [{"ip": "10.30.0.1", "prefix-length": 24}]}},
        {"name": "loopback1", "type": "iana-if-type:softwareLoopback",
         "ietf-ip:ipv4": {"address": [{"ip": "198.51.100.7", "prefix-length": 32}]}}]
    cfg.interface(new, "lan")["ietf-ip:ipv4"]["address"].append({"ip": "10.1.77.1", "prefix-length": 24})
    protocols = new["ietf-routing:routing"]["control-plane-protocols"]["control-plane-protocol"]
    routes = protocols[0]["static-routes"]["ietf-ipv4-unicast-routing:ipv4"]["route"]
    routes.append({"destination-prefix": "172.16.0.0/12", "next-hop": {"next-hop-address": NEXT_HOP[4]}})
    lists = new["culvert-acl:access-lists"]["access-list"]
    lists.append({"name": "more", "line": [
        {"sequence": 10, "action": "permit", "source": "10.1.77.0/24", "destination": "10.77.0.0/16"},
        {"sequence": 20, "action": "permit", "source": "10.1.77.0/24", "destination": "10.78.0.0/16"}]})
    new["culvert-ipsec:ipsec"]["crypto-map"][0]["entry"].append({
        "sequence": 20, "access-list": "more", "peer": ["192.0.2.99"], "transform-set": ["lab"], "ike-profile": "lab"})
    return new


def failure_at_each_step(lab):
    """The dataplane refuses the first, the second, ... command of a commit: state before equals state after, traffic
    goes on, and when nothing is refused any more the same commit succeeds."""
    vpn = Vpn(lab, 2, test_faults=True).up()
    old = vpn.config()
    new = _bigger(old)
    before = _state(vpn.culvert)
    children = vpn.daemon.child_ids()
    failures = 0
    with vpn.site.stream(interval=0.01) as stream:
        for nth in range(1, 200):
            vpn.culvert.fail_at(nth)
            done = vpn.culvert.commit(new, check=False)
            if done.returncode == 0:
                break
            failures += 1
            require(done.stderr.strip(), f"step {nth}: the commit failed without a word")
            after = _state(vpn.culvert)
            require(before == after, f"step {nth} left something behind:\n{_differs(before, after)}")
    lab.say(f"{failures} steps failed one after the other, then the commit went through")
    vpn.culvert.fail_at(0)
    require(failures >= 10, f"only {failures} steps could be made to fail")
    require(stream.lost == 0, stream.result.text)
    require(_state(vpn.culvert) != before, "the commit that succeeded changed nothing")
    # And back again, failing at each step of the removal.
    before = _state(vpn.culvert)
    for nth in range(1, 200):
        vpn.culvert.fail_at(nth)
        if vpn.culvert.commit(old, check=False).returncode == 0:
            break
        after = _state(vpn.culvert)
        require(before == after, f"removal, step {nth} left something behind:\n{_differs(before, after)}")
    require(vpn.daemon.child_ids() == children, "the established child did not survive the commits")
    vpn.require_traffic((56,))


def touches_only_what_changed(lab):
    """Commits beside an established tunnel: its SAs stay, not one packet is lost."""
    vpn = Vpn(lab, 2).up()
    children, ikes = vpn.daemon.child_ids(), vpn.daemon.ike_ids()
    old = vpn.config()
    with vpn.site.stream(interval=0.005) as stream:
        for config in (_bigger(old), old, _bigger(old), old):
            vpn.culvert.commit(config)
            vpn.site.ping(count=3, interval=0.1)
    require(stream.lost == 0, stream.result.text)
    require(vpn.daemon.child_ids() == children and vpn.daemon.ike_ids() == ikes, vpn.daemon.sas())


def rollback_and_confirm(lab):
    """rollback 1 brings back what was; a confirmed commit that nobody confirms goes away by itself."""
    vpn = Vpn(lab, 2).up()
    before = _state(vpn.culvert)
    vpn.culvert.commit(_bigger(vpn.config()))
    require(_state(vpn.culvert) != before, "the commit changed nothing")
    vpn.culvert.cli("config", "rollback", "1")
    after = _state(vpn.culvert)
    require(after == before, _differs(before, after))
    vpn.site.ping(count=3)


def _malformed():
    """[(name, configuration text, words that the error must contain)]"""
    good = cfg.vpn(NEXT_HOP[4])

    def changed(change):
        config = copy.deepcopy(good)
        change(config)
        return json.dumps(config)

    def entry(config):
        return config["culvert-ipsec:ipsec"]["crypto-map"][0]["entry"][0]

    def route(config):
        return config["ietf-routing:routing"]["control-plane-protocols"]["control-plane-protocol"][0][
            "static-routes"]["ietf-ipv4-unicast-routing:ipv4"]["route"][0]

    return [
        ("not JSON", "{ this is not JSON", []),
        ("empty", "", []),
        ("unknown node", changed(lambda c: c["culvert-ipsec:ipsec"].update({"no-such-node": 1})), ["no-such-node"]),
        ("unknown module", changed(lambda c: c.update({"no-such-module:x": {}})), ["no-such-module"]),
        ("bad prefix", changed(lambda c: route(c).update({"destination-prefix": "10.0.0.0/33"})), ["10.0.0.0/33"]),
        ("bad address", changed(lambda c: entry(c).update({"peer": ["192.0.2.256"]})), ["peer"]),
        ("dangling access list", changed(lambda c: entry(c).update({"access-list": "nowhere"})), ["access-list"]),
        ("dangling transform set", changed(lambda c: entry(c).update({"transform-set": ["nowhere"]})),
         ["transform-set"]),
        ("dangling profile", changed(lambda c: entry(c).update({"ike-profile": "nowhere"})), ["ike-profile"]),
        ("duplicate entry", changed(lambda c: c["culvert-ipsec:ipsec"]["crypto-map"][0]["entry"].append(
            copy.deepcopy(entry(c)))), ["entry"]),
        ("duplicate interface", changed(lambda c: c["ietf-interfaces:interfaces"]["interface"].append(
            copy.deepcopy(cfg.interface(c, "lan")))), ["interface"]),
        ("out of range", changed(lambda c: entry(c).update({"lifetime": {"seconds": 5}})), ["seconds"]),
        ("unknown algorithm", changed(lambda c: c["culvert-ipsec:ipsec"]["transform-set"][0].update(
            {"algorithm": "rot13"})), ["algorithm"]),
        ("legacy without leave", changed(lambda c: c["culvert-ipsec:ipsec"]["transform-set"][0].update(
            {"algorithm": "aes128-cbc-sha1-96"})), ["allow-legacy"]),
        ("device that does not exist", changed(lambda c: c["ietf-interfaces:interfaces"]["interface"].append(
            {"name": "third", "type": "iana-if-type:ethernetCsmacd",
             "culvert-platform:device": "net_af_packet7,iface=nosuchdev"})), []),
    ]


def malformed(lab):
    """Each kind of mistake: exit code 1, the path in the error, the running state untouched, traffic going on."""
    vpn = Vpn(lab, 2).up()
    before = _state(vpn.culvert)
    with vpn.site.stream(interval=0.01) as stream:
        for name, text, words in _malformed():
            done = vpn.culvert.commit(text, check=False)
            error = (done.stderr + done.stdout).strip()
            lab.say(f"{name}: {error.splitlines()[0] if error else '(nothing said)'}")
            require(done.returncode == 1, f"{name}: exit {done.returncode}, expected 1\n{error}")
            for word in words:
                require(word in error, f"{name}: the error does not name {word!r}: {error}")
            require(not words or "/" in error, f"{name}: the error does not name a path: {error}")
            require(cfg.PSK not in error, f"{name}: the error prints a secret")
            after = _state(vpn.culvert)
            require(before == after, f"{name}: the running state changed\n{_differs(before, after)}")
    require(stream.lost == 0, stream.result.text)


def device_replaced_by_a_bad_one(lab):
    """A port in use is to become a device that does not exist: the commit fails, the error names the interface, and not one
    packet is lost, since the new device is opened before the old one is closed."""
    vpn = Vpn(lab, 2).up()
    before = _state(vpn.culvert)
    config = vpn.config()
    cfg.interface(config, "wan")["culvert-platform:device"] = "net_af_packet7,iface=nosuchdev"
    with vpn.site.stream(interval=0.01) as stream:
        done = vpn.culvert.commit(config, check=False)
        vpn.site.ping(count=3)
    require(done.returncode == 1, f"exit {done.returncode}, expected 1\n{done.stdout}{done.stderr}")
    require("/ietf-interfaces:interfaces/interface[name='wan']" in done.stderr + done.stdout,
            f"the error does not name the interface:\n{done.stdout}{done.stderr}")
    require(stream.lost == 0, stream.result.text)
    after = _state(vpn.culvert)
    require(before == after, f"the running state changed\n{_differs(before, after)}")


def malformed_startup(lab):
    """A damaged startup configuration: culvertd says what is wrong and ends with 1 rather than run something else; what the
    dataplane does for established tunnels goes on, and with the file put right everything is as before."""
    vpn = Vpn(lab, 2).up()
    children = vpn.daemon.child_ids()
    good = vpn.config()
    bad = copy.deepcopy(good)
    bad["culvert-ipsec:ipsec"]["no-such-node"] = 1
    with vpn.site.stream(interval=0.01) as stream:
        vpn.culvert.kill_control()
        vpn.culvert.write_startup(bad)
        process = vpn.culvert.spawn_control()
        require(process.wait(10) == 1, f"culvertd ended with {process.returncode}, expected 1")
        require("no-such-node" in lab.log_text("culvertd.log"), "culvertd's log does not name what is wrong")
        vpn.culvert.write_startup(good)
        vpn.culvert.start_control()
        vpn.site.ping(count=3)
    require(stream.lost == 0, stream.result.text)
    require(vpn.daemon.child_ids() == children, "the child did not survive")


def secrets_never_print(lab):
    """Neither show nor log nor error prints a key; the configuration can still be loaded back from its file."""
    vpn = Vpn(lab, 2).up()
    for words in (("config", "show", "running"), ("show", "running-config"), ("show", "crypto", "session", "detail"),
                  ("show", "crypto", "ikev2", "sa"), ("show", "crypto", "map")):
        text = vpn.culvert.cli(*words).stdout
        require(cfg.PSK not in text, f"{' '.join(words)} prints the preshared key")
    for log in ("culvertd.log", "dataplane.log"):
        require(cfg.PSK not in lab.log_text(log), f"{log} has the preshared key")


def example(lab):
    """docs/examples/gateway.json, the configuration that the operator guide explains, runs as written."""
    text = (SOURCE / "docs/examples/gateway.json").read_text()
    psk = json.loads(text)["culvert-ike:ike"]["keyring"][0]["pre-shared-key"][0]["key"]
    site = Site(lab)
    peer = site.boot_peer()
    StrongSwan(peer, Conn(local=NEXT_HOP[4], remote=GW_WAN[4], local_ts=["10.2.0.0/24"], remote_ts=["10.1.0.0/24"],
                          psk=psk, ike="aes256gcm16-prfsha256-ecp256", pfs="ecp256")).start()
    Culvert(lab).start(text)
    capture = site.capture()
    site.ping_until_works()
    site.ping(count=10, interval=0.05)
    capture.stop().require_only_esp(20)
