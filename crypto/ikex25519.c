/* SPDX-License-Identifier: BSD-3-Clause */
#include "ikex25519.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/provider.h>

#define NAME "X25519"

/* provider-keymgmt(7), provider-keyexch(7) */
static struct {
	EVP_KEYMGMT *fetched; /* keeps the provider loaded */
	void *provider;
	OSSL_FUNC_keymgmt_new_fn *key_new;
	OSSL_FUNC_keymgmt_import_fn *key_import;
	OSSL_FUNC_keymgmt_free_fn *key_free;
	OSSL_FUNC_keyexch_newctx_fn *ctx_new;
	OSSL_FUNC_keyexch_init_fn *ctx_init;
	OSSL_FUNC_keyexch_set_peer_fn *set_peer;
	OSSL_FUNC_keyexch_derive_fn *derive;
	OSSL_FUNC_keyexch_freectx_fn *ctx_free;
	bool complete;
} lib;

/* Names are separated by colons, the first is the usual one. */
static bool is_x25519(const char *names)
{
	size_t n = strlen(NAME);
	return OPENSSL_strncasecmp(names, NAME, n) == 0 && (names[n] == ':' || !names[n]);
}

static const OSSL_DISPATCH *functions(OSSL_PROVIDER *p, int operation)
{
	int no_cache;
	const OSSL_ALGORITHM *a = OSSL_PROVIDER_query_operation(p, operation, &no_cache);
	while (a && a->algorithm_names && !is_x25519(a->algorithm_names))
		a++;
	return a && a->algorithm_names ? a->implementation : NULL;
}

static void find_key_functions(const OSSL_DISPATCH *f)
{
	for (; f && f->function_id; f++) {
		if (f->function_id == OSSL_FUNC_KEYMGMT_NEW)
			lib.key_new = OSSL_FUNC_keymgmt_new(f);
		else if (f->function_id == OSSL_FUNC_KEYMGMT_IMPORT)
			lib.key_import = OSSL_FUNC_keymgmt_import(f);
		else if (f->function_id == OSSL_FUNC_KEYMGMT_FREE)
			lib.key_free = OSSL_FUNC_keymgmt_free(f);
	}
}

static void find_exchange_functions(const OSSL_DISPATCH *f)
{
	for (; f && f->function_id; f++) {
		if (f->function_id == OSSL_FUNC_KEYEXCH_NEWCTX)
			lib.ctx_new = OSSL_FUNC_keyexch_newctx(f);
		else if (f->function_id == OSSL_FUNC_KEYEXCH_INIT)
			lib.ctx_init = OSSL_FUNC_keyexch_init(f);
		else if (f->function_id == OSSL_FUNC_KEYEXCH_SET_PEER)
			lib.set_peer = OSSL_FUNC_keyexch_set_peer(f);
		else if (f->function_id == OSSL_FUNC_KEYEXCH_DERIVE)
			lib.derive = OSSL_FUNC_keyexch_derive(f);
		else if (f->function_id == OSSL_FUNC_KEYEXCH_FREECTX)
			lib.ctx_free = OSSL_FUNC_keyexch_freectx(f);
	}
}

/* In the provider that EVP would take. */
static void find(void)
{
	lib.fetched = EVP_KEYMGMT_fetch(NULL, NAME, NULL);
	if (!lib.fetched)
		return;
	OSSL_PROVIDER *p = (OSSL_PROVIDER *)(uintptr_t)EVP_KEYMGMT_get0_provider(lib.fetched);
	lib.provider = OSSL_PROVIDER_get0_provider_ctx(p);
	find_key_functions(functions(p, OSSL_OP_KEYMGMT));
	find_exchange_functions(functions(p, OSSL_OP_KEYEXCH));
	lib.complete = lib.key_new && lib.key_import && lib.key_free && lib.ctx_new && lib.ctx_init && lib.set_peer &&
		       lib.derive && lib.ctx_free;
}

/* priv NULL: a public key. A private one needs no public value here; left out, the library would compute it. */
static void *key(const uint8_t *priv, const uint8_t *pub)
{
	OSSL_PARAM params[3] = {OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, (void *)(uintptr_t)pub, IKEX25519_LEN),
		OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PRIV_KEY, (void *)(uintptr_t)priv, IKEX25519_LEN),
		OSSL_PARAM_END};
	if (!priv)
		params[1] = (OSSL_PARAM)OSSL_PARAM_END;
	void *k = lib.key_new(lib.provider);
	if (k && lib.key_import(k, priv ? OSSL_KEYMGMT_SELECT_KEYPAIR : OSSL_KEYMGMT_SELECT_PUBLIC_KEY, params))
		return k;
	lib.key_free(k);
	return NULL;
}

int ikex25519(const uint8_t k[IKEX25519_LEN], const uint8_t u[IKEX25519_LEN], uint8_t out[IKEX25519_LEN])
{
	static const uint8_t base[IKEX25519_LEN] = {9};
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	size_t len = IKEX25519_LEN;
	pthread_once(&once, find);
	if (!lib.complete)
		return -ENOTSUP;
	void *own = key(k, base), *peer = key(NULL, u ? u : base), *ctx = lib.ctx_new(lib.provider);
	int ok = own && peer && ctx && lib.ctx_init(ctx, own, NULL) && lib.set_peer(ctx, peer) &&
		 lib.derive(ctx, out, &len, IKEX25519_LEN) && len == IKEX25519_LEN;
	if (ctx)
		lib.ctx_free(ctx);
	lib.key_free(peer);
	lib.key_free(own);
	return ok ? 0 : -EINVAL;
}
