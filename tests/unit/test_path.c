/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The whole way of a packet through policy and tunnels, both ends of the tunnel in one process: what is received on the
 * inside of one end comes out of the inside of the other, or does not, and the counters of both ends say why.
 *
 *   port 0: if 1, VRF 0, 10.1.0.1/24 | port 1: if 2, VRF 0, 192.0.2.1/24 -- port 2: if 3, VRF 1, 192.0.2.2/24 | port 3:
 * if 4, VRF 1
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <rte_ip.h>

#include "algo.h"
#include "cv_addr.h"
#include "events.h"
#include "fwd_env.h"
#include "pipeline.h"
#include "port.h"

enum { LAN, WAN, FAR_WAN, FAR_LAN, PORTS };
#define FAR 1u
#define RULE_ALL 1u
#define RULE_UDP 2u

/* A selector from 10.1.0.0/24 to 10.2.0.0/24. */
static void selector(struct cv_selector *s, uint8_t proto)
{
	struct cv_prefix p;

	memset(s, 0, sizeof(*s));
	assert_int_equal(cv_prefix_parse("10.1.0.0/24", &p), 0);
	cv_prefix_to_range(&p, &s->src);
	assert_int_equal(cv_prefix_parse("10.2.0.0/24", &p), 0);
	cv_prefix_to_range(&p, &s->dst);
	s->sport_hi = s->dport_hi = UINT16_MAX;
	s->proto = proto;
}

static void mirror(struct cv_selector *s)
{
	struct cv_range t = s->src;

	s->src = s->dst;
	s->dst = t;
}

static void rule(uint32_t spd, uint32_t id, uint32_t seq, uint32_t vrf, uint8_t proto)
{
	struct cv_spd_rule r = {.spd_id = spd,
		.rule_id = id,
		.prio = (uint64_t)seq << 32,
		.action = CV_SPD_PROTECT,
		.vrf_id = vrf,
		.flags = CV_RULE_NO_ACQUIRE};

	selector(&r.sel, proto);
	if (vrf == FAR)
		mirror(&r.sel);
	env_stage(CV_CMD_SPD_RULE_SET, &r, 0);
}

/* From the near end to the far one, indexes n and n + 1; the way back has none. */
static void tunnel(uint32_t n, uint32_t rule_id, uint8_t ipproto, struct algo_suite suite, uint32_t flags)
{
	struct cv_sa sa = {.index = n,
		.spi = 5u << CV_SA_INDEX_BITS | (n + 1),
		.dir = CV_SA_OUT,
		.mode = CV_SA_TUNNEL,
		.ipproto = ipproto,
		.encr = suite.encr,
		.integ = suite.integ,
		.flags = flags,
		.rule_id = rule_id,
		.n_sel = 1};

	assert_int_equal(cv_addr_parse("192.0.2.1", &sa.src), 0);
	assert_int_equal(cv_addr_parse("192.0.2.2", &sa.dst), 0);
	selector(&sa.sel[0], 0);
	sa.key_len = algo_key_len(sa.encr, sa.integ);
	memset(sa.key, (int)n, sa.key_len);
	env_stage(CV_CMD_SA_ADD, &sa, 0);
	sa.index = n + 1;
	sa.dir = CV_SA_IN;
	sa.front_vrf = sa.inside_vrf = FAR;
	sa.rule_id = 0;
	mirror(&sa.sel[0]);
	env_stage(CV_CMD_SA_ADD, &sa, 0);
}

#define GCM ((struct algo_suite){.encr = CV_ENCR_AES128_GCM16})
#define AH_SHA ((struct algo_suite){.integ = CV_INTEG_HMAC_SHA256_128})

static void both_ends(void)
{
	struct cv_spd near = {.spd_id = 1, .n_if = 1, .if_id = {2}}, far = {.spd_id = 2, .n_if = 1, .if_id = {3}};

	env_sync();
	env_vrf(FAR);
	env_eth(1, LAN, 0, "10.1.0.1/24");
	env_eth(2, WAN, 0, "192.0.2.1/24");
	env_eth(3, FAR_WAN, FAR, "192.0.2.2/24");
	env_eth(4, FAR_LAN, FAR, "10.2.0.1/24");
	env_route(0, "10.2.0.0/24", "192.0.2.2", 0, 0);
	env_route(FAR, "10.1.0.0/24", "192.0.2.1", 0, FAR);
	env_route(0, "224.0.0.0/4", "192.0.2.2", 0, 0);
	env_stage(CV_CMD_SPD_SET, &near, 0);
	env_stage(CV_CMD_SPD_SET, &far, 0);
	rule(1, RULE_ALL, 20, 0, 0);
	rule(2, 100 + RULE_ALL, 20, FAR, 0);
}

static void ready(void)
{
	assert_int_equal(env_commit(), 0);
	env_neigh(1, "10.1.0.9", 9);
	env_neigh(2, "192.0.2.2", 2);
	env_neigh(3, "192.0.2.1", 1);
	env_neigh(4, "10.2.0.9", 9);
	env_drain();
	memset(env_worker()->stats->events, 0, sizeof(env_worker()->stats->events));
	memset(env_worker()->stats->drops, 0, sizeof(env_worker()->stats->drops));
	memset(env_worker()->stats->sa, 0, 64 * sizeof(env_worker()->stats->sa[0]));
}

static const uint8_t *ip_of(struct rte_mbuf *m)
{
	return rte_pktmbuf_mtod(m, const uint8_t *) + 14;
}

/* Carry what is sent on one port over to another; returns how many. */
static unsigned carry(unsigned from, unsigned to)
{
	unsigned n = 0;

	for (struct rte_mbuf *m; (m = env_sent(from)); n++) {
		rte_pktmbuf_adj(m, 14);
		env_receive(to, 0, m);
	}
	return n;
}

static struct rte_mbuf *udp(unsigned payload)
{
	return env_udp("10.1.0.9", "10.2.0.9", 1000, 53, payload);
}

static uint64_t event(unsigned e)
{
	return env_worker()->stats->events[e];
}

/* IPSEC-T1: one line is used in both directions (IPSEC-28): protected packets come through, the same in clear do not,
 * and what the line does not name is not its business. */
static void one_line_both_directions(void **state)
{
	(void)state;
	both_ends();
	tunnel(10, RULE_ALL, 50, GCM, 0);
	ready();
	env_receive(LAN, 0, udp(100));
	assert_int_equal(carry(WAN, FAR_WAN), 1);
	struct rte_mbuf *m = env_sent(FAR_LAN);

	assert_non_null(m);
	assert_memory_equal(ip_of(m) + 16, ((uint8_t[]){10, 2, 0, 9}), 4);
	rte_pktmbuf_free(m);
	env_receive(FAR_WAN, 0, udp(100)); /* the same packet, in clear */
	assert_int_equal(env_drops(DROP_SPD_CLEAR_IN), 1);
	assert_int_equal(env_sent_count(FAR_LAN), 0);
	env_receive(FAR_WAN, 0, env_udp("10.9.0.9", "10.2.0.9", 1, 2, 10)); /* not of the line */
	assert_int_equal(env_sent_count(FAR_LAN), 1);
	assert_int_equal(env_drops(DROP_SPD_CLEAR_IN), 1);
}

static void set_tos(struct rte_mbuf *m, uint8_t tos)
{
	struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod(m, struct rte_ipv4_hdr *);

	ip->type_of_service = tos;
	ip->hdr_checksum = 0;
	ip->hdr_checksum = rte_ipv4_cksum(ip);
}

/* RFC 4301 4.4.1.1: of one flow only the packets with a DSCP of the rule are protected, in any order, on both ends, and
 * ECN is no part of it. The SA itself takes any. */
static void dscp_selects(void **state)
{
	static const uint8_t tos[] = {46 << 2, 0, 46 << 2 | 3, 10 << 2, 46 << 2 | 1, 3, 63 << 2, 46 << 2};
	struct cv_spd_rule r = {
		.spd_id = 1, .rule_id = RULE_UDP, .action = CV_SPD_PROTECT, .flags = CV_RULE_NO_ACQUIRE};

	(void)state;
	both_ends();
	selector(&r.sel, 0);
	r.dscp = UINT64_C(1) << 46 | UINT64_C(1) << 63;
	env_stage(CV_CMD_SPD_RULE_SET, &r, 0);
	env_stage(CV_CMD_SPD_RULE_DEL, &(struct cv_spd_rule_ref){.spd_id = 1, .rule_id = RULE_ALL}, 0);
	tunnel(10, RULE_UDP, 50, GCM, 0);
	ready();
	for (unsigned i = 0; i < sizeof(tos); i++) {
		struct rte_mbuf *m = udp(100);
		bool protect = r.dscp >> (tos[i] >> 2) & 1;

		set_tos(m, tos[i]);
		env_receive(LAN, 0, m);
		m = env_sent(WAN);
		assert_non_null(m);
		assert_int_equal(ip_of(m)[9], protect ? IPPROTO_ESP : IPPROTO_UDP);
		rte_pktmbuf_free(m);
	}
	/* the same the other way round: in clear only what no rule wants protected (IPSEC-30) */
	for (unsigned i = 0; i < sizeof(tos); i++) {
		struct rte_mbuf *m = env_udp("10.2.0.9", "10.1.0.9", 53, 1000, 100);
		uint64_t before = env_drops(DROP_SPD_CLEAR_IN);

		set_tos(m, tos[i]);
		env_receive(WAN, 0, m);
		assert_int_equal(env_drops(DROP_SPD_CLEAR_IN) - before, r.dscp >> (tos[i] >> 2) & 1);
		env_drain();
	}
}

/* IPSEC-9: between the same two peers one flow is authenticated only, another one encrypted as well. */
static void two_tunnels_of_different_protection(void **state)
{
	static const uint8_t want[] = {50, 51};

	(void)state;
	both_ends();
	rule(1, RULE_UDP, 10, 0, IPPROTO_UDP);
	tunnel(10, RULE_UDP, 50, GCM, 0);
	tunnel(20, RULE_ALL, 51, AH_SHA, 0);
	ready();
	for (unsigned i = 0; i < 2; i++) {
		env_receive(LAN, 0, i ? env_echo("10.1.0.9", "10.2.0.9", 60) : udp(60));
		struct rte_mbuf *m = env_sent(WAN);

		assert_non_null(m);
		assert_int_equal(ip_of(m)[9], want[i]);
		rte_pktmbuf_adj(m, 14);
		env_receive(FAR_WAN, 0, m);
		m = env_sent(FAR_LAN);
		assert_non_null(m);
		assert_int_equal(ip_of(m)[9], i ? IPPROTO_ICMP : IPPROTO_UDP);
		rte_pktmbuf_free(m);
	}
	assert_int_equal(env_worker()->stats->sa[11].packets, 1);
	assert_int_equal(env_worker()->stats->sa[21].packets, 1);
}

/* IPSEC-8: an SA is found by SPI, destination and protocol: a packet whose header is the other one's is not its. */
static void an_sa_has_one_protocol(void **state)
{
	(void)state;
	both_ends();
	tunnel(10, RULE_ALL, 50, GCM, 0);
	ready();
	env_receive(LAN, 0, udp(100));
	struct rte_mbuf *m = env_sent(WAN);

	assert_non_null(m);
	uint8_t *ip = rte_pktmbuf_mtod(m, uint8_t *) + 14;
	struct rte_ipv4_hdr *h = (struct rte_ipv4_hdr *)ip;

	memmove(ip + 24, ip + 20, 4); /* the SPI where AH has it */
	ip[20] = 4;
	ip[21] = 4;
	h->next_proto_id = 51;
	h->hdr_checksum = 0;
	h->hdr_checksum = rte_ipv4_cksum(h);
	rte_pktmbuf_adj(m, 14);
	env_receive(FAR_WAN, 0, m);
	assert_int_equal(env_n_slow, 1);
	assert_int_equal(env_slow[0].why, SLOW_INVALID_SPI);
	assert_int_equal(env_sent_count(FAR_LAN), 0);
}

/* IPSEC-3: multicast and broadcast are never protected under a map, and never leave in clear instead. */
static void only_unicast_is_protected(void **state)
{
	static const char *const dst[] = {"224.0.0.5", "239.1.2.3", "255.255.255.255"};

	(void)state;
	both_ends();
	struct cv_spd_rule r = {.spd_id = 1, .rule_id = 9, .prio = 1, .action = CV_SPD_PROTECT, .vrf_id = 0};

	cv_selector_any(&r.sel, CV_AF_INET);
	env_stage(CV_CMD_SPD_RULE_SET, &r, 0);
	tunnel(10, 9, 50, GCM, 0);
	ready();
	for (unsigned i = 0; i < 3; i++) {
		env_receive(LAN, 0, env_udp("10.1.0.9", dst[i], 1, 2, 30));
		assert_int_equal(env_sent_count(WAN), 0);
		assert_int_equal(env_n_slow, 0);
	}
	assert_int_equal(env_drops(DROP_MULTICAST), 3);
	assert_int_equal(env_worker()->stats->sa[10].packets, 0);
}

/* FRAG-1, FRAG-2, FRAG-13, FRAG-T1: before encryption the encryptor counts fragments, the decryptor puts nothing
 * together, and the two parts for the host inside are of equal size. */
static void fragments_before_encryption(void **state)
{
	unsigned len[2];

	(void)state;
	both_ends();
	tunnel(10, RULE_ALL, 50, GCM, 0);
	ready();
	env_receive(LAN, 0, udp(1472));
	assert_int_equal(carry(WAN, FAR_WAN), 2);
	for (unsigned i = 0; i < 2; i++) {
		struct rte_mbuf *m = env_sent(FAR_LAN);

		assert_non_null(m);
		len[i] = m->pkt_len - 14;
		rte_pktmbuf_free(m);
	}
	assert_true(len[0] + len[1] == 1520 && len[0] <= len[1] + 8 && len[1] <= len[0] + 8);
	assert_int_equal(event(EVENT_FRAG_BEFORE), 1);
	assert_int_equal(event(EVENT_REASSEMBLED), 0);
	assert_int_equal(env_worker()->stats->sa[10].packets, 2);
	assert_int_equal(env_worker()->stats->sa[11].packets, 2);
}

/* FRAG-7, FRAG-11, FRAG-12, FRAG-T2: after encryption one ESP packet goes in two fragments, which the decryptor puts
 * together whatever its own setting, and the host inside gets its packet whole. */
static void fragments_after_encryption(void **state)
{
	(void)state;
	both_ends();
	tunnel(10, RULE_ALL, 50, GCM, CV_SA_F_FRAG_AFTER);
	ready();
	env_receive(LAN, 0, udp(1472));
	assert_int_equal(carry(WAN, FAR_WAN), 2);
	env_run_slow(); /* main puts fragments to ourselves together */
	struct rte_mbuf *m = env_sent(FAR_LAN);

	assert_non_null(m);
	assert_int_equal(m->pkt_len, 14 + 1500);
	rte_pktmbuf_free(m);
	assert_int_equal(event(EVENT_FRAG_AFTER), 1);
	assert_int_equal(event(EVENT_FRAG_BEFORE), 0);
	assert_int_equal(event(EVENT_REASSEMBLED), 1);
	assert_int_equal(env_worker()->stats->sa[10].packets, 1);
	assert_int_equal(env_worker()->stats->sa[11].packets, 1);
}

/* ISPI-T6: a flood with unknown SPIs, between the packets of a tunnel in one vector, costs that tunnel none. */
static void flood_of_unknown_spis(void **state)
{
	struct rte_mbuf *mixed[64];
	unsigned n = 0;

	(void)state;
	both_ends();
	tunnel(10, RULE_ALL, 50, GCM, 0);
	ready();
	for (unsigned i = 0; i < 16; i++)
		env_receive(LAN, 0, udp(100));
	for (struct rte_mbuf *m; (m = env_sent(WAN));) {
		for (unsigned k = 0; k < 3; k++) {
			struct rte_mbuf *bad = rte_pktmbuf_copy(m, dp_pool(), 0, UINT32_MAX);

			assert_non_null(bad);
			memset(pkt_meta(bad), 0, sizeof(struct pkt_meta));
			*rte_pktmbuf_mtod_offset(bad, uint8_t *, 14 + 20 + k) ^= (uint8_t)(1 + n);
			mixed[n++] = bad;
		}
		mixed[n++] = m;
	}
	assert_int_equal(n, 64);
	for (unsigned i = 0; i < n; i++)
		memcpy(rte_pktmbuf_mtod(mixed[i], uint8_t *), (const uint8_t[]){2, 0, 0, 0, 1, FAR_WAN}, 6);
	ether_input(env_worker(), FAR_WAN, mixed, 32);
	ether_input(env_worker(), FAR_WAN, mixed + 32, 32);
	assert_int_equal(env_sent_count(FAR_LAN), 16);
	assert_int_equal(env_worker()->stats->sa[11].packets, 16);
	assert_int_equal(env_n_slow, 48);
	for (unsigned i = 0; i < env_n_slow; i++)
		assert_int_equal(env_slow[i].why, SLOW_INVALID_SPI);
}

/* IPSEC-31: a rule without an SA sends nothing in clear, and says so by name. */
static void nothing_without_an_sa(void **state)
{
	(void)state;
	both_ends();
	ready();
	env_receive(LAN, 0, udp(100));
	assert_int_equal(env_sent_count(WAN), 0);
	assert_int_equal(env_drops(DROP_NO_SA), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(one_line_both_directions, env_teardown),
		cmocka_unit_test_teardown(dscp_selects, env_teardown),
		cmocka_unit_test_teardown(two_tunnels_of_different_protection, env_teardown),
		cmocka_unit_test_teardown(an_sa_has_one_protocol, env_teardown),
		cmocka_unit_test_teardown(only_unicast_is_protected, env_teardown),
		cmocka_unit_test_teardown(fragments_before_encryption, env_teardown),
		cmocka_unit_test_teardown(fragments_after_encryption, env_teardown),
		cmocka_unit_test_teardown(flood_of_unknown_spis, env_teardown),
		cmocka_unit_test_teardown(nothing_without_an_sa, env_teardown),
	};

	env_init();
	env_ports(PORTS);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
