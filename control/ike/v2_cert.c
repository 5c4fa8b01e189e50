/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Certificates and signatures in IKE_AUTH (RFC 7296 2.15, 3.6 to 3.8; RFC 7427, RFC 4754, RFC 8420): which of our keys
 * signs and how, what we ask of the peer, and the work of both on the public-key pool.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "v2_int.h"

#define HASHES_OURS 4u	/* SHA2-256, 384, 512 and Identity; SHA-1 is refused (RFC 8247 4) */
#define CERTREQ_IDS 32u /* CAs named to the peer; it may choose by itself beyond that */
#define CERT_X509 4	/* X.509 Certificate - Signature (RFC 7296 3.6) */

/* ---- IKE_SA_INIT ---- */

void v2_enc_hash_algorithms(struct v2_enc *e)
{
	static const uint8_t ours[2 * HASHES_OURS] = {
		0, PKI_HASH_SHA256, 0, PKI_HASH_SHA384, 0, PKI_HASH_SHA512, 0, PKI_HASH_IDENTITY};
	v2_enc_notify(e, V2_N_SIGNATURE_HASH_ALGORITHMS, ours, sizeof(ours));
}

void v2_take_hash_algorithms(struct v2_sa *sa, const struct v2_msg *m)
{
	const struct v2_notify *n = v2_find_notify(m, V2_N_SIGNATURE_HASH_ALGORITHMS);
	for (size_t i = 0; n && i + 1 < n->data.len; i += 2) {
		uint16_t h = v2_get16(n->data.p + i);
		if (h < 16)
			sa->setup->peer_hashes |= (uint16_t)(1u << h);
	}
}

void v2_certreq_of(const struct cfg_ike_profile *p, struct v2_buf *out)
{
	uint8_t ids[CERTREQ_IDS * PKI_KEYID_LEN];
	size_t n = 0;
	v2_buf_free(out);
	for (unsigned i = 0; p->remote_auth == CFG_METHOD_SIGNATURE && i < p->n_trust_point; i++)
		for (unsigned k = 0; k < pki_tp_n_ca(p->trust[i]) && n < sizeof(ids); k++, n += PKI_KEYID_LEN)
			memcpy(ids + n, pki_tp_ca_keyid(p->trust[i], k), PKI_KEYID_LEN);
	if (n)
		v2_buf_set(out, ids, n);
}

void v2_enc_certreq(struct v2_enc *e, const struct v2_buf *ids)
{
	if (!ids->len)
		return;
	v2_enc_begin(e, V2_PL_CERTREQ);
	v2_enc_u8(e, CERT_X509);
	v2_enc_bytes(e, ids->p, ids->len);
	v2_enc_end(e);
}

/*
 * How good is it to show the certificate of tp: one whose signature the peer has announced to understand (RFC 9593)
 * before one whose CA it has asked for.
 */
static unsigned rank(const void *of, const struct pki_tp *tp)
{
	const struct v2_sa *sa = of;
	const struct v2_buf *cas = &sa->setup->peer_cas;
	bool asked = false;
	for (size_t k = 0; k < cas->len && !asked; k += PKI_KEYID_LEN)
		asked = pki_tp_issued_by(tp, cas->p + k);
	return 2u * v2_method_announced(sa, tp) + asked;
}

void v2_choose_cert(struct v2_sa *sa, const struct v2_msg *m)
{
	v2_take_certreqs(sa, m);
	v2_take_methods(sa, m);
	if (sa->sa.profile->local_auth == CFG_METHOD_SIGNATURE)
		ike_tp_choose(&sa->setup->own_tp, sa->sa.profile, ~(1u << PKI_KEY_NONE), rank, sa);
	else if (v2_methods_lack_psk(sa))
		cv_notice("ike", "the peer does not announce that it takes preshared keys, which the profile has");
}

int v2_id_local(struct v2_sa *sa)
{
	return ike_id_own(sa->sa.ike->cfg, sa->sa.profile, &sa->sa.path.local, sa->setup->own_tp, &sa->setup->id_local);
}

void v2_enc_certs(struct v2_enc *e, const struct v2_sa *sa)
{
	struct pki_blob cert[PKI_CHAIN_MAX];
	unsigned n = sa->setup->own_tp ? pki_tp_chain(sa->setup->own_tp, cert) : 0;
	for (unsigned i = 0; i < n; i++) {
		v2_enc_begin(e, V2_PL_CERT);
		v2_enc_u8(e, CERT_X509);
		v2_enc_bytes(e, cert[i].p, cert[i].len);
		v2_enc_end(e);
	}
}

/* ---- how the peer has signed ---- */

/* What its AUTH payload says, held against what we have offered. */
static bool how_signed(const struct v2_sa *sa, const struct v2_msg *m, struct v2_how *out, struct v2_view *sig)
{
	*sig = m->auth;
	out->method = m->auth_method;
	switch (m->auth_method) {
	case V2_AUTH_RSA:
		/* SHA-1: only from a peer that knows nothing better */
		*out = (struct v2_how){V2_AUTH_RSA, PKI_RSA_PKCS1, PKI_HASH_SHA1, PKI_KEY_RSA};
		return !sa->setup->peer_hashes;
	case V2_AUTH_ECDSA256:
		*out = (struct v2_how){V2_AUTH_ECDSA256, PKI_ECDSA_CONCAT, PKI_HASH_SHA256, PKI_KEY_EC256};
		return true;
	case V2_AUTH_ECDSA384:
		*out = (struct v2_how){V2_AUTH_ECDSA384, PKI_ECDSA_CONCAT, PKI_HASH_SHA384, PKI_KEY_EC384};
		return true;
	case V2_AUTH_ECDSA521:
		*out = (struct v2_how){V2_AUTH_ECDSA521, PKI_ECDSA_CONCAT, PKI_HASH_SHA512, PKI_KEY_EC521};
		return true;
	case V2_AUTH_DIGITAL:
		break;
	default:
		return false;
	}
	size_t n =
		m->auth.len ? m->auth.p[0] : 0; /* RFC 7427 3: length of the AlgorithmIdentifier, itself, signature */
	if (!n || m->auth.len <= 1 + n || pki_sig_parse(m->auth.p + 1, n, &out->scheme, &out->hash) != 0 ||
		out->hash == PKI_HASH_SHA1)
		return false;
	*sig = (struct v2_view){m->auth.p + 1 + n, m->auth.len - 1 - n};
	return true;
}

/* ---- the work on the pool ---- */

#define TRUST_MAX 16u

struct cert_job {
	struct ike_job j;
	void (*then)(struct v2_sa *sa, struct v2_msg *m, const char *why);
	/* the peer's message, kept: m points into it */
	uint8_t *inner;
	struct v2_msg m;
	bool verify, sign;
	struct pki_tp *trust[TRUST_MAX];
	unsigned n_trust;
	struct v2_how theirs;
	struct v2_view sig;
	struct ike_id id;
	struct v2_buf octets; /* what the peer has signed */
	struct pki_peer *peer;
	/* ours */
	struct pki_tp *own;
	struct v2_how how;
	struct v2_buf own_octets, own_octets_no_ppk; /* the second only with an optional post-quantum key */
	uint8_t own_sig[1 + 255 + PKI_SIG_MAX], own_sig_no_ppk[1 + 255 + PKI_SIG_MAX];
	size_t own_len, own_len_no_ppk;
	const char *why; /* NULL = good */
};

static void verify(struct cert_job *job)
{
	struct pki_blob cert[PKI_CHAIN_MAX];
	for (unsigned i = 0; i < job->m.n_cert; i++)
		cert[i] = (struct pki_blob){job->m.cert[i].p, job->m.cert[i].len};
	if (pki_peer_check(job->trust, job->n_trust, cert, job->m.n_cert, &job->peer, &job->why) != 0)
		return;
	if (!pki_peer_has_id(job->peer, job->id.type, job->id.data, job->id.len))
		job->why = "the peer's identity is not in its certificate";
	else if (pki_verify(job->peer, job->theirs.scheme, job->theirs.hash, job->octets.p, job->octets.len, job->sig.p,
			 job->sig.len) != 0)
		job->why = "the peer's signature is wrong";
}

/* AUTH data into sig: with RFC 7427 the algorithm comes before the signature. */
static void sign(struct cert_job *job, const struct v2_buf *octets, uint8_t *sig, size_t *len)
{
	size_t n = 0;
	if (job->how.method == V2_AUTH_DIGITAL) {
		struct pki_blob alg = pki_sig_algid(job->how.scheme, job->how.hash, pki_tp_key(job->own));
		sig[0] = (uint8_t)alg.len;
		memcpy(sig + 1, alg.p, alg.len);
		n = 1 + alg.len;
	}
	if (pki_sign(job->own, job->how.scheme, job->how.hash, octets->p, octets->len, sig + n, len) != 0)
		job->why = "cannot sign with our key";
	*len += n;
}

static void cert_work(struct ike_job *j)
{
	struct cert_job *job = (struct cert_job *)j;
	if (job->verify)
		verify(job);
	if (job->sign && !job->why)
		sign(job, &job->own_octets, job->own_sig, &job->own_len);
	if (job->sign && !job->why && job->own_octets_no_ppk.len)
		sign(job, &job->own_octets_no_ppk, job->own_sig_no_ppk, &job->own_len_no_ppk);
}

static void cert_done(struct ike_job *j)
{
	struct cert_job *job = (struct cert_job *)j;
	struct v2_sa *sa = j->sa ? v2_of(j->sa) : NULL;
	if (sa) {
		if (!job->why && job->sign) {
			v2_buf_set(&sa->setup->own_auth, job->own_sig, job->own_len);
			sa->setup->own_auth_method = job->how.method;
			if (job->own_len_no_ppk)
				v2_buf_set(&sa->setup->own_auth_no_ppk, job->own_sig_no_ppk, job->own_len_no_ppk);
		}
		if (!job->why && job->peer)
			ike_proof_take(&sa->sa, job->peer, &sa->setup->id_peer);
		job->then(sa, job->inner ? &job->m : NULL, job->why);
	}
	for (unsigned i = 0; i < job->n_trust; i++)
		pki_tp_unref(job->trust[i]);
	pki_tp_unref(job->own);
	pki_peer_free(job->peer);
	v2_buf_free(&job->octets);
	v2_buf_free(&job->own_octets);
	v2_buf_free(&job->own_octets_no_ppk);
	free(job->inner);
}

/* Keep the message beyond the call that brought it: the payloads are parsed again from a copy. */
static const char *keep_message(struct cert_job *job, const struct v2_msg *m)
{
	const char *why = "out of memory";
	job->inner = malloc(m->inner.len ? m->inner.len : 1);
	if (!job->inner)
		return why;
	memcpy(job->inner, m->inner.p, m->inner.len);
	job->m.h = m->h;
	return v2_parse_payloads(&job->m, m->inner_first, job->inner, m->inner.len, true, &why) ? why : NULL;
}

static const char *prepare_verify(struct v2_sa *sa, struct cert_job *job)
{
	const struct cfg_ike_profile *p = sa->sa.profile;
	struct v2_view id = sa->sa.initiator ? job->m.idr : job->m.idi;
	v2_ppk_pick_auth(sa, &job->m);
	if (!how_signed(sa, &job->m, &job->theirs, &job->sig))
		return "the peer's authentication method is not one the profile allows";
	if (v2_auth_octets(sa, !sa->sa.initiator, id.p, id.len, &job->octets) != 0)
		return "cannot compute what the peer signs";
	job->id = sa->setup->id_peer;
	for (; job->n_trust < p->n_trust_point && job->n_trust < TRUST_MAX; job->n_trust++)
		job->trust[job->n_trust] = pki_tp_ref(p->trust[job->n_trust]);
	return NULL;
}

static const char *prepare_sign(struct v2_sa *sa, struct cert_job *job)
{
	uint8_t body[4 + IKE_ID_MAX];
	if (!sa->setup->own_tp)
		return "no certificate of our own";
	if (!v2_method_choose(sa, sa->setup->own_tp, &job->how))
		return "the peer takes no signature of our key";
	if (v2_auth_octets(sa, sa->sa.initiator, body, v2_id_body(&sa->setup->id_local, body), &job->own_octets) != 0)
		return "cannot compute what we sign";
	if (v2_ppk_alternative(sa)) {
		v2_ppk_swap(sa);
		int err =
			v2_auth_octets(sa, true, body, v2_id_body(&sa->setup->id_local, body), &job->own_octets_no_ppk);
		v2_ppk_swap(sa);
		if (err)
			return "cannot compute what we sign";
	}
	job->own = pki_tp_ref(sa->setup->own_tp);
	return NULL;
}

void v2_cert_run(struct v2_sa *sa, const struct v2_msg *m, bool check_peer, bool sign_own,
	void (*then)(struct v2_sa *sa, struct v2_msg *m, const char *why))
{
	struct cert_job *job = calloc(1, sizeof(*job));
	if (!job)
		abort();
	job->j.work = cert_work;
	job->j.done = cert_done;
	job->then = then;
	job->verify = check_peer;
	job->sign = sign_own;
	if (m)
		job->why = keep_message(job, m);
	if (!job->why && check_peer)
		job->why = prepare_verify(sa, job);
	if (!job->why && sign_own)
		job->why = prepare_sign(sa, job);
	if (job->why)
		job->verify = job->sign = false; /* nothing to do but to say so, on the same way */
	ike_job_run(sa->sa.ike, &sa->sa, &job->j);
}
