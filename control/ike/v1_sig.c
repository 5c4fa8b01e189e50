/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * RSA and ECDSA signatures (RFC 2409 5.1, RFC 4754; IKE-37, 39), by certificates or, RSA in main mode, by keys that
 * were entered by hand (IKE-38). Main mode: certificate requests in messages 3 and 4, certificates and signatures in 5
 * and 6. Aggressive mode: requests in 1 and 2, the rest in 2 and 3. Each end signs its HASH as it is, without a
 * DigestInfo or another digest. Signing and judging are work for the pool; the SA is busy meanwhile. What does decrypt
 * and does not prove itself comes from whoever exchanged keys with us: unlike with a wrong preshared key there is
 * nothing to wait for, and the SA ends.
 */
#include <stdlib.h>
#include <string.h>

#include "v1_internal.h"

#define CERT_X509 4u		/* X.509 Certificate - Signature (RFC 2408 3.9) */
#define CERT_X509_ENCRYPTION 5u /* X.509 Certificate - Key Exchange */
#define CERTREQ_MAX 16u		/* CAs named to the peer */

static enum pki_key cert_key(const struct cfg_ike_profile *p, enum cfg_ike_auth auth)
{
	bool rsa = auth == CFG_AUTH_RSA_SIG, ec = auth == CFG_AUTH_ECDSA_SIG;
	for (unsigned i = 0; p && i < p->n_trust_point; i++) {
		enum pki_key k = pki_tp_key(p->trust[i]);
		if ((rsa && k == PKI_KEY_RSA) || (ec && k >= PKI_KEY_EC256 && k <= PKI_KEY_EC521))
			return k;
	}
	return PKI_KEY_NONE;
}

/* Our pair without a certificate signs where no certificate does. */
static struct pki_rsa *bare_key(const struct cfg_ike_profile *p)
{
	return p && p->rsa_pair_ref && !cert_key(p, CFG_AUTH_RSA_SIG) ? p->rsa_pair_ref->signs : NULL;
}

enum pki_key v1_sig_key(const struct cfg_ike_profile *p, enum cfg_ike_auth auth)
{
	return auth == CFG_AUTH_RSA_SIG && bare_key(p) ? PKI_KEY_RSA : cert_key(p, auth);
}

unsigned v1_can_sign(const struct ike *ike, const struct cfg_ike_profile *p)
{
	unsigned can = 0;
	for (unsigned i = 0; i < ike->cfg->n_ike_policy; i++) {
		enum cfg_ike_auth auth = ike->cfg->ike_policy[i].auth;
		if (cert_key(p, auth))
			can |= auth == CFG_AUTH_RSA_SIG ? V1_CAN_RSA_SIG : V1_CAN_ECDSA_SIG;
	}
	return p->xauth == CFG_XAUTH_OFF ? can : can & ~V1_CAN_ECDSA_SIG; /* no method says that a login follows */
}

/*
 * IKE-38: do policies allow signatures, and are there a pair of ours and a key of the peer's that was entered by hand?
 * One that only a name leads to, perhaps.
 */
static bool can_sign_bare(
	const struct ike *ike, const struct cfg_ike_profile *p, const struct ike_path *path, const struct cv_addr *peer)
{
	bool policy = false;
	for (unsigned i = 0; i < ike->cfg->n_ike_policy; i++)
		policy |= ike->cfg->ike_policy[i].auth == CFG_AUTH_RSA_SIG;
	return policy && bare_key(p) &&
	       (config_rsa_by_addr(ike->cfg, p, path->vrf, &path->local, peer, CFG_RSA_SIGNATURE) ||
		       config_rsa_by_name_only(ike->cfg, p, path->vrf, &path->local, CFG_RSA_SIGNATURE));
}

unsigned v1_methods(const struct ike *ike, const struct cfg_ike_profile *p, const struct ike_path *path,
	const struct cv_addr *peer, bool initiator)
{
	return v1_psk_method(ike_psk_for(ike, p, path, peer, NULL)) | v1_can_sign(ike, p) |
	       (can_sign_bare(ike, p, path, peer) ? V1_CAN_RSA_SIG : 0) |
	       (v1_can_nonce(ike, p, path, peer, initiator) ? V1_CAN_RSA_ENCR : 0);
}

bool v1_sig_same_key(const struct v1_sa *v, const struct cfg_ike_profile *p)
{
	const struct cfg_rsa_public *k;
	if (!v->mm->peer_rsa)
		return v1_sig_same_trust(v->sa.profile, p);
	k = v1_rsa_of_id(v, p, &v->id_peer, CFG_RSA_SIGNATURE);
	return k && pki_rsa_eq(k->key, v->mm->peer_rsa);
}

bool v1_sig_same_trust(const struct cfg_ike_profile *a, const struct cfg_ike_profile *b)
{
	if (a->n_trust_point != b->n_trust_point)
		return false;
	for (unsigned i = 0; i < a->n_trust_point; i++)
		if (a->trust[i] != b->trust[i])
			return false;
	return true;
}

/* ---- certificate requests ---- */

static void put_requests(const struct cfg_ike_profile *p, uint8_t kind, struct v1_out *o)
{
	unsigned n = 0;
	for (unsigned i = 0; i < p->n_trust_point; i++)
		for (unsigned k = 0; k < pki_tp_n_ca(p->trust[i]) && n < CERTREQ_MAX; k++, n++) {
			struct pki_blob name = pki_tp_ca_name(p->trust[i], k);
			v1_out_begin(o, V1_PL_CERT_REQ);
			v1_out_u8(o, kind);
			v1_out_put(o, name.p, name.len);
			v1_out_end(o);
		}
}

void v1_put_certreq(const struct v1_sa *v, struct v1_out *o)
{
	if (!v->sig_key || !v->sa.profile)
		return;
	put_requests(v->sa.profile, CERT_X509, o);
	if (v1_learns(v)) /* IKE-42 */
		put_requests(v->sa.profile, CERT_X509_ENCRYPTION, o);
}

/* Does the message ask for a certificate of this kind that one of our trust point's CAs has issued? */
static bool asks_for(const struct v1_msg *m, uint8_t kind, const struct pki_tp *tp)
{
	const struct v1_payload *r;
	for (unsigned i = 0; (r = v1_find(m, V1_PL_CERT_REQ, i)); i++)
		if (r->body.p[0] == kind &&
			pki_tp_issued_by_name(tp, (struct pki_blob){r->body.p + 1, r->body.len - 1}))
			return true;
	return false;
}

static unsigned asked_for(const void *msg, const struct pki_tp *tp)
{
	return msg && asks_for(msg, CERT_X509, tp);
}

static void heed_encryption_request(struct v1_sa *v, const struct v1_msg *m)
{
	v->mm->encryption_cert_asked = v->own_tp && asks_for(m, CERT_X509_ENCRYPTION, v->own_tp);
}

void v1_choose_cert(struct v1_sa *v, const struct v1_msg *m)
{
	if (v->sig_key && v->sa.profile)
		ike_tp_choose(&v->own_tp, v->sa.profile, 1u << v->sig_key, asked_for, m);
	if (m)
		heed_encryption_request(v, m);
}

/* ---- the work on the pool ---- */

#define TRUST_MAX 16u

struct v1_sig_job {
	struct ike_job j; /* first */
	bool verify, sign;
	enum pki_key key; /* of both ends */
	bool sealed;	  /* the peer's message was encrypted */
	/* the peer's message, kept: m points into buf */
	struct ike_path path;
	bool natt;
	uint8_t raw[V1_MSG_MAX], buf[V1_MSG_MAX], next_iv[V1_IV_MAX];
	struct v1_msg m;
	uint8_t id[V1_ID_HEAD + IKE_ID_MAX]; /* body of the peer's ID payload */
	size_t id_len;
	struct v1_span sig;
	struct pki_tp *trust[TRUST_MAX];
	unsigned n_trust;
	uint8_t hash[IKEC_PRF_MAX]; /* what the peer has signed */
	size_t hash_len;
	struct pki_peer *peer;
	bool learns;		     /* a certificate for encryption is of use, too */
	struct pki_peer *encryption; /* it; NULL = none that is good */
	struct pki_rsa *peer_rsa;    /* the peer's key entered by hand; NULL = its certificate has it */
	struct pki_tp *own;
	bool show_encryption;	 /* its certificate for encryption, too */
	struct pki_rsa *own_rsa; /* own NULL: without a certificate */
	uint8_t own_hash[IKEC_PRF_MAX];
	uint8_t own_sig[PKI_SIG_MAX];
	size_t own_sig_len;
	const char *why; /* NULL = good */
};

static enum pki_scheme scheme_of(enum pki_key key)
{
	return key == PKI_KEY_RSA ? PKI_RSA_RAW : PKI_ECDSA_RAW;
}

/* The certificates of a kind in the peer's message, behind those of before. Returns how many there are now. */
static unsigned certificates(const struct v1_msg *m, uint8_t kind, struct pki_blob cert[PKI_CHAIN_MAX], unsigned n)
{
	const struct v1_payload *c;
	for (unsigned i = 0; n < PKI_CHAIN_MAX && (c = v1_find(m, V1_PL_CERT, i)); i++)
		if (c->body.p[0] == kind)
			cert[n++] = (struct pki_blob){c->body.p + 1, c->body.len - 1};
	return n;
}

/* IKE-42: the peer's certificate for encryption, which may have the same issuers as the other. A bad one is none. */
static void judge_encryption(struct v1_sig_job *job, const struct v1_id *id)
{
	struct pki_blob cert[PKI_CHAIN_MAX];
	unsigned n = certificates(&job->m, CERT_X509_ENCRYPTION, cert, 0);
	const char *why = NULL;
	if (!job->learns || !n)
		return;
	n = certificates(&job->m, CERT_X509, cert, n);
	if (pki_peer_check_encryption(job->trust, job->n_trust, cert, n, &job->encryption, &why) != 0)
		cv_debug("ike", "IKEv1: certificate for encryption: %s", why);
	else if (!pki_peer_has_id(job->encryption, id->type, id->data.p, id->data.len)) {
		cv_debug("ike", "IKEv1: certificate for encryption: the peer's identity is not in it");
		pki_peer_free(job->encryption);
		job->encryption = NULL;
	}
}

static void verify(struct v1_sig_job *job)
{
	struct pki_blob cert[PKI_CHAIN_MAX];
	struct v1_id id = v1_id_read(v1_span_of(job->id, job->id_len));
	unsigned n;
	if (job->peer_rsa) {
		if (pki_rsa_verify(job->peer_rsa, job->hash, job->hash_len, job->sig.p, job->sig.len) != 0)
			job->why = "the peer's signature is wrong";
		return;
	}
	n = certificates(&job->m, CERT_X509, cert, 0);
	if (!n)
		job->why = "the peer has sent no certificate, and no key of its was entered";
	else if (pki_peer_check(job->trust, job->n_trust, cert, n, &job->peer, &job->why) != 0)
		return;
	else if (!pki_peer_has_id(job->peer, id.type, id.data.p, id.data.len))
		job->why = "the peer's identity is not in its certificate";
	else if (pki_peer_key(job->peer) != job->key ||
		 pki_verify(job->peer, scheme_of(job->key), 0, job->hash, job->hash_len, job->sig.p, job->sig.len) != 0)
		job->why = "the peer's signature is wrong";
	else
		judge_encryption(job, &id);
}

static int sign(struct v1_sig_job *job)
{
	if (job->own_rsa)
		return pki_rsa_sign(job->own_rsa, job->own_hash, job->hash_len, job->own_sig, &job->own_sig_len);
	return pki_sign(
		job->own, scheme_of(job->key), 0, job->own_hash, job->hash_len, job->own_sig, &job->own_sig_len);
}

static void work(struct ike_job *j)
{
	struct v1_sig_job *job = (struct v1_sig_job *)j;
	if (job->verify)
		verify(job);
	if (job->sign && !job->why && sign(job) != 0)
		job->why = "cannot sign with our key";
}

static void release(struct v1_sig_job *job)
{
	for (unsigned i = 0; i < job->n_trust; i++)
		pki_tp_unref(job->trust[i]);
	pki_tp_unref(job->own);
	pki_rsa_unref(job->own_rsa);
	pki_rsa_unref(job->peer_rsa);
	pki_peer_free(job->peer);
	pki_peer_free(job->encryption);
	cv_secret_zero(job->buf, sizeof(job->buf));
}

static void put_certificate(struct v1_out *o, uint8_t kind, struct pki_blob cert)
{
	v1_out_begin(o, V1_PL_CERT);
	v1_out_u8(o, kind);
	v1_out_put(o, cert.p, cert.len);
	v1_out_end(o);
}

void v1_sig_put(const struct v1_sig_job *job, struct v1_out *o)
{
	struct pki_blob cert[PKI_CHAIN_MAX];
	unsigned n = job->own ? pki_tp_chain(job->own, cert) : 0;
	for (unsigned i = 0; i < n; i++)
		put_certificate(o, CERT_X509, cert[i]);
	if (job->show_encryption)
		put_certificate(o, CERT_X509_ENCRYPTION, pki_tp_encryption_cert(job->own));
	v1_out_payload(o, V1_PL_SIG, job->own_sig, job->own_sig_len);
}

/* Message 5 or 6, or message 3 of aggressive mode. */
static bool send_signed(struct v1_sa *v, const struct v1_sig_job *job)
{
	struct v1_out o;
	uint8_t id[V1_ID_HEAD + IKE_ID_MAX];
	size_t id_len = v1_own_id(v, id);
	v1_begin(v, &o, v->aggressive ? V1_EX_AGGRESSIVE : V1_EX_MAIN, V1_FLAG_ENCRYPTED, 0);
	if (!v->aggressive)
		v1_out_payload(&o, V1_PL_ID, id, id_len);
	v1_sig_put(job, &o);
	if (v->aggressive)
		v1_put_nat_d(v, &o);
	v1_put_contact(v, &o);
	return v1_auth_transmit(v, &o);
}

/* The peer has proved itself. */
static void accept_peer(struct v1_sa *v, struct v1_sig_job *job)
{
	if (job->peer) {
		v1_limit_lifetime(v, job->peer);
		v1_learn(v, job->encryption ? job->encryption : job->peer, job->encryption != NULL);
	}
	v->sa.name_proven |= job->peer_rsa != NULL; /* it was chosen by the identity */
	ike_proof_take(&v->sa, job->peer, &v->id_peer);
	if (v->aggressive && !v->sa.initiator)
		v1_tx_free(v, &v->tx); /* as with preshared keys: a repeated message 3 is not to be answered */
	v1_auth_proved(v, &job->path, job->natt, &job->m, job->raw, job->next_iv);
	if (v->aggressive && !v->sa.initiator)
		v1_detect_nat(v, &job->m);
	else if (v->aggressive)
		v1_natt_move(v);
}

static void refuse(struct v1_sa *v, const struct v1_sig_job *job)
{
	char text[CV_ADDR_STR];
	if (v->aggressive && !v->sa.initiator && job->verify && !job->sealed) {
		v1_bad_auth(v, &job->path, job->natt, &job->m.h); /* anybody's: the right one may still come */
		return;
	}
	cv_notice("ike", "IKEv1: %s: %s", cv_addr_str(&v->sa.path.remote, text), job->why);
	if (job->verify) {
		v->sa.bad++;
		v->sa.ike->stats.auth_failed++;
		v1_notify_clear(v->sa.ike, &job->path, job->natt, &job->m.h, V1_N_AUTHENTICATION_FAILED);
		if (v->sa.initiator != v->aggressive) { /* the peer is done: it has to learn that there is no SA */
			memcpy(v->k.iv, job->next_iv, V1_IV_MAX);
			v->sa.state = V1_CONF_XAUTH; /* the keys are final */
			v1_send_delete_sa(v);
		}
	}
	v1_fail(v, "authentication failed");
}

static void judged(struct v1_sa *v, struct v1_sig_job *job)
{
	v->mm->busy = false;
	if (job->why) {
		refuse(v, job);
		return;
	}
	if (job->verify) {
		pki_rsa_unref(v->mm->peer_rsa);
		v->mm->peer_rsa = job->peer_rsa ? pki_rsa_ref(job->peer_rsa) : NULL;
		v1_take_id(&v->id_peer, v1_span_of(job->id, job->id_len));
		if (!v1_identity_ok(v)) {
			v1_identity_refused(v, &job->path, job->natt, &job->m.h);
			return;
		}
		accept_peer(v, job);
	}
	if (v->aggressive && !job->verify)
		v1_aggr_signed(v, job);
	else if (job->sign && !send_signed(v, job))
		v1_fail(v, "encryption failed");
	else if (job->verify)
		v1_auth_done(v);
}

static void done(struct ike_job *j)
{
	struct v1_sig_job *job = (struct v1_sig_job *)j;
	if (j->sa)
		judged(v1_of(j->sa), job);
	release(job);
}

static struct v1_sig_job *job_new(const struct v1_sa *v)
{
	struct v1_sig_job *job = calloc(1, sizeof(*job));
	if (job) {
		job->j.work = work;
		job->j.done = done;
		job->key = v->sig_key;
	}
	return job;
}

static bool prepare_sign(struct v1_sa *v, struct v1_sig_job *job)
{
	uint8_t id[V1_ID_HEAD + IKE_ID_MAX];
	job->sign = true;
	job->hash_len = ikec_prf_len(v1_auth_prf(v));
	struct pki_rsa *bare = v->own_tp ? NULL : bare_key(v->sa.profile);
	if ((!v->own_tp && !bare) || v1_auth_hash(v, v->sa.initiator, v1_span_of(id, v1_own_id(v, id)), job->own_hash))
		return false;
	job->own = v->own_tp ? pki_tp_ref(v->own_tp) : NULL;
	job->show_encryption = job->own && v->mm->encryption_cert_asked && pki_tp_encryption_cert(job->own).len;
	job->own_rsa = bare ? pki_rsa_ref(bare) : NULL;
	return true;
}

void v1_sig_start(struct v1_sa *v)
{
	struct v1_sig_job *job = job_new(v);
	if (!job || !prepare_sign(v, job)) {
		free(job);
		v1_fail(v, "cannot sign with our key");
		return;
	}
	v->mm->busy = true;
	ike_job_run(v->sa.ike, &v->sa, &job->j);
}

/* Into job->m: 0 or a notify type. */
static unsigned open_message(struct v1_sa *v, struct v1_sig_job *job, const struct v1_hdr *h, const uint8_t *data)
{
	job->sealed = h->flags & V1_FLAG_ENCRYPTED;
	if (job->sealed || !v->aggressive)
		return v1_decrypt(v, v->k.iv, h, data, job->buf, job->next_iv, &job->m);
	memcpy(job->next_iv, v->k.iv, V1_IV_MAX);
	memcpy(job->buf, data + V1_HDR_LEN, h->len - V1_HDR_LEN);
	return v1_chain_parse(h, job->buf, h->len - V1_HDR_LEN, false, &job->m);
}

/* Decrypt, and find all that there must be: false when it is not what it should be. */
static bool read_signed(struct v1_sa *v, struct v1_sig_job *job, const struct v1_hdr *h, const uint8_t *data)
{
	const struct v1_payload *id, *sig;
	struct v1_span body = v1_span_of(v->mm->id_peer, v->mm->id_peer_len); /* aggressive mode: it came before */
	if (open_message(v, job, h, data) || !(sig = v1_find(&job->m, V1_PL_SIG, 0)) ||
		v1_count(&job->m, V1_PL_SIG) != 1)
		return false;
	if (!v->aggressive) {
		if (!(id = v1_find(&job->m, V1_PL_ID, 0)) || v1_count(&job->m, V1_PL_ID) != 1)
			return false;
		body = id->body;
	}
	if (body.len > sizeof(job->id))
		return false;
	memcpy(job->id, body.p, body.len);
	job->id_len = body.len;
	memcpy(job->raw, data, h->len);
	job->sig = sig->body;
	job->hash_len = ikec_prf_len(v1_auth_prf(v));
	return v1_auth_hash(v, !v->sa.initiator, body, job->hash) == 0;
}

/* IKE-38: a peer that shows no certificate may have a key that was entered by hand for the identity it gives. */
static void meet_bare_key(struct v1_sa *v, struct v1_sig_job *job)
{
	const struct cfg_rsa_public *k;
	struct ike_id id;
	if (job->key != PKI_KEY_RSA || v1_find(&job->m, V1_PL_CERT, 0))
		return;
	v1_take_id(&id, v1_span_of(job->id, job->id_len));
	k = v1_rsa_of_id(v, v->sa.profile, &id, CFG_RSA_SIGNATURE);
	job->peer_rsa = k ? pki_rsa_ref(k->key) : NULL;
}

/*
 * The peer's certificate may lead to another profile than its address did (CERTMAP-5, 12), whose trust points then
 * judge it (CERTMAP-13). Our own certificate is one of that profile's.
 */
static void meet_certificate(struct v1_sa *v, const struct v1_msg *m)
{
	const struct v1_payload *c;
	unsigned i = 0;
	while ((c = v1_find(m, V1_PL_CERT, i)) && c->body.p[0] != CERT_X509)
		i++;
	if (!c)
		return;
	struct pki_blob cert = {c->body.p + 1, c->body.len - 1};
	if (v->sa.initiator) {
		v->mm->by_map = ike_cert_fits(&v->sa, cert);
		return;
	}
	const struct cfg_map_entry *e = ike_entry_by_cert(&v->sa, cert);
	if (!e)
		return;
	v->mm->by_map = true;
	v->sa.entry = e;
	v->sa.profile = e->profile_ref;
	if (v->aggressive)
		return; /* ours has been shown */
	for (unsigned k = 0; k < v->sa.profile->n_trust_point; k++)
		if (v->sa.profile->trust[k] == v->own_tp)
			return;
	v1_choose_cert(v, NULL);
}

void v1_sig_input(struct v1_sa *v, const struct ike_path *path, bool natt, const struct v1_hdr *h, const uint8_t *data)
{
	struct v1_sig_job *job = job_new(v);
	if (!job || !v->sa.profile || !read_signed(v, job, h, data)) {
		free(job);
		v1_bad_auth(v, path, natt, h);
		if (v->aggressive && v->sa.initiator) /* nothing else is to come */
			v1_fail(v, V1_WRONG_CERT);
		return;
	}
	if (v->aggressive && v->sa.initiator)
		heed_encryption_request(v, &job->m);
	meet_certificate(v, &job->m);
	meet_bare_key(v, job);
	const struct cfg_ike_profile *p = v->sa.profile;
	job->verify = true;
	job->learns = v1_learns(v);
	job->path = *path;
	job->natt = natt;
	for (; job->n_trust < p->n_trust_point && job->n_trust < TRUST_MAX; job->n_trust++)
		job->trust[job->n_trust] = pki_tp_ref(p->trust[job->n_trust]);
	if (v->aggressive == v->sa.initiator && !prepare_sign(v, job)) {
		release(job);
		free(job);
		v1_fail(v, "cannot sign with our key");
		return;
	}
	if (!v->aggressive)
		ike_timer_stop(v->sa.ike, &v->tx.timer);
	v->mm->busy = true;
	ike_job_run(v->sa.ike, &v->sa, &job->j);
}
