/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Windows (RFC 7296 2.3). Ours towards the peer: requests get message ids in order, up to as many ahead of the oldest
 * unanswered one as the peer takes, and each is repeated by itself until it is answered. The peer's towards us:
 * requests are worked on as they come, in any order inside the window, each once; a repetition is answered with the
 * same bytes. Both windows are one message wide until SET_WINDOW_SIZE says more, and never shrink.
 */
#include <stdlib.h>
#include <string.h>

#include "v2_int.h"

#define MSGID_REKEY (UINT32_MAX - 0xffffu) /* time to make another SA: ids are used once (RFC 7296 2.2) */

/* ---- tasks ---- */

struct v2_task *v2_task_new(const struct v2_task_ops *ops)
{
	struct v2_task *t = calloc(1, sizeof(*t));
	if (!t)
		abort(); /* an exchange that is forgotten leaves the two ends with different ideas */
	t->ops = ops;
	t->req.task = t;
	return t;
}

void v2_task_detach(struct v2_sa *sa, struct v2_task *t)
{
	if (t->place == V2_TASK_QUEUED)
		TAILQ_REMOVE(&sa->tasks, t, link);
	else if (t->place != V2_TASK_NOWHERE)
		TAILQ_REMOVE(&sa->active, t, link);
	v2_request_stop(sa, &t->req);
	t->place = V2_TASK_NOWHERE;
}

void v2_task_free(struct v2_sa *sa, struct v2_task *t)
{
	v2_task_detach(sa, t);
	v2_ke_forget(&t->ke);
	v2_follow_free(t);
	if (t->ops->fini)
		t->ops->fini(t);
	ikec_dh_free(t->dh);
	free(t);
}

struct v2_task *v2_task_active(const struct v2_sa *sa, const struct v2_task_ops *ops)
{
	struct v2_task *t;
	TAILQ_FOREACH (t, &sa->active, link)
		if (t->ops == ops)
			return t;
	return NULL;
}

bool v2_have_task(const struct v2_sa *sa, const struct v2_task_ops *ops)
{
	const struct v2_task *t;
	TAILQ_FOREACH (t, &sa->tasks, link)
		if (t->ops == ops)
			return true;
	return v2_task_active(sa, ops);
}

/* Has the window room for one more? Places given to tasks that have not sent yet count. */
static bool room(const struct v2_sa *sa)
{
	const struct v2_task *t;
	uint32_t oldest = sa->next_msgid, next = sa->next_msgid;
	TAILQ_FOREACH (t, &sa->active, link) {
		if (t->ops->exclusive)
			return false;
		if (t->place != V2_TASK_SENT)
			next++;
		else if (t->msgid < oldest)
			oldest = t->msgid;
	}
	return next - oldest < sa->peer_window;
}

static void queue_fire(struct ike *ike, struct ike_timer *t)
{
	(void)ike;
	v2_queue_run(IKE_CONTAINER(t, struct v2_sa, queue_timer));
}

/* The first task that may start now; NULL, with the time to look again set, when none may. */
static struct v2_task *next_task(struct v2_sa *sa)
{
	struct v2_task *t;
	uint64_t now = ike_now(sa->sa.ike), soonest = UINT64_MAX;
	TAILQ_FOREACH (t, &sa->tasks, link) {
		if (t->not_before_ms > now) {
			soonest = t->not_before_ms < soonest ? t->not_before_ms : soonest;
			continue;
		}
		/* what needs the SA for itself waits for the others to finish, and no further one goes ahead of it */
		return t->ops->exclusive && !TAILQ_EMPTY(&sa->active) ? NULL : t;
	}
	if (soonest != UINT64_MAX)
		v2_set_timer(sa, &sa->queue_timer, queue_fire, soonest - now);
	return NULL;
}

void v2_queue_run(struct v2_sa *sa)
{
	struct v2_task *t;
	/* the next look comes with an answer, or the establishment */
	while (!sa->sa.dead && sa->sa.phase != IKE_PHASE_HALF_OPEN && room(sa) && (t = next_task(sa))) {
		v2_task_keep(sa, t);
		t->ops->start(sa, t);
	}
}

void v2_task_keep(struct v2_sa *sa, struct v2_task *t)
{
	v2_task_detach(sa, t);
	t->place = V2_TASK_STARTED;
	TAILQ_INSERT_TAIL(&sa->active, t, link);
}

void v2_task_queue(struct v2_sa *sa, struct v2_task *t)
{
	v2_task_detach(sa, t);
	t->place = V2_TASK_QUEUED;
	TAILQ_INSERT_TAIL(&sa->tasks, t, link);
	v2_queue_run(sa);
}

void v2_task_queue_first(struct v2_sa *sa, struct v2_task *t)
{
	v2_task_detach(sa, t);
	t->place = V2_TASK_QUEUED;
	TAILQ_INSERT_HEAD(&sa->tasks, t, link);
	v2_queue_run(sa);
}

void v2_task_move(struct v2_sa *to, struct v2_sa *from, struct v2_task *t)
{
	v2_task_detach(from, t);
	t->place = V2_TASK_QUEUED;
	TAILQ_INSERT_TAIL(&to->tasks, t, link);
}

void v2_task_drop(struct v2_sa *sa, struct v2_task *t)
{
	v2_task_free(sa, t);
	v2_queue_run(sa);
}

static struct v2_task *sent_task(const struct v2_sa *sa, uint32_t msgid)
{
	struct v2_task *t;
	TAILQ_FOREACH (t, &sa->active, link)
		if (t->place == V2_TASK_SENT && t->msgid == msgid)
			return t;
	return NULL;
}

bool v2_task_expected(const struct v2_sa *sa, uint32_t msgid, uint8_t exchange)
{
	const struct v2_task *t = sent_task(sa, msgid);
	return t && v2_task_exchange(t) == exchange;
}

struct v2_task *v2_task_answered(struct v2_sa *sa, uint32_t msgid)
{
	struct v2_task *t = sent_task(sa, msgid);
	if (t)
		v2_task_detach(sa, t);
	return t;
}

/* ---- requests ---- */

static uint64_t repeat_ms(const struct v2_request *r)
{
	const struct cfg_ike_profile *p = r->sa->sa.profile;
	if (r->task && r->task->dpd && p && p->dpd_retry_s)
		return p->dpd_retry_s * 1000ull;
	return ike_backoff_ms(r->tries);
}

static void rexmit_fire(struct ike *ike, struct ike_timer *timer)
{
	struct v2_request *r = IKE_CONTAINER(timer, struct v2_request, rexmit);
	struct v2_sa *sa = r->sa;
	if (r->tries >= IKE_RETRIES) {
		bool dpd = r->task && r->task->dpd, leaving = r->task && r->task->delete_ike;
		if (!leaving && v2_mobike_failover(sa))
			return;
		ike->stats.dpd_dead += dpd;
		if (!leaving)
			ike_peer_dead(&sa->sa);
		ike_sa_destroy(&sa->sa, leaving ? NULL : "peer not responding");
		return;
	}
	r->tries++;
	sa->sa.retransmits++;
	ike->stats.tx_retransmits++;
	v2_send_all(sa, &r->out);
	v2_set_timer(sa, timer, rexmit_fire, repeat_ms(r));
}

void v2_request_send(struct v2_sa *sa, struct v2_request *r)
{
	r->sa = sa;
	r->tries = 0;
	ike_sa_save(&sa->sa); /* a restarted process must know the message id and what was sent with it */
	v2_send_all(sa, &r->out);
	v2_set_timer(sa, &r->rexmit, rexmit_fire, repeat_ms(r));
}

void v2_requests_again(struct v2_sa *sa)
{
	struct v2_task *t;
	TAILQ_FOREACH (t, &sa->active, link)
		if (t->place == V2_TASK_SENT) {
			t->req.tries = 0;
			v2_set_timer(sa, &t->req.rexmit, rexmit_fire, 0);
		}
}

void v2_request_stop(struct v2_sa *sa, struct v2_request *r)
{
	ike_timer_stop(sa->sa.ike, &r->rexmit);
	v2_buf_free(&r->out);
}

void v2_task_resume(struct v2_sa *sa, struct v2_task *t, uint32_t msgid, const void *out, size_t len)
{
	v2_task_keep(sa, t);
	t->place = V2_TASK_SENT;
	t->msgid = msgid;
	t->req.sa = sa;
	v2_buf_set(&t->req.out, out, len);
	v2_set_timer(sa, &t->req.rexmit, rexmit_fire, 100);
}

/* Ids are used once: another SA before they run out, and none goes on when they have. */
static bool msgid_left(struct v2_sa *sa)
{
	if (sa->next_msgid >= MSGID_REKEY || sa->peer_msgid >= MSGID_REKEY)
		v2_sa_rekey(&sa->sa);
	return sa->next_msgid < UINT32_MAX;
}

void v2_task_send(struct v2_sa *sa, struct v2_task *t)
{
	uint8_t buf[IKE_MSG_MAX];
	struct v2_enc e;
	struct v2_hdr h;
	if (!msgid_left(sa)) {
		ike_sa_destroy(&sa->sa, "message ids used up");
		return;
	}
	v2_header(sa, &h, v2_task_exchange(t), sa->next_msgid, false);
	v2_enc_header(&e, buf, sizeof(buf), &h);
	v2_enc_sk(&e, v2_iv_len(&sa->suite));
	if (t->follow)
		v2_follow_build(t, &e);
	else
		t->ops->build(sa, t, &e);
	if (v2_seal_all(sa, &e, &t->req.out) != 0) {
		cv_err("ike", "cannot build %s request", t->ops->name);
		if (sa->sa.phase == IKE_PHASE_HALF_OPEN) /* nothing else would ever end it */
			ike_sa_destroy(&sa->sa, "cannot build a request");
		else
			v2_task_drop(sa, t);
		return;
	}
	t->msgid = sa->next_msgid++;
	t->place = V2_TASK_SENT;
	v2_request_send(sa, &t->req);
}

/* ---- answers ---- */

static struct v2_answer *answer_find(const struct v2_sa *sa, uint32_t msgid)
{
	struct v2_answer *a;
	TAILQ_FOREACH (a, &sa->answers, link)
		if (a->msgid == msgid)
			return a;
	return NULL;
}

static void answer_free(struct v2_sa *sa, struct v2_answer *a)
{
	TAILQ_REMOVE(&sa->answers, a, link);
	v2_buf_free(&a->resp);
	free(a);
}

/* Has the peer, which sends msgid, seen the answer a? It must have: it keeps inside the window. */
static bool passed(const struct v2_sa *sa, const struct v2_answer *a, uint32_t msgid)
{
	return a->msgid < msgid && msgid - a->msgid >= sa->own_window;
}

enum v2_request_is v2_request_is(const struct v2_sa *sa, uint32_t msgid, struct v2_answer **a)
{
	const struct v2_answer *o;
	*a = answer_find(sa, msgid);
	if (*a)
		return (*a)->open ? V2_REQUEST_UNEXPECTED : V2_REQUEST_REPEATED;
	if (msgid < sa->peer_msgid || msgid - sa->peer_msgid >= sa->own_window)
		return V2_REQUEST_UNEXPECTED;
	TAILQ_FOREACH (o, &sa->answers, link)
		if (o->open && passed(sa, o, msgid))
			return V2_REQUEST_UNEXPECTED; /* outside the window, for that one is not answered yet */
	return V2_REQUEST_NEW;
}

static struct v2_answer *answer_new(struct v2_sa *sa, uint32_t msgid)
{
	struct v2_answer *a = calloc(1, sizeof(*a));
	if (!a)
		abort();
	a->msgid = msgid;
	TAILQ_INSERT_TAIL(&sa->answers, a, link);
	while (answer_find(sa, sa->peer_msgid))
		sa->peer_msgid++;
	return a;
}

struct v2_answer *v2_answer_open(struct v2_sa *sa, const struct v2_msg *m)
{
	struct v2_answer *a, *next;
	TAILQ_FOREACH_SAFE(a, &sa->answers, link, next)
	if (passed(sa, a, m->h.msgid))
		answer_free(sa, a);
	a = answer_new(sa, m->h.msgid);
	a->exchange = m->h.exchange;
	a->path = *m->path;
	a->natt = m->natt;
	a->open = true;
	return a;
}

void v2_answer_resume(struct v2_sa *sa, uint32_t msgid, const void *resp, size_t len)
{
	struct v2_answer *a = answer_new(sa, msgid);
	v2_buf_set(&a->resp, resp, len);
}

void v2_resp_begin(struct v2_sa *sa, const struct v2_answer *a, struct v2_enc *e, uint8_t *buf)
{
	struct v2_hdr h;
	v2_header(sa, &h, a->exchange, a->msgid, true);
	v2_enc_header(e, buf, IKE_MSG_MAX, &h);
	v2_enc_sk(e, v2_iv_len(&sa->suite));
}

void v2_respond(struct v2_sa *sa, struct v2_answer *a, struct v2_enc *e)
{
	if (v2_seal_all(sa, e, &a->resp) != 0) {
		ike_sa_destroy(&sa->sa, "cannot build a response");
		return;
	}
	a->open = false;
	ike_sa_save(&sa->sa);
	v2_send_all_to(sa, &a->path, a->natt, &a->resp);
}

void v2_respond_notify(struct v2_sa *sa, struct v2_answer *a, uint16_t type, const void *data, size_t len)
{
	uint8_t buf[IKE_MSG_MAX];
	struct v2_enc e;
	v2_resp_begin(sa, a, &e, buf);
	v2_enc_notify(&e, type, data, len);
	v2_respond(sa, a, &e);
}

/* ---- SET_WINDOW_SIZE ---- */

void v2_enc_window(struct v2_sa *sa, struct v2_enc *e)
{
	uint8_t n = sa->sa.profile ? sa->sa.profile->window_size : 1, data[4] = {0, 0, 0, n};
	if (n <= 1)
		return;
	v2_enc_notify(e, V2_N_SET_WINDOW_SIZE, data, sizeof(data));
	sa->own_window = n > sa->own_window ? n : sa->own_window;
}

void v2_take_window(struct v2_sa *sa, const struct v2_msg *m)
{
	const struct v2_notify *n = v2_find_notify(m, V2_N_SET_WINDOW_SIZE);
	uint32_t size = n && n->data.len == 4 ? v2_get32(n->data.p) : 0;
	size = size < V2_WINDOW_MAX ? size : V2_WINDOW_MAX;
	if (size > sa->peer_window)
		sa->peer_window = (uint8_t)size;
}

void v2_window_succeed(struct v2_sa *to, const struct v2_sa *from)
{
	if (!to->sa.initiator || from->peer_window <= 1 || !to->sa.profile || to->sa.profile->window_size <= 1)
		return;
	struct v2_task *t = v2_task_new(&v2_info_task);
	t->window = true;
	v2_task_queue_first(to, t);
}

void v2_window_fini(struct v2_sa *sa)
{
	struct v2_task *t;
	struct v2_answer *a;
	ike_timer_stop(sa->sa.ike, &sa->queue_timer);
	if (sa->rekey_answer)
		v2_task_free(sa, sa->rekey_answer);
	sa->rekey_answer = NULL;
	while ((t = TAILQ_FIRST(&sa->active)) || (t = TAILQ_FIRST(&sa->tasks)))
		v2_task_free(sa, t);
	while ((a = TAILQ_FIRST(&sa->answers)))
		answer_free(sa, a);
}
