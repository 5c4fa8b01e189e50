/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Main mode with preshared keys (RFC 2409 5.4): messages 1 to 4, in clear. 1 and 2 agree on a policy, 3 and 4 exchange
 * public values, nonces and NAT detection. The encrypted messages 5 and 6 are in v1_auth.c.
 */
#include <stdlib.h>
#include <string.h>

#include "v1_internal.h"

static const struct {
	uint8_t id[16];
	bool rfc, draft, dpd, send;
} vendor[] = {
	{{0x4a, 0x13, 0x1c, 0x81, 0x07, 0x03, 0x58, 0x45, 0x5c, 0x57, 0x28, 0xf2, 0x0e, 0x95, 0x45, 0x2f}, .rfc = true,
		.send = true}, /* RFC 3947 */
	{{0x7d, 0x94, 0x19, 0xa6, 0x53, 0x10, 0xca, 0x6f, 0x2c, 0x17, 0x9d, 0x92, 0x15, 0x52, 0x9d, 0x56},
		.draft = true, .send = true}, /* draft-ietf-ipsec-nat-t-ike-03 */
	{{0x90, 0xcb, 0x80, 0x91, 0x3e, 0xbb, 0x69, 0x6e, 0x08, 0x63, 0x81, 0xb5, 0xec, 0x42, 0x7b, 0x1f},
		.draft = true, .send = true}, /* -02, as implementations spell it */
	{{0xcd, 0x60, 0x46, 0x43, 0x35, 0xdf, 0x21, 0xf8, 0x7c, 0xfd, 0xb2, 0xfc, 0x68, 0xb6, 0xa4, 0x48},
		.draft = true}, /* -02, as the draft spells it */
	{{0xaf, 0xca, 0xd7, 0x13, 0x68, 0xa1, 0xf1, 0xc9, 0x6b, 0x86, 0x96, 0xfc, 0x77, 0x57, 0x01, 0x00}, .dpd = true,
		.send = true}, /* RFC 3706, version 1.0 */
};
#define N_VENDOR (sizeof(vendor) / sizeof(vendor[0]))

static bool natt_wanted(const struct v1_sa *v)
{
	return v->sa.profile && v->sa.profile->nat_traversal;
}

static bool natt_agreed(const struct v1_sa *v)
{
	return v->natt_rfc || v->natt_draft;
}

static void put_vendors(const struct v1_sa *v, struct v1_out *o)
{
	for (size_t i = 0; i < N_VENDOR; i++)
		if (vendor[i].send && (vendor[i].dpd || natt_wanted(v)))
			v1_out_payload(o, V1_PL_VENDOR, vendor[i].id, sizeof(vendor[i].id));
}

static void read_vendors(struct v1_sa *v, const struct v1_msg *m)
{
	const struct v1_payload *p;
	bool draft = false;
	for (unsigned n = 0; (p = v1_find(m, V1_PL_VENDOR, n)); n++)
		for (size_t i = 0; i < N_VENDOR; i++) {
			if (p->body.len < 16 || memcmp(p->body.p, vendor[i].id, vendor[i].dpd ? 14 : 16) != 0)
				continue;
			v->dpd |= vendor[i].dpd;
			v->natt_rfc |= vendor[i].rfc && natt_wanted(v);
			draft |= vendor[i].draft && natt_wanted(v);
		}
	v->natt_draft = draft && !v->natt_rfc;
}

void v1_mm_free(struct v1_sa *v)
{
	if (!v->mm)
		return;
	if (v->mm->dh)
		ikec_dh_free(v->mm->dh);
	free(v->mm->sai_b);
	cv_secret_zero(v->mm, sizeof(*v->mm));
	free(v->mm);
	v->mm = NULL;
}

static bool keep_sai(struct v1_mm *mm, const uint8_t *p, size_t len)
{
	mm->sai_b = malloc(len);
	if (!mm->sai_b)
		return false;
	memcpy(mm->sai_b, p, len);
	mm->sai_len = len;
	return true;
}

static struct v1_sa *sa_new(struct ike *ike, const struct cfg_map_entry *entry, const struct ike_path *path, bool natt)
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

struct v1_sa *v1_main_start(struct ike *ike, const struct cfg_map_entry *entry, const struct ike_path *path, bool natt,
	const struct cv_addr *peer)
{
	struct v1_out o;
	struct v1_sa *v;
	if (!ike_psk_for(ike, entry->profile_ref, path, peer, NULL)) {
		cv_notice("ike", "IKEv1: no preshared key for the peer of profile %s", entry->profile_ref->name);
		return NULL;
	}
	v = sa_new(ike, entry, path, natt);
	if (!v)
		return NULL;
	v->sa.initiator = true;
	v->sa.peer = *peer;
	ike_spi_new(ike, v->sa.spi_i);
	ike_sa_link(&v->sa);
	v1_begin(v, &o, V1_EX_MAIN, 0, 0);
	v1_out_begin(&o, V1_PL_SA);
	size_t body = o.len;
	bool any = v1_policy_offer(ike->cfg, &o);
	v1_out_end(&o);
	if (!any || o.overflow || !keep_sai(v->mm, o.buf + body, o.len - body)) {
		cv_notice("ike", "IKEv1: no policy with preshared keys can be offered");
		ike_sa_destroy(&v->sa, NULL);
		return NULL;
	}
	put_vendors(v, &o);
	main_send(v, &o);
	return v->sa.dead ? NULL : v;
}

static const uint8_t *random_hash(uint8_t *buf)
{
	ikec_random(buf, IKEC_PRF_MAX);
	return buf;
}

/* NAT-D of the destination, then of the source (RFC 3947 3.2); a wrong source makes the peer see a NAT. */
static void put_nat_d(const struct v1_sa *v, struct v1_out *o)
{
	const struct ike_path *p = &v->sa.path;
	uint8_t type = v->natt_rfc ? V1_PL_NAT_D : V1_PL_NAT_D_DRAFT, h[IKEC_PRF_MAX];
	if (!natt_agreed(v))
		return;
	if (v1_nat_d(&v->k, v1_cky_i(v), v1_cky_r(v), &p->remote, p->rport, h) == 0)
		v1_out_payload(o, type, h, v->k.hash_len);
	if (v->sa.profile->force_encaps)
		v1_out_payload(o, type, random_hash(h), v->k.hash_len);
	else if (v1_nat_d(&v->k, v1_cky_i(v), v1_cky_r(v), &p->local, p->lport, h) == 0)
		v1_out_payload(o, type, h, v->k.hash_len);
}

static bool nat_d_is(const struct v1_sa *v, const struct v1_payload *p, const struct cv_addr *addr, uint16_t port)
{
	uint8_t h[IKEC_PRF_MAX];
	return p->body.len == v->k.hash_len && v1_nat_d(&v->k, v1_cky_i(v), v1_cky_r(v), addr, port, h) == 0 &&
	       memcmp(h, p->body.p, v->k.hash_len) == 0;
}

static void detect_nat(struct v1_sa *v, const struct v1_msg *m)
{
	struct ike_sa *sa = &v->sa;
	uint8_t type = v->natt_rfc ? V1_PL_NAT_D : V1_PL_NAT_D_DRAFT;
	const struct v1_payload *p;
	bool his = false;
	if (!natt_agreed(v) || v1_count(m, type) < 2) {
		v->natt_rfc = v->natt_draft = false;
		return;
	}
	sa->nat_local = !nat_d_is(v, v1_find(m, type, 0), &sa->path.local, sa->path.lport);
	for (unsigned i = 1; (p = v1_find(m, type, i)); i++)
		his |= nat_d_is(v, p, &sa->path.remote, sa->path.rport);
	sa->nat_remote = !his;
	sa->encap = sa->nat_local || sa->nat_remote || sa->profile->force_encaps;
}

static void put_ke(struct v1_sa *v, struct v1_out *o, const struct v1_ke *ke, struct v1_buf *nonce)
{
	nonce->len = V1_NONCE_LEN;
	ikec_random(nonce->p, nonce->len);
	v1_out_payload(o, V1_PL_KE, ke->p, ke->len);
	v1_out_payload(o, V1_PL_NONCE, nonce->p, nonce->len);
	put_nat_d(v, o);
}

static void own_ke(struct v1_ke *ke, const struct ikec_dh *dh)
{
	ke->len = (uint16_t)ikec_group_pub_len(ikec_dh_group(dh));
	memcpy(ke->p, ikec_dh_pub(dh), ke->len);
}

static void message_3(struct v1_sa *v, struct v1_dh *d)
{
	struct v1_out o;
	v->mm->busy = false;
	if (d->err) {
		v1_fail(v, "Diffie-Hellman failed");
		return;
	}
	v->mm->dh = d->dh;
	d->dh = NULL;
	own_ke(&v->mm->ke_i, v->mm->dh);
	v1_begin(v, &o, V1_EX_MAIN, 0, 0);
	put_ke(v, &o, &v->mm->ke_i, &v->mm->ni);
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
	p = v1_policy_answer(v->sa.ike->cfg, sa->body, &a);
	if (!p || v1_policy_apply(v, p, &a)) {
		v->sa.ike->stats.no_proposal_chosen++;
		v1_fail(v, "peer chose a policy that was not offered");
		return;
	}
	memcpy(v->sa.spi_r, m->h.rcookie, V1_COOKIE_LEN);
	ike_sa_link(&v->sa);
	read_vendors(v, m);
	ike_timer_stop(v->sa.ike, &v->tx.timer);
	v1_tx_note_rx(&v->tx, data, m->h.len);
	v->mm->busy = true;
	struct ikec_dh *none = NULL;
	if (v1_dh_run(v, v->group, &none, NULL, 0, message_3))
		v1_fail(v, "out of memory");
}

/* Keys from everything that messages 3 and 4 brought. */
static bool derive(struct v1_sa *v, const struct v1_dh *d)
{
	struct v1_mm *mm = v->mm;
	const struct cfg_psk *psk = ike_psk_for(v->sa.ike, v->sa.profile, &v->sa.path, &v->sa.peer, NULL);
	if (!psk) {
		v1_fail(v, "no preshared key for the peer");
		return false;
	}
	if (v1_keys_psk(&v->k, v1_span_of(psk->key, psk->key_len), v1_span_of(mm->ni.p, mm->ni.len),
		    v1_span_of(mm->nr.p, mm->nr.len)) ||
		v1_keys_derive(&v->k, v1_span_of(d->secret, d->secret_len), v1_cky_i(v), v1_cky_r(v)) ||
		v1_keys_iv1(&v->k, v1_span_of(mm->ke_i.p, mm->ke_i.len), v1_span_of(mm->ke_r.p, mm->ke_r.len))) {
		v1_fail(v, "key derivation failed");
		return false;
	}
	return true;
}

static bool take_ke(struct v1_sa *v, const struct v1_msg *m, struct v1_ke *ke, struct v1_buf *nonce)
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

static void secret_ready(struct v1_sa *v, struct v1_dh *d)
{
	v->mm->busy = false;
	if (d->err) {
		v1_fail(v, "invalid Diffie-Hellman value from peer");
		return;
	}
	if (derive(v, d))
		v1_auth_start(v);
}

static void got_4(struct v1_sa *v, const struct v1_msg *m, const uint8_t *data)
{
	if (!take_ke(v, m, &v->mm->ke_r, &v->mm->nr))
		return;
	detect_nat(v, m);
	if (v->sa.encap && !v->sa.natt) {
		/* RFC 3947 4: the initiator moves to 4500 as soon as it knows */
		v->sa.path.lport = v->sa.path.rport = IKE_NATT_PORT;
		v->sa.natt = true;
	}
	ike_timer_stop(v->sa.ike, &v->tx.timer);
	v1_tx_note_rx(&v->tx, data, m->h.len);
	v->mm->busy = true;
	v->sa.state = V1_MM_KEY_EXCH;
	if (v1_dh_run(v, v->group, &v->mm->dh, &v->mm->ke_r, 0, secret_ready))
		v1_fail(v, "out of memory");
}

/* ---- responder: messages 2 and 4 ---- */

static void patience_over(struct ike *ike, struct ike_timer *t)
{
	struct v1_sa *v = IKE_CONTAINER(t, struct v1_sa, wait);
	(void)ike;
	v1_fail(v, v->sa.fail_reason ? v->sa.fail_reason : "negotiation timed out");
}

static void message_2(struct v1_sa *v, uint8_t prop_num, const struct v1_trans *t)
{
	struct v1_out o;
	v1_begin(v, &o, V1_EX_MAIN, 0, 0);
	v1_out_begin(&o, V1_PL_SA);
	v1_out_u32(&o, 1);
	v1_out_u32(&o, 1);
	size_t p = v1_out_prop(&o, false, prop_num, V1_PROTO_ISAKMP, NULL, 0, 1);
	size_t tr = v1_out_trans(&o, false, t->num, t->id);
	v1_out_put(&o, t->attrs.p, t->attrs.len);
	v1_out_sub_end(&o, tr);
	v1_out_sub_end(&o, p);
	v1_out_end(&o);
	put_vendors(v, &o);
	v->sa.state = V1_MM_SA_SETUP;
	main_send(v, &o);
}

/* The first IKEv1 entry that names the peer: it decides the profile, and with it the key (IKE-52). */
static const struct cfg_map_entry *entry_for_peer(struct ike *ike, const struct ike_path *path)
{
	const struct cfg_map_entry *e[IKE_ENTRIES_MAX];
	unsigned n = ike_entries_for(ike, &ike_v1, path, e, IKE_ENTRIES_MAX);
	for (unsigned i = 0; i < n; i++)
		if (ike_entry_has_peer(e[i], &path->remote))
			return e[i];
	return NULL;
}

void v1_main_first(struct ike *ike, const struct ike_path *path, bool natt, const struct v1_hdr *h, const uint8_t *data)
{
	struct v1_msg m;
	const struct v1_payload *sa;
	const struct cfg_map_entry *entry = entry_for_peer(ike, path);
	if (!entry || !ike_psk_for(ike, entry->profile_ref, path, &path->remote, NULL)) {
		ike->stats.v1_no_profile++;
		return; /* strangers get no answer */
	}
	unsigned err = v1_chain_parse(h, data + V1_HDR_LEN, h->len - V1_HDR_LEN, false, &m);
	sa = err ? NULL : v1_find(&m, V1_PL_SA, 0);
	if (!sa || m.pl[0].type != V1_PL_SA || v1_count(&m, V1_PL_SA) != 1) {
		ike->stats.rx_malformed++;
		return;
	}
	uint8_t prop_num;
	struct v1_trans t;
	struct v1_p1_attrs a;
	const struct cfg_ike_policy *p = v1_policy_choose(ike->cfg, sa->body, &prop_num, &t, &a);
	if (!p) {
		ike->stats.no_proposal_chosen++;
		ike_event(ike, IKE_EVT_FAILED, NULL, path, entry, "no proposal chosen");
		v1_notify_clear(ike, path, natt, h, V1_N_NO_PROPOSAL_CHOSEN);
		return;
	}
	struct v1_sa *v = ike_cac_admit(ike, path, false) ? sa_new(ike, entry, path, natt) : NULL;
	if (!v)
		return;
	ike->stats.sa_responded++;
	memcpy(v->sa.spi_i, h->icookie, V1_COOKIE_LEN);
	ike_spi_new(ike, v->sa.spi_r);
	ike_sa_link(&v->sa);
	v->wait.fire = patience_over;
	ike_timer_set(ike, &v->wait, ike_now(ike) + V1_HALF_OPEN_MS);
	if (v1_policy_apply(v, p, &a) || !keep_sai(v->mm, sa->body.p, sa->body.len)) {
		v1_fail(v, "cannot use the policy");
		return;
	}
	v->mm->longer = a.life_s > v->lifetime_s;
	read_vendors(v, &m);
	v1_tx_note_rx(&v->tx, data, h->len);
	message_2(v, prop_num, &t);
}

static void message_4(struct v1_sa *v, struct v1_dh *d)
{
	struct v1_out o;
	v->mm->busy = false;
	if (d->err) {
		v1_fail(v, "invalid Diffie-Hellman value from peer");
		return;
	}
	own_ke(&v->mm->ke_r, d->dh);
	v1_begin(v, &o, V1_EX_MAIN, 0, 0);
	put_ke(v, &o, &v->mm->ke_r, &v->mm->nr);
	if (!derive(v, d))
		return;
	v->sa.state = V1_MM_KEY_EXCH;
	main_send(v, &o);
}

static void got_3(struct v1_sa *v, const struct v1_msg *m, const uint8_t *data)
{
	if (!take_ke(v, m, &v->mm->ke_i, &v->mm->ni))
		return;
	detect_nat(v, m);
	v1_tx_note_rx(&v->tx, data, m->h.len);
	/* message 2 is answered: a late repeat of message 1 no longer deserves it */
	free(v->tx.data);
	v->tx.data = NULL;
	v->mm->busy = true;
	struct ikec_dh *none = NULL;
	if (v1_dh_run(v, v->group, &none, &v->mm->ke_i, 0, message_4))
		v1_fail(v, "out of memory");
}

/* ---- both ---- */

void v1_main_input(struct v1_sa *v, const struct ike_path *path, bool natt, const struct v1_hdr *h, const uint8_t *data)
{
	struct v1_msg m;
	struct ike *ike = v->sa.ike;
	if (v1_tx_seen(v, &v->tx, data, h->len, !v->sa.initiator))
		return;
	if (!v->mm || v->mm->busy || h->msgid) {
		ike->stats.rx_unexpected++;
		return;
	}
	if (v->sa.state == V1_MM_KEY_EXCH) {
		v1_auth_input(v, path, natt, h, data);
		return;
	}
	unsigned err = h->flags & V1_FLAG_ENCRYPTED
			       ? V1_N_INVALID_FLAGS
			       : v1_chain_parse(h, data + V1_HDR_LEN, h->len - V1_HDR_LEN, false, &m);
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
