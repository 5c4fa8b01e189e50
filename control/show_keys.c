/* SPDX-License-Identifier: BSD-3-Clause */
/* RSA keys and certificates: ours, and peers' public keys (IKE-45..47, VRF-T2, CERTMAP-T2). Never a private half. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "cv_addr.h"
#include "show_priv.h"

static const char *usage_name(enum cfg_rsa_usage u)
{
	return u == CFG_RSA_SIGNATURE ? "signature" : u == CFG_RSA_ENCRYPTION ? "encryption" : "general";
}

static void set_key(json_t *o, const struct pki_rsa *key)
{
	struct pki_blob der = pki_rsa_spki(key);
	char *hex = malloc(2 * der.len + 1);

	set_int(o, "bits", (json_int_t)pki_rsa_len(key) * 8);
	if (!hex)
		return;
	for (size_t i = 0; i < der.len; i++) {
		hex[2 * i] = "0123456789ABCDEF"[der.p[i] >> 4];
		hex[2 * i + 1] = "0123456789ABCDEF"[der.p[i] & 15];
	}
	hex[2 * der.len] = 0;
	set_str(o, "key_data", hex);
	free(hex);
}

static void add_own(
	json_t *list, const char *name, enum cfg_rsa_usage use, const char *where, const struct pki_rsa *key)
{
	json_t *o = json_object();

	set_str(o, "name", name);
	set_str(o, "usage", usage_name(use));
	set_str(o, "kept_in", where);
	set_key(o, key);
	json_array_append_new(list, o);
}

void show_mypubkey(struct show *s)
{
	json_t *list = set_array(s->out, "keys");
	const struct cv_config *c = s->c->running;

	for (unsigned i = 0; c && i < c->n_rsa_pair; i++) {
		const struct cfg_rsa_pair *p = &c->rsa_pair[i];

		add_own(list, p->name, p->file ? CFG_RSA_GENERAL : CFG_RSA_SIGNATURE, "rsa-key-pair", p->signs);
		if (!p->file)
			add_own(list, p->name, CFG_RSA_ENCRYPTION, "rsa-key-pair", p->decrypts);
	}
	for (unsigned i = 0; c && i < c->n_trust_point; i++) {
		const struct cfg_trust_point *t = &c->trust_point[i];
		bool special = pki_tp_encryption_cert(t->tp).len;

		if (pki_tp_rsa(t->tp))
			add_own(list, t->name, special ? CFG_RSA_SIGNATURE : CFG_RSA_GENERAL, "trust-point",
				pki_tp_rsa(t->tp));
		if (special)
			add_own(list, t->name, CFG_RSA_ENCRYPTION, "trust-point", pki_tp_decrypts(t->tp));
	}
	show_answer(s);
}

static json_t *by_hand(const struct cfg_keyring *ring, const struct cfg_rsa_public *r)
{
	char text[CV_ADDR_STR];
	json_t *o = json_object();

	set_str(o, "code", "M");
	set_str(o, "usage", usage_name(r->usage));
	if (cv_addr_bits(&r->addr))
		set_str(o, "address", cv_addr_str(&r->addr, text));
	set_str(o, "vrf", ring->vrf);
	set_str(o, "keyring", ring->name);
	set_str(o, "name", r->hostname);
	set_str(o, "serial_number", r->serial);
	set_key(o, r->key);
	return o;
}

/* Is it the one asked for? Names compare without case. */
static bool asked_for(struct show *s, const json_t *o)
{
	const char *name = arg_str(s, "name"), *address = arg_str(s, "address");
	const char *n = json_string_value(json_object_get(o, "name"));
	const char *a = json_string_value(json_object_get(o, "address"));

	return (!name || (n && !strcasecmp(n, name))) && (!address || (a && !strcmp(a, address)));
}

void show_pubkey_chain(struct show *s)
{
	json_t *list = set_array(s->out, "keys"), *all = ike_show_learned(s->c->ike), *o;
	const struct cv_config *c = s->c->running;
	size_t i;

	for (unsigned k = 0; c && k < c->n_keyring; k++)
		for (unsigned j = 0; j < c->keyring[k].n_rsa; j++)
			json_array_append_new(all, by_hand(&c->keyring[k], &c->keyring[k].rsa[j]));
	json_array_foreach (all, i, o)
		if (asked_for(s, o))
			json_array_append(list, o);
	json_decref(all);
	show_answer(s);
}

/* ---- certificates ---- */

/* usage: what our certificate is for; NULL = a CA's. */
static void add_certificate(json_t *list, const char *tp, const char *usage, struct pki_fields *f)
{
	json_t *o = json_object();
	int64_t now = time(NULL);

	if (f) {
		set_str(o, "kind", usage ? "own" : "ca");
		set_str(o, "usage", usage);
		set_str(o, "status",
			now < f->valid_start  ? "not valid yet"
			: now > f->expires_on ? "expired"
					      : "available");
		set_str(o, "serial", f->serial);
		set_str(o, "issuer", f->issuer);
		set_str(o, "subject", f->subject);
		set_int(o, "valid_start", f->valid_start);
		set_int(o, "expires_on", f->expires_on);
		set_str(o, "trust_point", tp);
		json_array_append(list, o);
	}
	json_decref(o);
	pki_fields_free(f);
}

void show_certificates(struct show *s)
{
	json_t *list = set_array(s->out, "certificates");
	const struct cv_config *c = s->c->running;
	const char *only = arg_str(s, "name");
	struct pki_blob chain[PKI_CHAIN_MAX];

	for (unsigned i = 0; c && i < c->n_trust_point; i++) {
		const struct cfg_trust_point *t = &c->trust_point[i];

		if (only && strcmp(only, t->name))
			continue;
		struct pki_blob encryption = pki_tp_encryption_cert(t->tp);

		if (pki_tp_chain(t->tp, chain))
			add_certificate(list, t->name, usage_name(encryption.len ? CFG_RSA_SIGNATURE : CFG_RSA_GENERAL),
				pki_fields_new(chain[0]));
		if (encryption.len)
			add_certificate(list, t->name, usage_name(CFG_RSA_ENCRYPTION), pki_fields_new(encryption));
		for (unsigned k = 0; k < pki_tp_n_ca(t->tp); k++)
			add_certificate(list, t->name, NULL, pki_tp_ca_fields(t->tp, k));
	}
	show_answer(s);
}
