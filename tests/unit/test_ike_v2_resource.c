/* SPDX-License-Identifier: BSD-3-Clause */
/* One child for each worker of the dataplane (RFC 9611), two engines against each other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "ike_env.h"

static uint8_t allowed[2]; /* by the profile of each host */

static void per_resource(struct cv_config *c, int i)
{
	c->ike_profile->per_resource = allowed[i];
}

static void begin(uint8_t a, uint8_t b)
{
	allowed[0] = a;
	allowed[1] = b;
	p = pair_new(CFG_IKEV2, per_resource);
	p->h[0].workers = p->h[1].workers = 4;
	pair_acquire(p, 0, 0);
	pair_run(p, 1000);
	assert_true(pair_children_agree(p, 1));
}

/* The pair of host i that carries both ways and is for this worker, 0 = for all. */
static struct pair_child *of_worker(int i, unsigned worker)
{
	struct pair_child *found = NULL;
	for (unsigned k = 0; k < PAIR_CHILD_MAX; k++) {
		struct pair_child *c = &p->h[i].child[k];
		if (c->used && c->inbound && c->outbound && !c->in_until && c->p.resource == worker)
			found = c;
	}
	return found;
}

/* Worker `worker` of host i sends by the pair for all. */
static void wants(int i, unsigned worker)
{
	assert_non_null(of_worker(i, 0));
	ike_child_resource(p->h[i].ike, of_worker(i, 0)->id, (uint8_t)worker);
	pair_run(p, 1000);
}

static void on_demand(void **state)
{
	(void)state;
	begin(3, 3);
	assert_true(of_worker(0, 0)->p.per_resource && of_worker(1, 0)->p.per_resource);
	for (unsigned w = 1; w <= 3; w++) {
		wants(0, w);
		assert_true(pair_children_agree(p, 1 + w));
		wants(0, w); /* it has one now */
		assert_true(pair_children_agree(p, 1 + w));
		assert_non_null(of_worker(0, w));
		assert_non_null(of_worker(1, w)); /* the peer binds them to its own workers */
		assert_memory_equal(
			of_worker(0, w)->p.sel, of_worker(0, 0)->p.sel, sizeof(struct cv_selector)); /* RFC 9611 3 */
	}
	wants(0, 4); /* one more than our own limit */
	assert_true(pair_children_agree(p, 4));
}

static void peer_limit(void **state)
{
	(void)state;
	begin(3, 1);
	wants(0, 2);
	assert_true(pair_children_agree(p, 2));
	wants(0, 3); /* TS_MAX_QUEUE */
	assert_true(pair_children_agree(p, 2));
	assert_int_equal(pair_stat(p, 0, "child_failed"), 0);
	unsigned n = p->n_ike;
	wants(0, 3);
	wants(0, 4);
	assert_int_equal(p->n_ike, n); /* it is not asked again ... */
	ike_child_expire(p->h[0].ike, of_worker(0, 2)->id, true);
	pair_run(p, 5000);
	assert_true(pair_children_agree(p, 1));
	wants(0, 3); /* ... before one of them is gone */
	assert_true(pair_children_agree(p, 2));
	assert_non_null(of_worker(0, 3));
}

/* A peer that does not know of it, or whose profile does not want it, is asked for no further child. */
static void peer_without(void **state)
{
	(void)state;
	for (int from = 0; from < 2; from++) {
		begin(from ? 0 : 3, from ? 3 : 0);
		unsigned n = p->n_ike;
		for (int i = 0; i < 2; i++) {
			assert_false(of_worker(i, 0)->p.per_resource);
			wants(i, 2);
		}
		assert_int_equal(p->n_ike, n);
		teardown(NULL);
	}
	begin(3, 3); /* for the teardown */
}

static void both_ends_ask(void **state)
{
	(void)state;
	begin(3, 3);
	for (int i = 0; i < 2; i++)
		ike_child_resource(p->h[i].ike, of_worker(i, 0)->id, (uint8_t)(3 + i));
	pair_run(p, 3000);
	assert_true(pair_children_agree(p, 3));
	for (unsigned w = 1; w <= 4; w++)
		wants(1, w);
	assert_true(pair_children_agree(p, 4));
}

static void rekeys(void **state)
{
	(void)state;
	begin(3, 3);
	for (unsigned w = 1; w <= 3; w++)
		wants(0, w);
	for (int i = 0; i < 2; i++)
		for (unsigned w = 0; w <= 3; w++) {
			uint32_t before = of_worker(i, w)->id;
			ike_child_expire(p->h[i].ike, before, false);
			pair_run(p, 10000);
			assert_true(pair_children_agree(p, 4));
			assert_int_not_equal(of_worker(i, w)->id, before);
			assert_true(of_worker(i, w)->p.per_resource);
		}
	wants(0, 4); /* what replaces another has its place, and no more */
	assert_true(pair_children_agree(p, 4));
}

/* What the vault gives back still knows its worker. */
static void restart(void **state)
{
	(void)state;
	begin(2, 2);
	wants(0, 2);
	pair_restart(p, 0);
	pair_run(p, 5000);
	assert_true(pair_children_agree(p, 2));
	ike_child_resource(p->h[0].ike, of_worker(0, 0)->id, 2);
	pair_run(p, 1000);
	assert_true(pair_children_agree(p, 2));
	wants(0, 3);
	assert_true(pair_children_agree(p, 3));
}

static void lossy(void **state)
{
	(void)state;
	begin(3, 3);
	p->loss = 25;
	p->dup = 25;
	p->jitter = 300;
	for (unsigned w = 1; w <= 3; w++)
		ike_child_resource(p->h[0].ike, of_worker(0, 0)->id, (uint8_t)w);
	pair_run(p, 60000);
	p->loss = p->dup = p->jitter = 0;
	pair_run(p, 30000);
	assert_true(pair_children_agree(p, 4));
	for (unsigned w = 0; w <= 3; w++)
		assert_non_null(of_worker(0, w));
}

int main(void)
{
#define TEST(t) cmocka_unit_test_teardown(t, teardown)
	const struct CMUnitTest tests[] = {
		TEST(on_demand),
		TEST(peer_limit),
		TEST(peer_without),
		TEST(both_ends_ask),
		TEST(rekeys),
		TEST(restart),
		TEST(lossy),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
