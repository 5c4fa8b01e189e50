/* SPDX-License-Identifier: BSD-3-Clause */
#include "conn_tuple.h"

#include "iphdr.h"

#define ICMP_HDR 8u
#define QUOTE_L4 8u /* bytes of the quoted packet's payload that every error has (RFC 792) */
enum { ICMP4_REPLY = 0, ICMP4_UNREACH = 3, ICMP4_REQUEST = 8, ICMP4_TIME = 11, ICMP4_PARAMETER = 12 };
enum { ICMP6_UNREACH = 1, ICMP6_PARAMETER = 4, ICMP6_REQUEST = 128, ICMP6_REPLY = 129 };

/* ---- reading ---- */

/* ICMP echo of a family: what the types of request and reply are. */
static bool read_echo(const uint8_t *icmp, bool ip6, struct conn_tuple *t)
{
	uint16_t id;

	memcpy(&id, icmp + 4, sizeof(id));
	if (icmp[0] == (ip6 ? ICMP6_REQUEST : ICMP4_REQUEST)) {
		t->sport = id;
		t->dport = CONN_ECHO_PORT;
		return true;
	}
	t->sport = CONN_ECHO_PORT;
	t->dport = id;
	return icmp[0] == (ip6 ? ICMP6_REPLY : ICMP4_REPLY);
}

static bool is_icmp(const struct conn_tuple *t)
{
	return t->proto == (t->af == CV_AF_INET6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
}

static bool has_ports(uint8_t proto)
{
	return proto == IPPROTO_TCP || proto == IPPROTO_UDP;
}

/* Ports out of n bytes behind the IP header; t->proto and af are set. False: no connection, or too short to tell. */
static bool read_ports(const uint8_t *l4, uint32_t n, struct conn_tuple *t)
{
	if (is_icmp(t))
		return n >= ICMP_HDR && read_echo(l4, t->af == CV_AF_INET6, t);
	if (!has_ports(t->proto))
		return true;
	if (n < 4)
		return false;
	memcpy(&t->sport, l4, 2);
	memcpy(&t->dport, l4 + 2, 2);
	return true;
}

static bool is_error(const uint8_t *icmp, bool ip6)
{
	if (ip6)
		return icmp[0] >= ICMP6_UNREACH && icmp[0] <= ICMP6_PARAMETER;
	return icmp[0] == ICMP4_UNREACH || icmp[0] == ICMP4_TIME || icmp[0] == ICMP4_PARAMETER;
}

static void read_addresses(const uint8_t *ip, struct conn_tuple *t)
{
	if (t->af == CV_AF_INET6) {
		memcpy(t->src, ip + 8, 16);
		memcpy(t->dst, ip + 24, 16);
	} else {
		memcpy(t->src, ip + 12, 4);
		memcpy(t->dst, ip + 16, 4);
	}
}

/* Where the payload of a quoted IPv4 packet begins, 0 = nothing to go by. Extension headers are not walked: what is
 * quoted of IPv6 has to have its transport header at once. */
static uint32_t quote_l4(const uint8_t *ip, uint32_t n, bool ip6, uint8_t *proto)
{
	uint32_t hdr = ip6 ? sizeof(struct rte_ipv6_hdr) : (ip[0] & 15u) * 4u;

	if (n < sizeof(struct rte_ipv4_hdr) || ip[0] >> 4 != (ip6 ? 6 : 4) || hdr < sizeof(struct rte_ipv4_hdr) ||
		n < hdr + QUOTE_L4)
		return 0;
	*proto = ip6 ? ip[6] : ip[9];
	return !ip6 && ((ip[6] & 0x1f) | ip[7]) ? 0 : hdr; /* a later fragment shows no ports */
}

/* The packet that an error quotes, mirrored: the way the error itself goes. */
static bool read_quote(const uint8_t *quote, uint32_t n, bool ip6, struct conn_tuple *t)
{
	struct conn_tuple q = {.vrf = t->vrf, .af = t->af};
	const uint32_t l4 = n ? quote_l4(quote, n, ip6, &q.proto) : 0;

	if (!l4)
		return false;
	read_addresses(quote, &q);
	if (is_icmp(&q) && is_error(quote + l4, ip6)) /* errors about errors are not sent (RFC 1122 3.2.2) */
		return false;
	if (!read_ports(quote + l4, n - l4, &q))
		return false;
	*t = conn_tuple_mirror(&q);
	return true;
}

enum conn_what conn_tuple_read(const struct rte_mbuf *m, struct conn_tuple *t)
{
	const struct pkt_meta *meta = pkt_meta((struct rte_mbuf *)(uintptr_t)m);
	const uint8_t *ip = rte_pktmbuf_mtod(m, const uint8_t *);
	const uint32_t len = rte_pktmbuf_data_len(m), off = meta->l4_off;
	const bool ip6 = meta->flags & PKT_F_IP6;

	*t = (struct conn_tuple){
		.vrf = (uint16_t)meta->vrf, .proto = meta->l4_proto, .af = ip6 ? CV_AF_INET6 : CV_AF_INET};
	if (unlikely(off > len))
		return CONN_NONE;
	read_addresses(ip, t);
	if (unlikely(is_icmp(t)) && len - off >= ICMP_HDR && is_error(ip + off, ip6))
		return read_quote(ip + off + ICMP_HDR, len - off - ICMP_HDR, ip6, t) ? CONN_ERROR : CONN_NONE;
	return read_ports(ip + off, len - off, t) ? CONN_PACKET : CONN_NONE;
}
