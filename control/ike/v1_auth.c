/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Main mode messages 5 and 6: identities and the proof of the preshared key (RFC 2409 5.4); signatures: v1_sig.c. A
 * message that does not decrypt or does not prove itself is counted and dropped: whoever sent it, the right one may
 * still come (IKE-54 then shows in the reason when the negotiation times out).
 */
#include <stdlib.h>
#include <string.h>

#include "v1_internal.h"

size_t v1_own_id(struct v1_sa *v, uint8_t body[V1_ID_HEAD + IKE_ID_MAX])
{
	ike_id_own(v->sa.ike->cfg, v->sa.profile, &v->sa.path.local, v->own_tp, &v->id_local);
	memset(body, 0, V1_ID_HEAD); /* protocol and port zero (RFC 2407 4.6.2, RFC 3947 4) */
	body[0] = v->id_local.type;
	memcpy(body + V1_ID_HEAD, v->id_local.data, v->id_local.len);
	return V1_ID_HEAD + v->id_local.len;
}

enum ike_prf v1_auth_prf(const struct v1_sa *v)
{
	static const enum ike_prf of_curve[] = {IKE_PRF_HMAC_SHA256, IKE_PRF_HMAC_SHA384, IKE_PRF_HMAC_SHA512};
	return v->sig_key >= PKI_KEY_EC256 && v->sig_key <= PKI_KEY_EC521 ? of_curve[v->sig_key - PKI_KEY_EC256]
									  : v->k.prf;
}

int v1_auth_hash(const struct v1_sa *v, bool initiator, struct v1_span id_b, uint8_t *out)
{
	const struct v1_mm *mm = v->mm;
	enum ike_prf prf = v1_auth_prf(v);
	struct v1_span gi = v1_span_of(mm->ke_i.p, mm->ke_i.len), gr = v1_span_of(mm->ke_r.p, mm->ke_r.len);
	struct v1_span sai = v1_span_of(mm->sai_b, mm->sai_len);
	if (initiator)
		return v1_hash_auth(&v->k, prf, gi, gr, v1_cky_i(v), v1_cky_r(v), sai, id_b, out);
	return v1_hash_auth(&v->k, prf, gr, gi, v1_cky_r(v), v1_cky_i(v), sai, id_b, out);
}

/* No SA with this peer at all: it may forget whatever it still has of an earlier life of ours. */
static bool first_contact(const struct v1_sa *v)
{
	struct ike_sa *o = NULL;
	while ((o = ike_sa_next_by_addr(v->sa.ike, v->sa.path.vrf, &v->sa.peer, o)))
		if (o != &v->sa && (o->phase == IKE_PHASE_ESTABLISHED || !TAILQ_EMPTY(&o->children)))
			return false;
	return true;
}

static void auth_timer(struct ike *ike, struct ike_timer *t)
{
	struct v1_sa *v = IKE_CONTAINER(t, struct v1_sa, tx.timer);
	(void)ike;
	if (!(v->sa.fail_reason && v->tx.repeats > 0) && v1_tx_repeat(v, &v->tx))
		v1_tx_arm(v, &v->tx, auth_timer);
	else
		v1_fail(v, v->sa.fail_reason ? v->sa.fail_reason : "no answer to the authentication");
}

const char *v1_wrong_proof(const struct v1_sa *v)
{
	return v->sig_key ? V1_WRONG_CERT : v->nonces ? V1_WRONG_RSA : V1_WRONG_KEY;
}

static void suspect_key(struct v1_sa *v)
{
	char text[CV_ADDR_STR];
	v->sa.ike->stats.auth_failed++;
	if (v->sa.fail_reason)
		return;
	v->sa.fail_reason = v1_wrong_proof(v);
	cv_notice("ike", "IKEv1: %s: %s", cv_addr_str(&v->sa.path.remote, text), v->sa.fail_reason);
}

void v1_auth_doubt(struct v1_sa *v)
{
	/* perhaps an early bird behind message 6: so one more try */
	if (v->sa.initiator && v->mm && !v->mm->busy)
		suspect_key(v);
}

void v1_put_contact(const struct v1_sa *v, struct v1_out *o)
{
	uint8_t cookies[2 * V1_COOKIE_LEN];
	if (!v->sa.initiator || !first_contact(v))
		return;
	memcpy(cookies, v1_cky_i(v), V1_COOKIE_LEN);
	memcpy(cookies + V1_COOKIE_LEN, v1_cky_r(v), V1_COOKIE_LEN);
	v1_out_notify(o, V1_PROTO_ISAKMP, V1_N_INITIAL_CONTACT, cookies, sizeof(cookies), NULL, 0);
}

bool v1_auth_transmit(struct v1_sa *v, struct v1_out *o)
{
	if (v1_seal(&v->k, v->k.iv, o) || v1_tx_send(v, &v->tx, o))
		return false;
	if (v->sa.initiator && !v->aggressive) /* its message 3 has no answer */
		v1_tx_arm(v, &v->tx, auth_timer);
	return true;
}

static bool auth_send(struct v1_sa *v)
{
	struct v1_out o;
	uint8_t id[V1_ID_HEAD + IKE_ID_MAX], hash[IKEC_PRF_MAX];
	size_t id_len = v1_own_id(v, id);
	v1_begin(v, &o, V1_EX_MAIN, V1_FLAG_ENCRYPTED, 0);
	if (!v->nonces) /* those have shown it already */
		v1_out_payload(&o, V1_PL_ID, id, id_len);
	if (v1_auth_hash(v, v->sa.initiator, v1_span_of(id, id_len), hash))
		return false;
	v1_out_payload(&o, V1_PL_HASH, hash, v->k.hash_len);
	v1_put_contact(v, &o);
	return v1_auth_transmit(v, &o);
}

void v1_auth_start(struct v1_sa *v)
{
	if (v->sig_key)
		v1_sig_start(v);
	else if (!auth_send(v))
		v1_fail(v, "encryption failed");
}

void v1_take_id(struct ike_id *id, struct v1_span body)
{
	struct v1_id w = v1_id_read(body);
	id->type = w.type;
	id->len = (uint16_t)(w.data.len < IKE_ID_MAX ? w.data.len : IKE_ID_MAX);
	memcpy(id->data, w.data.p, id->len);
}

/*
 * The identity must fit the profile the key came from (VRF-25); a profile without match statements was chosen by
 * address and takes any. Another entry for the same peer whose profile does match takes over.
 */
bool v1_identity_ok(struct v1_sa *v)
{
	const struct cfg_map_entry *e[IKE_ENTRIES_MAX];
	const struct cfg_ike_profile *p = v->sa.profile;
	if (!p)
		return false;
	/* maps have no effect on a peer that we have called and that has no certificate (CERTMAP-8) */
	bool any = !p->n_match && (!p->n_match_cert || (v->sa.initiator && !v->sig_key));
	if (any || v->mm->by_map || ike_id_matches(p, v->sa.path.vrf, &v->id_peer))
		return true;
	if (v->sa.initiator)
		return false;
	const struct cfg_psk *used = ike_psk_for(v->sa.ike, p, &v->sa.path, &v->sa.peer, NULL);
	unsigned n = ike_entries_for(v->sa.ike, &ike_v1, &v->sa.path, &v->sa.peer, e, IKE_ENTRIES_MAX);
	for (unsigned i = 0; i < n; i++) {
		p = e[i]->profile_ref;
		if (!ike_id_matches(p, v->sa.path.vrf, &v->id_peer))
			continue;
		const struct cfg_psk *k = ike_psk_for(v->sa.ike, p, &v->sa.path, &v->sa.peer, NULL);
		if (v->sig_key	    ? !v1_sig_same_key(v, p)
			: v->nonces ? !v1_nonce_same_key(v, p)
				    : !k || !used || k->key_len != used->key_len ||
					      cv_secret_cmp(k->key, used->key, k->key_len))
			continue;
		v->sa.entry = e[i];
		v->sa.profile = p;
		return true;
	}
	return false;
}

void v1_bad_auth(struct v1_sa *v, const struct ike_path *path, bool natt, const struct v1_hdr *h)
{
	v->sa.bad++;
	if (!v->sa.fail_reason)
		v1_notify_clear(v->sa.ike, path, natt, h, V1_N_AUTHENTICATION_FAILED); /* once: it is not protected */
	suspect_key(v);
}

void v1_identity_refused(struct v1_sa *v, const struct ike_path *path, bool natt, const struct v1_hdr *h)
{
	char text[IKE_ID_MAX + 1];
	cv_notice("ike", "IKEv1: identity %s of the peer fits no profile", ike_id_str(&v->id_peer, text, sizeof(text)));
	v->sa.ike->stats.auth_failed++;
	v1_notify_clear(v->sa.ike, path, natt, h, V1_N_INVALID_ID_INFORMATION);
	v1_fail(v, "identity of the peer not accepted");
}

bool v1_has_notify(const struct v1_msg *m, uint16_t type)
{
	const struct v1_payload *p;
	for (unsigned i = 0; (p = v1_find(m, V1_PL_NOTIFY, i)); i++)
		if (v1_notify_read(p->body).type == type)
			return true;
	return false;
}

/* Tell an initiator that asked for more which lifetime applies (VRF-43). */
static void tell_lifetime(struct v1_sa *v)
{
	uint8_t attrs[16], cookies[2 * V1_COOKIE_LEN];
	size_t n = v1_lifetime_attrs(attrs, sizeof(attrs), V1_P1_LIFE_TYPE, v->lifetime_s, 0);
	memcpy(cookies, v1_cky_i(v), V1_COOKIE_LEN);
	memcpy(cookies + V1_COOKIE_LEN, v1_cky_r(v), V1_COOKIE_LEN);
	v1_notify(v, V1_PROTO_ISAKMP, V1_N_RESPONDER_LIFETIME, cookies, sizeof(cookies), attrs, n);
}

void v1_limit_lifetime(struct v1_sa *v, const struct pki_peer *cert)
{
	int64_t valid = pki_peer_valid_s(cert);
	if (valid < v->lifetime_s) /* no longer than its certificate, yet long enough to be replaced in order */
		v->lifetime_s = valid > 60 ? (uint32_t)valid : 60;
}

void v1_auth_done(struct v1_sa *v)
{
	bool longer = v->mm->longer;
	if (v->mm->learned)
		v1_limit_lifetime(v, v->mm->learned);
	if (!v->sig_key)
		ike_proof_take(&v->sa, v->mm->learned, &v->id_peer);
	v1_mm_free(v);
	v->sa.fail_reason = NULL;
	v->sa.state = V1_CONF_XAUTH;
	if (!v->sa.initiator && longer)
		tell_lifetime(v);
	v1_cfg_next(v);
}

void v1_auth_proved(struct v1_sa *v, const struct ike_path *path, bool natt, const struct v1_msg *m,
	const uint8_t *data, const uint8_t next_iv[V1_IV_MAX])
{
	memcpy(v->k.iv, next_iv, V1_IV_MAX);
	ike_timer_stop(v->sa.ike, &v->tx.timer);
	v1_tx_note_rx(&v->tx, data, m->h.len);
	if (v1_has_notify(m, V1_N_INITIAL_CONTACT))
		v1_initial_contact(v);
	if (!v->sa.initiator) {
		/* the initiator may have moved to 4500 with this message (RFC 3947 4) */
		v->sa.path = *path;
		v->sa.natt = natt;
	}
	v->sa.last_rx_ms = ike_now(v->sa.ike);
	v->sa.rx++;
}

/* The identity that message 5 or 6 proves: in it, or encrypted before. */
static struct v1_span id_proved(const struct v1_sa *v, const struct v1_msg *m)
{
	const struct v1_payload *id = v1_find(m, V1_PL_ID, 0);
	if (v->nonces)
		return v1_span_of(v->mm->id_peer, v->mm->id_peer_len);
	return id ? id->body : v1_span_of(NULL, 0);
}

void v1_auth_input(struct v1_sa *v, const struct ike_path *path, bool natt, const struct v1_hdr *h, const uint8_t *data)
{
	uint8_t buf[V1_MSG_MAX], next[V1_IV_MAX], want[IKEC_PRF_MAX];
	struct v1_msg m;
	struct v1_span id;
	const struct v1_payload *hash;
	if (v->sig_key) {
		v1_sig_input(v, path, natt, h, data);
		return;
	}
	if (v1_decrypt(v, v->k.iv, h, data, buf, next, &m) || !(id = id_proved(v, &m)).len ||
		!(hash = v1_find(&m, V1_PL_HASH, 0)) || hash->body.len != v->k.hash_len ||
		v1_auth_hash(v, !v->sa.initiator, id, want) || cv_secret_cmp(want, hash->body.p, v->k.hash_len) != 0) {
		v1_bad_auth(v, path, natt, h);
		return;
	}
	v1_take_id(&v->id_peer, id);
	if ((v->nonces && !v1_nonce_proven(v)) || !v1_identity_ok(v)) {
		v1_identity_refused(v, path, natt, h);
		return;
	}
	v1_auth_proved(v, path, natt, &m, data, next);
	if (v->sa.initiator || auth_send(v))
		v1_auth_done(v);
	else
		v1_fail(v, "encryption failed");
}
