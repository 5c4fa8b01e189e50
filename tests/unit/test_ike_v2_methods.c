/* SPDX-License-Identifier: BSD-3-Clause */
/* Announced authentication methods (RFC 9593): what is announced, when, and what is made of the peer's list. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "v2_int.h"

#include "cert_env.h"
#include "ike_env.h"
#include "ike_proposals.h"

static enum cfg_ike_method method;	 /* of both hosts */
static const char *first_key, *then_key; /* of both hosts' trust points; NULL = there is no second */
static bool first_is_rogue;		 /* the first is of the other CA */
static bool addke, mixed;

static int reset(void **state)
{
	(void)state;
	cert_env_reset();
	method = CFG_METHOD_SIGNATURE;
	first_key = "EC256";
	then_key = NULL;
	first_is_rogue = addke = mixed = false;
	return 0;
}

static void point(struct cv_config *c, const char *name, int i, const char *type, bool rogue)
{
	EVP_PKEY *key = pkim_key(type);
	cert_env_point(c, name, i, key, rogue, rogue ? cert_env.rogue_path : cert_env.ca_path);
	EVP_PKEY_free(key);
}

static void configure(struct cv_config *c, int i)
{
	if (method == CFG_METHOD_SIGNATURE) {
		c->trust_point = config_alloc(c, 2, sizeof(*c->trust_point));
		point(c, "first", i, first_key, first_is_rogue);
		if (then_key)
			point(c, "then", i, then_key, false);
	}
	if (mixed) { /* an entry for another peer, with another profile */
		struct cfg_map_entry *e = &c->map->entry[c->map->n_entry++];
		*e = c->map->entry[0];
		e->seq = 20;
		e->ike_profile = "other";
		e->peer = config_alloc(c, 1, sizeof(*e->peer));
		assert_int_equal(cv_addr_parse("192.0.2.99", e->peer), 0);
		struct cfg_ike_profile *both = config_alloc(c, 2, sizeof(*both));
		both[0] = both[1] = *c->ike_profile;
		both[1].name = "other";
		c->ike_profile = both;
		c->n_ike_profile = 2; /* the second has the default, preshared keys */
	}
	c->ike_profile->local_auth = c->ike_profile->remote_auth = method;
	c->ike_profile->n_match = 0;
	if (addke)
		ike_proposal_three_exchanges(c);
}

static struct v2_sa *sa_of(int i)
{
	struct ike_sa *sa = TAILQ_FIRST(&p->h[i].ike->sas);
	return sa ? v2_of(sa) : NULL;
}

/* ---- what is announced ---- */

/* The list of the answer to IKE_SA_INIT, which is in clear. */
static uint8_t list[1024];
static size_t list_len;
static unsigned n_lists;

static bool watch(struct pair *pair, int from, unsigned n, const uint8_t *data, size_t len)
{
	struct v2_msg m;
	const char *why;
	(void)pair, (void)n;
	assert_int_equal(v2_parse_header(data, len, &m), 0);
	if (m.h.exchange != V2_IKE_SA_INIT)
		return true;
	assert_int_equal(v2_parse_payloads(&m, m.h.next, data + IKE_HDR_LEN, len - IKE_HDR_LEN, false, &why), 0);
	const struct v2_notify *list_of = v2_find_notify(&m, V2_N_SUPPORTED_AUTH_METHODS);
	assert_int_equal(list_of != NULL, from == 1); /* the responder's part (RFC 9593 3.1) */
	if (list_of) {
		assert_true(list_of->data.len <= sizeof(list));
		list_len = list_of->data.len;
		memcpy(list, list_of->data.p, list_len);
		n_lists++;
	}
	return true;
}

static void start(void)
{
	n_lists = 0;
	list_len = 0;
	p = pair_new(CFG_IKEV2, configure);
	p->filter = watch;
	p->async_ms = 300;
	pair_acquire(p, 0, 0);
}

static void finish(void)
{
	pair_run(p, 5000);
	assert_true(pair_children_agree(p, 1));
	teardown(NULL);
}

static bool responder_knows(struct pair *pair)
{
	(void)pair;
	const struct v2_sa *sa = sa_of(1);
	return sa && sa->setup && sa->setup->peer_methods.len;
}

static void announced_psk(void **state)
{
	(void)state;
	method = CFG_METHOD_PSK;
	start();
	p->async_ms = 0;
	pair_run(p, 1000);
	assert_int_equal(n_lists, 1);
	assert_int_equal(list_len, 2);
	assert_memory_equal(list, ((uint8_t[]){2, V2_AUTH_PSK}), 2);
	finish();
}

/* Walk a list: how many announcements of a method. */
static unsigned count(const uint8_t *b, size_t len, uint8_t what)
{
	unsigned n = 0;
	for (size_t at = 0; at < len; at += b[at]) {
		enum pki_scheme scheme;
		enum pki_hash hash;
		assert_true(b[at] >= 2 && b[at] <= len - at);
		n += b[at + 1] == what;
		if (b[at + 1] == V2_AUTH_DIGITAL) { /* not linked to a CA, with an algorithm that we do take */
			assert_int_equal(b[at + 2], 0);
			assert_int_equal(pki_sig_parse(b + at + 3, b[at] - 3u, &scheme, &hash), 0);
			assert_int_not_equal(hash, PKI_HASH_SHA1);
		} else if (b[at + 1] != V2_AUTH_PSK) {
			assert_int_equal(b[at], 3);
		}
	}
	return n;
}

static void check_signatures(const uint8_t *b, size_t len)
{
	assert_int_equal(count(b, len, V2_AUTH_DIGITAL), 11);
	assert_int_equal(count(b, len, V2_AUTH_ECDSA256), 1);
	assert_int_equal(count(b, len, V2_AUTH_ECDSA384), 1);
	assert_int_equal(count(b, len, V2_AUTH_ECDSA521), 1);
	assert_int_equal(count(b, len, V2_AUTH_RSA), 0); /* SHA-1: not from a peer that knows better */
}

static void announced_signatures(void **state)
{
	(void)state;
	start();
	assert_true(pair_until(p, responder_knows, 5000));
	check_signatures(list, list_len);
	assert_int_equal(count(list, list_len, V2_AUTH_PSK), 0);
	const struct v2_buf *theirs = &sa_of(1)->setup->peer_methods; /* in IKE_AUTH */
	check_signatures(theirs->p, theirs->len);
	assert_int_equal(count(theirs->p, theirs->len, V2_AUTH_PSK), 0);
	finish();
}

/* Who the peer is says IKE_AUTH: until then its profile may be one that wants a preshared key. */
static void announced_both(void **state)
{
	(void)state;
	mixed = true;
	start();
	assert_true(pair_until(p, responder_knows, 5000));
	check_signatures(list, list_len);
	assert_int_equal(count(list, list_len, V2_AUTH_PSK), 1);
	assert_int_not_equal(list[1], V2_AUTH_PSK); /* what that entry has comes first */
	const struct v2_buf *theirs = &sa_of(1)->setup->peer_methods;
	assert_int_equal(count(theirs->p, theirs->len, V2_AUTH_PSK), 0); /* the initiator knows its profile */
	finish();
}

static bool initiator_knows(struct pair *pair)
{
	(void)pair;
	const struct v2_sa *sa = sa_of(0);
	return sa && sa->setup && sa->setup->peer_methods.len;
}

/* With IKE_INTERMEDIATE to come the list is announced empty, and follows with the last of them (RFC 9593 3.1). */
static void announced_later(void **state)
{
	(void)state;
	addke = true;
	start();
	assert_true(pair_until(p, initiator_knows, 5000));
	assert_int_equal(n_lists, 1);
	assert_int_equal(list_len, 0);
	check_signatures(sa_of(0)->setup->peer_methods.p, sa_of(0)->setup->peer_methods.len);
	finish();
}

/* ---- what is made of it ---- */

static bool about_to_sign(struct pair *pair)
{
	(void)pair;
	const struct v2_sa *sa = sa_of(0);
	return sa && sa->sa.state == V2_AUTH_SENT && sa->setup && sa->setup->own_tp;
}

/* Host 0 hears this list instead of host 1's own, and CERTREQs for the CAs of both trust points. */
static struct v2_how told(const void *methods, size_t len)
{
	uint8_t cas[2 * PKI_KEYID_LEN];
	struct v2_msg m = {.n_notify = 1, .n_certreq = 2};
	struct v2_how how;
	start();
	assert_true(pair_until(p, about_to_sign, 5000));
	struct v2_sa *sa = sa_of(0);
	const struct cfg_ike_profile *pr = sa->sa.profile;
	for (unsigned i = 0; i < 2; i++) /* in the order of our trust points */
		memcpy(cas + i * PKI_KEYID_LEN, pki_tp_ca_keyid(pr->trust[i % pr->n_trust_point], 0), PKI_KEYID_LEN);
	m.notify[0] = (struct v2_notify){.type = V2_N_SUPPORTED_AUTH_METHODS, .data = {methods, len}};
	m.certreq[0] = (struct v2_view){cas, PKI_KEYID_LEN};
	m.certreq[1] = (struct v2_view){cas + PKI_KEYID_LEN, PKI_KEYID_LEN};
	v2_choose_cert(sa, &m);
	assert_true(v2_method_choose(sa, sa->setup->own_tp, &how));
	return how;
}

static size_t announce(uint8_t *out, uint8_t link, enum pki_scheme scheme, enum pki_hash hash)
{
	struct pki_blob alg = pki_sig_algid(scheme, hash, PKI_KEY_NONE);
	out[0] = (uint8_t)(3 + alg.len);
	out[1] = V2_AUTH_DIGITAL;
	out[2] = link;
	memcpy(out + 3, alg.p, alg.len);
	return out[0];
}

/* Two keys: the one is shown that the peer can verify, and with the algorithm that it has announced. */
static void chosen(void **state)
{
	uint8_t b[256];
	(void)state;
	first_key = "EC256";
	then_key = "RSA";
	size_t n = announce(b, 0, PKI_RSA_PKCS1, PKI_HASH_SHA512);
	struct v2_how how = told(b, n);
	assert_int_equal(pki_tp_key(sa_of(0)->setup->own_tp), PKI_KEY_RSA);
	assert_int_equal(how.scheme, PKI_RSA_PKCS1);
	assert_int_equal(how.hash, PKI_HASH_SHA512);
	finish(); /* and it does take it */
	n = announce(b, 0, PKI_RSA_PSS, PKI_HASH_SHA384);
	n += announce(b + n, 0, PKI_RSA_PKCS1, PKI_HASH_SHA256);
	how = told(b, n);
	assert_int_equal(how.scheme, PKI_RSA_PKCS1); /* whose hash suits the key */
	finish();
	memcpy(b, (uint8_t[]){3, V2_AUTH_ECDSA384, 0, 3, V2_AUTH_ECDSA256, 0}, 6);
	how = told(b, 6);
	assert_int_equal(how.method, V2_AUTH_ECDSA256); /* the method of RFC 4754, although the peer knows hashes */
	finish();
	how = told((uint8_t[]){2, V2_AUTH_PSK}, 2); /* nothing that we can do: as if it had said nothing */
	assert_int_equal(how.method, V2_AUTH_DIGITAL);
	assert_int_equal(how.scheme, PKI_ECDSA);
	assert_int_equal(how.hash, PKI_HASH_SHA256);
	assert_false(v2_methods_lack_psk(sa_of(0)));
	finish();
}

/* The link says which CA the announcement is for: number 1 is the rogue's, number 2 ours. */
static void linked_to_ca(void **state)
{
	uint8_t b[256];
	(void)state;
	first_key = then_key = "EC256";
	first_is_rogue = true;
	size_t n = announce(b, 2, PKI_ECDSA, PKI_HASH_SHA256);
	struct v2_how how = told(b, n);
	assert_ptr_equal(sa_of(0)->setup->own_tp, sa_of(0)->sa.profile->trust[1]);
	assert_int_equal(how.scheme, PKI_ECDSA);
	finish();
	announce(b, 1, PKI_ECDSA, PKI_HASH_SHA256);
	told(b, n);
	assert_ptr_equal(sa_of(0)->setup->own_tp, sa_of(0)->sa.profile->trust[0]);
	finish();
	announce(b, 200, PKI_ECDSA, PKI_HASH_SHA256); /* there is no such CA: then it says nothing of ours */
	told(b, n);
	assert_false(v2_method_announced(sa_of(0), sa_of(0)->setup->own_tp));
	finish();
}

/* A list that cannot be read is read as far as it can; whatever it says, the SA comes up. */
static void malformed(void **state)
{
	static const struct {
		uint8_t b[8];
		size_t len;
	} bad[] = {{{0}, 1}, {{1}, 1}, {{2}, 1}, {{0, 0}, 2}, {{255, 14, 0}, 3}, {{3, 14}, 2}, {{4, 14, 0, 0x30}, 4},
		{{8, 14, 9, 0x30, 0x80, 1, 2, 3}, 8}, {{2, 2, 3, 9}, 4}, {{2, 2, 0, 3, 9, 0}, 6}};
	(void)state;
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct v2_how how = told(bad[i].b, bad[i].len);
		assert_int_equal(how.method, V2_AUTH_DIGITAL);
		finish();
	}
}

static void preshared_key_not_among_them(void **state)
{
	uint8_t b[64];
	(void)state;
	struct v2_sa sa = {.setup = calloc(1, sizeof(*sa.setup))};
	assert_false(v2_methods_lack_psk(&sa));
	v2_buf_set(&sa.setup->peer_methods, b, announce(b, 0, PKI_ECDSA, PKI_HASH_SHA256));
	assert_true(v2_methods_lack_psk(&sa));
	v2_buf_set(&sa.setup->peer_methods, (uint8_t[]){3, 9, 0, 2, V2_AUTH_PSK}, 5);
	assert_false(v2_methods_lack_psk(&sa));
	v2_buf_free(&sa.setup->peer_methods);
	free(sa.setup);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, reset, teardown)
	const struct CMUnitTest tests[] = {T(announced_psk), T(announced_signatures), T(announced_both),
		T(announced_later), T(chosen), T(linked_to_ca), T(malformed), T(preshared_key_not_among_them)};
	return cmocka_run_group_tests(tests, cert_env_setup, cert_env_finish);
}
