/* SPDX-License-Identifier: BSD-3-Clause */
/* Interfaces cloned from a virtual template: router 1 has one, router 0 comes to it with a crypto map. */
#include <string.h>

#include "control_env.h"
#include "cv_addr.h"
#include "virtual_access.h"

/* Its template in VRF red if in_vrf. */
static struct cv_config *hub(bool in_vrf)
{
	static const char *set[] = {"gcm"};
	struct cv_config *c = side(1);
	struct cfg_interface *t = &c->interface[c->n_interface++];
	struct cfg_ike_profile *p = &c->ike_profile[c->n_ike_profile++];

	c->interface[1].crypto_map = NULL;
	if (in_vrf) {
		c->vrf = config_alloc(c, 1, sizeof(*c->vrf));
		c->vrf[c->n_vrf++].name = "red";
	}
	c->ipsec_profile = config_alloc(c, 1, sizeof(*c->ipsec_profile));
	c->ipsec_profile[c->n_ipsec_profile++] = (struct cfg_ipsec_profile){.name = "P1",
		.policy = {.transform_set = set, .n_transform_set = 1, .replay_window = CFG_REPLAY_GLOBAL}};
	*t = (struct cfg_interface){.name = "Virtual-Template1",
		.type = CFG_IF_TEMPLATE,
		.enabled = true,
		.mtu = 1400,
		.vrf = in_vrf ? "red" : NULL};
	t->tunnel = config_alloc(c, 1, sizeof(*t->tunnel));
	*t->tunnel = (struct cfg_tunnel){.mode = CFG_TUNNEL_IPSEC_IPV4, .profile = "P1", .no_initiate = true};
	*p = (struct cfg_ike_profile){.name = "clients",
		.version = CFG_IKEV2,
		.lifetime_s = 86400,
		.nat_traversal = true,
		.n_match = 1,
		.virtual_template = "Virtual-Template1"};
	p->match = config_alloc(c, 1, sizeof(*p->match));
	p->match[0].type = CFG_ID_ADDRESS;
	assert_int_equal(cv_prefix_parse("192.0.2.0/24", &p->match[0].addr), 0);
	return c;
}

/* The one interface there is, as the dataplane has it; its rule and its SAs are its own. */
static uint32_t assert_clone(struct router *r, uint16_t mtu)
{
	struct cv_sa out, in;
	struct cv_spd_rule rule;
	struct cv_if ifc;

	assert_true(fakedp_sa(r->dp, CV_SA_OUT, 0, &out));
	assert_true(fakedp_sa(r->dp, CV_SA_IN, 0, &in));
	assert_true(fakedp_if_by_id(r->dp, out.tunnel_if, &ifc));
	assert_true(fakedp_rule_by_id(r->dp, out.rule_id, &rule));
	assert_int_equal(in.tunnel_if, ifc.if_id);
	assert_int_equal(in.rule_id, out.rule_id);
	assert_int_equal(out.inside_vrf, ifc.vrf_id);
	assert_int_equal(ifc.type, CV_IF_TUNNEL);
	assert_int_equal(ifc.mtu, mtu); /* VTI-34 */
	assert_int_equal(ifc.tunnel.mode, CV_TUNNEL_IPSEC);
	assert_int_equal(ifc.tunnel.flags, CV_TUNNEL_F_PROTECTED);
	assert_true(cv_addr_eq(&ifc.tunnel.src, &out.src) && cv_addr_eq(&ifc.tunnel.dst, &out.dst)); /* VTI-29 */
	assert_int_equal(rule.flags, CV_RULE_NO_ACQUIRE);
	assert_memory_equal(&rule.sel, &out.sel[0], sizeof(rule.sel));
	assert_int_equal(rule.vrf_id, ifc.vrf_id);
	return ifc.if_id;
}

static void assert_route(struct router *r, uint32_t if_id, uint32_t vrf_id)
{
	struct cv_route route;
	struct cv_prefix want;

	assert_true(fakedp_route_by(r->dp, if_id, &route));
	assert_int_equal(cv_prefix_parse("10.1.0.0/24", &want), 0);
	assert_true(cv_addr_eq(&route.prefix.addr, &want.addr) && route.prefix.len == want.len);
	assert_int_equal(route.vrf_id, vrf_id);
	assert_int_equal(route.distance, 1);
}

static size_t clones(struct fixture *f, struct router *r)
{
	json_t *a = ask(f, r, "{\"show\": \"vtemplate\"}", true);
	size_t n = json_array_size(json_object_get(json_array_get(json_object_get(a, "templates"), 0), "clones"));

	json_decref(a);
	return n;
}

/* VTI-22..24, 26, 29, 30, 34: a session has an interface with its SAs, its rule and its route, and takes all along. */
static void session_gets_an_interface(void **state)
{
	struct fixture *f = *state;
	struct router *r = &f->r[1];
	uint32_t id;

	bring_up_with(f, side(0), hub(false));
	id = assert_clone(r, 1400);
	assert_route(r, id, CV_VRF_GLOBAL);
	assert_int_equal(clones(f, r), 1);
	json_t *a = ask(f, r, "{\"show\": \"interfaces\"}", true);
	assert_int_equal(json_array_size(json_object_get(a, "interfaces")), 3); /* the template is none */
	json_decref(a);
	struct fakedp_state with = state_of(r);
	json_decref(ask(f, &f->r[0], "{\"clear\": \"crypto session\"}", false));
	WAIT(f, state_of(r).sas == 0 && state_of(r).ifs == with.ifs - 1);
	assert_int_equal(state_of(r).rules, with.rules - 1);
	assert_int_equal(state_of(r).routes, with.routes - 1);
	assert_int_equal(clones(f, r), 0);
}

/* VTI-14, VTI-T8. */
static void interface_is_in_the_vrf_of_its_template(void **state)
{
	struct fixture *f = *state;
	struct router *r = &f->r[1];
	struct cv_if ifc = {0};
	struct cv_sa out = {0};

	bring_up_with(f, side(0), hub(true));
	uint32_t id = assert_clone(r, 1400);

	assert_true(fakedp_if_by_id(r->dp, id, &ifc) && fakedp_sa(r->dp, CV_SA_OUT, 0, &out));
	assert_int_not_equal(ifc.vrf_id, CV_VRF_GLOBAL);
	assert_int_equal(out.front_vrf, CV_VRF_GLOBAL);
	assert_route(r, id, ifc.vrf_id);
}

/* VTI-35; and a rekey keeps the interface. */
static void edits_are_for_later_clones(void **state)
{
	struct fixture *f = *state;
	struct router *r = &f->r[1];
	struct cv_config *next = hub(false);
	struct cv_sa old, new;

	bring_up_with(f, side(0), hub(false));
	uint32_t id = assert_clone(r, 1400);

	next->interface[2].mtu = 1300;
	next->interface[2].description = "another";
	assert_string_equal(apply(f, r, next), "");
	assert_int_equal(assert_clone(r, 1400), id);
	assert_true(fakedp_sa(r->dp, CV_SA_OUT, 0, &old));
	struct cv_evt_sa_expire e = {.ref = {.index = old.index, .spi = old.spi}};
	fakedp_event(r->dp, CV_EVT_SA_EXPIRE, &e, sizeof(e));
	WAIT(f, state_of(r).sas == 2 && fakedp_sa(r->dp, CV_SA_OUT, 0, &new) && new.spi != old.spi);
	assert_int_equal(assert_clone(r, 1400), id);
	assert_route(r, id, CV_VRF_GLOBAL);
	/* the next session */
	json_decref(ask(f, &f->r[0], "{\"clear\": \"crypto session\"}", false));
	WAIT(f, state_of(r).sas == 0 && clones(f, r) == 0);
	trigger(&f->r[0]);
	WAIT(f, state_of(r).sas == 2 && child_established(f, r));
	assert_clone(r, 1300);
}

/* A restart of this process finds it by its SAs, under its number; one of the dataplane gets it back. */
static void interface_survives_restarts(void **state)
{
	struct fixture *f = *state;
	struct router *r = &f->r[1];
	uint64_t digest;
	uint32_t id;

	bring_up_with(f, side(0), hub(false));
	id = assert_clone(r, 1400);
	digest = fakedp_digest(r->dp);
	router_stop(f, r, false);
	router_start(f, r);
	assert_string_equal(apply(f, r, hub(false)), "");
	WAIT(f, in_force(f, r));
	assert_int_equal(state_of(r).kept, 2);
	assert_true(fakedp_digest(r->dp) == digest);
	assert_int_equal(clones(f, r), 1);
	fakedp_down(r->dp);
	WAIT(f, !in_force(f, r));
	fakedp_up(r->dp, true);
	WAIT(f, in_force(f, r));
	WAIT(f, state_of(r).sas == 2 && state_of(&f->r[0]).sas == 2);
	assert_paired(r, &f->r[0]);
	assert_int_equal(assert_clone(r, 1400), id);
	assert_route(r, id, CV_VRF_GLOBAL);
	json_decref(ask(f, r, "{\"clear\": \"crypto session\"}", false));
	WAIT(f, state_of(r).sas == 0 && clones(f, r) == 0);
}

/* Its profile is taken out of the configuration: it leaves in the same transaction. */
static void interface_leaves_with_its_profile(void **state)
{
	struct fixture *f = *state;
	struct router *r = &f->r[1];
	struct fakedp_state with;

	bring_up_with(f, side(0), hub(false));
	with = state_of(r);
	struct cv_config *next = hub(false);
	next->n_ike_profile--;
	assert_string_equal(apply(f, r, next), "");
	assert_int_equal(state_of(r).sas, 0);
	assert_int_equal(state_of(r).ifs, with.ifs - 1);
	assert_int_equal(state_of(r).routes, with.routes - 1);
	WAIT(f, clones(f, r) == 0);
}

/* The operator's route to the same prefix stays, and is not taken along. */
static void configured_route_comes_first(void **state)
{
	struct fixture *f = *state;
	struct router *r = &f->r[1];
	struct cv_config *c = hub(false);
	struct cv_route route;
	struct fakedp_state with;

	cfgbuild_route(c, "10.1.0.0/24", "192.0.2.1");
	bring_up_with(f, side(0), c);
	assert_false(fakedp_route_by(r->dp, assert_clone(r, 1400), &route));
	with = state_of(r);
	json_decref(ask(f, &f->r[0], "{\"clear\": \"crypto session\"}", false));
	WAIT(f, state_of(r).sas == 0 && clones(f, r) == 0);
	assert_int_equal(state_of(r).routes, with.routes);
}

/* VTI-34, VTI-T9: with the template's access lists, without which there is no interface (fail closed), its inspection
 * and its side of address translation. */
static void interface_has_the_filters_of_its_template(void **state)
{
	struct fixture *f = *state;
	struct router *r = &f->r[1];
	struct cv_config *c = hub(false), *next = hub(false);
	struct cv_if ifc;

	c->interface[2].acl4.in = c->acl[0].name;
	c->interface[2].inspect = CFG_INSPECT_IN;
	c->interface[2].nat = CFG_NAT_INSIDE;
	bring_up_with(f, side(0), c);
	assert_true(fakedp_if_by_id(r->dp, assert_clone(r, 1400), &ifc));
	assert_int_not_equal(ifc.acl_in[0], 0);
	assert_int_equal(ifc.acl_out[0], 0);
	assert_int_equal(ifc.inspect, CV_INSPECT_IN);
	assert_int_equal(ifc.nat, CV_NAT_INSIDE);
	assert_string_equal(apply(f, r, next), "");
	WAIT(f, clones(f, r) == 0);
	assert_int_equal(state_of(r).sas, 0);
}

/* The template has policy map "limit" on the way out; of another class it is another one, with a slot of its own. */
static struct cv_config *limited(const char *cls)
{
	struct cv_config *c = hub(false);

	c->class_map = config_alloc(c, 1, sizeof(*c->class_map));
	c->class_map[c->n_class_map++] = (struct cfg_class_map){.name = cls, .every = true};
	c->policy_map = config_alloc(c, 1, sizeof(*c->policy_map));
	c->policy_map[0].name = "limit";
	c->policy_map[0].cls = config_alloc(c, 1, sizeof(*c->policy_map[0].cls));
	c->policy_map[0].cls[0] = (struct cfg_policy_class){.name = cls,
		.police = {.rate = 2000000, .action = {CFG_POLICE_TRANSMIT, CFG_POLICE_DROP, CFG_POLICE_DROP}}};
	c->policy_map[0].n_cls = c->n_policy_map = 1;
	c->interface[2].policy_out = "limit";
	return c;
}

/* Packets of the only class that the only policy map on an interface has counted. */
static json_int_t class_packets(struct fixture *f, struct router *r, const char *name)
{
	char request[128];

	snprintf(request, sizeof(request), "{\"show\": \"policy-map interface\", \"interface\": \"%s\"}", name);
	json_t *a = ask(f, r, request, true), *list = json_object_get(a, "interfaces");
	assert_int_equal(json_array_size(list), 1);
	json_t *cls = json_array_get(json_object_get(json_array_get(list, 0), "classes"), 0);
	json_int_t n = json_integer_value(json_object_get(cls, "packets"));
	json_decref(a);
	return n;
}

/* VTI-34, VTI-T10: with the template's policy map, in a slot of its own, which comes and goes with it, is shown,
 * follows the policy map, and is left off when nothing has that any more. `clear counters` begins anew. */
static void interface_has_the_policy_of_its_template(void **state)
{
	struct fixture *f = *state;
	struct router *r = &f->r[1];
	struct cv_qos_attach on, again;
	char name[CV_NAME_MAX];

	bring_up_with(f, side(0), limited("all"));
	uint32_t id = assert_clone(r, 1400);

	assert_true(fakedp_policy_on(r->dp, id, &on));
	assert_int_equal(on.dir, CV_QOS_OUTPUT);
	assert_int_not_equal(on.slot, 0);
	snprintf(name, sizeof(name), "Virtual-Access%u", id);
	fakedp_stats(r->dp)->writer[1].qos[on.slot][1].packets = 7;
	assert_int_equal(class_packets(f, r, name), 7);
	json_decref(ask(f, r, "{\"clear\": \"counters\"}", false));
	assert_int_equal(class_packets(f, r, name), 0);
	fakedp_stats(r->dp)->writer[1].qos[on.slot][1].packets = 9;
	assert_int_equal(class_packets(f, r, name), 2);
	assert_string_equal(apply(f, r, limited("everything")), "");
	assert_true(fakedp_policy_on(r->dp, id, &again));
	assert_int_not_equal(again.slot, on.slot); /* its classes are others */
	assert_int_equal(assert_clone(r, 1400), id);
	json_decref(ask(f, &f->r[0], "{\"clear\": \"crypto session\"}", false));
	WAIT(f, clones(f, r) == 0 && !fakedp_policy_on(r->dp, id, &on));
	trigger(&f->r[0]);
	WAIT(f, state_of(r).sas == 2 && child_established(f, r));
	id = assert_clone(r, 1400);
	assert_true(fakedp_policy_on(r->dp, id, &on));
	assert_string_equal(apply(f, r, hub(false)), ""); /* no policy map at all */
	assert_int_equal(assert_clone(r, 1400), id);
	assert_false(fakedp_policy_on(r->dp, id, &on));
}

/* VTI-T1: what waits in its queues, those of all classes at all workers (two and main), and how much may. */
static void interface_shows_its_queues(void **state)
{
	struct fixture *f = *state;
	struct router *r = &f->r[1];
	struct cv_config *c = limited("all");
	struct cv_qos_attach on;
	json_int_t size, max;
	char request[128];

	c->policy_map[0].cls[0].police = (struct cfg_police){0};
	c->policy_map[0].cls[0].queue_limit = 40;
	c->policy_map[0].cls[0].bandwidth = 1000;
	bring_up_with(f, side(0), c);
	uint32_t id = assert_clone(r, 1400);

	assert_true(fakedp_policy_on(r->dp, id, &on));
	fakedp_stats(r->dp)->writer[1].qos[on.slot][0].depth = 3;
	fakedp_stats(r->dp)->writer[2].qos[on.slot][1].depth = 4;
	snprintf(request, sizeof(request), "{\"show\": \"interfaces\", \"interface\": \"Virtual-Access%u\"}", id);
	json_t *a = ask(f, r, request, true);
	assert_int_equal(json_unpack(json_array_get(json_object_get(a, "interfaces"), 0), "{s:{s:I, s:I}}",
				 "output_queue", "size", &size, "max", &max),
		0);
	json_decref(a);
	assert_int_equal(size, 7);
	assert_int_equal(max, (40 + CFG_QUEUE_LIMIT) * 3);
}

/* What the dataplane has of interface id is what culvertd says of it: its policy map counts, and a SYNC, which names
 * everything, finds nothing to change. */
static void assert_in_step(struct fixture *f, struct router *r, uint32_t id)
{
	struct cv_qos_attach on;
	char name[CV_NAME_MAX];
	uint64_t digest;

	assert_true(fakedp_policy_on(r->dp, id, &on));
	snprintf(name, sizeof(name), "Virtual-Access%u", id);
	fakedp_stats(r->dp)->writer[1].qos[on.slot][1].packets = 7;
	assert_int_equal(class_packets(f, r, name), 7);
	digest = fakedp_digest(r->dp);
	fakedp_down(r->dp);
	WAIT(f, !in_force(f, r));
	fakedp_up(r->dp, false);
	WAIT(f, in_force(f, r));
	assert_true(fakedp_digest(r->dp) == digest);
}

/* A session begins while a commit that makes its policy map another one, and gives its prefix a route of the
 * operator's, is on its way: its objects were sent as of before, and arrive behind the commit. */
static void session_begins_during_a_commit(void **state)
{
	struct fixture *f = *state;
	struct router *r = &f->r[1];
	struct cv_config *next = limited("everything");
	struct cv_route route;
	uint32_t id;

	cfgbuild_route(next, "10.1.0.0/24", "192.0.2.1");
	start_with(f, side(0), limited("all"));
	apply_held(f, r, next);
	trigger(&f->r[0]);
	WAIT(f, clones(f, r) == 1);
	assert_string_equal(apply_let_go(f, r), "");
	WAIT(f, state_of(r).sas == 2 && child_established(f, r));
	id = assert_clone(r, 1400);
	assert_false(fakedp_route_by(r->dp, id, &route));
	assert_in_step(f, r, id);
}

/* The same, and then there is no template any more: nothing of it stays. */
static void template_goes_while_a_session_begins(void **state)
{
	struct fixture *f = *state;
	struct router *r = &f->r[1];
	struct cv_config *next = limited("everything");
	struct fakedp_state before;

	next->n_ike_profile--;
	start_with(f, side(0), limited("all"));
	before = state_of(r);
	apply_held(f, r, next);
	trigger(&f->r[0]);
	WAIT(f, clones(f, r) == 1);
	assert_string_equal(apply_let_go(f, r), "");
	WAIT(f, clones(f, r) == 0 && state_of(r).ifs == before.ifs);
	assert_int_equal(state_of(r).routes, before.routes);
	assert_int_equal(state_of(r).rules, before.rules);
}

/* A session ends during such a commit: what it had by then goes, as what it had before. */
static void session_ends_during_a_commit(void **state)
{
	struct fixture *f = *state;
	struct router *r = &f->r[1];
	struct cv_qos_attach on;
	struct fakedp_state with;

	bring_up_with(f, side(0), limited("all"));
	const uint32_t id = assert_clone(r, 1400);

	with = state_of(r);
	apply_held(f, r, limited("everything"));
	json_decref(ask(f, &f->r[0], "{\"clear\": \"crypto session\"}", false));
	WAIT(f, !child_established(f, r));
	assert_string_equal(apply_let_go(f, r), "");
	WAIT(f, clones(f, r) == 0 && state_of(r).ifs == with.ifs - 1);
	assert_false(fakedp_policy_on(r->dp, id, &on));
	assert_int_equal(state_of(r).rules, with.rules - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(session_gets_an_interface),
		TEST(interface_is_in_the_vrf_of_its_template),
		TEST(edits_are_for_later_clones),
		TEST(interface_survives_restarts),
		TEST(interface_leaves_with_its_profile),
		TEST(configured_route_comes_first),
		TEST(interface_has_the_filters_of_its_template),
		TEST(interface_has_the_policy_of_its_template),
		TEST(interface_shows_its_queues),
		TEST(session_begins_during_a_commit),
		TEST(template_goes_while_a_session_begins),
		TEST(session_ends_during_a_commit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
