/* SPDX-License-Identifier: BSD-3-Clause */
/* Phase 1 policies (IKE-16..32): what is offered, what is chosen, and which lifetime then applies. */
#include <errno.h>

#include "v1_internal.h"

#define OFFER_MAX 64u	       /* transforms in one offer */
#define FALLBACK_LIFE_S 28800u /* a peer that names no lifetime (RFC 2407 4.5) */
#define LEAST_LIFE_S 60u       /* IKE-22; below it a peer has to look after its own rekeying */

/* The method says as well which end logs in after phase 1. */
static uint16_t auth_number(
	const struct cfg_ike_profile *profile, bool initiator, unsigned methods, enum cfg_ike_auth auth)
{
	if (auth == CFG_AUTH_ECDSA_SIG)
		return (uint16_t)(V1_P1_AUTH_ECDSA_256 + v1_sig_key(profile, auth) - PKI_KEY_EC256);
	enum { NOBODY, INITIATOR, RESPONDER } logs_in = NOBODY;
	static const uint16_t psk[] = {V1_P1_AUTH_PSK, V1_P1_AUTH_XAUTH_INIT_PSK, V1_P1_AUTH_XAUTH_RESP_PSK};
	static const uint16_t rsa[] = {V1_P1_AUTH_RSA_SIG, V1_P1_AUTH_XAUTH_INIT_RSA, V1_P1_AUTH_XAUTH_RESP_RSA};
	static const uint16_t nonces[] = {
		V1_P1_AUTH_RSA_ENCR, V1_P1_AUTH_XAUTH_INIT_RSA_ENCR, V1_P1_AUTH_XAUTH_RESP_RSA_ENCR};
	if (profile->xauth != CFG_XAUTH_OFF && !(auth == CFG_AUTH_PSK && methods & V1_NO_LOGIN))
		logs_in = initiator == (profile->xauth == CFG_XAUTH_CLIENT) ? INITIATOR : RESPONDER;
	return (auth == CFG_AUTH_RSA_SIG ? rsa : auth == CFG_AUTH_RSA_ENCR ? nonces : psk)[logs_in];
}

static unsigned method_of(const struct cfg_ike_policy *p)
{
	return p->auth == CFG_AUTH_RSA_SIG     ? V1_CAN_RSA_SIG
	       : p->auth == CFG_AUTH_RSA_ENCR  ? V1_CAN_RSA_ENCR
	       : p->auth == CFG_AUTH_ECDSA_SIG ? V1_CAN_ECDSA_SIG
					       : V1_CAN_PSK;
}

/* The registry numbers of a policy; false when IKEv1, this build or the configuration cannot use it (IKE-31, 34). */
static bool policy_numbers(const struct cv_config *cfg, const struct cfg_ike_profile *profile, bool initiator,
	unsigned methods, const struct cfg_ike_policy *p, struct v1_p1_attrs *a)
{
	const struct algo_ike *encr = algo_ike_get(ALGO_IKE_ENCR, p->encr, p->key_bits);
	const struct algo_ike *hash = algo_ike_get(ALGO_IKE_PRF, p->hash, 0);
	const struct algo_ike *group = algo_ike_get(ALGO_IKE_GROUP, p->group, 0);
	if (!(methods & method_of(p)) || !encr || !hash || !group || !encr->v1 || !hash->v1 || !group->v1)
		return false;
	if ((encr->legacy || hash->legacy || group->legacy) && !cfg->allow_legacy)
		return false;
	if (!ikec_block_len(p->encr) || !ikec_prf_len(p->hash) || !ikec_group_pub_len(p->group))
		return false;
	*a = (struct v1_p1_attrs){.encr = encr->v1,
		.hash = hash->v1,
		.auth = auth_number(profile, initiator, methods, p->auth),
		.group = group->v1,
		.key_bits = encr->v1 == V1_P1_ENCR_AES ? p->key_bits : 0,
		.life_s = p->lifetime_s};
	return true;
}

bool v1_policy_offer(const struct v1_sa *v, enum ike_group group, struct v1_out *o)
{
	const struct cv_config *cfg = v->sa.ike->cfg;
	struct v1_p1_attrs offer[OFFER_MAX];
	unsigned n = 0;
	for (unsigned i = 0; i < cfg->n_ike_policy && n < OFFER_MAX; i++)
		if (group == IKE_GROUP_NONE || cfg->ike_policy[i].group == group)
			n += policy_numbers(cfg, v->sa.profile, true, v->mm->methods, &cfg->ike_policy[i], &offer[n]);
	v1_out_u32(o, 1); /* IPsec DOI */
	v1_out_u32(o, 1); /* identity only */
	size_t prop = v1_out_prop(o, false, 1, V1_PROTO_ISAKMP, NULL, 0, (uint8_t)n);
	for (unsigned i = 0; i < n; i++) {
		size_t t = v1_out_trans(o, i + 1 < n, (uint8_t)(i + 1), V1_KEY_IKE);
		v1_out_attr(o, V1_P1_ENCR, offer[i].encr);
		if (offer[i].key_bits)
			v1_out_attr(o, V1_P1_KEY_LEN, offer[i].key_bits);
		v1_out_attr(o, V1_P1_HASH, offer[i].hash);
		v1_out_attr(o, V1_P1_AUTH, offer[i].auth);
		v1_out_attr(o, V1_P1_GROUP, offer[i].group);
		v1_out_attr(o, V1_P1_LIFE_TYPE, V1_LIFE_SECONDS);
		v1_out_attr(o, V1_P1_LIFE, offer[i].life_s);
		v1_out_sub_end(o, t);
	}
	v1_out_sub_end(o, prop);
	return n > 0;
}

const struct cfg_ike_policy *v1_policy_first(
	const struct cv_config *cfg, const struct cfg_ike_profile *profile, unsigned methods)
{
	struct v1_p1_attrs a;
	for (unsigned i = 0; i < cfg->n_ike_policy; i++)
		if (policy_numbers(cfg, profile, true, methods, &cfg->ike_policy[i], &a))
			return &cfg->ike_policy[i];
	return NULL;
}

void v1_policy_echo(struct v1_out *o, uint8_t prop_num, const struct v1_trans *t)
{
	v1_out_begin(o, V1_PL_SA);
	v1_out_u32(o, 1);
	v1_out_u32(o, 1);
	size_t p = v1_out_prop(o, false, prop_num, V1_PROTO_ISAKMP, NULL, 0, 1);
	size_t tr = v1_out_trans(o, false, t->num, t->id);
	v1_out_put(o, t->attrs.p, t->attrs.len);
	v1_out_sub_end(o, tr);
	v1_out_sub_end(o, p);
	v1_out_end(o);
}

/* Identical cipher, key length, hash, method and group (IKE-28). AES without a length means 128 bits (IKE-18). */
static bool same_suite(const struct v1_p1_attrs *mine, const struct v1_p1_attrs *theirs)
{
	uint16_t bits = theirs->key_bits;
	if (theirs->encr == V1_P1_ENCR_AES && !bits)
		bits = 128;
	return !theirs->unknown && mine->encr == theirs->encr && mine->key_bits == bits && mine->hash == theirs->hash &&
	       mine->auth == theirs->auth && mine->group == theirs->group;
}

/* The first transform of the offer that is this suite. */
static bool find_offered(struct v1_span sa_body, const struct v1_p1_attrs *mine, uint8_t *prop_num, struct v1_trans *t,
	struct v1_p1_attrs *a)
{
	struct v1_span props = v1_sa_props(sa_body);
	struct v1_prop p;
	while (v1_prop_next(&props, &p)) {
		if (p.proto != V1_PROTO_ISAKMP)
			continue;
		while (v1_trans_next(&p.transforms, t)) {
			v1_p1_attrs_read(t->attrs, a);
			if (t->id == V1_KEY_IKE && same_suite(mine, a)) {
				*prop_num = p.num;
				return true;
			}
		}
	}
	return false;
}

const struct cfg_ike_policy *v1_policy_choose(const struct cv_config *cfg, const struct cfg_ike_profile *profile,
	unsigned methods, struct v1_span sa_body, uint8_t *prop_num, struct v1_trans *t, struct v1_p1_attrs *a)
{
	struct v1_p1_attrs mine;
	for (unsigned i = 0; i < cfg->n_ike_policy; i++)
		if (policy_numbers(cfg, profile, false, methods, &cfg->ike_policy[i], &mine) &&
			find_offered(sa_body, &mine, prop_num, t, a))
			return &cfg->ike_policy[i];
	return NULL;
}

const struct cfg_ike_policy *v1_policy_answer(const struct v1_sa *v, struct v1_span sa_body, struct v1_p1_attrs *a)
{
	const struct cv_config *cfg = v->sa.ike->cfg;
	struct v1_span props = v1_sa_props(sa_body);
	struct v1_prop p;
	struct v1_trans t;
	struct v1_p1_attrs mine;
	if (!v1_prop_next(&props, &p) || props.len || p.proto != V1_PROTO_ISAKMP)
		return NULL;
	if (!v1_trans_next(&p.transforms, &t) || p.transforms.len || t.id != V1_KEY_IKE)
		return NULL;
	v1_p1_attrs_read(t.attrs, a);
	for (unsigned i = 0; i < cfg->n_ike_policy; i++)
		if (policy_numbers(cfg, v->sa.profile, true, v->mm->methods, &cfg->ike_policy[i], &mine) &&
			same_suite(&mine, a))
			return &cfg->ike_policy[i];
	return NULL;
}

uint32_t v1_policy_lifetime(const struct cfg_ike_policy *p, const struct v1_p1_attrs *a)
{
	uint32_t theirs = a->life_s ? a->life_s : FALLBACK_LIFE_S;
	if (theirs < LEAST_LIFE_S)
		theirs = LEAST_LIFE_S;
	return theirs < p->lifetime_s ? theirs : p->lifetime_s;
}

int v1_policy_apply(struct v1_sa *v, const struct cfg_ike_policy *p, const struct v1_p1_attrs *a)
{
	size_t key_len = p->encr == IKE_ENCR_3DES ? 24 : p->key_bits / 8;
	v->group = p->group;
	v->sig_key = v1_sig_key(v->sa.profile, p->auth);
	v->no_login = p->auth == CFG_AUTH_PSK && v->mm->methods & V1_NO_LOGIN;
	v->nonces = p->auth == CFG_AUTH_RSA_ENCR;
	v->lifetime_s = v1_policy_lifetime(p, a);
	if (v->nonces && !v1_nonce_apply(v))
		return -ENOKEY;
	return v1_keys_init(&v->k, p->encr, key_len, p->hash);
}
