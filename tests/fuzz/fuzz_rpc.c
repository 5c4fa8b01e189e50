/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The management protocol: a byte stream as a client could send it, in pieces, with the rights of an administrator.
 * Each line gets exactly one answer, which is one line of JSON.
 */
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rpc.h"

static struct {
	uv_loop_t loop;
	struct rpc_env env;
	unsigned answers;
	char dir[32], startup[64];
} z;

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void answer_empty(void *ctx, const json_t *request, control_answer *cb, void *arg)
{
	(void)ctx;
	(void)request;
	cb(arg, json_object(), NULL);
}

static int accept_all(void *ctx, struct cv_config *cfg, void (*cb)(void *arg, const char *err), void *arg)
{
	(void)ctx;
	(void)cfg;
	cb(arg, NULL);
	return 0;
}

static void started(void *arg, const struct model_err *err, const json_t *result)
{
	(void)arg;
	(void)result;
	if (err)
		abort();
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void remove_dir(void)
{
	nftw(z.dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct model_err err;

	(void)argc;
	(void)argv;
	snprintf(z.dir, sizeof(z.dir), "/tmp/culvert-fuzz-XXXXXX");
	if (!mkdtemp(z.dir))
		abort();
	atexit(remove_dir);
	snprintf(z.startup, sizeof(z.startup), "%s/startup.json", z.dir);
	uv_loop_init(&z.loop);
	const struct store_opts opts = {.loop = &z.loop,
		.ctx = model_load(FUZZ_YANG_PATH, &err),
		.startup_path = z.startup,
		.state_dir = z.dir,
		.run_dir = z.dir,
		.apply = accept_all};
	if (!opts.ctx)
		abort();
	z.env = (struct rpc_env){.store = store_new(&opts, &err), .show = answer_empty, .act = answer_empty};
	if (!z.env.store)
		abort();
	store_start(z.env.store, started, NULL);
	return 0;
}

static void on_reply(void *arg, const char *text, size_t len, struct rpc_more *more)
{
	(void)arg;
	(void)more; /* no answer here has one */
	json_t *answer = json_loadb(text, len, 0, NULL);

	if (!json_is_object(answer) || memchr(text, '\n', len) != text + len - 1)
		abort();
	json_decref(answer);
	z.answers++;
}

static void take_lines(struct rpc_lines *l)
{
	const struct rpc_caller caller = {.role = RPC_ADMIN, .name = "fuzz"};

	for (long n; (n = rpc_lines_first(l)) >= 0;) {
		unsigned before = z.answers;
		rpc_handle(&z.env, &caller, l->buf, (size_t)n, on_reply, NULL);
		if (z.answers != before + 1)
			abort();
		rpc_lines_drop(l, (size_t)n);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rpc_lines l = {.max = 1u << 16};
	size_t piece = size ? data[0] + 1u : 1; /* the first byte says in which pieces the rest arrives */

	for (size_t at = 1; at < size;) {
		size_t room, n = size - at < piece ? size - at : piece;
		char *p = rpc_lines_room(&l, &room);
		if (!p)
			break;
		if (n > room)
			n = room;
		memcpy(p, data + at, n);
		rpc_lines_added(&l, n);
		at += n;
		take_lines(&l);
	}
	rpc_lines_free(&l);
	uv_run(&z.loop, UV_RUN_NOWAIT);
	return 0;
}
