/* SPDX-License-Identifier: BSD-3-Clause */
/* The other end of an ESP SA with AES-GCM or AES-GMAC and a 16-byte ICV, for tests that look into what was sent. */
#ifndef TESTS_UNIT_GCM_ENV_H
#define TESTS_UNIT_GCM_ENV_H

#include <string.h>

#include "provider.h"

#define GCM_ENV_KEY 20u	 /* bytes: AES-128 and its salt */
#define GCM_ENV_HEAD 16u /* SPI, number, IV in front of the body */
#define GCM_ENV_ICV 16u

/* Encrypt (or decrypt) the body bytes behind the ESP header at esp, with the ICV behind them. *session: NULL at first;
 * made for this encr, key and direction, and kept. */
static inline void gcm_env_crypt(struct crypto_session **session, uint8_t encr, const uint8_t key[static GCM_ENV_KEY],
	uint8_t *esp, uint32_t body, bool encrypt)
{
	static struct crypto_ctx *ctx;
	const struct crypto_provider *crypto = crypto_provider_mb();

	if (!ctx)
		ctx = crypto->ctx_create();
	if (!*session)
		assert_int_equal(crypto->session_create(
					 &(struct crypto_conf){
						 .encr = encr, .encrypt = encrypt, .key = key, .key_len = GCM_ENV_KEY},
					 session),
			0);
	struct crypto_op op = {.session = *session, .auth = esp, .data = esp + GCM_ENV_HEAD, .data_len = body};
	struct crypto_op *p = &op;

	op.icv = op.data + body;
	memcpy(op.nonce, key + 16, 4);
	memcpy(op.nonce + 4, esp + 8, 8);
	memcpy(op.aad, esp, 8);
	assert_int_equal(crypto->submit(ctx, &p, 1), 1);
	assert_int_equal(crypto->collect(ctx, &p, 1), 1);
	assert_int_equal(op.status, CRYPTO_OK);
}

#endif
