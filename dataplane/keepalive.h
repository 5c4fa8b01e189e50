/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Keepalives of GRE tunnels (the manuals' `keepalive`; no RFC has them). A keepalive is a GRE packet to the other end
 * that contains a GRE packet from there to us, with protocol type 0 and nothing behind its header: whoever takes the
 * outer header off and forwards what is inside sends it back, and needs to know nothing of it. After so many without an
 * answer line protocol is down, until one comes back; they go on meanwhile.
 */
#ifndef DATAPLANE_KEEPALIVE_H
#define DATAPLANE_KEEPALIVE_H

#include "iface.h"

/* Main, every tick: send what is due, and notice what was not answered. */
void keepalive_tick(struct worker *w, uint64_t now_ms);
/* Worker: one of this tunnel's came back. */
void keepalive_heard(uint32_t if_id);
/* Main: have the last ones not been answered? */
bool keepalive_lost(uint32_t if_id);
/* Worker: is this packet out of the tunnel, data at the IP header and checked, one of the other end's keepalives? */
bool keepalive_is_request(const struct rte_mbuf *m, const struct cv_tunnel *t);

#endif
