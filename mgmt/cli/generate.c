/* SPDX-License-Identifier: BSD-3-Clause */
/* Manual page section and bash completion, from the command table. */
#include <string.h>

#include "commands.h"

static const struct cli_arg no_args[] = {{0}};

static void synopsis_arg(FILE *out, const struct cli_arg *a, const char *bold, const char *italic, const char *plain)
{
	fprintf(out, " %s", a->required ? "" : "[");
	if (a->word)
		fprintf(out, "%s%s%s", bold, a->word, plain);
	if (a->what)
		fprintf(out, "%s%s%s%s%s%s", a->word ? " " : "", a->type == CLI_OPT_NUMBER ? "[" : "", italic, a->what,
			plain, a->type == CLI_OPT_NUMBER ? "]" : "");
	fprintf(out, "%s", a->required ? "" : "]");
}

void cli_synopsis(FILE *out, const struct cli_command *c, const char *bold, const char *italic, const char *plain)
{
	for (const struct cli_arg *a = c->args ? c->args : no_args; a->word || a->what; a++)
		synopsis_arg(out, a, bold, italic, plain);
}

/* troff: a hyphen that is meant as one, and a dot that does not start a request. */
static void troff(FILE *out, const char *text)
{
	if (*text == '.' || *text == '\'')
		fputs("\\&", out);
	for (; *text; text++) {
		if (*text == '-' || *text == '\\')
			fputc('\\', out);
		fputc(*text, out);
	}
}

void cli_generate_man(FILE *out)
{
	for (unsigned i = 0; i < cli_n_commands; i++) {
		const struct cli_command *c = &cli_commands[i];
		if (c->hidden)
			continue;
		fputs(".TP\n\\fB", out);
		troff(out, c->words);
		fputs("\\fR", out);
		cli_synopsis(out, c, "\\fB", "\\fI", "\\fR");
		fputc('\n', out);
		troff(out, c->help);
		fputs(".\n", out);
		for (const struct cli_arg *a = c->args ? c->args : no_args; a->word || a->what; a++) {
			fputs(".br\n", out);
			fprintf(out, "%s%s%s: ", a->word ? "\\fB" : "\\fI", a->word ? a->word : a->what, "\\fR");
			troff(out, a->help);
			fputs(".\n", out);
		}
	}
}

/* A trie in a shell associative array: the words so far, after "culvert" -> the words that may follow. */
static void bash_words(FILE *out)
{
	char done[64][64];
	unsigned n_done = 0;

	for (unsigned i = 0; i < cli_n_commands; i++) {
		const char *words = cli_commands[i].words;
		for (const char *end = words;; end = strchr(end, ' ')) {
			char prefix[64];
			if (!end)
				break;
			snprintf(prefix, sizeof(prefix), "%.*s", (int)(end - words), words);
			end += *end == ' ';
			bool known = cli_commands[i].hidden;
			for (unsigned k = 0; k < n_done && !known; k++)
				known = strcmp(done[k], prefix) == 0;
			if (known || n_done == 64)
				continue;
			snprintf(done[n_done++], sizeof(done[0]), "%s", prefix);
			fprintf(out, "\t['culvert%s%s']='", prefix[0] ? " " : "", prefix);
			struct cli_next next[64];
			char copy[64];
			const char *token[CLI_TOKENS_MAX];
			snprintf(copy, sizeof(copy), "%s", prefix);
			int n = cli_split(copy, token);
			unsigned m = cli_follow(token, (unsigned)n, next, 64);
			for (unsigned k = 0; k < m; k++)
				if (!next[k].value)
					fprintf(out, "%s%s", k ? " " : "", next[k].word);
			fputs("'\n", out);
		}
	}
}

static void bash_args(FILE *out)
{
	for (unsigned i = 0; i < cli_n_commands; i++) {
		const struct cli_command *c = &cli_commands[i];
		if (c->hidden)
			continue;
		fprintf(out, "\t['culvert %s']='", c->words);
		for (const struct cli_arg *a = c->args ? c->args : no_args; a->word || a->what; a++) {
			if (a->word)
				fprintf(out, "%s ", a->word);
			else if (a->type == CLI_FILE)
				fputs("@file ", out);
		}
		fputs("'\n", out);
	}
}

void cli_generate_bash(FILE *out)
{
	fputs("# bash completion for culvert; generated from its command table\n"
	      "declare -gA _culvert_words=(\n",
		out);
	bash_words(out);
	fputs(")\ndeclare -gA _culvert_args=(\n", out);
	bash_args(out);
	fputs(")\n"
	      "_culvert()\n"
	      "{\n"
	      "\tlocal cur=${COMP_WORDS[COMP_CWORD]} prefix=culvert i word list\n"
	      "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
	      "\t\tword=${COMP_WORDS[i]}\n"
	      "\t\t[[ $word == --socket ]] && { ((i++)); continue; }\n"
	      "\t\t[[ $word == -* ]] && continue\n"
	      "\t\t[[ -n ${_culvert_args[$prefix]+x} && -z ${_culvert_words[$prefix]+x} ]] && break\n"
	      "\t\tprefix=\"$prefix $word\"\n"
	      "\tdone\n"
	      "\tlist=\"${_culvert_words[$prefix]} ${_culvert_args[$prefix]} --json\"\n"
	      "\tCOMPREPLY=()\n"
	      "\tif [[ $list == *@file* ]]; then\n"
	      "\t\tcompopt -o filenames 2>/dev/null\n"
	      "\t\tmapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n"
	      "\t\tlist=${list//@file/}\n"
	      "\tfi\n"
	      "\tmapfile -t -O \"${#COMPREPLY[@]}\" COMPREPLY < <(compgen -W \"$list\" -- \"$cur\")\n"
	      "}\n"
	      "complete -F _culvert culvert\n",
		out);
}
