/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Type 6 in the datastores: what a commit does to secrets, what a change of the master key does to everything on disk.
 * Files are gone through one per turn of the loop, so that fifty configurations do not hold up IKE; until the last is
 * done the key before stays on disk beside the new one, and a restart goes on where this left off.
 */
#include <errno.h>
#include <string.h>

#include "cv_log.h"
#include "files.h"
#include "store_priv.h"

#define WRAP_MS 5u /* between two files */

static const char no_key[] = "passwords cannot be encrypted: platform/password-encryption is aes and there is no "
			     "master key; set one with 'key "
			     "config-key password-encryption'"; /* T6KEY-7 */

const char *store_secret_notice(const struct store *s)
{
	return secrets_wanted(s->running) && !secrets_have_key(s->secrets) ? no_key : NULL;
}

bool store_have_master_key(const struct store *s)
{
	return secrets_have_key(s->secrets);
}

void store_password_logging(struct store *s, bool on)
{
	secrets_logging(s->secrets, on);
}

int store_protect(struct store *s, struct lyd_node *tree, struct model_err *err)
{
	bool on = secrets_wanted(tree);
	int n = secrets_protect(s->secrets, tree, on, err);

	if (n < 0)
		return n;
	if (on && !secrets_have_key(s->secrets))
		cv_warn("config", "%s", no_key);
	/* the switch has just been turned on: older configurations on disk hold the same secrets in clear */
	if (n && s->running && !secrets_wanted(s->running) && secrets_settle_later(s->secrets))
		return model_fail(err, NULL, "the master key cannot be stored");
	return 0;
}

/* ---- files ---- */

/* The tree of config with its secrets under the present key; *changed 0 = it was right. NULL = cannot be read. */
static char *rewrapped(struct store *s, const char *config, int *changed)
{
	struct model_err err;
	struct lyd_node *tree;
	char *text = NULL;

	*changed = 0;
	if (model_parse(s->o.ctx, config, &tree, &err))
		return NULL;
	*changed = secrets_protect(s->secrets, tree, secrets_wanted(s->running), &err);
	if (*changed > 0)
		text = model_print(s->o.ctx, tree, NULL, LYD_JSON, true, &err);
	lyd_free_all(tree);
	return text;
}

static int wrap_history(struct store *s, unsigned n)
{
	json_t *facts;
	char *text, *better;
	const char *config;
	int changed, rc = history_read(s->history, n, &facts, &text, &config);

	if (rc)
		return rc;
	better = rewrapped(s, config, &changed);
	if (better)
		rc = history_rewrite(s->history, n, facts, better);
	model_text_free(better);
	model_text_free(text);
	json_decref(facts);
	return rc;
}

static int wrap_startup(struct store *s)
{
	struct model_err err;
	struct lyd_node *tree;
	char *text, *better = NULL;
	size_t len = strlen(s->startup_path);
	bool xml = len > 4 && strcmp(s->startup_path + len - 4, ".xml") == 0;
	int rc = files_read(s->startup_path, &text);

	if (rc)
		return rc == -ENOENT ? 0 : rc;
	bool ours = store_sum(text) == s->startup_sum;
	if (model_parse(s->o.ctx, text, &tree, &err) == 0) {
		if (secrets_protect(s->secrets, tree, secrets_wanted(s->running), &err) > 0)
			better = model_print(s->o.ctx, tree, NULL, xml ? LYD_XML : LYD_JSON, true, &err);
		lyd_free_all(tree);
	}
	if (better)
		rc = files_write(s->startup_path, better, strlen(better));
	if (better && !rc && ours) {
		s->startup_sum = store_sum(better);
		rc = store_write_running(s);
	}
	model_text_free(better);
	model_text_free(text);
	return rc;
}

static void wrap_next(uv_timer_t *t)
{
	struct store *s = t->data;
	int rc;

	if (s->committing) { /* history is being written; afterwards */
		uv_timer_start(t, wrap_next, WRAP_MS, 0);
		return;
	}
	rc = s->wrap_at ? wrap_history(s, s->wrap_at - 1) : wrap_startup(s);
	if (rc)
		cv_err("config", "secrets of %s %u cannot be encrypted: %s", s->wrap_at ? "configuration" : "startup",
			s->wrap_at ? s->wrap_at - 1 : 0, strerror(-rc));
	if (s->wrap_at++ < history_count(s->history)) {
		uv_timer_start(t, wrap_next, WRAP_MS, 0);
		return;
	}
	secrets_settled(s->secrets);
	cv_notice("config", "every configuration on disk has its secrets under the master key");
}

void store_wrap_start(struct store *s)
{
	if (!secrets_unsettled(s->secrets))
		return;
	s->wrap_at = 0;
	uv_timer_start(s->wrap_timer, wrap_next, WRAP_MS, 0);
}

/* ---- the operator ---- */

static int change(struct store *s, const char *old, const char *text, struct model_err *err)
{
	err->text[0] = 0;
	if (s->committing || s->pending)
		return model_fail(err, NULL, "a commit is in progress or waits for confirmation; try again after it");
	if (!text)
		return secrets_remove(s->secrets, err);
	if (secrets_unsettled(s->secrets) && secrets_have_key(s->secrets))
		return model_fail(err, NULL, "configurations on disk are still being encrypted; try again in a moment");
	return secrets_change(s->secrets, old, text, err);
}

void store_master_key(struct store *s, const char *old, const char *text, const char *user, store_cb cb, void *arg)
{
	struct model_err err;
	struct lyd_node *tree;

	if (change(s, old, text, &err) ||
		secrets_protect(s->secrets, s->candidate, secrets_wanted(s->candidate), &err) < 0 ||
		store_copy(s->running, &tree, &err)) {
		cb(arg, &err, NULL);
		return;
	}
	cv_notice("config", "master key %s by %s", text ? "set" : "removed", user);
	store_commit_tree(s, tree, user, text ? "master key set" : "master key removed", cb, arg);
	store_wrap_start(s);
}
