/* SPDX-License-Identifier: BSD-3-Clause */
/* The way from worker to main: bounded by class, and no class crowds out another. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <netinet/in.h>
#include <cmocka.h>

#include <rte_mempool.h>
#include <rte_udp.h>

#include "frame_env.h"
#include "slow.h"

static struct worker *w;

static int setup(void **state)
{
	if (frame_env_setup(state) != 0 || slow_init() != 0)
		return -1;
	w = dp_workers[1];
	return 0;
}

/* A packet to ourselves: UDP to this port, or ICMP with port 0. */
static struct rte_mbuf *packet(uint16_t port)
{
	struct rte_mbuf *m = dp_alloc();
	assert_non_null(m);
	char *p = rte_pktmbuf_append(m, 28);
	struct rte_udp_hdr *udp = (struct rte_udp_hdr *)(p + 20);
	udp->dst_port = rte_cpu_to_be_16(port);
	pkt_meta(m)->l4_proto = port != 0 ? IPPROTO_UDP : IPPROTO_ICMP;
	pkt_meta(m)->l4_off = 20;
	return m;
}

/* Offer n, return how many were not dropped. */
static uint64_t offer(enum slow_reason why, uint16_t port, unsigned n)
{
	uint64_t before = w->stats->drops[DROP_SLOW_RATE] + w->stats->drops[DROP_SLOW_FULL];
	for (unsigned i = 0; i < n; i++)
		dp_slow(w, packet(port), why);
	return n - (w->stats->drops[DROP_SLOW_RATE] + w->stats->drops[DROP_SLOW_FULL] - before);
}

static void errors_are_limited_to_a_tenth_of_a_second_at_once(void **state)
{
	(void)state;
	w->tsc = rte_rdtsc() + rte_get_tsc_hz() * 10; /* the clock stands still at a time with a full bucket */
	assert_int_equal(offer(SLOW_ICMP_TTL, 0, 1000), 100);
	assert_int_equal(w->stats->drops[DROP_SLOW_RATE], 900);
	w->tsc += rte_get_tsc_hz() / 100; /* ten milliseconds of 1000 a second */
	assert_in_range(offer(SLOW_ICMP_TTL, 0, 1000), 9, 10);
	/* Another class has its own bucket. */
	assert_int_equal(offer(SLOW_ICMP_UNREACH, 0, 50), 50);
}

static void a_flood_of_pings_does_not_keep_ike_out(void **state)
{
	(void)state;
	uint64_t full = w->stats->drops[DROP_SLOW_FULL];
	w->tsc += rte_get_tsc_hz();
	assert_int_equal(offer(SLOW_LOCAL, 0, 2000), 511); /* the ring is full */
	assert_int_equal(w->stats->drops[DROP_SLOW_FULL] - full, 2000 - 511);
	assert_int_equal(offer(SLOW_LOCAL, 500, 100), 100);
	assert_int_equal(offer(SLOW_LOCAL, 4500, 100), 100);
	assert_int_equal(offer(SLOW_LOCAL, 53, 1), 0);
}

static void a_fragment_or_a_stump_is_not_taken_for_ike(void **state)
{
	(void)state;
	uint64_t full = w->stats->drops[DROP_SLOW_FULL];
	struct rte_mbuf *m = packet(500);
	pkt_meta(m)->frag = 2; /* no UDP header in here */
	dp_slow(w, m, SLOW_LOCAL);
	m = packet(500);
	rte_pktmbuf_trim(m, 1);
	dp_slow(w, m, SLOW_LOCAL);
	assert_int_equal(w->stats->drops[DROP_SLOW_FULL] - full, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(errors_are_limited_to_a_tenth_of_a_second_at_once),
		cmocka_unit_test(a_flood_of_pings_does_not_keep_ike_out),
		cmocka_unit_test(a_fragment_or_a_stump_is_not_taken_for_ike),
	};
	return cmocka_run_group_tests(tests, setup, NULL);
}
