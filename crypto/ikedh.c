/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Diffie-Hellman: MODP groups by modular exponentiation (all are safe primes, generator 2), ECP groups and X448 by
 * OpenSSL's EVP. X25519 and ML-KEM have files of their own, ML-KEM as far as the linked OpenSSL has it.
 */
#include "ikecrypto.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/obj_mac.h>
#include <openssl/param_build.h>

#include "cv_secret.h"
#include "ikekem.h"
#include "ikex25519.h"

enum dh_kind { DH_MODP, DH_ECP, DH_X25519, DH_X448, DH_KEM };
struct dh_row {
	enum ike_group group;
	enum dh_kind kind;
	uint16_t len;		    /* of one field element, or of the encapsulation key: bytes */
	uint16_t exp_bits;	    /* MODP: private exponent, at least twice the group's strength (RFC 3526 8) */
	BIGNUM *(*prime)(BIGNUM *); /* MODP */
	const char *curve;	    /* ECP, X448; KEM: its name */
	int nid;		    /* ECP: of the curve; X448: of the key type */
	uint16_t text_len;	    /* KEM: of the ciphertext */
};
static const struct dh_row rows[] = {
	{IKE_GROUP_MODP768, DH_MODP, 96, 256, BN_get_rfc2409_prime_768, NULL, 0, 0},
	{IKE_GROUP_MODP1024, DH_MODP, 128, 256, BN_get_rfc2409_prime_1024, NULL, 0, 0},
	{IKE_GROUP_MODP1536, DH_MODP, 192, 256, BN_get_rfc3526_prime_1536, NULL, 0, 0},
	{IKE_GROUP_MODP2048, DH_MODP, 256, 320, BN_get_rfc3526_prime_2048, NULL, 0, 0},
	{IKE_GROUP_MODP3072, DH_MODP, 384, 448, BN_get_rfc3526_prime_3072, NULL, 0, 0},
	{IKE_GROUP_MODP4096, DH_MODP, 512, 512, BN_get_rfc3526_prime_4096, NULL, 0, 0},
	{IKE_GROUP_MODP6144, DH_MODP, 768, 544, BN_get_rfc3526_prime_6144, NULL, 0, 0},
	{IKE_GROUP_MODP8192, DH_MODP, 1024, 640, BN_get_rfc3526_prime_8192, NULL, 0, 0},
	{IKE_GROUP_ECP256, DH_ECP, 32, 0, NULL, "P-256", NID_X9_62_prime256v1, 0},
	{IKE_GROUP_ECP384, DH_ECP, 48, 0, NULL, "P-384", NID_secp384r1, 0},
	{IKE_GROUP_ECP521, DH_ECP, 66, 0, NULL, "P-521", NID_secp521r1, 0},
	{IKE_GROUP_CURVE25519, DH_X25519, IKEX25519_LEN, 0, NULL, NULL, 0, 0},
	{IKE_GROUP_CURVE448, DH_X448, 56, 0, NULL, "X448", EVP_PKEY_X448, 0},
	{IKE_GROUP_MLKEM512, DH_KEM, 800, 0, NULL, "ML-KEM-512", 0, 768}, /* FIPS 203 8 */
	{IKE_GROUP_MLKEM768, DH_KEM, 1184, 0, NULL, "ML-KEM-768", 0, 1088},
	{IKE_GROUP_MLKEM1024, DH_KEM, 1568, 0, NULL, "ML-KEM-1024", 0, 1568},
};

struct ikec_dh {
	const struct dh_row *row;
	BIGNUM *x;		  /* MODP private value */
	EVP_PKEY *pkey;		  /* ECP, X448, KEM; NULL for a KEM's answer */
	uint8_t k[IKEX25519_LEN]; /* X25519 private value */
	uint8_t pub[IKEC_DH_PUB_MAX];
};

static const struct dh_row *dh_row(enum ike_group g)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].group == g)
			return &rows[i];
	return NULL;
}

static size_t pub_len(const struct dh_row *r)
{
	return r->kind == DH_ECP ? 2u * r->len : r->len; /* RFC 5903 7: x | y, no form octet */
}

size_t ikec_group_pub_len(enum ike_group g)
{
	const struct dh_row *r = dh_row(g);
	bool there = r && (r->kind != DH_KEM || ikekem_available(r->curve));
	return there ? pub_len(r) : 0;
}

size_t ikec_group_answer_len(enum ike_group g)
{
	size_t len = ikec_group_pub_len(g);
	return len && ikec_group_is_kem(g) ? dh_row(g)->text_len : len;
}

bool ikec_group_is_kem(enum ike_group g)
{
	const struct dh_row *r = dh_row(g);
	return r && r->kind == DH_KEM;
}

const char *ikec_library(void)
{
	return OpenSSL_version(OPENSSL_VERSION);
}

enum ike_group ikec_dh_group(const struct ikec_dh *dh)
{
	return dh->row->group;
}

const uint8_t *ikec_dh_pub(const struct ikec_dh *dh)
{
	return dh->pub;
}

size_t ikec_dh_pub_len(const struct ikec_dh *dh)
{
	bool answer = dh->row->kind == DH_KEM && !dh->pkey;
	return answer ? dh->row->text_len : pub_len(dh->row);
}

void ikec_dh_free(struct ikec_dh *dh)
{
	if (!dh)
		return;
	BN_clear_free(dh->x);
	EVP_PKEY_free(dh->pkey);
	cv_secret_zero(dh, sizeof(*dh));
	free(dh);
}

/* out = base ^ x mod p, padded to the length of p. */
static int modp_exp(const struct dh_row *row, const BIGNUM *base, const BIGNUM *x, uint8_t *out)
{
	BN_CTX *ctx = BN_CTX_secure_new();
	BIGNUM *p = row->prime(NULL), *y = BN_new();
	int ok = ctx && p && y && BN_mod_exp_mont_consttime(y, base, x, p, ctx, NULL) &&
		 BN_bn2binpad(y, out, row->len) == row->len;
	BN_clear_free(y);
	BN_free(p);
	BN_CTX_free(ctx);
	return ok ? 0 : -EIO;
}

static int modp_new(struct ikec_dh *dh, const uint8_t *priv, size_t len)
{
	BIGNUM *two = BN_new();
	int err = -EIO;
	dh->x = priv ? BN_bin2bn(priv, (int)len, NULL) : BN_secure_new();
	if (two && dh->x && BN_set_word(two, 2) &&
		(priv || BN_priv_rand(dh->x, dh->row->exp_bits, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY))) {
		BN_set_flags(dh->x, BN_FLG_CONSTTIME);
		err = modp_exp(dh->row, two, dh->x, dh->pub);
	}
	BN_free(two);
	return err;
}

/* RFC 6989 2.1: for a safe prime it is enough that 1 < y < p - 1. */
static int modp_shared(const struct ikec_dh *dh, const uint8_t *peer, uint8_t *secret)
{
	BIGNUM *y = BN_bin2bn(peer, dh->row->len, NULL), *p1 = dh->row->prime(NULL);
	int err = -EIO;
	if (y && p1 && BN_sub_word(p1, 1))
		err = BN_cmp(y, BN_value_one()) > 0 && BN_cmp(y, p1) < 0 ? modp_exp(dh->row, y, dh->x, secret)
									 : -EINVAL;
	BN_free(y);
	BN_free(p1);
	return err;
}

/* The encoded point of a private value, with the 0x04 that OpenSSL wants in front. */
static int ecp_point(const struct dh_row *row, const BIGNUM *x, uint8_t *out, size_t size)
{
	EC_GROUP *g = EC_GROUP_new_by_curve_name(row->nid);
	EC_POINT *q = g ? EC_POINT_new(g) : NULL;
	int ok = q && EC_POINT_mul(g, q, x, NULL, NULL, NULL) &&
		 EC_POINT_point2oct(g, q, POINT_CONVERSION_UNCOMPRESSED, out, size, NULL) == size;
	EC_POINT_free(q);
	EC_GROUP_free(g);
	return ok ? 0 : -EIO;
}

static int ecp_from_private(struct ikec_dh *dh, const uint8_t *priv, size_t len)
{
	uint8_t point[1 + 2 * 66];
	size_t point_len = 1 + pub_len(dh->row);
	BIGNUM *x = BN_bin2bn(priv, (int)len, NULL);
	OSSL_PARAM_BLD *b = OSSL_PARAM_BLD_new();
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	OSSL_PARAM *params = NULL;
	int ok = x && b && ctx && ecp_point(dh->row, x, point, point_len) == 0 &&
		 OSSL_PARAM_BLD_push_utf8_string(b, OSSL_PKEY_PARAM_GROUP_NAME, dh->row->curve, 0) &&
		 OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_PRIV_KEY, x) &&
		 OSSL_PARAM_BLD_push_octet_string(b, OSSL_PKEY_PARAM_PUB_KEY, point, point_len) &&
		 (params = OSSL_PARAM_BLD_to_param(b)) != NULL && EVP_PKEY_fromdata_init(ctx) == 1 &&
		 EVP_PKEY_fromdata(ctx, &dh->pkey, EVP_PKEY_KEYPAIR, params) == 1;
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(b);
	EVP_PKEY_CTX_free(ctx);
	BN_clear_free(x);
	return ok ? 0 : -EIO;
}

static int ec_new(struct ikec_dh *dh, const uint8_t *priv, size_t len)
{
	uint8_t *enc = NULL;
	int err = 0;
	if (dh->row->kind == DH_X448)
		dh->pkey = priv ? EVP_PKEY_new_raw_private_key(dh->row->nid, NULL, priv, len)
				: EVP_PKEY_Q_keygen(NULL, NULL, dh->row->curve);
	else if (priv)
		err = ecp_from_private(dh, priv, len);
	else
		dh->pkey = EVP_PKEY_Q_keygen(NULL, NULL, "EC", dh->row->curve);
	if (err || !dh->pkey)
		return -EIO;
	size_t skip = dh->row->kind == DH_ECP, n = EVP_PKEY_get1_encoded_public_key(dh->pkey, &enc);
	if (n == pub_len(dh->row) + skip)
		memcpy(dh->pub, enc + skip, n - skip);
	else
		err = -EIO;
	OPENSSL_free(enc);
	return err;
}

static int x25519_new(struct ikec_dh *dh, const uint8_t *priv, size_t len)
{
	if (!priv)
		ikec_random_secret(dh->k, sizeof(dh->k));
	else if (len == sizeof(dh->k))
		memcpy(dh->k, priv, len);
	else
		return -EINVAL;
	return ikex25519(dh->k, NULL, dh->pub);
}

static int dh_fill(struct ikec_dh *dh, const uint8_t *priv, size_t len)
{
	switch (dh->row->kind) {
	case DH_MODP:
		return modp_new(dh, priv, len);
	case DH_X25519:
		return x25519_new(dh, priv, len);
	case DH_KEM:
		return priv ? -ENOTSUP : ikekem_new(dh->row->curve, &dh->pkey, dh->pub, dh->row->len);
	case DH_ECP:
	case DH_X448:
		break;
	}
	return ec_new(dh, priv, len);
}

static int dh_make(enum ike_group g, const uint8_t *priv, size_t len, struct ikec_dh **out)
{
	const struct dh_row *row = dh_row(g);
	*out = NULL;
	if (!row)
		return -ENOTSUP;
	struct ikec_dh *dh = calloc(1, sizeof(*dh));
	if (!dh)
		return -ENOMEM;
	dh->row = row;
	int err = dh_fill(dh, priv, len);
	if (err) {
		ikec_dh_free(dh);
		return err;
	}
	*out = dh;
	return 0;
}

int ikec_dh_new(enum ike_group g, struct ikec_dh **dh)
{
	return dh_make(g, NULL, 0, dh);
}

int ikec_dh_from_private(enum ike_group g, const uint8_t *priv, size_t len, struct ikec_dh **dh)
{
	return dh_make(g, priv, len, dh);
}

/* An EVP key that holds the peer's value; OpenSSL checks that an ECP point is on the curve (RFC 6989 2.3). */
static EVP_PKEY *ec_peer(const struct ikec_dh *dh, const uint8_t *peer)
{
	uint8_t enc[1 + 2 * 66] = {0x04};
	if (dh->row->kind == DH_X448)
		return EVP_PKEY_new_raw_public_key(dh->row->nid, NULL, peer, dh->row->len);
	EVP_PKEY *k = EVP_PKEY_new();
	memcpy(enc + 1, peer, pub_len(dh->row));
	if (k && EVP_PKEY_copy_parameters(k, dh->pkey) == 1 &&
		EVP_PKEY_set1_encoded_public_key(k, enc, 1 + pub_len(dh->row)) == 1)
		return k;
	EVP_PKEY_free(k);
	return NULL;
}

static int ec_shared(const struct ikec_dh *dh, const uint8_t *peer, uint8_t *secret)
{
	EVP_PKEY *k = ec_peer(dh, peer);
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(dh->pkey, NULL);
	size_t len = dh->row->len;
	int err = -EINVAL;
	/* X448: the library refuses values that lead to an all-zero secret (RFC 8031 2) */
	if (k && ctx && EVP_PKEY_derive_init(ctx) == 1 && EVP_PKEY_derive_set_peer(ctx, k) == 1 &&
		EVP_PKEY_derive(ctx, secret, &len) == 1 && len == dh->row->len)
		err = 0;
	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(k);
	return err;
}

/* *dh is no key pair then: it carries the ciphertext. */
static int kem_answer(const struct dh_row *row, struct ikec_dh **dh, const uint8_t *peer, size_t peer_len,
	uint8_t *secret, size_t *secret_len)
{
	if (peer_len != row->len)
		return -EINVAL;
	struct ikec_dh *made = calloc(1, sizeof(*made));
	if (!made)
		return -ENOMEM;
	made->row = row;
	int err = ikekem_encapsulate(
		row->curve, peer, peer_len, made->pub, row->text_len, secret, IKEC_DH_PUB_MAX, secret_len);
	if (err)
		ikec_dh_free(made);
	else
		*dh = made;
	return err;
}

bool ikec_ke_is_brief(enum ike_group g)
{
	return g == IKE_GROUP_CURVE25519 || g == IKE_GROUP_ECP256;
}

int ikec_ke(enum ike_group g, struct ikec_dh **dh, const uint8_t *peer, size_t peer_len, uint8_t *secret,
	size_t *secret_len)
{
	const struct dh_row *row = dh_row(g);
	bool answer = !*dh && peer_len;
	*secret_len = 0;
	if (answer && row && row->kind == DH_KEM)
		return kem_answer(row, dh, peer, peer_len, secret, secret_len);
	int err = *dh ? 0 : ikec_dh_new(g, dh);
	if (!err && peer_len)
		err = ikec_dh_shared(*dh, peer, peer_len, secret, secret_len);
	return err;
}

int ikec_dh_shared(struct ikec_dh *dh, const uint8_t *peer, size_t peer_len, uint8_t *secret, size_t *secret_len)
{
	*secret_len = 0;
	if (dh->row->kind == DH_KEM)
		return dh->pkey && peer_len == dh->row->text_len
			       ? ikekem_decapsulate(dh->pkey, peer, peer_len, secret, IKEC_DH_PUB_MAX, secret_len)
			       : -EINVAL;
	if (peer_len != pub_len(dh->row))
		return -EINVAL;
	int err = dh->row->kind == DH_MODP     ? modp_shared(dh, peer, secret)
		  : dh->row->kind == DH_X25519 ? ikex25519(dh->k, peer, secret)
					       : ec_shared(dh, peer, secret);
	if (!err)
		*secret_len = dh->row->len;
	return err;
}
