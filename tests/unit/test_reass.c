/* SPDX-License-Identifier: BSD-3-Clause */
/* Reassembly of what is addressed to us: any order, duplicates, overlaps, time and memory limits, both families. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <rte_ip.h>

#include "frag.h"
#include "fwd_env.h"
#include "iphdr.h"
#include "reass.h"

static struct rte_mbuf *part[FRAG_MAX];
static int n_parts;

static int teardown(void **state)
{
	(void)state;
	reass_tick(env_worker(), dp_now_ms() + 2 * REASS_MS);
	env_drain();
	return env_mbufs() != 0;
}

static void check(struct rte_mbuf *m)
{
	enum drop_reason why = *rte_pktmbuf_mtod(m, uint8_t *) >> 4 == 6 ? ip6_check(m) : ip4_check(m);

	assert_int_equal(why, DROP_NONE);
}

/* A packet cut into parts as a sender would, each with meta as ip_input leaves it. */
static void cut(bool ip6, unsigned payload, uint16_t mtu)
{
	struct rte_mbuf *m = ip6 ? env_udp("fd00::9", "fd00::1", 500, 500, payload)
				 : env_udp("10.0.0.9", "10.0.0.1", 500, 500, payload);

	check(m);
	n_parts = (ip6 ? frag_ipv6 : frag_ipv4)(env_worker(), m, mtu, part, FRAG_MAX);
	assert_true(n_parts > 1);
	for (int i = 0; i < n_parts; i++)
		check(part[i]);
}

static void expect_whole(struct rte_mbuf *m, bool ip6, unsigned payload)
{
	struct rte_mbuf *want = ip6 ? env_udp("fd00::9", "fd00::1", 500, 500, payload)
				    : env_udp("10.0.0.9", "10.0.0.1", 500, 500, payload);

	assert_non_null(m);
	assert_int_equal(m->nb_segs, 1);
	assert_int_equal(rte_pktmbuf_data_len(m), rte_pktmbuf_data_len(want));
	assert_memory_equal(rte_pktmbuf_mtod(m, void *), rte_pktmbuf_mtod(want, void *), rte_pktmbuf_data_len(want));
	assert_int_equal(pkt_meta(m)->frag, 0);
	assert_int_equal(pkt_meta(m)->l4_proto, IPPROTO_UDP);
	assert_true(ip_l4_sum_ok(m));
	rte_pktmbuf_free(want);
	rte_pktmbuf_free(m);
}

static void in_order(bool ip6, unsigned payload, const unsigned *order)
{
	struct rte_mbuf *whole = NULL;

	for (int i = 0; i < n_parts; i++) {
		assert_null(whole);
		whole = reass_input(env_worker(), part[order ? order[i] : (unsigned)i]);
	}
	expect_whole(whole, ip6, payload);
}

static void test_orders(void **state)
{
	static const unsigned orders[][4] = {{0, 1, 2, 3}, {3, 2, 1, 0}, {1, 3, 0, 2}, {2, 0, 3, 1}};

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		cut(false, 5000, 1400);
		assert_int_equal(n_parts, 4);
		in_order(false, 5000, orders[i]);
		cut(true, 5000, 1400);
		assert_int_equal(n_parts, 4);
		in_order(true, 5000, orders[i]);
	}
}

static void test_largest(void **state)
{
	(void)state;
	cut(false, 9000, 700);
	assert_true(n_parts > 8);
	in_order(false, 9000, NULL);
}

static void test_duplicate(void **state)
{
	uint64_t before = env_drops(DROP_REASS_FAIL);

	(void)state;
	cut(false, 3000, 1400);
	struct rte_mbuf *copy = rte_pktmbuf_copy(part[0], dp_pool(), 0, UINT32_MAX);

	*pkt_meta(copy) = *pkt_meta(part[0]);
	assert_null(reass_input(env_worker(), part[0]));
	assert_null(reass_input(env_worker(), copy));
	assert_int_equal(env_drops(DROP_REASS_FAIL) - before, 1);
	assert_null(reass_input(env_worker(), part[1]));
	expect_whole(reass_input(env_worker(), part[2]), false, 3000);
}

/* Overlaps void everything that is there (RFC 5722): no part of it is ever delivered. */
static void overlap(bool ip6)
{
	uint64_t before = env_drops(DROP_REASS_FAIL);

	cut(ip6, 3000, 1400);
	struct rte_mbuf *evil = rte_pktmbuf_copy(part[1], dp_pool(), 0, UINT32_MAX);
	uint16_t *field = rte_pktmbuf_mtod_offset(evil, uint16_t *, ip6 ? 42 : 6);

	*pkt_meta(evil) = *pkt_meta(part[1]);
	*field = rte_cpu_to_be_16((uint16_t)(rte_be_to_cpu_16(*field) - (ip6 ? 8 : 1)));
	assert_null(reass_input(env_worker(), part[0]));
	assert_null(reass_input(env_worker(), evil));
	assert_int_equal(env_drops(DROP_REASS_FAIL) - before, 2);
	assert_null(reass_input(env_worker(), part[1]));
	assert_null(reass_input(env_worker(), part[2]));
}

static void test_overlap(void **state)
{
	(void)state;
	overlap(false);
	overlap(true);
}

static void test_timeout(void **state)
{
	uint64_t before = env_drops(DROP_REASS_FAIL);

	(void)state;
	cut(false, 3000, 1400);
	assert_null(reass_input(env_worker(), part[0]));
	assert_null(reass_input(env_worker(), part[1]));
	reass_tick(env_worker(), dp_now_ms() + REASS_MS - 1000);
	assert_int_equal(env_drops(DROP_REASS_FAIL), before);
	reass_tick(env_worker(), dp_now_ms() + REASS_MS + 1000);
	assert_int_equal(env_drops(DROP_REASS_FAIL) - before, 2);
	assert_null(reass_input(env_worker(), part[2])); /* too late */
}

/* Equal fragments of two VRFs, or out of an SA and in clear, do not mix. */
static void test_apart(void **state)
{
	(void)state;
	cut(false, 3000, 1400);
	pkt_meta(part[1])->vrf = 1;
	assert_null(reass_input(env_worker(), part[0]));
	assert_null(reass_input(env_worker(), part[1]));
	assert_null(reass_input(env_worker(), part[2]));
	teardown(state);
	cut(true, 3000, 1400);
	pkt_meta(part[1])->flags |= PKT_F_DECAPPED;
	pkt_meta(part[1])->sa = 5;
	assert_null(reass_input(env_worker(), part[0]));
	assert_null(reass_input(env_worker(), part[1]));
	assert_null(reass_input(env_worker(), part[2]));
}

/* A flood of first fragments costs the oldest, never more than the table. */
static void test_flood(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4 * REASS_MAX; i++) {
		cut(false, 2000, 1400);
		struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod(part[0], struct rte_ipv4_hdr *);

		ip->packet_id = (uint16_t)(1000 + i);
		assert_null(reass_input(env_worker(), part[0]));
		for (int j = 1; j < n_parts; j++)
			rte_pktmbuf_free(part[j]);
		assert_in_range(env_mbufs(), 0, REASS_MAX);
	}
	cut(false, 2000, 1400);
	in_order(false, 2000, NULL);
}

/* Through the whole path: a fragmented echo request is answered. */
static void test_echo(void **state)
{
	struct rte_mbuf *m = env_echo("10.0.0.9", "10.0.0.1", 3000);

	(void)state;
	env_sync();
	env_eth(1, 0, 0, "10.0.0.1/24");
	assert_int_equal(env_commit(), 0);
	env_neigh(1, "10.0.0.9", 9);
	env_drain();
	check(m);
	n_parts = frag_ipv4(env_worker(), m, 1400, part, FRAG_MAX);
	for (int i = n_parts; i-- > 0;)
		env_receive(0, 0, part[i]);
	env_run_slow();
	assert_int_equal(env_sent_count(0), 3);
	env_drain();
	env_sync();
	assert_int_equal(env_commit(), 0);
}

/* Sizes that cannot be: beyond the end, an end before what is there, no payload. */
static void test_nonsense(void **state)
{
	(void)state;
	cut(false, 3000, 1400);
	rte_pktmbuf_mtod(part[1], struct rte_ipv4_hdr *)->fragment_offset = RTE_BE16(0x1fff);
	assert_null(reass_input(env_worker(), part[1]));
	rte_pktmbuf_mtod(part[0], struct rte_ipv4_hdr *)->fragment_offset = RTE_BE16(10); /* "last", early */
	assert_null(reass_input(env_worker(), part[2]));
	assert_null(reass_input(env_worker(), part[0]));
}

int main(void)
{
#define T(fn) cmocka_unit_test_teardown(fn, teardown)
	const struct CMUnitTest tests[] = {T(test_orders), T(test_largest), T(test_duplicate), T(test_overlap),
		T(test_timeout), T(test_apart), T(test_flood), T(test_echo), T(test_nonsense)};

	env_init();
	env_ports(1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
