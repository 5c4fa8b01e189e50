/* SPDX-License-Identifier: BSD-3-Clause */
/* culvert: the operator's command line. One command from its arguments, or a shell when there are none. */
#include <getopt.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "cv_secret.h"
#include "shell.h"

#define DEFAULT_SOCKET "/run/culvert/culvertd.sock"

enum { OPT_SOCKET = 256, OPT_JSON, OPT_HELP, OPT_VERSION, OPT_GENERATE };

static const struct option long_options[] = {
	{"socket", required_argument, NULL, OPT_SOCKET},
	{"json", no_argument, NULL, OPT_JSON},
	{"help", no_argument, NULL, OPT_HELP},
	{"version", no_argument, NULL, OPT_VERSION},
	{"generate", required_argument, NULL, OPT_GENERATE}, /* man or bash: used by the build */
	{NULL, 0, NULL, 0},
};

static void print_help(void)
{
	printf("usage: culvert [--socket PATH] [--json] [COMMAND...]\n"
	       "Without a command: an interactive shell. Words may be abbreviated.\n\n"
	       "  --socket PATH  socket of culvertd (default: $CULVERT_SOCKET, else " DEFAULT_SOCKET ")\n"
	       "  --json         print the answer as JSON (docs/show.md)\n"
	       "  --help         print this and exit\n"
	       "  --version      print the version and exit\n\n"
	       "Commands:\n");
	for (unsigned i = 0; i < cli_n_commands; i++) {
		const struct cli_command *c = &cli_commands[i];
		if (c->hidden)
			continue;
		printf("  %s", c->words);
		cli_synopsis(stdout, c, "", "", "");
		printf("\n      %s\n", c->help);
	}
	printf("\nExit code: 0 done, 1 failed or refused, 2 not understood, 3 nothing matched.\n");
}

static int generate(const char *what)
{
	if (strcmp(what, "man") == 0)
		cli_generate_man(stdout);
	else if (strcmp(what, "bash") == 0)
		cli_generate_bash(stdout);
	else
		return RUN_USAGE;
	return RUN_OK;
}

static void free_zeroed(void *p)
{
	if (p)
		cv_secret_zero(p, malloc_usable_size(p));
	free(p);
}

int main(int argc, char **argv)
{
	struct run r = {0};
	const char *path = getenv("CULVERT_SOCKET");
	int opt;

	json_set_alloc_funcs(malloc, free_zeroed); /* configurations carry keys */
	/* '+': options of ours come first; what follows the command belongs to it (--json is taken from there too) */
	while ((opt = getopt_long(argc, argv, "+", long_options, NULL)) != -1) {
		switch (opt) {
		case OPT_SOCKET:
			path = optarg;
			break;
		case OPT_JSON:
			r.json = true;
			break;
		case OPT_HELP:
			print_help();
			return RUN_OK;
		case OPT_VERSION:
			puts("culvert " CULVERT_VERSION);
			return RUN_OK;
		case OPT_GENERATE:
			return generate(optarg);
		default:
			fputs("Try 'culvert --help'.\n", stderr);
			return RUN_USAGE;
		}
	}
	client_init(&r.client, path ? path : DEFAULT_SOCKET);
	int rc = optind < argc ? run_command(&r, (const char *const *)argv + optind, (unsigned)(argc - optind))
			       : shell_run(&r);
	client_close(&r.client);
	return rc;
}
