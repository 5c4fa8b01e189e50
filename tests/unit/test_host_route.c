/* SPDX-License-Identifier: BSD-3-Clause */
/* Routes of the host's kernel beside configured ones: which is in force, and what becomes of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "cv_addr.h"
#include "fib.h"
#include "fwd_env.h"
#include "neigh.h"

#define STATIC_GW "192.0.2.10"
#define KERNEL_GW "192.0.2.20"

static struct cv_prefix prefix(const char *text)
{
	struct cv_prefix p;

	assert_int_equal(cv_prefix_parse(text, &p), 0);
	return p;
}

static struct cv_route route(const char *to, const char *gw, uint8_t distance)
{
	struct cv_route r = {.prefix = prefix(to), .distance = distance, .n_nh = 1};

	r.nh[0] = (struct cv_nexthop){.type = CV_NH_GATEWAY, .weight = 1, .if_id = 1};
	assert_int_equal(cv_addr_parse(gw, &r.nh[0].gw), 0);
	return r;
}

static void configured(const char *to, uint8_t distance)
{
	struct cv_route r = route(to, STATIC_GW, distance);

	env_stage(CV_CMD_ROUTE_SET, &r, 0);
}

static void kernel(const char *to, uint8_t distance, uint32_t named)
{
	struct cv_route r = route(to, KERNEL_GW, distance);
	char text[128];

	assert_int_equal(fib_host_route_set(&r, named, text), 0);
}

static void kernel_loses(const char *to)
{
	struct cv_prefix p = prefix(to);

	fib_host_route_del(0, &p);
	assert_int_equal(env_commit(), 0);
}

/* The gateway that packets to an address take; NULL = no route. */
static void assert_way(const char *to, const char *gw)
{
	struct cv_addr a, want;

	assert_int_equal(cv_addr_parse(to, &a), 0);
	uint32_t word = fib_lookup(0, &a);

	if (!gw) {
		assert_int_equal(word, 0);
		return;
	}
	assert_int_equal(cv_addr_parse(gw, &want), 0);
	assert_int_equal(FIB_KIND(word), FIB_ADJ);
	assert_true(cv_addr_eq(&adj_table[FIB_NUM(word)].nexthop, &want));
}

static int setup(void **state)
{
	(void)state;
	env_init();
	env_ports(1);
	env_eth(1, 0, 0, "192.0.2.1/24");
	return env_commit();
}

static void the_lower_distance_is_in_force(void **state)
{
	(void)state;
	kernel("10.1.0.0/16", 110, 1);
	assert_int_equal(env_commit(), 0);
	assert_way("10.1.2.3", KERNEL_GW);
	configured("10.1.0.0/16", 1);
	assert_int_equal(env_commit(), 0);
	assert_way("10.1.2.3", STATIC_GW);
	configured("10.1.0.0/16", 200); /* a floating one */
	assert_int_equal(env_commit(), 0);
	assert_way("10.1.2.3", KERNEL_GW);
	kernel_loses("10.1.0.0/16");
	assert_way("10.1.2.3", STATIC_GW);
	kernel("10.1.0.0/16", 110, 1);
	assert_int_equal(env_commit(), 0);
	struct cv_route_ref ref = {.prefix = prefix("10.1.0.0/16")};
	env_stage(CV_CMD_ROUTE_DEL, &ref, 0);
	assert_int_equal(env_commit(), 0);
	assert_way("10.1.2.3", KERNEL_GW);
	env_stage(CV_CMD_ROUTE_DEL, &ref, CV_ERR_NOT_FOUND); /* the kernel's is not control's to delete */
	env_abort();
	kernel_loses("10.1.0.0/16");
	assert_way("10.1.2.3", NULL);
}

static void a_sync_sweeps_only_what_was_configured(void **state)
{
	(void)state;
	kernel("10.1.0.0/16", 110, 1);
	configured("10.2.0.0/16", 1);
	assert_int_equal(env_commit(), 0);
	env_sync();
	env_eth(1, 0, 0, "192.0.2.1/24");
	assert_int_equal(env_commit(), 0);
	assert_way("10.1.2.3", KERNEL_GW);
	assert_way("10.2.2.3", NULL);
	kernel_loses("10.1.0.0/16");
}

static void what_is_given_up_was_never_there(void **state)
{
	(void)state;
	kernel("10.1.0.0/16", 110, 1);
	configured("10.1.0.0/16", 200);
	assert_int_equal(env_commit(), 0);
	struct cv_prefix p = prefix("10.1.0.0/16");
	fib_host_route_del(0, &p);
	configured("10.1.0.0/16", 1);
	kernel("10.3.0.0/16", 110, 1);
	env_abort();
	assert_way("10.1.2.3", KERNEL_GW);
	assert_way("10.3.2.3", NULL);
	assert_non_null(fib_host_route(0, &p));
	kernel_loses("10.1.0.0/16");
	assert_way("10.1.2.3", STATIC_GW);
}

static bool older(void *arg, const struct cv_route *r, uint32_t named)
{
	(void)r;
	return named < *(uint32_t *)arg;
}

static void a_walk_sweeps_what_it_does_not_name(void **state)
{
	(void)state;
	uint32_t walk = 2;

	kernel("10.1.0.0/16", 110, 1);
	kernel("10.2.0.0/16", 110, 1);
	assert_int_equal(env_commit(), 0);
	kernel("10.2.0.0/16", 110, 2); /* the same again */
	fib_host_sweep(older, &walk);
	assert_int_equal(env_commit(), 0);
	assert_way("10.1.2.3", NULL);
	assert_way("10.2.2.3", KERNEL_GW);
	kernel_loses("10.2.0.0/16");
}

/* In parts, between which routes come and go, those among them at which the next part was to begin. */
static void a_sweep_goes_on_where_it_was(void **state)
{
	static const char *const stale[] = {"10.1.0.0/16", "10.2.0.0/16", "10.3.0.0/16", "10.4.0.0/16"};
	struct fib_sweep at = {0};
	uint32_t walk = 2;
	unsigned parts = 1;

	(void)state;
	for (unsigned i = 0; i < 4; i++)
		kernel(stale[i], 110, 1);
	kernel("10.5.0.0/16", 110, 2);
	assert_int_equal(env_commit(), 0);
	for (; fib_host_sweep_part(&at, 1, older, &walk); parts++) {
		assert_int_equal(env_commit(), 0);
		if (!fib_host_route(0, &(struct cv_prefix){.addr = prefix(stale[0]).addr, .len = 16}))
			kernel_loses(stale[1]); /* where it stands */
		if (parts == 2)
			kernel("10.6.0.0/16", 110, 2);
	}
	assert_int_equal(env_commit(), 0);
	assert_in_range(parts, 5, 10);
	for (unsigned i = 0; i < 4; i++) {
		struct cv_prefix p = prefix(stale[i]);

		assert_null(fib_host_route(0, &p));
	}
	assert_way("10.4.2.3", NULL);
	assert_way("10.5.2.3", KERNEL_GW);
	assert_way("10.6.2.3", KERNEL_GW);
	kernel_loses("10.5.0.0/16");
	kernel_loses("10.6.0.0/16");
}

static int teardown(void **state)
{
	struct cv_prefix p = prefix("10.1.0.0/16");

	(void)state;
	env_sync();
	env_eth(1, 0, 0, "192.0.2.1/24");
	fib_host_route_del(0, &p);
	return env_commit();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(the_lower_distance_is_in_force, teardown),
		cmocka_unit_test_teardown(a_sync_sweeps_only_what_was_configured, teardown),
		cmocka_unit_test_teardown(what_is_given_up_was_never_there, teardown),
		cmocka_unit_test_teardown(a_walk_sweeps_what_it_does_not_name, teardown),
		cmocka_unit_test_teardown(a_sweep_goes_on_where_it_was, teardown),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
