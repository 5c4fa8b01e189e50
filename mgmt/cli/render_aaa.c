/* SPDX-License-Identifier: BSD-3-Clause */
/* show aaa servers. */
#include "render.h"

RENDERER(render_aaa_servers)
{
	const json_t *servers = json_object_get(result, "servers"), *s;
	size_t i;

	(void)request;
	if (!json_array_size(servers))
		fputs("No AAA servers\n", out);
	json_array_foreach (servers, i, s) {
		fprintf(out, "RADIUS server %s: %s port %lld, timeout %lld s, %lld repeats\n", jtext(s, "name", "?"),
			jtext(s, "address", "?"), jint(s, "port"), jint(s, "timeout_s"), jint(s, "retransmit"));
		fprintf(out, "  state: %s", jtext(s, "state", "?"));
		if (jint(s, "dead_for_s"))
			fprintf(out, ", asked again in %lld s", jint(s, "dead_for_s"));
		fprintf(out, "\n  requests %lld, repeats %lld, open %lld\n", jint(s, "requests"), jint(s, "repeats"),
			jint(s, "open"));
		fprintf(out,
			"  accepts %lld, rejects %lld, time-outs %lld, bad answers %lld, last answer after %lld ms\n",
			jint(s, "accepts"), jint(s, "rejects"), jint(s, "timeouts"), jint(s, "bad_answers"),
			jint(s, "response_ms"));
	}
}
