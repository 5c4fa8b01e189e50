/* SPDX-License-Identifier: BSD-3-Clause */
/* IKEv1, two engines against each other: aggressive mode (IKE-10..15, AGGR-*) and peers with dynamic addresses. */
#include "ike_v1_env.h"

static void switches(struct cv_config *c)
{
	c->ike_profile->aggressive = true;
	c->ike_profile->aggressive_psk = true;
}

static void match(struct cv_config *c, enum cfg_id_type type, const char *text)
{
	struct cfg_ike_profile *q = c->ike_profile;
	q->match = config_alloc(c, 1, sizeof(*q->match));
	q->n_match = 1;
	q->match[0].type = type;
	q->match[0].text = text;
}

static void key(struct cfg_psk *k, const char *name)
{
	k->peer = (struct cv_prefix){0};
	k->hostname = name;
}

static void tweak_plain(struct cv_config *c, int host)
{
	(void)host;
	switches(c);
}

/* IKE-12, IKE-13, IKE-15, AGGR-16, VRF-35, CERTMAP-16: the profile says so, and the responder answers in kind. */
static void aggressive_and_quick(void **state)
{
	(void)state;
	start(tweak_plain);
	pair_acquire(p, 0, 0);
	assert_string_equal(pair_show(p, 0, "state"), "AG_NO_STATE");
	pair_run(p, 15);
	assert_string_equal(pair_show(p, 1, "state"), "AG_INIT_EXCH");
	pair_run(p, 985);
	for (int i = 0; i < 2; i++) {
		assert_string_equal(pair_show(p, i, "state"), "QM_IDLE");
		assert_string_equal(pair_show(p, i, "mode"), "aggressive");
		assert_int_equal(pair_n_sas(p, i), 1);
	}
	assert_true(pair_children_agree(p, 1));
	assert_int_equal(p->n_ike, 6); /* three messages and three of quick mode */
	pair_run(p, 600000);
	assert_int_equal(p->n_ike, 6);
}

/* The dynamic hub: no peer address in the entry, one key per spoke, found by the identity that the spoke shows. */
static enum cfg_id_type id_type;
static const char *id_text;

static void tweak_dynamic(struct cv_config *c, int host)
{
	switches(c);
	if (host) {
		c->ike_profile->aggressive = false;
		match(c, id_type, id_text);
		key(c->keyring->psk, id_text);
		c->map->entry->n_peer = 0;
	} else {
		c->ike_profile->local_id.type = id_type;
		c->ike_profile->local_id.text = id_text;
	}
}

/* AGGR-T3, AGGR-3, AGGR-4, AGGR-12, IKE-14: host name, user and key id as identity of a spoke whose address the hub
 * does not know. */
static void dynamic_peers(void **state)
{
	(void)state;
	static const struct {
		enum cfg_id_type type;
		const char *text;
		uint8_t wire;
	} t[] = {{CFG_ID_FQDN, "spoke1.example.com", 2}, {CFG_ID_USER_FQDN, "user@example.com", 3},
		{CFG_ID_KEY_ID, "branch", 11}};
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		id_type = t[i].type;
		id_text = t[i].text;
		start(tweak_dynamic);
		bring_up();
		assert_string_equal(pair_show(p, 1, "peer_id"), id_text);
		/* the hub has no address to begin with: its own traffic can only wait for the spoke */
		struct ike_match m = {.fvrf = -1, .ivrf = -1};
		ike_clear(p->h[0].ike, &m);
		pair_run(p, 5000);
		pair_acquire(p, 1, 0);
		pair_run(p, 1000);
		assert_int_equal(pair_n_sas(p, 1), 0);
		assert_string_equal(pair_reason(p, 1, IKE_EVT_FAILED), "no peer configured");
		teardown(NULL);
	}
}

/* The first message names the identity on the wire (AGGR-3). */
static bool saw_id;
static bool look_for_id(struct pair *q, int who, unsigned n, const uint8_t *data, size_t len)
{
	(void)q, (void)who;
	for (size_t i = 0; n == 0 && i + 16 < len; i++)
		saw_id |= data[i] == 3 && memcmp(data + i + 4, "user@example.com", 16) == 0;
	return true;
}

static void identity_on_the_wire(void **state)
{
	(void)state;
	id_type = CFG_ID_USER_FQDN;
	id_text = "user@example.com";
	saw_id = false;
	start(tweak_dynamic);
	p->filter = look_for_id;
	bring_up();
	assert_true(saw_id);
}

static void tweak_stranger(struct cv_config *c, int host)
{
	tweak_dynamic(c, host);
	if (!host)
		c->ike_profile->local_id.text = "mallory@example.com";
}

static void unknown_identity(void **state)
{
	(void)state;
	start(tweak_stranger);
	pair_acquire(p, 0, 0);
	pair_run(p, 200000);
	assert_int_equal(p->h[1].tx, 0); /* strangers get no answer */
	assert_true(pair_stat(p, 1, "v1_no_profile") > 0);
	assert_int_equal(pair_stat(p, 1, "sa_responded"), 0);
}

static void tweak_wrong_key(struct cv_config *c, int host)
{
	switches(c);
	if (host)
		c->keyring->psk->key = config_secret(c, "secreT", 6);
}

/* AGGR-T2, AGGR-10: nothing comes up, both ends know why, and the initiator gives up at once. */
static void wrong_key(void **state)
{
	(void)state;
	start(tweak_wrong_key);
	pair_acquire(p, 0, 0);
	pair_run(p, 1000);
	assert_int_equal(pair_n_sas(p, 0), 0);
	assert_string_equal(pair_reason(p, 0, IKE_EVT_FAILED), "authentication failed; do the preshared keys match?");
	pair_run(p, 100000);
	assert_int_equal(pair_n_sas(p, 1), 0);
	assert_int_equal(pair_n_children(p, 0), 0);
	assert_true(pair_stat(p, 0, "auth_failed") >= 1);
	assert_int_equal(pair_stat(p, 1, "half_open"), 0);
}

static void tweak_no_key(struct cv_config *c, int host)
{
	switches(c);
	if (!host)
		key(c->keyring->psk, "somebody.example.com");
}

/* AGGR-T4: identity without a key: no aggressive mode is begun. */
static void no_key(void **state)
{
	(void)state;
	start(tweak_no_key);
	pair_acquire(p, 0, 0);
	pair_run(p, 1000);
	assert_int_equal(p->n_ike, 0);
	assert_int_equal(p->h[0].acquire_failures, 1);
}

static void tweak_not_allowed(struct cv_config *c, int host)
{
	c->ike_profile->aggressive = c->ike_profile->aggressive_psk = host == 0;
}

/* The second switch: a responder that does not allow it refuses, by name, and stays reachable in main mode. */
static void not_allowed(void **state)
{
	(void)state;
	start(tweak_not_allowed);
	pair_acquire(p, 0, 0);
	pair_run(p, 1000);
	assert_int_equal(pair_n_sas(p, 0), 0);
	assert_string_equal(pair_reason(p, 0, IKE_EVT_FAILED), "invalid-exchange-type");
	assert_int_equal(pair_stat(p, 1, "v1_aggressive_refused"), 1);
	pair_acquire(p, 1, 0);
	pair_run(p, 1000);
	assert_true(pair_children_agree(p, 1));
	assert_string_equal(pair_show(p, 0, "mode"), "main");
}

static void tweak_groups(struct cv_config *c, int host)
{
	switches(c);
	policies(c, 2);
	c->ike_policy[host ? 0 : 1].group = IKE_GROUP_MODP2048;
}

/* AGGR-Q4: only policies of the first one's group can be offered. */
static void one_group(void **state)
{
	(void)state;
	start(tweak_groups);
	bring_up();
	assert_string_equal(pair_show(p, 1, "group"), "ecp256");
}

static void every_message_lost(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 6; n++) {
		start(tweak_plain);
		up_without(n);
		pair_run(p, 60000);
		assert_true(pair_children_agree(p, 1));
		for (int i = 0; i < 2; i++)
			assert_int_equal(pair_n_sas(p, i), 1);
		assert_int_equal(p->h[0].acquire_failures, 0);
		teardown(NULL);
	}
}

static void duplicates(void **state)
{
	(void)state;
	start(tweak_plain);
	p->dup = 100;
	bring_up();
	pair_run(p, 60000);
	assert_true(pair_children_agree(p, 1));
	assert_int_equal(pair_stat(p, 1, "sa_responded"), 1);
	assert_true(p->n_ike < 40); /* repeats do not answer each other for ever */
}

static void aggr_behind_nat(struct cv_config *c, int host)
{
	switches(c);
	tweak_nat(c, host);
}

static void nat(void **state)
{
	(void)state;
	p = pair_new(CFG_IKEV1, aggr_behind_nat);
	p->nat = true;
	bring_up();
	encapsulated();
	assert_string_equal(pair_show(p, 0, "nat_local"), "true");
	assert_string_equal(pair_show(p, 1, "nat_remote"), "true");
	assert_int_equal(pair_newest(p, 1)->p.path.rport, 14500);
}

static void tweak_rekey(struct cv_config *c, int host)
{
	tweak_short(c, host);
	switches(c);
}

static void rekey_and_restart(void **state)
{
	(void)state;
	start(tweak_rekey);
	bring_up();
	p->traffic_ms = 50;
	pair_run(p, 5000);
	pair_restart(p, 0);
	assert_string_equal(pair_show(p, 0, "mode"), "aggressive");
	traffic_for(3600000);
	nothing_lost();
	assert_true(pair_events(p, 0, IKE_EVT_REKEYED) >= 3);
	assert_string_equal(pair_show(p, 0, "mode"), "aggressive");
}

/* Each message of phase 1 with each byte in turn flipped, after the fact: the session does not notice. */
static void damaged_messages(void **state)
{
	(void)state;
	start(tweak_plain);
	record(16, 0);
	bring_up();
	p->filter = NULL;
	replay_damaged(0x40, false);
	pair_run(p, 120000);
	assert_true(pair_children_agree(p, 1));
	for (int i = 0; i < 2; i++) {
		assert_int_equal(pair_n_sas(p, i), 1);
		assert_int_equal(pair_events(p, i, IKE_EVT_DOWN), 0);
	}
}

/* Main mode with a peer of any address: the wildcard key (IKE-53) and the profile that its identity selects. */
static void tweak_wildcard(struct cv_config *c, int host)
{
	if (host) {
		match(c, CFG_ID_FQDN, "spoke1.example.com");
		c->map->entry->n_peer = 0;
	} else {
		c->ike_profile->local_id.type = CFG_ID_FQDN;
		c->ike_profile->local_id.text = "spoke1.example.com";
	}
}

static void main_mode_dynamic(void **state)
{
	(void)state;
	start(tweak_wildcard);
	bring_up();
	assert_string_equal(pair_show(p, 1, "mode"), "main");
	assert_string_equal(pair_show(p, 1, "peer_id"), "spoke1.example.com");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		V1_TEST(aggressive_and_quick),
		V1_TEST(dynamic_peers),
		V1_TEST(identity_on_the_wire),
		V1_TEST(unknown_identity),
		V1_TEST(wrong_key),
		V1_TEST(no_key),
		V1_TEST(not_allowed),
		V1_TEST(one_group),
		V1_TEST(every_message_lost),
		V1_TEST(duplicates),
		V1_TEST(nat),
		V1_TEST(rekey_and_restart),
		V1_TEST(damaged_messages),
		V1_TEST(main_mode_dynamic),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
