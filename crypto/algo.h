/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The algorithm registry: one row per algorithm, with its names in the manuals' vocabulary and its numbers in the
 * protocols. Everything that prints, parses, negotiates or sizes an algorithm asks here. Pure data, any thread.
 */
#ifndef CRYPTO_ALGO_H
#define CRYPTO_ALGO_H

#include "cv_msg.h"

/* ESP transform (cipher + integrity), source RFC 4106, 3602, 2404, 4868. */
struct algo_esp {
	enum cv_esp_alg id;
	const char *name;	 /* "aes128-gcm16", "aes128-cbc-sha256-128": YANG identity and display */
	const char *manual_name; /* "esp-gcm 128", "esp-aes esp-sha-hmac": as shown in 'transform:' lines */
	uint16_t cipher_key_len; /* bytes */
	uint16_t salt_len;	 /* bytes, AEAD only */
	uint16_t integ_key_len;	 /* bytes, 0 for AEAD */
	uint16_t iv_len;	 /* bytes on the wire */
	uint16_t icv_len;	 /* bytes */
	uint16_t block;		 /* padding multiple, bytes: 4 for AEAD, 16 for CBC */
	uint16_t v2_encr;	 /* IKEv2 transform type 1 */
	uint16_t v2_key_bits;	 /* key length attribute */
	uint16_t v2_integ;	 /* IKEv2 transform type 3, 0 = none */
	uint8_t v1_esp_id;	 /* IPsec DOI ESP transform id (RFC 2407, 4106 for GCM) */
	uint8_t v1_auth;	 /* IPsec DOI authentication algorithm attribute, 0 = none */
	bool legacy;		 /* needs allow-legacy */
};

/* Row of id, or NULL. */
const struct algo_esp *algo_esp_get(enum cv_esp_alg id);
/* Row by name, or NULL. */
const struct algo_esp *algo_esp_by_name(const char *name);
/* Row by IKEv2 numbers (RFC 7296 3.3), or NULL. integ is IKE_INTEG_NONE for AEAD. */
const struct algo_esp *algo_esp_by_v2(uint16_t encr, uint16_t key_bits, uint16_t integ);
/* Row by IPsec DOI numbers (RFC 2407 4.4.4, 4.5), or NULL. auth is 0 for AEAD. */
const struct algo_esp *algo_esp_by_v1(uint8_t esp_id, uint16_t key_bits, uint8_t auth);
/* Total key bytes in cv_sa.key order: cipher, salt, integrity. */
static inline uint16_t algo_esp_key_len(const struct algo_esp *a)
{
	return (uint16_t)(a->cipher_key_len + a->salt_len + a->integ_key_len);
}

/* IKE ciphers, PRFs, integrity and groups. The enum values are the IKEv2 transform numbers (IANA ikev2-parameters). */
enum ike_encr {
	IKE_ENCR_3DES = 3,
	IKE_ENCR_AES_CBC = 12,
	IKE_ENCR_AES_CTR = 13,
	IKE_ENCR_AES_GCM8 = 18,
	IKE_ENCR_AES_GCM12 = 19,
	IKE_ENCR_AES_GCM16 = 20,
	IKE_ENCR_CHACHA20_POLY1305 = 28
};
enum ike_prf {
	IKE_PRF_HMAC_MD5 = 1,
	IKE_PRF_HMAC_SHA1 = 2,
	IKE_PRF_AES128_XCBC = 4,
	IKE_PRF_HMAC_SHA256 = 5,
	IKE_PRF_HMAC_SHA384 = 6,
	IKE_PRF_HMAC_SHA512 = 7,
	IKE_PRF_AES128_CMAC = 8
};
enum ike_integ {
	IKE_INTEG_NONE = 0,
	IKE_INTEG_HMAC_MD5_96 = 1,
	IKE_INTEG_HMAC_SHA1_96 = 2,
	IKE_INTEG_AES_XCBC_96 = 5,
	IKE_INTEG_AES_CMAC_96 = 8,
	IKE_INTEG_HMAC_SHA256_128 = 12,
	IKE_INTEG_HMAC_SHA384_192 = 13,
	IKE_INTEG_HMAC_SHA512_256 = 14
};
enum ike_group {
	IKE_GROUP_NONE = 0,
	IKE_GROUP_MODP768 = 1,
	IKE_GROUP_MODP1024 = 2,
	IKE_GROUP_MODP1536 = 5,
	IKE_GROUP_MODP2048 = 14,
	IKE_GROUP_MODP3072 = 15,
	IKE_GROUP_MODP4096 = 16,
	IKE_GROUP_MODP6144 = 17,
	IKE_GROUP_MODP8192 = 18,
	IKE_GROUP_ECP256 = 19,
	IKE_GROUP_ECP384 = 20,
	IKE_GROUP_ECP521 = 21,
	IKE_GROUP_CURVE25519 = 31,
	IKE_GROUP_CURVE448 = 32
};

/* One IKE cipher (with its key length), PRF/hash, integrity algorithm or group. */
enum algo_ike_kind { ALGO_IKE_ENCR, ALGO_IKE_PRF, ALGO_IKE_INTEG, ALGO_IKE_GROUP };
struct algo_ike {
	uint16_t id;		 /* IKEv2 transform number: enum ike_encr, ike_prf, ike_integ or ike_group */
	uint16_t key_bits;	 /* ENCR: key length attribute, 0 = fixed; GROUP: size, for display */
	uint16_t v1;		 /* IKEv1 attribute value: encryption, hash (PRF, INTEG) or group; 0 = not in IKEv1 */
	const char *name;	 /* "aes128-cbc", "sha256", "sha256-128", "modp2048": YANG enum and display */
	const char *manual_name; /* as in the manuals' policy: "aes 256", "sha", "14" */
	bool legacy;		 /* needs allow-legacy */
};

/* Row of (id, key_bits), or NULL; key_bits is looked at for ENCR only. */
const struct algo_ike *algo_ike_get(enum algo_ike_kind kind, uint16_t id, uint16_t key_bits);
/* Row by name, or NULL. */
const struct algo_ike *algo_ike_by_name(enum algo_ike_kind kind, const char *name);
/* The n-th row of a kind, NULL after the last: for listing valid values. */
const struct algo_ike *algo_ike_row(enum algo_ike_kind kind, size_t n);

#endif
