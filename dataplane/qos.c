/* SPDX-License-Identifier: BSD-3-Clause */
#include "qos.h"

#include <rte_ip.h>

#include "ecn.h"
#include "fib.h"
#include "iface.h"
#include "iphdr.h"
#include "neigh.h"
#include "pipeline.h"
#include "qos_policy.h"
#include "trace.h"
#include "tx.h"
#include "worker.h"

#define NESTING_MAX 4u /* tunnels in tunnels */

/* The interface by which the outer packets of a tunnel leave in the end, 0 = not known now. */
static uint32_t leaves_by(uint32_t if_id)
{
	for (unsigned nesting = 0; nesting < NESTING_MAX; nesting++) {
		const struct dp_if *ifp = iface_get(if_id);

		if (!ifp || ifp->type != CV_IF_TUNNEL)
			return if_id;
		const bool multipoint = ifp->tunnel.flags & CV_TUNNEL_F_MULTIPOINT; /* that which has its source */
		uint32_t word = fib_lookup(ifp->tunnel.front_vrf, multipoint ? &ifp->tunnel.src : &ifp->tunnel.dst);

		if (multipoint)
			return FIB_KIND(word) == FIB_LOCAL ? FIB_NUM(word) : 0;
		if (FIB_KIND(word) == FIB_GROUP)
			word = fib_pick(word, 0);
		if (FIB_KIND(word) == FIB_ADJ)
			return adj_table[FIB_NUM(word)].if_id;
		if (FIB_KIND(word) != FIB_GLEAN && FIB_KIND(word) != FIB_TUNNEL)
			return 0;
		if_id = FIB_KIND(word) == FIB_TUNNEL ? FIB_TUNNEL_IF(word) : FIB_NUM(word);
	}
	return 0;
}

const struct qos_attach *qos_output_policy(const struct qos_view *v, uint32_t if_tx)
{
	if (!v->any_out)
		return NULL;
	if (v->out[if_tx] || !iface_get(if_tx) || iface_get(if_tx)->type != CV_IF_TUNNEL)
		return v->out[if_tx];
	return v->out[leaves_by(if_tx)]; /* 0, which has none, when that is not known */
}

uint32_t qos_classify(const struct qos_policy *p, struct rte_mbuf *m)
{
	struct flow f;

	if (!p->map || !flow_parse(m, &f))
		return 0;
	f.vrf = pkt_meta(m)->if_rx;
	const struct spd_rule *r = spd_class_lookup(p->map, &f);

	return r ? r->rule_id : 0;
}

/* Write a DSCP (RFC 2474); ECN stays. */
static void mark(struct rte_mbuf *m, uint8_t dscp, struct cv_qos_counters *c)
{
	uint8_t *p = rte_pktmbuf_mtod(m, uint8_t *);

	if (flow_dscp(p) == dscp)
		return;
	ip_set_tos(p, (uint8_t)(dscp << 2 | (ip_tos(p) & ECN_MASK)));
	c->marked++;
}

/* Count, police and mark a packet. The attachment's meters are all that changes in it. False: to be dropped. */
static bool treat(struct worker *w, const struct qos_attach *a, uint32_t class_no, struct rte_mbuf *m)
{
	const struct cv_qos_class *k = &a->policy->cls[class_no];
	struct cv_qos_counters *c = &w->stats->qos[a->conf.slot][class_no];
	const uint32_t len = rte_pktmbuf_pkt_len(m);

	c->packets++;
	c->bytes += len;
	if (k->set_dscp != CV_QOS_DSCP_KEEP)
		mark(m, k->set_dscp, c);
	if (k->police.mode == CV_POLICE_OFF)
		return true;
	const enum cv_colour colour = qos_meter_colour((struct qos_meter *)(uintptr_t)&a->meter[class_no], len, w->tsc);

	c->colour_packets[colour]++;
	c->colour_bytes[colour] += len;
	trace_step(m, "qos", "class %u colour %u", class_no, colour);
	if (k->police.action[colour] == CV_POLICE_SET_DSCP)
		mark(m, k->police.dscp[colour], c);
	if (k->police.action[colour] != CV_POLICE_DROP)
		return true;
	c->police_drops++;
	return false;
}

/* ---- queues ---- */

/* Whose queues a worker looks at. One that is taken away stays until what waits in it has gone. */
#define LISTED_MAX (4 * CV_QOS_SLOTS)
static struct waiting {
	uint32_t n, turn;
	struct qos_attach *a[LISTED_MAX];
} waiting[CV_WRITERS];

/* Random early detection: false when the packet is to be dropped. One that can be marked goes on, marked. */
static bool admit(struct worker *w, struct qos_attach *a, uint32_t class_no, struct rte_mbuf *m)
{
	struct cv_qos_counters *c = &w->stats->qos[a->conf.slot][class_no];
	uint8_t *p = rte_pktmbuf_mtod(m, uint8_t *);
	const enum qos_early what = qos_sched_early(a->sched[w->index], class_no, flow_dscp(p), w->tsc);

	if (likely(what == QOS_EARLY_NO))
		return true;
	if (what == QOS_EARLY_RANDOM && a->policy->cls[class_no].wred.ecn && ecn_mark(p)) {
		c->ecn_marked++;
		return true;
	}
	c->random_drops++;
	return false;
}

/* Put a packet in the queue of its class; false when this policy has none. */
static bool enqueue(struct worker *w, struct qos_attach *a, uint32_t class_no, struct rte_mbuf *m)
{
	struct waiting *q = &waiting[w->index];
	struct pkt_meta *meta = pkt_meta(m);
	enum drop_reason why;

	if (!a->sched[w->index] || (!a->listed[w->index] && q->n == LISTED_MAX))
		return false;
	if (!meta->flow_hash)
		meta->flow_hash = ip_flow_hash(m);
	struct rte_mbuf *victim;

	if (unlikely(!admit(w, a, class_no, m))) {
		victim = m;
		why = DROP_QOS_RANDOM;
	} else {
		victim = qos_sched_put(a->sched[w->index], class_no, m, meta->flow_hash, w->tsc, &why);
	}
	if (victim) {
		w->stats->ifc[pkt_meta(victim)->if_tx].tx_drops++;
		dp_drop1(w, victim, why);
	}
	if (!a->listed[w->index]) {
		a->listed[w->index] = true;
		q->a[q->n++] = a;
	}
	return true;
}

static void flush(struct worker *w, struct qos_sched *s, uint64_t now)
{
	struct pkt_vec v;

	while ((v.n = qos_sched_get(s, v.pkt, DP_VEC, now, QOS_GET_FLUSH)) != 0)
		ip_forward(w, &v);
}

/* One kind of packets of all interfaces, max of them: none, perhaps, but then whoever waits is told that there was no
 * room. Begins with another interface each time. */
static void collect(struct waiting *q, uint32_t index, struct pkt_vec *v, uint32_t max, uint64_t now, enum qos_get what)
{
	v->n = 0;
	for (uint32_t i = 0; i < q->n; i++)
		v->n += qos_sched_get(q->a[(q->turn + i) % q->n]->sched[index], v->pkt + v->n, max - v->n, now, what);
}

/* Only those with queues that are not empty stay in the list. */
static void tidy(struct waiting *q, uint32_t index)
{
	uint32_t keep = 0;

	for (uint32_t i = 0; i < q->n; i++)
		if (qos_sched_backlog(q->a[i]->sched[index]))
			q->a[keep++] = q->a[i];
		else
			q->a[i]->listed[index] = false;
	q->n = keep;
}

/* Encrypted and gone before anything is done for those who come behind. */
static uint32_t send_burst(struct worker *w, struct pkt_vec *first, struct pkt_vec *rest)
{
	const uint32_t n = first->n + rest->n;

	if (first->n) {
		ip_forward(w, first);
		if (rest->n)
			tx_flush(w);
	}
	if (rest->n)
		ip_forward(w, rest);
	return n;
}

uint32_t qos_run(struct worker *w, bool all)
{
	struct waiting *q = &waiting[w->index];
	struct pkt_vec first, rest;

	if (likely(!q->n))
		return 0;
	const uint64_t now = rte_rdtsc();

	for (uint32_t i = 0; i < q->n; i++)
		if (all || __atomic_load_n(&q->a[i]->retired, __ATOMIC_ACQUIRE))
			flush(w, q->a[i]->sched[w->index], now);
	q->turn++;
	collect(q, w->index, &first, DP_BURST, now, QOS_GET_PRIORITY);
	collect(q, w->index, &rest, DP_BURST - first.n, now, QOS_GET_ALL);
	tidy(q, w->index);
	return send_burst(w, &first, &rest);
}

void qos_output(struct worker *w, struct pkt_vec *v)
{
	unsigned keep = 0;

	for (unsigned i = 0; i < v->n; i++) {
		struct rte_mbuf *m = v->pkt[i];
		struct pkt_meta *meta = pkt_meta(m);
		struct qos_attach *a = (struct qos_attach *)(uintptr_t)meta->scratch;
		const uint32_t class_no = qos_classify(a->policy, m);

		meta->flags = (meta->flags & ~PKT_F_LEARN) | PKT_F_SCHEDULED;
		if (unlikely(!treat(w, a, class_no, m))) {
			w->stats->ifc[meta->if_tx].tx_drops++;
			dp_drop1(w, m, DROP_QOS_POLICE);
		} else if (!enqueue(w, a, class_no, m)) {
			v->pkt[keep++] = m;
		}
	}
	v->n = keep;
	if (keep)
		ip_forward(w, v);
}

/* The input policy for packets that came in by this interface, NULL = none. */
static const struct qos_attach *input_policy(const struct qos_view *v, uint32_t if_rx, bool inner)
{
	const struct qos_attach *a = if_rx < CV_IF_MAX ? v->in[if_rx] : NULL;

	if (a && inner && (!iface_get(if_rx) || iface_get(if_rx)->type != CV_IF_TUNNEL))
		return NULL;
	return a;
}

void qos_input(struct worker *w, struct pkt_vec *v, bool one_if, bool inner)
{
	const struct qos_view *view = qos_view();

	if (likely(!view || !view->any_in))
		return;
	uint32_t last_if = pkt_meta(v->pkt[0])->if_rx;
	const struct qos_attach *a = input_policy(view, last_if, inner);
	unsigned keep = 0;

	if (one_if && !a)
		return;
	for (unsigned i = 0; i < v->n; i++) {
		struct rte_mbuf *m = v->pkt[i];
		struct pkt_meta *meta = pkt_meta(m);

		if (meta->if_rx != last_if)
			a = input_policy(view, last_if = meta->if_rx, inner);
		if (a) {
			meta->flags &= ~PKT_F_LEARN;
			if (!treat(w, a, qos_classify(a->policy, m), m)) {
				w->stats->ifc[last_if].rx_drops++;
				dp_drop1(w, m, DROP_QOS_POLICE);
				continue;
			}
		}
		v->pkt[keep++] = m;
	}
	v->n = keep;
}
