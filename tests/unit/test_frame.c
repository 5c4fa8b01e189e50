/* SPDX-License-Identifier: BSD-3-Clause */
/* Buffers, drops, stage cycles, and that nothing is freed while a worker may still look at it. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <rte_mempool.h>

#include "frame_env.h"
#include "profile.h"

static void packets_come_with_clean_metadata(void **state)
{
	(void)state;
	static const struct pkt_meta zero;
	for (int i = 0; i < 2; i++) {
		struct rte_mbuf *m = dp_alloc();
		assert_non_null(m);
		assert_memory_equal(pkt_meta(m), &zero, sizeof(zero));
		memset(pkt_meta(m), 0xff, sizeof(zero));
		assert_int_equal(rte_pktmbuf_headroom(m), DP_HEADROOM);
		assert_true(rte_pktmbuf_tailroom(m) >= CV_PKT_MAX + DP_TAILROOM);
		pkt_meta(m)->flags = 0;
		rte_pktmbuf_free(m);
	}
}

static void drops_are_counted_and_freed(void **state)
{
	(void)state;
	struct worker *w = dp_workers[1];
	unsigned before = rte_mempool_avail_count(dp_pool());
	struct rte_mbuf *m[10];
	for (int i = 0; i < 10; i++)
		m[i] = dp_alloc();
	dp_drop(w, m, 9, DROP_TTL);
	dp_drop1(w, m[9], DROP_NO_ROUTE);
	assert_int_equal(w->stats->drops[DROP_TTL], 9);
	assert_int_equal(w->stats->drops[DROP_NO_ROUTE], 1);
	assert_int_equal(worker_main()->stats->drops[DROP_TTL], 0);
	assert_int_equal(rte_mempool_avail_count(dp_pool()), before);
}

static void burn(uint64_t cycles)
{
	uint64_t end = rte_rdtsc() + cycles;
	while (rte_rdtsc() < end)
		;
}

static void a_stage_is_not_charged_for_the_stages_it_calls(void **state)
{
	(void)state;
	struct worker *w = dp_workers[1];
	profile_switch(true);
	profile_round(w);
	struct stage_mark outer = stage_begin(w);
	burn(20000);
	struct stage_mark inner = stage_begin(w);
	burn(2000000);
	stage_end(w, STAGE_ROUTE, 7, inner);
	stage_end(w, STAGE_IP_INPUT, 9, outer);
	const struct cv_stage_counters *in = &w->stats->profile.stage[STAGE_ROUTE],
				       *out = &w->stats->profile.stage[STAGE_IP_INPUT];
	assert_int_equal(in->packets, 7);
	assert_int_equal(out->packets, 9);
	assert_true(in->cycles >= 2000000);
	/* A machine that is busy can stretch either, but never move the inner's two million into the outer. */
	assert_true(out->cycles >= 20000);
	uint64_t total = in->cycles + out->cycles;
	struct stage_mark again = stage_begin(w);
	stage_end(w, STAGE_IP_INPUT, 0, again);
	assert_true(out->cycles < total);
	assert_int_equal(out->calls, 2);
	profile_switch(false);
	profile_round(w);
}

static void one_stage(struct worker *w)
{
	struct stage_mark m = stage_begin(w);
	stage_end(w, STAGE_FAST, 3, m);
}

/* Off, nothing is counted; an ended profile keeps its figures, a new one begins at zero. */
static void a_profile_counts_while_it_is_on(void **state)
{
	(void)state;
	struct worker *w = dp_workers[1];
	const struct cv_profile *p = &w->stats->profile;
	const uint64_t number = dp_segment()->profile_number;
	profile_switch(true);
	one_stage(w); /* of a round that had begun before */
	assert_int_equal(p->stage[STAGE_FAST].calls, 0);
	profile_round(w);
	one_stage(w);
	profile_round(w);
	one_stage(w);
	profile_round_count(w, 100, 6, true);
	profile_round_count(w, 50, 0, false);
	assert_int_equal(dp_segment()->profile_end, 0);
	profile_switch(false);
	profile_round(w);
	one_stage(w);
	assert_int_equal(p->number, number + 1);
	assert_int_equal(p->stage[STAGE_FAST].calls, 2);
	assert_int_equal(p->stage[STAGE_FAST].packets, 6);
	assert_int_equal(p->rounds, 1);
	assert_int_equal(p->packets, 6);
	assert_int_equal(p->busy_cycles, 100);
	assert_int_equal(p->idle_cycles, 50);
	const uint64_t ended = dp_segment()->profile_end;
	assert_true(ended > 0 && ended >= dp_segment()->profile_begin);
	profile_switch(false); /* once is enough */
	assert_int_equal(dp_segment()->profile_end, ended);
	profile_switch(true);
	profile_switch(true); /* anew */
	profile_round(w);
	assert_int_equal(p->number, number + 3);
	assert_int_equal(p->stage[STAGE_FAST].calls, 0);
	assert_int_equal(p->rounds, 0);
	profile_switch(false);
	profile_round(w);
}

static int ran;
static void *ran_with;

static void run_me(void *arg)
{
	ran++;
	ran_with = arg;
}

static void deferred_work_waits_for_every_worker(void **state)
{
	(void)state;
	struct worker *w = dp_workers[1];
	int x;
	ran = 0;
	worker_online(w);
	dp_defer(run_me, &x);
	dp_defer_run();
	assert_int_equal(ran, 0);
	worker_quiescent(w);
	dp_defer(run_me, NULL); /* after the quiescent point: one more is needed */
	dp_defer_run();
	assert_int_equal(ran, 1);
	assert_ptr_equal(ran_with, &x);
	worker_offline(w); /* a sleeping worker holds nothing up */
	dp_defer_run();
	assert_int_equal(ran, 2);
}

static void defer_again(void *arg)
{
	int *left = arg;
	if (--*left > 0)
		dp_defer(defer_again, left);
}

static void more_than_the_queue_holds(void **state)
{
	(void)state;
	int left = 10;
	ran = 0;
	dp_defer(defer_again, &left);
	for (int i = 0; i < 200000; i++)
		dp_defer(run_me, NULL);
	dp_quiesce();
	assert_int_equal(ran, 200000);
	assert_int_equal(left, 0);
}

/* A reader thread follows a pointer that main replaces; the old object is poisoned when it is freed. */
static uint64_t *published;
static int stop, bad;

static void poison(void *arg)
{
	*(uint64_t *)arg = 0;
	free(arg);
}

static void *reader(void *arg)
{
	struct worker *w = arg;
	worker_online(w);
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		const uint64_t *p = __atomic_load_n(&published, __ATOMIC_ACQUIRE);
		for (int i = 0; i < 50; i++)
			if (*(const volatile uint64_t *)p != 0x600d)
				bad = 1;
		worker_quiescent(w);
	}
	worker_offline(w);
	return NULL;
}

static uint64_t *object(void)
{
	uint64_t *p = malloc(sizeof(*p));
	assert_non_null(p);
	*p = 0x600d;
	return p;
}

static void readers_never_see_a_freed_object(void **state)
{
	(void)state;
	pthread_t t;
	published = object();
	assert_int_equal(pthread_create(&t, NULL, reader, dp_workers[1]), 0);
	for (int i = 0; i < 20000; i++) {
		uint64_t *old = published, *new = object();
		__atomic_store_n(&published, new, __ATOMIC_RELEASE);
		dp_defer(poison, old);
		dp_defer_run();
	}
	dp_quiesce();
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	(void)pthread_join(t, NULL);
	assert_int_equal(bad, 0);
	free(published);
}

static void the_clock_goes_forward(void **state)
{
	(void)state;
	uint64_t last = dp_now_ms();
	for (int i = 0; i < 1000; i++) {
		uint64_t now = dp_now_ms();
		assert_true(now >= last);
		last = now;
	}
	dp_clock_update();
	assert_in_range(dp_uptime_s(), last / 1000, last / 1000 + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(packets_come_with_clean_metadata),
		cmocka_unit_test(drops_are_counted_and_freed),
		cmocka_unit_test(a_stage_is_not_charged_for_the_stages_it_calls),
		cmocka_unit_test(a_profile_counts_while_it_is_on),
		cmocka_unit_test(deferred_work_waits_for_every_worker),
		cmocka_unit_test(more_than_the_queue_holds),
		cmocka_unit_test(readers_never_see_a_freed_object),
		cmocka_unit_test(the_clock_goes_forward),
	};
	return cmocka_run_group_tests(tests, frame_env_setup, NULL);
}
