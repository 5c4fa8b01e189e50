/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * X25519 (RFC 7748 5) as OpenSSL's provider has it, without EVP around it: that walks all names of all algorithms for
 * each key it makes, and gets public values by arithmetic of its own, slower where the CPU has instructions for this
 * one.
 */
#ifndef CRYPTO_IKEX25519_H
#define CRYPTO_IKEX25519_H

#include <stdint.h>

#define IKEX25519_LEN 32

/*
 * out = X25519(k, u); u NULL: the base point, out the public value of k. Any k is valid. 0; -EINVAL when the result is
 * zero (RFC 8031 2); -ENOTSUP when the library has no X25519. Any thread.
 */
int ikex25519(const uint8_t k[IKEX25519_LEN], const uint8_t u[IKEX25519_LEN], uint8_t out[IKEX25519_LEN]);

#endif
