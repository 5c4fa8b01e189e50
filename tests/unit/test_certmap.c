/* SPDX-License-Identifier: BSD-3-Clause */
/* Certificate maps and crypto identities: the rules alone, without an engine. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "certmap.h"
#include "pki.h"

static const char *const alt[] = {"DNS:Router1.cisco.com", "IP Address:192.0.0.2"};
/* CERTMAP-T2 */
static const struct certmap_cert green = {
	.subject = "C=IN, OU=green, unstructuredName=Router1.cisco.com",
	.issuer = "CN=blue-lab CA, O=CISCO, C=IN",
	.serial = "21",
	.unstructured = "Router1.cisco.com",
	.alt = alt,
	.n_alt = 2,
	.valid_start = 1080743670, /* 14:34:30 UTC Mar 31 2004 */
	.expires_on = 1238596470,  /* 14:34:30 UTC Apr 1 2009 */
};

/* Does "field op value" hold for the certificate? */
static bool holds(const char *field, const char *op, const char *value, const struct certmap_cert *c)
{
	enum certmap_field f;
	enum certmap_op o;
	struct certmap_rule r;
	assert_true(certmap_field_parse(field, &f));
	assert_true(certmap_op_parse(op, &o));
	assert_null(certmap_rule_init(&r, f, o, value));
	const struct certmap_entry e = {.seq = 10, .rule = &r, .n_rule = 1};
	const struct certmap m = {.name = "m", .entry = &e, .n_entry = 1};
	return certmap_match(&m, c) != NULL;
}

static bool subject(const char *op, const char *value, const char *text)
{
	const struct certmap_cert c = {.subject = text};
	return holds("subject-name", op, value, &c);
}

/* CERTMAP-T1, CERTMAP-10, CERTMAP-11, PKIAUTH-45: blanks and case do not count */
static void map_ou(void **state)
{
	(void)state;
	assert_true(holds("subject-name", "co", "ou = green", &green));
	assert_true(holds("SUBJECT-NAME", "CO", " OU=Green ", &green));
	assert_true(holds("subject-name", "co", "gree", &green));
	assert_true(holds("subject-name", "co", "c=in,ou = green", &green));
	assert_false(holds("subject-name", "co", "ou = blue", &green));
	assert_true(subject("eq", "cn = a  b , o=x", "CN=A b, O=X"));
	assert_false(subject("eq", "cn = ab, o=x", "CN=A b, O=X"));
	assert_false(subject("eq", "cn = a b", "CN=A b, O=X"));
	assert_true(subject("ne", "cn = a b", "CN=A b, O=X"));
	assert_true(subject("nc", "ou=green", "CN=A b, O=X"));
	assert_false(subject("nc", "o=x", "CN=A b, O=X"));
}

/* what stands in another attribute's value is no OU, however it is written */
static void map_forged(void **state)
{
	(void)state;
	assert_false(subject("co", "ou=green", "CN=ou=green"));
	assert_false(subject("co", "ou=green", "CN=\"x, OU=green\""));
	assert_false(subject("co", "ou=green", "CN=x\\, OU=green"));
	assert_false(subject("co", "ou=green", "CN=x\nOU=green"));
	assert_false(subject("co", "ou=green", "CN=\"\\\", OU=green\""));
	assert_false(subject("co", "ou=green", "XOU=green"));
	assert_true(subject("co", "ou=green", "CN=x + OU=green"));
}

/* the same names as DER, written by the printer whose texts the maps get */
static void map_forged_der(void **state)
{
	static const struct {
		const char *dn;
		bool is_green;
	} names[] = {
		{"C=IN, OU=green", true},
		{"C=IN, CN=a\\\"b, OU=green", true},
		{"C=IN, CN=a\\\\, OU=green", true},
		{"C=IN, CN=a\\, OU=green", false},
		{"C=IN, CN=\\\"\\, OU=green", false},
		{"C=IN, CN=\\\"\\, OU=green\\\"", false},
		{"C=IN, CN=a\\\\\\, OU=green", false},
		{"C=IN, CN=a + OU=green", false},
		{"C=IN, CN=ou=green", false},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		uint8_t der[CERTMAP_TEXT_MAX];
		char text[PKI_NAME_MAX];
		size_t n = pki_dn_parse(names[i].dn, der, sizeof(der));
		assert_true(n && pki_dn_text(der, n, text));
		assert_int_equal(subject("co", "ou = green", text), names[i].is_green);
		assert_int_equal(subject("nc", "ou = green", text), !names[i].is_green);
	}
}

/* too long to be judged as a whole: neither side of a rule may use it */
static void map_too_long(void **state)
{
	char text[2 * CERTMAP_TEXT_MAX];
	struct certmap_rule r;
	(void)state;
	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = 0;
	memcpy(text, "OU=", 3);
	assert_false(subject("co", "ou=a", text));
	assert_false(subject("nc", "ou=b", text));
	assert_false(subject("ne", "ou=b", text));
	assert_string_equal(certmap_rule_init(&r, CERTMAP_SUBJECT, CERTMAP_CO, text), "value too long");
	assert_string_equal(certmap_rule_init(&r, CERTMAP_SERIAL, CERTMAP_CO, text), "value too long");
}

/* CERTMAP-2, PKIAUTH-42: every field */
static void map_fields(void **state)
{
	(void)state;
	const struct certmap_cert bare = {.subject = "CN=x"};
	assert_true(holds("issuer-name", "eq", "cn=BLUE-LAB CA, o = cisco, c=in", &green));
	assert_true(holds("alt-subject-name", "co", "router1.cisco", &green));
	assert_true(holds("alt-subject-name", "co", "192.0.0.2", &green));
	assert_false(holds("alt-subject-name", "nc", "192.0.0.2", &green));
	assert_true(holds("alt-subject-name", "nc", "192.0.0.3", &green));
	assert_true(holds("unstructured-subject-name", "eq", "router1.cisco.com", &green));
	assert_true(holds("name", "co", "blue-lab", &green));
	assert_true(holds("name", "co", "ip address:192.0.0.2", &green));
	assert_false(holds("name", "nc", "green", &green));
	/* a field that the certificate has not */
	assert_false(holds("unstructured-subject-name", "co", "a", &bare));
	assert_true(holds("unstructured-subject-name", "nc", "a", &bare));
	assert_false(holds("alt-subject-name", "eq", "a", &bare));
}

/* PKIAUTH-46, PKIAUTH-T16 */
static void map_serial(void **state)
{
	(void)state;
	const struct certmap_cert c = {.serial = "01279D55"};
	assert_true(holds("serial-number", "co", "279d", &c));
	assert_false(holds("serial-number", "eq", "279d", &c));
	assert_true(holds("serial-number", "eq", "01279d55", &c));
	assert_false(holds("serial-number", "eq", "01 27 9d 55", &c));
	assert_true(holds("serial-number", "ne", "279d", &c));
	assert_false(holds("serial-number", "nc", "279d", &c));
}

/* PKIAUTH-43, PKIAUTH-44 */
static void map_dates(void **state)
{
	int64_t t;
	(void)state;
	assert_true(holds("valid-start", "eq", "31 03 2004 14:34:30", &green));
	assert_true(holds("valid-start", "ge", "Mar 31 2004 14:34:30", &green));
	assert_false(holds("valid-start", "lt", "mar 31 2004 14:34:30", &green));
	assert_true(holds("expires-on", "lt", "apr 1 2009 14:34:31", &green));
	assert_false(holds("expires-on", "ge", "apr 1 2009 14:34:31", &green));
	assert_true(holds("expires-on", "ne", "apr 1 2009 14:34:31", &green));
	assert_false(certmap_time_parse("31 02 2004 00:00:00", &t));
	assert_false(certmap_time_parse("01 02 2004 24:00:00", &t));
	assert_false(certmap_time_parse("01 02 2004 10:00", &t));
	assert_false(certmap_time_parse("foo 02 2004 10:00:00", &t));
	assert_false(certmap_time_parse("01 02 2004 10:00:00 x", &t));
}

/* PKIAUTH-42, PKIAUTH-43: what the configuration refuses */
static void map_refused(void **state)
{
	struct certmap_rule r;
	enum certmap_field f;
	enum certmap_op o;
	(void)state;
	assert_false(certmap_field_parse("subject", &f));
	assert_false(certmap_op_parse("gt", &o));
	assert_non_null(certmap_rule_init(&r, CERTMAP_EXPIRES_ON, CERTMAP_CO, "01 02 2004 10:00:00"));
	assert_non_null(certmap_rule_init(&r, CERTMAP_EXPIRES_ON, CERTMAP_LT, "tomorrow"));
	assert_non_null(certmap_rule_init(&r, CERTMAP_SUBJECT, CERTMAP_LT, "cn=a"));
	assert_non_null(certmap_rule_init(&r, CERTMAP_SERIAL, CERTMAP_GE, "1"));
	assert_non_null(certmap_rule_init(&r, CERTMAP_SUBJECT, CERTMAP_CO, " , "));
}

/* CERTMAP-Q3, PKIAUTH-41: all rules of an entry, any entry, the lowest number first */
static void map_order(void **state)
{
	struct certmap_rule r[4];
	(void)state;
	assert_null(certmap_rule_init(&r[0], CERTMAP_SUBJECT, CERTMAP_CO, "ou=green"));
	assert_null(certmap_rule_init(&r[1], CERTMAP_SUBJECT, CERTMAP_CO, "c=us"));
	assert_null(certmap_rule_init(&r[2], CERTMAP_SUBJECT, CERTMAP_CO, "ou=green"));
	assert_null(certmap_rule_init(&r[3], CERTMAP_SUBJECT, CERTMAP_CO, "c=in"));
	const struct certmap_entry e[] = {{5, NULL, 0}, {10, r, 2}, {20, r + 2, 2}, {30, r + 2, 1}};
	struct certmap m = {.name = "m", .entry = e, .n_entry = 4};
	assert_int_equal(certmap_match(&m, &green)->seq, 20);
	m.n_entry = 2;
	assert_null(certmap_match(&m, &green));
}

static void dn_line(struct certmap_id_line *l, const char *text)
{
	assert_null(certmap_id_line_init(l, CERTMAP_ID_DN, text));
}

/* DN-T1, DN-1, DN-2, DN-4, DN-Q1: pairs by and, lines by or, values as a whole */
static void identity_dn(void **state)
{
	struct certmap_id_line l[2];
	(void)state;
	dn_line(&l[0], "ou=BigBiz");
	dn_line(&l[1], "o = Small , c=US");
	const struct certmap_identity id = {.name = "to-bigbiz", .line = l, .n_line = 2};
	assert_true(certmap_identity_allows(&id, "O=Any, OU=bigbiz, CN=x", NULL));
	assert_true(certmap_identity_allows(&id, "C=US, O=small", NULL));
	assert_false(certmap_identity_allows(&id, "O=Any, OU=Other", NULL));
	assert_false(certmap_identity_allows(&id, "OU=BigBizarre", NULL));
	assert_false(certmap_identity_allows(&id, "CN=ou=BigBiz", NULL));
	assert_false(certmap_identity_allows(&id, "CN=\"x, OU=BigBiz\"", NULL));
	assert_false(certmap_identity_allows(&id, "O=Small, C=IN", NULL));
}

/* DN-T2, DN-3, DN-9, DN-Q3, DN-Q4 */
static void identity_fqdn(void **state)
{
	struct certmap_id_line l[2];
	(void)state;
	assert_null(certmap_id_line_init(&l[0], CERTMAP_ID_FQDN, "little.com."));
	dn_line(&l[1], "ou=BigBiz");
	const struct certmap_identity id = {.name = "to-little-com", .line = l, .n_line = 2};
	assert_true(certmap_identity_allows(&id, NULL, "Little.com"));
	assert_false(certmap_identity_allows(&id, NULL, "a.little.com"));
	assert_false(certmap_identity_allows(&id, "CN=little.com", NULL));
	assert_false(certmap_identity_allows(&id, NULL, NULL));
	assert_false(certmap_identity_allows(NULL, "OU=BigBiz", "little.com"));
	assert_non_null(certmap_id_line_init(&l[0], CERTMAP_ID_FQDN, ""));
	assert_non_null(certmap_id_line_init(&l[0], CERTMAP_ID_FQDN, "a b"));
	assert_non_null(certmap_id_line_init(&l[0], CERTMAP_ID_DN, "BigBiz"));
	assert_non_null(certmap_id_line_init(&l[0], CERTMAP_ID_DN, "ou="));
	assert_non_null(certmap_id_line_init(&l[0], CERTMAP_ID_DN, "ou=a,"));
	assert_non_null(certmap_id_line_init(&l[0], CERTMAP_ID_DN, "=a"));
	assert_non_null(certmap_id_line_init(&l[0], CERTMAP_ID_DN, ""));
}

/* DN-11: a long list is walked once for a peer; its last line still counts */
static void identity_long(void **state)
{
	static struct certmap_id_line l[2000];
	(void)state;
	for (unsigned i = 0; i < 2000; i++) {
		char text[32];
		snprintf(text, sizeof(text), "ou=unit%u", i);
		dn_line(&l[i], text);
	}
	const struct certmap_identity id = {.name = "many", .line = l, .n_line = 2000};
	assert_true(certmap_identity_allows(&id, "CN=x, OU=unit1999", NULL));
	assert_false(certmap_identity_allows(&id, "CN=x, OU=unit2000", NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(map_ou),
		cmocka_unit_test(map_forged),
		cmocka_unit_test(map_forged_der),
		cmocka_unit_test(map_too_long),
		cmocka_unit_test(map_fields),
		cmocka_unit_test(map_serial),
		cmocka_unit_test(map_dates),
		cmocka_unit_test(map_refused),
		cmocka_unit_test(map_order),
		cmocka_unit_test(identity_dn),
		cmocka_unit_test(identity_fqdn),
		cmocka_unit_test(identity_long),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
