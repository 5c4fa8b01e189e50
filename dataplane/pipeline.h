/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The way of a packet through a worker (docs/architecture.md). Stages take a vector and leave every packet in exactly
 * one place: a later stage's vector, the transmit buffer, the slow path, or a drop reason.
 *
 *   rx -> ether_input -> ip_input -+-> ip_forward -> [SPD on egress?] -> esp_out -> ip_forward (front VRF) -+
 *                                  |                      | bypass                                          v
 *                                  +-> esp_in -> ip_input (inside VRF)                      ip_output: fragment,
 * rewrite, tx
 *                                  +-> local: slow path
 *                                  +-> multicast: copies -> [as ip_forward, after the look-up]
 *
 * ether_input belongs to ether.c; ip_forward, ip_input and ip_output to forward.c; the two IPsec stages to esp_out.c /
 * esp_in.c; policy to spd.c; what is routed into a tunnel interface goes to esp_out by way of tunnel_out.c.
 */
#ifndef DATAPLANE_PIPELINE_H
#define DATAPLANE_PIPELINE_H

#include "dp.h"

struct sa;

/* Received frames of one port; data at the Ethernet header. Strips it, binds to interface and VRF. */
void ether_input(struct worker *w, uint32_t port_id, struct rte_mbuf **pkts, unsigned n);
/* data at the IP header, meta vrf and if_rx set: validates, classifies, forwards, decapsulates or hands to main. */
void ip_input(struct worker *w, struct pkt_vec *v);
/* The same for packets that came out of an SA (PKT_F_DECAPPED): their headers have been checked. */
void ip_input_inner(struct worker *w, struct pkt_vec *v);
/* Route in meta->vrf and send on; applies the egress SPD unless PKT_F_PROTECTED or PKT_F_BYPASS. TTL is decremented
 * unless PKT_F_LOCAL_OUT or PKT_F_PROTECTED. Used by ip_input and for everything this box makes itself. */
void ip_forward(struct worker *w, struct pkt_vec *v);
/* The same for packets whose route word (fib.h) is known already and in meta->adj. */
void ip_forward_routed(struct worker *w, struct pkt_vec *v);
/* Routed packets (meta->adj): fragment to the egress MTU, write the link-layer header, queue for transmission. */
void ip_output(struct worker *w, struct pkt_vec *v);

/* ---- IPsec, called from forward.c ---- */

/*
 * Routed clear packets whose egress interface has an SPD. Matches each against it (inside VRF = meta->vrf) and sorts:
 * bypass -> appended to *bypass (the caller goes on with ip_output); protected packets are encapsulated, encrypted and
 * appended to *outer with meta->vrf = front VRF, PKT_F_PROTECTED, and the route word of the outer destination in
 * meta->adj, so that the caller need not look it up (an SA remembers it until routes change);
 * no SA -> slow path; discard -> dropped. Packets too big for the SA's path MTU: SLOW_ICMP_MTU when DF (or IPv6), else
 * fragmented before encryption. Takes every packet of v.
 */
void ipsec_output(struct worker *w, struct pkt_vec *v, struct pkt_vec *bypass, struct pkt_vec *outer);

/*
 * n packets for which something else than policy has chosen the outbound SA (tunnel.h): as above, without a match. mtu:
 * none of them may be longer, whatever the SA could carry.
 */
void ipsec_protect(
	struct worker *w, struct rte_mbuf **pkts, uint32_t n, const struct sa *sa, uint16_t mtu, struct pkt_vec *outer);

/*
 * Packets addressed to this router that carry ESP, or ESP in UDP 4500 (data at the IP header, meta->l4_off set).
 * Decrypts; good inner packets are appended to *inner with meta->vrf = inside VRF, meta->sa, PKT_F_DECAPPED, selectors
 * checked (the caller sends them through ip_input). IKE packets on 4500 are not passed here.
 */
void ipsec_input(struct worker *w, struct pkt_vec *v, struct pkt_vec *inner);

/*
 * Clear packets that came in on an interface with an SPD, PKT_F_DECAPPED not set, before they are forwarded or accepted
 * locally: drops those that policy says must be protected (IPSEC-30, 78). Compacts v. IKE and ESP to ourselves are
 * exempt.
 */
void ipsec_check_clear(struct worker *w, struct pkt_vec *v);

/* True when the interface has an SPD: forward.c asks before it calls the two functions above. */
bool ipsec_on_interface(uint32_t if_id);

#endif
