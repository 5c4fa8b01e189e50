/* SPDX-License-Identifier: BSD-3-Clause */
/* cv_config -> dataplane objects. */
#include "desired.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config_priv.h"
#include "cv_addr.h"
#include "cv_array.h"
#include "desired_priv.h"
#include "diff_priv.h"

int desired_path(struct build *b, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(b->path, sizeof(b->path), fmt, ap);
	va_end(ap);
	return 0;
}

int desired_fail(struct build *b, const char *why)
{
	snprintf(b->err, CFG_ERR_MAX, "%s: %s", b->path, why);
	return -EINVAL;
}

void *desired_add(struct build *b, enum obj_kind kind, size_t len)
{
	struct desired *d = b->d;
	struct dp_obj *o;

	d->obj = cv_array_need(d->obj, d->n_obj, &d->cap_obj, sizeof(*d->obj));
	o = &d->obj[d->n_obj++];
	*o = (struct dp_obj){.kind = kind, .len = (uint16_t)len, .body = calloc(1, len), .label = strdup(b->path)};
	if (!o->body || !o->label)
		abort();
	return o->body;
}

int desired_number(struct build *b, enum id_kind kind, const char *key, uint32_t *id)
{
	return ids_get(b->ids, kind, key, id) ? desired_fail(b, "no number is free for one more") : 0;
}

static uint32_t vrf_id(const struct cfg_vrf *v)
{
	return v ? v->id : CV_VRF_GLOBAL;
}

static void name_copy(char dst[static CV_NAME_MAX], const char *src)
{
	snprintf(dst, CV_NAME_MAX, "%s", src);
}

/* ---- platform, VRFs ---- */

static void build_platform(struct build *b)
{
	struct cv_platform *p;
	uint32_t n = b->cfg->workers ? b->cfg->workers : b->max_workers;

	desired_path(b, PATH_SYSTEM "/workers");
	p = desired_add(b, OBJ_PLATFORM, sizeof(*p));
	p->workers = n < b->max_workers ? n : b->max_workers;
	p->poll_mode = b->cfg->busy_poll ? CV_POLL_BUSY : CV_POLL_ADAPTIVE;
}

static int build_vrf(struct build *b, struct cfg_vrf *v)
{
	struct cv_vrf *m;
	int r;

	desired_path(b, PATH_VRF, v->name);
	r = desired_number(b, ID_VRF, v->name, &v->id);
	if (r)
		return r;
	m = desired_add(b, OBJ_VRF, sizeof(*m));
	m->vrf_id = v->id;
	name_copy(m->name, v->name);
	return 0;
}

/* ---- access lists ---- */

/* A line counts from zero when it says something else. */
static int build_acl_line(struct build *b, const struct cfg_acl *a, struct cfg_acl_line *l)
{
	char key[KEY_MAX], sel[CV_SELECTOR_STR];
	struct cv_acl_line *m;
	int r;

	desired_path(b, PATH_ACL_LINE, a->name, l->seq);
	snprintf(key, sizeof(key), "%s|%u|%d|%llx|%s", a->name, l->seq, l->permit, (unsigned long long)l->dscp,
		cv_selector_str(&l->sel, sel));
	r = desired_number(b, ID_ACL_COUNTER, key, &l->counter);
	if (r)
		return r;
	m = desired_add(b, OBJ_ACL_LINE, sizeof(*m));
	m->ref.acl_id = a->id;
	m->ref.counter = l->counter;
	m->seq = l->seq;
	m->permit = l->permit;
	m->log = l->log;
	m->sel = l->sel;
	m->dscp = l->dscp;
	return 0;
}

static int build_acl(struct build *b, struct cfg_acl *a)
{
	struct cv_acl *m;
	int r;

	desired_path(b, PATH_ACL, a->name);
	if ((r = desired_number(b, ID_ACL, a->name, &a->id)) ||
		(r = desired_number(b, ID_ACL_COUNTER, a->name, &a->counter)))
		return r;
	m = desired_add(b, OBJ_ACL, sizeof(*m));
	m->acl_id = a->id;
	m->counter = a->counter;
	for (unsigned i = 0; !r && i < a->n_line; i++)
		r = build_acl_line(b, a, &a->line[i]);
	return r;
}

static uint16_t acl_id(const struct cfg_acl *a)
{
	return (uint16_t)(a ? a->id : 0);
}

/* ---- ports and interfaces ---- */

#define DEFAULT_MTU 1500u

static uint16_t if_mtu(const struct cfg_interface *i)
{
	return i->mtu ? i->mtu : i->parent_ref && i->parent_ref->mtu ? i->parent_ref->mtu : DEFAULT_MTU;
}

static int build_port(struct build *b, const struct cfg_interface *i, uint32_t *port_id)
{
	struct cv_port *p;
	int r;

	/* The dataplane replaces the device of a port in place, so the port is the interface's for good. */
	desired_path(b, PATH_IF "/culvert-platform:device", i->name);
	r = desired_number(b, ID_PORT, i->name, port_id);
	if (r)
		return r;
	p = desired_add(b, OBJ_PORT, sizeof(*p));
	p->port_id = *port_id;
	name_copy(p->name, i->name);
	snprintf(p->devargs, sizeof(p->devargs), "%s", i->device);
	p->rx_queues = i->rx_queues;
	p->rx_desc = i->rx_desc;
	p->tx_desc = i->tx_desc;
	p->mtu = if_mtu(i);
	return 0;
}

static enum cv_if_type if_type(enum cfg_if_type type)
{
	switch (type) {
	case CFG_IF_ETHERNET:
		return CV_IF_ETHERNET;
	case CFG_IF_VLAN:
		return CV_IF_VLAN;
	case CFG_IF_TUNNEL:
	case CFG_IF_TEMPLATE:
		return CV_IF_TUNNEL;
	default:
		return CV_IF_LOOPBACK;
	}
}

static void build_tunnel(struct cv_tunnel *m, const struct cfg_tunnel *t)
{
	static const struct {
		uint8_t mode, inner_af;
	} what[] = {[CFG_TUNNEL_IPSEC_IPV4] = {CV_TUNNEL_IPSEC, CV_AF_INET},
		[CFG_TUNNEL_IPSEC_IPV6] = {CV_TUNNEL_IPSEC, CV_AF_INET6},
		[CFG_TUNNEL_GRE_IPV4] = {CV_TUNNEL_GRE, CV_AF_NONE},
		[CFG_TUNNEL_GRE_IPV6] = {CV_TUNNEL_GRE, CV_AF_NONE},
		[CFG_TUNNEL_MGRE_IPV4] = {CV_TUNNEL_GRE, CV_AF_NONE},
		[CFG_TUNNEL_MGRE_IPV6] = {CV_TUNNEL_GRE, CV_AF_NONE},
		[CFG_TUNNEL_IPIP] = {CV_TUNNEL_IPIP, CV_AF_INET},
		[CFG_TUNNEL_IPV6IP] = {CV_TUNNEL_IPIP, CV_AF_INET6}};

	m->mode = what[t->mode].mode;
	m->inner_af = what[t->mode].inner_af;
	m->flags = (t->profile ? CV_TUNNEL_F_PROTECTED : 0) | (t->has_key ? CV_TUNNEL_F_KEY : 0) |
		   (t->checksum ? CV_TUNNEL_F_CHECKSUM : 0) | (t->sequence ? CV_TUNNEL_F_SEQUENCE : 0) |
		   (config_is_multipoint(t) ? CV_TUNNEL_F_MULTIPOINT : 0) | (t->has_dscp ? CV_TUNNEL_F_DSCP : 0);
	m->ttl = t->ttl;
	m->dscp = t->dscp;
	m->key = t->key;
	m->front_vrf = vrf_id(t->vrf_ref);
	m->src = t->source;
	m->keepalive_s = t->keepalive_s;
	m->keepalive_retries = t->keepalive_retries;
	m->dst = t->destination;
	if (config_is_multipoint(t))
		m->dst.af = t->source.af;
}

static uint8_t urpf(const struct cfg_urpf *u)
{
	uint8_t mode = u->mode == CFG_URPF_STRICT ? CV_URPF_STRICT : CV_URPF_LOOSE;

	return u->mode ? mode | (u->allow_default ? CV_URPF_ALLOW_DEFAULT : 0) : 0;
}

/* Tables that may hold the same addresses cannot share one of the host's: a VRF needs a namespace of its own. */
static void build_host(struct cv_host *m, const struct cfg_interface *i)
{
	if (!config_has_host_device(i))
		return;
	m->enabled = 1;
	snprintf(m->device, sizeof(m->device), "%s", config_host_device(i));
	if (i->vrf_ref)
		snprintf(m->netns, sizeof(m->netns), "%s", i->vrf_ref->host_namespace);
}

static int build_interface(struct build *b, struct cfg_interface *i)
{
	uint32_t port = 0, parent = i->parent_ref ? i->parent_ref->id : 0;
	char key[KEY_MAX];
	struct cv_if *m;
	int r = i->type == CFG_IF_ETHERNET ? build_port(b, i, &port) : 0;

	if (r)
		return r;
	snprintf(key, sizeof(key), "%s|%u|%u|%u|%u|%u", i->name, i->type, port, parent, i->vlan_id, vrf_id(i->vrf_ref));
	desired_path(b, PATH_IF, i->name);
	r = desired_number(b, ID_IF, key, &i->id);
	if (r)
		return r;
	m = desired_add(b, i->type == CFG_IF_VLAN ? OBJ_VLAN : OBJ_IF, sizeof(*m));
	desired_interface(m, i);
	m->port_id = port;
	m->parent_id = parent;
	m->vlan_id = i->vlan_id;
	return 0;
}

void desired_interface(struct cv_if *m, const struct cfg_interface *i)
{
	m->if_id = i->id;
	m->type = if_type(i->type);
	m->mtu = if_mtu(i);
	m->vrf_id = vrf_id(i->vrf_ref);
	m->admin_up = i->enabled;
	m->has_mac = i->has_mac;
	memcpy(m->mac, i->mac, sizeof(m->mac));
	m->urpf4 = urpf(&i->urpf4);
	m->urpf6 = urpf(&i->urpf6);
	m->acl_in[0] = acl_id(i->acl4.in_ref);
	m->acl_in[1] = acl_id(i->acl6.in_ref);
	m->acl_out[0] = acl_id(i->acl4.out_ref);
	m->acl_out[1] = acl_id(i->acl6.out_ref);
	m->inspect = i->inspect;
	m->nat = (uint8_t)i->nat;
	m->mtu4 = i->mtu4;
	m->mtu6 = i->mtu6;
	m->mss4 = i->mss4;
	m->mss6 = i->mss6;
	name_copy(m->name, i->name);
	build_host(&m->host, i);
	if (i->tunnel)
		build_tunnel(&m->tunnel, i->tunnel);
}

static int build_interfaces(struct build *b)
{
	struct cv_config *c = b->cfg;
	int r = 0;

	for (unsigned i = 0; !r && i < c->n_interface; i++)
		if (c->interface[i].type != CFG_IF_VLAN && c->interface[i].type != CFG_IF_TEMPLATE)
			r = build_interface(b, &c->interface[i]);
	for (unsigned i = 0; !r && i < c->n_interface; i++)
		if (c->interface[i].type == CFG_IF_VLAN) /* its parent has a number now */
			r = build_interface(b, &c->interface[i]);
	return r;
}

static void build_addresses(struct build *b, const struct cfg_interface *i)
{
	for (unsigned j = 0; j < i->n_addr; j++) {
		char text[CV_ADDR_STR];
		struct cv_if_addr *m;

		desired_path(b, PATH_IF "/address[ip='%s']", i->name, cv_addr_str(&i->addr[j].addr, text));
		m = desired_add(b, OBJ_ADDR, sizeof(*m));
		m->if_id = i->id;
		m->addr = i->addr[j].addr;
		m->plen = i->addr[j].plen;
	}
}

/* ---- routes ---- */

#define ROUTE_ORIGIN_STATIC 1

static void build_nexthop(struct cv_nexthop *to, const struct cfg_nexthop *nh)
{
	to->type = nh->type == CFG_NH_GATEWAY	  ? CV_NH_GATEWAY
		   : nh->type == CFG_NH_INTERFACE ? CV_NH_INTERFACE
						  : CV_NH_BLACKHOLE;
	to->weight = nh->weight;
	to->if_id = nh->if_ref ? nh->if_ref->id : 0;
	to->vrf_id = vrf_id(nh->vrf_ref);
	to->gw = nh->gw;
}

static void build_route(struct build *b, const struct cfg_route *rt)
{
	char text[CV_PREFIX_STR];
	struct cv_route *m;

	desired_path(b, PATH_ROUTE, rt->vrf ? rt->vrf : "", cv_prefix_str(&rt->prefix, text));
	m = desired_add(b, OBJ_ROUTE, sizeof(*m));
	m->vrf_id = vrf_id(rt->vrf_ref);
	m->prefix = rt->prefix;
	m->tag = rt->tag;
	m->distance = rt->distance;
	m->origin = ROUTE_ORIGIN_STATIC;
	m->n_nh = (uint16_t)rt->n_nh;
	for (unsigned i = 0; i < rt->n_nh; i++)
		build_nexthop(&m->nh[i], &rt->nh[i]);
}

/* ---- connections ---- */

_Static_assert(CFG_INSPECT_IN == CV_INSPECT_IN && CFG_INSPECT_OUT == CV_INSPECT_OUT &&
		       (int)CFG_NAT_INSIDE == CV_NAT_INSIDE && (int)CFG_NAT_OUTSIDE == CV_NAT_OUTSIDE,
	"copied as they are");

static bool tracks(const struct cv_config *c)
{
	for (unsigned i = 0; i < c->n_interface; i++)
		if (c->interface[i].inspect || c->interface[i].nat)
			return true;
	return false;
}

static void build_connections(struct build *b)
{
	const struct cfg_connections *c = &b->cfg->connections;
	struct cv_conn_limits *m;

	if (!c->max_entries || !tracks(b->cfg))
		return;
	desired_path(b, PATH_CONNECTIONS);
	m = desired_add(b, OBJ_CONNECTIONS, sizeof(*m));
	*m = (struct cv_conn_limits){.max_entries = c->max_entries,
		.tcp_s = c->tcp_s,
		.tcp_syn_s = c->tcp_syn_s,
		.tcp_fin_s = c->tcp_fin_s,
		.udp_s = c->udp_s,
		.icmp_s = c->icmp_s,
		.other_s = c->other_s,
		.half_open_high = c->half_open.high,
		.half_open_low = c->half_open.low,
		.minute_high = c->one_minute.high,
		.minute_low = c->one_minute.low};
}

/* ---- address translation ---- */

static void build_nat_rule(struct build *b, const struct cfg_nat_rule *r, uint32_t id)
{
	struct cv_nat_rule *m;

	desired_path(b, PATH_NAT_RULE, r->seq);
	m = desired_add(b, OBJ_NAT_RULE, sizeof(*m));
	m->rule_id = id;
	m->seq = r->seq;
	m->vrf_id = vrf_id(r->vrf_ref);
	m->if_id = r->if_ref ? r->if_ref->id : 0;
	m->acl_id = acl_id(r->acl_ref);
	m->first = r->first;
	m->last = r->last;
}

static void build_nat_static(struct build *b, const struct cfg_nat_static *s, uint32_t id)
{
	struct cv_nat_static *m;

	desired_path(b, PATH_NAT_STATIC, s->name);
	m = desired_add(b, OBJ_NAT_STATIC, sizeof(*m));
	m->static_id = id;
	m->vrf_id = vrf_id(s->vrf_ref);
	m->if_id = s->if_ref ? s->if_ref->id : 0;
	m->proto = s->proto;
	m->local_port = s->local_port;
	m->global_port = s->global_port;
	m->local = s->local;
	m->global = s->global;
}

static void build_nat(struct build *b)
{
	const struct cv_config *c = b->cfg;

	for (unsigned i = 0; i < c->n_nat_rule; i++)
		build_nat_rule(b, &c->nat_rule[i], i + 1);
	for (unsigned i = 0; i < c->n_nat_static; i++)
		build_nat_static(b, &c->nat_static[i], i + 1);
}

/* ---- SPDs ---- */

struct spd_scope {
	struct spd_ref ref;
	const char *name;
};

static void add_spd_ref(struct desired *d, const struct spd_ref *ref)
{
	d->spd = realloc(d->spd, (d->n_spd + 1) * sizeof(*d->spd));
	if (!d->spd)
		abort();
	d->spd[d->n_spd++] = *ref;
}

static void add_rule_ref(struct desired *d, const struct rule_ref *ref)
{
	d->rule = cv_array_need(d->rule, d->n_rule, &d->cap_rule, sizeof(*d->rule));
	d->rule[d->n_rule++] = *ref;
}

static int build_rule(
	struct build *b, const struct spd_scope *s, const struct cfg_map_entry *e, const struct cfg_acl_line *l)
{
	struct rule_ref ref = {.spd_id = s->ref.spd_id,
		.fvrf = s->ref.fvrf,
		.entry = e,
		.line = l,
		.local = s->ref.local,
		.tunnel_if = e->map->tunnel ? e->map->tunnel->id : 0};
	char key[KEY_MAX], sel[CV_SELECTOR_STR];
	struct cv_spd_rule *m;
	int r;

	/* VRF-4, 5: the inside VRF is the profile's, else the front VRF. */
	ref.ivrf = config_inside_vrf(e->profile_ref, s->ref.fvrf);
	desired_path(b, PATH_ENTRY "/access-list", ENTRY_PATH(e));
	/* SAs belong to a rule: one that protects something else is another rule. */
	snprintf(key, sizeof(key), "%s|%u|%u|%d|%d|%u|%s", s->name, e->seq, l->seq, l->permit, e->per_host, ref.ivrf,
		cv_selector_str(&l->sel, sel));
	r = desired_number(b, ID_RULE, key, &ref.rule_id);
	if (r)
		return r;
	m = desired_add(b, OBJ_RULE, sizeof(*m));
	m->spd_id = s->ref.spd_id;
	m->rule_id = ref.rule_id;
	m->prio = (uint64_t)cfg_entry_order(e->seq) << 32 | l->seq;
	m->action = l->permit ? CV_SPD_PROTECT : CV_SPD_BYPASS;
	m->flags = l->permit ? 0 : CV_RULE_SKIP_ENTRY;
	if (l->permit && e->per_host)
		m->flags |= CV_RULE_PER_HOST;
	if (l->permit && cfg_entry_is_dynamic(e))
		m->flags |= CV_RULE_NO_ACQUIRE; /* IPSEC-31, IPSEC-55: it never begins */
	m->vrf_id = ref.ivrf;
	m->sel = l->sel;
	m->dscp = l->dscp;
	if (l->permit)
		add_rule_ref(b->d, &ref);
	return 0;
}

/* An access list without lines: everything is dropped (IPSEC-59, IPSEC-60). */
static int build_empty(struct build *b, const struct spd_scope *s, const struct cfg_map_entry *e)
{
	static const uint8_t family[] = {CV_AF_INET, CV_AF_INET6};
	int r = 0;

	desired_path(b, PATH_ENTRY "/access-list", ENTRY_PATH(e));
	for (unsigned i = 0; !r && i < sizeof(family); i++) {
		struct cv_spd_rule rule = {.spd_id = s->ref.spd_id,
			.prio = (uint64_t)cfg_entry_order(e->seq) << 32,
			.action = CV_SPD_DISCARD,
			.vrf_id = config_inside_vrf(e->profile_ref, s->ref.fvrf)};
		char key[KEY_MAX];

		snprintf(key, sizeof(key), "%s|%u|empty|%u|%u", s->name, e->seq, rule.vrf_id, family[i]);
		r = desired_number(b, ID_RULE, key, &rule.rule_id);
		cv_selector_any(&rule.sel, family[i]);
		if (!r)
			*(struct cv_spd_rule *)desired_add(b, OBJ_RULE, sizeof(rule)) = rule;
	}
	return r;
}

static int build_rules(struct build *b, const struct spd_scope *s)
{
	int r = 0;

	for (unsigned i = 0; !r && i < s->ref.map->n_entry; i++) {
		const struct cfg_map_entry *e = &s->ref.map->entry[i];

		if (!e->acl_ref) /* a dynamic entry that takes any flow: it is ignored until there is one (IPSEC-59) */
			continue;
		if (!e->acl_ref->n_line)
			r = build_empty(b, s, e);
		for (unsigned j = 0; !r && j < e->acl_ref->n_line; j++) {
			r = build_rule(b, s, e, &e->acl_ref->line[j]);
			if (e->manual && e->acl_ref->line[j].permit)
				break; /* IPSEC-67 */
		}
	}
	return r;
}

/* A tunnel that ends elsewhere is another one: its SAs go with its rule. */
static void spd_key(char key[static KEY_MAX], const struct cfg_crypto_map *map, const struct cfg_interface *only)
{
	char src[CV_ADDR_STR], dst[CV_ADDR_STR];
	const struct cfg_tunnel *t = map->tunnel ? map->tunnel->tunnel : NULL;

	if (t)
		snprintf(key, KEY_MAX, "%s@%u|%u|%s|%s", map->name, map->tunnel->id, vrf_id(t->vrf_ref),
			cv_addr_str(&t->source, src), cv_addr_str(&t->destination, dst));
	else
		snprintf(key, KEY_MAX, "%s@%s", map->name, only ? only->name : "*");
}

static int build_spd(struct build *b, const struct cfg_crypto_map *map, const struct cfg_interface *only)
{
	const struct cfg_interface *local = map->local_ref ? map->local_ref : only;
	struct spd_scope s = {.ref = {.map = map, .local = local, .fvrf = vrf_id(config_front_vrf(local))}};
	char key[KEY_MAX];
	struct cv_spd *m;
	int r;

	spd_key(key, map, only);
	s.name = key;
	desired_path(b, PATH_MAP, map->name);
	r = desired_number(b, ID_SPD, key, &s.ref.spd_id);
	if (r)
		return r;
	add_spd_ref(b->d, &s.ref);
	m = desired_add(b, OBJ_SPD, sizeof(*m));
	m->spd_id = s.ref.spd_id;
	for (unsigned i = 0; i < b->cfg->n_interface; i++) {
		const struct cfg_interface *ifc = &b->cfg->interface[i];

		if (ifc->map_ref == map && (!only || ifc == only) && !map->tunnel) /* tunnels ask no policy */
			m->if_id[m->n_if++] = ifc->id;
	}
	return build_rules(b, &s);
}

static bool is_applied(const struct cv_config *c, const struct cfg_crypto_map *map)
{
	for (unsigned i = 0; i < c->n_interface; i++)
		if (c->interface[i].map_ref == map)
			return true;
	return false;
}

static int build_spds(struct build *b)
{
	struct cv_config *c = b->cfg;
	int r = 0;

	for (unsigned i = 0; !r && i < c->n_map; i++)
		if (c->map[i].local_ref && is_applied(c, &c->map[i]))
			r = build_spd(b, &c->map[i], NULL);
	for (unsigned i = 0; !r && i < c->n_interface; i++)
		if (c->interface[i].map_ref && !c->interface[i].map_ref->local_ref)
			r = build_spd(b, c->interface[i].map_ref, &c->interface[i]);
	for (unsigned i = 0; !r && i < c->n_map; i++) /* what their clones have of rules is put in later */
		if (c->map[i].template)
			r = build_spd(b, &c->map[i], c->map[i].template);
	return r;
}

/* ---- multicast routes ---- */

static void build_mroute(struct build *b, const struct cfg_mroute *r)
{
	char path[MROUTE_PATH_MAX];
	struct cv_mroute *m;

	desired_path(b, "%s", config_mroute_path(r, path));
	m = desired_add(b, OBJ_MROUTE, sizeof(*m));
	m->ref = (struct cv_mroute_ref){.vrf_id = vrf_id(r->vrf_ref), .group = r->group, .source = r->source};
	m->if_in = r->in_ref->id;
	for (unsigned i = 0; i < r->n_out; i++)
		m->out[m->n_out++] = (struct cv_mroute_out){.if_id = r->out[i].ref->id, .ttl = r->out[i].ttl};
}

/* ---- next hops of multipoint tunnels ---- */

/* What build_rules() has made of the first entry of a tunnel's map: one rule for each entry, in their order. */
static const struct rule_ref *first_rule(const struct desired *d, const struct cfg_crypto_map *m)
{
	for (unsigned i = 0; m && i < d->n_rule; i++)
		if (d->rule[i].entry == m->entry)
			return &d->rule[i];
	return NULL;
}

static void build_hops(struct build *b, const struct cfg_interface *i)
{
	const struct rule_ref *rule = i->tunnel && i->tunnel->n_hop ? first_rule(b->d, i->map_ref) : NULL;

	for (unsigned n = 0; i->tunnel && n < i->tunnel->n_hop; n++) {
		const struct cfg_tunnel_hop *h = &i->tunnel->hop[n];
		char text[CV_ADDR_STR];
		struct cv_tunnel_hop *m;

		desired_path(b, PATH_TUNNEL "/next-hop[address='%s']", i->name, cv_addr_str(&h->next_hop, text));
		m = desired_add(b, OBJ_HOP, sizeof(*m));
		m->ref.if_id = i->id;
		m->ref.next_hop = h->next_hop;
		m->outer = h->nbma;
		m->rule_id = rule ? rule[h->entry].rule_id : 0;
		m->flags = h->multicast ? CV_TUNNEL_HOP_MULTICAST : 0;
	}
}

/* ---- all of it ---- */

static int build_all(struct build *b)
{
	struct cv_config *c = b->cfg;
	int r = 0;

	build_platform(b);
	for (unsigned i = 0; !r && i < c->n_vrf; i++)
		r = build_vrf(b, &c->vrf[i]);
	for (unsigned i = 0; !r && i < c->n_acl; i++)
		if (c->acl[i].asked)
			r = build_acl(b, &c->acl[i]);
	if (!r)
		r = build_interfaces(b);
	for (unsigned i = 0; !r && i < c->n_interface; i++)
		build_addresses(b, &c->interface[i]);
	for (unsigned i = 0; !r && i < c->n_route; i++)
		build_route(b, &c->route[i]);
	for (unsigned i = 0; !r && i < c->n_mroute; i++)
		build_mroute(b, &c->mroute[i]);
	build_connections(b);
	build_nat(b);
	if (!r)
		r = build_spds(b);
	for (unsigned i = 0; !r && i < c->n_interface; i++)
		build_hops(b, &c->interface[i]);
	return r ? r : desired_qos(b);
}

static int rule_cmp(const void *a, const void *b)
{
	const struct rule_ref *x = a, *y = b;

	return x->rule_id < y->rule_id ? -1 : x->rule_id > y->rule_id;
}

static int entry_rule_cmp(const void *a, const void *b)
{
	const struct entry_rule *x = a, *y = b;

	if (x->entry != y->entry)
		return (uintptr_t)x->entry < (uintptr_t)y->entry ? -1 : 1;
	return x->rule_id < y->rule_id ? -1 : x->rule_id > y->rule_id;
}

static void index_rules(struct desired *d)
{
	if (!d->n_rule)
		return;
	qsort(d->rule, d->n_rule, sizeof(*d->rule), rule_cmp);
	d->entry_rule = calloc(d->n_rule, sizeof(*d->entry_rule));
	if (!d->entry_rule)
		abort();
	for (unsigned i = 0; i < d->n_rule; i++)
		d->entry_rule[i] = (struct entry_rule){d->rule[i].entry, d->rule[i].rule_id};
	d->n_entry_rule = d->n_rule;
	qsort(d->entry_rule, d->n_entry_rule, sizeof(*d->entry_rule), entry_rule_cmp);
}

struct desired *desired_build(
	struct cv_config *cfg, struct ids *ids, uint32_t max_workers, char err[static CFG_ERR_MAX])
{
	struct build b = {.cfg = cfg, .ids = ids, .err = err, .max_workers = max_workers};

	b.d = calloc(1, sizeof(*b.d));
	if (!b.d)
		abort();
	if (build_all(&b)) {
		desired_free(b.d);
		return NULL;
	}
	qsort(b.d->obj, b.d->n_obj, sizeof(*b.d->obj), dp_obj_cmp);
	index_rules(b.d);
	return b.d;
}

void desired_free(struct desired *d)
{
	if (!d)
		return;
	for (unsigned i = 0; i < d->n_obj; i++) {
		free(d->obj[i].body);
		free(d->obj[i].label);
	}
	for (unsigned i = 0; i < d->n_rule; i++)
		free(d->rule[i].own);
	free(d->obj);
	free(d->rule);
	free(d->entry_rule);
	free(d->spd);
	free(d);
}

struct dp_obj *desired_find(const struct desired *d, enum obj_kind kind, const void *body)
{
	struct dp_obj key = {.kind = kind, .body = (void *)(uintptr_t)body};

	return d && d->n_obj ? bsearch(&key, d->obj, d->n_obj, sizeof(key), dp_obj_cmp) : NULL;
}

/* How many objects are of kinds before this one. */
static unsigned kinds_before(const struct desired *d, enum obj_kind kind)
{
	unsigned lo = 0, hi = d ? d->n_obj : 0;

	while (lo < hi) {
		unsigned mid = (lo + hi) / 2;

		if (d->obj[mid].kind < kind)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

const struct dp_obj *desired_of_kind(const struct desired *d, enum obj_kind kind, unsigned *n)
{
	const unsigned first = kinds_before(d, kind);

	*n = kinds_before(d, kind + 1) - first;
	return *n ? &d->obj[first] : NULL;
}

const struct rule_ref *desired_rule(const struct desired *d, uint32_t rule_id)
{
	struct rule_ref key = {.rule_id = rule_id};

	return d && d->n_rule ? bsearch(&key, d->rule, d->n_rule, sizeof(key), rule_cmp) : NULL;
}

const struct entry_rule *desired_rules_of(const struct desired *d, const struct cfg_map_entry *entry, unsigned *n)
{
	unsigned lo = 0, hi = d ? d->n_entry_rule : 0, end = hi;

	while (lo < hi) {
		unsigned mid = (lo + hi) / 2;

		if ((uintptr_t)d->entry_rule[mid].entry < (uintptr_t)entry)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (*n = 0; lo + *n < end && d->entry_rule[lo + *n].entry == entry;)
		++*n;
	return *n ? &d->entry_rule[lo] : NULL;
}

/* ---- rules that come and go between commits ---- */

/* Bring the last element of a sorted array to its place. */
static void sink(void *array, unsigned n, size_t size, int (*cmp)(const void *a, const void *b))
{
	char *base = array, *last = base + (n - 1) * size;
	unsigned lo = 0, hi = n - 1;
	char copy[sizeof(struct rule_ref) > sizeof(struct dp_obj) ? sizeof(struct rule_ref) : sizeof(struct dp_obj)];

	while (lo < hi) {
		unsigned mid = (lo + hi) / 2;

		if (cmp(base + mid * size, last) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	memcpy(copy, last, size);
	memmove(base + (lo + 1) * size, base + lo * size, (n - 1 - lo) * size);
	memcpy(base + lo * size, copy, size);
}

const void *desired_put(struct desired *d, enum obj_kind kind, const void *body, size_t len, const char *label)
{
	struct build b = {.d = d};
	void *mine;

	desired_path(&b, "%s", label);
	mine = desired_add(&b, kind, len);
	memcpy(mine, body, len);
	sink(d->obj, d->n_obj, sizeof(*d->obj), dp_obj_cmp);
	return mine;
}

bool desired_take(struct desired *d, enum obj_kind kind, const void *body)
{
	struct dp_obj *o = desired_find(d, kind, body);

	if (!o)
		return false;
	free(o->body);
	free(o->label);
	memmove(o, o + 1, (size_t)(d->obj + --d->n_obj - o) * sizeof(*o));
	return true;
}

const struct cv_spd_rule *desired_add_rule(
	struct desired *d, const struct rule_ref *ref, const struct cv_spd_rule *rule, const char *label)
{
	struct rule_ref mine = *ref;
	const struct cv_spd_rule *body = desired_put(d, OBJ_RULE, rule, sizeof(*rule), label);

	mine.own = calloc(1, sizeof(*mine.own));
	if (!mine.own)
		abort();
	mine.own->permit = true;
	mine.own->sel = rule->sel;
	mine.own->dscp = rule->dscp;
	mine.line = mine.own;
	add_rule_ref(d, &mine);
	sink(d->rule, d->n_rule, sizeof(*d->rule), rule_cmp);
	return body;
}

void desired_remove_rule(struct desired *d, uint32_t rule_id)
{
	const struct rule_ref *found = desired_rule(d, rule_id);
	struct cv_spd_rule_ref ref = {.rule_id = rule_id};

	if (!found)
		return;
	ref.spd_id = found->spd_id;
	desired_take(d, OBJ_RULE, &ref);
	free(found->own);
	memmove(d->rule + (found - d->rule), found + 1, (size_t)(d->rule + --d->n_rule - found) * sizeof(*found));
}
