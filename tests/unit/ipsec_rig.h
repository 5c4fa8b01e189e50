/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * IPsec without a network around it: the real SA table, policies, ESP stages and fragmentation of one process; in place
 * of routing, slow path and channel, recorders that a test can look at.
 */
#ifndef TESTS_IPSEC_RIG_H
#define TESTS_IPSEC_RIG_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "esp.h"

#define RIG_IF 3u
#define RIG_SPD 1u
#define RIG_RULE 7u
#define RIG_RECORDED 4096u

/* What the recorders saw since rig_clear(). */
extern struct rte_mbuf *rig_slow_pkt[RIG_RECORDED];
extern enum slow_reason rig_slow_why[RIG_RECORDED];
extern unsigned rig_n_slow;
extern struct rte_mbuf *rig_forwarded[RIG_RECORDED]; /* through ip_forward */
extern unsigned rig_n_forwarded;
extern struct cv_msg rig_event[RIG_RECORDED];
extern unsigned rig_n_events;
extern uint16_t rig_mtu;
extern unsigned rig_n_tunnel_changes; /* calls of iface_tunnel_changed() */

extern struct cv_addr rig_gateway_changed; /* what fib_gateway_changed() was last called for */

/* EAL, packet pool, workers 0..n_workers. Once per program. */
int rig_init(uint32_t n_workers);
void rig_clear(void); /* free and forget what was recorded; counters of main to zero */

/* Publish an interface; the caller keeps it. tunnel_input() finds the last one only. */
struct dp_if;
void rig_interface(const struct dp_if *ifp);

/* One transaction of one command; 0 or enum cv_err. */
int rig_command(const struct dp_module *mod, uint16_t type, const void *body);
/* A transaction of several, of both modules in the order of the process. */
struct rig_cmd {
	uint16_t type;
	const void *body;
};
int rig_transaction(bool sync, const struct rig_cmd *cmd, unsigned n);
/* Sweep everything. */
void rig_reset(void);

/* A pair of SAs (index 2k outbound, 2k+1... by spi) with one selector of everything, key bytes 1, 2, 3, ... */
#define RIG_GCM ((struct algo_suite){.encr = CV_ENCR_AES128_GCM16})
#define RIG_CBC ((struct algo_suite){.encr = CV_ENCR_AES128_CBC, .integ = CV_INTEG_HMAC_SHA1_96})
void rig_sa(struct cv_sa *sa, enum cv_sa_dir dir, struct algo_suite suite, uint8_t outer_af, uint32_t index);
/* The n-th pair that ESP allows and the provider can do; false after the last. */
bool rig_suite(unsigned n, struct algo_suite *s);
void rig_sel_any(struct cv_selector *s, uint8_t af);
void rig_addr(struct cv_addr *a, const char *text);
void rig_sel(struct cv_selector *s, const char *src_lo, const char *src_hi, const char *dst_lo, const char *dst_hi);
/* SPD 1 on interface 3 with rule 7: PROTECT everything of both families (two rules: 7 and 8). */
void rig_protect_all(void);

/* Packets. */
struct rte_mbuf *rig_packet(const void *bytes, size_t len);
/* IPv4 or IPv6 with UDP, len bytes in all, contents from the seed; DF as told. */
struct rte_mbuf *rig_udp(uint8_t af, uint32_t len, bool df, uint32_t seed);
/* Run one packet out or in; what came back, or NULL (dropped, slow path). An outer packet that was cut after encryption
 * is put together, as the peer would; rig_parts says from how many, rig_longest how long the longest was. */
extern unsigned rig_parts, rig_longest;
struct rte_mbuf *rig_join(struct rte_mbuf **part, unsigned n);
struct rte_mbuf *rig_out(struct rte_mbuf *m);
struct rte_mbuf *rig_in(struct rte_mbuf *m);
uint64_t rig_drops(enum drop_reason why);
#define rig_assert_dropped(why, n) assert_int_equal(rig_drops(why), n)

/* Every test starts with empty tables, also after one that failed. */
int rig_fresh(void **state);
#define rig_test(f) cmocka_unit_test_setup(f, rig_fresh)

#endif
