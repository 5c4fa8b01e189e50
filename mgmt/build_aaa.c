/* SPDX-License-Identifier: BSD-3-Clause */
/* AAA servers and their groups. */
#include "build.h"

static bool server(struct build *b, const struct lyd_node *n, struct cfg_radius_server *s)
{
	const struct lyd_node *source = tree_child(n, "source-address");

	s->name = build_text(b, n, "name");
	s->port = (uint16_t)tree_number(n, "port");
	s->timeout_s = (uint32_t)tree_number(n, "timeout");
	s->retransmit = (uint32_t)tree_number(n, "retransmit");
	s->interface = build_text(b, n, "source-interface");
	s->need_message_authenticator = tree_flag(n, "require-message-authenticator");
	return build_addr(b, tree_child(n, "address"), &s->addr) && (!source || build_addr(b, source, &s->source)) &&
	       build_secret(b, tree_child(n, "key"), false, &s->key.p, &s->key.len);
}

bool build_aaa(struct build *b, const struct lyd_node *tree)
{
	const struct lyd_node *aaa = tree_top(tree, "culvert-aaa", "aaa"), *n;

	if (!aaa)
		return true;
	b->c->aaa_dead_s = (uint32_t)tree_number(aaa, "dead-time");
	b->c->radius_server = config_alloc(b->c, tree_count(aaa, "radius-server"), sizeof(*b->c->radius_server));
	for (n = NULL; (n = tree_next(aaa, "radius-server", n));)
		if (!server(b, n, &b->c->radius_server[b->c->n_radius_server++]))
			return false;
	b->c->aaa_group = config_alloc(b->c, tree_count(aaa, "server-group"), sizeof(*b->c->aaa_group));
	for (n = NULL; (n = tree_next(aaa, "server-group", n));) {
		struct cfg_aaa_group *g = &b->c->aaa_group[b->c->n_aaa_group++];
		g->name = build_text(b, n, "name");
		g->server = build_names(b, n, "server", &g->n_server);
	}
	return true;
}
