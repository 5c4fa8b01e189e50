/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Next hops of multipoint tunnels: where in the network outside the router is that has an address inside (DMVPN-1; the
 * manuals' NHRP mapping). Each is one slot, 1..TUNNEL_HOPS_MAX-1, which route words name beside their interface.
 *
 * Main writes, workers read without a lock: a slot is complete before a chain leads to it, never changes, and is used
 * again only after quiescence. Another outer address is another slot.
 */
#ifndef DATAPLANE_TUNNEL_HOP_H
#define DATAPLANE_TUNNEL_HOP_H

#include "dp.h"
#include "fib.h"

#define TUNNEL_HOPS_MAX 16384u
#define TUNNEL_HOP_BUCKETS 16384u

struct tunnel_hop {
	struct cv_tunnel_hop conf;
	uint32_t next;	     /* in its bucket, 0 = end */
	uint32_t next_flood; /* of the interface's that get multicast, 0 = end */
	/* main only */
	uint32_t named; /* in which transaction */
	bool going;	/* with this transaction */
};

extern struct tunnel_hop tunnel_hops[TUNNEL_HOPS_MAX];
extern uint32_t tunnel_hop_bucket[TUNNEL_HOP_BUCKETS];
extern uint32_t tunnel_hop_flood[CV_IF_MAX]; /* first of each interface */
extern const struct dp_module tunnel_hop_module;

/* Worker or main: the slot for an address behind a tunnel, 0 = there is none. */
uint32_t tunnel_hop_find(uint32_t if_id, const struct cv_addr *next_hop);
/* Main: has the tunnel a next hop at this outer address? */
bool tunnel_hop_at(uint32_t if_id, const struct cv_addr *outer);
/* Main: the first next hop with this rule whose slot is above the given one, 0 = none. */
uint32_t tunnel_hop_of_rule(uint32_t rule_id, uint32_t after);
/* Main, while a transaction is prepared: the same as it will be. */
uint32_t tunnel_hop_staged(uint32_t if_id, const struct cv_addr *next_hop);

#endif
