/* SPDX-License-Identifier: BSD-3-Clause */
/* What the tests of mgmt/ share: the sample configuration, and a store over a control process that is a test double. */
#ifndef TESTS_UNIT_MGMT_FIXTURE_H
#define TESTS_UNIT_MGMT_FIXTURE_H

#include "store.h"

struct fixture {
	uv_loop_t loop;
	struct ly_ctx *ctx;
	struct store *store;
	char dir[64]; /* temporary; holds startup.json, state/ and run/ */
	char startup[96];
	/* the double: what it was given, and what it is told to answer */
	unsigned applied;
	struct cv_config *last; /* the configuration in force, a reference */
	const char *refuse;	/* answer of the next apply */
	enum store_step fail_step;
	/* outcome of the last store operation with a callback */
	bool called;
	bool failed;
	struct model_err err;
	json_t *result;
};

/* argv of the test program: YANG search path, sample configuration. */
void fixture_args(int argc, char **argv);
char *fixture_sample(void); /* text of docs/examples/gateway.json; free() */
/* The sample with the first occurrence of from replaced by to; free(). */
char *fixture_sample_with(const char *from, const char *to);

int fixture_setup(void **state);
int fixture_teardown(void **state);
/* Close the store and open another one on the same files, as a restart does. */
void fixture_restart(struct fixture *f, bool start);
void fixture_done(void *arg, const struct model_err *err, const json_t *result);
/* Run the loop until an operation has called back. */
void fixture_wait(struct fixture *f);

#endif
