/* SPDX-License-Identifier: BSD-3-Clause */
/* Received frames on the fast path: which of them are ESP, which are packets whose flow is looked up. */
#include "fast_wide.h"

#include <rte_ether.h>

#define PREFETCH_AHEAD 4u

/* To the port of ESP in UDP, that is, or of IKE. */
static inline bool is_natt(struct ip4_words h, const uint8_t *ip)
{
	uint16_t port;
	memcpy(&port, ip + sizeof(struct rte_ipv4_hdr) + 2, sizeof(port));
	return port == FAST_NATT_PORT && ip4_proto(h) == IPPROTO_UDP;
}

/* The i-th packet of the vector, of len bytes, is the k-th that may be ESP for us. */
static inline uint16_t take_esp(
	struct fast_worker *f, struct rte_mbuf *m, uint32_t i, uint32_t k, uint8_t *ip, uint32_t len)
{
	memcpy(&f->esp_head[k], ip + fast_esp_off(ip),
		sizeof(f->esp_head[k])); /* behind a packet there is room to read */
	memcpy(&f->esp_addr[k], ip + 12, sizeof(f->esp_addr[k]));
	f->esp_len[k] = ip[9] == IPPROTO_UDP ? FAST_ONE_BY_ONE : len;
	f->esp_ip[k] = ip;
	f->esp_at[k] = (uint16_t)i;
	f->esp[k] = m;
	fast_prefetch_spi((uint32_t)f->esp_head[k]);
	return FAST_TAKEN;
}

/* A vector being sorted. */
struct sorting {
	struct fast_worker *f;
	uint64_t mac, bytes; /* of the interface; of what is no longer the pipeline's */
	uint32_t from;	     /* interface */
	uint32_t n_slot, n_esp, longest;
	uint32_t spi; /* the last that was taken four at a time, network order */
	uint32_t n_six;
	uint16_t six[DP_VEC]; /* frames with IPv6, which are sorted when all others are */
};

/* The i-th frame. False: what follows may be of the same flow, and has to go with it through the pipeline. */
static __rte_always_inline bool sort_one(struct sorting *s, struct rte_mbuf *m, uint32_t i)
{
	struct fast_worker *f = s->f;
	uint8_t *p = rte_pktmbuf_mtod(m, uint8_t *), *ip = p + sizeof(struct rte_ether_hdr);
	const struct ip4_words h = ip4_load(ip); /* the buffer is longer than this, whatever is in it */
	uint32_t have = m->data_len - (uint32_t)sizeof(struct rte_ether_hdr);
	uint32_t len = rte_bswap16((uint16_t)(h.a >> 16));
	uint16_t type;
	memcpy(&type, p + 12, sizeof(type));
	f->where[i] = FAST_PIPELINE;
	if (unlikely(mac48(p) != s->mac || type != RTE_BE16(RTE_ETHER_TYPE_IPV4) || !fast_buffer_ok(m) ||
		     m->data_len < sizeof(struct rte_ether_hdr) || len < FAST_IP_MIN || len > have)) {
		if (type == RTE_BE16(RTE_ETHER_TYPE_IPV6))
			s->six[s->n_six++] = (uint16_t)i;
		return true;
	}
	if (unlikely(!fast_header_ok(h, (m->ol_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK) == RTE_MBUF_F_RX_IP_CKSUM_GOOD)))
		return true;
	if (fast_to_clamp(f, ip4_proto(h), ip + sizeof(struct rte_ipv4_hdr)))
		return false;
	if (unlikely(is_natt(h, ip))) {
		f->where[i] = take_esp(f, m, i, s->n_esp++, ip, len);
	} else if (fast_flow_ok(h)) {
		s->longest = RTE_MAX(s->longest, len);
		f->where[i] = (uint16_t)s->n_slot;
		fast_slot_fill(f, s->n_slot++, m, ip, h, s->from, len);
	} else if (ip4_proto(h) == IPPROTO_ESP) {
		f->where[i] = take_esp(f, m, i, s->n_esp++, ip, len);
	} else {
		return true;
	}
	s->bytes += m->data_len;
	return true;
}

static inline void prefetch_frame(struct rte_mbuf *m)
{
	rte_prefetch0(rte_pktmbuf_mtod(m, void *));
	rte_prefetch0(pkt_meta(m));
}

/* From the i-th on, one by one. */
static __rte_always_inline void sort_rest(struct sorting *s, struct rte_mbuf *const *pkts, uint32_t i, uint32_t n)
{
	for (; i < n; i++) {
		if (i + PREFETCH_AHEAD < n)
			prefetch_frame(pkts[i + PREFETCH_AHEAD]);
		if (!sort_one(s, pkts[i], i))
			break;
	}
	for (; i < n; i++)
		s->f->where[i] = FAST_PIPELINE;
}

/* ---- four at once ---- */

/* What struct sorting keeps, four of each. */
struct wide_sums {
	__m256i bytes, longest;
};

/* take_esp() for packets i to i + 3. */
FAST_WIDE_INLINE void take_four(
	struct sorting *s, struct rte_mbuf *const *m, const void *const *ip, uint32_t i, const struct wide_ip4 *h)
{
	struct fast_worker *f = s->f;
	const uint32_t k = s->n_esp;
	const uint64_t at = UINT64_C(0x0003000200010000) + i * UINT64_C(0x0001000100010001),
		       taken = FAST_TAKEN * UINT64_C(0x0001000100010001);
	memcpy(&f->where[i], &taken, sizeof(taken));
	memcpy(&f->esp_at[k], &at, sizeof(at));
	wide_store(&f->esp[k], wide_load(m));
	wide_store(&f->esp_ip[k], wide_load(ip));
	wide_store(&f->esp_addr[k], h->addr);
	wide_store(&f->esp_head[k], h->behind);
	wide_store(&f->esp_len[k], h->len);
	s->n_esp += WIDE;
	if (likely(wide_mask(wide_is(wide_and(h->behind, UINT32_MAX), s->spi)) == WIDE_ALL))
		return;
	for (uint32_t j = k; j < k + WIDE; j++)
		fast_prefetch_spi(s->spi = (uint32_t)f->esp_head[j]);
}

/* The i-th frame and the three behind it, when all are ESP, or all UDP or TCP. */
FAST_WIDE_INLINE bool sort_four(struct sorting *s, struct wide_sums *sums, struct rte_mbuf *const *m, uint32_t i)
{
	const uint64_t flags = RTE_MBUF_F_INDIRECT | RTE_MBUF_F_EXTERNAL;
	struct fast_worker *f = s->f;
	__m256i rearm, ol, dlen, blen, l2, type;
	const void *p[WIDE], *ip[WIDE];
	for (uint32_t k = 0; k < WIDE; k++) {
		p[k] = rte_pktmbuf_mtod(m[k], const uint8_t *);
		ip[k] = rte_pktmbuf_mtod_offset(m[k], const uint8_t *, sizeof(struct rte_ether_hdr));
	}
	wide_gather((const void *const *)m, offsetof(struct rte_mbuf, rearm_data), &rearm, &ol);
	wide_gather((const void *const *)m, offsetof(struct rte_mbuf, data_len), &dlen, &blen);
	wide_gather(p, 0, &l2, &type);
	const struct wide_ip4 h = wide_ip4_load(ip);
	/* as fast_buffer_ok() and sort_one(): bits that have to be zero, numbers that must not be negative */
	const __m256i off = wide_and(rearm, 0xffff);
	dlen = wide_and(dlen, 0xffff);
	blen = _mm256_srli_epi64(blen, 48);
	const __m256i wrong = _mm256_or_si256(
		_mm256_or_si256(_mm256_slli_epi64(_mm256_xor_si256(l2, wide_set(s->mac)), 16),
			wide_and(_mm256_xor_si256(type, wide_set((uint64_t)RTE_BE16(RTE_ETHER_TYPE_IPV4) << 32)),
				UINT64_C(0x0000ffff00000000))),
		_mm256_or_si256(wide_and(_mm256_xor_si256(h.a, wide_set(0x45)), UINT64_C(0xffbf0000000000ff)),
			_mm256_or_si256(wide_and(_mm256_xor_si256(rearm, wide_set(0x000100010000)),
						UINT64_C(0x0000ffffffff0000)),
				wide_and(ol, flags))));
	const __m256i have = _mm256_sub_epi64(dlen, wide_set(sizeof(struct rte_ether_hdr)));
	const __m256i room =
		_mm256_sub_epi64(_mm256_sub_epi64(blen, off), _mm256_add_epi64(dlen, wide_set(ESP_TAIL_ROOM)));
	const __m256i negative = _mm256_or_si256(_mm256_or_si256(_mm256_sub_epi64(off, wide_set(FAST_HEADROOM)), room),
		_mm256_or_si256(_mm256_sub_epi64(h.len, wide_set(FAST_IP_MIN)), _mm256_sub_epi64(have, h.len)));
	const __m256i sum_ok = _mm256_or_si256(
		wide_sum_ok(&h), wide_is(wide_and(ol, RTE_MBUF_F_RX_IP_CKSUM_MASK), RTE_MBUF_F_RX_IP_CKSUM_GOOD));
	const __m256i good = _mm256_andnot_si256(negative, _mm256_and_si256(sum_ok, wide_is(wrong, 0)));
	const __m256i natt = wide_is(wide_and(h.behind, 0xffff0000), (uint64_t)FAST_NATT_PORT << 16);
	const __m256i flow = _mm256_andnot_si256(natt, wide_flow_ok(&h));
	if (likely(wide_mask(_mm256_and_si256(good, flow)) == WIDE_ALL)) {
		const uint64_t at = UINT64_C(0x0003000200010000) + s->n_slot * UINT64_C(0x0001000100010001);
		memcpy(&f->where[i], &at, sizeof(at));
		wide_slots(f, s->n_slot, &h, wide_set(s->from), ip, wide_load(m), h.len);
		s->n_slot += WIDE;
		sums->longest = _mm256_max_epu32(sums->longest, h.len);
	} else if (wide_mask(_mm256_and_si256(good, wide_is(wide_and(h.b, 0xff00), IPPROTO_ESP << 8))) == WIDE_ALL) {
		take_four(s, m, ip, i, &h);
	} else {
		return false;
	}
	sums->bytes = _mm256_add_epi64(sums->bytes, dlen);
	return true;
}

static inline bool is_six(const struct rte_mbuf *m)
{
	uint16_t type;
	memcpy(&type, rte_pktmbuf_mtod_offset(m, const uint8_t *, 12), sizeof(type));
	return type == RTE_BE16(RTE_ETHER_TYPE_IPV6);
}

FAST_WIDE static void sort_wide(struct sorting *s, struct rte_mbuf *const *pkts, uint32_t n)
{
	struct wide_sums sums = {_mm256_setzero_si256(), _mm256_setzero_si256()};
	uint64_t bytes[WIDE], len[WIDE];
	uint32_t i;
	for (uint32_t k = 0; k < WIDE && k < n; k++)
		prefetch_frame(pkts[k]);
	for (i = 0; i + WIDE <= n; i += WIDE) {
		for (uint32_t k = i + WIDE; k < i + 2 * WIDE && i + 2 * WIDE <= n; k++)
			prefetch_frame(pkts[k]);
		if (likely(sort_four(s, &sums, pkts + i, i)))
			continue;
		for (uint32_t k = i; k < i + WIDE; k++)
			(void)sort_one(s, pkts[k], k);
		for (; i + WIDE < n && is_six(pkts[i + WIDE]); i++) {
			s->f->where[i + WIDE] = FAST_PIPELINE;
			s->six[s->n_six++] = (uint16_t)(i + WIDE);
			if (i + 2 * WIDE < n)
				prefetch_frame(pkts[i + 2 * WIDE]);
		}
	}
	sort_rest(s, pkts, i, n);
	wide_store(bytes, sums.bytes);
	wide_store(len, sums.longest);
	for (uint32_t k = 0; k < WIDE; k++) {
		s->bytes += bytes[k];
		s->longest = RTE_MAX(s->longest, (uint32_t)len[k]);
	}
}

uint64_t fast_parse(struct fast_worker *f, const struct dp_if *ifp, struct rte_mbuf *const *pkts, uint32_t n)
{
	struct sorting s; /* all but the list */
	memset(&s, 0, offsetof(struct sorting, six));
	s.f = f;
	s.mac = mac48(ifp->mac);
	s.from = ifp->id;
	if (likely(f->wide && !f->clamps))
		sort_wide(&s, pkts, n);
	else
		sort_rest(&s, pkts, 0, n);
	f->n_slot = s.n_slot;
	f->n_esp = s.n_esp;
	f->longest = s.longest;
	if (unlikely(s.n_six))
		s.bytes += fast_parse6(f, ifp, pkts, s.six, s.n_six);
	f->n_clear = f->n_slot;
	return s.bytes;
}
