/* SPDX-License-Identifier: BSD-3-Clause */
/* IKEv2: messages in and out, the window of one request each way, tasks. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "v2_int.h"

void v2_buf_set(struct v2_buf *b, const void *data, size_t len)
{
	v2_buf_free(b);
	b->p = malloc(len ? len : 1);
	if (!b->p)
		return;
	memcpy(b->p, data, len);
	b->len = len;
}

void v2_buf_free(struct v2_buf *b)
{
	free(b->p);
	b->p = NULL;
	b->len = 0;
}

int v2_nonce_take(struct v2_nonce *n, struct v2_view v)
{
	if (!v.p || v.len > V2_NONCE_MAX)
		return -EPROTO;
	memcpy(n->b, v.p, v.len);
	n->len = (uint16_t)v.len;
	return 0;
}

void v2_nonce_make(struct v2_nonce *n)
{
	n->len = V2_NONCE_OURS;
	ikec_random(n->b, V2_NONCE_OURS);
}

int v2_nonce_cmp(const struct v2_nonce *a, const struct v2_nonce *b)
{
	int d = memcmp(a->b, b->b, a->len < b->len ? a->len : b->len);
	return d ? d : (int)a->len - (int)b->len;
}

const struct v2_nonce *v2_nonce_min(const struct v2_nonce *a, const struct v2_nonce *b)
{
	return v2_nonce_cmp(a, b) < 0 ? a : b;
}

void v2_set_timer(struct v2_sa *sa, struct ike_timer *t, void (*fire)(struct ike *, struct ike_timer *), uint64_t ms)
{
	t->fire = fire;
	ike_timer_set(sa->sa.ike, t, ike_now(sa->sa.ike) + ms);
}

struct v2_sa *v2_sa_new(struct ike *ike)
{
	struct v2_sa *sa = (struct v2_sa *)ike_sa_new(ike, &ike_v2, sizeof(*sa));
	if (!sa)
		return NULL;
	TAILQ_INIT(&sa->tasks);
	TAILQ_INIT(&sa->active);
	TAILQ_INIT(&sa->answers);
	sa->peer_window = sa->own_window = 1;
	sa->setup = calloc(1, sizeof(*sa->setup));
	if (!sa->setup)
		abort();
	sa->setup->init.sa = sa;
	return sa;
}

static void setup_free(struct v2_sa *sa)
{
	struct v2_setup *s = sa->setup;
	if (!s)
		return;
	v2_request_stop(sa, &s->init);
	v2_init_undoubt(sa);
	v2_puzzle_forget(&s->puzzle);
	ikec_dh_free(s->dh);
	v2_buf_free(&s->init_req);
	v2_buf_free(&s->init_resp);
	v2_buf_free(&s->own_auth);
	v2_buf_free(&s->peer_cas);
	v2_buf_free(&s->peer_methods);
	v2_ppk_fini(sa);
	pki_tp_unref(s->own_tp);
	cv_secret_zero(&s->proof, sizeof(s->proof));
	free(s);
	sa->setup = NULL;
}

static struct v2_id *id_pack(const struct ike_id *id)
{
	struct v2_id *p = malloc(sizeof(*p) + id->len);
	if (!p)
		abort();
	p->type = id->type;
	p->len = id->len;
	memcpy(p->data, id->data, id->len);
	return p;
}

static void id_unpack(const struct v2_id *p, struct ike_id *id)
{
	id->type = p ? p->type : 0;
	id->len = p ? p->len : 0;
	if (p)
		memcpy(id->data, p->data, p->len);
}

void v2_setup_done(struct v2_sa *sa)
{
	if (!sa->setup)
		return;
	sa->local = id_pack(&sa->setup->id_local);
	sa->peer = id_pack(&sa->setup->id_peer);
	setup_free(sa);
}

void v2_ids(const struct v2_sa *sa, struct ike_id *local, struct ike_id *peer)
{
	if (sa->setup) {
		*local = sa->setup->id_local;
		*peer = sa->setup->id_peer;
		return;
	}
	id_unpack(sa->local, local);
	id_unpack(sa->peer, peer);
}

void v2_header(const struct v2_sa *sa, struct v2_hdr *h, uint8_t exchange, uint32_t msgid, bool response)
{
	memset(h, 0, sizeof(*h));
	memcpy(h->spi_i, sa->sa.spi_i, IKE_SPI_LEN);
	memcpy(h->spi_r, sa->sa.spi_r, IKE_SPI_LEN);
	h->exchange = exchange;
	h->flags = (uint8_t)((sa->sa.initiator ? V2_FLAG_INITIATOR : 0) | (response ? V2_FLAG_RESPONSE : 0));
	h->msgid = msgid;
}

/* ---- input ---- */

/*
 * Parse the inside of an encrypted message. copy holds the message and is decrypted in place; the last of several
 * fragments opens their whole, which *whole keeps until the caller frees it. 0, or -errno with *fatal set when an
 * authentic message was malformed; -EAGAIN while fragments are missing.
 */
static int open_message(struct v2_sa *sa, struct v2_msg *m, uint8_t *copy, uint8_t **whole, bool *fatal)
{
	struct ike *ike = sa->sa.ike;
	struct v2_view inner;
	const char *why = "bad padding";
	*fatal = false;
	int err = v2_open(sa, m, copy, &inner);
	if (err == -EBADMSG) {
		ike->stats.rx_bad_integrity++;
		sa->sa.bad++;
		return err;
	}
	/* what stood in clear beside the encrypted payload is not authenticated as belonging to it: forget it */
	struct v2_hdr h = m->h;
	uint8_t first = m->sk_next;
	if (!err && m->frag_total)
		err = v2_frag_add(sa, m, &inner, &first, whole);
	if (err == -EAGAIN)
		return err;
	memset(m, 0, sizeof(*m));
	m->h = h;
	if (!err)
		err = v2_parse_payloads(m, first, inner.p, inner.len, true, &why);
	m->inner = inner;
	m->inner_first = first;
	if (err) {
		cv_notice("ike", "malformed message from an authenticated peer: %s", why);
		ike->stats.rx_malformed++;
		*fatal = true;
	}
	return err;
}

/* The peer is where its latest valid message came from (RFC 7296 2.23), if it may move at all. */
static void follow_peer(struct v2_sa *sa, const struct ike_path *path, bool natt)
{
	if (sa->sa.phase == IKE_PHASE_HALF_OPEN) {
		sa->sa.path = *path;
		sa->sa.natt = natt;
		return;
	}
	if (sa->sa.natt && natt && sa->sa.nat_remote && !sa->sa.mobike)
		ike_sa_move(&sa->sa, &path->remote, path->rport);
}

void v2_malformed(struct v2_sa *sa, struct v2_answer *a)
{
	v2_respond_notify(sa, a, V2_N_INVALID_SYNTAX, NULL, 0);
	if (!sa->sa.dead)
		v2_sa_delete(&sa->sa, "invalid syntax");
}

static void dispatch_request(struct v2_sa *sa, struct v2_msg *m)
{
	if (m->critical) {
		v2_respond_notify(sa, m->answer, V2_N_UNSUPPORTED_CRITICAL_PAYLOAD, &m->critical, 1);
		return;
	}
	switch (m->h.exchange) {
	case V2_IKE_INTERMEDIATE:
		v2_inter_request(sa, m);
		return;
	case V2_IKE_AUTH:
		v2_auth_request(sa, m);
		return;
	case V2_CREATE_CHILD_SA:
		v2_create_child_request(sa, m);
		return;
	case V2_IKE_FOLLOWUP_KE:
		v2_follow_request(sa, m);
		return;
	case V2_INFORMATIONAL:
		v2_info_request(sa, m);
		return;
	default:
		v2_respond_notify(sa, m->answer, V2_N_INVALID_SYNTAX, NULL, 0);
	}
}

static void input_request(
	struct v2_sa *sa, const struct ike_path *path, bool natt, struct v2_msg *m, uint8_t *copy, uint8_t **whole)
{
	struct ike *ike = sa->sa.ike;
	struct v2_answer *a;
	bool fatal, half_open = sa->sa.phase == IKE_PHASE_HALF_OPEN;
	enum v2_request_is is = v2_request_is(sa, m->h.msgid, &a);
	if (is == V2_REQUEST_REPEATED) { /* prove it is the peer's before answering again */
		struct v2_view inner;
		if (m->frag_num > 1)
			return; /* the first of the repeated fragments speaks for all (RFC 7383 2.6.1) */
		bool before = sa->inter && a->exchange == V2_IKE_INTERMEDIATE;
		if (before)
			v2_inter_swap(sa);
		int err = v2_open(sa, m, copy, &inner);
		if (before)
			v2_inter_swap(sa);
		if (err == -EBADMSG)
			return;
		ike->stats.rx_retransmits++;
		v2_send_all_to(sa, path, natt, &a->resp);
		return;
	}
	bool early = m->h.exchange == V2_IKE_AUTH || (m->h.exchange == V2_IKE_INTERMEDIATE && sa->inter);
	if (is != V2_REQUEST_NEW || early != half_open || (half_open && sa->sa.initiator)) {
		ike->stats.rx_unexpected++;
		return;
	}
	int err = open_message(sa, m, copy, whole, &fatal);
	if (err && !fatal)
		return;
	sa->sa.rx++;
	sa->sa.last_rx_ms = ike_now(ike);
	m->path = path;
	m->natt = natt;
	m->answer = v2_answer_open(sa, m);
	sa->n_tried = 0;
	follow_peer(sa, path, natt);
	if (fatal)
		v2_malformed(sa, m->answer);
	else
		dispatch_request(sa, m);
}

static void input_response(
	struct v2_sa *sa, const struct ike_path *path, bool natt, struct v2_msg *m, uint8_t *copy, uint8_t **whole)
{
	struct ike *ike = sa->sa.ike;
	bool fatal;
	if (!v2_task_expected(sa, m->h.msgid, m->h.exchange)) {
		ike->stats.rx_unexpected++;
		return;
	}
	int err = open_message(sa, m, copy, whole, &fatal);
	if (err && !fatal)
		return;
	sa->sa.rx++;
	sa->sa.last_rx_ms = ike_now(ike);
	sa->n_tried = 0;
	struct v2_task *t = v2_task_answered(sa, m->h.msgid);
	if (sa->sa.phase != IKE_PHASE_HALF_OPEN)
		follow_peer(sa, path, natt);
	if (fatal || m->critical) {
		v2_task_free(sa, t);
		ike_sa_destroy(&sa->sa, "invalid response from peer");
		return;
	}
	t->ops->response(sa, t, m);
	if (sa->sa.dead)
		return;
	ike_sa_save(&sa->sa);
	v2_queue_run(sa);
}

static void input(struct ike *ike, const struct ike_path *path, bool natt, const uint8_t *data, size_t len)
{
	struct v2_msg m;
	const char *why = "zero initiator SPI";
	uint8_t copy[IKE_MSG_MAX];
	if (v2_parse_header(data, len, &m) != 0 ||
		v2_parse_payloads(&m, m.h.next, data + IKE_HDR_LEN, len - IKE_HDR_LEN, false, &why) != 0) {
		cv_debug("ike", "malformed message dropped: %s", why);
		ike->stats.rx_malformed++;
		return;
	}
	bool response = m.h.flags & V2_FLAG_RESPONSE, from_initiator = m.h.flags & V2_FLAG_INITIATOR;
	if (m.h.exchange == V2_IKE_SA_INIT && !response) {
		v2_init_request(ike, path, natt, &m);
		return;
	}
	struct ike_sa *base = ike_sa_by_spi(ike, &ike_v2, from_initiator ? m.h.spi_r : m.h.spi_i);
	struct v2_sa *sa = base ? v2_of(base) : NULL;
	if (!sa || sa->sa.initiator == from_initiator || sa->sa.path.vrf != path->vrf) {
		ike->stats.rx_unknown_spi++; /* INVALID_IKE_SPI would tell strangers more than it helps */
		return;
	}
	if (m.h.exchange == V2_IKE_SA_INIT) {
		v2_init_response(sa, &m);
		return;
	}
	if (memcmp(from_initiator ? m.h.spi_i : m.h.spi_r, ike_sa_peer_spi(&sa->sa), IKE_SPI_LEN) != 0 || !m.sk.p) {
		ike->stats.rx_unknown_spi++;
		return;
	}
	memcpy(copy, data, len);
	uint8_t *whole = NULL;
	if (response)
		input_response(sa, path, natt, &m, copy, &whole);
	else
		input_request(sa, path, natt, &m, copy, &whole);
	cv_secret_zero(copy, len);
	free(whole);
}

/* ---- the rest of struct ike_version ---- */

static const char *state_name(const struct ike_sa *sa)
{
	static const char *const name[] = {
		[V2_IDLE] = "idle",
		[V2_INIT_PREPARE] = "init-prepare",
		[V2_INIT_SENT] = "init-sent",
		[V2_INIT_RCVD] = "init-received",
		[V2_AUTH_SENT] = "auth-sent",
		[V2_AUTH_RCVD] = "auth-received",
		[V2_ESTABLISHED] = "established",
		[V2_REKEYED] = "rekeyed",
		[V2_DELETING] = "deleting",
	};
	return name[sa->state];
}

static void sa_fini(struct ike_sa *base)
{
	struct v2_sa *sa = v2_of(base);
	struct ike *ike = base->ike;
	v2_window_fini(sa);
	ike_timer_stop(ike, &sa->dpd);
	ike_timer_stop(ike, &sa->stage);
	setup_free(sa);
	free(sa->local);
	free(sa->peer);
	free(sa->other);
	free(sa->gone);
	sa->local = sa->peer = NULL;
	sa->other = NULL;
	sa->n_other = 0;
	v2_frags_fini(sa);
	v2_inter_fini(sa);
	cv_secret_zero(&sa->keys, sizeof(sa->keys));
}

static void set_name(json_t *o, const char *key, enum algo_ike_kind kind, uint16_t id, uint16_t bits)
{
	const struct algo_ike *a = id ? algo_ike_get(kind, id, bits) : NULL;
	json_object_set_new(o, key, json_string(a ? a->name : ""));
}

static void show(const struct ike_sa *base, json_t *o)
{
	const struct v2_sa *sa = (const struct v2_sa *)base;
	set_name(o, "encr", ALGO_IKE_ENCR, sa->suite.encr, sa->suite.key_bits);
	set_name(o, "prf", ALGO_IKE_PRF, sa->suite.prf, 0);
	set_name(o, "integ", ALGO_IKE_INTEG, sa->suite.integ, 0);
	set_name(o, "group", ALGO_IKE_GROUP, sa->suite.group, 0);
	char more[128] = "";
	for (unsigned i = 0; i < sa->suite.n_addke; i++) {
		const struct algo_ike *a = algo_ike_get(ALGO_IKE_GROUP, sa->suite.addke[i], 0);
		size_t at = strlen(more);
		snprintf(more + at, sizeof(more) - at, "%s%s", i ? " " : "", a ? a->name : "?");
	}
	json_object_set_new(o, "additional_groups", json_string(more));
	const struct cfg_ike_profile *p = base->profile;
	json_object_set_new(o, "auth", json_string(p && p->local_auth == CFG_METHOD_SIGNATURE ? "signature" : "psk"));
	json_object_set_new(
		o, "peer_auth", json_string(p && p->remote_auth == CFG_METHOD_SIGNATURE ? "signature" : "psk"));
	json_object_set_new(o, "ppk", json_boolean(sa->ppk_used));
	json_object_set_new(o, "next_request", json_integer(sa->next_msgid));
	json_object_set_new(o, "next_expected", json_integer(sa->peer_msgid));
	json_object_set_new(o, "mobike", json_boolean(base->mobike));
	if (sa->auth_until_ms) {
		uint64_t now = ike_now(base->ike);
		json_object_set_new(o, "authentication_remaining",
			json_integer(sa->auth_until_ms > now ? (json_int_t)(sa->auth_until_ms - now) / 1000 : 0));
	}
	json_object_set_new(o, "window", json_integer(sa->own_window));
	json_object_set_new(o, "peer_window", json_integer(sa->peer_window));
}

static void ids(const struct ike_sa *base, struct ike_id *local, struct ike_id *peer)
{
	v2_ids((const struct v2_sa *)base, local, peer);
}

static struct ike_sa *restore_new(struct ike *ike)
{
	struct v2_sa *sa = v2_sa_new(ike);
	return sa ? &sa->sa : NULL;
}

static void config_changed(struct ike_sa *sa)
{
	if (sa->phase == IKE_PHASE_ESTABLISHED)
		v2_dpd_arm(v2_of(sa));
}

const struct ike_version ike_v2 = {
	.major = 2,
	.input = input,
	.initiate = v2_initiate,
	.child_initiate = v2_child_initiate,
	.child_rekey = v2_child_rekey,
	.child_resource = v2_child_resource,
	.child_delete = v2_child_delete,
	.sa_rekey = v2_sa_rekey,
	.sa_delete = v2_sa_delete,
	.readdress = v2_readdress,
	.sa_fini = sa_fini,
	.child_fini = v2_child_fini,
	.state_name = state_name,
	.ids = ids,
	.show = show,
	.wire_keys = v2_wire_keys,
	.serialize = v2_serialize,
	.restore_new = restore_new,
	.restore = v2_restore,
	.child_serialize = v2_child_serialize,
	.child_restore = v2_child_restore,
	.child_size = sizeof(struct v2_child),
	.config_changed = config_changed,
};
