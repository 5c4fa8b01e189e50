/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Routes. Per VRF and family one longest-prefix-match table (trie.h); what a look-up returns is a 32-bit "route word":
 * kind in the top 4 bits, a number below. Sources of a prefix in order of preference: local address, connected subnet,
 * configured route (cv_route). Gateways are resolved to adjacencies when routes or interfaces change, never per packet;
 * a configured route none of whose next hops resolves is not in the table, so that a shorter prefix takes over.
 *
 * A transaction (interfaces and routes together) is published by one store of fib_roots_current.
 */
#ifndef DATAPLANE_FIB_H
#define DATAPLANE_FIB_H

#include "dp.h"
#include "trie.h"

enum fib_kind {
	FIB_NONE = 0,
	FIB_ADJ = 1,	   /* number: adjacency (neigh.h) */
	FIB_GLEAN = 2,	   /* directly connected: next hop is the destination itself; number: interface id */
	FIB_LOCAL = 3,	   /* our own address; number: interface id */
	FIB_BLACKHOLE = 4, /* discard */
	FIB_GROUP = 5,	   /* ECMP: number: group */
	FIB_BROADCAST = 6, /* subnet broadcast address; number: interface id */
	FIB_TUNNEL = 7,	   /* into a tunnel (tunnel.h); number: see FIB_TUNNEL_WORD */
};
#define FIB_WORD(kind, num) ((uint32_t)(kind) << 28 | (uint32_t)(num))
#define FIB_KIND(word) ((enum fib_kind)((word) >> 28))
#define FIB_NUM(word) ((word)&0x0fffffffu)

/* Into a tunnel; hop: next hop of a multipoint one (tunnel_hop.h), 0 = the destination itself, or there is one end. */
#define FIB_TUNNEL_WORD(if_id, hop) FIB_WORD(FIB_TUNNEL, (uint32_t)(hop) << 12 | (uint32_t)(if_id))
#define FIB_TUNNEL_IF(word) ((word)&0xfffu)
#define FIB_TUNNEL_HOP(word) (FIB_NUM(word) >> 12)
_Static_assert(CV_IF_MAX == 1u << 12, "interface ids in route words");

#define FIB_GROUP_BUCKETS 64u
/* Weighted next hops spread over buckets; a bucket holds a FIB_ADJ, FIB_GLEAN, FIB_TUNNEL or FIB_BLACKHOLE word. */
struct fib_group {
	uint32_t bucket[FIB_GROUP_BUCKETS];
};

struct fib_roots {
	uint32_t v4[CV_VRF_MAX], v6[CV_VRF_MAX];
};

extern const struct fib_roots *fib_roots_current;
extern struct fib_group *fib_groups;
extern uint32_t fib_generation_current;
extern const struct dp_module fib_module;

/* Main, once, before the first transaction: tables for up to max_nodes trie nodes. 0 or -ENOMEM. */
int fib_init(uint32_t max_nodes);

static inline const struct fib_roots *fib_roots(void)
{
	return __atomic_load_n(&fib_roots_current, __ATOMIC_ACQUIRE);
}

/* Worker or main: the route word for an address in a VRF (< CV_VRF_MAX), groups not resolved. */
uint32_t fib_lookup(uint32_t vrf_id, const struct cv_addr *a);
/* The same; *plen: length of the prefix in bits, 0 for a default route and where there is none. */
uint32_t fib_lookup_plen(uint32_t vrf_id, const struct cv_addr *a, unsigned *plen);
/* Worker or main: pick the member of a group by flow hash; other words are returned as they are. */
static inline uint32_t fib_pick(uint32_t word, uint32_t flow_hash)
{
	if (likely(FIB_KIND(word) != FIB_GROUP))
		return word;
	return fib_groups[FIB_NUM(word)].bucket[(flow_hash ^ flow_hash >> 16) % FIB_GROUP_BUCKETS];
}
/* Worker or main: is it one of our own addresses in this VRF? */
bool fib_is_local(uint32_t vrf_id, const struct cv_addr *a);
/* Worker or main: MTU of the interface a packet to dst leaves by, 0 when there is no route. Smallest of a group. */
uint16_t fib_path_mtu(uint32_t vrf_id, const struct cv_addr *dst);

/* Worker or main: changes whenever a route or the MTU of an interface may have changed: what was derived from
 * fib_path_mtu() is to be asked again when this differs. */
static inline uint32_t fib_generation(void)
{
	return __atomic_load_n(&fib_generation_current, __ATOMIC_ACQUIRE);
}

/* Main: what was derived from fib_path_mtu() is to be asked again (pmtu.c). */
static inline void fib_generation_bump(void)
{
	__atomic_fetch_add(&fib_generation_current, 1, __ATOMIC_RELEASE);
}

/* ---- main: called by iface.c inside a transaction, before fib_module.prepare ---- */
enum fib_source { FIB_SRC_LOCAL = 0, FIB_SRC_CONNECTED = 1, FIB_SRC_ROUTE = 2 };
/* Add or remove an interface's own prefix. word is FIB_LOCAL, FIB_BROADCAST (source LOCAL), FIB_GLEAN or FIB_TUNNEL
 * (CONNECTED). Several interfaces may bring the same connected prefix: the first wins until it goes. 0 or enum cv_err.
 */
int fib_if_prefix_add(uint32_t vrf_id, const struct cv_prefix *p, uint32_t word);
int fib_if_prefix_del(uint32_t vrf_id, const struct cv_prefix *p, uint32_t word);
/* The state of this interface changed: routes through it must be looked at again in prepare. */
void fib_if_changed(uint32_t if_id);
/* What this address, as a gateway, leads to has changed (tunnel_hop.c). */
void fib_gateway_changed(uint32_t vrf_id, const struct cv_addr *gateway);

/* ---- main: called by host_route.c, as a transaction of its own that ends with fib_module.prepare and publish ---- */
/* The kernel's route to a prefix, beside a configured one; the lower distance is used. named: a number for sweeping. 0
 * or enum cv_err with text. */
int fib_host_route_set(const struct cv_route *route, uint32_t named, char *text);
void fib_host_route_del(uint32_t vrf_id, const struct cv_prefix *p);
/* What is set, NULL = none. Until the next change. */
const struct cv_route *fib_host_route(uint32_t vrf_id, const struct cv_prefix *p);
/* Delete each of them that stale() says is. */
typedef bool (*fib_host_stale_fn)(void *arg, const struct cv_route *route, uint32_t named);
void fib_host_sweep(fib_host_stale_fn stale, void *arg);
/* The same in parts, each a transaction, that main does other things between: of the next `most` prefixes. at: how far
 * it is, zero to begin with. False: that was the last part. What comes meanwhile may or may not be looked at. */
struct fib_sweep {
	uint32_t vrf_id;
	uint64_t serial;
};
bool fib_host_sweep_part(struct fib_sweep *at, unsigned most, fib_host_stale_fn stale, void *arg);

/* Each configured route that is in force, with the word that its prefix has in the table. */
void fib_configured_each(void (*fn)(const struct cv_route *route, uint32_t word));

/* Main: has a transaction staged changes that are neither published nor aborted yet? */
bool fib_txn_in_progress(void);

/* Main: fill a CV_DUMP_FIB reply (struct cv_fib_entry; req->scope = VRF). Only what is in the table, connected and
 * local prefixes included (origin 254 connected, 255 local). */
#define FIB_ORIGIN_CONNECTED 254u
#define FIB_ORIGIN_LOCAL 255u
void fib_dump(const struct cv_cmd_dump *req, struct cv_dump_reply *out);

#endif
