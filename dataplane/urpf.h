/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Unicast reverse path forwarding (RFC 3704, VRF-10): a packet is believed to come from its source address only if a
 * packet to that address would leave by the interface it came in by (CV_URPF_STRICT), or by any (CV_URPF_LOOSE). Asked
 * is the table of the interface's VRF. A default route is no such way unless CV_URPF_ALLOW_DEFAULT says so; our own
 * addresses, black holes and broadcast addresses never are one. IPv6 link-local and unspecified sources, which no
 * table holds, are not judged.
 *
 * What comes out of a tunnel interface is judged by the setting of that interface. What comes out of an SA of a crypto
 * map is not judged by the interface that its outer packet came in by, which was: the SA's selectors say which sources
 * may be in it (IPSEC-77), and with an inside VRF of its own the interface's table knows nothing of them (VRF-T11).
 */
#ifndef DATAPLANE_URPF_H
#define DATAPLANE_URPF_H

#include "iface.h"

/* Worker: drop from v the packets whose source fails. Data at the IP header, PKT_F_IP6 set; meta if_rx and vrf. one_if:
 * all came in by one interface. inner: they came out of a tunnel or an SA. */
void urpf_check(struct worker *w, struct pkt_vec *v, bool one_if, bool inner);

/* Any reader: may a packet from this IPv4 address, in network order, have come in by the interface? */
bool urpf_accepts4(const struct dp_if *ifp, uint32_t src);
/* The same for an IPv6 address. */
bool urpf_accepts6(const struct dp_if *ifp, const uint8_t src[static 16]);

#endif
