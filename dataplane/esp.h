/* SPDX-License-Identifier: BSD-3-Clause */
/* What the two directions of ESP share. Private to esp_out.c, esp_in.c and ipsec.c. */
#ifndef DATAPLANE_ESP_H
#define DATAPLANE_ESP_H

#include <emmintrin.h>

#include "ipsec.h"
#include "pipeline.h"

#define ESP_HDR_LEN 8u	   /* SPI and sequence number */
#define ESP_TRAILER_LEN 2u /* pad length and next header */
#define ESP_TAIL_ROOM 56u  /* padding written in one 16-byte store, trailer, ICV */

/* Room for one vector. */
struct ipsec_worker {
	struct crypto_ctx *crypto;
	struct spd_cache *cache;
	struct spd_verdict verdict[DP_VEC];
	/* packets being encrypted or decrypted, side by side */
	const struct sa *sa[DP_VEC];
	struct rte_mbuf *pkt[DP_VEC];
	uint32_t seq[DP_VEC]; /* inbound: the number each carries */
	struct crypto_op op[DP_VEC];
	struct crypto_op *ops[DP_VEC], *done[DP_VEC];
	struct pkt_vec parts; /* fragments and packets on their way into esp_out */
	const struct sa *parts_sa[DP_VEC];
} __rte_cache_aligned;

/* Salt and 8-byte IV in one full-width store: two smaller ones would stall the load inside the cipher by some 40
 * cycles (docs/benchmarks.md). */
static inline void esp_nonce_set(struct crypto_op *op, uint32_t salt, uint64_t iv)
{
	_mm_storeu_si128((__m128i *)op->nonce, _mm_set_epi64x((long long)(iv >> 32), (long long)(iv << 32 | salt)));
}

/* The first counter block of AES-CTR (RFC 3686 section 4): salt, IV, 1. */
static inline void esp_counter_set(struct crypto_op *op, uint32_t salt, uint64_t iv)
{
	const long long one = (long long)RTE_BE32(1) << 32;
	_mm_storeu_si128(
		(__m128i *)op->nonce, _mm_set_epi64x(one | (long long)(iv >> 32), (long long)(iv << 32 | salt)));
}

/* SPI and sequence number, as on the wire, in one store. */
static inline void esp_aad_set(struct crypto_op *op, uint32_t spi_be, uint32_t seq_be)
{
	uint64_t aad = (uint64_t)seq_be << 32 | spi_be;
	__builtin_memcpy(op->aad, &aad, sizeof(aad));
}

static inline void esp_prefetch_sa(const struct sa *sa)
{
	rte_prefetch0(sa);
	rte_prefetch0(sa->tmpl);
}

/* What is behind the pointers of an SA: to be asked for when its own lines have arrived. */
static inline void esp_prefetch_state(struct worker *w, const struct sa *sa)
{
	rte_prefetch0(sa->state);
	rte_prefetch0(&w->stats->sa[sa->index]);
}

/* One direct, linear buffer of our own, that nobody else sees: what in-place crypto needs. Room for need bytes behind.
 * NULL: does not fit. The packet's meta moves along when it has to be copied. */
struct rte_mbuf *esp_writable_slow(struct rte_mbuf *m, uint16_t need);
static inline struct rte_mbuf *esp_writable(struct rte_mbuf *m, uint16_t need)
{
	if (likely(m->nb_segs == 1 && RTE_MBUF_DIRECT(m) && rte_mbuf_refcnt_read(m) == 1 &&
		    rte_pktmbuf_tailroom(m) >= need))
		return m;
	return esp_writable_slow(m, need);
}

/* Run the operations and wait for all. Operations the provider did not take get CRYPTO_ERROR. */
static inline void esp_crypt(struct worker *w, uint32_t n)
{
	struct ipsec_worker *iw = w->ipsec;
	struct stage_mark mark = stage_begin(w);
	const struct crypto_provider *p = ipsec_crypto();
	uint32_t taken = p->submit(iw->crypto, iw->ops, n), got = 0;
	for (uint32_t i = taken; i < n; i++)
		iw->ops[i]->status = CRYPTO_ERROR;
	while (got < taken)
		got += p->collect(iw->crypto, iw->done, DP_VEC);
	stage_end(w, STAGE_CRYPTO, n, mark);
}

/* How many packets from i on belong to the same SA. */
static inline uint32_t esp_run_length(const struct sa *const *sa, uint32_t i, uint32_t n)
{
	uint32_t k = i + 1;
	while (k < n && sa[k] == sa[i])
		k++;
	return k - i;
}

static inline struct cv_sa_counters *esp_counters(struct worker *w, const struct sa *sa)
{
	return &w->stats->sa[sa->index];
}

#endif
