/* SPDX-License-Identifier: BSD-3-Clause */
#include "pmtu.h"

#include <string.h>

#include <rte_ip.h>
#include <rte_udp.h>

#include "addr_hash.h"
#include "cv_addr.h"
#include "events.h"
#include "fib.h"
#include "sa.h"
#include "tunnel.h"
#include "worker.h"

#define BUCKETS 512u
#define WAYS 4u
#define MTU4_MIN 552u  /* nobody has less, and a forged message must not make every packet tiny */
#define MTU6_MIN 1280u /* RFC 8201 4 */
#define SEQ_RECENT (1u << 24)
#define LOOKUPS_PER_S 50u /* each walks the SA table */
#define TICK_MS 1000u

enum { ICMP4_UNREACH = 3, ICMP4_FRAG_NEEDED = 4, ICMP6_TOO_BIG = 2, ICMP_HDR = 8 };

/* version is odd while main changes the entry; readers then see nothing learned and look again at the next change of
 * fib_generation(), which every change ends with. */
struct entry {
	uint32_t version;
	uint32_t vrf;
	struct cv_addr dst;
	uint16_t mtu; /* 0 = free */
	uint64_t set_ms;
};
static struct entry table[BUCKETS][WAYS];
static unsigned n_used;

/* What an ICMP message quotes. */
struct quote {
	struct cv_addr src, dst;
	uint32_t len, mtu;
	uint8_t proto;
	const uint8_t *l4; /* of the quoted packet, l4_len bytes of it */
	uint32_t l4_len;
};

static struct entry *bucket(uint32_t vrf, const struct cv_addr *dst)
{
	return table[addr_hash(dst, vrf) % BUCKETS];
}

uint16_t pmtu_get(uint32_t vrf, const struct cv_addr *dst)
{
	const struct entry *b = bucket(vrf, dst);

	for (unsigned i = 0; i < WAYS; i++) {
		uint32_t version = __atomic_load_n(&b[i].version, __ATOMIC_ACQUIRE);
		uint16_t mtu = b[i].mtu;
		bool same = b[i].vrf == vrf && !memcmp(&b[i].dst, dst, sizeof(*dst));

		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (same && mtu && !(version & 1) && __atomic_load_n(&b[i].version, __ATOMIC_RELAXED) == version)
			return mtu;
	}
	return 0;
}

/* Change an entry; SAs look at it again because the generation moves on. */
static void write_entry(struct entry *e, uint32_t vrf, const struct cv_addr *dst, uint16_t mtu)
{
	n_used += (mtu != 0) - (e->mtu != 0);
	__atomic_store_n(&e->version, e->version + 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	e->vrf = vrf;
	e->dst = *dst;
	e->mtu = mtu;
	e->set_ms = dp_now_ms();
	__atomic_store_n(&e->version, e->version + 1, __ATOMIC_RELEASE);
	fib_generation_bump();
}

static void tell_control(uint32_t vrf, const struct cv_addr *dst, uint16_t mtu)
{
	struct cv_msg msg = {.h = {.type = CV_EVT_PATH_MTU, .len = sizeof(msg.h) + sizeof(struct cv_evt_path_mtu)}};
	struct cv_evt_path_mtu *e = (struct cv_evt_path_mtu *)msg.body;

	*e = (struct cv_evt_path_mtu){.front_vrf = vrf, .dst = *dst, .mtu = mtu};
	dp_event(&msg);
}

/* The entry of this peer, a free one, or the oldest. */
static struct entry *entry_for(uint32_t vrf, const struct cv_addr *dst)
{
	struct entry *b = bucket(vrf, dst), *best = &b[0];

	for (unsigned i = 0; i < WAYS; i++) {
		if (b[i].mtu && b[i].vrf == vrf && !memcmp(&b[i].dst, dst, sizeof(*dst)))
			return &b[i];
		if (best->mtu && (!b[i].mtu || b[i].set_ms < best->set_ms))
			best = &b[i];
	}
	return best;
}

/* RFC 1191 7.1: a router that does not say how much would fit; the next common size below what did not. */
static uint32_t plateau(uint32_t len)
{
	static const uint32_t sizes[] = {8166, 4352, 2002, 1492, 1006};

	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		if (sizes[i] < len)
			return sizes[i];
	return MTU4_MIN;
}

static bool read_quote4(const uint8_t *icmp, uint32_t len, struct quote *q)
{
	const struct rte_ipv4_hdr *ip = (const struct rte_ipv4_hdr *)(icmp + ICMP_HDR);
	uint32_t hdr;

	if (icmp[0] != ICMP4_UNREACH || icmp[1] != ICMP4_FRAG_NEEDED || len < ICMP_HDR + sizeof(*ip) + 8)
		return false;
	hdr = (ip->version_ihl & 15u) * 4u;
	if (ip->version_ihl >> 4 != 4 || hdr < sizeof(*ip) || len < ICMP_HDR + hdr + 8)
		return false;
	q->src.af = q->dst.af = CV_AF_INET;
	memcpy(q->src.b, &ip->src_addr, 4);
	memcpy(q->dst.b, &ip->dst_addr, 4);
	q->len = rte_be_to_cpu_16(ip->total_length);
	q->proto = ip->next_proto_id;
	q->l4 = (const uint8_t *)ip + hdr;
	q->l4_len = len - ICMP_HDR - hdr;
	q->mtu = (uint32_t)icmp[6] << 8 | icmp[7];
	if (!q->mtu)
		q->mtu = plateau(q->len);
	return !(ip->fragment_offset & rte_cpu_to_be_16(RTE_IPV4_HDR_OFFSET_MASK));
}

/* An outer packet that was cut after encryption (FRAG-11): its first part shows SPI and number as well. */
static bool first_fragment(struct quote *q)
{
	const struct rte_ipv6_fragment_ext *f = (const struct rte_ipv6_fragment_ext *)q->l4;

	if (q->l4_len < sizeof(*f) + 8 || f->frag_data & rte_cpu_to_be_16(RTE_IPV6_EHDR_FO_MASK))
		return false;
	q->proto = f->next_header;
	q->l4 += sizeof(*f);
	q->l4_len -= (uint32_t)sizeof(*f);
	return true;
}

static bool read_quote6(const uint8_t *icmp, uint32_t len, struct quote *q)
{
	const struct rte_ipv6_hdr *ip = (const struct rte_ipv6_hdr *)(icmp + ICMP_HDR);
	uint32_t mtu;

	if (icmp[0] != ICMP6_TOO_BIG || len < ICMP_HDR + sizeof(*ip) + 8)
		return false;
	q->src.af = q->dst.af = CV_AF_INET6;
	memcpy(q->src.b, ip->src_addr, 16);
	memcpy(q->dst.b, ip->dst_addr, 16);
	q->len = sizeof(*ip) + rte_be_to_cpu_16(ip->payload_len);
	q->proto = ip->proto;
	q->l4 = (const uint8_t *)(ip + 1);
	q->l4_len = len - ICMP_HDR - (uint32_t)sizeof(*ip);
	memcpy(&mtu, icmp + 4, 4);
	q->mtu = rte_be_to_cpu_32(mtu);
	return q->proto != IPPROTO_FRAGMENT || first_fragment(q);
}

static uint32_t be32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, 4);
	return rte_be_to_cpu_32(v);
}

/*
 * Could this SA have sent the quoted packet? SPI and sequence number are what somebody off the path cannot know. A
 * router that quotes only eight bytes shows of UDP encapsulation no more than the ports.
 */
static bool sent_by(const struct sa *sa, const struct quote *q)
{
	const uint8_t *p = q->l4;
	uint32_t left = q->l4_len;

	if (sa->dir != CV_SA_OUT || !cv_addr_eq(&sa->conf.dst, &q->dst) || !cv_addr_eq(&sa->conf.src, &q->src))
		return false;
	if (sa->conf.flags & CV_SA_F_UDP_ENCAP) {
		if (q->proto != IPPROTO_UDP || (p[0] << 8 | p[1]) != sa->conf.udp_src ||
			(p[2] << 8 | p[3]) != sa->conf.udp_dst)
			return false;
		p += sizeof(struct rte_udp_hdr);
		left -= (uint32_t)sizeof(struct rte_udp_hdr);
	} else if (q->proto != sa->conf.ipproto) {
		return false;
	} else if (q->proto == IPPROTO_AH) { /* next header, length, reserved; then SPI and sequence number */
		if (left < 12)
			return left >= 8 && be32(p + 4) == sa->spi;
		p += 4;
	}
	if (left < 8)
		return left == 0;
	return be32(p) == sa->spi &&
	       (uint32_t)__atomic_load_n(&sa->state->seq, __ATOMIC_RELAXED) - be32(p + 4) < SEQ_RECENT;
}

static bool sent_by_any(uint32_t vrf, const struct quote *q)
{
	for (uint32_t i = 1; i < CV_SA_MAX; i++) {
		const struct sa *sa = sa_table[i];

		if (sa && sa->front_vrf == vrf && sent_by(sa, q))
			return true;
	}
	return false;
}

static bool may_look(void)
{
	static uint64_t second;
	static uint32_t n;
	uint64_t now = dp_now_ms() / 1000;

	if (now != second) {
		second = now;
		n = 0;
	}
	return n++ < LOOKUPS_PER_S;
}

bool pmtu_input(struct worker *w, const struct rte_mbuf *m)
{
	const struct pkt_meta *meta = pkt_meta((struct rte_mbuf *)(uintptr_t)m);
	const uint8_t *icmp = rte_pktmbuf_mtod_offset(m, const uint8_t *, meta->l4_off);
	uint32_t len = rte_pktmbuf_data_len(m) - meta->l4_off;
	bool ip6 = meta->flags & PKT_F_IP6;
	uint32_t least = ip6 ? MTU6_MIN : MTU4_MIN, known;
	struct quote q = {0};

	if (!(ip6 ? read_quote6(icmp, len, &q) : read_quote4(icmp, len, &q)))
		return false;
	if (q.mtu >= q.len || !may_look() ||
		(!sent_by_any(meta->vrf, &q) && !tunnel_sent(meta->vrf, &q.src, &q.dst, q.proto, q.l4, q.l4_len))) {
		w->stats->events[EVENT_PMTU_REFUSED]++;
		return false;
	}
	q.mtu = q.mtu < least ? least : q.mtu;
	known = pmtu_get(meta->vrf, &q.dst);
	if (known && known <= q.mtu)
		return true; /* about packets that were already on their way */
	w->stats->events[EVENT_PMTU_LEARNED]++;
	write_entry(entry_for(meta->vrf, &q.dst), meta->vrf, &q.dst, (uint16_t)q.mtu);
	tell_control(meta->vrf, &q.dst, (uint16_t)q.mtu);
	return true;
}

void pmtu_tick(struct worker *w, uint64_t now_ms)
{
	static uint64_t last_ms;

	if (!n_used || now_ms - last_ms < TICK_MS)
		return;
	last_ms = now_ms;
	for (unsigned i = 0; i < BUCKETS * WAYS; i++) {
		struct entry *e = &table[i / WAYS][i % WAYS];

		if (!e->mtu || now_ms < e->set_ms + PMTU_AGE_MS)
			continue;
		w->stats->events[EVENT_PMTU_AGED]++;
		tell_control(e->vrf, &e->dst, 0);
		write_entry(e, e->vrf, &(struct cv_addr){.af = CV_AF_NONE}, 0);
	}
}
