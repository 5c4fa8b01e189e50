/* SPDX-License-Identifier: BSD-3-Clause */
#include "secrets.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "build.h"
#include "cv_log.h"
#include "cv_secret.h"
#include "files.h"

#define FORMAT "culvert-master-key 1"

struct secrets {
	char path[PATH_MAX];
	bool have, have_previous, unsettled, logging;
	uint8_t key[TYPE6_KEY_LEN], previous[TYPE6_KEY_LEN];
};

/* ---- the file: format, key, key before it or "-", "pending" when files are still to be gone through ---- */

static void hex(const uint8_t *key, char out[static 2 * TYPE6_KEY_LEN + 1])
{
	for (unsigned i = 0; i < TYPE6_KEY_LEN; i++)
		snprintf(out + 2 * i, 3, "%02x", key[i]);
}

static bool unhex(const char *text, uint8_t *key)
{
	for (unsigned i = 0; i < TYPE6_KEY_LEN; i++)
		if (sscanf(text + 2 * i, "%2hhx", &key[i]) != 1)
			return false;
	return true;
}

static int write_file(const struct secrets *s)
{
	char key[2 * TYPE6_KEY_LEN + 1], previous[2 * TYPE6_KEY_LEN + 1] = "-", text[256];
	int rc;

	if (!s->have)
		return unlink(s->path) && errno != ENOENT ? -errno : 0;
	hex(s->key, key);
	if (s->have_previous)
		hex(s->previous, previous);
	snprintf(text, sizeof(text), FORMAT "\n%s\n%s\n%s\n", key, previous, s->unsettled ? "pending" : "settled");
	rc = files_write(s->path, text, strlen(text));
	cv_secret_zero(key, sizeof(key));
	cv_secret_zero(previous, sizeof(previous));
	cv_secret_zero(text, sizeof(text));
	return rc;
}

static bool parse_file(struct secrets *s, const char *text)
{
	char key[2 * TYPE6_KEY_LEN + 1], previous[2 * TYPE6_KEY_LEN + 1], state[16];
	bool ok = sscanf(text, FORMAT " %64[0-9a-f] %64[-0-9a-f] %15s", key, previous, state) == 3 &&
		  strlen(key) == 2 * TYPE6_KEY_LEN && unhex(key, s->key);

	if (ok && strcmp(previous, "-") != 0)
		ok = s->have_previous = strlen(previous) == 2 * TYPE6_KEY_LEN && unhex(previous, s->previous);
	s->have = ok;
	s->unsettled = ok && strcmp(state, "pending") == 0;
	cv_secret_zero(key, sizeof(key));
	cv_secret_zero(previous, sizeof(previous));
	return ok;
}

struct secrets *secrets_open(const char *path, struct model_err *err)
{
	struct secrets *s = calloc(1, sizeof(*s));
	char *text;
	int rc;

	if (!s || snprintf(s->path, sizeof(s->path), "%s", path) >= (int)sizeof(s->path)) {
		free(s);
		model_fail(err, NULL, "out of memory");
		return NULL;
	}
	rc = files_read(path, &text);
	if (!rc && !parse_file(s, text))
		rc = -EBADMSG;
	if (!rc || rc == -EBADMSG)
		model_text_free(text);
	if (!rc || rc == -ENOENT)
		return s;
	model_fail(err, NULL, "the master key in %s cannot be read: %s", path, strerror(-rc));
	secrets_close(s);
	return NULL;
}

void secrets_close(struct secrets *s)
{
	if (!s)
		return;
	cv_secret_zero(s, sizeof(*s));
	free(s);
}

/* ---- the master key ---- */

bool secrets_have_key(const struct secrets *s)
{
	return s && s->have;
}

void secrets_logging(struct secrets *s, bool on)
{
	s->logging = on;
}

static void trace(const struct secrets *s, const char *text, const char *of)
{
	cv_log(s->logging ? CV_LOG_NOTICE : CV_LOG_DEBUG, "config", "TYPE6_PASS: %s%s%s", text, of ? " " : "",
		of ? of : "");
}

/* Replace the state by next, on disk first. */
static int replace(struct secrets *s, struct secrets *next, struct model_err *err)
{
	int rc = write_file(next);

	if (!rc)
		*s = *next;
	cv_secret_zero(next, sizeof(*next));
	return rc ? model_fail(err, NULL, "the master key cannot be stored: %s", strerror(-rc)) : 0;
}

static int check_old(const struct secrets *s, const char *old, struct model_err *err)
{
	uint8_t given[TYPE6_KEY_LEN];
	bool right =
		old && type6_derive(old, strlen(old), given) == 0 && cv_secret_cmp(given, s->key, TYPE6_KEY_LEN) == 0;

	cv_secret_zero(given, sizeof(given));
	return right ? 0 : model_fail(err, NULL, "the old master key is wrong; nothing was changed");
}

int secrets_change(struct secrets *s, const char *old, const char *text, struct model_err *err)
{
	struct secrets next = *s;

	if (!text || strlen(text) < 8 || strlen(text) > 127) {
		cv_secret_zero(&next, sizeof(next));
		return model_fail(err, NULL, "a master key has 8 to 127 characters");
	}
	if ((s->have && check_old(s, old, err)) || type6_derive(text, strlen(text), next.key)) {
		cv_secret_zero(&next, sizeof(next));
		return err->text[0] ? -EINVAL : model_fail(err, NULL, "the master key cannot be derived");
	}
	next.have = next.unsettled = true;
	next.have_previous = s->have;
	memcpy(next.previous, s->key, sizeof(next.previous));
	bool first = !s->have;
	if (replace(s, &next, err))
		return -EINVAL;
	trace(s,
		first ? "New Master key configured, encrypting the keys with the new master key"
		      : "Master key change heralded, re-encrypting the keys with the new master key",
		NULL);
	return 0;
}

int secrets_remove(struct secrets *s, struct model_err *err)
{
	struct secrets next = {.logging = s->logging};

	memcpy(next.path, s->path, sizeof(next.path));
	return replace(s, &next, err);
}

bool secrets_unsettled(const struct secrets *s)
{
	return s && s->have && s->unsettled;
}

int secrets_settle_later(struct secrets *s)
{
	s->unsettled = true;
	return write_file(s);
}

void secrets_settled(struct secrets *s)
{
	int rc;

	cv_secret_zero(s->previous, sizeof(s->previous));
	s->have_previous = s->unsettled = false;
	rc = write_file(s);
	if (rc)
		cv_err("config", "%s: %s", s->path, strerror(-rc));
}

/* ---- secrets of a tree ---- */

bool secrets_wanted(const struct lyd_node *tree)
{
	const char *how = tree_text(tree_top(tree, "culvert-platform", "platform"), "password-encryption");

	return how && strcmp(how, "aes") == 0;
}

int secrets_reveal(const struct secrets *s, const char *value, uint8_t *out, size_t *len)
{
	int rc;

	if (!s || !s->have)
		return type6_is(value) ? -ENOKEY : -EINVAL;
	rc = type6_open(s->key, value, out, len);
	return rc == -EBADMSG && s->have_previous ? type6_open(s->previous, value, out, len) : rc;
}

/* The type 6 form that value should have; false = leave it. */
static bool wrapped(const struct secrets *s, const struct lyd_node *leaf, bool seal, char out[TYPE6_TEXT_MAX])
{
	uint8_t plain[TYPE6_PLAIN_MAX + 1];
	const char *value = lyd_get_value(leaf);
	char path[1024];
	size_t len;
	bool changed = false;

	if (strcmp(value, MODEL_HIDDEN) == 0)
		return false;
	if (!type6_is(value))
		return seal && type6_seal(s->key, value, strlen(value), out) == 0;
	if (type6_open(s->key, value, plain, &len) != 0 && s->have_previous &&
		type6_open(s->previous, value, plain, &len) == 0)
		changed = type6_seal(s->key, plain, len, out) == 0;
	cv_secret_zero(plain, sizeof(plain));
	if (changed && lyd_path(leaf, LYD_PATH_STD, path, sizeof(path)))
		trace(s, "Mac verified and re-encrypted:", path);
	return changed;
}

int secrets_protect(struct secrets *s, struct lyd_node *tree, bool seal, struct model_err *err)
{
	struct lyd_node *top, *elem;
	char text[TYPE6_TEXT_MAX];
	int n = 0;

	if (!s || !s->have)
		return 0;
	LY_LIST_FOR (tree, top)
		LYD_TREE_DFS_BEGIN (top, elem) {
			if (model_is_secret(elem->schema) && wrapped(s, elem, seal, text)) {
				if (lyd_change_term(elem, text) != LY_SUCCESS)
					return model_fail(err, NULL, "an encrypted secret does not fit its leaf");
				n++;
			}
			LYD_TREE_DFS_END(top, elem);
		}
	return n;
}
