/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Crypto sessions (spec/50 1): all IKE SAs and IPsec SAs between one pair of endpoints, as one thing that is up or down
 * (MON-1..4). This table exists to say so once per change in the log (MON-24..29) and to remember why what is
 * configured is down. Loop thread.
 */
#ifndef CONTROL_SESSION_H
#define CONTROL_SESSION_H

#include "ike.h"

struct control;
struct child;
struct session_table;

struct session_table *session_table_new(struct control *c);
void session_table_free(struct session_table *t);

void session_ike_event(struct session_table *t, const struct ike_event *ev);
/* A pair came up, or is no longer used. */
void session_child(struct session_table *t, struct child *ch, bool up);
/* A pair that was up before this process started. */
void session_adopt(struct session_table *t, struct child *ch);
/*
 * Log what has changed since the last turn of the loop: a rekey that swaps SAs within one turn is no change. Returns
 * milliseconds until it wants to be called again, UINT64_MAX = when something happens.
 */
uint64_t session_run(struct session_table *t);
/* A new configuration: forget failures of entries that are gone. */
void session_config(struct session_table *t);

/* Why the last attempt for this peer of this entry failed, and when (ms); NULL = no failure since it was last up. */
const char *session_last_failure(
	const struct session_table *t, const struct cfg_map_entry *e, const struct cv_addr *peer, uint64_t *at_ms);
/* The operator's note about a peer (MON-6..10), or NULL. */
const char *session_description(const struct control *c, const struct cv_addr *peer);

#endif
