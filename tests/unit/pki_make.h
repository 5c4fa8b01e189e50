/* SPDX-License-Identifier: BSD-3-Clause */
/* Certificates, keys and CRLs made while a test runs, as PEM files in a directory of their own that goes with them. */
#ifndef TESTS_PKI_MAKE_H
#define TESTS_PKI_MAKE_H

#include <stdbool.h>

#include <openssl/evp.h>
#include <openssl/x509.h>

/* The directory is made by the first file; removed with everything in it. */
void pkim_cleanup(void);

/* "RSA", "EC256", "EC384", "EC521", "ED25519", "ED448", "RSA1024". */
EVP_PKEY *pkim_key(const char *type);

struct pkim_cert {
	const char *subject;  /* "/O=x/CN=y" */
	const char *san;      /* OpenSSL's words: "DNS:a,IP:192.0.2.1"; NULL = none */
	const char *ku, *eku; /* OpenSSL's words; NULL = none */
	bool ca;
	long from_s, to_s; /* validity relative to now; both 0 = an hour ago until tomorrow */
	long serial;	   /* 0 = the next */
};
/* issuer NULL: self-signed. The caller frees. */
X509 *pkim_cert(const struct pkim_cert *what, EVP_PKEY *key, X509 *issuer, EVP_PKEY *issuer_key);
/* Write files into the directory; the path stays valid until pkim_cleanup(). */
const char *pkim_write_certs(const char *name, X509 *const *cert, unsigned n);
const char *pkim_write_key(const char *name, EVP_PKEY *key, unsigned mode);
/* A CRL of issuer with one revoked serial (0 = none), valid until to_s from now. */
const char *pkim_write_crl(const char *name, X509 *issuer, EVP_PKEY *key, long revoked, long to_s);
const char *pkim_write_text(const char *name, const char *text);

#endif
