/* SPDX-License-Identifier: BSD-3-Clause */
/* show class-map, policy-map, policy-map interface. */
#include <stdio.h>
#include <string.h>

#include "dscp.h"
#include "config_priv.h"
#include "show_priv.h"
#include "virtual_access.h"

static void add_text(json_t *list, const char *kind, const char *value)
{
	char text[96];

	snprintf(text, sizeof(text), "%s%s%s", kind, *value ? " " : "", value);
	json_array_append_new(list, json_string(text));
}

static void add_dscp(json_t *list, uint64_t set, const char *kind)
{
	for (unsigned i = 0; i < 64; i++) {
		char number[8];
		const char *name = dscp_name(i);

		snprintf(number, sizeof(number), "%u", i);
		if (set >> i & 1)
			add_text(list, kind, name ? name : number);
	}
}

static json_t *class_map_object(const struct cfg_class_map *m)
{
	json_t *o = json_object(), *list;
	char number[8];

	set_str(o, "name", m->name);
	set_str(o, "description", m->description);
	set_str(o, "type", m->match_any ? "match-any" : "match-all");
	list = set_array(o, "match");
	if (m->every)
		add_text(list, "any", "");
	for (unsigned i = 0; i < m->n_acl; i++)
		add_text(list, "access-group", m->acl[i]);
	add_dscp(list, m->dscp, "dscp");
	for (unsigned i = 0; i < 8; i++)
		if (m->precedence >> 8 * i & 1) {
			snprintf(number, sizeof(number), "%u", i);
			add_text(list, "precedence", number);
		}
	for (unsigned i = 0; i < m->n_interface; i++)
		add_text(list, "input-interface", m->interface[i]);
	for (unsigned i = 0; i < m->n_protocol; i++)
		add_text(list, "protocol", m->protocol[i].name);
	return o;
}

void show_class_map(struct show *s)
{
	const struct cv_config *c = s->c->running;
	const char *only = arg_str(s, "name");
	json_t *list = set_array(s->out, "class_maps");

	for (unsigned i = 0; c && i < c->n_class_map; i++)
		if (!only || !strcmp(only, c->class_map[i].name))
			json_array_append_new(list, class_map_object(&c->class_map[i]));
	show_answer(s);
}

/* ---- classes ---- */

static const char *const colours[] = {"conform", "exceed", "violate"};

void set_dscp_value(json_t *o, const char *key, uint8_t dscp)
{
	const char *name = dscp_name(dscp);

	if (name)
		set_str(o, key, name);
	else
		set_int(o, key, dscp);
}

/* n: what was counted, NULL = nothing is. */
static json_t *colour_object(const struct cfg_police *p, unsigned i, const struct cv_qos_counters *n)
{
	static const char *const action[] = {"transmit", "drop", "set-dscp-transmit"};
	json_t *o = json_object();

	set_str(o, "action", action[p->action[i]]);
	if (p->action[i] == CFG_POLICE_SET_DSCP)
		set_dscp_value(o, "dscp", p->dscp[i]);
	if (n) {
		set_int(o, "packets", n->colour_packets[i]);
		set_int(o, "bytes", n->colour_bytes[i]);
	}
	return o;
}

static json_t *police_object(const struct cfg_police *p, const struct cv_qos_counters *n)
{
	json_t *o = json_object();
	unsigned n_colours = p->peak_rate || p->excess_burst ? 3 : 2;

	set_int(o, "rate", p->rate);
	set_int(o, "burst", p->burst);
	if (p->excess_burst)
		set_int(o, "excess_burst", p->excess_burst);
	if (p->peak_rate) {
		set_int(o, "peak_rate", p->peak_rate);
		set_int(o, "peak_burst", p->peak_burst);
	}
	for (unsigned i = 0; i < n_colours; i++)
		json_object_set_new(o, colours[i], colour_object(p, i, n));
	if (n)
		set_int(o, "drops", n->police_drops);
	return o;
}

/* Curves of the DSCPs that have names. */
static json_t *wred_object(const struct cfg_wred *w)
{
	json_t *o = json_object(), *list = set_array(o, "dscp");

	set_int(o, "exponential_weighting_constant", w->weight);
	set_flag(o, "ecn", w->ecn);
	for (unsigned i = 0; i < CV_DSCPS; i++) {
		json_t *c = dscp_name(i) ? json_object() : NULL;

		if (!c)
			continue;
		set_dscp_value(c, "dscp", (uint8_t)i);
		set_int(c, "min_threshold", w->curve[i].min);
		set_int(c, "max_threshold", w->curve[i].max);
		set_int(c, "mark_probability_denominator", w->curve[i].denominator);
		json_array_append_new(list, c);
	}
	return o;
}

static void set_queue(json_t *o, const struct cfg_policy_class *k)
{
	if (k->priority) {
		set_int(o, "priority", k->priority);
		set_int(o, "priority_burst", k->priority_burst);
	}
	if (k->bandwidth)
		set_int(o, "bandwidth", k->bandwidth);
	if (k->percent)
		set_int(o, "bandwidth_percent", k->percent);
	if (k->remaining)
		set_int(o, "bandwidth_remaining_percent", k->remaining);
	if (k->shape)
		set_int(o, "shape", k->shape);
	if (k->queue_limit)
		set_int(o, "queue_limit", k->queue_limit);
	if (k->wred.on)
		json_object_set_new(o, "random_detect", wred_object(&k->wred));
	set_flag(o, "fair_queue", k->fair_queue);
	if (k->fair_queues)
		set_int(o, "fair_queues", k->fair_queues);
}

static json_t *queue_object(const struct cv_qos_counters *n)
{
	json_t *o = json_object(), *delay;

	set_int(o, "sent_packets", n->sent_packets);
	set_int(o, "sent_bytes", n->sent_bytes);
	set_int(o, "depth", n->depth);
	set_int(o, "depth_max", n->depth_max);
	set_int(o, "queue_drops", n->queue_drops);
	set_int(o, "random_drops", n->random_drops);
	set_int(o, "ecn_marked", n->ecn_marked);
	set_int(o, "average", n->average);
	set_int(o, "priority_drops", n->priority_drops);
	delay = set_array(o, "delay");
	for (unsigned i = 0; i < CV_QOS_DELAYS; i++)
		json_array_append_new(delay, json_integer((json_int_t)n->delay[i]));
	return o;
}

static json_t *class_object(const struct cfg_policy_class *k, const struct cv_qos_counters *n, bool queues)
{
	json_t *o = json_object();

	set_str(o, "name", k->name);
	if (n) {
		json_t *map = k->map ? class_map_object(k->map) : NULL;

		set_str(o, "type", map ? json_string_value(json_object_get(map, "type")) : "match-any");
		json_object_set_new(
			o, "match", map ? json_incref(json_object_get(map, "match")) : json_pack("[s]", "any"));
		json_decref(map);
		set_int(o, "packets", n->packets);
		set_int(o, "bytes", n->bytes);
	}
	if (k->has_dscp)
		set_dscp_value(o, "set_dscp", k->dscp);
	if (n && (k->has_dscp || k->police.rate))
		set_int(o, "marked", n->marked);
	if (k->police.rate)
		json_object_set_new(o, "police", police_object(&k->police, n));
	set_queue(o, k);
	if (n && queues)
		json_object_set_new(o, "queue", queue_object(n));
	return o;
}

/* class-default is the first one inside, and the last one in the order in which classes are looked at. */
static void add_classes(json_t *o, const struct cfg_policy_map *p, const struct cv_qos_counters *n, bool queues)
{
	json_t *list = set_array(o, "classes");

	for (unsigned i = 1; i <= p->n_cls; i++) {
		unsigned k = i % p->n_cls;

		json_array_append_new(list, class_object(&p->cls[k], n ? &n[k] : NULL, queues));
	}
}

void show_policy_map(struct show *s)
{
	const struct cv_config *c = s->c->running;
	const char *only = arg_str(s, "name");
	json_t *list = set_array(s->out, "policy_maps");

	for (unsigned i = 0; c && i < c->n_policy_map; i++) {
		json_t *o = json_object();

		set_str(o, "name", c->policy_map[i].name);
		set_str(o, "description", c->policy_map[i].description);
		add_classes(o, &c->policy_map[i], NULL, false);
		if (!only || !strcmp(only, c->policy_map[i].name))
			json_array_append(list, o);
		json_decref(o);
	}
	show_answer(s);
}

/* ---- on interfaces ---- */

/* Every member of the structure is a 64-bit counter. */
void sum_qos(const struct cv_stats_segment *seg, uint32_t slot, struct cv_qos_counters out[static CV_QOS_CLASSES])
{
	const size_t n = CV_QOS_CLASSES * sizeof(*out) / sizeof(uint64_t);

	memset(out, 0, CV_QOS_CLASSES * sizeof(*out));
	for (unsigned w = 0; seg && w < CV_WRITERS && w <= seg->n_workers; w++)
		for (size_t i = 0; i < n; i++)
			((uint64_t *)out)[i] += ((const uint64_t *)seg->writer[w].qos[slot % CV_QOS_SLOTS])[i];
}

/* Since the operator set the counters to zero. How many wait is so now, and how many have waited at most is what a
 * worker remembers; a counter that began anew since then is below its base. */
static void since_clear(const struct control *c, uint32_t slot, struct cv_qos_counters n[static CV_QOS_CLASSES])
{
	const struct stats_base *base = show_base(c);

	for (unsigned k = 0; base && k < CV_QOS_CLASSES; k++) {
		const uint64_t depth = n[k].depth, depth_max = n[k].depth_max, average = n[k].average;
		uint64_t *value = (uint64_t *)&n[k];
		const uint64_t *from = (const uint64_t *)&base->qos[slot % CV_QOS_SLOTS][k];

		for (size_t i = 0; i < sizeof(n[k]) / sizeof(*value); i++)
			value[i] -= from[i] <= value[i] ? from[i] : 0;
		n[k].depth = depth;
		n[k].depth_max = depth_max;
		n[k].average = average;
	}
}

static void add_attachment(struct show *s, const struct cfg_interface *i, const struct cfg_policy_map *p, uint32_t slot,
	const char *direction)
{
	struct cv_qos_counters n[CV_QOS_CLASSES];
	json_t *o;

	if (!p)
		return;
	sum_qos(dpclient_stats(s->c->dp), slot, n);
	since_clear(s->c, slot, n);
	o = json_object();
	set_str(o, "interface", i->name);
	set_str(o, "direction", direction);
	set_str(o, "policy", p->name);
	if (i->output_rate && slot == i->policy_out_slot)
		set_int(o, "output_rate", i->output_rate);
	add_classes(o, p, n, slot == i->policy_out_slot && (p->queues || i->output_rate));
	json_array_append_new(s->list, o);
}

/* What is on a clone stands in the objects of the dataplane; the classes are those of the policy map as it is now. */
static uint32_t slot_on_clone(const struct control *c, const struct cfg_interface *i, enum cv_qos_dir dir)
{
	const struct cv_qos_attach *m = desired_policy_on(c->desired, i->id, dir);

	return m ? m->slot : 0;
}

/* Packets that wait, and how many may: those of all classes, at all workers, each of whom has queues of its own. */
void show_output_queue(const struct control *c, const struct cfg_interface *i, json_t *o)
{
	const struct cv_stats_segment *seg = dpclient_stats(c->dp);
	const struct cfg_policy_map *p = config_policy_map(c->running, i->policy_out);
	const uint32_t slot = i->policy_out_slot ? i->policy_out_slot : slot_on_clone(c, i, CV_QOS_OUTPUT);
	struct cv_qos_counters n[CV_QOS_CLASSES];
	uint64_t size = 0, max = 0;
	json_t *queue = json_object();

	sum_qos(seg, slot, n);
	for (unsigned k = 0; seg && p && slot && (p->queues || i->output_rate) && k < p->n_cls; k++) {
		size += n[k].depth;
		max += (p->cls[k].queue_limit ? p->cls[k].queue_limit : CFG_QUEUE_LIMIT) * (seg->n_workers + 1ul);
	}
	set_str(o, "queueing", i->policy_out ? i->policy_out : "fifo");
	set_int(queue, "size", size);
	set_int(queue, "max", max);
	json_object_set_new(o, "output_queue", queue);
}

struct wanted {
	struct show *s;
	const struct cfg_interface *only;
	bool input, output;
};

static void add_clone(void *arg, const struct virtual_access_info *i)
{
	const struct wanted *x = arg;
	const struct control *c = x->s->c;
	struct cfg_interface ifc = *i->interface;

	if (x->only && x->only != i->interface)
		return;
	ifc.policy_in_slot = slot_on_clone(c, &ifc, CV_QOS_INPUT);
	ifc.policy_out_slot = slot_on_clone(c, &ifc, CV_QOS_OUTPUT);
	if (x->input && ifc.policy_in_slot)
		add_attachment(x->s, &ifc, config_policy_map(c->running, ifc.policy_in), ifc.policy_in_slot, "input");
	if (x->output && ifc.policy_out_slot)
		add_attachment(
			x->s, &ifc, config_policy_map(c->running, ifc.policy_out), ifc.policy_out_slot, "output");
}

void show_policy_map_interface(struct show *s)
{
	const struct cv_config *c = s->c->running;
	const bool input = arg_flag(s, "input"), output = arg_flag(s, "output");
	struct wanted x = {.s = s, .input = input || !output, .output = output || !input};
	const struct cfg_interface *only;

	if (arg_interface(s, &only))
		return;
	x.only = only;
	s->list = set_array(s->out, "interfaces");
	for (unsigned i = 0; c && i < c->n_interface; i++) {
		const struct cfg_interface *ifc = &c->interface[i];

		if ((only && only != ifc) || ifc->type == CFG_IF_TEMPLATE)
			continue;
		if (x.input)
			add_attachment(s, ifc, ifc->policy_in_ref, ifc->policy_in_slot, "input");
		if (x.output)
			add_attachment(s, ifc, ifc->policy_out_ref, ifc->policy_out_slot, "output");
	}
	virtual_access_each(s->c->virtual_access, add_clone, &x);
	show_answer(s);
}

/* ---- the engine ---- */

static json_t *engine_queue(const struct cfg_policy_class *k, const struct cv_qos_counters *n)
{
	json_t *o = queue_object(n);

	set_str(o, "class", k->name);
	set_str(o, "queue", k->priority ? "priority" : "best effort");
	set_queue(o, k);
	set_int(o, "offered_packets", n->packets);
	set_int(o, "offered_bytes", n->bytes);
	return o;
}

/* The worker is the engine (LLQ-4): its queues, of each interface. */
static void add_worker(struct show *s, const struct cv_stats_segment *seg, unsigned w, const struct cfg_interface *i,
	const struct cfg_policy_map *p, uint32_t slot)
{
	const struct cv_qos_counters *n = seg->writer[w].qos[slot % CV_QOS_SLOTS];
	json_t *o = json_object(), *list;

	set_str(o, "engine", s->c->info.provider);
	set_int(o, "worker", w);
	set_str(o, "interface", i->name);
	set_str(o, "policy", p->name);
	list = set_array(o, "queues");
	for (unsigned k = 1; k <= p->n_cls; k++)
		json_array_append_new(list, engine_queue(&p->cls[k % p->n_cls], &n[k % p->n_cls]));
	json_array_append_new(s->list, o);
}

static void add_workers(struct show *s, const struct cfg_interface *i, const struct cfg_policy_map *p, uint32_t slot)
{
	const struct cv_stats_segment *seg = dpclient_stats(s->c->dp);

	if (!p || !slot || !(p->queues || i->output_rate))
		return;
	for (unsigned w = 1; seg && w <= seg->n_workers && w < CV_WRITERS; w++)
		add_worker(s, seg, w, i, p, slot);
}

static void add_clone_workers(void *arg, const struct virtual_access_info *i)
{
	struct show *s = arg;

	add_workers(s, i->interface, config_policy_map(s->c->running, i->interface->policy_out),
		slot_on_clone(s->c, i->interface, CV_QOS_OUTPUT));
}

void show_engine_qos(struct show *s)
{
	const struct cv_config *c = s->c->running;

	s->list = set_array(s->out, "engines");
	for (unsigned i = 0; c && i < c->n_interface; i++)
		add_workers(s, &c->interface[i], c->interface[i].policy_out_ref, c->interface[i].policy_out_slot);
	virtual_access_each(s->c->virtual_access, add_clone_workers, s);
	show_answer(s);
}
