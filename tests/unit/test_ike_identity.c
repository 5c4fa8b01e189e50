/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who a peer says it is (VRF-29), and which profile takes it (VRF-25, VRF-27, VRF-T9): two engines, each form of
 * match-identity with identities that fit and that do not, in both versions of IKE.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cv_addr.h"
#include "ike_env.h"

#define OTHER_VRF 7u

static const struct row {
	enum cfg_id_type sent;
	const char *as; /* what host 0 calls itself; NULL = nothing of its own */
	enum cfg_id_type match;
	const char *text; /* an address or prefix, or a text */
	bool domain, ok;
} rows[] = {
	{CFG_ID_NONE, NULL, CFG_ID_ADDRESS, "192.0.2.1", false, true},
	{CFG_ID_NONE, NULL, CFG_ID_ADDRESS, "192.0.2.0/24", false, true},
	{CFG_ID_NONE, NULL, CFG_ID_ADDRESS, "192.0.2.9", false, false},
	{CFG_ID_NONE, NULL, CFG_ID_FQDN, "192.0.2.1", false, false},
	{CFG_ID_FQDN, "a.example.org", CFG_ID_FQDN, "a.example.org", false, true},
	{CFG_ID_FQDN, "a.example.org", CFG_ID_FQDN, "A.Example.org", false, true},
	{CFG_ID_FQDN, "a.example.org", CFG_ID_FQDN, "b.example.org", false, false},
	{CFG_ID_FQDN, "a.example.org", CFG_ID_FQDN, "example.org", false, false},
	{CFG_ID_FQDN, "a.example.org", CFG_ID_FQDN, "example.org", true, true},
	{CFG_ID_FQDN, "a.example.org", CFG_ID_FQDN, "example.com", true, false},
	{CFG_ID_FQDN, "a.example.org", CFG_ID_FQDN, "org", true, false},
	{CFG_ID_FQDN, "a.example.org", CFG_ID_ADDRESS, "192.0.2.1", false, false},
	{CFG_ID_USER_FQDN, "u@example.org", CFG_ID_USER_FQDN, "u@example.org", false, true},
	{CFG_ID_USER_FQDN, "u@example.org", CFG_ID_USER_FQDN, "v@example.org", false, false},
	{CFG_ID_USER_FQDN, "u@example.org", CFG_ID_USER_FQDN, "example.org", true, true},
	{CFG_ID_USER_FQDN, "u@example.org", CFG_ID_USER_FQDN, "example.com", true, false},
	{CFG_ID_USER_FQDN, "u@a.example.org", CFG_ID_USER_FQDN, "example.org", true, false},
	{CFG_ID_USER_FQDN, "u@example.org", CFG_ID_FQDN, "u@example.org", false, false},
	{CFG_ID_KEY_ID, "green", CFG_ID_KEY_ID, "green", false, true},
	{CFG_ID_KEY_ID, "green", CFG_ID_KEY_ID, "greens", false, false},
	{CFG_ID_KEY_ID, "green", CFG_ID_FQDN, "green", false, false},
};
static const struct row *row;
static const char *match_vrf; /* of the profile of host 1 */
static const char *global;    /* what host 0 calls itself everywhere */

static void tweak(struct cv_config *c, int host)
{
	struct cfg_ike_profile *q = c->ike_profile;

	if (!host) {
		q->local_id = (struct cfg_identity){.type = row->sent, .text = row->as};
		if (global)
			c->local_id = (struct cfg_identity){.type = CFG_ID_FQDN, .text = global};
		return;
	}
	q->match = config_alloc(c, 1, sizeof(*q->match));
	q->n_match = 1;
	q->match[0] = (struct cfg_identity){.type = row->match, .domain = row->domain, .text = row->text};
	if (row->match == CFG_ID_ADDRESS)
		assert_int_equal(cv_prefix_parse(row->text, &q->match[0].addr), 0);
	q->match_fvrf = match_vrf;
	c->vrf = config_alloc(c, 2, sizeof(*c->vrf));
	c->n_vrf = 2;
	c->vrf[0] = (struct cfg_vrf){.name = "other", .id = OTHER_VRF};
	c->vrf[1] = (struct cfg_vrf){.name = "here", .id = 0}; /* where the engines are */
}

static void attempt(enum cfg_ike_version version, const struct row *r, bool ok)
{
	row = r;
	p = pair_new(version, tweak);
	pair_acquire(p, 0, 0);
	pair_run(p, 3000);
	if (pair_n_children(p, 1) != ok || pair_children_agree(p, 1) != ok)
		fail_msg("IKEv%d: identity %s, match %s%s: %u children", version, r->as ? r->as : "address",
			r->domain ? "domain " : "", r->text, pair_n_children(p, 1));
}

/* VRF-25, VRF-29, VRF-T9. */
static void each_form(void **state)
{
	(void)state;
	for (int version = CFG_IKEV1; version <= CFG_IKEV2; version++)
		for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
			attempt(version, &rows[i], rows[i].ok);
			if (rows[i].ok)
				assert_string_equal(pair_show(p, 1, "peer_id"), rows[i].as ? rows[i].as : "192.0.2.1");
			teardown(NULL);
		}
}

/* VRF-29: a profile that says nothing takes what is said for all; its own wins. */
static void own_identity(void **state)
{
	static const struct row inherited = {CFG_ID_NONE, NULL, CFG_ID_FQDN, "gw.example.org", false, true};

	(void)state;
	global = "gw.example.org";
	for (int version = CFG_IKEV1; version <= CFG_IKEV2; version++) {
		attempt(version, &inherited, true);
		assert_string_equal(pair_show(p, 1, "peer_id"), global);
		teardown(NULL);
		attempt(version, &rows[4], true);
		assert_string_equal(pair_show(p, 1, "peer_id"), "a.example.org");
		teardown(NULL);
	}
	global = NULL;
}

/* VRF-27: an address without a mask, of a peer in this front VRF and in no other. */
static void in_a_front_vrf(void **state)
{
	(void)state;
	for (int version = CFG_IKEV1; version <= CFG_IKEV2; version++)
		for (int here = 0; here < 2; here++) {
			match_vrf = here ? "here" : "other";
			attempt(version, &rows[0], here);
			teardown(NULL);
		}
	match_vrf = NULL;
}

/*
 * VRF-39: first the identity selects the profile, then that profile's keyrings are asked for the key. What another
 * profile, or the address, would have had does not count.
 */
static bool key_elsewhere;
static void two_profiles(struct cv_config *c, int host)
{
	static const char *const names[] = {"p", "vpn2-ra"}, *const ids[] = {"a.example.org", "b.example.org"},
				 *const rings[] = {"keys", "others"};
	struct cfg_ike_profile *q = config_alloc(c, 2, sizeof(*q));
	struct cfg_map_entry *e = config_alloc(c, 2, sizeof(*e));
	struct cfg_keyring *k = config_alloc(c, 2, sizeof(*k));
	c->ike_profile->aggressive = c->ike_profile->aggressive_psk = true; /* IKEv1: else the address has to do */
	if (!host) {
		c->ike_profile->local_id = (struct cfg_identity){.type = CFG_ID_FQDN, .text = ids[1]};
		return;
	}
	for (int i = 0; i < 2; i++) {
		bool right = key_elsewhere ? i == 0 : i == 1;
		k[i] = c->keyring[0];
		k[i].name = rings[i];
		k[i].psk = config_alloc(c, 1, sizeof(*k[i].psk));
		k[i].psk[0] = c->keyring[0].psk[0];
		k[i].psk[0].key = config_secret(c, right ? "secret" : "another", right ? 6 : 7);
		k[i].psk[0].key_len = right ? 6 : 7;
		q[i] = *c->ike_profile;
		q[i].name = names[i];
		q[i].keyring = config_alloc(c, 1, sizeof(*q[i].keyring));
		q[i].keyring[0] = rings[i];
		q[i].match = config_alloc(c, 1, sizeof(*q[i].match));
		q[i].match[0] = (struct cfg_identity){.type = CFG_ID_FQDN, .text = ids[i]};
		q[i].n_match = 1;
		e[i] = c->map->entry[0];
		e[i].seq = 10 + 10u * (unsigned)i;
		e[i].ike_profile = names[i];
	}
	c->keyring = k;
	c->ike_profile = q;
	c->map->entry = e;
	c->n_keyring = c->n_ike_profile = c->map->n_entry = 2;
}

static void profile_before_key(void **state)
{
	(void)state;
	for (int version = CFG_IKEV1; version <= CFG_IKEV2; version++)
		for (int i = 0; i < 2; i++) {
			key_elsewhere = i;
			p = pair_new(version, two_profiles);
			pair_acquire(p, 0, 0);
			pair_run(p, 3000);
			assert_int_equal(pair_n_children(p, 1), !key_elsewhere);
			if (!key_elsewhere)
				assert_string_equal(pair_show(p, 1, "profile"), "vpn2-ra");
			teardown(NULL);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(each_form, teardown),
		cmocka_unit_test_teardown(own_identity, teardown),
		cmocka_unit_test_teardown(in_a_front_vrf, teardown),
		cmocka_unit_test_teardown(profile_before_key, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
