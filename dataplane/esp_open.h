/* SPDX-License-Identifier: BSD-3-Clause */
/* Pieces of a received ESP packet: what is checked before it is decrypted, the operation, and its padding. Expanded in
 * esp_in.c for each kind of SA, and in fast_in.c. */
#ifndef DATAPLANE_ESP_OPEN_H
#define DATAPLANE_ESP_OPEN_H

#include <string.h>

#include <smmintrin.h>

#include "esp.h"

/* The IV of a cipher that is no AEAD, from the wire. */
static inline void esp_iv_get(const struct sa *sa, const uint8_t *wire, struct crypto_op *op)
{
	if (sa->iv == SA_IV_CTR) {
		uint64_t iv;
		memcpy(&iv, wire, 8);
		esp_counter_set(op, sa->salt, iv);
	} else if (sa->iv == SA_IV_RANDOM) {
		_mm_storeu_si128((__m128i *)op->nonce, _mm_loadu_si128((const __m128i *)wire));
	}
}

/* The high half of the number is authenticated behind the packet (RFC 4303 2.2.1), where the ICV is. */
static inline void esp_extend_auth(const struct sa *sa, struct crypto_op *op, struct esp_saved *saved, uint64_t seq)
{
	const uint32_t high_be = rte_cpu_to_be_32((uint32_t)(seq >> 32));
	if (sa->icv_len == 0)
		return;
	memcpy(saved->icv, op->icv, sa->icv_len);
	memcpy(op->icv, &high_be, 4);
	op->icv = saved->icv;
	op->auth_len += 4;
}

/* Check what is in front of the ciphertext, and fill the operation: esp is the ESP header, len bytes up to the end of
 * the packet. DROP_NONE when it can be decrypted. aead, esn: what the SA is, constants where this is expanded. */
static __rte_always_inline enum drop_reason esp_op_in(const struct sa *sa, uint8_t *esp, uint32_t len,
	struct crypto_op *op, struct esp_saved *saved, uint64_t *seq, bool aead, bool esn)
{
	const uint32_t iv_len = aead ? 8 : sa->iv_len, pad_mask = aead ? 3 : sa->pad_mask;
	const uint32_t fixed = ESP_HDR_LEN + iv_len + sa->icv_len;
	if (unlikely(len < fixed + pad_mask + 1u || (len - fixed) & pad_mask))
		return DROP_ESP_SHORT;
	const __m128i head = _mm_loadu_si128((const __m128i *)esp); /* SPI, number, first 8 bytes of the IV */
	const uint32_t low_be = (uint32_t)_mm_extract_epi32(head, 1);
	*seq = rte_be_to_cpu_32(low_be);
	if (esn)
		*seq = replay_extend(sa->in.replay, (uint32_t)*seq);
	if (unlikely(!replay_check(sa->in.replay, *seq)))
		return DROP_ESP_REPLAY;
	op->session = sa->session;
	op->auth = esp;
	op->data = esp + ESP_HDR_LEN + iv_len;
	op->data_len = len - fixed;
	op->icv = op->data + op->data_len;
	if (aead) {
		_mm_store_si128((__m128i *)op->aad, head); /* 8 bytes of it count */
		_mm_store_si128((__m128i *)op->nonce, _mm_insert_epi32(_mm_srli_si128(head, 4), (int)sa->salt, 0));
		if (esn) { /* RFC 4106 section 5 */
			const uint32_t high_be = rte_cpu_to_be_32((uint32_t)(*seq >> 32));
			memcpy(op->aad + 4, &high_be, 4);
			memcpy(op->aad + 8, &low_be, 4);
		}
	} else {
		op->auth_len = ESP_HDR_LEN + iv_len + op->data_len;
		esp_iv_get(sa, esp + ESP_HDR_LEN, op);
		if (esn)
			esp_extend_auth(sa, op, saved, *seq);
	}
	return DROP_NONE;
}

/* Is the padding before end 1, 2, 3...? Its last 16 bytes are compared at once; there are always as many in front of
 * end (ESP header and IV at least). */
static inline bool esp_padding_ok(const uint8_t *end, uint32_t pad)
{
	static const uint8_t want[32] = {[16] = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
	if (unlikely(pad > 16)) {
		uint32_t bad = 0;
		for (uint32_t i = 0; i < pad; i++)
			bad |= (end - pad)[i] ^ (uint8_t)(i + 1);
		return !bad;
	}
	__m128i have = _mm_loadu_si128((const __m128i *)(end - 16));
	__m128i same = _mm_cmpeq_epi8(have, _mm_loadu_si128((const __m128i *)(want + pad)));
	return ((uint32_t)_mm_movemask_epi8(same) | (0xffffu >> pad)) == 0xffffu;
}

#endif
