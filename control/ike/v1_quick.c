/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Quick mode (RFC 2409 5.5), both roles, several at a time. So that no packet is lost: the responder can receive before
 * it sends message 2, the initiator before it sends message 3; the responder sends from message 3 on, the initiator
 * once the peer has shown up on the new pair, or a short while after message 3. Old pairs live until then.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "v1_internal.h"

#define ACT_FIRST_MS 50u   /* a first pair: the peer installs it on receipt of message 3 */
#define ACT_REKEY_MS 5000u /* a successor: the old pair is still good */
#define ACT_POLL_MS 100u
#define ACT_SLOW_MS 200u   /* a peer that takes so long for message 2 is asked whether it has read message 3 */
#define ACT_ASK_MS 1000u   /* how often */
#define ACT_WAIT_MS 30000u /* how long that is waited for, at most, while there is another pair; and when not */
#define ACT_FIRST_WAIT_MS 5000u
#define CROSSING_MS 30000u /* pairs this close together were negotiated at the same time */

static void quick_timer(struct ike *ike, struct ike_timer *t);
static void act_timer(struct ike *ike, struct ike_timer *t);

static struct v1_qm *quick_new(struct v1_sa *v, bool initiator, uint32_t msgid)
{
	struct v1_qm *q = calloc(1, sizeof(*q));
	if (!q)
		return NULL;
	q->sa = v;
	q->initiator = initiator;
	q->msgid = msgid;
	q->tx.timer.fire = quick_timer;
	if (v1_keys_iv2(&v->k, msgid, q->iv)) {
		free(q);
		return NULL;
	}
	TAILQ_INSERT_TAIL(&v->qms, q, link);
	v->n_open += !initiator;
	v->n_ours += initiator;
	return q;
}

static struct v1_qm *quick_find(struct v1_sa *v, uint32_t msgid)
{
	struct v1_qm *q;
	TAILQ_FOREACH (q, &v->qms, link)
		if (q->msgid == msgid)
			return q;
	return NULL;
}

static uint32_t new_msgid(struct v1_sa *v)
{
	uint32_t id;
	do {
		ikec_random(&id, sizeof(id));
	} while (id == 0 || quick_find(v, id));
	return id;
}

/* No more to negotiate; stay for a while to answer repeats (VRF-51). */
static void quick_close(struct v1_qm *q)
{
	if (q->state != V1_QM_DONE) {
		q->sa->n_open -= !q->initiator;
		q->sa->n_ours -= q->initiator;
		v1_quick_more(q->sa);
	}
	q->state = V1_QM_DONE;
	if (q->child)
		q->child->qm = NULL;
	q->child = NULL;
	if (q->dh)
		ikec_dh_free(q->dh);
	q->dh = NULL;
	cv_secret_zero(&q->ni, sizeof(q->ni));
	cv_secret_zero(&q->nr, sizeof(q->nr));
	ike_timer_set(q->sa->sa.ike, &q->tx.timer, ike_now(q->sa->sa.ike) + V1_QM_KEEP_MS);
}

void v1_quick_free(struct v1_qm *q)
{
	quick_close(q);
	v1_tx_free(q->sa, &q->tx);
	TAILQ_REMOVE(&q->sa->qms, q, link);
	free(q);
}

/* The pair that was to be replaced goes on; the next attempt comes soon. */
static void rekey_later(struct ike *ike, struct ike_child *old)
{
	uint64_t at = ike_now(ike) + V1_RETRY_MS;
	if (old->state == IKE_CHILD_REKEYING)
		old->state = IKE_CHILD_ESTABLISHED;
	ike_timer_set(ike, &old->life, at < old->hard_ms ? at : old->hard_ms);
}

void v1_quick_fail(struct v1_qm *q, const char *reason)
{
	struct ike *ike = q->sa->sa.ike;
	struct v1_child *vc = q->child;
	struct ike_child *old = q->old_id ? ike_child_by_id(ike, q->old_id) : NULL;
	struct ike_req *req = vc ? vc->c.req : NULL;
	const struct cfg_map_entry *entry = vc ? vc->c.p.entry : NULL;
	quick_close(q);
	ike->stats.child_failed++;
	ike_note(&q->sa->sa, vc ? &vc->c.p : NULL, true, "quick mode failed: %s", reason);
	if (old)
		rekey_later(ike, old);
	if (vc) {
		vc->c.req = NULL;
		ike_child_remove(&vc->c, 0);
	}
	if (req)
		ike_req_done(req, -EPROTO, reason);
	else
		ike_event(ike, IKE_EVT_FAILED, &q->sa->sa, &q->sa->sa.path, entry, reason);
}

static void quick_timer(struct ike *ike, struct ike_timer *t)
{
	struct v1_qm *q = IKE_CONTAINER(t, struct v1_qm, tx.timer);
	(void)ike;
	if (q->state == V1_QM_DONE) {
		v1_quick_free(q);
		return;
	}
	if (v1_tx_repeat(q->sa, &q->tx)) {
		v1_tx_arm(q->sa, &q->tx, quick_timer);
		return;
	}
	/* Nothing at all from the peer meanwhile: it has forgotten us, or is gone. */
	if (q->initiator && q->sa->sa.last_rx_ms < q->started_ms) {
		ike_peer_dead(&q->sa->sa);
		v1_fail(q->sa, "peer not responding");
	} else
		v1_quick_fail(q, "no answer in quick mode");
}

static bool quick_send(struct v1_qm *q, struct v1_out *o, size_t hash_at, struct v1_span nonce)
{
	struct v1_sa *v = q->sa;
	return v1_hash_fill(v, o, hash_at, q->msgid, nonce) == 0 && v1_seal(&v->k, q->iv, o) == 0 &&
	       v1_tx_send(v, &q->tx, o) == 0;
}

static void put_nonce(struct v1_buf *b, struct v1_out *o)
{
	b->len = V1_NONCE_LEN;
	ikec_random(b->p, b->len);
	v1_out_payload(o, V1_PL_NONCE, b->p, b->len);
}

static void put_own_ke(const struct v1_qm *q, struct v1_out *o)
{
	if (q->dh)
		v1_out_payload(o, V1_PL_KE, ikec_dh_pub(q->dh), ikec_group_pub_len(q->group));
}

/* ---- keys and installation, both roles ---- */

static void send_2(struct v1_qm *q);
static void send_3(struct v1_qm *q);

static void installed(struct ike_child *c, int err)
{
	struct v1_qm *q = v1_child_of(c)->qm;
	if (!q)
		return;
	if (err)
		v1_quick_fail(q, "refused by the dataplane");
	else if (q->initiator)
		send_3(q);
	else
		send_2(q);
}

static void install(struct v1_qm *q, struct v1_span gxy)
{
	struct ike_child *c = &q->child->c;
	struct ike_child_keys keys;
	if (!ike_suite_bundle(c->p.suite)) /* AH around it was offered, and not chosen */
		ike_child_unbundle(c);
	if (v1_quick_keys(q, gxy, &keys)) {
		v1_quick_fail(q, "key derivation failed");
		return;
	}
	c->p.path = q->sa->sa.path;
	c->p.udp_encap = q->sa->sa.encap;
	c->p.n_sel = 1;
	c->p.initiator = q->initiator;
	c->p.inbound_only = true;
	c->installed = installed;
	ike_child_install(c, &keys);
}

static struct v1_qm *job_owner(struct v1_sa *v, struct v1_dh *d)
{
	struct v1_qm *q = quick_find(v, d->msgid);
	if (!q || q->state != V1_QM_WORKING || !q->child)
		return NULL;
	if (d->err) {
		v1_quick_fail(q, "Diffie-Hellman failed");
		return NULL;
	}
	return q;
}

static void secret_ready(struct v1_sa *v, struct v1_dh *d)
{
	struct v1_qm *q = job_owner(v, d);
	if (!q)
		return;
	q->dh = d->dh;
	d->dh = NULL;
	install(q, v1_span_of(d->secret, d->secret_len));
}

static void keys_or_secret(struct v1_qm *q)
{
	q->state = V1_QM_WORKING;
	if (q->group == IKE_GROUP_NONE)
		install(q, v1_span_of(NULL, 0));
	else if (v1_dh_run(q->sa, q->group, &q->dh, &q->peer_ke, q->msgid, secret_ready))
		v1_quick_fail(q, "out of memory");
}

static bool take_peer(struct v1_qm *q, const struct v1_msg *m, struct v1_buf *nonce)
{
	const struct v1_payload *n = v1_find(m, V1_PL_NONCE, 0), *ke = v1_find(m, V1_PL_KE, 0);
	if (!n || v1_count(m, V1_PL_NONCE) != 1 || v1_count(m, V1_PL_SA) != 1 || v1_count(m, V1_PL_KE) > 1 ||
		!v1_buf_set(nonce, n->body))
		return false;
	if (ke && ke->body.len <= sizeof(q->peer_ke.p)) {
		q->peer_ke.len = (uint16_t)ke->body.len;
		memcpy(q->peer_ke.p, ke->body.p, ke->body.len);
	}
	return true;
}

static bool ke_fits(const struct v1_qm *q)
{
	return q->group == IKE_GROUP_NONE || q->peer_ke.len == ikec_group_pub_len(q->group);
}

/* A pair that has a successor: it receives a little longer, then it is deleted. */
static void retire(struct ike *ike, struct ike_child *old, uint64_t in_ms)
{
	uint64_t at = ike_now(ike) + in_ms;
	old->state = IKE_CHILD_REKEYED;
	if (at < old->hard_ms)
		old->hard_ms = at;
	ike_timer_set(ike, &old->life, old->hard_ms);
}

/* ---- initiator ---- */

static void send_1(struct v1_qm *q)
{
	struct v1_sa *v = q->sa;
	struct v1_out o;
	v1_begin(v, &o, V1_EX_QUICK, V1_FLAG_ENCRYPTED, q->msgid);
	size_t at = v1_hash_begin(v, &o);
	if (!v1_quick_offer(q, &o)) {
		v1_quick_fail(q, "no transform set that IKEv1 can negotiate");
		return;
	}
	put_nonce(&q->ni, &o);
	put_own_ke(q, &o);
	v1_put_selector(&o, &q->child->c.p.sel[0], true);
	q->state = V1_QM_SENT_1;
	q->started_ms = ike_now(v->sa.ike);
	if (quick_send(q, &o, at, v1_span_of(NULL, 0)))
		v1_tx_arm(v, &q->tx, quick_timer);
	else
		v1_quick_fail(q, "encryption failed");
}

static void pair_ready(struct v1_sa *v, struct v1_dh *d)
{
	struct v1_qm *q = job_owner(v, d);
	if (!q)
		return;
	q->dh = d->dh;
	d->dh = NULL;
	send_1(q);
}

static bool wants_bundle(const struct cfg_map_entry *e)
{
	for (unsigned i = 0; i < e->n_transform_set; i++)
		if (ike_suite_bundle(e->ts_ref[i]->suite))
			return true;
	return false;
}

/* Begin a quick mode for a flow. Returns false, with nothing left behind, when there is no room. */
static bool quick_start(struct v1_sa *v, const struct cfg_map_entry *e, uint32_t rule_id, const struct cv_selector *sel,
	struct ike_req *req, struct ike_child *old)
{
	struct ike *ike = v->sa.ike;
	struct ike_child *c = ike_child_new(&v->sa, sizeof(struct v1_child));
	struct v1_qm *q = c ? quick_new(v, true, new_msgid(v)) : NULL;
	struct ikec_dh *none = NULL;
	if (!q) {
		if (c)
			ike_child_remove(c, 0);
		return false;
	}
	q->child = v1_child_of(c);
	q->child->qm = q;
	q->group = e->pfs;
	q->old_id = old ? old->child_id : 0;
	q->child->replaces = q->old_id;
	c->req = req;
	c->rekeys = old ? old->rekeys + 1 : 0;
	c->p.entry = e;
	c->p.rule_id = rule_id;
	c->p.sel[0] = *sel;
	c->p.inner = v->gave;
	c->p.rekey = old != NULL;
	c->p.lifetime_s = ike_entry_lifetime_s(ike, e);
	c->p.lifetime_kb = ike_entry_lifetime_kb(ike, e);
	if (wants_bundle(e) && ike_child_bundle(c))
		v1_quick_fail(q, "no room for another IPsec SA");
	else if (q->group == IKE_GROUP_NONE)
		send_1(q);
	else if (v1_dh_run(v, q->group, &none, NULL, q->msgid, pair_ready))
		v1_quick_fail(q, "out of memory");
	return true;
}

static void more_timer(struct ike *ike, struct ike_timer *t)
{
	struct v1_sa *v = IKE_CONTAINER(t, struct v1_sa, more);
	struct ike_req *r;
	(void)ike;
	/* beginning one may end others: look again from the start each time */
again:
	TAILQ_FOREACH (r, &v->sa.reqs, link) {
		if (v->sa.dead || v->sa.state != V1_QM_IDLE || v->n_ours >= V1_QM_OURS_MAX)
			return;
		if (r->started && !r->queued)
			continue;
		r->started = true;
		r->queued = false;
		v1_quick_wish(&v->sa, r);
		goto again;
	}
}

void v1_quick_more(struct v1_sa *v)
{
	if (TAILQ_EMPTY(&v->sa.reqs) || v->sa.dead || v->sa.state != V1_QM_IDLE)
		return;
	v->more.fire = more_timer;
	ike_timer_set(v->sa.ike, &v->more, ike_now(v->sa.ike));
}

void v1_quick_wish(struct ike_sa *sa, struct ike_req *req)
{
	if (v1_of(sa)->n_ours >= V1_QM_OURS_MAX)
		req->queued = true;
	else if (!ike_entry_allows(sa, req->entry)) {
		ike_entry_barred(sa);
		ike_req_done(req, -EACCES, IKE_BARRED);
	} else if (!v1_selector_expressible(&req->sel))
		ike_req_done(req, -ENOTSUP, "IKEv1 cannot express the port range of the access list line");
	else if (!quick_start(v1_of(sa), req->entry, req->rule_id, &req->sel, req, NULL))
		ike_req_done(req, -ENOSPC, "no room for another IPsec SA");
}

static bool same_flow(const struct ike_child *a, const struct ike_child *b)
{
	return a->p.entry == b->p.entry && a->p.n_sel && b->p.n_sel &&
	       cv_selector_contains(&a->p.sel[0], &b->p.sel[0]) && cv_selector_contains(&b->p.sel[0], &a->p.sel[0]);
}

/* The same for both directions of looking at a pair: both ends agree on the order. */
static uint64_t pair_key(const struct ike_child *c)
{
	uint32_t a = c->p.spi_in, b = c->p.spi_out;
	return a > b ? (uint64_t)a << 32 | b : (uint64_t)b << 32 | a;
}

/*
 * Is a the pair that survives beside b? The younger one; of two that came up together, because both ends renewed at
 * once, the two ends may see different orders, so there the SPIs decide.
 */
static bool outlives(const struct ike_child *a, const struct ike_child *b)
{
	if (a->lost != b->lost)
		return b->lost;
	if (a->established_ms > b->established_ms + CROSSING_MS)
		return true;
	if (b->established_ms > a->established_ms + CROSSING_MS)
		return false;
	return pair_key(a) > pair_key(b);
}

/* Walk the established children for the same flow as c, over all phase 1 SAs with the peer. */
static struct ike_child *next_same(const struct ike_child *c, struct ike_sa **sa, struct ike_child *o)
{
	for (;;) {
		o = o ? TAILQ_NEXT(o, link) : NULL;
		while (!o) {
			*sa = ike_sa_next_by_addr(c->sa->ike, c->sa->path.vrf, &c->sa->peer, *sa);
			if (!*sa)
				return NULL;
			if ((*sa)->v == &ike_v1 && v1_same_peer(*sa, c->sa))
				o = TAILQ_FIRST(&(*sa)->children);
		}
		if (o != c && same_flow(o, c) && (o->state == IKE_CHILD_ESTABLISHED || o->state == IKE_CHILD_REKEYING))
			return o;
	}
}

struct ike_child *v1_child_sibling(const struct ike_child *c)
{
	struct ike_sa *sa = NULL;
	struct ike_child *o = NULL;
	while ((o = next_same(c, &sa, o)))
		if (!o->lost && outlives(o, c))
			return o;
	return NULL;
}

void v1_quick_rekey(struct ike_child *c)
{
	struct ike *ike = c->sa->ike;
	struct v1_sa *v;
	if (c->dead || c->state == IKE_CHILD_REKEYING || !c->p.entry)
		return;
	if (v1_child_sibling(c)) {
		/* both ends have renewed it at once, or the peer was first: one renewal is enough */
		retire(ike, c, c->lost ? 0 : V1_RETIRE_PEER_MS);
		return;
	}
	v = v1_best(c->sa);
	if (!v) {
		v1_need_phase1(c->sa);
		rekey_later(ike, c);
		return;
	}
	if (v->n_ours >= V1_QM_OURS_MAX) {
		ike_timer_set(ike, &c->life, ike_now(ike) + V1_TURN_MS); /* the soft lifetime leaves time for that */
		return;
	}
	c->state = IKE_CHILD_REKEYING;
	if (!quick_start(v, c->p.entry, c->p.rule_id, &c->p.sel[0], NULL, c))
		rekey_later(ike, c);
}

static void got_2(struct v1_qm *q, const struct ike_path *path, bool natt, const struct v1_hdr *h, const uint8_t *data)
{
	struct v1_sa *v = q->sa;
	uint8_t buf[V1_MSG_MAX], next[V1_IV_MAX];
	struct v1_msg m;
	struct cv_selector sel;
	const struct v1_payload *sa;
	const char *why = "malformed answer";
	if (v1_decrypt(v, q->iv, h, data, buf, next, &m) || !v1_hash_check(v, &m, v1_span_of(q->ni.p, q->ni.len))) {
		v->sa.bad++;
		v->sa.ike->stats.rx_bad_integrity++;
		return;
	}
	memcpy(q->iv, next, V1_IV_MAX);
	v1_heard(v, path, natt);
	ike_timer_stop(v->sa.ike, &q->tx.timer);
	v1_tx_note_rx(&q->tx, data, h->len);
	free(q->tx.data); /* message 1 is answered; message 3 takes its place */
	q->tx.data = NULL;
	q->commit = h->flags & V1_FLAG_COMMIT;
	q->slow = ike_now(v->sa.ike) - q->started_ms >= ACT_SLOW_MS;
	sa = v1_find(&m, V1_PL_SA, 0);
	bool ok = sa && take_peer(q, &m, &q->nr);
	if (ok && v1_find(&m, V1_PL_ID, 0)) {
		const struct cv_selector *mine = &q->child->c.p.sel[0];
		why = "peer changed the flow";
		ok = v1_get_selector(v, &m, true, &sel) == 0 && cv_selector_contains(mine, &sel) &&
		     cv_selector_contains(&sel, mine);
	}
	ok = ok && v1_quick_accept(q, sa->body, q->peer_ke.len, &why) == 0;
	if (ok && !ke_fits(q)) {
		why = "invalid Diffie-Hellman value from peer";
		ok = false;
	}
	if (!ok) {
		v1_notify(v, ike_entry_proto(q->child->c.p.entry), V1_N_NO_PROPOSAL_CHOSEN, NULL, 0, NULL, 0);
		v1_quick_fail(q, why);
		return;
	}
	ike_note_chosen(&v->sa, &q->child->c.p, "the peer");
	const struct v1_payload *n;
	for (unsigned i = 0; (n = v1_find(&m, V1_PL_NOTIFY, i)); i++)
		v1_lifetime_notify(v1_notify_read(n->body), &q->child->c.p);
	keys_or_secret(q);
}

/* Is there a pair that it takes over from, and that can still be used? */
static bool has_other(const struct v1_child *vc)
{
	const struct ike_child *old = vc->replaces ? ike_child_by_id(vc->c.sa->ike, vc->replaces) : NULL;
	return old && !old->lost;
}

/* How long from now, at most ms; not too long for the pair that it takes over from. */
static uint64_t act_within(const struct v1_child *vc, uint64_t ms)
{
	struct ike *ike = vc->c.sa->ike;
	struct ike_child *old = vc->replaces ? ike_child_by_id(ike, vc->replaces) : NULL;
	uint64_t now = ike_now(ike);
	if (old && !old->lost && old->hard_ms > now && (old->hard_ms - now) / 2 < ms)
		ms = (old->hard_ms - now) / 2;
	return now + ms;
}

static uint64_t act_limit(const struct v1_child *vc, bool commit)
{
	return act_within(vc, commit || has_other(vc) ? ACT_REKEY_MS : ACT_FIRST_MS);
}

static void act_soon(struct v1_child *vc)
{
	struct ike *ike = vc->c.sa->ike;
	uint64_t at = ike_now(ike) + ACT_POLL_MS;
	uint64_t limit = vc->asks && !vc->answered ? vc->answer_limit_ms : vc->act_limit_ms;
	vc->act.fire = act_timer;
	ike_timer_set(ike, &vc->act, at < limit ? at : limit);
}

/* A peer that takes long to read message 3 takes as long to answer what follows it. */
static void act_ask(struct v1_child *vc)
{
	struct v1_sa *v = v1_of(vc->c.sa);
	uint32_t seq;
	vc->asks = v1_dpd_ask(v, &seq);
	if (!vc->asks)
		return;
	if (vc->asked_sa != v->sa.id) /* numbers are those of an SA; repeated, the first one counts */
		vc->asked = seq;
	vc->asked_sa = v->sa.id;
	vc->ask_ms = ike_now(v->sa.ike) + ACT_ASK_MS;
}

/* Message 3 has been sent, perhaps once more. */
static void act_begin(struct v1_child *vc, const struct v1_qm *q)
{
	vc->act_limit_ms = act_limit(vc, q->commit);
	vc->answer_limit_ms = act_within(vc, has_other(vc) ? ACT_WAIT_MS : ACT_FIRST_WAIT_MS);
	vc->asks = vc->answered = false;
	vc->asked_sa = 0;
	if (!q->commit && (has_other(vc) || q->slow)) /* with the commit bit it says so by itself */
		act_ask(vc);
	act_soon(vc);
}

void v1_quick_answered(struct v1_sa *v, uint32_t seq)
{
	struct ike_child *c;
	TAILQ_FOREACH (c, &v->sa.children, link) {
		struct v1_child *vc = v1_child_of(c);
		if (!vc->asks || vc->answered || vc->asked_sa != v->sa.id || (int32_t)(seq - vc->asked) < 0 ||
			!ike_timer_running(&vc->act))
			continue;
		vc->answered = true; /* from now on as if message 3 had only now been sent */
		vc->act_limit_ms = act_limit(vc, false);
		act_soon(vc);
	}
}

static void activate(struct v1_child *vc)
{
	struct ike *ike = vc->c.sa->ike;
	struct ike_child *old = vc->replaces ? ike_child_by_id(ike, vc->replaces) : NULL;
	ike_timer_stop(ike, &vc->act);
	ike_child_activate(&vc->c);
	vc->replaces = 0;
	if (old && !old->dead)
		retire(ike, old, old->lost ? 0 : V1_RETIRE_MS);
	ike_sa_save(vc->c.sa);
}

/*
 * The peer still sends on the old pair, seconds after message 3: it has not got it, and perhaps never will (it may have
 * restarted). Message 3 is not acknowledged, so this is the only sign. Believed once for each old pair, since some
 * implementations keep to the old pair as long as they can.
 */
static bool peer_stays_behind(const struct v1_child *vc)
{
	struct ike *ike = vc->c.sa->ike;
	struct ike_child *old = vc->replaces ? ike_child_by_id(ike, vc->replaces) : NULL;
	if (!old || old->lost || v1_child_of(old)->doubted || old->hard_ms < ike_now(ike) + ACT_REKEY_MS)
		return false;
	return ike->ops.child_idle_s(ike->ctx, old->child_id) < ACT_REKEY_MS / 2000;
}

static void give_up_successor(struct v1_child *vc)
{
	struct ike_child *old = ike_child_by_id(vc->c.sa->ike, vc->replaces);
	v1_child_of(old)->doubted = true;
	cv_notice("ike", "IKEv1: peer does not use the renewed IPsec SA; trying again");
	vc->c.sa->ike->stats.child_failed++;
	rekey_later(vc->c.sa->ike, old);
	ike_v1.child_delete(&vc->c);
}

static void act_timer(struct ike *ike, struct ike_timer *t)
{
	struct v1_child *vc = IKE_CONTAINER(t, struct v1_child, act);
	uint64_t now = ike_now(ike);
	bool alone = vc->replaces && !ike_child_by_id(ike, vc->replaces); /* nothing else to send on any more */
	/* a packet of the peer on the new pair proves that it has it */
	if (alone || ike->ops.child_idle_s(ike->ctx, vc->c.child_id) != UINT32_MAX) {
		activate(vc);
	} else if (vc->asks && !vc->answered && now < vc->answer_limit_ms) {
		if (now >= vc->ask_ms)
			act_ask(vc);
		act_soon(vc);
	} else if (now < vc->act_limit_ms) {
		act_soon(vc);
	} else if (peer_stays_behind(vc)) {
		give_up_successor(vc);
	} else {
		activate(vc);
	}
}

static void send_3(struct v1_qm *q)
{
	struct v1_sa *v = q->sa;
	struct v1_child *vc = q->child;
	struct v1_out o;
	v1_begin(v, &o, V1_EX_QUICK, V1_FLAG_ENCRYPTED, q->msgid);
	size_t at = v1_hash_begin(v, &o);
	int err =
		v1_hash_3(&v->k, q->msgid, v1_span_of(q->ni.p, q->ni.len), v1_span_of(q->nr.p, q->nr.len), o.buf + at);
	if (err || v1_seal(&v->k, q->iv, &o) || v1_tx_send(v, &q->tx, &o)) {
		v1_quick_fail(q, "encryption failed");
		return;
	}
	act_begin(vc, q);
	q->done_child = vc->c.child_id;
	quick_close(q);
	ike_sa_save(&v->sa);
}

/* Message 2 again: message 3 was lost, so the peer cannot receive yet. */
static void peer_is_late(struct v1_qm *q)
{
	struct ike_child *c = q->done_child ? ike_child_by_id(q->sa->sa.ike, q->done_child) : NULL;
	if (!c || !ike_timer_running(&v1_child_of(c)->act))
		return;
	act_begin(v1_child_of(c), q);
}

/* ---- responder ---- */

static void refuse(struct v1_qm *q, unsigned type, const struct v1_msg *m, const char *why)
{
	struct v1_sa *v = q->sa;
	const struct v1_payload *sa = v1_find(m, V1_PL_SA, 0);
	struct v1_span props = sa ? v1_sa_props(sa->body) : v1_span_of(NULL, 0);
	struct v1_prop p = {0};
	if (type == V1_N_NO_PROPOSAL_CHOSEN)
		v->sa.ike->stats.no_proposal_chosen++;
	else
		v->sa.ike->stats.ts_unacceptable++;
	if (sa && v1_prop_next(&props, &p) && p.spi.len <= 16)
		v1_notify(v, p.proto, (uint16_t)type, p.spi.p, (uint8_t)p.spi.len, NULL, 0);
	else
		v1_notify(v, V1_PROTO_ESP, (uint16_t)type, NULL, 0, NULL, 0);
	v1_quick_fail(q, why);
}

static bool keep_ids(struct v1_qm *q, const struct v1_msg *m)
{
	const struct v1_payload *ci = v1_find(m, V1_PL_ID, 0), *cr = v1_find(m, V1_PL_ID, 1);
	q->has_ids = ci && cr;
	if (!q->has_ids)
		return true;
	if (ci->body.len > sizeof(q->id_ci) || cr->body.len > sizeof(q->id_cr))
		return false;
	q->id_ci_len = (uint16_t)ci->body.len;
	q->id_cr_len = (uint16_t)cr->body.len;
	memcpy(q->id_ci, ci->body.p, ci->body.len);
	memcpy(q->id_cr, cr->body.p, cr->body.len);
	return true;
}

static bool renews(const struct ike_child *c)
{
	struct ike_sa *sa = NULL;
	return next_same(c, &sa, NULL) != NULL;
}

/* VRF-48: a peer speaks for the address that it was given, and no other. Behind an interface of its own it may say
 * "any" (VTI-26): what is routed there is that address all the same. */
static bool speaks_for(const struct cv_selector *want, const struct cv_addr *gave, const struct cfg_map_entry *e)
{
	struct cv_selector any;
	cv_selector_any(&any, gave->af);
	return (cv_addr_eq(&want->dst.lo, gave) && cv_addr_eq(&want->dst.hi, gave)) ||
	       (e->map->template && cv_range_contains(&want->dst, &any.dst));
}

static void respond(struct v1_qm *q, const struct v1_msg *m)
{
	struct v1_sa *v = q->sa;
	struct ike *ike = v->sa.ike;
	const struct cfg_map_entry *es[IKE_ENTRIES_MAX], *e;
	struct cv_selector want;
	const struct v1_payload *sa = v1_find(m, V1_PL_SA, 0);
	const char *why;
	if (!sa || !take_peer(q, m, &q->ni)) {
		refuse(q, V1_N_PAYLOAD_MALFORMED, m, "malformed quick mode message");
		return;
	}
	unsigned err = v1_get_selector(v, m, false, &want);
	unsigned n = ike_entries_for(ike, &ike_v1, &v->sa.path, &v->sa.peer, es, IKE_ENTRIES_MAX);
	bool barred = false;
	e = err || !v->sa.profile ? NULL : ike_entry_for_flow(&v->sa, es, n, &want, &barred);
	if (barred) {
		ike_entry_barred(&v->sa);
		refuse(q, V1_N_INVALID_ID_INFORMATION, m, IKE_BARRED);
		return;
	}
	if (e && v->gave.af && !speaks_for(&want, &v->gave, e))
		e = NULL;
	if (!e || !keep_ids(q, m)) {
		refuse(q, V1_N_INVALID_ID_INFORMATION, m, "the peer's flow is not permitted by the access list");
		return;
	}
	struct ike_child *c = ike_child_new(&v->sa, sizeof(struct v1_child));
	if (!c) {
		v1_quick_fail(q, "no room for another IPsec SA");
		return;
	}
	q->child = v1_child_of(c);
	q->child->qm = q;
	c->p.entry = e;
	c->p.sel[0] = want;
	c->p.n_sel = 1;
	c->p.inner = v->gave;
	c->p.lifetime_s = ike_entry_lifetime_s(ike, e);
	c->p.lifetime_kb = ike_entry_lifetime_kb(ike, e);
	c->p.rekey = renews(c);
	err = v1_quick_choose(q, e, sa->body, q->peer_ke.len, &c->p, &why);
	if (err) {
		refuse(q, err, m, why);
		return;
	}
	ike_note_chosen(&v->sa, &c->p, "we");
	if (!ke_fits(q)) {
		refuse(q, V1_N_INVALID_KEY_INFORMATION, m, "invalid Diffie-Hellman value from peer");
		return;
	}
	if (ike_suite_bundle(c->p.suite) && ike_child_bundle(c)) {
		v1_quick_fail(q, "no room for another IPsec SA");
		return;
	}
	q->nr.len = V1_NONCE_LEN;
	ikec_random(q->nr.p, q->nr.len);
	keys_or_secret(q);
}

static void got_1(struct v1_sa *v, const struct ike_path *path, bool natt, const struct v1_hdr *h, const uint8_t *data)
{
	uint8_t buf[V1_MSG_MAX], iv[V1_IV_MAX], next[V1_IV_MAX];
	struct v1_msg m;
	struct v1_qm *q;
	if (h->msgid == 0 || v1_keys_iv2(&v->k, h->msgid, iv) || v1_decrypt(v, iv, h, data, buf, next, &m) ||
		!v1_hash_check(v, &m, v1_span_of(NULL, 0))) {
		v->sa.bad++;
		v->sa.ike->stats.rx_bad_integrity++;
		return;
	}
	if (v->n_open >= V1_QM_OPEN_MAX || !(q = quick_new(v, false, h->msgid))) {
		v->sa.ike->stats.child_failed++;
		return;
	}
	memcpy(q->iv, next, V1_IV_MAX);
	v1_heard(v, path, natt);
	v1_tx_note_rx(&q->tx, data, h->len);
	respond(q, &m);
}

static void send_2(struct v1_qm *q)
{
	struct v1_sa *v = q->sa;
	const struct ike_child_params *p = &q->child->c.p;
	struct v1_out o;
	v1_begin(v, &o, V1_EX_QUICK, V1_FLAG_ENCRYPTED, q->msgid);
	size_t at = v1_hash_begin(v, &o);
	v1_quick_answer(q, &o);
	v1_out_payload(&o, V1_PL_NONCE, q->nr.p, q->nr.len);
	put_own_ke(q, &o);
	if (q->has_ids) {
		v1_out_payload(&o, V1_PL_ID, q->id_ci, q->id_ci_len);
		v1_out_payload(&o, V1_PL_ID, q->id_cr, q->id_cr_len);
	}
	if (q->cut_lifetime) {
		uint8_t attrs[32], spi[4] = {(uint8_t)(p->spi_in >> 24), (uint8_t)(p->spi_in >> 16),
					   (uint8_t)(p->spi_in >> 8), (uint8_t)p->spi_in};
		size_t n = v1_lifetime_attrs(attrs, sizeof(attrs), V1_P2_LIFE_TYPE, p->lifetime_s, p->lifetime_kb);
		v1_out_notify(&o, ike_child_proto(p), V1_N_RESPONDER_LIFETIME, spi, 4, attrs, n);
	}
	q->state = V1_QM_SENT_2;
	if (quick_send(q, &o, at, v1_span_of(q->ni.p, q->ni.len)))
		v1_tx_arm(v, &q->tx, quick_timer);
	else
		v1_quick_fail(q, "encryption failed");
}

/* The pairs for the same flow that the new one takes over from; the initiator deletes them, or we do after a while. */
static void retire_older(struct ike_child *c)
{
	struct ike_sa *sa = NULL;
	struct ike_child *o = NULL;
	while ((o = next_same(c, &sa, o)))
		if (o->state == IKE_CHILD_ESTABLISHED && outlives(c, o))
			retire(sa->ike, o, o->lost ? 0 : V1_RETIRE_PEER_MS);
}

static void got_3(struct v1_qm *q, const struct ike_path *path, bool natt, const struct v1_hdr *h, const uint8_t *data)
{
	struct v1_sa *v = q->sa;
	uint8_t buf[V1_MSG_MAX], next[V1_IV_MAX], want[IKEC_PRF_MAX];
	struct v1_msg m;
	const struct v1_payload *hash;
	if (v1_decrypt(v, q->iv, h, data, buf, next, &m) || !(hash = v1_find(&m, V1_PL_HASH, 0)) ||
		hash->body.len != v->k.hash_len ||
		v1_hash_3(&v->k, q->msgid, v1_span_of(q->ni.p, q->ni.len), v1_span_of(q->nr.p, q->nr.len), want) ||
		cv_secret_cmp(want, hash->body.p, v->k.hash_len) != 0) {
		v->sa.bad++;
		v->sa.ike->stats.rx_bad_integrity++;
		return;
	}
	struct v1_child *vc = q->child;
	v1_heard(v, path, natt);
	free(q->tx.data); /* nothing follows message 3 */
	q->tx.data = NULL;
	v1_tx_note_rx(&q->tx, data, h->len);
	quick_close(q);
	ike_child_activate(&vc->c);
	retire_older(&vc->c);
	ike_sa_save(&v->sa);
}

void v1_quick_input(
	struct v1_sa *v, const struct ike_path *path, bool natt, const struct v1_hdr *h, const uint8_t *data)
{
	struct v1_qm *q = quick_find(v, h->msgid);
	if (!q) {
		got_1(v, path, natt, h, data);
		return;
	}
	if (v1_tx_seen(v, &q->tx, data, h->len, true)) {
		if (q->initiator)
			peer_is_late(q);
	} else if (q->state == V1_QM_SENT_1) {
		got_2(q, path, natt, h, data);
	} else if (q->state == V1_QM_SENT_2) {
		got_3(q, path, natt, h, data);
	} else {
		v->sa.ike->stats.rx_unexpected++;
	}
}

/* ---- from informational exchanges and from the engine ---- */

void v1_quick_error(struct v1_sa *v, uint16_t type, struct v1_span spi)
{
	struct v1_qm *q, *hit = NULL;
	uint32_t want =
		spi.len == 4 ? (uint32_t)spi.p[0] << 24 | (uint32_t)spi.p[1] << 16 | (uint32_t)spi.p[2] << 8 | spi.p[3]
			     : 0;
	TAILQ_FOREACH (q, &v->qms, link)
		if (q->state == V1_QM_SENT_1 && q->child && (!hit || q->child->c.p.spi_in == want))
			hit = q;
	if (!hit)
		return;
	if (type == V1_N_NO_PROPOSAL_CHOSEN)
		v->sa.ike->stats.no_proposal_chosen++;
	if (type == V1_N_INVALID_ID_INFORMATION)
		v->sa.ike->stats.ts_unacceptable++;
	v1_quick_fail(hit, v1_notify_name(type));
}

void v1_quick_connected(struct v1_sa *v, uint32_t spi)
{
	struct ike_child *c = ike_child_by_spi_out(&v->sa, spi);
	if (c && ike_timer_running(&v1_child_of(c)->act))
		activate(v1_child_of(c));
}

void v1_child_gone(struct ike_child *c)
{
	struct v1_child *vc = v1_child_of(c);
	struct v1_qm *q = vc->qm;
	ike_timer_stop(c->sa->ike, &vc->act);
	if (!q)
		return;
	struct ike_child *old = q->old_id ? ike_child_by_id(c->sa->ike, q->old_id) : NULL;
	quick_close(q);
	free(q->tx.data);
	q->tx.data = NULL;
	if (old)
		rekey_later(c->sa->ike, old);
}

void v1_child_resume(struct ike_child *c)
{
	if (!c->p.inbound_only)
		return;
	v1_child_of(c)->act_limit_ms = ike_now(c->sa->ike) + ACT_FIRST_MS;
	act_soon(v1_child_of(c));
}
