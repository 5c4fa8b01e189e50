/* SPDX-License-Identifier: BSD-3-Clause */
/* show workers, show workers profile, and switching the profile. */
#include <string.h>

#include "show_priv.h"

static void set_ratio(json_t *o, const char *name, double part, double whole)
{
	if (whole > 0)
		json_object_set_new(o, name, json_real(part / whole));
}

/* ---- workers ---- */

static json_t *worker_new(unsigned slot)
{
	json_t *o = json_object();

	set_int(o, "worker", slot ? slot - 1 : 0);
	set_str(o, "role", slot ? "worker" : "main");
	return o;
}

static json_t *worker_object(const struct cv_stats_segment *seg, unsigned slot)
{
	const struct cv_writer_block *w = &seg->writer[slot];
	json_t *o = worker_new(slot);

	set_int(o, "loops", w->loops);
	set_int(o, "idle_loops", w->idle_loops);
	set_ratio(o, "busy_percent", 100.0 * (double)w->busy_cycles, (double)(w->busy_cycles + w->idle_cycles));
	set_int(o, "rx_packets", w->rx_packets);
	set_int(o, "tx_packets", w->tx_packets);
	set_ratio(o, "packets_per_round", (double)w->rx_packets, (double)(w->loops - w->idle_loops));
	return o;
}

/* The interface whose port has this number: ports belong to ethernet interfaces. */
static const char *port_interface(const struct control *c, uint32_t port_id)
{
	unsigned n;
	const struct dp_obj *o = desired_of_kind(c->desired, OBJ_PORT, &n);

	for (unsigned i = 0; i < n; i++) {
		const struct cv_port *p = o[i].body;

		if (p->port_id == port_id)
			return p->name;
	}
	return NULL;
}

static void on_worker(void *arg, const void *entry, size_t size)
{
	struct show *s = arg;
	struct cv_worker_entry e;
	json_t *o, *queues;

	if (size < sizeof(e))
		return;
	memcpy(&e, entry, sizeof(e));
	o = json_array_get(s->list, e.worker + 1); /* slot 0 is main */
	if (!o)
		return;
	set_int(o, "lcore", e.lcore);
	queues = set_array(o, "queues");
	for (unsigned i = 0; i < e.n_rxq && i < sizeof(e.rxq) / sizeof(e.rxq[0]); i++) {
		json_t *q = json_object();

		set_str(q, "interface", port_interface(s->c, e.rxq[i].port_id));
		set_int(q, "queue", e.rxq[i].queue);
		json_array_append_new(queues, q);
	}
}

static const char *profile_state(const struct cv_stats_segment *seg)
{
	return !seg->profile_number ? "never begun" : seg->profile_end ? "ended" : "running";
}

void show_workers(struct show *s)
{
	const struct cv_stats_segment *seg = dpclient_stats(s->c->dp);

	if (seg)
		set_str(s->out, "profile", profile_state(seg));
	s->list = set_array(s->out, "workers");
	for (unsigned w = 0; seg && w < CV_WRITERS && w <= seg->n_workers; w++)
		json_array_append_new(s->list, worker_object(seg, w));
	show_dump(s, CV_DUMP_WORKER, 0, on_worker);
}

/* ---- the profile ---- */

static json_t *stage_object(
	const struct cv_stats_segment *seg, unsigned i, const struct cv_stage_counters *st, uint64_t all)
{
	json_t *o = json_object();

	set_str(o, "stage", seg->stage_name[i]);
	set_int(o, "calls", st->calls);
	set_int(o, "packets", st->packets);
	set_ratio(o, "packets_per_vector", (double)st->packets, (double)st->calls);
	set_ratio(o, "cycles_per_packet", (double)st->cycles, (double)st->packets);
	set_ratio(o, "share_percent", 100.0 * (double)st->cycles, (double)all);
	return o;
}

/* Main counts no cycles of its loop, since it does more than stages: all is what its stages took. */
static json_t *profile_object(const struct cv_stats_segment *seg, unsigned slot)
{
	const struct cv_profile *p = &seg->writer[slot].profile;
	json_t *o = worker_new(slot), *list = set_array(o, "stages");
	uint64_t in_stages = 0, all;

	for (unsigned i = 0; i < seg->n_stages && i < CV_STAGE_MAX; i++)
		in_stages += p->stage[i].cycles;
	all = p->busy_cycles > in_stages ? p->busy_cycles : in_stages;
	for (unsigned i = 0; i < seg->n_stages && i < CV_STAGE_MAX; i++)
		if (p->stage[i].calls)
			json_array_append_new(list, stage_object(seg, i, &p->stage[i], all));
	set_ratio(o, "other_percent", 100.0 * (double)(all - in_stages), (double)all);
	set_ratio(o, "busy_percent", 100.0 * (double)p->busy_cycles, (double)(p->busy_cycles + p->idle_cycles));
	set_int(o, "packets", p->packets);
	set_ratio(o, "packets_per_round", (double)p->packets, (double)p->rounds);
	set_ratio(o, "cycles_per_packet", (double)p->busy_cycles, (double)p->packets);
	return o;
}

/* Milliseconds; of a running one by the heartbeat, which counts seconds. */
static uint64_t profile_ms(const struct cv_stats_segment *seg)
{
	uint64_t upto = seg->profile_end ? seg->profile_end : seg->heartbeat * 1000;

	return upto > seg->profile_begin ? upto - seg->profile_begin : 0;
}

void show_workers_profile(struct show *s)
{
	const struct cv_stats_segment *seg = dpclient_stats(s->c->dp);

	s->list = set_array(s->out, "workers");
	if (!seg) {
		set_str(s->out, "dataplane", "down");
		show_answer(s);
		return;
	}
	set_str(s->out, "profile", profile_state(seg));
	set_int(s->out, "tsc_hz", seg->tsc_hz);
	if (seg->profile_number)
		set_ratio(s->out, "seconds", (double)profile_ms(seg), 1000);
	for (unsigned w = 0; seg->profile_number && w < CV_WRITERS && w <= seg->n_workers; w++)
		if (seg->writer[w].profile.number == seg->profile_number) /* a worker that sleeps has an older one */
			json_array_append_new(s->list, profile_object(seg, w));
	show_answer(s);
}

void do_profile(struct show *s)
{
	bool start = arg_flag(s, "start"), stop = arg_flag(s, "stop");
	struct cv_cmd_profile cmd = {.on = start};

	if (start == stop)
		show_error(s, "profile needs start or stop");
	else if (dpclient_command(s->c->dp, CV_CMD_PROFILE, &cmd, sizeof(cmd), show_plain_reply, s))
		show_error(s, "the dataplane is not there");
}
