/* SPDX-License-Identifier: BSD-3-Clause */
/* The prefixes of all VRFs with what each source says about them: a hash by (VRF, prefix), and lists per VRF in order
 * of appearance. For rib.c only; main lcore. */
#ifndef DATAPLANE_RIB_STORE_H
#define DATAPLANE_RIB_STORE_H

#include <sys/queue.h>

#include "dp.h"

#define RIB_IF_MAX 8u	/* interfaces that may bring the same prefix */
#define RIB_MEMBERS 64u /* different next hops of one route after recursion */

/* Who offers a route to a prefix. The lower distance wins; of equal ones the first of these. */
enum rib_source { RIB_CONFIGURED, RIB_HOST /* the kernel's routes (host_route.h) */, RIB_SOURCES };

struct rib_state {
	struct cv_route *offer[RIB_SOURCES]; /* owned, as long as their next hops need; NULL = none */
	struct cv_route *route;		     /* the one in force: one of them; NULL = none */
	uint32_t n_if;
	uint32_t if_word[RIB_IF_MAX]; /* from interfaces: FIB_LOCAL, FIB_BROADCAST, FIB_GLEAN */
};

/* References on adjacencies that a route holds. */
struct rib_pins {
	unsigned n;
	uint32_t adj[];
};

struct rib_gateway;

struct rib_prefix {
	struct rib_prefix *hash_next;
	TAILQ_ENTRY(rib_prefix) vrf_link, txn_link;
	struct rib_gateway *gateways; /* rib_gateway.h */
	unsigned n_gateways;
	uint64_t serial; /* order of appearance, never 0 */
	uint32_t vrf_id;
	struct cv_prefix prefix;
	uint32_t named[RIB_SOURCES]; /* last transaction, or walk through the kernel's, that set the route */
	struct rib_state cur;
	uint32_t word; /* in the forwarding table; 0 = not there */
	struct rib_pins *pins;
	/* as before the transaction in progress, when in_txn */
	bool in_txn;
	struct rib_state old;
	uint32_t old_word;
	struct rib_pins *old_pins;
};

/* Find a prefix; create: make an empty one when there is none. NULL when not found or out of memory. */
struct rib_prefix *rib_get(uint32_t vrf_id, const struct cv_prefix *p, bool create);
void rib_remove(struct rib_prefix *rp);
/* The longest prefix of at most *len bits that covers a; *len becomes one less than its length, for the next call. */
struct rib_prefix *rib_match(uint32_t vrf_id, const struct cv_addr *a, int *len);
bool rib_covers(const struct cv_prefix *p, const struct cv_addr *a);
/* Who goes through a VRF in parts. */
enum rib_reader { RIB_DUMP, RIB_SWEEP, RIB_READERS };
/* First prefix of a VRF whose serial is at least this; 0 = the first. Without this reader's bookmark there, all before
 * it are passed. */
struct rib_prefix *rib_next(enum rib_reader who, uint32_t vrf_id, uint64_t serial);
/* The next rib_next() of this reader may ask for this one. */
void rib_bookmark(enum rib_reader who, const struct rib_prefix *rp);
/* Every prefix of every VRF. fn must not remove. */
void rib_walk(void (*fn)(struct rib_prefix *rp, void *arg), void *arg);

static inline unsigned cv_addr_bits_of(uint8_t af)
{
	return af == CV_AF_INET ? 32 : 128;
}

#endif
