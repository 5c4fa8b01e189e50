/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "cv_secret.h"
#include "master_key.h"
#include "run.h"

#define INPUT_MAX (64u << 20) /* bytes */

static char *read_stream(FILE *f, size_t *len)
{
	size_t size = 65536;
	char *buf = malloc(size);

	*len = 0;
	while (buf) {
		*len += fread(buf + *len, 1, size - *len, f);
		if (*len < size)
			return buf;
		char *bigger = size < INPUT_MAX ? realloc(buf, size *= 2) : NULL;
		if (!bigger)
			break;
		buf = bigger;
	}
	free(buf);
	return NULL;
}

/* The culvertd side has no business with our files: their text goes along. Replaces "file" by "text". */
static int send_file_text(json_t *request)
{
	const char *path = json_string_value(json_object_get(request, "file"));
	bool from_stdin = strcmp(path, "-") == 0;
	FILE *f = from_stdin ? stdin : fopen(path, "re");
	size_t len = 0;

	if (!f) {
		fprintf(stderr, "culvert: %s: %s\n", path, strerror(errno));
		return -1;
	}
	char *text = read_stream(f, &len);
	bool bad = !text || ferror(f);
	if (!from_stdin)
		fclose(f);
	json_t *value = bad ? NULL : json_stringn(text, len);
	if (text)
		cv_secret_zero(text, len);
	free(text);
	if (!value) {
		fprintf(stderr, "culvert: %s: %s\n", path, bad ? "cannot be read" : "is not UTF-8 text");
		return -1;
	}
	json_object_set_new(request, "text", value);
	json_object_del(request, "file");
	return 0;
}

/* Spellings of the command line that the request words differently. */
static int prepare(const struct cli_command *c, json_t *request)
{
	if (json_is_true(json_object_get(request, "xml"))) {
		json_object_del(request, "xml");
		json_object_set_new(request, "format", json_string("xml"));
	}
	bool config = c->verb && strcmp(c->verb, "config") == 0;
	return config && json_object_get(request, "file") ? send_file_text(request) : 0;
}

static bool confirmed(const struct run *r, const struct cli_command *c, const json_t *request)
{
	char answer[16];

	if (!r->interactive || !c->confirm || json_object_size(request) > 1)
		return true;
	printf("%s Continue? [y/N] ", c->confirm);
	fflush(stdout);
	return fgets(answer, sizeof(answer), stdin) && (answer[0] == 'y' || answer[0] == 'Y');
}

static int print_answer(
	const struct run *r, const struct cli_command *c, const json_t *answer, const json_t *request, bool json)
{
	const json_t *result = json_object_get(answer, "result");
	const char *error = json_string_value(json_object_get(answer, "error"));

	(void)r;
	if (json) {
		json_dumpf(error ? answer : result, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
		putchar('\n');
	}
	if (error) {
		fprintf(stderr, "culvert: %s\n", error);
		return RUN_FAILED;
	}
	if (json_object_get(result, "notice"))
		fprintf(stderr, "%s\n", json_string_value(json_object_get(result, "notice")));
	if (!json && c->render)
		c->render(stdout, result, request);
	const json_t *cleared = json_object_get(result, "cleared");
	return cleared && json_integer_value(cleared) == 0 ? RUN_NOTHING : RUN_OK;
}

static unsigned without_json(const char *const *token, unsigned n, const char **out, bool *json)
{
	unsigned m = 0;

	for (unsigned i = 0; i < n; i++) {
		if (strcmp(token[i], "--json") == 0)
			*json = true;
		else
			out[m++] = token[i];
	}
	return m;
}

int run_command(struct run *r, const char *const *token, unsigned n)
{
	char err[CLI_ERR_MAX];
	const char *words[CLI_TOKENS_MAX];
	bool json = r->json;
	json_t *request;

	if (n > CLI_TOKENS_MAX)
		return RUN_USAGE;
	n = without_json(token, n, words, &json);
	const struct cli_command *c = cli_parse(words, n, &request, err);
	if (!c) {
		fprintf(stderr, "culvert: %s\n", err);
		return RUN_USAGE;
	}
	int rc = RUN_FAILED;
	if (confirmed(r, c, request) && prepare(c, request) == 0 && master_key_dialogue(r, c, request)) {
		json_t *answer = client_call(&r->client, request, err, sizeof(err));
		if (answer)
			rc = print_answer(r, c, answer, request, json);
		else
			fprintf(stderr, "culvert: %s\n", err);
		json_decref(answer);
	}
	json_decref(request);
	fflush(stdout);
	return rc;
}
