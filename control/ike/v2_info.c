/* SPDX-License-Identifier: BSD-3-Clause */
/* INFORMATIONAL: deletes, liveness, errors (RFC 7296 1.4, 2.4, 2.21). */
#include <string.h>

#include "v2_int.h"

/* ---- ours ---- */

static void info_start(struct v2_sa *sa, struct v2_task *t)
{
	v2_task_send(sa, t);
}

static void info_build(struct v2_sa *sa, struct v2_task *t, struct v2_enc *e)
{
	if (t->delete_ike)
		v2_enc_delete_ike(e);
	else if (t->n_spi)
		v2_enc_delete_children(e, t->spi_proto, t->spi, t->n_spi);
	if (t->notify)
		v2_enc_notify(e, t->notify, NULL, 0);
	if (t->window)
		v2_enc_window(sa, e);
	if (sa->sa.mobike)
		v2_mobike_build(sa, t, e);
}

static void info_response(struct v2_sa *sa, struct v2_task *t, struct v2_msg *m)
{
	v2_take_window(sa, m);
	if (t->delete_ike) {
		v2_task_free(sa, t);
		ike_sa_destroy(&sa->sa, NULL);
		return;
	}
	if (sa->sa.mobike && !v2_mobike_response(sa, t, m)) {
		v2_task_free(sa, t);
		return;
	}
	/* the peer has stopped sending on them; what is under way may still come in */
	for (unsigned i = 0; i < t->n_spi; i++) {
		struct ike_child *c = ike_child_by_spi_in(&sa->sa, t->spi[i]);
		if (c)
			ike_child_remove(c, IKE_LINGER_MS);
	}
	v2_task_free(sa, t);
}

const struct v2_task_ops v2_info_task = {
	.name = "INFORMATIONAL",
	.exchange = V2_INFORMATIONAL,
	.start = info_start,
	.build = info_build,
	.response = info_response,
};

void v2_send_delete(struct v2_sa *sa, uint8_t proto, uint32_t spi_in)
{
	struct v2_task *t = v2_task_new(&v2_info_task);
	t->spi_proto = proto;
	t->spi[0] = spi_in;
	t->n_spi = 1;
	v2_task_queue(sa, t);
	ike_sa_save(&sa->sa); /* it may have to wait for its place in the window */
}

void v2_child_delete(struct ike_child *c)
{
	struct v2_sa *sa = v2_of(c->sa);
	bool known = c->state >= IKE_CHILD_ESTABLISHED || v2_child_dangling(c);
	uint32_t spi = c->p.spi_in;
	uint8_t proto = ike_child_proto(&c->p);
	if (c->p.initiator && c->state < IKE_CHILD_ESTABLISHED) { /* who waits for it must not wait for ever */
		if (known && sa->sa.phase == IKE_PHASE_ESTABLISHED)
			v2_send_delete(sa, proto, spi);
		v2_child_failed(sa, v2_child_of(c), "deleted");
		return;
	}
	/* it may run out just while its successor waits for the peer to be ready: then there is nothing to wait for */
	bool replaced = c->state == IKE_CHILD_REKEYED && v2_child_replaced(sa, v2_child_of(c));
	ike_child_remove(c, replaced ? IKE_LINGER_MS : 0);
	if (known && sa->sa.phase == IKE_PHASE_ESTABLISHED)
		v2_send_delete(sa, proto, spi);
}

/* One notify without waiting for an answer: the SA is destroyed next. */
void v2_send_notify(struct v2_sa *sa, uint16_t type)
{
	uint8_t buf[512];
	struct v2_enc e;
	struct v2_hdr h;
	v2_header(sa, &h, V2_INFORMATIONAL, sa->next_msgid++, false);
	v2_enc_header(&e, buf, sizeof(buf), &h);
	v2_enc_sk(&e, v2_iv_len(&sa->suite));
	v2_enc_notify(&e, type, NULL, 0);
	if (v2_seal(sa, &e) == 0)
		ike_sa_send(&sa->sa, buf, e.len);
}

static void queue_delete(struct v2_sa *sa)
{
	struct v2_task *t;
	while ((t = TAILQ_FIRST(&sa->tasks)))
		v2_task_free(sa, t);
	t = v2_task_new(&v2_info_task);
	t->delete_ike = true;
	ike_sa_closing(&sa->sa);
	sa->sa.state = V2_DELETING;
	ike_timer_stop(sa->sa.ike, &sa->dpd);
	ike_timer_stop(sa->sa.ike, &sa->sa.life);
	ike_timer_stop(sa->sa.ike, &sa->stage);
	v2_task_queue(sa, t);
}

/* A replaced or redundant SA: its children are elsewhere, nobody need hear of its end. */
void v2_sa_delete_replaced(struct v2_sa *sa)
{
	queue_delete(sa);
}

void v2_sa_delete(struct ike_sa *base, const char *reason)
{
	struct v2_sa *sa = v2_of(base);
	struct ike_child *c;
	struct ike_req *r;
	if (base->phase == IKE_PHASE_HALF_OPEN) {
		ike_sa_destroy(base, reason);
		return;
	}
	if (base->phase == IKE_PHASE_CLOSING)
		return; /* on its way already */
	ike_event(base->ike, IKE_EVT_DOWN, base, &base->path, base->entry, reason);
	ike_sa_closing(base);
	while ((c = TAILQ_FIRST(&base->children)))
		ike_child_remove(c, 0);
	while ((r = TAILQ_FIRST(&base->reqs)))
		ike_req_done(r, -1, reason ? reason : "IKE SA deleted");
	ike_sa_save(base); /* drops its record */
	queue_delete(sa);
}

/* ---- liveness ---- */

static uint32_t least_idle(const struct v2_sa *sa, uint32_t (*idle)(void *ctx, uint32_t child_id))
{
	const struct ike_child *c;
	uint32_t least = UINT32_MAX;
	TAILQ_FOREACH (c, &sa->sa.children, link)
		if (c->child_id) {
			uint32_t s = idle(sa->sa.ike->ctx, c->child_id);
			least = s < least ? s : least;
		}
	return least;
}

/* On demand (DPD-3): only when we send and hear nothing; periodic: whenever nothing was heard on IKE. */
static bool liveness_due(const struct v2_sa *sa)
{
	const struct ike_ops *ops = &sa->sa.ike->ops;
	const struct cfg_ike_profile *p = sa->sa.profile;
	if (ike_now(sa->sa.ike) - sa->sa.last_rx_ms < p->dpd_interval_s * 1000ull)
		return false;
	if (p->dpd_mode == CFG_DPD_PERIODIC)
		return true;
	if (least_idle(sa, ops->child_idle_s) < p->dpd_interval_s)
		return false;
	return !ops->child_out_idle_s || least_idle(sa, ops->child_out_idle_s) < p->dpd_interval_s;
}

static void dpd_fire(struct ike *ike, struct ike_timer *timer)
{
	struct v2_sa *sa = IKE_CONTAINER(timer, struct v2_sa, dpd);
	/* any request under way is a liveness check already */
	if (TAILQ_EMPTY(&sa->active) && sa->sa.profile && sa->sa.phase == IKE_PHASE_ESTABLISHED && liveness_due(sa)) {
		struct v2_task *t = v2_task_new(&v2_info_task);
		t->dpd = true;
		ike->stats.dpd_sent++;
		v2_task_queue(sa, t);
	}
	v2_dpd_arm(sa);
}

void v2_dpd_arm(struct v2_sa *sa)
{
	const struct cfg_ike_profile *p = sa->sa.profile;
	uint64_t now = ike_now(sa->sa.ike), interval = p ? p->dpd_interval_s * 1000ull : 0;
	if (!interval || p->dpd_mode == CFG_DPD_OFF || sa->sa.phase != IKE_PHASE_ESTABLISHED) {
		ike_timer_stop(sa->sa.ike, &sa->dpd);
		return;
	}
	uint64_t due = sa->sa.last_rx_ms + interval;
	v2_set_timer(sa, &sa->dpd, dpd_fire, due > now ? due - now : interval);
}

/* ---- the peer's ---- */

/*
 * Is a delete of ours for this pair under way? Two that cross are both answered without naming it again, lest the
 * answer deletes what has got the SPI since (RFC 7296 1.4.1).
 */
static bool delete_under_way(const struct v2_sa *sa, uint32_t spi_in)
{
	const struct v2_task *t;
	TAILQ_FOREACH (t, &sa->active, link)
		for (unsigned i = 0; t->ops == &v2_info_task && i < t->n_spi; i++)
			if (t->spi[i] == spi_in)
				return true;
	return false;
}

static void delete_children(
	struct v2_sa *sa, const struct v2_delete *d, uint8_t proto, uint32_t *spi, unsigned *n, unsigned max)
{
	for (unsigned i = 0; i < d->n && d->proto == proto; i++) {
		uint32_t spi_out = v2_get32(d->spis + 4u * i);
		struct ike_child *c = ike_child_by_spi_out(&sa->sa, spi_out);
		if (!c)
			v2_child_gone(sa, spi_out);
		if (!c || *n == max || ike_child_proto(&c->p) != proto)
			continue;
		if (!delete_under_way(sa, c->p.spi_in))
			spi[(*n)++] = c->p.spi_in;
		if (c->state < IKE_CHILD_ESTABLISHED) {
			v2_child_failed(sa, v2_child_of(c), "deleted by peer");
			continue;
		}
		v2_child_withdrawn(sa, c->p.spi_in);
		v2_child_replaced(sa, v2_child_of(c));
		ike_child_remove(c, IKE_LINGER_MS);
	}
}

static void deleted_by_peer(struct v2_sa *sa, struct v2_answer *a)
{
	struct ike_sa *base = &sa->sa;
	uint8_t buf[IKE_MSG_MAX];
	struct v2_enc e;
	v2_rekey_yield(sa);
	v2_resp_begin(sa, a, &e, buf);
	v2_respond(sa, a, &e);
	ike_sa_destroy(base, base->phase == IKE_PHASE_CLOSING ? NULL : "deleted by peer");
}

/* The peer does not have an SA that we send on (ISPI-3). Only what an authenticated IKE SA protects gets here
 * (ISPI-11). */
static void invalid_spi(struct v2_sa *sa, const struct v2_notify *n)
{
	struct ike_child *c = n && n->data.len == 4 ? ike_child_by_spi_out(&sa->sa, v2_get32(n->data.p)) : NULL;
	if (c && c->state >= IKE_CHILD_ESTABLISHED)
		v2_child_delete(c);
}

void v2_info_request(struct v2_sa *sa, struct v2_msg *m)
{
	uint8_t buf[IKE_MSG_MAX];
	uint32_t spi[64];
	unsigned n = 0;
	struct v2_enc e;
	for (unsigned i = 0; i < m->n_delete; i++)
		if (m->del[i].proto == V2_PROTO_IKE) {
			deleted_by_peer(sa, m->answer);
			return;
		}
	v2_resp_begin(sa, m->answer, &e, buf);
	if (v2_find_notify(m, V2_N_SET_WINDOW_SIZE)) {
		v2_take_window(sa, m);
		v2_enc_window(sa, &e);
	}
	v2_take_auth_lifetime(sa, m);
	for (uint8_t proto = V2_PROTO_AH; proto <= V2_PROTO_ESP; proto++, n = 0) {
		for (unsigned i = 0; i < m->n_delete; i++)
			delete_children(sa, &m->del[i], proto, spi, &n, 64);
		if (n)
			v2_enc_delete_children(&e, proto, spi, n);
	}
	bool moved = sa->sa.mobike && v2_mobike_request(sa, m, &e);
	v2_respond(sa, m->answer, &e);
	if (!sa->sa.dead && moved)
		v2_mobike_follow(sa);
	if (!sa->sa.dead)
		invalid_spi(sa, v2_find_notify(m, V2_N_INVALID_SPI));
	if (!sa->sa.dead && v2_find_notify(m, V2_N_AUTHENTICATION_FAILED)) {
		sa->sa.ike->stats.auth_failed++;
		ike_sa_destroy(&sa->sa, "authentication failed");
	}
}
