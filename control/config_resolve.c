/* SPDX-License-Identifier: BSD-3-Clause */
/* Names become pointers. What the checks of the values say is in config_check_*.c. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config_priv.h"
#include "cv_addr.h"

int check_fail(struct config_check *k, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(k->err, CFG_ERR_MAX, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

void check_warn(struct config_check *k, const char *fmt, ...)
{
	char text[CFG_ERR_MAX];
	va_list ap;

	if (!k->warn)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	k->warn(k->arg, text);
}

/* ---- name indexes ---- */

static int slot_cmp(const void *a, const void *b)
{
	return strcmp(((const struct name_slot *)a)->name, ((const struct name_slot *)b)->name);
}

void *check_find(const struct name_index *ix, const char *name)
{
	struct name_slot key = {.name = name};
	struct name_slot *s = ix->n ? bsearch(&key, ix->slot, ix->n, sizeof(key), slot_cmp) : NULL;

	return s ? s->obj : NULL;
}

/* "; known: a, b, c": what would have been valid. */
static const char *known(const struct name_index *ix, char buf[static 160])
{
	size_t len = (size_t)snprintf(buf, 160, ix->n ? "; known: " : "; none is configured");

	for (unsigned i = 0; i < ix->n; i++) {
		size_t need = strlen(ix->slot[i].name) + 2;

		if (len + need + 4 > 160) {
			snprintf(buf + len, 160 - len, ", ...");
			break;
		}
		len += (size_t)snprintf(buf + len, 160 - len, "%s%s", i ? ", " : "", ix->slot[i].name);
	}
	return buf;
}

/*
 * Index n objects of the given size whose first member is their name; every cfg_ structure that is referred to starts
 * with it. max_len bounds names that travel to the dataplane; 0 = no bound.
 */
static int index_build(struct config_check *k, struct name_index *ix, const char *what, const char *path, void *array,
	unsigned n, size_t size, size_t max_len)
{
	ix->what = what;
	ix->slot = calloc(n ? n : 1, sizeof(*ix->slot));
	if (!ix->slot)
		abort();
	for (unsigned i = 0; i < n; i++) {
		void *obj = (char *)array + i * size;
		const char *name = *(const char **)obj;

		if (!name || !*name)
			return check_fail(k, "%s: a %s without a name; 1..%u characters", path, what, CV_NAME_MAX - 1);
		if (max_len && strlen(name) >= max_len)
			return check_fail(
				k, "%s[name='%s']: name too long; at most %zu characters", path, name, max_len - 1);
		ix->slot[ix->n++] = (struct name_slot){name, obj};
	}
	qsort(ix->slot, ix->n, sizeof(*ix->slot), slot_cmp);
	for (unsigned i = 1; i < ix->n; i++)
		if (!strcmp(ix->slot[i - 1].name, ix->slot[i].name))
			return check_fail(k, "%s[name='%s']: defined twice; names of %ss are unique", path,
				ix->slot[i].name, what);
	return 0;
}

_Static_assert(offsetof(struct cfg_vrf, name) == 0, "index_build");
_Static_assert(offsetof(struct cfg_interface, name) == 0, "index_build");
_Static_assert(offsetof(struct cfg_acl, name) == 0, "index_build");
_Static_assert(offsetof(struct cfg_class_map, name) == 0, "index_build");
_Static_assert(offsetof(struct cfg_policy_map, name) == 0, "index_build");
_Static_assert(offsetof(struct cfg_ike_proposal, name) == 0, "index_build");
_Static_assert(offsetof(struct cfg_keyring, name) == 0, "index_build");
_Static_assert(offsetof(struct cfg_ppk, id) == 0, "index_build");
_Static_assert(offsetof(struct cfg_ike_profile, name) == 0, "index_build");
_Static_assert(offsetof(struct cfg_transform_set, name) == 0, "index_build");
_Static_assert(offsetof(struct cfg_crypto_map, name) == 0, "index_build");
_Static_assert(offsetof(struct cfg_radius_server, name) == 0, "index_build");
_Static_assert(offsetof(struct cfg_aaa_group, name) == 0, "index_build");
_Static_assert(offsetof(struct certmap, name) == 0, "index_build");
_Static_assert(offsetof(struct certmap_identity, name) == 0, "index_build");

#define INDEX(field, what, path, array, max)                                                                           \
	index_build(k, &k->field, what, path, c->array, c->n_##array, sizeof(*c->array), max)

int config_index(struct config_check *k)
{
	struct cv_config *c = k->c;
	int r;

	(void)((r = INDEX(vrf, "VRF", "/culvert-vrf:vrfs/vrf", vrf, CV_NAME_MAX)) ||
		(r = INDEX(intf, "interface", "/ietf-interfaces:interfaces/interface", interface, CV_NAME_MAX)) ||
		(r = INDEX(acl, "access-list", "/culvert-acl:access-lists/access-list", acl, 0)) ||
		(r = INDEX(class_map, "class map", "/culvert-qos:qos/class-map", class_map, 0)) ||
		(r = INDEX(policy_map, "policy map", "/culvert-qos:qos/policy-map", policy_map, 0)) ||
		(r = INDEX(proposal, "proposal", "/culvert-ike:ike/proposal", ike_proposal, 0)) ||
		(r = INDEX(keyring, "keyring", "/culvert-ike:ike/keyring", keyring, 0)) ||
		(r = INDEX(ppk, "ppk", "/culvert-ike:ike/ppk", ppk, 0)) ||
		(r = INDEX(profile, "ike-profile", "/culvert-ike:ike/profile", ike_profile, 0)) ||
		(r = INDEX(ts, "transform-set", "/culvert-ipsec:ipsec/transform-set", transform_set, 0)) ||
		(r = INDEX(map, "crypto map", "/culvert-ipsec:ipsec/crypto-map", map, 0)) ||
		(r = INDEX(cert_map, "certificate map", "/culvert-pki:pki/certificate-map", cert_map, 0)) ||
		(r = INDEX(identity, "crypto identity", "/culvert-pki:pki/identity", identity, 0)) ||
		(r = INDEX(radius_server, "radius-server", "/culvert-aaa:aaa/radius-server", radius_server, 0)) ||
		(r = INDEX(aaa_group, "AAA server-group", "/culvert-aaa:aaa/server-group", aaa_group, 0)));
	return r;
}

void config_index_free(struct config_check *k)
{
	struct name_index *all[] = {&k->vrf, &k->intf, &k->acl, &k->class_map, &k->policy_map, &k->proposal,
		&k->keyring, &k->profile, &k->ts, &k->map, &k->ppk, &k->cert_map, &k->identity, &k->radius_server,
		&k->aaa_group};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		free(all[i]->slot);
}

/* ---- references ---- */

/* Look name up for the leaf at path (a format's result); NULL name = NULL reference and no error. */
static int refer(struct config_check *k, const struct name_index *ix, const char *name, const void **ref,
	const char *path_fmt, ...) __attribute__((format(printf, 5, 6)));
static int refer(struct config_check *k, const struct name_index *ix, const char *name, const void **ref,
	const char *path_fmt, ...)
{
	char path[256], list[160];
	va_list ap;

	*ref = name ? check_find(ix, name) : NULL;
	if (!name || *ref)
		return 0;
	va_start(ap, path_fmt);
	vsnprintf(path, sizeof(path), path_fmt, ap);
	va_end(ap);
	return check_fail(k, "%s: no %s named '%.64s'%s", path, ix->what, name, known(ix, list));
}

#define REF(field) ((const void **)(void *)&(field))

static int refer_tunnel(struct config_check *k, struct cfg_interface *i)
{
	struct cfg_tunnel *t = i->tunnel;
	const struct cfg_interface *from;
	int r;

	if ((r = refer(k, &k->vrf, t->vrf, REF(t->vrf_ref), PATH_TUNNEL "/vrf", i->name)) ||
		(r = refer(k, &k->intf, t->source_if, REF(from), PATH_TUNNEL "/source-interface", i->name)))
		return r;
	return 0;
}

/* A list that an interface filters by. */
static int refer_filter(struct config_check *k, const char *name, const struct cfg_acl **ref,
	const struct cfg_interface *i, const char *family, const char *way)
{
	int r = refer(k, &k->acl, name, REF(*ref), PATH_IF "/culvert-acl:access-group/%s/%s", i->name, family, way);

	if (!r && *ref)
		((struct cfg_acl *)check_find(&k->acl, name))->asked = true;
	return r;
}

static int refer_filters(struct config_check *k, struct cfg_interface *i)
{
	int r;

	(void)((r = refer_filter(k, i->acl4.in, &i->acl4.in_ref, i, "ipv4", "in")) ||
		(r = refer_filter(k, i->acl4.out, &i->acl4.out_ref, i, "ipv4", "out")) ||
		(r = refer_filter(k, i->acl6.in, &i->acl6.in_ref, i, "ipv6", "in")) ||
		(r = refer_filter(k, i->acl6.out, &i->acl6.out_ref, i, "ipv6", "out")));
	return r;
}

static int refer_interface(struct config_check *k, struct cfg_interface *i)
{
	int r;

	(void)((r = refer(k, &k->vrf, i->vrf, REF(i->vrf_ref), PATH_IF "/culvert-vrf:vrf", i->name)) ||
		(r = refer(k, &k->intf, i->parent, REF(i->parent_ref), PATH_IF "/culvert-platform:parent", i->name)) ||
		(r = refer(k, &k->map, i->crypto_map, REF(i->map_ref), PATH_IF "/culvert-ipsec:crypto-map", i->name)) ||
		(r = refer(k, &k->policy_map, i->policy_in, REF(i->policy_in_ref),
			 PATH_IF "/culvert-qos:service-policy/input", i->name)) ||
		(r = refer(k, &k->policy_map, i->policy_out, REF(i->policy_out_ref),
			 PATH_IF "/culvert-qos:service-policy/output", i->name)));
	if (!r)
		r = refer_filters(k, i);
	return r || !i->tunnel ? r : refer_tunnel(k, i);
}

static int refer_nexthop(
	struct config_check *k, const struct cfg_route *rt, struct cfg_nexthop *nh, unsigned i, const char *prefix)
{
	const char *vrf = rt->vrf ? rt->vrf : "";
	int r = refer(
		k, &k->intf, nh->interface, REF(nh->if_ref), PATH_ROUTE "/next-hop[%u]/interface", vrf, prefix, i + 1);

	if (!r)
		r = refer(k, &k->vrf, nh->vrf, REF(nh->vrf_ref), PATH_ROUTE "/next-hop[%u]/gateway-vrf", vrf, prefix,
			i + 1);
	if (!nh->vrf && !nh->global)
		nh->vrf_ref = rt->vrf_ref;
	return r;
}

static int refer_route(struct config_check *k, struct cfg_route *rt)
{
	const char *vrf = rt->vrf ? rt->vrf : "";
	char prefix[CV_PREFIX_STR];
	int r;

	cv_prefix_str(&rt->prefix, prefix);
	r = refer(k, &k->vrf, rt->vrf, REF(rt->vrf_ref), PATH_ROUTE "/vrf", vrf, prefix);
	for (unsigned i = 0; !r && i < rt->n_nh; i++)
		r = refer_nexthop(k, rt, &rt->nh[i], i, prefix);
	return r;
}

static int refer_binding(struct config_check *k, struct cfg_binding *b, const char *path, const char *name)
{
	int r = refer(k, &k->intf, b->interface, REF(b->if_ref), "%s[name='%s']/local-address/interface", path, name);

	return r ? r : refer(k, &k->vrf, b->vrf, REF(b->vrf_ref), "%s[name='%s']/local-address/vrf", path, name);
}

static int refer_profile(struct config_check *k, struct cfg_ike_profile *p)
{
	int r;

	p->keyring_ref = config_alloc(k->c, p->n_keyring, sizeof(*p->keyring_ref));
	r = refer(k, &k->vrf, p->vrf, REF(p->vrf_ref), PATH_PROFILE "/vrf", p->name);
	if (!r)
		r = refer(k, &k->vrf, p->match_fvrf, REF(p->match_fvrf_ref), PATH_PROFILE "/match-front-vrf", p->name);
	if (!r)
		r = refer_binding(k, &p->local, "/culvert-ike:ike/profile", p->name);
	for (unsigned i = 0; !r && i < p->n_keyring; i++)
		r = refer(k, &k->keyring, p->keyring[i], REF(p->keyring_ref[i]), PATH_PROFILE "/keyring", p->name);
	p->ppk_ref = config_alloc(k->c, p->n_ppk, sizeof(*p->ppk_ref));
	for (unsigned i = 0; !r && i < p->n_ppk; i++)
		r = refer(k, &k->ppk, p->ppk[i], REF(p->ppk_ref[i]), PATH_PROFILE "/ppk/id", p->name);
	p->match_cert_ref = config_alloc(k->c, p->n_match_cert, sizeof(*p->match_cert_ref));
	for (unsigned i = 0; !r && i < p->n_match_cert; i++)
		r = refer(k, &k->cert_map, p->match_cert[i], REF(p->match_cert_ref[i]),
			PATH_PROFILE "/match-certificate", p->name);
	if (!r)
		r = config_trust_of(k, p);
	if (!r)
		r = config_pair_of(k, p);
	if (!p->n_proposal) { /* the built-in ones */
		p->proposal = config_alloc(k->c, 2, sizeof(*p->proposal));
		p->proposal[p->n_proposal++] = "default-gcm";
		p->proposal[p->n_proposal++] = "default-cbc";
	}
	p->proposal_ref = config_alloc(k->c, p->n_proposal, sizeof(*p->proposal_ref));
	for (unsigned i = 0; !r && i < p->n_proposal; i++)
		r = refer(k, &k->proposal, p->proposal[i], REF(p->proposal_ref[i]), PATH_PROFILE "/proposal", p->name);
	return r;
}

static int refer_entry(struct config_check *k, struct cfg_crypto_map *m, struct cfg_map_entry *e)
{
	/* VRF-36: the entry's profile wins over the map's. */
	const char *profile = e->ike_profile ? e->ike_profile : m->ike_profile ? m->ike_profile : DEFAULT_PROFILE_NAME;
	int r;

	e->map = m;
	if (!e->n_transform_set && !k->c->no_default_transform_set) { /* USAB-16 */
		e->transform_set = config_alloc(k->c, 2, sizeof(*e->transform_set));
		e->transform_set[e->n_transform_set++] = DEFAULT_TS_1;
		e->transform_set[e->n_transform_set++] = DEFAULT_TS_0;
	}
	e->ts_ref = config_alloc(k->c, e->n_transform_set, sizeof(*e->ts_ref));
	r = m->tunnel ? 0 : refer(k, &k->acl, e->acl, REF(e->acl_ref), PATH_ENTRY "/access-list", ENTRY_PATH(e));
	if (!r)
		r = refer(k, &k->profile, profile, REF(e->profile_ref), PATH_ENTRY "/ike-profile", ENTRY_PATH(e));
	if (!r)
		r = refer(k, &k->identity, e->identity, REF(e->identity_ref), PATH_ENTRY "/identity", ENTRY_PATH(e));
	for (unsigned i = 0; !r && i < e->n_transform_set; i++)
		r = refer(
			k, &k->ts, e->transform_set[i], REF(e->ts_ref[i]), PATH_ENTRY "/transform-set", ENTRY_PATH(e));
	return r;
}

static int refer_map(struct config_check *k, struct cfg_crypto_map *m)
{
	const void *profile;
	int r = refer(k, &k->intf, m->local_address, REF(m->local_ref), PATH_MAP "/local-address", m->name);

	if (!r)
		r = refer(k, &k->profile, m->ike_profile, &profile, PATH_MAP "/ike-profile", m->name);
	for (unsigned i = 0; !r && i < m->n_entry; i++)
		r = refer_entry(k, m, &m->entry[i]);
	return r;
}

static int refer_class_map(struct config_check *k, struct cfg_class_map *m)
{
	int r = 0;

	m->acl_ref = config_alloc(k->c, m->n_acl, sizeof(*m->acl_ref));
	m->interface_ref = config_alloc(k->c, m->n_interface, sizeof(*m->interface_ref));
	for (unsigned i = 0; !r && i < m->n_acl; i++)
		r = refer(k, &k->acl, m->acl[i], REF(m->acl_ref[i]), PATH_CLASS_MAP "/access-group", m->name);
	for (unsigned i = 0; !r && i < m->n_interface; i++)
		r = refer(k, &k->intf, m->interface[i], REF(m->interface_ref[i]), PATH_CLASS_MAP "/input-interface",
			m->name);
	return r;
}

static int refer_policy_map(struct config_check *k, struct cfg_policy_map *p)
{
	int r = 0;

	for (unsigned i = 0; !r && i < p->n_cls; i++)
		if (strcmp(p->cls[i].name, CFG_CLASS_DEFAULT))
			r = refer(k, &k->class_map, p->cls[i].name, REF(p->cls[i].map), PATH_CLASS, p->name,
				p->cls[i].name);
	return r;
}

int config_references(struct config_check *k)
{
	struct cv_config *c = k->c;
	int r = 0;

	for (unsigned i = 0; !r && i < c->n_class_map; i++)
		r = refer_class_map(k, &c->class_map[i]);
	for (unsigned i = 0; !r && i < c->n_policy_map; i++)
		r = refer_policy_map(k, &c->policy_map[i]);

	for (unsigned i = 0; !r && i < c->n_interface; i++)
		r = refer_interface(k, &c->interface[i]);
	for (unsigned i = 0; !r && i < c->n_route; i++)
		r = refer_route(k, &c->route[i]);
	for (unsigned i = 0; !r && i < c->n_keyring; i++) {
		r = refer(k, &k->vrf, c->keyring[i].vrf, REF(c->keyring[i].vrf_ref), PATH_KEYRING "/vrf",
			c->keyring[i].name);
		if (!r)
			r = refer_binding(k, &c->keyring[i].local, "/culvert-ike:ike/keyring", c->keyring[i].name);
	}
	for (unsigned i = 0; !r && i < c->n_ike_profile; i++)
		r = refer_profile(k, &c->ike_profile[i]);
	if (!r)
		r = config_check_cert_maps(k);
	for (unsigned i = 0; !r && i < c->n_map; i++)
		r = refer_map(k, &c->map[i]);
	return r;
}

int config_resolve(
	struct cv_config *c, char err[static CFG_ERR_MAX], void (*warn)(void *arg, const char *text), void *arg)
{
	struct config_check k = {.c = c, .err = err, .warn = warn, .arg = arg};
	int r;

	err[0] = '\0';
	config_add_builtins(c);
	if (config_add_dynamic(&k) || config_add_tunnels(&k) || config_add_templates(&k))
		return -EINVAL;
	config_inherit(c);
	(void)((r = config_load_pki(&k)) || (r = config_load_rsa(&k)) || (r = config_index(&k)) ||
		(r = config_references(&k)) || (r = config_check_network(&k)) || (r = config_check_qos(&k)) ||
		(r = config_check_firewall(&k)) || (r = config_check_multicast(&k)) || (r = config_check_ike(&k)) ||
		(r = config_check_aaa(&k)) || (r = config_check_crypto(&k)));
	config_index_free(&k);
	if (!r) {
		config_index_entries(c);
		config_warn_shared_peers(&k);
	}
	return r;
}
