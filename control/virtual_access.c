/* SPDX-License-Identifier: BSD-3-Clause */
#include "virtual_access_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config_priv.h"
#include "cv_addr.h"
#include "cv_log.h"

#define AUDIT_MS 1000u
#define ROUTE_ORIGIN_STATIC 1 /* VTI-30 */

struct virtual_access_table *virtual_access_new(struct control *c)
{
	struct virtual_access_table *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->c = c;
	t->cursor = CV_IF_MAX;
	TAILQ_INIT(&t->all);
	return t;
}

static void filter_free(struct cfg_access_group *g)
{
	free((void *)(uintptr_t)g->in);
	free((void *)(uintptr_t)g->out);
}

static void access_free(struct access *a)
{
	filter_free(&a->ifc.acl4);
	filter_free(&a->ifc.acl6);
	free((void *)(uintptr_t)a->ifc.policy_in);
	free((void *)(uintptr_t)a->ifc.policy_out);
	free((void *)(uintptr_t)a->ifc.description);
	free((void *)(uintptr_t)a->ifc.vrf);
	free((void *)(uintptr_t)a->tunnel.vrf);
	free((void *)(uintptr_t)a->tunnel.profile);
	free(a->template);
	free(a->ike_profile);
	free(a->map);
	free(a);
}

void virtual_access_free(struct virtual_access_table *t)
{
	struct access *a;

	while (t && (a = TAILQ_FIRST(&t->all))) {
		TAILQ_REMOVE(&t->all, a, link);
		access_free(a);
	}
	free(t);
}

/* ---- the table ---- */

static bool same_path(const struct ike_path *a, const struct ike_path *b)
{
	return a->vrf == b->vrf && cv_addr_eq(&a->local, &b->local) && cv_addr_eq(&a->remote, &b->remote) &&
	       a->lport == b->lport && a->rport == b->rport;
}

static struct access *by_rule(const struct virtual_access_table *t, uint32_t rule_id)
{
	struct access *a;

	TAILQ_FOREACH (a, &t->all, link)
		if (a->rule_id == rule_id)
			return a;
	return NULL;
}

/* The session's, if it has this flow: another one may have come from the same place. */
static struct access *by_session(const struct virtual_access_table *t, const struct ike_child_params *p)
{
	struct access *a;

	TAILQ_FOREACH (a, &t->all, link)
		if (same_path(&a->path, &p->path) && !strcmp(a->map, p->entry->map->name) &&
			!memcmp(&a->sel, &p->sel[0], sizeof(a->sel)) &&
			(!p->inner.af || cv_addr_eq(&a->inner, &p->inner)))
			return a;
	return NULL;
}

static bool is_ours(uint32_t rule_id)
{
	return rule_id > VIRTUAL_ACCESS_RULE_MIN && rule_id < VIRTUAL_ACCESS_RULE_MIN + CV_IF_MAX;
}

static void id_key(char key[static CV_NAME_MAX], uint32_t number)
{
	snprintf(key, CV_NAME_MAX, "virtual-access|%u", number);
}

bool virtual_access_claim(struct virtual_access_table *t, uint32_t number)
{
	char key[CV_NAME_MAX];

	id_key(key, number);
	return !ids_claim(t->c->ids, ID_IF, key, number);
}

/* From the top down, so that the numbers of the configuration grow undisturbed. A freed one rests. 0 = none is left. */
static uint32_t number_new(struct virtual_access_table *t)
{
	for (uint32_t i = 1; i < CV_IF_MAX; i++) {
		t->cursor = t->cursor > 1 ? t->cursor - 1 : CV_IF_MAX - 1;
		if (virtual_access_claim(t, t->cursor))
			return t->cursor;
	}
	return 0;
}

/* ---- cloning ---- */

static char *own(const char *s)
{
	char *copy = s ? strdup(s) : NULL;

	if (s && !copy)
		abort();
	return copy;
}

static struct cfg_access_group own_filter(const struct cfg_access_group *g)
{
	return (struct cfg_access_group){.in = own(g->in), .out = own(g->out)};
}

/* VTI-30: to the address the peer was given, else to its side of the flow when that is a prefix; not to everything. */
static void make_route(struct access *a)
{
	struct cv_prefix to = {.addr = a->inner, .len = (uint8_t)cv_addr_bits(&a->inner)};

	if ((!a->inner.af && !cv_range_to_prefix(&a->sel.dst, &to)) || !to.len)
		return;
	a->route = (struct cv_route){.vrf_id = a->body.vrf_id,
		.prefix = to,
		.distance = 1,
		.origin = ROUTE_ORIGIN_STATIC,
		.n_nh = 1,
		.nh = {{.type = CV_NH_INTERFACE, .weight = 1, .if_id = a->body.if_id, .vrf_id = a->body.vrf_id}}};
}

/* The template's settings (VTI-34), and where the session leads (VTI-29). */
static struct access *make_clone(struct virtual_access_table *t, const struct cfg_map_entry *e,
	const struct ike_child_params *p, uint32_t number)
{
	const struct cfg_interface *from = e->map->template;
	struct access *a = calloc(1, sizeof(*a));

	if (!a)
		abort();
	snprintf(a->name, sizeof(a->name), "Virtual-Access%u", number);
	a->template = own(from->name);
	a->ike_profile = own(e->profile_ref->name);
	a->map = own(e->map->name);
	a->path = p->path;
	a->sel = p->sel[0];
	a->inner = p->inner;
	a->rule_id = VIRTUAL_ACCESS_RULE_MIN + number;
	a->tunnel = *from->tunnel;
	a->tunnel.source = p->path.local;
	a->tunnel.destination = p->path.remote;
	a->ifc = *from;
	a->ifc.name = a->name;
	a->ifc.type = CFG_IF_TUNNEL;
	a->ifc.id = number;
	a->ifc.tunnel = &a->tunnel;
	a->ifc.host_path = false; /* a name on the host is one device's */
	desired_interface(&a->body, &a->ifc);
	a->ifc.description = own(from->description);
	a->ifc.vrf = own(from->vrf);
	a->ifc.acl4 = own_filter(&from->acl4);
	a->ifc.acl6 = own_filter(&from->acl6);
	a->ifc.policy_in = own(from->policy_in);
	a->ifc.policy_out = own(from->policy_out);
	a->ifc.policy_in_ref = a->ifc.policy_out_ref = NULL;
	a->tunnel.vrf = own(from->tunnel->vrf);
	a->tunnel.profile = own(from->tunnel->profile);
	a->ifc.vrf_ref = a->tunnel.vrf_ref = NULL;
	make_route(a);
	TAILQ_INSERT_HEAD(&t->all, a, link);
	return a;
}

static void destroy(struct virtual_access_table *t, struct access *a)
{
	char key[CV_NAME_MAX];

	virtual_access_take_out(t, t->c->desired, a, true);
	virtual_access_take_out(t, t->c->apply.desired, a, false);
	TAILQ_REMOVE(&t->all, a, link);
	ids_release(t->c->ids, ID_QOS_SLOT, a->policy_key[0]);
	ids_release(t->c->ids, ID_QOS_SLOT, a->policy_key[1]);
	id_key(key, a->body.if_id);
	ids_release(t->c->ids, ID_IF, key);
	access_free(a);
}

/* ---- pairs of SAs ---- */

void virtual_access_take(struct virtual_access_table *t, struct child *ch, const struct ike_child_params *p)
{
	struct access *a = by_session(t, p);
	char peer[CV_ADDR_STR];
	uint32_t number;

	ch->rule_id = 0;
	if (a && !a->n_pair && !virtual_access_stands_in(t->c->desired, a)) { /* a commit has taken it away */
		destroy(t, a);
		a = NULL;
	}
	if (!a) {
		number = number_new(t);
		if (!number) {
			cv_warn("control", "no number is left for a virtual-access interface");
			return;
		}
		a = make_clone(t, p->entry, p, number);
		if (!virtual_access_put_in(t, t->c->desired, a, t->c->running, p->entry, true)) {
			destroy(t, a);
			return;
		}
		cv_notice("control", "%s: cloned from %s for %s", a->name, a->template,
			cv_addr_str(&p->path.remote, peer));
	}
	a->n_pair++;
	ch->rule_id = a->rule_id;
	ch->ivrf = a->body.vrf_id;
}

bool virtual_access_put(struct virtual_access_table *t, uint32_t rule_id)
{
	struct access *a = is_ours(rule_id) ? by_rule(t, rule_id) : NULL;

	if (a && a->n_pair && --a->n_pair == 0)
		t->audit_at_ms = 0; /* look at the end of this turn */
	return is_ours(rule_id);
}

void virtual_access_moved(struct virtual_access_table *t, const struct child *ch)
{
	struct access *a = is_ours(ch->rule_id) ? by_rule(t, ch->rule_id) : NULL;

	if (!a)
		return;
	a->path = ch->path;
	a->body.tunnel.src = a->tunnel.source = ch->path.local;
	a->body.tunnel.dst = a->tunnel.destination = ch->path.remote;
	virtual_access_put_again(t, a);
}

/* ---- commits, SYNCs, restarts ---- */

void virtual_access_carry_begin(struct virtual_access_table *t)
{
	struct access *a;

	TAILQ_FOREACH (a, &t->all, link)
		a->n_pair = 0;
}

void virtual_access_carry_child(struct virtual_access_table *t, struct child *ch, const struct ike_child_params *p,
	const struct cfg_map_entry *e)
{
	struct access *a = is_ours(ch->rule_id) ? by_rule(t, ch->rule_id) : NULL;

	if (!is_ours(ch->rule_id))
		return;
	if (!a && virtual_access_claim(t, ch->rule_id - VIRTUAL_ACCESS_RULE_MIN))
		a = make_clone(t, e, p, ch->rule_id - VIRTUAL_ACCESS_RULE_MIN);
	if (a)
		a->n_pair++;
}

/* ---- the end ---- */

static void mark_living(void *arg, const struct ike_path *path, uint32_t ivrf)
{
	struct virtual_access_table *t = arg;
	struct access *a;

	(void)ivrf;
	TAILQ_FOREACH (a, &t->all, link)
		a->alive |= !a->n_pair && same_path(&a->path, path) && virtual_access_stands_in(t->c->desired, a);
}

/* True: some have lost their pairs, but not their IKE SA (VTI-24). */
static bool remove_dead(struct virtual_access_table *t)
{
	struct access *a, *next;
	char peer[CV_ADDR_STR];
	bool waiting = false;

	for (a = TAILQ_FIRST(&t->all); a; a = next) {
		next = TAILQ_NEXT(a, link);
		waiting |= !a->n_pair && a->alive;
		if (a->n_pair || a->alive)
			continue;
		cv_notice("control", "%s: removed, the session with %s is over", a->name,
			cv_addr_str(&a->path.remote, peer));
		destroy(t, a);
	}
	return waiting;
}

uint64_t virtual_access_run(struct virtual_access_table *t)
{
	uint64_t now = host_now_ms(t->c);
	bool idle = false;
	struct access *a;

	if (t->audit_at_ms > now)
		return t->audit_at_ms == UINT64_MAX ? UINT64_MAX : t->audit_at_ms - now;
	if (t->c->apply.started) /* which objects the dataplane has of them is known when that is over */
		return AUDIT_MS;
	TAILQ_FOREACH (a, &t->all, link) {
		idle |= !a->n_pair;
		a->alive = false;
	}
	if (idle) {
		ike_for_each_established(t->c->ike, mark_living, t);
		idle = remove_dead(t);
	}
	t->audit_at_ms = idle ? now + AUDIT_MS : UINT64_MAX;
	return idle ? AUDIT_MS : UINT64_MAX;
}

/* ---- for show ---- */

void virtual_access_each(
	const struct virtual_access_table *t, void (*cb)(void *arg, const struct virtual_access_info *i), void *arg)
{
	const struct access *a;

	TAILQ_FOREACH_REVERSE(a, &t->all, access_list, link)
	{
		const struct virtual_access_info i = {.interface = &a->ifc,
			.template = a->template,
			.ike_profile = a->ike_profile,
			.path = &a->path,
			.inner = a->inner,
			.n_pair = a->n_pair};

		cb(arg, &i);
	}
}

const struct cfg_interface *virtual_access_by_name(const struct virtual_access_table *t, const char *name)
{
	const struct access *a;

	TAILQ_FOREACH (a, &t->all, link)
		if (!strcmp(a->name, name))
			return &a->ifc;
	return NULL;
}

const struct cfg_interface *virtual_access_by_id(const struct virtual_access_table *t, uint32_t if_id)
{
	const struct access *a = by_rule(t, VIRTUAL_ACCESS_RULE_MIN + if_id);

	return a ? &a->ifc : NULL;
}

const char *virtual_access_of_path(const struct virtual_access_table *t, const struct ike_path *path)
{
	const struct access *a;

	TAILQ_FOREACH (a, &t->all, link)
		if (same_path(&a->path, path))
			return a->name;
	return NULL;
}
