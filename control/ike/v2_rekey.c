/* SPDX-License-Identifier: BSD-3-Clause */
/* Rekeying the IKE SA itself (RFC 7296 1.3.2, 2.18, 2.25.2): make before break, and collisions. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "v2_int.h"

#define RETRY_MAX 6
#define UNSETTLED_MS 120000 /* longer than a request is repeated */
#define REPLACED_MS 30000   /* how long a replaced SA waits for the peer's delete */

/* The new SA in the making. Of a rekey of the peer's, a task that is nowhere carries it (v2_sa.rekey_answer). */
struct v2_successor {
	struct v2_answer *answer; /* the peer's request, until it is answered */
	struct v2_suite suite;
	uint8_t proposal_num;
	uint8_t peer_spi[IKE_SPI_LEN];
	struct v2_nonce ni, nr;
	uint8_t shared[IKEC_DH_PUB_MAX];
	size_t shared_len;
};

static const struct v2_follow_ops rekey_follow;

static void successor_free(struct v2_task *t)
{
	if (t->succ)
		cv_secret_zero(t->succ, sizeof(*t->succ));
	free(t->succ);
	t->succ = NULL;
}

/* t->succ, from what the peer's message says about it. */
static void successor_begin(struct v2_sa *sa, struct v2_task *t, const struct v2_msg *m, const struct v2_suite *suite,
	const struct v2_proposal *prop)
{
	successor_free(t);
	t->succ = calloc(1, sizeof(*t->succ));
	if (!t->succ)
		abort();
	t->succ->suite = *suite;
	t->succ->proposal_num = prop->num;
	memcpy(t->succ->peer_spi, prop->spi.p, IKE_SPI_LEN);
	v2_nonce_take(m->answer ? &t->succ->ni : &t->succ->nr, m->nonce);
	if (suite->n_addke)
		v2_follow_new(sa, t, suite->addke, &rekey_follow);
}

static void successor_shared(struct v2_task *t, const struct v2_ke *ke)
{
	memcpy(t->succ->shared, ke->shared, ke->shared_len);
	t->succ->shared_len = ke->shared_len;
}

static void replaced_fire(struct ike *ike, struct ike_timer *t)
{
	(void)ike;
	ike_sa_destroy(&IKE_CONTAINER(t, struct v2_sa, stage)->sa, NULL);
}

/* The new SA, established but not announced: peers, path and identities are those of the old one. */
static struct v2_sa *successor_new(struct v2_sa *old, const struct v2_task *t, bool initiator)
{
	const struct v2_successor *s = t->succ;
	struct v2_sa *n = v2_sa_new(old->sa.ike);
	if (!n)
		return NULL;
	n->sa.initiator = initiator;
	memcpy(initiator ? n->sa.spi_i : n->sa.spi_r, t->new_spi, IKE_SPI_LEN);
	memcpy(initiator ? n->sa.spi_r : n->sa.spi_i, s->peer_spi, IKE_SPI_LEN);
	n->sa.phase = IKE_PHASE_CLOSING; /* until it is known which of two new ones lives */
	n->sa.state = V2_ESTABLISHED;
	n->sa.path = old->sa.path;
	n->sa.peer = old->sa.peer;
	n->sa.natt = old->sa.natt;
	n->sa.nat_local = old->sa.nat_local;
	n->sa.nat_remote = old->sa.nat_remote;
	n->sa.encap = old->sa.encap;
	n->sa.mobike = old->sa.mobike;
	n->sa.movable = old->sa.movable;
	v2_others_set(n, old->other, old->n_other);
	n->peer_frag = old->peer_frag;
	n->ppk_used = old->ppk_used;
	n->sa.profile = old->sa.profile;
	n->sa.entry = old->sa.entry;
	n->sa.rekeys = old->sa.rekeys + 1;
	v2_ids(old, &n->setup->id_local, &n->setup->id_peer);
	ike_proof_copy(&n->sa, &old->sa);
	n->suite = s->suite;
	n->setup->ni = s->ni;
	n->setup->nr = s->nr;
	if (v2_derive(n, s->shared, s->shared_len, old->keys.d, old->keys.d_len, old->suite.prf, v2_follow_secret(t)) !=
		0) {
		ike_sa_destroy(&n->sa, NULL);
		return NULL;
	}
	ike_sa_link(&n->sa);
	v2_set_timer(n, &n->stage, replaced_fire, UNSETTLED_MS); /* nothing comes of it when the old one dies now */
	return n;
}

void v2_adopt(struct v2_sa *to, struct v2_sa *from)
{
	struct ike_child *c;
	struct ike_req *r;
	struct v2_task *t;
	while ((c = TAILQ_FIRST(&from->sa.children))) {
		TAILQ_REMOVE(&from->sa.children, c, link);
		c->sa = &to->sa;
		c->p.path = to->sa.path;
		TAILQ_INSERT_TAIL(&to->sa.children, c, link);
	}
	while ((r = TAILQ_FIRST(&from->sa.reqs))) {
		TAILQ_REMOVE(&from->sa.reqs, r, link);
		r->sa = &to->sa;
		TAILQ_INSERT_TAIL(&to->sa.reqs, r, link);
	}
	ike_sa_closing(&from->sa);
	from->sa.state = V2_REKEYED;
	ike_timer_stop(from->sa.ike, &from->sa.life);
	ike_timer_stop(from->sa.ike, &from->sa.keepalive);
	ike_timer_stop(from->sa.ike, &from->dpd);
	v2_set_timer(from, &from->stage, replaced_fire, REPLACED_MS);
	v2_setup_done(to);
	ike_timer_stop(to->sa.ike, &to->stage);
	to->sa.ike->stats.sa_rekeyed++;
	ike_sa_established(&to->sa, to->sa.profile ? to->sa.profile->lifetime_s : 0);
	v2_dpd_arm(to);
	v2_reauth_succeed(to, from);
	v2_window_succeed(to, from);
	while ((t = TAILQ_FIRST(&from->tasks))) {
		if (t->ops == &v2_rekey_ike_task || t->dpd || t->window)
			v2_task_free(from, t);
		else
			v2_task_move(to, from, t);
	}
	ike_sa_save(&to->sa);
	ike_sa_save(&from->sa); /* drops its record */
	v2_queue_run(to);
	ike_sa_run_reqs(&to->sa);
}

static struct v2_sa *rival_of(struct v2_sa *sa, const struct v2_task *t)
{
	struct ike_sa *r = t->collided ? ike_sa_by_spi(sa->sa.ike, &ike_v2, t->rival_sa) : NULL;
	return r ? v2_of(r) : NULL;
}

bool v2_rekey_yield(struct v2_sa *sa)
{
	struct v2_task *t = v2_task_active(sa, &v2_rekey_ike_task);
	struct v2_sa *rival = t ? rival_of(sa, t) : NULL;
	if (!rival)
		return false;
	v2_adopt(rival, sa);
	return true;
}

/* ---- responder ---- */

/* RFC 7296 2.25.2: a child exchange of ours is under way. */
static bool child_busy(const struct v2_sa *sa)
{
	const struct ike_child *c;
	const struct v2_task *t;
	TAILQ_FOREACH (t, &sa->active, link)
		if (t->ops == &v2_new_child_task || t->n_spi)
			return true;
	TAILQ_FOREACH (c, &sa->sa.children, link) {
		const struct v2_child *k = v2_child_of((struct ike_child *)(uintptr_t)c);
		if (c->state == IKE_CHILD_INSTALLING || k->job || (k->task && k->task->follow))
			return true;
	}
	return false;
}

static void settle(struct v2_sa *sa, struct v2_task *t, struct v2_sa *own);

/* The answer to CREATE_CHILD_SA. */
static void enc_answer(struct v2_enc *e, const struct v2_task *t)
{
	const struct v2_successor *s = t->succ;
	v2_enc_ike_chosen(e, &s->suite, s->proposal_num, t->new_spi, IKE_SPI_LEN);
	v2_enc_blob(e, V2_PL_NONCE, s->nr.b, s->nr.len);
	v2_enc_ke(e, t->dh);
}

/*
 * The peer's rekey is answered to its end, with the new SA n (NULL: nothing came of it), and `peers` stood for it. Is
 * ours under way as well?
 */
static void answer_settle(struct v2_sa *sa, struct v2_sa *n, struct v2_task *peers)
{
	struct v2_task *t = v2_task_active(sa, &v2_rekey_ike_task);
	bool alone = n && !(t && (t->place == V2_TASK_SENT || t->answered));
	sa->rekey_answer = NULL;
	if (n && !alone) {
		t->collided = true;
		memcpy(t->rival_sa, n->sa.spi_r, IKE_SPI_LEN);
		t->rival_nonce = *v2_nonce_min(&peers->succ->ni, &peers->succ->nr);
	}
	v2_task_free(sa, peers);
	if (alone) {
		if (t) /* ours had not been sent yet */
			v2_task_free(sa, t);
		v2_adopt(n, sa);
		return;
	}
	struct ike_sa *own = t && t->finished ? ike_sa_by_spi(sa->sa.ike, &ike_v2, t->new_spi) : NULL;
	if (!own)
		return;
	v2_task_detach(sa, t);
	settle(sa, t, v2_of(own));
	v2_task_free(sa, t);
}

/* All secrets are there: a is the last request of the exchange, or the only one. */
static void answer_complete(struct v2_sa *sa, struct v2_task *t, struct v2_answer *a)
{
	uint8_t buf[IKE_MSG_MAX];
	struct v2_enc e;
	struct v2_sa *n = successor_new(sa, t, false);
	if (n) {
		v2_resp_begin(sa, a, &e, buf);
		if (t->follow)
			v2_enc_ke(&e, t->dh);
		else
			enc_answer(&e, t);
		v2_respond(sa, a, &e);
	} else {
		v2_respond_notify(sa, a, V2_N_NO_PROPOSAL_CHOSEN, NULL, 0);
	}
	if (!sa->sa.dead)
		answer_settle(sa, n, t);
}

static void answer_shared(void *of, struct v2_ke *ke)
{
	struct v2_sa *sa = of;
	struct v2_task *t = sa->rekey_answer;
	struct v2_answer *a = t->succ->answer;
	uint8_t buf[IKE_MSG_MAX];
	struct v2_enc e;
	t->succ->answer = NULL;
	if (ke->err) {
		answer_settle(sa, NULL, t);
		v2_malformed(sa, a);
		return;
	}
	t->dh = ke->dh;
	ke->dh = NULL;
	successor_shared(t, ke);
	if (!t->follow) {
		answer_complete(sa, t, a);
		return;
	}
	v2_follow_wait(t);
	v2_resp_begin(sa, a, &e, buf);
	enc_answer(&e, t);
	v2_follow_enc_link(t, &e);
	v2_respond(sa, a, &e);
}

void v2_rekey_ike_request(struct v2_sa *sa, struct v2_msg *m, const struct v2_sa_pl *offer)
{
	struct v2_suite suite;
	struct v2_proposal prop;
	if (!m->ke.p || m->ke.len > IKEC_DH_PUB_MAX) {
		v2_malformed(sa, m->answer);
		return;
	}
	if (sa->sa.phase != IKE_PHASE_ESTABLISHED || !sa->sa.profile || sa->rekey_answer || child_busy(sa)) {
		v2_respond_notify(sa, m->answer, V2_N_TEMPORARY_FAILURE, NULL, 0);
		return;
	}
	if (v2_choose_ike(sa->sa.profile, offer, m->ke_group, &suite, &prop) != 0 || prop.spi.len != IKE_SPI_LEN) {
		sa->sa.ike->stats.no_proposal_chosen++;
		v2_respond_notify(sa, m->answer, V2_N_NO_PROPOSAL_CHOSEN, NULL, 0);
		return;
	}
	if (suite.group != m->ke_group || m->ke.len != ikec_group_pub_len(suite.group)) {
		uint8_t g[2] = {(uint8_t)(suite.group >> 8), (uint8_t)suite.group};
		v2_respond_notify(sa, m->answer, V2_N_INVALID_KE_PAYLOAD, g, 2);
		return;
	}
	struct v2_task *t = sa->rekey_answer = v2_task_new(&v2_rekey_ike_task);
	successor_begin(sa, t, m, &suite, &prop);
	v2_nonce_make(&t->succ->nr);
	ike_spi_new(sa->sa.ike, t->new_spi);
	t->succ->answer = m->answer;
	v2_ke_run(sa, &t->ke, sa, suite.group, NULL, m->ke, answer_shared);
}

/* ---- initiator ---- */

static void pair_done(void *of, struct v2_ke *ke)
{
	struct v2_task *t = of;
	struct v2_sa *sa = t->req.sa;
	t->dh = ke->dh;
	ke->dh = NULL;
	if (t->dh)
		v2_task_send(sa, t);
	else
		v2_task_drop(sa, t);
}

static void rekey_start(struct v2_sa *sa, struct v2_task *t)
{
	if (sa->sa.phase != IKE_PHASE_ESTABLISHED || !sa->sa.profile) {
		v2_task_drop(sa, t);
		return;
	}
	/* children in the making would be caught between the two SAs (RFC 7296 2.25.2) */
	if (child_busy(sa)) {
		t->not_before_ms = ike_now(sa->sa.ike) + 1000;
		v2_task_queue(sa, t);
		return;
	}
	if (!t->group)
		t->group = v2_group_offered(sa->sa.profile, (uint16_t)sa->suite.group) ? sa->suite.group
										       : v2_first_group(sa->sa.profile);
	ike_spi_new(sa->sa.ike, t->new_spi);
	v2_nonce_make(&t->ni);
	ikec_dh_free(t->dh);
	t->dh = NULL;
	t->req.sa = sa;
	v2_ke_run(sa, &t->ke, t, t->group, NULL, V2_EMPTY, pair_done);
}

static void rekey_build(struct v2_sa *sa, struct v2_task *t, struct v2_enc *e)
{
	v2_enc_ike_sa(e, sa->sa.profile, t->new_spi, IKE_SPI_LEN);
	v2_enc_blob(e, V2_PL_NONCE, t->ni.b, t->ni.len);
	v2_enc_ke(e, t->dh);
}

/* Both new SAs are there: the one made by the exchange with the least nonce goes, by the hand of who started it. */
static void settle(struct v2_sa *sa, struct v2_task *t, struct v2_sa *own)
{
	struct v2_sa *rival = rival_of(sa, t);
	if (rival && v2_nonce_cmp(v2_nonce_min(&own->setup->ni, &own->setup->nr), &t->rival_nonce) < 0) {
		v2_adopt(rival, sa);
		v2_sa_delete_replaced(own);
		return; /* the peer deletes the old one */
	}
	if (rival) /* the peer deletes it; when its delete is lost, it goes by itself */
		v2_set_timer(rival, &rival->stage, replaced_fire, REPLACED_MS);
	v2_adopt(own, sa);
	v2_sa_delete_replaced(sa);
}

static void own_complete(struct v2_sa *sa, struct v2_task *t)
{
	struct v2_sa *n = successor_new(sa, t, true);
	t->finished = n && sa->rekey_answer; /* then answer_settle() decides, knowing both */
	if (t->finished)
		return;
	v2_task_detach(sa, t);
	if (n)
		settle(sa, t, n);
	else
		ike_sa_destroy(&sa->sa, "cannot derive keys");
	v2_task_free(sa, t);
}

static void own_shared(void *of, struct v2_ke *ke)
{
	struct v2_task *t = of;
	struct v2_sa *sa = t->req.sa;
	if (ke->err) {
		v2_task_free(sa, t);
		ike_sa_destroy(&sa->sa, "bad Diffie-Hellman value from peer");
		return;
	}
	successor_shared(t, ke);
	if (t->follow)
		v2_follow_next(t);
	else
		own_complete(sa, t);
}

static void rekey_refused(struct v2_sa *sa, struct v2_task *t, const struct v2_notify *err)
{
	uint16_t r, g = err && err->type == V2_N_INVALID_KE_PAYLOAD && err->data.len == 2 ? v2_get16(err->data.p) : 0;
	struct v2_sa *rival = rival_of(sa, t);
	if (rival) {
		v2_adopt(rival, sa); /* the peer's exchange stands alone */
		v2_task_free(sa, t);
		return;
	}
	bool again = g || !err || err->type == V2_N_TEMPORARY_FAILURE || err->type == V2_N_STATE_NOT_FOUND;
	bool lost_track = ++t->retries > RETRY_MAX && err && err->type == V2_N_STATE_NOT_FOUND;
	if (lost_track || (err && err->type == V2_N_INVALID_SYNTAX)) { /* RFC 9370 2.2.4; RFC 7296 2.21.3 */
		v2_task_free(sa, t);
		v2_sa_delete(&sa->sa, v2_notify_name(err->type));
		return;
	}
	v2_follow_free(t);
	t->answered = false;
	if (t->retries > RETRY_MAX || !again) {
		cv_warn("ike", "rekeying of the IKE SA failed: %s",
			err ? v2_notify_name(err->type) : "invalid response from peer");
		v2_task_free(sa, t);
		return; /* it lives until its hard limit; then traffic brings up a new one */
	}
	if (g && v2_group_offered(sa->sa.profile, g)) {
		t->group = g;
		v2_task_queue_first(sa, t);
		return;
	}
	ikec_random(&r, sizeof(r));
	t->not_before_ms = ike_now(sa->sa.ike) + 1000 + r % 2000u * t->retries;
	v2_task_queue(sa, t);
}

static void rekey_response(struct v2_sa *sa, struct v2_task *t, struct v2_msg *m)
{
	struct v2_sa_pl answer;
	struct v2_suite suite;
	struct v2_proposal prop;
	const struct v2_notify *err = v2_find_error(m);
	if (!sa->sa.profile || sa->sa.phase != IKE_PHASE_ESTABLISHED) {
		v2_task_free(sa, t);
		return;
	}
	if (t->follow) {
		v2_follow_response(t, m);
		return;
	}
	if (!m->sa.p || !m->ke.p || !m->nonce.p || m->ke.len > IKEC_DH_PUB_MAX || v2_parse_sa(m->sa, &answer) != 0 ||
		answer.n != 1 || v2_choose_ike(sa->sa.profile, &answer, m->ke_group, &suite, &prop) != 0 ||
		suite.group != t->group || m->ke_group != t->group || prop.spi.len != IKE_SPI_LEN) {
		rekey_refused(sa, t, err);
		return;
	}
	successor_begin(sa, t, m, &suite, &prop);
	if (t->follow && !v2_follow_take_link(t, m)) {
		rekey_refused(sa, t, NULL);
		return;
	}
	t->succ->ni = t->ni;
	t->answered = true;
	struct ikec_dh *dh = t->dh;
	t->dh = NULL;
	v2_task_keep(sa, t); /* nothing else starts until the new SA has taken over */
	v2_ke_run(sa, &t->ke, t, t->group, dh, m->ke, own_shared);
}

static void follow_done(struct v2_sa *sa, struct v2_task *t, struct v2_answer *a)
{
	if (a)
		answer_complete(sa, t, a);
	else
		own_complete(sa, t);
}

static void follow_failed(struct v2_sa *sa, struct v2_task *t, uint16_t notify)
{
	struct v2_notify err = {.type = notify};
	if (t == sa->rekey_answer)
		answer_settle(sa, NULL, t);
	else
		rekey_refused(sa, t, notify ? &err : NULL);
}

static const struct v2_follow_ops rekey_follow = {.done = follow_done, .failed = follow_failed};

const struct v2_task_ops v2_rekey_ike_task = {
	.name = "CREATE_CHILD_SA (IKE)",
	.exchange = V2_CREATE_CHILD_SA,
	.kind = V2_TASK_REKEY_IKE,
	.exclusive = true,
	.start = rekey_start,
	.build = rekey_build,
	.response = rekey_response,
	.fini = successor_free,
};

void v2_sa_rekey(struct ike_sa *base)
{
	struct v2_sa *sa = v2_of(base);
	if (base->phase != IKE_PHASE_ESTABLISHED || v2_have_task(sa, &v2_rekey_ike_task))
		return;
	v2_task_queue(sa, v2_task_new(&v2_rekey_ike_task));
}
