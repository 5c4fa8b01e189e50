/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Stateful inspection on the way of a packet (VTI-37). Where it stands:
 *
 * - track_input() looks at what comes in before its access list does. What answers a connection that is inspected
 *   passes that list; all else is held against it as ever.
 * - track_output() looks at what has been routed, before it loses its hop, meets a policy map or is encrypted. A packet
 *   that comes in by an interface with CV_INSPECT_IN, or leaves by one with CV_INSPECT_OUT, begins a connection when it
 *   belongs to none: main puts it into the table (conn.h) and sends it on.
 *
 * Both need whole packets: fragments that come in by an interface where connections matter are put together on main,
 * within the bounds of reass.h, and cut again on their way out (VTI-40). What this router sends of its own accord, and
 * what is encrypted, belongs to no connection. Flows of such interfaces stay off the fast path (dp_if.stages_only).
 */
#ifndef DATAPLANE_TRACK_H
#define DATAPLANE_TRACK_H

#include "iface.h"
#include "pipeline.h"

/* Packets that track_output() has nothing to say about. */
#define TRACK_EXEMPT (PKT_F_PROTECTED | PKT_F_BYPASS | PKT_F_LOCAL_OUT | PKT_F_TRACKED)

/* Worker: packets that came in, checked and looked up; data at the IP header. Sets meta->conn, PKT_F_ANSWER. Compacts
 * v.
 */
void track_input(struct worker *w, struct pkt_vec *v, const struct iface_view *view);
/* Worker: a routed packet without any of TRACK_EXEMPT, meta if_tx. False: it is taken, gone to main or dropped. */
bool track_output(struct worker *w, struct rte_mbuf *m, const struct iface_view *view);
/* Main: what the two have sent by SLOW_CONN. Consumes m. */
void track_slow(struct worker *w, struct rte_mbuf *m);
/* Main: interfaces are other ones than before; forget what none of them asks for any more. */
void track_if_changed(void);

#endif
