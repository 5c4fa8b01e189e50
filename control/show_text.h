/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * JSON written as text. Lists with a member for each of ten thousand tunnels are not first built as a tree: that would
 * hold up the loop for seconds. struct control_rest (control.h) hands such text out slice by slice.
 */
#ifndef CONTROL_SHOW_TEXT_H
#define CONTROL_SHOW_TEXT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cv_types.h"

/* All zero = empty. Memory that cannot be had ends the process. */
struct show_text {
	char *p;
	size_t len, size;
	bool comma; /* what is open has a member already */
};
/*
 * About as much as one slice holds: 1 to 12 ms of work. A turn of the loop passes between two of them, which takes as
 * long when many peers negotiate at once: smaller ones would make a long answer late.
 */
#define SHOW_SLICE 262144u

void text_free(struct show_text *t);
/* key NULL: a member of an array. kind: '{' or '['. */
void text_open(struct show_text *t, const char *key, char kind);
void text_close(struct show_text *t, char kind); /* '}' or ']' */
/* Left out when there is no value: NULL, empty, or not UTF-8. */
void text_str(struct show_text *t, const char *key, const char *value);
void text_int(struct show_text *t, const char *key, uint64_t value);
void text_flag(struct show_text *t, const char *key, bool value); /* only when true */
void text_addr(struct show_text *t, const char *key, const struct cv_addr *a);
void text_json(struct show_text *t, const char *key, const json_t *value);

#endif
