/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Stateful inspection and translation on the way of a packet (VTI-37, VTI-38, IPSEC-4). Where they stand:
 *
 * - track_input() looks at what comes in before its access list does. What answers a connection that is inspected
 *   passes that list; all else is held against it as ever, and the list sees the addresses of the wire.
 * - track_translate() stands behind the check of clear packets (IPSEC-78), after decryption, and gives what comes from
 *   outside the destination it has inside.
 * - track_output() looks at what has been routed, before it loses its hop, meets a policy map or is encrypted. A packet
 *   that comes in by an interface with CV_INSPECT_IN, or leaves by one with CV_INSPECT_OUT, or that NAT wants, begins a
 *   connection when it belongs to none: main puts it into the table (conn.h) and sends it on. Sources are translated
 *   here, so that crypto maps see what is known outside (IPSEC-4, IPSEC-76).
 *
 * All need whole packets: fragments that come in by an interface where connections matter are put together on main,
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
/* Worker: those of v that have another destination now come to changed, to be looked up again: meta vrf may be another
 * one, too. Compacts v. */
void track_translate(struct worker *w, struct pkt_vec *v, const struct iface_view *view, struct pkt_vec *changed);
/* Worker: a routed packet without any of TRACK_EXEMPT, meta if_tx. False: it is taken, gone to main or dropped. */
bool track_output(struct worker *w, struct rte_mbuf *m, const struct iface_view *view);
/* Main: what they have sent by SLOW_CONN. Consumes m. */
void track_slow(struct worker *w, struct rte_mbuf *m);
/* Main: a packet that cannot go on becomes again what its sender has sent, which is to hear of it. */
void track_restore(struct rte_mbuf *m);
/* Main: interfaces or translations are other ones than before; forget what is not asked for any more. */
void track_changed(void);

#endif
