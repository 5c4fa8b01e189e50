/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Longest-prefix match for many tables: a multibit trie with 8-bit strides and path compression, keys of 4 or 16
 * bytes. A table costs nothing until it has a prefix, and then about 2.4 KB per node; there are at most two nodes per
 * prefix. Nodes of all tables live in one arena and are named by 32-bit references, the depth in the top 4 bits.
 *
 * Writers (main lcore) work on a transaction: nodes that existed before it are copied before they are changed, so
 * readers that hold the old root see the old table until they load the new one, and abort only has to forget the new
 * nodes. Readers take no lock and need QSBR protection only.
 */
#ifndef DATAPLANE_TRIE_H
#define DATAPLANE_TRIE_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <rte_branch_prediction.h>
#include <rte_prefetch.h>

#define TRIE_NONE 0u /* no node; also: no value */
#define TRIE_DEPTH_SHIFT 28
#define TRIE_NODE_MASK ((1u << TRIE_DEPTH_SHIFT) - 1)

struct trie_entry {
	uint32_t value; /* of the longest prefix that ends in this node and covers the entry; 0 = none */
	uint32_t child; /* reference of the node below; 0 = none */
};

struct trie_node {
	uint64_t prefix[2]; /* the key bytes in front of this node's byte, rest zero */
	uint64_t mask[2];   /* which of them count */
	uint32_t txn;	    /* transaction that made it: only that one may change it in place */
	uint16_t n_value;   /* entries with a value */
	uint16_t n_child;
	uint32_t pad[6];
	struct trie_entry e[256];
	uint8_t plen[256]; /* prefix length + 1 behind e[].value: writers, and trie_lookup_plen() */
};
_Static_assert(sizeof(struct trie_node) % 64 == 0, "nodes start on cache lines");

struct trie_key {
	union {
		uint8_t b[16];
		uint64_t q[2];
	};
};

/* References count in cache lines, so that following one costs a shift and an addition. */
#define TRIE_UNIT 64u
extern uint8_t *trie_arena;

static inline struct trie_node *trie_at(uint32_t ref)
{
	return (struct trie_node *)(trie_arena + (uint64_t)(ref & TRIE_NODE_MASK) * TRIE_UNIT);
}

/* Main, once: reserve address space for max_nodes nodes (memory is used as they are). 0 or -ENOMEM. Repeated calls
 * do nothing. */
int trie_init(uint32_t max_nodes);

/* Any reader: value of the longest prefix of `root` that covers key, or `none`. */
static inline uint32_t trie_lookup(uint32_t root, const struct trie_key *key, uint32_t none)
{
	uint32_t ref = root, best = none;

	while (ref != TRIE_NONE) {
		const struct trie_node *n = trie_at(ref);
		const struct trie_entry *e = &n->e[key->b[ref >> TRIE_DEPTH_SHIFT]];

		if (((key->q[0] ^ n->prefix[0]) & n->mask[0]) | ((key->q[1] ^ n->prefix[1]) & n->mask[1]))
			break;
		if (e->value)
			best = e->value;
		ref = e->child;
	}
	return best;
}

/* The same, for questions that are rare; *plen: how long that prefix is in bits, 0 where there is none. */
uint32_t trie_lookup_plen(uint32_t root, const struct trie_key *key, unsigned *plen);

/* The same for 4-byte keys (first byte of the key in the low byte), which need half of the comparing. */
static inline uint32_t trie_lookup4(uint32_t root, uint32_t key)
{
	uint32_t ref = root, best = 0;

	while (ref != TRIE_NONE) {
		const struct trie_node *n = trie_at(ref);
		const struct trie_entry *e = &n->e[key >> (8 * (ref >> TRIE_DEPTH_SHIFT)) & 0xff];

		if (unlikely((key ^ (uint32_t)n->prefix[0]) & (uint32_t)n->mask[0]))
			break;
		best = e->value ? e->value : best;
		ref = e->child;
	}
	return best;
}
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "trie_lookup4() takes bytes from the low end");

/* The same for n keys, each in its own table, interleaved so that cache misses overlap. */
void trie_lookup_bulk(const uint32_t *root, const struct trie_key *key, uint32_t *value, unsigned n);

/* ---- writers: main lcore; exactly one transaction at a time ---- */

void trie_begin(void);
/* Set the value (not 0) of a prefix: *root is replaced. plen 0..32 or 0..128 bits, key bits beyond it zero.
 * 0 or -ENOMEM (the arena is full; *root is still a valid table of this transaction). */
int trie_set(uint32_t *root, const struct trie_key *key, unsigned plen, uint32_t value);
/*
 * Remove a prefix. The writer says what the next shorter prefix is that covers it *and* ends in the same byte of the
 * key (trie_same_node()): its value and length, or value 0. Removing what is not there does nothing. 0 or -ENOMEM.
 */
int trie_del(uint32_t *root, const struct trie_key *key, unsigned plen, uint32_t cover_value, unsigned cover_plen);
/* Shortest prefix length that ends in the same node as plen: candidates for the cover are [this, plen). */
static inline unsigned trie_same_node(unsigned plen)
{
	return plen <= 8 ? 0 : ((plen - 1) / 8) * 8 + 1;
}
/* Keep the transaction: call after the new roots are published. Replaced nodes are freed through defer(fn, arg). */
void trie_commit(void (*defer)(void (*fn)(void *arg), void *arg));
/* Forget the transaction: the roots from before it are valid as ever. */
void trie_abort(void);
/* Nodes in use, replaced ones included until they are freed. */
uint32_t trie_nodes(void);

#endif
