/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * IKEv1 with RSA encrypted nonces, two engines against each other (RFC 2409 5.2; IKE-20, IKE-40, IKE-41, IKE-42,
 * IKE-45, IKE-46, IKE-T4, IKE-T8, VRF-17, VRF-21, VRF-T2), and what somebody without a key can find out by asking.
 */
#include "ike_v1_env.h"

#include "cert_env.h"

static EVP_PKEY *host_key[2], *other_key;

/* What a test wants to be different, host by host where there are two. */
static struct {
	enum cfg_rsa_usage usage[2]; /* of the entry that host i keeps for the other */
	bool by_name, nowhere[2];    /* its entry is selected by name; without an address */
	bool wrong[2];		     /* host i keeps a key that is not the other's */
	bool no_entry[2], special;   /* special: two entries and two keys */
} want;

static bool smaller(EVP_PKEY *a, EVP_PKEY *b)
{
	BIGNUM *x = NULL, *y = NULL;
	assert_int_equal(EVP_PKEY_get_bn_param(a, "n", &x), 1);
	assert_int_equal(EVP_PKEY_get_bn_param(b, "n", &y), 1);
	bool yes = BN_cmp(x, y) < 0;
	BN_free(x);
	BN_free(y);
	return yes;
}

static int setup(void **state)
{
	for (int i = 0; i < 2; i++)
		host_key[i] = pkim_key("RSA");
	other_key = pkim_key("RSA");
	/* what is encrypted with the other key is then always below the modulus of a host, so that it can be tried */
	for (int i = 0; i < 2; i++)
		if (smaller(host_key[i], other_key)) {
			EVP_PKEY *swap = host_key[i];
			host_key[i] = other_key;
			other_key = swap;
		}
	return cert_env_setup(state);
}

static int finish(void **state)
{
	for (int i = 0; i < 2; i++)
		EVP_PKEY_free(host_key[i]);
	EVP_PKEY_free(other_key);
	return cert_env_finish(state);
}

static int reset(void **state)
{
	(void)state;
	cert_env_reset();
	memset(&want, 0, sizeof(want));
	return 0;
}

static const char *key_file(struct cv_config *c, const char *name, int i, EVP_PKEY *key)
{
	char file[32];
	snprintf(file, sizeof(file), "%s%d.key", name, i);
	return config_strdup(c, pkim_write_key(file, key, 0600));
}

static void set_der(struct cv_config *c, struct cfg_rsa_public *r, EVP_PKEY *key)
{
	uint8_t *der = NULL;
	int n = i2d_PUBKEY(key, &der);
	uint8_t *copy = config_alloc(c, (size_t)n, 1);
	memcpy(copy, der, (size_t)n);
	OPENSSL_free(der);
	r->der = copy;
	r->der_len = (size_t)n;
}

static void own_pair(struct cv_config *c, int i)
{
	c->rsa_pair = config_alloc(c, 1, sizeof(*c->rsa_pair));
	c->n_rsa_pair = 1;
	c->rsa_pair->name = "gw";
	if (want.special) {
		c->rsa_pair->signature_file = key_file(c, "sign", i, other_key);
		c->rsa_pair->encryption_file = key_file(c, "decrypt", i, host_key[i]);
	} else {
		c->rsa_pair->file = key_file(c, "general", i, host_key[i]);
	}
}

static void peer_key(struct cv_config *c, int i)
{
	struct cfg_keyring *ring = &c->keyring[0];
	struct cfg_rsa_public *r = config_alloc(c, 2, sizeof(*r));
	ring->rsa = r;
	ring->n_rsa = want.no_entry[i] ? 0 : 1;
	r->name = "peer";
	r->usage = want.usage[i];
	if (!want.nowhere[i])
		cv_addr_parse(i ? "192.0.2.1" : "192.0.2.2", &r->addr);
	if (want.by_name)
		r->hostname = i ? "GW0.example.org" : "gw1.example.org";
	set_der(c, r, want.wrong[i] ? other_key : host_key[!i]);
	if (!want.special)
		return;
	r[1] = r[0]; /* 10.1.1.2 of IKE-T4: two keys, one for each use */
	r[1].name = "peer-signature";
	r[1].usage = CFG_RSA_SIGNATURE;
	set_der(c, &r[1], other_key);
	r[0].usage = CFG_RSA_ENCRYPTION;
	ring->n_rsa = 2;
}

static void with_nonces(struct cv_config *c, int i)
{
	c->allow_legacy = true;
	own_pair(c, i);
	peer_key(c, i);
	c->keyring[0].n_psk = 0;
	policies(c, 1);
	c->ike_policy[0].auth = CFG_AUTH_RSA_ENCR;
	c->ike_profile->n_match = 0;
	if (want.by_name)
		cert_env_fqdn(c, i);
}

static void with_signatures(struct cv_config *c, int i)
{
	with_nonces(c, i);
	c->allow_legacy = false;
	c->ike_policy[0].auth = CFG_AUTH_RSA_SIG;
}

static void try_as(int from_host, void (*tweak)(struct cv_config *c, int host))
{
	start(tweak);
	drop_builtin(p);
	pair_acquire(p, from_host, 0);
	pair_run(p, 1000);
}

static void try(int from_host)
{
	try_as(from_host, with_nonces);
}

static void is_up_by(const char *auth)
{
	assert_true(pair_children_agree(p, 1));
	for (int h = 0; h < 2; h++) {
		assert_string_equal(pair_show(p, h, "auth"), auth);
		assert_string_equal(pair_show(p, h, "mode"), "main");
		assert_string_equal(pair_show(p, h, "state"), "QM_IDLE");
	}
}

static void is_up(void)
{
	is_up_by("rsa-encr");
}

static void nothing_up(void)
{
	pair_run(p, 120000);
	assert_int_equal(pair_n_children(p, 0) + pair_n_children(p, 1), 0);
	assert_int_equal(pair_n_sas(p, 0) + pair_n_sas(p, 1), 0);
}

/* IKE-45: keys by address, identities are addresses; both roles, nine packets, and a restart of one end. */
static void by_address(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		try(i);
		is_up();
		assert_int_equal(p->n_ike, 9);
		for (int h = 0; h < 2; h++)
			assert_string_equal(pair_show(p, h, "peer_id"), h ? "192.0.2.1" : "192.0.2.2");
		pair_restart(p, i);
		is_up();
		teardown(NULL);
	}
}

/* IKE-45: by name, in whatever case; an end whose address nobody has written down begins itself. */
static void by_name(void **state)
{
	(void)state;
	want.by_name = true;
	for (int i = 0; i < 2; i++) {
		try(i);
		is_up();
		assert_string_equal(pair_show(p, 0, "peer_id"), "gw1.example.org");
		assert_string_equal(pair_show(p, 1, "peer_id"), "gw0.example.org");
		teardown(NULL);
	}
	want.nowhere[1] = true;
	try(0);
	is_up();
	teardown(NULL);
	try(1);
	nothing_up();
	assert_int_equal(p->n_ike, 0); /* IKE-31: the policy is not offered, and there is no other */
	teardown(NULL);
}

/* IKE-46, IKE-T4: the special key for encryption is used where there are two. */
static void special_keys(void **state)
{
	(void)state;
	want.special = true;
	try(0);
	is_up();
	teardown(NULL);
	want.special = false;
	want.usage[0] = want.usage[1] = CFG_RSA_ENCRYPTION;
	try(1);
	is_up();
}

/* VRF-T2: a key that is there for signatures only is none; with no other method nothing is offered (IKE-31, IKE-32). */
static void for_signatures_only(void **state)
{
	(void)state;
	want.usage[0] = CFG_RSA_SIGNATURE;
	try(0);
	assert_int_equal(p->n_ike, 0);
	nothing_up();
	teardown(NULL);
	want.usage[0] = CFG_RSA_GENERAL;
	want.usage[1] = CFG_RSA_SIGNATURE;
	try(0);
	nothing_up();
	assert_true(pair_stat(p, 1, "v1_no_profile") >= 1);
	teardown(NULL);
}

static void illegal(struct cv_config *c, int i)
{
	with_nonces(c, i);
	/* a second policy, so that the configuration as such is good, and the first only behind the switch */
	c->ike_policy[0].auth = CFG_AUTH_RSA_ENCR;
	c->allow_legacy = i == 0;
	if (i)
		c->ike_policy[0].auth = CFG_AUTH_RSA_SIG;
}

static void not_without_the_switch(void **state)
{
	(void)state;
	start(illegal);
	drop_builtin(p);
	pair_acquire(p, 0, 0);
	nothing_up();
}

/* Either end has a wrong key for the other: the peer cannot read what it is sent, and the other end proves nothing. */
static void wrong_keys(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		memset(&want, 0, sizeof(want));
		want.wrong[i] = true;
		try(0);
		nothing_up();
		assert_true(pair_stat(p, 0, "auth_failed") + pair_stat(p, 1, "auth_failed") >= 1);
		assert_true(pair_events(p, 0, IKE_EVT_FAILED) >= 1);
		teardown(NULL);
	}
}

static void loss_and_repeats(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 9; n++) {
		start(with_nonces);
		drop_builtin(p);
		up_without(n);
		teardown(NULL);
	}
	start(with_nonces);
	drop_builtin(p);
	p->dup = 100;
	bring_up();
	pair_run(p, 60000);
	is_up();
	assert_int_equal(pair_stat(p, 1, "sa_responded"), 1);
	teardown(NULL);
	start(with_nonces);
	p->async_ms = 40;
	drop_builtin(p);
	bring_up();
	is_up();
}

/* ---- oracles ---- */

#define EXCHANGE_MAIN 2
/* Payload n of a message in clear: where its body is. */
static size_t body_at(const uint8_t *data, unsigned n)
{
	size_t at = 28;
	while (n--)
		at += (size_t)(data[at + 2] << 8 | data[at + 3]);
	return at + 4;
}

static unsigned victim;	 /* payload of message 3: 1 = identity, 2 = nonce */
static uint8_t garble;	 /* how its first bytes are changed */
static unsigned answers; /* of host 1 to message 3 */
static size_t answer_len;
static bool spoil(struct pair *q, int who, unsigned n, const uint8_t *data, size_t len)
{
	(void)q;
	if (data[18] != EXCHANGE_MAIN || (data[19] & 1)) /* encrypted: that is 5 */
		return true;
	if (!who && n == 2) {
		uint8_t bad[9000];
		memcpy(bad, data, len);
		bad[body_at(data, victim) + 200] ^= garble;
		from(0, bad, len);
		return false;
	}
	if (who && n >= 3) {
		answers++;
		answer_len = len;
	}
	return n < 2 || who; /* repeats of message 3 would be good ones */
}

static void ask(size_t *good)
{
	answers = 0;
	start(with_nonces);
	drop_builtin(p);
	p->filter = spoil;
	pair_acquire(p, 0, 0);
	pair_run(p, 2000);
	assert_int_equal(pair_stat(p, 1, "rx_malformed"), 0);
	if (!garble)
		*good = answer_len;
	else
		assert_int_equal(pair_n_children(p, 0) + pair_n_children(p, 1), 0);
}

/*
 * The identity or the nonce of message 3 is no ciphertext of ours: of all that a sender can see, nothing depends on how
 * it is wrong. Where the address leads to a key, everything is answered like a good message.
 */
static void nothing_to_learn(void **state)
{
	(void)state;
	size_t good = 0;
	for (unsigned k = 0; k < 24; k++) {
		victim = 1 + k % 2;
		garble = (uint8_t)(k / 2);
		ask(&good);
		assert_int_equal(answers, 1);
		assert_int_equal(answer_len, good);
		teardown(NULL);
	}
}

/* Where only the name does, a bad identity meets silence, like that of any stranger, and a bad nonce an answer. */
static void nothing_to_learn_by_name(void **state)
{
	(void)state;
	size_t good = 0;
	want.by_name = want.nowhere[1] = true;
	for (unsigned k = 0; k < 24; k++) {
		victim = 1 + k % 2;
		garble = (uint8_t)(k / 2);
		ask(&good);
		assert_int_equal(answers, !garble || victim == 2);
		if (answers)
			assert_int_equal(answer_len, good);
		teardown(NULL);
	}
}

/* What has been changed on the way back makes the initiator send message 5 all the same; nothing comes up. */
static unsigned fives;
static bool spoil_4(struct pair *q, int who, unsigned n, const uint8_t *data, size_t len)
{
	(void)q;
	if (!who && data[18] == EXCHANGE_MAIN && data[19] & 1)
		fives++;
	if (who && n == 3) {
		uint8_t bad[9000];
		memcpy(bad, data, len);
		bad[body_at(data, victim) + 100] ^= 0x10;
		from(1, bad, len);
		return false;
	}
	return n <= 3 || !who || !(data[18] == EXCHANGE_MAIN && !(data[19] & 1));
}

static void nothing_to_learn_from_initiators(void **state)
{
	(void)state;
	for (victim = 1; victim <= 2; victim++) {
		fives = 0;
		start(with_nonces);
		drop_builtin(p);
		p->filter = spoil_4;
		pair_acquire(p, 0, 0);
		pair_run(p, 1500);
		assert_true(fives >= 1);
		assert_int_equal(pair_n_children(p, 0) + pair_n_children(p, 1), 0);
		teardown(NULL);
	}
}

static void damaged(void **state)
{
	(void)state;
	start(with_nonces);
	drop_builtin(p);
	record(6, EXCHANGE_MAIN);
	bring_up();
	p->filter = NULL;
	replay_damaged(0x11, false);
	pair_run(p, 120000);
	is_up();
}

/* ---- learned keys ---- */

static void both_methods(struct cv_config *c, int i, EVP_PKEY *key)
{
	c->allow_legacy = true;
	c->trust_point = config_alloc(c, 1, sizeof(*c->trust_point));
	cert_env_point(c, "lab", i, key, false, cert_env.ca_path);
	c->keyring[0].n_psk = 0;
	policies(c, 2);
	c->ike_policy[0].auth = CFG_AUTH_RSA_ENCR;
	c->ike_policy[1].auth = CFG_AUTH_RSA_SIG;
	c->ike_profile->n_match = 0;
}

static void with_both(struct cv_config *c, int i)
{
	both_methods(c, i, host_key[i]);
}

static void drop_builtins_but_two(struct pair *q)
{
	for (int i = 0; i < 2; i++)
		q->h[i].cfg->n_ike_policy = 2;
}

static void clear_all(int host)
{
	struct ike_match any = {.fvrf = -1, .ivrf = -1};
	ike_clear(p->h[host].ike, &any);
	pair_run(p, 10000);
	assert_int_equal(pair_n_sas(p, 0) + pair_n_sas(p, 1), 0);
}

/* IKE-40, IKE-41, IKE-T8: the first negotiation falls to signatures, which bring the keys; those after it do without.
 */
static void learned(void **state)
{
	(void)state;
	cert_env.ku = "digitalSignature,keyEncipherment";
	start(with_both);
	drop_builtins_but_two(p);
	pair_acquire(p, 0, 0);
	pair_run(p, 1000);
	assert_true(pair_children_agree(p, 1));
	for (int h = 0; h < 2; h++)
		assert_string_equal(pair_show(p, h, "auth"), "rsa-sig");
	for (int who = 1; who >= 0; who--) { /* either end begins the next one */
		clear_all(0);
		pair_acquire(p, who, 0);
		pair_run(p, 1000);
		is_up();
		for (int h = 0; h < 2; h++) { /* as much is known of the peer as with a signature */
			assert_string_equal(pair_show(p, h, "peer_certificate"), h ? "O=Lab, CN=gw0" : "O=Lab, CN=gw1");
			assert_string_equal(pair_show(p, h, "peer_id"), h ? "O=Lab, CN=gw0" : "O=Lab, CN=gw1");
		}
	}
	/* one end forgets: with the key of the peer gone, signatures again */
	pair_reboot(p, 1);
	clear_all(0);
	drop_builtins_but_two(p);
	pair_acquire(p, 1, 0);
	pair_run(p, 1000);
	assert_true(pair_children_agree(p, 1));
	assert_string_equal(pair_show(p, 0, "auth"), "rsa-sig");
	/* a day later the key has to be learned anew */
	clear_all(0);
	p->now += 86400000u;
	pair_acquire(p, 0, 0);
	pair_run(p, 1000);
	assert_true(pair_children_agree(p, 1));
	assert_string_equal(pair_show(p, 0, "auth"), "rsa-sig");
}

/* RFC 5280 4.2.1.3: a certificate that is for signatures only teaches nothing. */
static void not_for_encryption(void **state)
{
	(void)state;
	start(with_both);
	drop_builtins_but_two(p);
	for (int k = 0; k < 2; k++) {
		pair_acquire(p, 0, 0);
		pair_run(p, 1000);
		assert_true(pair_children_agree(p, 1));
		assert_string_equal(pair_show(p, 0, "auth"), "rsa-sig");
		clear_all(0);
	}
}

/* ---- a certificate for each use ---- */

static struct {
	bool special[2], strange; /* hosts with a certificate for encryption; host 1's is from another CA */
	bool signatures_only;	  /* no policy for encrypted nonces */
	bool aggressive;
} two;

static void with_two(struct cv_config *c, int i)
{
	cert_env.ku = two.special[i] ? "digitalSignature" : "digitalSignature,keyEncipherment";
	both_methods(c, i, two.special[i] ? other_key : host_key[i]);
	if (two.special[i])
		cert_env_encryption(c, c->trust_point, i, host_key[i], two.strange && i);
	if (two.signatures_only)
		c->ike_policy[0].auth = CFG_AUTH_RSA_SIG;
	c->ike_profile->aggressive = c->ike_profile->aggressive_sig = two.aggressive;
}

static int reset_two(void **state)
{
	memset(&two, 0, sizeof(two));
	two.special[0] = two.special[1] = true;
	return reset(state);
}

#define PL_CERT_REQ 7
static unsigned requests[2][6]; /* by host and kind, in messages in clear */
static bool count_requests(struct pair *q, int who, unsigned n, const uint8_t *data, size_t len)
{
	(void)q, (void)n;
	if (data[19] & 1)
		return true;
	uint8_t type = data[16];
	for (size_t at = 28; type && at + 4 < len; at += (size_t)(data[at + 2] << 8 | data[at + 3])) {
		if (type == PL_CERT_REQ && data[at + 4] < 6)
			requests[who][data[at + 4]]++;
		type = data[at];
	}
	return true;
}

static void first_by_signatures(void)
{
	memset(requests, 0, sizeof(requests));
	start(with_two);
	drop_builtins_but_two(p);
	p->filter = count_requests;
	pair_acquire(p, 0, 0);
	pair_run(p, 1000);
	assert_true(pair_children_agree(p, 1));
	for (int h = 0; h < 2; h++) {
		assert_string_equal(pair_show(p, h, "auth"), "rsa-sig");
		if (h && two.aggressive)
			continue; /* message 2 is in fragments */
		assert_int_equal(requests[h][4], 1);
		assert_int_equal(requests[h][5], !two.signatures_only);
	}
}

static void has_learned(int host, const char *usage)
{
	json_t *all = ike_show_learned(p->h[host].ike), *l = json_array_get(all, 0);
	assert_int_equal(json_array_size(all), usage ? 1 : 0);
	if (usage)
		assert_string_equal(json_string_value(json_object_get(l, "usage")), usage);
	json_decref(all);
}

/* Both ends hold the other's key: the next negotiations do without signatures, whoever begins. */
static void then_by_nonces(void)
{
	for (int who = 1; who >= 0; who--) {
		clear_all(0);
		pair_acquire(p, who, 0);
		pair_run(p, 1000);
		is_up();
		for (int h = 0; h < 2; h++)
			assert_string_equal(pair_show(p, h, "peer_certificate"), h ? "O=Lab, CN=gw0" : "O=Lab, CN=gw1");
	}
}

/*
 * IKE-42: signatures by one certificate, which may not encrypt, and nonces by the other, which both ends have asked
 * for.
 */
static void two_certificates(void **state)
{
	(void)state;
	first_by_signatures();
	for (int h = 0; h < 2; h++)
		has_learned(h, "encryption");
	then_by_nonces();
	pair_restart(p, 1);
	is_up();
}

/* IKE-42 in aggressive mode, which has signatures only: both ends learn all the same. */
static void two_certificates_aggressive(void **state)
{
	(void)state;
	two.aggressive = true;
	first_by_signatures();
	for (int h = 0; h < 2; h++) {
		assert_string_equal(pair_show(p, h, "mode"), "aggressive");
		has_learned(h, "encryption");
	}
}

/* One end has a key for everything: it is asked for two certificates, and has one. */
static void one_with_two(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		reset_two(NULL);
		two.special[i] = false;
		first_by_signatures();
		has_learned(i, "encryption");
		has_learned(!i, "general");
		then_by_nonces();
		teardown(NULL);
	}
}

/* IKE-42: no policy for encrypted nonces, no request for the key. */
static void encryption_not_asked_for(void **state)
{
	(void)state;
	two.signatures_only = true;
	first_by_signatures();
	for (int h = 0; h < 2; h++)
		has_learned(h, NULL);
}

/* A certificate for encryption that leads to no CA of ours is none; the signature counts all the same. */
static void strange_encryption_certificate(void **state)
{
	(void)state;
	two.strange = true;
	first_by_signatures();
	has_learned(0, NULL);
	has_learned(1, "encryption");
	clear_all(0);
	pair_acquire(p, 0, 0);
	pair_run(p, 1000);
	assert_true(pair_children_agree(p, 1));
	assert_string_equal(pair_show(p, 0, "auth"), "rsa-sig");
}

#define TWO_TEST(f) cmocka_unit_test_setup_teardown(f, reset_two, teardown)
#define NONCE_TEST(f) cmocka_unit_test_setup_teardown(f, reset, teardown)

/* ---- signatures with keys entered by hand ---- */

/* IKE-38: no certificate anywhere: by address and by name, one key for all or one for each use, both roles; and a
 * restart of one end, which has what it needs in its vault. */
static void signatures(void **state)
{
	(void)state;
	for (int n = 0; n < 8; n++) {
		reset(NULL);
		want.by_name = n & 1;
		want.special = n & 2;
		try_as(n >> 2, with_signatures);
		is_up_by("rsa-sig");
		pair_restart(p, n >> 2);
		is_up_by("rsa-sig");
		teardown(NULL);
	}
}

/* IKE-38: another key than the peer's, one for encryption only, and none at all, at either end. */
static void wrong_signatures(void **state)
{
	(void)state;
	for (int n = 0; n < 6; n++) {
		int host = n & 1;
		reset(NULL);
		want.wrong[host] = n / 2 == 0;
		want.usage[host] = n / 2 == 1 ? CFG_RSA_ENCRYPTION : CFG_RSA_GENERAL;
		want.no_entry[host] = n / 2 == 2;
		try_as(0, with_signatures);
		nothing_up();
		teardown(NULL);
	}
}

/* Whoever has one peer's key cannot be another: host 1 gives a name for which no key was entered. */
static void other_name(struct cv_config *c, int i)
{
	with_signatures(c, i);
	if (!i)
		c->keyring[0].rsa[0].hostname = "gw2.example.org";
}

static void signature_of_somebody_else(void **state)
{
	(void)state;
	for (int from = 0; from < 2; from++) {
		reset(NULL);
		want.by_name = true;
		try_as(from, other_name);
		nothing_up();
		teardown(NULL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		NONCE_TEST(by_address),
		NONCE_TEST(by_name),
		NONCE_TEST(special_keys),
		NONCE_TEST(for_signatures_only),
		NONCE_TEST(not_without_the_switch),
		NONCE_TEST(wrong_keys),
		NONCE_TEST(loss_and_repeats),
		NONCE_TEST(nothing_to_learn),
		NONCE_TEST(nothing_to_learn_by_name),
		NONCE_TEST(nothing_to_learn_from_initiators),
		NONCE_TEST(damaged),
		NONCE_TEST(learned),
		NONCE_TEST(not_for_encryption),
		TWO_TEST(two_certificates),
		TWO_TEST(two_certificates_aggressive),
		TWO_TEST(one_with_two),
		TWO_TEST(encryption_not_asked_for),
		TWO_TEST(strange_encryption_certificate),
		NONCE_TEST(signatures),
		NONCE_TEST(wrong_signatures),
		NONCE_TEST(signature_of_somebody_else),
	};
	return cmocka_run_group_tests(tests, setup, finish);
}
