/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading IP headers of received packets: every length is checked here, once. Any thread. */
#ifndef DATAPLANE_IPHDR_H
#define DATAPLANE_IPHDR_H

#include <netinet/in.h>
#include <string.h>

#include <rte_ip.h>
#include <rte_udp.h>

#include "dp.h"

/* Address classes that decide where a packet may go. */
static inline bool ip4_is_multicast(uint32_t be)
{
	return (be & rte_cpu_to_be_32(0xf0000000)) == rte_cpu_to_be_32(0xe0000000);
}
/* Never a source on the wire: 0/8, 127/8, 224/4 and up (RFC 1812 5.3.7). */
static inline bool ip4_bad_source(uint32_t be)
{
	uint8_t first = (uint8_t)(rte_be_to_cpu_32(be) >> 24);

	return first == 0 || first == 127 || first >= 224;
}
/* Never a destination on the wire: 0/8, 127/8, 240/4 except limited broadcast. */
static inline bool ip4_bad_destination(uint32_t be)
{
	uint8_t first = (uint8_t)(rte_be_to_cpu_32(be) >> 24);

	return first == 0 || first == 127 || (first >= 240 && be != UINT32_MAX);
}
static inline bool ip6_is_multicast(const uint8_t *a)
{
	return a[0] == 0xff;
}
static inline bool ip6_is_link_local(const uint8_t *a)
{
	return a[0] == 0xfe && (a[1] & 0xc0) == 0x80;
}
/* ::, ::1 and the rest of ::/96 (RFC 4291 2.5; IPv4-compatible addresses are not for the wire). */
static inline bool ip6_is_low(const uint8_t *a)
{
	static const uint8_t zero[12];

	return memcmp(a, zero, 12) == 0;
}

/*
 * Data at an IPv4 header: check version, lengths, checksum (unless the device did), addresses and options; cut off
 * link-layer padding; fill l4_proto, l4_off and frag. Returns DROP_NONE or why the packet must be dropped.
 */
enum drop_reason ip4_check_slow(struct rte_mbuf *m);
/* The same for IPv6; sets PKT_F_IP6. Extension headers are walked to the transport header. */
enum drop_reason ip6_check(struct rte_mbuf *m);

/* Ones' complement sum of a header of 20 bytes; 0xffff when its checksum is right. */
static inline uint16_t ip4_sum20(const void *h)
{
	uint64_t a, b, s;
	uint32_t c, r;

	memcpy(&a, h, 8);
	memcpy(&b, (const uint8_t *)h + 8, 8);
	memcpy(&c, (const uint8_t *)h + 16, 4);
	s = a + b;
	s += s < b; /* end-around carry: the sum counts modulo 2^64 - 1, so modulo 2^16 - 1 as well */
	s += c;
	s += s < c;
	r = (uint32_t)s + (uint32_t)(s >> 32);
	r += r < (uint32_t)s;
	r = (r & 0xffff) + (r >> 16);
	return (uint16_t)(r + (r >> 16));
}

/* The common case inline: no options, not a fragment, exact or padded length. */
static inline enum drop_reason ip4_check(struct rte_mbuf *m)
{
	const struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod(m, const struct rte_ipv4_hdr *);
	struct pkt_meta *meta = pkt_meta(m);
	uint16_t total;

	if (unlikely(rte_pktmbuf_data_len(m) < sizeof(*ip) || ip->version_ihl != 0x45 ||
		     (ip->fragment_offset & ~rte_cpu_to_be_16(RTE_IPV4_HDR_DF_FLAG))))
		return ip4_check_slow(m);
	total = rte_be_to_cpu_16(ip->total_length);
	if (unlikely(total < sizeof(*ip) || total > rte_pktmbuf_data_len(m)))
		return DROP_IP_MALFORMED;
	if (unlikely((m->ol_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK) != RTE_MBUF_F_RX_IP_CKSUM_GOOD &&
		     ip4_sum20(ip) != 0xffff))
		return DROP_IP_MALFORMED;
	if (unlikely(ip4_bad_source(ip->src_addr) || ip4_bad_destination(ip->dst_addr)))
		return DROP_IP_MARTIAN;
	m->pkt_len = m->data_len = total;
	meta->l4_proto = ip->next_proto_id;
	meta->l4_off = sizeof(*ip);
	meta->frag = 0;
	return DROP_NONE;
}

/* Is the checksum of the UDP or ICMPv6 message at meta->l4_off right? It covers the rest of the packet and a
 * pseudo-header (RFC 768, RFC 8200 8.1). A zero IPv4 UDP checksum is the caller's business. */
bool ip_l4_sum_ok(const struct rte_mbuf *m);

/* Symmetric hash over addresses, protocol and, in whole packets, ports (or SPI): both directions of a flow agree.
 * Data at the IP header, meta as the checks above left it. Never 0. */
uint32_t ip_flow_hash(const struct rte_mbuf *m);

#endif
