/* SPDX-License-Identifier: BSD-3-Clause */
/* The dialogues of `key config-key password-encryption` and its removal (T6KEY-12, 31..35). */
#ifndef MGMT_CLI_MASTER_KEY_H
#define MGMT_CLI_MASTER_KEY_H

#include "commands.h"
#include "run.h"

/*
 * Ask for what the request lacks: from the terminal without echo, or line by line from standard input when that is no
 * terminal. False when there is nothing to be sent: refused, or an answer is missing; the reason is printed. True at
 * once for every other command.
 */
bool master_key_dialogue(struct run *r, const struct cli_command *c, json_t *request);

#endif
