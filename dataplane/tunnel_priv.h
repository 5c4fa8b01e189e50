/* SPDX-License-Identifier: BSD-3-Clause */
/* What the ways into tunnels (tunnel_out.c) and out of them (tunnel_in.c) have of their state and MTU (tunnel.c). */
#ifndef DATAPLANE_TUNNEL_PRIV_H
#define DATAPLANE_TUNNEL_PRIV_H

#include "sa.h"
#include "tunnel.h"
#include "tunnel_hop.h"

#define TUNNEL_NESTING_MAX 4u /* tunnels in tunnels */

/* What changes in a tunnel without its configuration; of multipoint ones, each next hop's at CV_IF_MAX + slot. */
struct tunnel_state {
	uint32_t sa;		  /* that it sends by, CV_SA_NONE = none. Main writes, workers read */
	uint32_t own[CV_WRITERS]; /* by worker: one for its packets alone (RFC 9611); CV_SA_NONE = that for all */
	bool per_resource;	  /* workers that have none of their own ask for one */
	uint16_t fits;		  /* main: what that SA's packets of MTU_UNKNOWN bytes carry, to see when it differs */
	uint32_t seq_out;	  /* GRE: last number sent, and received; any worker */
	uint32_t seq_in;
	bool seen; /* seq_in says something */
};
extern struct tunnel_state tunnel_states[CV_IF_MAX + TUNNEL_HOPS_MAX];

static inline bool tunnel_is_multipoint(const struct cv_tunnel *t)
{
	return t->flags & CV_TUNNEL_F_MULTIPOINT;
}

/* Worker or main: the outbound SA that a protected tunnel sends by, NULL = none. */
static inline const struct sa *tunnel_sa(const struct tunnel_state *t)
{
	const struct sa *sa = sa_get(__atomic_load_n(&t->sa, __ATOMIC_ACQUIRE));

	return sa && sa->dir == CV_SA_OUT ? sa : NULL;
}

/* Worker or main: bytes in front of an inner packet, without those of IPsec; not of an IPsec tunnel. */
uint32_t tunnel_head(const struct cv_tunnel *t);
/* Worker or main: the largest inner packet of a family to this other end; the interface's own limit may be lower than
 * what the way has room for, and is it then. sa: that of a protected tunnel, else NULL. head: tunnel_head(), or 0 of an
 * IPsec tunnel. */
uint16_t tunnel_inner_mtu(
	const struct dp_if *ifp, const struct cv_addr *dst, uint8_t af, const struct sa *sa, uint32_t head);

#endif
