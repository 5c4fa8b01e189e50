/* SPDX-License-Identifier: BSD-3-Clause */
/* Keyrings and profiles bound to local addresses: SAFENET-T1..T7; many keys in one keyring against a linear search. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "build.h"
#include "cv_addr.h"
#include "ike_net.h"
#include "mgmt_fixture.h"

static struct ly_ctx *ctx;

#define IF(name, addresses, more)                                                                                      \
	"{\"name\":\"" name "\",\"type\":\"iana-if-type:ethernetCsmacd\",\"culvert-platform:device\":\"net_" name      \
	"\"," more "\"ietf-ip:ipv4\":{\"address\":[" addresses "]}}"
#define A(ip, len) "{\"ip\":\"" ip "\",\"prefix-length\":" len "}"
#define PSK(peer, key) "\"pre-shared-key\":[{\"name\":\"k\",\"address\":\"" peer "\",\"key\":\"" key "\"}]"
#define TOP(interfaces, ike)                                                                                           \
	"{\"culvert-vrf:vrfs\":{\"vrf\":[{\"name\":\"examplevrf1\"}]},\"ietf-interfaces:interfaces\":{\"interface\":"  \
	"[" interfaces "]},\"culvert-ike:ike\":{" ike "}}"
#define SERIALS                                                                                                        \
	IF("serial2/0", A("10.0.0.1", "24") "," A("10.0.9.1", "24"), "")                                               \
	"," IF("serial2/1", A("10.0.1.2", "24"), "") "," IF("empty", "", "") "," IF(                                   \
		"ethernet2/0", A("10.34.35.36", "16"), "\"culvert-vrf:vrf\":\"examplevrf1\",")

static struct cv_config *build(const char *text)
{
	struct lyd_node *tree;
	struct model_err err;
	struct cv_config *c = NULL;

	if (model_parse(ctx, text, &tree, &err) == 0 && model_validate(ctx, &tree, &err) == 0)
		c = build_config(tree, NULL, NULL, NULL, &err);
	lyd_free_all(tree);
	if (!c)
		fail_msg("%s: %s", err.path, err.text);
	c->vrf[0].id = 7;
	return c;
}

/* The key for a peer of a profile (NULL: of none) that reached local in a VRF, "" for none. */
static const char *key_of(
	const struct cv_config *c, const struct cfg_ike_profile *of, uint32_t vrf, const char *local, const char *peer)
{
	static char text[64];
	struct cv_addr l, p;
	const struct cfg_psk *psk;

	assert_int_equal(cv_addr_parse(local, &l), 0);
	assert_int_equal(cv_addr_parse(peer, &p), 0);
	psk = config_psk_by_addr(c, of, vrf, &l, &p);
	snprintf(text, sizeof(text), "%.*s", psk ? (int)psk->key_len : 0, psk ? (const char *)psk->key : "");
	return text;
}

static const char *key(const struct cv_config *c, uint32_t vrf, const char *local, const char *peer)
{
	return key_of(c, NULL, vrf, local, peer);
}

/* VRF-20, VRF-23: the keyrings that a profile names, or all of them. */
static void keyrings_of_profiles(void **state)
{
	struct cv_config *c = build(TOP(SERIALS,
		"\"keyring\":[{\"name\":\"first\"," PSK("10.0.0.3",
			"of the first") "},"
					"{\"name\":\"second\"," PSK("0.0.0.0/0",
						"of the second") "}],\"profile\":[{\"name\":\"named\","
								 "\"version\":\"ikev1\",\"keyring\":[\"second\"]},"
								 "{\"name\":\"unnamed\",\"version\":\"ikev1\"}]"));
	const struct cfg_ike_profile *named = &c->ike_profile[0], *unnamed = &c->ike_profile[1];

	(void)state;
	assert_string_equal(named->name, "named");
	assert_string_equal(key_of(c, named, 0, "10.0.0.1", "10.0.0.3"), "of the second");
	assert_string_equal(key_of(c, unnamed, 0, "10.0.0.1", "10.0.0.3"), "of the first");
	assert_string_equal(key_of(c, unnamed, 0, "10.0.0.1", "10.0.0.4"), "of the second");
	config_unref(c);
}

/* SAFENET-T1 (SAFENET-2, SAFENET-3, SAFENET-9, SAFENET-12, SAFENET-13), SAFENET-T7 (SAFENET-4), SAFENET-T6 (SAFENET-6,
 * SAFENET-8). */
static void safenet_t1_keyrings(void **state)
{
	static const char both[] = TOP(SERIALS,
		"\"keyring\":["
		"{\"name\":\"keyring1\",\"local-address\":{\"interface\":\"serial2/0\"}," PSK("10.0.0.3",
			"somerandomkeystring") "},"
					       "{\"name\":\"keyring2\",\"local-address\":{\"interface\":\"serial2/"
					       "1\"}," PSK("10.0.0.3",
						       "someotherkeystring") "},"
									     "{\"name\":\"keyring3\",\"local-address\":"
									     "{\"interface\":\"empty\"}," PSK(
										     "10.0.0.4", "never") "}]");
	struct cv_config *c = build(both);

	(void)state;
	assert_string_equal(key(c, 0, "10.0.0.1", "10.0.0.3"), "somerandomkeystring");
	assert_string_equal(key(c, 0, "10.0.1.2", "10.0.0.3"), "someotherkeystring");
	/* T7: a secondary address of the interface is not the interface */
	assert_string_equal(key(c, 0, "10.0.9.1", "10.0.0.3"), "");
	/* T6: an interface without address */
	assert_string_equal(key(c, 0, "10.0.0.1", "10.0.0.4"), "");
	assert_string_equal(key(c, 0, "10.0.1.2", "10.0.0.4"), "");
	config_unref(c);
}

/* SAFENET-1, SAFENET-18, SAFENET-Q4: unbound is global; bound goes first, however long the other's prefix. */
static void safenet_unbound(void **state)
{
	struct cv_config *c = build(
		TOP(SERIALS, "\"keyring\":[{\"name\":\"all\"," PSK("10.0.0.3",
				     "global") "},"
					       "{\"name\":\"one\",\"local-address\":{\"interface\":\"serial2/1\"}," PSK(
						       "0.0.0.0/0", "bound") "}]"));

	(void)state;
	assert_string_equal(key(c, 0, "10.0.0.1", "10.0.0.3"), "global");
	assert_string_equal(key(c, 0, "10.0.9.1", "10.0.0.3"), "global");
	assert_string_equal(key(c, 0, "10.0.1.2", "10.0.0.3"), "bound");
	assert_string_equal(key(c, 0, "10.0.0.1", "10.0.0.99"), ""); /* SAFENET-13 */
	config_unref(c);
}

/* SAFENET-T4 (SAFENET-5): an address; T6: an address that is not there until it is. */
static void safenet_t4_address(void **state)
{
	struct cv_config *c = build(TOP(SERIALS,
		"\"keyring\":[{\"name\":\"k\",\"local-address\":{\"address\":\"10.0.1.2\"}," PSK(
			"10.0.0.3", "here") "},"
					    "{\"name\":\"absent\",\"local-address\":{\"address\":\"10.77.0.1\"}," PSK(
						    "10.0.0.4", "later") "}]"));

	(void)state;
	assert_string_equal(key(c, 0, "10.0.1.2", "10.0.0.3"), "here");
	assert_string_equal(key(c, 0, "10.0.0.1", "10.0.0.3"), "");
	assert_string_equal(key(c, 0, "10.0.1.2", "10.0.0.4"), "");
	assert_string_equal(key(c, 0, "10.77.0.1", "10.0.0.4"), "later");
	config_unref(c);
}

/* SAFENET-T5 (SAFENET-7, SAFENET-17). */
static void safenet_t5_vrf(void **state)
{
	struct cv_config *c =
		build(TOP(SERIALS, "\"keyring\":[{\"name\":\"ring1\",\"local-address\":{\"address\":\"10.34.35.36\","
				   "\"vrf\":\"examplevrf1\"}," PSK("10.34.0.9",
					   "in the VRF") "},{\"name\":\"ring2\",\"local-address\":{\"interface\":"
							 "\"ethernet2/0\"}," PSK("10.34.0.8", "by interface") "}]"));

	(void)state;
	assert_string_equal(key(c, 7, "10.34.35.36", "10.34.0.9"), "in the VRF");
	assert_string_equal(key(c, 0, "10.34.35.36", "10.34.0.9"), "");
	assert_string_equal(key(c, 7, "10.34.35.36", "10.34.0.8"), "by interface");
	assert_string_equal(key(c, 0, "10.34.35.36", "10.34.0.8"), "");
	config_unref(c);
}

/* SAFENET-T2 (SAFENET-10, SAFENET-11, SAFENET-15, SAFENET-16): which of two profiles serves the address. */
static void safenet_t2_profiles(void **state)
{
	struct cv_config *c = build(TOP(SERIALS, "\"profile\":[{\"name\":\"profile1\",\"local-address\":{\"interface\":"
						 "\"serial2/0\"},\"match-identity\":[{\"name\":"
						 "\"a\",\"type\":\"address\",\"value\":\"10.0.0.0/"
						 "8\"}]},{\"name\":\"profile2\",\"local-address\":{\"interface\":"
						 "\"serial2/"
						 "1\"},\"local-identity\":{\"type\":\"fqdn\",\"value\":\"gw.example\"},"
						 "\"match-identity\":[{\"name\":\"a\","
						 "\"type\":\"address\",\"value\":\"10.0.0.1\"}]}]"));
	struct cv_addr s20, s21;

	(void)state;
	cv_addr_parse("10.0.0.1", &s20);
	cv_addr_parse("10.0.1.2", &s21);
	assert_true(config_binding_has(&c->ike_profile[0].local, 0, &s20));
	assert_false(config_binding_has(&c->ike_profile[0].local, 0, &s21));
	assert_false(config_binding_has(&c->ike_profile[1].local, 0, &s20));
	assert_true(config_binding_has(&c->ike_profile[1].local, 0, &s21));
	assert_false(config_binding_has(&c->ike_profile[1].local, 7, &s21));
	config_unref(c);
}

static bool bind_elsewhere, bind_here;

static void bind_hub(struct cv_config *c, unsigned node)
{
	if (!node && (bind_elsewhere || bind_here))
		cv_addr_parse(bind_here ? "192.0.2.1" : "192.0.2.99", &c->ike_profile[0].local.addr);
}

/* SAFENET-10, SAFENET-18, both versions: a profile bound elsewhere answers nobody; bound here, or not at all, it does.
 */
static void safenet_engine(void **state)
{
	(void)state;
	for (int v = CFG_IKEV1; v <= CFG_IKEV2; v++)
		for (int i = 0; i < 3; i++) {
			bind_elsewhere = i == 0;
			bind_here = i == 1;
			struct net *net = net_new(2, v, bind_hub);
			net_acquire(net, 1, 0);
			net_run(net, 500);
			assert_int_equal(net->node[0].events[IKE_EVT_UP], i ? 1 : 0);
			net_free(net);
		}
}

/* The index finds what a look at every key finds. */
static void index_agrees(void **state)
{
	struct cv_config *c = config_new();
	char err[CFG_ERR_MAX];
	unsigned n = 0, seed = 1;

	(void)state;
	c->keyring = config_alloc(c, 1, sizeof(*c->keyring));
	c->n_keyring = 1;
	c->keyring->name = "many";
	c->keyring->psk = config_alloc(c, 4000, sizeof(*c->keyring->psk));
	for (unsigned i = 0; i < 4000; i++) {
		struct cfg_psk *p = &c->keyring->psk[n];
		bool known = false;
		seed = seed * 1103515245u + 12345u;
		uint8_t af = seed >> 30 & 1 ? CV_AF_INET : CV_AF_INET6;
		p->peer = (struct cv_prefix){
			.addr = {.af = af,
				.b = {10, (uint8_t)(seed >> 8 & 3), (uint8_t)(seed >> 16), (uint8_t)(seed >> 24)}},
			.len = (uint8_t)((seed >> 12) % 33)};
		cv_prefix_mask(&p->peer);
		p->key = config_secret(c, "k", 1);
		p->key_len = 1;
		for (unsigned k = 0; k < n; k++)
			known |= !memcmp(&p->peer, &c->keyring->psk[k].peer, sizeof(p->peer));
		n += !known;
	}
	c->keyring->n_psk = n;
	assert_true(n > 1000);
	assert_int_equal(config_resolve(c, err, NULL, NULL), 0);
	for (unsigned i = 0; i < 20000; i++) {
		const struct cfg_psk *best = NULL;
		seed = seed * 1103515245u + 12345u;
		struct cv_addr a = {.af = seed >> 30 & 1 ? CV_AF_INET : CV_AF_INET6,
			.b = {10, (uint8_t)(seed >> 8 & 3), (uint8_t)(seed >> 16), (uint8_t)(seed >> 24)}};
		for (unsigned k = 0; k < n; k++) {
			const struct cfg_psk *p = &c->keyring->psk[k];
			if (p->peer.addr.af == a.af && cv_prefix_contains(&p->peer, &a) &&
				(!best || p->peer.len > best->peer.len))
				best = p;
		}
		assert_ptr_equal(config_psk_by_addr(c, NULL, 0, NULL, &a), best);
	}
	config_unref(c);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keyrings_of_profiles),
		cmocka_unit_test(safenet_t1_keyrings),
		cmocka_unit_test(safenet_unbound),
		cmocka_unit_test(safenet_t4_address),
		cmocka_unit_test(safenet_t5_vrf),
		cmocka_unit_test(safenet_t2_profiles),
		cmocka_unit_test(safenet_engine),
		cmocka_unit_test(index_agrees),
	};
	struct model_err err;

	ctx = argc > 1 ? model_load(argv[1], &err) : NULL;
	if (!ctx)
		return 1;
	int rc = cmocka_run_group_tests(tests, NULL, NULL);
	ly_ctx_destroy(ctx);
	return rc;
}
