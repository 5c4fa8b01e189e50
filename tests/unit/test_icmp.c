/* SPDX-License-Identifier: BSD-3-Clause */
/* ICMP and ICMPv6: echo, errors with the right type, code, MTU and quotation, and the silence that is owed to errors,
 * multicast and later fragments (RFC 1812 4.3.2.7, RFC 4443 2.4). */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <rte_icmp.h>
#include <rte_ip.h>

#include "cv_addr.h"
#include "fwd_env.h"
#include "slowpath.h"

static int setup(void **state)
{
	(void)state;
	env_sync();
	env_two_ports();
	assert_int_equal(env_commit(), 0);
	env_neigh(1, "10.0.0.9", 9);
	env_neigh(1, "fd00::9", 9);
	env_neigh(1, "fe80::9", 9);
	env_neigh(2, "10.1.0.2", 2);
	env_neigh(2, "fd01::2", 2);
	env_drain();
	return 0;
}

/* The one answer sent on a port, without its Ethernet header; fails when there is none or more. */
static struct rte_mbuf *answer(uint32_t port)
{
	env_run_slow();
	struct rte_mbuf *m = env_sent(port);

	assert_non_null(m);
	assert_null(env_sent(port));
	rte_pktmbuf_adj(m, 14);
	return m;
}

static void no_answer(void)
{
	env_run_slow();
	assert_int_equal(env_sent_count(0) + env_sent_count(1), 0);
}

static void expect_addresses(struct rte_mbuf *m, const uint8_t *src, const uint8_t *dst, bool ip6)
{
	assert_memory_equal(rte_pktmbuf_mtod_offset(m, void *, ip6 ? 8 : 12), src, ip6 ? 16 : 4);
	assert_memory_equal(rte_pktmbuf_mtod_offset(m, void *, ip6 ? 24 : 16), dst, ip6 ? 16 : 4);
}

static void expect_icmp(struct rte_mbuf *m, bool ip6, uint8_t type, uint8_t code)
{
	uint8_t *p = rte_pktmbuf_mtod(m, uint8_t *);
	struct rte_icmp_hdr *h = (struct rte_icmp_hdr *)(p + (ip6 ? 40 : 20));
	uint16_t sum = h->icmp_cksum;

	assert_int_equal(p[ip6 ? 6 : 9], ip6 ? 58 : 1);
	assert_int_equal(h->icmp_type, type);
	assert_int_equal(h->icmp_code, code);
	h->icmp_cksum = 0;
	if (ip6) {
		assert_int_equal(sum, rte_ipv6_udptcp_cksum((void *)p, h));
	} else {
		assert_int_equal(rte_raw_cksum(p, 20), 0xffff);
		assert_int_equal(sum, (uint16_t)~rte_raw_cksum(h, rte_pktmbuf_data_len(m) - 20));
	}
	h->icmp_cksum = sum;
}

static const uint8_t host4[] = {10, 0, 0, 9}, own4[] = {10, 0, 0, 1}, far4[] = {10, 1, 0, 1};
static const uint8_t host6[16] = {0xfd, [15] = 9}, own6[16] = {0xfd, [15] = 1}, far6[16] = {0xfd, 1, [15] = 1};

static void test_echo_ipv4(void **state)
{
	(void)state;
	env_receive(0, 0, env_echo("10.0.0.9", "10.1.0.1", 56)); /* an address of the other interface */
	struct rte_mbuf *m = answer(0);

	expect_icmp(m, false, 0, 0);
	expect_addresses(m, far4, host4, false);
	assert_int_equal(rte_pktmbuf_pkt_len(m), 84);
	assert_int_equal(rte_pktmbuf_mtod_offset(m, uint8_t *, 28)[3], 22); /* payload as sent */
	rte_pktmbuf_free(m);
}

static void test_echo_ipv6(void **state)
{
	(void)state;
	env_receive(0, 0, env_echo("fd00::9", "fd01::1", 56));
	struct rte_mbuf *m = answer(0);

	expect_icmp(m, true, 129, 0);
	expect_addresses(m, far6, host6, true);
	rte_pktmbuf_free(m);
	/* Link-local addresses are answered on the link they came from: fe80::ff:fe00:100 is made of the port's MAC. */
	env_receive(0, 0, env_echo("fe80::9", "fe80::ff:fe00:100", 8));
	m = answer(0);
	expect_icmp(m, true, 129, 0);
	rte_pktmbuf_free(m);
	env_receive(0, 0, env_echo("fe80::9", "fe80::77", 8)); /* not ours: not forwarded */
	no_answer();
}

static void test_echo_bad_checksum(void **state)
{
	struct rte_mbuf *m = env_echo("10.0.0.9", "10.0.0.1", 56);

	(void)state;
	rte_pktmbuf_mtod(m, uint8_t *)[40] ^= 1;
	env_receive(0, 0, m);
	no_answer();
}

/* A reply too long for the link is fragmented; the request here is as long as the link takes. */
static void test_echo_large(void **state)
{
	(void)state;
	env_receive(0, 0, env_echo("10.0.0.9", "10.0.0.1", 3000));
	env_run_slow();
	assert_int_equal(env_sent_count(0), 3);
}

static struct rte_mbuf *with_ttl1(struct rte_mbuf *m, bool ip6)
{
	if (ip6) {
		rte_pktmbuf_mtod(m, struct rte_ipv6_hdr *)->hop_limits = 1;
		return m;
	}
	struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod(m, struct rte_ipv4_hdr *);

	ip->time_to_live = 1;
	ip->hdr_checksum = 0;
	ip->hdr_checksum = rte_ipv4_cksum(ip);
	return m;
}

static void test_time_exceeded(void **state)
{
	uint64_t before = env_drops(DROP_TTL);

	(void)state;
	env_receive(0, 0, with_ttl1(env_udp("10.0.0.9", "10.1.0.2", 33434, 33434, 32), false));
	struct rte_mbuf *m = answer(0);

	expect_icmp(m, false, 11, 0);
	expect_addresses(m, own4, host4, false);	   /* from the interface it came in by */
	assert_int_equal(rte_pktmbuf_pkt_len(m), 28 + 60); /* quotes the whole packet */
	assert_int_equal(rte_pktmbuf_mtod_offset(m, uint8_t *, 28)[8], 1);
	rte_pktmbuf_free(m);
	env_receive(0, 0, with_ttl1(env_udp("fd00::9", "fd01::2", 33434, 33434, 32), true));
	m = answer(0);
	expect_icmp(m, true, 3, 0);
	expect_addresses(m, own6, host6, true);
	rte_pktmbuf_free(m);
	assert_int_equal(env_drops(DROP_TTL) - before, 2);
}

static void test_unreachable(void **state)
{
	(void)state;
	env_receive(0, 0, env_udp("10.0.0.9", "99.0.0.1", 1, 2, 1000));
	struct rte_mbuf *m = answer(0);

	expect_icmp(m, false, 3, 0);
	assert_int_equal(rte_pktmbuf_pkt_len(m), 576); /* RFC 1812 4.3.2.3 */
	rte_pktmbuf_free(m);
	env_receive(0, 0, env_udp("fd00::9", "fd99::2", 1, 2, 1400));
	m = answer(0);
	expect_icmp(m, true, 1, 0);
	assert_int_equal(rte_pktmbuf_pkt_len(m), 1280); /* RFC 4443 2.4 c */
	rte_pktmbuf_free(m);
	env_receive(0, 0, env_udp("10.0.0.9", "10.0.0.1", 1, 9999, 10));
	m = answer(0);
	expect_icmp(m, false, 3, 3);
	rte_pktmbuf_free(m);
	env_receive(0, 0, env_udp("fd00::9", "fd00::1", 1, 9999, 10));
	m = answer(0);
	expect_icmp(m, true, 1, 4);
	rte_pktmbuf_free(m);
}

static void test_admin_prohibited(void **state)
{
	struct rte_mbuf *m = env_udp("10.0.0.9", "10.1.0.2", 1, 2, 10);

	(void)state;
	*pkt_meta(m) = (struct pkt_meta){.if_rx = 1, .icmp_code = 13, .l4_proto = 17, .l4_off = 20};
	icmp_slow_error(env_worker(), m, SLOW_ICMP_UNREACH);
	m = answer(0);
	expect_icmp(m, false, 3, 13);
	rte_pktmbuf_free(m);
}

static void set_df(struct rte_mbuf *m)
{
	struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod(m, struct rte_ipv4_hdr *);

	ip->fragment_offset = RTE_BE16(RTE_IPV4_HDR_DF_FLAG);
	ip->hdr_checksum = 0;
	ip->hdr_checksum = rte_ipv4_cksum(ip);
}

static void test_too_big(void **state)
{
	struct cv_if smaller = {
		.if_id = 2, .type = CV_IF_ETHERNET, .port_id = 1, .mtu = 1400, .admin_up = 1, .name = "if2"};
	struct rte_mbuf *m = env_udp("10.0.0.9", "10.1.0.2", 1, 2, 1420);

	(void)state;
	env_stage(CV_CMD_IF_SET, &smaller, 0);
	assert_int_equal(env_commit(), 0);
	set_df(m);
	env_receive(0, 0, m);
	m = answer(0);
	expect_icmp(m, false, 3, 4);
	assert_int_equal(rte_be_to_cpu_16(*rte_pktmbuf_mtod_offset(m, uint16_t *, 26)), 1400);
	assert_int_equal(*rte_pktmbuf_mtod_offset(m, uint16_t *, 24), 0);
	rte_pktmbuf_free(m);
	env_receive(0, 0, env_udp("fd00::9", "fd01::2", 1, 2, 1420));
	m = answer(0);
	expect_icmp(m, true, 2, 0);
	assert_int_equal(rte_be_to_cpu_32(*rte_pktmbuf_mtod_offset(m, uint32_t *, 44)), 1400);
	rte_pktmbuf_free(m);
}

static void test_silence(void **state)
{
	struct rte_mbuf *m;
	struct rte_ipv4_hdr *ip;

	(void)state;
	/* an error about an error */
	m = with_ttl1(env_echo("10.0.0.9", "10.1.0.2", 30), false);
	rte_pktmbuf_mtod(m, uint8_t *)[20] = 3;
	env_receive(0, 0, m);
	m = with_ttl1(env_echo("fd00::9", "fd01::2", 30), true);
	rte_pktmbuf_mtod(m, uint8_t *)[40] = 1;
	env_receive(0, 0, m);
	no_answer();
	/* a later fragment */
	m = with_ttl1(env_udp("10.0.0.9", "10.1.0.2", 1, 2, 32), false);
	ip = rte_pktmbuf_mtod(m, struct rte_ipv4_hdr *);
	ip->fragment_offset = RTE_BE16(10);
	ip->hdr_checksum = 0;
	ip->hdr_checksum = rte_ipv4_cksum(ip);
	env_receive(0, 0, m);
	no_answer();
	/* a link-layer broadcast, and a multicast destination */
	env_frame(0, 0, (uint8_t[]){255, 255, 255, 255, 255, 255}, env_udp("10.0.0.9", "10.0.0.1", 1, 9999, 10));
	env_receive(0, 0, with_ttl1(env_udp("10.0.0.9", "224.0.0.5", 1, 2, 10), false));
	no_answer();
	/* but an echo request is an ordinary packet */
	env_receive(0, 0, with_ttl1(env_echo("10.0.0.9", "10.1.0.2", 30), false));
	rte_pktmbuf_free(answer(0));
}

/* Errors are limited: a burst, then silence until time passes. */
static void test_rate(void **state)
{
	unsigned sent = 0;

	(void)state;
	for (unsigned i = 0; i < 300; i++) {
		env_receive(0, 0, env_udp("10.0.0.9", "99.0.0.1", 1, 2, 10));
		env_run_slow();
		for (struct rte_mbuf *m; (m = env_sent(0)); sent++)
			rte_pktmbuf_free(m);
	}
	assert_in_range(sent, 1, 250);
}

/* Between the two ends of a tunnel: a link-local address made of its source (RFC 4213 3.7), which answers into the
 * tunnel, as the other address does when a link-local one asks. */
static void test_link_local_in_a_tunnel(void **state)
{
	static const char *asked[] = {"fe80::a00:1", "fd09::1"};
	static const uint8_t other[16] = {0xfe, 0x80, [12] = 10, 0, 0, 9};

	(void)state;
	env_tunnel6(7, "10.0.0.1", "10.0.0.9", "fd09::1/64");
	for (unsigned i = 0; i < 2; i++) {
		struct cv_addr own;
		struct rte_mbuf *m = env_echo("fe80::a00:9", asked[i], 8);

		assert_int_equal(cv_addr_parse(asked[i], &own), 0);
		env_encapsulate6(m, "10.0.0.9", "10.0.0.1");
		env_receive(0, 0, m);
		m = answer(0);
		expect_addresses(m, own4, host4, false);
		rte_pktmbuf_adj(m, sizeof(struct rte_ipv4_hdr));
		expect_addresses(m, own.b, other, true);
		expect_icmp(m, true, 129, 0);
		rte_pktmbuf_free(m);
	}
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, env_teardown)
	const struct CMUnitTest tests[] = {T(test_echo_ipv4), T(test_echo_ipv6), T(test_echo_bad_checksum),
		T(test_echo_large), T(test_time_exceeded), T(test_unreachable), T(test_admin_prohibited),
		T(test_too_big), T(test_silence), T(test_link_local_in_a_tunnel), T(test_rate)};

	env_init();
	env_ports(2);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
