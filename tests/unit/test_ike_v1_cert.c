/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * IKEv1 with signatures, two engines against each other (RFC 2409 5.1, RFC 4754, RFC 4945; IKE-37, IKE-39): main mode,
 * and aggressive mode (IKE-10, IKE-13).
 */
#include "ike_v1_env.h"

#include "cert_env.h"

static EVP_PKEY *host_key[2];
static bool with_fqdn;	/* both send a name, not their subject */
static bool aggressive; /* both begin so, and answer it */

static int setup(void **state)
{
	host_key[0] = pkim_key("RSA");
	host_key[1] = pkim_key("RSA");
	return cert_env_setup(state);
}

static int finish(void **state)
{
	EVP_PKEY_free(host_key[0]);
	EVP_PKEY_free(host_key[1]);
	return cert_env_finish(state);
}

static int reset(void **state)
{
	(void)state;
	cert_env_reset();
	with_fqdn = aggressive = false;
	return 0;
}

static void with_certs(struct cv_config *c, int i)
{
	c->trust_point = config_alloc(c, 1, sizeof(*c->trust_point));
	cert_env_point(c, "lab", i, host_key[i], i && cert_env.by_rogue, cert_env.ca_path);
	policies(c, 1);
	c->ike_policy[0].auth = CFG_AUTH_RSA_SIG;
	c->ike_profile->n_match = 0;
	c->ike_profile->aggressive = c->ike_profile->aggressive_sig = aggressive;
	if (with_fqdn)
		cert_env_fqdn(c, i);
}

static void try(int from_host)
{
	start(with_certs);
	drop_builtin(p);
	pair_acquire(p, from_host, 0);
	pair_run(p, 1000);
}

static void refused(void)
{
	pair_run(p, 60000);
	assert_int_equal(pair_n_children(p, 0) + pair_n_children(p, 1), 0);
	assert_int_equal(pair_n_sas(p, 0) + pair_n_sas(p, 1), 0);
	assert_true(pair_stat(p, 0, "auth_failed") + pair_stat(p, 1, "auth_failed") >= 1);
	teardown(NULL);
}

/* IKE-37: both roles; without more, each end calls itself by the subject of its certificate (DER_ASN1_DN). */
static void both_roles(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		try(i);
		assert_true(pair_children_agree(p, 1));
		for (int h = 0; h < 2; h++) {
			assert_string_equal(pair_show(p, h, "auth"), "rsa-sig");
			assert_string_equal(pair_show(p, h, "state"), "QM_IDLE");
			assert_string_equal(pair_show(p, h, "peer_certificate"), h ? "O=Lab, CN=gw0" : "O=Lab, CN=gw1");
			assert_string_equal(pair_show(p, h, "peer_id"), h ? "O=Lab, CN=gw0" : "O=Lab, CN=gw1");
		}
		assert_int_equal(p->n_ike, 9); /* six messages of main mode, three of quick mode */
		teardown(NULL);
	}
}

static void with_certs_behind_nat(struct cv_config *c, int i)
{
	with_certs(c, i);
	tweak_nat(c, i);
}

static EVP_PKEY *ec_key[2];
static void show_is(int h, const char *mode)
{
	assert_string_equal(pair_show(p, h, "auth"), "rsa-sig");
	assert_string_equal(pair_show(p, h, "mode"), mode);
	assert_string_equal(pair_show(p, h, "peer_certificate"), h ? "O=Lab, CN=gw0" : "O=Lab, CN=gw1");
}

/* IKE-10, IKE-13: three messages, both ends proved by certificate; by subject and by name. */
static void aggressive_mode(void **state)
{
	(void)state;
	aggressive = true;
	cert_env.san[0] = "DNS:gw0.example.org";
	cert_env.san[1] = "DNS:gw1.example.org";
	for (int i = 0; i < 4; i++) {
		with_fqdn = i >= 2;
		try(i % 2);
		assert_true(pair_children_agree(p, 1));
		show_is(0, "aggressive");
		show_is(1, "aggressive");
		unsigned packets =
			p->n_ike; /* three messages, those with certificates in pieces, and three of quick mode */
		assert_in_range(packets, 6, 8);
		pair_run(p, 600000);
		assert_int_equal(p->n_ike, packets);
		teardown(NULL);
	}
	aggressive = with_fqdn = true;
	cert_env.san[1] = "DNS:other.example.org";
	for (int i = 0; i < 2; i++) {
		try(i);
		refused();
	}
	cert_env_reset();
	with_fqdn = false;
	cert_env.by_rogue = true;
	for (int i = 0; i < 2; i++) {
		try(i);
		refused();
	}
}

/* RFC 4754: methods 9 to 11, one for each curve, which both ends share. */
static void with_ec(struct cv_config *c, int i)
{
	EVP_PKEY *rsa = host_key[i];
	host_key[i] = ec_key[i];
	with_certs(c, i);
	host_key[i] = rsa;
	c->ike_policy[0].auth = CFG_AUTH_ECDSA_SIG;
}

static void try_ec(const char *one, const char *other)
{
	ec_key[0] = pkim_key(one);
	ec_key[1] = pkim_key(other);
	start(with_ec);
	drop_builtin(p);
	pair_acquire(p, 0, 0);
	pair_run(p, 1000);
	EVP_PKEY_free(ec_key[0]);
	EVP_PKEY_free(ec_key[1]);
}

static void ecdsa(void **state)
{
	(void)state;
	static const char *const curve[] = {"EC256", "EC384", "EC521"};
	for (int i = 0; i < 6; i++) {
		aggressive = i & 1;
		try_ec(curve[i / 2], curve[i / 2]);
		assert_true(pair_children_agree(p, 1));
		for (int h = 0; h < 2; h++) {
			assert_string_equal(pair_show(p, h, "auth"), "ecdsa-sig");
			assert_string_equal(pair_show(p, h, "mode"), aggressive ? "aggressive" : "main");
		}
		pair_restart(p, 1);
		assert_string_equal(pair_show(p, 1, "auth"), "ecdsa-sig");
		teardown(NULL);
	}
	aggressive = false;
	try_ec("EC256", "EC384");
	assert_int_equal(pair_n_children(p, 0) + pair_n_children(p, 1), 0);
	assert_true(pair_stat(p, 1, "no_proposal_chosen") >= 1);
	teardown(NULL);
	cert_env.by_rogue = true;
	try_ec("EC256", "EC256");
	refused();
}

/* What a certificate is good for in aggressive mode is a switch of its own (RFC 9395). */
static void only_main(struct cv_config *c, int i)
{
	with_certs(c, i);
	c->ike_profile->aggressive = c->ike_profile->aggressive_sig = i == 0;
}

static void aggressive_not_allowed(void **state)
{
	(void)state;
	start(only_main);
	drop_builtin(p);
	pair_acquire(p, 0, 0);
	pair_run(p, 1000);
	assert_int_equal(pair_n_sas(p, 0), 0);
	assert_string_equal(pair_reason(p, 0, IKE_EVT_FAILED), "invalid-exchange-type");
	assert_int_equal(pair_stat(p, 1, "v1_aggressive_refused"), 1);
	pair_acquire(p, 1, 0);
	pair_run(p, 1000);
	assert_true(pair_children_agree(p, 1));
	show_is(0, "main");
}

static void aggressive_loss_and_repeats(void **state)
{
	(void)state;
	aggressive = true;
	for (unsigned n = 0; n < 6; n++) {
		start(with_certs);
		drop_builtin(p);
		up_without(n);
		pair_run(p, 60000);
		assert_true(pair_children_agree(p, 1));
		assert_int_equal(pair_n_sas(p, 0) + pair_n_sas(p, 1), 2);
		teardown(NULL);
	}
	start(with_certs);
	drop_builtin(p);
	p->dup = 100;
	bring_up();
	pair_run(p, 60000);
	assert_true(pair_children_agree(p, 1));
	assert_int_equal(pair_stat(p, 1, "sa_responded"), 1);
	assert_true(p->n_ike < 40);
	teardown(NULL);
	p = pair_new(CFG_IKEV1, with_certs_behind_nat);
	p->nat = true;
	bring_up();
	encapsulated();
	show_is(1, "aggressive");
}

/* Whoever can write on the wire sends message 3 with bytes changed first, in clear and sealed: the right one counts. */
static unsigned n_forged;
static bool forge_3(struct pair *q, int who, unsigned n, const uint8_t *data, size_t len)
{
	(void)q, (void)n;
	if (who || n_forged || len < 500 || data[18] != 4 || !(data[19] & 1))
		return true;
	uint8_t forged[9000];
	n_forged++;
	memcpy(forged, data, len);
	forged[19] = 0; /* not encrypted, it says */
	from(0, forged, len);
	return true;
}

static void forged_message_3(void **state)
{
	(void)state;
	aggressive = true;
	n_forged = 0;
	start(with_certs);
	drop_builtin(p);
	p->filter = forge_3;
	bring_up();
	assert_int_equal(n_forged, 1);
	assert_true(pair_children_agree(p, 1));
	assert_true(pair_stat(p, 1, "auth_failed") >= 1);
}

/* Each byte of each message flipped, after the fact: the session does not notice. */
static void aggressive_damaged(void **state)
{
	(void)state;
	aggressive = true;
	start(with_certs);
	drop_builtin(p);
	record(3, 4);
	bring_up();
	p->filter = NULL;
	assert_int_equal(recorded(), 3);
	replay_damaged(0x40, false);
	pair_run(p, 120000);
	assert_true(pair_children_agree(p, 1));
	for (int i = 0; i < 2; i++)
		assert_int_equal(pair_events(p, i, IKE_EVT_DOWN), 0);
}

/* A login after certificates (XAUTHInitRSA, XAUTHRespRSA), asked for by either end. */
static int server;
static const char *password;
static void with_login(struct cv_config *c, int i)
{
	struct cfg_ike_profile *q = c->ike_profile;
	with_certs(c, i);
	q->xauth = i == server ? CFG_XAUTH_SERVER : CFG_XAUTH_CLIENT;
	c->user = config_alloc(c, 1, sizeof(*c->user));
	c->n_user = i == server;
	c->user->name = q->xauth_user = "alice";
	c->user->password = (struct cfg_secret){config_secret(c, "correct horse", 13), 13};
	q->xauth_password = (struct cfg_secret){config_secret(c, password, strlen(password)), strlen(password)};
}

static void login_after_signatures(void **state)
{
	(void)state;
	for (int k = 0; k < 4; k++) {
		server = k % 2;
		aggressive = k >= 2;
		password = "correct horse";
		start(with_login);
		drop_builtin(p);
		bring_up();
		assert_string_equal(pair_show(p, server, "xauth_user"), "alice");
		assert_string_equal(pair_show(p, server, "auth"), "rsa-sig");
		teardown(NULL);
		password = "another";
		start(with_login);
		drop_builtin(p);
		pair_acquire(p, 0, 0);
		refused();
	}
}

/* Who must log in and does not say so in its offer gets nothing: the two offers do not meet. */
static void with_one_login(struct cv_config *c, int i)
{
	with_login(c, i);
	if (i != server)
		c->ike_profile->xauth = CFG_XAUTH_OFF;
}

static void login_is_part_of_the_method(void **state)
{
	(void)state;
	server = 1;
	password = "correct horse";
	start(with_one_login);
	drop_builtin(p);
	pair_acquire(p, 0, 0);
	pair_run(p, 60000);
	assert_int_equal(pair_n_children(p, 0) + pair_n_children(p, 1), 0);
	assert_true(pair_stat(p, 1, "no_proposal_chosen") >= 1);
}

static void identities(void **state)
{
	(void)state;
	with_fqdn = true;
	cert_env.san[0] = "DNS:gw0.example.org";
	cert_env.san[1] = "DNS:gw1.example.org";
	try(0);
	assert_true(pair_children_agree(p, 1));
	assert_string_equal(pair_show(p, 0, "peer_id"), "gw1.example.org");
	teardown(NULL);
	/* the certificate is good, but of somebody else */
	cert_env.san[1] = "DNS:other.example.org";
	try(0);
	refused();
	try(1);
	refused();
}

static void bad_certificates(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		cert_env.by_rogue = true;
		try(i);
		refused();
		cert_env.by_rogue = false;
		cert_env.from_s = -7200, cert_env.to_s = -3600;
		try(i);
		refused();
		cert_env.from_s = cert_env.to_s = 0;
	}
}

/* The offer is changed on its way: the ends hash different things, and no signature fits (RFC 2409 5). */
static bool spoil_offer(struct pair *pair, int from_host, unsigned n, const uint8_t *data, size_t len)
{
	uint8_t copy[2048];
	(void)n;
	/* message 1, its lifetime raised on the way: the responder signs and judges what it has received (SAi_b) */
	if (from_host != 0 || data[16] != 1 || data[18] != 2 || len > sizeof(copy))
		return true;
	memcpy(copy, data, len);
	size_t at = 28 + 4 + 8 + 8 + 8; /* header, generic, DOI and situation, proposal, transform: the attributes */
	for (; at + 4 <= len; at += 4)
		if (copy[at] == 0 && copy[at + 1] == 12) { /* life duration in the long form: type, length 4, value */
			copy[at + 7] ^= 1;
			break;
		}
	pair->filter = NULL;
	from(0, copy, len);
	return false;
}

static void bad_signature(void **state)
{
	(void)state;
	start(with_certs);
	drop_builtin(p);
	p->filter = spoil_offer;
	pair_acquire(p, 0, 0);
	pair_run(p, 1000);
	assert_null(p->filter); /* it has been there */
	assert_int_equal(pair_stat(p, 1, "auth_failed"), 1);
	assert_int_equal(pair_n_sas(p, 1), 0);
	refused();
}

/* IKE-31: without a certificate of ours the policy is not offered. */
static void no_certificate(void **state)
{
	(void)state;
	start(with_certs);
	drop_builtin(p);
	p->h[0].cfg->ike_profile->n_trust_point = 0;
	pair_acquire(p, 0, 0);
	pair_run(p, 5000);
	assert_int_equal(pair_n_children(p, 0), 0);
	assert_int_equal(pair_n_sas(p, 1), 0);
	assert_int_equal(p->n_ike, 0);
}

static void slow_pool_and_loss(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 10; seed++) {
		start(with_certs);
		drop_builtin(p);
		p->rng = seed * 7919;
		p->async_ms = 200;
		p->loss = 20;
		pair_acquire(p, 0, 0);
		pair_run(p, 60000);
		p->loss = 0;
		if (!pair_n_children(p, 0))
			pair_acquire(p, 0, 0);
		pair_run(p, 60000);
		assert_true(pair_n_children(p, 0) >= 1);
		assert_true(pair_n_children(p, 1) >= 1);
		teardown(NULL);
	}
}

/* The SA dies while its signature is in the making. */
static void cleared_meanwhile(void **state)
{
	(void)state;
	for (unsigned ms = 10; ms < 800; ms += 30) {
		start(with_certs);
		drop_builtin(p);
		p->async_ms = 100;
		pair_acquire(p, 0, 0);
		pair_run(p, ms);
		ike_clear(p->h[ms / 30 % 2].ike, &(struct ike_match){.fvrf = -1, .ivrf = -1});
		pair_run(p, 120000);
		for (int tries = 0; tries < 3 && !pair_n_children(p, 0); tries++) {
			pair_acquire(p, 0, 0);
			pair_run(p, 120000);
		}
		assert_true(pair_n_children(p, 0) >= 1);
		teardown(NULL);
	}
}

/* What was authenticated survives a restart, and so does whose certificate it was. */
static void restart_keeps_sas(void **state)
{
	(void)state;
	try(0);
	assert_true(pair_children_agree(p, 1));
	pair_restart(p, 1);
	pair_run(p, 1000);
	assert_true(pair_children_agree(p, 1));
	assert_string_equal(pair_show(p, 1, "auth"), "rsa-sig");
	assert_string_equal(pair_show(p, 1, "peer_certificate"), "O=Lab, CN=gw0");
}

/* A policy for signatures before one for preshared keys: the initiator's profile says which of them is offered. */
static bool names_point;
static void with_both_methods(struct cv_config *c, int i)
{
	static const char *point[] = {"lab"};
	with_certs(c, i);
	policies(c, 2);
	c->ike_policy[0].auth = CFG_AUTH_RSA_SIG;
	if (names_point) {
		c->ike_profile->trust_point = point;
		c->ike_profile->n_trust_point = 1;
	}
}

static void profile_means_a_method(void **state)
{
	(void)state;
	for (int both = 0; both < 2; both++) {
		names_point = both;
		start(with_both_methods);
		for (int i = 0; i < 2; i++)
			p->h[i].cfg->n_ike_policy = 2; /* without the built-in ones */
		bring_up();
		assert_string_equal(pair_show(p, 0, "auth"), both ? "rsa-sig" : "psk");
		teardown(NULL);
	}
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, reset, teardown)
	const struct CMUnitTest tests[] = {T(both_roles), T(ecdsa), T(aggressive_mode), T(aggressive_not_allowed),
		T(aggressive_loss_and_repeats), T(forged_message_3), T(aggressive_damaged), T(login_after_signatures),
		T(login_is_part_of_the_method), T(identities), T(bad_certificates), T(bad_signature), T(no_certificate),
		T(slow_pool_and_loss), T(cleared_meanwhile), T(restart_keeps_sas), T(profile_means_a_method)};
	return cmocka_run_group_tests(tests, setup, finish);
}
