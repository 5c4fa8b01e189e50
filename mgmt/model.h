/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The data model: a libyang context with the modules of mgmt/yang, and the operations on one configuration tree that
 * the datastores are made of. Every error names the node, what is wrong and what would be valid. Loop thread only.
 */
#ifndef MGMT_MODEL_H
#define MGMT_MODEL_H

#include <jansson.h>
#include <libyang/libyang.h>
#include <stdbool.h>

#define MODEL_HIDDEN "<hidden>" /* stands for a secret in everything that is printed for people */

struct model_err {
	char path[1024]; /* YANG path in JSON notation; empty when the error belongs to no node */
	char text[1536]; /* what is wrong; what is valid */
};
/* Format an error; path may be NULL. Returns -EINVAL. */
int model_fail(struct model_err *err, const char *path, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* "path: text" into buf; returns buf. */
const char *model_err_str(const struct model_err *err, char *buf, size_t size);

/*
 * Load all modules. dirs: directories separated by ':', searched in this order; NULL = where the package installs them.
 * NULL on failure with err filled.
 */
struct ly_ctx *model_load(const char *dirs, struct model_err *err);

/*
 * Parse text (JSON, or XML when it starts with '<') into *tree without validating it as a whole: unknown nodes and bad
 * values are found, references are not looked at. len in bytes; text[len] must be 0. 0 or -EINVAL, then *tree is NULL.
 */
int model_parse(struct ly_ctx *ctx, const char *text, struct lyd_node **tree, struct model_err *err);
/* Validate and add default nodes. The tree stays usable after a failure. */
int model_validate(struct ly_ctx *ctx, struct lyd_node **tree, struct model_err *err);
/*
 * Where tree carries MODEL_HIDDEN for a secret, put in the value that `from` has at the same path; an error when there
 * is none. Lets a printed configuration be loaded again.
 */
int model_restore_secrets(
	struct ly_ctx *ctx, struct lyd_node *tree, const struct lyd_node *from, struct model_err *err);

/*
 * path in the short form people type: module prefixes may be left out where the name is unique, and the key of a list
 * with one key as well: "interfaces/interface[lan]/mtu". Returns the full form (free() it), or NULL with err.
 */
char *model_full_path(struct ly_ctx *ctx, const char *path, struct model_err *err);
/* Create or change the node at path. value NULL for list entries and presence containers. */
int model_set(struct ly_ctx *ctx, struct lyd_node **tree, const char *path, const char *value, struct model_err *err);
int model_delete(struct ly_ctx *ctx, struct lyd_node **tree, const char *path, struct model_err *err);
/* Names that can follow path (a prefix of it may be half a name): for completion. A JSON array of strings. */
json_t *model_complete(struct ly_ctx *ctx, const struct lyd_node *tree, const char *path);

/*
 * Print what the operator wrote (no defaults), below path if it is not NULL. secrets: as they are (files of mode 0600
 * only) or hidden. The caller frees the string with model_text_free, which zeroes it. NULL with err.
 */
char *model_print(struct ly_ctx *ctx, const struct lyd_node *tree, const char *path, LYD_FORMAT format, bool secrets,
	struct model_err *err);
void model_text_free(char *text);

/* Differences from a to b as an array of {"op": "create"|"delete"|"replace", "path", "value", "old"}, secrets hidden.
 */
json_t *model_diff(const struct lyd_node *a, const struct lyd_node *b);

bool model_is_secret(const struct lysc_node *schema);

/* model_error.c: turn libyang's stored error into ours. tree: the data being checked, for what is missing; may be NULL.
 */
int model_explain(struct ly_ctx *ctx, const struct lyd_node *tree, struct model_err *err);

#endif
