/* SPDX-License-Identifier: BSD-3-Clause */
#include "sa_owner.h"

_Static_assert(CV_WRITERS < SA_SHARING, "an index of a worker is no other sign");

static bool replace(struct sa_state *st, uint16_t owner, uint16_t by)
{
	return __atomic_compare_exchange_n(&st->owner, &owner, by, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
}

/* The state is another worker's: make it everybody's. False: it has changed meanwhile. */
static bool share(struct worker *w, struct sa_state *st, uint16_t owner)
{
	if (!replace(st, owner, (uint16_t)(SA_SHARING | owner)))
		return false;
	worker_wait_turn(w, owner);
	__atomic_store_n(&st->owner, SA_SHARED, __ATOMIC_RELEASE);
	return true;
}

bool sa_claim(struct worker *w, struct sa_state *st)
{
	for (;;) {
		const uint16_t owner = __atomic_load_n(&st->owner, __ATOMIC_ACQUIRE);
		if (owner == SA_SHARED)
			return false;
		if (owner == SA_NOBODYS) {
			if (w->index != WORKER_MAIN && replace(st, SA_NOBODYS, (uint16_t)w->index))
				return true;
			if (w->index == WORKER_MAIN && replace(st, SA_NOBODYS, SA_SHARED))
				return false;
		} else if (owner & SA_SHARING) {
			worker_pass_turn(w); /* perhaps it is this worker that is waited for */
		} else if (share(w, st, owner)) {
			return false;
		}
	}
}
