/* SPDX-License-Identifier: BSD-3-Clause */
/* Temporary rules of dynamic entries: router 1 does not know router 0's address. */
#include <string.h>

#include "control_env.h"
#include "cv_addr.h"

#define DENIED (UINT64_C(1) << 46)

/* With its access list, or without (IPSEC-59). */
static struct cv_config *dynamic_side(bool with_list)
{
	struct cv_config *c = side(1);
	struct cfg_ike_profile *p = &c->ike_profile[c->n_ike_profile++];
	struct cfg_map_entry *e = &c->map[0].entry[0];

	*p = (struct cfg_ike_profile){
		.name = "any", .version = CFG_IKEV2, .lifetime_s = 86400, .nat_traversal = true, .n_match = 1};
	p->match = config_alloc(c, 1, sizeof(*p->match));
	p->match[0].type = CFG_ID_ADDRESS;
	assert_int_equal(cv_prefix_parse("192.0.2.1/32", &p->match[0].addr), 0);
	e->n_peer = 0;
	e->ike_profile = "any";
	if (!with_list)
		e->acl = NULL;
	else { /* wider than what will be proposed, but for one DSCP */
		c->acl[0].n_line = 0;
		cfgbuild_line(&c->acl[0], 5, false, "10.2.0.0/24", "10.0.0.0/8");
		c->acl[0].line[0].dscp = DENIED;
		cfgbuild_line(&c->acl[0], 10, true, "10.2.0.0/16", "10.0.0.0/8");
	}
	return c;
}

/* The temporary rule that the SAs of a router use, as the dataplane has it. */
static void assert_temporary(struct router *r, const char *remote, struct cv_spd_rule *rule)
{
	struct cv_sa out;
	struct cv_prefix want;

	assert_true(fakedp_sa(r->dp, CV_SA_OUT, 0, &out));
	assert_true(fakedp_rule_by_id(r->dp, out.rule_id, rule));
	assert_int_equal(cv_prefix_parse(remote, &want), 0);
	assert_memory_equal(&rule->sel, &out.sel[0], sizeof(rule->sel)); /* filled with what was negotiated */
	assert_true(cv_addr_eq(&rule->sel.dst.lo, &want.addr));
	assert_int_equal(rule->action, CV_SPD_PROTECT);
	assert_int_equal(rule->flags, CV_RULE_NO_ACQUIRE); /* IPSEC-55 */
	assert_true(rule->prio == (uint64_t)10 << 48);	   /* in front of the lines of its entry */
}

/* IPSEC-57: a flow has a rule of its own as long as it has SAs, no longer. IPSEC-59, first two rows. IPSEC-45: the
 * dynamic kind of entry beside the static one of the peer. IPSEC-47: the two are compatible though they mirror no list,
 * name no peer on one side, and have one transform set in common. */
static void negotiated_flow_has_a_temporary_rule(void **state)
{
	struct fixture *f = *state;
	struct router *r = &f->r[1];
	struct cv_spd_rule rule;
	struct fakedp_state before;

	for (int with_list = 0; with_list < 2; with_list++) {
		bring_up_with(f, side(0), dynamic_side(with_list));
		assert_temporary(r, "10.1.0.0/24", &rule);
		before = state_of(r);
		assert_int_equal(before.rules, 1 + 2 * with_list);
		assert_true(rule.dscp == (with_list ? ~DENIED : 0));
		json_t *a = ask(f, r, "{\"show\": \"crypto map\"}", true);
		json_t *e =
			json_array_get(json_object_get(json_array_get(json_object_get(a, "maps"), 0), "entries"), 0);
		assert_string_equal(json_string_value(json_object_get(e, "type")), "ipsec-isakmp dynamic");
		assert_int_equal(json_array_size(json_object_get(e, "temporary")), 1);
		json_decref(a);
		/* a commit that has nothing to do with it leaves it alone, SAs included */
		struct cv_config *next = dynamic_side(with_list);
		cfgbuild_route(next, "10.9.0.0/16", "192.0.2.1");
		assert_string_equal(apply(f, r, next), "");
		assert_int_equal(state_of(r).rules, before.rules);
		assert_int_equal(state_of(r).sas, 2);
		json_decref(ask(f, &f->r[0], "{\"clear\": \"crypto session\"}", false));
		WAIT(f, state_of(r).sas == 0 && state_of(r).rules == 2 * (unsigned)with_list);
		for (int i = 0; i < 2; i++) {
			router_stop(f, &f->r[i], false);
			fakedp_free(f->r[i].dp);
			f->r[i].dp = NULL;
		}
	}
}

/* A rekey keeps the rule: at no moment is there none, and in the end one. */
static void temporary_rule_outlives_a_rekey(void **state)
{
	struct fixture *f = *state;
	struct router *r = &f->r[1];
	struct cv_spd_rule before, after;
	struct cv_sa old, new;

	bring_up_with(f, side(0), dynamic_side(false));
	assert_temporary(r, "10.1.0.0/24", &before);
	assert_true(fakedp_sa(r->dp, CV_SA_OUT, 0, &old));
	struct cv_evt_sa_expire e = {.ref = {.index = old.index, .spi = old.spi}};
	fakedp_event(r->dp, CV_EVT_SA_EXPIRE, &e, sizeof(e)); /* this router initiates it (IPSEC-57) */
	WAIT(f, state_of(r).sas == 2 && fakedp_sa(r->dp, CV_SA_OUT, 0, &new) && new.spi != old.spi);
	assert_temporary(r, "10.1.0.0/24", &after);
	assert_memory_equal(&before, &after, sizeof(before));
	assert_int_equal(state_of(r).rules, 1);
}

/* After a restart of either process: the same rule under the same number, or a new one for the new SAs. */
static void temporary_rules_survive_restarts(void **state)
{
	struct fixture *f = *state;
	struct router *r = &f->r[1];
	struct cv_spd_rule rule;
	uint64_t digest;

	bring_up_with(f, side(0), dynamic_side(true));
	digest = fakedp_digest(r->dp);
	router_stop(f, r, false);
	router_start(f, r);
	assert_string_equal(apply(f, r, dynamic_side(true)), "");
	WAIT(f, in_force(f, r));
	assert_int_equal(state_of(r).kept, 2);
	assert_true(fakedp_digest(r->dp) == digest);
	fakedp_down(r->dp);
	WAIT(f, !in_force(f, r));
	fakedp_up(r->dp, true);
	WAIT(f, in_force(f, r));
	WAIT(f, state_of(r).sas == 2 && state_of(&f->r[0]).sas == 2);
	assert_paired(r, &f->r[0]);
	assert_temporary(r, "10.1.0.0/24", &rule);
	assert_int_equal(state_of(r).rules, 3);
	/* and it still ends with its SAs */
	json_decref(ask(f, r, "{\"clear\": \"crypto session\"}", false));
	WAIT(f, state_of(r).sas == 0 && state_of(r).rules == 2);
}

/* The entry is taken out of the configuration: its flows leave in the same transaction. */
static void temporary_rules_leave_with_their_entry(void **state)
{
	struct fixture *f = *state;
	struct router *r = &f->r[1];
	char last[256];

	bring_up_with(f, side(0), dynamic_side(false));
	assert_string_equal(apply(f, r, side(1)), "");
	fakedp_last(r->dp, last, sizeof(last));
	assert_string_equal(last, "-sa -sa -rule rule ");
	assert_int_equal(state_of(r).sas, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(negotiated_flow_has_a_temporary_rule),
		TEST(temporary_rule_outlives_a_rekey),
		TEST(temporary_rules_survive_restarts),
		TEST(temporary_rules_leave_with_their_entry),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
