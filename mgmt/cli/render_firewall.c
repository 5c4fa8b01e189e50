/* SPDX-License-Identifier: BSD-3-Clause */
/* Connections and translations. */
#include "render.h"

static void end_cell(struct table *t, const json_t *o, const char *address, const char *port)
{
	if (json_object_get(o, port))
		table_cell(t, "%s:%lld", jtext(o, address, "?"), jint(o, port));
	else
		table_cell(t, "%s", jtext(o, address, "?"));
}

RENDERER(render_inspect_sessions)
{
	static const char *const titles[] = {"Source", "Destination", "Protocol", "State", "Age", "Expires", "VRF"};
	struct table *t = table_new(7, titles, "    -- ");
	char age[48], left[48];
	json_t *o;
	size_t i;

	(void)request;
	json_array_foreach (json_object_get(result, "sessions"), i, o) {
		end_cell(t, o, "source", json_object_get(o, "identifier") ? "identifier" : "source_port");
		end_cell(t, o, "destination", "destination_port");
		table_cell(t, "%s", jtext(o, "protocol", "?"));
		table_cell(t, "%s", jtext(o, "state", "?"));
		table_cell(t, "%s", hms(jint(o, "age"), age));
		table_cell(t, "%s", hms(jint(o, "expires"), left));
		table_cell(t, "%s", jvrf(o, "vrf"));
	}
	table_print(t, out);
}

RENDERER(render_nat_translations)
{
	static const char *const titles[] = {"Pro", "Inside global", "Inside local", "Outside", "Expires", "VRF"};
	struct table *t = table_new(6, titles, "    - ");
	char left[48];
	json_t *o;
	size_t i;

	(void)request;
	json_array_foreach (json_object_get(result, "translations"), i, o) {
		table_cell(t, "%s", jtext(o, "protocol", "---"));
		end_cell(t, o,
			json_object_get(o, "inside_global_interface") ? "inside_global_interface" : "inside_global",
			"inside_global_port");
		end_cell(t, o, "inside_local", "inside_local_port");
		if (jflag(o, "static"))
			table_cell(t, "---");
		else
			end_cell(t, o, "outside", "outside_port");
		table_cell(t, "%s", jflag(o, "static") ? "static" : hms(jint(o, "expires"), left));
		table_cell(t, "%s", jvrf(o, "vrf"));
	}
	table_print(t, out);
}
