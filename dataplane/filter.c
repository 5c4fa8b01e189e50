/* SPDX-License-Identifier: BSD-3-Clause */
#include "filter.h"

#include <rte_ip.h>

#include "acl.h"
#include "acl_log.h"
#include "esp.h"
#include "sa.h"
#include "trace.h"
#include "worker.h"

#define ND_SOLICIT 135u
#define ND_ADVERT 136u

/* Has the packet been decrypted by an SA that is not of the interface it came by? Then that interface's list has seen
 * it encrypted. */
static bool seen_before(const struct pkt_meta *meta, const struct dp_if *ifp)
{
	const struct sa *sa = meta->flags & PKT_F_DECAPPED ? sa_get(meta->sa) : NULL;

	if (!(meta->flags & PKT_F_DECAPPED))
		return false;
	return ifp->type != CV_IF_TUNNEL || (sa && sa->dir == CV_SA_IN && sa->in.tunnel != ifp->id);
}

static uint32_t list_in(const struct iface_view *view, const struct pkt_meta *meta)
{
	const struct dp_if *ifp = view->by_id[meta->if_rx];

	return ifp && !(meta->flags & PKT_F_ANSWER) && !seen_before(meta, ifp)
		       ? ifp->acl_in[(meta->flags & PKT_F_IP6) != 0]
		       : 0;
}

static uint32_t list_out(const struct iface_view *view, const struct pkt_meta *meta, bool tunnels)
{
	const struct dp_if *ifp = view->by_id[meta->if_tx];

	if (!ifp || (ifp->type == CV_IF_TUNNEL) != tunnels || (meta->flags & PKT_F_FILTERED))
		return 0;
	return ifp->acl_out[(meta->flags & PKT_F_IP6) != 0];
}

/* Resolution of neighbours, without which nothing else passes: for a list that has no line about it. */
static bool is_resolution(const struct rte_mbuf *m, const struct pkt_meta *meta)
{
	const uint8_t *p = rte_pktmbuf_mtod(m, const uint8_t *);

	return (meta->flags & PKT_F_IP6) && meta->l4_proto == IPPROTO_ICMPV6 && meta->frag == 0 && meta->l4_off &&
	       meta->l4_off < rte_pktmbuf_data_len(m) &&
	       (p[meta->l4_off] == ND_SOLICIT || p[meta->l4_off] == ND_ADVERT);
}

struct hits {
	uint64_t *counter; /* of this writer */
	uint32_t id, n;
};

/* Packets in sequence that one line decides about are counted at once. */
static inline void hit(struct hits *h, uint32_t id)
{
	if (likely(h->id == id)) {
		h->n++;
		return;
	}
	h->counter[h->id] += h->n;
	h->id = id;
	h->n = 1;
}

/* n packets against one list: those that pass are put to `to`. Returns how many. */
static uint32_t check_run(
	struct worker *w, uint32_t list, struct rte_mbuf **pkts, uint32_t n, struct rte_mbuf **to, bool out)
{
	struct spd_verdict verdict[DP_VEC];
	struct hits hits = {.counter = w->stats->acl};
	uint32_t keep = 0;

	for (uint32_t i = 0; out && i < n; i++)
		if (pkt_meta(pkts[i])->flags & PKT_F_PROTECTED)
			pkt_meta(pkts[i])->l4_off = 0; /* it is that of the packet inside */
	spd_match_list(w->ipsec->cache, list, pkts, n, verdict);
	for (uint32_t i = 0; i < n; i++) {
		struct rte_mbuf *m = pkts[i];
		const struct pkt_meta *meta = pkt_meta(m);
		const uint32_t line = verdict[i].rule_id;

		if (unlikely(verdict[i].flags & ACL_LINE_LOG))
			acl_log_packet(w, line, m);
		if (likely(verdict[i].action == CV_SPD_BYPASS) || (!line && is_resolution(m, meta))) {
			if (likely(line))
				hit(&hits, line);
			to[keep++] = m;
			continue;
		}
		hit(&hits, line ? line : acl_counter(list));
		trace_step(m, "filter", "list %u line %u denies", list, line);
		if (out)
			w->stats->ifc[meta->if_tx].tx_drops++;
		else
			w->stats->ifc[meta->if_rx].rx_drops++;
		dp_drop1(w, m, out ? DROP_ACL_OUT : DROP_ACL_IN);
	}
	hits.counter[hits.id] += hits.n;
	return keep;
}

/* Packets that follow one another to one list are held against it together. */
static __rte_always_inline void check(
	struct worker *w, struct pkt_vec *v, const struct iface_view *view, bool out, bool tunnels)
{
	struct stage_mark mark = stage_begin(w);
	const uint32_t total = v->n;
	uint32_t keep = 0, n;

	for (uint32_t i = 0; i < total; i += n) {
		const struct pkt_meta *meta = pkt_meta(v->pkt[i]);
		const uint32_t list = out ? list_out(view, meta, tunnels) : list_in(view, meta);

		for (n = 1; i + n < total; n++) {
			meta = pkt_meta(v->pkt[i + n]);
			if ((out ? list_out(view, meta, tunnels) : list_in(view, meta)) != list)
				break;
		}
		if (list) {
			keep += check_run(w, list, v->pkt + i, n, v->pkt + keep, out);
		} else {
			memmove(v->pkt + keep, v->pkt + i, n * sizeof(v->pkt[0]));
			keep += n;
		}
	}
	v->n = keep;
	stage_end(w, STAGE_FILTER, total, mark);
}

void filter_input(struct worker *w, struct pkt_vec *v, const struct iface_view *view)
{
	check(w, v, view, false, false);
}

void filter_output(struct worker *w, struct pkt_vec *v, const struct iface_view *view, bool tunnels)
{
	check(w, v, view, true, tunnels);
}
