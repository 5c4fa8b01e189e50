/* SPDX-License-Identifier: BSD-3-Clause */
/* Received ESP on the fast path, up to its decryption: which SA it is for, and whether it may be. */
#include "esp_open.h"
#include "fast_six.h"
#include "fib.h"
#include "urpf.h"

#define L4_OFF sizeof(struct rte_ipv4_hdr) /* of ESP or UDP from the outer IP header */

/* Ask for the state of an inbound SA, and for the word of its replay window that a number is in. */
static inline void prefetch_state(struct worker *w, const struct sa *sa, uint32_t seq)
{
	const uint64_t *word = (const uint64_t *)(sa->state + 1);
	esp_prefetch_state(w, sa);
	rte_prefetch0(&word[seq >> REPLAY_BLOCK_SHIFT & sa->replay_mask]);
}

/* How many stretches of one SPI there are. */
static uint32_t count_spis(const struct fast_worker *f)
{
	uint32_t n = 1;
	for (uint32_t i = 1; i < f->n_esp; i++)
		n += (uint32_t)f->esp_head[i] != (uint32_t)f->esp_head[i - 1];
	return n;
}

/* The SAs of all ESP received, in iw->sa; what is behind them is asked for. */
static void find_sas(struct worker *w)
{
	struct fast_worker *f = w->fast;
	const struct sa **sas = w->ipsec->sa;
	if (likely(f->n_spi == 1)) {
		const struct sa *sa = fast_sa(rte_be_to_cpu_32((uint32_t)f->esp_head[0]));
		for (uint32_t i = 0; i < f->n_esp; i++)
			sas[i] = sa;
		return;
	}
	for (uint32_t i = 0; i < f->n_esp; i++)
		esp_prefetch_sa(sas[i] = fast_sa(rte_be_to_cpu_32((uint32_t)f->esp_head[i])));
	for (uint32_t i = 0; i < f->n_esp; i++)
		if (likely(sas[i]->dir == CV_SA_IN))
			prefetch_state(w, sas[i], (uint32_t)rte_be_to_cpu_64(f->esp_head[i]));
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
	return sa->dir == CV_SA_IN && fast_knows(sa) && !sa->in.tunnel && sa->front_vrf == ifp->vrf_id &&
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

/* Of four SAs that can(), without a look at a table, and are fast_plain(). False: they are not all like that. ifp:
 * where the packets came in, which does not judge them by their source. */
FAST_WIDE_INLINE bool wide_sas_of(
	const struct sa *const *sa, const struct dp_if *ifp, uint32_t generation, struct wide_sas *v)
{
	const void *const *p = (const void *const *)sa;
	__m256i local, remote, state, salt, kind, known, tunnel, vrf, window, expired, unused;
	void *st[WIDE];
	wide_gather(p, offsetof(struct sa, session), &v->session, &state);
	wide_gather(p, offsetof(struct sa, salt), &salt, &kind);
	wide_gather(p, offsetof(struct sa, local_generation), &known, &unused);
	wide_gather(p, offsetof(struct sa, in.local), &local, &unused);
	wide_gather(p, offsetof(struct sa, in.remote), &remote, &unused);
	wide_gather(p, offsetof(struct sa, in.outer), &tunnel, &v->spi);
	wide_gather(p, offsetof(struct sa, front_vrf), &vrf, &unused);
	const __m256i wrong = _mm256_or_si256(
		_mm256_or_si256(wide_not_plain(salt, kind, CV_SA_IN), wide_and(kind, SA_F_NESTED << 16)),
		_mm256_or_si256(wide_and(_mm256_or_si256(_mm256_xor_si256(known, wide_set(generation)),
						 _mm256_xor_si256(vrf, wide_set(ifp->vrf_id))),
					UINT32_MAX),
			_mm256_srli_epi64(tunnel, 32)));
	if (unlikely(wide_mask(wide_is(wrong, 0)) != WIDE_ALL))
		return false;
	wide_pointers(state, st);
	wide_gather((const void *const *)st, offsetof(struct sa_state, events), &expired, &unused);
	wide_gather((const void *const *)st, offsetof(struct sa_state, window), &v->top, &window);
	v->top = _mm256_or_si256(v->top, wide_is(wide_and(window, UINT32_MAX), 0)); /* no window: as top_of() */
	v->spi = wide_bswap32(v->spi, 0);
	v->ends = _mm256_or_si256(_mm256_slli_epi64(local, 32), wide_and(remote, UINT32_MAX));
	v->icv_len = wide_and(_mm256_srli_epi64(salt, 48), 0xff);
	_mm_storeu_si128((__m128i *)v->salt, wide_low32(salt));
	return wide_mask(wide_is(wide_and(expired, (uint64_t)UINT16_MAX << 32), 0)) == WIDE_ALL;
}
_Static_assert(offsetof(struct sa, state) == offsetof(struct sa, session) + 8 &&
		       offsetof(struct sa, icv_len) == offsetof(struct sa, salt) + 6 &&
		       offsetof(struct sa, flags) == offsetof(struct sa, salt) + 10 &&
		       offsetof(struct sa, in.tunnel) == offsetof(struct sa, in.outer) + 4 &&
		       offsetof(struct sa, spi) == offsetof(struct sa, in.outer) + 8 &&
		       offsetof(struct sa_state, expired) == offsetof(struct sa_state, events) + 4 &&
		       offsetof(struct replay, window) == offsetof(struct replay, top) + 8,
	"wide_sas_of() reads them together");

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

/* As many of a run as can be done four at a time. */
FAST_WIDE static void prepare_wide(struct opening *o)
{
	const struct wide_sas sas = wide_sas_one(o->iw->sa[o->i]);
	while (o->n >= WIDE && prepare_four(o, &sas))
		;
}

/* One packet, of an SA that can(). */
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

/* The packets from the i-th on that are of one SA. */
static void prepare_run(struct opening *o, const struct dp_if *ifp, uint64_t *bytes)
{
	const struct sa *sa = o->iw->sa[o->i];
	const bool wide = o->f->wide && fast_plain(sa);
	if (unlikely(!can(sa, ifp, o->f->fib_generation))) {
		for (; o->n; o->n--)
			leave_esp(o->f, o->i++, bytes);
		return;
	}
	while (o->n) {
		if (likely(wide))
			prepare_wide(o);
		for (uint32_t k = RTE_MIN(o->n, WIDE); k; k--)
			prepare_one(o, bytes);
	}
}

/* Packets hardly two of which are of one SA, as many as can be done four at a time. */
FAST_WIDE static void prepare_many(struct opening *o, const struct dp_if *ifp)
{
	struct wide_sas sas;
	while (o->n >= WIDE && wide_sas_of(&o->iw->sa[o->i], ifp, o->f->fib_generation, &sas) && prepare_four(o, &sas))
		;
}

/* Operations for all ESP received. iw->sa holds what the SPIs found, and from its start on the SAs of the operations,
 * which are never more. */
static void prepare_all(struct worker *w, const struct dp_if *ifp, uint64_t *bytes)
{
	struct fast_worker *f = w->fast;
	struct opening o = {.f = f, .iw = w->ipsec};
	const bool many = f->wide && fast_many_spis(f) && !ifp->urpf4;
	while (o.i < f->n_esp) {
		if (many) {
			o.n = f->n_esp - o.i;
			prepare_many(&o, ifp);
		}
		for (const uint32_t end = RTE_MIN(o.i + WIDE, f->n_esp); o.i < end;) {
			o.n = f->n_spi == 1 ? f->n_esp : esp_run_length(o.iw->sa, o.i, f->n_esp);
			prepare_run(&o, ifp, bytes);
		}
	}
	f->n_op = o.n_op;
}

void fast_open(struct worker *w, const struct dp_if *ifp, uint64_t *bytes)
{
	w->fast->n_spi = count_spis(w->fast);
	find_sas(w);
	prepare_all(w, ifp, bytes);
}
