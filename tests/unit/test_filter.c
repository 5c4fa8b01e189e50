/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Access lists of interfaces: what they are shown (IPSEC-2, IKE-5, IPSEC-T17, VTI-5), what they drop, what they count.
 *
 * port 0: if 1, VRF 0, 10.0.0.1/24 fd00::1/64; if 3, VLAN 30, VRF 1, 10.3.0.1/24
 * port 1: if 2, VRF 0, 10.1.0.1/24 fd01::1/64
 */
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

#include "acl.h"
#include "cv_addr.h"
#include "fast.h"
#include "fwd_env.h"
#include "iface.h"

enum { LIST = 1, OTHER = 2, DENIED = 100, OTHER_DENIED = 200 }; /* lists, and counters of what matches no line */

static int setup(void **state)
{
	(void)state;
	env_sync();
	env_vrf(1);
	env_two_ports();
	env_vlan(3, 1, 30, 1, "10.3.0.1/24");
	env_acl(LIST, DENIED);
	env_acl(OTHER, OTHER_DENIED);
	assert_int_equal(env_commit(), 0);
	env_neigh(2, "10.1.0.2", 2);
	env_neigh(2, "fd01::2", 2);
	env_neigh(1, "10.0.0.2", 2);
	env_neigh(3, "10.3.0.2", 2);
	env_drain();
	return 0;
}

static void commit(void)
{
	assert_int_equal(env_commit(), 0);
}

static void filters(uint32_t if_id, uint16_t in, uint16_t out)
{
	env_filter(if_id, in, out);
	commit();
}

/* Does a packet that comes in on port 0 leave by port 1? If not it is counted as dropped, once, also on the interface.
 */
static bool passes(struct rte_mbuf *m, enum drop_reason why)
{
	const struct cv_writer_block *s = env_worker()->stats;
	const uint64_t drops = env_drops(why), in = s->ifc[1].rx_drops, out = s->ifc[2].tx_drops;

	env_receive(0, 0, m);
	const unsigned sent = env_sent_count(1), dropped = (unsigned)(env_drops(why) - drops);

	assert_int_equal(sent + dropped, 1);
	assert_int_equal(s->ifc[1].rx_drops - in, dropped && why == DROP_ACL_IN);
	assert_int_equal(s->ifc[2].tx_drops - out, dropped && why == DROP_ACL_OUT);
	env_drain();
	return sent;
}

static struct rte_mbuf *udp4(uint16_t dport)
{
	return env_udp("10.0.0.9", "10.1.0.2", 1, dport, 10);
}

/* The first line that matches decides and counts; what matches none is denied and counted by the list. Another
 * interface, and another family with a list of its own, are not concerned. */
static void in_and_out(void **state)
{
	static const enum drop_reason why[] = {DROP_ACL_IN, DROP_ACL_OUT};

	(void)state;
	env_acl_line(LIST, 1, 10, true, IPPROTO_UDP, "10.0.0.9/32", "any4");
	env_acl_line(LIST, 2, 20, false, IPPROTO_UDP, "10.0.0.0/24", "any4");
	env_acl_line(LIST, 3, 30, true, 0, "10.0.0.0/24", "10.1.0.0/24");
	env_acl_line(LIST, 4, 40, true, IPPROTO_ICMPV6, "any6", "any6");
	for (int out = 0; out < 2; out++) {
		const uint64_t before[] = {
			env_acl_count(1), env_acl_count(2), env_acl_count(3), env_acl_count(4), env_acl_count(DENIED)};

		filters(1, out ? 0 : LIST, 0);
		filters(2, 0, out ? LIST : 0);
		assert_true(passes(udp4(5), why[out]));
		assert_true(passes(udp4(5), why[out]));
		assert_false(passes(env_udp("10.0.0.8", "10.1.0.2", 1, 2, 10), why[out]));
		assert_true(passes(env_tcp("10.0.0.8", "10.1.0.2", 2, NULL, 0), why[out]));
		assert_false(passes(env_tcp("10.9.0.8", "10.1.0.2", 2, NULL, 0), why[out]));
		assert_true(passes(env_echo("fd00::9", "fd01::2", 10), why[out]));
		assert_false(passes(env_udp("fd00::9", "fd01::2", 1, 2, 10), why[out]));
		assert_int_equal(env_acl_count(1) - before[0], 2);
		assert_int_equal(env_acl_count(2) - before[1], 1);
		assert_int_equal(env_acl_count(3) - before[2], 1);
		assert_int_equal(env_acl_count(4) - before[3], 1);
		assert_int_equal(env_acl_count(DENIED) - before[4], 2);
	}
	filters(2, 0, 0);
	assert_true(passes(env_udp("10.0.0.8", "10.1.0.2", 1, 2, 10), DROP_ACL_OUT));
}

/* A VLAN's list is its own, not that of the interface it is on. */
static void vlan(void **state)
{
	const uint64_t drops = env_drops(DROP_ACL_IN);

	(void)state;
	filters(1, LIST, 0);
	env_receive(0, 30, env_udp("10.3.0.9", "10.3.0.2", 1, 2, 10));
	assert_int_equal(env_sent_count(0), 1);
	env_drain();
	filters(1, 0, 0);
	filters(3, LIST, 0);
	assert_true(passes(udp4(5), DROP_ACL_IN));
	env_receive(0, 30, env_udp("10.3.0.9", "10.3.0.2", 1, 2, 10));
	assert_int_equal(env_sent_count(0), 0);
	assert_int_equal(env_drops(DROP_ACL_IN), drops + 1);
}

/* Change the protocol of a packet; what follows its header does not matter. */
static struct rte_mbuf *as(struct rte_mbuf *m, uint8_t proto)
{
	struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod(m, struct rte_ipv4_hdr *);

	ip->next_proto_id = proto;
	ip->hdr_checksum = 0;
	ip->hdr_checksum = rte_ipv4_cksum(ip);
	return m;
}

/* IPSEC-2, IKE-5, IPSEC-T17: ESP, AH and IKE for the router itself pass the inbound list or do not; nothing is exempt.
 */
static void to_ourselves(void **state)
{
	static const uint8_t proto[] = {IPPROTO_ESP, IPPROTO_AH, IPPROTO_UDP, IPPROTO_ICMP};
	static const char *const any = "any4";

	(void)state;
	for (int permit = 0; permit < 2; permit++) {
		for (unsigned i = 0; permit && i < sizeof(proto); i++)
			env_acl_line(LIST, 1 + i, 10 + i, true, proto[i], any, any);
		filters(1, LIST, 0);
		for (unsigned i = 0; i < sizeof(proto); i++) {
			const uint64_t drops = env_drops(DROP_ACL_IN);

			env_receive(0, 0, as(env_udp("10.0.0.9", "10.0.0.1", 500, 500, 64), proto[i]));
			assert_int_equal(env_n_slow, permit); /* no SA has this SPI; the rest is for main, too */
			assert_int_equal(env_drops(DROP_ACL_IN) - drops, !permit);
			assert_int_equal(env_acl_count(1 + i), permit);
			env_drain();
		}
	}
}

/* IPv6 works behind a list that says nothing of neighbour discovery; a line about it is obeyed. */
static void neighbours(void **state)
{
	struct rte_mbuf *m;

	(void)state;
	for (int deny = 0; deny < 2; deny++) {
		if (deny)
			env_acl_line(LIST, 1, 10, false, IPPROTO_ICMPV6, "any6", "any6");
		filters(1, LIST, 0);
		m = env_echo("fe80::9", "fd00::1", 16);
		*rte_pktmbuf_mtod_offset(m, uint8_t *, 40) = 135;
		env_receive(0, 0, m);
		assert_int_equal(env_n_slow, !deny);
		env_drain();
		env_receive(0, 0, env_echo("fe80::9", "fd00::1", 16));
		assert_int_equal(env_n_slow, 0);
	}
}

/* A later fragment shows no ports: a permit line with ports takes it, a deny line with ports does not. */
static void fragments(void **state)
{
	struct cv_acl_line l = {.ref = {LIST, 1}, .seq = 10, .sel = {.proto = IPPROTO_UDP, .sport_hi = UINT16_MAX}};

	(void)state;
	cv_selector_any(&l.sel, CV_AF_INET);
	l.sel.proto = IPPROTO_UDP;
	l.sel.dport_lo = l.sel.dport_hi = 53;
	for (int permit = 0; permit < 2; permit++) {
		l.permit = (uint32_t)permit;
		env_stage(CV_CMD_ACL_LINE_SET, &l, 0);
		env_acl_line(LIST, 2, 20, !permit, 0, "any4", "any4");
		filters(1, LIST, 0);
		assert_int_equal(passes(udp4(53), DROP_ACL_IN), permit);
		assert_int_equal(passes(udp4(54), DROP_ACL_IN), !permit);
		struct rte_mbuf *m = udp4(54);
		struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod(m, struct rte_ipv4_hdr *);

		ip->fragment_offset = RTE_BE16(4);
		assert_true(passes(as(m, IPPROTO_UDP), DROP_ACL_IN));
		assert_int_equal(env_acl_count(permit ? 1 : 2), permit ? 3 : 2);
	}
}

/* A packet that waits for its next hop has passed the outbound list, and is not counted again. */
static void waits_for_neighbour(void **state)
{
	(void)state;
	env_acl_line(LIST, 1, 10, true, 0, "any4", "any4");
	filters(2, 0, LIST);
	env_receive(0, 0, env_udp("10.0.0.9", "10.1.0.77", 1, 2, 10));
	env_run_slow();
	env_neigh(2, "10.1.0.77", 7);
	env_run_slow();
	assert_int_equal(env_acl_count(1), 1);
}

/* What the router says itself is filtered as it leaves, too: the errors it sends. */
static void made_here(void **state)
{
	const uint64_t drops = env_drops(DROP_ACL_OUT);
	struct rte_mbuf *m = udp4(5);

	(void)state;
	rte_pktmbuf_mtod(m, struct rte_ipv4_hdr *)->time_to_live = 1;
	env_acl_line(LIST, 1, 10, false, IPPROTO_ICMP, "any4", "any4");
	filters(1, 0, LIST);
	env_receive(0, 0, as(m, IPPROTO_UDP));
	env_run_slow();
	assert_int_equal(env_drops(DROP_ACL_OUT), drops + 1);
	assert_int_equal(env_acl_count(1), 1);
}

/* A list that changes is followed at once, though flows are remembered, and a line that stays goes on counting. */
static void changes(void **state)
{
	struct cv_acl_line_ref ref = {LIST, 1};
	uint32_t id = LIST;

	(void)state;
	env_acl_line(LIST, 1, 10, false, IPPROTO_UDP, "any4", "any4");
	env_acl_line(LIST, 2, 20, true, 0, "any4", "any4");
	filters(1, LIST, 0);
	assert_false(passes(udp4(5), DROP_ACL_IN));
	env_stage(CV_CMD_ACL_LINE_DEL, &ref, 0);
	commit();
	assert_true(passes(udp4(5), DROP_ACL_IN));
	assert_int_equal(env_acl_count(2), 1);
	env_acl_line(LIST, 3, 15, false, IPPROTO_TCP, "any4", "any4");
	commit();
	assert_true(passes(udp4(5), DROP_ACL_IN));
	assert_int_equal(env_acl_count(2), 2);
	assert_int_equal(env_acl_count(1), 0); /* given up: it begins anew */
	env_acl_line(LIST, 1, 10, false, IPPROTO_UDP, "any4", "any4");
	commit();
	assert_false(passes(udp4(5), DROP_ACL_IN));
	assert_int_equal(env_acl_count(1), 1);
	/* an interface still names the list */
	env_stage(CV_CMD_ACL_DEL, &id, 0);
	assert_int_equal(env_commit(), CV_ERR_NOT_FOUND);
	assert_false(passes(udp4(5), DROP_ACL_IN));
	env_filter(1, 0, 0);
	env_stage(CV_CMD_ACL_DEL, &id, 0);
	commit();
	assert_true(passes(udp4(5), DROP_ACL_IN));
	assert_int_equal(env_acl_count(1) + env_acl_count(2) + env_acl_count(DENIED), 0);
	env_filter(1, LIST, 0);
	assert_int_equal(env_commit(), CV_ERR_NOT_FOUND);
}

/* After a restart of control everything is named again: what stayed goes on counting, what is not named is gone. */
static void sync(void **state)
{
	(void)state;
	env_acl_line(LIST, 1, 10, true, 0, "any4", "any4");
	env_acl_line(LIST, 2, 5, true, 0, "10.0.0.9/32", "any4");
	filters(1, LIST, 0);
	assert_true(passes(udp4(5), DROP_ACL_IN));
	assert_true(passes(env_udp("10.0.0.8", "10.1.0.2", 1, 2, 10), DROP_ACL_IN));
	env_sync();
	env_vrf(1);
	env_two_ports();
	env_acl(LIST, DENIED);
	env_acl_line(LIST, 1, 10, true, 0, "any4", "any4");
	commit();
	filters(1, LIST, 0);
	assert_int_equal(env_acl_count(1), 1);
	assert_int_equal(env_acl_count(2), 0);
	env_neigh(2, "10.1.0.2", 2);
	assert_true(passes(udp4(5), DROP_ACL_IN));
	assert_int_equal(env_acl_count(1), 2);
}

/* Two lines cannot count with one number, a line needs its list, and what is refused changes nothing. */
static void refused(void **state)
{
	(void)state;
	env_acl_line(LIST, 1, 10, true, 0, "any4", "any4");
	filters(1, LIST, 0);
	env_acl_line(OTHER, 1, 10, true, 0, "any4", "any4");
	assert_int_equal(env_commit(), CV_ERR_EXISTS);
	env_acl_line(OTHER, DENIED, 10, true, 0, "any4", "any4");
	assert_int_equal(env_commit(), CV_ERR_EXISTS);
	env_acl_line(77, 2, 10, true, 0, "any4", "any4");
	assert_int_equal(env_commit(), CV_ERR_NOT_FOUND);
	assert_true(passes(udp4(5), DROP_ACL_IN));
}

/* One packet through fast path and pipeline, as worker.c does it. True when the fast path took it. */
static bool fast(struct rte_mbuf *m)
{
	static const uint8_t mac[2][6] = {{2, 0, 0, 0, 1, 0}, {2, 0, 0, 0, 2, 99}};
	const uint16_t *learn;
	uint8_t *l2 = (uint8_t *)rte_pktmbuf_prepend(m, 14);

	memcpy(l2, mac, 12);
	memcpy(l2 + 12, (uint8_t[]){0x08, 0x00}, 2);
	const unsigned left = fast_input(env_worker(), 0, &m, 1, &learn);

	if (left) {
		const uint16_t mark = learn[0];

		rte_pktmbuf_adj(m, 14);
		*pkt_meta(m) = (struct pkt_meta){.vrf = 0, .if_rx = 1};
		fast_mark(pkt_meta(m), mark);
		struct pkt_vec v = {.n = 1, .pkt = {m}};

		ip_input(env_worker(), &v);
	}
	fast_end(env_worker());
	return !left;
}

/* VTI-5, IPSEC-77: a tunnel's lists see clear packets, those of the interface below what is around them. */
static void tunnel(void **state)
{
	struct cv_if t = {.if_id = 5,
		.type = CV_IF_TUNNEL,
		.mtu = 1400,
		.admin_up = 1,
		.name = "t",
		.tunnel = {.mode = CV_TUNNEL_IPIP, .inner_af = CV_AF_INET, .ttl = 255}};
	struct cv_route r = {.n_nh = 1, .nh = {{.type = CV_NH_INTERFACE, .weight = 1, .if_id = 5}}};

	(void)state;
	assert_int_equal(cv_addr_parse("10.0.0.1", &t.tunnel.src), 0);
	assert_int_equal(cv_addr_parse("10.0.0.2", &t.tunnel.dst), 0);
	assert_int_equal(cv_prefix_parse("10.50.0.0/16", &r.prefix), 0);
	env_stage(CV_CMD_IF_SET, &t, 0);
	env_stage(CV_CMD_ROUTE_SET, &r, 0);
	env_acl_line(LIST, 1, 10, true, IPPROTO_UDP, "10.50.0.0/16", "any4");
	env_acl_line(LIST, 2, 20, true, IPPROTO_UDP, "any4", "10.50.0.0/16");
	env_acl_line(OTHER, 3, 10, true, IPPROTO_IPIP, "any4", "any4");
	commit();
	iface_tunnel_changed();
	iface_refresh();
	env_filter(5, LIST, LIST);
	filters(1, OTHER, OTHER);
	for (int deny = 0; deny < 2; deny++) {
		const uint64_t in = env_drops(DROP_ACL_IN), out = env_drops(DROP_ACL_OUT);
		const char *far =
			deny ? "10.51.0.9" : "10.50.0.9"; /* the list of the tunnel does not know the second */
		struct rte_mbuf *m = env_udp(far, "10.1.0.2", 1, 2, 10);
		struct rte_ipv4_hdr *ip = (void *)rte_pktmbuf_prepend(m, 20);

		*ip = (struct rte_ipv4_hdr){.version_ihl = 0x45,
			.total_length = rte_cpu_to_be_16(m->data_len),
			.time_to_live = 9,
			.src_addr = RTE_BE32(0x0a000002),
			.dst_addr = RTE_BE32(0x0a000001)};
		env_receive(0, 0, as(m, IPPROTO_IPIP));
		assert_int_equal(env_sent_count(1), !deny);
		assert_int_equal(env_drops(DROP_ACL_IN) - in, deny);
		env_drain();
		env_receive(1, 0,
			deny ? env_tcp("10.1.0.9", "10.50.0.9", 2, NULL, 0)
			     : env_udp("10.1.0.9", "10.50.0.9", 1, 2, 9));
		assert_int_equal(env_sent_count(0), !deny);
		assert_int_equal(env_drops(DROP_ACL_OUT) - out, deny);
		env_drain();
	}
	assert_int_equal(env_acl_count(1), 1);
	assert_int_equal(env_acl_count(2), 1);
	assert_int_equal(env_acl_count(3), 3); /* two came, one left */
	assert_int_equal(env_acl_count(DENIED), 2);
}

/* IPSEC-77: what an SA of a crypto map has decrypted is not shown to the outside interface's list again. */
static void decrypted(void **state)
{
	struct rte_mbuf *m = udp4(5);
	struct pkt_vec v = {.n = 1, .pkt = {m}};

	(void)state;
	filters(1, LIST, 0);
	*pkt_meta(m) = (struct pkt_meta){.if_rx = 1, .flags = PKT_F_DECAPPED, .l4_proto = IPPROTO_UDP, .l4_off = 20};
	ip_input_inner(env_worker(), &v);
	assert_int_equal(env_sent_count(1), 1);
	assert_int_equal(env_acl_count(DENIED), 0);
}

/* Packets that a list has to see take the stages, each one of them; without lists they do not. */
static void fast_path(void **state)
{
	static const struct {
		uint32_t if_id;
		uint16_t in, out;
	} where[] = {{1, LIST, 0}, {2, 0, LIST}};

	(void)state;
	env_acl_line(LIST, 1, 10, true, 0, "any4", "any4");
	commit();
	(void)fast(udp4(5));
	assert_true(fast(udp4(5)));
	for (unsigned i = 0; i < 2; i++) {
		const uint64_t before = env_acl_count(1);

		filters(where[i].if_id, where[i].in, where[i].out);
		for (int k = 0; k < 3; k++)
			assert_false(fast(udp4(5)));
		assert_int_equal(env_acl_count(1), before + 3);
		filters(where[i].if_id, 0, 0);
		(void)fast(udp4(5));
		assert_true(fast(udp4(5)));
	}
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, env_teardown)
	const struct CMUnitTest tests[] = {T(in_and_out), T(vlan), T(to_ourselves), T(neighbours), T(fragments),
		T(waits_for_neighbour), T(made_here), T(changes), T(sync), T(refused), T(tunnel), T(decrypted),
		T(fast_path)};

	env_init();
	env_ports(2);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
