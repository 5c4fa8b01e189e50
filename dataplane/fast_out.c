/* SPDX-License-Identifier: BSD-3-Clause */
/* Encapsulation on the fast path: from a clear packet to the whole frame around its ESP packet in one pass. */
#include "fast_six.h"

#include <rte_ether.h>

#include "esp_build.h"
#include "neigh.h"
#include "tx.h"

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

static struct frame_template template_of(const struct sa *sa, const struct adj *a)
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
	if (six)
		data[FAST6_HOP]--;
	else
		fast_take_hop(data);
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

/* n slots from i on into such an SA, the first with number seq. Returns the bytes of the outer packets. */
static uint64_t plain_all(const struct frame_template *t, const struct fast_worker *f, uint32_t i, uint32_t n,
	uint32_t seq, struct crypto_op *op, bool six)
{
	uint64_t outer = 0;
	for (uint32_t k = 0; k < n; k++)
		outer += six ? encapsulate(t, f, i + k, seq + k, &op[k], true)
			     : encapsulate(t, f, i + k, seq + k, &op[k], false);
	return outer;
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
	wide_gather(p, offsetof(struct sa, spi), &t.id, &t.session);
	wide_gather(p, offsetof(struct sa, state), &unused, &salt);
	wide_gather(p, offsetof(struct sa, outer_len), &flags, &unused);
	wide_gather(p, offsetof(struct sa, cksum), &t.cksum, &unused);
	wide_gather(p, offsetof(struct sa, tmpl), &t.ip[0], &t.ip[1]);
	wide_gather(p, offsetof(struct sa, tmpl) + 16, &t.dst_spi, &unused);
	t.id = wide_and(t.id, UINT32_MAX);
	t.cksum = wide_and(t.cksum, UINT32_MAX);
	t.icv_len = wide_and(_mm256_srli_epi64(salt, 48), 0xff);
	t.salt = wide_and(salt, UINT32_MAX);
	flags = wide_and(_mm256_srli_epi64(flags, 16), SA_F_DF_CLEAR | SA_F_DF_SET);
	t.df_and = wide_and(wide_is(flags, 0), RTE_BE16(RTE_IPV4_HDR_DF_FLAG));
	t.df_or = wide_and(wide_is(flags, SA_F_DF_SET), RTE_BE16(RTE_IPV4_HDR_DF_FLAG));
	return t;
}
_Static_assert(offsetof(struct sa, session) == offsetof(struct sa, spi) + 8 &&
		       offsetof(struct sa, salt) == offsetof(struct sa, state) + 8 &&
		       offsetof(struct sa, icv_len) == offsetof(struct sa, salt) + 6 &&
		       offsetof(struct sa, flags) == offsetof(struct sa, outer_len) + 2,
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

/* plain_all() */
FAST_WIDE_INLINE uint64_t plain_fours(const struct frame_template *one, const struct fast_worker *f, uint32_t i,
	uint32_t n, uint32_t seq, struct crypto_op *op, bool six)
{
	const struct wide_template t = wide_template_one(one);
	__m256i sum = _mm256_setzero_si256(), number = _mm256_add_epi64(wide_set(seq), _mm256_setr_epi64x(0, 1, 2, 3));
	uint64_t outer[WIDE];
	uint32_t k;
	for (k = 0; k + WIDE <= n; k += WIDE, number = _mm256_add_epi64(number, wide_set(WIDE)))
		sum = _mm256_add_epi64(sum, encapsulate_four(&t, f, i + k, number, &op[k], six));
	wide_store(outer, sum);
	for (; k < n; k++)
		outer[0] += encapsulate(one, f, i + k, seq + k, &op[k], six);
	return outer[0] + outer[1] + outer[2] + outer[3];
}

FAST_WIDE static uint64_t plain_wide(const struct frame_template *one, const struct fast_worker *f, uint32_t i,
	uint32_t n, uint32_t seq, struct crypto_op *op, bool six)
{
	return six ? plain_fours(one, f, i, n, seq, op, true) : plain_fours(one, f, i, n, seq, op, false);
}

/* The same for slots whose SAs and numbers are in iw, by operation, the first of which is op_at: all fast_plain(), all
 * by one adjacency, all of one family. */
FAST_WIDE_INLINE uint64_t mixed_fours(struct ipsec_worker *iw, const struct adj *a, const struct fast_worker *f,
	uint32_t i, uint32_t n, uint32_t op_at, bool six)
{
	const __m128i l2 = fast_l2(a);
	__m256i sum = _mm256_setzero_si256();
	uint64_t outer[WIDE];
	uint32_t k;
	for (k = 0; k + WIDE <= n; k += WIDE) {
		const struct wide_template t = wide_template_of(&iw->sa[op_at + k], l2, a->if_id);
		sum = _mm256_add_epi64(
			sum, encapsulate_four(&t, f, i + k, wide_load(&iw->seq[op_at + k]), &iw->op[op_at + k], six));
	}
	wide_store(outer, sum);
	for (; k < n; k++) {
		const struct frame_template t = template_of(iw->sa[op_at + k], a);
		outer[0] += encapsulate(&t, f, i + k, (uint32_t)iw->seq[op_at + k], &iw->op[op_at + k], six);
	}
	return outer[0] + outer[1] + outer[2] + outer[3];
}

FAST_WIDE static uint64_t plain_mixed(struct ipsec_worker *iw, const struct adj *a, const struct fast_worker *f,
	uint32_t i, uint32_t n, uint32_t op_at, bool six)
{
	return six ? mixed_fours(iw, a, f, i, n, op_at, true) : mixed_fours(iw, a, f, i, n, op_at, false);
}
_Static_assert(offsetof(struct crypto_op, status) == 28 && offsetof(struct crypto_op, nonce) == 32 &&
		       offsetof(struct crypto_op, aad) == 48,
	"encapsulate_four() writes them in two stores");

/* The same for the other kinds, step by step as the pipeline does it. */
static __rte_always_inline uint64_t others(struct ipsec_worker *iw, const struct sa *sa, const struct adj *a,
	const struct fast_worker *f, uint32_t i, uint32_t n, uint64_t seq, uint32_t n_op, bool six)
{
	const __m128i l2 = fast_l2(a);
	const uint8_t next = six ? IPPROTO_IPV6 : IPPROTO_IPIP;
	const bool aead = sa->iv == SA_IV_AEAD, esn = sa->flags & SA_F_ESN;
	uint64_t outer = 0;
	for (uint32_t k = 0; k < n; k++) {
		uint8_t *data = f->slot_ip[i + k];
		bool df;
		const uint8_t tos = inner_tos(data, &df);
		if (six)
			data[FAST6_HOP]--;
		else
			fast_take_hop(data);
		uint32_t len = esp_wrap(
			iw, sa, data, f->slot_len[i + k], next, tos, df, seq + k, &iw->op[n_op + k], aead, false, esn);
		fast_frame(f->slot_m[i + k], data - esp_head(sa), len, l2, a->if_id);
		outer += len;
	}
	return outer;
}

static uint64_t other_all(struct ipsec_worker *iw, const struct sa *sa, const struct adj *a,
	const struct fast_worker *f, uint32_t i, uint32_t n, uint64_t seq, uint32_t n_op, bool six)
{
	return six ? others(iw, sa, a, f, i, n, seq, n_op, true) : others(iw, sa, a, f, i, n, seq, n_op, false);
}

uint32_t fast_out(struct worker *w, uint32_t i, uint32_t n, uint32_t n_op)
{
	struct fast_worker *f = w->fast;
	struct fast_run *run = &f->run[f->n_run++];
	const uint64_t verdict = f->slot[i].verdict;
	const struct sa *sa = sa_get(FAST_SA(verdict));
	uint64_t bytes = 0;
	enum drop_reason why;
	for (uint32_t k = 0; sa->flags & SA_F_BYTE_LIMIT && k < n; k++)
		bytes += f->slot_len[i + k];
	const uint32_t good = esp_out_numbers(w, sa, n, bytes, &run->seq, &why);
	for (uint32_t k = good; k < n; k++)
		dp_drop1(w, f->slot_m[i + k], why);
	run->sa = sa;
	run->how = (uint32_t)(verdict >> 32);
	run->slot = i;
	run->first = n_op;
	run->n = good;
	return n_op + good;
}

/* Runs from r on that are encapsulated together: of SAs that are fast_plain(), slots side by side, one adjacency, one
 * family. Their SAs and numbers go to iw. Returns where they end. */
static uint32_t mix_runs(const struct fast_worker *f, struct ipsec_worker *iw, uint32_t r)
{
	const struct fast_run *run = &f->run[r];
	do {
		for (uint32_t k = 0; k < f->run[r].n; k++) {
			iw->sa[f->run[r].first + k] = f->run[r].sa;
			iw->seq[f->run[r].first + k] = f->run[r].seq + k;
		}
		r++;
	} while (r < f->n_run && f->run[r].slot == f->run[r - 1].slot + f->run[r - 1].n && f->run[r].how == run->how &&
		 fast_plain(f->run[r].sa));
	return r;
}

/* Encapsulate run r, and those that can be with it. Returns which is the next. */
static uint32_t encapsulate_runs(struct worker *w, uint32_t r)
{
	struct fast_worker *f = w->fast;
	struct ipsec_worker *iw = w->ipsec;
	struct fast_run *run = &f->run[r];
	const struct adj *a = &adj_table[FAST_RUN_ADJ(run)];
	const bool six = FAST_RUN_SIX(run);
	uint32_t end = r + 1, n = run->n;
	if (unlikely(!fast_plain(run->sa))) {
		run->bytes = other_all(iw, run->sa, a, f, run->slot, n, run->seq, run->first, six);
	} else if (f->wide && n < WIDE && end < f->n_run) {
		end = mix_runs(f, iw, r);
		n = f->run[end - 1].first + f->run[end - 1].n - run->first;
		run->bytes = plain_mixed(iw, a, f, run->slot, n, run->first, six);
	} else {
		const struct frame_template t = template_of(run->sa, a);
		run->bytes = (f->wide ? plain_wide : plain_all)(
			&t, f, run->slot, n, (uint32_t)run->seq, &iw->op[run->first], six);
	}
	run->bytes += n * sizeof(struct rte_ether_hdr);
	for (uint32_t k = r + 1; k < end; k++)
		f->run[k].bytes = 0; /* they count for one interface */
	return end;
}

/* Count what goes into the SAs, and put the packets beside their operations. */
static void count_runs(struct worker *w)
{
	struct fast_worker *f = w->fast;
	struct rte_mbuf **pkt = w->ipsec->pkt;
	const uint32_t now_s = dp_uptime_s();
	for (const struct fast_run *run = f->run; run < f->run + f->n_run; run++) {
		struct cv_sa_counters *c = esp_counters(w, run->sa);
		uint32_t inner = 0;
		for (uint32_t k = 0; k < run->n; k++) {
			pkt[run->first + k] = f->slot_m[run->slot + k];
			inner += f->slot_len[run->slot + k];
		}
		c->packets += run->n;
		c->bytes += inner;
		c->last_used_s = now_s;
	}
}

/* Packets the provider could not encrypt are dropped. Returns how many are left. */
static uint32_t drop_failed(struct worker *w, const struct sa *sa, struct rte_mbuf **pkts, const struct crypto_op *op,
	uint32_t n, uint64_t *bytes)
{
	uint32_t keep = 0;
	for (uint32_t i = 0; i < n; i++) {
		if (likely(op[i].status == CRYPTO_OK)) {
			pkts[keep++] = pkts[i];
			continue;
		}
		*bytes -= pkts[i]->pkt_len;
		esp_counters(w, sa)->other_errors++;
		dp_drop1(w, pkts[i], DROP_CRYPTO_ERROR);
	}
	return keep;
}

void fast_out_finish(struct worker *w, uint32_t n_op)
{
	struct fast_worker *f = w->fast;
	struct ipsec_worker *iw = w->ipsec;
	for (uint32_t r = 0; r < f->n_run;)
		r = encapsulate_runs(w, r);
	count_runs(w);
	const bool all_good = esp_crypt(w, n_op);
	for (uint32_t r = 0, end; r < f->n_run; r = end) {
		const uint32_t first = f->run[r].first;
		const struct adj *a = &adj_table[FAST_RUN_ADJ(&f->run[r])];
		struct cv_if_counters *c = &w->stats->ifc[a->if_id];
		uint64_t bytes = f->run[r].bytes;
		uint32_t n = f->run[r].n;
		end = r + 1;
		if (unlikely(!all_good))
			n = drop_failed(w, f->run[r].sa, &iw->pkt[first], &iw->op[first], n, &bytes);
		/* runs of several SAs that go the same way lie side by side */
		for (; likely(all_good) && end < f->n_run && f->run[end].how == f->run[r].how; end++) {
			n += f->run[end].n;
			bytes += f->run[end].bytes;
		}
		c->tx_packets += n;
		c->tx_bytes += bytes;
		tx_put_bulk(w, a->port_id, &iw->pkt[first], n);
	}
}
