/* SPDX-License-Identifier: BSD-3-Clause */
/* Telling the link about our addresses: gratuitous ARP (RFC 5227 2.3) and unsolicited neighbour advertisements
 * (RFC 4861 7.2.6), twice, when an address or a MAC is new or the interface comes up. Main lcore. */
#ifndef DATAPLANE_ANNOUNCE_H
#define DATAPLANE_ANNOUNCE_H

#include "iface.h"

/* The interface changed from was (NULL = new) to is: note the addresses that have to be announced. */
void announce_addresses(const struct dp_if *was, const struct dp_if *is);
/* Send what is due. From fwd_tick(). */
void announce_tick(struct worker *w, uint64_t now_ms);

#endif
