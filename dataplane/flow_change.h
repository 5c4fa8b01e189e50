/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What has changed under the decisions that workers remember about flows (fast.h): a log of the last changes, each with
 * what it may concern. A remembered decision is of a generation; it stays good as long as no later change concerns it.
 *
 * Main appends a change after workers can see it, and before what it replaced may be used for something else
 * (dp_defer()). A worker reads the generation before it decides anything.
 */
#ifndef DATAPLANE_FLOW_CHANGE_H
#define DATAPLANE_FLOW_CHANGE_H

#include "flow.h"

#define FLOW_CHANGES_KEPT 128u /* decisions older than this many changes are void. Power of two */

enum flow_change_kind {
	FLOW_CHANGE_ALL,    /* any flow: interfaces, what a policy is applied to */
	FLOW_CHANGE_ROUTE,  /* from or to an address of lo[0]..hi[0], and what is sent in tunnels to there; id: VRF */
	FLOW_CHANGE_POLICY, /* between lo[0]..hi[0] and lo[1]..hi[1], in either direction */
	FLOW_CHANGE_SA,	    /* into or out of the SA with index id */
	FLOW_CHANGE_ADJ	    /* by the adjacency id */
};

/* IPv4 addresses as numbers; of IPv6 addresses the first 64 bits, which may say too much, never too little. */
struct flow_change {
	uint32_t id;
	uint16_t kind; /* enum flow_change_kind */
	uint8_t af, pad;
	uint64_t lo[2], hi[2];
	uint64_t spare[3]; /* a cache line in all */
};
_Static_assert(sizeof(struct flow_change) == 64, "read and written in words");

extern uint32_t flow_generation_current;

/* Worker: number of the last change. */
static inline uint32_t flow_generation(void)
{
	return __atomic_load_n(&flow_generation_current, __ATOMIC_ACQUIRE);
}

/* Main. */
void flow_change_all(void);
void flow_change_route(uint32_t vrf_id, const struct cv_prefix *p);
void flow_change_policy(const struct flow_sel *sel);
void flow_change_sa(uint32_t index);
void flow_change_adj(uint32_t adj);

/* Worker: what the last changes were, change n in change[n % FLOW_CHANGES_KEPT]. */
struct flow_changes {
	uint32_t upto;	/* the last one that is here */
	uint32_t since; /* the first one */
	struct flow_change change[FLOW_CHANGES_KEPT];
};
/* Worker: add what has come up to change `upto`, a value of flow_generation(). */
void flow_changes_read(struct flow_changes *mine, uint32_t upto);

#endif
