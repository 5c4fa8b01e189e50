/* SPDX-License-Identifier: BSD-3-Clause */
#include "type6.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/rand.h>
#include <string.h>

#include "cv_secret.h"

#define VERSION 1
#define NONCE_LEN 12u
#define TAG_LEN 16u
#define OVERHEAD (1 + NONCE_LEN + TAG_LEN)
#define BLOB_MAX (OVERHEAD + TYPE6_PLAIN_MAX)
#define SCRYPT_N 32768u /* with r 8: 32 MB */

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

int type6_derive(const char *text, size_t len, uint8_t key[TYPE6_KEY_LEN])
{
	static const unsigned char salt[] = "culvert type 6 master key";

	return EVP_PBE_scrypt(text, len, salt, sizeof(salt) - 1, SCRYPT_N, 8, 1, 64u << 20, key, TYPE6_KEY_LEN) == 1
		       ? 0
		       : -EIO;
}

/* ---- base64url without padding (RFC 4648 5) ---- */

static void encode(const uint8_t *p, size_t len, char *out)
{
	uint32_t acc = 0;
	unsigned bits = 0;

	for (size_t i = 0; i < len; i++) {
		acc = acc << 8 | p[i];
		for (bits += 8; bits >= 6; bits -= 6)
			*out++ = digits[acc >> (bits - 6) & 63];
	}
	if (bits)
		*out++ = digits[acc << (6 - bits) & 63];
	*out = 0;
}

static int value_of(char c)
{
	const char *at = c ? strchr(digits, c) : NULL;

	return at ? (int)(at - digits) : -1;
}

/* Octets written, at most BLOB_MAX; 0 when the text is not of the form. */
static size_t decode(const char *text, uint8_t *out)
{
	uint32_t acc = 0;
	unsigned bits = 0;
	size_t n = 0;

	for (; *text; text++) {
		int v = value_of(*text);
		if (v < 0)
			return 0;
		acc = acc << 6 | (uint32_t)v;
		bits += 6;
		if (bits < 8)
			continue;
		bits -= 8;
		if (n == BLOB_MAX)
			return 0;
		out[n++] = (uint8_t)(acc >> bits);
	}
	return acc & ((1u << bits) - 1) ? 0 : n; /* one spelling for one ciphertext */
}

static size_t blob_of(const char *value, uint8_t *blob)
{
	size_t n = strncmp(value, "6 ", 2) == 0 ? decode(value + 2, blob) : 0;

	return n > OVERHEAD && blob[0] == VERSION ? n : 0;
}

bool type6_is(const char *value)
{
	uint8_t blob[BLOB_MAX];

	return blob_of(value, blob) != 0;
}

/* ---- AES-256-GCM; the version octet is authenticated too ---- */

static bool crypt_parts(
	EVP_CIPHER_CTX *c, bool seal, const uint8_t *key, uint8_t *blob, const uint8_t *in, size_t len, uint8_t *out)
{
	int n;
	uint8_t *tag = blob + 1 + NONCE_LEN + len;

	if (EVP_CipherInit_ex(c, EVP_aes_256_gcm(), NULL, key, blob + 1, seal) != 1 ||
		EVP_CipherUpdate(c, NULL, &n, blob, 1) != 1 || EVP_CipherUpdate(c, out, &n, in, (int)len) != 1)
		return false;
	if (!seal && EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_SET_TAG, TAG_LEN, tag) != 1)
		return false;
	if (EVP_CipherFinal_ex(c, out + n, &n) != 1)
		return false;
	return !seal || EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_GET_TAG, TAG_LEN, tag) == 1;
}

int type6_seal(const uint8_t key[TYPE6_KEY_LEN], const void *plain, size_t len, char out[TYPE6_TEXT_MAX])
{
	uint8_t blob[BLOB_MAX] = {VERSION};
	EVP_CIPHER_CTX *c;
	bool ok;

	if (!len || len > TYPE6_PLAIN_MAX)
		return -EINVAL;
	c = EVP_CIPHER_CTX_new();
	ok = c && RAND_bytes(blob + 1, NONCE_LEN) == 1 &&
	     crypt_parts(c, true, key, blob, plain, len, blob + 1 + NONCE_LEN);
	EVP_CIPHER_CTX_free(c);
	if (!ok) {
		cv_secret_zero(blob, sizeof(blob));
		return -EIO;
	}
	memcpy(out, "6 ", 2);
	encode(blob, OVERHEAD + len, out + 2);
	return 0;
}

int type6_open(const uint8_t key[TYPE6_KEY_LEN], const char *value, uint8_t *out, size_t *len)
{
	uint8_t blob[BLOB_MAX];
	size_t n = blob_of(value, blob);
	EVP_CIPHER_CTX *c;
	bool ok;

	if (!n)
		return -EINVAL;
	*len = n - OVERHEAD;
	c = EVP_CIPHER_CTX_new();
	ok = c && crypt_parts(c, false, key, blob, blob + 1 + NONCE_LEN, *len, out);
	EVP_CIPHER_CTX_free(c);
	out[*len] = 0;
	if (!ok)
		cv_secret_zero(out, *len);
	return ok ? 0 : -EBADMSG;
}
