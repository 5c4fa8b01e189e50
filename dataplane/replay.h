/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Anti-replay window (RFC 4303 section 3.4.3), any number of workers at once, no locks.
 *
 * As in RFC 6479 the window is a ring of words of which it never shifts a bit. Here a word also says which block of
 * sequence numbers its bits stand for: [block number : 32][bits : 32]. A word that still stands for an older block is
 * taken over by one compare-and-swap, so nobody ever has to clear words when the window moves on, and two workers that
 * hold the same sequence number cannot both win. The ring has at least one word more than the window covers: a word
 * of a block inside the window is never taken over by another block inside the window.
 *
 * alone: nobody else writes the window meanwhile (sa_owner.h), so that no atomic operation is needed.
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

/* Block numbers wrap around with ESN; those in the ring are never half the circle apart. */
static inline bool replay_older(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

/*
 * The whole of an extended sequence number from its low half on the wire (RFC 4303 appendix A2.2): the one that the
 * window, or else the nearest future, allows. 0 when it would be before the beginning. Worker.
 */
static inline uint64_t replay_extend(const struct replay *r, uint32_t low)
{
	uint64_t top = __atomic_load_n(&r->top, __ATOMIC_RELAXED);
	uint32_t high = (uint32_t)(top >> 32), span = r->window ? r->window : UINT32_C(1) << 31;
	uint32_t bottom = (uint32_t)top - (span - 1);
	if ((uint32_t)top >= span - 1) {
		high += low < bottom; /* the window is in one subspace */
	} else if (low >= bottom) {   /* it began in the one before */
		if (high == 0)
			return r->window ? 0 : low;
		high--;
	}
	return (uint64_t)high << 32 | low;
}

/* Before the integrity check: may this sequence number still be accepted? Worker. */
static inline bool replay_check(const struct replay *r, uint64_t seq)
{
	if (r->window == 0)
		return true;
	uint64_t top = __atomic_load_n(&r->top, __ATOMIC_RELAXED);
	if (seq == 0 || seq + r->window <= top)
		return false;
	uint32_t block = (uint32_t)(seq >> REPLAY_BLOCK_SHIFT);
	uint64_t word = __atomic_load_n(&r->word[block & r->mask], __ATOMIC_RELAXED);
	if (word >> 32 != block)
		return replay_older((uint32_t)(word >> 32), block);
	return !(word >> (seq & 31u) & 1u);
}

/*
 * Set bits of one block at once. Returns those that were set already, all of them when the block has left the ring.
 */
static inline uint32_t replay_set(struct replay *r, uint32_t block, uint32_t bits, bool alone)
{
	uint64_t *slot = &r->word[block & r->mask], old = __atomic_load_n(slot, __ATOMIC_RELAXED), want;
	do {
		if (replay_older(block, (uint32_t)(old >> 32)))
			return bits; /* somebody is a whole ring ahead */
		want = old >> 32 == block ? old | bits : (uint64_t)block << 32 | bits;
		if (alone) {
			__atomic_store_n(slot, want, __ATOMIC_RELAXED);
			break;
		}
	} while (!__atomic_compare_exchange_n(slot, &old, want, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	return old >> 32 == block ? (uint32_t)old & bits : 0;
}

/* How many of n numbers follow one another without a gap, inside one block. */
static inline uint32_t replay_stretch(const uint64_t *seq, uint32_t n)
{
	uint32_t left = 32u - (uint32_t)(seq[0] & 31u), k = 1;
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
static inline void replay_mark(struct replay *r, const uint64_t *seq, uint32_t n, bool *fresh, bool alone)
{
	uint64_t top = __atomic_load_n(&r->top, __ATOMIC_RELAXED);
	if (r->window == 0) {
		memset(fresh, true, n);
		return;
	}
	for (uint32_t i = 0; i < n;) {
		if (seq[i] == 0 || seq[i] + r->window <= top) {
			fresh[i++] = false;
			continue;
		}
		uint32_t k = replay_stretch(seq + i, n - i), first = (uint32_t)(seq[i] & 31u);
		uint32_t bits = (uint32_t)((UINT64_C(1) << k) - 1u) << first;
		uint32_t taken = replay_set(r, (uint32_t)(seq[i] >> REPLAY_BLOCK_SHIFT), bits, alone);
		for (uint32_t b = 0; b < k; b++)
			fresh[i + b] = !(taken >> (first + b) & 1u);
		i += k;
	}
}

/* The same for one number. */
static inline bool replay_mark_one(struct replay *r, uint64_t seq, bool alone)
{
	if (r->window == 0)
		return true;
	if (seq == 0 || seq + r->window <= __atomic_load_n(&r->top, __ATOMIC_RELAXED))
		return false;
	return !replay_set(r, (uint32_t)(seq >> REPLAY_BLOCK_SHIFT), UINT32_C(1) << (seq & 31u), alone);
}

/* Move the window on to the highest number marked. Worker. */
static inline void replay_advance(struct replay *r, uint64_t seq, bool alone)
{
	uint64_t top = __atomic_load_n(&r->top, __ATOMIC_RELAXED);
	if (alone && seq > top) {
		__atomic_store_n(&r->top, seq, __ATOMIC_RELAXED);
		return;
	}
	while (seq > top && !__atomic_compare_exchange_n(&r->top, &top, seq, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
}

/* Both, for one packet. Alone, nothing above the top has been taken: each number that is marked is advanced to. */
static inline bool replay_update(struct replay *r, uint64_t seq, bool alone)
{
	if (alone && seq > r->top && r->window != 0) {
		const uint64_t block = seq >> REPLAY_BLOCK_SHIFT & UINT32_MAX, bit = UINT64_C(1) << (seq & 31u);
		uint64_t *slot = &r->word[block & r->mask], old = __atomic_load_n(slot, __ATOMIC_RELAXED);
		__atomic_store_n(slot, bit | (old >> 32 == block ? old : block << 32), __ATOMIC_RELAXED);
		__atomic_store_n(&r->top, seq, __ATOMIC_RELAXED);
		return true;
	}
	const bool fresh = replay_mark_one(r, seq, alone);
	if (fresh)
		replay_advance(r, seq, alone);
	return fresh;
}

#endif
