/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One worker alone writes the state of an SA without atomic operations, until another one comes (sa_owner.h): no number
 * is given out twice or left out, no number is accepted twice, and nobody waits for ever, while SAs go from nobody to
 * one worker and to all of them, again and again.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "../unit/frame_env.h"
#include "replay.h"
#include "sa_owner.h"

#define WORKERS FRAME_WORKERS
#define SAS 32u
#define GENERATIONS 1500u
#define VECTOR 24u
#define TAKEN_MAX (1u << 16)

static unsigned seed = 20261122;

/* An SA, and what is to be true of it. */
static struct {
	struct sa_state *st;
	uint8_t given[TAKEN_MAX]; /* how often each number was taken outbound, */
	uint8_t taken[TAKEN_MAX]; /* how often it was accepted inbound */
	uint32_t n_given;
} sa[SAS];
static pthread_barrier_t barrier;
static uint32_t shared_sas;

static void state_reset(uint32_t i)
{
	memset(sa[i].st, 0, sizeof(*sa[i].st) + replay_size(256));
	sa[i].st->owner = SA_NOBODYS;
	replay_init(sa_window(sa[i].st), 256);
	memset(sa[i].given, 0, sizeof(sa[i].given));
	memset(sa[i].taken, 0, sizeof(sa[i].taken));
	sa[i].n_given = 0;
}

/* What a worker does with one packet: as sender, as receiver of a number close to the last, which others may get too.
 */
static void one_packet(struct worker *w, uint32_t i, unsigned *rnd)
{
	struct sa_state *st = sa[i].st;
	const uint32_t n = 1 + (uint32_t)rand_r(rnd) % 3;
	const uint64_t seq = sa_numbers(w, st, n);
	for (uint32_t k = 1; k <= n; k++)
		__atomic_fetch_add(&sa[i].given[(seq + k) % TAKEN_MAX], 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&sa[i].n_given, n, __ATOMIC_RELAXED);
	const uint32_t number = (uint32_t)(seq / 2 + 1 + (uint32_t)rand_r(rnd) % 8);
	if (replay_update(sa_window(st), number, sa_mine(w, st)))
		__atomic_fetch_add(&sa[i].taken[number % TAKEN_MAX], 1, __ATOMIC_RELAXED);
}

/* Each generation a worker has some SAs of its own, and some that are others' too: first by itself for a while, so that
 * it becomes the owner of many. Main has a packet now and then. */
static void *one_worker(void *arg)
{
	struct worker *w = arg;
	unsigned rnd = seed + w->index;
	if (w->index != WORKER_MAIN)
		worker_online(w);
	for (uint32_t g = 0; g < GENERATIONS; g++) {
		const uint32_t vectors = w->index == WORKER_MAIN ? 2 : 12;
		for (uint32_t v = 0; v < vectors; v++) {
			const uint32_t spread = v < 4 ? SAS / 2 : SAS;
			for (uint32_t k = 0; k < VECTOR; k++)
				one_packet(w, (w->index * SAS / (WORKERS + 1) + (uint32_t)rand_r(&rnd) % spread) % SAS,
					&rnd);
			if (w->index != WORKER_MAIN)
				worker_quiescent(w);
		}
		if (w->index != WORKER_MAIN)
			worker_offline(w); /* it waits outside: nobody may wait for it */
		pthread_barrier_wait(&barrier);
		pthread_barrier_wait(&barrier);
		if (w->index != WORKER_MAIN)
			worker_online(w);
	}
	if (w->index != WORKER_MAIN)
		worker_offline(w);
	return NULL;
}

static void check_generation(uint32_t g)
{
	for (uint32_t i = 0; i < SAS; i++) {
		const struct sa_state *st = sa[i].st;
		assert_int_equal(st->seq, sa[i].n_given);
		assert_true(st->seq < TAKEN_MAX);
		for (uint32_t s = 1; s <= st->seq; s++) {
			if (sa[i].given[s] != 1)
				fail_msg("generation %u, SA %u: number %u was given out %u times", g, i, s,
					sa[i].given[s]);
			if (sa[i].taken[s] > 1)
				fail_msg("generation %u, SA %u: number %u was accepted %u times", g, i, s,
					sa[i].taken[s]);
		}
		assert_true(st->owner == SA_NOBODYS || st->owner == SA_SHARED || st->owner <= WORKERS);
		assert_int_not_equal(st->owner, WORKER_MAIN);
		shared_sas += st->owner == SA_SHARED;
		state_reset(i);
	}
}

static void numbers_are_taken_once(void **state)
{
	(void)state;
	pthread_t t[WORKERS + 1];
	print_message("seed %u\n", seed);
	for (uint32_t i = 0; i < SAS; i++) {
		sa[i].st = aligned_alloc(64, RTE_ALIGN_CEIL(sizeof(struct sa_state) + replay_size(256), 64));
		assert_non_null(sa[i].st);
		state_reset(i);
	}
	assert_int_equal(pthread_barrier_init(&barrier, NULL, WORKERS + 2), 0);
	for (uint32_t i = 0; i <= WORKERS; i++)
		assert_int_equal(pthread_create(&t[i], NULL, one_worker, dp_workers[i]), 0);
	for (uint32_t g = 0; g < GENERATIONS; g++) {
		pthread_barrier_wait(&barrier);
		check_generation(g);
		pthread_barrier_wait(&barrier);
	}
	for (uint32_t i = 0; i <= WORKERS; i++)
		pthread_join(t[i], NULL);
	assert_true(shared_sas > 0);
	for (uint32_t i = 0; i < SAS; i++)
		free(sa[i].st);
}

/* The steps one by one: whose it is, and that main, or a second worker, makes it everybody's for good. */
static void an_sa_is_shared_when_a_second_one_comes(void **state)
{
	(void)state;
	struct sa_state st = {.owner = SA_NOBODYS};
	assert_true(sa_mine(dp_workers[2], &st));
	assert_int_equal(st.owner, 2);
	assert_true(sa_mine(dp_workers[2], &st));
	assert_false(sa_mine(dp_workers[1], &st)); /* the owner is offline: nothing to wait for */
	assert_int_equal(st.owner, SA_SHARED);
	assert_false(sa_mine(dp_workers[2], &st));
	st.owner = SA_NOBODYS;
	assert_false(sa_mine(worker_main(), &st));
	assert_int_equal(st.owner, SA_SHARED);
	st.owner = 1;
	assert_false(sa_mine(worker_main(), &st));
	assert_int_equal(st.owner, SA_SHARED);
}

static struct {
	struct sa_state st;
	bool done;
} waiting = {.st = {.owner = 1}};

static void *second_comes(void *arg)
{
	worker_online(arg);
	(void)sa_mine(arg, &waiting.st);
	__atomic_store_n(&waiting.done, true, __ATOMIC_RELEASE);
	worker_offline(arg);
	return NULL;
}

/* While the owner has not passed a turn nobody else goes on. */
static void the_owner_is_waited_for(void **state)
{
	(void)state;
	pthread_t t;
	worker_online(dp_workers[1]);
	assert_int_equal(pthread_create(&t, NULL, second_comes, dp_workers[2]), 0);
	while (__atomic_load_n(&waiting.st.owner, __ATOMIC_ACQUIRE) == 1)
		;
	for (int i = 0; i < 1000; i++)
		assert_false(__atomic_load_n(&waiting.done, __ATOMIC_ACQUIRE));
	assert_int_equal(waiting.st.owner, SA_SHARING | 1u);
	worker_quiescent(dp_workers[1]);
	pthread_join(t, NULL);
	assert_true(waiting.done);
	assert_int_equal(waiting.st.owner, SA_SHARED);
	worker_offline(dp_workers[1]);
}

int main(int argc, char **argv)
{
	if (argc > 1)
		seed = (unsigned)strtoul(argv[1], NULL, 0);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_sa_is_shared_when_a_second_one_comes),
		cmocka_unit_test(the_owner_is_waited_for),
		cmocka_unit_test(numbers_are_taken_once),
	};
	return cmocka_run_group_tests(tests, frame_env_setup, NULL);
}
