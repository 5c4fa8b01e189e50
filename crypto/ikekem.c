/* SPDX-License-Identifier: BSD-3-Clause */
#include "ikekem.h"

#include <errno.h>

#include <openssl/core_names.h>
#include <openssl/err.h>

bool ikekem_available(const char *name)
{
	ERR_set_mark();
	EVP_KEM *kem = EVP_KEM_fetch(NULL, name, NULL);
	ERR_pop_to_mark();
	EVP_KEM_free(kem);
	return kem != NULL;
}

int ikekem_new(const char *name, EVP_PKEY **key, uint8_t *pub, size_t pub_len)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, name, NULL);
	size_t n = 0;
	*key = NULL;
	bool made = ctx && EVP_PKEY_keygen_init(ctx) == 1 && EVP_PKEY_generate(ctx, key) == 1;
	EVP_PKEY_CTX_free(ctx);
	if (made && EVP_PKEY_get_octet_string_param(*key, OSSL_PKEY_PARAM_PUB_KEY, pub, pub_len, &n) == 1 &&
		n == pub_len)
		return 0;
	EVP_PKEY_free(*key);
	*key = NULL;
	return -EIO;
}

int ikekem_encapsulate(const char *name, const uint8_t *peer, size_t peer_len, uint8_t *text, size_t text_len,
	uint8_t *secret, size_t secret_size, size_t *secret_len)
{
	/* the provider checks the key (FIPS 203 7.2) */
	EVP_PKEY *key = EVP_PKEY_new_raw_public_key_ex(NULL, name, NULL, peer, peer_len);
	EVP_PKEY_CTX *ctx = key ? EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL) : NULL;
	size_t n = text_len, s = secret_size;
	int err = key ? -EIO : -EINVAL;
	if (ctx && EVP_PKEY_encapsulate_init(ctx, NULL) == 1 && EVP_PKEY_encapsulate(ctx, text, &n, secret, &s) == 1 &&
		n == text_len) {
		*secret_len = s;
		err = 0;
	}
	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(key);
	return err;
}

int ikekem_decapsulate(
	EVP_PKEY *key, const uint8_t *text, size_t text_len, uint8_t *secret, size_t secret_size, size_t *secret_len)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
	size_t s = secret_size;
	int err = -EINVAL;
	if (ctx && EVP_PKEY_decapsulate_init(ctx, NULL) == 1 &&
		EVP_PKEY_decapsulate(ctx, secret, &s, text, text_len) == 1) {
		*secret_len = s;
		err = 0;
	}
	EVP_PKEY_CTX_free(ctx);
	return err;
}
