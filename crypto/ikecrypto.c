/* SPDX-License-Identifier: BSD-3-Clause */
/* PRF, integrity, ciphers and random numbers for IKE, over OpenSSL's EVP. */
#include "ikecrypto.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include "cv_secret.h"

struct hash_row {
	enum ike_prf prf;
	const char *digest;
	uint8_t len;
};
static const struct hash_row hashes[] = {
	{IKE_PRF_HMAC_MD5, "MD5", 16},
	{IKE_PRF_HMAC_SHA1, "SHA1", 20},
	{IKE_PRF_HMAC_SHA256, "SHA256", 32},
	{IKE_PRF_HMAC_SHA384, "SHA384", 48},
	{IKE_PRF_HMAC_SHA512, "SHA512", 64},
};

struct integ_row {
	enum ike_integ integ;
	enum ike_prf prf; /* the HMAC it truncates */
	uint8_t icv_len;
};
static const struct integ_row integs[] = {
	{IKE_INTEG_HMAC_MD5_96, IKE_PRF_HMAC_MD5, 12},
	{IKE_INTEG_HMAC_SHA1_96, IKE_PRF_HMAC_SHA1, 12},
	{IKE_INTEG_HMAC_SHA256_128, IKE_PRF_HMAC_SHA256, 16},
	{IKE_INTEG_HMAC_SHA384_192, IKE_PRF_HMAC_SHA384, 24},
	{IKE_INTEG_HMAC_SHA512_256, IKE_PRF_HMAC_SHA512, 32},
};

static const struct hash_row *hash_row(enum ike_prf prf)
{
	for (size_t i = 0; i < sizeof(hashes) / sizeof(hashes[0]); i++)
		if (hashes[i].prf == prf)
			return &hashes[i];
	return NULL;
}

static const struct integ_row *integ_row(enum ike_integ integ)
{
	for (size_t i = 0; i < sizeof(integs) / sizeof(integs[0]); i++)
		if (integs[i].integ == integ)
			return &integs[i];
	return NULL;
}

size_t ikec_prf_len(enum ike_prf prf)
{
	const struct hash_row *h = hash_row(prf);
	return h ? h->len : 0;
}

size_t ikec_integ_key_len(enum ike_integ integ)
{
	const struct integ_row *r = integ_row(integ);
	return r ? ikec_prf_len(r->prf) : 0;
}

size_t ikec_integ_len(enum ike_integ integ)
{
	const struct integ_row *r = integ_row(integ);
	return r ? r->icv_len : 0;
}

/* Fetching an algorithm takes locks and string look-ups: done once per process. */
static EVP_MAC *hmac;
static pthread_once_t hmac_once = PTHREAD_ONCE_INIT;

static void fetch_hmac(void)
{
	hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
}

int ikec_prf(enum ike_prf prf, const void *key, size_t key_len, const struct ikec_iov *iov, int n_iov, uint8_t *out)
{
	const struct hash_row *h = hash_row(prf);
	static const uint8_t empty;
	if (!h)
		return -ENOTSUP;
	pthread_once(&hmac_once, fetch_hmac);
	EVP_MAC_CTX *ctx = hmac ? EVP_MAC_CTX_new(hmac) : NULL;
	if (!ctx)
		return -EIO;
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)(uintptr_t)h->digest, 0),
		OSSL_PARAM_construct_end(),
	};
	/* a NULL key means "keep the last one" to OpenSSL: an empty key needs an address */
	int ok = EVP_MAC_init(ctx, key_len ? key : &empty, key_len, params);
	for (int i = 0; ok && i < n_iov; i++)
		ok = iov[i].len == 0 || EVP_MAC_update(ctx, iov[i].base, iov[i].len);
	size_t len = 0;
	ok = ok && EVP_MAC_final(ctx, out, &len, h->len) && len == h->len;
	EVP_MAC_CTX_free(ctx);
	return ok ? 0 : -EIO;
}

int ikec_prf_plus(enum ike_prf prf, const void *key, size_t key_len, const void *seed, size_t seed_len, uint8_t *out,
	size_t out_len)
{
	uint8_t t[IKEC_PRF_MAX], n = 1;
	size_t prf_len = ikec_prf_len(prf), off = 0;
	int err = 0;
	if (!prf_len)
		return -ENOTSUP;
	if (out_len > 255 * prf_len)
		return -EINVAL;
	while (off < out_len && !err) {
		struct ikec_iov iov[3] = {{t, n > 1 ? prf_len : 0}, {seed, seed_len}, {&n, 1}};
		size_t take = out_len - off < prf_len ? out_len - off : prf_len;
		err = ikec_prf(prf, key, key_len, iov, 3, t);
		memcpy(out + off, t, err ? 0 : take);
		off += take;
		n++;
	}
	cv_secret_zero(t, sizeof(t));
	return err;
}

static int digest(const char *name, const struct ikec_iov *iov, int n_iov, uint8_t *out)
{
	EVP_MD *md = EVP_MD_fetch(NULL, name, NULL);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	int ok = md && ctx && EVP_DigestInit_ex(ctx, md, NULL);
	for (int i = 0; ok && i < n_iov; i++)
		ok = EVP_DigestUpdate(ctx, iov[i].base, iov[i].len);
	ok = ok && EVP_DigestFinal_ex(ctx, out, NULL);
	EVP_MD_CTX_free(ctx);
	EVP_MD_free(md);
	return ok ? 0 : -EIO;
}

int ikec_hash(enum ike_prf prf, const struct ikec_iov *iov, int n_iov, uint8_t *out)
{
	const struct hash_row *h = hash_row(prf);
	return h ? digest(h->digest, iov, n_iov, out) : -ENOTSUP;
}

int ikec_sha1(const struct ikec_iov *iov, int n_iov, uint8_t out[20])
{
	return digest("SHA1", iov, n_iov, out);
}

int ikec_integ(enum ike_integ integ, const void *key, const struct ikec_iov *iov, int n_iov, uint8_t *out)
{
	const struct integ_row *r = integ_row(integ);
	uint8_t full[IKEC_PRF_MAX];
	if (!r)
		return -ENOTSUP;
	int err = ikec_prf(r->prf, key, ikec_prf_len(r->prf), iov, n_iov, full);
	if (!err)
		memcpy(out, full, r->icv_len);
	return err;
}

size_t ikec_block_len(enum ike_encr encr)
{
	switch (encr) {
	case IKE_ENCR_3DES:
		return 8;
	case IKE_ENCR_AES_CBC:
		return 16;
	case IKE_ENCR_AES_GCM16:
		return 1;
	}
	return 0;
}

static const EVP_CIPHER *cbc_cipher(enum ike_encr encr, size_t key_len)
{
	if (encr == IKE_ENCR_3DES)
		return key_len == 24 ? EVP_des_ede3_cbc() : NULL;
	if (encr != IKE_ENCR_AES_CBC)
		return NULL;
	switch (key_len) {
	case 16:
		return EVP_aes_128_cbc();
	case 24:
		return EVP_aes_192_cbc();
	case 32:
		return EVP_aes_256_cbc();
	}
	return NULL;
}

int ikec_cbc(
	enum ike_encr encr, bool encrypt, const void *key, size_t key_len, const uint8_t *iv, uint8_t *data, size_t len)
{
	const EVP_CIPHER *cipher = cbc_cipher(encr, key_len);
	int n = 0;
	if (!cipher)
		return -ENOTSUP;
	if (len % ikec_block_len(encr) || len > INT32_MAX)
		return -EINVAL;
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int ok = ctx && EVP_CipherInit_ex(ctx, cipher, NULL, key, iv, encrypt) && EVP_CIPHER_CTX_set_padding(ctx, 0) &&
		 EVP_CipherUpdate(ctx, data, &n, data, (int)len) && n == (int)len;
	EVP_CIPHER_CTX_free(ctx);
	return ok ? 0 : -EIO;
}

static const EVP_CIPHER *gcm_cipher(size_t key_len)
{
	switch (key_len) {
	case 16:
		return EVP_aes_128_gcm();
	case 24:
		return EVP_aes_192_gcm();
	case 32:
		return EVP_aes_256_gcm();
	}
	return NULL;
}

#define GCM_SALT 4u
#define GCM_TAG 16

int ikec_gcm(bool encrypt, const void *key, size_t key_len_with_salt, const uint8_t iv[8], const void *aad,
	size_t aad_len, uint8_t *data, size_t len, uint8_t tag[16])
{
	size_t key_len = key_len_with_salt < GCM_SALT ? 0 : key_len_with_salt - GCM_SALT;
	const EVP_CIPHER *cipher = gcm_cipher(key_len);
	uint8_t nonce[GCM_SALT + 8];
	int n = 0;
	if (!cipher)
		return -ENOTSUP;
	if (len > INT32_MAX || aad_len > INT32_MAX)
		return -EINVAL;
	memcpy(nonce, (const uint8_t *)key + key_len, GCM_SALT);
	memcpy(nonce + GCM_SALT, iv, 8);
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int ok = ctx && EVP_CipherInit_ex(ctx, cipher, NULL, key, nonce, encrypt);
	ok = ok && (aad_len == 0 || EVP_CipherUpdate(ctx, NULL, &n, aad, (int)aad_len));
	ok = ok && (len == 0 || EVP_CipherUpdate(ctx, data, &n, data, (int)len));
	int err = ok ? 0 : -EIO;
	if (ok && !encrypt && !EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, GCM_TAG, tag))
		err = -EIO;
	if (!err && !EVP_CipherFinal_ex(ctx, data + len, &n))
		err = encrypt ? -EIO : -EBADMSG;
	if (!err && encrypt && !EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, GCM_TAG, tag))
		err = -EIO;
	EVP_CIPHER_CTX_free(ctx);
	cv_secret_zero(nonce, sizeof(nonce));
	return err;
}

void ikec_random(void *out, size_t len)
{
	if (len && (len > INT32_MAX || RAND_bytes(out, (int)len) != 1))
		abort(); /* no key, nonce or SPI may ever come from anything else */
}
