/* SPDX-License-Identifier: BSD-3-Clause */
/* config_resolve(): references, routes, crypto maps, and every refusal with its path. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cfgbuild.h"
#include "config_refusal.h"
#include "cv_addr.h"

static void resolves_and_fills_in_defaults(void **state)
{
	struct config_refusal *f = *state;
	const struct cfg_map_entry *e;

	assert_int_equal(config_refusal_resolve(f), 0);
	assert_string_equal(f->warnings, "");
	e = &f->c->map[0].entry[0];
	assert_ptr_equal(f->c->interface[1].map_ref, &f->c->map[0]);
	assert_ptr_equal(e->acl_ref, &f->c->acl[0]);
	assert_ptr_equal(e->ts_ref[0], &f->c->transform_set[0]);
	assert_ptr_equal(e->map, &f->c->map[0]);
	assert_true(e->profile_ref->builtin);
	assert_int_equal(e->profile_ref->version, CFG_IKEV2);
	assert_int_equal(e->profile_ref->lifetime_s, 86400);
	assert_int_equal(e->profile_ref->n_proposal, 2);
	assert_true(e->profile_ref->proposal_ref[0]->builtin);
	assert_int_equal(f->c->ipsec_lifetime_s, 3600);	    /* IPSEC-51, USAB-33 */
	assert_int_equal(f->c->ipsec_lifetime_kb, 4608000); /* IPSEC-51, USAB-33 */
	assert_int_equal(e->pfs, IKE_GROUP_NONE);	    /* USAB-33 */
	assert_true(f->c->ike_enabled);			    /* IKE-1 */
}

static void dangling_references(void **state)
{
	struct config_refusal *f = *state;

	f->c->map[0].entry[0].acl = "nowhere";
	assert_refused(f, ENTRY "/access-list", "known: site2");
}

static void dangling_map(void **state)
{
	struct config_refusal *f = *state;

	f->c->interface[1].crypto_map = "x";
	assert_refused(f, "/ietf-interfaces:interfaces/interface[name='wan']/culvert-ipsec:crypto-map", "known: vpn");
}

/* An interface that filters by no list is refused; one whose list has nothing for the family is warned about. */
static void access_groups(void **state)
{
	struct config_refusal *f = *state;

	f->c->interface[0].acl4.in = "site2";
	f->c->interface[1].acl6.out = "site2";
	assert_warns(f,
		"/ietf-interfaces:interfaces/interface[name='wan']/culvert-acl:access-group/ipv6/out: 'site2' permits "
		"nothing of this family");
	assert_null(strstr(f->warnings, "ipv4/in"));
	assert_true(f->c->acl[0].asked);
}

static void dangling_access_group(void **state)
{
	struct config_refusal *f = *state;

	f->c->interface[1].acl6.in = "x";
	assert_refused(f, "/ietf-interfaces:interfaces/interface[name='wan']/culvert-acl:access-group/ipv6/in",
		"no access-list named 'x'; known: site2");
}

static void dangling_vrf(void **state)
{
	struct config_refusal *f = *state;

	f->c->interface[0].vrf = "red";
	assert_refused(f, "/ietf-interfaces:interfaces/interface[name='lan']/culvert-vrf:vrf", "none is configured");
}

static void duplicate_names(void **state)
{
	struct config_refusal *f = *state;

	f->c->interface[1].name = "lan";
	assert_refused(f, "/ietf-interfaces:interfaces/interface[name='lan']", "defined twice");
}

static void duplicate_routes(void **state)
{
	struct config_refusal *f = *state;

	cfgbuild_route(f->c, "10.9.0.0/16", "192.0.2.2");
	cfgbuild_route(f->c, "0.0.0.0/0", "192.0.2.3");
	assert_refused(f, "/ietf-routing:routing", "defined twice");
}

static void duplicate_address(void **state)
{
	struct config_refusal *f = *state;

	cfgbuild_addr(f->c, &f->c->interface[1], "10.1.0.1/16");
	assert_refused(
		f, "/ietf-interfaces:interfaces/interface[name='wan']", "already the address of interface 'lan'");
}

static void nexthop_in_another_vrf_needs_global(void **state)
{
	struct config_refusal *f = *state;
	struct cfg_route *r;

	f->c->vrf[f->c->n_vrf++].name = "red";
	cfgbuild_route(f->c, "10.9.0.0/16", "192.0.2.2");
	r = &f->c->route[f->c->n_route - 1];
	r->vrf = "red";
	r->nh[0].interface = "wan";
	assert_refused(f, "/ietf-routing:routing", "mark it global");
}

/* VRF-12: `ip route vrf red ... global`. */
static void global_nexthop(void **state)
{
	struct config_refusal *f = *state;
	struct cfg_route *r;

	f->c->vrf[f->c->n_vrf++].name = "red";
	cfgbuild_route(f->c, "10.9.0.0/16", "192.0.2.2");
	r = &f->c->route[f->c->n_route - 1];
	r->vrf = "red";
	r->nh[0].interface = "wan";
	r->nh[0].global = true;
	assert_int_equal(config_refusal_resolve(f), 0);
	assert_ptr_equal(r->vrf_ref, &f->c->vrf[0]);
	assert_ptr_equal(r->nh[0].if_ref, &f->c->interface[1]);
}

/* A route of an inside VRF out of an interface of a front VRF. */
static struct cfg_route *route_to_front(struct cv_config *c)
{
	struct cfg_route *r;

	c->vrf[c->n_vrf++].name = "inside";
	c->vrf[c->n_vrf++].name = "front";
	c->interface[1].vrf = "front";
	cfgbuild_route(c, "10.9.0.0/16", "192.0.2.2");
	r = &c->route[c->n_route - 1];
	r->vrf = "inside";
	r->nh[0].interface = "wan";
	return r;
}

static void gateway_in_no_named_vrf(void **state)
{
	struct config_refusal *f = *state;

	route_to_front(f->c);
	assert_refused(f, "/ietf-routing:routing", "gateway-vrf");
}

/* VRF-50: the gateway is in the front VRF. */
static void gateway_in_front_vrf(void **state)
{
	struct config_refusal *f = *state;
	struct cfg_route *r = route_to_front(f->c);

	r->nh[0].vrf = "front";
	assert_int_equal(config_refusal_resolve(f), 0);
	assert_ptr_equal(r->nh[0].vrf_ref, &f->c->vrf[f->c->n_vrf - 1]);
	assert_ptr_equal(r->vrf_ref, &f->c->vrf[f->c->n_vrf - 2]);
}

static void entry_without_peer(void **state)
{
	struct config_refusal *f = *state;

	f->c->map[0].entry[0].n_peer = 0;
	assert_refused(f, ENTRY "/peer", "at least one");
}

static void entry_without_acl(void **state)
{
	struct config_refusal *f = *state;

	f->c->map[0].entry[0].acl = NULL;
	assert_refused(f, ENTRY "/access-list", "missing");
}

#define MANY 200u

static uint32_t dice(uint32_t *seed, uint32_t below)
{
	*seed = *seed * 1664525u + 1013904223u;
	return (*seed >> 16) % below;
}

/* A map of many entries: one to three of 40 peers each, some more than once; every seventh takes peers by identity. */
static void many_entries(struct cv_config *c, uint32_t *seed)
{
	struct cfg_crypto_map *m = &c->map[0];
	struct cfg_ike_profile *p = config_alloc(c, 2, sizeof(*p));

	c->ike_profile = p;
	c->n_ike_profile = 2;
	p[0].version = p[1].version = CFG_IKEV2;
	p[0].name = "named";
	p[1].name = "open";
	p[1].match = config_alloc(c, 1, sizeof(*p[1].match));
	p[1].match[0] = (struct cfg_identity){.type = CFG_ID_FQDN, .text = "spoke.example"};
	p[1].n_match = 1;
	m->entry = config_alloc(c, MANY, sizeof(*m->entry));
	m->n_entry = 0;
	for (unsigned i = 0; i < MANY; i++) {
		struct cfg_map_entry *e = cfgbuild_entry(c, m, i + 1, "site2", "198.51.100.1");

		e->ike_profile = i % 7 ? "named" : "open";
		e->n_peer = 1 + dice(seed, 3);
		for (unsigned k = 0; k < e->n_peer; k++) {
			e->peer[k] = e->peer[0];
			if (i % 5 == 4) /* the other family, the same first octets */
				e->peer[k].af = CV_AF_INET6;
			e->peer[k].b[3] = (uint8_t)(1 + dice(seed, 40));
		}
	}
}

struct taken {
	const struct cfg_map_entry *e[MANY];
	unsigned n;
};

static bool take(void *arg, const struct cfg_map_entry *e)
{
	struct taken *t = arg;

	assert_true(t->n < MANY);
	t->e[t->n++] = e;
	return true;
}

/* IPSEC-46, VRF-25: the index gives what a walk over all entries would, in the same order. */
static void entries_of_a_peer(void **state)
{
	struct config_refusal *f = *state;
	uint32_t seed = 4711;

	many_entries(f->c, &seed);
	if (config_resolve(f->c, f->err, NULL, NULL))
		fail_msg("%s", f->err);
	for (unsigned i = 0; i < 84; i++) {
		uint8_t af = i & 1 ? CV_AF_INET6 : CV_AF_INET;
		struct cv_addr peer = {.af = af, .b = {198, 51, 100, (uint8_t)(i / 2)}};
		struct taken t = {.n = 0};
		unsigned n = 0;

		config_peer_entries(f->c, &peer, take, &t);
		for (unsigned j = 0; j < MANY; j++) {
			const struct cfg_map_entry *e = &f->c->map[0].entry[j];
			bool fits = j % 7 == 0;

			for (unsigned k = 0; k < e->n_peer; k++)
				fits |= cv_addr_eq(&e->peer[k], &peer);
			if (!fits)
				continue;
			assert_true(n < t.n);
			assert_ptr_equal(t.e[n++], e);
		}
		assert_int_equal(n, t.n);
	}
}

/* IPSEC-35, IPSEC-T3. */
static void deny_permit_overlap_warns(void **state)
{
	struct config_refusal *f = *state;

	f->c->acl[0].n_line = 0;
	cfgbuild_line(&f->c->acl[0], 10, false, "10.1.1.0/24", "172.16.1.0/24");
	cfgbuild_line(&f->c->acl[0], 20, true, "10.0.0.0/8", "172.16.0.0/12");
	f->c->acl[f->c->n_acl++].name = "102";
	cfgbuild_line(&f->c->acl[1], 10, true, "10.1.1.0/24", "172.16.1.0/24");
	cfgbuild_entry(f->c, &f->c->map[0], 20, "102", "192.0.2.3");
	assert_warns(f, ENTRY "/access-list: deny line 10 of 'site2' overlaps permit line 10 of '102' in entry 20");
}

/* A dynamic map "branches" of entries 5 and 7, whose profile takes peers by identity. */
static void add_branches(struct config_refusal *f)
{
	struct cfg_ike_profile *p = &f->c->ike_profile[f->c->n_ike_profile++];
	struct cfg_dynamic_map *d = config_alloc(f->c, 1, sizeof(*d));

	*p = (struct cfg_ike_profile){.name = "any", .version = CFG_IKEV2, .n_match = 1};
	p->match = config_alloc(f->c, 1, sizeof(*p->match));
	p->match[0] = (struct cfg_identity){.type = CFG_ID_FQDN, .text = "branch"};
	d->name = "branches";
	d->entry = config_alloc(f->c, 2, sizeof(*d->entry));
	d->n_entry = 2;
	for (unsigned i = 0; i < 2; i++) {
		d->entry[i] = f->c->map[0].entry[0];
		d->entry[i].seq = 5 + 2 * i;
		d->entry[i].n_peer = 0;
		d->entry[i].acl = NULL;
		d->entry[i].ike_profile = "any";
	}
	f->c->dynamic_map = d;
	f->c->n_dynamic_map = 1;
}

static void include_branches(struct cfg_crypto_map *m, uint32_t seq)
{
	m->entry[m->n_entry++] = (struct cfg_map_entry){.seq = seq, .dynamic_map = "branches"};
}

/* IPSEC-54, IPSEC-56: two maps include one dynamic map; its entries stand in the place of the one that names it, in
 * their own order, are found again by their numbers, and serve peers of either map. */
static void dynamic_maps_are_included(void **state)
{
	struct config_refusal *f = *state;
	struct cfg_crypto_map *a = &f->c->map[0], *b = &f->c->map[f->c->n_map++];

	add_branches(f);
	*b = (struct cfg_crypto_map){.name = "other", .entry = config_alloc(f->c, 2, sizeof(*b->entry))};
	include_branches(b, 1);
	include_branches(a, 20);
	cfgbuild_entry(f->c, a, 30, "site2", "192.0.2.9");
	assert_int_equal(config_refusal_resolve(f), 0);
	assert_int_equal(a->n_entry, 4);
	assert_int_equal(b->n_entry, 2);
	for (unsigned i = 1; i < a->n_entry; i++)
		assert_true(cfg_entry_order(a->entry[i - 1].seq) < cfg_entry_order(a->entry[i].seq));
	for (unsigned i = 0; i < a->n_entry; i++) {
		const struct cfg_map_entry *e = &a->entry[i];

		assert_ptr_equal(config_entry_find(f->c, "vpn", e->seq), e);
		assert_int_equal(cfg_entry_place(e), i == 0 ? 10 : i < 3 ? 20 : 30);
		assert_int_equal(cfg_entry_is_dynamic(e), i == 1 || i == 2);
		assert_ptr_equal(e->map, a);
	}
	assert_null(config_entry_find(f->c, "vpn", 20)); /* it only named others */
	assert_ptr_equal(b->entry[0].map, b);
	assert_ptr_equal(b->entry[0].profile_ref, a->entry[1].profile_ref);
	assert_contains(f->warnings,
		"/culvert-ipsec:ipsec/dynamic-map[name='branches']/entry[sequence='5']: has no peers and "
		"comes before entry 30"); /* IPSEC-56 */
}

/* What is wrong in a dynamic map is told by its own path. */
static void dynamic_map_errors_have_its_path(void **state)
{
	struct config_refusal *f = *state;

	add_branches(f);
	f->c->dynamic_map[0].entry[1].ike_profile = NULL;
	include_branches(&f->c->map[0], 20);
	assert_refused(
		f, "/culvert-ipsec:ipsec/dynamic-map[name='branches']/entry[sequence='7']/peer", "match-identity");
}

static void dynamic_map_must_exist(void **state)
{
	struct config_refusal *f = *state;

	include_branches(&f->c->map[0], 20);
	f->c->dynamic_map = config_alloc(f->c, 1, sizeof(*f->c->dynamic_map));
	f->c->dynamic_map[0].name = "others";
	f->c->n_dynamic_map = 1;
	assert_refused(f, "/culvert-ipsec:ipsec/crypto-map[name='vpn']/entry[sequence='20']/dynamic-map", "'branches'");
}

/* IPSEC-56: a template in front of an entry for one peer. IPSEC-58, IPSEC-60: only a template may lack an access list.
 */
static void dynamic_entries(void **state)
{
	struct config_refusal *f = *state;
	struct cfg_map_entry *e = &f->c->map[0].entry[0];
	struct cfg_ike_profile *p = &f->c->ike_profile[f->c->n_ike_profile++];

	*p = (struct cfg_ike_profile){.name = "any", .version = CFG_IKEV2, .n_match = 1};
	p->match = config_alloc(f->c, 1, sizeof(*p->match));
	p->match[0] = (struct cfg_identity){.type = CFG_ID_FQDN, .text = "branch"};
	e->n_peer = 0;
	e->ike_profile = "any";
	e->acl = NULL;
	cfgbuild_entry(f->c, &f->c->map[0], 20, "site2", "192.0.2.3");
	assert_warns(f, ENTRY "/access-list: missing; peers may propose any flow");
	assert_contains(f->warnings, ENTRY ": has no peers and comes before entry 20");
}

static void static_entry_needs_an_access_list(void **state)
{
	struct config_refusal *f = *state;

	f->c->map[0].entry[0].acl = NULL;
	assert_refused(f, ENTRY "/access-list", "the entry needs one");
}

/* IPSEC-59, IPSEC-60 */
static void empty_access_list_warns(void **state)
{
	struct config_refusal *f = *state;

	f->c->acl[0].n_line = 0;
	assert_warns(f, "'site2' is empty, so all traffic is dropped");
}

/* IPSEC-T5, IPSEC-37. */
static void permit_any_warns(void **state)
{
	struct config_refusal *f = *state;

	f->c->acl[0].n_line = 0;
	cfgbuild_line(&f->c->acl[0], 10, true, "0.0.0.0/0", "10.2.0.0/16");
	assert_warns(f, "permits `any` with no deny line before it");
}

static void any_after_deny_says_so(void **state)
{
	struct config_refusal *f = *state;

	f->c->acl[0].n_line = 0;
	cfgbuild_line(&f->c->acl[0], 10, false, "10.0.0.0/8", "10.2.0.1");
	cfgbuild_line(&f->c->acl[0], 20, true, "0.0.0.0/0", "0.0.0.0/0");
	assert_warns(f, "permits `any`:");
}

static void map_on_loopback_is_refused(void **state)
{
	struct config_refusal *f = *state;

	f->c->interface[0].type = CFG_IF_LOOPBACK;
	f->c->interface[0].crypto_map = "vpn";
	assert_refused(
		f, "/ietf-interfaces:interfaces/interface[name='lan']/culvert-ipsec:crypto-map", "local-address");
}

static void own_address_as_peer(void **state)
{
	struct config_refusal *f = *state;

	assert_int_equal(cv_addr_parse("192.0.2.1", &f->c->map[0].entry[0].peer[0]), 0);
	assert_refused(f, ENTRY "/peer", "own address on 'wan'");
}

/* IPSEC-74: the interfaces that share a local address share its front VRF. */
static void local_address_in_another_vrf(void **state)
{
	struct config_refusal *f = *state;

	f->c->vrf[f->c->n_vrf++].name = "red";
	f->c->interface[0].vrf = "red";
	f->c->map[0].local_address = "lan";
	assert_refused(f, "/culvert-ipsec:ipsec/crypto-map[name='vpn']/local-address", "VRF");
}

static void description_is_80_characters(void **state) /* MON-T8 */
{
	static const char *const eighty =
		"12345678901234567890123456789012345678901234567890123456789012345678901234567890";
	struct config_refusal *f = *state;
	struct cv_config *c = cfgbuild_gateway();

	c->peer[0] = (struct cfg_peer){.description = eighty};
	assert_int_equal(cv_addr_parse("192.0.2.2", &c->peer[0].addr), 0);
	c->n_peer = 1;
	f->c->peer[0] = c->peer[0];
	f->c->n_peer = 1;
	assert_int_equal(config_refusal_resolve(f), 0);
	c->peer[0].description = "123456789012345678901234567890123456789012345678901234567890123456789012345678901";
	assert_int_equal(config_resolve(c, f->err, NULL, NULL), -22);
	assert_contains(f->err, "1..80");
	config_unref(c);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		CONFIG_TEST(resolves_and_fills_in_defaults),
		CONFIG_TEST(dangling_references),
		CONFIG_TEST(dangling_map),
		CONFIG_TEST(access_groups),
		CONFIG_TEST(dangling_access_group),
		CONFIG_TEST(dangling_vrf),
		CONFIG_TEST(duplicate_names),
		CONFIG_TEST(duplicate_routes),
		CONFIG_TEST(duplicate_address),
		CONFIG_TEST(nexthop_in_another_vrf_needs_global),
		CONFIG_TEST(global_nexthop),
		CONFIG_TEST(gateway_in_no_named_vrf),
		CONFIG_TEST(gateway_in_front_vrf),
		CONFIG_TEST(entry_without_peer),
		CONFIG_TEST(entry_without_acl),
		CONFIG_TEST(entries_of_a_peer),
		CONFIG_TEST(deny_permit_overlap_warns),
		CONFIG_TEST(permit_any_warns),
		CONFIG_TEST(dynamic_maps_are_included),
		CONFIG_TEST(dynamic_map_errors_have_its_path),
		CONFIG_TEST(dynamic_map_must_exist),
		CONFIG_TEST(dynamic_entries),
		CONFIG_TEST(static_entry_needs_an_access_list),
		CONFIG_TEST(empty_access_list_warns),
		CONFIG_TEST(any_after_deny_says_so),
		CONFIG_TEST(map_on_loopback_is_refused),
		CONFIG_TEST(own_address_as_peer),
		CONFIG_TEST(local_address_in_another_vrf),
		CONFIG_TEST(description_is_80_characters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
