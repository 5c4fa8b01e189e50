/* SPDX-License-Identifier: BSD-3-Clause */
/* Children in CREATE_CHILD_SA: new ones and rekeying, both sides, and what happens when both rekey at once. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "v2_int.h"

#define RETRY_MAX 6	 /* after TEMPORARY_FAILURE */
#define ACTIVATE_MS 2000 /* responder of a rekey: how often to look whether the peer receives on the new pair */

static void shared_free(struct v2_child *c)
{
	if (c->shared)
		cv_secret_zero(c->shared, c->shared_len);
	free(c->shared);
	c->shared = NULL;
	c->shared_len = 0;
}

static void shared_take(struct v2_child *c, const struct v2_ke *ke)
{
	shared_free(c);
	c->shared = malloc(ke->shared_len);
	if (!c->shared)
		abort();
	memcpy(c->shared, ke->shared, ke->shared_len);
	c->shared_len = ke->shared_len;
}

/* The first key exchange of a child; see v2_ke_run(). */
static void dh_run(struct v2_child *c, struct ikec_dh *dh, struct v2_view peer, void (*then)(void *c, struct v2_ke *ke))
{
	v2_ke_run(v2_of(c->c.sa), &c->job, c, c->pfs, dh, peer, then);
}

struct v2_child *v2_child_new(struct v2_sa *sa, const struct cfg_map_entry *entry)
{
	struct v2_child *c = (struct v2_child *)ike_child_new(&sa->sa, sizeof(*c));
	if (!c)
		return NULL;
	c->c.p.entry = entry;
	c->nonces = calloc(1, sizeof(*c->nonces));
	if (!c->nonces)
		abort();
	if (sa->setup) { /* IKE_AUTH uses those of IKE_SA_INIT */
		c->nonces->i = sa->setup->ni;
		c->nonces->r = sa->setup->nr;
	}
	return c;
}

void v2_child_settled(struct v2_child *c)
{
	free(c->nonces);
	c->nonces = NULL;
}

/* The CPI that the peer wants for DEFLATE; a notify for each algorithm it can (RFC 7296 2.22). 0 = it cannot. */
static uint16_t peer_cpi(const struct v2_msg *m)
{
	for (unsigned i = 0; i < m->n_notify; i++) {
		const struct v2_notify *n = &m->notify[i];
		if (n->type == V2_N_IPCOMP_SUPPORTED && n->data.len >= 3 && n->data.p[2] == ALGO_COMP_DEFLATE)
			return (uint16_t)(n->data.p[0] << 8 | n->data.p[1]);
	}
	return 0;
}

/* Compression is on when both ends said so; a set that asks for it goes without where the peer has none. */
static void settle_compression(struct v2_child *c, bool ours, uint16_t theirs)
{
	struct ike_child_params *p = &c->c.p;
	bool on = ours && theirs;
	p->suite.comp = on ? ALGO_COMP_DEFLATE : ALGO_COMP_NONE;
	p->cpi_in = on ? ike_child_cpi(p) : 0;
	p->cpi_out = on ? theirs : 0;
}

void v2_child_ask_mode(struct v2_child *c)
{
	c->c.p.cpi_in = ike_entry_compresses(c->c.p.entry) ? ike_child_cpi(&c->c.p) : 0;
	c->c.p.transport = c->c.p.entry->ts_ref[0]->transport && ike_flow_is_peers(&c->want, &c->c.sa->path);
	v2_resource_ask(c);
}

static void own_complete(struct v2_sa *sa, struct v2_child *c);
static void settle_collision(struct v2_sa *sa, uint32_t old_spi);
static const struct v2_follow_ops child_follow;

void v2_child_fini(struct ike_child *base)
{
	struct v2_child *c = v2_child_of(base);
	struct v2_sa *sa = v2_of(base->sa);
	struct v2_task *t = c->task;
	ike_timer_stop(base->sa->ike, &c->activate);
	v2_resource_gone(c);
	shared_free(c);
	v2_child_settled(c);
	v2_ke_forget(&c->job);
	c->task = NULL;
	struct v2_answer *a = c->answer;
	c->answer = NULL;
	if (t) {
		t->child = NULL;
		if (t->place == V2_TASK_STARTED && !base->sa->dead)
			v2_task_drop(sa, t);
		else if (t->place != V2_TASK_SENT) /* else the answer ends it */
			v2_task_free(sa, t);
	}
	if (a && !base->sa->dead) {
		if (a->exchange == V2_IKE_AUTH)
			v2_auth_child_gone(sa);
		else
			v2_respond_notify(sa, a, V2_N_NO_ADDITIONAL_SAS, NULL, 0);
		settle_collision(sa, c->old_spi);
	}
}

void v2_child_install(struct v2_sa *sa, struct v2_child *c)
{
	struct ike_child_keys keys;
	struct ike_child_params *p = &c->c.p;
	memset(&keys, 0, sizeof(keys));
	p->path = sa->sa.path;
	p->udp_encap = sa->sa.encap;
	p->lifetime_s = ike_entry_lifetime_s(sa->sa.ike, p->entry);
	p->lifetime_kb = ike_entry_lifetime_kb(sa->sa.ike, p->entry);
	int err = v2_derive_child(sa, c, &keys);
	shared_free(c);
	if (err) {
		cv_secret_zero(&keys, sizeof(keys));
		c->c.installed(&c->c, err);
		return;
	}
	ike_child_install(&c->c, &keys);
}

/* ---- selectors ---- */

/*
 * Responder: the widest pair of offered selectors that our ACLs permit as a whole (IPSEC-36: equal or subset, never a
 * superset). A peer that has traffic waiting puts the packet's own selectors first; they lie inside a wider pair.
 */
static const struct cfg_map_entry *choose_flow(
	struct v2_sa *sa, const struct v2_ts_pl *tsi, const struct v2_ts_pl *tsr, struct cv_selector *out)
{
	const struct cfg_map_entry *e[IKE_ENTRIES_MAX], *best = NULL;
	unsigned n = ike_entries_for(sa->sa.ike, &ike_v2, &sa->sa.path, &sa->sa.peer, e, IKE_ENTRIES_MAX);
	bool barred = false;
	for (unsigned i = 0; i < tsi->n; i++)
		for (unsigned r = 0; r < tsr->n; r++) {
			struct cv_selector sel;
			const struct cfg_map_entry *found;
			if (!v2_ts_pair(&tsr->ts[r], &tsi->ts[i], &sel))
				continue;
			bool here;
			found = ike_entry_for_flow(&sa->sa, e, n, &sel, &here);
			barred |= here;
			if (found && (!best || cv_selector_contains(&sel, out))) {
				best = found;
				*out = sel;
			}
		}
	if (!best && barred)
		ike_entry_barred(&sa->sa);
	return best;
}

/* Additional key exchanges will come. As responder a task that is nowhere stands for the series. */
static void follow_up(struct v2_sa *sa, struct v2_child *c, const enum ike_group addke[CFG_ADDKE_MAX])
{
	bool any = false;
	for (unsigned i = 0; i < CFG_ADDKE_MAX; i++)
		any |= addke[i] != IKE_GROUP_NONE;
	if (!any)
		return;
	if (!c->task) {
		c->task = v2_task_new(&v2_new_child_task);
		c->task->child = c;
	}
	v2_follow_new(sa, c->task, addke, &child_follow);
}

uint16_t v2_child_from_offer(struct v2_sa *sa, struct v2_msg *m, bool create, struct v2_child **out)
{
	struct v2_sa_pl offer;
	struct v2_ts_pl tsi, tsr;
	struct cv_selector sel;
	*out = NULL;
	if (v2_parse_sa(m->sa, &offer) != 0 || v2_parse_ts(m->tsi, &tsi) != 0 || v2_parse_ts(m->tsr, &tsr) != 0)
		return V2_N_INVALID_SYNTAX;
	const struct cfg_map_entry *entry = choose_flow(sa, &tsi, &tsr, &sel);
	if (!entry) {
		sa->sa.ike->stats.ts_unacceptable++;
		ike_note(&sa->sa, NULL, true, "traffic selectors refused: no access list permits the whole of any");
		return V2_N_TS_UNACCEPTABLE;
	}
	struct v2_child *c = v2_child_new(sa, entry);
	enum ike_group addke[CFG_ADDKE_MAX];
	if (!c)
		return V2_N_NO_ADDITIONAL_SAS;
	c->want = c->c.p.sel[0] = sel;
	c->c.p.n_sel = 1;
	bool transport = v2_find_notify(m, V2_N_USE_TRANSPORT_MODE) && ike_flow_is_peers(&sel, &sa->sa.path);
	if (v2_choose_child(sa->sa.ike, entry, &offer, create, m->ke.p ? m->ke_group : 0, transport, c, addke) != 0) {
		sa->sa.ike->stats.no_proposal_chosen++;
		if (ike_wants_notes(sa->sa.ike)) {
			char text[384];
			ike_note(&sa->sa, NULL, true,
				"proposals refused: crypto map %s %u has no transform set for any of: %s",
				entry->map->name, cfg_entry_place(entry), v2_offer_text(&offer, text, sizeof(text)));
		}
		ike_child_remove(&c->c, 0);
		return V2_N_NO_PROPOSAL_CHOSEN;
	}
	follow_up(sa, c, addke);
	settle_compression(c, c->c.p.suite.comp, peer_cpi(m));
	uint16_t error = v2_resource_offer(c, m);
	if (error) {
		ike_child_remove(&c->c, 0);
		return error;
	}
	ike_note_chosen(&sa->sa, &c->c.p, "we");
	*out = c;
	return 0;
}

/* Initiator: what comes back must lie inside what we asked for. */
static int take_selectors(struct v2_child *c, const struct v2_ts_pl *local, const struct v2_ts_pl *remote)
{
	struct cv_selector sel;
	unsigned n = 0;
	for (unsigned l = 0; l < local->n; l++)
		for (unsigned r = 0; r < remote->n; r++) {
			if (!v2_ts_pair(&local->ts[l], &remote->ts[r], &sel))
				continue;
			if (!cv_selector_contains(&c->want, &sel))
				return -EPROTO;
			if (n < CV_SA_SEL_MAX)
				c->c.p.sel[n++] = sel;
		}
	c->c.p.n_sel = n;
	return n ? 0 : -EPROTO;
}

int v2_child_from_answer(struct v2_sa *sa, struct v2_msg *m, struct v2_child *c, const char **why)
{
	struct v2_sa_pl answer;
	struct v2_ts_pl tsi, tsr;
	*why = "invalid response from peer";
	if (v2_parse_sa(m->sa, &answer) != 0 || v2_parse_ts(m->tsi, &tsi) != 0 || v2_parse_ts(m->tsr, &tsr) != 0)
		return -EPROTO;
	bool transport = v2_find_notify(m, V2_N_USE_TRANSPORT_MODE);
	if (v2_accept_child(sa->sa.ike, c->c.p.entry, &answer, c->pfs, c) != 0 || (transport && !c->c.p.transport)) {
		*why = "peer chose what was not offered";
		return -EPROTO;
	}
	settle_compression(c, c->c.p.cpi_in, peer_cpi(m));
	v2_resource_answered(c, m);
	c->c.p.transport = transport; /* the peer may insist on tunnel mode (RFC 7296 1.3.1) */
	if (take_selectors(c, &tsi, &tsr) != 0) {
		*why = "peer widened the traffic selectors";
		return -EPROTO;
	}
	ike_note_chosen(&sa->sa, &c->c.p, "the peer");
	return 0;
}

void v2_child_enc_answer(struct v2_enc *e, const struct v2_child *c)
{
	v2_enc_child_chosen(e, c);
	v2_enc_child_ts(e, c->c.p.sel, c->c.p.n_sel, false);
	v2_enc_child_notifies(e, c);
}

/* ---- responder ---- */

/* Our own rekey of the same child: in flight, answered and being installed, or only waiting in the queue. */
static struct v2_child *own_rekey(struct v2_sa *sa, uint32_t old_spi)
{
	struct ike_child *i;
	TAILQ_FOREACH (i, &sa->sa.children, link) {
		struct v2_child *c = v2_child_of(i);
		if (i->p.initiator && c->old_spi == old_spi && c->task)
			return c;
	}
	return NULL;
}

bool v2_child_replaced(struct v2_sa *sa, struct v2_child *c)
{
	struct ike_child *next = ike_child_by_spi_in(&sa->sa, c->successor_spi);
	if (!next || next->state != IKE_CHILD_ESTABLISHED)
		return false;
	ike_timer_stop(sa->sa.ike, &v2_child_of(next)->activate);
	ike_child_activate(next);
	return true;
}

void v2_child_withdrawn(struct v2_sa *sa, uint32_t spi_in)
{
	struct ike_child *o;
	TAILQ_FOREACH (o, &sa->sa.children, link)
		if (v2_child_of(o)->successor_spi == spi_in && o->state == IKE_CHILD_REKEYED) {
			o->state = IKE_CHILD_ESTABLISHED;
			v2_child_of(o)->successor_spi = 0;
		}
}

/*
 * The delete of the old pair is the usual sign that the peer receives on the new one. Should it not come, two others
 * will do: packets on the new pair, or a request so much later that the window tells that our answer has arrived.
 */
static void activate_fire(struct ike *ike, struct ike_timer *t)
{
	struct v2_child *c = IKE_CONTAINER(t, struct v2_child, activate);
	struct v2_sa *sa = v2_of(c->c.sa);
	bool old_gone = !ike_child_by_spi_in(&sa->sa, c->old_spi);
	if (old_gone || sa->peer_msgid - c->answer_msgid > sa->own_window ||
		ike->ops.child_idle_s(ike->ctx, c->c.child_id) != UINT32_MAX)
		ike_child_activate(&c->c);
	else
		v2_set_timer(sa, t, activate_fire, ACTIVATE_MS);
}

/* The peer's rekey of old is in: note it where our own rekey of the same child will look, or call that one off. */
static void note_replacement(struct v2_sa *sa, struct v2_child *old, struct v2_child *c)
{
	struct v2_child *own = own_rekey(sa, old->c.p.spi_in);
	old->successor_spi = c->c.p.spi_in;
	if (own && (own->task->place == V2_TASK_SENT || own->c.state != IKE_CHILD_NEGOTIATING || own->job ||
			   own->task->follow)) {
		own->task->collided = true;
		own->task->rival_spi = c->c.p.spi_in;
		own->task->rival_nonce = *v2_nonce_min(&c->nonces->i, &c->nonces->r);
	} else {
		old->c.state = IKE_CHILD_REKEYED;
		if (own)
			ike_child_remove(&own->c, 0);
	}
	v2_set_timer(sa, &c->activate, activate_fire, ACTIVATE_MS);
}

/* Our rekey of the same child may have come to its end while the peer's was being answered: now both are known. */
static void settle_collision(struct v2_sa *sa, uint32_t old_spi)
{
	struct v2_child *own = old_spi ? own_rekey(sa, old_spi) : NULL;
	if (own && own->task->finished)
		own_complete(sa, own);
}

static void answer_failed(struct v2_sa *sa, struct v2_child *c)
{
	uint32_t old_spi = c->old_spi;
	struct v2_answer *a = c->answer;
	c->answer = NULL;
	ike_child_remove(&c->c, 0);
	v2_respond_notify(sa, a, V2_N_TEMPORARY_FAILURE, NULL, 0);
	settle_collision(sa, old_spi);
}

/* The answer to CREATE_CHILD_SA. */
static void enc_answer(struct v2_enc *e, const struct v2_child *c)
{
	v2_enc_child_chosen(e, c);
	v2_enc_blob(e, V2_PL_NONCE, c->nonces->r.b, c->nonces->r.len);
	if (c->task && c->task->dh)
		v2_enc_ke(e, c->task->dh);
	v2_enc_child_ts(e, c->c.p.sel, c->c.p.n_sel, false);
	v2_enc_child_notifies(e, c);
}

static void answer_installed(struct ike_child *base, int err)
{
	struct v2_child *c = v2_child_of(base);
	struct v2_sa *sa = v2_of(base->sa);
	struct v2_answer *a = c->answer;
	struct ike_child *old = c->old_spi ? ike_child_by_spi_in(&sa->sa, c->old_spi) : NULL;
	uint8_t buf[IKE_MSG_MAX];
	struct v2_enc e;
	if (err) {
		answer_failed(sa, c);
		return;
	}
	c->answer = NULL;
	c->answer_msgid = a->msgid;
	if (old) {
		base->rekeys = old->rekeys + 1;
		note_replacement(sa, v2_child_of(old), c);
	} else if (base->p.inbound_only) {
		ike_child_activate(base); /* the old one died while this one was made */
	}
	v2_resp_begin(sa, a, &e, buf);
	if (c->task && c->task->follow)
		v2_enc_ke(&e, c->task->dh);
	else
		enc_answer(&e, c);
	v2_child_settled(c);
	if (c->task)
		v2_task_free(sa, c->task);
	c->task = NULL;
	v2_respond(sa, a, &e);
	if (!sa->sa.dead)
		settle_collision(sa, c->old_spi);
}

static void answer_install(struct v2_child *c)
{
	struct v2_sa *sa = v2_of(c->c.sa);
	c->c.installed = answer_installed;
	v2_child_install(sa, c);
}

/* The child comes to be with the last of its additional key exchanges (RFC 9370 2.2.4): this is the first answer. */
static void answer_linked(struct v2_sa *sa, struct v2_child *c)
{
	struct v2_answer *a = c->answer;
	uint8_t buf[IKE_MSG_MAX];
	struct v2_enc e;
	c->answer = NULL;
	v2_follow_wait(c->task);
	v2_resp_begin(sa, a, &e, buf);
	enc_answer(&e, c);
	v2_follow_enc_link(c->task, &e);
	v2_respond(sa, a, &e);
}

static void answer_shared(void *of, struct v2_ke *ke)
{
	struct v2_child *c = of;
	struct v2_sa *sa = v2_of(c->c.sa);
	if (ke->err) {
		struct v2_answer *a = c->answer;
		c->answer = NULL;
		ike_child_remove(&c->c, 0);
		v2_malformed(sa, a);
		return;
	}
	shared_take(c, ke);
	/* the public value is needed for the answer: an empty task carries the pair until then */
	if (!c->task) {
		c->task = v2_task_new(&v2_new_child_task);
		c->task->child = c;
	}
	c->task->dh = ke->dh;
	ke->dh = NULL;
	if (c->task->follow)
		answer_linked(sa, c);
	else
		answer_install(c);
}

#define GONE_MAX 16u /* SPIs that are remembered */

/* Does an answer that makes a child have still to come? Then the peer may know SPIs that we do not. */
static bool child_to_come(const struct v2_sa *sa)
{
	const struct v2_task *t;
	TAILQ_FOREACH (t, &sa->active, link)
		if (t->ops == &v2_new_child_task && t->place == V2_TASK_SENT)
			return true;
	return false;
}

void v2_child_gone(struct v2_sa *sa, uint32_t spi_out)
{
	if (!child_to_come(sa))
		return;
	if (!sa->gone)
		sa->gone = calloc(GONE_MAX, sizeof(*sa->gone));
	if (sa->gone)
		sa->gone[sa->n_gone++ % GONE_MAX] = spi_out;
}

/* Has the peer deleted the pair already that its answer brings? */
static bool is_gone(struct v2_sa *sa, uint32_t spi_out)
{
	const unsigned n = sa->n_gone < GONE_MAX ? sa->n_gone : GONE_MAX;
	bool found = false;
	for (unsigned i = 0; i < n; i++)
		found |= sa->gone[i] == spi_out;
	if (!child_to_come(sa)) {
		free(sa->gone);
		sa->gone = NULL;
		sa->n_gone = 0;
	}
	return found;
}

static void respond_group(struct v2_sa *sa, struct v2_answer *a, enum ike_group g)
{
	uint8_t b[2] = {(uint8_t)(g >> 8), (uint8_t)g};
	v2_respond_notify(sa, a, V2_N_INVALID_KE_PAYLOAD, b, 2);
}

static void respond_not_found(struct v2_sa *sa, struct v2_answer *a, uint8_t proto, uint32_t spi)
{
	uint8_t buf[IKE_MSG_MAX];
	struct v2_enc e;
	v2_resp_begin(sa, a, &e, buf);
	v2_enc_notify_spi(&e, V2_N_CHILD_SA_NOT_FOUND, proto, spi);
	v2_respond(sa, a, &e);
}

/* Is a rekey of this child by the peer being answered? */
static bool answer_for(const struct v2_sa *sa, uint32_t old_spi)
{
	struct ike_child *c;
	TAILQ_FOREACH (c, &sa->sa.children, link) {
		const struct v2_child *k = v2_child_of(c);
		bool under_way = k->answer || (!c->p.initiator && k->task && k->task->follow);
		if (under_way && k->old_spi == old_spi)
			return true;
	}
	return false;
}

/* RFC 7296 2.25.1: which child a request rekeys. True when *old is to be used; false when the answer has been sent. */
static bool find_rekeyed(struct v2_sa *sa, const struct v2_msg *m, struct ike_child **old)
{
	const struct v2_notify *n = v2_find_notify(m, V2_N_REKEY_SA);
	*old = NULL;
	if (!n)
		return true;
	uint32_t spi = n->spi.len == 4 ? v2_get32(n->spi.p) : 0;
	*old = ike_child_by_spi_out(&sa->sa, spi);
	if (!*old && child_to_come(sa)) { /* perhaps it is known in a moment */
		v2_respond_notify(sa, m->answer, V2_N_TEMPORARY_FAILURE, NULL, 0);
		return false;
	}
	if (!*old || n->proto != ike_child_proto(&(*old)->p)) {
		respond_not_found(sa, m->answer, n->proto, spi);
		return false;
	}
	if (((*old)->state != IKE_CHILD_ESTABLISHED && (*old)->state != IKE_CHILD_REKEYING) ||
		answer_for(sa, (*old)->p.spi_in)) {
		v2_respond_notify(sa, m->answer, V2_N_TEMPORARY_FAILURE, NULL, 0);
		return false;
	}
	return true;
}

static void create_child(struct v2_sa *sa, struct v2_msg *m)
{
	struct ike_child *old;
	struct v2_child *c;
	if (!m->tsi.p || !m->tsr.p) {
		v2_malformed(sa, m->answer);
		return;
	}
	if (!find_rekeyed(sa, m, &old))
		return;
	if (!v2_follow_room(sa)) {
		v2_respond_notify(sa, m->answer, V2_N_TEMPORARY_FAILURE, NULL, 0);
		return;
	}
	uint16_t error = v2_child_from_offer(sa, m, true, &c);
	if (error) {
		v2_respond_notify(sa, m->answer, error, NULL, 0);
		return;
	}
	v2_nonce_take(&c->nonces->i, m->nonce);
	v2_nonce_make(&c->nonces->r);
	if (old) {
		c->old_spi = old->p.spi_in;
		c->c.p.rule_id = old->p.rule_id;
		c->c.p.rekey = true;
		v2_resource_inherit(c, old);
		/* a pair that the dataplane has lost sends nothing: no reason to wait */
		c->c.p.inbound_only = !old->lost;
	}
	if (c->pfs && (!m->ke.p || m->ke_group != c->pfs || m->ke.len != ikec_group_pub_len(c->pfs))) {
		enum ike_group g = c->pfs;
		ike_child_remove(&c->c, 0);
		respond_group(sa, m->answer, g);
		return;
	}
	c->answer = m->answer;
	if (c->pfs)
		dh_run(c, NULL, m->ke, answer_shared);
	else
		answer_install(c);
}

void v2_create_child_request(struct v2_sa *sa, struct v2_msg *m)
{
	struct v2_sa_pl offer;
	if (!m->sa.p || !m->nonce.p) {
		v2_malformed(sa, m->answer);
		return;
	}
	v2_parse_sa(m->sa, &offer);
	if (offer.n && offer.prop[0].proto == V2_PROTO_IKE) {
		v2_rekey_ike_request(sa, m, &offer);
		return;
	}
	/* RFC 7296 2.25.2: not while the IKE SA itself is being replaced or closed */
	if (sa->sa.phase != IKE_PHASE_ESTABLISHED || sa->rekey_answer || v2_task_active(sa, &v2_rekey_ike_task)) {
		v2_respond_notify(sa, m->answer, V2_N_TEMPORARY_FAILURE, NULL, 0);
		return;
	}
	create_child(sa, m);
}

/* ---- initiator ---- */

void v2_child_failed(struct v2_sa *sa, struct v2_child *c, const char *reason)
{
	struct ike_req *req = c->c.req;
	struct ike_child *old = c->old_spi ? ike_child_by_spi_in(&sa->sa, c->old_spi) : NULL;
	sa->sa.ike->stats.child_failed++;
	ike_note(&sa->sa, &c->c.p, true, "failed: %s", reason);
	if (old && old->state == IKE_CHILD_REKEYING) {
		cv_warn("ike", "rekeying of IPsec SA 0x%08x failed: %s", old->p.spi_in, reason);
		old->state = IKE_CHILD_ESTABLISHED; /* lives until its hard limit */
		if (old->lost)
			v2_child_delete(old); /* there is nothing left to live: traffic asks for a new one */
	}
	c->c.req = NULL;
	ike_child_remove(&c->c, 0);
	if (req)
		ike_req_done(req, -EPROTO, reason);
}

static void start_with_pair(void *of, struct v2_ke *ke)
{
	struct v2_child *c = of;
	struct v2_sa *sa = v2_of(c->c.sa);
	struct v2_task *t = c->task;
	if (ke->err) {
		v2_child_failed(sa, c, "Diffie-Hellman group not available");
		return;
	}
	t->dh = ke->dh;
	ke->dh = NULL;
	v2_task_send(sa, t);
}

/* Still wanted? The wish may have been withdrawn, the old child may be gone or replaced by the peer. */
static bool still_wanted(struct v2_sa *sa, const struct v2_child *c)
{
	struct ike_child *old;
	if (!c->old_spi)
		return c->c.req != NULL || v2_resource_wanted(c);
	old = ike_child_by_spi_in(&sa->sa, c->old_spi);
	return old && old->state == IKE_CHILD_REKEYING && c->c.p.entry;
}

static void child_start(struct v2_sa *sa, struct v2_task *t)
{
	struct v2_child *c = t->child;
	if (!c || !still_wanted(sa, c)) {
		if (c)
			ike_child_remove(&c->c, 0); /* drops the task, too */
		else
			v2_task_drop(sa, t);
		return;
	}
	v2_nonce_make(&c->nonces->i);
	c->pfs = c->c.p.entry->pfs;
	ikec_dh_free(t->dh);
	t->dh = NULL;
	t->spi[0] = c->c.p.spi_in;
	t->spi_proto = ike_entry_proto(c->c.p.entry);
	t->n_spi = 1;
	if (c->pfs)
		dh_run(c, NULL, V2_EMPTY, start_with_pair);
	else
		v2_task_send(sa, t);
}

static uint8_t old_proto(struct v2_sa *sa, const struct v2_child *c)
{
	const struct ike_child *old = ike_child_by_spi_in(&sa->sa, c->old_spi);
	return old ? ike_child_proto(&old->p) : V2_PROTO_ESP;
}

static void child_build(struct v2_sa *sa, struct v2_task *t, struct v2_enc *e)
{
	struct v2_child *c = t->child;
	if (c->old_spi && !t->no_rekey)
		v2_enc_notify_spi(e, V2_N_REKEY_SA, old_proto(sa, c), c->old_spi);
	v2_enc_child_sa(sa->sa.ike, e, c->c.p.entry, c->c.p.spi_in, c->pfs);
	v2_enc_blob(e, V2_PL_NONCE, c->nonces->i.b, c->nonces->i.len);
	if (t->dh)
		v2_enc_ke(e, t->dh);
	v2_enc_child_ts(e, c->c.p.sel, c->c.p.n_sel, true);
	v2_enc_child_notifies(e, c);
}

/*
 * Both ends have rekeyed the same child (RFC 7296 2.8.1). The exchange with the least of the four nonces is the
 * redundant one; who started it deletes what it made, the other deletes the old child. True when ours is redundant.
 */
static bool lost_collision(const struct v2_child *c, const struct v2_task *t)
{
	return t->collided && v2_nonce_cmp(v2_nonce_min(&c->nonces->i, &c->nonces->r), &t->rival_nonce) < 0;
}

static void rekey_installed(struct v2_sa *sa, struct v2_child *c, struct v2_task *t)
{
	struct ike_child *old = ike_child_by_spi_in(&sa->sa, c->old_spi);
	if (lost_collision(c, t)) {
		struct ike_child *rival = ike_child_by_spi_in(&sa->sa, t->rival_spi);
		uint32_t spi = c->c.p.spi_in;
		uint8_t proto = ike_child_proto(&c->c.p);
		if (old)
			old->state = IKE_CHILD_REKEYED;
		if (rival && !old)
			ike_child_activate(rival);
		c->c.state = IKE_CHILD_REKEYED;
		v2_send_delete(sa, proto, spi);
		return;
	}
	if (!old)
		return;
	c->c.rekeys = old->rekeys + 1;
	old->state = IKE_CHILD_REKEYED;
	v2_child_of(old)->successor_spi = c->c.p.spi_in;
	v2_send_delete(sa, ike_child_proto(&old->p), old->p.spi_in);
	ike_event(sa->sa.ike, IKE_EVT_REKEYED, &sa->sa, &sa->sa.path, c->c.p.entry, NULL);
}

static void own_installed(struct ike_child *base, int err)
{
	struct v2_child *c = v2_child_of(base);
	struct v2_sa *sa = v2_of(base->sa);
	if (err) {
		v2_send_delete(sa, ike_child_proto(&base->p), base->p.spi_in);
		v2_child_failed(sa, c, "refused by the dataplane");
		return;
	}
	/* the peer's rekey of the same child is being answered: wait until it is known who wins */
	c->task->finished = c->old_spi && answer_for(sa, c->old_spi);
	if (!c->task->finished)
		own_complete(sa, c);
}

static void own_complete(struct v2_sa *sa, struct v2_child *c)
{
	struct v2_task *t = c->task;
	c->task = NULL;
	t->child = NULL;
	if (c->old_spi)
		rekey_installed(sa, c, t);
	v2_child_settled(c);
	v2_task_free(sa, t);
	ike_sa_save(&sa->sa);
}

static void own_install(struct v2_sa *sa, struct v2_child *c)
{
	c->c.installed = own_installed;
	v2_child_install(sa, c);
}

/* The peer may have made what we cannot take. */
static void own_bad(struct v2_sa *sa, struct v2_child *c, const char *why)
{
	v2_send_delete(sa, ike_child_proto(&c->c.p), c->c.p.spi_in);
	v2_child_failed(sa, c, why);
}

static void own_shared(void *of, struct v2_ke *ke)
{
	struct v2_child *c = of;
	struct v2_sa *sa = v2_of(c->c.sa);
	if (ke->err) {
		own_bad(sa, c, "bad Diffie-Hellman value from peer");
		return;
	}
	shared_take(c, ke);
	if (c->task->follow)
		v2_follow_next(c->task);
	else
		own_install(sa, c);
}

/* From the beginning: what an answer to the first attempt has said is forgotten. */
static void begin_again(struct v2_task *t)
{
	struct v2_child *c = t->child;
	struct ike_child *old = ike_child_by_spi_in(c->c.sa, c->old_spi);
	v2_follow_free(t);
	shared_free(c);
	c->c.p.spi_out = 0;
	c->c.p.sel[0] = c->want;
	c->c.p.n_sel = 1;
	v2_child_ask_mode(c);
	if (old)
		v2_resource_inherit(c, old);
}

static void retry_later(struct v2_sa *sa, struct v2_task *t)
{
	uint16_t r;
	if (t->follow)
		begin_again(t);
	ikec_random(&r, sizeof(r));
	t->retries++;
	t->not_before_ms = ike_now(sa->sa.ike) + 500 + r % 1500u * t->retries;
	t->collided = false;
	v2_task_queue(sa, t);
}

static void child_refused(struct v2_sa *sa, struct v2_task *t, const struct v2_notify *err)
{
	struct v2_child *c = t->child;
	struct ike_child *old = c->old_spi ? ike_child_by_spi_in(&sa->sa, c->old_spi) : NULL;
	if (c->old_spi && (!old || t->collided || old->state != IKE_CHILD_REKEYING)) {
		/* the peer has replaced or deleted the old child meanwhile: its view stands */
		if (old)
			old->state = IKE_CHILD_REKEYED;
		if (old && !ike_child_by_spi_in(&sa->sa, v2_child_of(old)->successor_spi))
			old->state = IKE_CHILD_ESTABLISHED;
		ike_child_remove(&c->c, 0);
		return;
	}
	if ((err->type == V2_N_TEMPORARY_FAILURE || err->type == V2_N_STATE_NOT_FOUND) && t->retries < RETRY_MAX) {
		retry_later(sa, t);
		return;
	}
	/* again and again (RFC 9370 2.2.4); the peer has given up the IKE SA (RFC 7296 2.21.3) */
	if (err->type == V2_N_STATE_NOT_FOUND || err->type == V2_N_INVALID_SYNTAX) {
		v2_sa_delete(&sa->sa, v2_notify_name(err->type));
		return;
	}
	if (err->type == V2_N_CHILD_SA_NOT_FOUND && old && !t->no_rekey) {
		t->no_rekey = true;
		v2_task_queue_first(sa, t);
		return;
	}
	if (c->c.p.resource && !c->old_spi) {
		v2_resource_refused(c, err->type);
		ike_child_remove(&c->c, 0);
		return;
	}
	v2_child_failed(sa, c, v2_notify_name(err->type));
}

static void follow_done(struct v2_sa *sa, struct v2_task *t, struct v2_answer *a)
{
	struct v2_child *c = t->child;
	if (a) {
		c->answer = a;
		answer_install(c);
		return;
	}
	v2_task_detach(sa, t);
	own_install(sa, c);
}

static void follow_failed(struct v2_sa *sa, struct v2_task *t, uint16_t notify)
{
	struct v2_child *c = t->child;
	uint32_t old_spi = c->old_spi;
	struct v2_notify err = {.type = notify};
	if (!c->c.p.initiator) {
		ike_child_remove(&c->c, 0);
		settle_collision(sa, old_spi);
	} else if (notify) {
		child_refused(sa, t, &err);
	} else {
		own_bad(sa, c, "invalid response from peer");
	}
}

static const struct v2_follow_ops child_follow = {.done = follow_done, .failed = follow_failed};

/* The groups that we have offered beside the first, and the answer has agreed to. */
static bool take_follow_up(struct v2_sa *sa, struct v2_child *c, const struct v2_msg *m)
{
	enum ike_group addke[CFG_ADDKE_MAX] = {0};
	for (unsigned i = 0; c->pfs && i < c->c.p.entry->n_addke; i++)
		addke[i] = c->c.p.entry->addke[i];
	follow_up(sa, c, addke);
	return !c->task->follow || v2_follow_take_link(c->task, m);
}

static void child_response(struct v2_sa *sa, struct v2_task *t, struct v2_msg *m)
{
	struct v2_child *c = t->child;
	const struct v2_notify *err = v2_find_error(m);
	const char *why = "invalid response from peer";
	if (!c) { /* removed meanwhile: the peer may have made it */
		if (!err && t->n_spi)
			v2_send_delete(sa, t->spi_proto, t->spi[0]);
		v2_task_free(sa, t);
		return;
	}
	if (t->follow) {
		v2_follow_response(t, m);
		return;
	}
	if (err && !m->sa.p) {
		child_refused(sa, t, err);
		return;
	}
	if (!m->nonce.p || v2_child_from_answer(sa, m, c, &why) != 0 ||
		(c->pfs && (!m->ke.p || m->ke_group != c->pfs || m->ke.len > IKEC_DH_PUB_MAX)) ||
		!take_follow_up(sa, c, m)) {
		own_bad(sa, c, why);
		return;
	}
	if (is_gone(sa, c->c.p.spi_out)) {
		v2_child_failed(sa, c, "deleted by peer");
		return;
	}
	v2_nonce_take(&c->nonces->r, m->nonce);
	struct ikec_dh *dh = t->dh;
	t->dh = NULL;
	if (t->follow)
		v2_task_keep(sa, t); /* the series keeps its place in the window */
	if (c->pfs) {
		dh_run(c, dh, m->ke, own_shared);
		return;
	}
	ikec_dh_free(dh);
	own_install(sa, c);
}

static void child_fini_task(struct v2_task *t)
{
	if (t->child)
		t->child->task = NULL;
}

const struct v2_task_ops v2_new_child_task = {
	.name = "CREATE_CHILD_SA",
	.exchange = V2_CREATE_CHILD_SA,
	.kind = V2_TASK_CHILD,
	.start = child_start,
	.build = child_build,
	.response = child_response,
	.fini = child_fini_task,
};

struct v2_child *v2_child_queue(
	struct v2_sa *sa, const struct cfg_map_entry *entry, const struct cv_selector *sel, uint32_t rule_id)
{
	struct v2_child *c = v2_child_new(sa, entry);
	if (!c)
		return NULL;
	c->want = c->c.p.sel[0] = *sel;
	c->c.p.n_sel = 1;
	c->c.p.rule_id = rule_id;
	c->c.p.initiator = true;
	v2_child_ask_mode(c);
	c->task = v2_task_new(&v2_new_child_task);
	c->task->child = c;
	return c;
}

void v2_child_initiate(struct ike_sa *base, struct ike_req *req)
{
	struct v2_sa *sa = v2_of(base);
	if (!ike_entry_allows(base, req->entry)) {
		ike_entry_barred(base);
		ike_req_done(req, -EACCES, IKE_BARRED);
		return;
	}
	struct v2_child *c = v2_child_queue(sa, req->entry, &req->sel, req->rule_id);
	if (!c) {
		ike_req_done(req, -ENOSPC, "no SPI left");
		return;
	}
	c->c.req = req;
	v2_task_queue(sa, c->task);
}

void v2_child_rekey(struct ike_child *old)
{
	struct v2_sa *sa = v2_of(old->sa);
	if (old->state != IKE_CHILD_ESTABLISHED || sa->sa.phase != IKE_PHASE_ESTABLISHED || !old->p.entry)
		return;
	struct v2_child *c = v2_child_queue(sa, old->p.entry, &v2_child_of(old)->want, old->p.rule_id);
	if (!c)
		return;
	old->state = IKE_CHILD_REKEYING;
	c->old_spi = old->p.spi_in;
	c->c.p.rekey = true;
	v2_resource_inherit(c, old);
	v2_task_queue(sa, c->task);
}
