/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Virtual templates (VTI-22, 23). An IKE profile that names one gets a crypto map of its own, PROFILE@TEMPLATE, with
 * one entry without peer and access list: whoever the profile lets in may propose a flow, and gets an interface for it
 * (virtual_access.h). Nobody refers to the map by name; show commands print it.
 */
#include <stdio.h>
#include <string.h>

#include "config_priv.h"

#define MAP_NAME_MAX 160

static struct cfg_interface *template_of(const struct cv_config *c, const char *name)
{
	for (unsigned i = 0; i < c->n_interface; i++)
		if (c->interface[i].type == CFG_IF_TEMPLATE && !strcmp(c->interface[i].name, name))
			return &c->interface[i];
	return NULL;
}

static struct cfg_map_entry *add_entry(
	struct cv_config *c, const struct cfg_ipsec_profile *p, const struct cfg_ike_profile *ike)
{
	struct cfg_map_entry *e = config_alloc(c, 1, sizeof(*e));

	*e = p->policy;
	e->seq = 65535;
	e->ike_profile = ike->name;
	return e;
}

/* The policy of one IKE profile, in the room made for it. */
static int add_policy(struct config_check *k, struct cfg_ike_profile *ike)
{
	struct cv_config *c = k->c;
	const struct cfg_interface *t = template_of(c, ike->virtual_template);
	const struct cfg_ipsec_profile *p;
	struct cfg_crypto_map *m = &c->map[c->n_map];
	char name[MAP_NAME_MAX];

	if (!t || !t->tunnel)
		return check_fail(k, PATH_PROFILE "/culvert-tunnel:virtual-template: no virtual template named '%.64s'",
			ike->name, ike->virtual_template);
	if (ike->vrf)
		return check_fail(k,
			PATH_PROFILE "/vrf: '%.64s' is set, but the profile uses virtual template '%s'; the inside VRF "
				     "is that of the template (VTI-14)",
			ike->name, ike->vrf, t->name);
	p = config_ipsec_profile(c, t->tunnel->profile);
	if (!p)
		return check_fail(
			k, PATH_TEMPLATE "/profile: no IPsec profile named '%.64s'", t->name, t->tunnel->profile);
	ike->vrf = t->vrf;
	ike->inside_global = !t->vrf;
	snprintf(name, sizeof(name), "%.64s@%.64s", ike->name, t->name);
	*m = (struct cfg_crypto_map){.name = config_strdup(c, name), .n_entry = 1, .template = t};
	m->entry = add_entry(c, p, ike);
	c->n_map++;
	return 0;
}

int config_add_templates(struct config_check *k)
{
	struct cv_config *c = k->c;
	unsigned n = 0;
	int r = 0;

	for (unsigned i = 0; i < c->n_ike_profile; i++)
		n += c->ike_profile[i].virtual_template && !c->ike_profile[i].builtin;
	if (!n)
		return 0;
	c->map = config_grow(c, c->map, c->n_map, n, sizeof(*c->map));
	for (unsigned i = 0; !r && i < c->n_ike_profile; i++)
		if (c->ike_profile[i].virtual_template && !c->ike_profile[i].builtin)
			r = add_policy(k, &c->ike_profile[i]);
	return r;
}

/* ---- checks ---- */

int config_check_template(struct config_check *k, const struct cfg_interface *i)
{
	if (!i->tunnel)
		return check_fail(k, PATH_TEMPLATE ": missing; a template needs one", i->name);
	if (i->n_addr)
		return check_fail(k,
			PATH_IF
			"/ietf-ip:ipv4: the clones of a template cannot all have one address; leave it out: they need "
			"none of their own",
			i->name);
	if (i->crypto_map)
		return check_fail(
			k, PATH_IF "/culvert-ipsec:crypto-map: a template is protected by its IPsec profile", i->name);
	return 0;
}

int config_check_template_entry(struct config_check *k, const struct cfg_map_entry *e)
{
	const struct cfg_interface *t = e->map->template;

	if (!t && !e->manual && e->profile_ref->virtual_template)
		return check_fail(k,
			PATH_ENTRY "/ike-profile: '%s' names virtual template '%s', and an IKE SA serves either an "
				   "interface or a crypto map (VTI-9); give one of them another profile",
			ENTRY_PATH(e), e->profile_ref->name, e->profile_ref->virtual_template);
	for (unsigned n = 0; t && n < e->n_transform_set; n++)
		if (e->ts_ref[n]->transport)
			return check_fail(k,
				PATH_TEMPLATE "/profile: transform set '%s' of profile '%s' is transport mode; a "
					      "template needs tunnel mode (VTI-6)",
				t->name, e->ts_ref[n]->name, t->tunnel->profile);
	return 0;
}
