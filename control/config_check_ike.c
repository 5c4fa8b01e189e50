/* SPDX-License-Identifier: BSD-3-Clause */
/* Checks of IKE policies, proposals, keyrings and profiles. */
#include <stdio.h>
#include <string.h>

#include "config_priv.h"
#include "cv_addr.h"
#include "ikecrypto.h"

#define VALID_CBC "aes256-cbc, aes192-cbc, aes128-cbc"
#define VALID_HASH "sha256, sha384, sha512"
#define VALID_KEYED VALID_HASH ", aes-xcbc, aes-cmac"

/* ---- algorithms: known, and whether they are legacy ---- */

static int check_algo(struct config_check *k, enum algo_ike_kind kind, unsigned id, uint16_t bits, const char *path,
	const char *valid)
{
	const struct algo_ike *a = algo_ike_get(kind, (uint16_t)id, bits);

	return config_check_legacy(k, a && a->legacy, !a, path, valid);
}

#define VALID_GROUP "group31, group32, group19, group20, group21, group14, group15, group16, group17, group18"

int config_check_group(struct config_check *k, enum ike_group g, const char *path)
{
	if (ikec_group_is_kem(g))
		return check_fail(k, "%s: ML-KEM is for additional groups only; " VALID_GROUP, path);
	return check_algo(k, ALGO_IKE_GROUP, g, 0, path, VALID_GROUP);
}

/* A group for an additional key exchange; ML-KEM when OpenSSL has it. */
static int check_further_group(struct config_check *k, enum ike_group g, const char *path)
{
	if (!ikec_group_is_kem(g))
		return config_check_group(k, g, path);
	return ikec_group_pub_len(g)
		       ? 0
		       : check_fail(k, "%s: group%u (%s) is not in the linked %s; available: " VALID_GROUP, path,
				 (unsigned)g, algo_ike_get(ALGO_IKE_GROUP, (uint16_t)g, 0)->name, ikec_library());
}

int config_check_legacy(struct config_check *k, bool legacy, bool unknown, const char *path, const char *valid)
{
	if (unknown)
		return check_fail(k, "%s: not a value this build knows; %s", path, valid);
	if (legacy && !k->c->allow_legacy)
		return check_fail(k, "%s: a legacy value, refused unless " PATH_SYSTEM "/allow-legacy is set; use %s",
			path, valid);
	if (legacy)
		check_warn(k, "%s: a legacy value that no longer protects; use %s", path, valid);
	return 0;
}

/* ---- IKEv1 policies ---- */

const char *config_auth_name(enum cfg_ike_auth auth)
{
	return auth == CFG_AUTH_RSA_SIG	    ? "rsa-sig"
	       : auth == CFG_AUTH_RSA_ENCR  ? "rsa-encr"
	       : auth == CFG_AUTH_ECDSA_SIG ? "ecdsa-sig"
					    : "pre-share";
}

static int check_method(struct config_check *k, const struct cfg_ike_policy *p)
{
	char path[128];
	bool rsa = p->auth == CFG_AUTH_RSA_SIG || p->auth == CFG_AUTH_RSA_ENCR;

	if (p->auth != CFG_AUTH_PSK && !k->c->n_trust_point && !(rsa && k->c->n_rsa_pair))
		return check_fail(k,
			PATH_POLICY "/authentication: %s needs a trust point with such a certificate%s; or pre-share",
			p->priority, config_auth_name(p->auth), rsa ? " or an rsa-key-pair" : "");
	if (p->auth != CFG_AUTH_RSA_ENCR)
		return 0;
	snprintf(path, sizeof(path), PATH_POLICY "/authentication", p->priority);
	return config_check_legacy(k, true, false, path, "rsa-sig, ecdsa-sig, pre-share");
}

static int check_policy(struct config_check *k, struct cfg_ike_policy *p)
{
	char path[3][128];
	int r;

	if (p->builtin)
		return 0;
	if (p->priority < 1 || p->priority > 10000)
		return check_fail(k, PATH_POLICY "/priority: 1..10000", p->priority);
	if (!p->lifetime_s)
		p->lifetime_s = DEFAULT_IKE_LIFETIME_S;
	if (p->lifetime_s < 60 || p->lifetime_s > 86400)
		return check_fail(k, PATH_POLICY "/lifetime: %u seconds; 60..86400", p->priority, p->lifetime_s);
	if ((r = check_method(k, p)))
		return r;
	snprintf(path[0], sizeof(path[0]), PATH_POLICY "/encryption", p->priority);
	snprintf(path[1], sizeof(path[1]), PATH_POLICY "/hash", p->priority);
	snprintf(path[2], sizeof(path[2]), PATH_POLICY "/group", p->priority);
	if (ikec_tag_len(p->encr) || p->encr == IKE_ENCR_AES_CTR)
		return check_fail(k, "%s: not a cipher of IKEv1; " VALID_CBC, path[0]);
	(void)((r = check_algo(k, ALGO_IKE_ENCR, p->encr, p->key_bits, path[0], VALID_CBC)) ||
		(r = check_algo(k, ALGO_IKE_PRF, p->hash, 0, path[1], VALID_HASH)) ||
		(r = config_check_group(k, p->group, path[2])));
	return r;
}

static int check_policies(struct config_check *k)
{
	struct cv_config *c = k->c;
	int r = 0;

	for (unsigned i = 0; !r && i < c->n_ike_policy; i++) {
		if (i && c->ike_policy[i].priority <= c->ike_policy[i - 1].priority)
			return check_fail(k, PATH_POLICY "/priority: priorities are unique and ascend",
				c->ike_policy[i].priority);
		r = check_policy(k, &c->ike_policy[i]);
	}
	return r;
}

/* ---- IKEv2 proposals ---- */

static int check_proposal_shape(struct config_check *k, const struct cfg_ike_proposal *p)
{
	unsigned n_aead = 0;

	for (unsigned i = 0; i < p->n_encr; i++)
		n_aead += ikec_tag_len(p->encr[i].encr) != 0;
	if (!p->n_encr || !p->n_prf || !p->n_group)
		return check_fail(k, PATH_PROPOSAL ": needs at least one encryption, one prf and one group", p->name);
	if (n_aead && n_aead != p->n_encr)
		return check_fail(k,
			PATH_PROPOSAL "/encryption: AEAD and other ciphers do not mix in one proposal (RFC 5282); make "
				      "two proposals",
			p->name);
	if (n_aead && p->n_integ)
		return check_fail(
			k, PATH_PROPOSAL "/integrity: an AEAD cipher brings its own; remove integrity", p->name);
	if (!n_aead && !p->n_integ)
		return check_fail(
			k, PATH_PROPOSAL "/integrity: needed with a CBC or CTR cipher; " VALID_KEYED, p->name);
	return 0;
}

int config_check_additional(struct config_check *k, const enum ike_group *addke, unsigned n_addke,
	const enum ike_group *group, unsigned n_group, const char *path)
{
	bool twice = false;
	int r = 0;

	if (n_addke > CFG_ADDKE_MAX)
		return check_fail(k, "%s: at most %u", path, CFG_ADDKE_MAX);
	for (unsigned i = 0; !r && i < n_addke; i++) {
		r = check_further_group(k, addke[i], path);
		for (unsigned j = 0; j < i; j++)
			twice |= addke[i] == addke[j];
		for (unsigned j = 0; j < n_group; j++)
			twice |= addke[i] == group[j];
	}
	if (!r && twice)
		r = check_fail(k, "%s: a group twice; each may occur once", path);
	return r;
}

static int check_proposal(struct config_check *k, const struct cfg_ike_proposal *p)
{
	char path[192];
	int r = check_proposal_shape(k, p);

	snprintf(path, sizeof(path), PATH_PROPOSAL "/encryption", p->name);
	for (unsigned i = 0; !r && i < p->n_encr; i++)
		r = check_algo(k, ALGO_IKE_ENCR, p->encr[i].encr, p->encr[i].key_bits, path,
			VALID_CBC ", aes128-gcm16, aes256-gcm16, chacha20-poly1305");
	snprintf(path, sizeof(path), PATH_PROPOSAL "/integrity", p->name);
	for (unsigned i = 0; !r && i < p->n_integ; i++)
		r = check_algo(k, ALGO_IKE_INTEG, p->integ[i], 0, path, VALID_KEYED);
	snprintf(path, sizeof(path), PATH_PROPOSAL "/prf", p->name);
	for (unsigned i = 0; !r && i < p->n_prf; i++)
		r = check_algo(k, ALGO_IKE_PRF, p->prf[i], 0, path, VALID_KEYED);
	snprintf(path, sizeof(path), PATH_PROPOSAL "/group", p->name);
	for (unsigned i = 0; !r && i < p->n_group; i++)
		r = config_check_group(k, p->group[i], path);
	snprintf(path, sizeof(path), PATH_PROPOSAL "/additional-group", p->name);
	return r ? r : config_check_additional(k, p->addke, p->n_addke, p->group, p->n_group, path);
}

/* ---- keyrings, peers ---- */

static int check_keyring(struct config_check *k, struct cfg_keyring *kr)
{
	for (unsigned i = 0; i < kr->n_psk; i++) {
		const struct cfg_psk *p = &kr->psk[i];

		if (!p->sealed && (!p->key || !p->key_len))
			return check_fail(
				k, PATH_KEYRING "/pre-shared-key[%u]: empty; at least one character", kr->name, i + 1);
		if (!cv_addr_bits(&p->peer.addr) && !p->hostname)
			return check_fail(k,
				PATH_KEYRING "/pre-shared-key[%u]: a peer address, prefix or hostname is "
					     "needed",
				kr->name, i + 1);
	}
	return config_index_keys(k, kr);
}

static int check_peer(struct config_check *k, const struct cfg_peer *p)
{
	char text[CV_ADDR_STR];
	size_t len = p->description ? strlen(p->description) : 0;

	if (!cv_addr_bits(&p->addr) || cv_addr_is_zero(&p->addr))
		return check_fail(k, "/culvert-ike:ike/peer: an address is needed");
	if (p->description && (len < 1 || len > 80))
		return check_fail(k, "/culvert-ike:ike/peer[address='%s']/description: 1..80 characters",
			cv_addr_str(&p->addr, text));
	return 0;
}

static uint32_t ip4(const struct cv_addr *a)
{
	return (uint32_t)a->b[0] << 24 | (uint32_t)a->b[1] << 16 | (uint32_t)a->b[2] << 8 | a->b[3];
}

static int check_pool(struct config_check *k, const struct cfg_pool *p)
{
	if (p->first.af != CV_AF_INET || p->last.af != CV_AF_INET || ip4(&p->first) > ip4(&p->last) ||
		ip4(&p->last) - ip4(&p->first) > UINT16_MAX)
		return check_fail(k,
			"/culvert-ike:ike/address-pool[name='%s']/last: first to last are 1 to 65536 addresses",
			p->name);
	return 0;
}

/* ---- profiles ---- */

/* IKE-55..62: needs its pool and its users. */
static int check_xauth(struct config_check *k, struct cfg_ike_profile *p)
{
	if (p->xauth == CFG_XAUTH_SERVER && !k->c->n_user && !p->aaa_authentication)
		check_warn(k, PATH_PROFILE "/xauth/role: server, but there is no ike/user who could log in", p->name);
	if (p->xauth != CFG_XAUTH_OFF)
		check_warn(k,
			PATH_PROFILE "/xauth: legacy (RFC 9395); with preshared keys it trusts whoever has the group's",
			p->name);
	if (p->xauth == CFG_XAUTH_CLIENT && !p->xauth_user)
		return check_fail(k, PATH_PROFILE "/xauth/user: needed for role client", p->name);
	for (unsigned i = 0; p->pool && i < k->c->n_pool; i++)
		if (strcmp(k->c->pool[i].name, p->pool) == 0)
			p->pool_ref = &k->c->pool[i];
	if (p->pool ? !p->pool_ref : (p->config_respond || p->config_initiate) && !p->aaa_authentication)
		return check_fail(
			k, PATH_PROFILE "/mode-config/pool: the name of an ike/address-pool is needed", p->name);
	if (p->config_request && (p->config_respond || p->config_initiate))
		return check_fail(
			k, PATH_PROFILE "/mode-config/request: either ask for an address or give them", p->name);
	return 0;
}

static int check_dpd(struct config_check *k, struct cfg_ike_profile *p)
{
	if (p->dpd_mode == CFG_DPD_OFF)
		return 0;
	if (!p->dpd_interval_s)
		p->dpd_interval_s = 30;
	if (!p->dpd_retry_s)
		p->dpd_retry_s = 5;
	if (p->dpd_interval_s < 10 || p->dpd_interval_s > 3600)
		return check_fail(k, PATH_PROFILE "/dpd/interval: %u seconds; 10..3600", p->name, p->dpd_interval_s);
	if (p->dpd_retry_s < 2 || p->dpd_retry_s > 60)
		return check_fail(k, PATH_PROFILE "/dpd/retry: %u seconds; 2..60", p->name, p->dpd_retry_s);
	return 0;
}

static int check_identities(struct config_check *k, const struct cfg_ike_profile *p)
{
	const struct cfg_identity *l = &p->local_id;

	if ((l->type == CFG_ID_FQDN || l->type == CFG_ID_USER_FQDN || l->type == CFG_ID_KEY_ID) &&
		(!l->text || !*l->text))
		return check_fail(k, PATH_PROFILE "/local-identity: text is needed for this type", p->name);
	for (unsigned i = 0; i < p->n_match; i++) {
		const struct cfg_identity *m = &p->match[i];

		if (m->type == CFG_ID_NONE || (m->type == CFG_ID_ADDRESS ? !cv_addr_bits(&m->addr.addr) : !m->text))
			return check_fail(k,
				PATH_PROFILE "/match-identity[%u]: an address, a name or a key id is needed", p->name,
				i + 1);
	}
	if (!config_profile_selects(p) && !p->builtin)
		check_warn(k,
			PATH_PROFILE "/match-identity: none, so a peer is given this profile only by its address in a "
				     "crypto map",
			p->name);
	return 0;
}

static int check_profile(struct config_check *k, struct cfg_ike_profile *p)
{
	int r;

	if (p->version != CFG_IKEV1 && p->version != CFG_IKEV2)
		return check_fail(k, PATH_PROFILE "/version: ikev1 or ikev2", p->name);
	if (p->version == CFG_IKEV1)
		check_warn(k, PATH_PROFILE "/version: IKEv1 is obsolete (RFC 9395); use ikev2 where the peer can",
			p->name);
	if (p->ppk_mode != CFG_PPK_OFF && (!p->n_ppk || p->version != CFG_IKEV2))
		return check_fail(k, PATH_PROFILE "/ppk: needs at least one id, and version ikev2", p->name);
	if (p->aggressive && !p->aggressive_psk && !p->aggressive_sig)
		return check_fail(k,
			PATH_PROFILE "/aggressive-mode/initiate: needs aggressive-mode/allow-preshared-key or "
				     "aggressive-mode/allow-signature true",
			p->name);
	if (p->aggressive_sig)
		check_warn(k,
			PATH_PROFILE "/aggressive-mode: shows both identities and certificates to whoever listens, and "
				     "lets strangers have us sign; use main mode or ikev2 where the peer can",
			p->name);
	if (p->aggressive_psk)
		check_warn(k,
			PATH_PROFILE
			"/aggressive-mode: shows both identities, and a preshared key to whoever tries keys "
			"offline (RFC 9395); use main mode or ikev2 where the peer can",
			p->name);
	if (!p->lifetime_s)
		p->lifetime_s = DEFAULT_IKE_LIFETIME_S;
	if (p->lifetime_s < 60 || p->lifetime_s > 86400)
		return check_fail(k, PATH_PROFILE "/lifetime: %u seconds; 60..86400", p->name, p->lifetime_s);
	if (p->nat_keepalive_s && (p->nat_keepalive_s < 5 || p->nat_keepalive_s > 3600))
		return check_fail(
			k, PATH_PROFILE "/nat-keepalive: %u seconds; 0 (off) or 5..3600", p->name, p->nat_keepalive_s);
	if (p->force_encaps && !p->nat_traversal)
		return check_fail(k, PATH_PROFILE "/force-encapsulation: needs nat-traversal", p->name);
	(void)((r = check_dpd(k, p)) || (r = check_xauth(k, p)) || (r = check_identities(k, p)));
	return r;
}

#define PPK_GOOD 32u /* octets */

int config_check_ike(struct config_check *k)
{
	struct cv_config *c = k->c;
	int r = check_policies(k);

	if (c->ike_capture)
		check_warn(k,
			"/culvert-ike:ike/allow-decrypted-capture: administrators may write the keys of IKE SAs to "
			"files; take it back when the fault is found");
	for (unsigned i = 0; !r && i < c->n_ike_proposal; i++)
		r = check_proposal(k, &c->ike_proposal[i]);
	for (unsigned i = 0; !r && i < c->n_keyring; i++)
		r = check_keyring(k, &c->keyring[i]);
	for (unsigned i = 0; !r && i < c->n_peer; i++)
		r = check_peer(k, &c->peer[i]);
	for (unsigned i = 0; i < c->n_ppk; i++)
		if (c->ppk[i].key.p && c->ppk[i].key.len < PPK_GOOD)
			check_warn(k,
				"/culvert-ike:ike/ppk[id='%s']: shorter than %u octets, which a quantum computer "
				"may search (RFC 8784 6)",
				c->ppk[i].id, PPK_GOOD);
	for (unsigned i = 0; !r && i < c->n_pool; i++)
		r = check_pool(k, &c->pool[i]);
	for (unsigned i = 0; !r && i < c->n_ike_profile; i++)
		r = check_profile(k, &c->ike_profile[i]);
	return r;
}
