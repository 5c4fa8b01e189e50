/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "config_priv.h"
#include "cv_addr.h"
#include "cv_secret.h"

/* A configuration is built once and thrown away whole, so its memory is a list of chunks. Secrets are kept apart
 * from the rest, so that exactly they are zeroed. */
struct chunk {
	struct chunk *next;
	size_t size;
	_Alignas(max_align_t) uint8_t data[];
};
struct cfg_arena {
	struct chunk *plain, *secret;
	size_t used; /* bytes of the newest plain chunk that are given out */
};

#define CHUNK_BYTES 16384u
#define ROUND_UP(n) (((n) + _Alignof(max_align_t) - 1) & ~(_Alignof(max_align_t) - 1))

static struct chunk *chunk_push(struct chunk **head, size_t size)
{
	struct chunk *k = calloc(1, sizeof(*k) + size);

	if (!k)
		abort();
	k->size = size;
	k->next = *head;
	*head = k;
	return k;
}

static void chunks_free(struct chunk *k, bool zero)
{
	while (k) {
		struct chunk *next = k->next;

		if (zero)
			cv_secret_zero(k->data, k->size);
		free(k);
		k = next;
	}
}

struct cv_config *config_new(void)
{
	struct cv_config *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->arena = calloc(1, sizeof(*c->arena));
	if (!c->arena) {
		free(c);
		return NULL;
	}
	c->refs = 1;
	c->ike_enabled = true;
	c->cookie_threshold = 500;
	c->half_open_max = 10000;
	c->cac.scale = 100;
	c->cac.poll_s = 1;
	c->ipsec_lifetime_s = 3600;
	c->ipsec_lifetime_kb = 4608000;
	c->replay_window = CFG_REPLAY_DEFAULT;
	c->df_bit = CFG_DF_COPY;
	c->fragment = CFG_FRAG_BEFORE;
	return c;
}

void *config_alloc(struct cv_config *c, size_t n, size_t size)
{
	struct cfg_arena *a = c->arena;
	size_t bytes;
	void *p;

	if (__builtin_mul_overflow(n, size, &bytes) || bytes > SIZE_MAX / 2)
		abort();
	bytes = ROUND_UP(bytes ? bytes : 1);
	if (!a->plain || a->plain->size - a->used < bytes) {
		chunk_push(&a->plain, bytes > CHUNK_BYTES ? bytes : CHUNK_BYTES);
		a->used = 0;
	}
	p = a->plain->data + a->used;
	a->used += bytes;
	return p;
}

char *config_strdup(struct cv_config *c, const char *s)
{
	size_t len;
	char *p;

	if (!s)
		return NULL;
	len = strlen(s) + 1;
	p = config_alloc(c, len, 1);
	memcpy(p, s, len);
	return p;
}

uint8_t *config_secret(struct cv_config *c, const void *data, size_t len)
{
	struct chunk *k = chunk_push(&c->arena->secret, len ? len : 1);

	memcpy(k->data, data, len);
	return k->data;
}

struct cv_config *config_ref(struct cv_config *c)
{
	c->refs++;
	return c;
}

void config_unref(struct cv_config *c)
{
	if (!c || --c->refs)
		return;
	chunks_free(c->arena->secret, true);
	chunks_free(c->arena->plain, false);
	free(c->arena);
	free(c);
}

/* ---- keys ---- */

static bool keyring_serves(const struct cfg_keyring *k, uint32_t fvrf)
{
	return (k->vrf_ref ? k->vrf_ref->id : CV_VRF_GLOBAL) == fvrf;
}

/* The keyrings to search: the profile's, or all of them when it names none (VRF-23). */
static unsigned keyring_count(const struct cv_config *c, const struct cfg_ike_profile *p)
{
	return p && p->n_keyring ? p->n_keyring : c->n_keyring;
}

static const struct cfg_keyring *keyring_at(const struct cv_config *c, const struct cfg_ike_profile *p, unsigned i)
{
	return p && p->n_keyring ? p->keyring_ref[i] : &c->keyring[i];
}

/* The longer prefix of best and what the keyring has for peer. */
static const struct cfg_psk *keyring_longest(
	const struct cfg_keyring *k, const struct cv_addr *peer, const struct cfg_psk *best)
{
	for (unsigned i = 0; i < k->n_psk; i++) {
		const struct cfg_psk *psk = &k->psk[i];

		if (psk->peer.addr.af != peer->af || !cv_prefix_contains(&psk->peer, peer))
			continue;
		if (!best || psk->peer.len > best->peer.len)
			best = psk;
	}
	return best;
}

/* The best match decides even when it cannot be used: a more general key is not this peer's. */
static const struct cfg_psk *usable(const struct cfg_psk *psk)
{
	return psk && !psk->sealed ? psk : NULL;
}

const struct cfg_psk *config_psk_by_addr(
	const struct cv_config *c, const struct cfg_ike_profile *p, uint32_t fvrf, const struct cv_addr *peer)
{
	const struct cfg_psk *best = NULL;

	for (unsigned i = 0; i < keyring_count(c, p); i++) {
		const struct cfg_keyring *k = keyring_at(c, p, i);

		if (keyring_serves(k, fvrf))
			best = keyring_longest(k, peer, best);
	}
	return usable(best);
}

const struct cfg_psk *config_psk_lookup(const struct cv_config *c, const struct cfg_ike_profile *p,
	const struct cfg_vrf *fvrf, const struct cv_addr *peer)
{
	const struct cfg_psk *best = NULL;

	for (unsigned i = 0; i < keyring_count(c, p); i++) {
		const struct cfg_keyring *k = keyring_at(c, p, i);

		if (k->vrf_ref == fvrf)
			best = keyring_longest(k, peer, best);
	}
	return best;
}

const struct cfg_psk *config_psk_by_name(
	const struct cv_config *c, const struct cfg_ike_profile *p, uint32_t fvrf, const char *name)
{
	for (unsigned i = 0; i < keyring_count(c, p); i++) {
		const struct cfg_keyring *k = keyring_at(c, p, i);

		if (!keyring_serves(k, fvrf))
			continue;
		for (unsigned j = 0; j < k->n_psk; j++)
			if (k->psk[j].hostname && !strcasecmp(k->psk[j].hostname, name))
				return usable(&k->psk[j]);
	}
	return NULL;
}
