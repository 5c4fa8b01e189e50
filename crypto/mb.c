/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Provider "mb": intel-ipsec-mb called directly. AES-GCM goes through the one-shot calls, packet by packet (a queue
 * would only add cost); all else but GMAC goes through the multi-buffer job manager, which needs many packets at once
 * to fill its lanes: everything is submitted first, then flushed.
 */
#include "mb.h"

#include <errno.h>
#include <emmintrin.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

#include "cv_secret.h"

#define MB_MAX_OPS 512u	   /* operations between a submit and its collect: two vectors */
#define MB_TAG_ROOM 32u	   /* computed ICV of a packet being decrypted, of AES-GCM 16 bytes */
#define MB_NOTE_AT 16u	   /* behind such a one: the mask of what is to be compared */
#define MB_JUDGE_BEHIND 2u /* operations that AES-GCM's ICVs are compared after they have been computed */
#define GMAC_HEAD 8u	   /* SPI and sequence number, in front of the IV */
#define MB_KEYS_AHEAD 3u   /* operations that keys are asked for ahead */
#define MB_LENGTH_STEP 64u /* packets are sorted by their length in such steps */
#define MB_LENGTH_CLASSES 32u
#define MB_RANDOM_POOL 4096u /* bytes of generator output made at a time */

/*
 * What a short packet touches of a session: the first lines, up to the last round key of AES-128, and the eight lowest
 * powers of the hash key, which the library has at the start of its table or, with VAES, at the end. A line more would
 * cost some 20 cycles with thousands of SAs.
 */
#define MB_ROUND_LINES 4u
#define MB_HASH_LINES 3u
#define MB_HASH_AT offsetof(struct crypto_session, gcm_key.ghash_keys)
#define MB_HASH_AT_VAES (MB_HASH_AT + 40 * 16)

struct crypto_ctx {
	IMB_MGR *mgr;
	size_t hash_at;	 /* offset of the lowest powers in a session */
	unsigned n_done; /* operations taken since the last collect */
	unsigned n_jobs; /* of these, jobs still inside the manager */
	struct gcm_context_data gcm;
	struct crypto_op *done[MB_MAX_OPS];
	uint8_t tag[MB_MAX_OPS][MB_TAG_ROOM] __attribute__((aligned(32)));
	/* generator of unpredictable CBC IVs: AES-256 in counter mode under a key of its own */
	struct crypto_session *drbg;
	uint64_t drbg_block;
	uint32_t random_left;
	uint8_t random[MB_RANDOM_POOL];
} __attribute__((aligned(64)));

/* The manager whose key expansion main uses; created on first use, never freed. */
static IMB_MGR *setup_mgr;

static IMB_MGR *mgr_new(void)
{
	IMB_MGR *m = alloc_mb_mgr(0);
	if (m)
		init_mb_mgr_auto(m, NULL);
	if (m && imb_get_errno(m)) {
		free_mb_mgr(m);
		m = NULL;
	}
	return m;
}

/*
 * Sessions lie side by side in huge pages where the kernel has any: with thousands of SAs a page of 4 KiB for every two
 * or three would cost a walk of the page tables per packet. What is freed is used again, never given back. Main.
 */
#define ARENA_SIZE (2u << 20)
union session_slot {
	struct crypto_session session;
	union session_slot *next;
};
static union session_slot *free_slots;

static bool arena_grow(void)
{
	static union session_slot *arenas; /* the first slot of each, kept for leak checkers */
	union session_slot *a = aligned_alloc(ARENA_SIZE, ARENA_SIZE);
	if (!a)
		return false;
	(void)madvise(a, ARENA_SIZE, MADV_HUGEPAGE); /* only a wish */
	a->next = arenas;
	arenas = a;
	for (size_t i = ARENA_SIZE / sizeof(*a) - 1; i > 0; i--) {
		a[i].next = free_slots;
		free_slots = &a[i];
	}
	return true;
}

static struct crypto_session *session_alloc(void)
{
	if (!free_slots && !arena_grow())
		return NULL;
	union session_slot *slot = free_slots;
	free_slots = slot->next;
	memset(slot, 0, sizeof(*slot));
	return &slot->session;
}

static void session_free(struct crypto_session *s)
{
	union session_slot *slot = (union session_slot *)s;
	cv_secret_zero(slot, sizeof(*slot));
	slot->next = free_slots;
	free_slots = slot;
}

#define BITS(first, max) ((UINT64_C(1) << (max)) - (UINT64_C(1) << (first)))

static void mb_capabilities(uint64_t *encr, uint64_t *integ)
{
	*encr = BITS(CV_ENCR_NULL, CV_ENCR_MAX);
	*integ = BITS(CV_INTEG_HMAC_MD5_96, CV_INTEG_MAX);
}

static bool can(const struct crypto_conf *c)
{
	uint64_t encr, integ;
	mb_capabilities(&encr, &integ);
	return !algo_pair_wrong(c->encr == CV_ENCR_NONE ? 51 : 50, c->encr, c->integ) && (encr | 1) >> c->encr & 1 &&
	       (integ | 1) >> c->integ & 1;
}

static int mb_session_create(const struct crypto_conf *c, struct crypto_session **out)
{
	if (!can(c))
		return -ENOTSUP;
	if (c->key_len != algo_key_len(c->encr, c->integ))
		return -EINVAL;
	if (!setup_mgr && !(setup_mgr = mgr_new()))
		return -ENOMEM;
	struct crypto_session *s = session_alloc();
	if (!s)
		return -ENOMEM;
	mb_key_setup(setup_mgr, c, s);
	*out = s;
	return 0;
}

static void mb_session_destroy(struct crypto_session *s)
{
	if (s)
		session_free(s);
}

static void mb_ctx_destroy(struct crypto_ctx *c)
{
	if (!c)
		return;
	mb_session_destroy(c->drbg);
	if (c->mgr)
		free_mb_mgr(c->mgr);
	cv_secret_zero(c, sizeof(*c));
	free(c);
}

static struct crypto_ctx *mb_ctx_create(void)
{
	struct crypto_ctx *c = aligned_alloc(64, sizeof(*c));
	if (!c)
		return NULL;
	memset(c, 0, sizeof(*c));
	uint8_t seed[36] = {0};
	const struct crypto_conf conf = {
		.encr = CV_ENCR_AES256_GCM16, .encrypt = true, .key = seed, .key_len = sizeof(seed)};
	c->mgr = mgr_new();
	c->hash_at = c->mgr && c->mgr->features & IMB_FEATURE_VAES ? MB_HASH_AT_VAES : MB_HASH_AT;
	if (!c->mgr || getrandom(seed, 32, 0) != 32 || mb_session_create(&conf, &c->drbg)) {
		mb_ctx_destroy(c);
		c = NULL;
	}
	cv_secret_zero(seed, sizeof(seed));
	return c;
}

static void random_refill(struct crypto_ctx *c)
{
	uint8_t nonce[16] = {0}, tag[16], aad[8] = {0};
	c->drbg_block++;
	memcpy(nonce, &c->drbg_block, sizeof(c->drbg_block));
	memset(c->random, 0, sizeof(c->random));
	c->drbg->gcm(&c->drbg->gcm_key, &c->gcm, c->random, c->random, sizeof(c->random), nonce, aad, sizeof(aad), tag,
		sizeof(tag));
	c->random_left = sizeof(c->random);
}

static void mb_random16(struct crypto_ctx *c, uint8_t out[16])
{
	if (c->random_left < 16)
		random_refill(c);
	c->random_left -= 16;
	memcpy(out, c->random + c->random_left, 16);
}

static inline void session_prefetch(const struct crypto_ctx *c, const struct crypto_session *s)
{
	for (unsigned i = 0; i < MB_ROUND_LINES; i++)
		_mm_prefetch((const char *)s + 64 * i, _MM_HINT_T0);
	for (unsigned i = 0; i < MB_HASH_LINES; i++)
		_mm_prefetch((const char *)s + c->hash_at + 64 * i, _MM_HINT_T0);
}

/*
 * tag: where the ICV is computed to when decrypting. It is compared when the whole burst has been through the cipher:
 * the cipher writes it with a masked store, and loading that at once would stall.
 */
static inline void gcm_run(struct crypto_ctx *c, struct crypto_op *op, const struct crypto_session *s, uint8_t *tag)
{
	op->status = CRYPTO_OK; /* gcm_judge has the last word when decrypting */
	s->gcm(&s->gcm_key, &c->gcm, op->data, op->data, op->data_len, op->nonce, op->aad, s->aad_len,
		s->encrypt ? op->icv : tag, s->icv_len);
}

/* The bits of what differs between the ICV of a packet and the one that was computed, 0: nothing. In registers, without
 * a branch that depends on where the difference is. Behind a shorter ICV there is room to read. */
static inline uint32_t icv_bits_differ(const struct crypto_op *op, const uint8_t *tag, uint32_t icv_mask)
{
	__m128i want = _mm_loadu_si128((const __m128i *)op->icv), got = _mm_load_si128((const __m128i *)tag);
	return ~(uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(want, got)) & icv_mask;
}

static inline uint32_t icv_mask(const struct crypto_session *s)
{
	return (1u << s->icv_len) - 1u;
}

static inline void gcm_judge(struct crypto_op *op, const uint8_t *tag)
{
	op->status = icv_bits_differ(op, tag, icv_mask(op->session)) ? CRYPTO_AUTH_FAILED : CRYPTO_OK;
}

/* Is the ICV of a packet another than the one that was computed? */
static inline bool icv_differs(const struct crypto_op *op, const uint8_t *tag)
{
	const struct crypto_session *s = op->session;
	return s->icv_len <= 16 ? icv_bits_differ(op, tag, icv_mask(s)) != 0
				: cv_secret_cmp(tag, op->icv, s->icv_len) != 0;
}

/* A job came back from the manager. user_data2 is where its ICV was put. */
static inline void job_done(struct crypto_ctx *c, const IMB_JOB *job)
{
	struct crypto_op *op = job->user_data;
	c->n_jobs--;
	if (job->status != IMB_STATUS_COMPLETED)
		op->status = CRYPTO_ERROR;
	else if (!op->session->encrypt && icv_differs(op, job->user_data2))
		op->status = CRYPTO_AUTH_FAILED;
	else
		op->status = CRYPTO_OK;
}

/*
 * AES-GMAC (RFC 4543). Section 3: all that ESP carries is authenticated, after SPI and sequence number, which with ESN
 * are not as on the wire. Section 4: AH authenticates the packet as it is laid out for that.
 */
static void gmac_run(struct crypto_ctx *c, struct crypto_op *op, const struct crypto_session *s, uint8_t *tag)
{
	s->gmac_init(&s->gcm_key, &c->gcm, op->nonce, 12);
	if (s->aad_len) {
		uint64_t head = (uint64_t)(op->data - op->auth) - GMAC_HEAD; /* the IV */
		s->gmac_update(&s->gcm_key, &c->gcm, op->aad, s->aad_len);
		s->gmac_update(&s->gcm_key, &c->gcm, op->data - head, head + op->data_len);
	} else {
		s->gmac_update(&s->gcm_key, &c->gcm, op->auth, op->auth_len);
	}
	s->gmac_finalize(&s->gcm_key, &c->gcm, s->encrypt ? op->icv : tag, s->icv_len);
	op->status = s->encrypt || !cv_secret_cmp(tag, op->icv, s->icv_len) ? CRYPTO_OK : CRYPTO_AUTH_FAILED;
}

static inline void job_cipher(IMB_JOB *job, const struct crypto_session *s, const struct crypto_op *op)
{
	job->cipher_mode = s->cipher;
	job->key_len_in_bytes = s->key_len;
	job->iv = op->nonce;
	switch (s->cipher) {
	case IMB_CIPHER_DES:
		job->enc_keys = job->dec_keys = s->job.des[0];
		job->iv_len_in_bytes = 8;
		break;
	case IMB_CIPHER_DES3:
		job->enc_keys = job->dec_keys = s->job.des3;
		job->iv_len_in_bytes = 8;
		break;
	case IMB_CIPHER_CHACHA20_POLY1305:
		job->enc_keys = job->dec_keys = s->job.chacha;
		job->iv_len_in_bytes = 12;
		break;
	default:
		job->enc_keys = s->job.enc;
		job->dec_keys = s->job.dec;
		job->iv_len_in_bytes = 16;
		break;
	}
}

static inline void job_hash(IMB_JOB *job, const struct crypto_session *s, const struct crypto_op *op)
{
	job->hash_alg = s->hash;
	job->hash_start_src_offset_in_bytes = 0;
	job->msg_len_to_hash_in_bytes = op->auth_len;
	switch (s->hash) {
	case IMB_AUTH_CHACHA20_POLY1305:
		job->u.CHACHA20_POLY1305.aad = op->aad;
		job->u.CHACHA20_POLY1305.aad_len_in_bytes = s->aad_len;
		job->hash_start_src_offset_in_bytes = job->cipher_start_src_offset_in_bytes;
		job->msg_len_to_hash_in_bytes = op->data_len;
		break;
	case IMB_AUTH_AES_XCBC:
		job->u.XCBC._k1_expanded = (const uint32_t *)(const void *)s->job.integ;
		job->u.XCBC._k2 = s->job.sub1;
		job->u.XCBC._k3 = s->job.sub2;
		break;
	case IMB_AUTH_AES_CMAC:
		job->u.CMAC._key_expanded = s->job.integ;
		job->u.CMAC._skey1 = s->job.sub1;
		job->u.CMAC._skey2 = s->job.sub2;
		break;
	default:
		job->u.HMAC._hashed_auth_key_xor_ipad = s->job.sub1;
		job->u.HMAC._hashed_auth_key_xor_opad = s->job.sub2;
		break;
	}
}

static void job_submit(struct crypto_ctx *c, struct crypto_op *op, const struct crypto_session *s, uint8_t *tag)
{
	op->status = CRYPTO_ERROR; /* until the job says otherwise */
	if (op->data_len & s->block_mask || (op->data_len == 0 && s->cipher != IMB_CIPHER_NULL))
		return;
	IMB_JOB *job = IMB_GET_NEXT_JOB(c->mgr);
	job->cipher_direction = s->encrypt ? IMB_DIR_ENCRYPT : IMB_DIR_DECRYPT;
	job->chain_order = s->encrypt ? IMB_ORDER_CIPHER_HASH : IMB_ORDER_HASH_CIPHER;
	job->src = op->auth;
	job->dst = op->data;
	job->cipher_start_src_offset_in_bytes = (uint64_t)(op->data - op->auth); /* authenticated, not encrypted */
	job->msg_len_to_cipher_in_bytes = op->data_len;
	job_cipher(job, s, op);
	job_hash(job, s, op);
	job->auth_tag_output = s->encrypt ? op->icv : tag;
	job->auth_tag_output_len_in_bytes = s->icv_len;
	job->user_data = op;
	job->user_data2 = tag;
	c->n_jobs++;
	for (job = IMB_SUBMIT_JOB_NOCHECK(c->mgr); job; job = IMB_GET_COMPLETED_JOB(c->mgr))
		job_done(c, job);
}

static unsigned mb_submit(struct crypto_ctx *c, struct crypto_op **ops, unsigned n)
{
	unsigned first = c->n_done;
	if (n > MB_MAX_OPS - first)
		n = MB_MAX_OPS - first;
	const struct crypto_session *ahead = NULL;
	bool decrypted = false;
	memcpy(c->done + first, ops, n * sizeof(ops[0]));
	for (unsigned i = 0; i < n && i < MB_KEYS_AHEAD; i++)
		session_prefetch(c, ahead = ops[i]->session);
	for (unsigned i = 0; i < n; i++) {
		const struct crypto_session *s = ops[i]->session;
		if (i + MB_KEYS_AHEAD < n && ops[i + MB_KEYS_AHEAD]->session != ahead)
			session_prefetch(c, ahead = ops[i + MB_KEYS_AHEAD]->session);
		if (s->gcm) {
			gcm_run(c, ops[i], s, c->tag[first + i]);
			decrypted |= !s->encrypt;
		} else if (s->gmac_init) {
			gmac_run(c, ops[i], s, c->tag[first + i]);
		} else {
			job_submit(c, ops[i], s, c->tag[first + i]);
		}
	}
	for (unsigned i = 0; decrypted && i < n; i++)
		if (ops[i]->session->gcm && !ops[i]->session->encrypt)
			gcm_judge(ops[i], c->tag[first + i]);
	c->n_done = first + n;
	return n;
}

static void flush(struct crypto_ctx *c)
{
	while (c->n_jobs) {
		IMB_JOB *job = IMB_FLUSH_JOB(c->mgr);
		if (!job)
			break;
		job_done(c, job);
	}
}

static unsigned mb_collect(struct crypto_ctx *c, struct crypto_op **ops, unsigned max)
{
	flush(c);
	unsigned n = c->n_done < max ? c->n_done : max;
	memcpy(ops, c->done, n * sizeof(ops[0]));
	c->n_done -= n;
	memmove(c->done, c->done + n, c->n_done * sizeof(c->done[0]));
	return n;
}

/* Judge the i-th operation, of which gcm_decrypt() has noted what to compare. True: its ICV is right. */
static inline bool gcm_judge_noted(const struct crypto_ctx *c, struct crypto_op *op, unsigned i)
{
	uint32_t mask;
	memcpy(&mask, c->tag[i] + MB_NOTE_AT, sizeof(mask));
	const bool good = !icv_bits_differ(&op[i], c->tag[i], mask);
	op[i].status = good ? CRYPTO_OK : CRYPTO_AUTH_FAILED;
	return good;
}

/* Operations of n from i on, as long as they are AES-GCM, and of one direction: constants where this is expanded. The
 * keys of the next are asked for, and what follows from a session is looked at where it changes. What is decrypted is
 * judged MB_JUDGE_BEHIND operations later: the cipher writes the ICV with a masked store, and loading that at once
 * would stall. Returns where they end; *good: cleared when an ICV is wrong. */
static inline __attribute__((always_inline)) unsigned gcm_some(
	struct crypto_ctx *c, struct crypto_op *op, unsigned i, unsigned n, bool encrypt, bool *good)
{
	const struct crypto_session *s = op[i].session, *ahead = s;
	aes_gcm_enc_dec_t gcm = s->gcm;
	uint64_t aad_len = s->aad_len, icv_len = s->icv_len;
	uint32_t mask = icv_mask(s);
	unsigned judged = i;
	for (; i < n; i++) {
		if (i + MB_KEYS_AHEAD < n && op[i + MB_KEYS_AHEAD].session != ahead)
			session_prefetch(c, ahead = op[i + MB_KEYS_AHEAD].session);
		if (op[i].session != s) {
			s = op[i].session;
			if (!s->gcm || s->encrypt != encrypt)
				break;
			gcm = s->gcm;
			aad_len = s->aad_len;
			icv_len = s->icv_len;
			mask = icv_mask(s);
		}
		if (encrypt)
			op[i].status = CRYPTO_OK;
		else
			memcpy(c->tag[i] + MB_NOTE_AT, &mask, sizeof(mask));
		gcm(&s->gcm_key, &c->gcm, op[i].data, op[i].data, op[i].data_len, op[i].nonce, op[i].aad, aad_len,
			encrypt ? op[i].icv : c->tag[i], icv_len);
		if (!encrypt && i >= judged + MB_JUDGE_BEHIND)
			*good &= gcm_judge_noted(c, op, judged++);
	}
	while (!encrypt && judged < i)
		*good &= gcm_judge_noted(c, op, judged++);
	return i;
}

static unsigned gcm_encrypt(struct crypto_ctx *c, struct crypto_op *op, unsigned i, unsigned n, bool *good)
{
	return gcm_some(c, op, i, n, true, good);
}

static unsigned gcm_decrypt(struct crypto_ctx *c, struct crypto_op *op, unsigned i, unsigned n, bool *good)
{
	return gcm_some(c, op, i, n, false, good);
}

static inline unsigned length_class(const struct crypto_op *op)
{
	const unsigned class = op->data_len / MB_LENGTH_STEP;
	return class < MB_LENGTH_CLASSES ? class : MB_LENGTH_CLASSES - 1;
}

/* The places of n operations, the longest first: the lanes of the job manager that are left when nothing more comes
 * have short packets then, and those that work together are of about one length. False: all are of one length. */
static bool by_length(const struct crypto_op *op, unsigned n, uint16_t *order)
{
	uint16_t start[MB_LENGTH_CLASSES] = {0};
	for (unsigned i = 0; i < n; i++)
		start[length_class(&op[i])]++;
	if (start[length_class(op)] == n)
		return false;
	for (unsigned c = MB_LENGTH_CLASSES, at = 0; c-- > 0;) {
		const uint16_t have = start[c];
		start[c] = (uint16_t)at;
		at += have;
	}
	for (unsigned i = 0; i < n; i++)
		order[start[length_class(&op[i])]++] = (uint16_t)i;
	return true;
}

/* The same for the other kinds. */
static unsigned other_run_all(struct crypto_ctx *c, struct crypto_op *op, unsigned i, unsigned n)
{
	uint16_t order[MB_MAX_OPS];
	unsigned end = i;
	while (end < n && !op[end].session->gcm)
		end++;
	const bool ordered = by_length(op + i, end - i, order);
	for (unsigned k = i; k < end; k++) {
		const unsigned at = ordered ? i + order[k - i] : k;
		const struct crypto_session *s = op[at].session;
		if (s->gmac_init)
			gmac_run(c, &op[at], s, c->tag[at]);
		else
			job_submit(c, &op[at], s, c->tag[at]);
	}
	return end;
}

static bool mb_run(struct crypto_ctx *c, struct crypto_op *op, unsigned n)
{
	bool good = true, jobs = false;
	for (unsigned i = 0; i < n && i < MB_KEYS_AHEAD; i++)
		session_prefetch(c, op[i].session);
	for (unsigned i = 0; i < n;) {
		const struct crypto_session *s = op[i].session;
		if (s->gcm) {
			i = (s->encrypt ? gcm_encrypt : gcm_decrypt)(c, op, i, n, &good);
		} else {
			i = other_run_all(c, op, i, n);
			jobs = true;
		}
	}
	if (!jobs)
		return good;
	flush(c);
	uint32_t bad = 0;
	for (unsigned i = 0; i < n; i++)
		bad |= op[i].status;
	return !bad;
}

static const char *mb_describe(void)
{
	static char text[32];
	static const char *const arch[] = {
		[IMB_ARCH_NOAESNI] = "no AES-NI",
		[IMB_ARCH_SSE] = "SSE",
		[IMB_ARCH_AVX] = "AVX",
		[IMB_ARCH_AVX2] = "AVX2",
		[IMB_ARCH_AVX512] = "AVX512",
	};
	if (!setup_mgr && !(setup_mgr = mgr_new()))
		return "mb (not usable on this CPU)";
	const char *name = setup_mgr->used_arch < sizeof(arch) / sizeof(arch[0]) ? arch[setup_mgr->used_arch] : NULL;
	snprintf(text, sizeof(text), "mb %s %s%s", imb_get_version_str(), name ? name : "?",
		(setup_mgr->features & IMB_FEATURE_VAES) ? "+VAES" : "");
	return text;
}

const struct crypto_provider *crypto_provider_mb(void)
{
	static const struct crypto_provider mb = {
		.name = "mb",
		.capabilities = mb_capabilities,
		.session_create = mb_session_create,
		.session_destroy = mb_session_destroy,
		.ctx_create = mb_ctx_create,
		.ctx_destroy = mb_ctx_destroy,
		.submit = mb_submit,
		.collect = mb_collect,
		.run = mb_run,
		.random16 = mb_random16,
		.describe = mb_describe,
	};
	return &mb;
}
