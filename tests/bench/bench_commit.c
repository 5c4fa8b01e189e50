/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How long a configuration with many tunnels holds up the loop: each step of a commit, in milliseconds.
 * usage: bench_commit YANG-PATH [TUNNELS]
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

int main(int argc, char **argv)
{
	struct model_err err;
	unsigned n = argc > 2 ? (unsigned)atoi(argv[2]) : 5000;
	struct ly_ctx *ctx = argc > 1 ? model_load(argv[1], &err) : NULL;
	struct lyd_node *tree = NULL, *copy = NULL;
	struct cv_config *c;
	char *text, *printed;

	if (!ctx) {
		fprintf(stderr, "usage: bench_commit YANG-PATH [TUNNELS]\n");
		return 2;
	}
	text = configuration(n);
	printf("%u tunnels, %zu KB of JSON; milliseconds:\n", n, strlen(text) >> 10);
	last = now_ms();
	if (model_parse(ctx, text, &tree, &err))
		goto bad;
	step("parse");
	if (lyd_dup_siblings(tree, NULL, LYD_DUP_RECURSIVE | LYD_DUP_WITH_FLAGS, &copy) != LY_SUCCESS)
		return 1;
	step("copy");
	if (model_validate(ctx, &copy, &err))
		goto bad;
	step("validate");
	c = build_config(copy, NULL, NULL, NULL, &err);
	if (!c)
		goto bad;
	step("build and resolve");
	json_t *diff = model_diff(tree, copy);
	step("difference");
	printed = model_print(ctx, copy, NULL, LYD_JSON, true, &err);
	step("print");
	json_decref(diff);
	model_text_free(printed);
	config_unref(c);
	lyd_free_all(tree);
	lyd_free_all(copy);
	free(text);
	ly_ctx_destroy(ctx);
	return 0;
bad:
	fprintf(stderr, "%s: %s\n", err.path, err.text);
	return 1;
}
