/* SPDX-License-Identifier: BSD-3-Clause */
#include "iphdr.h"

#define OPT_LSRR 131u
#define OPT_SSRR 137u
#define EXT_HEADERS_MAX 8u

/* 0/8 and 127/8 are on no wire, 224/4 and up are no source, 240/4 and up no destination but for limited broadcast
 * (RFC 1812 5.3.7, 4.2.2.11). */
const uint8_t ip4_octet[256] = {
	[0] = IP4_NEVER_SOURCE | IP4_NEVER_DESTINATION,
	[127] = IP4_NEVER_SOURCE | IP4_NEVER_DESTINATION,
	[224 ... 239] = IP4_NEVER_SOURCE,
	[240 ... 255] = IP4_NEVER_SOURCE | IP4_BROADCAST_ONLY,
};

/* Source routes are refused (RFC 7126 4.3, 4.4), and options whose lengths do not add up. */
static enum drop_reason check_options(const uint8_t *opt, unsigned len)
{
	for (unsigned i = 0; i < len && opt[i] != 0;) {
		unsigned l = opt[i] == 1 ? 1 : i + 1 < len ? opt[i + 1] : 0;

		if (opt[i] == OPT_LSRR || opt[i] == OPT_SSRR)
			return DROP_IP_OPTIONS;
		if (l == 0 || (opt[i] != 1 && l < 2) || l > len - i)
			return DROP_IP_MALFORMED;
		i += l;
	}
	return DROP_NONE;
}

static enum drop_reason check_fragment(const struct rte_ipv4_hdr *ip, unsigned payload, uint16_t *frag)
{
	uint16_t fo = rte_be_to_cpu_16(ip->fragment_offset);
	unsigned off = (fo & RTE_IPV4_HDR_OFFSET_MASK) * 8u;

	*frag = off ? 2 : fo & RTE_IPV4_HDR_MF_FLAG ? 1 : 0;
	if (*frag && (payload == 0 || off + payload > 65535 || ((fo & RTE_IPV4_HDR_MF_FLAG) && payload % 8)))
		return DROP_IP_MALFORMED;
	return DROP_NONE;
}

enum drop_reason ip4_check_slow(struct rte_mbuf *m)
{
	const struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod(m, const struct rte_ipv4_hdr *);
	struct pkt_meta *meta = pkt_meta(m);
	unsigned have = rte_pktmbuf_data_len(m);

	if (have < sizeof(*ip) || ip->version_ihl >> 4 != 4)
		return DROP_IP_MALFORMED;
	unsigned hdr = rte_ipv4_hdr_len(ip), total = rte_be_to_cpu_16(ip->total_length);

	if (hdr < sizeof(*ip) || total < hdr || total > have || rte_raw_cksum(ip, hdr) != 0xffff)
		return DROP_IP_MALFORMED;
	if (ip4_bad_source(ip->src_addr) || ip4_bad_destination(ip->dst_addr))
		return DROP_IP_MARTIAN;
	enum drop_reason why = check_options((const uint8_t *)(ip + 1), hdr - sizeof(*ip));

	if (!why)
		why = check_fragment(ip, total - hdr, &meta->frag);
	m->pkt_len = m->data_len = (uint16_t)total;
	meta->l4_proto = ip->next_proto_id;
	meta->l4_off = (uint16_t)hdr;
	return why;
}

/* One extension header at *off: step over it. False when it is not one, or ends the walk. */
static bool ext_step(const uint8_t *p, unsigned len, struct pkt_meta *meta, enum drop_reason *why)
{
	unsigned off = meta->l4_off, size;

	switch (meta->l4_proto) {
	case IPPROTO_HOPOPTS:
	case IPPROTO_DSTOPTS:
	case IPPROTO_ROUTING:
		size = off + 2 <= len ? (p[off + 1] + 1u) * 8 : len;
		/* Type 0 routing headers are deprecated (RFC 5095). */
		if (off + size <= len && meta->l4_proto == IPPROTO_ROUTING && p[off + 2] == 0 && p[off + 3] != 0)
			*why = DROP_IP_OPTIONS;
		break;
	case IPPROTO_FRAGMENT:
		size = sizeof(struct rte_ipv6_fragment_ext);
		break;
	default:
		return false;
	}
	if (*why || off + size > len) {
		*why = *why ? *why : DROP_IP_MALFORMED;
		return false;
	}
	if (meta->l4_proto == IPPROTO_FRAGMENT) {
		uint16_t fd = (uint16_t)(p[off + 2] << 8 | p[off + 3]);

		meta->frag = fd & 0xfff8 ? 2 : fd & 1 ? 1 : 0;
	}
	meta->l4_proto = p[off];
	meta->l4_off = (uint16_t)(off + size);
	return meta->frag != 2; /* behind a later fragment's header there is payload, not a header */
}

static enum drop_reason ext_walk(const struct rte_mbuf *m, struct pkt_meta *meta)
{
	const uint8_t *p = rte_pktmbuf_mtod(m, const uint8_t *);
	enum drop_reason why = DROP_NONE;

	for (unsigned i = 0; i < EXT_HEADERS_MAX; i++)
		if (!ext_step(p, rte_pktmbuf_data_len(m), meta, &why))
			return why;
	return DROP_IP_OPTIONS;
}

enum drop_reason ip6_check(struct rte_mbuf *m)
{
	const struct rte_ipv6_hdr *ip = rte_pktmbuf_mtod(m, const struct rte_ipv6_hdr *);
	struct pkt_meta *meta = pkt_meta(m);

	if (rte_pktmbuf_data_len(m) < sizeof(*ip) || (rte_be_to_cpu_32(ip->vtc_flow) >> 28) != 6)
		return DROP_IP_MALFORMED;
	unsigned total = sizeof(*ip) + rte_be_to_cpu_16(ip->payload_len);

	if (total > rte_pktmbuf_data_len(m))
		return DROP_IP_MALFORMED;
	/* The unspecified source is for neighbour solicitations only, and those go to a multicast address. */
	if (ip6_is_multicast(ip->src_addr) || ip6_is_low(ip->dst_addr) ||
		(ip6_is_low(ip->src_addr) && !(ip6_is_multicast(ip->dst_addr) && ip->src_addr[15] == 0)))
		return DROP_IP_MARTIAN;
	m->pkt_len = m->data_len = (uint16_t)total;
	meta->flags |= PKT_F_IP6;
	meta->l4_proto = ip->proto;
	meta->l4_off = sizeof(*ip);
	meta->frag = 0;
	return ext_walk(m, meta);
}

bool ip_l4_sum_ok(const struct rte_mbuf *m)
{
	const struct pkt_meta *meta = pkt_meta((struct rte_mbuf *)(uintptr_t)m);
	unsigned len = rte_pktmbuf_data_len(m) - meta->l4_off;
	uint32_t sum = rte_raw_cksum(rte_pktmbuf_mtod_offset(m, const void *, meta->l4_off), len);

	if (meta->flags & PKT_F_IP6) {
		struct rte_ipv6_hdr ip = *rte_pktmbuf_mtod(m, const struct rte_ipv6_hdr *);

		ip.proto = meta->l4_proto;
		ip.payload_len = rte_cpu_to_be_16((uint16_t)len);
		sum += rte_ipv6_phdr_cksum(&ip, 0);
	} else {
		sum += rte_ipv4_phdr_cksum(rte_pktmbuf_mtod(m, const struct rte_ipv4_hdr *), 0);
	}
	return (sum & 0xffff) + (sum >> 16) == 0xffff;
}

static uint32_t fold(uint64_t a)
{
	a *= 0x9e3779b97f4a7c15ull;
	return (uint32_t)(a ^ a >> 32);
}

static uint32_t sum_addresses(const struct rte_mbuf *m, bool ip6)
{
	const uint8_t *p = rte_pktmbuf_mtod(m, const uint8_t *) + (ip6 ? 8 : 12);
	uint64_t s = 0, q;
	uint32_t v;

	for (unsigned i = 0; ip6 && i < 4; i++) {
		memcpy(&q, p + 8 * i, 8);
		/* halves mixed apart before the sum, so that equal low halves do not cancel the high ones */
		s += i % 2 ? q : (q << 17 | q >> 47);
	}
	for (unsigned i = 0; !ip6 && i < 2; i++) {
		memcpy(&v, p + 4 * i, 4);
		s += v;
	}
	return fold(s);
}

/* Ports added, so that the direction does not matter; ESP: the SPI. */
static uint32_t ports(const struct rte_mbuf *m, const struct pkt_meta *meta)
{
	uint16_t p[2];

	if (meta->frag || meta->l4_off + 4u > rte_pktmbuf_data_len(m))
		return 0;
	switch (meta->l4_proto) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_SCTP:
	case IPPROTO_ESP:
		memcpy(p, rte_pktmbuf_mtod_offset(m, const uint8_t *, meta->l4_off), 4);
		return (uint32_t)p[0] + p[1];
	default:
		return 0;
	}
}

uint32_t ip_flow_hash(const struct rte_mbuf *m)
{
	const struct pkt_meta *meta = pkt_meta((struct rte_mbuf *)(uintptr_t)m);
	uint32_t h = sum_addresses(m, meta->flags & PKT_F_IP6);

	h = fold((uint64_t)h << 32 | (ports(m, meta) << 8 ^ meta->l4_proto));
	return h ? h : 1;
}
