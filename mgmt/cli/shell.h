/* SPDX-License-Identifier: BSD-3-Clause */
/* The interactive shell: libedit with history, completion by tab, help by '?'. */
#ifndef MGMT_CLI_SHELL_H
#define MGMT_CLI_SHELL_H

#include "run.h"

/* Read commands until end of file or 'exit'. Returns the exit code of the last command. */
int shell_run(struct run *r);

#endif
