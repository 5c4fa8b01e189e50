/* SPDX-License-Identifier: BSD-3-Clause */
/* The management protocol: lines, requests, roles. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "log_catch.h"
#include "mgmt_fixture.h"
#include "server.h"
#include "show_text.h"

static struct {
	json_t *answer;
	unsigned replies, shows, acts, pieces, freed;
	struct show_text text; /* of an answer in pieces */
	struct rpc_more *more; /* to be asked for the next one */
} got;

/* An answer of 5 slices: the numbers from 0 to 4. */
struct numbers {
	struct control_rest rest;
	unsigned n;
};

static bool numbers_next(struct control_rest *rest, struct show_text *t)
{
	struct numbers *x = (struct numbers *)rest;

	text_int(t, NULL, x->n++);
	return x->n < 5;
}

static void numbers_free(struct control_rest *rest)
{
	got.freed++;
	free(rest);
}

static void take_whole(const char *text, size_t len)
{
	assert_true(len > 1 && text[len - 1] == '\n');
	assert_null(memchr(text, '\n', len - 1));
	json_decref(got.answer);
	got.answer = json_loadb(text, len, 0, NULL);
	assert_non_null(got.answer);
	got.replies++;
}

static void on_reply(void *arg, const char *text, size_t len, struct rpc_more *more)
{
	(void)arg;
	if (!more && !got.text.len) {
		take_whole(text, len);
		return;
	}
	got.text.p = realloc(got.text.p, got.text.len + len);
	assert_non_null(got.text.p);
	memcpy(got.text.p + got.text.len, text, len);
	got.text.len += len;
	got.pieces++;
	got.more = more;
	if (more)
		return;
	take_whole(got.text.p, got.text.len);
	text_free(&got.text);
}

static void show(void *ctx, const json_t *request, control_answer *cb, void *arg)
{
	(void)ctx;
	got.shows++;
	if (strcmp(json_string_value(json_object_get(request, "show")), "nothing") == 0)
		cb(arg, json_pack("{s:s}", "error", "no such thing"), NULL);
	else if (strcmp(json_string_value(json_object_get(request, "show")), "numbers") == 0) {
		struct numbers *x = calloc(1, sizeof(*x));

		assert_non_null(x);
		*x = (struct numbers){.rest = {"numbers", numbers_next, numbers_free}};
		cb(arg, json_pack("{s:b}", "all", 1), &x->rest);
	} else
		cb(arg, json_pack("{s:i}", "answer", 42), NULL);
}

static void act(void *ctx, const json_t *request, control_answer *cb, void *arg)
{
	(void)ctx;
	(void)request;
	got.acts++;
	cb(arg, json_pack("{s:i}", "cleared", 1), NULL);
}

static const json_t *call(struct fixture *f, enum rpc_role role, const char *line, size_t len)
{
	const struct rpc_env env = {.store = f->store, .show = show, .act = act};
	struct rpc_caller caller = {.role = role, .name = "tester"};
	unsigned before = got.replies;

	rpc_handle(&env, &caller, line, len, on_reply, NULL);
	while (got.replies == before) {
		struct rpc_more *more = got.more;

		got.more = NULL;
		if (more)
			rpc_next(more);
		else
			uv_run(&f->loop, UV_RUN_ONCE);
	}
	assert_int_equal(got.replies, before + 1);
	return got.answer;
}

static void test_pieces(void **state)
{
	struct fixture *f = *state;
	static const char request[] = "{\"id\": [7], \"show\": \"numbers\"}";
	json_t *want = json_loads("{\"id\":[7],\"result\":{\"all\":true,\"numbers\":[0,1,2,3,4]}}", 0, NULL);

	got.pieces = got.freed = 0;
	assert_true(json_equal(call(f, RPC_VIEW, request, strlen(request)), want));
	assert_int_equal(got.pieces, 5);
	assert_int_equal(got.freed, 1);
	json_decref(want);
	/* the one who asked has gone */
	const struct rpc_env env = {.store = f->store, .show = show, .act = act};
	struct rpc_caller caller = {.role = RPC_VIEW, .name = "tester"};

	rpc_handle(&env, &caller, request, strlen(request), on_reply, NULL);
	assert_non_null(got.more);
	rpc_abandon(got.more);
	got.more = NULL;
	text_free(&got.text);
	assert_int_equal(got.freed, 2);
}

static const json_t *ask(struct fixture *f, enum rpc_role role, const char *line)
{
	return call(f, role, line, strlen(line));
}

static bool is_error(const json_t *answer, const char *says)
{
	const char *error = json_string_value(json_object_get(answer, "error"));

	return error && strstr(error, says) && !json_object_get(answer, "result");
}

static void test_requests(void **state)
{
	struct fixture *f = *state;
	const json_t *a = ask(f, RPC_VIEW, "{\"id\": \"x\", \"show\": \"version\"}");

	assert_string_equal(json_string_value(json_object_get(a, "id")), "x");
	assert_int_equal(json_integer_value(json_object_get(json_object_get(a, "result"), "answer")), 42);
	assert_true(is_error(ask(f, RPC_VIEW, "{\"show\": \"nothing\"}"), "no such thing"));
	a = ask(f, RPC_VIEW, "{\"show\": \"running-config\"}");
	const char *text = json_string_value(json_object_get(json_object_get(a, "result"), "text"));
	assert_non_null(strstr(text, MODEL_HIDDEN));
	assert_null(strstr(text, "replace-this"));
	a = ask(f, RPC_ADMIN, "{\"clear\": \"crypto sa\"}");
	assert_int_equal(json_integer_value(json_object_get(json_object_get(a, "result"), "cleared")), 1);
}

static void test_malformed(void **state)
{
	struct fixture *f = *state;
	static const char *const lines[] = {"", "{", "[]", "1", "null", "{\"show\": 1}", "{\"config\": {}}", "{}",
		"{\"show\": \"a\", \"show\": \"b\"}", "\xff\xfe", "{\"show\": \"\xff\"}", "{\"config\": \"format\"}",
		"{\"config\": \"load\"}", "{\"config\": \"load\", \"text\": 1}", "{\"config\": \"set\"}",
		"{\"config\": \"rollback\"}", "{\"config\": \"rollback\", \"number\": -1}",
		"{\"config\": \"rollback\", \"number\": \"1x\"}", "{\"config\": \"rollback\", \"number\": 99999999999}",
		"{\"config\": \"commit\", \"confirmed\": 0}", "{\"config\": \"commit\", \"confirmed\": 86401}",
		"{\"config\": \"show\", \"source\": \"elsewhere\"}", "{\"config\": \"show\", \"path\": \"/[\"}",
		"{\"config\": \"load\", \"text\": \"\\u0000\"}"};

	unsigned acts = got.acts;

	for (unsigned i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		if (!json_object_get(ask(f, RPC_ADMIN, lines[i]), "error"))
			fail_msg("accepted: %s", lines[i]);
	assert_true(json_object_get(call(f, RPC_ADMIN, "{\0}", 3), "error") != NULL);
	assert_int_equal(got.acts, acts);
	/* nesting is bounded by the JSON parser */
	char deep[10000];
	memset(deep, '[', sizeof(deep));
	assert_true(json_object_get(call(f, RPC_ADMIN, deep, sizeof(deep)), "error") != NULL);
}

static void test_roles(void **state)
{
	struct fixture *f = *state;
	static const char *const admin_only[] = {"{\"clear\": \"crypto sa\"}", "{\"do\": \"trace\"}",
		"{\"do\": \"ike capture\", \"start\": \"x\"}", "{\"do\": \"ike capture\", \"wipe\": \"x\"}",
		"{\"config\": \"load\", \"text\": \"{}\"}",
		"{\"config\": \"set\", \"path\": \"platform/workers\", \"value\": \"1\"}",
		"{\"config\": \"delete\", \"path\": \"vrfs\"}", "{\"config\": \"discard\"}", "{\"config\": \"commit\"}",
		"{\"config\": \"generate-rsa\"}", "{\"config\": \"zeroize-rsa\"}",
		"{\"config\": \"rollback\", \"number\": 0}", "{\"config\": \"save\"}"};
	static const char *const look[] = {"{\"show\": \"version\"}", "{\"show\": \"running-config\"}",
		"{\"config\": \"show\"}", "{\"config\": \"diff\"}", "{\"config\": \"history\"}",
		"{\"config\": \"status\"}", "{\"config\": \"validate\"}", "{\"config\": \"complete\", \"path\": \"\"}"};
	unsigned applied = f->applied, acts = got.acts;

	log_catch(f->dir);
	for (unsigned i = 0; i < sizeof(admin_only) / sizeof(admin_only[0]); i++) {
		assert_true(is_error(ask(f, RPC_VIEW, admin_only[i]), "permission denied"));
		assert_true(is_error(ask(f, RPC_NOBODY, admin_only[i]), "permission denied"));
	}
	for (unsigned i = 0; i < sizeof(look) / sizeof(look[0]); i++) {
		assert_true(is_error(ask(f, RPC_NOBODY, look[i]), "permission denied"));
		assert_non_null(json_object_get(ask(f, RPC_VIEW, look[i]), "result"));
	}
	/* who tried what is in the log */
	assert_int_equal(log_count("refused to tester: \"ike capture\" needs the role admin"), 4);
	log_release();
	assert_int_equal(f->applied, applied);
	assert_int_equal(got.acts, acts);
}

static void test_commit_over_rpc(void **state)
{
	struct fixture *f = *state;
	const json_t *a;

	assert_non_null(json_object_get(
		ask(f, RPC_ADMIN,
			"{\"config\": \"set\", \"path\": \"interfaces/interface[wan]/mtu\", \"value\": \"1400\"}"),
		"result"));
	a = ask(f, RPC_VIEW, "{\"config\": \"diff\"}");
	assert_int_equal(json_array_size(json_object_get(json_object_get(a, "result"), "diff")), 1);
	a = ask(f, RPC_ADMIN, "{\"config\": \"commit\", \"confirmed\": \"60\"}");
	assert_int_equal(json_integer_value(json_object_get(json_object_get(a, "result"), "confirm_seconds")), 60);
	a = ask(f, RPC_ADMIN, "{\"config\": \"rollback\", \"number\": 1}");
	assert_int_equal(json_integer_value(json_object_get(json_object_get(a, "result"), "changed")), 1);
	f->refuse = "/ietf-interfaces:interfaces/interface[name='wan']: no such device";
	ask(f, RPC_ADMIN, "{\"config\": \"set\", \"path\": \"interfaces/interface[wan]/mtu\", \"value\": \"1300\"}");
	a = ask(f, RPC_ADMIN, "{\"config\": \"commit\"}");
	assert_true(is_error(a, "no such device"));
	assert_string_equal(
		json_string_value(json_object_get(a, "path")), "/ietf-interfaces:interfaces/interface[name='wan']");
	assert_string_equal(json_string_value(json_object_get(a, "text")), "no such device");
}

static void feed(struct rpc_lines *l, const char *data, size_t len)
{
	while (len) {
		size_t room;
		char *p = rpc_lines_room(l, &room);
		assert_non_null(p);
		if (room > len)
			room = len;
		memcpy(p, data, room);
		rpc_lines_added(l, room);
		data += room;
		len -= room;
	}
}

static void test_lines(void **state)
{
	struct rpc_lines l = {.max = 8192};
	size_t room;

	(void)state;
	feed(&l, "one\ntw", 6);
	assert_int_equal(rpc_lines_first(&l), 3);
	rpc_lines_drop(&l, 3);
	assert_int_equal(rpc_lines_first(&l), -1);
	feed(&l, "o\n\nx", 4);
	assert_int_equal(rpc_lines_first(&l), 3);
	assert_memory_equal(l.buf, "two", 3);
	rpc_lines_drop(&l, 3);
	assert_int_equal(rpc_lines_first(&l), 0);
	rpc_lines_drop(&l, 0);
	assert_int_equal(rpc_lines_first(&l), -1);
	while (rpc_lines_room(&l, &room)) {
		memset(l.buf + l.len, 'x', room);
		rpc_lines_added(&l, room);
		assert_int_equal(rpc_lines_first(&l), -1);
	}
	assert_int_equal(l.len, 8192); /* the bound holds */
	rpc_lines_free(&l);
}

/* ---- over a real socket ---- */

struct talk {
	const char *path;
	char answer[65536];
	int rc;
	uv_async_t done;
};

static void send_split(int fd, const char *text)
{
	for (; *text; text++) /* one byte at a time: lines must not depend on how they arrive */
		assert_int_equal(write(fd, text, 1), 1);
}

static void talk(void *arg)
{
	struct talk *t = arg;
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	size_t len = 0;

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", t->path);
	t->rc = connect(fd, (const struct sockaddr *)&addr, sizeof(addr));
	if (t->rc == 0) {
		send_split(fd, "{\"id\": 1, \"show\": \"version\"}\n{\"id\": 2, \"config\": \"status\"}\n");
		while (len < sizeof(t->answer) - 1) {
			ssize_t n = read(fd, t->answer + len, sizeof(t->answer) - 1 - len);
			if (n <= 0)
				break;
			len += (size_t)n;
			t->answer[len] = 0;
			if (strstr(t->answer, "\"id\":2"))
				break;
		}
	}
	close(fd);
	uv_async_send(&t->done);
}

static void talk_done(uv_async_t *a)
{
	uv_close((uv_handle_t *)a, NULL);
	uv_stop(a->loop);
}

static void test_socket(void **state)
{
	struct fixture *f = *state;
	const struct rpc_env env = {.store = f->store, .show = show, .act = act};
	char path[96];
	static struct talk t;
	uv_thread_t thread;

	snprintf(path, sizeof(path), "%s/s.sock", f->dir);
	int fd = server_bind(path, (uid_t)-1);
	assert_true(fd >= 0);
	assert_int_equal(server_bind(path, (uid_t)-1), -EADDRINUSE); /* somebody lives there */
	struct server *s = server_start(&f->loop, fd, path, &env);
	assert_non_null(s);
	t.path = path;
	uv_async_init(&f->loop, &t.done, talk_done);
	uv_thread_create(&thread, talk, &t);
	uv_run(&f->loop, UV_RUN_DEFAULT);
	uv_thread_join(&thread);
	assert_int_equal(t.rc, 0);
	assert_non_null(strstr(t.answer, "{\"result\":{\"answer\":42},\"id\":1}\n"));
	assert_non_null(strstr(t.answer, "\"id\":2"));
	server_stop(s);
	uv_run(&f->loop, UV_RUN_NOWAIT);
	assert_int_not_equal(access(path, F_OK), 0);
}

int main(int argc, char **argv)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_requests),
		cmocka_unit_test(test_lines),
		TEST(test_commit_over_rpc),
		TEST(test_socket),
		TEST(test_malformed),
		TEST(test_pieces),
		TEST(test_roles),
	};

	fixture_args(argc, argv);
	int rc = cmocka_run_group_tests(tests, NULL, NULL);
	json_decref(got.answer);
	return rc;
}
