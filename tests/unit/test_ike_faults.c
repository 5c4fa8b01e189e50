/* SPDX-License-Identifier: BSD-3-Clause */
/* Both versions of IKE, two engines against each other: reboots in the middle of an exchange, and clocks that jump. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "ike_env.h"

#define HOUR_MS 3600000ull
#define FAULT_TEST(f) cmocka_unit_test_teardown(f, teardown)

static enum cfg_ike_version version;
#define BOTH_VERSIONS for (version = CFG_IKEV1; version <= CFG_IKEV2; version++)

/* Liveness on demand, so that a peer that has forgotten us is found out by the traffic that it does not answer. */
static void tweak(struct cv_config *c, int host)
{
	(void)host;
	c->ike_profile->lifetime_s = 7200;
	c->ipsec_lifetime_s = 3600;
	c->ike_profile->dpd_mode = CFG_DPD_ON_DEMAND;
	c->ike_profile->dpd_interval_s = 10;
	c->ike_profile->dpd_retry_s = 2;
}

static void start(void)
{
	p = pair_new(version, tweak);
}

static bool message_under_way(struct pair *q)
{
	return q->n_ike > q->drop_nth;
}

/* Traffic passes both ways again: nothing has been lost in the last ten seconds. */
static void require_traffic(const char *what, unsigned n)
{
	unsigned sent = p->h[0].esp_sent + p->h[1].esp_sent, got = p->h[0].esp_received + p->h[1].esp_received;
	pair_run(p, 10000);
	sent = p->h[0].esp_sent + p->h[1].esp_sent - sent;
	got = p->h[0].esp_received + p->h[1].esp_received - got;
	/* what was under way at either end of the ten seconds */
	if (sent < 100 || got + 4 < sent || got > sent + 4)
		fail_msg("IKEv%u, %s, message %u: %u of %u packets arrived", version == CFG_IKEV1 ? 1 : 2, what, n, got,
			sent);
}

/*
 * Either end loses its power right after each single message of the set-up, while both have traffic, and comes back at
 * once without any memory of it. Three minutes later traffic passes, whoever began and whatever the other still
 * believed.
 */
static void reboot_mid_exchange(void **state)
{
	(void)state;
	BOTH_VERSIONS
	for (int who = 0; who < 2; who++)
		for (unsigned n = 0; n < (version == CFG_IKEV1 ? 9 : 4); n++) {
			start();
			p->drop_nth = n;
			pair_acquire(p, 0, 0);
			assert_true(pair_until(p, message_under_way, 10000));
			pair_reboot(p, who);
			p->traffic_ms = 100;
			pair_run(p, 180000);
			require_traffic(who ? "responder reboots" : "initiator reboots", n);
			teardown(NULL);
		}
}

/* The same in the middle of a rekey that either end has begun. */
static void reboot_mid_rekey(void **state)
{
	(void)state;
	BOTH_VERSIONS
	for (int who = 0; who < 4; who++)
		for (unsigned n = 0; n < 3; n++) {
			start();
			bring_up();
			p->drop_nth = p->n_ike + n;
			ike_child_expire(p->h[who & 1].ike, pair_newest(p, who & 1)->id, false);
			assert_true(pair_until(p, message_under_way, 20000));
			pair_reboot(p, who >> 1);
			p->traffic_ms = 100;
			pair_run(p, 180000);
			require_traffic("reboot in a rekey", n);
			teardown(NULL);
		}
}

/*
 * The engine's clock is monotonic: whoever sets the time of day does not move it. It jumps forward with machines that
 * were stopped (suspended, or a virtual machine that was moved), and then everything is overdue at once. Lifetimes end,
 * peers ask, and afterwards traffic passes as before.
 */
static void clock_jumps(void **state)
{
	static const uint64_t jump[] = {60000, HOUR_MS - 60000, HOUR_MS, 3 * HOUR_MS, 24 * HOUR_MS};
	(void)state;
	BOTH_VERSIONS
	for (unsigned j = 0; j < sizeof(jump) / sizeof(jump[0]); j++) {
		start();
		bring_up();
		p->traffic_ms = 100;
		p->next_traffic = p->now;
		pair_run(p, 5000);
		p->now += jump[j];
		p->next_traffic = p->now;
		pair_run(p, 180000);
		require_traffic("clock jumps", j);
		/* IKEv2 may have two of each, where both ends have begun at once (RFC 7296 2.8) */
		unsigned n = pair_n_children(p, 0);
		assert_true(n >= 1 && n <= (version == CFG_IKEV1 ? 1 : 2));
		assert_true(pair_children_agree(p, n));
		assert_int_equal(pair_n_sas(p, 0), pair_n_sas(p, 1));
		teardown(NULL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FAULT_TEST(reboot_mid_exchange), FAULT_TEST(reboot_mid_rekey), FAULT_TEST(clock_jumps)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
