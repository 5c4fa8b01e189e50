/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Policy maps on interfaces (VTI-36, LLQ-3, LLQ-5, LLQ-17): classes, policing, marking, who is exempt, transactions.
 *
 * port 0: if 1, 10.0.0.1/24 fd00::1/64; port 1: if 2, 10.1.0.1/24 fd01::1/64
 * policy 1: class 1 = UDP to port 5000, class 2 = DSCP 46 or in by interface 1 with DSCP 10
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <rte_ethdev.h>
#include <rte_ether.h>
#include <rte_ip.h>

#include "cv_addr.h"
#include "fast.h"
#include "fwd_env.h"
#include "iface.h"
#include "pipeline.h"
#include "qos.h"

#define SLOT 7u

static void rule(
	uint32_t no, uint32_t group, uint32_t cls, uint32_t if_id, uint64_t dscp, uint8_t proto, uint16_t dport)
{
	struct cv_qos_rule r = {.policy_id = 1,
		.rule_no = no,
		.group = group,
		.line = no,
		.class_no = cls,
		.if_id = if_id,
		.dscp = dscp};

	cv_selector_any(&r.sel, CV_AF_INET);
	r.sel.proto = proto;
	if (dport)
		r.sel.dport_lo = r.sel.dport_hi = dport;
	env_stage(CV_CMD_QOS_RULE_SET, &r, 0);
}

/* police: of class 1; NULL = it has priority instead. */
static void policy(const struct cv_police *police, uint8_t dscp_of_2)
{
	for (uint32_t i = 0; i < 3; i++) {
		struct cv_qos_class c = {.policy_id = 1,
			.class_no = i,
			.set_dscp = CV_QOS_DSCP_KEEP,
			.weight = 1,
			.queue_limit = 50,
			.fair_queues = 1};

		if (i == 1 && police)
			c.police = *police;
		if (i == 2)
			c.set_dscp = dscp_of_2;
		if (i == 1 && !police) {
			c.priority = 1000000;
			c.priority_burst = 3000;
		}
		env_stage(CV_CMD_QOS_CLASS_SET, &c, 0);
	}
	rule(0, 0, 1, 0, 0, IPPROTO_UDP, 5000);
	rule(1, 1, 2, 0, UINT64_C(1) << 46, 0, 0);
	rule(2, 2, 2, 1, UINT64_C(1) << 10, 0, 0);
}

static void attach(uint32_t slot, uint32_t if_id, uint16_t dir)
{
	struct cv_qos_attach a = {.slot = slot, .if_id = if_id, .policy_id = 1, .dir = dir};

	env_stage(CV_CMD_QOS_ATTACH_SET, &a, 0);
}

/* 8 kbit/s, a burst of 300 bytes, above it drop. */
static const struct cv_police slow = {.mode = CV_POLICE_TWO_COLOURS,
	.action = {CV_POLICE_TRANSMIT, CV_POLICE_DROP, CV_POLICE_DROP},
	.cir = 8000,
	.burst = 300};

static int setup(void **state)
{
	(void)state;
	env_sync();
	env_two_ports();
	policy(&slow, CV_QOS_DSCP_KEEP);
	assert_int_equal(env_commit(), 0);
	env_neigh(1, "10.0.0.2", 1);
	env_neigh(2, "10.1.0.2", 2);
	env_neigh(2, "fd01::2", 2);
	env_drain();
	env_worker()->tsc = rte_rdtsc();
	return 0;
}

static void on(uint32_t if_id, uint16_t dir)
{
	attach(SLOT, if_id, dir);
	assert_int_equal(env_commit(), 0);
	env_worker()->tsc = rte_rdtsc(); /* the round begins after the buckets were filled */
}

static void set_dscp(struct rte_mbuf *m, uint8_t dscp)
{
	struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod(m, struct rte_ipv4_hdr *);

	ip->type_of_service = (uint8_t)(dscp << 2 | 1); /* ECN that has to survive */
	ip->hdr_checksum = 0;
	ip->hdr_checksum = rte_ipv4_cksum(ip);
}

/* n packets of 100 bytes from port 0 to port 1. */
static void pass(unsigned n, uint16_t dport, uint8_t dscp)
{
	for (unsigned i = 0; i < n; i++) {
		struct rte_mbuf *m = env_udp("10.0.0.2", "10.1.0.2", 1000, dport, 72);

		set_dscp(m, dscp);
		env_receive(0, 0, m);
	}
}

static struct cv_qos_counters *counters(uint32_t cls)
{
	return &env_worker()->stats->qos[SLOT][cls];
}

/* VTI-36: above the rate drop, below transmit; other classes are not limited. LLQ-17: and it is the clear packet. */
static void output_is_policed(void **state)
{
	(void)state;
	on(2, CV_QOS_OUTPUT);
	uint64_t before = env_drops(DROP_QOS_POLICE);

	pass(5, 5000, 0);
	assert_int_equal(env_sent_count(1), 3);
	assert_int_equal(env_drops(DROP_QOS_POLICE) - before, 2);
	pass(10, 5001, 0);
	assert_int_equal(env_sent_count(1), 13);
	assert_int_equal(counters(1)->packets, 5);
	assert_int_equal(counters(1)->bytes, 500);
	assert_int_equal(counters(1)->colour_packets[CV_CONFORM], 3);
	assert_int_equal(counters(1)->colour_bytes[CV_EXCEED], 200);
	assert_int_equal(counters(1)->police_drops, 2);
	assert_int_equal(counters(0)->packets, 10);
	env_worker()->tsc += rte_get_tsc_hz() / 10; /* 100 bytes later */
	pass(2, 5000, 0);
	assert_int_equal(env_sent_count(1), 14);
}

/* One hop is taken off, once. */
static void hop_is_taken_once(void **state)
{
	(void)state;
	on(2, CV_QOS_OUTPUT);
	pass(1, 5000, 0);
	struct rte_mbuf *m = env_sent(1);
	const struct rte_ipv4_hdr *ip =
		rte_pktmbuf_mtod_offset(m, const struct rte_ipv4_hdr *, sizeof(struct rte_ether_hdr));

	assert_int_equal(ip->time_to_live, 63);
	assert_int_equal(rte_ipv4_cksum(ip), 0xffff & ~0xffffu);
	rte_pktmbuf_free(m);
}

/* What comes in: of this interface only, and before it is routed anywhere. */
static void input_is_policed(void **state)
{
	(void)state;
	on(1, CV_QOS_INPUT);
	pass(5, 5000, 0);
	assert_int_equal(env_sent_count(1), 3);
	for (unsigned i = 0; i < 5; i++)
		env_receive(1, 0, env_udp("10.1.0.2", "10.0.0.2", 1000, 5000, 72));
	assert_int_equal(env_sent_count(0), 5);
}

/* Both in one policy: DSCP alone, and input interface with DSCP; ECN and checksum are right afterwards. RFC 2474. */
static void marks(void **state)
{
	(void)state;
	policy(&slow, 12);
	on(2, CV_QOS_OUTPUT);
	pass(1, 5001, 46);
	pass(1, 5001, 10);
	pass(1, 5001, 11);
	assert_int_equal(counters(2)->packets, 2);
	assert_int_equal(counters(2)->marked, 2);
	assert_int_equal(env_sent_count(1), 3);
	for (unsigned i = 0; i < 3; i++) {
		struct rte_mbuf *m = env_sent(1);
		struct rte_ipv4_hdr *ip =
			rte_pktmbuf_mtod_offset(m, struct rte_ipv4_hdr *, sizeof(struct rte_ether_hdr));
		uint16_t sum = ip->hdr_checksum;

		assert_int_equal(ip->type_of_service, (i < 2 ? 12 : 11) << 2 | 1);
		ip->hdr_checksum = 0;
		assert_int_equal(sum, rte_ipv4_cksum(ip));
		rte_pktmbuf_free(m);
	}
}

/* Packets above the rate get another DSCP instead (RFC 2697: three colours). */
static void colours_are_marked(void **state)
{
	struct cv_police p = slow;

	(void)state;
	p.mode = CV_POLICE_SINGLE_RATE;
	p.excess_burst = 200;
	p.action[CV_EXCEED] = CV_POLICE_SET_DSCP;
	p.dscp[CV_EXCEED] = 14;
	policy(&p, CV_QOS_DSCP_KEEP);
	on(2, CV_QOS_OUTPUT);
	pass(7, 5000, 10);
	assert_int_equal(env_sent_count(1), 5);
	for (unsigned i = 0; i < 5; i++) {
		struct rte_mbuf *m = env_sent(1);

		assert_int_equal(
			rte_pktmbuf_mtod(m, uint8_t *)[sizeof(struct rte_ether_hdr) + 1] >> 2, i < 3 ? 10 : 14);
		rte_pktmbuf_free(m);
	}
	assert_int_equal(counters(1)->colour_packets[CV_VIOLATE], 2);
	assert_int_equal(counters(1)->police_drops, 2);
}

/* What this router sends itself, IKE above all, meets no policy. */
static void own_packets_are_exempt(void **state)
{
	struct pkt_vec v = {.n = 5};

	(void)state;
	on(2, CV_QOS_OUTPUT);
	for (unsigned i = 0; i < v.n; i++) {
		v.pkt[i] = env_udp("10.1.0.1", "10.1.0.2", 500, 5000, 72);
		pkt_meta(v.pkt[i])->flags = PKT_F_LOCAL_OUT | PKT_F_BYPASS;
	}
	ip_forward(env_worker(), &v);
	assert_int_equal(env_sent_count(1), 5);
	assert_int_equal(counters(1)->packets, 0);
}

/* Flows that the fast path knew before the policy came have to meet it. */
static void fast_path_leaves_it_alone(void **state)
{
	(void)state;
	pass(4, 5000, 0);
	assert_int_equal(env_sent_count(1), 4);
	on(2, CV_QOS_OUTPUT);
	pass(5, 5000, 0);
	assert_int_equal(env_sent_count(1), 7);
	env_stage(CV_CMD_QOS_ATTACH_DEL, &(uint32_t){SLOT}, 0);
	assert_int_equal(env_commit(), 0);
	pass(5, 5000, 0);
	assert_int_equal(env_sent_count(1), 12);
}

/* A change of something else leaves the buckets alone; a change of the policy does not reset its counters. */
static void unchanged_goes_on(void **state)
{
	struct cv_police p = slow;

	(void)state;
	on(2, CV_QOS_OUTPUT);
	pass(5, 5000, 0);
	assert_int_equal(env_sent_count(1), 3);
	env_sync();
	env_two_ports();
	policy(&slow, CV_QOS_DSCP_KEEP);
	attach(SLOT, 2, CV_QOS_OUTPUT);
	assert_int_equal(env_commit(), 0);
	pass(1, 5000, 0);
	assert_int_equal(env_sent_count(1), 3);
	p.burst = 1000;
	policy(&p, CV_QOS_DSCP_KEEP);
	assert_int_equal(env_commit(), 0);
	env_worker()->tsc = rte_rdtsc();
	pass(11, 5000, 0);
	assert_int_equal(env_sent_count(1), 13);
	assert_int_equal(counters(1)->packets, 17);
}

/* A policy with queues on interface 2; class 1 has priority. */
static void queues_on(void)
{
	struct cv_qos_attach a = {
		.slot = SLOT, .if_id = 2, .policy_id = 1, .dir = CV_QOS_OUTPUT, .flags = CV_QOS_F_QUEUES};

	policy(NULL, CV_QOS_DSCP_KEEP);
	env_stage(CV_CMD_QOS_ATTACH_SET, &a, 0);
	assert_int_equal(env_commit(), 0);
	env_worker()->tsc = rte_rdtsc();
}

static uint16_t dport_of(const struct rte_mbuf *m)
{
	uint16_t port;

	memcpy(&port, rte_pktmbuf_mtod(m, const uint8_t *) + 14 + 20 + 2, 2);
	return rte_be_to_cpu_16(port);
}

static uint16_t sent_dport(void)
{
	struct rte_mbuf *m = env_sent(1);
	uint16_t port;

	assert_non_null(m);
	port = dport_of(m);
	rte_pktmbuf_free(m);
	return port;
}

/* Copies of one packet for two interfaces with a policy each leave by the one they are for, held or not (VTI-4). */
static void multicast_comes_out_where_it_went_in(void **state)
{
	struct cv_mroute r = {.if_in = 1,
		.n_out = 2,
		.out = {{.if_id = 2, .ttl = 1}, {.if_id = 9, .ttl = 1}},
		.ref.group.af = CV_AF_INET};

	(void)state;
	memcpy(r.ref.group.b, (const uint8_t[]){239, 1, 2, 3}, 4);
	env_vlan(9, 2, 90, 0, "10.9.0.1/24");
	env_stage(CV_CMD_MROUTE_SET, &r, 0);
	attach(SLOT + 1, 9, CV_QOS_OUTPUT);
	attach(SLOT, 2, CV_QOS_OUTPUT);
	assert_int_equal(env_commit(), 0);
	for (int queues = 0; queues < 2; queues++) {
		unsigned lengths = 0;

		if (queues)
			queues_on();
		env_frame(0, 0, (const uint8_t[]){1, 0, 0x5e, 1, 2, 3}, env_udp("10.0.0.2", "239.1.2.3", 1, 5001, 72));
		qos_run(env_worker(), true);
		assert_int_equal(env_sent_count(1), 2);
		for (int i = 0; i < 2; i++) {
			struct rte_mbuf *m = env_sent(1);
			const uint8_t *ip = rte_pktmbuf_mtod_offset(m, const uint8_t *, m->pkt_len - 100);

			lengths += m->pkt_len;
			assert_int_equal(ip[8], 63);
			rte_pktmbuf_free(m);
		}
		assert_int_equal(lengths, 14 + 100 + 18 + 100); /* one of each */
	}
}

/* The device behind all ports: what it was given, and what had been sent on its way by then. */
static struct {
	unsigned n, with_priority;
	uint64_t on_the_way;
} device;

static uint16_t device_transmit(void *queue, struct rte_mbuf **pkt, uint16_t n)
{
	(void)queue;
	for (uint16_t i = 0; i < n; i++)
		device.with_priority += dport_of(pkt[i]) == 5000;
	device.n += n;
	device.on_the_way = env_worker()->stats->ifc[2].tx_packets;
	rte_pktmbuf_free_bulk(pkt, n);
	return n;
}

/* LLQ-1, LLQ-2, LLQ-4: packets wait for the round's burst. Priority ones overtake what came before them, and the device
 * has them before any of that was looked at. */
static void priority_goes_first(void **state)
{
	(void)state;
	queues_on();
	memset(&device, 0, sizeof(device));
	const uint64_t before = env_worker()->stats->ifc[2].tx_packets;

	pass(50, 5001, 0);
	pass(2, 5000, 0);
	assert_int_equal(env_sent_count(1), 0);
	assert_int_equal(counters(0)->depth, 50);
	assert_int_equal(qos_run(env_worker(), false), DP_BURST);
	assert_int_equal(device.n, 2);
	assert_int_equal(device.with_priority, 2);
	assert_int_equal(device.on_the_way - before, 2);
	assert_int_equal(env_sent_count(1), DP_BURST - 2);
	assert_int_equal(sent_dport(), 5001);
	assert_int_equal(qos_run(env_worker(), false), 20);
	assert_int_equal(qos_run(env_worker(), false), 0);
	assert_int_equal(device.n, 2); /* what has no priority waits for the end of the round */
	assert_int_equal(counters(0)->sent_packets, 50);
	assert_int_equal(counters(1)->sent_bytes, 200);
	assert_int_equal(counters(0)->depth, 0);
}

/* LLQ-T5: a priority class that fills every burst is held to its rate as long as data waits. */
static void priority_does_not_starve(void **state)
{
	(void)state;
	queues_on(); /* 1 Mbit/s, 3,000 bytes at once */
	pass(5, 5001, 0);
	for (unsigned round = 0; round < 4; round++) {
		env_worker()->tsc = rte_rdtsc();
		pass(45, 5000, 0);
		qos_run(env_worker(), false);
		env_drain();
	}
	assert_true(counters(1)->priority_drops > 30);
	assert_int_equal(counters(0)->sent_packets, 5);
	while (qos_run(env_worker(), false))
		env_drain();
}

/* A full queue drops data by name, and nothing of the priority class. */
static void full_queue_drops(void **state)
{
	uint64_t before = env_drops(DROP_QOS_QUEUE);

	(void)state;
	queues_on();
	pass(55, 5001, 0);
	pass(3, 5000, 0);
	assert_int_equal(env_drops(DROP_QOS_QUEUE) - before, 5);
	assert_int_equal(counters(0)->queue_drops, 5);
	assert_int_equal(counters(1)->queue_drops + counters(1)->priority_drops, 0);
	assert_int_equal(qos_run(env_worker(), true), 0); /* all at once, not as a burst */
	assert_int_equal(env_sent_count(1), 53);
}

/* Random early detection of class-default: the average is what is there, from 10 packets on some are picked, at 20 all.
 */
static void detection_on(bool ecn)
{
	struct cv_qos_class c = {
		.policy_id = 1, .set_dscp = CV_QOS_DSCP_KEEP, .weight = 1, .queue_limit = 50, .fair_queues = 1};

	queues_on();
	c.wred.weight = 1;
	c.wred.ecn = ecn;
	for (unsigned i = 0; i < CV_DSCPS; i++)
		c.wred.curve[i] = (struct cv_wred_curve){10, 20, 1};
	env_stage(CV_CMD_QOS_CLASS_SET, &c, 0);
	assert_int_equal(env_commit(), 0);
	env_worker()->tsc = rte_rdtsc();
}

/* LLQ-6, RFC 2309: the queue is never full; senders that can be told of congestion are, until the upper threshold. */
static void early_drops_and_marks(void **state)
{
	(void)state;
	for (int ecn = 0; ecn < 2; ecn++) {
		const uint64_t before = env_drops(DROP_QOS_RANDOM);

		detection_on(ecn);
		const struct cv_qos_counters was = *counters(0);

		pass(100, 5001, 0);
		const uint64_t dropped = counters(0)->random_drops - was.random_drops,
			       marked = counters(0)->ecn_marked - was.ecn_marked;

		assert_int_equal(env_drops(DROP_QOS_RANDOM) - before, dropped);
		assert_int_equal(counters(0)->queue_drops, was.queue_drops);
		assert_in_range(counters(0)->depth, 11, 22);
		assert_int_equal(counters(0)->depth + dropped, 100);
		assert_true(ecn ? marked > 0 : marked == 0);
		while (qos_run(env_worker(), false))
			;
		uint64_t seen = 0;

		for (struct rte_mbuf *m; (m = env_sent(1)) != NULL; rte_pktmbuf_free(m)) {
			struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod_offset(m, struct rte_ipv4_hdr *, 14);

			assert_int_equal(rte_raw_cksum(ip, 20), 0xffff);
			seen += (ip->type_of_service & 3) == 3;
		}
		assert_int_equal(seen, marked);
	}
}

/* What waits when the policy goes is sent; what waits for a route that has gone is not. */
static void changes_find_what_waits(void **state)
{
	(void)state;
	queues_on();
	pass(40, 5001, 0);
	env_stage(CV_CMD_QOS_ATTACH_DEL, &(uint32_t){SLOT}, 0);
	assert_int_equal(env_commit(), 0);
	assert_int_equal(env_sent_count(1), 40);
	env_route(0, "20.0.0.0/8", "10.1.0.2", 2, 0);
	queues_on();
	for (unsigned i = 0; i < 5; i++)
		env_receive(0, 0, env_udp("10.0.0.2", "20.0.0.1", 1000, 5001, 72));
	struct cv_route_ref gone = {.vrf_id = 0};

	assert_int_equal(cv_prefix_parse("20.0.0.0/8", &gone.prefix), 0);
	env_stage(CV_CMD_ROUTE_DEL, &gone, 0);
	assert_int_equal(env_commit(), 0);
	assert_int_equal(qos_run(env_worker(), false), 5);
	assert_int_equal(env_sent_count(1), 40);
	assert_int_equal(env_n_slow, 5); /* nobody is lost without being told: destination unreachable */
	env_drain();
}

/* What cannot be is refused, and nothing has changed then. */
static void refuses(void **state)
{
	struct cv_qos_attach other = {.slot = SLOT + 1, .if_id = 2, .policy_id = 2, .dir = CV_QOS_OUTPUT};

	(void)state;
	on(2, CV_QOS_OUTPUT);
	env_stage(CV_CMD_QOS_ATTACH_SET, &other, 0);
	assert_int_equal(env_commit(), CV_ERR_NOT_FOUND); /* no such policy */
	attach(SLOT + 1, 2, CV_QOS_OUTPUT);
	assert_int_equal(env_commit(), CV_ERR_IN_USE);
	attach(SLOT + 1, 99, CV_QOS_OUTPUT);
	assert_int_equal(env_commit(), CV_ERR_NOT_FOUND);
	env_stage(CV_CMD_QOS_CLASS_DEL, &(struct cv_qos_class_ref){1, 0}, 0);
	assert_int_equal(env_commit(), CV_ERR_NOT_FOUND); /* class 0 has to be there */
	env_stage(CV_CMD_QOS_CLASS_DEL, &(struct cv_qos_class_ref){1, 2}, 0);
	assert_int_equal(env_commit(), CV_ERR_NOT_FOUND); /* rules name class 2 */
	env_stage(CV_CMD_IF_DEL, &(uint32_t){2}, 0);
	assert_int_equal(env_commit(), CV_ERR_NOT_FOUND); /* with a policy on it */
	env_stage(CV_CMD_QOS_ATTACH_DEL, &(uint32_t){SLOT + 1}, CV_ERR_NOT_FOUND);
	env_abort();
	pass(5, 5000, 0);
	assert_int_equal(env_sent_count(1), 3);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(output_is_policed, setup, env_teardown),
		cmocka_unit_test_setup_teardown(hop_is_taken_once, setup, env_teardown),
		cmocka_unit_test_setup_teardown(input_is_policed, setup, env_teardown),
		cmocka_unit_test_setup_teardown(marks, setup, env_teardown),
		cmocka_unit_test_setup_teardown(colours_are_marked, setup, env_teardown),
		cmocka_unit_test_setup_teardown(own_packets_are_exempt, setup, env_teardown),
		cmocka_unit_test_setup_teardown(fast_path_leaves_it_alone, setup, env_teardown),
		cmocka_unit_test_setup_teardown(unchanged_goes_on, setup, env_teardown),
		cmocka_unit_test_setup_teardown(multicast_comes_out_where_it_went_in, setup, env_teardown),
		cmocka_unit_test_setup_teardown(priority_goes_first, setup, env_teardown),
		cmocka_unit_test_setup_teardown(priority_does_not_starve, setup, env_teardown),
		cmocka_unit_test_setup_teardown(full_queue_drops, setup, env_teardown),
		cmocka_unit_test_setup_teardown(early_drops_and_marks, setup, env_teardown),
		cmocka_unit_test_setup_teardown(changes_find_what_waits, setup, env_teardown),
		cmocka_unit_test_setup_teardown(refuses, setup, env_teardown),
	};

	env_init();
	env_ports(2);
	rte_eth_fp_ops[0].tx_pkt_burst = device_transmit;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
