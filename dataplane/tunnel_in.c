/* SPDX-License-Identifier: BSD-3-Clause */
/* Packets that came through a tunnel: which one it is, and what is inside. */
#include "tunnel_priv.h"

#include "ecn.h"
#include "esp.h"
#include "gre.h"
#include "iphdr.h"
#include "keepalive.h"
#include "pipeline.h"
#include "trace.h"
#include "worker.h"

/* ---- finding a tunnel by its outer packets ---- */

/* By the other end; of multipoint tunnels, by this one. */
static uint32_t bucket_of(uint32_t vrf, const uint8_t *end, uint8_t af)
{
	uint32_t h = vrf * 2654435761u, word;

	for (unsigned i = 0; i < (af == CV_AF_INET ? 4u : 16u); i += 4) {
		memcpy(&word, end + i, 4);
		h = (h ^ word) * 2654435761u;
	}
	return h >> 16 & (IFACE_TUNNEL_BUCKETS - 1);
}

void tunnel_enlist(struct iface_view *v, const struct dp_if *ifp)
{
	const struct cv_tunnel *t = &ifp->tunnel;

	if (t->mode == CV_TUNNEL_IPSEC)
		return;
	const struct cv_addr *end = tunnel_is_multipoint(t) ? &t->src : &t->dst;
	uint16_t *first = &v->tunnel_first[bucket_of(t->front_vrf, end->b, end->af)];

	v->tunnel_next[ifp->id] = *first;
	*first = (uint16_t)ifp->id;
}

/* What an outer packet says about where it belongs. */
struct outer {
	uint8_t af, tos;
	const uint8_t *src, *dst;
	struct gre_header gre;
	uint8_t mode, inner_af;
	uint32_t off; /* of the inner packet */
};

static bool is_from(const struct cv_tunnel *t, const struct outer *o, uint32_t vrf)
{
	const size_t len = o->af == CV_AF_INET ? 4 : 16;

	const bool same_key =
		((t->flags & CV_TUNNEL_F_KEY) != 0) == o->gre.has_key && (!o->gre.has_key || t->key == o->gre.key);

	return t->mode == o->mode && t->src.af == o->af && t->front_vrf == vrf &&
	       (tunnel_is_multipoint(t) || !memcmp(t->dst.b, o->src, len)) && !memcmp(t->src.b, o->dst, len) &&
	       (t->inner_af == CV_AF_NONE || t->inner_af == o->inner_af) && (t->mode != CV_TUNNEL_GRE || same_key);
}

static const struct dp_if *find(const struct outer *o, uint32_t vrf)
{
	const struct iface_view *v = iface_view();
	const uint8_t *end[] = {o->src, o->dst}; /* one that leads there before one that leads anywhere */
	uint32_t id = 0;

	for (int multipoint = 0; !id && multipoint < 2; multipoint++) {
		id = v->tunnel_first[bucket_of(vrf, end[multipoint], o->af)];
		while (id && (tunnel_is_multipoint(&v->by_id[id]->tunnel) != multipoint ||
				     !is_from(&v->by_id[id]->tunnel, o, vrf)))
			id = v->tunnel_next[id];
	}
	return id ? v->by_id[id] : NULL;
}

/* ---- what is inside ---- */

static void received(struct worker *w, struct rte_mbuf *m, uint32_t if_id)
{
	struct cv_if_counters *c = &w->stats->ifc[if_id];

	trace_step(m, "tunnel", "from interface %u", if_id);
	pkt_meta(m)->if_rx = if_id;
	c->rx_packets++;
	c->rx_bytes += m->pkt_len;
}

uint32_t tunnel_decrypted(struct worker *w, const struct sa *sa, struct rte_mbuf **pkts, uint32_t n)
{
	const struct dp_if *ifp = iface_get(sa->in.tunnel);

	if (unlikely(!ifp || !ifp->up)) {
		dp_drop(w, pkts, n, DROP_IF_DOWN);
		return 0;
	}
	for (uint32_t i = 0; i < n && ifp->tunnel.mode == CV_TUNNEL_IPSEC; i++)
		received(w, pkts[i], ifp->id);
	return n;
}

/* What the headers say; false when they are malformed. */
static bool outer_read(struct rte_mbuf *m, struct outer *o)
{
	const struct pkt_meta *meta = pkt_meta(m);
	const uint8_t *p = rte_pktmbuf_mtod(m, const uint8_t *);
	const bool v4 = p[0] >> 4 == 4;

	o->af = v4 ? CV_AF_INET : CV_AF_INET6;
	o->tos = ip_tos(p);
	o->src = p + (v4 ? 12 : 8);
	o->dst = p + (v4 ? 16 : 24);
	o->off = meta->l4_off;
	o->mode = meta->l4_proto == IPPROTO_GRE ? CV_TUNNEL_GRE : CV_TUNNEL_IPIP;
	o->inner_af = meta->l4_proto == IPPROTO_IPV6 ? CV_AF_INET6 : CV_AF_INET;
	if (o->mode == CV_TUNNEL_IPIP)
		return o->off < rte_pktmbuf_data_len(m);
	if (o->off >= rte_pktmbuf_data_len(m) || !gre_read(p + o->off, rte_pktmbuf_data_len(m) - o->off, &o->gre))
		return false;
	o->off += o->gre.len;
	o->inner_af = o->gre.inner_af;
	return o->off < rte_pktmbuf_data_len(m) || o->inner_af == CV_AF_NONE;
}

/* RFC 2890 2.2: a number must be above the last; packets without one are refused by a tunnel that counts. */
static bool sequence_ok(const struct dp_if *ifp, const struct gre_header *h)
{
	struct tunnel_state *s = &tunnel_states[ifp->id];
	uint32_t last = __atomic_load_n(&s->seq_in, __ATOMIC_RELAXED);

	if (likely(!(ifp->tunnel.flags & CV_TUNNEL_F_SEQUENCE)))
		return true;
	if (!h->has_seq)
		return false;
	if (!__atomic_exchange_n(&s->seen, true, __ATOMIC_RELAXED)) {
		__atomic_store_n(&s->seq_in, h->seq, __ATOMIC_RELAXED);
		return true;
	}
	do
		if ((int32_t)(h->seq - last) <= 0)
			return false;
	while (!__atomic_compare_exchange_n(&s->seq_in, &last, h->seq, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	return true;
}

/* Did the packet come the way the tunnel says: out of its SA, or not out of any of another tunnel? */
static bool came_protected(const struct rte_mbuf *m, const struct dp_if *ifp)
{
	const struct pkt_meta *meta = pkt_meta((struct rte_mbuf *)(uintptr_t)m);
	const struct sa *sa = meta->flags & PKT_F_DECAPPED ? sa_get(meta->sa) : NULL;

	if (ifp->tunnel.flags & CV_TUNNEL_F_PROTECTED)
		return sa && sa->dir == CV_SA_IN && sa->in.tunnel == ifp->id;
	return !sa || sa->dir != CV_SA_IN || !sa->in.tunnel || sa->in.tunnel == meta->if_rx;
}

/* From the outer packet to the inner one, or why not. */
static enum drop_reason decapsulate(
	struct worker *w, struct rte_mbuf *m, const struct dp_if *ifp, const struct outer *o)
{
	struct pkt_meta *meta = pkt_meta(m);

	if (unlikely(!ifp->up))
		return DROP_IF_DOWN;
	if (unlikely(!came_protected(m, ifp)))
		return DROP_SPD_CLEAR_IN;
	if (unlikely(o->inner_af == CV_AF_NONE))
		return DROP_NONE;
	if (unlikely(!sequence_ok(ifp, &o->gre)))
		return DROP_TUNNEL_SEQUENCE;
	const uint8_t tos = o->tos;
	const bool v4 = o->inner_af == CV_AF_INET;

	rte_pktmbuf_adj(m, (uint16_t)o->off);
	m->ol_flags &= ~(RTE_MBUF_F_RX_IP_CKSUM_MASK | RTE_MBUF_F_RX_L4_CKSUM_MASK); /* said of the outer packet */
	meta->flags &= PKT_F_TRACED;
	meta->vrf = ifp->vrf_id;
	meta->flow_hash = 0;
	enum drop_reason why = v4 ? ip4_check(m) : ip6_check(m);

	if (unlikely(why))
		return why;
	return ecn_decap(w, rte_pktmbuf_mtod(m, uint8_t *), tos, v4) ? DROP_NONE : DROP_ESP_ECN;
}

static void take_keepalive(struct rte_mbuf *m, const struct dp_if *ifp)
{
	keepalive_heard(ifp->id);
	trace_end(m, "tunnel", "a keepalive came back");
	rte_pktmbuf_free(m);
}

/* Send back what the other end has put in: from here, where the outer packets are routed, whatever VRF is inside. Clear
 * packets of a protected tunnel would be refused there. */
static void answer_keepalive(struct worker *w, struct rte_mbuf *m, const struct dp_if *ifp)
{
	struct pkt_vec v = {.n = 1, .pkt = {m}};
	struct pkt_meta *meta = pkt_meta(m);

	if (ifp->tunnel.flags & CV_TUNNEL_F_PROTECTED) {
		dp_drop1(w, m, DROP_TUNNEL_MALFORMED);
		return;
	}
	trace_step(m, "tunnel", "a keepalive, sent back");
	meta->vrf = ifp->tunnel.front_vrf;
	meta->flags |= PKT_F_LOCAL_OUT;
	ip_forward(w, &v);
}

void tunnel_input(struct worker *w, struct pkt_vec *v, struct pkt_vec *inner)
{
	for (uint32_t i = 0; i < v->n; i++) {
		struct rte_mbuf *m = esp_writable(v->pkt[i], 0);
		struct outer o = {0};

		if (unlikely(!m)) {
			dp_drop1(w, v->pkt[i], DROP_NO_MBUF);
			continue;
		}
		const bool good = outer_read(m, &o);
		const struct dp_if *ifp = likely(good) ? find(&o, pkt_meta(m)->vrf) : NULL;
		enum drop_reason why = !good  ? DROP_TUNNEL_MALFORMED
				       : !ifp ? DROP_TUNNEL_UNKNOWN
					      : decapsulate(w, m, ifp, &o);

		if (unlikely(why)) {
			if (ifp)
				w->stats->ifc[ifp->id].rx_drops++;
			dp_drop1(w, m, why);
			continue;
		}
		received(w, m, ifp->id);
		if (unlikely(o.inner_af == CV_AF_NONE))
			take_keepalive(m, ifp);
		else if (unlikely(ifp->tunnel.mode == CV_TUNNEL_GRE && keepalive_is_request(m, &ifp->tunnel)))
			answer_keepalive(w, m, ifp);
		else
			inner->pkt[inner->n++] = m;
	}
	v->n = 0;
}
