/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Packets side by side that go into many SAs by one adjacency, hardly two of them into the same: no runs are made of
 * them, what is asked of an SA is asked of four at once, and each packet gets its number by itself.
 */
#include <rte_ether.h>

#include "fast_wrap.h"

/* May the four slots from i on go into their SAs: are these outbound, fast_plain(), with a path that takes packets this
 * long, known since the last change of routes? What they will be numbered by is asked for. */
FAST_WIDE_INLINE __m256i four_good(const struct fast_worker *f, uint32_t i)
{
	const void *const *sa = (const void *const *)&f->slot_sa[i];
	__m256i state, dir, kind, mtu, unused;
	void *st[WIDE];
	wide_gather(sa, offsetof(struct sa, session), &unused, &state);
	wide_gather(sa, offsetof(struct sa, salt), &dir, &kind);
	wide_gather(sa, offsetof(struct sa, mtu), &mtu, &unused);
	wide_pointers(state, st);
	for (uint32_t k = 0; k < WIDE; k++)
		rte_prefetch0((const uint8_t *)st[k] + offsetof(struct sa_state, seq));
	const __m256i wrong = _mm256_or_si256(wide_not_plain(dir, kind, CV_SA_OUT),
		_mm256_xor_si256(_mm256_srli_epi64(mtu, 32), wide_set(f->fib_generation)));
	const __m256i too_long =
		_mm256_cmpgt_epi64(_mm256_cvtepu32_epi64(half_load(&f->slot_len[i])), wide_and(mtu, UINT16_MAX));
	return _mm256_andnot_si256(too_long, wide_is(wrong, 0));
}
_Static_assert(offsetof(struct sa, state) == offsetof(struct sa, session) + 8, "four_good() reads them together");

FAST_WIDE bool fast_many_good(const struct fast_worker *f, uint32_t i, uint32_t n)
{
	__m256i good = four_good(f, i + n - WIDE); /* the last of them perhaps twice */
	for (uint32_t k = 0; k + WIDE < n; k += WIDE)
		good = _mm256_and_si256(good, four_good(f, i + k));
	return wide_mask(good) == WIDE_ALL;
}

static inline void slot_move(struct fast_worker *f, uint32_t to, uint32_t from)
{
	f->slot_m[to] = f->slot_m[from];
	f->slot_ip[to] = f->slot_ip[from];
	f->slot_len[to] = f->slot_len[from];
	f->slot_sa[to] = f->slot_sa[from];
	f->slot[to].verdict = f->slot[from].verdict;
}

uint32_t fast_out_many(struct worker *w, uint32_t i, uint32_t n, uint32_t n_op)
{
	struct fast_worker *f = w->fast;
	uint64_t *number = &w->ipsec->seq[n_op];
	uint32_t good = 0;
	enum drop_reason why;
	for (uint32_t k = i; k < i + n; k++) {
		const struct sa *sa = f->slot_sa[k];
		if (unlikely(!esp_out_numbers(w, sa, 1, f->slot_len[k], &number[good], &why))) {
			dp_drop1(w, f->slot_m[k], why);
			continue;
		}
		if (unlikely(i + good != k))
			slot_move(f, i + good, k);
		good++;
	}
	f->run[f->n_run++] =
		(struct fast_run){.slot = i, .first = n_op, .n = good, .how = (uint32_t)(f->slot[i].verdict >> 32)};
	return n_op + good;
}

/* The packets of a run, whose SAs are in slot_sa[] and numbers in seq[]. */
FAST_WIDE_INLINE uint64_t wrap_fours(
	struct ipsec_worker *iw, const struct adj *a, const struct fast_worker *f, const struct fast_run *run, bool six)
{
	const __m128i l2 = fast_l2(a);
	const uint64_t *number = &iw->seq[run->first];
	struct crypto_op *op = &iw->op[run->first];
	__m256i sum = _mm256_setzero_si256();
	uint64_t outer[WIDE];
	uint32_t k;
	for (k = 0; k + WIDE <= run->n; k += WIDE) {
		const struct wide_template t = wide_template_of(&f->slot_sa[run->slot + k], l2, a->if_id);
		sum = _mm256_add_epi64(sum, encapsulate_four(&t, f, run->slot + k, wide_load(&number[k]), &op[k], six));
	}
	wide_store(outer, sum);
	for (; k < run->n; k++) {
		const struct frame_template t = template_of(f->slot_sa[run->slot + k], a);
		outer[0] += encapsulate(&t, f, run->slot + k, (uint32_t)number[k], &op[k], six);
	}
	return outer[0] + outer[1] + outer[2] + outer[3];
}

FAST_WIDE uint64_t fast_many_wrap(struct worker *w, const struct fast_run *run)
{
	const struct adj *a = &adj_table[FAST_RUN_ADJ(run)];
	return FAST_RUN_SIX(run) ? wrap_fours(w->ipsec, a, w->fast, run, true)
				 : wrap_fours(w->ipsec, a, w->fast, run, false);
}

void fast_many_count(struct worker *w, const struct fast_run *run, uint32_t now_s)
{
	const struct fast_worker *f = w->fast;
	struct cv_sa_counters *counters = w->stats->sa;
	for (uint32_t k = run->slot; k < run->slot + run->n; k++) {
		struct cv_sa_counters *c = &counters[FAST_SA(f->slot[k].verdict)];
		c->packets++;
		c->bytes += f->slot_len[k];
		c->last_used_s = now_s;
	}
}
