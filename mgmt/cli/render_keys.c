/* SPDX-License-Identifier: BSD-3-Clause */
/* RSA keys and certificates. */
#include <string.h>
#include <time.h>

#include "render.h"

static const char *usage_text(const json_t *key)
{
	const char *u = jtext(key, "usage", "");

	return !strcmp(u, "signature") ? "Signature" : !strcmp(u, "encryption") ? "Encryption" : "General Purpose";
}

/* Groups of eight digits, as they may be typed in again. */
static void print_key(FILE *out, const json_t *key)
{
	const char *p = jtext(key, "key_data", "");

	for (size_t n = 0; *p; n++, p++)
		fprintf(out, "%s%c", n % 64 == 0 ? "\n  " : n % 8 == 0 ? " " : "", *p);
	fputc('\n', out);
}

RENDERER(render_mypubkey)
{
	size_t i;
	json_t *key;

	(void)request;
	json_array_foreach (json_object_get(result, "keys"), i, key) {
		fprintf(out, "Key name: %s\n", jtext(key, "name", "?"));
		fprintf(out, " Kept in: %s\n", jtext(key, "kept_in", "?"));
		fprintf(out, " Usage: %s Key, %lld bits\n", usage_text(key), jint(key, "bits"));
		fprintf(out, " Key Data:");
		print_key(out, key);
	}
}

static void whole_keys(FILE *out, const json_t *keys)
{
	size_t i;
	json_t *key;

	json_array_foreach (keys, i, key) {
		fprintf(out, "Key name: %s\n", jtext(key, "name", "-"));
		fprintf(out, "Key address: %s\n", jtext(key, "address", "-"));
		if (json_object_get(key, "serial_number"))
			fprintf(out, " Serial number: %s\n", jtext(key, "serial_number", ""));
		fprintf(out, " Usage: %s Key, %lld bits\n", usage_text(key), jint(key, "bits"));
		fprintf(out, " Source: %s\n", strcmp(jtext(key, "code", ""), "M") ? "Certificate" : "Manual");
		if (json_object_get(key, "key_data")) {
			fprintf(out, " Data:");
			print_key(out, key);
		}
	}
}

RENDERER(render_pubkey_chain)
{
	static const char *const titles[] = {"Code", "Usage", "IP-Address/VRF", "Keyring", "Name"};
	struct table *t;
	size_t i;
	json_t *key;

	if (json_object_get(request, "name") || json_object_get(request, "address")) {
		whole_keys(out, json_object_get(result, "keys"));
		return;
	}
	fprintf(out, "Codes: M - Manually configured, C - Extracted from certificate\n\n");
	t = table_new(5, titles, "     ");
	json_array_foreach (json_object_get(result, "keys"), i, key) {
		const char *vrf = jtext(key, "vrf", NULL);

		table_cell(t, "%s", jtext(key, "code", "?"));
		table_cell(t, "%s", usage_text(key));
		table_cell(t, "%s%s%s", jtext(key, "address", "-"), vrf ? "/" : "", vrf ? vrf : "");
		table_cell(t, "%s", jtext(key, "keyring", "-"));
		table_cell(t, "%s", jtext(key, "name", "-"));
	}
	table_print(t, out);
}

static void print_date(FILE *out, const char *what, long long at)
{
	char text[64] = "?";
	time_t s = (time_t)at;
	struct tm tm;

	if (gmtime_r(&s, &tm))
		strftime(text, sizeof(text), "%H:%M:%S UTC %b %e %Y", &tm);
	fprintf(out, "    %s %s\n", what, text);
}

RENDERER(render_certificates)
{
	size_t i;
	json_t *c;

	(void)request;
	json_array_foreach (json_object_get(result, "certificates"), i, c) {
		const char *status = jtext(c, "status", "?");

		fprintf(out, "%s\n", strcmp(jtext(c, "kind", ""), "ca") ? "Certificate" : "CA Certificate");
		fprintf(out, "  Status: %s\n",
			!strcmp(status, "available") ? "Available"
			: !strcmp(status, "expired") ? "Expired"
						     : "Not valid yet");
		fprintf(out, "  Certificate Serial Number: %s\n", jtext(c, "serial", "?"));
		if (json_object_get(c, "usage"))
			fprintf(out, "  Key Usage: %s\n", jtext(c, "usage", "?"));
		fprintf(out, "  Issuer: %s\n", jtext(c, "issuer", ""));
		fprintf(out, "  Subject: %s\n", jtext(c, "subject", ""));
		fprintf(out, "  Validity Date:\n");
		print_date(out, "start date:", jint(c, "valid_start"));
		print_date(out, "end   date:", jint(c, "expires_on"));
		fprintf(out, "  Associated Trustpoints: %s\n\n", jtext(c, "trust_point", "?"));
	}
}

RENDERER(render_generated)
{
	size_t i;
	json_t *file;

	(void)request;
	fprintf(out, "RSA key pair %s, %lld bits:\n", jtext(result, "name", "?"), jint(result, "bits"));
	json_array_foreach (json_object_get(result, "files"), i, file)
		fprintf(out, "  %s\n", jstring(file));
	fprintf(out, "The candidate names it; 'config commit' puts it in use, 'show crypto key mypubkey rsa' then "
		     "prints what peers need.\n");
}
