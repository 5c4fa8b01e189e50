/* SPDX-License-Identifier: BSD-3-Clause */
/* The plain way of a packet: frames in, the right frame out of the right port, or the right reason not to. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_udp.h>

#include "cv_addr.h"
#include "fib.h"
#include "frag.h"
#include "fwd_env.h"
#include "iface.h"
#include "iphdr.h"
#include "neigh.h"
#include "pipeline.h"
#include "port.h"
#include "trace.h"
#include "tunnel_hop.h"

/*
 * port 0: if 1, VRF 0, 10.0.0.1/24 fd00::1/64; if 3: VLAN 30 in VRF 1, 10.3.0.1/24
 * port 1: if 2, VRF 0, 10.1.0.1/24 fd01::1/64
 */
static int setup(void **state)
{
	(void)state;
	env_sync();
	env_vrf(1);
	env_two_ports();
	env_vlan(3, 1, 30, 1, "10.3.0.1/24");
	assert_int_equal(env_commit(), 0);
	env_neigh(2, "10.1.0.2", 2);
	env_neigh(2, "10.1.0.3", 3);
	env_neigh(2, "fd01::2", 2);
	env_neigh(3, "10.3.0.2", 2);
	env_drain();
	return 0;
}

static uint64_t before;
#define dropped(why) (env_drops(why) - before)
#define expect_drop(why, action)                                                                                       \
	do {                                                                                                           \
		before = env_drops(why);                                                                               \
		action;                                                                                                \
		assert_int_equal(dropped(why), 1);                                                                     \
	} while (0)

static void test_ipv4(void **state)
{
	(void)state;
	env_receive(0, 0, env_udp("10.0.0.9", "10.1.0.2", 1000, 2000, 18));
	struct rte_mbuf *m = env_sent(1);

	assert_non_null(m);
	const uint8_t *f = rte_pktmbuf_mtod(m, const uint8_t *);
	const struct rte_ipv4_hdr *ip = (const struct rte_ipv4_hdr *)(f + 14);

	assert_int_equal(rte_pktmbuf_pkt_len(m), 14 + 46);
	assert_memory_equal(f, ((uint8_t[]){2, 0, 0, 0, 2, 2, 2, 0, 0, 0, 1, 1, 0x08, 0x00}), 14);
	assert_int_equal(ip->time_to_live, 63);
	assert_int_equal(rte_raw_cksum(ip, 20), 0xffff); /* the incremental update is right */
	rte_pktmbuf_free(m);
}

/* Every TTL and many checksums: the incremental update equals the full computation. */
static void test_ttl_checksum(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2000; i++) {
		struct rte_mbuf *m = env_udp("10.0.0.9", "10.1.0.2", 1, 2, 0);
		struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod(m, struct rte_ipv4_hdr *);

		ip->time_to_live = (uint8_t)(2 + i % 254);
		ip->packet_id = (uint16_t)(i * 40503);
		ip->hdr_checksum = 0;
		ip->hdr_checksum = rte_ipv4_cksum(ip);
		env_receive(0, 0, m);
		m = env_sent(1);
		assert_non_null(m);
		assert_int_equal(rte_raw_cksum(rte_pktmbuf_mtod_offset(m, void *, 14), 20), 0xffff);
		rte_pktmbuf_free(m);
	}
}

static void test_ipv6(void **state)
{
	(void)state;
	env_receive(0, 0, env_udp("fd00::9", "fd01::2", 1000, 2000, 18));
	struct rte_mbuf *m = env_sent(1);

	assert_non_null(m);
	assert_memory_equal(
		rte_pktmbuf_mtod(m, void *), ((uint8_t[]){2, 0, 0, 0, 2, 2, 2, 0, 0, 0, 1, 1, 0x86, 0xdd}), 14);
	assert_int_equal(rte_pktmbuf_mtod_offset(m, struct rte_ipv6_hdr *, 14)->hop_limits, 63);
	rte_pktmbuf_free(m);
}

/* VLAN in and out, and VRFs that do not see each other (VRF-1). */
static void test_vlan_vrf(void **state)
{
	(void)state;
	env_vlan(4, 1, 40, 1, "10.4.0.1/24");
	assert_int_equal(env_commit(), 0);
	env_receive(0, 40, env_udp("10.4.0.9", "10.3.0.2", 1, 2, 10));
	struct rte_mbuf *m = env_sent(0);

	assert_non_null(m);
	assert_memory_equal(rte_pktmbuf_mtod(m, void *),
		((uint8_t[]){2, 0, 0, 0, 2, 2, 2, 0, 0, 0, 1, 0, 0x81, 0, 0, 30, 0x08, 0x00}), 18);
	assert_int_equal(rte_pktmbuf_pkt_len(m), 18 + 38);
	rte_pktmbuf_free(m);
	env_receive(0, 40, env_udp("10.4.0.9", "10.1.0.2", 1, 2, 10)); /* VRF 0 only */
	assert_int_equal(env_sent_count(1), 0);
	assert_int_equal(env_n_slow, 1);
	assert_int_equal(env_slow[0].why, SLOW_ICMP_UNREACH);
	expect_drop(DROP_VLAN_UNKNOWN, env_receive(0, 41, env_udp("10.4.0.9", "10.3.0.2", 1, 2, 10)));
}

/* A route of VRF 1 whose gateway is resolved in the global table (VRF-12). */
static void test_global_next_hop(void **state)
{
	(void)state;
	env_route(1, "20.0.0.0/8", "10.1.0.2", 0, 0);
	assert_int_equal(env_commit(), 0);
	env_receive(0, 30, env_udp("10.3.0.9", "20.1.1.1", 1, 2, 10));
	struct rte_mbuf *m = env_sent(1);

	assert_non_null(m);
	assert_int_equal(rte_pktmbuf_mtod(m, uint8_t *)[5], 2);
	rte_pktmbuf_free(m);
}

/* Gateways behind gateways, also those that come later, loops that must not hang, and a route that takes over. */
static void test_recursive(void **state)
{
	struct cv_addr a, b;

	(void)state;
	assert_int_equal(cv_addr_parse("20.1.1.1", &a), 0);
	assert_int_equal(cv_addr_parse("30.1.1.1", &b), 0);
	env_route(0, "20.0.0.0/8", "30.0.0.1", 0, 0);
	assert_int_equal(env_commit(), 0);
	assert_int_equal(FIB_KIND(fib_lookup(0, &a)), FIB_NONE); /* gateway unknown: not in the table */
	env_route(0, "30.0.0.0/8", "10.1.0.3", 0, 0);
	assert_int_equal(env_commit(), 0);
	assert_int_equal(FIB_KIND(fib_lookup(0, &a)), FIB_ADJ);
	assert_int_equal(adj_table[FIB_NUM(fib_lookup(0, &a))].l2[5], 3);
	env_route(0, "30.0.0.0/8", "10.1.0.2", 0, 0);
	assert_int_equal(env_commit(), 0);
	assert_int_equal(adj_table[FIB_NUM(fib_lookup(0, &a))].l2[5], 2);
	env_route(0, "30.0.0.0/8", "20.0.0.1", 0, 0); /* each behind the other */
	assert_int_equal(env_commit(), 0);
	assert_int_equal(FIB_KIND(fib_lookup(0, &a)), FIB_NONE);
	assert_int_equal(FIB_KIND(fib_lookup(0, &b)), FIB_NONE);
}

/* Link lost: what leads there goes, a shorter prefix takes over; link back: everything as before. Our addresses stay.
 */
static void test_link(void **state)
{
	struct port *p = (struct port *)(uintptr_t)port_worker_view(1);
	struct cv_addr a, own;

	(void)state;
	assert_int_equal(cv_addr_parse("20.1.1.1", &a), 0);
	assert_int_equal(cv_addr_parse("10.1.0.1", &own), 0);
	env_route(0, "20.1.0.0/16", "10.1.0.2", 0, 0);
	env_route(0, "20.0.0.0/8", "10.0.0.2", 0, 0);
	assert_int_equal(env_commit(), 0);
	uint32_t word = fib_lookup(0, &a);

	assert_int_equal(adj_table[FIB_NUM(word)].if_id, 2);
	p->up = false;
	iface_port_changed(1);
	iface_refresh();
	assert_false(iface_get(2)->link);
	assert_int_equal(adj_table[FIB_NUM(fib_lookup(0, &a))].if_id, 1);
	assert_true(fib_is_local(0, &own));
	p->up = true;
	iface_port_changed(1);
	iface_refresh();
	dp_defer_run();
	assert_int_equal(adj_table[FIB_NUM(fib_lookup(0, &a))].if_id, 2);
}

static void test_ecmp(void **state)
{
	struct cv_route r = {.vrf_id = 0, .n_nh = 2};
	unsigned hits[2] = {0};

	(void)state;
	assert_int_equal(cv_prefix_parse("20.0.0.0/8", &r.prefix), 0);
	for (unsigned i = 0; i < 2; i++) {
		r.nh[i] = (struct cv_nexthop){.type = CV_NH_GATEWAY, .weight = i ? 3 : 1, .if_id = 2};
		assert_int_equal(cv_addr_parse(i ? "10.1.0.3" : "10.1.0.2", &r.nh[i].gw), 0);
	}
	env_stage(CV_CMD_ROUTE_SET, &r, 0);
	assert_int_equal(env_commit(), 0);
	for (unsigned i = 0; i < 4000; i++) {
		env_receive(0, 0, env_udp("10.0.0.9", "20.1.1.1", (uint16_t)(1024 + i), 80, 10));
		struct rte_mbuf *m = env_sent(1);

		assert_non_null(m);
		hits[rte_pktmbuf_mtod(m, uint8_t *)[5] - 2]++;
		rte_pktmbuf_free(m);
	}
	assert_in_range(hits[0], 850, 1150); /* one quarter */
	struct rte_mbuf *fwd = env_udp("10.0.0.9", "20.1.1.1", 1024, 80, 10);
	struct rte_mbuf *rev = env_udp("20.1.1.1", "10.0.0.9", 80, 1024, 10);

	assert_int_equal(ip4_check(fwd), DROP_NONE);
	assert_int_equal(ip4_check(rev), DROP_NONE);
	assert_int_equal(ip_flow_hash(fwd), ip_flow_hash(rev));
	rte_pktmbuf_free(fwd);
	rte_pktmbuf_free(rev);
}

static struct rte_mbuf *bad_ipv4(unsigned off, uint8_t value, bool fix_checksum)
{
	struct rte_mbuf *m = env_udp("10.0.0.9", "10.1.0.2", 1, 2, 10);
	struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod(m, struct rte_ipv4_hdr *);

	rte_pktmbuf_mtod(m, uint8_t *)[off] = value;
	if (fix_checksum) {
		ip->hdr_checksum = 0;
		ip->hdr_checksum = rte_ipv4_cksum(ip);
	}
	return m;
}

static void test_malformed(void **state)
{
	static const struct {
		const char *src, *dst;
	} martians[] = {{"127.0.0.1", "10.1.0.2"}, {"224.0.0.1", "10.1.0.2"}, {"0.1.2.3", "10.1.0.2"},
		{"10.0.0.9", "127.0.0.1"}, {"10.0.0.9", "240.0.0.1"}, {"::1", "fd01::2"}, {"ff02::1", "fd01::2"},
		{"fd00::9", "::1"}};

	(void)state;
	expect_drop(DROP_IP_MALFORMED, env_receive(0, 0, bad_ipv4(10, 0x55, false))); /* checksum */
	expect_drop(DROP_IP_MALFORMED, env_receive(0, 0, bad_ipv4(0, 0x44, true)));   /* header of 16 bytes */
	expect_drop(DROP_IP_MALFORMED, env_receive(0, 0, bad_ipv4(0, 0x75, true)));   /* version 7 */
	expect_drop(DROP_IP_MALFORMED, env_receive(0, 0, bad_ipv4(3, 200, true)));    /* longer than the frame */
	for (unsigned i = 0; i < sizeof(martians) / sizeof(martians[0]); i++)
		expect_drop(DROP_IP_MARTIAN, env_receive(0, 0, env_udp(martians[i].src, martians[i].dst, 1, 2, 10)));
	expect_drop(DROP_L2_UNKNOWN,
		env_frame(0, 0, (uint8_t[]){2, 9, 9, 9, 9, 9}, env_udp("10.0.0.9", "10.1.0.2", 1, 2, 10)));
	/* Broadcast frames are not forwarded (RFC 1812 5.3.4). */
	expect_drop(DROP_MULTICAST,
		env_frame(0, 0, (uint8_t[]){255, 255, 255, 255, 255, 255}, env_udp("10.0.0.9", "10.1.0.2", 1, 2, 10)));
	expect_drop(DROP_MULTICAST, env_receive(0, 0, env_udp("10.0.0.9", "10.1.0.255", 1, 2, 10)));
	expect_drop(DROP_MULTICAST, env_receive(0, 0, env_udp("10.0.0.9", "224.0.0.5", 1, 2, 10)));
	assert_int_equal(env_sent_count(1), 0);
	assert_int_equal(env_n_slow, 0);
}

/* Padding of short frames does not go on. */
static void test_padding(void **state)
{
	struct rte_mbuf *m = env_udp("10.0.0.9", "10.1.0.2", 1, 2, 4);

	(void)state;
	memset(rte_pktmbuf_append(m, 14), 0xaa, 14);
	env_receive(0, 0, m);
	m = env_sent(1);
	assert_non_null(m);
	assert_int_equal(rte_pktmbuf_pkt_len(m), 14 + 32);
	rte_pktmbuf_free(m);
}

static void test_exceptions(void **state)
{
	struct rte_mbuf *m;

	(void)state;
	env_receive(0, 0, bad_ipv4(8, 1, true));
	env_receive(0, 0, env_udp("10.0.0.9", "99.0.0.1", 1, 2, 10));
	m = env_udp("10.0.0.9", "10.1.0.2", 1, 2, 1600);
	rte_pktmbuf_mtod(m, struct rte_ipv4_hdr *)->fragment_offset = RTE_BE16(RTE_IPV4_HDR_DF_FLAG);
	rte_pktmbuf_mtod(m, struct rte_ipv4_hdr *)->hdr_checksum = 0;
	rte_pktmbuf_mtod(m, struct rte_ipv4_hdr *)->hdr_checksum =
		rte_ipv4_cksum(rte_pktmbuf_mtod(m, struct rte_ipv4_hdr *));
	env_receive(0, 0, m);
	env_receive(0, 0, env_udp("fd00::9", "fd01::2", 1, 2, 1600));
	env_receive(0, 0, env_udp("10.0.0.9", "10.1.0.77", 1, 2, 10));
	env_receive(0, 0, env_udp("10.0.0.9", "10.0.0.1", 1, 500, 10));
	assert_int_equal(env_n_slow, 6);
	const enum slow_reason want[] = {
		SLOW_ICMP_TTL, SLOW_ICMP_UNREACH, SLOW_ICMP_MTU, SLOW_ICMP_MTU, SLOW_NEIGH, SLOW_LOCAL};

	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(env_slow[i].why, want[i]);
	assert_int_equal(pkt_meta(env_slow[2].m)->mtu, 1500);
	assert_int_equal(env_sent_count(1), 0);
}

static void test_blackhole_and_down(void **state)
{
	struct cv_route r = {.vrf_id = 0, .n_nh = 1, .nh[0] = {.type = CV_NH_BLACKHOLE, .weight = 1}};
	struct cv_if down = {.if_id = 1, .type = CV_IF_ETHERNET, .mtu = 1500, .name = "if1"};

	(void)state;
	assert_int_equal(cv_prefix_parse("20.0.0.0/8", &r.prefix), 0);
	env_stage(CV_CMD_ROUTE_SET, &r, 0);
	assert_int_equal(env_commit(), 0);
	expect_drop(DROP_BLACKHOLE, env_receive(0, 0, env_udp("10.0.0.9", "20.1.1.1", 1, 2, 10)));
	env_stage(CV_CMD_IF_SET, &down, 0);
	assert_int_equal(env_commit(), 0);
	expect_drop(DROP_IF_DOWN, env_receive(0, 0, env_udp("10.0.0.9", "10.1.0.2", 1, 2, 10)));
	/* its sub-interface is down with it, and its routes are gone */
	expect_drop(DROP_IF_DOWN, env_receive(0, 30, env_udp("10.3.0.9", "10.3.0.2", 1, 2, 10)));
	env_receive(1, 0, env_udp("10.1.0.9", "10.0.0.9", 1, 2, 10));
	assert_int_equal(env_n_slow, 1);
	assert_int_equal(env_slow[0].why, SLOW_ICMP_UNREACH);
}

/* IPv4 without DF is fragmented: parts of equal size, all there, checksums right. */
static void test_fragment(void **state)
{
	uint8_t got[4000];
	unsigned have = 0, n = 0, smallest = 9999, largest = 0;

	(void)state;
	struct rte_mbuf *m = env_udp("10.0.0.9", "10.1.0.2", 1, 2, 3500), *whole;

	whole = env_udp("10.0.0.9", "10.1.0.2", 1, 2, 3500);
	env_receive(0, 0, m);
	while ((m = env_sent(1))) {
		const struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod_offset(m, const struct rte_ipv4_hdr *, 14);
		unsigned len = rte_be_to_cpu_16(ip->total_length) - 20u;
		unsigned fo = rte_be_to_cpu_16(ip->fragment_offset);

		assert_int_equal(rte_pktmbuf_pkt_len(m), len + 34);
		assert_true(len + 20 <= 1500);
		assert_int_equal(rte_raw_cksum(ip, 20), 0xffff);
		assert_int_equal((fo & 0x1fff) * 8, have);
		assert_int_equal(ip->time_to_live, 63);
		memcpy(got + have, ip + 1, len);
		have += len;
		n++;
		smallest = len < smallest ? len : smallest;
		largest = len > largest ? len : largest;
		assert_int_equal(!!(fo & RTE_IPV4_HDR_MF_FLAG), have < 3508);
		rte_pktmbuf_free(m);
	}
	assert_int_equal(n, 3);
	assert_int_equal(have, 3508);
	assert_in_range(largest - smallest, 0, 8); /* FRAG-2 */
	assert_memory_equal(got, rte_pktmbuf_mtod_offset(whole, void *, 20), 3508);
	rte_pktmbuf_free(whole);
}

/* What waits on port 4500: IKE has the marker, ESP has not, keepalives are eaten (RFC 3948 2). */
static void test_natt(void **state)
{
	struct rte_mbuf *m = env_udp("10.0.0.9", "10.0.0.1", 4500, 4500, 30);

	(void)state;
	memset(rte_pktmbuf_mtod_offset(m, void *, 28), 0, 4);
	env_receive(0, 0, m);
	assert_int_equal(env_n_slow, 1);
	assert_int_equal(env_slow[0].why, SLOW_LOCAL);
	m = env_udp("10.0.0.9", "10.0.0.1", 4500, 4500, 1);
	*rte_pktmbuf_mtod_offset(m, uint8_t *, 28) = 0xff;
	expect_drop(DROP_NATT_KEEPALIVE, env_receive(0, 0, m));
	expect_drop(DROP_IP_MALFORMED, env_receive(0, 0, env_udp("10.0.0.9", "10.0.0.1", 4500, 4500, 3)));
	env_drain();
	env_receive(0, 0, env_udp("10.0.0.9", "10.0.0.1", 4500, 4500, 60)); /* an ESP packet with an unknown SPI */
	assert_int_equal(env_sent_count(0) + env_sent_count(1), 0);
	assert_true(env_n_slow == 0 || env_slow[0].why == SLOW_INVALID_SPI);
}

/* Packets of one vector keep their order, and the counters know them. */
static void test_vector(void **state)
{
	struct rte_mbuf *v[40];
	struct cv_writer_block *s = env_worker()->stats;
	uint64_t rx = s->ifc[1].rx_packets, tx = s->ifc[2].tx_packets, stage = s->profile.stage[STAGE_ROUTE].packets;

	(void)state;
	env_worker()->profile = 1;
	for (unsigned i = 0; i < 40; i++) {
		v[i] = env_udp("10.0.0.9", "10.1.0.2", (uint16_t)i, 2, 10);
		uint8_t *l2 = (uint8_t *)rte_pktmbuf_prepend(v[i], 14);

		memcpy(l2, ((uint8_t[]){2, 0, 0, 0, 1, 0, 2, 0, 0, 0, 2, 9, 8, 0}), 14);
	}
	ether_input(env_worker(), 0, v, 40);
	assert_int_equal(env_sent_count(1), 40);
	for (unsigned i = 0; i < 40; i++) {
		struct rte_mbuf *m = env_sent(1);

		assert_int_equal(rte_be_to_cpu_16(rte_pktmbuf_mtod_offset(m, struct rte_udp_hdr *, 34)->src_port), i);
		rte_pktmbuf_free(m);
	}
	assert_int_equal(s->ifc[1].rx_packets - rx, 40);
	assert_int_equal(s->ifc[2].tx_packets - tx, 40);
	assert_int_equal(s->profile.stage[STAGE_ROUTE].packets - stage, 40);
	env_worker()->profile = 0;
}

static struct cv_evt_trace traced;
static unsigned n_traced;

static void keep_trace(const struct cv_evt_trace *t)
{
	traced = *t;
	n_traced++;
}

static void test_trace(void **state)
{
	(void)state;
	assert_int_equal(trace_start(&(struct cv_cmd_trace){.n_packets = 1, .if_id = 1}), 0);
	env_receive(1, 0, env_udp("10.1.0.9", "10.1.0.2", 1, 2, 10)); /* not this interface */
	env_receive(0, 0, env_udp("10.0.0.9", "10.1.0.2", 1, 2, 10));
	env_receive(0, 0, env_udp("10.0.0.9", "10.1.0.2", 1, 2, 10)); /* one too many */
	trace_collect(keep_trace);
	assert_int_equal(n_traced, 1);
	assert_int_equal(traced.if_id, 1);
	assert_int_equal(traced.pkt_len, 38);
	assert_string_equal(traced.step[0].stage, "rx");
	assert_string_equal(traced.step[traced.n_steps - 1].note, "sent");
	assert_int_equal(trace_start(&(struct cv_cmd_trace){.n_packets = 1}), 0);
	env_receive(0, 0, bad_ipv4(10, 0x55, false));
	trace_collect(keep_trace);
	assert_int_equal(n_traced, 2);
	assert_string_equal(traced.step[traced.n_steps - 1].note, "ip-malformed");
}

/* A transaction that cannot be applied leaves everything as it was; its message says what is wrong. */
static void test_refused(void **state)
{
	uint32_t vrf = 1, eth = 1;

	(void)state;
	env_stage(CV_CMD_VRF_DEL, &vrf, 0); /* interface 3 is in it */
	env_eth(9, 5, 0, "10.9.0.1/24");
	assert_int_equal(env_commit(), CV_ERR_NOT_FOUND);
	assert_null(iface_get(9));
	env_stage(CV_CMD_IF_DEL, &eth, 0); /* interface 3 hangs on it */
	assert_int_equal(env_commit(), CV_ERR_NOT_FOUND);
	env_eth(9, 0, 0, NULL); /* a second interface for untagged frames of port 0 */
	assert_int_equal(env_commit(), CV_ERR_EXISTS);
	env_route(0, "20.0.0.0/8", "10.1.0.2", 0, 7); /* VRF 7 does not exist */
	assert_int_equal(env_commit(), CV_ERR_IN_USE);
	test_ipv4(state);
}

static uint32_t word_of(const char *address)
{
	struct cv_addr a;

	assert_int_equal(cv_addr_parse(address, &a), 0);
	return fib_lookup(0, &a);
}

static void stage_hop(uint16_t type, const char *outer)
{
	struct cv_tunnel_hop h = {.ref.if_id = 7};

	assert_int_equal(cv_addr_parse("10.99.0.3", &h.ref.next_hop), 0);
	assert_int_equal(cv_addr_parse(outer, &h.outer), 0);
	env_stage(type, &h, 0);
	assert_int_equal(env_commit(), 0);
}

/* A route by a gateway behind a multipoint tunnel follows what is known of it: not there, there, elsewhere, gone; found
 * by its subnet or by an interface that the route names. The subnet itself has no next hop but the destination. */
static void test_multipoint(void **state)
{
	struct cv_if t = {.if_id = 7,
		.type = CV_IF_TUNNEL,
		.mtu = 1400,
		.admin_up = 1,
		.name = "t",
		.tunnel = {.mode = CV_TUNNEL_GRE, .flags = CV_TUNNEL_F_MULTIPOINT, .ttl = 255, .dst.af = CV_AF_INET}};
	uint32_t word;

	(void)state;
	assert_int_equal(cv_addr_parse("10.0.0.1", &t.tunnel.src), 0);
	env_stage(CV_CMD_IF_SET, &t, 0);
	env_addr(7, "10.99.0.1/24");
	env_route(0, "10.77.0.0/16", "10.99.0.3", 0, 0);
	env_route(0, "10.78.0.0/16", "10.99.0.3", 7, 0);
	assert_int_equal(env_commit(), 0);
	iface_tunnel_changed();
	iface_refresh(); /* its source is ours */
	assert_true(iface_get(7)->link);
	assert_int_equal(word_of("10.99.0.3"), FIB_TUNNEL_WORD(7, 0));
	assert_int_equal(word_of("10.77.0.1"), 0);
	assert_int_equal(word_of("10.78.0.1"), 0);
	stage_hop(CV_CMD_TUNNEL_HOP_SET, "10.1.0.2");
	word = word_of("10.77.0.1");
	assert_int_equal(FIB_TUNNEL_IF(word), 7);
	assert_int_not_equal(FIB_TUNNEL_HOP(word), 0);
	assert_int_equal(word_of("10.78.0.1"), word);
	stage_hop(CV_CMD_TUNNEL_HOP_SET, "10.1.0.9");
	assert_int_not_equal(word_of("10.77.0.1"), word);
	assert_int_equal(word_of("10.78.0.1"), word_of("10.77.0.1"));
	env_receive(0, 0, env_udp("10.0.0.9", "10.77.0.1", 1000, 2000, 18));
	assert_int_equal(env_n_slow, 1); /* 10.1.0.9 is asked for: that is where the outer packet goes */
	assert_int_equal(env_slow[0].why, SLOW_NEIGH);
	stage_hop(CV_CMD_TUNNEL_HOP_DEL, "10.1.0.9");
	assert_int_equal(word_of("10.77.0.1"), 0);
	assert_int_equal(word_of("10.78.0.1"), 0);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, env_teardown)
	const struct CMUnitTest tests[] = {T(test_ipv4), T(test_ttl_checksum), T(test_ipv6), T(test_vlan_vrf),
		T(test_global_next_hop), T(test_recursive), T(test_link), T(test_ecmp), T(test_malformed),
		T(test_padding), T(test_exceptions), T(test_blackhole_and_down), T(test_fragment), T(test_natt),
		T(test_vector), T(test_trace), T(test_multipoint), T(test_refused)};

	env_init();
	env_ports(2);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
