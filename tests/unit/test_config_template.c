/* SPDX-License-Identifier: BSD-3-Clause */
/* Virtual templates in the configuration: the policy of a profile that names one, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cfgbuild.h"
#include "cv_addr.h"

static struct cv_config *c;
static struct cfg_interface *template;
static struct cfg_ike_profile *profile;
static char err[CFG_ERR_MAX];

/* The sample gateway with a template in VRF red and a profile that names it; the map stays on wan. */
static int setup(void **state)
{
	static const char *set[] = {"gcm"};

	(void)state;
	c = cfgbuild_gateway();
	c->vrf = config_alloc(c, 1, sizeof(*c->vrf));
	c->vrf[c->n_vrf++].name = "red";
	c->ipsec_profile = config_alloc(c, 1, sizeof(*c->ipsec_profile));
	c->ipsec_profile[c->n_ipsec_profile++] = (struct cfg_ipsec_profile){.name = "P1",
		.policy = {.transform_set = set, .n_transform_set = 1, .replay_window = CFG_REPLAY_GLOBAL}};
	template = &c->interface[c->n_interface++];
	*template = (struct cfg_interface){
		.name = "Virtual-Template1", .type = CFG_IF_TEMPLATE, .enabled = true, .vrf = "red"};
	template->tunnel = config_alloc(c, 1, sizeof(*template->tunnel));
	*template->tunnel = (struct cfg_tunnel){.mode = CFG_TUNNEL_IPSEC_IPV4, .profile = "P1"};
	profile = &c->ike_profile[c->n_ike_profile++];
	*profile = (struct cfg_ike_profile){
		.name = "clients", .version = CFG_IKEV2, .lifetime_s = 86400, .virtual_template = template->name};
	profile->match = config_alloc(c, 1, sizeof(*profile->match));
	profile->n_match = 1;
	profile->match[0] = (struct cfg_identity){.type = CFG_ID_FQDN, .text = "a.example"};
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	config_unref(c);
	return 0;
}

static void assert_refused(const char *path, const char *why)
{
	assert_int_equal(config_resolve(c, err, NULL, NULL), -22);
	if (!strstr(err, path) || !strstr(err, why))
		fail_msg("'%s' is not '%s...%s'", err, path, why);
}

/* VTI-23, VTI-14: one open entry for whoever the profile lets in, in the VRF of the template. */
static void profile_gets_an_open_entry(void **state)
{
	const struct cfg_map_entry *e;

	(void)state;
	assert_int_equal(config_resolve(c, err, NULL, NULL), 0);
	e = config_entry_find(c, "clients@Virtual-Template1", 65535);
	assert_non_null(e);
	assert_true(cfg_entry_is_dynamic(e) && !e->acl_ref);
	assert_ptr_equal(e->map->template, template);
	assert_string_equal(e->profile_ref->name, "clients");
	assert_ptr_equal(e->profile_ref->vrf_ref, &c->vrf[0]);
	assert_string_equal(e->ts_ref[0]->name, "gcm");
}

/* VTI-6, 9, 12, 14 and what a template cannot be. */
static void refusals_name_the_path(void **state)
{
	struct cfg_transform_set *ts = c->transform_set;

	(void)state;
	profile->virtual_template = "lan";
	assert_refused("profile[name='clients']/culvert-tunnel:virtual-template", "no virtual template named 'lan'");
	teardown(NULL);
	setup(NULL);
	profile->vrf = "red";
	assert_refused("profile[name='clients']/vrf", "VTI-14");
	teardown(NULL);
	setup(NULL);
	c->map[0].entry[0].ike_profile = "clients";
	assert_refused("crypto-map[name=", "VTI-9");
	teardown(NULL);
	setup(NULL);
	ts = c->transform_set;
	for (unsigned i = 0; i < c->n_transform_set; i++)
		ts[i].transport |= !strcmp(ts[i].name, "gcm");
	assert_refused("Virtual-Template1']/culvert-tunnel:virtual-template/profile", "VTI-6");
	teardown(NULL);
	setup(NULL);
	cfgbuild_addr(c, template, "10.99.0.1/30");
	assert_refused("Virtual-Template1']", "cannot all have one address");
	teardown(NULL);
	setup(NULL);
	c->route[0].nh[0] = (struct cfg_nexthop){.type = CFG_NH_INTERFACE, .interface = template->name, .weight = 1};
	assert_refused("/next-hop/outgoing-interface", "is a template");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(profile_gets_an_open_entry, setup, teardown),
		cmocka_unit_test_setup_teardown(refusals_name_the_path, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
