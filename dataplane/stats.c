/* SPDX-License-Identifier: BSD-3-Clause */
#include "stats.h"

#include <stdio.h>

#include "drop.h"
#include "events.h"
#include "stages.h"

_Static_assert(DROP_REASON_MAX <= CV_DROP_MAX, "every drop reason has a counter");
_Static_assert(EVENT_COUNT <= CV_EVENT_MAX, "every event has a counter");
_Static_assert(STAGE_COUNT <= CV_STAGE_MAX, "every stage has a counter");

void stats_fill_names(struct cv_stats_segment *s)
{
	static const struct {
		const char *name, *text;
	} drop[] = {
#define X(sym, token, sentence) {token, sentence},
		DROP_REASONS(X)
#undef X
	};
	static const struct {
		const char *name, *text;
	} event[] = {
#define X(sym, token, sentence) {token, sentence},
		EVENTS(X)
#undef X
	};
	static const char *const stage[] = {
#define X(sym, name) name,
		STAGES(X)
#undef X
	};
	for (unsigned i = 0; i < DROP_REASON_MAX; i++) {
		(void)snprintf(s->drop_name[i], sizeof(s->drop_name[i]), "%s", drop[i].name);
		(void)snprintf(s->drop_text[i], sizeof(s->drop_text[i]), "%s", drop[i].text);
	}
	for (unsigned i = 0; i < EVENT_COUNT; i++) {
		(void)snprintf(s->event_name[i], sizeof(s->event_name[i]), "%s", event[i].name);
		(void)snprintf(s->event_text[i], sizeof(s->event_text[i]), "%s", event[i].text);
	}
	for (unsigned i = 0; i < STAGE_COUNT; i++)
		(void)snprintf(s->stage_name[i], sizeof(s->stage_name[i]), "%s", stage[i]);
	s->n_drops = DROP_REASON_MAX;
	s->n_stages = STAGE_COUNT;
	s->n_events = EVENT_COUNT;
}
