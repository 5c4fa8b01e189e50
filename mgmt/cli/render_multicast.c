/* SPDX-License-Identifier: BSD-3-Clause */
/* Multicast routes. */
#include "render.h"

static void one_route(FILE *out, const json_t *r)
{
	const json_t *o;
	size_t i;

	fprintf(out, "(%s, %s), %s\n", jtext(r, "source", "*"), jtext(r, "group", "?"), jtext(r, "origin", "static"));
	fprintf(out, "  Incoming interface: %s\n  Outgoing interface list:%s\n", jtext(r, "incoming_interface", "?"),
		json_array_size(json_object_get(r, "outgoing_interfaces")) ? "" : " Null");
	json_array_foreach (json_object_get(r, "outgoing_interfaces"), i, o)
		fprintf(out, "    %s, TTL threshold %lld\n", jtext(o, "interface", "?"), jint(o, "ttl_threshold"));
	fprintf(out, "  %lld packets, %lld bytes, %lld copies sent, %lld by a wrong interface\n", jint(r, "packets"),
		jint(r, "bytes"), jint(r, "copies"), jint(r, "wrong_interface"));
}

RENDERER(render_mroutes)
{
	const json_t *r;
	size_t i;

	(void)request;
	json_array_foreach (json_object_get(result, "routes"), i, r)
		one_route(out, r);
}
