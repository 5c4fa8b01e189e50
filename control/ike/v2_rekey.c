/* SPDX-License-Identifier: BSD-3-Clause */
/* Rekeying the IKE SA itself (RFC 7296 1.3.2, 2.18, 2.25.2): make before break, and collisions. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "v2_int.h"

#define RETRY_MAX 6
#define UNSETTLED_MS 120000 /* longer than a request is repeated */
#define REPLACED_MS 30000   /* how long a replaced SA waits for the peer's delete */

struct rekey_job {
	struct ike_job j;
	struct v2_task *task;	  /* initiator */
	struct v2_answer *answer; /* responder */
	struct ikec_dh *dh;
	enum ike_group group;
	uint8_t peer[IKEC_DH_PUB_MAX];
	size_t peer_len;
	uint8_t shared[IKEC_DH_PUB_MAX];
	size_t shared_len;
	int err;
	/* of the new SA */
	struct v2_suite suite;
	uint8_t proposal_num;
	uint8_t peer_spi[IKE_SPI_LEN];
	struct v2_nonce ni, nr;
};

static void rekey_work(struct ike_job *j)
{
	struct rekey_job *job = (struct rekey_job *)j;
	if (!job->dh)
		job->err = ikec_dh_new(job->group, &job->dh);
	if (!job->err && job->peer_len)
		job->err = ikec_dh_shared(job->dh, job->peer, job->peer_len, job->shared, &job->shared_len);
}

static struct rekey_job *job_new(struct v2_sa *sa, enum ike_group group, void (*done)(struct ike_job *))
{
	struct rekey_job *job = calloc(1, sizeof(*job));
	if (!job)
		abort();
	(void)sa;
	job->j.work = rekey_work;
	job->j.done = done;
	job->group = group;
	return job;
}

static void job_fini(struct rekey_job *job)
{
	ikec_dh_free(job->dh);
	cv_secret_zero(job->shared, sizeof(job->shared));
}

static void replaced_fire(struct ike *ike, struct ike_timer *t)
{
	(void)ike;
	ike_sa_destroy(&IKE_CONTAINER(t, struct v2_sa, stage)->sa, NULL);
}

/* The new SA, established but not announced: peers, path and identities are those of the old one. */
static struct v2_sa *successor_new(
	struct v2_sa *old, const struct rekey_job *job, bool initiator, const uint8_t *own_spi)
{
	struct v2_sa *n = v2_sa_new(old->sa.ike);
	if (!n)
		return NULL;
	n->sa.initiator = initiator;
	memcpy(initiator ? n->sa.spi_i : n->sa.spi_r, own_spi, IKE_SPI_LEN);
	memcpy(initiator ? n->sa.spi_r : n->sa.spi_i, job->peer_spi, IKE_SPI_LEN);
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
	n->suite = job->suite;
	n->setup->ni = job->ni;
	n->setup->nr = job->nr;
	if (v2_derive(n, job->shared, job->shared_len, old->keys.d, old->keys.d_len, old->suite.prf) != 0) {
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
	TAILQ_FOREACH (c, &sa->sa.children, link)
		if (c->state == IKE_CHILD_INSTALLING || v2_child_of((struct ike_child *)(uintptr_t)c)->job)
			return true;
	return false;
}

static void settle(struct v2_sa *sa, struct v2_task *t, struct v2_sa *own);

static void send_answer(struct v2_sa *sa, struct rekey_job *job, const uint8_t *spi)
{
	uint8_t buf[IKE_MSG_MAX];
	struct v2_enc e;
	v2_resp_begin(sa, job->answer, &e, buf);
	v2_enc_ike_chosen(&e, &job->suite, job->proposal_num, spi, IKE_SPI_LEN);
	v2_enc_blob(&e, V2_PL_NONCE, job->nr.b, job->nr.len);
	v2_enc_ke(&e, (uint16_t)job->group, ikec_dh_pub(job->dh));
	v2_respond(sa, job->answer, &e);
}

/* The peer's rekey is answered with the new SA n (NULL: refused). Is ours under way as well? */
static void answer_settle(struct v2_sa *sa, struct v2_sa *n, const struct rekey_job *job)
{
	struct v2_task *t = v2_task_active(sa, &v2_rekey_ike_task);
	if (n && t && (t->place == V2_TASK_SENT || t->answered)) {
		t->collided = true;
		memcpy(t->rival_sa, n->sa.spi_r, IKE_SPI_LEN);
		t->rival_nonce = *v2_nonce_min(&job->ni, &job->nr);
	} else if (n) {
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

static void answer_done(struct ike_job *j)
{
	struct rekey_job *job = (struct rekey_job *)j;
	struct v2_sa *sa = j->sa ? v2_of(j->sa) : NULL, *n = NULL;
	uint8_t spi[IKE_SPI_LEN];
	if (sa) {
		sa->answering_rekey = false;
		ike_spi_new(sa->sa.ike, spi);
		n = job->err ? NULL : successor_new(sa, job, false, spi);
		if (n)
			send_answer(sa, job, spi);
		else
			v2_respond_notify(sa, job->answer, V2_N_NO_PROPOSAL_CHOSEN, NULL, 0);
		if (!sa->sa.dead)
			answer_settle(sa, n, job);
	}
	job_fini(job);
}

void v2_rekey_ike_request(struct v2_sa *sa, struct v2_msg *m, const struct v2_sa_pl *offer)
{
	struct v2_suite suite;
	struct v2_proposal prop;
	if (!m->ke.p || m->ke.len > IKEC_DH_PUB_MAX) {
		v2_respond_notify(sa, m->answer, V2_N_INVALID_SYNTAX, NULL, 0);
		return;
	}
	if (sa->sa.phase != IKE_PHASE_ESTABLISHED || !sa->sa.profile || sa->answering_rekey || child_busy(sa)) {
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
	struct rekey_job *job = job_new(sa, suite.group, answer_done);
	job->answer = m->answer;
	job->suite = suite;
	job->proposal_num = prop.num;
	memcpy(job->peer_spi, prop.spi.p, IKE_SPI_LEN);
	memcpy(job->peer, m->ke.p, m->ke.len);
	job->peer_len = m->ke.len;
	v2_nonce_take(&job->ni, m->nonce);
	v2_nonce_make(&job->nr);
	sa->answering_rekey = true;
	ike_job_run(sa->sa.ike, &sa->sa, &job->j);
}

/* ---- initiator ---- */

static void pair_done(struct ike_job *j)
{
	struct rekey_job *job = (struct rekey_job *)j;
	struct v2_sa *sa = j->sa ? v2_of(j->sa) : NULL;
	if (sa && v2_task_active(sa, &v2_rekey_ike_task) == job->task && job->task->place == V2_TASK_STARTED) {
		job->task->dh = job->dh;
		job->dh = NULL;
		if (job->task->dh)
			v2_task_send(sa, job->task);
		else
			v2_task_drop(sa, job->task);
	}
	job_fini(job);
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
	struct rekey_job *job = job_new(sa, t->group, pair_done);
	job->task = t;
	ike_job_run(sa->sa.ike, &sa->sa, &job->j);
}

static void rekey_build(struct v2_sa *sa, struct v2_task *t, struct v2_enc *e)
{
	v2_enc_ike_sa(e, sa->sa.profile, t->new_spi, IKE_SPI_LEN);
	v2_enc_blob(e, V2_PL_NONCE, t->ni.b, t->ni.len);
	v2_enc_ke(e, (uint16_t)t->group, ikec_dh_pub(t->dh));
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

static void finish_done(struct ike_job *j)
{
	struct rekey_job *job = (struct rekey_job *)j;
	struct v2_sa *sa = j->sa ? v2_of(j->sa) : NULL, *n = NULL;
	struct v2_task *t = job->task;
	if (sa) {
		if (!job->err)
			n = successor_new(sa, job, true, t->new_spi);
		t->finished = n && sa->answering_rekey; /* then answer_settle() decides, knowing both */
		if (!t->finished) {
			v2_task_detach(sa, t);
			if (n)
				settle(sa, t, n);
			else
				ike_sa_destroy(&sa->sa, "bad Diffie-Hellman value from peer");
			v2_task_free(sa, t);
		}
	}
	job_fini(job);
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
	if (++t->retries > RETRY_MAX || (err && err->type != V2_N_TEMPORARY_FAILURE && !g)) {
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
	if (!m->sa.p || !m->ke.p || !m->nonce.p || m->ke.len > IKEC_DH_PUB_MAX || v2_parse_sa(m->sa, &answer) != 0 ||
		answer.n != 1 || v2_choose_ike(sa->sa.profile, &answer, m->ke_group, &suite, &prop) != 0 ||
		suite.group != t->group || m->ke_group != t->group || prop.spi.len != IKE_SPI_LEN) {
		rekey_refused(sa, t, err);
		return;
	}
	struct rekey_job *job = job_new(sa, t->group, finish_done);
	job->task = t;
	job->dh = t->dh;
	t->dh = NULL;
	job->suite = suite;
	memcpy(job->peer_spi, prop.spi.p, IKE_SPI_LEN);
	memcpy(job->peer, m->ke.p, m->ke.len);
	job->peer_len = m->ke.len;
	job->ni = t->ni;
	v2_nonce_take(&job->nr, m->nonce);
	t->answered = true;
	v2_task_keep(sa, t); /* nothing else starts until the new SA has taken over */
	ike_job_run(sa->sa.ike, &sa->sa, &job->j);
}

const struct v2_task_ops v2_rekey_ike_task = {
	.name = "CREATE_CHILD_SA (IKE)",
	.exchange = V2_CREATE_CHILD_SA,
	.kind = V2_TASK_REKEY_IKE,
	.exclusive = true,
	.start = rekey_start,
	.build = rekey_build,
	.response = rekey_response,
};

void v2_sa_rekey(struct ike_sa *base)
{
	struct v2_sa *sa = v2_of(base);
	if (base->phase != IKE_PHASE_ESTABLISHED || v2_have_task(sa, &v2_rekey_ike_task))
		return;
	v2_task_queue(sa, v2_task_new(&v2_rekey_ike_task));
}
