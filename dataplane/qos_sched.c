/* SPDX-License-Identifier: BSD-3-Clause */
#include "qos_sched.h"

#include <string.h>

#include <rte_malloc.h>

#define NONE UINT32_MAX
#define QUANTUM 1514u /* bytes that a flow may send in its turn */
#define SHARE_SHIFT 32u
#define TOTAL_BURST 800u /* an interface's rate in bits per second, by this: what it gives in 10 ms, in bytes */
#define TOTAL_BURST_MIN UINT64_C(3000)
#define EMPTY_SAMPLES 10000u /* a second: an empty queue is as if a packet had found it so every 100 us */

/* A packet that waits. Nodes are numbers: free ones are a list, those of a flow another. */
struct node {
	struct rte_mbuf *m;
	uint64_t at; /* TSC when it came */
	uint32_t next, len;
};

struct flow {
	uint32_t head, tail, n;
	uint32_t next; /* flow whose turn is next */
	uint32_t deficit;
};

struct queue {
	const struct cv_qos_class *conf;
	struct cv_qos_counters *c;
	struct flow *flow;
	uint32_t n_flow, n;
	uint32_t first, last; /* flows with packets, in the order of their turns */
	uint64_t start;	      /* what it has had so far, in bytes by its weight */
	struct qos_wred wred;
};

struct qos_sched {
	struct qos_shared *shared;
	uint32_t n_class, n, n_other; /* packets: all, and those without priority */
	bool congested;		      /* somebody without priority was left waiting by the last burst */
	uint64_t served;	      /* start of the class served last */
	uint64_t delay[CV_QOS_DELAYS - 1];
	uint64_t sample; /* TSC cycles in which an empty queue counts once for random early detection */
	uint32_t free;
	struct node *node;
	struct flow *flows;
	struct queue q[CV_QOS_CLASSES];
};

void qos_shared_init(struct qos_shared *s, const struct cv_qos_class *cls, uint32_t n_class, uint64_t total_bps,
	uint64_t tsc_hz, uint64_t now)
{
	memset(s, 0, sizeof(*s));
	for (uint32_t i = 0; i < n_class; i++) {
		if (cls[i].priority)
			qos_bucket_init(&s->priority[i], cls[i].priority, cls[i].priority_burst, tsc_hz, now);
		if (cls[i].shape)
			qos_bucket_init(&s->shape[i], cls[i].shape, cls[i].shape_burst, tsc_hz, now);
	}
	if (total_bps)
		qos_bucket_init(&s->total, total_bps, RTE_MAX(total_bps / TOTAL_BURST, TOTAL_BURST_MIN), tsc_hz, now);
}

static void queues_lay_out(struct qos_sched *s, const struct cv_qos_class *cls, struct cv_qos_counters *counters)
{
	struct flow *f = s->flows;

	for (uint32_t i = 0; i < s->n_class; i++) {
		s->q[i] = (struct queue){
			.conf = &cls[i], .c = &counters[i], .flow = f, .n_flow = cls[i].fair_queues, .first = NONE};
		qos_wred_init(&s->q[i].wred, (i + 1) * 2654435761u, 0);
		for (uint32_t k = 0; k < cls[i].fair_queues; k++)
			*f++ = (struct flow){.head = NONE};
	}
}

struct qos_sched *qos_sched_create(const struct cv_qos_class *cls, uint32_t n_class, struct qos_shared *shared,
	struct cv_qos_counters *counters, uint64_t tsc_hz)
{
	struct qos_sched *s = rte_zmalloc("qos_sched", sizeof(*s), RTE_CACHE_LINE_SIZE);
	uint32_t n_node = 0, n_flow = 0;

	if (!s)
		return NULL;
	for (uint32_t i = 0; i < n_class; i++) {
		n_node += cls[i].queue_limit;
		n_flow += cls[i].fair_queues;
	}
	s->shared = shared;
	s->n_class = n_class;
	for (uint64_t i = 0, us = 10; i < CV_QOS_DELAYS - 1; i++, us *= 10)
		s->delay[i] = tsc_hz / 1000000 * us;
	s->sample = tsc_hz / EMPTY_SAMPLES;
	s->node = rte_malloc("qos_nodes", n_node * sizeof(*s->node), RTE_CACHE_LINE_SIZE);
	s->flows = rte_malloc("qos_flows", n_flow * sizeof(*s->flows), RTE_CACHE_LINE_SIZE);
	if (!s->node || !s->flows) {
		qos_sched_free(s);
		return NULL;
	}
	for (uint32_t i = 0; i < n_node; i++)
		s->node[i].next = i + 1 < n_node ? i + 1 : NONE;
	queues_lay_out(s, cls, counters);
	return s;
}

void qos_sched_free(struct qos_sched *s)
{
	if (!s)
		return;
	rte_free(s->node);
	rte_free(s->flows);
	rte_free(s);
}

uint32_t qos_sched_backlog(const struct qos_sched *s)
{
	return s->n;
}

/* ---- flows of a queue ---- */

static void flow_append(struct qos_sched *s, struct queue *q, uint32_t f, struct rte_mbuf *m, uint64_t now)
{
	struct flow *fl = &q->flow[f];
	const uint32_t i = s->free;
	struct node *nd = &s->node[i];

	s->free = nd->next;
	*nd = (struct node){.m = m, .at = now, .next = NONE, .len = rte_pktmbuf_pkt_len(m)};
	if (fl->n++) {
		s->node[fl->tail].next = i;
	} else {
		fl->head = i;
		fl->next = NONE;
		fl->deficit = 0;
		if (q->first == NONE)
			q->first = f;
		else
			q->flow[q->last].next = f;
		q->last = f;
	}
	fl->tail = i;
}

/* The first packet of the flow whose turn it is; its node, which is free afterwards but still holds what it held. */
static const struct node *flow_take(struct qos_sched *s, struct queue *q, uint32_t f)
{
	struct flow *fl = &q->flow[f];
	const uint32_t i = fl->head;

	fl->head = s->node[i].next;
	fl->n--;
	s->node[i].next = s->free;
	s->free = i;
	return &s->node[i];
}

/* The flow at the front has had its turn, or has nothing left. */
static void turn_over(struct queue *q)
{
	const uint32_t f = q->first;

	q->first = q->flow[f].next;
	if (!q->flow[f].n)
		return;
	q->flow[f].next = NONE;
	if (q->first == NONE)
		q->first = f;
	else
		q->flow[q->last].next = f;
	q->last = f;
}

/* Bring the flow that may send its first packet to the front; returns its length. */
static uint32_t front(const struct qos_sched *s, struct queue *q)
{
	for (;;) {
		struct flow *fl = &q->flow[q->first];
		const uint32_t len = s->node[fl->head].len;

		if (q->n_flow == 1 || fl->deficit >= len)
			return len;
		fl->deficit += QUANTUM;
		if (fl->deficit < len)
			turn_over(q);
	}
}

static const struct node *queue_take(struct qos_sched *s, struct queue *q, uint32_t len, uint64_t now)
{
	struct flow *fl = &q->flow[q->first];
	const struct node *nd = flow_take(s, q, q->first);

	fl->deficit = q->n_flow == 1 ? 0 : fl->deficit - len;
	q->n--;
	s->n--;
	s->n_other -= !q->conf->priority;
	q->c->depth = q->n;
	if (!q->n)
		qos_wred_empty(&q->wred, now);
	if (!fl->n || (q->n_flow > 1 && fl->deficit < s->node[fl->head].len))
		turn_over(q);
	return nd;
}

/* ---- in ---- */

enum qos_early qos_sched_early(struct qos_sched *s, uint32_t class_no, uint8_t dscp, uint64_t now)
{
	struct queue *q = &s->q[class_no];

	if (!q->conf->wred.weight)
		return QOS_EARLY_NO;
	const enum qos_early what = qos_wred_arrives(&q->wred, &q->conf->wred, dscp, q->n, now, s->sample);

	q->c->average = q->wred.average >> QOS_WRED_SHIFT;
	return what;
}

/* The oldest packet of the longest flow makes room for one of a flow that has less (fair queues only). */
static struct rte_mbuf *make_room(struct qos_sched *s, struct queue *q, uint32_t f)
{
	uint32_t longest = f;

	for (uint32_t i = q->first; i != NONE; i = q->flow[i].next)
		if (q->flow[i].n > q->flow[longest].n)
			longest = i;
	/* one that would be empty afterwards keeps its packet, so that the order of turns stays as it is */
	if (longest == f || q->flow[longest].n < 2)
		return NULL;
	q->n--;
	s->n--;
	s->n_other--;
	return flow_take(s, q, longest)->m;
}

/* Workers compete for the interface's rate, if it has one, and for nothing else. */
static bool is_congested(const struct qos_sched *s)
{
	return s->congested ||
	       (s->shared->total.depth && __atomic_load_n(&s->shared->n_congested, __ATOMIC_RELAXED) != 0);
}

static void congestion_is(struct qos_sched *s, bool congested)
{
	if (congested != s->congested && s->shared->total.depth)
		__atomic_fetch_add(&s->shared->n_congested, congested ? 1 : -1u, __ATOMIC_RELAXED);
	s->congested = congested;
}

struct rte_mbuf *qos_sched_put(
	struct qos_sched *s, uint32_t class_no, struct rte_mbuf *m, uint32_t hash, uint64_t now, enum drop_reason *why)
{
	struct queue *q = &s->q[class_no];
	const uint32_t f = q->n_flow > 1 ? hash % q->n_flow : 0;
	const uint32_t len = rte_pktmbuf_pkt_len(m);
	struct rte_mbuf *victim = NULL;

	if (q->conf->priority && !qos_bucket_take(&s->shared->priority[class_no], len, len, now) && is_congested(s)) {
		q->c->priority_drops++;
		*why = DROP_QOS_PRIORITY;
		return m;
	}
	if (unlikely(q->n >= q->conf->queue_limit)) {
		q->c->queue_drops++;
		*why = DROP_QOS_QUEUE;
		victim = q->n_flow > 1 ? make_room(s, q, f) : NULL;
		if (!victim)
			return m;
	}
	if (!q->n && (int64_t)(s->served - q->start) > 0) /* what it did not use while it had nothing is gone */
		q->start = s->served;
	flow_append(s, q, f, m, now);
	q->n++;
	s->n++;
	s->n_other += !q->conf->priority;
	q->c->depth = q->n;
	if (q->n > q->c->depth_max)
		q->c->depth_max = q->n;
	return victim;
}

/* ---- out ---- */

/* May a packet go that can borrow so many bytes of the interface's rate? */
static bool rate_lets(const struct qos_sched *s, uint32_t debt, uint64_t now, enum qos_get what)
{
	const struct qos_bucket *total = &s->shared->total;

	return what == QOS_GET_FLUSH || !total->depth || qos_bucket_open(total, debt, now);
}

/* The class to be served next, NONE when rates keep all that wait. */
static uint32_t pick(struct qos_sched *s, uint64_t now, enum qos_get what)
{
	uint32_t best = NONE;

	for (uint32_t i = 0; i < s->n_class; i++)
		if (s->q[i].conf->priority && s->q[i].n && rate_lets(s, s->q[i].conf->priority_burst, now, what))
			return i;
	if (what == QOS_GET_PRIORITY || !s->n_other || !rate_lets(s, 0, now, what))
		return NONE;
	for (uint32_t i = 0; i < s->n_class; i++) {
		const struct queue *q = &s->q[i];

		if (!q->n || q->conf->priority || (best != NONE && (int64_t)(q->start - s->q[best].start) >= 0))
			continue;
		if (what == QOS_GET_FLUSH || !q->conf->shape || qos_bucket_open(&s->shared->shape[i], 0, now))
			best = i;
	}
	return best;
}

static void sent(const struct qos_sched *s, struct queue *q, const struct node *nd, uint64_t now)
{
	uint32_t i = 0;

	while (i < CV_QOS_DELAYS - 1 && now - nd->at >= s->delay[i])
		i++;
	q->c->delay[i]++;
	q->c->sent_packets++;
	q->c->sent_bytes += nd->len;
}

uint32_t qos_sched_get(struct qos_sched *s, struct rte_mbuf **out, uint32_t max, uint64_t now, enum qos_get what)
{
	uint32_t n = 0;

	while (n < max && s->n) {
		const uint32_t i = pick(s, now, what);

		if (i == NONE)
			break;
		struct queue *q = &s->q[i];
		const uint32_t len = front(s, q);
		const struct node *nd = queue_take(s, q, len, now);

		if (!q->conf->priority) {
			s->served = q->start;
			q->start += ((uint64_t)len << SHARE_SHIFT) / q->conf->weight;
		}
		if (q->conf->shape)
			(void)qos_bucket_take(&s->shared->shape[i], len, INT64_MIN, now);
		if (s->shared->total.depth)
			(void)qos_bucket_take(&s->shared->total, len, INT64_MIN, now);
		sent(s, q, nd, now);
		out[n++] = nd->m;
	}
	if (what != QOS_GET_PRIORITY)
		congestion_is(s, s->n_other != 0);
	return n;
}
