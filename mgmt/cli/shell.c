/* SPDX-License-Identifier: BSD-3-Clause */
#include "shell.h"

#include <histedit.h>
#include <limits.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"

#define CHOICES_MAX 64u
#define HISTORY_LINES 500

struct shell {
	struct run *run;
	EditLine *el;
	History *history;
	char history_path[PATH_MAX];
	char prompt[96];
};

static struct shell *the_shell; /* libedit's callbacks get the EditLine only; there is one shell in a process */

static char *prompt(EditLine *el)
{
	(void)el;
	return the_shell->prompt;
}

/* What is left of the cursor, as complete words and the beginning of one more. */
struct before {
	char text[4096];
	const char *token[CLI_TOKENS_MAX];
	unsigned n; /* complete words */
	const char *start;
};

static bool look_before(EditLine *el, struct before *b)
{
	const LineInfo *li = el_line(el);
	size_t len = (size_t)(li->cursor - li->buffer);

	if (len + 2 >= sizeof(b->text))
		return false;
	memcpy(b->text, li->buffer, len);
	b->text[len] = 0;
	bool fresh = len == 0 || li->cursor[-1] == ' ' || li->cursor[-1] == '\t';
	int n = cli_split(b->text, b->token);
	if (n < 0)
		return false;
	b->n = (unsigned)n;
	b->start = "";
	if (!fresh && b->n)
		b->start = b->token[--b->n];
	return true;
}

struct choices {
	char *word[1024];
	const char *help[1024];
	unsigned n;
};

static void choices_free(struct choices *c)
{
	for (unsigned i = 0; i < c->n; i++)
		free(c->word[i]);
	c->n = 0;
}

static void choose(struct choices *c, const char *word, const char *help)
{
	if (c->n < sizeof(c->word) / sizeof(c->word[0]) && (c->word[c->n] = strdup(word)))
		c->help[c->n++] = help;
}

/* YANG paths come from culvertd, which knows the model and what is configured. */
static void choose_paths(struct choices *c, const char *start)
{
	char err[256];
	size_t i;
	json_t *p, *request = json_pack("{s:s, s:s}", "config", "complete", "path", start);
	json_t *answer = client_call(&the_shell->run->client, request, err, sizeof(err));

	json_array_foreach (json_object_get(json_object_get(answer, "result"), "paths"), i, p)
		choose(c, json_string_value(p), "");
	json_decref(answer);
	json_decref(request);
}

static void find_choices(const struct before *b, struct choices *c)
{
	struct cli_next next[CHOICES_MAX];
	unsigned n = cli_follow(b->token, b->n, next, CHOICES_MAX);

	for (unsigned i = 0; i < n; i++) {
		if (next[i].value && next[i].type == CLI_PATH)
			choose_paths(c, b->start);
		else if (!next[i].value && strncmp(next[i].word, b->start, strlen(b->start)) == 0)
			choose(c, next[i].word, next[i].help);
	}
}

static void print_help(const struct before *b)
{
	struct cli_next next[CHOICES_MAX];
	unsigned n = cli_follow(b->token, b->n, next, CHOICES_MAX), shown = 0;

	putchar('\n');
	for (unsigned i = 0; i < n; i++) {
		if (!next[i].value && strncmp(next[i].word, b->start, strlen(b->start)) != 0)
			continue;
		if (next[i].end && *b->start)
			continue;
		printf("  %-18s %s\n", next[i].word, next[i].help);
		shown++;
	}
	if (b->n == 0 && !*b->start)
		printf("  %-18s %s\n", "exit", "Leave the shell");
	if (!shown)
		printf("  nothing fits here\n");
}

static unsigned char on_question(EditLine *el, int ch)
{
	struct before b;

	(void)ch;
	if (!look_before(el, &b))
		return CC_ERROR;
	print_help(&b);
	return CC_REDISPLAY;
}

static size_t common_length(const struct choices *c)
{
	size_t n = strlen(c->word[0]);

	for (unsigned i = 1; i < c->n; i++)
		for (size_t k = 0; k < n; k++)
			if (c->word[i][k] != c->word[0][k]) {
				n = k;
				break;
			}
	return n;
}

static unsigned char insert_choice(EditLine *el, const struct choices *c, const char *start)
{
	size_t have = strlen(start), common = common_length(c);
	char text[2048];
	const char *w = c->word[0];
	/* a path goes on after '/' and '[' */
	bool whole = c->n == 1 && w[common - 1] != '/' && w[common - 1] != '[';

	if (common <= have && !whole)
		return CC_ERROR;
	snprintf(text, sizeof(text), "%.*s%s", (int)(common - have), w + have, whole ? " " : "");
	return el_insertstr(el, text) == 0 ? CC_REFRESH : CC_ERROR;
}

static unsigned char on_tab(EditLine *el, int ch)
{
	struct before b;
	static struct choices c; /* large; one shell */
	unsigned char rc = CC_ERROR;

	(void)ch;
	if (!look_before(el, &b))
		return CC_ERROR;
	find_choices(&b, &c);
	if (c.n)
		rc = insert_choice(el, &c, b.start);
	if (c.n > 1 && rc == CC_ERROR) {
		putchar('\n');
		for (unsigned i = 0; i < c.n; i++)
			printf("  %-24s %s\n", c.word[i], c.help[i]);
		rc = CC_REDISPLAY;
	}
	choices_free(&c);
	return rc;
}

static void open_history(struct shell *s)
{
	HistEvent ev;
	const char *home = getenv("HOME");

	s->history = history_init();
	history(s->history, &ev, H_SETSIZE, HISTORY_LINES);
	history(s->history, &ev, H_SETUNIQUE, 1);
	if (home && snprintf(s->history_path, sizeof(s->history_path), "%s/.culvert_history", home) <
			    (int)sizeof(s->history_path))
		history(s->history, &ev, H_LOAD, s->history_path);
	el_set(s->el, EL_HIST, history, s->history);
}

/* A line that may carry a secret stays out of the history. */
static void remember(struct shell *s, const char *line)
{
	HistEvent ev;

	if (!strstr(line, "key"))
		history(s->history, &ev, H_ENTER, line);
}

static void set_prompt(struct shell *s)
{
	char err[256];
	json_t *request = json_pack("{s:s}", "show", "version");
	json_t *answer = client_call(&s->run->client, request, err, sizeof(err));
	const char *name = json_string_value(json_object_get(json_object_get(answer, "result"), "hostname"));

	if (!answer)
		fprintf(stderr, "culvert: %s\n", err);
	snprintf(s->prompt, sizeof(s->prompt), "%s# ", name ? name : "culvert");
	json_decref(answer);
	json_decref(request);
}

static void setup(struct shell *s)
{
	the_shell = s;
	setlocale(LC_CTYPE, "");
	s->el = el_init("culvert", stdin, stdout, stderr);
	el_set(s->el, EL_PROMPT, prompt);
	el_set(s->el, EL_EDITOR, "emacs");
	el_set(s->el, EL_SIGNAL, 1);
	open_history(s);
	el_set(s->el, EL_ADDFN, "cv-complete", "complete", on_tab);
	el_set(s->el, EL_ADDFN, "cv-help", "help", on_question);
	el_set(s->el, EL_BIND, "\t", "cv-complete", NULL);
	el_set(s->el, EL_BIND, "?", "cv-help", NULL);
	el_set(s->el, EL_BIND, "^R", "em-inc-search-prev", NULL);
	el_source(s->el, NULL);
	set_prompt(s);
}

/* -1: leave. */
static int one_line(struct shell *s, const char *line)
{
	char copy[65536];
	const char *token[CLI_TOKENS_MAX];

	if (snprintf(copy, sizeof(copy), "%s", line) >= (int)sizeof(copy)) {
		fprintf(stderr, "culvert: the line is too long\n");
		return RUN_USAGE;
	}
	int n = cli_split(copy, token);
	if (n == 0)
		return RUN_OK;
	remember(s, line);
	if (n < 0) {
		fprintf(stderr, "culvert: a quote is not closed\n");
		return RUN_USAGE;
	}
	if (n == 1 && (strcmp(token[0], "exit") == 0 || strcmp(token[0], "quit") == 0))
		return -1;
	return run_command(s->run, token, (unsigned)n);
}

static int read_plain(struct run *r)
{
	static char line[65536];
	struct shell s = {.run = r};
	HistEvent ev;
	int rc = RUN_OK, last = RUN_OK;

	s.history = history_init();
	history(s.history, &ev, H_SETSIZE, 1);
	while (rc >= 0 && fgets(line, sizeof(line), stdin)) {
		rc = one_line(&s, line);
		last = rc >= 0 ? rc : last;
	}
	history_end(s.history);
	return last;
}

int shell_run(struct run *r)
{
	struct shell s = {.run = r};
	HistEvent ev;
	int count, rc = RUN_OK, last = RUN_OK;
	const char *line;

	if (!isatty(STDIN_FILENO))
		return read_plain(r);
	r->interactive = true;
	setup(&s);
	while (rc >= 0 && (line = el_gets(s.el, &count)) && count > 0) {
		rc = one_line(&s, line);
		last = rc >= 0 ? rc : last;
	}
	if (!line)
		putchar('\n');
	if (s.history_path[0])
		history(s.history, &ev, H_SAVE, s.history_path);
	history_end(s.history);
	el_end(s.el);
	return last;
}
