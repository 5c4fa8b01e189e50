/* SPDX-License-Identifier: BSD-3-Clause */
/* Running one command line. */
#ifndef MGMT_CLI_RUN_H
#define MGMT_CLI_RUN_H

#include <stdbool.h>

#include "client.h"

enum { RUN_OK = 0, RUN_FAILED = 1, RUN_USAGE = 2, RUN_NOTHING = 3 };

struct run {
	struct client client;
	bool json;	  /* print answers as JSON */
	bool interactive; /* ask before what clears everything; page long output */
};

/* token: the words of the command. "--json" among them counts for this command. Prints; returns an exit code. */
int run_command(struct run *r, const char *const *token, unsigned n);

#endif
