/* SPDX-License-Identifier: BSD-3-Clause */
/* T6KEY-T4: the dialogues of `key config-key password-encryption`, against a culvertd that is a test double. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "run.h"

static char dir[] = "/tmp/culvert-test-XXXXXX", socket_path[64], input_path[64], asked_path[64];

/* Answers `status` with present, anything else with success, which it writes down. Ends with its only client. */
static void serve(int listener, bool present)
{
	char line[4096];
	FILE *in = fdopen(accept(listener, NULL, NULL), "r+"), *asked = fopen(asked_path, "w");

	while (in && asked && fgets(line, sizeof(line), in)) {
		bool status = strstr(line, "\"status\"") != NULL;
		if (!status) {
			fputs(line, asked);
			fflush(asked);
		}
		fseek(in, 0, SEEK_CUR);
		fprintf(in, "{\"result\":{%s}}\n", !status ? "" : present ? "\"present\":true" : "\"present\":false");
		fflush(in);
	}
	_exit(0);
}

/* What reached culvertd: the request, or "". */
static const char *dialogue(bool present, const char *input, const char *const *word, unsigned n, int want)
{
	static char asked[4096];
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int listener = socket(AF_UNIX, SOCK_STREAM, 0);
	struct run r = {0};
	FILE *f = fopen(input_path, "w");

	assert_non_null(f);
	fputs(input, f);
	fclose(f);
	assert_non_null(freopen(input_path, "r", stdin));
	unlink(socket_path);
	unlink(asked_path);
	snprintf(a.sun_path, sizeof(a.sun_path), "%s", socket_path);
	assert_int_equal(bind(listener, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(listener, 1), 0);
	pid_t pid = fork();
	if (pid == 0)
		serve(listener, present);
	close(listener);
	client_init(&r.client, socket_path);
	int rc = run_command(&r, word, n);
	client_close(&r.client);
	/* a command that is refused before it asks anything never connects: the child is not waited for by accept */
	if (rc != want)
		fail_msg("exit code %d", rc);
	kill(pid, SIGTERM);
	waitpid(pid, NULL, 0);
	f = fopen(asked_path, "r");
	size_t len = f ? fread(asked, 1, sizeof(asked) - 1, f) : 0;
	asked[len] = 0;
	if (f)
		fclose(f);
	return asked;
}

#define SAYS(request, word) assert_non_null(strstr(request, word))
static const char *const with_text[] = {"key", "config-key", "password-encryption", "testkey", "123"};
static const char *const without[] = {"key", "config-key", "password-encrypt"}; /* T6KEY-36 */
static const char *const removal[] = {"no", "key", "config-key", "password-encryption"};

/* T6KEY-33: taken at once, blank included. */
static void text_and_no_key(void **state)
{
	(void)state;
	const char *r = dialogue(false, "", with_text, 5, RUN_OK);
	SAYS(r, "\"text\":\"testkey 123\"");
	assert_null(strstr(r, "\"old\""));
}

/* T6KEY-34: only the old key is asked for. */
static void text_and_key(void **state)
{
	(void)state;
	const char *r = dialogue(true, "old one\n", with_text, 5, RUN_OK);
	SAYS(r, "\"text\":\"testkey 123\"");
	SAYS(r, "\"old\":\"old one\"");
}

/* T6KEY-31: new and confirm; T6KEY-35: two that differ change nothing. */
static void no_text_no_key(void **state)
{
	(void)state;
	const char *r = dialogue(false, "new master\nnew master\n", without, 3, RUN_OK);
	SAYS(r, "\"text\":\"new master\"");
	assert_null(strstr(r, "\"old\""));
	assert_string_equal(dialogue(false, "new master\nnew mistress\n", without, 3, RUN_FAILED), "");
	assert_string_equal(dialogue(false, "new master\n", without, 3, RUN_FAILED), "");
}

/* T6KEY-32: old, new, confirm. */
static void no_text_but_key(void **state)
{
	(void)state;
	const char *r = dialogue(true, "old one\nnew one\nnew one\n", without, 3, RUN_OK);
	SAYS(r, "\"old\":\"old one\"");
	SAYS(r, "\"text\":\"new one\"");
}

/* T6KEY-12: a warning and a question. */
static void remove_key(void **state)
{
	(void)state;
	SAYS(dialogue(true, "y\n", removal, 4, RUN_OK), "\"remove\":true");
	SAYS(dialogue(true, "yes\n", removal, 4, RUN_OK), "\"remove\":true");
	assert_string_equal(dialogue(true, "no\n", removal, 4, RUN_FAILED), "");
	assert_string_equal(dialogue(true, "", removal, 4, RUN_FAILED), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_and_no_key),
		cmocka_unit_test(text_and_key),
		cmocka_unit_test(no_text_no_key),
		cmocka_unit_test(no_text_but_key),
		cmocka_unit_test(remove_key),
	};

	if (!mkdtemp(dir))
		return 1;
	snprintf(socket_path, sizeof(socket_path), "%s/s", dir);
	snprintf(input_path, sizeof(input_path), "%s/in", dir);
	snprintf(asked_path, sizeof(asked_path), "%s/asked", dir);
	int rc = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(socket_path);
	unlink(input_path);
	unlink(asked_path);
	rmdir(dir);
	return rc;
}
