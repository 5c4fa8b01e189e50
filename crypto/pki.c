/* SPDX-License-Identifier: BSD-3-Clause */
/* Trust points: loading and checking their files, our own certificate, CRL files. */
#include "pki_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#define FILE_MAX_LEN (1 << 20) /* bytes of PEM text */
#define CRL_FILE_MAX (32 << 20)

static bool fail(char *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static bool fail(char *err, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(err, PKI_ERR_MAX, fmt, ap);
	va_end(ap);
	ERR_clear_error();
	return false;
}

/* A regular file of bounded size, opened; NULL with err. */
static BIO *open_file(const char *path, off_t max, struct stat *st, char *err)
{
	/* asked before opening: a device may do something when it is opened */
	bool regular = stat(path, st) != 0 || (S_ISREG(st->st_mode) && st->st_size <= max);
	int fd = regular ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;
	if (!regular || fd < 0 || fstat(fd, st) != 0 || !S_ISREG(st->st_mode)) {
		if (regular && fd < 0)
			fail(err, "%s: %s", path, strerror(errno));
		else
			fail(err, "%s: not a regular file of at most %jd bytes", path, (intmax_t)max);
		if (fd >= 0)
			close(fd);
		return NULL;
	}
	FILE *f = fdopen(fd, "r");
	BIO *bio = f ? BIO_new_fp(f, BIO_CLOSE) : NULL;
	if (!bio) {
		fail(err, "%s: out of memory", path);
		f ? (void)fclose(f) : (void)close(fd);
	}
	return bio;
}

/* The end of a PEM file is an error to OpenSSL, of one kind; anything else is a damaged block. */
static bool pem_at_end(void)
{
	unsigned long e = ERR_peek_last_error();
	return ERR_GET_LIB(e) == ERR_LIB_PEM && ERR_GET_REASON(e) == PEM_R_NO_START_LINE;
}

/* Read up to max certificates; returns how many, 0 with err. */
static unsigned read_certs(const char *path, X509 **out, unsigned max, char *err)
{
	struct stat st;
	unsigned n = 0;
	BIO *bio = open_file(path, FILE_MAX_LEN, &st, err);
	X509 *x;
	if (!bio)
		return 0;
	ERR_clear_error();
	while (n < max && (x = PEM_read_bio_X509(bio, NULL, NULL, NULL)))
		out[n++] = x;
	bool whole = n < max && pem_at_end();
	BIO_free(bio);
	if (n && whole) {
		ERR_clear_error();
		return n;
	}
	fail(err,
		n == max ? "%s: more certificates than fit"
		: n	 ? "%s: a damaged certificate"
			 : "%s: no PEM certificate",
		path);
	while (n)
		X509_free(out[--n]);
	return 0;
}

static bool keyid_of(X509 *x, uint8_t out[PKI_KEYID_LEN])
{
	uint8_t *spki = NULL;
	unsigned len = 0;
	/* RFC 7296 3.7: of the whole SubjectPublicKeyInfo, unlike the usual subject key identifier */
	int n = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x), &spki);
	bool ok = n > 0 && EVP_Digest(spki, (size_t)n, out, &len, EVP_sha1(), NULL) && len == PKI_KEYID_LEN;
	OPENSSL_free(spki);
	return ok;
}

static bool load_ca_file(struct pki_tp *tp, const char *path, char *err)
{
	X509 *x[PKI_CA_MAX + 1];
	unsigned n = read_certs(path, x, PKI_CA_MAX + 1, err);
	bool ok = n != 0;
	for (unsigned i = 0; i < n; i++) {
		if (ok && tp->n_ca == PKI_CA_MAX)
			ok = fail(err, "%s: more than %u CA certificates in one trust point", path, PKI_CA_MAX);
		if (ok && (!keyid_of(x[i], tp->ca[tp->n_ca].keyid) || !X509_STORE_add_cert(tp->store, x[i])))
			ok = fail(err, "%s: certificate %u cannot be used", path, i + 1);
		if (ok)
			tp->ca[tp->n_ca++].cert = x[i];
		else
			X509_free(x[i]);
	}
	return ok;
}

/* Nobody but root, this process and its own group may be able to read a private key. */
static bool private_enough(const struct stat *st)
{
	mode_t loose = st->st_gid == getegid() ? S_IWGRP | S_IXGRP | S_IRWXO : S_IRWXG | S_IRWXO;
	return (st->st_uid == 0 || st->st_uid == geteuid()) && !(st->st_mode & loose);
}

static int no_passphrase(char *buf, int size, int rwflag, void *u)
{
	(void)buf, (void)size, (void)rwflag, (void)u;
	return -1; /* a daemon has nobody to ask */
}

EVP_PKEY *pki_read_key(const char *path, char *err)
{
	struct stat st;
	EVP_PKEY *key = NULL;
	BIO *bio = open_file(path, FILE_MAX_LEN, &st, err);
	if (!bio)
		return NULL;
	if (!private_enough(&st))
		fail(err, "%s: others can read this private key; make it 0600 and owned by root or the daemon", path);
	else if (!(key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL)))
		fail(err, "%s: no PEM private key without passphrase", path);
	BIO_free(bio);
	return key;
}

static bool load_key(struct pki_tp *tp, const char *path, char *err)
{
	tp->key = pki_read_key(path, err);
	if (!tp->key)
		return false;
	enum pki_key kind = pki_key_of(tp->key);
	if (kind == PKI_KEY_NONE)
		return fail(err, "%s: kind of key not supported; RSA, EC P-256, P-384, P-521, Ed25519 or Ed448", path);
	if (kind == PKI_KEY_RSA && !(tp->rsa = pki_rsa_new(tp->key, true)))
		return fail(err, "%s: out of memory", path);
	return true;
}

static bool der_of(X509 *x, struct pki_blob *out)
{
	uint8_t *der = NULL;
	int n = i2d_X509(x, &der);
	if (n > 0)
		*out = (struct pki_blob){der, (size_t)n};
	return n > 0;
}

static bool load_own(struct pki_tp *tp, const struct pki_files *f, char *err)
{
	if (!f->key)
		return fail(err, "%s: a certificate of our own needs its private key", f->certificate);
	tp->n_chain = read_certs(f->certificate, tp->chain, PKI_CHAIN_MAX, err);
	if (!tp->n_chain || !load_key(tp, f->key, err))
		return false;
	if (X509_check_private_key(tp->chain[0], tp->key) != 1)
		return fail(err, "%s: not the key of the first certificate in %s", f->key, f->certificate);
	for (unsigned i = 0; i < tp->n_chain; i++)
		if (!der_of(tp->chain[i], &tp->der[i]))
			return fail(err, "%s: certificate %u cannot be used", f->certificate, i + 1);
	uint8_t *name = NULL;
	int n = i2d_X509_NAME(X509_get_subject_name(tp->chain[0]), &name);
	if (n <= 0)
		return fail(err, "%s: no subject name", f->certificate);
	tp->subject = (struct pki_blob){name, (size_t)n};
	return true;
}

/* One certificate: its issuers are sent with the other. */
static bool load_encryption(struct pki_tp *tp, const struct pki_files *f, char *err)
{
	X509 *x[2];
	if (!f->encryption_key)
		return fail(err, "%s: a certificate of our own needs its private key", f->encryption_certificate);
	if (!read_certs(f->encryption_certificate, x, 2, err))
		return false;
	tp->encryption_cert = x[0];
	EVP_PKEY *key = pki_read_key(f->encryption_key, err);
	bool ok = key != NULL;
	if (ok && (pki_key_of(key) != PKI_KEY_RSA || !(X509_get_key_usage(x[0]) & KU_KEY_ENCIPHERMENT)))
		ok = fail(err, "%s: not for an RSA key that encrypts keys", f->encryption_certificate);
	if (ok && X509_check_private_key(x[0], key) != 1)
		ok = fail(
			err, "%s: not the key of the certificate in %s", f->encryption_key, f->encryption_certificate);
	if (ok && (!der_of(x[0], &tp->encryption_der) || !(tp->decrypts = pki_rsa_new(key, true))))
		ok = fail(err, "%s: out of memory", f->encryption_key);
	EVP_PKEY_free(key);
	return ok;
}

/* ---- CRL files ---- */

static STACK_OF(X509_CRL) * read_crls(const char *path, struct stat *st, char *err)
{
	BIO *bio = open_file(path, CRL_FILE_MAX, st, err);
	STACK_OF(X509_CRL) *all = bio ? sk_X509_CRL_new_null() : NULL;
	X509_CRL *crl;
	ERR_clear_error();
	while (all && (crl = PEM_read_bio_X509_CRL(bio, NULL, NULL, NULL)))
		if (!sk_X509_CRL_push(all, crl)) {
			X509_CRL_free(crl);
			break;
		}
	BIO_free(bio);
	if (all && sk_X509_CRL_num(all) > 0 && pem_at_end()) {
		ERR_clear_error();
		return all;
	}
	if (all)
		fail(err, "%s: no PEM CRL, or a damaged one", path);
	sk_X509_CRL_pop_free(all, X509_CRL_free);
	return NULL;
}

/* Read the file again when it has changed; what is damaged leaves the CRLs of before in force. */
static bool refresh(struct pki_crl_file *f, char *err)
{
	struct stat st;
	if (stat(f->path, &st) == 0 && f->crls && !memcmp(&st.st_mtim, &f->mtime, sizeof(f->mtime)))
		return true;
	STACK_OF(X509_CRL) *crls = read_crls(f->path, &st, err);
	if (!crls)
		return false;
	sk_X509_CRL_pop_free(f->crls, X509_CRL_free);
	f->crls = crls;
	f->mtime = st.st_mtim;
	return true;
}

static bool load_crls(struct pki_tp *tp, const struct pki_files *f, char *err)
{
	if (f->revocation == PKI_REVOCATION_REQUIRED && !f->n_crl)
		return fail(err, "a required revocation check needs at least one CRL file");
	tp->crl = calloc(f->n_crl ? f->n_crl : 1, sizeof(*tp->crl));
	if (!tp->crl)
		return fail(err, "out of memory");
	for (; tp->n_crl < f->n_crl; tp->n_crl++) {
		tp->crl[tp->n_crl].path = strdup(f->crl[tp->n_crl]);
		if (!tp->crl[tp->n_crl].path)
			return fail(err, "out of memory");
		if (!refresh(&tp->crl[tp->n_crl], err)) {
			tp->n_crl++;
			return false;
		}
	}
	return true;
}

STACK_OF(X509_CRL) * pki_tp_crls(struct pki_tp *tp)
{
	char err[PKI_ERR_MAX];
	STACK_OF(X509_CRL) *all = sk_X509_CRL_new_null();
	pthread_mutex_lock(&tp->crl_lock);
	for (unsigned i = 0; all && i < tp->n_crl; i++) {
		refresh(&tp->crl[i], err);
		for (int k = 0; k < sk_X509_CRL_num(tp->crl[i].crls); k++) {
			X509_CRL *crl = sk_X509_CRL_value(tp->crl[i].crls, k);
			if (X509_CRL_up_ref(crl) && !sk_X509_CRL_push(all, crl))
				X509_CRL_free(crl);
		}
	}
	pthread_mutex_unlock(&tp->crl_lock);
	return all;
}

/* ---- life and death ---- */

struct pki_tp *pki_tp_load(const struct pki_files *f, char *err)
{
	struct pki_tp *tp = calloc(1, sizeof(*tp));
	err[0] = 0;
	if (!tp) {
		fail(err, "out of memory");
		return NULL;
	}
	tp->refs = 1;
	tp->revocation = f->revocation;
	tp->legacy = f->legacy;
	pthread_mutex_init(&tp->crl_lock, NULL);
	tp->store = X509_STORE_new();
	bool ok = tp->store || fail(err, "out of memory");
	for (unsigned i = 0; ok && i < f->n_ca; i++)
		ok = load_ca_file(tp, f->ca[i], err);
	if (ok && f->certificate)
		ok = load_own(tp, f, err);
	if (ok && f->encryption_certificate)
		ok = load_encryption(tp, f, err);
	if (ok)
		ok = load_crls(tp, f, err);
	if (ok)
		return tp;
	pki_tp_unref(tp);
	return NULL;
}

struct pki_tp *pki_tp_ref(struct pki_tp *tp)
{
	__atomic_fetch_add(&tp->refs, 1, __ATOMIC_RELAXED);
	return tp;
}

void pki_tp_unref(struct pki_tp *tp)
{
	if (!tp || __atomic_sub_fetch(&tp->refs, 1, __ATOMIC_ACQ_REL))
		return;
	for (unsigned i = 0; i < tp->n_ca; i++)
		X509_free(tp->ca[i].cert);
	for (unsigned i = 0; i < tp->n_chain; i++) {
		X509_free(tp->chain[i]);
		OPENSSL_free((void *)(uintptr_t)tp->der[i].p);
	}
	OPENSSL_free((void *)(uintptr_t)tp->subject.p);
	EVP_PKEY_free(tp->key);
	pki_rsa_unref(tp->rsa);
	X509_free(tp->encryption_cert);
	OPENSSL_free((void *)(uintptr_t)tp->encryption_der.p);
	pki_rsa_unref(tp->decrypts);
	for (unsigned i = 0; i < tp->n_crl; i++) {
		free(tp->crl[i].path);
		sk_X509_CRL_pop_free(tp->crl[i].crls, X509_CRL_free);
	}
	free(tp->crl);
	X509_STORE_free(tp->store);
	pthread_mutex_destroy(&tp->crl_lock);
	free(tp);
}

/* ---- what is in it ---- */

enum pki_key pki_key_of(EVP_PKEY *key)
{
	char group[32];
	switch (EVP_PKEY_get_base_id(key)) {
	case EVP_PKEY_RSA:
	case EVP_PKEY_RSA_PSS:
		return EVP_PKEY_get_bits(key) <= (int)PKI_SIG_MAX * 8 ? PKI_KEY_RSA : PKI_KEY_NONE;
	case EVP_PKEY_ED25519:
		return PKI_KEY_ED25519;
	case EVP_PKEY_ED448:
		return PKI_KEY_ED448;
	case EVP_PKEY_EC:
		if (!EVP_PKEY_get_group_name(key, group, sizeof(group), NULL))
			return PKI_KEY_NONE;
		return !strcmp(group, "prime256v1") || !strcmp(group, "P-256")	? PKI_KEY_EC256
		       : !strcmp(group, "secp384r1") || !strcmp(group, "P-384") ? PKI_KEY_EC384
		       : !strcmp(group, "secp521r1") || !strcmp(group, "P-521") ? PKI_KEY_EC521
										: PKI_KEY_NONE;
	}
	return PKI_KEY_NONE;
}

enum pki_key pki_tp_key(const struct pki_tp *tp)
{
	return tp->key ? pki_key_of(tp->key) : PKI_KEY_NONE;
}

struct pki_rsa *pki_tp_rsa(const struct pki_tp *tp)
{
	return tp->rsa;
}

struct pki_rsa *pki_tp_decrypts(const struct pki_tp *tp)
{
	return tp->decrypts ? tp->decrypts : tp->rsa;
}

struct pki_blob pki_tp_encryption_cert(const struct pki_tp *tp)
{
	return tp->encryption_der;
}

static bool self_issued(X509 *x)
{
	return X509_NAME_cmp(X509_get_subject_name(x), X509_get_issuer_name(x)) == 0;
}

unsigned pki_tp_chain(const struct pki_tp *tp, struct pki_blob out[PKI_CHAIN_MAX])
{
	unsigned n = 0;
	for (unsigned i = 0; i < tp->n_chain; i++)
		if (i == 0 || !self_issued(tp->chain[i])) /* the peer believes its own roots only */
			out[n++] = tp->der[i];
	return n;
}

struct pki_blob pki_tp_subject(const struct pki_tp *tp)
{
	return tp->subject;
}

/* The issuers of our certificate that we know: those sent along, and the CAs above the last of them. */
static bool issuer_is(const struct pki_tp *tp, bool (*is)(X509 *x, const struct pki_blob *want), struct pki_blob want)
{
	for (unsigned i = 1; i < tp->n_chain; i++)
		if (is(tp->chain[i], &want))
			return true;
	for (unsigned i = 0; tp->n_chain && i < tp->n_ca; i++)
		for (unsigned k = 0; k < tp->n_chain; k++)
			if (X509_check_issued(tp->ca[i].cert, tp->chain[k]) == X509_V_OK && is(tp->ca[i].cert, &want))
				return true;
	return false;
}

static bool has_keyid(X509 *x, const struct pki_blob *want)
{
	uint8_t id[PKI_KEYID_LEN];
	return keyid_of(x, id) && memcmp(id, want->p, PKI_KEYID_LEN) == 0;
}

static bool has_name(X509 *x, const struct pki_blob *want)
{
	const uint8_t *p = want->p;
	X509_NAME *name = d2i_X509_NAME(NULL, &p, (long)want->len);
	bool same = name && X509_NAME_cmp(X509_get_subject_name(x), name) == 0;
	X509_NAME_free(name);
	return same;
}

bool pki_tp_issued_by(const struct pki_tp *tp, const uint8_t keyid[PKI_KEYID_LEN])
{
	return issuer_is(tp, has_keyid, (struct pki_blob){keyid, PKI_KEYID_LEN});
}

bool pki_tp_issued_by_name(const struct pki_tp *tp, struct pki_blob name)
{
	return name.len && name.len < 4096 && issuer_is(tp, has_name, name);
}

static int64_t valid_s(X509 *x)
{
	int days = 0, s = 0;
	return ASN1_TIME_diff(&days, &s, NULL, X509_get0_notAfter(x)) ? (int64_t)days * 86400 + s : -1;
}

int64_t pki_tp_valid_s(const struct pki_tp *tp)
{
	return tp->n_chain ? valid_s(tp->chain[0]) : INT64_MAX;
}

int64_t pki_tp_encryption_valid_s(const struct pki_tp *tp)
{
	return tp->encryption_cert ? valid_s(tp->encryption_cert) : INT64_MAX;
}

int64_t pki_peer_valid_s(const struct pki_peer *peer)
{
	return valid_s(peer->cert);
}

unsigned pki_tp_n_ca(const struct pki_tp *tp)
{
	return tp->n_ca;
}

struct pki_fields *pki_tp_ca_fields(const struct pki_tp *tp, unsigned i)
{
	return pki_fields_of(tp->ca[i].cert);
}

const uint8_t *pki_tp_ca_keyid(const struct pki_tp *tp, unsigned i)
{
	return tp->ca[i].keyid;
}

struct pki_blob pki_tp_ca_name(const struct pki_tp *tp, unsigned i)
{
	const uint8_t *p = NULL;
	size_t len = 0;
	return X509_NAME_get0_der(X509_get_subject_name(tp->ca[i].cert), &p, &len) ? (struct pki_blob){p, len}
										   : (struct pki_blob){NULL, 0};
}
