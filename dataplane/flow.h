/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Flows and selectors in the form workers compare them: addresses as 128-bit numbers in host order (IPv4 in the low 32
 * bits), ports in host order. Pure functions, any thread.
 */
#ifndef DATAPLANE_FLOW_H
#define DATAPLANE_FLOW_H

#include "dp.h"

typedef unsigned __int128 flow_addr;

/* What a policy or a selector is asked about: one packet, written in the outbound direction. */
struct flow {
	flow_addr src, dst;
	uint32_t vrf;
	uint16_t sport, dport; /* ICMP: type << 8 | code in sport, 0 in dport */
	uint8_t af;	       /* CV_AF_* */
	uint8_t proto;
	bool no_ports; /* a later fragment: ports are not in the packet */
	uint8_t dscp;  /* 0..63 (RFC 2474) */
};

/* A cv_selector, unpacked. */
struct flow_sel {
	flow_addr src_lo, src_hi, dst_lo, dst_hi;
	uint16_t sport_lo, sport_hi, dport_lo, dport_hi;
	uint8_t af;
	uint8_t proto;	/* 0 = any */
	bool any_ports; /* both ranges are 0..65535 */
	uint8_t pad;
};

/* Which of the first four bytes behind the IP header are part of a flow, by protocol, in network order: the ports of
 * flow_has_ports(), type and code of flow_is_icmp(). */
extern const uint32_t flow_ports_mask[256];

/* The DSCP of an IPv4 or IPv6 packet. */
static inline uint8_t flow_dscp(const uint8_t *ip)
{
	return ip[0] >> 4 == 4 ? ip[1] >> 2 : (uint8_t)((ip[0] & 15u) << 2 | ip[1] >> 6);
}

flow_addr flow_addr_from(const struct cv_addr *a);
void flow_addr_to(flow_addr v, uint8_t af, struct cv_addr *out);
void flow_sel_from(const struct cv_selector *s, struct flow_sel *out);

static inline bool flow_is_icmp(uint8_t proto)
{
	return proto == 1 || proto == 58;
}

/* TCP, UDP, DCCP, SCTP, UDP-Lite: a port pair in the first four bytes. */
static inline bool flow_has_ports(uint8_t proto)
{
	return proto == 6 || proto == 17 || proto == 33 || proto == 132 || proto == 136;
}

/* Fill meta l4_off, l4_proto and frag from the packet: for packets that did not come through ip_input. False: not an
 * IPv4 or IPv6 packet. */
bool flow_locate_l4(struct rte_mbuf *m);

/*
 * Read the flow of a packet: data at the IP header, meta vrf; meta l4_off, l4_proto and frag are used when l4_off is
 * set, and filled in when it is not (packets made by this box). False: not an IPv4 or IPv6 packet.
 */
bool flow_parse(struct rte_mbuf *m, struct flow *f);

/* The same flow seen from the other end: how an inbound packet is compared with rules written for outbound
 * (IPSEC-28). ICMP type and code belong to neither end and stay. */
static inline void flow_mirror(struct flow *f)
{
	flow_addr a = f->src;
	f->src = f->dst;
	f->dst = a;
	if (!flow_is_icmp(f->proto)) {
		uint16_t p = f->sport;
		f->sport = f->dport;
		f->dport = p;
	}
}

/*
 * Does the flow match? A later fragment shows no ports: with wide it matches a selector with ports by addresses and
 * protocol alone, without it such a selector does not match (spd.h says who asks how).
 */
static inline bool flow_match(const struct flow_sel *s, const struct flow *f, bool wide)
{
	if (s->af != f->af || f->src < s->src_lo || f->src > s->src_hi || f->dst < s->dst_lo || f->dst > s->dst_hi)
		return false;
	if (s->proto && s->proto != f->proto)
		return false;
	if (s->any_ports)
		return true;
	if (f->no_ports)
		return wide;
	return f->sport >= s->sport_lo && f->sport <= s->sport_hi && f->dport >= s->dport_lo && f->dport <= s->dport_hi;
}

#endif
