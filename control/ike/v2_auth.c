/* SPDX-License-Identifier: BSD-3-Clause */
/* IKE_AUTH with preshared keys (RFC 7296 1.2, 2.15), both sides; the first child comes with it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "v2_int.h"

static size_t id_body(const struct ike_id *id, uint8_t out[4 + IKE_ID_MAX])
{
	memset(out, 0, 4);
	out[0] = id->type;
	memcpy(out + 4, id->data, id->len);
	return 4u + id->len;
}

static void id_take(struct ike_id *id, struct v2_view v)
{
	id->type = v.p[0];
	id->len = (uint16_t)(v.len - 4);
	memcpy(id->data, v.p + 4, id->len);
}

static void auth_done(struct v2_sa *sa)
{
	v2_buf_free(&sa->init_req);
	v2_buf_free(&sa->init_resp);
	cv_secret_zero(sa->keys.pi, sizeof(sa->keys.pi));
	cv_secret_zero(sa->keys.pr, sizeof(sa->keys.pr));
	ike_timer_stop(sa->sa.ike, &sa->half_open);
	sa->sa.state = V2_ESTABLISHED;
	ike_sa_established(&sa->sa, sa->sa.profile->lifetime_s);
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

static void auth_build(struct v2_sa *sa, struct v2_task *t, struct v2_enc *e)
{
	uint8_t auth[IKEC_PRF_MAX], body[4 + IKE_ID_MAX];
	struct v2_child *c = t->child;
	const struct cfg_psk *psk = ike_psk_for(sa->sa.ike, sa->sa.profile, &sa->sa.path, &sa->sa.path.remote, NULL);
	if (!psk) { /* start has looked it up as well */
		e->bad = true;
		return;
	}
	v2_auth_psk(sa, true, psk, body, id_body(&sa->id_local, body), auth);
	v2_enc_id(e, V2_PL_IDI, &sa->id_local);
	if (first_contact(sa))
		v2_enc_notify(e, V2_N_INITIAL_CONTACT, NULL, 0);
	v2_enc_auth(e, V2_AUTH_PSK, auth, ikec_prf_len(sa->suite.prf));
	v2_enc_child_sa(e, c->c.p.entry, c->c.p.spi_in, IKE_GROUP_NONE);
	v2_enc_child_ts(e, c->c.p.sel, c->c.p.n_sel, true);
	v2_enc_child_notifies(e, c);
}

void v2_auth_start(struct v2_sa *sa)
{
	struct ike_req *req = TAILQ_FIRST(&sa->sa.reqs);
	struct v2_task *t;
	struct v2_child *c;
	ike_id_local(sa->sa.ike->cfg, sa->sa.profile, &sa->sa.path.local, &sa->id_local);
	if (!req) {
		ike_sa_destroy(&sa->sa, NULL); /* nobody wants it any more */
		return;
	}
	if (!ike_psk_for(sa->sa.ike, sa->sa.profile, &sa->sa.path, &sa->sa.path.remote, NULL)) {
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
	sa->cur = t;
	v2_task_send(sa, t);
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
	const struct cfg_psk *psk =
		ike_psk_for(sa->sa.ike, sa->sa.profile, &sa->sa.path, &sa->sa.path.remote, &sa->id_peer);
	return psk && m->auth_method == V2_AUTH_PSK && m->auth.p && m->auth.len == n &&
	       v2_auth_psk(sa, !sa->sa.initiator, psk, id.p, id.len, want) == 0 &&
	       cv_secret_cmp(want, m->auth.p, n) == 0;
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
	if (err) { /* the peer has it installed: tell it that we have not */
		v2_send_delete(sa, ike_child_proto(&c->p), c->p.spi_in);
		first_child_failed(sa, v2_child_of(c), "refused by the dataplane");
	}
	ike_sa_save(&sa->sa);
}

static void auth_response(struct v2_sa *sa, struct v2_task *t, struct v2_msg *m)
{
	struct v2_child *c = t->child;
	const struct v2_notify *err = v2_find_error(m);
	const char *why;
	t->child = NULL;
	if (c)
		c->task = NULL;
	v2_task_free(t);
	if (!m->idr.p || !m->auth.p) {
		if (err && err->type == V2_N_AUTHENTICATION_FAILED)
			sa->sa.ike->stats.auth_failed++;
		ike_sa_destroy(&sa->sa, err ? v2_notify_name(err->type) : "invalid response from peer");
		return;
	}
	id_take(&sa->id_peer, m->idr);
	if (sa->sa.profile->n_match && !ike_id_matches(sa->sa.profile, &sa->id_peer)) {
		auth_failed(sa, "identity does not match the profile");
		return;
	}
	if (!peer_authentic(sa, m)) {
		auth_failed(sa, "wrong preshared key or method");
		return;
	}
	auth_done(sa);
	if (c && (err || !m->sa.p)) {
		first_child_failed(sa, c, err ? v2_notify_name(err->type) : "no child in the response");
	} else if (c && v2_child_from_answer(sa, m, c, &why) != 0) {
		v2_send_delete(sa, ike_child_proto(&c->c.p), c->c.p.spi_in);
		first_child_failed(sa, c, why);
	} else if (c) {
		c->c.installed = initiator_installed;
		v2_child_install(sa, c);
	}
	ike_sa_run_reqs(&sa->sa);
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
	const struct cfg_map_entry **e = calloc(IKE_ENTRIES_MAX, sizeof(*e)), *found = NULL;
	unsigned n = e ? ike_entries_for(ike, &ike_v2, &sa->sa.path, e, IKE_ENTRIES_MAX) : 0;
	for (unsigned i = 0; i < n && !found; i++)
		if (ike_id_matches(e[i]->profile_ref, &sa->id_peer))
			found = e[i];
	for (unsigned i = 0; i < n && !found; i++)
		if (!e[i]->profile_ref->n_match && ike_entry_has_peer(e[i], &sa->sa.path.remote))
			found = e[i];
	free(e);
	return found;
}

static void refuse(struct v2_sa *sa, const char *reason)
{
	char id[IKE_ID_MAX + 1];
	sa->sa.ike->stats.auth_failed++;
	cv_warn("ike", "peer %s refused: %s", ike_id_str(&sa->id_peer, id, sizeof(id)), reason);
	v2_respond_notify(sa, V2_N_AUTHENTICATION_FAILED, NULL, 0);
	ike_sa_destroy(&sa->sa, "authentication failed");
}

/* The answer: error = 0, or the notify that stands for the child. */
static void auth_answer(struct v2_sa *sa, struct v2_child *c, uint16_t error)
{
	uint8_t buf[IKE_MSG_MAX], auth[IKEC_PRF_MAX], body[4 + IKE_ID_MAX];
	struct v2_enc e;
	const struct cfg_psk *psk =
		ike_psk_for(sa->sa.ike, sa->sa.profile, &sa->sa.path, &sa->sa.path.remote, &sa->id_peer);
	if (!psk || v2_auth_psk(sa, false, psk, body, id_body(&sa->id_local, body), auth) != 0) {
		refuse(sa, "no preshared key");
		return;
	}
	v2_resp_begin(sa, &e, buf);
	v2_enc_id(&e, V2_PL_IDR, &sa->id_local);
	v2_enc_auth(&e, V2_AUTH_PSK, auth, ikec_prf_len(sa->suite.prf));
	if (error)
		v2_enc_notify(&e, error, NULL, 0);
	else
		v2_child_enc_answer(&e, c);
	auth_done(sa);
	v2_respond(sa, &e);
}

static void responder_installed(struct ike_child *c, int err)
{
	struct v2_sa *sa = v2_of(c->sa);
	sa->answer_child = NULL;
	if (err)
		ike_child_remove(c, 0);
	auth_answer(sa, v2_child_of(c), err ? V2_N_NO_ADDITIONAL_SAS : 0);
	if (!sa->sa.dead)
		ike_sa_run_reqs(&sa->sa);
}

void v2_auth_child_gone(struct v2_sa *sa)
{
	auth_answer(sa, NULL, V2_N_NO_ADDITIONAL_SAS);
}

void v2_auth_request(struct v2_sa *sa, struct v2_msg *m)
{
	struct v2_child *c = NULL;
	if (!m->idi.p || !m->auth.p || !m->sa.p || !m->tsi.p || !m->tsr.p) {
		/* EAP and certificates are asked for by leaving AUTH out or by other methods: not offered here */
		if (m->idi.p)
			id_take(&sa->id_peer, m->idi);
		refuse(sa, "no preshared key authentication offered");
		return;
	}
	id_take(&sa->id_peer, m->idi);
	const struct cfg_map_entry *entry = select_entry(sa);
	if (!entry) {
		refuse(sa, "no profile matches");
		return;
	}
	sa->sa.entry = entry;
	sa->sa.profile = entry->profile_ref;
	if (!v2_group_offered(sa->sa.profile, (uint16_t)sa->suite.group)) {
		refuse(sa, "the profile does not allow the negotiated algorithms");
		return;
	}
	if (!peer_authentic(sa, m)) {
		refuse(sa, "wrong preshared key or method");
		return;
	}
	ike_id_local(sa->sa.ike->cfg, sa->sa.profile, &sa->sa.path.local, &sa->id_local);
	sa->sa.state = V2_AUTH_RCVD;
	ike_timer_stop(sa->sa.ike, &sa->half_open);
	sa->sa.peer = sa->sa.path.remote;
	if (v2_find_notify(m, V2_N_INITIAL_CONTACT))
		ike_initial_contact(&sa->sa);
	uint16_t error = v2_child_from_offer(sa, m, false, &c);
	if (error) {
		auth_answer(sa, NULL, error);
		return;
	}
	sa->answer_child = c;
	c->c.installed = responder_installed;
	v2_child_install(sa, c);
}
