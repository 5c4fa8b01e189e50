/* SPDX-License-Identifier: BSD-3-Clause */
/* Call admission control in the words of the manual (CAC-T3, CAC-T4). */
#include "render.h"

#define RULE "---------------------------------------------------------------------\n"

RENDERER(render_call_admission)
{
	(void)request;
	fprintf(out, "Total Call admission charges: %lld, limit %lld\n", jint(result, "charge"), jint(result, "limit"));
	fprintf(out, "Total calls rejected %lld, accepted %lld\n", jint(result, "rejected"), jint(result, "accepted"));
	fprintf(out, "Load metric: charge %lld, unscaled %lld%%\n", jint(result, "charge"), jint(result, "unscaled"));
}

static void row(FILE *out, const char *const title[3], long long a, long long b, long long c)
{
	fprintf(out, "%-24s%8lld  %-14s%8lld  %-13s%8lld\n", title[0], a, title[1], b, title[2], c);
}

static void requests(FILE *out, const char *title, const json_t *o)
{
	row(out, (const char *const[]){title, "accepted:", "rejected:"}, jint(o, "requests"), jint(o, "accepted"),
		jint(o, "rejected"));
}

RENDERER(render_crypto_admission)
{
	const json_t *rejected = json_object_get(result, "rejected");

	(void)request;
	fputs(RULE "               Crypto Call Admission Control Statistics\n" RULE, out);
	row(out, (const char *const[]){"System Resource Limit:", "Max IKE SAs:", "Max in nego:"},
		jint(result, "resource_limit"), jint(result, "max_ike_sas"), jint(result, "max_in_negotiation"));
	row(out, (const char *const[]){"Total IKE SA Count:", "active:", "negotiating:"}, jint(result, "total"),
		jint(result, "active"), jint(result, "negotiating"));
	requests(out, "Incoming IKE Requests:", json_object_get(result, "incoming"));
	requests(out, "Outgoing IKE Requests:", json_object_get(result, "outgoing"));
	row(out, (const char *const[]){"Rejected IKE Requests:", "rsrc low:", "SA limit:"}, jint(rejected, "total"),
		jint(rejected, "rsrc_low"), jint(rejected, "sa_limit"));
	fputs(RULE, out);
}
