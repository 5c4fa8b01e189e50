/* SPDX-License-Identifier: BSD-3-Clause */
/* What the two directions of ESP share. Private to esp_out.c, esp_in.c and ipsec.c. */
#ifndef DATAPLANE_ESP_H
#define DATAPLANE_ESP_H

#include <emmintrin.h>

#include "ipcomp.h"
#include "ipsec.h"
#include "pipeline.h"
#include "sa_owner.h"

#define ESP_HDR_LEN 8u	   /* SPI and sequence number */
#define ESP_TRAILER_LEN 2u /* pad length and next header */
#define ESP_HEAD_ROOM 48u  /* in front of a packet, behind the outer headers: the longest AH header */
#define ESP_TAIL_ROOM 56u  /* padding written in one 16-byte store, trailer, ICV */

#define AH_HDR_LEN 12u
#define AH_HEAD_MAX 128u /* longest IP header with options or extension headers in front of AH */

/* What is taken out of a packet while its ICV is computed. */
struct esp_saved {
	uint8_t icv[32];	   /* as received: ESN and AH compute over its place */
	uint8_t head[AH_HEAD_MAX]; /* AH: the headers before mutable fields were zeroed */
	uint16_t len;		   /* of head */
};

/* Room for one vector. */
struct ipsec_worker {
	struct crypto_ctx *crypto;
	struct ipcomp *comp;
	struct spd_cache *cache;
	struct spd_verdict verdict[DP_VEC];
	/* packets being encrypted or decrypted, side by side */
	const struct sa *sa[DP_VEC];
	struct rte_mbuf *pkt[DP_VEC];
	uint64_t seq[DP_VEC]; /* inbound: the number each carries */
	struct crypto_op op[DP_VEC];
	struct crypto_op *ops[DP_VEC], *done[DP_VEC];
	struct pkt_vec parts; /* fragments and packets on their way into esp_out */
	const struct sa *parts_sa[DP_VEC];
	bool cut;	     /* some outer packet of this vector is longer than its way takes */
	struct pkt_vec nest; /* packets of an inner SA on their way into the outer one of its bundle */
	const struct sa *nest_sa[DP_VEC];
	struct esp_saved saved[DP_VEC]; /* by operation */
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

/* Bytes of an outer packet in front of what is encrypted: tunnel mode. */
static inline uint32_t esp_head(const struct sa *sa)
{
	return sa->outer_len + ESP_HDR_LEN + sa->iv_len;
}

static inline void esp_prefetch_sa(const struct sa *sa)
{
	rte_prefetch0(sa);
	rte_prefetch0((const uint8_t *)sa + RTE_CACHE_LINE_SIZE);
}

/* What is behind the pointers of an SA: to be asked for when its own lines have arrived. */
static inline void esp_prefetch_state(struct worker *w, const struct sa *sa)
{
	rte_prefetch0(&sa->state->seq);
	rte_prefetch0(&w->stats->sa[sa->index]);
}

/* The same for the first n of w->ipsec->sa, which were found by the SPIs of received packets; NULL = unknown. Worker.
 */
static inline void esp_prefetch_found(struct worker *w, uint32_t n)
{
	const struct sa *last = NULL;
	for (uint32_t i = 0; i < n; i++) {
		const struct sa *sa = w->ipsec->sa[i];
		if (likely(sa == last || !sa))
			continue;
		last = sa;
		esp_prefetch_state(w, sa);
	}
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

/* Run the operations and wait for all. Operations the provider did not take get CRYPTO_ERROR. True: all are CRYPTO_OK.
 */
static inline bool esp_crypt(struct worker *w, uint32_t n)
{
	struct ipsec_worker *iw = w->ipsec;
	struct stage_mark mark = stage_begin(w);
	const struct crypto_provider *p = ipsec_crypto();
	bool good = false;
	if (likely(p->run != NULL)) {
		good = p->run(iw->crypto, iw->op, n);
	} else {
		uint32_t taken = p->submit(iw->crypto, iw->ops, n), got = 0;
		for (uint32_t i = taken; i < n; i++)
			iw->ops[i]->status = CRYPTO_ERROR;
		while (got < taken)
			got += p->collect(iw->crypto, iw->done, DP_VEC);
		uint32_t bad = 0;
		for (uint32_t i = 0; i < n; i++)
			bad |= iw->op[i].status;
		good = !bad;
	}
	stage_end(w, STAGE_CRYPTO, n, mark);
	return good;
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

/* ---- steps of esp_out.c and esp_in.c that the fast path shares (fast_out.c, fast_in.c) ---- */

/* Hold n packets of an outbound SA, `bytes` of inner packets in all (needed with SA_F_BYTE_LIMIT only), that have been
 * given the numbers behind seq, to its lifetimes. Returns how many may go. The others are counted, and the caller's to
 * drop for the reason *why. */
uint32_t esp_out_may(
	struct worker *w, const struct sa *sa, uint64_t seq, uint32_t n, uint64_t bytes, enum drop_reason *why);
/*
 * Give numbers to a run of n packets, and see whether they may go (esp_out_may()): the first of them has number *first.
 */
static inline uint32_t esp_out_numbers(
	struct worker *w, const struct sa *sa, uint32_t n, uint64_t bytes, uint64_t *first, enum drop_reason *why)
{
	struct sa_state *st = sa->state;
	const uint64_t seq = sa_numbers(w, st, n), last = seq + n;
	*first = seq + 1;
	if (likely(last < __atomic_load_n(&st->unasked, __ATOMIC_RELAXED)))
		return n;
	return esp_out_may(w, sa, seq, n, bytes, why);
}
/* Largest inner packet of this outbound SA whose encapsulation is no longer than mtu. */
uint16_t esp_inner_max(const struct sa *sa, uint32_t mtu);
/* Largest inner packet that fits this outbound SA's way; generation is fib_generation(). Afterwards sa->route is of
 * that generation. */
uint16_t esp_inner_mtu(const struct sa *sa, uint32_t generation);

/* Consecutive packets of one inbound SA, counted together. */
struct esp_run {
	const struct sa *sa;
	uint64_t packets, bytes; /* inner packets that are good */
	uint64_t top;		 /* highest sequence number taken */
};
/* Take the sequence numbers of n packets of one SA, operations from `first` on. good: all operations are CRYPTO_OK.
 * fresh[] is by place in the run. */
void esp_take_numbers(struct worker *w, const struct sa *sa, uint32_t first, uint32_t n, bool good, bool *fresh);
/* What became of the i-th operation: with DROP_NONE w->ipsec->pkt[i] is the inner packet, checked. */
enum drop_reason esp_in_judge(struct worker *w, const struct sa *sa, uint32_t i, bool fresh);
/* Count and drop. */
void esp_in_fail(struct worker *w, struct rte_mbuf *m, const struct sa *sa, enum drop_reason why);
/* What an inbound SA has taken counts for its lifetimes. */
void esp_in_limits(const struct sa *sa, uint64_t packets, uint64_t bytes);
/* Count packets of an inbound SA, whose window has been moved on, and look at the lifetimes. */
static inline void esp_in_count(struct worker *w, const struct sa *sa, uint64_t packets, uint64_t bytes, uint32_t now_s)
{
	struct sa_state *st = sa->state;
	struct cv_sa_counters *c = esp_counters(w, sa);
	if (unlikely(__atomic_load_n(&sa_window(st)->top, __ATOMIC_RELAXED) >=
		     __atomic_load_n(&st->unasked, __ATOMIC_RELAXED)))
		esp_in_limits(sa, packets, bytes);
	c->packets += packets;
	c->bytes += bytes;
	c->last_used_s = now_s;
}
/* Move the replay window on to the top of the run, and count it. */
void esp_run_close(struct worker *w, const struct esp_run *r, uint32_t now_s);

/* ---- transport mode and AH (esp_transport.c, ah.c): called through the kind of an SA ---- */

/* Where ESP or AH goes in transport mode (RFC 4303 3.1.1): its offset from the IP header, and that of the field that
 * says what is there. 0: not possible, a fragment or malformed. */
uint32_t transport_point(const uint8_t *p, uint32_t len, uint32_t *nh_at);
/* The offset of the field that names the header at offset off of a packet whose headers have been checked. */
uint32_t transport_nh_at(const uint8_t *p, uint32_t off);
/* Write next header, length and IPv4 checksum of a packet whose header has moved. */
void transport_header_fix(uint8_t *p, uint32_t nh_at, uint8_t next, uint32_t total);
/* Is this packet from the one end of the SA to the other (IPSEC-21)? */
bool transport_between_peers(const struct sa *sa, const uint8_t *p);

/* Outbound; DROP_NONE, or why the packet cannot go. The caller has made sure of the room. */
enum drop_reason esp_transport_out(
	struct worker *w, const struct sa *sa, struct rte_mbuf *m, uint64_t seq, struct crypto_op *op);
/* Outbound, before encryption: compress *len bytes at data, of protocol *next, when that makes them shorter. */
void esp_compress(struct worker *w, const struct sa *sa, uint8_t *data, uint32_t *len, uint8_t *next);
/* Inbound, after decryption: what the trailer says follows, *next, is IPComp; put *len bytes of what was compressed at
 * data in m, their protocol to *next. DROP_NONE or DROP_IPCOMP. */
enum drop_reason esp_decompress(
	struct worker *w, const struct sa *sa, struct rte_mbuf *m, uint8_t *data, uint32_t *len, int *next);
enum drop_reason ah_out(
	const struct sa *sa, struct rte_mbuf *m, uint64_t seq, struct crypto_op *op, struct esp_saved *s);
/* Outbound, after the ICV was computed: the mutable fields come back. */
void ah_restore(struct rte_mbuf *m, const struct esp_saved *s);
/* Inbound, before the ICV is checked; off: of AH from the IP header. */
enum drop_reason ah_prepare(const struct sa *sa, struct rte_mbuf *m, uint32_t off, struct crypto_op *op,
	struct esp_saved *s, uint64_t *first);
/* Inbound: take ESP's or AH's header out from between the IP header, off bytes long, and the payload, len bytes from
 * data on, whose protocol is next. */
void transport_strip(struct rte_mbuf *m, uint32_t off, uint8_t *data, uint32_t len, uint8_t next);
/* A TCP or UDP checksum does not survive a NAT: make it anew (RFC 3948 3.1.2). l4: after the IP header. */
void transport_checksum(struct rte_mbuf *m, uint32_t l4, uint8_t proto);

#endif
