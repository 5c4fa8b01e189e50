/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Basic types that cross the boundary between the control process and the dataplane.
 * Everything here is plain data: fixed width, no pointers, safe to copy by value through shared memory.
 */
#ifndef CV_TYPES_H
#define CV_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CV_NAME_MAX 32 /* bytes, including the terminating zero: interface, VRF, map names */

#define CV_AF_NONE 0
#define CV_AF_INET 4
#define CV_AF_INET6 6

/* An IPv4 or IPv6 address. Bytes in network order; IPv4 uses b[0..3] and the rest is zero. */
struct cv_addr {
	uint8_t af; /* CV_AF_* */
	uint8_t pad[3];
	uint8_t b[16];
};

/* An address prefix; host bits beyond len are zero. */
struct cv_prefix {
	struct cv_addr addr;
	uint8_t len; /* bits: 0..32 or 0..128 */
	uint8_t pad[3];
};

/* An inclusive range of addresses of one family (RFC 7296 traffic selector; RFC 4301 selector). */
struct cv_range {
	struct cv_addr lo, hi;
};

/*
 * Selectors of one flow, seen in the outbound direction: src is the protected local side (RFC 4301 4.4.1.1).
 * Ports and ICMP values in host order. proto 0 = any. Ports 0..65535 = any. For ICMP and ICMPv6 the "source port"
 * range carries type << 8 | code (RFC 7296 3.13.1) and the destination range is 0..65535.
 */
struct cv_selector {
	struct cv_range src, dst;
	uint16_t sport_lo, sport_hi;
	uint16_t dport_lo, dport_hi;
	uint8_t proto;
	uint8_t pad[3];
};

/* VRF 0 is the global table and always exists. */
#define CV_VRF_GLOBAL 0u
#define CV_VRF_MAX 4096u
#define CV_IF_MAX 4096u	  /* interface ids 1..CV_IF_MAX-1; 0 = none */
#define CV_ACL_MAX 16384u /* access list ids 1..CV_ACL_MAX-1; 0 = none */
/* Counters of access lists: one for each line and one for each list, 1..CV_ACL_COUNTERS-1. */
#define CV_ACL_COUNTERS 65536u
#define CV_PORT_MAX 32u	 /* DPDK ports at once */
#define CV_WORKER_MAX 16 /* worker lcores at once */

/*
 * SA indexes: one table for both directions. An inbound SPI carries its index in its low CV_SA_INDEX_BITS bits, so
 * that SPI -> SA is one indexed load and a compare; the remaining high bits are random and never all zero.
 */
#define CV_SA_INDEX_BITS 18u
#define CV_SA_MAX (1u << CV_SA_INDEX_BITS)
#define CV_SA_NONE 0u /* index 0 is never used */

#endif
