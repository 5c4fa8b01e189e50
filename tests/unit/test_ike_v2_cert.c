/* SPDX-License-Identifier: BSD-3-Clause */
/* IKEv2 with certificates, two engines against each other (RFC 7296 2.15, RFC 7427, RFC 4945). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "cv_addr.h"
#include "cert_env.h"
#include "ike_env.h"

static const char *key_type;	      /* of both hosts */
static enum cfg_ike_method method[2]; /* of each host */
static enum cfg_id_type id_type;      /* of both hosts; NONE = the default */
static unsigned fragment_size;	      /* of both hosts */
static bool two_points;		      /* host 1 has certificates of both CAs, the rogue's first */

static int reset(void **state)
{
	(void)state;
	cert_env_reset();
	key_type = "EC256";
	method[0] = method[1] = CFG_METHOD_SIGNATURE;
	two_points = false;
	fragment_size = 0;
	id_type = CFG_ID_NONE;
	return 0;
}

static void point(struct cv_config *c, const char *name, int i, bool strange)
{
	EVP_PKEY *key = pkim_key(key_type);
	cert_env_point(c, name, i, key, strange, strange && two_points ? cert_env.rogue_path : cert_env.ca_path);
	EVP_PKEY_free(key);
}

static void with_certs(struct cv_config *c, int i)
{
	c->trust_point = config_alloc(c, 2, sizeof(*c->trust_point));
	if (i && two_points)
		point(c, "first", i, true);
	point(c, "lab", i, i && cert_env.by_rogue);
	c->ike_profile->local_auth = method[i];
	c->ike_profile->remote_auth = method[!i];
	c->ike_profile->n_match = 0;
	c->ike_profile->fragment_size = (uint16_t)fragment_size;
	if (id_type == CFG_ID_FQDN)
		cert_env_fqdn(c, i);
	else
		c->ike_profile->local_id.type = id_type;
}

static void try(unsigned from)
{
	p = pair_new(CFG_IKEV2, with_certs);
	pair_acquire(p, (int)from, 0);
	pair_run(p, 1000);
}

static void refused(const char *told)
{
	assert_int_equal(pair_n_sas(p, 0), 0);
	assert_int_equal(pair_n_sas(p, 1), 0);
	assert_int_equal(pair_n_children(p, 0) + pair_n_children(p, 1), 0);
	assert_string_equal(pair_reason(p, 0, IKE_EVT_FAILED), told);
	assert_int_equal(p->h[0].acquire_failures, 1);
	assert_int_equal(pair_stat(p, 1, "half_open"), 0);
	teardown(NULL);
}

static void every_key(void **state)
{
	static const char *const types[] = {"RSA", "EC256", "EC384", "EC521", "ED25519", "ED448"};
	(void)state;
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		key_type = types[i];
		try(0);
		assert_true(pair_children_agree(p, 1));
		assert_string_equal(pair_show(p, 0, "auth"), "signature");
		assert_string_equal(pair_show(p, 0, "peer_auth"), "signature");
		assert_string_equal(pair_show(p, 0, "peer_certificate"), "O=Lab, CN=gw1");
		assert_string_equal(pair_show(p, 1, "peer_certificate"), "O=Lab, CN=gw0");
		assert_string_equal(pair_show(p, 1, "peer_id"), "O=Lab, CN=gw0"); /* without more, the subject */
		teardown(NULL);
	}
}

static void identities(void **state)
{
	(void)state;
	id_type = CFG_ID_FQDN;
	cert_env.san[0] = "DNS:gw0.example.org";
	cert_env.san[1] = "DNS:gw1.example.org";
	try(0);
	assert_true(pair_children_agree(p, 1));
	assert_string_equal(pair_show(p, 0, "peer_id"), "gw1.example.org");
	teardown(NULL);
	/* the certificate is good, but of somebody else */
	cert_env.san[1] = "DNS:other.example.org";
	try(0);
	refused("authentication failed");
	cert_env.san[0] = cert_env.san[1];
	cert_env.san[1] = "DNS:gw1.example.org";
	try(0);
	refused("authentication failed");
}

/* Each end may prove itself in its own way. */
static void mixed_methods(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		method[i] = CFG_METHOD_PSK;
		method[!i] = CFG_METHOD_SIGNATURE;
		try(0);
		assert_true(pair_children_agree(p, 1));
		assert_string_equal(pair_show(p, i, "auth"), "psk");
		assert_string_equal(pair_show(p, i, "peer_auth"), "signature");
		teardown(NULL);
	}
}

static void other_method(struct cv_config *c, int i)
{
	with_certs(c, i);
	c->ike_profile->local_auth = i ? CFG_METHOD_SIGNATURE : CFG_METHOD_PSK;
	c->ike_profile->remote_auth = CFG_METHOD_SIGNATURE;
}

/* A peer that knows the preshared key cannot choose it where a signature is demanded, and the other way round. */
static void method_is_ours_to_choose(void **state)
{
	(void)state;
	p = pair_new(CFG_IKEV2, other_method);
	pair_acquire(p, 0, 0);
	pair_run(p, 1000);
	refused("authentication failed");
	p = pair_new(CFG_IKEV2, other_method);
	p->h[1].cfg->ike_profile->remote_auth = CFG_METHOD_PSK;
	p->h[0].cfg->ike_profile->local_auth = CFG_METHOD_SIGNATURE;
	pair_acquire(p, 0, 0);
	pair_run(p, 1000);
	refused("authentication failed");
}

static void bad_certificates(void **state)
{
	(void)state;
	cert_env.by_rogue = true;
	try(0);
	refused("authentication failed");
	cert_env.by_rogue = false;
	cert_env.from_s = -7200, cert_env.to_s = -3600;
	try(0);
	refused("authentication failed");
	cert_env.from_s = cert_env.to_s = 0;
	cert_env.crl_path = pkim_write_crl("r.crl", cert_env.ca, cert_env.ca_key, 71, 3600);
	try(0);
	refused("authentication failed");
	cert_env.crl_path = pkim_write_crl("r.crl", cert_env.ca, cert_env.ca_key, 1, 3600);
	try(0);
	assert_true(pair_children_agree(p, 1));
}

/* RFC 7296 3.7: the peer's CERTREQ decides which of two certificates is shown. */
static void certificate_by_request(void **state)
{
	(void)state;
	two_points = true;
	try(0);
	assert_true(pair_children_agree(p, 1));
	teardown(NULL);
	try(1);
	assert_true(pair_children_agree(p, 1));
}

/* The pool takes its time, messages are lost: everything still comes to its end. */
static void slow_pool_and_loss(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 20; seed++) {
		p = pair_new(CFG_IKEV2, with_certs);
		p->rng = seed * 7919;
		p->async_ms = 200;
		p->loss = 20;
		pair_acquire(p, 0, 0);
		pair_run(p, 60000);
		p->loss = 0;
		if (!pair_n_children(p, 0))
			pair_acquire(p, 0, 0);
		pair_run(p, 60000);
		assert_true(pair_children_agree(p, 1));
		teardown(NULL);
	}
}

/* The wish, or the SA, dies while its signature is in the making. */
static void cleared_meanwhile(void **state)
{
	(void)state;
	for (unsigned ms = 10; ms < 500; ms += 10) {
		p = pair_new(CFG_IKEV2, with_certs);
		p->async_ms = 100;
		pair_acquire(p, 0, 0);
		pair_run(p, ms);
		ike_clear(p->h[ms / 10 % 2].ike, &(struct ike_match){.fvrf = -1, .ivrf = -1});
		pair_run(p, 120000);
		if (!pair_n_children(p, 0))
			pair_acquire(p, 0, 0);
		pair_run(p, 5000);
		assert_true(pair_children_agree(p, 1));
		teardown(NULL);
	}
}

/* The CA is no longer believed: what was authenticated lives on until it is renewed; a new SA is refused. */
static void restart_keeps_sas(void **state)
{
	(void)state;
	try(0);
	assert_true(pair_children_agree(p, 1));
	pair_restart(p, 1);
	pair_run(p, 1000);
	assert_true(pair_children_agree(p, 1));
	ike_child_expire(p->h[0].ike, pair_newest(p, 0)->id, false);
	pair_run(p, 5000);
	assert_true(pair_children_agree(p, 1));
	assert_int_equal(pair_stat(p, 0, "child_rekeyed"), 1);
}

/* Payload type of the first payload of a message, and its length on the wire. */
static unsigned n_skf, longest;
static bool watch(struct pair *pair, int from, unsigned n, const uint8_t *data, size_t len)
{
	(void)pair, (void)from, (void)n;
	n_skf += data[16] == 53;
	longest = data[18] != 34 && len > longest ? (unsigned)len : longest;
	return true;
}

/* RFC 7383: nothing after IKE_SA_INIT is longer than asked for; both ends put it together. */
static void fragments(void **state)
{
	static const unsigned sizes[] = {300, 576, 1280};
	(void)state;
	key_type = "RSA";
	for (size_t i = 0; i < 3; i++) {
		fragment_size = sizes[i];
		n_skf = longest = 0;
		p = pair_new(CFG_IKEV2, with_certs);
		p->filter = watch;
		pair_acquire(p, 0, 0);
		pair_run(p, 1000);
		assert_true(pair_children_agree(p, 1));
		assert_true(longest <= sizes[i] - 32);
		assert_true(i == 2 || n_skf >= 6); /* two long messages, in pieces */
		pair_restart(p, 1);		   /* fragmentation is remembered */
		pair_run(p, 1000);
		ike_child_expire(p->h[0].ike, pair_newest(p, 0)->id, false);
		pair_run(p, 5000);
		assert_true(pair_children_agree(p, 1));
		teardown(NULL);
	}
}

static void one_side_only(struct cv_config *c, int i)
{
	fragment_size = i ? 0 : 576;
	with_certs(c, i);
}

static void fragments_need_both(void **state)
{
	(void)state;
	key_type = "RSA";
	n_skf = 0;
	p = pair_new(CFG_IKEV2, one_side_only);
	p->filter = watch;
	pair_acquire(p, 0, 0);
	pair_run(p, 1000);
	assert_true(pair_children_agree(p, 1));
	assert_int_equal(n_skf, 0);
}

/* Fragments lost, repeated and reordered: repetition brings the missing ones, nothing is answered twice in between. */
static void fragments_lost(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 20; seed++) {
		fragment_size = 400;
		p = pair_new(CFG_IKEV2, with_certs);
		p->rng = seed * 104729;
		p->loss = 15;
		p->dup = 15;
		p->jitter = 30;
		pair_acquire(p, 0, 0);
		pair_run(p, 90000);
		p->loss = 0;
		if (!pair_n_children(p, 0))
			pair_acquire(p, 0, 0);
		pair_run(p, 60000);
		assert_true(pair_children_agree(p, 1));
		teardown(NULL);
	}
}

/* A fragment that somebody else has changed or made up is dropped, whatever it says; the rest still fits together. */
static bool forge(struct pair *pair, int from, unsigned n, const uint8_t *data, size_t len)
{
	static const uint16_t heads[][2] = {{0, 3}, {4, 3}, {1, 0}, {1, 65535}, {1, 2}, {3, 3}, {2, 60000}};
	uint8_t copy[2048];
	(void)n;
	if (data[16] != 53 || len > sizeof(copy))
		return true;
	n_skf++;
	struct ike_path path = {.local = pair->h[!from].addr, .remote = pair->h[from].addr, .lport = 500, .rport = 500};
	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		memcpy(copy, data, len);
		copy[32] = (uint8_t)(heads[i][0] >> 8), copy[33] = (uint8_t)heads[i][0];
		copy[34] = (uint8_t)(heads[i][1] >> 8), copy[35] = (uint8_t)heads[i][1];
		if (memcmp(copy, data, len) != 0)
			ike_input(pair->h[!from].ike, &path, false, copy, len);
	}
	return true;
}

static void fragments_forged(void **state)
{
	(void)state;
	fragment_size = 400;
	n_skf = 0;
	p = pair_new(CFG_IKEV2, with_certs);
	p->filter = forge;
	pair_acquire(p, 0, 0);
	pair_run(p, 2000);
	assert_true(n_skf >= 4);
	assert_true(pair_children_agree(p, 1));
	assert_true(pair_stat(p, 1, "rx_bad_integrity") + pair_stat(p, 1, "rx_malformed") >= 10);
	assert_int_equal(p->h[0].acquire_failures, 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, reset, teardown)
	const struct CMUnitTest tests[] = {T(every_key), T(identities), T(mixed_methods), T(method_is_ours_to_choose),
		T(bad_certificates), T(certificate_by_request), T(slow_pool_and_loss), T(cleared_meanwhile),
		T(restart_keeps_sas), T(fragments), T(fragments_need_both), T(fragments_lost), T(fragments_forged)};
	return cmocka_run_group_tests(tests, cert_env_setup, cert_env_finish);
}
