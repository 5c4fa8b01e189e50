# SPDX-License-Identifier: BSD-3-Clause
"""Culvert and a real peer with one tunnel between them, configured to agree unless a test says otherwise."""
from . import config as cfg
from .core import require, wait_until
from .gateway import Culvert
from .ikedaemons import Conn, StrongSwan
from .topology import GW_WAN, LAN, NEXT_HOP, REMOTE, Site


class Vpn:
    """A Site with Culvert and one peer. conn: overrides of the peer's Conn; culvert: overrides of config.vpn()."""

    def __init__(self, lab, version=2, daemon=StrongSwan, esp="aes128-gcm16", inner=(4,), outer=4, nat=None, conn=None,
                 culvert=None, test_faults=False):
        self.lab, self.version, self.inner, self.outer = lab, version, inner, outer
        self.site = site = Site(lab, nat)
        self.peer = site.boot_peer(daemon.layer)
        self.peer_address = site.peer_as_seen if outer == 4 else NEXT_HOP[6]
        own, ours = site.peer_outer[outer], (site.gw_as_seen if outer == 4 else GW_WAN[6])
        self.conn_args = {
            "local": own, "remote": ours, "version": version, "psk": cfg.PSK, "esp": cfg.ESP[esp],
            "local_ts": [REMOTE[family] for family in inner], "remote_ts": [LAN[family] for family in inner],
            # Behind a NAT an end still calls itself by the address it knows.
            "local_id": own, "remote_id": GW_WAN[outer], **(conn or {})}
        self.config_args = {
            "peer": self.peer_address, "version": version, "esp": esp, "inner": inner,
            **({"identity": {"type": "address", "value": own}} if nat == "peer" else {}), **(culvert or {})}
        self.daemon = daemon(self.peer, Conn(**self.conn_args)).start()
        self.culvert = Culvert(lab, test_faults=test_faults).start(cfg.vpn(**self.config_args))

    def config(self, **changes):
        return cfg.vpn(**{**self.config_args, **changes})

    def reload_peer(self, **changes):
        self.conn_args.update(changes)
        self.daemon.load(Conn(**self.conn_args))

    def up(self, role="initiator", timeout=25):
        """Negotiate; role is Culvert's. Returns when traffic of every inner family has crossed."""
        if role == "responder":
            self.daemon.initiate()
        source = "host-a" if role == "initiator" else "host-b"
        for family in self.inner:
            self.site.ping_until_works(family, source, timeout)
        return self

    def down(self):
        """Both ends forget everything, so that the next negotiation starts from nothing."""
        self.daemon.terminate()
        self.culvert.cli("clear", "crypto", "session", check=False)  # exit 3: nothing was there
        wait_until(lambda: self.daemon.ike_count() == 0, 10, "the peer to forget its IKE SAs")

    def require_traffic(self, sizes=(56, 1200, 1472, 3000), count=3):
        """Both directions, every inner family, small and fragmented packets."""
        before = self.peer.xfrm_errors()
        for family in self.inner:
            for size in sizes:
                if family == 6 and size > 1200:
                    self.site.teach_path_mtu(size)
                self.site.ping(family, count, "host-a", 0.05, size)
            self.site.ping(family, count, "host-b", 0.05)
        # What the kernel counted while there was no SA, or for packets of an older one, is not our matter here.
        errors = {name: count for name, count in self.peer.xfrm_errors().items() if count != before.get(name, 0)}
        require(not errors, f"the peer's kernel counted errors: {errors}, before: {before}")
