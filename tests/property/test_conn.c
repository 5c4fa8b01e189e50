/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The connection table against a list that is searched from end to end: connections come, with and without translation,
 * go one by one and all of a kind, numbers are used again; each look-up of either direction finds what the list has,
 * and nothing else. Tuples are rewritten there and back, and each packet is what it was, checksums right on both sides.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <rte_ip.h>

#include "../unit/fwd_env.h"
#include "conn.h"

#define MOST 300u
#define STEPS 200000u
#define REWRITES 20000u

static unsigned seed = 20261123;

struct kept {
	struct conn_tuple tuple[2];
	uint16_t flags;
	struct conn *c;
};
static struct kept list[MOST];
static uint32_t n_list;

static uint32_t below(uint32_t n)
{
	return (uint32_t)random() % n;
}

/* Few enough values that connections meet. */
static struct conn_tuple some_tuple(void)
{
	static const uint8_t protocols[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP, IPPROTO_GRE};
	const bool ip6 = below(3) == 0;
	struct conn_tuple t = {
		.vrf = (uint16_t)below(2), .af = ip6 ? CV_AF_INET6 : CV_AF_INET, .proto = protocols[below(4)]};

	t.src[0] = 10;
	t.dst[0] = 11;
	t.src[ip6 ? 15 : 3] = (uint8_t)below(4);
	t.dst[ip6 ? 15 : 3] = (uint8_t)below(4);
	if (t.proto != IPPROTO_GRE) {
		t.sport = rte_cpu_to_be_16((uint16_t)below(4));
		t.dport = t.proto == IPPROTO_ICMP ? CONN_ECHO_PORT : rte_cpu_to_be_16((uint16_t)below(4));
	}
	return t;
}

static struct kept *search(const struct conn_tuple *t, unsigned *dir)
{
	for (uint32_t i = 0; i < n_list; i++)
		for (*dir = 0; *dir < 2; ++*dir)
			if (conn_tuple_eq(&list[i].tuple[*dir], t))
				return &list[i];
	return NULL;
}

static void compare(const struct conn_tuple *t)
{
	unsigned want_dir, dir = 2;
	const struct kept *want = search(t, &want_dir);
	const struct conn *c = conn_find(t, &dir);

	assert_ptr_equal(c, want ? want->c : NULL);
	if (!want)
		return;
	assert_int_equal(dir, want_dir);
	assert_ptr_equal(conn_at(c->index), c);
	assert_memory_equal(c->tuple, want->tuple, sizeof(want->tuple));
}

static void add(void)
{
	struct kept k = {.tuple[0] = some_tuple(), .flags = (uint16_t)below(4)};
	unsigned dir;

	k.tuple[1] = conn_tuple_mirror(&k.tuple[0]);
	if (k.flags & CV_CONN_F_NAT) {
		k.tuple[1].dst[1] = (uint8_t)(1 + below(3));
		k.tuple[1].vrf = 1;
	}
	/* the rule for whoever adds */
	if (search(&k.tuple[0], &dir) || search(&k.tuple[1], &dir) || conn_tuple_eq(&k.tuple[0], &k.tuple[1]))
		return;
	struct conn new = {.flags = k.flags};

	memcpy(new.tuple, k.tuple, sizeof(new.tuple));
	k.c = conn_add(&new);
	if (n_list == MOST) {
		assert_null(k.c);
		return;
	}
	assert_non_null(k.c);
	list[n_list++] = k;
}

static void take_out(uint32_t i)
{
	list[i] = list[--n_list];
}

static void some_change(void)
{
	const uint32_t what = below(1000);

	if (what < 600) {
		add();
	} else if (what < 990 && n_list) {
		const uint32_t i = below(n_list);

		conn_remove(list[i].c);
		take_out(i);
	} else if (what == 999) {
		const uint16_t flags = (uint16_t)below(4);
		uint32_t n = 0;

		for (uint32_t i = 0; i < n_list;)
			if ((list[i].flags & flags) == flags) {
				take_out(i);
				n++;
			} else {
				i++;
			}
		assert_int_equal(conn_clear(flags), n);
	} else {
		conn_tick();
		dp_defer_run();
	}
}

static void table_agrees_with_a_list(void **state)
{
	struct cv_conn_limits l = {.max_entries = MOST,
		.tcp_s = 86400,
		.tcp_syn_s = 86400,
		.tcp_fin_s = 86400,
		.udp_s = 86400,
		.icmp_s = 86400,
		.other_s = 86400};

	(void)state;
	printf("seed %u\n", seed);
	srandom(seed);
	assert_int_equal(conn_open(), 0);
	env_stage(CV_CMD_CONN_SET, &l, 0);
	assert_int_equal(env_commit(), 0);
	for (uint32_t i = 0; i < STEPS; i++) {
		const struct conn_tuple t = some_tuple(), r = conn_tuple_mirror(&t);

		some_change();
		compare(&t);
		compare(&r);
		if (n_list) {
			const struct kept *k = &list[below(n_list)];

			compare(&k->tuple[0]);
			compare(&k->tuple[1]);
		}
		assert_int_equal(conn_count(), n_list);
	}
	(void)conn_clear(0);
}

static struct rte_mbuf *some_packet(void)
{
	switch (below(3)) {
	case 0:
		return env_tcp("10.0.0.9", "10.1.0.2", (uint8_t)below(64), NULL, 0);
	case 1:
		return env_udp("10.0.0.9", "10.1.0.2", (uint16_t)random(), (uint16_t)random(), below(200));
	default:
		return env_echo("10.0.0.9", "10.1.0.2", below(200));
	}
}

static void rewriting_is_undone_by_rewriting(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < REWRITES; i++) {
		struct rte_mbuf *m = some_packet();
		const uint16_t len = rte_pktmbuf_data_len(m);
		struct conn_tuple is, to, now;
		uint8_t before[512];

		memcpy(before, rte_pktmbuf_mtod(m, void *), len);
		pkt_meta(m)->l4_off = 20;
		pkt_meta(m)->l4_proto = before[9];
		assert_int_equal(conn_tuple_read(m, &is), CONN_PACKET);
		to = is;
		for (unsigned b = 0; b < 4; b++) {
			to.src[b] = (uint8_t)random();
			to.dst[b] = (uint8_t)random();
		}
		to.sport = (uint16_t)random();
		to.dport = before[9] == IPPROTO_ICMP ? is.dport : (uint16_t)random();
		conn_tuple_write(m, CONN_PACKET, &is, &to);
		assert_true(env_sums_ok(rte_pktmbuf_mtod(m, const struct rte_ipv4_hdr *)));
		assert_int_equal(conn_tuple_read(m, &now), CONN_PACKET);
		assert_memory_equal(&now, &to, sizeof(to));
		conn_tuple_write(m, CONN_PACKET, &to, &is);
		assert_memory_equal(rte_pktmbuf_mtod(m, void *), before, len);
		rte_pktmbuf_free(m);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table_agrees_with_a_list), cmocka_unit_test(rewriting_is_undone_by_rewriting)};

	env_init();
	return cmocka_run_group_tests_name("connections against brute force", tests, NULL, NULL);
}
