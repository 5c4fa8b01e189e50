/* SPDX-License-Identifier: BSD-3-Clause */
#include "slow.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <rte_byteorder.h>
#include <rte_errno.h>
#include <rte_ip.h>
#include <rte_udp.h>

#include "events.h"
#include "host.h"
#include "iface.h"
#include "ipsec.h"
#include "nd.h"
#include "slowpath.h"
#include "track.h"

#define SLOW_RING 512u
#define SLOW_BURST 64u
#define PROTO_OSPF 89u
#define PROTO_PIM 103u
#define PROTO_VRRP 112u
#define IKE_HDR 28u
#define IKE_SPI_R 8u /* of the IKE header (RFC 7296 3.1) */
#define IKE_NEXT 16u
#define IKE_NOTIFY 41u
#define IKE_NOTIFY_TYPE (IKE_HDR + 6u)
#define IKE_COOKIE 16390u
/* Classes beside the reasons: a flood of pings, of fragments or to the host must not keep a tunnel from coming up, nor
 * a neighbour from being heard; and strangers who begin must not keep out who is under way (RFC 7296 2.6). */
enum { SLOW_IKE_FIRST = SLOW_REASON_MAX, SLOW_IKE, SLOW_ND, SLOW_FRAGMENT, SLOW_ROUTING, SLOW_HOST };
_Static_assert(SLOW_HOST + 1 == SLOW_CLASSES, "a bucket per class");

/* Packets per second and worker. What an attacker can cause from afar is cheap to refuse here and dear on main. */
static const uint32_t rate[SLOW_CLASSES] = {
	[SLOW_NEIGH] = 20000,
	[SLOW_ARP] = 5000,
	[SLOW_LOCAL] = 50000,
	[SLOW_ICMP_TTL] = 1000,
	[SLOW_ICMP_UNREACH] = 1000,
	[SLOW_ICMP_MTU] = 1000,
	[SLOW_ACQUIRE] = 20000,
	[SLOW_INVALID_SPI] = 100,
	[SLOW_CONN] = 50000,
	[SLOW_MULTICAST] = 1000,
	[SLOW_IKE_FIRST] = 20000,
	[SLOW_IKE] = 20000,
	[SLOW_ND] = 5000,
	[SLOW_FRAGMENT] = 20000,
	[SLOW_ROUTING] = 20000,
	[SLOW_HOST] = 50000,
};
/* Where packets that a class had no room for are counted. */
static const uint8_t refused[SLOW_CLASSES] = {
	[SLOW_NEIGH] = EVENT_REFUSED_NEIGH,
	[SLOW_ARP] = EVENT_REFUSED_ARP,
	[SLOW_LOCAL] = EVENT_REFUSED_LOCAL,
	[SLOW_ICMP_TTL] = EVENT_REFUSED_TTL,
	[SLOW_ICMP_UNREACH] = EVENT_REFUSED_UNREACH,
	[SLOW_ICMP_MTU] = EVENT_REFUSED_MTU,
	[SLOW_ACQUIRE] = EVENT_REFUSED_ACQUIRE,
	[SLOW_INVALID_SPI] = EVENT_REFUSED_SPI,
	[SLOW_CONN] = EVENT_REFUSED_CONN,
	[SLOW_MULTICAST] = EVENT_REFUSED_MULTICAST,
	[SLOW_IKE_FIRST] = EVENT_REFUSED_IKE_FIRST,
	[SLOW_IKE] = EVENT_REFUSED_IKE,
	[SLOW_ND] = EVENT_REFUSED_ND,
	[SLOW_FRAGMENT] = EVENT_REFUSED_FRAGMENT,
	[SLOW_ROUTING] = EVENT_REFUSED_ROUTING,
	[SLOW_HOST] = EVENT_REFUSED_HOST,
};
static struct rte_ring *ring[SLOW_CLASSES];
static uint64_t cost[SLOW_CLASSES], cap[SLOW_CLASSES]; /* TSC cycles per packet, and most that can be saved */

int slow_init(void)
{
	for (unsigned c = 1; c < SLOW_CLASSES; c++) {
		char name[RTE_RING_NAMESIZE];
		(void)snprintf(name, sizeof(name), "slow-%u", c);
		ring[c] = rte_ring_create(name, SLOW_RING, SOCKET_ID_ANY, RING_F_SC_DEQ);
		if (ring[c] == NULL)
			return -rte_errno;
		cost[c] = rte_get_tsc_hz() / rate[c];
		cap[c] = cost[c] * RTE_MAX(rate[c] / 10, 10u);
	}
	return 0;
}

/* UDP 500 or 4500, not in fragments: IKE for all we can tell here. */
static bool looks_like_ike(const struct rte_mbuf *m)
{
	const struct pkt_meta *meta = pkt_meta((struct rte_mbuf *)(uintptr_t)m);
	if (meta->l4_proto != IPPROTO_UDP || meta->frag ||
		rte_pktmbuf_data_len(m) < meta->l4_off + sizeof(struct rte_udp_hdr))
		return false;
	const struct rte_udp_hdr *udp = rte_pktmbuf_mtod_offset(m, const struct rte_udp_hdr *, meta->l4_off);
	return udp->dst_port == RTE_BE16(500) || udp->dst_port == RTE_BE16(4500);
}

/*
 * Is it the first message of somebody who has proved nothing: no responder's SPI, no cookie, or no IKE header at all?
 * The cookie is the first payload (RFC 7296 2.6). Whatever is claimed here is checked by culvertd.
 */
static bool looks_like_first_ike(const struct rte_mbuf *m)
{
	const struct pkt_meta *meta = pkt_meta((struct rte_mbuf *)(uintptr_t)m);
	const struct rte_udp_hdr *udp = rte_pktmbuf_mtod_offset(m, const struct rte_udp_hdr *, meta->l4_off);
	/* behind port 4500 there is the marker first (RFC 3948 2.2) */
	unsigned at = meta->l4_off + sizeof(*udp) + (udp->dst_port == RTE_BE16(4500) ? 4u : 0u);
	uint64_t spi_r;
	if (rte_pktmbuf_data_len(m) < at + IKE_HDR)
		return true;
	const uint8_t *ike = rte_pktmbuf_mtod_offset(m, const uint8_t *, at);
	memcpy(&spi_r, ike + IKE_SPI_R, sizeof(spi_r));
	if (spi_r != 0)
		return false;
	return ike[IKE_NEXT] != IKE_NOTIFY || rte_pktmbuf_data_len(m) < at + IKE_NOTIFY_TYPE + 2u ||
	       (ike[IKE_NOTIFY_TYPE] << 8 | ike[IKE_NOTIFY_TYPE + 1]) != IKE_COOKIE;
}

/* From a neighbour, as nd_input() will demand. */
static bool looks_like_nd(const struct rte_mbuf *m)
{
	const struct pkt_meta *meta = pkt_meta((struct rte_mbuf *)(uintptr_t)m);
	const struct rte_ipv6_hdr *ip = rte_pktmbuf_mtod(m, const struct rte_ipv6_hdr *);
	if (meta->l4_proto != IPPROTO_ICMPV6 || meta->frag || rte_pktmbuf_data_len(m) <= meta->l4_off)
		return false;
	uint8_t type = *rte_pktmbuf_mtod_offset(m, const uint8_t *, meta->l4_off);
	return ip->hop_limits == ND_HOP_LIMIT && type >= ND_TYPE_FIRST && type <= ND_TYPE_LAST;
}

/* Where a routing daemon listens: a flood of anything else to the host must not cost an adjacency. */
static bool looks_like_routing(const struct rte_mbuf *m)
{
	const struct pkt_meta *meta = pkt_meta((struct rte_mbuf *)(uintptr_t)m);
	const uint16_t bgp = RTE_BE16(179), rip = RTE_BE16(520), ripng = RTE_BE16(521), bfd = RTE_BE16(3784),
		       bfd_multihop = RTE_BE16(4784);
	const uint16_t *port; /* source, destination: TCP and UDP begin with them */

	if (meta->l4_proto == PROTO_OSPF || meta->l4_proto == PROTO_PIM || meta->l4_proto == PROTO_VRRP)
		return true;
	if (rte_pktmbuf_data_len(m) < meta->l4_off + 2 * sizeof(*port))
		return false;
	port = rte_pktmbuf_mtod_offset(m, const uint16_t *, meta->l4_off);
	if (meta->l4_proto == IPPROTO_TCP)
		return port[0] == bgp || port[1] == bgp;
	return meta->l4_proto == IPPROTO_UDP &&
	       (port[1] == rip || port[1] == ripng || port[1] == bfd || port[1] == bfd_multihop);
}

static bool for_host(const struct pkt_meta *meta)
{
	const struct dp_if *ifp = iface_get(meta->if_rx);

	return ifp && ifp->host && meta->l4_proto != (meta->flags & PKT_F_IP6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
}

static unsigned local_class(const struct rte_mbuf *m)
{
	const struct pkt_meta *meta = pkt_meta((struct rte_mbuf *)(uintptr_t)m);

	if (looks_like_ike(m))
		return looks_like_first_ike(m) ? SLOW_IKE_FIRST : SLOW_IKE;
	if (looks_like_nd(m))
		return SLOW_ND;
	if (meta->frag)
		return SLOW_FRAGMENT;
	if (!for_host(meta))
		return SLOW_LOCAL;
	return looks_like_routing(m) ? SLOW_ROUTING : SLOW_HOST;
}

static void refuse(struct worker *w, struct rte_mbuf *m, unsigned class, enum drop_reason why)
{
	w->stats->events[refused[class]]++;
	dp_drop1(w, m, why);
}

static bool take_credit(struct worker *w, unsigned class)
{
	struct worker_bucket *b = &w->slow[class];
	uint64_t credit = b->credit + (w->tsc - b->last);
	b->last = w->tsc;
	b->credit = RTE_MIN(credit, cap[class]);
	if (b->credit < cost[class])
		return false;
	b->credit -= cost[class];
	return true;
}

void dp_slow(struct worker *w, struct rte_mbuf *m, enum slow_reason why)
{
	unsigned class = why == SLOW_LOCAL			 ? local_class(m)
			 : why == SLOW_CONN && pkt_meta(m)->frag ? SLOW_FRAGMENT
								 : (unsigned)why;
	pkt_meta(m)->slow = (uint8_t)why;
	if (!take_credit(w, class)) {
		refuse(w, m, class, DROP_SLOW_RATE);
		return;
	}
	if (unlikely(rte_ring_enqueue(ring[class], m) != 0))
		refuse(w, m, class, DROP_SLOW_FULL);
}

static void dispatch(struct worker *w, struct rte_mbuf *m)
{
	enum slow_reason why = (enum slow_reason)pkt_meta(m)->slow;
	switch (why) {
	case SLOW_NEIGH:
		neigh_slow(w, m);
		break;
	case SLOW_ARP:
		arp_input(w, m);
		break;
	case SLOW_LOCAL:
		local_input(w, m);
		break;
	case SLOW_ICMP_TTL:
	case SLOW_ICMP_UNREACH:
	case SLOW_ICMP_MTU:
		icmp_slow_error(w, m, why);
		break;
	case SLOW_ACQUIRE:
		hold_packet(w, m);
		break;
	case SLOW_INVALID_SPI:
		ipsec_invalid_spi(w, m);
		break;
	case SLOW_CONN:
		track_slow(w, m);
		break;
	case SLOW_MULTICAST:
		if (!host_input(w, m))
			dp_drop1(w, m, DROP_MULTICAST);
		break;
	case SLOW_REASON_MAX:
		rte_pktmbuf_free(m);
		break;
	}
}

unsigned slow_poll(struct worker *w)
{
	unsigned total = 0;
	for (unsigned c = SLOW_CLASSES - 1; c > 0; c--) {
		struct rte_mbuf *m[SLOW_BURST];
		unsigned n = rte_ring_dequeue_burst(ring[c], (void **)m, SLOW_BURST, NULL);
		for (unsigned i = 0; i < n; i++)
			dispatch(w, m[i]);
		total += n;
	}
	return total;
}
