/* SPDX-License-Identifier: BSD-3-Clause */
#include "qos_wred.h"

#define ONE (UINT64_C(1) << 32) /* of fixed-point fractions */

void qos_wred_init(struct qos_wred *w, uint32_t random, uint64_t now)
{
	*w = (struct qos_wred){.empty_since = now, .random = random};
}

/* (1 - 2^-weight)^n, as a fraction of ONE. */
static uint64_t decay(uint8_t weight, uint64_t n)
{
	uint64_t base = ONE - (ONE >> weight), f = ONE;

	if (n >> weight > 24) /* less than e^-24 is left */
		return 0;
	for (; n; n >>= 1) {
		if (n & 1)
			f = (uint64_t)((unsigned __int128)f * base >> 32);
		base = (uint64_t)((unsigned __int128)base * base >> 32);
	}
	return f;
}

static void average(struct qos_wred *w, uint8_t weight, uint32_t depth, uint64_t now, uint64_t sample)
{
	if (depth == 0 && now > w->empty_since && sample) {
		const uint64_t n = (now - w->empty_since) / sample;

		w->average = (uint64_t)((unsigned __int128)w->average * decay(weight, n) >> 32);
		w->empty_since += n * sample;
	}
	const int64_t off = ((int64_t)depth << QOS_WRED_SHIFT) - (int64_t)w->average;

	w->average = (uint64_t)((int64_t)w->average + off / (INT64_C(1) << weight));
}

/* xorshift (Marsaglia, 2003): 32 bits. */
static uint32_t next_random(struct qos_wred *w)
{
	w->random ^= w->random << 13;
	w->random ^= w->random >> 17;
	w->random ^= w->random << 5;
	return w->random;
}

enum qos_early qos_wred_arrives(
	struct qos_wred *w, const struct cv_wred *c, uint8_t dscp, uint32_t depth, uint64_t now, uint64_t sample)
{
	const struct cv_wred_curve *k = &c->curve[dscp];
	const uint64_t low = (uint64_t)k->min << QOS_WRED_SHIFT, high = (uint64_t)k->max << QOS_WRED_SHIFT;

	average(w, c->weight, depth, now, sample);
	if (w->average < low) {
		w->count = 0;
		return QOS_EARLY_NO;
	}
	if (w->average >= high) {
		w->count = 0;
		return QOS_EARLY_MAX;
	}
	/* p = part of the way between the thresholds / denominator; picked with p / (1 - count * p) */
	const uint64_t p = (((w->average - low) << 32) / (high - low)) / k->denominator;
	const uint64_t used = w->count < UINT16_MAX ? p * w->count : ONE;

	w->count++;
	if (used + p < ONE && (uint64_t)next_random(w) >= (uint64_t)(((unsigned __int128)p << 32) / (ONE - used)))
		return QOS_EARLY_NO;
	w->count = 0;
	return QOS_EARLY_RANDOM;
}
