/* SPDX-License-Identifier: BSD-3-Clause */
/* Datastores: a bad configuration names its node and changes nothing; commits are atomic, confirmable, reversible. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "mgmt_fixture.h"

#define MTU "interfaces/interface[lan]/mtu"

static char *running(struct fixture *f)
{
	char *text = store_print(f->store, "running", NULL, LYD_JSON, &f->err);

	assert_non_null(text);
	return text;
}

static void commit(struct fixture *f, uint32_t confirm_s)
{
	store_commit(f->store, "tester", confirm_s, fixture_done, f);
	fixture_wait(f);
	if (f->failed)
		fail_msg("%s: %s", f->err.path, f->err.text);
}

static void set_mtu(struct fixture *f, const char *value)
{
	if (store_set(f->store, MTU, value, &f->err))
		fail_msg("%s: %s", f->err.path, f->err.text);
}

static unsigned mtu_in_force(const struct fixture *f)
{
	for (unsigned i = 0; i < f->last->n_interface; i++)
		if (strcmp(f->last->interface[i].name, "lan") == 0)
			return f->last->interface[i].mtu;
	return 0;
}

/* Each kind of malformed configuration: the edit, the path the error must name, and a word of what is said. */
static const struct {
	const char *name, *from, *to, *path, *says;
} malformed[] = {
	{"unknown node", "\"description\": \"Inside: clear packets\"", "\"colour\": \"red\"",
		"/ietf-interfaces:interfaces/interface[name='lan']/colour", "valid: "},
	{"unknown top node", "\"culvert-vrf:vrfs\"", "\"culvert-vrf:verfs\"", "/culvert-vrf:verfs", "culvert-vrf:vrfs"},
	{"quoted number", "\"prefix-length\": 24", "\"prefix-length\": \"24\"",
		"/ietf-interfaces:interfaces/interface[name='lan']/ietf-ip:ipv4/address[ip='10.1.0.1']/prefix-length",
		"in quotes, this is a number"},
	{"unknown module", "\"culvert-vrf:vrfs\"", "\"culvert-vfr:vrfs\"", "/culvert-vfr:*", "culvert-vrf"},
	{"node of the standard that is not done", "\"ietf-ip:ipv4\": { ", "\"ietf-ip:ipv4\": { \"forwarding\": true, ",
		"/ietf-interfaces:interfaces/interface[name='lan']/ietf-ip:ipv4/forwarding", "address"},
	{"bad address", "10.1.0.1", "10.1.0.300",
		"/ietf-interfaces:interfaces/interface[name='lan']/ietf-ip:ipv4/address/ip", "192.0.2.1"},
	{"bad prefix length", "\"prefix-length\": 24", "\"prefix-length\": 33",
		"/ietf-interfaces:interfaces/interface[name='lan']/ietf-ip:ipv4/address[ip='10.1.0.1']/prefix-length",
		"0..32"},
	{"bad prefix in a route", "\"destination-prefix\": \"0.0.0.0/0\"", "\"destination-prefix\": \"0.0.0.0/64\"",
		"/ietf-routing:routing/control-plane-protocols/control-plane-protocol[type='ietf-routing:static']"
		"[name='global']/static-routes/ietf-ipv4-unicast-routing:ipv4/route[destination-prefix='0.0.0.0/64']/"
		"destination-prefix",
		"\"0.0.0.0/64\" is not valid; valid: a prefix such as 192.0.2.0/24"},
	{"bad prefix in an access list", "10.1.0.0/24", "10.1.0.0/33",
		"/culvert-acl:access-lists/access-list[name='to-site2']/line[sequence='10']/source", "any"},
	{"out of range", "\"type\": \"iana-if-type:softwareLoopback\"",
		"\"type\": \"iana-if-type:softwareLoopback\", \"culvert-platform:mtu\": 70000",
		"/ietf-interfaces:interfaces/interface[name='loopback0']/culvert-platform:mtu", "576..9216"},
	{"too hard a puzzle", "\"culvert-ike:ike\": {", "\"culvert-ike:ike\": { \"puzzle-difficulty\": 25,",
		"/culvert-ike:ike/puzzle-difficulty", "0..24"},
	{"unknown algorithm", "\"aes128-gcm16\" }", "\"des\" }",
		"/culvert-ipsec:ipsec/transform-set[name='gcm']/algorithm", "aes256-cbc-sha256-128"},
	{"legacy algorithm", "\"aes128-gcm16\" }", "\"aes128-cbc-sha1-96\" }",
		"/culvert-ipsec:ipsec/transform-set[name='gcm']/algorithm", "allow-legacy"},
	{"dangling VRF", "\"culvert-vrf:vrf\": \"red\"", "\"culvert-vrf:vrf\": \"blue\"",
		"/ietf-interfaces:interfaces/interface[name='lan.20']/culvert-vrf:vrf", "valid: red"},
	{"dangling crypto map", "\"culvert-ipsec:crypto-map\": \"vpn\"", "\"culvert-ipsec:crypto-map\": \"vpm\"",
		"/ietf-interfaces:interfaces/interface[name='wan']/culvert-ipsec:crypto-map", "valid: vpn"},
	{"dangling access list", "\"access-list\": \"to-site2\"", "\"access-list\": \"to-site3\"",
		"/culvert-ipsec:ipsec/crypto-map[name='vpn']/entry[sequence='10']/access-list", "valid: to-site2"},
	{"duplicate", "\"name\": \"loopback0\"", "\"name\": \"lan\"",
		"/ietf-interfaces:interfaces/interface[name='lan']", "Duplicate"},
	{"missing node", "\"algorithm\": \"aes128-gcm16\"", "\"mode\": \"tunnel\"",
		"/culvert-ipsec:ipsec/transform-set[name='gcm']/protection", "mandatory"},
	{"missing choice", "\"address\": \"192.0.2.2\", \"key\"", "\"key\"",
		"/culvert-ike:ike/keyring[name='site2']/pre-shared-key[name='peer']/peer", "mandatory"},
	{"wrong family", "\"destination\": \"10.2.0.0/24\"", "\"destination\": \"2001:db8::/32\"",
		"/culvert-acl:access-lists/access-list[name='to-site2']/line[sequence='10']/destination",
		"same address family"},
	{"wrong interface type", "iana-if-type:softwareLoopback", "iana-if-type:ppp",
		"/ietf-interfaces:interfaces/interface[name='loopback0']/type", "iana-if-type:l2vlan"},
	{"node of another type", "\"type\": \"iana-if-type:softwareLoopback\"",
		"\"type\": \"iana-if-type:softwareLoopback\", \"culvert-platform:device\": \"net_null0\"",
		"/ietf-interfaces:interfaces/interface[name='loopback0']/culvert-platform:device", "ethernetCsmacd"},
	{"GCM with CBC", "\"aes256-gcm16\", ", "\"aes256-cbc\", ", "/culvert-ike:ike/proposal[name='strong']",
		"RFC 7296"},
	{"no JSON", "{\n  \"culvert-platform", "[\n  \"culvert-platform", "", ""},
	{"refused by control", "\"value\": \"192.0.2.2\"", "\"value\": \"192.0.2.0.2\"",
		"/culvert-ike:ike/profile[name='site2']/match-identity[name='peer']/value", "host address"},
};

static void test_malformed(void **state)
{
	struct fixture *f = *state;
	char *before = running(f);
	char *candidate = store_print(f->store, "candidate", NULL, LYD_JSON, &f->err);
	unsigned applied = f->applied;

	for (unsigned i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++) {
		char *text = fixture_sample_with(malformed[i].from, malformed[i].to);
		memset(&f->err, 0, sizeof(f->err));
		if (store_load(f->store, text, false, &f->err) == 0)
			fail_msg("%s: accepted", malformed[i].name);
		if (strcmp(f->err.path, malformed[i].path) != 0 || !strstr(f->err.text, malformed[i].says))
			fail_msg("%s: error is \"%s: %s\"", malformed[i].name, f->err.path, f->err.text);
		/* the same through the check that touches no datastore */
		assert_int_not_equal(store_check_text(f->store, text, NULL, &f->err), 0);
		free(text);
	}
	char *after = running(f);
	char *candidate_after = store_print(f->store, "candidate", NULL, LYD_JSON, &f->err);
	assert_string_equal(before, after);
	assert_string_equal(candidate, candidate_after);
	assert_int_equal(f->applied, applied);
	free(before);
	free(after);
	free(candidate);
	free(candidate_after);
}

/* Errors must not print what they are about when that is a secret. */
static void test_secret_in_error(void **state)
{
	struct fixture *f = *state;
	char *text =
		fixture_sample_with("\"key\": \"replace-this-with-a-long-random-string\"", "\"key-hex\": \"5ec2e7x\"");

	assert_int_not_equal(store_load(f->store, text, false, &f->err), 0);
	assert_string_equal(f->err.path, "/culvert-ike:ike/keyring[name='site2']/pre-shared-key[name='peer']/key-hex");
	assert_null(strstr(f->err.text, "5ec2e7x"));
	free(text);
}

static void test_secrets_hidden(void **state)
{
	struct fixture *f = *state;
	const char *const secret = "replace-this-with";
	char *text = running(f);

	assert_null(strstr(text, secret));
	assert_non_null(strstr(text, MODEL_HIDDEN));
	/* a listing can be loaded again: the secret stays what it was */
	assert_int_equal(store_load(f->store, text, false, &f->err), 0);
	json_t *diff = store_diff(f->store, -1, &f->err);
	assert_int_equal(json_array_size(diff), 0);
	json_decref(diff);
	free(text);
	text = store_print(f->store, "running", NULL, LYD_XML, &f->err);
	assert_null(strstr(text, secret));
	free(text);
	text = store_print(f->store, "startup", NULL, LYD_JSON, &f->err);
	assert_null(strstr(text, secret));
	free(text);
	/* a change of a secret is seen and not shown */
	assert_int_equal(store_set(f->store, "ike/keyring[site2]/pre-shared-key[peer]/key", "another", &f->err), 0);
	diff = store_diff(f->store, -1, &f->err);
	assert_int_equal(json_array_size(diff), 1);
	text = json_dumps(diff, 0);
	assert_null(strstr(text, secret));
	assert_null(strstr(text, "another"));
	json_decref(diff);
	free(text);
	/* a hidden secret that nobody knows is an error, not a key */
	text = fixture_sample_with(
		"\"name\": \"peer\", \"address\": \"192.0.2.2\", \"key\": \"replace-this-with-a-long-random-string\"",
		"\"name\": \"peer2\", \"address\": \"192.0.2.2\", \"key\": \"<hidden>\"");
	assert_int_not_equal(store_load(f->store, text, false, &f->err), 0);
	assert_string_equal(f->err.path, "/culvert-ike:ike/keyring[name='site2']/pre-shared-key[name='peer2']/key");
	free(text);
}

static void test_edit_and_commit(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(mtu_in_force(f), 1500);
	set_mtu(f, "1400");
	assert_int_equal(mtu_in_force(f), 1500);
	json_t *diff = store_diff(f->store, -1, &f->err);
	assert_int_equal(json_array_size(diff), 1);
	const json_t *e = json_array_get(diff, 0);
	assert_string_equal(json_string_value(json_object_get(e, "path")),
		"/ietf-interfaces:interfaces/interface[name='lan']/culvert-platform:mtu");
	assert_string_equal(json_string_value(json_object_get(e, "value")), "1400");
	json_decref(diff);
	commit(f, 0);
	assert_int_equal(mtu_in_force(f), 1400);
	assert_int_equal(json_integer_value(json_object_get(f->result, "changed")), 1);
	/* a commit without changes applies nothing */
	unsigned applied = f->applied;
	commit(f, 0);
	assert_int_equal(f->applied, applied);
	assert_int_equal(store_delete(f->store, MTU, &f->err), 0);
	assert_int_not_equal(store_delete(f->store, MTU, &f->err), 0);
	commit(f, 0);
	assert_int_equal(mtu_in_force(f), 1500);
}

static void test_edit_errors(void **state)
{
	struct fixture *f = *state;

	assert_int_not_equal(store_set(f->store, "interfaces/interface[lan]/mtx", "1", &f->err), 0);
	assert_string_equal(f->err.path, "/ietf-interfaces:interfaces/interface[name='lan']");
	assert_int_not_equal(store_set(f->store, MTU, "99999", &f->err), 0);
	assert_string_equal(f->err.path, "/ietf-interfaces:interfaces/interface[name='lan']/culvert-platform:mtu");
	assert_non_null(strstr(f->err.text, "576..9216"));
	assert_int_not_equal(store_set(f->store, MTU, NULL, &f->err), 0);
	assert_int_not_equal(store_set(f->store, "interfaces/interface[lan]/name", "x", &f->err), 0);
	assert_int_not_equal(store_set(f->store, "interfaces/interface[lan", "x", &f->err), 0);
	assert_int_not_equal(store_set(f->store, "", "x", &f->err), 0);
	assert_int_not_equal(store_delete(f->store, "interfaces/interface[nix]", &f->err), 0);
	json_t *diff = store_diff(f->store, -1, &f->err);
	assert_int_equal(json_array_size(diff), 0);
	json_decref(diff);
	/* an edit that leaves a dangling reference is found at the commit, which changes nothing */
	unsigned applied = f->applied;
	assert_int_equal(store_delete(f->store, "access-lists/access-list[to-site2]", &f->err), 0);
	store_commit(f->store, "tester", 0, fixture_done, f);
	fixture_wait(f);
	assert_true(f->failed);
	assert_string_equal(
		f->err.path, "/culvert-ipsec:ipsec/crypto-map[name='vpn']/entry[sequence='10']/access-list");
	assert_int_equal(f->applied, applied);
	assert_int_equal(store_discard(f->store, &f->err), 0);
}

static unsigned history_size(struct fixture *f)
{
	json_t *h = store_history(f->store);
	unsigned n = (unsigned)json_array_size(h);

	json_decref(h);
	return n;
}

/* Every step of a commit fails once; each time the state before and after is the same. */
static void test_commit_atomic(void **state)
{
	struct fixture *f = *state;
	static const enum store_step steps[] = {STORE_PREPARE, STORE_APPLY, STORE_RECORD};
	char *before = running(f);
	unsigned history = history_size(f);

	set_mtu(f, "1400");
	for (unsigned i = 0; i < 3 + 1; i++) {
		if (i < 3)
			f->fail_step = steps[i];
		else
			f->refuse = "/ietf-interfaces:interfaces/interface[name='lan']: the device is not there";
		store_commit(f->store, "tester", i == 2 ? 60 : 0, fixture_done, f);
		fixture_wait(f);
		assert_true(f->failed);
		f->fail_step = 0;
		if (i == 3)
			assert_string_equal(f->err.path, "/ietf-interfaces:interfaces/interface[name='lan']");
		char *after = running(f);
		assert_string_equal(before, after);
		free(after);
		assert_int_equal(mtu_in_force(f), 1500);
		assert_int_equal(history_size(f), history);
		/* and the same to a process that starts now */
		fixture_restart(f, true);
		assert_int_equal(mtu_in_force(f), 1500);
		json_t *status = store_status(f->store);
		assert_null(json_object_get(status, "confirm_seconds_left"));
		json_decref(status);
		set_mtu(f, "1400");
	}
	commit(f, 0);
	assert_int_equal(mtu_in_force(f), 1400);
	free(before);
}

static void test_confirm_in_time(void **state)
{
	struct fixture *f = *state;

	set_mtu(f, "1400");
	commit(f, 600);
	assert_int_equal(mtu_in_force(f), 1400);
	assert_int_not_equal(store_save(f->store, &f->err), 0);
	commit(f, 0);
	assert_true(json_is_true(json_object_get(f->result, "confirmed")));
	assert_int_equal(store_save(f->store, &f->err), 0);
	json_t *status = store_status(f->store);
	assert_null(json_object_get(status, "confirm_seconds_left"));
	json_decref(status);
}

static void test_confirm_times_out(void **state)
{
	struct fixture *f = *state;

	set_mtu(f, "1400");
	commit(f, 1);
	assert_int_equal(mtu_in_force(f), 1400);
	unsigned applied = f->applied;
	while (f->applied == applied)
		uv_run(&f->loop, UV_RUN_ONCE);
	assert_int_equal(mtu_in_force(f), 1500);
	json_t *h = store_history(f->store);
	assert_string_equal(
		json_string_value(json_object_get(json_array_get(h, 0), "comment")), "commit was not confirmed");
	json_decref(h);
}

/* The wait for confirmation outlives the process, and so does its end. */
static void test_confirm_over_restart(void **state)
{
	struct fixture *f = *state;

	set_mtu(f, "1400");
	commit(f, 600);
	fixture_restart(f, true);
	assert_int_equal(mtu_in_force(f), 1400);
	json_t *status = store_status(f->store);
	assert_true(json_integer_value(json_object_get(status, "confirm_seconds_left")) > 500);
	json_decref(status);
	/* a follow-up shortens the wait; the target stays the configuration before the first commit */
	set_mtu(f, "1300");
	commit(f, 1);
	store_free(f->store);
	uv_run(&f->loop, UV_RUN_NOWAIT);
	usleep(1100 * 1000); /* the deadline passes while no process is there: this is the case under test */
	f->store = NULL;
	fixture_restart(f, true);
	assert_int_equal(mtu_in_force(f), 1500);
	status = store_status(f->store);
	assert_null(json_object_get(status, "confirm_seconds_left"));
	json_decref(status);
}

static void test_running_survives_restart(void **state)
{
	struct fixture *f = *state;

	set_mtu(f, "1400");
	commit(f, 0);
	fixture_restart(f, true);
	assert_int_equal(mtu_in_force(f), 1400);
	/* an edited startup file wins over what ran before */
	char *text = fixture_sample_with("\"hostname\": \"gw1\"", "\"hostname\": \"gw2\"");
	FILE *file = fopen(f->startup, "w");
	fputs(text, file);
	fclose(file);
	free(text);
	fixture_restart(f, true);
	assert_int_equal(mtu_in_force(f), 1500);
	assert_string_equal(f->last->hostname, "gw2");
}

static void test_start_with_bad_file(void **state)
{
	struct fixture *f = *state;
	char *text = fixture_sample_with("\"culvert-vrf:vrf\": \"red\"", "\"culvert-vrf:vrf\": \"blue\"");
	FILE *file = fopen(f->startup, "w");
	unsigned applied = f->applied;

	fputs(text, file);
	fclose(file);
	free(text);
	fixture_restart(f, false);
	store_start(f->store, fixture_done, f);
	fixture_wait(f);
	assert_true(f->failed);
	assert_string_equal(f->err.path, "/ietf-interfaces:interfaces/interface[name='lan.20']/culvert-vrf:vrf");
	assert_int_equal(f->applied, applied);
}

static void test_rollback_and_history(void **state)
{
	struct fixture *f = *state;
	char value[8];

	for (unsigned i = 1; i <= 60; i++) {
		snprintf(value, sizeof(value), "%u", 1300 + i);
		set_mtu(f, value);
		commit(f, 0);
	}
	assert_int_equal(history_size(f), 50);
	store_rollback(f->store, 3, "tester", fixture_done, f);
	fixture_wait(f);
	assert_false(f->failed);
	assert_int_equal(mtu_in_force(f), 1357);
	store_rollback(f->store, 50, "tester", fixture_done, f);
	fixture_wait(f);
	assert_true(f->failed);
	json_t *diff = store_diff(f->store, 1, &f->err);
	assert_int_equal(json_array_size(diff), 1);
	assert_string_equal(json_string_value(json_object_get(json_array_get(diff, 0), "value")), "1360");
	json_decref(diff);
	fixture_restart(f, true);
	assert_int_equal(history_size(f), 50);
}

static void test_files_are_private(void **state)
{
	struct fixture *f = *state;
	static const char *const names[] = {
		"startup.json", "run/running.cfg", "run/confirm.cfg", "state/history/00000001.cfg"};
	char path[160];
	struct stat st;

	set_mtu(f, "1400");
	commit(f, 0);
	assert_int_equal(store_save(f->store, &f->err), 0);
	set_mtu(f, "1401");
	commit(f, 600);
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", f->dir, names[i]);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_mode & 0777, 0600);
	}
}

static void test_formats(void **state)
{
	struct fixture *f = *state;
	char *xml = store_print(f->store, "running", NULL, LYD_XML, &f->err);
	json_t *diff;

	assert_non_null(strstr(xml, "<interfaces xmlns="));
	assert_int_equal(store_load(f->store, xml, false, &f->err), 0);
	diff = store_diff(f->store, -1, &f->err);
	assert_int_equal(json_array_size(diff), 0);
	json_decref(diff);
	free(xml);
	assert_int_equal(store_load(f->store, "{\"culvert-platform:platform\":{\"workers\":2}}", true, &f->err), 0);
	diff = store_diff(f->store, -1, &f->err);
	assert_int_equal(json_array_size(diff), 1);
	json_decref(diff);
	char *part = store_print(f->store, "candidate", "platform", LYD_JSON, &f->err);
	assert_non_null(strstr(part, "\"workers\": 2"));
	assert_null(strstr(part, "interfaces"));
	free(part);
	assert_null(store_print(f->store, "candidate", "vrfs/vrf[blue]", LYD_JSON, &f->err));
	assert_null(store_print(f->store, "nothing", NULL, LYD_JSON, &f->err));
}

static bool offers(json_t *paths, const char *path)
{
	size_t i;
	json_t *p;

	json_array_foreach (paths, i, p)
		if (strcmp(json_string_value(p), path) == 0)
			return true;
	return false;
}

static void test_complete(void **state)
{
	struct fixture *f = *state;
	json_t *p = store_complete(f->store, "interfaces/interface[l");

	assert_true(offers(p, "interfaces/interface[lan]/"));
	assert_true(offers(p, "interfaces/interface[lan.20]/"));
	assert_false(offers(p, "interfaces/interface[wan]/"));
	json_decref(p);
	p = store_complete(f->store, "interfaces/interface[lan]/m");
	assert_true(offers(p, "interfaces/interface[lan]/mtu"));
	json_decref(p);
	p = store_complete(f->store, "ipse");
	assert_true(offers(p, "ipsec/"));
	json_decref(p);
}

/* ---- RSA keys that the router makes ---- */

static void generate(struct fixture *f, const char *name, bool usage_keys, unsigned bits)
{
	f->called = false;
	store_generate_rsa(f->store, name, usage_keys, bits, fixture_done, f);
	fixture_wait(f);
}

static unsigned key_files(struct fixture *f, const char *name, bool usage_keys)
{
	static const char *const kind[] = {"general", "signature", "encryption"};
	unsigned n = 0;

	for (unsigned i = usage_keys; i < (usage_keys ? 3u : 1u); i++) {
		char path[192];
		struct stat st;

		snprintf(path, sizeof(path), "%s/state/keys/%s.%s.key", f->dir, name, kind[i]);
		if (stat(path, &st) == 0) {
			assert_int_equal(st.st_mode & 0777, 0600);
			n++;
		}
	}
	return n;
}

/* IKE-44: general keys under the router's name, usage keys under another; in use after a commit, and then not to be
 * wiped; gone from disk and candidate once nothing uses them. */
static void test_rsa_keys(void **state)
{
	struct fixture *f = *state;
	const struct cfg_rsa_pair *pair;

	generate(f, NULL, false, 2048);
	assert_false(f->failed);
	assert_string_equal(json_string_value(json_object_get(f->result, "name")), f->last->hostname);
	assert_int_equal(key_files(f, f->last->hostname, false), 1);
	generate(f, "special", true, 2048);
	assert_false(f->failed);
	assert_int_equal(key_files(f, "special", true), 2);
	assert_int_equal(f->last->n_rsa_pair, 0);
	commit(f, 0);
	assert_int_equal(f->last->n_rsa_pair, 2);
	pair = f->last->rsa_pair;
	assert_true(pair[0].signs && pair[0].signs == pair[0].decrypts && pki_rsa_len(pair[0].signs) == 256);
	assert_true(pair[1].signs && pair[1].decrypts && !pki_rsa_eq(pair[1].signs, pair[1].decrypts));
	assert_int_equal(store_zeroize_rsa(f->store, "special", &f->err), -EINVAL);
	assert_non_null(strstr(f->err.text, "uses \"special\""));
	assert_int_equal(store_delete(f->store, "pki/rsa-key-pair[special]", &f->err), 0);
	commit(f, 0);
	assert_int_equal(key_files(f, "special", true), 2);
	assert_int_equal(store_zeroize_rsa(f->store, "special", &f->err), 0);
	assert_int_equal(key_files(f, "special", true), 0);
	assert_int_equal(key_files(f, f->last->hostname, false), 1);
	/* what was made and never committed goes from the candidate as well */
	generate(f, "draft", false, 2048);
	assert_int_equal(store_zeroize_rsa(f->store, "draft", &f->err), 0);
	commit(f, 0);
	assert_int_equal(f->last->n_rsa_pair, 1);
}

/* IKE-44: what is refused leaves no file and no change. */
static void test_rsa_keys_refused(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *name, *says;
		unsigned bits;
	} bad[] = {{"../startup", "a label is", 2048}, {"a/b", "a label is", 2048}, {".hidden", "a label is", 2048},
		{"", "a label is", 2048}, {"small", "2048..8192", 1024}, {"large", "2048..8192", 16384}};

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		generate(f, bad[i].name, false, bad[i].bits);
		assert_true(f->failed && strstr(f->err.text, bad[i].says));
		assert_int_equal(key_files(f, bad[i].name, false), 0);
	}
	generate(f, "once", false, 2048);
	assert_false(f->failed);
	generate(f, "once", true, 2048);
	assert_true(f->failed && strstr(f->err.text, "zeroize them first"));
	assert_int_equal(key_files(f, "once", true), 0);
	assert_int_equal(store_zeroize_rsa(f->store, "never", &f->err), -EINVAL);
	assert_int_equal(store_zeroize_rsa(f->store, "../state", &f->err), -EINVAL);
}

/* The process ends while keys are being made: whoever asked is told, and nothing is touched that is gone. */
static void test_rsa_keys_at_the_end(void **state)
{
	struct fixture *f = *state;

	f->called = false;
	store_generate_rsa(f->store, "late", false, 2048, fixture_done, f);
	fixture_restart(f, false);
	fixture_wait(f);
	assert_true(f->failed && strstr(f->err.text, "stopping"));
	assert_int_equal(key_files(f, "late", false), 0);
}

int main(int argc, char **argv)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_malformed),
		TEST(test_rsa_keys),
		TEST(test_rsa_keys_refused),
		TEST(test_rsa_keys_at_the_end),
		TEST(test_secret_in_error),
		TEST(test_secrets_hidden),
		TEST(test_edit_and_commit),
		TEST(test_edit_errors),
		TEST(test_commit_atomic),
		TEST(test_confirm_in_time),
		TEST(test_confirm_times_out),
		TEST(test_confirm_over_restart),
		TEST(test_running_survives_restart),
		TEST(test_start_with_bad_file),
		TEST(test_rollback_and_history),
		TEST(test_files_are_private),
		TEST(test_formats),
		TEST(test_complete),
	};

	fixture_args(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
