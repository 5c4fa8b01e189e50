/* SPDX-License-Identifier: BSD-3-Clause */
/* The generator's latencies (issue 5: p50, p99, p99.99): quantiles against a sorted list of the same samples. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "histogram.h"

#define N 100000u

static struct gen_histogram h;
static uint64_t sample[N];

static int ascending(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return x < y ? -1 : x > y;
}

/* Every value is in the slot whose largest value is not below it, and the slot before is. */
static void slots_have_no_gaps(void **state)
{
	(void)state;
	for (unsigned bit = 0; bit < GEN_HIST_BITS; bit++)
		for (int near = -2; near <= 2; near++) {
			const uint64_t v = (1ull << bit) + (uint64_t)near;
			if ((int64_t)v < 0 || v >= 1ull << GEN_HIST_BITS)
				continue;
			const unsigned slot = gen_histogram_slot(v);
			assert_true(slot < GEN_HIST_SLOTS);
			assert_true(gen_histogram_value(slot) >= v);
			if (slot > 0)
				assert_true(gen_histogram_value(slot - 1) < v);
		}
	assert_int_equal(gen_histogram_slot(UINT64_MAX), GEN_HIST_SLOTS - 1);
}

static void quantiles_are_near_the_true_ones(void **state)
{
	static const double part[] = {0.01, 0.5, 0.9, 0.99, 0.9999, 1};
	(void)state;
	srandom(7);
	memset(&h, 0, sizeof(h));
	for (unsigned i = 0; i < N; i++) { /* over many powers of two, as latencies with a long tail are */
		sample[i] = (uint64_t)random() >> (random() % 28);
		gen_histogram_add(&h, sample[i]);
	}
	qsort(sample, N, sizeof(sample[0]), ascending);
	assert_int_equal(h.n, N);
	assert_int_equal(h.max, sample[N - 1]);
	for (unsigned i = 0; i < sizeof(part) / sizeof(part[0]); i++) {
		const uint64_t truth = sample[(unsigned)(part[i] * N) - 1], got = gen_histogram_quantile(&h, part[i]);
		assert_true(got >= truth);
		assert_true(got <= truth + truth / GEN_HIST_PART + 1);
	}
}

static void a_few_samples(void **state)
{
	(void)state;
	memset(&h, 0, sizeof(h));
	assert_int_equal(gen_histogram_quantile(&h, 0.5), 0);
	gen_histogram_add(&h, 1000);
	assert_int_equal(gen_histogram_quantile(&h, 0.0), 1000);
	assert_int_equal(gen_histogram_quantile(&h, 0.9999), 1000);
	gen_histogram_add(&h, 1ull << 50); /* larger than there are slots for: the largest seen, as it was */
	assert_int_equal(gen_histogram_quantile(&h, 1), 1ull << 50);
	assert_int_equal(gen_histogram_quantile(&h, 0.5), gen_histogram_value(gen_histogram_slot(1000)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(slots_have_no_gaps),
		cmocka_unit_test(quantiles_are_near_the_true_ones),
		cmocka_unit_test(a_few_samples),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
