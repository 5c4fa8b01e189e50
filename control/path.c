/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which interface, and so which of our addresses, leads to a peer: the question "which interface has the map" is
 * answered by the configuration, "which of several" by the way the peer is routed (IPSEC-73, 74).
 */
#include <errno.h>
#include <string.h>

#include "control_priv.h"
#include "cv_addr.h"

const struct cv_addr *path_if_addr(const struct cfg_interface *i, uint8_t af)
{
	if (i->tunnel)
		return i->tunnel->source.af == af ? &i->tunnel->source : NULL;
	for (unsigned j = 0; j < i->n_addr; j++)
		if (i->addr[j].addr.af == af)
			return &i->addr[j].addr;
	return NULL;
}

bool path_if_has(const struct cfg_interface *i, const struct cv_addr *a)
{
	if (i->tunnel)
		return cv_addr_eq(&i->tunnel->source, a);
	for (unsigned j = 0; j < i->n_addr; j++)
		if (cv_addr_eq(&i->addr[j].addr, a))
			return true;
	return false;
}

/* The interface of the VRF whose own prefix covers addr best, and how long that prefix is (-1 = none). */
static const struct cfg_interface *connected(
	const struct cv_config *c, const struct cfg_vrf *vrf, const struct cv_addr *addr, int *len)
{
	const struct cfg_interface *best = NULL;

	*len = -1;
	for (unsigned i = 0; i < c->n_interface; i++) {
		const struct cfg_interface *ifc = &c->interface[i];

		for (unsigned j = 0; ifc->vrf_ref == vrf && ifc->enabled && j < ifc->n_addr; j++) {
			struct cv_prefix p = {.addr = ifc->addr[j].addr, .len = ifc->addr[j].plen};

			cv_prefix_mask(&p);
			if (p.addr.af != addr->af || p.len <= *len || !cv_prefix_contains(&p, addr))
				continue;
			best = ifc;
			*len = p.len;
		}
	}
	return best;
}

static const struct cfg_route *routed(
	const struct cv_config *c, const struct cfg_vrf *vrf, const struct cv_addr *addr, int longer_than)
{
	const struct cfg_route *best = NULL;

	for (unsigned i = 0; i < c->n_route; i++) {
		const struct cfg_route *r = &c->route[i];

		if (r->vrf_ref != vrf || r->prefix.addr.af != addr->af || r->prefix.len <= longer_than ||
			!cv_prefix_contains(&r->prefix, addr))
			continue;
		best = r;
		longer_than = r->prefix.len;
	}
	return best;
}

#define RECURSION_MAX 4

/* Egress interface towards addr by the configured routes, or NULL. Of several next hops the first counts. */
static const struct cfg_interface *egress(const struct cv_config *c, const struct cfg_vrf *vrf, struct cv_addr addr)
{
	for (int depth = 0; depth < RECURSION_MAX; depth++) {
		int len;
		const struct cfg_interface *ifc = connected(c, vrf, &addr, &len);
		const struct cfg_route *r = routed(c, vrf, &addr, len);

		if (!r)
			return ifc;
		if (r->nh[0].if_ref)
			return r->nh[0].if_ref;
		if (r->nh[0].type != CFG_NH_GATEWAY)
			return NULL;
		addr = r->nh[0].gw;
		vrf = r->nh[0].vrf_ref;
	}
	return NULL;
}

static int local_of(const struct cfg_interface *i, uint8_t af, struct cv_addr *local, uint32_t *vrf)
{
	const struct cv_addr *a = i ? path_if_addr(i, af) : NULL;

	if (!a)
		return -ENETUNREACH;
	*local = *a;
	const struct cfg_vrf *front = config_front_vrf(i);

	*vrf = front ? front->id : CV_VRF_GLOBAL;
	return 0;
}

int path_local_addr(const struct control *c, const struct cfg_map_entry *e, const struct cv_addr *remote,
	struct cv_addr *local, uint32_t *vrf)
{
	const struct rule_ref *rule = desired_rule(c->desired, c->acquire_rule);
	const struct cv_config *cfg = c->running;
	int r = -ENETUNREACH;

	if (rule && rule->entry == e)
		return local_of(rule->local, remote->af, local, vrf);
	if (e->map->tunnel)
		return local_of(e->map->tunnel, remote->af, local, vrf);
	if (e->map->local_ref)
		return local_of(e->map->local_ref, remote->af, local, vrf);
	for (unsigned i = 0; i < cfg->n_interface; i++) {
		const struct cfg_interface *ifc = &cfg->interface[i];

		if (!ifc->map_ref || strcmp(ifc->map_ref->name, e->map->name))
			continue;
		if (egress(cfg, ifc->vrf_ref, *remote) == ifc)
			return local_of(ifc, remote->af, local, vrf);
		if (r) /* no route leads there: the first that could */
			r = local_of(ifc, remote->af, local, vrf);
	}
	return r;
}

unsigned path_local_addrs(
	const struct control *c, const struct cfg_map_entry *e, uint32_t vrf, struct cv_addr *out, unsigned max)
{
	const struct cv_config *cfg = c->running;
	unsigned n = 0;

	for (unsigned i = 0; i < cfg->n_interface; i++) {
		const struct cfg_interface *ifc = &cfg->interface[i];

		if (e->map->local_ref ? e->map->local_ref != ifc : ifc->map_ref != e->map)
			continue;
		if ((ifc->vrf_ref ? ifc->vrf_ref->id : CV_VRF_GLOBAL) != vrf)
			continue;
		for (unsigned j = 0; j < ifc->n_addr && n < max; j++)
			out[n++] = ifc->addr[j].addr;
	}
	return n;
}

const struct cfg_interface *rule_interface(const struct control *c, const struct rule_ref *r)
{
	if (!r->entry->map->local_ref)
		return r->local;
	for (unsigned i = 0; i < c->running->n_interface; i++)
		if (c->running->interface[i].map_ref == r->entry->map)
			return &c->running->interface[i];
	return r->local;
}
