/* SPDX-License-Identifier: BSD-3-Clause */
#include "ikeaesmac.h"

#include <errno.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>

#include "cv_secret.h"

#define BLOCK IKEC_AESMAC_LEN

static int cmac(const uint8_t key[BLOCK], const struct ikec_iov *iov, int n_iov, uint8_t *out)
{
	EVP_MAC *mac = EVP_MAC_fetch(NULL, "CMAC", NULL);
	EVP_MAC_CTX *ctx = mac ? EVP_MAC_CTX_new(mac) : NULL;
	char cipher[] = "AES-128-CBC";
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_CIPHER, cipher, 0),
		OSSL_PARAM_construct_end(),
	};
	size_t len = 0;
	int ok = ctx && EVP_MAC_init(ctx, key, BLOCK, params);
	for (int i = 0; ok && i < n_iov; i++)
		ok = iov[i].len == 0 || EVP_MAC_update(ctx, iov[i].base, iov[i].len);
	ok = ok && EVP_MAC_final(ctx, out, &len, BLOCK) && len == BLOCK;
	EVP_MAC_CTX_free(ctx);
	EVP_MAC_free(mac);
	return ok ? 0 : -EIO;
}

/* RFC 3566 4: CBC-MAC under K1, the last block masked with K2 when it is whole, padded and masked with K3 when not. */
struct xcbc {
	EVP_CIPHER_CTX *aes; /* single blocks under K1 */
	uint8_t k2[BLOCK], k3[BLOCK], state[BLOCK], part[BLOCK];
	size_t n; /* bytes in part; a full block waits until it is known not to be the last */
};

static int aes_block(EVP_CIPHER_CTX *ctx, const uint8_t in[BLOCK], uint8_t out[BLOCK])
{
	int n = 0;
	return EVP_EncryptUpdate(ctx, out, &n, in, BLOCK) && n == BLOCK ? 0 : -EIO;
}

static int xcbc_init(struct xcbc *x, const uint8_t key[BLOCK])
{
	uint8_t k1[BLOCK], ones[BLOCK], twos[BLOCK], threes[BLOCK];
	memset(x, 0, sizeof(*x));
	memset(ones, 1, BLOCK);
	memset(twos, 2, BLOCK);
	memset(threes, 3, BLOCK);
	x->aes = EVP_CIPHER_CTX_new();
	int ok = x->aes && EVP_EncryptInit_ex(x->aes, EVP_aes_128_ecb(), NULL, key, NULL) &&
		 EVP_CIPHER_CTX_set_padding(x->aes, 0) && aes_block(x->aes, ones, k1) == 0 &&
		 aes_block(x->aes, twos, x->k2) == 0 && aes_block(x->aes, threes, x->k3) == 0 &&
		 EVP_EncryptInit_ex(x->aes, NULL, NULL, k1, NULL);
	cv_secret_zero(k1, sizeof(k1));
	return ok ? 0 : -EIO;
}

static int xcbc_block(struct xcbc *x, const uint8_t *mask)
{
	for (unsigned i = 0; i < BLOCK; i++)
		x->state[i] ^= (uint8_t)(x->part[i] ^ (mask ? mask[i] : 0));
	x->n = 0;
	return aes_block(x->aes, x->state, x->state);
}

static int xcbc_update(struct xcbc *x, const uint8_t *p, size_t len)
{
	while (len) {
		if (x->n == BLOCK && xcbc_block(x, NULL) != 0)
			return -EIO;
		size_t take = len < BLOCK - x->n ? len : BLOCK - x->n;
		memcpy(x->part + x->n, p, take);
		x->n += take;
		p += take;
		len -= take;
	}
	return 0;
}

static int xcbc_final(struct xcbc *x, uint8_t *out)
{
	const uint8_t *mask = x->k2;
	if (x->n < BLOCK) {
		x->part[x->n] = 0x80;
		memset(x->part + x->n + 1, 0, BLOCK - x->n - 1);
		mask = x->k3;
	}
	int err = xcbc_block(x, mask);
	memcpy(out, x->state, BLOCK);
	return err;
}

static int xcbc(const uint8_t key[BLOCK], const struct ikec_iov *iov, int n_iov, uint8_t *out)
{
	struct xcbc x;
	int err = xcbc_init(&x, key);
	for (int i = 0; !err && i < n_iov; i++)
		err = xcbc_update(&x, iov[i].base, iov[i].len);
	if (!err)
		err = xcbc_final(&x, out);
	EVP_CIPHER_CTX_free(x.aes);
	cv_secret_zero(&x, sizeof(x));
	return err;
}

int ikec_aesmac_prf(
	enum ike_prf prf, const void *key, size_t key_len, const struct ikec_iov *iov, int n_iov, uint8_t *out)
{
	static const uint8_t zero[BLOCK];
	int (*mac)(const uint8_t *, const struct ikec_iov *, int, uint8_t *) = prf == IKE_PRF_AES128_XCBC ? xcbc : cmac;
	const struct ikec_iov whole = {key, key_len};
	uint8_t k[BLOCK] = {0};
	int err = 0;
	/* RFC 4434 2: a short key is padded with zeros, a long one hashed; RFC 4615 3: any other length is hashed */
	if (key_len == BLOCK || (key_len < BLOCK && prf == IKE_PRF_AES128_XCBC))
		memcpy(k, key, key_len);
	else
		err = mac(zero, &whole, 1, k);
	if (!err)
		err = mac(k, iov, n_iov, out);
	cv_secret_zero(k, sizeof(k));
	return err;
}
