/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How long a configuration with many tunnels, or with many VRFs, holds up the loop: each step of a commit, in
 * milliseconds. usage: bench_commit YANG-PATH [TUNNELS [VRFS]]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "build.h"

static double last;

static double now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

static void step(const char *name)
{
	double now = now_ms();

	printf("%-28s%10.1f\n", name, now - last);
	last = now_ms();
}

/* One access list, one preshared key and one map entry for each tunnel. */
static char *configuration(unsigned n)
{
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	fputs("{\"ietf-interfaces:interfaces\":{\"interface\":[{\"name\":\"wan\",\"type\":\"iana-if-type:"
	      "ethernetCsmacd\","
	      "\"culvert-platform:device\":\"net_null0\",\"culvert-ipsec:crypto-map\":\"vpn\",\"ietf-ip:ipv4\":{"
	      "\"address\":[{"
	      "\"ip\":\"192.0.2.1\",\"prefix-length\":24}]}}]},\"culvert-acl:access-lists\":{\"access-list\":[",
		f);
	for (unsigned i = 0; i < n; i++)
		fprintf(f,
			"%s{\"name\":\"a%u\",\"line\":[{\"sequence\":10,\"action\":\"permit\",\"source\":\"10.1.0.0/"
			"16\","
			"\"destination\":\"10.%u.%u.0/24\"}]}",
			i ? "," : "", i, 64 + i / 256, i % 256);
	fputs("]},\"culvert-ike:ike\":{\"keyring\":[{\"name\":\"k\",\"pre-shared-key\":[", f);
	for (unsigned i = 0; i < n; i++)
		fprintf(f, "%s{\"name\":\"p%u\",\"address\":\"198.18.%u.%u\",\"key\":\"secret-number-%u\"}",
			i ? "," : "", i, i / 256, i % 256, i);
	fputs("]}]},\"culvert-ipsec:ipsec\":{\"transform-set\":[{\"name\":\"ts\",\"algorithm\":\"aes128-gcm16\"}],"
	      "\"crypto-map\":[{\"name\":\"vpn\",\"entry\":[",
		f);
	for (unsigned i = 0; i < n; i++)
		fprintf(f,
			"%s{\"sequence\":%u,\"access-list\":\"a%u\",\"peer\":[\"198.18.%u.%u\"],"
			"\"transform-set\":[\"ts\"]}",
			i ? "," : "", i + 1, i, i / 256, i % 256);
	fputs("]}]}}", f);
	fclose(f);
	return text;
}

/* One VLAN for each VRF, all with the same address, and two routes, one of them through the global table (VRF-12). */
static char *vrf_configuration(unsigned n)
{
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	fputs("{\"culvert-vrf:vrfs\":{\"vrf\":[", f);
	for (unsigned i = 1; i <= n; i++)
		fprintf(f, "%s{\"name\":\"v%u\"}", i > 1 ? "," : "", i);
	fputs("]},\"ietf-interfaces:interfaces\":{\"interface\":[{\"name\":\"lan\",\"type\":\"iana-if-type:"
	      "ethernetCsmacd\",\"culvert-platform:device\":\"net_null0\"}",
		f);
	for (unsigned i = 1; i <= n; i++)
		fprintf(f,
			",{\"name\":\"lan.%u\",\"type\":\"iana-if-type:l2vlan\",\"culvert-platform:parent\":\"lan\","
			"\"culvert-platform:vlan-id\":%u,\"culvert-vrf:vrf\":\"v%u\",\"ietf-ip:ipv4\":{\"address\":[{"
			"\"ip\":\"10.0.0.1\",\"prefix-length\":24}]}}",
			i, i, i);
	fputs("]},\"ietf-routing:routing\":{\"control-plane-protocols\":{\"control-plane-protocol\":[", f);
	for (unsigned i = 1; i <= n; i++)
		fprintf(f,
			"%s{\"type\":\"ietf-routing:static\",\"name\":\"v%u\",\"culvert-vrf:vrf\":\"v%u\","
			"\"static-routes\":{\"ietf-ipv4-unicast-routing:ipv4\":{\"route\":["
			"{\"destination-prefix\":\"10.1.0.0/16\",\"next-hop\":{\"next-hop-address\":\"10.0.0.2\"}},"
			"{\"destination-prefix\":\"10.2.0.0/16\",\"next-hop\":{\"next-hop-address\":\"192.0.2.2\","
			"\"culvert-vrf:global\":true}}]}}}",
			i > 1 ? "," : "", i, i);
	fputs("]}}}", f);
	fclose(f);
	return text;
}

/* Every step for one configuration, which is freed. 0 or -1 with err. */
static int measure(struct ly_ctx *ctx, char *text, struct model_err *err)
{
	struct lyd_node *tree = NULL, *copy = NULL;
	struct cv_config *c;
	char *printed;

	last = now_ms();
	if (model_parse(ctx, text, &tree, err))
		return -1;
	step("parse");
	if (lyd_dup_siblings(tree, NULL, LYD_DUP_RECURSIVE | LYD_DUP_WITH_FLAGS, &copy) != LY_SUCCESS)
		return -1;
	step("copy");
	if (model_validate(ctx, &copy, err))
		return -1;
	step("validate");
	c = build_config(copy, NULL, NULL, NULL, err);
	if (!c)
		return -1;
	step("build and resolve");
	json_t *diff = model_diff(tree, copy);
	step("difference");
	printed = model_print(ctx, copy, NULL, LYD_JSON, true, err);
	step("print");
	json_decref(diff);
	model_text_free(printed);
	config_unref(c);
	lyd_free_all(tree);
	lyd_free_all(copy);
	free(text);
	return 0;
}

int main(int argc, char **argv)
{
	struct model_err err = {0};
	unsigned n = argc > 2 ? (unsigned)atoi(argv[2]) : 5000, n_vrf = argc > 3 ? (unsigned)atoi(argv[3]) : 4000;
	struct ly_ctx *ctx = argc > 1 ? model_load(argv[1], &err) : NULL;
	int r;

	if (!ctx) {
		fprintf(stderr, "usage: bench_commit YANG-PATH [TUNNELS [VRFS]]\n");
		return 2;
	}
	printf("%u tunnels; milliseconds:\n", n);
	r = measure(ctx, configuration(n), &err);
	printf("%u VRFs with a VLAN and two routes each; milliseconds:\n", n_vrf);
	if (!r)
		r = measure(ctx, vrf_configuration(n_vrf), &err);
	if (r)
		fprintf(stderr, "%s: %s\n", err.path, err.text);
	ly_ctx_destroy(ctx);
	return r ? 1 : 0;
}
