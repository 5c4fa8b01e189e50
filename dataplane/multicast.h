/* SPDX-License-Identifier: BSD-3-Clause */
/* Forwarding of packets to groups by multicast routes (mfib.h): a copy for each interface they leave by, which goes the
 * way of any routed packet from there, through policies, lists, tunnels and fragmentation. */
#ifndef DATAPLANE_MULTICAST_H
#define DATAPLANE_MULTICAST_H

#include "iphdr.h"

/* Is the packet to a group that routes may lead to? m: header checked. Else it is a broadcast, or stays on its link. */
bool multicast_routable(struct rte_mbuf *m);

/* Worker or main: the route word for a destination that no table decides on: broadcast, multicast, IPv6 link-local. */
uint32_t multicast_untabled_word(struct rte_mbuf *m);

/* Worker or main: the route word of a copy that was on its way out by meta->if_tx when something, a policy map or the
 * search for its connection, took it aside; 0 = it cannot leave by that any more. */
uint32_t multicast_copy_word(struct rte_mbuf *m);

/* Worker or main: received packets that are multicast_routable(). Takes every packet of v. Nobody is told of those that
 * are dropped (RFC 1812 4.3.2.7). */
void multicast_forward(struct worker *w, struct pkt_vec *v);

#endif
