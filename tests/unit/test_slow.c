/* SPDX-License-Identifier: BSD-3-Clause */
/* The way from worker to main: bounded by class, and no class crowds out another. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <netinet/in.h>
#include <cmocka.h>

#include <rte_ip.h>
#include <rte_mempool.h>
#include <rte_udp.h>

#include "events.h"
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

static uint64_t refused(enum event class)
{
	return w->stats->events[class];
}

/* What cannot be told to be IKE, or is in pieces, has no part in its class. */
static void a_fragment_or_a_stump_is_not_taken_for_ike(void **state)
{
	(void)state;
	uint64_t ike = refused(EVENT_REFUSED_IKE), rest = refused(EVENT_REFUSED_LOCAL);
	for (uint16_t frag = 1; frag <= 2; frag++) {
		struct rte_mbuf *m = packet(500);
		pkt_meta(m)->frag = frag;
		dp_slow(w, m, SLOW_LOCAL); /* there is room for fragments */
	}
	struct rte_mbuf *m = packet(500);
	rte_pktmbuf_trim(m, 1);
	dp_slow(w, m, SLOW_LOCAL); /* the ring of the rest is full */
	assert_int_equal(refused(EVENT_REFUSED_IKE), ike);
	assert_int_equal(refused(EVENT_REFUSED_LOCAL), rest + 1);
	assert_int_equal(refused(EVENT_REFUSED_FRAGMENT), 0);
}

/* Take off what waits for main. */
static void slow_discard(void)
{
	for (unsigned c = 1; c < SLOW_CLASSES; c++) {
		char name[RTE_RING_NAMESIZE];
		void *m;
		snprintf(name, sizeof(name), "slow-%u", c);
		struct rte_ring *r = rte_ring_lookup(name);
		assert_non_null(r);
		while (rte_ring_dequeue(r, &m) == 0)
			rte_pktmbuf_free(m);
	}
}

/* An IKE message to this port: with a responder's SPI, with a cookie, or neither. */
static struct rte_mbuf *ike(uint16_t port, bool known, bool cookie)
{
	struct rte_mbuf *m = packet(port);
	uint8_t *p = (uint8_t *)rte_pktmbuf_append(m, 68);
	if (!p)
		abort();
	memset(p, 0, 68);
	p += port == 4500 ? 4 : 0;
	p[0] = 1; /* initiator's SPI */
	p[15] = known;
	p[16] = cookie ? 41 : 33;
	p[28 + 6] = 16390 >> 8;
	p[28 + 7] = 16390 & 255;
	return m;
}

static void strangers_do_not_keep_out_who_is_under_way(void **state)
{
	(void)state;
	slow_discard();
	w->tsc += rte_get_tsc_hz();
	uint64_t first = refused(EVENT_REFUSED_IKE_FIRST), rest = refused(EVENT_REFUSED_IKE);
	for (uint16_t i = 0; i < 1000; i++)
		dp_slow(w, ike(i & 1 ? 500 : 4500, false, false), SLOW_LOCAL);
	assert_int_equal(refused(EVENT_REFUSED_IKE_FIRST), first + 1000 - 511); /* the ring is full */
	for (unsigned i = 0; i < 100; i++) {
		dp_slow(w, ike(500, true, false), SLOW_LOCAL);
		dp_slow(w, ike(4500, true, false), SLOW_LOCAL);
		dp_slow(w, ike(500, false, true), SLOW_LOCAL);
		dp_slow(w, ike(4500, false, true), SLOW_LOCAL);
	}
	assert_int_equal(refused(EVENT_REFUSED_IKE), rest);
	assert_int_equal(refused(EVENT_REFUSED_IKE_FIRST), first + 1000 - 511);
	slow_discard();
}

/* One packet of a class, as it comes from a worker. */
struct kind {
	enum slow_reason why;
	enum event refused;
	uint8_t proto, type, hops;
	uint16_t port, frag;
};

static const struct kind kinds[] = {
	{SLOW_ARP, EVENT_REFUSED_ARP, 0, 0, 0, 0, 0},
	{SLOW_NEIGH, EVENT_REFUSED_NEIGH, 17, 0, 64, 99, 0},
	{SLOW_LOCAL, EVENT_REFUSED_ND, IPPROTO_ICMPV6, 135, 255, 0, 0},
	{SLOW_LOCAL, EVENT_REFUSED_LOCAL, IPPROTO_ICMPV6, 128, 64, 0, 0},  /* a ping */
	{SLOW_LOCAL, EVENT_REFUSED_IKE_FIRST, IPPROTO_UDP, 0, 64, 500, 0}, /* too short to be any other */
	{SLOW_LOCAL, EVENT_REFUSED_FRAGMENT, IPPROTO_UDP, 0, 64, 500, 1},
	{SLOW_ACQUIRE, EVENT_REFUSED_ACQUIRE, 17, 0, 64, 99, 0},
	{SLOW_INVALID_SPI, EVENT_REFUSED_SPI, IPPROTO_ESP, 0, 64, 0, 0},
	{SLOW_ICMP_TTL, EVENT_REFUSED_TTL, 17, 0, 1, 99, 0},
	{SLOW_ICMP_UNREACH, EVENT_REFUSED_UNREACH, 17, 0, 64, 99, 0},
	{SLOW_ICMP_MTU, EVENT_REFUSED_MTU, 17, 0, 64, 99, 0},
};

static void send_one(const struct kind *k)
{
	struct rte_mbuf *m = dp_alloc();
	assert_non_null(m);
	struct rte_ipv6_hdr *ip = (void *)rte_pktmbuf_append(m, 48);
	memset(ip, 0, 48);
	ip->hop_limits = k->hops;
	*(uint8_t *)(ip + 1) = k->type;
	if (k->proto == IPPROTO_UDP)
		((struct rte_udp_hdr *)(ip + 1))->dst_port = rte_cpu_to_be_16(k->port);
	pkt_meta(m)->l4_proto = k->proto;
	pkt_meta(m)->l4_off = 40;
	pkt_meta(m)->frag = k->frag;
	dp_slow(w, m, k->why);
}

/* Issue 3: whatever kind floods, every other kind finds its own allowance untouched; what was refused is counted for
 * the kind that flooded. */
static void a_flood_of_one_kind_starves_no_other(void **state)
{
	(void)state;
	for (unsigned flood = 0; flood < RTE_DIM(kinds); flood++) {
		uint64_t before[EVENT_COUNT];
		slow_discard();
		w->tsc += rte_get_tsc_hz();
		memcpy(before, w->stats->events, sizeof(before));
		for (unsigned i = 0; i < 1500; i++)
			send_one(&kinds[flood]);
		assert_true(refused(kinds[flood].refused) >= before[kinds[flood].refused] + 1500 - 511);
		for (unsigned k = 0; k < RTE_DIM(kinds); k++) {
			for (unsigned i = 0; k != flood && i < 10; i++)
				send_one(&kinds[k]);
			if (k != flood)
				assert_int_equal(refused(kinds[k].refused), before[kinds[k].refused]);
		}
	}
	/* neighbour discovery from afar is no neighbour discovery */
	struct kind far = kinds[2];
	far.hops = 64;
	slow_discard();
	w->tsc += rte_get_tsc_hz();
	uint64_t nd = refused(EVENT_REFUSED_ND);
	for (unsigned i = 0; i < 1500; i++)
		send_one(&far);
	assert_int_equal(refused(EVENT_REFUSED_ND), nd);
	slow_discard();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(errors_are_limited_to_a_tenth_of_a_second_at_once),
		cmocka_unit_test(a_flood_of_pings_does_not_keep_ike_out),
		cmocka_unit_test(a_fragment_or_a_stump_is_not_taken_for_ike),
		cmocka_unit_test(strangers_do_not_keep_out_who_is_under_way),
		cmocka_unit_test(a_flood_of_one_kind_starves_no_other),
	};
	return cmocka_run_group_tests(tests, setup, NULL);
}
