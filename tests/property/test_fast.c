/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The fast path (fast.h) against the pipeline it stands for: every vector of frames is sent through the pipeline alone
 * and then, with sequence numbers and replay windows set back, through both. What is sent, flow by flow and byte by
 * byte, what is punted, dropped and counted must be the same. In between routes, neighbours, policy and SAs change
 * (IPSEC-30, 41, 77, 78; VRF-10, VRF-13).
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <endian.h>

#include <rte_ip.h>
#include <rte_mbuf.h>

#include "../unit/fwd_env.h"
#include "cv_addr.h"
#include "fast_six.h"
#include "ipsec.h"
#include "tx.h"

#define LAN 0u
#define WAN 1u
#define FRAMES 48u /* in a vector: fewer than a transmit buffer holds */
#define ROUNDS 1500u
#define TUNNELS 23u /* rules with a pair of SAs each, one remote network each */
#define FLOWS 3u    /* of each network */
#define LONGEST 1600u
#define SPI(k) (0x41000000u + 2u * (k) + 2u)
#define SAS (2u * TUNNELS + 2u + TUNNELS) /* indexes from 2 on: in and out in turns, then second ones outbound */
#define RULES 4u			  /* besides those of the tunnels, and in front of them */
#define DISCARD4 TUNNELS		  /* remote networks without a tunnel: for these two there is a rule */
#define DISCARD6 (TUNNELS + 2u)
#define NETWORKS (TUNNELS + 4u)

static unsigned seed = 20261121;

static uint32_t below(uint32_t n)
{
	return (uint32_t)(((uint64_t)random() << 16 ^ (uint64_t)random()) % n);
}

/* Mistakes and oddities, one in n; none while packets of known flows are wanted. In a calm vector, which comes in by
 * one port, is of one family and is for SAs of the kind with code of its own, there are few, so that four packets of
 * different SAs are often handled at once. */
static bool well_behaved, calm, calm_six;
static uint32_t calm_port;
static bool odd(uint32_t n)
{
	return !well_behaved && below(calm ? 20 * n : n) == 0;
}

/* ---- the router ---- */

static void range(struct cv_range *r, const char *lo, const char *hi)
{
	assert_int_equal(cv_addr_parse(lo, &r->lo), 0);
	assert_int_equal(cv_addr_parse(hi, &r->hi), 0);
}

/* What the SAs of a tunnel are. */
static const struct kind {
	uint8_t encr, integ;
	uint16_t flags;	     /* CV_SA_F_* */
	bool inner6, outer6; /* IPv6 in it, or around it */
} kind[TUNNELS] = {
	{CV_ENCR_AES128_GCM16, 0, 0, false, false},
	{CV_ENCR_AES128_GMAC, 0, 0, false, false},
	{CV_ENCR_AES128_GCM16, 0, CV_SA_F_SET_DF, false, false},
	{CV_ENCR_AES128_GCM16, 0, CV_SA_F_CLEAR_DF, false, false},
	{CV_ENCR_AES128_GCM16, 0, 0, false, false},
	{CV_ENCR_AES128_GCM16, 0, 0, false, false},
	{CV_ENCR_AES128_GCM16, 0, CV_SA_F_ESN, false, false},
	{CV_ENCR_AES128_CBC, CV_INTEG_HMAC_SHA256_128, 0, false, false},
	{CV_ENCR_AES128_CBC, CV_INTEG_HMAC_SHA256_128, CV_SA_F_ESN | CV_SA_F_UDP_ENCAP, false, false},
	{CV_ENCR_CHACHA20_POLY1305, 0, CV_SA_F_CLEAR_DF, false, false},
	{CV_ENCR_AES128_GCM16, 0, CV_SA_F_UDP_ENCAP, false, false},
	{CV_ENCR_AES128_CTR, CV_INTEG_HMAC_SHA256_128, CV_SA_F_SET_DF | CV_SA_F_UDP_ENCAP, false, false},
	{CV_ENCR_NULL, CV_INTEG_HMAC_SHA256_128, 0, false, false},
	{CV_ENCR_AES128_GCM16, 0, 0, true, false},
	{CV_ENCR_AES128_GCM16, 0, CV_SA_F_SET_DF, true, false},
	{CV_ENCR_AES128_GCM16, 0, CV_SA_F_CLEAR_DF, true, false},
	{CV_ENCR_AES128_GCM16, 0, CV_SA_F_ESN, true, false},
	{CV_ENCR_AES128_CBC, CV_INTEG_HMAC_SHA256_128, CV_SA_F_UDP_ENCAP, true, false},
	{CV_ENCR_AES128_GCM16, 0, 0, false, true},
	{CV_ENCR_AES128_GCM16, 0, 0, true, true},
	{CV_ENCR_AES128_CBC, CV_INTEG_HMAC_SHA256_128, 0, false, true},
	{CV_ENCR_CHACHA20_POLY1305, 0, CV_SA_F_ESN, true, true},
	{CV_ENCR_AES128_GCM16, 0, 0, true, true},
};
/* AES-GCM, numbers of 32 bits, no UDP, IPv4 outside; by what is inside */
static const uint8_t plain[2][5] = {{0, 2, 3, 4, 5}, {13, 14, 15, 13, 14}};

/* Is network k of IPv6? */
static bool six(uint32_t k)
{
	return k < TUNNELS ? kind[k].inner6 : (k - TUNNELS) & 2u;
}

/* Network 10.64.k.0/24 or fd40:0:k::/48 behind the peer; odd ones only for UDP. */
static void selector(uint32_t k, struct cv_selector *s)
{
	char lo[64], hi[64];
	snprintf(lo, sizeof(lo), six(k) ? "fd40:0:%x::" : "10.64.%u.0", k);
	snprintf(hi, sizeof(hi), six(k) ? "fd40:0:%x:ffff:ffff:ffff:ffff:ffff" : "10.64.%u.255", k);
	*s = (struct cv_selector){.sport_hi = UINT16_MAX, .dport_hi = UINT16_MAX, .proto = k & 1 ? IPPROTO_UDP : 0};
	if (six(k))
		range(&s->src, "fd01::", "fd01::ffff");
	else
		range(&s->src, "10.1.0.0", "10.1.255.255");
	range(&s->dst, lo, hi);
}

static bool natt(uint32_t k)
{
	return kind[k].flags & CV_SA_F_UDP_ENCAP;
}
/* Where the ESP header is in an outer packet, and what is encrypted. */
static uint32_t esp_at(uint32_t k)
{
	return kind[k].outer6 ? 40 : natt(k) ? 28 : 20;
}
static uint32_t data_at(uint32_t k)
{
	return esp_at(k) + 8 + algo_encr_get(kind[k].encr)->iv_len;
}
static uint32_t icv_of(uint32_t k)
{
	const struct algo_integ *integ = algo_integ_get(kind[k].integ);
	return integ ? integ->icv_len : algo_encr_get(kind[k].encr)->icv_len;
}
static uint32_t sa_key(uint32_t k, uint8_t key[static 128])
{
	memset(key, (int)(k + 1), 128);
	return algo_key_len(kind[k].encr, kind[k].integ);
}

/* The tunnel that an SA index belongs to, and its direction. */
static uint32_t tunnel_of(uint32_t index)
{
	return index < 2 * TUNNELS + 2 ? index / 2 - 1 : index - (2 * TUNNELS + 2);
}
static uint8_t dir_of(uint32_t index)
{
	return index < 2 * TUNNELS + 2 && !(index & 1) ? CV_SA_IN : CV_SA_OUT;
}

static void sa_stage(uint32_t index)
{
	char text[128];
	const uint32_t k = tunnel_of(index);
	const uint8_t dir = dir_of(index);
	struct cv_sa sa = {.index = index,
		.spi = SPI(k),
		.dir = dir,
		.mode = CV_SA_TUNNEL,
		.ipproto = IPPROTO_ESP,
		.encr = kind[k].encr,
		.integ = kind[k].integ,
		.flags = kind[k].flags,
		.udp_src = natt(k) ? 4500 : 0,
		.udp_dst = natt(k) ? 4500 : 0,
		.rule_id = k + 1,
		.n_sel = 1,
		.replay_window = 64};
	const char *us = kind[k].outer6 ? "2001:db8::1" : "192.0.2.1",
		   *peer = kind[k].outer6 ? "2001:db8::2" : "192.0.2.2";
	assert_int_equal(cv_addr_parse(dir == CV_SA_OUT ? us : peer, &sa.src), 0);
	assert_int_equal(cv_addr_parse(dir == CV_SA_OUT ? peer : us, &sa.dst), 0);
	selector(k, &sa.sel[0]);
	uint8_t key[128];
	sa.key_len = (uint16_t)sa_key(k, key);
	memcpy(sa.key, key, sa.key_len);
	assert_int_equal(sa_module.stage(CV_CMD_SA_ADD, &sa, text), 0);
}

static void sa_gone(uint32_t index)
{
	char text[128];
	struct cv_sa_ref ref = {.index = index, .spi = SPI(tunnel_of(index))};
	assert_int_equal(sa_module.stage(CV_CMD_SA_DEL, &ref, text), 0);
}

static void rule_stage(uint32_t k, uint32_t action)
{
	struct cv_spd_rule r = {
		.spd_id = 1, .rule_id = k + 1, .prio = k + 1, .action = (uint8_t)action, .vrf_id = CV_VRF_ANY};
	selector(k, &r.sel);
	r.dscp = k == 4; /* of that network only what has DSCP 0, whatever ports it shares with others */
	env_stage(CV_CMD_SPD_RULE_SET, &r, 0);
}

static void neighbours(void)
{
	env_neigh(2, "192.0.2.2", 2);
	env_neigh(2, "192.0.2.3", 3);
	env_neigh(2, "2001:db8::2", 2);
	env_neigh(2, "2001:db8::3", 3);
	for (uint8_t i = 0; i < FLOWS; i++) {
		char a[32];
		snprintf(a, sizeof(a), "10.1.0.%u", 10u + i);
		env_neigh(1, a, (uint8_t)(10 + i));
		snprintf(a, sizeof(a), "fd01::%x", 10u + i);
		env_neigh(1, a, (uint8_t)(10 + i));
	}
}

/* Adjacencies that no route wants are free to be used again afterwards, and are. */
static void neighbours_forget(uint32_t if_id)
{
	neigh_clear(if_id);
	dp_defer_run();
	neighbours();
}

static void router(void)
{
	struct cv_spd spd = {.spd_id = 1, .n_if = 1, .if_id = {2}};
	env_ports(2);
	env_eth(1, LAN, 0, "10.1.0.1/16");
	env_eth(2, WAN, 0, "192.0.2.1/24");
	env_vlan(3, 1, 7, 0, "10.7.0.1/16");
	env_addr(1, "fd01::1/64");
	env_addr(2, "2001:db8::1/64");
	env_route(0, "10.64.0.0/10", "192.0.2.2", 2, 0);
	env_route(0, "fd40::/16", "2001:db8::2", 2, 0);
	env_stage(CV_CMD_SPD_SET, &spd, 0);
	for (uint32_t k = 0; k < TUNNELS; k++) {
		rule_stage(k, CV_SPD_PROTECT);
		sa_stage(2 * k + 3);
		sa_stage(2 * k + 2);
	}
	rule_stage(DISCARD4, CV_SPD_DISCARD);
	rule_stage(DISCARD6, CV_SPD_DISCARD);
	assert_int_equal(env_commit(), 0);
	env_sizes(2, 0, 0, 1300, 1280);
	assert_int_equal(env_commit(), 0);
	neighbours();
}

static void route_gone(const char *prefix)
{
	struct cv_route_ref ref = {.vrf_id = 0};
	assert_int_equal(cv_prefix_parse(prefix, &ref.prefix), 0);
	env_stage(CV_CMD_ROUTE_DEL, &ref, 0);
}

/* One or two hosts of either side get a rule of their own, or lose it. */
static void rule_change(void)
{
	static bool there[RULES];
	const uint32_t i = below(RULES), id = 200 + i;
	struct cv_spd_rule r = {.spd_id = 1,
		.rule_id = id,
		.prio = 0,
		.action = (uint8_t)(below(2) ? CV_SPD_BYPASS : CV_SPD_DISCARD),
		.vrf_id = CV_VRF_ANY,
		.sel = {.sport_hi = UINT16_MAX, .dport_hi = UINT16_MAX}};
	char near[64], far[64], far_hi[64];
	if ((there[i] = !there[i])) {
		const uint32_t k = below(TUNNELS), last = 10 + below(FLOWS);
		snprintf(near, sizeof(near), six(k) ? "fd01::%x" : "10.1.0.%u", 10 + below(FLOWS));
		snprintf(far, sizeof(far), six(k) ? "fd40:0:%x::%x" : "10.64.%u.%u", k, last);
		snprintf(far_hi, sizeof(far_hi), six(k) ? "fd40:0:%x::%x" : "10.64.%u.%u", k + below(2), last);
		range(&r.sel.src, near, near);
		range(&r.sel.dst, far, far_hi);
		env_stage(CV_CMD_SPD_RULE_SET, &r, 0);
	} else {
		env_stage(CV_CMD_SPD_RULE_DEL, &(struct cv_spd_rule_ref){.spd_id = 1, .rule_id = id}, 0);
	}
}

/* One host or network behind the peer gets a route of its own, or loses it. */
static void route_change(void)
{
	static bool there[TUNNELS];
	char prefix[64];
	const uint32_t k = below(TUNNELS);
	const char *near = six(k) ? "fd01::a" : "10.1.0.10", *far = six(k) ? "2001:db8::3" : "192.0.2.3";
	if (six(k))
		snprintf(prefix, sizeof(prefix), k & 1 ? "fd40:0:%x::/48" : "fd40:0:%x::a/128", k);
	else
		snprintf(prefix, sizeof(prefix), k & 1 ? "10.64.%u.0/24" : "10.64.%u.10/32", k);
	if ((there[k] = !there[k]))
		env_route(0, prefix, k & 2 ? far : near, k & 2 ? 2 : 1, 0);
	else
		route_gone(prefix);
}

/* One of the things that change under traffic. */
static void change(uint32_t round)
{
	static bool detour, detour6;
	uint32_t k = below(TUNNELS);
	const bool of6 = below(2);
	for (uint32_t i = 2; i < 2 * TUNNELS + 2; i++)
		if (!sa_get(i))
			sa_stage(i);
	assert_int_equal(env_commit(), 0);
	switch (below(10)) {
	case 0:
		env_neigh(2, of6 ? "2001:db8::2" : "192.0.2.2", (uint8_t)(2 + below(3)));
		return;
	case 1: /* another next hop */
		if (of6)
			env_route(0, "fd40::/16", round & 1 ? "2001:db8::2" : "2001:db8::3", 2, 0);
		else
			env_route(0, "10.64.0.0/10", round & 1 ? "192.0.2.2" : "192.0.2.3", 2, 0);
		break;
	case 2: /* a rule of no tunnel turns to bypass and back */
		rule_stage(of6 ? DISCARD6 : DISCARD4, round & 1 ? CV_SPD_DISCARD : CV_SPD_BYPASS);
		break;
	case 3: /* an SA goes; it comes back with other numbers */
		sa_gone(2 * k + 2 + below(2));
		break;
	case 6: /* a newer SA comes beside one, or goes again */
		k += 2 * TUNNELS + 2;
		if (sa_get(k))
			sa_gone(k);
		else
			sa_stage(k);
		break;
	case 7:
		rule_change();
		break;
	case 8:
		route_change();
		break;
	case 4: /* sources are judged, or no longer */
		env_urpf(1 + below(2), (uint8_t)below(3), (uint8_t)below(3));
		break;
	case 5: /* the way to the peer, and with it where its packets may come from */
		if (of6 && (detour6 = !detour6))
			env_route(0, "2001:db8::2/128", "fd01::a", 1, 0);
		else if (of6)
			route_gone("2001:db8::2/128");
		else if ((detour = !detour))
			env_route(0, "192.0.2.2/32", "10.1.0.10", 1, 0);
		else
			route_gone("192.0.2.2/32");
		break;
	default:
		neighbours_forget(1 + below(2));
		return;
	}
	assert_int_equal(env_commit(), 0);
}

/* ---- frames ---- */

struct frame {
	uint32_t port, len;
	bool pieces; /* two segments */
	uint8_t data[LONGEST + 64];
};
static struct frame frame[FRAMES];
static uint32_t next_seq[TUNNELS], left_out[TUNNELS];

static void ipv4(uint8_t *p, uint32_t len, uint32_t src, uint32_t dst, uint8_t proto)
{
	struct rte_ipv4_hdr *ip = (void *)p;
	*ip = (struct rte_ipv4_hdr){.version_ihl = 0x45,
		.total_length = rte_cpu_to_be_16((uint16_t)len),
		.time_to_live = 64,
		.next_proto_id = proto,
		.src_addr = rte_cpu_to_be_32(src),
		.dst_addr = rte_cpu_to_be_32(dst)};
	for (uint32_t i = sizeof(*ip); i < len; i++)
		p[i] = (uint8_t)(i * 5);
	memcpy(p + 20, (uint8_t[]){1, 2, 3, (uint8_t)(4 + (dst & 1))}, 4);
	ip->hdr_checksum = rte_ipv4_cksum(ip);
}

/* Class 0, no flow label. far: network << 8 | host, near: host; out: from here to there. */
static void ipv6(uint8_t *p, uint32_t len, uint32_t near, uint32_t far, bool out, uint8_t proto)
{
	struct rte_ipv6_hdr *ip = (void *)p;
	uint8_t here[16] = {0xfd, 1, [15] = (uint8_t)near},
		there[16] = {0xfd, 0x40, 0, 0, (uint8_t)(far >> 16), (uint8_t)(far >> 8), [15] = (uint8_t)far};
	*ip = (struct rte_ipv6_hdr){.vtc_flow = RTE_BE32(6u << 28),
		.payload_len = rte_cpu_to_be_16((uint16_t)(len - 40)),
		.proto = proto,
		.hop_limits = 64};
	memcpy(ip->src_addr, out ? here : there, 16);
	memcpy(ip->dst_addr, out ? there : here, 16);
	for (uint32_t i = sizeof(*ip); i < len; i++)
		p[i] = (uint8_t)(i * 5);
	memcpy(p + 40, (uint8_t[]){1, 2, 3, (uint8_t)(4 + (far & 1))}, 4);
}

static void set_class(uint8_t *p, uint8_t class)
{
	p[0] = (uint8_t)(0x60 | class >> 4);
	p[1] = (uint8_t)(class << 4 | (p[1] & 15));
}

/* make_odd() for IPv6. */
static uint32_t make_odd6(uint8_t *p, uint32_t len)
{
	struct rte_ipv6_hdr *ip = (void *)p;
	static const uint8_t loopback[16] = {[15] = 1}, ours[16] = {0xfd, 1, [15] = 1};
	ip->src_addr[15] ^= 0x80;
	ip->dst_addr[15] ^= 0x80;
	switch (below(11)) {
	case 0:
		ip->hop_limits = (uint8_t)below(3);
		break;
	case 1: /* a fragment */
	case 2: /* destination options */
		memmove(p + 48, p + 40, len - 40);
		memcpy(p + 40, (uint8_t[]){ip->proto, 0, 0, (uint8_t)below(2), 0, 0, 0, 1}, 8);
		if ((ip->proto = below(2) ? IPPROTO_FRAGMENT : IPPROTO_DSTOPTS) == IPPROTO_DSTOPTS)
			memcpy(p + 42, (uint8_t[]){1, 4, 0, 0, 0, 0}, 6);
		len += 8;
		ip->payload_len = rte_cpu_to_be_16((uint16_t)(len - 40));
		break;
	case 3:
		memcpy(ip->src_addr, loopback, 16);
		break;
	case 4:
		ip->proto = (uint8_t)below(140);
		break;
	case 5:
		ip->payload_len = rte_cpu_to_be_16((uint16_t)(len - 40 + below(3)));
		break;
	case 6:
		memcpy(ip->dst_addr, (uint8_t[]){0xff, 5}, 2);
		break;
	case 7:
		memcpy(ip->src_addr, (uint8_t[]){0xfe, 0x80}, 2);
		break;
	case 8: /* neighbour discovery, or what looks like it */
		ip->proto = IPPROTO_ICMPV6;
		ip->hop_limits = below(2) ? 255 : 64;
		p[40] = (uint8_t)(132 + below(7));
		break;
	case 9:
		p[0] ^= 0x10;
		break;
	default:
		memcpy(ip->dst_addr, ours, 16); /* the router itself */
	}
	return len;
}

/* The odd things that may be about a packet. Those flows have addresses of their own, since nobody promises an order
 * between fragments and whole packets. */
static uint32_t make_odd(uint8_t *p, uint32_t len)
{
	struct rte_ipv4_hdr *ip = (void *)p;
	ip->src_addr ^= RTE_BE32(0x80);
	ip->dst_addr ^= RTE_BE32(0x80);
	switch (below(8)) {
	case 0:
		ip->time_to_live = (uint8_t)below(3);
		break;
	case 1:
		ip->fragment_offset = rte_cpu_to_be_16((uint16_t)(below(2) ? 0x2000 : 0x0010));
		break;
	case 2: /* an option */
		memmove(p + 24, p + 20, len - 20);
		memcpy(p + 20, (uint8_t[]){1, 1, 1, 0}, 4);
		len += 4;
		ip->version_ihl = 0x46;
		ip->total_length = rte_cpu_to_be_16((uint16_t)len);
		break;
	case 3:
		ip->src_addr = RTE_BE32(0x7f000001);
		break;
	case 4:
		ip->next_proto_id = (uint8_t)below(140);
		break;
	case 5:
		ip->total_length = rte_cpu_to_be_16((uint16_t)(len + below(3)));
		break;
	case 6:
		ip->dst_addr = RTE_BE32(0xffffffff);
		break;
	default:
		ip->dst_addr = RTE_BE32(0x0a010001); /* the router itself */
	}
	ip->hdr_checksum = 0;
	ip->hdr_checksum = (uint16_t)~rte_raw_cksum(ip, (ip->version_ihl & 15u) * 4u);
	return len;
}

static uint32_t some_length(void)
{
	static const uint16_t common[] = {28, 29, 46, 50, 51, 64, 300, 1400, 1438};
	static const uint16_t too_long[] = {1439, 1446, 1447, 1460, 1500, 1520};
	if (odd(60))
		return too_long[below(RTE_DIM(too_long))];
	return below(3) ? common[below(RTE_DIM(common))] : 28 + below(1400);
}

/* clear_packet() of IPv6. */
static uint32_t clear_packet6(uint8_t *p, uint32_t len, uint32_t k, bool out, bool pieces)
{
	static const uint8_t proto[] = {IPPROTO_UDP, IPPROTO_UDP, IPPROTO_TCP, IPPROTO_ICMPV6, IPPROTO_GRE};
	struct rte_ipv6_hdr *ip = (void *)p;
	len = RTE_MAX(len, 48u);
	ipv6(p, len, 10 + below(FLOWS), k << 8 | (10 + below(FLOWS)), out, proto[calm ? 0 : below(RTE_DIM(proto))]);
	if (below(2)) /* a flow label */
		memcpy(p + 1, (uint8_t[]){(uint8_t)below(16), (uint8_t)below(256), (uint8_t)below(256)}, 3);
	if (!calm && below(4) == 0)
		set_class(p, (uint8_t)(below(2) << 5 | below(4)));
	if (ip->proto == IPPROTO_TCP && len >= 64 && below(30) == 0) { /* announces 1460 bytes a segment */
		static const uint8_t syn[] = {0x60, RTE_TCP_SYN_FLAG}, mss[] = {2, 4, 1460 >> 8, 1460 & 0xff};
		memcpy(p + 52, syn, sizeof(syn));
		memcpy(p + 60, mss, sizeof(mss));
	}
	if (pieces)
		ip->src_addr[15] ^= 0x40; /* a flow of its own as well */
	return odd(12) ? make_odd6(p, len) : len;
}

/* A clear packet from the one side to the other; k: of which network. */
static uint32_t clear_packet(uint8_t *p, uint32_t k, bool out, bool pieces)
{
	/* room for the longest headers, or else all of one length would be too long with some ciphers */
	uint32_t len = RTE_MIN(some_length(), k < TUNNELS && data_at(k) > 36 && !odd(40) ? 1400u : LONGEST),
		 near = 10u << 24 | 1u << 16 | (10 + below(FLOWS)),
		 far = 10u << 24 | 64u << 16 | k << 8 | (10 + below(FLOWS));
	static const uint8_t proto[] = {IPPROTO_UDP, IPPROTO_UDP, IPPROTO_TCP, IPPROTO_ICMP, IPPROTO_GRE};
	if (six(k))
		return clear_packet6(p, len, k, out, pieces);
	ipv4(p, len, out ? near : far, out ? far : near, proto[calm ? 0 : below(RTE_DIM(proto))]);
	struct rte_ipv4_hdr *ip = (void *)p;
	if (!calm && below(4) == 0)
		ip->type_of_service = (uint8_t)(below(2) << 5 | below(4));
	if (below(3) == 0)
		ip->fragment_offset = RTE_BE16(RTE_IPV4_HDR_DF_FLAG);
	if (ip->next_proto_id == IPPROTO_TCP && len >= 44 && below(30) == 0) { /* announces 1460 bytes a segment */
		static const uint8_t syn[] = {0x60, RTE_TCP_SYN_FLAG}, mss[] = {2, 4, 1460 >> 8, 1460 & 0xff};
		memcpy(p + 32, syn, sizeof(syn));
		memcpy(p + 40, mss, sizeof(mss));
	}
	if (pieces)
		ip->src_addr ^= RTE_BE32(0x40); /* a flow of its own as well */
	ip->hdr_checksum = 0;
	ip->hdr_checksum = rte_ipv4_cksum(ip);
	return odd(12) ? make_odd(p, len) : len;
}

/* Encrypt what is behind the ESP header at esp, body bytes, and put the ICV behind it; or the other way round. */
static void crypt(uint8_t *esp, uint32_t k, uint32_t body, bool encrypt)
{
	static struct crypto_session *session[2][TUNNELS];
	static struct crypto_ctx *ctx;
	const struct crypto_provider *crypto = crypto_provider_mb();
	const struct algo_encr *encr = algo_encr_get(kind[k].encr);
	const bool esn = kind[k].flags & CV_SA_F_ESN; /* the high half of the numbers here is 0 */
	uint8_t key[128], icv[32];
	struct crypto_conf conf = {
		.encr = kind[k].encr, .integ = kind[k].integ, .esn = esn, .encrypt = encrypt, .key = key};
	conf.key_len = sa_key(k, key);
	if (!ctx)
		ctx = crypto->ctx_create();
	if (!session[encrypt][k])
		assert_int_equal(crypto->session_create(&conf, &session[encrypt][k]), 0);
	struct crypto_op op = {
		.session = session[encrypt][k], .auth = esp, .data = esp + 8 + encr->iv_len, .data_len = body};
	struct crypto_op *p = &op;
	op.icv = op.data + body;
	if (encr->icv_len) {
		memcpy(op.nonce, key, 4); /* every byte of the key is the same */
		memcpy(op.nonce + 4, esp + 8, 8);
		memcpy(op.aad, esp, 4);
		memcpy(op.aad + (esn ? 8 : 4), esp + 4, 4);
	} else {
		memcpy(op.nonce, esp + 8, encr->iv_len);
		if (encr->salt_len) {
			memcpy(op.nonce, key, 4);
			memcpy(op.nonce + 4, esp + 8, 8);
			op.nonce[15] = 1;
		}
		op.auth_len = 8 + encr->iv_len + body + 4 * esn;
		memcpy(icv, op.icv, sizeof(icv));
		if (esn)
			memset(op.icv, 0, 4);
		if (!encrypt)
			op.icv = icv;
	}
	assert_int_equal(crypto->submit(ctx, &p, 1), 1);
	assert_int_equal(crypto->collect(ctx, &p, 1), 1);
	assert_int_equal(op.status, CRYPTO_OK);
}

/* The length of an IP packet, and the checksum of its header, anew. */
static void set_length(uint8_t *p, uint32_t len)
{
	struct rte_ipv4_hdr *ip = (void *)p;
	if (p[0] >> 4 == 6) {
		((struct rte_ipv6_hdr *)(void *)p)->payload_len = rte_cpu_to_be_16((uint16_t)(len - 40));
		return;
	}
	ip->total_length = rte_cpu_to_be_16((uint16_t)len);
	ip->hdr_checksum = 0;
	ip->hdr_checksum = (uint16_t)~rte_raw_cksum(ip, (ip->version_ihl & 15u) * 4u);
}

/* The outer header, from the peer to us. */
static void outer_header(uint8_t *out, uint32_t total, uint32_t k)
{
	static const uint8_t net[] = {0x20, 1, 0x0d, 0xb8};
	const bool elsewhere = odd(50), marked = odd(6);
	if (!kind[k].outer6) {
		ipv4(out, total, 0xc0000202, elsewhere ? 0xc0000209 : 0xc0000201, natt(k) ? IPPROTO_UDP : IPPROTO_ESP);
		if (marked)
			out[1] = (uint8_t)below(256);
		set_length(out, total);
		return;
	}
	struct rte_ipv6_hdr *ip = (void *)out;
	ipv6(out, total, 0, 0, false, IPPROTO_ESP);
	memset(ip->src_addr, 0, 32);
	memcpy(ip->src_addr, net, sizeof(net));
	memcpy(ip->dst_addr, net, sizeof(net));
	ip->src_addr[15] = 2;
	ip->dst_addr[15] = elsewhere ? 9 : 1;
	memcpy(out + 1, (uint8_t[]){(uint8_t)below(16), (uint8_t)below(256), (uint8_t)below(256)}, 3);
	if (marked)
		set_class(out, (uint8_t)below(256));
}

/* What the peer makes of an inner packet (RFC 4303, RFC 4106), with some mistakes. */
static uint32_t wrap(uint8_t *out, const uint8_t *inner, uint32_t len, uint32_t k)
{
	const uint32_t block = algo_encr_get(kind[k].encr)->block, at = data_at(k);
	uint32_t pad = (0u - (len + 2)) & (block - 1), seq = ++next_seq[k];
	if (odd(8))
		pad += block * below(32 / block);
	if (odd(10)) { /* overtaken: a number left out comes some time later, perhaps too late */
		uint32_t late = left_out[k];
		left_out[k] = seq;
		seq = late ? late : ++next_seq[k];
	}
	const uint32_t body = len + pad + 2, total = at + body + icv_of(k);
	const uint32_t head[6] = {rte_cpu_to_be_32(SPI(k)), rte_cpu_to_be_32(seq), 0x11223344, seq, ~seq, 0x55667788};
	const bool inner6 = inner[0] >> 4 == 6;
	outer_header(out, total, k);
	memcpy(out + esp_at(k), head, at - esp_at(k));
	memcpy(out + at, inner, len);
	if (natt(k)) {
		const bool other = odd(30); /* port or length; of a flow of its own, since it takes another way */
		const uint32_t which = other ? 1 + below(2) : 0;
		const uint16_t udp[4] = {rte_cpu_to_be_16((uint16_t)(4500 + (which == 1))), RTE_BE16(4500),
			rte_cpu_to_be_16((uint16_t)(total - 20 - (which == 2))), 0};
		struct rte_ipv4_hdr *ip = (void *)(out + at);
		memcpy(out + 20, udp, 8);
		if (inner6) {
			out[at + 23] ^= other ? 0x40 : 0;
		} else {
			ip->src_addr ^= other ? RTE_BE32(0x40) : 0;
			ip->hdr_checksum = 0;
			ip->hdr_checksum = (uint16_t)~rte_raw_cksum(ip, (ip->version_ihl & 15u) * 4u);
		}
	}
	for (uint32_t i = 0; i < pad; i++)
		out[at + len + i] = (uint8_t)(i + 1 + odd(200));
	out[at + body - 2] = (uint8_t)(pad + odd(100));
	out[at + body - 1] =
		odd(50) ? (uint8_t)(below(2) ? IPPROTO_NONE : 77) : (inner6 != odd(80) ? IPPROTO_IPV6 : IPPROTO_IPIP);
	crypt(out + esp_at(k), k, body, true);
	if (odd(40))
		out[esp_at(k) + below(total - esp_at(k))] ^= 1;
	if (!natt(k) && odd(15)) { /* no whole number of words or blocks */
		const uint32_t less = 1 + below(3);
		set_length(out, total - less);
		return total - less;
	}
	return total;
}

static void link_header(struct frame *f)
{
	const bool ip6 = f->data[14] >> 4 >= 6;
	memcpy(f->data, (uint8_t[]){2, 0, 0, 0, 1, (uint8_t)f->port, 2, 0, 0, 0, 2, 99, ip6 ? 0x86 : 8, ip6 ? 0xdd : 0},
		14);
}

static void make_frame(struct frame *f)
{
	uint8_t inner[LONGEST], *p = f->data + 14;
	uint32_t k = calm ? plain[calm_six][below(RTE_DIM(plain[0]))] : below(NETWORKS), len;
	f->port = calm ? calm_port : below(2) ? LAN : WAN;
	f->pieces = f->port == LAN && odd(40);
	if (f->port == LAN)
		len = clear_packet(p, k, true, f->pieces);
	else if (k < TUNNELS && (calm || below(5)))
		len = wrap(p, inner, clear_packet(inner, odd(30) ? below(TUNNELS) : k, false, false), k);
	else {
		/* in a class of its own: what comes in clear has no order with what comes out of an SA */
		struct rte_ipv4_hdr *ip = (void *)p;
		len = clear_packet(p, k, false, false);
		if (p[0] >> 4 == 4) {
			ip->type_of_service |= 0x10;
			ip->hdr_checksum = 0;
			ip->hdr_checksum = (uint16_t)~rte_raw_cksum(ip, (ip->version_ihl & 15u) * 4u);
		} else {
			p[0] |= 1;
		}
	}
	link_header(f);
	if (odd(60))
		f->data[1 + below(13)] ^= 1; /* not the group bit: those never are fast, whatever their flow */
	f->len = 14 + len + (len < 46 ? 46 - len : below(8) ? 0 : below(4));
}

static struct rte_mbuf *to_mbuf(const struct frame *f)
{
	struct rte_mbuf *m = dp_alloc(), *rest;
	uint32_t first = f->pieces ? 20 + below(f->len - 20) : f->len;
	assert_non_null(m);
	memcpy(rte_pktmbuf_append(m, (uint16_t)first), f->data, first);
	if (first < f->len) {
		assert_non_null(rest = dp_alloc());
		memcpy(rte_pktmbuf_append(rest, (uint16_t)(f->len - first)), f->data + first, f->len - first);
		assert_int_equal(rte_pktmbuf_chain(m, rest), 0);
	}
	return m;
}

/* ---- one vector, and what came of it ---- */

#define SENT_MAX 64u
struct outcome {
	uint32_t n[2];
	struct {
		uint32_t len;
		uint64_t flow; /* frames of one flow must be in order */
		uint8_t data[LONGEST + 128];
	} sent[2][SENT_MAX];
	uint32_t slow[SLOW_REASON_MAX];
	uint64_t drops[CV_DROP_MAX];
	struct cv_if_counters ifc[4];
	struct cv_sa_counters sa[SAS];
	struct sa_state state[SAS];
};

/* What the SAs keep, to set them back. */
struct kept {
	struct sa_state state[SAS];
	uint8_t replay[SAS][1024];
};

static void keep(struct kept *k, bool restore)
{
	for (uint32_t i = 2; i < SAS; i++) {
		const struct sa *sa = sa_get(i);
		if (!sa)
			continue;
		void *replay = sa->state->replay;
		if (restore)
			*sa->state = k->state[i];
		else
			k->state[i] = *sa->state;
		if (!replay)
			continue;
		assert_true(replay_size(64) <= sizeof(k->replay[i]));
		if (restore)
			memcpy(replay, k->replay[i], replay_size(64));
		else
			memcpy(k->replay[i], replay, replay_size(64));
	}
}

/*
 * Which flow a frame is of. Flows that share an SA may get their numbers in another order: ESP is decrypted, and what
 * follows from the number is taken out (IP ID, checksum, number, IV, ICV).
 */
static uint64_t flow_of(uint8_t *l2, uint32_t len)
{
	uint8_t *p = l2 + 14, *inner = p;
	uint64_t v;
	uint32_t ports;
	const bool ip6 = p[0] >> 4 == 6, ours = ip6 ? !memcmp(p + 8, (uint8_t[16]){0x20, 1, 0x0d, 0xb8, [15] = 1}, 16)
						    : !memcmp(p + 12, (uint8_t[]){192, 0, 2, 1}, 4);
	const uint8_t proto = ip6 ? p[6] : p[9];
	assert_true(ip6 || rte_raw_cksum(p, (p[0] & 15u) * 4u) == 0xffff);
	if ((proto == IPPROTO_ESP || proto == IPPROTO_UDP) && ours) {
		uint32_t spi, k;
		memcpy(&spi, p + (ip6 ? 40 : proto == IPPROTO_UDP ? 28 : 20), 4);
		k = (rte_be_to_cpu_32(spi) - SPI(0)) / 2;
		assert_true(k < TUNNELS && (proto == IPPROTO_UDP) == natt(k) && ip6 == kind[k].outer6);
		inner = p + data_at(k);
		crypt(p + esp_at(k), k, len - 14 - data_at(k) - icv_of(k), false);
		if (!ip6) {
			memset(p + 4, 0, 2);
			memset(p + 10, 0, 2);
		}
		memset(p + esp_at(k) + 4, 0, data_at(k) - esp_at(k) - 4);
		memset(l2 + len - icv_of(k), 0, icv_of(k));
	}
	const bool in6 = inner[0] >> 4 == 6;
	const uint32_t class = in6 ? (uint32_t)(inner[0] & 15) << 4 | inner[1] >> 4 : inner[1];
	memcpy(&v, inner + 12, 8);
	memcpy(&ports, inner + (in6 ? 40 : 20), 4);
	for (uint32_t i = 8; in6 && i < 40; i++)
		v = v * 31 + inner[i];
	return (v ^ ports * UINT64_C(0x9e3779b97f4a7c15)) * UINT64_C(0xd6e8feb86659fd93) +
	       (class << 8 | inner[in6 ? 6 : 9]);
}

/* Stable: by flow. */
static void sort(struct outcome *o, uint32_t port)
{
	for (uint32_t i = 1; i < o->n[port]; i++)
		for (uint32_t j = i; j > 0 && o->sent[port][j].flow < o->sent[port][j - 1].flow; j--) {
			typeof(o->sent[port][j]) t = o->sent[port][j];
			o->sent[port][j] = o->sent[port][j - 1];
			o->sent[port][j - 1] = t;
		}
}

static void take_sent(struct outcome *o)
{
	struct rte_mbuf *m;
	for (uint32_t port = 0; port < 2; port++) {
		for (o->n[port] = 0; (m = env_sent(port)) != NULL; o->n[port]++) {
			assert_true(o->n[port] < SENT_MAX - 1);
			assert_true(rte_pktmbuf_pkt_len(m) <= sizeof(o->sent[0][0].data));
			typeof(o->sent[0][0]) *s = &o->sent[port][o->n[port]];
			s->len = rte_pktmbuf_pkt_len(m);
			memset(s->data, 0, sizeof(s->data));
			const void *p = rte_pktmbuf_read(m, 0, s->len, s->data);
			if (p != s->data)
				memcpy(s->data, p, s->len);
			s->flow = flow_of(s->data, s->len);
			rte_pktmbuf_free(m);
		}
		sort(o, port);
	}
}

static void run(struct outcome *o, struct rte_mbuf *const *pkts, const uint32_t *port, uint32_t n)
{
	struct worker *w = env_worker();
	memset(o, 0, sizeof(*o));
	memset(w->stats->drops, 0, sizeof(w->stats->drops));
	memset(w->stats->ifc, 0, sizeof(o->ifc));
	memset(w->stats->sa, 0, sizeof(o->sa));
	for (uint32_t p = 0; p < 2; p++) {
		struct rte_mbuf *v[FRAMES];
		uint32_t k = 0;
		for (uint32_t i = 0; i < n; i++)
			if (port[i] == p)
				v[k++] = pkts[i];
		ether_input(w, p, v, k);
	}
	take_sent(o);
	for (uint32_t i = 0; i < env_n_slow; i++)
		o->slow[env_slow[i].why]++;
	env_drain();
	memcpy(o->drops, w->stats->drops, sizeof(o->drops));
	memcpy(o->ifc, w->stats->ifc, sizeof(o->ifc));
	memcpy(o->sa, w->stats->sa, sizeof(o->sa));
	for (uint32_t i = 2; i < SAS; i++)
		if (sa_get(i)) {
			o->state[i] = *sa_get(i)->state;
			/* whether a packet from another port is the newest depends on what it is handled with */
			o->state[i].events &= ~SA_EVENT_PEER;
		}
}

static void compare(const struct outcome *a, const struct outcome *b, uint32_t round)
{
	for (uint32_t port = 0; port < 2; port++) {
		if (a->n[port] != b->n[port])
			fail_msg("seed %u round %u port %u: %u frames by the pipeline, %u with the fast path", seed,
				round, port, a->n[port], b->n[port]);
		for (uint32_t i = 0; i < a->n[port]; i++)
			if (a->sent[port][i].len != b->sent[port][i].len ||
				memcmp(a->sent[port][i].data, b->sent[port][i].data, a->sent[port][i].len))
				fail_msg("seed %u round %u port %u: frame %u differs", seed, round, port, i);
	}
	assert_memory_equal(a->slow, b->slow, sizeof(a->slow));
	assert_memory_equal(a->drops, b->drops, sizeof(a->drops));
	assert_memory_equal(a->ifc, b->ifc, sizeof(a->ifc));
	assert_memory_equal(a->sa, b->sa, sizeof(a->sa));
	assert_memory_equal(a->state, b->state, sizeof(a->state));
}

/* How many packets have gone through it so far, received or decrypted. */
static uint64_t pipeline_packets(const struct worker *w)
{
	return w->stats->profile.stage[STAGE_IP_INPUT].packets;
}

static void test_same_as_pipeline(void **state)
{
	static struct outcome want, have;
	static struct kept kept;
	struct worker *w = env_worker();
	struct fast_worker *fast = w->fast;
	const bool can_wide = fast->wide;
	uint64_t with = 0, without = 0;
	unsigned buffers = env_mbufs();
	(void)state;
	for (uint32_t round = 0; round < ROUNDS; round++) {
		struct rte_mbuf *pkts[2][FRAMES];
		uint32_t port[FRAMES], n = 1 + below(FRAMES);
		if (below(10) == 0)
			change(round);
		calm = below(3) == 0;
		calm_six = below(2);
		calm_port = below(2);
		for (uint32_t i = 0; i < n; i++) {
			/* the same packet again, sometimes: flows are found only by those that repeat */
			if (!round || calm || below(2))
				make_frame(&frame[i]);
			port[i] = frame[i].port;
			for (int twice = 0; twice < 2; twice++)
				pkts[twice][i] = to_mbuf(&frame[i]);
		}
		keep(&kept, false);
		w->fast = NULL;
		uint64_t before = pipeline_packets(w);
		run(&want, pkts[0], port, n);
		without += pipeline_packets(w) - before;
		keep(&kept, true);
		w->fast = fast;
		fast->wide = can_wide && below(3); /* four at once, or one by one */
		before = pipeline_packets(w);
		run(&have, pkts[1], port, n);
		with += pipeline_packets(w) - before;
		compare(&want, &have, round);
	}
	calm = false;
	fast->wide = can_wide;
	assert_int_equal(env_mbufs(), buffers);
	print_message("%lu ways through the pipeline, %lu without the fast path\n", (unsigned long)with,
		(unsigned long)without);
	assert_true(with * 5 < without * 4); /* or nothing has been compared */
}

/* Packets of every tunnel's flows in both directions go through. Returns how many of them took the fast path. */
static uint64_t all_flows(uint32_t *total)
{
	struct worker *w = env_worker();
	uint64_t before = pipeline_packets(w);
	uint8_t inner[LONGEST];
	*total = 0;
	for (uint32_t port = LAN; port <= WAN; port++) {
		struct rte_mbuf *v[2 * TUNNELS];
		uint32_t n = 0;
		for (uint32_t k = 0; k < TUNNELS; k++) {
			uint8_t *p = frame[0].data + 14;
			uint32_t len = 100;
			if (six(k))
				ipv6(port == LAN ? p : inner, len, 10, k << 8 | 10, port == LAN, IPPROTO_UDP);
			else
				ipv4(port == LAN ? p : inner, len, port == LAN ? 0x0a01000a : 0x0a40000au | k << 8,
					port == LAN ? 0x0a40000au | k << 8 : 0x0a01000a, IPPROTO_UDP);
			if (port == WAN)
				len = wrap(p, inner, len, k);
			frame[0].port = port;
			link_header(&frame[0]);
			frame[0].len = 14 + len;
			frame[0].pieces = false;
			v[n++] = to_mbuf(&frame[0]);
		}
		*total += n;
		ether_input(w, port, v, n);
	}
	struct rte_mbuf *m;
	uint32_t sent = 0;
	for (uint32_t port = LAN; port <= WAN; port++)
		for (; (m = env_sent(port)) != NULL; sent++)
			rte_pktmbuf_free(m);
	assert_int_equal(sent, *total);
	return *total - (pipeline_packets(w) - before);
}

enum news { RULE_COMES, RULE_GOES, ROUTE_COMES, ROUTE_GOES, SA_COMES, SA_GOES };

/* About network k, or what is used for it. */
static void tell(enum news news, uint32_t k)
{
	char prefix[64];
	snprintf(prefix, sizeof(prefix), six(k) ? "fd40:0:%x::/48" : "10.64.%u.0/24", k);
	switch (news) {
	case RULE_COMES:
		rule_stage(k, CV_SPD_DISCARD);
		break;
	case RULE_GOES:
		env_stage(CV_CMD_SPD_RULE_DEL, &(struct cv_spd_rule_ref){.spd_id = 1, .rule_id = k + 1}, 0);
		break;
	case ROUTE_COMES:
		env_route(0, prefix, six(k) ? "2001:db8::3" : "192.0.2.3", 2, 0);
		break;
	case ROUTE_GOES:
		route_gone(prefix);
		break;
	case SA_COMES:
		sa_stage(2 * TUNNELS + 2 + k);
		break;
	case SA_GOES:
		sa_gone(2 * TUNNELS + 2 + k);
		break;
	}
	assert_int_equal(env_commit(), 0);
}

/* A change costs the flows that it concerns one way through the pipeline, and the others nothing. */
static void test_unrelated_changes(void **state)
{
	uint32_t n;
	(void)state;
	well_behaved = true;
	all_flows(&n);
	assert_int_equal(all_flows(&n), n);
	for (enum news news = RULE_COMES; news <= ROUTE_GOES; news++)
		for (uint32_t k = NETWORKS; k < 100; k++) {
			tell(news, k);
			assert_int_equal(all_flows(&n), n);
		}
	for (uint32_t k = 2; k < TUNNELS; k++)
		for (enum news news = SA_COMES; news <= SA_GOES; news++) {
			tell(news, k);
			assert_int_equal(all_flows(&n), n - 1);
			assert_int_equal(all_flows(&n), n);
		}
	neighbours_forget(2);
	assert_int_equal(all_flows(&n), n);
	neighbours_forget(1); /* what comes out of the SAs goes by an adjacency that is another one now */
	assert_int_equal(all_flows(&n), n / 2);
	assert_int_equal(all_flows(&n), n);
	/* more than a worker keeps */
	for (uint32_t times = 0; times < FLOW_CHANGES_KEPT; times++)
		tell(times & 1 ? RULE_GOES : RULE_COMES, NETWORKS);
	assert_int_equal(all_flows(&n), n);
	for (uint32_t times = 0; times < FLOW_CHANGES_KEPT + 2; times++)
		tell(times & 1 ? RULE_GOES : RULE_COMES, NETWORKS);
	assert_int_equal(all_flows(&n), 0);
	assert_int_equal(all_flows(&n), n);
	well_behaved = false;
}

/* Two IPv6 sources of which the second is none that the rules of the tunnels want, and which have the same digest: a
 * sender may choose its address that way. */
static void same_digest(struct fast_addr6 *a, struct fast_addr6 *b)
{
	static uint16_t by_digest[1u << 20];
	for (uint32_t x = 1; x < 0xffff; x++) {
		a->w[1] = rte_cpu_to_be_64(x);
		by_digest[(uint32_t)fast6_digest(a) >> 12] = (uint16_t)x;
	}
	for (;;) {
		b->w[1] = (uint64_t)random() << 33 ^ (uint64_t)random();
		a->w[1] = rte_cpu_to_be_64(by_digest[(uint32_t)fast6_digest(b) >> 12]);
		if (fast6_digest(a) == fast6_digest(b) && be64toh(a->w[1]) && be64toh(b->w[1]) > 0xffff)
			return;
	}
}

/* A flow of IPv6 is not taken for another one by its digest: it would leave by the other's SA (IPSEC-77). */
static void test_digest_is_not_identity(void **state)
{
	const uint32_t k = 13; /* IPv6 inside, and the source counts */
	struct fast_addr6 addr[2];
	struct rte_mbuf *m;
	(void)state;
	frame[0] = (struct frame){.port = LAN, .len = 14 + 100};
	ipv6(frame[0].data + 14, 100, 10, k << 8 | 10, true, IPPROTO_UDP);
	link_header(&frame[0]);
	memcpy(&addr[0], frame[0].data + 22, 32);
	addr[1] = addr[0];
	same_digest(&addr[0], &addr[1]);
	for (uint32_t i = 0; i < 4; i++) { /* learned, known; then the other, twice */
		memcpy(frame[0].data + 22, &addr[i / 2], 32);
		m = to_mbuf(&frame[0]);
		ether_input(env_worker(), LAN, &m, 1);
		assert_non_null(m = env_sent(WAN));
		assert_int_equal(rte_pktmbuf_mtod(m, uint8_t *)[13], i < 2 ? 0 : 0xdd); /* ESP over IPv4; in clear */
		rte_pktmbuf_free(m);
	}
}

static int setup(void **state)
{
	(void)state;
	const char *s = getenv("SEED");
	if (s)
		seed = (unsigned)strtoul(s, NULL, 10);
	srandom(seed);
	env_init();
	env_worker()->profile = 1; /* pipeline_packets() reads it */
	router();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_unrelated_changes),
		cmocka_unit_test(test_digest_is_not_identity), cmocka_unit_test(test_same_as_pipeline)};
	return cmocka_run_group_tests(tests, setup, NULL);
}
