/* SPDX-License-Identifier: BSD-3-Clause */
#include "cert_env.h"

#include <stdio.h>

struct cert_env cert_env;

int cert_env_setup(void **state)
{
	(void)state;
	struct cert_env *e = &cert_env;
	e->ca_key = pkim_key("EC256");
	e->rogue_key = pkim_key("EC256");
	const struct pkim_cert w = {.subject = "/O=Lab/CN=Root", .ca = true, .ku = "keyCertSign,cRLSign"};
	e->ca = pkim_cert(&w, e->ca_key, NULL, NULL);
	e->rogue = pkim_cert(&(struct pkim_cert){.subject = "/O=Rogue/CN=Root", .ca = true}, e->rogue_key, NULL, NULL);
	e->ca_path = pkim_write_certs("ca.pem", &e->ca, 1);
	e->rogue_path = pkim_write_certs("rogue.pem", &e->rogue, 1);
	return 0;
}

int cert_env_finish(void **state)
{
	(void)state;
	X509_free(cert_env.ca);
	X509_free(cert_env.rogue);
	EVP_PKEY_free(cert_env.ca_key);
	EVP_PKEY_free(cert_env.rogue_key);
	pkim_cleanup();
	return 0;
}

void cert_env_reset(void)
{
	cert_env.san[0] = "IP:192.0.2.1";
	cert_env.san[1] = "IP:192.0.2.2";
	cert_env.subject = "/O=Lab/CN=gw0";
	cert_env.ku = "digitalSignature";
	cert_env.from_s = cert_env.to_s = 0;
	cert_env.crl_path = NULL;
	cert_env.by_rogue = false;
}

static const char **one_file(struct cv_config *c, const char *path)
{
	const char **list = config_alloc(c, 1, sizeof(char *));
	list[0] = path;
	return list;
}

void cert_env_point(struct cv_config *c, const char *name, int i, EVP_PKEY *key, bool strange, const char *trusted)
{
	const struct cert_env *e = &cert_env;
	char file[32];
	struct cfg_trust_point *t = &c->trust_point[c->n_trust_point++];
	struct pkim_cert w = {
		.subject = i ? "/O=Lab/CN=gw1" : e->subject, .san = e->san[i], .ku = e->ku, .serial = 70 + i};
	if (i)
		w.from_s = e->from_s, w.to_s = e->to_s;
	X509 *x = pkim_cert(&w, key, strange ? e->rogue : e->ca, strange ? e->rogue_key : e->ca_key);
	t->name = name;
	t->files.ca = one_file(c, trusted);
	t->files.n_ca = 1;
	snprintf(file, sizeof(file), "%s%d.pem", name, i);
	t->files.certificate = config_strdup(c, pkim_write_certs(file, &x, 1));
	snprintf(file, sizeof(file), "%s%d.key", name, i);
	t->files.key = config_strdup(c, pkim_write_key(file, key, 0600));
	if (e->crl_path && i == 0) {
		t->files.crl = one_file(c, e->crl_path);
		t->files.n_crl = 1;
		t->files.revocation = PKI_REVOCATION_REQUIRED;
	}
	X509_free(x);
}

void cert_env_encryption(struct cv_config *c, struct cfg_trust_point *t, int i, EVP_PKEY *key, bool strange)
{
	const struct cert_env *e = &cert_env;
	char file[48];
	const struct pkim_cert w = {
		.subject = i ? "/O=Lab/CN=gw1" : e->subject, .san = e->san[i], .ku = "keyEncipherment"};
	X509 *x = pkim_cert(&w, key, strange ? e->rogue : e->ca, strange ? e->rogue_key : e->ca_key);
	snprintf(file, sizeof(file), "%s%d-encryption.pem", t->name, i);
	t->files.encryption_certificate = config_strdup(c, pkim_write_certs(file, &x, 1));
	snprintf(file, sizeof(file), "%s%d-encryption.key", t->name, i);
	t->files.encryption_key = config_strdup(c, pkim_write_key(file, key, 0600));
	X509_free(x);
}

void cert_env_fqdn(struct cv_config *c, int i)
{
	c->ike_profile->local_id.type = CFG_ID_FQDN;
	c->ike_profile->local_id.text = i ? "gw1.example.org" : "gw0.example.org";
}
