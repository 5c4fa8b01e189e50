/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * IKEv2's part of the vault record: keys, message ids, windows, the answers that the peer may ask for again, and the
 * requests under way. A request whose task died with the process goes on being repeated until it is answered, for the
 * window would stay shut otherwise; what the answer brings into being at the peer is deleted again, and the timers
 * start the exchange anew. A request of the peer that was not answered yet is taken as new when it is repeated.
 */
#include <errno.h>
#include <string.h>

#include "v2_int.h"

#define KEPT_MAX 65536u /* longest message kept, in all its fragments */

/* A delete that waits for its place in the window. */
static bool waiting_delete(const struct v2_task *t)
{
	return t->ops == &v2_info_task && t->n_spi;
}

static void put_deletes(const struct v2_sa *sa, struct ike_wbuf *w)
{
	const struct ike_child *c;
	const struct v2_task *t;
	uint32_t n = 0;
	TAILQ_FOREACH (c, &sa->sa.children, link)
		n += v2_child_dangling(c);
	TAILQ_FOREACH (t, &sa->tasks, link)
		n += waiting_delete(t);
	ike_put_u32(w, n);
	TAILQ_FOREACH (c, &sa->sa.children, link)
		if (v2_child_dangling(c)) {
			ike_put_u8(w, ike_child_proto(&c->p));
			ike_put_u32(w, c->p.spi_in);
		}
	TAILQ_FOREACH (t, &sa->tasks, link)
		if (waiting_delete(t)) {
			ike_put_u8(w, t->spi_proto);
			ike_put_u32(w, t->spi[0]);
		}
}

/* Of the one kind the keys are lost: the peer shall forget it, too, once this process is on its feet. */
static void get_deletes(struct v2_sa *sa, struct ike_rbuf *r)
{
	for (uint32_t n = ike_get_u32(r); n && !r->bad; n--) {
		struct v2_task *t = v2_task_new(&v2_info_task);
		t->spi_proto = ike_get_u8(r);
		t->spi[0] = ike_get_u32(r);
		t->n_spi = 1;
		t->not_before_ms = ike_now(sa->sa.ike) + 100;
		v2_task_queue(sa, t);
	}
}

static void put_answers(const struct v2_sa *sa, struct ike_wbuf *w)
{
	const struct v2_answer *a;
	uint32_t lowest = sa->peer_msgid;
	uint8_t n = 0;
	TAILQ_FOREACH (a, &sa->answers, link) {
		n += !a->open;
		if (a->open && a->msgid < lowest)
			lowest = a->msgid;
	}
	ike_put_u32(w, lowest);
	ike_put_u8(w, sa->own_window);
	ike_put_u8(w, n);
	TAILQ_FOREACH (a, &sa->answers, link)
		if (!a->open) {
			ike_put_u32(w, a->msgid);
			ike_put_blob(w, a->resp.p, a->resp.len);
		}
}

static void get_answers(struct v2_sa *sa, struct ike_rbuf *r)
{
	sa->peer_msgid = ike_get_u32(r);
	sa->own_window = ike_get_u8(r);
	for (uint8_t n = ike_get_u8(r); n && !r->bad; n--) {
		uint32_t msgid = ike_get_u32(r);
		size_t len;
		const uint8_t *p = ike_get_blob(r, &len, KEPT_MAX);
		if (p)
			v2_answer_resume(sa, msgid, p, len);
	}
}

static void put_requests(const struct v2_sa *sa, struct ike_wbuf *w)
{
	const struct v2_task *t;
	uint8_t n = 0;
	TAILQ_FOREACH (t, &sa->active, link)
		n += t->place == V2_TASK_SENT;
	ike_put_u32(w, sa->next_msgid);
	ike_put_u8(w, sa->peer_window);
	ike_put_u8(w, n);
	TAILQ_FOREACH (t, &sa->active, link)
		if (t->place == V2_TASK_SENT) {
			ike_put_u32(w, t->msgid);
			ike_put_blob(w, t->req.out.p, t->req.out.len);
			ike_put_u8(w, v2_task_exchange(t));
			ike_put_u8(w, t->kind_before ? t->kind_before : t->ops->kind);
			ike_put_u8(w, t->spi_proto);
			ike_put_u32(w, t->n_spi ? t->spi[0] : 0);
		}
}

/* SK_p has served its purpose. */
static void put_keys(struct ike_wbuf *w, const struct v2_keys *k)
{
	ike_put_u8(w, (uint8_t)k->d_len);
	ike_put_u8(w, (uint8_t)k->a_len);
	ike_put_u8(w, (uint8_t)k->e_len);
	ike_put(w, k->d, k->d_len);
	ike_put(w, k->ai, k->a_len);
	ike_put(w, k->ar, k->a_len);
	ike_put(w, k->ei, k->e_len);
	ike_put(w, k->er, k->e_len);
}

static void get_keys(struct ike_rbuf *r, struct v2_keys *k)
{
	k->d_len = ike_get_u8(r);
	k->a_len = ike_get_u8(r);
	k->e_len = ike_get_u8(r);
	r->bad |= k->d_len > V2_KEY_MAX || k->a_len > V2_KEY_MAX || k->e_len > V2_KEY_MAX;
	if (r->bad)
		return;
	ike_get(r, k->d, k->d_len);
	ike_get(r, k->ai, k->a_len);
	ike_get(r, k->ar, k->a_len);
	ike_get(r, k->ei, k->e_len);
	ike_get(r, k->er, k->e_len);
}

void v2_serialize(const struct ike_sa *base, struct ike_wbuf *w)
{
	const struct v2_sa *sa = (const struct v2_sa *)base;
	ike_put(w, &sa->suite, sizeof(sa->suite));
	put_keys(w, &sa->keys);
	struct ike_id local, peer;
	v2_ids(sa, &local, &peer);
	ike_put_id(w, &local);
	ike_put_id(w, &peer);
	ike_put_u64(w, sa->iv_last);
	ike_put_u8(w, (uint8_t)(sa->peer_frag | sa->ppk_used << 1 | sa->auth_initiator << 2));
	ike_put_u64(w, sa->auth_until_ms);
	ike_put_u8(w, sa->moving);
	ike_put_u32(w, sa->update_msgid);
	ike_put_u8(w, (uint8_t)sa->n_other);
	if (sa->n_other)
		ike_put(w, sa->other, sa->n_other * sizeof(*sa->other));
	put_answers(sa, w);
	put_requests(sa, w);
	put_deletes(sa, w);
}

/* ---- the orphan: a request whose task is gone ---- */

static void orphan_response(struct v2_sa *sa, struct v2_task *t, struct v2_msg *m)
{
	uint8_t kind = t->kind_before;
	uint32_t spi = t->spi[0];
	uint8_t proto = t->spi_proto;
	struct ike_child *c = spi ? ike_child_by_spi_in(&sa->sa, spi) : NULL;
	/* with the last answer of a series only (RFC 9370 2.2.4) */
	bool made = (m->sa.p || m->h.exchange == V2_IKE_FOLLOWUP_KE) && !v2_find_error(m) &&
		    !v2_find_notify(m, V2_N_ADDITIONAL_KEY_EXCHANGE);
	v2_task_free(sa, t);
	if (kind == V2_TASK_CHILD && made) {
		v2_send_delete(sa, proto, spi); /* our keys for it are lost */
	} else if (kind == V2_TASK_REKEY_IKE && made) {
		/* the peer has moved to an SA whose keys we do not have */
		ike_sa_destroy(&sa->sa, "IKE rekey interrupted by a restart");
	} else if (kind == V2_TASK_OTHER && c) {
		ike_child_remove(c, IKE_LINGER_MS); /* it was a delete */
	}
}

static const struct v2_task_ops orphan_create = {
	.name = "CREATE_CHILD_SA (restored)", .exchange = V2_CREATE_CHILD_SA, .response = orphan_response};
static const struct v2_task_ops orphan_followup = {
	.name = "IKE_FOLLOWUP_KE (restored)", .exchange = V2_IKE_FOLLOWUP_KE, .response = orphan_response};
static const struct v2_task_ops orphan_info = {
	.name = "INFORMATIONAL (restored)", .exchange = V2_INFORMATIONAL, .response = orphan_response};

static const struct v2_task_ops *orphan_of(uint8_t exchange)
{
	return exchange == V2_CREATE_CHILD_SA	? &orphan_create
	       : exchange == V2_IKE_FOLLOWUP_KE ? &orphan_followup
						: &orphan_info;
}

static void get_requests(struct v2_sa *sa, struct ike_rbuf *r)
{
	sa->next_msgid = ike_get_u32(r);
	sa->peer_window = ike_get_u8(r);
	for (uint8_t n = ike_get_u8(r); n && !r->bad; n--) {
		uint32_t msgid = ike_get_u32(r);
		size_t len;
		const uint8_t *out = ike_get_blob(r, &len, KEPT_MAX);
		struct v2_task *t = v2_task_new(orphan_of(ike_get_u8(r)));
		t->kind_before = ike_get_u8(r);
		t->spi_proto = ike_get_u8(r);
		t->spi[0] = ike_get_u32(r);
		t->n_spi = t->spi[0] != 0;
		if (r->bad)
			v2_task_free(sa, t);
		else
			v2_task_resume(sa, t, msgid, out, len);
	}
}

int v2_restore(struct ike_sa *base, struct ike_rbuf *r)
{
	struct v2_sa *sa = v2_of(base);
	ike_get(r, &sa->suite, sizeof(sa->suite));
	get_keys(r, &sa->keys);
	ike_get_id(r, &sa->setup->id_local);
	ike_get_id(r, &sa->setup->id_peer);
	sa->iv_last = ike_get_u64(r);
	uint8_t flags = ike_get_u8(r);
	sa->peer_frag = flags & 1;
	sa->ppk_used = flags & 2;
	sa->auth_initiator = flags & 4;
	sa->auth_until_ms = ike_get_u64(r);
	sa->moving = ike_get_u8(r) != 0;
	sa->update_msgid = ike_get_u32(r);
	struct cv_addr other[V2_OTHER_MAX];
	unsigned n_other = ike_get_u8(r);
	if (n_other > V2_OTHER_MAX)
		return -EPROTO;
	ike_get(r, other, n_other * sizeof(other[0]));
	v2_others_set(sa, other, n_other);
	if (r->bad || base->phase != IKE_PHASE_ESTABLISHED || base->state != V2_ESTABLISHED ||
		sa->suite.n_addke > CFG_ADDKE_MAX)
		return -EPROTO;
	get_answers(sa, r);
	get_requests(sa, r);
	get_deletes(sa, r);
	v2_mobike_resume(sa);
	v2_dpd_arm(sa);
	v2_setup_done(sa);
	v2_reauth_arm(sa);
	return r->bad || !sa->own_window || !sa->peer_window ? -EPROTO : 0;
}

void v2_child_serialize(const struct ike_child *base, struct ike_wbuf *w)
{
	const struct v2_child *c = (const struct v2_child *)base;
	ike_put_u32(w, c->successor_spi);
	bool as_is = c->c.p.n_sel == 1 && memcmp(&c->want, &c->c.p.sel[0], sizeof(c->want)) == 0;
	ike_put_u8(w, as_is);
	if (!as_is)
		ike_put(w, &c->want, sizeof(c->want));
	ike_put_u8(w, (uint8_t)(c->c.p.per_resource << 7 | c->c.p.resource));
}

int v2_child_restore(struct ike_child *base, struct ike_rbuf *r)
{
	struct v2_child *c = v2_child_of(base);
	c->successor_spi = ike_get_u32(r);
	if (ike_get_u8(r) && base->p.n_sel)
		c->want = base->p.sel[0];
	else
		ike_get(r, &c->want, sizeof(c->want));
	uint8_t resource = ike_get_u8(r);
	c->c.p.per_resource = resource >> 7;
	c->c.p.resource = resource & 127u;
	return r->bad ? -EPROTO : 0;
}
