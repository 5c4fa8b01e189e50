/* SPDX-License-Identifier: BSD-3-Clause */
/* What becomes of the ECN field where a tunnel ends (RFC 6040), for IPsec and for tunnel interfaces. */
#ifndef DATAPLANE_ECN_H
#define DATAPLANE_ECN_H

#include <rte_ip.h>

#include "events.h"
#include "iphdr.h"
#include "worker.h"

#define ECN_MASK 3u
#define ECN_NOT_ECT 0u
#define ECN_ECT1 1u
#define ECN_CE 3u

/* Bit per inner << 2 | outer: the combinations that figure 4 of RFC 6040 marks as unused. Nobody on the way who follows
 * the rules makes them, so they are counted. */
#define ECN_UNUSED (1u << 1 | 1u << 2 | 1u << 3 | 1u << (1 << 2 | 2) | 1u << (3 << 2 | 1))

/* RFC 6040 section 4.2: how the outer ECN field changes the inner one. False: the packet must be dropped. */
static inline bool ecn_decap(struct worker *w, uint8_t *inner, uint8_t outer_tos, bool v4)
{
	uint8_t out = outer_tos & ECN_MASK;
	if (likely(out == ECN_NOT_ECT))
		return true;
	uint8_t tos = v4 ? inner[1] : (uint8_t)(inner[0] << 4 | inner[1] >> 4), in = tos & ECN_MASK;
	if (unlikely(ECN_UNUSED >> (in << 2 | out) & 1u))
		w->stats->events[EVENT_ECN_UNUSED]++;
	if (likely(out != ECN_CE && !(out == ECN_ECT1 && in > ECN_ECT1)))
		return true;
	if (in == ECN_NOT_ECT)
		return out != ECN_CE;
	if (in == ECN_CE)
		return true;
	if (v4) {
		struct rte_ipv4_hdr *ip = (void *)inner;
		ip->type_of_service = (uint8_t)((tos & ~ECN_MASK) | out);
		ip->hdr_checksum = 0;
		ip->hdr_checksum = rte_ipv4_cksum(ip);
	} else {
		inner[1] = (uint8_t)((inner[1] & 0xcf) | out << 4);
	}
	return true;
}

/* RFC 3168 5: congestion has been met. False: the sender cannot be told so. */
static inline bool ecn_mark(uint8_t *p)
{
	const uint8_t tos = ip_tos(p);

	if ((tos & ECN_MASK) == ECN_NOT_ECT)
		return false;
	ip_set_tos(p, tos | ECN_CE);
	return true;
}

#endif
