/* SPDX-License-Identifier: BSD-3-Clause */
/* Neighbours as the other parts of main's forwarding half use them. Main lcore. */
#ifndef DATAPLANE_NEIGH_SEND_H
#define DATAPLANE_NEIGH_SEND_H

#include "iface.h"
#include "neigh.h"

/* Send a packet (data at the IP header) to a next hop on this link, resolving it first when needed. For packets that
 * no route decides on: link-local ones. Consumes m. */
void neigh_send(struct worker *w, const struct dp_if *ifp, const struct cv_addr *nexthop, struct rte_mbuf *m);
/* Ask again, age, forget. A few times a second, from fwd_tick(). */
void neigh_tick(struct worker *w, uint64_t now_ms);

#endif
