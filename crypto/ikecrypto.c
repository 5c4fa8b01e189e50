/* SPDX-License-Identifier: BSD-3-Clause */
/* PRF, integrity, ciphers and random numbers for IKE, over OpenSSL's EVP. */
#include "ikecrypto.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/rand.h>

#include "cv_secret.h"
#include "ikeaesmac.h"

struct hash_row {
	enum ike_prf prf;
	const char *digest;
	uint8_t len, block; /* bytes */
};
static const struct hash_row hashes[] = {
	{IKE_PRF_HMAC_MD5, "MD5", 16, 64},
	{IKE_PRF_HMAC_SHA1, "SHA1", 20, 64},
	{IKE_PRF_HMAC_SHA256, "SHA256", 32, 64},
	{IKE_PRF_HMAC_SHA384, "SHA384", 48, 128},
	{IKE_PRF_HMAC_SHA512, "SHA512", 64, 128},
};

struct integ_row {
	enum ike_integ integ;
	enum ike_prf prf; /* what it truncates */
	uint8_t icv_len;
};
static const struct integ_row integs[] = {
	{IKE_INTEG_HMAC_MD5_96, IKE_PRF_HMAC_MD5, 12},
	{IKE_INTEG_HMAC_SHA1_96, IKE_PRF_HMAC_SHA1, 12},
	{IKE_INTEG_HMAC_SHA256_128, IKE_PRF_HMAC_SHA256, 16},
	{IKE_INTEG_HMAC_SHA384_192, IKE_PRF_HMAC_SHA384, 24},
	{IKE_INTEG_HMAC_SHA512_256, IKE_PRF_HMAC_SHA512, 32},
	{IKE_INTEG_AES_XCBC_96, IKE_PRF_AES128_XCBC, 12},
	{IKE_INTEG_AES_CMAC_96, IKE_PRF_AES128_CMAC, 12},
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
	return h ? h->len : ikec_aesmac_is(prf) ? IKEC_AESMAC_LEN : 0;
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

struct library_row {
	enum ike_encr encr; /* AES-GCM of any tag length: IKE_ENCR_AES_GCM16 */
	const char *cipher;
	uint8_t key_len; /* bytes */
};
static const struct library_row library[] = {
	{IKE_ENCR_3DES, "DES-EDE3-CBC", 24},
	{IKE_ENCR_AES_CBC, "AES-128-CBC", 16},
	{IKE_ENCR_AES_CBC, "AES-192-CBC", 24},
	{IKE_ENCR_AES_CBC, "AES-256-CBC", 32},
	{IKE_ENCR_AES_CTR, "AES-128-CTR", 16},
	{IKE_ENCR_AES_CTR, "AES-192-CTR", 24},
	{IKE_ENCR_AES_CTR, "AES-256-CTR", 32},
	{IKE_ENCR_AES_GCM16, "AES-128-GCM", 16},
	{IKE_ENCR_AES_GCM16, "AES-192-GCM", 24},
	{IKE_ENCR_AES_GCM16, "AES-256-GCM", 32},
	{IKE_ENCR_CHACHA20_POLY1305, "ChaCha20-Poly1305", 32},
};

/* Fetching an algorithm takes locks and string look-ups: done once per process. */
#define N_HASH (sizeof(hashes) / sizeof(hashes[0]))
#define N_CIPHER (sizeof(library) / sizeof(library[0]))
static EVP_MD *fetched[N_HASH];
static EVP_CIPHER *fetched_cipher[N_CIPHER];
static pthread_once_t fetch_once = PTHREAD_ONCE_INIT;

static void fetch_all(void)
{
	for (size_t i = 0; i < N_HASH; i++)
		fetched[i] = EVP_MD_fetch(NULL, hashes[i].digest, NULL);
	for (size_t i = 0; i < N_CIPHER; i++)
		fetched_cipher[i] = EVP_CIPHER_fetch(NULL, library[i].cipher, NULL);
}

/* NULL: no such cipher, or not with a key of that length. */
static const EVP_CIPHER *cipher_of(enum ike_encr encr, size_t key_len)
{
	if (encr == IKE_ENCR_AES_GCM8 || encr == IKE_ENCR_AES_GCM12)
		encr = IKE_ENCR_AES_GCM16;
	pthread_once(&fetch_once, fetch_all);
	for (size_t i = 0; i < N_CIPHER; i++)
		if (library[i].encr == encr && library[i].key_len == key_len)
			return fetched_cipher[i];
	return NULL;
}

static const EVP_MD *digest_of(const struct hash_row *h)
{
	pthread_once(&fetch_once, fetch_all);
	return fetched[h - hashes];
}

static int hash_in(EVP_MD_CTX *ctx, const EVP_MD *md, const void *first, size_t first_len, const struct ikec_iov *iov,
	int n_iov, uint8_t *out)
{
	int ok = ctx && md && EVP_DigestInit_ex2(ctx, md, NULL) && EVP_DigestUpdate(ctx, first, first_len);
	for (int i = 0; ok && i < n_iov; i++)
		ok = EVP_DigestUpdate(ctx, iov[i].base, iov[i].len);
	return ok && EVP_DigestFinal_ex(ctx, out, NULL) ? 0 : -EIO;
}

static int digest(const struct hash_row *h, const struct ikec_iov *iov, int n_iov, uint8_t *out)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	int err = hash_in(ctx, digest_of(h), NULL, 0, iov, n_iov, out);
	EVP_MD_CTX_free(ctx);
	return err;
}

/* RFC 2104. By hand, because EVP_MAC looks up its digest by name at each initialisation: three times the work. */
static int hmac(
	const struct hash_row *h, const void *key, size_t key_len, const struct ikec_iov *iov, int n_iov, uint8_t *out)
{
	uint8_t pad[128] = {0}, inner[IKEC_PRF_MAX];
	struct ikec_iov k = {key, key_len}, hashed = {inner, h->len};
	const EVP_MD *md = digest_of(h);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	int err = 0;
	if (key_len > h->block)
		err = hash_in(ctx, md, NULL, 0, &k, 1, pad);
	else if (key_len)
		memcpy(pad, key, key_len);
	for (unsigned i = 0; i < h->block; i++)
		pad[i] ^= 0x36;
	err = err ? err : hash_in(ctx, md, pad, h->block, iov, n_iov, inner);
	for (unsigned i = 0; i < h->block; i++)
		pad[i] ^= 0x36 ^ 0x5c;
	err = err ? err : hash_in(ctx, md, pad, h->block, &hashed, 1, out);
	EVP_MD_CTX_free(ctx);
	cv_secret_zero(pad, sizeof(pad));
	cv_secret_zero(inner, sizeof(inner));
	return err;
}

int ikec_prf(enum ike_prf prf, const void *key, size_t key_len, const struct ikec_iov *iov, int n_iov, uint8_t *out)
{
	const struct hash_row *h = hash_row(prf);
	if (ikec_aesmac_is(prf))
		return ikec_aesmac_prf(prf, key, key_len, iov, n_iov, out);
	if (!h)
		return -ENOTSUP;
	return hmac(h, key, key_len, iov, n_iov, out);
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

int ikec_hash(enum ike_prf prf, const struct ikec_iov *iov, int n_iov, uint8_t *out)
{
	const struct hash_row *h = hash_row(prf);
	return h ? digest(h, iov, n_iov, out) : -ENOTSUP;
}

int ikec_sha1(const struct ikec_iov *iov, int n_iov, uint8_t out[20])
{
	return digest(hash_row(IKE_PRF_HMAC_SHA1), iov, n_iov, out);
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

struct cipher_row {
	enum ike_encr encr;
	uint8_t block, iv_len, salt_len, tag_len; /* bytes; tag_len 0 = needs a separate integrity algorithm */
	uint8_t fixed_key;			  /* bytes, of a cipher without key length attribute */
};
static const struct cipher_row ciphers[] = {
	{IKE_ENCR_3DES, 8, 8, 0, 0, 24}, {IKE_ENCR_AES_CBC, 16, 16, 0, 0, 0},
	{IKE_ENCR_AES_CTR, 1, 8, 4, 0, 0},  /* RFC 5930 */
	{IKE_ENCR_AES_GCM8, 1, 8, 4, 8, 0}, /* RFC 5282 */
	{IKE_ENCR_AES_GCM12, 1, 8, 4, 12, 0}, {IKE_ENCR_AES_GCM16, 1, 8, 4, 16, 0},
	{IKE_ENCR_CHACHA20_POLY1305, 1, 8, 4, 16, 32}, /* RFC 7634 */
};

static const struct cipher_row *cipher_row(enum ike_encr encr)
{
	for (size_t i = 0; i < sizeof(ciphers) / sizeof(ciphers[0]); i++)
		if (ciphers[i].encr == encr)
			return &ciphers[i];
	return NULL;
}

size_t ikec_block_len(enum ike_encr encr)
{
	const struct cipher_row *c = cipher_row(encr);
	return c ? c->block : 0;
}

size_t ikec_iv_len(enum ike_encr encr)
{
	const struct cipher_row *c = cipher_row(encr);
	return c ? c->iv_len : 0;
}

size_t ikec_tag_len(enum ike_encr encr)
{
	const struct cipher_row *c = cipher_row(encr);
	return c ? c->tag_len : 0;
}

size_t ikec_key_len(enum ike_encr encr, uint16_t key_bits)
{
	const struct cipher_row *c = cipher_row(encr);
	return c ? (c->fixed_key ? c->fixed_key : key_bits / 8u) + c->salt_len : 0;
}

int ikec_cbc(
	enum ike_encr encr, bool encrypt, const void *key, size_t key_len, const uint8_t *iv, uint8_t *data, size_t len)
{
	bool cbc = encr == IKE_ENCR_3DES || encr == IKE_ENCR_AES_CBC;
	const EVP_CIPHER *cipher = cbc ? cipher_of(encr, key_len) : NULL;
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

#define SALT 4u /* of every counter mode and AEAD: nonce bytes that come with the key */

/* RFC 5930 2: nonce from the key, IV, and a block counter that starts at 1. Encryption and decryption are the same. */
static int ctr(const uint8_t *key, size_t key_len_with_salt, const uint8_t *iv, uint8_t *data, size_t len)
{
	size_t key_len = key_len_with_salt < SALT ? 0 : key_len_with_salt - SALT;
	const EVP_CIPHER *cipher = cipher_of(IKE_ENCR_AES_CTR, key_len);
	uint8_t block[16] = {0};
	int n = 0;
	if (!cipher)
		return -ENOTSUP;
	if (len > INT32_MAX)
		return -EINVAL;
	memcpy(block, key + key_len, SALT);
	memcpy(block + SALT, iv, 8);
	block[15] = 1;
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int ok = ctx && EVP_EncryptInit_ex(ctx, cipher, NULL, key, block) &&
		 (!len || (EVP_EncryptUpdate(ctx, data, &n, data, (int)len) && n == (int)len));
	EVP_CIPHER_CTX_free(ctx);
	cv_secret_zero(block, sizeof(block));
	return ok ? 0 : -EIO;
}

int ikec_crypt(
	enum ike_encr encr, bool encrypt, const void *key, size_t key_len, const uint8_t *iv, uint8_t *data, size_t len)
{
	return encr == IKE_ENCR_AES_CTR ? ctr(key, key_len, iv, data, len)
					: ikec_cbc(encr, encrypt, key, key_len, iv, data, len);
}

int ikec_aead(enum ike_encr encr, bool encrypt, const void *key, size_t key_len_with_salt, const uint8_t iv[8],
	const void *aad, size_t aad_len, uint8_t *data, size_t len, uint8_t *tag)
{
	size_t key_len = key_len_with_salt < SALT ? 0 : key_len_with_salt - SALT;
	int tag_len = (int)ikec_tag_len(encr), n = 0;
	const EVP_CIPHER *cipher = tag_len ? cipher_of(encr, key_len) : NULL;
	uint8_t nonce[SALT + 8];
	if (!cipher)
		return -ENOTSUP;
	if (len > INT32_MAX || aad_len > INT32_MAX)
		return -EINVAL;
	memcpy(nonce, (const uint8_t *)key + key_len, SALT);
	memcpy(nonce + SALT, iv, 8);
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int ok = ctx && EVP_CipherInit_ex(ctx, cipher, NULL, key, nonce, encrypt);
	ok = ok && (aad_len == 0 || EVP_CipherUpdate(ctx, NULL, &n, aad, (int)aad_len));
	ok = ok && (len == 0 || EVP_CipherUpdate(ctx, data, &n, data, (int)len));
	int err = ok ? 0 : -EIO;
	if (ok && !encrypt && !EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, tag_len, tag))
		err = -EIO;
	if (!err && !EVP_CipherFinal_ex(ctx, data + len, &n))
		err = encrypt ? -EIO : -EBADMSG;
	if (!err && encrypt && !EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, tag_len, tag))
		err = -EIO;
	EVP_CIPHER_CTX_free(ctx);
	cv_secret_zero(nonce, sizeof(nonce));
	return err;
}

/*
 * Random numbers are drawn in advance: a call of the generator takes locks, look-ups and a system call (has the process
 * forked?), which cost as much for 4 bytes as for all of these, and a handshake has six. What is handed out is zeroed.
 */
struct drawn {
	uint8_t bytes[512];
	size_t left; /* at the end of bytes */
};
static _Thread_local struct drawn drawn_public, drawn_secret;

/* The child has the parent's: neither may hand out what the other does. */
static void forget_drawn(void)
{
	drawn_public.left = drawn_secret.left = 0;
}

static void watch_forks(void)
{
	if (pthread_atfork(NULL, NULL, forget_drawn) != 0)
		abort();
}

static void refill(struct drawn *d, int (*generate)(unsigned char *out, int len))
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, watch_forks);
	if (generate(d->bytes, sizeof(d->bytes)) != 1)
		abort(); /* no key, nonce or SPI may ever come from anything else */
	d->left = sizeof(d->bytes);
}

static void hand_out(struct drawn *d, int (*generate)(unsigned char *out, int len), uint8_t *out, size_t len)
{
	while (len) {
		if (!d->left)
			refill(d, generate);
		size_t n = len < d->left ? len : d->left;
		uint8_t *from = d->bytes + sizeof(d->bytes) - d->left;
		memcpy(out, from, n);
		cv_secret_zero(from, n);
		d->left -= n;
		out += n;
		len -= n;
	}
}

void ikec_random(void *out, size_t len)
{
	hand_out(&drawn_public, RAND_bytes, out, len);
}

void ikec_random_secret(void *out, size_t len)
{
	hand_out(&drawn_secret, RAND_priv_bytes, out, len);
}
