/* SPDX-License-Identifier: BSD-3-Clause */
/* config_resolve(): references, defaults, and every refusal with its path. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cfgbuild.h"
#include "cv_addr.h"

struct fixture {
	struct cv_config *c;
	char err[CFG_ERR_MAX];
	char warnings[8192];
};

static int setup(void **state)
{
	static struct fixture f;

	memset(&f, 0, sizeof(f));
	f.c = cfgbuild_gateway();
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	config_unref(((struct fixture *)*state)->c);
	return 0;
}

static void note(void *arg, const char *text)
{
	struct fixture *f = arg;
	size_t len = strlen(f->warnings);

	assert_true(len + strlen(text) + 2 < sizeof(f->warnings));
	strcpy(f->warnings + len, text);
	strcat(f->warnings, "\n");
}

static int resolve(struct fixture *f)
{
	return config_resolve(f->c, f->err, note, f);
}

static void assert_contains(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("'%s' does not contain '%s'", text, part);
}

/* The commit is refused and the message starts with the path and says `why` somewhere. */
static void assert_refused(struct fixture *f, const char *path, const char *why)
{
	assert_int_equal(resolve(f), -22);
	if (strncmp(f->err, path, strlen(path)))
		fail_msg("'%s' does not start with '%s'", f->err, path);
	assert_contains(f->err, why);
}

static void assert_warns(struct fixture *f, const char *part)
{
	assert_int_equal(resolve(f), 0);
	assert_contains(f->warnings, part);
}

#define ENTRY "/culvert-ipsec:ipsec/crypto-map[name='vpn']/entry[sequence='10']"

static void resolves_and_fills_in_defaults(void **state)
{
	struct fixture *f = *state;
	const struct cfg_map_entry *e;

	assert_int_equal(resolve(f), 0);
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

/* USAB-T1 (USAB-4, USAB-5, USAB-7, USAB-8): eight, in their range, nothing legacy; USAB-12: they can be switched off.
 */
static void usab_t1_default_policies(void **state)
{
	struct fixture *f = *state;

	f->c->n_ike_policy = 0;
	assert_int_equal(resolve(f), 0);
	assert_int_equal(f->c->n_ike_policy, 8);
	for (unsigned i = 0; i < 8; i++) {
		const struct cfg_ike_policy *p = &f->c->ike_policy[i];

		assert_true(p->builtin);
		assert_int_equal(p->priority, 65507 + i);
		assert_int_equal(p->lifetime_s, 86400);
		assert_false(algo_ike_get(ALGO_IKE_ENCR, p->encr, p->key_bits)->legacy);
		assert_false(algo_ike_get(ALGO_IKE_PRF, p->hash, 0)->legacy);
		assert_false(algo_ike_get(ALGO_IKE_GROUP, (uint16_t)p->group, 0)->legacy);
	}
}

static void usab_t1_disabled(void **state)
{
	struct fixture *f = *state;

	f->c->n_ike_policy = 0;
	f->c->no_default_policy = true;
	assert_int_equal(resolve(f), 0);
	assert_int_equal(f->c->n_ike_policy, 0);
}

/* USAB-T4 (USAB-6): one policy of the operator's, and the default ones are not used. */
static void usab_t4_own_policy_wins(void **state)
{
	struct fixture *f = *state;
	struct cfg_ike_policy *p = &f->c->ike_policy[f->c->n_ike_policy++];

	*p = (struct cfg_ike_policy){.priority = 10,
		.encr = IKE_ENCR_AES_CBC,
		.key_bits = 128,
		.hash = IKE_PRF_HMAC_SHA256,
		.auth = CFG_AUTH_PSK,
		.group = IKE_GROUP_MODP2048};
	assert_int_equal(resolve(f), 0);
	assert_int_equal(f->c->n_ike_policy, 1);
	assert_false(f->c->ike_policy[0].builtin);
	assert_int_equal(f->c->ike_policy[0].lifetime_s, 86400); /* IKE-22 */
}

/* USAB-15, USAB-16, USAB-17: an entry that names no transform set has the default ones, set_1 first. */
static void usab_default_transform_sets(void **state)
{
	struct fixture *f = *state;
	struct cfg_map_entry *e = &f->c->map[0].entry[0];

	e->n_transform_set = 0;
	assert_int_equal(resolve(f), 0);
	assert_int_equal(e->n_transform_set, 2);
	assert_string_equal(e->ts_ref[0]->name, "#!default_transform_set_1");
	assert_string_equal(e->ts_ref[1]->name, "#!default_transform_set_0");
	assert_true(e->ts_ref[0]->builtin);
	assert_false(e->ts_ref[0]->transport);
	assert_false(algo_suite_legacy(e->ts_ref[0]->suite) || algo_suite_legacy(e->ts_ref[1]->suite));
}

/* USAB-20: switched off, there are none, and an entry needs its own. */
static void usab_transform_sets_off(void **state)
{
	struct fixture *f = *state;

	f->c->map[0].entry[0].n_transform_set = 0;
	f->c->no_default_transform_set = true;
	assert_refused(
		f, "/culvert-ipsec:ipsec/crypto-map[name='vpn']/entry[sequence='10']/transform-set", "switched off");
}

static void dangling_references(void **state)
{
	struct fixture *f = *state;

	f->c->map[0].entry[0].acl = "nowhere";
	assert_refused(f, ENTRY "/access-list", "known: site2");
}

static void dangling_transform_set(void **state)
{
	struct fixture *f = *state;

	f->c->map[0].entry[0].transform_set[0] = "none";
	assert_refused(f, ENTRY "/transform-set", "no transform-set named 'none'; known: ");
}

/* RFC 9370: additional groups need a first one, and another one. */
static void additional_group(struct fixture *f, enum ike_group pfs, const char *why)
{
	struct cfg_map_entry *e = &f->c->map[0].entry[0];

	e->pfs = pfs;
	e->addke = config_alloc(f->c, 1, sizeof(*e->addke));
	e->addke[e->n_addke++] = IKE_GROUP_ECP256;
	assert_refused(f, ENTRY "/pfs-additional-group", why);
}

static void additional_group_alone(void **state)
{
	additional_group(*state, IKE_GROUP_NONE, "needs pfs");
}

static void additional_group_twice(void **state)
{
	additional_group(*state, IKE_GROUP_ECP256, "a group twice");
}

static void dangling_map(void **state)
{
	struct fixture *f = *state;

	f->c->interface[1].crypto_map = "x";
	assert_refused(f, "/ietf-interfaces:interfaces/interface[name='wan']/culvert-ipsec:crypto-map", "known: vpn");
}

/* An interface that filters by no list is refused; one whose list has nothing for the family is warned about. */
static void access_groups(void **state)
{
	struct fixture *f = *state;

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
	struct fixture *f = *state;

	f->c->interface[1].acl6.in = "x";
	assert_refused(f, "/ietf-interfaces:interfaces/interface[name='wan']/culvert-acl:access-group/ipv6/in",
		"no access-list named 'x'; known: site2");
}

static void dangling_vrf(void **state)
{
	struct fixture *f = *state;

	f->c->interface[0].vrf = "red";
	assert_refused(f, "/ietf-interfaces:interfaces/interface[name='lan']/culvert-vrf:vrf", "none is configured");
}

static void duplicate_names(void **state)
{
	struct fixture *f = *state;

	f->c->interface[1].name = "lan";
	assert_refused(f, "/ietf-interfaces:interfaces/interface[name='lan']", "defined twice");
}

static void duplicate_routes(void **state)
{
	struct fixture *f = *state;

	cfgbuild_route(f->c, "10.9.0.0/16", "192.0.2.2");
	cfgbuild_route(f->c, "0.0.0.0/0", "192.0.2.3");
	assert_refused(f, "/ietf-routing:routing", "defined twice");
}

static void duplicate_address(void **state)
{
	struct fixture *f = *state;

	cfgbuild_addr(f->c, &f->c->interface[1], "10.1.0.1/16");
	assert_refused(
		f, "/ietf-interfaces:interfaces/interface[name='wan']", "already the address of interface 'lan'");
}

static void nexthop_in_another_vrf_needs_global(void **state)
{
	struct fixture *f = *state;
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
	struct fixture *f = *state;
	struct cfg_route *r;

	f->c->vrf[f->c->n_vrf++].name = "red";
	cfgbuild_route(f->c, "10.9.0.0/16", "192.0.2.2");
	r = &f->c->route[f->c->n_route - 1];
	r->vrf = "red";
	r->nh[0].interface = "wan";
	r->nh[0].global = true;
	assert_int_equal(resolve(f), 0);
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
	struct fixture *f = *state;

	route_to_front(f->c);
	assert_refused(f, "/ietf-routing:routing", "gateway-vrf");
}

/* VRF-50: the gateway is in the front VRF. */
static void gateway_in_front_vrf(void **state)
{
	struct fixture *f = *state;
	struct cfg_route *r = route_to_front(f->c);

	r->nh[0].vrf = "front";
	assert_int_equal(resolve(f), 0);
	assert_ptr_equal(r->nh[0].vrf_ref, &f->c->vrf[f->c->n_vrf - 1]);
	assert_ptr_equal(r->vrf_ref, &f->c->vrf[f->c->n_vrf - 2]);
}

/* IPSEC-1: without IKE only manual entries make sense; the others stay closed, and the operator is told. */
static void ike_off_needs_manual_entries(void **state)
{
	struct fixture *f = *state;

	f->c->ike_enabled = false;
	assert_warns(f, ENTRY ": IKE is off");
}

static void entry_without_peer(void **state)
{
	struct fixture *f = *state;

	f->c->map[0].entry[0].n_peer = 0;
	assert_refused(f, ENTRY "/peer", "at least one");
}

static void entry_without_acl(void **state)
{
	struct fixture *f = *state;

	f->c->map[0].entry[0].acl = NULL;
	assert_refused(f, ENTRY "/access-list", "missing");
}

static void transform_sets_are_1_to_6(void **state) /* IPSEC-49 */
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < 7; i++)
		f->c->map[0].entry[0].transform_set[i] = "gcm";
	f->c->map[0].entry[0].n_transform_set = 7;
	assert_refused(f, ENTRY "/transform-set", "1..6");
}

#define SET_GCM "/culvert-ipsec:ipsec/transform-set[name='gcm']"
static void impossible_transform_set(void **state) /* IPSEC-18 */
{
	struct fixture *f = *state;

	f->c->transform_set[0].suite.integ = CV_INTEG_HMAC_SHA256_128;
	assert_refused(f, SET_GCM, "has its own authentication");
}

/* A manual entry for AES-128-CBC with HMAC-SHA-256-128; the fields are the test's to spoil. */
static struct cfg_manual *manual_entry(struct fixture *f)
{
	static const uint8_t key[32];
	struct cfg_manual *m = config_alloc(f->c, 1, sizeof(*m));

	f->c->transform_set[0].suite =
		(struct algo_suite){.encr = CV_ENCR_AES128_CBC, .integ = CV_INTEG_HMAC_SHA256_128};
	m->in = m->out =
		(struct cfg_session_key){.spi = 256, .cipher = key, .auth = key, .cipher_len = 16, .auth_len = 32};
	f->c->map[0].entry[0].manual = m;
	return m;
}

#define KEYS ENTRY "/session-key"
static void manual_key_lengths(void **state) /* IPSEC-68 */
{
	struct fixture *f = *state;

	manual_entry(f)->out.cipher_len = 24;
	assert_refused(f, KEYS "/outbound/cipher", "48 hexadecimal digits; the transform set needs 32");
}

static void manual_inbound_spi(void **state) /* IPSEC-69 */
{
	struct fixture *f = *state;

	manual_entry(f)->in.spi = 70000;
	assert_refused(f, KEYS "/inbound/spi", "256..4095");
}

static void manual_refuses_counter_modes(void **state)
{
	struct fixture *f = *state;

	manual_entry(f);
	f->c->transform_set[0].suite = (struct algo_suite){.encr = CV_ENCR_AES256_GCM16};
	assert_refused(f, ENTRY "/transform-set", "counter mode");
}

static void manual_bundle_needs_both_keys(void **state)
{
	struct fixture *f = *state;

	manual_entry(f);
	f->c->transform_set[0].suite.ah = CV_INTEG_HMAC_SHA256_128;
	assert_refused(f, KEYS "/inbound/ah", "AH around ESP");
}

static const uint8_t ah_key[32];

static void manual_bundle(void **state) /* IPSEC-18, 68 */
{
	struct fixture *f = *state;
	struct cfg_manual *m = manual_entry(f);

	f->c->transform_set[0].suite.ah = CV_INTEG_HMAC_SHA256_128;
	m->in.ah_spi = m->out.ah_spi = 258;
	m->in.ah_auth = m->out.ah_auth = ah_key;
	m->in.ah_auth_len = m->out.ah_auth_len = sizeof(ah_key);
	assert_int_equal(resolve(f), 0);
}

static void manual_bundle_key_lengths(void **state) /* IPSEC-68 */
{
	struct fixture *f = *state;
	struct cfg_manual *m = manual_entry(f);

	f->c->transform_set[0].suite.ah = CV_INTEG_HMAC_SHA256_128;
	m->in.ah_spi = m->out.ah_spi = 258;
	m->in.ah_auth = m->out.ah_auth = ah_key;
	m->in.ah_auth_len = m->out.ah_auth_len = 20;
	assert_refused(f, KEYS "/inbound/ah/authenticator", "40 hexadecimal digits; the transform set needs 64");
}

static void manual_bundle_spis_differ(void **state)
{
	struct fixture *f = *state;
	struct cfg_manual *m = manual_entry(f);

	f->c->transform_set[0].suite.ah = CV_INTEG_HMAC_SHA256_128;
	m->in.ah_spi = m->out.ah_spi = 256;
	m->in.ah_auth = m->out.ah_auth = ah_key;
	m->in.ah_auth_len = m->out.ah_auth_len = sizeof(ah_key);
	assert_refused(f, KEYS "/inbound/ah/spi", "too close");
}

static void manual_ah_needs_its_transform(void **state)
{
	struct fixture *f = *state;

	manual_entry(f)->in.ah_spi = 258;
	assert_refused(f, KEYS "/inbound/ah", "only with AH and ESP");
}

static void manual_has_one_set(void **state) /* IPSEC-67 */
{
	struct fixture *f = *state;

	manual_entry(f);
	f->c->map[0].entry[0].transform_set[1] = "gcm";
	f->c->map[0].entry[0].n_transform_set = 2;
	assert_refused(f, KEYS, "one peer and one transform set");
}

static void manual_peer_is_an_address(void **state) /* IPSEC-50 */
{
	static const char *host[] = {"hub.example.net"};
	struct fixture *f = *state;

	manual_entry(f);
	f->c->map[0].entry[0].peer_host = host;
	assert_refused(f, KEYS, "the peer by its address");
}

static void bundle_is_not_negotiated_by_ikev2(void **state)
{
	struct fixture *f = *state;

	f->c->transform_set[0].suite.ah = CV_INTEG_HMAC_SHA256_128;
	assert_refused(f, ENTRY "/transform-set", "IKEv2 does not negotiate");
}

static void encryption_alone_is_legacy(void **state) /* RFC 8221 section 4 */
{
	struct fixture *f = *state;

	f->c->transform_set[0].suite = (struct algo_suite){.encr = CV_ENCR_AES128_CBC};
	assert_refused(f, SET_GCM, "allow-legacy");
}

static void legacy_needs_permission(void **state)
{
	struct fixture *f = *state;

	f->c->map[0].entry[0].pfs = IKE_GROUP_MODP1024;
	assert_refused(f, ENTRY "/pfs", "allow-legacy");
}

static void legacy_with_permission_warns(void **state)
{
	struct fixture *f = *state;

	f->c->allow_legacy = true;
	f->c->map[0].entry[0].pfs = IKE_GROUP_MODP1024;
	assert_warns(f, ENTRY "/pfs: a legacy value");
}

static void pfs_group_is_known(void **state)
{
	struct fixture *f = *state;

	f->c->map[0].entry[0].pfs = (enum ike_group)24;
	assert_refused(f, ENTRY "/pfs", "group31");
}

static void replay_window_is_one_of_a_few(void **state) /* REPLAY-2 */
{
	struct fixture *f = *state;

	f->c->map[0].entry[0].replay_window = 96;
	assert_refused(f, ENTRY "/replay/window-size", "64, 128");
}

/* REPLAY-5, REPLAY-7, REPLAY-T3: the entry's own value wins, also when it switches the check off; the others have the
 * global one. */
static void replay_window_is_inherited(void **state)
{
	static const struct {
		uint32_t global, entry, want;
	} row[] = {{1024, CFG_REPLAY_GLOBAL, 1024}, {256, CFG_REPLAY_GLOBAL, 256}, {256, 128, 128}, {0, 8192, 8192},
		{0, CFG_REPLAY_GLOBAL, 0}, {64, 0, 0}};

	(void)state;
	for (unsigned i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct cv_config *c = cfgbuild_gateway();
		char err[CFG_ERR_MAX];

		c->replay_window = row[i].global;
		c->map[0].entry[0].replay_window = row[i].entry;
		assert_int_equal(config_resolve(c, err, NULL, NULL), 0);
		assert_int_equal(c->map[0].entry[0].replay_window, row[i].want);
		config_unref(c);
	}
}

/* IDLE-2, IDLE-4, IDLE-5, IDLE-T2: off by default; the map's value wins; outside 60..86400 is refused. */
static void idle_time_is_inherited(void **state)
{
	static const struct {
		uint32_t global, entry, want;
		bool own, ok;
	} row[] = {{0, 0, 0, false, true}, {600, 0, 600, false, true}, {600, 60, 60, true, true},
		{0, 86400, 86400, true, true}, {59, 0, 0, false, false}, {0, 86401, 0, false, false}};

	(void)state;
	for (unsigned i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct cv_config *c = cfgbuild_gateway();
		char err[CFG_ERR_MAX];

		c->idle_s = row[i].global;
		c->map[0].entry[0].idle_s = row[i].entry;
		assert_int_equal(config_resolve(c, err, NULL, NULL), row[i].ok ? 0 : -22);
		if (row[i].ok) {
			assert_int_equal(c->map[0].entry[0].idle_s, row[i].want);
			assert_int_equal(c->map[0].entry[0].idle_own, row[i].own);
		}
		config_unref(c);
	}
}

/* FRAG-3, FRAG-4, FRAG-T3: before encryption by default, and what the interface says wins in both directions. */
static void fragmentation_is_inherited(void **state)
{
	struct fixture *f = *state;

	f->c->fragment = CFG_FRAG_AFTER;
	f->c->df_bit = CFG_DF_CLEAR;
	f->c->interface[1].fragment = CFG_FRAG_BEFORE;
	f->c->interface[1].df_bit = CFG_DF_SET;
	assert_int_equal(resolve(f), 0);
	assert_int_equal(f->c->interface[0].fragment, CFG_FRAG_AFTER);
	assert_int_equal(f->c->interface[0].df_bit, CFG_DF_CLEAR);
	assert_int_equal(f->c->interface[1].fragment, CFG_FRAG_BEFORE);
	assert_int_equal(f->c->interface[1].df_bit, CFG_DF_SET);
}

static void aead_and_cbc_do_not_mix(void **state)
{
	static struct cfg_ike_encr encr[] = {{IKE_ENCR_AES_GCM16, 256}, {IKE_ENCR_AES_CBC, 256}};
	static enum ike_prf prf[] = {IKE_PRF_HMAC_SHA256};
	static enum ike_group group[] = {IKE_GROUP_ECP256};
	struct fixture *f = *state;

	f->c->ike_proposal[f->c->n_ike_proposal++] = (struct cfg_ike_proposal){
		.name = "p", .encr = encr, .n_encr = 2, .prf = prf, .n_prf = 1, .group = group, .n_group = 1};
	assert_refused(f, "/culvert-ike:ike/proposal[name='p']/encryption", "two proposals");
}

static void ikev1_profile_warns(void **state)
{
	struct fixture *f = *state;

	f->c->ike_profile[f->c->n_ike_profile++] =
		(struct cfg_ike_profile){.name = "old", .version = CFG_IKEV1, .nat_traversal = true};
	f->c->map[0].entry[0].ike_profile = "old";
	assert_warns(f, "/culvert-ike:ike/profile[name='old']/version: IKEv1 is obsolete (RFC 9395)");
	assert_contains(f->warnings, "match-identity: none"); /* VRF-26 */
	assert_int_equal(f->c->map[0].entry[0].profile_ref->version, CFG_IKEV1);
}

/* AGGR-18: whoever switches aggressive mode on is told what it shows; a password without identity or the other way
 * round is no aggressive mode (AGGR-Q3). */
static void aggressive_mode_warns(void **state)
{
	struct fixture *f = *state;

	f->c->ike_profile[f->c->n_ike_profile++] = (struct cfg_ike_profile){
		.name = "old", .version = CFG_IKEV1, .nat_traversal = true, .aggressive_psk = true};
	f->c->map[0].entry[0].ike_profile = "old";
	assert_warns(f, "/culvert-ike:ike/profile[name='old']/aggressive-mode: shows both identities");
}

static void aggressive_mode_needs_its_switch(void **state)
{
	struct fixture *f = *state;

	f->c->ike_profile[f->c->n_ike_profile++] = (struct cfg_ike_profile){
		.name = "old", .version = CFG_IKEV1, .nat_traversal = true, .aggressive = true};
	f->c->map[0].entry[0].ike_profile = "old";
	assert_refused(f, "/culvert-ike:ike/profile[name='old']/aggressive-mode/initiate", "allow-preshared-key");
}

/* VRF-36: the entry's profile wins over the map's. */
static void entry_profile_wins(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < 2; i++)
		f->c->ike_profile[f->c->n_ike_profile++] =
			(struct cfg_ike_profile){.name = i ? "b" : "a", .version = CFG_IKEV2};
	f->c->map[0].ike_profile = "a";
	cfgbuild_entry(f->c, &f->c->map[0], 20, "site2", "192.0.2.2")->ike_profile = "b";
	assert_int_equal(resolve(f), 0);
	assert_string_equal(f->c->map[0].entry[0].profile_ref->name, "a");
	assert_string_equal(f->c->map[0].entry[1].profile_ref->name, "b");
	assert_contains(f->warnings, "IPSEC-33");
}

/* VRF-T9, VRF-28: DPD 10..3600 and 2..60. */
static void dpd_ranges(void **state)
{
	static const struct {
		uint32_t interval, retry;
		int result;
	} t[] = {{9, 5, -22}, {10, 2, 0}, {3600, 60, 0}, {3601, 5, -22}, {30, 1, -22}, {30, 61, -22}};

	(void)state;
	for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct cv_config *c = cfgbuild_gateway();
		char err[CFG_ERR_MAX];

		c->ike_profile[c->n_ike_profile++] = (struct cfg_ike_profile){.name = "p",
			.version = CFG_IKEV2,
			.dpd_mode = CFG_DPD_PERIODIC,
			.dpd_interval_s = t[i].interval,
			.dpd_retry_s = t[i].retry};
		assert_int_equal(config_resolve(c, err, NULL, NULL), t[i].result);
		config_unref(c);
	}
}

static void missing_key_warns(void **state) /* IKE-31 */
{
	struct fixture *f = *state;

	f->c->n_keyring = 0;
	assert_warns(f, "no preshared key for 192.0.2.2 in a keyring of front VRF 'global'");
}

/* VRF-18, VRF-22, VRF-T6: a key of another VRF is not used. */
static void key_of_another_vrf_is_not_used(void **state)
{
	struct fixture *f = *state;

	f->c->vrf[f->c->n_vrf++].name = "red";
	f->c->keyring[0].vrf = "red";
	assert_warns(f, "no preshared key for 192.0.2.2");
	f->c->vrf[0].id = 7;
	assert_null(config_psk_by_addr(f->c, NULL, 0, NULL, &f->c->map[0].entry[0].peer[0]));
	assert_non_null(config_psk_by_addr(f->c, NULL, 7, NULL, &f->c->map[0].entry[0].peer[0]));
}

/* VRF-18: a keyring that names no VRF belongs to the global table. */
static void key_without_vrf_is_global(void **state)
{
	struct fixture *f = *state;

	f->c->vrf[f->c->n_vrf++].name = "red";
	assert_int_equal(resolve(f), 0);
	f->c->vrf[0].id = 7;
	assert_non_null(config_psk_by_addr(f->c, NULL, 0, NULL, &f->c->map[0].entry[0].peer[0]));
	assert_null(config_psk_by_addr(f->c, NULL, 7, NULL, &f->c->map[0].entry[0].peer[0]));
}

/* VRF-20: a mask gives a range; the longest one wins. */
static void longest_key_prefix_wins(void **state)
{
	struct fixture *f = *state;
	struct cfg_keyring *k = &f->c->keyring[0];
	struct cv_addr other;

	k->psk[1] = k->psk[0];
	assert_int_equal(cv_prefix_parse("192.0.2.0/24", &k->psk[1].peer), 0);
	k->psk[2] = (struct cfg_psk){.hostname = "gw.example", .key = k->psk[0].key, .key_len = 6};
	k->n_psk = 3;
	assert_int_equal(resolve(f), 0);
	assert_int_equal(cv_addr_parse("192.0.2.77", &other), 0);
	assert_ptr_equal(config_psk_by_addr(f->c, NULL, 0, NULL, &f->c->map[0].entry[0].peer[0]), &k->psk[0]);
	assert_ptr_equal(config_psk_by_addr(f->c, NULL, 0, NULL, &other), &k->psk[1]);
	assert_ptr_equal(config_psk_by_name(f->c, NULL, 0, NULL, "GW.example"), &k->psk[2]);
	assert_null(config_psk_by_name(f->c, NULL, 0, NULL, "gw"));
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
	struct fixture *f = *state;
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

/* Lines that differ in their DSCP only: an entry with an IKEv1 profile cannot have them, one with IKEv2 can. */
static void dscp_lines_need_ikev2(void **state)
{
	struct fixture *f = *state;
	struct cfg_acl *a = &f->c->acl[0];

	f->c->ike_profile[f->c->n_ike_profile++] = (struct cfg_ike_profile){.name = "old", .version = CFG_IKEV1};
	f->c->map[0].entry[0].ike_profile = "old";
	a->n_line = 0;
	for (unsigned i = 0; i < 3; i++) {
		cfgbuild_line(a, 10 * (i + 1), true, i == 1 ? "10.1.0.0/25" : "10.1.0.0/24", "10.2.0.0/24");
		a->line[i].dscp = 1u << i;
	}
	assert_refused(f, ENTRY "/access-list", "lines 10 and 30 differ in their DSCP only");
}

static void dscp_lines_with_ikev2(void **state)
{
	struct fixture *f = *state;

	cfgbuild_line(&f->c->acl[0], 20, true, "10.1.0.0/24", "10.2.0.0/24");
	f->c->acl[0].line[0].dscp = 1;
	f->c->acl[0].line[1].dscp = 2;
	assert_int_equal(resolve(f), 0);
}

/* IPSEC-35, IPSEC-T3. */
static void deny_permit_overlap_warns(void **state)
{
	struct fixture *f = *state;

	f->c->acl[0].n_line = 0;
	cfgbuild_line(&f->c->acl[0], 10, false, "10.1.1.0/24", "172.16.1.0/24");
	cfgbuild_line(&f->c->acl[0], 20, true, "10.0.0.0/8", "172.16.0.0/12");
	f->c->acl[f->c->n_acl++].name = "102";
	cfgbuild_line(&f->c->acl[1], 10, true, "10.1.1.0/24", "172.16.1.0/24");
	cfgbuild_entry(f->c, &f->c->map[0], 20, "102", "192.0.2.3");
	assert_warns(f, ENTRY "/access-list: deny line 10 of 'site2' overlaps permit line 10 of '102' in entry 20");
}

/* A dynamic map "branches" of entries 5 and 7, whose profile takes peers by identity. */
static void add_branches(struct fixture *f)
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
	struct fixture *f = *state;
	struct cfg_crypto_map *a = &f->c->map[0], *b = &f->c->map[f->c->n_map++];

	add_branches(f);
	*b = (struct cfg_crypto_map){.name = "other", .entry = config_alloc(f->c, 2, sizeof(*b->entry))};
	include_branches(b, 1);
	include_branches(a, 20);
	cfgbuild_entry(f->c, a, 30, "site2", "192.0.2.9");
	assert_int_equal(resolve(f), 0);
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
	struct fixture *f = *state;

	add_branches(f);
	f->c->dynamic_map[0].entry[1].ike_profile = NULL;
	include_branches(&f->c->map[0], 20);
	assert_refused(
		f, "/culvert-ipsec:ipsec/dynamic-map[name='branches']/entry[sequence='7']/peer", "match-identity");
}

static void dynamic_map_must_exist(void **state)
{
	struct fixture *f = *state;

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
	struct fixture *f = *state;
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
	struct fixture *f = *state;

	f->c->map[0].entry[0].acl = NULL;
	assert_refused(f, ENTRY "/access-list", "the entry needs one");
}

/* IPSEC-59, IPSEC-60 */
static void empty_access_list_warns(void **state)
{
	struct fixture *f = *state;

	f->c->acl[0].n_line = 0;
	assert_warns(f, "'site2' is empty, so all traffic is dropped");
}

/* IPSEC-T5, IPSEC-37. */
static void permit_any_warns(void **state)
{
	struct fixture *f = *state;

	f->c->acl[0].n_line = 0;
	cfgbuild_line(&f->c->acl[0], 10, true, "0.0.0.0/0", "10.2.0.0/16");
	assert_warns(f, "permits `any` with no deny line before it");
}

static void any_after_deny_says_so(void **state)
{
	struct fixture *f = *state;

	f->c->acl[0].n_line = 0;
	cfgbuild_line(&f->c->acl[0], 10, false, "10.0.0.0/8", "10.2.0.1");
	cfgbuild_line(&f->c->acl[0], 20, true, "0.0.0.0/0", "0.0.0.0/0");
	assert_warns(f, "permits `any`:");
}

static void map_on_loopback_is_refused(void **state)
{
	struct fixture *f = *state;

	f->c->interface[0].type = CFG_IF_LOOPBACK;
	f->c->interface[0].crypto_map = "vpn";
	assert_refused(
		f, "/ietf-interfaces:interfaces/interface[name='lan']/culvert-ipsec:crypto-map", "local-address");
}

static void own_address_as_peer(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(cv_addr_parse("192.0.2.1", &f->c->map[0].entry[0].peer[0]), 0);
	assert_refused(f, ENTRY "/peer", "own address on 'wan'");
}

/* IPSEC-74: the interfaces that share a local address share its front VRF. */
static void local_address_in_another_vrf(void **state)
{
	struct fixture *f = *state;

	f->c->vrf[f->c->n_vrf++].name = "red";
	f->c->interface[0].vrf = "red";
	f->c->map[0].local_address = "lan";
	assert_refused(f, "/culvert-ipsec:ipsec/crypto-map[name='vpn']/local-address", "VRF");
}

static void description_is_80_characters(void **state) /* MON-T8 */
{
	static const char *const eighty =
		"12345678901234567890123456789012345678901234567890123456789012345678901234567890";
	struct fixture *f = *state;
	struct cv_config *c = cfgbuild_gateway();

	c->peer[0] = (struct cfg_peer){.description = eighty};
	assert_int_equal(cv_addr_parse("192.0.2.2", &c->peer[0].addr), 0);
	c->n_peer = 1;
	f->c->peer[0] = c->peer[0];
	f->c->n_peer = 1;
	assert_int_equal(resolve(f), 0);
	c->peer[0].description = "123456789012345678901234567890123456789012345678901234567890123456789012345678901";
	assert_int_equal(config_resolve(c, f->err, NULL, NULL), -22);
	assert_contains(f->err, "1..80");
	config_unref(c);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(resolves_and_fills_in_defaults),
		TEST(usab_t1_default_policies),
		TEST(usab_t1_disabled),
		TEST(usab_t4_own_policy_wins),
		TEST(usab_default_transform_sets),
		TEST(usab_transform_sets_off),
		TEST(dangling_references),
		TEST(dangling_transform_set),
		TEST(additional_group_alone),
		TEST(additional_group_twice),
		TEST(dangling_map),
		TEST(access_groups),
		TEST(dangling_access_group),
		TEST(dangling_vrf),
		TEST(duplicate_names),
		TEST(duplicate_routes),
		TEST(duplicate_address),
		TEST(nexthop_in_another_vrf_needs_global),
		TEST(global_nexthop),
		TEST(gateway_in_no_named_vrf),
		TEST(ike_off_needs_manual_entries),
		TEST(gateway_in_front_vrf),
		TEST(entry_without_peer),
		TEST(entry_without_acl),
		TEST(transform_sets_are_1_to_6),
		TEST(impossible_transform_set),
		TEST(encryption_alone_is_legacy),
		TEST(manual_key_lengths),
		TEST(manual_inbound_spi),
		TEST(dscp_lines_need_ikev2),
		TEST(dscp_lines_with_ikev2),
		TEST(manual_refuses_counter_modes),
		TEST(manual_bundle_needs_both_keys),
		TEST(manual_bundle),
		TEST(manual_bundle_key_lengths),
		TEST(manual_bundle_spis_differ),
		TEST(manual_ah_needs_its_transform),
		TEST(manual_has_one_set),
		TEST(manual_peer_is_an_address),
		TEST(bundle_is_not_negotiated_by_ikev2),
		TEST(legacy_needs_permission),
		TEST(legacy_with_permission_warns),
		TEST(pfs_group_is_known),
		TEST(replay_window_is_one_of_a_few),
		TEST(replay_window_is_inherited),
		TEST(idle_time_is_inherited),
		TEST(fragmentation_is_inherited),
		TEST(aead_and_cbc_do_not_mix),
		TEST(ikev1_profile_warns),
		TEST(aggressive_mode_warns),
		TEST(aggressive_mode_needs_its_switch),
		TEST(entry_profile_wins),
		TEST(dpd_ranges),
		TEST(missing_key_warns),
		TEST(key_of_another_vrf_is_not_used),
		TEST(key_without_vrf_is_global),
		TEST(longest_key_prefix_wins),
		TEST(entries_of_a_peer),
		TEST(deny_permit_overlap_warns),
		TEST(permit_any_warns),
		TEST(dynamic_maps_are_included),
		TEST(dynamic_map_errors_have_its_path),
		TEST(dynamic_map_must_exist),
		TEST(dynamic_entries),
		TEST(static_entry_needs_an_access_list),
		TEST(empty_access_list_warns),
		TEST(any_after_deny_says_so),
		TEST(map_on_loopback_is_refused),
		TEST(own_address_as_peer),
		TEST(local_address_in_another_vrf),
		TEST(description_is_80_characters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
