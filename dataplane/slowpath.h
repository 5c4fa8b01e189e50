/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The forwarding half's work on the main lcore: what slow.c calls for the packets workers could not finish, and its
 * timers. Every handler consumes its packet. w is main's own struct worker.
 */
#ifndef DATAPLANE_SLOWPATH_H
#define DATAPLANE_SLOWPATH_H

#include "dp.h"

/* SLOW_NEIGH: routed (meta->adj, or adj 0 and meta->if_tx with the destination as next hop), data at the IP header, no
 * adjacency ready: holds the packet, asks, and sends it through ip_output when the answer comes. */
void neigh_slow(struct worker *w, struct rte_mbuf *m);
/* SLOW_ARP: data at the ARP header; meta->if_rx. */
void arp_input(struct worker *w, struct rte_mbuf *m);
/* SLOW_LOCAL: addressed to this router, data at the IP header. Reassembles, answers echo and ND, punts IKE. */
void local_input(struct worker *w, struct rte_mbuf *m);
/* SLOW_ICMP_TTL, SLOW_ICMP_UNREACH, SLOW_ICMP_MTU: data at the IP header of the offending packet. */
void icmp_slow_error(struct worker *w, struct rte_mbuf *m, enum slow_reason why);
/* Timers: retries, aging, reassembly time-out. Call about every 10 ms. */
void fwd_tick(struct worker *w, uint64_t now_ms);

#endif
