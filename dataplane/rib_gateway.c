/* SPDX-License-Identifier: BSD-3-Clause */
#include "rib_gateway.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* One address in one VRF that routes name as a gateway. */
struct gateway {
	uint32_t vrf_id;
	struct cv_addr addr;
	LIST_HEAD(, rib_gateway) users;
};

/* One route's use of it. */
struct rib_gateway {
	LIST_ENTRY(rib_gateway) link;
	struct gateway *gw;
	struct rib_prefix *rp;
};

/* By VRF, family, address: the gateways inside a prefix stand together. */
static struct gateway **sorted;
static uint32_t n_sorted, cap;

static int compare(const struct gateway *g, uint32_t vrf_id, const struct cv_addr *a)
{
	if (g->vrf_id != vrf_id)
		return g->vrf_id < vrf_id ? -1 : 1;
	if (g->addr.af != a->af)
		return g->addr.af < a->af ? -1 : 1;
	return memcmp(g->addr.b, a->b, sizeof(a->b));
}

/* First place whose gateway is not below (vrf_id, a). */
static uint32_t lower_bound(uint32_t vrf_id, const struct cv_addr *a)
{
	uint32_t lo = 0, hi = n_sorted;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (compare(sorted[mid], vrf_id, a) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static int reserve(void)
{
	if (n_sorted < cap)
		return 0;
	uint32_t n = cap ? cap * 2 : 256;
	struct gateway **p = realloc(sorted, n * sizeof(struct gateway *));

	if (!p)
		return -ENOMEM;
	sorted = p;
	cap = n;
	return 0;
}

static struct gateway *find_or_make(uint32_t vrf_id, const struct cv_addr *a)
{
	uint32_t at = lower_bound(vrf_id, a);

	if (at < n_sorted && compare(sorted[at], vrf_id, a) == 0)
		return sorted[at];
	struct gateway *g = reserve() == 0 ? calloc(1, sizeof(*g)) : NULL;

	if (!g)
		return NULL;
	g->vrf_id = vrf_id;
	g->addr = *a;
	memmove(&sorted[at + 1], &sorted[at], (n_sorted++ - at) * sizeof(struct gateway *));
	sorted[at] = g;
	return g;
}

static void drop_unused(struct gateway *g)
{
	if (!LIST_EMPTY(&g->users))
		return;
	uint32_t at = lower_bound(g->vrf_id, &g->addr);

	memmove(&sorted[at], &sorted[at + 1], (--n_sorted - at) * sizeof(struct gateway *));
	free(g);
}

static bool is_noted(const struct cv_nexthop *nh)
{
	return nh->type == CV_NH_GATEWAY && nh->if_id == 0;
}

int rib_gateway_add(struct rib_prefix *rp)
{
	const struct cv_route *r = rp->cur.route;
	unsigned n = 0;

	for (unsigned i = 0; i < r->n_nh; i++)
		n += is_noted(&r->nh[i]);
	if (n == 0)
		return 0;
	rp->gateways = calloc(n, sizeof(*rp->gateways));
	if (!rp->gateways)
		return -ENOMEM;
	for (unsigned i = 0; i < r->n_nh; i++) {
		if (!is_noted(&r->nh[i]))
			continue;
		struct gateway *g = find_or_make(r->nh[i].vrf_id, &r->nh[i].gw);

		if (!g) {
			rib_gateway_del(rp);
			return -ENOMEM;
		}
		struct rib_gateway *use = &rp->gateways[rp->n_gateways++];

		use->gw = g;
		use->rp = rp;
		LIST_INSERT_HEAD(&g->users, use, link);
	}
	return 0;
}

void rib_gateway_del(struct rib_prefix *rp)
{
	for (unsigned i = 0; i < rp->n_gateways; i++) {
		LIST_REMOVE(&rp->gateways[i], link);
		drop_unused(rp->gateways[i].gw);
	}
	free(rp->gateways);
	rp->gateways = NULL;
	rp->n_gateways = 0;
}

int rib_gateway_each(uint32_t vrf_id, const struct cv_prefix *p, int (*fn)(struct rib_prefix *rp))
{
	uint32_t at = lower_bound(vrf_id, &p->addr);
	int rc = 0;

	for (; !rc && at < n_sorted && sorted[at]->vrf_id == vrf_id && rib_covers(p, &sorted[at]->addr); at++) {
		struct rib_gateway *use;

		LIST_FOREACH(use, &sorted[at]->users, link)
		if (!rc)
			rc = fn(use->rp);
	}
	return rc;
}
