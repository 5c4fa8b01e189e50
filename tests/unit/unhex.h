/* SPDX-License-Identifier: BSD-3-Clause */
/* Published vectors are hexadecimal text. */
#ifndef TESTS_UNHEX_H
#define TESTS_UNHEX_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* The bytes of `text`, blanks left out, into `out`, which is the caller's and has room for them. Returns their number.
 */
static inline size_t unhex(const char *text, uint8_t *out)
{
	size_t n = 0;
	while (text[0]) {
		if (text[0] == ' ') {
			text++;
			continue;
		}
		char *end, two[3] = {text[0], text[1], 0};
		out[n++] = (uint8_t)strtoul(two, &end, 16);
		if (end != two + 2)
			abort();
		text += 2;
	}
	return n;
}

#endif
