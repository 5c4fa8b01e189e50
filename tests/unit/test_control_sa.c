/* SPDX-License-Identifier: BSD-3-Clause */
/* What settings do to SAs that are up, and what ends them: idle times, unknown SPIs, changes, clearing. */
#include "control_env.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cv_addr.h"
#include "cv_log.h"
#include "log_catch.h"

/* What an interface says about DF and fragments goes with its SAs, and reaches those that are up (FRAG-4, FRAG-T3). */
static void egress_settings_reach_the_sas(void **state)
{
	struct fixture *f = *state;
	struct cv_config *next = side(0);
	struct cv_sa before, after;

	bring_up(f);
	assert_true(fakedp_sa(f->r[0].dp, CV_SA_OUT, 0, &before));
	assert_int_equal(before.flags & CV_SA_F_EGRESS, CV_SA_F_COPY_DF);
	next->interface[1].df_bit = CFG_DF_CLEAR;
	next->interface[1].fragment = CFG_FRAG_AFTER;
	assert_string_equal(apply(f, &f->r[0], next), "");
	WAIT(f, fakedp_sa(f->r[0].dp, CV_SA_OUT, 0, &after) &&
			(after.flags & CV_SA_F_EGRESS) == (CV_SA_F_CLEAR_DF | CV_SA_F_FRAG_AFTER));
	assert_int_equal(after.spi, before.spi);
	assert_true(session_is(f, &f->r[0], "UP-ACTIVE"));
}

/* Apply side(0) with an idle time shorter than an operator may set. */
static void apply_idle(struct fixture *f, uint32_t seconds)
{
	struct cv_config *cfg = side(0);
	char err[CFG_ERR_MAX];

	assert_int_equal(config_resolve(cfg, err, NULL, NULL), 0);
	cfg->map[0].entry[0].idle_s = seconds;
	assert_string_equal(apply_resolved(f, &f->r[0], cfg), "");
}

static void invalid_spi(struct router *r, const struct cv_sa *out, const char *src, uint32_t spi)
{
	struct cv_evt_invalid_spi e = {.spi = spi, .dst = out->src, .proto = 50};

	assert_int_equal(cv_addr_parse(src, &e.src), 0);
	fakedp_event(r->dp, CV_EVT_INVALID_SPI, &e, sizeof(e));
}

/* ISPI-1, ISPI-5: the peer that sends on an SPI we do not have is told over the IKE SA, removes that SA and nothing
 * else; asked again at once, it is not told twice. A stranger is never answered. */
static void peer_with_an_invalid_spi_is_told(void **state)
{
	struct fixture *f = *state;
	struct router *r = &f->r[0];
	struct cv_sa mine, theirs;

	bring_up(f);
	assert_true(fakedp_sa(r->dp, CV_SA_OUT, 0, &mine));
	assert_true(fakedp_sa(f->r[1].dp, CV_SA_OUT, 0, &theirs));
	invalid_spi(r, &mine, "203.0.113.99", theirs.spi);
	invalid_spi(r, &mine, "192.0.2.2", 0x77770001);
	WAIT(f, ike_stat(f, r, "invalid_spi_told") == 1);
	assert_int_equal(ike_stat(f, r, "invalid_spi_reported"), 2);
	assert_int_equal(state_of(&f->r[1]).sas, 2); /* not one of its SAs */
	invalid_spi(r, &mine, "192.0.2.2", 0x77770002);
	WAIT(f, ike_stat(f, r, "invalid_spi_suppressed") == 1);
	assert_int_equal(ike_stat(f, r, "invalid_spi_initiated"), 0);
}

/* ISPI-2, ISPI-4, ISPI-5, ISPI-T5: without an IKE SA nothing happens, unless the operator wants recovery, and then for
 * configured peers only.
 */
static void recovery_negotiates_when_switched_on(void **state)
{
	struct fixture *f = *state;
	struct router *r = &f->r[0];
	struct cv_sa like = {0};

	for (int on = 0; on < 2; on++) {
		struct cv_config *cfg = side(0);

		cfg->invalid_spi_recovery = on;
		if (!on)
			start_both(f);
		assert_string_equal(apply(f, r, cfg), "");
		assert_int_equal(cv_addr_parse("192.0.2.1", &like.src), 0);
		invalid_spi(r, &like, "203.0.113.99", 0x77770001);
		invalid_spi(r, &like, "192.0.2.2", 0x77770001);
		WAIT(f, ike_stat(f, r, "invalid_spi_reported") == 2 * (on + 1));
		assert_int_equal(ike_stat(f, r, "invalid_spi_initiated"), on);
		assert_true(on || (ike_sas(f, r) == 0 && state_of(r).sas == 0));
	}
	WAIT(f, state_of(r).sas == 2 && state_of(&f->r[1]).sas == 2);
	assert_true(session_is(f, r, "UP-ACTIVE"));
}

/* ISPI-T6: a flood from sources that do not exist, and in the name of the peer, makes us say one thing at most, and the
 * tunnel that is up stays as it is. */
static void flood_of_unknown_spis(void **state)
{
	struct fixture *f = *state;
	struct router *r = &f->r[0];
	struct cv_config *cfg = side(0);
	struct cv_sa mine, after;

	bring_up(f);
	cfg->invalid_spi_recovery = true;
	assert_string_equal(apply(f, r, cfg), "");
	assert_true(fakedp_sa(r->dp, CV_SA_OUT, 0, &mine));
	for (uint32_t i = 0; i < 400; i++) {
		char src[32];

		snprintf(src, sizeof(src), i % 10 ? "198.18.0.%u" : "192.0.2.2", i % 256);
		invalid_spi(r, &mine, src, 0x70000000 + i);
		WAIT(f, ike_stat(f, r, "invalid_spi_reported") == i + 1);
	}
	assert_int_equal(ike_stat(f, r, "invalid_spi_told"), 1);
	assert_int_equal(ike_stat(f, r, "invalid_spi_initiated"), 0);
	assert_int_equal(ike_sas(f, r), 1);
	assert_true(fakedp_sa(r->dp, CV_SA_OUT, 0, &after));
	assert_memory_equal(&mine, &after, sizeof(mine));
	assert_int_equal(state_of(&f->r[1]).sas, 2);
}

/* IDLE-1, IDLE-6, IDLE-9, IDLE-T1: a pair that carries nothing goes, the peer is told, and the IKE SA with its last
 * pair. */
static void idle_sa_is_deleted(void **state)
{
	struct fixture *f = *state;

	bring_up(f);
	assert_int_equal(ike_sas(f, &f->r[0]), 1);
	apply_idle(f, 1);
	WAIT(f, state_of(&f->r[0]).sas == 0 && state_of(&f->r[1]).sas == 0);
	WAIT(f, ike_sas(f, &f->r[0]) == 0 && ike_sas(f, &f->r[1]) == 0);
	assert_true(session_is(f, &f->r[0], "DOWN"));
}

/* IDLE-9, IDLE-T1: activity in one direction keeps both SAs; when it ends, the clock runs from the last packet. */
static void busy_sa_stays(void **state)
{
	struct fixture *f = *state;
	struct cv_stats_segment *seg;
	struct cv_sa in;
	uint64_t until;

	bring_up(f);
	seg = fakedp_stats(f->r[0].dp);
	assert_true(fakedp_sa(f->r[0].dp, CV_SA_IN, 0, &in));
	seg->writer[1].sa[in.index].packets++;
	seg->writer[1].sa[in.index].last_used_s = seg->heartbeat = 1000;
	apply_idle(f, 1);
	until = uv_hrtime() + 3000000000ull;
	while (uv_hrtime() < until)
		uv_run(&f->loop, UV_RUN_ONCE);
	assert_int_equal(state_of(&f->r[0]).sas, 2);
	seg->heartbeat = 1001;
	WAIT(f, state_of(&f->r[0]).sas == 0);
}

static const json_t *flow_of(const json_t *answer, size_t n)
{
	const json_t *ifc = json_array_get(json_object_get(answer, "interfaces"), 0);

	return json_array_get(json_object_get(ifc, "flows"), n);
}

static json_int_t shown_window(struct fixture *f, struct router *r)
{
	json_t *a = ask(f, r, "{\"show\": \"crypto ipsec sa\"}", true);
	const json_t *sa = json_array_get(json_object_get(flow_of(a, 0), "sas"), 0);
	json_int_t n = json_integer_value(json_object_get(sa, "replay_window"));

	json_decref(a);
	return n;
}

/* Clear, and how many SAs that was. */
static json_int_t cleared(struct fixture *f, struct router *r, const char *what)
{
	char request[160];
	json_int_t n;
	json_t *a;

	snprintf(request, sizeof(request), "{\"clear\": \"crypto sa\"%s}", what);
	a = ask(f, r, request, false);
	n = json_integer_value(json_object_get(a, "cleared"));
	json_decref(a);
	return n;
}

/* REPLAY-8, IPSEC-75: another window is for SAs made from then on; the one that is up keeps its own until it is
 * cleared.
 */
static void window_is_for_new_sas(void **state)
{
	struct fixture *f = *state;
	struct router *r = &f->r[0];
	struct cv_config *next = side(0);
	struct cv_sa before, after;

	bring_up(f);
	assert_true(fakedp_sa(r->dp, CV_SA_IN, 0, &before));
	assert_int_equal(before.replay_window, 64);
	next->map[0].entry[0].replay_window = 4096;
	assert_string_equal(apply(f, r, next), "");
	assert_true(fakedp_sa(r->dp, CV_SA_IN, 0, &after));
	assert_memory_equal(&before, &after, sizeof(before));
	assert_int_equal(shown_window(f, r), 64);
	assert_int_equal(cleared(f, r, ""), 2);
	WAIT(f, state_of(r).sas == 0 && state_of(&f->r[1]).sas == 0);
	trigger(r);
	WAIT(f, fakedp_sa(r->dp, CV_SA_IN, 0, &after));
	assert_int_equal(after.replay_window, 4096);
	WAIT(f, state_of(r).sas == 2);
	assert_int_equal(shown_window(f, r), 4096);
}

/* side(n) with another transform set. */
static struct cv_config *with_cipher(int n, enum cv_encr encr)
{
	struct cv_config *c = side(n);

	c->transform_set[0].suite = (struct algo_suite){.encr = (uint8_t)encr};
	return c;
}

static bool rule_has_no_sa(struct router *r)
{
	struct cv_spd_rule rule;

	return fakedp_rule(r->dp, 0, &rule) && rule.action == CV_SPD_PROTECT && state_of(r).sas == 0;
}

/* IPSEC-T8, IPSEC-24: the SA that is up stays as it is; cleared with only one end changed there is no SA, and the rule
 * goes on demanding one; with both changed there is the new one. */
static void changed_transform_set(void **state)
{
	struct fixture *f = *state;
	struct cv_sa sa;

	bring_up(f);
	assert_string_equal(apply(f, &f->r[0], with_cipher(0, CV_ENCR_AES128_GCM16)), "");
	assert_true(fakedp_sa(f->r[0].dp, CV_SA_OUT, 0, &sa));
	assert_int_equal(sa.encr, CV_ENCR_AES256_GCM16);
	assert_int_equal(cleared(f, &f->r[0], ""), 2);
	WAIT(f, state_of(&f->r[0]).sas == 0 && state_of(&f->r[1]).sas == 0);
	trigger(&f->r[0]);
	WAIT(f, ike_stat(f, &f->r[0], "child_failed") + ike_stat(f, &f->r[1], "child_failed") > 0);
	assert_true(rule_has_no_sa(&f->r[0]) && rule_has_no_sa(&f->r[1]));
	assert_string_equal(apply(f, &f->r[1], with_cipher(1, CV_ENCR_AES128_GCM16)), "");
	WAIT(f, (trigger(&f->r[0]), state_of(&f->r[0]).sas == 2 && state_of(&f->r[1]).sas == 2));
	assert_true(fakedp_sa(f->r[0].dp, CV_SA_OUT, 0, &sa));
	assert_int_equal(sa.encr, CV_ENCR_AES128_GCM16);
	assert_paired(&f->r[0], &f->r[1]);
}

/* Two lines, two pairs to one peer. */
static void bring_up_two(struct fixture *f, uint32_t idle_s)
{
	static const char *const lan[] = {"10.1.0.0/24", "10.2.0.0/24"}, *const more[] = {"10.3.0.0/24", "10.4.0.0/24"};

	start_both(f);
	for (int i = 0; i < 2; i++) {
		struct cv_config *c = side(i);
		char err[CFG_ERR_MAX];

		c->acl[0].n_line = 0;
		cfgbuild_line(&c->acl[0], 10, true, lan[i], lan[!i]);
		cfgbuild_line(&c->acl[0], 20, true, more[i], more[!i]);
		assert_int_equal(config_resolve(c, err, NULL, NULL), 0);
		c->map[0].entry[0].idle_s = i ? 0 : idle_s;
		assert_string_equal(apply_resolved(f, &f->r[i], c), "");
	}
	for (unsigned n = 0; n < 2; n++) {
		trigger_rule(&f->r[0], n);
		WAIT(f, state_of(&f->r[0]).sas == 2 * n + 2 && state_of(&f->r[1]).sas == 2 * n + 2);
	}
	WAIT(f, child_established(f, &f->r[0]) && child_established(f, &f->r[1]));
}

/* IDLE-T4: of two pairs to a peer only the idle one goes, and the IKE SA stays. */
static void only_the_idle_pair_goes(void **state)
{
	struct fixture *f = *state;
	struct router *r = &f->r[0];
	struct cv_stats_segment *seg;
	struct cv_sa busy, left;

	bring_up_two(f, 2);
	seg = fakedp_stats(r->dp);
	assert_true(fakedp_sa(r->dp, CV_SA_IN, 1, &busy));
	seg->writer[1].sa[busy.index].packets++;
	seg->writer[1].sa[busy.index].last_used_s = seg->heartbeat = 1000; /* the clock stands: not idle any more */
	WAIT(f, state_of(r).sas == 2 && state_of(&f->r[1]).sas == 2);
	assert_true(fakedp_sa(r->dp, CV_SA_IN, 0, &left));
	assert_int_equal(left.spi, busy.spi);
	assert_int_equal(ike_sas(f, r), 1);
	assert_int_equal(ike_sas(f, &f->r[1]), 1);
}

/* IPSEC-75, IPSEC-T6, MON-32: only what is named goes; the other pair carries on. */
static void clears_only_what_is_named(void **state)
{
	static const char *const nothing[] = {", \"peer\": \"192.0.2.9\"", ", \"map\": \"another\"", ", \"spi\": 4242"};
	struct fixture *f = *state;
	struct router *r = &f->r[0];
	struct cv_sa first, second, left;
	char spi[32];

	bring_up_two(f, 0);
	for (unsigned i = 0; i < sizeof(nothing) / sizeof(nothing[0]); i++)
		assert_int_equal(cleared(f, r, nothing[i]), 0);
	assert_int_equal(state_of(r).sas, 4);
	assert_true(fakedp_sa(r->dp, CV_SA_IN, 0, &first) && fakedp_sa(r->dp, CV_SA_IN, 1, &second));
	snprintf(spi, sizeof(spi), ", \"spi\": %u", first.spi);
	assert_int_equal(cleared(f, r, spi), 2);
	WAIT(f, state_of(r).sas == 2 && state_of(&f->r[1]).sas == 2);
	assert_true(fakedp_sa(r->dp, CV_SA_IN, 0, &left));
	assert_memory_equal(&left, &second, sizeof(left));
	assert_int_equal(cleared(f, r, ", \"vrf\": \"global\", \"peer\": \"192.0.2.2\""), 2);
	WAIT(f, state_of(r).sas == 0 && state_of(&f->r[1]).sas == 0);
}

/* Session keys for an entry: ESP from 300 and to 400, AH beside it if the suite has it from 302 and to 402. */
static void by_hand(struct cv_config *c, struct cfg_map_entry *e, struct algo_suite suite)
{
	struct cfg_manual *m = config_alloc(c, 1, sizeof(*m));
	const uint8_t key[32] = {1, 2, 3};

	*m = (struct cfg_manual){.in = {.spi = 300}, .out = {.spi = 400}};
	m->in.cipher = m->out.cipher = config_secret(c, key, 16);
	m->in.cipher_len = m->out.cipher_len = 16;
	m->in.auth = m->out.auth = config_secret(c, key, 32);
	m->in.auth_len = m->out.auth_len = 32;
	if (suite.ah) {
		m->in.ah_spi = 302;
		m->out.ah_spi = 402;
		m->in.ah_auth = m->out.ah_auth = config_secret(c, key, 32);
		m->in.ah_auth_len = m->out.ah_auth_len = 32;
	}
	e->manual = m;
	e->replay_window = 0;
}

/* Router n and its dataplane; its configuration is resolved, so that a test may change what an operator may not. */
static struct cv_config *started(struct fixture *f, int n, struct cv_config *c)
{
	struct router *r = &f->r[n];
	char err[CFG_ERR_MAX];

	r->dp = fakedp_new(r->sock);
	router_start(f, r);
	if (config_resolve(c, err, NULL, NULL))
		fail_msg("%s", err);
	return c;
}

/* A router with one manual entry. */
static struct cv_config *manual_router(struct fixture *f, struct algo_suite suite)
{
	struct cv_config *c = side(0);

	c->transform_set[0].suite = suite;
	by_hand(c, &c->map[0].entry[0], suite);
	return started(f, 0, c);
}

/* IKE-9, IPSEC-42: a manual and a negotiated entry in one map. */
static void manual_and_negotiated_entries(void **state)
{
	struct fixture *f = *state;
	const struct algo_suite suite = {.encr = CV_ENCR_AES128_CBC, .integ = CV_INTEG_HMAC_SHA256_128};
	struct cv_config *c = side(0);
	struct cfg_acl *acl = &c->acl[c->n_acl++];
	struct cfg_transform_set *set = &c->transform_set[c->n_transform_set++];

	*acl = (struct cfg_acl){.name = "by-hand", .line = config_alloc(c, 1, sizeof(*acl->line))};
	cfgbuild_line(acl, 10, true, "10.1.0.0/24", "10.9.0.0/24");
	*set = (struct cfg_transform_set){.name = "by-hand", .suite = suite};
	struct cfg_map_entry *e = cfgbuild_entry(c, &c->map[0], 20, "by-hand", "192.0.2.9");
	e->transform_set[0] = "by-hand";
	by_hand(c, e, suite);
	assert_string_equal(apply_resolved(f, &f->r[0], started(f, 0, c)), "");
	assert_string_equal(apply_resolved(f, &f->r[1], started(f, 1, side(1))), "");
	WAIT(f, in_force(f, &f->r[0]) && in_force(f, &f->r[1]));
	fakedp_connect(f->r[0].dp, f->r[1].dp);
	WAIT(f, state_of(&f->r[0]).sas == 2);
	trigger(&f->r[0]);
	WAIT(f, state_of(&f->r[0]).sas == 4 && state_of(&f->r[1]).sas == 2);
	assert_int_equal(cleared(f, &f->r[1], ""), 2);
	WAIT(f, state_of(&f->r[0]).sas == 2 && state_of(&f->r[1]).sas == 0);
}

/* IDLE-8: SAs made by hand have nobody to make them anew, and stay. */
static void manual_pairs_do_not_idle_out(void **state)
{
	struct fixture *f = *state;
	struct router *r = &f->r[0];
	struct cv_config *c =
		manual_router(f, (struct algo_suite){.encr = CV_ENCR_AES128_CBC, .integ = CV_INTEG_HMAC_SHA256_128});
	uint64_t until;
	json_t *a;

	c->map[0].entry[0].idle_s = 1;
	assert_string_equal(apply_resolved(f, r, c), "");
	WAIT(f, state_of(r).sas == 2);
	until = uv_hrtime() + 2500000000ull;
	while (uv_hrtime() < until)
		uv_run(&f->loop, UV_RUN_ONCE);
	assert_int_equal(state_of(r).sas, 2);
	a = ask(f, r, "{\"show\": \"crypto ipsec sa\"}", true);
	assert_null(json_object_get(json_array_get(json_object_get(flow_of(a, 0), "sas"), 0), "idle_limit"));
	json_decref(a);
}

/* IPSEC-18, IPSEC-66: AH around ESP from session keys, and a dataplane that begins anew. */
static void manual_bundle_comes_back(void **state)
{
	struct fixture *f = *state;
	struct router *r = &f->r[0];
	struct cv_config *c = manual_router(f,
		(struct algo_suite){
			.encr = CV_ENCR_AES128_CBC, .integ = CV_INTEG_HMAC_SHA256_128, .ah = CV_INTEG_HMAC_SHA256_128});

	assert_string_equal(apply_resolved(f, r, c), "");
	WAIT(f, state_of(r).sas == 4);
	fakedp_down(r->dp);
	WAIT(f, !in_force(f, r));
	fakedp_up(r->dp, true);
	WAIT(f, in_force(f, r));
	WAIT(f, state_of(r).sas == 4);
}

/*
 * VRF-8: two entries with equal access lists, and inside VRFs of their own. Router 0 is the peer of the second: its
 * identity selects profile b, so that the first entry, whose inside VRF is another one, is passed over.
 */
static struct cv_config *with_two_customers(void)
{
	static const char *const vrf[] = {"a", "b"}, *const who[] = {"a.example", "b.example"};
	struct cv_config *c = side(1);

	cfgbuild_entry(c, &c->map[0], 20, "site2", "192.0.2.1");
	for (unsigned i = 0; i < 2; i++) {
		struct cfg_ike_profile *p = &c->ike_profile[c->n_ike_profile++];

		c->vrf[c->n_vrf++].name = vrf[i];
		*p = (struct cfg_ike_profile){.name = vrf[i],
			.version = CFG_IKEV2,
			.vrf = vrf[i],
			.lifetime_s = 86400,
			.nat_traversal = true,
			.nat_keepalive_s = 20,
			.n_match = 1};
		p->match = config_alloc(c, 1, sizeof(*p->match));
		p->match[0] = (struct cfg_identity){.type = CFG_ID_FQDN, .text = who[i]};
		c->map[0].entry[i].ike_profile = vrf[i];
	}
	return c;
}

static void entry_of_another_inside_vrf_is_passed_over(void **state)
{
	struct fixture *f = *state;
	struct cv_config *c = side(0);
	struct cv_spd_rule second;
	struct cv_sa in, out;

	start_both(f);
	c->local_id = (struct cfg_identity){.type = CFG_ID_FQDN, .text = "b.example"};
	assert_string_equal(apply(f, &f->r[0], c), "");
	assert_string_equal(apply(f, &f->r[1], with_two_customers()), "");
	trigger(&f->r[0]);
	WAIT(f, state_of(&f->r[0]).sas == 2 && state_of(&f->r[1]).sas == 2);
	assert_true(fakedp_rule(f->r[1].dp, 1, &second));
	assert_true(fakedp_sa(f->r[1].dp, CV_SA_IN, 0, &in) && fakedp_sa(f->r[1].dp, CV_SA_OUT, 0, &out));
	assert_int_equal(in.rule_id, second.rule_id);
	assert_int_equal(out.rule_id, second.rule_id);
	assert_int_equal(in.inside_vrf, second.vrf_id);
	assert_int_equal(out.inside_vrf, second.vrf_id);
	assert_int_not_equal(second.vrf_id, CV_VRF_GLOBAL);
	assert_int_equal(
		in.front_vrf, CV_VRF_GLOBAL); /* VRF-2, VRF-9: one tunnel, one inside VRF, in both directions */
}

/* test_control_sa [PATTERN]: only the tests whose names match. */
static void tell(struct fixture *f, struct router *r, const char *request)
{
	json_t *a = ask(f, r, request, false);

	assert_null(json_object_get(a, "error"));
	json_decref(a);
}

/* Issue 4, "debug crypto": what ipsec and engine tell of a pair's life, and CDBG-1, 5 for it: nothing about others. */
static void debug_tells_of_a_pair(void **state)
{
	struct fixture *f = *state;
	struct router *r = &f->r[0];
	struct cv_sa mine;
	struct cv_evt_sa_expire soft = {.reason = CV_EXPIRE_BYTES};
	unsigned n;

	start_both(f);
	tell(f, r, "{\"do\": \"debug\", \"area\": \"ipsec\"}");
	tell(f, r, "{\"do\": \"debug\", \"area\": \"engine\", \"detail\": true}");
	log_catch(r->dir);
	cv_log_set_level(CV_LOG_NOTICE); /* the next test's setup lowers it again */
	trigger(r);
	WAIT(f, state_of(r).sas == 2 && child_established(f, r));
	assert_int_equal(
		log_count("debug: ipsec: negotiation with 192.0.2.2, IKE SA 1: the peer chose aes256-gcm16"), 1);
	assert_int_equal(log_count("installed: aes256-gcm16, tunnel mode"), 1);
	assert_int_equal(log_count(": aes256-gcm16 by "), 1);
	assert_true(log_count("debug: engine: public-key work done") >= 1);
	assert_true(fakedp_sa(r->dp, CV_SA_OUT, 0, &mine));
	invalid_spi(r, &mine, "203.0.113.99", 0x77770001);
	invalid_spi(r, &mine, "192.0.2.2", 0x77770001);
	WAIT(f, log_count("the peer is told over its IKE SA") == 1);
	assert_int_equal(log_count("invalid SPI 0x77770001 from 203.0.113.99: dropped: no peer"), 1);
	soft.ref = (struct cv_sa_ref){.index = mine.index, .spi = mine.spi};
	fakedp_event(r->dp, CV_EVT_SA_EXPIRE, &soft, sizeof(soft));
	WAIT(f, log_count("comes near its limit of kilobytes: to be renewed") == 1);
	WAIT(f, log_count(": removed") >= 1);
	/* about another peer only: not a word more of this one */
	tell(f, r, "{\"do\": \"debug condition\", \"peer\": \"203.0.113.0/24\"}");
	n = log_count("debug: ipsec");
	tell(f, r, "{\"clear\": \"crypto sa\"}");
	WAIT(f, state_of(r).sas == 0);
	assert_int_equal(log_count("debug: ipsec"), n);
	log_release();
}

/* What was offered, and why it is refused, at the end that refuses; errors only (CDBG-10, 11). */
static void debug_tells_why_a_proposal_is_refused(void **state)
{
	struct fixture *f = *state;
	struct router *r = &f->r[1];

	start_both(f);
	assert_string_equal(apply(f, r, with_cipher(1, CV_ENCR_AES128_GCM16)), "");
	tell(f, r, "{\"do\": \"debug\", \"area\": \"ipsec\", \"error\": true}");
	log_catch(r->dir);
	cv_log_set_level(CV_LOG_NOTICE); /* the next test's setup lowers it again */
	trigger(&f->r[0]);
	WAIT(f, log_count("has no transform set for any of: 1: ESP aes256-gcm16") == 1);
	assert_int_equal(log_count("debug: ipsec"), 1);
	log_release();
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(egress_settings_reach_the_sas),
		TEST(debug_tells_of_a_pair),
		TEST(debug_tells_why_a_proposal_is_refused),
		TEST(peer_with_an_invalid_spi_is_told),
		TEST(recovery_negotiates_when_switched_on),
		TEST(flood_of_unknown_spis),
		TEST(idle_sa_is_deleted),
		TEST(busy_sa_stays),
		TEST(window_is_for_new_sas),
		TEST(changed_transform_set),
		TEST(only_the_idle_pair_goes),
		TEST(clears_only_what_is_named),
		TEST(manual_pairs_do_not_idle_out),
		TEST(manual_bundle_comes_back),
		TEST(manual_and_negotiated_entries),
		TEST(entry_of_another_inside_vrf_is_passed_over),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
