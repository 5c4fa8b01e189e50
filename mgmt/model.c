/* SPDX-License-Identifier: BSD-3-Clause */
/* Loading the YANG modules; parsing, validating and printing configuration trees. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cv_secret.h"
#include "model.h"
#include "type6.h"

/* In this order: a module before those that refer to it. Revisions where two may be installed: the NMDA ones. */
static const struct {
	const char *name, *revision;
} modules[] = {
	{"iana-if-type", NULL},
	{"ietf-interfaces", "2018-02-20"},
	{"ietf-ip", "2018-02-22"},
	{"ietf-routing", "2018-03-13"},
	{"ietf-ipv4-unicast-routing", "2018-03-13"},
	{"ietf-ipv6-unicast-routing", "2018-03-13"},
	{"culvert-types", NULL},
	{"culvert-platform", NULL},
	{"culvert-vrf", NULL},
	{"culvert-acl", NULL},
	{"culvert-pki", NULL},
	{"culvert-aaa", NULL},
	{"culvert-ike", NULL},
	{"culvert-ipsec", NULL},
	{"culvert-tunnel", NULL},
	{"culvert-qos", NULL},
	{"culvert-firewall", NULL},
	{"culvert-multicast", NULL},
	{"culvert-deviations", NULL},
};

static bool add_search_dirs(struct ly_ctx *ctx, const char *dirs)
{
	char *copy = strdup(dirs), *save = NULL;
	bool any = false;

	for (char *d = copy ? strtok_r(copy, ":", &save) : NULL; d; d = strtok_r(NULL, ":", &save))
		any |= ly_ctx_set_searchdir(ctx, d) == LY_SUCCESS;
	free(copy);
	ly_err_clean(ctx, NULL); /* directories that do not exist are no error as long as the modules are found */
	return any;
}

struct ly_ctx *model_load(const char *dirs, struct model_err *err)
{
	struct ly_ctx *ctx = NULL;

	if (!dirs)
		dirs = CULVERT_YANG_PATH;
	ly_log_options(LY_LOSTORE); /* errors are read by model_explain, nothing goes to stderr */
	if (ly_ctx_new(NULL, LY_CTX_NO_YANGLIBRARY | LY_CTX_DISABLE_SEARCHDIR_CWD | LY_CTX_EXPLICIT_COMPILE, &ctx) !=
		LY_SUCCESS) {
		model_fail(err, NULL, "out of memory");
		return NULL;
	}
	if (!add_search_dirs(ctx, dirs)) {
		model_fail(err, NULL, "no YANG directory can be read: %s", dirs);
		goto fail;
	}
	for (unsigned i = 0; i < sizeof(modules) / sizeof(modules[0]); i++)
		if (!ly_ctx_load_module(ctx, modules[i].name, modules[i].revision, NULL)) {
			const char *why = ly_errmsg(ctx);
			model_fail(err, NULL, "YANG module %s%s%s cannot be loaded from %s: %s", modules[i].name,
				modules[i].revision ? "@" : "", modules[i].revision ? modules[i].revision : "", dirs,
				why ? why : "not found");
			goto fail;
		}
	if (ly_ctx_compile(ctx) != LY_SUCCESS) {
		model_explain(ctx, NULL, err);
		goto fail;
	}
	ly_err_clean(ctx, NULL);
	return ctx;
fail:
	ly_ctx_destroy(ctx);
	return NULL;
}

int model_parse(struct ly_ctx *ctx, const char *text, struct lyd_node **tree, struct model_err *err)
{
	const char *p = text + strspn(text, " \t\r\n");

	*tree = NULL;
	ly_err_clean(ctx, NULL);
	if (!*p)
		return model_fail(err, NULL, "the configuration is empty; an empty one is written {}");
	LY_ERR rc = lyd_parse_data_mem(ctx, text, *p == '<' ? LYD_XML : LYD_JSON,
		LYD_PARSE_ONLY | LYD_PARSE_STRICT | LYD_PARSE_NO_STATE, 0, tree);
	if (rc == LY_SUCCESS)
		return 0;
	lyd_free_all(*tree);
	*tree = NULL;
	return model_explain(ctx, NULL, err);
}

int model_validate(struct ly_ctx *ctx, struct lyd_node **tree, struct model_err *err)
{
	ly_err_clean(ctx, NULL);
	if (lyd_validate_all(tree, ctx, LYD_VALIDATE_NO_STATE, NULL) == LY_SUCCESS)
		return 0;
	return model_explain(ctx, *tree, err);
}

bool model_is_secret(const struct lysc_node *schema)
{
	LY_ARRAY_COUNT_TYPE i;

	LY_ARRAY_FOR(schema->exts, i)
	{
		const struct lysc_ext *def = schema->exts[i].def;
		if (strcmp(def->name, "secret") == 0 && strcmp(def->module->name, "culvert-types") == 0)
			return true;
	}
	return false;
}

int model_restore_secrets(struct ly_ctx *ctx, struct lyd_node *tree, const struct lyd_node *from, struct model_err *err)
{
	struct lyd_node *top, *elem;
	char path[1024];

	LY_LIST_FOR (tree, top)
		LYD_TREE_DFS_BEGIN (top, elem) {
			if (model_is_secret(elem->schema) && strcmp(lyd_get_value(elem), MODEL_HIDDEN) == 0) {
				struct lyd_node *known = NULL;
				if (!lyd_path(elem, LYD_PATH_STD, path, sizeof(path)))
					return model_fail(err, NULL, "out of memory");
				uint32_t quiet = 0;
				ly_temp_log_options(&quiet);
				if (!from || lyd_find_path(from, path, 0, &known) != LY_SUCCESS)
					known = NULL;
				ly_temp_log_options(NULL);
				if (!known)
					return model_fail(err, path,
						"the secret was left out of the listing this comes from; write the "
						"real value");
				if (lyd_change_term(elem, lyd_get_value(known)) != LY_SUCCESS)
					return model_explain(ctx, tree, err);
			}
			LYD_TREE_DFS_END(top, elem);
		}
	return 0;
}

/* What is encrypted may be seen (T6KEY-4), what is in clear may not. */
static const char *shown(const char *secret)
{
	return type6_is(secret) ? secret : MODEL_HIDDEN;
}

static void hide_secrets(struct lyd_node *tree)
{
	struct lyd_node *top, *elem;

	LY_LIST_FOR (tree, top)
		LYD_TREE_DFS_BEGIN (top, elem) {
			if (model_is_secret(elem->schema))
				(void)lyd_change_term(elem, shown(lyd_get_value(elem)));
			LYD_TREE_DFS_END(top, elem);
		}
}

/* A copy of tree, or of what is below path with its parents. */
static struct lyd_node *copy_part(
	struct ly_ctx *ctx, const struct lyd_node *tree, const char *path, struct model_err *err)
{
	struct lyd_node *copy = NULL;

	if (!path) {
		if (tree && lyd_dup_siblings(tree, NULL, LYD_DUP_RECURSIVE | LYD_DUP_WITH_FLAGS, &copy) != LY_SUCCESS)
			model_explain(ctx, tree, err);
		return copy;
	}
	char *full = model_full_path(ctx, path, err);
	struct ly_set *set = NULL;
	if (full && tree && lyd_find_xpath(tree, full, &set) == LY_SUCCESS) {
		for (uint32_t i = 0; i < set->count; i++) {
			struct lyd_node *one = NULL;
			if (lyd_dup_single(set->dnodes[i], NULL,
				    LYD_DUP_RECURSIVE | LYD_DUP_WITH_PARENTS | LYD_DUP_WITH_FLAGS, &one) != LY_SUCCESS)
				continue;
			while (one->parent)
				one = lyd_parent(one);
			(void)lyd_merge_siblings(&copy, one, LYD_MERGE_DESTRUCT | LYD_MERGE_WITH_FLAGS);
		}
	}
	if (full && !copy)
		model_fail(err, full, "nothing is configured here");
	ly_set_free(set, NULL);
	free(full);
	return copy;
}

char *model_print(struct ly_ctx *ctx, const struct lyd_node *tree, const char *path, LYD_FORMAT format, bool secrets,
	struct model_err *err)
{
	char *text = NULL;

	err->path[0] = err->text[0] = 0;
	struct lyd_node *copy = copy_part(ctx, tree, path, err);
	if (err->text[0]) {
		lyd_free_all(copy);
		return NULL;
	}
	if (!secrets)
		hide_secrets(copy);
	if (copy && lyd_print_mem(&text, copy, format, LYD_PRINT_WITHSIBLINGS) != LY_SUCCESS)
		model_explain(ctx, copy, err);
	lyd_free_all(copy);
	if (!text && !err->text[0])
		text = strdup(format == LYD_JSON ? "{}\n" : "");
	return text;
}

void model_text_free(char *text)
{
	if (text)
		cv_secret_zero(text, strlen(text));
	free(text);
}

static const char *operation(const struct lyd_node *node, const char *inherited)
{
	for (const struct lyd_meta *m = node->meta; m; m = m->next)
		if (strcmp(m->name, "operation") == 0)
			return lyd_get_meta_value(m);
	return inherited;
}

static const char *old_value(const struct lyd_node *node)
{
	for (const struct lyd_meta *m = node->meta; m; m = m->next)
		if (strcmp(m->name, "orig-value") == 0)
			return lyd_get_meta_value(m);
	return NULL;
}

static void diff_entry(json_t *out, const struct lyd_node *node, const char *op)
{
	char path[1024];
	bool term = node->schema->nodetype & (LYS_LEAF | LYS_LEAFLIST);
	bool secret = term && model_is_secret(node->schema);
	const char *old = old_value(node);
	/* libyang says replace also for an entry that only changed its place */
	bool moved = strcmp(op, "replace") == 0 && node->schema->nodetype != LYS_LEAF;

	if (!lyd_path(node, term && node->schema->nodetype == LYS_LEAFLIST ? LYD_PATH_STD_NO_LAST_PRED : LYD_PATH_STD,
		    path, sizeof(path)))
		return;
	json_t *e = json_pack("{s:s, s:s}", "op", moved ? "move" : op, "path", path);
	if (term)
		json_object_set_new(e, "value", json_string(secret ? shown(lyd_get_value(node)) : lyd_get_value(node)));
	if (old && !moved)
		json_object_set_new(e, "old", json_string(secret ? shown(old) : old));
	json_array_append_new(out, e);
}

static void diff_walk(json_t *out, const struct lyd_node *node, const char *inherited)
{
	const struct lyd_node *child;
	const char *op = operation(node, inherited);
	bool changes = strcmp(op, "none") != 0;

	if (changes && !lysc_is_key(node->schema) && node->schema->nodetype != LYS_CONTAINER)
		diff_entry(out, node, op);
	/* below an entry that only moved nothing is new */
	if (changes && strcmp(op, "replace") == 0)
		op = "none";
	LY_LIST_FOR (lyd_child(node), child)
		if (!(child->flags & LYD_DEFAULT) || child->schema->nodetype == LYS_CONTAINER)
			diff_walk(out, child, op);
}

json_t *model_diff(const struct lyd_node *a, const struct lyd_node *b)
{
	struct lyd_node *diff = NULL, *node;
	json_t *out = json_array();

	if (lyd_diff_siblings(a, b, 0, &diff) == LY_SUCCESS)
		LY_LIST_FOR (diff, node)
			diff_walk(out, node, "none");
	lyd_free_all(diff);
	return out;
}
