/* SPDX-License-Identifier: BSD-3-Clause */
/* Neighbour discovery (RFC 4861): solicitations and advertisements, on interfaces with a port. Router advertisements
 * are neither sent nor heeded here: daemons on the host may do both. Main lcore. */
#ifndef DATAPLANE_ND_H
#define DATAPLANE_ND_H

#include "iface.h"

#define ND_TYPE_FIRST 133u /* ICMPv6: router solicitation */
#define ND_TYPE_LAST 137u  /* redirect */
#define ND_HOP_LIMIT 255u  /* nothing that a router has passed on */

/* Ask for target; mac: of the neighbour when it is only to be confirmed, NULL = solicited-node multicast. */
void nd_solicit(struct worker *w, const struct dp_if *ifp, const struct cv_addr *target, const uint8_t *mac);
/* Unsolicited advertisement to all nodes for an address of the interface (RFC 4861 7.2.6). */
void nd_announce(struct worker *w, const struct dp_if *ifp, const struct cv_addr *own);
/* An ICMPv6 packet of type 133..137 to us, checksum verified; data at the IPv6 header, ICMPv6 at meta->l4_off.
 * Consumes m. */
void nd_input(struct worker *w, struct rte_mbuf *m);

#endif
