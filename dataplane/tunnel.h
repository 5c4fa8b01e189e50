/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tunnel interfaces. A route into one (FIB_TUNNEL) leads here. An IPsec tunnel hands the packet to the interface's SA,
 * without a look at any policy (VTI-1), and what its inbound SA decrypts has come in by the interface. GRE (RFC 2784,
 * 2890) and IP in IP (RFC 2003, 4213) put their header in front, and then use the interface's SA where the tunnel is
 * protected, or are routed like any packet of this box, a crypto map on the way out included.
 *
 * Line protocol (VTI-19): a protected tunnel has it while there is an SA to send by, a rekey puts the new one in the
 * place of the old one and nobody notices; any other while its source is ours and a route leads to the other end, and
 * that answers keepalives where they are sent (keepalive.h).
 *
 * A multipoint tunnel has no other end of its own: the next hop, which a route names or the destination is, says where
 * outer packets go (tunnel_hop.h), and each has its SAs. It takes packets from anyone, protected: from any of its
 * peers. Multicast goes to every next hop that is to get it. It has line protocol while its source is ours.
 *
 * Configuration is that of the interface (struct cv_if, iface.h); this module owns which SA each tunnel uses.
 */
#ifndef DATAPLANE_TUNNEL_H
#define DATAPLANE_TUNNEL_H

#include <netinet/in.h>

#include "iface.h"

struct sa;

/* Is this what GRE or IP-in-IP packets carry in their outer header? */
static inline bool tunnel_protocol(uint8_t proto)
{
	return proto == IPPROTO_GRE || proto == IPPROTO_IPIP || proto == IPPROTO_IPV6;
}

/* Main, when the SAs of a tunnel's rule have changed: index of the newest outbound one, CV_SA_NONE = none is left. Of a
 * multipoint tunnel those next hops take it that have this rule. */
void tunnel_use_sa(uint32_t if_id, uint32_t rule_id, uint32_t sa_index);
/* Main: a next hop that no worker sees yet (tunnel_hop.h) takes what its rule has. */
void tunnel_use_hop(uint32_t slot);
/* Main: can the tunnel carry packets now? ifp: as configured, admin up; need not be published. */
bool tunnel_line(const struct dp_if *ifp);
/* Worker or main: the largest packet to dst that goes through in one piece where this route word (FIB_TUNNEL) leads;
 * the tunnel's own MTU and the way of its outer packets considered, which may be through another tunnel (IPSEC-15). 0
 * when the tunnel does not exist. */
uint16_t tunnel_mtu(uint32_t word, const struct cv_addr *dst);
/* Main: the largest packet that a published tunnel's way has room for, as it is known now, whatever the MTU of the
 * tunnel itself; 0 when that is not known: it cannot send now, or has several other ends. */
uint16_t tunnel_transport_mtu(const struct dp_if *ifp);
/* Main: could an unprotected tunnel have sent the outer packet that an ICMP message quotes? l4: what of it follows the
 * IP header, at least 8 bytes. A router may quote too little to show a key; one that it shows has to be right. */
bool tunnel_sent(uint32_t vrf, const struct cv_addr *src, const struct cv_addr *dst, uint8_t proto, const uint8_t *l4,
	uint32_t len);
/* Main, every tick: have routes changed the line of a published tunnel? */
bool tunnel_lines_changed(void);
/* Main: let tunnel_input() find the interface in a view that is being built. */
void tunnel_enlist(struct iface_view *v, const struct dp_if *ifp);

/*
 * Worker: take the packets routed to a tunnel (meta->if_tx) out of v; v keeps the others. They are counted, checked
 * against the tunnel's MTU and family, and encapsulated; the outer packets are appended to *outer, protected ones as by
 * ipsec_output(), others with the route word of the outer destination in meta->adj.
 */
void tunnel_output(struct worker *w, struct pkt_vec *v, struct pkt_vec *outer);
/* Main: a packet made here, data at the IP header, that no route decides on (link-local): into this tunnel, and its
 * outer packet on its way. meta: VRF, flags. Consumes m. */
void tunnel_send(struct worker *w, const struct dp_if *ifp, struct rte_mbuf *m);
/*
 * Worker: n packets that came out of the inbound SA of a tunnel, data at the IP header. Out of an IPsec tunnel they
 * have come in by it: meta->if_rx, counters; dropped when it is down or gone. Of others they are outer packets still,
 * for tunnel_input(). Returns how many are left in pkts.
 */
uint32_t tunnel_decrypted(struct worker *w, const struct sa *sa, struct rte_mbuf **pkts, uint32_t n);
/*
 * Worker: whole packets to this router of a tunnel_protocol(), data at the IP header, meta->l4_off set. The inner ones,
 * checked, are appended to *inner with the tunnel's VRF and as received by it. Takes every packet of v.
 */
void tunnel_input(struct worker *w, struct pkt_vec *v, struct pkt_vec *inner);

#endif
