/* SPDX-License-Identifier: BSD-3-Clause */
#include "tunnel.h"

#include "fib.h"
#include "pipeline.h"
#include "sa.h"
#include "trace.h"
#include "worker.h"

#define NESTING_MAX 4u /* tunnels in tunnels */

/* The SA each tunnel sends by, CV_SA_NONE = none. Main writes, workers read. */
static uint32_t sa_of[CV_IF_MAX];

void tunnel_use_sa(uint32_t if_id, uint32_t sa_index)
{
	bool was = sa_of[if_id] != CV_SA_NONE;

	__atomic_store_n(&sa_of[if_id], sa_index, __ATOMIC_RELEASE);
	if (was != (sa_index != CV_SA_NONE))
		iface_tunnel_changed();
}

bool tunnel_line(const struct dp_if *ifp)
{
	return sa_of[ifp->id] != CV_SA_NONE;
}

/* ---- output ---- */

/* The tunnel and the SA for a packet, or why it cannot go. */
static enum drop_reason choose(struct rte_mbuf *m, const struct dp_if *ifp, const struct sa **sa)
{
	struct pkt_meta *meta = pkt_meta(m);

	if (unlikely(!ifp || !ifp->up))
		return DROP_TUNNEL_DOWN;
	if (unlikely(!(meta->flags & PKT_F_IP6) == (ifp->tunnel_af == CV_AF_INET6)))
		return DROP_TUNNEL_FAMILY;
	if (unlikely(meta->tunnel == ifp->id || meta->tunnels == NESTING_MAX))
		return DROP_TUNNEL_LOOP;
	*sa = sa_get(__atomic_load_n(&sa_of[ifp->id], __ATOMIC_ACQUIRE));
	if (unlikely(!*sa || (*sa)->dir != CV_SA_OUT))
		return DROP_TUNNEL_DOWN;
	meta->tunnel = (uint16_t)ifp->id;
	meta->tunnels++;
	return DROP_NONE;
}

/* n packets that follow one another into one tunnel. */
static void output_run(struct worker *w, uint32_t if_id, struct rte_mbuf **pkts, uint32_t n, struct pkt_vec *outer)
{
	const struct dp_if *ifp = iface_get(if_id);
	struct cv_if_counters *c = &w->stats->ifc[if_id];
	const struct sa *sa = NULL;
	uint32_t good = 0;

	for (uint32_t i = 0; i < n; i++) {
		struct rte_mbuf *m = pkts[i];
		enum drop_reason why = choose(m, ifp, &sa);

		if (unlikely(why)) {
			trace_step(m, "tunnel", "interface %u refuses", if_id);
			c->tx_drops++;
			dp_drop1(w, m, why);
			continue;
		}
		trace_step(m, "tunnel", "interface %u", if_id);
		c->tx_packets++;
		c->tx_bytes += m->pkt_len;
		pkts[good++] = m;
	}
	if (good)
		ipsec_protect(w, pkts, good, sa, ifp->mtu, outer);
}

void tunnel_output(struct worker *w, struct pkt_vec *v, struct pkt_vec *outer)
{
	struct rte_mbuf *run[DP_VEC];
	uint32_t keep = 0, n = 0, run_if = 0;

	for (uint32_t i = 0; i < v->n; i++) {
		const struct pkt_meta *meta = pkt_meta(v->pkt[i]);

		if (FIB_KIND(meta->adj) != FIB_TUNNEL) {
			v->pkt[keep++] = v->pkt[i];
			continue;
		}
		if (n && meta->if_tx != run_if) {
			output_run(w, run_if, run, n, outer);
			n = 0;
		}
		run_if = meta->if_tx;
		run[n++] = v->pkt[i];
	}
	if (n)
		output_run(w, run_if, run, n, outer);
	v->n = keep;
}

/* ---- input ---- */

uint32_t tunnel_decrypted(struct worker *w, const struct sa *sa, struct rte_mbuf **pkts, uint32_t n)
{
	const uint32_t if_id = sa->in.tunnel;
	const struct dp_if *ifp = iface_get(if_id);
	struct cv_if_counters *c = &w->stats->ifc[if_id];

	if (unlikely(!ifp || !ifp->up)) {
		dp_drop(w, pkts, n, DROP_IF_DOWN);
		return 0;
	}
	for (uint32_t i = 0; i < n; i++) {
		trace_step(pkts[i], "tunnel", "from interface %u", if_id);
		pkt_meta(pkts[i])->if_rx = if_id;
		c->rx_bytes += pkts[i]->pkt_len;
	}
	c->rx_packets += n;
	return n;
}
