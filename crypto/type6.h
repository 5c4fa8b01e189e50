/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Type 6 secrets (T6KEY-*): "6 <ciphertext>", AES-256-GCM under a master key. The ciphertext is base64url of a version
 * octet, a random nonce, the encrypted text and its tag: one token without blanks (T6KEY-24), different each time
 * (T6KEY-23), and a wrong master key is noticed (T6KEY-9). Pure functions; any thread.
 */
#ifndef CRYPTO_TYPE6_H
#define CRYPTO_TYPE6_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TYPE6_KEY_LEN 32u
#define TYPE6_PLAIN_MAX 510u /* octets of a secret */
#define TYPE6_TEXT_MAX 800u  /* of "6 <ciphertext>" with its end */

/*
 * The key that belongs to the operator's text. The same text gives the same key on every machine (T6KEY-19), so the
 * salt is a constant and only the cost of scrypt (some 0.1 s, 32 MB) stands against guessing. 0 or -EIO.
 */
int type6_derive(const char *text, size_t len, uint8_t key[TYPE6_KEY_LEN]);
/* Has value the form of a type 6 secret? */
bool type6_is(const char *value);
/* 0, -EINVAL when len is above TYPE6_PLAIN_MAX, or -EIO. */
int type6_seal(const uint8_t key[TYPE6_KEY_LEN], const void *plain, size_t len, char out[TYPE6_TEXT_MAX]);
/*
 * The secret, TYPE6_PLAIN_MAX + 1 octets of room, with a 0 behind it; zero it after use. 0, -EINVAL when value is not
 * of the form, -EBADMSG when it was made with another key or changed.
 */
int type6_open(const uint8_t key[TYPE6_KEY_LEN], const char *value, uint8_t *out, size_t *len);

#endif
