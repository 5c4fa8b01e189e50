/* SPDX-License-Identifier: BSD-3-Clause */
/* Names as text, whole, and what a certificate says field by field: what the operator's rules are held against. */
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "pki_priv.h"

/* What has been written to a memory BIO as a string; frees the BIO. NULL when out of memory. */
static char *bio_text(BIO *bio)
{
	char *data = NULL;
	long n = BIO_get_mem_data(bio, &data);
	char *text = n >= 0 ? malloc((size_t)n + 1) : NULL;
	if (text) {
		if (n)
			memcpy(text, data, (size_t)n);
		text[n] = 0;
	}
	BIO_free(bio);
	return text;
}

char *pki_name_dup(const X509_NAME *name)
{
	BIO *bio = BIO_new(BIO_s_mem());
	if (!bio)
		return NULL;
	if (X509_NAME_print_ex(bio, name, 0, XN_FLAG_ONELINE & ~XN_FLAG_SPC_EQ & ~ASN1_STRFLGS_ESC_MSB) < 0) {
		BIO_free(bio);
		return NULL;
	}
	return bio_text(bio);
}

static char *serial_dup(const X509 *cert)
{
	BIGNUM *n = ASN1_INTEGER_to_BN(X509_get0_serialNumber(cert), NULL);
	char *hex = n ? BN_bn2hex(n) : NULL, *text = hex ? strdup(hex) : NULL;
	OPENSSL_free(hex);
	BN_free(n);
	return text;
}

/* The first attribute of one kind as UTF-8; NULL = there is none, or it is not text. */
static char *attribute_dup(const X509_NAME *name, int nid)
{
	int i = X509_NAME_get_index_by_NID(name, nid, -1);
	unsigned char *utf8 = NULL;
	int n = i >= 0 ? ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, i))) : -1;
	char *text = n >= 0 && !memchr(utf8, 0, (size_t)n) ? strndup((const char *)utf8, (size_t)n) : NULL;
	OPENSSL_free(utf8);
	return text;
}

/* A name that is no DN has no RDNs: whatever it contains, no rule may take a part of it for one. */
static char *shielded(const char *text)
{
	char *out = malloc(2 * strlen(text) + 1), *o = out;
	for (const char *p = text; out && *p; p++) {
		if (strchr(",+=\"\\", *p))
			*o++ = '\\';
		*o++ = *p;
	}
	if (out)
		*o = 0;
	return out;
}

/* "DNS:gw.example.org" and, for rules that name the value alone, "gw.example.org". False when out of memory. */
static bool add_alt(struct pki_fields *f, GENERAL_NAME *g)
{
	BIO *bio = BIO_new(BIO_s_mem());
	if (!bio)
		return false;
	GENERAL_NAME_print(bio, g);
	char *text = bio_text(bio), *whole = NULL, *value = NULL;
	if (text && g->type == GEN_DIRNAME) {
		value = pki_name_dup(g->d.directoryName);
		whole = value ? strdup(value) : NULL;
	} else if (text) {
		const char *colon = strchr(text, ':');
		whole = shielded(text);
		value = shielded(colon ? colon + 1 : text);
	}
	free(text);
	f->alt[f->n_alt++] = whole;
	f->alt[f->n_alt++] = value;
	return whole && value;
}

static bool add_alts(struct pki_fields *f, X509 *x)
{
	GENERAL_NAMES *san = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
	int n = san ? sk_GENERAL_NAME_num(san) : 0;
	bool ok = true;
	f->alt = calloc(2 * (size_t)n + 1, sizeof(*f->alt));
	for (int i = 0; ok && f->alt && i < n; i++)
		ok = add_alt(f, sk_GENERAL_NAME_value(san, i));
	GENERAL_NAMES_free(san);
	return ok && f->alt;
}

static int64_t seconds_of(const ASN1_TIME *t)
{
	struct tm tm;
	return ASN1_TIME_to_tm(t, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

struct pki_fields *pki_fields_of(X509 *x)
{
	struct pki_fields *f = calloc(1, sizeof(*f));
	const X509_NAME *subject = X509_get_subject_name(x);
	if (!f)
		return NULL;
	f->subject = pki_name_dup(subject);
	f->issuer = pki_name_dup(X509_get_issuer_name(x));
	f->serial = serial_dup(x);
	char *text = attribute_dup(subject, NID_pkcs9_unstructuredName);
	f->unstructured = text ? shielded(text) : NULL;
	free(text);
	f->ou = attribute_dup(subject, NID_organizationalUnitName);
	f->valid_start = seconds_of(X509_get0_notBefore(x));
	f->expires_on = seconds_of(X509_get0_notAfter(x));
	if (add_alts(f, x) && f->subject && f->issuer && f->serial)
		return f;
	pki_fields_free(f);
	return NULL;
}

struct pki_fields *pki_fields_new(struct pki_blob cert)
{
	const uint8_t *p = cert.p;
	X509 *x = cert.len && cert.len <= 65535 ? d2i_X509(NULL, &p, (long)cert.len) : NULL;
	struct pki_fields *f = x ? pki_fields_of(x) : NULL;
	X509_free(x);
	ERR_clear_error();
	return f;
}

void pki_fields_free(struct pki_fields *f)
{
	if (!f)
		return;
	for (unsigned i = 0; i < f->n_alt; i++)
		free(f->alt[i]);
	free(f->alt);
	free(f->subject);
	free(f->issuer);
	free(f->serial);
	free(f->unstructured);
	free(f->ou);
	free(f);
}

char *pki_dn_ou(const void *der, size_t len)
{
	X509_NAME *name = pki_name_of(der, len);
	char *text = name ? attribute_dup(name, NID_organizationalUnitName) : NULL;
	X509_NAME_free(name);
	return text;
}
