/* SPDX-License-Identifier: BSD-3-Clause */
#include "fib.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fib_write.h"
#include "neigh.h"
#include "tunnel.h"

#define FIB_GROUP_MAX 16384u

static struct fib_roots no_routes;
const struct fib_roots *fib_roots_current = &no_routes;
struct fib_group *fib_groups;
uint32_t fib_generation_current;

static struct fib_roots *next_roots; /* of the transaction in progress; NULL = no change yet */
static uint32_t group_free_list[FIB_GROUP_MAX], n_group_free;

int fib_init(uint32_t max_nodes)
{
	if (fib_groups)
		return 0;
	fib_groups = aligned_alloc(64, FIB_GROUP_MAX * sizeof(*fib_groups));
	if (!fib_groups)
		return -ENOMEM;
	for (uint32_t g = FIB_GROUP_MAX - 1; g > 0; g--)
		group_free_list[n_group_free++] = g;
	return trie_init(max_nodes);
}

/* ---- readers ---- */

static uint32_t root_of(const struct fib_roots *r, uint32_t vrf_id, uint8_t af)
{
	return af == CV_AF_INET ? r->v4[vrf_id] : r->v6[vrf_id];
}

static struct trie_key key_of(const struct cv_addr *a)
{
	struct trie_key k;

	memcpy(k.b, a->b, sizeof(k.b));
	return k;
}

uint32_t fib_lookup(uint32_t vrf_id, const struct cv_addr *a)
{
	struct trie_key k = key_of(a);

	return vrf_id < CV_VRF_MAX ? trie_lookup(root_of(fib_roots(), vrf_id, a->af), &k, 0) : 0;
}

uint32_t fib_lookup_plen(uint32_t vrf_id, const struct cv_addr *a, unsigned *plen)
{
	struct trie_key k = key_of(a);

	*plen = 0;
	return vrf_id < CV_VRF_MAX ? trie_lookup_plen(root_of(fib_roots(), vrf_id, a->af), &k, plen) : 0;
}

bool fib_is_local(uint32_t vrf_id, const struct cv_addr *a)
{
	return FIB_KIND(fib_lookup(vrf_id, a)) == FIB_LOCAL;
}

static uint16_t word_mtu(uint32_t word, const struct cv_addr *dst)
{
	if (FIB_KIND(word) == FIB_ADJ)
		return adj_table[FIB_NUM(word)].mtu;
	if (FIB_KIND(word) == FIB_TUNNEL)
		return tunnel_mtu(word, dst);
	if (FIB_KIND(word) != FIB_GLEAN)
		return 0;
	const struct dp_if *ifp = iface_get(FIB_NUM(word));

	return ifp ? iface_mtu(ifp, dst->af) : 0;
}

uint16_t fib_path_mtu(uint32_t vrf_id, const struct cv_addr *dst)
{
	uint32_t word = fib_lookup(vrf_id, dst);
	uint16_t least = 0;

	if (FIB_KIND(word) != FIB_GROUP)
		return word_mtu(word, dst);
	for (unsigned i = 0; i < FIB_GROUP_BUCKETS; i++) {
		uint16_t mtu = word_mtu(fib_groups[FIB_NUM(word)].bucket[i], dst);

		if (mtu && (!least || mtu < least))
			least = mtu;
	}
	return least;
}

/* ---- writer ---- */

static int txn_open(void)
{
	if (next_roots)
		return 0;
	next_roots = malloc(sizeof(*next_roots));
	if (!next_roots)
		return -ENOMEM;
	*next_roots = *fib_roots_current;
	trie_begin();
	return 0;
}

static uint32_t *txn_root(uint32_t vrf_id, uint8_t af)
{
	return af == CV_AF_INET ? &next_roots->v4[vrf_id] : &next_roots->v6[vrf_id];
}

int fib_txn_set(uint32_t vrf_id, const struct cv_prefix *p, uint32_t word)
{
	struct trie_key k = key_of(&p->addr);
	int rc = txn_open();

	return rc ? rc : trie_set(txn_root(vrf_id, p->addr.af), &k, p->len, word);
}

int fib_txn_del(uint32_t vrf_id, const struct cv_prefix *p, uint32_t cover_word, unsigned cover_plen)
{
	struct trie_key k = key_of(&p->addr);
	int rc = txn_open();

	return rc ? rc : trie_del(txn_root(vrf_id, p->addr.af), &k, p->len, cover_word, cover_plen);
}

static void roots_publish(void)
{
	const struct fib_roots *old = fib_roots_current;

	__atomic_store_n(&fib_roots_current, next_roots, __ATOMIC_RELEASE);
	next_roots = NULL;
	trie_commit(dp_defer);
	if (old != &no_routes)
		dp_defer(free, (void *)(uintptr_t)old);
}

/* The generation last: who sees the new one must find the new tables, or it would keep an old answer under it. */
void fib_txn_publish(void)
{
	if (next_roots)
		roots_publish();
	__atomic_fetch_add(&fib_generation_current, 1, __ATOMIC_RELEASE);
}

void fib_txn_abort(void)
{
	if (!next_roots)
		return;
	free(next_roots);
	next_roots = NULL;
	trie_abort();
}

uint32_t fib_group_alloc(const uint32_t bucket[static FIB_GROUP_BUCKETS])
{
	if (!n_group_free)
		return 0;
	uint32_t g = group_free_list[--n_group_free];

	memcpy(fib_groups[g].bucket, bucket, sizeof(fib_groups[g].bucket));
	return g;
}

static void group_put_back(void *arg)
{
	group_free_list[n_group_free++] = (uint32_t)(uintptr_t)arg;
}

void fib_group_free(uint32_t group, bool published)
{
	if (published)
		dp_defer(group_put_back, (void *)(uintptr_t)group);
	else
		group_put_back((void *)(uintptr_t)group);
}
