/* SPDX-License-Identifier: BSD-3-Clause */
#include "bench_world.h"

#include <string.h>

#include <rte_cycles.h>
#include <rte_ip.h>
#include <rte_malloc.h>

IMB_MGR *mgr;

/* An expanded key. */
struct key {
	struct gcm_key_data gcm; /* GCM */
	uint32_t enc[60] __rte_aligned(16), dec[60] __rte_aligned(16);
	uint8_t chacha[32], ipad[32] __rte_aligned(16), opad[32] __rte_aligned(16);
};

uint16_t suite_key(enum suite suite, uint32_t k, uint8_t *key)
{
	const uint16_t len = suite == SUITE_GCM ? 16 + 4 : suite == SUITE_CHACHA ? 32 + 4 : 16 + 32;
	memset(key, (int)(uint8_t)(k + 1), len);
	return len;
}

static void key_expand(enum suite suite, uint32_t k, struct key *out)
{
	uint8_t raw[64], block[64];
	suite_key(suite, k, raw);
	switch (suite) {
	case SUITE_GCM:
		IMB_AES128_GCM_PRE(mgr, raw, &out->gcm);
		break;
	case SUITE_CHACHA:
		memcpy(out->chacha, raw, sizeof(out->chacha));
		break;
	default:
		IMB_AES_KEYEXP_128(mgr, raw, out->enc, out->dec);
		for (int outer = 0; outer < 2; outer++) { /* RFC 2104 */
			memset(block, outer ? 0x5c : 0x36, sizeof(block));
			for (int i = 0; i < 32; i++)
				block[i] ^= raw[16 + i];
			IMB_SHA256_ONE_BLOCK(mgr, block, outer ? out->opad : out->ipad);
		}
		break;
	}
}

/* A packet: what is encrypted is len bytes at data, behind an IV of iv_len bytes and the ESP header. */
static IMB_JOB *job_submit(enum suite suite, struct key *key, bool encrypt, uint8_t *data, uint32_t len,
	const uint8_t *iv, const uint8_t *aad, uint8_t *tag)
{
	IMB_JOB *job = IMB_GET_NEXT_JOB(mgr);
	memset(job, 0, sizeof(*job));
	job->cipher_direction = encrypt ? IMB_DIR_ENCRYPT : IMB_DIR_DECRYPT;
	job->chain_order = encrypt ? IMB_ORDER_CIPHER_HASH : IMB_ORDER_HASH_CIPHER;
	job->msg_len_to_cipher_in_bytes = len;
	job->dst = data;
	job->iv = iv;
	job->auth_tag_output = tag;
	job->auth_tag_output_len_in_bytes = 16;
	if (suite == SUITE_CHACHA) {
		job->src = data;
		job->cipher_mode = IMB_CIPHER_CHACHA20_POLY1305;
		job->hash_alg = IMB_AUTH_CHACHA20_POLY1305;
		job->enc_keys = job->dec_keys = key->chacha;
		job->key_len_in_bytes = 32;
		job->iv_len_in_bytes = 12;
		job->msg_len_to_hash_in_bytes = len;
		job->u.CHACHA20_POLY1305.aad = aad;
		job->u.CHACHA20_POLY1305.aad_len_in_bytes = 8;
	} else {
		job->src = data - 24;
		job->cipher_start_src_offset_in_bytes = 24;
		job->cipher_mode = IMB_CIPHER_CBC;
		job->hash_alg = IMB_AUTH_HMAC_SHA_256;
		job->enc_keys = key->enc;
		job->dec_keys = key->dec;
		job->key_len_in_bytes = 16;
		job->iv_len_in_bytes = 16;
		job->msg_len_to_hash_in_bytes = 24 + len;
		job->u.HMAC._hashed_auth_key_xor_ipad = key->ipad;
		job->u.HMAC._hashed_auth_key_xor_opad = key->opad;
	}
	return IMB_SUBMIT_JOB_NOCHECK(mgr);
}

static uint16_t iv_len(enum suite suite)
{
	return suite == SUITE_CBC ? 16 : 8;
}

/* What is encrypted of an inner packet: with padding and trailer. */
static uint32_t body_len(enum suite suite, uint32_t len)
{
	return RTE_ALIGN_CEIL(len + 2u, suite == SUITE_CBC ? 16u : 4u);
}

/* RFC 4303; RFC 4106, RFC 7634, or RFC 3602 and RFC 4868. */
uint16_t esp_make(enum suite suite, uint8_t *p, uint32_t k, uint32_t seq, const uint8_t *inner, uint16_t len)
{
	static struct key key;
	struct gcm_context_data ctx;
	uint8_t nonce[16] = {0}, *esp = p + 20, *data = esp + 8 + iv_len(suite);
	const uint32_t body = body_len(suite, len), pad = body - 2 - len;
	const uint16_t total = (uint16_t)(data - p + (long)body + 16);
	struct rte_ipv4_hdr *ip = (void *)p;
	*ip = (struct rte_ipv4_hdr){.version_ihl = 0x45,
		.total_length = rte_cpu_to_be_16(total),
		.time_to_live = 64,
		.next_proto_id = IPPROTO_ESP,
		.src_addr = RTE_BE32(0xc0000202),
		.dst_addr = RTE_BE32(0xc0000201)};
	ip->hdr_checksum = rte_ipv4_cksum(ip);
	uint32_t head[2] = {rte_cpu_to_be_32(0x40000000u + 2 * k + 2), rte_cpu_to_be_32(seq)};
	memcpy(esp, head, 8);
	memset(esp + 8, 0, iv_len(suite));
	memcpy(esp + 12, &seq, 4);
	memcpy(data, inner, len);
	for (uint32_t i = 0; i < pad; i++)
		data[len + i] = (uint8_t)(i + 1);
	data[len + pad] = (uint8_t)pad;
	data[len + pad + 1] = inner[0] >> 4 == 6 ? IPPROTO_IPV6 : IPPROTO_IPIP;
	key_expand(suite, k, &key);
	memset(nonce, (int)(uint8_t)(k + 1), 4);
	memcpy(nonce + 4, esp + 8, 8);
	if (suite == SUITE_GCM)
		IMB_AES128_GCM_ENC(mgr, &key.gcm, &ctx, data, data, body, nonce, esp, 8, data + body, 16);
	else if (!job_submit(suite, &key, true, data, body, suite == SUITE_CHACHA ? nonce : esp + 8, esp, data + body))
		IMB_FLUSH_JOB(mgr);
	return total;
}

/* ---- floor ---- */

struct floor {
	enum suite suite;
	enum traffic traffic;
	bool encrypt;
	uint32_t n_keys;
	struct key *key;
	uint64_t best[FRAMES_MAX]; /* by vector */
};

struct floor *floor_make(enum suite suite, enum traffic t, bool encrypt, uint32_t n_keys)
{
	static struct floor f;
	f = (struct floor){.suite = suite, .encrypt = encrypt, .traffic = t, .n_keys = n_keys};
	f.key = rte_malloc("floor", n_keys * sizeof(*f.key), 64);
	if (!f.key || !n_keys)
		die("no keys, or no memory for them");
	memset(f.best, 0xff, sizeof(f.best));
	for (uint32_t i = 0; i < n_keys; i++)
		key_expand(suite, i, &f.key[i]);
	return &f;
}

static void one_vector(const struct floor *f, uint32_t first)
{
	static uint8_t buf[2][DP_VEC][2048] __rte_aligned(64), tag[2][DP_VEC][16];
	static unsigned turn; /* what the job manager still has of the last vector is left alone */
	static const uint8_t iv[16] __rte_aligned(16) = {1}, aad[16] __rte_aligned(16) = {2};
	struct gcm_context_data ctx;
	turn ^= 1;
	for (uint32_t k = 0; k < vector; k++) {
		const uint64_t len = body_len(f->suite, packet_len(f->traffic, first + k));
		struct key *key = &f->key[(first + k) % f->n_keys];
		uint8_t *data = buf[turn][k] + 64, *to = tag[turn][k];
		if (f->suite != SUITE_GCM)
			job_submit(f->suite, key, f->encrypt, data, (uint32_t)len, iv, aad, to);
		else if (f->encrypt)
			IMB_AES128_GCM_ENC(mgr, &key->gcm, &ctx, data, data, len, iv, aad, 8, to, 16);
		else
			IMB_AES128_GCM_DEC(mgr, &key->gcm, &ctx, data, data, len, iv, aad, 8, to, 16);
	}
}

void floor_round(struct floor *f)
{
	uint64_t *best = f->best;
	one_vector(f, 0); /* from now on the job manager has all its lanes full */
	for (uint32_t i = 0; i < n_frames; i += vector, best++) {
		uint64_t start = rte_rdtsc();
		one_vector(f, i);
		uint64_t cycles = rte_rdtsc() - start;
		*best = RTE_MIN(*best, cycles);
	}
	while (f->suite != SUITE_GCM && IMB_FLUSH_JOB(mgr))
		;
}

double floor_end(struct floor *f)
{
	double sum = 0;
	for (uint32_t v = 0; v < n_frames / vector; v++)
		sum += (double)f->best[v] / n_frames;
	rte_free(f->key);
	return sum;
}
