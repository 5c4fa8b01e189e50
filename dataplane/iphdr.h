/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading IP headers of received packets: every length is checked here, once. Any thread. */
#ifndef DATAPLANE_IPHDR_H
#define DATAPLANE_IPHDR_H

#include <netinet/in.h>
#include <string.h>

#include <rte_ip.h>
#include <rte_udp.h>

#include "dp.h"

/* DSCP and ECN of an IPv4 or IPv6 header: TOS, traffic class. */
static inline uint8_t ip_tos(const uint8_t *p)
{
	return p[0] >> 4 == 4 ? p[1] : (uint8_t)(p[0] << 4 | p[1] >> 4);
}

/* Write them. The IPv4 checksum follows (RFC 1624, equation 3). */
static inline void ip_set_tos(uint8_t *p, uint8_t tos)
{
	if (p[0] >> 4 != 4) {
		p[0] = (uint8_t)(0x60 | tos >> 4);
		p[1] = (uint8_t)(tos << 4 | (p[1] & 15));
		return;
	}
	struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)p;
	uint16_t old, new;

	memcpy(&old, p, 2);
	ip->type_of_service = tos;
	memcpy(&new, p, 2);
	uint32_t sum = (uint16_t)~ip->hdr_checksum + (uint32_t)(uint16_t)~old + new;

	sum = (sum & 0xffff) + (sum >> 16);
	ip->hdr_checksum = (uint16_t) ~(sum + (sum >> 16));
}

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

/* What the first octet of an IPv4 address forbids. */
#define IP4_NEVER_SOURCE 1u
#define IP4_NEVER_DESTINATION 2u
#define IP4_BROADCAST_ONLY 4u /* as a destination: nothing but 255.255.255.255 */
extern const uint8_t ip4_octet[256];

/* A header of 20 bytes in three registers, as in memory. */
struct ip4_words {
	uint64_t a, b; /* version to fragment offset; TTL to source */
	uint32_t dst;
};

static inline struct ip4_words ip4_load(const void *h)
{
	struct ip4_words w;

	memcpy(&w.a, h, 8);
	memcpy(&w.b, (const uint8_t *)h + 8, 8);
	memcpy(&w.dst, (const uint8_t *)h + 16, 4);
	return w;
}

/* Ones' complement sum; 0xffff when the header's checksum is right. */
static inline uint16_t ip4_sum20(struct ip4_words w)
{
	uint64_t s = w.a + w.b;
	uint32_t r;

	s += s < w.b; /* end-around carry: the sum counts modulo 2^64 - 1, so modulo 2^16 - 1 as well */
	s += w.dst;
	s += s < w.dst;
	r = (uint32_t)s + (uint32_t)(s >> 32);
	r += r < (uint32_t)s;
	r = (r & 0xffff) + (r >> 16);
	return (uint16_t)(r + (r >> 16));
}

/* The common case inline: no options, not a fragment, exact or padded length. */
static inline enum drop_reason ip4_check(struct rte_mbuf *m)
{
	const struct ip4_words w = ip4_load(rte_pktmbuf_mtod(m, const void *));
	const uint32_t have = rte_pktmbuf_data_len(m), total = rte_bswap16((uint16_t)(w.a >> 16));

	/* version and header length; more fragments, offset */
	if (unlikely(have < sizeof(struct rte_ipv4_hdr) || (w.a & UINT64_C(0xffbf0000000000ff)) != 0x45))
		return ip4_check_slow(m);
	if (unlikely(total < sizeof(struct rte_ipv4_hdr) || total > have))
		return DROP_IP_MALFORMED;
	if (unlikely((m->ol_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK) != RTE_MBUF_F_RX_IP_CKSUM_GOOD &&
		     ip4_sum20(w) != 0xffff))
		return DROP_IP_MALFORMED;
	uint32_t bad = (ip4_octet[w.b >> 32 & 0xff] & IP4_NEVER_SOURCE) |
		       (ip4_octet[w.dst & 0xff] & (IP4_NEVER_DESTINATION | IP4_BROADCAST_ONLY));
	if (unlikely(bad) && (bad != IP4_BROADCAST_ONLY || w.dst != UINT32_MAX))
		return DROP_IP_MARTIAN;
	m->data_len = (uint16_t)total;
	m->pkt_len = total;
	/* one store: no MTU, no ICMP code, protocol, offset, not a fragment */
	const uint64_t l4 = (w.b >> 8 & 0xff) << 24 | (uint64_t)sizeof(struct rte_ipv4_hdr) << 32;
	memcpy((uint8_t *)pkt_meta(m) + offsetof(struct pkt_meta, mtu), &l4, sizeof(l4));
	return DROP_NONE;
}
_Static_assert(offsetof(struct pkt_meta, l4_proto) == offsetof(struct pkt_meta, mtu) + 3 &&
		       offsetof(struct pkt_meta, l4_off) == offsetof(struct pkt_meta, mtu) + 4 &&
		       offsetof(struct pkt_meta, frag) == offsetof(struct pkt_meta, mtu) + 6,
	"ip4_check() writes them in one store");

/* Is the checksum of the UDP or ICMPv6 message at meta->l4_off right? It covers the rest of the packet and a
 * pseudo-header (RFC 768, RFC 8200 8.1). A zero IPv4 UDP checksum is the caller's business. */
bool ip_l4_sum_ok(const struct rte_mbuf *m);

/* Symmetric hash over addresses, protocol and, in whole packets, ports (or SPI): both directions of a flow agree.
 * Data at the IP header, meta as the checks above left it. Never 0. */
uint32_t ip_flow_hash(const struct rte_mbuf *m);

#endif
