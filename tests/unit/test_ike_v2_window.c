/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * IKEv2 with several requests under way (RFC 7296 2.2, 2.3): what it is good for, how windows are announced, and what
 * happens when message ids come to their end. What holds on a bad network is tests/property/test_ike_window.c.
 */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on
#include <string.h>

#include "ike_internal.h"
#include "v2_int.h"

#include "ike_env.h"

#define FLOWS 32u

static uint8_t size[2];

static void tweak(struct cv_config *c, int i)
{
	struct cfg_acl *a = c->acl;
	struct cfg_acl_line first = a->line[0];
	a->line = config_alloc(c, FLOWS, sizeof(*a->line));
	a->n_line = FLOWS;
	for (unsigned l = 0; l < FLOWS; l++) {
		struct cv_range *own = i ? &a->line[l].sel.dst : &a->line[l].sel.src;
		a->line[l] = first;
		a->line[l].seq = 10 * (l + 1);
		own->lo.b[3] = own->hi.b[3] = (uint8_t)l;
	}
	c->ike_profile->window_size = size[i];
}

static void start(uint8_t left, uint8_t right)
{
	size[0] = left;
	size[1] = right;
	p = pair_new(CFG_IKEV2, tweak);
}

static struct v2_sa *sa_of(int host)
{
	struct ike_sa *sa;
	TAILQ_FOREACH (sa, &p->h[host].ike->sas, all)
		if (sa->phase == IKE_PHASE_ESTABLISHED)
			return v2_of(sa);
	fail_msg("host %d has no IKE SA", host);
	return NULL;
}

static bool all_up(struct pair *pair)
{
	return pair_children_agree(pair, FLOWS);
}

/* Time for all children over a path with a round trip of 200 ms. */
static uint64_t time_for_all(uint8_t left, uint8_t right)
{
	start(left, right);
	p->delay_ms = 100;
	uint64_t begin = p->now;
	for (unsigned l = 0; l < FLOWS; l++)
		pair_acquire(p, 0, l);
	assert_true(pair_until(p, all_up, 60000));
	uint64_t took = p->now - begin;
	teardown(NULL);
	return took;
}

static void many_children_in_few_round_trips(void **state)
{
	(void)state;
	assert_in_range(time_for_all(1, 1), 200 * (FLOWS + 1), 220 * (FLOWS + 1));
	assert_in_range(time_for_all(8, 8), 200 * (2 + (FLOWS - 1) / 8), 220 * (3 + (FLOWS - 1) / 8));
	/* the window is the peer's to give */
	assert_in_range(time_for_all(8, 0), 200 * (FLOWS + 1), 220 * (FLOWS + 1));
	assert_in_range(time_for_all(0, 8), 200 * (2 + (FLOWS - 1) / 8), 220 * (3 + (FLOWS - 1) / 8));
}

static void shown(int host, const char *own, const char *peer)
{
	assert_string_equal(pair_show(p, host, "window"), own);
	assert_string_equal(pair_show(p, host, "peer_window"), peer);
}

/* A new IKE SA starts with windows of one and announces them again; and so does one from the vault go on. */
static void windows_of_successors(void **state)
{
	(void)state;
	for (int host = 0; host < 2; host++) {
		start(8, 5);
		pair_acquire(p, 0, 0);
		pair_run(p, 1000);
		shown(0, "8", "5");
		shown(1, "5", "8");
		struct v2_sa *before = sa_of(host);
		uint64_t id = before->sa.id;
		v2_sa_rekey(&before->sa);
		pair_run(p, 60000);
		assert_int_equal(pair_n_sas(p, 0), 1);
		assert_int_not_equal(sa_of(host)->sa.id, id);
		shown(0, "8", "5");
		shown(1, "5", "8");
		pair_restart(p, host);
		shown(0, "8", "5");
		shown(1, "5", "8");
		teardown(NULL);
	}
}

static void ids_are_used_once(void **state)
{
	(void)state;
	start(8, 8);
	pair_acquire(p, 0, 0);
	pair_run(p, 1000);
	struct v2_sa *sa = sa_of(0), *peer = sa_of(1);
	uint64_t id = sa->sa.id;
	/* all but the last ids have been used, in both directions of this way */
	sa->next_msgid = peer->peer_msgid = UINT32_MAX - 0xffffu;
	pair_acquire(p, 0, 1);
	pair_run(p, 60000);
	assert_true(pair_children_agree(p, 2));
	assert_int_not_equal(sa_of(0)->sa.id, id);
	assert_in_range(sa_of(0)->next_msgid, 0, 10);
	assert_int_equal(pair_stat(p, 0, "sa_rekeyed"), 1);
}

/* Where no rekeying helps, the SA ends: an id is not used again. */
static void no_id_left(void **state)
{
	(void)state;
	start(8, 8);
	pair_acquire(p, 0, 0);
	pair_run(p, 1000);
	struct v2_sa *sa = sa_of(0), *peer = sa_of(1);
	sa->next_msgid = peer->peer_msgid = UINT32_MAX;
	pair_acquire(p, 0, 1);
	pair_run(p, 1000);
	assert_string_equal(pair_reason(p, 0, IKE_EVT_DOWN), "message ids used up");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(many_children_in_few_round_trips, teardown),
		cmocka_unit_test_teardown(windows_of_successors, teardown),
		cmocka_unit_test_teardown(ids_are_used_once, teardown),
		cmocka_unit_test_teardown(no_id_left, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
