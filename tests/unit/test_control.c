/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * control.h against a dataplane that can refuse, vanish and come back, and two of them negotiating with each other:
 * a commit is whole or nothing, touches only what changed, and restarts of either side lose nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "cfgbuild.h"
#include "control.h"
#include "cv_addr.h"
#include "cv_log.h"
#include "fakedp.h"
#include "control_env.h"

static void first_configuration_is_pushed(void **state)
{
	struct fixture *f = *state;
	struct fakedp_state s;

	start_with_gateway(f, &f->r[0]);
	s = state_of(&f->r[0]);
	assert_int_equal(s.ports, 2);
	assert_int_equal(s.ifs, 2);
	assert_int_equal(s.addrs, 2);
	assert_int_equal(s.routes, 1);
	assert_int_equal(s.spds, 1);
	assert_int_equal(s.rules, 1);
	assert_int_equal(s.commits, 1);
	assert_int_equal(s.syncs, 1);
}

static void accepted_without_dataplane_and_pushed_when_it_comes(void **state)
{
	struct fixture *f = *state;
	struct router *r = &f->r[0];

	router_start(f, r);
	assert_string_equal(apply(f, r, cfgbuild_gateway()), "");
	assert_non_null(control_running(r->c));
	assert_false(in_force(f, r));
	r->dp = fakedp_new(r->sock);
	WAIT(f, in_force(f, r));
	assert_int_equal(state_of(r).rules, 1);
}

static void only_the_difference_travels(void **state)
{
	struct fixture *f = *state;
	struct cv_config *next = cfgbuild_gateway();
	char last[256];

	start_with_gateway(f, &f->r[0]);
	cfgbuild_route(next, "10.9.0.0/16", "192.0.2.2");
	assert_string_equal(apply(f, &f->r[0], next), "");
	fakedp_last(f->r[0].dp, last, sizeof(last));
	assert_string_equal(last, "route ");
	assert_string_equal(apply(f, &f->r[0], cfgbuild_gateway()), "");
	fakedp_last(f->r[0].dp, last, sizeof(last));
	assert_string_equal(last, "-route ");
}

/* A bigger change, in which a refusal anywhere must leave nothing behind. */
static struct cv_config *changed_gateway(void)
{
	struct cv_config *c = cfgbuild_gateway();

	c->vrf[c->n_vrf++].name = "red";
	c->interface[0].vrf = "red";
	cfgbuild_route(c, "10.9.0.0/16", "192.0.2.2");
	c->acl[0].n_line = 0;
	cfgbuild_line(&c->acl[0], 10, true, "10.1.0.0/24", "10.3.0.0/24");
	return c;
}

static void refusal_at_every_command_changes_nothing(void **state)
{
	struct fixture *f = *state;
	struct router *r = &f->r[0];
	struct cv_config *before;
	uint64_t digest;
	unsigned n;

	start_with_gateway(f, r);
	before = control_running(r->c);
	digest = fakedp_digest(r->dp);
	for (n = 1; n < 100; n++) {
		const char *err;

		fakedp_fail_at(r->dp, n);
		err = apply(f, r, changed_gateway());
		if (!*err)
			break;
		/* the error names the node and says why */
		if (err[0] != '/' || !strstr(err, "fake refusal"))
			fail_msg("command %u: '%s'", n, err);
		assert_ptr_equal(control_running(r->c), before);
		assert_true(fakedp_digest(r->dp) == digest);
		assert_int_equal(state_of(r).aborts, n);
	}
	assert_in_range(n, 9, 99); /* deletes and sets were both met */
	fakedp_fail_at(r->dp, 0);
	assert_int_equal(state_of(r).vrfs, 1);
	assert_ptr_not_equal(control_running(r->c), before);
	assert_string_equal(apply(f, r, cfgbuild_gateway()), "");
	assert_true(fakedp_digest(r->dp) != 0);
	assert_int_equal(state_of(r).vrfs, 0);
}

static void dataplane_vanishes_in_a_transaction(void **state)
{
	struct fixture *f = *state;
	struct router *r = &f->r[0];
	struct cv_config *before;
	uint64_t digest;

	start_with_gateway(f, r);
	before = control_running(r->c);
	digest = fakedp_digest(r->dp);
	fakedp_vanish_at(r->dp, 3);
	assert_string_not_equal(apply(f, r, changed_gateway()), "");
	assert_ptr_equal(control_running(r->c), before);
	fakedp_up(r->dp, false);
	WAIT(f, in_force(f, r));
	assert_true(fakedp_digest(r->dp) == digest);
	assert_int_equal(state_of(r).changed, 0); /* the SYNC found everything as it should be */
	assert_string_equal(apply(f, r, changed_gateway()), "");
}

static void restarted_dataplane_gets_everything(void **state)
{
	struct fixture *f = *state;
	struct router *r = &f->r[0];
	uint64_t digest;

	start_with_gateway(f, r);
	digest = fakedp_digest(r->dp);
	fakedp_down(r->dp);
	WAIT(f, !in_force(f, r));
	fakedp_up(r->dp, true);
	WAIT(f, in_force(f, r));
	assert_true(fakedp_digest(r->dp) == digest);
}

static void restarted_culvertd_changes_nothing(void **state)
{
	struct fixture *f = *state;
	struct router *r = &f->r[0];
	struct cv_config *c = changed_gateway();

	r->dp = fakedp_new(r->sock);
	router_start(f, r);
	assert_string_equal(apply(f, r, cfgbuild_gateway()), "");
	WAIT(f, in_force(f, r));
	assert_string_equal(apply(f, r, c), ""); /* numbers given out in two rounds */
	router_stop(f, r, false);
	router_start(f, r);
	assert_string_equal(apply(f, r, changed_gateway()), "");
	WAIT(f, in_force(f, r));
	assert_int_equal(state_of(r).changed, 0);
	assert_true(state_of(r).unchanged > 8);
}

static void refused_configuration_can_be_replaced(void **state)
{
	struct fixture *f = *state;
	struct router *r = &f->r[0];
	json_t *a;

	r->dp = fakedp_new(r->sock);
	fakedp_fail_at(r->dp, 2);
	router_start(f, r);
	assert_string_equal(apply(f, r, cfgbuild_gateway()), ""); /* accepted: nothing is connected yet */
	WAIT(f, state_of(r).aborts == 1);
	assert_false(in_force(f, r));
	a = ask(f, r, "{\"show\": \"dataplane\"}", true);
	if (json_object_get(a, "push_error"))
		assert_non_null(strstr(json_string_value(json_object_get(a, "push_error")), "/ietf-interfaces"));
	json_decref(a);
	assert_string_equal(apply(f, r, changed_gateway()), "");
	assert_true(in_force(f, r));
	assert_int_equal(state_of(r).vrfs, 1);
}

static void tunnel_comes_up(void **state)
{
	struct fixture *f = *state;
	json_t *answer, *s, *flow;

	bring_up(f);
	WAIT(f, session_is(f, &f->r[0], "UP-ACTIVE"));
	WAIT(f, session_is(f, &f->r[1], "UP-ACTIVE"));
	s = session0(f, &f->r[0], &answer);
	assert_string_equal(json_string_value(json_object_get(s, "peer")), "192.0.2.2");
	assert_string_equal(json_string_value(json_object_get(s, "interface")), "wan");
	assert_int_equal(json_array_size(json_object_get(s, "ike_sas")), 1);
	assert_int_equal(json_array_size(json_object_get(s, "flows")), 1);
	flow = json_array_get(json_object_get(s, "flows"), 0);
	assert_int_equal(json_integer_value(json_object_get(flow, "active_sas")), 2); /* MON-17 */
	assert_string_equal(json_string_value(json_object_get(flow, "local")), "10.1.0.0/24");
	assert_string_equal(json_string_value(json_object_get(flow, "remote")), "10.2.0.0/24");
	json_decref(answer);
	answer = ask(f, &f->r[0], "{\"show\": \"crypto ipsec sa\"}", true);
	s = json_array_get(json_object_get(answer, "interfaces"), 0);
	flow = json_array_get(json_object_get(s, "flows"), 0);
	assert_int_equal(json_array_size(json_object_get(flow, "sas")), 2);
	json_decref(answer);
	answer = ask(f, &f->r[0], "{\"show\": \"crypto ipsec sa\", \"detail\": true}", true);
	s = json_array_get(json_object_get(answer, "interfaces"), 0);
	flow = json_array_get(json_object_get(s, "flows"), 0);
	assert_true(json_is_integer(
		json_object_get(json_array_get(json_object_get(flow, "sas"), 0), "sequence"))); /* the dataplane's */
	assert_null(json_object_get(answer, "sequences"));
	/* VRF-49: two SPIs, consecutive connection ids, lifetimes by time and volume */
	json_t *in = json_array_get(json_object_get(flow, "sas"), 0),
	       *out = json_array_get(json_object_get(flow, "sas"), 1);

	assert_int_equal(json_integer_value(json_object_get(in, "conn_id")) + 1,
		json_integer_value(json_object_get(out, "conn_id")));
	assert_int_not_equal(
		json_integer_value(json_object_get(in, "spi")), json_integer_value(json_object_get(out, "spi")));
	assert_in_range(json_integer_value(json_object_get(in, "life_seconds")), 3500, 3600);
	assert_int_equal(json_integer_value(json_object_get(in, "life_kb")), 4608000);
	json_decref(answer);
}

/* A killed culvertd finds its IKE SAs again, and its SAs are not touched. */
static void tunnel_survives_culvertd(void **state)
{
	struct fixture *f = *state;
	struct router *r = &f->r[0];
	uint64_t digest;

	bring_up(f);
	digest = fakedp_digest(r->dp);
	router_stop(f, r, false);
	assert_true(fakedp_digest(r->dp) == digest);
	router_start(f, r);
	assert_string_equal(apply(f, r, side(0)), "");
	WAIT(f, in_force(f, r));
	assert_int_equal(state_of(r).kept, 2);
	assert_int_equal(state_of(r).changed, 0);
	assert_true(fakedp_digest(r->dp) == digest);
	assert_true(session_is(f, r, "UP-ACTIVE"));
	/* and it is still ours: clearing it here removes it over there */
	json_decref(ask(f, r, "{\"clear\": \"crypto session\"}", false));
	WAIT(f, state_of(r).sas == 0 && state_of(&f->r[1]).sas == 0);
}

/* The dataplane has lost its SAs: new ones, never the old keys again, over the living IKE SA. */
static void children_come_back_after_a_dataplane_restart(void **state)
{
	struct fixture *f = *state;
	struct router *r = &f->r[0];
	struct cv_sa before, after;

	bring_up(f);
	assert_true(fakedp_sa(r->dp, CV_SA_OUT, 0, &before));
	fakedp_down(r->dp);
	WAIT(f, !in_force(f, r));
	fakedp_up(r->dp, true);
	WAIT(f, in_force(f, r));
	WAIT(f, fakedp_sa(r->dp, CV_SA_OUT, 0, &after));
	assert_memory_not_equal(before.key, after.key, before.key_len);
	WAIT(f, state_of(r).sas == 2 && state_of(&f->r[1]).sas == 2);
	assert_paired(r, &f->r[1]);
	assert_true(session_is(f, r, "UP-ACTIVE"));
}

static void lost_connection_keeps_the_tunnel(void **state)
{
	struct fixture *f = *state;
	struct router *r = &f->r[0];
	uint64_t digest;

	bring_up(f);
	digest = fakedp_digest(r->dp);
	fakedp_down(r->dp);
	WAIT(f, !in_force(f, r));
	fakedp_up(r->dp, false);
	WAIT(f, in_force(f, r));
	assert_int_equal(state_of(r).kept, 2);
	assert_true(fakedp_digest(r->dp) == digest);
}

/* ---- bundles (IPSEC-18): a pair of ESP, a pair of AH around it ---- */

/* The two SAs of a direction, whichever has the lower index. */
static void bundle_of(struct router *r, enum cv_sa_dir dir, struct cv_sa *esp, struct cv_sa *ah)
{
	struct cv_sa a, b;

	assert_true(fakedp_sa(r->dp, dir, 0, &a) && fakedp_sa(r->dp, dir, 1, &b));
	*esp = a.ipproto == 50 ? a : b;
	*ah = a.ipproto == 50 ? b : a;
	assert_int_equal(esp->ipproto, 50);
	assert_int_equal(ah->ipproto, 51);
}

static void assert_bundle(struct router *r)
{
	for (enum cv_sa_dir dir = CV_SA_OUT; dir <= CV_SA_IN; dir++) {
		struct cv_sa esp, ah;

		bundle_of(r, dir, &esp, &ah);
		assert_int_equal(esp.outer_index, ah.index);
		assert_int_equal(ah.outer_index, 0);
		assert_true(ah.flags & CV_SA_F_BUNDLED && !(esp.flags & CV_SA_F_BUNDLED));
		assert_int_equal(esp.mode, CV_SA_TUNNEL);
		assert_int_equal(ah.mode, CV_SA_TRANSPORT); /* inside the outer header that ESP made */
		assert_int_equal(ah.key_len, 64);
		assert_int_equal(esp.key_len, 64);
		assert_memory_not_equal(ah.key, esp.key, 64);
		assert_true(ah.soft_bytes == 0 && esp.soft_bytes != 0);
	}
}

static void assert_bundles_paired(struct router *a, struct router *b)
{
	struct cv_sa out[2], in[2];

	assert_bundle(a);
	bundle_of(a, CV_SA_OUT, &out[0], &out[1]);
	bundle_of(b, CV_SA_IN, &in[0], &in[1]);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(out[i].spi, in[i].spi);
		assert_memory_equal(out[i].key, in[i].key, out[i].key_len);
	}
}

static void bring_up_bundle(struct fixture *f)
{
	bundled = true;
	start_both(f);
	trigger(&f->r[0]);
	WAIT(f, state_of(&f->r[0]).sas == 4 && state_of(&f->r[1]).sas == 4);
	WAIT(f, child_established(f, &f->r[0]) && child_established(f, &f->r[1]));
	assert_bundles_paired(&f->r[0], &f->r[1]);
	assert_bundles_paired(&f->r[1], &f->r[0]);
}

static void bundle_comes_up_and_goes(void **state)
{
	struct fixture *f = *state;
	struct router *r = &f->r[0];
	json_t *answer, *s, *flow, *sas;

	bring_up_bundle(f);
	WAIT(f, session_is(f, r, "UP-ACTIVE"));
	s = session0(f, r, &answer);
	flow = json_array_get(json_object_get(s, "flows"), 0);
	assert_int_equal(json_integer_value(json_object_get(flow, "active_sas")), 4); /* MON-17 */
	json_decref(answer);
	answer = ask(f, r, "{\"show\": \"crypto ipsec sa\"}", true);
	s = json_array_get(json_object_get(answer, "interfaces"), 0);
	assert_int_equal(json_array_size(json_object_get(s, "flows")), 1);
	sas = json_object_get(json_array_get(json_object_get(s, "flows"), 0), "sas");
	assert_int_equal(json_array_size(sas), 4);
	unsigned ah = 0;
	for (size_t i = 0; i < 4; i++)
		ah += !strcmp(json_string_value(json_object_get(json_array_get(sas, i), "protocol")), "ah");
	assert_int_equal(ah, 2);
	json_decref(answer);
	/* IPSEC-T13's peer command, by the SPI of AH */
	struct cv_sa esp, outer;
	char clear[128];
	bundle_of(r, CV_SA_IN, &esp, &outer);
	snprintf(clear, sizeof(clear), "{\"clear\": \"crypto sa\", \"spi\": %u}", outer.spi);
	json_decref(ask(f, r, clear, false));
	WAIT(f, state_of(r).sas == 0 && state_of(&f->r[1]).sas == 0);
}

static void bundle_survives_culvertd(void **state)
{
	struct fixture *f = *state;
	struct router *r = &f->r[0];
	uint64_t digest;

	bring_up_bundle(f);
	digest = fakedp_digest(r->dp);
	router_stop(f, r, false);
	router_start(f, r);
	assert_string_equal(apply(f, r, side(0)), "");
	WAIT(f, in_force(f, r));
	assert_int_equal(state_of(r).kept, 4);
	assert_int_equal(state_of(r).changed, 0);
	assert_true(fakedp_digest(r->dp) == digest);
	json_decref(ask(f, r, "{\"clear\": \"crypto session\"}", false));
	WAIT(f, state_of(r).sas == 0 && state_of(&f->r[1]).sas == 0);
}

/* culvertd ends, leaving its tunnels to the next one, while the dataplane has not yet answered all it was told. */
static void unanswered_bundle_survives_culvertd(void **state)
{
	struct fixture *f = *state;
	struct router *r = &f->r[0];

	bundled = true;
	start_both(f);
	fakedp_mute(r->dp, true);
	trigger(r);
	WAIT(f, state_of(r).sas == 4 && child_established(f, r));
	router_stop(f, r, false);
	fakedp_mute(r->dp, false);
	router_start(f, r);
	assert_string_equal(apply(f, r, side(0)), "");
	WAIT(f, in_force(f, r));
	assert_int_equal(state_of(r).kept, 4);
	assert_int_equal(state_of(r).changed, 0);
}

static void bundle_comes_back_after_a_dataplane_restart(void **state)
{
	struct fixture *f = *state;
	struct router *r = &f->r[0];

	bring_up_bundle(f);
	fakedp_down(r->dp);
	WAIT(f, !in_force(f, r));
	fakedp_up(r->dp, true);
	WAIT(f, in_force(f, r));
	WAIT(f, state_of(r).sas == 4 && state_of(&f->r[1]).sas == 4);
	assert_bundles_paired(r, &f->r[1]);
	assert_bundles_paired(&f->r[1], r);
}

static void removed_line_takes_its_bundle_along(void **state)
{
	struct fixture *f = *state;
	bundled = true;
	struct cv_config *next = side(0);

	bring_up_bundle(f);
	next->acl[0].n_line = 0;
	cfgbuild_line(&next->acl[0], 10, true, "10.1.0.0/24", "10.77.0.0/24");
	assert_string_equal(apply(f, &f->r[0], next), "");
	assert_int_equal(state_of(&f->r[0]).sas, 0);
	WAIT(f, state_of(&f->r[1]).sas == 0);
}

/* The SPI of the pair of AH that a router sends with. */
static uint32_t ah_spi(struct router *r)
{
	struct cv_sa ah, esp;

	bundle_of(r, CV_SA_OUT, &esp, &ah);
	return ah.spi;
}

/* ISPI-T2, ISPI-T3, ISPI-T4, ISPI-10: one side has lost the bundle, the other goes on sending. What is reported is the
 * outer header's protocol and SPI; with recovery switched on the side that lost it negotiates, and four new SAs are at
 * each end, as after the first time (ISPI-T1). */
static void bundle_is_recovered(void **state)
{
	struct fixture *f = *state;
	struct router *lost = &f->r[1];
	struct cv_config *cfg;
	struct cv_evt_invalid_spi e = {.proto = 51};
	uint32_t before;

	bring_up_bundle(f);
	before = e.spi = ah_spi(&f->r[0]);
	router_stop(f, lost, false);
	fakedp_down(lost->dp);
	fakedp_up(lost->dp, true);
	router_start(f, lost);
	cfg = side(1);
	cfg->invalid_spi_recovery = true;
	assert_string_equal(apply(f, lost, cfg), "");
	WAIT(f, in_force(f, lost));
	assert_int_equal(state_of(lost).sas, 0);
	assert_int_equal(cv_addr_parse("192.0.2.1", &e.src), 0);
	assert_int_equal(cv_addr_parse("192.0.2.2", &e.dst), 0);
	fakedp_event(lost->dp, CV_EVT_INVALID_SPI, &e, sizeof(e));
	WAIT(f, state_of(lost).sas == 4);
	WAIT(f, ike_stat(f, lost, "invalid_spi_initiated") == 1);
	WAIT(f, state_of(&f->r[0]).sas == 4 && ah_spi(&f->r[0]) != before);
	WAIT(f, child_established(f, lost));
	assert_bundles_paired(&f->r[0], lost);
	assert_bundles_paired(lost, &f->r[0]);
}

/* IPSEC-25, IPSEC-39: an access list that no map names has no effect, and is listed as one that a map names is. */
static void access_lists_by_themselves(void **state)
{
	struct fixture *f = *state;
	struct router *r = &f->r[0];
	struct cv_config *c = side(0);
	json_t *answer, *list;
	const char *key;
	uint64_t digest;
	json_t *v;

	start_both(f);
	digest = fakedp_digest(r->dp);
	c->acl[c->n_acl++].name = "filter"; /* denies what the map protects */
	cfgbuild_line(&c->acl[1], 10, false, "10.1.0.0/24", "10.2.0.0/24");
	assert_string_equal(apply(f, r, c), "");
	assert_true(fakedp_digest(r->dp) == digest);
	answer = ask(f, r, "{\"show\": \"access-lists\"}", true);
	list = json_object_get(answer, "access_lists");
	assert_int_equal(json_array_size(list), 2);
	json_object_foreach (json_array_get(list, 0), key, v)
		assert_non_null(json_object_get(json_array_get(list, 1), key));
	json_decref(answer);
}

/* Design promise 4: what the change does not touch goes on. */
static void unrelated_change_leaves_the_tunnel(void **state)
{
	struct fixture *f = *state;
	struct cv_config *next = side(0);
	struct cv_sa before, after;

	bring_up(f);
	assert_true(fakedp_sa(f->r[0].dp, CV_SA_OUT, 0, &before));
	cfgbuild_route(next, "10.9.0.0/16", "192.0.2.2");
	assert_string_equal(apply(f, &f->r[0], next), "");
	assert_true(fakedp_sa(f->r[0].dp, CV_SA_OUT, 0, &after));
	assert_memory_equal(&before, &after, sizeof(before));
	assert_true(session_is(f, &f->r[0], "UP-ACTIVE"));
}

/* The SAs of a rule that goes away leave in the same transaction, and the peer is told. */
static void removed_line_takes_its_tunnel_along(void **state)
{
	struct fixture *f = *state;
	struct cv_config *next = side(0);
	char last[256];

	bring_up(f);
	next->acl[0].n_line = 0;
	cfgbuild_line(&next->acl[0], 10, true, "10.1.0.0/24", "10.77.0.0/24");
	assert_string_equal(apply(f, &f->r[0], next), "");
	fakedp_last(f->r[0].dp, last, sizeof(last));
	assert_string_equal(last, "-sa -sa -rule rule ");
	assert_int_equal(state_of(&f->r[0]).sas, 0);
	WAIT(f, state_of(&f->r[1]).sas == 0);
}

static void refused_change_leaves_the_tunnel(void **state)
{
	struct fixture *f = *state;
	struct cv_config *next = side(0);
	uint64_t digest;

	bring_up(f);
	digest = fakedp_digest(f->r[0].dp);
	next->acl[0].n_line = 0;
	cfgbuild_line(&next->acl[0], 10, true, "10.1.0.0/24", "10.77.0.0/24");
	fakedp_fail_at(f->r[0].dp, 3);
	assert_string_not_equal(apply(f, &f->r[0], next), "");
	assert_true(fakedp_digest(f->r[0].dp) == digest);
	assert_true(session_is(f, &f->r[0], "UP-ACTIVE"));
	assert_true(session_is(f, &f->r[1], "UP-ACTIVE"));
}

/* IDLE-3: the limit by volume, long before that by time. A soft limit: a new pair on both sides before the old one
 * goes, and the old inbound SA lingers. */
static void soft_limit_rekeys(void **state)
{
	struct fixture *f = *state;
	struct router *r = &f->r[0];
	struct cv_sa before, newest;
	struct cv_evt_sa_expire e = {.reason = CV_EXPIRE_BYTES};

	bring_up(f);
	assert_true(fakedp_sa(r->dp, CV_SA_OUT, 0, &before));
	e.ref = (struct cv_sa_ref){before.index, before.spi};
	fakedp_event(r->dp, CV_EVT_SA_EXPIRE, &e, sizeof(e));
	WAIT(f, fakedp_sa(r->dp, CV_SA_OUT, 1, &newest) ||
			(fakedp_sa(r->dp, CV_SA_OUT, 0, &newest) && newest.spi != before.spi));
	assert_int_not_equal(newest.spi, before.spi);
	assert_memory_not_equal(newest.key, before.key, before.key_len);
	assert_int_equal(newest.rule_id, before.rule_id);
	WAIT(f, state_of(r).sas == 2 && state_of(&f->r[1]).sas == 2); /* the old pair is gone after its linger time */
	assert_paired(r, &f->r[1]);
	assert_paired(&f->r[1], r);
	assert_true(session_is(f, r, "UP-ACTIVE"));
}

static void graceful_stop_tells_the_peer(void **state)
{
	struct fixture *f = *state;

	bring_up(f);
	router_stop(f, &f->r[0], true);
	WAIT(f, state_of(&f->r[1]).sas == 0);
	assert_int_equal(state_of(&f->r[0]).sas, 0);
	/* nothing is found again that both sides have ended */
	router_start(f, &f->r[0]);
	assert_string_equal(apply(f, &f->r[0], side(0)), "");
	WAIT(f, in_force(f, &f->r[0]));
	assert_true(session_is(f, &f->r[0], "DOWN"));
}

/* Design promise 8: configured, down, and it says why. */
static void down_session_says_why(void **state)
{
	struct fixture *f = *state;
	struct cv_config *c = side(0);
	json_t *answer, *s = NULL;
	bool said = false;

	c->keyring[0].psk[0].key = config_secret(c, "another", 7);
	c->keyring[0].psk[0].key_len = 7;
	start_both(f);
	assert_string_equal(apply(f, &f->r[0], c), "");
	assert_true(session_is(f, &f->r[0], "DOWN"));
	trigger(&f->r[0]);
	for (int i = 0; i < 2000 && !said; i++) {
		uv_run(&f->loop, UV_RUN_ONCE);
		s = session0(f, &f->r[0], &answer);
		said = json_object_get(s, "last_failure") != NULL;
		if (said)
			assert_non_null(strstr(json_string_value(json_object_get(s, "last_failure")), "authentic"));
		json_decref(answer);
	}
	assert_true(said);
	assert_int_equal(state_of(&f->r[0]).sas, 0);
	assert_int_equal(state_of(&f->r[1]).sas, 0);
}

/* ---- counters, clear ---- */

static json_int_t encaps(struct fixture *f, struct router *r)
{
	json_t *a = ask(f, r, "{\"show\": \"crypto ipsec sa\"}", true);
	json_t *flow = json_array_get(json_object_get(json_array_get(json_object_get(a, "interfaces"), 0), "flows"), 0);
	json_int_t n = json_integer_value(json_object_get(flow, "pkts_encaps"));

	json_decref(a);
	return n;
}

static json_int_t clear_sa_by(struct fixture *f, struct router *r, const char *selectors)
{
	char request[128];

	snprintf(request, sizeof(request), "{\"clear\": \"crypto sa\", %s}", selectors);
	json_t *a = ask(f, r, request, false);
	json_int_t n = json_integer_value(json_object_get(a, "cleared"));
	json_decref(a);
	return n;
}

static void counters_are_summed_and_cleared(void **state)
{
	struct fixture *f = *state;
	struct router *r = &f->r[0];
	struct cv_stats_segment *seg;
	struct cv_sa out;
	json_t *a;

	bring_up(f);
	seg = fakedp_stats(r->dp);
	assert_true(fakedp_sa(r->dp, CV_SA_OUT, 0, &out));
	seg->writer[1].sa[out.index].packets += 5;
	seg->writer[2].sa[out.index].packets += 7;
	assert_int_equal(encaps(f, r), 12);
	json_decref(ask(f, r, "{\"clear\": \"crypto sa\", \"counters\": true}", false));
	assert_int_equal(encaps(f, r), 0);
	assert_int_equal(state_of(r).sas, 2);
	seg->writer[1].sa[out.index].packets += 3;
	assert_int_equal(encaps(f, r), 3);
	a = ask(f, r, "{\"clear\": \"crypto sa\", \"peer\": \"192.0.2.99\"}", false);
	assert_int_equal(json_integer_value(json_object_get(a, "cleared")), 0); /* MON-32 */
	json_decref(a);
	/* IKE-36: selectors narrow it down, each leads to the SAs that it should; they come back when there is traffic
	 */
	static const char *const none[] = {"\"map\": \"other\"", "\"entry\": 11", "\"map\": \"vpn\", \"entry\": 9"};
	static const char *const all[] = {"\"map\": \"vpn\"", "\"entry\": 10", "\"map\": \"vpn\", \"entry\": 10",
		"\"peer\": \"192.0.2.2\"", "\"counters\": false"};
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(clear_sa_by(f, r, none[i]), 0);
	for (unsigned i = 0; i < 5; i++) {
		assert_int_equal(clear_sa_by(f, r, all[i]), 2);
		/* the other end goes on receiving with its half for a moment */
		WAIT(f, state_of(r).sas == 0 && state_of(&f->r[1]).sas <= 1);
		trigger(r);
		WAIT(f, state_of(r).sas == 2 && state_of(&f->r[1]).sas >= 2);
	}
}

/* Cycles by stage, those of the profile that was begun last; the others are of workers that sleep. */
static void workers_are_profiled(void **state)
{
	struct fixture *f = *state;
	struct router *r = &f->r[0];
	struct cv_stats_segment *seg;
	json_t *a, *w, *stage;

	bring_up(f);
	seg = fakedp_stats(r->dp);
	a = ask(f, r, "{\"show\": \"workers profile\"}", true);
	assert_string_equal(json_string_value(json_object_get(a, "profile")), "never begun");
	json_decref(a);
	a = ask(f, r, "{\"do\": \"workers profile\"}", false);
	assert_non_null(json_object_get(a, "error"));
	json_decref(a);
	json_decref(ask(f, r, "{\"do\": \"workers profile\", \"start\": true}", false));
	assert_int_equal(seg->profile_number, 1);
	a = ask(f, r, "{\"show\": \"workers\"}", true);
	assert_string_equal(json_string_value(json_object_get(a, "profile")), "running");
	json_decref(a);
	json_decref(ask(f, r, "{\"do\": \"workers profile\", \"stop\": true}", false));
	seg->n_stages = 2;
	snprintf(seg->stage_name[1], sizeof(seg->stage_name[1]), "fast");
	seg->writer[2].profile = (struct cv_profile){
		.number = 1, .rounds = 4, .packets = 200, .busy_cycles = 20000, .idle_cycles = 60000};
	seg->writer[2].profile.stage[1] = (struct cv_stage_counters){.calls = 8, .packets = 100, .cycles = 15000};
	a = ask(f, r, "{\"show\": \"workers profile\"}", true);
	assert_string_equal(json_string_value(json_object_get(a, "profile")), "ended");
	assert_float_equal(json_real_value(json_object_get(a, "seconds")), 2.5, 1e-9);
	assert_int_equal(json_array_size(json_object_get(a, "workers")), 1);
	w = json_array_get(json_object_get(a, "workers"), 0);
	assert_int_equal(json_integer_value(json_object_get(w, "worker")), 1);
	assert_float_equal(json_real_value(json_object_get(w, "busy_percent")), 25, 1e-9);
	assert_float_equal(json_real_value(json_object_get(w, "cycles_per_packet")), 100, 1e-9);
	assert_float_equal(json_real_value(json_object_get(w, "packets_per_round")), 50, 1e-9);
	assert_float_equal(json_real_value(json_object_get(w, "other_percent")), 25, 1e-9);
	stage = json_array_get(json_object_get(w, "stages"), 0);
	assert_string_equal(json_string_value(json_object_get(stage, "stage")), "fast");
	assert_float_equal(json_real_value(json_object_get(stage, "packets_per_vector")), 12.5, 1e-9);
	assert_float_equal(json_real_value(json_object_get(stage, "cycles_per_packet")), 150, 1e-9);
	assert_float_equal(json_real_value(json_object_get(stage, "share_percent")), 75, 1e-9);
	json_decref(a);
}

/* What IKEv2 offers, and the peers, all or one (MON-T1). */
static void proposals_and_peers(void **state)
{
	struct fixture *f = *state;
	json_t *a, *list, *p;

	bring_up(f);
	a = ask(f, &f->r[0], "{\"show\": \"crypto ikev2 proposal\", \"name\": \"default-gcm\"}", true);
	list = json_object_get(a, "proposals");
	assert_int_equal(json_array_size(list), 1);
	p = json_array_get(list, 0);
	assert_true(json_is_true(json_object_get(p, "default")));
	assert_string_equal(json_string_value(json_array_get(json_object_get(p, "encryption"), 0)), "aes256-gcm16");
	assert_int_equal(json_array_size(json_object_get(p, "integrity")), 0);
	assert_true(json_array_size(json_object_get(p, "prf")) > 0 && json_array_size(json_object_get(p, "group")) > 0);
	json_decref(a);
	a = ask(f, &f->r[0], "{\"show\": \"crypto isakmp peer\"}", true);
	list = json_object_get(a, "peers");
	assert_true(json_array_size(list) > 0);
	const char *peer = json_string_value(json_object_get(json_array_get(list, 0), "peer"));
	char request[128];
	snprintf(request, sizeof(request), "{\"show\": \"crypto isakmp peer\", \"address\": \"%s\"}", peer);
	json_decref(a);
	a = ask(f, &f->r[0], request, true);
	assert_int_equal(json_array_size(json_object_get(a, "peers")), 1);
	json_decref(a);
	a = ask(f, &f->r[0], "{\"show\": \"crypto isakmp peer\", \"address\": \"203.0.113.77\"}", true);
	assert_int_equal(json_array_size(json_object_get(a, "peers")), 0);
	json_decref(a);
	a = ask(f, &f->r[0], "{\"show\": \"crypto isakmp peer\", \"address\": \"nobody\"}", true);
	assert_non_null(strstr(json_string_value(json_object_get(a, "error")), "is not an address"));
	json_decref(a);
}

static void every_show_answers(void **state)
{
	static const char *const words[] = {"version", "dataplane", "crypto engine", "interfaces", "arp", "nd",
		"ip route", "ipv6 route", "ip mroute", "ipv6 mroute", "drops", "workers", "workers profile",
		"crypto session", "crypto ipsec sa", "crypto isakmp sa", "crypto ikev2 sa", "crypto ike stats",
		"crypto isakmp policy", "crypto isakmp profile", "crypto isakmp key", "crypto key mypubkey rsa",
		"crypto key pubkey-chain rsa", "crypto ca certificates", "crypto isakmp peer", "crypto ikev2 proposal",
		"crypto map", "crypto ipsec transform-set", "access-lists", "crypto ipsec security-association replay",
		"crypto ipsec security-association idle-time"};
	struct fixture *f = *state;
	char request[96], *text;
	json_t *a;

	bring_up(f);
	for (int pass = 0; pass < 2; pass++) { /* with and without a dataplane */
		for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
			snprintf(request, sizeof(request), "{\"show\": \"%s\"}", words[i]);
			a = ask(f, &f->r[0], request, true);
			if (json_object_get(a, "error"))
				fail_msg("%s: %s", words[i], json_string_value(json_object_get(a, "error")));
			text = json_dumps(a, 0);
			if (strstr(text, "secret")) /* the key */
				fail_msg("%s prints a key", words[i]);
			free(text);
			json_decref(a);
		}
		fakedp_down(f->r[0].dp);
		WAIT(f, !in_force(f, &f->r[0]));
	}
	a = ask(f, &f->r[0], "{\"show\": \"nonsense\"}", true);
	assert_non_null(json_object_get(a, "error"));
	json_decref(a);
	a = ask(f, &f->r[0], "{\"show\": \"crypto session\", \"remote\": \"x\"}", true);
	assert_non_null(json_object_get(a, "error"));
	json_decref(a);
}

/* test_control [PATTERN]: only the tests whose names match. */
int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		TEST(first_configuration_is_pushed),
		TEST(accepted_without_dataplane_and_pushed_when_it_comes),
		TEST(only_the_difference_travels),
		TEST(refusal_at_every_command_changes_nothing),
		TEST(dataplane_vanishes_in_a_transaction),
		TEST(restarted_dataplane_gets_everything),
		TEST(restarted_culvertd_changes_nothing),
		TEST(refused_configuration_can_be_replaced),
		TEST(tunnel_comes_up),
		TEST(tunnel_survives_culvertd),
		TEST(children_come_back_after_a_dataplane_restart),
		TEST(lost_connection_keeps_the_tunnel),
		TEST(bundle_comes_up_and_goes),
		TEST(bundle_is_recovered),
		TEST(access_lists_by_themselves),
		TEST(bundle_survives_culvertd),
		TEST(unanswered_bundle_survives_culvertd),
		TEST(bundle_comes_back_after_a_dataplane_restart),
		TEST(removed_line_takes_its_bundle_along),
		TEST(unrelated_change_leaves_the_tunnel),
		TEST(removed_line_takes_its_tunnel_along),
		TEST(refused_change_leaves_the_tunnel),
		TEST(soft_limit_rekeys),
		TEST(graceful_stop_tells_the_peer),
		TEST(down_session_says_why),
		TEST(counters_are_summed_and_cleared),
		TEST(workers_are_profiled),
		TEST(proposals_and_peers),
		TEST(every_show_answers),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
