/* SPDX-License-Identifier: BSD-3-Clause */
/* RSA keys typed by hand, from the configuration file to the look-up (IKE-T4, IKE-38, IKE-42..47, VRF-17, VRF-21). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "build.h"
#include "cv_addr.h"
#include "mgmt_fixture.h"
#include "pki_make.h"

static struct ly_ctx *ctx;
static char *hex[3];	/* public keys; the third is of 1024 bits */
static const char *own; /* file of a private key */
static char warned[2048];

static void warn(void *arg, const char *text)
{
	(void)arg;
	snprintf(warned + strlen(warned), sizeof(warned) - strlen(warned), "%s\n", text);
}

static struct cv_config *build(const char *text, struct model_err *err)
{
	struct lyd_node *tree;
	struct cv_config *c = NULL;

	memset(err, 0, sizeof(*err));
	warned[0] = 0;
	if (model_parse(ctx, text, &tree, err) == 0 && model_validate(ctx, &tree, err) == 0)
		c = build_config(tree, NULL, warn, NULL, err);
	lyd_free_all(tree);
	return c;
}

static char *hex_of(const char *kind)
{
	EVP_PKEY *key = pkim_key(kind);
	uint8_t *der = NULL;
	int n = i2d_PUBKEY(key, &der);
	char *text = malloc(2 * (size_t)n + 1);

	if (n <= 0 || !text)
		abort();
	for (int i = 0; i < n; i++) { /* both cases */
		text[2 * i] = "0123456789ABCDEF"[der[i] >> 4];
		text[2 * i + 1] = "0123456789abcdef"[der[i] & 15];
	}
	text[2 * n] = 0;
	OPENSSL_free(der);
	EVP_PKEY_free(key);
	return text;
}

/* A configuration with these entries of keyring "chain", a general pair, and a policy rsa-encr. */
static char *text_of(const char *entries, const char *pki, bool legacy)
{
	char *out;
	int n = asprintf(&out,
		"{\"culvert-platform:platform\": {\"allow-legacy\": %s}, \"culvert-pki:pki\": {%s},"
		" \"culvert-ike:ike\": {\"policy\": [{\"priority\": 10, \"authentication\": \"%s\"}],"
		" \"keyring\": [{\"name\": \"chain\", \"rsa-public-key\": [%s]}]}}",
		legacy ? "true" : "false", pki, legacy ? "rsa-encr" : "pre-share", entries);
	assert_true(n > 0);
	return out;
}

static char *pair_text(void)
{
	char *out;
	assert_true(asprintf(&out, "\"rsa-key-pair\": [{\"name\": \"gw\", \"general-key\": \"%s\"}]", own) > 0);
	return out;
}

static char *three_entries(void)
{
	char *out;
	int n = asprintf(&out,
		"{\"name\": \"a\", \"hostname\": \"otherpeer.example.com\", \"address\": \"10.5.5.1\", "
		"\"serial-number\": "
		"\"7001\", \"key-string\": \"%.20s \\n %s\"},"
		"{\"name\": \"b\", \"address\": \"10.1.1.2\", \"usage\": \"encryption\", \"key-string\": \"%s\"},"
		"{\"name\": \"c\", \"address\": \"10.1.1.2\", \"usage\": \"signature\", \"key-string\": \"%s\"}",
		hex[0], hex[0] + 20, hex[1], hex[0]);
	assert_true(n > 0);
	return out;
}

static const struct cfg_rsa_public *at(const struct cv_config *c, const char *where, enum cfg_rsa_usage use)
{
	struct cv_addr a;
	assert_true(cv_addr_parse(where, &a) == 0);
	return config_rsa_by_addr(c, NULL, CV_VRF_GLOBAL, NULL, &a, use);
}

/* IKE-T4: three entries; by name and by address each finds one peer; 10.1.1.2 has two keys, which are not the same. */
static void three(void **state)
{
	struct model_err err;
	char *entries = three_entries(), *pair = pair_text(), *text = text_of(entries, pair, true);
	struct cv_config *c = build(text, &err);

	(void)state;
	if (!c)
		fail_msg("%s: %s", err.path, err.text);
	assert_non_null(strstr(warned, "legacy"));
	assert_int_equal(c->ike_policy[0].auth, CFG_AUTH_RSA_ENCR);
	assert_int_equal(c->keyring[0].n_rsa, 3);
	const struct cfg_rsa_public *named =
		config_rsa_by_name(c, NULL, CV_VRF_GLOBAL, NULL, "OtherPeer.example.com", CFG_RSA_ENCRYPTION);
	assert_ptr_equal(named, &c->keyring[0].rsa[0]);
	assert_ptr_equal(at(c, "10.5.5.1", CFG_RSA_ENCRYPTION), named);
	assert_ptr_equal(at(c, "10.5.5.1", CFG_RSA_SIGNATURE), named);
	assert_string_equal(named->serial, "7001");
	assert_ptr_equal(at(c, "10.1.1.2", CFG_RSA_ENCRYPTION), &c->keyring[0].rsa[1]);
	assert_ptr_equal(at(c, "10.1.1.2", CFG_RSA_SIGNATURE), &c->keyring[0].rsa[2]);
	assert_false(pki_rsa_eq(c->keyring[0].rsa[1].key, c->keyring[0].rsa[2].key));
	assert_true(pki_rsa_eq(c->keyring[0].rsa[0].key, c->keyring[0].rsa[2].key));
	assert_null(at(c, "10.1.1.3", CFG_RSA_ENCRYPTION));
	assert_null(config_rsa_by_name(c, NULL, CV_VRF_GLOBAL, NULL, "example.com", CFG_RSA_ENCRYPTION));
	assert_null(config_rsa_by_name(c, NULL, CV_VRF_GLOBAL + 1, NULL, "otherpeer.example.com", CFG_RSA_ENCRYPTION));
	assert_int_equal(c->n_rsa_pair, 1);
	assert_ptr_equal(c->rsa_pair[0].signs, c->rsa_pair[0].decrypts);
	config_unref(c);
	free(entries);
	free(pair);
	free(text);
}

/*
 * IKE-T1, IKE-24: two policies, of one of which most is left to the defaults; these are today's, and no third one is
 * behind them (docs/requirements.md).
 */
static void two_policies(void **state)
{
	struct model_err err;
	char *pair = pair_text(), *text;
	int n = asprintf(&text,
		"{\"culvert-platform:platform\": {\"allow-legacy\": true}, \"culvert-pki:pki\": {%s},"
		" \"culvert-ike:ike\": {\"policy\": ["
		"{\"priority\": 20, \"authentication\": \"pre-share\", \"lifetime\": 10000},"
		"{\"priority\": 15, \"encryption\": \"3des\", \"hash\": \"md5\", \"authentication\": \"rsa-sig\","
		" \"group\": \"group2\", \"lifetime\": 5000}]}}",
		pair);
	assert_true(n > 0);
	struct cv_config *c = build(text, &err);

	(void)state;
	if (!c)
		fail_msg("%s: %s", err.path, err.text);
	const struct cfg_ike_policy *p = c->ike_policy;
	assert_int_equal(c->n_ike_policy, 2);
	assert_int_equal(p[0].priority, 15);
	assert_int_equal(p[0].encr, IKE_ENCR_3DES);
	assert_int_equal(p[0].hash, IKE_PRF_HMAC_MD5);
	assert_int_equal(p[0].auth, CFG_AUTH_RSA_SIG);
	assert_int_equal(p[0].group, IKE_GROUP_MODP1024);
	assert_int_equal(p[0].lifetime_s, 5000);
	assert_int_equal(p[1].priority, 20);
	assert_int_equal(p[1].encr, IKE_ENCR_AES_CBC);
	assert_int_equal(p[1].key_bits, 256);
	assert_int_equal(p[1].hash, IKE_PRF_HMAC_SHA256);
	assert_int_equal(p[1].auth, CFG_AUTH_PSK);
	assert_int_equal(p[1].group, IKE_GROUP_MODP2048);
	assert_int_equal(p[1].lifetime_s, 10000);
	config_unref(c);
	free(pair);
	free(text);
}

static void refused(const char *entries, const char *pki, bool legacy, const char *path, const char *why)
{
	struct model_err err;
	char *text = text_of(entries, pki, legacy);

	assert_null(build(text, &err));
	if (!strstr(err.path, path) || !strstr(err.text, why))
		fail_msg("%s: %s; not %s: %s", err.path, err.text, path, why);
	free(text);
}

/* IKE-Q5, IKE-47: what cannot be a key; IKE-46: the same use twice; IKE-44: files; the switch. */
static void mistakes(void **state)
{
	char buf[4096], *pair = pair_text(), *entries = three_entries();

	(void)state;
	snprintf(buf, sizeof(buf), "{\"name\": \"a\", \"address\": \"10.1.1.2\", \"key-string\": \"00%s\"}", hex[0]);
	refused(buf, pair, true, "rsa-public-key[name='a']", "not a DER SubjectPublicKeyInfo");
	snprintf(buf, sizeof(buf), "{\"name\": \"a\", \"address\": \"10.1.1.2\", \"key-string\": \"%s0\"}", hex[0]);
	refused(buf, pair, true, "rsa-public-key[name='a']", "not a DER SubjectPublicKeyInfo");
	snprintf(buf, sizeof(buf), "{\"name\": \"a\", \"address\": \"10.1.1.2\", \"key-string\": \"%sxy\"}", hex[0]);
	refused(buf, pair, true, "key-string", "hexadecimal");
	snprintf(buf, sizeof(buf), "{\"name\": \"a\", \"key-string\": \"%s\"}", hex[0]);
	refused(buf, pair, true, "rsa-public-key", "hostname or the address");
	snprintf(buf, sizeof(buf), "{\"name\": \"a\", \"address\": \"10.1.1.2\", \"key-string\": \"%s\"}", hex[2]);
	refused(buf, pair, false, "rsa-public-key[name='a']", "allow-legacy");
	snprintf(buf, sizeof(buf),
		"{\"name\": \"a\", \"address\": \"10.1.1.2\", \"key-string\": \"%s\"},"
		"{\"name\": \"b\", \"address\": \"10.1.1.2\", \"key-string\": \"%s\"}",
		hex[0], hex[1]);
	refused(buf, pair, true, "rsa-public-key[name='b']", "the same peer and usage");
	refused(entries, "", true, "policy[priority='10']/authentication", "rsa-key-pair");
	refused(entries, "\"rsa-key-pair\": [{\"name\": \"gw\", \"general-key\": \"/no/such/file\"}]", true,
		"rsa-key-pair[name='gw']/general-key", "No such file");
	snprintf(buf, sizeof(buf), "\"rsa-key-pair\": [{\"name\": \"gw\", \"signature-key\": \"%s\"}]", own);
	refused(entries, buf, true, "signature-key", "encryption-key");
	struct model_err err;
	assert_null(build(
		"{\"culvert-ike:ike\": {\"policy\": [{\"priority\": 10, \"authentication\": \"rsa-encr\"}]}}", &err));
	assert_non_null(strstr(err.text, "allow-legacy"));
	free(pair);
	free(entries);
}

/* IKE-42: a trust point with a certificate for each use. */
static void trust_point_with_two(void **state)
{
	struct model_err err;
	EVP_PKEY *key = pkim_key("EC256"), *rsa = pkim_key("RSA");
	X509 *ca = pkim_cert(&(struct pkim_cert){.subject = "/CN=CA", .ca = true}, key, NULL, NULL);
	X509 *x = pkim_cert(&(struct pkim_cert){.subject = "/CN=me", .to_s = 86400}, rsa, ca, key);
	char both[1024], point[1536], *text;
	const char *ca_file = pkim_write_certs("ca.pem", &ca, 1), *cert = pkim_write_certs("own.pem", &x, 1),
		   *key_file = pkim_write_key("own.key", rsa, 0600);

	(void)state;
	snprintf(both, sizeof(both), "\"encryption-certificate\": \"%s\", \"encryption-private-key\": \"%s\"", cert,
		key_file);
	snprintf(point, sizeof(point),
		"\"trust-point\": [{\"name\": \"lab\", \"ca-certificate\": [\"%s\"], \"certificate\": \"%s\","
		" \"private-key\": \"%s\", %s}]",
		ca_file, cert, key_file, both);
	text = text_of("", point, true);
	struct cv_config *c = build(text, &err);
	if (!c)
		fail_msg("%s: %s", err.path, err.text);
	assert_int_equal(c->n_trust_point, 1);
	assert_true(pki_tp_encryption_cert(c->trust_point->tp).len > 0);
	assert_non_null(strstr(warned, "/certificate: it expires in"));
	assert_non_null(strstr(warned, "/encryption-certificate: it expires in"));
	config_unref(c);
	free(text);
	snprintf(point, sizeof(point), "\"trust-point\": [{\"name\": \"lab\", \"ca-certificate\": [\"%s\"], %s}]",
		ca_file, both);
	refused("", point, true, "encryption-certificate", "a certificate that signs");
	snprintf(point, sizeof(point),
		"\"trust-point\": [{\"name\": \"lab\", \"ca-certificate\": [\"%s\"], \"certificate\": \"%s\","
		" \"private-key\": \"%s\", \"encryption-private-key\": \"%s\"}]",
		ca_file, cert, key_file, key_file);
	refused("", point, true, "encryption-private-key", "needs its encryption-certificate");
	X509_free(x);
	X509_free(ca);
	EVP_PKEY_free(rsa);
	EVP_PKEY_free(key);
}

/* IKE-43, IKE-Q6: beside a CA they are warned of. */
static void beside_a_ca(void **state)
{
	struct model_err err;
	EVP_PKEY *key = pkim_key("EC256");
	X509 *ca = pkim_cert(&(struct pkim_cert){.subject = "/CN=CA", .ca = true}, key, NULL, NULL);
	char buf[1024], *entries = three_entries();

	(void)state;
	snprintf(buf, sizeof(buf),
		"\"rsa-key-pair\": [{\"name\": \"gw\", \"signature-key\": \"%s\", \"encryption-key\": \"%s\"}],"
		" \"trust-point\": [{\"name\": \"lab\", \"ca-certificate\": [\"%s\"]}]",
		own, own, pkim_write_certs("ca.pem", &ca, 1));
	char *text = text_of(entries, buf, true);
	struct cv_config *c = build(text, &err);
	if (!c)
		fail_msg("%s: %s", err.path, err.text);
	assert_non_null(strstr(warned, "entered by hand beside a trust point"));
	config_unref(c);
	free(text);
	free(entries);
	X509_free(ca);
	EVP_PKEY_free(key);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(three),
		cmocka_unit_test(two_policies),
		cmocka_unit_test(mistakes),
		cmocka_unit_test(trust_point_with_two),
		cmocka_unit_test(beside_a_ca),
	};
	struct model_err err;
	EVP_PKEY *key = pkim_key("RSA");

	fixture_args(argc, argv);
	ctx = model_load(argv[1], &err);
	own = pkim_write_key("own.key", key, 0600);
	for (int i = 0; i < 3; i++)
		hex[i] = hex_of(i < 2 ? "RSA" : "RSA1024");
	int rc = ctx ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
	for (int i = 0; i < 3; i++)
		free(hex[i]);
	EVP_PKEY_free(key);
	pkim_cleanup();
	ly_ctx_destroy(ctx);
	return rc;
}
