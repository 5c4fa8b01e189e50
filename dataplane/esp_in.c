/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Inbound (RFC 4303 section 3.4, RFC 4301 section 5.2, UDP encapsulation of RFC 3948): find all SAs, check sequence
 * numbers and lengths, decrypt all, then per packet replay update, trailer, inner header, selectors (IPSEC-77). And the
 * check of clear packets against the policy (IPSEC-30, 78).
 */
#include "esp_open.h"

#include <string.h>

#include <rte_ip.h>
#include <rte_udp.h>

#include "ecn.h"
#include "iphdr.h"
#include "nd.h"
#include "sa_limit.h"
#include "trace.h"
#include "tunnel.h"

#define PORT_IKE 500u
#define PORT_NATT 4500u

void esp_in_fail(struct worker *w, struct rte_mbuf *m, const struct sa *sa, enum drop_reason why)
{
	struct cv_sa_counters *c = esp_counters(w, sa);
	if (why == DROP_ESP_REPLAY)
		c->replay_drops++;
	else if (why == DROP_ESP_AUTH)
		c->auth_errors++;
	else if (why != DROP_ESP_DUMMY)
		c->other_errors++;
	dp_drop1(w, m, why);
}

/* ---- before decryption ---- */

static inline uint32_t ip_length(const uint8_t *p)
{
	return p[0] >> 4 == 4 ? (uint32_t)(p[2] << 8 | p[3])
			      : sizeof(struct rte_ipv6_hdr) + (uint32_t)(p[4] << 8 | p[5]);
}

/*
 * Where the ESP header is, 0 when the packet was dropped: too short, or a NAT keepalive. Bytes behind the IP packet
 * (Ethernet padding) are cut off.
 */
static inline uint32_t locate_esp(struct worker *w, struct rte_mbuf *m)
{
	const struct pkt_meta *meta = pkt_meta(m);
	const uint8_t *p = rte_pktmbuf_mtod(m, const uint8_t *);
	uint32_t off = meta->l4_off, len = ip_length(p);
	if (meta->l4_proto == IPPROTO_UDP) {
		off += sizeof(struct rte_udp_hdr);
		if (len == off + 1 && m->data_len > off && p[off] == 0xff) {
			dp_drop1(w, m, DROP_NATT_KEEPALIVE);
			return 0;
		}
	}
	if (unlikely(len < off + ESP_HDR_LEN || len > m->pkt_len)) {
		dp_drop1(w, m, DROP_ESP_SHORT);
		return 0;
	}
	if (unlikely(len < m->pkt_len))
		rte_pktmbuf_trim(m, (uint16_t)(m->pkt_len - len));
	return off;
}

/* Where the SPI is in the header: AH has four bytes in front of it. */
static inline uint32_t spi_at(struct rte_mbuf *m)
{
	return unlikely(pkt_meta(m)->l4_proto == IPPROTO_AH) ? 4 : 0;
}

/* Was the packet sent to the address this SA ends at, in its VRF, with its protocol? */
static inline bool for_sa(const struct sa *sa, const struct rte_mbuf *m)
{
	const uint8_t *p = rte_pktmbuf_mtod(m, const uint8_t *);
	const struct pkt_meta *meta = pkt_meta((struct rte_mbuf *)(uintptr_t)m);
	if (sa->front_vrf != meta->vrf || (meta->l4_proto == IPPROTO_AH) != (sa->kind == SA_AH))
		return false;
	if (p[0] >> 4 == 4)
		return sa->outer_af == CV_AF_INET && !memcmp(sa->in.local, p + 16, 4);
	return sa->outer_af == CV_AF_INET6 && !memcmp(sa->in.local, p + 24, 16);
}

/* ---- after decryption ---- */

/* RFC 4303 2.4, 2.6: padding 1, 2, 3...; returns the next header and shortens *len to the inner packet. */
static inline int trailer(const struct crypto_op *op, uint32_t *len)
{
	const uint8_t *end = op->data + op->data_len - ESP_TRAILER_LEN;
	uint32_t pad = end[0];
	if (unlikely(pad + ESP_TRAILER_LEN > op->data_len || !esp_padding_ok(end, pad)))
		return -1;
	*len = op->data_len - ESP_TRAILER_LEN - pad;
	return end[1];
}

/* The other side's addresses and ports decide how the inner packet may look (IPSEC-77). */
static bool selectors_slow(const struct sa *sa, struct rte_mbuf *m)
{
	struct flow f;
	if (!flow_parse(m, &f))
		return false;
	flow_mirror(&f);
	for (uint32_t i = 0; i < sa->n_sel; i++)
		if (flow_match(&sa->sel[i], &f, true))
			return true;
	return false;
}

static inline bool selectors_ok(const struct sa *sa, struct rte_mbuf *m, bool v4)
{
	const uint8_t *p = rte_pktmbuf_mtod(m, const uint8_t *);
	if (likely(sa->flags & SA_F_SEL4)) {
		uint32_t src, dst;
		memcpy(&src, p + 12, 4);
		memcpy(&dst, p + 16, 4);
		return v4 && rte_be_to_cpu_32(dst) - sa->in.sel_local <= sa->in.sel_local_span &&
		       rte_be_to_cpu_32(src) - sa->in.sel_remote <= sa->in.sel_remote_span;
	}
	return selectors_slow(sa, m);
}

/* A peer behind a NAT whose mapping changed: only the newest packet may say so (RFC 3948, RFC 7296 2.23). */
static inline void peer_check(const struct sa *sa, const uint8_t *outer, const struct pkt_meta *meta, uint64_t seq)
{
	if (likely(!(sa->flags & SA_F_UDP)) || meta->l4_proto != IPPROTO_UDP)
		return;
	bool v4 = outer[0] >> 4 == 4;
	const uint8_t *src = outer + (v4 ? 12 : 8), *udp = outer + meta->l4_off;
	uint16_t port = (uint16_t)(udp[0] << 8 | udp[1]);
	if (likely(port == sa->udp_peer && !memcmp(src, sa->in.remote, v4 ? 4 : 16)))
		return;
	if (seq <= __atomic_load_n(&sa->state->replay->top, __ATOMIC_RELAXED))
		return;
	struct cv_addr a = {.af = v4 ? CV_AF_INET : CV_AF_INET6};
	memcpy(a.b, src, v4 ? 4 : 16);
	sa_event_peer(sa, &a, port);
}

/* A part of a bundle that has an outer one: did the packet come out of that? */
static bool nested_ok(const struct sa *sa, const struct pkt_meta *meta)
{
	return meta->flags & PKT_F_DECAPPED && meta->sa == sa->in.outer;
}

/* What an outer part of a bundle carries: a packet for another SA, which has the selectors. */
static bool carries_sa(const struct rte_mbuf *m)
{
	const struct pkt_meta *meta = pkt_meta((struct rte_mbuf *)(uintptr_t)m);
	return meta->l4_proto == IPPROTO_ESP || meta->l4_proto == IPPROTO_AH;
}

/*
 * The inner packet, of len bytes from p on: the whole check of a received packet while it is at hand, and the
 * selectors. What is behind the inner packet is cut off (RFC 4303 2.7).
 */
static __rte_always_inline enum drop_reason accept_inner(
	const struct sa *sa, struct rte_mbuf *m, const uint8_t *p, uint32_t len, bool v4)
{
	struct pkt_meta *meta = pkt_meta(m);
	if (unlikely(sa->flags & SA_F_NESTED) && !nested_ok(sa, meta))
		return DROP_ESP_NESTING;
	m->data_off = (uint16_t)(p - (const uint8_t *)m->buf_addr);
	m->data_len = (uint16_t)len;
	m->pkt_len = len;
	m->ol_flags &= ~(RTE_MBUF_F_RX_IP_CKSUM_MASK | RTE_MBUF_F_RX_L4_CKSUM_MASK); /* said of the outer packet */
	meta->flags = (meta->flags & PKT_F_TRACED) | PKT_F_DECAPPED;
	meta->vrf = sa->inside_vrf;
	meta->sa = sa->index;
	meta->rule = sa->rule_id;
	meta->flow_hash = 0;
	enum drop_reason why = likely(v4) ? ip4_check(m) : ip6_check(m);
	return likely(why != DROP_NONE || selectors_ok(sa, m, v4)) ? why : DROP_SPD_SELECTOR;
}

/* A tunnel carries something else than a packet: one that was compressed, when that was agreed. */
static enum drop_reason not_a_packet(
	struct worker *w, const struct sa *sa, struct rte_mbuf *m, uint8_t *data, uint32_t *len, int *next)
{
	if (*next != IPPROTO_COMP || !sa->conf.cpi)
		return *next == IPPROTO_NONE ? DROP_ESP_DUMMY : DROP_ESP_PAD;
	enum drop_reason why = esp_decompress(w, sa, m, data, len, next);
	return why != DROP_NONE || *next == IPPROTO_IPIP || *next == IPPROTO_IPV6 ? why : DROP_IPCOMP;
}

/* From a decrypted packet of a tunnel, whose sequence number has been taken, to its inner packet. */
static inline enum drop_reason decapsulate(
	struct worker *w, const struct sa *sa, struct rte_mbuf *m, const struct crypto_op *op, uint64_t seq)
{
	const uint8_t *outer = rte_pktmbuf_mtod(m, const uint8_t *);
	uint32_t len;
	peer_check(sa, outer, pkt_meta(m), seq);
	uint8_t tos = ip_tos(outer);
	int next = trailer(op, &len);
	if (unlikely(next != IPPROTO_IPIP && next != IPPROTO_IPV6)) {
		enum drop_reason no = not_a_packet(w, sa, m, op->data, &len, &next);
		if (no != DROP_NONE)
			return no;
	}
	bool v4 = next == IPPROTO_IPIP;
	enum drop_reason why = accept_inner(sa, m, op->data, len, v4);
	if (unlikely(why != DROP_NONE))
		return why;
	return likely(ecn_decap(w, rte_pktmbuf_mtod(m, uint8_t *), tos, v4)) ? DROP_NONE : DROP_ESP_ECN;
}

/* A packet whose protecting header has been taken out: it is to its own IP header what it was before. */
static enum drop_reason accept_transport(const struct sa *sa, struct rte_mbuf *m)
{
	const uint8_t *p = rte_pktmbuf_mtod(m, const uint8_t *);
	bool v4 = p[0] >> 4 == 4;
	enum drop_reason why = accept_inner(sa, m, p, rte_pktmbuf_data_len(m), v4);
	if (sa->conf.flags & CV_SA_F_BUNDLED && (why == DROP_NONE || why == DROP_SPD_SELECTOR))
		return carries_sa(m) ? DROP_NONE : DROP_ESP_NESTING;
	return why;
}

static enum drop_reason transport_in(
	struct worker *w, const struct sa *sa, struct rte_mbuf *m, const struct crypto_op *op, uint64_t seq)
{
	const struct pkt_meta *meta = pkt_meta(m);
	uint32_t off = meta->l4_off, len;
	const bool udp = meta->l4_proto == IPPROTO_UDP;
	peer_check(sa, rte_pktmbuf_mtod(m, const uint8_t *), meta, seq);
	int next = trailer(op, &len);
	if (next < 0 || next == IPPROTO_NONE)
		return next < 0 ? DROP_ESP_PAD : DROP_ESP_DUMMY;
	if (next == IPPROTO_COMP && sa->conf.cpi) {
		enum drop_reason why = esp_decompress(w, sa, m, op->data, &len, &next);
		if (why != DROP_NONE)
			return why;
	}
	transport_strip(m, off, op->data, len, (uint8_t)next);
	if (udp)
		transport_checksum(m, off, (uint8_t)next);
	return accept_transport(sa, m);
}

static enum drop_reason ah_in(struct worker *w, const struct sa *sa, struct rte_mbuf *m, const struct esp_saved *saved)
{
	ah_restore(m, saved);
	uint8_t *p = rte_pktmbuf_mtod(m, uint8_t *), *ah = p + saved->len;
	uint32_t size = (ah[1] + 2u) * 4u, len = rte_pktmbuf_data_len(m) - saved->len - size;
	uint8_t next = ah[0], tos = ip_tos(p);
	if (sa->conf.mode == CV_SA_TRANSPORT) {
		if (next == IPPROTO_NONE)
			return DROP_ESP_DUMMY;
		transport_strip(m, saved->len, ah + size, len, next);
		return accept_transport(sa, m);
	}
	if (next != IPPROTO_IPIP && next != IPPROTO_IPV6)
		return next == IPPROTO_NONE ? DROP_ESP_DUMMY : DROP_ESP_PAD;
	bool v4 = next == IPPROTO_IPIP;
	enum drop_reason why = accept_inner(sa, m, ah + size, len, v4);
	if (why != DROP_NONE)
		return why;
	return ecn_decap(w, rte_pktmbuf_mtod(m, uint8_t *), tos, v4) ? DROP_NONE : DROP_ESP_ECN;
}

/* ---- lifetimes and counters ---- */

void esp_in_limits(const struct sa *sa, uint64_t packets, uint64_t bytes)
{
	struct sa_state *st = sa->state;
	if (sa->flags & SA_F_BYTE_LIMIT) {
		const uint64_t top = __atomic_load_n(&st->replay->top, __ATOMIC_RELAXED);
		const uint64_t total = sa_limit_bytes(sa, top, bytes);
		if (total >= st->soft_bytes)
			sa_event_raise(sa, SA_EVENT_SOFT, CV_EXPIRE_BYTES);
		if (total >= st->hard_bytes)
			sa_event_raise(sa, SA_EVENT_HARD, CV_EXPIRE_BYTES);
	}
	if (sa->flags & SA_F_PACKET_LIMIT) {
		const uint64_t total = __atomic_add_fetch(&st->packets, packets, __ATOMIC_RELAXED);
		if (total >= st->soft_packets)
			sa_event_raise(sa, SA_EVENT_SOFT, CV_EXPIRE_PACKETS);
		if (total >= st->hard_packets)
			sa_event_raise(sa, SA_EVENT_HARD, CV_EXPIRE_PACKETS);
	}
}

void esp_run_close(struct worker *w, const struct esp_run *r, uint32_t now_s)
{
	if (r->top)
		replay_advance(r->sa->in.replay, r->top, sa_mine(w, r->sa->state));
	if (r->packets)
		esp_in_count(w, r->sa, r->packets, r->bytes, now_s);
}

/* ---- the stage ---- */

/* Compacts v to the packets that have an ESP header; their SPIs and offsets are in iw->op (auth, data_len). */
static uint32_t find_sas(struct worker *w, struct pkt_vec *v, uint32_t *spi, uint32_t *off)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < v->n; i++) {
		struct rte_mbuf *m = esp_writable(v->pkt[i], 0);
		if (unlikely(!m)) {
			dp_drop1(w, v->pkt[i], DROP_NO_MBUF);
			continue;
		}
		off[n] = locate_esp(w, m);
		if (unlikely(off[n] == 0))
			continue;
		uint32_t spi_be;
		memcpy(&spi_be, rte_pktmbuf_mtod_offset(m, const uint8_t *, off[n] + spi_at(m)), 4);
		spi[n] = rte_be_to_cpu_32(spi_be);
		rte_prefetch0(&sa_table[spi[n] & (CV_SA_MAX - 1u)]);
		v->pkt[n++] = m;
	}
	const struct sa *last = NULL;
	for (uint32_t i = 0; i < n; i++) {
		const struct sa *sa = w->ipsec->sa[i] = sa_get(spi[i]);
		if (sa != last && likely(sa != NULL))
			esp_prefetch_sa(sa);
		last = sa;
	}
	return n;
}

static void unknown_spi(struct worker *w, struct rte_mbuf *m, uint32_t spi)
{
	trace_step(m, "esp-in", "spi %08x unknown", spi);
	dp_slow(w, m, SLOW_INVALID_SPI);
}

/* Operations for n packets that carry the SPI of sa, from n_op on. Returns where the next one goes. ah is
 * known when this is compiled, and aead and esn, which are of ESP, in the common case. */
static __rte_always_inline uint32_t prepare_run(struct worker *w, const struct sa *sa, struct rte_mbuf *const *pkts,
	const uint32_t *off, uint32_t n, uint32_t n_op, bool ah, bool aead, bool esn)
{
	struct ipsec_worker *iw = w->ipsec;
	const bool expired = __atomic_load_n(&sa->state->expired, __ATOMIC_RELAXED);
	for (uint32_t i = 0; i < n; i++) {
		struct rte_mbuf *m = pkts[i];
		if (unlikely(!for_sa(sa, m))) {
			unknown_spi(w, m, sa->spi);
			continue;
		}
		enum drop_reason why = DROP_ESP_EXPIRED;
		if (likely(!expired))
			why = ah ? ah_prepare(sa, m, off[i], &iw->op[n_op], &iw->saved[n_op], &iw->seq[n_op])
				 : esp_op_in(sa, rte_pktmbuf_mtod_offset(m, uint8_t *, off[i]), m->data_len - off[i],
					   &iw->op[n_op], &iw->saved[n_op], &iw->seq[n_op], aead, esn);
		if (unlikely(why != DROP_NONE)) {
			esp_in_fail(w, m, sa, why);
			continue;
		}
		iw->sa[n_op] = sa;
		iw->pkt[n_op++] = m;
	}
	return n_op;
}

/* Packets that follow one another with one SPI share its checks. iw->sa holds what the SPIs found, and from its start
 * on the SAs of the operations, which are never more. */
static uint32_t prepare_all(struct worker *w, struct pkt_vec *v, uint32_t n, const uint32_t *spi, const uint32_t *off)
{
	uint32_t n_op = 0, k;
	esp_prefetch_found(w, n);
	for (uint32_t i = 0; i < n; i += k) {
		const struct sa *sa = w->ipsec->sa[i];
		for (k = 1; i + k < n && spi[i + k] == spi[i];)
			k++;
		if (unlikely(!sa || sa->spi != spi[i] || sa->dir != CV_SA_IN)) {
			for (uint32_t j = i; j < i + k; j++)
				unknown_spi(w, v->pkt[j], spi[i]);
			continue;
		}
		if (likely(sa->kind == SA_ESP_PLAIN))
			n_op = prepare_run(w, sa, v->pkt + i, off + i, k, n_op, false, true, false);
		else if (sa->kind == SA_AH)
			n_op = prepare_run(w, sa, v->pkt + i, off + i, k, n_op, true, false, false);
		else
			n_op = prepare_run(
				w, sa, v->pkt + i, off + i, k, n_op, false, sa->iv == SA_IV_AEAD, sa->flags & SA_F_ESN);
	}
	return n_op;
}

/* The same when some of the run failed the integrity check: their numbers are not taken. */
static void take_good_numbers(
	struct ipsec_worker *iw, struct replay *r, uint32_t first, uint32_t n, bool *fresh, bool alone)
{
	uint64_t seq[DP_VEC];
	uint32_t good = 0;
	uint8_t which[DP_VEC];
	bool ok[DP_VEC];
	for (uint32_t i = 0; i < n; i++) {
		fresh[i] = false;
		which[good] = (uint8_t)i;
		seq[good] = iw->seq[first + i];
		good += iw->op[first + i].status == CRYPTO_OK;
	}
	if (good)
		replay_mark(r, seq, good, ok, alone);
	for (uint32_t i = 0; i < good; i++)
		fresh[which[i]] = ok[i];
}

void esp_take_numbers(struct worker *w, const struct sa *sa, uint32_t first, uint32_t n, bool good, bool *fresh)
{
	const bool alone = sa_mine(w, sa->state);
	if (likely(good))
		replay_mark(sa->in.replay, &w->ipsec->seq[first], n, fresh, alone);
	else
		take_good_numbers(w->ipsec, sa->in.replay, first, n, fresh, alone);
}

enum drop_reason esp_in_judge(struct worker *w, const struct sa *sa, uint32_t i, bool fresh)
{
	struct ipsec_worker *iw = w->ipsec;
	const struct crypto_op *op = &iw->op[i];
	if (likely(fresh)) { /* and so has passed the integrity check */
		if (likely(sa->kind <= SA_ESP_COMP))
			return decapsulate(w, sa, iw->pkt[i], op, iw->seq[i]);
		return sa->kind == SA_AH ? ah_in(w, sa, iw->pkt[i], &iw->saved[i])
					 : transport_in(w, sa, iw->pkt[i], op, iw->seq[i]);
	}
	if (op->status == CRYPTO_OK)
		return DROP_ESP_REPLAY;
	return op->status == CRYPTO_AUTH_FAILED ? DROP_ESP_AUTH : DROP_CRYPTO_ERROR;
}

/* A run of operations of one SA. */
static inline void finish_run(
	struct worker *w, uint32_t first, uint32_t n, bool good, uint32_t now_s, struct pkt_vec *inner)
{
	struct ipsec_worker *iw = w->ipsec;
	struct esp_run run = {.sa = iw->sa[first]};
	bool fresh[DP_VEC];
	uint32_t n_inner = inner->n;
	uint64_t top = 0, bytes = 0;
	esp_take_numbers(w, run.sa, first, n, good, fresh);
	for (uint32_t i = 0; i < n; i++) {
		struct rte_mbuf *m = iw->pkt[first + i];
		const uint64_t seq = iw->seq[first + i];
		enum drop_reason why = esp_in_judge(w, run.sa, first + i, fresh[i]);
		if (likely(fresh[i]) && seq > top)
			top = seq;
		if (unlikely(why != DROP_NONE)) {
			trace_step(m, "esp-in", "spi %08x refused", run.sa->spi);
			esp_in_fail(w, m, run.sa, why);
			continue;
		}
		bytes += m->data_len;
		trace_step(m, "esp-in", "spi %08x", run.sa->spi);
		inner->pkt[n_inner++] = m;
	}
	run.packets = n_inner - inner->n;
	run.bytes = bytes;
	run.top = top;
	if (unlikely(run.sa->in.tunnel))
		n_inner = inner->n + tunnel_decrypted(w, run.sa, inner->pkt + inner->n, n_inner - inner->n);
	inner->n = n_inner;
	esp_run_close(w, &run, now_s);
}

static void finish_all(struct worker *w, uint32_t n_op, bool good, struct pkt_vec *inner)
{
	uint32_t now_s = dp_uptime_s();
	for (uint32_t i = 0; i < n_op;) {
		uint32_t n = esp_run_length(w->ipsec->sa, i, n_op);
		finish_run(w, i, n, good, now_s, inner);
		i += n;
	}
}

void ipsec_input(struct worker *w, struct pkt_vec *v, struct pkt_vec *inner)
{
	struct stage_mark mark = stage_begin(w);
	uint32_t spi[DP_VEC], off[DP_VEC], total = v->n;
	uint32_t n = find_sas(w, v, spi, off);
	uint32_t n_op = prepare_all(w, v, n, spi, off);
	v->n = 0;
	const bool good = esp_crypt(w, n_op);
	finish_all(w, n_op, good, inner);
	stage_end(w, STAGE_ESP_IN, total, mark);
}

/* ---- clear packets ---- */

/* What a router on the way of our tunnels says about their packets; pmtu.c believes it only if it quotes one. */
static bool is_too_big(const struct rte_mbuf *m, const struct pkt_meta *meta)
{
	const uint8_t *icmp = rte_pktmbuf_mtod_offset(m, const uint8_t *, meta->l4_off);
	if (meta->frag == 2 || meta->l4_off + 2u > m->data_len)
		return false;
	return meta->l4_proto == IPPROTO_ICMP ? icmp[0] == 3 && icmp[1] == 4
					      : meta->l4_proto == IPPROTO_ICMPV6 && icmp[0] == 2;
}

/* What this router must be able to hear in clear whatever the policy: IKE and ESP to itself, neighbours, and path MTUs
 * of its tunnels. */
static bool exempt(const struct rte_mbuf *m, const struct pkt_meta *meta)
{
	const uint8_t *p = rte_pktmbuf_mtod(m, const uint8_t *);
	if (meta->flags & PKT_F_DECAPPED)
		return true;
	if (meta->l4_proto == IPPROTO_ICMPV6 && meta->l4_off && meta->l4_off < m->data_len && p[7] == ND_HOP_LIMIT &&
		p[meta->l4_off] >= ND_TYPE_FIRST && p[meta->l4_off] <= ND_TYPE_LAST)
		return true;
	if (!(meta->flags & PKT_F_LOCAL))
		return false;
	if (meta->l4_proto == IPPROTO_ESP || meta->l4_proto == IPPROTO_AH || is_too_big(m, meta))
		return true;
	if (meta->l4_proto != IPPROTO_UDP)
		return false;
	if (meta->frag == 2) /* its ports are in the first one; the whole comes here again (local_input()) */
		return true;
	if (meta->l4_off + 4u > m->data_len)
		return false;
	uint32_t port = (uint32_t)(p[meta->l4_off + 2] << 8 | p[meta->l4_off + 3]);
	return port == PORT_IKE || port == PORT_NATT;
}

/* Forget the packets of v whose bit is set in refused; keep the order. */
static void compact(struct pkt_vec *v, const bool *refused)
{
	uint32_t keep = 0;
	for (uint32_t i = 0; i < v->n; i++)
		if (!refused[i])
			v->pkt[keep++] = v->pkt[i];
	v->n = keep;
}

void ipsec_check_clear(struct worker *w, struct pkt_vec *v)
{
	struct ipsec_worker *iw = w->ipsec;
	struct stage_mark mark = stage_begin(w);
	struct rte_mbuf *check[DP_VEC];
	uint16_t where[DP_VEC];
	bool refused[DP_VEC] = {0};
	uint32_t n = 0, total = v->n;
	for (uint32_t i = 0; i < total; i++) {
		if (exempt(v->pkt[i], pkt_meta(v->pkt[i])))
			continue;
		check[n] = v->pkt[i];
		where[n++] = (uint16_t)i;
	}
	if (n)
		spd_match(iw->cache, false, check, n, iw->verdict);
	uint32_t n_refused = 0;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t action = iw->verdict[i].action;
		if (likely(action == CV_SPD_BYPASS))
			continue;
		refused[where[i]] = true;
		n_refused++;
		trace_step(check[i], "spd-in", "rule %u", iw->verdict[i].rule_id);
		dp_drop1(w, check[i], action == CV_SPD_PROTECT ? DROP_SPD_CLEAR_IN : DROP_SPD_DISCARD);
	}
	if (unlikely(n_refused))
		compact(v, refused);
	stage_end(w, STAGE_SPD_IN, total, mark);
}
