/* SPDX-License-Identifier: BSD-3-Clause */
/* RSA keys without certificates: our own pairs (IKE-44), and those of peers, entered by hand (IKE-43..47, VRF-21). */
#include <string.h>

#include "config_priv.h"
#include "cv_addr.h"

/* ---- our own ---- */

static int load_file(struct config_check *k, const char *name, const char *leaf, const char *path, struct pki_rsa **out)
{
	char why[PKI_ERR_MAX];

	*out = pki_rsa_load(path, k->c->allow_legacy, why);
	return *out ? 0 : check_fail(k, PATH_RSA_PAIR "/%s: %s", name, leaf, why);
}

static int load_pair(struct config_check *k, struct cfg_rsa_pair *p)
{
	int r;

	if (!p->file) {
		r = load_file(k, p->name, "signature-key", p->signature_file, &p->signs);
		return r ? r : load_file(k, p->name, "encryption-key", p->encryption_file, &p->decrypts);
	}
	r = load_file(k, p->name, "general-key", p->file, &p->signs);
	if (!r)
		p->decrypts = pki_rsa_ref(p->signs);
	return r;
}

int config_pair_of(struct config_check *k, struct cfg_ike_profile *p)
{
	struct cv_config *c = k->c;

	p->rsa_pair_ref = !p->rsa_pair && c->n_rsa_pair ? c->rsa_pair : NULL;
	for (unsigned i = 0; p->rsa_pair && i < c->n_rsa_pair; i++)
		if (!strcmp(c->rsa_pair[i].name, p->rsa_pair))
			p->rsa_pair_ref = &c->rsa_pair[i];
	return !p->rsa_pair || p->rsa_pair_ref
		       ? 0
		       : check_fail(k, PATH_PROFILE "/rsa-key-pair: no RSA key pair \"%s\"", p->name, p->rsa_pair);
}

/* ---- peers' ---- */

static bool same_peer(const struct cfg_rsa_public *a, const struct cfg_rsa_public *b)
{
	if (a->hostname || b->hostname)
		return a->hostname && b->hostname && !strcasecmp(a->hostname, b->hostname);
	return cv_addr_eq(&a->addr, &b->addr);
}

static int load_public(struct config_check *k, const struct cfg_keyring *ring, struct cfg_rsa_public *p)
{
	const char *why;

	for (const struct cfg_rsa_public *o = ring->rsa; o < p; o++)
		if (o->usage == p->usage && same_peer(o, p))
			return check_fail(
				k, PATH_RSA_PUBLIC ": the same peer and usage as \"%s\"", ring->name, p->name, o->name);
	p->key = pki_rsa_public(p->der, p->der_len, k->c->allow_legacy, &why);
	return p->key ? 0 : check_fail(k, PATH_RSA_PUBLIC "/key-string: %s", ring->name, p->name, why);
}

int config_load_rsa(struct config_check *k)
{
	struct cv_config *c = k->c;
	const char *by_hand = NULL;
	int r = 0;

	for (unsigned i = 0; !r && i < c->n_rsa_pair; i++)
		r = load_pair(k, &c->rsa_pair[i]);
	for (unsigned i = 0; !r && i < c->n_keyring; i++)
		for (unsigned j = 0; !r && j < c->keyring[i].n_rsa; j++) {
			r = load_public(k, &c->keyring[i], &c->keyring[i].rsa[j]);
			by_hand = c->keyring[i].name;
		}
	if (!r && by_hand && c->n_trust_point) /* IKE-43; IKE-Q6: told, not refused */
		check_warn(k,
			PATH_KEYRING "/rsa-public-key: keys entered by hand beside a trust point: peers with "
				     "certificates do not need them, and no CA answers for them",
			by_hand);
	return r;
}
