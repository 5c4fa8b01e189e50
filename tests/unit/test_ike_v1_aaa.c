/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * IKEv1, two engines against each other: keys and logins from AAA servers (AGGR-1, 7..9, 13, 14, VRF-34, VRF-41). What
 * the servers say is the test's; host 1 is the hub that asks them.
 */
#include "ike_v1_env.h"

static bool local_fallback, inner_flow;

static void hub(struct cv_config *c)
{
	static const uint8_t key[] = "shared";
	c->radius_server = config_alloc(c, 1, sizeof(*c->radius_server));
	c->n_radius_server = c->n_aaa_group = 1;
	*c->radius_server = (struct cfg_radius_server){.name = "r",
		.port = 1812,
		.timeout_s = 5,
		.need_message_authenticator = true,
		.key = {config_secret(c, key, 6), 6}};
	c->aaa_group = config_alloc(c, 1, sizeof(*c->aaa_group));
	c->aaa_group->name = "ike";
	c->aaa_group->server = config_alloc(c, 1, sizeof(char *));
	c->aaa_group->server[0] = "r";
	c->aaa_group->n_server = 1;
}

/* AGGR-T1: the hub has no preshared key at all, and no address of the spoke. */
static void tweak_keys(struct cv_config *c, int host)
{
	struct cfg_ike_profile *q = c->ike_profile;
	q->aggressive_psk = true;
	if (!host) {
		q->aggressive = true;
		q->local_id = (struct cfg_identity){.type = CFG_ID_USER_FQDN, .text = "user@cisco.com"};
		return;
	}
	hub(c);
	c->keyring->n_psk = 0;
	c->map->entry->n_peer = 0;
	q->match = config_alloc(c, 1, sizeof(*q->match));
	q->n_match = 1;
	q->match[0] = (struct cfg_identity){.type = CFG_ID_USER_FQDN, .text = "cisco.com", .domain = true};
	q->aaa_authorization = "ike";
	q->aaa_password = (struct cfg_secret){config_secret(c, "cisco", 5), 5};
}

static void answer_key(const char *key)
{
	struct radius_answer a = {.accepted = true, .key_len = strlen(key)};
	memcpy(a.key, key, a.key_len);
	pair_aaa_answer(p, 1, AAA_ACCEPT, &a);
}

static void key_from_server(void **state)
{
	(void)state;
	start(tweak_keys);
	pair_acquire(p, 0, 0);
	pair_run(p, 500);
	assert_string_equal(p->h[1].aaa.user, "user@cisco.com");
	assert_string_equal(p->h[1].aaa.password, "cisco");
	assert_true(p->h[1].aaa.outbound);
	assert_int_equal(p->h[1].aaa.asked, 1);
	assert_int_equal(p->h[1].tx, 0);
	assert_string_equal(pair_show(p, 1, "state"), "AG_AAA_AWAIT");
	pair_run(p, 8000); /* the spoke repeats itself: that is no reason to ask again */
	assert_int_equal(p->h[1].aaa.asked, 1);
	answer_key("secret");
	pair_run(p, 8000);
	assert_true(pair_children_agree(p, 1));
	assert_string_equal(pair_show(p, 1, "peer_id"), "user@cisco.com");
	assert_string_equal(pair_show(p, 1, "state"), "QM_IDLE");
}

/* AGGR-T2, AGGR-10, AGGR-14. */
static void no_key_no_sa(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++) {
		start(tweak_keys);
		pair_acquire(p, 0, 0);
		pair_run(p, 500);
		if (i == 0)
			answer_key("another");
		else if (i == 1)
			pair_aaa_answer(p, 1, AAA_REJECT, &(struct radius_answer){0});
		else if (i == 2)
			pair_aaa_answer(p, 1, AAA_ACCEPT, &(struct radius_answer){.accepted = true});
		else
			pair_aaa_answer(p, 1, AAA_NO_ANSWER, NULL);
		pair_run(p, 500);
		if (i)
			assert_string_equal(pair_reason(p, 1, IKE_EVT_FAILED),
				i == 3 ? "no AAA server answers" : "AAA has no preshared key for the peer");
		else
			assert_string_equal(pair_reason(p, 0, IKE_EVT_FAILED),
				"authentication failed; do the preshared keys match?");
		p->cut = true; /* the spoke goes on trying, and would be asked about again */
		pair_run(p, 200000);
		for (int h = 0; h < 2; h++) {
			assert_int_equal(pair_n_sas(p, h), 0);
			assert_int_equal(pair_n_children(p, h), 0);
		}
		teardown(NULL);
	}
}

/* A server that takes for ever: the SA is over after its time, and the question with it. */
static void silent_server(void **state)
{
	(void)state;
	start(tweak_keys);
	pair_acquire(p, 0, 0);
	pair_run(p, 500);
	p->cut = true;
	pair_run(p, 31000);
	assert_int_equal(pair_n_sas(p, 1), 0);
	assert_int_equal(pair_stat(p, 1, "half_open"), 0);
	assert_int_equal(p->h[1].aaa.cancelled, 1);
	/* nobody to ask at all: as silent */
	pair_run(p, 200000);
	p->cut = false;
	p->h[1].aaa.none = true;
	pair_acquire(p, 0, 0);
	pair_run(p, 500);
	assert_string_equal(pair_reason(p, 1, IKE_EVT_FAILED), "no AAA server answers");
}

/* ---- logins ---- */

static void tweak_login(struct cv_config *c, int host)
{
	struct cfg_ike_profile *q = c->ike_profile;
	q->xauth = host ? CFG_XAUTH_SERVER : CFG_XAUTH_CLIENT;
	if (!host) {
		q->xauth_user = "alice";
		q->xauth_password = (struct cfg_secret){config_secret(c, "correct horse", 13), 13};
		q->config_request = true;
		if (inner_flow) { /* VRF-48: it speaks for its inner address only */
			struct cv_selector *s = &c->acl->line[0].sel;
			cv_addr_parse("10.1.0.77", &s->src.lo);
			s->src.hi = s->src.lo;
		}
		return;
	}
	hub(c);
	q->aaa_authentication = "ike";
	q->aaa_local = local_fallback;
	q->config_respond = true;
	c->user = config_alloc(c, 1, sizeof(*c->user));
	c->n_user = 1;
	c->user->name = "alice";
	c->user->password = (struct cfg_secret){config_secret(c, "correct horse", 13), 13};
}

static void ask_login(void)
{
	start(tweak_login);
	pair_acquire(p, 0, 0);
	pair_run(p, 1000);
	assert_string_equal(p->h[1].aaa.user, "alice");
	assert_string_equal(p->h[1].aaa.password, "correct horse");
	assert_false(p->h[1].aaa.outbound);
	assert_string_equal(pair_show(p, 1, "state"), "CONF_AAA_AWAIT");
	assert_int_equal(pair_n_children(p, 1), 0);
}

static void good_login(void **state)
{
	(void)state;
	struct radius_answer a = {.accepted = true, .address = {.af = CV_AF_INET, .b = {10, 1, 0, 77}}};
	local_fallback = false;
	inner_flow = true;
	ask_login();
	inner_flow = false;
	pair_aaa_answer(p, 1, AAA_ACCEPT, &a);
	pair_run(p, 5000);
	assert_true(pair_children_agree(p, 1));
	assert_string_equal(pair_show(p, 1, "xauth_user"), "alice");
	assert_string_equal(pair_show(p, 1, "peer_inner_address"), "10.1.0.77");
	assert_string_equal(pair_show(p, 0, "inner_address"), "10.1.0.77");
	pair_restart(p, 1);
	assert_string_equal(pair_show(p, 1, "peer_inner_address"), "10.1.0.77");
}

/* A refusal stands; silence is a refusal unless local users may judge then. */
static void bad_login(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++) {
		local_fallback = i & 1;
		ask_login();
		pair_aaa_answer(p, 1, i & 2 ? AAA_NO_ANSWER : AAA_REJECT, i & 2 ? NULL : &(struct radius_answer){0});
		pair_run(p, 5000);
		bool up = i == 3;
		assert_int_equal(pair_n_children(p, 1), up);
		assert_int_equal(pair_n_sas(p, 1), up);
		if (!up)
			assert_string_equal(pair_reason(p, 1, IKE_EVT_FAILED),
				i == 2 ? "no AAA server answers" : "Xauth: name or password refused");
		teardown(NULL);
	}
}

static void login_cleared_meanwhile(void **state)
{
	(void)state;
	ask_login();
	ike_clear(p->h[1].ike, &(struct ike_match){.fvrf = -1, .ivrf = -1});
	assert_int_equal(p->h[1].aaa.cancelled, 1);
	pair_run(p, 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		V1_TEST(key_from_server),
		V1_TEST(no_key_no_sa),
		V1_TEST(silent_server),
		V1_TEST(good_login),
		V1_TEST(bad_login),
		V1_TEST(login_cleared_meanwhile),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
