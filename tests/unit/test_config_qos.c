/* SPDX-License-Identifier: BSD-3-Clause */
/* Class maps and policy maps in the configuration: what is refused (LLQ-T4), and the rules they become (LLQ-5). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cfgbuild.h"
#include "cv_addr.h"
#include "cv_msg.h"
#include "desired.h"

#define POLICY "/culvert-qos:qos/policy-map[name='P']"

static struct cv_config *c;
static struct cfg_class_map *map;
static struct cfg_policy_map *policy;
static char err[CFG_ERR_MAX];

/* The sample gateway; policy map P with class "voice" of access list "site2", on wan, output. */
static int setup(void **state)
{
	(void)state;
	c = cfgbuild_gateway();
	map = c->class_map = config_alloc(c, 1, sizeof(*map));
	c->n_class_map = 1;
	map->name = "voice";
	map->acl = config_alloc(c, 4, sizeof(*map->acl));
	map->acl[map->n_acl++] = "site2";
	policy = c->policy_map = config_alloc(c, 1, sizeof(*policy));
	c->n_policy_map = 1;
	policy->name = "P";
	policy->cls = config_alloc(c, CV_QOS_CLASSES + 1, sizeof(*policy->cls));
	policy->cls[policy->n_cls++].name = "voice";
	c->interface[1].policy_out = "P";
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	config_unref(c);
	return 0;
}

/* LLQ-10: class-default is there without being written, and is the dataplane's number 0. */
static void class_default_is_first(void **state)
{
	(void)state;
	policy->cls[policy->n_cls++] = (struct cfg_policy_class){
		.name = CFG_CLASS_DEFAULT, .police = {.rate = 64000, .action = {0, CFG_POLICE_DROP, CFG_POLICE_DROP}}};
	assert_int_equal(config_resolve(c, err, NULL, NULL), 0);
	assert_int_equal(policy->n_cls, 2);
	assert_string_equal(policy->cls[0].name, CFG_CLASS_DEFAULT);
	assert_int_equal(policy->cls[0].police.burst, 2000); /* 250 ms */
	assert_ptr_equal(policy->cls[1].map, map);
	assert_ptr_equal(c->interface[1].policy_out_ref, policy);
}

static void refuses_unknown_names(void **state)
{
	(void)state;
	policy->cls[0].name = "video";
	cfgbuild_refused(c, POLICY "/class[name='video']", "no class map named 'video'; known: voice");
}

static void refuses_unknown_policy(void **state)
{
	(void)state;
	c->interface[1].policy_in = "Q";
	cfgbuild_refused(c, "/ietf-interfaces:interfaces/interface[name='wan']/culvert-qos:service-policy/input",
		"no policy map named 'Q'; known: P");
}

/* LLQ-7, LLQ-T4. */
static void refuses_a_65th_class(void **state)
{
	struct cfg_class_map *many = config_alloc(c, 65, sizeof(*many));

	(void)state;
	policy->n_cls = 0;
	for (unsigned i = 0; i < 65; i++) {
		char name[8];

		snprintf(name, sizeof(name), "c%u", i);
		many[i] = *map;
		many[i].name = policy->cls[policy->n_cls++].name = config_strdup(c, name);
	}
	c->class_map = many;
	c->n_class_map = 65;
	cfgbuild_refused(c, POLICY "/class", "65 classes; at most 64 beside class-default (LLQ-7)");
}

static void refuses_an_empty_class_map(void **state)
{
	(void)state;
	map->n_acl = 0;
	cfgbuild_refused(c, "/culvert-qos:qos/class-map[name='voice']", "matches nothing");
}

static void refuses_a_peak_below_the_rate(void **state)
{
	(void)state;
	policy->cls[0].police = (struct cfg_police){.rate = 128000, .peak_rate = 64000};
	cfgbuild_refused(c, POLICY "/class[name='voice']/police/peak-rate", "128000 or more");
}

/* LLQ-6. Defaults drop what has a higher drop precedence first (RFC 2597); what is written stands. */
static void random_detect_has_defaults(void **state)
{
	struct cfg_policy_class *k = &policy->cls[policy->n_cls++];

	(void)state;
	*k = (struct cfg_policy_class){.name = CFG_CLASS_DEFAULT, .queue_limit = 200, .wred = {.on = true}};
	k->wred.curve[0] = (struct cv_wred_curve){5, 7, 3};
	assert_int_equal(config_resolve(c, err, NULL, NULL), 0);
	k = &policy->cls[0];
	assert_true(policy->queues);
	assert_int_equal(k->wred.weight, 9);
	assert_int_equal(k->wred.curve[0].max, 7);
	assert_int_equal(k->wred.curve[10].min, 80); /* AF11 */
	assert_int_equal(k->wred.curve[12].min, 70);
	assert_int_equal(k->wred.curve[14].min, 60);
	assert_int_equal(k->wred.curve[46].min, 90);
	assert_int_equal(k->wred.curve[48].min, 80); /* CS6 */
	assert_int_equal(k->wred.curve[10].max, 100);
	assert_int_equal(k->wred.curve[10].denominator, 10);
}

static void refuses_random_detect_where_it_cannot_be(void **state)
{
	policy->cls[0].priority = 50;
	policy->cls[0].wred.on = true;
	cfgbuild_refused(c, POLICY "/class[name='voice']/random-detect", "not in a priority class");
	teardown(state);
	setup(state);
	policy->cls[0].wred.on = true;
	policy->cls[0].wred.curve[3] = (struct cv_wred_curve){9, 9, 1};
	cfgbuild_refused(c, POLICY "/class[name='voice']/random-detect", "9 is not below max-threshold 9");
}

static void refuses_a_loopback(void **state)
{
	(void)state;
	c->interface[1].policy_out = NULL;
	c->interface[0].policy_out = "P";
	c->interface[0].type = CFG_IF_LOOPBACK;
	cfgbuild_refused(c, "/ietf-interfaces:interfaces/interface[name='lan']/culvert-qos:service-policy", "loopback");
}

/* LLQ-8, LLQ-T4: one unit in all classes. */
static void refuses_mixed_units(void **state)
{
	(void)state;
	policy->cls[0].bandwidth = 20;
	policy->cls[policy->n_cls++] = (struct cfg_policy_class){.name = CFG_CLASS_DEFAULT, .percent = 20};
	cfgbuild_refused(c, POLICY "/class", "bandwidth in several units");
}

/* LLQ-T4. */
static void refuses_fair_queue_elsewhere(void **state)
{
	(void)state;
	policy->cls[0].fair_queue = true;
	cfgbuild_refused(c, POLICY "/class[name='voice']/fair-queue", "only in class class-default (LLQ-6)");
}

static void refuses_priority_with_bandwidth(void **state)
{
	(void)state;
	policy->cls[0].priority = 50;
	policy->cls[0].bandwidth = 20;
	cfgbuild_refused(c, POLICY "/class[name='voice']/priority", "no bandwidth");
}

static void refuses_queues_on_input(void **state)
{
	(void)state;
	policy->cls[0].priority = 50;
	c->interface[1].policy_in = "P";
	cfgbuild_refused(
		c, "/ietf-interfaces:interfaces/interface[name='wan']/culvert-qos:service-policy/input", "has queues");
}

/* LLQ-9: what is promised cannot be more than the interface's rate. */
static void refuses_more_than_the_rate(void **state)
{
	(void)state;
	policy->cls[0].priority = 500;
	c->interface[1].output_rate = 400;
	cfgbuild_refused(c, "/ietf-interfaces:interfaces/interface[name='wan']/culvert-qos:service-policy/output",
		"promises 500 kbit/s; the output-rate is 400");
}

static void note_warning(void *arg, const char *text)
{
	unsigned *n = arg;

	*n += strstr(text, "promise 500 kbit/s, encryption does 400 (LLQ-12)") != NULL;
}

/* LLQ-12, LLQ-T3: more than the engine does is accepted with a warning. */
static void warns_of_the_engine(void **state)
{
	unsigned n = 0;

	(void)state;
	policy->cls[0].priority = 500;
	c->engine_rate = 400;
	assert_int_equal(config_resolve(c, err, note_warning, &n), 0);
	assert_int_equal(n, 1);
}

/* LLQ-T1's policy, and what the dataplane is told. */
static void queues_of_the_manual(void **state)
{
	struct ids *ids = ids_open(NULL);
	const struct cv_qos_class *k[2] = {NULL};
	const struct cv_qos_attach *a = NULL;
	struct desired *d;

	(void)state;
	policy->cls[0].priority = 50;
	policy->cls[policy->n_cls++] = (struct cfg_policy_class){.name = CFG_CLASS_DEFAULT, .fair_queue = true};
	c->interface[1].output_rate = 128;
	assert_int_equal(config_resolve(c, err, NULL, NULL), 0);
	ids_begin(ids);
	d = desired_build(c, ids, 2, err);
	assert_non_null(d);
	for (unsigned i = 0; i < d->n_obj; i++) {
		if (d->obj[i].kind == OBJ_QOS_CLASS)
			k[((const struct cv_qos_class *)d->obj[i].body)->class_no] = d->obj[i].body;
		if (d->obj[i].kind == OBJ_QOS_ATTACH)
			a = d->obj[i].body;
	}
	assert_true(a && a->flags == CV_QOS_F_QUEUES && a->rate == 128000 && a->if_id == c->interface[1].id);
	assert_true(k[1] && k[1]->priority == 50000 && k[1]->priority_burst == 1562 && k[1]->fair_queues == 1);
	assert_true(
		k[0] && !k[0]->priority && k[0]->fair_queues == 32 && k[0]->queue_limit == 512 && k[0]->weight == 1);
	desired_free(d);
	ids_close(ids);
}

/* ---- the rules of a class map against what it says ---- */

struct packet {
	struct cv_addr src, dst;
	uint16_t sport, dport;
	uint8_t proto, dscp;
	uint32_t if_id;
};

static bool in_range(const struct cv_range *r, const struct cv_addr *a)
{
	return r->lo.af == a->af && memcmp(a->b, r->lo.b, 16) >= 0 && memcmp(a->b, r->hi.b, 16) <= 0;
}

static bool line_matches(const struct cv_selector *s, uint64_t dscp, const struct packet *p)
{
	return in_range(&s->src, &p->src) && in_range(&s->dst, &p->dst) && (!s->proto || s->proto == p->proto) &&
	       p->sport >= s->sport_lo && p->sport <= s->sport_hi && p->dport >= s->dport_lo &&
	       p->dport <= s->dport_hi && (!dscp || dscp >> p->dscp & 1);
}

static bool acl_permits(const struct cfg_acl *a, const struct packet *p)
{
	for (unsigned i = 0; i < a->n_line; i++)
		if (line_matches(&a->line[i].sel, a->line[i].dscp, p))
			return a->line[i].permit;
	return false;
}

/* What the operator was promised. */
static bool class_takes(const struct cfg_class_map *m, const struct packet *p)
{
	bool v4 = p->src.af == CV_AF_INET, proto = false, intf = false;
	unsigned asked = 0, yes = 0;

	for (unsigned i = 0; i < m->n_acl; i++, asked++)
		yes += acl_permits(m->acl_ref[i], p);
	for (unsigned i = 0; i < m->n_protocol; i++)
		proto |= v4 ? m->protocol[i].ip4 && (!m->protocol[i].proto4 || m->protocol[i].proto4 == p->proto)
			    : m->protocol[i].ip6 && (!m->protocol[i].proto6 || m->protocol[i].proto6 == p->proto);
	for (unsigned i = 0; i < m->n_interface; i++)
		intf |= m->interface_ref[i]->id == p->if_id;
	asked += (m->n_protocol != 0) + (m->n_interface != 0) + (m->dscp != 0) + (m->precedence != 0) + m->every;
	yes += proto + intf + (m->dscp >> p->dscp & 1) + (m->precedence >> p->dscp & 1) + m->every;
	return m->match_any ? yes : yes == asked;
}

/* What the dataplane is told to do: groups in order, in each the first line that matches. Objects are sorted. */
static uint32_t class_of(const struct desired *d, const struct packet *p)
{
	uint32_t skip = UINT32_MAX;

	for (uint32_t no = 0;; no++) {
		const struct cv_qos_rule *r = NULL;

		for (unsigned i = 0; i < d->n_obj && !r; i++)
			if (d->obj[i].kind == OBJ_QOS_RULE &&
				((const struct cv_qos_rule *)d->obj[i].body)->rule_no == no)
				r = d->obj[i].body;
		if (!r)
			return 0;
		if (r->group == skip || (r->if_id && r->if_id != p->if_id) || !line_matches(&r->sel, r->dscp, p))
			continue;
		if (!(r->flags & CV_RULE_SKIP_ENTRY))
			return r->class_no;
		skip = r->group;
	}
}

static unsigned below(unsigned n)
{
	return (unsigned)random() % n;
}

static void random_addr(struct cv_addr *a, uint8_t af)
{
	*a = (struct cv_addr){.af = af};
	a->b[0] = 10;
	a->b[1] = (uint8_t)below(3);
}

static void random_acl(struct cfg_acl *a)
{
	a->line = config_alloc(c, 4, sizeof(*a->line));
	a->n_line = below(5);
	for (unsigned i = 0; i < a->n_line; i++) {
		struct cfg_acl_line *l = &a->line[i];
		uint8_t af = below(4) ? CV_AF_INET : CV_AF_INET6;

		*l = (struct cfg_acl_line){.seq = i + 1, .permit = below(3)};
		cv_selector_any(&l->sel, af);
		if (below(2)) {
			random_addr(&l->sel.src.lo, af);
			l->sel.src.hi = l->sel.src.lo;
			memset(l->sel.src.hi.b + 2, 0xff, af == CV_AF_INET ? 2 : 14);
		}
		l->sel.proto = below(2) ? 0 : 17;
		l->sel.dport_lo = l->sel.proto ? (uint16_t)below(3) : 0;
		l->sel.dport_hi = l->sel.proto ? (uint16_t)(l->sel.dport_lo + below(3)) : UINT16_MAX;
		l->dscp = below(3) ? 0 : 0xffu;
	}
}

static void random_map(struct cfg_class_map *m)
{
	static struct cfg_protocol protocols[] = {
		{.name = "udp", .ip4 = true, .ip6 = true, .proto4 = 17, .proto6 = 17}, {.name = "ipv6", .ip6 = true}};
	static const char *acls[] = {"a", "b"}, *interfaces[] = {"lan", "wan"};

	m->match_any = below(2);
	m->acl = acls;
	m->n_acl = below(3);
	m->dscp = below(3) ? 0 : 0xf0u;
	m->precedence = below(3) ? 0 : 0xffu << 8 * below(2);
	m->interface = interfaces;
	m->n_interface = below(3) ? 0 : below(3);
	m->protocol = protocols;
	m->n_protocol = below(3) ? 0 : below(3);
	m->every = !m->n_acl && !m->dscp && !m->precedence && !m->n_interface && !m->n_protocol;
}

static void one_class_map(void)
{
	struct ids *ids = ids_open(NULL);
	struct desired *d;

	random_map(map);
	for (unsigned i = 0; i < 2; i++) {
		c->acl[c->n_acl].name = i ? "b" : "a";
		random_acl(&c->acl[c->n_acl++]);
	}
	if (config_resolve(c, err, NULL, NULL))
		fail_msg("%s", err);
	ids_begin(ids);
	d = desired_build(c, ids, 2, err);
	if (!d)
		fail_msg("%s", err);
	for (unsigned i = 0; i < 300; i++) {
		uint8_t af = below(2) ? CV_AF_INET : CV_AF_INET6;
		struct packet p = {.dport = (uint16_t)below(5),
			.proto = below(2) ? 17 : 6,
			.dscp = (uint8_t)below(16),
			.if_id = c->interface[below(2)].id};

		random_addr(&p.src, af);
		random_addr(&p.dst, af);
		if (class_of(d, &p) != class_takes(map, &p))
			fail_msg("match-%s: packet %u: class %u, the map says %d", map->match_any ? "any" : "all", i,
				class_of(d, &p), class_takes(map, &p));
	}
	desired_free(d);
	ids_close(ids);
}

/* LLQ-5, LLQ-T1: access lists, DSCP, precedence, interface and protocol, in any combination. */
static void rules_say_what_the_map_says(void **state)
{
	srandom(20261121);
	for (unsigned i = 0; i < 400; i++) {
		if (i) {
			teardown(state);
			setup(state);
		}
		one_class_map();
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(class_default_is_first),
		TEST(refuses_unknown_names),
		TEST(refuses_unknown_policy),
		TEST(refuses_a_65th_class),
		TEST(refuses_an_empty_class_map),
		TEST(refuses_a_peak_below_the_rate),
		TEST(refuses_a_loopback),
		TEST(random_detect_has_defaults),
		TEST(refuses_random_detect_where_it_cannot_be),
		TEST(refuses_mixed_units),
		TEST(refuses_fair_queue_elsewhere),
		TEST(refuses_priority_with_bandwidth),
		TEST(refuses_queues_on_input),
		TEST(refuses_more_than_the_rate),
		TEST(warns_of_the_engine),
		TEST(queues_of_the_manual),
		TEST(rules_say_what_the_map_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
