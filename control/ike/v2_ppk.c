/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Post-quantum preshared keys (RFC 8784). Both ends announce them in IKE_SA_INIT; in IKE_AUTH the initiator names one
 * and proves itself with keys that it is mixed into, and, unless its profile demands one, without as well. A responder
 * that has the key says so. The keys that encrypt the IKE SA stay as they are; SK_d, and so every child and every
 * successor, depends on it.
 */
#include <stdlib.h>
#include <string.h>

#include "v2_int.h"

#define PPK_ID_FIXED 2 /* RFC 8784 5.1: an identifier that means one key for good */

bool v2_ppk_announced(const struct cfg_ike_profile *p, const struct v2_msg *m)
{
	return p->ppk_mode != CFG_PPK_OFF && v2_find_notify(m, V2_N_USE_PPK);
}

static const struct cfg_ppk *ppk_by_id(const struct cfg_ike_profile *p, const uint8_t *id, size_t len)
{
	for (unsigned i = 0; i < p->n_ppk; i++)
		if (p->ppk_ref[i]->key.p && strlen(p->ppk_ref[i]->id) == len && memcmp(p->ppk_ref[i]->id, id, len) == 0)
			return p->ppk_ref[i];
	return NULL;
}

/* key = prf+ (PPK, key) */
static int mix(const struct v2_sa *sa, const struct cfg_ppk *ppk, uint8_t *key)
{
	uint8_t out[V2_KEY_MAX];
	size_t n = sa->keys.d_len;
	int err = ikec_prf_plus(sa->suite.prf, ppk->key.p, ppk->key.len, key, n, out, n);
	if (!err)
		memcpy(key, out, n);
	cv_secret_zero(out, sizeof(out));
	return err;
}

static bool mix_all(struct v2_sa *sa, const struct cfg_ppk *ppk)
{
	struct v2_proof_keys *p = &sa->setup->proof;
	return mix(sa, ppk, sa->keys.d) == 0 && mix(sa, ppk, p->i) == 0 && mix(sa, ppk, p->r) == 0;
}

static struct v2_no_ppk keys_now(const struct v2_sa *sa)
{
	struct v2_no_ppk k = {.proof = sa->setup->proof};
	memcpy(k.d, sa->keys.d, sizeof(k.d));
	return k;
}

void v2_ppk_swap(struct v2_sa *sa)
{
	struct v2_no_ppk k = keys_now(sa), *other = sa->setup->no_ppk;
	memcpy(sa->keys.d, other->d, sizeof(sa->keys.d));
	sa->setup->proof = other->proof;
	*other = k;
	cv_secret_zero(&k, sizeof(k));
}

static void forget_plain(struct v2_sa *sa)
{
	if (sa->setup->no_ppk)
		cv_secret_zero(sa->setup->no_ppk, sizeof(*sa->setup->no_ppk));
	free(sa->setup->no_ppk);
	sa->setup->no_ppk = NULL;
}

void v2_ppk_fini(struct v2_sa *sa)
{
	forget_plain(sa);
	v2_buf_free(&sa->setup->own_auth_no_ppk);
}

/* ---- initiator ---- */

/* What we name as initiator: the first whose key can be read. */
static const struct cfg_ppk *own_ppk(const struct cfg_ike_profile *p)
{
	for (unsigned i = 0; i < p->n_ppk; i++)
		if (p->ppk_ref[i]->key.p)
			return p->ppk_ref[i];
	return NULL;
}

const char *v2_ppk_begin(struct v2_sa *sa)
{
	const struct cfg_ike_profile *p = sa->sa.profile;
	const struct cfg_ppk *ppk = sa->setup->use_ppk ? own_ppk(p) : NULL;
	if (!ppk)
		return p->ppk_mode == CFG_PPK_REQUIRED ? "the peer uses no post-quantum preshared keys" : NULL;
	sa->setup->no_ppk = malloc(sizeof(*sa->setup->no_ppk));
	if (!sa->setup->no_ppk)
		abort();
	*sa->setup->no_ppk = keys_now(sa);
	return mix_all(sa, ppk) ? NULL : "cannot derive keys";
}

void v2_ppk_enc_request(struct v2_sa *sa, struct v2_enc *e)
{
	uint8_t id[1 + 64] = {PPK_ID_FIXED};
	const struct cfg_ppk *ppk = own_ppk(sa->sa.profile);
	size_t len = ppk ? strlen(ppk->id) : 0;
	if (!sa->setup->no_ppk || !len || len > sizeof(id) - 1)
		return;
	memcpy(id + 1, ppk->id, len);
	v2_enc_notify(e, V2_N_PPK_IDENTITY, id, 1 + len);
	if (sa->setup->own_auth_no_ppk.len)
		v2_enc_notify(e, V2_N_NO_PPK_AUTH, sa->setup->own_auth_no_ppk.p, sa->setup->own_auth_no_ppk.len);
}

const char *v2_ppk_answered(struct v2_sa *sa, const struct v2_msg *m)
{
	if (!sa->setup->no_ppk)
		return NULL;
	sa->ppk_used = v2_find_notify(m, V2_N_PPK_IDENTITY) != NULL;
	if (!sa->ppk_used && sa->sa.profile->ppk_mode == CFG_PPK_REQUIRED)
		return "the peer has not used the post-quantum preshared key";
	if (!sa->ppk_used)
		v2_ppk_swap(sa);
	v2_ppk_fini(sa);
	return NULL;
}

/* ---- responder ---- */

void v2_ppk_pick_auth(const struct v2_sa *sa, struct v2_msg *m)
{
	const struct v2_notify *n = v2_find_notify(m, V2_N_NO_PPK_AUTH);
	if (!sa->sa.initiator && sa->setup->use_ppk && !sa->ppk_used && v2_find_notify(m, V2_N_PPK_IDENTITY) && n)
		m->auth = n->data;
}

const char *v2_ppk_judge(struct v2_sa *sa, struct v2_msg *m)
{
	const struct cfg_ike_profile *p = sa->sa.profile;
	const struct v2_notify *n = sa->setup->use_ppk ? v2_find_notify(m, V2_N_PPK_IDENTITY) : NULL;
	const struct cfg_ppk *ppk = NULL;
	if (n && n->data.len > 1 && p->ppk_mode != CFG_PPK_OFF)
		ppk = ppk_by_id(p, n->data.p + 1, n->data.len - 1);
	if (ppk) {
		sa->ppk_used = true;
		return mix_all(sa, ppk) ? NULL : "cannot derive keys";
	}
	if (p->ppk_mode == CFG_PPK_REQUIRED)
		return n ? "unknown post-quantum preshared key" : "the peer uses no post-quantum preshared key";
	if (n && !v2_find_notify(m, V2_N_NO_PPK_AUTH))
		return "unknown post-quantum preshared key, which the peer demands";
	v2_ppk_pick_auth(sa, m);
	return NULL;
}

void v2_ppk_enc_response(const struct v2_sa *sa, struct v2_enc *e)
{
	if (sa->ppk_used)
		v2_enc_notify(e, V2_N_PPK_IDENTITY, NULL, 0);
}
