/* SPDX-License-Identifier: BSD-3-Clause */
/* Received ESP on the fast path: checks before and after decryption, and the inner packets' slots. */
#include "fast_six.h"

#include <rte_ether.h>

#include "esp_open.h"
#include "fib.h"
#include "urpf.h"

#define L4_OFF sizeof(struct rte_ipv4_hdr) /* of ESP or UDP from the outer IP header */
#define PAD_MAX 16u			   /* more than alignment needs goes the long way */
#define ECN_MASK 3u

/* Ask for the state of an inbound SA, and for the word of its replay window that a number is in. */
static inline void prefetch_state(struct worker *w, const struct sa *sa, uint32_t seq)
{
	const uint64_t *word = (const uint64_t *)(sa->state + 1);
	esp_prefetch_state(w, sa);
	rte_prefetch0(&word[seq >> REPLAY_BLOCK_SHIFT & sa->replay_mask]);
}

/* The SAs of all ESP received, in iw->sa; what is behind them is asked for. */
static void find_sas(struct worker *w)
{
	struct fast_worker *f = w->fast;
	struct ipsec_worker *iw = w->ipsec;
	const struct sa *sa = NULL;
	uint32_t last = ~(uint32_t)f->esp_head[0];
	for (uint32_t i = 0; i < f->n_esp; i++) {
		const uint32_t spi = (uint32_t)f->esp_head[i];
		if (unlikely(spi != last)) {
			last = spi;
			sa = sa_get(rte_be_to_cpu_32(spi));
			if (sa)
				esp_prefetch_sa(sa);
		}
		iw->sa[i] = sa;
	}
	sa = NULL;
	for (uint32_t i = 0; i < f->n_esp; i++) {
		if (likely(iw->sa[i] == sa))
			continue;
		sa = iw->sa[i];
		if (sa && sa->dir == CV_SA_IN)
			prefetch_state(w, sa, (uint32_t)rte_be_to_cpu_64(f->esp_head[i]));
	}
}

/* Is the address that the SA ends at our own? Looked up again when routes have changed. */
static bool ends_here(const struct sa *sa, uint32_t generation)
{
	if (likely(__atomic_load_n(&sa->local_generation, __ATOMIC_RELAXED) == generation))
		return true;
	if (!fib_is_local(sa->front_vrf, &sa->conf.dst))
		return false;
	__atomic_store_n((uint32_t *)(uintptr_t)&sa->local_generation, generation, __ATOMIC_RELAXED);
	return true;
}

/* May packets from the peer come in by the interface? */
static inline bool from_there(const struct sa *sa, const struct dp_if *ifp)
{
	uint32_t remote;
	if (unlikely(sa->outer_af != CV_AF_INET))
		return urpf_accepts6(ifp, sa->in.remote);
	memcpy(&remote, sa->in.remote, 4);
	return urpf_accepts4(ifp, remote);
}

static inline bool can(const struct sa *sa, const struct dp_if *ifp, uint32_t generation)
{
	return sa && sa->dir == CV_SA_IN && fast_knows(sa) && !sa->in.tunnel && sa->front_vrf == ifp->vrf_id &&
	       ends_here(sa, generation) && from_there(sa, ifp) &&
	       !__atomic_load_n(&sa->state->expired, __ATOMIC_RELAXED);
}

/* Is it UDP from where the peer was last seen, and nothing but the datagram? */
static inline bool natt_ok(const struct sa *sa, const uint8_t *ip)
{
	const struct rte_udp_hdr *udp = (const void *)(ip + L4_OFF);
	const uint32_t len = (uint32_t)(ip[2] << 8 | ip[3]) - (uint32_t)L4_OFF;
	return ip[9] == IPPROTO_UDP && len >= sizeof(*udp) + ESP_HDR_LEN && rte_bswap16(udp->dgram_len) == len &&
	       rte_bswap16(udp->src_port) == sa->udp_peer;
}

/* Fill in the operation on a packet of this SA. False: the pipeline is to find out what is wrong with it. aead, esn,
 * udp: what the SA is, constants where this is expanded. */
static __rte_always_inline bool prepare(const struct sa *sa, uint64_t ends, uint8_t *ip, struct crypto_op *op,
	struct esp_saved *saved, uint64_t *seq, bool aead, bool esn, bool udp)
{
	const uint32_t off = (uint32_t)(L4_OFF + (udp ? sizeof(struct rte_udp_hdr) : 0));
	uint8_t *esp = ip + off;
	const uint32_t len = (uint32_t)(ip[2] << 8 | ip[3]) - off;
	uint64_t addr;
	uint32_t spi;
	memcpy(&addr, ip + 12, sizeof(addr));
	memcpy(&spi, esp, sizeof(spi));
	return likely(addr == ends && rte_bswap32(spi) == sa->spi) &&
	       likely(udp ? natt_ok(sa, ip) : ip[9] == IPPROTO_ESP) &&
	       likely(esp_op_in(sa, esp, len, op, saved, seq, aead, esn) == DROP_NONE);
}

/* The same for an SA of any kind, not expanded for each. */
static __rte_noinline bool prepare_other(
	struct ipsec_worker *iw, const struct sa *sa, uint64_t ends, uint8_t *ip, uint32_t n_op)
{
	return prepare(sa, ends, ip, &iw->op[n_op], &iw->saved[n_op], &iw->seq[n_op], sa->iv == SA_IV_AEAD,
		sa->flags & SA_F_ESN, sa->flags & SA_F_UDP);
}

/* The same for a packet or an SA of IPv6. */
static __rte_noinline bool prepare_six(struct ipsec_worker *iw, const struct sa *sa, uint8_t *ip, uint32_t n_op)
{
	uint8_t *esp = ip + FAST6_HEAD;
	uint32_t spi;
	memcpy(&spi, esp, sizeof(spi));
	return fast6_is(ip[0]) && sa->outer_af == CV_AF_INET6 && rte_bswap32(spi) == sa->spi &&
	       !memcmp(ip + 8, sa->in.remote, 16) && !memcmp(ip + 24, sa->in.local, 16) &&
	       esp_op_in(sa, esp, fast6_len(fast6_load(ip)) - FAST6_HEAD, &iw->op[n_op], &iw->saved[n_op],
		       &iw->seq[n_op], sa->iv == SA_IV_AEAD, sa->flags & SA_F_ESN) == DROP_NONE;
}

static inline bool prepare_any(
	struct ipsec_worker *iw, const struct sa *sa, bool plain, uint64_t ends, uint8_t *ip, uint32_t n_op)
{
	if (unlikely(fast6_is(ip[0]) || sa->outer_af != CV_AF_INET))
		return prepare_six(iw, sa, ip, n_op);
	if (likely(plain))
		return prepare(sa, ends, ip, &iw->op[n_op], NULL, &iw->seq[n_op], true, false, false);
	return prepare_other(iw, sa, ends, ip, n_op);
}

/* The i-th ESP packet is the pipeline's. */
static void leave_esp(struct fast_worker *f, uint32_t i, uint64_t *bytes)
{
	f->where[f->esp_at[i]] = FAST_PIPELINE;
	*bytes -= f->esp[i]->pkt_len;
}

/* Where an SA's packets come from and go to, as in esp_addr[]. */
static inline uint64_t ends_of(const struct sa *sa)
{
	uint32_t local, remote;
	memcpy(&local, sa->in.local, 4);
	memcpy(&remote, sa->in.remote, 4);
	return (uint64_t)local << 32 | remote;
}

/* Numbers above this one are known to be new, as a signed number. */
static inline uint64_t top_of(const struct sa *sa)
{
	const struct replay *r = sa->in.replay;
	return r->window ? __atomic_load_n(&r->top, __ATOMIC_RELAXED) : UINT64_MAX;
}

/* Operations for n packets from the i-th on, whose SAs, in iw, can do. */
struct opening {
	struct fast_worker *f;
	struct ipsec_worker *iw;
	uint32_t i, n, n_op;
};

/* What is asked of the SAs of four packets, which are fast_plain(). */
struct wide_sas {
	__m256i spi, ends, top, icv_len, session; /* SPI in network order */
	uint32_t salt[WIDE];
};

FAST_WIDE_INLINE struct wide_sas wide_sas_one(const struct sa *sa)
{
	return (struct wide_sas){.spi = wide_set(rte_cpu_to_be_32(sa->spi)),
		.ends = wide_set(ends_of(sa)),
		.top = wide_set(top_of(sa)),
		.icv_len = wide_set(sa->icv_len),
		.session = wide_set((uintptr_t)sa->session),
		.salt = {sa->salt, sa->salt, sa->salt, sa->salt}};
}

FAST_WIDE_INLINE struct wide_sas wide_sas_of(const struct sa *const *sa)
{
	const void *const *p = (const void *const *)sa;
	struct wide_sas v = {.salt = {sa[0]->salt, sa[1]->salt, sa[2]->salt, sa[3]->salt}};
	__m256i local, remote, unused;
	wide_gather(p, offsetof(struct sa, spi), &v.spi, &v.session);
	wide_gather(p, offsetof(struct sa, in.local), &local, &unused);
	wide_gather(p, offsetof(struct sa, in.remote), &remote, &unused);
	v.spi = wide_bswap32(v.spi, 0);
	v.ends = _mm256_or_si256(_mm256_slli_epi64(local, 32), wide_and(remote, UINT32_MAX));
	v.top = _mm256_setr_epi64x(
		(long long)top_of(sa[0]), (long long)top_of(sa[1]), (long long)top_of(sa[2]), (long long)top_of(sa[3]));
	v.icv_len = _mm256_setr_epi64x(sa[0]->icv_len, sa[1]->icv_len, sa[2]->icv_len, sa[3]->icv_len);
	return v;
}
_Static_assert(offsetof(struct sa, session) == offsetof(struct sa, spi) + 8, "wide_sas_of() reads them together");

/* prepare() for the next four, where their numbers are so high that no window has to be asked. False: they are not all
 * like that. */
FAST_WIDE_INLINE bool prepare_four(struct opening *o, const struct wide_sas *sas)
{
	const struct fast_worker *f = o->f;
	struct ipsec_worker *iw = o->iw;
	struct crypto_op *op = &iw->op[o->n_op];
	const __m256i head = wide_load(&f->esp_head[o->i]);
	const __m256i seq = wide_bswap32(head, 4);
	const __m256i body =
		_mm256_sub_epi64(wide_load(&f->esp_len[o->i]), _mm256_add_epi64(sas->icv_len, wide_set(PLAIN_HEAD)));
	const __m256i wrong = _mm256_or_si256(_mm256_or_si256(wide_and(_mm256_xor_si256(head, sas->spi), UINT32_MAX),
						      _mm256_xor_si256(wide_load(&f->esp_addr[o->i]), sas->ends)),
		wide_and(body, 3));
	const __m256i good = _mm256_and_si256(_mm256_and_si256(wide_is(wrong, 0), _mm256_cmpgt_epi64(seq, sas->top)),
		_mm256_cmpgt_epi64(body, _mm256_setzero_si256()));
	if (unlikely(wide_mask(good) != WIDE_ALL))
		return false;
	const __m256i data = _mm256_add_epi64(wide_load(&f->esp_ip[o->i]), wide_set(PLAIN_HEAD));
	__m256i row[WIDE];
	wide_rows(sas->session, data, _mm256_add_epi64(data, body), body, row);
	for (uint32_t k = 0; k < WIDE; k++) {
		const __m128i esp = half_load(f->esp_ip[o->i + k] + L4_OFF); /* SPI, number, IV */
		wide_store(&op[k], row[k]);
		_mm_store_si128((__m128i *)op[k].nonce, _mm_insert_epi32(_mm_srli_si128(esp, 4), (int)sas->salt[k], 0));
		_mm_store_si128((__m128i *)op[k].aad, esp); /* 8 bytes of it count */
	}
	wide_store(&iw->seq[o->n_op], seq);
	wide_store(&iw->sa[o->n_op], wide_load(&iw->sa[o->i]));
	wide_store(&iw->pkt[o->n_op], wide_load(&f->esp[o->i]));
	o->i += WIDE;
	o->n -= WIDE;
	o->n_op += WIDE;
	return true;
}
_Static_assert(offsetof(struct crypto_op, nonce) == 32, "the row in front of it is one store");

/* As many as can be done four at a time, of one SA and of several. */
FAST_WIDE static void prepare_wide(struct opening *o)
{
	const struct wide_sas sas = wide_sas_one(o->iw->sa[o->i]);
	while (o->n >= WIDE && prepare_four(o, &sas))
		;
}
FAST_WIDE static void prepare_mixed(struct opening *o)
{
	while (o->n >= WIDE) {
		const struct wide_sas sas = wide_sas_of(&o->iw->sa[o->i]);
		if (unlikely(!prepare_four(o, &sas)))
			return;
	}
}

static void prepare_one(struct opening *o, uint64_t *bytes)
{
	const struct sa *sa = o->iw->sa[o->i];
	if (likely(prepare_any(o->iw, sa, fast_plain(sa), ends_of(sa), o->f->esp_ip[o->i], o->n_op))) {
		o->iw->sa[o->n_op] = sa;
		o->iw->pkt[o->n_op++] = o->f->esp[o->i];
	} else {
		leave_esp(o->f, o->i, bytes);
	}
	o->i++;
	o->n--;
}

/* The packets from the i-th on that are of one SA and, where these are few, of SAs of the same kind. */
static uint32_t stretch(const struct opening *o, const struct dp_if *ifp)
{
	const struct sa *const *sa = o->iw->sa;
	uint32_t n = esp_run_length(sa, o->i, o->f->n_esp);
	if (likely(n >= WIDE) || !o->f->wide || !fast_plain(sa[o->i]))
		return n;
	while (o->i + n < o->f->n_esp && can(sa[o->i + n], ifp, o->f->fib_generation) && fast_plain(sa[o->i + n]))
		n++;
	return n;
}

/* Operations for all ESP received. iw->sa holds what the SPIs found, and from its start on the SAs of the operations,
 * which are never more. */
static void prepare_all(struct worker *w, const struct dp_if *ifp, uint64_t *bytes)
{
	struct fast_worker *f = w->fast;
	struct opening o = {.f = f, .iw = w->ipsec};
	while (o.i < f->n_esp) {
		const struct sa *sa = o.iw->sa[o.i];
		if (unlikely(!can(sa, ifp, f->fib_generation))) {
			leave_esp(f, o.i++, bytes);
			continue;
		}
		const bool wide = f->wide && fast_plain(sa);
		const bool one = esp_run_length(o.iw->sa, o.i, f->n_esp) >= WIDE;
		o.n = stretch(&o, ifp);
		while (o.n) {
			if (likely(wide))
				(one ? prepare_wide : prepare_mixed)(&o);
			for (uint32_t k = RTE_MIN(o.n, WIDE); k; k--)
				prepare_one(&o, bytes);
		}
	}
	f->n_op = o.n_op;
}

enum inner { INNER_FLOW, INNER_LONG_WAY, INNER_OTHER };

/* Is the padding in front of end 1, 2, 3...? The little that AES-GCM needs is read in one small load: what the cipher
 * has just written is not yet there for a wide one. */
static inline bool inner_padding_ok(const uint8_t *end, uint32_t pad)
{
	static const uint32_t want[4] = {0, 0x01000000, 0x02010000, 0x03020100};
	static const uint32_t mask[4] = {0, 0xff000000, 0xffff0000, 0xffffff00};
	uint32_t last;
	if (unlikely(pad > 3))
		return pad <= PAD_MAX && esp_padding_ok(end, pad);
	memcpy(&last, end - 4, sizeof(last)); /* in front of the padding there is the IV at least */
	return (last & mask[pad]) == want[pad];
}

/* A mark set on the way has to be taken over into the inner header (RFC 6040): is there none that is not there? */
static inline bool mark_known(const uint8_t *outer, const uint8_t *inner)
{
	const uint8_t mark = ip_tos(outer) & ECN_MASK;
	return !mark || mark == (ip_tos(inner) & ECN_MASK);
}

/* Is the inner packet one that the fast path may know the flow of? INNER_LONG_WAY: yes, but more is to be done about
 * it than here. outer: its IP header. */
static inline enum inner inner_kind(const struct fast_worker *f, const struct crypto_op *op, const uint8_t *outer,
	struct ip4_words *h, uint32_t *len)
{
	const uint8_t *end = op->data + op->data_len - ESP_TRAILER_LEN;
	const uint32_t pad = end[0];
	*h = ip4_load(op->data); /* with the ICV there are as many bytes */
	*len = op->data_len - ESP_TRAILER_LEN - pad;
	if (unlikely(end[1] != IPPROTO_IPIP || !fast_header_ok(*h, false) || !fast_flow_ok(*h)))
		return INNER_OTHER;
	if (unlikely(!inner_padding_ok(end, pad) || *len < FAST_IP_MIN || rte_bswap16((uint16_t)(h->a >> 16)) != *len))
		return INNER_LONG_WAY;
	if (fast_to_clamp(f, ip4_proto(*h), op->data + sizeof(struct rte_ipv4_hdr)))
		return INNER_LONG_WAY;
	return mark_known(outer, op->data) ? INNER_FLOW : INNER_LONG_WAY;
}

/* The same where the trailer says that it is IPv6. */
static inline enum inner inner_kind6(
	const struct fast_worker *f, const struct crypto_op *op, const uint8_t *outer, uint64_t a, uint32_t *len)
{
	const uint8_t *end = op->data + op->data_len - ESP_TRAILER_LEN;
	const uint32_t pad = end[0];
	*len = op->data_len - ESP_TRAILER_LEN - pad;
	if (unlikely(!fast6_is(a) || !fast6_flow_ok(a, op->data)))
		return INNER_OTHER;
	if (unlikely(!inner_padding_ok(end, pad) || *len < FAST6_MIN || fast6_len(a) != *len))
		return INNER_LONG_WAY;
	if (fast_to_clamp(f, fast6_proto(a), op->data + FAST6_HEAD))
		return INNER_LONG_WAY;
	return mark_known(outer, op->data) ? INNER_FLOW : INNER_LONG_WAY;
}

/* Slots being found for the inner packets. */
struct finding {
	struct fast_worker *f;
	struct ipsec_worker *iw;
	const struct sa *last;
	uint32_t head, n_slot; /* head: of the SA `last` */
	bool stop;	       /* behind a packet that takes the long way all do: they may be of the same flow */
	uint32_t n_six;
	uint16_t six[DP_VEC]; /* operations with IPv6 inside, for which slots are found when all others have theirs */
};

static inline bool is_six(const struct crypto_op *op)
{
	return op->data[op->data_len - 1] == IPPROTO_IPV6;
}

static inline void find_slot(struct finding *s, uint32_t i)
{
	struct fast_worker *f = s->f;
	const struct crypto_op *op = &s->iw->op[i];
	struct ip4_words h;
	uint32_t len;
	f->op_slot[i] = FAST_PIPELINE;
	if (unlikely(!f->fresh[i] || s->stop))
		return;
	if (unlikely(is_six(op))) {
		s->six[s->n_six++] = (uint16_t)i;
		return;
	}
	if (unlikely(s->iw->sa[i] != s->last))
		s->head = esp_head(s->last = s->iw->sa[i]);
	enum inner kind = inner_kind(f, op, op->data - s->head, &h, &len);
	s->stop = kind == INNER_LONG_WAY;
	if (unlikely(kind != INNER_FLOW))
		return;
	f->longest = RTE_MAX(f->longest, len);
	f->op_slot[i] = (uint16_t)s->n_slot;
	fast_slot_fill(f, s->n_slot++, s->iw->pkt[i], op->data, h, FAST_DECAPPED | s->last->index, len);
}

/* The same for those put aside. */
static void find_slots6(struct finding *s)
{
	struct fast_worker *f = s->f;
	s->stop = false;
	for (uint32_t k = 0; k < s->n_six && !s->stop; k++) {
		const uint32_t i = s->six[k];
		const struct crypto_op *op = &s->iw->op[i];
		const struct sa *sa = s->iw->sa[i];
		const uint64_t a = fast6_load(op->data);
		uint32_t len;
		enum inner kind = inner_kind6(f, op, op->data - esp_head(sa), a, &len);
		s->stop = kind == INNER_LONG_WAY;
		if (unlikely(kind != INNER_FLOW))
			continue;
		f->longest = RTE_MAX(f->longest, len);
		f->op_slot[i] = (uint16_t)s->n_slot;
		fast6_slot_fill(f, s->n_slot++, s->iw->pkt[i], op->data, a, FAST_DECAPPED | sa->index, len);
	}
}

/* Are the four from i on new, over IPv4, and of one SA or all of the kind that is fast_plain()? */
static inline bool four_alike(const struct finding *s, uint32_t i)
{
	const struct sa *const *sa = &s->iw->sa[i];
	static const bool all[WIDE] = {true, true, true, true};
	return !memcmp(&s->f->fresh[i], all, sizeof(all)) &&
	       ((sa[0] == sa[1] && sa[0] == sa[2] && sa[0] == sa[3] && sa[0]->outer_af == CV_AF_INET) ||
		       (fast_plain(sa[0]) && fast_plain(sa[1]) && fast_plain(sa[2]) && fast_plain(sa[3])));
}

/* find_slot() for four packets that are four_alike() and that inner_kind() would say INNER_FLOW about, with TCP or UDP
 * in them. False: they are not. */
FAST_WIDE_INLINE bool find_four(struct finding *s, uint32_t i, __m256i *longest)
{
	struct fast_worker *f = s->f;
	const struct crypto_op *op = &s->iw->op[i];
	const void *const row[WIDE] = {&op[0], &op[1], &op[2], &op[3]};
	const void *const ip[WIDE] = {op[0].data, op[1].data, op[2].data, op[3].data};
	const struct sa *const *sa = &s->iw->sa[i];
	const uint32_t head = esp_head(sa[0]);
	__m256i icv, size;
	uint64_t end[WIDE];
	uint8_t marks = 0;
	for (uint32_t k = 0; k < WIDE; k++) { /* four bytes of padding at most, its length, what comes next */
		memcpy(&end[k], op[k].data + op[k].data_len - ESP_TRAILER_LEN - 4, sizeof(end[k]));
		marks |= op[k].data[1 - (int)head];
	}
	wide_gather(row, offsetof(struct crypto_op, icv), &icv, &size);
	const struct wide_ip4 h = wide_ip4_load(ip);
	const __m256i last =
		_mm256_setr_epi64x((long long)end[0], (long long)end[1], (long long)end[2], (long long)end[3]);
	const __m256i pad = wide_and(_mm256_srli_epi64(last, 32), 0xff), three = wide_set(3);
	const __m256i len =
		_mm256_sub_epi64(wide_and(size, UINT32_MAX), _mm256_add_epi64(pad, wide_set(ESP_TRAILER_LEN)));
	/* the padding is 1, 2, 3: of that the last so many bytes */
	const __m256i away = _mm256_slli_epi64(_mm256_sub_epi64(three, pad), 3);
	const __m256i filling =
		wide_and(_mm256_xor_si256(last, wide_and(_mm256_sllv_epi64(wide_set(0x03020100), away), UINT32_MAX)),
			UINT64_C(0x0000ff00ffffffff));
	const __m256i there = _mm256_or_si256(
		wide_and(_mm256_sllv_epi64(wide_set(0xffffff00), away), UINT32_MAX), wide_set(0xff0000000000));
	const __m256i wrong = _mm256_or_si256(
		_mm256_and_si256(_mm256_xor_si256(filling, wide_set((uint64_t)IPPROTO_IPIP << 40)), there),
		_mm256_or_si256(wide_and(_mm256_xor_si256(h.a, wide_set(0x45)), UINT64_C(0xffbf0000000000ff)),
			_mm256_xor_si256(h.len, len)));
	const __m256i negative =
		_mm256_or_si256(_mm256_sub_epi64(three, pad), _mm256_sub_epi64(len, wide_set(FAST_IP_MIN)));
	const __m256i good = _mm256_andnot_si256(
		negative, _mm256_and_si256(wide_is(wrong, 0), _mm256_and_si256(wide_sum_ok(&h), wide_flow_ok(&h))));
	if (unlikely(wide_mask(good) != WIDE_ALL || marks & ECN_MASK))
		return false;
	const uint64_t at = UINT64_C(0x0003000200010000) + s->n_slot * UINT64_C(0x0001000100010001);
	memcpy(&f->op_slot[i], &at, sizeof(at));
	const __m256i index = _mm256_setr_epi64x(sa[0]->index, sa[1]->index, sa[2]->index, sa[3]->index);
	wide_slots(
		f, s->n_slot, &h, _mm256_or_si256(index, wide_set(FAST_DECAPPED)), ip, wide_load(&s->iw->pkt[i]), len);
	*longest = _mm256_max_epu32(*longest, len);
	s->n_slot += WIDE;
	return true;
}

FAST_WIDE static uint32_t find_wide(struct finding *s)
{
	__m256i longest = _mm256_setzero_si256();
	uint64_t len[WIDE];
	uint32_t i;
	for (i = 0; i + WIDE <= s->f->n_op; i += WIDE) {
		if (likely(!s->stop && four_alike(s, i) && find_four(s, i, &longest)))
			continue;
		uint32_t end = i + WIDE;
		while (i < end || (i < s->f->n_op && is_six(&s->iw->op[i])))
			find_slot(s, i++);
		i -= WIDE;
	}
	wide_store(len, longest);
	for (uint32_t k = 0; k < WIDE; k++)
		s->f->longest = RTE_MAX(s->f->longest, (uint32_t)len[k]);
	return i;
}

static void find_slots(struct worker *w)
{
	struct fast_worker *f = w->fast;
	struct finding s; /* all but the list */
	memset(&s, 0, offsetof(struct finding, six));
	s.f = f;
	s.iw = w->ipsec;
	s.n_slot = f->n_slot;
	uint32_t i = likely(f->wide && !f->clamps) ? find_wide(&s) : 0;
	for (; i < f->n_op; i++)
		find_slot(&s, i);
	f->op_order = s.n_six == 0 || s.n_six == f->n_op;
	if (unlikely(s.n_six))
		find_slots6(&s);
	f->n_slot = s.n_slot;
}

/* Take the numbers of a run, and move the window on. */
static inline void take_run(struct fast_worker *f, struct ipsec_worker *iw, uint32_t i, uint32_t n, bool good)
{
	struct replay *r = iw->sa[i]->in.replay;
	bool *fresh = &f->fresh[i];
	uint64_t top = 0;
	if (likely(n == 1 && good))
		fresh[0] = replay_mark_one(r, iw->seq[i]);
	else
		esp_take_numbers(iw, iw->sa[i], i, n, good, fresh);
	for (uint32_t k = 0; k < n; k++)
		top = likely(fresh[k]) ? RTE_MAX(top, iw->seq[i + k]) : top;
	if (likely(top))
		replay_advance(r, top);
}

void fast_in(struct worker *w, const struct dp_if *ifp, uint64_t *bytes)
{
	struct fast_worker *f = w->fast;
	struct ipsec_worker *iw = w->ipsec;
	struct stage_mark mark = stage_begin(w);
	uint32_t n;
	find_sas(w);
	prepare_all(w, ifp, bytes);
	const bool good = esp_crypt(w, f->n_op);
	for (uint32_t i = 0; i < f->n_op; i += n) {
		n = esp_run_length(iw->sa, i, f->n_op);
		take_run(f, iw, i, n, good);
	}
	find_slots(w);
	stage_end(w, STAGE_ESP_IN, f->n_op, mark);
}

/* The i-th operation's packet as the pipeline wants to see it, to be judged there and sent on its way. */
static void long_way(struct worker *w, const struct dp_if *ifp, struct esp_run *run, uint32_t i)
{
	struct fast_worker *f = w->fast;
	struct ipsec_worker *iw = w->ipsec;
	struct rte_mbuf *m = iw->pkt[i];
	uint8_t *outer = iw->op[i].data - esp_head(run->sa);
	const bool six = fast6_is(outer[0]);
	m->data_off = (uint16_t)(outer - (uint8_t *)m->buf_addr);
	m->data_len = (uint16_t)(six ? fast6_len(fast6_load(outer)) : (uint32_t)(outer[2] << 8 | outer[3]));
	m->pkt_len = m->data_len;
	*pkt_meta(m) = (struct pkt_meta){.vrf = ifp->vrf_id,
		.if_rx = ifp->id,
		.l4_proto = six ? IPPROTO_ESP : outer[9],
		.l4_off = six ? FAST6_HEAD : (uint16_t)L4_OFF};
	enum drop_reason why = esp_in_judge(w, run->sa, i, f->fresh[i]);
	if (unlikely(why != DROP_NONE)) {
		esp_in_fail(w, m, run->sa, why);
		return;
	}
	run->packets++;
	run->bytes += m->data_len;
	if (f->op_slot[i] != FAST_PIPELINE)
		fast_mark(pkt_meta(m), (uint16_t)(f->op_slot[i] + 1u));
	f->inner.pkt[f->inner.n++] = m;
}

/* A run of which every packet is new and has a slot whose flow is known. */
static inline void count_run(const struct fast_worker *f, struct esp_run *run, uint32_t i, uint32_t n)
{
	const uint32_t *len = &f->slot_len[f->n_clear + i];
	uint32_t bytes = 0;
	run->packets = n;
	for (uint32_t k = 0; k < n; k++)
		bytes += len[k];
	run->bytes = bytes;
}

void fast_in_finish(struct worker *w, const struct dp_if *ifp, bool all_known)
{
	struct fast_worker *f = w->fast;
	struct ipsec_worker *iw = w->ipsec;
	struct stage_mark mark = stage_begin(w);
	const uint32_t now_s = dp_uptime_s();
	const bool whole = all_known && f->op_order && f->n_slot - f->n_clear == f->n_op;
	uint32_t n;
	for (uint32_t i = 0; i < f->n_op; i += n) {
		struct esp_run run = {.sa = iw->sa[i]};
		n = esp_run_length(iw->sa, i, f->n_op);
		if (likely(whole)) {
			count_run(f, &run, i, n);
			esp_run_close(w, &run, now_s);
			continue;
		}
		for (uint32_t k = i; k < i + n; k++) {
			const uint32_t at = f->op_slot[k];
			if (likely(at != FAST_PIPELINE && f->slot[at].verdict)) {
				run.packets++;
				run.bytes += f->slot_len[at];
			} else {
				long_way(w, ifp, &run, k);
			}
		}
		esp_run_close(w, &run, now_s);
	}
	stage_end(w, STAGE_ESP_IN, 0, mark);
}
