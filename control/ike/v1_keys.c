/* SPDX-License-Identifier: BSD-3-Clause */
#include "v1_keys.h"

#include <errno.h>
#include <string.h>

#include "cv_secret.h"

#define IOV(s)                                                                                                         \
	{                                                                                                              \
		(s).p, (s).len                                                                                         \
	}

static void be32(uint8_t out[4], uint32_t v)
{
	out[0] = (uint8_t)(v >> 24);
	out[1] = (uint8_t)(v >> 16);
	out[2] = (uint8_t)(v >> 8);
	out[3] = (uint8_t)v;
}

int v1_keys_init(struct v1_keys *k, enum ike_encr encr, size_t key_len, enum ike_prf prf)
{
	size_t hash_len = ikec_prf_len(prf), block = ikec_block_len(encr);
	if (encr != IKE_ENCR_AES_CBC && encr != IKE_ENCR_3DES)
		return -ENOTSUP;
	if (hash_len == 0 || block == 0 || block > V1_IV_MAX || block > hash_len || key_len == 0 ||
		key_len > V1_EKEY_MAX)
		return -ENOTSUP;
	*k = (struct v1_keys){.encr = encr,
		.prf = prf,
		.key_len = (uint8_t)key_len,
		.hash_len = (uint8_t)hash_len,
		.block = (uint8_t)block};
	return 0;
}

int v1_keys_psk(struct v1_keys *k, struct v1_span psk, struct v1_span ni, struct v1_span nr)
{
	struct ikec_iov iov[] = {IOV(ni), IOV(nr)};
	return ikec_prf(k->prf, psk.p, psk.len, iov, 2, k->skeyid);
}

int v1_keys_sig(struct v1_keys *k, struct v1_span ni, struct v1_span nr, struct v1_span gxy)
{
	uint8_t key[2 * 256];
	struct ikec_iov iov[] = {IOV(gxy)};
	if (ni.len > 256 || nr.len > 256)
		return -EINVAL;
	memcpy(key, ni.p, ni.len);
	memcpy(key + ni.len, nr.p, nr.len);
	return ikec_prf(k->prf, key, ni.len + nr.len, iov, 1, k->skeyid);
}

int v1_keys_nonce(struct v1_keys *k, struct v1_span ni, struct v1_span nr, const uint8_t *cky_i, const uint8_t *cky_r)
{
	uint8_t key[IKEC_PRF_MAX];
	struct ikec_iov nonces[] = {IOV(ni), IOV(nr)};
	struct ikec_iov cookies[] = {{cky_i, V1_COOKIE_LEN}, {cky_r, V1_COOKIE_LEN}};
	int err = ikec_hash(k->prf, nonces, 2, key);
	if (!err)
		err = ikec_prf(k->prf, key, k->hash_len, cookies, 2, k->skeyid);
	cv_secret_zero(key, sizeof(key));
	return err;
}

/* Appendix B: Ka = K1 | K2 | ..., K1 = prf(SKEYID_e, 0), Kn = prf(SKEYID_e, Kn-1), when SKEYID_e alone is too short. */
static int expand_ekey(struct v1_keys *k)
{
	uint8_t block[IKEC_PRF_MAX] = {0};
	size_t have = 0, in_len = 1;
	if (k->key_len <= k->hash_len) {
		memcpy(k->ekey, k->e, k->key_len);
		return 0;
	}
	while (have < k->key_len) {
		uint8_t next[IKEC_PRF_MAX];
		struct ikec_iov iov[] = {{block, in_len}};
		int err = ikec_prf(k->prf, k->e, k->hash_len, iov, 1, next);
		if (err)
			return err;
		memcpy(block, next, k->hash_len);
		cv_secret_zero(next, sizeof(next));
		in_len = k->hash_len;
		size_t n = k->key_len - have < k->hash_len ? k->key_len - have : k->hash_len;
		memcpy(k->ekey + have, block, n);
		have += n;
	}
	cv_secret_zero(block, sizeof(block));
	return 0;
}

int v1_keys_derive(struct v1_keys *k, struct v1_span gxy, const uint8_t *cky_i, const uint8_t *cky_r)
{
	uint8_t *const out[] = {k->d, k->a, k->e};
	for (uint8_t i = 0; i < 3; i++) {
		struct ikec_iov iov[] = {{i ? out[i - 1] : NULL, i ? k->hash_len : 0}, IOV(gxy), {cky_i, V1_COOKIE_LEN},
			{cky_r, V1_COOKIE_LEN}, {&i, 1}};
		int err = ikec_prf(k->prf, k->skeyid, k->hash_len, i ? iov : iov + 1, i ? 5 : 4, out[i]);
		if (err)
			return err;
	}
	return expand_ekey(k);
}

static int hash_iv(const struct v1_keys *k, const struct ikec_iov iov[2], uint8_t iv[V1_IV_MAX])
{
	uint8_t h[IKEC_PRF_MAX];
	int err = ikec_hash(k->prf, iov, 2, h);
	if (!err)
		memcpy(iv, h, k->block);
	return err;
}

int v1_keys_iv1(struct v1_keys *k, struct v1_span gxi, struct v1_span gxr)
{
	struct ikec_iov iov[] = {IOV(gxi), IOV(gxr)};
	return hash_iv(k, iov, k->iv);
}

int v1_keys_iv2(const struct v1_keys *k, uint32_t msgid, uint8_t iv[V1_IV_MAX])
{
	uint8_t id[4];
	be32(id, msgid);
	struct ikec_iov iov[] = {{k->iv, k->block}, {id, 4}};
	return hash_iv(k, iov, iv);
}

void v1_keys_zero(struct v1_keys *k)
{
	cv_secret_zero(k, sizeof(*k));
}

int v1_hash_auth(const struct v1_keys *k, enum ike_prf prf, struct v1_span gx_own, struct v1_span gx_other,
	const uint8_t *cky_own, const uint8_t *cky_other, struct v1_span sai_b, struct v1_span id_b, uint8_t *out)
{
	struct ikec_iov iov[] = {IOV(gx_own), IOV(gx_other), {cky_own, V1_COOKIE_LEN}, {cky_other, V1_COOKIE_LEN},
		IOV(sai_b), IOV(id_b)};
	return ikec_prf(prf, k->skeyid, k->hash_len, iov, 6, out);
}

int v1_hash_msg(const struct v1_keys *k, uint32_t msgid, struct v1_span nonce, struct v1_span rest, uint8_t *out)
{
	uint8_t id[4];
	be32(id, msgid);
	struct ikec_iov iov[] = {{id, 4}, IOV(nonce), IOV(rest)};
	return ikec_prf(k->prf, k->a, k->hash_len, iov, 3, out);
}

int v1_hash_3(const struct v1_keys *k, uint32_t msgid, struct v1_span ni, struct v1_span nr, uint8_t *out)
{
	uint8_t id[5] = {0};
	be32(id + 1, msgid);
	struct ikec_iov iov[] = {{id, 5}, IOV(ni), IOV(nr)};
	return ikec_prf(k->prf, k->a, k->hash_len, iov, 3, out);
}

int v1_keymat(const struct v1_keys *k, struct v1_span gxy, uint8_t proto, const uint8_t spi[4], struct v1_span ni,
	struct v1_span nr, uint8_t *out, size_t out_len)
{
	uint8_t block[IKEC_PRF_MAX], next[IKEC_PRF_MAX];
	int err = 0;
	for (size_t have = 0; have < out_len && !err;) {
		struct ikec_iov iov[] = {
			{block, have ? k->hash_len : 0}, IOV(gxy), {&proto, 1}, {spi, 4}, IOV(ni), IOV(nr)};
		err = ikec_prf(k->prf, k->d, k->hash_len, iov, 6, next);
		memcpy(block, next, k->hash_len);
		size_t n = out_len - have < k->hash_len ? out_len - have : k->hash_len;
		memcpy(out + have, block, n);
		have += n;
	}
	cv_secret_zero(block, sizeof(block));
	cv_secret_zero(next, sizeof(next));
	return err;
}

int v1_nat_d(const struct v1_keys *k, const uint8_t *cky_i, const uint8_t *cky_r, const struct cv_addr *addr,
	uint16_t port, uint8_t *out)
{
	uint8_t p[2] = {(uint8_t)(port >> 8), (uint8_t)port};
	struct ikec_iov iov[] = {
		{cky_i, V1_COOKIE_LEN}, {cky_r, V1_COOKIE_LEN}, {addr->b, addr->af == CV_AF_INET ? 4 : 16}, {p, 2}};
	return ikec_hash(k->prf, iov, 4, out);
}

int v1_seal(const struct v1_keys *k, uint8_t iv[V1_IV_MAX], struct v1_out *o)
{
	static const uint8_t zeros[V1_IV_MAX];
	size_t tail = (o->len - V1_HDR_LEN) % k->block;
	if (tail)
		v1_out_put(o, zeros, k->block - tail);
	int err = v1_out_finish(o);
	if (err)
		return err;
	err = ikec_cbc(k->encr, true, k->ekey, k->key_len, iv, o->buf + V1_HDR_LEN, o->len - V1_HDR_LEN);
	if (!err)
		memcpy(iv, o->buf + o->len - k->block, k->block);
	return err;
}

int v1_open(const struct v1_keys *k, const uint8_t iv[V1_IV_MAX], uint8_t *body, size_t len, uint8_t next[V1_IV_MAX])
{
	if (len == 0 || len % k->block)
		return -EBADMSG;
	memcpy(next, body + len - k->block, k->block);
	return ikec_cbc(k->encr, false, k->ekey, k->key_len, iv, body, len);
}
