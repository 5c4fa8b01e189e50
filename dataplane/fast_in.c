/* SPDX-License-Identifier: BSD-3-Clause */
/* Received ESP on the fast path: checks before and after decryption, and the inner packets' slots. */
#include "fast.h"

#include <rte_ether.h>

#include "esp_open.h"
#include "fib.h"
#include "urpf.h"

#define L4_OFF sizeof(struct rte_ipv4_hdr) /* of ESP or UDP from the outer IP header */
#define PAD_MAX 16u			   /* more than alignment needs goes the long way */
#define ECN_MASK 3u

/* The SAs of all ESP received, in iw->sa; what is behind them is asked for. */
static void find_sas(struct worker *w)
{
	struct fast_worker *f = w->fast;
	struct ipsec_worker *iw = w->ipsec;
	const struct sa *last = NULL;
	for (uint32_t i = 0; i < f->n_esp; i++) {
		uint32_t spi;
		const uint8_t *ip = rte_pktmbuf_mtod_offset(f->esp[i], uint8_t *, sizeof(struct rte_ether_hdr));
		memcpy(&spi, ip + fast_esp_off(ip), 4);
		const struct sa *sa = sa_get(rte_be_to_cpu_32(spi));
		iw->sa[i] = sa;
		if (likely(sa == last))
			continue;
		last = sa;
		if (sa)
			esp_prefetch_sa(sa);
	}
	esp_prefetch_found(w, f->n_esp);
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

static inline bool can(const struct sa *sa, const struct dp_if *ifp, uint32_t generation)
{
	uint32_t remote;

	if (!sa || sa->dir != CV_SA_IN || !fast_knows(sa))
		return false;
	memcpy(&remote, sa->in.remote, 4);
	return !sa->in.tunnel && sa->front_vrf == ifp->vrf_id && ends_here(sa, generation) &&
	       urpf_accepts4(ifp, remote) && !__atomic_load_n(&sa->state->expired, __ATOMIC_RELAXED);
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

static inline bool prepare_any(
	struct ipsec_worker *iw, const struct sa *sa, bool plain, uint64_t ends, uint8_t *ip, uint32_t n_op)
{
	if (likely(plain))
		return prepare(sa, ends, ip, &iw->op[n_op], NULL, &iw->seq[n_op], true, false, false);
	return prepare_other(iw, sa, ends, ip, n_op);
}

/* Operations for all ESP received. iw->sa holds what the SPIs found, and from its start on the SAs of the operations,
 * which are never more. */
static void prepare_all(struct worker *w, const struct dp_if *ifp, uint64_t *bytes)
{
	struct fast_worker *f = w->fast;
	struct ipsec_worker *iw = w->ipsec;
	const struct sa *last = NULL;
	uint64_t ends = 0;
	bool good = false, plain = false;
	uint32_t n_op = 0;
	for (uint32_t i = 0; i < f->n_esp; i++) {
		const struct sa *sa = iw->sa[i];
		struct rte_mbuf *m = f->esp[i];
		uint8_t *ip = rte_pktmbuf_mtod_offset(m, uint8_t *, sizeof(struct rte_ether_hdr));
		if (unlikely(sa != last)) {
			last = sa;
			good = can(sa, ifp, f->fib_generation);
			if (good) {
				uint32_t local, remote;
				plain = fast_plain(sa);
				memcpy(&local, sa->in.local, 4);
				memcpy(&remote, sa->in.remote, 4);
				ends = (uint64_t)local << 32 | remote;
			}
		}
		if (unlikely(!good || !prepare_any(iw, sa, plain, ends, ip, n_op))) {
			f->where[f->esp_at[i]] = FAST_PIPELINE;
			*bytes -= m->pkt_len;
			continue;
		}
		iw->sa[n_op] = sa;
		iw->pkt[n_op++] = m;
	}
	f->n_op = n_op;
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
	if (fast_to_clamp(f, *h, op->data))
		return INNER_LONG_WAY;
	/* a mark set on the way has to be taken over into the inner header (RFC 6040) */
	return !(outer[1] & ECN_MASK) || !((outer[1] ^ op->data[1]) & ECN_MASK) ? INNER_FLOW : INNER_LONG_WAY;
}

/* Slots for the inner packets. Behind one that takes the long way all do: it may be of the same flow. */
static void find_slots(struct worker *w)
{
	struct fast_worker *f = w->fast;
	struct ipsec_worker *iw = w->ipsec;
	const struct sa *last = NULL;
	uint32_t n_slot = f->n_slot, head = 0;
	bool stop = false;
	for (uint32_t i = 0; i < f->n_op; i++) {
		const struct crypto_op *op = &iw->op[i];
		struct ip4_words h;
		uint32_t len;
		f->op_slot[i] = FAST_PIPELINE;
		if (unlikely(!f->fresh[i] || stop))
			continue;
		if (unlikely(iw->sa[i] != last))
			head = esp_head(last = iw->sa[i]);
		enum inner kind = inner_kind(f, op, op->data - head, &h, &len);
		stop = kind == INNER_LONG_WAY;
		if (unlikely(kind != INNER_FLOW))
			continue;
		f->longest = RTE_MAX(f->longest, len);
		f->op_slot[i] = (uint16_t)n_slot;
		fast_slot_fill(f, n_slot++, iw->pkt[i], op->data, h, FAST_DECAPPED | last->index, len);
	}
	f->n_slot = n_slot;
}

void fast_in(struct worker *w, const struct dp_if *ifp, uint64_t *bytes)
{
	struct fast_worker *f = w->fast;
	struct ipsec_worker *iw = w->ipsec;
	struct stage_mark mark = stage_begin(w);
	uint32_t n;
	find_sas(w);
	prepare_all(w, ifp, bytes);
	esp_crypt(w, f->n_op);
	for (uint32_t i = 0; i < f->n_op; i += n) {
		n = esp_run_length(iw->sa, i, f->n_op);
		esp_take_numbers(iw, iw->sa[i], i, n, &f->fresh[i]);
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
	m->data_off = (uint16_t)(outer - (uint8_t *)m->buf_addr);
	m->data_len = (uint16_t)(outer[2] << 8 | outer[3]);
	m->pkt_len = m->data_len;
	*pkt_meta(m) = (struct pkt_meta){
		.vrf = ifp->vrf_id, .if_rx = ifp->id, .l4_proto = outer[9], .l4_off = (uint16_t)L4_OFF};
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

void fast_in_finish(struct worker *w, const struct dp_if *ifp)
{
	struct fast_worker *f = w->fast;
	struct ipsec_worker *iw = w->ipsec;
	struct stage_mark mark = stage_begin(w);
	const uint32_t now_s = dp_uptime_s();
	uint32_t n;
	for (uint32_t i = 0; i < f->n_op; i += n) {
		struct esp_run run = {.sa = iw->sa[i]};
		n = esp_run_length(iw->sa, i, f->n_op);
		for (uint32_t k = i; k < i + n; k++) {
			if (likely(f->fresh[k]) && iw->seq[k] > run.top)
				run.top = iw->seq[k];
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
