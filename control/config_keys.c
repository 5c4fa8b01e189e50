/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which preshared key belongs to a peer (VRF-17..23), and what a binding to a local address lets see (SAFENET-1..15).
 * Keys by address are found through an index: one binary search for each prefix length in use, longest first, so that
 * ten thousand keys cost an authentication no more than ten.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "config_priv.h"
#include "cv_addr.h"

#define LENGTHS (2 * 129) /* by family and length */

struct cfg_psk_index {
	struct psk_slot {
		struct cv_prefix prefix; /* masked */
		const struct cfg_psk *psk;
	} * slot;
	unsigned n;
	bool used[LENGTHS];
};

/* ---- index ---- */

static int slot_cmp(const void *a, const void *b)
{
	const struct cv_prefix *x = &((const struct psk_slot *)a)->prefix, *y = &((const struct psk_slot *)b)->prefix;

	if (x->addr.af != y->addr.af)
		return x->addr.af < y->addr.af ? -1 : 1;
	if (x->len != y->len)
		return x->len < y->len ? -1 : 1;
	return cv_addr_cmp(&x->addr, &y->addr);
}

static unsigned length_at(uint8_t af, unsigned len)
{
	return (af == CV_AF_INET6 ? 129u : 0u) + len;
}

int config_index_keys(struct config_check *k, struct cfg_keyring *kr)
{
	struct cfg_psk_index *ix = config_alloc(k->c, 1, sizeof(*ix));

	ix->slot = config_alloc(k->c, kr->n_psk, sizeof(*ix->slot));
	for (unsigned i = 0; i < kr->n_psk; i++) {
		struct psk_slot *s = &ix->slot[ix->n];

		if (!cv_addr_bits(&kr->psk[i].peer.addr))
			continue;
		*s = (struct psk_slot){.prefix = kr->psk[i].peer, .psk = &kr->psk[i]};
		cv_prefix_mask(&s->prefix);
		ix->used[length_at(s->prefix.addr.af, s->prefix.len)] = true;
		ix->n++;
	}
	if (ix->n)
		qsort(ix->slot, ix->n, sizeof(*ix->slot), slot_cmp);
	for (unsigned i = 1; i < ix->n; i++)
		if (slot_cmp(&ix->slot[i - 1], &ix->slot[i]) == 0)
			return check_fail(k, PATH_KEYRING "/pre-shared-key[%u]: the same peer as number %u", kr->name,
				(unsigned)(ix->slot[i].psk - kr->psk) + 1,
				(unsigned)(ix->slot[i - 1].psk - kr->psk) + 1);
	kr->index = ix;
	return 0;
}

/* The longer prefix of best and what the keyring has for peer. */
static const struct cfg_psk *keyring_longest(
	const struct cfg_keyring *k, const struct cv_addr *peer, const struct cfg_psk *best)
{
	const struct cfg_psk_index *ix = k->index;

	for (unsigned len = cv_addr_bits(peer) + 1; ix && ix->n && len-- > (best ? best->peer.len + 1u : 0u);) {
		struct psk_slot want = {.prefix = {.addr = *peer, .len = (uint8_t)len}}, *found;

		if (!ix->used[length_at(peer->af, len)])
			continue;
		cv_prefix_mask(&want.prefix);
		found = bsearch(&want, ix->slot, ix->n, sizeof(want), slot_cmp);
		if (found)
			return found->psk;
	}
	return best;
}

/* ---- bindings ---- */

/* A local end point. Ids of VRFs are given out after a configuration is resolved: until then, by object. */
struct place {
	const struct cfg_vrf *vrf; /* when by_object */
	uint32_t id;
	bool by_object;
	const struct cv_addr *local; /* NULL = not known: what is bound does not fit */
};

static bool in_vrf(const struct place *at, const struct cfg_vrf *vrf)
{
	return at->by_object ? vrf == at->vrf : (vrf ? vrf->id : CV_VRF_GLOBAL) == at->id;
}

static bool binding_has(const struct cfg_binding *b, const struct place *at)
{
	if (!b->interface && !cv_addr_bits(&b->addr))
		return true; /* global (SAFENET-1) */
	if (!at->local)
		return false;
	if (!b->interface)
		return in_vrf(at, b->vrf_ref) && cv_addr_eq(&b->addr, at->local); /* SAFENET-7 */
	for (unsigned i = 0; b->if_ref && i < b->if_ref->n_addr; i++)
		if (b->if_ref->addr[i].addr.af == at->local->af) /* SAFENET-4: the first of a family is the primary */
			return in_vrf(at, b->if_ref->vrf_ref) && cv_addr_eq(&b->if_ref->addr[i].addr, at->local);
	return false; /* SAFENET-6 */
}

bool config_binding_has(const struct cfg_binding *b, uint32_t fvrf, const struct cv_addr *local)
{
	return binding_has(b, &(struct place){.id = fvrf, .local = local});
}

static bool bound(const struct cfg_binding *b)
{
	return b->interface || cv_addr_bits(&b->addr);
}

/* ---- look-ups ---- */

/* The keyrings to search: the profile's, or all of them when it names none (VRF-23). */
static unsigned keyring_count(const struct cv_config *c, const struct cfg_ike_profile *p)
{
	return p && p->n_keyring ? p->n_keyring : c->n_keyring;
}

static const struct cfg_keyring *keyring_at(const struct cv_config *c, const struct cfg_ike_profile *p, unsigned i)
{
	return p && p->n_keyring ? p->keyring_ref[i] : &c->keyring[i];
}

/* Does the keyring serve this end point? `special` asks for those with a binding, else for those without. */
static bool serves(const struct cfg_keyring *k, const struct place *at, bool special)
{
	/* a binding names its VRF itself (SAFENET-17); a keyring's own one is another condition */
	bool here = bound(&k->local) ? !k->vrf_ref || in_vrf(at, k->vrf_ref) : in_vrf(at, k->vrf_ref);

	return here && bound(&k->local) == special && binding_has(&k->local, at);
}

static const struct cfg_psk *by_addr(
	const struct cv_config *c, const struct cfg_ike_profile *p, const struct place *at, const struct cv_addr *peer)
{
	const struct cfg_psk *best = NULL;

	/* SAFENET-Q4: bound keyrings go first */
	for (int special = 1; special >= 0 && !best; special--)
		for (unsigned i = 0; i < keyring_count(c, p); i++)
			if (serves(keyring_at(c, p, i), at, special))
				best = keyring_longest(keyring_at(c, p, i), peer, best);
	return best;
}

const struct cfg_psk *config_psk_lookup(const struct cv_config *c, const struct cfg_ike_profile *p,
	const struct cfg_vrf *fvrf, const struct cv_addr *local, const struct cv_addr *peer)
{
	return by_addr(c, p, &(struct place){.vrf = fvrf, .by_object = true, .local = local}, peer);
}

/* The best match decides even when it cannot be used: a more general key is not this peer's. */
static const struct cfg_psk *usable(const struct cfg_psk *psk)
{
	return psk && !psk->sealed ? psk : NULL;
}

const struct cfg_psk *config_psk_by_addr(const struct cv_config *c, const struct cfg_ike_profile *p, uint32_t fvrf,
	const struct cv_addr *local, const struct cv_addr *peer)
{
	return usable(by_addr(c, p, &(struct place){.id = fvrf, .local = local}, peer));
}

static const struct cfg_psk *keyring_named(const struct cfg_keyring *k, const char *name)
{
	for (unsigned j = 0; j < k->n_psk; j++)
		if (k->psk[j].hostname && !strcasecmp(k->psk[j].hostname, name))
			return &k->psk[j];
	return NULL;
}

const struct cfg_psk *config_psk_by_name(const struct cv_config *c, const struct cfg_ike_profile *p, uint32_t fvrf,
	const struct cv_addr *local, const char *name)
{
	const struct place at = {.id = fvrf, .local = local};
	const struct cfg_psk *psk = NULL;

	for (int special = 1; special >= 0; special--)
		for (unsigned i = 0; i < keyring_count(c, p); i++)
			if (serves(keyring_at(c, p, i), &at, special) &&
				(psk = keyring_named(keyring_at(c, p, i), name)))
				return usable(psk);
	return NULL;
}

/* ---- RSA public keys ---- */

/* Is k for this use, and to be preferred to what was found before? */
static bool rsa_better(const struct cfg_rsa_public *k, const struct cfg_rsa_public *best, enum cfg_rsa_usage use)
{
	return k->usage == use || (k->usage == CFG_RSA_GENERAL && !best);
}

typedef bool rsa_fit(const struct cfg_rsa_public *k, const void *arg);

static const struct cfg_rsa_public *rsa_lookup(const struct cv_config *c, const struct cfg_ike_profile *p,
	const struct place *at, enum cfg_rsa_usage use, rsa_fit *fit, const void *arg)
{
	const struct cfg_rsa_public *best = NULL;

	for (int special = 1; special >= 0 && !best; special--)
		for (unsigned i = 0; i < keyring_count(c, p); i++) {
			const struct cfg_keyring *ring = keyring_at(c, p, i);

			for (unsigned j = 0; ring->n_rsa && serves(ring, at, special) && j < ring->n_rsa; j++)
				if (rsa_better(&ring->rsa[j], best, use) && fit(&ring->rsa[j], arg))
					best = &ring->rsa[j];
		}
	return best;
}

static bool rsa_at(const struct cfg_rsa_public *k, const void *peer)
{
	return cv_addr_bits(&k->addr) && cv_addr_eq(&k->addr, peer);
}

static bool rsa_named(const struct cfg_rsa_public *k, const void *name)
{
	return k->hostname && !strcasecmp(k->hostname, name);
}

static bool rsa_nowhere(const struct cfg_rsa_public *k, const void *arg)
{
	(void)arg;
	return k->hostname && !cv_addr_bits(&k->addr);
}

const struct cfg_rsa_public *config_rsa_by_addr(const struct cv_config *c, const struct cfg_ike_profile *p,
	uint32_t fvrf, const struct cv_addr *local, const struct cv_addr *peer, enum cfg_rsa_usage use)
{
	return rsa_lookup(c, p, &(struct place){.id = fvrf, .local = local}, use, rsa_at, peer);
}

const struct cfg_rsa_public *config_rsa_by_name(const struct cv_config *c, const struct cfg_ike_profile *p,
	uint32_t fvrf, const struct cv_addr *local, const char *name, enum cfg_rsa_usage use)
{
	return rsa_lookup(c, p, &(struct place){.id = fvrf, .local = local}, use, rsa_named, name);
}

bool config_rsa_by_name_only(const struct cv_config *c, const struct cfg_ike_profile *p, uint32_t fvrf,
	const struct cv_addr *local, enum cfg_rsa_usage use)
{
	return rsa_lookup(c, p, &(struct place){.id = fvrf, .local = local}, use, rsa_nowhere, NULL) != NULL;
}

bool config_rsa_lookup(const struct cv_config *c, const struct cfg_ike_profile *p, const struct cfg_vrf *fvrf,
	const struct cv_addr *local, const struct cv_addr *peer)
{
	const struct place at = {.vrf = fvrf, .by_object = true, .local = local};

	return rsa_lookup(c, p, &at, CFG_RSA_SIGNATURE, rsa_at, peer) ||
	       rsa_lookup(c, p, &at, CFG_RSA_ENCRYPTION, rsa_at, peer);
}
