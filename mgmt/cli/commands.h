/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The command tree of `culvert`, as one table: what it parses, abbreviates, completes, explains and documents all comes
 * from here. Pure functions over constant data.
 */
#ifndef MGMT_CLI_COMMANDS_H
#define MGMT_CLI_COMMANDS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#define CLI_TOKENS_MAX 64u
#define CLI_ERR_MAX 1024u

enum cli_type {
	CLI_TEXT = 0,
	CLI_FLAG,	/* no value */
	CLI_NUMBER,	/* digits */
	CLI_OPT_NUMBER, /* digits, or nothing: then dflt */
	CLI_FILE,
	CLI_PATH, /* YANG path, completed by culvertd */
	CLI_NAME, /* name of an object */
	CLI_REST, /* everything that follows, blanks included (T6KEY-33) */
};

struct cli_arg {
	const char *word; /* keyword; NULL: by position */
	const char *key;  /* member of the request; NULL: the keyword */
	const char *what; /* placeholder: "ADDRESS" */
	const char *help;
	enum cli_type type;
	bool required;
	const char *dflt; /* CLI_OPT_NUMBER */
};

/* How an answer is printed for people; request is what was asked. */
typedef void (*cli_render)(FILE *out, const json_t *result, const json_t *request);

struct cli_command {
	const char *words;	 /* "show crypto session" */
	const char *verb, *name; /* request: {verb: name}; verb NULL: handled by the CLI itself */
	const char *flag;	 /* a flag that is always set in the request, or NULL */
	const char *help;
	const struct cli_arg *args; /* ends with all-zero; may be NULL */
	cli_render render;	    /* NULL: nothing to print */
	const char *confirm;	    /* ask this in the interactive shell when no argument narrows it down */
	bool hidden;		    /* not in help, completion and manual */
};

/* What the words before the last one of a command stand for: help. */
struct cli_group {
	const char *words, *help;
};

extern const struct cli_group cli_groups[];
extern const unsigned cli_n_groups;
extern const struct cli_command cli_commands[];
extern const unsigned cli_n_commands;

/*
 * Parse words into a command and a request. Words may be abbreviated as long as they are unambiguous. Returns the
 * command with *request (to be json_decref'ed), or NULL with err.
 */
const struct cli_command *cli_parse(
	const char *const *token, unsigned n, json_t **request, char err[static CLI_ERR_MAX]);

/* One thing that may come next. */
struct cli_next {
	const char *word; /* keyword, or placeholder when value is set */
	const char *help;
	bool value; /* not a keyword: something of this type */
	enum cli_type type;
	bool end; /* the command may end here */
};
/* What may follow token[0..n), where token[n-1] is complete. Returns how many were written; none: a wrong word. */
unsigned cli_follow(const char *const *token, unsigned n, struct cli_next *out, unsigned max);

/* Split a line: blanks separate, quotes '...' and "..." protect, backslash protects one character. The tokens point
 * into line, which is changed. Returns how many, or -1 when a quote is not closed or there are too many. */
int cli_split(char *line, const char **token);

/* generate.c: the commands in troff for culvert.1, and the bash completion. */
void cli_generate_man(FILE *out);
void cli_generate_bash(FILE *out);
/* "[detail] [local ADDRESS]" */
void cli_synopsis(FILE *out, const struct cli_command *c, const char *bold, const char *italic, const char *plain);

#endif
