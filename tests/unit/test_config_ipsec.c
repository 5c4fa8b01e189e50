/* SPDX-License-Identifier: BSD-3-Clause */
/* Transform sets, manual keys and the options of IPsec SAs in the configuration: defaults, inheritance, refusals with
 * their path. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cfgbuild.h"
#include "config_refusal.h"
#include "cv_addr.h"

/* USAB-15, USAB-16, USAB-17: an entry that names no transform set has the default ones, set_1 first. */
static void usab_default_transform_sets(void **state)
{
	struct config_refusal *f = *state;
	struct cfg_map_entry *e = &f->c->map[0].entry[0];

	e->n_transform_set = 0;
	assert_int_equal(config_refusal_resolve(f), 0);
	assert_int_equal(e->n_transform_set, 2);
	assert_string_equal(e->ts_ref[0]->name, "#!default_transform_set_1");
	assert_string_equal(e->ts_ref[1]->name, "#!default_transform_set_0");
	assert_true(e->ts_ref[0]->builtin);
	assert_false(e->ts_ref[0]->transport);
	assert_false(algo_suite_legacy(e->ts_ref[0]->suite) || algo_suite_legacy(e->ts_ref[1]->suite));
}

/* USAB-20: switched off, there are none, and an entry needs its own. */
static void usab_transform_sets_off(void **state)
{
	struct config_refusal *f = *state;

	f->c->map[0].entry[0].n_transform_set = 0;
	f->c->no_default_transform_set = true;
	assert_refused(
		f, "/culvert-ipsec:ipsec/crypto-map[name='vpn']/entry[sequence='10']/transform-set", "switched off");
}

static void dangling_transform_set(void **state)
{
	struct config_refusal *f = *state;

	f->c->map[0].entry[0].transform_set[0] = "none";
	assert_refused(f, ENTRY "/transform-set", "no transform-set named 'none'; known: ");
}

/* IPSEC-1: without IKE only manual entries make sense; the others stay closed, and the operator is told. */
static void ike_off_needs_manual_entries(void **state)
{
	struct config_refusal *f = *state;

	f->c->ike_enabled = false;
	assert_warns(f, ENTRY ": IKE is off");
}

static void transform_sets_are_1_to_6(void **state) /* IPSEC-49 */
{
	struct config_refusal *f = *state;

	for (unsigned i = 0; i < 7; i++)
		f->c->map[0].entry[0].transform_set[i] = "gcm";
	f->c->map[0].entry[0].n_transform_set = 7;
	assert_refused(f, ENTRY "/transform-set", "1..6");
}

#define SET_GCM "/culvert-ipsec:ipsec/transform-set[name='gcm']"

static void impossible_transform_set(void **state) /* IPSEC-18 */
{
	struct config_refusal *f = *state;

	f->c->transform_set[0].suite.integ = CV_INTEG_HMAC_SHA256_128;
	assert_refused(f, SET_GCM, "has its own authentication");
}

/* A manual entry for AES-128-CBC with HMAC-SHA-256-128; the fields are the test's to spoil. */
static struct cfg_manual *manual_entry(struct config_refusal *f)
{
	static const uint8_t key[32];
	struct cfg_manual *m = config_alloc(f->c, 1, sizeof(*m));

	f->c->transform_set[0].suite =
		(struct algo_suite){.encr = CV_ENCR_AES128_CBC, .integ = CV_INTEG_HMAC_SHA256_128};
	m->in = m->out =
		(struct cfg_session_key){.spi = 256, .cipher = key, .auth = key, .cipher_len = 16, .auth_len = 32};
	f->c->map[0].entry[0].manual = m;
	return m;
}

#define KEYS ENTRY "/session-key"

static void manual_key_lengths(void **state) /* IPSEC-68 */
{
	struct config_refusal *f = *state;

	manual_entry(f)->out.cipher_len = 24;
	assert_refused(f, KEYS "/outbound/cipher", "48 hexadecimal digits; the transform set needs 32");
}

static void manual_inbound_spi(void **state) /* IPSEC-69 */
{
	struct config_refusal *f = *state;

	manual_entry(f)->in.spi = 70000;
	assert_refused(f, KEYS "/inbound/spi", "256..4095");
}

static void manual_refuses_counter_modes(void **state)
{
	struct config_refusal *f = *state;

	manual_entry(f);
	f->c->transform_set[0].suite = (struct algo_suite){.encr = CV_ENCR_AES256_GCM16};
	assert_refused(f, ENTRY "/transform-set", "counter mode");
}

static void manual_bundle_needs_both_keys(void **state)
{
	struct config_refusal *f = *state;

	manual_entry(f);
	f->c->transform_set[0].suite.ah = CV_INTEG_HMAC_SHA256_128;
	assert_refused(f, KEYS "/inbound/ah", "AH around ESP");
}

static const uint8_t ah_key[32];

static void manual_bundle(void **state) /* IPSEC-18, 68 */
{
	struct config_refusal *f = *state;
	struct cfg_manual *m = manual_entry(f);

	f->c->transform_set[0].suite.ah = CV_INTEG_HMAC_SHA256_128;
	m->in.ah_spi = m->out.ah_spi = 258;
	m->in.ah_auth = m->out.ah_auth = ah_key;
	m->in.ah_auth_len = m->out.ah_auth_len = sizeof(ah_key);
	assert_int_equal(config_refusal_resolve(f), 0);
}

static void manual_bundle_key_lengths(void **state) /* IPSEC-68 */
{
	struct config_refusal *f = *state;
	struct cfg_manual *m = manual_entry(f);

	f->c->transform_set[0].suite.ah = CV_INTEG_HMAC_SHA256_128;
	m->in.ah_spi = m->out.ah_spi = 258;
	m->in.ah_auth = m->out.ah_auth = ah_key;
	m->in.ah_auth_len = m->out.ah_auth_len = 20;
	assert_refused(f, KEYS "/inbound/ah/authenticator", "40 hexadecimal digits; the transform set needs 64");
}

static void manual_bundle_spis_differ(void **state)
{
	struct config_refusal *f = *state;
	struct cfg_manual *m = manual_entry(f);

	f->c->transform_set[0].suite.ah = CV_INTEG_HMAC_SHA256_128;
	m->in.ah_spi = m->out.ah_spi = 256;
	m->in.ah_auth = m->out.ah_auth = ah_key;
	m->in.ah_auth_len = m->out.ah_auth_len = sizeof(ah_key);
	assert_refused(f, KEYS "/inbound/ah/spi", "too close");
}

static void manual_ah_needs_its_transform(void **state)
{
	struct config_refusal *f = *state;

	manual_entry(f)->in.ah_spi = 258;
	assert_refused(f, KEYS "/inbound/ah", "only with AH and ESP");
}

static void manual_has_one_set(void **state) /* IPSEC-67 */
{
	struct config_refusal *f = *state;

	manual_entry(f);
	f->c->map[0].entry[0].transform_set[1] = "gcm";
	f->c->map[0].entry[0].n_transform_set = 2;
	assert_refused(f, KEYS, "one peer and one transform set");
}

static void manual_peer_is_an_address(void **state) /* IPSEC-50 */
{
	static const char *host[] = {"hub.example.net"};
	struct config_refusal *f = *state;

	manual_entry(f);
	f->c->map[0].entry[0].peer_host = host;
	assert_refused(f, KEYS, "the peer by its address");
}

static void bundle_is_not_negotiated_by_ikev2(void **state)
{
	struct config_refusal *f = *state;

	f->c->transform_set[0].suite.ah = CV_INTEG_HMAC_SHA256_128;
	assert_refused(f, ENTRY "/transform-set", "IKEv2 does not negotiate");
}

static void encryption_alone_is_legacy(void **state) /* RFC 8221 section 4 */
{
	struct config_refusal *f = *state;

	f->c->transform_set[0].suite = (struct algo_suite){.encr = CV_ENCR_AES128_CBC};
	assert_refused(f, SET_GCM, "allow-legacy");
}

static void legacy_needs_permission(void **state)
{
	struct config_refusal *f = *state;

	f->c->map[0].entry[0].pfs = IKE_GROUP_MODP1024;
	assert_refused(f, ENTRY "/pfs", "allow-legacy");
}

static void legacy_with_permission_warns(void **state)
{
	struct config_refusal *f = *state;

	f->c->allow_legacy = true;
	f->c->map[0].entry[0].pfs = IKE_GROUP_MODP1024;
	assert_warns(f, ENTRY "/pfs: a legacy value");
}

static void pfs_group_is_known(void **state)
{
	struct config_refusal *f = *state;

	f->c->map[0].entry[0].pfs = (enum ike_group)24;
	assert_refused(f, ENTRY "/pfs", "group31");
}

static void replay_window_is_one_of_a_few(void **state) /* REPLAY-2 */
{
	struct config_refusal *f = *state;

	f->c->map[0].entry[0].replay_window = 96;
	assert_refused(f, ENTRY "/replay/window-size", "64, 128");
}

/* REPLAY-5, REPLAY-7, REPLAY-T3: the entry's own value wins, also when it switches the check off; the others have the
 * global one. */
static void replay_window_is_inherited(void **state)
{
	static const struct {
		uint32_t global, entry, want;
	} row[] = {{1024, CFG_REPLAY_GLOBAL, 1024}, {256, CFG_REPLAY_GLOBAL, 256}, {256, 128, 128}, {0, 8192, 8192},
		{0, CFG_REPLAY_GLOBAL, 0}, {64, 0, 0}};

	(void)state;
	for (unsigned i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct cv_config *c = cfgbuild_gateway();
		char err[CFG_ERR_MAX];

		c->replay_window = row[i].global;
		c->map[0].entry[0].replay_window = row[i].entry;
		assert_int_equal(config_resolve(c, err, NULL, NULL), 0);
		assert_int_equal(c->map[0].entry[0].replay_window, row[i].want);
		config_unref(c);
	}
}

/* IDLE-2, IDLE-4, IDLE-5, IDLE-T2: off by default; the map's value wins; outside 60..86400 is refused. */
static void idle_time_is_inherited(void **state)
{
	static const struct {
		uint32_t global, entry, want;
		bool own, ok;
	} row[] = {{0, 0, 0, false, true}, {600, 0, 600, false, true}, {600, 60, 60, true, true},
		{0, 86400, 86400, true, true}, {59, 0, 0, false, false}, {0, 86401, 0, false, false}};

	(void)state;
	for (unsigned i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct cv_config *c = cfgbuild_gateway();
		char err[CFG_ERR_MAX];

		c->idle_s = row[i].global;
		c->map[0].entry[0].idle_s = row[i].entry;
		assert_int_equal(config_resolve(c, err, NULL, NULL), row[i].ok ? 0 : -22);
		if (row[i].ok) {
			assert_int_equal(c->map[0].entry[0].idle_s, row[i].want);
			assert_int_equal(c->map[0].entry[0].idle_own, row[i].own);
		}
		config_unref(c);
	}
}

/* FRAG-3, FRAG-4, FRAG-T3: before encryption by default, and what the interface says wins in both directions. */
static void fragmentation_is_inherited(void **state)
{
	struct config_refusal *f = *state;

	f->c->fragment = CFG_FRAG_AFTER;
	f->c->df_bit = CFG_DF_CLEAR;
	f->c->interface[1].fragment = CFG_FRAG_BEFORE;
	f->c->interface[1].df_bit = CFG_DF_SET;
	assert_int_equal(config_refusal_resolve(f), 0);
	assert_int_equal(f->c->interface[0].fragment, CFG_FRAG_AFTER);
	assert_int_equal(f->c->interface[0].df_bit, CFG_DF_CLEAR);
	assert_int_equal(f->c->interface[1].fragment, CFG_FRAG_BEFORE);
	assert_int_equal(f->c->interface[1].df_bit, CFG_DF_SET);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		CONFIG_TEST(usab_default_transform_sets),
		CONFIG_TEST(usab_transform_sets_off),
		CONFIG_TEST(dangling_transform_set),
		CONFIG_TEST(ike_off_needs_manual_entries),
		CONFIG_TEST(transform_sets_are_1_to_6),
		CONFIG_TEST(impossible_transform_set),
		CONFIG_TEST(encryption_alone_is_legacy),
		CONFIG_TEST(manual_key_lengths),
		CONFIG_TEST(manual_inbound_spi),
		CONFIG_TEST(manual_refuses_counter_modes),
		CONFIG_TEST(manual_bundle_needs_both_keys),
		CONFIG_TEST(manual_bundle),
		CONFIG_TEST(manual_bundle_key_lengths),
		CONFIG_TEST(manual_bundle_spis_differ),
		CONFIG_TEST(manual_ah_needs_its_transform),
		CONFIG_TEST(manual_has_one_set),
		CONFIG_TEST(manual_peer_is_an_address),
		CONFIG_TEST(bundle_is_not_negotiated_by_ikev2),
		CONFIG_TEST(legacy_needs_permission),
		CONFIG_TEST(legacy_with_permission_warns),
		CONFIG_TEST(pfs_group_is_known),
		CONFIG_TEST(replay_window_is_one_of_a_few),
		CONFIG_TEST(replay_window_is_inherited),
		CONFIG_TEST(idle_time_is_inherited),
		CONFIG_TEST(fragmentation_is_inherited),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
