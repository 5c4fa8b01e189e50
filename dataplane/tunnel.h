/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tunnel interfaces. A route into one (FIB_TUNNEL) leads here and from here to the interface's SA, without a look at
 * any policy (VTI-1); what its inbound SA decrypts has come in by the interface. Its line protocol is up while there is
 * an SA to send by (VTI-19); a rekey puts the new SA in the place of the old one and nobody notices.
 *
 * Configuration is that of the interface (struct cv_if, iface.c); this module owns which SA each tunnel uses.
 */
#ifndef DATAPLANE_TUNNEL_H
#define DATAPLANE_TUNNEL_H

#include "iface.h"

struct sa;

/* Main, when the SAs of a tunnel's rule have changed: index of the newest outbound one, CV_SA_NONE = none is left. */
void tunnel_use_sa(uint32_t if_id, uint32_t sa_index);
/* Main: can the tunnel carry packets now? ifp: as configured, admin up; need not be published. */
bool tunnel_line(const struct dp_if *ifp);

/*
 * Worker: take the packets routed to a tunnel (meta->if_tx) out of v; v keeps the others. They are counted, checked
 * against the tunnel's MTU and family, and protected; the outer packets are appended to *outer, as by ipsec_output().
 */
void tunnel_output(struct worker *w, struct pkt_vec *v, struct pkt_vec *outer);
/*
 * Worker: n packets that came out of the inbound SA of a tunnel, data at the inner IP header. They came in by the
 * tunnel: meta->if_rx, counters. Drops them when the tunnel is down or gone. Returns how many are left in pkts.
 */
uint32_t tunnel_decrypted(struct worker *w, const struct sa *sa, struct rte_mbuf **pkts, uint32_t n);

#endif
