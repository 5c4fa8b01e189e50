/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Outbound (RFC 4303 section 3.3, tunnel mode of RFC 4301 section 5.1.2): policy for the whole vector, then sizes, then
 * sequence numbers and headers, then crypto, then counters. Each pass prefetches what the next one reads.
 */
#include "esp_build.h"

#include <string.h>

#include <rte_ip.h>
#include <rte_udp.h>

#include "events.h"
#include "fib.h"
#include "frag.h"
#include "pmtu.h"
#include "sa_limit.h"
#include "trace.h"

#define MTU_UNKNOWN 1500u /* no route to the peer yet: the packet will be dropped there, by name */
#define IPV6_MIN_MTU 1280u

/* ---- sizes ---- */

uint16_t esp_inner_max(const struct sa *sa, uint32_t mtu)
{
	uint32_t fixed = sa->outer_len + ESP_HDR_LEN + sa->iv_len + sa->icv_len;
	if (sa->kind == SA_AH) {
		fixed = (sa->conf.mode == CV_SA_TUNNEL ? sa->outer_len : 0) + sa_ah_len(sa);
		return (uint16_t)(mtu > fixed ? mtu - fixed : 0);
	}
	if (sa->kind == SA_ESP_TRANSPORT) { /* the IP header stays, and stays in clear */
		uint32_t ip = sa->outer_af == CV_AF_INET ? sizeof(struct rte_ipv4_hdr) : sizeof(struct rte_ipv6_hdr);
		return mtu < fixed + sa->pad_mask + 1u
			       ? 0
			       : (uint16_t)(ip + ((mtu - fixed) & ~(uint32_t)sa->pad_mask) - ESP_TRAILER_LEN);
	}
	if (mtu < fixed + ESP_TRAILER_LEN + sa->pad_mask + 1u)
		return 0;
	return (uint16_t)(((mtu - fixed) & ~(uint32_t)sa->pad_mask) - ESP_TRAILER_LEN);
}

/* Largest outer packet that reaches the peer in one piece, as far as we know. */
static uint32_t outer_mtu(const struct sa *sa)
{
	uint32_t mtu = fib_path_mtu(sa->front_vrf, &sa->conf.dst);
	if (mtu == 0)
		mtu = MTU_UNKNOWN;
	if (sa->conf.path_mtu && sa->conf.path_mtu < mtu)
		mtu = sa->conf.path_mtu;
	uint32_t learned = pmtu_get(sa->front_vrf, &sa->conf.dst);
	return learned && learned < mtu ? learned : mtu;
}

/* The outer packet's route and what fits through it, looked up again only when routes have changed. */
static uint16_t route_refresh(const struct sa *sa, uint32_t generation)
{
	uint32_t mtu = outer_mtu(sa);
	const struct sa *outer = sa->flags & SA_F_NESTED ? sa_get(sa->conf.outer_index) : NULL;
	if (outer && outer->dir == CV_SA_OUT)
		mtu = RTE_MIN(mtu, esp_inner_mtu(outer, generation));
	uint16_t inner = esp_inner_max(sa, mtu);
	uint64_t route = (uint64_t)generation << 32 | fib_lookup(sa->front_vrf, &sa->conf.dst);
	/* the packet that made us look is itself on its way with what is stored here: route before mtu */
	__atomic_store_n((uint64_t *)(uintptr_t)&sa->route, route, __ATOMIC_RELAXED);
	__atomic_store_n((uint64_t *)(uintptr_t)&sa->mtu, (uint64_t)generation << 32 | inner, __ATOMIC_RELEASE);
	return inner;
}

uint16_t esp_inner_mtu(const struct sa *sa, uint32_t generation)
{
	uint64_t cached = __atomic_load_n(&sa->mtu, __ATOMIC_ACQUIRE);
	if (likely(cached >> 32 == generation))
		return (uint16_t)cached;
	return route_refresh(sa, generation);
}

/* ---- headers ---- */

/* esp_wrap() around the len bytes of a packet, which it becomes the outer packet of. */
static __rte_always_inline void wrap(struct ipsec_worker *iw, const struct sa *sa, struct rte_mbuf *m, uint32_t len,
	uint8_t next, uint8_t tos, bool df, uint64_t seq, struct crypto_op *op, bool aead, bool plain4, bool esn)
{
	uint8_t *data = rte_pktmbuf_mtod(m, uint8_t *);
	m->pkt_len = esp_wrap(iw, sa, data, len, next, tos, df, seq, op, aead, plain4, esn);
	m->data_len = (uint16_t)m->pkt_len;
	m->data_off = (uint16_t)(m->data_off - esp_head(sa));
}

static __rte_always_inline void encapsulate(struct ipsec_worker *iw, const struct sa *sa, struct rte_mbuf *m,
	uint64_t seq, struct crypto_op *op, bool aead, bool plain4, bool esn)
{
	const uint8_t *data = rte_pktmbuf_mtod(m, const uint8_t *);
	bool df;
	uint8_t tos = inner_tos(data, &df), next = data[0] >> 4 == 4 ? IPPROTO_IPIP : IPPROTO_IPV6;
	wrap(iw, sa, m, rte_pktmbuf_data_len(m), next, tos, df, seq, op, aead, plain4, esn);
}

/* With IPComp between ESP and the packet, if that makes it shorter (RFC 3173 2.2). */
static enum drop_reason comp_out(
	struct worker *w, const struct sa *sa, struct rte_mbuf *m, uint64_t seq, struct crypto_op *op)
{
	uint8_t *data = rte_pktmbuf_mtod(m, uint8_t *);
	uint32_t len = rte_pktmbuf_data_len(m);
	bool df;
	uint8_t tos = inner_tos(data, &df), next = data[0] >> 4 == 4 ? IPPROTO_IPIP : IPPROTO_IPV6;
	esp_compress(w, sa, data, &len, &next);
	wrap(w->ipsec, sa, m, len, next, tos, df, seq, op, sa->iv == SA_IV_AEAD, false, sa->flags & SA_F_ESN);
	return DROP_NONE;
}

/* A run of packets of one tunnel, the first with number seq; operations from n_op on. */
static __rte_always_inline void encapsulate_all(struct ipsec_worker *iw, const struct sa *sa, struct rte_mbuf **pkts,
	uint32_t n, uint64_t seq, uint32_t n_op, bool aead, bool plain4, bool esn)
{
	for (uint32_t i = 0; i < n; i++) {
		iw->pkt[n_op + i] = pkts[i];
		iw->sa[n_op + i] = sa;
		encapsulate(iw, sa, pkts[i], seq + i, &iw->op[n_op + i], aead, plain4, esn);
	}
}

static enum drop_reason protect_other(
	struct worker *w, const struct sa *sa, struct rte_mbuf *m, uint64_t seq, uint32_t at)
{
	struct ipsec_worker *iw = w->ipsec;
	switch (sa->kind) {
	case SA_AH:
		return ah_out(sa, m, seq, &iw->op[at], &iw->saved[at]);
	case SA_ESP_COMP:
		return comp_out(w, sa, m, seq, &iw->op[at]);
	default:
		return esp_transport_out(w, sa, m, seq, &iw->op[at]);
	}
}

/* The same for compression, transport mode and AH, which not every packet fits. Returns how many went. */
static uint32_t protect_others(struct worker *w, const struct sa *sa, struct rte_mbuf **pkts, uint32_t n, uint64_t seq,
	uint32_t n_op, uint64_t *bytes)
{
	struct ipsec_worker *iw = w->ipsec;
	uint32_t good = 0;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t at = n_op + good, len = pkts[i]->data_len;
		enum drop_reason why = protect_other(w, sa, pkts[i], seq + i, at);
		if (unlikely(why != DROP_NONE)) {
			*bytes -= len;
			esp_counters(w, sa)->other_errors++;
			dp_drop1(w, pkts[i], why);
			continue;
		}
		iw->pkt[at] = pkts[i];
		iw->sa[at] = sa;
		good++;
	}
	return good;
}

/* RFC 8200 8.1: UDP over IPv6 has a checksum; Linux and others drop a zero one. The whole packet must be final. */
static void udp6_checksum(struct rte_mbuf *m)
{
	struct rte_ipv6_hdr *ip = rte_pktmbuf_mtod(m, struct rte_ipv6_hdr *);
	struct rte_udp_hdr *udp = (void *)(ip + 1);
	udp->dgram_cksum = 0;
	udp->dgram_cksum = rte_ipv6_udptcp_cksum(ip, udp);
}

/* ---- sequence numbers and lifetimes ---- */

/* Why packets of this SA may not go, DROP_NONE when they may. Raises what is due. bytes: of the run, inner. */
static enum drop_reason account(const struct sa *sa, uint64_t last, uint64_t bytes)
{
	struct sa_state *st = sa->state;
	if (unlikely(last >= st->soft_seq)) {
		bool packets = sa->conf.soft_packets && st->soft_seq == sa->conf.soft_packets;
		sa_event_raise(sa, SA_EVENT_SOFT, packets ? CV_EXPIRE_PACKETS : CV_EXPIRE_SEQ);
	}
	if (sa->flags & SA_F_BYTE_LIMIT) {
		const uint64_t total = sa_limit_bytes(sa, last, bytes);
		if (total >= st->soft_bytes)
			sa_event_raise(sa, SA_EVENT_SOFT, CV_EXPIRE_BYTES);
		if (total > st->hard_bytes)
			sa_event_raise(sa, SA_EVENT_HARD, CV_EXPIRE_BYTES);
	}
	if (unlikely(last > st->hard_seq)) {
		bool packets = sa->conf.hard_packets && st->hard_seq == sa->conf.hard_packets;
		sa_event_raise(sa, SA_EVENT_HARD, packets ? CV_EXPIRE_PACKETS : CV_EXPIRE_SEQ);
	}
	return likely(!__atomic_load_n(&st->expired, __ATOMIC_RELAXED)) ? DROP_NONE : DROP_ESP_EXPIRED;
}

uint32_t esp_out_may(
	struct worker *w, const struct sa *sa, uint64_t seq, uint32_t n, uint64_t bytes, enum drop_reason *why)
{
	*why = account(sa, seq + n, bytes);
	if (likely(*why == DROP_NONE))
		return n;
	/* with a packet or sequence limit, the part of the run before it still goes */
	uint64_t left = seq < sa->state->hard_seq ? sa->state->hard_seq - seq : 0;
	uint32_t good =
		seq + n > sa->state->hard_seq && !(sa->flags & SA_F_BYTE_LIMIT) ? (uint32_t)RTE_MIN(left, n) : 0;
	esp_counters(w, sa)->other_errors += n - good;
	if (seq + n > UINT32_MAX && !(sa->flags & SA_F_ESN))
		*why = DROP_ESP_SEQ;
	return good;
}

/* A run of packets of one SA. Returns how many were encapsulated into iw->op from n_op on. */
static uint32_t encapsulate_run(
	struct worker *w, struct rte_mbuf **pkts, const struct sa *sa, uint32_t n, uint32_t n_op)
{
	struct ipsec_worker *iw = w->ipsec;
	struct cv_sa_counters *c = esp_counters(w, sa);
	uint64_t bytes = 0, seq;
	for (uint32_t i = 0; i < n; i++)
		bytes += pkts[i]->data_len;
	enum drop_reason why;
	uint32_t good = esp_out_numbers(w, sa, n, bytes, &seq, &why);
	for (uint32_t i = good; i < n; i++) {
		bytes -= pkts[i]->data_len;
		dp_drop1(w, pkts[i], why);
	}
	const bool plain4 = sa->outer_af == CV_AF_INET && !(sa->flags & SA_F_UDP), esn = sa->flags & SA_F_ESN;
	if (likely(sa->kind == SA_ESP_PLAIN && plain4))
		encapsulate_all(iw, sa, pkts, good, seq, n_op, true, true, false);
	else if (sa->kind == SA_ESP_PLAIN)
		encapsulate_all(iw, sa, pkts, good, seq, n_op, true, false, false);
	else if (sa->kind == SA_ESP_TUNNEL)
		encapsulate_all(iw, sa, pkts, good, seq, n_op, sa->iv == SA_IV_AEAD, false, esn);
	else
		good = protect_others(w, sa, pkts, good, seq, n_op, &bytes);
	c->packets += good;
	c->bytes += bytes;
	c->last_used_s = dp_uptime_s();
	return good;
}

/* ---- the stage ---- */

/* Cut one outer packet to what its way takes, which may be less than what the interface takes (RFC 4301 8.2). */
static uint32_t cut_one(struct worker *w, struct rte_mbuf *m, struct rte_mbuf **part)
{
	const struct sa *sa = sa_get(pkt_meta(m)->sa);
	uint16_t mtu = sa && sa->dir == CV_SA_OUT ? (uint16_t)outer_mtu(sa) : UINT16_MAX;
	int n = pkt_meta(m)->flags & PKT_F_IP6 ? frag_ipv6(w, m, mtu, part, FRAG_MAX)
					       : frag_ipv4(w, m, mtu, part, FRAG_MAX);
	return n > 0 ? (uint32_t)n : 0;
}

/* Some of the outer packets were to be cut after encryption (FRAG-11): now, where their SAs are still known. */
static void cut_after(struct worker *w, struct pkt_vec *outer)
{
	struct pkt_vec whole = *outer;
	outer->n = 0;
	for (uint32_t i = 0; i < whole.n; i++) {
		if (outer->n + FRAG_MAX > DP_VEC) {
			ip_forward(w, outer);
			outer->n = 0;
		}
		outer->n += cut_one(w, whole.pkt[i], outer->pkt + outer->n);
	}
}

/* Encrypted packets of one SA: what the outer packets are to routing and output. */
static inline void finish(
	struct worker *w, struct rte_mbuf *const *pkts, const struct sa *sa, uint32_t n, struct pkt_vec *outer)
{
	const bool v6 = sa->outer_af == CV_AF_INET6, udp = sa->flags & SA_F_UDP;
	const uint32_t vrf = sa->front_vrf, adj = (uint32_t)__atomic_load_n(&sa->route, __ATOMIC_RELAXED);
	const uint32_t index = sa->index, flags = PKT_F_PROTECTED | (v6 ? PKT_F_IP6 : 0);
	const uint16_t l4_off = v6 ? sizeof(struct rte_ipv6_hdr) : sizeof(struct rte_ipv4_hdr);
	const uint8_t proto = udp ? IPPROTO_UDP : IPPROTO_ESP;
	if (unlikely(outer->n + n > DP_VEC)) { /* only fragments can make more packets than came in */
		if (w->ipsec->cut)
			cut_after(w, outer);
		ip_forward(w, outer);
		outer->n = 0;
	}
	uint32_t n_outer = outer->n;
	outer->n += n;
	for (uint32_t i = 0; i < n; i++) {
		struct rte_mbuf *m = pkts[i];
		struct pkt_meta *meta = pkt_meta(m);
		trace_step(m, "esp-out", "spi %08x", sa->spi);
		if (unlikely(v6 && udp))
			udp6_checksum(m);
		meta->vrf = vrf;
		meta->flags = (meta->flags & (PKT_F_TRACED | PKT_F_LEARN)) | flags;
		meta->sa = index;
		meta->adj = adj;
		meta->flow_hash = 0;
		meta->l4_proto = proto;
		meta->l4_off = l4_off;
		meta->frag = 0;
		outer->pkt[n_outer + i] = m;
	}
}

/* Packets of an inner SA: on to the outer one of the bundle, never out without it. */
static void nest(struct worker *w, struct rte_mbuf *const *pkts, const struct sa *inner, uint32_t n)
{
	struct ipsec_worker *iw = w->ipsec;
	const struct sa *sa = sa_get(inner->conf.outer_index);
	for (uint32_t i = 0; i < n; i++) {
		struct rte_mbuf *m = sa && sa->dir == CV_SA_OUT ? esp_writable(pkts[i], ESP_TAIL_ROOM) : NULL;
		if (unlikely(!m || rte_pktmbuf_headroom(m) < sa->outer_len + ESP_HEAD_ROOM)) {
			esp_counters(w, inner)->other_errors++;
			dp_drop1(w, m ? m : pkts[i], sa ? DROP_ESP_TOO_BIG : DROP_NO_SA);
			continue;
		}
		pkt_meta(m)->flags &= ~PKT_F_LEARN;
		iw->nest_sa[iw->nest.n] = sa;
		iw->nest.pkt[iw->nest.n++] = m;
	}
}

/* Operations that came back from the provider, in order; those that failed are dropped. */
static void finish_all(struct worker *w, uint32_t n_op, struct pkt_vec *outer)
{
	struct ipsec_worker *iw = w->ipsec;
	for (uint32_t i = 0; i < n_op;) {
		uint32_t k = i;
		while (k < n_op && iw->sa[k] == iw->sa[i] && likely(iw->op[k].status == CRYPTO_OK))
			k++;
		if (unlikely(iw->sa[i]->kind == SA_AH))
			for (uint32_t j = i; j < k; j++)
				ah_restore(iw->pkt[j], &iw->saved[j]);
		if (unlikely(iw->sa[i]->flags & SA_F_NESTED))
			nest(w, iw->pkt + i, iw->sa[i], k - i);
		else
			finish(w, iw->pkt + i, iw->sa[i], k - i, outer);
		if (unlikely(k < n_op && iw->op[k].status != CRYPTO_OK)) {
			esp_counters(w, iw->sa[k])->other_errors++;
			dp_drop1(w, iw->pkt[k++], DROP_CRYPTO_ERROR);
		}
		i = k;
	}
}

/* Protect n packets, each with its SA, and append them to outer or to the next part of their bundle. */
static void esp_out_once(
	struct worker *w, struct rte_mbuf **pkts, const struct sa **sa, uint32_t n, struct pkt_vec *outer)
{
	struct stage_mark mark = stage_begin(w);
	uint32_t n_op = 0;
	for (uint32_t i = 0; i < n; i++)
		if (i == 0 || sa[i] != sa[i - 1])
			esp_prefetch_state(w, sa[i]);
	for (uint32_t i = 0; i < n;) {
		uint32_t run = esp_run_length(sa, i, n);
		n_op += encapsulate_run(w, pkts + i, sa[i], run, n_op);
		i += run;
	}
	esp_crypt(w, n_op);
	finish_all(w, n_op, outer);
	stage_end(w, STAGE_ESP_OUT, n, mark);
}

static void esp_out(struct worker *w, struct rte_mbuf **pkts, const struct sa **sa, uint32_t n, struct pkt_vec *outer)
{
	struct ipsec_worker *iw = w->ipsec;
	esp_out_once(w, pkts, sa, n, outer);
	while (unlikely(iw->nest.n)) { /* read before anything is added to it */
		n = iw->nest.n;
		iw->nest.n = 0;
		esp_out_once(w, iw->nest.pkt, iw->nest_sa, n, outer);
	}
}

static void parts_flush(struct worker *w, struct pkt_vec *outer)
{
	struct ipsec_worker *iw = w->ipsec;
	uint32_t n = iw->parts.n;
	iw->parts.n = 0;
	if (n)
		esp_out(w, iw->parts.pkt, iw->parts_sa, n, outer);
}

static inline void parts_add(struct worker *w, struct rte_mbuf *m, const struct sa *sa, struct pkt_vec *outer)
{
	struct ipsec_worker *iw = w->ipsec;
	struct rte_mbuf *one = esp_writable(m, ESP_TAIL_ROOM);
	if (unlikely(!one || rte_pktmbuf_headroom(one) < sa->outer_len + ESP_HEAD_ROOM)) {
		esp_counters(w, sa)->other_errors++;
		dp_drop1(w, one ? one : m, DROP_ESP_TOO_BIG);
		return;
	}
	if (unlikely(iw->parts.n == DP_VEC))
		parts_flush(w, outer);
	iw->parts_sa[iw->parts.n] = sa;
	iw->parts.pkt[iw->parts.n++] = one;
}

/* Clear DF in the inner header: what `df-bit clear` means for a packet that must be cut (FRAG-9). RFC 1624. */
static void inner_df_clear(struct rte_mbuf *m)
{
	struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod(m, struct rte_ipv4_hdr *);
	ip->fragment_offset &= (uint16_t)~RTE_BE16(RTE_IPV4_HDR_DF_FLAG);
	ip->hdr_checksum = 0;
	ip->hdr_checksum = rte_ipv4_cksum(ip);
}

/* Does not fit: tell the source (FRAG-10), or cut it before encryption (FRAG-1, 2) or after, as FRAG-9 says. */
static void too_big(struct worker *w, struct rte_mbuf *m, const struct sa *sa, uint16_t max, struct pkt_vec *outer)
{
	const uint8_t *p = rte_pktmbuf_mtod(m, const uint8_t *);
	struct rte_mbuf *part[FRAG_MAX];
	bool df, v4 = p[0] >> 4 == 4;
	inner_tos(p, &df);
	if (!v4 && max < IPV6_MIN_MTU) {
		/* the source cannot be asked for less than this: the outer packet is cut instead (RFC 8200 5) */
		if (rte_pktmbuf_pkt_len(m) <= IPV6_MIN_MTU) {
			w->ipsec->cut = true;
			parts_add(w, m, sa, outer);
			return;
		}
		max = IPV6_MIN_MTU;
	}
	/* in transport mode the source of an IPv6 packet is this box, which may cut what it sends (RFC 8200 4.5) */
	bool may_cut = !df || (sa->flags & SA_F_DF_CLEAR) || (!v4 && sa->conf.mode == CV_SA_TRANSPORT);
	/* in transport mode whole datagrams only, and what comes out is cut (RFC 4303 3.3.4) */
	if (may_cut && (sa->conf.flags & CV_SA_F_FRAG_AFTER || sa->conf.mode == CV_SA_TRANSPORT)) {
		w->stats->events[EVENT_FRAG_AFTER]++;
		w->ipsec->cut = true;
		parts_add(w, m, sa, outer);
		return;
	}
	if (!v4 || !may_cut || max == 0) {
		pkt_meta(m)->mtu = max;
		esp_counters(w, sa)->other_errors++;
		dp_slow(w, m, SLOW_ICMP_MTU);
		return;
	}
	if (df)
		inner_df_clear(m);
	int n = frag_ipv4(w, m, max, part, FRAG_MAX);
	w->stats->events[EVENT_FRAG_BEFORE] += n > 0;
	for (int i = 0; i < n; i++)
		parts_add(w, part[i], sa, outer);
}

/* No SA yet, or it went away while this vector was under way. */
static void no_sa(struct worker *w, struct rte_mbuf *m, const struct spd_verdict *v)
{
	pkt_meta(m)->rule = v->rule_id;
	trace_step(m, "spd", "rule %u: no SA", v->rule_id);
	if (v->flags & CV_RULE_NO_ACQUIRE)
		dp_drop1(w, m, DROP_NO_SA);
	else
		dp_slow(w, m, SLOW_ACQUIRE);
}

/* The SA the policy names. A cached verdict may be older than the SA's removal: then ask the policy itself. */
static const struct sa *protect_sa(const struct worker *w, struct rte_mbuf *m, struct spd_verdict *v)
{
	const struct sa *sa = v->sa ? sa_get(v->sa) : NULL;
	if (unlikely(v->sa && !sa)) {
		spd_match_uncached(w->index, true, m, v);
		sa = v->action == CV_SPD_PROTECT && v->sa ? sa_get(v->sa) : NULL;
	}
	return sa && likely(sa->dir == CV_SA_OUT) ? sa : NULL;
}

/* The SA of the packet before, and what fits into it: packets of one SA often follow one another. */
struct chosen {
	uint32_t index;
	uint16_t max;
	const struct sa *sa;
};

static inline void protect(struct worker *w, struct rte_mbuf *m, const struct spd_verdict *v, const struct chosen *c,
	struct pkt_vec *outer)
{
	pkt_meta(m)->rule = v->rule_id;
	trace_step(m, "spd", "rule %u: protect", v->rule_id);
	if (likely(rte_pktmbuf_pkt_len(m) <= c->max))
		parts_add(w, m, c->sa, outer);
	else
		too_big(w, m, c->sa, c->max, outer);
}

/* True when there is an SA for the packet: then it is in *c. */
static inline bool choose(
	const struct worker *w, struct rte_mbuf *m, struct spd_verdict *v, struct chosen *c, uint32_t generation)
{
	if (likely(v->sa == c->index && c->sa))
		return true;
	c->sa = protect_sa(w, m, v);
	if (!c->sa)
		return false;
	c->index = v->sa;
	c->max = esp_inner_mtu(c->sa, generation);
	return true;
}

/* The SAs that verdicts name, where it is not the one of the packet before. */
static inline void prefetch_sas(const struct spd_verdict *v, uint32_t n)
{
	uint32_t last = CV_SA_NONE;
	for (uint32_t i = 0; i < n; i++) {
		if (v[i].sa != last)
			rte_prefetch0(&sa_table[v[i].sa]);
		last = v[i].sa;
	}
	last = CV_SA_NONE;
	for (uint32_t i = 0; i < n; i++) {
		const struct sa *sa = v[i].sa != last ? sa_get(v[i].sa) : NULL;
		if (sa)
			esp_prefetch_sa(sa);
		last = v[i].sa;
	}
}

void ipsec_protect(
	struct worker *w, struct rte_mbuf **pkts, uint32_t n, const struct sa *sa, uint16_t mtu, struct pkt_vec *outer)
{
	struct ipsec_worker *iw = w->ipsec;
	const uint16_t max = RTE_MIN(mtu, esp_inner_mtu(sa, fib_generation()));
	iw->parts.n = 0;
	iw->cut = false;
	for (uint32_t i = 0; i < n; i++) {
		pkt_meta(pkts[i])->rule = sa->rule_id;
		if (likely(rte_pktmbuf_pkt_len(pkts[i]) <= max))
			parts_add(w, pkts[i], sa, outer);
		else
			too_big(w, pkts[i], sa, max, outer);
	}
	parts_flush(w, outer);
	if (unlikely(iw->cut))
		cut_after(w, outer);
}

void ipsec_output(struct worker *w, struct pkt_vec *v, struct pkt_vec *bypass, struct pkt_vec *outer)
{
	struct ipsec_worker *iw = w->ipsec;
	struct stage_mark mark = stage_begin(w);
	uint32_t n = v->n;
	spd_match(iw->cache, true, v->pkt, n, iw->verdict);
	prefetch_sas(iw->verdict, n);
	iw->parts.n = 0;
	iw->cut = false;
	struct chosen chosen = {0};
	const uint32_t generation = fib_generation();
	for (uint32_t i = 0; i < n; i++) {
		struct spd_verdict *verdict = &iw->verdict[i];
		struct rte_mbuf *m = v->pkt[i];
		if (likely(verdict->action == CV_SPD_PROTECT) && likely(choose(w, m, verdict, &chosen, generation)))
			protect(w, m, verdict, &chosen, outer);
		else if (verdict->action == CV_SPD_BYPASS) /* perhaps only since choose() asked again */
			bypass->pkt[bypass->n++] = m;
		else if (verdict->action == CV_SPD_PROTECT)
			no_sa(w, m, verdict);
		else
			dp_drop1(w, m, DROP_SPD_DISCARD);
	}
	v->n = 0;
	parts_flush(w, outer);
	if (unlikely(iw->cut))
		cut_after(w, outer);
	stage_end(w, STAGE_SPD_OUT, n, mark);
}
