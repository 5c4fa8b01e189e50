/* SPDX-License-Identifier: BSD-3-Clause */
/* Call admission control: CAC-T1, T2, T5, T6, and what a flood of forged first messages can do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <malloc.h>
#include <string.h>

#include "cv_addr.h"
#include "ike_net.h"

static struct cfg_cac limits; /* of the hub */
static uint32_t half_open_max;

static void tweak(struct cv_config *c, unsigned node)
{
	if (node)
		return;
	limits.scale = limits.scale ? limits.scale : 100;
	limits.poll_s = 1;
	c->cac = limits;
	if (half_open_max)
		c->half_open_max = half_open_max;
}

static struct net *start(unsigned n, enum cfg_ike_version v, struct cfg_cac cac)
{
	limits = cac;
	half_open_max = 0;
	return net_new(n, v, tweak);
}

static struct ike_cac_stats stats(struct net *net, unsigned i)
{
	struct ike_cac_stats s;
	ike_cac_stats(net->node[i].ike, &s);
	/* CAC-20 */
	assert_int_equal(s.in.rejected + s.out.rejected, s.rsrc_low + s.by_sa_limit);
	return s;
}

static uint64_t counter(struct net *net, unsigned i, const char *name)
{
	json_t *o = ike_show_stats(net->node[i].ike);
	uint64_t n = (uint64_t)json_integer_value(json_object_get(o, name));
	json_decref(o);
	return n;
}

static void connect_spoke(struct net *net, unsigned spoke)
{
	net_acquire(net, spoke, 0);
	net_deliver(net, UINT32_MAX);
	net_run(net, 100); /* IKEv1 uses a pair a moment after message 3 */
}

/* CAC-T1 (CAC-1, CAC-3, CAC-4, CAC-5, CAC-6, CAC-7, CAC-8, CAC-9, CAC-12): 25 of 26 peers get in; the 25 go on
 * rekeying. */
static void limit_25(enum cfg_ike_version version)
{
	struct net *net = start(27, version, (struct cfg_cac){.ike_sa = 25});
	struct ike_cac_stats s;
	for (unsigned i = 1; i <= 25; i++)
		connect_spoke(net, i);
	s = stats(net, 0);
	assert_int_equal(s.active, 25);
	assert_int_equal(s.negotiating, 0);
	assert_int_equal(s.in.accepted, 25);
	assert_int_equal(s.in.rejected, 0);
	connect_spoke(net, 26);
	s = stats(net, 0);
	assert_int_equal(s.active, 25);
	assert_int_equal(s.in.rejected, 1);
	assert_int_equal(s.by_sa_limit, 1);
	assert_int_equal(s.rsrc_low, 0);
	/* CAC-8: the message names source and destination */
	assert_int_equal(net->node[0].events[IKE_EVT_REFUSED], 1);
	assert_true(cv_addr_eq(&net->node[0].refused.remote, &net->node[26].addr));
	assert_true(cv_addr_eq(&net->node[0].refused.local, &net->node[0].addr));
	/* the hub may not call either (CAC-1) */
	net_acquire(net, 0, 25);
	s = stats(net, 0);
	assert_int_equal(s.out.rejected, 1);
	assert_string_equal(net->node[0].reason, "call admission control");
	/* CAC-4: rekeying of IKE SAs and of children, a day long */
	uint64_t rejected = s.in.rejected;
	net->node[26].cfg->map->n_entry = 1;
	unsigned children = net->node[0].children;
	assert_int_equal(children, 25);
	net_run(net, 90000ull * 1000);
	assert_true(counter(net, 0, "child_rekeyed") >= 25);
	assert_int_equal(stats(net, 0).active, 25);
	assert_true(stats(net, 0).in.rejected >= rejected);
	assert_true(net->node[0].children >= 25);
	/* one leaves, another may come (CAC-9) */
	struct ike_match m = {.fvrf = -1, .ivrf = -1, .remote = &net->node[3].addr};
	assert_int_equal(ike_clear(net->node[0].ike, &m), 1);
	net_run(net, 2000);
	assert_int_equal(stats(net, 0).active, 24);
	connect_spoke(net, 26);
	net_run(net, 10000);
	assert_int_equal(stats(net, 0).active, 25);
	net_free(net);
}

static void cac_t1_ikev2(void **state)
{
	(void)state;
	limit_25(CFG_IKEV2);
}

static void cac_t1_ikev1(void **state)
{
	(void)state;
	limit_25(CFG_IKEV1);
}

/* CAC-T2 (CAC-13, CAC-14, CAC-16, CAC-17, Q1): a charge at the limit passes, one above it does not. */
static void cac_t2_resources(void **state)
{
	(void)state;
	struct net *net = start(5, CFG_IKEV2, (struct cfg_cac){.charge = 9000});
	net->node[0].load = 9000;
	net_run(net, 1000);
	connect_spoke(net, 1);
	assert_int_equal(stats(net, 0).in.accepted, 1);
	net->node[0].load = 9001;
	net_run(net, 1000);
	assert_int_equal(stats(net, 0).charge, 9001);
	connect_spoke(net, 2);
	assert_int_equal(stats(net, 0).rsrc_low, 1);
	assert_int_equal(stats(net, 0).in.rejected, 1);
	assert_string_equal(net->node[0].reason, "incoming, system resources low"); /* CAC-Q5 */
	/* CAC-Q4: resources count first when both limits trip; CAC-17: the scale */
	limits.ike_sa = 1;
	limits.scale = 50;
	net_reconfigure(net, 0, CFG_IKEV2, tweak);
	assert_int_equal(stats(net, 0).charge, 4500);
	net->node[0].load = 20000;
	net_run(net, 1000);
	uint64_t by_limit = stats(net, 0).by_sa_limit, low = stats(net, 0).rsrc_low;
	connect_spoke(net, 3);
	assert_int_equal(stats(net, 0).by_sa_limit, by_limit);
	assert_true(stats(net, 0).rsrc_low > low);
	/* the peers that were refused come in by themselves when the shortage is over */
	limits.ike_sa = 0;
	net_reconfigure(net, 0, CFG_IKEV2, tweak);
	net->node[0].load = 10;
	net_run(net, 40000);
	assert_int_equal(stats(net, 0).active, 3);
	net_free(net);
}

/* CAC-15, CAC-19: the load covers SAs and negotiations; with scale 100 charge and percentage agree. */
static void cac_load(void **state)
{
	(void)state;
	struct net *net = start(3, CFG_IKEV2, (struct cfg_cac){.charge = 100});
	net->node[0].load = 82;
	net_run(net, 1000);
	struct ike_cac_stats s = stats(net, 0);
	assert_int_equal(s.charge, 82);
	assert_int_equal(s.unscaled, 82);
	assert_int_equal(s.charge_limit, 100);
	net_free(net);
}

static bool stop_auth(struct net *net, unsigned from, uint8_t *data, size_t len)
{
	(void)net, (void)len;
	return !(from && data[17] == 0x20 && data[18] == 35); /* IKE_AUTH of the spokes */
}

/* CAC-T5 (CAC-10, CAC-11, Q7): negotiations have a limit of their own; what is under way may finish one above. */
static void cac_t5_in_negotiation(void **state)
{
	(void)state;
	struct net *net = start(15, CFG_IKEV2, (struct cfg_cac){.ike_sa = 10, .in_negotiation = 2});
	for (unsigned i = 1; i <= 9; i++)
		connect_spoke(net, i);
	assert_int_equal(stats(net, 0).active, 9);
	net->filter = stop_auth;
	connect_spoke(net, 10);
	connect_spoke(net, 11);
	assert_int_equal(stats(net, 0).negotiating, 2);
	assert_int_equal(stats(net, 0).in.rejected, 0);
	connect_spoke(net, 12);
	assert_int_equal(stats(net, 0).negotiating, 2);
	assert_int_equal(stats(net, 0).in.rejected, 1);
	net->filter = NULL;
	net_run(net, 3000); /* retransmissions */
	/* CAC-Q7: the overshoot is at most the negotiations that were under way */
	assert_true(stats(net, 0).active == 10 || stats(net, 0).active == 11);
	assert_int_equal(stats(net, 0).negotiating, 0);
	uint64_t before = stats(net, 0).by_sa_limit;
	connect_spoke(net, 13);
	assert_true(stats(net, 0).by_sa_limit > before);
	assert_true(stats(net, 0).active <= 11);
	net_free(net);
}

/* CAC-T6 (CAC-22). */
static void cac_t6_clear(void **state)
{
	(void)state;
	struct net *net = start(4, CFG_IKEV2, (struct cfg_cac){.ike_sa = 2});
	for (unsigned i = 1; i <= 3; i++)
		connect_spoke(net, i);
	assert_int_equal(stats(net, 0).in.accepted, 2);
	assert_true(stats(net, 0).by_sa_limit >= 1);
	ike_cac_clear(net->node[0].ike);
	struct ike_cac_stats s = stats(net, 0);
	assert_int_equal(s.in.accepted + s.in.rejected + s.out.accepted + s.out.rejected, 0);
	assert_int_equal(s.by_sa_limit + s.rsrc_low, 0);
	assert_int_equal(s.active, 2);
	assert_int_equal(s.sa_limit, 2);
	net_free(net);
}

/* CAC-2, CAC-21: without a limit nothing is refused, and the limits are shown as 0. */
static void cac_off(void **state)
{
	(void)state;
	struct net *net = start(40, CFG_IKEV2, (struct cfg_cac){0});
	for (unsigned i = 1; i < 40; i++)
		connect_spoke(net, i);
	struct ike_cac_stats s = stats(net, 0);
	assert_int_equal(s.active, 39);
	assert_int_equal(s.in.rejected, 0);
	assert_int_equal(s.sa_limit + s.negotiation_limit + s.charge_limit, 0);
	net_free(net);
}

/* ---- floods ---- */

static uint8_t captured[4096];
static size_t captured_len;

static bool capture(struct net *net, unsigned from, uint8_t *data, size_t len)
{
	(void)net, (void)from;
	if (captured_len || len > sizeof(captured))
		return true;
	memcpy(captured, data, len);
	captured_len = len;
	return true;
}

/*
 * 100,000 forged first messages from as many addresses, each with its own SPI, while a customer connects: the engine's
 * memory stays within what the half-open SAs below the cookie threshold take, few events are told, the customer gets
 * in.
 */
static void flood(enum cfg_ike_version version, bool named_peer)
{
	limits = (struct cfg_cac){0};
	half_open_max = 64;
	struct net *net = net_new(4, version, tweak);
	net->filter = capture;
	captured_len = 0;
	connect_spoke(net, 1);
	assert_true(captured_len > 100);
	struct ike_path path = {.local = net->node[0].addr, .lport = 500, .rport = 500};
	size_t before = mallinfo2().uordblks;
	for (unsigned i = 0; i < 100000; i++) {
		captured[0] = (uint8_t)(i >> 16), captured[1] = (uint8_t)(i >> 8), captured[2] = (uint8_t)i;
		path.remote = named_peer ? net->node[2].addr
					 : (struct cv_addr){.af = CV_AF_INET,
						   .b = {203, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i}};
		net_inject(net, 0, &path, captured, captured_len);
		if (net->queue)
			net_deliver(net, UINT32_MAX);
		if (i == 50000)
			connect_spoke(net, 3); /* a customer, in the middle of it */
	}
	size_t after = mallinfo2().uordblks;
	struct ike_cac_stats s = stats(net, 0);
	assert_true(s.negotiating <= 64);
	assert_true(after < before + 64 * 16384);
	assert_int_equal(s.active, 2);
	unsigned told = 0;
	for (unsigned e = 0; e <= IKE_EVT_REFUSED; e++)
		told += net->node[0].events[e];
	assert_true(told < 100);
	if (version == CFG_IKEV2)
		assert_true(counter(net, 0, "cookies_sent") > 99000);
	/* and it is over when it is over */
	net_run(net, 120000);
	assert_int_equal(stats(net, 0).negotiating, 0);
	net_free(net);
}

static void flood_v2(void **state)
{
	(void)state;
	flood(CFG_IKEV2, true);
}

static void rate_20(struct cv_config *c, unsigned node)
{
	tweak(c, node);
	c->cookie_rate = node ? 0 : 20;
}

/*
 * Cookies are demanded by the rate of first messages as well: 30 customers in one second make no half-open SAs to speak
 * of, and the last of them have to prove their addresses; a second and a half later nobody has to.
 */
static void cookies_by_rate(void **state)
{
	(void)state;
	limits = (struct cfg_cac){0};
	half_open_max = 0;
	struct net *net = net_new(34, CFG_IKEV2, rate_20);
	for (unsigned i = 1; i <= 20; i++) {
		connect_spoke(net, i);
		net->now -= 90; /* connect_spoke() lets 100 ms pass */
	}
	assert_int_equal(counter(net, 0, "cookies_sent"), 0);
	for (unsigned i = 21; i <= 30; i++) {
		connect_spoke(net, i);
		net->now -= 90;
	}
	assert_int_equal(counter(net, 0, "cookies_sent"), 10);
	assert_int_equal(stats(net, 0).active, 30);
	net_run(net, 1000);
	connect_spoke(net, 31); /* the second before this one was busy */
	net_run(net, 2000);
	uint64_t sent = counter(net, 0, "cookies_sent");
	connect_spoke(net, 32);
	assert_int_equal(counter(net, 0, "cookies_sent"), sent);
	assert_int_equal(stats(net, 0).active, 32);
	net_free(net);
}

/*
 * 100,000 forged first messages a second, from addresses and with SPIs that never come again, for two seconds, and 19
 * customers who connect meanwhile: every one of them is in within a second, the flood leaves no more half-open SAs than
 * come in before the rate is known, and none by the end.
 */
static void customers_in_a_flood(void **state)
{
	(void)state;
	limits = (struct cfg_cac){0};
	half_open_max = 0;
	struct net *net = net_new(21, CFG_IKEV2, rate_20);
	net->filter = capture;
	captured_len = 0;
	connect_spoke(net, 20);
	struct ike_path path = {.local = net->node[0].addr, .lport = 500, .rport = 500};
	path.remote = net->node[19].addr; /* one that has an entry: else the message is refused for that */
	for (unsigned i = 0; i < 200000; i++) {
		captured[0] = (uint8_t)(i >> 16), captured[1] = (uint8_t)(i >> 8), captured[2] = (uint8_t)i;
		path.rport = (uint16_t)(1024 + i % 60000);
		net_inject(net, 0, &path, captured, captured_len);
		if (i % 100 == 99) {
			net_run(net, 1);
			assert_true(stats(net, 0).negotiating <= 22);
		}
		if (i % 10000 == 9999 && i / 10000 < 19)
			net_acquire(net, 1 + i / 10000, 0);
	}
	net_run(net, 1000);
	assert_int_equal(stats(net, 0).active, 20);
	assert_true(counter(net, 0, "cookies_sent") > 199000);
	net_run(net, 60000);
	assert_int_equal(stats(net, 0).negotiating, 0);
	net_free(net);
}

/* ---- puzzles (RFC 8019) ---- */

static uint8_t answer[512]; /* the hub's last */
static size_t answer_len;

static bool watch_hub(struct net *net, unsigned from, uint8_t *data, size_t len)
{
	if (!from && len <= sizeof(answer)) {
		memcpy(answer, data, len);
		answer_len = len;
	}
	return capture(net, from, data, len);
}

static void with_puzzles(struct cv_config *c, unsigned node)
{
	tweak(c, node);
	if (node == 2) /* knows no puzzles */
		c->puzzle_solve_max = 0;
	if (node)
		return;
	c->cookie_threshold = 0;
	c->cookie_rate = 0;
	c->puzzle_threshold = 16;
	c->puzzle_difficulty = 8;
}

/* The captured message from `path` with the cookie that the hub's answer demands in front of it. */
static void return_cookie(struct net *net, const struct ike_path *path)
{
	uint8_t b[sizeof(captured) + 128];
	size_t cookie = (size_t)(answer[30] << 8 | answer[31]), len = captured_len + cookie;
	assert_true(answer_len >= 28 + cookie && cookie < 128);
	memcpy(b, captured, 28);
	memcpy(b + 28, answer + 28, cookie);
	memcpy(b + 28 + cookie, captured + 28, captured_len - 28);
	b[28] = captured[16]; /* the chain: header, Notify, what was there */
	b[16] = 41;
	b[26] = (uint8_t)(len >> 8);
	b[27] = (uint8_t)len;
	net_inject(net, 0, path, b, len);
}

/*
 * 4000 requests from addresses that are real: they return their cookies, but do no work. They get half of the places
 * above the threshold at most; a customer who solves puzzles gets in at once, one who does not when it is over.
 */
static void bots_do_not_work(void **state)
{
	(void)state;
	limits = (struct cfg_cac){0};
	half_open_max = 64;
	struct net *net = net_new(16, CFG_IKEV2, with_puzzles);
	net->filter = watch_hub;
	captured_len = 0;
	connect_spoke(net, 15); /* below the threshold: a cookie is enough, and captured is without it */
	assert_int_equal(counter(net, 0, "puzzles_sent"), 0);
	struct ike_path path = {.local = net->node[0].addr, .lport = 500, .rport = 500};
	for (unsigned i = 0; i < 4000; i++) {
		captured[0] = (uint8_t)(i >> 8), captured[1] = (uint8_t)i;
		path.remote = net->node[3 + i % 12].addr;
		answer_len = 0;
		net_inject(net, 0, &path, captured, captured_len);
		return_cookie(net, &path);
		net_deliver(net, UINT32_MAX);
		assert_true(stats(net, 0).negotiating <= 16 + (64 - 16) / 2);
	}
	assert_true(stats(net, 0).negotiating > 16);
	assert_true(counter(net, 0, "puzzles_sent") > 4000);
	assert_true(counter(net, 0, "puzzles_excused") > 0);
	assert_int_equal(counter(net, 0, "puzzles_solved"), 0);
	connect_spoke(net, 1);
	assert_int_equal(stats(net, 0).active, 2);
	assert_int_equal(counter(net, 0, "puzzles_solved"), 1);
	assert_int_equal(counter(net, 1, "puzzles_worked"), 1);
	net_acquire(net, 2, 0);
	net_deliver(net, UINT32_MAX);
	net_run(net, 60000);
	net_acquire(net, 2, 0);
	net_deliver(net, UINT32_MAX);
	net_run(net, 60000);
	assert_int_equal(stats(net, 0).active, 3);
	assert_int_equal(stats(net, 0).negotiating, 0);
	net_free(net);
}

static void flood_v1(void **state)
{
	(void)state;
	flood(CFG_IKEV1, true);
}

static void flood_v1_strangers(void **state)
{
	(void)state;
	flood(CFG_IKEV1, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cac_t1_ikev2),
		cmocka_unit_test(cac_t1_ikev1),
		cmocka_unit_test(cac_t2_resources),
		cmocka_unit_test(cac_load),
		cmocka_unit_test(cac_t5_in_negotiation),
		cmocka_unit_test(cac_t6_clear),
		cmocka_unit_test(cac_off),
		cmocka_unit_test(flood_v2),
		cmocka_unit_test(cookies_by_rate),
		cmocka_unit_test(customers_in_a_flood),
		cmocka_unit_test(bots_do_not_work),
		cmocka_unit_test(flood_v1),
		cmocka_unit_test(flood_v1_strangers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
