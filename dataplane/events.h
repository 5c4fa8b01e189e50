/* SPDX-License-Identifier: BSD-3-Clause */
/* What happens to packets that an operator may want to count and that is no drop: one enum value, one stable token, one
 * sentence. The numbers are not stable, the tokens are. */
#ifndef DATAPLANE_EVENTS_H
#define DATAPLANE_EVENTS_H

#define EVENTS(X)                                                                                                      \
	X(FRAG_CLEAR, "frag-clear", "packets fragmented that IPsec has nothing to do with")                            \
	X(FRAG_BEFORE, "frag-before", "packets fragmented before encryption (FRAG-1)")                                 \
	X(FRAG_AFTER, "frag-after", "packets fragmented after encryption (FRAG-11)")                                   \
	X(ECN_UNUSED, "ecn-unused", "tunnel packets whose two ECN fields should not meet (RFC 6040 4.2)")              \
	X(MSS_CLAMPED, "mss-clamped", "TCP connections through an interface that lowers what their ends announce")     \
	X(PMTU_LEARNED, "pmtu-learned", "ICMP messages that lowered the path MTU of a tunnel (RFC 1191)")              \
	X(PMTU_REFUSED, "pmtu-refused", "ICMP messages about a path MTU that quote no packet of ours, or too many")    \
	X(PMTU_AGED, "pmtu-aged", "path MTUs forgotten after ten minutes, to try the larger size again")               \
	X(REASSEMBLED, "reassembled", "packets put together from fragments, to this router or of connections")         \
	X(REASS_TIMEOUT, "reassembly-timeout", "packets to this router whose fragments did not all come in time")      \
	/* by class of the way to the main core, also counted as a drop: over its rate, or no room */                  \
	X(REFUSED_NEIGH, "refused-neighbour", "packets to hosts whose link-layer address is not known")                \
	X(REFUSED_ARP, "refused-arp", "ARP packets")                                                                   \
	X(REFUSED_ND, "refused-nd", "neighbour discovery packets from neighbours")                                     \
	X(REFUSED_LOCAL, "refused-local", "packets to this router but IKE, neighbour discovery and fragments")         \
	X(REFUSED_FRAGMENT, "refused-fragment", "fragments of packets to this router")                                 \
	X(REFUSED_ROUTING, "refused-routing", "packets of routing protocols to the Linux host")                        \
	X(REFUSED_HOST, "refused-host", "other packets to the Linux host")                                             \
	X(REFUSED_IKE_FIRST, "refused-ike-first", "first messages of IKE without a cookie")                            \
	X(REFUSED_IKE, "refused-ike", "other IKE packets")                                                             \
	X(REFUSED_TTL, "refused-ttl", "packets whose sender was not told that their TTL ran out")                      \
	X(REFUSED_UNREACH, "refused-unreachable", "packets whose sender was not told that there is no route")          \
	X(REFUSED_MTU, "refused-mtu", "packets whose sender was not told that they are too big")                       \
	X(REFUSED_ACQUIRE, "refused-acquire", "packets that should have asked for an SA")                              \
	X(REFUSED_SPI, "refused-invalid-spi", "packets with an SPI that nobody has")                                   \
	X(REFUSED_CONN, "refused-connection", "packets that would have begun a connection")                            \
	X(REFUSED_MULTICAST, "refused-multicast", "packets to groups, for the Linux host's multicast routing")

enum event {
#define X(sym, token, sentence) EVENT_##sym,
	EVENTS(X)
#undef X
		EVENT_COUNT
};

#endif
