/* SPDX-License-Identifier: BSD-3-Clause */
/* Received ESP on the fast path: checks before and after decryption, and the inner packets' slots. */
#include "fast_six.h"

#include <rte_ether.h>

#include "esp_open.h"

#define L4_OFF sizeof(struct rte_ipv4_hdr) /* of ESP or UDP from the outer IP header */
#define PAD_MAX 16u			   /* more than alignment needs goes the long way */
#define ECN_MASK 3u

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

/* Padding of ciphers whose blocks are longer than the 4 bytes of AES-GCM. */
static inline bool paddings_ok(const struct crypto_op *op)
{
	bool ok = true;
	for (uint32_t k = 0; k < WIDE; k++) {
		const uint8_t *end = op[k].data + op[k].data_len - ESP_TRAILER_LEN;
		ok &= end[0] <= PAD_MAX && esp_padding_ok(end, end[0]);
	}
	return ok;
}

/* find_slot() for four packets that are four_alike() and that inner_kind() would say INNER_FLOW about, with TCP or UDP
 * in them. False: they are not. short_pads: blocks have 4 bytes. */
FAST_WIDE_INLINE bool find_four(struct finding *s, uint32_t i, __m256i *longest, bool short_pads)
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
	const __m256i there =
		short_pads ? _mm256_or_si256(wide_and(_mm256_sllv_epi64(wide_set(0xffffff00), away), UINT32_MAX),
				     wide_set(0xff0000000000))
			   : wide_set(0xff0000000000);
	const __m256i wrong = _mm256_or_si256(
		_mm256_and_si256(_mm256_xor_si256(filling, wide_set((uint64_t)IPPROTO_IPIP << 40)), there),
		_mm256_or_si256(wide_and(_mm256_xor_si256(h.a, wide_set(0x45)), UINT64_C(0xffbf0000000000ff)),
			_mm256_xor_si256(h.len, len)));
	const __m256i most = short_pads ? three : wide_set(PAD_MAX);
	const __m256i negative =
		_mm256_or_si256(_mm256_sub_epi64(most, pad), _mm256_sub_epi64(len, wide_set(FAST_IP_MIN)));
	const __m256i good = _mm256_andnot_si256(
		negative, _mm256_and_si256(wide_is(wrong, 0), _mm256_and_si256(wide_sum_ok(&h), wide_flow_ok(&h))));
	if (unlikely(wide_mask(good) != WIDE_ALL || marks & ECN_MASK || !(short_pads || paddings_ok(op))))
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

FAST_WIDE_INLINE bool find_four_padded(struct finding *s, uint32_t i, __m256i *longest)
{
	return likely(s->iw->sa[i]->pad_mask <= 3) ? find_four(s, i, longest, true) : find_four(s, i, longest, false);
}

FAST_WIDE static uint32_t find_wide(struct finding *s)
{
	__m256i longest = _mm256_setzero_si256();
	uint64_t len[WIDE];
	uint32_t i;
	for (i = 0; i + WIDE <= s->f->n_op; i += WIDE) {
		if (likely(!s->stop && four_alike(s, i) && find_four_padded(s, i, &longest)))
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

/* Take the numbers of a run, and move the window on. good: all operations are CRYPTO_OK. */
static void take_run(struct worker *w, uint32_t i, uint32_t n, bool good)
{
	const struct sa *sa = w->ipsec->sa[i];
	const uint64_t *seq = &w->ipsec->seq[i];
	bool *fresh = &w->fast->fresh[i];
	uint64_t top = 0;
	esp_take_numbers(w, sa, i, n, good, fresh);
	for (uint32_t k = 0; k < n; k++)
		top = likely(fresh[k]) ? RTE_MAX(top, seq[k]) : top;
	if (likely(top))
		replay_advance(sa->in.replay, top, sa_mine(w, sa->state));
}

/* How many operations from the i-th on are of one SA. */
static inline uint32_t run_length(const struct fast_worker *f, const struct ipsec_worker *iw, uint32_t i)
{
	return f->n_spi == 1 ? f->n_op : esp_run_length(iw->sa, i, f->n_op);
}

static void take_numbers(struct worker *w, bool good)
{
	const struct ipsec_worker *iw = w->ipsec;
	struct fast_worker *f = w->fast;
	if (good && fast_many_spis(f)) {
		for (uint32_t i = 0; i < f->n_op; i++) {
			struct sa_state *st = iw->sa[i]->state;
			f->fresh[i] = replay_update(sa_window(st), iw->seq[i], sa_mine(w, st));
		}
		return;
	}
	for (uint32_t i = 0, n; i < f->n_op; i += n) {
		n = run_length(f, iw, i);
		take_run(w, i, n, good);
	}
}

void fast_in(struct worker *w, const struct dp_if *ifp, uint64_t *bytes)
{
	struct stage_mark mark = stage_begin(w);
	fast_open(w, ifp, bytes);
	take_numbers(w, esp_crypt(w, w->fast->n_op));
	find_slots(w);
	stage_end(w, STAGE_ESP_IN, w->fast->n_op, mark);
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

/* Every packet is new and has a slot whose flow is known: packets by SA, in runs or, of many SAs, one by one. */
static void count_runs(struct worker *w, uint32_t now_s)
{
	const struct fast_worker *f = w->fast;
	const struct ipsec_worker *iw = w->ipsec;
	const uint32_t *len = &f->slot_len[f->n_clear];
	for (uint32_t i = 0, n; i < f->n_op; i += n) {
		uint32_t bytes = 0;
		n = run_length(f, iw, i);
		for (uint32_t k = i; k < i + n; k++)
			bytes += len[k];
		esp_in_count(w, iw->sa[i], n, bytes, now_s);
	}
}

static void count_many(struct worker *w, uint32_t now_s)
{
	const struct fast_worker *f = w->fast;
	const uint32_t *len = &f->slot_len[f->n_clear];
	for (uint32_t i = 0; i < f->n_op; i++)
		esp_in_count(w, w->ipsec->sa[i], 1, len[i], now_s);
}

/* Packets that are not like that are the pipeline's. */
static void count_or_leave(struct worker *w, const struct dp_if *ifp, uint32_t now_s)
{
	const struct fast_worker *f = w->fast;
	for (uint32_t i = 0, n; i < f->n_op; i += n) {
		struct esp_run run = {.sa = w->ipsec->sa[i]};
		n = run_length(f, w->ipsec, i);
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
}

void fast_in_finish(struct worker *w, const struct dp_if *ifp, bool all_known)
{
	const struct fast_worker *f = w->fast;
	struct stage_mark mark = stage_begin(w);
	const uint32_t now_s = dp_uptime_s();
	if (unlikely(!all_known || !f->op_order || f->n_slot - f->n_clear != f->n_op))
		count_or_leave(w, ifp, now_s);
	else if (fast_many_spis(f))
		count_many(w, now_s);
	else
		count_runs(w, now_s);
	stage_end(w, STAGE_ESP_IN, 0, mark);
}
