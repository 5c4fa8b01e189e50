/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames that main makes itself, outside the adjacency table. */
#ifndef DATAPLANE_LINK_H
#define DATAPLANE_LINK_H

#include "iface.h"

/* Put the link-layer header of the interface in front of m and queue it. type: Ethernet type, host order. Consumes m.
 */
void link_send(struct worker *w, const struct dp_if *ifp, const uint8_t dst[6], uint16_t type, struct rte_mbuf *m);

#endif
