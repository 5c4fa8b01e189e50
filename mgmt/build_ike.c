/* SPDX-License-Identifier: BSD-3-Clause */
/* IKE policies, proposals, keyrings, peers and profiles. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "build.h"
#include "cv_addr.h"
#include "pki.h"

static bool encryption(struct build *b, const struct lyd_node *leaf, enum ike_encr *encr, uint16_t *bits)
{
	const struct algo_ike *a = algo_ike_by_name(ALGO_IKE_ENCR, lyd_get_value(leaf));

	if (!a)
		return build_fail(b, leaf, "\"%s\" is not built in", lyd_get_value(leaf));
	*encr = (enum ike_encr)a->id;
	*bits = a->key_bits;
	return true;
}

static bool hash(struct build *b, const struct lyd_node *leaf, enum ike_prf *prf)
{
	const struct algo_ike *a = algo_ike_by_name(ALGO_IKE_PRF, lyd_get_value(leaf));

	if (!a)
		return build_fail(b, leaf, "\"%s\" is not built in", lyd_get_value(leaf));
	*prf = (enum ike_prf)a->id;
	return true;
}

/* The truncated form of a keyed hash: RFC 2403, 2404, 4868, 3566, 4494. */
static bool integrity(struct build *b, const struct lyd_node *leaf, enum ike_integ *integ)
{
	static const struct {
		enum ike_prf prf;
		enum ike_integ integ;
	} map[] = {{IKE_PRF_HMAC_MD5, IKE_INTEG_HMAC_MD5_96}, {IKE_PRF_HMAC_SHA1, IKE_INTEG_HMAC_SHA1_96},
		{IKE_PRF_HMAC_SHA256, IKE_INTEG_HMAC_SHA256_128}, {IKE_PRF_HMAC_SHA384, IKE_INTEG_HMAC_SHA384_192},
		{IKE_PRF_HMAC_SHA512, IKE_INTEG_HMAC_SHA512_256}, {IKE_PRF_AES128_XCBC, IKE_INTEG_AES_XCBC_96},
		{IKE_PRF_AES128_CMAC, IKE_INTEG_AES_CMAC_96}};
	enum ike_prf prf = IKE_PRF_HMAC_SHA256;

	if (!hash(b, leaf, &prf))
		return false;
	for (unsigned i = 0; i < sizeof(map) / sizeof(map[0]); i++)
		if (map[i].prf == prf)
			*integ = map[i].integ;
	return true;
}

static int by_priority(const void *a, const void *b)
{
	uint32_t x = ((const struct cfg_ike_policy *)a)->priority, y = ((const struct cfg_ike_policy *)b)->priority;

	return x < y ? -1 : x > y;
}

static bool policies(struct build *b, const struct lyd_node *ike)
{
	b->c->ike_policy = config_alloc(b->c, tree_count(ike, "policy"), sizeof(*b->c->ike_policy));
	for (const struct lyd_node *n = NULL; (n = tree_next(ike, "policy", n));) {
		struct cfg_ike_policy *p = &b->c->ike_policy[b->c->n_ike_policy++];
		const char *auth = tree_text(n, "authentication");
		p->priority = (uint32_t)tree_number(n, "priority");
		p->auth = CFG_AUTH_PSK;
		if (auth && !strcmp(auth, "rsa-sig"))
			p->auth = CFG_AUTH_RSA_SIG;
		else if (auth && !strcmp(auth, "rsa-encr"))
			p->auth = CFG_AUTH_RSA_ENCR;
		else if (auth && !strcmp(auth, "ecdsa-sig"))
			p->auth = CFG_AUTH_ECDSA_SIG;
		p->group = build_group(tree_text(n, "group"));
		p->lifetime_s = (uint32_t)tree_number(n, "lifetime");
		if (!encryption(b, tree_child(n, "encryption"), &p->encr, &p->key_bits) ||
			!hash(b, tree_child(n, "hash"), &p->hash))
			return false;
	}
	if (b->c->n_ike_policy)
		qsort(b->c->ike_policy, b->c->n_ike_policy, sizeof(*b->c->ike_policy), by_priority);
	return true;
}

static bool proposal(struct build *b, const struct lyd_node *n, struct cfg_ike_proposal *p)
{
	const struct lyd_node *l;

	p->name = build_text(b, n, "name");
	p->encr = config_alloc(b->c, tree_count(n, "encryption"), sizeof(*p->encr));
	p->integ = config_alloc(b->c, tree_count(n, "integrity"), sizeof(*p->integ));
	p->prf = config_alloc(b->c, tree_count(n, "prf"), sizeof(*p->prf));
	p->group = config_alloc(b->c, tree_count(n, "group"), sizeof(*p->group));
	for (l = NULL; (l = tree_next(n, "encryption", l)); p->n_encr++)
		if (!encryption(b, l, &p->encr[p->n_encr].encr, &p->encr[p->n_encr].key_bits))
			return false;
	for (l = NULL; (l = tree_next(n, "integrity", l)); p->n_integ++)
		if (!integrity(b, l, &p->integ[p->n_integ]))
			return false;
	for (l = NULL; (l = tree_next(n, "prf", l)); p->n_prf++)
		if (!hash(b, l, &p->prf[p->n_prf]))
			return false;
	for (l = NULL; (l = tree_next(n, "group", l)); p->n_group++)
		p->group[p->n_group] = build_group(lyd_get_value(l));
	p->addke = config_alloc(b->c, tree_count(n, "additional-group"), sizeof(*p->addke));
	for (l = NULL; (l = tree_next(n, "additional-group", l)); p->n_addke++)
		p->addke[p->n_addke] = build_group(lyd_get_value(l));
	return true;
}

static bool proposals(struct build *b, const struct lyd_node *ike)
{
	b->c->ike_proposal = config_alloc(b->c, tree_count(ike, "proposal"), sizeof(*b->c->ike_proposal));
	for (const struct lyd_node *n = NULL; (n = tree_next(ike, "proposal", n));)
		if (!proposal(b, n, &b->c->ike_proposal[b->c->n_ike_proposal++]))
			return false;
	return true;
}

static bool secret(struct build *b, const struct lyd_node *n, struct cfg_psk *psk)
{
	const struct lyd_node *text = tree_child(n, "key"), *hex = tree_child(n, "key-hex");

	if (!build_secret(b, text ? text : hex, !text, &psk->key, &psk->key_len))
		return false;
	psk->sealed = !psk->key;
	return true;
}

static bool binding(struct build *b, const struct lyd_node *of, struct cfg_binding *out)
{
	const struct lyd_node *n = tree_child(of, "local-address"), *addr = tree_child(n, "address");

	out->interface = build_text(b, n, "interface");
	out->vrf = build_text(b, n, "vrf");
	return !addr || build_addr(b, addr, &out->addr);
}

static enum cfg_rsa_usage rsa_usage(const char *name)
{
	if (name && !strcmp(name, "signature"))
		return CFG_RSA_SIGNATURE;
	return name && !strcmp(name, "encryption") ? CFG_RSA_ENCRYPTION : CFG_RSA_GENERAL;
}

/* Hexadecimal digits with white space anywhere between them; YANG has checked them. */
static void hex_text(struct build *b, const char *text, const uint8_t **der, size_t *len)
{
	uint8_t *out = config_alloc(b->c, strlen(text) / 2 + 1, 1);
	unsigned digits = 0;

	for (; *text; text++) {
		if (!isxdigit((unsigned char)*text))
			continue;
		unsigned v = isdigit((unsigned char)*text) ? (unsigned)(*text - '0')
							   : (unsigned)(tolower((unsigned char)*text) - 'a' + 10);
		out[digits / 2] |= (uint8_t)(digits % 2 ? v : v << 4);
		digits++;
	}
	*der = out;
	*len = digits % 2 ? 0 : digits / 2; /* half an octet: not a key */
}

static bool rsa_publics(struct build *b, const struct lyd_node *n, struct cfg_keyring *k)
{
	k->rsa = config_alloc(b->c, tree_count(n, "rsa-public-key"), sizeof(*k->rsa));
	for (const struct lyd_node *e = NULL; (e = tree_next(n, "rsa-public-key", e));) {
		struct cfg_rsa_public *r = &k->rsa[k->n_rsa++];
		const struct lyd_node *addr = tree_child(e, "address");
		r->name = build_text(b, e, "name");
		r->hostname = build_text(b, e, "hostname");
		r->usage = rsa_usage(tree_text(e, "usage"));
		r->serial = build_text(b, e, "serial-number");
		hex_text(b, tree_text(e, "key-string"), &r->der, &r->der_len);
		if (addr && !build_addr(b, addr, &r->addr))
			return false;
	}
	return true;
}

static bool keyrings(struct build *b, const struct lyd_node *ike)
{
	b->c->keyring = config_alloc(b->c, tree_count(ike, "keyring"), sizeof(*b->c->keyring));
	for (const struct lyd_node *n = NULL; (n = tree_next(ike, "keyring", n));) {
		struct cfg_keyring *k = &b->c->keyring[b->c->n_keyring++];
		k->name = build_text(b, n, "name");
		k->description = build_text(b, n, "description");
		k->vrf = build_text(b, n, "vrf");
		if (!binding(b, n, &k->local) || !rsa_publics(b, n, k))
			return false;
		k->psk = config_alloc(b->c, tree_count(n, "pre-shared-key"), sizeof(*k->psk));
		for (const struct lyd_node *e = NULL; (e = tree_next(n, "pre-shared-key", e));) {
			struct cfg_psk *psk = &k->psk[k->n_psk++];
			const struct lyd_node *addr = tree_child(e, "address");
			psk->no_xauth = tree_flag(e, "no-xauth");
			psk->hostname = build_text(b, e, tree_child(e, "identity") ? "identity" : "hostname");
			if ((addr && !build_prefix(b, addr, &psk->peer)) || !secret(b, e, psk))
				return false;
		}
	}
	return true;
}

static bool ppks(struct build *b, const struct lyd_node *ike)
{
	b->c->ppk = config_alloc(b->c, tree_count(ike, "ppk"), sizeof(*b->c->ppk));
	for (const struct lyd_node *n = NULL; (n = tree_next(ike, "ppk", n));) {
		struct cfg_ppk *p = &b->c->ppk[b->c->n_ppk++];
		const struct lyd_node *text = tree_child(n, "key"), *hex = tree_child(n, "key-hex");
		p->id = build_text(b, n, "id");
		if (!build_secret(b, text ? text : hex, !text, &p->key.p, &p->key.len))
			return false;
	}
	return true;
}

static enum cfg_ppk_mode ppk_mode(const char *name)
{
	if (name && strcmp(name, "required") == 0)
		return CFG_PPK_REQUIRED;
	return name && strcmp(name, "optional") == 0 ? CFG_PPK_OPTIONAL : CFG_PPK_OFF;
}

static bool users(struct build *b, const struct lyd_node *ike)
{
	b->c->user = config_alloc(b->c, tree_count(ike, "user"), sizeof(*b->c->user));
	for (const struct lyd_node *n = NULL; (n = tree_next(ike, "user", n));) {
		struct cfg_user *u = &b->c->user[b->c->n_user++];
		u->name = build_text(b, n, "name");
		if (!build_secret(b, tree_child(n, "password"), false, &u->password.p, &u->password.len))
			return false;
	}
	return true;
}

static bool pools(struct build *b, const struct lyd_node *ike)
{
	b->c->pool = config_alloc(b->c, tree_count(ike, "address-pool"), sizeof(*b->c->pool));
	for (const struct lyd_node *n = NULL; (n = tree_next(ike, "address-pool", n));) {
		struct cfg_pool *p = &b->c->pool[b->c->n_pool++];
		p->name = build_text(b, n, "name");
		if (!build_addr(b, tree_child(n, "first"), &p->first) ||
			!build_addr(b, tree_child(n, "last"), &p->last))
			return false;
	}
	return true;
}

static bool peers(struct build *b, const struct lyd_node *ike)
{
	b->c->peer = config_alloc(b->c, tree_count(ike, "peer"), sizeof(*b->c->peer));
	for (const struct lyd_node *n = NULL; (n = tree_next(ike, "peer", n));) {
		struct cfg_peer *p = &b->c->peer[b->c->n_peer++];
		p->description = build_text(b, n, "description");
		if (!build_addr(b, tree_child(n, "address"), &p->addr))
			return false;
	}
	return true;
}

static enum cfg_id_type id_type(const char *name)
{
	static const struct {
		const char *name;
		enum cfg_id_type type;
	} types[] = {{"address", CFG_ID_ADDRESS}, {"fqdn", CFG_ID_FQDN}, {"user-fqdn", CFG_ID_USER_FQDN},
		{"key-id", CFG_ID_KEY_ID}, {"dn", CFG_ID_DN}};

	for (unsigned i = 0; name && i < sizeof(types) / sizeof(types[0]); i++)
		if (strcmp(name, types[i].name) == 0)
			return types[i].type;
	return CFG_ID_NONE;
}

/* The DER of a distinguished name; without a value it is the subject of our certificate. */
static bool identity_dn(struct build *b, const struct lyd_node *value, struct cfg_identity *id)
{
	uint8_t der[CFG_DN_MAX];

	if (!value)
		return true;
	id->dn_len = pki_dn_parse(id->text, der, sizeof(der));
	if (!id->dn_len)
		return build_fail(b, value, "\"%s\" is not valid; valid: a name such as CN=gw1, O=Example", id->text);
	uint8_t *dn = config_alloc(b->c, id->dn_len, 1);
	memcpy(dn, der, id->dn_len);
	id->dn = dn;
	return true;
}

/* type and value of n; an address without a value is the address of the interface, which is what NONE means. */
static bool identity(struct build *b, const struct lyd_node *n, bool range, struct cfg_identity *id)
{
	const struct lyd_node *value = tree_child(n, "value");

	id->type = id_type(tree_text(n, "type"));
	id->domain = tree_flag(n, "domain");
	id->text = build_text(b, n, "value");
	if (id->type == CFG_ID_DN)
		return identity_dn(b, value, id);
	if (id->type != CFG_ID_ADDRESS)
		return true;
	if (!value) {
		id->type = CFG_ID_NONE;
		return true;
	}
	if (!build_prefix(b, value, &id->addr))
		return false;
	if (!range && id->addr.len != cv_addr_bits(&id->addr.addr))
		return build_fail(b, value, "\"%s\" is not valid; valid: one host address", id->text);
	return true;
}

static enum cfg_dpd_mode dpd_mode(const char *name)
{
	if (name && strcmp(name, "periodic") == 0)
		return CFG_DPD_PERIODIC;
	return name && strcmp(name, "on-demand") == 0 ? CFG_DPD_ON_DEMAND : CFG_DPD_OFF;
}

static bool xauth(struct build *b, const struct lyd_node *n, struct cfg_ike_profile *p)
{
	const char *role = tree_text(n, "role");
	const struct lyd_node *password = tree_child(n, "password");

	if (role && strcmp(role, "server") == 0)
		p->xauth = CFG_XAUTH_SERVER;
	else if (role && strcmp(role, "client") == 0)
		p->xauth = CFG_XAUTH_CLIENT;
	p->xauth_user = build_text(b, n, "user");
	return !password || build_secret(b, password, false, &p->xauth_password.p, &p->xauth_password.len);
}

static bool aaa(struct build *b, const struct lyd_node *n, struct cfg_ike_profile *p)
{
	const struct lyd_node *password = tree_child(n, "authorization-password");

	p->aaa_authentication = build_text(b, n, "authentication");
	p->aaa_authorization = build_text(b, n, "authorization");
	p->aaa_local = tree_flag(n, "local-fallback");
	return !password || build_secret(b, password, false, &p->aaa_password.p, &p->aaa_password.len);
}

static bool mode_config(struct build *b, const struct lyd_node *n, struct cfg_ike_profile *p)
{
	p->config_request = tree_flag(n, "request");
	p->config_respond = tree_flag(n, "respond");
	p->config_initiate = tree_flag(n, "initiate");
	p->pool = build_text(b, n, "pool");
	p->config_domain = build_text(b, n, "domain");
	p->config_dns = config_alloc(b->c, tree_count(n, "dns"), sizeof(*p->config_dns));
	for (const struct lyd_node *d = NULL; (d = tree_next(n, "dns", d));)
		if (!build_addr(b, d, &p->config_dns[p->n_config_dns++]))
			return false;
	return true;
}

static enum cfg_ike_method method(const struct lyd_node *n, const char *name)
{
	const char *text = tree_text(tree_child(n, "authentication"), name);

	return text && strcmp(text, "signature") == 0 ? CFG_METHOD_SIGNATURE : CFG_METHOD_PSK;
}

static bool profile(struct build *b, const struct lyd_node *n, struct cfg_ike_profile *p)
{
	const struct lyd_node *dpd = tree_child(n, "dpd");

	p->name = build_text(b, n, "name");
	p->description = build_text(b, n, "description");
	p->version = strcmp(tree_text(n, "version"), "ikev1") == 0 ? CFG_IKEV1 : CFG_IKEV2;
	p->keyring = build_names(b, n, "keyring", &p->n_keyring);
	p->rsa_pair = build_text(b, n, "rsa-key-pair");
	p->local_auth = method(n, "local");
	p->remote_auth = method(n, "remote");
	p->ppk_mode = ppk_mode(tree_text(tree_child(n, "ppk"), "mode"));
	p->ppk = build_names(b, tree_child(n, "ppk"), "id", &p->n_ppk);
	p->trust_point = build_names(b, n, "trust-point", &p->n_trust_point);
	p->match_cert = build_names(b, n, "match-certificate", &p->n_match_cert);
	p->client_group = build_text(b, n, "client-group");
	p->vrf = build_text(b, n, "vrf");
	p->virtual_template = build_text(b, n, "virtual-template");
	p->match_fvrf = build_text(b, n, "match-front-vrf");
	if (!binding(b, n, &p->local))
		return false;
	p->proposal = build_names(b, n, "proposal", &p->n_proposal);
	p->lifetime_s = (uint32_t)tree_number(n, "lifetime");
	p->dpd_mode = dpd_mode(tree_text(dpd, "mode"));
	p->dpd_interval_s = (uint32_t)tree_number(dpd, "interval");
	p->dpd_retry_s = (uint32_t)tree_number(dpd, "retry");
	p->aggressive = tree_flag(tree_child(n, "aggressive-mode"), "initiate");
	p->aggressive_psk = tree_flag(tree_child(n, "aggressive-mode"), "allow-preshared-key");
	p->aggressive_sig = tree_flag(tree_child(n, "aggressive-mode"), "allow-signature");
	p->nat_traversal = tree_flag(n, "nat-traversal");
	p->force_encaps = tree_flag(n, "force-encapsulation");
	p->fragment_size = tree_flag(tree_child(n, "fragmentation"), "enabled")
				   ? (uint16_t)tree_number(tree_child(n, "fragmentation"), "size")
				   : 0;
	p->mobike = tree_flag(n, "mobike");
	p->per_resource = (uint8_t)tree_number(n, "per-resource");
	p->auth_lifetime_s = (uint32_t)tree_number(n, "authentication-lifetime");
	p->window_size = (uint8_t)tree_number(n, "window-size");
	p->nat_keepalive_s = (uint32_t)tree_number(n, "nat-keepalive");
	if (!xauth(b, tree_child(n, "xauth"), p) || !aaa(b, tree_child(n, "aaa"), p) ||
		!mode_config(b, tree_child(n, "mode-config"), p))
		return false;
	p->match = config_alloc(b->c, tree_count(n, "match-identity"), sizeof(*p->match));
	for (const struct lyd_node *m = NULL; (m = tree_next(n, "match-identity", m));)
		if (!identity(b, m, true, &p->match[p->n_match++]))
			return false;
	return identity(b, tree_child(n, "local-identity"), false, &p->local_id);
}

static bool profiles(struct build *b, const struct lyd_node *ike)
{
	b->c->ike_profile = config_alloc(b->c, tree_count(ike, "profile"), sizeof(*b->c->ike_profile));
	for (const struct lyd_node *n = NULL; (n = tree_next(ike, "profile", n));)
		if (!profile(b, n, &b->c->ike_profile[b->c->n_ike_profile++]))
			return false;
	return true;
}

static void admission(struct build *b, const struct lyd_node *n)
{
	struct cfg_cac *c = &b->c->cac;

	c->ike_sa = (uint32_t)tree_number(n, "ike-sa");
	c->in_negotiation = (uint32_t)tree_number(n, "in-negotiation-sa");
	c->charge = (uint32_t)tree_number(n, "system-limit");
	c->scale = (uint16_t)tree_number(n, "load-multiplier");
	c->poll_s = (uint8_t)tree_number(n, "load-interval");
}

bool build_ike(struct build *b, const struct lyd_node *tree)
{
	const struct lyd_node *ike = tree_top(tree, "culvert-ike", "ike");

	if (!ike)
		return true; /* only in trees that were never validated; the defaults of config_new() hold */
	b->c->ike_enabled = tree_flag(ike, "enabled");
	b->c->invalid_spi_recovery = tree_flag(ike, "invalid-spi-recovery");
	b->c->ike_capture = tree_flag(ike, "allow-decrypted-capture");
	b->c->cookie_threshold = (uint32_t)tree_number(ike, "cookie-threshold");
	b->c->cookie_rate = (uint32_t)tree_number(ike, "cookie-rate");
	if (tree_child(ike, "puzzle-threshold"))
		b->c->puzzle_threshold = (uint32_t)tree_number(ike, "puzzle-threshold");
	b->c->puzzle_difficulty = (uint8_t)tree_number(ike, "puzzle-difficulty");
	b->c->puzzle_solve_max = (uint8_t)tree_number(ike, "puzzle-solve-max");
	b->c->half_open_max = (uint32_t)tree_number(ike, "half-open-max");
	b->c->no_default_policy = !tree_flag(ike, "default-policies");
	admission(b, tree_child(ike, "call-admission"));
	return identity(b, tree_child(ike, "identity"), false, &b->c->local_id) && policies(b, ike) &&
	       proposals(b, ike) && keyrings(b, ike) && ppks(b, ike) && users(b, ike) && pools(b, ike) &&
	       peers(b, ike) && profiles(b, ike);
}
