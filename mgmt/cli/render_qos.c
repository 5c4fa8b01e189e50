/* SPDX-License-Identifier: BSD-3-Clause */
/* show class-map, policy-map, policy-map interface. */
#include "render.h"

static void matches(FILE *out, const json_t *o, const char *indent)
{
	const json_t *v;
	size_t i;

	json_array_foreach (json_object_get(o, "match"), i, v)
		fprintf(out, "%sMatch: %s\n", indent, jstring(v));
}

RENDERER(render_class_map)
{
	const json_t *m;
	size_t i;

	(void)request;
	json_array_foreach (json_object_get(result, "class_maps"), i, m) {
		fprintf(out, "Class Map %s %s\n", jtext(m, "type", "?"), jtext(m, "name", "?"));
		if (json_object_get(m, "description"))
			fprintf(out, "  Description: %s\n", jtext(m, "description", ""));
		matches(out, m, "  ");
	}
}

/* A DSCP is a name, or a number that has none. */
static void dscp(FILE *out, const json_t *v)
{
	if (json_is_string(v))
		fputs(json_string_value(v), out);
	else
		fprintf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
}

static void colour(FILE *out, const json_t *police, const char *name)
{
	const json_t *c = json_object_get(police, name);

	if (!c)
		return;
	fprintf(out, "        %s: ", name);
	if (json_object_get(c, "packets"))
		fprintf(out, "%lld packets, %lld bytes; ", jint(c, "packets"), jint(c, "bytes"));
	fprintf(out, "action %s", jtext(c, "action", "?"));
	if (json_object_get(c, "dscp")) {
		fputc(' ', out);
		dscp(out, json_object_get(c, "dscp"));
	}
	fputc('\n', out);
}

static void police(FILE *out, const json_t *p)
{
	if (!p)
		return;
	fprintf(out, "      police: rate %lld bps, burst %lld bytes", jint(p, "rate"), jint(p, "burst"));
	if (json_object_get(p, "excess_burst"))
		fprintf(out, ", excess burst %lld bytes", jint(p, "excess_burst"));
	if (json_object_get(p, "peak_rate"))
		fprintf(out, ", peak rate %lld bps, peak burst %lld bytes", jint(p, "peak_rate"),
			jint(p, "peak_burst"));
	fputc('\n', out);
	colour(out, p, "conform");
	colour(out, p, "exceed");
	colour(out, p, "violate");
}

static void number(FILE *out, const json_t *k, const char *key, const char *before, const char *behind)
{
	if (json_object_get(k, key))
		fprintf(out, "      %s %lld%s\n", before, jint(k, key), behind);
}

static void random_detect(FILE *out, const json_t *w)
{
	const json_t *c;
	size_t i;

	if (!w)
		return;
	fprintf(out, "      random-detect: exponential weight %lld%s\n", jint(w, "exponential_weighting_constant"),
		jflag(w, "ecn") ? ", marks" : "");
	json_array_foreach (json_object_get(w, "dscp"), i, c) {
		fputs("        ", out);
		dscp(out, json_object_get(c, "dscp"));
		fprintf(out, ": thresholds %lld to %lld, 1/%lld\n", jint(c, "min_threshold"), jint(c, "max_threshold"),
			jint(c, "mark_probability_denominator"));
	}
}

static void queue_setting(FILE *out, const json_t *k)
{
	number(out, k, "priority", "priority", " kbps");
	number(out, k, "bandwidth", "bandwidth", " kbps");
	number(out, k, "bandwidth_percent", "bandwidth percent", "");
	number(out, k, "bandwidth_remaining_percent", "bandwidth remaining percent", "");
	number(out, k, "shape", "shape average", " kbps");
	number(out, k, "queue_limit", "queue-limit", " packets");
	random_detect(out, json_object_get(k, "random_detect"));
	if (jflag(k, "fair_queue"))
		fputs("      fair-queue\n", out);
}

static void queue_counters(FILE *out, const json_t *q)
{
	static const char *const below[] = {"10 us", "100 us", "1 ms", "10 ms", "100 ms"};
	const json_t *v;
	size_t i;

	if (!q)
		return;
	fprintf(out,
		"      queue: depth %lld, max %lld; sent %lld packets, %lld bytes; drops: full %lld, random %lld, "
		"above "
		"priority %lld\n",
		jint(q, "depth"), jint(q, "depth_max"), jint(q, "sent_packets"), jint(q, "sent_bytes"),
		jint(q, "queue_drops"), jint(q, "random_drops"), jint(q, "priority_drops"));
	fputs("      delay:", out);
	json_array_foreach (json_object_get(q, "delay"), i, v)
		fprintf(out, "%s %s%s %" JSON_INTEGER_FORMAT, i ? "," : "", i < 5 ? "< " : "",
			i < 5 ? below[i] : "more", json_integer_value(v));
	fputc('\n', out);
}

static void classes(FILE *out, const json_t *policy)
{
	const json_t *k;
	size_t i;

	json_array_foreach (json_object_get(policy, "classes"), i, k) {
		fprintf(out, "    Class-map: %s", jtext(k, "name", "?"));
		if (json_object_get(k, "packets"))
			fprintf(out, " (%s)\n      %lld packets, %lld bytes", jtext(k, "type", "?"), jint(k, "packets"),
				jint(k, "bytes"));
		fputc('\n', out);
		matches(out, k, "      ");
		if (json_object_get(k, "set_dscp")) {
			fputs("      set dscp ", out);
			dscp(out, json_object_get(k, "set_dscp"));
			fputc('\n', out);
		}
		if (json_object_get(k, "marked"))
			fprintf(out, "      marked: %lld packets\n", jint(k, "marked"));
		police(out, json_object_get(k, "police"));
		queue_setting(out, k);
		queue_counters(out, json_object_get(k, "queue"));
	}
}

RENDERER(render_policy_map)
{
	const json_t *p;
	size_t i;

	(void)request;
	json_array_foreach (json_object_get(result, "policy_maps"), i, p) {
		fprintf(out, "  Policy Map %s\n", jtext(p, "name", "?"));
		if (json_object_get(p, "description"))
			fprintf(out, "    Description: %s\n", jtext(p, "description", ""));
		classes(out, p);
	}
}

RENDERER(render_policy_map_interface)
{
	const json_t *p;
	size_t i;

	(void)request;
	json_array_foreach (json_object_get(result, "interfaces"), i, p) {
		fprintf(out, "%s%s\n  Service-policy %s: %s\n", i ? "\n" : "", jtext(p, "interface", "?"),
			jtext(p, "direction", "?"), jtext(p, "policy", "?"));
		classes(out, p);
	}
}

RENDERER(render_engine_qos)
{
	const json_t *e, *q;
	size_t i, k;

	(void)request;
	json_array_foreach (json_object_get(result, "engines"), i, e) {
		fprintf(out, "Crypto engine %s, worker %lld, interface %s, policy %s\n", jtext(e, "engine", "?"),
			jint(e, "worker"), jtext(e, "interface", "?"), jtext(e, "policy", "?"));
		json_array_foreach (json_object_get(e, "queues"), k, q) {
			fprintf(out, "    Class %s (%s): offered %lld packets, %lld bytes\n", jtext(q, "class", "?"),
				jtext(q, "queue", "?"), jint(q, "offered_packets"), jint(q, "offered_bytes"));
			queue_setting(out, q);
			queue_counters(out, q);
		}
	}
}
