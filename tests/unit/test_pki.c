/* SPDX-License-Identifier: BSD-3-Clause */
/* Trust points, chain validation, identities and signatures (RFC 4945, 5280, 7427, 8420). */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "pki.h"
#include "pki_make.h"

static EVP_PKEY *ca_key, *sub_key, *key;
static X509 *ca, *sub;
static const char *ca_path;

static int setup(void **state)
{
	(void)state;
	ca_key = pkim_key("EC256");
	sub_key = pkim_key("EC384");
	key = pkim_key("EC256");
	ca = pkim_cert(&(struct pkim_cert){.subject = "/O=Lab/CN=Root", .ca = true, .ku = "keyCertSign,cRLSign"},
		ca_key, NULL, NULL);
	sub = pkim_cert(&(struct pkim_cert){.subject = "/O=Lab/CN=Sub", .ca = true, .ku = "keyCertSign,cRLSign"},
		sub_key, ca, ca_key);
	ca_path = pkim_write_certs("ca.pem", &ca, 1);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	X509_free(ca);
	X509_free(sub);
	EVP_PKEY_free(ca_key);
	EVP_PKEY_free(sub_key);
	EVP_PKEY_free(key);
	pkim_cleanup();
	return 0;
}

static struct pki_tp *trust(const char *crl, enum pki_revocation revocation)
{
	char err[PKI_ERR_MAX];
	struct pki_files f = {.ca = &ca_path, .n_ca = 1, .crl = &crl, .n_crl = crl ? 1 : 0, .revocation = revocation};
	struct pki_tp *tp = pki_tp_load(&f, err);
	assert_string_equal(err, "");
	return tp;
}

static struct pki_blob der_of(X509 *x)
{
	uint8_t *p = NULL;
	int n = i2d_X509(x, &p);
	return (struct pki_blob){p, (size_t)n};
}

/* What stands in a certificate, which is freed. */
static struct pki_fields *fields_of(X509 *x)
{
	struct pki_blob der = der_of(x);
	struct pki_fields *f = pki_fields_new(der);
	OPENSSL_free((void *)(uintptr_t)der.p);
	X509_free(x);
	return f;
}

/* Checks and frees the certificate; the chain may bring `sub`. Returns the reason, NULL = taken. */
static const char *judged(struct pki_tp *tp, X509 *leaf, bool with_sub, struct pki_peer **peer)
{
	struct pki_blob c[2] = {der_of(leaf), der_of(sub)};
	struct pki_peer *p;
	const char *why = "";
	int err = pki_peer_check(&tp, 1, c, with_sub ? 2 : 1, &p, &why);
	assert_true(err ? !p && why : p && !why);
	if (peer)
		*peer = p;
	else
		pki_peer_free(p);
	OPENSSL_free((void *)(uintptr_t)c[0].p);
	OPENSSL_free((void *)(uintptr_t)c[1].p);
	X509_free(leaf);
	return why;
}

static X509 *leaf(const struct pkim_cert *w, bool by_sub)
{
	return pkim_cert(w, key, by_sub ? sub : ca, by_sub ? sub_key : ca_key);
}

static void chains(void **state)
{
	const struct pkim_cert plain = {.subject = "/O=Lab/CN=gw", .ku = "digitalSignature"};
	struct pki_tp *tp = trust(NULL, PKI_REVOCATION_NONE);
	(void)state;
	assert_null(judged(tp, leaf(&plain, false), false, NULL));
	assert_null(judged(tp, leaf(&plain, true), true, NULL));
	assert_non_null(strstr(judged(tp, leaf(&plain, true), false, NULL), "no trusted CA"));
	assert_non_null(strstr(judged(tp, pkim_cert(&plain, key, NULL, NULL), false, NULL), "no trusted CA"));
	/* signed by something that calls itself the CA */
	assert_non_null(judged(tp, pkim_cert(&plain, key, ca, key), false, NULL));
	struct pkim_cert w = plain;
	w.from_s = -7200, w.to_s = -60;
	assert_non_null(strstr(judged(tp, leaf(&w, false), false, NULL), "expired"));
	w.from_s = 3600, w.to_s = 7200;
	assert_non_null(strstr(judged(tp, leaf(&w, false), false, NULL), "not valid yet"));
	/* a certificate that is no CA signs another one */
	X509 *mid = leaf(&(struct pkim_cert){.subject = "/CN=mid"}, false), *end = pkim_cert(&plain, sub_key, mid, key);
	struct pki_blob c[2] = {der_of(end), der_of(mid)};
	struct pki_peer *p;
	const char *why;
	assert_int_equal(pki_peer_check(&tp, 1, c, 2, &p, &why), -EBADMSG);
	assert_non_null(strstr(why, "no CA"));
	assert_int_equal(pki_peer_check(&tp, 0, c, 1, &p, &why), -EBADMSG);
	assert_int_equal(pki_peer_check(&tp, 1, c, 0, &p, &why), -EBADMSG);
	struct pki_blob junk = {(const uint8_t *)"\x30\x82\xff\xff nonsense", 13};
	assert_int_equal(pki_peer_check(&tp, 1, &junk, 1, &p, &why), -EBADMSG);
	OPENSSL_free((void *)(uintptr_t)c[0].p);
	OPENSSL_free((void *)(uintptr_t)c[1].p);
	X509_free(mid);
	X509_free(end);
	pki_tp_unref(tp);
}

static void usages(void **state)
{
	struct pki_tp *tp = trust(NULL, PKI_REVOCATION_NONE);
	struct pkim_cert w = {.subject = "/CN=gw"};
	(void)state;
	assert_null(judged(tp, leaf(&w, false), false, NULL)); /* no extension: everything */
	w.ku = "keyEncipherment";
	assert_non_null(strstr(judged(tp, leaf(&w, false), false, NULL), "not for signatures"));
	w.ku = "nonRepudiation";
	assert_null(judged(tp, leaf(&w, false), false, NULL));
	w.ku = "digitalSignature";
	w.eku = "codeSigning";
	assert_non_null(strstr(judged(tp, leaf(&w, false), false, NULL), "not for IKE"));
	w.eku = "codeSigning,1.3.6.1.5.5.7.3.17";
	assert_null(judged(tp, leaf(&w, false), false, NULL));
	w.eku = "serverAuth";
	assert_null(judged(tp, leaf(&w, false), false, NULL));
	EVP_PKEY *weak = pkim_key("RSA1024");
	w.eku = NULL;
	assert_non_null(strstr(judged(tp, pkim_cert(&w, weak, ca, ca_key), false, NULL), "too short"));
	EVP_PKEY_free(weak);
	pki_tp_unref(tp);
}

static void revocation(void **state)
{
	const struct pkim_cert good = {.subject = "/CN=good", .serial = 7}, bad = {.subject = "/CN=bad", .serial = 8};
	(void)state;
	const char *crl = pkim_write_crl("one.crl", ca, ca_key, 8, 3600);
	struct pki_tp *tp = trust(crl, PKI_REVOCATION_REQUIRED);
	assert_null(judged(tp, leaf(&good, false), false, NULL));
	assert_non_null(strstr(judged(tp, leaf(&bad, false), false, NULL), "revoked"));
	/* the sub CA has published none */
	assert_non_null(strstr(judged(tp, leaf(&good, true), true, NULL), "no CRL"));
	/* the file is read again when it changes; damaged, the old one stays in force */
	crl = pkim_write_crl("one.crl", ca, ca_key, 7, 3600);
	struct timespec later[2] = {{.tv_sec = time(NULL) + 60}, {.tv_sec = time(NULL) + 60}};
	assert_int_equal(utimensat(AT_FDCWD, crl, later, 0), 0);
	assert_non_null(strstr(judged(tp, leaf(&good, false), false, NULL), "revoked"));
	assert_null(judged(tp, leaf(&bad, false), false, NULL));
	pkim_write_text("one.crl", "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n");
	assert_non_null(strstr(judged(tp, leaf(&good, false), false, NULL), "revoked"));
	pki_tp_unref(tp);

	tp = trust(pkim_write_crl("two.crl", ca, ca_key, 8, -60), PKI_REVOCATION_REQUIRED);
	assert_non_null(strstr(judged(tp, leaf(&good, false), false, NULL), "out of date"));
	pki_tp_unref(tp);
	tp = trust(pkim_write_crl("three.crl", ca, ca_key, 8, -60), PKI_REVOCATION_IF_PRESENT);
	assert_null(judged(tp, leaf(&good, false), false, NULL));
	assert_null(judged(tp, leaf(&good, true), true, NULL));
	assert_non_null(strstr(judged(tp, leaf(&bad, false), false, NULL), "revoked"));
	pki_tp_unref(tp);
	tp = trust(pkim_write_crl("four.crl", ca, key, 7, 3600), PKI_REVOCATION_REQUIRED); /* forged */
	assert_non_null(strstr(judged(tp, leaf(&good, false), false, NULL), "CRL's signature"));
	pki_tp_unref(tp);
}

/* RFC 4945 3.1: the identity of IKE must stand in the certificate. */
static void identities(void **state)
{
	static const uint8_t v4[4] = {192, 0, 2, 1}, v6[16] = {0x20, 1, 0xd, 0xb8, [15] = 1};
	struct pki_tp *tp = trust(NULL, PKI_REVOCATION_NONE);
	struct pki_peer *p;
	uint8_t dn[256];
	char text[PKI_NAME_MAX];
	(void)state;
	assert_null(judged(tp,
		leaf(&(struct pkim_cert){.subject = "/O=Lab/CN=gw.example.org",
			     .serial = 0x1234,
			     .san = "DNS:gw1.example.org,email:ops@example.org,IP:192.0.2.1,IP:2001:db8::1"},
			false),
		false, &p));
	assert_true(pki_peer_has_id(p, 2, "GW1.example.org", 15));
	assert_false(pki_peer_has_id(p, 2, "gw2.example.org", 15));
	assert_false(pki_peer_has_id(p, 2, "gw.example.org", 14)); /* only the CN has it */
	assert_false(pki_peer_has_id(p, 2, "gw1.example.org\0x", 17));
	assert_false(pki_peer_has_id(p, 2, "", 0));
	assert_true(pki_peer_has_id(p, 3, "ops@example.org", 15));
	assert_false(pki_peer_has_id(p, 3, "gw1.example.org", 15));
	assert_true(pki_peer_has_id(p, 1, v4, 4));
	assert_false(pki_peer_has_id(p, 1, v6, 16));
	assert_true(pki_peer_has_id(p, 5, v6, 16));
	assert_false(pki_peer_has_id(p, 11, "gw1.example.org", 15)); /* a key id never */
	size_t n = pki_dn_parse("O = Lab, CN=GW.example.org", dn, sizeof(dn));
	assert_true(n > 0);
	assert_true(pki_peer_has_id(p, 9, dn, n));
	n = pki_dn_parse("/O=Lab/CN=other", dn, sizeof(dn));
	assert_false(pki_peer_has_id(p, 9, dn, n));
	assert_true(pki_dn_text(dn, n, text));
	assert_string_equal(text, "O=Lab, CN=other");
	assert_false(pki_dn_text(dn, n - 1, text));
	assert_int_equal(pki_dn_parse("CN", dn, sizeof(dn)), 0);
	assert_int_equal(pki_dn_parse("NOSUCH=x", dn, sizeof(dn)), 0);
	assert_int_equal(pki_dn_parse("", dn, sizeof(dn)), 0);
	assert_int_equal(pki_dn_parse("CN=x", dn, 5), 0);
	assert_string_equal(pki_peer_fields(p)->subject, "O=Lab, CN=gw.example.org");
	assert_string_equal(pki_peer_fields(p)->issuer, "O=Lab, CN=Root");
	assert_string_equal(pki_peer_fields(p)->serial, "1234");
	assert_true(pki_peer_valid_s(p) > 80000 && pki_peer_valid_s(p) <= 86400);
	pki_peer_free(p);
	pki_tp_unref(tp);
}

/* Names of any length come whole; what is no distinguished name cannot pass for a part of one. */
static void fields(void **state)
{
	char subject[1200] = "/CN=";
	(void)state;
	for (int i = 0; i < 9; i++) /* nine OUs of 60: X.520 allows 64 each */
		snprintf(subject + strlen(subject), 80, "%s%.60s", i ? "/OU=" : "gw",
			i ? "012345678901234567890123456789012345678901234567890123456789" : "");
	strcat(subject, "/OU=last");
	X509 *x = leaf(&(struct pkim_cert){.subject = subject,
			       .serial = 0x2f,
			       .san = "DNS:gw1.example.org,email:ops@example.org,IP:192.0.2.1"},
		false);
	struct pki_fields *f = fields_of(x);
	assert_non_null(f);
	assert_true(strlen(f->subject) > 512);
	assert_string_equal(f->subject + strlen(f->subject) - 9, ", OU=last");
	assert_int_equal(strlen(f->ou), 60);
	assert_null(f->unstructured);
	assert_string_equal(f->issuer, "O=Lab, CN=Root");
	assert_string_equal(f->serial, "2F");
	assert_true(f->expires_on > f->valid_start && f->valid_start > 1600000000);
	assert_int_equal(f->n_alt, 6);
	assert_string_equal(f->alt[0], "DNS:gw1.example.org");
	assert_string_equal(f->alt[1], "gw1.example.org");
	assert_string_equal(f->alt[3], "ops@example.org");
	assert_string_equal(f->alt[5], "192.0.2.1");
	pki_fields_free(f);
	/* for people it is cut, and says so */
	char text[PKI_NAME_MAX];
	uint8_t dn[2048];
	size_t n = pki_dn_parse(subject, dn, sizeof(dn));
	assert_true(n && pki_dn_text(dn, n, text));
	assert_int_equal(strlen(text), PKI_NAME_MAX - 1);
	assert_string_equal(text + PKI_NAME_MAX - 4, "...");
	f = fields_of(
		leaf(&(struct pkim_cert){.subject = "/CN=x/unstructuredName=a, ou=green", .san = "URI:urn:x+ou=green"},
			false));
	assert_string_equal(f->unstructured, "a\\, ou\\=green");
	assert_string_equal(f->alt[1], "urn:x\\+ou\\=green");
	pki_fields_free(f);
	struct pki_blob junk = {(const uint8_t *)"junk", 4};
	assert_null(pki_fields_new(junk));
	n = pki_dn_parse("O=Lab, OU=green, OU=blue", dn, sizeof(dn));
	char *ou = pki_dn_ou(dn, n);
	assert_string_equal(ou, "green");
	free(ou);
	assert_null(pki_dn_ou(dn, n - 1));
}

static struct pki_tp *own(EVP_PKEY *k, X509 *const *cert, unsigned n, unsigned mode, char *err)
{
	static const char *cert_path, *key_path;
	cert_path = pkim_write_certs("own.pem", cert, n);
	key_path = pkim_write_key("own.key", k, mode);
	struct pki_files f = {.ca = &ca_path, .n_ca = 1, .certificate = cert_path, .key = key_path};
	return pki_tp_load(&f, err);
}

static void own_certificate(void **state)
{
	char err[PKI_ERR_MAX];
	X509 *x = leaf(&(struct pkim_cert){.subject = "/CN=me"}, true), *chain[3] = {x, sub, ca};
	struct pki_blob out[PKI_CHAIN_MAX], want = der_of(x);
	(void)state;
	struct pki_tp *tp = own(key, chain, 3, 0600, err);
	assert_non_null(tp);
	assert_int_equal(pki_tp_key(tp), PKI_KEY_EC256);
	assert_int_equal(pki_tp_chain(tp, out), 2); /* the root stays at home */
	assert_int_equal(out[0].len, want.len);
	assert_memory_equal(out[0].p, want.p, want.len);
	assert_int_equal(pki_tp_n_ca(tp), 1);
	assert_true(pki_tp_issued_by(tp, pki_tp_ca_keyid(tp, 0)));
	assert_false(pki_tp_issued_by(tp, (const uint8_t *)"a key id of no known"));
	assert_true(pki_tp_issued_by_name(tp, pki_tp_ca_name(tp, 0)));
	assert_false(pki_tp_issued_by_name(tp, pki_tp_subject(tp)));
	assert_true(pki_tp_valid_s(tp) > 0);
	pki_tp_unref(pki_tp_ref(tp));
	pki_tp_unref(tp);
	/* files that must be refused, each with its name in the message */
	assert_null(own(key, chain, 2, 0644, err));
	assert_non_null(strstr(err, "own.key: others can read"));
	assert_null(own(ca_key, chain, 2, 0600, err));
	assert_non_null(strstr(err, "not the key of the first certificate"));
	const char *bad = pkim_write_text("bad.pem", "no certificate at all\n");
	assert_null(pki_tp_load(&(struct pki_files){.ca = &bad, .n_ca = 1}, err));
	assert_non_null(strstr(err, "bad.pem: no PEM certificate"));
	bad = pkim_write_text("half.pem", "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n");
	assert_null(pki_tp_load(&(struct pki_files){.ca = &bad, .n_ca = 1}, err));
	bad = "/nonexistent/ca.pem";
	assert_null(pki_tp_load(&(struct pki_files){.ca = &bad, .n_ca = 1}, err));
	assert_non_null(strstr(err, "No such file"));
	bad = "/dev/zero";
	assert_null(pki_tp_load(&(struct pki_files){.ca = &bad, .n_ca = 1}, err));
	assert_non_null(strstr(err, "not a regular file"));
	assert_null(pki_tp_load(&(struct pki_files){.ca = &ca_path, .n_ca = 1, .certificate = ca_path}, err));
	assert_non_null(strstr(err, "needs its private key"));
	assert_null(pki_tp_load(
		&(struct pki_files){.ca = &ca_path, .n_ca = 1, .revocation = PKI_REVOCATION_REQUIRED}, err));
	pki_tp_unref(NULL);
	OPENSSL_free((void *)(uintptr_t)want.p);
	X509_free(x);
}

static struct pki_tp *own_two(EVP_PKEY *cert_of, EVP_PKEY *encrypts, const char *ku, char *err)
{
	X509 *x[2] = {leaf(&(struct pkim_cert){.subject = "/CN=me"}, false),
		pkim_cert(&(struct pkim_cert){.subject = "/CN=me", .ku = ku}, cert_of, ca, ca_key)};
	struct pki_files f = {.ca = &ca_path,
		.n_ca = 1,
		.certificate = pkim_write_certs("own.pem", x, 1),
		.key = pkim_write_key("own.key", key, 0600),
		.encryption_certificate = pkim_write_certs("own-encryption.pem", x + 1, 1),
		.encryption_key = pkim_write_key("own-encryption.key", encrypts, 0600)};
	struct pki_tp *tp = pki_tp_load(&f, err);
	X509_free(x[0]);
	X509_free(x[1]);
	return tp;
}

/* IKE-42: a certificate of its own for encryption, by either end, and what is none. */
static void encryption_certificate(void **state)
{
	char err[PKI_ERR_MAX];
	EVP_PKEY *rsa = pkim_key("RSA"), *other = pkim_key("RSA"), *ec = pkim_key("EC256");
	struct pki_blob cert;
	struct pki_peer *peer;
	const char *why;
	(void)state;
	struct pki_tp *tp = own_two(rsa, rsa, "keyEncipherment", err);
	assert_non_null(tp);
	assert_null(pki_tp_rsa(tp)); /* the key that signs is of another kind */
	assert_non_null(pki_tp_decrypts(tp));
	assert_true(pki_tp_encryption_valid_s(tp) > 0);
	cert = pki_tp_encryption_cert(tp);
	assert_int_equal(pki_peer_check_encryption(&tp, 1, &cert, 1, &peer, &why), 0);
	struct pki_rsa *r = pki_rsa_of_peer(peer);
	assert_true(pki_rsa_eq(r, pki_tp_decrypts(tp)));
	pki_rsa_unref(r);
	pki_peer_free(peer);
	assert_int_equal(pki_peer_check(&tp, 1, &cert, 1, &peer, &why), -EBADMSG);
	assert_string_equal(why, "the peer's certificate is not for signatures");
	pki_tp_unref(tp);
	X509 *x = leaf(&(struct pkim_cert){.subject = "/CN=me", .ku = "digitalSignature"}, false);
	cert = der_of(x);
	tp = pki_tp_load(&(struct pki_files){.ca = &ca_path, .n_ca = 1}, err);
	assert_int_equal(pki_tp_encryption_cert(tp).len, 0);
	assert_true(pki_tp_encryption_valid_s(tp) == INT64_MAX);
	assert_int_equal(pki_peer_check_encryption(&tp, 1, &cert, 1, &peer, &why), -EBADMSG);
	assert_string_equal(why, "the peer's certificate is not for encrypting keys");
	pki_tp_unref(tp);
	OPENSSL_free((void *)(uintptr_t)cert.p);
	X509_free(x);
	assert_null(own_two(rsa, rsa, "digitalSignature", err));
	assert_non_null(strstr(err, "own-encryption.pem: not for an RSA key that encrypts keys"));
	assert_null(own_two(ec, ec, "keyEncipherment", err));
	assert_non_null(strstr(err, "not for an RSA key"));
	assert_null(own_two(rsa, other, "keyEncipherment", err));
	assert_non_null(strstr(err, "own-encryption.key: not the key of the certificate in"));
	EVP_PKEY_free(rsa);
	EVP_PKEY_free(other);
	EVP_PKEY_free(ec);
}

static const struct {
	const char *key;
	enum pki_scheme scheme;
	enum pki_hash hash;
} sigs[] = {
	{"RSA", PKI_RSA_PKCS1, PKI_HASH_SHA1},
	{"RSA", PKI_RSA_PKCS1, PKI_HASH_SHA256},
	{"RSA", PKI_RSA_PKCS1, PKI_HASH_SHA512},
	{"RSA", PKI_RSA_PSS, PKI_HASH_SHA256},
	{"RSA", PKI_RSA_PSS, PKI_HASH_SHA384},
	{"RSA", PKI_RSA_PSS, PKI_HASH_SHA512},
	{"EC256", PKI_ECDSA, PKI_HASH_SHA256},
	{"EC256", PKI_ECDSA_CONCAT, PKI_HASH_SHA256},
	{"EC384", PKI_ECDSA, PKI_HASH_SHA384},
	{"EC384", PKI_ECDSA_CONCAT, PKI_HASH_SHA384},
	{"EC521", PKI_ECDSA, PKI_HASH_SHA512},
	{"EC521", PKI_ECDSA_CONCAT, PKI_HASH_SHA512},
	{"ED25519", PKI_EDDSA, PKI_HASH_IDENTITY},
	{"ED448", PKI_EDDSA, PKI_HASH_IDENTITY},
};

static void signatures(void **state)
{
	static const char data[] = "what both ends have seen";
	(void)state;
	for (size_t i = 0; i < sizeof(sigs) / sizeof(sigs[0]); i++) {
		char err[PKI_ERR_MAX];
		uint8_t sig[PKI_SIG_MAX];
		size_t n;
		EVP_PKEY *k = pkim_key(sigs[i].key);
		X509 *x = pkim_cert(&(struct pkim_cert){.subject = "/CN=me"}, k, ca, ca_key);
		struct pki_tp *tp = own(k, &x, 1, 0600, err);
		struct pki_peer *p;
		assert_null(judged(tp, x, false, &p));
		assert_int_equal(pki_peer_key(p), pki_tp_key(tp));
		assert_int_equal(pki_sign(tp, sigs[i].scheme, sigs[i].hash, data, sizeof(data), sig, &n), 0);
		assert_int_equal(pki_verify(p, sigs[i].scheme, sigs[i].hash, data, sizeof(data), sig, n), 0);
		assert_int_equal(pki_verify(p, sigs[i].scheme, sigs[i].hash, data, sizeof(data) - 1, sig, n), -EBADMSG);
		assert_int_equal(pki_verify(p, sigs[i].scheme, sigs[i].hash, data, sizeof(data), sig, n - 1), -EBADMSG);
		sig[n / 2] ^= 1;
		assert_int_equal(pki_verify(p, sigs[i].scheme, sigs[i].hash, data, sizeof(data), sig, n), -EBADMSG);
		enum pki_scheme other = pki_tp_key(tp) == PKI_KEY_RSA ? PKI_ECDSA : PKI_RSA_PSS;
		assert_int_equal(pki_sign(tp, other, PKI_HASH_SHA256, data, sizeof(data), sig, &n), -EINVAL);
		assert_int_equal(pki_verify(p, other, PKI_HASH_SHA256, data, sizeof(data), sig, 64), -EINVAL);
		pki_peer_free(p);
		pki_tp_unref(tp);
		EVP_PKEY_free(k);
	}
}

/* IKEv1 signs the hash itself (RFC 2409 5.1). */
static void raw_rsa(void **state)
{
	char err[PKI_ERR_MAX];
	uint8_t sig[PKI_SIG_MAX], hash[32] = {1, 2, 3};
	size_t n;
	EVP_PKEY *k = pkim_key("RSA");
	X509 *x = pkim_cert(&(struct pkim_cert){.subject = "/CN=me"}, k, ca, ca_key);
	struct pki_tp *tp = own(k, &x, 1, 0600, err);
	struct pki_peer *p;
	(void)state;
	assert_null(judged(tp, x, false, &p));
	assert_int_equal(pki_sign(tp, PKI_RSA_RAW, 0, hash, sizeof(hash), sig, &n), 0);
	assert_int_equal(n, 256);
	assert_int_equal(pki_verify(p, PKI_RSA_RAW, 0, hash, sizeof(hash), sig, n), 0);
	hash[31] = 1;
	assert_int_equal(pki_verify(p, PKI_RSA_RAW, 0, hash, sizeof(hash), sig, n), -EBADMSG);
	pki_peer_free(p);
	pki_tp_unref(tp);
	EVP_PKEY_free(k);
}

static void algorithm_identifiers(void **state)
{
	enum pki_scheme scheme;
	enum pki_hash hash;
	(void)state;
	for (size_t i = 0; i < sizeof(sigs) / sizeof(sigs[0]); i++) {
		enum pki_key k = !strcmp(sigs[i].key, "ED448") ? PKI_KEY_ED448 : PKI_KEY_ED25519;
		struct pki_blob b = pki_sig_algid(sigs[i].scheme, sigs[i].hash, k);
		if (sigs[i].scheme == PKI_ECDSA_CONCAT) {
			assert_int_equal(b.len, 0);
			continue;
		}
		assert_int_equal(pki_sig_parse(b.p, b.len, &scheme, &hash), 0);
		assert_int_equal(scheme, sigs[i].scheme);
		assert_int_equal(hash, sigs[i].hash);
		for (size_t cut = 0; cut < b.len; cut++)
			assert_int_equal(pki_sig_parse(b.p, cut, &scheme, &hash), -ENOTSUP);
	}
	/* RFC 7427 A.4.2: PSS with default parameters means SHA-1 with its salt of 20 */
	static const uint8_t pss_default[] = {
		0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a, 0x30, 0x00};
	assert_int_equal(pki_sig_parse(pss_default, sizeof(pss_default), &scheme, &hash), 0);
	assert_int_equal(scheme, PKI_RSA_PSS);
	assert_int_equal(hash, PKI_HASH_SHA1);
	/* the salt of another length */
	uint8_t odd[67];
	memcpy(odd, pki_sig_algid(PKI_RSA_PSS, PKI_HASH_SHA256, PKI_KEY_RSA).p, 67);
	odd[66] = 20;
	assert_int_equal(pki_sig_parse(odd, 67, &scheme, &hash), -ENOTSUP);
	/* md5WithRSAEncryption */
	static const uint8_t md5[] = {
		0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x04, 0x05, 0x00};
	assert_int_equal(pki_sig_parse(md5, sizeof(md5), &scheme, &hash), -ENOTSUP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chains),
		cmocka_unit_test(usages),
		cmocka_unit_test(revocation),
		cmocka_unit_test(identities),
		cmocka_unit_test(fields),
		cmocka_unit_test(own_certificate),
		cmocka_unit_test(encryption_certificate),
		cmocka_unit_test(signatures),
		cmocka_unit_test(raw_rsa),
		cmocka_unit_test(algorithm_identifiers),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
