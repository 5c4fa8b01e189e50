/* SPDX-License-Identifier: BSD-3-Clause */
/* IKEv2: key derivation, the encrypted payload, AUTH. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "v2_int.h"

#define COUNTER_IV 8u /* length of the IV of AEADs and counter mode */

static bool is_aead(const struct v2_suite *s)
{
	return ikec_tag_len(s->encr) != 0;
}

void v2_key_lengths(const struct v2_suite *s, struct v2_keys *k)
{
	k->d_len = (uint16_t)ikec_prf_len(s->prf);
	k->a_len = is_aead(s) ? 0 : (uint16_t)ikec_integ_key_len(s->integ);
	k->e_len = (uint16_t)ikec_key_len(s->encr, s->key_bits);
}

size_t v2_iv_len(const struct v2_suite *s)
{
	return ikec_iv_len(s->encr);
}

static size_t icv_len(const struct v2_suite *s)
{
	return is_aead(s) ? ikec_tag_len(s->encr) : ikec_integ_len(s->integ);
}

size_t v2_sk_overhead(const struct v2_suite *s)
{
	return v2_iv_len(s) + ikec_block_len(s->encr) + icv_len(s);
}

static int skeyseed(const struct v2_sa *sa, const uint8_t *shared, size_t shared_len, const uint8_t *old_d,
	size_t old_d_len, enum ike_prf old_prf, struct v2_view more, uint8_t *out)
{
	uint8_t key[2 * V2_NONCE_MAX];
	struct ikec_iov iov[4] = {{shared, shared_len}, {sa->setup->ni.b, sa->setup->ni.len},
		{sa->setup->nr.b, sa->setup->nr.len}, {more.p, more.len}};
	if (old_d) /* SKEYSEED = prf(SK_d (old), g^ir (new) | Ni | Nr | SK(1) | ... SK(n)) */
		return ikec_prf(old_prf, old_d, old_d_len, iov, 4, out);
	size_t n_i = sa->setup->ni.len, n_r = sa->setup->nr.len;
	if (sa->suite.prf == IKE_PRF_AES128_XCBC || sa->suite.prf == IKE_PRF_AES128_CMAC)
		n_i = n_r = 8; /* RFC 7296 2.14: their key takes 64 bits of each nonce */
	memcpy(key, sa->setup->ni.b, n_i);
	memcpy(key + n_i, sa->setup->nr.b, n_r);
	return ikec_prf(sa->suite.prf, key, n_i + n_r, iov, 1, out);
}

static void take(uint8_t *out, const uint8_t **p, size_t len)
{
	memcpy(out, *p, len);
	*p += len;
}

int v2_derive(struct v2_sa *sa, const uint8_t *shared, size_t shared_len, const uint8_t *old_d, size_t old_d_len,
	enum ike_prf old_prf, struct v2_view more)
{
	uint8_t seed[2 * V2_NONCE_MAX + 2 * IKE_SPI_LEN], sks[IKEC_PRF_MAX], km[7 * V2_KEY_MAX];
	struct v2_keys *k = &sa->keys;
	size_t n = 0;
	v2_key_lengths(&sa->suite, k);
	int err = skeyseed(sa, shared, shared_len, old_d, old_d_len, old_prf, more, sks);
	memcpy(seed, sa->setup->ni.b, sa->setup->ni.len);
	n += sa->setup->ni.len;
	memcpy(seed + n, sa->setup->nr.b, sa->setup->nr.len);
	n += sa->setup->nr.len;
	memcpy(seed + n, sa->sa.spi_i, IKE_SPI_LEN);
	memcpy(seed + n + IKE_SPI_LEN, sa->sa.spi_r, IKE_SPI_LEN);
	n += 2 * IKE_SPI_LEN;
	/* with a rekey the first prf is the old SA's, prf+ the new one's; its key may then have another length */
	size_t sks_len = ikec_prf_len(old_d ? old_prf : sa->suite.prf);
	size_t total = 3u * k->d_len + 2u * k->a_len + 2u * k->e_len;
	if (!err)
		err = ikec_prf_plus(sa->suite.prf, sks, sks_len, seed, n, km, total);
	if (!err) {
		const uint8_t *p = km;
		take(k->d, &p, k->d_len);
		take(k->ai, &p, k->a_len);
		take(k->ar, &p, k->a_len);
		take(k->ei, &p, k->e_len);
		take(k->er, &p, k->e_len);
		take(sa->setup->proof.i, &p, k->d_len);
		take(sa->setup->proof.r, &p, k->d_len);
	}
	cv_secret_zero(km, sizeof(km));
	cv_secret_zero(sks, sizeof(sks));
	return err;
}

bool v2_wire_keys(const struct ike_sa *sa, struct ike_wire_keys *out)
{
	const struct v2_sa *v = (const struct v2_sa *)sa;
	const struct v2_keys *k = &v->keys;
	if (!k->e_len)
		return false;
	out->encr = v->suite.encr;
	out->integ = v->suite.integ;
	out->e_len = k->e_len;
	out->a_len = k->a_len;
	memcpy(out->ei, k->ei, k->e_len);
	memcpy(out->er, k->er, k->e_len);
	memcpy(out->ai, k->ai, k->a_len);
	memcpy(out->ar, k->ar, k->a_len);
	return true;
}

int v2_keymat(const struct v2_sa *sa, struct v2_view sk0, const struct v2_nonces *nonces, struct v2_view more,
	uint8_t *out, size_t len)
{
	uint8_t seed[(1 + CFG_ADDKE_MAX) * IKEC_DH_PUB_MAX + 2 * V2_NONCE_MAX];
	struct v2_view part[4] = {sk0, {nonces->i.b, nonces->i.len}, {nonces->r.b, nonces->r.len}, more};
	size_t n = 0;
	for (unsigned i = 0; i < 4; i++) {
		if (part[i].len)
			memcpy(seed + n, part[i].p, part[i].len);
		n += part[i].len;
	}
	int err = ikec_prf_plus(sa->suite.prf, sa->keys.d, sa->keys.d_len, seed, n, out, len);
	cv_secret_zero(seed, n);
	return err;
}

int v2_derive_child(const struct v2_sa *sa, const struct v2_child *c, struct ike_child_keys *out)
{
	uint8_t km[2 * CV_SA_KEY_MAX];
	struct v2_view sk0 = {c->shared, c->shared_len};
	size_t len = ike_suite_key_len(c->c.p.suite);
	if (!len || len > CV_SA_KEY_MAX)
		return -ENOTSUP;
	int err = v2_keymat(sa, sk0, c->nonces, v2_follow_secret(c->task), km, 2 * len);
	if (!err) {
		/* first the keys of the direction initiator -> responder (of this exchange) */
		memcpy(c->c.p.initiator ? out->out : out->in, km, len);
		memcpy(c->c.p.initiator ? out->in : out->out, km + len, len);
		out->len = (uint16_t)len;
	}
	cv_secret_zero(km, sizeof(km));
	return err;
}

/*
 * The IV of an AEAD or counter mode message must never repeat under one key, also not after a restart from the vault:
 * the clock, which a new process shares, in the high bits and a counter in the low ones (RFC 5282 3.1).
 */
static void counter_iv(struct v2_sa *sa, uint8_t iv[COUNTER_IV])
{
	uint64_t v = ike_now(sa->sa.ike) << 16;
	if (v <= sa->iv_last)
		v = sa->iv_last + 1;
	sa->iv_last = v;
	for (unsigned i = 0; i < COUNTER_IV; i++)
		iv[i] = (uint8_t)(v >> (8 * (COUNTER_IV - 1 - i)));
}

static void put_length(struct v2_enc *e, size_t total)
{
	size_t sk = total - e->sk_start;
	e->buf[e->sk_start + 2] = (uint8_t)(sk >> 8);
	e->buf[e->sk_start + 3] = (uint8_t)sk;
	e->buf[24] = (uint8_t)(total >> 24);
	e->buf[25] = (uint8_t)(total >> 16);
	e->buf[26] = (uint8_t)(total >> 8);
	e->buf[27] = (uint8_t)total;
}

int v2_seal(struct v2_sa *sa, struct v2_enc *e)
{
	static const uint8_t zero[16];
	const struct v2_suite *s = &sa->suite;
	const struct v2_keys *k = &sa->keys;
	size_t iv_at = e->sk_start + e->sk_head, data_at = iv_at + v2_iv_len(s), icv = icv_len(s);
	size_t block = ikec_block_len(s->encr), pad = (block - (e->len - data_at + 1) % block) % block;
	v2_enc_bytes(e, zero, pad);
	v2_enc_u8(e, (uint8_t)pad);
	if (e->bad || e->size - e->len < icv)
		return -EMSGSIZE;
	size_t data_len = e->len - data_at, total = e->len + icv;
	put_length(e, total);
	const uint8_t *ek = sa->sa.initiator ? k->ei : k->er, *ak = sa->sa.initiator ? k->ai : k->ar;
	int err;
	if (v2_iv_len(s) == COUNTER_IV && block == 1)
		counter_iv(sa, e->buf + iv_at);
	else
		ikec_random(e->buf + iv_at, data_at - iv_at);
	if (is_aead(s)) {
		err = ikec_aead(s->encr, true, ek, k->e_len, e->buf + iv_at, e->buf, iv_at, e->buf + data_at, data_len,
			e->buf + e->len);
	} else {
		struct ikec_iov iov = {e->buf, e->len};
		err = ikec_crypt(s->encr, true, ek, k->e_len, e->buf + iv_at, e->buf + data_at, data_len);
		if (!err)
			err = ikec_integ(s->integ, ak, &iov, 1, e->buf + e->len);
	}
	e->len = total;
	return err;
}

static int open_classic(const struct v2_suite *s, const struct v2_keys *k, bool by_initiator, uint8_t *buf,
	size_t total, size_t data_at, size_t data_len)
{
	uint8_t icv[IKEC_PRF_MAX];
	size_t n = icv_len(s);
	struct ikec_iov iov = {buf, total - n};
	if (ikec_integ(s->integ, by_initiator ? k->ai : k->ar, &iov, 1, icv) != 0 ||
		cv_secret_cmp(icv, buf + total - n, n) != 0)
		return -EBADMSG;
	if (data_len % ikec_block_len(s->encr))
		return -EPROTO;
	return ikec_crypt(s->encr, false, by_initiator ? k->ei : k->er, k->e_len, buf + data_at - v2_iv_len(s),
		buf + data_at, data_len);
}

int v2_open(struct v2_sa *sa, struct v2_msg *m, uint8_t *buf, struct v2_view *inner)
{
	const struct v2_suite *s = &sa->suite;
	const struct v2_keys *k = &sa->keys;
	size_t iv = v2_iv_len(s), icv = icv_len(s), at = (size_t)(m->sk.p - m->raw);
	bool by_initiator = !sa->sa.initiator;
	int err;
	if (!m->sk.p || m->sk.len < iv + icv + 1 || !k->e_len)
		return -EBADMSG;
	size_t data_at = at + iv, data_len = m->sk.len - iv - icv;
	if (is_aead(s))
		err = ikec_aead(s->encr, false, by_initiator ? k->ei : k->er, k->e_len, buf + at, buf, at,
			buf + data_at, data_len, buf + data_at + data_len);
	else
		err = open_classic(s, k, by_initiator, buf, m->raw_len, data_at, data_len);
	if (err)
		return err == -EPROTO ? err : -EBADMSG;
	size_t pad = buf[data_at + data_len - 1];
	if (pad + 1 > data_len)
		return -EPROTO;
	*inner = (struct v2_view){buf + data_at, data_len - pad - 1};
	return 0;
}

size_t v2_id_body(const struct ike_id *id, uint8_t out[4 + IKE_ID_MAX])
{
	memset(out, 0, 4);
	out[0] = id->type;
	memcpy(out + 4, id->data, id->len);
	return 4u + id->len;
}

/* MACedIDForI or R: who the end is, bound to the keys. */
static int mac_id(const struct v2_sa *sa, bool of_initiator, const uint8_t *id_body, size_t id_len, uint8_t *out)
{
	struct ikec_iov id = {id_body, id_len};
	return ikec_prf(
		sa->suite.prf, of_initiator ? sa->setup->proof.i : sa->setup->proof.r, sa->keys.d_len, &id, 1, out);
}

int v2_auth_octets(const struct v2_sa *sa, bool of_initiator, const uint8_t *id_body, size_t id_len, struct v2_buf *out)
{
	const struct v2_buf *msg = of_initiator ? &sa->setup->init_req : &sa->setup->init_resp;
	const struct v2_nonce *nonce = of_initiator ? &sa->setup->nr : &sa->setup->ni;
	uint8_t inter[V2_INTER_OCTETS_MAX];
	size_t n = ikec_prf_len(sa->suite.prf), n_inter = v2_inter_octets(sa, inter);
	v2_buf_free(out);
	out->p = malloc(msg->len + nonce->len + n + n_inter);
	if (!out->p)
		return -ENOMEM;
	out->len = msg->len + nonce->len + n + n_inter;
	memcpy(out->p + out->len - n_inter, inter, n_inter);
	if (msg->len)
		memcpy(out->p, msg->p, msg->len);
	memcpy(out->p + msg->len, nonce->b, nonce->len);
	return mac_id(sa, of_initiator, id_body, id_len, out->p + msg->len + nonce->len);
}

int v2_auth_psk(const struct v2_sa *sa, bool of_initiator, const struct cfg_psk *psk, const uint8_t *id_body,
	size_t id_len, uint8_t *out)
{
	static const char pad[] = "Key Pad for IKEv2";
	uint8_t key[IKEC_PRF_MAX], idhash[IKEC_PRF_MAX], inter[V2_INTER_OCTETS_MAX];
	size_t n = ikec_prf_len(sa->suite.prf);
	const struct v2_buf *msg = of_initiator ? &sa->setup->init_req : &sa->setup->init_resp;
	const struct v2_nonce *nonce = of_initiator ? &sa->setup->nr : &sa->setup->ni;
	struct ikec_iov padv = {pad, sizeof(pad) - 1};
	struct ikec_iov octets[4] = {
		{msg->p, msg->len}, {nonce->b, nonce->len}, {idhash, n}, {inter, v2_inter_octets(sa, inter)}};
	int err = mac_id(sa, of_initiator, id_body, id_len, idhash);
	if (!err)
		err = ikec_prf(sa->suite.prf, psk->key, psk->key_len, &padv, 1, key);
	if (!err)
		err = ikec_prf(sa->suite.prf, key, n, octets, 4, out);
	cv_secret_zero(key, sizeof(key));
	return err;
}
