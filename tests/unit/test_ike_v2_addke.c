/* SPDX-License-Identifier: BSD-3-Clause */
/* Additional key exchanges in IKE_INTERMEDIATE, two engines against each other (RFC 9242, RFC 9370). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "cert_env.h"
#include "ike_env.h"

static enum ike_group more[2][CFG_ADDKE_MAX]; /* of each host's first proposal */
static unsigned n_more[2];
static bool second[2]; /* a second proposal without them */
static bool certificates, ppks;

static int reset(void **state)
{
	(void)state;
	cert_env_reset();
	for (int i = 0; i < 2; i++) {
		more[i][0] = IKE_GROUP_ECP256;
		n_more[i] = 1;
		second[i] = false;
	}
	certificates = ppks = false;
	return 0;
}

static void proposal(struct cv_config *c, const char *name, const enum ike_group *addke, unsigned n)
{
	struct cfg_ike_proposal *o = &c->ike_proposal[c->n_ike_proposal++];
	struct cfg_ike_profile *pr = c->ike_profile;
	o->name = pr->proposal[pr->n_proposal++] = name;
	o->encr = config_alloc(c, 1, sizeof(*o->encr));
	o->encr[0] = (struct cfg_ike_encr){.encr = IKE_ENCR_AES_GCM16, .key_bits = 128};
	o->prf = config_alloc(c, 1, sizeof(*o->prf));
	o->prf[0] = IKE_PRF_HMAC_SHA256;
	o->group = config_alloc(c, 1, sizeof(*o->group));
	o->group[0] = IKE_GROUP_CURVE25519;
	o->n_encr = o->n_prf = o->n_group = 1;
	o->addke = config_alloc(c, CFG_ADDKE_MAX, sizeof(*o->addke));
	if (n)
		memcpy(o->addke, addke, n * sizeof(*addke));
	o->n_addke = n;
}

static void configure(struct cv_config *c, int i)
{
	struct cfg_ike_profile *pr = c->ike_profile;
	c->ike_proposal = config_alloc(c, 4, sizeof(*c->ike_proposal)); /* the built-in ones come after */
	pr->proposal = config_alloc(c, 2, sizeof(*pr->proposal));
	proposal(c, "more", more[i], n_more[i]);
	if (second[i])
		proposal(c, "plain", NULL, 0);
	if (ppks) {
		c->ppk = config_alloc(c, 1, sizeof(*c->ppk));
		c->n_ppk = 1;
		c->ppk->id = "pq";
		c->ppk->key.p = config_secret(c, "0123456789abcdef0123456789abcdef", 32);
		c->ppk->key.len = 32;
		pr->ppk_mode = CFG_PPK_REQUIRED;
		pr->ppk = config_alloc(c, 1, sizeof(*pr->ppk));
		pr->ppk[pr->n_ppk++] = "pq";
	}
	if (certificates) {
		EVP_PKEY *own = pkim_key("EC256");
		c->trust_point = config_alloc(c, 1, sizeof(*c->trust_point));
		cert_env_point(c, "lab", i, own, false, cert_env.ca_path);
		EVP_PKEY_free(own);
		pr->local_auth = pr->remote_auth = CFG_METHOD_SIGNATURE;
		pr->fragment_size = 576;
	}
}

static void start(void)
{
	p = pair_new(CFG_IKEV2, configure);
}

static void up(unsigned messages)
{
	pair_acquire(p, 0, 0);
	pair_run(p, 3000);
	assert_true(pair_children_agree(p, 1));
	assert_int_equal(p->n_ike, messages);
}

static void one(void **state)
{
	(void)state;
	start();
	up(6);
	assert_string_equal(pair_show(p, 0, "additional_groups"), "ecp256");
	assert_string_equal(pair_show(p, 1, "additional_groups"), "ecp256");
	/* what replaces it does without, and the other end agrees */
	p->traffic_ms = 1000;
	pair_run(p, 86400ull * 950);
	assert_int_not_equal(pair_stat(p, 0, "sa_rekeyed") + pair_stat(p, 1, "sa_rekeyed"), 0);
	assert_true(pair_children_agree(p, 1));
}

static void seven(void **state)
{
	static const enum ike_group all[CFG_ADDKE_MAX] = {IKE_GROUP_ECP256, IKE_GROUP_ECP384, IKE_GROUP_ECP521,
		IKE_GROUP_CURVE448, IKE_GROUP_MODP2048, IKE_GROUP_MODP3072, IKE_GROUP_MODP4096};
	(void)state;
	for (int i = 0; i < 2; i++) {
		memcpy(more[i], all, sizeof(all));
		n_more[i] = CFG_ADDKE_MAX;
	}
	start();
	up(4 + 2 * CFG_ADDKE_MAX);
}

/* With signatures, in fragments; and with a post-quantum preshared key besides. */
static void with_others(void **state)
{
	(void)state;
	certificates = true;
	for (int k = 0; k < 2; k++) {
		ppks = k;
		start();
		pair_acquire(p, 0, 0);
		pair_run(p, 3000);
		assert_true(pair_children_agree(p, 1));
		assert_string_equal(pair_show(p, 0, "auth"), "signature");
		assert_string_equal(pair_show(p, 1, "additional_groups"), "ecp256");
		teardown(NULL);
	}
}

static void nothing_common(void)
{
	start();
	pair_acquire(p, 0, 0);
	pair_run(p, 3000);
	assert_int_equal(pair_n_sas(p, 0) + pair_n_sas(p, 1), 0);
	assert_string_equal(pair_reason(p, 0, IKE_EVT_FAILED), "no proposal chosen");
	teardown(NULL);
}

/* Demanded means demanded: neither fewer nor others, in either role. */
static void mismatch(void **state)
{
	(void)state;
	n_more[1] = 0;
	nothing_common();
	n_more[1] = 1;
	n_more[0] = 0;
	nothing_common();
	n_more[0] = 1;
	more[1][0] = IKE_GROUP_ECP384;
	nothing_common();
}

/* A proposal without them beside: the peer that has none gets that. */
static void either(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		reset(NULL);
		second[i] = true;
		n_more[!i] = 0;
		start();
		up(4);
		assert_string_equal(pair_show(p, 0, "additional_groups"), "");
		teardown(NULL);
	}
	reset(NULL);
	second[0] = second[1] = true;
	start();
	up(6);
}

/* A lost answer is asked for with the keys of before, when the responder has new ones already. */
static void each_message_lost(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		n_more[i] = 2;
		more[i][1] = IKE_GROUP_ECP384;
	}
	for (unsigned n = 0; n < 8; n++) {
		start();
		p->filter = pair_lose_nth;
		p->drop_nth = n;
		pair_acquire(p, 0, 0);
		pair_run(p, 5000);
		assert_true(pair_children_agree(p, 1));
		assert_int_equal(pair_n_sas(p, 0), 1);
		assert_int_equal(pair_n_sas(p, 1), 1);
		teardown(NULL);
	}
}

static void bad_network(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 20; seed++) {
		start();
		p->rng = seed;
		p->loss = p->dup = 20;
		p->jitter = 200;
		p->async_ms = 50;
		pair_acquire(p, 0, 0);
		pair_run(p, 60000);
		if (!pair_children_agree(p, 1))
			fail_msg("seed %u: not up", seed);
		teardown(NULL);
	}
}

/* Exchange 43 with one octet changed on the way, and one again under the keys of before: neither disturbs. */
static bool forge(struct pair *q, int from, unsigned n, const uint8_t *data, size_t len)
{
	struct ike_path path = {.local = q->h[!from].addr, .remote = q->h[from].addr, .lport = 500, .rport = 500};
	uint8_t copy[2048];
	(void)n;
	if (len > sizeof(copy) || data[18] != 43)
		return true;
	for (size_t at = 32; at < len; at++) {
		memcpy(copy, data, len);
		copy[at] ^= 1;
		ike_input(q->h[!from].ike, &path, false, copy, len);
	}
	return true;
}

static void forged(void **state)
{
	(void)state;
	start();
	p->filter = forge;
	pair_acquire(p, 0, 0);
	pair_run(p, 3000);
	assert_true(pair_children_agree(p, 1));
	assert_true(pair_stat(p, 0, "rx_bad_integrity") > 20 && pair_stat(p, 1, "rx_bad_integrity") > 20);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, reset, teardown)
	const struct CMUnitTest tests[] = {T(one), T(seven), T(with_others), T(mismatch), T(either),
		T(each_message_lost), T(bad_network), T(forged)};
	return cmocka_run_group_tests(tests, cert_env_setup, cert_env_finish);
}
