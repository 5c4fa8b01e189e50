/* SPDX-License-Identifier: BSD-3-Clause */
/* Neighbours: asking, holding, learning, probing and forgetting, by ARP (RFC 826) and ND (RFC 4861). */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <rte_arp.h>
#include <rte_ip.h>

#include "arp.h"
#include "cv_addr.h"
#include "fwd_env.h"
#include "iface.h"
#include "neigh.h"
#include "neigh_send.h"
#include "pipeline.h"
#include "announce.h"
#include "slowpath.h"

static const uint8_t all[6] = {255, 255, 255, 255, 255, 255};
static const uint8_t host_mac[6] = {2, 0, 0, 0, 2, 9};
static uint64_t now_ms; /* what the timers are told */

static int setup(void **state)
{
	(void)state;
	env_sync();
	env_eth(1, 0, 0, "10.0.0.1/24");
	env_addr(1, "fd00::1/64");
	env_eth(2, 1, 0, "10.1.0.1/24");
	assert_int_equal(env_commit(), 0);
	now_ms = dp_now_ms();
	return 0;
}

static void tick(uint64_t ms)
{
	now_ms += ms;
	neigh_tick(env_worker(), now_ms);
	env_run_slow();
}

static struct cv_addr addr(const char *s)
{
	struct cv_addr a;

	assert_int_equal(cv_addr_parse(s, &a), 0);
	return a;
}

static struct adj *adj_of(uint32_t if_id, const char *s)
{
	struct cv_addr a = addr(s);
	uint32_t i = neigh_find(if_id, a.af, neigh_key6(a.b));

	return i ? &adj_table[i] : NULL;
}

/* How many of what is shown are this address; *state that of the last. */
static unsigned dump_count(const char *s, unsigned *state)
{
	struct cv_cmd_dump req = {.kind = CV_DUMP_NEIGH};
	struct cv_dump_reply rep;
	struct cv_addr a = addr(s);
	unsigned n = 0;

	*state = 0;
	do {
		neigh_dump(&req, &rep);
		for (unsigned i = 0; i < rep.n; i++) {
			struct cv_neigh_entry e;

			memcpy(&e, rep.entries + i * rep.entry_size, sizeof(e));
			if (!cv_addr_eq(&e.addr, &a))
				continue;
			*state = e.state;
			n++;
		}
		req.cursor = rep.next;
	} while (rep.next);
	return n;
}

static unsigned dump_state(const char *s)
{
	unsigned state;

	assert_in_range(dump_count(s, &state), 0, 1);
	return state;
}

static void receive_arp(uint32_t port, const uint8_t dst[6], uint16_t op, const char *spa, const char *tpa)
{
	struct rte_mbuf *m = dp_alloc();
	uint8_t *p = (uint8_t *)rte_pktmbuf_append(m, 14 + sizeof(struct rte_arp_hdr));
	assert_non_null(p);
	struct rte_arp_hdr *h = (struct rte_arp_hdr *)(p + 14);
	struct cv_addr s = addr(spa), t = addr(tpa);

	memset(p, 0, 14 + sizeof(*h));
	memcpy(p, dst, 6);
	memcpy(p + 6, host_mac, 6);
	memcpy(p + 12, (uint8_t[]){8, 6}, 2);
	h->arp_hardware = RTE_BE16(1);
	h->arp_protocol = RTE_BE16(0x0800);
	h->arp_hlen = 6;
	h->arp_plen = 4;
	h->arp_opcode = rte_cpu_to_be_16(op);
	memcpy(&h->arp_data.arp_sha, host_mac, 6);
	memcpy(&h->arp_data.arp_sip, s.b, 4);
	memcpy(&h->arp_data.arp_tip, t.b, 4);
	ether_input(env_worker(), port, &m, 1);
	env_run_slow();
}

static struct rte_arp_hdr sent_arp(uint32_t port, const uint8_t dst[6])
{
	struct rte_mbuf *m = env_sent(port);
	struct rte_arp_hdr h;

	assert_non_null(m);
	assert_memory_equal(rte_pktmbuf_mtod(m, void *), dst, 6);
	assert_memory_equal(rte_pktmbuf_mtod_offset(m, uint8_t *, 12), ((uint8_t[]){8, 6}), 2);
	h = *rte_pktmbuf_mtod_offset(m, struct rte_arp_hdr *, 14);
	rte_pktmbuf_free(m);
	return h;
}

/* A packet waits, the question goes out, the answer lets it go; what follows goes straight. */
static void test_resolve(void **state)
{
	(void)state;
	env_receive(1, 0, env_udp("10.1.0.9", "10.0.0.9", 1, 2, 10));
	env_run_slow();
	struct rte_arp_hdr q = sent_arp(0, all);

	assert_int_equal(q.arp_opcode, RTE_BE16(RTE_ARP_OP_REQUEST));
	assert_int_equal(q.arp_data.arp_sip, RTE_BE32(RTE_IPV4(10, 0, 0, 1)));
	assert_int_equal(q.arp_data.arp_tip, RTE_BE32(RTE_IPV4(10, 0, 0, 9)));
	assert_null(env_sent(0));
	assert_int_equal(dump_state("10.0.0.9"), CV_NEIGH_INCOMPLETE);
	receive_arp(0, (uint8_t[]){2, 0, 0, 0, 1, 0}, RTE_ARP_OP_REPLY, "10.0.0.9", "10.0.0.1");
	assert_int_equal(env_sent_count(0), 1);
	assert_int_equal(dump_state("10.0.0.9"), CV_NEIGH_REACHABLE);
	env_receive(1, 0, env_udp("10.1.0.9", "10.0.0.9", 1, 2, 10));
	assert_int_equal(env_n_slow, 0);
	assert_int_equal(env_sent_count(0), 2);
	struct rte_mbuf *m = env_sent(0);

	assert_memory_equal(rte_pktmbuf_mtod(m, void *), host_mac, 6);
	assert_int_equal(rte_pktmbuf_mtod_offset(m, struct rte_ipv4_hdr *, 14)->time_to_live, 63);
	rte_pktmbuf_free(m);
}

/* Three questions a second apart, then the senders are told and the oldest packets beyond the queue were dropped. */
static void test_no_answer(void **state)
{
	uint64_t before = env_drops(DROP_NEIGH_FAIL);

	(void)state;
	env_neigh(2, "10.1.0.9", 1);
	for (unsigned i = 0; i < NEIGH_HOLD_MAX + 2; i++)
		env_receive(1, 0, env_udp("10.1.0.9", "10.0.0.9", 1, 2, 10));
	env_run_slow();
	assert_int_equal(env_drops(DROP_NEIGH_FAIL) - before, 2);
	unsigned asked = env_sent_count(0);

	assert_int_equal(asked, 1);
	for (unsigned i = 0; i < 50; i++)
		tick(100);
	assert_int_equal(env_sent_count(0), 3);
	assert_int_equal(env_sent_count(1), NEIGH_HOLD_MAX); /* host unreachable, each */
	struct rte_mbuf *m = env_sent(1);

	assert_memory_equal(rte_pktmbuf_mtod_offset(m, uint8_t *, 34), ((uint8_t[]){3, 1}), 2);
	rte_pktmbuf_free(m);
	assert_int_equal(env_drops(DROP_NEIGH_FAIL) - before, NEIGH_HOLD_MAX + 2);
	assert_null(adj_of(1, "10.0.0.9"));
}

static void test_answers(void **state)
{
	(void)state;
	receive_arp(0, all, RTE_ARP_OP_REQUEST, "10.0.0.9", "10.0.0.1");
	struct rte_arp_hdr r = sent_arp(0, host_mac);

	assert_int_equal(r.arp_opcode, RTE_BE16(RTE_ARP_OP_REPLY));
	assert_memory_equal(&r.arp_data.arp_sha, ((uint8_t[]){2, 0, 0, 0, 1, 0}), 6);
	assert_int_equal(dump_state("10.0.0.9"), CV_NEIGH_STALE); /* known, not confirmed */
	receive_arp(0, all, RTE_ARP_OP_REQUEST, "10.0.0.9", "10.0.0.7");
	assert_null(env_sent(0));
	receive_arp(0, all, RTE_ARP_OP_REQUEST, "77.0.0.9", "10.0.0.1"); /* from no neighbour: answered, not learned */
	assert_null(adj_of(1, "77.0.0.9"));
}

/* A loopback address is answered for on the links of its VRF. */
static void test_loopback_address(void **state)
{
	struct cv_if lo = {.if_id = 7, .type = CV_IF_LOOPBACK, .mtu = 1500, .admin_up = 1, .name = "lo7"};

	(void)state;
	env_stage(CV_CMD_IF_SET, &lo, 0);
	env_addr(7, "192.0.2.1/32");
	assert_int_equal(env_commit(), 0);
	receive_arp(0, all, RTE_ARP_OP_REQUEST, "10.0.0.9", "192.0.2.1");
	sent_arp(0, host_mac);
	env_receive(0, 0, env_echo("10.0.0.9", "192.0.2.1", 8));
	env_run_slow();
	assert_int_equal(env_sent_count(0), 1);
}

/* A new MAC reaches the workers' header at once. */
static void test_mac_change(void **state)
{
	(void)state;
	env_neigh(1, "10.0.0.9", 44);
	receive_arp(0, all, RTE_ARP_OP_REQUEST, "10.0.0.9", "10.0.0.9"); /* gratuitous, from host_mac */
	assert_memory_equal(adj_of(1, "10.0.0.9")->l2, host_mac, 6);
	assert_memory_equal(adj_of(1, "10.0.0.9")->l2 + 6, ((uint8_t[]){2, 0, 0, 0, 1, 0, 8, 0}), 8);
}

/* Reachable, stale, asked by unicast when it is used, and gone when it does not answer. */
static void test_aging(void **state)
{
	(void)state;
	env_neigh(1, "10.0.0.9", 9);
	tick(31000);
	assert_int_equal(dump_state("10.0.0.9"), CV_NEIGH_STALE);
	tick(1000);
	assert_int_equal(dump_state("10.0.0.9"), CV_NEIGH_STALE); /* unused: nobody asks */
	adj_of(1, "10.0.0.9")->used = (uint32_t)(now_ms / 1000);
	tick(1000);
	assert_int_equal(dump_state("10.0.0.9"), CV_NEIGH_PROBE);
	sent_arp(0, host_mac);
	receive_arp(0, (uint8_t[]){2, 0, 0, 0, 1, 0}, RTE_ARP_OP_REPLY, "10.0.0.9", "10.0.0.1");
	assert_int_equal(dump_state("10.0.0.9"), CV_NEIGH_REACHABLE);
	tick(31000);
	adj_of(1, "10.0.0.9")->used = (uint32_t)(now_ms / 1000) + 1;
	for (unsigned i = 0; i < 60; i++)
		tick(100);
	assert_null(adj_of(1, "10.0.0.9"));
}

/* Gateways of routes have an adjacency before anybody asks, and keep it; without routes it goes. */
static void test_pinned(void **state)
{
	struct cv_route_ref ref;

	(void)state;
	env_route(0, "20.0.0.0/8", "10.0.0.9", 0, 0);
	assert_int_equal(env_commit(), 0);
	struct adj *a = adj_of(1, "10.0.0.9");

	assert_non_null(a);
	assert_false(a->ready);
	env_receive(1, 0, env_udp("10.1.0.9", "20.0.0.9", 1, 2, 10));
	env_run_slow();
	sent_arp(0, all);
	for (unsigned i = 0; i < 50; i++)
		tick(100);
	assert_ptr_equal(adj_of(1, "10.0.0.9"), a);
	env_drain();
	receive_arp(0, (uint8_t[]){2, 0, 0, 0, 1, 0}, RTE_ARP_OP_REPLY, "10.0.0.9", "10.0.0.1");
	env_receive(1, 0, env_udp("10.1.0.9", "20.0.0.9", 1, 2, 10));
	assert_int_equal(env_sent_count(0), 1);
	neigh_clear(0);
	assert_non_null(adj_of(1, "10.0.0.9"));
	ref = (struct cv_route_ref){.prefix = {.addr = addr("20.0.0.0"), .len = 8}};
	env_stage(CV_CMD_ROUTE_DEL, &ref, 0);
	assert_int_equal(env_commit(), 0);
	assert_null(adj_of(1, "10.0.0.9"));
}

/* Another MAC of our own: the old headers are not used any more, the neighbours are asked again. */
static void test_own_mac_change(void **state)
{
	struct cv_if c = {.if_id = 1,
		.type = CV_IF_ETHERNET,
		.mtu = 1500,
		.admin_up = 1,
		.has_mac = 1,
		.mac = {2, 7, 7, 7, 7, 7},
		.name = "if1"};

	(void)state;
	env_neigh(1, "10.0.0.9", 9);
	env_stage(CV_CMD_IF_SET, &c, 0);
	assert_int_equal(env_commit(), 0);
	assert_false(adj_of(1, "10.0.0.9")->ready);
	env_receive(1, 0, env_udp("10.1.0.9", "10.0.0.9", 1, 2, 10));
	env_run_slow();
	struct rte_arp_hdr q = sent_arp(0, all);

	assert_memory_equal(&q.arp_data.arp_sha, c.mac, 6);
	receive_arp(0, c.mac, RTE_ARP_OP_REPLY, "10.0.0.9", "10.0.0.1");
	struct rte_mbuf *m = env_sent(0);

	assert_non_null(m);
	assert_memory_equal(rte_pktmbuf_mtod_offset(m, uint8_t *, 6), c.mac, 6);
	rte_pktmbuf_free(m);
}

/* ---- IPv6 ---- */

static struct rte_mbuf *nd_packet(
	const char *src, const char *dst, uint8_t type, uint32_t flags, const char *target, uint8_t opt_type)
{
	struct rte_mbuf *m = env_echo(src, dst, 24);
	uint8_t *p = rte_pktmbuf_mtod(m, uint8_t *), *icmp = p + 40;
	struct cv_addr t = addr(target);
	uint32_t be = rte_cpu_to_be_32(flags);

	rte_pktmbuf_mtod(m, struct rte_ipv6_hdr *)->hop_limits = 255;
	memset(icmp, 0, 32);
	icmp[0] = type;
	memcpy(icmp + 4, &be, 4);
	memcpy(icmp + 8, t.b, 16);
	icmp[24] = opt_type;
	icmp[25] = 1;
	memcpy(icmp + 26, host_mac, 6);
	uint16_t sum = rte_ipv6_udptcp_cksum((void *)p, icmp);

	memcpy(icmp + 2, &sum, 2);
	return m;
}

static void test_nd_resolve(void **state)
{
	struct rte_mbuf *m;

	(void)state;
	env_addr(2, "fd01::1/64");
	assert_int_equal(env_commit(), 0);
	env_receive(1, 0, env_udp("fd01::9", "fd00::9", 1, 2, 10));
	env_run_slow();
	m = env_sent(0);
	assert_non_null(m);
	/* to the solicited-node group, with our MAC */
	assert_memory_equal(rte_pktmbuf_mtod(m, void *), ((uint8_t[]){0x33, 0x33, 0xff, 0, 0, 9}), 6);
	const uint8_t *ip = rte_pktmbuf_mtod_offset(m, const uint8_t *, 14);

	assert_int_equal(ip[40], 135);
	assert_int_equal(ip[7], 255);
	assert_memory_equal(ip + 24, ((uint8_t[16]){0xff, 2, [11] = 1, 0xff, 0, 0, 9}), 16);
	assert_memory_equal(ip + 64, ((uint8_t[]){1, 1, 2, 0, 0, 0, 1, 0}), 8);
	rte_pktmbuf_free(m);
	env_receive(0, 0, nd_packet("fd00::9", "fd00::1", 136, 0x60000000, "fd00::9", 2));
	env_run_slow();
	m = env_sent(0);
	assert_non_null(m);
	assert_memory_equal(rte_pktmbuf_mtod(m, void *), host_mac, 6);
	rte_pktmbuf_free(m);
	assert_int_equal(dump_state("fd00::9"), CV_NEIGH_REACHABLE);
}

static void test_nd_answers(void **state)
{
	struct rte_mbuf *m;

	(void)state;
	env_frame(0, 0, (uint8_t[]){0x33, 0x33, 0xff, 0, 0, 1},
		nd_packet("fd00::9", "ff02::1:ff00:1", 135, 0, "fd00::1", 1));
	env_run_slow();
	m = env_sent(0);
	assert_non_null(m);
	const uint8_t *ip = rte_pktmbuf_mtod_offset(m, const uint8_t *, 14);

	assert_memory_equal(rte_pktmbuf_mtod(m, void *), host_mac, 6);
	assert_int_equal(ip[40], 136);
	assert_int_equal(ip[44], 0xe0); /* router, solicited, override */
	rte_pktmbuf_free(m);
	/* duplicate address detection of another host for our address: told to all nodes */
	env_frame(
		0, 0, (uint8_t[]){0x33, 0x33, 0xff, 0, 0, 1}, nd_packet("::", "ff02::1:ff00:1", 135, 0, "fd00::1", 14));
	env_run_slow();
	m = env_sent(0);
	assert_non_null(m);
	assert_memory_equal(rte_pktmbuf_mtod(m, void *), ((uint8_t[]){0x33, 0x33, 0, 0, 0, 1}), 6);
	rte_pktmbuf_free(m);
}

static void sent_solicitation(uint32_t port)
{
	struct rte_mbuf *m = env_sent(port);

	assert_non_null(m);
	assert_int_equal(rte_pktmbuf_mtod_offset(m, const uint8_t *, 14)[40], 135);
	rte_pktmbuf_free(m);
}

static void sent_to_host(uint32_t port, const uint8_t type[2])
{
	struct rte_mbuf *m = env_sent(port);

	assert_non_null(m);
	assert_memory_equal(rte_pktmbuf_mtod(m, void *), host_mac, 6);
	assert_memory_equal(rte_pktmbuf_mtod_offset(m, void *, 12), type, 2);
	rte_pktmbuf_free(m);
	assert_null(env_sent(port));
}

/* IPv4 packets by an IPv6 gateway (RFC 8950): ND finds it, they go out as IPv4. Its IPv6 packets have a header of their
 * own, and what is learned of it holds for both. Shown is one neighbour. */
static void test_ipv4_by_ipv6(void **state)
{
	static const uint8_t ip4[2] = {8, 0}, ip6[2] = {0x86, 0xdd};
	const char *gateways[] = {"fe80::9", "fd00::9"};

	(void)state;
	env_addr(2, "fd01::1/64");
	env_route(0, "20.0.0.0/8", gateways[0], 1, 0);
	env_route(0, "21.0.0.0/8", gateways[1], 0, 0); /* found by the connected subnet */
	assert_int_equal(env_commit(), 0);
	for (unsigned i = 0; i < 2; i++) {
		env_receive(1, 0, env_udp("10.1.0.9", i ? "21.0.0.9" : "20.0.0.9", 1, 2, 10));
		env_run_slow();
		sent_solicitation(0);
		assert_int_equal(dump_state(gateways[i]), CV_NEIGH_INCOMPLETE);
		env_receive(0, 0, nd_packet(gateways[i], "fd00::1", 136, 0x60000000, gateways[i], 2));
		env_run_slow();
		sent_to_host(0, ip4);
		assert_int_equal(dump_state(gateways[i]), CV_NEIGH_REACHABLE);
	}
	env_receive(1, 0, env_udp("fd01::9", "fd00::9", 1, 2, 10));
	env_run_slow();
	sent_solicitation(0);
	env_receive(0, 0, nd_packet("fd00::9", "fd00::1", 136, 0x60000000, "fd00::9", 2));
	env_run_slow();
	sent_to_host(0, ip6);
	assert_int_equal(dump_state("fd00::9"), CV_NEIGH_REACHABLE);
	env_receive(1, 0, env_udp("10.1.0.9", "21.0.0.9", 1, 2, 10));
	assert_int_equal(env_n_slow, 0);
	sent_to_host(0, ip4);
	struct cv_route r = {.prefix = {.addr = addr("fd09::"), .len = 32}, .n_nh = 1};
	r.nh[0] = (struct cv_nexthop){.type = CV_NH_GATEWAY, .weight = 1, .gw = addr("10.0.0.9")};
	env_stage(CV_CMD_ROUTE_SET, &r, CV_ERR_MALFORMED); /* the other way round there is nothing */
}

/* Messages that a router in between could have forwarded are not believed (RFC 4861 7.1). */
static void test_nd_refused(void **state)
{
	struct rte_mbuf *m = nd_packet("fd00::9", "fd00::1", 135, 0, "fd00::1", 1);

	(void)state;
	rte_pktmbuf_mtod(m, struct rte_ipv6_hdr *)->hop_limits = 254;
	env_receive(0, 0, m);
	m = nd_packet("fd00::9", "fd00::1", 135, 0, "fd00::1", 1);
	rte_pktmbuf_mtod(m, uint8_t *)[42] ^= 1; /* checksum */
	env_receive(0, 0, m);
	env_receive(0, 0, nd_packet("fd00::9", "fd00::1", 136, 0x60000000, "fd00::9", 2)); /* nobody asked */
	env_run_slow();
	assert_null(env_sent(0));
	assert_null(adj_of(1, "fd00::9"));
}

/* A tunnel has no link-layer addresses: nobody is told ours there, and nobody's is learned. */
static void test_no_nd_in_a_tunnel(void **state)
{
	struct rte_mbuf *m = nd_packet("fe80::a00:9", "fe80::a00:1", 135, 0, "fe80::a00:1", 1);

	(void)state;
	env_tunnel6(7, "10.0.0.1", "10.0.0.9", "fd09::1/64");
	env_encapsulate6(m, "10.0.0.9", "10.0.0.1");
	env_receive(0, 0, m);
	assert_int_equal(env_n_slow, 1);
	env_run_slow();
	assert_null(env_sent(0));
	assert_null(adj_of(7, "fe80::a00:9"));
}

/* New addresses are announced, twice. */
static void test_announce(void **state)
{
	unsigned arp = 0, nd = 0;

	(void)state;
	for (unsigned i = 0; i < 10; i++)
		announce_tick(env_worker(), dp_now_ms() + i * 1000);
	for (struct rte_mbuf *m; (m = env_sent(0)); rte_pktmbuf_free(m)) {
		const uint8_t *f = rte_pktmbuf_mtod(m, const uint8_t *);

		arp += f[12] == 8 && f[13] == 6 && memcmp(f + 28, f + 38, 4) == 0;
		nd += f[12] == 0x86 && f[54] == 136;
	}
	assert_in_range(arp, 2, 64); /* tests before this one left theirs in the queue */
	assert_int_equal(nd, arp);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, env_teardown)
	const struct CMUnitTest tests[] = {T(test_announce), T(test_resolve), T(test_no_answer), T(test_answers),
		T(test_loopback_address), T(test_mac_change), T(test_aging), T(test_pinned), T(test_own_mac_change),
		T(test_nd_resolve), T(test_nd_answers), T(test_nd_refused), T(test_ipv4_by_ipv6),
		T(test_no_nd_in_a_tunnel)};

	env_init();
	env_ports(2);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
