/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Packets that lines with `log` of access lists decide about, told by flow: the first of a flow within a second, then
 * every five minutes how many more there were. A worker only counts, in a table of its own and of fixed size; main
 * looks at the tables and tells control (CV_EVT_ACL_LOG), a bounded number a second: what waits is told later, and with
 * it what has come meanwhile. A flow for which there is no room is counted as missed.
 */
#ifndef DATAPLANE_ACL_LOG_H
#define DATAPLANE_ACL_LOG_H

#include "worker.h"

#define ACL_LOG_SLOTS 1024u   /* flows of one worker */
#define ACL_LOG_WAYS 4u	      /* places for one of them */
#define ACL_LOG_LOOK_MS 1000u /* between two looks at the tables */
#define ACL_LOG_PER_LOOK 32u  /* events at most */
#define ACL_LOG_AGAIN_MS 300000u
#define ACL_LOG_MISSED_MS 60000u

/* Numbers of counters of access lists (CV_ACL_COUNTERS), as a set of bits: counter n is bit n % 8 of byte n / 8. */
struct acl_counters {
	uint8_t bit[CV_ACL_COUNTERS / 8];
};

static inline bool acl_counters_has(const struct acl_counters *set, uint32_t n)
{
	return set->bit[n / 8] & 1u << n % 8;
}

/* Worker or main: a packet that the line of this counter decided about; data at the IP header, as for flow_parse(). */
void acl_log_packet(struct worker *w, uint32_t counter, struct rte_mbuf *m);

/* Main: look when it is time. */
void acl_log_tick(uint64_t now_ms);
/* Main, when no worker counts for them any more: forget, in one walk, what is known of lines that are gone. */
void acl_log_forget(const struct acl_counters *gone);

#endif
