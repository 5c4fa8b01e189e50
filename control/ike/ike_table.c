/* SPDX-License-Identifier: BSD-3-Clause */
/* Timers, hash tables, and the life of an IKE SA in them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ike_internal.h"

/* ---- timers ---- */

static void heap_place(struct ike *ike, unsigned pos, struct ike_timer *t)
{
	ike->heap[pos] = t;
	t->pos = pos;
}

static void heap_up(struct ike *ike, unsigned pos, struct ike_timer *t)
{
	for (; pos > 1 && ike->heap[pos / 2]->at_ms > t->at_ms; pos /= 2)
		heap_place(ike, pos, ike->heap[pos / 2]);
	heap_place(ike, pos, t);
}

static void heap_down(struct ike *ike, unsigned pos, struct ike_timer *t)
{
	for (;;) {
		unsigned child = pos * 2;
		if (child > ike->heap_n)
			break;
		if (child < ike->heap_n && ike->heap[child + 1]->at_ms < ike->heap[child]->at_ms)
			child++;
		if (ike->heap[child]->at_ms >= t->at_ms)
			break;
		heap_place(ike, pos, ike->heap[child]);
		pos = child;
	}
	heap_place(ike, pos, t);
}

static void heap_fix(struct ike *ike, unsigned pos, struct ike_timer *t)
{
	heap_up(ike, pos, t);
	heap_down(ike, t->pos, t);
}

void ike_timer_set(struct ike *ike, struct ike_timer *t, uint64_t at_ms)
{
	t->at_ms = at_ms;
	if (t->pos) {
		heap_fix(ike, t->pos, t);
		return;
	}
	if (ike->heap_n + 1 >= ike->heap_size) {
		unsigned size = ike->heap_size ? ike->heap_size * 2 : 64;
		struct ike_timer **h = realloc(ike->heap, size * sizeof(*h));
		if (!h)
			abort(); /* a timer that is lost is an SA that never dies */
		ike->heap = h;
		ike->heap_size = size;
	}
	heap_up(ike, ++ike->heap_n, t);
}

void ike_timer_stop(struct ike *ike, struct ike_timer *t)
{
	unsigned pos = t->pos;
	if (!pos)
		return;
	struct ike_timer *last = ike->heap[ike->heap_n--];
	t->pos = 0;
	if (last != t)
		heap_fix(ike, pos, last);
}

uint64_t ike_next_timeout(struct ike *ike)
{
	if (!ike->heap_n)
		return UINT64_MAX;
	uint64_t now = ike_now(ike), at = ike->heap[1]->at_ms;
	return at > now ? at - now : 0;
}

void ike_run_timers(struct ike *ike)
{
	uint64_t now = ike_now(ike);
	ike_enter(ike);
	while (ike->heap_n && ike->heap[1]->at_ms <= now) {
		struct ike_timer *t = ike->heap[1];
		ike_timer_stop(ike, t);
		t->fire(ike, t);
	}
	ike_leave(ike);
}

/* ---- hash tables ---- */

static uint64_t hash_bytes(const struct ike *ike, uint64_t h, const void *data, size_t len)
{
	const uint8_t *p = data;
	h ^= ike->seed;
	for (size_t i = 0; i < len; i++) {
		h = (h ^ p[i]) * 0x9e3779b97f4a7c15ull;
		h ^= h >> 29;
	}
	return h;
}

static void htab_unlink(struct ike_htab *t, struct ike_hlink *l)
{
	if (!l->pprev)
		return;
	*l->pprev = l->next;
	if (l->next)
		l->next->pprev = l->pprev;
	l->pprev = NULL;
	l->next = NULL;
	t->n--;
}

static void bucket_push(struct ike_hlink **b, struct ike_hlink *l)
{
	l->next = *b;
	if (*b)
		(*b)->pprev = &l->next;
	*b = l;
	l->pprev = b;
}

static void htab_grow(struct ike_htab *t)
{
	unsigned size = t->bucket ? (t->mask + 1) * 2 : 64;
	struct ike_hlink **nb = calloc(size, sizeof(*nb));
	if (!nb) {
		if (t->bucket)
			return; /* longer chains, nothing lost */
		abort();
	}
	for (unsigned i = 0; t->bucket && i <= t->mask; i++) {
		struct ike_hlink *next;
		for (struct ike_hlink *l = t->bucket[i]; l; l = next) {
			next = l->next;
			bucket_push(&nb[l->hash & (size - 1)], l);
		}
	}
	free(t->bucket);
	t->bucket = nb;
	t->mask = size - 1;
}

static void htab_link(struct ike_htab *t, struct ike_hlink *l, uint64_t hash)
{
	htab_unlink(t, l);
	if (!t->bucket || t->n > t->mask)
		htab_grow(t);
	l->hash = hash;
	bucket_push(&t->bucket[hash & t->mask], l);
	t->n++;
}

static struct ike_hlink *htab_first(const struct ike_htab *t, uint64_t hash)
{
	struct ike_hlink *l = t->bucket ? t->bucket[hash & t->mask] : NULL;
	while (l && l->hash != hash)
		l = l->next;
	return l;
}

static struct ike_hlink *htab_next(struct ike_hlink *l)
{
	uint64_t hash = l->hash;
	do {
		l = l->next;
	} while (l && l->hash != hash);
	return l;
}

static const uint8_t zero_spi[IKE_SPI_LEN];

static bool spi_is_zero(const uint8_t *spi)
{
	return memcmp(spi, zero_spi, IKE_SPI_LEN) == 0;
}

static uint64_t hash_peer(const struct ike *ike, const uint8_t *spi, const struct cv_addr *remote)
{
	return hash_bytes(ike, hash_bytes(ike, 1, spi, IKE_SPI_LEN), remote->b, sizeof(remote->b));
}

static uint64_t hash_addr(const struct ike *ike, uint32_t vrf, const struct cv_addr *remote)
{
	return hash_bytes(ike, hash_bytes(ike, 2, &vrf, sizeof(vrf)), remote->b, sizeof(remote->b));
}

/* ---- SA table ---- */

struct ike_sa *ike_sa_new(struct ike *ike, const struct ike_version *v, size_t size)
{
	struct ike_sa *sa = calloc(1, size);
	if (!sa)
		return NULL;
	sa->ike = ike;
	sa->v = v;
	sa->id = ++ike->next_sa_id;
	sa->vault_rec = -1;
	sa->created_ms = sa->last_rx_ms = ike_now(ike);
	TAILQ_INIT(&sa->children);
	TAILQ_INIT(&sa->reqs);
	TAILQ_INIT(&sa->jobs);
	TAILQ_INSERT_TAIL(&ike->sas, sa, all);
	ike->n_sas++;
	ike->n_calls[sa->call]++;
	return sa;
}

static void count_call(struct ike_sa *sa)
{
	enum ike_call call = sa->dead				  ? IKE_CALL_NONE
			     : sa->phase == IKE_PHASE_HALF_OPEN	  ? IKE_CALL_NEGOTIATING
			     : sa->phase == IKE_PHASE_ESTABLISHED ? IKE_CALL_ACTIVE
								  : IKE_CALL_NONE;
	sa->ike->n_calls[sa->call]--;
	sa->ike->n_calls[call]++;
	sa->call = call;
}

void ike_sa_closing(struct ike_sa *sa)
{
	sa->phase = IKE_PHASE_CLOSING;
	count_call(sa);
}

void ike_sa_reopened(struct ike_sa *sa)
{
	sa->phase = IKE_PHASE_ESTABLISHED;
	count_call(sa);
}

void ike_sa_link(struct ike_sa *sa)
{
	struct ike *ike = sa->ike;
	const uint8_t *local = ike_sa_local_spi(sa), *peer = ike_sa_peer_spi(sa);
	if (!sa->peer.af)
		sa->peer = sa->path.remote;
	if (!spi_is_zero(local))
		htab_link(&ike->by_spi, &sa->by_spi, hash_bytes(ike, 0, local, IKE_SPI_LEN));
	if (!spi_is_zero(peer))
		htab_link(&ike->by_peer, &sa->by_peer, hash_peer(ike, peer, &sa->path.remote));
	htab_link(&ike->by_addr, &sa->by_addr, hash_addr(ike, sa->path.vrf, &sa->peer));
	if (!sa->initiator && sa->phase == IKE_PHASE_HALF_OPEN && !sa->counted_half_open) {
		sa->counted_half_open = true;
		ike->n_half_open++;
	}
	count_call(sa);
}

static void half_open_done(struct ike_sa *sa)
{
	if (sa->counted_half_open) {
		sa->counted_half_open = false;
		sa->ike->n_half_open--;
	}
}

struct ike_sa *ike_sa_by_spi(struct ike *ike, const struct ike_version *v, const uint8_t spi[IKE_SPI_LEN])
{
	struct ike_hlink *l = htab_first(&ike->by_spi, hash_bytes(ike, 0, spi, IKE_SPI_LEN));
	for (; l; l = htab_next(l)) {
		struct ike_sa *sa = IKE_CONTAINER(l, struct ike_sa, by_spi);
		if (sa->v == v && memcmp(ike_sa_local_spi(sa), spi, IKE_SPI_LEN) == 0)
			return sa;
	}
	return NULL;
}

struct ike_sa *ike_sa_by_peer(
	struct ike *ike, const struct ike_version *v, const uint8_t spi[IKE_SPI_LEN], const struct ike_path *path)
{
	struct ike_hlink *l = htab_first(&ike->by_peer, hash_peer(ike, spi, &path->remote));
	for (; l; l = htab_next(l)) {
		struct ike_sa *sa = IKE_CONTAINER(l, struct ike_sa, by_peer);
		if (sa->v == v && sa->path.vrf == path->vrf && cv_addr_eq(&sa->path.remote, &path->remote) &&
			memcmp(ike_sa_peer_spi(sa), spi, IKE_SPI_LEN) == 0)
			return sa;
	}
	return NULL;
}

struct ike_sa *ike_sa_next_by_addr(struct ike *ike, uint32_t vrf, const struct cv_addr *remote, struct ike_sa *prev)
{
	struct ike_hlink *l = prev ? htab_next(&prev->by_addr) : htab_first(&ike->by_addr, hash_addr(ike, vrf, remote));
	for (; l; l = htab_next(l)) {
		struct ike_sa *sa = IKE_CONTAINER(l, struct ike_sa, by_addr);
		if (sa->path.vrf == vrf && cv_addr_eq(&sa->peer, remote))
			return sa;
	}
	return NULL;
}

void ike_spi_new(struct ike *ike, uint8_t spi[IKE_SPI_LEN])
{
	do {
		ikec_random(spi, IKE_SPI_LEN);
	} while (spi_is_zero(spi) || ike_sa_by_spi(ike, &ike_v1, spi) || ike_sa_by_spi(ike, &ike_v2, spi));
}

static void life_fire(struct ike *ike, struct ike_timer *t)
{
	struct ike_sa *sa = IKE_CONTAINER(t, struct ike_sa, life);
	if (ike_now(ike) >= sa->hard_ms) {
		sa->v->sa_delete(sa, "lifetime expired");
		return;
	}
	ike_timer_set(ike, t, sa->hard_ms);
	sa->v->sa_rekey(sa);
}

static void keepalive_fire(struct ike *ike, struct ike_timer *t)
{
	struct ike_sa *sa = IKE_CONTAINER(t, struct ike_sa, keepalive);
	static const uint8_t keepalive = 0xff; /* RFC 3948 2.3 */
	ike->ops.send(ike->ctx, &sa->path, false, &keepalive, 1);
	ike_keepalive_arm(sa);
}

void ike_keepalive_arm(struct ike_sa *sa)
{
	uint32_t s = sa->profile ? sa->profile->nat_keepalive_s : 0;
	/* Only the side behind the NAT has a mapping to keep alive (RFC 7296 2.23). */
	if (!sa->natt || !sa->nat_local || !s) {
		ike_timer_stop(sa->ike, &sa->keepalive);
		return;
	}
	sa->keepalive.fire = keepalive_fire;
	ike_timer_set(sa->ike, &sa->keepalive, ike_now(sa->ike) + s * 1000ull);
}

/* Start timers from soft_ms and hard_ms: at establishment and after a restore. */
static void life_arm(struct ike_sa *sa)
{
	uint64_t now = ike_now(sa->ike), soft = sa->soft_ms > now ? sa->soft_ms : now;
	sa->life.fire = life_fire;
	if (sa->hard_ms)
		ike_timer_set(sa->ike, &sa->life, soft < sa->hard_ms ? soft : sa->hard_ms);
	ike_keepalive_arm(sa);
}

void ike_sa_established(struct ike_sa *sa, uint32_t lifetime_s)
{
	struct ike *ike = sa->ike;
	uint64_t now = ike_now(ike);
	half_open_done(sa);
	sa->phase = IKE_PHASE_ESTABLISHED;
	sa->established_ms = now;
	if (lifetime_s) {
		sa->hard_ms = now + lifetime_s * 1000ull;
		sa->soft_ms = now + ike_soft_ms(lifetime_s * 1000ull, sa->initiator);
	}
	ike->stats.sa_established++;
	ike_sa_link(sa);
	life_arm(sa);
	ike_event(ike, sa->rekeys ? IKE_EVT_REKEYED : IKE_EVT_UP, sa, &sa->path, sa->entry, NULL);
}

void ike_sa_resume(struct ike_sa *sa)
{
	ike_sa_link(sa);
	life_arm(sa);
}

static void drop_jobs(struct ike_sa *sa)
{
	struct ike_job *j;
	while ((j = TAILQ_FIRST(&sa->jobs))) {
		TAILQ_REMOVE(&sa->jobs, j, link);
		j->sa = NULL;
	}
}

static void sa_unlink(struct ike_sa *sa)
{
	struct ike *ike = sa->ike;
	htab_unlink(&ike->by_spi, &sa->by_spi);
	htab_unlink(&ike->by_peer, &sa->by_peer);
	htab_unlink(&ike->by_addr, &sa->by_addr);
	TAILQ_REMOVE(&ike->sas, sa, all);
	ike->n_sas--;
	half_open_done(sa);
	count_call(sa);
	ike->n_calls[sa->call]--;
	ike_timer_stop(ike, &sa->life);
	ike_timer_stop(ike, &sa->keepalive);
	if (sa->vault_rec >= 0)
		ike->ops.vault_free(ike->ctx, sa->vault_rec);
	sa->vault_rec = -1;
}

void ike_sa_destroy(struct ike_sa *sa, const char *reason)
{
	struct ike *ike = sa->ike;
	bool was_up = sa->established_ms != 0;
	if (sa->dead)
		return;
	ike_enter(ike);
	sa->dead = true;
	sa->fail_reason = reason;
	sa_unlink(sa);
	drop_jobs(sa);
	struct ike_child *c;
	while ((c = TAILQ_FIRST(&sa->children)))
		ike_child_remove(c, 0);
	if (was_up && sa->phase != IKE_PHASE_CLOSING)
		ike_event(ike, IKE_EVT_DOWN, sa, &sa->path, sa->entry, reason);
	else if (!was_up && reason) {
		ike->stats.sa_failed++;
		ike_event(ike, IKE_EVT_FAILED, sa, &sa->path, sa->entry, reason);
	}
	sa->v->sa_fini(sa);
	ike_proof_free(sa);
	struct ike_req *r;
	while ((r = TAILQ_FIRST(&sa->reqs)))
		ike_req_done(r, -ECONNREFUSED, reason ? reason : "IKE SA deleted");
	TAILQ_INSERT_TAIL(&ike->dead_sas, sa, all);
	ike_leave(ike);
}

void ike_initial_contact(struct ike_sa *sa)
{
	struct ike *ike = sa->ike;
	struct ike_sa *o = ike_sa_next_by_addr(ike, sa->path.vrf, &sa->path.remote, NULL), *next;
	for (; o; o = next) {
		next = ike_sa_next_by_addr(ike, sa->path.vrf, &sa->path.remote, o);
		if (o != sa && o->phase != IKE_PHASE_HALF_OPEN && cv_addr_eq(&o->path.local, &sa->path.local) &&
			o->path.rport == sa->path.rport)
			ike_sa_destroy(o, "initial contact from peer");
	}
}

void ike_sa_send_to(struct ike_sa *sa, const struct ike_path *path, bool natt, const void *data, size_t len)
{
	struct ike *ike = sa->ike;
	ike->stats.tx_messages++;
	sa->tx++;
	ike->ops.send(ike->ctx, path, natt, data, len);
}

void ike_sa_send(struct ike_sa *sa, const void *data, size_t len)
{
	ike_sa_send_to(sa, &sa->path, sa->natt, data, len);
	if (ike_timer_running(&sa->keepalive))
		ike_keepalive_arm(sa);
}

void ike_sa_moved(struct ike_sa *sa)
{
	struct ike *ike = sa->ike;
	struct ike_child *c;
	ike_sa_link(sa);
	TAILQ_FOREACH (c, &sa->children, link) {
		c->p.path = sa->path;
		if (c->child_id)
			ike->ops.child_move(ike->ctx, c->child_id, &sa->path, sa->encap);
	}
	if (sa->v->moved)
		sa->v->moved(sa);
	ike_event(ike, IKE_EVT_PEER_MOVED, sa, &sa->path, sa->entry, NULL);
	ike_sa_save(sa);
}

void ike_sa_move(struct ike_sa *sa, const struct cv_addr *remote, uint16_t rport)
{
	if (cv_addr_eq(&sa->path.remote, remote) && sa->path.rport == rport)
		return;
	sa->path.remote = *remote;
	sa->path.rport = rport;
	ike_sa_moved(sa);
}

/* ---- children by id, wishes by key: the tables are private to this file ---- */

void ike_child_index(struct ike_child *c)
{
	struct ike *ike = c->sa->ike;
	htab_link(&ike->by_child, &c->by_id, hash_bytes(ike, 3, &c->child_id, sizeof(c->child_id)));
}

void ike_child_unindex(struct ike_child *c)
{
	htab_unlink(&c->sa->ike->by_child, &c->by_id);
}

struct ike_child *ike_child_by_id(struct ike *ike, uint32_t child_id)
{
	struct ike_hlink *l = htab_first(&ike->by_child, hash_bytes(ike, 3, &child_id, sizeof(child_id)));
	for (; l; l = htab_next(l)) {
		struct ike_child *c = IKE_CONTAINER(l, struct ike_child, by_id);
		if (c->child_id == child_id)
			return c;
	}
	return NULL;
}

static uint64_t hash_req(const struct ike *ike, uint32_t rule_id, const struct cv_selector *sel)
{
	return hash_bytes(ike, hash_bytes(ike, 4, &rule_id, sizeof(rule_id)), sel, sizeof(*sel));
}

void ike_req_index(struct ike *ike, struct ike_req *r)
{
	htab_link(&ike->by_req, &r->by_key, hash_req(ike, r->rule_id, &r->sel));
}

void ike_req_unindex(struct ike *ike, struct ike_req *r)
{
	htab_unlink(&ike->by_req, &r->by_key);
}

struct ike_req *ike_req_find(
	struct ike *ike, uint32_t rule_id, const struct cv_selector *sel, const struct cfg_map_entry *entry)
{
	struct ike_hlink *l = htab_first(&ike->by_req, hash_req(ike, rule_id, sel));
	for (; l; l = htab_next(l)) {
		struct ike_req *r = IKE_CONTAINER(l, struct ike_req, by_key);
		if (r->rule_id == rule_id && r->entry == entry && memcmp(&r->sel, sel, sizeof(*sel)) == 0)
			return r;
	}
	return NULL;
}

void ike_tables_free(struct ike *ike)
{
	free(ike->heap);
	free(ike->by_spi.bucket);
	free(ike->by_peer.bucket);
	free(ike->by_addr.bucket);
	free(ike->by_child.bucket);
	free(ike->by_req.bucket);
	free(ike->current);
	ike_pools_free(ike);
	ike_learned_free(ike);
}

/* ---- time ---- */

static uint64_t random_below(uint64_t n)
{
	uint32_t r;
	ikec_random(&r, sizeof(r));
	return n ? (uint64_t)r * n / UINT32_MAX : 0;
}

uint64_t ike_soft_ms(uint64_t hard_ms, bool initiator)
{
	/* initiator 80..90 %, responder 91..96 %: the side that asked for the SA renews it, the other is the backup */
	uint64_t base = initiator ? hard_ms / 100 * 80 : hard_ms / 100 * 91;
	return base + random_below(initiator ? hard_ms / 10 : hard_ms / 20);
}

uint64_t ike_backoff_ms(unsigned n)
{
	uint64_t ms = 1000ull << (n < 4 ? n : 4);
	return ms + random_below(ms / 10);
}
