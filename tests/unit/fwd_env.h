/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The forwarding half in one process: EAL without hugepages and devices, the real modules of the dataplane on
 * dp_workers[0], and in place of slow.c a list that a test can look at before it lets main's handlers run. Ports are
 * views without a device, to which each worker has a queue of its own; what is sent waits in the transmit buffers.
 */
#ifndef TESTS_UNIT_FWD_ENV_H
#define TESTS_UNIT_FWD_ENV_H

#include <rte_ip.h>

#include "dp.h"
#include "worker.h"

#define ENV_SLOW_MAX 1024u

struct env_slow {
	struct rte_mbuf *m;
	enum slow_reason why;
};
extern struct env_slow env_slow[ENV_SLOW_MAX];
extern unsigned env_n_slow;

/* Once per program. The same with n workers, which nobody runs. */
void env_init(void);
void env_init_workers(uint32_t n);
/* Ports 0..n-1 with link; MAC 02:00:00:00:01:<port>. */
void env_ports(unsigned n);
struct worker *env_worker(void);

/* One staged command; fails the test unless the answer is want (enum cv_err). */
void env_stage(uint16_t type, const void *body, int want);
/* Prepare and publish vrf, iface, fib, spd, sa; when prepare fails abort all and return its error. */
int env_commit(void);
void env_abort(void);
void env_sync(void);

/* The common objects. Addresses as text. */
/* A tunnel of IPv6 in IPv4 (RFC 4213) with an inside address, committed and up; src is ours and dst has a route. */
void env_tunnel6(uint32_t if_id, const char *src, const char *dst, const char *addr);
void env_vrf(uint32_t id);
/* Port 0: interface 1, 10.0.0.1/24 and fd00::1/64; port 1: interface 2, 10.1.0.1/24 and fd01::1/64; VRF 0. */
void env_two_ports(void);
void env_eth(uint32_t if_id, uint32_t port, uint32_t vrf, const char *addr);
void env_vlan(uint32_t if_id, uint32_t parent, uint16_t vlan, uint32_t vrf, const char *addr);
void env_addr(uint32_t if_id, const char *addr);
/* How a published interface judges sources, CV_URPF_*. */
void env_urpf(uint32_t if_id, uint8_t v4, uint8_t v6);
/* An access list that does not exist yet, without lines, and a line of it: what a number counts is in
 * env_acl_count(). src, dst: prefixes, "any4" or "any6". */
void env_acl(uint32_t acl_id, uint32_t counter);
void env_acl_line(
	uint32_t acl_id, uint32_t counter, uint32_t seq, bool permit, uint8_t proto, const char *src, const char *dst);
uint64_t env_acl_count(uint32_t counter);
/* The lists of a published interface, one for both families; 0 = none. */
void env_filter(uint32_t if_id, uint16_t in, uint16_t out);
/* What of a published interface is inspected, CV_INSPECT_*. */
void env_inspect(uint32_t if_id, uint8_t how);
/* The side of translation that a published interface is on. */
void env_nat(uint32_t if_id, enum cv_nat_side side);
/* Of a published interface, by family: largest packet, and largest TCP segment announced; 0 = the usual. */
void env_sizes(uint32_t if_id, uint16_t mtu4, uint16_t mtu6, uint16_t mss4, uint16_t mss6);
/* Route to prefix by gateway (interface 0 = recursive in gw_vrf). */
void env_route(uint32_t vrf, const char *prefix, const char *gw, uint32_t if_id, uint32_t gw_vrf);
/* A neighbour, learned. MAC 02:00:00:00:02:<last>. */
void env_neigh(uint32_t if_id, const char *addr, uint8_t last);

/* A packet from source to destination (text, both families), `payload` bytes behind a UDP header, checksums right;
 * data at the IP header, meta zero. */
struct rte_mbuf *env_udp(const char *src, const char *dst, uint16_t sport, uint16_t dport, unsigned payload);
/* The same for TCP, with these flags and the first n bytes of options, n a multiple of 4. */
struct rte_mbuf *env_tcp(const char *src, const char *dst, uint8_t flags, const uint8_t *options, unsigned n);
/* The same for ICMP or ICMPv6 echo requests. */
struct rte_mbuf *env_echo(const char *src, const char *dst, unsigned payload);
/* Are the checksums of an IPv4 packet right, that of its header and that of TCP, UDP or ICMP in it? */
bool env_sums_ok(const struct rte_ipv4_hdr *ip);
/* Put the IPv4 header of such a tunnel in front of an IPv6 packet. */
void env_encapsulate6(struct rte_mbuf *m, const char *src, const char *dst);
/* Put an Ethernet header in front (to the MAC of the port's interface; vlan 0 = none) and receive it. */
void env_receive(uint32_t port, uint16_t vlan, struct rte_mbuf *m);
void env_frame(uint32_t port, uint16_t vlan, const uint8_t dst[6], struct rte_mbuf *m);

/* Next frame sent on a port, NULL when none; data at the Ethernet header. */
struct rte_mbuf *env_sent(uint32_t port);
unsigned env_sent_count(uint32_t port);
/* Hand everything in env_slow to the handlers, as slow.c would; again until nothing is left. */
void env_run_slow(void);
/* Free what was sent and what waits in env_slow. */
void env_drain(void);
uint64_t env_drops(enum drop_reason why);
/* Buffers in use: the same before and after a test that leaks none. */
unsigned env_mbufs(void);
/* For cmocka: everything staged is taken back, everything sent thrown away; fails when a buffer is missing. */
int env_teardown(void **state);

#endif
