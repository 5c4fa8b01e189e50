/* SPDX-License-Identifier: BSD-3-Clause */
#include "trie.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "cv_array.h"

#define NODE_UNITS (sizeof(struct trie_node) / TRIE_UNIT)
#define TRIE_LANES 16u /* look-ups in flight in the bulk version */

uint8_t *trie_arena;

/* Node references that grow as a list; entries are plain node numbers. */
struct ref_list {
	uint32_t n, cap;
	uint32_t *ref;
};

static struct {
	uint32_t max;	    /* number of the last node in the arena; numbers count TRIE_UNITs, 0 is never used */
	uint32_t next;	    /* first never used */
	uint32_t free_head; /* list through e[0].child */
	uint32_t in_use;
	uint32_t txn;
	struct ref_list made;	 /* by this transaction: freed on abort */
	struct ref_list retired; /* replaced by it: freed after commit and quiescence */
} trie;

int trie_init(uint32_t max_nodes)
{
	if (trie_arena)
		return 0;
	if (max_nodes > TRIE_NODE_MASK / NODE_UNITS - 1)
		max_nodes = TRIE_NODE_MASK / NODE_UNITS - 1;
	size_t len = (size_t)(max_nodes + 1) * sizeof(struct trie_node);
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return -ENOMEM;
	madvise(p, len, MADV_HUGEPAGE);
	trie_arena = p;
	trie.next = NODE_UNITS;
	trie.max = max_nodes * (uint32_t)NODE_UNITS;
	return 0;
}

static unsigned depth_of(uint32_t ref)
{
	return ref >> TRIE_DEPTH_SHIFT;
}

/* Make room for one more reference, so that adding it cannot fail. */
static int list_reserve(struct ref_list *l)
{
	uint32_t *p = cv_array_room(l->ref, l->n, &l->cap, sizeof(*p));

	if (!p)
		return -ENOMEM;
	l->ref = p;
	return 0;
}

static void node_free(uint32_t num)
{
	trie_at(num)->txn = 0;
	trie_at(num)->e[0].child = trie.free_head;
	trie.free_head = num;
	trie.in_use--;
}

/* A node number of this transaction, contents undefined; 0 = out of memory. */
static uint32_t node_alloc(void)
{
	uint32_t num = trie.free_head;

	if (list_reserve(&trie.made))
		return 0;
	if (!num && trie.next > trie.max)
		return 0;
	if (num) {
		trie.free_head = trie_at(num)->e[0].child;
	} else {
		num = trie.next;
		trie.next += NODE_UNITS;
	}
	trie.in_use++;
	trie.made.ref[trie.made.n++] = num;
	return num;
}

static uint32_t node_new(const struct trie_key *key, unsigned depth)
{
	uint32_t num = node_alloc();

	if (!num)
		return TRIE_NONE;
	struct trie_node *n = trie_at(num);
	struct trie_key p = {.q = {0, 0}}, m = {.q = {0, 0}};

	memset(n, 0, sizeof(*n));
	memcpy(p.b, key->b, depth);
	memset(m.b, 0xff, depth);
	memcpy(n->prefix, p.q, sizeof(n->prefix));
	memcpy(n->mask, m.q, sizeof(n->mask));
	n->txn = trie.txn;
	return depth << TRIE_DEPTH_SHIFT | num;
}

/* Give up a node: at once when readers never saw it, otherwise at commit. Room was reserved by node_writable(). */
static void node_retire(uint32_t ref)
{
	uint32_t num = ref & TRIE_NODE_MASK;

	if (trie_at(num)->txn == trie.txn)
		node_free(num);
	else
		trie.retired.ref[trie.retired.n++] = num;
}

/* Replace *ref by a copy of this transaction, unless it is one already. */
static int node_writable(uint32_t *ref)
{
	struct trie_node *old = trie_at(*ref);

	if (old->txn == trie.txn)
		return 0;
	if (list_reserve(&trie.retired))
		return -ENOMEM;
	uint32_t num = node_alloc();

	if (!num)
		return -ENOMEM;
	memcpy(trie_at(num), old, sizeof(*old));
	trie_at(num)->txn = trie.txn;
	node_retire(*ref);
	*ref = depth_of(*ref) << TRIE_DEPTH_SHIFT | num;
	return 0;
}

static const uint8_t *node_prefix(const struct trie_node *n)
{
	return (const uint8_t *)n->prefix;
}

static unsigned common_bytes(const uint8_t *a, const uint8_t *b, unsigned n)
{
	unsigned i = 0;

	while (i < n && a[i] == b[i])
		i++;
	return i;
}

/* The entries of a node that a prefix covers. */
static void prefix_span(const struct trie_key *key, unsigned depth, unsigned plen, unsigned *from, unsigned *count)
{
	*count = 1u << (8 * (depth + 1) - plen);
	*from = plen ? key->b[depth] & ~(*count - 1) : 0;
}

static void node_set(struct trie_node *n, const struct trie_key *key, unsigned depth, unsigned plen, uint32_t value)
{
	unsigned from, count;

	prefix_span(key, depth, plen, &from, &count);
	for (unsigned i = from; i < from + count; i++) {
		if (n->plen[i] > plen + 1)
			continue;
		n->n_value += n->e[i].value == 0;
		n->e[i].value = value;
		n->plen[i] = (uint8_t)(plen + 1);
	}
}

static void node_clear(struct trie_node *n, const struct trie_key *key, unsigned depth, unsigned plen,
	uint32_t cover_value, unsigned cover_plen)
{
	unsigned from, count;

	prefix_span(key, depth, plen, &from, &count);
	for (unsigned i = from; i < from + count; i++) {
		if (n->plen[i] != plen + 1)
			continue;
		n->n_value -= cover_value == 0;
		n->e[i].value = cover_value;
		n->plen[i] = cover_value ? (uint8_t)(cover_plen + 1) : 0;
	}
}

/* Put a new node at `depth` above *ref, which goes on as its child. */
static int node_insert_above(uint32_t *ref, const struct trie_key *key, unsigned depth)
{
	uint32_t up = node_new(key, depth);

	if (!up)
		return -ENOMEM;
	struct trie_node *n = trie_at(up);

	n->e[node_prefix(trie_at(*ref))[depth]].child = *ref;
	n->n_child = 1;
	*ref = up;
	return 0;
}

static unsigned end_depth(unsigned plen)
{
	return plen ? (plen - 1) / 8 : 0;
}

static int set_at(uint32_t *ref, const struct trie_key *key, unsigned plen, uint32_t value)
{
	unsigned end = end_depth(plen);

	if (*ref == TRIE_NONE) {
		*ref = node_new(key, end);
		if (*ref == TRIE_NONE)
			return -ENOMEM;
	}
	unsigned depth = depth_of(*ref);
	unsigned upto = depth < end ? depth : end;
	unsigned common = common_bytes(node_prefix(trie_at(*ref)), key->b, upto);
	int rc = common < upto || end < depth ? node_insert_above(ref, key, common) : node_writable(ref);

	if (rc)
		return rc;
	struct trie_node *n = trie_at(*ref);

	depth = depth_of(*ref);
	if (depth == end) {
		node_set(n, key, depth, plen, value);
		return 0;
	}
	struct trie_entry *e = &n->e[key->b[depth]];
	bool had = e->child != TRIE_NONE;

	rc = set_at(&e->child, key, plen, value);
	n->n_child += !had && e->child != TRIE_NONE;
	return rc;
}

int trie_set(uint32_t *root, const struct trie_key *key, unsigned plen, uint32_t value)
{
	return set_at(root, key, plen, value);
}

/* A node that says nothing any more goes away; one that only leads on to a single child is skipped. */
static void node_shrink(uint32_t *ref)
{
	struct trie_node *n = trie_at(*ref);
	uint32_t only = TRIE_NONE;

	if (n->n_value || n->n_child > 1)
		return;
	for (unsigned i = 0; n->n_child && only == TRIE_NONE; i++)
		only = n->e[i].child;
	node_retire(*ref);
	*ref = only;
}

static int del_at(uint32_t *ref, const struct trie_key *key, unsigned plen, uint32_t cover_value, unsigned cover_plen)
{
	unsigned end = end_depth(plen), depth = depth_of(*ref);

	if (*ref == TRIE_NONE || depth > end || common_bytes(node_prefix(trie_at(*ref)), key->b, depth) < depth)
		return 0;
	int rc = node_writable(ref);

	if (rc)
		return rc;
	struct trie_node *n = trie_at(*ref);

	if (depth == end) {
		node_clear(n, key, depth, plen, cover_value, cover_plen);
	} else {
		struct trie_entry *e = &n->e[key->b[depth]];
		bool had = e->child != TRIE_NONE;

		rc = del_at(&e->child, key, plen, cover_value, cover_plen);
		n->n_child -= had && e->child == TRIE_NONE;
	}
	node_shrink(ref);
	return rc;
}

int trie_del(uint32_t *root, const struct trie_key *key, unsigned plen, uint32_t cover_value, unsigned cover_plen)
{
	return del_at(root, key, plen, cover_value, cover_plen);
}

void trie_begin(void)
{
	if (++trie.txn == 0)
		trie.txn = 1;
}

void trie_abort(void)
{
	for (uint32_t i = 0; i < trie.made.n; i++) {
		uint32_t num = trie.made.ref[i];

		/* A number made, freed and made again stands in the list twice. */
		if (trie_at(num)->txn == trie.txn)
			node_free(num);
	}
	trie.made.n = trie.retired.n = 0;
}

static void free_retired(void *arg)
{
	struct ref_list *l = arg;

	for (uint32_t i = 0; i < l->n; i++)
		node_free(l->ref[i]);
	free(l->ref);
	free(l);
}

void trie_commit(void (*defer)(void (*fn)(void *arg), void *arg))
{
	trie.made.n = 0;
	if (!trie.retired.n)
		return;
	struct ref_list *l = malloc(sizeof(*l));

	if (!l) { /* no memory to remember them: these nodes are lost until restart, the tables are right */
		trie.retired.n = 0;
		return;
	}
	*l = trie.retired;
	trie.retired = (struct ref_list){0};
	defer(free_retired, l);
}

uint32_t trie_nodes(void)
{
	return trie.in_use;
}

/* State of one look-up between two steps. */
struct lane {
	uint32_t ref;
	uint32_t best;
	uint32_t i; /* its place in the caller's arrays */
};

static inline void lane_prefetch(uint32_t ref, const struct trie_key *key)
{
	const struct trie_node *n = trie_at(ref);

	rte_prefetch0(n);
	rte_prefetch0(&n->e[key->b[ref >> TRIE_DEPTH_SHIFT]]);
}

static void lookup_lanes(const uint32_t *root, const struct trie_key *key, uint32_t *value, unsigned n)
{
	struct lane lane[TRIE_LANES];
	unsigned active = 0;

	for (unsigned i = 0; i < n; i++) {
		value[i] = 0;
		if (root[i] == TRIE_NONE)
			continue;
		lane_prefetch(root[i], &key[i]);
		lane[active++] = (struct lane){.ref = root[i], .best = 0, .i = i};
	}
	while (active) {
		unsigned left = 0;

		for (unsigned l = 0; l < active; l++) {
			struct lane s = lane[l];
			const struct trie_key *k = &key[s.i];
			const struct trie_node *node = trie_at(s.ref);
			const struct trie_entry *e = &node->e[k->b[s.ref >> TRIE_DEPTH_SHIFT]];
			bool hit = !(((k->q[0] ^ node->prefix[0]) & node->mask[0]) |
				     ((k->q[1] ^ node->prefix[1]) & node->mask[1]));

			s.best = hit && e->value ? e->value : s.best;
			s.ref = hit ? e->child : TRIE_NONE;
			if (s.ref == TRIE_NONE) {
				value[s.i] = s.best;
				continue;
			}
			lane_prefetch(s.ref, k);
			lane[left++] = s;
		}
		active = left;
	}
}

uint32_t trie_lookup_plen(uint32_t root, const struct trie_key *key, unsigned *plen)
{
	uint32_t ref = root, best = 0;

	*plen = 0;
	while (ref != TRIE_NONE) {
		const struct trie_node *n = trie_at(ref);
		const uint8_t byte = key->b[depth_of(ref)];

		if (((key->q[0] ^ n->prefix[0]) & n->mask[0]) | ((key->q[1] ^ n->prefix[1]) & n->mask[1]))
			break;
		if (n->e[byte].value) {
			best = n->e[byte].value;
			*plen = n->plen[byte] - 1u;
		}
		ref = n->e[byte].child;
	}
	return best;
}

void trie_lookup_bulk(const uint32_t *root, const struct trie_key *key, uint32_t *value, unsigned n)
{
	for (unsigned i = 0; i < n; i += TRIE_LANES)
		lookup_lanes(root + i, key + i, value + i, n - i < TRIE_LANES ? n - i : TRIE_LANES);
}
