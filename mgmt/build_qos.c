/* SPDX-License-Identifier: BSD-3-Clause */
/* Class maps and policy maps. */
#include <string.h>

#include "build.h"
#include "dscp.h"

static void protocols(struct build *b, const struct lyd_node *n, struct cfg_class_map *m)
{
	m->protocol = config_alloc(b->c, tree_count(n, "protocol"), sizeof(*m->protocol));
	for (const struct lyd_node *p = NULL; (p = tree_next(n, "protocol", p));) {
		const char *name = lyd_get_value(p);
		struct cfg_protocol *to = &m->protocol[m->n_protocol++];

		to->name = config_strdup(b->c, name);
		to->ip4 = strcmp(name, "ipv6") != 0;
		to->ip6 = strcmp(name, "ip") != 0;
		if (to->ip4 && to->ip6) {
			to->proto4 = build_protocol(name, false);
			to->proto6 = build_protocol(name, true);
		}
	}
}

static void class_map(struct build *b, const struct lyd_node *n, struct cfg_class_map *m)
{
	const struct lyd_node *v;

	m->name = build_text(b, n, "name");
	m->description = build_text(b, n, "description");
	m->match_any = strcmp(tree_text(n, "match"), "any") == 0;
	m->every = tree_child(n, "any");
	m->acl = build_names(b, n, "access-group", &m->n_acl);
	m->interface = build_names(b, n, "input-interface", &m->n_interface);
	for (v = NULL; (v = tree_next(n, "dscp", v));)
		m->dscp |= UINT64_C(1) << build_dscp(lyd_get_value(v));
	for (v = NULL; (v = tree_next(n, "precedence", v));)
		m->precedence |= dscp_of_precedence(((const struct lyd_node_term *)v)->value.uint8);
	protocols(b, n, m);
}

static void colour(const struct lyd_node *police, const char *name, unsigned i, struct cfg_police *p)
{
	const struct lyd_node *n = tree_child(police, name);
	const char *action = tree_text(n, "action"), *dscp = tree_text(n, "dscp");

	p->action[i] = i ? CFG_POLICE_DROP : CFG_POLICE_TRANSMIT;
	if (!action)
		return;
	p->action[i] = dscp ? CFG_POLICE_SET_DSCP : strcmp(action, "drop") ? CFG_POLICE_TRANSMIT : CFG_POLICE_DROP;
	p->dscp[i] = dscp ? build_dscp(dscp) : 0;
}

static void police(const struct lyd_node *n, struct cfg_police *p)
{
	if (!n)
		return;
	p->rate = tree_number(n, "rate");
	p->peak_rate = tree_number(n, "peak-rate");
	p->burst = (uint32_t)tree_number(n, "burst");
	p->excess_burst = (uint32_t)tree_number(n, "excess-burst");
	p->peak_burst = (uint32_t)tree_number(n, "peak-burst");
	colour(n, "conform", 0, p);
	colour(n, "exceed", 1, p);
	colour(n, "violate", 2, p);
}

static void random_detect(const struct lyd_node *n, struct cfg_wred *w)
{
	w->on = n;
	w->ecn = tree_flag(n, "ecn");
	w->weight = (uint8_t)tree_number(n, "exponential-weighting-constant");
	for (const struct lyd_node *d = NULL; n && (d = tree_next(n, "dscp", d));)
		w->curve[build_dscp(tree_text(d, "dscp"))] =
			(struct cv_wred_curve){.min = (uint32_t)tree_number(d, "min-threshold"),
				.max = (uint32_t)tree_number(d, "max-threshold"),
				.denominator = (uint32_t)tree_number(d, "mark-probability-denominator")};
}

static void policy_class(struct build *b, const struct lyd_node *n, struct cfg_policy_class *k)
{
	const char *dscp = tree_text(n, "set-dscp");

	k->name = build_text(b, n, "name");
	k->has_dscp = dscp;
	k->dscp = dscp ? build_dscp(dscp) : 0;
	police(tree_child(n, "police"), &k->police);
	k->priority = (uint32_t)tree_number(n, "priority");
	k->priority_burst = (uint32_t)tree_number(n, "priority-burst");
	k->bandwidth = (uint32_t)tree_number(n, "bandwidth");
	k->percent = (uint32_t)tree_number(n, "bandwidth-percent");
	k->remaining = (uint32_t)tree_number(n, "bandwidth-remaining-percent");
	k->shape = (uint32_t)tree_number(n, "shape");
	k->queue_limit = (uint32_t)tree_number(n, "queue-limit");
	random_detect(tree_child(n, "random-detect"), &k->wred);
	k->fair_queue = tree_child(n, "fair-queue");
	k->fair_queues = (uint32_t)tree_number(tree_child(n, "fair-queue"), "queues");
}

static void policy_map(struct build *b, const struct lyd_node *n, struct cfg_policy_map *p)
{
	p->name = build_text(b, n, "name");
	p->description = build_text(b, n, "description");
	p->cls = config_alloc(b->c, tree_count(n, "class"), sizeof(*p->cls));
	for (const struct lyd_node *k = NULL; (k = tree_next(n, "class", k));)
		policy_class(b, k, &p->cls[p->n_cls++]);
}

bool build_qos(struct build *b, const struct lyd_node *tree)
{
	const struct lyd_node *qos = tree_top(tree, "culvert-qos", "qos"), *n;

	b->c->engine_rate = (uint32_t)tree_number(qos, "engine-rate");
	b->c->class_map = config_alloc(b->c, tree_count(qos, "class-map"), sizeof(*b->c->class_map));
	for (n = NULL; (n = tree_next(qos, "class-map", n));)
		class_map(b, n, &b->c->class_map[b->c->n_class_map++]);
	b->c->policy_map = config_alloc(b->c, tree_count(qos, "policy-map"), sizeof(*b->c->policy_map));
	for (n = NULL; (n = tree_next(qos, "policy-map", n));)
		policy_map(b, n, &b->c->policy_map[b->c->n_policy_map++]);
	return true;
}
