/* SPDX-License-Identifier: BSD-3-Clause */
#include "hold.h"

#include <string.h>

#include "flow.h"
#include "pipeline.h"
#include "spd.h"

/* One rule with packets waiting. There are at most HOLD_TOTAL of them. */
struct queue {
	uint32_t rule_id; /* 0 = free */
	uint32_t n;
	bool ready, gone;
	uint64_t acquire_at; /* milliseconds of uptime: next CV_EVT_ACQUIRE */
	struct {
		struct rte_mbuf *m;
		uint64_t since;
	} pkt[HOLD_PER_RULE];
};

static struct queue queue[HOLD_TOTAL];
static uint32_t n_queues; /* used slots are below this */
static uint32_t n_held;

static struct queue *find(uint32_t rule_id)
{
	for (uint32_t i = 0; i < n_queues; i++)
		if (queue[i].rule_id == rule_id)
			return &queue[i];
	return NULL;
}

static struct queue *find_or_make(uint32_t rule_id)
{
	struct queue *q = find(rule_id);
	if (q)
		return q;
	q = find(0);
	if (!q) {
		if (n_queues == HOLD_TOTAL)
			return NULL;
		q = &queue[n_queues++];
	}
	*q = (struct queue){.rule_id = rule_id};
	return q;
}

static void send_acquire(struct queue *q, uint64_t now_ms)
{
	struct rte_mbuf *m = q->pkt[0].m;
	const struct spd_rule *r = spd_rule_get(q->rule_id);
	struct flow f;
	q->acquire_at = now_ms + HOLD_ACQUIRE_MS;
	if (!r || !flow_parse(m, &f))
		return;
	struct cv_msg msg = {.h = {.type = CV_EVT_ACQUIRE, .len = sizeof(msg.h) + sizeof(struct cv_evt_acquire)}};
	struct cv_evt_acquire *e = (struct cv_evt_acquire *)msg.body;
	*e = (struct cv_evt_acquire){.rule_id = q->rule_id,
		.spd_id = r->conf.spd_id,
		.if_id = pkt_meta(m)->if_tx,
		.inside_vrf = f.vrf,
		.proto = f.proto,
		.sport = f.sport,
		.dport = f.dport};
	flow_addr_to(f.src, f.af, &e->src);
	flow_addr_to(f.dst, f.af, &e->dst);
	dp_event(&msg);
}

void hold_packet(struct worker *w, struct rte_mbuf *m)
{
	const struct spd_rule *r = spd_rule_get(pkt_meta(m)->rule);
	if (!r || r->flags & CV_RULE_NO_ACQUIRE) {
		dp_drop1(w, m, DROP_NO_SA);
		return;
	}
	struct queue *q = n_held < HOLD_TOTAL ? find_or_make(r->rule_id) : NULL;
	if (!q || q->n == HOLD_PER_RULE) {
		dp_drop1(w, m, DROP_HOLD_FULL);
		return;
	}
	uint64_t now = dp_now_ms();
	q->pkt[q->n].m = m;
	q->pkt[q->n].since = now;
	q->n++;
	n_held++;
	if (now >= q->acquire_at)
		send_acquire(q, now);
}

/* Take the first n packets out of the queue into a vector. */
static void take(struct queue *q, uint32_t n, struct pkt_vec *v)
{
	v->n = n;
	for (uint32_t i = 0; i < n; i++)
		v->pkt[i] = q->pkt[i].m;
	memmove(q->pkt, q->pkt + n, (q->n - n) * sizeof(q->pkt[0]));
	q->n -= n;
	n_held -= n;
	if (q->n == 0)
		q->rule_id = 0;
}

static void drop_all(struct worker *w, struct queue *q, enum drop_reason why)
{
	struct pkt_vec v;
	take(q, q->n, &v);
	dp_drop(w, v.pkt, v.n, why);
}

void hold_drop(struct worker *w, uint32_t rule_id)
{
	struct queue *q = rule_id ? find(rule_id) : NULL;
	if (q)
		drop_all(w, q, DROP_HOLD_FAILED);
}

void hold_rule_ready(uint32_t rule_id)
{
	struct queue *q = find(rule_id);
	if (q)
		q->ready = true;
}

void hold_rule_gone(uint32_t rule_id)
{
	struct queue *q = find(rule_id);
	if (q)
		q->gone = true;
}

uint32_t hold_count(uint32_t rule_id)
{
	const struct queue *q = find(rule_id);
	return q ? q->n : 0;
}

/* Route again from the start: the packet may take another way by now. Its TTL has been decremented already. */
static void release(struct worker *w, struct queue *q)
{
	struct pkt_vec v;
	take(q, q->n, &v);
	for (uint32_t i = 0; i < v.n; i++)
		pkt_meta(v.pkt[i])->flags |= PKT_F_LOCAL_OUT;
	ip_forward(w, &v);
}

void hold_tick(struct worker *w, uint64_t now_ms)
{
	for (uint32_t i = 0; i < n_queues; i++) {
		struct queue *q = &queue[i];
		if (q->rule_id == 0)
			continue;
		if (q->gone) {
			drop_all(w, q, DROP_HOLD_FAILED);
			continue;
		}
		if (q->ready) {
			release(w, q);
			continue;
		}
		uint32_t old = 0;
		while (old < q->n && now_ms - q->pkt[old].since >= HOLD_TIMEOUT_MS)
			old++;
		if (old) {
			struct pkt_vec v;
			take(q, old, &v);
			dp_drop(w, v.pkt, v.n, DROP_HOLD_FAILED);
		}
		if (q->n && now_ms >= q->acquire_at)
			send_acquire(q, now_ms);
	}
	while (n_queues && queue[n_queues - 1].rule_id == 0)
		n_queues--;
}
