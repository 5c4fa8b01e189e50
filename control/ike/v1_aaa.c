/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What AAA servers decide for IKEv1 (VRF-34, VRF-41): the preshared key of a peer that calls itself by a name in
 * aggressive mode (AGGR-1, 7..9), and whether a login is good. An SA that waits for them is one like any other that is
 * half-open: admission control has counted it, and it ends when its time is over.
 */
#include <stdlib.h>
#include <string.h>

#include "v1_internal.h"

/* Where the question is about. */
static struct radius_query question(const struct v1_sa *v, const char *user)
{
	return (struct radius_query){.user = user, .nas = v->sa.path.local, .calling = v->sa.path.remote};
}

static bool ask(struct v1_sa *v, const struct cfg_aaa_group *g, const struct radius_query *q, aaa_done *done)
{
	struct ike *ike = v->sa.ike;
	v->aaa = ike->ops.aaa_ask ? ike->ops.aaa_ask(ike->ctx, g, q, done, v) : 0;
	return v->aaa != 0;
}

void v1_aaa_free(struct v1_sa *v)
{
	if (v->aaa)
		v->sa.ike->ops.aaa_cancel(v->sa.ike->ctx, v->aaa);
	v->aaa = 0;
	free(v->given);
	v->given = NULL;
}

/* The question of this SA is over; NULL when the SA is, too. */
static struct v1_sa *answered(void *arg)
{
	struct v1_sa *v = arg;
	v->aaa = 0;
	return v->sa.dead ? NULL : v;
}

/* ---- keys ---- */

/* The name that AAA knows a peer by (AGGR-5, AGGR-8); false when it has none. */
static bool user_name(const struct ike_id *id, char name[RADIUS_TEXT_MAX + 1])
{
	bool text = id->type == IKE_ID_FQDN || id->type == IKE_ID_RFC822_ADDR || id->type == IKE_ID_KEY_ID;
	if (id->type == IKE_ID_IPV4_ADDR || id->type == IKE_ID_IPV6_ADDR) {
		ike_id_str(id, name, RADIUS_TEXT_MAX + 1);
		return true;
	}
	if (!text || !id->len || id->len > RADIUS_TEXT_MAX || memchr(id->data, 0, id->len))
		return false;
	memcpy(name, id->data, id->len);
	name[id->len] = 0;
	return true;
}

bool v1_aaa_has_keys(const struct cfg_ike_profile *p, const struct ike_id *id)
{
	char name[RADIUS_TEXT_MAX + 1];
	return p->aaa_authorization_ref && p->aaa_password.p && user_name(id, name);
}

static void key_answer(void *arg, enum aaa_verdict verdict, const struct radius_answer *a)
{
	struct v1_sa *v = answered(arg);
	if (!v)
		return;
	struct ike *ike = v->sa.ike;
	ike_enter(ike);
	if (verdict == AAA_ACCEPT && a->key_len) {
		memcpy(v->mm->aaa_key, a->key, a->key_len);
		v->mm->aaa_psk = (struct cfg_psk){.key = v->mm->aaa_key, .key_len = a->key_len};
	}
	cv_debug("ike", "IKEv1: AAA authorization: %s",
		verdict == AAA_NO_ANSWER ? "no server answers"
		: verdict == AAA_REJECT	 ? "refused"
		: v->mm->aaa_psk.key	 ? "a preshared key"
					 : "no preshared key"); /* AGGR-14 */
	if (v->mm->aaa_psk.key)
		v1_aggr_key_ready(v);
	else
		v1_fail(v, verdict == AAA_NO_ANSWER ? V1_NO_AAA : "AAA has no preshared key for the peer");
	ike_leave(ike);
}

void v1_aaa_key(struct v1_sa *v)
{
	char name[RADIUS_TEXT_MAX + 1] = "";
	struct radius_query q = question(v, name);
	const struct cfg_ike_profile *p = v->sa.profile;
	q.outbound = true;
	q.password = p->aaa_password.p;
	q.password_len = p->aaa_password.len;
	if (!user_name(&v->id_peer, name) || !ask(v, p->aaa_authorization_ref, &q, key_answer))
		v1_fail(v, V1_NO_AAA);
}

/* ---- logins ---- */

/* What the server gives with its yes: kept for mode configuration (VRF-34). */
static void keep_settings(struct v1_sa *v, const struct radius_answer *a)
{
	free(v->given);
	v->given = NULL;
	if (!a->address.af && !a->n_dns && !a->domain[0])
		return;
	v->given = calloc(1, sizeof(*v->given));
	if (!v->given)
		return;
	v->given->address = a->address;
	v->given->n_dns = a->n_dns;
	memcpy(v->given->dns, a->dns, sizeof(a->dns));
	memcpy(v->given->domain, a->domain, sizeof(a->domain));
}

static void login_answer(void *arg, enum aaa_verdict verdict, const struct radius_answer *a)
{
	struct v1_sa *v = answered(arg);
	if (!v)
		return;
	struct ike *ike = v->sa.ike;
	ike_enter(ike);
	if (verdict == AAA_ACCEPT)
		keep_settings(v, a);
	v1_xauth_judged(v, verdict);
	ike_leave(ike);
}

bool v1_aaa_login(struct v1_sa *v, struct v1_span password)
{
	struct radius_query q = question(v, v->xauth_user);
	q.password = password.p;
	q.password_len = password.len;
	return ask(v, v->sa.profile->aaa_authentication_ref, &q, login_answer);
}
