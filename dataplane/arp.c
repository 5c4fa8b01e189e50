/* SPDX-License-Identifier: BSD-3-Clause */
#include "arp.h"

#include <string.h>

#include <rte_arp.h>
#include <rte_ether.h>

#include "fib.h"
#include "link.h"
#include "nat.h"
#include "neigh.h"
#include "slowpath.h"
#include "worker.h"

static const uint8_t broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

struct arp_fields {
	uint16_t op;
	const uint8_t *tha; /* NULL = zero */
	uint32_t spa, tpa;  /* network order */
};

static void arp_send(struct worker *w, const struct dp_if *ifp, const uint8_t dst[6], const struct arp_fields *f)
{
	struct rte_mbuf *m = dp_alloc();
	struct rte_arp_hdr *h = m ? (struct rte_arp_hdr *)rte_pktmbuf_append(m, sizeof(*h)) : NULL;

	if (!h) {
		w->stats->drops[DROP_NO_MBUF]++;
		rte_pktmbuf_free(m);
		return;
	}
	memset(h, 0, sizeof(*h));
	h->arp_hardware = rte_cpu_to_be_16(RTE_ARP_HRD_ETHER);
	h->arp_protocol = rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4);
	h->arp_hlen = 6;
	h->arp_plen = 4;
	h->arp_opcode = rte_cpu_to_be_16(f->op);
	memcpy(&h->arp_data.arp_sha, ifp->mac, 6);
	if (f->tha)
		memcpy(&h->arp_data.arp_tha, f->tha, 6);
	h->arp_data.arp_sip = f->spa;
	h->arp_data.arp_tip = f->tpa;
	link_send(w, ifp, dst, RTE_ETHER_TYPE_ARP, m);
}

static uint32_t be32_of(const struct cv_addr *a)
{
	uint32_t v;

	memcpy(&v, a->b, 4);
	return v;
}

void arp_request(struct worker *w, const struct dp_if *ifp, const struct cv_addr *target, const uint8_t *mac)
{
	struct cv_addr own;

	if (!iface_source(ifp, CV_AF_INET, target, &own))
		return;
	arp_send(w, ifp, mac ? mac : broadcast,
		&(struct arp_fields){.op = RTE_ARP_OP_REQUEST, .spa = be32_of(&own), .tpa = be32_of(target)});
}

void arp_announce(struct worker *w, const struct dp_if *ifp, const struct cv_addr *own)
{
	uint32_t ip = be32_of(own);

	arp_send(w, ifp, broadcast, &(struct arp_fields){.op = RTE_ARP_OP_REQUEST, .spa = ip, .tpa = ip});
}

static bool well_formed(const struct rte_mbuf *m)
{
	const struct rte_arp_hdr *h = rte_pktmbuf_mtod(m, const struct rte_arp_hdr *);

	return rte_pktmbuf_data_len(m) >= sizeof(*h) && h->arp_hardware == rte_cpu_to_be_16(RTE_ARP_HRD_ETHER) &&
	       h->arp_protocol == rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4) && h->arp_hlen == 6 && h->arp_plen == 4 &&
	       !(h->arp_data.arp_sha.addr_bytes[0] & 1);
}

static struct cv_addr addr_of(uint32_t be)
{
	struct cv_addr a = {.af = CV_AF_INET};

	memcpy(a.b, &be, 4);
	return a;
}

/* Only senders that are neighbours by their address are learned: on a connected subnet of this interface. */
static bool is_neighbour(const struct dp_if *ifp, const struct cv_addr *a)
{
	return fib_lookup(ifp->vrf_id, a) == FIB_WORD(FIB_GLEAN, ifp->id);
}

static void arp_handle(struct worker *w, const struct dp_if *ifp, const struct rte_arp_hdr *h)
{
	struct cv_addr sender = addr_of(h->arp_data.arp_sip), target = addr_of(h->arp_data.arp_tip);
	/* Our loopback addresses of this VRF are reachable through this link too, and what NAT gives to inside hosts.
	 */
	bool for_us = iface_owns(ifp, &target) || fib_is_local(ifp->vrf_id, &target) ||
		      (ifp->nat == CV_NAT_OUTSIDE && nat_owns(target.b));
	bool reply = h->arp_opcode == rte_cpu_to_be_16(RTE_ARP_OP_REPLY);
	struct neigh_news news = {.if_id = ifp->id,
		.addr = sender,
		.override = true,
		.solicited = reply && for_us,
		.create = for_us && is_neighbour(ifp, &sender)};

	memcpy(news.mac, &h->arp_data.arp_sha, 6);
	if (h->arp_data.arp_sip != 0 && !fib_is_local(ifp->vrf_id, &sender))
		neigh_learn(w, &news);
	if (for_us && h->arp_opcode == rte_cpu_to_be_16(RTE_ARP_OP_REQUEST))
		arp_send(w, ifp, news.mac,
			&(struct arp_fields){.op = RTE_ARP_OP_REPLY,
				.tha = news.mac,
				.spa = h->arp_data.arp_tip,
				.tpa = h->arp_data.arp_sip});
}

void arp_input(struct worker *w, struct rte_mbuf *m)
{
	const struct dp_if *ifp = iface_get(pkt_meta(m)->if_rx);

	if (!ifp || !well_formed(m)) {
		dp_drop1(w, m, DROP_L2_UNKNOWN);
		return;
	}
	arp_handle(w, ifp, rte_pktmbuf_mtod(m, const struct rte_arp_hdr *));
	rte_pktmbuf_free(m);
}
