/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Transactions over the modules (dp.h, struct dp_module): all or nothing. Knows no module by name, so that it can be
 * tested with others. Main lcore only.
 */
#ifndef DATAPLANE_TXN_H
#define DATAPLANE_TXN_H

#include "dp.h"

/* owner: the module of a command (index into modules), by message type; -1 for commands that do not belong here. */
struct txn_ops {
	const struct dp_module *const *modules; /* ends with NULL */
	int (*owner)(uint16_t type);
};

void txn_init(const struct txn_ops *ops);
/* All return CV_OK or enum cv_err with text (128 bytes). */
enum cv_err txn_begin(bool sync, char *text);
/* A command: inside a transaction it is staged, outside it is a transaction of its own. */
enum cv_err txn_command(uint16_t type, const void *body, char *text);
/* Prepares and publishes all, or aborts all. The transaction is over in either case. Refused (and aborted) when one of
 * its commands had failed. */
enum cv_err txn_commit(char *text);
/* A module, in prepare: the command (its type and the id its body begins with) that cannot be carried out. */
void txn_blame(uint16_t type, uint32_t id);
/* CV_BLAME of the last commit, 0 = nobody. */
uint32_t txn_blamed(void);
enum cv_err txn_abort(char *text);
/* The control process is gone: what it had not committed is forgotten. */
void txn_reset(void);
/*
 * Fault injection (CV_CMD_FAIL_AT): the nth step from now fails with CV_ERR_INJECTED; steps are the commands staged and
 * then, at commit, each module's prepare. 0 = off. It goes off by itself when the transaction ends.
 */
void txn_fail_at(uint32_t nth);

#endif
