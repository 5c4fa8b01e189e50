/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Policy maps as the dataplane has them: a class map becomes groups of lines, of which the first that matches decides;
 * a line that denies sends the packet on to the next group. match-any is a group for each of its parts. match-all is
 * one group: the product of its parts, each pair of lines becoming the line where both match, in the order of the first
 * and then of the second list; where one of the two denies, so does the product.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config_priv.h"
#include "cv_addr.h"
#include "cv_array.h"
#include "desired_priv.h"

#define LINES_MAX 65536u /* of one class */

struct line {
	bool deny;
	uint32_t if_id;
	uint64_t dscp; /* 0 = any */
	struct cv_selector sel;
};
struct lines {
	struct line *v;
	unsigned n, cap;
};

static struct line *line_add(struct lines *l)
{
	l->v = cv_array_need(l->v, l->n, &l->cap, sizeof(*l->v));
	return memset(&l->v[l->n++], 0, sizeof(*l->v));
}

static struct line *line_any(struct lines *l, uint8_t af)
{
	struct line *a = line_add(l);

	cv_selector_any(&a->sel, af);
	return a;
}

/* ---- parts of a class map ---- */

static void part_acl(struct lines *to, const struct cfg_acl *acl)
{
	for (unsigned i = 0; i < acl->n_line; i++) {
		struct line *a = line_add(to);

		a->deny = !acl->line[i].permit;
		a->dscp = acl->line[i].dscp;
		a->sel = acl->line[i].sel;
	}
}

static void part_dscp(struct lines *to, uint64_t dscp)
{
	line_any(to, CV_AF_INET)->dscp = dscp;
	line_any(to, CV_AF_INET6)->dscp = dscp;
}

static void part_interfaces(struct lines *to, const struct cfg_class_map *m)
{
	for (unsigned i = 0; i < m->n_interface; i++) {
		line_any(to, CV_AF_INET)->if_id = m->interface_ref[i]->id;
		line_any(to, CV_AF_INET6)->if_id = m->interface_ref[i]->id;
	}
}

static void part_protocols(struct lines *to, const struct cfg_class_map *m)
{
	for (unsigned i = 0; i < m->n_protocol; i++) {
		if (m->protocol[i].ip4)
			line_any(to, CV_AF_INET)->sel.proto = m->protocol[i].proto4;
		if (m->protocol[i].ip6)
			line_any(to, CV_AF_INET6)->sel.proto = m->protocol[i].proto6;
	}
}

/* The parts one after another; false when there is no part i. */
static bool part(struct lines *to, const struct cfg_class_map *m, unsigned i)
{
	unsigned kind = i < m->n_acl ? 0 : i - m->n_acl + 1;

	to->n = 0;
	switch (kind) {
	case 0:
		part_acl(to, m->acl_ref[i]);
		return true;
	case 1:
		if (m->dscp)
			part_dscp(to, m->dscp);
		return true;
	case 2:
		if (m->precedence)
			part_dscp(to, m->precedence);
		return true;
	case 3:
		part_interfaces(to, m);
		return true;
	case 4:
		part_protocols(to, m);
		return true;
	case 5:
		if (m->every)
			part_dscp(to, 0);
		return true;
	default:
		return false;
	}
}

static bool part_is_given(const struct cfg_class_map *m, unsigned i, const struct lines *l)
{
	return l->n || i < m->n_acl; /* an access list without lines takes nothing */
}

/* ---- products ---- */

static void higher(struct cv_addr *a, const struct cv_addr *b)
{
	if (memcmp(a->b, b->b, sizeof(a->b)) < 0)
		*a = *b;
}

static void lower(struct cv_addr *a, const struct cv_addr *b)
{
	if (memcmp(a->b, b->b, sizeof(a->b)) > 0)
		*a = *b;
}

static bool range_and(struct cv_range *a, const struct cv_range *b)
{
	if (a->lo.af != b->lo.af)
		return false;
	higher(&a->lo, &b->lo);
	lower(&a->hi, &b->hi);
	return memcmp(a->lo.b, a->hi.b, sizeof(a->lo.b)) <= 0;
}

static bool ports_and(uint16_t *lo, uint16_t *hi, uint16_t other_lo, uint16_t other_hi)
{
	*lo = *lo > other_lo ? *lo : other_lo;
	*hi = *hi < other_hi ? *hi : other_hi;
	return *lo <= *hi;
}

/* What both match, in *a; false when that is nothing. */
static bool line_and(struct line *a, const struct line *b)
{
	struct cv_selector *s = &a->sel;
	const struct cv_selector *t = &b->sel;

	a->deny |= b->deny;
	if (a->if_id && b->if_id && a->if_id != b->if_id)
		return false;
	a->if_id |= b->if_id;
	if (a->dscp && b->dscp && !(a->dscp & b->dscp))
		return false;
	a->dscp = a->dscp && b->dscp ? a->dscp & b->dscp : a->dscp | b->dscp;
	if (s->proto && t->proto && s->proto != t->proto)
		return false;
	s->proto |= t->proto;
	return range_and(&s->src, &t->src) && range_and(&s->dst, &t->dst) &&
	       ports_and(&s->sport_lo, &s->sport_hi, t->sport_lo, t->sport_hi) &&
	       ports_and(&s->dport_lo, &s->dport_hi, t->dport_lo, t->dport_hi);
}

/* False when it is too much. */
static bool product(struct lines *out, const struct lines *a, const struct lines *b)
{
	out->n = 0;
	for (unsigned i = 0; i < a->n; i++)
		for (unsigned j = 0; j < b->n; j++) {
			struct line l = a->v[i];

			if (!line_and(&l, &b->v[j]))
				continue;
			if (out->n == LINES_MAX)
				return false;
			*line_add(out) = l;
		}
	return true;
}

/* ---- objects ---- */

struct place {
	uint32_t policy_id, class_no;
	uint32_t group, rule_no; /* the next ones */
};

static void put_group(struct build *b, struct place *at, const struct lines *l)
{
	for (unsigned i = 0; i < l->n; i++) {
		struct cv_qos_rule *m = desired_add(b, OBJ_QOS_RULE, sizeof(*m));

		m->policy_id = at->policy_id;
		m->rule_no = at->rule_no++;
		m->group = at->group;
		m->line = i;
		m->class_no = at->class_no;
		m->flags = l->v[i].deny ? CV_RULE_SKIP_ENTRY : 0;
		m->if_id = l->v[i].if_id;
		m->dscp = l->v[i].dscp;
		m->sel = l->v[i].sel;
	}
	at->group++;
}

static int put_class_map(struct build *b, struct place *at, const struct cfg_class_map *m)
{
	struct lines all = {0}, one = {0}, both = {0};
	bool fits = true;

	part_dscp(&all, 0);
	for (unsigned i = 0; fits && part(&one, m, i); i++) {
		if (!part_is_given(m, i, &one))
			continue;
		if (m->match_any) {
			put_group(b, at, &one);
			continue;
		}
		struct lines spare = all;

		fits = product(&both, &all, &one);
		all = both;
		both = spare;
	}
	if (fits && !m->match_any)
		put_group(b, at, &all);
	free(all.v);
	free(one.v);
	free(both.v);
	return fits ? 0 : desired_fail(b, "its access lists together make more than 65,536 lines");
}

static uint8_t police_action(enum cfg_police_action a)
{
	return a == CFG_POLICE_TRANSMIT ? CV_POLICE_TRANSMIT
	       : a == CFG_POLICE_DROP	? CV_POLICE_DROP
					: CV_POLICE_SET_DSCP;
}

static void put_police(struct cv_police *m, const struct cfg_police *p)
{
	if (!p->rate)
		return;
	m->mode = p->peak_rate ? CV_POLICE_TWO_RATE : p->excess_burst ? CV_POLICE_SINGLE_RATE : CV_POLICE_TWO_COLOURS;
	m->cir = p->rate;
	m->pir = p->peak_rate;
	m->burst = p->burst;
	m->excess_burst = p->peak_rate ? p->peak_burst : p->excess_burst;
	for (unsigned i = 0; i < CV_COLOURS; i++) {
		m->action[i] = police_action(p->action[i]);
		m->dscp[i] = p->dscp[i];
	}
}

/* What classes without a bandwidth of their own get: what percentages leave, or as much as all others together. */
static uint32_t default_weight(const struct cfg_policy_map *p)
{
	uint64_t kbps = 0, percent = 0;

	for (unsigned i = 0; i < p->n_cls; i++) {
		kbps += p->cls[i].bandwidth;
		percent += p->cls[i].percent + p->cls[i].remaining;
	}
	if (percent)
		return percent < 100 ? (uint32_t)(100 - percent) : 1;
	return kbps == 0 ? 1 : kbps > UINT32_MAX ? UINT32_MAX : (uint32_t)kbps;
}

/* LLQ-11: from the rate of the slowest interface that the policy is on. */
static uint32_t fair_queues(const struct cv_config *c, const struct cfg_policy_map *p)
{
	static const struct {
		uint32_t kbps, queues;
	} steps[] = {{64, 16}, {128, 32}, {256, 64}, {512, 128}};
	uint32_t slowest = UINT32_MAX;

	for (unsigned i = 0; i < c->n_interface; i++)
		if (c->interface[i].policy_out_ref == p && c->interface[i].output_rate &&
			c->interface[i].output_rate < slowest)
			slowest = c->interface[i].output_rate;
	for (unsigned i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
		if (slowest <= steps[i].kbps)
			return steps[i].queues;
	return 256;
}

#define SHAPE_BURST_MIN 3000u

static void put_queue(struct cv_qos_class *m, const struct cv_config *c, const struct cfg_policy_map *p,
	const struct cfg_policy_class *k)
{
	const uint64_t burst = k->shape * UINT64_C(1000) / 800; /* 10 ms */

	m->weight = k->bandwidth + k->percent + k->remaining;
	if (!m->weight)
		m->weight = default_weight(p);
	m->priority = k->priority * UINT64_C(1000);
	m->priority_burst = k->priority_burst;
	m->shape = k->shape * UINT64_C(1000);
	m->shape_burst = burst < SHAPE_BURST_MIN    ? SHAPE_BURST_MIN
			 : burst > CV_QOS_BURST_MAX ? CV_QOS_BURST_MAX
						    : (uint32_t)burst;
	m->queue_limit = k->queue_limit ? k->queue_limit : CFG_QUEUE_LIMIT;
	if (k->wred.on) {
		m->wred.weight = k->wred.weight;
		m->wred.ecn = k->wred.ecn;
		memcpy(m->wred.curve, k->wred.curve, sizeof(m->wred.curve));
	}
	m->fair_queues = !k->fair_queue ? 1 : k->fair_queues ? k->fair_queues : fair_queues(c, p);
}

static int put_policy(struct build *b, struct cfg_policy_map *p)
{
	struct place at = {0};
	int r;

	desired_path(b, PATH_POLICY_MAP, p->name);
	r = desired_number(b, ID_QOS_POLICY, p->name, &p->id);
	at.policy_id = p->id;
	for (; !r && at.class_no < p->n_cls; at.class_no++) {
		const struct cfg_policy_class *k = &p->cls[at.class_no];
		struct cv_qos_class *m;

		desired_path(b, PATH_CLASS, p->name, k->name);
		m = desired_add(b, OBJ_QOS_CLASS, sizeof(*m));
		m->policy_id = p->id;
		m->class_no = at.class_no;
		m->set_dscp = k->has_dscp ? k->dscp : CV_QOS_DSCP_KEEP;
		put_police(&m->police, &k->police);
		put_queue(m, b->cfg, p, k);
		if (k->map)
			r = put_class_map(b, &at, k->map);
	}
	return r;
}

/* Counters go on as long as the classes are the same ones: their names are part of the slot's key. */
static uint64_t hash_classes(const struct cfg_policy_map *p)
{
	uint64_t h = UINT64_C(14695981039346656037); /* FNV-1a */

	for (unsigned i = 0; i < p->n_cls; i++)
		for (size_t j = 0; j <= strlen(p->cls[i].name); j++)
			h = (h ^ (uint8_t)p->cls[i].name[j]) * UINT64_C(1099511628211);
	return h;
}

bool desired_policy(struct cv_qos_attach *m, struct ids *ids, const struct cfg_interface *i,
	const struct cfg_policy_map *p, enum cv_qos_dir dir, char key[static DESIRED_SLOT_KEY_MAX])
{
	*m = (struct cv_qos_attach){.if_id = i->id, .policy_id = p->id, .dir = (uint16_t)dir};
	snprintf(key, DESIRED_SLOT_KEY_MAX, "%u|%u|%.128s|%016llx", i->id, dir, p->name,
		(unsigned long long)hash_classes(p));
	if (dir == CV_QOS_OUTPUT && (p->queues || i->output_rate))
		m->flags = CV_QOS_F_QUEUES;
	if (dir == CV_QOS_OUTPUT)
		m->rate = i->output_rate * UINT64_C(1000);
	return !ids_get(ids, ID_QOS_SLOT, key, &m->slot);
}

const struct cv_qos_attach *desired_policy_on(const struct desired *d, uint32_t if_id, enum cv_qos_dir dir)
{
	unsigned n;
	const struct dp_obj *o = desired_of_kind(d, OBJ_QOS_ATTACH, &n);

	for (unsigned i = 0; i < n; i++) {
		const struct cv_qos_attach *m = o[i].body;

		if (m->if_id == if_id && m->dir == dir)
			return m;
	}
	return NULL;
}

static int put_attachment(struct build *b, const struct cfg_interface *i, const struct cfg_policy_map *p,
	enum cv_qos_dir dir, uint32_t *slot)
{
	char key[DESIRED_SLOT_KEY_MAX];
	struct cv_qos_attach m;

	if (!p || i->type == CFG_IF_TEMPLATE)
		return 0;
	desired_path(b, PATH_IF "/culvert-qos:service-policy/%s", i->name, dir == CV_QOS_INPUT ? "input" : "output");
	if (!desired_policy(&m, b->ids, i, p, dir, key))
		return desired_fail(b, "no number is free for one more");
	*slot = m.slot;
	memcpy(desired_add(b, OBJ_QOS_ATTACH, sizeof(m)), &m, sizeof(m));
	return 0;
}

static bool in_use(const struct cv_config *c, const struct cfg_policy_map *p)
{
	for (unsigned i = 0; i < c->n_interface; i++)
		if (c->interface[i].policy_in_ref == p || c->interface[i].policy_out_ref == p)
			return true;
	return false;
}

int desired_qos(struct build *b)
{
	struct cv_config *c = b->cfg;
	int r = 0;

	for (unsigned i = 0; !r && i < c->n_policy_map; i++)
		if (in_use(c, &c->policy_map[i]))
			r = put_policy(b, &c->policy_map[i]);
	for (unsigned i = 0; !r && i < c->n_interface; i++) {
		struct cfg_interface *ifc = &c->interface[i];

		r = put_attachment(b, ifc, ifc->policy_in_ref, CV_QOS_INPUT, &ifc->policy_in_slot);
		if (!r)
			r = put_attachment(b, ifc, ifc->policy_out_ref, CV_QOS_OUTPUT, &ifc->policy_out_slot);
	}
	return r;
}
