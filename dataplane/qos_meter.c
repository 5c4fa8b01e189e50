/* SPDX-License-Identifier: BSD-3-Clause */
#include "qos_meter.h"

struct qos_rate qos_rate_make(uint64_t bps, uint64_t tsc_hz)
{
	const unsigned __int128 per_byte = (unsigned __int128)tsc_hz * 8;
	struct qos_rate r = {.shift = 86}; /* 2^40 bits per second at most, and one bit to spare */

	for (; ((unsigned __int128)bps << r.shift) / per_byte >> 63; r.shift--)
		;
	r.mult = (uint64_t)(((unsigned __int128)bps << r.shift) / per_byte);
	return r;
}

void qos_meter_init(struct qos_meter *m, const struct cv_police *p, uint64_t tsc_hz, uint64_t now)
{
	*m = (struct qos_meter){.mode = p->mode};
	m->rate[0] = qos_rate_make(p->cir, tsc_hz);
	m->rate[1] = p->mode == CV_POLICE_TWO_RATE ? qos_rate_make(p->pir, tsc_hz) : m->rate[0];
	m->depth[0] = p->burst;
	m->depth[1] = p->mode == CV_POLICE_TWO_RATE	 ? p->excess_burst
		      : p->mode == CV_POLICE_SINGLE_RATE ? (uint64_t)p->burst + p->excess_burst
							 : p->burst;
	for (unsigned i = 0; i < 2; i++)
		m->state.empty[i] = qos_clock(&m->rate[i], now) - m->depth[i];
}

static enum cv_colour judge(const struct qos_meter *m, int64_t first, int64_t second, uint32_t len)
{
	switch (m->mode) {
	case CV_POLICE_TWO_RATE:
		return second < len ? CV_VIOLATE : first < len ? CV_EXCEED : CV_CONFORM;
	case CV_POLICE_SINGLE_RATE:
		return first >= len ? CV_CONFORM : second - first >= len ? CV_EXCEED : CV_VIOLATE;
	default:
		return first >= len ? CV_CONFORM : CV_EXCEED;
	}
}

/* What a colour takes from each bucket. */
static bool takes(const struct qos_meter *m, enum cv_colour c, unsigned bucket)
{
	if (c == CV_EXCEED)
		return bucket && m->mode != CV_POLICE_TWO_COLOURS;
	return c == CV_CONFORM;
}

enum cv_colour qos_meter_colour(struct qos_meter *m, uint32_t len, uint64_t now)
{
	const uint64_t clock[2] = {qos_clock(&m->rate[0], now), qos_clock(&m->rate[1], now)};
	typeof(m->state) old, new;

	do {
		/* may be torn between two writers: then the swap fails */
		for (unsigned i = 0; i < 2; i++)
			old.empty[i] = __atomic_load_n(&m->state.empty[i], __ATOMIC_RELAXED);
		int64_t have[2];

		for (unsigned i = 0; i < 2; i++)
			have[i] = qos_tokens(clock[i], old.empty[i], m->depth[i]);
		const enum cv_colour c = judge(m, have[0], have[1], len);

		if (!takes(m, c, 1))
			return c;
		for (unsigned i = 0; i < 2; i++)
			new.empty[i] = clock[i] - (uint64_t)have[i] + (takes(m, c, i) ? len : 0);
		if (likely(__sync_bool_compare_and_swap(&m->state.both, old.both, new.both)))
			return c;
	} while (true);
}
