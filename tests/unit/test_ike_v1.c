/* SPDX-License-Identifier: BSD-3-Clause */
/* IKEv1, two engines against each other: phase 1 with its policies and identities, and what is refused. */
#include "ike_v1_env.h"

/* ---- the plain case ---- */

/* IKE-11: nothing is said about the mode: main mode. */
static void main_and_quick(void **state)
{
	(void)state;
	start(NULL);
	pair_acquire(p, 0, 0);
	assert_string_equal(pair_show(p, 0, "state"), "MM_NO_STATE");
	pair_run(p, 35);
	assert_string_equal(pair_show(p, 0, "state"), "MM_SA_SETUP");
	pair_run(p, 10);
	assert_string_equal(pair_show(p, 0, "state"), "MM_KEY_EXCH");
	pair_run(p, 955);
	for (int i = 0; i < 2; i++) {
		assert_string_equal(pair_show(p, i, "state"), "QM_IDLE");
		assert_int_equal(pair_n_sas(p, i), 1);
		assert_int_equal(pair_events(p, i, IKE_EVT_UP), 1);
		assert_string_equal(pair_show(p, i, "encr"), "aes256-cbc");
		assert_string_equal(pair_show(p, i, "hash"), "sha256");
		assert_string_equal(pair_show(p, i, "group"), "ecp256");
		assert_string_equal(pair_show(p, i, "nat_t"), "false");
	}
	assert_string_equal(pair_show(p, 0, "mode"), "main");
	assert_string_equal(pair_show(p, 0, "role"), "initiator");
	assert_string_equal(pair_show(p, 0, "peer_id"), "192.0.2.2");
	assert_true(pair_children_agree(p, 1));
	struct pair_child *c = pair_newest(p, 0);
	assert_int_equal(c->p.rule_id, 100);
	assert_true(algo_suite_equal(c->p.suite, (struct algo_suite){.encr = CV_ENCR_AES128_GCM16}));
	assert_int_equal(c->keys.len, 20);
	assert_false(c->p.udp_encap);
	/* nothing more happens while nobody needs anything: six messages of main mode, three of quick mode */
	assert_int_equal(p->n_ike, 9);
	pair_run(p, 600000);
	assert_int_equal(p->n_ike, 9);
}

/* ---- policies (IKE-27..30, IKE-T7) ---- */

/* The initiator prefers AES-128, the responder AES-256: the responder's order decides. */
static void tweak_order(struct cv_config *c, int host)
{
	policies(c, 2);
	c->ike_policy[host ? 1 : 0].key_bits = 128;
}

static void responder_order(void **state)
{
	(void)state;
	start(tweak_order);
	bring_up();
	assert_string_equal(pair_show(p, 0, "encr"), "aes256-cbc");
	assert_string_equal(pair_show(p, 1, "encr"), "aes256-cbc");
}

static void tweak_life_responder(struct cv_config *c, int host)
{
	policies(c, 1);
	c->ike_policy[0].lifetime_s = host ? 3600 : 86400;
}

static void tweak_life_initiator(struct cv_config *c, int host)
{
	policies(c, 1);
	c->ike_policy[0].lifetime_s = host ? 86400 : 3600;
}

/* IKE-29, VRF-43: the shorter lifetime applies at both ends, whoever has it (docs/decisions.md on IKE-Q2). */
static void shorter_lifetime(void **state)
{
	(void)state;
	void (*const tweaks[])(struct cv_config *, int) = {tweak_life_responder, tweak_life_initiator};
	for (int i = 0; i < 2; i++) {
		start(tweaks[i]);
		bring_up();
		assert_string_equal(pair_show(p, 0, "lifetime"), "3600");
		assert_string_equal(pair_show(p, 1, "lifetime"), "3600");
		teardown(NULL);
	}
}

static void tweak_no_policy(struct cv_config *c, int host)
{
	policies(c, 1);
	c->ike_policy[0].key_bits = host ? 192 : 256;
	c->ike_policy[0].hash = host ? IKE_PRF_HMAC_SHA384 : IKE_PRF_HMAC_SHA512;
}

/* IKE-30: no overlap: refused, both ends say why, no IPsec SA. */
static void no_policy(void **state)
{
	(void)state;
	start(tweak_no_policy);
	drop_builtin(p);
	pair_acquire(p, 0, 0);
	pair_run(p, 1000);
	assert_int_equal(pair_n_sas(p, 0), 0);
	assert_int_equal(pair_n_sas(p, 1), 0);
	assert_string_equal(pair_reason(p, 0, IKE_EVT_FAILED), "no proposal chosen");
	assert_string_equal(pair_reason(p, 1, IKE_EVT_FAILED), "no proposal chosen");
	assert_int_equal(p->h[0].acquire_failures, 1);
	assert_int_equal(pair_stat(p, 1, "no_proposal_chosen"), 1);
}

static void tweak_legacy(struct cv_config *c, int host)
{
	(void)host;
	c->allow_legacy = true;
	policies(c, 1);
	c->ike_policy[0].encr = IKE_ENCR_3DES;
	c->ike_policy[0].key_bits = 0;
	c->ike_policy[0].hash = IKE_PRF_HMAC_SHA1;
	c->ike_policy[0].group = IKE_GROUP_MODP1536;
}

static void legacy(void **state)
{
	(void)state;
	start(tweak_legacy);
	bring_up();
	assert_string_equal(pair_show(p, 0, "encr"), "3des");
	assert_string_equal(pair_show(p, 0, "group"), "modp1536");
	teardown(NULL);
	/* without the permission the policy is not offered, and beside one of the operator's no built-in one (USAB-6)
	 */
	start(tweak_legacy);
	p->h[0].cfg->allow_legacy = false;
	pair_acquire(p, 0, 0);
	pair_run(p, 5000);
	assert_int_equal(pair_n_children(p, 0), 0);
	assert_int_equal(pair_n_sas(p, 1), 0);
}

/* Every group, hash and key length that IKEv1 can name. */
static void algorithms(void **state)
{
	(void)state;
	static const struct {
		enum ike_group group;
		enum ike_prf hash;
		uint16_t bits;
	} t[] = {{IKE_GROUP_MODP2048, IKE_PRF_HMAC_SHA256, 128}, {IKE_GROUP_MODP3072, IKE_PRF_HMAC_SHA384, 192},
		{IKE_GROUP_ECP384, IKE_PRF_HMAC_SHA512, 256}, {IKE_GROUP_ECP521, IKE_PRF_HMAC_SHA256, 256}};
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		start(tweak_order);
		for (int h = 0; h < 2; h++) {
			struct cfg_ike_policy *q = &p->h[h].cfg->ike_policy[0];
			q->group = t[i].group;
			q->hash = t[i].hash;
			q->key_bits = t[i].bits;
		}
		bring_up();
		assert_string_equal(pair_show(p, 1, "group"), algo_ike_get(ALGO_IKE_GROUP, t[i].group, 0)->name);
		assert_string_equal(pair_show(p, 1, "hash"), algo_ike_get(ALGO_IKE_PRF, t[i].hash, 0)->name);
		teardown(NULL);
	}
}

static void tweak_180(struct cv_config *c, int host)
{
	(void)host;
	policies(c, 1);
	c->ike_policy[0].lifetime_s = 180;
}

/* IKE-T2: AES-256, 180 s: the SA is gone by then, and a successor there. */
static void short_lifetime(void **state)
{
	(void)state;
	start(tweak_180);
	bring_up();
	char first[32];
	strcpy(first, pair_show(p, 0, "spi_i"));
	assert_string_equal(pair_show(p, 0, "encr"), "aes256-cbc");
	assert_string_equal(pair_show(p, 0, "lifetime"), "180");
	pair_run(p, 180000);
	assert_int_equal(pair_n_sas(p, 0), 1);
	assert_string_not_equal(pair_show(p, 0, "spi_i"), first);
	assert_true(pair_children_agree(p, 1));
}

/* ---- authentication ---- */

static void tweak_psk(struct cv_config *c, int host)
{
	if (host)
		c->keyring->psk->key = config_secret(c, "secreT", 6);
}

/* IKE-54 */
static void wrong_psk(void **state)
{
	(void)state;
	start(tweak_psk);
	pair_acquire(p, 0, 0);
	pair_run(p, 100000);
	assert_int_equal(pair_n_sas(p, 0), 0);
	assert_int_equal(pair_n_sas(p, 1), 0);
	assert_int_equal(pair_n_children(p, 0), 0);
	assert_string_equal(pair_reason(p, 0, IKE_EVT_FAILED), "authentication failed; do the preshared keys match?");
	assert_string_equal(pair_reason(p, 1, IKE_EVT_FAILED), "authentication failed; do the preshared keys match?");
	assert_int_equal(p->h[0].acquire_failures, 1);
	assert_true(pair_stat(p, 1, "auth_failed") >= 1);
}

static void tweak_no_psk(struct cv_config *c, int host)
{
	if (host)
		assert_int_equal(cv_prefix_parse("203.0.113.0/24", &c->keyring->psk->peer), 0);
}

/* IKE-52: no key for that address: strangers get no answer. */
static void no_psk_for_peer(void **state)
{
	(void)state;
	start(tweak_no_psk);
	pair_acquire(p, 0, 0);
	pair_run(p, 200000);
	assert_int_equal(p->h[1].tx, 0);
	assert_true(pair_stat(p, 1, "v1_no_profile") > 0);
	assert_string_equal(pair_reason(p, 0, IKE_EVT_FAILED), "peer not responding");
	/* and as initiator nothing is sent at all */
	unsigned n = p->n_ike;
	pair_acquire(p, 1, 0);
	pair_run(p, 1000);
	assert_int_equal(p->n_ike, n);
	assert_int_equal(p->h[1].acquire_failures, 1);
}

static void tweak_identity(struct cv_config *c, int host)
{
	struct cfg_ike_profile *q = c->ike_profile;
	q->match = config_alloc(c, 1, sizeof(*q->match));
	q->n_match = 1;
	q->match[0].type = CFG_ID_FQDN;
	q->match[0].text = host ? "left.example.com" : "right.example.com";
	q->local_id.type = CFG_ID_FQDN;
	q->local_id.text = host ? "right.example.com" : "left.example.com";
}

static void tweak_bad_identity(struct cv_config *c, int host)
{
	tweak_identity(c, host);
	if (!host)
		c->ike_profile->local_id.text = "other.example.com";
}

static void identities(void **state)
{
	(void)state;
	start(tweak_identity);
	bring_up();
	assert_string_equal(pair_show(p, 1, "peer_id"), "left.example.com");
	teardown(NULL);
	start(tweak_bad_identity);
	pair_acquire(p, 0, 0);
	pair_run(p, 100000);
	assert_string_equal(pair_reason(p, 1, IKE_EVT_FAILED), "identity of the peer not accepted");
	assert_int_equal(pair_n_sas(p, 0), 0);
	assert_int_equal(pair_n_sas(p, 1), 0);
}

/* ---- refusals ---- */

static void later_exchanges(void **state)
{
	(void)state;
	uint8_t m[28] = {1, 2, 3, 4, 5, 6, 7, 8, [16] = 1, [17] = 0x10, [18] = 4, [27] = 28};
	start(NULL);
	from(0, m, sizeof(m));
	assert_int_equal(pair_stat(p, 1, "v1_aggressive_refused"), 1);
	assert_int_equal(p->h[1].tx, 1); /* invalid-exchange-type */
	m[18] = 6;
	from(0, m, sizeof(m));
	m[18] = 33;
	from(0, m, sizeof(m));
	assert_int_equal(pair_stat(p, 1, "v1_exchange_refused"), 2);
	m[8] = 9; /* for an SA that does not exist */
	m[18] = 2;
	from(0, m, sizeof(m));
	assert_int_equal(pair_stat(p, 1, "rx_unknown_spi"), 1);
	assert_int_equal(pair_n_sas(p, 1), 0);
}

/* Everything that was ever sent, once more, with each byte in turn flipped: nothing may come of it. */
static void damaged_messages(void **state)
{
	(void)state;
	start(NULL);
	record(64, 0);
	bring_up();
	p->filter = NULL;
	pair_run(p, 1000);
	replay_damaged(0x40, false);
	pair_run(p, 120000);
	assert_true(pair_children_agree(p, 1));
	/* a new first message is a new negotiation, which times out; nothing else stays */
	assert_int_equal(pair_n_sas(p, 0), 1);
	assert_int_equal(pair_n_sas(p, 1), 1);
	assert_int_equal(pair_events(p, 0, IKE_EVT_DOWN) + pair_events(p, 1, IKE_EVT_DOWN), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		V1_TEST(main_and_quick),
		V1_TEST(responder_order),
		V1_TEST(shorter_lifetime),
		V1_TEST(no_policy),
		V1_TEST(legacy),
		V1_TEST(algorithms),
		V1_TEST(short_lifetime),
		V1_TEST(wrong_psk),
		V1_TEST(no_psk_for_peer),
		V1_TEST(identities),
		V1_TEST(later_exchanges),
		V1_TEST(damaged_messages),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
