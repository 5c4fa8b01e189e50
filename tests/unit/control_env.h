/* SPDX-License-Identifier: BSD-3-Clause */
/* culvertd's core against dataplanes without packets (fakedp.h): one router, or two that negotiate with each other. */
#ifndef TESTS_CONTROL_ENV_H
#define TESTS_CONTROL_ENV_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cfgbuild.h"
#include "control.h"
#include "fakedp.h"

/* One router: a culvertd's core and its dataplane. */
struct router {
	char dir[64], sock[96];
	struct fakedp *dp;
	struct control *c;
	bool stopped;
};

struct fixture {
	uv_loop_t loop;
	uv_timer_t tick; /* keeps the loop turning while a test waits */
	struct router r[2];
};

extern bool bundled; /* AH around ESP, and so IKEv1: for the tests of bundles */

/* Turn the loop until cond or 20 s have passed. */
#define WAIT(f, cond)                                                                                                  \
	do {                                                                                                           \
		uint64_t until_ = uv_hrtime() + 20000000000ull;                                                        \
		while (!(cond) && uv_hrtime() < until_)                                                                \
			uv_run(&(f)->loop, UV_RUN_ONCE);                                                               \
		if (!(cond))                                                                                           \
			fail_msg("timeout waiting for " #cond);                                                        \
	} while (0)

void router_start(struct fixture *f, struct router *r);
/* For TEST. */
int setup(void **state);
int teardown(void **state);
void router_stop(struct fixture *f, struct router *r, bool graceful);
/* Apply and drop our reference. Returns the error, "" = none. */
const char *apply(struct fixture *f, struct router *r, struct cv_config *cfg);
/* The same in two steps: the dataplane has got all of it, and has not taken it; then it does. */
void apply_held(struct fixture *f, struct router *r, struct cv_config *cfg);
const char *apply_let_go(struct fixture *f, struct router *r);
/* The same for what a test has resolved and then changed beyond what an operator may. */
const char *apply_resolved(struct fixture *f, struct router *r, struct cv_config *cfg);
struct fakedp_state state_of(struct router *r);
/* The answer to a request, which is the caller's; show or do. */
json_t *ask(struct fixture *f, struct router *r, const char *request, bool show);
/* Has the dataplane taken the configuration? */
bool in_force(struct fixture *f, struct router *r);
void start_with_gateway(struct fixture *f, struct router *r);
/* Configuration of router n of two that have a tunnel with each other; not resolved. */
struct cv_config *side(int n);
/* Two routers, connected, with these configurations, made from side(); no tunnel yet. */
void start_with(struct fixture *f, struct cv_config *left, struct cv_config *right);
/* The same with a side each, unchanged. */
void start_both(struct fixture *f);
/* A packet that needs an SA. */
void trigger(struct router *r);
/* The same by the n-th rule that protects. */
void trigger_rule(struct router *r, unsigned n);
/* What one side sends with, the other receives with. */
void assert_paired(struct router *a, struct router *b);
/* IKE has heard that its pair is in the dataplane: from then on it is in the vault too. */
bool child_established(struct fixture *f, struct router *r);
/* Two routers, and one tunnel between them. */
void bring_up(struct fixture *f);
/* The same with configurations made from side(). */
void bring_up_with(struct fixture *f, struct cv_config *left, struct cv_config *right);
/* The only session, in an answer that is the caller's. */
json_t *session0(struct fixture *f, struct router *r, json_t **answer);
bool session_is(struct fixture *f, struct router *r, const char *status);
/* One number of `show crypto ike stats`. */
json_int_t ike_stat(struct fixture *f, struct router *r, const char *name);
/* How many IKEv2 SAs it has. */
size_t ike_sas(struct fixture *f, struct router *r);

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif
