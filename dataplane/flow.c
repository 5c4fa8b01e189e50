/* SPDX-License-Identifier: BSD-3-Clause */
#include "flow.h"

#include <string.h>

#include <rte_byteorder.h>
#include <rte_ip.h>

#define FLOW_MAX_EXT 8 /* IPv6 extension headers looked through */

const uint32_t flow_ports_mask[256] = {
	[IPPROTO_TCP] = UINT32_MAX,
	[IPPROTO_UDP] = UINT32_MAX,
	[IPPROTO_DCCP] = UINT32_MAX,
	[IPPROTO_SCTP] = UINT32_MAX,
	[IPPROTO_UDPLITE] = UINT32_MAX,
	[IPPROTO_ICMP] = RTE_BE32(0xffff0000),
	[IPPROTO_ICMPV6] = RTE_BE32(0xffff0000),
};

flow_addr flow_addr_from(const struct cv_addr *a)
{
	flow_addr v = 0;
	unsigned n = a->af == CV_AF_INET ? 4 : 16;
	for (unsigned i = 0; i < n; i++)
		v = v << 8 | a->b[i];
	return v;
}

void flow_addr_to(flow_addr v, uint8_t af, struct cv_addr *out)
{
	memset(out, 0, sizeof(*out));
	out->af = af;
	for (int i = af == CV_AF_INET ? 3 : 15; i >= 0; i--, v >>= 8)
		out->b[i] = (uint8_t)v;
}

void flow_sel_from(const struct cv_selector *s, struct flow_sel *out)
{
	*out = (struct flow_sel){
		.src_lo = flow_addr_from(&s->src.lo),
		.src_hi = flow_addr_from(&s->src.hi),
		.dst_lo = flow_addr_from(&s->dst.lo),
		.dst_hi = flow_addr_from(&s->dst.hi),
		.sport_lo = s->sport_lo,
		.sport_hi = s->sport_hi,
		.dport_lo = s->dport_lo,
		.dport_hi = s->dport_hi,
		.af = s->src.lo.af,
		.proto = s->proto,
		.any_ports =
			s->sport_lo == 0 && s->sport_hi == UINT16_MAX && s->dport_lo == 0 && s->dport_hi == UINT16_MAX,
	};
}

static inline flow_addr load16(const uint8_t *p)
{
	uint64_t hi, lo;
	memcpy(&hi, p, 8);
	memcpy(&lo, p + 8, 8);
	return (flow_addr)rte_be_to_cpu_64(hi) << 64 | rte_be_to_cpu_64(lo);
}

bool flow_locate_l4(struct rte_mbuf *m)
{
	struct pkt_meta *meta = pkt_meta(m);
	const uint8_t *p = rte_pktmbuf_mtod(m, const uint8_t *);
	uint32_t len = rte_pktmbuf_data_len(m);
	if (len >= sizeof(struct rte_ipv4_hdr) && p[0] >> 4 == 4) {
		const struct rte_ipv4_hdr *ip = (const void *)p;
		uint16_t fo = rte_be_to_cpu_16(ip->fragment_offset);
		meta->l4_off = (uint16_t)((p[0] & 15u) * 4u);
		meta->l4_proto = ip->next_proto_id;
		meta->frag = fo & RTE_IPV4_HDR_OFFSET_MASK ? 2 : fo & RTE_IPV4_HDR_MF_FLAG ? 1 : 0;
		return true;
	}
	if (len < sizeof(struct rte_ipv6_hdr) || p[0] >> 4 != 6)
		return false;
	uint32_t off = sizeof(struct rte_ipv6_hdr);
	uint8_t proto = p[6];
	meta->frag = 0;
	for (int i = 0; i < FLOW_MAX_EXT && off + 8 <= len && meta->frag != 2; i++) {
		if (proto == IPPROTO_FRAGMENT)
			meta->frag = (uint16_t)((p[off + 2] << 8 | p[off + 3]) & 0xfff8 ? 2 : 1);
		else if (proto != IPPROTO_HOPOPTS && proto != IPPROTO_ROUTING && proto != IPPROTO_DSTOPTS)
			break;
		uint32_t ext = proto == IPPROTO_FRAGMENT ? 8u : 8u + p[off + 1] * 8u;
		proto = p[off];
		off += ext;
	}
	meta->l4_off = (uint16_t)off;
	meta->l4_proto = proto;
	return true;
}

bool flow_parse(struct rte_mbuf *m, struct flow *f)
{
	struct pkt_meta *meta = pkt_meta(m);
	const uint8_t *p = rte_pktmbuf_mtod(m, const uint8_t *);
	if (unlikely(meta->l4_off == 0) && !flow_locate_l4(m))
		return false;
	f->vrf = meta->vrf;
	f->proto = meta->l4_proto;
	f->no_ports = meta->frag == 2;
	f->dscp = flow_dscp(p);
	f->sport = 0;
	f->dport = 0;
	if (p[0] >> 4 == 4) {
		const struct rte_ipv4_hdr *ip = (const void *)p;
		f->af = CV_AF_INET;
		f->src = rte_be_to_cpu_32(ip->src_addr);
		f->dst = rte_be_to_cpu_32(ip->dst_addr);
	} else {
		f->af = CV_AF_INET6;
		f->src = load16(p + 8);
		f->dst = load16(p + 24);
	}
	if (f->no_ports || meta->l4_off + 4u > rte_pktmbuf_data_len(m))
		return true;
	p += meta->l4_off;
	if (likely(flow_has_ports(f->proto))) {
		f->sport = (uint16_t)(p[0] << 8 | p[1]);
		f->dport = (uint16_t)(p[2] << 8 | p[3]);
	} else if (flow_is_icmp(f->proto)) {
		f->sport = (uint16_t)(p[0] << 8 | p[1]);
	}
	return true;
}
