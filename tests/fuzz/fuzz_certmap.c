/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A certificate that nobody has judged yet, as the peer sends it: its fields, and the rules of certificate maps and
 * identities held against them. Whatever comes, a rule and its opposite do not both hold.
 */
#include <string.h>

#include "certmap.h"
#include "pki.h"

static bool holds(enum certmap_field field, enum certmap_op op, const char *value, const struct certmap_cert *cert)
{
	struct certmap_rule r;
	if (certmap_rule_init(&r, field, op, value))
		__builtin_trap();
	const struct certmap_entry e = {.seq = 1, .rule = &r, .n_rule = 1};
	const struct certmap m = {.name = "m", .entry = &e, .n_entry = 1};
	return certmap_match(&m, cert) != NULL;
}

static void rules(const struct certmap_cert *cert)
{
	static const char *const value[] = {"ou=green", "green", "cn = a, o=b", "21"};
	for (enum certmap_field f = CERTMAP_SUBJECT; f <= CERTMAP_SERIAL; f++)
		for (unsigned i = 0; i < sizeof(value) / sizeof(value[0]); i++) {
			bool eq = holds(f, CERTMAP_EQ, value[i], cert), co = holds(f, CERTMAP_CO, value[i], cert);
			if ((eq && holds(f, CERTMAP_NE, value[i], cert)) ||
				(co && holds(f, CERTMAP_NC, value[i], cert)) || (eq && !co))
				__builtin_trap();
		}
	if (holds(CERTMAP_EXPIRES_ON, CERTMAP_LT, "01 01 2030 00:00:00", cert) ==
		holds(CERTMAP_EXPIRES_ON, CERTMAP_GE, "01 01 2030 00:00:00", cert))
		__builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pki_fields *f = pki_fields_new((struct pki_blob){data, size});
	struct certmap_id_line line;
	if (!f)
		return 0;
	const struct certmap_cert cert = certmap_cert_of(f);
	rules(&cert);
	if (certmap_id_line_init(&line, CERTMAP_ID_DN, "ou=green,o=b"))
		__builtin_trap();
	const struct certmap_identity id = {.name = "i", .line = &line, .n_line = 1};
	certmap_identity_allows(&id, f->subject, f->ou);
	pki_fields_free(f);
	return 0;
}
