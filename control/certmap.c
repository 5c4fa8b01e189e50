/* SPDX-License-Identifier: BSD-3-Clause */
/* Certificate maps and crypto identities: see the header. */
#include "certmap.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "pki.h"

/* ---- normal form of names ---- */

struct norm {
	char *out;
	size_t n;
	bool full, blank; /* blank: one is due before the next character of a value */
	bool value;	  /* behind the first '=' of the RDN */
	size_t start;	  /* where the current RDN, or the value in it, starts */
};

static void put(struct norm *s, char c)
{
	if (s->n + 1 >= CERTMAP_TEXT_MAX)
		s->full = true;
	else
		s->out[s->n++] = c;
}

static void put_char(struct norm *s, unsigned char c)
{
	if (isspace(c) || iscntrl(c)) {
		s->blank = s->n > s->start;
		return;
	}
	if (s->blank)
		put(s, ' ');
	s->blank = false;
	put(s, (char)tolower(c));
}

static void put_mark(struct norm *s, char c)
{
	put(s, c);
	s->start = s->n;
	s->blank = false;
	s->value = c == '=';
}

/*
 * A name into out[CERTMAP_TEXT_MAX], with a line feed before every RDN; quotes and backslashes, as the X.509 printer
 * writes them, shield separators. False when it does not fit: what is cut off must not decide.
 */
static bool normalise(const char *text, char *out)
{
	struct norm s = {.out = out};
	bool quoted = false;
	put_mark(&s, '\n');
	for (const char *p = text; *p; p++) {
		if (*p == '\\' && p[1])
			put_char(&s, (unsigned char)*++p);
		else if (*p == '"')
			quoted = !quoted;
		else if (!quoted && (*p == ',' || (*p == '+' && s.value)))
			put_mark(&s, '\n');
		else if (!quoted && *p == '=' && !s.value)
			put_mark(&s, '=');
		else
			put_char(&s, (unsigned char)*p);
	}
	out[s.n] = 0;
	return !s.full;
}

/* A pattern of a name: a bare word, one without attribute, may stand anywhere. */
static bool normalise_pattern(const char *text, enum certmap_op op, char *out)
{
	if (!normalise(text, out))
		return false;
	size_t first = 1 + strcspn(out + 1, "\n");
	if ((op == CERTMAP_CO || op == CERTMAP_NC) && !memchr(out, '=', first))
		memmove(out, out + 1, strlen(out));
	return true;
}

/* ---- configuration ---- */

static bool word_index(const char *const *words, unsigned n, const char *word, unsigned *out)
{
	for (*out = 0; *out < n; ++*out)
		if (strcasecmp(words[*out], word) == 0)
			return true;
	return false;
}

bool certmap_field_parse(const char *word, enum certmap_field *out)
{
	static const char *const words[] = {"subject-name", "issuer-name", "alt-subject-name",
		"unstructured-subject-name", "name", "serial-number", "valid-start", "expires-on"};
	unsigned i;
	if (!word_index(words, sizeof(words) / sizeof(words[0]), word, &i))
		return false;
	*out = (enum certmap_field)i;
	return true;
}

bool certmap_op_parse(const char *word, enum certmap_op *out)
{
	static const char *const words[] = {"eq", "ne", "co", "nc", "lt", "ge"};
	unsigned i;
	if (!word_index(words, sizeof(words) / sizeof(words[0]), word, &i))
		return false;
	*out = (enum certmap_op)i;
	return true;
}

bool certmap_time_parse(const char *text, int64_t *out)
{
	static const char *const months[] = {
		"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"};
	char month[4];
	struct tm t = {0};
	int end = 0;
	unsigned i;
	if (sscanf(text, "%2d %2d %4d %2d:%2d:%2d%n", &t.tm_mday, &t.tm_mon, &t.tm_year, &t.tm_hour, &t.tm_min,
		    &t.tm_sec, &end) == 6) {
		t.tm_mon--;
	} else if (sscanf(text, "%3[A-Za-z] %2d %4d %2d:%2d:%2d%n", month, &t.tm_mday, &t.tm_year, &t.tm_hour,
			   &t.tm_min, &t.tm_sec, &end) == 6 &&
		   word_index(months, 12, month, &i)) {
		t.tm_mon = (int)i;
	} else {
		return false;
	}
	if (text[end] || t.tm_year < 1900 || t.tm_hour < 0 || t.tm_hour > 23 || t.tm_min < 0 || t.tm_min > 59 ||
		t.tm_sec < 0 || t.tm_sec > 59)
		return false;
	t.tm_year -= 1900;
	struct tm want = t;
	*out = (int64_t)timegm(&t);
	return t.tm_mday == want.tm_mday && t.tm_mon == want.tm_mon; /* timegm() turns 31 February into March */
}

static bool is_date(enum certmap_field f)
{
	return f == CERTMAP_VALID_START || f == CERTMAP_EXPIRES_ON;
}

const char *certmap_rule_init(struct certmap_rule *r, enum certmap_field field, enum certmap_op op, const char *value)
{
	*r = (struct certmap_rule){.field = field, .op = op};
	if (is_date(field)) {
		if (op == CERTMAP_CO || op == CERTMAP_NC)
			return "dates take eq, ne, lt and ge";
		return certmap_time_parse(value, &r->time) ? NULL : "not a date: dd mm yyyy hh:mm:ss";
	}
	if (op == CERTMAP_LT || op == CERTMAP_GE)
		return "names and serial numbers take eq, ne, co and nc";
	if (!value[strspn(value, " \t\r\n,")])
		return "empty value";
	if (field == CERTMAP_SERIAL) {
		if (strlen(value) >= sizeof(r->value))
			return "value too long";
		strcpy(r->value, value);
		return NULL;
	}
	return normalise_pattern(value, op, r->value) ? NULL : "value too long";
}

/* ---- certificate maps ---- */

enum found { FOUND_NO = 0, FOUND_YES, FOUND_UNKNOWN };

/* A name that is too long to be judged decides neither for nor against: the rule does not hold. */
static enum found name_fits(const struct certmap_rule *r, const char *name)
{
	char text[CERTMAP_TEXT_MAX];
	if (!name)
		return FOUND_NO;
	if (!normalise(name, text))
		return FOUND_UNKNOWN;
	if (r->op == CERTMAP_CO || r->op == CERTMAP_NC)
		return strstr(text, r->value) ? FOUND_YES : FOUND_NO;
	return strcmp(text, r->value) == 0 ? FOUND_YES : FOUND_NO;
}

static enum found any_name_fits(const struct certmap_rule *r, const char *const *name, unsigned n)
{
	enum found f = FOUND_NO;
	for (unsigned i = 0; i < n; i++) {
		enum found one = name_fits(r, name[i]);
		f = f == FOUND_UNKNOWN || one == FOUND_UNKNOWN ? FOUND_UNKNOWN : f == FOUND_YES ? f : one;
	}
	return f;
}

static enum found serial_fits(const struct certmap_rule *r, const char *serial)
{
	if (!serial)
		return FOUND_NO;
	if (r->op == CERTMAP_CO || r->op == CERTMAP_NC)
		return strcasestr(serial, r->value) ? FOUND_YES : FOUND_NO;
	return strcasecmp(serial, r->value) == 0 ? FOUND_YES : FOUND_NO; /* hexadecimal: case is no difference */
}

static enum found text_fits(const struct certmap_rule *r, const struct certmap_cert *c)
{
	const char *const own[] = {c->subject, c->issuer, c->unstructured};
	enum found a, b;
	switch (r->field) {
	case CERTMAP_SUBJECT:
		return name_fits(r, c->subject);
	case CERTMAP_ISSUER:
		return name_fits(r, c->issuer);
	case CERTMAP_UNSTRUCTURED_SUBJECT:
		return name_fits(r, c->unstructured);
	case CERTMAP_ALT_SUBJECT:
		return any_name_fits(r, c->alt, c->n_alt);
	case CERTMAP_NAME:
		a = any_name_fits(r, own, 3);
		b = any_name_fits(r, c->alt, c->n_alt);
		return a == FOUND_UNKNOWN || b == FOUND_UNKNOWN ? FOUND_UNKNOWN : a == FOUND_YES ? a : b;
	case CERTMAP_SERIAL:
		return serial_fits(r, c->serial);
	case CERTMAP_VALID_START:
	case CERTMAP_EXPIRES_ON:
		break;
	}
	return FOUND_UNKNOWN;
}

static bool date_holds(const struct certmap_rule *r, int64_t t)
{
	switch (r->op) {
	case CERTMAP_EQ:
		return t == r->time;
	case CERTMAP_NE:
		return t != r->time;
	case CERTMAP_LT:
		return t < r->time;
	case CERTMAP_GE:
		return t >= r->time;
	case CERTMAP_CO:
	case CERTMAP_NC:
		break;
	}
	return false;
}

static bool rule_holds(const struct certmap_rule *r, const struct certmap_cert *c)
{
	if (is_date(r->field))
		return date_holds(r, r->field == CERTMAP_VALID_START ? c->valid_start : c->expires_on);
	return text_fits(r, c) == (r->op == CERTMAP_NE || r->op == CERTMAP_NC ? FOUND_NO : FOUND_YES);
}

static bool entry_same(const struct certmap_entry *a, const struct certmap_entry *b)
{
	if (a->seq != b->seq || a->n_rule != b->n_rule)
		return false;
	for (unsigned i = 0; i < a->n_rule; i++)
		if (a->rule[i].field != b->rule[i].field || a->rule[i].op != b->rule[i].op ||
			a->rule[i].time != b->rule[i].time || strcmp(a->rule[i].value, b->rule[i].value) != 0)
			return false;
	return true;
}

bool certmap_same(const struct certmap *a, const struct certmap *b)
{
	if (a->n_entry != b->n_entry)
		return false;
	for (unsigned i = 0; i < a->n_entry; i++)
		if (!entry_same(&a->entry[i], &b->entry[i]))
			return false;
	return true;
}

struct certmap_cert certmap_cert_of(const struct pki_fields *f)
{
	return (struct certmap_cert){.subject = f->subject,
		.issuer = f->issuer,
		.serial = f->serial,
		.unstructured = f->unstructured,
		.alt = (const char *const *)f->alt,
		.n_alt = f->n_alt,
		.valid_start = f->valid_start,
		.expires_on = f->expires_on};
}

const struct certmap_entry *certmap_match(const struct certmap *map, const struct certmap_cert *cert)
{
	for (unsigned i = 0; i < map->n_entry; i++) {
		const struct certmap_entry *e = &map->entry[i];
		unsigned k = 0;
		while (k < e->n_rule && rule_holds(&e->rule[k], cert))
			k++;
		if (e->n_rule && k == e->n_rule)
			return e;
	}
	return NULL;
}

/* ---- crypto identities ---- */

const char *certmap_id_line_init(struct certmap_id_line *l, enum certmap_id_kind kind, const char *value)
{
	*l = (struct certmap_id_line){.kind = kind};
	if (kind == CERTMAP_ID_FQDN) {
		size_t n = strlen(value);
		n -= n && value[n - 1] == '.';
		if (!n || n >= sizeof(l->value) || value[strcspn(value, " \t\r\n")])
			return "not a host name";
		memcpy(l->value, value, n);
		return NULL;
	}
	if (!normalise(value, l->value))
		return "value too long";
	for (const char *p = l->value; *p;) { /* each pair: "\nname=string" */
		size_t n = 1 + strcspn(p + 1, "\n");
		const char *eq = memchr(p, '=', n);
		if (!eq || eq == p + 1 || eq + 1 == p + n)
			return "not name=string pairs between commas";
		p += n;
	}
	return NULL;
}

const char *certmap_id_line_text(const struct certmap_id_line *l, char *out)
{
	strcpy(out, l->value + (l->kind == CERTMAP_ID_DN));
	for (char *p = out; *p; p++)
		if (*p == '\n')
			*p = ',';
	return out;
}

/* Is each pair of the line an RDN of the subject, as a whole (DN-Q1)? Both normalised. */
static bool dn_allows(const char *line, const char *subject)
{
	for (const char *p = line; *p;) {
		size_t n = 1 + strcspn(p + 1, "\n");
		const char *s = subject;
		while (*s && !(strncmp(s, p, n) == 0 && (!s[n] || s[n] == '\n')))
			s += 1 + strcspn(s + 1, "\n");
		if (!*s)
			return false;
		p += n;
	}
	return true;
}

bool certmap_identity_allows(const struct certmap_identity *id, const char *subject, const char *fqdn)
{
	char text[CERTMAP_TEXT_MAX];
	bool has_subject = subject && normalise(subject, text);
	for (unsigned i = 0; id && i < id->n_line; i++) {
		const struct certmap_id_line *l = &id->line[i];
		if (l->kind == CERTMAP_ID_DN ? has_subject && dn_allows(l->value, text)
					     : fqdn && strcasecmp(fqdn, l->value) == 0)
			return true;
	}
	return false;
}
