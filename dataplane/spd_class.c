/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Compiled policy: tuple space search. Rules are grouped by family, by whether the VRF matters, and by the lengths of
 * the prefixes that just enclose their address ranges; each group is a hash table on those prefixes. What a look-up
 * finds there is checked in full (ranges, protocol, ports, VRF), so the prefixes need only be a filter and a rule
 * stands in exactly one place. VPN policies use a handful of prefix lengths, so a handful of groups. Groups are tried
 * in the order of their best rule and the search ends as soon as no group can hold a better one than was found.
 */
#include "spd.h"

#include <stdlib.h>
#include <string.h>

#include <rte_hash_crc.h>

#define NO_RANK UINT32_MAX

struct entry {
	struct flow_sel sel;
	uint32_t vrf;
	uint32_t next;	  /* rank of the next entry in the same bucket, higher than this one */
	uint32_t skip_to; /* rank of the first rule of the next map entry */
	bool wide;	  /* later fragments match without ports */
	bool skip;	  /* CV_RULE_SKIP_ENTRY */
	struct spd_rule *rule;
};

struct tuple {
	flow_addr src_mask, dst_mask;
	uint32_t min_rank;
	uint32_t bucket_mask;
	uint32_t first; /* index of its first bucket */
	uint32_t n;
	uint8_t af, src_len, dst_len;
	bool any_vrf;
};

struct spd_class {
	uint32_t n, n_tuples;
	struct entry *entry; /* by rank: order of evaluation */
	struct tuple *tuple;
	uint32_t *bucket; /* rank of the first entry */
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

static int rule_order(const void *a, const void *b)
{
	const struct spd_rule *x = *(struct spd_rule *const *)a, *y = *(struct spd_rule *const *)b;
	if (x->prio != y->prio)
		return x->prio < y->prio ? -1 : 1;
	return x->rule_id < y->rule_id ? -1 : x->rule_id > y->rule_id;
}

#define SORT_FEW 16u /* rules out of place that are moved one by one */

void spd_rules_sort(struct spd_rule **rule, uint32_t n)
{
	uint32_t out = 0;
	for (uint32_t i = 1; i < n && out <= SORT_FEW; i++)
		out += rule_order(&rule[i - 1], &rule[i]) > 0;
	if (out > SORT_FEW) {
		qsort(rule, n, sizeof(*rule), rule_order);
		return;
	}
	for (uint32_t i = 1; i < n && out; i++) {
		if (rule_order(&rule[i - 1], &rule[i]) <= 0)
			continue;
		struct spd_rule *r = rule[i];
		uint32_t lo = 0, hi = i;
		while (lo < hi) { /* the first that comes after r */
			uint32_t mid = (lo + hi) / 2;
			if (rule_order(&rule[mid], &r) > 0)
				hi = mid;
			else
				lo = mid + 1;
		}
		memmove(&rule[lo + 1], &rule[lo], (i - lo) * sizeof(*rule));
		rule[lo] = r;
	}
}

static void entries_fill(struct spd_class *c, struct spd_rule *const *sorted)
{
	for (uint32_t i = c->n, skip_to = c->n; i-- > 0;) {
		struct spd_rule *r = sorted[i];
		if (i + 1 < c->n && sorted[i + 1]->prio >> 32 != r->prio >> 32)
			skip_to = i + 1;
		c->entry[i] = (struct entry){
			.sel = r->sel,
			.vrf = r->vrf,
			.next = NO_RANK,
			.skip_to = skip_to,
			.skip = r->flags & CV_RULE_SKIP_ENTRY,
			.wide = !(r->flags & CV_RULE_SKIP_ENTRY) && r->action != CV_SPD_BYPASS,
			.rule = r,
		};
	}
}

/* The tuple of an entry; made when it is the first of its kind. Ranks come in rising order. */
static struct tuple *tuple_of(struct spd_class *c, uint32_t rank)
{
	const struct entry *e = &c->entry[rank];
	uint8_t sl = enclosing_len(e->sel.af, e->sel.src_lo, e->sel.src_hi);
	uint8_t dl = enclosing_len(e->sel.af, e->sel.dst_lo, e->sel.dst_hi);
	bool any = e->vrf == CV_VRF_ANY;
	for (uint32_t i = 0; i < c->n_tuples; i++) {
		struct tuple *t = &c->tuple[i];
		if (t->af == e->sel.af && t->src_len == sl && t->dst_len == dl && t->any_vrf == any)
			return t;
	}
	struct tuple *t = &c->tuple[c->n_tuples++];
	*t = (struct tuple){
		.src_mask = prefix_mask(e->sel.af, sl),
		.dst_mask = prefix_mask(e->sel.af, dl),
		.min_rank = rank,
		.af = e->sel.af,
		.src_len = sl,
		.dst_len = dl,
		.any_vrf = any,
	};
	return t;
}

static bool buckets_make(struct spd_class *c, const uint32_t *tuple_no)
{
	uint32_t total = 0;
	for (uint32_t i = 0; i < c->n_tuples; i++) {
		uint32_t size = 1;
		while (size < 2 * c->tuple[i].n)
			size *= 2;
		c->tuple[i].first = total;
		c->tuple[i].bucket_mask = size - 1;
		total += size;
	}
	c->bucket = malloc((total ? total : 1) * sizeof(c->bucket[0]));
	if (!c->bucket)
		return false;
	memset(c->bucket, 0xff, total * sizeof(c->bucket[0]));
	for (uint32_t i = c->n; i-- > 0;) { /* backwards: chains end up in rising order of rank */
		struct entry *e = &c->entry[i];
		const struct tuple *t = &c->tuple[tuple_no[i]];
		uint32_t *head =
			&c->bucket[t->first + (tuple_hash(t, e->sel.src_lo, e->sel.dst_lo, e->vrf) & t->bucket_mask)];
		e->next = *head;
		*head = i;
	}
	return true;
}

static bool class_fill(struct spd_class *c, struct spd_rule *const *rules)
{
	size_t n = c->n ? c->n : 1;
	struct spd_rule **sorted = malloc(n * sizeof(*sorted));
	uint32_t *tuple_no = malloc(n * sizeof(*tuple_no));
	bool ok = false;
	c->entry = aligned_alloc(64, RTE_ALIGN(n * sizeof(*c->entry), 64));
	c->tuple = aligned_alloc(64, RTE_ALIGN(n * sizeof(*c->tuple), 64));
	if (sorted && tuple_no && c->entry && c->tuple) {
		if (c->n)
			memcpy(sorted, rules, c->n * sizeof(*sorted));
		spd_rules_sort(sorted, c->n);
		entries_fill(c, sorted);
		for (uint32_t i = 0; i < c->n; i++) {
			struct tuple *t = tuple_of(c, i);
			t->n++;
			tuple_no[i] = (uint32_t)(t - c->tuple);
		}
		ok = buckets_make(c, tuple_no);
	}
	free(sorted);
	free(tuple_no);
	return ok;
}

struct spd_class *spd_class_build(struct spd_rule *const *rules, uint32_t n)
{
	struct spd_class *c = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	c->n = n;
	if (!class_fill(c, rules)) {
		spd_class_free(c);
		return NULL;
	}
	return c;
}

void spd_class_free(struct spd_class *c)
{
	if (!c)
		return;
	free(c->entry);
	free(c->tuple);
	free(c->bucket);
	free(c);
}

/* Best rank >= from in one tuple, or NO_RANK. */
static inline uint32_t tuple_search(
	const struct spd_class *c, const struct tuple *t, const struct flow *f, uint32_t from, uint32_t best)
{
	uint32_t h = tuple_hash(t, f->src, f->dst, f->vrf) & t->bucket_mask;
	for (uint32_t i = c->bucket[t->first + h]; i < best; i = c->entry[i].next) {
		const struct entry *e = &c->entry[i];
		if (i >= from && (t->any_vrf || e->vrf == f->vrf) && flow_match(&e->sel, f, e->wide))
			return i;
	}
	return NO_RANK;
}

struct spd_rule *spd_class_lookup(const struct spd_class *c, const struct flow *f)
{
	for (uint32_t from = 0;;) {
		uint32_t best = c->n;
		for (uint32_t i = 0; i < c->n_tuples && c->tuple[i].min_rank < best; i++) {
			if (c->tuple[i].af != f->af)
				continue;
			uint32_t rank = tuple_search(c, &c->tuple[i], f, from, best);
			if (rank < best)
				best = rank;
		}
		if (best >= c->n)
			return NULL;
		if (!c->entry[best].skip)
			return c->entry[best].rule;
		from = c->entry[best].skip_to;
	}
}
