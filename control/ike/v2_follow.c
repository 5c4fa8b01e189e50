/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * IKE_FOLLOWUP_KE: the additional key exchanges of a CREATE_CHILD_SA, one in each (RFC 9370 2.2.4). What the series
 * makes, a child or the successor of the IKE SA, comes to be with the last of them. A notify, ADDITIONAL_KEY_EXCHANGE,
 * tells the responder which series a request goes on with; a responder does not wait for that for long.
 */
#include <stdlib.h>
#include <string.h>

#include "v2_int.h"

#define STATE_MS 20000 /* how long the next request may take (RFC 9370 2.2.4: 5 to 20 seconds) */
#define LINK_LEN 16u   /* of ours */
#define LINK_MAX 256u  /* of the peer's */
#define SERIES_MAX 8u  /* of the peer's that one SA has at a time */

struct v2_follow {
	struct v2_sa *sa;
	struct v2_task *task; /* its own; of the peer's series: what holds the answer's public value */
	const struct v2_follow_ops *ops;
	enum ike_group group[CFG_ADDKE_MAX]; /* by transform type, NONE = no exchange */
	unsigned at;			     /* the one that is due */
	uint8_t *secret;		     /* SK(1) | SK(2) | ... */
	size_t secret_len;
	uint8_t link[LINK_MAX];
	size_t link_len;	  /* 0 = no request is expected */
	struct v2_answer *answer; /* the peer's series: the request being worked on */
	struct ike_timer timer;	  /* the peer's series */
};

/* The exchange due is the next one with a group, from `at` on. */
static void skip(struct v2_follow *f)
{
	while (f->at < CFG_ADDKE_MAX && !f->group[f->at])
		f->at++;
}

static bool complete(const struct v2_follow *f)
{
	return f->at >= CFG_ADDKE_MAX;
}

void v2_follow_new(
	struct v2_sa *sa, struct v2_task *t, const enum ike_group group[CFG_ADDKE_MAX], const struct v2_follow_ops *ops)
{
	struct v2_follow *f = calloc(1, sizeof(*f));
	if (!f)
		abort();
	f->sa = sa;
	f->task = t;
	f->ops = ops;
	memcpy(f->group, group, sizeof(f->group));
	skip(f);
	t->follow = f;
}

void v2_follow_free(struct v2_task *t)
{
	struct v2_follow *f = t->follow;
	if (!f)
		return;
	t->follow = NULL;
	ike_timer_stop(f->sa->sa.ike, &f->timer);
	if (f->answer && !f->sa->sa.dead)
		v2_respond_notify(f->sa, f->answer, V2_N_STATE_NOT_FOUND, NULL, 0);
	if (f->secret)
		cv_secret_zero(f->secret, f->secret_len);
	free(f->secret);
	free(f);
}

struct v2_view v2_follow_secret(const struct v2_task *t)
{
	return t && t->follow ? (struct v2_view){t->follow->secret, t->follow->secret_len} : (struct v2_view){NULL, 0};
}

const enum ike_group *v2_follow_groups(const struct v2_task *t)
{
	return t && t->follow ? t->follow->group : NULL;
}

/* One exchange is over. */
static void take_secret(struct v2_follow *f, const struct v2_ke *ke)
{
	uint8_t *all = malloc(f->secret_len + ke->shared_len);
	if (!all)
		abort();
	if (f->secret) {
		memcpy(all, f->secret, f->secret_len);
		cv_secret_zero(f->secret, f->secret_len);
		free(f->secret);
	}
	memcpy(all + f->secret_len, ke->shared, ke->shared_len);
	f->secret = all;
	f->secret_len += ke->shared_len;
	f->sa->sa.ike->stats.followup_ke++;
	f->at++;
	skip(f);
}

static bool right_ke(const struct v2_follow *f, const struct v2_msg *m, bool answer)
{
	enum ike_group g = f->group[f->at];
	return m->ke.p && m->ke_group == g && m->ke.len == (answer ? ikec_group_answer_len(g) : ikec_group_pub_len(g));
}

/* ---- initiator ---- */

bool v2_follow_take_link(struct v2_task *t, const struct v2_msg *m)
{
	const struct v2_notify *n = v2_find_notify(m, V2_N_ADDITIONAL_KEY_EXCHANGE);
	struct v2_follow *f = t->follow;
	if (!n || !n->data.len || n->data.len > LINK_MAX)
		return false;
	memcpy(f->link, n->data.p, n->data.len);
	f->link_len = n->data.len;
	return true;
}

static void failed(struct v2_follow *f, uint16_t notify)
{
	struct v2_sa *sa = f->sa;
	f->ops->failed(sa, f->task, notify);
	if (!sa->sa.dead)
		v2_queue_run(sa);
}

static void pair_made(void *of, struct v2_ke *ke)
{
	struct v2_follow *f = of;
	struct v2_task *t = f->task;
	if (ke->err) {
		failed(f, 0);
		return;
	}
	t->dh = ke->dh;
	ke->dh = NULL;
	v2_task_send(f->sa, t);
}

void v2_follow_next(struct v2_task *t)
{
	struct v2_follow *f = t->follow;
	struct v2_sa *sa = f->sa;
	if (!complete(f)) {
		v2_ke_run(sa, &f->task->ke, f, f->group[f->at], NULL, (struct v2_view){0}, pair_made);
		return;
	}
	f->ops->done(sa, t, NULL);
	if (!sa->sa.dead)
		v2_queue_run(sa);
}

void v2_follow_build(const struct v2_task *t, struct v2_enc *e)
{
	v2_enc_ke(e, t->dh);
	v2_enc_notify(e, V2_N_ADDITIONAL_KEY_EXCHANGE, t->follow->link, t->follow->link_len);
}

static void shared_made(void *of, struct v2_ke *ke)
{
	struct v2_follow *f = of;
	if (ke->err) {
		failed(f, 0);
		return;
	}
	take_secret(f, ke);
	v2_follow_next(f->task);
}

void v2_follow_response(struct v2_task *t, const struct v2_msg *m)
{
	struct v2_follow *f = t->follow;
	const struct v2_notify *err = v2_find_error(m);
	struct ikec_dh *dh = t->dh;
	v2_task_keep(f->sa, t); /* its place in the window is that of the whole series */
	t->dh = NULL;
	bool more = false;
	for (unsigned i = f->at + 1; i < CFG_ADDKE_MAX; i++)
		more |= f->group[i] != IKE_GROUP_NONE;
	if (err || !right_ke(f, m, true) || (more && !v2_follow_take_link(t, m))) {
		ikec_dh_free(dh);
		failed(f, err ? err->type : 0);
		return;
	}
	v2_ke_run(f->sa, &f->task->ke, f, f->group[f->at], dh, m->ke, shared_made);
}

/* ---- responder ---- */

static void timer_fire(struct ike *ike, struct ike_timer *timer)
{
	struct v2_follow *f = IKE_CONTAINER(timer, struct v2_follow, timer);
	(void)ike;
	f->ops->failed(f->sa, f->task, 0);
}

void v2_follow_wait(struct v2_task *t)
{
	struct v2_follow *f = t->follow;
	ikec_random(f->link, LINK_LEN);
	f->link_len = LINK_LEN;
	v2_set_timer(f->sa, &f->timer, timer_fire, STATE_MS);
}

void v2_follow_enc_link(const struct v2_task *t, struct v2_enc *e)
{
	v2_enc_notify(e, V2_N_ADDITIONAL_KEY_EXCHANGE, t->follow->link, t->follow->link_len);
}

static struct v2_follow *peers_series(const struct v2_child *c)
{
	return !c->c.p.initiator && c->task ? c->task->follow : NULL;
}

bool v2_follow_room(const struct v2_sa *sa)
{
	struct ike_child *c;
	unsigned n = 0;
	TAILQ_FOREACH (c, &sa->sa.children, link)
		n += peers_series(v2_child_of(c)) != NULL;
	return n < SERIES_MAX;
}

static bool is_linked(const struct v2_follow *f, struct v2_view link)
{
	return f && f->link_len && f->link_len == link.len && memcmp(f->link, link.p, link.len) == 0;
}

static struct v2_follow *find(const struct v2_sa *sa, const struct v2_notify *n)
{
	struct ike_child *c;
	if (!n || !n->data.len)
		return NULL;
	if (sa->rekey_answer && is_linked(sa->rekey_answer->follow, n->data))
		return sa->rekey_answer->follow;
	TAILQ_FOREACH (c, &sa->sa.children, link)
		if (is_linked(peers_series(v2_child_of(c)), n->data))
			return peers_series(v2_child_of(c));
	return NULL;
}

static void give_up(struct v2_follow *f, struct v2_answer *a)
{
	struct v2_sa *sa = f->sa;
	f->answer = NULL;
	f->ops->failed(sa, f->task, V2_N_INVALID_SYNTAX);
	v2_malformed(sa, a);
}

static void answer_made(void *of, struct v2_ke *ke)
{
	struct v2_follow *f = of;
	struct v2_task *t = f->task;
	struct v2_answer *a = f->answer;
	uint8_t buf[IKE_MSG_MAX];
	struct v2_enc e;
	if (ke->err) {
		give_up(f, a);
		return;
	}
	take_secret(f, ke);
	ikec_dh_free(t->dh);
	t->dh = ke->dh;
	ke->dh = NULL;
	f->answer = NULL;
	if (complete(f)) {
		f->ops->done(f->sa, t, a);
		return;
	}
	v2_follow_wait(t);
	v2_resp_begin(f->sa, a, &e, buf);
	v2_enc_ke(&e, t->dh);
	v2_follow_enc_link(t, &e);
	v2_respond(f->sa, a, &e);
}

void v2_follow_request(struct v2_sa *sa, struct v2_msg *m)
{
	struct v2_follow *f = find(sa, v2_find_notify(m, V2_N_ADDITIONAL_KEY_EXCHANGE));
	if (!f) {
		v2_respond_notify(sa, m->answer, V2_N_STATE_NOT_FOUND, NULL, 0);
		return;
	}
	ike_timer_stop(sa->sa.ike, &f->timer);
	f->link_len = 0;
	if (!right_ke(f, m, false)) {
		give_up(f, m->answer);
		return;
	}
	f->answer = m->answer;
	v2_ke_run(sa, &f->task->ke, f, f->group[f->at], NULL, m->ke, answer_made);
}
