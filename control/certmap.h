/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Certificate maps (CERTMAP-*, PKIAUTH-41..46) and crypto identities (DN-*): rules of the operator held against the
 * fields of a certificate that has been validated before. Pure functions without state: any thread may call them.
 *
 * Names are compared in one normal form: case and redundant blanks do not count, and each RDN starts with a line feed.
 * A pattern that starts with an attribute ("ou=green") therefore only fits where an RDN starts: a peer that gets
 * "ou=green" certified as part of its common name does not pass for a member of that OU.
 */
#ifndef CONTROL_CERTMAP_H
#define CONTROL_CERTMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CERTMAP_TEXT_MAX 512u /* a normalised value, with its zero */

enum certmap_field {
	CERTMAP_SUBJECT = 0,
	CERTMAP_ISSUER,
	CERTMAP_ALT_SUBJECT,
	CERTMAP_UNSTRUCTURED_SUBJECT,
	CERTMAP_NAME, /* any of the four above */
	CERTMAP_SERIAL,
	CERTMAP_VALID_START,
	CERTMAP_EXPIRES_ON
};
enum certmap_op { CERTMAP_EQ = 0, CERTMAP_NE, CERTMAP_CO, CERTMAP_NC, CERTMAP_LT, CERTMAP_GE };

struct certmap_rule {
	enum certmap_field field;
	enum certmap_op op;
	char value[CERTMAP_TEXT_MAX]; /* names: normalised; serial: as written */
	int64_t time;		      /* dates: seconds since 1970, UTC */
};
/* All rules must hold; an entry without rules fits nothing. */
struct certmap_entry {
	uint32_t seq;
	const struct certmap_rule *rule;
	unsigned n_rule;
};
/* One entry must hold; ascending seq. */
struct certmap {
	const char *name;
	const struct certmap_entry *entry;
	unsigned n_entry;
};
/* What a certificate says, as texts (names as struct pki_fields has them). NULL = it has no such field. */
struct certmap_cert {
	const char *subject, *issuer, *serial, *unstructured;
	const char *const *alt;
	unsigned n_alt;
	int64_t valid_start, expires_on; /* seconds since 1970, UTC */
};

struct pki_fields;
/* What maps look at of a certificate. The strings stay those of f. */
struct certmap_cert certmap_cert_of(const struct pki_fields *f);

/* Words of the configuration, in any case (PKIAUTH-42, 43); false = unknown. */
bool certmap_field_parse(const char *word, enum certmap_field *out);
bool certmap_op_parse(const char *word, enum certmap_op *out);
/* "dd mm yyyy hh:mm:ss" or "mmm dd yyyy hh:mm:ss", UTC (PKIAUTH-44); false = not a date. */
bool certmap_time_parse(const char *text, int64_t *out);
/*
 * A rule of its words. NULL, or static text = why not: the operator is not for this field (PKIAUTH-43), or the value is
 * empty, too long or no date.
 */
const char *certmap_rule_init(struct certmap_rule *r, enum certmap_field field, enum certmap_op op, const char *value);

/* The same entries with the same rules? Names do not count. */
bool certmap_same(const struct certmap *a, const struct certmap *b);

/* The entry that fits, the lowest sequence number first; NULL = none. A certificate without any field fits none. */
const struct certmap_entry *certmap_match(const struct certmap *map, const struct certmap_cert *cert);

/* ---- crypto identities ---- */

enum certmap_id_kind { CERTMAP_ID_DN = 0, CERTMAP_ID_FQDN };
struct certmap_id_line {
	enum certmap_id_kind kind;
	char value[CERTMAP_TEXT_MAX]; /* DN: normalised pairs; FQDN: as written, without final dot */
};
struct certmap_identity {
	const char *name;
	const struct certmap_id_line *line;
	unsigned n_line;
};
/* A line of its words: for DN "name=string" pairs between commas (DN-2). NULL, or static text = why not. */
const char *certmap_id_line_init(struct certmap_id_line *l, enum certmap_id_kind kind, const char *value);
/* The line for people, into out[CERTMAP_TEXT_MAX]. */
const char *certmap_id_line_text(const struct certmap_id_line *l, char *out);
/*
 * May a peer use what refers to this identity (DN-4)? subject: of the certificate that it has authenticated with, NULL
 * = it has none, as with a preshared key; fqdn: the host name that it has authenticated as, NULL = another kind of
 * identity. Any line may fit, within a line all pairs must (DN-Q1). id NULL, a name that is not configured, fits nobody
 * (DN-Q4).
 */
bool certmap_identity_allows(const struct certmap_identity *id, const char *subject, const char *fqdn);

#endif
