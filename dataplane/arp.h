/* SPDX-License-Identifier: BSD-3-Clause */
/* ARP (RFC 826) on Ethernet and VLAN interfaces. Main lcore. Received packets: arp_input() in slowpath.h. */
#ifndef DATAPLANE_ARP_H
#define DATAPLANE_ARP_H

#include "iface.h"

/* Ask for target; mac: of the neighbour when it is only to be confirmed, NULL = broadcast. */
void arp_request(struct worker *w, const struct dp_if *ifp, const struct cv_addr *target, const uint8_t *mac);
/* Gratuitous ARP for an address of the interface (RFC 5227 2.3). */
void arp_announce(struct worker *w, const struct dp_if *ifp, const struct cv_addr *own);

#endif
