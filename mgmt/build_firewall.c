/* SPDX-License-Identifier: BSD-3-Clause */
/* The connection table. */
#include "build.h"

/* Without a lower mark the upper one is both. */
static struct cfg_high_low high_low(const struct lyd_node *n)
{
	struct cfg_high_low l = {.high = (uint32_t)tree_number(n, "high"), .low = (uint32_t)tree_number(n, "low")};

	l.low = l.low ? l.low : l.high;
	return l;
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
	return true;
}
