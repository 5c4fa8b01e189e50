/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Policers (VTI-36): every colour against RFC 2697 and 2698 taken literally, one byte after the other, and against
 * rte_meter where its rounding leaves nothing over; several threads against the one promise that matters, that together
 * they get what the rate gives and not a byte more.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <pthread.h>
#include <cmocka.h>

#include <rte_meter.h>

#include "qos_meter.h"

static unsigned seed = 20261121;

static uint64_t below(uint64_t n)
{
	return (((uint64_t)random() << 31) ^ (uint64_t)random()) % n;
}

/* The RFCs' token counts. Bytes come one by one: the k-th at the first cycle c with c * bps >= k * 8 * hz. */
struct model {
	const struct cv_police *p;
	uint64_t hz;
	uint64_t given[2]; /* bytes that the rates have given so far */
	uint64_t c, e;	   /* Tc, and Te or Tp */
};

static uint64_t given(uint64_t bps, uint64_t hz, uint64_t now)
{
	return (uint64_t)((unsigned __int128)now * bps / (8 * hz));
}

static void model_init(struct model *m, const struct cv_police *p, uint64_t hz, uint64_t now)
{
	*m = (struct model){.p = p, .hz = hz, .c = p->burst, .e = p->excess_burst};
	m->given[0] = given(p->cir, hz, now);
	m->given[1] = p->pir ? given(p->pir, hz, now) : 0;
}

static enum cv_colour model_colour(struct model *m, uint32_t len, uint64_t now)
{
	const bool two = m->p->mode == CV_POLICE_TWO_RATE;

	for (; m->given[0] < given(m->p->cir, m->hz, now); m->given[0]++) {
		if (m->c < m->p->burst)
			m->c++;
		else if (!two && m->e < m->p->excess_burst)
			m->e++;
	}
	for (; two && m->given[1] < given(m->p->pir, m->hz, now); m->given[1]++)
		m->e += m->e < m->p->excess_burst;
	if (two && m->e < len)
		return CV_VIOLATE;
	if (m->c >= len) {
		m->c -= len;
		m->e -= two ? len : 0;
		return CV_CONFORM;
	}
	if (two || (m->p->mode == CV_POLICE_SINGLE_RATE && m->e >= len)) {
		m->e -= len;
		return CV_EXCEED;
	}
	return m->p->mode == CV_POLICE_TWO_COLOURS ? CV_EXCEED : CV_VIOLATE;
}

/* Packets in bursts and pauses about as fast as the rate. */
static uint64_t pause_of(const struct cv_police *p, uint64_t hz, uint32_t len)
{
	const uint64_t cost = (uint64_t)((unsigned __int128)len * 8 * hz / p->cir);

	switch (below(8)) {
	case 0:
		return below(20 * cost + 1);
	case 1:
	case 2:
		return below(2 * cost + 2);
	default:
		return below(cost / 2 + 2);
	}
}

static unsigned seen[CV_POLICE_TWO_RATE + 1][CV_COLOURS];

static void one_policer(const struct cv_police *p, uint64_t hz)
{
	uint64_t now = below(hz * 1000);
	struct qos_meter meter;
	struct model model;

	qos_meter_init(&meter, p, hz, now);
	model_init(&model, p, hz, now);
	for (unsigned i = 0; i < 1000; i++) {
		uint32_t len = (uint32_t)(20 + below(1481));
		enum cv_colour want, got;

		now += pause_of(p, hz, len);
		want = model_colour(&model, len, now);
		got = qos_meter_colour(&meter, len, now);
		seen[p->mode][got]++;
		if (want != got)
			fail_msg("mode %u cir %lu pir %lu bursts %u %u hz %lu: packet %u is %u, not %u", p->mode,
				(unsigned long)p->cir, (unsigned long)p->pir, p->burst, p->excess_burst,
				(unsigned long)hz, i, got, want);
	}
}

/* Rates and clocks that divide: what the clock of bytes reads is exact there, so that every colour has to agree. */
static void colours_are_those_of_the_rfcs(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 60; i++) {
		struct cv_police p = {.mode = (uint8_t)(1 + i % 3), .cir = UINT64_C(8000) << below(12)};

		p.pir = p.mode == CV_POLICE_TWO_RATE ? p.cir << (1 + below(3)) : 0;
		p.burst = (uint32_t)(1500 + below(20000));
		p.excess_burst = p.mode == CV_POLICE_TWO_COLOURS ? 0 : (uint32_t)(1500 + below(20000));
		one_policer(&p, UINT64_C(1000) << 21);
	}
	for (unsigned mode = CV_POLICE_TWO_COLOURS; mode <= CV_POLICE_TWO_RATE; mode++)
		assert_true(seen[mode][CV_CONFORM] && seen[mode][CV_EXCEED] &&
			    (mode == CV_POLICE_TWO_COLOURS || seen[mode][CV_VIOLATE]));
}

/* Any rate: over a long time nothing is gained or lost, to within what one packet and one reading are. */
static void any_rate_is_exact(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 200; i++) {
		struct cv_police p = {.mode = CV_POLICE_TWO_COLOURS,
			.cir = 8000 + below(i % 2 ? 1000000 : UINT64_C(100000000000)),
			.burst = 10000};
		const uint64_t hz = 1000000000 + below(UINT64_C(3000000000)), start = below(hz * 3600 * 24 * 365);
		const uint64_t cost = (uint64_t)((unsigned __int128)1000 * 8 * hz / p.cir);
		struct qos_meter meter;
		uint64_t now = start, passed = 0;

		qos_meter_init(&meter, &p, hz, now);
		for (unsigned k = 0; k < 5000; k++) {
			now += below(cost + 1); /* twice the rate */
			passed += qos_meter_colour(&meter, 1000, now) == CV_CONFORM ? 1000 : 0;
		}
		const uint64_t due =
			10000 + (uint64_t)((unsigned __int128)(now - start) * p.cir / (8 * (unsigned __int128)hz));

		/* the bucket is full at first, and what it cannot hold is lost */
		if (passed > due + 1 || passed + 1000 + p.burst < due)
			fail_msg("rate %lu at %lu Hz: %lu bytes passed, %lu were due", (unsigned long)p.cir,
				(unsigned long)hz, (unsigned long)passed, (unsigned long)due);
	}
}

/* rte_meter, where one byte takes a whole number of cycles of at least its smallest period. */
static void agrees_with_rte_meter(void **state)
{
	static const enum cv_colour of[] = {
		[RTE_COLOR_GREEN] = CV_CONFORM, [RTE_COLOR_YELLOW] = CV_EXCEED, [RTE_COLOR_RED] = CV_VIOLATE};

	(void)state;
	for (unsigned i = 0; i < 40; i++) {
		const uint64_t hz = UINT64_C(1) << 31, period = UINT64_C(128) << below(6),
			       start = period * below(1000000);
		struct cv_police p = {.cir = 8 * hz / period,
			.burst = (uint32_t)(1500 + below(9000)),
			.excess_burst = (uint32_t)(1500 + below(9000))};
		struct rte_meter_srtcm_profile sp = {
			.cbs = p.burst, .ebs = p.excess_burst, .cir_period = period, .cir_bytes_per_period = 1};
		struct rte_meter_trtcm_profile tp = {.cbs = p.burst,
			.pbs = p.excess_burst,
			.cir_period = period,
			.cir_bytes_per_period = 1,
			.pir_period = period / 2,
			.pir_bytes_per_period = 1};
		struct rte_meter_srtcm s = {.time = start, .tc = p.burst, .te = p.excess_burst};
		struct rte_meter_trtcm t = {.time_tc = start, .time_tp = start, .tc = p.burst, .tp = p.excess_burst};
		struct qos_meter meter;
		uint64_t now = start;

		p.mode = i % 2 ? CV_POLICE_SINGLE_RATE : CV_POLICE_TWO_RATE;
		p.pir = i % 2 ? 0 : 2 * p.cir;
		qos_meter_init(&meter, &p, hz, start);
		for (unsigned k = 0; k < 5000; k++) {
			uint32_t len = (uint32_t)(20 + below(1481));

			now += pause_of(&p, hz, len);
			assert_int_equal(qos_meter_colour(&meter, len, now),
				of[i % 2 ? rte_meter_srtcm_color_blind_check(&s, &sp, now, len)
					 : rte_meter_trtcm_color_blind_check(&t, &tp, now, len)]);
		}
	}
}

/* ---- threads ---- */

#define THREADS 4u
#define STEPS 20000u
static struct qos_meter shared;
static uint64_t clock_now, taken[THREADS];

static void *take(void *arg)
{
	const uintptr_t me = (uintptr_t)arg;

	for (unsigned i = 0; i < STEPS; i++) {
		uint64_t now = __atomic_add_fetch(&clock_now, 100, __ATOMIC_RELAXED);

		taken[me] += qos_meter_colour(&shared, 500, now) == CV_CONFORM ? 500 : 0;
	}
	return NULL;
}

static void threads_share_a_rate(void **state)
{
	const struct cv_police p = {.mode = CV_POLICE_TWO_COLOURS, .cir = 8000000000, .burst = 2000};
	pthread_t thread[THREADS];
	uint64_t sum = 0;

	(void)state;
	clock_now = 0;
	qos_meter_init(&shared, &p, 1000000000, 0); /* a byte a cycle: a fifth of what they ask for */
	for (uintptr_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, take, (void *)i), 0);
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(thread[i], NULL), 0);
	for (unsigned i = 0; i < THREADS; i++)
		sum += taken[i];
	const uint64_t due = 2000 + (uint64_t)THREADS * STEPS * 100;

	assert_true(sum <= due);
	assert_true(sum + due / 20 >= due); /* threads that come late find a bucket that was full */
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(colours_are_those_of_the_rfcs),
		cmocka_unit_test(any_rate_is_exact),
		cmocka_unit_test(agrees_with_rte_meter),
		cmocka_unit_test(threads_share_a_rate),
	};

	if (argc > 1)
		seed = (unsigned)strtoul(argv[1], NULL, 0);
	srandom(seed);
	print_message("seed %u\n", seed);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
