/* SPDX-License-Identifier: BSD-3-Clause */
/* All or nothing over modules, with modules that only write down what is asked of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "txn.h"

static char diary[512];

static void note(const char *what)
{
	(void)snprintf(diary + strlen(diary), sizeof(diary) - strlen(diary), "%s ", what);
}

static int stage_err, prepare_b_err;

static int a_stage(uint16_t type, const void *body, char *text)
{
	(void)type;
	(void)body;
	note("a.stage");
	if (stage_err != 0)
		(void)snprintf(text, 128, "no such thing");
	return stage_err;
}
static int a_prepare(char *text)
{
	(void)text;
	note("a.prepare");
	return 0;
}
static int b_prepare(char *text)
{
	(void)text;
	note("b.prepare");
	if (prepare_b_err != 0)
		txn_blame(CV_CMD_PORT_ATTACH, 5);
	return prepare_b_err;
}
#define HOOK(f, what)                                                                                                  \
	static void f(void)                                                                                            \
	{                                                                                                              \
		note(what);                                                                                            \
	}
HOOK(a_sync, "a.sync")
HOOK(a_publish, "a.publish")
HOOK(a_abort, "a.abort")
HOOK(b_sync, "b.sync")
HOOK(b_publish, "b.publish")
HOOK(b_abort, "b.abort")

static const struct dp_module a = {"a", a_stage, a_sync, a_prepare, a_publish, a_abort};
static const struct dp_module b = {"b", a_stage, b_sync, b_prepare, b_publish, b_abort};
static const struct dp_module *const modules[] = {&a, &b, NULL};

static int owner(uint16_t type)
{
	return type == CV_CMD_VRF_SET ? 0 : -1;
}

static int setup(void **state)
{
	(void)state;
	static const struct txn_ops ops = {modules, owner};
	txn_init(&ops);
	diary[0] = '\0';
	stage_err = prepare_b_err = 0;
	return 0;
}

static char text[128];

static void a_transaction_prepares_all_before_it_publishes_any(void **state)
{
	(void)state;
	assert_int_equal(txn_begin(false, text), CV_OK);
	assert_int_equal(txn_command(CV_CMD_VRF_SET, "", text), CV_OK);
	assert_int_equal(txn_command(CV_CMD_VRF_SET, "", text), CV_OK);
	assert_string_equal(diary, "a.stage a.stage ");
	assert_int_equal(txn_commit(text), CV_OK);
	assert_string_equal(diary, "a.stage a.stage a.prepare b.prepare a.publish b.publish ");
	assert_int_equal(txn_commit(text), CV_ERR_STATE);
}

static void a_command_alone_is_a_transaction(void **state)
{
	(void)state;
	assert_int_equal(txn_command(CV_CMD_VRF_SET, "", text), CV_OK);
	assert_string_equal(diary, "a.stage a.prepare b.prepare a.publish b.publish ");
	diary[0] = '\0';
	stage_err = CV_ERR_NOT_FOUND;
	assert_int_equal(txn_command(CV_CMD_VRF_SET, "", text), CV_ERR_NOT_FOUND);
	assert_string_equal(text, "no such thing");
	assert_string_equal(diary, "a.stage a.abort b.abort ");
}

static void a_failed_prepare_aborts_everywhere(void **state)
{
	(void)state;
	prepare_b_err = CV_ERR_DEVICE;
	assert_int_equal(txn_begin(true, text), CV_OK);
	assert_int_equal(txn_command(CV_CMD_VRF_SET, "", text), CV_OK);
	assert_int_equal(txn_commit(text), CV_ERR_DEVICE);
	assert_string_equal(diary, "a.sync b.sync a.stage a.prepare b.prepare a.abort b.abort ");
	assert_int_equal(txn_blamed(), CV_BLAME(CV_CMD_PORT_ATTACH, 5));
	assert_int_equal(txn_begin(false, text), CV_OK);
}

static void a_failed_command_spoils_the_commit(void **state)
{
	(void)state;
	assert_int_equal(txn_begin(false, text), CV_OK);
	stage_err = CV_ERR_EXISTS;
	assert_int_equal(txn_command(CV_CMD_VRF_SET, "", text), CV_ERR_EXISTS);
	stage_err = 0;
	assert_int_equal(txn_command(CV_CMD_VRF_SET, "", text), CV_OK);
	assert_int_equal(txn_commit(text), CV_ERR_STATE);
	assert_string_equal(diary, "a.stage a.stage a.abort b.abort ");
	/* The next one starts clean. */
	assert_int_equal(txn_begin(false, text), CV_OK);
	assert_int_equal(txn_commit(text), CV_OK);
}

static void abort_and_the_loss_of_the_client_forget(void **state)
{
	(void)state;
	assert_int_equal(txn_abort(text), CV_ERR_STATE);
	assert_int_equal(txn_begin(false, text), CV_OK);
	assert_int_equal(txn_begin(false, text), CV_ERR_STATE);
	assert_int_equal(txn_abort(text), CV_OK);
	assert_string_equal(diary, "a.abort b.abort ");
	assert_int_equal(txn_begin(false, text), CV_OK);
	txn_reset();
	assert_string_equal(diary, "a.abort b.abort a.abort b.abort ");
	txn_reset(); /* nothing open: nothing to abort */
	assert_string_equal(diary, "a.abort b.abort a.abort b.abort ");
	assert_int_equal(txn_command(CV_CMD_HELLO, "", text), CV_ERR_UNSUPPORTED);
}

/* Every step of a transaction of two commands and two modules can be made to fail, and never is anything published. */
static void injected_failures_hit_every_step_once(void **state)
{
	(void)state;
	for (uint32_t nth = 1; nth <= 5; nth++) {
		diary[0] = '\0';
		txn_fail_at(nth);
		assert_int_equal(txn_begin(false, text), CV_OK);
		int first = (int)txn_command(CV_CMD_VRF_SET, "", text),
		    second = (int)txn_command(CV_CMD_VRF_SET, "", text);
		enum cv_err commit = txn_commit(text);
		assert_int_equal(first, nth == 1 ? CV_ERR_INJECTED : CV_OK);
		assert_int_equal(second, nth == 2 ? CV_ERR_INJECTED : CV_OK);
		assert_int_equal(commit, nth <= 2 ? CV_ERR_STATE : nth <= 4 ? CV_ERR_INJECTED : CV_OK);
		assert_int_equal(strstr(diary, "publish") != NULL, nth == 5);
		assert_int_equal(strstr(diary, "a.abort b.abort") != NULL, nth < 5);
	}
	/* What was not used up does not hit the next transaction. */
	txn_fail_at(50);
	assert_int_equal(txn_command(CV_CMD_VRF_SET, "", text), CV_OK);
	for (int i = 0; i < 60; i++)
		assert_int_equal(txn_command(CV_CMD_VRF_SET, "", text), CV_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_transaction_prepares_all_before_it_publishes_any, setup),
		cmocka_unit_test_setup(a_command_alone_is_a_transaction, setup),
		cmocka_unit_test_setup(a_failed_prepare_aborts_everywhere, setup),
		cmocka_unit_test_setup(a_failed_command_spoils_the_commit, setup),
		cmocka_unit_test_setup(abort_and_the_loss_of_the_client_forget, setup),
		cmocka_unit_test_setup(injected_failures_hit_every_step_once, setup),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
