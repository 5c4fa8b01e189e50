/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Security associations (RFC 4301 section 4.4.2). One table for both directions, indexed by SA index; an inbound SPI
 * carries its index in its low bits, so SPI -> SA is one load and a compare.
 *
 * struct sa is immutable once published (but for two caches) and is replaced as a whole when its endpoint changes; what
 * changes per packet (sequence number, replay window, byte count) is in struct sa_state, which the versions of one SA
 * share, so that it survives a replacement. A state never serves two SAs: reusing a sequence number would reuse a GCM
 * nonce.
 */
#ifndef DATAPLANE_SA_H
#define DATAPLANE_SA_H

#include "cv_secret.h"
#include "flow.h"
#include "provider.h"
#include "replay.h"

/* One of the reasons an SA has something to tell main; each is raised once until main has looked at it. */
#define SA_EVENT_SOFT 1u
#define SA_EVENT_HARD 2u
#define SA_EVENT_PEER 4u
#define SA_EVENT_RESOURCE 8u /* a worker would like an SA of its own; one bit per worker: */
#define SA_EVENT_RESOURCE_BIT(worker) (1u << (8 + ((worker)-1) % CV_WORKER_MAX))
#define SA_EVENT_RESOURCE_BITS (((1u << CV_WORKER_MAX) - 1u) << 8)

/*
 * What changes per packet. Several workers write the second line; it is separate from the read-mostly lines of struct
 * sa. An outbound SA costs one atomic add per run of packets (and one more when it is close to a byte limit).
 */
struct sa_state {
	/* limits that few SAs have, constant */
	uint64_t soft_bytes, hard_bytes;
	uint64_t soft_packets, hard_packets; /* inbound */
	struct replay *replay;		     /* inbound: `window` below and what follows this structure */
	uint64_t bytes_before;		     /* that the workers had counted for its index when it was made */
	uint32_t refs;			     /* main: versions of struct sa that point here */
	uint32_t pad[3];
	/* the second line */
	uint64_t seq;	  /* outbound: last number given out */
	uint64_t unasked; /* of packets with numbers below nobody has to ask whether a limit is reached (sa_limit.h) */
	uint64_t bytes;	  /* kept only while `counting` */
	uint64_t packets; /* inbound, kept only with SA_F_PACKET_LIMIT; outbound: seq says it */
	uint32_t events;  /* SA_EVENT_* raised and not yet handled */
	uint16_t expired; /* hard limit passed: not used any more */
	uint16_t counting;
	uint16_t owner; /* sa_owner.h */
	uint16_t spare[3];
	union {
		struct {
			uint64_t soft_seq, hard_seq; /* outbound, constant */
		};
		uint64_t window[2]; /* inbound: head of the replay window, whose words follow in lines of their own */
	};
} __rte_cache_aligned;
_Static_assert(offsetof(struct sa_state, seq) == 64 && sizeof(struct sa_state) == 128, "two lines, one of them hot");
_Static_assert(offsetof(struct sa_state, window) + sizeof(struct replay) == sizeof(struct sa_state),
	"the words of the window follow its head");

/* Head of the replay window of an inbound SA's state, which is where its `replay` points. */
static inline struct replay *sa_window(struct sa_state *st)
{
	return (struct replay *)st->window;
}

#define SA_F_BYTE_LIMIT 1u
#define SA_F_PACKET_LIMIT 2u
#define SA_F_UDP 4u
#define SA_F_DF_SET 8u /* neither of the two DF flags: copy */
#define SA_F_DF_CLEAR 16u
#define SA_F_SEL4 32u /* inbound: the only selector is IPv4 addresses, any protocol, any port */

#define SA_F_ESN 64u
#define SA_F_NESTED 128u /* a part of a bundle that has another SA outside it */

/* What the stages do with packets of an SA; chosen when it is made. */
enum sa_kind {
	SA_ESP_PLAIN,	  /* tunnel, AES-GCM, sequence numbers of 32 bits: has code of its own */
	SA_ESP_TUNNEL,	  /* any other tunnel */
	SA_ESP_COMP,	  /* a tunnel with IPComp inside (RFC 3173) */
	SA_ESP_TRANSPORT, /* RFC 4303 3.1.1 */
	SA_AH		  /* either mode */
};

/* Where the IV comes from, and what is authenticated. */
enum sa_iv {
	SA_IV_AEAD,  /* the sequence number, unique under a key (RFC 4106 section 3.1); AAD */
	SA_IV_NONE,  /* the null cipher */
	SA_IV_CTR,   /* the sequence number, in a counter block (RFC 3686 section 4) */
	SA_IV_RANDOM /* unpredictable (RFC 3602 section 3) */
};

/* What main has to know of a cv_sa beyond what follows from it; selectors are kept apart. */
struct sa_conf {
	struct cv_addr src, dst;
	uint32_t flags; /* CV_SA_F_* */
	uint32_t outer_index, tunnel_if, replay_window;
	uint64_t soft_bytes, hard_bytes, soft_packets, hard_packets;
	uint16_t udp_src, udp_dst, path_mtu, cpi;
	uint8_t mode, ipproto, encr, integ, resource;
};

#define SA_TEMPLATE_MAX 56u /* IPv6, UDP, SPI and what wide stores may run over */

struct sa {
	/* the first line: all that is needed to send by an SA of the kind SA_ESP_PLAIN over IPv4 */
	const struct crypto_session *session;
	struct sa_state *state;
	uint32_t salt; /* AEAD, CTR, GMAC: as in memory */
	uint8_t dir;   /* enum cv_sa_dir */
	uint8_t iv_len, icv_len;
	uint8_t pad_mask;  /* block - 1 */
	uint8_t outer_len; /* outer IP header and UDP header */
	uint8_t outer_af;  /* CV_AF_* */
	uint8_t flags;	   /* SA_F_* */
	uint8_t kind;	   /* enum sa_kind */
	uint32_t cksum;	   /* outbound IPv4: sum of the template's constant 16-bit words */
	/* Outbound: two caches that any worker refreshes when routes have changed, the only fields written after
	 * publication. fib generation << 32 | largest inner packet; fib generation << 32 | route word (fib.h). */
	union {
		uint64_t mtu;
		struct {
			uint32_t local_generation; /* inbound: fib generation in which `local` was our own */
			uint32_t replay_mask;	   /* that of the window: where the word of a number is */
		};
	};
	union {
		/* outbound: outer IP header, UDP header, SPI; ready to be copied in wide stores */
		struct {
			uint8_t tmpl[SA_TEMPLATE_MAX];
			uint64_t route;
		};
		/* inbound */
		struct {
			uint32_t sel_local, sel_local_span;   /* SA_F_SEL4: lowest address, highest - lowest */
			uint32_t sel_remote, sel_remote_span; /* (host order) */
			struct replay *replay;		      /* that of the state */
			uint8_t local[16], remote[16];	      /* outer destination and source, network order */
			uint32_t outer;			      /* SA_F_NESTED: index of the SA outside */
			uint32_t tunnel;		      /* tunnel interface, 0 = none */
		} in;
	};
	uint32_t spi; /* host order */
	uint32_t index;
	uint32_t front_vrf, inside_vrf;
	uint32_t rule_id;
	uint16_t udp_peer; /* inbound: source port of the peer, host order */
	uint8_t iv;	   /* enum sa_iv */
	uint8_t n_sel;

	/* mostly main */
	struct sa_conf conf __rte_cache_aligned;
	uint64_t order;	       /* grows with every SA_ADD: newest wins */
	uint32_t next_in_rule; /* index of the next older outbound SA of the same rule */
	/* read when the fast checks do not decide */
	struct flow_sel sel[]; /* n_sel */
} __rte_cache_aligned;

_Static_assert(offsetof(struct sa, tmpl) == 64 - 24, "an IPv4 header and an SPI end with the first line");
_Static_assert(offsetof(struct sa, conf) == 128, "hot part is two lines");

/* Length of the AH header with its IV and ICV: a multiple of 4 in IPv4, of 8 in IPv6 (RFC 4302 section 2.2). */
static inline uint32_t sa_ah_len(const struct sa *sa)
{
	uint32_t len = 12u + sa->iv_len + sa->icv_len;
	return sa->outer_af == CV_AF_INET6 ? (len + 7u) & ~7u : len;
}

extern struct sa **sa_table; /* CV_SA_MAX entries */
extern const struct dp_module sa_module;

/* Main, once: 0 or -errno. */
int sa_init(void);

/* Worker or main: the SA of an index, NULL when there is none. */
static inline const struct sa *sa_get(uint32_t index)
{
	return __atomic_load_n(&sa_table[index & (CV_SA_MAX - 1u)], __ATOMIC_ACQUIRE);
}

/* Worker: tell main something about an SA, once. what is one SA_EVENT_*, reason an enum cv_expire_reason. */
void sa_event_raise(const struct sa *sa, uint32_t what, uint32_t reason);
/* Worker (by its index): it sends by this SA and would like one of its own (RFC 9611). Told once until the SAs of the
 * rule change. */
void sa_event_resource(const struct sa *sa, uint32_t worker);
/* Worker: an authenticated packet of this inbound SA came from another address or port. */
void sa_event_peer(const struct sa *sa, const struct cv_addr *addr, uint16_t port);
/* Main: turn what workers raised into messages for control. */
void sa_events_poll(void);

/* Main: newest outbound SA of a rule, 0 = none; and the next older one of the same rule. Published SAs only. */
uint32_t sa_rule_first(uint32_t rule_id);
/* Main: fill a CV_DUMP_SA reply. */
void sa_dump(const struct cv_cmd_dump *req, struct cv_dump_reply *out);
/* Main: number of SAs in the table. */
uint32_t sa_count(void);

#endif
