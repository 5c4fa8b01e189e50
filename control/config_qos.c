/* SPDX-License-Identifier: BSD-3-Clause */
/* Class maps and policy maps: defaults, and what YANG cannot say. */
#include <string.h>

#include "config_priv.h"
#include "cv_msg.h"

#define BURST_MIN 1500u
#define CLASSES_MAX (CV_QOS_CLASSES - 1)

const struct cfg_policy_map *config_policy_map(const struct cv_config *c, const char *name)
{
	for (unsigned i = 0; name && c && i < c->n_policy_map; i++)
		if (!strcmp(c->policy_map[i].name, name))
			return &c->policy_map[i];
	return NULL;
}

static int check_class_map(struct config_check *k, const struct cfg_class_map *m)
{
	if (!m->every && !m->n_acl && !m->dscp && !m->precedence && !m->n_interface && !m->n_protocol)
		return check_fail(k,
			PATH_CLASS_MAP
			": matches nothing; any, access-group, dscp, precedence, input-interface or protocol",
			m->name);
	for (unsigned i = 0; i < m->n_interface; i++)
		if (m->interface_ref[i]->type == CFG_IF_TEMPLATE)
			return check_fail(k,
				PATH_CLASS_MAP
				"/input-interface: '%s' is a virtual template, nothing comes in by it; an "
				"Ethernet, VLAN or tunnel interface",
				m->name, m->interface[i]);
	return 0;
}

/* What a rate gives in a quarter of a second. */
static uint32_t default_burst(uint64_t bps)
{
	uint64_t bytes = bps / 32;

	return bytes < BURST_MIN ? BURST_MIN : bytes > CV_QOS_BURST_MAX ? CV_QOS_BURST_MAX : (uint32_t)bytes;
}

static int check_police(struct config_check *k, const struct cfg_policy_map *p, struct cfg_policy_class *c)
{
	struct cfg_police *po = &c->police;

	if (!po->rate)
		return 0;
	if (po->peak_rate && po->peak_rate < po->rate)
		return check_fail(k, PATH_CLASS "/police/peak-rate: %llu is less than the rate; %llu or more", p->name,
			c->name, (unsigned long long)po->peak_rate, (unsigned long long)po->rate);
	if (!po->burst)
		po->burst = default_burst(po->rate);
	if (po->peak_rate && !po->peak_burst)
		po->peak_burst = default_burst(po->peak_rate);
	return 0;
}

static bool has_queue(const struct cfg_policy_class *c)
{
	return c->priority || c->bandwidth || c->percent || c->remaining || c->shape || c->queue_limit ||
	       c->fair_queue || c->wred.on;
}

#define WRED_WEIGHT 9u
#define WRED_DENOMINATOR 10u

/* Lower threshold of a DSCP, in twentieths of the upper one: what has a higher drop precedence goes first (RFC 2597).
 */
static uint32_t twentieths(unsigned dscp)
{
	const unsigned class = dscp >> 3, precedence = dscp >> 1 & 3;

	if (dscp == 46) /* EF */
		return 18;
	if (!(dscp & 7))
		return 10 + class;
	if (!(dscp & 1) && class >= 1 && class <= 4 && precedence)
		return 18 - 2 * precedence;
	return 10;
}

static void default_curves(struct cfg_policy_class *c)
{
	const uint32_t limit = c->queue_limit ? c->queue_limit : CFG_QUEUE_LIMIT, max = limit < 4 ? 2 : limit / 2;

	c->wred.weight = c->wred.weight ? c->wred.weight : WRED_WEIGHT;
	for (unsigned i = 0; i < CV_DSCPS; i++)
		if (!c->wred.curve[i].max)
			c->wred.curve[i] = (struct cv_wred_curve){
				.min = max * twentieths(i) / 20, .max = max, .denominator = WRED_DENOMINATOR};
}

/* LLQ-6, LLQ-8. */
static int check_queue(struct config_check *k, struct cfg_policy_map *p, struct cfg_policy_class *c)
{
	if (c->fair_queue && c->map)
		return check_fail(
			k, PATH_CLASS "/fair-queue: only in class " CFG_CLASS_DEFAULT " (LLQ-6)", p->name, c->name);
	if (c->priority && !c->map)
		return check_fail(k, PATH_CLASS "/priority: not in class " CFG_CLASS_DEFAULT "; name a class map",
			p->name, c->name);
	if (c->priority && (c->bandwidth || c->percent || c->remaining || c->shape))
		return check_fail(k,
			PATH_CLASS "/priority: a priority class has no bandwidth and no shape; its rate is its share",
			p->name, c->name);
	if (c->priority && c->wred.on)
		return check_fail(k,
			PATH_CLASS "/random-detect: not in a priority class: its packets are not to be dropped while "
				   "they keep to their rate",
			p->name, c->name);
	for (unsigned i = 0; c->wred.on && i < CV_DSCPS; i++)
		if (c->wred.curve[i].max && c->wred.curve[i].min >= c->wred.curve[i].max)
			return check_fail(k,
				PATH_CLASS "/random-detect/dscp: min-threshold %u is not below max-threshold %u",
				p->name, c->name, c->wred.curve[i].min, c->wred.curve[i].max);
	if (c->wred.on)
		default_curves(c);
	if (c->priority && !c->priority_burst)
		c->priority_burst = default_burst(c->priority * UINT64_C(1000));
	p->queues |= has_queue(c);
	return 0;
}

/* One unit in all classes (LLQ-8), and no more than there is. */
static int check_shares(struct config_check *k, const struct cfg_policy_map *p)
{
	uint64_t kbps = 0, percent = 0, remaining = 0;

	for (unsigned i = 0; i < p->n_cls; i++) {
		kbps += p->cls[i].bandwidth;
		percent += p->cls[i].percent;
		remaining += p->cls[i].remaining;
	}
	if ((kbps != 0) + (percent != 0) + (remaining != 0) > 1)
		return check_fail(k,
			PATH_POLICY_MAP "/class: bandwidth in several units; all classes have bandwidth, all have "
					"bandwidth-percent, or all have bandwidth-remaining-percent (LLQ-8)",
			p->name);
	if (percent > 100 || remaining > 100)
		return check_fail(k, PATH_POLICY_MAP "/class: %llu per cent in all; at most 100", p->name,
			(unsigned long long)(percent + remaining));
	return 0;
}

/* kbit/s that the classes of a policy are promised. */
static uint64_t promised(const struct cfg_policy_map *p)
{
	uint64_t kbps = 0;

	for (unsigned i = 0; i < p->n_cls; i++)
		kbps += (uint64_t)p->cls[i].priority + p->cls[i].bandwidth;
	return kbps;
}

/* class-default is number 0 in the dataplane, wherever it is written, and exists without being written (LLQ-10). */
static void default_first(struct cv_config *c, struct cfg_policy_map *p)
{
	struct cfg_policy_class *cls = config_alloc(c, p->n_cls + 1, sizeof(*cls));
	unsigned n = 1;

	cls[0].name = CFG_CLASS_DEFAULT;
	for (unsigned i = 0; i < p->n_cls; i++)
		cls[p->cls[i].map ? n++ : 0] = p->cls[i];
	p->cls = cls;
	p->n_cls = n;
}

static int check_policy_map(struct config_check *k, struct cfg_policy_map *p)
{
	int r = 0;

	default_first(k->c, p);
	if (p->n_cls > CV_QOS_CLASSES)
		return check_fail(k, PATH_POLICY_MAP "/class: %u classes; at most %u beside class-default (LLQ-7)",
			p->name, p->n_cls - 1, CLASSES_MAX);
	for (unsigned i = 0; !r && i < p->n_cls; i++) {
		r = check_police(k, p, &p->cls[i]);
		if (!r)
			r = check_queue(k, p, &p->cls[i]);
	}
	return r ? r : check_shares(k, p);
}

static int check_interface(struct config_check *k, const struct cfg_interface *i, unsigned *n)
{
	if (i->type != CFG_IF_TEMPLATE) /* its clones take what is left */
		*n += (i->policy_in != NULL) + (i->policy_out != NULL);
	if ((i->policy_in || i->policy_out) && i->type == CFG_IF_LOOPBACK)
		return check_fail(k,
			PATH_IF "/culvert-qos:service-policy: not on a loopback; an Ethernet, VLAN or tunnel "
				"interface, or a virtual template",
			i->name);
	if (i->policy_in_ref && i->policy_in_ref->queues)
		return check_fail(k,
			PATH_IF "/culvert-qos:service-policy/input: '%s' has queues (priority, bandwidth, shape, "
				"queue-limit, fair-queue); for what comes in police and set-dscp",
			i->name, i->policy_in);
	if (i->output_rate && !i->policy_out)
		return check_fail(
			k, PATH_IF "/culvert-qos:service-policy/output-rate: needs an output policy", i->name);
	if (i->output_rate && i->policy_out_ref && promised(i->policy_out_ref) > i->output_rate)
		return check_fail(k,
			PATH_IF "/culvert-qos:service-policy/output: '%s' promises %llu kbit/s; the output-rate is %u "
				"(LLQ-9)",
			i->name, i->policy_out, (unsigned long long)promised(i->policy_out_ref), i->output_rate);
	if (*n >= CV_QOS_SLOTS)
		return check_fail(k, PATH_IF "/culvert-qos:service-policy: one too many; at most %u in all", i->name,
			CV_QOS_SLOTS - 1);
	return 0;
}

int config_check_qos(struct config_check *k)
{
	struct cv_config *c = k->c;
	uint64_t all = 0;
	unsigned n = 0;
	int r = 0;

	for (unsigned i = 0; !r && i < c->n_class_map; i++)
		r = check_class_map(k, &c->class_map[i]);
	for (unsigned i = 0; !r && i < c->n_policy_map; i++)
		r = check_policy_map(k, &c->policy_map[i]);
	for (unsigned i = 0; !r && i < c->n_interface; i++)
		r = check_interface(k, &c->interface[i], &n);
	for (unsigned i = 0; i < c->n_interface; i++)
		all += c->interface[i].policy_out_ref ? promised(c->interface[i].policy_out_ref) : 0;
	if (!r && c->engine_rate && all > c->engine_rate)
		check_warn(k,
			"/culvert-qos:qos/engine-rate: output policies promise %llu kbit/s, encryption does %u "
			"(LLQ-12)",
			(unsigned long long)all, c->engine_rate);
	return r;
}
