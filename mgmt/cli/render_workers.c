/* SPDX-License-Identifier: BSD-3-Clause */
/* Workers, and the profile of their cycles. */
#include <string.h>

#include "render.h"

RENDERER(render_workers)
{
	size_t i, k;
	json_t *w, *q;

	(void)request;
	json_array_foreach (json_object_get(result, "workers"), i, w) {
		fprintf(out, "worker %lld (%s) on lcore %lld: %.1f %% busy, %lld packets in, %.1f a round, %lld out\n",
			jint(w, "worker"), jtext(w, "role", "worker"), jint(w, "lcore"), jreal(w, "busy_percent"),
			jint(w, "rx_packets"), jreal(w, "packets_per_round"), jint(w, "tx_packets"));
		json_array_foreach (json_object_get(w, "queues"), k, q)
			fprintf(out, "  polls %s queue %lld\n", jtext(q, "interface", "?"), jint(q, "queue"));
	}
	if (!strcmp(jtext(result, "profile", ""), "running"))
		fprintf(out, "The profile is running: 'show workers profile', 'profile workers stop'\n");
}

static void stages(FILE *out, const json_t *w)
{
	static const char *const titles[] = {
		"  Stage", "Packets", "Vectors", "Packets/Vector", "Cycles/Packet", "Share"};
	struct table *t = table_new(6, titles, " -----");
	size_t i;
	json_t *s;

	json_array_foreach (json_object_get(w, "stages"), i, s) {
		table_cell(t, "  %s", jtext(s, "stage", "?"));
		table_cell(t, "%lld", jint(s, "packets"));
		table_cell(t, "%lld", jint(s, "calls"));
		table_cell(t, "%.1f", jreal(s, "packets_per_vector"));
		table_cell(t, "%.1f", jreal(s, "cycles_per_packet"));
		table_cell(t, "%.1f %%", jreal(s, "share_percent"));
	}
	if (strcmp(jtext(w, "role", ""), "main") != 0) {
		table_cell(t, "  (loop)");
		for (int empty = 0; empty < 4; empty++)
			table_cell(t, "%s", "");
		table_cell(t, "%.1f %%", jreal(w, "other_percent"));
	}
	table_print(t, out);
}

RENDERER(render_workers_profile)
{
	size_t i;
	json_t *w;

	(void)request;
	if (!json_object_get(result, "seconds")) {
		fprintf(out, "Nothing was profiled: 'profile workers start' begins it.\n");
		return;
	}
	fprintf(out, "Profile %s, %.1f s, cycles of a %.0f MHz clock\n", jtext(result, "profile", "?"),
		jreal(result, "seconds"), jreal(result, "tsc_hz") / 1e6);
	json_array_foreach (json_object_get(result, "workers"), i, w) {
		if (!json_array_size(json_object_get(w, "stages")))
			continue;
		fprintf(out, "\nworker %lld (%s)", jint(w, "worker"), jtext(w, "role", "worker"));
		if (jint(w, "packets"))
			fprintf(out, ": %.1f %% busy, %lld packets, %.1f a round, %.1f cycles each",
				jreal(w, "busy_percent"), jint(w, "packets"), jreal(w, "packets_per_round"),
				jreal(w, "cycles_per_packet"));
		fprintf(out, "\n");
		stages(out, w);
	}
}
