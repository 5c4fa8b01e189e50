/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * RSA encrypted nonces in main mode (RFC 2409 5.2; IKE-39..46): each end encrypts its identity and its nonce with the
 * other's public key, and proves by HASH_I or HASH_R that it could read what it was sent. Keys are entered by hand, or
 * were learned from certificates (v1_learn.c).
 *
 * What comes encrypted, comes from anybody, so nothing that we do may depend on whether its padding was right
 * (pki_rsa.c): a nonce that was none only leads to other keys, and message 5 or 6 fails as with any wrong key. An
 * identity that was none is one that we do not know, like any stranger's: the address decides then whether there is an
 * answer. Both are always decrypted before either is looked at.
 */
#include <stdlib.h>
#include <string.h>

#include "v1_internal.h"

#define ID_MIN (V1_ID_HEAD + 1u)
#define NONCE_MIN 8u /* RFC 2409 5 */

struct v1_nonce_job {
	struct ike_job j; /* first */
	struct pki_rsa *own;
	uint8_t sealed_id[PKI_SIG_MAX], sealed_nonce[PKI_SIG_MAX];
	size_t len; /* of both */
	uint8_t id[V1_ID_HEAD + IKE_ID_MAX];
	struct v1_buf nonce;
	size_t id_len, nonce_len;
	int err;
	void (*done)(struct v1_sa *v);
};

/* ---- keys ---- */

/* Our own pair, and the trust point it belongs to or NULL. */
static struct pki_rsa *own_pair(const struct cfg_ike_profile *p, struct pki_tp **tp)
{
	*tp = NULL;
	if (p->rsa_pair_ref)
		return p->rsa_pair_ref->decrypts;
	for (unsigned i = 0; i < p->n_trust_point; i++)
		if (pki_tp_decrypts(p->trust[i])) {
			*tp = p->trust[i];
			return pki_tp_decrypts(*tp);
		}
	return NULL;
}

static bool has_policy(const struct cv_config *cfg)
{
	for (unsigned i = 0; cfg->allow_legacy && i < cfg->n_ike_policy; i++)
		if (cfg->ike_policy[i].auth == CFG_AUTH_RSA_ENCR)
			return true;
	return false;
}

bool v1_nonce_wanted(const struct ike *ike)
{
	return has_policy(ike->cfg);
}

bool v1_can_nonce(const struct ike *ike, const struct cfg_ike_profile *p, const struct ike_path *path,
	const struct cv_addr *peer, bool initiator)
{
	struct pki_tp *tp;
	if (!has_policy(ike->cfg) || !own_pair(p, &tp))
		return false;
	return config_rsa_by_addr(ike->cfg, p, path->vrf, &path->local, peer, CFG_RSA_ENCRYPTION) ||
	       v1_learned(ike, p, path, peer, NULL) ||
	       (!initiator && config_rsa_by_name_only(ike->cfg, p, path->vrf, &path->local, CFG_RSA_ENCRYPTION));
}

/* A host name as text; false = the identity is something else. */
static bool name_of(const struct ike_id *id, char name[IKE_ID_MAX + 1])
{
	if (id->type != IKE_ID_FQDN || id->len > IKE_ID_MAX || memchr(id->data, 0, id->len))
		return false;
	memcpy(name, id->data, id->len);
	name[id->len] = 0;
	return true;
}

const struct cfg_rsa_public *v1_rsa_of_id(
	const struct v1_sa *v, const struct cfg_ike_profile *p, const struct ike_id *id, enum cfg_rsa_usage use)
{
	const struct cv_config *cfg = v->sa.ike->cfg;
	const struct ike_path *path = &v->sa.path;
	char name[IKE_ID_MAX + 1];
	struct cv_addr addr;
	if (name_of(id, name))
		return config_rsa_by_name(cfg, p, path->vrf, &path->local, name, use);
	return ike_id_addr(id, &addr) ? config_rsa_by_addr(cfg, p, path->vrf, &path->local, &addr, use) : NULL;
}

static const struct cfg_rsa_public *key_of_id(
	const struct v1_sa *v, const struct cfg_ike_profile *p, const struct ike_id *id)
{
	return v1_rsa_of_id(v, p, id, CFG_RSA_ENCRYPTION);
}

static const struct cfg_rsa_public *key_of_addr(const struct v1_sa *v, const struct cfg_ike_profile *p)
{
	return config_rsa_by_addr(
		v->sa.ike->cfg, p, v->sa.path.vrf, &v->sa.path.local, &v->sa.peer, CFG_RSA_ENCRYPTION);
}

/*
 * Whom do we speak with? By its identity, which an initiator does not know at first (NULL), else by its address. Fills
 * in mm->peer_rsa, and mm->learned when the key is from a certificate. False: nobody we know.
 */
static bool find_peer(struct v1_sa *v, const struct ike_id *id)
{
	const struct cfg_ike_profile *p = v->sa.profile;
	const struct cfg_rsa_public *k = p && id ? key_of_id(v, p, id) : NULL;
	const struct v1_learned *l = p && !k && id ? v1_learned(v->sa.ike, p, &v->sa.path, &v->sa.peer, id) : NULL;
	if (p && !k && !l)
		k = key_of_addr(v, p);
	if (p && !k && !l && !id)
		l = v1_learned(v->sa.ike, p, &v->sa.path, &v->sa.peer, NULL);
	pki_rsa_unref(v->mm->peer_rsa);
	pki_peer_free(v->mm->learned);
	v->mm->peer_rsa = k ? pki_rsa_ref(k->key) : l ? pki_rsa_ref(v1_learned_key(l)) : NULL;
	v->mm->learned = !k && l ? pki_peer_ref(v1_learned_peer(l)) : NULL;
	return v->mm->peer_rsa;
}

bool v1_nonce_apply(struct v1_sa *v)
{
	struct pki_tp *tp;
	struct pki_rsa *own = own_pair(v->sa.profile, &tp);
	if (!own)
		return false;
	pki_rsa_unref(v->mm->own_rsa);
	v->mm->own_rsa = pki_rsa_ref(own);
	pki_tp_unref(v->own_tp);
	v->own_tp = tp ? pki_tp_ref(tp) : NULL; /* by whose subject we call ourselves */
	return !v->sa.initiator || find_peer(v, NULL);
}

/* That of the key that decrypts. */
static struct pki_blob certificate_of(const struct pki_tp *tp)
{
	struct pki_blob chain[PKI_CHAIN_MAX] = {{NULL, 0}}, special = pki_tp_encryption_cert(tp);
	if (!special.len)
		pki_tp_chain(tp, chain);
	return special.len ? special : chain[0];
}

/* HASH(1): which of our certificates has the peer used? Without it, or with another, the first (RFC 2409 5.2). */
static void heed_hash_1(struct v1_sa *v, const struct v1_msg *m)
{
	const struct v1_payload *h = v1_find(m, V1_PL_HASH, 0);
	const struct cfg_ike_profile *p = v->sa.profile;
	uint8_t digest[IKEC_PRF_MAX];
	for (unsigned i = 0; p && h && h->body.len == v->k.hash_len && i < p->n_trust_point; i++) {
		struct pki_rsa *r = pki_tp_decrypts(p->trust[i]);
		struct pki_blob cert = r ? certificate_of(p->trust[i]) : (struct pki_blob){NULL, 0};
		if (!cert.len || ikec_hash(v->k.prf, &(struct ikec_iov){cert.p, cert.len}, 1, digest) ||
			memcmp(digest, h->body.p, h->body.len) != 0)
			continue;
		pki_rsa_unref(v->mm->own_rsa);
		v->mm->own_rsa = pki_rsa_ref(r);
		pki_tp_unref(v->own_tp);
		v->own_tp = pki_tp_ref(p->trust[i]);
		return;
	}
}

/* ---- what we send ---- */

static bool put_sealed(const struct v1_sa *v, struct v1_out *o, uint8_t type, const void *data, size_t len)
{
	uint8_t sealed[PKI_SIG_MAX];
	if (pki_rsa_encrypt(v->mm->peer_rsa, data, len, sealed))
		return false;
	v1_out_payload(o, type, sealed, pki_rsa_len(v->mm->peer_rsa));
	return true;
}

static bool put_hash_1(const struct v1_sa *v, struct v1_out *o)
{
	uint8_t digest[IKEC_PRF_MAX];
	size_t len;
	uint8_t *cert = pki_peer_der(v->mm->learned, &len);
	bool ok = cert && ikec_hash(v->k.prf, &(struct ikec_iov){cert, len}, 1, digest) == 0;
	free(cert);
	if (ok)
		v1_out_payload(o, V1_PL_HASH, digest, v->k.hash_len);
	return ok;
}

bool v1_nonce_put(struct v1_sa *v, struct v1_out *o, const struct v1_ke *ke, const struct v1_buf *nonce)
{
	uint8_t id[V1_ID_HEAD + IKE_ID_MAX];
	size_t id_len = v1_own_id(v, id);
	v1_out_payload(o, V1_PL_KE, ke->p, ke->len);
	if (v->sa.initiator && v->mm->learned && !put_hash_1(v, o))
		return false;
	return put_sealed(v, o, V1_PL_ID, id, id_len) && put_sealed(v, o, V1_PL_NONCE, nonce->p, nonce->len);
}

/* ---- what we are sent ---- */

void v1_nonce_free(struct v1_nonce_job *job)
{
	if (!job)
		return;
	pki_rsa_unref(job->own);
	cv_secret_zero(job, sizeof(*job));
	free(job);
}

static void work(struct ike_job *j)
{
	struct v1_nonce_job *job = (struct v1_nonce_job *)j;
	int a = pki_rsa_decrypt(job->own, job->sealed_id, job->len, ID_MIN, sizeof(job->id), job->id, &job->id_len);
	int b = pki_rsa_decrypt(
		job->own, job->sealed_nonce, job->len, NONCE_MIN, sizeof(job->nonce.p), job->nonce.p, &job->nonce_len);
	job->err = a ? a : b;
}

static void done(struct ike_job *j)
{
	struct v1_nonce_job *job = (struct v1_nonce_job *)j;
	struct v1_sa *v = j->sa ? v1_of(j->sa) : NULL;
	if (v && job->err) {
		v1_fail(v, V1_WRONG_RSA);
	} else if (v) {
		struct v1_buf *nonce = v->sa.initiator ? &v->mm->nr : &v->mm->ni;
		memcpy(v->mm->id_peer, job->id, job->id_len);
		v->mm->id_peer_len = (uint16_t)job->id_len;
		v1_take_id(&v->id_peer, v1_span_of(job->id, job->id_len));
		memcpy(nonce->p, job->nonce.p, job->nonce_len);
		nonce->len = (uint16_t)job->nonce_len;
		job->done(v);
	}
	pki_rsa_unref(job->own);
	cv_secret_zero(job->id, sizeof(job->id));
	cv_secret_zero(&job->nonce, sizeof(job->nonce));
}

bool v1_nonce_take(struct v1_sa *v, const struct v1_msg *m, struct v1_ke *ke)
{
	const struct v1_payload *k = v1_find(m, V1_PL_KE, 0), *id = v1_find(m, V1_PL_ID, 0),
				*n = v1_find(m, V1_PL_NONCE, 0);
	struct v1_nonce_job *job = NULL;
	heed_hash_1(v, m);
	size_t len = pki_rsa_len(v->mm->own_rsa);
	if (k && id && n && v1_count(m, V1_PL_KE) == 1 && v1_count(m, V1_PL_ID) == 1 && v1_count(m, V1_PL_NONCE) == 1 &&
		k->body.len == ikec_group_pub_len(v->group) && id->body.len == len && n->body.len == len)
		job = calloc(1, sizeof(*job));
	if (!job) {
		v->sa.ike->stats.rx_malformed++;
		return false;
	}
	ke->len = (uint16_t)k->body.len;
	memcpy(ke->p, k->body.p, k->body.len);
	job->own = pki_rsa_ref(v->mm->own_rsa);
	job->len = len;
	memcpy(job->sealed_id, id->body.p, len);
	memcpy(job->sealed_nonce, n->body.p, len);
	v1_nonce_free(v->mm->sealed);
	v->mm->sealed = job;
	return true;
}

void v1_nonce_open(struct v1_sa *v, void (*then)(struct v1_sa *v))
{
	struct v1_nonce_job *job = v->mm->sealed;
	v->mm->sealed = NULL;
	job->j.work = work;
	job->j.done = done;
	job->done = then;
	v->mm->busy = true;
	ike_job_run(v->sa.ike, &v->sa, &job->j);
}

bool v1_nonce_meet(struct v1_sa *v)
{
	if (find_peer(v, &v->id_peer))
		return true;
	v->sa.ike->stats.auth_failed++;
	v1_fail(v, V1_WRONG_RSA); /* without a word to whoever it was */
	return false;
}

bool v1_nonce_same_key(const struct v1_sa *v, const struct cfg_ike_profile *p)
{
	const struct cfg_rsa_public *k = key_of_id(v, p, &v->id_peer);
	if (v->mm->learned)
		return v1_sig_same_trust(v->sa.profile, p);
	k = k ? k : key_of_addr(v, p);
	return k && pki_rsa_eq(k->key, v->mm->peer_rsa);
}

bool v1_nonce_proven(struct v1_sa *v)
{
	const struct ike_id *id = &v->id_peer;
	const struct cfg_rsa_public *k;
	if (v->mm->learned)
		return pki_peer_has_id(v->mm->learned, id->type, id->data, id->len);
	k = id->type == IKE_ID_FQDN && v->sa.profile ? key_of_id(v, v->sa.profile, id) : NULL;
	v->sa.name_proven = k && pki_rsa_eq(k->key, v->mm->peer_rsa);
	return true;
}
