/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Stateful inspection (VTI-37, VTI-39, VTI-40, VTI-T5): what is begun through an interface is answered through another
 * one's inbound list, and nothing else is.
 *
 * port 0: if 1, inside, 10.0.0.1/24 fd00::1/64, inspected; port 1: if 2, outside, 10.1.0.1/24 fd01::1/64, whose inbound
 * list permits nothing
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include <rte_ether.h>
#include <rte_icmp.h>
#include <rte_ip.h>
#include <rte_tcp.h>
#include <rte_udp.h>

#include "conn.h"
#include "frag.h"
#include "fwd_env.h"
#include "iface.h"
#include "pipeline.h"

enum { LIST = 1, DENIED = 100 };
#define SYN RTE_TCP_SYN_FLAG
#define ACK RTE_TCP_ACK_FLAG
#define FIN RTE_TCP_FIN_FLAG
#define RST RTE_TCP_RST_FLAG

static const char *const inside[] = {"10.0.0.9", "fd00::9"}, *const outside[] = {"10.1.0.2", "fd01::2"};

static int setup(void **state)
{
	(void)state;
	env_sync();
	env_two_ports();
	env_acl(LIST, DENIED);
	assert_int_equal(env_commit(), 0);
	env_filter(2, LIST, 0);
	env_inspect(1, CV_INSPECT_IN);
	assert_int_equal(env_commit(), 0);
	env_neigh(2, "10.1.0.2", 2);
	env_neigh(2, "fd01::2", 2);
	env_neigh(1, "10.0.0.9", 9);
	env_neigh(1, "fd00::9", 9);
	env_drain();
	assert_int_equal(conn_count(), 0);
	return 0;
}

/* How many frames a packet that comes in on one port becomes on the other. */
static unsigned through(unsigned port, struct rte_mbuf *m)
{
	env_receive(port, 0, m);
	env_run_slow();
	const unsigned n = env_sent_count(!port);

	env_drain();
	return n;
}

/* With the ports of env_tcp(), or those the other way round. */
static struct rte_mbuf *segment(unsigned v6, bool answer, uint8_t flags)
{
	const char *src = answer ? outside[v6] : inside[v6], *dst = answer ? inside[v6] : outside[v6];
	struct rte_mbuf *m = env_tcp(src, dst, flags, NULL, 0);
	struct rte_tcp_hdr *tcp = rte_pktmbuf_mtod_offset(m, struct rte_tcp_hdr *, v6 ? 40 : 20);

	if (answer) { /* the checksum does not mind */
		tcp->src_port = RTE_BE16(80);
		tcp->dst_port = RTE_BE16(40000);
	}
	return m;
}

static struct cv_conn_entry only_entry(void)
{
	static struct cv_dump_reply out;
	struct cv_conn_entry e;

	memset(&out, 0, sizeof(out));
	conn_dump(&(struct cv_cmd_dump){.kind = CV_DUMP_CONN}, &out);
	assert_int_equal(out.n, 1);
	memcpy(&e, out.entries, sizeof(e));
	return e;
}

static void tcp(void **state)
{
	(void)state;
	for (unsigned v6 = 0; v6 < 2; v6++) {
		const uint64_t denied = env_acl_count(DENIED), drops = env_drops(DROP_ACL_IN);

		assert_int_equal(through(1, segment(v6, true, SYN | ACK)), 0); /* nobody asked */
		assert_int_equal(through(0, segment(v6, false, SYN)), 1);
		assert_int_equal(only_entry().state, CV_CONN_HALF_OPEN);
		assert_int_equal(through(1, segment(v6, true, SYN)), 0); /* no answer */
		assert_int_equal(through(1, segment(v6, true, SYN | ACK)), 1);
		assert_int_equal(only_entry().state, CV_CONN_HALF_OPEN);
		assert_int_equal(through(0, segment(v6, false, ACK)), 1);
		assert_int_equal(only_entry().state, CV_CONN_OPEN);
		assert_int_equal(only_entry().src_port, 40000);
		assert_int_equal(only_entry().dst_port, 80);
		assert_int_equal(through(1, env_tcp(outside[v6], inside[v6], ACK, NULL, 0)), 0); /* other ports */
		assert_int_equal(through(1, segment(v6, true, FIN | ACK)), 1);
		assert_int_equal(only_entry().state, CV_CONN_OPEN);
		assert_int_equal(through(0, segment(v6, false, FIN | ACK)), 1);
		assert_int_equal(only_entry().state, CV_CONN_CLOSED);
		assert_int_equal(through(1, segment(v6, true, ACK)), 1);  /* of the last FIN */
		assert_int_equal(through(0, segment(v6, false, SYN)), 1); /* the port used again */
		assert_int_equal(only_entry().state, CV_CONN_HALF_OPEN);
		assert_int_equal(through(1, segment(v6, true, RST | ACK)), 1);
		assert_int_equal(only_entry().state, CV_CONN_CLOSED);
		assert_int_equal(env_acl_count(DENIED) - denied, 3);
		assert_int_equal(env_drops(DROP_ACL_IN) - drops, 3);
		assert_int_equal(conn_clear(0), 1);
		assert_int_equal(through(1, segment(v6, true, ACK)), 0);
		assert_int_equal(through(0, segment(v6, false, RST)), 1); /* passes, begins nothing */
		assert_int_equal(conn_count(), 0);
	}
}

static void udp_and_echo(void **state)
{
	(void)state;
	for (unsigned v6 = 0; v6 < 2; v6++) {
		struct rte_mbuf *reply = env_echo(outside[v6], inside[v6], 8);
		uint8_t *icmp = rte_pktmbuf_mtod_offset(reply, uint8_t *, v6 ? 40 : 20);

		icmp[0] = v6 ? 129 : 0;
		assert_int_equal(through(0, env_udp(inside[v6], outside[v6], 5, 53, 9)), 1);
		assert_int_equal(only_entry().state, CV_CONN_HALF_OPEN);
		assert_int_equal(through(0, env_udp(inside[v6], outside[v6], 5, 53, 9)), 1);
		assert_int_equal(through(1, env_udp(outside[v6], inside[v6], 53, 5, 9)), 1);
		assert_int_equal(only_entry().state, CV_CONN_OPEN);
		assert_int_equal(through(1, env_udp(outside[v6], inside[v6], 53, 6, 9)), 0);
		assert_int_equal(through(1, env_udp(outside[v6], inside[v6], 5, 53, 9)), 0);
		assert_int_equal(through(0, env_echo(inside[v6], outside[v6], 8)), 1);
		assert_int_equal(conn_count(), 2);
		assert_int_equal(through(1, env_echo(outside[v6], inside[v6], 8)), 0); /* a request is no reply */
		assert_int_equal(through(1, reply), 1);
		assert_int_equal(conn_clear(CV_CONN_F_INSPECT), 2);
	}
}

/* An ICMP error about a UDP packet that the inside host has sent. */
static struct rte_mbuf *error_about(unsigned v6, uint16_t sport)
{
	struct rte_mbuf *quoted = env_udp(inside[v6], outside[v6], sport, 53, 9);
	struct rte_mbuf *m = env_echo(outside[v6], inside[v6], rte_pktmbuf_data_len(quoted));
	uint8_t *icmp = rte_pktmbuf_mtod_offset(m, uint8_t *, v6 ? 40 : 20);

	icmp[0] = v6 ? 1 : 3;
	icmp[1] = v6 ? 4 : 3;
	memcpy(icmp + 8, rte_pktmbuf_mtod(quoted, const void *), rte_pktmbuf_data_len(quoted));
	rte_pktmbuf_free(quoted);
	return m;
}

static void errors(void **state)
{
	(void)state;
	for (unsigned v6 = 0; v6 < 2; v6++) {
		assert_int_equal(through(1, error_about(v6, 5)), 0);
		assert_int_equal(through(0, env_udp(inside[v6], outside[v6], 5, 53, 9)), 1);
		assert_int_equal(through(1, error_about(v6, 5)), 1);
		assert_int_equal(only_entry().state, CV_CONN_HALF_OPEN); /* an error is no answer */
		assert_int_equal(through(1, error_about(v6, 6)), 0);
		assert_int_equal(conn_clear(0), 1);
	}
}

/* VTI-40: in both directions fragments are put together before anything is decided, and cut again. */
static void fragments(void **state)
{
	struct rte_mbuf *part[FRAG_MAX];

	(void)state;
	for (unsigned answer = 0; answer < 2; answer++) {
		struct rte_mbuf *m = answer ? env_udp(outside[0], inside[0], 53, 5, 2000)
					    : env_udp(inside[0], outside[0], 5, 53, 2000);

		pkt_meta(m)->l4_off = 20;
		pkt_meta(m)->l4_proto = IPPROTO_UDP;
		const int n = frag_ipv4(env_worker(), m, 1500, part, FRAG_MAX);

		assert_int_equal(n, 2);
		env_receive(answer, 0, part[1]);
		env_receive(answer, 0, part[0]);
		env_run_slow();
		assert_int_equal(env_sent_count(!answer), 2);
		env_drain();
		assert_int_equal(conn_count(), 1);
	}
	assert_int_equal(only_entry().state, CV_CONN_OPEN);
}

/* Whoever asks for it decides how long it lasts: the configuration, and the operator. */
static void ends(void **state)
{
	(void)state;
	assert_int_equal(through(0, env_udp(inside[0], outside[0], 5, 53, 9)), 1);
	env_inspect(1, 0);
	env_inspect(2, CV_INSPECT_OUT);
	assert_int_equal(env_commit(), 0);
	assert_int_equal(conn_count(), 1); /* it leaves by an interface that is inspected */
	assert_int_equal(through(1, env_udp(outside[0], inside[0], 53, 5, 9)), 1);
	env_inspect(2, CV_INSPECT_IN);
	assert_int_equal(env_commit(), 0);
	assert_int_equal(conn_count(), 0);
	assert_int_equal(through(1, env_udp(outside[0], inside[0], 53, 5, 9)), 0);
	assert_int_equal(through(0, env_udp(inside[0], outside[0], 5, 53, 9)), 1);
	assert_int_equal(conn_count(), 0);
}

static struct cv_conn_limits limits(void)
{
	return (struct cv_conn_limits){.max_entries = 100,
		.tcp_s = 3600,
		.tcp_syn_s = 3600,
		.tcp_fin_s = 1,
		.udp_s = 1,
		.icmp_s = 3600,
		.other_s = 3600};
}

static void set_limits(const struct cv_conn_limits *l)
{
	env_stage(CV_CMD_CONN_SET, l, 0);
	assert_int_equal(env_commit(), 0);
}

static void wait_for_count(uint32_t n)
{
	for (int i = 0; i < 1000 && conn_count() != n; i++) {
		usleep(10000);
		dp_clock_update();
		conn_tick();
	}
	assert_int_equal(conn_count(), n);
}

/* Each kind has its own time; a closed TCP connection that of closed ones. */
static void timeouts(void **state)
{
	const struct cv_conn_limits l = limits();

	(void)state;
	set_limits(&l);
	assert_int_equal(through(0, env_udp(inside[0], outside[0], 5, 53, 9)), 1);
	assert_int_equal(through(0, env_echo(inside[0], outside[0], 8)), 1);
	assert_int_equal(through(0, segment(0, false, SYN)), 1);
	assert_int_equal(through(0, segment(1, false, SYN)), 1);
	assert_int_equal(through(1, segment(1, true, RST | ACK)), 1);
	assert_int_equal(conn_count(), 4);
	wait_for_count(2);
	assert_int_equal(through(1, env_udp(outside[0], inside[0], 53, 5, 9)), 0);
	assert_int_equal(through(1, segment(0, true, SYN | ACK)), 1);
}

/* VTI-39: no more than there may be; above the limits of those that nobody answers the oldest give way. */
static void bounds(void **state)
{
	struct cv_conn_limits l = limits();

	(void)state;
	l.udp_s = 3600;
	l.max_entries = 3;
	set_limits(&l);
	for (uint16_t i = 0; i < 5; i++)
		assert_int_equal(through(0, env_udp(inside[0], outside[0], 100 + i, 53, 9)), i < 3);
	assert_int_equal(env_drops(DROP_CONN_FULL), 2);
	assert_int_equal(through(1, env_udp(outside[0], inside[0], 53, 100, 9)), 1);
	l.max_entries = 100;
	l.half_open_high = 4;
	l.half_open_low = 2;
	set_limits(&l);
	for (uint16_t i = 3; i < 6; i++)
		assert_int_equal(through(0, env_udp(inside[0], outside[0], 100 + i, 53, 9)), 1);
	/* with 104 there would be five in the list: 100, which has an answer, leaves it, 101 and 102 give way */
	assert_int_equal(conn_count(), 4);
	assert_int_equal(through(1, env_udp(outside[0], inside[0], 53, 100, 9)), 1);
	assert_int_equal(through(1, env_udp(outside[0], inside[0], 53, 102, 9)), 0);
	for (uint16_t i = 3; i < 6; i++)
		assert_int_equal(through(1, env_udp(outside[0], inside[0], 53, 100 + i, 9)), 1);
}

/* Nothing that this router sends, nor a multicast packet, begins a connection. */
static void not_ours(void **state)
{
	struct rte_mbuf *m = env_udp("10.0.0.1", outside[0], 7, 8, 9);
	struct pkt_vec v = {.n = 1, .pkt = {m}};

	(void)state;
	env_inspect(2, CV_INSPECT_OUT);
	assert_int_equal(env_commit(), 0);
	pkt_meta(m)->flags = PKT_F_LOCAL_OUT;
	ip_forward(env_worker(), &v);
	env_run_slow();
	assert_int_equal(env_sent_count(1), 1);
	env_drain();
	assert_int_equal(conn_count(), 0);
}

static int teardown(void **state)
{
	(void)conn_clear(0);
	return env_teardown(state);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(tcp), T(udp_and_echo), T(errors), T(fragments), T(ends), T(timeouts), T(bounds), T(not_ours)};

	env_init();
	env_ports(2);
	return cmocka_run_group_tests_name("stateful inspection (VTI-37, VTI-39, VTI-40)", tests, NULL, NULL);
}
