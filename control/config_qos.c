/* SPDX-License-Identifier: BSD-3-Clause */
/* Class maps and policy maps: defaults, and what YANG cannot say. */
#include <string.h>

#include "config_priv.h"
#include "cv_msg.h"

#define BURST_MIN 1500u
#define CLASSES_MAX (CV_QOS_CLASSES - 1)

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
	for (unsigned i = 0; !r && i < p->n_cls; i++)
		r = check_police(k, p, &p->cls[i]);
	return r;
}

static int check_interface(struct config_check *k, const struct cfg_interface *i, unsigned *n)
{
	*n += (i->policy_in != NULL) + (i->policy_out != NULL);
	if ((i->policy_in || i->policy_out) && (i->type == CFG_IF_LOOPBACK || i->type == CFG_IF_TEMPLATE))
		return check_fail(k,
			PATH_IF
			"/culvert-qos:service-policy: not on a loopback or a virtual template (whose clones would "
			"not have it); an Ethernet, VLAN or tunnel interface",
			i->name);
	if (*n >= CV_QOS_SLOTS)
		return check_fail(k, PATH_IF "/culvert-qos:service-policy: one too many; at most %u in all", i->name,
			CV_QOS_SLOTS - 1);
	return 0;
}

int config_check_qos(struct config_check *k)
{
	struct cv_config *c = k->c;
	unsigned n = 0;
	int r = 0;

	for (unsigned i = 0; !r && i < c->n_class_map; i++)
		r = check_class_map(k, &c->class_map[i]);
	for (unsigned i = 0; !r && i < c->n_policy_map; i++)
		r = check_policy_map(k, &c->policy_map[i]);
	for (unsigned i = 0; !r && i < c->n_interface; i++)
		r = check_interface(k, &c->interface[i], &n);
	return r;
}
