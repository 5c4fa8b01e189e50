/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * IKEv1 key material (RFC 2409 section 5 and appendix B). Lengths in bytes. Everything secret in struct v1_keys is
 * zeroed by v1_keys_zero(). Functions return 0 or a negative errno. No state of their own: any thread, distinct
 * objects.
 */
#ifndef CONTROL_IKE_V1_KEYS_H
#define CONTROL_IKE_V1_KEYS_H

#include "ikecrypto.h"
#include "v1_msg.h"

#define V1_IV_MAX 16u
#define V1_EKEY_MAX 32u

struct v1_keys {
	enum ike_encr encr;
	enum ike_prf prf; /* HMAC of the negotiated hash */
	uint8_t key_len;  /* of the cipher */
	uint8_t hash_len, block;
	uint8_t skeyid[IKEC_PRF_MAX], d[IKEC_PRF_MAX], a[IKEC_PRF_MAX], e[IKEC_PRF_MAX];
	uint8_t ekey[V1_EKEY_MAX]; /* the cipher key made of SKEYID_e */
	uint8_t iv[V1_IV_MAX];	   /* phase 1: next IV while main mode runs, then its last block for good */
};

/* Set algorithms. key_len: cipher key, bytes. -ENOTSUP when a primitive is missing. */
int v1_keys_init(struct v1_keys *k, enum ike_encr encr, size_t key_len, enum ike_prf prf);
/* SKEYID for preshared keys: prf(psk, Ni_b | Nr_b). */
int v1_keys_psk(struct v1_keys *k, struct v1_span psk, struct v1_span ni, struct v1_span nr);
/* SKEYID for signatures: prf(Ni_b | Nr_b, g^xy). Nonces of 256 bytes at most. */
int v1_keys_sig(struct v1_keys *k, struct v1_span ni, struct v1_span nr, struct v1_span gxy);
/* SKEYID for encrypted nonces: prf(hash(Ni_b | Nr_b), CKY-I | CKY-R). */
int v1_keys_nonce(struct v1_keys *k, struct v1_span ni, struct v1_span nr, const uint8_t *cky_i, const uint8_t *cky_r);
/* SKEYID_d, _a, _e and the cipher key (appendix B: expanded when SKEYID_e is too short). */
int v1_keys_derive(struct v1_keys *k, struct v1_span gxy, const uint8_t *cky_i, const uint8_t *cky_r);
/* The first IV of phase 1: hash(g^xi | g^xr). */
int v1_keys_iv1(struct v1_keys *k, struct v1_span gxi, struct v1_span gxr);
/* The first IV of a phase 2 or informational exchange: hash(last phase 1 block | M-ID). */
int v1_keys_iv2(const struct v1_keys *k, uint32_t msgid, uint8_t iv[V1_IV_MAX]);
void v1_keys_zero(struct v1_keys *k);

/*
 * HASH_I and HASH_R: prf(SKEYID, g^x own | g^x other | CKY own | CKY other | SAi_b | ID_b), where own is the side that
 * sends the hash; prf is the negotiated one unless the method of authentication brings its own. out: as long as prf's.
 */
int v1_hash_auth(const struct v1_keys *k, enum ike_prf prf, struct v1_span gx_own, struct v1_span gx_other,
	const uint8_t *cky_own, const uint8_t *cky_other, struct v1_span sai_b, struct v1_span id_b, uint8_t *out);
/* HASH(1) and the HASH of informational exchanges with nonce empty; HASH(2) with nonce = Ni_b. */
int v1_hash_msg(const struct v1_keys *k, uint32_t msgid, struct v1_span nonce, struct v1_span rest, uint8_t *out);
/* HASH(3): prf(SKEYID_a, 0 | M-ID | Ni_b | Nr_b). */
int v1_hash_3(const struct v1_keys *k, uint32_t msgid, struct v1_span ni, struct v1_span nr, uint8_t *out);
/* KEYMAT of one direction (5.5): gxy empty without PFS; spi in network order as on the wire. */
int v1_keymat(const struct v1_keys *k, struct v1_span gxy, uint8_t proto, const uint8_t spi[4], struct v1_span ni,
	struct v1_span nr, uint8_t *out, size_t out_len);
/* NAT-D hash (RFC 3947 3.2): hash(CKY-I | CKY-R | IP | port). */
int v1_nat_d(const struct v1_keys *k, const uint8_t *cky_i, const uint8_t *cky_r, const struct cv_addr *addr,
	uint16_t port, uint8_t *out);

/* Finish a message and encrypt what follows its header, padded with zeros; iv becomes the last block. */
int v1_seal(const struct v1_keys *k, uint8_t iv[V1_IV_MAX], struct v1_out *o);
/*
 * Decrypt body (the bytes behind the header) in place. iv is left alone: next[] gets the last ciphertext block, to be
 * committed once the message has proved itself. -EBADMSG when the length is no multiple of the block.
 */
int v1_open(const struct v1_keys *k, const uint8_t iv[V1_IV_MAX], uint8_t *body, size_t len, uint8_t next[V1_IV_MAX]);

#endif
