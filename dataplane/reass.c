/* SPDX-License-Identifier: BSD-3-Clause */
#include "reass.h"

#include "events.h"
#include "icmp.h"
#include "iphdr.h"
#include "worker.h"

/* Fragments belong together when all of this is equal. Fragments that came out of an SA never mix with clear ones or
 * those of another (RFC 4301 7). */
struct key {
	uint32_t vrf, sa, id;
	uint8_t proto, ip6, pad[2];
	uint8_t src[16], dst[16];
};

struct part {
	struct rte_mbuf *m;
	uint32_t off, len; /* of the payload, in bytes */
	uint32_t data;	   /* where it starts in m */
	uint8_t proto;	   /* IPv6: what follows the fragment header */
	bool more;
};

struct packet {
	bool used;
	struct key key;
	uint64_t start_ms;
	uint32_t total; /* payload bytes; 0 = last fragment not here yet */
	uint32_t have;
	uint32_t n;
	struct part part[REASS_PARTS]; /* by offset */
};

static struct packet packets[REASS_MAX];
static uint32_t n_frags;

static void packet_drop(struct worker *w, struct packet *p)
{
	for (uint32_t i = 0; i < p->n; i++)
		dp_drop1(w, p->part[i].m, DROP_REASS_FAIL);
	n_frags -= p->n;
	p->n = 0;
	p->used = false;
}

/* ---- reading a fragment ---- */

static void read_ipv4(struct rte_mbuf *m, struct key *k, struct part *f)
{
	const struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod(m, const struct rte_ipv4_hdr *);
	uint16_t fo = rte_be_to_cpu_16(ip->fragment_offset);

	memcpy(k->src, &ip->src_addr, 4);
	memcpy(k->dst, &ip->dst_addr, 4);
	k->id = ip->packet_id;
	k->proto = ip->next_proto_id;
	f->data = rte_ipv4_hdr_len(ip);
	f->off = (fo & RTE_IPV4_HDR_OFFSET_MASK) * 8u;
	f->more = fo & RTE_IPV4_HDR_MF_FLAG;
}

/* Offset of the fragment header; ip6_check() has walked these headers, so they are there. */
static unsigned find_fragment_header(const uint8_t *p, unsigned len)
{
	unsigned off = sizeof(struct rte_ipv6_hdr);
	uint8_t next = p[6];

	while (next != IPPROTO_FRAGMENT && off + 8 < len) {
		next = p[off];
		off += (p[off + 1] + 1u) * 8;
	}
	return off;
}

static bool read_ipv6(struct rte_mbuf *m, struct key *k, struct part *f)
{
	const struct rte_ipv6_hdr *ip = rte_pktmbuf_mtod(m, const struct rte_ipv6_hdr *);
	unsigned len = rte_pktmbuf_data_len(m), at = find_fragment_header((const uint8_t *)ip, len);
	struct rte_ipv6_fragment_ext h;

	if (at + sizeof(h) > len)
		return false;
	memcpy(&h, (const uint8_t *)ip + at, sizeof(h));
	memcpy(k->src, ip->src_addr, 16);
	memcpy(k->dst, ip->dst_addr, 16);
	k->id = h.id;
	k->ip6 = 1;
	f->proto = h.next_header;
	f->data = at + (uint32_t)sizeof(h);
	f->off = rte_be_to_cpu_16(h.frag_data) & RTE_IPV6_EHDR_FO_MASK;
	f->more = rte_be_to_cpu_16(h.frag_data) & RTE_IPV6_EHDR_MF_MASK;
	return true;
}

static bool read_fragment(struct rte_mbuf *m, struct key *k, struct part *f)
{
	const struct pkt_meta *meta = pkt_meta(m);

	*k = (struct key){.vrf = meta->vrf, .sa = meta->flags & PKT_F_DECAPPED ? meta->sa : 0};
	*f = (struct part){.m = m};
	if (!(meta->flags & PKT_F_IP6))
		read_ipv4(m, k, f);
	else if (!read_ipv6(m, k, f))
		return false;
	if (f->data > rte_pktmbuf_data_len(m))
		return false;
	f->len = rte_pktmbuf_data_len(m) - f->data;
	return f->len > 0 && (!f->more || f->len % 8 == 0) && f->off + f->len <= CV_PKT_MAX;
}

/* ---- the table ---- */

static struct packet *oldest(void)
{
	struct packet *old = NULL;

	for (unsigned i = 0; i < REASS_MAX; i++)
		if (packets[i].used && (!old || packets[i].start_ms < old->start_ms))
			old = &packets[i];
	return old;
}

/* The packet a fragment belongs to; a new one, at the cost of the oldest, when there is none. */
static struct packet *find(struct worker *w, const struct key *k)
{
	struct packet *unused = NULL;

	for (unsigned i = 0; i < REASS_MAX; i++) {
		if (!packets[i].used)
			unused = &packets[i];
		else if (memcmp(&packets[i].key, k, sizeof(*k)) == 0)
			return &packets[i];
	}
	if (!unused || n_frags >= REASS_FRAGS) {
		unused = oldest();
		packet_drop(w, unused);
	}
	*unused = (struct packet){.used = true, .key = *k, .start_ms = dp_now_ms()};
	return unused;
}

enum add_result { ADDED, DUPLICATE, BAD };

static enum add_result part_add(struct packet *p, const struct part *f)
{
	uint32_t i = 0, end = f->off + f->len;

	while (i < p->n && p->part[i].off < f->off)
		i++;
	if (i < p->n && p->part[i].off == f->off && p->part[i].len == f->len)
		return DUPLICATE; /* RFC 8200 4.5: exact duplicates may be ignored */
	if ((i > 0 && p->part[i - 1].off + p->part[i - 1].len > f->off) || (i < p->n && p->part[i].off < end))
		return BAD;
	if (p->n == REASS_PARTS || (p->total && end > p->total) || (!f->more && p->n > i))
		return BAD; /* behind the end, or an end that is not the last */
	memmove(&p->part[i + 1], &p->part[i], (p->n - i) * sizeof(p->part[0]));
	p->part[i] = *f;
	p->n++;
	p->have += f->len;
	if (!f->more)
		p->total = end;
	n_frags++;
	return ADDED;
}

/* ---- the whole ---- */

/* IPv6: the header that announced the fragment header announces what followed it. */
static void unlink_fragment_header(uint8_t *p, unsigned hdr, uint8_t proto)
{
	unsigned off = sizeof(struct rte_ipv6_hdr), field = 6;

	while (p[field] != IPPROTO_FRAGMENT && off < hdr) {
		field = off;
		off += (p[off + 1] + 1u) * 8;
	}
	p[field] = proto;
}

static void finish_header(struct rte_mbuf *m, unsigned hdr, const struct part *first)
{
	if (pkt_meta(m)->flags & PKT_F_IP6) {
		struct rte_ipv6_hdr *ip = rte_pktmbuf_mtod(m, struct rte_ipv6_hdr *);

		unlink_fragment_header((uint8_t *)ip, hdr, first->proto);
		ip->payload_len = rte_cpu_to_be_16((uint16_t)(rte_pktmbuf_data_len(m) - sizeof(*ip)));
		return;
	}
	struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod(m, struct rte_ipv4_hdr *);

	ip->total_length = rte_cpu_to_be_16(rte_pktmbuf_data_len(m));
	ip->fragment_offset = 0;
	ip->hdr_checksum = 0;
	ip->hdr_checksum = (uint16_t)~rte_raw_cksum(ip, hdr);
}

static struct rte_mbuf *assemble(struct worker *w, struct packet *p)
{
	const struct part *first = &p->part[0];
	bool ip6 = p->key.ip6;
	unsigned hdr = first->data - (ip6 ? (unsigned)sizeof(struct rte_ipv6_fragment_ext) : 0);
	struct rte_mbuf *m = hdr + p->total <= CV_PKT_MAX ? dp_alloc() : NULL;
	uint8_t *d = m ? (uint8_t *)rte_pktmbuf_append(m, (uint16_t)(hdr + p->total)) : NULL;

	if (!d) {
		rte_pktmbuf_free(m);
		packet_drop(w, p);
		return NULL;
	}
	*pkt_meta(m) = *pkt_meta(first->m);
	memcpy(d, rte_pktmbuf_mtod(first->m, const void *), hdr);
	for (uint32_t i = 0; i < p->n; i++) {
		memcpy(d + hdr + p->part[i].off, rte_pktmbuf_mtod_offset(p->part[i].m, const void *, p->part[i].data),
			p->part[i].len);
		rte_pktmbuf_free(p->part[i].m);
	}
	n_frags -= p->n;
	p->used = false;
	finish_header(m, hdr, first);
	enum drop_reason why = ip6 ? ip6_check(m) : ip4_check_slow(m);

	if (!why) {
		w->stats->events[EVENT_REASSEMBLED]++;
		return m;
	}
	dp_drop1(w, m, why);
	return NULL;
}

struct rte_mbuf *reass_input(struct worker *w, struct rte_mbuf *m)
{
	struct key k;
	struct part f;

	if (!read_fragment(m, &k, &f)) {
		dp_drop1(w, m, DROP_REASS_FAIL);
		return NULL;
	}
	struct packet *p = find(w, &k);
	enum add_result r = part_add(p, &f);

	if (r != ADDED)
		dp_drop1(w, m, DROP_REASS_FAIL);
	if (r == BAD)
		packet_drop(w, p);
	return p->used && p->total && p->have == p->total ? assemble(w, p) : NULL;
}

void reass_tick(struct worker *w, uint64_t now_ms)
{
	for (unsigned i = 0; i < REASS_MAX; i++) {
		struct packet *p = &packets[i];

		if (!p->used || now_ms - p->start_ms < REASS_MS)
			continue;
		if (p->n && p->part[0].off == 0)
			icmp_error(w, p->part[0].m, &icmp_reassembly_timeout);
		w->stats->events[EVENT_REASS_TIMEOUT]++;
		packet_drop(w, p);
	}
}
