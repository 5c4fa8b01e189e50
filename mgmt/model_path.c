/* SPDX-License-Identifier: BSD-3-Clause */
/* Paths as people type them, and changes by path. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"

#define NAME_LEN 128u
#define VALUE_LEN 512u

struct walk {
	struct ly_ctx *ctx;
	const struct lysc_node *node; /* where we are; NULL at the top */
	char *out;
	size_t len, size;
	struct model_err *err;
};

static int emit(struct walk *w, const char *a, const char *b, const char *c, const char *d)
{
	int n = snprintf(w->out + w->len, w->size - w->len, "%s%s%s%s", a, b, c, d);

	if (n < 0 || (size_t)n >= w->size - w->len)
		return model_fail(w->err, NULL, "the path is too long");
	w->len += (size_t)n;
	return 0;
}

/* Among the children of parent, or among the top-level nodes of a module when parent is NULL. */
static const struct lysc_node *child_of(
	const struct lysc_node *parent, const struct lysc_module *top, const char *prefix, const char *name)
{
	const struct lysc_node *child = NULL;

	while ((child = lys_getnext(child, parent, top, 0)))
		if (strcmp(child->name, name) == 0 && (!prefix[0] || strcmp(child->module->name, prefix) == 0))
			return child;
	return NULL;
}

static const struct lysc_node *find_child(struct walk *w, const char *prefix, const char *name)
{
	if (w->node)
		return child_of(w->node, NULL, prefix, name);
	uint32_t i = 0;
	const struct lys_module *mod;
	while ((mod = ly_ctx_get_module_iter(w->ctx, &i))) {
		if (!mod->implemented || !mod->compiled)
			continue;
		const struct lysc_node *found = child_of(NULL, mod->compiled, prefix, name);
		if (found)
			return found;
	}
	return NULL;
}

/* One "[...]": the text between the brackets and where it ends; quotes protect brackets. */
static const char *predicate(const char *p, char *text, size_t size)
{
	const char *start = ++p;
	char quote = 0;

	for (; *p && (quote || *p != ']'); p++) {
		if (quote && *p == quote)
			quote = 0;
		else if (!quote && (*p == '\'' || *p == '"'))
			quote = *p;
	}
	if (*p != ']' || (size_t)(p - start) >= size)
		return NULL;
	memcpy(text, start, (size_t)(p - start));
	text[p - start] = 0;
	return p + 1;
}

/* Split "key='value'" or a bare value. key is empty for the latter. */
static void split_predicate(char *text, char *key, size_t key_size, char **value)
{
	size_t n = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-:");

	key[0] = 0;
	*value = text;
	if (text[n] == '=' && n) {
		snprintf(key, key_size, "%.*s", (int)n, text);
		*value = text + n + 1;
	}
	size_t len = strlen(*value);
	if (len >= 2 && ((*value)[0] == '\'' || (*value)[0] == '"') && (*value)[len - 1] == (*value)[0]) {
		(*value)[len - 1] = 0;
		(*value)++;
	}
}

static const struct lysc_node *nth_key(const struct lysc_node *list, unsigned n)
{
	const struct lysc_node *child = NULL;

	while ((child = lys_getnext(child, list, NULL, 0)) && lysc_is_key(child))
		if (n-- == 0)
			return child;
	return NULL;
}

static int emit_predicate(struct walk *w, char *text, unsigned n)
{
	char key[NAME_LEN], *value;

	split_predicate(text, key, sizeof(key), &value);
	const char *name = key;
	if (w->node->nodetype == LYS_LEAFLIST)
		name = ".";
	else if (w->node->nodetype != LYS_LIST)
		return model_fail(w->err, w->out, "\"%s\" has no keys; remove the brackets", w->node->name);
	else if (!key[0]) {
		const struct lysc_node *k = nth_key(w->node, n);
		if (!k)
			return model_fail(w->err, w->out, "too many keys for \"%s\"", w->node->name);
		name = k->name;
	}
	bool has_single = strchr(value, '\''), has_double = strchr(value, '"');
	if (has_single && has_double)
		return model_fail(w->err, w->out, "a key cannot contain both kinds of quotes");
	const char *quote = has_single ? "\"" : "'";
	return emit(w, "[", name, "=", quote) || emit(w, value, quote, "]", "") ? -EINVAL : 0;
}

static int emit_segment(struct walk *w, const char **path)
{
	char prefix[NAME_LEN] = "", name[NAME_LEN], text[VALUE_LEN];
	const char *p = *path;
	size_t n = strcspn(p, "/[:");

	if (p[n] == ':') {
		snprintf(prefix, sizeof(prefix), "%.*s", (int)n, p);
		p += n + 1;
		n = strcspn(p, "/[");
	}
	snprintf(name, sizeof(name), "%.*s", (int)n, p);
	const struct lysc_node *child = find_child(w, prefix, name);
	if (!child)
		return model_fail(
			w->err, w->out[0] ? w->out : NULL, "unknown node \"%.*s\"", (int)strcspn(*path, "["), *path);
	bool qualify = !w->node || child->module != w->node->module;
	if (emit(w, "/", qualify ? child->module->name : "", qualify ? ":" : "", child->name))
		return -EINVAL;
	w->node = child;
	p += n;
	for (unsigned i = 0; *p == '['; i++) {
		p = predicate(p, text, sizeof(text));
		if (!p)
			return model_fail(w->err, w->out, "a \"[\" is not closed");
		if (emit_predicate(w, text, i))
			return -EINVAL;
	}
	*path = p;
	return 0;
}

/* Full form into w->out; w->node is the schema node. */
static int resolve(struct walk *w, const char *path)
{
	path += *path == '/';
	if (!*path)
		return model_fail(w->err, NULL, "the path is empty");
	while (*path) {
		if (emit_segment(w, &path))
			return -EINVAL;
		if (*path && *path++ != '/')
			return model_fail(w->err, w->out, "\"/\" expected before \"%s\"", path - 1);
	}
	return 0;
}

char *model_full_path(struct ly_ctx *ctx, const char *path, struct model_err *err)
{
	struct walk w = {.ctx = ctx, .size = sizeof(err->path), .err = err};

	w.out = calloc(1, w.size);
	if (!w.out || resolve(&w, path)) {
		if (!w.out)
			model_fail(err, NULL, "out of memory");
		free(w.out);
		return NULL;
	}
	return w.out;
}

/* lists must be named with all their keys to be changed */
static int check_set(const char *full, const struct lysc_node *node, const char *value, struct model_err *err)
{
	bool term = node->nodetype & (LYS_LEAF | LYS_LEAFLIST);

	if (lysc_is_key(node))
		return model_fail(err, full, "a key cannot be changed; delete the entry and create it anew");
	if (term && !value && full[strlen(full) - 1] != ']')
		return model_fail(err, full, "a value is needed");
	if (!term && value)
		return model_fail(err, full, "\"%s\" holds other nodes and takes no value itself", node->name);
	return 0;
}

int model_set(struct ly_ctx *ctx, struct lyd_node **tree, const char *path, const char *value, struct model_err *err)
{
	struct lyd_node *made = NULL;
	char *full = model_full_path(ctx, path, err);

	if (!full)
		return -EINVAL;
	char plain[sizeof(err->path)];
	struct walk w = {.ctx = ctx, .out = plain, .size = sizeof(plain), .err = err};
	plain[0] = 0;
	int rc = resolve(&w, full) || check_set(full, w.node, value, err) ? -EINVAL : 0;
	ly_err_clean(ctx, NULL);
	if (!rc && lyd_new_path(*tree, ctx, full, value, LYD_NEW_PATH_UPDATE, &made) != LY_SUCCESS) {
		rc = model_explain(ctx, *tree, err);
		snprintf(err->path, sizeof(err->path), "%s", full);
	}
	if (made && !*tree)
		*tree = made;
	while (*tree && (*tree)->parent)
		*tree = lyd_parent(*tree);
	*tree = lyd_first_sibling(*tree);
	free(full);
	return rc;
}

static bool is_explicit(const struct lyd_node *node)
{
	const struct lyd_node *child;

	if (node->schema->nodetype != LYS_CONTAINER || lysc_is_np_cont(node->schema) == 0)
		return !(node->flags & LYD_DEFAULT);
	LY_LIST_FOR (lyd_child(node), child)
		if (is_explicit(child))
			return true;
	return false;
}

int model_delete(struct ly_ctx *ctx, struct lyd_node **tree, const char *path, struct model_err *err)
{
	struct ly_set *set = NULL;
	unsigned deleted = 0;
	char *full = model_full_path(ctx, path, err);

	if (!full)
		return -EINVAL;
	ly_err_clean(ctx, NULL);
	if (*tree && lyd_find_xpath(*tree, full, &set) != LY_SUCCESS) {
		int rc = model_explain(ctx, *tree, err);
		free(full);
		return rc;
	}
	if (set && set->count && lysc_is_key(set->dnodes[0]->schema)) {
		ly_set_free(set, NULL);
		int rc = model_fail(err, full, "a key cannot be deleted; delete the whole entry");
		free(full);
		return rc;
	}
	for (uint32_t i = 0; set && i < set->count; i++) {
		if (!is_explicit(set->dnodes[i]))
			continue;
		if (set->dnodes[i] == *tree)
			*tree = (*tree)->next;
		lyd_free_tree(set->dnodes[i]);
		deleted++;
	}
	ly_set_free(set, NULL);
	if (!deleted)
		model_fail(err, full, "nothing is configured here");
	free(full);
	return deleted ? 0 : -EINVAL;
}

/* "name[a]/" for every entry of a list, or "name/", or "name". */
static void complete_node(json_t *out, const char *base, const struct lysc_node *node, const char *start,
	const struct lyd_node *tree, struct ly_ctx *ctx)
{
	size_t n = strcspn(start, "[");
	char text[2048];

	if (strncmp(node->name, start, n) != 0 || (start[n] == '[' && strlen(node->name) != n))
		return;
	if (node->nodetype != LYS_LIST) {
		snprintf(text, sizeof(text), "%s%s%s", base, node->name, node->nodetype == LYS_CONTAINER ? "/" : "");
		json_array_append_new(out, json_string(text));
		return;
	}
	struct model_err err;
	struct ly_set *set = NULL;
	snprintf(text, sizeof(text), "%s%s", base, node->name);
	char *full = model_full_path(ctx, text, &err);
	uint32_t quiet = 0;
	ly_temp_log_options(&quiet);
	if (full && tree && lyd_find_xpath(tree, full, &set) == LY_SUCCESS) {
		for (uint32_t i = 0; i < set->count && i < 1000; i++) {
			int len = snprintf(text, sizeof(text), "%s%s", base, node->name);
			for (const struct lyd_node *k = lyd_child(set->dnodes[i]); k && lysc_is_key(k->schema);
				k = k->next)
				len += snprintf(text + len, sizeof(text) - (size_t)len, "[%s]", lyd_get_value(k));
			snprintf(text + len, sizeof(text) - (size_t)len, "/");
			if (strncmp(text + strlen(base), start, strlen(start)) == 0)
				json_array_append_new(out, json_string(text));
		}
	}
	ly_temp_log_options(NULL);
	ly_set_free(set, NULL);
	free(full);
	if (!start[n]) {
		snprintf(text, sizeof(text), "%s%s[", base, node->name);
		json_array_append_new(out, json_string(text));
	}
}

/* Where the last component starts: after the last '/' outside brackets. */
static size_t last_component(const char *path)
{
	size_t start = 0;
	int depth = 0;

	for (size_t i = 0; path[i]; i++) {
		depth += path[i] == '[';
		depth -= path[i] == ']';
		if (path[i] == '/' && depth == 0)
			start = i + 1;
	}
	return start;
}

json_t *model_complete(struct ly_ctx *ctx, const struct lyd_node *tree, const char *path)
{
	json_t *out = json_array();
	char base[1024], full[1024] = "";
	struct model_err err;
	size_t at = last_component(path);
	struct walk w = {.ctx = ctx, .out = full, .size = sizeof(full), .err = &err};

	if (at >= sizeof(base))
		return out;
	memcpy(base, path, at);
	base[at] = 0;
	char parent[1024];
	snprintf(parent, sizeof(parent), "%s", base);
	if (at && parent[at - 1] == '/')
		parent[at - 1] = 0;
	if (parent[0] && resolve(&w, parent))
		return out;
	const struct lysc_node *child = NULL;
	if (w.node) {
		while ((child = lys_getnext(child, w.node, NULL, 0)))
			if ((child->flags & LYS_CONFIG_W) && !lysc_is_key(child))
				complete_node(out, base, child, path + at, tree, ctx);
		return out;
	}
	uint32_t i = 0;
	const struct lys_module *mod;
	while ((mod = ly_ctx_get_module_iter(ctx, &i)))
		while (mod->implemented && mod->compiled && (child = lys_getnext(child, NULL, mod->compiled, 0)))
			if (child->flags & LYS_CONFIG_W)
				complete_node(out, base, child, path + at, tree, ctx);
	return out;
}
