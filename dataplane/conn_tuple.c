/* SPDX-License-Identifier: BSD-3-Clause */
#include "conn_tuple.h"

#include <rte_icmp.h>
#include <rte_tcp.h>

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

/* ---- writing ---- */

/* Take the words of n bytes out of a checksum, and put others in: RFC 1624, equation 3. n is even, and so is the place
 * of both in what the checksum covers. */
static uint16_t checksum_change(uint16_t sum, const void *out, const void *in, uint32_t n)
{
	uint32_t s = (uint16_t)~sum;

	s += (uint16_t)~rte_raw_cksum(out, n);
	s += rte_raw_cksum(in, n);
	s = (s & 0xffff) + (s >> 16);
	return (uint16_t) ~(s + (s >> 16));
}

/* What of a packet a checksum over addresses and ports covers. */
struct cover {
	uint32_t src, dst;
	uint16_t sport, dport;
};

static struct cover cover_of(const struct conn_tuple *t)
{
	struct cover c = {.sport = t->sport, .dport = t->dport};

	memcpy(&c.src, t->src, 4);
	memcpy(&c.dst, t->dst, 4);
	return c;
}

static void write_header(uint8_t *ip, const struct cover *is, const struct cover *to)
{
	struct rte_ipv4_hdr *h = (struct rte_ipv4_hdr *)ip;

	h->hdr_checksum = checksum_change(h->hdr_checksum, is, to, 8);
	memcpy(&h->src_addr, &to->src, 4);
	memcpy(&h->dst_addr, &to->dst, 4);
}

/* Ports or identifier and the checksum, in n bytes behind the IP header. */
static void write_l4(uint8_t *l4, uint32_t n, uint8_t proto, const struct cover *is, const struct cover *to)
{
	const uint32_t sum_at = proto == IPPROTO_TCP   ? offsetof(struct rte_tcp_hdr, cksum)
				: proto == IPPROTO_UDP ? offsetof(struct rte_udp_hdr, dgram_cksum)
						       : offsetof(struct rte_icmp_hdr, icmp_cksum);
	const bool udp = proto == IPPROTO_UDP;
	uint16_t sum = 0;

	if (!has_ports(proto) && proto != IPPROTO_ICMP)
		return;
	if (sum_at + sizeof(sum) <= n)
		memcpy(&sum, l4 + sum_at, sizeof(sum));
	if (proto == IPPROTO_ICMP) { /* no pseudo-header: the identifier alone */
		const bool request = l4[0] == ICMP4_REQUEST;
		const uint16_t *id_is = request ? &is->sport : &is->dport;
		const uint16_t *id_to = request ? &to->sport : &to->dport;

		sum = checksum_change(sum, id_is, id_to, sizeof(*id_is));
		memcpy(l4 + 4, id_to, sizeof(*id_to));
	} else {
		memcpy(l4, &to->sport, 4);
		if (!(udp && sum == 0)) { /* none was computed (RFC 768) */
			sum = checksum_change(sum, is, to, sizeof(*is));
			sum = udp && sum == 0 ? UINT16_MAX : sum;
		}
	}
	if (sum_at + sizeof(sum) <= n)
		memcpy(l4 + sum_at, &sum, sizeof(sum));
}

/* The packet in an error: what is changed in it changes the error's own checksum, too. */
static void write_quote(uint8_t *icmp, uint32_t n, const struct conn_tuple *is, const struct conn_tuple *to)
{
	const struct conn_tuple q_is = conn_tuple_mirror(is), q_to = conn_tuple_mirror(to);
	const struct cover c_is = cover_of(&q_is), c_to = cover_of(&q_to);
	uint8_t *quote = icmp + ICMP_HDR, proto = 0, before[15 * 4 + 20];
	struct rte_icmp_hdr *h = (struct rte_icmp_hdr *)icmp;
	const uint32_t l4 = quote_l4(quote, n - ICMP_HDR, false, &proto);
	const uint32_t avail = RTE_MIN(n - ICMP_HDR - l4, 20u), covered = (l4 + avail) & ~1u;

	memcpy(before, quote, covered);
	write_header(quote, &c_is, &c_to);
	write_l4(quote + l4, avail & ~1u, proto, &c_is, &c_to);
	h->icmp_cksum = checksum_change(h->icmp_cksum, before, quote, covered);
}

void conn_tuple_write(struct rte_mbuf *m, enum conn_what what, const struct conn_tuple *is, const struct conn_tuple *to)
{
	const struct pkt_meta *meta = pkt_meta(m);
	uint8_t *ip = rte_pktmbuf_mtod(m, uint8_t *), *l4 = ip + meta->l4_off;
	const uint32_t n = rte_pktmbuf_data_len(m) - meta->l4_off;
	struct cover c_is = cover_of(is), c_to = cover_of(to);

	if (what == CONN_PACKET) {
		write_header(ip, &c_is, &c_to);
		write_l4(l4, n, meta->l4_proto, &c_is, &c_to);
		return;
	}
	write_quote(l4, n, is, to);
	/* Who sends the error need not be an end of the connection: its address stays, unless it hides behind one. */
	const struct rte_ipv4_hdr *h = (const struct rte_ipv4_hdr *)ip;
	const struct cover outer_is = {.src = h->src_addr, .dst = h->dst_addr};
	const struct cover outer_to = {.src = c_is.src == c_to.src ? h->src_addr : c_to.src,
		.dst = c_is.dst == c_to.dst ? h->dst_addr : c_to.dst};

	write_header(ip, &outer_is, &outer_to);
}
