/* SPDX-License-Identifier: BSD-3-Clause */
/* Every command of the channel: its good form, every wrong length, and each field out of range by itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "cv_addr.h"
#include "validate.h"

#define MAX_WORKERS 4u

static struct cv_msg m;
static char text[VALIDATE_TEXT];

static struct cv_addr addr(const char *s)
{
	struct cv_addr a;
	assert_int_equal(cv_addr_parse(s, &a), 0);
	return a;
}

static enum cv_err check(uint16_t type, const void *body, size_t len)
{
	memset(&m, 0xaa, sizeof(m));
	m.h.version = CV_MSG_VERSION;
	m.h.type = type;
	m.h.len = (uint32_t)(sizeof(m.h) + len);
	memcpy(m.body, body, len);
	enum cv_err err = validate_command(&m, MAX_WORKERS, text);
	assert_int_equal(err == CV_OK, text[0] == '\0');
	return err;
}

/* ---- one good body of each command ---- */

static struct cv_cmd_hello hello = {.pid = 1};
static struct cv_cmd_txn txn = {.flags = CV_TXN_SYNC};
static struct cv_platform platform = {.workers = 4, .poll_mode = CV_POLL_BUSY};
static struct cv_vrf vrf = {.vrf_id = 7, .name = "red"};
static uint32_t id = 7;
static struct cv_port port = {.port_id = 3, .name = "wan", .devargs = "net_af_packet0,iface=veth1", .mtu = 1500};
static struct cv_if eth = {.if_id = 1, .type = CV_IF_ETHERNET, .port_id = 3, .mtu = 1500, .admin_up = 1, .name = "wan"};
static struct cv_if_addr if_addr;
static struct cv_route route;
static struct cv_route_ref route_ref;
static struct cv_spd spd = {.spd_id = 1, .n_if = 2, .if_id = {1, 2}};
static struct cv_spd_rule rule;
static struct cv_spd_rule_ref rule_ref = {.spd_id = 1, .rule_id = 5};
static struct cv_acl acl = {.acl_id = 1, .counter = 9};
static struct cv_acl_line acl_line;
static struct cv_acl_line_ref acl_line_ref = {.acl_id = 1, .counter = 7};
static struct cv_tunnel_hop hop;
static struct cv_mroute mroute;
static struct cv_sa sa;
static struct cv_sa_ref sa_ref = {.index = 9, .spi = 256};
static struct cv_sa_update sa_update;
static struct cv_cmd_dump dump = {.kind = CV_DUMP_FIB, .scope = 3};
static struct cv_cmd_trace trace = {.n_packets = 1024};
static struct cv_cmd_capture capture = {.if_id = 1, .n_packets = 10, .file = "wan.pcapng"};
static struct cv_cmd_profile profile = {.on = 1};
static struct cv_cmd_clear clear = {.what = CV_CLEAR_NEIGH};
static struct cv_cmd_hold_drop hold = {.rule_id = 5};
static struct cv_cmd_fail_at fail = {.nth = 1};

static const struct {
	uint16_t type;
	size_t len;
	const void *body;
} good[] = {
	{CV_CMD_HELLO, sizeof(hello), &hello},
	{CV_CMD_TXN_BEGIN, sizeof(txn), &txn},
	{CV_CMD_TXN_COMMIT, 0, ""},
	{CV_CMD_TXN_ABORT, 0, ""},
	{CV_CMD_PLATFORM_SET, sizeof(platform), &platform},
	{CV_CMD_VRF_SET, sizeof(vrf), &vrf},
	{CV_CMD_VRF_DEL, sizeof(id), &id},
	{CV_CMD_PORT_ATTACH, sizeof(port), &port},
	{CV_CMD_PORT_DETACH, sizeof(id), &id},
	{CV_CMD_IF_SET, sizeof(eth), &eth},
	{CV_CMD_IF_DEL, sizeof(id), &id},
	{CV_CMD_IF_ADDR_ADD, sizeof(if_addr), &if_addr},
	{CV_CMD_IF_ADDR_DEL, sizeof(if_addr), &if_addr},
	{CV_CMD_TUNNEL_HOP_SET, sizeof(hop), &hop},
	{CV_CMD_TUNNEL_HOP_DEL, sizeof(hop.ref), &hop.ref},
	{CV_CMD_MROUTE_SET, sizeof(mroute), &mroute},
	{CV_CMD_MROUTE_DEL, sizeof(mroute.ref), &mroute.ref},
	{CV_CMD_ROUTE_SET, sizeof(route), &route},
	{CV_CMD_ROUTE_DEL, sizeof(route_ref), &route_ref},
	{CV_CMD_SPD_SET, sizeof(spd), &spd},
	{CV_CMD_SPD_DEL, sizeof(id), &id},
	{CV_CMD_SPD_RULE_SET, sizeof(rule), &rule},
	{CV_CMD_SPD_RULE_DEL, sizeof(rule_ref), &rule_ref},
	{CV_CMD_ACL_SET, sizeof(acl), &acl},
	{CV_CMD_ACL_DEL, sizeof(id), &id},
	{CV_CMD_ACL_LINE_SET, sizeof(acl_line), &acl_line},
	{CV_CMD_ACL_LINE_DEL, sizeof(acl_line_ref), &acl_line_ref},
	{CV_CMD_SA_ADD, sizeof(sa), &sa},
	{CV_CMD_SA_DEL, sizeof(sa_ref), &sa_ref},
	{CV_CMD_SA_KEEP, sizeof(sa_ref), &sa_ref},
	{CV_CMD_SA_UPDATE, sizeof(sa_update), &sa_update},
	{CV_CMD_DUMP, sizeof(dump), &dump},
	{CV_CMD_TRACE, sizeof(trace), &trace},
	{CV_CMD_CAPTURE, sizeof(capture), &capture},
	{CV_CMD_PROFILE, sizeof(profile), &profile},
	{CV_CMD_CLEAR, sizeof(clear), &clear},
	{CV_CMD_HOLD_DROP, sizeof(hold), &hold},
	{CV_CMD_FAIL_AT, sizeof(fail), &fail},
};
#define N_GOOD (sizeof(good) / sizeof(good[0]))

static int fill(void **state)
{
	(void)state;
	if_addr = (struct cv_if_addr){.if_id = 1, .addr = addr("192.0.2.1"), .plen = 24};
	hop = (struct cv_tunnel_hop){.ref = {1, addr("10.99.0.2")}, .outer = addr("192.0.2.2"), .rule_id = 5};
	mroute = (struct cv_mroute){.ref = {.vrf_id = 3, .group = addr("239.1.2.3"), .source = addr("192.0.2.9")},
		.if_in = 1,
		.n_out = 1,
		.out = {{.if_id = 2, .ttl = 1}}};
	route = (struct cv_route){.vrf_id = 3, .prefix = {.addr = addr("198.51.100.0"), .len = 24}, .n_nh = 3};
	route.nh[0] = (struct cv_nexthop){.type = CV_NH_GATEWAY, .weight = 1, .gw = addr("192.0.2.2")};
	route.nh[1] = (struct cv_nexthop){.type = CV_NH_INTERFACE, .weight = 1, .if_id = 2};
	route.nh[2] = (struct cv_nexthop){.type = CV_NH_BLACKHOLE, .weight = 1};
	route_ref = (struct cv_route_ref){.vrf_id = 3, .prefix = route.prefix};
	rule = (struct cv_spd_rule){.spd_id = 1, .rule_id = 5, .action = CV_SPD_PROTECT, .vrf_id = CV_VRF_ANY};
	cv_selector_any(&rule.sel, CV_AF_INET6);
	acl_line = (struct cv_acl_line){.ref = acl_line_ref, .seq = 10, .permit = 1, .sel = rule.sel};
	sa = (struct cv_sa){.index = 9,
		.spi = 0x80000000 | 9,
		.dir = CV_SA_IN,
		.mode = 1,
		.ipproto = 50,
		.encr = CV_ENCR_AES128_GCM16,
		.replay_window = 64,
		.src = addr("192.0.2.1"),
		.dst = addr("192.0.2.2"),
		.n_sel = 1,
		.key_len = 20};
	cv_selector_any(&sa.sel[0], CV_AF_INET);
	sa_update = (struct cv_sa_update){.ref = sa_ref,
		.src = sa.src,
		.dst = sa.dst,
		.udp_src = 4500,
		.udp_dst = 1025,
		.flags = CV_SA_F_UDP_ENCAP};
	return 0;
}

static void good_messages_pass(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_GOOD; i++)
		assert_int_equal(check(good[i].type, good[i].body, good[i].len), CV_OK);
	/* None was forgotten here, of tunnels' next hops, the profile and multicast routes neither. */
	assert_int_equal(N_GOOD, CV_CMD_FAIL_AT - CV_CMD_HELLO + 1 + 2 + 1 + 2);
}

static void every_wrong_length_is_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_GOOD; i++) {
		for (size_t len = 0; len <= sizeof(m.body); len++) {
			(void)check(good[i].type, good[i].body, good[i].len);
			m.h.len = (uint32_t)(sizeof(m.h) + len);
			assert_int_equal(
				validate_command(&m, MAX_WORKERS, text), len == good[i].len ? CV_OK : CV_ERR_MALFORMED);
		}
	}
}

static void unknown_types_and_versions_are_refused(void **state)
{
	(void)state;
	for (unsigned type = 0; type <= UINT16_MAX; type++)
		if (type < CV_CMD_HELLO || type > CV_CMD_FAIL_AT)
			assert_int_equal(check((uint16_t)type, "", 0), CV_ERR_MALFORMED);
	(void)check(CV_CMD_TXN_COMMIT, "", 0);
	m.h.version = CV_MSG_VERSION + 1;
	assert_int_equal(validate_command(&m, MAX_WORKERS, text), CV_ERR_VERSION);
}

/* Change one field of a good body and expect it to be refused. */
#define BAD(type, proto, field, value)                                                                                 \
	do {                                                                                                           \
		__typeof__(proto) changed = proto;                                                                     \
		changed.field = (value);                                                                               \
		assert_int_equal(check(type, &changed, sizeof(changed)), CV_ERR_MALFORMED);                            \
	} while (0)
#define FINE(type, proto, field, value)                                                                                \
	do {                                                                                                           \
		__typeof__(proto) changed = proto;                                                                     \
		changed.field = (value);                                                                               \
		assert_int_equal(check(type, &changed, sizeof(changed)), CV_OK);                                       \
	} while (0)

static void numbers_out_of_range_are_refused(void **state)
{
	(void)state;
	BAD(CV_CMD_TXN_BEGIN, txn, flags, 2);
	BAD(CV_CMD_PLATFORM_SET, platform, workers, 0);
	BAD(CV_CMD_PLATFORM_SET, platform, workers, MAX_WORKERS + 1);
	BAD(CV_CMD_PLATFORM_SET, platform, poll_mode, 2);
	BAD(CV_CMD_VRF_SET, vrf, vrf_id, 0);
	BAD(CV_CMD_VRF_SET, vrf, vrf_id, CV_VRF_MAX);
	BAD(CV_CMD_PORT_ATTACH, port, port_id, CV_PORT_MAX);
	BAD(CV_CMD_PORT_ATTACH, port, rx_queues, 65);
	BAD(CV_CMD_PORT_ATTACH, port, mtu, 67);
	BAD(CV_CMD_IF_SET, eth, if_id, 0);
	BAD(CV_CMD_IF_SET, eth, if_id, CV_IF_MAX);
	BAD(CV_CMD_IF_SET, eth, port_id, CV_PORT_MAX);
	BAD(CV_CMD_IF_SET, eth, type, 0);
	BAD(CV_CMD_IF_SET, eth, type, 4);
	BAD(CV_CMD_IF_SET, eth, mtu, 67);
	BAD(CV_CMD_IF_SET, eth, mtu, 9217);
	BAD(CV_CMD_IF_SET, eth, vrf_id, CV_VRF_MAX);
	BAD(CV_CMD_IF_SET, eth, admin_up, 2);
	BAD(CV_CMD_IF_SET, eth, urpf4, 3);
	BAD(CV_CMD_IF_SET, eth, urpf6, CV_URPF_ALLOW_DEFAULT);
	BAD(CV_CMD_IF_SET, eth, urpf6, CV_URPF_LOOSE | 8);
	BAD(CV_CMD_IF_SET, eth, acl_in[0], CV_ACL_MAX);
	BAD(CV_CMD_IF_SET, eth, acl_out[1], CV_ACL_MAX);
	BAD(CV_CMD_ACL_SET, acl, acl_id, 0);
	BAD(CV_CMD_ACL_SET, acl, acl_id, CV_ACL_MAX);
	BAD(CV_CMD_ACL_SET, acl, counter, 0);
	BAD(CV_CMD_ACL_SET, acl, counter, CV_ACL_COUNTERS);
	BAD(CV_CMD_ACL_LINE_SET, acl_line, ref.acl_id, 0);
	BAD(CV_CMD_ACL_LINE_SET, acl_line, ref.counter, CV_ACL_COUNTERS);
	BAD(CV_CMD_ACL_LINE_SET, acl_line, permit, 2);
	BAD(CV_CMD_ACL_LINE_SET, acl_line, sel.dst.lo.af, 0);
	BAD(CV_CMD_ACL_LINE_DEL, acl_line_ref, counter, 0);
	struct cv_if hosted = eth;
	hosted.host = (struct cv_host){.enabled = 1, .device = "lan", .netns = "red"};
	assert_int_equal(check(CV_CMD_IF_SET, &hosted, sizeof(hosted)), CV_OK);
	BAD(CV_CMD_IF_SET, hosted, host.enabled, 2);
	BAD(CV_CMD_IF_SET, hosted, host.device[0], 0);
	BAD(CV_CMD_IF_SET, hosted, host.device[1], '/');
	BAD(CV_CMD_IF_SET, hosted, host.device[1], '%'); /* the kernel would number it */
	BAD(CV_CMD_IF_SET, hosted, host.netns[1], '/');
	BAD(CV_CMD_IF_SET, hosted, host.netns[0], '.');
	struct cv_if vlan = eth;
	vlan.type = CV_IF_VLAN;
	vlan.vlan_id = 4094;
	vlan.parent_id = 2;
	assert_int_equal(check(CV_CMD_IF_SET, &vlan, sizeof(vlan)), CV_OK);
	BAD(CV_CMD_IF_SET, vlan, vlan_id, 0);
	BAD(CV_CMD_IF_SET, vlan, vlan_id, 4095);
	BAD(CV_CMD_IF_SET, vlan, parent_id, vlan.if_id);
	BAD(CV_CMD_IF_SET, vlan, parent_id, 0);
	BAD(CV_CMD_IF_ADDR_ADD, if_addr, plen, 33);
	BAD(CV_CMD_IF_ADDR_ADD, if_addr, addr.af, 0);
	BAD(CV_CMD_IF_ADDR_ADD, if_addr, addr.b[4], 1); /* behind an IPv4 address */
	struct cv_if mgre = eth;
	mgre.type = CV_IF_TUNNEL;
	mgre.tunnel = (struct cv_tunnel){.mode = CV_TUNNEL_GRE,
		.flags = CV_TUNNEL_F_MULTIPOINT,
		.ttl = 1,
		.src = addr("192.0.2.1"),
		.dst.af = CV_AF_INET};
	assert_int_equal(check(CV_CMD_IF_SET, &mgre, sizeof(mgre)), CV_OK);
	BAD(CV_CMD_IF_SET, mgre, tunnel.dst.b[0], 1);
	BAD(CV_CMD_IF_SET, mgre, tunnel.flags, CV_TUNNEL_F_MULTIPOINT | CV_TUNNEL_F_SEQUENCE);
	BAD(CV_CMD_IF_SET, mgre, tunnel.mode, CV_TUNNEL_IPIP);
	struct cv_if gre = mgre;
	gre.tunnel.flags = 0;
	gre.tunnel.dst = addr("192.0.2.2");
	gre.tunnel.keepalive_retries = 3;
	FINE(CV_CMD_IF_SET, gre, tunnel.keepalive_s, 10);
	gre.tunnel.keepalive_s = 10;
	BAD(CV_CMD_IF_SET, gre, tunnel.keepalive_retries, 0);
	BAD(CV_CMD_IF_SET, gre, tunnel.flags, CV_TUNNEL_F_PROTECTED);
	BAD(CV_CMD_TUNNEL_HOP_SET, hop, ref.if_id, CV_IF_MAX);
	BAD(CV_CMD_TUNNEL_HOP_SET, hop, ref.next_hop.af, 0);
	BAD(CV_CMD_TUNNEL_HOP_SET, hop, outer.af, 0);
	BAD(CV_CMD_TUNNEL_HOP_SET, hop, outer, (struct cv_addr){.af = CV_AF_INET});
	BAD(CV_CMD_TUNNEL_HOP_SET, hop, rule_id, 1u << 24);
	BAD(CV_CMD_TUNNEL_HOP_SET, hop, flags, 2);
	BAD(CV_CMD_TUNNEL_HOP_DEL, hop.ref, if_id, 0);
	FINE(CV_CMD_MROUTE_SET, mroute, ref.source, (struct cv_addr){0});
	FINE(CV_CMD_MROUTE_SET, mroute, n_out, 0);
	BAD(CV_CMD_MROUTE_SET, mroute, ref.vrf_id, CV_VRF_MAX);
	BAD(CV_CMD_MROUTE_SET, mroute, ref.group, addr("192.0.2.1"));
	BAD(CV_CMD_MROUTE_SET, mroute, ref.group, addr("224.0.0.5"));
	BAD(CV_CMD_MROUTE_SET, mroute, ref.group, addr("ff0e::1")); /* and a source of IPv4 */
	BAD(CV_CMD_MROUTE_SET, mroute, ref.group.b[4], 1);
	BAD(CV_CMD_MROUTE_SET, mroute, ref.source, addr("239.1.2.3"));
	BAD(CV_CMD_MROUTE_SET, mroute, ref.source.af, 0);
	BAD(CV_CMD_MROUTE_SET, mroute, if_in, 0);
	BAD(CV_CMD_MROUTE_SET, mroute, if_in, 2); /* where it leaves by */
	BAD(CV_CMD_MROUTE_SET, mroute, n_out, CV_MROUTE_OUT_MAX + 1);
	BAD(CV_CMD_MROUTE_SET, mroute, out[0].if_id, CV_IF_MAX);
	BAD(CV_CMD_MROUTE_SET, mroute, out[0].ttl, 0);
	BAD(CV_CMD_MROUTE_DEL, mroute.ref, group, addr("ff02::1"));
	BAD(CV_CMD_ROUTE_SET, route, n_nh, 0);
	BAD(CV_CMD_ROUTE_SET, route, n_nh, CV_NH_MAX + 1);
	BAD(CV_CMD_ROUTE_SET, route, prefix.len, 33);
	BAD(CV_CMD_ROUTE_SET, route, prefix.len, 16); /* host bits */
	BAD(CV_CMD_ROUTE_SET, route, vrf_id, CV_VRF_MAX);
	BAD(CV_CMD_ROUTE_SET, route, nh[0].weight, 0);
	BAD(CV_CMD_ROUTE_SET, route, nh[0].type, 0);
	BAD(CV_CMD_ROUTE_SET, route, nh[0].gw, addr("2001:db8::1"));
	BAD(CV_CMD_ROUTE_SET, route, nh[0].if_id, CV_IF_MAX);
	BAD(CV_CMD_ROUTE_SET, route, nh[1].if_id, 0);
	BAD(CV_CMD_ROUTE_SET, route, nh[2].vrf_id, CV_VRF_MAX);
	BAD(CV_CMD_SPD_SET, spd, spd_id, 0);
	BAD(CV_CMD_SPD_SET, spd, n_if, CV_SPD_IF_MAX + 1);
	BAD(CV_CMD_SPD_SET, spd, if_id[1], CV_IF_MAX);
	FINE(CV_CMD_SPD_SET, spd, if_id[2], CV_IF_MAX); /* beyond n_if */
	BAD(CV_CMD_SPD_RULE_SET, rule, rule_id, 0);
	BAD(CV_CMD_SPD_RULE_SET, rule, rule_id, 1u << 24);
	BAD(CV_CMD_SPD_RULE_SET, rule, action, 0);
	BAD(CV_CMD_SPD_RULE_SET, rule, action, 4);
	BAD(CV_CMD_SPD_RULE_SET, rule, flags, 8);
	BAD(CV_CMD_SPD_RULE_SET, rule, vrf_id, CV_VRF_MAX);
	struct cv_spd_rule backwards = rule;
	backwards.sel.sport_lo = 2;
	backwards.sel.dst.lo.b[0] = 2;
	BAD(CV_CMD_SPD_RULE_SET, backwards, sel.sport_hi, 1);
	BAD(CV_CMD_SPD_RULE_SET, backwards, sel.dst.hi.b[0], 1);
	BAD(CV_CMD_SPD_RULE_SET, rule, sel.src.lo.af, CV_AF_INET);
	BAD(CV_CMD_DUMP, dump, kind, 0);
	BAD(CV_CMD_DUMP, dump, kind, CV_DUMP_MROUTE + 1);
	BAD(CV_CMD_DUMP, dump, scope, CV_VRF_MAX);
	BAD(CV_CMD_TRACE, trace, n_packets, 1025);
	BAD(CV_CMD_TRACE, trace, if_id, CV_IF_MAX);
	BAD(CV_CMD_CAPTURE, capture, n_packets, 10000001);
	BAD(CV_CMD_CAPTURE, capture, if_id, 0);
	BAD(CV_CMD_PROFILE, profile, on, 2);
	BAD(CV_CMD_CLEAR, clear, what, 4);
	BAD(CV_CMD_HOLD_DROP, hold, rule_id, 0);
}

static void connections_and_translation(void **state)
{
	struct cv_conn_limits limits = {.max_entries = 1,
		.tcp_s = 1,
		.tcp_syn_s = 1,
		.tcp_fin_s = 1,
		.udp_s = 1,
		.icmp_s = 1,
		.other_s = CV_CONN_TIMEOUT_MAX};
	struct cv_nat_rule nat = {.rule_id = 1, .acl_id = 1, .first = addr("192.0.2.1"), .last = addr("192.0.2.2")};
	struct cv_nat_static fixed = {
		.static_id = CV_NAT_MAX - 1, .local = addr("10.0.0.1"), .global = addr("192.0.2.1")};

	(void)state;
	FINE(CV_CMD_CONN_SET, limits, max_entries, CV_CONN_MAX);
	BAD(CV_CMD_CONN_SET, limits, max_entries, 0);
	BAD(CV_CMD_CONN_SET, limits, max_entries, CV_CONN_MAX + 1);
	BAD(CV_CMD_CONN_SET, limits, udp_s, 0);
	BAD(CV_CMD_CONN_SET, limits, other_s, CV_CONN_TIMEOUT_MAX + 1);
	BAD(CV_CMD_CONN_SET, limits, minute_low, 1);
	FINE(CV_CMD_NAT_RULE_SET, nat, rule_id, CV_NAT_MAX - 1);
	BAD(CV_CMD_NAT_RULE_SET, nat, rule_id, 0);
	BAD(CV_CMD_NAT_RULE_SET, nat, rule_id, CV_NAT_MAX);
	BAD(CV_CMD_NAT_RULE_SET, nat, acl_id, 0);
	BAD(CV_CMD_NAT_RULE_SET, nat, if_id, CV_IF_MAX);
	BAD(CV_CMD_NAT_RULE_SET, nat, vrf_id, CV_VRF_MAX);
	BAD(CV_CMD_NAT_RULE_SET, nat, first, addr("2001:db8::1"));
	BAD(CV_CMD_NAT_RULE_SET, nat, first, addr("192.0.2.3"));
	FINE(CV_CMD_NAT_STATIC_SET, fixed, if_id, 1);
	BAD(CV_CMD_NAT_STATIC_SET, fixed, static_id, 0);
	BAD(CV_CMD_NAT_STATIC_SET, fixed, static_id, CV_NAT_MAX);
	BAD(CV_CMD_NAT_STATIC_SET, fixed, proto, 6); /* no ports */
	BAD(CV_CMD_NAT_STATIC_SET, fixed, local_port, 80);
	BAD(CV_CMD_NAT_STATIC_SET, fixed, local, addr("2001:db8::1"));
	BAD(CV_CMD_NAT_STATIC_SET, fixed, vrf_id, CV_VRF_MAX);
}

static void security_associations(void **state)
{
	(void)state;
	BAD(CV_CMD_SA_ADD, sa, index, 0);
	BAD(CV_CMD_SA_ADD, sa, index, CV_SA_MAX);
	BAD(CV_CMD_SA_ADD, sa, index, 10); /* not the index in the SPI */
	BAD(CV_CMD_SA_ADD, sa, spi, 9);	   /* reserved */
	BAD(CV_CMD_SA_ADD, sa, dir, 0);
	BAD(CV_CMD_SA_ADD, sa, dir, 3);
	BAD(CV_CMD_SA_ADD, sa, encr, CV_ENCR_NONE);
	BAD(CV_CMD_SA_ADD, sa, encr, CV_ENCR_MAX);
	BAD(CV_CMD_SA_ADD, sa, encr, CV_ENCR_NULL);	      /* without integrity */
	BAD(CV_CMD_SA_ADD, sa, integ, CV_INTEG_HMAC_SHA1_96); /* with a cipher that has its own */
	BAD(CV_CMD_SA_ADD, sa, integ, CV_INTEG_MAX);
	BAD(CV_CMD_SA_ADD, sa, mode, 0);
	BAD(CV_CMD_SA_ADD, sa, mode, 3);
	BAD(CV_CMD_SA_ADD, sa, ipproto, 17);
	BAD(CV_CMD_SA_ADD, sa, flags, 1u << 30);
	BAD(CV_CMD_SA_ADD, sa, flags, CV_SA_F_UDP_ENCAP); /* no ports */
	BAD(CV_CMD_SA_ADD, sa, replay_window, 8193);
	BAD(CV_CMD_SA_ADD, sa, front_vrf, CV_VRF_MAX);
	BAD(CV_CMD_SA_ADD, sa, inside_vrf, CV_VRF_MAX);
	BAD(CV_CMD_SA_ADD, sa, pair_index, CV_SA_MAX);
	BAD(CV_CMD_SA_ADD, sa, src, addr("2001:db8::1"));
	BAD(CV_CMD_SA_ADD, sa, n_sel, 0);
	BAD(CV_CMD_SA_ADD, sa, n_sel, CV_SA_SEL_MAX + 1);
	BAD(CV_CMD_SA_ADD, sa, n_sel, 2); /* the second is empty */
	BAD(CV_CMD_SA_ADD, sa, key_len, 0);
	BAD(CV_CMD_SA_ADD, sa, key_len, CV_SA_KEY_MAX + 1);
	struct cv_sa c = sa;
	c.mode = CV_SA_TRANSPORT;
	c.flags = CV_SA_F_ESN;
	c.outer_index = 7;
	assert_int_equal(check(CV_CMD_SA_ADD, &c, sizeof(c)), CV_OK);
	c = sa;
	c.ipproto = 51; /* AH does not encrypt */
	assert_int_equal(check(CV_CMD_SA_ADD, &c, sizeof(c)), CV_ERR_MALFORMED);
	c.encr = CV_ENCR_NONE;
	c.integ = CV_INTEG_HMAC_SHA1_96;
	assert_int_equal(check(CV_CMD_SA_ADD, &c, sizeof(c)), CV_OK);
	c.flags = CV_SA_F_UDP_ENCAP;
	c.udp_src = c.udp_dst = 4500;
	assert_int_equal(check(CV_CMD_SA_ADD, &c, sizeof(c)), CV_ERR_MALFORMED);
	BAD(CV_CMD_SA_ADD, sa, outer_index, sa.index);
	BAD(CV_CMD_SA_ADD, sa, outer_index, CV_SA_MAX);
	/* Outbound, the peer chose the SPI: any index goes with it. */
	c = sa;
	c.dir = CV_SA_OUT;
	c.index = 77;
	assert_int_equal(check(CV_CMD_SA_ADD, &c, sizeof(c)), CV_OK);
	BAD(CV_CMD_SA_UPDATE, sa_update, udp_dst, 0);
	BAD(CV_CMD_SA_UPDATE, sa_update, flags, CV_SA_F_UDP_ENCAP | CV_SA_F_ESN);
	BAD(CV_CMD_SA_UPDATE, sa_update, dst.af, CV_AF_INET6);
	BAD(CV_CMD_SA_UPDATE, sa_update, ref.spi, 255);
}

static void names_and_devices(void **state)
{
	(void)state;
	static const char *const bad_dev[] = {"", "net_evil0", "eth0", "../x", "net_pcap0 x", "0000:03:00", "zz:00.0",
		"03:00.0x", "crypto_aesni_mb0", "net_bonding0"};
	static const char *const good_dev[] = {
		"0000:03:00.0", "03:00.1", "0000:03:00.0,arg=1", "net_null0", "net_tap1,iface=x"};
	static const char *const bad_file[] = {"", "a/b", "/etc/passwd", "..", ".hidden", "a b"};
	struct cv_port p = port;
	for (size_t i = 0; i < sizeof(bad_dev) / sizeof(bad_dev[0]); i++) {
		(void)snprintf(p.devargs, sizeof(p.devargs), "%s", bad_dev[i]);
		assert_int_equal(check(CV_CMD_PORT_ATTACH, &p, sizeof(p)), CV_ERR_MALFORMED);
	}
	for (size_t i = 0; i < sizeof(good_dev) / sizeof(good_dev[0]); i++) {
		(void)snprintf(p.devargs, sizeof(p.devargs), "%s", good_dev[i]);
		assert_int_equal(check(CV_CMD_PORT_ATTACH, &p, sizeof(p)), CV_OK);
	}
	memset(p.devargs, 'a', sizeof(p.devargs)); /* not terminated */
	memcpy(p.devargs, "net_null", 8);
	assert_int_equal(check(CV_CMD_PORT_ATTACH, &p, sizeof(p)), CV_ERR_MALFORMED);
	struct cv_vrf v = vrf;
	memset(v.name, 'a', sizeof(v.name));
	assert_int_equal(check(CV_CMD_VRF_SET, &v, sizeof(v)), CV_ERR_MALFORMED);
	(void)snprintf(v.name, sizeof(v.name), "a\nb");
	assert_int_equal(check(CV_CMD_VRF_SET, &v, sizeof(v)), CV_ERR_MALFORMED);
	struct cv_cmd_capture c = capture;
	for (size_t i = 0; i < sizeof(bad_file) / sizeof(bad_file[0]); i++) {
		(void)snprintf(c.file, sizeof(c.file), "%s", bad_file[i]);
		assert_int_equal(check(CV_CMD_CAPTURE, &c, sizeof(c)), CV_ERR_MALFORMED);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(good_messages_pass, fill),
		cmocka_unit_test_setup(every_wrong_length_is_refused, fill),
		cmocka_unit_test_setup(unknown_types_and_versions_are_refused, fill),
		cmocka_unit_test_setup(numbers_out_of_range_are_refused, fill),
		cmocka_unit_test_setup(connections_and_translation, fill),
		cmocka_unit_test_setup(security_associations, fill),
		cmocka_unit_test_setup(names_and_devices, fill),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
