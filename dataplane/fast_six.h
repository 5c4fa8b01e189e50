/* SPDX-License-Identifier: BSD-3-Clause */
/* IPv6 on the fast path: packets whose first header is followed by what has the ports. */
#ifndef DATAPLANE_FAST_SIX_H
#define DATAPLANE_FAST_SIX_H

#include <nmmintrin.h>

#include "fast_wide.h"
#include "nd.h"

#define FAST6_HEAD 40u
#define FAST6_MIN 48u /* header, and what ports are read from */
#define FAST6_HOP 7u  /* where the hop limit is */

/* Version, traffic class and flow label; length, next header, hop limit: as in memory. */
static inline uint64_t fast6_load(const uint8_t *ip)
{
	uint64_t a;
	memcpy(&a, ip, sizeof(a));
	return a;
}

static inline uint8_t fast6_class(uint64_t a)
{
	return (uint8_t)(rte_bswap16((uint16_t)a) >> 4);
}

static inline uint8_t fast6_proto(uint64_t a)
{
	return (uint8_t)(a >> 48);
}

static inline uint32_t fast6_len(uint64_t a)
{
	return FAST6_HEAD + rte_bswap16((uint16_t)(a >> 32));
}

static inline bool fast6_is(uint64_t a)
{
	return (a & 0xf0) == 0x60;
}

/* A packet that the fast path knows flows of, with a hop left. What policy says about neighbour discovery depends on
 * the hop limit. */
static inline bool fast6_flow_ok(uint64_t a, const uint8_t *ip)
{
	const uint8_t proto = fast6_proto(a);
	return flow_ports_mask[proto] && (uint8_t)(a >> 56) > 1 &&
	       likely(proto != IPPROTO_ICMPV6 || ip[FAST6_HEAD] < ND_TYPE_FIRST || ip[FAST6_HEAD] > ND_TYPE_LAST);
}

/* One hop less. */
static inline void fast6_take_hop(uint8_t *ip, bool six)
{
	if (six)
		ip[FAST6_HOP]--;
	else
		fast_take_hop(ip);
}

static inline uint64_t fast6_digest(const struct fast_addr6 *a)
{
	return _mm_crc32_u64(_mm_crc32_u64(0, a->w[0]), a->w[1]) | _mm_crc32_u64(_mm_crc32_u64(0, a->w[2]), a->w[3])
									   << 32;
}

/* Fill in slot k with an IPv6 packet and ask for its line. from: the low half of fast_key.from. */
static inline void fast6_slot_fill(
	struct fast_worker *f, uint32_t k, struct rte_mbuf *m, uint8_t *ip, uint64_t a, uint32_t from, uint32_t len)
{
	struct fast_addr6 *w = &f->slot6[k];
	uint32_t ports;
	memcpy(w, ip + 8, sizeof(*w));
	memcpy(&ports, ip + FAST6_HEAD, sizeof(ports));
	ports &= flow_ports_mask[fast6_proto(a)];
	const struct fast_key key = {.addr = fast6_digest(w),
		.from = (uint64_t)ports << 32 | from,
		.rest = (uint64_t)f->generation << 32 | FAST_SIX | (uint32_t)fast6_class(a) << 8 | fast6_proto(a)};
	f->six = true;
	fast_slot_put(f, k, m, ip, &key, len);
}

/* ---- four at once (fast_wide.h) ---- */

/* IPv6 headers, and the ports behind them. */
struct wide_ip6 {
	__m256i a;     /* fast6_load() */
	__m256i ports; /* four bytes */
	__m256i len;   /* what the header says, with the header */
};

FAST_WIDE_INLINE struct wide_ip6 wide_ip6_load(const void *const *ptr)
{
	const uint8_t *const *ip = (const uint8_t *const *)ptr;
	struct wide_ip6 h;
	uint64_t a[WIDE];
	uint32_t ports[WIDE];
	for (uint32_t k = 0; k < WIDE; k++) {
		memcpy(&a[k], ip[k], sizeof(a[k]));
		memcpy(&ports[k], ip[k] + FAST6_HEAD, sizeof(ports[k]));
	}
	h.a = _mm256_setr_epi64x((long long)a[0], (long long)a[1], (long long)a[2], (long long)a[3]);
	h.ports = _mm256_setr_epi64x(ports[0], ports[1], ports[2], ports[3]);
	h.len = _mm256_add_epi64(wide_bswap16(h.a, 4), wide_set(FAST6_HEAD));
	return h;
}

/* Version 6, TCP or UDP, with a hop left. */
FAST_WIDE_INLINE __m256i wide_flow6_ok(const struct wide_ip6 *h)
{
	const __m256i what = wide_and(h->a, UINT64_C(0x00ff0000000000f0));
	const __m256i known = _mm256_or_si256(
		wide_is(what, (uint64_t)IPPROTO_UDP << 48 | 0x60), wide_is(what, (uint64_t)IPPROTO_TCP << 48 | 0x60));
	return _mm256_and_si256(known, _mm256_cmpgt_epi64(_mm256_srli_epi64(h->a, 56), wide_set(1)));
}

/* fast6_slot_fill() for slots k to k + 3. from: in the low half of each. */
FAST_WIDE_INLINE void wide_slots6(
	struct fast_worker *f, uint32_t k, const struct wide_ip6 *h, __m256i from, const void *const *ptr, __m256i m)
{
	const uint8_t *const *ip = (const uint8_t *const *)ptr;
	const __m256i class = wide_and(_mm256_srli_epi64(wide_bswap16(h->a, 0), 4), 0xff);
	const __m256i what = _mm256_or_si256(_mm256_slli_epi64(class, 8), wide_and(_mm256_srli_epi64(h->a, 48), 0xff));
	uint64_t digest[WIDE];
	for (uint32_t i = 0; i < WIDE; i++) {
		struct fast_addr6 addr;
		memcpy(&addr, ip[i] + 8, sizeof(addr));
		digest[i] = fast6_digest(&addr);
		wide_store(&f->slot6[k + i], wide_load(ip[i] + 8));
	}
	const __m256i addr = _mm256_setr_epi64x(
		(long long)digest[0], (long long)digest[1], (long long)digest[2], (long long)digest[3]);
	f->six = true;
	wide_slots_put(
		f, k, addr, _mm256_or_si256(_mm256_slli_epi64(h->ports, 32), from), what, FAST_SIX, ptr, m, h->len);
}

#endif
