/* SPDX-License-Identifier: BSD-3-Clause */
/* From a clear packet of the fast path to the whole frame around its ESP packet, for SAs that are fast_plain(): one
 * packet, or four of one SA or of four. Private to fast_out.c and fast_many.c. */
#ifndef DATAPLANE_FAST_WRAP_H
#define DATAPLANE_FAST_WRAP_H

#include "esp_build.h"
#include "fast_six.h"

/* What the frames of one SA that is fast_plain() have in common. */
struct frame_template {
	__m128i l2;
	uint64_t ip[2]; /* outer header up to the source; TOS, length, ID, DF and checksum are zero */
	uint64_t dst_spi;
	uint32_t cksum; /* of the constant part of the header */
	uint32_t id;	/* added to the sequence number */
	uint32_t salt;
	uint32_t df_and, df_or; /* the DF bit: from the inner header, always */
	uint32_t icv_len, if_id;
	const struct crypto_session *session;
};

static inline struct frame_template template_of(const struct sa *sa, const struct adj *a)
{
	return (struct frame_template){
		.l2 = fast_l2(a),
		.ip = {load8(sa->tmpl), load8(sa->tmpl + 8)},
		.dst_spi = load8(sa->tmpl + 16),
		.cksum = sa->cksum,
		.id = sa->spi,
		.salt = sa->salt,
		.df_and = sa->flags & (SA_F_DF_CLEAR | SA_F_DF_SET) ? 0 : RTE_BE16(RTE_IPV4_HDR_DF_FLAG),
		.df_or = sa->flags & SA_F_DF_SET && !(sa->flags & SA_F_DF_CLEAR) ? RTE_BE16(RTE_IPV4_HDR_DF_FLAG) : 0,
		.icv_len = sa->icv_len,
		.if_id = a->if_id,
		.session = sa->session,
	};
}

/* Headers and trailer around the packet of slot i, which has number seq, and the operation that encrypts it. six: it is
 * IPv6, which nobody on the way may cut. Returns the length of the outer packet. */
static __rte_always_inline uint32_t encapsulate(const struct frame_template *t, const struct fast_worker *f, uint32_t i,
	uint32_t seq, struct crypto_op *op, bool six)
{
	uint8_t *data = f->slot_ip[i], *p = data - PLAIN_HEAD;
	const uint32_t inner_len = f->slot_len[i];
	const uint32_t pad = (0u - (inner_len + ESP_TRAILER_LEN)) & 3u, body = inner_len + pad + ESP_TRAILER_LEN;
	const uint32_t len = PLAIN_HEAD + body + t->icv_len, seq_be = rte_cpu_to_be_32(seq);
	const uint64_t inner = load8(data);
	const uint64_t tos = six ? fast6_class(inner) : inner >> 8 & 0xff, total = rte_bswap16((uint16_t)len),
		       id = rte_bswap16((uint16_t)(seq + t->id)),
		       off = (six ? t->df_and : inner >> 48 & t->df_and) | t->df_or;
	const uint64_t sum = esp_fold(t->cksum + (uint32_t)(tos << 8) + (uint32_t)(total + id + off));
	fast6_take_hop(data, six);
	esp_trailer_put(data + inner_len, pad, six ? IPPROTO_IPV6 : IPPROTO_IPIP, true);
	store8(p, t->ip[0] | tos << 8 | total << 16 | id << 32 | off << 48);
	store8(p + 8, t->ip[1] | sum << 16);
	store8(p + 16, t->dst_spi);
	store8(p + 24, seq_be); /* and the first half of the IV, which is 0 */
	memcpy(p + 32, &seq_be, 4);
	op->session = t->session;
	op->data = data;
	op->data_len = body;
	op->icv = data + body;
	_mm_store_si128((__m128i *)op->nonce, _mm_set_epi64x(seq_be, t->salt));
	store8(op->aad, t->dst_spi >> 32 | (uint64_t)seq_be << 32);
	fast_frame(f->slot_m[i], p, len, t->l2, t->if_id);
	return len;
}

/* The same of the SAs of four packets, which go out by one adjacency. */
struct wide_template {
	__m256i ip[2], dst_spi, cksum, id, salt, df_and, df_or, icv_len, session;
	__m128i l2;
	uint32_t if_id;
};

FAST_WIDE_INLINE struct wide_template wide_template_one(const struct frame_template *t)
{
	return (struct wide_template){
		.ip = {wide_set(t->ip[0]), wide_set(t->ip[1])},
		.dst_spi = wide_set(t->dst_spi),
		.cksum = wide_set(t->cksum),
		.id = wide_set(t->id),
		.salt = wide_set(t->salt),
		.df_and = wide_set(t->df_and),
		.df_or = wide_set(t->df_or),
		.icv_len = wide_set(t->icv_len),
		.session = wide_set((uintptr_t)t->session),
		.l2 = t->l2,
		.if_id = t->if_id,
	};
}

/* sa: four. l2, if_id: of the adjacency. */
FAST_WIDE_INLINE struct wide_template wide_template_of(const struct sa *const *sa, __m128i l2, uint32_t if_id)
{
	const void *const *p = (const void *const *)sa;
	struct wide_template t = {.l2 = l2, .if_id = if_id};
	__m256i salt, flags, unused;
	wide_gather(p, offsetof(struct sa, session), &t.session, &unused);
	wide_gather(p, offsetof(struct sa, salt), &salt, &flags);
	wide_gather(p, offsetof(struct sa, mtu), &unused, &t.ip[0]);
	wide_gather(p, offsetof(struct sa, tmpl) + 8, &t.ip[1], &t.dst_spi);
	t.id = wide_bswap32(t.dst_spi, 4); /* the SPI */
	t.cksum = _mm256_srli_epi64(flags, 32);
	t.icv_len = wide_and(_mm256_srli_epi64(salt, 48), 0xff);
	t.salt = wide_and(salt, UINT32_MAX);
	flags = wide_and(_mm256_srli_epi64(flags, 16), SA_F_DF_CLEAR | SA_F_DF_SET);
	t.df_and = wide_and(wide_is(flags, 0), RTE_BE16(RTE_IPV4_HDR_DF_FLAG));
	t.df_or = wide_and(wide_is(flags, SA_F_DF_SET), RTE_BE16(RTE_IPV4_HDR_DF_FLAG));
	return t;
}
_Static_assert(offsetof(struct sa, icv_len) == offsetof(struct sa, salt) + 6 &&
		       offsetof(struct sa, flags) == offsetof(struct sa, salt) + 10 &&
		       offsetof(struct sa, cksum) == offsetof(struct sa, salt) + 12 &&
		       offsetof(struct sa, tmpl) == offsetof(struct sa, mtu) + 8,
	"wide_template_of() reads them together");

/* encapsulate() for slots i to i + 3, which have these numbers. Returns the four lengths. */
FAST_WIDE_INLINE __m256i encapsulate_four(const struct wide_template *t, const struct fast_worker *f, uint32_t i,
	__m256i number, struct crypto_op *op, bool six)
{
	const struct wide_mbufs v = wide_mbufs(f, i);
	uint8_t *const *data = v.ip;
	__m256i a, b, row[WIDE];
	wide_gather((const void *const *)data, 0, &a, &b);
	const __m256i inner_len = _mm256_cvtepu32_epi64(half_load(&f->slot_len[i]));
	const __m256i body = wide_and(_mm256_add_epi64(inner_len, wide_set(ESP_TRAILER_LEN + 3)), ~UINT64_C(3));
	const __m256i len = _mm256_add_epi64(body, _mm256_add_epi64(t->icv_len, wide_set(PLAIN_HEAD)));
	const __m256i seq_be = wide_bswap32(number, 0);
	/* the outer header: what changes, and the sum over all (RFC 1071) */
	const __m256i tos = six ? wide_and(_mm256_srli_epi64(wide_bswap16(a, 0), 4), 0xff)
				: wide_and(_mm256_srli_epi64(a, 8), 0xff),
		      total = wide_bswap16(len, 0), id = wide_bswap16(_mm256_add_epi64(number, t->id), 0),
		      may_cut = six ? t->df_and : _mm256_and_si256(_mm256_srli_epi64(a, 48), t->df_and),
		      off = _mm256_or_si256(may_cut, t->df_or);
	__m256i sum = _mm256_add_epi64(_mm256_add_epi64(t->cksum, _mm256_slli_epi64(tos, 8)),
		_mm256_add_epi64(total, _mm256_add_epi64(id, off)));
	sum = _mm256_add_epi64(wide_and(sum, 0xffff), _mm256_srli_epi64(sum, 16));
	sum = _mm256_add_epi64(sum, _mm256_srli_epi64(sum, 16));
	sum = _mm256_andnot_si256(sum, wide_set(0xffff));
	const __m256i ip0 = _mm256_or_si256(_mm256_or_si256(t->ip[0], _mm256_slli_epi64(tos, 8)),
		_mm256_or_si256(_mm256_slli_epi64(total, 16),
			_mm256_or_si256(_mm256_slli_epi64(id, 32), _mm256_slli_epi64(off, 48))));
	const __m256i ip1 = _mm256_or_si256(t->ip[1], _mm256_slli_epi64(sum, 16));
	/* the hop of the inner one (fast_take_hop()), and its trailer (esp_trailer_put()) */
	const __m256i hop = wide_and(b, UINT32_MAX);
	const __m256i again = _mm256_cmpgt_epi64(hop, wide_set(0xfffdffff));
	const __m256i hopped = _mm256_add_epi64(_mm256_add_epi64(hop, wide_set(0xffff)), wide_and(again, 0x10000));
	const __m256i pad = _mm256_sub_epi64(body, _mm256_add_epi64(inner_len, wide_set(ESP_TRAILER_LEN)));
	const __m256i bits = _mm256_slli_epi64(pad, 3);
	const __m256i filling = _mm256_andnot_si256(_mm256_sllv_epi64(wide_set(UINT64_MAX), bits), wide_set(0x030201));
	const __m256i next = wide_set((six ? IPPROTO_IPV6 : IPPROTO_IPIP) << 8);
	const __m256i trailer = _mm256_or_si256(filling, _mm256_sllv_epi64(_mm256_or_si256(pad, next), bits));
	for (uint32_t k = 0; k < WIDE; k++) /* two bytes more in front than the link-layer header has */
		_mm_storeu_si128((__m128i *)(data[k] - PLAIN_HEAD - 16), t->l2);
	wide_rows(ip0, ip1, t->dst_spi, seq_be, row); /* and the first half of the IV, which is 0 */
	for (uint32_t k = 0; k < WIDE; k++)
		wide_store(data[k] - PLAIN_HEAD, row[k]);
	uint32_t iv[WIDE], hops[WIDE];
	_mm_storeu_si128((__m128i *)iv, wide_low32(seq_be));
	_mm_storeu_si128((__m128i *)hops, wide_low32(hopped));
	for (uint32_t k = 0; k < WIDE; k++) {
		memcpy(data[k] - 4, &iv[k], 4);
		if (six)
			data[k][FAST6_HOP]--;
		else
			memcpy(data[k] + 8, &hops[k], 4);
	}
	wide_scatter(trailer, data[0] + f->slot_len[i], data[1] + f->slot_len[i + 1], data[2] + f->slot_len[i + 2],
		data[3] + f->slot_len[i + 3]);
	/* the operations */
	const __m256i ptr = wide_load(&f->slot_ip[i]);
	wide_rows(t->session, ptr, _mm256_add_epi64(ptr, body), body, row);
	for (uint32_t k = 0; k < WIDE; k++)
		wide_store(&op[k], row[k]);
	wide_rows(t->salt, seq_be, _mm256_or_si256(_mm256_srli_epi64(t->dst_spi, 32), _mm256_slli_epi64(seq_be, 32)),
		_mm256_setzero_si256(), row);
	for (uint32_t k = 0; k < WIDE; k++)
		wide_store(op[k].nonce, row[k]);
	wide_frames(&v, len, PLAIN_HEAD, t->if_id);
	return len;
}
_Static_assert(offsetof(struct crypto_op, status) == 28 && offsetof(struct crypto_op, nonce) == 32 &&
		       offsetof(struct crypto_op, aad) == 48,
	"encapsulate_four() writes them in two stores");

#endif
