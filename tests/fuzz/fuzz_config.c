/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The configuration loader: any text as a path (first line) and as a configuration (the rest). Whatever comes, the
 * answer is a configuration or an error with a text; nothing else.
 */
#include <stdlib.h>
#include <string.h>

#include "build.h"
#include "model.h"

static struct ly_ctx *ctx;

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct model_err err;

	(void)argc;
	(void)argv;
	ctx = model_load(FUZZ_YANG_PATH, &err);
	if (!ctx)
		abort();
	return 0;
}

static void must_explain(int rc, const struct model_err *err)
{
	if (rc && !err->text[0])
		abort();
}

static void use_path(struct lyd_node **tree, const char *path)
{
	struct model_err err = {0};

	json_decref(model_complete(ctx, *tree, path));
	must_explain(model_set(ctx, tree, path, "1", &err), &err);
	err.text[0] = 0;
	must_explain(model_delete(ctx, tree, path, &err), &err);
}

static void use_text(const char *text, struct lyd_node **tree)
{
	struct model_err err = {0};

	must_explain(model_parse(ctx, text, tree, &err), &err);
	if (!*tree)
		return;
	err.text[0] = 0;
	int rc = model_validate(ctx, tree, &err);
	must_explain(rc, &err);
	if (rc)
		return;
	err.text[0] = 0;
	struct cv_config *cfg = build_config(*tree, NULL, NULL, NULL, &err);
	must_explain(cfg ? 0 : -1, &err);
	if (cfg)
		config_unref(cfg);
	model_text_free(model_print(ctx, *tree, NULL, LYD_JSON, false, &err));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct lyd_node *tree = NULL;
	char *text = malloc(size + 1);

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = 0;
	char *rest = strchr(text, '\n');
	if (rest)
		*rest++ = 0;
	use_text(rest ? rest : text, &tree);
	use_path(&tree, text);
	lyd_free_all(tree);
	free(text);
	return 0;
}
