/* SPDX-License-Identifier: BSD-3-Clause */
#include "virtual_access.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "config_priv.h"
#include "control_priv.h"
#include "cv_addr.h"
#include "cv_log.h"

#define AUDIT_MS 1000u
#define ROUTE_ORIGIN_STATIC 1 /* VTI-30 */

struct access {
	TAILQ_ENTRY(access) link;
	char name[CV_NAME_MAX];
	char *template, *ike_profile, *map;
	struct cfg_interface ifc; /* as cloned; strings are its own, references NULL */
	struct cfg_tunnel tunnel;
	struct cv_if body;
	uint32_t rule_id;
	struct ike_path path;
	struct cv_selector sel;
	struct cv_addr inner;
	struct cv_route route;			  /* n_nh 0 = there is none */
	char policy_key[2][DESIRED_SLOT_KEY_MAX]; /* of the slots of its policy maps, in and out; "" = it has none */
	unsigned n_pair;
	bool carried; /* a carry has judged it; else it came since */
	bool alive;   /* while the table is looked through: it has no pair, but an IKE SA */
};

struct virtual_access_table {
	struct control *c;
	TAILQ_HEAD(access_list, access) all; /* the newest first */
	uint32_t cursor;		     /* where the search for a free number went on, downwards */
	uint64_t audit_at_ms;		     /* when to look for sessions that are over; UINT64_MAX = none may be */
};

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

static bool claim(struct virtual_access_table *t, uint32_t number)
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
		if (claim(t, t->cursor))
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

/* ---- objects ---- */

static void send_set(struct control *c, enum obj_kind kind, const void *body, size_t len)
{
	dpclient_command(c->dp, desired_set_command(kind), body, len, NULL, NULL);
}

static void send_delete(struct control *c, enum obj_kind kind, const void *body)
{
	uint16_t key;
	enum cv_msg_type type = desired_delete_command(kind, &key);

	dpclient_command(c->dp, type, body, key, NULL, NULL);
}

static bool stands_in(const struct desired *d, const struct access *a)
{
	return desired_find(d, OBJ_IF, &a->body.if_id);
}

static bool same_prefix(const struct cv_route *a, const struct cv_route *b)
{
	return a->vrf_id == b->vrf_id && a->prefix.len == b->prefix.len && cv_addr_eq(&a->prefix.addr, &b->prefix.addr);
}

/*
 * Who has a prefix in d: the operator's route before any of ours, of ours the newest. A peer that comes back from
 * elsewhere before the old session is known to be dead takes its prefix along.
 */
static void settle_route(struct virtual_access_table *t, struct desired *d, const struct cv_route *of, bool send)
{
	struct dp_obj *o = desired_find(d, OBJ_ROUTE, of);
	const struct cv_route *now = o ? o->body : NULL;
	struct access *a, *wins = NULL;
	bool ours = !o;

	TAILQ_FOREACH (a, &t->all, link) {
		ours |= o && now->n_nh == 1 && now->nh[0].if_id == a->body.if_id;
		if (!wins && a->route.n_nh && same_prefix(&a->route, of) && stands_in(d, a))
			wins = a;
	}
	if (!ours || (o && wins && now->nh[0].if_id == wins->body.if_id))
		return;
	if (o)
		desired_take(d, OBJ_ROUTE, of);
	if (wins)
		desired_put(d, OBJ_ROUTE, &wins->route, sizeof(wins->route), wins->name);
	if (send && wins)
		send_set(t->c, OBJ_ROUTE, &wins->route, sizeof(wins->route));
	else if (send && o)
		send_delete(t->c, OBJ_ROUTE, of);
}

static const struct spd_ref *scope_of(const struct desired *d, const struct cfg_map_entry *e)
{
	for (unsigned i = 0; i < d->n_spd; i++)
		if (d->spd[i].map == e->map)
			return &d->spd[i];
	return NULL;
}

/*
 * The policy map of one direction (VTI-34). One that nothing in cfg uses any more is not in the dataplane, and the
 * clone goes on without; nor is its own slot's number lost when a round of numbers is taken back that it came in.
 */
static void put_policy(struct virtual_access_table *t, struct desired *d, struct access *a, const struct cv_config *cfg,
	enum cv_qos_dir dir, bool send)
{
	const bool out = dir == CV_QOS_OUTPUT;
	const struct cfg_policy_map *p = config_policy_map(cfg, out ? a->ifc.policy_out : a->ifc.policy_in);
	char *key = a->policy_key[out];
	struct cv_qos_attach m;

	if (!p || !p->id)
		return;
	if (!desired_policy(&m, t->c->ids, &a->ifc, p, dir, key)) {
		cv_warn("control", "%s: no number is left for its policy map %s: it has none", a->name, p->name);
		return;
	}
	if (send)
		(void)ids_claim(t->c->ids, ID_QOS_SLOT, key, m.slot);
	desired_put(d, OBJ_QOS_ATTACH, &m, sizeof(m), a->name);
	if (send)
		send_set(t->c, OBJ_QOS_ATTACH, &m, sizeof(m));
}

static void take_policy(
	struct virtual_access_table *t, struct desired *d, const struct access *a, enum cv_qos_dir dir, bool send)
{
	const struct cv_qos_attach *on =
		a->policy_key[dir == CV_QOS_OUTPUT][0] ? desired_policy_on(d, a->body.if_id, dir) : NULL;
	struct cv_qos_attach m;

	if (!on)
		return;
	m = *on;
	desired_take(d, OBJ_QOS_ATTACH, &m.slot);
	if (send)
		send_delete(t->c, OBJ_QOS_ATTACH, &m);
}

/* Interface, rule, route and policy maps, which are cfg's, into d, and with send to the dataplane. False: d has no
 * place for them. */
static bool put_in(struct virtual_access_table *t, struct desired *d, struct access *a, const struct cv_config *cfg,
	const struct cfg_map_entry *e, bool send)
{
	const struct spd_ref *s = d ? scope_of(d, e) : NULL;

	if (!s || s->fvrf != a->path.vrf)
		return false;
	struct rule_ref ref = {.rule_id = a->rule_id,
		.spd_id = s->spd_id,
		.fvrf = s->fvrf,
		.ivrf = a->body.vrf_id,
		.entry = e,
		.local = &a->ifc,
		.tunnel_if = a->body.if_id};
	const struct cv_spd_rule rule = {.spd_id = s->spd_id,
		.rule_id = a->rule_id,
		.prio = (uint64_t)cfg_entry_order(e->seq) << 32,
		.action = CV_SPD_PROTECT,
		.flags = CV_RULE_NO_ACQUIRE, /* VTI-29 */
		.vrf_id = a->body.vrf_id,
		.sel = a->sel};

	desired_put(d, OBJ_IF, &a->body, sizeof(a->body), a->name);
	desired_add_rule(d, &ref, &rule, a->name);
	if (send) {
		send_set(t->c, OBJ_IF, &a->body, sizeof(a->body));
		send_set(t->c, OBJ_RULE, &rule, sizeof(rule));
	}
	put_policy(t, d, a, cfg, CV_QOS_INPUT, send);
	put_policy(t, d, a, cfg, CV_QOS_OUTPUT, send);
	if (a->route.n_nh)
		settle_route(t, d, &a->route, send);
	return true;
}

static void take_out(struct virtual_access_table *t, struct desired *d, struct access *a, bool send)
{
	const struct rule_ref *r = desired_rule(d, a->rule_id);
	struct cv_spd_rule_ref ref = {.spd_id = r ? r->spd_id : 0, .rule_id = a->rule_id};

	if (!d || !desired_take(d, OBJ_IF, &a->body.if_id))
		return;
	if (a->route.n_nh)
		settle_route(t, d, &a->route, send);
	desired_remove_rule(d, a->rule_id);
	take_policy(t, d, a, CV_QOS_INPUT, send);
	take_policy(t, d, a, CV_QOS_OUTPUT, send);
	if (!send)
		return;
	if (r)
		send_delete(t->c, OBJ_RULE, &ref);
	send_delete(t->c, OBJ_IF, &a->body);
}

static void destroy(struct virtual_access_table *t, struct access *a)
{
	char key[CV_NAME_MAX];

	take_out(t, t->c->desired, a, true);
	take_out(t, t->c->apply.desired, a, false);
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
	if (a && !a->n_pair && !stands_in(t->c->desired, a)) { /* a commit has taken it away */
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
		if (!put_in(t, t->c->desired, a, t->c->running, p->entry, true)) {
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
	struct dp_obj *o;

	if (!a)
		return;
	a->path = ch->path;
	a->body.tunnel.src = a->tunnel.source = ch->path.local;
	a->body.tunnel.dst = a->tunnel.destination = ch->path.remote;
	o = desired_find(t->c->desired, OBJ_IF, &a->body.if_id);
	if (!o || !memcmp(o->body, &a->body, sizeof(a->body)))
		return; /* another port only */
	memcpy(o->body, &a->body, sizeof(a->body));
	send_set(t->c, OBJ_IF, &a->body, sizeof(a->body));
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
	if (!a && claim(t, ch->rule_id - VIRTUAL_ACCESS_RULE_MIN))
		a = make_clone(t, e, p, ch->rule_id - VIRTUAL_ACCESS_RULE_MIN);
	if (a)
		a->n_pair++;
}

/* A VRF that it is in may be gone from the configuration, or be another one. */
static bool vrf_is(const struct cv_config *cfg, const char *name, uint32_t id)
{
	for (unsigned i = 0; name && i < cfg->n_vrf; i++)
		if (!strcmp(cfg->vrf[i].name, name))
			return cfg->vrf[i].id == id;
	return !name;
}

/* Nothing comes in or goes out unfiltered because a list is gone: rather is the interface. */
static bool filters_stand(const struct desired *d, const struct cv_if *m)
{
	const uint16_t id[] = {m->acl_in[0], m->acl_in[1], m->acl_out[0], m->acl_out[1]};
	bool all = true;

	for (size_t i = 0; i < sizeof(id) / sizeof(id[0]); i++)
		all &= !id[i] || desired_find(d, OBJ_ACL, &(uint32_t){id[i]});
	return all;
}

/* Into d, which was made from cfg, if cfg lets it live; else it leaves, and its SAs with its rule. */
static void carry(struct virtual_access_table *t, struct desired *d, struct access *a, const struct cv_config *cfg)
{
	const struct cfg_map_entry *e = config_entry_find(cfg, a->map, 65535);

	if (e && vrf_is(cfg, a->ifc.vrf, a->body.vrf_id) && filters_stand(d, &a->body) && claim(t, a->body.if_id))
		put_in(t, d, a, cfg, e, false);
}

void virtual_access_carry(struct virtual_access_table *t, struct desired *d, const struct cv_config *cfg)
{
	struct access *a;

	t->audit_at_ms = 0;
	TAILQ_FOREACH (a, &t->all, link) {
		a->carried = true;
		carry(t, d, a, cfg);
	}
}

/* An object that the dataplane was told of as in was, behind the commit of what is in force: tell it what holds. */
static void put_right(struct virtual_access_table *t, const struct desired *was, enum obj_kind kind, const void *key)
{
	const struct dp_obj *told = desired_find(was, kind, key), *now = desired_find(t->c->desired, kind, key);

	if (told && !now)
		send_delete(t->c, kind, told->body);
	else if (now && (!told || now->len != told->len || memcmp(now->body, told->body, now->len)))
		send_set(t->c, kind, now->body, now->len);
}

/* The same for its policy map in one direction, whose slot, by which it is known, may be another one. */
static void put_policy_right(
	struct virtual_access_table *t, const struct desired *was, const struct access *a, enum cv_qos_dir dir)
{
	const struct cv_qos_attach *told = desired_policy_on(was, a->body.if_id, dir),
				   *now = desired_policy_on(t->c->desired, a->body.if_id, dir);

	if (told)
		put_right(t, was, OBJ_QOS_ATTACH, &told->slot);
	if (now && (!told || now->slot != told->slot))
		put_right(t, was, OBJ_QOS_ATTACH, &now->slot);
}

static void put_rule_right(struct virtual_access_table *t, const struct desired *was, const struct access *a)
{
	const struct rule_ref *told = desired_rule(was, a->rule_id), *now = desired_rule(t->c->desired, a->rule_id);

	if (told)
		put_right(t, was, OBJ_RULE, &(struct cv_spd_rule_ref){told->spd_id, a->rule_id});
	if (now && (!told || now->spd_id != told->spd_id))
		put_right(t, was, OBJ_RULE, &(struct cv_spd_rule_ref){now->spd_id, a->rule_id});
}

void virtual_access_adopted(struct virtual_access_table *t, const struct desired *was)
{
	struct access *a;

	TAILQ_FOREACH (a, &t->all, link) {
		if (a->carried || stands_in(t->c->desired, a))
			continue;
		/* it came after the transaction had begun */
		carry(t, t->c->desired, a, t->c->running);
		if (a->route.n_nh)
			put_right(t, was, OBJ_ROUTE, &a->route);
		put_policy_right(t, was, a, CV_QOS_INPUT);
		put_policy_right(t, was, a, CV_QOS_OUTPUT);
		put_rule_right(t, was, a);
		put_right(t, was, OBJ_IF, &a->body.if_id);
	}
}

/* ---- the end ---- */

static void mark_living(void *arg, const struct ike_path *path, uint32_t ivrf)
{
	struct virtual_access_table *t = arg;
	struct access *a;

	(void)ivrf;
	TAILQ_FOREACH (a, &t->all, link)
		a->alive |= !a->n_pair && same_path(&a->path, path) && stands_in(t->c->desired, a);
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
