/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The dataplane's frame: what the modules of this directory share. One process, one main lcore (slow path, commands)
 * and up to CV_WORKER_MAX worker lcores, each running a vector of packets through all stages to completion.
 *
 * Threads: "main" = main lcore only. "worker" = a worker lcore, on its own struct worker. State that workers read is
 * published by main as complete objects (store-release of a pointer) and freed after dp_defer() has seen every worker
 * pass a quiescent point (rte_rcu_qsbr). A worker takes no lock, makes no system call, allocates nothing but mbufs from
 * its own cache, and logs nothing.
 */
#ifndef DATAPLANE_DP_H
#define DATAPLANE_DP_H

#include <rte_mbuf.h>

#include "cv_msg.h"
#include "cv_stats.h"
#include "drop.h"

#define DP_BURST 32 /* packets of one rx burst */
#define DP_VEC 256  /* most packets in one vector */
/* Bytes in front of a received frame: the drivers' own constant (128), plus the stripped Ethernet header: room for
 * outer headers, VLAN, UDP, ESP and IV (108 bytes in the worst case). */
#define DP_HEADROOM RTE_PKTMBUF_HEADROOM
#define DP_TAILROOM 64u /* bytes behind the longest packet: ESP padding, trailer and ICV */

struct worker;
struct dp_if;

/* Why main gets a packet from a worker. */
enum slow_reason {
	SLOW_NEIGH = 1, /* no link-layer address for meta->nexthop: hold it and resolve */
	SLOW_ARP,	/* ARP packet received */
	SLOW_LOCAL,	/* addressed to us: ICMP, ND, IKE (UDP 500, or 4500 with marker); reassembles fragments first */
	SLOW_ICMP_TTL,	/* send time exceeded */
	SLOW_ICMP_UNREACH, /* send destination unreachable (no route, admin prohibited by meta->icmp_code) */
	SLOW_ICMP_MTU,	   /* send fragmentation needed / packet too big with meta->mtu */
	SLOW_ACQUIRE,	   /* matched rule meta->rule without an SA: hold it and raise CV_EVT_ACQUIRE */
	SLOW_INVALID_SPI,
	SLOW_CONN,	/* begins a connection, or is a fragment of one (track.h) */
	SLOW_MULTICAST, /* to a group: for the kernel of the host, which forwards it or asks its daemon (host_mroute.h)
			 */
	SLOW_REASON_MAX
};
/* What main handles as SLOW_LOCAL comes by ways of its own (slow.c): first messages of IKE, other IKE, neighbour
 * discovery, fragments, routing protocols and others for the Linux host, the rest. */
#define SLOW_CLASSES (SLOW_REASON_MAX + 6)

#define PKT_F_IP6 1u
#define PKT_F_PROTECTED 2u  /* outer packet made by IPsec: never matched against an SPD again (VRF-13) */
#define PKT_F_BYPASS 4u	    /* IKE injected by control: not matched against an SPD */
#define PKT_F_DECAPPED 8u   /* came out of meta->sa: the selector check replaces the inbound clear check */
#define PKT_F_LOCAL_OUT 16u /* made by this box: no TTL decrement */
#define PKT_F_TRACED 32u
#define PKT_F_PRIO 64u
#define PKT_F_LOCAL 128u /* addressed to this router: set by ip_input before ipsec_check_clear */
#define PKT_F_LEARN 512u /* fast.h: what becomes of it is remembered. Clear it when you wrap or rewrite the packet. */
#define PKT_F_HOST 1024u /* sent by a program on the Linux host (host.h); with PKT_F_LOCAL_OUT */
#define PKT_F_FILTERED 2048u  /* has passed the access list of the interface it leaves by, and waits for a neighbour */
#define PKT_F_SCHEDULED 4096u /* has met the output policy (qos.h), with its hop still to be taken */
#define PKT_F_TRACKED 8192u   /* belongs to a connection that knows of it, or to none (track.h) */
#define PKT_F_TRANSLATED 32768u /* has other addresses or ports than its sender gave it */
#define PKT_F_ANSWER 16384u	/* of an inspected connection: no business of an inbound access list */
#define PKT_F_GROUP 256u	/* received as a link-layer broadcast or multicast */

/* Per-packet metadata in the mbuf's private area; 64 bytes, one line. Valid from pipeline input to transmission. */
struct pkt_meta {
	uint32_t vrf;	    /* current VRF: changes when a packet is encapsulated or decapsulated */
	uint32_t if_rx;	    /* interface id it came in by; 0 = made here */
	uint32_t if_tx;	    /* egress interface after the route look-up */
	uint32_t flags;	    /* PKT_F_* */
	uint32_t sa;	    /* SA index it was decapsulated with, or chosen for it */
	uint32_t rule;	    /* SPD rule that matched */
	uint32_t adj;	    /* adjacency index after the route look-up (fib.h's route word inside forward.c) */
	uint32_t flow_hash; /* symmetric over addresses, protocol and ports; 0 = not computed */
	uint16_t mtu;	    /* for SLOW_ICMP_MTU: next-hop MTU to report */
	uint8_t icmp_code;
	uint8_t l4_proto; /* IP protocol after extension headers */
	uint16_t l4_off;  /* from the IP header */
	uint16_t frag;	  /* 0 whole, 1 first fragment, 2 later fragment */
	uint32_t trace_id;
	uint8_t slow;	 /* enum slow_reason */
	uint8_t tunnels; /* tunnel interfaces it has been sent into so far, and the last of them (VTI-41) */
	uint16_t tunnel;
	uint8_t pad[2];
	uint16_t learn;	  /* with PKT_F_LEARN: slot of fast.h */
	uint32_t conn;	  /* index << 1 | direction (conn.h), 0 = none; from track_input() to the end of the vector */
	uint64_t scratch; /* between two adjacent stages of one module */
};
_Static_assert(sizeof(struct pkt_meta) == 64, "one cache line");

static inline struct pkt_meta *pkt_meta(struct rte_mbuf *m)
{
	return (struct pkt_meta *)rte_mbuf_to_priv(m);
}

/* A vector of packets on its way from one stage to the next. In every stage data_off is at the IP header, unless the
 * stage says otherwise (pipeline.h). */
struct pkt_vec {
	uint32_t n;
	struct rte_mbuf *pkt[DP_VEC];
};

/* Drop n packets under one named reason (drop.h). Worker or main (w = main's struct worker). */
void dp_drop(struct worker *w, struct rte_mbuf **pkts, unsigned n, enum drop_reason why);
static inline void dp_drop1(struct worker *w, struct rte_mbuf *m, enum drop_reason why)
{
	dp_drop(w, &m, 1, why);
}

/* Worker: hand a packet to main through a bounded, per-class rate-limited ring; drops and counts when it is full. */
void dp_slow(struct worker *w, struct rte_mbuf *m, enum slow_reason why);

/* Main: call fn(arg) once every worker has passed a quiescent point. Never fails (waits when its queue is full). */
void dp_defer(void (*fn)(void *arg), void *arg);

/* This thread's writer block in the statistics segment. */
struct cv_writer_block *dp_stats(struct worker *w);
/* Any thread: milliseconds of uptime, monotonic. */
uint64_t dp_now_ms(void);
/* Any thread, cheap: seconds of uptime as main last saw the clock (it looks at least every few milliseconds). */
uint32_t dp_uptime_s(void);

/* The packet pool; private area is struct pkt_meta; DP_HEADROOM headroom; data room takes CV_PKT_MAX + DP_TAILROOM. */
struct rte_mempool *dp_pool(void);
/* Packet of its own (main or worker), meta zeroed. NULL when the pool is empty: count DROP_NO_MBUF where it matters. */
struct rte_mbuf *dp_alloc(void);

/* Main: send one event to the control process. h.type, h.len and body filled in by the caller; version and seq are
 * filled in here. Dropped when nobody is attached or the ring is full. */
void dp_event(struct cv_msg *msg);
/* Main: hand a packet to the control process: whole, linear or not, data at the IP header, meta vrf and if_rx set.
 * Consumes m. */
void punt_packet(struct worker *w, struct rte_mbuf *m, enum cv_punt_class klass);

/*
 * Two-phase application of a transaction (cv_msg.h), main lcore. command.c validates a message, then calls the owner
 * module's stage(); at TXN_COMMIT it calls prepare() of every module in registration order; when all said 0, publish()
 * of every module in that order, otherwise abort() of every module. Commands outside a transaction are a transaction of
 * one.
 */
struct dp_module {
	const char *name;
	/* Note the change; nothing becomes visible to workers. 0 or enum cv_err with text (128 bytes) for people. */
	int (*stage)(uint16_t type, const void *body, char *text);
	/* A SYNC transaction began: everything not staged until commit is to be swept. */
	void (*sync)(void);
	/* Build everything that can fail. 0 or enum cv_err. */
	int (*prepare)(char *text);
	/* Make it visible. Cannot fail. */
	void (*publish)(void);
	/* Forget what was staged or prepared. */
	void (*abort)(void);
};

/* The modules, in the order of prepare and publish: platform, vrf, port, acl, iface, tunnel-hop, fib, mfib, spd, sa,
 * qos, conn, nat. Ends with NULL. */
extern const struct dp_module *const dp_modules[];

#endif
