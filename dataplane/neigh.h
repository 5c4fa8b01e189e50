/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Neighbours and adjacencies. An adjacency is what a worker needs to send packets of one family to one next hop:
 * interface, MTU and the prebuilt link-layer header. Every neighbour (interface, address) that is resolved, wanted by a
 * route, or being resolved has one; adjacencies of one table are named by index, 0 is never used. IPv4 packets may have
 * an IPv6 next hop (RFC 8950): that is another adjacency than the one for IPv6 packets, and asked for by itself.
 *
 * Main writes, workers read: the header is written before `ready`, and a slot is used again only after quiescence.
 */
#ifndef DATAPLANE_NEIGH_H
#define DATAPLANE_NEIGH_H

#include "dp.h"

#define ADJ_MAX 65536u		/* adjacencies at once */
#define NEIGH_HASH_SIZE 262144u /* slots, power of two; at most a quarter is used */
#define NEIGH_HOLD_MAX 4u	/* packets kept while one neighbour is resolved */

struct adj {
	union {
		uint8_t l2[24];	   /* destination, source, [802.1Q tag,] room for the Ethernet type */
		uint64_t l2_first; /* a changed neighbour MAC is written with this one store: it never tears */
	};
	uint8_t l2_len; /* 14 or 18 */
	uint8_t ready;	/* header valid; otherwise main must resolve (SLOW_NEIGH) */
	uint16_t mtu;	/* IP MTU */
	uint16_t port_id;
	uint16_t if_id;
	struct cv_addr nexthop;
	uint32_t used;	 /* uptime in seconds when it was last sent to: set by workers, read by aging */
	uint8_t carries; /* CV_AF_* of the packets */
	uint8_t pad[3];
} __attribute__((aligned(64)));
_Static_assert(sizeof(struct adj) == 64, "one cache line");

extern struct adj adj_table[ADJ_MAX];
extern uint32_t *neigh_hash; /* adjacency indexes; 0 = empty, NEIGH_TOMB = was used */
#define NEIGH_TOMB UINT32_MAX

/* An address as two words, IPv4 in the low half of the first: built in registers, never read back from memory. */
struct neigh_key {
	uint64_t q[2];
};

static inline struct neigh_key neigh_key4(uint32_t be)
{
	return (struct neigh_key){{be, 0}};
}
static inline struct neigh_key neigh_key6(const void *addr)
{
	struct neigh_key k;

	__builtin_memcpy(k.q, addr, 16);
	return k;
}

static inline uint32_t neigh_hash_fn(uint32_t if_id, struct neigh_key k)
{
	uint64_t h = (k.q[0] ^ (uint64_t)if_id << 32 ^ k.q[1] * 0x9e3779b97f4a7c15ull) * 0xd6e8feb86659fd93ull;

	return (uint32_t)(h >> 40) & (NEIGH_HASH_SIZE - 1);
}

/* Worker or main: adjacency for packets of a family (carries) to a next hop of the same or another one (af), CV_AF_*;
 * 0 when there is none yet. */
static inline uint32_t neigh_find_for(uint8_t carries, uint32_t if_id, uint8_t af, struct neigh_key k)
{
	const uint32_t *slots = __atomic_load_n(&neigh_hash, __ATOMIC_ACQUIRE);
	uint32_t h = neigh_hash_fn(if_id, k);

	for (;; h = (h + 1) & (NEIGH_HASH_SIZE - 1)) {
		uint32_t i = __atomic_load_n(&slots[h], __ATOMIC_ACQUIRE);

		if (i == 0)
			return 0;
		if (i == NEIGH_TOMB || adj_table[i].if_id != if_id || adj_table[i].nexthop.af != af ||
			adj_table[i].carries != carries)
			continue;
		struct neigh_key have = neigh_key6(adj_table[i].nexthop.b);

		if (!((have.q[0] ^ k.q[0]) | (have.q[1] ^ k.q[1])))
			return i;
	}
}

/* Worker or main: adjacency for a directly connected address, 0 when there is none yet. */
static inline uint32_t neigh_find(uint32_t if_id, uint8_t af, struct neigh_key k)
{
	return neigh_find_for(af, if_id, af, k);
}

/* Main, once. 0 or -ENOMEM. */
int neigh_init(void);

/* Main: routes for packets of a family (carries, CV_AF_*): take or give back a reference on the adjacency of
 * (interface, address), made when it is not there.
 * That of a multicast group is ready at once: its link-layer address is made of the group's. Returns its index, 0 when
 * the table is full. */
uint32_t neigh_pin(uint8_t carries, uint32_t if_id, const struct cv_addr *a);
void neigh_unpin(uint32_t adj);

/* Main: what ARP and ND found out. override: replace a known MAC that differs. solicited: it answers our question, so
 * the neighbour is reachable; otherwise it is stale until it is confirmed. create: make an entry when there is none. */
struct neigh_news {
	uint32_t if_id;
	struct cv_addr addr;
	uint8_t mac[6];
	bool solicited, override, create;
};
void neigh_learn(struct worker *w, const struct neigh_news *news);

/* Main: an interface came (was NULL), went (is NULL) or changed: forget or rebuild what hangs on it. */
void neigh_if_changed(const struct dp_if *was, const struct dp_if *is);
/* Main: CV_CLEAR_NEIGH; if_id 0 = all. */
void neigh_clear(uint32_t if_id);
/* Main: fill a CV_DUMP_NEIGH reply (struct cv_neigh_entry). */
void neigh_dump(const struct cv_cmd_dump *req, struct cv_dump_reply *out);

#endif
