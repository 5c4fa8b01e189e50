/* SPDX-License-Identifier: BSD-3-Clause */
/* AAA: servers, the groups that name them, and what profiles ask of them (VRF-34, VRF-53, AGGR-7). */
#include "config_priv.h"
#include "cv_addr.h"

#define PATH_SERVER "/culvert-aaa:aaa/radius-server[name='%s']"
#define PATH_GROUP "/culvert-aaa:aaa/server-group[name='%s']"

static int check_server(struct config_check *k, const struct cfg_radius_server *s)
{
	if (s->source.af && s->source.af != s->addr.af)
		return check_fail(k, PATH_SERVER "/source-address: of another family than the address", s->name);
	if (!s->need_message_authenticator)
		check_warn(k,
			PATH_SERVER "/require-message-authenticator: false, so that whoever is on the way can turn a "
				    "refusal into an acceptance (CVE-2024-3596)",
			s->name);
	return 0;
}

static int refer_group(struct config_check *k, struct cfg_aaa_group *g)
{
	if (g->n_server > CFG_AAA_GROUP_MAX)
		return check_fail(
			k, PATH_GROUP "/server: %u of them; at most %u", g->name, g->n_server, CFG_AAA_GROUP_MAX);
	for (unsigned i = 0; i < g->n_server; i++) {
		const struct cfg_radius_server *s = check_find(&k->radius_server, g->server[i]);
		if (!s)
			return check_fail(
				k, PATH_GROUP "/server: no radius-server named '%.64s'", g->name, g->server[i]);
		g->server_index[i] = (unsigned)(s - k->c->radius_server);
	}
	return 0;
}

static int refer_profile(struct config_check *k, struct cfg_ike_profile *p)
{
	const struct {
		const char *name, *leaf;
		const struct cfg_aaa_group **ref;
	} group[] = {{p->aaa_authentication, "authentication", &p->aaa_authentication_ref},
		{p->aaa_authorization, "authorization", &p->aaa_authorization_ref}};
	for (unsigned i = 0; i < 2; i++) {
		*group[i].ref = group[i].name ? check_find(&k->aaa_group, group[i].name) : NULL;
		if (group[i].name && !*group[i].ref)
			return check_fail(k, PATH_PROFILE "/aaa/%s: no AAA server-group named '%.64s'", p->name,
				group[i].leaf, group[i].name);
	}
	if (p->aaa_authentication && p->xauth != CFG_XAUTH_SERVER)
		check_warn(k, PATH_PROFILE "/aaa/authentication: nobody logs in without xauth/role server", p->name);
	if (p->aaa_authorization && !p->aggressive_psk)
		check_warn(k,
			PATH_PROFILE "/aaa/authorization: only aggressive mode asks for keys, and "
				     "aggressive-mode/allow-preshared-key is false",
			p->name);
	return 0;
}

int config_check_aaa(struct config_check *k)
{
	struct cv_config *c = k->c;
	int r = 0;
	for (unsigned i = 0; !r && i < c->n_radius_server; i++)
		r = check_server(k, &c->radius_server[i]);
	for (unsigned i = 0; !r && i < c->n_aaa_group; i++)
		r = refer_group(k, &c->aaa_group[i]);
	for (unsigned i = 0; !r && i < c->n_ike_profile; i++)
		r = refer_profile(k, &c->ike_profile[i]);
	return r;
}
