/* SPDX-License-Identifier: BSD-3-Clause */
#include "profile.h"

#include <string.h>

uint64_t profile_on;

void profile_switch(bool on)
{
	struct cv_stats_segment *s = dp_segment();
	if (on) {
		s->profile_begin = dp_now_ms();
		s->profile_end = 0;
		s->profile_number++;
	} else if (s->profile_number != 0 && s->profile_end == 0) {
		s->profile_end = dp_now_ms();
	}
	__atomic_store_n(&profile_on, on ? s->profile_number : 0, __ATOMIC_RELEASE);
}

void profile_follow(struct worker *w, uint64_t number)
{
	struct cv_profile *p = &w->stats->profile;
	w->profile = number;
	w->inner_cycles = 0;
	if (number == 0)
		return;
	memset(p, 0, sizeof(*p));
	__atomic_store_n(&p->number, number, __ATOMIC_RELEASE);
}

void stage_count(struct worker *w, enum stage stage, uint32_t n, uint64_t start, uint64_t outer)
{
	struct cv_stage_counters *c = &w->stats->profile.stage[stage];
	uint64_t elapsed = rte_rdtsc() - start;
	c->calls++;
	c->packets += n;
	c->cycles += elapsed - w->inner_cycles;
	w->inner_cycles = outer + elapsed;
}

void profile_round_count(struct worker *w, uint64_t cycles, uint32_t received, bool busy)
{
	struct cv_profile *p = &w->stats->profile;
	if (!busy) {
		p->idle_cycles += cycles;
		return;
	}
	p->rounds++;
	p->packets += received;
	p->busy_cycles += cycles;
}
