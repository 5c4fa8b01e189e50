/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The fast path: a per-worker cache of what the pipeline (pipeline.h) did with the first packet of a flow, and a short
 * way for those that follow. It decides nothing itself. A flow is learned at the very end of the pipeline, from the
 * frame that is about to be sent, and only when that frame is what the fast path would have made of the packet;
 * whatever the pipeline drops, punts, cuts, wraps otherwise or rewrites is never learned and stays with the pipeline.
 *
 * The key holds everything decisions depend on (where the packet came from, addresses, protocol, ports, traffic class).
 * What is not in the key is checked per packet (lengths, TTL, header checksum, sequence numbers), or is the same for
 * one value of flow_generation(): a flow from before it is held against what has changed since (fast_stale.c), so that
 * a change costs those flows only that it concerns. For IPv4 and IPv6 packets in one buffer, without options,
 * extension headers or fragments, and ESP tunnels over IPv4, in UDP or not (RFC 3948), and over IPv6 (not in UDP), that
 * are no part of a bundle. A packet whose peer is not where the SA says (a NAT has given it another port) is the
 * pipeline's, as is all else on port 4500 of IPv4, also what is only passing.
 *
 *   frames -> parse -+-> ESP of a known SA: decrypt -> inner packet -+
 *                    +-> clear packet -------------------------------+-> look up -+-> forward -> transmit
 *                    |                                                            +-> encapsulate -> transmit
 *                    +-> anything else -> pipeline                                +-> unknown: pipeline, learn from it
 *
 * Packets of one flow keep their order: behind a packet that is too long for its way the rest of the vector goes
 * through the pipeline. Worker.
 */
#ifndef DATAPLANE_FAST_H
#define DATAPLANE_FAST_H

#include <emmintrin.h>
#include <string.h>

#include <rte_ether.h>
#include <rte_tcp.h>
#include <rte_udp.h>

#include "esp.h"
#include "flow_change.h"
#include "iface.h"
#include "iphdr.h"
#include "neigh.h"
#include "pipeline.h"
#include "sa.h"
#include "worker.h"

#define FAST_WAYS 2u
/* Added to the addresses, and to ports and interface, before they are multiplied with one another. */
#define FAST_HASH_ADDR UINT64_C(0x9e3779b97f4a7c15)
#define FAST_HASH_REST UINT64_C(0xd6e8feb86659fd93)
#define FAST_FLOWS_MIN 8192u /* powers of two */
#define FAST_FLOWS_MAX 524288u

/* What a flow is known by; in network order where it comes from the packet. */
struct fast_key {
	uint64_t addr; /* source, destination; of IPv6 a digest of them */
	uint64_t from; /* ports << 32 | interface, or FAST_DECAPPED | index of the SA it came out of */
	uint64_t rest; /* generation << 32 | FAST_SIX | traffic class << 8 | protocol */
};
#define FAST_DECAPPED (UINT32_C(1) << 31)
#define FAST_SIX (UINT32_C(1) << 16) /* it is IPv6 */

/* Source and destination of IPv6, as in the packet. */
struct fast_addr6 {
	uint64_t w[4];
};

enum fast_kind { FAST_UNKNOWN = 0, FAST_FORWARD, FAST_PROTECT };
/* What is done with a flow: kind, whether it is IPv6, adjacency (27 bits), index of the outbound SA. */
#define FAST_VERDICT(kind, six, adj, sa)                                                                               \
	((uint64_t)(kind) << 60 | ((six) ? UINT64_C(1) << 59 : 0) | (uint64_t)(adj) << 32 | (sa))
#define FAST_KIND(v) ((enum fast_kind)((v) >> 60))
#define FAST_IS_SIX(v) ((v) >> 59 & 1)
#define FAST_ADJ(v) ((uint32_t)((v) >> 32) & 0x07ffffffu)
#define FAST_SA(v) ((uint32_t)(v))

struct fast_way {
	struct fast_key key;
	uint64_t verdict;
};
/* Two flows of IPv4, or one of IPv6; they may also be in the other line of the pair. What is in the place of way[1]
 * are then addresses that any sender can choose: way[0] says whether it is one. */
struct fast_line {
	union {
		struct fast_way way[FAST_WAYS];
		struct {
			struct fast_way six;
			struct fast_addr6 addr6;
		};
	};
} __rte_cache_aligned;
_Static_assert(sizeof(struct fast_line) == 64, "one cache line");

/* Slots side by side that go the same way. */
enum fast_range_kind {
	FAST_RANGE_ONE,	 /* all have one verdict */
	FAST_RANGE_MANY, /* into many SAs, all as fast_many_good() wants them */
	FAST_RANGE_ANY
};
struct fast_range {
	uint32_t slot, n;
	enum fast_range_kind kind;
};

/* Slots side by side that go into one SA, or into many. */
struct fast_run {
	const struct sa *sa;	 /* NULL: those of slot_sa[], with the numbers of ipsec_worker.seq[] */
	uint64_t seq;		 /* of the first */
	uint64_t bytes;		 /* of frames, for the interface */
	uint32_t slot, first, n; /* its slot, its operation */
	uint32_t how;		 /* upper half of the verdict: FAST_RUN_ADJ(), FAST_RUN_SIX() */
};
#define FAST_RUN_ADJ(run) FAST_ADJ((uint64_t)(run)->how << 32)
#define FAST_RUN_SIX(run) FAST_IS_SIX((uint64_t)(run)->how << 32)

#define FAST_PIPELINE UINT16_MAX    /* in where[], op_slot[]: no slot, for the pipeline */
#define FAST_TAKEN (UINT16_MAX - 1) /* in where[]: an operation on received ESP has it */
#define FAST_ONE_BY_ONE UINT64_MAX  /* in esp_len[]: ESP is behind a UDP header, or that of IPv6 */

struct fast_worker {
	uint32_t line_mask;
	/* the vector under way */
	uint32_t generation, fib_generation; /* read before anything is decided */
	struct flow_changes changes;	     /* up to generation */
	uint32_t longest;		     /* packet in a slot */
	bool wide;			     /* the CPU can do four packets at once (fast_wide.h) */
	bool six;			     /* some slot is of IPv6 */
	/* packets whose flow is looked up: received in clear the first n_clear, out of an SA the others */
	uint32_t n_slot, n_clear;
	struct fast_way slot[DP_VEC]; /* its verdict is 0 while it is unknown */
	struct fast_line *slot_line[DP_VEC];
	struct rte_mbuf *slot_m[DP_VEC];
	struct fast_addr6 slot6[DP_VEC];  /* of IPv6 */
	uint8_t *slot_ip[DP_VEC];	  /* the IP header; in front there is room for a link-layer header */
	uint32_t slot_len[DP_VEC];	  /* of the IP packet */
	const struct sa *slot_sa[DP_VEC]; /* that the verdict names; one that can do nothing when it names none */
	uint16_t where[DP_VEC];		  /* by place in the vector: its slot */
	uint16_t learn[DP_VEC];		  /* of the packets left for the pipeline: slot + 1; 0 = nothing to learn */
	bool open;			  /* packets with PKT_F_LEARN are on their way */
	bool clamps;			  /* some interface limits TCP's segments (mss.h) */
	uint32_t n_spi;
	/* received ESP: its frames, their places in the vector; then by operation. n_spi: stretches of one SPI */
	uint32_t n_esp, n_op;
	struct rte_mbuf *esp[DP_VEC];
	uint16_t esp_at[DP_VEC];
	uint8_t *esp_ip[DP_VEC];   /* outer IP header; of it and behind it: */
	uint64_t esp_addr[DP_VEC]; /* source and destination of IPv4 */
	uint64_t esp_head[DP_VEC]; /* SPI and sequence number, network order */
	uint64_t esp_len[DP_VEC];  /* of the IP packet; FAST_ONE_BY_ONE */
	uint16_t op_slot[DP_VEC];
	bool op_order; /* slots are in the order of their operations */
	bool fresh[DP_VEC];
	struct pkt_vec inner; /* out of an SA, for the pipeline */
	uint32_t n_range, n_run;
	struct fast_range range[DP_VEC];
	struct fast_run run[DP_VEC];
	struct fast_line line[]; /* line_mask + 1 */
} __rte_cache_aligned;

/* Main: state of one worker that remembers so many flows: a power of two, FAST_FLOWS_MIN to _MAX. Never freed. NULL
 * when out of memory. */
struct fast_worker *fast_worker_create(uint32_t flows, int socket);

/*
 * Received frames of one port (data at the Ethernet header): sends on what it can. Returns how many are left at the
 * start of pkts, in order and untouched, for the pipeline. (*learn)[i] is for fast_mark().
 */
unsigned fast_input(struct worker *w, uint32_t port_id, struct rte_mbuf **pkts, unsigned n, const uint16_t **learn);

/* Packets that fast_input() left have all been through the pipeline. */
static inline void fast_end(struct worker *w)
{
	if (likely(w->fast != NULL))
		w->fast->open = false;
}

/* A MAC address as a number. Reads two bytes more than it has: there are as many in a frame and in struct dp_if. */
static inline uint64_t mac48(const void *p)
{
	uint64_t q;
	memcpy(&q, p, 8);
	return q & UINT64_C(0xffffffffffff);
}

/* Before a packet goes through the pipeline. */
static inline void fast_mark(struct pkt_meta *meta, uint16_t learn)
{
	if (learn) {
		meta->flags |= PKT_F_LEARN;
		meta->learn = (uint16_t)(learn - 1u);
	}
}

/* A frame with PKT_F_LEARN is about to leave by this adjacency: data at the link-layer header. */
void fast_learn(struct worker *w, struct rte_mbuf *m, uint32_t adj);

/* ---- between fast.c, fast_parse.c, fast_parse6.c, fast_in.c and fast_out.c ---- */

static inline uint8_t ip4_proto(struct ip4_words h)
{
	return (uint8_t)(h.b >> 8);
}

/* IPv4, a header of 20 bytes, not a fragment, with the right checksum (sum_ok: known already). */
static inline bool fast_header_ok(struct ip4_words h, bool sum_ok)
{
	return (h.a & UINT64_C(0xffbf0000000000ff)) == 0x45 && (sum_ok || ip4_sum20(h) == 0xffff);
}

/* And a packet that the fast path knows flows of, with a hop left. */
static inline bool fast_flow_ok(struct ip4_words h)
{
	return flow_ports_mask[ip4_proto(h)] && (uint8_t)h.b > 1;
}

/* The segments that open a TCP connection, where what they announce may have to be changed. l4: behind the IP header.
 */
static inline bool fast_to_clamp(const struct fast_worker *f, uint8_t proto, const uint8_t *l4)
{
	return unlikely(f->clamps) && proto == IPPROTO_TCP && (l4[13] & RTE_TCP_SYN_FLAG);
}

static inline uint64_t fast_hash(const struct fast_key *key)
{
	const uint64_t x = key->addr, y = key->from;
	const uint64_t sum = (uint64_t)((uint32_t)x + (uint32_t)FAST_HASH_ADDR) *
				     ((uint32_t)(x >> 32) + (uint32_t)(FAST_HASH_ADDR >> 32)) +
			     (uint64_t)((uint32_t)y + ((uint32_t)key->rest << 16) + (uint32_t)FAST_HASH_REST) *
				     ((uint32_t)(y >> 32) + (uint32_t)(FAST_HASH_REST >> 32));
	return sum >> 32 ^ sum >> 20;
}

/* Fill in slot k and ask for its line. */
static inline void fast_slot_put(
	struct fast_worker *f, uint32_t k, struct rte_mbuf *m, uint8_t *ip, const struct fast_key *key, uint32_t len)
{
	f->slot[k].key = *key;
	f->slot_line[k] = &f->line[fast_hash(key) & f->line_mask];
	f->slot_m[k] = m;
	f->slot_ip[k] = ip;
	f->slot_len[k] = len;
	rte_prefetch0(f->slot_line[k]);
}

/* The same for an IPv4 packet. from: the low half of fast_key.from. */
static inline void fast_slot_fill(struct fast_worker *f, uint32_t k, struct rte_mbuf *m, uint8_t *ip,
	struct ip4_words h, uint32_t from, uint32_t len)
{
	uint32_t ports;
	memcpy(&ports, ip + sizeof(struct rte_ipv4_hdr), sizeof(ports));
	ports &= flow_ports_mask[ip4_proto(h)];
	const struct fast_key key = {.addr = h.b >> 32 | (uint64_t)h.dst << 32,
		.from = (uint64_t)ports << 32 | from,
		.rest = (uint64_t)f->generation << 32 | (h.a & 0xff00) | ip4_proto(h)};
	fast_slot_put(f, k, m, ip, &key, len);
}

/* One hop less; the checksum follows (RFC 1624). The two are in one word; neither of them borrows from the protocol
 * between them. */
static inline void fast_take_hop(uint8_t *p)
{
	uint32_t word;
	memcpy(&word, p + 8, sizeof(word));
	word += 0xffff + ((uint32_t)(word >= 0xfffe0000) << 16);
	memcpy(p + 8, &word, sizeof(word));
}

/* The link-layer header of an adjacency that has no VLAN tag, two bytes behind the start. */
static inline __m128i fast_l2(const struct adj *a)
{
	uint64_t first, last;
	memcpy(&first, a->l2, 8); /* a changed MAC is one store of 8 bytes: no load may straddle it */
	memcpy(&last, a->l2 + 6, 8);
	first <<= 16;
	return _mm_set_epi64x((long long)last, (long long)first);
}

/* Hand a frame of len bytes behind its link-layer header to transmission. */
static inline void fast_frame(struct rte_mbuf *m, uint8_t *ip, uint32_t len, __m128i l2, uint32_t if_tx)
{
	_mm_storeu_si128((__m128i *)(ip - 16), l2); /* two bytes more in front than it has */
	m->data_off = (uint16_t)(ip - sizeof(struct rte_ether_hdr) - (uint8_t *)m->buf_addr);
	m->data_len = (uint16_t)(len + sizeof(struct rte_ether_hdr));
	m->pkt_len = len + (uint32_t)sizeof(struct rte_ether_hdr);
	/* all that transmission reads of it: egress interface, no flags */
	_mm_store_si128((__m128i *)pkt_meta(m), _mm_set_epi32(0, (int)if_tx, 0, 0));
}

/* The verdict of a way whose flow is the wanted one, but of an older generation; 0 when it is void, and empty now. A
 * flow of IPv6: the way is the first of its line, which is emptied. */
uint64_t fast_renew(struct fast_worker *f, struct fast_way *way);

#define FAST_IP_MIN 28u /* header, and what ports are read from */
#define FAST_NATT_PORT RTE_BE16(4500)

/* The SA of an index; one that can do nothing, having no direction, where there is none: it need not be asked for. */
static inline const struct sa *fast_sa(uint32_t index)
{
	static const struct sa none;
	const struct sa *sa = sa_get(index);
	return likely(sa != NULL) ? sa : &none;
}

/* The SAs that both directions know. */
static inline bool fast_knows(const struct sa *sa)
{
	return sa->kind <= SA_ESP_TUNNEL && (likely(sa->outer_af == CV_AF_INET) || !(sa->flags & SA_F_UDP)) &&
	       !(sa->flags & SA_F_NESTED);
}

/* The kind that has code of its own, and what is in front of its inner packets: IPv4 header, SPI, sequence number, IV.
 */
#define PLAIN_HEAD 36u
static inline bool fast_plain(const struct sa *sa)
{
	return sa->kind == SA_ESP_PLAIN && sa->outer_len == sizeof(struct rte_ipv4_hdr); /* no UDP behind it */
}

/* Ask for where the SA of an SPI (network order) is to be found. */
static inline void fast_prefetch_spi(uint32_t spi)
{
	rte_prefetch0(&sa_table[rte_be_to_cpu_32(spi) & (CV_SA_MAX - 1u)]);
}

/* Where ESP begins in a received IPv4 packet that is for fast_in(). */
static inline uint32_t fast_esp_off(const uint8_t *ip)
{
	return ip[9] == IPPROTO_UDP ? sizeof(struct rte_ipv4_hdr) + sizeof(struct rte_udp_hdr)
				    : sizeof(struct rte_ipv4_hdr);
}

/* In front of a frame: outer headers, and what wide stores run over. */
#define FAST_HEADROOM 72u

/* One buffer that nobody else holds, with room on both sides. */
static inline bool fast_buffer_ok(const struct rte_mbuf *m)
{
	uint64_t rearm; /* data_off, refcnt, nb_segs, port */
	memcpy(&rearm, &m->rearm_data, sizeof(rearm));
	uint32_t off = (uint16_t)rearm;
	return (rearm >> 16 & 0xffffffff) == 0x00010001 && off >= FAST_HEADROOM && RTE_MBUF_DIRECT(m) &&
	       off + m->data_len + ESP_TAIL_ROOM <= m->buf_len;
}

/* Sort a vector into slots, ESP (esp[]) and packets for the pipeline (where[]). Returns the bytes of the first two. */
uint64_t fast_parse(struct fast_worker *f, const struct dp_if *ifp, struct rte_mbuf *const *pkts, uint32_t n);
/* The same for the frames with IPv6 among them, whose places are in at[]: slots are added. */
uint64_t fast_parse6(
	struct fast_worker *f, const struct dp_if *ifp, struct rte_mbuf *const *pkts, const uint16_t *at, uint32_t n);

/* Is ESP received for so many SAs that packets are better handled one by one than in runs? */
static inline bool fast_many_spis(const struct fast_worker *f)
{
	return f->n_spi > f->n_esp / 2;
}
/* Operations for what is in esp[], in w->ipsec. The bytes of what cannot be decrypted here are taken off *bytes. */
void fast_open(struct worker *w, const struct dp_if *ifp, uint64_t *bytes);
/* Decrypt what is in esp[], and find slots for the inner packets. What cannot be decrypted here goes through the
 * pipeline: its bytes are taken off *bytes. */
void fast_in(struct worker *w, const struct dp_if *ifp, uint64_t *bytes);
/* Slots have been looked up: count the packets, and prepare those that are unknown for the pipeline. all_known: no slot
 * is. */
void fast_in_finish(struct worker *w, const struct dp_if *ifp, bool all_known);
/* Is this outbound SA of the kind that fast_out() does? */
static inline bool fast_out_can(const struct sa *sa)
{
	return sa->dir == CV_SA_OUT && fast_knows(sa) && !(sa->conf.flags & CV_SA_F_BUNDLED);
}
/* Length of the outer packet around an inner one of len bytes. */
static inline uint32_t fast_out_len(const struct sa *sa, uint32_t len)
{
	return esp_head(sa) + ((len + ESP_TRAILER_LEN + sa->pad_mask) & ~(uint32_t)sa->pad_mask) + sa->icv_len;
}
/* n slots from i on go into one SA: they get their numbers, and operations from n_op on. Returns how many there are
 * then. Nothing else is written for all SAs of a vector: the atomic addition waits for what has been written before. */
uint32_t fast_out(struct worker *w, uint32_t i, uint32_t n, uint32_t n_op);
/* Encapsulate, encrypt and transmit. */
void fast_out_finish(struct worker *w, uint32_t n_op);

/* fast_many.c, where the CPU can do four packets at once: can the n slots from i on, WIDE at least, that have one
 * adjacency and family, go into their SAs together? */
bool fast_many_good(const struct fast_worker *f, uint32_t i, uint32_t n);
/* fast_out() for such slots; the steps of fast_out_finish() for their run: fast_many_wrap() returns the bytes of the
 * outer packets. */
uint32_t fast_out_many(struct worker *w, uint32_t i, uint32_t n, uint32_t n_op);
uint64_t fast_many_wrap(struct worker *w, const struct fast_run *run);
void fast_many_count(struct worker *w, const struct fast_run *run, uint32_t now_s);

#endif
