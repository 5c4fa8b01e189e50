/* SPDX-License-Identifier: BSD-3-Clause */
/* What the tests of certificates in IKE share: two CAs, and a trust point for each host of a pair. */
#ifndef TESTS_CERT_ENV_H
#define TESTS_CERT_ENV_H

#include "ike_pair.h"
#include "pki_make.h"

struct cert_env {
	EVP_PKEY *ca_key, *rogue_key;
	X509 *ca, *rogue;
	const char *ca_path, *rogue_path;
	/* set by a test, and back by cert_env_reset() */
	const char *san[2];   /* what the certificates say; at first the addresses */
	const char *subject;  /* of host 0's; at first /O=Lab/CN=gw0 */
	const char *ku;	      /* key usage of both; at first digitalSignature */
	long from_s, to_s;    /* validity of host 1's */
	const char *crl_path; /* looked at by host 0 */
	bool by_rogue;	      /* host 1's certificate is from another CA */
};
extern struct cert_env cert_env;

/* For cmocka: once for all tests of a program. */
int cert_env_setup(void **state);
int cert_env_finish(void **state);
void cert_env_reset(void);
/*
 * One more trust point for host i, whose configuration has room for it: it trusts the CA in the file trusted, and has a
 * certificate of key, issued by the rogue CA if strange.
 */
void cert_env_point(struct cv_config *c, const char *name, int i, EVP_PKEY *key, bool strange, const char *trusted);
/* One more certificate for the trust point, for encryption only: of key, issued by the rogue CA if strange (IKE-42). */
void cert_env_encryption(struct cv_config *c, struct cfg_trust_point *t, int i, EVP_PKEY *key, bool strange);
/* Host i calls itself gw0.example.org or gw1.example.org. */
void cert_env_fqdn(struct cv_config *c, int i);

#endif
