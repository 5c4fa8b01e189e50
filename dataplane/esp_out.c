/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Outbound (RFC 4303 section 3.3, tunnel mode of RFC 4301 section 5.1.2): policy for the whole vector, then sizes, then
 * sequence numbers and headers, then crypto, then counters. Each pass prefetches what the next one reads.
 */
#include "esp.h"

#include <string.h>

#include <rte_ip.h>
#include <rte_udp.h>

#include "events.h"
#include "fib.h"
#include "frag.h"
#include "pmtu.h"
#include "trace.h"

#define MTU_UNKNOWN 1500u /* no route to the peer yet: the packet will be dropped there, by name */
#define IPV6_MIN_MTU 1280u

/* RFC 4303 2.4: padding is 1, 2, 3, ...; one store covers what a 16-byte block needs. */
static const uint8_t padding[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};

/* ---- sizes ---- */

/* Largest inner packet whose encapsulation fits this outer MTU. */
static uint16_t inner_max(const struct sa *sa, uint32_t mtu)
{
	uint32_t fixed = sa->outer_len + ESP_HDR_LEN + sa->iv_len + sa->icv_len;
	if (mtu < fixed + ESP_TRAILER_LEN + sa->pad_mask + 1u)
		return 0;
	return (uint16_t)(((mtu - fixed) & ~(uint32_t)sa->pad_mask) - ESP_TRAILER_LEN);
}

/* The outer packet's route and what fits through it, looked up again only when routes have changed. */
static uint16_t route_refresh(const struct sa *sa, uint32_t generation)
{
	uint32_t mtu = fib_path_mtu(sa->front_vrf, &sa->conf.dst);
	if (mtu == 0)
		mtu = MTU_UNKNOWN;
	if (sa->conf.path_mtu && sa->conf.path_mtu < mtu)
		mtu = sa->conf.path_mtu;
	uint32_t learned = pmtu_get(sa->front_vrf, &sa->conf.dst);
	if (learned && learned < mtu)
		mtu = learned;
	uint16_t inner = inner_max(sa, mtu);
	uint64_t route = (uint64_t)generation << 32 | fib_lookup(sa->front_vrf, &sa->conf.dst);
	/* the packet that made us look is itself on its way with what is stored here: route before mtu */
	__atomic_store_n((uint64_t *)(uintptr_t)&sa->route, route, __ATOMIC_RELAXED);
	__atomic_store_n((uint64_t *)(uintptr_t)&sa->mtu, (uint64_t)generation << 32 | inner, __ATOMIC_RELEASE);
	return inner;
}

static inline uint16_t inner_mtu(const struct sa *sa, uint32_t generation)
{
	uint64_t cached = __atomic_load_n(&sa->mtu, __ATOMIC_ACQUIRE);
	if (likely(cached >> 32 == generation))
		return (uint16_t)cached;
	return route_refresh(sa, generation);
}

/* ---- headers ---- */

static inline uint16_t fold(uint32_t sum)
{
	sum = (sum & 0xffffu) + (sum >> 16);
	sum += sum >> 16;
	return (uint16_t)~sum;
}

static inline uint64_t load8(const void *p)
{
	uint64_t v;
	memcpy(&v, p, 8);
	return v;
}

static inline void store8(void *p, uint64_t v)
{
	memcpy(p, &v, 8);
}

/* Traffic class of the inner packet; DF. RFC 6040 normal mode: DSCP and ECN are copied. */
static inline uint8_t inner_tos(const uint8_t *p, bool *df)
{
	if (p[0] >> 4 == 4) {
		*df = p[6] & 0x40;
		return p[1];
	}
	*df = true; /* nobody but the source may fragment IPv6 */
	return (uint8_t)(p[0] << 4 | p[1] >> 4);
}

/* The first 16 bytes of the outer IPv4 header: what the template says, and TOS, length, ID, DF and checksum, which are
 * zero there, in two stores. */
static inline void outer_ip4(const struct sa *sa, uint8_t *p, uint16_t len, uint8_t tos, bool df, uint32_t seq)
{
	uint16_t id = rte_cpu_to_be_16((uint16_t)(seq + sa->spi)), total = rte_cpu_to_be_16(len);
	uint16_t off = df ? RTE_BE16(RTE_IPV4_HDR_DF_FLAG) : 0;
	uint16_t sum = fold(sa->cksum + ((uint32_t)tos << 8) + total + id + off);
	store8(p, load8(sa->tmpl) | (uint64_t)tos << 8 | (uint64_t)total << 16 | (uint64_t)id << 32 |
			  (uint64_t)off << 48);
	store8(p + 8, load8(sa->tmpl + 8) | (uint64_t)sum << 16);
}

static inline void outer_ip6(uint8_t *p, uint16_t len, uint8_t tos)
{
	struct rte_ipv6_hdr *ip = (void *)p;
	ip->vtc_flow = rte_cpu_to_be_32(6u << 28 | (uint32_t)tos << 20);
	ip->payload_len = rte_cpu_to_be_16((uint16_t)(len - sizeof(*ip)));
}

/* Outer headers and SPI. The last store may run over into sequence number and IV, which are written after. plain4:
 * IPv4 without UDP, known when this is compiled. */
static inline void outer_headers(
	const struct sa *sa, uint8_t *p, uint16_t len, uint8_t tos, bool df, uint32_t seq, bool plain4)
{
	df = !(sa->flags & SA_F_DF_CLEAR) && (df || sa->flags & SA_F_DF_SET);
	if (plain4) {
		outer_ip4(sa, p, len, tos, df, seq);
		store8(p + 16, load8(sa->tmpl + 16));
		return;
	}
	for (unsigned off = 0; off < sa->outer_len + 4u; off += 8)
		store8(p + off, load8(sa->tmpl + off));
	if (sa->outer_af == CV_AF_INET)
		outer_ip4(sa, p, len, tos, df, seq);
	else
		outer_ip6(p, len, tos);
	if (sa->flags & SA_F_UDP) {
		struct rte_udp_hdr *udp = (void *)(p + sa->outer_len - sizeof(*udp));
		udp->dgram_len = rte_cpu_to_be_16((uint16_t)(len - (sa->outer_len - sizeof(*udp))));
	}
}

/* Padding, its length and the next header. */
static inline void trailer(uint8_t *end, uint32_t pad, uint8_t next, bool aead)
{
	if (aead) { /* at most 3 bytes of padding: all in one store */
		static const uint64_t ready[4] = {0, 0x0101, 0x020201, 0x03030201};
		store8(end, ready[pad] | (uint64_t)next << (8 * (pad + 1)));
		return;
	}
	memcpy(end, padding, 16);
	end[pad] = (uint8_t)pad;
	end[pad + 1] = next;
}

/* The IV of a cipher that is no AEAD, on the wire and for the operation. */
static inline void set_iv(
	struct ipsec_worker *iw, const struct sa *sa, struct crypto_op *op, uint8_t *wire, uint32_t seq_be)
{
	if (sa->iv == SA_IV_RANDOM) {
		ipsec_crypto()->random16(iw->crypto, op->nonce);
		memcpy(wire, op->nonce, sa->iv_len);
	} else if (sa->iv == SA_IV_CTR) {
		uint64_t iv = (uint64_t)seq_be << 32;
		store8(wire, iv);
		esp_counter_set(op, sa->salt, iv);
	}
}

/*
 * Put header and trailer around one packet and describe the operation. The caller has made sure of the room. aead,
 * plain4: what the SA is, constants where this is expanded.
 */
static __rte_always_inline void encapsulate(struct ipsec_worker *iw, const struct sa *sa, struct rte_mbuf *m,
	uint32_t seq, struct crypto_op *op, bool aead, bool plain4)
{
	const uint32_t iv_len = aead ? 8 : sa->iv_len, outer_len = plain4 ? sizeof(struct rte_ipv4_hdr) : sa->outer_len;
	const uint32_t head = outer_len + ESP_HDR_LEN + iv_len;
	uint8_t *data = rte_pktmbuf_mtod(m, uint8_t *), *p = data - head, *esp = p + outer_len;
	uint32_t len = rte_pktmbuf_data_len(m), pad = (0u - (len + ESP_TRAILER_LEN)) & (aead ? 3u : sa->pad_mask);
	uint32_t seq_be = rte_cpu_to_be_32(seq), body = len + pad + ESP_TRAILER_LEN;
	bool df;
	uint8_t tos = inner_tos(data, &df), next = data[0] >> 4 == 4 ? IPPROTO_IPIP : IPPROTO_IPV6;
	m->data_off = (uint16_t)(m->data_off - head);
	m->data_len = (uint16_t)(head + body + sa->icv_len);
	m->pkt_len = m->data_len;

	trailer(data + len, pad, next, aead);
	outer_headers(sa, p, m->data_len, tos, df, seq, plain4);
	memcpy(esp + 4, &seq_be, 4);
	op->session = sa->session;
	op->auth = esp;
	op->data = data;
	op->data_len = body;
	op->icv = data + body;
	if (aead) {
		uint64_t iv = (uint64_t)seq_be << 32;
		store8(esp + 8, iv);
		esp_aad_set(op, rte_cpu_to_be_32(sa->spi), seq_be);
		esp_nonce_set(op, sa->salt, iv);
	} else {
		set_iv(iw, sa, op, esp + 8, seq_be);
		op->auth_len = ESP_HDR_LEN + iv_len + body;
	}
}

/* A run of packets of one SA, the first with number seq; operations from n_op on. */
static __rte_always_inline void encapsulate_all(struct ipsec_worker *iw, const struct sa *sa, struct rte_mbuf **pkts,
	uint32_t n, uint32_t seq, uint32_t n_op, bool aead, bool plain4)
{
	for (uint32_t i = 0; i < n; i++) {
		iw->pkt[n_op + i] = pkts[i];
		iw->sa[n_op + i] = sa;
		encapsulate(iw, sa, pkts[i], seq + i, &iw->op[n_op + i], aead, plain4);
	}
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
		uint64_t total = __atomic_add_fetch(&st->bytes, bytes, __ATOMIC_RELAXED);
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

/*
 * A run of packets of one SA: one atomic add gives it consecutive sequence numbers, so several workers may share the
 * SA. Returns how many of the run were encapsulated into iw->op from n_op on.
 */
static uint32_t encapsulate_run(
	struct worker *w, struct rte_mbuf **pkts, const struct sa *sa, uint32_t n, uint32_t n_op)
{
	struct ipsec_worker *iw = w->ipsec;
	uint64_t bytes = 0;
	for (uint32_t i = 0; i < n; i++)
		bytes += pkts[i]->data_len;
	uint64_t seq = __atomic_fetch_add(&sa->state->seq, n, __ATOMIC_RELAXED);
	enum drop_reason why = account(sa, seq + n, bytes);
	struct cv_sa_counters *c = esp_counters(w, sa);
	uint32_t good = n;
	if (unlikely(why != DROP_NONE)) {
		/* with a packet or sequence limit, the part of the run before it still goes */
		uint64_t left = seq < sa->state->hard_seq ? sa->state->hard_seq - seq : 0;
		good = seq + n > sa->state->hard_seq && !(sa->flags & SA_F_BYTE_LIMIT) ? (uint32_t)RTE_MIN(left, n) : 0;
		c->other_errors += n - good;
		for (uint32_t i = good; i < n; i++)
			bytes -= pkts[i]->data_len;
		dp_drop(w, pkts + good, n - good, seq + n > UINT32_MAX ? DROP_ESP_SEQ : why);
	}
	bool aead = sa->iv == SA_IV_AEAD, plain4 = sa->outer_af == CV_AF_INET && !(sa->flags & SA_F_UDP);
	if (likely(aead && plain4))
		encapsulate_all(iw, sa, pkts, good, (uint32_t)seq + 1, n_op, true, true);
	else if (aead)
		encapsulate_all(iw, sa, pkts, good, (uint32_t)seq + 1, n_op, true, false);
	else
		encapsulate_all(iw, sa, pkts, good, (uint32_t)seq + 1, n_op, false, false);
	c->packets += good;
	c->bytes += bytes;
	c->last_used_s = dp_uptime_s();
	return good;
}

/* ---- the stage ---- */

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
		meta->flags = (meta->flags & PKT_F_TRACED) | flags;
		meta->sa = index;
		meta->adj = adj;
		meta->flow_hash = 0;
		meta->l4_proto = proto;
		meta->l4_off = l4_off;
		meta->frag = 0;
		outer->pkt[n_outer + i] = m;
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
		finish(w, iw->pkt + i, iw->sa[i], k - i, outer);
		if (unlikely(k < n_op && iw->op[k].status != CRYPTO_OK)) {
			esp_counters(w, iw->sa[k])->other_errors++;
			dp_drop1(w, iw->pkt[k++], DROP_CRYPTO_ERROR);
		}
		i = k;
	}
}

/* Encrypt n packets, each with its SA, and append them to outer. */
static void esp_out(struct worker *w, struct rte_mbuf **pkts, const struct sa **sa, uint32_t n, struct pkt_vec *outer)
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
	if (unlikely(!one || rte_pktmbuf_headroom(one) < sa->outer_len + ESP_HDR_LEN + 16u)) {
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
			parts_add(w, m, sa, outer);
			return;
		}
		max = IPV6_MIN_MTU;
	}
	bool may_cut = !df || (sa->flags & SA_F_DF_CLEAR);
	if (may_cut && (sa->conf.flags & CV_SA_F_FRAG_AFTER)) {
		w->stats->events[EVENT_FRAG_AFTER]++;
		parts_add(w, m, sa, outer); /* ip_output cuts the outer packet (FRAG-11) */
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
static const struct sa *protect_sa(struct rte_mbuf *m, struct spd_verdict *v)
{
	const struct sa *sa = v->sa ? sa_get(v->sa) : NULL;
	if (unlikely(v->sa && !sa)) {
		spd_match_uncached(true, m, v);
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
static inline bool choose(struct rte_mbuf *m, struct spd_verdict *v, struct chosen *c, uint32_t generation)
{
	if (likely(v->sa == c->index && c->sa))
		return true;
	c->sa = protect_sa(m, v);
	if (!c->sa)
		return false;
	c->index = v->sa;
	c->max = inner_mtu(c->sa, generation);
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

void ipsec_output(struct worker *w, struct pkt_vec *v, struct pkt_vec *bypass, struct pkt_vec *outer)
{
	struct ipsec_worker *iw = w->ipsec;
	struct stage_mark mark = stage_begin(w);
	uint32_t n = v->n;
	spd_match(iw->cache, true, v->pkt, n, iw->verdict);
	prefetch_sas(iw->verdict, n);
	iw->parts.n = 0;
	struct chosen chosen = {0};
	const uint32_t generation = fib_generation();
	for (uint32_t i = 0; i < n; i++) {
		struct spd_verdict *verdict = &iw->verdict[i];
		struct rte_mbuf *m = v->pkt[i];
		if (likely(verdict->action == CV_SPD_PROTECT) && likely(choose(m, verdict, &chosen, generation)))
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
	stage_end(w, STAGE_SPD_OUT, n, mark);
}
