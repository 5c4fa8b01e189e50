/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Commits. The order of the steps is what makes them atomic: check and build; write the files under temporary names;
 * apply; rename the files. A failure before the apply leaves nothing; a failure after it applies the old configuration
 * again.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cv_log.h"
#include "files.h"
#include "store_priv.h"

static void confirm_due(uv_timer_t *t);

static int step(struct store *s, enum store_step which)
{
	return s->o.fail ? s->o.fail(s->o.apply_ctx, which) : 0;
}

static void commit_free(struct commit *c)
{
	lyd_free_all(c->tree);
	if (c->cfg)
		config_unref(c->cfg);
	json_decref(c->result);
	free(c);
}

static void finish(struct commit *c, const struct model_err *err)
{
	c->s->committing = false;
	if (c->cb)
		c->cb(c->arg, err, err ? NULL : c->result);
	commit_free(c);
}

/* ---- files of a running system ---- */

/* What must be known to trust run_dir's files after a restart. */
static json_t *run_facts(const struct store *s)
{
	char boot[64];

	store_boot_id(boot);
	return json_pack("{s:s, s:I}", "boot", boot, "startup", (json_int_t)s->startup_sum);
}

static int prepare_running(struct store *s, const struct lyd_node *tree, const char *config)
{
	char *printed = NULL;
	struct model_err err;

	if (!config)
		config = printed = model_print(s->o.ctx, tree, NULL, LYD_JSON, true, &err);
	json_t *facts = run_facts(s);
	char *text = config ? record_format(facts, config) : NULL;
	int rc = text ? files_prepare(s->running_path, text, strlen(text)) : -ENOMEM;
	json_decref(facts);
	model_text_free(text);
	model_text_free(printed);
	return rc;
}

static int write_confirm(struct store *s, const struct lyd_node *previous, uint64_t deadline_ms)
{
	struct model_err err;
	char *config = model_print(s->o.ctx, previous, NULL, LYD_JSON, true, &err);
	json_t *facts = run_facts(s);

	json_object_set_new(facts, "deadline", json_integer((json_int_t)deadline_ms));
	char *text = config ? record_format(facts, config) : NULL;
	int rc = text ? files_write(s->confirm_path, text, strlen(text)) : -ENOMEM;
	json_decref(facts);
	model_text_free(text);
	model_text_free(config);
	return rc;
}

static json_t *commit_facts(const char *user, const char *comment)
{
	char when[32];
	time_t now = time(NULL);
	struct tm tm;

	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &tm));
	return json_pack("{s:s, s:s, s:s}", "time", when, "user", user, "comment", comment);
}

/* Everything that can fail on disk, before anything is applied. */
static int prepare_files(struct commit *c, const char *user, const char *comment, struct model_err *err)
{
	struct store *s = c->s;
	char *config = model_print(s->o.ctx, c->tree, NULL, LYD_JSON, true, err);

	if (!config)
		return -EINVAL;
	json_t *facts = commit_facts(user, comment);
	int rc = step(s, STORE_PREPARE);
	if (!rc)
		rc = history_prepare(s->history, facts, config);
	if (!rc)
		rc = prepare_running(s, NULL, config);
	json_decref(facts);
	model_text_free(config);
	if (rc) {
		history_abort(s->history);
		return model_fail(err, NULL, "the configuration cannot be recorded: %s", strerror(-rc));
	}
	return 0;
}

static void abort_files(struct store *s)
{
	history_abort(s->history);
	files_abort(s->running_path);
}

/* ---- confirmation ---- */

static void confirm_clear(struct store *s)
{
	uv_timer_stop(s->timer);
	lyd_free_all(s->previous);
	s->previous = NULL;
	s->pending = false;
	(void)unlink(s->confirm_path);
}

static void confirm_arm(struct store *s, uint64_t deadline_ms)
{
	uint64_t now = store_boottime_ms();

	s->pending = true;
	s->deadline_ms = deadline_ms;
	uv_timer_start(s->timer, confirm_due, deadline_ms > now ? deadline_ms - now : 0, 0);
}

/* ---- the way of a commit ---- */

static void install(struct commit *c)
{
	struct store *s = c->s;
	struct lyd_node *copy;
	struct model_err err;

	lyd_free_all(s->running);
	s->running = c->tree;
	c->tree = NULL;
	if (s->running_cfg)
		config_unref(s->running_cfg);
	s->running_cfg = c->cfg;
	c->cfg = NULL;
	if (c->from_candidate && store_copy(s->running, &copy, &err) == 0)
		store_set_candidate(s, copy);
}

static void undone(void *arg, const char *why)
{
	struct commit *c = arg;
	struct model_err err;

	if (why)
		cv_err("config", "the previous configuration could not be applied again: %s", why);
	model_fail(&err, NULL, "the commit could not be recorded on disk and was undone%s%s",
		why ? ", incompletely: " : "", why ? why : "");
	finish(c, &err);
}

static int record(struct commit *c)
{
	struct store *s = c->s;
	int rc = step(s, STORE_RECORD);

	if (!rc && c->confirm_s && !s->pending)
		rc = write_confirm(s, s->running, store_boottime_ms() + c->confirm_s * 1000ull);
	else if (!rc && c->confirm_s)
		rc = write_confirm(s, s->previous, store_boottime_ms() + c->confirm_s * 1000ull);
	if (!rc)
		rc = history_commit(s->history);
	if (rc)
		return rc;
	rc = files_commit(s->running_path);
	if (rc)
		history_undo(s->history);
	return rc;
}

static void applied(void *arg, const char *why)
{
	struct commit *c = arg;
	struct store *s = c->s;
	struct model_err err;

	if (why) {
		abort_files(s);
		/* control's errors read "PATH: what" where they belong to a node */
		const char *sep = why[0] == '/' ? strstr(why, ": ") : NULL;
		char path[sizeof(err.path)] = "";
		if (sep)
			snprintf(path, sizeof(path), "%.*s", (int)(sep - why), why);
		model_fail(&err, path, "%s", sep ? sep + 2 : why);
		finish(c, &err);
		return;
	}
	int rc = record(c);
	if (rc) {
		cv_err("config", "commit not recorded: %s", strerror(-rc));
		abort_files(s);
		if (!s->pending)
			(void)unlink(s->confirm_path);
		if (!s->running_cfg || s->o.apply(s->o.apply_ctx, s->running_cfg, undone, c))
			undone(c, "the dataplane is busy");
		return;
	}
	if (c->confirm_s && !s->pending) {
		s->previous = s->running; /* install() must not free it */
		s->running = NULL;
	}
	if (c->confirm_s)
		confirm_arm(s, store_boottime_ms() + c->confirm_s * 1000ull);
	else
		confirm_clear(s);
	install(c);
	finish(c, NULL);
	store_wrap_start(s);
}

/* Takes tree. comment goes to the history. */
static void commit_tree(
	struct store *s, struct lyd_node *tree, const char *user, const char *comment, const struct commit *how)
{
	struct model_err err;
	struct commit *c = calloc(1, sizeof(*c));

	if (!c)
		abort();
	*c = *how;
	c->s = s;
	c->tree = tree;
	c->result = json_object();
	if (s->committing) {
		model_fail(&err, NULL, "another commit is in progress; try again");
		if (c->cb)
			c->cb(c->arg, &err, NULL);
		commit_free(c);
		return;
	}
	s->committing = true;
	json_t *warnings = json_array();
	err.text[0] = 0;
	c->cfg = store_protect(s, c->tree, &err) ? NULL : store_build(s, &c->tree, warnings, &err);
	json_t *diff = c->cfg ? model_diff(s->running, c->tree) : NULL;
	json_object_set_new(c->result, "changed", json_integer((json_int_t)json_array_size(diff)));
	json_object_set_new(c->result, "warnings", warnings);
	json_decref(diff);
	if (c->confirm_s)
		json_object_set_new(c->result, "confirm_seconds", json_integer(c->confirm_s));
	if (!c->cfg || prepare_files(c, user, comment, &err)) {
		finish(c, &err);
		return;
	}
	int rc = step(s, STORE_APPLY);
	if (!rc)
		rc = s->o.apply(s->o.apply_ctx, c->cfg, applied, c);
	if (rc) {
		abort_files(s);
		model_fail(&err, NULL, "the configuration cannot be applied now: %s", strerror(-rc));
		finish(c, &err);
	}
}

void store_commit_tree(
	struct store *s, struct lyd_node *tree, const char *user, const char *comment, store_cb cb, void *arg)
{
	const struct commit how = {.cb = cb, .arg = arg};

	commit_tree(s, tree, user, comment, &how);
}

static void returned(void *arg, const struct model_err *err, const json_t *result)
{
	struct store *s = arg;
	char text[512];

	(void)result;
	if (!err) {
		cv_notice("config", "the commit was not confirmed in time: back to the configuration before it");
		return;
	}
	cv_err("config", "return from the unconfirmed commit failed, will be tried again: %s",
		model_err_str(err, text, sizeof(text)));
	uv_timer_start(s->timer, confirm_due, CONFIRM_RETRY_MS, 0);
}

static void confirm_due(uv_timer_t *t)
{
	struct store *s = t->data;
	struct lyd_node *tree;
	struct model_err err;
	const struct commit how = {.cb = returned, .arg = s};

	if (store_copy(s->previous, &tree, &err))
		returned(s, &err, NULL);
	else
		commit_tree(s, tree, "culvertd", "commit was not confirmed", &how);
}

/* A commit without changes: confirms a pending one, or gives it more time. */
static void confirm_only(struct store *s, uint32_t confirm_s, store_cb cb, void *arg)
{
	json_t *result = json_pack("{s:i, s:[]}", "changed", 0, "warnings");
	uint64_t deadline = store_boottime_ms() + confirm_s * 1000ull;
	struct model_err err;
	int rc = 0;

	if (s->pending && confirm_s) {
		json_object_set_new(result, "confirm_seconds", json_integer(confirm_s));
		rc = write_confirm(s, s->previous, deadline);
		if (!rc)
			confirm_arm(s, deadline);
	} else if (s->pending) {
		json_object_set_new(result, "confirmed", json_true());
		confirm_clear(s);
	}
	if (rc)
		model_fail(&err, NULL, "%s: %s", s->confirm_path, strerror(-rc));
	cb(arg, rc ? &err : NULL, rc ? NULL : result);
	json_decref(result);
}

void store_commit(struct store *s, const char *user, uint32_t confirm_s, store_cb cb, void *arg)
{
	struct lyd_node *tree;
	struct model_err err;
	const struct commit how = {.confirm_s = confirm_s, .from_candidate = true, .cb = cb, .arg = arg};
	char comment[64] = "commit";

	json_t *diff = model_diff(s->running, s->candidate);
	bool same = json_array_size(diff) == 0;
	json_decref(diff);
	if (same && !s->committing) {
		confirm_only(s, confirm_s, cb, arg);
		return;
	}
	if (confirm_s)
		snprintf(comment, sizeof(comment), "commit confirmed %u", confirm_s);
	if (store_copy(s->candidate, &tree, &err))
		cb(arg, &err, NULL);
	else
		commit_tree(s, tree, user, comment, &how);
}

void store_rollback(struct store *s, unsigned n, const char *user, store_cb cb, void *arg)
{
	struct model_err err;
	const struct commit how = {.from_candidate = true, .cb = cb, .arg = arg};
	struct lyd_node *tree;
	json_t *facts;
	char *text, comment[64];
	const char *config;
	int rc = history_read(s->history, n, &facts, &text, &config);

	if (rc) {
		model_fail(&err, NULL, "there is no configuration %u to return to; valid: 0 to %u", n,
			history_count(s->history) ? history_count(s->history) - 1 : 0);
		cb(arg, &err, NULL);
		return;
	}
	rc = model_parse(s->o.ctx, config, &tree, &err);
	json_decref(facts);
	model_text_free(text);
	snprintf(comment, sizeof(comment), "rollback %u", n);
	if (rc)
		cb(arg, &err, NULL);
	else
		commit_tree(s, tree, user, comment, &how);
}

int store_write_running(struct store *s)
{
	int rc = prepare_running(s, s->running, NULL);

	return rc ? rc : files_commit(s->running_path);
}

int store_save(struct store *s, struct model_err *err)
{
	size_t len = strlen(s->startup_path);
	bool xml = len > 4 && strcmp(s->startup_path + len - 4, ".xml") == 0;

	if (s->pending)
		return model_fail(err, NULL, "a commit waits for confirmation; confirm it with 'config commit' first");
	char *text = model_print(s->o.ctx, s->running, NULL, xml ? LYD_XML : LYD_JSON, true, err);
	if (!text)
		return -EINVAL;
	int rc = files_write(s->startup_path, text, strlen(text));
	uint64_t sum = store_sum(text);
	model_text_free(text);
	if (rc)
		return model_fail(err, NULL, "%s: %s", s->startup_path, strerror(-rc));
	s->startup_sum = sum;
	rc = store_write_running(s);
	if (rc)
		cv_warn("config", "%s: %s", s->running_path, strerror(-rc));
	return 0;
}

/* ---- start ---- */

/* A record of run_dir that belongs to this boot and to this startup file. */
static bool read_run_file(struct store *s, const char *path, json_t **facts, struct lyd_node **tree)
{
	char *text, boot[64];
	const char *config;
	struct model_err err;

	*tree = NULL;
	if (record_read(path, facts, &text, &config))
		return false;
	store_boot_id(boot);
	const char *of = json_string_value(json_object_get(*facts, "boot"));
	bool ours = of && strcmp(of, boot) == 0 &&
		    (uint64_t)json_integer_value(json_object_get(*facts, "startup")) == s->startup_sum;
	if (ours && (model_parse(s->o.ctx, config, tree, &err) || model_validate(s->o.ctx, tree, &err))) {
		cv_warn("config", "%s is not valid and is not used: %s %s", path, err.path, err.text);
		lyd_free_all(*tree);
		*tree = NULL;
		ours = false;
	}
	model_text_free(text);
	if (!ours)
		json_decref(*facts);
	return ours;
}

static int read_startup(struct store *s, struct lyd_node **tree, struct model_err *err)
{
	char *text;
	int rc = files_read(s->startup_path, &text);

	*tree = NULL;
	if (rc == -ENOENT) {
		cv_notice("config", "%s does not exist: starting with an empty configuration", s->startup_path);
		s->startup_sum = 0;
		return 0;
	}
	if (rc)
		return model_fail(err, NULL, "cannot be read: %s", strerror(-rc));
	s->startup_sum = store_sum(text);
	rc = model_parse(s->o.ctx, text, tree, err);
	model_text_free(text);
	return rc;
}

/* The configuration to start with; resumes a wait for confirmation that a killed predecessor left. */
static int choose(struct store *s, struct lyd_node **tree, const char **from, struct model_err *err)
{
	struct lyd_node *running, *previous;
	json_t *facts;

	*from = "startup configuration";
	int rc = read_startup(s, tree, err);
	if (!read_run_file(s, s->running_path, &facts, &running))
		return rc;
	json_decref(facts);
	lyd_free_all(*tree);
	*tree = running;
	*from = "running configuration of the previous process";
	if (!read_run_file(s, s->confirm_path, &facts, &previous))
		return 0;
	uint64_t deadline = (uint64_t)json_integer_value(json_object_get(facts, "deadline"));
	json_decref(facts);
	if (deadline <= store_boottime_ms()) {
		lyd_free_all(*tree);
		*tree = previous;
		*from = "configuration before the commit that was not confirmed in time";
		(void)unlink(s->confirm_path);
		return 0;
	}
	s->previous = previous;
	s->pending = true;
	s->deadline_ms = deadline;
	return 0;
}

static void started(void *arg, const char *why)
{
	struct commit *c = arg;
	struct store *s = c->s;
	struct model_err err;

	if (why) {
		abort_files(s);
		model_fail(&err, NULL, "%s", why);
		finish(c, &err);
		return;
	}
	int rc = files_commit(s->running_path);
	if (rc)
		cv_warn("config", "%s: %s", s->running_path, strerror(-rc));
	if (json_is_true(json_object_get(c->result, "new")))
		rc = history_commit(s->history);
	if (rc)
		cv_warn("config", "history not written: %s", strerror(-rc));
	if (s->pending)
		confirm_arm(s, s->deadline_ms);
	install(c);
	finish(c, NULL);
	store_wrap_start(s);
}

/* True when the newest entry of the history is this very text. */
static bool known_to_history(struct store *s, const char *config)
{
	json_t *facts;
	char *text;
	const char *newest;

	if (history_read(s->history, 0, &facts, &text, &newest))
		return false;
	bool same = strcmp(newest, config) == 0;
	json_decref(facts);
	model_text_free(text);
	return same;
}

static int prepare_start(struct commit *c, const char *from, struct model_err *err)
{
	struct store *s = c->s;
	char *config = model_print(s->o.ctx, c->tree, NULL, LYD_JSON, true, err);

	if (!config)
		return -EINVAL;
	bool fresh = !known_to_history(s, config);
	json_t *facts = commit_facts("culvertd", from);
	int rc = prepare_running(s, NULL, config);
	if (!rc && fresh)
		rc = history_prepare(s->history, facts, config);
	json_decref(facts);
	model_text_free(config);
	json_object_set_new(c->result, "new", json_boolean(fresh));
	json_object_set_new(c->result, "from", json_string(from));
	if (rc)
		return model_fail(err, NULL, "the configuration cannot be recorded: %s", strerror(-rc));
	return 0;
}

void store_start(struct store *s, store_cb cb, void *arg)
{
	struct model_err err;
	struct commit *c = calloc(1, sizeof(*c));
	const char *from;

	if (!c)
		abort();
	*c = (struct commit){.s = s, .from_candidate = true, .cb = cb, .arg = arg, .result = json_object()};
	s->committing = true;
	json_t *warnings = json_array();
	json_object_set_new(c->result, "warnings", warnings);
	if (choose(s, &c->tree, &from, &err) || store_protect(s, c->tree, &err) ||
		!(c->cfg = store_build(s, &c->tree, warnings, &err)) || prepare_start(c, from, &err)) {
		finish(c, &err);
		return;
	}
	int rc = s->o.apply(s->o.apply_ctx, c->cfg, started, c);
	if (rc) {
		model_fail(&err, NULL, "the configuration cannot be applied: %s", strerror(-rc));
		finish(c, &err);
	}
}
