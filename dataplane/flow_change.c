/* SPDX-License-Identifier: BSD-3-Clause */
#include "flow_change.h"

#include <rte_common.h>

#define LOG_SIZE (2 * FLOW_CHANGES_KEPT) /* so that a worker can read half of it while main goes on writing */
#define WORDS (sizeof(struct flow_change) / sizeof(uint64_t))

uint32_t flow_generation_current;
static uint64_t log_words[LOG_SIZE][WORDS] __rte_cache_aligned; /* struct flow_change; change n at n % LOG_SIZE */

/* ---- main ---- */

static void append(const struct flow_change *c)
{
	const uint32_t n = flow_generation_current + 1;
	uint64_t word[WORDS];
	memcpy(word, c, sizeof(word));
	/* a worker that finds a word of this change must find the number of the one before as well */
	__atomic_thread_fence(__ATOMIC_RELEASE);
	for (unsigned i = 0; i < WORDS; i++)
		__atomic_store_n(&log_words[n % LOG_SIZE][i], word[i], __ATOMIC_RELAXED);
	__atomic_store_n(&flow_generation_current, n, __ATOMIC_RELEASE);
}

void flow_change_all(void)
{
	append(&(struct flow_change){.kind = FLOW_CHANGE_ALL});
}

/* An address as changes have it. */
static uint64_t number(flow_addr a, uint8_t af)
{
	return (uint64_t)(af == CV_AF_INET ? a : a >> 64);
}

void flow_change_route(uint32_t vrf_id, const struct cv_prefix *p)
{
	const uint8_t af = p->addr.af;
	const unsigned bits = af == CV_AF_INET ? 32 : 64, len = RTE_MIN(p->len, bits);
	const uint64_t lo = number(flow_addr_from(&p->addr), af);
	const uint64_t span = len ? (UINT64_C(1) << (bits - len)) - 1 : UINT64_MAX >> (64 - bits);
	append(&(struct flow_change){.kind = FLOW_CHANGE_ROUTE, .id = vrf_id, .af = af, .lo = {lo}, .hi = {lo + span}});
}

void flow_change_policy(const struct flow_sel *s)
{
	append(&(struct flow_change){.kind = FLOW_CHANGE_POLICY,
		.af = s->af,
		.lo = {number(s->src_lo, s->af), number(s->dst_lo, s->af)},
		.hi = {number(s->src_hi, s->af), number(s->dst_hi, s->af)}});
}

void flow_change_sa(uint32_t index)
{
	append(&(struct flow_change){.kind = FLOW_CHANGE_SA, .id = index});
}

void flow_change_adj(uint32_t adj)
{
	append(&(struct flow_change){.kind = FLOW_CHANGE_ADJ, .id = adj});
}

/* ---- workers ---- */

void flow_changes_read(struct flow_changes *mine, uint32_t upto)
{
	uint32_t from = mine->upto + 1;
	if (upto - mine->upto > FLOW_CHANGES_KEPT)
		from = upto - FLOW_CHANGES_KEPT + 1;
	for (uint32_t n = from; n != upto + 1; n++) {
		uint64_t word[WORDS];
		for (unsigned i = 0; i < WORDS; i++)
			word[i] = __atomic_load_n(&log_words[n % LOG_SIZE][i], __ATOMIC_RELAXED);
		memcpy(&mine->change[n % FLOW_CHANGES_KEPT], word, sizeof(word));
	}
	if (from != mine->upto + 1)
		mine->since = from;
	else if (upto - mine->since >= FLOW_CHANGES_KEPT)
		mine->since = upto - FLOW_CHANGES_KEPT + 1;
	mine->upto = upto;
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	/* main may be writing the next change after the newest it has told of, over the oldest: was that one of these?
	 */
	if (unlikely(__atomic_load_n(&flow_generation_current, __ATOMIC_RELAXED) + 1 - from >= LOG_SIZE))
		mine->since = upto + 1;
}
