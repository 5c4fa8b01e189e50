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

void log_release(void)
{
	fflush(stderr);
	dup2(saved, STDERR_FILENO);
	close(saved);
	unlink(path);
}
