/* SPDX-License-Identifier: BSD-3-Clause */
/* From one list of dataplane objects to the next. */
#include <stdlib.h>
#include <string.h>

#include "cv_array.h"
#include "desired.h"
#include "diff_priv.h"

/* key: leading bytes of the body that identify the object, which are also the body of its delete command. */
static const struct {
	enum cv_msg_type set, del;
	uint16_t key;
} kinds[OBJ_KINDS] = {
	[OBJ_PLATFORM] = {CV_CMD_PLATFORM_SET, CV_MSG_NONE, 0},
	[OBJ_VRF] = {CV_CMD_VRF_SET, CV_CMD_VRF_DEL, sizeof(uint32_t)},
	[OBJ_PORT] = {CV_CMD_PORT_ATTACH, CV_CMD_PORT_DETACH, sizeof(uint32_t)},
	[OBJ_ACL] = {CV_CMD_ACL_SET, CV_CMD_ACL_DEL, sizeof(uint32_t)},
	[OBJ_ACL_LINE] = {CV_CMD_ACL_LINE_SET, CV_CMD_ACL_LINE_DEL, sizeof(struct cv_acl_line_ref)},
	[OBJ_IF] = {CV_CMD_IF_SET, CV_CMD_IF_DEL, sizeof(uint32_t)},
	[OBJ_VLAN] = {CV_CMD_IF_SET, CV_CMD_IF_DEL, sizeof(uint32_t)},
	[OBJ_ADDR] = {CV_CMD_IF_ADDR_ADD, CV_CMD_IF_ADDR_DEL, sizeof(struct cv_if_addr)},
	[OBJ_HOP] = {CV_CMD_TUNNEL_HOP_SET, CV_CMD_TUNNEL_HOP_DEL, sizeof(struct cv_tunnel_hop_ref)},
	[OBJ_ROUTE] = {CV_CMD_ROUTE_SET, CV_CMD_ROUTE_DEL, sizeof(struct cv_route_ref)},
	[OBJ_MROUTE] = {CV_CMD_MROUTE_SET, CV_CMD_MROUTE_DEL, sizeof(struct cv_mroute_ref)},
	[OBJ_SPD] = {CV_CMD_SPD_SET, CV_CMD_SPD_DEL, sizeof(uint32_t)},
	[OBJ_RULE] = {CV_CMD_SPD_RULE_SET, CV_CMD_SPD_RULE_DEL, sizeof(struct cv_spd_rule_ref)},
	[OBJ_QOS_CLASS] = {CV_CMD_QOS_CLASS_SET, CV_CMD_QOS_CLASS_DEL, sizeof(struct cv_qos_class_ref)},
	[OBJ_QOS_RULE] = {CV_CMD_QOS_RULE_SET, CV_CMD_QOS_RULE_DEL, sizeof(struct cv_qos_rule_ref)},
	[OBJ_QOS_ATTACH] = {CV_CMD_QOS_ATTACH_SET, CV_CMD_QOS_ATTACH_DEL, sizeof(uint32_t)},
	[OBJ_CONNECTIONS] = {CV_CMD_CONN_SET, CV_CMD_CONN_DEL, sizeof(uint32_t)},
	[OBJ_NAT_RULE] = {CV_CMD_NAT_RULE_SET, CV_CMD_NAT_RULE_DEL, sizeof(uint32_t)},
	[OBJ_NAT_STATIC] = {CV_CMD_NAT_STATIC_SET, CV_CMD_NAT_STATIC_DEL, sizeof(uint32_t)},
};
_Static_assert(offsetof(struct cv_route, tag) == sizeof(struct cv_route_ref), "a route begins with its reference");
_Static_assert(
	offsetof(struct cv_spd_rule, prio) == sizeof(struct cv_spd_rule_ref), "a rule begins with its reference");

int dp_obj_cmp(const void *a, const void *b)
{
	const struct dp_obj *x = a, *y = b;

	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	return memcmp(x->body, y->body, kinds[x->kind].key);
}

enum cv_msg_type desired_set_command(enum obj_kind kind)
{
	return kinds[kind].set;
}

enum cv_msg_type desired_delete_command(enum obj_kind kind, uint16_t *key)
{
	*key = kinds[kind].key;
	return kinds[kind].del;
}

static void step_add(struct dp_steps *s, enum cv_msg_type type, const struct dp_obj *o, const void *body, uint16_t len)
{
	s->step = cv_array_need(s->step, s->n, &s->cap, sizeof(*s->step));
	s->step[s->n++] = (struct dp_step){.type = type, .len = len, .body = body, .label = o->label};
}

static void step_delete(struct dp_steps *s, const struct dp_obj *o)
{
	step_add(s, kinds[o->kind].del, o, o->body, kinds[o->kind].key);
}

/* ---- walking both lists at once ---- */

struct pair {
	const struct dp_obj *old, *new; /* either may be NULL */
};

static unsigned match(const struct desired *from, const struct desired *to, struct pair *out)
{
	unsigned i = 0, j = 0, n = 0, n_from = from ? from->n_obj : 0;

	while (i < n_from || j < to->n_obj) {
		int c = i == n_from ? 1 : j == to->n_obj ? -1 : dp_obj_cmp(&from->obj[i], &to->obj[j]);

		out[n].old = c <= 0 ? &from->obj[i++] : NULL;
		out[n].new = c >= 0 ? &to->obj[j++] : NULL;
		n++;
	}
	return n;
}

/* Does the new list still have the interface? */
static bool has_if(const struct desired *to, uint32_t if_id)
{
	struct dp_obj key = {.body = &if_id};

	for (key.kind = OBJ_IF; key.kind <= OBJ_VLAN; key.kind++)
		if (bsearch(&key, to->obj, to->n_obj, sizeof(key), dp_obj_cmp))
			return true;
	return false;
}

/* A route that points at an interface which goes away has to leave before it. */
static bool route_must_leave(const struct dp_obj *old, const struct desired *to)
{
	const struct cv_route *r = old->body;

	for (unsigned i = 0; i < r->n_nh; i++)
		if (r->nh[i].if_id && !has_if(to, r->nh[i].if_id))
			return true;
	return false;
}

/* An interface has at most one SPD: one that leaves this SPD must be free before another SPD takes it, and before the
 * interface itself is deleted. */
static void spd_shrink(struct dp_steps *s, const struct pair *p)
{
	const struct cv_spd *old = p->old->body, *new = p->new->body;
	struct cv_spd *both = calloc(1, sizeof(*both));

	s->shrunk = realloc(s->shrunk, (s->n_shrunk + 1) * sizeof(struct cv_spd *));
	if (!both || !s->shrunk)
		abort();
	both->spd_id = old->spd_id;
	for (unsigned i = 0; i < old->n_if; i++)
		for (unsigned j = 0; j < new->n_if; j++)
			if (old->if_id[i] == new->if_id[j])
				both->if_id[both->n_if++] = old->if_id[i];
	s->shrunk[s->n_shrunk++] = both;
	if (both->n_if < old->n_if)
		step_add(s, CV_CMD_SPD_SET, p->old, both, sizeof(*both));
}

static bool unchanged(const struct pair *p)
{
	return p->old && p->new && !memcmp(p->old->body, p->new->body, p->new->len);
}

static void take_away(struct dp_steps *s, const struct pair *p, const struct desired *to)
{
	if (!p->old || unchanged(p))
		return;
	if (!p->new) {
		if (kinds[p->old->kind].del != CV_MSG_NONE)
			step_delete(s, p->old);
	} else if (p->old->kind == OBJ_ROUTE && route_must_leave(p->old, to)) {
		step_delete(s, p->old);
	} else if (p->old->kind == OBJ_SPD) {
		spd_shrink(s, p);
	}
}

void desired_diff(const struct desired *from, const struct desired *to, struct dp_steps *out)
{
	struct pair *pair = malloc(((from ? from->n_obj : 0) + to->n_obj + 1) * sizeof(*pair));
	unsigned n;

	if (!pair)
		abort();
	memset(out, 0, sizeof(*out));
	n = match(from, to, pair);
	for (unsigned i = n; i-- > 0;)
		take_away(out, &pair[i], to);
	out->n_delete = out->n;
	for (unsigned i = 0; i < n; i++)
		if (pair[i].new && !unchanged(&pair[i]))
			step_add(out, kinds[pair[i].new->kind].set, pair[i].new, pair[i].new->body, pair[i].new->len);
	free(pair);
}

void dp_steps_free(struct dp_steps *s)
{
	for (unsigned i = 0; i < s->n_shrunk; i++)
		free(s->shrunk[i]);
	free(s->shrunk);
	free(s->step);
}
