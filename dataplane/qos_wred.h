/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Weighted random early detection (RFC 2309, RFC 2597 4, LLQ-6): as the average length of a queue grows, packets are
 * dropped, or marked (RFC 3168), more and more often, by their DSCP, before the queue is full. The average is
 * exponential; between its two thresholds the probability grows in a straight line, and the packets since the last one
 * count, so that drops are spread evenly (Floyd and Jacobson, "Random Early Detection Gateways for Congestion
 * Avoidance", 1993, section 7). Knows no clock: time is an argument. Worker; one for each queue of each worker.
 */
#ifndef DATAPLANE_QOS_WRED_H
#define DATAPLANE_QOS_WRED_H

#include "cv_msg.h"

struct qos_wred {
	uint64_t average; /* packets, times 2^QOS_WRED_SHIFT */
	uint64_t empty_since;
	uint32_t count; /* packets between the thresholds since the last one that was picked */
	uint32_t random;
};
#define QOS_WRED_SHIFT 16u

enum qos_early {
	QOS_EARLY_NO,	  /* keep it */
	QOS_EARLY_RANDOM, /* drop it, or mark it */
	QOS_EARLY_MAX,	  /* the average is at the upper threshold: drop it */
};
/* random: not 0. */
void qos_wred_init(struct qos_wred *w, uint32_t random, uint64_t now);
/* A packet comes to a queue of depth packets. now: TSC; sample: TSC cycles in which an empty queue counts once. */
enum qos_early qos_wred_arrives(
	struct qos_wred *w, const struct cv_wred *c, uint8_t dscp, uint32_t depth, uint64_t now, uint64_t sample);
/* The queue has become empty. */
static inline void qos_wred_empty(struct qos_wred *w, uint64_t now)
{
	w->empty_since = now;
}

#endif
