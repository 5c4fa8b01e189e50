/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What applies when the operator writes nothing: today's safe algorithms (RFC 8247, RFC 8221), listed after everything
 * the operator wrote (IKE-23).
 */
#include <string.h>

#include "config_priv.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* Numbers above the operator's range (IKE-17), so that they sort last. */
static const struct cfg_ike_policy builtin_policy[] = {
	{65507, IKE_ENCR_AES_CBC, 256, IKE_PRF_HMAC_SHA256, CFG_AUTH_PSK, IKE_GROUP_ECP256, DEFAULT_IKE_LIFETIME_S,
		true},
	{65508, IKE_ENCR_AES_CBC, 256, IKE_PRF_HMAC_SHA256, CFG_AUTH_PSK, IKE_GROUP_MODP2048, DEFAULT_IKE_LIFETIME_S,
		true},
	{65509, IKE_ENCR_AES_CBC, 128, IKE_PRF_HMAC_SHA256, CFG_AUTH_PSK, IKE_GROUP_ECP256, DEFAULT_IKE_LIFETIME_S,
		true},
	{65510, IKE_ENCR_AES_CBC, 128, IKE_PRF_HMAC_SHA256, CFG_AUTH_PSK, IKE_GROUP_MODP2048, DEFAULT_IKE_LIFETIME_S,
		true},
	{65511, IKE_ENCR_AES_CBC, 256, IKE_PRF_HMAC_SHA384, CFG_AUTH_PSK, IKE_GROUP_ECP384, DEFAULT_IKE_LIFETIME_S,
		true},
	{65512, IKE_ENCR_AES_CBC, 256, IKE_PRF_HMAC_SHA384, CFG_AUTH_PSK, IKE_GROUP_MODP3072, DEFAULT_IKE_LIFETIME_S,
		true},
	{65513, IKE_ENCR_AES_CBC, 256, IKE_PRF_HMAC_SHA512, CFG_AUTH_PSK, IKE_GROUP_ECP521, DEFAULT_IKE_LIFETIME_S,
		true},
	{65514, IKE_ENCR_AES_CBC, 256, IKE_PRF_HMAC_SHA512, CFG_AUTH_PSK, IKE_GROUP_MODP4096, DEFAULT_IKE_LIFETIME_S,
		true},
};

static const struct cfg_ike_encr aead_encr[] = {
	{IKE_ENCR_AES_GCM16, 256}, {IKE_ENCR_AES_GCM16, 128}, {IKE_ENCR_CHACHA20_POLY1305, 0}};
static const struct cfg_ike_encr cbc_encr[] = {{IKE_ENCR_AES_CBC, 256}, {IKE_ENCR_AES_CBC, 128}};
static const enum ike_integ sha2_integ[] = {
	IKE_INTEG_HMAC_SHA256_128, IKE_INTEG_HMAC_SHA384_192, IKE_INTEG_HMAC_SHA512_256};
static const enum ike_prf sha2_prf[] = {IKE_PRF_HMAC_SHA256, IKE_PRF_HMAC_SHA384, IKE_PRF_HMAC_SHA512};
static const enum ike_group safe_group[] = {IKE_GROUP_CURVE25519, IKE_GROUP_ECP256, IKE_GROUP_ECP384, IKE_GROUP_ECP521,
	IKE_GROUP_MODP2048, IKE_GROUP_MODP3072, IKE_GROUP_MODP4096};

static void *copy(struct cv_config *c, const void *from, size_t n, size_t size)
{
	void *p = config_alloc(c, n, size);

	memcpy(p, from, n * size);
	return p;
}

/* The array with room for extra more elements at its end. */
void *config_grow(struct cv_config *c, const void *array, unsigned n, unsigned extra, size_t size)
{
	void *p = config_alloc(c, n + extra, size);

	if (n)
		memcpy(p, array, n * size);
	return p;
}

static struct cfg_ike_proposal sha2_proposal(
	struct cv_config *c, const char *name, const struct cfg_ike_encr *encr, unsigned n_encr, bool aead)
{
	struct cfg_ike_proposal p = {.name = name, .builtin = true};

	p.encr = copy(c, encr, n_encr, sizeof(*encr));
	p.n_encr = n_encr;
	if (!aead) {
		p.integ = copy(c, sha2_integ, COUNT(sha2_integ), sizeof(sha2_integ[0]));
		p.n_integ = COUNT(sha2_integ);
	}
	p.prf = copy(c, sha2_prf, COUNT(sha2_prf), sizeof(sha2_prf[0]));
	p.n_prf = COUNT(sha2_prf);
	p.group = copy(c, safe_group, COUNT(safe_group), sizeof(safe_group[0]));
	p.n_group = COUNT(safe_group);
	return p;
}

static bool has_profile(const struct cv_config *c, const char *name)
{
	for (unsigned i = 0; i < c->n_ike_profile; i++)
		if (!strcmp(c->ike_profile[i].name, name))
			return true;
	return false;
}

/* A map entry without a profile speaks IKEv2 with these parameters. An operator's own profile of that name replaces
 * it. */
static void add_default_profile(struct cv_config *c)
{
	struct cfg_ike_profile *p;

	if (has_profile(c, DEFAULT_PROFILE_NAME))
		return;
	c->ike_profile = config_grow(c, c->ike_profile, c->n_ike_profile, 1, sizeof(*p));
	p = &c->ike_profile[c->n_ike_profile++];
	p->name = DEFAULT_PROFILE_NAME;
	p->version = CFG_IKEV2;
	p->lifetime_s = DEFAULT_IKE_LIFETIME_S;
	p->dpd_mode = CFG_DPD_ON_DEMAND;
	p->dpd_interval_s = 30;
	p->dpd_retry_s = 5;
	p->nat_traversal = true;
	p->nat_keepalive_s = 20;
	p->window_size = 8;
	p->mobike = true;
	p->builtin = true;
}

/* What an entry or an interface does not say is the global value (REPLAY-5, IDLE-5, FRAG-4). */
void config_inherit(struct cv_config *c)
{
	for (unsigned i = 0; i < c->n_interface; i++) {
		struct cfg_interface *ifc = &c->interface[i];

		ifc->df_bit = ifc->df_bit ? ifc->df_bit : c->df_bit;
		ifc->fragment = ifc->fragment ? ifc->fragment : c->fragment;
	}
	for (unsigned i = 0; i < c->n_map; i++)
		for (unsigned j = 0; j < c->map[i].n_entry; j++) {
			struct cfg_map_entry *e = &c->map[i].entry[j];

			e->replay_own = e->replay_window != CFG_REPLAY_GLOBAL;
			if (!e->replay_own)
				e->replay_window = c->replay_window;
			e->idle_own = e->idle_s;
			if (!c->map[i].tunnel && !e->idle_s) /* a tunnel is always on (VTI-18) */
				e->idle_s = c->idle_s;
		}
}

/* USAB-15, 17: the first is preferred. Tunnel mode: hosts behind the gateways are the rule (USAB-18). */
static void add_default_transform_sets(struct cv_config *c)
{
	static const char *const algorithm[] = {"aes256-gcm16", "aes256-cbc-sha256-128"};
	static const char *const name[] = {DEFAULT_TS_1, DEFAULT_TS_0};

	c->transform_set = config_grow(c, c->transform_set, c->n_transform_set, COUNT(name), sizeof(*c->transform_set));
	for (unsigned i = 0; i < COUNT(name); i++) {
		struct cfg_transform_set *t = &c->transform_set[c->n_transform_set];

		*t = (struct cfg_transform_set){.name = name[i], .builtin = true};
		if (algo_suite_by_name(algorithm[i], &t->suite))
			c->n_transform_set++;
	}
}

void config_add_builtins(struct cv_config *c)
{
	/* USAB-6: only where the operator wrote none */
	if (!c->n_ike_policy && !c->no_default_policy) {
		c->ike_policy = copy(c, builtin_policy, COUNT(builtin_policy), sizeof(builtin_policy[0]));
		c->n_ike_policy = COUNT(builtin_policy);
	}
	if (!c->no_default_transform_set)
		add_default_transform_sets(c);

	c->ike_proposal = config_grow(c, c->ike_proposal, c->n_ike_proposal, 2, sizeof(*c->ike_proposal));
	c->ike_proposal[c->n_ike_proposal++] = sha2_proposal(c, "default-gcm", aead_encr, COUNT(aead_encr), true);
	c->ike_proposal[c->n_ike_proposal++] = sha2_proposal(c, "default-cbc", cbc_encr, COUNT(cbc_encr), false);

	add_default_profile(c);
}
