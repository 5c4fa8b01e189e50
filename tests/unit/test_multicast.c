/* SPDX-License-Identifier: BSD-3-Clause */
/* Multicast routes: a copy for each way out, and none where there must not be one (VTI-4). */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "cv_addr.h"
#include "fib.h"
#include "fwd_env.h"
#include "host_mroute.h"
#include "iface.h"
#include "mfib.h"
#include "neigh.h"
#include "port.h"

#define GROUP "239.1.2.3"
#define GROUP6 "ff3e::1:2:3"

/*
 * port 0: if 1, 10.0.0.1/24 fd00::1/64
 * port 1: if 2, 10.1.0.1/24 fd01::1/64; if 4: VLAN 40, 10.4.0.1/24
 * port 2: if 5, 10.5.0.1/24
 * VRF 1: if 3, VLAN 30 of port 1
 */
static int setup(void **state)
{
	(void)state;
	env_sync();
	env_vrf(1);
	env_two_ports();
	env_vlan(3, 2, 30, 1, "10.3.0.1/24");
	env_vlan(4, 2, 40, 0, "10.4.0.1/24");
	env_eth(5, 2, 0, "10.5.0.1/24");
	assert_int_equal(env_commit(), 0);
	env_drain();
	return 0;
}

static struct cv_mroute route(const char *group, const char *source, uint32_t if_in)
{
	struct cv_mroute r = {.if_in = if_in};

	assert_int_equal(cv_addr_parse(group, &r.ref.group), 0);
	if (source)
		assert_int_equal(cv_addr_parse(source, &r.ref.source), 0);
	return r;
}

static void add_out(struct cv_mroute *r, uint32_t if_id, uint8_t ttl)
{
	r->out[r->n_out++] = (struct cv_mroute_out){.if_id = if_id, .ttl = ttl};
}

static void commit(const struct cv_mroute *r)
{
	env_stage(CV_CMD_MROUTE_SET, r, 0);
	assert_int_equal(env_commit(), 0);
}

static void receive(const char *source, const char *group, uint8_t ttl, unsigned payload)
{
	struct rte_mbuf *m = env_udp(source, group, 1000, 2000, payload);
	struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod(m, struct rte_ipv4_hdr *);
	struct cv_addr a;

	assert_int_equal(cv_addr_parse(group, &a), 0);
	if (a.af == CV_AF_INET6) {
		rte_pktmbuf_mtod(m, struct rte_ipv6_hdr *)->hop_limits = ttl;
		env_frame(0, 0, (const uint8_t[]){0x33, 0x33, a.b[12], a.b[13], a.b[14], a.b[15]}, m);
		return;
	}
	ip->time_to_live = ttl;
	ip->hdr_checksum = 0;
	ip->hdr_checksum = rte_ipv4_cksum(ip);
	env_frame(0, 0, (const uint8_t[]){1, 0, 0x5e, a.b[1] & 0x7f, a.b[2], a.b[3]}, m);
}

static void expect_frame(uint32_t port, const uint8_t *l2, unsigned l2_len, uint8_t ttl)
{
	struct rte_mbuf *m = env_sent(port);

	assert_non_null(m);
	assert_memory_equal(rte_pktmbuf_mtod(m, void *), l2, l2_len);
	const uint8_t *ip = rte_pktmbuf_mtod_offset(m, const uint8_t *, l2_len);

	if (ip[0] >> 4 == 4) {
		assert_int_equal(ip[8], ttl);
		assert_true(env_sums_ok((const struct rte_ipv4_hdr *)ip));
	} else {
		assert_int_equal(ip[7], ttl);
	}
	rte_pktmbuf_free(m);
}

static uint64_t before;
#define expect_drop(why, action)                                                                                       \
	do {                                                                                                           \
		before = env_drops(why);                                                                               \
		action;                                                                                                \
		assert_int_equal(env_drops(why) - before, 1);                                                          \
	} while (0)

static void expect_silence(void)
{
	for (uint32_t port = 0; port < 3; port++)
		assert_int_equal(env_sent_count(port), 0);
	assert_int_equal(env_n_slow, 0);
}

static const struct cv_mroute_counters *counters(const char *group, const char *source)
{
	const struct cv_mroute r = route(group, source, 1);
	const struct mfib_ways *ways;
	uint32_t slot = mfib_find(0, &r.ref.group, &r.ref.source, &ways);

	assert_int_not_equal(slot, 0);
	return &env_worker()->stats->mroute[slot];
}

/* A copy for each interface, with the group's MAC address and the interface's own, tagged or not, one hop less. */
static void test_copies(void **state)
{
	struct cv_mroute r = route(GROUP, NULL, 1);

	(void)state;
	add_out(&r, 2, 1);
	add_out(&r, 4, 1);
	add_out(&r, 5, 1);
	commit(&r);
	receive("10.0.0.9", GROUP, 16, 100);
	expect_frame(1, (const uint8_t[]){1, 0, 0x5e, 1, 2, 3, 2, 0, 0, 0, 1, 1, 0x08, 0x00}, 14, 15);
	expect_frame(
		1, (const uint8_t[]){1, 0, 0x5e, 1, 2, 3, 2, 0, 0, 0, 1, 1, 0x81, 0x00, 0, 40, 0x08, 0x00}, 18, 15);
	expect_frame(2, (const uint8_t[]){1, 0, 0x5e, 1, 2, 3, 2, 0, 0, 0, 1, 2, 0x08, 0x00}, 14, 15);
	expect_silence();
	assert_int_equal(counters(GROUP, NULL)->packets, 1);
	assert_int_equal(counters(GROUP, NULL)->bytes, 128);
	assert_int_equal(counters(GROUP, NULL)->copies, 3);
	/* A group that shares its MAC address (RFC 1112 6.4) has no route for that. */
	expect_drop(DROP_MULTICAST, receive("10.0.0.9", "239.129.2.3", 16, 100));
	expect_silence();
}

/* The same for IPv6; groups of a link stay on it, whatever a route would say. */
static void test_ipv6(void **state)
{
	struct cv_mroute r = route(GROUP6, "fd00::9", 1);

	(void)state;
	add_out(&r, 2, 1);
	commit(&r);
	receive("fd00::9", GROUP6, 16, 100);
	expect_frame(1, (const uint8_t[]){0x33, 0x33, 0, 2, 0, 3, 2, 0, 0, 0, 1, 1, 0x86, 0xdd}, 14, 15);
	expect_drop(DROP_MULTICAST, receive("fd00::8", GROUP6, 16, 100));
	expect_drop(DROP_MULTICAST, receive("fd00::9", "ff02::1:2:3", 16, 100));
	expect_drop(DROP_MULTICAST, receive("10.0.0.9", "224.0.0.99", 16, 100));
	expect_silence();
}

/* Only what comes with more than the threshold leaves; nobody is told of what does not. */
static void test_ttl(void **state)
{
	struct cv_mroute r = route(GROUP, NULL, 1);

	(void)state;
	add_out(&r, 2, 1);
	add_out(&r, 5, 32);
	commit(&r);
	receive("10.0.0.9", GROUP, 33, 10);
	assert_int_equal(env_sent_count(1), 1);
	assert_int_equal(env_sent_count(2), 1);
	receive("10.0.0.9", GROUP, 32, 10);
	assert_int_equal(env_sent_count(1), 2);
	assert_int_equal(env_sent_count(2), 1);
	env_drain();
	expect_drop(DROP_TTL, receive("10.0.0.9", GROUP, 1, 10));
	r.out[0].ttl = 32;
	commit(&r);
	expect_drop(DROP_MULTICAST_PRUNED, receive("10.0.0.9", GROUP, 32, 10));
	r.n_out = 0;
	commit(&r);
	expect_drop(DROP_MULTICAST_PRUNED, receive("10.0.0.9", GROUP, 64, 10));
	expect_silence();
	assert_int_equal(counters(GROUP, NULL)->packets, 5); /* the changes left its counters alone */
	assert_int_equal(counters(GROUP, NULL)->copies, 3);
}

/* By another interface than expected: dropped by name and counted. The source's own route goes before that of any. */
static void test_reverse_path(void **state)
{
	struct cv_mroute any = route(GROUP, NULL, 1), one = route(GROUP, "10.0.0.9", 5);

	(void)state;
	add_out(&any, 2, 1);
	add_out(&one, 2, 1);
	env_stage(CV_CMD_MROUTE_SET, &any, 0);
	commit(&one);
	expect_drop(DROP_MULTICAST_RPF, receive("10.0.0.9", GROUP, 16, 10));
	expect_silence();
	assert_int_equal(counters(GROUP, "10.0.0.9")->wrong_if, 1);
	assert_int_equal(counters(GROUP, "10.0.0.9")->packets, 0);
	receive("10.0.0.8", GROUP, 16, 10);
	assert_int_equal(env_sent_count(1), 1);
	const struct cv_mroute_counters *was = counters(GROUP, "10.0.0.9");
	const uint64_t former = was->former;

	env_stage(CV_CMD_MROUTE_DEL, &one.ref, 0);
	assert_int_equal(env_commit(), 0);
	receive("10.0.0.9", GROUP, 16, 10);
	assert_int_equal(env_sent_count(1), 2);
	commit(&one); /* another slot or the same: it counts from zero, and who remembers the old one's counters can
			 tell */
	assert_int_equal(counters(GROUP, "10.0.0.9")->wrong_if, 0);
	assert_int_equal(was->former, former + 1);
}

/* What the way out does with any packet it does with the copy: access lists, fragments, an interface that is down. */
static void test_ways(void **state)
{
	struct cv_mroute r = route(GROUP, NULL, 1);
	struct cv_if down;

	(void)state;
	add_out(&r, 2, 1);
	add_out(&r, 5, 1);
	env_stage(CV_CMD_MROUTE_SET, &r, 0);
	env_acl(7, 70);
	env_acl_line(7, 71, 10, false, 0, "any4", "239.1.2.3/32");
	assert_int_equal(env_commit(), 0);
	env_filter(5, 0, 7);
	assert_int_equal(env_commit(), 0);
	expect_drop(DROP_ACL_OUT, receive("10.0.0.9", GROUP, 16, 10));
	assert_int_equal(env_acl_count(71), 1);
	assert_int_equal(env_sent_count(1), 1);
	assert_int_equal(env_sent_count(2), 0);
	env_filter(5, 0, 0);
	env_sizes(2, 600, 0, 0, 0);
	assert_int_equal(env_commit(), 0);
	env_drain();
	receive("10.0.0.9", GROUP, 16, 1000);
	assert_int_equal(env_sent_count(1), 2); /* two fragments here, the whole there */
	assert_int_equal(env_sent_count(2), 1);
	env_drain();
	down = iface_get(5)->cfg;
	down.admin_up = 0;
	env_stage(CV_CMD_IF_SET, &down, 0);
	assert_int_equal(env_commit(), 0);
	receive("10.0.0.9", GROUP, 16, 10);
	assert_int_equal(env_sent_count(1), 1);
	assert_int_equal(env_sent_count(2), 0);
	env_drain();
	down.admin_up = 1;
	env_stage(CV_CMD_IF_SET, &down, 0);
	assert_int_equal(env_commit(), 0);
	receive("10.0.0.9", GROUP, 16, 10);
	assert_int_equal(env_sent_count(2), 1);
}

/* Into a GRE tunnel the copy is encapsulated, and out of it forwarded as received by the tunnel. */
static void test_tunnel(void **state)
{
	struct cv_if t = {.if_id = 7, .type = CV_IF_TUNNEL, .mtu = 1400, .admin_up = 1, .name = "t"};
	struct cv_mroute r = route(GROUP, NULL, 1);

	(void)state;
	t.tunnel = (struct cv_tunnel){.mode = CV_TUNNEL_GRE, .ttl = 255};
	assert_int_equal(cv_addr_parse("10.1.0.1", &t.tunnel.src), 0);
	assert_int_equal(cv_addr_parse("10.1.0.2", &t.tunnel.dst), 0);
	env_stage(CV_CMD_IF_SET, &t, 0);
	env_addr(7, "10.99.0.1/30");
	assert_int_equal(env_commit(), 0);
	env_neigh(2, "10.1.0.2", 2);
	iface_tunnel_changed();
	iface_refresh();
	assert_true(iface_get(7)->link);
	add_out(&r, 7, 1);
	add_out(&r, 5, 1);
	commit(&r);
	receive("10.0.0.9", GROUP, 16, 10);
	assert_int_equal(env_sent_count(2), 1);
	struct rte_mbuf *m = env_sent(1);

	assert_non_null(m);
	const struct rte_ipv4_hdr *outer = rte_pktmbuf_mtod_offset(m, const struct rte_ipv4_hdr *, 14);

	assert_int_equal(outer->next_proto_id, IPPROTO_GRE);
	assert_int_equal(rte_pktmbuf_mtod_offset(m, const struct rte_ipv4_hdr *, 14 + 24)->time_to_live, 15);
	/* Back in by the tunnel: other end and own end change places. */
	struct rte_ipv4_hdr *back = rte_pktmbuf_mtod_offset(m, struct rte_ipv4_hdr *, 14);

	RTE_SWAP(back->src_addr, back->dst_addr);
	r.if_in = 7;
	r.n_out = 0;
	add_out(&r, 1, 1);
	commit(&r);
	env_drain();
	rte_pktmbuf_adj(m, 14);
	env_receive(1, 0, m);
	expect_frame(0, (const uint8_t[]){1, 0, 0x5e, 1, 2, 3, 2, 0, 0, 0, 1, 0, 0x08, 0x00}, 14, 14);
	expect_silence();
}

/* Whether the interfaces' headers change or their neighbours are forgotten, copies go on with the right ones. */
static void test_headers(void **state)
{
	struct cv_mroute r = route(GROUP, NULL, 1);
	struct cv_if c;

	(void)state;
	add_out(&r, 2, 1);
	commit(&r);
	neigh_clear(0);
	c = iface_get(2)->cfg;
	c.has_mac = 1;
	memcpy(c.mac, (const uint8_t[]){2, 9, 9, 9, 9, 9}, 6);
	env_stage(CV_CMD_IF_SET, &c, 0);
	assert_int_equal(env_commit(), 0);
	receive("10.0.0.9", GROUP, 16, 10);
	expect_frame(1, (const uint8_t[]){1, 0, 0x5e, 1, 2, 3, 2, 9, 9, 9, 9, 9, 0x08, 0x00}, 14, 15);
}

/* A route of the host's kernel: in the second place behind a configured one, and the kernel is shown what it has to
 * see: packets without a route, packets by another interface, now and then one that flows, with one hop left, reports.
 */
static void test_host(void **state)
{
	struct cv_mroute r = route(GROUP, "10.0.0.9", 1), fixed = r;
	const struct mfib_ways *ways;
	char text[128];

	(void)state;
	add_out(&r, 5, 1);
	assert_int_equal(mfib_host_set(&r, 1, text), 0);
	assert_int_equal(env_commit(), 0);
	expect_drop(DROP_MULTICAST, receive("10.0.0.8", GROUP, 16, 10)); /* nobody routes there */
	host_multicast_families[1] = 1;
	receive("10.0.0.8", GROUP, 16, 10);
	assert_int_equal(env_n_slow, 1);
	assert_int_equal(env_slow[0].why, SLOW_MULTICAST);
	env_drain();
	mfib_sample_due(mfib_find(0, &r.ref.group, &r.ref.source, &ways)); /* that was one, if one was due */
	receive("10.0.0.9", GROUP, 16, 10);
	assert_int_equal(env_sent_count(2), 1);
	assert_int_equal(env_n_slow, 0);
	struct rte_mbuf *report = env_udp("10.0.0.9", GROUP, 1, 2, 10);
	struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod(report, struct rte_ipv4_hdr *);

	ip->next_proto_id = IPPROTO_IGMP;
	ip->hdr_checksum = 0;
	ip->hdr_checksum = rte_ipv4_cksum(ip);
	env_frame(0, 0, (const uint8_t[]){1, 0, 0x5e, 1, 2, 3}, report);
	assert_int_equal(env_n_slow, 1);
	assert_int_equal(env_slow[0].why, SLOW_LOCAL);
	env_drain();
	fixed.if_in = 5;
	commit(&fixed); /* configured: it decides, and tells no daemon */
	expect_drop(DROP_MULTICAST_RPF, receive("10.0.0.9", GROUP, 16, 10));
	assert_int_equal(env_n_slow, 0);
	env_stage(CV_CMD_MROUTE_DEL, &fixed.ref, 0);
	assert_int_equal(env_commit(), 0);
	r.if_in = 2;
	assert_int_equal(mfib_host_set(&r, 1, text), 0);
	assert_int_equal(env_commit(), 0);
	receive("10.0.0.9", GROUP, 16, 10);
	assert_int_equal(env_n_slow, 1); /* the daemon has to know */
	assert_int_equal(counters(GROUP, "10.0.0.9")->wrong_if, 2);
	expect_drop(DROP_MULTICAST, receive("fd00::9", GROUP6, 16, 10)); /* not of its family */
	host_multicast_families[1] = 0;
}

/* What a transaction must not do, and what it leaves when it fails. */
static void test_refused(void **state)
{
	struct cv_mroute good = route(GROUP, NULL, 1), bad = route("239.9.9.9", NULL, 1);
	uint32_t five = 5;

	(void)state;
	add_out(&good, 5, 1);
	commit(&good);
	env_stage(CV_CMD_MROUTE_DEL, &bad.ref, CV_ERR_NOT_FOUND);
	env_abort();
	add_out(&bad, 2, 1);
	add_out(&bad, 3, 1); /* in VRF 1 */
	env_stage(CV_CMD_MROUTE_DEL, &good.ref, 0);
	env_stage(CV_CMD_MROUTE_SET, &bad, 0);
	assert_int_equal(env_commit(), CV_ERR_NOT_FOUND);
	env_stage(CV_CMD_IF_DEL, &five, 0); /* a route leads there */
	assert_int_equal(env_commit(), CV_ERR_NOT_FOUND);
	receive("10.0.0.9", GROUP, 16, 10);
	assert_int_equal(env_sent_count(2), 1);
	env_stage(CV_CMD_IF_DEL, &five, 0);
	env_stage(CV_CMD_MROUTE_DEL, &good.ref, 0);
	assert_int_equal(env_commit(), 0);
	expect_drop(DROP_MULTICAST, receive("10.0.0.9", GROUP, 16, 10));
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, env_teardown)
	const struct CMUnitTest tests[] = {T(test_copies), T(test_ipv6), T(test_ttl), T(test_reverse_path),
		T(test_ways), T(test_tunnel), T(test_headers), T(test_host), T(test_refused)};

	env_init();
	env_ports(3);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
