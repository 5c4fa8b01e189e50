/* SPDX-License-Identifier: BSD-3-Clause */
/* Post-quantum preshared keys in IKEv2, two engines against each other (RFC 8784). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "cert_env.h"
#include "ike_env.h"

static enum cfg_ppk_mode mode[2];
static const char *id[2][2], *key[2]; /* ids of both keys of each host; what its keys are made of */
static bool certificates;

static int reset(void **state)
{
	(void)state;
	cert_env_reset();
	mode[0] = mode[1] = CFG_PPK_OPTIONAL;
	id[0][0] = id[1][0] = "pq1";
	id[0][1] = id[1][1] = NULL;
	key[0] = key[1] = "0123456789abcdef0123456789abcdef";
	certificates = false;
	return 0;
}

static void ppk(struct cv_config *c, int i)
{
	struct cfg_ike_profile *pr = c->ike_profile;
	pr->ppk_mode = mode[i];
	c->ppk = config_alloc(c, 2, sizeof(*c->ppk));
	pr->ppk = config_alloc(c, 2, sizeof(*pr->ppk));
	for (unsigned k = 0; k < 2 && id[i][k]; k++) {
		struct cfg_ppk *e = &c->ppk[c->n_ppk++];
		e->id = pr->ppk[pr->n_ppk++] = id[i][k];
		e->key.p = key[i] ? config_secret(c, key[i], strlen(key[i])) : NULL;
		e->key.len = key[i] ? strlen(key[i]) : 0;
	}
	if (!certificates)
		return;
	EVP_PKEY *own = pkim_key("EC256");
	c->trust_point = config_alloc(c, 1, sizeof(*c->trust_point));
	cert_env_point(c, "lab", i, own, false, cert_env.ca_path);
	EVP_PKEY_free(own);
	pr->local_auth = pr->remote_auth = CFG_METHOD_SIGNATURE;
}

static void try(int from)
{
	p = pair_new(CFG_IKEV2, ppk);
	pair_acquire(p, from, 0);
	pair_run(p, 1000);
}

static void up(const char *used)
{
	assert_true(pair_children_agree(p, 1));
	assert_string_equal(pair_show(p, 0, "ppk"), used);
	assert_string_equal(pair_show(p, 1, "ppk"), used);
}

static void refused(const char *told)
{
	assert_int_equal(pair_n_sas(p, 0) + pair_n_sas(p, 1), 0);
	assert_int_equal(pair_n_children(p, 0) + pair_n_children(p, 1), 0);
	assert_string_equal(pair_reason(p, 0, IKE_EVT_FAILED), told);
	teardown(NULL);
}

/* Every combination of the two ends: used when both have it, refused when one demands what the other lacks. */
static void every_mode(void **state)
{
	(void)state;
	for (int a = CFG_PPK_OFF; a <= CFG_PPK_REQUIRED; a++)
		for (int b = CFG_PPK_OFF; b <= CFG_PPK_REQUIRED; b++)
			for (int certs = 0; certs < 2; certs++) {
				mode[0] = (enum cfg_ppk_mode)a;
				mode[1] = (enum cfg_ppk_mode)b;
				certificates = certs;
				try(0);
				if (a && b)
					up("true");
				else if (a == CFG_PPK_REQUIRED || b == CFG_PPK_REQUIRED)
					assert_int_equal(pair_n_children(p, 0) + pair_n_children(p, 1), 0);
				else
					up("false");
				teardown(NULL);
			}
}

static void required_by_one(void **state)
{
	(void)state;
	mode[0] = CFG_PPK_REQUIRED;
	mode[1] = CFG_PPK_OFF;
	try(0);
	pair_run(p, 40000); /* the responder waits in vain */
	refused("the peer uses no post-quantum preshared keys");
	mode[0] = CFG_PPK_OFF;
	mode[1] = CFG_PPK_REQUIRED;
	try(0);
	refused("authentication failed");
}

/* The same id and another key: nobody proves anything, also where it would have been optional (RFC 8784 3). */
static void wrong_key(void **state)
{
	(void)state;
	for (int certs = 0; certs < 2; certs++) {
		certificates = certs;
		key[1] = "another one, which is as long....";
		try(0);
		refused("authentication failed");
	}
}

/* An id that the responder does not know: without the key where both may, with NO_PPK_AUTH as proof. */
static void unknown_id(void **state)
{
	(void)state;
	for (int certs = 0; certs < 2; certs++) {
		certificates = certs;
		id[0][0] = "elsewhere";
		mode[0] = mode[1] = CFG_PPK_OPTIONAL;
		try(0);
		up("false");
		teardown(NULL);
		mode[0] = CFG_PPK_REQUIRED;
		try(0);
		refused("authentication failed");
		mode[0] = CFG_PPK_OPTIONAL;
		mode[1] = CFG_PPK_REQUIRED;
		try(0);
		refused("authentication failed");
	}
}

/* The responder takes any of its profile; what it names as initiator is the first. */
static void second_id(void **state)
{
	(void)state;
	id[1][0] = "other";
	id[1][1] = "pq1";
	mode[0] = mode[1] = CFG_PPK_REQUIRED;
	try(0);
	up("true");
	teardown(NULL);
	try(1);
	assert_int_equal(pair_n_sas(p, 1), 0);
}

/* A key that this machine's master key does not open is no key. */
static void sealed(void **state)
{
	(void)state;
	key[0] = NULL;
	try(0);
	up("false");
	teardown(NULL);
	try(1);
	up("false");
}

/* SK_d carries it on: children and successors go on to agree, after a restart, too. */
static void rekeyed_and_restored(void **state)
{
	(void)state;
	mode[0] = mode[1] = CFG_PPK_REQUIRED;
	try(0);
	up("true");
	pair_restart(p, 1);
	ike_child_expire(p->h[0].ike, pair_newest(p, 0)->id, false);
	pair_run(p, 10000);
	up("true");
	p->traffic_ms = 1000;
	pair_run(p, 86400ull * 950);
	assert_int_not_equal(pair_stat(p, 0, "sa_rekeyed") + pair_stat(p, 1, "sa_rekeyed"), 0);
	up("true");
}

static void other_key(struct cv_config *c, int i)
{
	key[i] = "fedcba9876543210fedcba9876543210";
	ppk(c, i);
}

/* A new key in the configuration ends the SAs that were made with the old one. */
static void key_changed(void **state)
{
	(void)state;
	try(0);
	up("true");
	pair_reconfigure(p, 0, CFG_IKEV2, other_key);
	pair_run(p, 5000);
	assert_int_equal(pair_n_sas(p, 0) + pair_n_sas(p, 1), 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, reset, teardown)
	const struct CMUnitTest tests[] = {T(every_mode), T(required_by_one), T(wrong_key), T(unknown_id), T(second_id),
		T(sealed), T(rekeyed_and_restored), T(key_changed)};
	return cmocka_run_group_tests(tests, cert_env_setup, cert_env_finish);
}
