/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Thousands of VRFs that all use the same addresses (VRF-1, VRF-12): what each costs in memory, that one more costs one
 * more, and that each is still its own.
 *
 * port 0: customer v, VLAN v, 10.0.0.1/24; port 1: the global table, 192.0.2.1/24
 */
#include <malloc.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <time.h>
#include <cmocka.h>

#include "../unit/fwd_env.h"
#include "trie.h"

enum { PORT_LAN, PORT_FRONT };
#define IF_PARENT(port) (4000u + (port))

#define MANY 3900u
#define NODES_EACH 8u	      /* of 2.4 KB, for one subnet, two routes and a tunnel */
#define HEAP_EACH (16u << 10) /* bytes of everything else */

static double now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

/* One customer: a VLAN, a route through the global table (VRF-12), and one at home. All have the same addresses. */
static void one_of_many(unsigned v)
{
	env_vrf(v);
	env_vlan(v, IF_PARENT(PORT_LAN), (uint16_t)v, v, "10.0.0.1/24");
	env_route(v, "10.2.0.0/16", "192.0.2.2", 0, CV_VRF_GLOBAL);
	env_route(v, "10.1.0.0/16", "10.0.0.2", 0, v);
}

static void many_parents(void)
{
	for (unsigned port = 0; port < 2; port++)
		env_eth(IF_PARENT(port), port, CV_VRF_GLOBAL, port ? "192.0.2.1/24" : NULL);
}

/* A packet from customer v comes back to v alone, and another one leaves through the global table's interface. */
static void check_one_of_many(unsigned v)
{
	env_receive(PORT_LAN, (uint16_t)v, env_udp("10.0.0.9", "10.1.0.5", 1, 2, 20));
	env_receive(PORT_LAN, (uint16_t)v, env_udp("10.0.0.9", "10.2.0.5", 1, 2, 20));
	assert_int_equal(env_sent_count(PORT_LAN), 1);
	assert_int_equal(env_sent_count(PORT_FRONT), 1);
	struct rte_mbuf *m = env_sent(PORT_LAN);
	const uint8_t *f = rte_pktmbuf_mtod(m, const uint8_t *);

	assert_int_equal((f[14] << 8 | f[15]) & 0xfff, v);
	assert_int_equal(f[5], (uint8_t)(v ^ v >> 8));
	rte_pktmbuf_free(m);
	env_drain();
}

/* VRF-1, VRF-12 at scale: what thousands cost in memory is bounded, and one more costs one more. */
static void test_thousands(void **state)
{
	(void)state;
	env_sync();
	many_parents();
	assert_int_equal(env_commit(), 0);
	const uint32_t nodes = trie_nodes();
	const size_t heap = mallinfo2().uordblks + mallinfo2().hblkhd;
	double t0 = now_ms();

	for (unsigned v = 1; v < MANY; v++)
		one_of_many(v);
	assert_int_equal(env_commit(), 0);
	double t1 = now_ms();

	one_of_many(MANY);
	assert_int_equal(env_commit(), 0);
	double t2 = now_ms();
	const uint32_t nodes_each = (trie_nodes() - nodes) / MANY;
	const size_t heap_each = (mallinfo2().uordblks + mallinfo2().hblkhd - heap) / MANY;

	for (unsigned v = 1; v <= MANY; v++) {
		env_neigh(v, "10.0.0.2", (uint8_t)(v ^ v >> 8));
		if (v == 1)
			env_neigh(IF_PARENT(PORT_FRONT), "192.0.2.2", 1);
	}
	env_drain();
	for (unsigned v = 1; v <= MANY; v++)
		check_one_of_many(v);
	print_message("%u VRFs: %.0f ms for all at once, %.1f ms for one more; each %u trie nodes and %zu bytes\n",
		MANY, t1 - t0, t2 - t1, nodes_each, heap_each);
	assert_true(nodes_each <= NODES_EACH && heap_each <= HEAP_EACH);
	/* All gone again: nothing stays behind. */
	env_sync();
	many_parents();
	assert_int_equal(env_commit(), 0);
	env_drain();
	assert_int_equal(trie_nodes(), nodes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_thousands),
	};

	env_init();
	env_ports(2);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
