/* SPDX-License-Identifier: BSD-3-Clause */
/* What main mode and aggressive mode share: the SA in the making, public values and nonces, keys, who the peer may be.
 */
#include <stdlib.h>
#include <string.h>

#include "v1_internal.h"

void v1_mm_free(struct v1_sa *v)
{
	if (!v->mm)
		return;
	if (v->mm->dh)
		ikec_dh_free(v->mm->dh);
	free(v->mm->sai_b);
	free(v->mm->msg2);
	pki_rsa_unref(v->mm->own_rsa);
	pki_rsa_unref(v->mm->peer_rsa);
	pki_peer_free(v->mm->learned);
	v1_nonce_free(v->mm->sealed);
	cv_secret_zero(v->mm, sizeof(*v->mm));
	free(v->mm);
	v->mm = NULL;
}

bool v1_keep_sai(struct v1_mm *mm, const uint8_t *p, size_t len)
{
	mm->sai_b = malloc(len);
	if (!mm->sai_b)
		return false;
	memcpy(mm->sai_b, p, len);
	mm->sai_len = len;
	return true;
}

struct v1_sa *v1_sa_new(struct ike *ike, const struct cfg_map_entry *entry, const struct ike_path *path, bool natt)
{
	struct ike_sa *sa = ike_sa_new(ike, &ike_v1, sizeof(struct v1_sa));
	struct v1_sa *v = v1_of(sa);
	if (!sa)
		return NULL;
	TAILQ_INIT(&v->qms);
	v->mm = calloc(1, sizeof(*v->mm));
	if (!v->mm) {
		ike_sa_destroy(sa, NULL);
		return NULL;
	}
	sa->path = *path;
	sa->natt = natt;
	sa->peer = path->remote;
	sa->entry = entry;
	sa->profile = entry->profile_ref;
	sa->state = V1_MM_NO_STATE;
	return v;
}

static void own_ke(struct v1_ke *ke, const struct ikec_dh *dh)
{
	ke->len = (uint16_t)ikec_group_pub_len(ikec_dh_group(dh));
	memcpy(ke->p, ikec_dh_pub(dh), ke->len);
}

void v1_nonce_new(struct v1_buf *nonce)
{
	nonce->len = V1_NONCE_LEN;
	ikec_random(nonce->p, nonce->len);
}

void v1_put_ke(struct v1_out *o, const struct v1_ke *ke, const struct v1_buf *nonce)
{
	v1_out_payload(o, V1_PL_KE, ke->p, ke->len);
	v1_out_payload(o, V1_PL_NONCE, nonce->p, nonce->len);
}

bool v1_take_ke(struct v1_sa *v, const struct v1_msg *m, struct v1_ke *ke, struct v1_buf *nonce)
{
	const struct v1_payload *k = v1_find(m, V1_PL_KE, 0), *n = v1_find(m, V1_PL_NONCE, 0);
	if (!k || !n || v1_count(m, V1_PL_KE) != 1 || v1_count(m, V1_PL_NONCE) != 1 ||
		k->body.len != ikec_group_pub_len(v->group) || !v1_buf_set(nonce, n->body)) {
		v->sa.ike->stats.rx_malformed++;
		return false;
	}
	ke->len = (uint16_t)k->body.len;
	memcpy(ke->p, k->body.p, k->body.len);
	return true;
}

bool v1_begin_ke(struct v1_sa *v, struct v1_dh *d)
{
	v->mm->busy = false;
	if (d->err) {
		v1_fail(v, "Diffie-Hellman failed");
		return false;
	}
	v->mm->dh = d->dh;
	d->dh = NULL;
	own_ke(&v->mm->ke_i, v->mm->dh);
	v1_nonce_new(&v->mm->ni);
	return true;
}

bool v1_answer_ke(struct v1_sa *v, const struct v1_dh *d, struct v1_ke *ke, struct v1_buf *nonce)
{
	v->mm->busy = false;
	if (d->err) {
		v1_fail(v, "invalid Diffie-Hellman value from peer");
		return false;
	}
	own_ke(ke, d->dh);
	v1_nonce_new(nonce);
	return true;
}

const struct cfg_psk *v1_psk_by_addr(const struct v1_sa *v)
{
	return ike_psk_for(v->sa.ike, v->sa.profile, &v->sa.path, &v->sa.peer, NULL);
}

/* What the method of authentication makes of the nonces (RFC 2409 5). */
static int skeyid(struct v1_sa *v, const struct cfg_psk *psk, struct v1_span gxy)
{
	const struct v1_mm *mm = v->mm;
	struct v1_span ni = v1_span_of(mm->ni.p, mm->ni.len), nr = v1_span_of(mm->nr.p, mm->nr.len);
	if (v->sig_key)
		return v1_keys_sig(&v->k, ni, nr, gxy);
	if (v->nonces)
		return v1_keys_nonce(&v->k, ni, nr, v1_cky_i(v), v1_cky_r(v));
	return v1_keys_psk(&v->k, v1_span_of(psk->key, psk->key_len), ni, nr);
}

bool v1_derive(struct v1_sa *v, const struct cfg_psk *psk, const struct v1_dh *d)
{
	struct v1_mm *mm = v->mm;
	struct v1_span gxy = v1_span_of(d->secret, d->secret_len);
	if (!psk && !v->sig_key && !v->nonces) {
		v1_fail(v, "no preshared key for the peer");
		return false;
	}
	if (skeyid(v, psk, gxy) || v1_keys_derive(&v->k, gxy, v1_cky_i(v), v1_cky_r(v)) ||
		v1_keys_iv1(&v->k, v1_span_of(mm->ke_i.p, mm->ke_i.len), v1_span_of(mm->ke_r.p, mm->ke_r.len))) {
		v1_fail(v, "key derivation failed");
		return false;
	}
	return true;
}

static void patience_over(struct ike *ike, struct ike_timer *t)
{
	struct v1_sa *v = IKE_CONTAINER(t, struct v1_sa, wait);
	(void)ike;
	v1_fail(v, v->sa.fail_reason ? v->sa.fail_reason : "negotiation timed out");
}

void v1_patience(struct v1_sa *v)
{
	v->wait.fire = patience_over;
	ike_timer_set(v->sa.ike, &v->wait, ike_now(v->sa.ike) + V1_HALF_OPEN_MS);
}

struct v1_sa *v1_respond(struct ike *ike, const struct ike_path *path, bool natt, const struct v1_hdr *h,
	const struct cfg_map_entry *entry, unsigned methods, const struct v1_payload *sa, struct v1_accepted *out)
{
	out->policy = v1_policy_choose(
		ike->cfg, entry->profile_ref, methods, sa->body, &out->prop_num, &out->trans, &out->attrs);
	if (!out->policy) {
		ike->stats.no_proposal_chosen++;
		ike_event(ike, IKE_EVT_FAILED, NULL, path, entry, "no proposal chosen");
		v1_notify_clear(ike, path, natt, h, V1_N_NO_PROPOSAL_CHOSEN);
		return NULL;
	}
	struct v1_sa *v = ike_cac_admit(ike, path, false) ? v1_sa_new(ike, entry, path, natt) : NULL;
	if (!v)
		return NULL;
	ike->stats.sa_responded++;
	v->mm->methods = methods;
	memcpy(v->sa.spi_i, h->icookie, V1_COOKIE_LEN);
	ike_spi_new(ike, v->sa.spi_r);
	ike_sa_link(&v->sa);
	v1_patience(v);
	return v;
}

bool v1_offer(struct v1_sa *v, struct v1_out *o, enum ike_group group)
{
	v1_out_begin(o, V1_PL_SA);
	size_t body = o->len;
	bool any = v1_policy_offer(v, group, o);
	v1_out_end(o);
	if (!any)
		cv_notice("ike", "IKEv1: no policy can be offered to the peer");
	return any && !o->overflow && v1_keep_sai(v->mm, o->buf + body, o->len - body);
}

const struct cfg_map_entry *v1_entry_for_peer(
	struct ike *ike, const struct ike_path *path, v1_entry_fit *fit, const struct ike_id *id)
{
	const struct cfg_map_entry *e[IKE_ENTRIES_MAX];
	unsigned n = ike_entries_for(ike, &ike_v1, path, &path->remote, e, IKE_ENTRIES_MAX);
	for (int dynamic = 0; dynamic < 2; dynamic++)
		for (unsigned i = 0; i < n; i++)
			if ((dynamic ? config_profile_selects(e[i]->profile_ref)
				     : ike_entry_has_peer(e[i], &path->remote)) &&
				fit(ike, e[i]->profile_ref, path, id))
				return e[i];
	return NULL;
}
