/* SPDX-License-Identifier: BSD-3-Clause */
/* The history of sessions, and the conditions of debugging (CDBG). */
#include "render.h"

RENDERER(render_session_history)
{
	static const char *const titles[] = {"Time", "Peer", "Port", "f_vrf", "Event", "Times", "Map", "Reason"};
	struct table *t = table_new(8, titles, "  -  -  ");
	size_t i;
	json_t *e;

	(void)request;
	json_array_foreach (json_object_get(result, "events"), i, e) {
		table_cell(t, "%s", jtext(e, "time", "?"));
		table_cell(t, "%s", jtext(e, "remote", "-"));
		table_cell(t, "%lld", jint(e, "remote_port"));
		table_cell(t, "%s", jvrf(e, "fvrf"));
		table_cell(t, "%s", jtext(e, "event", "?"));
		table_cell(t, "%lld", json_object_get(e, "count") ? jint(e, "count") : 1);
		if (json_object_get(e, "map"))
			table_cell(t, "%s %lld", jtext(e, "map", "?"), jint(e, "seq"));
		else
			table_cell(t, "-");
		table_cell(t, "%s", jtext(e, "reason", ""));
	}
	table_print(t, out);
}

static const char *on_off(const json_t *o, const char *key)
{
	return jflag(o, key) ? "ON" : "OFF";
}

RENDERER(render_debug_condition)
{
	static const struct {
		const char *key, *title, *after;
	} blocks[] = {{"peers", "IKE peer IP address filters", " "}, {"hostnames", "IKE peer hostname filters", " "},
		{"groups", "IKE peer group filters", " "}, {"usernames", "IKE peer username filters", " "},
		{"fvrfs", "FVRF filters", " "}, {"ivrfs", "IVRF filters", " "}, {"spis", "SPI filters", " "},
		{"connids", "Connection-id filters[connid:engine_id]", ","},
		{"flowids", "Flow-id filters[flowid:engine_id]", ","}};
	const json_t *u = json_object_get(result, "unmatched");

	(void)request;
	fprintf(out, "Crypto conditional debug currently is turned %s\n", on_off(result, "conditional"));
	fprintf(out, "IKE debug context unmatched flag:            %s\n", on_off(u, "isakmp"));
	fprintf(out, "IKEv2 debug context unmatched flag:          %s\n", on_off(u, "ikev2"));
	fprintf(out, "IPsec debug context unmatched flag:          %s\n", on_off(u, "ipsec"));
	fprintf(out, "Crypto Engine debug context unmatched flag:  %s\n", on_off(u, "engine"));
	for (unsigned b = 0; b < sizeof(blocks) / sizeof(blocks[0]); b++) {
		const json_t *list = json_object_get(result, blocks[b].key);
		size_t i;
		json_t *v;

		if (!json_array_size(list))
			continue;
		fprintf(out, "\n%s:\n", blocks[b].title);
		json_array_foreach (list, i, v)
			fprintf(out, "%s%s", jstring(v), blocks[b].after);
		fputc('\n', out);
	}
}

static void print_place(FILE *out, const json_t *c)
{
	fprintf(out, "  WIRESHARK_CONFIG_DIR=%s tshark -r %s/%s\n", jtext(c, "directory", "?"),
		jtext(c, "directory", "?"), jtext(c, "file", "?"));
}

RENDERER(render_ike_capture_started)
{
	(void)request;
	fprintf(out, "Messages of IKE are being written with the keys that decrypt them. To read them:\n");
	print_place(out, result);
	fprintf(out, "When you are done: capture ike wipe %s\n", jtext(result, "name", "?"));
}

RENDERER(render_ike_capture)
{
	const json_t *run = json_object_get(result, "running");
	size_t i;
	json_t *c;

	(void)request;
	fprintf(out, "Capture of IKE with its keys is %s by the configuration\n",
		jflag(result, "allowed") ? "ALLOWED" : "not allowed");
	if (run) {
		fprintf(out, "RUNNING: %s, %lld messages, keys of %lld IKE SAs", jtext(run, "name", "?"),
			jint(run, "messages"), jint(run, "ike_sas"));
		if (jint(run, "ike_sas_unreadable"))
			fprintf(out, ", %lld that Wireshark cannot decrypt", jint(run, "ike_sas_unreadable"));
		fprintf(out, "; ends after %lld messages, %lld seconds or %lld bytes more\n",
			jint(run, "messages_left"), jint(run, "seconds_left"), jint(run, "bytes_left"));
	}
	json_array_foreach (json_object_get(result, "captures"), i, c) {
		fprintf(out, "\n%s: %lld bytes, keys %s\n", jtext(c, "name", "?"), jint(c, "bytes"),
			jflag(c, "keys") ? "NOT WIPED" : "wiped");
		print_place(out, c);
	}
}
