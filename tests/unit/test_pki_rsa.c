/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * RSA keys without certificates (IKE-44, 47, IKE-Q5, VRF-21) and encryption that rejects implicitly: whatever is sent
 * decrypts to something, so that nobody can ask whether padding was right (RFC 2409 5.2, Bleichenbacher).
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/rsa.h>

#include "pki.h"
#include "pki_make.h"

#define K 256u /* bytes of the modulus */

static EVP_PKEY *key;
static struct pki_rsa *pair, *pub;

static int setup(void **state)
{
	char err[PKI_ERR_MAX];
	const char *why;
	(void)state;
	key = pkim_key("RSA");
	pair = pki_rsa_load(pkim_write_key("pair.key", key, 0600), false, err);
	assert_non_null(pair);
	pub = pki_rsa_public(pki_rsa_spki(pair).p, pki_rsa_spki(pair).len, false, &why);
	assert_non_null(pub);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	pki_rsa_unref(pair);
	pki_rsa_unref(pub);
	EVP_PKEY_free(key);
	pkim_cleanup();
	return 0;
}

/* The ciphertext of a whole block, padding included, as an attacker makes it. */
static void raw_encrypt(const uint8_t em[K], uint8_t out[K])
{
	size_t n = K;
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(key, NULL);
	assert_int_equal(EVP_PKEY_encrypt_init(c), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(c, RSA_NO_PADDING), 1);
	assert_int_equal(EVP_PKEY_encrypt(c, out, &n, em, K), 1);
	EVP_PKEY_CTX_free(c);
}

static void block(uint8_t em[K], size_t text_len)
{
	em[0] = 0;
	em[1] = 2;
	memset(em + 2, 0xa5, K - 3 - text_len);
	em[K - 1 - text_len] = 0;
	for (size_t i = 0; i < text_len; i++)
		em[K - text_len + i] = (uint8_t)(i + 1);
}

/* Every length from min to max comes back; RFC 8017 7.2. */
static void round_trip(void **state)
{
	uint8_t text[K], sealed[K], out[K];
	size_t len;
	(void)state;
	for (size_t n = 8; n <= K - 11; n += n < 20 || n > 240 ? 1 : 37) {
		memset(text, (int)n, n);
		assert_int_equal(pki_rsa_encrypt(pub, text, n, sealed), 0);
		assert_int_equal(pki_rsa_decrypt(pair, sealed, K, 8, 256, out, &len), 0);
		assert_int_equal(len, n);
		assert_memory_equal(out, text, n);
	}
	assert_int_equal(pki_rsa_encrypt(pub, text, K - 10, sealed), -EINVAL);
	assert_int_equal(pki_rsa_decrypt(pair, sealed, K - 1, 8, 256, out, &len), -EINVAL);
	memset(sealed, 0xff, K); /* not below the modulus */
	assert_int_equal(pki_rsa_decrypt(pair, sealed, K, 8, 256, out, &len), -EIO);
}

/* What OpenSSL pads, and what another implementation would, is read. */
static void by_others(void **state)
{
	uint8_t em[K], sealed[K], out[K];
	size_t len;
	(void)state;
	for (size_t n = 8; n <= K - 11; n += 13) {
		block(em, n);
		raw_encrypt(em, sealed);
		assert_int_equal(pki_rsa_decrypt(pair, sealed, K, 8, 256, out, &len), 0);
		assert_int_equal(len, n);
		assert_memory_equal(out, em + K - n, n);
	}
}

/* Is it made up: the same each time, of a length that can be, and nothing of the block? */
static void made_up(const uint8_t em[K], size_t min, size_t max)
{
	uint8_t sealed[K], a[K], b[K];
	size_t a_len, b_len;
	raw_encrypt(em, sealed);
	assert_int_equal(pki_rsa_decrypt(pair, sealed, K, min, max, a, &a_len), 0);
	assert_int_equal(pki_rsa_decrypt(pair, sealed, K, min, max, b, &b_len), 0);
	assert_in_range(a_len, min, max < K - 11 ? max : K - 11);
	assert_int_equal(a_len, b_len);
	assert_memory_equal(a, b, a_len);
	for (size_t at = 0; at + 8 <= K; at++)
		assert_memory_not_equal(a, em + at, 8);
}

/* Each way in which padding can be wrong: no error, but a text that only the key's owner could foresee. */
static void implicit_rejection(void **state)
{
	uint8_t em[K];
	(void)state;
	block(em, 32);
	em[0] = 1; /* still below any modulus of 2048 bits */
	made_up(em, 8, 256);
	block(em, 32);
	em[1] = 1;
	made_up(em, 8, 256);
	for (unsigned i = 2; i < 10; i++) { /* a zero among the first eight octets of padding */
		block(em, 32);
		em[i] = 0;
		made_up(em, 8, 256);
	}
	block(em, 32);
	memset(em + 2, 0xa5, K - 2); /* no zero at all */
	made_up(em, 8, 256);
	block(em, 7); /* well padded, but shorter than a nonce may be: no less an answer */
	made_up(em, 8, 256);
	block(em, 65);
	made_up(em, 8, 64);
	block(em, 0);
	made_up(em, 8, 256);
}

/* Lengths of made-up texts: all there are, about as often as each other. */
static void made_up_lengths(void **state)
{
	uint8_t em[K], sealed[K], out[K];
	unsigned low = 0, n = 400;
	size_t len;
	(void)state;
	block(em, 32);
	em[1] = 3;
	for (unsigned i = 0; i < n; i++) {
		em[5] = (uint8_t)(i + 1);
		em[6] = (uint8_t)(i >> 8);
		raw_encrypt(em, sealed);
		assert_int_equal(pki_rsa_decrypt(pair, sealed, K, 8, 256, out, &len), 0);
		assert_in_range(len, 8, K - 11);
		low += len < 8 + (K - 18) / 2;
	}
	assert_in_range(low, n / 4, 3 * n / 4); /* half of 400: ten standard deviations away */
}

/* IKE-Q5: what is no key is refused; so is one that is too short, or whose exponent costs too much. */
static void public_keys(void **state)
{
	const char *why;
	struct pki_blob der = pki_rsa_spki(pair);
	uint8_t copy[1024];
	(void)state;
	assert_true(pki_rsa_eq(pair, pub));
	assert_int_equal(pki_rsa_len(pub), K);
	memcpy(copy, der.p, der.len);
	for (size_t cut = 0; cut < der.len; cut++)
		assert_null(pki_rsa_public(copy, cut, true, &why));
	copy[der.len] = 0;
	assert_null(pki_rsa_public(copy, der.len + 1, true, &why));
	copy[0] = 0; /* as the manual's own example has it */
	assert_null(pki_rsa_public(copy, der.len, true, &why));
	assert_string_equal(why, "not a DER SubjectPublicKeyInfo");
	EVP_PKEY *small = pkim_key("RSA1024"), *ec = pkim_key("EC256");
	uint8_t *out = NULL;
	int n = i2d_PUBKEY(small, &out);
	assert_null(pki_rsa_public(out, (size_t)n, false, &why));
	assert_non_null(strstr(why, "allow-legacy"));
	struct pki_rsa *old = pki_rsa_public(out, (size_t)n, true, &why);
	assert_non_null(old);
	assert_false(pki_rsa_eq(old, pub));
	pki_rsa_unref(old);
	OPENSSL_free(out);
	out = NULL;
	n = i2d_PUBKEY(ec, &out);
	assert_null(pki_rsa_public(out, (size_t)n, true, &why));
	assert_string_equal(why, "not an RSA key");
	OPENSSL_free(out);
	EVP_PKEY_free(small);
	EVP_PKEY_free(ec);
}

/* IKE-38: signatures as IKEv1 makes them, with such a key. */
static void signatures(void **state)
{
	uint8_t hash[32], sig[PKI_SIG_MAX];
	size_t len;
	(void)state;
	memset(hash, 7, sizeof(hash));
	assert_int_equal(pki_rsa_sign(pair, hash, sizeof(hash), sig, &len), 0);
	assert_int_equal(len, K);
	assert_int_equal(pki_rsa_verify(pub, hash, sizeof(hash), sig, len), 0);
	hash[3] ^= 1;
	assert_int_equal(pki_rsa_verify(pub, hash, sizeof(hash), sig, len), -EBADMSG);
}

/* IKE-44: the file has to be a private RSA key that nobody else can read. */
static void files(void **state)
{
	char err[PKI_ERR_MAX];
	EVP_PKEY *ec = pkim_key("EC256");
	(void)state;
	assert_null(pki_rsa_load(pkim_write_key("loose.key", key, 0644), false, err));
	assert_non_null(strstr(err, "others can read"));
	assert_null(pki_rsa_load(pkim_write_key("ec.key", ec, 0600), false, err));
	assert_non_null(strstr(err, "not an RSA key"));
	assert_null(pki_rsa_load(pkim_write_text("text.key", "no key\n"), false, err));
	EVP_PKEY_free(ec);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip),
		cmocka_unit_test(by_others),
		cmocka_unit_test(implicit_rejection),
		cmocka_unit_test(made_up_lengths),
		cmocka_unit_test(public_keys),
		cmocka_unit_test(signatures),
		cmocka_unit_test(files),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
