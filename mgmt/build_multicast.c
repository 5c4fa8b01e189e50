/* SPDX-License-Identifier: BSD-3-Clause */
/* Multicast routes. */
#include <string.h>

#include "build.h"

static bool route(struct build *b, const struct lyd_node *n, struct cfg_mroute *r)
{
	const struct lyd_node *source = tree_child(n, "source");

	r->vrf = build_text(b, n, "vrf");
	if (strcmp(r->vrf, "global") == 0)
		r->vrf = NULL;
	r->in = build_text(b, n, "incoming-interface");
	r->out = config_alloc(b->c, tree_count(n, "outgoing-interface"), sizeof(*r->out));
	for (const struct lyd_node *o = NULL; (o = tree_next(n, "outgoing-interface", o));)
		r->out[r->n_out++] = (struct cfg_mroute_out){
			.interface = build_text(b, o, "name"), .ttl = (uint8_t)tree_number(o, "ttl-threshold")};
	return build_addr(b, tree_child(n, "group"), &r->group) &&
	       (strcmp(lyd_get_value(source), "any") == 0 || build_addr(b, source, &r->source));
}

bool build_multicast(struct build *b, const struct lyd_node *tree)
{
	const struct lyd_node *top = tree_top(tree, "culvert-multicast", "multicast-routing");

	b->c->mroute = config_alloc(b->c, tree_count(top, "route"), sizeof(*b->c->mroute));
	for (const struct lyd_node *n = NULL; (n = tree_next(top, "route", n));)
		if (!route(b, n, &b->c->mroute[b->c->n_mroute++]))
			return false;
	return true;
}
