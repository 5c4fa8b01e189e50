/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Decisions for a vector of packets: parse all and prefetch, look up all in the worker's own flow cache, classify the
 * few that are not there. A cache entry is valid for one value of spd_generation, so publishing never has to visit the
 * caches.
 */
#include "spd.h"

#include <string.h>

#include <rte_hash_crc.h>
#include <rte_malloc.h>
#include <rte_prefetch.h>

#include "acl.h"
#include "sa.h"
#include "worker.h"

#define CACHE4_LINES 8192u /* of two flows each */
#define CACHE6_LINES 2048u
#define CACHE_WAYS 2u

/* What is asked about packets. */
enum ask { ASK_IN, ASK_OUT, ASK_LIST };
struct question {
	enum ask ask;
	uint32_t acl_id; /* ASK_LIST */
	uint32_t worker; /* else: whose packets they are */
};

/* Everything but addresses, as two words: ports, interface or access list, and VRF; protocol, kind, question, DSCP and
 * generation. */
struct key {
	uint64_t a, b;
};

/* Addresses as they are in the packet (network order); the flow in host order is made only on a miss. */
struct way4 {
	uint64_t addr; /* source, destination */
	struct key key;
	uint64_t verdict;
};
struct way6 {
	uint64_t addr[4];
	struct key key;
	uint64_t verdict;
	uint64_t pad;
};
struct line4 {
	struct way4 way[CACHE_WAYS];
} __rte_cache_aligned;
struct line6 {
	struct way6 way[CACHE_WAYS];
} __rte_cache_aligned;
_Static_assert(sizeof(struct line4) == 64 && sizeof(struct line6) == 128, "whole lines");

struct slot {
	void *line; /* NULL: not IP */
	struct key key;
	uint32_t victim;
	bool v6;
	bool same;	  /* IPv4, the flow of the packet before: its verdict */
	uint64_t addr[4]; /* the first one for IPv4 */
};

struct spd_cache {
	uint32_t worker;
	struct line4 v4[CACHE4_LINES];
	struct line6 v6[CACHE6_LINES];
	struct slot slot[DP_VEC];
} __rte_cache_aligned;

struct spd_cache *spd_cache_create(uint32_t worker)
{
	struct spd_cache *c = rte_zmalloc("spd_cache", sizeof(struct spd_cache), RTE_CACHE_LINE_SIZE);

	if (c)
		c->worker = worker;
	return c;
}

void spd_cache_destroy(struct spd_cache *c)
{
	rte_free(c);
}

/* A verdict in 64 bits: SA index (17), action (3), flags (3), rule id (24). */
static inline uint64_t verdict_pack(const struct spd_verdict *v)
{
	return (uint64_t)v->sa << 32 | (uint64_t)v->action << 27 | (uint64_t)v->flags << 24 | v->rule_id;
}

static inline void verdict_unpack(uint64_t x, struct spd_verdict *v)
{
	v->sa = (uint32_t)(x >> 32);
	v->action = (uint32_t)x >> 27 & 7u;
	v->flags = (uint32_t)x >> 24 & 7u;
	v->rule_id = (uint32_t)x & 0xffffffu;
}

static bool binding_takes(const struct spd_binding *b, const struct flow *f)
{
	for (uint32_t k = 0; k < b->n_sel; k++)
		if (flow_match(&b->sel[k], f, true))
			return true;
	return b->n_sel == 0;
}

/*
 * Of SAs with the same selectors: the newest of the worker's own, else of those for all workers, else any. A worker
 * without one of its own says so.
 */
static uint32_t resource_sa(const struct spd_bindings *set, const struct flow *f, uint32_t worker, bool out)
{
	const struct spd_binding *own = NULL, *common = NULL, *any = NULL;
	for (uint32_t i = 0; i < set->n && !own; i++) {
		const struct spd_binding *b = &set->b[i];
		if (!binding_takes(b, f))
			continue;
		any = any ? any : b;
		common = common || b->resource ? common : b;
		own = b->resource == worker ? b : NULL;
	}
	if (worker == WORKER_MAIN || own)
		return own ? own->sa : any ? any->sa : CV_SA_NONE;
	any = common ? common : any;
	const struct sa *sa = any && out ? sa_get(any->sa) : NULL;
	if (sa)
		sa_event_resource(sa, worker);
	return any ? any->sa : CV_SA_NONE;
}

/* Newest SA of the rule whose negotiated selectors take the flow, 0 = none. */
static uint32_t rule_sa(const struct spd_rule *r, const struct flow *f, uint32_t worker, bool out)
{
	const struct spd_bindings *set = __atomic_load_n(&r->bind, __ATOMIC_ACQUIRE);
	if (set && set->per_resource)
		return resource_sa(set, f, worker, out);
	for (uint32_t i = 0; set && i < set->n; i++)
		if (binding_takes(&set->b[i], f))
			return set->b[i].sa;
	return CV_SA_NONE;
}

static void decide_list(uint32_t acl_id, const struct flow *f, struct spd_verdict *v)
{
	const struct spd_class *c = acl_class(acl_id);
	const struct spd_rule *r = c ? spd_class_lookup(c, f) : NULL;
	*v = (struct spd_verdict){.action = CV_SPD_DISCARD};
	if (!r)
		return;
	v->action = r->action;
	v->rule_id = r->rule_id;
	v->flags = r->flags;
}

static void decide(const struct question *q, uint32_t if_id, const struct flow *f, struct spd_verdict *v)
{
	const struct spd_class *c = spd_on_interface(if_id);
	const struct spd_rule *r = c ? spd_class_lookup(c, f) : NULL;
	*v = (struct spd_verdict){.action = CV_SPD_BYPASS};
	if (!r)
		return;
	v->action = r->action;
	v->rule_id = r->rule_id;
	v->flags = r->flags;
	if (r->action == CV_SPD_PROTECT)
		v->sa = rule_sa(r, f, q->worker, q->ask == ASK_OUT);
}

/* Number of what decides. */
static inline uint32_t judge(const struct question *q, const struct pkt_meta *meta)
{
	return q->ask == ASK_OUT ? meta->if_tx : q->ask == ASK_IN ? meta->if_rx : q->acl_id;
}

static void answer(const struct question *q, struct rte_mbuf *m, struct spd_verdict *verdict)
{
	struct flow f;
	if (!flow_parse(m, &f)) {
		*verdict = (struct spd_verdict){.action = CV_SPD_DISCARD};
		return;
	}
	if (q->ask == ASK_LIST) {
		decide_list(q->acl_id, &f, verdict);
		return;
	}
	if (q->ask == ASK_IN)
		flow_mirror(&f);
	decide(q, judge(q, pkt_meta(m)), &f, verdict);
}

void spd_match_uncached(uint32_t worker, bool out, struct rte_mbuf *m, struct spd_verdict *verdict)
{
	answer(&(struct question){.ask = out ? ASK_OUT : ASK_IN, .worker = worker}, m, verdict);
}

/* Ports as they are in the packet; type and code of ICMP; 0 where there are none. */
static inline uint32_t key_ports(const struct rte_mbuf *m, const struct pkt_meta *meta)
{
	const uint8_t *p = rte_pktmbuf_mtod_offset(m, const uint8_t *, meta->l4_off);
	uint32_t ports;
	if (unlikely(meta->frag == 2 || meta->l4_off + 4u > m->data_len))
		return 0;
	memcpy(&ports, p, 4);
	return ports & flow_ports_mask[meta->l4_proto];
}

static inline void slot_fill6(struct spd_cache *c, struct slot *s, const uint8_t *p, uint32_t h)
{
	memcpy(s->addr, p + 8, 32);
	for (int i = 0; i < 4; i++)
		h = rte_hash_crc_8byte(s->addr[i], h);
	s->line = &c->v6[h & (CACHE6_LINES - 1)];
	s->victim = h >> 31;
	s->v6 = true;
	rte_prefetch0(s->line);
	rte_prefetch0((char *)s->line + RTE_CACHE_LINE_SIZE);
}

/* The key is made of what the packet shows, not mirrored: the direction is part of it. */
static inline void slot_fill(struct spd_cache *c, struct slot *s, const struct slot *prev, const struct question *q,
	struct rte_mbuf *m, uint32_t generation)
{
	struct pkt_meta *meta = pkt_meta(m);
	const uint8_t *p = rte_pktmbuf_mtod(m, const uint8_t *);
	s->line = NULL;
	s->same = false;
	if (unlikely(meta->l4_off == 0 && !flow_locate_l4(m)))
		return;
	s->key.a = (uint64_t)meta->vrf << 48 | (uint64_t)judge(q, meta) << 32 | key_ports(m, meta);
	s->key.b = (uint64_t)generation << 32 | (uint32_t)flow_dscp(p) << 11 | (uint32_t)q->ask << 9 |
		   (uint32_t)(meta->frag == 2) << 8 | meta->l4_proto;
	if (unlikely(p[0] >> 4 != 4)) {
		slot_fill6(c, s, p, rte_hash_crc_8byte(s->key.a, (uint32_t)s->key.b));
		return;
	}
	memcpy(s->addr, p + 12, 8);
	s->v6 = false;
	if (prev && !prev->v6 && prev->line && prev->addr[0] == s->addr[0] && prev->key.a == s->key.a &&
		prev->key.b == s->key.b) {
		s->line = prev->line;
		s->same = true;
		return;
	}
	uint32_t h = rte_hash_crc_8byte(s->addr[0], rte_hash_crc_8byte(s->key.a, (uint32_t)s->key.b));
	s->line = &c->v4[h & (CACHE4_LINES - 1)];
	s->victim = h >> 31;
	rte_prefetch0(s->line);
}

/* An entry of an older generation is as good as empty. */
static inline uint32_t pick_way(const struct slot *s, const struct key *first, const struct key *second)
{
	if (first->b >> 32 != s->key.b >> 32)
		return 0;
	return second->b >> 32 != s->key.b >> 32 ? 1 : s->victim;
}

static inline void match4(struct slot *s, const struct question *q, struct rte_mbuf *m, struct spd_verdict *v)
{
	struct line4 *line = s->line;
	for (uint32_t i = 0; i < CACHE_WAYS; i++) {
		const struct way4 *w = &line->way[i];
		if (likely(w->addr == s->addr[0] && w->key.a == s->key.a && w->key.b == s->key.b)) {
			verdict_unpack(w->verdict, v);
			return;
		}
	}
	answer(q, m, v);
	line->way[pick_way(s, &line->way[0].key, &line->way[1].key)] =
		(struct way4){.addr = s->addr[0], .key = s->key, .verdict = verdict_pack(v)};
}

static inline void match6(struct slot *s, const struct question *q, struct rte_mbuf *m, struct spd_verdict *v)
{
	struct line6 *line = s->line;
	for (uint32_t i = 0; i < CACHE_WAYS; i++) {
		const struct way6 *w = &line->way[i];
		if (!memcmp(w->addr, s->addr, sizeof(w->addr)) && w->key.a == s->key.a && w->key.b == s->key.b) {
			verdict_unpack(w->verdict, v);
			return;
		}
	}
	answer(q, m, v);
	struct way6 *w = &line->way[pick_way(s, &line->way[0].key, &line->way[1].key)];
	*w = (struct way6){.key = s->key, .verdict = verdict_pack(v)};
	memcpy(w->addr, s->addr, sizeof(w->addr));
}

static __rte_always_inline void match(struct spd_cache *c, const struct question *q, struct rte_mbuf *const *pkts,
	uint32_t n, struct spd_verdict *verdict)
{
	uint32_t generation = __atomic_load_n(&spd_generation, __ATOMIC_ACQUIRE);
	for (uint32_t i = 0; i < n; i++)
		slot_fill(c, &c->slot[i], i ? &c->slot[i - 1] : NULL, q, pkts[i], generation);
	for (uint32_t i = 0; i < n; i++) {
		struct slot *s = &c->slot[i];
		if (s->same)
			verdict[i] = verdict[i - 1];
		else if (unlikely(!s->line))
			verdict[i] = (struct spd_verdict){.action = CV_SPD_DISCARD};
		else if (likely(!s->v6))
			match4(s, q, pkts[i], &verdict[i]);
		else
			match6(s, q, pkts[i], &verdict[i]);
	}
}

void spd_match(struct spd_cache *c, bool out, struct rte_mbuf *const *pkts, uint32_t n, struct spd_verdict *verdict)
{
	match(c, &(struct question){.ask = out ? ASK_OUT : ASK_IN, .worker = c->worker}, pkts, n, verdict);
}

void spd_match_list(
	struct spd_cache *c, uint32_t acl_id, struct rte_mbuf *const *pkts, uint32_t n, struct spd_verdict *verdict)
{
	match(c, &(struct question){.ask = ASK_LIST, .acl_id = acl_id}, pkts, n, verdict);
}
