/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * IKE_FOLLOWUP_KE (RFC 9370 2.2.4), two engines against each other. The suite test_ike_v2_life runs with it as well:
 * collisions, loss, restarts.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

/* its inline functions have a parameter named as the pair of engines is */
#include "v2_int.h"

#include "ike_env.h"
#include "ike_proposals.h"

#define FOLLOWUP 44

static unsigned by_exchange[256]; /* messages of each type that were sent */
static uint64_t block_until;	  /* requests of host 0 in exchange 44 are lost until then */

static bool watch(struct pair *q, int from, unsigned n, const uint8_t *data, size_t len)
{
	(void)len, (void)n;
	by_exchange[data[18]]++;
	return !(from == 0 && data[18] == FOLLOWUP && !(data[19] & 0x20) && q->now < block_until);
}

static void both(struct cv_config *c, int host)
{
	(void)host;
	ike_proposal_three_exchanges(c);
}

static void start(void (*tweak)(struct cv_config *c, int host))
{
	p = pair_new(CFG_IKEV2, tweak);
	p->filter = watch;
	block_until = 0;
	bring_up();
	memset(by_exchange, 0, sizeof(by_exchange));
}

static void soft_child(int host)
{
	ike_child_expire(p->h[host].ike, pair_newest(p, host)->id, false);
}

static void soft_ike(int host)
{
	struct ike_sa *sa = TAILQ_FIRST(&p->h[host].ike->sas);
	ike_enter(p->h[host].ike);
	sa->v->sa_rekey(sa);
	ike_leave(p->h[host].ike);
}

/* ---- what the keys are made of: values computed by Python's hmac and hashlib ---- */

static const uint8_t *fill(uint8_t *b, uint8_t value, size_t len)
{
	memset(b, value, len);
	return b;
}

static void vectors(void **state)
{
	static const uint8_t want_child[72] = {0x44, 0x49, 0xb0, 0x16, 0x9a, 0xb8, 0x2a, 0x04, 0x3e, 0xbd, 0x65, 0x98,
		0x8a, 0x56, 0x13, 0xb9, 0xc8, 0xb7, 0x84, 0x76, 0x38, 0x68, 0x95, 0x93, 0x90, 0x74, 0x65, 0x8b, 0x12,
		0x38, 0x65, 0x6f, 0x9d, 0x83, 0xa2, 0x93, 0x2a, 0xe7, 0xb9, 0xdd, 0x47, 0x74, 0xc9, 0xcf, 0xa9, 0xcc,
		0x30, 0xe4, 0x5b, 0x0a, 0x7f, 0x36, 0x23, 0x14, 0x89, 0x91, 0xec, 0xf1, 0x2d, 0x06, 0x47, 0x80, 0x28,
		0x27, 0xd8, 0x80, 0x8a, 0x90, 0x0e, 0xe4, 0xed, 0x34};
	static const uint8_t want_d[32] = {0x4f, 0x7c, 0xb3, 0x12, 0x25, 0x80, 0x82, 0x86, 0x5c, 0xc8, 0x78, 0x50, 0xd6,
		0x0d, 0xb5, 0x7a, 0x8c, 0xf3, 0x4b, 0x40, 0x7e, 0x8a, 0x6b, 0x79, 0x4e, 0xa9, 0x46, 0xe0, 0x8c, 0xbf,
		0x59, 0x32};
	static const uint8_t want_ei[20] = {0xaa, 0x82, 0xc1, 0x6f, 0xda, 0x79, 0x39, 0xef, 0x46, 0x9a, 0x48, 0xed,
		0xc8, 0x34, 0xf5, 0xe6, 0x7f, 0x20, 0xad, 0x16};
	uint8_t d[32], sk0[32], more[56], out[72];
	struct v2_setup setup = {.ni = {.len = 32}, .nr = {.len = 24}};
	struct v2_sa sa = {
		.setup = &setup, .suite = {.encr = IKE_ENCR_AES_GCM16, .key_bits = 128, .prf = IKE_PRF_HMAC_SHA256}};
	struct v2_nonces nonces;
	(void)state;
	for (unsigned i = 0; i < sizeof(d); i++)
		d[i] = (uint8_t)i;
	fill(setup.ni.b, 0x11, 32);
	fill(setup.nr.b, 0x22, 24);
	fill(sa.sa.spi_i, 1, IKE_SPI_LEN);
	fill(sa.sa.spi_r, 2, IKE_SPI_LEN);
	fill(sk0, 0xa0, sizeof(sk0));
	fill(more, 0xb1, 40); /* SK(1), SK(2) */
	fill(more + 40, 0xc2, 16);
	nonces.i = setup.ni;
	nonces.r = setup.nr;
	memcpy(sa.keys.d, d, sizeof(d));
	sa.keys.d_len = sizeof(d);
	assert_int_equal(v2_keymat(&sa, (struct v2_view){sk0, 32}, &nonces, (struct v2_view){more, 56}, out, 72), 0);
	assert_memory_equal(out, want_child, sizeof(want_child));
	assert_int_equal(
		v2_derive(&sa, sk0, 32, d, sizeof(d), IKE_PRF_HMAC_SHA256, (struct v2_view){more, sizeof(more)}), 0);
	assert_memory_equal(sa.keys.d, want_d, sizeof(want_d));
	assert_memory_equal(sa.keys.ei, want_ei, sizeof(want_ei));
}

/* ---- the exchanges ---- */

/* One CREATE_CHILD_SA, two IKE_FOLLOWUP_KE, one delete of the old one: no more and no less, whoever begins. */
static void counts(void)
{
	assert_int_equal(by_exchange[V2_CREATE_CHILD_SA], 2);
	assert_int_equal(by_exchange[FOLLOWUP], 4);
	assert_int_equal(by_exchange[V2_INFORMATIONAL], 2);
	memset(by_exchange, 0, sizeof(by_exchange));
}

static void rekeys(void **state)
{
	(void)state;
	start(both);
	p->traffic_ms = 10;
	for (int host = 0; host < 2; host++) {
		soft_child(host);
		pair_run(p, 5000);
		assert_true(pair_children_agree(p, 1));
		counts();
		soft_ike(host);
		pair_run(p, 5000);
		assert_int_equal(pair_n_sas(p, 0) + pair_n_sas(p, 1), 2);
		assert_string_equal(pair_show(p, 0, "additional_groups"), "ecp256 curve448");
		counts();
	}
	assert_int_equal(pair_stat(p, 0, "followup_ke"), 8);
	assert_int_equal(pair_stat(p, 1, "followup_ke"), 8);
	assert_int_equal(p->h[0].esp_unknown + p->h[1].esp_unknown, 0);
	soft_child(0); /* the last IKE SA has the same keys at both ends */
	pair_run(p, 5000);
	assert_true(pair_children_agree(p, 1));
}

static void only_left(struct cv_config *c, int host)
{
	ike_proposal_three_exchanges(c);
	if (host) {
		c->map->entry->pfs = IKE_GROUP_NONE;
		c->map->entry->n_addke = 0;
	}
}

static void only_right(struct cv_config *c, int host)
{
	only_left(c, !host);
}

/* Who demands nothing does what its peer demands; who demands gets it or nothing. */
static void one_side(void **state)
{
	(void)state;
	start(only_left);
	soft_child(0);
	pair_run(p, 5000);
	assert_true(pair_children_agree(p, 1));
	counts();
	teardown(NULL);
	start(only_right);
	soft_child(0);
	pair_run(p, 5000);
	assert_int_equal(by_exchange[FOLLOWUP], 0);
	assert_int_equal(pair_stat(p, 1, "no_proposal_chosen"), 1);
	assert_true(pair_children_agree(p, 1)); /* the old one */
}

static void each_message_lost(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 8; n++)
		for (int ike = 0; ike < 2; ike++) {
			start(both);
			p->filter = pair_lose_nth;
			p->drop_nth = p->n_ike + n;
			p->async_ms = 10;
			p->traffic_ms = 10;
			if (ike)
				soft_ike(0);
			else
				soft_child(0);
			pair_run(p, 60000); /* also the repeats of a delete that nobody answers any more */
			assert_true(pair_children_agree(p, 1));
			assert_int_equal(pair_n_sas(p, 0) + pair_n_sas(p, 1), 2);
			assert_int_equal(pair_stat(p, 0, ike ? "sa_rekeyed" : "child_rekeyed"), 1);
			assert_int_equal(p->h[0].esp_unknown + p->h[1].esp_unknown, 0);
			teardown(NULL);
		}
}

/* The request comes so late that the peer has given up: STATE_NOT_FOUND, and once more from the beginning. */
static void too_late(void **state)
{
	(void)state;
	for (int ike = 0; ike < 2; ike++) {
		start(both);
		block_until = p->now + 25000;
		if (ike)
			soft_ike(0);
		else
			soft_child(0);
		pair_run(p, 60000);
		assert_true(pair_children_agree(p, 1));
		assert_int_equal(pair_n_sas(p, 0) + pair_n_sas(p, 1), 2);
		assert_int_equal(pair_stat(p, 0, ike ? "sa_rekeyed" : "child_rekeyed"), 1);
		assert_true(by_exchange[V2_CREATE_CHILD_SA] >= 4);
		assert_int_equal(pair_events(p, 0, IKE_EVT_DOWN), 0);
		teardown(NULL);
	}
}

/* The initiator is gone in the middle: the responder forgets what it has begun, and its own rekey goes through. */
static void given_up(void **state)
{
	(void)state;
	for (int ike = 0; ike < 2; ike++) {
		start(both);
		block_until = p->now + 5000;
		if (ike)
			soft_ike(0);
		else
			soft_child(0);
		pair_run(p, 100);
		pair_restart(p, 0); /* what it knew of the series dies with the process */
		pair_run(p, 60000);
		assert_int_equal(pair_n_sas(p, 0) + pair_n_sas(p, 1), 2);
		if (ike)
			soft_ike(1);
		else
			soft_child(1);
		pair_run(p, 20000);
		assert_true(pair_children_agree(p, 1));
		assert_int_equal(pair_stat(p, 1, ike ? "sa_rekeyed" : "child_rekeyed"), 1);
		teardown(NULL);
	}
}

static bool asked_44;
static bool ask(struct pair *q, int from, unsigned n, const uint8_t *data, size_t len)
{
	(void)q, (void)n, (void)len;
	asked_44 |= from == 0 && data[18] == FOLLOWUP && !(data[19] & 0x20);
	return true;
}
static bool asked(struct pair *q)
{
	(void)q;
	return asked_44;
}

/* A peer that forgets every time is no peer (RFC 9370 2.2.4). */
static void always_forgotten(void **state)
{
	(void)state;
	for (int ike = 0; ike < 2; ike++) {
		start(both);
		p->filter = ask;
		if (ike)
			soft_ike(0);
		else
			soft_child(0);
		for (unsigned i = 0; i < 7; i++) {
			asked_44 = false;
			assert_true(pair_until(p, asked, 60000));
			pair_restart(p, 1);
		}
		pair_run(p, 1000);
		assert_string_equal(pair_reason(p, 0, IKE_EVT_DOWN), "the peer has given up the exchange");
		teardown(NULL);
	}
}

int main(void)
{
#define T(f) cmocka_unit_test_teardown(f, teardown)
	const struct CMUnitTest tests[] = {cmocka_unit_test(vectors), T(rekeys), T(one_side), T(each_message_lost),
		T(too_late), T(given_up), T(always_forgotten)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
