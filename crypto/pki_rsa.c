/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * RSA keys without certificates, and encryption as RFC 2409 5.2 wants it: PKCS #1 v1.5 (RFC 8017 7.2).
 *
 * Decryption rejects implicitly. Whoever can tell good padding from bad can decrypt and sign with the key after some
 * ten thousand questions (Bleichenbacher 1998; for IKE: Felsch et al., USENIX Security 2018). So there is no failure to
 * tell: a ciphertext with bad padding, or with a text of a length that cannot be, decrypts to a text that only depends
 * on it and on the key. It is made, and taken or not, by the same instructions and memory accesses in either case.
 * OpenSSL's own padding check is not used for that: it reports what it finds.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include "cv_secret.h"
#include "pki_priv.h"

#define PAD_MIN 11u	     /* 0, 2, eight octets that are not 0, 0 */
#define EXPONENT_BITS_MAX 33 /* of public keys: what others choose must not cost more than a signature's check */
#define BITS_MIN 2048	     /* without allow-legacy */
#define BITS_MIN_LEGACY 512  /* with it */

struct pki_rsa {
	unsigned refs; /* atomic */
	EVP_PKEY *key;
	size_t len; /* bytes of the modulus */
	struct pki_blob spki;
	uint8_t reject[32]; /* of a private key: what bad ciphertexts are made into */
};

/* ---- life and death ---- */

static const char *fault_of(EVP_PKEY *key, bool legacy)
{
	BIGNUM *e = NULL;
	if (!key || EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA)
		return "not an RSA key";
	if (EVP_PKEY_get_bits(key) > (int)PKI_SIG_MAX * 8)
		return "an RSA key of more than 8192 bits";
	if (EVP_PKEY_get_bits(key) < (legacy ? BITS_MIN_LEGACY : BITS_MIN))
		return legacy ? "an RSA key of less than 512 bits"
			      : "an RSA key of less than 2048 bits, which needs platform/allow-legacy";
	bool ok = EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &e) == 1 && BN_is_odd(e) && !BN_is_one(e) &&
		  BN_num_bits(e) <= EXPONENT_BITS_MAX;
	BN_free(e);
	return ok ? NULL : "an RSA key with an unusable public exponent";
}

/* HMAC keyed with nothing but the private key: a text that others cannot foresee. */
static bool make_reject(struct pki_rsa *r)
{
	uint8_t *der = NULL;
	unsigned n = 0;
	int len = i2d_PrivateKey(r->key, &der);
	bool ok = len > 0 && EVP_Digest(der, (size_t)len, r->reject, &n, EVP_sha256(), NULL) && n == sizeof(r->reject);
	if (len > 0)
		cv_secret_zero(der, (size_t)len);
	OPENSSL_free(der);
	return ok;
}

struct pki_rsa *pki_rsa_new(EVP_PKEY *key, bool private)
{
	struct pki_rsa *r = calloc(1, sizeof(*r));
	uint8_t *der = NULL;
	if (!r)
		return NULL;
	r->refs = 1;
	r->key = key;
	EVP_PKEY_up_ref(key);
	r->len = (size_t)EVP_PKEY_get_size(key);
	int n = i2d_PUBKEY(key, &der);
	if (n > 0)
		r->spki = (struct pki_blob){der, (size_t)n};
	if (n > 0 && (!private || make_reject(r)))
		return r;
	pki_rsa_unref(r);
	return NULL;
}

struct pki_rsa *pki_rsa_ref(struct pki_rsa *r)
{
	__atomic_fetch_add(&r->refs, 1, __ATOMIC_RELAXED);
	return r;
}

void pki_rsa_unref(struct pki_rsa *r)
{
	if (!r || __atomic_sub_fetch(&r->refs, 1, __ATOMIC_ACQ_REL))
		return;
	EVP_PKEY_free(r->key);
	OPENSSL_free((void *)(uintptr_t)r->spki.p);
	cv_secret_zero(r, sizeof(*r));
	free(r);
}

struct pki_rsa *pki_rsa_load(const char *path, bool legacy, char *err)
{
	EVP_PKEY *key = pki_read_key(path, err);
	const char *fault = key ? fault_of(key, legacy) : NULL;
	struct pki_rsa *r = key && !fault ? pki_rsa_new(key, true) : NULL;
	if (key && !r)
		snprintf(err, PKI_ERR_MAX, "%s: %s", path, fault ? fault : "out of memory");
	EVP_PKEY_free(key);
	return r;
}

int pki_rsa_generate(const char *path, unsigned bits, char *err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	EVP_PKEY *key = fd < 0 ? NULL : EVP_RSA_gen(bits);
	BIO *out = key ? BIO_new_fd(fd, BIO_NOCLOSE) : NULL;
	bool ok = out && PEM_write_bio_PKCS8PrivateKey(out, key, NULL, NULL, 0, NULL, NULL) == 1 && fsync(fd) == 0;
	if (!ok)
		snprintf(err, PKI_ERR_MAX, "%s: %s", path,
			fd < 0 || (out && errno) ? strerror(errno) : "no key was made");
	BIO_free(out);
	EVP_PKEY_free(key);
	if (fd >= 0)
		close(fd);
	ERR_clear_error();
	return ok ? 0 : -EIO;
}

struct pki_rsa *pki_rsa_public(const void *der, size_t len, bool legacy, const char **why)
{
	const uint8_t *p = der;
	EVP_PKEY *key = len && len <= 65535 ? d2i_PUBKEY(NULL, &p, (long)len) : NULL;
	struct pki_rsa *r = NULL;
	*why = !key || p != (const uint8_t *)der + len ? "not a DER SubjectPublicKeyInfo" : fault_of(key, legacy);
	if (!*why && !(r = pki_rsa_new(key, false)))
		*why = "out of memory";
	EVP_PKEY_free(key);
	ERR_clear_error();
	return r;
}

struct pki_rsa *pki_rsa_of_peer(const struct pki_peer *peer)
{
	if (fault_of(peer->key, true) || !(X509_get_key_usage(peer->cert) & KU_KEY_ENCIPHERMENT))
		return NULL;
	return pki_rsa_new(peer->key, false);
}

size_t pki_rsa_len(const struct pki_rsa *r)
{
	return r->len;
}

struct pki_blob pki_rsa_spki(const struct pki_rsa *r)
{
	return r->spki;
}

bool pki_rsa_eq(const struct pki_rsa *a, const struct pki_rsa *b)
{
	return a->spki.len == b->spki.len && memcmp(a->spki.p, b->spki.p, a->spki.len) == 0;
}

/* ---- signatures: the same as with a certificate's key ---- */

int pki_rsa_sign(const struct pki_rsa *r, const void *data, size_t len, uint8_t *sig, size_t *sig_len)
{
	return pki_sign_key(r->key, PKI_RSA_RAW, 0, data, len, sig, sig_len);
}

int pki_rsa_verify(const struct pki_rsa *r, const void *data, size_t len, const void *sig, size_t sig_len)
{
	return pki_verify_key(r->key, PKI_RSA_RAW, 0, data, len, sig, sig_len);
}

/* ---- encryption ---- */

int pki_rsa_encrypt(const struct pki_rsa *r, const void *data, size_t len, uint8_t *out)
{
	size_t n = PKI_SIG_MAX;
	if (len + PAD_MIN > r->len)
		return -EINVAL;
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(r->key, NULL);
	bool ok = c && EVP_PKEY_encrypt_init(c) == 1 && EVP_PKEY_CTX_set_rsa_padding(c, RSA_PKCS1_PADDING) == 1 &&
		  EVP_PKEY_encrypt(c, out, &n, data, len) == 1 && n == r->len;
	EVP_PKEY_CTX_free(c);
	ERR_clear_error();
	return ok ? 0 : -EIO;
}

/* Words that are all ones or zero. The compiler must not see that: it would make branches of them. */
static inline uint32_t hidden(uint32_t x)
{
	__asm__("" : "+r"(x));
	return x;
}
static inline uint32_t is_zero(uint32_t x)
{
	return hidden((uint32_t)((int32_t)(~x & (x - 1)) >> 31));
}
static inline uint32_t is_eq(uint32_t a, uint32_t b)
{
	return is_zero(a ^ b);
}
/* a < b, both below 2^31. */
static inline uint32_t is_less(uint32_t a, uint32_t b)
{
	return hidden((uint32_t)((int32_t)(a - b) >> 31));
}
static inline uint32_t choose(uint32_t mask, uint32_t yes, uint32_t no)
{
	return (mask & yes) | (~mask & no);
}

/* Where the text begins; *good: all ones when the padding is right. */
static uint32_t find_text(const uint8_t *em, uint32_t k, uint32_t *good)
{
	uint32_t found = 0, at = 0;
	*good = is_zero(em[0]) & is_eq(em[1], 2);
	for (uint32_t i = 2; i < k; i++) {
		uint32_t zero = is_zero(em[i]);
		at = choose(zero & ~found, i + 1, at);
		found |= zero;
	}
	*good &= found & ~is_less(at, PAD_MIN);
	return choose(*good, at, PAD_MIN);
}

/* Move the text from `at` to PAD_MIN, in steps that are taken or not by the bits of the distance. */
static void move_text(uint8_t *em, uint32_t k, uint32_t at)
{
	uint32_t distance = at - PAD_MIN;
	for (uint32_t step = 1; step < k - PAD_MIN; step <<= 1) {
		uint32_t take = ~is_zero(distance & step);
		for (uint32_t i = PAD_MIN; i + step < k; i++)
			em[i] = (uint8_t)choose(take, em[i + step], em[i]);
	}
}

/* The text of a ciphertext that is none: its length in *len (min..max), `max` bytes in out. */
static bool made_up(const struct pki_rsa *r, const uint8_t *in, uint32_t min, uint32_t max, uint8_t *out, uint32_t *len)
{
	uint8_t seed[32], block[32];
	unsigned n = 0;
	bool ok = HMAC(EVP_sha256(), r->reject, sizeof(r->reject), in, r->len, seed, &n) && n == sizeof(seed);
	for (uint32_t i = 0, done = 0; ok && done < max + 2; i++, done += sizeof(block)) {
		uint8_t counter[4] = {(uint8_t)(i >> 24), (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i};
		ok = HMAC(EVP_sha256(), seed, sizeof(seed), counter, sizeof(counter), block, &n) != NULL;
		for (uint32_t j = 0; ok && j < sizeof(block) && done + j < max; j++)
			out[done + j] = block[j];
	}
	ok = ok && HMAC(EVP_sha256(), seed, sizeof(seed), (const uint8_t *)"length", 6, block, &n);
	*len = min + (uint32_t)(((uint32_t)block[0] << 8 | block[1]) * (max - min + 1) >> 16);
	cv_secret_zero(seed, sizeof(seed));
	cv_secret_zero(block, sizeof(block));
	return ok;
}

static bool raw_decrypt(const struct pki_rsa *r, const uint8_t *in, uint8_t *em)
{
	size_t n = PKI_SIG_MAX;
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(r->key, NULL);
	bool ok = c && EVP_PKEY_decrypt_init(c) == 1 && EVP_PKEY_CTX_set_rsa_padding(c, RSA_NO_PADDING) == 1 &&
		  EVP_PKEY_decrypt(c, em, &n, in, r->len) == 1 && n == r->len;
	EVP_PKEY_CTX_free(c);
	ERR_clear_error();
	return ok;
}

int pki_rsa_decrypt(const struct pki_rsa *r, const uint8_t *in, size_t in_len, size_t min, size_t max, uint8_t *out,
	size_t *out_len)
{
	uint8_t em[PKI_SIG_MAX], fake[PKI_SIG_MAX];
	uint32_t k = (uint32_t)r->len, fake_len, good;
	if (in_len != r->len || min > max || min + PAD_MIN > r->len)
		return -EINVAL;
	if (max + PAD_MIN > r->len)
		max = r->len - PAD_MIN;
	if (!made_up(r, in, (uint32_t)min, (uint32_t)max, fake, &fake_len) || !raw_decrypt(r, in, em))
		return -EIO; /* not below the modulus, which everybody can see; or out of memory */
	uint32_t at = find_text(em, k, &good), len = k - at;
	good &= ~is_less(len, (uint32_t)min) & ~is_less((uint32_t)max, len);
	move_text(em, k, at);
	for (uint32_t i = 0; i < max; i++)
		out[i] = (uint8_t)choose(good, em[PAD_MIN + i], fake[i]);
	*out_len = choose(good, len, fake_len);
	cv_secret_zero(em, sizeof(em));
	cv_secret_zero(fake, sizeof(fake));
	return 0;
}
