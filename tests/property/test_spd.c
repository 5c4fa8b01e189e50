/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The compiled policy against a brute-force evaluator written from the requirements: IPSEC-27 (deny = not by this
 * entry), IPSEC-29 and IPSEC-41 (order), IPSEC-28 (mirror), VRF-7 (VRF as selector), O1 (a deny line leaves one entry
 * only), DSCP as a selector of this end alone (RFC 4301 4.4.1.1).
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "spd.h"

static unsigned seed = 20261121;

static uint32_t below(uint32_t n)
{
	return (uint32_t)(((uint64_t)random() << 16 ^ (uint64_t)random()) % n);
}

/* Few distinct values, so that rules overlap and packets hit. */
static void some_addr(uint8_t af, struct cv_addr *a)
{
	memset(a, 0, sizeof(*a));
	a->af = af;
	unsigned n = af == CV_AF_INET ? 4 : 16;
	a->b[0] = af == CV_AF_INET ? 10 : 0x20;
	a->b[1] = (uint8_t)below(2);
	a->b[n - 2] = (uint8_t)below(4);
	a->b[n - 1] = (uint8_t)below(8);
}

static bool addr_less(const struct cv_addr *a, const struct cv_addr *b)
{
	return memcmp(a->b, b->b, 16) < 0;
}

static void some_range(uint8_t af, struct cv_range *r)
{
	some_addr(af, &r->lo);
	r->hi = r->lo;
	unsigned n = af == CV_AF_INET ? 4 : 16;
	switch (below(6)) {
	case 0: /* everything */
		memset(r->lo.b, 0, 16);
		memset(r->hi.b, 0xff, n);
		break;
	case 1: /* a prefix cut at a byte */
	case 2: {
		unsigned keep = below(n);
		memset(r->lo.b + keep, 0, n - keep);
		memset(r->hi.b + keep, 0xff, n - keep);
		break;
	}
	case 3: { /* any two addresses */
		some_addr(af, &r->hi);
		if (addr_less(&r->hi, &r->lo)) {
			struct cv_addr t = r->lo;
			r->lo = r->hi;
			r->hi = t;
		}
		break;
	}
	default: /* one host */
		break;
	}
}

static const uint8_t protos[] = {6, 17, 1, 58, 47, 132};

static void some_rule(uint32_t id, struct spd_rule *r)
{
	struct cv_spd_rule c = {.rule_id = id};
	uint8_t af = below(2) ? CV_AF_INET : CV_AF_INET6;
	c.prio = (uint64_t)below(12) << 32 | id; /* lines of an entry in the order of their ids */
	c.action = 1 + below(3);
	c.flags = below(4) == 0 ? CV_RULE_SKIP_ENTRY : 0;
	c.vrf_id = below(3) == 0 ? CV_VRF_ANY : below(3);
	some_range(af, &c.sel.src);
	some_range(af, &c.sel.dst);
	c.sel.sport_hi = c.sel.dport_hi = UINT16_MAX;
	if (below(2)) {
		c.sel.proto = protos[below(sizeof(protos))];
		if (below(2)) {
			c.sel.dport_lo = (uint16_t)below(20);
			c.sel.dport_hi = (uint16_t)(c.sel.dport_lo + below(20));
		}
		if (below(3) == 0) {
			c.sel.sport_lo = (uint16_t)below(2000);
			c.sel.sport_hi = (uint16_t)(c.sel.sport_lo + below(2000));
		}
	}
	if (below(3) == 0)
		c.dscp = UINT64_C(1) << below(3) | UINT64_C(1) << (61 + below(3));
	*r = (struct spd_rule){.rule_id = id,
		.vrf = c.vrf_id,
		.action = c.action,
		.flags = c.flags,
		.prio = c.prio,
		.dscp = c.dscp ? c.dscp : UINT64_MAX,
		.wide = !(c.flags & CV_RULE_SKIP_ENTRY) && c.action != CV_SPD_BYPASS,
		.conf = c};
	flow_sel_from(&c.sel, &r->sel);
}

/* ---- the reference: sees cv_msg structures and bytes, no shortcuts ---- */

struct packet {
	uint8_t af, proto, dscp;
	bool later_fragment;
	uint32_t vrf;
	struct cv_addr src, dst;
	uint16_t sport, dport;
};

static bool in_range(const struct cv_range *r, const struct cv_addr *a)
{
	return r->lo.af == a->af && memcmp(a->b, r->lo.b, 16) >= 0 && memcmp(a->b, r->hi.b, 16) <= 0;
}

static bool ref_match(const struct cv_spd_rule *c, const struct packet *p)
{
	const struct cv_selector *s = &c->sel;
	if (c->vrf_id != CV_VRF_ANY && c->vrf_id != p->vrf)
		return false;
	if (c->dscp && !(c->dscp & UINT64_C(1) << p->dscp))
		return false;
	if (!in_range(&s->src, &p->src) || !in_range(&s->dst, &p->dst) || (s->proto && s->proto != p->proto))
		return false;
	bool ports = s->sport_lo > 0 || s->sport_hi < UINT16_MAX || s->dport_lo > 0 || s->dport_hi < UINT16_MAX;
	if (!ports)
		return true;
	if (p->later_fragment)
		return !(c->flags & CV_RULE_SKIP_ENTRY) && c->action != CV_SPD_BYPASS;
	return p->sport >= s->sport_lo && p->sport <= s->sport_hi && p->dport >= s->dport_lo && p->dport <= s->dport_hi;
}

/* Rules must be sorted by prio. */
static const struct spd_rule *ref_lookup(struct spd_rule *const *rule, uint32_t n, const struct packet *p)
{
	for (uint32_t i = 0; i < n; i++) {
		if (!ref_match(&rule[i]->conf, p))
			continue;
		if (!(rule[i]->flags & CV_RULE_SKIP_ENTRY))
			return rule[i];
		uint64_t entry = rule[i]->prio >> 32;
		while (i + 1 < n && rule[i + 1]->prio >> 32 == entry)
			i++;
	}
	return NULL;
}

static void some_packet(struct packet *p)
{
	memset(p, 0, sizeof(*p));
	p->af = below(2) ? CV_AF_INET : CV_AF_INET6;
	p->proto = protos[below(sizeof(protos))];
	p->later_fragment = below(6) == 0;
	p->vrf = below(3);
	p->dscp = (uint8_t)(below(2) ? below(3) : 60 + below(4));
	some_addr(p->af, &p->src);
	some_addr(p->af, &p->dst);
	if (!p->later_fragment) {
		p->sport = (uint16_t)below(2500);
		p->dport = (uint16_t)below(30);
	}
}

static void to_flow(const struct packet *p, struct flow *f)
{
	*f = (struct flow){.src = flow_addr_from(&p->src),
		.dst = flow_addr_from(&p->dst),
		.vrf = p->vrf,
		.sport = p->sport,
		.dport = p->dport,
		.af = p->af,
		.proto = p->proto,
		.dscp = p->dscp,
		.no_ports = p->later_fragment};
}

static int by_prio(const void *a, const void *b)
{
	const struct spd_rule *x = *(struct spd_rule *const *)a, *y = *(struct spd_rule *const *)b;
	return x->prio < y->prio ? -1 : x->prio > y->prio;
}

static void one_policy(uint32_t n, uint32_t packets, uint32_t *hits)
{
	struct spd_rule *rule = calloc(n ? n : 1, sizeof(*rule)), **ptr = calloc(n ? n : 1, sizeof(*ptr));
	assert_non_null(rule);
	assert_non_null(ptr);
	for (uint32_t i = 0; i < n; i++) {
		some_rule(i + 1, &rule[i]);
		ptr[i] = &rule[i];
	}
	struct spd_class *c = spd_class_build(ptr, n); /* unsorted: it sorts for itself */
	assert_non_null(c);
	qsort(ptr, n, sizeof(*ptr), by_prio);
	for (uint32_t i = 0; i < packets; i++) {
		struct packet p;
		struct flow f;
		some_packet(&p);
		to_flow(&p, &f);
		const struct spd_rule *want = ref_lookup(ptr, n, &p), *got = spd_class_lookup(c, &f);
		if (want != got)
			print_message("rule wanted %u, got %u\n", want ? want->rule_id : 0, got ? got->rule_id : 0);
		assert_ptr_equal(want, got);
		*hits += want != NULL;
	}
	spd_class_free(c);
	free(rule);
	free(ptr);
}

static void classifier_agrees_with_brute_force(void **state)
{
	(void)state;
	print_message("seed %u\n", seed);
	srandom(seed);
	uint32_t hits = 0, total = 0;
	/* a million packets, IPv4 and IPv6, later fragments, ICMP, ports, DSCP, VRFs */
	for (int i = 0; i < 3000; i++, total += 300)
		one_policy(below(60), 300, &hits);
	for (int i = 0; i < 34; i++, total += 3000)
		one_policy(1000, 3000, &hits);
	assert_true(total > 1000000);
	/* the generator must exercise both outcomes */
	assert_true(hits > total / 4);
	assert_true(hits < total - total / 50);
}

/* ---- versions that share ---- */

static void check_version(const struct spd_class *c, struct spd_rule *const *rule, uint32_t n, uint32_t packets)
{
	struct spd_rule **sorted = malloc((n + 1) * sizeof(*sorted));
	assert_non_null(sorted);
	memcpy(sorted, rule, n * sizeof(*sorted));
	qsort(sorted, n, sizeof(*sorted), by_prio);
	while (packets--) {
		struct packet p;
		struct flow f;
		some_packet(&p);
		to_flow(&p, &f);
		assert_ptr_equal(ref_lookup(sorted, n, &p), spd_class_lookup(c, &f));
	}
	free(sorted);
}

#define POOL 160u

/* rule[0..n) is the policy, the rest of the pool is not in it. Move some over the border, both ways. */
static void shuffle(struct spd_rule **rule, uint32_t *n, struct spd_rule **gone, uint32_t *n_gone,
	struct spd_rule **come, uint32_t *n_come)
{
	*n_gone = below(RTE_MIN(*n, 5u) + 1);
	*n_come = below(RTE_MIN(POOL - *n, 5u) + 1);
	for (uint32_t i = 0; i < *n_come; i++) { /* first, so that what goes does not come back at once */
		uint32_t k = *n + below(POOL - *n);
		come[i] = rule[k];
		rule[k] = rule[*n];
		rule[(*n)++] = come[i];
	}
	uint32_t old = *n - *n_come;
	for (uint32_t i = 0; i < *n_gone; i++) {
		uint32_t k = below(old);
		gone[i] = rule[k];
		rule[k] = rule[--old];
		rule[old] = rule[--*n];
		rule[*n] = gone[i];
	}
}

/* A version made from another decides like one made from nothing, the other one decides as before, and a version that
 * is thrown away takes nothing of the other with it (the sanitizers look on). */
static void changed_classifiers_agree_with_brute_force(void **state)
{
	(void)state;
	srandom(seed);
	for (int i = 0; i < 150; i++) {
		static struct spd_rule pool[POOL];
		struct spd_rule *rule[POOL], *before[POOL], *gone[8], *come[8];
		uint32_t n = below(POOL), n_gone, n_come;
		for (uint32_t k = 0; k < POOL; k++) {
			some_rule(k + 1, &pool[k]);
			rule[k] = &pool[k];
		}
		struct spd_class *c = spd_class_build(rule, n);
		assert_non_null(c);
		for (int change = 0; change < 60; change++) {
			uint32_t n_before = n;
			memcpy(before, rule, sizeof(before));
			shuffle(rule, &n, gone, &n_gone, come, &n_come);
			struct spd_class *next = spd_class_change(c, gone, n_gone, come, n_come);
			assert_non_null(next);
			check_version(next, rule, n, 40);
			check_version(c, before, n_before, 10);
			if (below(4) == 0) {
				spd_class_free(next);
				memcpy(rule, before, sizeof(before));
				n = n_before;
				check_version(c, rule, n, 10);
				continue;
			}
			spd_class_supersede(c, next);
			spd_class_free(c);
			c = next;
		}
		spd_class_free(c);
	}
}

/* ---- scale ---- */

#define RULES 10000u
#define FLOWS 100000u
#define CHANGES 300u
#define WORK_MAX 32u /* entries written for one rule that comes or goes, of 10,000 */

/* As site-to-site policies are: subnets of many sites, some hosts and services among them. */
static void site_rule(uint32_t id, struct spd_rule *r)
{
	some_rule(id, r);
	struct cv_selector *s = &r->conf.sel;
	memset(s, 0, sizeof(*s));
	s->src.lo = (struct cv_addr){.af = CV_AF_INET, .b = {10, (uint8_t)below(2), (uint8_t)below(256), 0}};
	s->dst.lo = (struct cv_addr){.af = CV_AF_INET, .b = {172, 16, (uint8_t)below(64), 0}};
	s->src.hi = s->src.lo;
	s->dst.hi = s->dst.lo;
	s->src.hi.b[3] = 255;
	if (below(3))
		s->dst.hi.b[3] = 255;
	s->sport_hi = s->dport_hi = UINT16_MAX;
	if (below(4) == 0) {
		s->proto = 6;
		s->dport_lo = s->dport_hi = (uint16_t)below(4);
	}
	r->conf.vrf_id = r->vrf = below(2) ? CV_VRF_ANY : 0;
	r->conf.dscp = below(8) ? 0 : UINT64_C(1) << below(3);
	r->dscp = r->conf.dscp ? r->conf.dscp : UINT64_MAX;
	flow_sel_from(s, &r->sel);
}

static void site_packet(struct packet *p)
{
	*p = (struct packet){
		.af = CV_AF_INET, .proto = below(2) ? 6 : 17, .dscp = (uint8_t)below(4), .dport = (uint16_t)below(6)};
	p->src = (struct cv_addr){
		.af = CV_AF_INET, .b = {10, (uint8_t)below(2), (uint8_t)below(256), (uint8_t)below(9)}};
	p->dst = (struct cv_addr){.af = CV_AF_INET, .b = {172, 16, (uint8_t)below(64), (uint8_t)below(3)}};
}

/*
 * Issue 3: one of 10,000 rules comes or goes while 100,000 flows pass. What is counted is the work, not the time: a
 * change writes a few entries where building anew writes them all. All flows then go where a policy built anew sends
 * them, and where brute force does.
 */
static void a_change_does_not_visit_the_other_rules(void **state)
{
	(void)state;
	srandom(seed);
	struct spd_rule *pool = calloc(RULES + CHANGES, sizeof(*pool)), **rule = calloc(RULES + CHANGES, sizeof(*rule));
	struct packet *flow = calloc(FLOWS, sizeof(*flow));
	assert_true(pool && rule && flow);
	for (uint32_t i = 0; i < RULES + CHANGES; i++) {
		site_rule(i + 1, &pool[i]);
		rule[i] = &pool[i];
	}
	for (uint32_t i = 0; i < FLOWS; i++)
		site_packet(&flow[i]);
	struct spd_class *c = spd_class_build(rule, RULES);
	assert_non_null(c);
	assert_true(spd_class_work(c) >= RULES);
	uint64_t worst = 0;
	for (uint32_t i = 0; i < CHANGES; i++) {
		uint32_t out = below(RULES);
		struct spd_rule *gone = rule[out], *come = rule[RULES + i];
		struct spd_class *next = spd_class_change(c, &gone, 1, &come, 1);
		assert_non_null(next);
		rule[out] = come;
		worst = RTE_MAX(worst, spd_class_work(next));
		spd_class_supersede(c, next);
		spd_class_free(c);
		c = next;
	}
	print_message(
		"one rule of %u goes and one comes: %llu entries written at worst\n", RULES, (unsigned long long)worst);
	assert_true(worst <= 2 * WORK_MAX);
	qsort(rule, RULES, sizeof(*rule), by_prio);
	struct spd_class *anew = spd_class_build(rule, RULES);
	assert_non_null(anew);
	uint32_t hits = 0;
	for (uint32_t i = 0; i < FLOWS; i++) {
		struct flow f;
		to_flow(&flow[i], &f);
		const struct spd_rule *got = spd_class_lookup(c, &f);
		assert_ptr_equal(spd_class_lookup(anew, &f), got);
		if (i % 50 == 0)
			assert_ptr_equal(ref_lookup(rule, RULES, &flow[i]), got);
		hits += got != NULL;
	}
	assert_true(hits > FLOWS / 100 && hits < FLOWS / 100 * 99);
	spd_class_free(anew);
	spd_class_free(c);
	free(flow);
	free(rule);
	free(pool);
}

static void mirror_is_its_own_inverse_and_keeps_icmp(void **state)
{
	(void)state;
	srandom(seed);
	for (int i = 0; i < 1000; i++) {
		struct packet p;
		struct flow f, g;
		some_packet(&p);
		to_flow(&p, &f);
		g = f;
		flow_mirror(&g);
		assert_true(g.src == f.dst && g.dst == f.src);
		bool icmp = p.proto == 1 || p.proto == 58;
		assert_int_equal(g.sport, icmp ? f.sport : f.dport);
		flow_mirror(&g);
		assert_true(g.src == f.src && g.dst == f.dst && g.sport == f.sport && g.dport == f.dport);
	}
}

static void addresses_convert_both_ways(void **state)
{
	(void)state;
	srandom(seed);
	for (int i = 0; i < 1000; i++) {
		struct cv_addr a, b;
		some_addr(i % 2 ? CV_AF_INET : CV_AF_INET6, &a);
		flow_addr_to(flow_addr_from(&a), a.af, &b);
		assert_memory_equal(&a, &b, sizeof(a));
	}
}

int main(int argc, char **argv)
{
	if (argc > 1)
		seed = (unsigned)strtoul(argv[1], NULL, 0);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(classifier_agrees_with_brute_force),
		cmocka_unit_test(changed_classifiers_agree_with_brute_force),
		cmocka_unit_test(a_change_does_not_visit_the_other_rules),
		cmocka_unit_test(mirror_is_its_own_inverse_and_keeps_icmp),
		cmocka_unit_test(addresses_convert_both_ways),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
