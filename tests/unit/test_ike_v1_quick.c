/* SPDX-License-Identifier: BSD-3-Clause */
/* IKEv1, two engines against each other: quick mode, what it agrees on and what it refuses. */
#include "ike_v1_env.h"
#include "v1_internal.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>

/* ---- quick mode ---- */

static void transform_sets(struct cv_config *c, const struct algo_suite *suite, unsigned n)
{
	static const char *const name[] = {"ts0", "ts1", "ts2", "ts3", "ts4", "ts5"};
	c->allow_legacy = true;
	for (unsigned i = 0; i < n; i++) {
		c->transform_set[i] = (struct cfg_transform_set){.name = name[i], .suite = suite[i]};
		c->map->entry->transform_set[i] = name[i];
	}
	c->n_transform_set = c->map->entry->n_transform_set = n;
}

static struct algo_suite under_test;

static void tweak_alg(struct cv_config *c, int host)
{
	(void)host;
	transform_sets(c, &under_test, 1);
}

static void every_transform(void **state)
{
	(void)state;
	unsigned n = 0;
	for (unsigned e = CV_ENCR_NONE + 1; e < CV_ENCR_MAX; e++)
		for (unsigned i = CV_INTEG_NONE; i < CV_INTEG_MAX; i++) {
			if (algo_pair_wrong(50, e, i) || !algo_encr_get(e)->v1 || (i && !algo_integ_get(i)->v1_auth))
				continue;
			under_test = (struct algo_suite){.encr = (uint8_t)e, .integ = (uint8_t)i};
			start(tweak_alg);
			bring_up();
			assert_true(algo_suite_equal(pair_newest(p, 0)->p.suite, under_test));
			assert_int_equal(pair_newest(p, 1)->keys.len, algo_key_len(e, i));
			teardown(NULL);
			n++;
		}
	assert_true(n > 60);
}

/* ---- what the dataplane asks for is on its way ---- */

/* A packet of the responder's: the initiator has both SAs of its pair, the responder not yet the outbound one. */
static unsigned n_quick, asked;
static bool ask_before_the_third(struct pair *pair, int from, unsigned n, const uint8_t *data, size_t len)
{
	(void)from, (void)n, (void)len;
	if (data[18] == 32 && ++n_quick == 3) {
		pair_acquire(pair, 1, 0);
		asked++;
	}
	return true;
}

static void packet_before_the_third_message(void **state)
{
	(void)state;
	n_quick = asked = 0;
	start(NULL);
	p->filter = ask_before_the_third;
	bring_up();
	pair_run(p, 5000);
	assert_int_equal(asked, 1);
	assert_int_equal(pair_n_children(p, 0), 1);
	assert_int_equal(pair_n_children(p, 1), 1);
}

/* A message 3 that is lost, and an initiator that neither repeats it nor begins again: the responder helps itself. */
static uint8_t his_quick[4], own_quick[4]; /* message ids */
static bool lose_the_third(struct pair *pair, int from, unsigned n, const uint8_t *data, size_t len)
{
	(void)pair, (void)n, (void)len;
	if (data[18] != 32)
		return true;
	if (from) {
		if (memcmp(data + 20, his_quick, 4) != 0)
			memcpy(own_quick, data + 20, 4);
		return true;
	}
	if (!n_quick++) {
		memcpy(his_quick, data + 20, 4);
		return true;
	}
	return memcmp(data + 20, own_quick, 4) == 0;
}

static bool can_send(struct pair *pair)
{
	return pair_newest(pair, 1) != NULL;
}

static void third_message_never_comes(void **state)
{
	(void)state;
	n_quick = 0;
	memset(own_quick, 0, sizeof(own_quick));
	start(NULL);
	p->filter = lose_the_third;
	pair_acquire(p, 0, 0);
	pair_run(p, 500);
	assert_true(n_quick > 1);
	assert_false(can_send(p));
	p->traffic_ms = 100;
	assert_true(pair_until(p, can_send, 5000));
}

/* And one that was held before the dataplane had the pair: its question comes late. */
static void packet_before_the_pair_is_installed(void **state)
{
	(void)state;
	start(NULL);
	bring_up();
	for (int i = 0; i < 2; i++)
		pair_acquire(p, i, 0);
	pair_run(p, 5000);
	assert_int_equal(pair_n_children(p, 0), 1);
	/* asked later, it is meant: the dataplane has no SA */
	pair_acquire(p, 0, 0);
	pair_run(p, 5000);
	assert_int_equal(pair_stat(p, 0, "child_established"), 2);
}

/* ---- bundles: AH and ESP under one number (RFC 2408 4.2; IPSEC-18) ---- */

static const struct algo_suite bundle[] = {
	{.encr = CV_ENCR_AES256_CBC, .integ = CV_INTEG_HMAC_SHA256_128, .ah = CV_INTEG_HMAC_SHA512_256},
	{.encr = CV_ENCR_AES128_GCM16, .ah = CV_INTEG_HMAC_SHA1_96},
	{.encr = CV_ENCR_AES128_CBC, .ah = CV_INTEG_HMAC_SHA256_128},
	{.encr = CV_ENCR_NULL, .integ = CV_INTEG_HMAC_SHA1_96, .ah = CV_INTEG_AES_XCBC_96},
	{.encr = CV_ENCR_AES256_CBC,
		.integ = CV_INTEG_HMAC_SHA256_128,
		.ah = CV_INTEG_HMAC_SHA256_128,
		.comp = ALGO_COMP_DEFLATE}};
#define N_BUNDLE (sizeof(bundle) / sizeof(bundle[0]))

static unsigned slots(int host)
{
	unsigned n = 0;
	for (unsigned k = 1; k < PAIR_CHILD_MAX; k++)
		n += p->h[host].child[k].used;
	return n;
}

static void bundles(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_BUNDLE; i++) {
		under_test = bundle[i];
		start(tweak_alg);
		bring_up();
		const struct pair_child *a = pair_newest(p, 0), *b = pair_newest(p, 1);
		assert_true(algo_suite_equal(a->p.suite, under_test) && algo_suite_equal(b->p.suite, under_test));
		assert_int_equal(a->keys.ah_len, algo_key_len(CV_ENCR_NONE, under_test.ah));
		assert_int_equal(a->keys.len, algo_key_len(under_test.encr, under_test.integ));
		assert_true(a->p.ah_spi_in && a->p.ah_spi_in == b->p.ah_spi_out && b->p.ah_spi_in == a->p.ah_spi_out);
		assert_memory_equal(a->keys.ah_in, b->keys.ah_out, a->keys.ah_len);
		assert_memory_not_equal(a->keys.ah_in, a->keys.in, 16);
		assert_int_equal(a->p.cpi_in != 0, under_test.comp != ALGO_COMP_NONE);
		assert_true(a->p.cpi_in == b->p.cpi_out && a->p.cpi_out == b->p.cpi_in);
		teardown(NULL);
	}
}

static void tweak_bundle_short(struct cv_config *c, int host)
{
	tweak_short(c, host);
	transform_sets(c, bundle, 2);
}

/* Rekeyed without loss, over the death of a process, and nothing is left of the old ones. */
static void bundles_are_renewed(void **state)
{
	(void)state;
	start(tweak_bundle_short);
	bring_up();
	traffic_for(400000);
	pair_restart(p, 1);
	traffic_for(800000);
	nothing_lost();
	assert_true(p->h[0].ike && pair_stat(p, 0, "child_rekeyed") + pair_stat(p, 1, "child_rekeyed") >= 3);
	assert_true(pair_newest(p, 0)->p.ah_spi_in != 0);
	assert_true(pair_until(p, two_agree, 60000));
	for (int i = 0; i < 2; i++)
		ike_clear(p->h[i].ike, &(struct ike_match){.fvrf = -1, .ivrf = -1});
	pair_run(p, 100000);
	assert_int_equal(slots(0) + slots(1), 0);
}

static void tweak_some_bundles(struct cv_config *c, int host)
{
	static const struct algo_suite left[] = {
		{.encr = CV_ENCR_AES256_CBC, .integ = CV_INTEG_HMAC_SHA256_128, .ah = CV_INTEG_HMAC_SHA512_256},
		{.ah = CV_INTEG_HMAC_SHA256_128}, {.encr = CV_ENCR_AES256_CBC, .integ = CV_INTEG_HMAC_SHA256_128}};
	static const struct algo_suite right[] = {{.encr = CV_ENCR_AES256_CBC, .integ = CV_INTEG_HMAC_SHA256_128},
		{.encr = CV_ENCR_AES256_CBC, .integ = CV_INTEG_HMAC_SHA256_128, .ah = CV_INTEG_HMAC_SHA1_96}};
	transform_sets(c, host ? right : left, host ? 2 : 3);
}

/* A set with AH is not the one without it; the SPI that AH would have had is given back. */
static void bundle_or_not(void **state)
{
	(void)state;
	for (int who = 0; who < 2; who++) {
		start(tweak_some_bundles);
		pair_acquire(p, who, 0);
		pair_run(p, 1000);
		assert_true(pair_children_agree(p, 1));
		assert_int_equal(pair_newest(p, who)->p.suite.ah, CV_INTEG_NONE);
		assert_int_equal(pair_newest(p, who)->p.ah_index_in, 0);
		assert_int_equal(slots(0), 1);
		assert_int_equal(slots(1), 1);
		teardown(NULL);
	}
}

/* ISPI-7: a peer that deletes the AH SA alone has ended the bundle; an SPI of AH that is no child's ends nothing. */
static void bundle_dies_with_its_ah(void **state)
{
	(void)state;
	under_test = bundle[0];
	start(tweak_alg);
	bring_up();
	p->traffic_ms = 0;
	const struct pair_child *a = pair_newest(p, 0);
	struct ike_sa *sa = ike_sa_next_by_addr(p->h[0].ike, a->p.path.vrf, &a->p.path.remote, NULL);
	assert_non_null(sa);
	const uint32_t nobody[] = {a->p.ah_spi_in + 1, a->p.spi_in, a->p.ah_spi_out};
	for (size_t i = 0; i < 3; i++)
		v1_send_delete_child(v1_of(sa), V1_PROTO_AH, nobody[i]);
	pair_run(p, 1000);
	assert_int_equal(pair_n_children(p, 1), 1);
	/* the same when we have lost it and a packet of the peer tells us so (ISPI-1) */
	const struct ike_path path = a->p.path;
	const uint32_t ah = a->p.ah_spi_in;
	ike_invalid_spi(p->h[0].ike, &path, IPPROTO_AH, ah); /* we have it */
	pair_run(p, 1000);
	assert_int_equal(pair_n_children(p, 1), 1);
	ike_child_remove(ike_child_by_spi_in(sa, a->p.spi_in), 0);
	assert_true(ike_invalid_spi(p->h[0].ike, &path, IPPROTO_AH, ah));
	pair_run(p, 1000);
	assert_int_equal(pair_n_children(p, 1), 0);
}

/* The initiator's order decides among what both have (VRF-47). */
static void tweak_common(struct cv_config *c, int host)
{
	static const struct algo_suite left[] = {{.encr = CV_ENCR_AES256_GCM16},
		{.encr = CV_ENCR_AES256_CBC, .integ = CV_INTEG_HMAC_SHA256_128}, {.encr = CV_ENCR_AES128_GCM16}};
	static const struct algo_suite right[] = {
		{.encr = CV_ENCR_AES128_GCM16}, {.encr = CV_ENCR_AES256_CBC, .integ = CV_INTEG_HMAC_SHA256_128}};
	if (host)
		transform_sets(c, right, 2);
	else
		transform_sets(c, left, 3);
}

static void peers_order(void **state)
{
	(void)state;
	start(tweak_common);
	bring_up();
	assert_true(algo_suite_equal(pair_newest(p, 0)->p.suite,
		(struct algo_suite){.encr = CV_ENCR_AES256_CBC, .integ = CV_INTEG_HMAC_SHA256_128}));
}

static void tweak_no_common(struct cv_config *c, int host)
{
	static const struct algo_suite left[] = {{.encr = CV_ENCR_AES256_GCM16}},
				       right[] = {{.encr = CV_ENCR_AES128_GCM16}};
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
	c->allow_legacy = true;
}

/* IPSEC-53, IPSEC-T11 with the manual's groups 1 and 2 */
static void pfs(void **state)
{
	(void)state;
	static const struct {
		enum ike_group left, right;
		bool ok;
	} t[] = {{IKE_GROUP_ECP256, IKE_GROUP_ECP256, true}, {IKE_GROUP_MODP2048, IKE_GROUP_MODP2048, true},
		{IKE_GROUP_ECP384, IKE_GROUP_NONE, true}, /* offered, not demanded */
		{IKE_GROUP_MODP1024, IKE_GROUP_MODP1024, true}, {IKE_GROUP_NONE, IKE_GROUP_MODP768, false},
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
	bring_up();
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
	bring_up();
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

/* IPSEC-T6: one pair for each line that has traffic; clearing the first leaves the second alone. */
static void each_line_has_its_own_pair(void **state)
{
	(void)state;
	start(tweak_lines);
	pair_acquire(p, 0, 0);
	pair_run(p, 1000);
	assert_true(pair_children_agree(p, 1));
	struct ike_match first_line = {.fvrf = -1, .ivrf = -1, .child_id = pair_newest(p, 0)->id};
	uint32_t first_rule = pair_newest(p, 0)->p.rule_id;
	pair_acquire(p, 0, 1);
	pair_run(p, 1000);
	assert_true(pair_children_agree(p, 2));
	assert_int_equal(ike_clear(p->h[0].ike, &first_line), 1);
	pair_run(p, 5000);
	assert_true(pair_children_agree(p, 1));
	assert_int_not_equal(pair_newest(p, 0)->p.rule_id, first_rule);
	assert_int_equal(pair_newest(p, 0)->p.sel[0].src.lo.b[1], 11);
}

static bool to_nobody(struct pair *q, int who, unsigned n, const uint8_t *data, size_t len)
{
	(void)q, (void)n, (void)data, (void)len;
	return who != 0;
}

/*
 * A peer that is slow gets a message once more when it has answered already, and some cannot read it then and say so:
 * which message, they do not say. No exchange ends by that.
 */
static void unreadable_repetition(void **state)
{
	(void)state;
	start(tweak_lines);
	pair_acquire(p, 0, 0);
	pair_run(p, 1000);
	p->filter = to_nobody;
	pair_acquire(p, 0, 1);
	pair_run(p, 100);
	v1_notify(v1_of(TAILQ_FIRST(&p->h[1].ike->sas)), V1_PROTO_ISAKMP, V1_N_PAYLOAD_MALFORMED, NULL, 0, NULL, 0);
	pair_run(p, 100);
	p->filter = NULL;
	pair_run(p, 10000);
	assert_int_equal(pair_events(p, 0, IKE_EVT_FAILED), 0);
	assert_true(pair_children_agree(p, 2));
}

/* VRF-51: a finished quick mode is listed for 50 s more, at both ends. */
static void finished_stays_listed(void **state)
{
	(void)state;
	start(NULL);
	bring_up();
	for (int h = 0; h < 2; h++) {
		assert_string_equal(pair_show(p, h, "quick_modes"), "0");
		assert_string_equal(pair_show(p, h, "quick_modes_finished"), "1");
	}
	pair_run(p, 45000);
	for (int h = 0; h < 2; h++)
		assert_string_equal(pair_show(p, h, "quick_modes_finished"), "1");
	pair_run(p, 6000);
	for (int h = 0; h < 2; h++)
		assert_string_equal(pair_show(p, h, "quick_modes_finished"), "0");
}

static unsigned open_quick_modes, most_open;
static bool count_open(struct pair *q, int who, unsigned n, const uint8_t *data, size_t len)
{
	(void)n, (void)len, (void)data, (void)who;
	open_quick_modes = (unsigned)atoi(pair_show(q, 0, "quick_modes"));
	if (open_quick_modes > most_open)
		most_open = open_quick_modes;
	return true;
}

/* Some peers keep three exchanges at a time and refuse the fourth: never more than two of ours, nothing is forgotten.
 */
static void wishes_take_turns(void **state)
{
	(void)state;
	most_open = 0;
	start(tweak_lines);
	p->filter = count_open;
	for (unsigned i = 0; i < N_LINES; i++)
		pair_acquire(p, 0, i);
	pair_run(p, 1000);
	assert_true(pair_children_agree(p, N_LINES));
	assert_int_equal(most_open, 2);
	/* the same when all of them are renewed at once */
	most_open = 0;
	for (unsigned k = 1; k <= N_LINES; k++)
		ike_child_expire(p->h[0].ike, k, false);
	pair_run(p, 10000);
	assert_int_equal(pair_stat(p, 0, "child_rekeyed"), N_LINES);
	assert_in_range(most_open, 1, 2);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		V1_TEST(unreadable_repetition),
		V1_TEST(finished_stays_listed),
		V1_TEST(every_transform),
		V1_TEST(packet_before_the_third_message),
		V1_TEST(third_message_never_comes),
		V1_TEST(packet_before_the_pair_is_installed),
		V1_TEST(bundles),
		V1_TEST(bundles_are_renewed),
		V1_TEST(bundle_or_not),
		V1_TEST(bundle_dies_with_its_ah),
		V1_TEST(peers_order),
		V1_TEST(no_common_transform),
		V1_TEST(pfs),
		V1_TEST(subset_and_superset),
		V1_TEST(inexpressible_flow),
		V1_TEST(ipv6_inside),
		V1_TEST(child_lifetimes),
		V1_TEST(many_lines_at_once),
		V1_TEST(each_line_has_its_own_pair),
		V1_TEST(wishes_take_turns),
		V1_TEST(dataplane_refuses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
