/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Four packets at a time (AVX2), where the CPU can and all four are of the kind that is common; else the fast path goes
 * one by one. Used inside functions that are FAST_WIDE only. A __m256i has one value of 64 bits for each of the four.
 */
#ifndef DATAPLANE_FAST_WIDE_H
#define DATAPLANE_FAST_WIDE_H

#include <immintrin.h>

#include "fast.h"

#define FAST_WIDE __attribute__((target("avx2")))
#define FAST_WIDE_INLINE FAST_WIDE __attribute__((always_inline)) static inline
#define WIDE 4u
#define WIDE_ALL 15u /* a mask of all four */

FAST_WIDE_INLINE __m256i wide_set(uint64_t v)
{
	return _mm256_set1_epi64x((long long)v);
}

FAST_WIDE_INLINE __m256i wide_load(const void *p)
{
	return _mm256_loadu_si256((const __m256i *)p);
}

FAST_WIDE_INLINE void wide_store(void *p, __m256i v)
{
	_mm256_storeu_si256((__m256i *)p, v);
}

FAST_WIDE_INLINE __m128i half_load(const void *p)
{
	return _mm_loadu_si128((const __m128i *)p);
}

/* Of each of p[0..3] the 16 bytes from off on, in two words. */
FAST_WIDE_INLINE void wide_gather(const void *const *ptr, unsigned off, __m256i *first, __m256i *second)
{
	const uint8_t *const *p = (const uint8_t *const *)ptr;
	const __m256i even =
		_mm256_inserti128_si256(_mm256_castsi128_si256(half_load(p[0] + off)), half_load(p[2] + off), 1);
	const __m256i odd =
		_mm256_inserti128_si256(_mm256_castsi128_si256(half_load(p[1] + off)), half_load(p[3] + off), 1);
	*first = _mm256_unpacklo_epi64(even, odd);
	*second = _mm256_unpackhi_epi64(even, odd);
}

/* The other way round: out[i] holds the values of packet i. */
FAST_WIDE_INLINE void wide_rows(__m256i a, __m256i b, __m256i c, __m256i d, __m256i out[static WIDE])
{
	const __m256i ab0 = _mm256_unpacklo_epi64(a, b), ab1 = _mm256_unpackhi_epi64(a, b);
	const __m256i cd0 = _mm256_unpacklo_epi64(c, d), cd1 = _mm256_unpackhi_epi64(c, d);
	out[0] = _mm256_permute2x128_si256(ab0, cd0, 0x20);
	out[1] = _mm256_permute2x128_si256(ab1, cd1, 0x20);
	out[2] = _mm256_permute2x128_si256(ab0, cd0, 0x31);
	out[3] = _mm256_permute2x128_si256(ab1, cd1, 0x31);
}

/* Eight bytes to each of four places. */
FAST_WIDE_INLINE void wide_scatter(__m256i v, void *p0, void *p1, void *p2, void *p3)
{
	const __m128i low = _mm256_castsi256_si128(v), high = _mm256_extracti128_si256(v, 1);
	const long long v1 = _mm_extract_epi64(low, 1), v3 = _mm_extract_epi64(high, 1);
	_mm_storel_epi64(p0, low);
	memcpy(p1, &v1, sizeof(v1));
	_mm_storel_epi64(p2, high);
	memcpy(p3, &v3, sizeof(v3));
}

FAST_WIDE_INLINE void wide_pointers(__m256i v, void *p[static WIDE])
{
	const __m128i low = _mm256_castsi256_si128(v), high = _mm256_extracti128_si256(v, 1);
	p[0] = (void *)(uintptr_t)_mm_cvtsi128_si64(low);
	p[1] = (void *)(uintptr_t)_mm_extract_epi64(low, 1);
	p[2] = (void *)(uintptr_t)_mm_cvtsi128_si64(high);
	p[3] = (void *)(uintptr_t)_mm_extract_epi64(high, 1);
}

/* The low halves, side by side. */
FAST_WIDE_INLINE __m128i wide_low32(__m256i v)
{
	return _mm256_castsi256_si128(_mm256_permutevar8x32_epi32(v, _mm256_setr_epi32(0, 2, 4, 6, 0, 2, 4, 6)));
}

/* Which of the four have the highest bit set. */
FAST_WIDE_INLINE uint32_t wide_mask(__m256i v)
{
	return (uint32_t)_mm256_movemask_pd(_mm256_castsi256_pd(v));
}

/* All bits set where it is so. */
FAST_WIDE_INLINE __m256i wide_is(__m256i v, uint64_t value)
{
	return _mm256_cmpeq_epi64(v, wide_set(value));
}

FAST_WIDE_INLINE __m256i wide_and(__m256i v, uint64_t mask)
{
	return _mm256_and_si256(v, wide_set(mask));
}

/* Bytes at and at + 1 of each as a number in network order. */
FAST_WIDE_INLINE __m256i wide_bswap16(__m256i v, int at)
{
	const char lo = (char)(at + 1), hi = (char)at, z = (char)0x80;
	const char lo2 = (char)(at + 9), hi2 = (char)(at + 8);
	return _mm256_shuffle_epi8(v, _mm256_setr_epi8(lo, hi, z, z, z, z, z, z, lo2, hi2, z, z, z, z, z, z, lo, hi, z,
					      z, z, z, z, z, lo2, hi2, z, z, z, z, z, z));
}

/* The same for the four bytes from at on; at is 0 or 4. */
FAST_WIDE_INLINE __m256i wide_bswap32(__m256i v, int at)
{
	const char b = (char)at, z = (char)0x80;
	return _mm256_shuffle_epi8(
		v, _mm256_setr_epi8(b + 3, b + 2, b + 1, b, z, z, z, z, b + 11, b + 10, b + 9, b + 8, z, z, z, z, b + 3,
			   b + 2, b + 1, b, z, z, z, z, b + 11, b + 10, b + 9, b + 8, z, z, z, z));
}

/* Bits that are set where one of four SAs is not fast_plain() or not of this direction; of the 16 bytes from salt on.
 */
FAST_WIDE_INLINE __m256i wide_not_plain(__m256i salt_dir, __m256i outer_len, enum cv_sa_dir dir)
{
	const uint64_t plain = (uint64_t)SA_ESP_PLAIN << 24 | sizeof(struct rte_ipv4_hdr);
	return _mm256_or_si256(
		wide_and(_mm256_xor_si256(salt_dir, wide_set((uint64_t)dir << 32)), UINT64_C(0xff) << 32),
		wide_and(_mm256_xor_si256(outer_len, wide_set(plain)), 0xff0000ff));
}
_Static_assert(offsetof(struct sa, dir) == offsetof(struct sa, salt) + 4 &&
		       offsetof(struct sa, outer_len) == offsetof(struct sa, salt) + 8 &&
		       offsetof(struct sa, kind) == offsetof(struct sa, salt) + 11,
	"wide_not_plain() reads them together");

/* IPv4 headers of 20 bytes, and the four behind each. */
struct wide_ip4 {
	__m256i a, b;	/* version to fragment offset; TTL to source (struct ip4_words) */
	__m256i addr;	/* source, destination */
	__m256i behind; /* 8 bytes */
	__m256i len;	/* what the header says */
};

FAST_WIDE_INLINE struct wide_ip4 wide_ip4_load(const void *const *ip)
{
	struct wide_ip4 h;
	wide_gather(ip, 0, &h.a, &h.b);
	wide_gather(ip, 12, &h.addr, &h.behind);
	h.len = wide_bswap16(h.a, 2);
	return h;
}

/* Ones' complement sums of the headers are right (ip4_sum20). */
FAST_WIDE_INLINE __m256i wide_sum_ok(const struct wide_ip4 *h)
{
	const uint64_t low = UINT32_MAX;
	__m256i s = _mm256_add_epi64(_mm256_add_epi64(wide_and(h->a, low), _mm256_srli_epi64(h->a, 32)),
		_mm256_add_epi64(
			wide_and(h->b, low), _mm256_add_epi64(wide_and(h->addr, low), _mm256_srli_epi64(h->addr, 32))));
	s = _mm256_add_epi64(wide_and(s, 0xffff), _mm256_srli_epi64(s, 16)); /* less than 2^20 */
	s = _mm256_add_epi64(wide_and(s, 0xffff), _mm256_srli_epi64(s, 16));
	return wide_is(s, 0xffff);
}

/* TCP or UDP, with a hop left: flows that are known by their ports. */
FAST_WIDE_INLINE __m256i wide_flow_ok(const struct wide_ip4 *h)
{
	const __m256i proto = wide_and(h->b, 0xff00);
	const __m256i known = _mm256_or_si256(wide_is(proto, IPPROTO_UDP << 8), wide_is(proto, IPPROTO_TCP << 8));
	return _mm256_and_si256(known, _mm256_cmpgt_epi64(wide_and(h->b, 0xff), wide_set(1)));
}

/* Four slots, in registers: nothing that is stored makes the compiler read them again. */
struct wide_mbufs {
	struct rte_mbuf *m[WIDE];
	uint8_t *ip[WIDE];
};

FAST_WIDE_INLINE struct wide_mbufs wide_mbufs(const struct fast_worker *f, uint32_t i)
{
	struct wide_mbufs v;
	for (uint32_t k = 0; k < WIDE; k++) {
		v.m[k] = f->slot_m[i + k];
		v.ip[k] = f->slot_ip[i + k];
	}
	return v;
}

/* fast_frame() for four packets, but for their link-layer headers: len bytes, from `head` bytes in front of ip[]. */
FAST_WIDE_INLINE void wide_frames(const struct wide_mbufs *v, __m256i len, uint32_t head, uint32_t if_tx)
{
	const __m256i frame_len = _mm256_add_epi64(len, wide_set(sizeof(struct rte_ether_hdr)));
	const __m128i meta = _mm_set_epi32(0, (int)if_tx, 0, 0);
	struct rte_mbuf *const *m = v->m;
	uint32_t off[WIDE];
	for (uint32_t k = 0; k < WIDE; k++)
		off[k] = (uint32_t)(uintptr_t)v->ip[k] - (uint32_t)(uintptr_t)m[k]->buf_addr - head -
			 (uint32_t)sizeof(struct rte_ether_hdr);
	/* pkt_len, data_len, and no VLAN tag */
	wide_scatter(_mm256_or_si256(frame_len, _mm256_slli_epi64(frame_len, 32)), &m[0]->pkt_len, &m[1]->pkt_len,
		&m[2]->pkt_len, &m[3]->pkt_len);
	for (uint32_t k = 0; k < WIDE; k++) {
		m[k]->data_off = (uint16_t)off[k];
		_mm_store_si128((__m128i *)pkt_meta(m[k]), meta);
	}
}
_Static_assert(offsetof(struct rte_mbuf, data_len) == offsetof(struct rte_mbuf, pkt_len) + 4 &&
		       offsetof(struct rte_mbuf, vlan_tci) == offsetof(struct rte_mbuf, pkt_len) + 6,
	"wide_frames() writes them in one store");

/* fast_slot_put() for slots k to k + 3. what: traffic class << 8 | protocol. six: FAST_SIX or 0. */
FAST_WIDE_INLINE void wide_slots_put(struct fast_worker *f, uint32_t k, __m256i addr, __m256i ports_from, __m256i what,
	uint32_t six, const void *const *ip, __m256i m, __m256i len)
{
	const __m256i rest = _mm256_or_si256(what, wide_set((uint64_t)f->generation << 32 | six));
	const __m256i x = _mm256_add_epi32(addr, wide_set(FAST_HASH_ADDR));
	const __m256i y =
		_mm256_add_epi32(_mm256_add_epi32(ports_from, wide_set(FAST_HASH_REST)), _mm256_slli_epi64(what, 16));
	const __m256i sum = _mm256_add_epi64(
		_mm256_mul_epu32(x, _mm256_srli_epi64(x, 32)), _mm256_mul_epu32(y, _mm256_srli_epi64(y, 32)));
	const __m256i hash = _mm256_xor_si256(_mm256_srli_epi64(sum, 32), _mm256_srli_epi64(sum, 20));
	const __m256i line =
		_mm256_add_epi64(wide_set((uintptr_t)f->line), _mm256_slli_epi64(wide_and(hash, f->line_mask), 6));
	__m256i row[WIDE];
	void *p[WIDE];
	wide_rows(addr, ports_from, rest, _mm256_setzero_si256(), row);
	wide_pointers(line, p);
	for (uint32_t i = 0; i < WIDE; i++) {
		rte_prefetch0(p[i]);
		wide_store(&f->slot[k + i], row[i]);
		f->slot_ip[k + i] = (uint8_t *)(uintptr_t)ip[i];
	}
	wide_store(&f->slot_line[k], line);
	wide_store(&f->slot_m[k], m);
	_mm_storeu_si128((__m128i *)&f->slot_len[k], wide_low32(len));
}

/* fast_slot_fill() for slots k to k + 3. from: in the low half of each. */
FAST_WIDE_INLINE void wide_slots(struct fast_worker *f, uint32_t k, const struct wide_ip4 *h, __m256i from,
	const void *const *ip, __m256i m, __m256i len)
{
	const __m256i what = _mm256_or_si256(wide_and(h->a, 0xff00), wide_and(_mm256_srli_epi64(h->b, 8), 0xff));
	const __m256i ports_from = _mm256_or_si256(_mm256_slli_epi64(h->behind, 32), from);
	wide_slots_put(f, k, h->addr, ports_from, what, 0, ip, m, len);
}

#endif
