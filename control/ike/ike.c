/* SPDX-License-Identifier: BSD-3-Clause */
/* The engine's entry points: life, input, acquire and expiry, clear. */
#include <stdlib.h>
#include <string.h>

#include "ike_internal.h"
#include "ike_private.h"

void ike_enter(struct ike *ike)
{
	ike->depth++;
}

static void reap(struct ike *ike)
{
	struct ike_child *c, *nc;
	struct ike_sa *sa, *ns;
	/* A child whose call-back is still with the host stays, and its SA with it: child_ack needs both. */
	TAILQ_FOREACH_SAFE(c, &ike->dead_children, link, nc)
	{
		if (c->cb_pending)
			continue;
		TAILQ_REMOVE(&ike->dead_children, c, link);
		free(c);
	}
	TAILQ_FOREACH_SAFE(sa, &ike->dead_sas, all, ns)
	{
		TAILQ_FOREACH (c, &ike->dead_children, link)
			/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): the analyzer does not follow TAILQ_REMOVE */
			if (c->sa == sa)
				break;
		if (c)
			continue;
		TAILQ_REMOVE(&ike->dead_sas, sa, all);
		free(sa);
	}
}

void ike_leave(struct ike *ike)
{
	if (--ike->depth == 0 && (!TAILQ_EMPTY(&ike->dead_children) || !TAILQ_EMPTY(&ike->dead_sas)))
		reap(ike);
}

struct ike *ike_new(const struct ike_ops *ops, void *ctx)
{
	struct ike *ike = calloc(1, sizeof(*ike));
	if (!ike)
		return NULL;
	ike->ops = *ops;
	ike->ctx = ctx;
	TAILQ_INIT(&ike->sas);
	TAILQ_INIT(&ike->reqs);
	TAILQ_INIT(&ike->jobs);
	TAILQ_INIT(&ike->dead_sas);
	TAILQ_INIT(&ike->dead_children);
	ikec_random(&ike->seed, sizeof(ike->seed));
	ikec_random(ike->cookie_secret, sizeof(ike->cookie_secret));
	ike->cookie_changed_ms = ike_now(ike);
	return ike;
}

/* Without a word to peer or host: the process ends, and the vault keeps what the next one needs. */
static void forget_sa(struct ike_sa *sa)
{
	struct ike_child *c;
	struct ike_job *j;
	sa->dead = true;
	ike_timer_stop(sa->ike, &sa->life);
	ike_timer_stop(sa->ike, &sa->keepalive);
	sa->v->sa_fini(sa);
	ike_proof_free(sa);
	while ((j = TAILQ_FIRST(&sa->jobs))) {
		TAILQ_REMOVE(&sa->jobs, j, link);
		j->sa = NULL;
	}
	while ((c = TAILQ_FIRST(&sa->children))) {
		TAILQ_REMOVE(&sa->children, c, link);
		ike_timer_stop(sa->ike, &c->life);
		if (sa->v->child_fini)
			sa->v->child_fini(c);
		free(c);
	}
	free(sa);
}

void ike_free(struct ike *ike)
{
	struct ike_sa *sa;
	struct ike_req *r;
	struct ike_child *c;
	struct ike_job *j;
	if (!ike)
		return;
	while ((r = TAILQ_FIRST(&ike->reqs))) {
		TAILQ_REMOVE(&ike->reqs, r, all);
		free(r);
	}
	while ((sa = TAILQ_FIRST(&ike->sas))) {
		TAILQ_REMOVE(&ike->sas, sa, all);
		forget_sa(sa);
	}
	while ((c = TAILQ_FIRST(&ike->dead_children))) {
		TAILQ_REMOVE(&ike->dead_children, c, link);
		free(c);
	}
	while ((sa = TAILQ_FIRST(&ike->dead_sas))) {
		TAILQ_REMOVE(&ike->dead_sas, sa, all);
		free(sa);
	}
	while ((j = TAILQ_FIRST(&ike->jobs))) {
		TAILQ_REMOVE(&ike->jobs, j, all);
		j->ike = NULL;
	}
	ike_tables_free(ike);
	if (ike->cfg)
		config_unref(ike->cfg);
	cv_secret_zero(ike->cookie_secret, sizeof(ike->cookie_secret));
	free(ike);
}

void ike_event(struct ike *ike, enum ike_event_type type, const struct ike_sa *sa, const struct ike_path *path,
	const struct cfg_map_entry *entry, const char *reason)
{
	struct ike_event ev = {.type = type, .sa = sa, .path = path, .entry = entry, .reason = reason};
	struct ike_id local, peer;
	char text[IKE_ID_MAX + 1];
	if (sa && sa->v->ids) {
		sa->v->ids(sa, &local, &peer);
		ev.peer_id = peer.len ? ike_id_str(&peer, text, sizeof(text)) : NULL;
	}
	ike->ops.event(ike->ctx, &ev);
}

/* ---- jobs ---- */

static void job_work(void *arg)
{
	struct ike_job *j = arg;
	j->work(j);
}

static void job_done(void *arg)
{
	struct ike_job *j = arg;
	struct ike *ike = j->ike;
	if (!ike) { /* the pool finished after ike_free(): done() only releases what the job holds */
		j->done(j);
		free(j);
		return;
	}
	ike_enter(ike);
	TAILQ_REMOVE(&ike->jobs, j, all);
	if (j->sa)
		TAILQ_REMOVE(&j->sa->jobs, j, link);
	j->done(j);
	free(j);
	ike_leave(ike);
}

void ike_job_run(struct ike *ike, struct ike_sa *sa, struct ike_job *j)
{
	j->ike = ike;
	j->sa = sa;
	TAILQ_INSERT_TAIL(&ike->jobs, j, all);
	if (sa)
		TAILQ_INSERT_TAIL(&sa->jobs, j, link);
	ike->ops.pk_run(ike->ctx, j->brief, job_work, job_done, j);
}

/* ---- input ---- */

void ike_input(struct ike *ike, const struct ike_path *path, bool natt, const uint8_t *data, size_t len)
{
	if (!ike->cfg || !ike->cfg->ike_enabled)
		return;
	if (len == 1 && data[0] == 0xff)
		return; /* NAT keepalive (RFC 3948 2.3) */
	ike->stats.rx_messages++;
	uint32_t claimed = 0;
	if (len >= IKE_HDR_LEN)
		claimed = (uint32_t)data[24] << 24 | (uint32_t)data[25] << 16 | (uint32_t)data[26] << 8 | data[27];
	if (len < IKE_HDR_LEN || claimed != len || len > IKE_MSG_MAX) {
		ike->stats.rx_malformed++;
		return;
	}
	ike_enter(ike);
	switch (data[17] >> 4) {
	case 1:
		ike_v1.input(ike, path, natt, data, len);
		break;
	case 2:
		ike_v2.input(ike, path, natt, data, len);
		break;
	default:
		/* RFC 7296 2.5 allows an INVALID_MAJOR_VERSION answer; to strangers silence is safer */
		ike->stats.rx_unknown_version++;
	}
	ike_leave(ike);
}

/* ---- from the dataplane ---- */

void ike_acquire(struct ike *ike, const struct cfg_map_entry *entry, uint32_t rule_id, const struct cv_selector *sel,
	const struct cv_selector *trigger)
{
	ike->stats.acquires++;
	if (!ike->cfg || !ike->cfg->ike_enabled) {
		ike->ops.acquire_failed(ike->ctx, rule_id);
		return;
	}
	if (trigger && ike_child_comes(ike, entry, trigger)) {
		ike->stats.acquires_early++; /* it asks again, should nothing have come of it */
		return;
	}
	ike_enter(ike);
	struct cv_selector want = *sel;
	if (entry->per_host && trigger) { /* IPSEC-52: one pair of SAs per pair of hosts */
		want.src = trigger->src;
		want.dst = trigger->dst;
	}
	ike_req_add(ike, entry, rule_id, &want, trigger);
	ike_leave(ike);
}

void ike_child_expire(struct ike *ike, uint32_t child_id, bool hard)
{
	struct ike_child *c = ike_child_by_id(ike, child_id);
	if (!c || c->sa->dead)
		return;
	ike_enter(ike);
	if (hard)
		c->sa->v->child_delete(c);
	else if (c->state == IKE_CHILD_ESTABLISHED)
		c->sa->v->child_rekey(c);
	ike_leave(ike);
}

void ike_child_resource(struct ike *ike, uint32_t child_id, uint8_t resource)
{
	struct ike_child *c = ike_child_by_id(ike, child_id);
	if (!c || c->sa->dead || !c->sa->v->child_resource || !resource)
		return;
	ike_enter(ike);
	c->sa->v->child_resource(c, resource);
	ike_leave(ike);
}

void ike_children_lost(struct ike *ike)
{
	struct ike_sa *sa, *ns;
	struct ike_child *c, *nc;
	ike_enter(ike);
	TAILQ_FOREACH_SAFE(sa, &ike->sas, all, ns)
	TAILQ_FOREACH_SAFE(c, &sa->children, link, nc)
	{
		if (sa->dead)
			break;
		if (c->state != IKE_CHILD_ESTABLISHED)
			continue;
		c->lost = true;
		sa->v->child_rekey(c);
	}
	ike_leave(ike);
}

void ike_peer_moved(struct ike *ike, uint32_t child_id, const struct cv_addr *addr, uint16_t port)
{
	struct ike_child *c = ike_child_by_id(ike, child_id);
	/* Only a peer behind a NAT moves; when we are behind one, the peer's address is the fixed one (RFC 7296 2.23).
	 */
	if (!c || c->sa->dead || !c->sa->natt || !c->sa->nat_remote ||
		c->sa->mobike) /* RFC 4555 3.8: the peer says so itself */
		return;
	ike_enter(ike);
	ike_sa_move(c->sa, addr, port);
	ike_leave(ike);
}

/* ---- operator ---- */

static bool match_sa(const struct ike_match *m, const struct ike_sa *sa)
{
	if (m->local && !cv_addr_eq(m->local, &sa->path.local))
		return false;
	if (m->remote && !cv_addr_eq(m->remote, &sa->path.remote) && !cv_addr_eq(m->remote, &sa->peer))
		return false;
	if (m->rport && m->rport != sa->path.rport)
		return false;
	if (m->fvrf >= 0 && (uint32_t)m->fvrf != sa->path.vrf)
		return false;
	return m->ivrf < 0 || (uint32_t)m->ivrf == config_inside_vrf(sa->profile, sa->path.vrf);
}

unsigned ike_clear(struct ike *ike, const struct ike_match *m)
{
	struct ike_sa *sa, *ns;
	uint64_t last = ike->next_sa_id; /* SAs that waiting traffic starts anew meanwhile are left alone */
	unsigned n = 0;
	ike_enter(ike);
	if (m->child_id) {
		struct ike_child *c = ike_child_by_id(ike, m->child_id);
		if (c && !c->sa->dead) {
			c->sa->v->child_delete(c);
			n = 1;
		}
		ike_leave(ike);
		return n;
	}
	TAILQ_FOREACH_SAFE(sa, &ike->sas, all, ns)
	{
		if (sa->dead || sa->id > last || !match_sa(m, sa))
			continue;
		(m->alone && sa->v->sa_delete_alone ? sa->v->sa_delete_alone : sa->v->sa_delete)(
			sa, "cleared by operator");
		n++;
	}
	ike_leave(ike);
	return n;
}
