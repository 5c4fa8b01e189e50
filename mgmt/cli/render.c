/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "render.h"

const char *jtext(const json_t *o, const char *key, const char *fallback)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s && *s ? s : fallback;
}

const char *jstring(const json_t *v)
{
	return json_is_string(v) ? json_string_value(v) : "";
}

long long jint(const json_t *o, const char *key)
{
	const json_t *v = json_object_get(o, key);

	return json_is_real(v) ? (long long)json_real_value(v) : json_integer_value(v);
}

double jreal(const json_t *o, const char *key)
{
	return json_number_value(json_object_get(o, key));
}

bool jflag(const json_t *o, const char *key)
{
	return json_is_true(json_object_get(o, key));
}

const char *jvrf(const json_t *o, const char *key)
{
	return jtext(o, key, "(none)"); /* MON-18 */
}

const char *hms(long long s, char buf[static 48])
{
	if (s >= 86400)
		snprintf(buf, 48, "%lldd%02lldh", s / 86400, s / 3600 % 24);
	else
		snprintf(buf, 48, "%02lld:%02lld:%02lld", s / 3600, s / 60 % 60, s % 60);
	return buf;
}

void prefix_parts(const char *prefix, char addr[static 64], char mask[static 64])
{
	const char *slash = strchr(prefix, '/');
	unsigned long len = slash ? strtoul(slash + 1, NULL, 10) : strchr(prefix, ':') ? 128 : 32;

	snprintf(addr, 64, "%.*s", (int)(slash ? slash - prefix : (long)strlen(prefix)), prefix);
	if (strchr(prefix, ':')) {
		snprintf(mask, 64, "%lu", len);
		return;
	}
	uint32_t m = len == 0 ? 0 : len >= 32 ? UINT32_MAX : ~(UINT32_MAX >> len);
	snprintf(mask, 64, "%u.%u.%u.%u", m >> 24, m >> 16 & 255, m >> 8 & 255, m & 255);
}

struct table {
	unsigned columns;
	const char *align;
	char **cell;
	size_t n, room;
};

struct table *table_new(unsigned columns, const char *const *titles, const char *align)
{
	struct table *t = calloc(1, sizeof(*t));

	if (!t)
		abort();
	t->columns = columns;
	t->align = align;
	for (unsigned i = 0; i < columns; i++)
		table_cell(t, "%s", titles[i]);
	return t;
}

void table_cell(struct table *t, const char *fmt, ...)
{
	va_list ap;

	if (t->n == t->room) {
		t->room = t->room ? 2 * t->room : 64;
		t->cell = realloc(t->cell, t->room * sizeof(*t->cell));
		if (!t->cell)
			abort();
	}
	va_start(ap, fmt);
	if (vasprintf(&t->cell[t->n], fmt, ap) < 0)
		abort();
	va_end(ap);
	t->n++;
}

static int widest(const struct table *t, unsigned column)
{
	int width = 0;

	for (size_t i = column; i < t->n; i += t->columns)
		if ((int)strlen(t->cell[i]) > width)
			width = (int)strlen(t->cell[i]);
	return width;
}

void table_print(struct table *t, FILE *out)
{
	int width[32] = {0};

	for (unsigned c = 0; c < t->columns; c++)
		width[c] = widest(t, c);
	unsigned c = 0;
	for (size_t i = 0; i < t->n; i++) {
		bool last = c + 1 == t->columns;
		if (t->align[c] == '-')
			fprintf(out, "%*s", width[c], t->cell[i]);
		else
			fprintf(out, "%-*s", last ? 0 : width[c], t->cell[i]);
		fputs(last ? "\n" : "  ", out);
		free(t->cell[i]);
		c = last ? 0 : c + 1;
	}
	free(t->cell);
	free(t);
}
