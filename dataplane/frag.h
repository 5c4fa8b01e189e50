/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fragmentation (RFC 791, RFC 8200 4.5). The parts are copies in linear packets of their own with full headroom, so
 * that what comes after (encryption, drivers that take one segment only) needs no special case. Worker or main.
 */
#ifndef DATAPLANE_FRAG_H
#define DATAPLANE_FRAG_H

#include "dp.h"

#define FRAG_MAX 16u /* parts of one packet: 9600 bytes at an MTU of 680 */

/*
 * Cut an IP packet (data at the IP header) into packets of at most max_len bytes, of nearly equal size (FRAG-T1 shape:
 * no tiny last part). frag_ipv4 ignores DF; frag_ipv6 is for packets that this box is the source of. Consumes m; the
 * parts carry a copy of its struct pkt_meta with `frag` set. A packet that fits comes back as the only part. Returns
 * the number of parts, or -1 after dropping the packet as DROP_FRAG_FAIL.
 */
int frag_ipv4(struct worker *w, struct rte_mbuf *m, uint16_t max_len, struct rte_mbuf **out, unsigned max_out);
int frag_ipv6(struct worker *w, struct rte_mbuf *m, uint16_t max_len, struct rte_mbuf **out, unsigned max_out);

#endif
