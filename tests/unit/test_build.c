/* SPDX-License-Identifier: BSD-3-Clause */
/* From the tree to cv_config: the sample value by value, and what the sample does not show. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "build.h"
#include "cv_addr.h"
#include "mgmt_fixture.h"

static struct ly_ctx *ctx;
static const char *yang_path;

static struct cv_config *build(const char *text, struct model_err *err)
{
	struct lyd_node *tree;
	struct cv_config *c = NULL;

	memset(err, 0, sizeof(*err));
	if (model_parse(ctx, text, &tree, err) == 0 && model_validate(ctx, &tree, err) == 0)
		c = build_config(tree, NULL, NULL, NULL, err);
	lyd_free_all(tree);
	return c;
}

static struct cv_config *build_ok(const char *text)
{
	struct model_err err;
	struct cv_config *c = build(text, &err);

	if (!c)
		fail_msg("%s: %s", err.path, err.text);
	return c;
}

static const char *addr(const struct cv_addr *a)
{
	static char buf[CV_ADDR_STR];

	return cv_addr_str(a, buf);
}

static void test_sample(void **state)
{
	char *text = fixture_sample();
	struct cv_config *c = build_ok(text);

	(void)state;
	free(text);
	assert_string_equal(c->hostname, "gw1");
	assert_false(c->allow_legacy);
	assert_false(c->busy_poll);
	assert_true(c->ike_enabled);
	assert_int_equal(c->n_vrf, 1);
	assert_int_equal(c->n_interface, 4);
	const struct cfg_interface *lan = &c->interface[0], *vlan = &c->interface[1], *wan = &c->interface[2];
	assert_int_equal(lan->type, CFG_IF_ETHERNET);
	assert_string_equal(lan->device, "net_af_packet0,iface=cv-lan");
	assert_int_equal(lan->n_addr, 2);
	assert_string_equal(addr(&lan->addr[0].addr), "10.1.0.1");
	assert_int_equal(lan->addr[1].plen, 64);
	assert_true(lan->enabled);
	assert_int_equal(lan->mtu, 1500);
	assert_int_equal(vlan->type, CFG_IF_VLAN);
	assert_int_equal(vlan->vlan_id, 20);
	assert_ptr_equal(vlan->parent_ref, lan);
	assert_ptr_equal(vlan->vrf_ref, &c->vrf[0]);
	assert_ptr_equal(wan->map_ref, &c->map[0]);
	assert_int_equal(c->interface[3].type, CFG_IF_LOOPBACK);

	assert_int_equal(c->n_route, 2);
	assert_null(c->route[0].vrf);
	assert_int_equal(c->route[0].prefix.len, 0);
	assert_int_equal(c->route[0].nh[0].type, CFG_NH_GATEWAY);
	assert_int_equal(c->route[0].distance, 1);
	assert_string_equal(c->route[1].vrf, "red");

	const struct cv_selector *s = &c->acl[0].line[0].sel;
	assert_true(c->acl[0].line[0].permit);
	assert_string_equal(addr(&s->src.lo), "10.1.0.0");
	assert_string_equal(addr(&s->src.hi), "10.1.0.255");
	assert_string_equal(addr(&s->dst.hi), "10.2.0.255");
	assert_int_equal(s->sport_hi, 65535);
	assert_int_equal(s->proto, 0);

	assert_int_equal(c->keyring[0].n_psk, 1);
	assert_int_equal(c->keyring[0].psk[0].peer.len, 32);
	assert_int_equal(c->keyring[0].psk[0].key_len, strlen("replace-this-with-a-long-random-string"));
	const struct cfg_ike_profile *p = &c->ike_profile[0];
	assert_int_equal(p->version, CFG_IKEV2);
	assert_int_equal(p->dpd_mode, CFG_DPD_ON_DEMAND);
	assert_true(p->nat_traversal);
	assert_int_equal(p->nat_keepalive_s, 20);
	assert_int_equal(p->match[0].type, CFG_ID_ADDRESS);
	const struct cfg_ike_proposal *prop = p->proposal_ref[0];
	assert_int_equal(prop->n_encr, 2);
	assert_int_equal(prop->encr[0].encr, IKE_ENCR_AES_GCM16);
	assert_int_equal(prop->encr[0].key_bits, 256);
	assert_int_equal(prop->n_integ, 0);
	assert_int_equal(prop->prf[0], IKE_PRF_HMAC_SHA256);
	assert_int_equal(prop->group[0], IKE_GROUP_ECP256);

	const struct cfg_map_entry *e = &c->map[0].entry[0];
	assert_int_equal(e->seq, 10);
	assert_string_equal(addr(&e->peer[0]), "192.0.2.2");
	assert_true(algo_suite_equal(e->ts_ref[0]->suite, (struct algo_suite){.encr = CV_ENCR_AES128_GCM16}));
	assert_int_equal(e->pfs, IKE_GROUP_ECP256);
	assert_int_equal(e->replay_window, 1024); /* nothing said anywhere */
	assert_ptr_equal(e->profile_ref, p);
	assert_int_equal(c->ipsec_lifetime_s, 3600);
	assert_int_equal(c->ipsec_lifetime_kb, 4608000);
	config_unref(c);
}

static void test_vlan_follows_parent(void **state)
{
	char *text = fixture_sample_with(
		"\"culvert-platform:device\"", "\"culvert-platform:mtu\": 1400, \"culvert-platform:device\"");
	struct cv_config *c = build_ok(text);

	(void)state;
	assert_int_equal(c->interface[0].mtu, 1400);
	assert_int_equal(c->interface[1].mtu, 1400);
	config_unref(c);
	free(text);
}

static void test_empty(void **state)
{
	struct cv_config *c = build_ok("{}");

	(void)state;
	assert_string_equal(c->hostname, "culvert");
	assert_true(c->ike_enabled);
	assert_int_equal(c->cookie_threshold, 500);
	assert_int_equal(c->cookie_rate, 1000);
	assert_true(c->puzzle_threshold == CFG_PUZZLE_NEVER);
	assert_int_equal(c->puzzle_difficulty, 16);
	assert_int_equal(c->puzzle_solve_max, 18);
	assert_int_equal(c->n_interface, 0);
	config_unref(c);
	c = build_ok("{\"culvert-ike:ike\":{\"puzzle-threshold\":0,\"puzzle-difficulty\":0,\"puzzle-solve-max\":24}}");
	assert_int_equal(c->puzzle_threshold, 0);
	assert_int_equal(c->puzzle_difficulty, 0);
	assert_int_equal(c->puzzle_solve_max, 24);
	config_unref(c);
}

#define ACL(lines) "{\"culvert-acl:access-lists\":{\"access-list\":[{\"name\":\"a\",\"line\":[" lines "]}]}}"

static void test_access_lists(void **state)
{
	struct cv_config *c =
		build_ok(ACL("{\"sequence\":20,\"action\":\"deny\",\"source\":\"any\",\"destination\":\"any\"},"
			     "{\"sequence\":10,\"action\":\"permit\",\"protocol\":\"tcp\",\"source\":\"2001:db8::/"
			     "32\",\"destination\":\"any\","
			     "\"source-port\":{\"lower\":1000,\"upper\":2000},\"destination-port\":{\"lower\":443}},"
			     "{\"sequence\":30,\"action\":\"permit\",\"protocol\":\"icmp\",\"source\":\"10.0.0.1\","
			     "\"destination\":\"any\","
			     "\"icmp-type\":8,\"icmp-code\":0},"
			     "{\"sequence\":40,\"action\":\"permit\",\"protocol\":\"icmp\",\"source\":\"::/"
			     "0\",\"destination\":\"any\","
			     "\"icmp-type\":128},"
			     "{\"sequence\":50,\"action\":\"permit\",\"protocol\":132,\"source\":\"any\","
			     "\"destination\":\"10.0.0.0/8\"}"));
	const struct cfg_acl_line *l = c->acl[0].line;

	(void)state;
	assert_int_equal(c->acl[0].n_line, 5);
	assert_int_equal(l[0].seq, 10); /* sorted */
	assert_int_equal(l[0].sel.proto, 6);
	assert_int_equal(l[0].sel.sport_lo, 1000);
	assert_int_equal(l[0].sel.sport_hi, 2000);
	assert_int_equal(l[0].sel.dport_lo, 443);
	assert_int_equal(l[0].sel.dport_hi, 443);
	assert_int_equal(l[0].sel.dst.lo.af, CV_AF_INET6); /* any: the family of the other end */
	assert_false(l[1].permit);
	assert_int_equal(l[1].sel.src.lo.af, CV_AF_INET); /* any any: IPv4 */
	assert_int_equal(l[2].sel.proto, 1);
	assert_int_equal(l[2].sel.sport_lo, 0x0800);
	assert_int_equal(l[2].sel.sport_hi, 0x0800);
	assert_int_equal(l[3].sel.proto, 58); /* icmp over IPv6 is ICMPv6 */
	assert_int_equal(l[3].sel.sport_lo, 0x8000);
	assert_int_equal(l[3].sel.sport_hi, 0x80ff);
	assert_int_equal(l[4].sel.proto, 132);
	config_unref(c);
}

#define ROUTES(family, routes)                                                                                         \
	"{\"ietf-interfaces:interfaces\":{\"interface\":[{\"name\":\"e0\",\"type\":\"iana-if-type:ethernetCsmacd\","   \
	"\"culvert-platform:device\":\"net_null0\"}]},"                                                                \
	"\"culvert-vrf:vrfs\":{\"vrf\":[{\"name\":\"red\"}]},"                                                         \
	"\"ietf-routing:routing\":{\"control-plane-protocols\":{\"control-plane-protocol\":[{\"type\":"                \
	"\"ietf-routing:static\",\"name\":\"x\",\"culvert-vrf:vrf\":\"red\",\"static-routes\":{\"" family              \
	"\":{\"route\":[" routes "]}}}]}}}"

static void test_routes(void **state)
{
	struct cv_config *c = build_ok(ROUTES("ietf-ipv4-unicast-routing:ipv4",
		"{\"destination-prefix\":\"10.0.0.0/8\",\"culvert-vrf:distance\":5,\"culvert-vrf:tag\":7,\"next-hop\":{"
		"\"next-hop-address\":\"10.9.9.9\",\"culvert-vrf:global\":true}},"
		"{\"destination-prefix\":\"10.1.0.0/16\",\"next-hop\":{\"special-next-hop\":\"blackhole\"}},"
		"{\"destination-prefix\":\"10.2.0.0/16\",\"next-hop\":{\"next-hop-list\":{\"next-hop\":["
		"{\"index\":\"1\",\"next-hop-address\":\"10.0.0.1\",\"culvert-vrf:weight\":3},"
		"{\"index\":\"2\",\"next-hop-address\":\"10.0.0.2\"}]}}}"));

	(void)state;
	assert_int_equal(c->n_route, 3);
	assert_true(c->route[0].nh[0].global); /* VRF-12 */
	assert_int_equal(c->route[0].distance, 5);
	assert_int_equal(c->route[0].tag, 7);
	assert_int_equal(c->route[1].nh[0].type, CFG_NH_BLACKHOLE);
	assert_int_equal(c->route[2].n_nh, 2);
	assert_int_equal(c->route[2].nh[0].weight, 3);
	assert_int_equal(c->route[2].nh[1].weight, 1);
	config_unref(c);

	struct model_err err;
	assert_null(
		build(ROUTES("ietf-ipv6-unicast-routing:ipv6",
			      "{\"destination-prefix\":\"2001:db8::/32\",\"next-hop\":{\"outgoing-interface\":\"e0\","
			      "\"culvert-vrf:global\":true}}"),
			&err));
	assert_non_null(strstr(err.path, "destination-prefix='2001:db8::/32']/next-hop/culvert-vrf:global"));
	/* USAB-35: bits behind the length, and another way to write the same key */
	assert_null(build(ROUTES("ietf-ipv4-unicast-routing:ipv4",
				  "{\"destination-prefix\":\"10.1.1.5/27\",\"next-hop\":{\"next-hop-address\":"
				  "\"10.9.9.9\"}}"),
		&err));
	assert_non_null(strstr(err.path, "route[destination-prefix='10.1.1.5/27']/destination-prefix"));
	assert_non_null(strstr(err.text, "is written 10.1.1.0/27"));
	assert_null(build(ROUTES("ietf-ipv6-unicast-routing:ipv6",
				  "{\"destination-prefix\":\"2001:DB8::1/32\",\"next-hop\":{\"next-hop-address\":"
				  "\"2001:db8::9\"}}"),
		&err));
	assert_non_null(strstr(err.text, "is written 2001:db8::/32"));
	assert_null(build(ROUTES("ietf-ipv4-unicast-routing:ipv4",
				  "{\"destination-prefix\":\"10.0.0.0/33\",\"next-hop\":{\"next-hop-address\":"
				  "\"10.9.9.9\"}}"),
		&err));
	assert_string_equal(err.text, "\"10.0.0.0/33\" is not valid; valid: a prefix such as 192.0.2.0/24");
	assert_null(build(ROUTES("ietf-ipv4-unicast-routing:ipv4",
				  "{\"destination-prefix\":\"2001:db8::/32\",\"next-hop\":{\"next-hop-address\":"
				  "\"10.9.9.9\"}}"),
		&err));
	assert_string_equal(err.text, "\"2001:db8::/32\" is not valid; valid: a prefix such as 192.0.2.0/24");
	/* VRF-50: the gateway is in one other table */
	c = build_ok(ROUTES("ietf-ipv4-unicast-routing:ipv4",
		"{\"destination-prefix\":\"10.0.0.0/8\",\"next-hop\":{\"next-hop-address\":\"10.9.9.9\","
		"\"culvert-vrf:gateway-vrf\":\"red\"}}"));
	assert_string_equal(c->route[0].nh[0].vrf, "red");
	config_unref(c);
	assert_null(
		build(ROUTES("ietf-ipv4-unicast-routing:ipv4",
			      "{\"destination-prefix\":\"10.0.0.0/8\",\"next-hop\":{\"next-hop-address\":\"10.9.9.9\","
			      "\"culvert-vrf:global\":true,\"culvert-vrf:gateway-vrf\":\"red\"}}"),
			&err));
	assert_non_null(strstr(err.text, "either in the global table or in a VRF"));
	/* one instance for each VRF */
	assert_null(build("{\"culvert-vrf:vrfs\":{\"vrf\":[{\"name\":\"a\"},{\"name\":\"b\"}]},"
			  "\"ietf-routing:routing\":{\"control-plane-protocols\":{\"control-plane-protocol\":["
			  "{\"type\":\"ietf-routing:static\",\"name\":\"x\",\"culvert-vrf:vrf\":\"b\"},"
			  "{\"type\":\"ietf-routing:static\",\"name\":\"y\",\"culvert-vrf:vrf\":\"a\"},"
			  "{\"type\":\"ietf-routing:static\",\"name\":\"z\",\"culvert-vrf:vrf\":\"b\"}]}}}",
		&err));
	assert_non_null(strstr(err.text, "another instance already holds"));
	assert_null(build(
		ROUTES("ietf-ipv4-unicast-routing:ipv4",
			"{\"destination-prefix\":\"10.0.0.0/8\",\"next-hop\":{\"special-next-hop\":\"receive\"}}"),
		&err));
	assert_non_null(strstr(err.text, "valid: blackhole"));
}

static void test_ike(void **state)
{
	struct cv_config *c = build_ok(
		"{\"culvert-platform:platform\":{\"allow-legacy\":true},\"culvert-ike:ike\":{"
		"\"identity\":{\"type\":\"fqdn\",\"value\":\"gw.example.com\"},"
		"\"policy\":[{\"priority\":20},{\"priority\":10,\"encryption\":\"3des\",\"hash\":\"md5\",\"group\":"
		"\"group2\","
		"\"lifetime\":5000}],"
		"\"proposal\":[{\"name\":\"p\",\"encryption\":[\"aes128-cbc\"],\"integrity\":[\"sha1\",\"sha384\"],"
		"\"prf\":[\"sha512\"],\"group\":[\"group31\"]}],"
		"\"peer\":[{\"address\":\"10.2.2.9\",\"description\":\"connection from site A\"}],"
		"\"keyring\":[{\"name\":\"k\",\"pre-shared-key\":[{\"name\":\"h\",\"hostname\":\"peer.example.com\","
		"\"key-hex\":\"00ffA5\"},{\"name\":\"r\",\"address\":\"10.0.0.0/8\",\"key\":\"x\"}]}],"
		"\"profile\":[{\"name\":\"one\",\"version\":\"ikev1\",\"match-identity\":[{\"name\":\"a\",\"type\":"
		"\"fqdn\","
		"\"value\":\"example.com\",\"domain\":true},{\"name\":\"b\",\"type\":\"address\",\"value\":\"10.0.0.0/"
		"8\"}],"
		"\"local-identity\":{\"type\":\"address\"},\"dpd\":{\"mode\":\"periodic\",\"interval\":10,\"retry\":2},"
		"\"nat-keepalive\":0,\"force-encapsulation\":true}]}}");

	(void)state;
	assert_int_equal(c->local_id.type, CFG_ID_FQDN);
	assert_string_equal(c->local_id.text, "gw.example.com");
	assert_int_equal(c->ike_policy[0].priority, 10); /* IKE-17: ascending */
	assert_int_equal(c->ike_policy[0].encr, IKE_ENCR_3DES);
	assert_int_equal(c->ike_policy[0].hash, IKE_PRF_HMAC_MD5);
	assert_int_equal(c->ike_policy[0].group, IKE_GROUP_MODP1024);
	assert_int_equal(c->ike_policy[1].key_bits, 256);
	assert_int_equal(c->ike_policy[1].lifetime_s, 86400);
	assert_int_equal(c->ike_proposal[0].integ[0], IKE_INTEG_HMAC_SHA1_96);
	assert_int_equal(c->ike_proposal[0].integ[1], IKE_INTEG_HMAC_SHA384_192);
	assert_int_equal(c->ike_proposal[0].group[0], IKE_GROUP_CURVE25519);
	assert_string_equal(c->peer[0].description, "connection from site A"); /* MON-6 */
	assert_int_equal(c->keyring[0].psk[0].key_len, 3);
	assert_memory_equal(c->keyring[0].psk[0].key, "\x00\xff\xa5", 3);
	assert_int_equal(c->keyring[0].psk[0].peer.addr.af, CV_AF_NONE);
	assert_int_equal(c->keyring[0].psk[1].peer.len, 8); /* VRF-20 */
	const struct cfg_ike_profile *p = &c->ike_profile[0];
	assert_true(p->match[0].domain);
	assert_int_equal(p->match[1].addr.len, 8);
	assert_int_equal(p->local_id.type, CFG_ID_NONE); /* the address of the interface */
	assert_int_equal(p->dpd_mode, CFG_DPD_PERIODIC);
	assert_int_equal(p->nat_keepalive_s, 0);
	assert_true(p->force_encaps);
	config_unref(c);
}

/* What config_resolve() refuses arrives with its path apart from its text. */
#define MAP_BEGIN                                                                                                      \
	"{\"culvert-acl:access-lists\":{\"access-list\":[{\"name\":\"a\",\"line\":[{\"sequence\":10,\"action\":"       \
	"\"permit\","                                                                                                  \
	"\"source\":\"10.1.0.0/24\",\"destination\":\"10.2.0.0/24\"}]}]},\"culvert-ipsec:ipsec\":{"
#define MAP(entry) MAP_TO("\"192.0.2.2\"", entry)
#define MAP_TO(peers, entry)                                                                                           \
	"\"transform-set\":[{\"name\":\"t\",\"algorithm\":\"aes128-gcm16\"}],\"crypto-map\":[{\"name\":\"m\","         \
	"\"entry\":[{"                                                                                                 \
	"\"sequence\":10,\"access-list\":\"a\",\"peer\":[" peers "],\"transform-set\":[\"t\"]" entry "}]}]}}"

/* VTI-5: lists of an interface by family and direction; only those are for the dataplane. */
static void test_access_group(void **state)
{
	(void)state;
	struct cv_config *c =
		build_ok("{\"culvert-acl:access-lists\":{\"access-list\":[{\"name\":\"a\"},{\"name\":\"b\",\"line\":[{"
			 "\"sequence\":10,"
			 "\"action\":\"permit\",\"source\":\"any\",\"destination\":\"any\"}]},{\"name\":\"c\"}]},"
			 "\"ietf-interfaces:interfaces\":{\"interface\":[{\"name\":\"x\",\"type\":\"iana-if-type:"
			 "ethernetCsmacd\","
			 "\"culvert-platform:device\":\"net_null0\",\"culvert-acl:access-group\":{\"ipv4\":{\"in\":"
			 "\"a\"},\"ipv6\":{"
			 "\"out\":\"b\"}}}]}}");
	const struct cfg_interface *i = &c->interface[0];
	assert_ptr_equal(i->acl4.in_ref, &c->acl[0]);
	assert_ptr_equal(i->acl6.out_ref, &c->acl[1]);
	assert_null(i->acl4.out_ref);
	assert_null(i->acl6.in_ref);
	assert_true(c->acl[0].asked && c->acl[1].asked);
	assert_false(c->acl[2].asked);
	config_unref(c);
}

/* VRF-10: each family by itself; what is not written is off. A loopback has nothing to judge. */
static void test_verify_source(void **state)
{
#define INTERFACE(type, more)                                                                                          \
	"{\"ietf-interfaces:interfaces\":{\"interface\":[{\"name\":\"e0\",\"type\":\"iana-if-type:" type "\"" more     \
	"}]}}"
	struct cv_config *c = build_ok(
		INTERFACE("ethernetCsmacd", ",\"culvert-platform:device\":\"net_null0\",\"culvert-platform:verify-"
					    "source\":{\"ipv4\":{\"reachable-via\":"
					    "\"any\",\"allow-default\":true},\"ipv6\":{\"reachable-via\":\"rx\"}}"));
	struct model_err err;

	(void)state;
	assert_int_equal(c->interface[0].urpf4.mode, CFG_URPF_LOOSE);
	assert_true(c->interface[0].urpf4.allow_default);
	assert_int_equal(c->interface[0].urpf6.mode, CFG_URPF_STRICT);
	assert_false(c->interface[0].urpf6.allow_default);
	config_unref(c);
	c = build_ok(INTERFACE("ethernetCsmacd", ",\"culvert-platform:device\":\"net_null0\""));
	assert_int_equal(c->interface[0].urpf4.mode, CFG_URPF_OFF);
	assert_int_equal(c->interface[0].urpf6.mode, CFG_URPF_OFF);
	config_unref(c);
	assert_null(build(INTERFACE("softwareLoopback",
				  ",\"culvert-platform:verify-source\":{\"ipv4\":{\"reachable-via\":\"rx\"}}"),
		&err));
}

/* VTI-37, VTI-38, VTI-39: inspection, translation and the limits of connections; what makes no sense is refused. */
static void test_firewall(void **state)
{
#define FIREWALL(rule, fixed, more)                                                                                    \
	"{\"culvert-acl:access-lists\":{\"access-list\":[{\"name\":\"a\",\"line\":[{\"sequence\":10,\"action\":"       \
	"\"permit\",\"source\":\"any\",\"destination\":\"any\"}]}]},"                                                  \
	"\"ietf-interfaces:interfaces\":{\"interface\":["                                                              \
	"{\"name\":\"in\",\"type\":\"iana-if-type:ethernetCsmacd\",\"culvert-platform:device\":\"net_null0\","         \
	"\"culvert-firewall:nat\":\"inside\",\"culvert-firewall:inspect\":\"both\"},"                                  \
	"{\"name\":\"out\",\"type\":\"iana-if-type:ethernetCsmacd\",\"culvert-platform:device\":\"net_null1\","        \
	"\"culvert-firewall:nat\":\"outside\",\"ietf-ip:ipv4\":{\"address\":[{\"ip\":\"192.0.2.1\","                   \
	"\"prefix-length\":24}]}}]},"                                                                                  \
	"\"culvert-firewall:firewall\":{" more "\"nat\":{\"pool\":[{\"name\":\"p\",\"first\":\"10.0.0.1\",\"last\":"   \
	"\"10.0.0.9\"},{\"name\":\"q\",\"first\":\"10.0.0.9\",\"last\":\"10.0.0.1\"}],"                                \
	"\"source-rule\":[{\"sequence\":10,\"access-list\":\"a\"" rule "}],"                                           \
	"\"static\":[{\"name\":\"s\",\"local-address\":\"10.1.0.9\"" fixed "}]}}}"
#define POOL ",\"pool\":\"p\""
#define GLOBAL ",\"global-address\":\"10.0.0.20\""
	static const char *const refused[] = {FIREWALL(",\"pool\":\"q\"", GLOBAL, ""),
		FIREWALL(",\"pool\":\"r\"", GLOBAL, ""), FIREWALL("", GLOBAL, ""),
		FIREWALL(",\"interface\":\"in\"", GLOBAL, ""), FIREWALL(POOL, "", ""),
		FIREWALL(POOL, ",\"interface\":\"out\"", ""), FIREWALL(POOL, GLOBAL ",\"protocol\":\"tcp\"", ""),
		FIREWALL(POOL, GLOBAL ",\"local-port\":80", ""),
		FIREWALL(POOL, GLOBAL, "\"connections\":{\"one-minute\":{\"high\":5,\"low\":6}},"),
		FIREWALL(POOL, GLOBAL, "\"connections\":{\"one-minute\":{\"low\":6}},"),
		FIREWALL(POOL, GLOBAL, "\"connections\":{\"timeout\":{\"udp\":0}},")};
	struct cv_config *c = build_ok(FIREWALL(POOL, GLOBAL, "\"connections\":{\"max-incomplete\":{\"high\":9}},"));

	(void)state;
	assert_int_equal(c->interface[0].nat, CFG_NAT_INSIDE);
	assert_int_equal(c->interface[0].inspect, CFG_INSPECT_IN | CFG_INSPECT_OUT);
	assert_int_equal(c->interface[1].nat, CFG_NAT_OUTSIDE);
	assert_int_equal(c->interface[1].inspect, 0);
	assert_int_equal(c->connections.max_entries, 65536);
	assert_int_equal(c->connections.tcp_syn_s, 30);
	assert_int_equal(c->connections.half_open.high, 9);
	assert_int_equal(c->connections.half_open.low, 9);
	assert_int_equal(c->connections.one_minute.high, 0);
	assert_ptr_equal(c->nat_rule[0].acl_ref, &c->acl[0]);
	assert_true(c->acl[0].asked);
	assert_string_equal(addr(&c->nat_rule[0].first), "10.0.0.1");
	assert_string_equal(addr(&c->nat_rule[0].last), "10.0.0.9");
	assert_string_equal(addr(&c->nat_static[0].global), "10.0.0.20");
	config_unref(c);
	c = build_ok(FIREWALL(
		",\"interface\":\"out\"", ",\"interface\":\"out\",\"protocol\":\"udp\",\"local-port\":53", ""));
	assert_ptr_equal(c->nat_rule[0].if_ref, &c->interface[1]);
	assert_int_equal(c->nat_static[0].proto, 17);
	assert_int_equal(c->nat_static[0].global_port, 53);
	config_unref(c);
	for (unsigned i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		struct model_err err;

		assert_null(build(refused[i], &err));
	}
}

/* VTI-T2: multicast routes, and those that cannot be. */
static void test_multicast(void **state)
{
#define MROUTE(vrf, group, source, in, out, more)                                                                      \
	"{\"culvert-vrf:vrfs\":{\"vrf\":[{\"name\":\"red\"}]},\"ietf-interfaces:interfaces\":{\"interface\":["         \
	"{\"name\":\"a\",\"type\":\"iana-if-type:ethernetCsmacd\",\"culvert-platform:device\":\"net_null0\"},"         \
	"{\"name\":\"b\",\"type\":\"iana-if-type:ethernetCsmacd\",\"culvert-platform:device\":\"net_null1\"},"         \
	"{\"name\":\"r\",\"type\":\"iana-if-type:ethernetCsmacd\",\"culvert-platform:device\":\"net_null2\","          \
	"\"culvert-vrf:vrf\":\"red\"},{\"name\":\"lo\",\"type\":\"iana-if-type:softwareLoopback\"}]},"                 \
	"\"culvert-multicast:multicast-routing\":{\"route\":[{\"vrf\":\"" vrf "\",\"group\":\"" group                  \
	"\",\"source\":\"" source "\",\"incoming-interface\":\"" in "\",\"outgoing-interface\":[{\"name\":\"" out      \
	"\"" more "}]}]}}"
	static const char *const refused[] = {MROUTE("global", "224.0.0.5", "any", "a", "b", ""),
		MROUTE("global", "192.0.2.1", "any", "a", "b", ""), MROUTE("global", "ff02::5", "any", "a", "b", ""),
		MROUTE("global", "239.1.2.3", "2001:db8::1", "a", "b", ""),
		MROUTE("global", "239.1.2.3", "239.1.2.4", "a", "b", ""),
		MROUTE("global", "239.1.2.3", "any", "a", "a", ""), MROUTE("global", "239.1.2.3", "any", "a", "r", ""),
		MROUTE("red", "239.1.2.3", "any", "a", "b", ""), MROUTE("blue", "239.1.2.3", "any", "a", "b", ""),
		MROUTE("global", "239.1.2.3", "any", "lo", "b", ""), MROUTE("global", "239.1.2.3", "any", "a", "c", ""),
		MROUTE("global", "239.1.2.3", "any", "a", "b", ",\"ttl-threshold\":0")};
	struct cv_config *c = build_ok(MROUTE("global", "239.1.2.3", "192.0.2.9", "a", "b", ",\"ttl-threshold\":32"));

	(void)state;
	assert_int_equal(c->n_mroute, 1);
	assert_null(c->mroute[0].vrf_ref);
	assert_string_equal(addr(&c->mroute[0].group), "239.1.2.3");
	assert_string_equal(addr(&c->mroute[0].source), "192.0.2.9");
	assert_ptr_equal(c->mroute[0].in_ref, &c->interface[0]);
	assert_int_equal(c->mroute[0].n_out, 1);
	assert_ptr_equal(c->mroute[0].out[0].ref, &c->interface[1]);
	assert_int_equal(c->mroute[0].out[0].ttl, 32);
	config_unref(c);
	c = build_ok(MROUTE("global", "ff3e::1", "any", "a", "b", ""));
	assert_int_equal(c->mroute[0].source.af, CV_AF_NONE);
	assert_int_equal(c->mroute[0].out[0].ttl, 1);
	config_unref(c);
	for (unsigned i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		struct model_err err;

		assert_null(build(refused[i], &err));
	}
}

/* IPSEC-56: a dynamic map and two maps that include it. An entry that includes one says nothing else. */
static void test_dynamic_map(void **state)
{
#define DYNAMIC(more)                                                                                                  \
	"{\"culvert-ike:ike\":{\"profile\":[{\"name\":\"any\",\"match-identity\":[{\"name\":\"p\",\"type\":"           \
	"\"address\","                                                                                                 \
	"\"value\":\"0.0.0.0/0\"}]}]},\"culvert-ipsec:ipsec\":{\"transform-set\":[{\"name\":\"t\",\"algorithm\":"      \
	"\"aes128-gcm16\"}],\"dynamic-map\":[{\"name\":\"d\",\"entry\":[{\"sequence\":9,\"transform-set\":[\"t\"],"    \
	"\"ike-profile\":\"any\"},{\"sequence\":3,\"transform-set\":[\"t\"],\"ike-profile\":\"any\"}]}],\"crypto-"     \
	"map\":["                                                                                                      \
	"{\"name\":\"m\",\"entry\":[{\"sequence\":100,\"dynamic-map\":\"d\"" more "}]},"                               \
	"{\"name\":\"n\",\"entry\":[{\"sequence\":1,\"dynamic-map\":\"d\"}]}]}}"
	struct cv_config *c = build_ok(DYNAMIC(""));
	struct model_err err;

	(void)state;
	assert_int_equal(c->map[0].n_entry, 2);
	assert_int_equal(c->map[1].n_entry, 2);
	assert_int_equal(c->map[0].entry[0].seq, 100 << CFG_PLACE_SHIFT | 3);
	assert_int_equal(c->map[0].entry[1].seq, 100 << CFG_PLACE_SHIFT | 9);
	assert_string_equal(c->map[1].entry[0].dynamic_map, "d");
	config_unref(c);
	assert_null(build(DYNAMIC(",\"transform-set\":[\"t\"]"), &err));
	assert_null(build(DYNAMIC(",\"peer\":[\"192.0.2.2\"]"), &err));
}

/* DSCP by name and number, IP precedence and TOS: sets of code points. */
static void test_dscp(void **state)
{
#define LINE(more)                                                                                                     \
	"{\"culvert-acl:access-lists\":{\"access-list\":[{\"name\":\"a\",\"line\":[{\"sequence\":10,\"action\":"       \
	"\"permit\","                                                                                                  \
	"\"source\":\"any\",\"destination\":\"any\"" more "}]}]}}"
	static const struct {
		const char *text;
		uint64_t set;
	} row[] = {
		{LINE(""), 0},
		{LINE(",\"dscp\":[\"ef\",\"af11\",0]"), UINT64_C(1) << 46 | 1 << 10 | 1},
		{LINE(",\"dscp\":[\"cs7\",63,\"default\"]"), UINT64_C(1) << 56 | UINT64_C(1) << 63 | 1},
		{LINE(",\"precedence\":5"), UINT64_C(0xff) << 40},
		{LINE(",\"tos\":8"), UINT64_C(0x1010101010101010)},
		{LINE(",\"precedence\":0,\"tos\":14"), 1 << 7},
	};
	static const char *const refused[] = {LINE(",\"dscp\":[64]"), LINE(",\"dscp\":[\"af44\"]"),
		LINE(",\"dscp\":[1],\"precedence\":1"), LINE(",\"precedence\":8"), LINE(",\"tos\":1")};

	(void)state;
	for (unsigned i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct cv_config *c = build_ok(row[i].text);

		assert_int_equal(c->acl[0].line[0].dscp, row[i].set);
		config_unref(c);
	}
	for (unsigned i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		struct model_err err;

		assert_null(build(refused[i], &err));
	}
#undef LINE
}

/* Global and per entry, as an operator writes them (REPLAY-5, REPLAY-6, IDLE-4, IDLE-5, FRAG-3). */
static void test_security_association(void **state)
{
	static const struct {
		const char *text;
		uint32_t window, idle;
		enum cfg_df_bit df;
		enum cfg_fragment fragment;
	} row[] = {
		{MAP_BEGIN MAP(""), 1024, 0, CFG_DF_COPY, CFG_FRAG_BEFORE},
		{MAP_BEGIN "\"security-association\":{\"replay\":{\"window-size\":256},\"idle-time\":600}," MAP(""),
			256, 600, CFG_DF_COPY, CFG_FRAG_BEFORE},
		{MAP_BEGIN "\"security-association\":{\"replay\":{\"window-size\":256},\"idle-time\":600}," MAP(
			 ",\"replay\":{\"disable\":[null]},\"idle-time\":60"),
			0, 60, CFG_DF_COPY, CFG_FRAG_BEFORE},
		{MAP_BEGIN "\"security-association\":{\"replay\":{\"disable\":[null]}},\"df-bit\":\"clear\"," MAP(
			 ",\"replay\":{\"window-size\":8192}"),
			8192, 0, CFG_DF_CLEAR, CFG_FRAG_BEFORE},
		{MAP_BEGIN "\"fragmentation\":\"after-encryption\",\"df-bit\":\"set\"," MAP(""), 1024, 0, CFG_DF_SET,
			CFG_FRAG_AFTER},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct cv_config *c = build_ok(row[i].text);

		assert_int_equal(c->map[0].entry[0].replay_window, row[i].window);
		assert_int_equal(c->map[0].entry[0].idle_s, row[i].idle);
		assert_int_equal(c->df_bit, row[i].df);
		assert_int_equal(c->fragment, row[i].fragment);
		config_unref(c);
	}
}

#define TWO_PEERS "\"192.0.2.2\",\"192.0.2.3\""
static void test_default_peer(void **state)
{
	struct cv_config *c = build_ok(
		MAP_BEGIN MAP_TO(TWO_PEERS, ",\"default-peer\":true,\"idle-time\":60,\"idle-to-default\":true"));

	(void)state;
	assert_true(c->map[0].entry[0].default_peer && c->map[0].entry[0].idle_to_default);
	config_unref(c);
}

/* IPSEC-50, RTR-7: names and addresses side by side, and who is asked for names. */
static void test_peer_by_name(void **state)
{
	struct cv_config *c = build_ok(
		"{\"culvert-platform:platform\":{\"name-server\":[{\"address\":\"2001:db8::53\"},{\"address\":"
		"\"192.0.2.53\",\"port\":5353}]},"
		"\"culvert-acl:access-lists\":{\"access-list\":[{\"name\":\"a\"}]},\"culvert-ipsec:ipsec\":{" MAP_TO(
			"\"2001:db8::2\",\"hub-1.example.net\",\"hub\"", ""));
	const struct cfg_map_entry *e = &c->map[0].entry[0];

	(void)state;
	assert_int_equal(e->n_peer, 3);
	assert_null(cfg_peer_host(e, 0));
	assert_int_equal(e->peer[0].af, CV_AF_INET6);
	assert_string_equal(cfg_peer_host(e, 1), "hub-1.example.net");
	assert_string_equal(cfg_peer_host(e, 2), "hub");
	assert_int_equal(e->peer[1].af, CV_AF_NONE);
	assert_int_equal(c->n_name_server, 2);
	assert_int_equal(c->name_server[0].port, 53);
	assert_int_equal(c->name_server[1].port, 5353);
	config_unref(c);
}

/* REPLAY-T4: both at one level; IDLE-T3: 59 and 86401; a window that is none of the values. */
static void test_security_association_refused(void **state)
{
	static const char *const text[] = {
		MAP_BEGIN "\"security-association\":{\"replay\":{\"window-size\":256,\"disable\":[null]}}," MAP(""),
		MAP_BEGIN MAP(",\"replay\":{\"window-size\":64,\"disable\":[null]}"),
		MAP_BEGIN MAP(",\"replay\":{\"window-size\":100}"),
		MAP_BEGIN MAP(",\"idle-time\":59"),
		MAP_BEGIN "\"security-association\":{\"idle-time\":86401}," MAP(""),
		MAP_BEGIN "\"fragmentation\":\"sometimes\"," MAP(""),
		/* IPSEC-50: neither address nor name */
		MAP_BEGIN MAP_TO("\"300.0.2.2\"", ""),
		MAP_BEGIN MAP_TO("\"hub_\\u00e9.example\"", ""),
		MAP_BEGIN MAP_TO("\"2001:db8::xyz\"", ""),
		/* PREF-1, PREF-9: a default peer is the first of several, and the way back to it has an idle time of
		   its own */
		MAP_BEGIN MAP(",\"default-peer\":true"),
		MAP_BEGIN MAP_TO(TWO_PEERS, ",\"idle-time\":60,\"idle-to-default\":true"),
		MAP_BEGIN MAP_TO(TWO_PEERS, ",\"default-peer\":true,\"idle-to-default\":true"),
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(text) / sizeof(text[0]); i++) {
		struct model_err err;

		assert_null(build(text[i], &err));
		assert_non_null(strstr(err.path, "ipsec"));
	}
}

/* IPSEC-20, IPSEC-65, AGGR-11: what only one vendor speaks is refused by name, with what to do instead. */
static void test_one_vendors_own(void **state)
{
	static const struct {
		const char *text, *says;
	} row[] = {
		{"{\"culvert-ipsec:ipsec\":{\"transform-set\":[{\"name\":\"t\",\"transform\":[\"esp-seal\",\"esp-"
		 "sha256-hmac\"]}]}}",
			"use esp-gcm 256"},
		{MAP_BEGIN MAP(",\"discover\":true"), "name the peer"},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct model_err err;

		assert_null(build(row[i].text, &err));
		if (!strstr(err.text, row[i].says))
			fail_msg("%s: %s", err.path, err.text);
	}
	config_unref(build_ok(MAP_BEGIN MAP(",\"discover\":false")));
}

/* FRAG-5: the default prints nothing; "after" prints where it was written, and so does "before" on an interface. */
static void test_fragmentation_is_printed_where_it_was_set(void **state)
{
	static const char before[] = "\"before-encryption\"", after[] = "\"after-encryption\"";
	static const struct {
		const char *text, *global, *interface;
	} row[] = {
		{"{\"culvert-ipsec:ipsec\":{\"df-bit\":\"set\"}}", NULL, NULL},
		{"{\"culvert-ipsec:ipsec\":{\"fragmentation\":\"after-encryption\"}}", after, NULL},
		{"{\"ietf-interfaces:interfaces\":{\"interface\":[{\"name\":\"e0\",\"type\":\"iana-if-type:"
		 "ethernetCsmacd\","
		 "\"culvert-platform:device\":\"net_null0\",\"culvert-ipsec:ipsec-fragmentation\":\"before-"
		 "encryption\"}]}}",
			NULL, before},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct lyd_node *tree;
		struct model_err err;

		assert_int_equal(model_parse(ctx, row[i].text, &tree, &err), 0);
		assert_int_equal(model_validate(ctx, &tree, &err), 0);
		char *text = model_print(ctx, tree, NULL, LYD_JSON, false, &err);

		assert_non_null(text);
		assert_int_equal(strstr(text, "\"fragmentation\"") != NULL, row[i].global != NULL);
		assert_int_equal(strstr(text, "ipsec-fragmentation\"") != NULL, row[i].interface != NULL);
		if (row[i].global)
			assert_non_null(strstr(text, row[i].global));
		if (row[i].interface)
			assert_non_null(strstr(text, row[i].interface));
		model_text_free(text);
		lyd_free_all(tree);
	}
}

#define RULE(field, op, value) "{\"field\": \"" field "\", \"operator\": \"" op "\", \"value\": \"" value "\"}"
#define ONE_RULE(field, op, value)                                                                                     \
	"{\"culvert-pki:pki\": {\"certificate-map\": [{\"name\": \"m\", \"entry\": [{\"sequence\": 5, \"criterion\": " \
	"[" RULE(field, op, value) "]}]}]}}"

/* CERTMAP-10, PKIAUTH-41 to 45, DN-1, DN-2, DN-13: by number, whatever their order in the file */
static void test_certificate_rules(void **state)
{
	(void)state;
	struct cv_config *c =
		build_ok("{\"culvert-pki:pki\": {\"certificate-map\": [{\"name\": \"m\", \"entry\": ["
			 "{\"sequence\": 20, \"criterion\": [" RULE("serial-number", "eq",
				 "21") "]},"
				       "{\"sequence\": 10, \"criterion\": [" RULE(
					       "subject-name", "co", "ou = Green") "," RULE("expires-on", "ge",
					       "Apr 1 2009 14:34:30") "]}]}],"
								      "\"identity\": [{\"name\": \"who\", \"dn\": "
								      "[\"OU=BigBiz , o=X\"], \"fqdn\": "
								      "[\"little.com\"]}]}}");
	assert_int_equal(c->n_cert_map, 1);
	const struct certmap *m = c->cert_map;
	assert_int_equal(m->n_entry, 2);
	assert_int_equal(m->entry[0].seq, 10);
	assert_int_equal(m->entry[0].n_rule, 2);
	assert_int_equal(m->entry[0].rule[1].op, CERTMAP_GE);
	assert_int_equal(m->entry[0].rule[1].time, 1238596470);
	assert_int_equal(m->entry[1].seq, 20);
	assert_string_equal(m->entry[1].rule[0].value, "21");
	assert_int_equal(c->n_identity, 1);
	assert_int_equal(c->identity->n_line, 2);
	assert_true(certmap_identity_allows(c->identity, "O=X, OU=bigbiz, CN=a", NULL));
	assert_true(certmap_identity_allows(c->identity, NULL, "little.com"));
	config_unref(c);
	/* what does not go together is refused where it stands */
	struct model_err err;
	assert_null(build(ONE_RULE("expires-on", "co", "2009"), &err));
	assert_non_null(strstr(err.text, "dates take eq, ne, lt and ge"));
	assert_non_null(strstr(err.path, "certificate-map[name='m']/entry[sequence='5']/criterion"));
	assert_null(build(ONE_RULE("subject-name", "lt", "x"), &err));
	assert_null(build(ONE_RULE("valid-start", "ge", "31 02 2026 00:00:00"), &err));
	assert_null(build("{\"culvert-pki:pki\": {\"identity\": [{\"name\": \"who\", \"dn\": [\"BigBiz\"]}]}}", &err));
	assert_non_null(strstr(err.text, "name=string"));
	assert_null(build("{\"culvert-pki:pki\": {\"identity\": [{\"name\": \"who\"}]}}", &err));
	assert_non_null(strstr(err.text, "at least one dn or fqdn"));
}

/* CAC-18: the factor is 0 to 1000, the interval 1 to 32 seconds; 100 and one second unless told otherwise. */
static void test_admission_limits(void **state)
{
	static const struct {
		const char *leaf;
		bool good;
	} row[] = {{"\"load-multiplier\": 0", true}, {"\"load-multiplier\": 1000", true},
		{"\"load-multiplier\": 1001", false}, {"\"load-interval\": 1", true}, {"\"load-interval\": 32", true},
		{"\"load-interval\": 33", false}, {"\"load-interval\": 0", false}};
	char text[128];

	(void)state;
	for (unsigned i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct model_err err;
		snprintf(text, sizeof(text), "{\"culvert-ike:ike\": {\"call-admission\": {%s}}}", row[i].leaf);
		struct cv_config *c = build(text, &err);
		if (!c == row[i].good)
			fail_msg("%s: %s", row[i].leaf, err.text);
		if (c)
			config_unref(c);
	}
	struct cv_config *c = build_ok("{\"culvert-ike:ike\": {\"call-admission\": {}}}");
	assert_int_equal(c->cac.scale, 100);
	assert_int_equal(c->cac.poll_s, 1);
	config_unref(c);
}

/* DPD-1: on demand unless the profile says periodic, or off. */
static void test_keepalive_mode(void **state)
{
	static const struct {
		const char *dpd;
		enum cfg_dpd_mode mode;
	} row[] = {{"{}", CFG_DPD_ON_DEMAND}, {"{\"interval\": 10}", CFG_DPD_ON_DEMAND},
		{"{\"mode\": \"periodic\"}", CFG_DPD_PERIODIC}, {"{\"mode\": \"off\"}", CFG_DPD_OFF}};
	char text[160];

	(void)state;
	for (unsigned i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		snprintf(text, sizeof(text), "{\"culvert-ike:ike\": {\"profile\": [{\"name\": \"p\", \"dpd\": %s}]}}",
			row[i].dpd);
		struct cv_config *c = build_ok(text);
		assert_int_equal(c->ike_profile[0].dpd_mode, row[i].mode);
		config_unref(c);
	}
}

/* RFC 9370: additional groups stand beside a first one; ML-KEM is never that, and must be there. */
static void test_additional_groups(void **state)
{
	static const char *const refused[] = {MAP_BEGIN MAP(",\"pfs-additional-group\":[\"group20\"]"),
		MAP_BEGIN MAP(",\"pfs\":\"group31\",\"pfs-additional-group\":[\"group31\"]"),
		MAP_BEGIN MAP(",\"pfs\":\"group31\",\"pfs-additional-group\":[\"group5\"]"),
		MAP_BEGIN MAP(",\"pfs\":\"group36\"")};
	struct model_err err;

	(void)state;
	struct cv_config *c =
		build_ok(MAP_BEGIN MAP(",\"pfs\":\"group31\",\"pfs-additional-group\":[\"group20\",\"group16\"]"));
	const struct cfg_map_entry *e = c->map[0].entry;
	assert_int_equal(e->n_addke, 2);
	assert_int_equal(e->addke[0], IKE_GROUP_ECP384);
	assert_int_equal(e->addke[1], IKE_GROUP_MODP4096);
	config_unref(c);
	for (unsigned i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		assert_null(build(refused[i], &err));
	c = build(MAP_BEGIN MAP(",\"pfs\":\"group31\",\"pfs-additional-group\":[\"group37\"]"), &err);
	if (c) /* an OpenSSL that has it */
		config_unref(c);
	else
		assert_non_null(strstr(err.text, "group37 (mlkem1024) is not in the linked OpenSSL"));
}

static void test_error_of_resolve(void **state)
{
	struct model_err err;
	char *text = fixture_sample_with(
		"\"culvert-platform:vlan-id\": 20", "\"culvert-platform:vlan-id\": 20, \"culvert-platform:mtu\": 9000");

	(void)state;
	assert_null(build(text, &err));
	assert_string_equal(err.path, "/ietf-interfaces:interfaces/interface[name='lan.20']/culvert-platform:mtu");
	assert_true(err.text[0] != 0);
	free(text);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sample),
		cmocka_unit_test(test_vlan_follows_parent),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_access_lists),
		cmocka_unit_test(test_routes),
		cmocka_unit_test(test_ike),
		cmocka_unit_test(test_security_association),
		cmocka_unit_test(test_access_group),
		cmocka_unit_test(test_verify_source),
		cmocka_unit_test(test_firewall),
		cmocka_unit_test(test_multicast),
		cmocka_unit_test(test_dscp),
		cmocka_unit_test(test_dynamic_map),
		cmocka_unit_test(test_additional_groups),
		cmocka_unit_test(test_security_association_refused),
		cmocka_unit_test(test_default_peer),
		cmocka_unit_test(test_peer_by_name),
		cmocka_unit_test(test_one_vendors_own),
		cmocka_unit_test(test_fragmentation_is_printed_where_it_was_set),
		cmocka_unit_test(test_certificate_rules),
		cmocka_unit_test(test_admission_limits),
		cmocka_unit_test(test_keepalive_mode),
		cmocka_unit_test(test_error_of_resolve),
	};
	struct model_err err;

	fixture_args(argc, argv);
	yang_path = argv[1];
	ctx = model_load(yang_path, &err);
	if (!ctx) {
		fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	int rc = cmocka_run_group_tests(tests, NULL, NULL);
	ly_ctx_destroy(ctx);
	return rc;
}
