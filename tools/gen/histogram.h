/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Latencies, counted in bounded memory: each power of two is divided into GEN_HIST_PART equal parts, so that what is
 * read from it is at most 1/GEN_HIST_PART too high, whatever the number of samples. Values are TSC cycles.
 */
#ifndef GEN_HISTOGRAM_H
#define GEN_HISTOGRAM_H

#include <stdint.h>

#define GEN_HIST_PART_BITS 6u
#define GEN_HIST_PART (1u << GEN_HIST_PART_BITS)
#define GEN_HIST_BITS 40u /* of the largest value: minutes */
#define GEN_HIST_SLOTS ((GEN_HIST_BITS - GEN_HIST_PART_BITS + 1) * GEN_HIST_PART)

struct gen_histogram {
	uint64_t n, max;
	uint64_t count[GEN_HIST_SLOTS];
};

/* Which slot counts a value; larger ones than 2^GEN_HIST_BITS share the last. */
static inline unsigned gen_histogram_slot(uint64_t v)
{
	if (v < GEN_HIST_PART)
		return (unsigned)v;
	unsigned shift = 63u - (unsigned)__builtin_clzll(v) - GEN_HIST_PART_BITS;
	unsigned slot = ((shift + 1) << GEN_HIST_PART_BITS) + (unsigned)(v >> shift) - GEN_HIST_PART;
	return slot < GEN_HIST_SLOTS ? slot : GEN_HIST_SLOTS - 1;
}

/* The largest value that is counted in a slot (but the last). */
static inline uint64_t gen_histogram_value(unsigned slot)
{
	if (slot < GEN_HIST_PART)
		return slot;
	unsigned shift = (slot >> GEN_HIST_PART_BITS) - 1;
	return ((uint64_t)(GEN_HIST_PART + slot % GEN_HIST_PART + 1) << shift) - 1;
}

static inline void gen_histogram_add(struct gen_histogram *h, uint64_t v)
{
	h->n++;
	h->max = v > h->max ? v : h->max;
	h->count[gen_histogram_slot(v)]++;
}

/* The value that `part` (0 to 1) of all samples do not exceed, never more than the largest seen; 0 without samples. */
static inline uint64_t gen_histogram_quantile(const struct gen_histogram *h, double part)
{
	uint64_t seen = 0;
	double wanted = part * (double)h->n;
	for (unsigned slot = 0; slot < GEN_HIST_SLOTS; slot++) {
		seen += h->count[slot];
		if (seen > 0 && (double)seen >= wanted) {
			uint64_t v = gen_histogram_value(slot);
			return v < h->max && slot < GEN_HIST_SLOTS - 1 ? v : h->max;
		}
	}
	return h->max;
}

#endif
