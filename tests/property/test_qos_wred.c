/* SPDX-License-Identifier: BSD-3-Clause */
/* Random early detection (LLQ-6, RFC 2309, RFC 2597) against its formulas in floating point. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "qos_wred.h"

#define SAMPLE 1000u

static unsigned seed = 2597;

static struct cv_wred conf(uint8_t weight, uint32_t min, uint32_t max, uint32_t denominator)
{
	struct cv_wred c = {.weight = weight};

	for (unsigned i = 0; i < CV_DSCPS; i++)
		c.curve[i] = (struct cv_wred_curve){min, max, denominator};
	return c;
}

/* The average follows every packet, and what an idle queue forgets is as if packets had found it empty. */
static void average_is_exponential(void **state)
{
	(void)state;
	for (uint8_t weight = 1; weight <= CV_WRED_WEIGHT_MAX; weight++) {
		struct cv_wred c = conf(weight, 60000, 65536, 1);
		const double part = 1.0 / (1 << weight);
		struct qos_wred w;
		uint64_t now = 0;
		double want = 0;

		qos_wred_init(&w, 1, now);
		for (unsigned i = 0; i < 20000; i++) {
			const uint32_t depth = i % 97 ? 1 + (uint32_t)random() % 500 : 0;

			if (!depth) {
				const uint32_t n = (uint32_t)random() % 64;

				qos_wred_empty(&w, now);
				now += n * SAMPLE;
				want *= pow(1 - part, n);
			}
			want += (depth - want) * part;
			(void)qos_wred_arrives(&w, &c, 0, depth, now, SAMPLE);
			const double have = (double)w.average / (1 << QOS_WRED_SHIFT);

			if (fabs(have - want) > 0.01 * want + 2)
				fail_msg("weight %u, packet %u: average %f, not %f", weight, i, have, want);
		}
	}
}

/* How often of n packets at a constant length one is picked; *longest: packets between two. */
static double picked(const struct cv_wred *c, uint8_t dscp, uint32_t depth, uint32_t n, uint32_t *longest)
{
	struct qos_wred w;
	uint32_t hits = 0, gap = 0;

	qos_wred_init(&w, (uint32_t)random() | 1, 0);
	w.average = (uint64_t)depth << QOS_WRED_SHIFT;
	*longest = 0;
	for (uint32_t i = 0; i < n; i++) {
		gap++;
		if (qos_wred_arrives(&w, c, dscp, depth, 0, SAMPLE) == QOS_EARLY_NO)
			continue;
		*longest = gap > *longest ? gap : *longest;
		gap = 0;
		hits++;
	}
	return (double)hits / n;
}

/* Between the thresholds: evenly spread, so that the distance is uniform in 1..1/p and no more than that; below none,
 * at the upper one all. */
static void probability_is_a_straight_line(void **state)
{
	const struct cv_wred c = conf(9, 100, 200, 10);
	uint32_t longest;

	(void)state;
	assert_true(picked(&c, 0, 99, 20000, &longest) == 0);
	assert_true(picked(&c, 0, 200, 20000, &longest) == 1);
	assert_true(picked(&c, 0, 60000, 2000, &longest) == 1);
	for (uint32_t depth = 110; depth < 200; depth += 10) {
		const double p = (depth - 100) / 100.0 / 10, want = 2 / (1 / p + 1);
		const double have = picked(&c, 0, depth, 1000000, &longest);

		if (fabs(have - want) > 0.03 * want)
			fail_msg("length %u: %f of the packets, not %f", depth, have, want);
		assert_true(longest <= (uint32_t)ceil(1 / p) + 1);
	}
}

/* RFC 2597 2: within a class, a higher drop precedence is never dropped less. */
static void drop_precedence_counts(void **state)
{
	struct cv_wred c = conf(9, 50, 100, 10);
	uint32_t longest;

	(void)state;
	c.curve[10].min = 80;
	c.curve[12].min = 70;
	c.curve[14].min = 60;
	for (uint32_t depth = 55; depth < 105; depth += 5) {
		const double af11 = picked(&c, 10, depth, 200000, &longest),
			     af12 = picked(&c, 12, depth, 200000, &longest),
			     af13 = picked(&c, 14, depth, 200000, &longest);

		assert_true(af11 <= af12 && af12 <= af13);
		assert_true(af13 == 0 || af13 == 1 || af12 < af13);
	}
}

static int start(void **state)
{
	(void)state;
	srandom(seed);
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(average_is_exponential, start),
		cmocka_unit_test_setup(probability_is_a_straight_line, start),
		cmocka_unit_test_setup(drop_precedence_counts, start),
	};

	if (argc > 1)
		seed = (unsigned)strtoul(argv[1], NULL, 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
