/* SPDX-License-Identifier: BSD-3-Clause */
#include "config_refusal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

int config_refusal_setup(void **state)
{
	static struct config_refusal f;

	memset(&f, 0, sizeof(f));
	f.c = cfgbuild_gateway();
	*state = &f;
	return 0;
}

int config_refusal_teardown(void **state)
{
	config_unref(((struct config_refusal *)*state)->c);
	return 0;
}

static void note(void *arg, const char *text)
{
	struct config_refusal *f = arg;
	size_t len = strlen(f->warnings);

	assert_true(len + strlen(text) + 2 < sizeof(f->warnings));
	strcpy(f->warnings + len, text);
	strcat(f->warnings, "\n");
}

int config_refusal_resolve(struct config_refusal *f)
{
	return config_resolve(f->c, f->err, note, f);
}

void assert_contains(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("'%s' does not contain '%s'", text, part);
}

void assert_refused(struct config_refusal *f, const char *path, const char *why)
{
	assert_int_equal(config_refusal_resolve(f), -22);
	if (strncmp(f->err, path, strlen(path)))
		fail_msg("'%s' does not start with '%s'", f->err, path);
	assert_contains(f->err, why);
}

void assert_warns(struct config_refusal *f, const char *part)
{
	assert_int_equal(config_refusal_resolve(f), 0);
	assert_contains(f->warnings, part);
}
