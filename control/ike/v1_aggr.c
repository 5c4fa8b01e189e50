/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Aggressive mode with preshared keys (RFC 2409 5.4; IKE-10..15, AGGR-*): three messages, of which the first two show
 * both identities and a hash of the key to whoever listens; hence the switch in the profile (RFC 9395). What it buys:
 * the identity arrives before the key is needed, so that peers with dynamic addresses can each have their own.
 */
#include <string.h>

#include "v1_internal.h"

/* The key for a named peer by its name first: its address may be anybody's (IKE-51); else by address. */
static const struct cfg_psk *key_for(struct ike *ike, const struct cfg_ike_profile *p, const struct ike_path *path,
	const struct cv_addr *peer, const struct ike_id *id)
{
	const struct cfg_psk *psk = ike_psk_by_id(ike, p, path, id);
	return psk ? psk : ike_psk_for(ike, p, path, peer, NULL);
}

/* The key has proven itself: is it that of the name alone? */
static void key_proven(struct v1_sa *v)
{
	v->sa.name_proven = ike_psk_by_id(v->sa.ike, v->sa.profile, &v->sa.path, &v->id_peer) != NULL;
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

/* Is there any key that the answer could be checked with? By address, or by a name that the profile expects (IKE-14).
 */
static bool key_expected(
	struct ike *ike, const struct cfg_ike_profile *p, const struct ike_path *path, const struct cv_addr *peer)
{
	if (ike_psk_for(ike, p, path, peer, NULL))
		return true;
	for (unsigned i = 0; i < p->n_match; i++)
		if (p->match[i].type != CFG_ID_ADDRESS && p->match[i].text && !p->match[i].domain &&
			config_psk_by_name(ike->cfg, p, path->vrf, &path->local, p->match[i].text))
			return true;
	return false;
}

static void message_1(struct v1_sa *v, struct v1_dh *d)
{
	struct v1_out o;
	uint8_t id[V1_ID_HEAD + IKE_ID_MAX];
	v->mm->busy = false;
	if (d->err) {
		v1_fail(v, "Diffie-Hellman failed");
		return;
	}
	v->mm->dh = d->dh;
	d->dh = NULL;
	v1_own_ke(&v->mm->ke_i, v->mm->dh);
	v1_begin(v, &o, V1_EX_AGGRESSIVE, 0, 0);
	if (!v1_offer(v, &o, v->group)) {
		v1_fail(v, "no policy for aggressive mode");
		return;
	}
	v1_put_ke(&o, &v->mm->ke_i, &v->mm->ni);
	v1_out_payload(&o, V1_PL_ID, id, v1_own_id(v, id));
	v1_put_vendors(v, &o);
	aggr_send(v, &o);
}

struct v1_sa *v1_aggr_start(struct ike *ike, const struct cfg_map_entry *entry, const struct ike_path *path, bool natt,
	const struct cv_addr *peer)
{
	const struct cfg_ike_profile *p = entry->profile_ref;
	enum ike_group group = v1_policy_group(ike->cfg, p);
	struct ikec_dh *none = NULL;
	if (group == IKE_GROUP_NONE || !p->aggressive_psk || !key_expected(ike, p, path, peer)) {
		cv_notice("ike", "IKEv1: aggressive mode of profile %s: no %s for the peer", p->name,
			group == IKE_GROUP_NONE ? "usable policy" : "preshared key");
		return NULL; /* AGGR-2: without both identity and key nothing is sent */
	}
	struct v1_sa *v = v1_sa_new(ike, entry, path, natt);
	if (!v)
		return NULL;
	v->aggressive = true;
	v->sa.initiator = true;
	v->mm->methods = V1_CAN_PSK;
	v->sa.peer = *peer;
	v->group = group;
	ike_spi_new(ike, v->sa.spi_i);
	ike_sa_link(&v->sa);
	v->mm->busy = true;
	if (v1_dh_run(v, group, &none, NULL, 0, message_1))
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
	if (v1_seal(&v->k, v->k.iv, &o) || v1_tx_send(v, &v->tx, &o))
		v1_fail(v, "encryption failed");
	else
		v1_auth_done(v); /* tx stays: a repeated message 2 asks for message 3 again */
}

static void check_2(struct v1_sa *v, struct v1_dh *d)
{
	struct ike *ike = v->sa.ike;
	struct v1_hdr h = {.exchange = V1_EX_AGGRESSIVE};
	uint8_t want[IKEC_PRF_MAX];
	v->mm->busy = false;
	memcpy(h.icookie, v1_cky_i(v), V1_COOKIE_LEN);
	memcpy(h.rcookie, v1_cky_r(v), V1_COOKIE_LEN);
	if (d->err) {
		v1_fail(v, "invalid Diffie-Hellman value from peer");
		return;
	}
	if (!v1_derive(v, key_for(ike, v->sa.profile, &v->sa.path, &v->sa.peer, &v->id_peer), d))
		return;
	if (v1_auth_hash(v, false, kept_id(v), want) || cv_secret_cmp(want, v->mm->hash, v->k.hash_len) != 0) {
		v1_bad_auth(v, &v->sa.path, v->sa.natt, &h);
		v1_fail(v, V1_WRONG_KEY);
		return;
	}
	if (!v1_identity_ok(v)) {
		v1_identity_refused(v, &v->sa.path, v->sa.natt, &h);
		return;
	}
	key_proven(v);
	v->sa.last_rx_ms = ike_now(ike);
	v->sa.rx++;
	if (v->sa.encap && !v->sa.natt) {
		v->sa.path.lport = v->sa.path.rport = IKE_NATT_PORT; /* RFC 3947 4 */
		v->sa.natt = true;
	}
	message_3(v);
}

static void got_2(struct v1_sa *v, const struct v1_msg *m, const uint8_t *data)
{
	const struct v1_payload *sa = v1_find(m, V1_PL_SA, 0), *id = v1_find(m, V1_PL_ID, 0),
				*hash = v1_find(m, V1_PL_HASH, 0);
	struct v1_p1_attrs a;
	const struct cfg_ike_policy *p;
	if (!sa || !id || !hash || v1_count(m, V1_PL_SA) != 1) {
		v->sa.ike->stats.rx_unexpected++;
		return;
	}
	p = v1_policy_answer(v, sa->body, &a);
	if (!p || p->group != v->group || v1_policy_apply(v, p, &a)) {
		v->sa.ike->stats.no_proposal_chosen++;
		v1_fail(v, "peer chose a policy that was not offered");
		return;
	}
	if (hash->body.len != v->k.hash_len || !v1_take_ke(v, m, &v->mm->ke_r, &v->mm->nr) || !keep_id(v, id->body)) {
		v1_fail(v, "malformed answer");
		return;
	}
	memcpy(v->mm->hash, hash->body.p, hash->body.len);
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

static bool fits(struct ike *ike, const struct cfg_ike_profile *p, const struct ike_path *path, const struct ike_id *id)
{
	return p->aggressive_psk && (!config_profile_selects(p) || ike_id_matches(p, id)) &&
	       key_for(ike, p, path, &path->remote, id) != NULL;
}

static void message_2(struct v1_sa *v, struct v1_dh *d)
{
	struct v1_out o;
	uint8_t id[V1_ID_HEAD + IKE_ID_MAX], hash[IKEC_PRF_MAX];
	size_t id_len = v1_own_id(v, id);
	v->mm->busy = false;
	if (d->err) {
		v1_fail(v, "invalid Diffie-Hellman value from peer");
		return;
	}
	v1_own_ke(&v->mm->ke_r, d->dh);
	v1_begin(v, &o, V1_EX_AGGRESSIVE, 0, 0);
	v1_policy_echo(&o, v->mm->prop_num, &v->mm->chosen);
	v1_put_ke(&o, &v->mm->ke_r, &v->mm->nr);
	if (!v1_derive(v, key_for(v->sa.ike, v->sa.profile, &v->sa.path, &v->sa.peer, &v->id_peer), d))
		return;
	v1_out_payload(&o, V1_PL_ID, id, id_len);
	if (v1_auth_hash(v, false, v1_span_of(id, id_len), hash)) {
		v1_fail(v, "key derivation failed");
		return;
	}
	v1_out_payload(&o, V1_PL_HASH, hash, v->k.hash_len);
	v1_put_vendors(v, &o);
	v1_put_nat_d(v, &o);
	v->sa.state = V1_MM_SA_SETUP;
	aggr_send(v, &o);
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
	struct v1_sa *v = v1_respond(ike, path, natt, h, entry, V1_CAN_PSK, sa, &got);
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
	v1_read_vendors(v, &m);
	v1_tx_note_rx(&v->tx, data, h->len);
	v->mm->busy = true;
	struct ikec_dh *none = NULL;
	if (v1_dh_run(v, v->group, &none, &v->mm->ke_i, 0, message_2))
		v1_fail(v, "out of memory");
}

/* Message 3, encrypted or not (RFC 2409 5.4 leaves that to the sender). */
static void got_3(struct v1_sa *v, const struct ike_path *path, bool natt, const struct v1_hdr *h, const uint8_t *data)
{
	uint8_t buf[V1_MSG_MAX], next[V1_IV_MAX], want[IKEC_PRF_MAX];
	struct v1_msg m;
	const struct v1_payload *hash;
	bool sealed = h->flags & V1_FLAG_ENCRYPTED;
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
	if (!v->mm || v->mm->busy || h->msgid || !v->aggressive) {
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
