/* SPDX-License-Identifier: BSD-3-Clause */
/* The replay window against a reference that remembers every sequence number (RFC 4303 3.4.3), and several threads
 * against the one promise that matters: no number is accepted twice. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <pthread.h>
#include <cmocka.h>

#include "replay.h"

#define SPACE 200000u

static uint8_t seen[SPACE];
/* As the window of an SA that one worker has to itself, or as one that is shared: the same for one thread. */
static bool alone;

static unsigned seed = 20261121;

static uint32_t below(uint32_t n)
{
	return (uint32_t)(((uint64_t)random() << 16 ^ (uint64_t)random()) % n);
}

/* The next number of an unkind network: in order, a bit late, very late, a duplicate, or a jump ahead. */
static uint32_t next_seq(uint64_t top, uint32_t window)
{
	uint64_t seq;
	switch (below(8)) {
	case 0:
		seq = top > window ? top - window + below(3) : below(3);
		break;
	case 1:
	case 2:
		seq = top - below(window + 40u);
		break;
	case 3:
		seq = top + 1u + below(2u * window + 3u);
		break;
	case 4:
		seq = top + 1u + below(40);
		break;
	default:
		seq = top + 1u;
	}
	return seq > SPACE ? 0 : (uint32_t)seq;
}

static void one_window(uint32_t window)
{
	struct replay *r = malloc(replay_size(window));
	assert_non_null(r);
	replay_init(r, window);
	memset(seen, 0, sizeof(seen));
	uint64_t top = 0;
	for (int i = 0; i < 100000 && top + 20000 < SPACE; i++) {
		uint32_t seq = next_seq(top, window);
		bool fresh = seq != 0 && (uint64_t)seq + window > top && !seen[seq];
		assert_int_equal(replay_check(r, seq), fresh);
		if (below(4) == 0)
			continue; /* did not pass the integrity check: no trace may remain */
		assert_int_equal(replay_update(r, seq, alone), fresh);
		assert_false(replay_update(r, seq, alone));
		if (fresh)
			seen[seq] = 1;
		if (fresh && seq > top)
			top = seq;
		assert_int_equal(r->top, top);
	}
	free(r);
}

static void agrees_with_a_full_memory(void **state)
{
	(void)state;
	print_message("seed %u\n", seed);
	srandom(seed);
	static const uint32_t windows[] = {32, 64, 65, 100, 128, 1000, 1024, 4096, REPLAY_WINDOW_MAX};
	for (size_t i = 0; i < sizeof(windows) / sizeof(windows[0]); i++)
		one_window(windows[i]);
	for (int i = 0; i < 20; i++)
		one_window(1u + below(300));
}

/* The manual's own numbers (REPLAY-1, REPLAY-T1), and a forged packet that moves nothing: only replay_update() does,
 * and that is called for authenticated packets alone (IKE-8, REPLAY-11, REPLAY-T5). */
static void numbers_of_the_manual(void **state)
{
	(void)state;
	struct replay *r = malloc(replay_size(1024));
	assert_non_null(r);
	replay_init(r, 1024);
	assert_true(replay_update(r, 2000, alone));
	assert_true(replay_check(r, 977));
	assert_false(replay_check(r, 976));
	assert_true(replay_check(r, 4000000000u)); /* looked at, then found forged */
	assert_int_equal(r->top, 2000);
	assert_true(replay_update(r, 977, alone));
	assert_false(replay_update(r, 977, alone));
	assert_false(replay_update(r, 976, alone));
	free(r);
}

/* Runs of packets marked at once: the same as one by one, with the window standing still during a run. */
static void runs_agree_with_single_packets(void **state)
{
	(void)state;
	srandom(seed);
	for (int round = 0; round < 50; round++) {
		uint32_t window = 64u + below(1000), n;
		struct replay *r = malloc(replay_size(window));
		assert_non_null(r);
		replay_init(r, window);
		memset(seen, 0, sizeof(seen));
		uint64_t top = 0;
		for (int i = 0; i < 500 && top + 20000 < SPACE; i++) {
			uint64_t seq[256];
			bool fresh[256], any = false;
			uint64_t high = 0;
			n = 1u + below(256);
			for (uint32_t k = 0; k < n; k++)
				seq[k] = below(3) ? (uint32_t)(top + 1u + k) : next_seq(top, 32);
			replay_mark(r, seq, n, fresh, alone);
			for (uint32_t k = 0; k < n; k++) {
				bool want = seq[k] != 0 && (uint64_t)seq[k] + window > top && !seen[seq[k]];
				/* more than a ring apart inside one run: the late one may be refused, nothing else */
				if (fresh[k] != want)
					assert_true(want && high > seq[k] + 32u * r->mask);
				seen[seq[k]] |= fresh[k];
				if (fresh[k] && seq[k] > high)
					high = seq[k];
				any |= fresh[k];
			}
			if (any)
				replay_advance(r, high, alone);
			top = high > top ? high : top;
			assert_int_equal(r->top, top);
		}
		free(r);
	}
}

/* Large numbers: block numbers near 2^27 (32-bit sequence numbers end there). */
static void works_at_the_end_of_the_space(void **state)
{
	(void)state;
	struct replay *r = malloc(replay_size(64));
	assert_non_null(r);
	replay_init(r, 64);
	for (uint64_t s = UINT32_MAX - 500u; s <= UINT32_MAX; s++) {
		assert_true(replay_check(r, (uint32_t)s));
		assert_true(replay_update(r, (uint32_t)s, alone));
		assert_false(replay_check(r, (uint32_t)s));
	}
	assert_false(replay_check(r, UINT32_MAX - 64u));
	free(r);
}

static void window_zero_accepts_everything(void **state)
{
	(void)state;
	struct replay *r = malloc(replay_size(0));
	assert_non_null(r);
	replay_init(r, 0);
	assert_true(replay_update(r, 5, alone));
	assert_true(replay_check(r, 5));
	assert_true(replay_update(r, 5, alone));
	assert_int_equal(r->top, 5);
	free(r);
}

#define THREADS 4
#define LAST 60000u
static struct replay *shared;
static uint32_t accepted[LAST + 1];
static uint32_t cursor;

/* Every number is offered twice, by whichever threads come by, close together. */
static void *offer(void *arg)
{
	(void)arg;
	for (;;) {
		uint32_t k = __atomic_fetch_add(&cursor, 1, __ATOMIC_RELAXED);
		uint32_t seq = 1u + k / 2u;
		if (seq > LAST)
			return NULL;
		if (replay_check(shared, seq) && replay_update(shared, seq, false))
			__atomic_fetch_add(&accepted[seq], 1, __ATOMIC_RELAXED);
	}
}

static void no_number_is_accepted_twice_by_threads(void **state)
{
	(void)state;
	pthread_t t[THREADS];
	shared = malloc(replay_size(REPLAY_WINDOW_MAX));
	assert_non_null(shared);
	replay_init(shared, REPLAY_WINDOW_MAX);
	memset(accepted, 0, sizeof(accepted));
	cursor = 0;
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&t[i], NULL, offer, NULL), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	uint32_t lost = 0;
	for (uint32_t s = 1; s <= LAST; s++) {
		assert_true(accepted[s] <= 1);
		lost += accepted[s] == 0;
	}
	/* A thread that slept for more than a window loses its number, but that is the exception. */
	assert_true(lost < 100);
	assert_int_equal(shared->top, LAST);
	free(shared);
}

int main(int argc, char **argv)
{
	if (argc > 1)
		seed = (unsigned)strtoul(argv[1], NULL, 0);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(agrees_with_a_full_memory),
		cmocka_unit_test(numbers_of_the_manual),
		cmocka_unit_test(runs_agree_with_single_packets),
		cmocka_unit_test(works_at_the_end_of_the_space),
		cmocka_unit_test(window_zero_accepts_everything),
		cmocka_unit_test(no_number_is_accepted_twice_by_threads),
	};
	int failed = 0;
	for (int i = 0; i < 2; i++, alone = !alone)
		failed += cmocka_run_group_tests(tests, NULL, NULL);
	return failed;
}
