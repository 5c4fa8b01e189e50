/* SPDX-License-Identifier: BSD-3-Clause */
/* Input, routing and output of IP packets (pipeline.h). Runs on workers, and on main for what main makes itself. */
#include "pipeline.h"

#include <rte_ether.h>

#include "events.h"
#include "fib.h"
#include "frag.h"
#include "iface.h"
#include "iphdr.h"
#include "neigh.h"
#include "trace.h"
#include "tx.h"
#include "worker.h"

#define PREFETCH_AHEAD 4u
#define NESTING_MAX 4u /* ESP inside ESP for ourselves */
#define UDP_NATT 4500u

/* ---- ether_input ---- */

/* Packets and bytes of consecutive frames of one interface. */
struct rx_run {
	const struct dp_if *ifp;
	uint64_t packets, bytes;
};

static void run_flush(struct worker *w, struct rx_run *r, const struct dp_if *next)
{
	if (r->ifp) {
		w->stats->ifc[r->ifp->id].rx_packets += r->packets;
		w->stats->ifc[r->ifp->id].rx_bytes += r->bytes;
	}
	*r = (struct rx_run){.ifp = next};
}

static void drop_rx(struct worker *w, const struct dp_if *ifp, struct rte_mbuf *m, enum drop_reason why)
{
	pkt_meta(m)->flags = 0; /* not filled in yet */
	if (ifp)
		w->stats->ifc[ifp->id].rx_drops++;
	dp_drop1(w, m, why);
}

static inline uint64_t mac48(const void *p)
{
	uint64_t q;

	memcpy(&q, p, 8); /* two bytes more than needed, both in a frame and in struct dp_if */
	return q & 0xffffffffffffull;
}

/* What a frame says before its payload. */
struct frame {
	uint16_t type; /* network order */
	uint16_t l2_len;
	uint16_t vlan_id;
};

static inline bool frame_parse(const struct rte_mbuf *m, struct frame *f)
{
	const struct rte_ether_hdr *eth = rte_pktmbuf_mtod(m, const struct rte_ether_hdr *);

	*f = (struct frame){.type = eth->ether_type, .l2_len = sizeof(*eth)};
	if (unlikely(rte_pktmbuf_data_len(m) < sizeof(*eth)))
		return false;
	if (likely(f->type != rte_cpu_to_be_16(RTE_ETHER_TYPE_VLAN)))
		return true;
	if (rte_pktmbuf_data_len(m) < sizeof(*eth) + sizeof(struct rte_vlan_hdr))
		return false;
	const struct rte_vlan_hdr *tag = (const struct rte_vlan_hdr *)(eth + 1);

	f->vlan_id = rte_be_to_cpu_16(tag->vlan_tci) & 0xfff; /* 0: priority tag only */
	f->type = tag->eth_proto;
	f->l2_len += sizeof(*tag);
	return true;
}

/* Frames that are not plain good IP for us: ARP to main, everything else dropped. */
static void frame_other(struct worker *w, const struct dp_if *ifp, struct rte_mbuf *m, const struct frame *f)
{
	struct pkt_meta *meta = pkt_meta(m);

	if (f->type != rte_cpu_to_be_16(RTE_ETHER_TYPE_ARP)) {
		drop_rx(w, ifp, m, DROP_L2_UNKNOWN);
		return;
	}
	rte_pktmbuf_adj(m, f->l2_len);
	*meta = (struct pkt_meta){.vrf = ifp->vrf_id, .if_rx = ifp->id};
	dp_slow(w, m, SLOW_ARP);
}

static inline void frame_input(
	struct worker *w, const struct dp_if *ifp, struct rte_mbuf *m, const struct frame *f, struct pkt_vec *v)
{
	uint64_t dst = mac48(rte_pktmbuf_mtod(m, const void *));
	bool group = dst & 1;

	if (unlikely(!ifp->up)) {
		drop_rx(w, ifp, m, DROP_IF_DOWN);
		return;
	}
	if (unlikely(!group && dst != mac48(ifp->mac))) {
		drop_rx(w, ifp, m, DROP_L2_UNKNOWN);
		return;
	}
	if (unlikely(f->type != rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4) &&
		     f->type != rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV6))) {
		frame_other(w, ifp, m, f);
		return;
	}
	if (unlikely(m->nb_segs > 1 && rte_pktmbuf_linearize(m) != 0)) {
		drop_rx(w, ifp, m, DROP_IP_MALFORMED);
		return;
	}
	*pkt_meta(m) = (struct pkt_meta){.vrf = ifp->vrf_id, .if_rx = ifp->id, .flags = group ? PKT_F_GROUP : 0};
	m->data_off += f->l2_len;
	m->data_len -= f->l2_len;
	m->pkt_len -= f->l2_len;
	v->pkt[v->n++] = m;
}

static void ether_vector(struct worker *w, uint32_t port_id, struct rte_mbuf **pkts, unsigned n, struct pkt_vec *v)
{
	const struct iface_view *view = iface_view();
	const struct iface_port_map *map = view->port[port_id];
	struct rx_run run = {0};

	for (unsigned i = 0; i < n; i++) {
		struct frame f;
		struct rte_mbuf *m = pkts[i];

		if (i + PREFETCH_AHEAD < n) {
			rte_prefetch0(rte_pktmbuf_mtod(pkts[i + PREFETCH_AHEAD], void *));
			rte_prefetch0(pkt_meta(pkts[i + PREFETCH_AHEAD]));
		}
		if (unlikely(!map || !frame_parse(m, &f))) {
			drop_rx(w, NULL, m, DROP_L2_UNKNOWN);
			continue;
		}
		const struct dp_if *ifp = view->by_id[likely(f.vlan_id == 0) ? map->untagged : map->vlan[f.vlan_id]];

		if (unlikely(!ifp)) {
			drop_rx(w, NULL, m, DROP_VLAN_UNKNOWN);
			continue;
		}
		if (unlikely(ifp != run.ifp))
			run_flush(w, &run, ifp);
		run.packets++;
		run.bytes += m->pkt_len;
		frame_input(w, ifp, m, &f, v);
	}
	run_flush(w, &run, NULL);
}

static void trace_received(struct pkt_vec *v)
{
	for (unsigned i = 0; i < v->n && trace_armed(); i++)
		trace_pick(v->pkt[i]);
}

void ether_input(struct worker *w, uint32_t port_id, struct rte_mbuf **pkts, unsigned n)
{
	struct stage_mark mark = stage_begin(w);
	struct pkt_vec v;

	v.n = 0; /* and no more: clearing the whole of it costs as much as a packet */
	ether_vector(w, port_id, pkts, n, &v);
	if (unlikely(trace_armed()))
		trace_received(&v);
	stage_end(w, STAGE_ETHER_INPUT, n, mark);
	if (v.n)
		ip_input(w, &v);
}

/* ---- route look-up ---- */

/* Destinations that no table decides on: broadcast, multicast, link-local. */
static uint32_t special_word(struct rte_mbuf *m)
{
	const struct pkt_meta *meta = pkt_meta(m);
	const struct dp_if *ifp = iface_get(meta->if_rx);
	struct cv_addr dst = {.af = CV_AF_INET6};

	if (!(meta->flags & PKT_F_IP6))
		return FIB_WORD(FIB_BROADCAST, 0);
	memcpy(dst.b, rte_pktmbuf_mtod(m, const struct rte_ipv6_hdr *)->dst_addr, 16);
	if (ip6_is_multicast(dst.b))
		/* Neighbour discovery comes to multicast addresses; which ones are ours is looked at on main. */
		return meta->l4_proto == IPPROTO_ICMPV6 && ifp ? FIB_WORD(FIB_LOCAL, ifp->id)
							       : FIB_WORD(FIB_BROADCAST, 0);
	return ifp && iface_owns(ifp, &dst) ? FIB_WORD(FIB_LOCAL, ifp->id) : 0;
}

/* What the packets of a vector have in common, so that stages nobody needs are skipped. */
struct summary {
	uint32_t kinds; /* bit per enum fib_kind that occurs */
	uint32_t flags; /* PKT_F_* that occur */
	bool one_if;	/* all came in by the interface of the first */
	/* the IPv4 look-up before: packets of one flow, and all that came through a tunnel, follow one another */
	uint32_t dst, root, word;
};

/* IPv6 packets of a vector, looked up together. */
struct batch6 {
	unsigned n;
	struct trie_key key[DP_VEC];
	uint32_t root[DP_VEC], word[DP_VEC];
	struct rte_mbuf *pkt[DP_VEC];
};

static inline void note_word(struct rte_mbuf *m, uint32_t word, struct summary *s)
{
	struct pkt_meta *meta = pkt_meta(m);

	meta->adj = word;
	meta->flags |= FIB_KIND(word) == FIB_LOCAL ? PKT_F_LOCAL : 0;
	s->kinds |= 1u << FIB_KIND(word);
	s->flags |= meta->flags;
}

static void lookup6(struct batch6 *b, struct summary *s)
{
	trie_lookup_bulk(b->root, b->key, b->word, b->n);
	for (unsigned i = 0; i < b->n; i++) {
		const uint8_t *dst = b->key[i].b;
		bool special = ip6_is_multicast(dst) || ip6_is_link_local(dst);

		note_word(b->pkt[i], special ? special_word(b->pkt[i]) : b->word[i], s);
	}
}

/* One packet: IPv4 at once, its few steps overlap with the neighbours' anyway; IPv6 is put in the batch. */
static inline void lookup_one(struct rte_mbuf *m, const struct fib_roots *roots, struct batch6 *b, struct summary *s)
{
	const struct pkt_meta *meta = pkt_meta(m);

	if (unlikely(meta->flags & PKT_F_IP6)) {
		memcpy(b->key[b->n].b, rte_pktmbuf_mtod(m, const struct rte_ipv6_hdr *)->dst_addr, 16);
		b->root[b->n] = roots->v6[meta->vrf];
		b->pkt[b->n++] = m;
		return;
	}
	uint32_t dst = rte_pktmbuf_mtod(m, const struct rte_ipv4_hdr *)->dst_addr, root = roots->v4[meta->vrf];

	if (dst != s->dst || root != s->root) {
		s->dst = dst;
		s->root = root;
		s->word = likely((uint8_t)dst < 224) ? trie_lookup4(root, dst) : special_word(m);
	}
	note_word(m, s->word, s);
}

/* ---- ip_input ---- */

/* Check and look up: what is left in v has its route word in meta->adj. */
static void classify(struct worker *w, struct pkt_vec *v, struct summary *s)
{
	const struct fib_roots *roots = fib_roots();
	uint32_t first_if = pkt_meta(v->pkt[0])->if_rx;
	struct batch6 b;
	unsigned keep = 0;

	b.n = 0;
	for (unsigned i = 0; i < v->n; i++) {
		struct rte_mbuf *m = v->pkt[i];
		struct pkt_meta *meta = pkt_meta(m);
		const uint8_t *first = rte_pktmbuf_mtod(m, const uint8_t *);

		meta->flags &= ~(PKT_F_IP6 | PKT_F_LOCAL);
		enum drop_reason why = likely(*first >> 4 == 4) ? ip4_check(m) : ip6_check(m);

		if (unlikely(why)) {
			dp_drop1(w, m, why);
			continue;
		}
		s->one_if &= meta->if_rx == first_if;
		lookup_one(m, roots, &b, s);
		v->pkt[keep++] = m;
	}
	v->n = keep;
	if (unlikely(b.n))
		lookup6(&b, s);
}

/* Packets out of a tunnel, whose headers esp_in has checked: look up only. */
static void lookup_all(struct pkt_vec *v, struct summary *s)
{
	const struct fib_roots *roots = fib_roots();
	struct batch6 b;

	b.n = 0;
	for (unsigned i = 0; i < v->n; i++)
		lookup_one(v->pkt[i], roots, &b, s);
	if (unlikely(b.n))
		lookup6(&b, s);
}

/* Packets of several interfaces: those of an interface with an SPD are put aside and checked. */
static void check_clear_mixed(struct worker *w, struct pkt_vec *v)
{
	struct pkt_vec chk;
	uint32_t last_if = 0;
	bool last = false;
	unsigned keep = 0;

	chk.n = 0;
	for (unsigned i = 0; i < v->n; i++) {
		const struct pkt_meta *meta = pkt_meta(v->pkt[i]);

		if (meta->if_rx != last_if) {
			last_if = meta->if_rx;
			last = last_if && ipsec_on_interface(last_if);
		}
		if (last)
			chk.pkt[chk.n++] = v->pkt[i];
		else
			v->pkt[keep++] = v->pkt[i];
	}
	if (!chk.n)
		return;
	ipsec_check_clear(w, &chk);
	memcpy(v->pkt + keep, chk.pkt, chk.n * sizeof(chk.pkt[0]));
	v->n = keep + chk.n;
}

/* Clear packets from interfaces with an SPD are shown to it before they are believed (IPSEC-30). */
static void check_clear(struct worker *w, struct pkt_vec *v, const struct summary *s)
{
	const struct pkt_meta *first = pkt_meta(v->pkt[0]);

	if (!s->one_if)
		check_clear_mixed(w, v);
	else if (first->if_rx && ipsec_on_interface(first->if_rx))
		ipsec_check_clear(w, v);
}

enum natt { NATT_ESP, NATT_IKE, NATT_KEEPALIVE, NATT_BAD };

/* What is in a datagram to port 4500 (RFC 3948 2.1 to 2.3). */
static enum natt natt_kind(struct rte_mbuf *m)
{
	const struct pkt_meta *meta = pkt_meta(m);
	const struct rte_udp_hdr *udp = rte_pktmbuf_mtod_offset(m, const struct rte_udp_hdr *, meta->l4_off);
	const uint8_t *p = (const uint8_t *)(udp + 1);
	unsigned len = rte_be_to_cpu_16(udp->dgram_len);

	if (len < sizeof(*udp) || meta->l4_off + len > rte_pktmbuf_data_len(m))
		return NATT_BAD;
	m->pkt_len = m->data_len = (uint16_t)(meta->l4_off + len);
	len -= sizeof(*udp);
	if (len == 1 && p[0] == 0xff)
		return NATT_KEEPALIVE;
	if (len < 4)
		return NATT_BAD;
	return (p[0] | p[1] | p[2] | p[3]) == 0 ? NATT_IKE : NATT_ESP;
}

static bool is_natt(const struct rte_mbuf *m, const struct pkt_meta *meta)
{
	const struct rte_udp_hdr *udp = rte_pktmbuf_mtod_offset(m, const struct rte_udp_hdr *, meta->l4_off);

	return meta->l4_proto == IPPROTO_UDP && meta->l4_off + sizeof(*udp) <= rte_pktmbuf_data_len(m) &&
	       udp->dst_port == rte_cpu_to_be_16(UDP_NATT);
}

/* A packet to this router: ESP in UDP stays here, everything else is main's. */
static void local_one(struct worker *w, struct rte_mbuf *m, struct pkt_vec *esp)
{
	const struct pkt_meta *meta = pkt_meta(m);
	enum natt kind = NATT_IKE;

	if (meta->frag == 0 && is_natt(m, meta))
		kind = natt_kind(m);
	switch (kind) {
	case NATT_ESP:
		trace_step(m, "local", "ESP in UDP");
		esp->pkt[esp->n++] = m;
		break;
	case NATT_IKE:
		trace_step(m, "local", "protocol %u to main", meta->l4_proto);
		dp_slow(w, m, SLOW_LOCAL);
		break;
	case NATT_KEEPALIVE:
		dp_drop1(w, m, DROP_NATT_KEEPALIVE);
		break;
	case NATT_BAD:
		dp_drop1(w, m, DROP_IP_MALFORMED);
	}
}

/* Take out ESP to ourselves before policy is asked, which has nothing to say about it: most local packets are ESP. */
static void split_esp(struct pkt_vec *v, struct pkt_vec *esp)
{
	unsigned keep = 0, n_esp = 0;

	for (unsigned i = 0; i < v->n; i++) {
		struct rte_mbuf *m = v->pkt[i];
		const struct pkt_meta *meta = pkt_meta(m);

		if (FIB_KIND(meta->adj) == FIB_LOCAL && meta->l4_proto == IPPROTO_ESP && meta->frag == 0) {
			trace_step(m, "local", "ESP");
			esp->pkt[n_esp++] = m;
		} else {
			v->pkt[keep++] = m;
		}
	}
	v->n = keep;
	esp->n = n_esp;
}

/* Leave in v what is to be forwarded; collect ESP in UDP for ourselves in esp. */
static void split_local(struct worker *w, struct pkt_vec *v, struct pkt_vec *esp)
{
	unsigned keep = 0;

	for (unsigned i = 0; i < v->n; i++) {
		struct rte_mbuf *m = v->pkt[i];
		const struct pkt_meta *meta = pkt_meta(m);

		if (FIB_KIND(meta->adj) == FIB_LOCAL)
			local_one(w, m, esp);
		else if (unlikely(FIB_KIND(meta->adj) == FIB_BROADCAST || (meta->flags & PKT_F_GROUP)))
			dp_drop1(w, m, DROP_MULTICAST);
		else
			v->pkt[keep++] = m;
	}
	v->n = keep;
}

static void trace_input(struct pkt_vec *v)
{
	for (unsigned i = 0; i < v->n; i++)
		if (unlikely(pkt_meta(v->pkt[i])->flags & PKT_F_TRACED))
			trace_header(v->pkt[i]);
}

static void route_and_send(struct worker *w, struct pkt_vec *v);

static void input_nested(struct worker *w, struct pkt_vec *v, unsigned nesting)
{
	struct stage_mark mark = stage_begin(w);
	struct summary s = {.one_if = true};
	struct pkt_vec esp, inner;
	unsigned n = v->n;

	esp.n = inner.n = 0;
	if (nesting)
		lookup_all(v, &s);
	else
		classify(w, v, &s);
	if (v->n && unlikely(s.flags & PKT_F_TRACED))
		trace_input(v);
	if (s.kinds & 1u << FIB_LOCAL)
		split_esp(v, &esp);
	if (v->n && !nesting)
		check_clear(w, v, &s);
	if ((s.kinds & (1u << FIB_LOCAL | 1u << FIB_BROADCAST)) || (s.flags & PKT_F_GROUP))
		split_local(w, v, &esp);
	stage_end(w, STAGE_IP_INPUT, n, mark);
	if (v->n)
		route_and_send(w, v);
	if (!esp.n)
		return;
	if (nesting == NESTING_MAX) {
		dp_drop(w, esp.pkt, esp.n, DROP_IP_OPTIONS);
		return;
	}
	ipsec_input(w, &esp, &inner);
	if (inner.n)
		input_nested(w, &inner, nesting + 1);
}

void ip_input(struct worker *w, struct pkt_vec *v)
{
	input_nested(w, v, 0);
}

/* ---- ip_forward ---- */

/* Which member of a group a packet takes. Outer packets made by IPsec hash by their own header, so that one SA keeps
 * to one path. */
static uint32_t pick(struct rte_mbuf *m, uint32_t word)
{
	struct pkt_meta *meta = pkt_meta(m);

	if (meta->flags & PKT_F_PROTECTED) {
		meta->l4_proto = IPPROTO_ESP;
		meta->l4_off = meta->flags & PKT_F_IP6 ? 40 : 20;
	}
	if (!meta->flow_hash || (meta->flags & PKT_F_PROTECTED))
		meta->flow_hash = ip_flow_hash(m);
	return fib_pick(word, meta->flow_hash);
}

static bool to_link_local(struct rte_mbuf *m)
{
	return (pkt_meta(m)->flags & PKT_F_IP6) &&
	       ip6_is_link_local(rte_pktmbuf_mtod(m, const struct rte_ipv6_hdr *)->dst_addr);
}

/* meta->adj from route word to adjacency (0 = not resolved yet) and meta->if_tx. */
static inline bool resolve(struct worker *w, struct rte_mbuf *m)
{
	struct pkt_meta *meta = pkt_meta(m);
	uint32_t word = meta->adj;

	if (unlikely(FIB_KIND(word) == FIB_GROUP))
		word = pick(m, word);
	switch (FIB_KIND(word)) {
	case FIB_ADJ:
		meta->adj = FIB_NUM(word);
		meta->if_tx = adj_table[meta->adj].if_id;
		return true;
	case FIB_GLEAN:
		meta->if_tx = FIB_NUM(word);
		if (meta->flags & PKT_F_IP6)
			meta->adj = neigh_find(meta->if_tx, CV_AF_INET6,
				neigh_key6(rte_pktmbuf_mtod(m, const struct rte_ipv6_hdr *)->dst_addr));
		else
			meta->adj = neigh_find(meta->if_tx, CV_AF_INET,
				neigh_key4(rte_pktmbuf_mtod(m, const struct rte_ipv4_hdr *)->dst_addr));
		return true;
	case FIB_LOCAL: /* made here, for ourselves */
		dp_slow(w, m, SLOW_LOCAL);
		return false;
	case FIB_BLACKHOLE:
		dp_drop1(w, m, DROP_BLACKHOLE);
		return false;
	case FIB_BROADCAST:
		dp_drop1(w, m, DROP_MULTICAST);
		return false;
	default:
		/* Nobody is told about what this box made, or about other hosts' link-local addresses. */
		if ((meta->flags & (PKT_F_LOCAL_OUT | PKT_F_PROTECTED)) || to_link_local(m)) {
			dp_drop1(w, m, DROP_NO_ROUTE);
			return false;
		}
		trace_step(m, "route", "no route in VRF %u", meta->vrf);
		meta->icmp_code = 0;
		dp_slow(w, m, SLOW_ICMP_UNREACH);
		return false;
	}
}

/* Take one hop off. The IPv4 checksum follows incrementally (RFC 1624). False: sent away, none left. */
static inline bool take_hop(struct worker *w, struct rte_mbuf *m)
{
	struct pkt_meta *meta = pkt_meta(m);

	if (unlikely(meta->flags & PKT_F_IP6)) {
		struct rte_ipv6_hdr *ip = rte_pktmbuf_mtod(m, struct rte_ipv6_hdr *);

		if (likely(ip->hop_limits > 1 && !ip6_is_link_local(ip->src_addr))) {
			ip->hop_limits--;
			return true;
		}
		if (ip6_is_link_local(ip->src_addr)) {
			dp_drop1(w, m, DROP_IP_MARTIAN);
			return false;
		}
	} else {
		struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod(m, struct rte_ipv4_hdr *);

		if (likely(ip->time_to_live > 1)) {
			uint32_t sum = (uint32_t)ip->hdr_checksum + rte_cpu_to_be_16(0x0100);

			ip->hdr_checksum = (uint16_t)(sum + (sum >= 0xffff));
			ip->time_to_live--;
			return true;
		}
	}
	dp_slow(w, m, SLOW_ICMP_TTL);
	return false;
}

/* Resolve, take a hop off, and put aside what leaves by an interface with an SPD. */
static void route(struct worker *w, struct pkt_vec *v, struct pkt_vec *secure)
{
	uint32_t last_if = 0;
	bool last = false;
	unsigned keep = 0;

	for (unsigned i = 0; i < v->n; i++) {
		struct rte_mbuf *m = v->pkt[i];
		struct pkt_meta *meta = pkt_meta(m);

		if (unlikely(!resolve(w, m)))
			continue;
		if (likely(!(meta->flags & (PKT_F_LOCAL_OUT | PKT_F_PROTECTED))) && unlikely(!take_hop(w, m)))
			continue;
		trace_step(m, "route", "VRF %u interface %u adjacency %u", meta->vrf, meta->if_tx, meta->adj);
		if (unlikely(meta->if_tx != last_if)) {
			last_if = meta->if_tx;
			last = ipsec_on_interface(last_if);
		}
		if (last && !(meta->flags & (PKT_F_PROTECTED | PKT_F_BYPASS)))
			secure->pkt[secure->n++] = m;
		else
			v->pkt[keep++] = m;
	}
	v->n = keep;
}

static void route_and_send(struct worker *w, struct pkt_vec *v)
{
	struct stage_mark mark = stage_begin(w);
	struct pkt_vec secure, bypass, outer;
	unsigned n = v->n;

	secure.n = bypass.n = outer.n = 0;
	route(w, v, &secure);
	stage_end(w, STAGE_ROUTE, n, mark);
	if (v->n)
		ip_output(w, v);
	if (!secure.n)
		return;
	ipsec_output(w, &secure, &bypass, &outer);
	if (bypass.n)
		ip_output(w, &bypass);
	if (outer.n)
		route_and_send(w, &outer); /* looked up already; PKT_F_PROTECTED ends the recursion here */
}

void ip_forward(struct worker *w, struct pkt_vec *v)
{
	const struct fib_roots *roots = fib_roots();
	struct summary s = {0};
	struct batch6 b;

	b.n = 0;
	for (unsigned i = 0; i < v->n; i++) {
		struct pkt_meta *meta = pkt_meta(v->pkt[i]);
		bool ip6 = *rte_pktmbuf_mtod(v->pkt[i], const uint8_t *) >> 4 == 6;

		meta->flags = (meta->flags & ~(PKT_F_IP6 | PKT_F_LOCAL)) | (ip6 ? PKT_F_IP6 : 0);
		lookup_one(v->pkt[i], roots, &b, &s);
	}
	if (b.n)
		lookup6(&b, &s);
	route_and_send(w, v);
}

/* ---- ip_output ---- */

/*
 * A packet longer than the MTU of its way out: fragmented where that is allowed, else its sender is told. An outer
 * packet of IPsec that is too long is meant to be cut here whatever its DF bit says: esp_out.c has made all others fit.
 * Returns the parts left in out[], ready for the link-layer header.
 */
static unsigned too_big(struct worker *w, struct rte_mbuf *m, uint16_t mtu, struct rte_mbuf **out)
{
	struct pkt_meta *meta = pkt_meta(m);
	bool ours = meta->flags & (PKT_F_LOCAL_OUT | PKT_F_PROTECTED);
	const struct rte_ipv4_hdr *ip4 = rte_pktmbuf_mtod(m, const struct rte_ipv4_hdr *);
	bool ip6 = meta->flags & PKT_F_IP6;
	int n = 0;

	if (ip6 ? ours
		: (meta->flags & PKT_F_PROTECTED) || !(ip4->fragment_offset & rte_cpu_to_be_16(RTE_IPV4_HDR_DF_FLAG))) {
		trace_step(m, "fragment", "%u bytes, MTU %u", rte_pktmbuf_data_len(m), mtu);
		w->stats->events[EVENT_FRAG_CLEAR] += !(meta->flags & PKT_F_PROTECTED);
		n = ip6 ? frag_ipv6(w, m, mtu, out, FRAG_MAX) : frag_ipv4(w, m, mtu, out, FRAG_MAX);
	} else if (ours) {
		dp_drop1(w, m, DROP_MTU_DF);
	} else {
		meta->mtu = mtu;
		dp_slow(w, m, SLOW_ICMP_MTU);
	}
	return n > 0 ? (unsigned)n : 0;
}

/* Consecutive packets to one adjacency share its header and are counted together. */
struct tx_run {
	const struct adj *adj;
	uint64_t packets, bytes;
};

static inline void run_count(struct worker *w, struct tx_run *r, const struct adj *next)
{
	if (r->adj) {
		struct cv_if_counters *c = &w->stats->ifc[r->adj->if_id];

		c->tx_packets += r->packets;
		c->tx_bytes += r->bytes;
	}
	*r = (struct tx_run){.adj = next};
}

/* Link-layer header in front, then to the port's buffer. */
static inline void emit(struct worker *w, struct rte_mbuf *m, const struct adj *a, struct tx_run *r)
{
	uint8_t *l2;

	m->data_off -= a->l2_len;
	m->data_len += a->l2_len;
	m->pkt_len += a->l2_len;
	l2 = rte_pktmbuf_mtod(m, uint8_t *);
	memcpy(l2, a->l2, 8);
	if (likely(a->l2_len == 14)) {
		memcpy(l2 + 6, a->l2 + 6, 8);
	} else {
		memcpy(l2 + 8, a->l2 + 8, 8);
		memcpy(l2 + 16, a->l2 + 16, 2);
	}
	if (unlikely(a != r->adj))
		run_count(w, r, a);
	r->packets++;
	r->bytes += m->pkt_len;
	trace_end(m, "tx", "sent");
	tx_put(w, a->port_id, m);
}

static inline void output_one(struct worker *w, struct rte_mbuf *m, uint32_t now_s, struct tx_run *r)
{
	struct pkt_meta *meta = pkt_meta(m);
	struct adj *a = &adj_table[meta->adj];
	struct rte_mbuf *part[FRAG_MAX];

	if (unlikely(!__atomic_load_n(&a->ready, __ATOMIC_ACQUIRE))) { /* adjacency 0 never is */
		trace_step(m, "ip-output", "no neighbour yet");
		dp_slow(w, m, SLOW_NEIGH);
		return;
	}
	if (unlikely(a->used != now_s)) /* shared between workers: written once a second only */
		__atomic_store_n(&a->used, now_s, __ATOMIC_RELAXED);
	if (likely(m->pkt_len <= a->mtu)) {
		emit(w, m, a, r);
		return;
	}
	unsigned n = too_big(w, m, a->mtu, part);

	for (unsigned i = 0; i < n; i++)
		emit(w, part[i], a, r);
}

void ip_output(struct worker *w, struct pkt_vec *v)
{
	struct stage_mark mark = stage_begin(w);
	uint32_t now_s = dp_uptime_s();
	struct tx_run run = {0};

	for (unsigned i = 0; i < v->n; i++)
		output_one(w, v->pkt[i], now_s, &run);
	run_count(w, &run, NULL);
	stage_end(w, STAGE_IP_OUTPUT, v->n, mark);
}
