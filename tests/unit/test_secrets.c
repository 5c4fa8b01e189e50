/* SPDX-License-Identifier: BSD-3-Clause */
/* Encrypted preshared keys in the datastores: T6KEY-T1..T7. What is asked of files is asked of every file there is. */
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "files.h"
#include "log_catch.h"
#include "mgmt_fixture.h"

#define PSK "replace-this-with-a-long-random-string"
#define RING "ike/keyring[site2]/pre-shared-key"
#define FIRST "first master key"
#define SECOND "second master key"

/* ---- looking ---- */

static const char *needle;
static unsigned found_in;

static int look_into(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	char *text;

	(void)st, (void)ftw;
	if (type == FTW_F && files_read(path, &text) == 0) {
		found_in += strstr(text, needle) != NULL;
		model_text_free(text);
	}
	return 0;
}

static unsigned files_with(struct fixture *f, const char *text)
{
	needle = text;
	found_in = 0;
	nftw(f->dir, look_into, 8, FTW_PHYS);
	return found_in;
}

static char *shown(struct fixture *f, const char *which)
{
	char *text = store_print(f->store, which, NULL, LYD_JSON, &f->err);

	assert_non_null(text);
	return text;
}

/* The listing shows n secrets as type 6, and none in clear. */
static void assert_type6(struct fixture *f, unsigned n)
{
	char *text = shown(f, "running");
	unsigned have = 0;

	for (const char *p = text; (p = strstr(p, "\"6 A")); p++)
		have++;
	assert_int_equal(have, n);
	assert_null(strstr(text, PSK));
	assert_null(strstr(text, MODEL_HIDDEN));
	model_text_free(text);
}

static const struct cfg_psk *psk(struct fixture *f, unsigned i)
{
	for (unsigned k = 0; k < f->last->n_keyring; k++)
		if (strcmp(f->last->keyring[k].name, "site2") == 0)
			return &f->last->keyring[k].psk[i];
	fail_msg("no keyring site2");
	return NULL;
}

static void assert_key(struct fixture *f, unsigned i, const char *want)
{
	const struct cfg_psk *p = psk(f, i);

	assert_non_null(p->key);
	assert_int_equal(p->key_len, strlen(want));
	assert_memory_equal(p->key, want, p->key_len);
	assert_false(p->sealed);
}

/* ---- doing ---- */

static void set(struct fixture *f, const char *path, const char *value)
{
	if (store_set(f->store, path, value, &f->err))
		fail_msg("%s: %s", f->err.path, f->err.text);
}

static void commit(struct fixture *f)
{
	store_commit(f->store, "tester", 0, fixture_done, f);
	fixture_wait(f);
	if (f->failed)
		fail_msg("%s: %s", f->err.path, f->err.text);
	uv_run(&f->loop, UV_RUN_DEFAULT);
}

static void master(struct fixture *f, const char *old, const char *text)
{
	store_master_key(f->store, old, text, "tester", fixture_done, f);
	fixture_wait(f);
	if (f->failed)
		fail_msg("%s: %s", f->err.path, f->err.text);
	uv_run(&f->loop, UV_RUN_DEFAULT);
}

static void switch_on(struct fixture *f)
{
	set(f, "platform/password-encryption", "aes");
	commit(f);
}

static bool warned(struct fixture *f, const char *word)
{
	size_t i;
	json_t *w;

	json_array_foreach (json_object_get(f->result, "warnings"), i, w)
		if (strstr(json_string_value(w), word))
			return true;
	return false;
}

/* ---- the scenarios ---- */

/* T6KEY-T1 (T6KEY-2, T6KEY-3, T6KEY-4, T6KEY-5, T6KEY-6, T6KEY-10): in clear at first; switch, then master key; nowhere
 * in clear from then on. */
static void t6key_t1_convert(void **state)
{
	struct fixture *f = *state;
	unsigned applied = f->applied;

	assert_true(files_with(f, PSK) >= 3); /* startup, running, history */
	switch_on(f);
	assert_true(files_with(f, PSK) >= 3);
	log_catch(f->dir);
	store_password_logging(f->store, true);
	master(f, NULL, FIRST);
	assert_int_equal(log_count("New Master key configured"), 1);
	assert_int_equal(log_count(PSK), 0);
	log_release();
	assert_type6(f, 1);
	assert_int_equal(files_with(f, PSK), 0);
	assert_int_equal(files_with(f, FIRST), 0);
	assert_true(files_with(f, "\"6 A") >= 3);
	assert_true(f->applied > applied);
	assert_key(f, 0, PSK); /* T6KEY-5: IKE has it */
	/* saved, and read again at the next start */
	assert_int_equal(store_save(f->store, &f->err), 0);
	fixture_restart(f, true);
	assert_type6(f, 1);
	assert_key(f, 0, PSK);
	assert_int_equal(files_with(f, PSK), 0);
	/* what is printed can be loaded again (T6KEY-4) */
	char *text = shown(f, "running");
	assert_int_equal(store_load(f->store, text, false, &f->err), 0);
	model_text_free(text);
	/* going back to a configuration of the time before works, and brings nothing in clear back */
	store_rollback(f->store, 2, "tester", fixture_done, f);
	fixture_wait(f);
	assert_false(f->failed);
	assert_key(f, 0, PSK);
	assert_int_equal(files_with(f, PSK), 0);
}

/* T6KEY-6: the other order; T6KEY-11: nothing happens without the switch. */
static void t6key_other_order(void **state)
{
	struct fixture *f = *state;

	master(f, NULL, FIRST);
	assert_true(files_with(f, PSK) >= 3);
	switch_on(f);
	assert_type6(f, 1);
	assert_int_equal(files_with(f, PSK), 0);
	assert_key(f, 0, PSK);
}

static void three_secrets(struct fixture *f)
{
	set(f, RING "[a]/address", "10.2.3.4");
	set(f, RING "[a]/key", "cisco");
	set(f, RING "[b]/hostname", "foo.com");
	set(f, RING "[b]/key", "cisco");
}

/* T6KEY-T2 (T6KEY-8, T6KEY-9, T6KEY-35): one announcement and a line per secret; everything still authenticates. */
static void t6key_t2_rotate(void **state)
{
	struct fixture *f = *state;

	three_secrets(f);
	switch_on(f);
	master(f, NULL, FIRST);
	char *before = shown(f, "running");
	/* T6KEY-35: a wrong old key leaves everything as it is */
	store_master_key(f->store, SECOND, SECOND, "tester", fixture_done, f);
	fixture_wait(f);
	assert_true(f->failed);
	assert_non_null(strstr(f->err.text, "old master key is wrong"));
	char *same = shown(f, "running");
	assert_string_equal(before, same);
	model_text_free(same);
	log_catch(f->dir);
	store_password_logging(f->store, true);
	store_master_key(f->store, FIRST, SECOND, "tester", fixture_done, f);
	fixture_wait(f);
	assert_false(f->failed);
	assert_int_equal(log_count("Master key change heralded"), 1);
	/* 3 of running; the candidate, when it holds the same three, follows; the files come later */
	assert_int_equal(log_count("Mac verified") % 3, 0);
	assert_true(log_count("Mac verified") >= 3);
	log_release();
	uv_run(&f->loop, UV_RUN_DEFAULT);
	assert_type6(f, 3);
	char *after = shown(f, "running");
	assert_string_not_equal(before, after);
	model_text_free(before);
	model_text_free(after);
	assert_key(f, 0, PSK);
	assert_key(f, 1, "cisco");
	assert_key(f, 2, "cisco");
	/* the old key is gone for good: with the new one alone everything on disk opens */
	fixture_restart(f, true);
	assert_key(f, 1, "cisco");
	store_rollback(f->store, 1, "tester", fixture_done, f);
	fixture_wait(f);
	assert_false(f->failed);
	assert_key(f, 0, PSK);
}

/* T6KEY-T3 (T6KEY-23, T6KEY-25, T6KEY-26, T6KEY-30): each kind of secret, each ciphertext different, also for the same
 * word. */
static void t6key_t3_kinds(void **state)
{
	struct fixture *f = *state;

	three_secrets(f);
	set(f, RING "[c]/address", "10.2.3.5");
	set(f, RING "[c]/key-hex", "636973636f");
	switch_on(f);
	master(f, NULL, FIRST);
	assert_type6(f, 4);
	char *text = shown(f, "running"), *p = text;
	const char *seen[4];
	for (unsigned i = 0; i < 4; i++) {
		p = strstr(p, "\"6 A");
		assert_non_null(p);
		seen[i] = p;
		p = strchr(p + 1, '"');
		*p++ = 0;
		for (unsigned k = 0; k < i; k++)
			assert_string_not_equal(seen[k], seen[i]);
	}
	model_text_free(text);
	for (unsigned i = 1; i < 4; i++)
		assert_key(f, i, "cisco");
	assert_int_equal(files_with(f, "636973636f"), 0);
}

/* T6KEY-T5 (T6KEY-7): the switch alone says so whenever the configuration is looked at, and changes nothing. */
static void t6key_t5_no_master_key(void **state)
{
	struct fixture *f = *state;

	assert_null(store_secret_notice(f->store));
	log_catch(f->dir);
	switch_on(f);
	assert_int_equal(log_count("passwords cannot be encrypted"), 1);
	assert_non_null(store_secret_notice(f->store));
	assert_int_equal(store_save(f->store, &f->err), 0);
	fixture_restart(f, true);
	assert_int_equal(log_count("passwords cannot be encrypted"), 2); /* at the start */
	log_release();
	assert_key(f, 0, PSK);
	char *text = shown(f, "running");
	assert_non_null(strstr(text, MODEL_HIDDEN));
	model_text_free(text);
}

/* T6KEY-T6 (T6KEY-11, T6KEY-17, T6KEY-18, T6KEY-19): made elsewhere: loads with an alert that names the line; works
 * when the key comes. */
static void t6key_t6_foreign(void **state)
{
	struct fixture *f = *state;

	switch_on(f);
	master(f, NULL, FIRST);
	char *made = shown(f, "running");
	master(f, NULL, NULL); /* this is now a machine that never knew it */
	master(f, NULL, SECOND);
	assert_int_equal(store_load(f->store, made, false, &f->err), 0);
	store_set(f->store, "platform/hostname", "elsewhere", &f->err);
	commit(f);
	assert_true(warned(f, "does not fit the master key"));
	assert_true(warned(f, "/culvert-ike:ike/keyring[name='site2']/pre-shared-key[name='peer']/key"));
	assert_true(warned(f, "\"6 A"));
	assert_true(psk(f, 0)->sealed);
	assert_null(psk(f, 0)->key);
	/* IKE finds no key, and no more general one in its place */
	assert_null(config_psk_by_addr(f->last, NULL, 0, NULL, &psk(f, 0)->peer.addr));
	char *kept = shown(f, "running");
	const char *line = strstr(made, "\"6 A");
	assert_non_null(line);
	char ciphertext[900];
	snprintf(ciphertext, sizeof(ciphertext), "%.*s", (int)strcspn(line + 1, "\"") + 1, line);
	assert_non_null(strstr(kept, ciphertext));
	model_text_free(kept);
	/* the right key, given afterwards */
	master(f, NULL, NULL);
	master(f, NULL, FIRST);
	assert_key(f, 0, PSK);
	model_text_free(made);
}

/* T6KEY-T7 (T6KEY-12, T6KEY-13, T6KEY-14, T6KEY-15, T6KEY-16): without the switch what is encrypted stays and works;
 * without the key it stays. */
static void t6key_t7_switch_off(void **state)
{
	struct fixture *f = *state;

	switch_on(f);
	master(f, NULL, FIRST);
	set(f, "platform/password-encryption", "none");
	set(f, RING "[new]/address", "10.9.9.9");
	set(f, RING "[new]/key", "in-clear-again");
	commit(f);
	assert_key(f, 0, PSK);
	assert_key(f, 1, "in-clear-again");
	assert_int_equal(files_with(f, PSK), 0);
	assert_true(files_with(f, "in-clear-again") >= 1); /* T6KEY-16 */
	master(f, NULL, NULL);
	assert_true(psk(f, 0)->sealed);
	assert_true(warned(f, "cannot be used without a master key"));
	assert_key(f, 1, "in-clear-again");
	assert_int_equal(files_with(f, PSK), 0);
	assert_int_equal(access(f->startup, F_OK), 0);
	/* a restart finds it so, and runs */
	fixture_restart(f, true);
	assert_true(psk(f, 0)->sealed);
}

/* Killed between the change and the last file: the next process goes on. */
static void rewrap_resumes(void **state)
{
	struct fixture *f = *state;

	switch_on(f);
	master(f, NULL, FIRST);
	store_master_key(f->store, FIRST, SECOND, "tester", fixture_done, f);
	fixture_wait(f);
	assert_false(f->failed);
	fixture_restart(f, true); /* no turn of the loop: no file but the running one was touched */
	assert_key(f, 0, PSK);
	uv_run(&f->loop, UV_RUN_DEFAULT);
	fixture_restart(f, true);
	for (unsigned n = 1; n < 3; n++) {
		store_rollback(f->store, n, "tester", fixture_done, f);
		fixture_wait(f);
		assert_false(f->failed);
		assert_key(f, 0, PSK);
	}
}

static void bad_master_keys(void **state)
{
	struct fixture *f = *state;
	static const char *const bad[] = {"", "short"};

	for (unsigned i = 0; i < 2; i++) {
		store_master_key(f->store, NULL, bad[i], "tester", fixture_done, f);
		fixture_wait(f);
		assert_true(f->failed);
		assert_false(store_have_master_key(f->store));
	}
}

#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {T(t6key_t1_convert), T(t6key_other_order), T(t6key_t2_rotate),
		T(t6key_t3_kinds), T(t6key_t5_no_master_key), T(t6key_t6_foreign), T(t6key_t7_switch_off),
		T(rewrap_resumes), T(bad_master_keys)};

	fixture_args(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
