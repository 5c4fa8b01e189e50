/* SPDX-License-Identifier: BSD-3-Clause */
#include "cfgbuild.h"

#include <assert.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "cv_addr.h"

static void must(int r)
{
	if (r)
		__builtin_trap();
}

void cfgbuild_addr(struct cv_config *c, struct cfg_interface *i, const char *text)
{
	if (!i->addr)
		i->addr = config_alloc(c, CFGBUILD_SPARE, sizeof(*i->addr));
	must(cv_ifaddr_parse(text, &i->addr[i->n_addr].addr, &i->addr[i->n_addr].plen));
	i->n_addr++;
}

void cfgbuild_line(struct cfg_acl *a, uint32_t seq, bool permit, const char *src, const char *dst)
{
	struct cfg_acl_line *l = &a->line[a->n_line++];
	struct cv_prefix p;

	memset(l, 0, sizeof(*l));
	l->seq = seq;
	l->permit = permit;
	l->sel.sport_hi = l->sel.dport_hi = UINT16_MAX;
	must(cv_prefix_parse(src, &p));
	cv_prefix_to_range(&p, &l->sel.src);
	must(cv_prefix_parse(dst, &p));
	cv_prefix_to_range(&p, &l->sel.dst);
}

struct cfg_map_entry *cfgbuild_entry(
	struct cv_config *c, struct cfg_crypto_map *m, uint32_t seq, const char *acl, const char *peer)
{
	struct cfg_map_entry *e = &m->entry[m->n_entry++];

	e->seq = seq;
	e->acl = acl;
	e->peer = config_alloc(c, CFGBUILD_SPARE, sizeof(*e->peer));
	must(cv_addr_parse(peer, &e->peer[e->n_peer++]));
	e->transform_set = config_alloc(c, 7, sizeof(*e->transform_set));
	e->transform_set[e->n_transform_set++] = "gcm";
	e->replay_window = 64;
	return e;
}

void cfgbuild_route(struct cv_config *c, const char *prefix, const char *gw)
{
	struct cfg_route *r = &c->route[c->n_route++];

	must(cv_prefix_parse(prefix, &r->prefix));
	r->nh = config_alloc(c, CFGBUILD_SPARE, sizeof(*r->nh));
	r->nh[0].type = CFG_NH_GATEWAY;
	must(cv_addr_parse(gw, &r->nh[0].gw));
	r->n_nh = 1;
}

static void interfaces(struct cv_config *c)
{
	static const char *const name[] = {"lan", "wan"}, *const addr[] = {"10.1.0.1/24", "192.0.2.1/24"},
				 *const device[] = {"net_null0", "net_null1"};

	c->interface = config_alloc(c, 2 + CFGBUILD_SPARE, sizeof(*c->interface));
	for (c->n_interface = 0; c->n_interface < 2; c->n_interface++) {
		struct cfg_interface *i = &c->interface[c->n_interface];

		i->name = name[c->n_interface];
		i->type = CFG_IF_ETHERNET;
		i->enabled = true;
		i->device = device[c->n_interface];
		cfgbuild_addr(c, i, addr[c->n_interface]);
	}
	c->interface[1].crypto_map = "vpn";
}

static void crypto(struct cv_config *c)
{
	c->acl = config_alloc(c, 1 + CFGBUILD_SPARE, sizeof(*c->acl));
	for (unsigned i = 0; i < 1 + CFGBUILD_SPARE; i++)
		c->acl[i].line = config_alloc(c, 1 + CFGBUILD_SPARE, sizeof(*c->acl[i].line));
	c->acl[c->n_acl++].name = "site2";
	cfgbuild_line(&c->acl[0], 10, true, "10.1.0.0/24", "10.2.0.0/24");

	c->transform_set = config_alloc(c, 1 + CFGBUILD_SPARE, sizeof(*c->transform_set));
	c->transform_set[c->n_transform_set++] =
		(struct cfg_transform_set){.name = "gcm", .suite = {.encr = CV_ENCR_AES256_GCM16}};

	c->map = config_alloc(c, 1 + CFGBUILD_SPARE, sizeof(*c->map));
	for (unsigned i = 0; i < 1 + CFGBUILD_SPARE; i++)
		c->map[i].entry = config_alloc(c, 1 + CFGBUILD_SPARE, sizeof(*c->map[i].entry));
	c->map[c->n_map++].name = "vpn";
	cfgbuild_entry(c, &c->map[0], 10, "site2", "192.0.2.2");
}

static void keys(struct cv_config *c)
{
	struct cfg_keyring *k;

	c->keyring = config_alloc(c, 1 + CFGBUILD_SPARE, sizeof(*c->keyring));
	for (unsigned i = 0; i < 1 + CFGBUILD_SPARE; i++)
		c->keyring[i].psk = config_alloc(c, 1 + CFGBUILD_SPARE, sizeof(*c->keyring[i].psk));
	k = &c->keyring[c->n_keyring++];
	k->name = "keys";
	must(cv_prefix_parse("192.0.2.2", &k->psk[0].peer));
	k->psk[0].key = config_secret(c, "secret", 6);
	k->psk[0].key_len = 6;
	k->n_psk = 1;
}

struct cv_config *cfgbuild_gateway(void)
{
	struct cv_config *c = config_new();

	assert(c);
	c->vrf = config_alloc(c, CFGBUILD_SPARE, sizeof(*c->vrf));
	c->ike_policy = config_alloc(c, CFGBUILD_SPARE, sizeof(*c->ike_policy));
	c->ike_proposal = config_alloc(c, CFGBUILD_SPARE, sizeof(*c->ike_proposal));
	c->ike_profile = config_alloc(c, CFGBUILD_SPARE, sizeof(*c->ike_profile));
	c->peer = config_alloc(c, CFGBUILD_SPARE, sizeof(*c->peer));
	c->route = config_alloc(c, 1 + CFGBUILD_SPARE, sizeof(*c->route));
	interfaces(c);
	cfgbuild_route(c, "0.0.0.0/0", "192.0.2.2");
	crypto(c);
	keys(c);
	return c;
}

void cfgbuild_refused(struct cv_config *c, const char *path, const char *why)
{
	char err[CFG_ERR_MAX];

	assert_int_equal(config_resolve(c, err, NULL, NULL), -22);
	if (strncmp(err, path, strlen(path)) || !strstr(err, why))
		fail_msg("'%s' is not '%s...%s'", err, path, why);
}
