/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Interfaces: Ethernet, VLAN sub-interfaces, loopbacks and tunnels, their addresses, MTU, MAC, VRF and admin state.
 *
 * Workers see complete, immutable struct dp_if objects behind one published table (iface_view); a transaction replaces
 * the table with one pointer store and frees what it replaced after quiescence. A pointer got from it stays valid until
 * the reader's next quiescent point.
 */
#ifndef DATAPLANE_IFACE_H
#define DATAPLANE_IFACE_H

#include "dp.h"

#define IFACE_TUNNEL_BUCKETS 1024u
#define IFACE_ADDR_MAX 64u /* addresses of one interface */

struct dp_if {
	uint32_t id;
	uint32_t vrf_id;
	uint32_t port_id;
	uint16_t vlan_id;     /* 0 = untagged */
	uint16_t mtu;	      /* largest packet in bytes; of a family: iface_mtu() */
	uint16_t mtu4, mtu6;  /* of one family, 0 = mtu */
	uint16_t mss4, mss6;  /* mss.h; 0 = any */
	uint8_t type;	      /* enum cv_if_type */
	uint8_t urpf4, urpf6; /* CV_URPF_* (urpf.h) */
	bool up;	      /* admin up (its own and its parent's) and the port is there */
	uint8_t mac[6];	      /* source address of what it sends, destination of what it takes */
	bool link;	      /* up, and the port has link, or the tunnel is (tunnel.h): what routes through it need */
	uint8_t link_local[16]; /* fe80:: (RFC 4291 2.5.1), made of the MAC or the tunnel's source; zero without IPv6 */
	bool host;		/* has a device on the Linux host (host.h) */
	uint16_t acl_in[2], acl_out[2]; /* by family: IPv4, IPv6 (filter.h); 0 = none */
	uint8_t inspect;		/* CV_INSPECT_* (track.h) */
	uint8_t nat;			/* enum cv_nat_side */
	uint32_t addr4;			/* its first IPv4 address, network order; 0 = none */
	bool stages_only;	 /* no flow through it takes the fast path: a feature wants to see every packet */
	struct cv_tunnel tunnel; /* TUNNEL */
	/* below: main lcore only */
	struct cv_if cfg;
	uint32_t n_addr;
	struct cv_if_addr addr[IFACE_ADDR_MAX];
};

/* Per port: which interface takes untagged frames, and which each VLAN. 0 = none. */
struct iface_port_map {
	uint16_t untagged;
	uint16_t vlan[4096];
};

struct iface_view {
	const struct dp_if *by_id[CV_IF_MAX];
	const struct iface_port_map *port[CV_PORT_MAX];
	bool clamps;  /* some interface limits TCP's segments */
	bool filters; /* some interface has an access list */
	bool tracks;  /* some interface has connections remembered */
	/* GRE and IP-in-IP tunnels by what their outer packets show (tunnel.h): the first of each chain, and the next
	 * after each. 0 = end. */
	uint16_t tunnel_first[IFACE_TUNNEL_BUCKETS], tunnel_next[CV_IF_MAX];
};

extern const struct iface_view *iface_view_current;
extern const struct dp_module iface_module;

/* Worker or main: the interfaces as published. Load once per vector. */
static inline const struct iface_view *iface_view(void)
{
	return __atomic_load_n(&iface_view_current, __ATOMIC_ACQUIRE);
}

/* Worker or main: one interface, NULL when there is none of this id. */
static inline const struct dp_if *iface_get(uint32_t if_id)
{
	return if_id < CV_IF_MAX ? iface_view()->by_id[if_id] : NULL;
}

/* Main: the interface as it will be once the transaction in progress is applied, NULL when it will not exist. */
const struct dp_if *iface_staged(uint32_t if_id);

/* Main: an address of this family to send from on the interface, preferring one whose prefix holds `towards` (may be
 * NULL). False when it has none; IPv6 falls back to the link-local address. */
bool iface_source(const struct dp_if *ifp, uint8_t af, const struct cv_addr *towards, struct cv_addr *out);

/* Main: does this interface own the address (configured, or its link-local one)? */
bool iface_owns(const struct dp_if *ifp, const struct cv_addr *a);

/* Largest packet of a family, bytes. */
static inline uint16_t iface_mtu(const struct dp_if *ifp, uint8_t af)
{
	const uint16_t own = af == CV_AF_INET6 ? ifp->mtu6 : ifp->mtu4;

	return own && own < ifp->mtu ? own : ifp->mtu;
}

/* Has it a device: Ethernet and VLAN? */
static inline bool iface_has_port(const struct dp_if *ifp)
{
	return ifp->type == CV_IF_ETHERNET || ifp->type == CV_IF_VLAN;
}

/* Main: has a transaction staged changes that are neither published nor aborted yet? */
bool iface_txn_in_progress(void);

/* Main, any time: a port came, went, or its link or MAC changed. Noted; applied by iface_refresh(). */
void iface_port_changed(uint32_t port_id);
/* Main, any time: the same for what the line protocol of a tunnel follows (tunnel.h). */
void iface_tunnel_changed(void);
/* Main, from fwd_tick(): apply noted port changes, unless a transaction is in progress. */
void iface_refresh(void);

/* Main: fill a CV_DUMP_IF reply (struct cv_if_entry). */
void iface_dump(const struct cv_cmd_dump *req, struct cv_dump_reply *out);

#endif
