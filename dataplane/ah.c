/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The authentication header (RFC 4302). Its ICV covers the whole packet; for the computation the fields that change on
 * the way are zeroed, and come back afterwards. AES-GMAC (RFC 4543 section 4) has its IV in front of the ICV, where it
 * is covered as it is sent; in IPv6 the header is padded by 4 (erratum 3643).
 */
#include "esp_build.h"

#define OPT_END 0u
#define OPT_NOP 1u
#define OPT6_PAD1 0u
#define OPT6_MUTABLE 0x20u /* RFC 8200 4.2: may change en route */

/* RFC 4302 appendix A1: options that are covered; all others may change and are zeroed whole. */
static bool option_immutable(uint8_t type)
{
	switch (type) {
	case 130: /* security */
	case 133: /* extended security */
	case 134: /* commercial security */
	case 148: /* router alert */
	case 149: /* sender directed multi-destination delivery */
		return true;
	default:
		return false;
	}
}

static bool options_hide(uint8_t *o, uint32_t len)
{
	for (uint32_t i = 0; i < len && o[i] != OPT_END;) {
		uint32_t size = o[i] == OPT_NOP ? 1 : i + 1 < len ? o[i + 1] : 0;
		if (size == 0 || (size < 2 && o[i] != OPT_NOP) || i + size > len)
			return false;
		if (o[i] != OPT_NOP && !option_immutable(o[i]))
			memset(o + i, 0, size);
		i += size;
	}
	return true;
}

/* Hop-by-hop or destination options: the data of those that may change (RFC 4302 appendix A2). */
static bool options6_hide(uint8_t *o, uint32_t len)
{
	for (uint32_t i = 2; i < len;) {
		uint32_t size = o[i] == OPT6_PAD1 ? 1 : i + 1 < len ? o[i + 1] + 2u : 0;
		if (size == 0 || i + size > len)
			return false;
		if (o[i] != OPT6_PAD1 && o[i] & OPT6_MUTABLE)
			memset(o + i + 2, 0, size - 2);
		i += size;
	}
	return true;
}

/* The headers between the IPv6 header and AH at off. A routing header must have been used up: what it still changes
 * is not what the receiver will see. */
static bool extensions_hide(uint8_t *p, uint32_t off)
{
	uint8_t next = p[6];
	for (uint32_t at = sizeof(struct rte_ipv6_hdr); at < off;) {
		uint32_t size = (p[at + 1] + 1u) * 8u;
		uint8_t after = p[at];
		if (at + size > off)
			return false;
		if (next == IPPROTO_ROUTING ? p[at + 3] != 0 : !options6_hide(p + at, size))
			return false;
		next = after;
		at += size;
	}
	return true;
}

/* Save the off bytes of headers in front of AH and zero what may change. False: not headers AH can cover. */
static bool hide(uint8_t *p, uint32_t off, struct esp_saved *s)
{
	if (off > sizeof(s->head))
		return false;
	memcpy(s->head, p, off);
	s->len = (uint16_t)off;
	if (p[0] >> 4 == 4) {
		struct rte_ipv4_hdr *ip = (void *)p;
		ip->type_of_service = 0;
		ip->fragment_offset = 0;
		ip->time_to_live = 0;
		ip->hdr_checksum = 0;
		return options_hide(p + sizeof(*ip), off - sizeof(*ip));
	}
	struct rte_ipv6_hdr *ip = (void *)p;
	ip->vtc_flow = RTE_BE32(6u << 28);
	ip->hop_limits = 0;
	return extensions_hide(p, off);
}

/* The ICV is over the packet as it is now, and the high half of an extended number behind it (RFC 4302 2.5.1). */
static void describe(const struct sa *sa, struct rte_mbuf *m, uint64_t seq, uint8_t *icv, struct crypto_op *op)
{
	uint8_t *p = rte_pktmbuf_mtod(m, uint8_t *);
	uint32_t len = rte_pktmbuf_data_len(m), high_be = rte_cpu_to_be_32((uint32_t)(seq >> 32));
	op->session = sa->session;
	op->auth = op->data = p;
	op->data_len = 0;
	op->icv = icv;
	op->auth_len = len;
	if (sa->flags & SA_F_ESN) {
		memcpy(p + len, &high_be, 4);
		op->auth_len += 4;
	}
}

/* Headers of an outbound packet, room for AH behind them. Returns where AH goes, 0: not possible. */
static uint32_t make_room(const struct sa *sa, struct rte_mbuf *m, uint64_t seq, uint8_t *next)
{
	uint8_t *p = rte_pktmbuf_mtod(m, uint8_t *);
	uint32_t len = rte_pktmbuf_data_len(m), ah_len = sa_ah_len(sa), off, nh_at, total;
	if (sa->conf.mode == CV_SA_TUNNEL) {
		bool df;
		uint8_t tos = inner_tos(p, &df);
		*next = p[0] >> 4 == 4 ? IPPROTO_IPIP : IPPROTO_IPV6;
		off = sa->outer_len;
		total = off + ah_len + len;
		outer_headers(sa, p - off - ah_len, (uint16_t)total, tos, df, (uint32_t)seq, false);
	} else {
		off = transport_point(p, len, &nh_at);
		if (!off || off > len || !transport_between_peers(sa, p))
			return 0;
		*next = p[nh_at];
		total = len + ah_len;
		memmove(p - ah_len, p, off);
		transport_header_fix(p - ah_len, nh_at, IPPROTO_AH, total);
	}
	m->data_off = (uint16_t)(m->data_off - (total - len));
	m->data_len = (uint16_t)total;
	m->pkt_len = total;
	return off;
}

enum drop_reason ah_out(
	const struct sa *sa, struct rte_mbuf *m, uint64_t seq, struct crypto_op *op, struct esp_saved *s)
{
	uint32_t spi_be = rte_cpu_to_be_32(sa->spi), seq_be = rte_cpu_to_be_32((uint32_t)seq);
	uint8_t next;
	uint32_t off = make_room(sa, m, seq, &next), ah_len = sa_ah_len(sa);
	if (unlikely(!off))
		return DROP_ESP_MODE;
	uint8_t *ah = rte_pktmbuf_mtod_offset(m, uint8_t *, off);
	memset(ah, 0, ah_len);
	ah[0] = next;
	ah[1] = (uint8_t)(ah_len / 4u - 2u);
	memcpy(ah + 4, &spi_be, 4);
	memcpy(ah + 8, &seq_be, 4);
	if (unlikely(!hide(rte_pktmbuf_mtod(m, uint8_t *), off, s)))
		return DROP_AH_SHORT;
	if (sa->iv_len) {
		const uint64_t counter = rte_cpu_to_be_64(seq);
		store8(ah + AH_HDR_LEN, counter);
		esp_nonce_set(op, sa->salt, counter);
	}
	describe(sa, m, seq, ah + AH_HDR_LEN + sa->iv_len, op);
	return DROP_NONE;
}

void ah_restore(struct rte_mbuf *m, const struct esp_saved *s)
{
	memcpy(rte_pktmbuf_mtod(m, uint8_t *), s->head, s->len);
}

enum drop_reason ah_prepare(
	const struct sa *sa, struct rte_mbuf *m, uint32_t off, struct crypto_op *op, struct esp_saved *s, uint64_t *seq)
{
	uint8_t *ah = rte_pktmbuf_mtod_offset(m, uint8_t *, off);
	uint8_t *icv = ah + AH_HDR_LEN + sa->iv_len;
	uint32_t len = rte_pktmbuf_data_len(m), least = AH_HDR_LEN + sa->iv_len + sa->icv_len, low_be, size;
	if (len < off + AH_HDR_LEN)
		return DROP_AH_SHORT;
	size = (ah[1] + 2u) * 4u;
	/* some pad to 8 in IPv4 too, where 4 would do */
	if (size < least || size > ((least + 7u) & ~7u) || len < off + size || rte_pktmbuf_tailroom(m) < 4)
		return DROP_AH_SHORT;
	memcpy(&low_be, ah + 8, 4);
	*seq = rte_be_to_cpu_32(low_be);
	if (sa->flags & SA_F_ESN)
		*seq = replay_extend(sa->in.replay, (uint32_t)*seq);
	if (!replay_check(sa->in.replay, *seq))
		return DROP_ESP_REPLAY;
	if (sa->iv_len)
		esp_nonce_set(op, sa->salt, load8(ah + AH_HDR_LEN));
	memcpy(s->icv, icv, sa->icv_len);
	memset(icv, 0, sa->icv_len);
	if (!hide(rte_pktmbuf_mtod(m, uint8_t *), off, s))
		return DROP_AH_SHORT;
	describe(sa, m, *seq, s->icv, op);
	return DROP_NONE;
}
