/* SPDX-License-Identifier: BSD-3-Clause */
/* ICMP and ICMPv6 on the main lcore: echo, and errors about packets that could not go on (RFC 792, 1812 4.3, 4443).
 * Both are rate limited, each by a token bucket. */
#ifndef DATAPLANE_ICMP_H
#define DATAPLANE_ICMP_H

#include "dp.h"

/* An ICMP message to us; data at the IP header, meta->l4_off at ICMP. Consumes m. */
void icmp_input(struct worker *w, struct rte_mbuf *m);

/* What an error message says; the numbers for both families, ICMP type and code. */
struct icmp_error {
	uint8_t type4, code4;
	uint8_t type6, code6;
	uint16_t mtu; /* fragmentation needed, packet too big */
};
extern const struct icmp_error icmp_port_unreachable, icmp_reassembly_timeout;

/* Tell the sender of m about it, unless m must not be answered (RFC 1812 4.3.2.7, RFC 4443 2.4). m stays the
 * caller's. */
void icmp_error(struct worker *w, struct rte_mbuf *m, const struct icmp_error *e);

#endif
