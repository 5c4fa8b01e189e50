/* SPDX-License-Identifier: BSD-3-Clause */
/* The peer's certificate: path validation (RFC 5280), what RFC 4945 asks of it for IKE, identities, names. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "pki_priv.h"

#define DEPTH_MAX 8

/* ---- path validation ---- */

static int verify_cb(int ok, X509_STORE_CTX *ctx)
{
	const struct pki_tp *tp = X509_STORE_CTX_get_app_data(ctx);
	int e = X509_STORE_CTX_get_error(ctx);
	/* "if present": no CRL for this issuer is no obstacle, and an old one still names what it revoked */
	if (!ok && tp->revocation == PKI_REVOCATION_IF_PRESENT &&
		(e == X509_V_ERR_UNABLE_TO_GET_CRL || e == X509_V_ERR_CRL_HAS_EXPIRED)) {
		X509_STORE_CTX_set_error(ctx, X509_V_OK);
		return 1;
	}
	return ok;
}

static const char *reason(int e)
{
	switch (e) {
	case X509_V_ERR_CERT_HAS_EXPIRED:
		return "a certificate of the peer's chain has expired";
	case X509_V_ERR_CERT_NOT_YET_VALID:
		return "a certificate of the peer's chain is not valid yet";
	case X509_V_ERR_CERT_REVOKED:
		return "a certificate of the peer's chain is revoked";
	case X509_V_ERR_UNABLE_TO_GET_CRL:
		return "no CRL for the peer's certificate";
	case X509_V_ERR_CRL_HAS_EXPIRED:
	case X509_V_ERR_CRL_NOT_YET_VALID:
		return "the CRL is out of date";
	case X509_V_ERR_CRL_SIGNATURE_FAILURE:
		return "the CRL's signature is wrong";
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
		return "the peer's certificate leads to no trusted CA";
	case X509_V_ERR_CERT_SIGNATURE_FAILURE:
		return "a signature in the peer's chain is wrong";
	case X509_V_ERR_INVALID_CA:
	case X509_V_ERR_KEYUSAGE_NO_CERTSIGN:
	case X509_V_ERR_PATH_LENGTH_EXCEEDED:
		return "an issuer in the peer's chain is no CA";
	case X509_V_ERR_EE_KEY_TOO_SMALL:
	case X509_V_ERR_CA_KEY_TOO_SMALL:
		return "a key in the peer's chain is too short";
	case X509_V_ERR_CA_MD_TOO_WEAK:
		return "a hash in the peer's chain is too weak";
	default:
		return "the peer's certificate chain is not valid";
	}
}

static unsigned long flags_of(const struct pki_tp *tp)
{
	unsigned long f = X509_V_FLAG_PARTIAL_CHAIN; /* an intermediate CA may be the anchor, or a certificate itself */
	if (tp->revocation != PKI_REVOCATION_NONE)
		f |= X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL;
	return f;
}

static bool chain_valid(struct pki_tp *tp, X509 *leaf, STACK_OF(X509) * others, const char **why)
{
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	STACK_OF(X509_CRL) *crls = tp->revocation != PKI_REVOCATION_NONE ? pki_tp_crls(tp) : NULL;
	bool ok = false;
	*why = "out of memory";
	if (ctx && X509_STORE_CTX_init(ctx, tp->store, leaf, others)) {
		X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(ctx);
		X509_VERIFY_PARAM_set_flags(param, flags_of(tp));
		X509_VERIFY_PARAM_set_depth(param, DEPTH_MAX);
		X509_VERIFY_PARAM_set_auth_level(param, tp->legacy ? 0 : 2);
		X509_STORE_CTX_set_app_data(ctx, tp);
		X509_STORE_CTX_set_verify_cb(ctx, verify_cb);
		if (crls)
			X509_STORE_CTX_set0_crls(ctx, crls);
		ok = X509_verify_cert(ctx) == 1;
		*why = ok ? NULL : reason(X509_STORE_CTX_get_error(ctx));
	}
	X509_STORE_CTX_free(ctx);
	sk_X509_CRL_pop_free(crls, X509_CRL_free);
	ERR_clear_error();
	return ok;
}

/* RFC 4945 5.1.3.12: these extended key usages, or none, are fit for IKE. */
static bool eku_fits(X509 *x)
{
	static const char *const fit[] = {"2.5.29.37.0", "1.3.6.1.5.5.7.3.17", "1.3.6.1.5.5.7.3.5", "1.3.6.1.5.5.7.3.6",
		"1.3.6.1.5.5.7.3.7", "1.3.6.1.5.5.8.2.2", "1.3.6.1.5.5.7.3.1",
		"1.3.6.1.5.5.7.3.2"}; /* any, IKE, the three IPsec ones, IKE intermediate, TLS server and client */
	EXTENDED_KEY_USAGE *eku = X509_get_ext_d2i(x, NID_ext_key_usage, NULL, NULL);
	bool ok = !eku;
	for (int i = 0; !ok && i < sk_ASN1_OBJECT_num(eku); i++) {
		char oid[64];
		if (OBJ_obj2txt(oid, sizeof(oid), sk_ASN1_OBJECT_value(eku, i), 1) <= 0)
			continue;
		for (size_t k = 0; !ok && k < sizeof(fit) / sizeof(fit[0]); k++)
			ok = strcmp(oid, fit[k]) == 0;
	}
	EXTENDED_KEY_USAGE_free(eku);
	return ok;
}

#define KU_SIGNS (KU_DIGITAL_SIGNATURE | KU_NON_REPUDIATION) /* RFC 4945 5.1.3.2: either bit will do */

/* use: key usage bits of which one is needed; without the extension all are set. */
static const char *usage_fault(X509 *x, uint32_t use)
{
	if (!(X509_get_key_usage(x) & use))
		return use == KU_SIGNS ? "the peer's certificate is not for signatures"
				       : "the peer's certificate is not for encrypting keys";
	return eku_fits(x) ? NULL : "the peer's certificate is not for IKE";
}

static struct pki_peer *peer_new(X509 *leaf)
{
	struct pki_peer *p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	p->refs = 1;
	p->cert = leaf;
	X509_up_ref(leaf);
	p->key = X509_get_pubkey(leaf);
	p->fields = pki_fields_of(leaf);
	if (p->fields)
		return p;
	pki_peer_free(p);
	return NULL;
}

static int check(struct pki_tp *const *tp, unsigned n_tp, const struct pki_blob *cert, unsigned n, uint32_t use,
	struct pki_peer **out, const char **why)
{
	STACK_OF(X509) *others = sk_X509_new_null();
	X509 *leaf = NULL;
	bool ok = false;
	*out = NULL;
	*why = n ? "the peer's certificate is malformed" : "the peer sent no certificate";
	for (unsigned i = 0; others && i < n && i < PKI_CHAIN_MAX; i++) {
		const uint8_t *p = cert[i].p;
		X509 *x = cert[i].len <= 65535 ? d2i_X509(NULL, &p, (long)cert[i].len) : NULL;
		if (i == 0)
			leaf = x;
		else if (x && !sk_X509_push(others, x))
			X509_free(x);
	}
	if (leaf && !n_tp)
		*why = "no trust point";
	const char *fault = leaf ? usage_fault(leaf, use) : NULL;
	for (unsigned i = 0; leaf && !ok && i < n_tp; i++)
		ok = chain_valid(tp[i], leaf, others, why);
	if (ok && fault) {
		*why = fault;
		ok = false;
	}
	if (ok)
		*out = peer_new(leaf);
	X509_free(leaf);
	sk_X509_pop_free(others, X509_free);
	ERR_clear_error();
	if (ok && (!*out || !(*out)->key)) {
		*why = "the peer's key is of no use";
		pki_peer_free(*out);
		*out = NULL;
	}
	return *out ? 0 : -EBADMSG;
}

int pki_peer_check(struct pki_tp *const *tp, unsigned n_tp, const struct pki_blob *cert, unsigned n,
	struct pki_peer **out, const char **why)
{
	return check(tp, n_tp, cert, n, KU_SIGNS, out, why);
}

int pki_peer_check_encryption(struct pki_tp *const *tp, unsigned n_tp, const struct pki_blob *cert, unsigned n,
	struct pki_peer **out, const char **why)
{
	return check(tp, n_tp, cert, n, KU_KEY_ENCIPHERMENT, out, why);
}

struct pki_peer *pki_peer_ref(struct pki_peer *peer)
{
	__atomic_fetch_add(&peer->refs, 1, __ATOMIC_RELAXED);
	return peer;
}

void pki_peer_free(struct pki_peer *peer)
{
	if (!peer || __atomic_sub_fetch(&peer->refs, 1, __ATOMIC_ACQ_REL))
		return;
	X509_free(peer->cert);
	EVP_PKEY_free(peer->key);
	pki_fields_free(peer->fields);
	free(peer);
}

uint8_t *pki_peer_der(const struct pki_peer *peer, size_t *len)
{
	int n = i2d_X509(peer->cert, NULL);
	uint8_t *der = n > 0 ? malloc((size_t)n) : NULL, *p = der;
	if (der)
		i2d_X509(peer->cert, &p);
	*len = der ? (size_t)n : 0;
	return der;
}

enum pki_key pki_peer_key(const struct pki_peer *peer)
{
	return pki_key_of(peer->key);
}

const struct pki_fields *pki_peer_fields(const struct pki_peer *peer)
{
	return peer->fields;
}

/* ---- identities ---- */

enum { ID_IPV4 = 1, ID_FQDN = 2, ID_RFC822 = 3, ID_IPV6 = 5, ID_DN = 9 }; /* RFC 7296 3.5 */

static bool name_is(const ASN1_STRING *s, const void *data, size_t len, bool fold)
{
	if ((size_t)ASN1_STRING_length(s) != len || memchr(data, 0, len))
		return false; /* a zero in a name is a trick */
	return fold ? strncasecmp((const char *)ASN1_STRING_get0_data(s), data, len) == 0
		    : memcmp(ASN1_STRING_get0_data(s), data, len) == 0;
}

static bool san_is(const GENERAL_NAME *g, uint8_t type, const void *data, size_t len)
{
	switch (type) {
	case ID_FQDN:
		return g->type == GEN_DNS && name_is(g->d.dNSName, data, len, true);
	case ID_RFC822:
		return g->type == GEN_EMAIL && name_is(g->d.rfc822Name, data, len, true);
	case ID_IPV4:
	case ID_IPV6:
		return g->type == GEN_IPADD && len == (type == ID_IPV4 ? 4u : 16u) &&
		       (size_t)ASN1_STRING_length(g->d.iPAddress) == len &&
		       memcmp(ASN1_STRING_get0_data(g->d.iPAddress), data, len) == 0;
	}
	return false;
}

bool pki_peer_has_id(const struct pki_peer *peer, uint8_t type, const void *data, size_t len)
{
	bool found = false;
	if (type == ID_DN) {
		const uint8_t *p = NULL;
		size_t n = 0;
		return X509_NAME_get0_der(X509_get_subject_name(peer->cert), &p, &n) && pki_dn_eq(p, n, data, len);
	}
	GENERAL_NAMES *san = X509_get_ext_d2i(peer->cert, NID_subject_alt_name, NULL, NULL);
	for (int i = 0; !found && len && i < sk_GENERAL_NAME_num(san); i++)
		found = san_is(sk_GENERAL_NAME_value(san, i), type, data, len);
	GENERAL_NAMES_free(san);
	return found;
}

/* ---- distinguished names ---- */

X509_NAME *pki_name_of(const void *der, size_t len)
{
	const uint8_t *p = der;
	X509_NAME *name = len && len <= 65535 ? d2i_X509_NAME(NULL, &p, (long)len) : NULL;
	if (name && p != (const uint8_t *)der + len) { /* bytes after it */
		X509_NAME_free(name);
		name = NULL;
	}
	ERR_clear_error();
	return name;
}

bool pki_dn_text(const void *der, size_t len, char *out)
{
	X509_NAME *name = pki_name_of(der, len);
	char *text = name ? pki_name_dup(name) : NULL;
	out[0] = 0;
	/* for people only: rules get names whole */
	if (text && snprintf(out, PKI_NAME_MAX, "%s", text) >= (int)PKI_NAME_MAX)
		memcpy(out + PKI_NAME_MAX - 4, "...", 4);
	free(text);
	X509_NAME_free(name);
	return text != NULL;
}

bool pki_dn_eq(const void *a, size_t a_len, const void *b, size_t b_len)
{
	X509_NAME *x = pki_name_of(a, a_len), *y = pki_name_of(b, b_len);
	bool same = x && y && X509_NAME_cmp(x, y) == 0;
	X509_NAME_free(x);
	X509_NAME_free(y);
	return same;
}

/* One "type=value", its end marked by sep or the end; a backslash takes the next character as it is. */
static bool add_rdn(X509_NAME *name, const char **at, char sep)
{
	char part[PKI_NAME_MAX];
	size_t n = 0;
	const char *p = *at;
	while (*p == ' ')
		p++;
	for (; *p && *p != sep && n + 1 < sizeof(part); p++) {
		if (*p == '\\' && p[1])
			p++;
		part[n++] = *p;
	}
	while (n && part[n - 1] == ' ')
		n--;
	part[n] = 0;
	*at = *p ? p + 1 : p;
	char *value = strchr(part, '=');
	if (!value || value == part || !value[1] || (*p && *p != sep))
		return false;
	*value++ = 0;
	for (char *end = value - 2; end >= part && *end == ' '; end--)
		*end = 0;
	while (*value == ' ')
		value++;
	return X509_NAME_add_entry_by_txt(name, part, MBSTRING_UTF8, (const unsigned char *)value, -1, -1, 0) == 1;
}

size_t pki_dn_parse(const char *text, uint8_t *out, size_t size)
{
	X509_NAME *name = X509_NAME_new();
	uint8_t *der = NULL;
	char sep = text[0] == '/' ? '/' : ',';
	const char *p = sep == '/' ? text + 1 : text;
	bool ok = name && *p;
	size_t len = 0;
	while (ok && *p)
		ok = add_rdn(name, &p, sep);
	int n = ok ? i2d_X509_NAME(name, &der) : 0;
	if (n > 0 && (size_t)n <= size) {
		memcpy(out, der, (size_t)n);
		len = (size_t)n;
	}
	OPENSSL_free(der);
	X509_NAME_free(name);
	ERR_clear_error();
	return len;
}
