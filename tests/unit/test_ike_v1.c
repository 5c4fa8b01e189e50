/* SPDX-License-Identifier: BSD-3-Clause */
/* IKEv1, two engines against each other: every exchange, every refusal, and the loss of each message. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "cv_addr.h"
#include "ike_pair.h"

static struct pair *p;

static int teardown(void **state)
{
	(void)state;
	if (p)
		pair_free(p);
	p = NULL;
	return 0;
}

static void start(void (*tweak)(struct cv_config *c, int host))
{
	p = pair_new(CFG_IKEV1, tweak);
}

static void up(void)
{
	pair_acquire(p, 0, 0);
	pair_run(p, 1000);
	assert_true(pair_children_agree(p, 1));
}

/* ---- the plain case ---- */

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
	assert_string_equal(pair_show(p, 0, "role"), "initiator");
	assert_string_equal(pair_show(p, 0, "peer_id"), "192.0.2.2");
	assert_true(pair_children_agree(p, 1));
	struct pair_child *c = pair_newest(p, 0);
	assert_int_equal(c->p.rule_id, 100);
	assert_int_equal(c->p.alg, CV_ESP_AES128_GCM16);
	assert_int_equal(c->keys.len, 20);
	assert_false(c->p.udp_encap);
	/* nothing more happens while nobody needs anything: six messages of main mode, three of quick mode */
	assert_int_equal(p->n_ike, 9);
	pair_run(p, 600000);
	assert_int_equal(p->n_ike, 9);
}

/* ---- policies (IKE-27..30, IKE-T7) ---- */

static void policies(struct cv_config *c, unsigned n)
{
	c->ike_policy = config_alloc(c, n, sizeof(*c->ike_policy));
	c->n_ike_policy = n;
	for (unsigned i = 0; i < n; i++)
		c->ike_policy[i] = (struct cfg_ike_policy){.priority = 10 * (i + 1),
			.encr = IKE_ENCR_AES_CBC,
			.key_bits = 256,
			.hash = IKE_PRF_HMAC_SHA256,
			.auth = CFG_AUTH_PSK,
			.group = IKE_GROUP_ECP256,
			.lifetime_s = 86400};
}

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
	up();
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
		up();
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

static void drop_builtin(struct pair *q)
{
	for (int i = 0; i < 2; i++)
		q->h[i].cfg->n_ike_policy = 1;
}

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
	up();
	assert_string_equal(pair_show(p, 0, "encr"), "3des");
	assert_string_equal(pair_show(p, 0, "group"), "modp1536");
	teardown(NULL);
	/* without the permission the policy is not offered: the built-in ones are agreed on */
	start(tweak_legacy);
	p->h[0].cfg->allow_legacy = false;
	up();
	assert_string_equal(pair_show(p, 0, "encr"), "aes256-cbc");
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
		up();
		assert_string_equal(pair_show(p, 1, "group"), algo_ike_get(ALGO_IKE_GROUP, t[i].group, 0)->name);
		assert_string_equal(pair_show(p, 1, "hash"), algo_ike_get(ALGO_IKE_PRF, t[i].hash, 0)->name);
		teardown(NULL);
	}
}

/* ---- authentication ---- */

static void tweak_psk(struct cv_config *c, int host)
{
	if (host)
		c->keyring->psk->key = config_secret(c, "secreT", 6);
}

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
	up();
	assert_string_equal(pair_show(p, 1, "peer_id"), "left.example.com");
	teardown(NULL);
	start(tweak_bad_identity);
	pair_acquire(p, 0, 0);
	pair_run(p, 100000);
	assert_string_equal(pair_reason(p, 1, IKE_EVT_FAILED), "identity of the peer not accepted");
	assert_int_equal(pair_n_sas(p, 0), 0);
	assert_int_equal(pair_n_sas(p, 1), 0);
}

/* ---- quick mode ---- */

static void transform_sets(struct cv_config *c, const enum cv_esp_alg *alg, unsigned n)
{
	static const char *const name[] = {"ts0", "ts1", "ts2", "ts3", "ts4", "ts5"};
	c->allow_legacy = true;
	for (unsigned i = 0; i < n; i++) {
		c->transform_set[i] = (struct cfg_transform_set){.name = name[i], .alg = alg[i]};
		c->map->entry->transform_set[i] = name[i];
	}
	c->n_transform_set = c->map->entry->n_transform_set = n;
}

static enum cv_esp_alg alg_under_test;

static void tweak_alg(struct cv_config *c, int host)
{
	(void)host;
	transform_sets(c, &alg_under_test, 1);
}

static void every_transform(void **state)
{
	(void)state;
	for (int a = 1; a < CV_ESP_ALG_MAX; a++) {
		alg_under_test = (enum cv_esp_alg)a;
		start(tweak_alg);
		up();
		assert_int_equal(pair_newest(p, 0)->p.alg, a);
		assert_int_equal(pair_newest(p, 1)->keys.len, algo_esp_key_len(algo_esp_get(alg_under_test)));
		teardown(NULL);
	}
}

/* The initiator's order decides among what both have (VRF-47). */
static void tweak_common(struct cv_config *c, int host)
{
	static const enum cv_esp_alg left[] = {CV_ESP_AES256_GCM16, CV_ESP_AES256_CBC_SHA256_128, CV_ESP_AES128_GCM16};
	static const enum cv_esp_alg right[] = {CV_ESP_AES128_GCM16, CV_ESP_AES256_CBC_SHA256_128};
	if (host)
		transform_sets(c, right, 2);
	else
		transform_sets(c, left, 3);
}

static void peers_order(void **state)
{
	(void)state;
	start(tweak_common);
	up();
	assert_int_equal(pair_newest(p, 0)->p.alg, CV_ESP_AES256_CBC_SHA256_128);
}

static void tweak_no_common(struct cv_config *c, int host)
{
	static const enum cv_esp_alg left[] = {CV_ESP_AES256_GCM16}, right[] = {CV_ESP_AES128_GCM16};
	transform_sets(c, host ? right : left, 1);
}

static void no_common_transform(void **state)
{
	(void)state;
	start(tweak_no_common);
	pair_acquire(p, 0, 0);
	pair_run(p, 1000);
	assert_int_equal(pair_n_children(p, 0), 0);
	assert_int_equal(pair_n_children(p, 1), 0);
	assert_int_equal(pair_n_sas(p, 0), 1); /* phase 1 stays */
	assert_string_equal(pair_reason(p, 0, IKE_EVT_FAILED), "no-proposal-chosen");
	assert_string_equal(pair_reason(p, 1, IKE_EVT_FAILED), "no proposal chosen");
	assert_int_equal(p->h[0].acquire_failures, 1);
	/* nothing is left behind */
	for (int i = 0; i < 2; i++)
		for (unsigned k = 1; k < PAIR_CHILD_MAX; k++)
			assert_false(p->h[i].child[k].used);
}

static enum ike_group pfs_of[2];

static void tweak_pfs(struct cv_config *c, int host)
{
	c->map->entry->pfs = pfs_of[host];
}

/* IPSEC-53 */
static void pfs(void **state)
{
	(void)state;
	static const struct {
		enum ike_group left, right;
		bool ok;
	} t[] = {{IKE_GROUP_ECP256, IKE_GROUP_ECP256, true}, {IKE_GROUP_MODP2048, IKE_GROUP_MODP2048, true},
		{IKE_GROUP_ECP384, IKE_GROUP_NONE, true}, /* offered, not demanded */
		{IKE_GROUP_NONE, IKE_GROUP_ECP256, false}, {IKE_GROUP_MODP2048, IKE_GROUP_ECP256, false}};
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		pfs_of[0] = t[i].left;
		pfs_of[1] = t[i].right;
		start(tweak_pfs);
		pair_acquire(p, 0, 0);
		pair_run(p, 1000);
		assert_true(pair_children_agree(p, t[i].ok));
		if (!t[i].ok)
			assert_string_equal(
				pair_reason(p, 1, IKE_EVT_FAILED), "perfect forward secrecy not offered as configured");
		teardown(NULL);
	}
}

static void line(struct cv_config *c, const char *src, const char *dst, uint8_t proto, uint16_t dport)
{
	struct cv_prefix pre;
	struct cv_selector *s = &c->acl->line[0].sel;
	assert_int_equal(cv_prefix_parse(src, &pre), 0);
	cv_prefix_to_range(&pre, &s->src);
	assert_int_equal(cv_prefix_parse(dst, &pre), 0);
	cv_prefix_to_range(&pre, &s->dst);
	s->proto = proto;
	if (dport)
		s->dport_lo = s->dport_hi = dport;
}

static void tweak_subset(struct cv_config *c, int host)
{
	if (!host)
		line(c, "10.1.0.128/25", "10.2.0.7", 6, 443);
}

/* IPSEC-36: the responder takes a subset of its own flow, and refuses a superset. */
static void subset_and_superset(void **state)
{
	(void)state;
	start(tweak_subset);
	up();
	struct cv_selector *s = &pair_newest(p, 1)->p.sel[0];
	assert_int_equal(s->proto, 6);
	assert_int_equal(s->sport_lo, 443);
	assert_int_equal(s->src.lo.b[3], 7);
	assert_int_equal(s->dst.lo.b[3], 128);
	teardown(NULL);
	start(tweak_subset);
	pair_acquire(p, 1, 0);
	pair_run(p, 1000);
	assert_int_equal(pair_n_children(p, 0), 0);
	assert_int_equal(pair_n_children(p, 1), 0);
	assert_string_equal(pair_reason(p, 0, IKE_EVT_FAILED), "the peer's flow is not permitted by the access list");
	assert_string_equal(pair_reason(p, 1, IKE_EVT_FAILED), "invalid-id-information");
}

static void tweak_port_range(struct cv_config *c, int host)
{
	(void)host;
	c->acl->line[0].sel.proto = 17;
	c->acl->line[0].sel.dport_lo = 1000;
	c->acl->line[0].sel.dport_hi = 2000;
}

static void inexpressible_flow(void **state)
{
	(void)state;
	start(tweak_port_range);
	pair_acquire(p, 0, 0);
	pair_run(p, 1000);
	assert_int_equal(p->h[0].acquire_failures, 1);
	assert_string_equal(
		pair_reason(p, 0, IKE_EVT_FAILED), "IKEv1 cannot express the port range of the access list line");
}

static void tweak_ipv6(struct cv_config *c, int host)
{
	line(c, host ? "2001:db8:2::/64" : "2001:db8:1::/64", host ? "2001:db8:1::/64" : "2001:db8:2::/64", 0, 0);
}

static void ipv6_inside(void **state)
{
	(void)state;
	start(tweak_ipv6);
	up();
	assert_int_equal(pair_newest(p, 1)->p.sel[0].src.lo.af, CV_AF_INET6);
}

/* IPSEC-51: the shorter lifetime in time and volume, at both ends, whoever has it. */
static void tweak_child_life(struct cv_config *c, int host)
{
	c->map->entry->lifetime_s = host ? 1800 : 3600;
	c->map->entry->lifetime_kb = host ? 500000 : 100000;
}

static void child_lifetimes(void **state)
{
	(void)state;
	for (int from = 0; from < 2; from++) {
		start(tweak_child_life);
		pair_acquire(p, from, 0);
		pair_run(p, 1000);
		assert_true(pair_children_agree(p, 1));
		for (int i = 0; i < 2; i++) {
			assert_int_equal(pair_newest(p, i)->p.lifetime_s, 1800);
			assert_int_equal(pair_newest(p, i)->p.lifetime_kb, 100000);
		}
		teardown(NULL);
	}
}

#define N_LINES 6
static void tweak_lines(struct cv_config *c, int host)
{
	for (uint8_t i = 1; i < N_LINES; i++) {
		c->acl->line[i] = c->acl->line[0];
		c->acl->line[i].seq = 10u * (i + 1);
		struct cv_selector *s = &c->acl->line[i].sel;
		s->src.lo.b[1] = s->src.hi.b[1] = (uint8_t)(10 * i + (host ? 2 : 1));
		s->dst.lo.b[1] = s->dst.hi.b[1] = (uint8_t)(10 * i + (host ? 1 : 2));
	}
	c->acl->n_line = N_LINES;
}

/* Several quick modes at a time over one phase 1 SA (IPSEC-29), from both ends. */
static void many_lines_at_once(void **state)
{
	(void)state;
	start(tweak_lines);
	for (unsigned i = 0; i < N_LINES; i++)
		pair_acquire(p, 0, i);
	pair_run(p, 1000);
	assert_int_equal(pair_n_sas(p, 0), 1);
	assert_true(pair_children_agree(p, N_LINES));
	for (unsigned k = 1; k <= N_LINES; k++)
		assert_in_range(p->h[0].child[k].p.rule_id, 100, 100 + N_LINES - 1);
}

static void dataplane_refuses(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		start(NULL);
		p->h[i].refuse_child = ENOMEM;
		pair_acquire(p, 0, 0);
		pair_run(p, 100000);
		assert_int_equal(pair_n_children(p, i), 0);
		assert_string_equal(pair_reason(p, i, IKE_EVT_FAILED), "refused by the dataplane");
		for (unsigned k = 1; k < PAIR_CHILD_MAX; k++)
			assert_false(p->h[i].child[k].used);
		/* the next attempt succeeds */
		pair_acquire(p, 0, 0);
		pair_run(p, 2000);
		assert_true(pair_children_agree(p, 1) || pair_n_children(p, 0) == 1);
		teardown(NULL);
	}
}

/* ---- loss ---- */

static bool drop_one(struct pair *q, int from, unsigned n, const uint8_t *data, size_t len)
{
	(void)from, (void)data, (void)len;
	return n != q->drop_nth;
}

static bool two_agree(struct pair *q)
{
	return pair_children_agree(q, 1);
}

/* Each of the nine messages lost once, and each lost twice in a row. */
static void every_message_lost(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 9; n++) {
		start(NULL);
		p->filter = drop_one;
		p->drop_nth = n;
		pair_acquire(p, 0, 0);
		if (!pair_until(p, two_agree, 60000))
			fail_msg("message %u lost: not up after a minute", n);
		pair_run(p, 60000);
		assert_true(pair_children_agree(p, 1));
		assert_int_equal(pair_n_sas(p, 0), 1);
		assert_int_equal(pair_n_sas(p, 1), 1);
		assert_int_equal(p->h[0].acquire_failures, 0);
		teardown(NULL);
	}
}

static void rough_network(void **state)
{
	(void)state;
	unsigned ok = 0;
	for (unsigned seed = 1; seed <= 60; seed++) {
		start(NULL);
		p->rng = seed;
		p->loss = 20;
		p->dup = 20;
		p->jitter = 300;
		pair_acquire(p, 0, 0);
		bool came_up = pair_until(p, two_agree, 120000);
		ok += came_up;
		p->loss = 0;
		pair_run(p, 120000);
		/* whatever happened: both ends see the same */
		if (!pair_children_agree(p, pair_n_children(p, 0)))
			fail_msg("seed %u: the ends disagree", seed);
		teardown(NULL);
	}
	assert_true(ok >= 55);
}

static void duplicates(void **state)
{
	(void)state;
	start(NULL);
	p->dup = 100;
	up();
	pair_run(p, 60000);
	assert_true(pair_children_agree(p, 1));
	assert_int_equal(pair_n_sas(p, 1), 1);
	assert_int_equal(pair_stat(p, 1, "sa_responded"), 1);
}

static void silent_peer(void **state)
{
	(void)state;
	start(NULL);
	p->cut = true;
	pair_acquire(p, 0, 0);
	pair_run(p, 300000);
	assert_int_equal(pair_n_sas(p, 0), 0);
	assert_string_equal(pair_reason(p, 0, IKE_EVT_FAILED), "peer not responding");
	assert_int_equal(p->h[0].acquire_failures, 1);
}

static bool cut_after_4(struct pair *q, int from, unsigned n, const uint8_t *data, size_t len)
{
	(void)q, (void)from, (void)data, (void)len;
	return n < 4;
}

static void half_open_goes(void **state)
{
	(void)state;
	start(NULL);
	p->filter = cut_after_4;
	pair_acquire(p, 0, 0);
	pair_run(p, 200);
	assert_int_equal(pair_n_sas(p, 1), 1);
	assert_int_equal(pair_stat(p, 1, "half_open"), 1);
	pair_run(p, 300000);
	assert_int_equal(pair_n_sas(p, 1), 0);
	assert_int_equal(pair_stat(p, 1, "half_open"), 0);
	assert_string_equal(pair_reason(p, 1, IKE_EVT_FAILED), "negotiation timed out");
}

/* Both ends begin at once: two phase 1 SAs, of which both ends keep the same one; traffic flows all the time. */
static void both_at_once(void **state)
{
	(void)state;
	for (unsigned apart = 0; apart < 60; apart += 7) {
		start(NULL);
		pair_acquire(p, 0, 0);
		if (apart)
			pair_run(p, apart);
		pair_acquire(p, 1, 0);
		pair_run(p, 5000);
		p->traffic_ms = 20;
		pair_run(p, 120000);
		assert_int_equal(p->h[0].esp_no_sa + p->h[1].esp_no_sa, 0);
		assert_int_equal(p->h[0].esp_unknown + p->h[1].esp_unknown, 0);
		assert_int_equal(pair_n_sas(p, 0), 1);
		assert_int_equal(pair_n_sas(p, 1), 1);
		char spi[32];
		strcpy(spi, pair_show(p, 0, "spi_i"));
		assert_string_equal(pair_show(p, 1, "spi_i"), spi);
		teardown(NULL);
	}
}

/* ---- rekeying under traffic ---- */

static void tweak_short(struct cv_config *c, int host)
{
	(void)host;
	policies(c, 1);
	c->ike_policy[0].lifetime_s = 900;
	c->map->entry->lifetime_s = 300;
}

static void traffic_for(uint64_t ms)
{
	p->traffic_ms = 50;
	pair_run(p, ms);
	p->traffic_ms = 0;
	pair_run(p, 100);
}

static void nothing_lost(void)
{
	assert_int_equal(p->h[0].esp_no_sa + p->h[1].esp_no_sa, 0);
	assert_int_equal(p->h[0].esp_unknown + p->h[1].esp_unknown, 0);
	assert_int_equal(p->h[0].esp_sent, p->h[1].esp_received);
	assert_int_equal(p->h[1].esp_sent, p->h[0].esp_received);
	assert_true(p->h[0].esp_sent > 1000);
}

static void rekey_loses_nothing(void **state)
{
	(void)state;
	start(tweak_short);
	up();
	traffic_for(3600000);
	nothing_lost();
	assert_true(pair_stat(p, 0, "child_rekeyed") >= 10);
	assert_true(pair_events(p, 0, IKE_EVT_REKEYED) >= 3);
	assert_int_equal(pair_events(p, 0, IKE_EVT_UP), 1);
	assert_int_equal(pair_events(p, 1, IKE_EVT_UP), 1);
	assert_int_equal(pair_events(p, 0, IKE_EVT_DOWN), 0);
	assert_int_equal(pair_events(p, 1, IKE_EVT_DOWN), 0);
	/* old pairs and old phase 1 SAs are gone */
	pair_run(p, 15000);
	assert_true(pair_n_children(p, 0) <= 2);
	assert_in_range(pair_n_sas(p, 0), 1, 2);
}

/* A tenth of the messages lost, some repeated, all shuffled, for two hours of rekeying. */
static void rekey_under_loss(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 5; seed++) {
		start(tweak_short);
		up();
		p->rng = seed;
		p->loss = 10;
		p->dup = 10;
		p->jitter = 200;
		traffic_for(7200000);
		if (p->h[0].esp_sent != p->h[1].esp_received || p->h[1].esp_sent != p->h[0].esp_received)
			fail_msg("seed %u: lost %d and %d", seed, (int)(p->h[0].esp_sent - p->h[1].esp_received),
				(int)(p->h[1].esp_sent - p->h[0].esp_received));
		nothing_lost();
		assert_true(pair_n_children(p, 0) <= 3);
		assert_in_range(pair_n_sas(p, 0), 1, 3);
		teardown(NULL);
	}
}

/* Both ends renew the same pair in the same moment, again and again. */
static void crossing_rekeys(void **state)
{
	(void)state;
	start(NULL);
	up();
	p->traffic_ms = 50;
	for (unsigned round = 0; round < 20; round++) {
		for (int i = 0; i < 2; i++)
			ike_child_expire(p->h[i].ike, pair_newest(p, i)->id, false);
		pair_run(p, 90000);
		assert_in_range(pair_n_children(p, 0), 1, 2);
		assert_int_equal(pair_n_children(p, 0), pair_n_children(p, 1));
	}
	traffic_for(1000);
	nothing_lost();
}

/* Volume: the dataplane says soft, then hard (IPSEC-51). */
static void kilobytes(void **state)
{
	(void)state;
	start(NULL);
	up();
	uint32_t first = pair_newest(p, 0)->id;
	p->traffic_ms = 50;
	ike_child_expire(p->h[0].ike, first, false);
	pair_run(p, 10000);
	assert_int_not_equal(pair_newest(p, 0)->id, first);
	assert_int_equal(pair_n_children(p, 0), 1);
	traffic_for(60000);
	nothing_lost();
	ike_child_expire(p->h[0].ike, pair_newest(p, 0)->id, true);
	pair_run(p, 1000);
	assert_int_equal(pair_n_children(p, 0), 0);
	assert_int_equal(pair_n_children(p, 1), 0); /* the peer was told */
}

/* A rekey that cannot be agreed on leaves the old pair alone until its end. */
static void rekey_refused(void **state)
{
	(void)state;
	start(tweak_short);
	up();
	p->h[1].cfg->map->entry->pfs = IKE_GROUP_ECP256;
	p->h[0].cfg->map->entry->pfs = IKE_GROUP_MODP2048;
	uint32_t id = pair_newest(p, 0)->id;
	p->traffic_ms = 50;
	pair_run(p, 290000);
	assert_int_equal(pair_newest(p, 0)->id, id);
	assert_int_equal(p->h[0].esp_no_sa, 0);
	/* put right in time: the next attempt succeeds */
	p->h[1].cfg->map->entry->pfs = p->h[0].cfg->map->entry->pfs = IKE_GROUP_NONE;
	traffic_for(60000);
	nothing_lost();
}

/* ---- deletes ---- */

static void clear_child(void **state)
{
	(void)state;
	start(NULL);
	up();
	struct ike_match m = {.fvrf = -1, .ivrf = -1, .child_id = pair_newest(p, 0)->id};
	assert_int_equal(ike_clear(p->h[0].ike, &m), 1);
	pair_run(p, 5000);
	assert_int_equal(pair_n_children(p, 0), 0);
	assert_int_equal(pair_n_children(p, 1), 0);
	assert_int_equal(pair_n_sas(p, 1), 1);
	up(); /* over the same phase 1 SA */
	assert_int_equal(pair_stat(p, 1, "sa_responded"), 1);
}

static void clear_session(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		start(NULL);
		up();
		struct ike_match m = {.fvrf = -1, .ivrf = -1};
		assert_int_equal(ike_clear(p->h[i].ike, &m), 1);
		pair_run(p, 5000);
		for (int h = 0; h < 2; h++) {
			assert_int_equal(pair_n_children(p, h), 0);
			assert_int_equal(pair_n_sas(p, h), 0);
			assert_int_equal(pair_events(p, h, IKE_EVT_DOWN), 1);
		}
		assert_string_equal(pair_reason(p, i, IKE_EVT_DOWN), "cleared by operator");
		teardown(NULL);
	}
}

/* The peer reboots and begins anew: INITIAL-CONTACT clears the old SAs (VRF-42). */
static void initial_contact(void **state)
{
	(void)state;
	start(NULL);
	up();
	pair_reboot(p, 0);
	pair_acquire(p, 0, 0);
	pair_run(p, 5000);
	assert_int_equal(pair_n_sas(p, 1), 1);
	assert_true(pair_children_agree(p, 1));
	assert_string_equal(pair_reason(p, 1, IKE_EVT_DOWN), "initial contact from the peer");
}

/* The responder reboots; the initiator's quick mode over the dead phase 1 SA gets no answer and it starts anew. */
static void peer_forgot(void **state)
{
	(void)state;
	start(NULL);
	up();
	struct ike_match m = {.fvrf = -1, .ivrf = -1, .child_id = pair_newest(p, 0)->id};
	ike_clear(p->h[0].ike, &m);
	pair_run(p, 5000);
	pair_reboot(p, 1);
	p->traffic_ms = 1000;
	assert_true(pair_until(p, two_agree, 200000));
}

/* ---- DPD ---- */

static enum cfg_dpd_mode dpd_mode;

static void tweak_dpd(struct cv_config *c, int host)
{
	c->ike_profile->dpd_mode = host ? CFG_DPD_OFF : dpd_mode;
	c->ike_profile->dpd_interval_s = 10;
	c->ike_profile->dpd_retry_s = 2;
}

/* DPD-T1, T2: asked every 10 s; cut off: five probes 2 s apart, then everything to that peer goes. */
static void dpd_periodic(void **state)
{
	(void)state;
	dpd_mode = CFG_DPD_PERIODIC;
	start(tweak_dpd);
	up();
	uint64_t sent = pair_stat(p, 0, "dpd_sent");
	pair_run(p, 100000);
	assert_in_range(pair_stat(p, 0, "dpd_sent") - sent, 9, 11);
	assert_int_equal(pair_n_sas(p, 0), 1);
	p->cut = true;
	sent = pair_stat(p, 0, "dpd_sent");
	pair_run(p, 21000);
	assert_int_equal(pair_stat(p, 0, "dpd_sent") - sent, 5);
	assert_int_equal(pair_n_sas(p, 0), 0);
	assert_int_equal(pair_n_children(p, 0), 0);
	assert_string_equal(pair_reason(p, 0, IKE_EVT_DOWN), "peer not responding");
	assert_int_equal(pair_stat(p, 0, "dpd_dead"), 1);
}

/* DPD-T7: inbound traffic is a sign of life. */
static void dpd_traffic(void **state)
{
	(void)state;
	dpd_mode = CFG_DPD_PERIODIC;
	start(tweak_dpd);
	up();
	p->traffic_ms = 500;
	pair_run(p, 100000);
	assert_int_equal(pair_stat(p, 0, "dpd_sent"), 0);
}

/* DPD-T4: on demand nothing is sent on an idle link, and detection follows traffic. */
static void dpd_on_demand(void **state)
{
	(void)state;
	dpd_mode = CFG_DPD_ON_DEMAND;
	start(tweak_dpd);
	up();
	unsigned n = p->n_ike;
	pair_run(p, 300000);
	assert_int_equal(p->n_ike, n);
	p->cut = true;
	pair_run(p, 60000);
	assert_int_equal(pair_n_sas(p, 0), 1);
	p->traffic_ms = 500;
	pair_run(p, 15000);
	assert_string_equal(pair_reason(p, 0, IKE_EVT_DOWN), "peer not responding");
}

/* DPD-T5, IPSEC-48: the first peer of the list is dead, the second answers. */
static void tweak_peers(struct cv_config *c, int host)
{
	if (host)
		return;
	c->map->entry->n_peer = 2;
	c->map->entry->peer[1] = c->map->entry->peer[0];
	assert_int_equal(cv_addr_parse("192.0.2.99", &c->map->entry->peer[0]), 0);
}

static void next_peer(void **state)
{
	(void)state;
	start(tweak_peers);
	pair_acquire(p, 0, 0);
	assert_true(pair_until(p, two_agree, 300000));
	assert_int_equal(p->h[0].acquire_failures, 0);
}

/* ---- NAT (RFC 3947) ---- */

static void tweak_nat(struct cv_config *c, int host)
{
	if (host)
		assert_int_equal(cv_addr_parse("198.51.100.1", &c->map->entry->peer[0]), 0);
}

static void nat(void **state)
{
	(void)state;
	p = pair_new(CFG_IKEV1, tweak_nat);
	p->nat = true;
	up();
	for (int i = 0; i < 2; i++) {
		assert_string_equal(pair_show(p, i, "nat_t"), "true");
		assert_true(pair_newest(p, i)->p.udp_encap);
	}
	assert_string_equal(pair_show(p, 0, "nat_local"), "true");
	assert_string_equal(pair_show(p, 0, "nat_remote"), "false");
	assert_string_equal(pair_show(p, 1, "nat_remote"), "true");
	assert_int_equal(pair_newest(p, 1)->p.path.rport, 14500);
	assert_int_equal(pair_newest(p, 0)->p.path.rport, 4500);
	/* keepalives of the side behind the NAT only */
	unsigned n0 = p->h[0].tx, n1 = p->h[1].tx;
	pair_run(p, 100000);
	assert_in_range(p->h[0].tx - n0, 4, 6);
	assert_int_equal(p->h[1].tx, n1);
	/* the mapping changes: an authenticated message from the new place moves everything there */
	p->nat_shift = 20000;
	struct ike_match m = {.fvrf = -1, .ivrf = -1, .child_id = pair_newest(p, 0)->id};
	ike_clear(p->h[0].ike, &m);
	pair_run(p, 1000);
	up();
	assert_string_equal(pair_show(p, 1, "remote_port"), "24500");
	assert_int_equal(pair_newest(p, 1)->p.path.rport, 24500);
}

static void nat_rekey(void **state)
{
	(void)state;
	start(tweak_short);
	pair_free(p);
	p = pair_new(CFG_IKEV1, tweak_nat);
	p->nat = true;
	for (int i = 0; i < 2; i++) {
		p->h[i].cfg->map->entry->lifetime_s = 300;
		for (unsigned k = 0; k < p->h[i].cfg->n_ike_policy; k++)
			p->h[i].cfg->ike_policy[k].lifetime_s = 900;
	}
	up();
	traffic_for(3600000);
	nothing_lost();
	assert_true(pair_events(p, 0, IKE_EVT_REKEYED) >= 3);
	assert_string_equal(pair_show(p, 0, "nat_t"), "true");
}

static void tweak_force(struct cv_config *c, int host)
{
	c->ike_profile->force_encaps = host == 0;
}

static void tweak_no_natt(struct cv_config *c, int host)
{
	tweak_nat(c, host);
	c->ike_profile->nat_traversal = host == 0;
}

static void encapsulation_choice(void **state)
{
	(void)state;
	start(tweak_force);
	up();
	assert_true(pair_newest(p, 0)->p.udp_encap);
	assert_true(pair_newest(p, 1)->p.udp_encap);
	teardown(NULL);
	start(tweak_no_natt);
	p->nat = true;
	up();
	assert_false(pair_newest(p, 0)->p.udp_encap);
}

/* ---- restarts ---- */

/* The control process of either end dies under traffic and finds its SAs again; later rekeys work. */
static void control_restart(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		start(tweak_short);
		up();
		p->traffic_ms = 50;
		pair_run(p, 5000);
		pair_restart(p, i);
		assert_string_equal(pair_show(p, i, "state"), "QM_IDLE");
		assert_int_equal(pair_stat(p, i, "restored"), 1);
		traffic_for(3600000);
		nothing_lost();
		teardown(NULL);
	}
}

/* Restarts again and again, also in the middle of a rekey. */
static void many_restarts(void **state)
{
	(void)state;
	start(tweak_short);
	up();
	p->traffic_ms = 50;
	for (unsigned n = 0; n < 60; n++) {
		pair_run(p, 37013);
		pair_restart(p, n & 1);
	}
	traffic_for(60000);
	nothing_lost();
}

static void dataplane_restart(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		start(NULL);
		up();
		pair_dataplane_restart(p, i);
		pair_run(p, 5000);
		assert_true(pair_children_agree(p, 1));
		assert_int_equal(pair_n_sas(p, i), 1);
		traffic_for(60000);
		nothing_lost();
		teardown(NULL);
	}
}

/* ---- refusals ---- */

static void from(int who, const uint8_t *data, size_t len)
{
	struct ike_path path = {.local = p->h[!who].addr, .remote = p->h[who].addr, .lport = 500, .rport = 500};
	ike_input(p->h[!who].ike, &path, false, data, len);
}

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

static struct {
	uint8_t data[2048];
	size_t len;
	int from;
} seen[64];
static unsigned n_seen;

static bool record(struct pair *q, int who, unsigned n, const uint8_t *data, size_t len)
{
	(void)q, (void)n;
	if (n_seen < 64 && len <= sizeof(seen[0].data)) {
		memcpy(seen[n_seen].data, data, len);
		seen[n_seen].len = len;
		seen[n_seen++].from = who;
	}
	return true;
}

/* Everything that was ever sent, once more, with each byte in turn flipped: nothing may come of it. */
static void damaged_messages(void **state)
{
	(void)state;
	n_seen = 0;
	start(NULL);
	p->filter = record;
	up();
	p->filter = NULL;
	pair_run(p, 1000);
	for (unsigned i = 0; i < n_seen; i++)
		for (size_t at = 0; at < seen[i].len; at++) {
			seen[i].data[at] ^= 0x40;
			from(seen[i].from, seen[i].data, seen[i].len);
			seen[i].data[at] ^= 0x40;
		}
	pair_run(p, 120000);
	assert_true(pair_children_agree(p, 1));
	/* a new first message is a new negotiation, which times out; nothing else stays */
	assert_int_equal(pair_n_sas(p, 0), 1);
	assert_int_equal(pair_n_sas(p, 1), 1);
	assert_int_equal(pair_events(p, 0, IKE_EVT_DOWN) + pair_events(p, 1, IKE_EVT_DOWN), 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_teardown(f, teardown)
	const struct CMUnitTest tests[] = {
		T(main_and_quick),
		T(responder_order),
		T(shorter_lifetime),
		T(no_policy),
		T(legacy),
		T(algorithms),
		T(wrong_psk),
		T(no_psk_for_peer),
		T(identities),
		T(every_transform),
		T(peers_order),
		T(no_common_transform),
		T(pfs),
		T(subset_and_superset),
		T(inexpressible_flow),
		T(ipv6_inside),
		T(child_lifetimes),
		T(many_lines_at_once),
		T(dataplane_refuses),
		T(every_message_lost),
		T(rough_network),
		T(duplicates),
		T(silent_peer),
		T(half_open_goes),
		T(both_at_once),
		T(rekey_loses_nothing),
		T(rekey_under_loss),
		T(crossing_rekeys),
		T(kilobytes),
		T(rekey_refused),
		T(clear_child),
		T(clear_session),
		T(initial_contact),
		T(peer_forgot),
		T(dpd_periodic),
		T(dpd_traffic),
		T(dpd_on_demand),
		T(next_peer),
		T(nat),
		T(nat_rekey),
		T(encapsulation_choice),
		T(control_restart),
		T(many_restarts),
		T(dataplane_restart),
		T(later_exchanges),
		T(damaged_messages),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
