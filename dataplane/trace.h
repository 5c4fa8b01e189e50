/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Trace of the next N packets (CV_CMD_TRACE): every stage a traced packet passes appends one step to its record; when
 * the packet leaves (sent, dropped, punted) the record goes to control as CV_EVT_TRACE. Costs one flag test per packet
 * (meta->flags & PKT_F_TRACED) when off.
 *
 * A record belongs to whoever holds the packet, so a step is a plain store. Main collects finished records.
 */
#ifndef DATAPLANE_TRACE_H
#define DATAPLANE_TRACE_H

#include "dp.h"

#define TRACE_MAX 1024u /* packets of one request */

/* Packets still to be picked; workers read it once per vector. */
extern int32_t trace_wanted;

static inline bool trace_armed(void)
{
	return __atomic_load_n(&trace_wanted, __ATOMIC_RELAXED) > 0;
}

/* Main: start or stop. Returns 0 or enum cv_err. */
int trace_start(const struct cv_cmd_trace *req);
/* Main, every few milliseconds: hand finished records to send (which copies them), and give up on those whose packet
 * was lost for more than a second. */
void trace_collect(void (*send)(const struct cv_evt_trace *t));

/* Worker: maybe pick this packet; data as received, meta valid. Only when trace_armed(). */
void trace_pick(struct rte_mbuf *m);

/* The step of ip_input: where the packet wants to go. Only for traced packets. */
void trace_header(struct rte_mbuf *m);

void trace_step_slow(struct rte_mbuf *m, const char *stage, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void trace_end_slow(struct rte_mbuf *m, const char *stage, const char *note);

/* Worker or main: a step of a packet, if it is traced. */
#define trace_step(m, stage, ...)                                                                                      \
	do {                                                                                                           \
		if (unlikely(pkt_meta(m)->flags & PKT_F_TRACED))                                                       \
			trace_step_slow(m, stage, __VA_ARGS__);                                                        \
	} while (0)
/* The last step: sent, dropped (dp_drop calls it with the reason's token) or punted. */
static inline void trace_end(struct rte_mbuf *m, const char *stage, const char *note)
{
	if (unlikely(pkt_meta(m)->flags & PKT_F_TRACED))
		trace_end_slow(m, stage, note);
}

#endif
