/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "pki_make.h"

#define FILES_MAX 8192
static char dir[64], *files[FILES_MAX];
static unsigned n_files;
static long next_serial = 1000;

static FILE *new_file(const char *name, const char **path)
{
	if (!dir[0]) {
		strcpy(dir, "/tmp/culvert-test-pki.XXXXXX");
		assert_non_null(mkdtemp(dir));
	}
	char *p = NULL;
	assert_true(asprintf(&p, "%s/%s", dir, name) > 0);
	FILE *f = fopen(p, "w");
	assert_non_null(f);
	assert_true(n_files < FILES_MAX);
	*path = files[n_files++] = p;
	return f;
}

void pkim_cleanup(void)
{
	while (n_files) {
		unlink(files[--n_files]);
		free(files[n_files]);
	}
	if (dir[0])
		rmdir(dir);
	dir[0] = 0;
}

EVP_PKEY *pkim_key(const char *type)
{
	EVP_PKEY *k = !strcmp(type, "RSA")	 ? EVP_RSA_gen(2048)
		      : !strcmp(type, "RSA1024") ? EVP_RSA_gen(1024)
		      : !strcmp(type, "EC256")	 ? EVP_EC_gen("P-256")
		      : !strcmp(type, "EC384")	 ? EVP_EC_gen("P-384")
		      : !strcmp(type, "EC521")	 ? EVP_EC_gen("P-521")
						 : EVP_PKEY_Q_keygen(NULL, NULL, type);
	assert_non_null(k);
	return k;
}

static X509_NAME *name_of(const char *text)
{
	X509_NAME *n = X509_NAME_new();
	char *copy = strdup(text), *save = NULL;
	for (char *p = strtok_r(copy, "/", &save); p; p = strtok_r(NULL, "/", &save)) {
		char *v = strchr(p, '=');
		*v++ = 0;
		assert_true(X509_NAME_add_entry_by_txt(n, p, MBSTRING_UTF8, (unsigned char *)v, -1, -1, 0));
	}
	free(copy);
	return n;
}

static void extend(X509 *x, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	assert_non_null(e);
	assert_true(X509_add_ext(x, e, -1));
	X509_EXTENSION_free(e);
}

static const EVP_MD *md_for(EVP_PKEY *key)
{
	int id = EVP_PKEY_get_base_id(key);
	return id == EVP_PKEY_ED25519 || id == EVP_PKEY_ED448 ? NULL : EVP_sha256();
}

X509 *pkim_cert(const struct pkim_cert *w, EVP_PKEY *key, X509 *issuer, EVP_PKEY *issuer_key)
{
	X509 *x = X509_new();
	X509_NAME *name = name_of(w->subject);
	bool dates = w->from_s || w->to_s;
	assert_true(X509_set_version(x, 2));
	ASN1_INTEGER_set(X509_get_serialNumber(x), w->serial ? w->serial : next_serial++);
	X509_gmtime_adj(X509_getm_notBefore(x), dates ? w->from_s : -3600);
	X509_gmtime_adj(X509_getm_notAfter(x), dates ? w->to_s : 86400);
	assert_true(X509_set_subject_name(x, name));
	assert_true(X509_set_issuer_name(x, issuer ? X509_get_subject_name(issuer) : name));
	X509_NAME_free(name);
	assert_true(X509_set_pubkey(x, key));
	extend(x, issuer ? issuer : x, NID_basic_constraints, w->ca ? "critical,CA:TRUE" : "CA:FALSE");
	if (w->san)
		extend(x, issuer ? issuer : x, NID_subject_alt_name, w->san);
	if (w->ku)
		extend(x, issuer ? issuer : x, NID_key_usage, w->ku);
	if (w->eku)
		extend(x, issuer ? issuer : x, NID_ext_key_usage, w->eku);
	EVP_PKEY *k = issuer_key ? issuer_key : key;
	assert_true(X509_sign(x, k, md_for(k)) > 0);
	return x;
}

const char *pkim_write_certs(const char *name, X509 *const *cert, unsigned n)
{
	const char *path;
	FILE *f = new_file(name, &path);
	for (unsigned i = 0; i < n; i++)
		assert_true(PEM_write_X509(f, cert[i]));
	fclose(f);
	return path;
}

const char *pkim_write_key(const char *name, EVP_PKEY *key, unsigned mode)
{
	const char *path;
	FILE *f = new_file(name, &path);
	assert_true(PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL));
	fclose(f);
	assert_int_equal(chmod(path, mode), 0);
	return path;
}

const char *pkim_write_crl(const char *name, X509 *issuer, EVP_PKEY *key, long revoked, long to_s)
{
	const char *path;
	X509_CRL *crl = X509_CRL_new();
	ASN1_TIME *t = ASN1_TIME_new();
	assert_true(X509_CRL_set_version(crl, 1));
	assert_true(X509_CRL_set_issuer_name(crl, X509_get_subject_name(issuer)));
	X509_gmtime_adj(t, -7200);
	X509_CRL_set1_lastUpdate(crl, t);
	X509_gmtime_adj(t, to_s);
	X509_CRL_set1_nextUpdate(crl, t);
	if (revoked) {
		X509_REVOKED *r = X509_REVOKED_new();
		ASN1_INTEGER *n = ASN1_INTEGER_new();
		ASN1_INTEGER_set(n, revoked);
		X509_REVOKED_set_serialNumber(r, n);
		X509_gmtime_adj(t, -3600);
		X509_REVOKED_set_revocationDate(r, t);
		assert_true(X509_CRL_add0_revoked(crl, r));
		ASN1_INTEGER_free(n);
	}
	assert_true(X509_CRL_sign(crl, key, md_for(key)) > 0);
	FILE *f = new_file(name, &path);
	assert_true(PEM_write_X509_CRL(f, crl));
	fclose(f);
	ASN1_TIME_free(t);
	X509_CRL_free(crl);
	return path;
}

const char *pkim_write_text(const char *name, const char *text)
{
	const char *path;
	FILE *f = new_file(name, &path);
	fputs(text, f);
	fclose(f);
	return path;
}
