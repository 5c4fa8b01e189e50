/* SPDX-License-Identifier: BSD-3-Clause */
/* Encapsulation on the fast path: from a clear packet to the whole frame around its ESP packet in one pass. */
#include "fast.h"

#include <rte_ether.h>

#include "esp_build.h"
#include "neigh.h"
#include "tx.h"

#define PLAIN_HEAD 36u /* outer IP header, SPI, sequence number, IV */

/* What the frames of one SA that is fast_plain() have in common. */
struct frame_template {
	__m128i l2;
	uint64_t ip[2]; /* outer header up to the source; TOS, length, ID, DF and checksum are zero */
	uint64_t dst_spi;
	uint32_t cksum; /* of the constant part of the header */
	uint32_t id;	/* added to the sequence number */
	uint32_t salt;
	uint32_t df_and, df_or; /* the DF bit: from the inner header, always */
	uint32_t icv_len, if_id;
	const struct crypto_session *session;
};

static struct frame_template template_of(const struct sa *sa, const struct adj *a)
{
	return (struct frame_template){
		.l2 = fast_l2(a),
		.ip = {load8(sa->tmpl), load8(sa->tmpl + 8)},
		.dst_spi = load8(sa->tmpl + 16),
		.cksum = sa->cksum,
		.id = sa->spi,
		.salt = sa->salt,
		.df_and = sa->flags & (SA_F_DF_CLEAR | SA_F_DF_SET) ? 0 : RTE_BE16(RTE_IPV4_HDR_DF_FLAG),
		.df_or = sa->flags & SA_F_DF_SET && !(sa->flags & SA_F_DF_CLEAR) ? RTE_BE16(RTE_IPV4_HDR_DF_FLAG) : 0,
		.icv_len = sa->icv_len,
		.if_id = a->if_id,
		.session = sa->session,
	};
}

/* Headers and trailer around one packet that has number seq, and the operation that encrypts it. Returns the length of
 * the outer packet. */
static __rte_always_inline uint32_t encapsulate(
	const struct frame_template *t, const struct fast_slot *s, uint32_t seq, struct crypto_op *op)
{
	uint8_t *data = s->ip, *p = data - PLAIN_HEAD;
	const uint32_t pad = (0u - (s->len + ESP_TRAILER_LEN)) & 3u, body = s->len + pad + ESP_TRAILER_LEN;
	const uint32_t len = PLAIN_HEAD + body + t->icv_len, seq_be = rte_cpu_to_be_32(seq);
	const uint64_t inner = load8(data);
	const uint64_t tos = inner >> 8 & 0xff, total = rte_bswap16((uint16_t)len),
		       id = rte_bswap16((uint16_t)(seq + t->id)), off = (inner >> 48 & t->df_and) | t->df_or;
	const uint64_t sum = esp_fold(t->cksum + (uint32_t)(tos << 8) + (uint32_t)(total + id + off));
	fast_take_hop(data);
	esp_trailer_put(data + s->len, pad, IPPROTO_IPIP, true);
	store8(p, t->ip[0] | tos << 8 | total << 16 | id << 32 | off << 48);
	store8(p + 8, t->ip[1] | sum << 16);
	store8(p + 16, t->dst_spi);
	store8(p + 24, seq_be); /* and the first half of the IV, which is 0 */
	memcpy(p + 32, &seq_be, 4);
	op->session = t->session;
	op->data = data;
	op->data_len = body;
	op->icv = data + body;
	_mm_store_si128((__m128i *)op->nonce, _mm_set_epi64x(seq_be, t->salt));
	store8(op->aad, t->dst_spi >> 32 | (uint64_t)seq_be << 32);
	fast_frame(s->m, p, len, t->l2, t->if_id);
	return len;
}

/* n packets of such an SA, the first with number seq. Returns the bytes of the outer packets. */
static uint64_t plain_all(struct ipsec_worker *iw, const struct sa *sa, const struct adj *a,
	const struct fast_slot *slot, uint32_t n, uint64_t seq, uint32_t n_op)
{
	const struct frame_template t = template_of(sa, a);
	uint64_t outer = 0;
	for (uint32_t k = 0; k < n; k++)
		outer += encapsulate(&t, &slot[k], (uint32_t)seq + k, &iw->op[n_op + k]);
	return outer;
}

/* The same for the other kinds, step by step as the pipeline does it. */
static uint64_t other_all(struct ipsec_worker *iw, const struct sa *sa, const struct adj *a,
	const struct fast_slot *slot, uint32_t n, uint64_t seq, uint32_t n_op)
{
	const __m128i l2 = fast_l2(a);
	const bool aead = sa->iv == SA_IV_AEAD, esn = sa->flags & SA_F_ESN;
	uint64_t outer = 0;
	for (uint32_t k = 0; k < n; k++) {
		uint8_t *data = slot[k].ip;
		bool df;
		const uint8_t tos = inner_tos(data, &df);
		fast_take_hop(data);
		uint32_t len = esp_wrap(
			iw, sa, data, slot[k].len, IPPROTO_IPIP, tos, df, seq + k, &iw->op[n_op + k], aead, false, esn);
		fast_frame(slot[k].m, data - esp_head(sa), len, l2, a->if_id);
		outer += len;
	}
	return outer;
}

uint32_t fast_out(struct worker *w, uint32_t i, uint32_t n, uint32_t n_op)
{
	struct fast_worker *f = w->fast;
	struct ipsec_worker *iw = w->ipsec;
	const struct fast_slot *slot = &f->slot[i];
	const uint32_t adj = FAST_ADJ(slot->verdict);
	const struct sa *sa = sa_get(FAST_SA(slot->verdict));
	struct cv_sa_counters *c = esp_counters(w, sa);
	const struct adj *a = &adj_table[adj];
	uint64_t bytes = 0, outer, seq;
	enum drop_reason why;
	for (uint32_t k = 0; sa->flags & SA_F_BYTE_LIMIT && k < n; k++)
		bytes += slot[k].len;
	uint32_t good = esp_out_numbers(w, sa, n, bytes, &seq, &why);
	for (uint32_t k = good; k < n; k++)
		dp_drop1(w, slot[k].m, why);
	bytes = 0;
	for (uint32_t k = 0; k < good; k++) {
		iw->pkt[n_op + k] = slot[k].m;
		bytes += slot[k].len;
	}
	if (likely(fast_plain(sa)))
		outer = plain_all(iw, sa, a, slot, good, seq, n_op);
	else
		outer = other_all(iw, sa, a, slot, good, seq, n_op);
	c->packets += good;
	c->bytes += bytes;
	c->last_used_s = dp_uptime_s();
	f->run[f->n_run].first = n_op;
	f->run[f->n_run].n = good;
	f->run[f->n_run].adj = adj;
	f->run[f->n_run].sa = sa;
	f->run[f->n_run++].bytes = outer + good * sizeof(struct rte_ether_hdr);
	return n_op + good;
}

/* Packets the provider could not encrypt are dropped. Returns how many are left. */
static uint32_t drop_failed(struct worker *w, const struct sa *sa, struct rte_mbuf **pkts, const struct crypto_op *op,
	uint32_t n, uint64_t *bytes)
{
	uint32_t keep = 0;
	for (uint32_t i = 0; i < n; i++) {
		if (likely(op[i].status == CRYPTO_OK)) {
			pkts[keep++] = pkts[i];
			continue;
		}
		*bytes -= pkts[i]->pkt_len;
		esp_counters(w, sa)->other_errors++;
		dp_drop1(w, pkts[i], DROP_CRYPTO_ERROR);
	}
	return keep;
}

void fast_out_finish(struct worker *w, uint32_t n_op)
{
	struct fast_worker *f = w->fast;
	struct ipsec_worker *iw = w->ipsec;
	const bool all_good = esp_crypt(w, n_op);
	for (uint32_t r = 0; r < f->n_run; r++) {
		const uint32_t first = f->run[r].first;
		const struct adj *a = &adj_table[f->run[r].adj];
		struct cv_if_counters *c = &w->stats->ifc[a->if_id];
		uint64_t bytes = f->run[r].bytes;
		uint32_t n = f->run[r].n;
		if (unlikely(!all_good))
			n = drop_failed(w, f->run[r].sa, &iw->pkt[first], &iw->op[first], n, &bytes);
		c->tx_packets += n;
		c->tx_bytes += bytes;
		tx_put_bulk(w, a->port_id, &iw->pkt[first], n);
	}
}
