/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Main mode (RFC 2409 5.1 and 5.4): messages 1 to 4, in clear. 1 and 2 agree on a policy, 3 and 4 exchange
 * public values, nonces and NAT detection. The encrypted messages 5 and 6 are in v1_auth.c.
 */
#include <stdlib.h>
#include <string.h>

#include "v1_internal.h"

/* ---- initiator: messages 1 and 3 ---- */

static void main_timer(struct ike *ike, struct ike_timer *t)
{
	struct v1_sa *v = IKE_CONTAINER(t, struct v1_sa, tx.timer);
	(void)ike;
	if (v1_tx_repeat(v, &v->tx))
		v1_tx_arm(v, &v->tx, main_timer);
	else
		v1_fail(v, v->sa.fail_reason ? v->sa.fail_reason : "peer not responding");
}

static void main_send(struct v1_sa *v, struct v1_out *o)
{
	if (v1_out_finish(o) || v1_tx_send(v, &v->tx, o)) {
		v1_fail(v, "out of memory");
		return;
	}
	if (v->sa.initiator)
		v1_tx_arm(v, &v->tx, main_timer);
}

/* A profile that names keyrings only, or trust points only, means that method, if there is a policy for it: some peers
 * (strongSwan) take the method of the first transform for that of the whole offer. */
static unsigned methods_meant(const struct cv_config *cfg, const struct cfg_ike_profile *p, unsigned methods)
{
	unsigned meant = p->n_keyring && p->trust_all	  ? V1_CAN_PSK | V1_CAN_RSA_ENCR
			 : !p->n_keyring && !p->trust_all ? V1_CAN_RSA_SIG | V1_CAN_RSA_ENCR
							  : 0;
	meant &= methods;
	meant |= meant & V1_CAN_PSK ? methods & V1_NO_LOGIN : 0;
	return meant && v1_policy_first(cfg, p, meant) ? meant : methods;
}

struct v1_sa *v1_main_start(struct ike *ike, const struct cfg_map_entry *entry, const struct ike_path *path, bool natt,
	const struct cv_addr *peer)
{
	struct v1_out o;
	struct v1_sa *v;
	unsigned methods = v1_methods(ike, entry->profile_ref, path, peer, true);
	if (!methods) {
		cv_notice("ike", "IKEv1: no preshared key, certificate or public key for the peer of profile %s",
			entry->profile_ref->name);
		return NULL;
	}
	v = v1_sa_new(ike, entry, path, natt);
	if (!v)
		return NULL;
	v->sa.initiator = true;
	v->mm->methods = methods_meant(ike->cfg, entry->profile_ref, methods);
	v->sa.peer = *peer;
	ike_spi_new(ike, v->sa.spi_i);
	ike_sa_link(&v->sa);
	v1_begin(v, &o, V1_EX_MAIN, 0, 0);
	if (!v1_offer(v, &o, IKE_GROUP_NONE)) {
		ike_sa_destroy(&v->sa, NULL);
		return NULL;
	}
	v1_put_vendors(v, &o);
	main_send(v, &o);
	return v->sa.dead ? NULL : v;
}

/* Public value and nonce of ours, in message 3 or 4. */
static bool put_exchange(struct v1_sa *v, struct v1_out *o, const struct v1_ke *ke, const struct v1_buf *nonce)
{
	v1_begin(v, o, V1_EX_MAIN, 0, 0);
	if (!v->nonces)
		v1_put_ke(o, ke, nonce);
	else if (!v1_nonce_put(v, o, ke, nonce)) {
		v1_fail(v, "our identity does not fit the peer's public key");
		return false;
	}
	v1_put_certreq(v, o);
	v1_put_nat_d(v, o);
	return true;
}

/* Those of the peer. Encrypted ones are opened later. */
static bool take_exchange(struct v1_sa *v, const struct v1_msg *m, struct v1_ke *ke, struct v1_buf *nonce)
{
	return v->nonces ? v1_nonce_take(v, m, ke) : v1_take_ke(v, m, ke, nonce);
}

static void message_3(struct v1_sa *v, struct v1_dh *d)
{
	struct v1_out o;
	if (!v1_begin_ke(v, d))
		return;
	if (!put_exchange(v, &o, &v->mm->ke_i, &v->mm->ni))
		return;
	v->sa.state = V1_MM_SA_SETUP;
	main_send(v, &o);
}

static void got_2(struct v1_sa *v, const struct v1_msg *m, const uint8_t *data)
{
	const struct v1_payload *sa = v1_find(m, V1_PL_SA, 0);
	struct v1_p1_attrs a;
	const struct cfg_ike_policy *p;
	if (!sa || v1_count(m, V1_PL_SA) != 1) {
		v->sa.ike->stats.rx_unexpected++;
		return;
	}
	p = v1_policy_answer(v, sa->body, &a);
	if (!p || v1_policy_apply(v, p, &a)) {
		v->sa.ike->stats.no_proposal_chosen++;
		v1_fail(v, "peer chose a policy that was not offered");
		return;
	}
	memcpy(v->sa.spi_r, m->h.rcookie, V1_COOKIE_LEN);
	ike_sa_link(&v->sa);
	v1_read_vendors(v, m);
	ike_timer_stop(v->sa.ike, &v->tx.timer);
	v1_tx_note_rx(&v->tx, data, m->h.len);
	v->mm->busy = true;
	struct ikec_dh *none = NULL;
	if (v1_dh_run(v, v->group, &none, NULL, 0, message_3))
		v1_fail(v, "out of memory");
}

static void secret_ready(struct v1_sa *v, struct v1_dh *d)
{
	v->mm->busy = false;
	if (d->err) {
		v1_fail(v, "invalid Diffie-Hellman value from peer");
		return;
	}
	if (v1_derive(v, v1_psk_by_addr(v), d))
		v1_auth_start(v);
}

static void share_4(struct v1_sa *v)
{
	v->mm->busy = true;
	if (v1_dh_run(v, v->group, &v->mm->dh, &v->mm->ke_r, 0, secret_ready))
		v1_fail(v, "out of memory");
}

static void got_4(struct v1_sa *v, const struct v1_msg *m, const uint8_t *data)
{
	if (!take_exchange(v, m, &v->mm->ke_r, &v->mm->nr))
		return;
	v1_choose_cert(v, m);
	v1_detect_nat(v, m);
	v1_natt_move(v);
	ike_timer_stop(v->sa.ike, &v->tx.timer);
	v1_tx_note_rx(&v->tx, data, m->h.len);
	v->sa.state = V1_MM_KEY_EXCH;
	if (v->nonces)
		v1_nonce_open(v, share_4);
	else
		share_4(v);
}

/* ---- responder: messages 2 and 4 ---- */

static void message_2(struct v1_sa *v, uint8_t prop_num, const struct v1_trans *t)
{
	struct v1_out o;
	v1_begin(v, &o, V1_EX_MAIN, 0, 0);
	v1_policy_echo(&o, prop_num, t);
	v1_put_vendors(v, &o);
	v->sa.state = V1_MM_SA_SETUP;
	main_send(v, &o);
}

/* IKE-52: main mode needs the key before it knows the identity, so the address has to lead to it. */
static bool has_means(
	struct ike *ike, const struct cfg_ike_profile *p, const struct ike_path *path, const struct ike_id *id)
{
	(void)id;
	return v1_methods(ike, p, path, &path->remote, false) != 0;
}

void v1_main_first(struct ike *ike, const struct ike_path *path, bool natt, const struct v1_hdr *h, const uint8_t *data)
{
	struct v1_msg m;
	const struct v1_payload *sa;
	const struct cfg_map_entry *entry = v1_entry_for_peer(ike, path, has_means, NULL);
	if (!entry) {
		ike->stats.v1_no_profile++;
		return; /* strangers get no answer */
	}
	unsigned err = v1_chain_parse(h, data + V1_HDR_LEN, h->len - V1_HDR_LEN, false, &m);
	sa = err ? NULL : v1_find(&m, V1_PL_SA, 0);
	if (!sa || m.pl[0].type != V1_PL_SA || v1_count(&m, V1_PL_SA) != 1) {
		ike->stats.rx_malformed++;
		return;
	}
	struct v1_accepted got;
	unsigned methods = v1_methods(ike, entry->profile_ref, path, &path->remote, false);
	struct v1_sa *v = v1_respond(ike, path, natt, h, entry, methods, sa, &got);
	if (!v)
		return;
	if (v1_policy_apply(v, got.policy, &got.attrs) || !v1_keep_sai(v->mm, sa->body.p, sa->body.len)) {
		v1_fail(v, "cannot use the policy");
		return;
	}
	v->mm->longer = got.attrs.life_s > v->lifetime_s;
	v1_read_vendors(v, &m);
	v1_tx_note_rx(&v->tx, data, h->len);
	message_2(v, got.prop_num, &got.trans);
}

static void message_4(struct v1_sa *v, struct v1_dh *d)
{
	struct v1_out o;
	if (!v1_answer_ke(v, d, &v->mm->ke_r, &v->mm->nr) || (v->nonces && !v1_nonce_meet(v)) ||
		!put_exchange(v, &o, &v->mm->ke_r, &v->mm->nr) || !v1_derive(v, v1_psk_by_addr(v), d))
		return;
	v->sa.state = V1_MM_KEY_EXCH;
	main_send(v, &o);
}

static void share_3(struct v1_sa *v)
{
	struct ikec_dh *none = NULL;
	v->mm->busy = true;
	if (v1_dh_run(v, v->group, &none, &v->mm->ke_i, 0, message_4))
		v1_fail(v, "out of memory");
}

static void got_3(struct v1_sa *v, const struct v1_msg *m, const uint8_t *data)
{
	if (!take_exchange(v, m, &v->mm->ke_i, &v->mm->ni))
		return;
	v1_choose_cert(v, m);
	v1_detect_nat(v, m);
	v1_tx_note_rx(&v->tx, data, m->h.len);
	/* message 2 is answered: a late repeat of message 1 no longer deserves it */
	free(v->tx.data);
	v->tx.data = NULL;
	if (v->nonces)
		v1_nonce_open(v, share_3);
	else
		share_3(v);
}

/* ---- both ---- */

/* Messages 2 to 4. */
static unsigned parse_clear(const struct v1_sa *v, const struct v1_hdr *h, const uint8_t *data, struct v1_msg *m)
{
	if (h->flags & V1_FLAG_ENCRYPTED)
		return V1_N_INVALID_FLAGS;
	if (v->nonces)
		return v1_chain_parse_sealed(h, data + V1_HDR_LEN, h->len - V1_HDR_LEN, m);
	return v1_chain_parse(h, data + V1_HDR_LEN, h->len - V1_HDR_LEN, false, m);
}

void v1_main_input(struct v1_sa *v, const struct ike_path *path, bool natt, const struct v1_hdr *h, const uint8_t *data)
{
	struct v1_msg m;
	struct ike *ike = v->sa.ike;
	if (v1_tx_seen(v, &v->tx, data, h->len, !v->sa.initiator))
		return;
	if (!v->mm || v->mm->busy || h->msgid || v->aggressive) {
		ike->stats.rx_unexpected++;
		return;
	}
	if (v->sa.state == V1_MM_KEY_EXCH) {
		v1_auth_input(v, path, natt, h, data);
		return;
	}
	unsigned err = parse_clear(v, h, data, &m);
	if (err) {
		cv_debug("ike", "IKEv1: main mode message refused: %s, %u bytes", v1_notify_name(err), h->len);
		ike->stats.rx_malformed++;
		v->sa.bad++;
		return;
	}
	if (v->sa.initiator && v->sa.state == V1_MM_NO_STATE)
		got_2(v, &m, data);
	else if (v->sa.initiator)
		got_4(v, &m, data);
	else
		got_3(v, &m, data);
}
