/* SPDX-License-Identifier: BSD-3-Clause */
#include "if_rates.h"

#include <stdlib.h>
#include <string.h>

#include "show_priv.h"
#include "virtual_access.h"

#define LOOK_MS 5000u
#define MEAN_MS 300000.0

/* One direction. */
struct way {
	uint64_t packets, bytes; /* at the last look */
	uint64_t seen_ms;	 /* look that found the last packet, 0 = none has */
	double packet_rate, byte_rate;
};
struct if_rate {
	struct way in, out;
};

struct if_rates {
	uint64_t instance; /* of the dataplane that counts */
	uint64_t looked_ms;
	struct if_rate of[CV_IF_MAX];
};

struct if_rates *if_rates_new(void)
{
	return calloc(1, sizeof(struct if_rates));
}

void if_rates_free(struct if_rates *r)
{
	free(r);
}

struct look {
	struct control *c;
	const struct cv_stats_segment *seg;
	uint64_t now, elapsed;
};

/* An exponential mean: what was carried since the last look counts by its part of the five minutes. */
static void look_way(const struct look *l, struct way *w, uint64_t packets, uint64_t bytes)
{
	const double part = (double)l->elapsed < MEAN_MS ? (double)l->elapsed / MEAN_MS : 1;

	if (packets < w->packets || bytes < w->bytes) /* the number is another interface's now */
		*w = (struct way){0};
	if (packets != w->packets)
		w->seen_ms = l->now;
	if (l->elapsed) {
		const double seconds = (double)l->elapsed / 1000;

		w->packet_rate += part * ((double)(packets - w->packets) / seconds - w->packet_rate);
		w->byte_rate += part * ((double)(bytes - w->bytes) / seconds - w->byte_rate);
	}
	w->packets = packets;
	w->bytes = bytes;
}

static void look_at(const struct look *l, const struct cfg_interface *i)
{
	struct if_rate *r = &l->c->if_rates->of[i->id % CV_IF_MAX];
	struct cv_if_counters n;

	sum_if_counters(l->seg, i->id, &n);
	look_way(l, &r->in, n.rx_packets, n.rx_bytes);
	look_way(l, &r->out, n.tx_packets, n.tx_bytes);
}

static void look_at_clone(void *arg, const struct virtual_access_info *i)
{
	look_at(arg, i->interface);
}

uint64_t if_rates_run(struct control *c)
{
	struct if_rates *r = c->if_rates;
	struct look l = {.c = c, .seg = dpclient_stats(c->dp), .now = host_now_ms(c)};

	if (!l.seg || !c->running)
		return UINT64_MAX;
	if (r->instance != l.seg->instance) {
		memset(r, 0, sizeof(*r));
		r->instance = l.seg->instance;
	} else if (l.now < r->looked_ms + LOOK_MS) {
		return r->looked_ms + LOOK_MS - l.now;
	}
	l.elapsed = r->looked_ms ? l.now - r->looked_ms : 0;
	r->looked_ms = l.now;
	for (unsigned i = 0; i < c->running->n_interface; i++)
		if (c->running->interface[i].id)
			look_at(&l, &c->running->interface[i]);
	virtual_access_each(c->virtual_access, look_at_clone, &l);
	return LOOK_MS;
}

/* kbps: what the way is worth, 0 = not said. */
static json_t *way_object(const struct way *w, uint64_t now, uint32_t kbps)
{
	const double bits = w->byte_rate * 8, load = kbps ? bits / (kbps * 1000.0) * 255 : 0;
	json_t *o = json_object();

	set_int(o, "bits_per_second", (uint64_t)(bits + 0.5));
	set_int(o, "packets_per_second", (uint64_t)(w->packet_rate + 0.5));
	if (w->seen_ms)
		set_int(o, "last_s", (now - w->seen_ms) / 1000);
	if (kbps) {
		set_int(o, "bandwidth_kbps", kbps);
		set_int(o, "load", load < 1 ? 1 : load > 255 ? 255 : (uint64_t)load);
	}
	return o;
}

void if_rates_show(struct control *c, const struct cfg_interface *i, json_t *o)
{
	const struct if_rate *r = &c->if_rates->of[i->id % CV_IF_MAX];
	const struct cfg_tunnel *t = i->tunnel;
	const uint64_t now = host_now_ms(c);

	json_object_set_new(o, "input", way_object(&r->in, now, t ? t->receive_kbps : 0));
	json_object_set_new(o, "output", way_object(&r->out, now, t ? t->transmit_kbps : 0));
}
