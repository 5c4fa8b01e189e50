/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * IKE primitives over OpenSSL. All lengths in bytes. All functions are thread safe on distinct objects; those marked
 * "pool" are expensive and belong on the public-key thread pool. Errors: 0 or a negative errno (-EINVAL bad argument or
 * peer value, -ENOTSUP algorithm, -EBADMSG authentication failed, -EIO library failure).
 */
#ifndef CRYPTO_IKECRYPTO_H
#define CRYPTO_IKECRYPTO_H

#include "algo.h"

#define IKEC_PRF_MAX 64	     /* longest PRF output */
#define IKEC_DH_PUB_MAX 1568 /* longest public value: ML-KEM-1024 */
#define IKEC_TAG_MAX 16	     /* longest tag of an AEAD */

struct ikec_iov {
	const void *base;
	size_t len;
};

size_t ikec_prf_len(enum ike_prf prf); /* output and preferred key length; 0 = unknown */
size_t ikec_integ_key_len(enum ike_integ integ);
size_t ikec_integ_len(enum ike_integ integ); /* truncated ICV length */
/* Length of a KE payload's data, of who begins and of who answers; 0 = unsupported group. */
size_t ikec_group_pub_len(enum ike_group g);
size_t ikec_group_answer_len(enum ike_group g);
/*
 * Key encapsulation: who answers encapsulates for the key of who begins, so that ikec_ke() alone serves it. Supported
 * when a provider of the linked OpenSSL has it, which is asked each time.
 */
bool ikec_group_is_kem(enum ike_group g);
const char *ikec_library(void); /* name and version of what does all this */

/* prf(key, iov...) -> out[ikec_prf_len]. */
int ikec_prf(enum ike_prf prf, const void *key, size_t key_len, const struct ikec_iov *iov, int n_iov, uint8_t *out);
/* prf+ (RFC 7296 2.13). out_len at most 255 blocks. */
int ikec_prf_plus(enum ike_prf prf, const void *key, size_t key_len, const void *seed, size_t seed_len, uint8_t *out,
	size_t out_len);
/* Plain hash underlying an HMAC PRF: out[ikec_prf_len] (IKEv1 uses it for IVs and NAT-D). */
int ikec_hash(enum ike_prf prf, const struct ikec_iov *iov, int n_iov, uint8_t *out);
int ikec_sha1(const struct ikec_iov *iov, int n_iov, uint8_t out[20]); /* NAT_DETECTION_* (RFC 7296 2.23) */
int ikec_integ(enum ike_integ integ, const void *key, const struct ikec_iov *iov, int n_iov, uint8_t *out);

/* CBC ciphers in place; len a multiple of the block. key_len in bytes. */
int ikec_cbc(enum ike_encr encr, bool encrypt, const void *key, size_t key_len, const uint8_t *iv, uint8_t *data,
	size_t len);
/* The same for every cipher without integrity of its own: also AES-CTR, whose key ends with its nonce (RFC 5930). */
int ikec_crypt(enum ike_encr encr, bool encrypt, const void *key, size_t key_len, const uint8_t *iv, uint8_t *data,
	size_t len);
/* 0 = unknown cipher; tag length 0 = not an AEAD; key length: of the keying material, with its salt or nonce. */
size_t ikec_block_len(enum ike_encr encr);
size_t ikec_iv_len(enum ike_encr encr);
size_t ikec_tag_len(enum ike_encr encr);
size_t ikec_key_len(enum ike_encr encr, uint16_t key_bits);
/* AES-GCM (RFC 5282) and ChaCha20-Poly1305 (RFC 7634): a 4-byte salt ends the key. tag: ikec_tag_len bytes. */
int ikec_aead(enum ike_encr encr, bool encrypt, const void *key, size_t key_len_with_salt, const uint8_t iv[8],
	const void *aad, size_t aad_len, uint8_t *data, size_t len, uint8_t *tag);

/* Diffie-Hellman. */
struct ikec_dh;
/* pool. Generate a key pair. */
int ikec_dh_new(enum ike_group g, struct ikec_dh **dh);
/* pool. The same with a given private value, big endian (X25519, X448: as in RFC 7748): for known-answer tests. */
int ikec_dh_from_private(enum ike_group g, const uint8_t *priv, size_t len, struct ikec_dh **dh);
enum ike_group ikec_dh_group(const struct ikec_dh *dh);
/* Public value in KE payload format, and its length. */
const uint8_t *ikec_dh_pub(const struct ikec_dh *dh);
size_t ikec_dh_pub_len(const struct ikec_dh *dh);
/*
 * pool. Shared secret; checks the peer's value first (RFC 6989, RFC 8031, RFC 7748): -EINVAL when it is invalid.
 * secret has room for IKEC_DH_PUB_MAX; *secret_len is set. MODP secrets keep leading zeros (RFC 7296 2.14).
 */
int ikec_dh_shared(struct ikec_dh *dh, const uint8_t *peer, size_t peer_len, uint8_t *secret, size_t *secret_len);
void ikec_dh_free(struct ikec_dh *dh); /* zeroes */
/*
 * pool. The next step of a key exchange, by what is there already. *dh NULL, peer_len 0: the key pair of who begins.
 * *dh NULL and the value of who begins: the answer, whose public value *dh has then, and the secret. *dh and the
 * answer: the secret. Lengths and errors as above.
 */
int ikec_ke(enum ike_group g, struct ikec_dh **dh, const uint8_t *peer, size_t peer_len, uint8_t *secret,
	size_t *secret_len);
bool ikec_ke_is_brief(enum ike_group g); /* a step of it takes some 0.1 ms, not more */

/* Cryptographic random bytes; aborts the process when the generator fails. Any thread. */
void ikec_random(void *out, size_t len);
/* The same from another generator, none of whose bytes anybody is ever shown: private values. */
void ikec_random_secret(void *out, size_t len);

#endif
