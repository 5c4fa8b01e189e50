/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reassembly of fragmented packets addressed to this router (RFC 791 3.2, RFC 8200 4.5). Main lcore. Memory is bounded
 * by REASS_FRAGS fragments in REASS_MAX packets (the oldest packet gives way), time by REASS_MS. Overlaps void the
 * whole packet (RFC 5722, and for IPv4 too). Our own and not rte_ip_frag's table because that one knows nothing of VRFs
 * and protocols in its key, stops at 8 fragments and hands back chained buffers.
 */
#ifndef DATAPLANE_REASS_H
#define DATAPLANE_REASS_H

#include "dp.h"

#define REASS_MAX 256u	  /* packets in progress */
#define REASS_PARTS 64u	  /* fragments of one packet */
#define REASS_FRAGS 1024u /* fragments held in all */
#define REASS_MS 30000u

/* A fragment (meta->frag != 0, checked by ip4_check or ip6_check). Consumes m. Returns the whole packet, linear, meta
 * of its first fragment with the fields of iphdr.h set anew, when this was the last missing piece; else NULL. */
struct rte_mbuf *reass_input(struct worker *w, struct rte_mbuf *m);
/* Give up what is too old. */
void reass_tick(struct worker *w, uint64_t now_ms);

#endif
