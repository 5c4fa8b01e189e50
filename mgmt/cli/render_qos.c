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
