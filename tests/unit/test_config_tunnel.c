/* SPDX-License-Identifier: BSD-3-Clause */
/* Tunnel interfaces in the configuration: the policy each one gets, and what is refused (VTI-T12, VTI-41). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cfgbuild.h"
#include "cv_addr.h"

#define TUNNEL "/ietf-interfaces:interfaces/interface[name='tunnel0']/culvert-tunnel:tunnel"

static struct cv_config *c;
static struct cfg_interface *ifc;
static char err[CFG_ERR_MAX];

static void addr(struct cv_addr *a, const char *text)
{
	assert_int_equal(cv_addr_parse(text, a), 0);
}

/* The sample gateway with tunnel0 from wan to 192.0.2.3, and a route into it; the map stays on wan. */
static int setup(void **state)
{
	static const char *set[] = {"gcm"};

	(void)state;
	c = cfgbuild_gateway();
	c->ipsec_profile = config_alloc(c, 1, sizeof(*c->ipsec_profile));
	c->n_ipsec_profile = 1;
	c->ipsec_profile[0] = (struct cfg_ipsec_profile){.name = "P1",
		.policy = {.transform_set = set, .n_transform_set = 1, .replay_window = CFG_REPLAY_GLOBAL}};
	ifc = &c->interface[c->n_interface++];
	ifc->name = "tunnel0";
	ifc->type = CFG_IF_TUNNEL;
	ifc->enabled = true;
	ifc->tunnel = config_alloc(c, 1, sizeof(*ifc->tunnel));
	*ifc->tunnel = (struct cfg_tunnel){.mode = CFG_TUNNEL_IPSEC_IPV4, .source_if = "wan", .profile = "P1"};
	addr(&ifc->tunnel->destination, "192.0.2.3");
	cfgbuild_addr(c, ifc, "10.99.0.1/30");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	config_unref(c);
	return 0;
}

/* VTI-9, 14, 16, 17, 18: a map and an IKE profile of its own, one pair of everything, started at once. */
static void makes_a_policy(void **state)
{
	const struct cfg_map_entry *e;
	struct cv_selector any;

	(void)state;
	assert_int_equal(config_resolve(c, err, NULL, NULL), 0);
	assert_string_equal(ifc->map_ref->name, "tunnel0-head-0");
	assert_ptr_equal(ifc->map_ref->tunnel, ifc);
	assert_int_equal(ifc->map_ref->n_entry, 1);
	e = &ifc->map_ref->entry[0];
	assert_true(e->auto_start);
	assert_int_equal(e->n_peer, 1);
	assert_true(cv_addr_eq(&e->peer[0], &ifc->tunnel->destination));
	assert_int_equal(e->acl_ref->n_line, 1);
	cv_selector_any(&any, CV_AF_INET);
	assert_memory_equal(&e->acl_ref->line[0].sel, &any, sizeof(any));
	assert_string_equal(e->ts_ref[0]->name, "gcm");
	assert_int_equal(e->replay_window, CFG_REPLAY_DEFAULT);
	assert_string_equal(e->profile_ref->name, "default@tunnel0");
	assert_ptr_not_equal(e->profile_ref, c->map[0].entry[0].profile_ref);
	assert_int_equal(config_inside_vrf(e->profile_ref, 7), CV_VRF_GLOBAL);
	assert_null(config_front_vrf(ifc));
	assert_true(cv_addr_eq(&ifc->tunnel->source, &c->interface[1].addr[0].addr));
}

/* VTI-14, 15: the VRF of the interface is inside, that of the tunnel outside. */
static void has_two_vrfs(void **state)
{
	(void)state;
	c->vrf[c->n_vrf++] = (struct cfg_vrf){.name = "red", .id = 5};
	ifc->vrf = "red";
	assert_int_equal(config_resolve(c, err, NULL, NULL), 0);
	assert_int_equal(config_inside_vrf(ifc->map_ref->entry[0].profile_ref, 0), 5);
	assert_null(config_front_vrf(ifc));
}

static void waits_for_the_peer_when_told(void **state) /* VTI-29 */
{
	(void)state;
	ifc->tunnel->no_initiate = true;
	assert_int_equal(config_resolve(c, err, NULL, NULL), 0);
	assert_false(ifc->map_ref->entry[0].auto_start);
}

static void refuses_a_vrf_in_the_profile(void **state) /* VTI-14, VTI-T3, VTI-T12 */
{
	(void)state;
	c->vrf[c->n_vrf++] = (struct cfg_vrf){.name = "red"};
	c->ike_profile[c->n_ike_profile++] =
		(struct cfg_ike_profile){.name = "default", .version = CFG_IKEV2, .lifetime_s = 86400, .vrf = "red"};
	cfgbuild_refused(c, "/culvert-ipsec:ipsec/profile[name='P1']/ike-profile", "VTI-14");
}

static void refuses_transport_mode(void **state) /* VTI-6, VTI-T12 */
{
	(void)state;
	c->transform_set[0].transport = true;
	cfgbuild_refused(c, TUNNEL "/protection/profile", "VTI-6");
}

static void refuses_shared(void **state) /* VTI-12, VTI-T12 */
{
	(void)state;
	ifc->tunnel->shared = true;
	cfgbuild_refused(c, TUNNEL "/protection/shared", "VTI-12");
}

/* GRE: the pair of SAs is for the tunnel's own packets, and transport mode is fine. */
static void protects_gre(void **state)
{
	const struct cv_selector *sel;

	(void)state;
	ifc->tunnel->mode = CFG_TUNNEL_GRE_IPV4;
	c->transform_set[0].transport = true;
	cfgbuild_addr(c, ifc, "2001:db8::1/64");
	assert_int_equal(config_resolve(c, err, NULL, NULL), 0);
	sel = &ifc->map_ref->entry[0].acl_ref->line[0].sel;
	assert_int_equal(sel->proto, 47);
	assert_true(cv_addr_eq(&sel->src.lo, &ifc->tunnel->source) && cv_addr_eq(&sel->src.hi, &ifc->tunnel->source));
	assert_true(cv_addr_eq(&sel->dst.lo, &ifc->tunnel->destination));
}

/* tunnel0 as a multipoint one with next hops 10.99.0.2 and up, at these addresses. */
static void make_multipoint(const char *const *nbma, unsigned n)
{
	struct cfg_tunnel *t = ifc->tunnel;
	char text[32];

	t->mode = CFG_TUNNEL_MGRE_IPV4;
	t->destination = (struct cv_addr){0};
	t->hop = config_alloc(c, n, sizeof(*t->hop));
	t->n_hop = n;
	for (unsigned i = 0; i < n; i++) {
		snprintf(text, sizeof(text), "10.99.0.%u", i + 2);
		addr(&t->hop[i].next_hop, text);
		addr(&t->hop[i].nbma, nbma[i]);
	}
}

/* DMVPN-1, 8: an entry for each address outside, at once, for GRE between the two; next hops may share one. */
static void protects_each_next_hop(void **state)
{
	static const char *const nbma[] = {"192.0.2.3", "192.0.2.4", "192.0.2.3"};
	const struct cfg_crypto_map *m;

	(void)state;
	make_multipoint(nbma, 3);
	assert_int_equal(config_resolve(c, err, NULL, NULL), 0);
	m = ifc->map_ref;
	assert_int_equal(m->n_entry, 2);
	for (unsigned i = 0; i < 3; i++) {
		const struct cfg_map_entry *e = &m->entry[ifc->tunnel->hop[i].entry];
		const struct cv_selector *sel = &e->acl_ref->line[0].sel;

		assert_int_equal(cfg_entry_place(e), 65535);
		assert_true(e->auto_start);
		assert_true(cv_addr_eq(&e->peer[0], &ifc->tunnel->hop[i].nbma));
		assert_true(cv_addr_eq(&sel->dst.lo, &ifc->tunnel->hop[i].nbma));
		assert_true(cv_addr_eq(&sel->src.lo, &ifc->tunnel->source));
		assert_int_equal(sel->proto, 47);
		assert_string_equal(e->profile_ref->name, "default@tunnel0");
	}
	assert_int_equal(ifc->tunnel->hop[0].entry, ifc->tunnel->hop[2].entry);
	assert_true(m->entry[0].seq < m->entry[1].seq);
}

/* SAs are known by the number of their entry: it stays when others come or go. */
static void next_hops_keep_their_numbers(void **state)
{
	static const char *const nbma[] = {"192.0.2.3", "192.0.2.4", "192.0.2.5"};
	uint32_t seq;

	make_multipoint(nbma, 3);
	assert_int_equal(config_resolve(c, err, NULL, NULL), 0);
	seq = ifc->map_ref->entry[ifc->tunnel->hop[2].entry].seq;
	teardown(state);
	setup(state);
	make_multipoint(nbma + 2, 1);
	assert_int_equal(config_resolve(c, err, NULL, NULL), 0);
	assert_int_equal(ifc->map_ref->entry[0].seq, seq);
}

/* Before anybody is known there is nothing to negotiate, and nothing to refuse. */
static void a_multipoint_tunnel_may_have_no_next_hop(void **state)
{
	(void)state;
	make_multipoint(NULL, 0);
	assert_int_equal(config_resolve(c, err, NULL, NULL), 0);
	assert_null(ifc->map_ref);
}

static void refuses_a_destination_of_a_multipoint_tunnel(void **state) /* DMVPN-19 */
{
	static const char *const nbma[] = {"192.0.2.3"};

	(void)state;
	make_multipoint(nbma, 1);
	addr(&ifc->tunnel->destination, "192.0.2.3");
	cfgbuild_refused(c, TUNNEL "/destination", "DMVPN-19");
}

static void refuses_next_hops_that_are_none(void **state)
{
	static const struct {
		const char *nbma, *path, *why;
	} bad[] = {
		{"2001:db8::3", "/next-hop[address='10.99.0.2']/nbma-address", "family"},
		{"192.0.2.1", "/next-hop[address='10.99.0.2']/nbma-address", "own source"},
		{"10.99.0.2", "/next-hop: the way to", "VTI-41"},
	};

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char path[256];

		if (i) {
			teardown(state);
			setup(state);
		}
		make_multipoint(&bad[i].nbma, 1);
		snprintf(path, sizeof(path), TUNNEL "%s", bad[i].path);
		cfgbuild_refused(c, path, bad[i].why);
	}
	teardown(state);
	setup(state);
	static const char *const nbma[] = {"192.0.2.3"};

	make_multipoint(nbma, 1);
	addr(&ifc->tunnel->hop[0].next_hop, "10.99.0.1");
	cfgbuild_refused(c, TUNNEL "/next-hop[address='10.99.0.1']/address", "own address");
	teardown(state);
	setup(state);
	make_multipoint(nbma, 1);
	ifc->tunnel->sequence = true;
	cfgbuild_refused(c, TUNNEL "/sequence", "two ends");
}

/* Two that take packets from anyone need two keys; beside one that leads somewhere there may be one, but IKE cannot
 * tell whom a peer means that both protect. */
static void two_multipoint_tunnels(void)
{
	static const char *const nbma[] = {"192.0.2.3"};
	struct cfg_interface *second = &c->interface[c->n_interface++];

	*second = *ifc;
	second->name = "tunnel1";
	second->n_addr = 0;
	second->tunnel = config_alloc(c, 1, sizeof(*second->tunnel));
	make_multipoint(nbma, 1);
	ifc->tunnel->profile = NULL;
	*second->tunnel = *ifc->tunnel;
	second->tunnel->n_hop = 0;
}

static void refuses_two_multipoint_tunnels_with_one_key(void **state)
{
	(void)state;
	two_multipoint_tunnels();
	cfgbuild_refused(
		c, "/ietf-interfaces:interfaces/interface[name='tunnel1']/culvert-tunnel:tunnel/next-hop", "same key");
}

static void tells_multipoint_tunnels_apart_by_key(void **state)
{
	(void)state;
	two_multipoint_tunnels();
	ifc->tunnel->has_key = true;
	ifc->tunnel->key = 7;
	assert_int_equal(config_resolve(c, err, NULL, NULL), 0);
}

static void refuses_keepalives_beside_protection(void **state) /* DMVPN-17 */
{
	static const enum cfg_tunnel_mode other[] = {CFG_TUNNEL_IPIP, CFG_TUNNEL_IPSEC_IPV4};

	(void)state;
	ifc->tunnel->keepalive_s = 10;
	ifc->tunnel->keepalive_retries = 3;
	for (unsigned i = 0; i < 2; i++) {
		ifc->tunnel->mode = other[i];
		cfgbuild_refused(c, TUNNEL "/keepalive", "DMVPN-17");
		teardown(state);
		setup(state);
		ifc->tunnel->keepalive_s = 10;
	}
	ifc->tunnel->mode = CFG_TUNNEL_GRE_IPV4;
	cfgbuild_refused(c, TUNNEL "/keepalive", "DMVPN-17");
	teardown(state);
	setup(state);
	ifc->tunnel->mode = CFG_TUNNEL_GRE_IPV4;
	ifc->tunnel->profile = NULL;
	ifc->tunnel->keepalive_s = 10;
	assert_int_equal(config_resolve(c, err, NULL, NULL), 0);
}

static void tells_gre_tunnels_apart_by_key(void **state)
{
	struct cfg_interface *second = &c->interface[c->n_interface++];

	(void)state;
	ifc->tunnel->mode = CFG_TUNNEL_GRE_IPV4;
	ifc->tunnel->profile = NULL;
	*second = *ifc;
	second->name = "tunnel1";
	second->n_addr = 0;
	second->tunnel = config_alloc(c, 1, sizeof(*second->tunnel));
	*second->tunnel = *ifc->tunnel;
	second->tunnel->has_key = true;
	assert_int_equal(config_resolve(c, err, NULL, NULL), 0);
	assert_null(ifc->map_ref);
}

static void refuses_a_key_without_gre(void **state)
{
	(void)state;
	ifc->tunnel->has_key = true;
	cfgbuild_refused(c, TUNNEL "/mode", "GRE");
}

static void refuses_a_crypto_map(void **state)
{
	(void)state;
	ifc->crypto_map = "vpn";
	cfgbuild_refused(
		c, "/ietf-interfaces:interfaces/interface[name='tunnel0']/culvert-ipsec:crypto-map", "no crypto map");
}

static void refuses_mixed_families(void **state) /* VTI-8 */
{
	(void)state;
	ifc->tunnel->mode = CFG_TUNNEL_IPSEC_IPV6;
	cfgbuild_refused(c, TUNNEL "/destination", "VTI-8");
}

static void refuses_addresses_it_cannot_carry(void **state) /* VTI-8 */
{
	(void)state;
	cfgbuild_addr(c, ifc, "2001:db8::1/64");
	cfgbuild_refused(c, TUNNEL "/mode", "VTI-8");
}

static void refuses_two_tunnels_between_the_same_ends(void **state)
{
	struct cfg_interface *second = &c->interface[c->n_interface++];

	(void)state;
	*second = *ifc;
	second->name = "tunnel1";
	second->n_addr = 0;
	cfgbuild_refused(c, "/ietf-interfaces:interfaces/interface[name='tunnel1']", "tunnel 'tunnel0' has the same");
}

static void route_into_the_tunnel(const char *prefix, bool by_gateway)
{
	struct cfg_route *r;

	cfgbuild_route(c, prefix, "10.99.0.2");
	r = &c->route[c->n_route - 1];
	if (by_gateway)
		return;
	r->nh[0] = (struct cfg_nexthop){.type = CFG_NH_INTERFACE, .interface = "tunnel0", .weight = 1};
}

/* VTI-41, four times: the destination is behind the tunnel by its route, by a gateway behind it, by its own subnet; and
 * a default route into it is fine where something more specific leads to the destination. */
static void refuses_a_way_into_itself(void **state)
{
	(void)state;
	addr(&ifc->tunnel->destination, "203.0.113.9");
	route_into_the_tunnel("203.0.113.0/24", false);
	cfgbuild_refused(c, TUNNEL "/destination", "VTI-41");
}

static void refuses_a_gateway_behind_itself(void **state)
{
	(void)state;
	addr(&ifc->tunnel->destination, "203.0.113.9");
	route_into_the_tunnel("203.0.113.0/24", true);
	cfgbuild_refused(c, TUNNEL "/destination", "VTI-41");
}

static void refuses_its_own_subnet(void **state)
{
	(void)state;
	addr(&ifc->tunnel->destination, "10.99.0.2");
	cfgbuild_refused(c, TUNNEL "/destination", "VTI-41");
}

static void takes_a_default_route(void **state)
{
	(void)state;
	addr(&ifc->tunnel->destination, "203.0.113.9");
	c->route[0].nh[0] = (struct cfg_nexthop){.type = CFG_NH_INTERFACE, .interface = "tunnel0", .weight = 1};
	cfgbuild_route(c, "203.0.113.9/32", "192.0.2.2");
	assert_int_equal(config_resolve(c, err, NULL, NULL), 0);
}

static void count_shared(void *arg, const char *text)
{
	unsigned *n = arg;

	*n += strstr(text, "VTI-9") != NULL;
	assert_true(
		!strstr(text, "VTI-9") || strstr(text, "crypto-map[name='vpn']/entry[sequence='10']/peer: 192.0.2.2"));
}

/* VTI-9: a map entry and a tunnel for one peer from one address; not from another one, nor to another peer. */
static void warns_of_a_peer_that_a_map_has_too(void **state)
{
	static const struct {
		const char *source, *destination;
		unsigned warnings;
	} cases[] = {{NULL, "192.0.2.2", 1}, {NULL, "192.0.2.3", 0}, {"192.0.2.77", "192.0.2.2", 0}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		unsigned n = 0;

		if (cases[i].source) {
			ifc->tunnel->source_if = NULL;
			addr(&ifc->tunnel->source, cases[i].source);
		}
		addr(&ifc->tunnel->destination, cases[i].destination);
		assert_int_equal(config_resolve(c, err, count_shared, &n), 0);
		assert_int_equal(n, cases[i].warnings);
		teardown(state);
		setup(state);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(makes_a_policy, setup, teardown),
		cmocka_unit_test_setup_teardown(has_two_vrfs, setup, teardown),
		cmocka_unit_test_setup_teardown(waits_for_the_peer_when_told, setup, teardown),
		cmocka_unit_test_setup_teardown(refuses_a_vrf_in_the_profile, setup, teardown),
		cmocka_unit_test_setup_teardown(refuses_transport_mode, setup, teardown),
		cmocka_unit_test_setup_teardown(refuses_shared, setup, teardown),
		cmocka_unit_test_setup_teardown(protects_gre, setup, teardown),
		cmocka_unit_test_setup_teardown(refuses_keepalives_beside_protection, setup, teardown),
		cmocka_unit_test_setup_teardown(protects_each_next_hop, setup, teardown),
		cmocka_unit_test_setup_teardown(next_hops_keep_their_numbers, setup, teardown),
		cmocka_unit_test_setup_teardown(a_multipoint_tunnel_may_have_no_next_hop, setup, teardown),
		cmocka_unit_test_setup_teardown(refuses_a_destination_of_a_multipoint_tunnel, setup, teardown),
		cmocka_unit_test_setup_teardown(refuses_next_hops_that_are_none, setup, teardown),
		cmocka_unit_test_setup_teardown(refuses_two_multipoint_tunnels_with_one_key, setup, teardown),
		cmocka_unit_test_setup_teardown(tells_multipoint_tunnels_apart_by_key, setup, teardown),
		cmocka_unit_test_setup_teardown(tells_gre_tunnels_apart_by_key, setup, teardown),
		cmocka_unit_test_setup_teardown(refuses_a_key_without_gre, setup, teardown),
		cmocka_unit_test_setup_teardown(refuses_a_crypto_map, setup, teardown),
		cmocka_unit_test_setup_teardown(refuses_mixed_families, setup, teardown),
		cmocka_unit_test_setup_teardown(refuses_addresses_it_cannot_carry, setup, teardown),
		cmocka_unit_test_setup_teardown(refuses_two_tunnels_between_the_same_ends, setup, teardown),
		cmocka_unit_test_setup_teardown(refuses_a_way_into_itself, setup, teardown),
		cmocka_unit_test_setup_teardown(refuses_a_gateway_behind_itself, setup, teardown),
		cmocka_unit_test_setup_teardown(refuses_its_own_subnet, setup, teardown),
		cmocka_unit_test_setup_teardown(takes_a_default_route, setup, teardown),
		cmocka_unit_test_setup_teardown(warns_of_a_peer_that_a_map_has_too, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
