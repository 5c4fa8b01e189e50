/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Aggressive mode (RFC 2409 5.1, 5.4; IKE-10..15, AGGR-*): three messages, of which the first two show both identities
 * and, with a preshared key, a hash of it to whoever listens; hence the switches in the profile (RFC 9395). What it
 * buys: the identity arrives before the key is needed, so that peers with dynamic addresses can each have their own.
 * With signatures it costs a stranger one packet to have us sign: admission control limits how often.
 */
#include <stdlib.h>
#include <string.h>

#include "v1_internal.h"

/* The key for a named peer by its name first: its address may be anybody's (IKE-51); else by address. */
static const struct cfg_psk *key_for(struct ike *ike, const struct cfg_ike_profile *p, const struct ike_path *path,
	const struct cv_addr *peer, const struct ike_id *id)
{
	const struct cfg_psk *psk = ike_psk_by_id(ike, p, path, id);
	return psk ? psk : ike_psk_for(ike, p, path, peer, NULL);
}

static const struct cfg_psk *peer_key(const struct v1_sa *v)
{
	const struct cfg_psk *psk = key_for(v->sa.ike, v->sa.profile, &v->sa.path, &v->sa.peer, &v->id_peer);
	return psk || !v->mm->aaa_psk.key ? psk : &v->mm->aaa_psk;
}

/* The key has proven itself: is it that of the name alone? */
static void key_proven(struct v1_sa *v)
{
	v->sa.name_proven = ike_psk_by_id(v->sa.ike, v->sa.profile, &v->sa.path, &v->id_peer) || v->mm->aaa_psk.key;
}

static bool keep_id(struct v1_sa *v, struct v1_span body)
{
	if (body.len > sizeof(v->mm->id_peer))
		return false;
	memcpy(v->mm->id_peer, body.p, body.len);
	v->mm->id_peer_len = (uint16_t)body.len;
	v1_take_id(&v->id_peer, body);
	return true;
}

static struct v1_span kept_id(const struct v1_sa *v)
{
	return v1_span_of(v->mm->id_peer, v->mm->id_peer_len);
}

static void aggr_timer(struct ike *ike, struct ike_timer *t)
{
	struct v1_sa *v = IKE_CONTAINER(t, struct v1_sa, tx.timer);
	(void)ike;
	if (v1_tx_repeat(v, &v->tx))
		v1_tx_arm(v, &v->tx, aggr_timer);
	else if (v->sa.initiator)
		v1_fail(v, v->sa.fail_reason ? v->sa.fail_reason : "peer not responding");
	/* a responder waits for the end of its patience */
}

/* Both ends repeat on a timer here: message 3 has no answer, so the responder has to ask for it. */
static void aggr_send(struct v1_sa *v, struct v1_out *o)
{
	if (v1_out_finish(o) || v1_tx_send(v, &v->tx, o))
		v1_fail(v, "out of memory");
	else
		v1_tx_arm(v, &v->tx, aggr_timer);
}

/* ---- initiator: messages 1 and 3 ---- */

/* Any key that the answer could be checked with: by address, or by a name that the profile expects (IKE-14). */
static const struct cfg_psk *key_expected(
	struct ike *ike, const struct cfg_ike_profile *p, const struct ike_path *path, const struct cv_addr *peer)
{
	const struct cfg_psk *psk = ike_psk_for(ike, p, path, peer, NULL);
	for (unsigned i = 0; i < p->n_match && !psk; i++)
		if (p->match[i].type != CFG_ID_ADDRESS && p->match[i].text && !p->match[i].domain)
			psk = config_psk_by_name(ike->cfg, p, path->vrf, &path->local, p->match[i].text);
	return psk;
}

bool v1_aggr_allowed(const struct cfg_ike_profile *p)
{
	return p->aggressive_psk || p->aggressive_sig;
}

static void message_1(struct v1_sa *v, struct v1_dh *d)
{
	struct v1_out o;
	uint8_t id[V1_ID_HEAD + IKE_ID_MAX];
	if (!v1_begin_ke(v, d))
		return;
	v1_begin(v, &o, V1_EX_AGGRESSIVE, 0, 0);
	if (!v1_offer(v, &o, v->group)) {
		v1_fail(v, "no policy for aggressive mode");
		return;
	}
	v1_put_ke(&o, &v->mm->ke_i, &v->mm->ni);
	v1_out_payload(&o, V1_PL_ID, id, v1_own_id(v, id));
	v1_put_certreq(v, &o);
	v1_put_vendors(v, &o);
	aggr_send(v, &o);
}

struct v1_sa *v1_aggr_start(struct ike *ike, const struct cfg_map_entry *entry, const struct ike_path *path, bool natt,
	const struct cv_addr *peer)
{
	const struct cfg_ike_profile *p = entry->profile_ref;
	unsigned methods = (p->aggressive_psk ? v1_psk_method(key_expected(ike, p, path, peer)) : 0) |
			   (p->aggressive_sig ? v1_can_sign(ike, p) : 0);
	const struct cfg_ike_policy *policy = v1_policy_first(ike->cfg, p, methods);
	struct ikec_dh *none = NULL;
	if (!policy) {
		cv_notice("ike", "IKEv1: aggressive mode of profile %s: no %s for the peer", p->name,
			methods		    ? "usable policy"
			: p->aggressive_psk ? "preshared key"
					    : "certificate");
		return NULL; /* AGGR-2: without both identity and key nothing is sent */
	}
	struct v1_sa *v = v1_sa_new(ike, entry, path, natt);
	if (!v)
		return NULL;
	v->aggressive = true;
	v->sa.initiator = true;
	/* group, and identity with what proves it, go out with the first message */
	v->sig_key = v1_sig_key(p, policy->auth);
	v->mm->methods = !v->sig_key		     ? methods & (V1_CAN_PSK | V1_NO_LOGIN)
			 : v->sig_key == PKI_KEY_RSA ? V1_CAN_RSA_SIG
						     : V1_CAN_ECDSA_SIG;
	v1_choose_cert(v, NULL);
	v->sa.peer = *peer;
	v->group = policy->group;
	ike_spi_new(ike, v->sa.spi_i);
	ike_sa_link(&v->sa);
	v->mm->busy = true;
	if (v1_dh_run(v, v->group, &none, NULL, 0, message_1))
		v1_fail(v, "out of memory");
	return v->sa.dead ? NULL : v;
}

static void message_3(struct v1_sa *v)
{
	struct v1_out o;
	uint8_t id[V1_ID_HEAD + IKE_ID_MAX], hash[IKEC_PRF_MAX];
	size_t id_len = v1_own_id(v, id);
	v1_begin(v, &o, V1_EX_AGGRESSIVE, V1_FLAG_ENCRYPTED, 0);
	if (v1_auth_hash(v, true, v1_span_of(id, id_len), hash)) {
		v1_fail(v, "key derivation failed");
		return;
	}
	v1_out_payload(&o, V1_PL_HASH, hash, v->k.hash_len);
	v1_put_nat_d(v, &o);
	v1_put_contact(v, &o);
	if (!v1_auth_transmit(v, &o))
		v1_fail(v, "encryption failed");
	else
		v1_auth_done(v); /* tx stays: a repeated message 2 asks for message 3 again */
}

static void check_2(struct v1_sa *v, struct v1_dh *d)
{
	struct ike *ike = v->sa.ike;
	const struct v1_hdr *h = &v->mm->msg2_hdr;
	uint8_t want[IKEC_PRF_MAX];
	v->mm->busy = false;
	if (d->err) {
		v1_fail(v, "invalid Diffie-Hellman value from peer");
		return;
	}
	if (!v1_derive(v, v->sig_key ? NULL : peer_key(v), d))
		return;
	if (v->sig_key) {
		v1_sig_input(v, &v->sa.path, v->sa.natt, h, v->mm->msg2);
		return;
	}
	if (v1_auth_hash(v, false, kept_id(v), want) || cv_secret_cmp(want, v->mm->hash, v->k.hash_len) != 0) {
		v1_bad_auth(v, &v->sa.path, v->sa.natt, h);
		v1_fail(v, V1_WRONG_KEY);
		return;
	}
	if (!v1_identity_ok(v)) {
		v1_identity_refused(v, &v->sa.path, v->sa.natt, h);
		return;
	}
	key_proven(v);
	v->sa.last_rx_ms = ike_now(ike);
	v->sa.rx++;
	v1_natt_move(v);
	message_3(v);
}

/* What message 2 proves the responder with, to be judged when there are keys. */
static bool keep_proof(struct v1_sa *v, const struct v1_msg *m, const uint8_t *data)
{
	const struct v1_payload *hash = v1_find(m, V1_PL_HASH, 0);
	v->mm->msg2_hdr = m->h;
	if (v->sig_key) {
		v->mm->msg2 = malloc(m->h.len);
		if (v->mm->msg2)
			memcpy(v->mm->msg2, data, m->h.len);
		return v->mm->msg2 != NULL;
	}
	if (!hash || hash->body.len != v->k.hash_len)
		return false;
	memcpy(v->mm->hash, hash->body.p, hash->body.len);
	return true;
}

static void got_2(struct v1_sa *v, const struct v1_msg *m, const uint8_t *data)
{
	const struct v1_payload *sa = v1_find(m, V1_PL_SA, 0), *id = v1_find(m, V1_PL_ID, 0);
	struct v1_p1_attrs a;
	const struct cfg_ike_policy *p;
	if (!sa || !id || !v1_find(m, v->sig_key ? V1_PL_SIG : V1_PL_HASH, 0) || v1_count(m, V1_PL_SA) != 1) {
		v->sa.ike->stats.rx_unexpected++;
		return;
	}
	p = v1_policy_answer(v, sa->body, &a);
	if (!p || p->group != v->group || v1_policy_apply(v, p, &a)) {
		v->sa.ike->stats.no_proposal_chosen++;
		v1_fail(v, "peer chose a policy that was not offered");
		return;
	}
	if (!v1_take_ke(v, m, &v->mm->ke_r, &v->mm->nr) || !keep_id(v, id->body) || !keep_proof(v, m, data)) {
		v1_fail(v, "malformed answer");
		return;
	}
	memcpy(v->sa.spi_r, m->h.rcookie, V1_COOKIE_LEN);
	ike_sa_link(&v->sa);
	v1_read_vendors(v, m);
	v1_detect_nat(v, m);
	ike_timer_stop(v->sa.ike, &v->tx.timer);
	v1_tx_note_rx(&v->tx, data, m->h.len);
	v->mm->busy = true;
	v->sa.state = V1_MM_SA_SETUP;
	if (v1_dh_run(v, v->group, &v->mm->dh, &v->mm->ke_r, 0, check_2))
		v1_fail(v, "out of memory");
}

/* ---- responder: message 2 ---- */

/* V1_CAN_*: with what may who calls itself so prove itself? A certificate may yet lead to another profile. */
static unsigned methods_for(
	struct ike *ike, const struct cfg_ike_profile *p, const struct ike_path *path, const struct ike_id *id)
{
	bool matches = !config_profile_selects(p) || ike_id_matches(p, path->vrf, id);
	unsigned can = 0;
	if (p->aggressive_psk && matches) {
		can = v1_psk_method(key_for(ike, p, path, &path->remote, id));
		can |= v1_aaa_has_keys(p, id) ? V1_CAN_PSK : 0;
	}
	if (p->aggressive_sig && (matches || p->n_match_cert))
		can |= v1_can_sign(ike, p);
	return can;
}

static bool fits(struct ike *ike, const struct cfg_ike_profile *p, const struct ike_path *path, const struct ike_id *id)
{
	return methods_for(ike, p, path, id) != 0;
}

/* sig: NULL = the proof is a hash. */
static void message_2(struct v1_sa *v, const struct v1_sig_job *sig)
{
	struct v1_out o;
	uint8_t id[V1_ID_HEAD + IKE_ID_MAX], hash[IKEC_PRF_MAX];
	size_t id_len = v1_own_id(v, id);
	v1_begin(v, &o, V1_EX_AGGRESSIVE, 0, 0);
	v1_policy_echo(&o, v->mm->prop_num, &v->mm->chosen);
	v1_put_ke(&o, &v->mm->ke_r, &v->mm->nr);
	v1_out_payload(&o, V1_PL_ID, id, id_len);
	if (sig) {
		v1_sig_put(sig, &o);
	} else if (v1_auth_hash(v, false, v1_span_of(id, id_len), hash)) {
		v1_fail(v, "key derivation failed");
		return;
	} else {
		v1_out_payload(&o, V1_PL_HASH, hash, v->k.hash_len);
	}
	v1_put_certreq(v, &o);
	v1_put_vendors(v, &o);
	v1_put_nat_d(v, &o);
	v->sa.state = V1_MM_SA_SETUP;
	aggr_send(v, &o);
}

void v1_aggr_signed(struct v1_sa *v, const struct v1_sig_job *job)
{
	message_2(v, job);
}

static void keys_for_2(struct v1_sa *v, struct v1_dh *d)
{
	if (!v1_answer_ke(v, d, &v->mm->ke_r, &v->mm->nr) || !v1_derive(v, v->sig_key ? NULL : peer_key(v), d))
		return;
	if (v->sig_key)
		v1_sig_start(v);
	else
		message_2(v, NULL);
}

void v1_aggr_key_ready(struct v1_sa *v)
{
	struct ikec_dh *none = NULL;
	v->mm->busy = true;
	if (v1_dh_run(v, v->group, &none, &v->mm->ke_i, 0, keys_for_2))
		v1_fail(v, "out of memory");
}

/* A stranger's first message: its identity leads to a profile, the profile to a key, or there is no answer. */
void v1_aggr_first(struct ike *ike, const struct ike_path *path, bool natt, const struct v1_hdr *h, const uint8_t *data)
{
	struct v1_msg m;
	const struct v1_payload *sa, *id;
	struct ike_id who = {0};
	unsigned err = v1_chain_parse(h, data + V1_HDR_LEN, h->len - V1_HDR_LEN, false, &m);
	sa = err ? NULL : v1_find(&m, V1_PL_SA, 0);
	id = err ? NULL : v1_find(&m, V1_PL_ID, 0);
	if (!sa || !id || m.pl[0].type != V1_PL_SA || v1_count(&m, V1_PL_SA) != 1) {
		ike->stats.rx_malformed++;
		return;
	}
	v1_take_id(&who, id->body);
	const struct cfg_map_entry *entry = v1_entry_for_peer(ike, path, fits, &who);
	if (!entry) {
		ike->stats.v1_no_profile++;
		return;
	}
	struct v1_accepted got;
	struct v1_sa *v =
		v1_respond(ike, path, natt, h, entry, methods_for(ike, entry->profile_ref, path, &who), sa, &got);
	if (!v)
		return;
	v->aggressive = true;
	if (v1_policy_apply(v, got.policy, &got.attrs) || !v1_keep_sai(v->mm, sa->body.p, sa->body.len) ||
		!v1_take_ke(v, &m, &v->mm->ke_i, &v->mm->ni) || !keep_id(v, id->body)) {
		v1_fail(v, "malformed or unusable offer");
		return;
	}
	v->mm->longer = got.attrs.life_s > v->lifetime_s;
	v->mm->prop_num = got.prop_num;
	v->mm->chosen = got.trans;
	v->mm->chosen.attrs.p = v->mm->sai_b + (got.trans.attrs.p - sa->body.p);
	v1_choose_cert(v, &m);
	v1_read_vendors(v, &m);
	v1_tx_note_rx(&v->tx, data, h->len);
	v->mm->busy = true;
	if (v->sig_key || peer_key(v))
		v1_aggr_key_ready(v);
	else
		v1_aaa_key(v);
}

/* Message 3, encrypted or not (RFC 2409 5.4 leaves that to the sender). */
static void got_3(struct v1_sa *v, const struct ike_path *path, bool natt, const struct v1_hdr *h, const uint8_t *data)
{
	uint8_t buf[V1_MSG_MAX], next[V1_IV_MAX], want[IKEC_PRF_MAX];
	struct v1_msg m;
	const struct v1_payload *hash;
	bool sealed = h->flags & V1_FLAG_ENCRYPTED;
	if (v->sig_key) {
		v1_sig_input(v, path, natt, h, data);
		return;
	}
	unsigned err = sealed ? v1_decrypt(v, v->k.iv, h, data, buf, next, &m)
			      : v1_chain_parse(h, data + V1_HDR_LEN, h->len - V1_HDR_LEN, false, &m);
	if (err || !(hash = v1_find(&m, V1_PL_HASH, 0)) || hash->body.len != v->k.hash_len ||
		v1_auth_hash(v, true, kept_id(v), want) || cv_secret_cmp(want, hash->body.p, v->k.hash_len) != 0) {
		v1_bad_auth(v, path, natt, h);
		return;
	}
	if (sealed)
		memcpy(v->k.iv, next, V1_IV_MAX);
	v1_tx_free(v, &v->tx); /* or a repeat would be answered with message 2, and that with message 3, for ever */
	v1_tx_note_rx(&v->tx, data, h->len);
	v->sa.path = *path; /* the initiator may have moved to 4500 with this message */
	v->sa.natt = natt;
	v1_detect_nat(v, &m);
	key_proven(v);
	v->sa.last_rx_ms = ike_now(v->sa.ike);
	v->sa.rx++;
	if (v1_has_notify(&m, V1_N_INITIAL_CONTACT))
		v1_initial_contact(v);
	v1_auth_done(v);
}

/* ---- both ---- */

void v1_aggr_input(struct v1_sa *v, const struct ike_path *path, bool natt, const struct v1_hdr *h, const uint8_t *data)
{
	struct v1_msg m;
	struct ike *ike = v->sa.ike;
	if (v1_tx_seen(v, &v->tx, data, h->len, !v->sa.initiator || v1_keyed(v)))
		return;
	if (!v->mm || v->mm->busy || h->msgid || !v->aggressive || (v->sa.initiator && v->sa.state != V1_MM_NO_STATE)) {
		ike->stats.rx_unexpected++;
		return;
	}
	if (!v->sa.initiator) {
		got_3(v, path, natt, h, data);
		return;
	}
	if (h->flags & V1_FLAG_ENCRYPTED || v1_chain_parse(h, data + V1_HDR_LEN, h->len - V1_HDR_LEN, false, &m)) {
		ike->stats.rx_malformed++;
		v->sa.bad++;
		return;
	}
	got_2(v, &m, data);
}
