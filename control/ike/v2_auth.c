/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * IKE_AUTH (RFC 7296 1.2, 2.15), both sides: preshared keys at once, signatures by way of the pool (v2_cert.c). The
 * first child comes with it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "v2_int.h"

static void id_take(struct ike_id *id, struct v2_view v)
{
	id->type = v.p[0];
	id->len = (uint16_t)(v.len - 4);
	memcpy(id->data, v.p + 4, id->len);
}

static void auth_done(struct v2_sa *sa)
{
	v2_setup_done(sa);
	v2_inter_fini(sa);
	ike_timer_stop(sa->sa.ike, &sa->stage);
	sa->sa.state = V2_ESTABLISHED;
	sa->auth_initiator = sa->sa.initiator;
	ike_sa_established(&sa->sa, sa->sa.profile->lifetime_s);
	v2_reauth_arm(sa);
	v2_dpd_arm(sa);
}

/* ---- initiator ---- */

/* Has the peer any other established SA with us? Without one, it may drop what it still remembers. */
static bool first_contact(const struct v2_sa *sa)
{
	struct ike_sa *o = NULL;
	while ((o = ike_sa_next_by_addr(sa->sa.ike, sa->sa.path.vrf, &sa->sa.peer, o)))
		if (o != &sa->sa && o->phase != IKE_PHASE_HALF_OPEN)
			return false;
	return true;
}

/* Our AUTH payload, certificates before it. -ENOENT when there is no key for this peer. */
static int enc_own_auth(struct v2_sa *sa, struct v2_enc *e)
{
	uint8_t auth[IKEC_PRF_MAX], body[4 + IKE_ID_MAX];
	if (sa->sa.profile->local_auth == CFG_METHOD_SIGNATURE) {
		v2_enc_auth(e, sa->setup->own_auth_method, sa->setup->own_auth.p, sa->setup->own_auth.len);
		return sa->setup->own_auth.len ? 0 : -ENOENT;
	}
	const struct cfg_psk *psk = ike_psk_for(sa->sa.ike, sa->sa.profile, &sa->sa.path, &sa->sa.path.remote,
		sa->sa.initiator ? NULL : &sa->setup->id_peer);
	if (!psk || v2_auth_psk(sa, sa->sa.initiator, psk, body, v2_id_body(&sa->setup->id_local, body), auth) != 0)
		return -ENOENT;
	v2_enc_auth(e, V2_AUTH_PSK, auth, ikec_prf_len(sa->suite.prf));
	if (!v2_ppk_alternative(sa))
		return 0;
	v2_ppk_swap(sa);
	int err = v2_auth_psk(sa, sa->sa.initiator, psk, body, v2_id_body(&sa->setup->id_local, body), auth);
	v2_ppk_swap(sa);
	v2_buf_set(&sa->setup->own_auth_no_ppk, auth, err ? 0 : ikec_prf_len(sa->suite.prf));
	return err;
}

static void auth_build(struct v2_sa *sa, struct v2_task *t, struct v2_enc *e)
{
	struct v2_child *c = t->child;
	struct v2_buf ids = {0};
	v2_enc_id(e, V2_PL_IDI, &sa->setup->id_local);
	v2_enc_certs(e, sa);
	v2_certreq_of(sa->sa.profile, &ids);
	v2_enc_certreq(e, &ids);
	v2_buf_free(&ids);
	v2_enc_methods_auth(e, sa);
	if (first_contact(sa))
		v2_enc_notify(e, V2_N_INITIAL_CONTACT, NULL, 0);
	if (enc_own_auth(sa, e) != 0) {
		e->bad = true; /* start has looked it up as well */
		return;
	}
	v2_ppk_enc_request(sa, e);
	v2_enc_child_sa(sa->sa.ike, e, c->c.p.entry, c->c.p.spi_in, IKE_GROUP_NONE);
	v2_enc_child_ts(e, c->c.p.sel, c->c.p.n_sel, true);
	v2_enc_child_notifies(e, c);
	v2_enc_window(sa, e);
	v2_enc_mobike(sa, e);
}

static void auth_signed(struct v2_sa *sa, struct v2_msg *m, const char *why)
{
	(void)m;
	struct v2_task *t = v2_task_active(sa, &v2_auth_task);
	if (why || !t) {
		if (why)
			cv_warn("ike", "cannot authenticate to the peer: %s", why);
		ike_sa_destroy(&sa->sa, why); /* without its task nobody wants it any more */
		return;
	}
	v2_task_send(sa, t);
}

void v2_auth_start(struct v2_sa *sa)
{
	struct ike_req *req = TAILQ_FIRST(&sa->sa.reqs);
	struct v2_task *t;
	struct v2_child *c;
	bool by_key = sa->sa.profile->local_auth == CFG_METHOD_PSK;
	if (!req) {
		ike_sa_destroy(&sa->sa, NULL); /* nobody wants it any more */
		return;
	}
	if (v2_id_local(sa) != 0) {
		ike_sa_destroy(&sa->sa, "certificate without usable subject");
		return;
	}
	const char *why = v2_ppk_begin(sa);
	if (why) {
		ike_sa_destroy(&sa->sa, why);
		return;
	}
	if (by_key && !ike_psk_for(sa->sa.ike, sa->sa.profile, &sa->sa.path, &sa->sa.path.remote, NULL)) {
		ike_sa_destroy(&sa->sa, "no preshared key for peer");
		return;
	}
	c = v2_child_new(sa, req->entry);
	if (!c) {
		ike_sa_destroy(&sa->sa, "no SPI left");
		return;
	}
	c->want = c->c.p.sel[0] = req->sel;
	c->c.p.n_sel = 1;
	c->c.p.rule_id = req->rule_id;
	c->c.p.initiator = true;
	v2_child_ask_mode(c);
	c->for_auth = true;
	c->c.req = req;
	req->started = true;
	t = v2_task_new(&v2_auth_task);
	t->child = c;
	c->task = t;
	v2_task_keep(sa, t);
	if (by_key)
		v2_task_send(sa, t);
	else
		v2_cert_run(sa, NULL, false, true, auth_signed);
}

static void auth_failed(struct v2_sa *sa, const char *reason)
{
	struct ike *ike = sa->sa.ike;
	ike->stats.auth_failed++;
	cv_warn("ike", "authentication of the peer failed: %s", reason);
	/* the responder takes the SA for established: tell it before forgetting (RFC 7296 2.21.2) */
	v2_send_notify(sa, V2_N_AUTHENTICATION_FAILED);
	ike_sa_destroy(&sa->sa, "authentication failed");
}

static bool peer_authentic(struct v2_sa *sa, const struct v2_msg *m)
{
	uint8_t want[IKEC_PRF_MAX];
	size_t n = ikec_prf_len(sa->suite.prf);
	struct v2_view id = sa->sa.initiator ? m->idr : m->idi;
	if (sa->sa.profile->remote_auth != CFG_METHOD_PSK)
		return false;
	const struct cfg_psk *psk =
		ike_psk_for(sa->sa.ike, sa->sa.profile, &sa->sa.path, &sa->sa.path.remote, &sa->setup->id_peer);
	if (!psk || m->auth_method != V2_AUTH_PSK || !m->auth.p || m->auth.len != n ||
		v2_auth_psk(sa, !sa->sa.initiator, psk, id.p, id.len, want) != 0 ||
		cv_secret_cmp(want, m->auth.p, n) != 0)
		return false;
	sa->sa.name_proven = psk == ike_psk_by_id(sa->sa.ike, sa->sa.profile, &sa->sa.path, &sa->setup->id_peer);
	ike_proof_take(&sa->sa, NULL, &sa->setup->id_peer);
	return true;
}

static void first_child_failed(struct v2_sa *sa, struct v2_child *c, const char *reason)
{
	struct ike_req *req = c->c.req;
	sa->sa.ike->stats.child_failed++;
	c->c.req = NULL;
	ike_child_remove(&c->c, 0);
	if (req)
		ike_req_done(req, -EPROTO, reason);
}

static void initiator_installed(struct ike_child *c, int err)
{
	struct v2_sa *sa = v2_of(c->sa);
	v2_child_settled(v2_child_of(c));
	if (err) { /* the peer has it installed: tell it that we have not */
		v2_send_delete(sa, ike_child_proto(&c->p), c->p.spi_in);
		first_child_failed(sa, v2_child_of(c), "refused by the dataplane");
	}
	ike_sa_save(&sa->sa);
}

/* Only now it is known who would use the entry of the first child (DN-4). */
static bool barred(struct v2_sa *sa, const struct v2_child *c, const char **why)
{
	if (ike_entry_allows(&sa->sa, c->c.p.entry))
		return false;
	ike_entry_barred(&sa->sa);
	*why = IKE_BARRED;
	return true;
}

/* The peer is who it should be: now the child that came along. */
static void peer_accepted(struct v2_sa *sa, struct v2_child *c, struct v2_msg *m)
{
	const struct v2_notify *err = v2_find_error(m);
	const char *why;
	v2_take_window(sa, m);
	v2_take_mobike(sa, m);
	auth_done(sa);
	v2_take_auth_lifetime(sa, m);
	if (c && (err || !m->sa.p)) {
		first_child_failed(sa, c, err ? v2_notify_name(err->type) : "no child in the response");
	} else if (c && (v2_child_from_answer(sa, m, c, &why) != 0 || barred(sa, c, &why))) {
		/* by the entry: a child that could not be read has no protocol yet */
		v2_send_delete(sa, ike_entry_proto(c->c.p.entry), c->c.p.spi_in);
		first_child_failed(sa, c, why);
	} else if (c) {
		c->c.installed = initiator_installed;
		v2_child_install(sa, c);
	}
	ike_sa_run_reqs(&sa->sa);
}

/* The task is over; its child, when it lives. */
static struct v2_child *end_task(struct v2_sa *sa, struct v2_task *t)
{
	struct v2_child *c = t->child;
	t->child = NULL;
	if (c)
		c->task = NULL;
	v2_task_free(sa, t);
	return c;
}

static void peer_verified(struct v2_sa *sa, struct v2_msg *m, const char *why)
{
	struct v2_task *t = v2_task_active(sa, &v2_auth_task);
	struct v2_child *c = t ? end_task(sa, t) : NULL;
	if (why)
		auth_failed(sa, why);
	else
		peer_accepted(sa, c, m);
}

/* What we expect of the peer that we have called: without match statements anybody with the key or certificate. */
static bool fits_profile(struct v2_sa *sa, const struct v2_msg *m)
{
	const struct cfg_ike_profile *p = sa->sa.profile;
	if (!config_profile_selects(p) || ike_id_matches(p, sa->sa.path.vrf, &sa->setup->id_peer))
		return true;
	return p->remote_auth == CFG_METHOD_SIGNATURE && m->n_cert &&
	       ike_cert_fits(&sa->sa, (struct pki_blob){m->cert[0].p, m->cert[0].len});
}

static void auth_response(struct v2_sa *sa, struct v2_task *t, struct v2_msg *m)
{
	const struct v2_notify *err = v2_find_error(m);
	if (!m->idr.p || !m->auth.p) {
		end_task(sa, t);
		if (err && err->type == V2_N_AUTHENTICATION_FAILED)
			sa->sa.ike->stats.auth_failed++;
		ike_sa_destroy(&sa->sa, err ? v2_notify_name(err->type) : "invalid response from peer");
		return;
	}
	id_take(&sa->setup->id_peer, m->idr);
	if (!fits_profile(sa, m)) {
		end_task(sa, t);
		auth_failed(sa, "neither identity nor certificate match the profile");
		return;
	}
	const char *why = v2_ppk_answered(sa, m);
	if (why) {
		end_task(sa, t);
		auth_failed(sa, why);
		return;
	}
	if (sa->sa.profile->remote_auth == CFG_METHOD_SIGNATURE) {
		v2_task_keep(sa, t); /* and the child with it, until the signature is judged */
		v2_cert_run(sa, m, true, false, peer_verified);
		return;
	}
	struct v2_child *c = end_task(sa, t);
	if (peer_authentic(sa, m))
		peer_accepted(sa, c, m);
	else
		auth_failed(sa, "wrong preshared key or method");
}

static void auth_fini(struct v2_task *t)
{
	if (t->child)
		t->child->task = NULL;
}

const struct v2_task_ops v2_auth_task = {
	.name = "IKE_AUTH",
	.exchange = V2_IKE_AUTH,
	.build = auth_build,
	.response = auth_response,
	.fini = auth_fini,
};

/* ---- responder ---- */

/*
 * VRF-39: the peer's identity selects the profile; one without match statements takes the peers that its map entries
 * name by address. The negotiated suite must be one of that profile's.
 */
static const struct cfg_map_entry *select_entry(struct v2_sa *sa)
{
	struct ike *ike = sa->sa.ike;
	const struct cfg_map_entry *e[IKE_ENTRIES_MAX], *found = NULL;
	unsigned n = ike_entries_for(ike, &ike_v2, &sa->sa.path, &sa->sa.path.remote, e, IKE_ENTRIES_MAX);
	for (unsigned i = 0; i < n && !found; i++)
		if (ike_id_matches(e[i]->profile_ref, sa->sa.path.vrf, &sa->setup->id_peer))
			found = e[i];
	for (unsigned i = 0; i < n && !found; i++)
		if (!config_profile_selects(e[i]->profile_ref) && ike_entry_has_peer(e[i], &sa->sa.path.remote))
			found = e[i];
	return found;
}

static void refuse(struct v2_sa *sa, const char *reason)
{
	char id[IKE_ID_MAX + 1];
	sa->sa.ike->stats.auth_failed++;
	cv_warn("ike", "peer %s refused: %s", ike_id_str(&sa->setup->id_peer, id, sizeof(id)), reason);
	v2_respond_notify(sa, sa->auth_answer, V2_N_AUTHENTICATION_FAILED, NULL, 0);
	ike_sa_destroy(&sa->sa, "authentication failed");
}

/* The answer: error = 0, or the notify that stands for the child. */
static void auth_answer(struct v2_sa *sa, struct v2_child *c, uint16_t error)
{
	uint8_t buf[IKE_MSG_MAX];
	struct v2_enc e;
	v2_resp_begin(sa, sa->auth_answer, &e, buf);
	v2_enc_id(&e, V2_PL_IDR, &sa->setup->id_local);
	v2_enc_certs(&e, sa);
	if (enc_own_auth(sa, &e) != 0) {
		refuse(sa, "no key of our own");
		return;
	}
	v2_ppk_enc_response(sa, &e);
	if (error)
		v2_enc_notify(&e, error, NULL, 0);
	else
		v2_child_enc_answer(&e, c);
	v2_enc_window(sa, &e);
	v2_enc_mobike(sa, &e);
	v2_enc_auth_lifetime(sa, &e);
	auth_done(sa);
	v2_respond(sa, sa->auth_answer, &e);
}

static void responder_installed(struct ike_child *c, int err)
{
	struct v2_sa *sa = v2_of(c->sa);
	v2_child_of(c)->answer = NULL;
	v2_child_settled(v2_child_of(c));
	if (err)
		ike_child_remove(c, 0);
	else
		v2_reauth_overlap_end(sa, v2_child_of(c));
	auth_answer(sa, v2_child_of(c), err ? V2_N_NO_ADDITIONAL_SAS : 0);
	if (!sa->sa.dead)
		ike_sa_run_reqs(&sa->sa);
}

void v2_auth_child_gone(struct v2_sa *sa)
{
	auth_answer(sa, NULL, V2_N_NO_ADDITIONAL_SAS);
}

static void peer_admitted(struct v2_sa *sa, struct v2_msg *m)
{
	struct v2_child *c = NULL;
	sa->sa.state = V2_AUTH_RCVD;
	ike_timer_stop(sa->sa.ike, &sa->stage);
	sa->sa.peer = sa->sa.path.remote;
	v2_take_window(sa, m);
	v2_take_mobike(sa, m);
	if (v2_find_notify(m, V2_N_INITIAL_CONTACT))
		ike_initial_contact(&sa->sa);
	uint16_t error = v2_child_from_offer(sa, m, false, &c);
	if (error) {
		auth_answer(sa, NULL, error);
		return;
	}
	c->answer = sa->auth_answer;
	c->c.installed = responder_installed;
	v2_reauth_overlap(sa, c);
	v2_child_install(sa, c);
}

static void signatures_done(struct v2_sa *sa, struct v2_msg *m, const char *why)
{
	if (why)
		refuse(sa, why);
	else
		peer_admitted(sa, m);
}

/*
 * Profile and identities by what the peer shows, which is judged afterwards as that profile demands (CERTMAP-12, 13); a
 * certificate map wins over the identity (CERTMAP-7). NULL or why it is refused.
 */
static const char *meet_peer(struct v2_sa *sa, struct v2_msg *m)
{
	const struct cfg_map_entry *entry = NULL;
	if (m->n_cert)
		entry = ike_entry_by_cert(&sa->sa, (struct pki_blob){m->cert[0].p, m->cert[0].len});
	if (!entry)
		entry = select_entry(sa);
	if (!entry)
		return "no profile matches";
	sa->sa.entry = entry;
	sa->sa.profile = entry->profile_ref;
	if (!v2_group_offered(sa->sa.profile, (uint16_t)sa->suite.group))
		return "the profile does not allow the negotiated algorithms";
	v2_choose_cert(sa, m);
	return v2_id_local(sa) != 0 ? "certificate without usable subject" : v2_ppk_judge(sa, m);
}

void v2_auth_request(struct v2_sa *sa, struct v2_msg *m)
{
	sa->auth_answer = m->answer;
	if (!v2_inter_complete(sa)) {
		refuse(sa, "the additional key exchanges are not complete");
		return;
	}
	if (m->idi.p)
		id_take(&sa->setup->id_peer, m->idi);
	if (!m->idi.p || !m->auth.p || !m->sa.p || !m->tsi.p || !m->tsr.p) {
		refuse(sa, "no authentication offered that this router takes"); /* leaving AUTH out asks for EAP */
		return;
	}
	const char *why = meet_peer(sa, m);
	if (why) {
		refuse(sa, why);
		return;
	}
	const struct cfg_ike_profile *p = sa->sa.profile;
	bool verify = p->remote_auth == CFG_METHOD_SIGNATURE, sign = p->local_auth == CFG_METHOD_SIGNATURE;
	if (!verify && !peer_authentic(sa, m))
		refuse(sa, "wrong preshared key or method");
	else if (verify || sign)
		v2_cert_run(sa, m, verify, sign, signatures_done);
	else
		peer_admitted(sa, m);
}
