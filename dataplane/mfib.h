/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Multicast routes (VTI-4): by VRF, group and source, the interface that packets have to come in by, and those that
 * they leave by. Each is one slot, 1..CV_MROUTE_MAX-1, which is also the number of its counters.
 *
 * Main writes, workers read without a lock: where a slot leads is one object that never changes, and is exchanged for
 * another by one store; a slot that leads nowhere yet, or no more, is none. Both are used again only after quiescence.
 */
#ifndef DATAPLANE_MFIB_H
#define DATAPLANE_MFIB_H

#include "dp.h"

struct mfib_out {
	uint32_t word; /* route word (fib.h): the group's adjacency on the interface, or the tunnel that it is */
	uint16_t if_id;
	uint8_t ttl; /* only what comes with more */
};

struct mfib_ways {
	uint32_t if_in;
	uint16_t n_out;
	bool host; /* the kernel of the host has it so, and wants to see some of it */
	struct mfib_out out[CV_MROUTE_OUT_MAX];
};

extern const struct dp_module mfib_module;

/* Worker or main: the route for a packet from source to group, and where it leads: that of the source before that of
 * any. 0 = there is none. */
uint32_t mfib_find(
	uint32_t vrf_id, const struct cv_addr *group, const struct cv_addr *source, const struct mfib_ways **ways);

/* Worker or main: has nobody been shown a packet of a route of the host's for a while? Then the one who asks has to. */
bool mfib_sample_due(uint32_t slot);

/* ---- main: called by host_mroute.c, as a transaction of its own that ends with mfib_module.prepare and publish ----
 */
/* The kernel's route, in the second place behind a configured one. named: a number for sweeping. 0 or enum cv_err with
 * text. */
int mfib_host_set(const struct cv_mroute *r, uint32_t named, char *text);
/* Delete each of them that stale() says is. */
typedef bool (*mfib_host_stale_fn)(void *arg, const struct cv_mroute *r, uint32_t named);
void mfib_host_sweep(mfib_host_stale_fn stale, void *arg);
/* Has a transaction staged changes that are neither published nor aborted yet? */
bool mfib_txn_in_progress(void);

/* Main: fill a CV_DUMP_MROUTE reply (struct cv_mroute_entry; req->scope = VRF). */
void mfib_dump(const struct cv_cmd_dump *req, struct cv_dump_reply *out);

#endif
