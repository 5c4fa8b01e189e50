/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is translated to what (RFC 2663, VTI-38, IPSEC-4): rules for sources on their way from an inside to an outside
 * interface, and static entries, which also take what is begun outside. When and where: track.h. IPv4.
 *
 * With a rule many connections share an address. TCP, UDP and ICMP echo get a port, or identifier, that is unique for
 * the other end; other protocols keep to addresses, as long as that is unique. ESP and AH, whose packets say nothing
 * that tells connections apart, and DCCP and UDP-Lite are not translated so, but by static entries they are (AH never).
 */
#ifndef DATAPLANE_NAT_H
#define DATAPLANE_NAT_H

#include "conn.h"
#include "iface.h"

extern const struct dp_module nat_module;

/* Worker or main: is this packet from an inside interface to be translated on its way out? */
bool nat_wants(struct worker *w, struct rte_mbuf *m, const struct conn_tuple *t);
/* Worker or main: is this packet from outside to a static entry? */
bool nat_is_static(const struct conn_tuple *t);
/* Any thread: is this an address, of nobody's interface, that outside knows something inside by? a: network order. */
bool nat_owns(const uint8_t *a);

/* Main: what answers are to a new connection whose first packet goes out, or comes in to a static entry: fills tuple[1]
 * of c, of which tuple[0] is there. tx: the interface it leaves by. DROP_NONE, or why it cannot be. */
enum drop_reason nat_begin_out(struct worker *w, struct rte_mbuf *m, const struct dp_if *tx, struct conn *c);
enum drop_reason nat_begin_in(struct conn *c);
/* Main: would the connection be translated as it is? */
bool nat_stays(const struct conn *c);

#endif
