/* SPDX-License-Identifier: BSD-3-Clause */
#include "temporary.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config_priv.h"
#include "control_priv.h"
#include "cv_addr.h"
#include "diff_priv.h"
#include "virtual_access.h"

/*
 * The number of a rule says how specific it is, because among rules of the same place in the map the lowest number is
 * asked first: 6 bits of the addresses' width, then a running number.
 */
#define WIDTH_SHIFT 17
#define WIDTH_MAX 63u

static unsigned range_bits(const struct cv_range *r)
{
	unsigned bits = cv_addr_bits(&r->lo), fixed = 0;

	while (fixed < bits && (r->lo.b[fixed / 8] ^ r->hi.b[fixed / 8]) >> (7 - fixed % 8) == 0)
		fixed++;
	return bits - fixed;
}

static uint32_t width_of(const struct cv_selector *sel)
{
	unsigned bits = range_bits(&sel->src) + range_bits(&sel->dst);

	if (sel->src.lo.af == CV_AF_INET6)
		bits /= 4;
	return bits < WIDTH_MAX ? bits : WIDTH_MAX;
}

/* A number that neither list uses. */
static uint32_t number_new(struct control *c, const struct desired *d, const struct cv_selector *sel)
{
	uint32_t id;

	do
		id = TEMPORARY_RULE_MIN | width_of(sel) << WIDTH_SHIFT |
		     (c->temporary_next++ & ((1u << WIDTH_SHIFT) - 1));
	while (desired_rule(d, id) || desired_rule(c->desired, id) || desired_rule(c->apply.desired, id));
	return id;
}

static const struct spd_ref *scope_of(
	const struct desired *d, const struct cfg_map_entry *e, const struct ike_path *path)
{
	for (unsigned i = 0; d && i < d->n_spd; i++)
		if (d->spd[i].map == e->map && d->spd[i].fvrf == path->vrf &&
			path_if_has(d->spd[i].local, &path->local))
			return &d->spd[i];
	return NULL;
}

static struct rule_ref *find(
	struct desired *d, uint32_t spd_id, const struct cfg_map_entry *e, const struct cv_selector *sel)
{
	for (unsigned i = d->n_rule; i-- > 0 && d->rule[i].rule_id >= TEMPORARY_RULE_MIN;)
		if (d->rule[i].spd_id == spd_id && d->rule[i].entry == e &&
			!memcmp(&d->rule[i].line->sel, sel, sizeof(*sel)))
			return &d->rule[i];
	return NULL;
}

static struct rule_ref *by_id(struct desired *d, uint32_t rule_id)
{
	return rule_id >= TEMPORARY_RULE_MIN ? (struct rule_ref *)desired_rule(d, rule_id) : NULL;
}

/* The code points of a flow that the entry's lines protect: a line takes those that no line before it has taken. 0 =
 * any: also where there is no list. */
static uint64_t dscp_of(const struct cfg_map_entry *e, const struct cv_selector *sel)
{
	uint64_t left = UINT64_MAX, set = 0;
	struct cv_selector both;

	for (unsigned i = 0; e->acl_ref && i < e->acl_ref->n_line; i++) {
		const struct cfg_acl_line *l = &e->acl_ref->line[i];
		uint64_t line = left & (l->dscp ? l->dscp : UINT64_MAX);

		if (l->permit ? !cv_selector_contains(&l->sel, sel) : !cv_selector_intersect(&l->sel, sel, &both))
			continue;
		set |= l->permit ? line : 0;
		left &= ~line;
	}
	return set == UINT64_MAX ? 0 : set;
}

static const struct cv_spd_rule *add(struct desired *d, const struct spd_ref *s, const struct cfg_map_entry *e,
	const struct cv_selector *sel, uint32_t rule_id)
{
	struct rule_ref ref = {.rule_id = rule_id,
		.spd_id = s->spd_id,
		.fvrf = s->fvrf,
		.ivrf = config_inside_vrf(e->profile_ref, s->fvrf),
		.entry = e,
		.local = s->local};
	const struct cv_spd_rule rule = {.spd_id = s->spd_id,
		.rule_id = rule_id,
		.prio = (uint64_t)cfg_entry_order(e->seq) << 32, /* lines begin with 1 */
		.action = CV_SPD_PROTECT,
		.flags = CV_RULE_NO_ACQUIRE,
		.vrf_id = ref.ivrf,
		.sel = *sel,
		.dscp = dscp_of(e, sel)};
	char path[256];

	snprintf(path, sizeof(path), PATH_ENTRY, ENTRY_PATH(e));
	return desired_add_rule(d, &ref, &rule, path);
}

void temporary_take(struct control *c, struct child *ch, const struct ike_child_params *p)
{
	const struct spd_ref *s = scope_of(c->desired, p->entry, &p->path);
	struct rule_ref *r = s && p->n_sel == 1 ? find(c->desired, s->spd_id, p->entry, &p->sel[0]) : NULL;
	const struct cv_spd_rule *rule;

	if (p->entry->map->template) {
		virtual_access_take(c->virtual_access, ch, p);
		return;
	}
	ch->rule_id = 0;
	if (!s || p->n_sel != 1)
		return;
	if (!r) {
		rule = add(c->desired, s, p->entry, &p->sel[0], number_new(c, c->desired, &p->sel[0]));
		dpclient_command(c->dp, CV_CMD_SPD_RULE_SET, rule, sizeof(*rule), NULL, NULL);
		r = by_id(c->desired, rule->rule_id);
	}
	r->users++;
	ch->rule_id = r->rule_id;
}

static void put_in(struct control *c, struct desired *d, uint32_t rule_id)
{
	struct rule_ref *r = d ? by_id(d, rule_id) : NULL;

	if (!r || (r->users && --r->users))
		return;
	if (d == c->desired) {
		struct cv_spd_rule_ref ref = {.spd_id = r->spd_id, .rule_id = rule_id};

		dpclient_command(c->dp, CV_CMD_SPD_RULE_DEL, &ref, sizeof(ref), NULL, NULL);
	}
	desired_remove_rule(d, rule_id);
}

void temporary_put(struct control *c, uint32_t rule_id)
{
	if (virtual_access_put(c->virtual_access, rule_id))
		return;
	put_in(c, c->desired, rule_id);
	put_in(c, c->apply.desired, rule_id);
}

struct carry {
	struct control *c;
	struct desired *d;
	const struct cv_config *cfg;
};

static void carry_one(void *arg, const struct ike_child_info *info)
{
	const struct carry *x = arg;
	const struct ike_child_params *p = info->params;
	struct child *ch = child_get(x->c->children, info->child_id);
	const struct cfg_map_entry *e;
	const struct spd_ref *s;
	struct rule_ref *r;

	if (!ch || ch->released || !p->entry || !cfg_entry_is_dynamic(p->entry) || p->n_sel != 1)
		return;
	e = config_entry_find(x->cfg, p->entry->map->name, p->entry->seq);
	if (e && e->map->template) {
		virtual_access_carry_child(x->c->virtual_access, ch, p, e);
		return;
	}
	s = e && cfg_entry_is_dynamic(e) ? scope_of(x->d, e, &p->path) : NULL;
	if (!s)
		return; /* it leaves with its rule */
	r = find(x->d, s->spd_id, e, &p->sel[0]);
	if (!r) {
		uint32_t id = ch->rule_id;

		if (id < TEMPORARY_RULE_MIN || desired_rule(x->d, id))
			id = number_new(x->c, x->d, &p->sel[0]);
		add(x->d, s, e, &p->sel[0], id);
		r = by_id(x->d, id);
	}
	r->users++;
	for (; ch && !ch->rule_id; ch = ch->ah)
		ch->rule_id = r->rule_id;
}

void temporary_carry(struct control *c, struct desired *d, const struct cv_config *cfg)
{
	struct carry x = {.c = c, .d = d, .cfg = cfg};

	virtual_access_carry_begin(c->virtual_access);
	ike_for_each_child(c->ike, carry_one, &x);
	virtual_access_carry(c->virtual_access, d, cfg);
}
