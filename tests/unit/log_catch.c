/* SPDX-License-Identifier: BSD-3-Clause */
#include "log_catch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int saved = -1;
static char path[256];

void log_catch(const char *dir)
{
	snprintf(path, sizeof(path), "%s/log", dir);
	fflush(stderr);
	saved = dup(STDERR_FILENO);
	assert_non_null(freopen(path, "we", stderr));
}

unsigned log_count(const char *word)
{
	char line[2048];
	unsigned n = 0;
	FILE *f;

	fflush(stderr);
	f = fopen(path, "re");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		for (const char *p = line; (p = strstr(p, word)); p++)
			n++;
	fclose(f);
	return n;
}

bool log_in_order(const char *one, const char *other)
{
	char line[2048];
	unsigned n = 0, at[2] = {0, 0};

	fflush(stderr);
	FILE *f = fopen(path, "re");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		n++;
		if (!at[0] && strstr(line, one))
			at[0] = n;
		if (!at[1] && strstr(line, other))
			at[1] = n;
	}
	fclose(f);
	return at[0] && at[0] < at[1];
}

void log_release(void)
{
	fflush(stderr);
	dup2(saved, STDERR_FILENO);
	close(saved);
	unlink(path);
}
