/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Access lists of interfaces (cv_if.acl_in, acl_out). What is denied is dropped under one reason per direction; each
 * line counts what it decides (cv_writer_block.acl). Where the lists stand on the way of a packet:
 *
 * - An inbound list sees what arrives by the interface before anything else looks at it: ESP, AH and IKE for this
 *   router, too (IPSEC-2, IKE-5, IPSEC-17). That of a tunnel sees what came out of it, in clear (VTI-5). What a crypto
 *   map's SA has decrypted is not shown to the outside interface's list a second time.
 * - An outbound list sees what is about to leave, whoever made it: on a physical interface encrypted packets, on a
 *   tunnel clear ones.
 * - What answers an inspected connection does not meet an inbound list (track.h).
 * - Neighbour solicitations and advertisements pass an IPv6 list that has no line for them.
 *
 * Flows through an interface with a list do not take the fast path (dp_if.stages_only): it does not count by line.
 */
#ifndef DATAPLANE_FILTER_H
#define DATAPLANE_FILTER_H

#include "iface.h"
#include "pipeline.h"

/* Worker: packets that came in, checked and with PKT_F_IP6 set; data at the IP header. Compacts v. */
void filter_input(struct worker *w, struct pkt_vec *v, const struct iface_view *view);
/* Worker: packets that are about to leave by meta->if_tx. tunnels: by the tunnels among them, and only those are looked
 * at; otherwise none of them leaves by one. Compacts v. */
void filter_output(struct worker *w, struct pkt_vec *v, const struct iface_view *view, bool tunnels);

#endif
