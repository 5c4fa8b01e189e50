/* SPDX-License-Identifier: BSD-3-Clause */
#include "sa_limit.h"

#include "worker.h"

#define PACKET_MAX 65535u
/* More than all workers can have numbered and not counted: a vector each, of the longest frames that ports take. */
#define MARGIN (UINT64_C(64) << 20)
_Static_assert((uint64_t)CV_WRITERS *DP_VEC * 9216 <= MARGIN, "a vector of each worker");

/* Counted by all workers since the dataplane has started. */
static uint64_t counted(uint32_t index)
{
	uint64_t sum = 0;
	for (unsigned i = 0; i < CV_WRITERS; i++)
		if (dp_workers[i])
			sum += __atomic_load_n(&dp_workers[i]->stats->sa[index].bytes, __ATOMIC_RELAXED);
	return sum;
}

/* The number from which on sequence numbers matter by themselves. */
static uint64_t numbers_unasked(const struct sa *sa)
{
	if (sa->dir == CV_SA_OUT)
		return RTE_MIN(sa->state->soft_seq, sa->state->hard_seq);
	return sa->flags & SA_F_PACKET_LIMIT ? 0 : UINT64_MAX;
}

void sa_limit_start(const struct sa *sa)
{
	struct sa_state *st = sa->state;
	st->bytes_before = counted(sa->index);
	st->unasked = sa->flags & SA_F_BYTE_LIMIT ? 0 : numbers_unasked(sa);
}

uint64_t sa_limit_bytes(const struct sa *sa, uint64_t last, uint64_t bytes)
{
	struct sa_state *st = sa->state;
	if (!__atomic_load_n(&st->counting, __ATOMIC_RELAXED)) {
		const uint64_t had = counted(sa->index) - st->bytes_before, sum = had + bytes;
		const uint64_t limit = RTE_MIN(st->soft_bytes, st->hard_bytes);
		/* without a replay window numbers say nothing about how many packets there were */
		const bool ordered = sa->dir == CV_SA_OUT || st->replay->window;
		if (ordered && sum < limit && limit - sum > MARGIN + PACKET_MAX) {
			const uint64_t free = last + (limit - sum - MARGIN) / PACKET_MAX, numbers = numbers_unasked(sa);
			__atomic_store_n(&st->unasked, RTE_MIN(free, numbers), __ATOMIC_RELAXED);
			return sum;
		}
		uint16_t no = 0;
		if (__atomic_compare_exchange_n(&st->counting, &no, 1, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
			__atomic_fetch_add(&st->bytes, had, __ATOMIC_RELAXED);
		__atomic_store_n(&st->unasked, 0, __ATOMIC_RELAXED);
	}
	return __atomic_add_fetch(&st->bytes, bytes, __ATOMIC_RELAXED);
}
