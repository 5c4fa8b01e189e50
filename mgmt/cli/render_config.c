/* SPDX-License-Identifier: BSD-3-Clause */
/* Answers of the config operations. */
#include <string.h>

#include "render.h"

RENDERER(render_text)
{
	const char *text = jtext(result, "text", "");
	size_t len = strlen(text);

	(void)request;
	fprintf(out, "%s%s", text, len && text[len - 1] != '\n' ? "\n" : "");
}

RENDERER(render_diff)
{
	static const struct {
		const char *op;
		char sign;
	} signs[] = {{"create", '+'}, {"delete", '-'}, {"replace", '~'}, {"move", '>'}};
	size_t i;
	json_t *d;

	(void)request;
	json_array_foreach (json_object_get(result, "diff"), i, d) {
		const char *op = jtext(d, "op", "?");
		char sign = '?';
		for (unsigned k = 0; k < sizeof(signs) / sizeof(signs[0]); k++)
			if (strcmp(signs[k].op, op) == 0)
				sign = signs[k].sign;
		fprintf(out, "%c %s", sign, jtext(d, "path", "?"));
		if (json_object_get(d, "old"))
			fprintf(out, ": %s -> %s", jtext(d, "old", "\"\""), jtext(d, "value", "\"\""));
		else if (json_object_get(d, "value"))
			fprintf(out, " = %s", jtext(d, "value", "\"\""));
		fputc('\n', out);
	}
}

RENDERER(render_warnings)
{
	size_t i;
	json_t *w;

	(void)request;
	json_array_foreach (json_object_get(result, "warnings"), i, w)
		fprintf(out, "warning: %s\n", jstring(w));
}

RENDERER(render_valid)
{
	render_warnings(out, result, request);
	fprintf(out, "The configuration is valid.\n");
}

RENDERER(render_commit)
{
	render_warnings(out, result, request);
	if (jflag(result, "confirmed"))
		fprintf(out, "The commit is confirmed.\n");
	else if (jint(result, "changed") == 0 && !json_object_get(result, "confirm_seconds"))
		fprintf(out, "Nothing to commit.\n");
	if (json_object_get(result, "confirm_seconds"))
		fprintf(out, "Return to the previous configuration in %lld seconds unless 'config commit' follows.\n",
			jint(result, "confirm_seconds"));
}

RENDERER(render_history)
{
	static const char *const titles[] = {"Number", "Time", "User", "Comment"};
	struct table *t = table_new(4, titles, "-   ");
	size_t i;
	json_t *h;

	(void)request;
	json_array_foreach (json_object_get(result, "history"), i, h) {
		table_cell(t, "%lld", jint(h, "number"));
		table_cell(t, "%s", jtext(h, "time", "?"));
		table_cell(t, "%s", jtext(h, "user", "?"));
		table_cell(t, "%s", jtext(h, "comment", ""));
	}
	table_print(t, out);
}

RENDERER(render_status)
{
	(void)request;
	fprintf(out, "Uncommitted changes: %lld\n", jint(result, "changes"));
	if (json_object_get(result, "confirm_seconds_left"))
		fprintf(out, "The last commit waits for confirmation: %lld seconds left\n",
			jint(result, "confirm_seconds_left"));
	fprintf(out, "The running configuration is %s\n", jflag(result, "startup_differs") ? "not saved" : "saved");
}
