/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Compiled policy: tuple space search. Rules are grouped by family, by whether the VRF matters, and by the lengths of
 * the prefixes that just enclose their address ranges; each group is a hash table on those prefixes. What a look-up
 * finds there is checked in full (ranges, protocol, ports, DSCP, VRF), so the prefixes need only be a filter and a rule
 * stands in exactly one place. VPN policies use a handful of prefix lengths, so a handful of groups. Groups are tried
 * in the order of their best rule and the search ends as soon as no group can hold a better one than was found.
 *
 * A classifier is never changed, but a new version of it costs only what differs: versions share buckets. The tables
 * grow as in extendible hashing: the directory is doubled, both halves naming the same buckets, and a bucket is split
 * when it is next changed. So no single change pays for all rules.
 */
#include "spd.h"

#include <stdlib.h>
#include <string.h>

#include <rte_hash_crc.h>

#include "cv_array.h"

typedef unsigned __int128 order_key; /* prio << 32 | rule id: order of evaluation */
#define NO_KEY (~(order_key)0)

struct entry {
	struct flow_sel sel;
	uint64_t dscp;
	order_key key;
	uint32_t vrf;
	bool wide;
	bool skip; /* CV_RULE_SKIP_ENTRY */
	struct spd_rule *rule;
};

/* Entries whose hashes agree in the lowest `depth` bits, by rising key. It stands in every slot with those bits. */
struct bucket {
	uint64_t version; /* of the classifier it was made for: only that one may still change it */
	uint32_t n, cap;
	uint32_t depth;
	struct entry e[];
};

/* The slots of one table; size is a power of two. */
struct directory {
	uint64_t version;
	uint32_t mask; /* size - 1 */
	uint32_t depth;
	struct bucket *slot[];
};

struct tuple {
	flow_addr src_mask, dst_mask;
	order_key min_key; /* no entry has a lower one */
	struct directory *dir;
	uint32_t n;
	uint8_t af, src_len, dst_len;
	bool any_vrf;
};

struct spd_class {
	uint32_t n, n_tuples;
	struct tuple *tuple; /* by rising min_key; of this version alone */
	uint64_t version;
	uint64_t work; /* entries written to make this version */
	/* what the version before has and this one does not: it goes with that one */
	void **replaced;
	uint32_t n_replaced, cap_replaced;
	bool derived;	 /* shares with the version before, which is still the one in force */
	bool superseded; /* shares with the version after: only `replaced` is its own */
};

static flow_addr prefix_mask(uint8_t af, unsigned len)
{
	unsigned bits = af == CV_AF_INET ? 32 : 128;
	flow_addr all = bits == 32 ? (flow_addr)UINT32_MAX : ~(flow_addr)0;
	return len == 0 ? 0 : len >= bits ? all : all & (all << (bits - len));
}

/* Length of the longest prefix that holds the whole range. */
static uint8_t enclosing_len(uint8_t af, flow_addr lo, flow_addr hi)
{
	flow_addr differ = lo ^ hi;
	uint64_t high = (uint64_t)(differ >> 64), low = (uint64_t)differ;
	unsigned bits = high ? 128u - (unsigned)__builtin_clzll(high) : low ? 64u - (unsigned)__builtin_clzll(low) : 0;
	return (uint8_t)((af == CV_AF_INET ? 32u : 128u) - bits);
}

static inline uint32_t tuple_hash(const struct tuple *t, flow_addr src, flow_addr dst, uint32_t vrf)
{
	uint32_t h = t->any_vrf ? 0x9e3779b9u : vrf;
	src &= t->src_mask;
	dst &= t->dst_mask;
	if (t->af == CV_AF_INET)
		return rte_hash_crc_8byte((uint64_t)src << 32 | (uint64_t)dst, h);
	h = rte_hash_crc_8byte((uint64_t)src, h);
	h = rte_hash_crc_8byte((uint64_t)(src >> 64), h);
	h = rte_hash_crc_8byte((uint64_t)dst, h);
	return rte_hash_crc_8byte((uint64_t)(dst >> 64), h);
}

static uint32_t entry_hash(const struct tuple *t, const struct entry *e)
{
	return tuple_hash(t, e->sel.src_lo, e->sel.dst_lo, e->vrf);
}

static order_key rule_key(const struct spd_rule *r)
{
	return (order_key)r->prio << 32 | r->rule_id;
}

int spd_rule_order(const struct spd_rule *a, const struct spd_rule *b)
{
	order_key x = rule_key(a), y = rule_key(b);
	return x < y ? -1 : x > y;
}

static int order_in_array(const void *a, const void *b)
{
	return spd_rule_order(*(struct spd_rule *const *)a, *(struct spd_rule *const *)b);
}

void spd_rules_sort(struct spd_rule **rule, uint32_t n)
{
	uint32_t i = 1;
	while (i < n && spd_rule_order(rule[i - 1], rule[i]) <= 0)
		i++;
	if (i < n)
		qsort(rule, n, sizeof(*rule), order_in_array);
}

static void entry_fill(struct entry *e, struct spd_rule *r)
{
	*e = (struct entry){
		.sel = r->sel,
		.dscp = r->dscp,
		.key = rule_key(r),
		.vrf = r->vrf,
		.skip = r->flags & CV_RULE_SKIP_ENTRY,
		.wide = r->wide,
		.rule = r,
	};
}

/* ---- making a version: everything below changes only what is stamped with the version being made ---- */

/* Note that p belongs to the version before alone. */
static bool replace(struct spd_class *c, void *p)
{
	void **list = cv_array_room(c->replaced, c->n_replaced, &c->cap_replaced, sizeof(*list));
	if (!list)
		return false;
	c->replaced = list;
	c->replaced[c->n_replaced++] = p;
	return true;
}

/* Let go of a bucket or directory that this version will not name any more. */
static bool let_go(struct spd_class *c, void *p, uint64_t version)
{
	if (version != c->version)
		return replace(c, p);
	free(p);
	return true;
}

static struct bucket *bucket_new(struct spd_class *c, uint32_t cap, uint32_t depth)
{
	struct bucket *b = malloc(sizeof(*b) + cap * sizeof(b->e[0]));
	if (b)
		*b = (struct bucket){.version = c->version, .cap = cap, .depth = depth};
	return b;
}

/* Name b in all slots of the hashes that begin like h. */
static void slots_set(struct directory *d, uint32_t h, uint32_t depth, struct bucket *b)
{
	for (uint32_t i = h & ((1u << depth) - 1); i <= d->mask; i += 1u << depth)
		d->slot[i] = b;
}

static struct directory *directory_new(struct spd_class *c, uint32_t depth)
{
	struct directory *d = malloc(sizeof(*d) + ((size_t)1 << depth) * sizeof(d->slot[0]));
	if (!d)
		return NULL;
	*d = (struct directory){.version = c->version, .depth = depth, .mask = (1u << depth) - 1};
	memset(d->slot, 0, ((size_t)1 << depth) * sizeof(d->slot[0]));
	return d;
}

/* A directory of this version, with at least as many slots as the tuple will have entries. */
static struct directory *directory_own(struct spd_class *c, struct tuple *t)
{
	struct directory *old = t->dir;
	uint32_t depth = old->depth + (t->n > old->mask);
	if (old->version == c->version && depth == old->depth)
		return old;
	struct directory *d = directory_new(c, depth);
	if (!d)
		return NULL;
	const size_t half = ((size_t)old->mask + 1) * sizeof(old->slot[0]);
	memcpy(d->slot, old->slot, half);
	if (depth > old->depth)
		memcpy(d->slot + old->mask + 1, old->slot, half);
	t->dir = d;
	return let_go(c, old, old->version) ? d : NULL;
}

/* A bucket that is crowded and still stands in several slots becomes two. */
static bool bucket_split(struct spd_class *c, const struct tuple *t, uint32_t h, struct bucket *b)
{
	while (b->n > 1 && b->depth < t->dir->depth) {
		struct bucket *half[2] = {bucket_new(c, b->n, b->depth + 1), bucket_new(c, b->n, b->depth + 1)};
		if (!half[0] || !half[1]) {
			free(half[0]);
			free(half[1]);
			return false;
		}
		for (uint32_t i = 0; i < b->n; i++) {
			struct bucket *to = half[entry_hash(t, &b->e[i]) >> b->depth & 1u];
			to->e[to->n++] = b->e[i];
		}
		c->work += b->n;
		for (uint32_t bit = 0; bit < 2; bit++) {
			uint32_t low = (h & ((1u << b->depth) - 1)) | bit << b->depth;
			if (half[bit]->n == 0) {
				free(half[bit]);
				half[bit] = NULL;
			}
			slots_set(t->dir, low, b->depth + 1, half[bit]);
		}
		struct bucket *next = half[h >> b->depth & 1u];
		free(b);
		if (!next)
			return true;
		b = next;
	}
	return true;
}

/* The bucket of h, ready for one more entry: of this version, with room. */
static struct bucket *bucket_own(struct spd_class *c, struct directory *d, uint32_t h)
{
	struct bucket *old = d->slot[h & d->mask];
	if (old && old->version == c->version && old->n < old->cap)
		return old;
	uint32_t n = old ? old->n : 0, spare = old && old->version == c->version ? n : 1;
	struct bucket *b = bucket_new(c, n + spare, old ? old->depth : d->depth);
	if (!b)
		return NULL;
	if (n)
		memcpy(b->e, old->e, n * sizeof(b->e[0]));
	b->n = n;
	c->work += n;
	slots_set(d, h, b->depth, b);
	return !old || let_go(c, old, old->version) ? b : NULL;
}

static struct tuple *tuple_find(struct spd_class *c, const struct entry *e)
{
	uint8_t sl = enclosing_len(e->sel.af, e->sel.src_lo, e->sel.src_hi);
	uint8_t dl = enclosing_len(e->sel.af, e->sel.dst_lo, e->sel.dst_hi);
	bool any = e->vrf == CV_VRF_ANY;
	for (uint32_t i = 0; i < c->n_tuples; i++) {
		struct tuple *t = &c->tuple[i];
		if (t->af == e->sel.af && t->src_len == sl && t->dst_len == dl && t->any_vrf == any)
			return t;
	}
	return NULL;
}

/* The tuple of an entry; made when it is the first of its kind (the array has room). */
static struct tuple *tuple_of(struct spd_class *c, const struct entry *e)
{
	struct tuple *t = tuple_find(c, e);
	if (t)
		return t;
	struct directory *d = directory_new(c, 0);
	if (!d)
		return NULL;
	t = &c->tuple[c->n_tuples++];
	*t = (struct tuple){
		.af = e->sel.af,
		.src_len = enclosing_len(e->sel.af, e->sel.src_lo, e->sel.src_hi),
		.dst_len = enclosing_len(e->sel.af, e->sel.dst_lo, e->sel.dst_hi),
		.any_vrf = e->vrf == CV_VRF_ANY,
		.min_key = NO_KEY,
		.dir = d,
	};
	t->src_mask = prefix_mask(t->af, t->src_len);
	t->dst_mask = prefix_mask(t->af, t->dst_len);
	return t;
}

static bool rule_insert(struct spd_class *c, struct spd_rule *r)
{
	struct entry e;
	entry_fill(&e, r);
	struct tuple *t = tuple_of(c, &e);
	if (!t)
		return false;
	t->n++;
	c->n++;
	t->min_key = RTE_MIN(t->min_key, e.key);
	struct directory *d = directory_own(c, t);
	uint32_t h = entry_hash(t, &e);
	struct bucket *b = d ? bucket_own(c, d, h) : NULL;
	if (!b)
		return false;
	uint32_t at = b->n;
	while (at && b->e[at - 1].key > e.key)
		at--;
	memmove(&b->e[at + 1], &b->e[at], (b->n - at) * sizeof(e));
	b->e[at] = e;
	b->n++;
	c->work++;
	return bucket_split(c, t, h, b);
}

static bool rule_remove(struct spd_class *c, struct spd_rule *r)
{
	struct entry e;
	entry_fill(&e, r);
	struct tuple *t = tuple_find(c, &e);
	struct directory *d = directory_own(c, t);
	if (!d)
		return false;
	uint32_t h = entry_hash(t, &e), keep = 0;
	struct bucket *old = d->slot[h & d->mask], *b = NULL;
	if (old->n > 1) {
		b = bucket_new(c, old->n - 1, old->depth);
		if (!b)
			return false;
		for (uint32_t i = 0; i < old->n; i++)
			if (old->e[i].rule != r)
				b->e[keep++] = old->e[i];
		b->n = keep;
		c->work += keep;
	}
	slots_set(d, h, old->depth, b);
	t->n--;
	c->n--;
	return let_go(c, old, old->version);
}

static int order_of_tuples(const void *a, const void *b)
{
	const struct tuple *x = a, *y = b;
	return x->min_key < y->min_key ? -1 : x->min_key > y->min_key;
}

/* Leave out tuples that became empty and sort the others. */
static bool tuples_finish(struct spd_class *c)
{
	uint32_t keep = 0;
	for (uint32_t i = 0; i < c->n_tuples; i++) {
		if (c->tuple[i].n)
			c->tuple[keep++] = c->tuple[i];
		else if (!let_go(c, c->tuple[i].dir, c->tuple[i].dir->version))
			return false;
	}
	c->n_tuples = keep;
	if (keep)
		qsort(c->tuple, keep, sizeof(*c->tuple), order_of_tuples);
	return true;
}

/* A version with the tuples of `from` (NULL = none) and room for n more. */
static struct spd_class *class_new(const struct spd_class *from, uint32_t n)
{
	static uint64_t version;
	struct spd_class *c = calloc(1, sizeof(*c));
	uint32_t n_tuples = from ? from->n_tuples : 0;
	if (!c)
		return NULL;
	c->version = ++version;
	c->derived = from != NULL;
	c->tuple = aligned_alloc(64, RTE_ALIGN((n_tuples + n + 1) * sizeof(*c->tuple), 64));
	if (!c->tuple) {
		free(c);
		return NULL;
	}
	if (n_tuples)
		memcpy(c->tuple, from->tuple, n_tuples * sizeof(*c->tuple));
	c->n_tuples = n_tuples;
	c->n = from ? from->n : 0;
	return c;
}

struct spd_class *spd_class_change(const struct spd_class *from, struct spd_rule *const *gone, uint32_t n_gone,
	struct spd_rule *const *come, uint32_t n_come)
{
	struct spd_class *c = class_new(from, n_come);
	bool ok = c != NULL;
	for (uint32_t i = 0; ok && i < n_gone; i++)
		ok = rule_remove(c, gone[i]);
	for (uint32_t i = 0; ok && i < n_come; i++)
		ok = rule_insert(c, come[i]);
	if (ok && tuples_finish(c))
		return c;
	spd_class_free(c);
	return NULL;
}

/* Tables of the size that n rules will want, twice as many slots as entries. */
static bool tables_make(struct spd_class *c, struct spd_rule *const *rules, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		struct entry e;
		entry_fill(&e, rules[i]);
		struct tuple *t = tuple_of(c, &e);
		if (!t)
			return false;
		t->n++;
	}
	for (uint32_t i = 0; i < c->n_tuples; i++) {
		struct tuple *t = &c->tuple[i];
		uint32_t depth = 1;
		while (1u << depth < 2 * t->n)
			depth++;
		struct directory *d = directory_new(c, depth);
		if (!d)
			return false;
		free(t->dir);
		t->dir = d;
		t->n = 0;
	}
	return true;
}

struct spd_class *spd_class_build(struct spd_rule *const *rules, uint32_t n)
{
	struct spd_class *c = class_new(NULL, n);
	bool ok = c && tables_make(c, rules, n);
	for (uint32_t i = 0; ok && i < n; i++)
		ok = rule_insert(c, rules[i]);
	if (ok && tuples_finish(c))
		return c;
	spd_class_free(c);
	return NULL;
}

uint64_t spd_class_work(const struct spd_class *c)
{
	return c->work;
}

void spd_class_supersede(struct spd_class *old, struct spd_class *new)
{
	if (!new->derived)
		return; /* built anew: they share nothing */
	old->replaced = new->replaced;
	old->n_replaced = new->n_replaced;
	old->superseded = true;
	new->replaced = NULL;
	new->n_replaced = new->cap_replaced = 0;
	new->derived = false;
}

/* A bucket is freed in the first of the slots that it stands in, which is looked at last. */
static void directory_free(const struct spd_class *c, struct directory *d)
{
	if (c->derived && d->version != c->version)
		return;
	for (uint32_t i = d->mask + 1; i-- > 0;) {
		struct bucket *b = d->slot[i];
		if (b && i < 1u << b->depth && (!c->derived || b->version == c->version))
			free(b);
	}
	free(d);
}

void spd_class_free(struct spd_class *c)
{
	if (!c)
		return;
	for (uint32_t i = 0; i < c->n_replaced && c->superseded; i++)
		free(c->replaced[i]);
	for (uint32_t i = 0; i < c->n_tuples && !c->superseded; i++)
		directory_free(c, c->tuple[i].dir);
	free(c->replaced);
	free(c->tuple);
	free(c);
}

/* ---- look-up ---- */

/* The best entry of one tuple with from <= key < best, or NULL. */
static inline const struct entry *tuple_search(
	const struct tuple *t, const struct flow *f, order_key from, order_key best)
{
	const struct directory *d = t->dir;
	const struct bucket *b = d->slot[tuple_hash(t, f->src, f->dst, f->vrf) & d->mask];
	if (!b)
		return NULL;
	for (const struct entry *e = b->e, *end = e + b->n; e < end && e->key < best; e++)
		if (e->key >= from && (t->any_vrf || e->vrf == f->vrf) && (e->dscp >> f->dscp & 1) &&
			flow_match(&e->sel, f, e->wide))
			return e;
	return NULL;
}

struct spd_rule *spd_class_lookup(const struct spd_class *c, const struct flow *f)
{
	for (order_key from = 0;;) {
		const struct entry *found = NULL;
		order_key best = NO_KEY;
		for (uint32_t i = 0; i < c->n_tuples && c->tuple[i].min_key < best; i++) {
			if (c->tuple[i].af != f->af)
				continue;
			const struct entry *e = tuple_search(&c->tuple[i], f, from, best);
			if (e) {
				found = e;
				best = e->key;
			}
		}
		if (!found)
			return NULL;
		if (!found->skip)
			return found->rule;
		from = ((best >> 64) + 1) << 64; /* the next map entry */
	}
}
