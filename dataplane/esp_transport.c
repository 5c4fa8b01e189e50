/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ESP in transport mode (RFC 4303 3.1.1): the IP header with its options or extension headers stays in front, ESP
 * comes between it and the payload. And what transport mode of ESP and of AH have in common.
 */
#include "esp_build.h"

#define IP6_NEXT 6u /* offset of the next header field */

uint32_t transport_point(const uint8_t *p, uint32_t len, uint32_t *nh_at)
{
	if (p[0] >> 4 == 4) {
		bool fragment = (p[6] & 0x3f) || p[7];
		*nh_at = offsetof(struct rte_ipv4_hdr, next_proto_id);
		return fragment ? 0 : (p[0] & 15u) * 4u;
	}
	uint32_t off = sizeof(struct rte_ipv6_hdr);
	*nh_at = IP6_NEXT;
	while (off + 8u <= len) {
		uint8_t next = p[*nh_at];
		/* destination options in front of a routing header are for every hop of it */
		if (next != IPPROTO_HOPOPTS && next != IPPROTO_ROUTING &&
			!(next == IPPROTO_DSTOPTS && p[off] == IPPROTO_ROUTING))
			return next == IPPROTO_FRAGMENT ? 0 : off;
		*nh_at = off;
		off += (p[off + 1] + 1u) * 8u;
	}
	return off <= len && p[*nh_at] == IPPROTO_NONE ? off : 0;
}

uint32_t transport_nh_at(const uint8_t *p, uint32_t off)
{
	if (p[0] >> 4 == 4)
		return offsetof(struct rte_ipv4_hdr, next_proto_id);
	uint32_t at = IP6_NEXT, next = sizeof(struct rte_ipv6_hdr);
	while (next < off) {
		uint32_t size = p[at] == IPPROTO_FRAGMENT ? 8u : (p[next + 1] + 1u) * 8u;
		at = next;
		next += size;
	}
	return at;
}

void transport_header_fix(uint8_t *p, uint32_t nh_at, uint8_t next, uint32_t total)
{
	p[nh_at] = next;
	if (p[0] >> 4 == 4) {
		struct rte_ipv4_hdr *ip = (void *)p;
		ip->total_length = rte_cpu_to_be_16((uint16_t)total);
		ip->hdr_checksum = 0;
		ip->hdr_checksum = (uint16_t)~rte_raw_cksum(ip, (p[0] & 15u) * 4u);
	} else {
		struct rte_ipv6_hdr *ip = (void *)p;
		ip->payload_len = rte_cpu_to_be_16((uint16_t)(total - sizeof(*ip)));
	}
}

bool transport_between_peers(const struct sa *sa, const uint8_t *p)
{
	if (p[0] >> 4 == 4)
		return sa->outer_af == CV_AF_INET && !memcmp(p + 12, sa->tmpl + 12, 8);
	return sa->outer_af == CV_AF_INET6 && !memcmp(p + 8, sa->tmpl + 8, 32);
}

void esp_compress(struct worker *w, const struct sa *sa, uint8_t *data, uint32_t *len, uint8_t *next)
{
	struct cv_sa_counters *c = esp_counters(w, sa);
	bool tried;
	uint32_t packed = ipcomp_pack(w->ipsec->comp, sa->index, data, *len, *next, sa->conf.cpi, &tried);
	c->compressed += packed != 0;
	c->comp_failed += tried && !packed;
	if (packed) {
		*len = packed;
		*next = IPPROTO_COMP;
	}
}

enum drop_reason esp_decompress(
	struct worker *w, const struct sa *sa, struct rte_mbuf *m, uint8_t *data, uint32_t *len, int *next)
{
	struct cv_sa_counters *c = esp_counters(w, sa);
	uint32_t room = (uint32_t)((uint8_t *)m->buf_addr + m->buf_len - data);
	uint8_t inside;
	*len = ipcomp_unpack(w->ipsec->comp, data, *len, room, sa->conf.cpi, &inside);
	*next = inside;
	c->compressed += *len != 0;
	c->comp_failed += *len == 0;
	return *len ? DROP_NONE : DROP_IPCOMP;
}

enum drop_reason esp_transport_out(
	struct worker *w, const struct sa *sa, struct rte_mbuf *m, uint64_t seq, struct crypto_op *op)
{
	uint8_t *p = rte_pktmbuf_mtod(m, uint8_t *);
	uint32_t len = rte_pktmbuf_data_len(m), nh_at, off = transport_point(p, len, &nh_at);
	if (unlikely(!off || off > len || !transport_between_peers(sa, p)))
		return DROP_ESP_MODE;
	const bool udp = sa->flags & SA_F_UDP;
	uint32_t head = (udp ? sizeof(struct rte_udp_hdr) : 0) + ESP_HDR_LEN + sa->iv_len;
	uint8_t *data = p + off, next = p[nh_at];
	uint32_t payload = len - off;
	if (sa->conf.cpi)
		esp_compress(w, sa, data, &payload, &next);
	uint32_t body = payload + ESP_TRAILER_LEN, pad = (0u - body) & sa->pad_mask;
	body += pad;
	esp_trailer_put(data + payload, pad, next, false);
	memmove(p - head, p, off);
	p -= head;
	m->data_off = (uint16_t)(m->data_off - head);
	m->data_len = (uint16_t)(off + head + body + sa->icv_len);
	m->pkt_len = m->data_len;
	transport_header_fix(p, nh_at, udp ? IPPROTO_UDP : IPPROTO_ESP, m->data_len);
	if (udp) {
		struct rte_udp_hdr *u = (void *)(p + off);
		memcpy(u, sa->tmpl + sa->outer_len - sizeof(*u), sizeof(*u));
		u->dgram_len = rte_cpu_to_be_16((uint16_t)(m->data_len - off));
	}
	uint8_t *esp = data - ESP_HDR_LEN - sa->iv_len;
	memcpy(esp, sa->tmpl + sa->outer_len, 4); /* SPI */
	esp_op_out(w->ipsec, sa, op, esp, data, body, seq, sa->iv == SA_IV_AEAD, sa->flags & SA_F_ESN);
	return DROP_NONE;
}

void transport_strip(struct rte_mbuf *m, uint32_t off, uint8_t *data, uint32_t len, uint8_t next)
{
	uint8_t *from = rte_pktmbuf_mtod(m, uint8_t *), *to = data - off;
	uint32_t nh_at = transport_nh_at(from, off);
	memmove(to, from, off);
	m->data_off = (uint16_t)(to - (uint8_t *)m->buf_addr);
	m->data_len = (uint16_t)(off + len);
	m->pkt_len = m->data_len;
	transport_header_fix(to, nh_at, next, off + len);
}

void transport_checksum(struct rte_mbuf *m, uint32_t l4, uint8_t proto)
{
	uint8_t *p = rte_pktmbuf_mtod(m, uint8_t *);
	uint32_t len = rte_pktmbuf_data_len(m) - l4, at = proto == IPPROTO_TCP ? 16 : 6;
	bool v4 = p[0] >> 4 == 4;
	uint16_t *field = (void *)(p + l4 + at);
	if ((proto != IPPROTO_TCP && proto != IPPROTO_UDP) || len < at + 2 ||
		(proto == IPPROTO_UDP && v4 && *field == 0))
		return;
	*field = 0;
	uint32_t sum = rte_raw_cksum(p + l4, len);
	if (v4) {
		struct rte_ipv4_hdr ip = *(const struct rte_ipv4_hdr *)p;
		ip.version_ihl = RTE_IPV4_VHL_DEF; /* the pseudo header wants the length of the payload alone */
		ip.total_length = rte_cpu_to_be_16((uint16_t)(len + sizeof(ip)));
		sum += rte_ipv4_phdr_cksum(&ip, 0);
	} else {
		struct rte_ipv6_hdr ip = *(const struct rte_ipv6_hdr *)p;
		ip.proto = proto;
		ip.payload_len = rte_cpu_to_be_16((uint16_t)len);
		sum += rte_ipv6_phdr_cksum(&ip, 0);
	}
	sum = (sum & 0xffffu) + (sum >> 16);
	uint16_t value = (uint16_t) ~((sum & 0xffffu) + (sum >> 16));
	*field = value ? value : 0xffff;
}
