/* SPDX-License-Identifier: BSD-3-Clause */
/* Between the files that make up child.h. Loop thread, as there. */
#ifndef CONTROL_CHILD_PRIV_H
#define CONTROL_CHILD_PRIV_H

#include "child.h"
#include "cv_stats.h"

#define CHILD_PAIRS (CV_SA_MAX / 2) /* numbers 1..CHILD_PAIRS-1: index 0 does not exist */
#define CHILD_PEER_BUCKETS 8192u

enum child_pair_state { PAIR_FREE = 0, PAIR_RESERVED, PAIR_USED };

struct child_table {
	struct control *c;
	struct child *child[CHILD_PAIRS];
	uint8_t state[CHILD_PAIRS]; /* enum child_pair_state */
	/* Free numbers in the order in which they were freed. */
	uint32_t free[CHILD_PAIRS];
	uint64_t freed_ms[CHILD_PAIRS];
	uint32_t head, n_free;
	unsigned n_held;
	TAILQ_HEAD(child_list, child) linger;
	LIST_HEAD(, child) peer[CHILD_PEER_BUCKETS];
};

/* ---- child_table.c ---- */

/* Into the table, with the pair of AH around it. */
void child_table_put(struct child_table *t, struct child *ch);
/* ch->path has changed. */
void child_rehash(struct child_table *t, struct child *ch);
/* Freed once IKE, the linger time and every reply are through with it. */
void child_put(struct child_table *t, struct child *ch);
/* A released pair may have nothing left to do. */
void child_linger_check(struct child_table *t, struct child *ch);
/* The outbound half that waits for its activation: zeroed and freed. */
void child_drop_out(struct child *ch);

/* ---- child_counters.c ---- */

/* A half is about to get its slot: what the slot has counted is not its own. */
void child_counters_begin(struct child *ch, unsigned half);

/* ---- child.c ---- */

/* Not in the table yet; the caller's to free(). NULL: no memory. */
struct child *child_from_params(struct control *c, uint32_t id, const struct ike_child_params *p);
/*
 * The pair of AH around esp, number id: in transport mode whatever the mode of ESP, since the packet that it covers has
 * the outer IP header already (RFC 4301 4.4.2, 5). False: no memory.
 */
bool child_bundle(struct child *esp, uint32_t id, const struct ike_child_params *p);
/* A pair to the dataplane, or its outbound half to ch->out for later. Keys stay the caller's. */
void child_install(struct child *ch, const uint8_t *in, const uint8_t *out, uint16_t key_len, bool inbound_only);

#endif
