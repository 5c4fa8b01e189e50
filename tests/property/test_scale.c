/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Issue 3: 100,000 flows through the whole pipeline, caches and fast path included, under a policy of 10,000 rules on
 * one interface, while rules and SAs come and go between vectors. What becomes of every single packet is compared with
 * a look at all rules one by one (IPSEC-27, 28, 30, 31, 41; DSCP: RFC 4301 4.4.1.1): which SA it left by, that it left
 * in clear, whose SA it waits for, or why it was dropped.
 *
 *   port 0: if 1, 10.255.0.1/24, everything of 10.0.0.0/8 behind 10.255.0.9 | port 1: if 2, 192.0.2.1/24, with the
 *   policy, 172.16.0.0/12 behind 192.0.2.2
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <rte_ip.h>

#include "../unit/fwd_env.h"
#include "../unit/gcm_env.h"
#include "cv_addr.h"
#include "pipeline.h"
#include "stages.h"

enum { LAN, WAN, PORTS };
#define FLOWS 100000u
#define RULES 10000u
#define LINES 10u /* of one map entry */
#define SAS 2000u
#define BURST 32u
#define CHANGE_EVERY 12u /* bursts */
#define NONE UINT32_MAX
#define WAITS (UINT32_MAX - 1) /* in rule.sa: it protects, and there is none */

static unsigned seed = 20261121;

static uint32_t below(uint32_t n)
{
	return (uint32_t)(((uint64_t)random() << 16 ^ (uint64_t)random()) % n);
}

/* ---- the policy, and the reference ---- */

struct rule {
	struct cv_spd_rule c;
	bool present;
	uint32_t sa; /* index of the outbound one, WAITS, or NONE: not a rule that protects */
};
static struct rule rule[RULES]; /* in the order of evaluation */
/* The addresses of each, close together, because all are looked at for every flow. */
static struct bounds {
	uint32_t src_lo, src_hi, dst_lo, dst_hi;
} bounds[RULES];

/* One packet of it says all: written as it leaves; `in`: it comes back instead, from the outside in clear. */
struct flow {
	uint32_t src, dst;
	uint16_t sport, dport;
	uint8_t proto, dscp;
	bool later_fragment, in;
	uint32_t rule; /* that decides, NONE = no match */
};
static struct flow flow[FLOWS];

static uint32_t number(const struct cv_addr *a)
{
	return (uint32_t)a->b[0] << 24 | (uint32_t)a->b[1] << 16 | (uint32_t)a->b[2] << 8 | a->b[3];
}

static void range(struct cv_range *r, uint32_t lo, uint32_t hi)
{
	r->lo = (struct cv_addr){.af = CV_AF_INET, .b = {lo >> 24, lo >> 16 & 255, lo >> 8 & 255, lo & 255}};
	r->hi = (struct cv_addr){.af = CV_AF_INET, .b = {hi >> 24, hi >> 16 & 255, hi >> 8 & 255, hi & 255}};
}

static uint32_t some_source(void)
{
	return 10u << 24 | below(2) << 16 | below(200) << 8 | below(8);
}

static uint32_t some_target(void)
{
	return 172u << 24 | 16u << 16 | below(200) << 8 | below(8);
}

/* As site-to-site policies are: subnets, some hosts and services, few of everything or of a whole side. */
static void some_rule(uint32_t i)
{
	struct cv_spd_rule *c = &rule[i].c;
	uint32_t src = some_source(), dst = some_target();

	*c = (struct cv_spd_rule){.spd_id = 1, .rule_id = i + 1, .vrf_id = below(3) ? 0 : CV_VRF_ANY};
	c->prio = (uint64_t)(i / LINES + 1) << 32 | (i % LINES + 1);
	c->action = below(3) ? CV_SPD_PROTECT : 1 + below(2);
	c->flags = below(8) == 0 ? CV_RULE_SKIP_ENTRY : 0;
	c->dscp = below(6) ? 0 : UINT64_C(1) << below(3) | UINT64_C(1) << 46;
	c->sel.sport_hi = c->sel.dport_hi = UINT16_MAX;
	range(&c->sel.src, below(4) ? src & ~255u : src, below(4) ? src | 255u : src);
	range(&c->sel.dst, below(4) ? dst & ~255u : dst, below(4) ? dst | 255u : dst);
	if (i > RULES - RULES / 50) /* at the end, what a whole side has in common */
		range(&c->sel.src, 10u << 24, 10u << 24 | 0xffffff);
	if (below(3) == 0) {
		c->sel.proto = below(2) ? IPPROTO_UDP : IPPROTO_TCP;
		c->sel.dport_lo = (uint16_t)below(6);
		c->sel.dport_hi = (uint16_t)(c->sel.dport_lo + below(4));
	}
	bounds[i] = (struct bounds){
		number(&c->sel.src.lo), number(&c->sel.src.hi), number(&c->sel.dst.lo), number(&c->sel.dst.hi)};
	rule[i].sa = c->action == CV_SPD_PROTECT && !c->flags ? WAITS : NONE;
}

static bool within(const struct bounds *b, const struct flow *f)
{
	return f->src >= b->src_lo && f->src <= b->src_hi && f->dst >= b->dst_lo && f->dst <= b->dst_hi;
}

/* Of a flow within the rule's bounds. */
static bool matches(const struct cv_spd_rule *c, const struct flow *f)
{
	if ((c->sel.proto && c->sel.proto != f->proto) || (c->dscp && !(c->dscp >> f->dscp & 1)))
		return false;
	if (c->sel.dport_lo == 0 && c->sel.dport_hi == UINT16_MAX)
		return true;
	if (f->later_fragment) /* where it cannot be known, nothing is in clear */
		return !(c->flags & CV_RULE_SKIP_ENTRY) && c->action != CV_SPD_BYPASS;
	return f->dport >= c->sel.dport_lo && f->dport <= c->sel.dport_hi;
}

static uint32_t decide(const struct flow *f)
{
	for (uint32_t i = 0; i < RULES; i++) {
		if (!within(&bounds[i], f) || !rule[i].present || !matches(&rule[i].c, f))
			continue;
		if (!(rule[i].c.flags & CV_RULE_SKIP_ENTRY))
			return i;
		i += LINES - 1 - i % LINES; /* the next entry */
	}
	return NONE;
}

/* The decisions about flows that this rule concerns, anew. */
static void decide_again(uint32_t i)
{
	for (uint32_t k = 0; k < FLOWS; k++)
		if (within(&bounds[i], &flow[k]))
			flow[k].rule = decide(&flow[k]);
}

/* ---- the router ---- */

static const uint8_t key[GCM_ENV_KEY] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20};
static uint32_t holder[SAS + 1]; /* the rule of each SA, NONE = there is no such SA */

static void sa_add(uint32_t i, uint32_t index)
{
	struct cv_sa sa = {.index = index,
		.spi = 0x41000000u + index,
		.dir = CV_SA_OUT,
		.mode = CV_SA_TUNNEL,
		.ipproto = IPPROTO_ESP,
		.encr = CV_ENCR_AES128_GCM16,
		.rule_id = i + 1,
		.n_sel = 1,
		.sel = {rule[i].c.sel},
		.key_len = sizeof(key)};

	assert_int_equal(cv_addr_parse("192.0.2.1", &sa.src), 0);
	assert_int_equal(cv_addr_parse("192.0.2.2", &sa.dst), 0);
	memcpy(sa.key, key, sizeof(key));
	env_stage(CV_CMD_SA_ADD, &sa, 0);
	rule[i].sa = index;
	holder[index] = i;
}

static void sa_del(uint32_t index)
{
	env_stage(CV_CMD_SA_DEL, &(struct cv_sa_ref){.index = index, .spi = 0x41000000u + index}, 0);
	rule[holder[index]].sa = WAITS;
	holder[index] = NONE;
}

static void router(void)
{
	struct cv_spd spd = {.spd_id = 1, .n_if = 1, .if_id = {2}};

	env_ports(PORTS);
	env_eth(1, LAN, 0, "10.255.0.1/24");
	env_eth(2, WAN, 0, "192.0.2.1/24");
	env_route(0, "10.0.0.0/8", "10.255.0.9", 1, 0);
	env_route(0, "172.16.0.0/12", "192.0.2.2", 2, 0);
	env_stage(CV_CMD_SPD_SET, &spd, 0);
	for (uint32_t i = 0; i < RULES; i++) {
		some_rule(i);
		rule[i].present = below(20);
		if (rule[i].present)
			env_stage(CV_CMD_SPD_RULE_SET, &rule[i].c, 0);
	}
	for (uint32_t index = 1; index <= SAS; index++)
		holder[index] = NONE;
	for (uint32_t index = 1; index <= SAS;) {
		uint32_t i = below(RULES);

		if (rule[i].present && rule[i].sa == WAITS)
			sa_add(i, index++);
	}
	assert_int_equal(env_commit(), 0);
	env_neigh(1, "10.255.0.9", 9);
	env_neigh(2, "192.0.2.2", 2);
	env_drain();
}

/* One rule or one SA comes or goes. */
static void change(void)
{
	uint32_t i = below(RULES), index = 1 + below(SAS);

	if (below(2) && holder[index] != NONE) {
		sa_del(index);
	} else if (rule[i].present && rule[i].sa == WAITS && holder[index] == NONE && below(2)) {
		sa_add(i, index);
	} else if (rule[i].sa == WAITS || rule[i].sa == NONE) {
		rule[i].present = !rule[i].present;
		if (rule[i].present)
			env_stage(CV_CMD_SPD_RULE_SET, &rule[i].c, 0);
		else
			env_stage(CV_CMD_SPD_RULE_DEL, &(struct cv_spd_rule_ref){.spd_id = 1, .rule_id = i + 1}, 0);
		decide_again(i);
	}
	assert_int_equal(env_commit(), 0);
}

/* ---- packets ---- */

#define BODY 12u /* behind the IP header: ports, and which flow it is */

static void some_flow(struct flow *f)
{
	static const uint8_t proto[] = {IPPROTO_UDP, IPPROTO_UDP, IPPROTO_TCP, IPPROTO_ICMP, IPPROTO_GRE};

	*f = (struct flow){.src = some_source(),
		.dst = some_target(),
		.proto = proto[below(RTE_DIM(proto))],
		.dscp = below(3)   ? 0
			: below(2) ? 46
				   : (uint8_t)below(64),
		.later_fragment = below(20) == 0,
		.in = below(3) == 0,
		.sport = (uint16_t)below(65536),
		.dport = (uint16_t)below(10)};
	if (below(3)) { /* of a rule, wherever that stands */
		const struct bounds *r = &bounds[below(RULES)];

		f->src = r->src_lo + below(r->src_hi - r->src_lo + 1);
		f->dst = r->dst_lo + below(r->dst_hi - r->dst_lo + 1);
	}
	if (f > flow && below(6) == 0) { /* the one before in another class */
		*f = f[-1];
		f->dscp = (uint8_t)below(4);
	}
	f->rule = decide(f);
}

static struct rte_mbuf *packet(uint32_t k)
{
	const struct flow *f = &flow[k];
	struct rte_mbuf *m = dp_alloc();
	const uint16_t port[2] = {
		rte_cpu_to_be_16(f->in ? f->dport : f->sport), rte_cpu_to_be_16(f->in ? f->sport : f->dport)};
	uint8_t *l2;

	assert_non_null(m);
	l2 = (uint8_t *)rte_pktmbuf_append(m, 60);
	memset(l2, 0, 60);
	memcpy(l2, (uint8_t[]){2, 0, 0, 0, 1, f->in ? WAN : LAN, 2, 0, 0, 0, 2, 99, 8, 0}, 14);
	struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)(l2 + 14);
	*ip = (struct rte_ipv4_hdr){.version_ihl = 0x45,
		.type_of_service = (uint8_t)(f->dscp << 2),
		.total_length = RTE_BE16(20 + BODY),
		.fragment_offset = f->later_fragment ? RTE_BE16(185) : 0,
		.time_to_live = 64,
		.next_proto_id = f->proto,
		.src_addr = rte_cpu_to_be_32(f->in ? f->dst : f->src),
		.dst_addr = rte_cpu_to_be_32(f->in ? f->src : f->dst)};
	ip->hdr_checksum = rte_ipv4_cksum(ip);
	memcpy(l2 + 34, port, sizeof(port));
	memcpy(l2 + 42, &k, sizeof(k));
	return m;
}

static uint32_t flow_at(const uint8_t *ip)
{
	uint32_t k;

	memcpy(&k, ip + 28, sizeof(k));
	assert_true(k < FLOWS);
	assert_int_equal(rte_raw_cksum(ip, 20), 0xffff);
	return k;
}

/* ---- one burst, and what came of it ---- */

enum fate { LOST, CLEAR, PROTECTED, ASKED };
static struct {
	enum fate fate;
	uint32_t by; /* SA, or id of the rule that an SA is asked for */
} seen[BURST];

static void note(const uint32_t *k, uint32_t n, uint32_t which, enum fate fate, uint32_t by)
{
	uint32_t i = 0;

	while (i < n && (k[i] != which || seen[i].fate != LOST))
		i++;
	if (i == n)
		fail_msg("seed %u: flow %u came out too often, or was not sent", seed, which);
	seen[i].fate = fate;
	seen[i].by = by;
}

static void look_at_sent(const uint32_t *k, uint32_t n)
{
	static struct crypto_session *session;
	struct rte_mbuf *m;

	for (uint32_t port = 0; port < PORTS; port++)
		for (; (m = env_sent(port)); rte_pktmbuf_free(m)) {
			uint8_t *ip = rte_pktmbuf_mtod_offset(m, uint8_t *, 14);
			uint32_t spi;

			if (ip[9] != IPPROTO_ESP) {
				uint32_t which = flow_at(ip);

				assert_int_equal(port, flow[which].in ? LAN : WAN);
				note(k, n, which, CLEAR, 0);
				continue;
			}
			assert_int_equal(port, WAN);
			memcpy(&spi, ip + 20, sizeof(spi));
			gcm_env_crypt(&session, CV_ENCR_AES128_GCM16, key, ip + 20,
				(uint32_t)(m->pkt_len - 14 - 20 - GCM_ENV_HEAD - GCM_ENV_ICV), false);
			note(k, n, flow_at(ip + 36), PROTECTED, rte_be_to_cpu_32(spi) - 0x41000000u);
		}
	for (uint32_t i = 0; i < env_n_slow; i++) {
		assert_int_equal(env_slow[i].why, SLOW_ACQUIRE);
		note(k, n, flow_at(rte_pktmbuf_mtod(env_slow[i].m, const uint8_t *)), ASKED,
			pkt_meta(env_slow[i].m)->rule);
	}
	env_drain();
}

/* What the rule that decides says about the i-th packet; returns whether it is to be dropped, and the reason. */
static bool judge(uint32_t i, const struct flow *f, enum drop_reason *why)
{
	const struct rule *r = f->rule == NONE ? NULL : &rule[f->rule];
	uint32_t action = r ? r->c.action : CV_SPD_BYPASS;
	enum fate want = action == CV_SPD_BYPASS	     ? CLEAR
			 : action == CV_SPD_DISCARD || f->in ? LOST
			 : r->sa == WAITS		     ? ASKED
							     : PROTECTED;
	uint32_t by = want == ASKED ? r->c.rule_id : want == PROTECTED ? r->sa : 0;

	if (seen[i].fate != want || seen[i].by != by)
		fail_msg("seed %u: by rule %d, %s: fate %d by %u, not %d by %u", seed, r ? (int)r->c.rule_id : -1,
			f->in ? "in" : "out", seen[i].fate, seen[i].by, want, by);
	*why = action == CV_SPD_PROTECT ? DROP_SPD_CLEAR_IN : DROP_SPD_DISCARD;
	return want == LOST;
}

static uint64_t fates[ASKED + 1];

static void burst(const uint32_t *k, uint32_t n)
{
	struct worker *w = env_worker();
	uint32_t dropped[2] = {0};

	memset(seen, 0, sizeof(seen));
	memset(w->stats->drops, 0, sizeof(w->stats->drops));
	for (uint32_t port = 0; port < PORTS; port++) {
		struct rte_mbuf *v[BURST];
		uint32_t have = 0;

		for (uint32_t i = 0; i < n; i++)
			if (flow[k[i]].in == (port == WAN))
				v[have++] = packet(k[i]);
		if (have)
			ether_input(w, port, v, have);
	}
	look_at_sent(k, n);
	for (uint32_t i = 0; i < n; i++) {
		enum drop_reason why;

		if (judge(i, &flow[k[i]], &why))
			dropped[why == DROP_SPD_CLEAR_IN]++;
		fates[seen[i].fate]++;
	}
	assert_int_equal(w->stats->drops[DROP_SPD_DISCARD], dropped[0]);
	assert_int_equal(w->stats->drops[DROP_SPD_CLEAR_IN], dropped[1]);
}

/* All flows, in bursts of neighbours, some of them twice in a row; changes between the bursts. */
static void all_flows(bool changing)
{
	uint32_t k[BURST], n = 0, bursts = 0;

	for (uint32_t at = 0; at < FLOWS; at++) {
		k[n++] = at;
		if (n < BURST && at + 1 < FLOWS)
			continue;
		burst(k, n);
		if (below(4) == 0)
			burst(k, n);
		n = 0;
		if (changing && ++bursts % CHANGE_EVERY == 0)
			change();
	}
}

static void every_packet_goes_where_brute_force_sends_it(void **state)
{
	uint64_t fast = env_worker()->stats->profile.stage[STAGE_FAST].packets;
	unsigned buffers = env_mbufs();

	(void)state;
	env_worker()->profile = 1;
	all_flows(false);
	all_flows(true);
	all_flows(true);
	fast = env_worker()->stats->profile.stage[STAGE_FAST].packets - fast;
	print_message(
		"%u flows, %u rules: %lu clear, %lu protected, %lu wait for an SA, %lu dropped; %lu by the fast path\n",
		FLOWS, RULES, fates[CLEAR], fates[PROTECTED], fates[ASKED], fates[LOST], fast);
	for (enum fate f = LOST; f <= ASKED; f++)
		assert_true(fates[f] > FLOWS / 10); /* or too little has been compared */
	assert_true(fast > FLOWS / 10);
	assert_int_equal(env_mbufs(), buffers);
}

static int setup(void **state)
{
	const char *s = getenv("SEED");

	(void)state;
	if (s)
		seed = (unsigned)strtoul(s, NULL, 10);
	srandom(seed);
	env_init();
	router();
	for (uint32_t k = 0; k < FLOWS; k++)
		some_flow(&flow[k]);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(every_packet_goes_where_brute_force_sends_it)};

	return cmocka_run_group_tests(tests, setup, NULL);
}
