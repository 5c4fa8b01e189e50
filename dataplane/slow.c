/* SPDX-License-Identifier: BSD-3-Clause */
#include "slow.h"

#include <errno.h>
#include <stdio.h>

#include <rte_byteorder.h>
#include <rte_errno.h>
#include <rte_ip.h>
#include <rte_udp.h>

#include "ipsec.h"
#include "slowpath.h"

#define SLOW_RING 512u
#define SLOW_BURST 64u
/* IKE has a class of its own beside the reasons: a ping flood must not keep a tunnel from coming up. */
#define SLOW_IKE SLOW_REASON_MAX
#define SLOW_CLASSES (SLOW_REASON_MAX + 1)
_Static_assert(SLOW_CLASSES == RTE_DIM(((struct worker *)0)->slow), "a bucket per class");

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
	[SLOW_IKE] = 20000,
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

/* UDP 500 or 4500, first or only fragment: IKE for all we can tell here. */
static bool looks_like_ike(const struct rte_mbuf *m)
{
	const struct pkt_meta *meta = pkt_meta((struct rte_mbuf *)(uintptr_t)m);
	if (meta->l4_proto != IPPROTO_UDP || meta->frag == 2 ||
		rte_pktmbuf_data_len(m) < meta->l4_off + sizeof(struct rte_udp_hdr))
		return false;
	const struct rte_udp_hdr *udp = rte_pktmbuf_mtod_offset(m, const struct rte_udp_hdr *, meta->l4_off);
	return udp->dst_port == RTE_BE16(500) || udp->dst_port == RTE_BE16(4500);
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
	unsigned class = why == SLOW_LOCAL && looks_like_ike(m) ? SLOW_IKE : (unsigned)why;
	pkt_meta(m)->slow = (uint8_t)why;
	if (!take_credit(w, class)) {
		dp_drop1(w, m, DROP_SLOW_RATE);
		return;
	}
	if (unlikely(rte_ring_enqueue(ring[class], m) != 0))
		dp_drop1(w, m, DROP_SLOW_FULL);
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
