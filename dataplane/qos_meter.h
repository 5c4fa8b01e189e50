/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Token buckets, exact and safe between workers.
 *
 * A bucket is kept on a clock that counts bytes: the bytes its rate has given since the TSC began. The clock is
 * computed anew from the TSC each time, so that no error adds up. A bucket is the reading at which it was, or will be,
 * empty; what is in it is the time since then, no more than its depth. A meter of two buckets is 128 bits, changed by
 * one compare-and-swap: several workers share a rate to the byte.
 *
 * Readings are compared by their difference, which has to stay below 2^63 bytes. Workers may see the TSC in another
 * order than their packets: a clock that is behind only gives less. Any thread.
 */
#ifndef DATAPLANE_QOS_METER_H
#define DATAPLANE_QOS_METER_H

#include <rte_branch_prediction.h>

#include "cv_msg.h"

struct qos_rate {
	uint64_t mult; /* bytes per TSC cycle, times 2^shift */
	uint32_t shift;
};

/* bits per second, 1..CV_QOS_RATE_MAX; TSC cycles per second. */
struct qos_rate qos_rate_make(uint64_t bps, uint64_t tsc_hz);

static inline uint64_t qos_clock(const struct qos_rate *r, uint64_t tsc)
{
	return (uint64_t)((unsigned __int128)tsc * r->mult >> r->shift);
}

/* What is in a bucket of this depth, bytes; less than zero when more was taken than was in it. */
static inline int64_t qos_tokens(uint64_t clock, uint64_t empty, uint64_t depth)
{
	int64_t have = (int64_t)(clock - empty);

	return have > (int64_t)depth ? (int64_t)depth : have;
}

/* One bucket. */
struct qos_bucket {
	uint64_t empty, depth; /* depth 0: there is none */
	struct qos_rate rate;
};

/* Full. now: TSC. */
static inline void qos_bucket_init(struct qos_bucket *b, uint64_t bps, uint64_t depth, uint64_t tsc_hz, uint64_t now)
{
	b->rate = qos_rate_make(bps, tsc_hz);
	b->depth = depth;
	b->empty = qos_clock(&b->rate, now) - depth;
}

/* Is there anything in it, or does it owe less than `debt` bytes? */
static inline bool qos_bucket_open(const struct qos_bucket *b, uint32_t debt, uint64_t now)
{
	const uint64_t empty = __atomic_load_n(&b->empty, __ATOMIC_RELAXED);

	return qos_tokens(qos_clock(&b->rate, now), empty, b->depth) > -(int64_t)debt;
}

/* Take len bytes, if there are at least `least`. */
static inline bool qos_bucket_take(struct qos_bucket *b, uint32_t len, int64_t least, uint64_t now)
{
	const uint64_t clock = qos_clock(&b->rate, now);
	uint64_t empty = __atomic_load_n(&b->empty, __ATOMIC_RELAXED);
	int64_t have;

	do {
		have = qos_tokens(clock, empty, b->depth);
		if (have < least)
			return false;
	} while (!__atomic_compare_exchange_n(
		&b->empty, &empty, clock - (uint64_t)have + len, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	return true;
}

/* Two buckets, the first of the rate cir. RFC 2697: the second one holds what is in both C and E. RFC 2698: P. */
struct qos_meter {
	union {
		unsigned __int128 both;
		uint64_t empty[2];
	} state;
	struct qos_rate rate[2];
	uint64_t depth[2];
	uint8_t mode; /* enum cv_police_mode */
};

/* Full buckets. now: TSC. */
void qos_meter_init(struct qos_meter *m, const struct cv_police *p, uint64_t tsc_hz, uint64_t now);

/* The colour of a packet of len bytes (RFC 2697 3, RFC 2698 3, colour blind), and the tokens' way into it. */
enum cv_colour qos_meter_colour(struct qos_meter *m, uint32_t len, uint64_t now);

#endif
