/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The profile of the workers: cycles by stage, counted only while it is on. A worker looks once in each round of its
 * loop whether it is; off, a stage costs the two untaken branches of stage_begin() and stage_end() a vector, and no
 * reading of the clock. Figures: struct cv_profile of the statistics segment.
 */
#ifndef DATAPLANE_PROFILE_H
#define DATAPLANE_PROFILE_H

#include "worker.h"

/* Main: begin a profile, or end the one that is on; beginning one that is on begins it anew. */
void profile_switch(bool on);

/* Of the profile that is on; 0: off. Written by main. */
extern uint64_t profile_on;

/* What profile_round() does when the profile has been switched. */
void profile_follow(struct worker *w, uint64_t number);

/* Worker and main, at the start of each round of the loop. */
static inline void profile_round(struct worker *w)
{
	const uint64_t number = __atomic_load_n(&profile_on, __ATOMIC_RELAXED);
	if (unlikely(number != w->profile))
		profile_follow(w, number);
}

/* Worker, at the end of a round: what it took, TSC cycles, and how many packets there were. */
void profile_round_count(struct worker *w, uint64_t cycles, uint32_t received, bool busy);

#endif
