/* SPDX-License-Identifier: BSD-3-Clause */
#include "gre.h"

#include <string.h>

#include <rte_ip.h>

#define GRE_C 0x8000u
#define GRE_K 0x2000u
#define GRE_S 0x1000u
#define GRE_REFUSED 0x4c07u /* routing, strict source route and version: RFC 2784 2.1, 2.2 */
#define ETHER_IP4 0x0800u
#define ETHER_IP6 0x86ddu
#define KEEPALIVE 0u

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static uint32_t get16(const uint8_t *p)
{
	return (uint32_t)(p[0] << 8 | p[1]);
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v & 0xffffu);
}

static uint32_t get32(const uint8_t *p)
{
	return get16(p) << 16 | get16(p + 2);
}

static uint32_t head_flags(const struct cv_tunnel *t)
{
	return (t->flags & CV_TUNNEL_F_CHECKSUM ? GRE_C : 0) | (t->flags & CV_TUNNEL_F_KEY ? GRE_K : 0) |
	       (t->flags & CV_TUNNEL_F_SEQUENCE ? GRE_S : 0);
}

bool gre_is_of(const uint8_t *p, uint32_t len, const struct cv_tunnel *t)
{
	const uint32_t key_at = t->flags & CV_TUNNEL_F_CHECKSUM ? 8 : 4;

	return get16(p) == head_flags(t) &&
	       (!(t->flags & CV_TUNNEL_F_KEY) || len < key_at + 4 || get32(p + key_at) == t->key);
}

void gre_write(uint8_t *p, const struct cv_tunnel *t, uint8_t inner_af, uint32_t seq, uint32_t payload)
{
	const uint32_t flags = head_flags(t);
	uint8_t *at = p + 4;

	put16(p, flags);
	put16(p + 2, inner_af == CV_AF_INET ? ETHER_IP4 : inner_af == CV_AF_INET6 ? ETHER_IP6 : KEEPALIVE);
	if (flags & GRE_C) {
		put32(at, 0);
		at += 4;
	}
	if (flags & GRE_K) {
		put32(at, t->key);
		at += 4;
	}
	if (flags & GRE_S) {
		put32(at, seq);
		at += 4;
	}
	if (flags & GRE_C) { /* over header and payload, this field being zero */
		uint16_t sum = (uint16_t)~rte_raw_cksum(p, (uint32_t)(at - p) + payload);

		memcpy(p + 4, &sum, sizeof(sum));
	}
}

bool gre_read(const uint8_t *p, uint32_t len, struct gre_header *h)
{
	if (len < 4)
		return false;
	const uint32_t flags = get16(p), type = get16(p + 2);

	*h = (struct gre_header){.has_key = flags & GRE_K, .has_seq = flags & GRE_S, .len = 4};
	h->len += (flags & GRE_C ? 4 : 0) + (h->has_key ? 4 : 0) + (h->has_seq ? 4 : 0);
	if (flags & GRE_REFUSED || len < h->len || (type != ETHER_IP4 && type != ETHER_IP6 && type != KEEPALIVE))
		return false;
	h->inner_af = type == ETHER_IP4 ? CV_AF_INET : type == ETHER_IP6 ? CV_AF_INET6 : CV_AF_NONE;
	if (flags & GRE_C && rte_raw_cksum(p, len) != 0xffff)
		return false;
	const uint8_t *at = p + 4 + (flags & GRE_C ? 4 : 0);

	if (h->has_key) {
		h->key = get32(at);
		at += 4;
	}
	if (h->has_seq)
		h->seq = get32(at);
	return true;
}
