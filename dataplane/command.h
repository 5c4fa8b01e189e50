/* SPDX-License-Identifier: BSD-3-Clause */
/* Commands of the control process: received, checked (validate.h), carried out, answered. Main lcore. */
#ifndef DATAPLANE_COMMAND_H
#define DATAPLANE_COMMAND_H

#include "cv_chan.h"
#include "dp.h"

struct command_conf {
	uint64_t instance; /* as in the statistics segment */
	bool test_faults;  /* CV_CMD_FAIL_AT allowed */
};

extern const struct dp_module platform_module;

void command_init(const struct command_conf *conf);
/* A new client (ch), or none (NULL): an open transaction of the old one is aborted. */
void command_attach(struct cv_chan *ch);
/* Carry out what has arrived, a bounded number at a time. Returns how many. */
unsigned command_poll(void);
/* One command: fills the reply's body. Exposed for tests. */
void command_run(const struct cv_msg *msg, struct cv_reply *reply);

#endif
