/* SPDX-License-Identifier: BSD-3-Clause */
/* Signatures of IKE: RFC 7296 2.15, RFC 4754, RFC 7427, RFC 8420; RFC 2409 5.1. */
#include <errno.h>
#include <string.h>

#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "pki_priv.h"

static const EVP_MD *md_of(enum pki_hash hash)
{
	switch (hash) {
	case PKI_HASH_SHA1:
		return EVP_sha1();
	case PKI_HASH_SHA256:
		return EVP_sha256();
	case PKI_HASH_SHA384:
		return EVP_sha384();
	case PKI_HASH_SHA512:
		return EVP_sha512();
	case PKI_HASH_IDENTITY:
		break;
	}
	return NULL;
}

static bool is_ec(enum pki_key k)
{
	return k == PKI_KEY_EC256 || k == PKI_KEY_EC384 || k == PKI_KEY_EC521;
}

static size_t ec_len(enum pki_key k)
{
	return k == PKI_KEY_EC256 ? 32 : k == PKI_KEY_EC384 ? 48 : 66;
}

/* RFC 4754 3: with r | s the hash goes with the curve. */
static bool fits(enum pki_key k, enum pki_scheme scheme, enum pki_hash hash)
{
	switch (scheme) {
	case PKI_RSA_RAW:
		return k == PKI_KEY_RSA;
	case PKI_ECDSA_RAW:
		return is_ec(k);
	case PKI_RSA_PKCS1:
	case PKI_RSA_PSS:
		return k == PKI_KEY_RSA && md_of(hash);
	case PKI_ECDSA:
		return is_ec(k) && md_of(hash);
	case PKI_ECDSA_CONCAT:
		return (k == PKI_KEY_EC256 && hash == PKI_HASH_SHA256) ||
		       (k == PKI_KEY_EC384 && hash == PKI_HASH_SHA384) ||
		       (k == PKI_KEY_EC521 && hash == PKI_HASH_SHA512);
	case PKI_EDDSA:
		return (k == PKI_KEY_ED25519 || k == PKI_KEY_ED448) && hash == PKI_HASH_IDENTITY;
	}
	return false;
}

static bool set_padding(EVP_PKEY_CTX *p, enum pki_scheme scheme, const EVP_MD *md)
{
	if (scheme == PKI_RSA_PKCS1)
		return EVP_PKEY_CTX_set_rsa_padding(p, RSA_PKCS1_PADDING) == 1;
	if (scheme == PKI_RSA_PSS)
		return EVP_PKEY_CTX_set_rsa_padding(p, RSA_PKCS1_PSS_PADDING) == 1 &&
		       EVP_PKEY_CTX_set_rsa_pss_saltlen(p, RSA_PSS_SALTLEN_DIGEST) == 1 &&
		       EVP_PKEY_CTX_set_rsa_mgf1_md(p, md) == 1;
	return true;
}

static bool raw_padding(EVP_PKEY *key, EVP_PKEY_CTX *p)
{
	return is_ec(pki_key_of(key)) || EVP_PKEY_CTX_set_rsa_padding(p, RSA_PKCS1_PADDING) == 1;
}

static int sign_raw(EVP_PKEY *key, const void *data, size_t len, uint8_t *sig, size_t *sig_len)
{
	EVP_PKEY_CTX *p = EVP_PKEY_CTX_new(key, NULL);
	*sig_len = PKI_SIG_MAX;
	bool ok = p && EVP_PKEY_sign_init(p) == 1 && raw_padding(key, p) &&
		  EVP_PKEY_sign(p, sig, sig_len, data, len) == 1;
	EVP_PKEY_CTX_free(p);
	return ok ? 0 : -EIO;
}

static bool verify_raw(EVP_PKEY *key, const void *data, size_t len, const void *sig, size_t sig_len)
{
	EVP_PKEY_CTX *p = EVP_PKEY_CTX_new(key, NULL);
	bool ok = p && EVP_PKEY_verify_init(p) == 1 && raw_padding(key, p) &&
		  EVP_PKEY_verify(p, sig, sig_len, data, len) == 1;
	EVP_PKEY_CTX_free(p);
	return ok;
}

/* DER to r | s in place, and back. */
static int to_concat(enum pki_key k, uint8_t *sig, size_t *sig_len)
{
	const uint8_t *p = sig;
	ECDSA_SIG *s = d2i_ECDSA_SIG(NULL, &p, (long)*sig_len);
	int n = (int)ec_len(k);
	bool ok = s && BN_bn2binpad(ECDSA_SIG_get0_r(s), sig, n) == n &&
		  BN_bn2binpad(ECDSA_SIG_get0_s(s), sig + n, n) == n;
	ECDSA_SIG_free(s);
	*sig_len = 2 * (size_t)n;
	return ok ? 0 : -EIO;
}

static size_t from_concat(enum pki_key k, const uint8_t *sig, size_t sig_len, uint8_t *der, size_t size)
{
	int n = (int)ec_len(k), len = 0;
	if (sig_len != 2 * (size_t)n)
		return 0;
	ECDSA_SIG *s = ECDSA_SIG_new();
	BIGNUM *r = BN_bin2bn(sig, n, NULL), *t = BN_bin2bn(sig + n, n, NULL);
	if (s && r && t && ECDSA_SIG_set0(s, r, t)) {
		r = t = NULL; /* they are the signature's now */
		len = i2d_ECDSA_SIG(s, NULL);
		if (len <= 0 || (size_t)len > size || i2d_ECDSA_SIG(s, &der) != len)
			len = 0;
	}
	BN_free(r);
	BN_free(t);
	ECDSA_SIG_free(s);
	return (size_t)len;
}

int pki_sign_key(EVP_PKEY *key, enum pki_scheme scheme, enum pki_hash hash, const void *data, size_t len, uint8_t *sig,
	size_t *sig_len)
{
	enum pki_key k = pki_key_of(key);
	const EVP_MD *md = md_of(hash);
	*sig_len = 0;
	if (!fits(k, scheme, hash))
		return -EINVAL;
	if (scheme == PKI_RSA_RAW)
		return sign_raw(key, data, len, sig, sig_len);
	if (scheme == PKI_ECDSA_RAW)
		return sign_raw(key, data, len, sig, sig_len) ? -EIO : to_concat(k, sig, sig_len);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *p = NULL;
	*sig_len = PKI_SIG_MAX;
	bool ok = ctx && EVP_DigestSignInit(ctx, &p, md, NULL, key) == 1 && set_padding(p, scheme, md) &&
		  EVP_DigestSign(ctx, sig, sig_len, data, len) == 1;
	EVP_MD_CTX_free(ctx);
	ERR_clear_error();
	if (!ok)
		return -EIO;
	return scheme == PKI_ECDSA_CONCAT ? to_concat(k, sig, sig_len) : 0;
}

int pki_sign(const struct pki_tp *tp, enum pki_scheme scheme, enum pki_hash hash, const void *data, size_t len,
	uint8_t *sig, size_t *sig_len)
{
	return tp->key ? pki_sign_key(tp->key, scheme, hash, data, len, sig, sig_len) : -EINVAL;
}

int pki_verify_key(EVP_PKEY *key, enum pki_scheme scheme, enum pki_hash hash, const void *data, size_t len,
	const void *sig, size_t sig_len)
{
	enum pki_key k = pki_key_of(key);
	const EVP_MD *md = md_of(hash);
	uint8_t der[160];
	if (!fits(k, scheme, hash))
		return -EINVAL;
	if (scheme == PKI_ECDSA_CONCAT || scheme == PKI_ECDSA_RAW) {
		sig_len = from_concat(k, sig, sig_len, der, sizeof(der));
		sig = der;
	}
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *p = NULL;
	bool ok = sig_len && ctx;
	if (ok && (scheme == PKI_RSA_RAW || scheme == PKI_ECDSA_RAW))
		ok = verify_raw(key, data, len, sig, sig_len);
	else if (ok)
		ok = EVP_DigestVerifyInit(ctx, &p, md, NULL, key) == 1 && set_padding(p, scheme, md) &&
		     EVP_DigestVerify(ctx, sig, sig_len, data, len) == 1;
	EVP_MD_CTX_free(ctx);
	ERR_clear_error();
	return ok ? 0 : -EBADMSG;
}

int pki_verify(const struct pki_peer *peer, enum pki_scheme scheme, enum pki_hash hash, const void *data, size_t len,
	const void *sig, size_t sig_len)
{
	return pki_verify_key(peer->key, scheme, hash, data, len, sig, sig_len);
}

/* ---- AlgorithmIdentifier (RFC 7427 appendix A) ---- */

#define RSA_WITH(n) 0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, n, 0x05, 0x00
#define SHA2(n) 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, n, 0x05, 0x00
/* RSASSA-PSS-params: hash, MGF1 with the same hash, salt length */
#define PSS(hash, salt)                                                                                                \
	0x30, 0x41, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a, 0x30, 0x34, 0xa0, 0x0f,          \
		SHA2(hash), 0xa1, 0x1c, 0x30, 0x1a, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x08,  \
		SHA2(hash), 0xa2, 0x03, 0x02, 0x01, salt
#define ECDSA_WITH(n) 0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, n

#define BLOB(...)                                                                                                      \
	{                                                                                                              \
		(const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})                                 \
	}
static const struct {
	enum pki_scheme scheme;
	enum pki_hash hash;
	enum pki_key key; /* NONE = any that fits the scheme */
	struct pki_blob der;
} algids[] = {
	{PKI_RSA_PKCS1, PKI_HASH_SHA1, PKI_KEY_NONE, BLOB(RSA_WITH(0x05))},
	{PKI_RSA_PKCS1, PKI_HASH_SHA256, PKI_KEY_NONE, BLOB(RSA_WITH(0x0b))},
	{PKI_RSA_PKCS1, PKI_HASH_SHA384, PKI_KEY_NONE, BLOB(RSA_WITH(0x0c))},
	{PKI_RSA_PKCS1, PKI_HASH_SHA512, PKI_KEY_NONE, BLOB(RSA_WITH(0x0d))},
	{PKI_RSA_PSS, PKI_HASH_SHA256, PKI_KEY_NONE, BLOB(PSS(0x01, 0x20))},
	{PKI_RSA_PSS, PKI_HASH_SHA384, PKI_KEY_NONE, BLOB(PSS(0x02, 0x30))},
	{PKI_RSA_PSS, PKI_HASH_SHA512, PKI_KEY_NONE, BLOB(PSS(0x03, 0x40))},
	{PKI_ECDSA, PKI_HASH_SHA256, PKI_KEY_NONE, BLOB(ECDSA_WITH(0x02))},
	{PKI_ECDSA, PKI_HASH_SHA384, PKI_KEY_NONE, BLOB(ECDSA_WITH(0x03))},
	{PKI_ECDSA, PKI_HASH_SHA512, PKI_KEY_NONE, BLOB(ECDSA_WITH(0x04))},
	{PKI_EDDSA, PKI_HASH_IDENTITY, PKI_KEY_ED25519, BLOB(0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70)},
	{PKI_EDDSA, PKI_HASH_IDENTITY, PKI_KEY_ED448, BLOB(0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x71)},
};

struct pki_blob pki_sig_algid(enum pki_scheme scheme, enum pki_hash hash, enum pki_key key)
{
	for (size_t i = 0; i < sizeof(algids) / sizeof(algids[0]); i++)
		if (algids[i].scheme == scheme && algids[i].hash == hash &&
			(algids[i].key == PKI_KEY_NONE || algids[i].key == key))
			return algids[i].der;
	return (struct pki_blob){NULL, 0};
}

static bool hash_of_nid(int nid, enum pki_hash *hash)
{
	static const struct {
		int nid;
		enum pki_hash hash;
	} map[] = {{NID_sha1, PKI_HASH_SHA1}, {NID_sha256, PKI_HASH_SHA256}, {NID_sha384, PKI_HASH_SHA384},
		{NID_sha512, PKI_HASH_SHA512}};
	for (size_t i = 0; i < sizeof(map) / sizeof(map[0]); i++)
		if (map[i].nid == nid) {
			*hash = map[i].hash;
			return true;
		}
	return false;
}

static int alg_nid(const X509_ALGOR *a)
{
	const ASN1_OBJECT *obj;
	if (!a)
		return NID_sha1; /* the default of the parameters (RFC 4055) */
	X509_ALGOR_get0(&obj, NULL, NULL, a);
	return OBJ_obj2nid(obj);
}

/* Our verifier wants MGF1 with the signature's hash and a salt as long as it; others are not in use. */
static bool pss_hash(const X509_ALGOR *a, enum pki_hash *hash)
{
	RSA_PSS_PARAMS *p = NULL;
	X509_ALGOR *mgf = NULL;
	enum pki_hash mgf_hash;
	bool ok = a->parameter && a->parameter->type == V_ASN1_SEQUENCE;
	p = ok ? ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(RSA_PSS_PARAMS), a->parameter) : NULL;
	ok = p && hash_of_nid(alg_nid(p->hashAlgorithm), hash);
	if (ok && p->maskGenAlgorithm) {
		ok = alg_nid(p->maskGenAlgorithm) == NID_mgf1 && p->maskGenAlgorithm->parameter;
		mgf = ok ? ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(X509_ALGOR), p->maskGenAlgorithm->parameter) : NULL;
		ok = mgf != NULL;
	}
	ok = ok && hash_of_nid(alg_nid(mgf), &mgf_hash) && mgf_hash == *hash;
	ok = ok && (p->saltLength ? ASN1_INTEGER_get(p->saltLength) : 20) == EVP_MD_get_size(md_of(*hash));
	X509_ALGOR_free(mgf);
	RSA_PSS_PARAMS_free(p);
	return ok;
}

int pki_sig_parse(const void *der, size_t len, enum pki_scheme *scheme, enum pki_hash *hash)
{
	const uint8_t *p = der;
	X509_ALGOR *a = len && len <= 255 ? d2i_X509_ALGOR(NULL, &p, (long)len) : NULL;
	int nid = a ? alg_nid(a) : NID_undef, md = NID_undef, pk = NID_undef;
	bool ok = a && p == (const uint8_t *)der + len;
	if (ok && nid == NID_rsassaPss) {
		*scheme = PKI_RSA_PSS;
		ok = pss_hash(a, hash);
	} else if (ok && (nid == NID_ED25519 || nid == NID_ED448)) {
		*scheme = PKI_EDDSA;
		*hash = PKI_HASH_IDENTITY;
	} else if (ok) {
		ok = OBJ_find_sigid_algs(nid, &md, &pk) && hash_of_nid(md, hash) &&
		     (pk == NID_rsaEncryption || pk == NID_X9_62_id_ecPublicKey);
		*scheme = pk == NID_rsaEncryption ? PKI_RSA_PKCS1 : PKI_ECDSA;
	}
	X509_ALGOR_free(a);
	ERR_clear_error();
	return ok ? 0 : -ENOTSUP;
}
