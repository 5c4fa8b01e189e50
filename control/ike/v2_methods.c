/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Announced authentication methods (RFC 9593): each end says how the other may prove itself, the responder in its
 * answer to IKE_SA_INIT, or in the last IKE_INTERMEDIATE, whose messages may be in fragments; the initiator in
 * IKE_AUTH. An end that has several keys, or several ways to sign with one, then takes a way that the other
 * understands.
 *
 * An announcement is one byte of length, itself included, the method, and for public keys the number of a CA in the
 * sender's CERTREQs, from 1 on, 0 being any; an AlgorithmIdentifier follows for the method of RFC 7427.
 */
#include <string.h>

#include "v2_int.h"

enum { AT_LEN = 0, AT_METHOD = 1, AT_LINK = 2, AT_ALG = 3 };

/* ---- ours ---- */

/* The ways to sign that we take and use, by preference; method 0 = there is no further one. */
static struct v2_how way(unsigned i)
{
	static const struct v2_how all[] = {
		{V2_AUTH_DIGITAL, PKI_EDDSA, PKI_HASH_IDENTITY, PKI_KEY_ED25519},
		{V2_AUTH_DIGITAL, PKI_EDDSA, PKI_HASH_IDENTITY, PKI_KEY_ED448},
		{V2_AUTH_DIGITAL, PKI_ECDSA, PKI_HASH_SHA256, PKI_KEY_NONE},
		{V2_AUTH_DIGITAL, PKI_ECDSA, PKI_HASH_SHA384, PKI_KEY_NONE},
		{V2_AUTH_DIGITAL, PKI_ECDSA, PKI_HASH_SHA512, PKI_KEY_NONE},
		{V2_AUTH_DIGITAL, PKI_RSA_PSS, PKI_HASH_SHA256, PKI_KEY_NONE},
		{V2_AUTH_DIGITAL, PKI_RSA_PSS, PKI_HASH_SHA384, PKI_KEY_NONE},
		{V2_AUTH_DIGITAL, PKI_RSA_PSS, PKI_HASH_SHA512, PKI_KEY_NONE},
		{V2_AUTH_DIGITAL, PKI_RSA_PKCS1, PKI_HASH_SHA256, PKI_KEY_NONE},
		{V2_AUTH_DIGITAL, PKI_RSA_PKCS1, PKI_HASH_SHA384, PKI_KEY_NONE},
		{V2_AUTH_DIGITAL, PKI_RSA_PKCS1, PKI_HASH_SHA512, PKI_KEY_NONE},
		{V2_AUTH_ECDSA256, PKI_ECDSA_CONCAT, PKI_HASH_SHA256, PKI_KEY_EC256},
		{V2_AUTH_ECDSA384, PKI_ECDSA_CONCAT, PKI_HASH_SHA384, PKI_KEY_EC384},
		{V2_AUTH_ECDSA521, PKI_ECDSA_CONCAT, PKI_HASH_SHA512, PKI_KEY_EC521},
		{V2_AUTH_RSA, PKI_RSA_PKCS1, PKI_HASH_SHA1, PKI_KEY_RSA},
	};
	return i < sizeof(all) / sizeof(all[0]) ? all[i] : (struct v2_how){0};
}

/* SHA-1 is for peers that know nothing better, and the method of RFC 7427 only for those that know it. */
static bool offered(const struct v2_sa *sa, const struct v2_how *how)
{
	return how->method == V2_AUTH_DIGITAL ? sa->setup->peer_hashes != 0
					      : how->method != V2_AUTH_RSA || !sa->setup->peer_hashes;
}

static size_t put_signatures(const struct v2_sa *sa, uint8_t *out)
{
	size_t n = 0;
	struct v2_how how;
	for (unsigned i = 0; (how = way(i)).method; i++) {
		struct pki_blob alg = {NULL, 0};
		if (!offered(sa, &how))
			continue;
		if (how.method == V2_AUTH_DIGITAL)
			alg = pki_sig_algid(how.scheme, how.hash, how.key);
		out[n + AT_LEN] = (uint8_t)(AT_ALG + alg.len);
		out[n + AT_METHOD] = how.method;
		out[n + AT_LINK] = 0; /* each of our CAs may have certified each kind of key */
		if (alg.len)
			memcpy(out + n + AT_ALG, alg.p, alg.len);
		n += AT_ALG + alg.len;
	}
	return n;
}

static size_t put_psk(uint8_t *out)
{
	out[AT_LEN] = 2;
	out[AT_METHOD] = V2_AUTH_PSK;
	return 2;
}

static void enc_list(struct v2_enc *e, const struct v2_sa *sa, enum cfg_ike_method first, bool both)
{
	uint8_t list[512];
	size_t n = 0;
	if (first == CFG_METHOD_PSK)
		n = put_psk(list);
	if (first == CFG_METHOD_SIGNATURE || both)
		n += put_signatures(sa, list + n);
	if (first == CFG_METHOD_SIGNATURE && both)
		n += put_psk(list + n);
	v2_enc_notify(e, V2_N_SUPPORTED_AUTH_METHODS, list, n);
}

void v2_methods_begin(struct v2_sa *sa, const struct cfg_ike_profile *p)
{
	struct v2_setup *s = sa->setup;
	s->peer_may = p->remote_auth;
	/* until the peer's identity is known, another profile may still be its own */
	s->peer_may_both = sa->sa.ike->mixed_auth;
	s->methods_later = sa->inter && sa->suite.n_addke;
}

void v2_enc_methods_init(struct v2_enc *e, const struct v2_sa *sa)
{
	const struct v2_setup *s = sa->setup;
	if (s->methods_later)
		v2_enc_notify(e, V2_N_SUPPORTED_AUTH_METHODS, NULL, 0);
	else
		enc_list(e, sa, s->peer_may, s->peer_may_both);
}

void v2_enc_methods_inter(struct v2_enc *e, struct v2_sa *sa)
{
	if (sa->setup->methods_later)
		enc_list(e, sa, sa->setup->peer_may, sa->setup->peer_may_both);
	sa->setup->methods_later = false;
}

void v2_enc_methods_auth(struct v2_enc *e, const struct v2_sa *sa)
{
	enc_list(e, sa, sa->sa.profile->remote_auth, false);
}

/* ---- the peer's ---- */

void v2_take_certreqs(struct v2_sa *sa, const struct v2_msg *m)
{
	uint8_t cas[64 * PKI_KEYID_LEN];
	size_t n = 0;
	if (!m->n_certreq)
		return;
	for (unsigned i = 0; i < m->n_certreq; i++)
		for (size_t k = 0; k + PKI_KEYID_LEN <= m->certreq[i].len && n < sizeof(cas); k += PKI_KEYID_LEN) {
			memcpy(cas + n, m->certreq[i].p + k, PKI_KEYID_LEN);
			n += PKI_KEYID_LEN;
		}
	v2_buf_set(&sa->setup->peer_cas, cas, n);
}

void v2_take_methods(struct v2_sa *sa, const struct v2_msg *m)
{
	const struct v2_notify *n = v2_find_notify(m, V2_N_SUPPORTED_AUTH_METHODS);
	if (n && n->data.len) /* without any: they follow */
		v2_buf_set(&sa->setup->peer_methods, n->data.p, n->data.len);
}

/* The announcement at *at, and the next one at *at; empty = no further one that can be read. */
static struct v2_view next_announcement(const struct v2_buf *b, size_t *at)
{
	size_t len = *at < b->len ? b->p[*at + AT_LEN] : 0;
	if (len < 2 || len > b->len - *at)
		return V2_EMPTY;
	struct v2_view a = {b->p + *at, len};
	*at += len;
	return a;
}

/* Has a certificate of this trust point been asked for by the CA that the announcement is linked to? */
static bool linked(const struct v2_sa *sa, struct v2_view a, const struct pki_tp *tp)
{
	const struct v2_buf *cas = &sa->setup->peer_cas;
	unsigned link = a.len > AT_LINK ? a.p[AT_LINK] : 0;
	return !link || (link * PKI_KEYID_LEN <= cas->len && pki_tp_issued_by(tp, cas->p + (link - 1) * PKI_KEYID_LEN));
}

/* Is it this algorithm? By meaning: parameters may be written in more than one way. */
static bool same_algorithm(struct v2_view a, const struct v2_how *how, enum pki_key key)
{
	enum pki_scheme scheme;
	enum pki_hash hash;
	if (a.len <= AT_ALG)
		return true; /* whatever it is */
	struct pki_blob alg = pki_sig_algid(how->scheme, how->hash, key);
	if (alg.len == a.len - AT_ALG && memcmp(a.p + AT_ALG, alg.p, alg.len) == 0)
		return true;
	return how->scheme != PKI_EDDSA && pki_sig_parse(a.p + AT_ALG, a.len - AT_ALG, &scheme, &hash) == 0 &&
	       scheme == how->scheme && hash == how->hash;
}

/* Has the peer announced this way to sign with the key of tp? */
static bool announced(const struct v2_sa *sa, const struct v2_how *how, const struct pki_tp *tp)
{
	const struct v2_buf *b = &sa->setup->peer_methods;
	struct v2_view a;
	size_t at = 0;
	while ((a = next_announcement(b, &at)).len) {
		if (a.p[AT_METHOD] != how->method || !linked(sa, a, tp))
			continue;
		if (how->method != V2_AUTH_DIGITAL || same_algorithm(a, how, pki_tp_key(tp)))
			return true;
	}
	return false;
}

bool v2_methods_lack_psk(const struct v2_sa *sa)
{
	const struct v2_buf *b = &sa->setup->peer_methods;
	struct v2_view a;
	size_t at = 0;
	while ((a = next_announcement(b, &at)).len)
		if (a.p[AT_METHOD] == V2_AUTH_PSK)
			return false;
	return b->len != 0;
}

/* ---- how to sign ---- */

static bool fits_key(const struct v2_how *how, enum pki_key key)
{
	if (how->key)
		return how->key == key;
	bool rsa = how->scheme == PKI_RSA_PSS || how->scheme == PKI_RSA_PKCS1;
	return rsa ? key == PKI_KEY_RSA : key == PKI_KEY_EC256 || key == PKI_KEY_EC384 || key == PKI_KEY_EC521;
}

static bool suits(enum pki_hash hash, enum pki_key key)
{
	switch (key) {
	case PKI_KEY_EC384:
		return hash == PKI_HASH_SHA384;
	case PKI_KEY_EC521:
		return hash == PKI_HASH_SHA512;
	case PKI_KEY_ED25519:
	case PKI_KEY_ED448:
		return hash == PKI_HASH_IDENTITY;
	default:
		return hash == PKI_HASH_SHA256;
	}
}

/* RFC 7427 with a hash that suits the key, else with another one that the peer takes, else RFC 7296 and 4754. */
static bool choose(const struct v2_sa *sa, const struct pki_tp *tp, bool only_announced, struct v2_how *out)
{
	enum pki_key key = pki_tp_key(tp);
	for (int best = 1; best >= 0; best--)
		for (unsigned i = 0; (*out = way(i)).method; i++) {
			bool digital = out->method == V2_AUTH_DIGITAL;
			if (!fits_key(out, key) || (best && !(digital && suits(out->hash, key))))
				continue;
			if (digital && !(sa->setup->peer_hashes & 1u << out->hash))
				continue;
			if (!only_announced || announced(sa, out, tp))
				return true;
		}
	return false;
}

bool v2_method_choose(const struct v2_sa *sa, const struct pki_tp *tp, struct v2_how *out)
{
	return choose(sa, tp, true, out) || choose(sa, tp, false, out);
}

bool v2_method_announced(const struct v2_sa *sa, const struct pki_tp *tp)
{
	struct v2_how how;
	return choose(sa, tp, true, &how);
}
