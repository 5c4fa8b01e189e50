/* SPDX-License-Identifier: BSD-3-Clause */
#include "master_key.h"

#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "cv_secret.h"

#define TEXT_MAX 256

/* One line, without its end; false at the end of input. */
static bool read_secret(const char *question, char text[static TEXT_MAX])
{
	struct termios old, quiet;
	bool terminal = isatty(STDIN_FILENO) && tcgetattr(STDIN_FILENO, &old) == 0;

	fprintf(stderr, "%s: ", question);
	fflush(stderr);
	if (terminal) {
		quiet = old;
		quiet.c_lflag &= ~(tcflag_t)ECHO;
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
	}
	bool ok = fgets(text, TEXT_MAX, stdin) != NULL;
	if (terminal)
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &old);
	fputc('\n', stderr);
	if (!ok) {
		fprintf(stderr, "culvert: no answer\n");
		return false;
	}
	text[strcspn(text, "\n")] = 0;
	return true;
}

static bool ask(json_t *request, const char *key, const char *question)
{
	char text[TEXT_MAX];
	bool ok = read_secret(question, text) && !json_object_set_new(request, key, json_string(text));

	cv_secret_zero(text, sizeof(text));
	return ok;
}

static bool ask_twice(json_t *request)
{
	char text[TEXT_MAX];
	bool ok = ask(request, "text", "New key") && read_secret("Confirm key", text);

	if (ok && strcmp(text, json_string_value(json_object_get(request, "text"))) != 0) {
		fprintf(stderr, "culvert: the two are not the same; nothing was changed\n");
		ok = false;
	}
	cv_secret_zero(text, sizeof(text));
	return ok;
}

static bool confirm_removal(void)
{
	char answer[16];

	fprintf(stderr, "WARNING: All type 6 encrypted keys will become unusable\nContinue with master key deletion? "
			"[yes/no]: ");
	fflush(stderr);
	return fgets(answer, sizeof(answer), stdin) && (answer[0] == 'y' || answer[0] == 'Y');
}

/* -1 = cannot be asked, told. */
static int key_present(struct run *r)
{
	char err[CLI_ERR_MAX];
	json_t *request = json_pack("{s:s, s:b}", "config", "master-key", "status", 1);
	json_t *answer = client_call(&r->client, request, err, sizeof(err));
	const json_t *present = json_object_get(json_object_get(answer, "result"), "present");
	const char *error = answer ? json_string_value(json_object_get(answer, "error")) : err;
	int rc = present ? json_is_true(present) : -1;

	if (rc < 0)
		fprintf(stderr, "culvert: %s\n", error ? error : "no answer");
	json_decref(answer);
	json_decref(request);
	return rc;
}

bool master_key_dialogue(struct run *r, const struct cli_command *c, json_t *request)
{
	if (!c->name || strcmp(c->name, "master-key") != 0)
		return true;
	if (json_is_true(json_object_get(request, "remove")))
		return confirm_removal();
	int present = key_present(r);
	if (present < 0 || (present && !ask(request, "old", "Old key")))
		return false;
	return json_object_get(request, "text") || ask_twice(request);
}
