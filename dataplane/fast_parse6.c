/* SPDX-License-Identifier: BSD-3-Clause */
/* Received frames of IPv6 on the fast path. */
#include "fast_six.h"

#include <rte_ether.h>

/* The frames of one vector that may have IPv6 in them. */
struct sorting6 {
	struct fast_worker *f;
	struct rte_mbuf *const *pkts;
	const uint16_t *at;
	uint64_t mac, bytes; /* of the interface; of what is no longer the pipeline's */
	uint32_t from;	     /* interface */
};

/* The packet at this place is ESP, for us perhaps. */
static inline void take_esp(struct fast_worker *f, struct rte_mbuf *m, uint32_t place, uint8_t *ip)
{
	const uint32_t k = f->n_esp++;
	memcpy(&f->esp_head[k], ip + FAST6_HEAD, sizeof(f->esp_head[k]));
	f->esp_len[k] = FAST_ONE_BY_ONE;
	f->esp_ip[k] = ip;
	f->esp_at[k] = (uint16_t)place;
	f->esp[k] = m;
	f->where[place] = FAST_TAKEN;
	fast_prefetch_spi((uint32_t)f->esp_head[k]);
}

/* The frame at this place. False: what follows may be of the same flow, and has to go with it through the pipeline. */
static __rte_always_inline bool sort_one(struct sorting6 *s, uint32_t place)
{
	struct fast_worker *f = s->f;
	struct rte_mbuf *m = s->pkts[place];
	uint8_t *p = rte_pktmbuf_mtod(m, uint8_t *), *ip = p + sizeof(struct rte_ether_hdr);
	const uint64_t a = fast6_load(ip); /* the buffer is longer than this, whatever is in it */
	const uint32_t have = m->data_len - (uint32_t)sizeof(struct rte_ether_hdr), len = fast6_len(a);
	if (unlikely(mac48(p) != s->mac || !fast_buffer_ok(m) || m->data_len < sizeof(struct rte_ether_hdr) ||
		     len < FAST6_MIN || len > have || !fast6_is(a)))
		return true;
	if (fast_to_clamp(f, fast6_proto(a), ip + FAST6_HEAD))
		return false;
	if (fast6_flow_ok(a, ip)) {
		f->longest = RTE_MAX(f->longest, len);
		f->where[place] = (uint16_t)f->n_slot;
		fast6_slot_fill(f, f->n_slot++, m, ip, a, s->from, len);
	} else if (fast6_proto(a) == IPPROTO_ESP) {
		take_esp(f, m, place, ip);
	} else {
		return true;
	}
	s->bytes += m->data_len;
	return true;
}

static void sort_rest(struct sorting6 *s, uint32_t i, uint32_t n)
{
	while (i < n && sort_one(s, s->at[i]))
		i++;
}

/* The i-th of the frames and the three behind it, when all are UDP or TCP. */
FAST_WIDE_INLINE bool sort_four(struct sorting6 *s, __m256i *sums, uint32_t i)
{
	const uint64_t flags = RTE_MBUF_F_INDIRECT | RTE_MBUF_F_EXTERNAL;
	struct fast_worker *f = s->f;
	__m256i rearm, ol, dlen, blen, l2, type;
	const void *m[WIDE], *p[WIDE], *ip[WIDE];
	for (uint32_t k = 0; k < WIDE; k++) {
		const struct rte_mbuf *one = s->pkts[s->at[i + k]];
		m[k] = one;
		p[k] = rte_pktmbuf_mtod(one, const uint8_t *);
		ip[k] = rte_pktmbuf_mtod_offset(one, const uint8_t *, sizeof(struct rte_ether_hdr));
	}
	wide_gather(m, offsetof(struct rte_mbuf, rearm_data), &rearm, &ol);
	wide_gather(m, offsetof(struct rte_mbuf, data_len), &dlen, &blen);
	wide_gather(p, 0, &l2, &type);
	const struct wide_ip6 h = wide_ip6_load(ip);
	/* as fast_buffer_ok() and sort_one(): bits that have to be zero, numbers that must not be negative */
	const __m256i off = wide_and(rearm, 0xffff);
	dlen = wide_and(dlen, 0xffff);
	blen = _mm256_srli_epi64(blen, 48);
	const __m256i wrong = _mm256_or_si256(_mm256_slli_epi64(_mm256_xor_si256(l2, wide_set(s->mac)), 16),
		_mm256_or_si256(
			wide_and(_mm256_xor_si256(rearm, wide_set(0x000100010000)), UINT64_C(0x0000ffffffff0000)),
			wide_and(ol, flags)));
	const __m256i have = _mm256_sub_epi64(dlen, wide_set(sizeof(struct rte_ether_hdr)));
	const __m256i room =
		_mm256_sub_epi64(_mm256_sub_epi64(blen, off), _mm256_add_epi64(dlen, wide_set(ESP_TAIL_ROOM)));
	const __m256i negative = _mm256_or_si256(_mm256_or_si256(_mm256_sub_epi64(off, wide_set(FAST_HEADROOM)), room),
		_mm256_or_si256(_mm256_sub_epi64(h.len, wide_set(FAST6_MIN)), _mm256_sub_epi64(have, h.len)));
	const __m256i good = _mm256_andnot_si256(negative, _mm256_and_si256(wide_flow6_ok(&h), wide_is(wrong, 0)));
	if (unlikely(wide_mask(good) != WIDE_ALL))
		return false;
	for (uint32_t k = 0; k < WIDE; k++)
		f->where[s->at[i + k]] = (uint16_t)(f->n_slot + k);
	wide_slots6(f, f->n_slot, &h, wide_set(s->from), ip, wide_load(m));
	f->n_slot += WIDE;
	sums[0] = _mm256_add_epi64(sums[0], dlen);
	sums[1] = _mm256_max_epu32(sums[1], h.len);
	return true;
}

FAST_WIDE static void sort_wide(struct sorting6 *s, uint32_t n)
{
	__m256i sums[2] = {_mm256_setzero_si256(), _mm256_setzero_si256()}; /* bytes; longest */
	uint64_t bytes[WIDE], len[WIDE];
	uint32_t i;
	for (i = 0; i + WIDE <= n; i += WIDE)
		if (unlikely(!sort_four(s, sums, i)))
			for (uint32_t k = i; k < i + WIDE; k++)
				(void)sort_one(s, s->at[k]);
	sort_rest(s, i, n);
	wide_store(bytes, sums[0]);
	wide_store(len, sums[1]);
	for (uint32_t k = 0; k < WIDE; k++) {
		s->bytes += bytes[k];
		s->f->longest = RTE_MAX(s->f->longest, (uint32_t)len[k]);
	}
}

uint64_t fast_parse6(
	struct fast_worker *f, const struct dp_if *ifp, struct rte_mbuf *const *pkts, const uint16_t *at, uint32_t n)
{
	struct sorting6 s = {.f = f, .pkts = pkts, .at = at, .mac = mac48(ifp->mac), .from = ifp->id};
	if (likely(f->wide && !f->clamps))
		sort_wide(&s, n);
	else
		sort_rest(&s, 0, n);
	return s.bytes;
}
