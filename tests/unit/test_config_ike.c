/* SPDX-License-Identifier: BSD-3-Clause */
/* IKE policies, profiles and preshared keys in the configuration: defaults, which one is used, warnings, refusals with
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

/* USAB-T1 (USAB-4, USAB-5, USAB-7, USAB-8): eight, in their range, nothing legacy; USAB-12: they can be switched off.
 */
static void usab_t1_default_policies(void **state)
{
	struct config_refusal *f = *state;

	f->c->n_ike_policy = 0;
	assert_int_equal(config_refusal_resolve(f), 0);
	assert_int_equal(f->c->n_ike_policy, 8);
	for (unsigned i = 0; i < 8; i++) {
		const struct cfg_ike_policy *p = &f->c->ike_policy[i];

		assert_true(p->builtin);
		assert_int_equal(p->priority, 65507 + i);
		assert_int_equal(p->lifetime_s, 86400);
		assert_false(algo_ike_get(ALGO_IKE_ENCR, p->encr, p->key_bits)->legacy);
		assert_false(algo_ike_get(ALGO_IKE_PRF, p->hash, 0)->legacy);
		assert_false(algo_ike_get(ALGO_IKE_GROUP, (uint16_t)p->group, 0)->legacy);
	}
}

static void usab_t1_disabled(void **state)
{
	struct config_refusal *f = *state;

	f->c->n_ike_policy = 0;
	f->c->no_default_policy = true;
	assert_int_equal(config_refusal_resolve(f), 0);
	assert_int_equal(f->c->n_ike_policy, 0);
}

/* USAB-T4 (USAB-6): one policy of the operator's, and the default ones are not used. */
static void usab_t4_own_policy_wins(void **state)
{
	struct config_refusal *f = *state;
	struct cfg_ike_policy *p = &f->c->ike_policy[f->c->n_ike_policy++];

	*p = (struct cfg_ike_policy){.priority = 10,
		.encr = IKE_ENCR_AES_CBC,
		.key_bits = 128,
		.hash = IKE_PRF_HMAC_SHA256,
		.auth = CFG_AUTH_PSK,
		.group = IKE_GROUP_MODP2048};
	assert_int_equal(config_refusal_resolve(f), 0);
	assert_int_equal(f->c->n_ike_policy, 1);
	assert_false(f->c->ike_policy[0].builtin);
	assert_int_equal(f->c->ike_policy[0].lifetime_s, 86400); /* IKE-22 */
}

/* RFC 9370: additional groups need a first one, and another one. */
static void additional_group(struct config_refusal *f, enum ike_group pfs, const char *why)
{
	struct cfg_map_entry *e = &f->c->map[0].entry[0];

	e->pfs = pfs;
	e->addke = config_alloc(f->c, 1, sizeof(*e->addke));
	e->addke[e->n_addke++] = IKE_GROUP_ECP256;
	assert_refused(f, ENTRY "/pfs-additional-group", why);
}

static void additional_group_alone(void **state)
{
	additional_group(*state, IKE_GROUP_NONE, "needs pfs");
}

static void additional_group_twice(void **state)
{
	additional_group(*state, IKE_GROUP_ECP256, "a group twice");
}

static void aead_and_cbc_do_not_mix(void **state)
{
	static struct cfg_ike_encr encr[] = {{IKE_ENCR_AES_GCM16, 256}, {IKE_ENCR_AES_CBC, 256}};
	static enum ike_prf prf[] = {IKE_PRF_HMAC_SHA256};
	static enum ike_group group[] = {IKE_GROUP_ECP256};
	struct config_refusal *f = *state;

	f->c->ike_proposal[f->c->n_ike_proposal++] = (struct cfg_ike_proposal){
		.name = "p", .encr = encr, .n_encr = 2, .prf = prf, .n_prf = 1, .group = group, .n_group = 1};
	assert_refused(f, "/culvert-ike:ike/proposal[name='p']/encryption", "two proposals");
}

static void ikev1_profile_warns(void **state)
{
	struct config_refusal *f = *state;

	f->c->ike_profile[f->c->n_ike_profile++] =
		(struct cfg_ike_profile){.name = "old", .version = CFG_IKEV1, .nat_traversal = true};
	f->c->map[0].entry[0].ike_profile = "old";
	assert_warns(f, "/culvert-ike:ike/profile[name='old']/version: IKEv1 is obsolete (RFC 9395)");
	assert_contains(f->warnings, "match-identity: none"); /* VRF-26 */
	assert_int_equal(f->c->map[0].entry[0].profile_ref->version, CFG_IKEV1);
}

/* AGGR-18: whoever switches aggressive mode on is told what it shows; a password without identity or the other way
 * round is no aggressive mode (AGGR-Q3). */
static void aggressive_mode_warns(void **state)
{
	struct config_refusal *f = *state;

	f->c->ike_profile[f->c->n_ike_profile++] = (struct cfg_ike_profile){
		.name = "old", .version = CFG_IKEV1, .nat_traversal = true, .aggressive_psk = true};
	f->c->map[0].entry[0].ike_profile = "old";
	assert_warns(f, "/culvert-ike:ike/profile[name='old']/aggressive-mode: shows both identities");
}

static void aggressive_mode_needs_its_switch(void **state)
{
	struct config_refusal *f = *state;

	f->c->ike_profile[f->c->n_ike_profile++] = (struct cfg_ike_profile){
		.name = "old", .version = CFG_IKEV1, .nat_traversal = true, .aggressive = true};
	f->c->map[0].entry[0].ike_profile = "old";
	assert_refused(f, "/culvert-ike:ike/profile[name='old']/aggressive-mode/initiate", "allow-preshared-key");
}

/* VRF-36: the entry's profile wins over the map's. */
static void entry_profile_wins(void **state)
{
	struct config_refusal *f = *state;

	for (unsigned i = 0; i < 2; i++)
		f->c->ike_profile[f->c->n_ike_profile++] =
			(struct cfg_ike_profile){.name = i ? "b" : "a", .version = CFG_IKEV2};
	f->c->map[0].ike_profile = "a";
	cfgbuild_entry(f->c, &f->c->map[0], 20, "site2", "192.0.2.2")->ike_profile = "b";
	assert_int_equal(config_refusal_resolve(f), 0);
	assert_string_equal(f->c->map[0].entry[0].profile_ref->name, "a");
	assert_string_equal(f->c->map[0].entry[1].profile_ref->name, "b");
	assert_contains(f->warnings, "IPSEC-33");
}

/* VRF-T9, VRF-28: DPD 10..3600 and 2..60. */
static void dpd_ranges(void **state)
{
	static const struct {
		uint32_t interval, retry;
		int result;
	} t[] = {{9, 5, -22}, {10, 2, 0}, {3600, 60, 0}, {3601, 5, -22}, {30, 1, -22}, {30, 61, -22}};

	(void)state;
	for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct cv_config *c = cfgbuild_gateway();
		char err[CFG_ERR_MAX];

		c->ike_profile[c->n_ike_profile++] = (struct cfg_ike_profile){.name = "p",
			.version = CFG_IKEV2,
			.dpd_mode = CFG_DPD_PERIODIC,
			.dpd_interval_s = t[i].interval,
			.dpd_retry_s = t[i].retry};
		assert_int_equal(config_resolve(c, err, NULL, NULL), t[i].result);
		config_unref(c);
	}
}

static void missing_key_warns(void **state) /* IKE-31 */
{
	struct config_refusal *f = *state;

	f->c->n_keyring = 0;
	assert_warns(f, "no preshared key for 192.0.2.2 in a keyring of front VRF 'global'");
}

/* VRF-18, VRF-22, VRF-T6: a key of another VRF is not used. */
static void key_of_another_vrf_is_not_used(void **state)
{
	struct config_refusal *f = *state;

	f->c->vrf[f->c->n_vrf++].name = "red";
	f->c->keyring[0].vrf = "red";
	assert_warns(f, "no preshared key for 192.0.2.2");
	f->c->vrf[0].id = 7;
	assert_null(config_psk_by_addr(f->c, NULL, 0, NULL, &f->c->map[0].entry[0].peer[0]));
	assert_non_null(config_psk_by_addr(f->c, NULL, 7, NULL, &f->c->map[0].entry[0].peer[0]));
}

/* VRF-18: a keyring that names no VRF belongs to the global table. */
static void key_without_vrf_is_global(void **state)
{
	struct config_refusal *f = *state;

	f->c->vrf[f->c->n_vrf++].name = "red";
	assert_int_equal(config_refusal_resolve(f), 0);
	f->c->vrf[0].id = 7;
	assert_non_null(config_psk_by_addr(f->c, NULL, 0, NULL, &f->c->map[0].entry[0].peer[0]));
	assert_null(config_psk_by_addr(f->c, NULL, 7, NULL, &f->c->map[0].entry[0].peer[0]));
}

/* VRF-20: a mask gives a range; the longest one wins. */
static void longest_key_prefix_wins(void **state)
{
	struct config_refusal *f = *state;
	struct cfg_keyring *k = &f->c->keyring[0];
	struct cv_addr other;

	k->psk[1] = k->psk[0];
	assert_int_equal(cv_prefix_parse("192.0.2.0/24", &k->psk[1].peer), 0);
	k->psk[2] = (struct cfg_psk){.hostname = "gw.example", .key = k->psk[0].key, .key_len = 6};
	k->n_psk = 3;
	assert_int_equal(config_refusal_resolve(f), 0);
	assert_int_equal(cv_addr_parse("192.0.2.77", &other), 0);
	assert_ptr_equal(config_psk_by_addr(f->c, NULL, 0, NULL, &f->c->map[0].entry[0].peer[0]), &k->psk[0]);
	assert_ptr_equal(config_psk_by_addr(f->c, NULL, 0, NULL, &other), &k->psk[1]);
	assert_ptr_equal(config_psk_by_name(f->c, NULL, 0, NULL, "GW.example"), &k->psk[2]);
	assert_null(config_psk_by_name(f->c, NULL, 0, NULL, "gw"));
}

/* Lines that differ in their DSCP only: an entry with an IKEv1 profile cannot have them, one with IKEv2 can. */
static void dscp_lines_need_ikev2(void **state)
{
	struct config_refusal *f = *state;
	struct cfg_acl *a = &f->c->acl[0];

	f->c->ike_profile[f->c->n_ike_profile++] = (struct cfg_ike_profile){.name = "old", .version = CFG_IKEV1};
	f->c->map[0].entry[0].ike_profile = "old";
	a->n_line = 0;
	for (unsigned i = 0; i < 3; i++) {
		cfgbuild_line(a, 10 * (i + 1), true, i == 1 ? "10.1.0.0/25" : "10.1.0.0/24", "10.2.0.0/24");
		a->line[i].dscp = 1u << i;
	}
	assert_refused(f, ENTRY "/access-list", "lines 10 and 30 differ in their DSCP only");
}

static void dscp_lines_with_ikev2(void **state)
{
	struct config_refusal *f = *state;

	cfgbuild_line(&f->c->acl[0], 20, true, "10.1.0.0/24", "10.2.0.0/24");
	f->c->acl[0].line[0].dscp = 1;
	f->c->acl[0].line[1].dscp = 2;
	assert_int_equal(config_refusal_resolve(f), 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		CONFIG_TEST(usab_t1_default_policies),
		CONFIG_TEST(usab_t1_disabled),
		CONFIG_TEST(usab_t4_own_policy_wins),
		CONFIG_TEST(additional_group_alone),
		CONFIG_TEST(additional_group_twice),
		CONFIG_TEST(dscp_lines_need_ikev2),
		CONFIG_TEST(dscp_lines_with_ikev2),
		CONFIG_TEST(aead_and_cbc_do_not_mix),
		CONFIG_TEST(ikev1_profile_warns),
		CONFIG_TEST(aggressive_mode_warns),
		CONFIG_TEST(aggressive_mode_needs_its_switch),
		CONFIG_TEST(entry_profile_wins),
		CONFIG_TEST(dpd_ranges),
		CONFIG_TEST(missing_key_warns),
		CONFIG_TEST(key_of_another_vrf_is_not_used),
		CONFIG_TEST(key_without_vrf_is_global),
		CONFIG_TEST(longest_key_prefix_wins),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
