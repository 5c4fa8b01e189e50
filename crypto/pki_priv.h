/* SPDX-License-Identifier: BSD-3-Clause */
/* Between the files of pki; nobody else includes it. */
#ifndef CRYPTO_PKI_PRIV_H
#define CRYPTO_PKI_PRIV_H

#include <pthread.h>
#include <time.h>

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "pki.h"

struct pki_crl_file {
	char *path;
	struct timespec mtime; /* of what was read last; all zero = nothing */
	STACK_OF(X509_CRL) * crls;
};

struct pki_tp {
	unsigned refs; /* atomic */
	X509_STORE *store;
	struct pki_ca {
		X509 *cert;
		uint8_t keyid[PKI_KEYID_LEN];
	} ca[PKI_CA_MAX];
	unsigned n_ca;
	EVP_PKEY *key;	     /* NULL = verifies only */
	struct pki_rsa *rsa; /* the same when it is an RSA key */
	X509 *chain[PKI_CHAIN_MAX];
	struct pki_blob der[PKI_CHAIN_MAX];
	unsigned n_chain;
	struct pki_blob subject;
	X509 *encryption_cert; /* with its key; NULL = the key above is for everything */
	struct pki_blob encryption_der;
	struct pki_rsa *decrypts;
	pthread_mutex_t crl_lock; /* the CRL files below */
	struct pki_crl_file *crl;
	unsigned n_crl;
	enum pki_revocation revocation;
	bool legacy;
};

struct pki_peer {
	unsigned refs; /* atomic */
	X509 *cert;
	EVP_PKEY *key;
	struct pki_fields *fields;
};

enum pki_key pki_key_of(EVP_PKEY *key);
/* The CRLs in force, files that have changed read again: a new stack with references of its own. */
STACK_OF(X509_CRL) * pki_tp_crls(struct pki_tp *tp);
/* As text of any length, to be freed; NULL = out of memory. */
char *pki_name_dup(const X509_NAME *name);
struct pki_fields *pki_fields_of(X509 *x); /* NULL = out of memory */
/* A DER name and nothing behind it; NULL = it is none. */
X509_NAME *pki_name_of(const void *der, size_t len);
/* A private key in a PEM file; NULL with err (PKI_ERR_MAX bytes). */
EVP_PKEY *pki_read_key(const char *path, char *err);
/* Takes a reference of its own to key. NULL = out of memory. */
struct pki_rsa *pki_rsa_new(EVP_PKEY *key, bool private);
int pki_sign_key(EVP_PKEY *key, enum pki_scheme scheme, enum pki_hash hash, const void *data, size_t len, uint8_t *sig,
	size_t *sig_len);
int pki_verify_key(EVP_PKEY *key, enum pki_scheme scheme, enum pki_hash hash, const void *data, size_t len,
	const void *sig, size_t sig_len);

#endif
