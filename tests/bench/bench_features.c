/* SPDX-License-Identifier: BSD-3-Clause */
/* What each feature costs a packet, beside the same router without it. */
#include "bench_world.h"

#include <stdlib.h>
#include <string.h>

#define TURNS 3u     /* with and without, so that both see the same weather */
#define WINDOW 1024u /* of replay */

enum { FORWARD = 1, ESP_OUT = 2, ESP_IN = 4 };
static const struct {
	const char *name, *what;
	unsigned ways; /* in which it is measured */
	struct feature f;
} features[] = {
	{"none", "", 0, {0}},
	{"acl-1", "access list of 1 line, in", FORWARD | ESP_OUT, {.lines = 1}},
	{"acl-100", "access list of 100 lines, in; the last decides", FORWARD | ESP_OUT, {.lines = 100}},
	{"police", "output policy map: a policed class", FORWARD | ESP_OUT, {.policy = POLICY_POLICE}},
	{"priority", "output policy map: LLQ, all in the priority class", FORWARD | ESP_OUT,
		{.policy = POLICY_PRIORITY}},
	{"inspect", "stateful inspection", FORWARD | ESP_OUT, {.inspect = true}},
	{"nat", "source translation, one address", FORWARD | ESP_OUT, {.nat = true}},
	{"gre", "GRE tunnel, out", FORWARD, {.tunnel = CV_TUNNEL_GRE}},
	{"ipip", "IP-in-IP tunnel, out", FORWARD, {.tunnel = CV_TUNNEL_IPIP}},
	{"vti", "VTI instead of a crypto map", ESP_OUT | ESP_IN, {.tunnel = CV_TUNNEL_IPSEC, .protected = true}},
	{"gre-ipsec", "GRE over IPsec (transport mode)", ESP_OUT, {.tunnel = CV_TUNNEL_GRE, .protected = true}},
	{"nat-t", "ESP in UDP", ESP_OUT | ESP_IN, {.natt = true}},
	{"ipv6", "IPv6 instead of IPv4", FORWARD | ESP_OUT | ESP_IN, {.v6 = true}},
	{"esp-ipv6", "IPv6 in ESP over IPv6", ESP_OUT | ESP_IN, {.v6 = true, .outer6 = true}},
};
#define N_FEATURES (sizeof(features) / sizeof(features[0]))

const struct feature *feature_named(const char *name)
{
	for (size_t i = 0; i < N_FEATURES; i++)
		if (!strcmp(features[i].name, name))
			return &features[i].f;
	fprintf(stderr, "bench_pipeline: %s: no such feature; --help says which there are\n", name);
	exit(2);
}

static double measure_one(const struct feature *f, unsigned way, enum suite suite, enum traffic t)
{
	const uint32_t n_sa = way != FORWARD;
	network(f);
	tunnels(suite, n_sa, 0, WINDOW);
	if (way == ESP_IN)
		frames_esp(suite, t, 1);
	else
		frames_clear(t, 1);
	windows_reset(n_sa);
	measure_warm_up(way == ESP_IN ? WAN : LAN);
	return measure(way == ESP_IN ? WAN : LAN, n_sa, NULL).total;
}

static void one_row(size_t i, unsigned way, enum suite suite, enum traffic t, FILE *json)
{
	static bool first = true;
	const char *name = way == FORWARD ? "plain" : way == ESP_OUT ? "esp-out" : "esp-in";
	double with = 0, without = 0;
	for (unsigned turn = 0; turn < TURNS; turn++) {
		const double a = measure_one(&features[0].f, way, suite, t);
		const double b = measure_one(&features[i].f, way, suite, t);
		without = turn && without < a ? without : a;
		with = turn && with < b ? with : b;
	}
	printf("%-8s %5s %9.1f %9.1f %+9.1f  %s\n", name, traffic_name[t], without, with, with - without,
		features[i].what);
	fflush(stdout);
	if (json)
		fprintf(json,
			"%s\n  {\"way\": \"%s\", \"traffic\": \"%s\", \"feature\": \"%s\", \"what\": \"%s\", "
			"\"without\": %.2f, \"with\": %.2f, \"cost\": %.2f}",
			first ? "" : ",", name, traffic_name[t], features[i].name, features[i].what, without, with,
			with - without);
	first = false;
}

void features_run(enum suite suite, const char *only_size, FILE *json)
{
	runs = runs / TURNS + 3;
	printf("%-8s %5s %9s %9s %9s  feature\n", "way", "size", "without", "with", "costs");
	for (int t = 0; t < N_TRAFFIC; t++) {
		if (only_size ? strcmp(only_size, traffic_name[t]) != 0 : t == TIMIX)
			continue;
		for (size_t i = 1; i < N_FEATURES; i++)
			for (unsigned way = FORWARD; way <= ESP_IN; way <<= 1)
				if (features[i].ways & way)
					one_row(i, way, suite, (enum traffic)t, json);
	}
	frames_free();
}
