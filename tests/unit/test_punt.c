/* SPDX-License-Identifier: BSD-3-Clause */
/* Packets and events between the dataplane and a control process, over a real pair of channel ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include <rte_ip.h>

#include "chan_int.h"
#include "frame_env.h"
#include "punt.h"

static struct cv_chan *dp_end, *control_end;
static struct worker *w;
static struct cv_pkt pkt;

static int setup(void **state)
{
	int fd = memfd_create("rings", MFD_CLOEXEC);
	if (frame_env_setup(state) != 0 || punt_init() != 0 || ftruncate(fd, (off_t)chan_rings_len()) != 0)
		return -1;
	w = worker_main();
	dp_end = chan_map(fd, true);
	control_end = chan_map(fd, false);
	(void)close(fd);
	return dp_end != NULL && control_end != NULL ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	punt_attach(NULL);
	cv_chan_close(dp_end);
	cv_chan_close(control_end);
	return 0;
}

static struct rte_mbuf *packet(uint16_t len, uint8_t first)
{
	struct rte_mbuf *m = dp_alloc();
	uint8_t *p = (uint8_t *)rte_pktmbuf_append(m, len);
	for (unsigned i = 0; i < len; i++)
		p[i] = (uint8_t)(first + i);
	return m;
}

static void nobody_there_is_a_counted_drop(void **state)
{
	(void)state;
	punt_attach(NULL);
	punt_packet(w, packet(100, 0), CV_PUNT_IKE);
	assert_int_equal(w->stats->drops[DROP_PUNT_FULL], 1);
	assert_false(punt_take_dirty());
	assert_int_equal(inject_poll(w), 0);
}

static void a_packet_in_pieces_arrives_whole(void **state)
{
	(void)state;
	punt_attach(dp_end);
	struct rte_mbuf *m = packet(1000, 0), *tail = packet(500, (uint8_t)1000);
	pkt_meta(m)->vrf = 7;
	pkt_meta(m)->if_rx = 12;
	assert_int_equal(rte_pktmbuf_chain(m, tail), 0);
	punt_packet(w, m, CV_PUNT_IKE);
	assert_true(punt_take_dirty());
	assert_false(punt_take_dirty());
	assert_int_equal(cv_chan_recv_pkt(control_end, &pkt), 1);
	assert_int_equal(pkt.len, 1500);
	assert_int_equal(pkt.klass, CV_PUNT_IKE);
	assert_int_equal(pkt.vrf_id, 7);
	assert_int_equal(pkt.if_id, 12);
	for (unsigned i = 0; i < 1500; i++)
		assert_int_equal(pkt.data[i], (uint8_t)i);
	m = packet(CV_PKT_MAX, 0);
	assert_int_equal(rte_pktmbuf_chain(m, packet(1, 0)), 0);
	punt_packet(w, m, CV_PUNT_IKE);
	assert_int_equal(w->stats->drops[DROP_PUNT_SIZE], 1);
}

static void events_are_numbered(void **state)
{
	(void)state;
	static struct cv_msg m;
	uint64_t last = 0;
	for (int i = 0; i < 3; i++) {
		m.h.type = CV_EVT_LINK;
		m.h.len = sizeof(m.h) + sizeof(struct cv_evt_link);
		dp_event(&m);
		assert_int_equal(cv_chan_recv(control_end, &m), 1);
		assert_true(i == 0 || m.h.seq == last + 1);
		last = m.h.seq;
	}
}

static void ipv4(uint16_t total)
{
	struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)pkt.data;
	memset(&pkt, 0, sizeof(pkt));
	pkt.len = total;
	pkt.flags = CV_INJECT_BYPASS;
	ip->version_ihl = 0x45;
	ip->total_length = rte_cpu_to_be_16(total);
	ip->next_proto_id = IPPROTO_UDP;
	ip->time_to_live = 64;
}

static void ipv6(uint16_t total)
{
	struct rte_ipv6_hdr *ip = (struct rte_ipv6_hdr *)pkt.data;
	memset(&pkt, 0, sizeof(pkt));
	pkt.len = total;
	ip->vtc_flow = RTE_BE32(0x60000000);
	ip->payload_len = rte_cpu_to_be_16((uint16_t)(total - 40));
	ip->proto = IPPROTO_UDP;
}

static void only_ip_packets_may_be_injected(void **state)
{
	(void)state;
	ipv4(20);
	assert_true(inject_valid(&pkt));
	ipv4(CV_PKT_MAX);
	assert_true(inject_valid(&pkt));
	ipv6(40);
	assert_true(inject_valid(&pkt));
	pkt.len = 39;
	assert_false(inject_valid(&pkt));
	ipv6(100);
	pkt.len = 101;
	assert_false(inject_valid(&pkt));
	ipv4(100);
	pkt.len = 99;
	assert_false(inject_valid(&pkt));
	ipv4(100);
	pkt.data[0] = 0x44; /* header of 16 bytes */
	assert_false(inject_valid(&pkt));
	pkt.data[0] = 0x4f; /* of 60: fits */
	assert_true(inject_valid(&pkt));
	ipv4(24);
	pkt.data[0] = 0x4f; /* of 60: does not */
	assert_false(inject_valid(&pkt));
	ipv4(100);
	pkt.data[0] = 0x55;
	assert_false(inject_valid(&pkt));
	ipv4(100);
	pkt.vrf_id = CV_VRF_MAX;
	assert_false(inject_valid(&pkt));
	ipv4(100);
	pkt.flags = 2;
	assert_false(inject_valid(&pkt));
	memset(&pkt, 0, sizeof(pkt));
	assert_false(inject_valid(&pkt));
}

static void an_injected_packet_becomes_one_of_our_own(void **state)
{
	(void)state;
	struct rte_mbuf *m;
	struct rte_ring *ring = dp_workers[1]->inject;
	punt_attach(dp_end);
	ipv4(100);
	pkt.vrf_id = 3;
	assert_int_equal(cv_chan_send_pkt(control_end, &pkt), 0);
	pkt.len = 50; /* not what its header says */
	assert_int_equal(cv_chan_send_pkt(control_end, &pkt), 0);
	ipv6(1000);
	assert_int_equal(cv_chan_send_pkt(control_end, &pkt), 0);
	assert_int_equal(inject_poll(w), 3);
	assert_int_equal(w->stats->drops[DROP_INJECT_BAD], 1);
	assert_int_equal(rte_ring_dequeue(ring, (void **)&m), 0);
	assert_int_equal(rte_pktmbuf_pkt_len(m), 100);
	assert_int_equal(pkt_meta(m)->vrf, 3);
	assert_int_equal(pkt_meta(m)->flags, PKT_F_LOCAL_OUT | PKT_F_BYPASS);
	assert_int_equal(pkt_meta(m)->l4_proto, IPPROTO_UDP);
	assert_int_equal(pkt_meta(m)->l4_off, 20);
	assert_int_equal(rte_raw_cksum(rte_pktmbuf_mtod(m, void *), 20), 0xffff);
	rte_pktmbuf_free(m);
	assert_int_equal(rte_ring_dequeue(ring, (void **)&m), 0);
	assert_int_equal(rte_pktmbuf_pkt_len(m), 1000);
	assert_int_equal(pkt_meta(m)->flags, PKT_F_LOCAL_OUT | PKT_F_IP6);
	rte_pktmbuf_free(m);
	assert_int_not_equal(rte_ring_dequeue(ring, (void **)&m), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nobody_there_is_a_counted_drop),
		cmocka_unit_test(a_packet_in_pieces_arrives_whole),
		cmocka_unit_test(events_are_numbered),
		cmocka_unit_test(only_ip_packets_may_be_injected),
		cmocka_unit_test(an_injected_packet_becomes_one_of_our_own),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
