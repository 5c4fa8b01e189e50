/* SPDX-License-Identifier: BSD-3-Clause */
#include "show_text.h"

#include <stdlib.h>
#include <string.h>

#include "cv_addr.h"

static void room(struct show_text *t, size_t n)
{
	if (t->size - t->len >= n)
		return;
	t->size = t->size ? 2 * t->size : 2 * SHOW_SLICE;
	if (t->size - t->len < n)
		t->size = t->len + n;
	t->p = realloc(t->p, t->size);
	if (!t->p)
		abort();
}

static void put(struct show_text *t, const char *s, size_t n)
{
	room(t, n);
	memcpy(t->p + t->len, s, n);
	t->len += n;
}

void text_free(struct show_text *t)
{
	free(t->p);
	*t = (struct show_text){0};
}

static void member(struct show_text *t, const char *key)
{
	if (t->comma)
		put(t, ",", 1);
	t->comma = true;
	if (!key)
		return;
	put(t, "\"", 1);
	put(t, key, strlen(key)); /* a name of ours: nothing to escape */
	put(t, "\":", 2);
}

void text_open(struct show_text *t, const char *key, char kind)
{
	member(t, key);
	put(t, &kind, 1);
	t->comma = false;
}

void text_close(struct show_text *t, char kind)
{
	put(t, &kind, 1);
	t->comma = true;
}

static int put_piece(const char *buf, size_t n, void *arg)
{
	put(arg, buf, n);
	return 0;
}

void text_json(struct show_text *t, const char *key, const json_t *value)
{
	if (!value)
		return;
	member(t, key);
	(void)json_dump_callback(value, put_piece, t, JSON_COMPACT | JSON_ENCODE_ANY); /* put_piece does not fail */
}

static bool is_plain(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < 0x20 || (unsigned char)*s >= 0x7f || *s == '"' || *s == '\\')
			return false;
	return true;
}

void text_str(struct show_text *t, const char *key, const char *value)
{
	if (!value || !*value)
		return;
	if (!is_plain(value)) {
		json_t *s = json_string(value); /* NULL when it is not UTF-8 */

		text_json(t, key, s);
		json_decref(s);
		return;
	}
	member(t, key);
	put(t, "\"", 1);
	put(t, value, strlen(value));
	put(t, "\"", 1);
}

void text_int(struct show_text *t, const char *key, uint64_t value)
{
	char buf[20], *p = buf + sizeof(buf);

	do
		*--p = (char)('0' + value % 10);
	while (value /= 10);
	member(t, key);
	put(t, p, (size_t)(buf + sizeof(buf) - p));
}

void text_flag(struct show_text *t, const char *key, bool value)
{
	if (!value)
		return;
	member(t, key);
	put(t, "true", 4);
}

void text_addr(struct show_text *t, const char *key, const struct cv_addr *a)
{
	char text[CV_ADDR_STR];

	if (a && cv_addr_bits(a))
		text_str(t, key, cv_addr_str(a, text));
}
