/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What happened to sessions, readable after the fact: the last HISTORY_EVENTS events of the IKE engine, oldest first,
 * by peer. A ring of fixed size: strangers can push out what is old, they cannot make it grow. Loop thread.
 */
#ifndef CONTROL_EVENT_HISTORY_H
#define CONTROL_EVENT_HISTORY_H

#include "ike.h"

#define HISTORY_EVENTS 8192u

struct event_history;

struct event_history *event_history_new(void); /* NULL = out of memory */
void event_history_free(struct event_history *h);
/* now: seconds since the epoch. A failure that repeats the last event of all only raises its count. */
void event_history_add(struct event_history *h, const struct ike_event *ev, uint64_t now);
/* Array of objects for show; remote NULL = every peer. */
json_t *event_history_show(const struct event_history *h, const struct cv_addr *remote);
void event_history_clear(struct event_history *h);

#endif
