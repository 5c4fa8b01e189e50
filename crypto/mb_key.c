/* SPDX-License-Identifier: BSD-3-Clause */
#include "mb.h"

#include <string.h>

#include "cv_secret.h"

#define HMAC_BLOCK_MAX 128u /* SHA-384 and SHA-512; the others have 64 */

static void gcm_setup(IMB_MGR *m, struct crypto_session *s, const uint8_t *key, bool gmac)
{
	switch (s->key_len) {
	case 16:
		IMB_AES128_GCM_PRE(m, key, &s->gcm_key);
		s->gcm = s->encrypt ? m->gcm128_enc : m->gcm128_dec;
		s->gmac_init = m->gmac128_init;
		s->gmac_update = m->gmac128_update;
		s->gmac_finalize = m->gmac128_finalize;
		break;
	case 24:
		IMB_AES192_GCM_PRE(m, key, &s->gcm_key);
		s->gcm = s->encrypt ? m->gcm192_enc : m->gcm192_dec;
		s->gmac_init = m->gmac192_init;
		s->gmac_update = m->gmac192_update;
		s->gmac_finalize = m->gmac192_finalize;
		break;
	default:
		IMB_AES256_GCM_PRE(m, key, &s->gcm_key);
		s->gcm = s->encrypt ? m->gcm256_enc : m->gcm256_dec;
		s->gmac_init = m->gmac256_init;
		s->gmac_update = m->gmac256_update;
		s->gmac_finalize = m->gmac256_finalize;
		break;
	}
	if (gmac)
		s->gcm = NULL;
}

static void aes_setup(IMB_MGR *m, struct crypto_session *s, const uint8_t *key)
{
	if (s->key_len == 16)
		IMB_AES_KEYEXP_128(m, key, s->job.enc, s->job.dec);
	else if (s->key_len == 24)
		IMB_AES_KEYEXP_192(m, key, s->job.enc, s->job.dec);
	else
		IMB_AES_KEYEXP_256(m, key, s->job.enc, s->job.dec);
}

static void des_setup(IMB_MGR *m, struct crypto_session *s, const uint8_t *key)
{
	for (unsigned i = 0; i < s->key_len / 8u; i++) {
		IMB_DES_KEYSCHED(m, s->job.des[i], key + 8 * i);
		s->job.des3[i] = s->job.des[i];
	}
}

static void cipher_setup(IMB_MGR *m, struct crypto_session *s, enum cv_encr encr, const uint8_t *key)
{
	switch (encr) {
	case CV_ENCR_NONE:
	case CV_ENCR_NULL:
		s->cipher = IMB_CIPHER_NULL;
		break;
	case CV_ENCR_DES:
		s->cipher = IMB_CIPHER_DES;
		des_setup(m, s, key);
		break;
	case CV_ENCR_3DES:
		s->cipher = IMB_CIPHER_DES3;
		des_setup(m, s, key);
		break;
	case CV_ENCR_AES128_CTR:
	case CV_ENCR_AES192_CTR:
	case CV_ENCR_AES256_CTR:
		s->cipher = IMB_CIPHER_CNTR;
		aes_setup(m, s, key);
		break;
	case CV_ENCR_CHACHA20_POLY1305:
		s->cipher = IMB_CIPHER_CHACHA20_POLY1305;
		s->hash = IMB_AUTH_CHACHA20_POLY1305;
		memcpy(s->job.chacha, key, sizeof(s->job.chacha));
		break;
	default:
		s->cipher = IMB_CIPHER_CBC;
		aes_setup(m, s, key);
		break;
	}
}

static void one_block(IMB_MGR *m, IMB_HASH_ALG hash, const uint8_t *block, uint8_t *state)
{
	switch (hash) {
	case IMB_AUTH_MD5:
		IMB_MD5_ONE_BLOCK(m, block, state);
		break;
	case IMB_AUTH_HMAC_SHA_1:
		IMB_SHA1_ONE_BLOCK(m, block, state);
		break;
	case IMB_AUTH_HMAC_SHA_256:
		IMB_SHA256_ONE_BLOCK(m, block, state);
		break;
	case IMB_AUTH_HMAC_SHA_384:
		IMB_SHA384_ONE_BLOCK(m, block, state);
		break;
	default:
		IMB_SHA512_ONE_BLOCK(m, block, state);
		break;
	}
}

/* HMAC (RFC 2104): run the hash over one block of key xor pad, so that a packet starts from that state. The keys of
 * IPsec are never longer than a block. */
static void hmac_setup(IMB_MGR *m, struct crypto_session *s, const uint8_t *key, size_t key_len)
{
	uint8_t block[HMAC_BLOCK_MAX];
	for (int outer = 0; outer < 2; outer++) {
		memset(block, outer ? 0x5c : 0x36, sizeof(block));
		for (size_t i = 0; i < key_len; i++)
			block[i] ^= key[i];
		one_block(m, s->hash, block, outer ? s->job.sub2 : s->job.sub1);
	}
	cv_secret_zero(block, sizeof(block));
}

static void cmac_setup(IMB_MGR *m, struct crypto_session *s, const uint8_t *key)
{
	uint8_t unused[11 * 16] __attribute__((aligned(16)));
	IMB_AES_KEYEXP_128(m, key, s->job.integ, unused);
	IMB_AES_CMAC_SUBKEY_GEN_128(m, s->job.integ, s->job.sub1, s->job.sub2);
	cv_secret_zero(unused, sizeof(unused));
}

static void integ_setup(IMB_MGR *m, struct crypto_session *s, const struct algo_integ *a, const uint8_t *key)
{
	static const IMB_HASH_ALG hash[CV_INTEG_MAX] = {
		[CV_INTEG_HMAC_MD5_96] = IMB_AUTH_MD5,
		[CV_INTEG_HMAC_SHA1_96] = IMB_AUTH_HMAC_SHA_1,
		[CV_INTEG_HMAC_SHA256_128] = IMB_AUTH_HMAC_SHA_256,
		[CV_INTEG_HMAC_SHA384_192] = IMB_AUTH_HMAC_SHA_384,
		[CV_INTEG_HMAC_SHA512_256] = IMB_AUTH_HMAC_SHA_512,
		[CV_INTEG_AES_XCBC_96] = IMB_AUTH_AES_XCBC,
		[CV_INTEG_AES_CMAC_96] = IMB_AUTH_AES_CMAC,
	};
	s->hash = hash[a->id];
	if (a->id == CV_INTEG_AES_XCBC_96)
		IMB_AES_XCBC_KEYEXP(m, key, s->job.integ, s->job.sub1, s->job.sub2);
	else if (a->id == CV_INTEG_AES_CMAC_96)
		cmac_setup(m, s, key);
	else
		hmac_setup(m, s, key, a->key_len);
}

void mb_key_setup(IMB_MGR *mgr, const struct crypto_conf *c, struct crypto_session *s)
{
	const struct algo_encr *encr = algo_encr_get(c->encr);
	const struct algo_integ *integ = algo_integ_get(c->integ);
	s->encrypt = c->encrypt;
	s->key_len = encr ? encr->key_len : 0;
	s->icv_len = integ ? integ->icv_len : encr ? encr->icv_len : 0;
	s->aad_len = c->esn ? 12 : 8;
	s->block_mask = encr && encr->iv_len == encr->block ? (uint8_t)(encr->block - 1) : 0;
	s->hash = IMB_AUTH_NULL;
	if (encr && encr->icv_len && encr->id != CV_ENCR_CHACHA20_POLY1305) {
		gcm_setup(mgr, s, c->key,
			encr->id >= CV_ENCR_AES128_GMAC); /* the salt is part of the nonce and stays with the SA */
		return;
	}
	if (integ && integ->iv_len) { /* AES-GMAC of AH */
		s->key_len = integ->key_len;
		s->aad_len = 0;
		gcm_setup(mgr, s, c->key, true);
		return;
	}
	cipher_setup(mgr, s, c->encr, c->key);
	if (integ)
		integ_setup(mgr, s, integ, c->key + (encr ? encr->key_len + encr->salt_len : 0));
}
