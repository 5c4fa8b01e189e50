/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * IKEv1 as the engine sees it: where a message belongs, and what one exchange means for the others with the same peer:
 * succession of phase 1 SAs, deletes, clearing, the vault and show.
 */
#include <stdlib.h>
#include <string.h>

#include "v1_internal.h"

#define RETRY_REKEY_MS 30000u /* a phase 1 rekey that failed */
#define CONTAINER_POLL_MS 10000u

/* ---- same peer ---- */

bool v1_same_peer(const struct ike_sa *a, const struct ike_sa *b)
{
	const struct v1_sa *x = (const struct v1_sa *)a, *y = (const struct v1_sa *)b;
	return a->v == &ike_v1 && b->v == &ike_v1 && a->path.vrf == b->path.vrf && a->profile == b->profile &&
	       cv_addr_eq(&a->path.local, &b->path.local) && x->id_peer.type && ike_id_eq(&x->id_peer, &y->id_peer);
}

struct v1_sa *v1_best(const struct ike_sa *like)
{
	struct ike_sa *sa = NULL, *best = NULL;
	while ((sa = ike_sa_next_by_addr(like->ike, like->path.vrf, &like->peer, sa)))
		if (v1_same_peer(sa, like) && sa->phase == IKE_PHASE_ESTABLISHED && sa->state == V1_QM_IDLE &&
			(!best || sa->established_ms > best->established_ms))
			best = sa;
	return best ? v1_of(best) : NULL;
}

static struct ike_sa *by_id(const struct ike_sa *like, uint64_t id)
{
	struct ike_sa *sa = NULL;
	while (id && (sa = ike_sa_next_by_addr(like->ike, like->path.vrf, &like->peer, sa)))
		if (sa->id == id)
			return sa;
	return NULL;
}

/* ---- succession ---- */

/* Established children and waiting wishes move over; what is in the middle of a quick mode finishes where it is. */
static void adopt(struct v1_sa *from, struct v1_sa *to)
{
	struct ike_child *c, *nc;
	struct ike_req *r, *nr;
	if (from == to)
		return;
	TAILQ_FOREACH_SAFE(c, &from->sa.children, link, nc)
	{
		if (v1_child_of(c)->qm)
			continue;
		TAILQ_REMOVE(&from->sa.children, c, link);
		c->sa = &to->sa;
		TAILQ_INSERT_TAIL(&to->sa.children, c, link);
	}
	TAILQ_FOREACH_SAFE(r, &from->sa.reqs, link, nr)
	{
		if (r->started && !r->queued)
			continue;
		TAILQ_REMOVE(&from->sa.reqs, r, link);
		r->sa = &to->sa;
		r->started = r->queued = false;
		TAILQ_INSERT_TAIL(&to->sa.reqs, r, link);
	}
	v1_quick_more(to);
}

static void close_timer(struct ike *ike, struct ike_timer *t)
{
	struct v1_sa *v = IKE_CONTAINER(t, struct v1_sa, wait), *best = v1_best(&v->sa);
	if (best) {
		adopt(v, best);
		v1_send_delete_sa(v);
		ike_sa_save(&best->sa);
		ike_sa_destroy(&v->sa, NULL);
	} else {
		/* the successor is gone again: back into service */
		ike_sa_reopened(&v->sa);
		ike_timer_set(ike, &v->sa.life, v->sa.hard_ms);
		v1_dpd_start(v);
	}
}

static void retire_sa(struct v1_sa *v)
{
	struct ike *ike = v->sa.ike;
	ike_sa_closing(&v->sa);
	ike_timer_stop(ike, &v->sa.life);
	ike_timer_stop(ike, &v->dpd_timer);
	v->wait.fire = close_timer;
	ike_timer_set(ike, &v->wait, ike_now(ike) + V1_CLOSE_MS);
}

/*
 * v has come up: the newer SA stays. When both ends started at once, each may see another one as newer, so that the
 * lower initiator cookie decides.
 */
static void supersede(struct v1_sa *v)
{
	struct ike_sa *o = ike_sa_next_by_addr(v->sa.ike, v->sa.path.vrf, &v->sa.peer, NULL), *next;
	for (; o; o = next) {
		next = ike_sa_next_by_addr(v->sa.ike, v->sa.path.vrf, &v->sa.peer, o);
		if (o == &v->sa || !v1_same_peer(o, &v->sa))
			continue;
		if (o->state == V1_DELETED) {
			adopt(v1_of(o), v);
			ike_sa_destroy(o, NULL);
		} else if (o->phase == IKE_PHASE_ESTABLISHED) {
			bool crossing = o->established_ms > v->sa.created_ms;
			bool keep_old = crossing && memcmp(o->spi_i, v->sa.spi_i, IKE_SPI_LEN) < 0;
			struct v1_sa *winner = keep_old ? v1_of(o) : v, *loser = keep_old ? v : v1_of(o);
			adopt(loser, winner);
			retire_sa(loser);
			ike_sa_save(&winner->sa);
			if (keep_old) {
				ike_sa_run_reqs(o);
				return;
			}
		}
	}
}

static const struct ike_sa *predecessor(const struct v1_sa *v)
{
	struct ike_sa *o = NULL;
	while ((o = ike_sa_next_by_addr(v->sa.ike, v->sa.path.vrf, &v->sa.peer, o)))
		if (o != &v->sa && v1_same_peer(o, &v->sa) && o->established_ms)
			return o;
	return NULL;
}

void v1_established(struct v1_sa *v)
{
	const struct ike_sa *prev = predecessor(v);
	ike_timer_stop(v->sa.ike, &v->wait);
	if (prev)
		v->sa.rekeys = prev->rekeys + 1;
	ike_sa_established(&v->sa, v->lifetime_s);
	supersede(v);
	if (v->sa.dead)
		return;
	v1_dpd_start(v);
	ike_sa_save(&v->sa);
	ike_sa_run_reqs(&v->sa);
}

void v1_initial_contact(struct v1_sa *v)
{
	struct ike_sa *o = ike_sa_next_by_addr(v->sa.ike, v->sa.path.vrf, &v->sa.peer, NULL), *next;
	for (; o; o = next) {
		next = ike_sa_next_by_addr(v->sa.ike, v->sa.path.vrf, &v->sa.peer, o);
		if (o == &v->sa || o->v != &ike_v1 || !o->established_ms || o->established_ms > v->sa.created_ms ||
			!cv_addr_eq(&o->path.local, &v->sa.path.local) || o->path.rport != v->sa.path.rport)
			continue;
		ike_sa_destroy(o, "initial contact from the peer");
	}
}

static void start_successor(struct ike_sa *sa)
{
	struct ike *ike = sa->ike;
	struct ike_sa *o = NULL;
	struct v1_sa *n;
	uint64_t retry = ike_now(ike) + RETRY_REKEY_MS;
	while ((o = ike_sa_next_by_addr(ike, sa->path.vrf, &sa->peer, o)))
		if (o->v == &ike_v1 && o->phase == IKE_PHASE_HALF_OPEN && o->initiator && o->profile == sa->profile) {
			v1_of(o)->rekey_of = sa->id;
			return;
		}
	/* who came to a virtual template comes again by himself (VTI-29) */
	n = sa->entry && !sa->entry->map->template ? v1_start(ike, sa->entry, &sa->path, sa->natt, &sa->peer) : NULL;
	if (n)
		n->rekey_of = sa->id;
	else if (sa->state == V1_QM_IDLE && sa->hard_ms)
		ike_timer_set(ike, &sa->life, retry < sa->hard_ms ? retry : sa->hard_ms);
}

void v1_need_phase1(struct ike_sa *sa)
{
	if (!v1_best(sa))
		start_successor(sa);
}

static void sa_rekey(struct ike_sa *sa)
{
	/* without children nobody misses it: the next one who needs it makes a new one */
	if (sa->phase == IKE_PHASE_ESTABLISHED && (!TAILQ_EMPTY(&sa->children) || !TAILQ_EMPTY(&sa->reqs)))
		start_successor(sa);
}

/* ---- the end of an SA ---- */

static void tell_deleted(struct v1_sa *v, const struct ike_child_params *p)
{
	v1_send_delete_child(v, ike_child_proto(p), p->spi_in);
	if (ike_suite_bundle(p->suite))
		v1_send_delete_child(v, V1_PROTO_AH, p->ah_spi_in);
}

static void tell_peer(struct v1_sa *v)
{
	struct ike_child *c;
	TAILQ_FOREACH (c, &v->sa.children, link)
		if (c->child_id)
			tell_deleted(v, &c->p);
	v1_send_delete_sa(v);
}

/* The end of something an operator saw as up: the engine reports it unless the SA has been replaced. */
static void destroy_loudly(struct ike_sa *sa, const char *reason)
{
	if (sa->established_ms)
		sa->phase = IKE_PHASE_ESTABLISHED;
	ike_sa_destroy(sa, reason);
}

void v1_fail(struct v1_sa *v, const char *reason)
{
	struct ike_sa *old = by_id(&v->sa, v->rekey_of);
	struct ike *ike = v->sa.ike;
	if (v->sa.established_ms)
		tell_peer(v);
	ike_sa_destroy(&v->sa, reason);
	if (!old || old->dead)
		return;
	if (old->state == V1_DELETED) {
		destroy_loudly(old, reason);
	} else if (old->phase == IKE_PHASE_ESTABLISHED) {
		uint64_t at = ike_now(ike) + RETRY_REKEY_MS;
		ike_timer_set(ike, &old->life, at < old->hard_ms ? at : old->hard_ms);
	}
}

static void free_exchanges(struct v1_sa *v)
{
	struct v1_qm *q;
	while ((q = TAILQ_FIRST(&v->qms)))
		v1_quick_free(q);
}

static void container_timer(struct ike *ike, struct ike_timer *t)
{
	struct v1_sa *v = IKE_CONTAINER(t, struct v1_sa, wait);
	if (TAILQ_EMPTY(&v->sa.children))
		destroy_loudly(&v->sa, "IPsec SAs expired");
	else
		ike_timer_set(ike, t, ike_now(ike) + CONTAINER_POLL_MS);
}

/* Phase 1 is over while IPsec SAs live on (RFC 2408 4.3 allows that): keep them, and try for a successor. */
static void become_container(struct v1_sa *v)
{
	struct ike *ike = v->sa.ike;
	struct ike_child *c, *nc;
	free_exchanges(v);
	TAILQ_FOREACH_SAFE(c, &v->sa.children, link, nc)
	if (c->state < IKE_CHILD_ESTABLISHED)
		ike_child_remove(c, 0);
	ike_sa_closing(&v->sa);
	v->sa.state = V1_DELETED;
	ike_timer_stop(ike, &v->sa.life);
	ike_timer_stop(ike, &v->sa.keepalive);
	ike_timer_stop(ike, &v->dpd_timer);
	v1_tx_free(v, &v->tx);
	v1_keys_zero(&v->k);
	v->wait.fire = container_timer;
	ike_timer_set(ike, &v->wait, ike_now(ike) + CONTAINER_POLL_MS);
	v1_need_phase1(&v->sa);
}

static bool has_children(const struct v1_sa *v)
{
	const struct ike_child *c;
	TAILQ_FOREACH (c, &v->sa.children, link)
		if (c->state >= IKE_CHILD_ESTABLISHED)
			return true;
	return false;
}

void v1_deleted_by_peer(struct v1_sa *v)
{
	enum ike_phase was = v->sa.phase;
	ike_sa_closing(&v->sa);
	struct v1_sa *best = v1_best(&v->sa);
	if (best) {
		adopt(v, best);
		ike_sa_destroy(&v->sa, NULL);
		ike_sa_run_reqs(&best->sa);
		ike_sa_save(&best->sa);
	} else if (has_children(v)) {
		become_container(v);
	} else {
		v->sa.phase = was;
		ike_sa_destroy(&v->sa, "deleted by the peer");
	}
}

/* As when the peer does it: its IPsec SAs stay, they have lifetimes of their own. */
static void end_alone(struct v1_sa *v)
{
	v1_send_delete_sa(v);
	v1_deleted_by_peer(v);
}

static void sa_delete(struct ike_sa *sa, const char *reason)
{
	struct v1_sa *v = v1_of(sa);
	if (sa->phase == IKE_PHASE_HALF_OPEN) {
		ike_sa_destroy(sa, reason);
		return;
	}
	if (sa->state != V1_QM_IDLE) {
		destroy_loudly(sa, reason);
		return;
	}
	if (sa->hard_ms && ike_now(sa->ike) >= sa->hard_ms && has_children(v)) {
		end_alone(v);
		return;
	}
	tell_peer(v);
	ike_sa_destroy(sa, reason);
}

static void sa_delete_alone(struct ike_sa *sa, const char *reason)
{
	if (sa->state == V1_QM_IDLE && has_children(v1_of(sa)))
		end_alone(v1_of(sa));
	else
		sa_delete(sa, reason);
}

/* ---- children ---- */

static void child_delete(struct ike_child *c)
{
	struct v1_sa *best = v1_best(c->sa);
	struct ike_sa *sa = c->sa;
	if (v1_child_of(c)->qm) {
		v1_quick_fail(v1_child_of(c)->qm, "deleted");
		return;
	}
	if (best && c->child_id)
		tell_deleted(best, &c->p);
	ike_child_remove(c, c->state == IKE_CHILD_REKEYED ? IKE_LINGER_MS : 0);
	ike_sa_save(sa);
}

static struct ike_child *child_by_proto(struct ike_sa *sa, uint8_t proto, uint32_t spi)
{
	struct ike_child *c;
	TAILQ_FOREACH (c, &sa->children, link)
		if (spi && ((c->p.spi_out == spi && ike_child_proto(&c->p) == proto) ||
				   (c->p.ah_spi_out == spi && proto == V1_PROTO_AH)))
			return c;
	return NULL;
}

void v1_child_deleted_by_peer(struct v1_sa *v, uint8_t proto, uint32_t spi)
{
	struct ike_sa *sa = NULL;
	while ((sa = ike_sa_next_by_addr(v->sa.ike, v->sa.path.vrf, &v->sa.peer, sa))) {
		struct ike_child *c = v1_same_peer(sa, &v->sa) ? child_by_proto(sa, proto, spi) : NULL;
		if (!c)
			continue;
		ike_child_remove(c, IKE_LINGER_MS);
		ike_sa_save(sa);
		return;
	}
}

/* ---- input ---- */

static bool is_zero(const uint8_t *cookie)
{
	static const uint8_t zero[V1_COOKIE_LEN];
	return memcmp(cookie, zero, V1_COOKIE_LEN) == 0;
}

/* By our own cookie; the peer's has to be the right one too, once we know it. */
static struct v1_sa *sa_for(struct ike *ike, const struct v1_hdr *h)
{
	struct ike_sa *sa = is_zero(h->rcookie) ? NULL : ike_sa_by_spi(ike, &ike_v1, h->rcookie);
	if (sa && !sa->initiator && memcmp(sa->spi_i, h->icookie, V1_COOKIE_LEN) == 0)
		return v1_of(sa);
	sa = ike_sa_by_spi(ike, &ike_v1, h->icookie);
	if (!sa || !sa->initiator)
		return NULL;
	if (!is_zero(sa->spi_r) && memcmp(sa->spi_r, h->rcookie, V1_COOKIE_LEN) != 0)
		return NULL;
	return v1_of(sa);
}

/* Anybody can cause a refusal: the log has one a second at most, the counters have them all. */
static bool worth_a_line(struct ike *ike)
{
	uint64_t now = ike_now(ike);
	if (ike->v1_refused_ms && now - ike->v1_refused_ms < 1000)
		return false;
	ike->v1_refused_ms = now;
	return true;
}

/* Exchanges that the configuration does not ask for, and unknown ones: refused by name. */
static void refuse_exchange(struct ike *ike, const struct ike_path *path, bool natt, const struct v1_hdr *h)
{
	const struct cfg_map_entry *e[IKE_ENTRIES_MAX];
	if (h->exchange == V1_EX_AGGRESSIVE) {
		ike->stats.v1_aggressive_refused++;
		if (worth_a_line(ike))
			cv_notice("ike", "IKEv1: aggressive mode refused: no profile allows it");
		/* strangers get no answer */
		if (ike_entries_for(ike, &ike_v1, path, &path->remote, e, IKE_ENTRIES_MAX))
			v1_notify_clear(ike, path, natt, h, V1_N_INVALID_EXCHANGE_TYPE);
		return;
	}
	ike->stats.v1_exchange_refused++;
	if (worth_a_line(ike))
		cv_notice("ike", "IKEv1: exchange type %u refused", h->exchange);
}

/* The second switch (RFC 9395): is there a profile here that takes aggressive mode? */
static bool aggressive_allowed(struct ike *ike, const struct ike_path *path)
{
	const struct cfg_map_entry *e[IKE_ENTRIES_MAX];
	unsigned n = ike_entries_for(ike, &ike_v1, path, &path->remote, e, IKE_ENTRIES_MAX);
	for (unsigned i = 0; i < n; i++)
		if (v1_aggr_allowed(e[i]->profile_ref))
			return true;
	return false;
}

static void first_message(
	struct ike *ike, const struct ike_path *path, bool natt, const struct v1_hdr *h, const uint8_t *data)
{
	struct ike_sa *sa = ike_sa_by_peer(ike, &ike_v1, h->icookie, path);
	bool aggressive = h->exchange == V1_EX_AGGRESSIVE;
	if (h->exchange == V1_EX_INFO)
		ike->stats.rx_unknown_spi++;
	else if (h->exchange != V1_EX_MAIN && !(aggressive && aggressive_allowed(ike, path)))
		refuse_exchange(ike, path, natt, h);
	else if (h->flags & V1_FLAG_ENCRYPTED || h->msgid)
		ike->stats.rx_malformed++;
	else if (sa && !sa->initiator)
		(aggressive ? v1_aggr_input : v1_main_input)(v1_of(sa), path, natt, h, data);
	else
		(aggressive ? v1_aggr_first : v1_main_first)(ike, path, natt, h, data);
}

static void input(struct ike *ike, const struct ike_path *path, bool natt, const uint8_t *data, size_t len)
{
	struct v1_hdr h;
	uint8_t whole[V1_MSG_MAX];
	unsigned err = v1_hdr_parse(data, len, &h);
	if (err || is_zero(h.icookie)) {
		cv_debug("ike", "IKEv1: header refused: %s, %zu bytes", v1_notify_name(err), len);
		ike->stats.rx_malformed++;
		return;
	}
	struct v1_sa *v = sa_for(ike, &h);
	if (!v && is_zero(h.rcookie)) {
		first_message(ike, path, natt, &h, data);
		return;
	}
	if (v && h.next == V1_PL_FRAGMENT) {
		len = v1_fragment_input(v, &h, data, whole);
		data = whole;
		if (!len)
			return;
		err = v1_hdr_parse(data, len, &h);
		if (err || h.next == V1_PL_FRAGMENT || sa_for(ike, &h) != v) {
			ike->stats.rx_malformed++;
			return;
		}
	}
	if (!v) {
		ike->stats.rx_unknown_spi++;
		return;
	}
	switch (h.exchange) {
	case V1_EX_MAIN:
		v1_main_input(v, path, natt, &h, data);
		break;
	case V1_EX_AGGRESSIVE:
		v1_aggr_input(v, path, natt, &h, data);
		break;
	case V1_EX_QUICK:
		if (v->sa.state == V1_QM_IDLE)
			v1_quick_input(v, path, natt, &h, data);
		else
			ike->stats.rx_unexpected++;
		break;
	case V1_EX_TRANSACTION:
		if (v1_keyed(v))
			v1_cfg_input(v, path, natt, &h, data);
		else
			ike->stats.rx_unexpected++;
		break;
	case V1_EX_INFO:
		v1_info_input(v, path, natt, &h, data);
		break;
	default:
		refuse_exchange(ike, path, natt, &h);
	}
}

struct v1_sa *v1_start(struct ike *ike, const struct cfg_map_entry *entry, const struct ike_path *path, bool natt,
	const struct cv_addr *peer)
{
	return (entry->profile_ref->aggressive ? v1_aggr_start : v1_main_start)(ike, entry, path, natt, peer);
}

static struct ike_sa *initiate(struct ike *ike, const struct cfg_map_entry *entry, const struct ike_path *path)
{
	struct v1_sa *v = v1_start(ike, entry, path, false, &path->remote);
	return v ? &v->sa : NULL;
}

/* ---- memory ---- */

static void sa_fini(struct ike_sa *sa)
{
	struct v1_sa *v = v1_of(sa);
	if (v->qms.tqh_last)
		free_exchanges(v);
	ike_timer_stop(sa->ike, &v->wait);
	ike_timer_stop(sa->ike, &v->dpd_timer);
	ike_timer_stop(sa->ike, &v->more);
	v1_tx_free(v, &v->tx);
	v1_frags_free(v);
	v1_cfg_free(v);
	v1_modecfg_release(v);
	v1_aaa_free(v);
	v1_mm_free(v);
	pki_tp_unref(v->own_tp);
	v1_keys_zero(&v->k);
}

/* ---- show ---- */

static const char *state_name(const struct ike_sa *sa)
{
	static const char *const name[] = {
		[V1_MM_NO_STATE] = "MM_NO_STATE",
		[V1_MM_SA_SETUP] = "MM_SA_SETUP",
		[V1_MM_KEY_EXCH] = "MM_KEY_EXCH",
		[V1_CONF_XAUTH] = "CONF_XAUTH",
		[V1_CONF_ADDR] = "CONF_ADDR",
		[V1_QM_IDLE] = "QM_IDLE",
		[V1_DELETED] = "MM_NO_STATE (deleted)",
	};
	static const char *const aggressive[] = {
		[V1_MM_NO_STATE] = "AG_NO_STATE",
		[V1_MM_SA_SETUP] = "AG_INIT_EXCH",
		[V1_MM_KEY_EXCH] = "AG_AUTH",
	};
	if (((const struct v1_sa *)sa)->aaa) /* VRF-41 */
		return sa->state == V1_CONF_XAUTH ? "CONF_AAA_AWAIT" : "AG_AAA_AWAIT";
	return (((const struct v1_sa *)sa)->aggressive && sa->state <= V1_MM_KEY_EXCH ? aggressive : name)[sa->state];
}

static void set_name(json_t *o, const char *key, const struct algo_ike *row)
{
	json_object_set_new(o, key, json_string(row ? row->name : ""));
}

static void set_inner(json_t *o, const char *key, const struct cv_addr *a)
{
	char text[CV_ADDR_STR];
	if (a->af)
		json_object_set_new(o, key, json_string(cv_addr_str(a, text)));
}

static const char *dpd_name(const struct v1_sa *v)
{
	static const char *const name[] = {
		[CFG_DPD_OFF] = "off", [CFG_DPD_ON_DEMAND] = "on-demand", [CFG_DPD_PERIODIC] = "periodic"};
	return v->sa.profile && v->dpd ? name[v->sa.profile->dpd_mode] : "off";
}

static void ids(const struct ike_sa *sa, struct ike_id *local, struct ike_id *peer)
{
	const struct v1_sa *v = (const struct v1_sa *)sa;
	*local = v->id_local;
	*peer = v->id_peer;
}

static void show(const struct ike_sa *sa, json_t *o)
{
	const struct v1_sa *v = (const struct v1_sa *)sa;
	const struct v1_qm *q;
	unsigned open = 0, finished = 0;
	bool agreed = v->k.block != 0;
	TAILQ_FOREACH (q, &v->qms, link)
		q->state != V1_QM_DONE ? open++ : finished++;
	set_name(o, "encr",
		agreed ? algo_ike_get(ALGO_IKE_ENCR, v->k.encr, v->k.encr == IKE_ENCR_3DES ? 0 : v->k.key_len * 8)
		       : NULL);
	set_name(o, "hash", agreed ? algo_ike_get(ALGO_IKE_PRF, v->k.prf, 0) : NULL);
	set_name(o, "group", agreed ? algo_ike_get(ALGO_IKE_GROUP, v->group, 0) : NULL);
	json_object_set_new(o, "auth",
		json_string(v->nonces			? "rsa-encr"
			    : !v->sig_key		? "psk"
			    : v->sig_key == PKI_KEY_RSA ? "rsa-sig"
							: "ecdsa-sig"));
	json_object_set_new(o, "mode", json_string(v->aggressive ? "aggressive" : "main"));
	if (v->xauth_user[0])
		json_object_set_new(o, "xauth_user", json_string(v->xauth_user));
	set_inner(o, "peer_inner_address", &v->gave);
	set_inner(o, "inner_address", &v->got);
	json_object_set_new(o, "quick_modes", json_integer(open));
	json_object_set_new(o, "quick_modes_finished", json_integer(finished));
	json_object_set_new(o, "dpd", json_string(dpd_name(v)));
	json_object_set_new(o, "dpd_misses", json_integer(v->dpd_misses));
	json_object_set_new(o, "deleted", json_boolean(sa->state == V1_DELETED));
}

/* ---- vault ---- */

static void serialize(const struct ike_sa *sa, struct ike_wbuf *w)
{
	const struct v1_sa *v = (const struct v1_sa *)sa;
	ike_put_u32(w, v->k.encr);
	ike_put_u32(w, v->k.prf);
	ike_put_u8(w, v->k.key_len);
	ike_put_blob(w, v->k.skeyid, v->k.hash_len);
	ike_put_blob(w, v->k.d, v->k.hash_len);
	ike_put_blob(w, v->k.a, v->k.hash_len);
	ike_put_blob(w, v->k.e, v->k.hash_len);
	ike_put_blob(w, v->k.ekey, v->k.key_len);
	ike_put_blob(w, v->k.iv, v->k.block);
	ike_put_u32(w, v->group);
	ike_put_u32(w, v->lifetime_s);
	ike_put_id(w, &v->id_local);
	ike_put_id(w, &v->id_peer);
	ike_put_u8(w, (uint8_t)(v->natt_rfc | v->natt_draft << 1 | v->dpd << 2 | v->dpd_peer_seen << 3 |
				v->aggressive << 4 | v->fragment << 5 | v->gave_by_aaa << 6 | v->nonces << 7));
	ike_put_u8(w, (uint8_t)v->sig_key);
	/* a restarted process goes on well beyond what the old one may have sent since */
	ike_put_u32(w, v->dpd_seq + 0x10000);
	ike_put_u32(w, v->dpd_peer_seq);
	ike_put(w, &v->gave, sizeof(v->gave));
	ike_put(w, &v->got, sizeof(v->got));
	ike_put(w, v->xauth_user, sizeof(v->xauth_user));
}

static void get_exact(struct ike_rbuf *r, uint8_t *out, size_t want)
{
	size_t len;
	const uint8_t *p = ike_get_blob(r, &len, want);
	if (p && len == want)
		memcpy(out, p, len);
	else
		r->bad = true;
}

static int restore(struct ike_sa *sa, struct ike_rbuf *r)
{
	struct v1_sa *v = v1_of(sa);
	enum ike_encr encr = (enum ike_encr)ike_get_u32(r);
	enum ike_prf prf = (enum ike_prf)ike_get_u32(r);
	if (v1_keys_init(&v->k, encr, ike_get_u8(r), prf))
		return -1;
	get_exact(r, v->k.skeyid, v->k.hash_len);
	get_exact(r, v->k.d, v->k.hash_len);
	get_exact(r, v->k.a, v->k.hash_len);
	get_exact(r, v->k.e, v->k.hash_len);
	get_exact(r, v->k.ekey, v->k.key_len);
	get_exact(r, v->k.iv, v->k.block);
	v->group = (enum ike_group)ike_get_u32(r);
	v->lifetime_s = ike_get_u32(r);
	ike_get_id(r, &v->id_local);
	ike_get_id(r, &v->id_peer);
	uint8_t flags = ike_get_u8(r);
	v->natt_rfc = flags & 1;
	v->natt_draft = flags & 2;
	v->dpd = flags & 4;
	v->dpd_peer_seen = flags & 8;
	v->aggressive = flags & 16;
	v->fragment = flags & 32;
	v->gave_by_aaa = flags & 64;
	v->nonces = flags & 128;
	v->sig_key = (enum pki_key)ike_get_u8(r);
	v->dpd_seq = ike_get_u32(r);
	v->dpd_peer_seq = ike_get_u32(r);
	struct cv_addr gave;
	ike_get(r, &gave, sizeof(gave));
	ike_get(r, &v->got, sizeof(v->got));
	ike_get(r, v->xauth_user, sizeof(v->xauth_user));
	v->xauth_done = v->config_done = true;
	if (r->bad || sa->state != V1_QM_IDLE || sa->phase == IKE_PHASE_HALF_OPEN)
		return -1;
	if (v->gave_by_aaa)
		v->gave = gave;
	else if (gave.af == CV_AF_INET)
		v1_modecfg_hold(v, &gave);
	if (sa->phase == IKE_PHASE_CLOSING)
		retire_sa(v);
	else
		v1_dpd_start(v);
	return 0;
}

static struct ike_sa *restore_new(struct ike *ike)
{
	struct ike_sa *sa = ike_sa_new(ike, &ike_v1, sizeof(struct v1_sa));
	if (sa)
		TAILQ_INIT(&v1_of(sa)->qms);
	return sa;
}

static void child_serialize(const struct ike_child *c, struct ike_wbuf *w)
{
	ike_put_u32(w, ((const struct v1_child *)c)->replaces);
}

static int child_restore(struct ike_child *c, struct ike_rbuf *r)
{
	v1_child_of(c)->replaces = ike_get_u32(r);
	c->p.inner = v1_of(c->sa)->gave;
	if (!r->bad)
		v1_child_resume(c);
	return r->bad ? -1 : 0;
}

static bool wire_keys(const struct ike_sa *sa, struct ike_wire_keys *out)
{
	static const uint8_t none[V1_EKEY_MAX];
	const struct v1_keys *k = &((const struct v1_sa *)sa)->k;
	if (cv_secret_cmp(k->ekey, none, sizeof(none)) == 0)
		return false;
	out->encr = k->encr;
	out->e_len = k->key_len;
	memcpy(out->ei, k->ekey, k->key_len);
	return true;
}

static void config_changed(struct ike_sa *sa)
{
	if (sa->state == V1_QM_IDLE && sa->phase == IKE_PHASE_ESTABLISHED)
		v1_dpd_start(v1_of(sa));
}

const struct ike_version ike_v1 = {
	.major = 1,
	.input = input,
	.initiate = initiate,
	.child_initiate = v1_quick_wish,
	.child_rekey = v1_quick_rekey,
	.child_delete = child_delete,
	.sa_rekey = sa_rekey,
	.sa_delete = sa_delete,
	.sa_delete_alone = sa_delete_alone,
	.sa_fini = sa_fini,
	.child_fini = v1_child_gone,
	.state_name = state_name,
	.ids = ids,
	.show = show,
	.wire_keys = wire_keys,
	.serialize = serialize,
	.restore_new = restore_new,
	.restore = restore,
	.child_serialize = child_serialize,
	.child_restore = child_restore,
	.child_size = sizeof(struct v1_child),
	.config_changed = config_changed,
};
