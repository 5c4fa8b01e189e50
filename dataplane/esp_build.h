/* SPDX-License-Identifier: BSD-3-Clause */
/* Pieces of an outbound packet: outer headers, padding and trailer, IV, and the operation that protects it. Expanded in
 * esp_out.c for each kind of SA, and used by esp_transport.c and ah.c. */
#ifndef DATAPLANE_ESP_BUILD_H
#define DATAPLANE_ESP_BUILD_H

#include <string.h>

#include <rte_ip.h>
#include <rte_udp.h>

#include "esp.h"

static inline uint16_t esp_fold(uint32_t sum)
{
	sum = (sum & 0xffffu) + (sum >> 16);
	sum += sum >> 16;
	return (uint16_t)~sum;
}

static inline uint64_t load8(const void *p)
{
	uint64_t v;
	memcpy(&v, p, 8);
	return v;
}

static inline void store8(void *p, uint64_t v)
{
	memcpy(p, &v, 8);
}

/* Traffic class of the inner packet; DF. RFC 6040 normal mode: DSCP and ECN are copied. */
static inline uint8_t inner_tos(const uint8_t *p, bool *df)
{
	if (p[0] >> 4 == 4) {
		*df = p[6] & 0x40;
		return p[1];
	}
	*df = true; /* nobody but the source may fragment IPv6 */
	return (uint8_t)(p[0] << 4 | p[1] >> 4);
}

/* The first 16 bytes of the outer IPv4 header: what the template says, and TOS, length, ID, DF and checksum, which are
 * zero there, in two stores. */
static inline void outer_ip4(const struct sa *sa, uint8_t *p, uint16_t len, uint8_t tos, bool df, uint32_t seq)
{
	uint16_t id = rte_cpu_to_be_16((uint16_t)(seq + sa->spi)), total = rte_cpu_to_be_16(len);
	uint16_t off = df ? RTE_BE16(RTE_IPV4_HDR_DF_FLAG) : 0;
	uint16_t sum = esp_fold(sa->cksum + ((uint32_t)tos << 8) + total + id + off);
	store8(p, load8(sa->tmpl) | (uint64_t)tos << 8 | (uint64_t)total << 16 | (uint64_t)id << 32 |
			  (uint64_t)off << 48);
	store8(p + 8, load8(sa->tmpl + 8) | (uint64_t)sum << 16);
}

/* The rest is the template's, flow label included. */
static inline void outer_ip6(uint8_t *p, uint16_t len, uint8_t tos)
{
	struct rte_ipv6_hdr *ip = (void *)p;
	ip->vtc_flow |= rte_cpu_to_be_32((uint32_t)tos << 20);
	ip->payload_len = rte_cpu_to_be_16((uint16_t)(len - sizeof(*ip)));
}

/* Outer headers and SPI. The last store may run over into sequence number and IV, which are written after. plain4:
 * IPv4 without UDP, known when this is compiled. */
static inline void outer_headers(
	const struct sa *sa, uint8_t *p, uint16_t len, uint8_t tos, bool df, uint32_t seq, bool plain4)
{
	df = !(sa->flags & SA_F_DF_CLEAR) && (df || sa->flags & SA_F_DF_SET);
	if (plain4) {
		outer_ip4(sa, p, len, tos, df, seq);
		store8(p + 16, load8(sa->tmpl + 16));
		return;
	}
	for (unsigned off = 0; off < sa->outer_len + 4u; off += 8)
		store8(p + off, load8(sa->tmpl + off));
	if (sa->outer_af == CV_AF_INET)
		outer_ip4(sa, p, len, tos, df, seq);
	else
		outer_ip6(p, len, tos);
	if (sa->flags & SA_F_UDP) {
		struct rte_udp_hdr *udp = (void *)(p + sa->outer_len - sizeof(*udp));
		udp->dgram_len = rte_cpu_to_be_16((uint16_t)(len - (sa->outer_len - sizeof(*udp))));
	}
}

/* RFC 4303 2.4: padding is 1, 2, 3, ...; one store covers what a 16-byte block needs. */
static const uint8_t padding[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};

/* Padding, its length and the next header. */
static inline void esp_trailer_put(uint8_t *end, uint32_t pad, uint8_t next, bool aead)
{
	if (aead) { /* at most 3 bytes of padding: all in one store */
		static const uint64_t ready[4] = {0, 0x0101, 0x020201, 0x03030201};
		store8(end, ready[pad] | (uint64_t)next << (8 * (pad + 1)));
		return;
	}
	memcpy(end, padding, 16);
	end[pad] = (uint8_t)pad;
	end[pad + 1] = next;
}

/*
 * The operation on one ESP packet, and its IV on the wire. data: behind the IV, body bytes with trailer. aead, esn:
 * what the SA is, constants where this is expanded for the fast path. With ESN the high half of the number is
 * authenticated too: in the AAD, or else behind the packet, where the ICV goes afterwards (RFC 4303 2.2.1).
 */
static __rte_always_inline void esp_op_out(struct ipsec_worker *iw, const struct sa *sa, struct crypto_op *op,
	uint8_t *esp, uint8_t *data, uint32_t body, uint64_t seq, bool aead, bool esn)
{
	const uint32_t seq_be = rte_cpu_to_be_32((uint32_t)seq), high_be = rte_cpu_to_be_32((uint32_t)(seq >> 32));
	const uint64_t counter = (uint64_t)seq_be << 32 | high_be;
	memcpy(esp + 4, &seq_be, 4);
	op->session = sa->session;
	op->auth = esp;
	op->data = data;
	op->data_len = body;
	op->icv = data + body;
	if (aead) {
		store8(esp + 8, counter);
		esp_nonce_set(op, sa->salt, counter);
		esp_aad_set(op, rte_cpu_to_be_32(sa->spi), esn ? high_be : seq_be);
		if (esn)
			memcpy(op->aad + 8, &seq_be, 4);
		return;
	}
	if (sa->iv == SA_IV_RANDOM) {
		ipsec_crypto()->random16(iw->crypto, op->nonce);
		memcpy(esp + 8, op->nonce, sa->iv_len);
	} else if (sa->iv == SA_IV_CTR) {
		store8(esp + 8, counter);
		esp_counter_set(op, sa->salt, counter);
	}
	op->auth_len = (uint32_t)(data - esp) + body;
	if (esn && sa->icv_len) {
		memcpy(op->icv, &high_be, 4);
		op->auth_len += 4;
	}
}

/*
 * Put headers and trailer around the len bytes at data, of protocol next, and describe the operation. tos, df: of the
 * packet inside. The caller has made sure of the room. aead, plain4, esn: what the SA is, constants where this is
 * expanded. Returns the length of the outer packet, which begins esp_head() in front of data.
 */
static __rte_always_inline uint32_t esp_wrap(struct ipsec_worker *iw, const struct sa *sa, uint8_t *data, uint32_t len,
	uint8_t next, uint8_t tos, bool df, uint64_t seq, struct crypto_op *op, bool aead, bool plain4, bool esn)
{
	const uint32_t iv_len = aead ? 8 : sa->iv_len, outer_len = plain4 ? sizeof(struct rte_ipv4_hdr) : sa->outer_len;
	uint8_t *p = data - outer_len - ESP_HDR_LEN - iv_len;
	const uint32_t pad = (0u - (len + ESP_TRAILER_LEN)) & (aead ? 3u : sa->pad_mask);
	const uint32_t body = len + pad + ESP_TRAILER_LEN, total = (uint32_t)(data - p) + body + sa->icv_len;
	esp_trailer_put(data + len, pad, next, aead);
	outer_headers(sa, p, (uint16_t)total, tos, df, (uint32_t)seq, plain4);
	esp_op_out(iw, sa, op, p + outer_len, data, body, seq, aead, esn);
	return total;
}

#endif
