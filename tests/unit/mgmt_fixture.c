/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "files.h"
#include "mgmt_fixture.h"

static const char *yang_path, *sample_path;

void fixture_args(int argc, char **argv)
{
	if (argc < 3) {
		fprintf(stderr, "usage: %s YANG-PATH SAMPLE\n", argv[0]);
		exit(2);
	}
	yang_path = argv[1];
	sample_path = argv[2];
}

/* Not inlined: GCC 12 takes what files_read() stores for a pointer to the variable it stores it in. */
__attribute__((noinline)) char *fixture_sample(void)
{
	char *text;

	assert_int_equal(files_read(sample_path, &text), 0);
	return text;
}

char *fixture_sample_with(const char *from, const char *to)
{
	char *text = fixture_sample();
	const char *at = strstr(text, from);

	if (!at)
		fail_msg("the sample does not contain: %s", from);
	size_t before = (size_t)(at - text), size = strlen(text) + strlen(to) + 1;
	char *out = calloc(1, size);
	assert_non_null(out);
	memcpy(out, text, before);
	snprintf(out + before, size - before, "%s%s", to, at + strlen(from));
	free(text);
	return out;
}

static int apply(void *ctx, struct cv_config *cfg, void (*cb)(void *arg, const char *err), void *arg)
{
	struct fixture *f = ctx;
	const char *refuse = f->refuse;

	f->refuse = NULL;
	if (refuse) {
		cb(arg, refuse);
		return 0;
	}
	f->applied++;
	if (f->last)
		config_unref(f->last);
	f->last = config_ref(cfg);
	cb(arg, NULL);
	return 0;
}

static int fail_step(void *ctx, enum store_step step)
{
	struct fixture *f = ctx;

	return step == f->fail_step ? -EIO : 0;
}

void fixture_done(void *arg, const struct model_err *err, const json_t *result)
{
	struct fixture *f = arg;

	f->called = true;
	f->failed = err != NULL;
	if (err)
		f->err = *err;
	json_decref(f->result);
	f->result = result ? json_deep_copy(result) : NULL;
}

void fixture_wait(struct fixture *f)
{
	while (!f->called)
		uv_run(&f->loop, UV_RUN_ONCE);
	f->called = false;
}

static void open_store(struct fixture *f, bool start)
{
	char state[96], run[96];
	struct store_opts opts = {.loop = &f->loop,
		.ctx = f->ctx,
		.startup_path = f->startup,
		.state_dir = state,
		.run_dir = run,
		.apply = apply,
		.apply_ctx = f,
		.fail = fail_step};

	snprintf(state, sizeof(state), "%s/state", f->dir);
	snprintf(run, sizeof(run), "%s/run", f->dir);
	f->store = store_new(&opts, &f->err);
	assert_non_null(f->store);
	if (!start)
		return;
	store_start(f->store, fixture_done, f);
	fixture_wait(f);
	if (f->failed)
		fail_msg("start: %s: %s", f->err.path, f->err.text);
}

void fixture_restart(struct fixture *f, bool start)
{
	store_free(f->store);
	uv_run(&f->loop, UV_RUN_NOWAIT);
	open_store(f, start);
}

int fixture_setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	char *sample = fixture_sample();

	snprintf(f->dir, sizeof(f->dir), "/tmp/culvert-test-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->startup, sizeof(f->startup), "%s/startup.json", f->dir);
	assert_int_equal(files_write(f->startup, sample, strlen(sample)), 0);
	free(sample);
	uv_loop_init(&f->loop);
	f->ctx = model_load(yang_path, &f->err);
	if (!f->ctx)
		fail_msg("%s", f->err.text);
	open_store(f, true);
	*state = f;
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

int fixture_teardown(void **state)
{
	struct fixture *f = *state;

	store_free(f->store);
	uv_run(&f->loop, UV_RUN_DEFAULT);
	uv_loop_close(&f->loop);
	if (f->last)
		config_unref(f->last);
	json_decref(f->result);
	ly_ctx_destroy(f->ctx);
	nftw(f->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	free(f);
	return 0;
}
