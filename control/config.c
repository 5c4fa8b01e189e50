/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
	c->cookie_rate = 1000;
	c->puzzle_threshold = CFG_PUZZLE_NEVER;
	c->puzzle_difficulty = 16;
	c->puzzle_solve_max = 18;
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

uint32_t config_inside_vrf(const struct cfg_ike_profile *p, uint32_t fvrf)
{
	if (p && p->vrf_ref)
		return p->vrf_ref->id;
	return p && p->inside_global ? CV_VRF_GLOBAL : fvrf;
}

const struct cfg_vrf *config_front_vrf(const struct cfg_interface *i)
{
	return i->tunnel ? i->tunnel->vrf_ref : i->vrf_ref;
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
	for (unsigned i = 0; i < c->n_trust_point; i++)
		pki_tp_unref(c->trust_point[i].tp);
	for (unsigned i = 0; i < c->n_rsa_pair; i++) {
		pki_rsa_unref(c->rsa_pair[i].signs);
		pki_rsa_unref(c->rsa_pair[i].decrypts);
	}
	for (unsigned i = 0; i < c->n_keyring; i++)
		for (unsigned j = 0; j < c->keyring[i].n_rsa; j++)
			pki_rsa_unref(c->keyring[i].rsa[j].key);
	chunks_free(c->arena->secret, true);
	chunks_free(c->arena->plain, false);
	free(c->arena);
	free(c);
}

const char *config_entry_path(const struct cfg_map_entry *e, char buf[static ENTRY_PATH_MAX])
{
	const char *name = e->dynamic_map ? e->dynamic_map : e->map->name;

	snprintf(buf, ENTRY_PATH_MAX, PATH_IPSEC "/%s[name='%.64s']/entry[sequence='%u']",
		e->dynamic_map ? "dynamic-map" : "crypto-map", name,
		e->dynamic_map ? e->seq & ((1u << CFG_PLACE_SHIFT) - 1) : e->seq);
	return buf;
}

static int seq_cmp(const void *key, const void *entry)
{
	uint32_t seq = cfg_entry_order(*(const uint32_t *)key),
		 other = cfg_entry_order(((const struct cfg_map_entry *)entry)->seq);

	return (seq > other) - (seq < other);
}

const struct cfg_map_entry *config_entry_find(const struct cv_config *c, const char *map, uint32_t seq)
{
	for (unsigned m = 0; m < c->n_map; m++)
		if (!strcmp(c->map[m].name, map))
			return bsearch(&seq, c->map[m].entry, c->map[m].n_entry, sizeof(*c->map[m].entry), seq_cmp);
	return NULL;
}
