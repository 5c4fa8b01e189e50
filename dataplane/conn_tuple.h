/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a packet says about the connection it belongs to, and how that is written anew (RFC 3022). Every length is
 * checked here. Pure functions, any thread.
 */
#ifndef DATAPLANE_CONN_TUPLE_H
#define DATAPLANE_CONN_TUPLE_H

#include <string.h>

#include <rte_byteorder.h>

#include "dp.h"

/*
 * One direction of a connection. Addresses and ports in network order; IPv4 in the first four bytes, the rest zero.
 * TCP and UDP have ports. Echo requests have their identifier in sport and ECHO_PORT in dport, replies the other way
 * round, so that a reply is the mirror of its request. Of other protocols both ports are 0: one connection is all that
 * two addresses have of them.
 */
struct conn_tuple {
	uint8_t src[16], dst[16];
	uint16_t sport, dport;
	uint16_t vrf;
	uint8_t proto;
	uint8_t af; /* CV_AF_* */
};
_Static_assert(sizeof(struct conn_tuple) == 40, "compared and hashed as five words");
#define CONN_ECHO_PORT RTE_BE16(8)

enum conn_what {
	CONN_NONE = 0, /* belongs to no connection: ICMP other than echo and errors, neighbour discovery, too short */
	CONN_PACKET,
	CONN_ERROR, /* an ICMP error: the tuple is the mirror of the packet that it quotes */
};

/* Data at the IP header, a whole packet; meta->vrf, l4_proto, l4_off, PKT_F_IP6. */
enum conn_what conn_tuple_read(const struct rte_mbuf *m, struct conn_tuple *t);

static inline bool conn_tuple_eq(const struct conn_tuple *a, const struct conn_tuple *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

/* The way back. */
static inline struct conn_tuple conn_tuple_mirror(const struct conn_tuple *t)
{
	struct conn_tuple r = *t;

	memcpy(r.src, t->dst, sizeof(r.src));
	memcpy(r.dst, t->src, sizeof(r.dst));
	r.sport = t->dport;
	r.dport = t->sport;
	return r;
}

/*
 * An IPv4 packet whose tuple is `is` becomes one of tuple `to`: addresses, ports or identifier, and the checksums that
 * cover them, incrementally (RFC 1624). Of an ICMP error, the address that `is` and `to` differ in, and the quoted
 * packet, which becomes the mirror of `to`. is: what conn_tuple_read() said of this very packet.
 */
void conn_tuple_write(
	struct rte_mbuf *m, enum conn_what what, const struct conn_tuple *is, const struct conn_tuple *to);

#endif
