/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which worker may write what changes with each packet of an SA (sequence number, replay window) without atomic
 * operations: the first that has a packet for it, as long as no other has. An atomic operation costs some 15 cycles,
 * and mostly one worker alone gets the packets of an SA, since network cards spread flows.
 *
 * When another one comes it says so in the owner's place (SHARING) and waits until the owner has passed a turn: from
 * then on the owner has read that, and all use atomic operations (SHARED), for the rest of the SA's life. Who waits
 * passes turns too, so that two may wait for one another. It is a wait of one vector of the owner's, once in the life
 * of an SA; a worker that is offline is not waited for. Main never owns an SA: nobody has to wait for main.
 *
 * What sa_mine() says holds until the worker next waits, passes a turn (worker_quiescent()) or asks again.
 */
#ifndef DATAPLANE_SA_OWNER_H
#define DATAPLANE_SA_OWNER_H

#include "sa.h"
#include "worker.h"

/* In sa_state.owner: an index of a worker, or one of */
#define SA_NOBODYS UINT16_MAX
#define SA_SHARED (UINT16_MAX - 1u)
#define SA_SHARING 0x8000u /* | the owner there was */

/* What sa_mine() does where the answer is not yet known. */
bool sa_claim(struct worker *w, struct sa_state *st);

/* Worker or main: may w write the state as if it were alone? */
static inline bool sa_mine(struct worker *w, struct sa_state *st)
{
	const uint16_t owner = __atomic_load_n(&st->owner, __ATOMIC_ACQUIRE);
	if (likely(owner == w->index)) /* never main's */
		return true;
	return owner != SA_SHARED && sa_claim(w, st);
}

/* Worker or main: take n sequence numbers of an outbound SA. Returns the one in front of them. */
static inline uint64_t sa_numbers(struct worker *w, struct sa_state *st, uint32_t n)
{
	if (unlikely(!sa_mine(w, st)))
		return __atomic_fetch_add(&st->seq, n, __ATOMIC_RELAXED);
	const uint64_t seq = __atomic_load_n(&st->seq, __ATOMIC_RELAXED);
	__atomic_store_n(&st->seq, seq + n, __ATOMIC_RELAXED);
	return seq;
}

#endif
