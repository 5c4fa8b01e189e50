/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Unicast RPF (VRF-10): which sources are believed, by interface, family, mode and table.
 *
 * port 0: if 1, VRF 0, 10.0.0.1/24 fd00::1/64; if 3, VLAN 30, VRF 1, 10.3.0.1/24; if 4, VLAN 40, VRF 1, 10.4.0.1/24
 * port 1: if 2, VRF 0, 10.1.0.1/24 fd01::1/64
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <rte_ip.h>

#include "cv_addr.h"
#include "fwd_env.h"
#include "iface.h"
#include "port.h"

#define STRICT CV_URPF_STRICT
#define LOOSE CV_URPF_LOOSE
#define DEFAULT CV_URPF_ALLOW_DEFAULT

static void blackhole(uint32_t vrf, const char *prefix)
{
	struct cv_route r = {.vrf_id = vrf, .n_nh = 1, .nh = {{.type = CV_NH_BLACKHOLE, .weight = 1}}};

	assert_int_equal(cv_prefix_parse(prefix, &r.prefix), 0);
	env_stage(CV_CMD_ROUTE_SET, &r, 0);
}

static void two_ways(uint32_t vrf, const char *prefix, const char *gw1, uint32_t if1, const char *gw2, uint32_t if2)
{
	struct cv_route r = {.vrf_id = vrf, .n_nh = 2};

	for (int i = 0; i < 2; i++) {
		r.nh[i] =
			(struct cv_nexthop){.type = CV_NH_GATEWAY, .weight = 1, .if_id = i ? if2 : if1, .vrf_id = vrf};
		assert_int_equal(cv_addr_parse(i ? gw2 : gw1, &r.nh[i].gw), 0);
	}
	assert_int_equal(cv_prefix_parse(prefix, &r.prefix), 0);
	env_stage(CV_CMD_ROUTE_SET, &r, 0);
}

static int setup(void **state)
{
	(void)state;
	env_sync();
	env_vrf(1);
	env_two_ports();
	env_vlan(3, 1, 30, 1, "10.3.0.1/24");
	env_vlan(4, 1, 40, 1, "10.4.0.1/24");
	env_route(0, "20.0.0.0/8", "10.0.0.9", 1, 0);
	env_route(0, "20.128.0.0/9", "10.1.0.9", 2, 0);
	env_route(0, "0.0.0.0/0", "10.0.0.9", 1, 0);
	env_route(0, "2001:db8:20::/48", "fd00::9", 1, 0);
	env_route(0, "2001:db8:21::/48", "fd01::9", 2, 0);
	env_route(0, "::/0", "fd00::9", 1, 0);
	blackhole(0, "20.1.0.0/16");
	two_ways(0, "30.0.0.0/8", "10.0.0.9", 1, "10.1.0.9", 2);
	two_ways(0, "31.0.0.0/8", "10.1.0.9", 2, "10.1.0.8", 2);
	env_route(1, "20.128.0.0/9", "10.3.0.9", 3, 1);
	assert_int_equal(env_commit(), 0);
	env_neigh(2, "10.1.0.2", 2);
	env_neigh(2, "fd01::2", 2);
	env_neigh(4, "10.4.0.2", 2);
	env_drain();
	return 0;
}

static void judge(uint32_t if_id, uint8_t v4, uint8_t v6)
{
	env_urpf(if_id, v4, v6);
	assert_int_equal(env_commit(), 0);
}

/* Is a packet from here, received on port 0 (with this VLAN), believed? Either way it is counted once. */
static bool believed(const char *src, const char *dst, uint16_t vlan, unsigned if_id, unsigned out)
{
	uint64_t drops = env_drops(DROP_URPF), on_if = env_worker()->stats->ifc[if_id].rx_drops;

	env_receive(0, vlan, env_udp(src, dst, 1, 2, 10));
	unsigned sent = env_sent_count(out), dropped = (unsigned)(env_drops(DROP_URPF) - drops);

	assert_int_equal(sent + dropped, 1);
	assert_int_equal(env_worker()->stats->ifc[if_id].rx_drops - on_if, dropped);
	env_drain();
	return sent;
}

/* VRF-10: the sources of interface 1, one after the other, by mode. */
static void modes(void **state)
{
	static const struct {
		const char *src, *why;
		bool strict, loose, strict_default, loose_default;
	} row[] = {
		{"10.0.0.9", "on the interface's own subnet", true, true, true, true},
		{"20.0.0.1", "behind a gateway there", true, true, true, true},
		{"20.200.0.1", "behind a gateway elsewhere", false, true, false, true},
		{"10.1.0.77", "on another subnet", false, true, false, true},
		{"20.1.2.3", "a black hole", false, false, false, false},
		{"10.0.0.1", "our own address", false, false, false, false},
		{"10.0.0.255", "broadcast", false, false, false, false},
		{"30.1.1.1", "one of two ways leads there", true, true, true, true},
		{"31.1.1.1", "none of two ways does", false, true, false, true},
		{"99.9.9.9", "by default only", false, false, true, true},
		{"2001:db8:20::1", "IPv6, behind a gateway there", true, true, true, true},
		{"2001:db8:21::1", "IPv6, behind a gateway elsewhere", false, true, false, true},
		{"fd00::1", "IPv6, our own address", false, false, false, false},
		{"2001:db8:99::1", "IPv6, by default only", false, false, true, true},
	};
	static const uint8_t mode[] = {STRICT, LOOSE, STRICT | DEFAULT, LOOSE | DEFAULT};

	(void)state;
	for (unsigned m = 0; m < sizeof(mode); m++) {
		judge(1, mode[m], mode[m]);
		for (unsigned i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
			const bool want[] = {row[i].strict, row[i].loose, row[i].strict_default, row[i].loose_default};
			const char *dst = strchr(row[i].src, ':') ? "fd01::2" : "10.1.0.2";

			if (believed(row[i].src, dst, 0, 1, 1) != want[m])
				fail_msg("mode %u, %s: %s", mode[m], row[i].src, row[i].why);
		}
	}
}

/* Each family and each interface by itself; off again is off. */
static void by_itself(void **state)
{
	(void)state;
	judge(1, STRICT, 0);
	assert_false(believed("10.1.0.77", "10.1.0.2", 0, 1, 1));
	assert_true(believed("fd01::77", "fd01::2", 0, 1, 1));
	judge(1, 0, STRICT);
	assert_true(believed("10.1.0.77", "10.1.0.2", 0, 1, 1));
	assert_false(believed("fd01::77", "fd01::2", 0, 1, 1));
	judge(1, 0, 0);
	judge(2, STRICT, STRICT);
	assert_true(believed("10.1.0.77", "10.1.0.2", 0, 1, 1));
	assert_true(believed("fd01::77", "fd01::2", 0, 1, 1));
}

/* The table is that of the interface's VRF: the same source lies elsewhere in another one (VRF-1). */
static void by_vrf(void **state)
{
	(void)state;
	judge(1, STRICT, 0);
	judge(3, STRICT, 0);
	assert_false(believed("20.200.0.1", "10.1.0.2", 0, 1, 1));
	assert_true(believed("20.200.0.1", "10.4.0.2", 30, 3, 0));
	assert_false(believed("20.0.0.1", "10.4.0.2", 30, 3, 0));
	judge(3, LOOSE | DEFAULT, 0);
	assert_false(believed("20.0.0.1", "10.4.0.2", 30, 3, 0));
}

/* A route that comes or goes is followed at once. */
static void follows_routes(void **state)
{
	struct cv_route_ref ref = {.vrf_id = 0};

	(void)state;
	judge(1, STRICT, 0);
	assert_true(believed("20.0.0.1", "10.1.0.2", 0, 1, 1));
	env_route(0, "20.0.0.0/8", "10.1.0.9", 2, 0);
	assert_int_equal(env_commit(), 0);
	assert_false(believed("20.0.0.1", "10.1.0.2", 0, 1, 1));
	assert_int_equal(cv_prefix_parse("20.0.0.0/8", &ref.prefix), 0);
	env_stage(CV_CMD_ROUTE_DEL, &ref, 0);
	assert_int_equal(env_commit(), 0);
	assert_false(believed("20.0.0.1", "10.1.0.2", 0, 1, 1));
	judge(1, STRICT | DEFAULT, 0);
	assert_true(believed("20.0.0.1", "10.1.0.2", 0, 1, 1));
}

/* What is for the router itself is judged as well, but neighbours that have no global address yet are heard. */
static void to_ourselves(void **state)
{
	uint64_t drops = env_drops(DROP_URPF);

	(void)state;
	judge(1, STRICT, STRICT);
	env_receive(0, 0, env_echo("10.1.0.77", "10.0.0.1", 10));
	assert_int_equal(env_n_slow, 0);
	assert_int_equal(env_drops(DROP_URPF), drops + 1);
	env_receive(0, 0, env_echo("10.0.0.77", "10.0.0.1", 10));
	assert_int_equal(env_n_slow, 1);
	env_receive(0, 0, env_echo("fe80::77", "fd00::1", 10));
	assert_int_equal(env_n_slow, 2);
	assert_int_equal(env_drops(DROP_URPF), drops + 1);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, env_teardown)
	const struct CMUnitTest tests[] = {T(modes), T(by_itself), T(by_vrf), T(follows_routes), T(to_ourselves)};

	env_init();
	env_ports(2);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
