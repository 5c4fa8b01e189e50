/* SPDX-License-Identifier: BSD-3-Clause */
/* Wishes for children: find or start an IKE SA to a peer of the entry, go on to the next peer, give up. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ike_internal.h"
#include "ike_private.h"

#define AUTO_DELAY_MS 1000   /* gathers the losses of one event into one look */
#define AUTO_RETRY_MS 10000  /* after a failure */
#define ACQUIRE_LATE_MS 1500 /* the dataplane asks once a second and may have asked just before it was served */

static void auto_fire(struct ike *ike, struct ike_timer *t)
{
	(void)t;
	ike_auto_start(ike);
}

static void auto_at(struct ike *ike, uint64_t at_ms)
{
	if (ike_timer_running(&ike->auto_timer) && ike->auto_timer.at_ms <= at_ms)
		return;
	ike->auto_timer.fire = auto_fire;
	ike_timer_set(ike, &ike->auto_timer, at_ms);
}

void ike_auto_soon(struct ike *ike)
{
	auto_at(ike, ike_now(ike) + AUTO_DELAY_MS);
}

static void req_free(struct ike *ike, struct ike_req *r)
{
	TAILQ_REMOVE(&ike->reqs, r, all);
	ike_req_unindex(ike, r);
	free(r);
}

static void req_leave_sa(struct ike_req *r)
{
	struct ike_child *c;
	if (!r->sa)
		return;
	TAILQ_FOREACH (c, &r->sa->children, link)
		if (c->req == r)
			c->req = NULL;
	TAILQ_REMOVE(&r->sa->reqs, r, link);
	r->sa = NULL;
	r->started = r->queued = false;
}

static void req_join_sa(struct ike_req *r, struct ike_sa *sa)
{
	r->sa = sa;
	TAILQ_INSERT_TAIL(&sa->reqs, r, link);
}

/* An SA to the peer that may serve the entry: established, or one that we are setting up ourselves. */
static struct ike_sa *find_sa(struct ike *ike, const struct cfg_map_entry *e, const struct ike_path *path)
{
	const struct ike_version *v = ike_version_of(e);
	struct ike_sa *sa = NULL, *best = NULL;
	while ((sa = ike_sa_next_by_addr(ike, path->vrf, &path->remote, sa))) {
		if (sa->v != v || sa->profile != e->profile_ref || !cv_addr_eq(&sa->path.local, &path->local))
			continue;
		if (sa->phase == IKE_PHASE_ESTABLISHED &&
			(!best || best->phase != IKE_PHASE_ESTABLISHED || sa->established_ms > best->established_ms))
			best = sa;
		if (sa->phase == IKE_PHASE_HALF_OPEN && sa->initiator && !best)
			best = sa;
	}
	return best;
}

static int peer_path(struct ike *ike, const struct cfg_map_entry *e, unsigned peer, struct ike_path *path)
{
	memset(path, 0, sizeof(*path));
	path->remote = e->peer[peer];
	path->lport = path->rport = IKE_PORT;
	return ike->ops.local_addr(ike->ctx, e, &path->remote, &path->local, &path->vrf);
}

/* IPSEC-48: the peer last heard from, which is one that has an established SA, goes before the order of the list. */
static void prefer_live_peer(struct ike *ike, struct ike_req *r)
{
	struct ike_path path;
	for (unsigned i = 0; i < r->entry->n_peer; i++) {
		struct ike_sa *sa;
		if (peer_path(ike, r->entry, i, &path) != 0)
			continue;
		sa = find_sa(ike, r->entry, &path);
		if (sa && sa->phase == IKE_PHASE_ESTABLISHED) {
			r->peer = i;
			return;
		}
	}
}

static void req_start(struct ike *ike, struct ike_req *r)
{
	const struct cfg_transform_set *sets[IKE_SETS_MAX];
	struct ike_path path;
	struct ike_sa *sa;
	if (!ike_entry_sets(ike, r->entry, sets)) {
		ike_req_drop(r, "no transform set that the crypto engine can do");
		return;
	}
	if (!r->entry->n_peer) {
		ike_req_drop(r, "no peer configured");
		return;
	}
	if (!cv_addr_bits(&r->entry->peer[r->peer])) {
		ike_req_done(r, -EHOSTUNREACH, "name of the peer has no address");
		return;
	}
	if (peer_path(ike, r->entry, r->peer, &path) != 0) {
		ike_req_done(r, -ENETUNREACH, "no route to peer");
		return;
	}
	sa = find_sa(ike, r->entry, &path);
	if (!sa && !ike_cac_admit(ike, &path, true)) {
		ike_req_done(r, -EBUSY, "call admission control");
		return;
	}
	if (!sa) {
		sa = ike_version_of(r->entry)->initiate(ike, r->entry, &path);
		if (!sa) {
			ike_req_done(r, -EIO, "cannot start IKE");
			return;
		}
		ike->stats.sa_initiated++;
	}
	req_join_sa(r, sa);
	if (sa->phase == IKE_PHASE_ESTABLISHED) {
		r->started = true;
		sa->v->child_initiate(sa, r);
	}
}

void ike_sa_run_reqs(struct ike_sa *sa)
{
	struct ike_req *r;
	/* child_initiate may end wishes, this one and others: look again from the start each time */
again:
	if (sa->dead)
		return;
	TAILQ_FOREACH (r, &sa->reqs, link) {
		if (r->started)
			continue;
		r->started = true;
		sa->v->child_initiate(sa, r);
		goto again;
	}
}

static void req_failed(struct ike_req *r, const char *reason)
{
	struct ike *ike = r->ike;
	struct ike_path path = {.remote = r->entry->n_peer ? r->entry->peer[r->peer] : (struct cv_addr){0}};
	ike->stats.acquires_failed++;
	if (r->rule_id)
		ike->ops.acquire_failed(ike->ctx, r->rule_id);
	if (r->entry->auto_start)
		auto_at(ike, ike_now(ike) + AUTO_RETRY_MS);
	ike_event(ike, IKE_EVT_FAILED, NULL, &path, r->entry, reason);
	req_free(ike, r);
}

void ike_req_drop(struct ike_req *r, const char *reason)
{
	req_leave_sa(r);
	req_failed(r, reason);
}

void ike_req_done(struct ike_req *r, int err, const char *reason)
{
	struct ike *ike = r->ike;
	req_leave_sa(r);
	if (!err) {
		ike_peer_set_current(ike, r->entry, r->peer);
		req_free(ike, r);
		return;
	}
	r->tried++;
	unsigned next = r->entry->n_peer ? (r->peer + 1) % r->entry->n_peer : 0;
	ike_peer_set_current(ike, r->entry, next);
	if (r->tried >= r->entry->n_peer) {
		req_failed(r, reason);
		return;
	}
	r->peer = next;
	req_start(ike, r);
}

/* NULL: there is the same one already, or no memory. */
static struct ike_req *req_new(struct ike *ike, const struct cfg_map_entry *entry, uint32_t rule_id,
	const struct cv_selector *sel, const struct cv_selector *trigger)
{
	struct ike_req *r = ike_req_find(ike, rule_id, sel, entry) ? NULL : calloc(1, sizeof(*r));
	if (!r)
		return NULL;
	r->ike = ike;
	r->entry = entry;
	r->rule_id = rule_id;
	r->sel = *sel;
	if (trigger)
		r->trigger = *trigger;
	TAILQ_INSERT_TAIL(&ike->reqs, r, all);
	ike_req_index(ike, r);
	r->peer = ike_peer_current(ike, entry);
	return r;
}

void ike_req_add_to(
	struct ike_sa *sa, const struct cfg_map_entry *entry, uint32_t rule_id, const struct cv_selector *sel)
{
	struct ike_req *r = req_new(sa->ike, entry, rule_id, sel, NULL);
	if (r)
		req_join_sa(r, sa);
}

void ike_req_add(struct ike *ike, const struct cfg_map_entry *entry, uint32_t rule_id, const struct cv_selector *sel,
	const struct cv_selector *trigger)
{
	struct ike_req *r = req_new(ike, entry, rule_id, sel, trigger);
	if (!r)
		return; /* without memory: the dataplane asks again */
	prefer_live_peer(ike, r);
	req_start(ike, r);
}

/* Is there a child of the entry for sel that is being made, or was at this time or later? Lost ones do not count. */
static bool served(struct ike *ike, const struct cfg_map_entry *e, const struct cv_selector *sel, uint64_t since_ms)
{
	for (unsigned i = 0; i < e->n_peer; i++) {
		struct ike_path path;
		struct ike_sa *sa = NULL;
		struct ike_child *c;
		if (peer_path(ike, e, i, &path) != 0)
			continue;
		while ((sa = ike_sa_next_by_addr(ike, path.vrf, &path.remote, sa)))
			TAILQ_FOREACH (c, &sa->children, link)
				if (c->p.entry == e && c->p.n_sel && cv_selector_contains(&c->p.sel[0], sel) &&
					!c->lost && (c->state <= IKE_CHILD_INSTALLING || c->established_ms >= since_ms))
					return true;
	}
	return false;
}

bool ike_child_comes(struct ike *ike, const struct cfg_map_entry *e, const struct cv_selector *trigger)
{
	uint64_t now = ike_now(ike);
	return served(ike, e, trigger, now > ACQUIRE_LATE_MS ? now - ACQUIRE_LATE_MS : 0);
}

void ike_auto_start(struct ike *ike)
{
	for (unsigned m = 0; ike->cfg && ike->cfg->ike_enabled && m < ike->cfg->n_map; m++)
		for (unsigned i = 0; i < ike->cfg->map[m].n_entry; i++) {
			const struct cfg_map_entry *e = &ike->cfg->map[m].entry[i];
			for (unsigned l = 0; e->auto_start && !e->per_host && e->acl_ref && l < e->acl_ref->n_line;
				l++) {
				const struct cfg_acl_line *line = &e->acl_ref->line[l];
				if (line->permit && !served(ike, e, &line->sel, 0))
					ike_req_add(ike, e, 0, &line->sel, NULL);
			}
		}
}
