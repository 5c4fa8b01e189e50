/* SPDX-License-Identifier: BSD-3-Clause */
#include "tunnel.h"

#include "cv_addr.h"
#include "ecn.h"
#include "esp.h"
#include "fib.h"
#include "frag.h"
#include "gre.h"
#include "iphdr.h"
#include "keepalive.h"
#include "pipeline.h"
#include "pmtu.h"
#include "sa.h"
#include "trace.h"
#include "tunnel_hop.h"
#include "worker.h"

#define NESTING_MAX 4u	  /* tunnels in tunnels */
#define MTU_UNKNOWN 1500u /* no route to the other end: the packet is dropped there, by name */
#define IPV6_MIN_MTU 1280u

/* What changes in a tunnel without its configuration; of multipoint ones, each next hop's at CV_IF_MAX + slot. */
static struct tunnel_state {
	uint32_t sa;		  /* that it sends by, CV_SA_NONE = none. Main writes, workers read */
	uint32_t own[CV_WRITERS]; /* by worker: one for its packets alone (RFC 9611); CV_SA_NONE = that for all */
	bool per_resource;	  /* workers that have none of their own ask for one */
	uint16_t fits;		  /* main: what that SA's packets of MTU_UNKNOWN bytes carry, to see when it differs */
	uint32_t seq_out;	  /* GRE: last number sent, and received; any worker */
	uint32_t seq_in;
	bool seen; /* seq_in says something */
} state[CV_IF_MAX + TUNNEL_HOPS_MAX];

static bool is_multipoint(const struct cv_tunnel *t)
{
	return t->flags & CV_TUNNEL_F_MULTIPOINT;
}

/* ---- line protocol ---- */

/* Which of the SAs, newest first, each worker sends by; that for all of them. */
static uint32_t share_out(struct tunnel_state *t, uint32_t newest)
{
	uint32_t own[CV_WRITERS] = {0}, common = CV_SA_NONE;
	bool per_resource = false;

	for (uint32_t i = newest; i; i = sa_get(i)->next_in_rule) {
		const struct sa_conf *c = &sa_get(i)->conf;

		if (!c->resource && !common)
			common = i;
		if (c->resource && !own[c->resource])
			own[c->resource] = i;
		per_resource |= (c->flags & CV_SA_F_PER_RESOURCE) != 0;
	}
	for (unsigned w = 0; w < CV_WRITERS; w++)
		__atomic_store_n(&t->own[w], own[w], __ATOMIC_RELEASE);
	__atomic_store_n(&t->per_resource, per_resource, __ATOMIC_RELEASE);
	return common ? common : newest;
}

static void use_sa(struct tunnel_state *t, uint32_t sa_index)
{
	sa_index = share_out(t, sa_index);

	bool was = t->sa != CV_SA_NONE;
	const struct sa *sa = sa_get(sa_index);
	uint16_t fits = sa ? esp_inner_max(sa, MTU_UNKNOWN) : 0;

	__atomic_store_n(&t->sa, sa_index, __ATOMIC_RELEASE);
	__atomic_store_n(&t->seen, false, __ATOMIC_RELAXED); /* a new session may begin to count anew */
	if (was != (sa_index != CV_SA_NONE))
		iface_tunnel_changed();
	if (fits && fits != t->fits) { /* what leads through the tunnel has another MTU now */
		t->fits = fits;
		fib_generation_bump();
	}
}

void tunnel_use_sa(uint32_t if_id, uint32_t rule_id, uint32_t sa_index)
{
	uint32_t hop = tunnel_hop_of_rule(rule_id, 0);

	if (!hop)
		use_sa(&state[if_id], sa_index);
	for (; hop; hop = tunnel_hop_of_rule(rule_id, hop))
		use_sa(&state[CV_IF_MAX + hop], sa_index);
}

void tunnel_use_hop(uint32_t slot)
{
	const uint32_t rule_id = tunnel_hops[slot].conf.rule_id;

	state[CV_IF_MAX + slot] = (struct tunnel_state){0};
	if (rule_id)
		use_sa(&state[CV_IF_MAX + slot], sa_rule_first(rule_id));
}

bool tunnel_line(const struct dp_if *ifp)
{
	const struct cv_tunnel *t = &ifp->tunnel;
	uint32_t word;

	if (is_multipoint(t))
		return fib_is_local(t->front_vrf, &t->src);
	if (t->flags & CV_TUNNEL_F_PROTECTED)
		return state[ifp->id].sa != CV_SA_NONE;
	word = fib_lookup(t->front_vrf, &t->dst);
	return !keepalive_lost(ifp->id) && fib_is_local(t->front_vrf, &t->src) && word &&
	       FIB_KIND(word) != FIB_BLACKHOLE && word != FIB_WORD(FIB_TUNNEL, ifp->id);
}

bool tunnel_lines_changed(void)
{
	static uint32_t seen;
	const struct iface_view *v = iface_view();

	if (fib_generation() == seen)
		return false;
	seen = fib_generation();
	for (uint32_t i = 1; i < CV_IF_MAX; i++)
		if (v->by_id[i] && v->by_id[i]->type == CV_IF_TUNNEL && v->by_id[i]->up &&
			v->by_id[i]->link != tunnel_line(v->by_id[i]))
			return true;
	return false;
}

static bool leads_to(const struct dp_if *ifp, const struct cv_addr *dst)
{
	if (!is_multipoint(&ifp->tunnel))
		return cv_addr_eq(&ifp->tunnel.dst, dst);
	return tunnel_hop_at(ifp->id, dst);
}

bool tunnel_sent(uint32_t vrf, const struct cv_addr *src, const struct cv_addr *dst, uint8_t proto, const uint8_t *l4,
	uint32_t len)
{
	const struct iface_view *v = iface_view();

	for (uint32_t i = 1; i < CV_IF_MAX; i++) {
		const struct cv_tunnel *t = v->by_id[i] ? &v->by_id[i]->tunnel : NULL;

		if (!t || v->by_id[i]->type != CV_IF_TUNNEL || t->flags & CV_TUNNEL_F_PROTECTED ||
			t->front_vrf != vrf || !cv_addr_eq(&t->src, src) || !leads_to(v->by_id[i], dst))
			continue;
		if (t->mode == CV_TUNNEL_GRE ? proto == IPPROTO_GRE && gre_is_of(l4, len, t)
					     : proto == (t->inner_af == CV_AF_INET ? IPPROTO_IPIP : IPPROTO_IPV6))
			return true;
	}
	return false;
}

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
	const struct cv_addr *end = is_multipoint(t) ? &t->src : &t->dst;
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
	       (is_multipoint(t) || !memcmp(t->dst.b, o->src, len)) && !memcmp(t->src.b, o->dst, len) &&
	       (t->inner_af == CV_AF_NONE || t->inner_af == o->inner_af) && (t->mode != CV_TUNNEL_GRE || same_key);
}

static const struct dp_if *find(const struct outer *o, uint32_t vrf)
{
	const struct iface_view *v = iface_view();
	const uint8_t *end[] = {o->src, o->dst}; /* one that leads there before one that leads anywhere */
	uint32_t id = 0;

	for (int multipoint = 0; !id && multipoint < 2; multipoint++) {
		id = v->tunnel_first[bucket_of(vrf, end[multipoint], o->af)];
		while (id &&
			(is_multipoint(&v->by_id[id]->tunnel) != multipoint || !is_from(&v->by_id[id]->tunnel, o, vrf)))
			id = v->tunnel_next[id];
	}
	return id ? v->by_id[id] : NULL;
}

/* ---- output ---- */

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

static uint32_t head_length(const struct cv_tunnel *t)
{
	return (t->src.af == CV_AF_INET ? sizeof(struct rte_ipv4_hdr) : sizeof(struct rte_ipv6_hdr)) +
	       (t->mode == CV_TUNNEL_GRE ? gre_length(t->flags) : 0);
}

/* Bytes that fit through an unprotected tunnel's way out, outer header included. */
static uint16_t outer_mtu(const struct cv_tunnel *t, const struct cv_addr *dst)
{
	uint16_t mtu = fib_path_mtu(t->front_vrf, dst), learned = pmtu_get(t->front_vrf, dst);

	if (mtu == 0)
		mtu = MTU_UNKNOWN;
	return learned && learned < mtu ? learned : mtu;
}

/* The largest inner packet that there is room for on the way to this other end. The SA is that of a protected tunnel.
 */
static uint16_t transport_mtu(const struct dp_if *ifp, const struct cv_addr *dst, const struct sa *sa, uint32_t head)
{
	const uint16_t fits = sa ? esp_inner_mtu(sa, fib_generation()) : outer_mtu(&ifp->tunnel, dst);

	return (uint16_t)(fits > head ? fits - head : 0);
}

/* The same of a family, whose limit on the interface may be lower. */
static uint16_t inner_mtu(
	const struct dp_if *ifp, const struct cv_addr *dst, uint8_t af, const struct sa *sa, uint32_t head)
{
	return RTE_MIN(iface_mtu(ifp, af), transport_mtu(ifp, dst, sa, head));
}

static const struct sa *sa_of(const struct tunnel_state *t)
{
	const struct sa *sa = sa_get(__atomic_load_n(&t->sa, __ATOMIC_ACQUIRE));

	return sa && sa->dir == CV_SA_OUT ? sa : NULL;
}

/* The one for this worker's packets. */
static const struct sa *sa_for(const struct tunnel_state *t, const struct worker *w)
{
	uint32_t own = __atomic_load_n(&t->own[w->index], __ATOMIC_ACQUIRE);
	const struct sa *sa = own ? sa_get(own) : NULL;

	if (sa && sa->dir == CV_SA_OUT)
		return sa;
	sa = sa_of(t);
	if (sa && w->index != WORKER_MAIN && __atomic_load_n(&t->per_resource, __ATOMIC_RELAXED))
		sa_event_resource(sa, w->index);
	return sa;
}

uint16_t tunnel_mtu(uint32_t word, const struct cv_addr *dst)
{
	static __thread unsigned nesting; /* a tunnel that leads into itself carries nothing, but is asked */
	const struct dp_if *ifp = iface_get(FIB_TUNNEL_IF(word));
	const bool multipoint = ifp && is_multipoint(&ifp->tunnel);
	const struct tunnel_state *t = &state[FIB_TUNNEL_IF(word)];
	const struct cv_addr *outer;
	const struct sa *sa = NULL;
	uint32_t hop = FIB_TUNNEL_HOP(word);

	if (!ifp)
		return 0;
	if (multipoint && !hop && !(hop = tunnel_hop_find(ifp->id, dst)))
		return iface_mtu(ifp, dst->af);
	if (multipoint)
		t = &state[CV_IF_MAX + hop];
	outer = multipoint ? &tunnel_hops[hop].conf.outer : &ifp->tunnel.dst;
	if (nesting == NESTING_MAX || (ifp->tunnel.flags & CV_TUNNEL_F_PROTECTED && !(sa = sa_of(t))))
		return iface_mtu(ifp, dst->af);
	nesting++;
	uint16_t mtu =
		inner_mtu(ifp, outer, dst->af, sa, ifp->tunnel.mode == CV_TUNNEL_IPSEC ? 0 : head_length(&ifp->tunnel));
	nesting--;
	return mtu;
}

uint16_t tunnel_transport_mtu(const struct dp_if *ifp)
{
	const struct cv_tunnel *t = &ifp->tunnel;
	const struct sa *sa = NULL;

	if (!ifp->up || is_multipoint(t) || (t->flags & CV_TUNNEL_F_PROTECTED && !(sa = sa_of(&state[ifp->id]))))
		return 0;
	return transport_mtu(ifp, &t->dst, sa, t->mode == CV_TUNNEL_IPSEC ? 0 : head_length(t));
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
		.state = &state[r->hop ? CV_IF_MAX + r->hop : r->if_id],
		.dst = r->hop ? &tunnel_hops[r->hop].conf.outer : &t->dst,
		.mtu = iface_mtu(ifp, r->af)};
	if (t->flags & CV_TUNNEL_F_PROTECTED) {
		y->sa = sa_for(y->state, w);
		if (unlikely(!y->sa))
			return false;
	}
	if (t->mode == CV_TUNNEL_IPSEC)
		return true;
	y->head = head_length(t);
	y->adj = fib_lookup(t->front_vrf, y->dst);
	y->mtu = inner_mtu(ifp, y->dst, r->af, y->sa, y->head);
	return true;
}

/* Why a packet cannot go this way. */
static enum drop_reason refuse(struct rte_mbuf *m, const struct dp_if *ifp)
{
	struct pkt_meta *meta = pkt_meta(m);
	const uint8_t af = meta->flags & PKT_F_IP6 ? CV_AF_INET6 : CV_AF_INET;

	if (unlikely(ifp->tunnel.inner_af != CV_AF_NONE && ifp->tunnel.inner_af != af))
		return DROP_TUNNEL_FAMILY;
	if (unlikely(meta->tunnel == ifp->id || meta->tunnels == NESTING_MAX))
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

	return ifp && is_multipoint(&ifp->tunnel);
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

/* ---- input ---- */

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
	struct tunnel_state *s = &state[ifp->id];
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
