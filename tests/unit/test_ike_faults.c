/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Both versions of IKE, two engines against each other: reboots in the middle of an exchange, clocks that jump, and
 * refusals that somebody on the path has written.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "ike_env.h"

#define HOUR_MS 3600000ull
#define HDR_LEN 28u /* of an IKE message */
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

/* Somebody between the two sees the first message and is faster than the peer: this notify, n times. */
static uint16_t forged_type;
static uint8_t forged_data[16];
static size_t forged_len;
static unsigned n_forged;
static bool forge_refusal(struct pair *q, int from, unsigned n, const uint8_t *data, size_t len)
{
	uint8_t b[HDR_LEN + 8 + sizeof(forged_data)] = {0};
	(void)n, (void)len;
	if (from != 1 || data[18] != 34 || n_forged == 8)
		return true;
	struct ike_path path = {.local = q->h[0].addr, .remote = q->h[1].addr, .lport = 500, .rport = 500};
	memcpy(b, data, 8); /* the initiator's SPI */
	b[16] = 41;
	b[17] = 0x20;
	b[18] = 34;
	b[19] = 0x20;
	b[27] = (uint8_t)(HDR_LEN + 8 + forged_len);
	b[31] = (uint8_t)(8 + forged_len);
	b[34] = (uint8_t)(forged_type >> 8);
	b[35] = (uint8_t)forged_type;
	memcpy(b + 36, forged_data, forged_len);
	while (n_forged < 8) {
		n_forged++;
		ike_input(q->h[0].ike, &path, false, b, HDR_LEN + 8 + forged_len);
	}
	return true;
}

/*
 * RFC 7296 2.6, 2.21.1: what is not authenticated waits for the peer's own answer to the same message, which then
 * counts. The AUTH of both ends would not fit if a demanded cookie had made another first message of it.
 */
static void forged_refusals(void **state)
{
	static const struct {
		uint16_t type;
		uint8_t data[16];
		size_t len;
	} forged[] = {{14, {0}, 0}, {16390, "no such cookie", 14}, {17, {0, 14}, 2}, {7, {0}, 0}, {24, {0}, 0}};
	(void)state;
	for (size_t i = 0; i < sizeof(forged) / sizeof(forged[0]); i++) {
		forged_type = forged[i].type;
		forged_len = forged[i].len;
		memcpy(forged_data, forged[i].data, sizeof(forged_data));
		n_forged = 0;
		p = pair_new(CFG_IKEV2, NULL);
		p->filter = forge_refusal;
		p->delay_ms = 40;
		pair_acquire(p, 0, 0);
		pair_run(p, 2000);
		assert_int_equal(n_forged, 8);
		assert_true(pair_children_agree(p, 1));
		assert_int_equal(p->h[0].acquire_failures, 0);
		assert_int_equal(pair_stat(p, 0, "sa_initiated"), 1);
		teardown(NULL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {FAULT_TEST(reboot_mid_exchange), FAULT_TEST(reboot_mid_rekey),
		FAULT_TEST(clock_jumps), FAULT_TEST(forged_refusals)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
