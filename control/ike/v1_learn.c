/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Public keys learned from certificates in negotiations with signatures, for encrypted nonces in later ones (IKE-40,
 * IKE-41). A key is good for the peer, the address and the trust points it was learned with, for a day or until its
 * certificate expires, and until the configuration changes: whether a certificate has been revoked is looked at when it
 * is shown. Profiles that choose peers by certificate maps do without: a map has to see the certificate every time.
 */
#include <stdlib.h>
#include <string.h>

#include "v1_internal.h"

#define LEARNED_MAX 1024u
#define LEARNED_MS (86400u * 1000u)

TAILQ_HEAD(v1_learned_list, v1_learned);
struct v1_learned {
	TAILQ_ENTRY(v1_learned) link; /* the latest first */
	uint32_t vrf;
	struct cv_addr addr;
	struct ike_id id;
	const struct cfg_ike_profile *profile;
	struct pki_peer *peer;
	struct pki_rsa *key;
	bool special; /* the key only encrypts (IKE-42) */
	uint64_t until_ms;
};
struct v1_lore {
	struct v1_learned_list list;
	unsigned n;
};

static void forget(struct v1_lore *all, struct v1_learned *l)
{
	TAILQ_REMOVE(&all->list, l, link);
	all->n--;
	pki_peer_free(l->peer);
	pki_rsa_unref(l->key);
	free(l);
}

void ike_learned_free(struct ike *ike)
{
	while (ike->lore && ike->lore->n)
		forget(ike->lore, TAILQ_FIRST(&ike->lore->list));
	free(ike->lore);
	ike->lore = NULL;
}

static struct v1_lore *lore_of(struct ike *ike)
{
	if (!ike->lore) {
		ike->lore = calloc(1, sizeof(*ike->lore));
		if (ike->lore)
			TAILQ_INIT(&ike->lore->list);
	}
	return ike->lore;
}

bool v1_learns(const struct v1_sa *v)
{
	return v->sa.profile && !v->sa.profile->n_match_cert && v1_nonce_wanted(v->sa.ike);
}

void v1_learn(struct v1_sa *v, struct pki_peer *peer, bool special)
{
	struct ike *ike = v->sa.ike;
	int64_t valid_s = pki_peer_valid_s(peer);
	struct pki_rsa *key = NULL;
	if (!v1_learns(v) || valid_s <= 0 || !(key = pki_rsa_of_peer(peer)))
		return;
	struct v1_lore *all = lore_of(ike);
	struct v1_learned *l = all ? calloc(1, sizeof(*l)) : NULL, *old, *next;
	if (!l) {
		pki_rsa_unref(key);
		return;
	}
	*l = (struct v1_learned){.vrf = v->sa.path.vrf,
		.addr = v->sa.peer,
		.id = v->id_peer,
		.profile = v->sa.profile,
		.peer = pki_peer_ref(peer),
		.key = key,
		.special = special,
		.until_ms = ike_now(ike) + (valid_s < LEARNED_MS / 1000 ? (uint64_t)valid_s * 1000 : LEARNED_MS)};
	TAILQ_FOREACH_SAFE(old, &all->list, link, next)
	if (old->vrf == l->vrf && cv_addr_eq(&old->addr, &l->addr) && ike_id_eq(&old->id, &l->id))
		forget(all, old);
	if (all->n == LEARNED_MAX)
		forget(all, TAILQ_LAST(&all->list, v1_learned_list));
	TAILQ_INSERT_HEAD(&all->list, l, link);
	all->n++;
}

const struct v1_learned *v1_learned(const struct ike *ike, const struct cfg_ike_profile *p, const struct ike_path *path,
	const struct cv_addr *addr, const struct ike_id *id)
{
	struct v1_learned *l;
	if (!ike->lore || p->n_match_cert)
		return NULL;
	TAILQ_FOREACH (l, &ike->lore->list, link)
		if (l->vrf == path->vrf && cv_addr_eq(&l->addr, addr) && (!id || ike_id_eq(&l->id, id)) &&
			l->until_ms > ike_now(ike) && v1_sig_same_trust(l->profile, p))
			return l;
	return NULL;
}

struct pki_rsa *v1_learned_key(const struct v1_learned *l)
{
	return l->key;
}

struct pki_peer *v1_learned_peer(const struct v1_learned *l)
{
	return l->peer;
}

json_t *ike_show_learned(const struct ike *ike)
{
	const struct v1_learned *l;
	json_t *list = json_array();
	char text[IKE_ID_MAX + 1];
	if (!ike->lore)
		return list;
	TAILQ_FOREACH (l, &ike->lore->list, link) {
		char addr[CV_ADDR_STR];
		if (l->until_ms <= ike_now(ike))
			continue;
		json_array_append_new(
			list, json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:I}", "code", "C", "usage",
				      l->special ? "encryption" : "general", "address", cv_addr_str(&l->addr, addr),
				      "name", ike_id_str(&l->id, text, sizeof(text)), "profile", l->profile->name,
				      "bits", (json_int_t)pki_rsa_len(l->key) * 8, "seconds_left",
				      (json_int_t)((l->until_ms - ike_now(ike)) / 1000)));
	}
	return list;
}
