/* SPDX-License-Identifier: BSD-3-Clause */
#include "udp.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/udp.h>
#include <string.h>

#define MARKER_LEN 4u
#define TTL 64

static uint32_t sum16(const void *data, size_t len, uint32_t sum)
{
	const uint8_t *p = data;

	for (; len > 1; p += 2, len -= 2)
		sum += (uint32_t)p[0] << 8 | p[1];
	if (len)
		sum += (uint32_t)p[0] << 8;
	return sum;
}

static uint16_t fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* UDP checksum with its pseudo header (RFC 768, RFC 8200 8.1); src and dst are n bytes each. 0 over a packet that
 * carries its checksum = correct. */
static uint16_t udp_sum(const void *src, const void *dst, size_t n, const void *udp, size_t len)
{
	uint32_t sum = sum16(src, n, 0);

	sum = sum16(dst, n, sum);
	sum += IPPROTO_UDP + (uint32_t)len;
	return fold(sum16(udp, len, sum));
}

static void build_udp(uint8_t *at, const struct ike_path *path, bool marker, const void *data, size_t len)
{
	struct udphdr u = {.uh_sport = htons(path->lport),
		.uh_dport = htons(path->rport),
		.uh_ulen = htons((uint16_t)(sizeof(u) + (marker ? MARKER_LEN : 0) + len))};

	memcpy(at, &u, sizeof(u));
	at += sizeof(u);
	if (marker) {
		memset(at, 0, MARKER_LEN);
		at += MARKER_LEN;
	}
	memcpy(at, data, len);
}

/* A sum of zero is sent as all ones (RFC 768). */
static void put_udp_sum(uint8_t *udp, uint16_t sum)
{
	uint16_t be = htons(sum ? sum : 0xffff);

	memcpy(udp + offsetof(struct udphdr, uh_sum), &be, sizeof(be));
}

static void build4(uint8_t *at, const struct ike_path *path, size_t udp_len, uint16_t ip_id)
{
	struct ip h = {.ip_v = 4, .ip_hl = 5, .ip_ttl = TTL, .ip_p = IPPROTO_UDP};

	h.ip_len = htons((uint16_t)(sizeof(h) + udp_len));
	h.ip_id = htons(ip_id);
	memcpy(&h.ip_src, path->local.b, 4);
	memcpy(&h.ip_dst, path->remote.b, 4);
	h.ip_sum = htons(fold(sum16(&h, sizeof(h), 0)));
	memcpy(at, &h, sizeof(h));
	put_udp_sum(at + sizeof(h), udp_sum(path->local.b, path->remote.b, 4, at + sizeof(h), udp_len));
}

static void build6(uint8_t *at, const struct ike_path *path, size_t udp_len)
{
	struct ip6_hdr h = {.ip6_flow = htonl(6u << 28), .ip6_nxt = IPPROTO_UDP, .ip6_hlim = TTL};

	h.ip6_plen = htons((uint16_t)udp_len);
	memcpy(&h.ip6_src, path->local.b, 16);
	memcpy(&h.ip6_dst, path->remote.b, 16);
	memcpy(at, &h, sizeof(h));
	put_udp_sum(at + sizeof(h), udp_sum(path->local.b, path->remote.b, 16, at + sizeof(h), udp_len));
}

int udp_build(
	struct cv_pkt *pkt, const struct ike_path *path, bool marker, const void *data, size_t len, uint16_t ip_id)
{
	size_t ip_len = path->local.af == CV_AF_INET ? sizeof(struct ip) : sizeof(struct ip6_hdr);
	size_t udp_len = sizeof(struct udphdr) + (marker ? MARKER_LEN : 0) + len;

	if ((path->local.af != CV_AF_INET && path->local.af != CV_AF_INET6) || path->local.af != path->remote.af)
		return -EAFNOSUPPORT;
	if (len > CV_PKT_MAX || ip_len + udp_len > CV_PKT_MAX)
		return -EMSGSIZE;
	memset(pkt, 0, CV_PKT_HDR);
	pkt->len = (uint16_t)(ip_len + udp_len);
	pkt->klass = CV_PUNT_IKE;
	pkt->flags = CV_INJECT_BYPASS;
	pkt->vrf_id = path->vrf;
	build_udp(pkt->data + ip_len, path, marker, data, len);
	if (path->local.af == CV_AF_INET)
		build4(pkt->data, path, udp_len, ip_id);
	else
		build6(pkt->data, path, udp_len);
	return 0;
}

/* Offset of the UDP header and the length from there, by the IP header; addresses into path. */
static int parse_ip(const struct cv_pkt *pkt, struct ike_path *path, size_t *off, size_t *len)
{
	const uint8_t *p = pkt->data;

	if (pkt->len >= sizeof(struct ip) && p[0] >> 4 == 4) {
		size_t total = (size_t)p[2] << 8 | p[3];

		*off = (size_t)(p[0] & 15) * 4;
		if (*off < sizeof(struct ip) || total > pkt->len || total < *off || p[9] != IPPROTO_UDP)
			return -EBADMSG;
		*len = total - *off;
		path->remote.af = path->local.af = CV_AF_INET;
		memcpy(path->remote.b, p + 12, 4);
		memcpy(path->local.b, p + 16, 4);
		return 0;
	}
	if (pkt->len >= sizeof(struct ip6_hdr) && p[0] >> 4 == 6) {
		*off = sizeof(struct ip6_hdr);
		*len = (size_t)p[4] << 8 | p[5];
		if (*len > pkt->len - *off || p[6] != IPPROTO_UDP)
			return -EBADMSG;
		path->remote.af = path->local.af = CV_AF_INET6;
		memcpy(path->remote.b, p + 8, 16);
		memcpy(path->local.b, p + 24, 16);
		return 0;
	}
	return -EBADMSG;
}

static int parse_udp(const uint8_t *udp, size_t len, struct udp_in *out)
{
	size_t n = out->path.local.af == CV_AF_INET ? 4 : 16;
	struct udphdr u;

	if (len < sizeof(u))
		return -EBADMSG;
	memcpy(&u, udp, sizeof(u));
	if (ntohs(u.uh_ulen) < sizeof(u) || ntohs(u.uh_ulen) > len)
		return -EBADMSG;
	len = ntohs(u.uh_ulen);
	/* Without a checksum only IPv4 may come. */
	if (u.uh_sum ? udp_sum(out->path.remote.b, out->path.local.b, n, udp, len) : n != 4)
		return -EBADMSG;
	out->path.rport = ntohs(u.uh_sport);
	out->path.lport = ntohs(u.uh_dport);
	out->data = udp + sizeof(u);
	out->len = len - sizeof(u);
	return 0;
}

int udp_parse(const struct cv_pkt *pkt, struct udp_in *out)
{
	static const uint8_t marker[MARKER_LEN];
	size_t off, len;
	int r;

	memset(out, 0, sizeof(*out));
	if (pkt->len > CV_PKT_MAX)
		return -EBADMSG;
	out->path.vrf = pkt->vrf_id;
	(void)((r = parse_ip(pkt, &out->path, &off, &len)) || (r = parse_udp(pkt->data + off, len, out)));
	if (r)
		return r;
	out->natt = out->path.lport == UDP_PORT_NATT;
	if (!out->natt)
		return 0;
	if (out->len == 1 && out->data[0] == 0xff)
		return 1;
	if (out->len < MARKER_LEN || memcmp(out->data, marker, MARKER_LEN))
		return -EPROTO;
	out->data += MARKER_LEN;
	out->len -= MARKER_LEN;
	return 0;
}
