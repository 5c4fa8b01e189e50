/* SPDX-License-Identifier: BSD-3-Clause */
/* The log of access lists: a flow is told of at once and then every five minutes with a count, never packet by packet;
 * what is told in a second and what is remembered is bounded, and nothing is lost from the counts. */
#include "ipsec_rig.h"

#include <rte_ip.h>
#include <rte_udp.h>

#include "acl_log.h"

enum { LINE = 9, OTHER = 10, THIRD = CV_ACL_COUNTERS - 1 };

static uint64_t now = 1000;

static void look(uint64_t later)
{
	now += later;
	acl_log_tick(now);
}

static void packets(uint32_t worker, uint32_t line, uint16_t sport, unsigned n)
{
	struct rte_mbuf *m = rig_udp(CV_AF_INET, 100, false, 1);

	rte_pktmbuf_mtod_offset(m, struct rte_udp_hdr *, sizeof(struct rte_ipv4_hdr))->src_port =
		rte_cpu_to_be_16(sport);
	for (unsigned i = 0; i < n; i++) {
		pkt_meta(m)->l4_off = 0;
		acl_log_packet(dp_workers[worker], line, m);
	}
	rte_pktmbuf_free(m);
}

static const struct cv_evt_acl_log *event(unsigned i)
{
	assert_true(i < rig_n_events);
	assert_int_equal(rig_event[i].h.type, CV_EVT_ACL_LOG);
	return (const struct cv_evt_acl_log *)rig_event[i].body;
}

/* All that was told since rig_clear(), of one line. */
static uint64_t told(uint32_t line)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < rig_n_events; i++)
		n += event(i)->counter == line ? event(i)->packets : 0;
	return n;
}

static void forget(uint32_t line, uint32_t other)
{
	struct acl_counters gone = {0};

	gone.bit[line / 8] |= (uint8_t)(1u << line % 8);
	gone.bit[other / 8] |= (uint8_t)(1u << other % 8);
	acl_log_forget(&gone);
}

static int setup(void **state)
{
	(void)state;
	forget(LINE, OTHER);
	forget(THIRD, THIRD);
	rig_clear();
	return 0;
}

static void first_then_every_five_minutes(void **state)
{
	(void)state;
	packets(0, LINE, 5, 3);
	look(ACL_LOG_LOOK_MS);
	assert_int_equal(rig_n_events, 1);
	assert_int_equal(event(0)->counter, LINE);
	assert_int_equal(event(0)->packets, 3);
	assert_int_equal(event(0)->sport, 5);
	assert_int_equal(event(0)->proto, IPPROTO_UDP);
	assert_int_equal(event(0)->src.af, CV_AF_INET);
	packets(0, LINE, 5, 1000);
	look(ACL_LOG_LOOK_MS);
	look(ACL_LOG_AGAIN_MS - 2 * ACL_LOG_LOOK_MS);
	assert_int_equal(rig_n_events, 1);
	look(ACL_LOG_LOOK_MS);
	assert_int_equal(rig_n_events, 2);
	assert_int_equal(event(1)->packets, 1000);
	look(ACL_LOG_AGAIN_MS); /* nothing more: forgotten, and then it is a new flow */
	assert_int_equal(rig_n_events, 2);
	packets(0, LINE, 5, 1);
	look(ACL_LOG_LOOK_MS);
	assert_int_equal(rig_n_events, 3);
}

/* The same flow is told of by line, and by the worker that has counted. */
static void by_flow_and_line(void **state)
{
	(void)state;
	packets(0, LINE, 5, 1);
	packets(0, LINE, 6, 2);
	packets(0, OTHER, 5, 4);
	packets(1, LINE, 5, 8);
	look(ACL_LOG_LOOK_MS);
	assert_int_equal(rig_n_events, 4);
	assert_int_equal(told(LINE), 11);
	assert_int_equal(told(OTHER), 4);
}

/* A scan of all ports: no more than so many events a second, memory of its size, and every packet is in a count. */
static void a_scan_is_bounded(void **state)
{
	unsigned before;
	uint64_t missed;

	(void)state;
	for (uint32_t port = 1; port <= UINT16_MAX; port++)
		packets(0, LINE, (uint16_t)port, 1);
	for (unsigned s = 0; s < 2 * ACL_LOG_SLOTS / ACL_LOG_PER_LOOK; s++) {
		before = rig_n_events;
		look(ACL_LOG_LOOK_MS);
		assert_true(rig_n_events - before <= ACL_LOG_PER_LOOK + 1);
	}
	missed = told(0);
	assert_int_equal(told(LINE) + missed, UINT16_MAX);
	assert_true(told(LINE) <= ACL_LOG_SLOTS && missed);
	/* flows that have ended make room when others do not find any, long before five minutes are over */
	rig_clear();
	for (uint32_t port = 1; port <= UINT16_MAX; port++)
		packets(0, OTHER, (uint16_t)port, 1);
	look(ACL_LOG_LOOK_MS);
	look(ACL_LOG_LOOK_MS);
	for (uint32_t port = 1; port <= 200; port++)
		packets(0, OTHER, (uint16_t)port, 1);
	for (unsigned s = 0; s < 2 * ACL_LOG_SLOTS / ACL_LOG_PER_LOOK + ACL_LOG_MISSED_MS / ACL_LOG_LOOK_MS; s++)
		look(ACL_LOG_LOOK_MS);
	assert_int_equal(told(OTHER) + told(0), UINT16_MAX + 200);
	assert_true(told(OTHER) >= 200);
}

/* Lines that go take what they know along, whoever has counted it: their numbers may soon be another line's. What is
 * known of others stays. */
static void lines_that_go(void **state)
{
	(void)state;
	packets(0, LINE, 5, 3);
	packets(0, OTHER, 5, 4);
	packets(1, OTHER, 6, 4);
	packets(1, THIRD, 5, 5);
	forget(LINE, OTHER);
	look(ACL_LOG_LOOK_MS);
	assert_int_equal(rig_n_events, 1);
	assert_int_equal(told(THIRD), 5);
	rig_clear();
	packets(1, THIRD, 5, 6);
	forget(THIRD, THIRD);
	look(ACL_LOG_AGAIN_MS);
	assert_int_equal(rig_n_events, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(first_then_every_five_minutes, setup),
		cmocka_unit_test_setup(by_flow_and_line, setup),
		cmocka_unit_test_setup(a_scan_is_bounded, setup),
		cmocka_unit_test_setup(lines_that_go, setup),
	};

	if (rig_init(1))
		return 77;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
