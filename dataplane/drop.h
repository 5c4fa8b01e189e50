/* SPDX-License-Identifier: BSD-3-Clause */
/* Every reason for which the dataplane drops a packet: one enum value, one stable token, one sentence. Append only
 * within a group; the numbers are not stable, the tokens are. */
#ifndef DATAPLANE_DROP_H
#define DATAPLANE_DROP_H

#define DROP_REASONS(X)                                                                                                \
	X(NONE, "none", "not dropped")                                                                                 \
	/* input */                                                                                                    \
	X(IF_DOWN, "if-down", "received on an interface that is administratively down")                                \
	X(L2_UNKNOWN, "l2-unknown", "not for our MAC address, or an Ethernet type that is not handled")                \
	X(VLAN_UNKNOWN, "vlan-unknown", "no sub-interface for this VLAN")                                              \
	X(IP_MALFORMED, "ip-malformed", "IP header too short, wrong version, wrong length or bad checksum")            \
	X(IP_MARTIAN, "ip-martian", "source or destination address is not allowed on the wire")                        \
	X(URPF, "reverse-path", "no route back to the source by the interface it came in by (VRF-10)")                 \
	X(ACL_IN, "access-list-in", "denied by the access list of the interface it came in by (IPSEC-2)")              \
	X(ACL_OUT, "access-list-out", "denied by the access list of the interface it was to leave by (VTI-5)")         \
	X(IP_OPTIONS, "ip-options", "IP options or extension headers that are refused")                                \
	X(TTL, "ttl-exceeded", "TTL or hop limit ran out")                                                             \
	/* forwarding */                                                                                               \
	X(NO_ROUTE, "no-route", "no route to the destination in this VRF")                                             \
	X(BLACKHOLE, "route-blackhole", "the route says discard")                                                      \
	X(NO_IF, "no-interface", "egress interface is gone or down")                                                   \
	X(NEIGH_FAIL, "neighbour-unresolved", "next hop did not answer ARP or ND, or its hold queue was full")         \
	X(MTU_DF, "mtu-df", "larger than the MTU and must not be fragmented")                                          \
	X(FRAG_FAIL, "fragment-failed", "could not be fragmented")                                                     \
	X(REASS_FAIL, "reassembly-failed", "fragments incomplete in time, overlapping, or table full")                 \
	X(TUNNEL_DOWN, "tunnel-down", "the tunnel interface is down, or lost its SA this moment")                      \
	X(TUNNEL_FAMILY, "tunnel-family", "the tunnel does not carry this IP version (VTI-8)")                         \
	X(TUNNEL_LOOP, "tunnel-recursion", "the way to a tunnel's other end leads into that tunnel (VTI-41)")          \
	X(TUNNEL_UNKNOWN, "tunnel-unknown", "GRE or IP in IP to ourselves, from nobody that a tunnel leads to")        \
	X(TUNNEL_MALFORMED, "tunnel-malformed",                                                                        \
		"GRE header that is too short, or has a wrong checksum, version or protocol")                          \
	X(TUNNEL_HOP, "tunnel-next-hop", "a multipoint tunnel does not know where the next hop is")                    \
	X(TUNNEL_SEQUENCE, "tunnel-sequence", "GRE sequence number is missing or not above the last (RFC 2890)")       \
	X(TX_FULL, "tx-full", "transmit queue of the device was full")                                                 \
	X(LOCAL_UNKNOWN, "local-no-listener", "addressed to this router, but nothing listens")                         \
	X(MULTICAST, "multicast", "multicast or broadcast that is not handled")                                        \
	X(MULTICAST_RPF, "multicast-reverse-path", "to a group, but not by the interface its route expects it by")     \
	X(MULTICAST_PRUNED, "multicast-nowhere",                                                                       \
		"to a group whose route leads nowhere now, or only with a higher TTL")                                 \
	X(HOST_DEVICE, "host-device", "the Linux host did not take it: its device is down or its queue full")          \
	X(HOST_SENT, "host-sent", "the Linux host sent something that cannot go out of this interface")                \
	/* slow path */                                                                                                \
	X(SLOW_FULL, "slow-path-full", "the ring to the main core was full")                                           \
	X(SLOW_RATE, "slow-path-rate", "over the rate limit of its slow-path class")                                   \
	X(PUNT_FULL, "punt-full", "the ring to the control process was full or nobody is attached")                    \
	X(PUNT_SIZE, "punt-size", "too long to hand to the control process")                                           \
	X(INJECT_BAD, "inject-bad", "the control process asked to send something that is not an IP packet")            \
	X(QOS_POLICE, "qos-police", "above the rate of its class (VTI-36)")                                            \
	X(QOS_QUEUE, "qos-queue-full", "the queue of its class was full")                                              \
	X(QOS_RANDOM, "qos-random", "dropped early, before the queue of its class was full (RFC 2309)")                \
	X(QOS_PRIORITY, "qos-priority-rate", "above the rate of its priority class while others waited (LLQ-T5)")      \
	X(NO_MBUF, "no-buffer", "packet buffers exhausted")                                                            \
	/* policy */                                                                                                   \
	X(SPD_DISCARD, "policy-discard", "the security policy says discard")                                           \
	X(SPD_CLEAR_IN, "policy-clear-in", "arrived in clear but policy demands protection (IPSEC-30)")                \
	X(SPD_SELECTOR, "policy-selector", "inner packet is outside the selectors of its SA (IPSEC-77)")               \
	X(NO_SA, "policy-no-sa", "policy demands protection and there is no SA (IPSEC-31)")                            \
	X(HOLD_FULL, "hold-full", "waiting for an SA, but the hold queue was full (IPSEC-32)")                         \
	X(HOLD_FAILED, "hold-failed", "waited for an SA that could not be negotiated")                                 \
	/* connections */                                                                                              \
	X(CONN_FULL, "connection-table-full", "begins a connection, but there are as many as there may be (VTI-39)")   \
	X(NAT_PORTS, "nat-no-port", "to be translated, but no address and port is free (VTI-38)")                      \
	X(NAT_PROTOCOL, "nat-protocol", "to be translated, but its protocol cannot share an address")                  \
	X(NAT_UNKNOWN, "nat-unknown", "to be translated, but of no connection, and it does not begin one")             \
	/* ESP in */                                                                                                   \
	X(ESP_SHORT, "esp-malformed", "ESP packet too short or of a wrong length")                                     \
	X(ESP_SPI, "esp-invalid-spi", "no SA for this SPI, address and VRF")                                           \
	X(ESP_REPLAY, "esp-replay", "sequence number already seen or left of the window")                              \
	X(ESP_AUTH, "esp-auth", "integrity check failed")                                                              \
	X(ESP_PAD, "esp-padding", "wrong padding or next header after decryption")                                     \
	X(ESP_EXPIRED, "esp-expired", "SA has reached its hard lifetime")                                              \
	X(ESP_DUMMY, "esp-dummy", "dummy packet for traffic flow confidentiality (RFC 4303 2.6)")                      \
	X(AH_SHORT, "ah-malformed", "AH packet too short, of a wrong length, or with headers AH cannot cover")         \
	X(ESP_NESTING, "esp-nesting", "did not come out of the outer SA of its bundle, or another packet did")         \
	X(IPCOMP, "ipcomp",                                                                                            \
		"compressed packet is malformed, of another CPI, or too large once decompressed (RFC 3173)")           \
	X(ESP_ECN, "esp-ecn", "outer header says congestion, inner one cannot carry it (RFC 6040)")                    \
	X(NATT_KEEPALIVE, "natt-keepalive", "NAT keepalive (RFC 3948 2.3), consumed")                                  \
	/* ESP out */                                                                                                  \
	X(ESP_SEQ, "esp-seq-overflow", "sequence number space of the SA is used up")                                   \
	X(ESP_MODE, "transport-mode", "a fragment, or not between the two peers: not for transport mode (IPSEC-21)")   \
	X(ESP_TOO_BIG, "esp-too-big", "packet with its overhead does not fit a buffer")                                \
	X(CRYPTO_BUSY, "crypto-busy", "the crypto provider did not take the packet")                                   \
	X(CRYPTO_ERROR, "crypto-error", "the crypto provider failed")

enum drop_reason {
#define X(sym, token, text) DROP_##sym,
	DROP_REASONS(X)
#undef X
		DROP_REASON_MAX
};

#endif
