/* SPDX-License-Identifier: BSD-3-Clause */
/* Encapsulation on the fast path: from a clear packet to the whole frame around its ESP packet in one pass. */
#include <rte_ether.h>

#include "fast_wrap.h"
#include "tx.h"

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
		fast6_take_hop(data, six);
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
	const struct sa *sa = f->slot_sa[i];
	uint64_t bytes = 0;
	enum drop_reason why;
	for (uint32_t k = 0; sa->flags & SA_F_BYTE_LIMIT && k < n; k++)
		bytes += f->slot_len[i + k];
	const uint32_t good = esp_out_numbers(w, sa, n, bytes, &run->seq, &why);
	for (uint32_t k = good; k < n; k++)
		dp_drop1(w, f->slot_m[i + k], why);
	run->sa = sa;
	run->how = (uint32_t)(f->slot[i].verdict >> 32);
	run->slot = i;
	run->first = n_op;
	run->n = good;
	return n_op + good;
}

/* Headers, trailers and operations of a run. */
static void encapsulate_run(struct worker *w, struct fast_run *run)
{
	struct fast_worker *f = w->fast;
	struct ipsec_worker *iw = w->ipsec;
	const struct adj *a = &adj_table[FAST_RUN_ADJ(run)];
	const bool six = FAST_RUN_SIX(run);
	if (!run->sa) {
		run->bytes = fast_many_wrap(w, run);
	} else if (likely(fast_plain(run->sa))) {
		const struct frame_template t = template_of(run->sa, a);
		run->bytes = (f->wide ? plain_wide : plain_all)(
			&t, f, run->slot, run->n, (uint32_t)run->seq, &iw->op[run->first], six);
	} else {
		run->bytes = other_all(iw, run->sa, a, f, run->slot, run->n, run->seq, run->first, six);
	}
	run->bytes += run->n * sizeof(struct rte_ether_hdr);
}

/* Count what goes into the SAs, and put the packets beside their operations. */
static void count_run(struct worker *w, const struct fast_run *run, uint32_t now_s)
{
	struct fast_worker *f = w->fast;
	memcpy(&w->ipsec->pkt[run->first], &f->slot_m[run->slot], run->n * sizeof(f->slot_m[0]));
	if (!run->sa) {
		fast_many_count(w, run, now_s);
		return;
	}
	struct cv_sa_counters *c = esp_counters(w, run->sa);
	uint32_t inner = 0;
	for (uint32_t k = 0; k < run->n; k++)
		inner += f->slot_len[run->slot + k];
	c->packets += run->n;
	c->bytes += inner;
	c->last_used_s = now_s;
}

/* Packets of a run that the provider could not encrypt are dropped. Returns how many are left. */
static uint32_t drop_failed(struct worker *w, const struct fast_run *run, uint64_t *bytes)
{
	const struct crypto_op *op = &w->ipsec->op[run->first];
	struct rte_mbuf **pkts = &w->ipsec->pkt[run->first];
	uint32_t keep = 0;
	for (uint32_t i = 0; i < run->n; i++) {
		if (likely(op[i].status == CRYPTO_OK)) {
			pkts[keep++] = pkts[i];
			continue;
		}
		*bytes -= pkts[i]->pkt_len;
		esp_counters(w, run->sa ? run->sa : w->fast->slot_sa[run->slot + i])->other_errors++;
		dp_drop1(w, pkts[i], DROP_CRYPTO_ERROR);
	}
	return keep;
}

void fast_out_finish(struct worker *w, uint32_t n_op)
{
	struct fast_worker *f = w->fast;
	struct ipsec_worker *iw = w->ipsec;
	const uint32_t now_s = dp_uptime_s();
	for (uint32_t r = 0; r < f->n_run; r++)
		encapsulate_run(w, &f->run[r]);
	for (uint32_t r = 0; r < f->n_run; r++)
		count_run(w, &f->run[r], now_s);
	const bool all_good = esp_crypt(w, n_op);
	for (uint32_t r = 0, end; r < f->n_run; r = end) {
		const uint32_t first = f->run[r].first;
		const struct adj *a = &adj_table[FAST_RUN_ADJ(&f->run[r])];
		struct cv_if_counters *c = &w->stats->ifc[a->if_id];
		uint64_t bytes = f->run[r].bytes;
		uint32_t n = f->run[r].n;
		end = r + 1;
		if (unlikely(!all_good))
			n = drop_failed(w, &f->run[r], &bytes);
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
