/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames that main makes itself, outside the adjacency table. */
#ifndef DATAPLANE_LINK_H
#define DATAPLANE_LINK_H

#include <string.h>

#include "iface.h"

/* Worker or main: the link-layer address of a multicast group (RFC 1112 6.4, RFC 2464 7). group: 4 or 16 bytes. */
static inline void link_group_mac(uint8_t af, const uint8_t *group, uint8_t mac[6])
{
	if (af == CV_AF_INET6)
		memcpy(mac, (const uint8_t[6]){0x33, 0x33, group[12], group[13], group[14], group[15]}, 6);
	else
		memcpy(mac, (const uint8_t[6]){0x01, 0x00, 0x5e, group[1] & 0x7f, group[2], group[3]}, 6);
}

/* Put the link-layer header of the interface in front of m and queue it. type: Ethernet type, host order. Consumes m.
 */
void link_send(struct worker *w, const struct dp_if *ifp, const uint8_t dst[6], uint16_t type, struct rte_mbuf *m);

#endif
