/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Clamping of TCP's maximum segment size (RFC 9293 3.7.1): the segments that open a connection through an interface
 * with a limit announce no more than that, whichever way they go, so that connections also work where the ICMP messages
 * about the path's MTU are lost.
 */
#ifndef DATAPLANE_MSS_H
#define DATAPLANE_MSS_H

#include "iface.h"

/* Worker: a routed packet in clear, data at the IP header; meta if_rx, if_tx, l4_proto, l4_off and PKT_F_IP6 set. Only
 * an MSS option larger than the limit is changed, and the checksum with it; none is added. */
void mss_clamp(struct worker *w, struct rte_mbuf *m, const struct iface_view *view);

#endif
