/* SPDX-License-Identifier: BSD-3-Clause */
/* Trust points: reading their files, and which of them a profile uses. */
#include <string.h>

#include "config_priv.h"

#define EXPIRES_SOON_S (14 * 86400)

static void check_expiry(struct config_check *k, const struct cfg_trust_point *t, const char *leaf, int64_t left)
{
	if (left <= 0)
		check_warn(k, PATH_TRUST_POINT "/%s: it has expired; peers will refuse it", t->name, leaf);
	else if (left < EXPIRES_SOON_S)
		check_warn(k, PATH_TRUST_POINT "/%s: it expires in %d days", t->name, leaf, (int)(left / 86400));
}

int config_load_pki(struct config_check *k)
{
	struct cv_config *c = k->c;
	char why[PKI_ERR_MAX];

	for (unsigned i = 0; i < c->n_trust_point; i++) {
		struct cfg_trust_point *t = &c->trust_point[i];
		t->files.legacy = c->allow_legacy;
		t->tp = pki_tp_load(&t->files, why);
		if (!t->tp)
			return check_fail(k, PATH_TRUST_POINT ": %s", t->name, why);
		check_expiry(k, t, "certificate", pki_tp_valid_s(t->tp));
		check_expiry(k, t, "encryption-certificate", pki_tp_encryption_valid_s(t->tp));
	}
	return 0;
}

static struct cfg_trust_point *find(struct cv_config *c, const char *name)
{
	for (unsigned i = 0; i < c->n_trust_point; i++)
		if (!strcmp(c->trust_point[i].name, name))
			return &c->trust_point[i];
	return NULL;
}

static int check_profile_trust(struct config_check *k, const struct cfg_ike_profile *p)
{
	bool signs = false;

	for (unsigned i = 0; i < p->n_trust_point; i++)
		signs |= pki_tp_key(p->trust[i]) != PKI_KEY_NONE;
	if (p->remote_auth == CFG_METHOD_SIGNATURE && !p->n_trust_point)
		return check_fail(
			k, PATH_PROFILE "/authentication/remote: signature needs a trust point to judge by", p->name);
	if (p->local_auth == CFG_METHOD_SIGNATURE && !signs)
		return check_fail(k,
			PATH_PROFILE "/authentication/local: signature needs a trust point with certificate and "
				     "private-key",
			p->name);
	if (p->local_id.type == CFG_ID_DN && !p->local_id.dn && !signs)
		return check_fail(k,
			PATH_PROFILE "/local-identity: type dn without a value needs a trust point with a certificate",
			p->name);
	return 0;
}

int config_trust_of(struct config_check *k, struct cfg_ike_profile *p)
{
	struct cv_config *c = k->c;

	p->trust_all = !p->n_trust_point;
	if (p->trust_all) {
		p->trust_point = config_alloc(c, c->n_trust_point, sizeof(*p->trust_point));
		for (; p->n_trust_point < c->n_trust_point; p->n_trust_point++)
			p->trust_point[p->n_trust_point] = c->trust_point[p->n_trust_point].name;
	}
	p->trust = config_alloc(c, p->n_trust_point, sizeof(*p->trust));
	for (unsigned i = 0; i < p->n_trust_point; i++) {
		struct cfg_trust_point *t = find(c, p->trust_point[i]);
		if (!t)
			return check_fail(
				k, PATH_PROFILE "/trust-point: no trust point \"%s\"", p->name, p->trust_point[i]);
		p->trust[i] = t->tp;
	}
	return check_profile_trust(k, p);
}

static bool shared(const struct cfg_ike_profile *a, const struct cfg_ike_profile *b, unsigned i)
{
	for (unsigned j = 0; j < b->n_match_cert; j++)
		if (a->match_cert_ref[i] == b->match_cert_ref[j])
			return true;
	return false;
}

int config_check_cert_maps(struct config_check *k)
{
	const struct cv_config *c = k->c;
	for (unsigned a = 0; a < c->n_ike_profile; a++) {
		const struct cfg_ike_profile *p = &c->ike_profile[a];
		for (unsigned b = a + 1; b < c->n_ike_profile; b++)
			for (unsigned i = 0; i < p->n_match_cert; i++)
				if (shared(p, &c->ike_profile[b], i))
					return check_fail(k,
						PATH_PROFILE "/match-certificate: map \"%s\" is in profile \"%s\" "
							     "already; a map belongs to one profile",
						c->ike_profile[b].name, p->match_cert[i], p->name);
		if (p->n_match_cert && p->version == CFG_IKEV2 && p->remote_auth != CFG_METHOD_SIGNATURE)
			check_warn(k,
				PATH_PROFILE "/match-certificate: no effect, as the peer shows no certificate; set "
					     "authentication/remote to signature",
				p->name);
	}
	return 0;
}
