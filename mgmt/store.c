/* SPDX-License-Identifier: BSD-3-Clause */
/* The datastores and everything that does not change the running one. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "build.h"
#include "files.h"
#include "store_priv.h"

uint64_t store_sum(const char *text)
{
	uint64_t sum = 14695981039346656037ull; /* FNV-1a: tells one edit from another, protects from nobody */

	for (; *text; text++)
		sum = (sum ^ (uint8_t)*text) * 1099511628211ull;
	return sum;
}

uint64_t store_boottime_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000u + (uint64_t)ts.tv_nsec / 1000000u;
}

void store_boot_id(char out[static 64])
{
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, out, 63);

	out[n > 0 ? n : 0] = 0;
	out[strcspn(out, "\n")] = 0;
	if (fd >= 0)
		close(fd);
}

int store_copy(const struct lyd_node *tree, struct lyd_node **out, struct model_err *err)
{
	*out = NULL;
	if (tree && lyd_dup_siblings(tree, NULL, LYD_DUP_RECURSIVE | LYD_DUP_WITH_FLAGS, out) != LY_SUCCESS)
		return model_fail(err, NULL, "out of memory");
	return 0;
}

struct store *store_new(const struct store_opts *opts, struct model_err *err)
{
	struct store *s = calloc(1, sizeof(*s));
	char dir[PATH_MAX], key[PATH_MAX];
	int rc;

	if (!s || !(s->timer = calloc(1, sizeof(*s->timer))) || !(s->wrap_timer = calloc(1, sizeof(*s->wrap_timer)))) {
		if (s)
			free(s->timer);
		free(s);
		model_fail(err, NULL, "out of memory");
		return NULL;
	}
	s->o = *opts;
	if (snprintf(s->startup_path, PATH_MAX, "%s", opts->startup_path) >= PATH_MAX ||
		snprintf(s->running_path, PATH_MAX, "%s/running.cfg", opts->run_dir) >= PATH_MAX ||
		snprintf(s->confirm_path, PATH_MAX, "%s/confirm.cfg", opts->run_dir) >= PATH_MAX ||
		snprintf(dir, PATH_MAX, "%s/history", opts->state_dir) >= PATH_MAX ||
		snprintf(key, PATH_MAX, "%s/master.key", opts->state_dir) >= PATH_MAX) {
		model_fail(err, NULL, "a path is too long");
		goto fail;
	}
	rc = files_mkdir(opts->run_dir, 0755);
	if (rc) {
		model_fail(err, NULL, "%s: %s", opts->run_dir, strerror(-rc));
		goto fail;
	}
	s->history = history_open(dir);
	if (!s->history) {
		model_fail(err, NULL, "%s: %s", dir, strerror(errno));
		goto fail;
	}
	/* configurations name what is in there: by a path that holds wherever they are read */
	if (!realpath(opts->state_dir, dir) ||
		snprintf(s->keys_dir, sizeof(s->keys_dir), "%s/keys", dir) >= (int)sizeof(s->keys_dir)) {
		model_fail(err, NULL, "%s: no usable path", opts->state_dir);
		history_close(s->history);
		goto fail;
	}
	s->secrets = secrets_open(key, err);
	if (!s->secrets) {
		history_close(s->history);
		goto fail;
	}
	uv_timer_init(opts->loop, s->timer);
	s->timer->data = s;
	uv_timer_init(opts->loop, s->wrap_timer);
	s->wrap_timer->data = s;
	return s;
fail:
	free(s->timer);
	free(s->wrap_timer);
	free(s);
	return NULL;
}

static void free_handle(uv_handle_t *h)
{
	free(h);
}

void store_free(struct store *s)
{
	if (!s)
		return;
	store_rsa_abandon(s);
	uv_timer_stop(s->timer);
	uv_close((uv_handle_t *)s->timer, free_handle);
	uv_timer_stop(s->wrap_timer);
	uv_close((uv_handle_t *)s->wrap_timer, free_handle);
	secrets_close(s->secrets);
	lyd_free_all(s->candidate);
	lyd_free_all(s->running);
	lyd_free_all(s->previous);
	if (s->running_cfg)
		config_unref(s->running_cfg);
	history_close(s->history);
	free(s);
}

void store_set_candidate(struct store *s, struct lyd_node *tree)
{
	if (tree == s->candidate)
		return;
	lyd_free_all(s->candidate);
	s->candidate = tree;
}

static void collect_warning(void *arg, const char *text)
{
	if (arg)
		json_array_append_new(arg, json_string(text));
}

struct cv_config *store_build(struct store *s, struct lyd_node **tree, json_t *warnings, struct model_err *err)
{
	if (model_validate(s->o.ctx, tree, err))
		return NULL;
	struct cv_config *cfg = build_config(*tree, s->secrets, collect_warning, warnings, err);
	if (cfg && s->o.warn)
		s->o.warn(s->o.apply_ctx, cfg, collect_warning, warnings);
	return cfg;
}

/* text, alone or merged into a copy of base, with hidden secrets filled in from the running configuration. */
int store_parse_new(struct store *s, const char *text, const struct lyd_node *base, bool merge, struct lyd_node **out,
	struct model_err *err)
{
	struct lyd_node *given = NULL, *tree = NULL;
	int rc = model_parse(s->o.ctx, text, &given, err);

	if (!rc)
		rc = model_restore_secrets(s->o.ctx, given, s->running, err);
	if (!rc && merge)
		rc = store_copy(base, &tree, err);
	if (!rc && merge && given && lyd_merge_siblings(&tree, given, 0) != LY_SUCCESS)
		rc = model_explain(s->o.ctx, tree, err);
	if (rc || merge)
		lyd_free_all(given);
	if (rc) {
		lyd_free_all(tree);
		return rc;
	}
	*out = merge ? tree : given;
	return 0;
}

/* Full check of a copy: the tree itself keeps the form in which it was written. */
static int check(struct store *s, const struct lyd_node *tree, json_t *warnings, struct model_err *err)
{
	struct lyd_node *copy;

	if (store_copy(tree, &copy, err))
		return -EINVAL;
	struct cv_config *cfg = store_build(s, &copy, warnings, err);
	lyd_free_all(copy);
	if (!cfg)
		return -EINVAL;
	config_unref(cfg);
	return 0;
}

int store_load(struct store *s, const char *text, bool merge, struct model_err *err)
{
	struct lyd_node *tree;

	if (store_parse_new(s, text, s->candidate, merge, &tree, err))
		return -EINVAL;
	if (check(s, tree, NULL, err)) {
		lyd_free_all(tree);
		return -EINVAL;
	}
	store_set_candidate(s, tree);
	return 0;
}

int store_check_text(struct store *s, const char *text, json_t *warnings, struct model_err *err)
{
	struct lyd_node *tree;

	if (store_parse_new(s, text, NULL, false, &tree, err))
		return -EINVAL;
	int rc = check(s, tree, warnings, err);
	lyd_free_all(tree);
	return rc;
}

int store_set(struct store *s, const char *path, const char *value, struct model_err *err)
{
	struct lyd_node *tree;

	if (store_copy(s->candidate, &tree, err))
		return -EINVAL;
	int rc = model_set(s->o.ctx, &tree, path, value, err);
	if (!rc)
		rc = model_restore_secrets(s->o.ctx, tree, s->running, err);
	if (rc)
		lyd_free_all(tree);
	else
		store_set_candidate(s, tree);
	return rc;
}

int store_delete(struct store *s, const char *path, struct model_err *err)
{
	struct lyd_node *tree;

	if (store_copy(s->candidate, &tree, err))
		return -EINVAL;
	int rc = model_delete(s->o.ctx, &tree, path, err);
	if (rc)
		lyd_free_all(tree);
	else
		store_set_candidate(s, tree);
	return rc;
}

int store_discard(struct store *s, struct model_err *err)
{
	struct lyd_node *tree;

	if (store_copy(s->running, &tree, err))
		return -EINVAL;
	store_set_candidate(s, tree);
	return 0;
}

int store_validate(struct store *s, json_t *warnings, struct model_err *err)
{
	return check(s, s->candidate, warnings, err);
}

static int tree_from_history(struct store *s, unsigned n, struct lyd_node **tree, struct model_err *err)
{
	json_t *facts;
	char *text;
	const char *config;
	int rc = history_read(s->history, n, &facts, &text, &config);

	if (rc == -ENOENT)
		return model_fail(err, NULL, "there is no configuration %u; valid: 0 to %u", n,
			history_count(s->history) ? history_count(s->history) - 1 : 0);
	if (rc)
		return model_fail(err, NULL, "configuration %u cannot be read: %s", n, strerror(-rc));
	rc = model_parse(s->o.ctx, config, tree, err);
	json_decref(facts);
	model_text_free(text);
	return rc;
}

static int tree_from_startup(struct store *s, struct lyd_node **tree, struct model_err *err)
{
	char *text;
	int rc = files_read(s->startup_path, &text);

	if (rc)
		return model_fail(err, NULL, "%s: %s", s->startup_path, strerror(-rc));
	rc = model_parse(s->o.ctx, text, tree, err);
	model_text_free(text);
	return rc;
}

char *store_print(struct store *s, const char *which, const char *path, LYD_FORMAT format, struct model_err *err)
{
	struct lyd_node *read = NULL;
	const struct lyd_node *tree = NULL;
	char *end;
	unsigned long n = strtoul(which, &end, 10);
	int rc = 0;

	if (strcmp(which, "running") == 0)
		tree = s->running;
	else if (strcmp(which, "candidate") == 0)
		tree = s->candidate;
	else if (strcmp(which, "startup") == 0)
		rc = tree_from_startup(s, &read, err);
	else if (end != which && !*end)
		rc = tree_from_history(s, n < 1000 ? (unsigned)n : 1000, &read, err);
	else
		rc = model_fail(
			err, NULL, "no configuration \"%s\"; valid: running, candidate, startup, or a number", which);
	char *text = rc ? NULL : model_print(s->o.ctx, read ? read : tree, path, format, false, err);
	lyd_free_all(read);
	return text;
}

json_t *store_diff(struct store *s, int n, struct model_err *err)
{
	struct lyd_node *old = NULL;

	if (n < 0)
		return model_diff(s->running, s->candidate);
	if (tree_from_history(s, (unsigned)n, &old, err) || model_validate(s->o.ctx, &old, err)) {
		lyd_free_all(old);
		return NULL;
	}
	json_t *diff = model_diff(s->running, old);
	lyd_free_all(old);
	return diff;
}

json_t *store_history(struct store *s)
{
	json_t *list = json_array(), *facts;
	char *text;
	const char *config;

	for (unsigned n = 0; n < history_count(s->history); n++) {
		if (history_read(s->history, n, &facts, &text, &config))
			continue;
		json_object_set_new(facts, "number", json_integer(n));
		json_array_append_new(list, facts);
		model_text_free(text);
	}
	return list;
}

json_t *store_status(struct store *s)
{
	json_t *diff = model_diff(s->running, s->candidate);
	json_t *status = json_pack("{s:I}", "changes", (json_int_t)json_array_size(diff));
	char *text;

	json_decref(diff);
	if (s->pending) {
		uint64_t now = store_boottime_ms();
		json_int_t left = s->deadline_ms > now ? (json_int_t)((s->deadline_ms - now + 999) / 1000) : 0;
		json_object_set_new(status, "confirm_seconds_left", json_integer(left));
	}
	bool differs = true;
	if (files_read(s->startup_path, &text) == 0) {
		struct model_err err;
		struct lyd_node *startup;
		if (model_parse(s->o.ctx, text, &startup, &err) == 0 && model_validate(s->o.ctx, &startup, &err) == 0) {
			json_t *d = model_diff(startup, s->running);
			differs = json_array_size(d) != 0;
			json_decref(d);
		}
		lyd_free_all(startup);
		model_text_free(text);
	}
	json_object_set_new(status, "startup_differs", json_boolean(differs));
	return status;
}

json_t *store_complete(struct store *s, const char *path)
{
	return model_complete(s->o.ctx, s->candidate, path);
}
