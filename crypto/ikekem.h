/* SPDX-License-Identifier: BSD-3-Clause */
/* Key encapsulation over OpenSSL's EVP, for ikedh.c: by the algorithm's name, whatever provider has it. */
#ifndef CRYPTO_IKEKEM_H
#define CRYPTO_IKEKEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/evp.h>

/* Does a loaded provider have it now? Leaves no error behind. */
bool ikekem_available(const char *name);
/* A key pair; pub gets the encapsulation key, exactly pub_len bytes. 0 or -EIO. */
int ikekem_new(const char *name, EVP_PKEY **key, uint8_t *pub, size_t pub_len);
/* Ciphertext, exactly text_len bytes, and secret (room: secret_size) for the peer's key. 0, -EINVAL (bad key), -EIO. */
int ikekem_encapsulate(const char *name, const uint8_t *peer, size_t peer_len, uint8_t *text, size_t text_len,
	uint8_t *secret, size_t secret_size, size_t *secret_len);
/* The secret in a ciphertext for our key. 0 or -EINVAL. */
int ikekem_decapsulate(
	EVP_PKEY *key, const uint8_t *text, size_t text_len, uint8_t *secret, size_t secret_size, size_t *secret_len);

#endif
