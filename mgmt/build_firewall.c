/* SPDX-License-Identifier: BSD-3-Clause */
/* The connection table, and address translation. */
#include <string.h>

#include "build.h"

/* Without a lower mark the upper one is both. */
static struct cfg_high_low high_low(const struct lyd_node *n)
{
	struct cfg_high_low l = {.high = (uint32_t)tree_number(n, "high"), .low = (uint32_t)tree_number(n, "low")};

	l.low = l.low ? l.low : l.high;
	return l;
}

static const struct lyd_node *find_pool(const struct lyd_node *nat, const char *name)
{
	const struct lyd_node *p = NULL;

	while (name && (p = tree_next(nat, "pool", p)))
		if (strcmp(tree_text(p, "name"), name) == 0)
			return p;
	return NULL;
}

static bool source_rule(struct build *b, const struct lyd_node *nat, const struct lyd_node *n, struct cfg_nat_rule *r)
{
	const struct lyd_node *pool = find_pool(nat, tree_text(n, "pool"));

	r->seq = (uint32_t)tree_number(n, "sequence");
	r->acl = build_text(b, n, "access-list");
	r->vrf = build_text(b, n, "vrf");
	r->interface = build_text(b, n, "interface");
	r->pool = build_text(b, n, "pool");
	return !pool || (build_addr(b, tree_child(pool, "first"), &r->first) &&
				build_addr(b, tree_child(pool, "last"), &r->last));
}

static bool static_entry(struct build *b, const struct lyd_node *n, struct cfg_nat_static *s)
{
	const char *protocol = tree_text(n, "protocol");
	const struct lyd_node *global = tree_child(n, "global-address");

	s->name = build_text(b, n, "name");
	s->vrf = build_text(b, n, "vrf");
	s->interface = build_text(b, n, "interface");
	s->proto = protocol ? build_protocol(protocol, false) : 0;
	s->local_port = (uint16_t)tree_number(n, "local-port");
	s->global_port = (uint16_t)tree_number(n, "global-port");
	if (!s->global_port)
		s->global_port = s->local_port;
	s->global.af = CV_AF_INET;
	return build_addr(b, tree_child(n, "local-address"), &s->local) &&
	       (!global || build_addr(b, global, &s->global));
}

static bool translation(struct build *b, const struct lyd_node *nat)
{
	struct cv_config *c = b->c;

	c->nat_rule = config_alloc(c, tree_count(nat, "source-rule"), sizeof(*c->nat_rule));
	c->nat_static = config_alloc(c, tree_count(nat, "static"), sizeof(*c->nat_static));
	for (const struct lyd_node *n = NULL; (n = tree_next(nat, "source-rule", n));)
		if (!source_rule(b, nat, n, &c->nat_rule[c->n_nat_rule++]))
			return false;
	for (const struct lyd_node *n = NULL; (n = tree_next(nat, "static", n));)
		if (!static_entry(b, n, &c->nat_static[c->n_nat_static++]))
			return false;
	return true;
}

bool build_firewall(struct build *b, const struct lyd_node *tree)
{
	const struct lyd_node *n = tree_child(tree_top(tree, "culvert-firewall", "firewall"), "connections");
	const struct lyd_node *t = tree_child(n, "timeout");
	struct cfg_connections *c = &b->c->connections;

	c->max_entries = (uint32_t)tree_number(n, "max-entries");
	c->tcp_s = (uint32_t)tree_number(t, "tcp");
	c->tcp_syn_s = (uint32_t)tree_number(t, "tcp-syn");
	c->tcp_fin_s = (uint32_t)tree_number(t, "tcp-fin");
	c->udp_s = (uint32_t)tree_number(t, "udp");
	c->icmp_s = (uint32_t)tree_number(t, "icmp");
	c->other_s = (uint32_t)tree_number(t, "other");
	c->half_open = high_low(tree_child(n, "max-incomplete"));
	c->one_minute = high_low(tree_child(n, "one-minute"));
	return translation(b, tree_child(tree_top(tree, "culvert-firewall", "firewall"), "nat"));
}
