/* SPDX-License-Identifier: BSD-3-Clause */
/* Input, routing and output of IP packets (pipeline.h). Runs on workers, and on main for what main makes itself. */
#include "pipeline.h"

#include "events.h"
#include "fast.h"
#include "fib.h"
#include "filter.h"
#include "frag.h"
#include "host.h"
#include "iface.h"
#include "iphdr.h"
#include "mss.h"
#include "multicast.h"
#include "neigh.h"
#include "qos.h"
#include "trace.h"
#include "track.h"
#include "tunnel.h"
#include "tx.h"
#include "urpf.h"
#include "worker.h"

#define NESTING_MAX 4u /* ESP inside ESP for ourselves */
#define UDP_NATT 4500u

/* ---- route look-up ---- */

/* What the packets of a vector have in common, so that stages nobody needs are skipped. */
struct summary {
	uint32_t kinds; /* bit per enum fib_kind that occurs */
	uint32_t flags; /* PKT_F_* that occur */
	bool one_if;	/* all came in by the interface of the first */
	/* the IPv4 look-up before: packets of one flow, and all that came through a tunnel, follow one another */
	uint32_t dst, root, word;
	uint32_t mark; /* PKT_F_LOCAL when the word says so */
};

/* The next one to the same group may go another way. */
static uint32_t untabled_word4(struct rte_mbuf *m, struct summary *s)
{
	s->dst = 0;
	return multicast_untabled_word(m);
}

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

		note_word(b->pkt[i], special ? multicast_untabled_word(b->pkt[i]) : b->word[i], s);
	}
}

/* One packet: IPv4 at once, its few steps overlap with the neighbours' anyway; IPv6 is put in the batch. */
static inline void lookup_one(struct rte_mbuf *m, const struct fib_roots *roots, struct batch6 *b, struct summary *s)
{
	struct pkt_meta *meta = pkt_meta(m);

	if (unlikely(meta->flags & PKT_F_IP6)) {
		memcpy(b->key[b->n].b, rte_pktmbuf_mtod(m, const struct rte_ipv6_hdr *)->dst_addr, 16);
		b->root[b->n] = roots->v6[meta->vrf];
		b->pkt[b->n++] = m;
		return;
	}
	uint32_t dst = rte_pktmbuf_mtod(m, const struct rte_ipv4_hdr *)->dst_addr, root = roots->v4[meta->vrf];

	if (unlikely(dst != s->dst || root != s->root)) {
		s->dst = dst;
		s->root = root;
		s->word = likely((uint8_t)dst < 224) ? trie_lookup4(root, dst) : untabled_word4(m, s);
		s->mark = FIB_KIND(s->word) == FIB_LOCAL ? PKT_F_LOCAL : 0;
		s->kinds |= 1u << FIB_KIND(s->word);
	}
	meta->adj = s->word;
	meta->flags |= s->mark;
	s->flags |= meta->flags;
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
	uint32_t first_if = pkt_meta(v->pkt[0])->if_rx;
	struct batch6 b;

	b.n = 0;
	for (unsigned i = 0; i < v->n; i++) {
		s->one_if &= pkt_meta(v->pkt[i])->if_rx == first_if;
		lookup_one(v->pkt[i], roots, &b, s);
	}
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

/* A packet to this router: ESP in UDP and what comes through tunnels stays here, everything else is main's. */
static void local_one(struct worker *w, struct rte_mbuf *m, struct pkt_vec *esp, struct pkt_vec *tunnel)
{
	const struct pkt_meta *meta = pkt_meta(m);
	enum natt kind = NATT_IKE;

	if (meta->frag == 0 && tunnel_protocol(meta->l4_proto)) {
		tunnel->pkt[tunnel->n++] = m;
		return;
	}
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

		if (FIB_KIND(meta->adj) == FIB_LOCAL && meta->frag == 0 &&
			(likely(meta->l4_proto == IPPROTO_ESP) || meta->l4_proto == IPPROTO_AH)) {
			trace_step(m, "local", "ESP");
			esp->pkt[n_esp++] = m;
		} else {
			v->pkt[keep++] = m;
		}
	}
	v->n = keep;
	esp->n = n_esp;
}

/* Leave in v what is to be forwarded; collect ESP in UDP for ourselves in esp, tunnelled packets in tunnel. What is for
 * groups is forwarded from here. */
static void split_local(struct worker *w, struct pkt_vec *v, struct pkt_vec *esp, struct pkt_vec *tunnel)
{
	struct pkt_vec group;
	unsigned keep = 0;

	group.n = 0;
	for (unsigned i = 0; i < v->n; i++) {
		struct rte_mbuf *m = v->pkt[i];
		const struct pkt_meta *meta = pkt_meta(m);

		if (FIB_KIND(meta->adj) == FIB_LOCAL)
			local_one(w, m, esp, tunnel);
		else if (FIB_KIND(meta->adj) == FIB_BROADCAST && host_group(m))
			dp_slow(w, m, SLOW_LOCAL);
		else if (FIB_KIND(meta->adj) == FIB_BROADCAST && multicast_routable(m))
			group.pkt[group.n++] = m;
		else if (unlikely(FIB_KIND(meta->adj) == FIB_BROADCAST || (meta->flags & PKT_F_GROUP)))
			dp_drop1(w, m, DROP_MULTICAST);
		else
			v->pkt[keep++] = m;
	}
	v->n = keep;
	if (group.n)
		multicast_forward(w, &group);
}

static void trace_input(struct pkt_vec *v)
{
	for (unsigned i = 0; i < v->n; i++)
		if (unlikely(pkt_meta(v->pkt[i])->flags & PKT_F_TRACED))
			trace_header(v->pkt[i]);
}

static void route_and_send(struct worker *w, struct pkt_vec *v);

/* What has another destination now is looked up again. */
static void translate(struct worker *w, struct pkt_vec *v, const struct iface_view *view, struct summary *s)
{
	struct pkt_vec changed;

	track_translate(w, v, view, &changed);
	if (!changed.n)
		return;
	lookup_all(&changed, s);
	memcpy(v->pkt + v->n, changed.pkt, changed.n * sizeof(changed.pkt[0]));
	v->n += changed.n;
}

static void input_nested(struct worker *w, struct pkt_vec *v, unsigned nesting)
{
	struct stage_mark mark = stage_begin(w);
	const struct iface_view *view = iface_view();
	struct summary s = {.one_if = true};
	struct pkt_vec esp, tunnel, inner;
	unsigned n = v->n;

	esp.n = tunnel.n = inner.n = 0;
	if (nesting)
		lookup_all(v, &s);
	else
		classify(w, v, &s);
	if (v->n && unlikely(s.flags & PKT_F_TRACED))
		trace_input(v);
	if (v->n && unlikely(view->tracks))
		track_input(w, v, view);
	if (v->n && unlikely(view->filters))
		filter_input(w, v, view);
	if (v->n)
		urpf_check(w, v, s.one_if, nesting);
	if (v->n)
		qos_input(w, v, s.one_if, nesting);
	if (s.kinds & 1u << FIB_LOCAL)
		split_esp(v, &esp);
	if (v->n && !nesting)
		check_clear(w, v, &s);
	if (v->n && unlikely(view->tracks))
		translate(w, v, view, &s);
	if ((s.kinds & (1u << FIB_LOCAL | 1u << FIB_BROADCAST)) || (s.flags & PKT_F_GROUP))
		split_local(w, v, &esp, &tunnel);
	stage_end(w, STAGE_IP_INPUT, n, mark);
	if (v->n)
		route_and_send(w, v);
	if (likely(!esp.n && !tunnel.n))
		return;
	if (nesting == NESTING_MAX) {
		dp_drop(w, esp.pkt, esp.n, DROP_IP_OPTIONS);
		dp_drop(w, tunnel.pkt, tunnel.n, DROP_IP_OPTIONS);
		return;
	}
	if (unlikely(tunnel.n)) {
		tunnel_input(w, &tunnel, &inner);
		if (inner.n)
			input_nested(w, &inner, nesting + 1);
		inner.n = 0;
	}
	if (esp.n)
		ipsec_input(w, &esp, &inner);
	if (inner.n)
		input_nested(w, &inner, nesting + 1);
}

void ip_input(struct worker *w, struct pkt_vec *v)
{
	input_nested(w, v, 0);
}

void ip_input_inner(struct worker *w, struct pkt_vec *v)
{
	input_nested(w, v, 1);
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

/* meta->adj from route word to adjacency (0 = not resolved yet; a tunnel has none and keeps its word) and meta->if_tx.
 */
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
	case FIB_TUNNEL:
		meta->if_tx = FIB_TUNNEL_IF(word);
		meta->adj = word;
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

/* Resolve, take a hop off, and put aside what leaves by an interface with an SPD, or by a tunnel: true when there is
 * any of the latter; before its hop is taken, what has to meet a policy map. Packets with the route word of the one
 * before go the same way, unless it is a group's or a subnet's. */
static bool route(struct worker *w, struct pkt_vec *v, struct pkt_vec *secure, struct pkt_vec *queue)
{
	uint32_t last_word = UINT32_MAX, last_adj = 0, last_if = 0;
	uint32_t exempt = PKT_F_PROTECTED | PKT_F_BYPASS; /* from being put aside */
	const struct iface_view *view = iface_view();
	const bool clamps = view->clamps, tracks = view->tracks;
	const struct qos_view *qos = qos_view();
	const struct qos_attach *policy = NULL;
	bool last = false, tunnel = false;
	unsigned keep = 0, n_secure = 0;

	for (unsigned i = 0; i < v->n; i++) {
		struct rte_mbuf *m = v->pkt[i];
		struct pkt_meta *meta = pkt_meta(m);
		uint32_t word = meta->adj;

		if (likely(word == last_word)) {
			meta->adj = last_adj;
			meta->if_tx = last_if;
		} else if (likely(resolve(w, m))) {
			last_word = FIB_KIND(word) == FIB_ADJ ? word : UINT32_MAX;
			last_adj = meta->adj;
			if (meta->if_tx != last_if) {
				last = ipsec_on_interface(last_if = meta->if_tx);
				exempt = PKT_F_PROTECTED | PKT_F_BYPASS;
				if (unlikely(qos))
					policy = qos_output_policy(qos, last_if);
			}
			if (unlikely(FIB_KIND(last_adj) == FIB_TUNNEL)) {
				last = tunnel = true;
				exempt = 0; /* a tunnel may lead through another one */
			}
		} else {
			continue;
		}
		uint32_t flags = meta->flags;

		if (unlikely(tracks) && !(flags & TRACK_EXEMPT) && unlikely(!track_output(w, m, view)))
			continue;
		if (unlikely(policy) && !(flags & QOS_EXEMPT)) {
			meta->scratch = (uintptr_t)policy;
			queue->pkt[queue->n++] = m;
			continue;
		}
		if (likely(!(flags & (PKT_F_LOCAL_OUT | PKT_F_PROTECTED))) && unlikely(!take_hop(w, m)))
			continue;
		trace_step(m, "route", "VRF %u interface %u adjacency %u", meta->vrf, meta->if_tx, meta->adj);
		if (unlikely(clamps) && !(flags & PKT_F_PROTECTED))
			mss_clamp(w, m, view);
		if (last && !(flags & exempt))
			secure->pkt[n_secure++] = m;
		else
			v->pkt[keep++] = m;
	}
	v->n = keep;
	secure->n = n_secure;
	return tunnel;
}

static void route_and_send(struct worker *w, struct pkt_vec *v)
{
	struct stage_mark mark = stage_begin(w);
	struct pkt_vec secure, bypass, outer, queue;
	unsigned n = v->n;

	secure.n = bypass.n = outer.n = queue.n = 0;
	bool tunnel = route(w, v, &secure, &queue);
	stage_end(w, STAGE_ROUTE, n, mark);
	if (v->n)
		ip_output(w, v);
	if (unlikely(queue.n))
		qos_output(w, &queue);
	if (!secure.n)
		return;
	if (unlikely(tunnel)) {
		const struct iface_view *view = iface_view();

		if (unlikely(view->filters))
			filter_output(w, &secure, view, true);
		tunnel_output(w, &secure, &outer);
	}
	if (likely(secure.n))
		ipsec_output(w, &secure, &bypass, &outer);
	if (bypass.n)
		ip_output(w, &bypass);
	if (outer.n)
		route_and_send(
			w, &outer); /* looked up already; PKT_F_PROTECTED, or tunnel.c, ends the recursion here */
}

void ip_forward_routed(struct worker *w, struct pkt_vec *v)
{
	route_and_send(w, v);
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

/* Link-layer header in front. */
static inline void l2_push(struct rte_mbuf *m, const struct adj *a)
{
	const unsigned len = a->l2_len;
	uint8_t *l2 = rte_pktmbuf_mtod(m, uint8_t *) - len;

	m->data_off = (uint16_t)(m->data_off - len);
	m->data_len = (uint16_t)(m->data_len + len);
	m->pkt_len += len;
	memcpy(l2, a->l2, 8);
	if (likely(len == 14)) {
		memcpy(l2 + 6, a->l2 + 6, 8);
	} else {
		memcpy(l2 + 8, a->l2 + 8, 8);
		memcpy(l2 + 16, a->l2 + 16, 2);
	}
	trace_end(m, "tx", "sent");
}

/* n packets with their link-layer headers: count them, then to the port's buffer. */
static inline void emit(struct worker *w, const struct adj *a, struct rte_mbuf **pkts, unsigned n, uint64_t bytes)
{
	struct cv_if_counters *c = &w->stats->ifc[a->if_id];

	c->tx_packets += n;
	c->tx_bytes += bytes;
	tx_put_bulk(w, a->port_id, pkts, n);
}

/* A packet that is too long for the adjacency, and its parts. */
static void emit_parts(struct worker *w, const struct adj *a, struct rte_mbuf *m)
{
	struct rte_mbuf *part[FRAG_MAX];
	unsigned n = too_big(w, m, a->mtu, part);
	uint64_t bytes = 0;

	for (unsigned i = 0; i < n; i++) {
		l2_push(part[i], a);
		bytes += part[i]->pkt_len;
	}
	if (n)
		emit(w, a, part, n, bytes);
}

/* Packets that follow one another to one adjacency share its header and are counted together. Returns how many. */
static inline unsigned output_run(struct worker *w, struct rte_mbuf **pkts, unsigned n, uint32_t now_s)
{
	const uint32_t index = pkt_meta(pkts[0])->adj;
	struct adj *a = &adj_table[index];
	unsigned i = 0, first = 0;
	uint64_t bytes = 0;

	if (unlikely(!__atomic_load_n(&a->ready, __ATOMIC_ACQUIRE))) { /* adjacency 0 never is */
		trace_step(pkts[0], "ip-output", "no neighbour yet");
		pkt_meta(pkts[0])->flags |= PKT_F_FILTERED;
		dp_slow(w, pkts[0], SLOW_NEIGH);
		return 1;
	}
	if (unlikely(a->used != now_s)) /* shared between workers: written once a second only */
		__atomic_store_n(&a->used, now_s, __ATOMIC_RELAXED);
	do {
		struct rte_mbuf *m = pkts[i];

		if (likely(m->pkt_len <= a->mtu)) {
			l2_push(m, a);
			bytes += m->pkt_len;
			if (unlikely(pkt_meta(m)->flags & PKT_F_LEARN))
				fast_learn(w, m, index);
			continue;
		}
		emit(w, a, pkts + first, i - first, bytes);
		emit_parts(w, a, m);
		first = i + 1;
		bytes = 0;
	} while (++i < n && pkt_meta(pkts[i])->adj == index);
	emit(w, a, pkts + first, i - first, bytes);
	return i;
}

void ip_output(struct worker *w, struct pkt_vec *v)
{
	struct stage_mark mark = stage_begin(w);
	const struct iface_view *view = iface_view();
	uint32_t now_s = dp_uptime_s();

	if (unlikely(view->filters))
		filter_output(w, v, view, false);
	for (unsigned i = 0; i < v->n;)
		i += output_run(w, v->pkt + i, v->n - i, now_s);
	stage_end(w, STAGE_IP_OUTPUT, v->n, mark);
}
