/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Certificate maps and crypto identities in both versions of IKE, two engines against each other. Host 0 is the peer;
 * host 1 has two profiles: "p" as ever, and "green", with a map of its own, a trust point of its own and an entry 20.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cv_addr.h"
#include "cv_log.h"
#include "cert_env.h"
#include "ike_env.h"
#include "log_catch.h"

static EVP_PKEY *key[2];
static enum cfg_ike_version version;

/* Of one test. */
static bool by_other_ca;	/* ... which is from the other CA */
static bool map_needs_other;	/* profile "green" believes the other CA only */
static const char *rules[4];	/* "subject-name co x" lines of the map's entries 10, 20, ... */
static bool match_name;		/* profile "p" takes host 0 by its name */
static bool p_needs_map;	/* profile "p" has a map as well, which fits nobody */
static const char *dn, *fqdn;	/* identity of both entries of host 1 */
static bool identity_at_caller; /* ... of host 0's entry instead */
static bool call_by_map;	/* host 0's own profile has the map */

static int setup(void **state)
{
	for (int i = 0; i < 2; i++)
		key[i] = pkim_key("RSA");
	return cert_env_setup(state);
}

static int finish(void **state)
{
	EVP_PKEY_free(key[0]);
	EVP_PKEY_free(key[1]);
	return cert_env_finish(state);
}

static int reset(void **state)
{
	(void)state;
	cert_env_reset();
	cert_env.subject = "/C=IN/OU=green/CN=gw0";
	cert_env.san[0] = "DNS:gw0.example.org";
	cert_env.san[1] = "DNS:gw1.example.org";
	by_other_ca = map_needs_other = match_name = p_needs_map = identity_at_caller = call_by_map = false;
	memset(rules, 0, sizeof(rules));
	rules[0] = "subject-name co ou = green";
	dn = fqdn = NULL;
	return 0;
}

static const char **name_list(struct cv_config *c, const char *name)
{
	const char **list = config_alloc(c, 1, sizeof(*list));
	list[0] = name;
	return list;
}

static void rule(struct certmap_rule *r, const char *text)
{
	char field[40], op[8];
	int at = 0;
	enum certmap_field f;
	enum certmap_op o;
	assert_int_equal(sscanf(text, "%39s %7s %n", field, op, &at), 2);
	assert_true(certmap_field_parse(field, &f));
	assert_true(certmap_op_parse(op, &o));
	assert_null(certmap_rule_init(r, f, o, text + at));
}

static void add_map(struct cv_config *c, const char *name, const char *const *text, unsigned n)
{
	struct certmap *m = &c->cert_map[c->n_cert_map++];
	struct certmap_entry *e = config_alloc(c, n, sizeof(*e));
	m->name = name;
	m->entry = e;
	for (; m->n_entry < n && text[m->n_entry]; m->n_entry++) {
		struct certmap_rule *r = config_alloc(c, 1, sizeof(*r));
		rule(r, text[m->n_entry]);
		e[m->n_entry] = (struct certmap_entry){.seq = 10 * (m->n_entry + 1), .rule = r, .n_rule = 1};
	}
}

static void add_identity(struct cv_config *c)
{
	struct certmap_id_line *l = config_alloc(c, 2, sizeof(*l));
	struct certmap_identity *id = c->identity = config_alloc(c, 1, sizeof(*c->identity));
	c->n_identity = 1;
	id->name = "who";
	id->line = l;
	if (dn)
		assert_null(certmap_id_line_init(&l[id->n_line++], CERTMAP_ID_DN, dn));
	if (fqdn)
		assert_null(certmap_id_line_init(&l[id->n_line++], CERTMAP_ID_FQDN, fqdn));
}

/* Profile "green" and entry 20 with it, for peers of any address. */
static void add_green(struct cv_config *c)
{
	struct cfg_ike_profile *q = config_alloc(c, 2, sizeof(*q));
	struct cfg_map_entry *e = config_alloc(c, 2, sizeof(*e));
	q[0] = q[1] = c->ike_profile[0];
	q[1].name = "green";
	q[1].match = NULL;
	q[1].n_match = 0;
	q[1].match_cert = name_list(c, "cert_map");
	q[1].n_match_cert = 1;
	q[1].client_group = "new_group";
	q[1].trust_point = name_list(c, map_needs_other ? "other" : "lab");
	q[1].n_trust_point = 1;
	c->ike_profile = q;
	c->n_ike_profile = 2;
	e[0] = e[1] = c->map->entry[0];
	e[1].seq = 20;
	e[1].ike_profile = "green";
	e[1].peer = NULL;
	e[1].n_peer = 0;
	c->map->entry = e;
	c->map->n_entry = 2;
}

static void configure(struct cv_config *c, int i)
{
	static const char *const never[] = {"subject-name eq nobody"};
	struct cfg_ike_profile *q = c->ike_profile;
	c->trust_point = config_alloc(c, 2, sizeof(*c->trust_point));
	c->cert_map = config_alloc(c, 2, sizeof(*c->cert_map));
	bool strange = i == 0 && by_other_ca;
	cert_env_point(c, "lab", i, key[i], strange, strange ? cert_env.rogue_path : cert_env.ca_path);
	if (i)
		cert_env_point(c, "other", i, key[i], true, cert_env.rogue_path);
	if (strange) { /* the peer itself believes both */
		struct pki_files *f = &c->trust_point[0].files;
		f->ca = config_alloc(c, 2, sizeof(char *));
		f->ca[0] = cert_env.rogue_path;
		f->ca[1] = cert_env.ca_path;
		f->n_ca = 2;
	}
	q->local_auth = q->remote_auth = CFG_METHOD_SIGNATURE;
	q->n_match = 0;
	cert_env_fqdn(c, i);
	q->trust_point = name_list(c, "lab");
	q->n_trust_point = 1;
	if (version == CFG_IKEV1) {
		c->ike_policy = config_alloc(c, 1, sizeof(*c->ike_policy));
		c->n_ike_policy = 1;
		c->no_default_policy = true;
		c->ike_policy[0] = (struct cfg_ike_policy){.priority = 10,
			.encr = IKE_ENCR_AES_CBC,
			.key_bits = 256,
			.hash = IKE_PRF_HMAC_SHA256,
			.auth = CFG_AUTH_RSA_SIG,
			.group = IKE_GROUP_ECP256,
			.lifetime_s = 86400};
	}
	if (i == 0) {
		if (identity_at_caller) {
			add_identity(c);
			c->map->entry->identity = "who";
		}
		if (call_by_map) {
			add_map(c, "cert_map", rules, 4);
			q->match_cert = name_list(c, "cert_map");
			q->n_match_cert = 1;
		}
		return;
	}
	if (match_name) {
		q->match = config_alloc(c, 1, sizeof(*q->match));
		q->match[0] = (struct cfg_identity){.type = CFG_ID_FQDN, .text = "example.org", .domain = true};
		q->n_match = 1;
	}
	if (rules[0])
		add_map(c, "cert_map", rules, 4);
	if (rules[0])
		add_green(c);
	if (p_needs_map) {
		add_map(c, "never", never, 1);
		c->ike_profile[0].match_cert = name_list(c, "never");
		c->ike_profile[0].n_match_cert = 1;
	}
	if ((dn || fqdn) && !identity_at_caller) {
		add_identity(c);
		for (unsigned k = 0; k < c->map->n_entry; k++)
			c->map->entry[k].identity = "who";
	}
}

static void try(void)
{
	teardown(NULL);
	p = pair_new(version, configure);
	pair_acquire(p, 0, 0);
	pair_run(p, 1000);
}

static void up_with(const char *profile, const char *map, const char *group)
{
	try();
	assert_true(pair_children_agree(p, 1));
	assert_string_equal(pair_show(p, 1, "profile"), profile);
	assert_string_equal(pair_show(p, 1, "certificate_map"), map);
	assert_string_equal(pair_show(p, 1, "peer_group"), group);
}

static void refused(void)
{
	try();
	pair_run(p, 60000);
	assert_int_equal(pair_n_children(p, 0) + pair_n_children(p, 1), 0);
	assert_int_equal(pair_n_sas(p, 1), 0);
	assert_true(pair_stat(p, 1, "auth_failed") >= 1);
}

/* The whole of it for each version. */
#define BOTH_VERSIONS for (version = CFG_IKEV1; version <= CFG_IKEV2; version++)

/* CERTMAP-T1, CERTMAP-T3, CERTMAP-2, CERTMAP-5, CERTMAP-6, CERTMAP-15: no identity matches, the certificate does. */
static void map_selects(void **state)
{
	(void)state;
	BOTH_VERSIONS
	{
		p_needs_map = true;
		up_with("green", "cert_map 10", "new_group");
		assert_int_equal(pair_stat(p, 1, "certmap_matched"), 1);
		assert_string_equal(pair_show(p, 1, "peer_certificate"), "C=IN, OU=green, CN=gw0");
		pair_restart(p, 1); /* and it stays so */
		assert_string_equal(pair_show(p, 1, "certificate_map"), "cert_map 10");
		assert_string_equal(pair_show(p, 1, "peer_group"), "new_group");
	}
}

/*
 * CERTMAP-14: what is logged, in this order: the profile, its group, and that a profile without a keyring ends the
 * search for a preshared key, which is no error.
 */
static void without_keyring(struct cv_config *c, int i)
{
	configure(c, i);
	c->ike_profile[c->n_ike_profile - 1].n_keyring = 0;
}

static void logged_in_order(void **state)
{
	static const char chosen[] = "fits map cert_map 10: profile green",
			  group[] = "profile green assigns the peer the group",
			  search[] = "profile green has no keyring";
	char dir[] = "/tmp/ike_certmap.XXXXXX";
	(void)state;
	assert_non_null(mkdtemp(dir));
	p_needs_map = true;
	BOTH_VERSIONS
	{
		teardown(NULL);
		log_catch(dir);
		cv_log_set_level(CV_LOG_DEBUG);
		p = pair_new(version, without_keyring);
		pair_acquire(p, 0, 0);
		pair_run(p, 1000);
		cv_log_set_level(CV_LOG_WARNING);
		bool ok = log_in_order(chosen, group) && log_in_order(group, search);
		log_release();
		assert_true(ok);
		assert_true(pair_children_agree(p, 1));
		assert_string_equal(pair_show(p, 1, "profile"), "green");
	}
	rmdir(dir);
}

/* CERTMAP-7, CERTMAP-T5, CERTMAP-Q2: the map wins over an identity that matches another profile, and over the OU. */
static void map_overrides(void **state)
{
	(void)state;
	BOTH_VERSIONS
	{
		match_name = true;
		cert_env.subject = "/C=IN/OU=green/CN=gw0";
		up_with("green", "cert_map 10", "new_group");
		/* another OU: the identity decides, and the OU is the group (CERTMAP-1, CERTMAP-9) */
		cert_env.subject = "/C=IN/OU=blue/CN=gw0";
		up_with("p", "", "blue");
		assert_int_equal(pair_stat(p, 1, "certmap_no_match"), 1);
	}
}

/* CERTMAP-T4, CERTMAP-9: the profile's group goes to its peers however they came to it. */
static void some_group(struct cv_config *c, int i)
{
	configure(c, i);
	c->ike_profile->client_group = i ? "some_group" : NULL;
}

static void group_by_identity(void **state)
{
	(void)state;
	rules[0] = NULL;
	match_name = true;
	BOTH_VERSIONS
	{
		teardown(NULL);
		p = pair_new(version, some_group);
		pair_acquire(p, 0, 0);
		pair_run(p, 1000);
		assert_string_equal(pair_show(p, 1, "peer_group"), "some_group");
	}
}

/* VRF-25, CERTMAP-1: without maps a group is the first OU of the name that the peer's certificate proves. */
static void sends_dn(struct cv_config *c, int i)
{
	configure(c, i);
	c->ike_profile->local_id = (struct cfg_identity){.type = CFG_ID_NONE};
	if (!i)
		return;
	c->ike_profile->match = config_alloc(c, 1, sizeof(*c->ike_profile->match));
	c->ike_profile->match[0] = (struct cfg_identity){.type = CFG_ID_KEY_ID, .text = "green"};
	c->ike_profile->n_match = 1;
}

static void group_matches_ou(void **state)
{
	(void)state;
	rules[0] = NULL;
	BOTH_VERSIONS
	{
		cert_env.subject = "/C=IN/OU=green/CN=gw0";
		teardown(NULL);
		p = pair_new(version, sends_dn);
		pair_acquire(p, 0, 0);
		pair_run(p, 1000);
		assert_true(pair_children_agree(p, 1));
		assert_string_equal(pair_show(p, 1, "peer_group"), "green");
		cert_env.subject = "/C=IN/OU=blue/OU=green/CN=gw0"; /* not the first */
		teardown(NULL);
		p = pair_new(version, sends_dn);
		pair_acquire(p, 0, 0);
		pair_run(p, 60000);
		assert_int_equal(pair_n_children(p, 0) + pair_n_children(p, 1), 0);
		assert_true(pair_stat(p, 1, "auth_failed") >= 1);
	}
}

/* CERTMAP-10, CERTMAP-Q3, PKIAUTH-41: the entries of a map are tried in order, the first that fits is it. */
static void map_order(void **state)
{
	(void)state;
	BOTH_VERSIONS
	{
		rules[0] = "subject-name co ou = blue";
		rules[1] = "issuer-name co cn = root";
		rules[2] = "subject-name co ou = green";
		up_with("green", "cert_map 20", "new_group");
		rules[1] = "serial-number eq 0";
		up_with("green", "cert_map 30", "new_group");
	}
}

/* No map fits and no identity: refused and counted (CERTMAP-1). */
static void nothing_fits(void **state)
{
	(void)state;
	BOTH_VERSIONS
	{
		cert_env.subject = "/C=IN/OU=blue/CN=gw0";
		p_needs_map = true;
		refused();
		assert_int_equal(pair_stat(p, 1, "certmap_no_match"), 1);
		assert_int_equal(pair_stat(p, 1, "certmap_matched"), 0);
	}
}

/*
 * CERTMAP-12, CERTMAP-13, VRF-31: the map chooses before the certificate is judged, and the chosen profile's trust
 * points judge it: being good for the profile of the peer's address or name does not help.
 */
static void judged_by_the_chosen(void **state)
{
	(void)state;
	BOTH_VERSIONS
	{
		map_needs_other = match_name = true;
		by_other_ca = false;
		refused();
		by_other_ca = true;
		up_with("green", "cert_map 10", "new_group");
		map_needs_other = false;
		refused();
	}
}

/* As initiator the map says whom we expect. */
static void initiator_expects(void **state)
{
	(void)state;
	BOTH_VERSIONS
	{
		call_by_map = true;
		rules[0] = "subject-name co cn = gw1";
		rules[1] = "subject-name co cn = gw0"; /* for host 1 */
		try();
		assert_true(pair_children_agree(p, 1));
		assert_string_equal(pair_show(p, 0, "certificate_map"), "cert_map 10");
		rules[0] = "subject-name co ou = green"; /* fits host 0, not host 1 */
		rules[1] = NULL;
		try();
		pair_run(p, 60000);
		assert_int_equal(pair_n_children(p, 0) + pair_n_children(p, 1), 0);
		assert_true(pair_stat(p, 0, "auth_failed") >= 1);
	}
}

/* SAFENET-14: a profile without keyring, with certificates, in service at one of our addresses only. */
static const char *bound_to;
static void with_binding(struct cv_config *c, int i)
{
	configure(c, i);
	c->ike_profile->n_keyring = 0;
	if (i)
		assert_int_equal(cv_addr_parse(bound_to, &c->ike_profile->local.addr), 0);
}

static void bound_profile(void **state)
{
	(void)state;
	rules[0] = NULL;
	BOTH_VERSIONS
	{
		teardown(NULL);
		bound_to = "192.0.2.2";
		p = pair_new(version, with_binding);
		pair_acquire(p, 0, 0);
		pair_run(p, 1000);
		assert_true(pair_children_agree(p, 1));
		teardown(NULL);
		bound_to = "192.0.2.77";
		p = pair_new(version, with_binding);
		pair_acquire(p, 0, 0);
		pair_run(p, 20000);
		assert_int_equal(pair_n_children(p, 0) + pair_n_children(p, 1), 0);
		assert_int_equal(pair_n_sas(p, 1), 0);
	}
}

/* CERTMAP-8: a peer with a preshared key has no certificate that a map could fit. */
static void with_psk(struct cv_config *c, int i)
{
	configure(c, i);
	for (unsigned k = 0; k < c->n_ike_profile; k++)
		c->ike_profile[k].local_auth = c->ike_profile[k].remote_auth = CFG_METHOD_PSK;
	if (version == CFG_IKEV1)
		c->ike_policy[0].auth = CFG_AUTH_PSK;
}

static void maps_are_for_certificates(void **state)
{
	(void)state;
	BOTH_VERSIONS
	{
		p_needs_map = true;
		teardown(NULL);
		p = pair_new(version, with_psk);
		pair_acquire(p, 0, 0);
		pair_run(p, 60000);
		assert_int_equal(pair_n_children(p, 0) + pair_n_children(p, 1), 0);
		assert_int_equal(pair_stat(p, 1, "certmap_matched") + pair_stat(p, 1, "certmap_no_match"), 0);
		match_name = true; /* by its identity it is welcome */
		teardown(NULL);
		p = pair_new(version, with_psk);
		pair_acquire(p, 0, 0);
		pair_run(p, 1000);
		assert_true(pair_children_agree(p, 1));
		match_name = false;
	}
}

/* A profile may have several maps (CERTMAP-3); a map in two profiles is refused (CERTMAP-4, CERTMAP-T5). */
static void one_profile_per_map(void **state)
{
	char err[CFG_ERR_MAX];
	(void)state;
	version = CFG_IKEV2;
	struct cv_config *c = pair_config(1, version);
	configure(c, 1);
	add_map(c, "second", (const char *const[]){"subject-name co cn=gw0"}, 1);
	const char **both = config_alloc(c, 2, sizeof(*both));
	both[0] = "second";
	both[1] = "cert_map";
	c->ike_profile[1].match_cert = both;
	c->ike_profile[1].n_match_cert = 2;
	pair_resolve(c);
	config_unref(c);
	c = pair_config(1, version);
	configure(c, 1);
	c->ike_profile[0].match_cert = name_list(c, "cert_map");
	c->ike_profile[0].n_match_cert = 1;
	assert_int_not_equal(config_resolve(c, err, NULL, NULL), 0);
	assert_non_null(strstr(err, "profile[name='green']/match-certificate: map \"cert_map\" is in profile \"p\""));
	config_unref(c);
}

/* ---- crypto identities ---- */

static void barred(const char *why)
{
	try();
	pair_run(p, 20000);
	assert_int_equal(pair_n_children(p, 0) + pair_n_children(p, 1), 0);
	assert_true(pair_stat(p, 1, why) >= 1);
}

/* DN-T1, DN-T3, DN-1, DN-2, DN-4, DN-5, DN-8: phase 1 succeeds, the child does not. */
static void identity_dn(void **state)
{
	(void)state;
	rules[0] = NULL;
	BOTH_VERSIONS
	{
		dn = "ou=green";
		up_with("p", "", "green");
		dn = "OU = Green , c=in";
		up_with("p", "", "green");
		dn = "ou=BigBiz";
		barred("identity_refused");
		assert_int_equal(pair_n_sas(p, 1), 1);
		assert_int_equal(pair_stat(p, 1, "auth_failed"), 0);
		dn = NULL;
		up_with("p", "", "green");
	}
}

/* DN-T2, DN-3, DN-9: by the name that the certificate has. */
static void identity_fqdn(void **state)
{
	(void)state;
	rules[0] = NULL;
	BOTH_VERSIONS
	{
		fqdn = "gw0.example.org";
		up_with("p", "", "green");
		ike_child_expire(p->h[0].ike, pair_newest(p, 0)->id, false); /* a rekey asks again */
		pair_run(p, 20000);
		assert_true(pair_stat(p, 0, "child_rekeyed") >= 1);
		assert_int_equal(pair_stat(p, 1, "identity_refused"), 0);
		pair_restart(p, 1);
		ike_child_expire(p->h[0].ike, pair_newest(p, 0)->id, false);
		pair_run(p, 5000);
		assert_true(pair_stat(p, 0, "child_rekeyed") >= 2);
		fqdn = "little.com";
		barred("identity_refused");
		dn = "ou=nobody";
		fqdn = "gw0.example.org"; /* either line will do (DN-1) */
		up_with("p", "", "green");
		dn = NULL;
	}
}

/* It binds the caller as well: what the peer turns out to be decides whether the entry may be used. */
static void identity_of_the_called(void **state)
{
	(void)state;
	rules[0] = NULL;
	identity_at_caller = true;
	BOTH_VERSIONS
	{
		dn = "cn=gw1";
		try();
		assert_true(pair_children_agree(p, 1));
		dn = "cn=another";
		try();
		pair_run(p, 20000);
		assert_int_equal(pair_n_children(p, 0), 0);
		assert_true(pair_stat(p, 0, "identity_refused") >= 1);
		assert_int_equal(pair_n_children(p, 1), 0); /* it was told */
	}
}

/* DN-6, DN-9, DN-Q3: a name that only claims to be one, here with a key by address, opens nothing. */
static void claimed_name(void **state)
{
	(void)state;
	rules[0] = NULL;
	fqdn = "gw0.example.org";
	BOTH_VERSIONS
	{
		teardown(NULL);
		p = pair_new(version, with_psk);
		pair_acquire(p, 0, 0);
		pair_run(p, 20000);
		assert_int_equal(pair_n_children(p, 0) + pair_n_children(p, 1), 0);
		assert_true(pair_stat(p, 1, "identity_refused") >= 1);
	}
}

/* IKEv2: the proof goes over to the successor of an IKE SA. */
static void identity_survives_rekey(void **state)
{
	(void)state;
	rules[0] = NULL;
	version = CFG_IKEV2;
	dn = "ou=green";
	try();
	pair_run(p, 90000000); /* more than a day: the IKE SA has been renewed */
	assert_true(pair_stat(p, 1, "sa_rekeyed") >= 1);
	assert_true(pair_children_agree(p, 1));
	assert_string_equal(pair_show(p, 1, "peer_certificate"), "C=IN, OU=green, CN=gw0");
	assert_int_equal(pair_stat(p, 1, "identity_refused"), 0);
}

/* A commit that takes the right away takes the child away (DN-7). */
static void identity_changes(void **state)
{
	(void)state;
	rules[0] = NULL;
	BOTH_VERSIONS
	{
		dn = "ou=green";
		try();
		assert_true(pair_children_agree(p, 1));
		dn = "ou=blue";
		pair_reconfigure(p, 1, version, configure);
		pair_run(p, 5000);
		assert_int_equal(pair_n_children(p, 1), 0);
	}
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, reset, teardown)
	const struct CMUnitTest tests[] = {T(map_selects), T(logged_in_order), T(map_overrides), T(group_by_identity),
		T(group_matches_ou), T(map_order), T(nothing_fits), T(judged_by_the_chosen), T(initiator_expects),
		T(maps_are_for_certificates), T(one_profile_per_map), T(bound_profile), T(identity_dn),
		T(identity_fqdn), T(identity_of_the_called), T(claimed_name), T(identity_survives_rekey),
		T(identity_changes)};
	return cmocka_run_group_tests(tests, setup, finish);
}
