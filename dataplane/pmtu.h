/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Path MTUs of tunnels, learned from the ICMP messages that routers on the way send about outer packets (RFC 1191, RFC
 * 8201, RFC 4301 8.2). One value per front VRF and peer, so that a rekey does not forget it. What sources inside are
 * told follows from it and the exact overhead of the SA (esp_out.c).
 */
#ifndef DATAPLANE_PMTU_H
#define DATAPLANE_PMTU_H

#include "dp.h"

#define PMTU_AGE_MS 600000u /* then the larger size is tried again (RFC 1191 6.3) */

/* Any thread: the path MTU learned for outer packets to dst (bytes, with the outer header), 0 = none. To be asked again
 * when fib_generation() has changed. */
uint16_t pmtu_get(uint32_t vrf, const struct cv_addr *dst);
/*
 * Main: an ICMP or ICMPv6 message to this router, its checksum checked; data at the IP header, meta->l4_off at the ICMP
 * header. If it says that a packet of one of our outbound SAs was too big, and quotes that SA's addresses, SPI and a
 * recent sequence number, or one of a GRE or IP-in-IP tunnel in clear, its addresses and key, the MTU is taken. False:
 * no such message, or not believed. Does not consume m.
 */
bool pmtu_input(struct worker *w, const struct rte_mbuf *m);
/* Main, now and then: forget what is too old. */
void pmtu_tick(struct worker *w, uint64_t now_ms);

#endif
