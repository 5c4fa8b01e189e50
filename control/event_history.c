/* SPDX-License-Identifier: BSD-3-Clause */
#include "event_history.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cv_addr.h"

#define ID_MAX 64

struct record {
	uint64_t at;
	enum ike_event_type type;
	uint32_t vrf, count;
	struct cv_addr local, remote;
	uint16_t rport;
	const char *reason; /* static text */
	char peer_id[ID_MAX];
	char map[40];
	uint32_t seq;
};

struct event_history {
	uint64_t n; /* ever added */
	struct record ring[HISTORY_EVENTS];
};

struct event_history *event_history_new(void)
{
	return calloc(1, sizeof(struct event_history));
}

void event_history_free(struct event_history *h)
{
	free(h);
}

void event_history_clear(struct event_history *h)
{
	memset(h, 0, sizeof(*h));
}

static bool again(const struct record *a, const struct record *b)
{
	return a->type == b->type && a->vrf == b->vrf && a->reason == b->reason && cv_addr_eq(&a->remote, &b->remote) &&
	       (a->type == IKE_EVT_FAILED || a->type == IKE_EVT_REFUSED);
}

void event_history_add(struct event_history *h, const struct ike_event *ev, uint64_t now)
{
	struct record r = {.at = now, .type = ev->type, .count = 1, .reason = ev->reason};
	struct record *last = h->n ? &h->ring[(h->n - 1) % HISTORY_EVENTS] : NULL;

	if (ev->path) {
		r.vrf = ev->path->vrf;
		r.local = ev->path->local;
		r.remote = ev->path->remote;
		r.rport = ev->path->rport;
	}
	if (ev->peer_id)
		snprintf(r.peer_id, sizeof(r.peer_id), "%s", ev->peer_id);
	if (ev->entry && ev->entry->map) {
		snprintf(r.map, sizeof(r.map), "%s", ev->entry->map->name);
		r.seq = cfg_entry_place(ev->entry);
	}
	if (last && again(last, &r)) {
		last->count++;
		last->at = now;
		return;
	}
	h->ring[h->n++ % HISTORY_EVENTS] = r;
}

static void set(json_t *o, const char *key, const char *text)
{
	if (text && *text)
		json_object_set_new(o, key, json_string(text));
}

static json_t *record_object(const struct record *r)
{
	static const char *const name[] = {[IKE_EVT_UP] = "up",
		[IKE_EVT_DOWN] = "down",
		[IKE_EVT_FAILED] = "failed",
		[IKE_EVT_REKEYED] = "rekeyed",
		[IKE_EVT_PEER_MOVED] = "moved",
		[IKE_EVT_REFUSED] = "refused"};
	char when[32], text[CV_ADDR_STR];
	time_t at = (time_t)r->at;
	struct tm tm;
	json_t *o = json_object();

	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&at, &tm));
	set(o, "time", when);
	set(o, "event", name[r->type]);
	if (cv_addr_bits(&r->local))
		set(o, "local", cv_addr_str(&r->local, text));
	if (cv_addr_bits(&r->remote))
		set(o, "remote", cv_addr_str(&r->remote, text));
	if (r->rport)
		json_object_set_new(o, "remote_port", json_integer(r->rport));
	json_object_set_new(o, "fvrf", json_integer(r->vrf));
	set(o, "remote_id", r->peer_id);
	set(o, "map", r->map);
	if (r->map[0])
		json_object_set_new(o, "seq", json_integer(r->seq));
	set(o, "reason", r->reason);
	if (r->count > 1)
		json_object_set_new(o, "count", json_integer(r->count));
	return o;
}

json_t *event_history_show(const struct event_history *h, const struct cv_addr *remote)
{
	json_t *list = json_array();

	for (uint64_t i = h->n > HISTORY_EVENTS ? h->n - HISTORY_EVENTS : 0; i < h->n; i++) {
		const struct record *r = &h->ring[i % HISTORY_EVENTS];

		if (!remote || cv_addr_eq(remote, &r->remote))
			json_array_append_new(list, record_object(r));
	}
	return list;
}
