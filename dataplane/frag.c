/* SPDX-License-Identifier: BSD-3-Clause */
#include "frag.h"

#include <netinet/in.h>
#include <string.h>

#include <rte_ip.h>

#include "worker.h"

/* How a payload is cut: into n parts whose sizes differ by at most 8 bytes (FRAG-2). All but the last are whole units
 * of 8 bytes; the first `extra` of them hold one unit more. */
struct cut {
	unsigned hdr;	  /* bytes repeated in front of every part */
	unsigned payload; /* bytes to spread */
	unsigned n, base, extra;
};

static bool cut_make(struct cut *c, unsigned max_len, unsigned max_out)
{
	unsigned room = max_len > c->hdr ? (max_len - c->hdr) & ~7u : 0;

	if (room == 0 || c->payload == 0)
		return false;
	c->n = (c->payload + room - 1) / room;
	c->base = c->payload / 8 / c->n;
	c->extra = c->payload / 8 % c->n;
	return c->n <= max_out;
}

/* Where part i begins in the payload; i == n: the end. */
static unsigned cut_at(const struct cut *c, unsigned i)
{
	return i == c->n ? c->payload : 8 * (i * c->base + (i < c->extra ? i : c->extra));
}

/* One part: copy of the meta data, room for the header, and its piece of the payload. */
static struct rte_mbuf *part_make(const struct rte_mbuf *m, const struct cut *c, unsigned i, unsigned payload_off)
{
	unsigned from = cut_at(c, i), len = cut_at(c, i + 1) - from;
	struct rte_mbuf *p = dp_alloc();
	uint8_t *d = p ? (uint8_t *)rte_pktmbuf_append(p, (uint16_t)(c->hdr + len)) : NULL;

	if (!d) {
		rte_pktmbuf_free(p);
		return NULL;
	}
	*pkt_meta(p) = *pkt_meta((struct rte_mbuf *)(uintptr_t)m);
	pkt_meta(p)->flags &= ~PKT_F_TRACED; /* the record stays with one packet */
	pkt_meta(p)->frag = i == 0 ? 1 : 2;
	memcpy(d + c->hdr, rte_pktmbuf_mtod_offset(m, const uint8_t *, payload_off + from), len);
	return p;
}

static int fail(struct worker *w, struct rte_mbuf *m, struct rte_mbuf **out, unsigned n)
{
	rte_pktmbuf_free_bulk(out, n);
	dp_drop1(w, m, DROP_FRAG_FAIL);
	return -1;
}

/* Later fragments carry only options with the "copied" flag (RFC 791 3.1); the others become no-operations. */
static void strip_options(uint8_t *opt, unsigned len)
{
	for (unsigned i = 0; i < len && opt[i] != 0;) {
		unsigned l = opt[i] == 1 ? 1 : i + 1 < len ? opt[i + 1] : 0;

		if (l == 0 || l > len - i)
			return;
		if (!(opt[i] & 0x80))
			memset(opt + i, 1, l);
		i += l;
	}
}

static void finish_ipv4(struct rte_mbuf *p, const struct rte_ipv4_hdr *ip, const struct cut *c, unsigned i)
{
	struct rte_ipv4_hdr *h = rte_pktmbuf_mtod(p, struct rte_ipv4_hdr *);
	uint16_t old = rte_be_to_cpu_16(ip->fragment_offset);
	uint16_t off = (uint16_t)((old & RTE_IPV4_HDR_OFFSET_MASK) + cut_at(c, i) / 8);
	uint16_t more = i + 1 < c->n ? RTE_IPV4_HDR_MF_FLAG : old & RTE_IPV4_HDR_MF_FLAG;

	memcpy(h, ip, c->hdr);
	if (off)
		strip_options((uint8_t *)(h + 1), c->hdr - sizeof(*h));
	h->total_length = rte_cpu_to_be_16(rte_pktmbuf_data_len(p));
	h->fragment_offset = rte_cpu_to_be_16(off | more);
	h->hdr_checksum = 0;
	h->hdr_checksum = (uint16_t)~rte_raw_cksum(h, c->hdr);
	pkt_meta(p)->frag = off ? 2 : 1;
}

int frag_ipv4(struct worker *w, struct rte_mbuf *m, uint16_t max_len, struct rte_mbuf **out, unsigned max_out)
{
	const struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod(m, const struct rte_ipv4_hdr *);
	struct cut c = {.hdr = rte_ipv4_hdr_len(ip)};

	if (rte_pktmbuf_data_len(m) <= max_len) {
		out[0] = m;
		return 1;
	}
	c.payload = rte_pktmbuf_data_len(m) - c.hdr;
	if (!cut_make(&c, max_len, max_out))
		return fail(w, m, out, 0);
	for (unsigned i = 0; i < c.n; i++) {
		out[i] = part_make(m, &c, i, c.hdr);
		if (!out[i])
			return fail(w, m, out, i);
		finish_ipv4(out[i], ip, &c, i);
	}
	rte_pktmbuf_free(m);
	return (int)c.n;
}

static void finish_ipv6(struct rte_mbuf *p, const struct rte_ipv6_hdr *ip, const struct cut *c, unsigned i, uint32_t id)
{
	struct rte_ipv6_hdr *h = rte_pktmbuf_mtod(p, struct rte_ipv6_hdr *);
	struct rte_ipv6_fragment_ext *f = (struct rte_ipv6_fragment_ext *)(h + 1);

	memcpy(h, ip, sizeof(*h));
	h->proto = IPPROTO_FRAGMENT;
	h->payload_len = rte_cpu_to_be_16((uint16_t)(rte_pktmbuf_data_len(p) - sizeof(*h)));
	f->next_header = ip->proto;
	f->reserved = 0;
	f->frag_data = rte_cpu_to_be_16(RTE_IPV6_SET_FRAG_DATA(cut_at(c, i), i + 1 < c->n));
	f->id = id;
}

int frag_ipv6(struct worker *w, struct rte_mbuf *m, uint16_t max_len, struct rte_mbuf **out, unsigned max_out)
{
	const struct rte_ipv6_hdr *ip = rte_pktmbuf_mtod(m, const struct rte_ipv6_hdr *);
	struct cut c = {.hdr = sizeof(*ip) + sizeof(struct rte_ipv6_fragment_ext)};
	/* Unpredictable enough not to collide (RFC 7739): per worker and packet, from the cycle counter. */
	uint32_t id = (uint32_t)(rte_rdtsc() * 0x9e3779b97f4a7c15ull >> 32) ^ w->index;

	if (rte_pktmbuf_data_len(m) <= max_len) {
		out[0] = m;
		return 1;
	}
	c.payload = rte_pktmbuf_data_len(m) - sizeof(*ip);
	if (!cut_make(&c, max_len, max_out))
		return fail(w, m, out, 0);
	for (unsigned i = 0; i < c.n; i++) {
		out[i] = part_make(m, &c, i, sizeof(*ip));
		if (!out[i])
			return fail(w, m, out, i);
		finish_ipv6(out[i], ip, &c, i, id);
	}
	rte_pktmbuf_free(m);
	return (int)c.n;
}
