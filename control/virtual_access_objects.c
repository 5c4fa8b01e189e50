/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The objects of virtual-access interfaces: an interface, a rule, a route and policy maps each. They are put into
 * struct desired, and told to the dataplane, when a session comes or goes, and carried over when a commit or a SYNC
 * makes another one of it.
 */
#include <string.h>

#include "config_priv.h"
#include "cv_addr.h"
#include "cv_log.h"
#include "virtual_access_priv.h"

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

bool virtual_access_stands_in(const struct desired *d, const struct access *a)
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
		if (!wins && a->route.n_nh && same_prefix(&a->route, of) && virtual_access_stands_in(d, a))
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

bool virtual_access_put_in(struct virtual_access_table *t, struct desired *d, struct access *a,
	const struct cv_config *cfg, const struct cfg_map_entry *e, bool send)
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

void virtual_access_take_out(struct virtual_access_table *t, struct desired *d, struct access *a, bool send)
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

void virtual_access_put_again(struct virtual_access_table *t, const struct access *a)
{
	struct dp_obj *o = desired_find(t->c->desired, OBJ_IF, &a->body.if_id);

	if (!o || !memcmp(o->body, &a->body, sizeof(a->body)))
		return; /* another port only */
	memcpy(o->body, &a->body, sizeof(a->body));
	send_set(t->c, OBJ_IF, &a->body, sizeof(a->body));
}

/* ---- commits and SYNCs ---- */

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

	if (e && vrf_is(cfg, a->ifc.vrf, a->body.vrf_id) && filters_stand(d, &a->body) &&
		virtual_access_claim(t, a->body.if_id))
		virtual_access_put_in(t, d, a, cfg, e, false);
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
		if (a->carried || virtual_access_stands_in(t->c->desired, a))
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
