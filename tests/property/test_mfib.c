/* SPDX-License-Identifier: BSD-3-Clause */
/* Multicast routes against a list that is searched from end to end, through transactions that are committed, given up
 * or refused. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "../unit/fwd_env.h"
#include "iface.h"
#include "mfib.h"

#define ROUNDS 3000u
#define GROUPS 12u
#define SOURCES 4u /* the first is any */
#define KEYS (2 * GROUPS * SOURCES)
#define INTERFACES 3u

static struct reference {
	bool exists;
	struct cv_mroute route;
} now[KEYS], next[KEYS], host[KEYS]; /* host: the kernel's, in the second place */

static uint32_t pick(uint32_t n)
{
	return (uint32_t)rand() % n;
}

/* IPv4 and IPv6, so that one is a prefix of the bytes of the other. */
static struct cv_mroute_ref key_of(uint32_t k)
{
	struct cv_mroute_ref r = {0};
	const bool six = k >= KEYS / 2;
	const uint32_t group = k % (KEYS / 2) / SOURCES, source = k % SOURCES;

	r.group.af = six ? CV_AF_INET6 : CV_AF_INET;
	memcpy(r.group.b, six ? (uint8_t[]){0xff, 0x0e, 0, (uint8_t)group} : (uint8_t[]){239, 0, 0, (uint8_t)group}, 4);
	if (source) {
		r.source.af = r.group.af;
		memcpy(r.source.b, (uint8_t[]){10, 0, 0, (uint8_t)source}, 4);
	}
	return r;
}

static struct cv_mroute any_route(uint32_t k)
{
	struct cv_mroute r = {.ref = key_of(k), .if_in = 1 + pick(INTERFACES)};

	for (uint32_t i = 1; i <= INTERFACES; i++)
		if (i != r.if_in && pick(2))
			r.out[r.n_out++] = (struct cv_mroute_out){.if_id = i, .ttl = (uint8_t)(1 + pick(255))};
	return r;
}

static void set(uint32_t k)
{
	const struct cv_mroute r = any_route(k);

	env_stage(CV_CMD_MROUTE_SET, &r, 0);
	next[k] = (struct reference){true, r};
}

static void del(uint32_t k)
{
	const struct cv_mroute_ref r = key_of(k);

	env_stage(CV_CMD_MROUTE_DEL, &r, next[k].exists ? 0 : CV_ERR_NOT_FOUND);
	next[k].exists = false;
}

static bool same(const struct mfib_ways *y, const struct cv_mroute *r)
{
	if (y->if_in != r->if_in || y->n_out != r->n_out)
		return false;
	for (uint32_t i = 0; i < r->n_out; i++)
		if (y->out[i].if_id != r->out[i].if_id || y->out[i].ttl != r->out[i].ttl)
			return false;
	return true;
}

static const struct reference *in_force(uint32_t k)
{
	return now[k].exists ? &now[k] : &host[k];
}

/* A source that no route names is the last one. */
static void compare(void)
{
	for (uint32_t group = 0; group < 2 * GROUPS; group++)
		for (uint32_t source = 1; source <= SOURCES; source++) {
			const uint32_t first = group * SOURCES;
			const bool own = source < SOURCES && in_force(first + source)->exists;
			const struct reference *want = in_force(own ? first + source : first);
			struct cv_addr from = {.af = key_of(first).group.af, .b = {10, 0, 0, (uint8_t)source}};
			const struct cv_addr to = key_of(first).group;
			const struct mfib_ways *ways;
			const uint32_t slot = mfib_find(0, &to, &from, &ways);

			assert_int_equal(slot != 0, want->exists);
			assert_true(!slot || same(ways, &want->route));
			assert_true(!slot || ways->host == (want >= host && want < host + KEYS));
			assert_int_equal(mfib_find(1, &to, &from, &ways), 0);
		}
}

static uint32_t dumped(void)
{
	struct cv_cmd_dump req = {.kind = CV_DUMP_MROUTE};
	static struct cv_dump_reply out;
	uint32_t n = 0;

	do {
		memset(&out, 0, sizeof(out));
		mfib_dump(&req, &out);
		n += out.n;
		req.cursor = out.next;
	} while (out.next);
	return n;
}

static bool is_stale(void *arg, const struct cv_mroute *r, uint32_t named)
{
	const struct cv_mroute_ref ref = key_of(*(uint32_t *)arg);

	return !memcmp(&r->ref, &ref, sizeof(ref)) && named == 7;
}

/* What the kernel has changed. */
static void host_transaction(void)
{
	char text[128];

	for (uint32_t i = pick(12); i > 0; i--) {
		uint32_t k = pick(KEYS);
		const struct cv_mroute r = any_route(k);

		if (pick(3)) {
			assert_int_equal(mfib_host_set(&r, 7, text), 0);
			host[k] = (struct reference){true, r};
		} else {
			mfib_host_sweep(is_stale, &k);
			host[k].exists = false;
		}
	}
	assert_int_equal(env_commit(), 0);
}

static void one_transaction(void)
{
	static const uint32_t nowhere = 99;
	const uint32_t steps = pick(12), how = pick(10);

	memcpy(next, now, sizeof(next));
	if (how == 0) {
		env_sync();
		memset(next, 0, sizeof(next));
		env_two_ports();
		env_vlan(3, 2, 30, 0, "10.3.0.1/24");
	}
	for (uint32_t i = 0; i < steps; i++) {
		const uint32_t k = pick(KEYS);

		/* In a sync what exists is still there to be deleted, until the end. */
		if (pick(3) || how == 0)
			set(k);
		else
			del(k);
	}
	if (how == 1) {
		env_abort();
		return;
	}
	if (how == 2) {
		struct cv_mroute bad = {.ref = key_of(pick(KEYS)), .if_in = nowhere};

		env_stage(CV_CMD_MROUTE_SET, &bad, 0);
		assert_int_equal(env_commit(), CV_ERR_NOT_FOUND);
		return;
	}
	assert_int_equal(env_commit(), 0);
	memcpy(now, next, sizeof(now));
	if (how == 0) /* interfaces changed, and none has a device that could go on */
		memset(host, 0, sizeof(host));
}

static void test_transactions(void **state)
{
	(void)state;
	srand(20);
	env_two_ports();
	env_vlan(3, 2, 30, 0, "10.3.0.1/24");
	assert_int_equal(env_commit(), 0);
	for (unsigned i = 0; i < ROUNDS; i++) {
		uint32_t n = 0;

		if (pick(3))
			one_transaction();
		else
			host_transaction();
		compare();
		for (uint32_t k = 0; k < KEYS; k++)
			n += in_force(k)->exists;
		assert_int_equal(dumped(), n);
	}
}

/* As many as there may be, and not one more; all of them can be had again. */
static void test_full(void **state)
{
	struct cv_mroute r = {.ref.group = {.af = CV_AF_INET}, .if_in = 1};

	(void)state;
	for (unsigned round = 0; round < 2; round++) {
		env_sync();
		env_two_ports();
		assert_int_equal(env_commit(), 0);
		assert_int_equal(dumped(), 0);
		for (uint32_t i = 0; i < CV_MROUTE_MAX; i++) {
			memcpy(r.ref.group.b, (uint8_t[]){239, 1, (uint8_t)(i >> 8), (uint8_t)i}, 4);
			env_stage(CV_CMD_MROUTE_SET, &r, i < CV_MROUTE_MAX - 1 ? 0 : CV_ERR_NO_MEMORY);
		}
		assert_int_equal(env_commit(), 0);
		assert_int_equal(dumped(), CV_MROUTE_MAX - 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test_teardown(test_transactions, env_teardown),
		cmocka_unit_test_teardown(test_full, env_teardown)};

	env_init();
	env_ports(2);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
