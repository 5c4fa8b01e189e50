/* SPDX-License-Identifier: BSD-3-Clause */
#include "kem_provider.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/params.h>
#include <openssl/provider.h>

#include "ikecrypto.h"

#define PUB_LEN 1184u
#define TEXT_LEN 1088u
#define FILLER 0xc7

struct key {
	struct ikec_dh *dh; /* NULL: the peer's */
	uint8_t pub[PUB_LEN];
};

/* ---- key management ---- */

static void *key_new(void *prov)
{
	(void)prov;
	return calloc(1, sizeof(struct key));
}

static void key_free(void *p)
{
	struct key *k = p;
	if (k)
		ikec_dh_free(k->dh);
	free(k);
}

static void *gen_init(void *prov, int selection, const OSSL_PARAM params[])
{
	(void)selection, (void)params;
	return key_new(prov);
}

static void *gen(void *ctx, OSSL_CALLBACK *cb, void *arg)
{
	struct key *k = key_new(NULL);
	(void)ctx, (void)cb, (void)arg;
	if (!k || ikec_dh_new(IKE_GROUP_CURVE25519, &k->dh) != 0) {
		key_free(k);
		return NULL;
	}
	memset(k->pub, FILLER, sizeof(k->pub));
	memcpy(k->pub, ikec_dh_pub(k->dh), 32);
	return k;
}

static int key_has(const void *p, int selection)
{
	(void)selection;
	return p != NULL;
}

static int key_import(void *p, int selection, const OSSL_PARAM params[])
{
	struct key *k = p;
	const OSSL_PARAM *pub = OSSL_PARAM_locate_const(params, OSSL_PKEY_PARAM_PUB_KEY);
	(void)selection;
	if (!pub || pub->data_size != PUB_LEN)
		return 0;
	memcpy(k->pub, pub->data, PUB_LEN);
	return k->pub[PUB_LEN - 1] == FILLER; /* stands for the check of FIPS 203 7.2 */
}

static const OSSL_PARAM *pub_types(int selection)
{
	static const OSSL_PARAM types[] = {OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0), OSSL_PARAM_END};
	(void)selection;
	return types;
}

static const OSSL_PARAM *gettable(void *prov)
{
	(void)prov;
	return pub_types(0);
}

static int get_params(void *p, OSSL_PARAM params[])
{
	const struct key *k = p;
	OSSL_PARAM *pub = OSSL_PARAM_locate(params, OSSL_PKEY_PARAM_PUB_KEY);
	return !pub || OSSL_PARAM_set_octet_string(pub, k->pub, PUB_LEN);
}

/* ---- encapsulation ---- */

struct kem {
	struct key *key; /* OpenSSL's, which outlives it */
};

static void *kem_new(void *prov)
{
	(void)prov;
	return calloc(1, sizeof(struct kem));
}

static int kem_init(void *p, void *key, const OSSL_PARAM params[])
{
	(void)params;
	((struct kem *)p)->key = key;
	return 1;
}

static int encapsulate(void *p, unsigned char *out, size_t *out_len, unsigned char *secret, size_t *secret_len)
{
	const struct key *k = ((struct kem *)p)->key;
	struct ikec_dh *dh = NULL;
	uint8_t shared[IKEC_DH_PUB_MAX];
	size_t n;
	int ok = *out_len >= TEXT_LEN && ikec_dh_new(IKE_GROUP_CURVE25519, &dh) == 0 &&
		 ikec_dh_shared(dh, k->pub, 32, shared, &n) == 0 && *secret_len >= n;
	if (ok) {
		memset(out, FILLER, TEXT_LEN);
		memcpy(out, ikec_dh_pub(dh), 32);
		*out_len = TEXT_LEN;
		memcpy(secret, shared, n);
		*secret_len = n;
	}
	ikec_dh_free(dh);
	return ok;
}

static int decapsulate(void *p, unsigned char *secret, size_t *secret_len, const unsigned char *in, size_t in_len)
{
	const struct key *k = ((struct kem *)p)->key;
	return k->dh && in_len == TEXT_LEN && ikec_dh_shared(k->dh, in, 32, secret, secret_len) == 0;
}

/* ---- the provider ---- */

typedef void (*fn)(void);

static const OSSL_DISPATCH keymgmt[] = {{OSSL_FUNC_KEYMGMT_NEW, (fn)key_new}, {OSSL_FUNC_KEYMGMT_FREE, (fn)key_free},
	{OSSL_FUNC_KEYMGMT_GEN_INIT, (fn)gen_init}, {OSSL_FUNC_KEYMGMT_GEN, (fn)gen},
	{OSSL_FUNC_KEYMGMT_GEN_CLEANUP, (fn)key_free}, {OSSL_FUNC_KEYMGMT_HAS, (fn)key_has},
	{OSSL_FUNC_KEYMGMT_IMPORT, (fn)key_import}, {OSSL_FUNC_KEYMGMT_IMPORT_TYPES, (fn)pub_types},
	{OSSL_FUNC_KEYMGMT_GET_PARAMS, (fn)get_params}, {OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, (fn)gettable}, {0, NULL}};
static const OSSL_DISPATCH kem[] = {{OSSL_FUNC_KEM_NEWCTX, (fn)kem_new}, {OSSL_FUNC_KEM_FREECTX, (fn)free},
	{OSSL_FUNC_KEM_ENCAPSULATE_INIT, (fn)kem_init}, {OSSL_FUNC_KEM_ENCAPSULATE, (fn)encapsulate},
	{OSSL_FUNC_KEM_DECAPSULATE_INIT, (fn)kem_init}, {OSSL_FUNC_KEM_DECAPSULATE, (fn)decapsulate}, {0, NULL}};
static const OSSL_ALGORITHM keymgmts[] = {{"ML-KEM-768", "provider=kemtest", keymgmt, ""}, {NULL, NULL, NULL, NULL}};
static const OSSL_ALGORITHM kems[] = {{"ML-KEM-768", "provider=kemtest", kem, ""}, {NULL, NULL, NULL, NULL}};

static const OSSL_ALGORITHM *query(void *prov, int op, int *no_cache)
{
	(void)prov;
	*no_cache = 0;
	return op == OSSL_OP_KEYMGMT ? keymgmts : op == OSSL_OP_KEM ? kems : NULL;
}

static const OSSL_DISPATCH functions[] = {{OSSL_FUNC_PROVIDER_QUERY_OPERATION, (fn)query}, {0, NULL}};

static int init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in, const OSSL_DISPATCH **out, void **provider)
{
	(void)in;
	*out = functions;
	*provider = (void *)(uintptr_t)handle;
	return 1;
}

/* Loaded to the end of the process, and reachable so that no leak is seen in that. */
static OSSL_PROVIDER *loaded[2];

bool kem_provider_load(void)
{
	if (OSSL_PROVIDER_add_builtin(NULL, "kemtest", init) != 1)
		return false;
	loaded[0] = OSSL_PROVIDER_load(NULL, "default");
	loaded[1] = OSSL_PROVIDER_load(NULL, "kemtest");
	return loaded[0] && loaded[1];
}
