/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Anti-replay window (RFC 4303 section 3.4.3), any number of workers at once, no locks.
 *
 * As in RFC 6479 the window is a ring of words of which it never shifts a bit. Here a word also says which block of
 * sequence numbers its bits stand for: [block number : 32][bits : 32]. A word that still stands for an older block is
 * taken over by one compare-and-swap, so nobody ever has to clear words when the window moves on, and two workers that
 * hold the same sequence number cannot both win. The ring has at least one word more than the window covers: a word
 * of a block inside the window is never taken over by another block inside the window.
 */
#ifndef DATAPLANE_REPLAY_H
#define DATAPLANE_REPLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define REPLAY_WINDOW_DEFAULT 64u
#define REPLAY_WINDOW_MAX 8192u
#define REPLAY_BLOCK_SHIFT 5u /* 32 sequence numbers in a word */

struct replay {
	uint64_t top;	 /* highest sequence number accepted */
	uint32_t window; /* packets; 0 = no check */
	uint32_t mask;	 /* words in the ring - 1, a power of two - 1 */
	uint64_t word[];
};

/* Words the ring needs for a window of this many packets. */
static inline uint32_t replay_words(uint32_t window)
{
	uint32_t need = ((window + 31u) >> REPLAY_BLOCK_SHIFT) + 1u, n = 2;
	while (n < need)
		n *= 2;
	return n;
}

static inline size_t replay_size(uint32_t window)
{
	return sizeof(struct replay) + replay_words(window) * sizeof(uint64_t);
}

/* r points to replay_size(window) bytes; window at most REPLAY_WINDOW_MAX. */
static inline void replay_init(struct replay *r, uint32_t window)
{
	memset(r, 0, replay_size(window));
	r->window = window;
	r->mask = replay_words(window) - 1u;
}

/* Before the integrity check: may this sequence number still be accepted? Worker. */
static inline bool replay_check(const struct replay *r, uint32_t seq)
{
	if (r->window == 0)
		return true;
	uint64_t top = __atomic_load_n(&r->top, __ATOMIC_RELAXED);
	if (seq == 0 || (uint64_t)seq + r->window <= top)
		return false;
	uint32_t block = seq >> REPLAY_BLOCK_SHIFT;
	uint64_t word = __atomic_load_n(&r->word[block & r->mask], __ATOMIC_RELAXED);
	if (word >> 32 != block)
		return word >> 32 < block;
	return !(word >> (seq & 31u) & 1u);
}

/*
 * Set bits of one block at once. Returns those that were set already, all of them when the block has left the ring.
 */
static inline uint32_t replay_set(struct replay *r, uint32_t block, uint32_t bits)
{
	uint64_t *slot = &r->word[block & r->mask], old = __atomic_load_n(slot, __ATOMIC_RELAXED), want;
	do {
		if (old >> 32 > block)
			return bits; /* somebody is a whole ring ahead */
		want = old >> 32 == block ? old | bits : (uint64_t)block << 32 | bits;
	} while (!__atomic_compare_exchange_n(slot, &old, want, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	return old >> 32 == block ? (uint32_t)old & bits : 0;
}

/* How many of n numbers follow one another without a gap, inside one block. */
static inline uint32_t replay_stretch(const uint32_t *seq, uint32_t n)
{
	uint32_t left = 32u - (seq[0] & 31u), k = 1;
	n = n < left ? n : left;
	while (k < n && seq[k] == seq[0] + k)
		k++;
	return k;
}

/*
 * After the integrity check: take n sequence numbers of one run of packets; fresh[i] says whether the i-th was new.
 * Numbers that follow one another cost one atomic operation per block, not one each. The window does not move before
 * replay_advance(): until then it is only more generous to late packets, never to repeated ones. Worker.
 */
static inline void replay_mark(struct replay *r, const uint32_t *seq, uint32_t n, bool *fresh)
{
	uint64_t top = __atomic_load_n(&r->top, __ATOMIC_RELAXED);
	if (r->window == 0) {
		memset(fresh, true, n);
		return;
	}
	for (uint32_t i = 0; i < n;) {
		if (seq[i] == 0 || (uint64_t)seq[i] + r->window <= top) {
			fresh[i++] = false;
			continue;
		}
		uint32_t k = replay_stretch(seq + i, n - i), first = seq[i] & 31u;
		uint32_t bits = (uint32_t)((UINT64_C(1) << k) - 1u) << first;
		uint32_t taken = replay_set(r, seq[i] >> REPLAY_BLOCK_SHIFT, bits);
		for (uint32_t b = 0; b < k; b++)
			fresh[i + b] = !(taken >> (first + b) & 1u);
		i += k;
	}
}

/* Move the window on to the highest number marked. Worker. */
static inline void replay_advance(struct replay *r, uint64_t seq)
{
	uint64_t top = __atomic_load_n(&r->top, __ATOMIC_RELAXED);
	while (seq > top && !__atomic_compare_exchange_n(&r->top, &top, seq, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
}

/* Both, for one packet. */
static inline bool replay_update(struct replay *r, uint32_t seq)
{
	bool fresh;
	replay_mark(r, &seq, 1, &fresh);
	if (fresh)
		replay_advance(r, seq);
	return fresh;
}

#endif
