/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Address translation (VTI-38, VTI-T5, IPSEC-4; RFC 3022): what leaves has an outside address and right checksums, what
 * answers it finds its way back, ICMP errors too; static entries work from either side.
 *
 * port 0: if 1, inside, 10.0.0.1/24; port 1: if 2, outside, 10.1.0.1/24. List 1 denies what goes to 10.1.0.77 and
 * permits the rest of 10.0.0.0/24.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <rte_ether.h>
#include <rte_icmp.h>
#include <rte_ip.h>
#include <rte_tcp.h>
#include <rte_udp.h>

#include "conn.h"
#include "cv_addr.h"
#include "fwd_env.h"
#include "iface.h"
#include "nat.h"
#include "pipeline.h"
#include "qos.h"

enum { LIST = 1, DENIED = 100, RULE = 1 };
#define HOST "10.0.0.9"
#define OTHER "10.0.0.8"
#define SERVER "10.1.0.2"
#define POOL "10.9.0.1"
#define OWN "10.1.0.1"

static struct cv_addr addr(const char *text)
{
	struct cv_addr a;

	assert_int_equal(cv_addr_parse(text, &a), 0);
	return a;
}

static void commit(void)
{
	assert_int_equal(env_commit(), 0);
}

static void rule(const char *first, const char *last, uint32_t if_id)
{
	struct cv_nat_rule r = {.rule_id = RULE, .seq = 10, .acl_id = LIST, .if_id = if_id};

	r.first = first ? addr(first) : r.first;
	r.last = last ? addr(last) : r.last;
	env_stage(CV_CMD_NAT_RULE_SET, &r, 0);
	commit();
}

static int setup(void **state)
{
	(void)state;
	env_sync();
	env_two_ports();
	env_acl(LIST, DENIED);
	env_acl_line(LIST, 1, 10, false, 0, "any4", "10.1.0.77/32");
	env_acl_line(LIST, 2, 20, true, 0, "10.0.0.0/24", "any4");
	assert_int_equal(env_commit(), 0);
	env_nat(1, CV_NAT_INSIDE);
	env_nat(2, CV_NAT_OUTSIDE);
	commit();
	env_neigh(2, SERVER, 2);
	env_neigh(2, "10.1.0.77", 77);
	env_neigh(1, HOST, 9);
	env_neigh(1, OTHER, 8);
	env_drain();
	return 0;
}

static int teardown(void **state)
{
	(void)conn_clear(0);
	return env_teardown(state);
}

/* ---- what a packet is, once it has been through ---- */

struct seen {
	bool there;
	char src[16], dst[16];
	uint16_t sport, dport; /* ICMP: type, identifier */
	struct rte_mbuf *m;    /* data at the IP header */
};

static void print(char to[16], uint32_t be)
{
	const uint8_t *b = (const uint8_t *)&be;

	snprintf(to, 16, "%u.%u.%u.%u", b[0], b[1], b[2], b[3]);
}

/* The only frame sent on a port. */
static struct seen sent(unsigned port)
{
	struct seen s = {.m = env_sent(port)};

	if (!s.m)
		return s;
	assert_int_equal(env_sent_count(port), 0);
	rte_pktmbuf_adj(s.m, sizeof(struct rte_ether_hdr));
	const struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod(s.m, const struct rte_ipv4_hdr *);
	const uint8_t *l4 = (const uint8_t *)(ip + 1);

	s.there = true;
	print(s.src, ip->src_addr);
	print(s.dst, ip->dst_addr);
	s.sport = ip->next_proto_id == IPPROTO_ICMP ? l4[0] : (uint16_t)(l4[0] << 8 | l4[1]);
	s.dport = ip->next_proto_id == IPPROTO_ICMP ? (uint16_t)(l4[4] << 8 | l4[5]) : (uint16_t)(l4[2] << 8 | l4[3]);
	assert_true(env_sums_ok(ip));
	return s;
}

static struct seen through(unsigned port, struct rte_mbuf *m)
{
	env_receive(port, 0, m);
	env_run_slow();
	struct seen s = sent(!port);

	return s;
}

static void is(const struct seen *s, const char *src, int sport, const char *dst, int dport)
{
	assert_true(s->there);
	assert_string_equal(s->src, src);
	assert_string_equal(s->dst, dst);
	if (sport >= 0)
		assert_int_equal(s->sport, sport);
	if (dport >= 0)
		assert_int_equal(s->dport, dport);
	rte_pktmbuf_free(s->m);
}

static void nothing(struct seen s)
{
	assert_false(s.there);
}

/* ---- sources ---- */

static void pool(void **state)
{
	(void)state;
	rule(POOL, "10.9.0.2", 0);
	struct seen first = through(0, env_udp(HOST, SERVER, 5000, 53, 9));
	struct seen second = through(0, env_udp(OTHER, SERVER, 5000, 53, 9));
	const uint16_t port = second.sport;

	assert_int_not_equal(port, 5000);
	is(&first, POOL, 5000, SERVER, 53);
	is(&second, POOL, port, SERVER, 53);
	first = through(1, env_udp(SERVER, POOL, 53, 5000, 9));
	is(&first, SERVER, 53, HOST, 5000);
	second = through(1, env_udp(SERVER, POOL, 53, port, 9));
	is(&second, SERVER, 53, OTHER, 5000);
	nothing(through(1, env_udp(SERVER, POOL, 54, 5000, 9))); /* another port of the server */
	assert_int_equal(env_drops(DROP_NAT_UNKNOWN), 1);
	first = through(0, env_udp(HOST, SERVER, 5000, 53, 9)); /* the second packet of it */
	is(&first, POOL, 5000, SERVER, 53);
	first = through(0, env_udp(OTHER, SERVER, 5000, 54, 9)); /* another server: the port is free */
	is(&first, POOL, 5000, SERVER, 54);
	assert_int_equal(conn_count(), 3);
	first = through(0, env_tcp(HOST, SERVER, RTE_TCP_SYN_FLAG, NULL, 0));
	is(&first, POOL, 40000, SERVER, 80);
}

/* VTI-T5: the address is the router's own, too: what is for itself stays, and well-known ports are not given away. */
static void own_address(void **state)
{
	(void)state;
	rule(NULL, NULL, 2);
	struct seen s = through(0, env_udp(HOST, SERVER, 500, 500, 9));
	const uint16_t port = s.sport;

	assert_in_range(port, 1024, 32767);
	assert_int_not_equal(port, 4500);
	is(&s, OWN, port, SERVER, 500);
	s = through(1, env_udp(SERVER, OWN, 500, port, 9));
	is(&s, SERVER, 500, HOST, 500);
	env_receive(1, 0, env_udp(SERVER, OWN, 500, 500, 9));
	assert_int_equal(env_n_slow, 1);
	assert_int_equal(env_slow[0].why, SLOW_LOCAL); /* IKE */
	env_drain();
}

static void echo(void **state)
{
	(void)state;
	rule(POOL, POOL, 0);
	struct seen a = through(0, env_echo(HOST, SERVER, 8)), b = through(0, env_echo(OTHER, SERVER, 8));
	const uint16_t id = b.dport;
	struct rte_mbuf *reply = env_echo(SERVER, POOL, 8);
	struct rte_icmp_hdr *icmp = rte_pktmbuf_mtod_offset(reply, struct rte_icmp_hdr *, 20);

	assert_int_not_equal(id, 0x1234);
	is(&a, POOL, 8, SERVER, 0x1234);
	is(&b, POOL, 8, SERVER, id);
	icmp->icmp_type = 0;
	icmp->icmp_ident = rte_cpu_to_be_16(id);
	icmp->icmp_cksum = 0;
	icmp->icmp_cksum = (uint16_t)~rte_raw_cksum(icmp, 16);
	b = through(1, reply);
	is(&b, SERVER, 0, OTHER, 0x1234);
}

/* IPSEC-T15: what the list denies keeps its address, and is of no connection. */
static void denied(void **state)
{
	(void)state;
	rule(POOL, POOL, 0);
	struct seen s = through(0, env_udp(HOST, "10.1.0.77", 5000, 53, 9));

	is(&s, HOST, 5000, "10.1.0.77", 53);
	assert_int_equal(conn_count(), 0);
	s = through(1, env_udp("10.1.0.77", HOST, 53, 5000, 9));
	is(&s, "10.1.0.77", 53, HOST, 5000);
}

static struct rte_mbuf *of_protocol(uint8_t proto)
{
	struct rte_mbuf *m = env_udp(HOST, SERVER, 5000, 53, 40);
	struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod(m, struct rte_ipv4_hdr *);

	ip->next_proto_id = proto;
	ip->hdr_checksum = 0;
	ip->hdr_checksum = rte_ipv4_cksum(ip);
	return m;
}

/* ESP and AH cannot share an address; what has no ports can, for one host and server. */
static void protocols(void **state)
{
	const uint64_t before = env_drops(DROP_NAT_PROTOCOL);

	(void)state;
	rule(POOL, POOL, 0);
	nothing(through(0, of_protocol(IPPROTO_ESP)));
	nothing(through(0, of_protocol(IPPROTO_AH)));
	assert_int_equal(env_drops(DROP_NAT_PROTOCOL) - before, 2);
	struct seen s = through(0, of_protocol(IPPROTO_GRE));

	is(&s, POOL, -1, SERVER, -1);
	assert_int_equal(conn_count(), 1);
}

/* ---- static entries ---- */

static void static_entries(void **state)
{
	struct cv_nat_static whole = {.static_id = 1, .local = addr(HOST), .global = addr("10.9.0.50")};
	struct cv_nat_static port = {
		.static_id = 2, .if_id = 2, .proto = IPPROTO_TCP, .local_port = 8080, .global_port = 80};

	(void)state;
	port.local = addr(OTHER);
	port.global.af = CV_AF_INET;
	env_stage(CV_CMD_NAT_STATIC_SET, &whole, 0);
	env_stage(CV_CMD_NAT_STATIC_SET, &port, 0);
	rule(POOL, POOL, 0);
	struct seen s = through(0, env_udp(HOST, SERVER, 5000, 53, 9));

	is(&s, "10.9.0.50", 5000, SERVER, 53);
	s = through(1, env_udp(SERVER, "10.9.0.50", 7, 8, 9)); /* begun outside */
	is(&s, SERVER, 7, HOST, 8);
	s = through(0, env_udp(HOST, SERVER, 8, 7, 9));
	is(&s, "10.9.0.50", 8, SERVER, 7);
	s = through(1, env_tcp(SERVER, OWN, RTE_TCP_SYN_FLAG, NULL, 0));
	is(&s, SERVER, 40000, OTHER, 8080);
	s = through(0, env_tcp(OTHER, SERVER, RTE_TCP_SYN_FLAG, NULL, 0)); /* another port of it: the rule's */
	is(&s, POOL, 40000, SERVER, 80);
	env_stage(CV_CMD_NAT_STATIC_DEL, &(uint32_t){1}, 0);
	env_stage(CV_CMD_NAT_STATIC_DEL, &(uint32_t){2}, 0);
	commit();
	assert_int_equal(conn_count(), 1); /* those of the entries are gone */
	nothing(through(1, env_udp(SERVER, "10.9.0.50", 7, 8, 9)));
}

/* ---- errors ---- */

/* An ICMP error from `from` to `to` about the packet `quoted`, which it takes. */
static struct rte_mbuf *error_about(const char *from, const char *to, struct rte_mbuf *quoted)
{
	const uint16_t len = rte_pktmbuf_data_len(quoted);
	struct rte_mbuf *m = env_echo(from, to, len);
	struct rte_icmp_hdr *icmp = rte_pktmbuf_mtod_offset(m, struct rte_icmp_hdr *, 20);

	icmp->icmp_type = 3;
	icmp->icmp_code = 3;
	icmp->icmp_ident = icmp->icmp_seq_nb = 0;
	memcpy(icmp + 1, rte_pktmbuf_mtod(quoted, const void *), len);
	icmp->icmp_cksum = 0;
	icmp->icmp_cksum = (uint16_t)~rte_raw_cksum(icmp, len + 8);
	rte_pktmbuf_free(quoted);
	return m;
}

/* What the error in m quotes is this packet, with right checksums of its own. */
static void quotes(const struct rte_mbuf *m, const char *src, uint16_t sport, const char *dst, uint16_t dport)
{
	const struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod_offset(m, const struct rte_ipv4_hdr *, 28);
	const uint8_t *l4 = (const uint8_t *)(ip + 1);
	char text[16];

	print(text, ip->src_addr);
	assert_string_equal(text, src);
	print(text, ip->dst_addr);
	assert_string_equal(text, dst);
	assert_int_equal(l4[0] << 8 | l4[1], sport);
	assert_int_equal(l4[2] << 8 | l4[3], dport);
	assert_true(env_sums_ok(ip));
}

static void errors(void **state)
{
	(void)state;
	rule(POOL, POOL, 0);
	struct seen s = through(0, env_udp(HOST, SERVER, 5000, 53, 9));

	is(&s, POOL, 5000, SERVER, 53);
	/* from a router on the way, about what was sent: it is for the host, and says what the host knows */
	s = through(1, error_about("10.1.0.77", POOL, env_udp(POOL, SERVER, 5000, 53, 9)));
	assert_true(s.there);
	quotes(s.m, HOST, 5000, SERVER, 53);
	is(&s, "10.1.0.77", 3, HOST, -1);
	/* from the host, about an answer */
	s = through(0, error_about(HOST, SERVER, env_udp(SERVER, HOST, 53, 5000, 9)));
	assert_true(s.there);
	quotes(s.m, SERVER, 53, POOL, 5000);
	is(&s, POOL, 3, SERVER, -1);
}

/* Who is told that a packet cannot go on is told about the packet that it sent: hops used up, and too long. */
static void own_errors(void **state)
{
	struct rte_mbuf *m = env_udp(HOST, SERVER, 5000, 53, 9);
	struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod(m, struct rte_ipv4_hdr *);

	(void)state;
	rule(POOL, POOL, 0);
	ip->time_to_live = 1;
	ip->hdr_checksum = 0;
	ip->hdr_checksum = rte_ipv4_cksum(ip);
	env_receive(0, 0, m);
	env_run_slow();
	struct seen s = sent(0);

	assert_true(s.there);
	quotes(s.m, HOST, 5000, SERVER, 53);
	is(&s, "10.0.0.1", 11, HOST, -1);
	assert_int_equal(conn_count(), 0);
	env_sizes(2, 1000, 0, 0, 0);
	commit();
	m = env_udp(HOST, SERVER, 5000, 53, 1200);
	ip = rte_pktmbuf_mtod(m, struct rte_ipv4_hdr *);
	ip->fragment_offset = RTE_BE16(RTE_IPV4_HDR_DF_FLAG);
	ip->hdr_checksum = 0;
	ip->hdr_checksum = rte_ipv4_cksum(ip);
	env_receive(0, 0, m);
	env_run_slow();
	s = sent(0);
	assert_true(s.there);
	const struct rte_ipv4_hdr *quoted = rte_pktmbuf_mtod_offset(s.m, const struct rte_ipv4_hdr *, 28);
	char text[16];

	print(text, quoted->src_addr);
	assert_string_equal(text, HOST);
	is(&s, "10.0.0.1", 3, HOST, -1);
}

/* A rule that is gone takes its connections along; ports that are all taken are said so. */
static void ends(void **state)
{
	(void)state;
	rule(POOL, POOL, 0);
	struct seen s = through(0, env_udp(HOST, SERVER, 5000, 53, 9));

	is(&s, POOL, 5000, SERVER, 53);
	rule("10.9.0.7", "10.9.0.7", 0);
	assert_int_equal(conn_count(), 0);
	s = through(0, env_udp(HOST, SERVER, 5000, 53, 9));
	is(&s, "10.9.0.7", 5000, SERVER, 53);
	s = through(0, of_protocol(IPPROTO_GRE));
	is(&s, "10.9.0.7", -1, SERVER, -1);
	struct rte_mbuf *m = of_protocol(IPPROTO_GRE);
	struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod(m, struct rte_ipv4_hdr *);
	const struct cv_addr other = addr(OTHER);
	const uint64_t before = env_drops(DROP_NAT_PORTS);

	memcpy(&ip->src_addr, other.b, 4);
	ip->hdr_checksum = 0;
	ip->hdr_checksum = rte_ipv4_cksum(ip);
	nothing(through(0, m));
	assert_int_equal(env_drops(DROP_NAT_PORTS) - before, 1);
	env_nat(1, 0);
	commit();
	assert_int_equal(conn_count(), 0);
}

/* ---- streams ---- */

/* A copy of HOST's stream that has left by the other port: its length says by which interface. */
static struct seen copy_sent(unsigned l2_len)
{
	struct seen s = {.m = env_sent(1)};

	assert_non_null(s.m);
	assert_int_equal(s.m->pkt_len, l2_len + 28 + 50);
	rte_pktmbuf_adj(s.m, (uint16_t)l2_len);
	const struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod(s.m, const struct rte_ipv4_hdr *);
	const struct rte_udp_hdr *udp = (const struct rte_udp_hdr *)(ip + 1);

	s.there = true;
	print(s.src, ip->src_addr);
	print(s.dst, ip->dst_addr);
	s.sport = rte_be_to_cpu_16(udp->src_port);
	s.dport = rte_be_to_cpu_16(udp->dst_port);
	assert_int_equal(ip->time_to_live, 63);
	assert_true(env_sums_ok(ip));
	return s;
}

/* A stream to a group leaves by an outside interface with an outside address, and by another one as it is; from its
 * first packet, which main looks at, to those that a policy map has held. */
static void streams_are_translated(void **state)
{
	struct cv_mroute r = {.if_in = 1, .n_out = 2, .out = {{.if_id = 2, .ttl = 1}, {.if_id = 9, .ttl = 1}}};
	const struct cv_qos_class cls = {
		.policy_id = 1, .set_dscp = CV_QOS_DSCP_KEEP, .weight = 1, .queue_limit = 50, .fair_queues = 1};
	const struct cv_qos_attach on = {
		.slot = 7, .if_id = 2, .policy_id = 1, .dir = CV_QOS_OUTPUT, .flags = CV_QOS_F_QUEUES};

	(void)state;
	r.ref.group = addr("239.1.2.3");
	env_vlan(9, 2, 90, 0, "10.7.0.1/24");
	env_stage(CV_CMD_MROUTE_SET, &r, 0);
	rule(POOL, POOL, 0);
	for (unsigned i = 0; i < 3; i++) {
		env_frame(0, 0, (const uint8_t[]){1, 0, 0x5e, 1, 2, 3}, env_udp(HOST, "239.1.2.3", 2000, 5001, 50));
		qos_run(env_worker(), true);
		env_run_slow();
		assert_int_equal(env_sent_count(1), 2);
		struct seen first = copy_sent(i == 1 ? 14 : 18), second = copy_sent(i == 1 ? 18 : 14);

		is(i == 1 ? &first : &second, POOL, 2000, "239.1.2.3", 5001); /* elsewhere it has waited */
		is(i == 1 ? &second : &first, HOST, 2000, "239.1.2.3", 5001);
		if (i == 1) {
			env_stage(CV_CMD_QOS_CLASS_SET, &cls, 0);
			env_stage(CV_CMD_QOS_ATTACH_SET, &on, 0);
			commit();
		}
	}
	assert_int_equal(env_n_slow, 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {T(pool), T(own_address), T(echo), T(denied), T(protocols), T(static_entries),
		T(errors), T(own_errors), T(ends), T(streams_are_translated)};

	env_init();
	env_ports(2);
	return cmocka_run_group_tests_name("address translation (VTI-38, IPSEC-4)", tests, NULL, NULL);
}
