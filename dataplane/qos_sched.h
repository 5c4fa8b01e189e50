/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The queues of one worker in front of one interface with an output policy: it takes packets in as fast as they come,
 * and gives them out in bursts as large as the worker is about to encrypt and send. So a packet of a priority class
 * waits for the burst under way and no longer, whatever else is queued (LLQ-1, LLQ-2, LLQ-4).
 *
 * Priority classes come first, in their order. While others wait, what they bring above their rate is dropped, so that
 * they cannot starve anyone (LLQ-T5); while nobody waits it goes through. On an interface with a rate those who wait at
 * any worker count, else those at this one. The other classes share what is left in
 * proportion to their weights (start-time fair queueing, LLQ-9). In a class with fair queues flows take turns by bytes.
 *
 * Rates (priority, shape, the interface's) are buckets that all workers share. Of the interface's rate a priority class
 * may borrow its burst: its packets do not queue for it behind data of other workers, who wait until that is paid back.
 * Knows no clock: time is an argument.
 * Worker; everything but create and free.
 */
#ifndef DATAPLANE_QOS_SCHED_H
#define DATAPLANE_QOS_SCHED_H

#include "cv_stats.h"
#include "dp.h"
#include "qos_meter.h"
#include "qos_wred.h"

/* What the workers share of one policy on one interface. */
struct qos_shared {
	struct qos_bucket priority[CV_QOS_CLASSES], shape[CV_QOS_CLASSES];
	struct qos_bucket total; /* the interface's rate; depth 0 = none */
	uint32_t n_congested;	 /* workers who have somebody without priority waiting, as of their last burst */
};
/* now: TSC. total_bps: 0 = none. */
void qos_shared_init(struct qos_shared *s, const struct cv_qos_class *cls, uint32_t n_class, uint64_t total_bps,
	uint64_t tsc_hz, uint64_t now);

struct qos_sched;
/* counters: of each class, this worker's. NULL when out of memory. Main. */
struct qos_sched *qos_sched_create(const struct cv_qos_class *cls, uint32_t n_class, struct qos_shared *shared,
	struct cv_qos_counters *counters, uint64_t tsc_hz);
/* Its packets must be gone. Any thread. */
void qos_sched_free(struct qos_sched *s);

/* A packet with this DSCP is about to be taken in: is it to be dropped or marked before the queue is full? */
enum qos_early qos_sched_early(struct qos_sched *s, uint32_t class_no, uint8_t dscp, uint64_t now);
/*
 * Take a packet in. Returns the packet that has to be dropped for it and *why: the packet itself or, with fair queues,
 * one of a flow that has more than its part; NULL when there is room. hash: of its flow.
 */
struct rte_mbuf *qos_sched_put(
	struct qos_sched *s, uint32_t class_no, struct rte_mbuf *m, uint32_t hash, uint64_t now, enum drop_reason *why);
/* What to give out: priority classes only, so that those of all interfaces come before anything else; all, as rates
 * allow; all, whatever rates say, because the policy is being taken away. */
enum qos_get { QOS_GET_PRIORITY, QOS_GET_ALL, QOS_GET_FLUSH };
/* Give out up to max packets in the order in which they go. Whoever is left after ALL was kept waiting. */
uint32_t qos_sched_get(struct qos_sched *s, struct rte_mbuf **out, uint32_t max, uint64_t now, enum qos_get what);
/* Packets that wait. */
uint32_t qos_sched_backlog(const struct qos_sched *s);

#endif
