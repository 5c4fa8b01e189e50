/* SPDX-License-Identifier: BSD-3-Clause */
#include "rib_store.h"

#include <stdlib.h>
#include <string.h>

TAILQ_HEAD(rib_list, rib_prefix);

struct rib_vrf {
	struct rib_list list;
	uint32_t count4[33], count6[129]; /* prefixes by length: lengths without any are skipped */
};

static struct rib_vrf *vrfs[CV_VRF_MAX];
static struct rib_prefix **buckets;
static uint32_t n_buckets, n_prefixes;
static uint64_t next_serial = 1;
/* Where the last part ended: the next one does not look for it, which of a full table takes long. */
static struct {
	uint64_t serial; /* 0 = none */
	uint32_t vrf_id;
	struct rib_prefix *at; /* with this serial, or, when that is gone, the next one; NULL = there is no more */
} bookmark[RIB_READERS];

static uint32_t hash_of(uint32_t vrf_id, const struct cv_prefix *p)
{
	uint64_t q[2], h;

	memcpy(q, p->addr.b, 16);
	h = (q[0] ^ ((uint64_t)vrf_id << 32 | (uint64_t)p->addr.af << 16 | p->len)) * 0x9e3779b97f4a7c15ull;
	h = (h ^ h >> 29 ^ q[1]) * 0xd6e8feb86659fd93ull;
	return (uint32_t)(h >> 32);
}

static bool same(const struct rib_prefix *rp, uint32_t vrf_id, const struct cv_prefix *p)
{
	return rp->vrf_id == vrf_id && rp->prefix.len == p->len && rp->prefix.addr.af == p->addr.af &&
	       memcmp(rp->prefix.addr.b, p->addr.b, 16) == 0;
}

/* Keep about one prefix per bucket. False: out of memory (and there is no table at all). */
static bool grow(void)
{
	uint32_t n = n_buckets ? n_buckets * 2 : 1024;

	if (n_prefixes < n_buckets)
		return true;
	struct rib_prefix **b = calloc(n, sizeof(struct rib_prefix *));

	if (!b)
		return n_buckets != 0;
	for (uint32_t i = 0; i < n_buckets; i++) {
		struct rib_prefix *rp = buckets[i], *next;

		for (; rp; rp = next) {
			struct rib_prefix **head = &b[hash_of(rp->vrf_id, &rp->prefix) & (n - 1)];

			next = rp->hash_next;
			rp->hash_next = *head;
			*head = rp;
		}
	}
	free(buckets);
	buckets = b;
	n_buckets = n;
	return true;
}

static uint32_t *count_of(const struct rib_prefix *rp)
{
	struct rib_vrf *v = vrfs[rp->vrf_id];

	return rp->prefix.addr.af == CV_AF_INET ? &v->count4[rp->prefix.len] : &v->count6[rp->prefix.len];
}

static struct rib_vrf *vrf_of(uint32_t vrf_id)
{
	if (!vrfs[vrf_id]) {
		vrfs[vrf_id] = calloc(1, sizeof(struct rib_vrf));
		if (vrfs[vrf_id])
			TAILQ_INIT(&vrfs[vrf_id]->list);
	}
	return vrfs[vrf_id];
}

static struct rib_prefix *add(uint32_t vrf_id, const struct cv_prefix *p)
{
	struct rib_vrf *v = vrf_of(vrf_id);
	struct rib_prefix *rp = v && grow() ? calloc(1, sizeof(*rp)) : NULL;

	if (!rp)
		return NULL;
	struct rib_prefix **head = &buckets[hash_of(vrf_id, p) & (n_buckets - 1)];

	rp->vrf_id = vrf_id;
	rp->prefix = *p;
	rp->serial = next_serial++;
	rp->hash_next = *head;
	*head = rp;
	n_prefixes++;
	TAILQ_INSERT_TAIL(&v->list, rp, vrf_link);
	++*count_of(rp);
	return rp;
}

struct rib_prefix *rib_get(uint32_t vrf_id, const struct cv_prefix *p, bool create)
{
	if (vrf_id >= CV_VRF_MAX)
		return NULL;
	for (struct rib_prefix *rp = n_buckets ? buckets[hash_of(vrf_id, p) & (n_buckets - 1)] : NULL; rp;
		rp = rp->hash_next)
		if (same(rp, vrf_id, p))
			return rp;
	return create ? add(vrf_id, p) : NULL;
}

void rib_remove(struct rib_prefix *rp)
{
	struct rib_prefix **p = &buckets[hash_of(rp->vrf_id, &rp->prefix) & (n_buckets - 1)];

	while (*p != rp)
		p = &(*p)->hash_next;
	*p = rp->hash_next;
	n_prefixes--;
	for (unsigned i = 0; i < RIB_READERS; i++)
		if (bookmark[i].at == rp)
			bookmark[i].at = TAILQ_NEXT(rp, vrf_link);
	TAILQ_REMOVE(&vrfs[rp->vrf_id]->list, rp, vrf_link);
	--*count_of(rp);
	free(rp);
}

static void mask_to(struct cv_prefix *p)
{
	unsigned whole = p->len / 8;

	if (whole < sizeof(p->addr.b)) {
		p->addr.b[whole] &= (uint8_t)(0xff00u >> (p->len % 8));
		memset(p->addr.b + whole + 1, 0, sizeof(p->addr.b) - whole - 1);
	}
}

bool rib_covers(const struct cv_prefix *p, const struct cv_addr *a)
{
	struct cv_prefix q = {.addr = *a, .len = p->len};

	if (p->addr.af != a->af)
		return false;
	mask_to(&q);
	return memcmp(q.addr.b, p->addr.b, 16) == 0;
}

struct rib_prefix *rib_match(uint32_t vrf_id, const struct cv_addr *a, int *len)
{
	const struct rib_vrf *v = vrf_id < CV_VRF_MAX ? vrfs[vrf_id] : NULL;
	struct cv_prefix p = {.addr = *a};

	for (; v && *len >= 0; --*len) {
		if (!(a->af == CV_AF_INET ? v->count4[*len] : v->count6[*len]))
			continue;
		p.addr = *a;
		p.len = (uint8_t)*len;
		mask_to(&p);
		struct rib_prefix *rp = rib_get(vrf_id, &p, false);

		if (rp) {
			--*len;
			return rp;
		}
	}
	return NULL;
}

void rib_bookmark(enum rib_reader who, const struct rib_prefix *rp)
{
	bookmark[who].serial = rp->serial;
	bookmark[who].vrf_id = rp->vrf_id;
	bookmark[who].at = (struct rib_prefix *)(uintptr_t)rp;
}

struct rib_prefix *rib_next(enum rib_reader who, uint32_t vrf_id, uint64_t serial)
{
	struct rib_prefix *rp;

	if (vrf_id >= CV_VRF_MAX || !vrfs[vrf_id])
		return NULL;
	if (serial && bookmark[who].serial == serial && bookmark[who].vrf_id == vrf_id)
		return bookmark[who].at;
	TAILQ_FOREACH (rp, &vrfs[vrf_id]->list, vrf_link)
		if (rp->serial >= serial)
			return rp;
	return NULL;
}

void rib_walk(void (*fn)(struct rib_prefix *rp, void *arg), void *arg)
{
	for (uint32_t v = 0; v < CV_VRF_MAX; v++) {
		struct rib_prefix *rp;

		if (vrfs[v])
			TAILQ_FOREACH (rp, &vrfs[v]->list, vrf_link)
				fn(rp, arg);
	}
}
