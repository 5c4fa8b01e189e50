/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * TCP's segment size and the MTU of a family, per interface.
 *
 * port 0: if 1, 10.0.0.1/24 fd00::1/64; port 1: if 2, 10.1.0.1/24 fd01::1/64
 */
#define ALLOW_EXPERIMENTAL_API
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <rte_ip.h>
#include <rte_tcp.h>

#include "cv_addr.h"
#include "events.h"
#include "fib.h"
#include "fwd_env.h"
#include "mss.h"

#define SYN RTE_TCP_SYN_FLAG
#define ACK RTE_TCP_ACK_FLAG

static int setup(void **state)
{
	(void)state;
	env_sync();
	env_two_ports();
	assert_int_equal(env_commit(), 0);
	env_neigh(2, "10.1.0.2", 2);
	env_neigh(2, "fd01::2", 2);
	env_neigh(1, "10.0.0.9", 9);
	env_drain();
	return 0;
}

static void sizes(uint32_t if_id, uint16_t mtu4, uint16_t mtu6, uint16_t mss4, uint16_t mss6)
{
	env_sizes(if_id, mtu4, mtu6, mss4, mss6);
	assert_int_equal(env_commit(), 0);
}

/* What is announced behind `at` bytes of options when the packet has gone from port 0 to port 1, its checksum right. */
static unsigned announced(bool ip6, uint8_t flags, const uint8_t *options, unsigned n, unsigned at)
{
	struct rte_mbuf *m = ip6 ? env_tcp("fd00::9", "fd01::2", flags, options, n)
				 : env_tcp("10.0.0.9", "10.1.0.2", flags, options, n);

	env_receive(0, 0, m);
	m = env_sent(1);
	assert_non_null(m);
	uint8_t *ip = rte_pktmbuf_mtod_offset(m, uint8_t *, 14), *tcp = ip + (ip6 ? 40 : 20);
	assert_int_equal(
		ip6 ? rte_ipv6_udptcp_cksum_verify((void *)ip, tcp) : rte_ipv4_udptcp_cksum_verify((void *)ip, tcp), 0);
	unsigned value = (unsigned)(tcp[20 + at] << 8 | tcp[21 + at]);

	rte_pktmbuf_free(m);
	return value;
}

static const uint8_t plain[] = {2, 4, 1460 >> 8, 1460 & 0xff};
static const uint8_t odd[] = {1, 2, 4, 1460 >> 8, 1460 & 0xff, 1, 1, 0};

/* Off, in either direction, each family by itself, the lower of two; SYN and SYN with ACK only; never raised. */
static void lowered(void **state)
{
	uint64_t *clamped = &env_worker()->stats->events[EVENT_MSS_CLAMPED], before = *clamped;

	(void)state;
	assert_int_equal(announced(false, SYN, plain, 4, 2), 1460);
	sizes(2, 0, 0, 1360, 0); /* out by it */
	assert_int_equal(announced(false, SYN, plain, 4, 2), 1360);
	assert_int_equal(announced(false, SYN | ACK, plain, 4, 2), 1360);
	assert_int_equal(announced(false, SYN, odd, 8, 3), 1360);
	assert_int_equal(announced(false, ACK, plain, 4, 2), 1460);
	assert_int_equal(announced(true, SYN, plain, 4, 2), 1460);
	sizes(1, 0, 0, 1200, 1220); /* in by it */
	assert_int_equal(announced(false, SYN, plain, 4, 2), 1200);
	assert_int_equal(announced(true, SYN, plain, 4, 2), 1220);
	sizes(1, 0, 0, 1400, 0);
	assert_int_equal(announced(false, SYN, plain, 4, 2), 1360);
	assert_int_equal(*clamped - before, 6);
	sizes(2, 0, 0, 0, 0);
	sizes(1, 0, 0, 1460, 0);
	assert_int_equal(announced(false, SYN, plain, 4, 2), 1460);
	assert_int_equal(*clamped - before, 6);
}

/* What fits the ways to both ends, whichever of the two interfaces asks for it; the lower one of it and of a number;
 * nothing is added to a segment without the option. */
static void by_the_path(void **state)
{
	static const uint8_t none[] = {1, 1, 1, 1};

	(void)state;
	for (uint32_t asks = 1; asks <= 2; asks++) {
		for (uint32_t narrow = 1; narrow <= 2; narrow++) {
			sizes(narrow, 1400, 1300, narrow == asks ? CV_MSS_AUTO : 0, narrow == asks ? CV_MSS_AUTO : 0);
			if (narrow != asks)
				sizes(asks, 0, 0, CV_MSS_AUTO, CV_MSS_AUTO);
			assert_int_equal(announced(false, SYN, plain, 4, 2), 1360);
			assert_int_equal(announced(true, SYN, plain, 4, 2), 1240);
			assert_int_equal(announced(false, SYN, none, 4, 2), 0x0101);
			sizes(1, 0, 0, 0, 0);
			sizes(2, 0, 0, 0, 0);
		}
	}
	sizes(1, 0, 0, 1300, 0);
	sizes(2, 1400, 0, CV_MSS_AUTO, 0);
	assert_int_equal(announced(false, SYN, plain, 4, 2), 1300);
	sizes(1, 0, 0, 1390, 0);
	assert_int_equal(announced(false, SYN, plain, 4, 2), 1360);
	sizes(1, 0, 0, 0, 0);
	sizes(2, 0, 0, 0, 0);
}

/* Options that are none, or run over the end, are left as they are. */
static void malformed(void **state)
{
	static const uint8_t bad[][8] = {{0, 2, 4, 5, 180}, {3, 0, 2, 4, 5, 180}, {3, 9, 2, 4, 5, 180}, {2, 3, 5, 180},
		{1, 1, 1, 1, 1, 2, 4, 5}};

	(void)state;
	sizes(2, 0, 0, 600, 0);
	uint64_t before = env_worker()->stats->events[EVENT_MSS_CLAMPED];
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		announced(false, SYN, bad[i], 8, 0);
	struct rte_mbuf *m = env_tcp("10.0.0.9", "10.1.0.2", SYN, plain, 4);
	rte_pktmbuf_mtod(m, uint8_t *)[32] = 0x80; /* more header than there is packet */
	env_receive(0, 0, m);
	assert_int_equal(env_sent_count(1), 1);
	assert_int_equal(env_worker()->stats->events[EVENT_MSS_CLAMPED], before);
}

/* RFC 8344: each family has an MTU of its own, no larger than that of the interface. */
static void family_mtu(void **state)
{
	struct cv_addr a4, a6;

	(void)state;
	assert_int_equal(cv_addr_parse("10.1.0.2", &a4), 0);
	assert_int_equal(cv_addr_parse("fd01::2", &a6), 0);
	sizes(2, 1000, 1400, 0, 0);
	assert_int_equal(fib_path_mtu(0, &a4), 1000);
	assert_int_equal(fib_path_mtu(0, &a6), 1400);
	env_receive(0, 0, env_udp("10.0.0.9", "10.1.0.2", 1, 2, 972));
	assert_int_equal(env_sent_count(1), 1);
	env_drain();
	env_receive(0, 0, env_udp("10.0.0.9", "10.1.0.2", 1, 2, 973));
	assert_int_equal(env_sent_count(1), 2); /* cut */
	env_drain();
	env_receive(0, 0, env_udp("fd00::9", "fd01::2", 1, 2, 1352));
	assert_int_equal(env_sent_count(1), 1);
	env_drain();
	env_receive(0, 0, env_udp("fd00::9", "fd01::2", 1, 2, 1353));
	assert_int_equal(env_sent_count(1), 0); /* the sender is told */
	env_drain();
	sizes(2, 0, 0, 0, 0);
	assert_int_equal(fib_path_mtu(0, &a4), 1500);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(lowered, setup, env_teardown),
		cmocka_unit_test_setup_teardown(by_the_path, setup, env_teardown),
		cmocka_unit_test_setup_teardown(malformed, setup, env_teardown),
		cmocka_unit_test_setup_teardown(family_mtu, setup, env_teardown),
	};
	env_init();
	env_ports(2);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
