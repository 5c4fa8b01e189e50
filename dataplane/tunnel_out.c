/* SPDX-License-Identifier: BSD-3-Clause */
/* Packets routed into tunnels: which SA or header they get, to which other end, and whether they fit. */
#include "tunnel_priv.h"

#include "cv_addr.h"
#include "ecn.h"
#include "esp.h"
#include "fib.h"
#include "frag.h"
#include "gre.h"
#include "iphdr.h"
#include "pipeline.h"
#include "trace.h"
#include "worker.h"

#define IPV6_MIN_MTU 1280u

/* What the packets of a run have in common. */
struct way {
	struct worker *w;
	const struct dp_if *ifp;
	struct tunnel_state *state;
	const struct cv_addr *dst; /* of outer packets */
	const struct sa *sa;	   /* NULL = not protected */
	uint32_t head;		   /* bytes in front of the inner packet, without those of IPsec */
	uint32_t adj;		   /* route word; not protected */
	uint16_t mtu;		   /* of the inner packet */
};

/* The one for this worker's packets. */
static const struct sa *sa_for(const struct tunnel_state *t, const struct worker *w)
{
	uint32_t own = __atomic_load_n(&t->own[w->index], __ATOMIC_ACQUIRE);
	const struct sa *sa = own ? sa_get(own) : NULL;

	if (sa && sa->dir == CV_SA_OUT)
		return sa;
	sa = tunnel_sa(t);
	if (sa && w->index != WORKER_MAIN && __atomic_load_n(&t->per_resource, __ATOMIC_RELAXED))
		sa_event_resource(sa, w->index);
	return sa;
}

/* What the packets of a run share: where they go and their family. */
struct run {
	uint32_t if_id, hop; /* hop: tunnel_hop.h, 0 = not a multipoint tunnel */
	uint8_t af;
};

/* False: the tunnel cannot carry anything now. */
static bool way_open(struct way *y, struct worker *w, const struct run *r)
{
	const struct dp_if *ifp = iface_get(r->if_id);

	if (unlikely(!ifp || !ifp->up || ifp->type != CV_IF_TUNNEL))
		return false;
	const struct cv_tunnel *t = &ifp->tunnel;

	*y = (struct way){.w = w,
		.ifp = ifp,
		.state = &tunnel_states[r->hop ? CV_IF_MAX + r->hop : r->if_id],
		.dst = r->hop ? &tunnel_hops[r->hop].conf.outer : &t->dst,
		.mtu = iface_mtu(ifp, r->af)};
	if (t->flags & CV_TUNNEL_F_PROTECTED) {
		y->sa = sa_for(y->state, w);
		if (unlikely(!y->sa))
			return false;
	}
	if (t->mode == CV_TUNNEL_IPSEC)
		return true;
	y->head = tunnel_head(t);
	y->adj = fib_lookup(t->front_vrf, y->dst);
	y->mtu = tunnel_inner_mtu(ifp, y->dst, r->af, y->sa, y->head);
	return true;
}

/* Why a packet cannot go this way. */
static enum drop_reason refuse(struct rte_mbuf *m, const struct dp_if *ifp)
{
	struct pkt_meta *meta = pkt_meta(m);
	const uint8_t af = meta->flags & PKT_F_IP6 ? CV_AF_INET6 : CV_AF_INET;

	if (unlikely(ifp->tunnel.inner_af != CV_AF_NONE && ifp->tunnel.inner_af != af))
		return DROP_TUNNEL_FAMILY;
	if (unlikely(meta->tunnel == ifp->id || meta->tunnels == TUNNEL_NESTING_MAX))
		return DROP_TUNNEL_LOOP;
	meta->tunnel = (uint16_t)ifp->id;
	meta->tunnels++;
	return DROP_NONE;
}

/* Outer IPv4 header. DF as inside (RFC 2003 3.1): the path MTU is the sender's business then; IPv6 is never cut. */
static void put_ip4(uint8_t *p, const struct way *y, uint8_t proto, uint8_t tos, uint8_t ttl, bool df, uint32_t len)
{
	const struct cv_tunnel *t = &y->ifp->tunnel;
	static __thread uint16_t id;
	struct rte_ipv4_hdr *ip = (void *)p;

	*ip = (struct rte_ipv4_hdr){.version_ihl = RTE_IPV4_VHL_DEF,
		.type_of_service = tos,
		.total_length = rte_cpu_to_be_16((uint16_t)len),
		.packet_id = rte_cpu_to_be_16(++id),
		.fragment_offset = df ? RTE_BE16(RTE_IPV4_HDR_DF_FLAG) : 0,
		.time_to_live = ttl,
		.next_proto_id = proto};
	memcpy(&ip->src_addr, t->src.b, 4);
	memcpy(&ip->dst_addr, y->dst->b, 4);
	ip->hdr_checksum = rte_ipv4_cksum(ip);
}

static void put_ip6(uint8_t *p, const struct way *y, uint8_t proto, uint8_t tos, uint8_t ttl, uint32_t len)
{
	const struct cv_tunnel *t = &y->ifp->tunnel;
	struct rte_ipv6_hdr *ip = (void *)p;

	ip->vtc_flow = rte_cpu_to_be_32(6u << 28 | (uint32_t)tos << 20);
	ip->payload_len = rte_cpu_to_be_16((uint16_t)(len - sizeof(*ip)));
	ip->proto = proto;
	ip->hop_limits = ttl;
	memcpy(ip->src_addr, t->src.b, 16);
	memcpy(ip->dst_addr, y->dst->b, 16);
}

/* Header in front: ECN of the inner packet goes outside (RFC 6040, normal mode), and so do DSCP (RFC 2983, uniform
 * model) and TTL where the tunnel has none of its own. */
static void encapsulate(const struct way *y, struct rte_mbuf *m)
{
	const struct cv_tunnel *t = &y->ifp->tunnel;
	struct pkt_meta *meta = pkt_meta(m);
	const uint8_t *in = rte_pktmbuf_mtod(m, const uint8_t *);
	const bool v4 = in[0] >> 4 == 4, df = v4 ? in[6] & 0x40 : true;
	const uint8_t inner_tos = ip_tos(in);
	const uint8_t tos = t->flags & CV_TUNNEL_F_DSCP ? (uint8_t)(t->dscp << 2 | (inner_tos & ECN_MASK)) : inner_tos;
	const uint8_t ttl = t->ttl ? t->ttl : v4 ? in[8] : in[7];
	const uint32_t inner_len = rte_pktmbuf_data_len(m);
	const uint8_t proto = t->mode == CV_TUNNEL_GRE ? IPPROTO_GRE : v4 ? IPPROTO_IPIP : IPPROTO_IPV6;
	uint8_t *p = (uint8_t *)rte_pktmbuf_prepend(m, (uint16_t)y->head);
	const bool outer4 = t->src.af == CV_AF_INET;
	const uint32_t ip_len = outer4 ? sizeof(struct rte_ipv4_hdr) : sizeof(struct rte_ipv6_hdr);

	if (t->mode == CV_TUNNEL_GRE) {
		uint32_t seq = 0;

		if (t->flags & CV_TUNNEL_F_SEQUENCE)
			seq = __atomic_fetch_add(&y->state->seq_out, 1, __ATOMIC_RELAXED);
		gre_write(p + ip_len, t, v4 ? CV_AF_INET : CV_AF_INET6, seq, inner_len);
	}
	if (outer4)
		put_ip4(p, y, proto, tos, ttl, df, m->data_len);
	else
		put_ip6(p, y, proto, tos, ttl, m->data_len);
	meta->vrf = t->front_vrf;
	meta->flags = (meta->flags & PKT_F_TRACED) | PKT_F_LOCAL_OUT | (outer4 ? 0 : PKT_F_IP6);
	meta->adj = y->adj;
	meta->flow_hash = 0;
	meta->l4_proto = proto;
	meta->l4_off = (uint16_t)ip_len;
	meta->frag = 0;
}

/* One packet that fits into *to, encapsulated unless IPsec does it; dropped when there is no room in front. */
static void add(const struct way *y, struct rte_mbuf *m, struct pkt_vec *to)
{
	struct cv_if_counters *c = &y->w->stats->ifc[y->ifp->id];
	struct rte_mbuf *one = y->head ? esp_writable(m, 0) : m;

	if (unlikely(!one || rte_pktmbuf_headroom(one) < y->head)) {
		c->tx_drops++;
		dp_drop1(y->w, one ? one : m, DROP_ESP_TOO_BIG);
		return;
	}
	c->tx_packets++;
	c->tx_bytes += one->pkt_len;
	if (y->head)
		encapsulate(y, one);
	to->pkt[to->n++] = one;
}

static void send_ready(const struct way *y, struct pkt_vec *ready, struct pkt_vec *outer)
{
	if (y->sa) {
		ipsec_protect(y->w, ready->pkt, ready->n, y->sa, y->head ? UINT16_MAX : y->mtu, outer);
	} else {
		if (outer->n + ready->n > DP_VEC) {
			ip_forward(y->w, outer);
			outer->n = 0;
		}
		memcpy(outer->pkt + outer->n, ready->pkt, ready->n * sizeof(ready->pkt[0]));
		outer->n += ready->n;
	}
	ready->n = 0;
}

/* Too long for a GRE or IP-in-IP tunnel: cut what may be cut before it is encapsulated, else tell its sender. */
static void too_big(const struct way *y, struct rte_mbuf *m, struct pkt_vec *ready, struct pkt_vec *outer)
{
	const uint8_t *p = rte_pktmbuf_mtod(m, const uint8_t *);
	struct rte_mbuf *part[FRAG_MAX];

	if (p[0] >> 4 == 6 && y->mtu < IPV6_MIN_MTU && rte_pktmbuf_pkt_len(m) <= IPV6_MIN_MTU) {
		add(y, m, ready); /* nobody can be asked for less (RFC 8200 5): cut outside */
		return;
	}
	if (p[0] >> 4 == 6 || p[6] & 0x40) {
		pkt_meta(m)->mtu = p[0] >> 4 == 6 ? (uint16_t)RTE_MAX(y->mtu, IPV6_MIN_MTU) : y->mtu;
		dp_slow(y->w, m, SLOW_ICMP_MTU);
		return;
	}
	y->w->stats->events[EVENT_FRAG_BEFORE]++;
	if (ready->n + FRAG_MAX > DP_VEC)
		send_ready(y, ready, outer);
	int n = frag_ipv4(y->w, m, y->mtu, part, FRAG_MAX);

	for (int i = 0; i < n; i++)
		add(y, part[i], ready);
}

/* n packets of one family that follow one another to one end of a tunnel. */
static void output_run(struct worker *w, const struct run *r, struct rte_mbuf **pkts, uint32_t n, struct pkt_vec *outer)
{
	struct pkt_vec ready;
	struct way y;
	const uint32_t if_id = r->if_id;
	const bool open = way_open(&y, w, r);

	ready.n = 0;
	for (uint32_t i = 0; i < n; i++) {
		struct rte_mbuf *m = pkts[i];
		enum drop_reason why = likely(open) ? refuse(m, y.ifp) : DROP_TUNNEL_DOWN;

		if (unlikely(why)) {
			trace_step(m, "tunnel", "interface %u refuses", if_id);
			w->stats->ifc[if_id].tx_drops++;
			dp_drop1(w, m, why);
			continue;
		}
		trace_step(m, "tunnel", "interface %u", if_id);
		if (likely(!y.head || m->pkt_len <= y.mtu))
			add(&y, m, &ready);
		else
			too_big(&y, m, &ready, outer);
	}
	if (ready.n)
		send_ready(&y, &ready, outer);
}

/* ---- multipoint tunnels ---- */

static void drop_hopless(struct worker *w, uint32_t if_id, struct rte_mbuf *m)
{
	trace_step(m, "tunnel", "interface %u: next hop not known", if_id);
	w->stats->ifc[if_id].tx_drops++;
	dp_drop1(w, m, DROP_TUNNEL_HOP);
}

/* A copy to every next hop that is to get multicast. */
static void flood(struct worker *w, struct run r, struct rte_mbuf *m, struct pkt_vec *outer)
{
	uint32_t hop = __atomic_load_n(&tunnel_hop_flood[r.if_id], __ATOMIC_ACQUIRE);

	if (!hop) {
		drop_hopless(w, r.if_id, m);
		return;
	}
	for (; hop; hop = __atomic_load_n(&tunnel_hops[hop].next_flood, __ATOMIC_ACQUIRE)) {
		struct rte_mbuf *copy = rte_pktmbuf_copy(m, dp_pool(), 0, UINT32_MAX);

		if (unlikely(!copy)) {
			w->stats->drops[DROP_NO_MBUF]++;
			continue;
		}
		*pkt_meta(copy) = *pkt_meta(m);
		pkt_meta(copy)->flags &= ~PKT_F_TRACED;
		r.hop = hop;
		output_run(w, &r, &copy, 1, outer);
	}
	trace_end(m, "tunnel", "copied to each next hop");
	rte_pktmbuf_free(m);
}

/* The next hop of a packet without one in its route word: its destination. False: it was taken, it is a group's, or
 * the next hop is not known. */
static bool destination_hop(struct worker *w, struct run *r, struct rte_mbuf *m, struct pkt_vec *outer)
{
	const uint8_t *p = rte_pktmbuf_mtod(m, const uint8_t *);
	const bool v4 = r->af == CV_AF_INET, group = v4 ? p[16] >> 4 == 0xe : p[24] == 0xff;
	struct cv_addr dst = {.af = r->af};

	if (group) {
		flood(w, *r, m, outer);
		return false;
	}
	memcpy(dst.b, p + (v4 ? 16 : 24), v4 ? 4 : 16);
	r->hop = tunnel_hop_find(r->if_id, &dst);
	if (unlikely(!r->hop))
		drop_hopless(w, r->if_id, m);
	return r->hop;
}

static bool wants_hop(uint32_t if_id)
{
	const struct dp_if *ifp = iface_get(if_id);

	return ifp && tunnel_is_multipoint(&ifp->tunnel);
}

void tunnel_output(struct worker *w, struct pkt_vec *v, struct pkt_vec *outer)
{
	struct rte_mbuf *run[DP_VEC];
	uint32_t keep = 0, n = 0;
	struct run now = {0};

	for (uint32_t i = 0; i < v->n; i++) {
		const struct pkt_meta *meta = pkt_meta(v->pkt[i]);

		if (FIB_KIND(meta->adj) != FIB_TUNNEL) {
			v->pkt[keep++] = v->pkt[i];
			continue;
		}
		struct run r = {.if_id = meta->if_tx,
			.hop = FIB_TUNNEL_HOP(meta->adj),
			.af = meta->flags & PKT_F_IP6 ? CV_AF_INET6 : CV_AF_INET};

		if (unlikely(!r.hop && wants_hop(r.if_id)) && !destination_hop(w, &r, v->pkt[i], outer))
			continue;
		if (n && (r.if_id != now.if_id || r.hop != now.hop || r.af != now.af)) {
			output_run(w, &now, run, n, outer);
			n = 0;
		}
		now = r;
		run[n++] = v->pkt[i];
	}
	if (n)
		output_run(w, &now, run, n, outer);
	v->n = keep;
}

void tunnel_send(struct worker *w, const struct dp_if *ifp, struct rte_mbuf *m)
{
	struct pkt_vec v = {.n = 1, .pkt = {m}}, outer = {.n = 0};

	pkt_meta(m)->if_tx = ifp->id;
	pkt_meta(m)->adj = FIB_TUNNEL_WORD(ifp->id, 0);
	tunnel_output(w, &v, &outer);
	if (outer.n)
		ip_forward(w, &outer);
}
