/* SPDX-License-Identifier: BSD-3-Clause */
#include "txn.h"

#include <stdio.h>

static struct txn_ops ops;
static bool open_now, poisoned;
static uint32_t fail_countdown, blamed;

void txn_init(const struct txn_ops *o)
{
	ops = *o;
	open_now = poisoned = false;
	fail_countdown = 0;
}

static enum cv_err say(char *text, enum cv_err err, const char *why)
{
	(void)snprintf(text, 128, "%s", why);
	return err;
}

void txn_blame(uint16_t type, uint32_t id)
{
	blamed = CV_BLAME(type, id);
}

uint32_t txn_blamed(void)
{
	return blamed;
}

static bool injected_failure(void)
{
	return fail_countdown > 0 && --fail_countdown == 0;
}

void txn_fail_at(uint32_t nth)
{
	fail_countdown = nth;
}

static void abort_all(void)
{
	for (int i = 0; ops.modules[i] != NULL; i++)
		if (ops.modules[i]->abort != NULL)
			ops.modules[i]->abort();
}

static void over(void)
{
	open_now = poisoned = false;
	fail_countdown = 0;
}

static enum cv_err stage(uint16_t type, const void *body, char *text)
{
	int owner = ops.owner(type);
	if (owner < 0)
		return say(text, CV_ERR_UNSUPPORTED, "no module takes this command");
	if (injected_failure())
		return say(text, CV_ERR_INJECTED, "failure injected while staging");
	return (enum cv_err)ops.modules[owner]->stage(type, body, text);
}

static enum cv_err prepare_all(char *text)
{
	blamed = 0;
	for (int i = 0; ops.modules[i] != NULL; i++) {
		if (injected_failure())
			return say(text, CV_ERR_INJECTED, "failure injected while preparing");
		int err = ops.modules[i]->prepare != NULL ? ops.modules[i]->prepare(text) : CV_OK;
		if (err != CV_OK)
			return (enum cv_err)err;
	}
	return CV_OK;
}

static enum cv_err apply(char *text)
{
	enum cv_err err = prepare_all(text);
	if (err != CV_OK) {
		abort_all();
		return err;
	}
	for (int i = 0; ops.modules[i] != NULL; i++)
		if (ops.modules[i]->publish != NULL)
			ops.modules[i]->publish();
	return CV_OK;
}

enum cv_err txn_begin(bool sync, char *text)
{
	if (open_now)
		return say(text, CV_ERR_STATE, "a transaction is open already");
	open_now = true;
	poisoned = false;
	for (int i = 0; sync && ops.modules[i] != NULL; i++)
		if (ops.modules[i]->sync != NULL)
			ops.modules[i]->sync();
	return CV_OK;
}

enum cv_err txn_command(uint16_t type, const void *body, char *text)
{
	enum cv_err err = stage(type, body, text);
	if (open_now) {
		poisoned = poisoned || err != CV_OK;
		return err;
	}
	if (err == CV_OK)
		err = apply(text);
	else
		abort_all();
	over();
	return err;
}

enum cv_err txn_commit(char *text)
{
	if (!open_now)
		return say(text, CV_ERR_STATE, "no transaction is open");
	enum cv_err err;
	if (poisoned) {
		abort_all();
		err = say(text, CV_ERR_STATE, "a command of this transaction had failed: nothing was applied");
	} else {
		err = apply(text);
	}
	over();
	return err;
}

enum cv_err txn_abort(char *text)
{
	if (!open_now)
		return say(text, CV_ERR_STATE, "no transaction is open");
	txn_reset();
	return CV_OK;
}

void txn_reset(void)
{
	if (open_now)
		abort_all();
	over();
}
