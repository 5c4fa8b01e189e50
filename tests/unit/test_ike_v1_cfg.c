/* SPDX-License-Identifier: BSD-3-Clause */
/* IKEv1, two engines against each other: Xauth (IKE-55..57, VRF-37, 38, 45) and mode configuration (IKE-58..62). */
#include "ike_v1_env.h"
#include "v1_msg.h"

static int server; /* the host where the other one logs in */

static void tweak_xauth(struct cv_config *c, int host)
{
	struct cfg_ike_profile *q = c->ike_profile;
	static const char password[] = "correct horse";
	c->user = config_alloc(c, 2, sizeof(*c->user));
	q->xauth = host == server ? CFG_XAUTH_SERVER : CFG_XAUTH_CLIENT;
	if (host == server) {
		c->n_user = 2;
		c->user[0].name = "bob";
		c->user[0].password = (struct cfg_secret){config_secret(c, "x", 1), 1};
		c->user[1].name = "alice";
		c->user[1].password = (struct cfg_secret){config_secret(c, password, 13), 13};
	} else {
		q->xauth_user = "alice";
		q->xauth_password = (struct cfg_secret){config_secret(c, password, 13), 13};
	}
}

/* The server is the responder as usual, or the initiator; in main and in aggressive mode. */
static bool aggressive;
static void tweak_mode(struct cv_config *c, int host)
{
	tweak_xauth(c, host);
	c->ike_profile->aggressive = c->ike_profile->aggressive_psk = aggressive;
}

/* IKE-57: Xauth stands on preshared keys. */
static void login(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		server = i & 1;
		aggressive = i & 2;
		start(tweak_mode);
		bring_up();
		assert_string_equal(pair_show(p, server, "xauth_user"), "alice");
		assert_string_equal(pair_show(p, 0, "state"), "QM_IDLE");
		for (int h = 0; h < 2; h++) {
			assert_int_equal(pair_n_sas(p, h), 1);
			assert_int_equal(pair_events(p, h, IKE_EVT_UP), 1);
		}
		teardown(NULL);
	}
	server = 1;
}

/* A router that nobody types passwords into; the gateway's key for it says so, or does not. */
static bool spared, hostnames;
static void tweak_router(struct cv_config *c, int host)
{
	tweak_mode(c, host);
	c->keyring[0].psk[0].no_xauth = spared && host == server;
	if (host != server)
		c->ike_profile->xauth = CFG_XAUTH_OFF;
	if (!hostnames)
		return;
	c->hostname = config_strdup(c, host ? "RemoteRouter.example.com" : "LocalRouter.example.com");
	c->local_id.type = CFG_ID_FQDN; /* without a text: the host name (IKE-48) */
	c->ike_profile->local_id.type = CFG_ID_NONE;
	c->keyring[0].psk[0].peer.addr.af = CV_AF_NONE;
	c->keyring[0].psk[0].hostname = host ? "LocalRouter.example.com" : "RemoteRouter.example.com";
	c->ike_profile->match = config_alloc(c, 1, sizeof(*c->ike_profile->match));
	c->ike_profile->n_match = 1;
	c->ike_profile->match[0].type = CFG_ID_FQDN;
	c->ike_profile->match[0].text = c->keyring[0].psk[0].hostname;
}

static void tweak_other_key(struct cv_config *c, int host)
{
	tweak_router(c, host);
	c->keyring[0].psk[0].key = config_secret(c, "another", 7);
	c->keyring[0].psk[0].key_len = 7;
}

/*
 * IKE-T5, IKE-T9, IKE-51, IKE-56: one profile asks for logins, and a key with no-xauth spares its peer that, whoever
 * begins, in main and in aggressive mode. Without it the router offers a method that is not taken.
 */
static void key_without_login(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 8; i++) {
		server = i & 1;
		aggressive = i & 2;
		spared = i & 4;
		start(tweak_router);
		drop_builtin(p);
		pair_acquire(p, 0, 0);
		pair_run(p, spared ? 1000 : 60000);
		assert_int_equal(pair_n_children(p, 0), spared);
		assert_int_equal(pair_n_children(p, 1), spared);
		if (spared)
			assert_string_equal(pair_show(p, server, "xauth_user"), "");
		teardown(NULL);
	}
	server = 1;
}

/* IKE-T5 with names: keys are kept under host names, each end sends its own (IKE-48, IKE-49), in aggressive mode
 * (IKE-14). */
static void key_by_hostname(void **state)
{
	(void)state;
	spared = aggressive = hostnames = true;
	for (int who = 0; who < 2; who++) {
		server = !who;
		start(tweak_router);
		drop_builtin(p);
		pair_acquire(p, who, 0);
		pair_run(p, 1000);
		assert_true(two_agree(p));
		assert_string_equal(pair_show(p, 0, "peer_id"), "RemoteRouter.example.com");
		assert_string_equal(pair_show(p, 1, "peer_id"), "LocalRouter.example.com");
		/* the same key changes nothing, another one ends what the old one authenticated */
		pair_reconfigure(p, 1, CFG_IKEV1, tweak_router);
		pair_run(p, 5000);
		assert_true(two_agree(p));
		assert_int_equal(pair_events(p, 1, IKE_EVT_DOWN), 0);
		pair_reconfigure(p, 1, CFG_IKEV1, tweak_other_key);
		pair_run(p, 5000);
		assert_int_equal(pair_n_sas(p, 0) + pair_n_sas(p, 1), 0);
		teardown(NULL);
	}
	hostnames = aggressive = false;
	server = 1;
}

static void tweak_wrong_password(struct cv_config *c, int host)
{
	tweak_xauth(c, host);
	if (host != server)
		c->ike_profile->xauth_password = (struct cfg_secret){config_secret(c, "correct hors!", 13), 13};
}

static void tweak_unknown_user(struct cv_config *c, int host)
{
	tweak_xauth(c, host);
	if (host != server)
		c->ike_profile->xauth_user = "mallory";
}

static void refused(void **state)
{
	(void)state;
	void (*const tweaks[])(struct cv_config *, int) = {tweak_wrong_password, tweak_unknown_user};
	server = 1;
	for (int i = 0; i < 2; i++) {
		start(tweaks[i]);
		pair_acquire(p, 0, 0);
		pair_run(p, 5000);
		for (int h = 0; h < 2; h++) {
			assert_int_equal(pair_n_sas(p, h), 0);
			assert_int_equal(pair_n_children(p, h), 0);
			assert_int_equal(pair_events(p, h, IKE_EVT_UP), 0);
			assert_string_equal(pair_reason(p, h, IKE_EVT_FAILED), "Xauth: name or password refused");
		}
		assert_int_equal(pair_stat(p, 1, "auth_failed"), 1);
		teardown(NULL);
	}
}

static void tweak_only_server(struct cv_config *c, int host)
{
	tweak_xauth(c, host);
	if (host != server)
		c->ike_profile->xauth = CFG_XAUTH_OFF;
}

/* VRF-38: who has to log in does not come in without, and a peer that asks for it is not taken for one that does not.
 */
static void demanded(void **state)
{
	(void)state;
	for (server = 0; server < 2; server++) {
		start(tweak_only_server);
		pair_acquire(p, 0, 0);
		pair_run(p, 5000);
		assert_int_equal(pair_n_sas(p, 1), 0);
		assert_string_equal(pair_reason(p, 1, IKE_EVT_FAILED), "no proposal chosen");
		teardown(NULL);
	}
	server = 1;
}

static bool swallow_transactions(struct pair *q, int who, unsigned n, const uint8_t *data, size_t len)
{
	(void)q, (void)n, (void)len;
	return !(who == 0 && data[18] == 6);
}

/* IKE-55, VRF-45, IKE-T9: asked again after 5 s; a peer that never answers loses its IKE SA. */
static void not_answered(void **state)
{
	(void)state;
	server = 1;
	start(tweak_xauth);
	p->filter = swallow_transactions;
	pair_acquire(p, 0, 0);
	pair_run(p, 4000);
	assert_string_equal(pair_show(p, 1, "state"), "CONF_XAUTH");
	assert_int_equal(pair_stat(p, 1, "tx_retransmits"), 0);
	pair_run(p, 2000);
	assert_int_equal(pair_stat(p, 1, "tx_retransmits"), 1);
	pair_run(p, 20000);
	assert_int_equal(pair_n_sas(p, 1), 0);
	assert_string_equal(pair_reason(p, 1, IKE_EVT_FAILED), "Xauth not answered");
	assert_int_equal(pair_n_children(p, 0) + pair_n_children(p, 1), 0);
}

/* ---- mode configuration ---- */

static bool push;
static const char *first = "10.1.0.5";

static void tweak_pool(struct cv_config *c, int host)
{
	struct cfg_ike_profile *q = c->ike_profile;
	struct cv_selector *s = &c->acl->line[0].sel;
	if (host == 0) {
		q->config_request = true;
		cv_addr_parse(first, &s->src.lo);
		s->src.hi = s->src.lo;
		return;
	}
	q->config_respond = !push;
	q->config_initiate = push;
	q->pool = "inner";
	q->config_dns = config_alloc(c, 1, sizeof(*q->config_dns));
	q->n_config_dns = 1;
	cv_addr_parse("10.2.0.53", &q->config_dns[0]);
	q->config_domain = "example.com";
	c->pool = config_alloc(c, 1, sizeof(*c->pool));
	c->n_pool = 1;
	c->pool->name = "inner";
	cv_addr_parse("10.1.0.5", &c->pool->first);
	cv_addr_parse("10.1.0.6", &c->pool->last);
}

/* IKE-59, IKE-60, IKE-T6: in both directions; the flow of the client is its inner address (VRF-48). */
static void inner_address(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		push = i;
		first = "10.1.0.5";
		start(tweak_pool);
		bring_up();
		assert_string_equal(pair_show(p, 1, "peer_inner_address"), "10.1.0.5");
		assert_string_equal(pair_show(p, 0, "inner_address"), "10.1.0.5");
		assert_int_equal(pair_newest(p, 1)->p.sel[0].dst.lo.b[3], 5);
		teardown(NULL);
	}
}

/* IKE-61: the map's profile speaks for all its entries: both ways, one way, or, as by default, not at all. */
static void tweak_map(struct cv_config *c, int host)
{
	tweak_pool(c, host);
	c->map->ike_profile = c->map->entry->ike_profile;
	c->map->entry->ike_profile = NULL;
	if (host && push) /* neither */
		c->ike_profile->config_initiate = false;
}

static void for_a_whole_map(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		push = i;
		first = "10.1.0.5";
		start(tweak_map);
		pair_acquire(p, 0, 0);
		pair_run(p, 65000);
		assert_string_equal(pair_show(p, 0, "profile"), "p");
		assert_string_equal(pair_show(p, 0, "inner_address"), i ? "" : "10.1.0.5");
		teardown(NULL);
	}
}

static bool asks;
static void tweak_either_way(struct cv_config *c, int host)
{
	tweak_pool(c, host);
	if (host)
		c->ike_profile->config_respond = c->ike_profile->config_initiate = true;
	else
		c->ike_profile->config_request = asks;
}

/* VRF-33: a profile that both answers and gives unasked, with a peer that asks (and gets one address, not two), and
 * with one that does neither, which is delayed only (IKE-62). */
static void both_ways(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		asks = !i;
		start(tweak_either_way);
		pair_acquire(p, 0, 0);
		pair_run(p, asks ? 2000 : 65000);
		assert_true(pair_children_agree(p, 1));
		if (asks) {
			assert_string_equal(pair_show(p, 0, "inner_address"), "10.1.0.5");
			assert_string_equal(pair_show(p, 1, "peer_inner_address"), "10.1.0.5");
		}
		teardown(NULL);
	}
}

/* VRF-48: another address than its own is not the peer's to speak for. */
static void foreign_address(void **state)
{
	(void)state;
	push = false;
	first = "10.1.0.6";
	start(tweak_pool);
	pair_acquire(p, 0, 0);
	pair_run(p, 2000);
	assert_int_equal(pair_n_children(p, 1), 0);
	assert_string_equal(pair_reason(p, 1, IKE_EVT_FAILED), "the peer's flow is not permitted by the access list");
	first = "10.1.0.5";
}

static void tweak_both(struct cv_config *c, int host)
{
	tweak_short(c, host);
	tweak_pool(c, host);
	tweak_xauth(c, host);
}

/* The address stays through renewals and restarts of the control process, and goes back with the session (VRF-42). */
static void address_stays(void **state)
{
	(void)state;
	push = false;
	server = 1;
	start(tweak_both);
	bring_up();
	p->traffic_ms = 50;
	pair_run(p, 5000);
	pair_restart(p, 1);
	assert_string_equal(pair_show(p, 1, "peer_inner_address"), "10.1.0.5");
	assert_string_equal(pair_show(p, 1, "xauth_user"), "alice");
	traffic_for(3600000);
	nothing_lost();
	assert_true(pair_events(p, 0, IKE_EVT_REKEYED) >= 3);
	assert_string_equal(pair_show(p, 1, "peer_inner_address"), "10.1.0.5");
	struct ike_match m = {.fvrf = -1, .ivrf = -1};
	ike_clear(p->h[0].ike, &m);
	pair_run(p, 15000);
	assert_int_equal(pair_n_sas(p, 1), 0);
	bring_up();
	assert_string_equal(pair_show(p, 1, "peer_inner_address"), "10.1.0.5"); /* it was free again */
}

static void tweak_push_alone(struct cv_config *c, int host)
{
	tweak_pool(c, host);
	c->ike_profile->config_request = false;
}

/* IKE-62: a peer that does not answer is delayed, not refused. */
static void push_not_answered(void **state)
{
	(void)state;
	push = true;
	start(tweak_push_alone);
	pair_acquire(p, 0, 0);
	pair_run(p, 5000);
	assert_int_equal(pair_n_children(p, 0), 0);
	pair_run(p, 60000);
	assert_true(pair_children_agree(p, 1));
	push = false;
}

/* ---- two groups ---- */

static const char *const groups[] = {"red", "blue"};

static void group_profile(struct cv_config *c, int host, unsigned i)
{
	struct cfg_ike_profile *q = &c->ike_profile[i];
	q->name = groups[i];
	q->aggressive = q->aggressive_psk = true;
	if (!host) {
		q->config_request = true;
		q->local_id.type = CFG_ID_FQDN;
		q->local_id.text = groups[i];
		return;
	}
	q->match = config_alloc(c, 1, sizeof(*q->match));
	q->n_match = 1;
	q->match->type = CFG_ID_FQDN;
	q->match->text = groups[i];
	q->config_respond = true;
	q->pool = q->vrf = groups[i];
	c->vrf[i].name = c->pool[i].name = groups[i];
	c->vrf[i].id = i + 1;
	cv_addr_parse("10.4.1.1", &c->pool[i].first);
	cv_addr_parse("10.4.1.254", &c->pool[i].last);
}

/* Each host has an entry for each group; the clients speak for the same address and with different networks. */
static void tweak_groups(struct cv_config *c, int host)
{
	struct cfg_ike_profile *q = config_alloc(c, 2, sizeof(*q));
	struct cfg_acl *acl = config_alloc(c, 2, sizeof(*acl));
	c->vrf = config_alloc(c, 2, sizeof(*c->vrf));
	c->pool = config_alloc(c, 2, sizeof(*c->pool));
	c->n_vrf = c->n_pool = host ? 2 : 0;
	for (unsigned i = 0; i < 2; i++) {
		struct cfg_map_entry *e = &c->map->entry[i];
		q[i] = *c->ike_profile;
		acl[i] = *c->acl;
		acl[i].name = groups[i];
		acl[i].line = config_alloc(c, 1, sizeof(*acl[i].line));
		acl[i].line[0] = c->acl->line[0];
		struct cv_selector *s = &acl[i].line[0].sel;
		struct cv_range *client = host ? &s->dst : &s->src, *net = host ? &s->src : &s->dst;
		cv_addr_parse("10.4.1.1", &client->lo);
		client->hi = client->lo;
		net->lo.b[2] = net->hi.b[2] = (uint8_t)i;
		*e = c->map->entry[0];
		e->seq = 10 + i;
		e->acl = e->ike_profile = groups[i];
	}
	c->ike_profile = q;
	c->acl = acl;
	c->n_ike_profile = c->n_acl = c->map->n_entry = 2;
	for (unsigned i = 0; i < 2; i++)
		group_profile(c, host, i);
}

static void connect_group(unsigned i)
{
	const struct cfg_map_entry *e = &p->h[0].cfg->map->entry[i];
	const struct cv_selector *s = &e->acl_ref->line[0].sel;
	struct cv_selector trigger = *s;
	trigger.dst.hi = trigger.dst.lo;
	ike_acquire(p->h[0].ike, e, 100 + i, s, &trigger);
	pair_run(p, 2000);
}

static void disconnect_group(unsigned i)
{
	struct ike_match m = {.fvrf = -1, .ivrf = (int)p->h[1].cfg->vrf[i].id};
	ike_clear(p->h[1].ike, &m);
	pair_run(p, 15000);
}

/* The inner address that the gateway has given the client of a group; "" = none. */
static void has_address(unsigned i, const char *want)
{
	json_t *all = ike_show_sas(p->h[1].ike, 1), *sa;
	const char *got = "";
	char text[32];
	size_t k;
	json_array_foreach (all, k, sa)
		if (!strcmp(json_string_value(json_object_get(sa, "profile")), groups[i]) &&
			json_object_get(sa, "peer_inner_address"))
			got = json_string_value(json_object_get(sa, "peer_inner_address"));
	snprintf(text, sizeof(text), "%s", got);
	json_decref(all);
	assert_string_equal(text, want);
}

/* VRF-52: pools of two groups with the same addresses: both clients have the same one, and give it back to their own.
 */
static void equal_pools(void **state)
{
	(void)state;
	start(tweak_groups);
	for (unsigned i = 0; i < 2; i++)
		connect_group(i);
	assert_true(pair_children_agree(p, 2));
	has_address(0, "10.4.1.1");
	has_address(1, "10.4.1.1");
	for (unsigned n = 0; n < 4; n++) {
		disconnect_group(n & 1);
		has_address(n & 1, "");
		has_address(!(n & 1), "10.4.1.1");
		connect_group(n & 1);
		has_address(n & 1, "10.4.1.1");
	}
	assert_true(pair_children_agree(p, 2));
}

/* ---- loss and malice ---- */

static void every_message_lost(void **state)
{
	(void)state;
	server = 1;
	push = false;
	for (unsigned n = 0; n < 15; n++) {
		start(tweak_both);
		up_without(n);
		assert_int_equal(p->h[0].acquire_failures, 0);
		teardown(NULL);
	}
}

/* Transactions once more, whole and with each byte in turn flipped. */
static void damaged_messages(void **state)
{
	(void)state;
	server = 1;
	push = false;
	start(tweak_both);
	record(16, V1_EX_TRANSACTION);
	bring_up();
	assert_int_equal(recorded(), 6);
	p->filter = NULL;
	replay_damaged(0x10, true);
	pair_run(p, 60000);
	assert_true(pair_children_agree(p, 1));
	for (int i = 0; i < 2; i++)
		assert_int_equal(pair_events(p, i, IKE_EVT_DOWN), 0);
	assert_string_equal(pair_show(p, 1, "peer_inner_address"), "10.1.0.5");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		V1_TEST(login),
		V1_TEST(key_without_login),
		V1_TEST(key_by_hostname),
		V1_TEST(refused),
		V1_TEST(demanded),
		V1_TEST(not_answered),
		V1_TEST(inner_address),
		V1_TEST(both_ways),
		V1_TEST(for_a_whole_map),
		V1_TEST(foreign_address),
		V1_TEST(address_stays),
		V1_TEST(push_not_answered),
		V1_TEST(equal_pools),
		V1_TEST(every_message_lost),
		V1_TEST(damaged_messages),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
