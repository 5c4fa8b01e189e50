/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The algorithm registry: one row per algorithm, with its names in the manuals' vocabulary and its numbers in the
 * protocols. Everything that prints, parses, negotiates or sizes an algorithm asks here. Pure data, any thread.
 */
#ifndef CRYPTO_ALGO_H
#define CRYPTO_ALGO_H

#include "cv_msg.h"

/* A cipher of ESP. Sources: RFC 2405, 2410, 2451, 3602, 3686, 4106, 4543, 7634. */
struct algo_encr {
	enum cv_encr id;
	const char *name;	 /* "aes128-gcm16", "aes256-cbc", "null": YANG and display */
	const char *manual_name; /* as in the manuals' transform sets: "esp-aes 256", "esp-3des", "esp-gcm 128" */
	uint16_t key_len;	 /* bytes, without salt */
	uint16_t salt_len;	 /* bytes of key material that are part of the nonce */
	uint16_t iv_len;	 /* bytes on the wire */
	uint16_t icv_len;	 /* bytes of ICV the cipher makes itself; 0: it needs an integrity algorithm */
	uint16_t block;		 /* ESP padding multiple, bytes, at least 4 (RFC 4303 2.4) */
	uint16_t v2;		 /* IKEv2 transform type 1 */
	uint16_t key_bits;	 /* key length attribute of both versions of IKE, 0 = none is sent */
	uint16_t v1;		 /* IPsec DOI ESP transform id; 0 = not in IKEv1 */
	bool legacy;		 /* needs allow-legacy */
};

/* An integrity algorithm of ESP or AH. Sources: RFC 2403, 2404, 3566, 4494, 4543, 4868. */
struct algo_integ {
	enum cv_integ id;
	const char *name;     /* "sha256-128", "aes-xcbc-96": YANG and display */
	const char *esp_name; /* in the manuals' vocabulary: "esp-sha-hmac"; NULL = not in ESP */
	const char *ah_name;  /* "ah-sha-hmac" */
	uint16_t key_len;     /* bytes, without salt */
	uint16_t salt_len;    /* bytes: GMAC only */
	uint16_t iv_len;      /* bytes in front of the ICV, inside AH's ICV field (RFC 4543 section 4): GMAC only */
	uint16_t icv_len;     /* bytes */
	uint16_t v2;	      /* IKEv2 transform type 3 */
	uint16_t v1_auth;     /* IPsec DOI authentication algorithm attribute (ESP and AH); 0 = not in IKEv1 */
	uint16_t v1_ah;	      /* IPsec DOI AH transform id; 0 = not in IKEv1 */
	bool legacy;	      /* needs allow-legacy */
};

/* Row of id, or NULL; NULL also for NONE. */
const struct algo_encr *algo_encr_get(enum cv_encr id);
const struct algo_integ *algo_integ_get(enum cv_integ id);
/* Row by name, or NULL. */
const struct algo_encr *algo_encr_by_name(const char *name);
const struct algo_integ *algo_integ_by_name(const char *name);
/* Row by IKEv2 numbers (RFC 7296 3.3), or NULL. */
const struct algo_encr *algo_encr_by_v2(uint16_t id, uint16_t key_bits);
const struct algo_integ *algo_integ_by_v2(uint16_t id);
/* Row by IPsec DOI numbers (RFC 2407 4.4, 4.5 and its IANA registry), or NULL. AES-CBC without a key length is 128. */
const struct algo_encr *algo_encr_by_v1(uint16_t id, uint16_t key_bits);
const struct algo_integ *algo_integ_by_v1_auth(uint16_t auth);
const struct algo_integ *algo_integ_by_v1_ah(uint16_t id);

/* Key bytes of one SA in cv_sa.key order: cipher, its salt, integrity, its salt. encr is NONE for AH. */
uint16_t algo_key_len(enum cv_encr encr, enum cv_integ integ);
/* Why one SA of this protocol (50, 51) cannot have this pair: static text for people, NULL when it can. */
const char *algo_pair_wrong(uint8_t ipproto, enum cv_encr encr, enum cv_integ integ);

/*
 * The protection of one flow, what a transform set names: ESP with encr and integ, AH with ah, or both with AH outside
 * (IPSEC-18). Compared by algo_suite_equal.
 */
struct algo_suite {
	uint8_t encr;  /* enum cv_encr; NONE = no ESP */
	uint8_t integ; /* enum cv_integ of ESP */
	uint8_t ah;    /* enum cv_integ of AH; NONE = no AH */
	uint8_t comp;  /* enum algo_comp: IPComp inside ESP (RFC 3173) */
};
/* The numbers of both versions of IKE (IANA: IPCOMP transforms). */
enum algo_comp { ALGO_COMP_NONE = 0, ALGO_COMP_DEFLATE = 2 };
#define ALGO_SUITE_STR 96u

static inline bool algo_suite_equal(struct algo_suite a, struct algo_suite b)
{
	return a.encr == b.encr && a.integ == b.integ && a.ah == b.ah && a.comp == b.comp;
}
/* Why this is no protection, static text for people; NULL when it is one. */
const char *algo_suite_wrong(struct algo_suite s);
/* Needs allow-legacy; ESP without authentication (RFC 8221 section 4) does too. */
bool algo_suite_legacy(struct algo_suite s);
/* "aes128-gcm16", "aes256-cbc-sha256-128", "ah-sha1-96", "ah-sha1-96+null-sha1-96", "aes128-gcm16+deflate". Returns
 * buf. */
const char *algo_suite_name(struct algo_suite s, char buf[ALGO_SUITE_STR]);
/* As in the manuals' transform lists: "ah-sha-hmac esp-aes 256 esp-sha-hmac". Returns buf. */
const char *algo_suite_manual(struct algo_suite s, char buf[ALGO_SUITE_STR]);
/*
 * Add one transform of the manuals' lists ("esp-aes 256", "esp-sha-hmac", "ah-sha-hmac") to a suite (IPSEC-18: at most
 * one of each type). NULL, or static text for people that says why not. Whether the whole is a protection,
 * algo_suite_wrong tells.
 */
const char *algo_suite_add(struct algo_suite *s, const char *transform);
/* The reverse of algo_suite_name; false when it is none. */
bool algo_suite_by_name(const char *name, struct algo_suite *out);

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
	IKE_GROUP_CURVE448 = 32,
	IKE_GROUP_MLKEM512 = 35, /* as additional key exchanges (draft-ietf-ipsecme-ikev2-mlkem) */
	IKE_GROUP_MLKEM768 = 36,
	IKE_GROUP_MLKEM1024 = 37
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
