/* SPDX-License-Identifier: BSD-3-Clause */
/* Errors a person can act on: libyang's message, the data path it belongs to, and the values that would be valid. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libyang/plugins_types.h>

#include "model.h"

int model_fail(struct model_err *err, const char *path, const char *fmt, ...)
{
	va_list ap;

	snprintf(err->path, sizeof(err->path), "%s", path ? path : "");
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	return -EINVAL;
}

const char *model_err_str(const struct model_err *err, char *buf, size_t size)
{
	snprintf(buf, size, "%s%s%s", err->path, err->path[0] ? ": " : "", err->text);
	return buf;
}

struct text {
	char *buf;
	size_t size, len;
};

static void add(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void add(struct text *t, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(t->buf + t->len, t->size - t->len, fmt, ap);
	va_end(ap);
	if (n > 0)
		t->len = t->len + (size_t)n < t->size ? t->len + (size_t)n : t->size - 1;
}

/* The part of libyang's "Data location \"/a/b\", line number 3." between the quotes after what. Quotes may be inside.
 */
static bool location(const char *where, const char *what, char *out, size_t size)
{
	const char *p = where ? strstr(where, what) : NULL;

	if (!p)
		return false;
	p += strlen(what);
	const char *end = strstr(p, "\", line number");
	if (!end)
		end = strrchr(p, '"');
	if (!end)
		return false;
	size_t n = (size_t)(end - p) < size - 1 ? (size_t)(end - p) : size - 1;
	memcpy(out, p, n);
	out[n] = 0;
	return true;
}

static unsigned long line_number(const char *where)
{
	const char *p = where ? strstr(where, "ine number ") : NULL;

	return p ? strtoul(p + strlen("ine number "), NULL, 10) : 0;
}

/* Data path without predicates. */
static void strip_predicates(const char *path, char *out, size_t size)
{
	size_t n = 0;
	char quote = 0;
	int depth = 0;

	for (; *path && n < size - 1; path++) {
		if (depth && quote) {
			quote = *path == quote ? 0 : quote;
		} else if (depth && (*path == '\'' || *path == '"')) {
			quote = *path;
		} else if (*path == '[') {
			depth++;
		} else if (*path == ']') {
			depth--;
		} else if (!depth) {
			out[n++] = *path;
		}
	}
	out[n] = 0;
}

static const struct lysc_node *schema_of(struct ly_ctx *ctx, const char *path)
{
	char plain[1024];

	strip_predicates(path, plain, sizeof(plain));
	uint32_t old = 0;
	ly_temp_log_options(&old); /* a path without a schema node is no error here */
	const struct lysc_node *node = plain[0] == '/' ? lys_find_path(ctx, NULL, plain, 0) : NULL;
	ly_temp_log_options(NULL);
	return node;
}

static void describe_range(struct text *t, const struct lysc_range *range, bool is_signed)
{
	LY_ARRAY_COUNT_TYPE i;

	LY_ARRAY_FOR(range->parts, i)
	{
		const struct lysc_range_part *p = &range->parts[i];
		add(t, "%s", i ? ", " : "");
		if (is_signed)
			add(t, "%lld", (long long)p->min_64);
		else
			add(t, "%llu", (unsigned long long)p->min_u64);
		if (p->min_u64 != p->max_u64 && is_signed)
			add(t, "..%lld", (long long)p->max_64);
		else if (p->min_u64 != p->max_u64)
			add(t, "..%llu", (unsigned long long)p->max_u64);
	}
}

static void describe_type(
	struct text *t, struct ly_ctx *ctx, const struct lyd_node *tree, const struct lysc_type *type);

static void describe_enum(struct text *t, const struct lysc_type *type)
{
	const struct lysc_type_enum *e = (const struct lysc_type_enum *)type;
	LY_ARRAY_COUNT_TYPE i;

	LY_ARRAY_FOR(e->enums, i)
	add(t, "%s%s", i ? ", " : "", e->enums[i].name);
}

/* Identities that may be used: the leaves of the tree, with their module. iana-if-type has hundreds: only a few. */
static unsigned describe_identity(struct text *t, struct lysc_ident *const *idents, unsigned n)
{
	LY_ARRAY_COUNT_TYPE i;

	LY_ARRAY_FOR(idents, i)
	{
		if (n >= 12)
			return n;
		if (LY_ARRAY_COUNT(idents[i]->derived)) {
			n = describe_identity(t, idents[i]->derived, n);
		} else {
			add(t, "%s%s:%s", n ? ", " : "", idents[i]->module->name, idents[i]->name);
			n++;
		}
	}
	return n;
}

/* What exists at the other end of a reference. */
static void describe_targets(struct text *t, const struct lyd_node *tree, const struct lysc_type_leafref *ref)
{
	struct ly_set *set = NULL;
	uint32_t old = 0;

	ly_temp_log_options(&old);
	char plain[512];
	/* The path is in the prefixes of its module; the last component of the absolute paths we use is all we need. */
	snprintf(plain, sizeof(plain), "%s", lyxp_get_expr(ref->path));
	char *name = plain;
	for (char *p = plain, *out = plain; (*out = *p); p++) {
		if (*p == ':') { /* drop "prefix" */
			while (out > plain && out[-1] != '/')
				out--;
			continue;
		}
		out++;
	}
	char xpath[640];
	int n = snprintf(xpath, sizeof(xpath), "/");
	for (char *part = strtok_r(plain, "/", &name); part; part = strtok_r(NULL, "/", &name))
		n += snprintf(xpath + n, sizeof(xpath) - (size_t)n, "%s*[local-name()='%s']", n > 1 ? "/" : "", part);
	if (tree && lyd_find_xpath(tree, xpath, &set) == LY_SUCCESS && set->count) {
		for (uint32_t i = 0; i < set->count && i < 12; i++)
			add(t, "%s%s", i ? ", " : "", lyd_get_value(set->dnodes[i]));
		add(t, "%s", set->count > 12 ? ", ..." : "");
	} else {
		add(t, "none exists yet");
	}
	ly_set_free(set, NULL);
	ly_temp_log_options(NULL);
}

/* Types that libyang knows by a plugin of their own. */
static const struct {
	const char *id, *text;
} known_types[] = {
	{"ipv4-prefix", "an IPv4 prefix such as 192.0.2.0/24"},
	{"ipv6-prefix", "an IPv6 prefix such as 2001:db8::/32"},
	{"ipv4-address", "an IPv4 address such as 192.0.2.1"},
	{"ipv6-address", "an IPv6 address such as 2001:db8::1"},
	{NULL, NULL},
};

static void describe_union(
	struct text *t, struct ly_ctx *ctx, const struct lyd_node *tree, const struct lysc_type_union *u)
{
	LY_ARRAY_COUNT_TYPE i;

	LY_ARRAY_FOR(u->types, i)
	{
		size_t before = t->len;
		if (i)
			add(t, ", ");
		size_t mark = t->len;
		describe_type(t, ctx, tree, u->types[i]);
		if (t->len == mark) { /* nothing to say about this member */
			t->len = before;
			t->buf[before] = 0;
		}
	}
}

static void describe_type(struct text *t, struct ly_ctx *ctx, const struct lyd_node *tree, const struct lysc_type *type)
{
	for (unsigned i = 0; known_types[i].id; i++)
		if (type->plugin && type->plugin->id && strstr(type->plugin->id, known_types[i].id)) {
			add(t, "%s", known_types[i].text);
			return;
		}
	const struct lysc_type_num *num = (const struct lysc_type_num *)type;
	switch (type->basetype) {
	case LY_TYPE_ENUM:
		describe_enum(t, type);
		break;
	case LY_TYPE_BOOL:
		add(t, "true, false");
		break;
	case LY_TYPE_IDENT:
		describe_identity(t, ((const struct lysc_type_identityref *)type)->bases, 0);
		break;
	case LY_TYPE_LEAFREF:
		describe_targets(t, tree, (const struct lysc_type_leafref *)type);
		break;
	case LY_TYPE_UNION:
		describe_union(t, ctx, tree, (const struct lysc_type_union *)type);
		break;
	case LY_TYPE_STRING:
		if (((const struct lysc_type_str *)type)->length) {
			describe_range(t, ((const struct lysc_type_str *)type)->length, false);
			add(t, " characters");
		}
		break;
	case LY_TYPE_UINT8:
	case LY_TYPE_UINT16:
	case LY_TYPE_UINT32:
	case LY_TYPE_UINT64:
		if (num->range)
			describe_range(t, num->range, false);
		else
			add(t, "0..%llu",
				type->basetype == LY_TYPE_UINT8	   ? 255ull
				: type->basetype == LY_TYPE_UINT16 ? 65535ull
				: type->basetype == LY_TYPE_UINT32 ? 4294967295ull
								   : 18446744073709551615ull);
		break;
	case LY_TYPE_INT8:
	case LY_TYPE_INT16:
	case LY_TYPE_INT32:
	case LY_TYPE_INT64:
		if (num->range)
			describe_range(t, num->range, true);
		break;
	default:
		break;
	}
}

static void describe_children(struct text *t, const struct lysc_node *parent)
{
	const struct lysc_node *child = NULL;
	unsigned n = 0;

	while ((child = lys_getnext(child, parent, NULL, 0)))
		if (child->flags & LYS_CONFIG_W)
			add(t, "%s%s%s%s", n++ ? ", " : "", child->module == parent->module ? "" : child->module->name,
				child->module == parent->module ? "" : ":", child->name);
}

static void describe_module(struct text *t, const struct lys_module *mod)
{
	const struct lysc_node *child = NULL;
	unsigned n = 0;

	while (mod && mod->compiled && (child = lys_getnext(child, NULL, mod->compiled, 0)))
		if (child->flags & LYS_CONFIG_W)
			add(t, "%s%s:%s", n++ ? ", " : "", mod->name, child->name);
}

/* The first quoted word of libyang's message. */
static bool quoted(const char *msg, unsigned nth, char *out, size_t size)
{
	const char *p = msg;

	for (unsigned i = 0; p && i < nth * 2; i++)
		p = strchr(p, '"') ? strchr(p, '"') + 1 : NULL;
	p = p ? strchr(p, '"') : NULL;
	const char *end = p ? strchr(p + 1, '"') : NULL;
	if (!end)
		return false;
	snprintf(out, size, "%.*s", (int)(end - p - 1), p + 1);
	return true;
}

static void unknown_node(struct ly_ctx *ctx, struct model_err *err, const char *msg, struct text *t)
{
	char node[128] = "", module[128] = "";

	quoted(msg, 0, node, sizeof(node));
	if (strstr(msg, "not found as a child")) {
		const struct lysc_node *parent = schema_of(ctx, err->path);
		size_t n = strlen(err->path);
		snprintf(err->path + n, sizeof(err->path) - n, "/%s", node);
		add(t, "unknown node \"%s\"", node);
		if (parent) {
			add(t, "; valid: ");
			describe_children(t, parent);
		}
		return;
	}
	quoted(msg, 1, module, sizeof(module));
	snprintf(err->path, sizeof(err->path), "/%s:%s", module, node);
	add(t, "unknown node \"%s\"; valid: ", node);
	describe_module(t, ly_ctx_get_module_implemented(ctx, module));
}

/* libyang says which module it does not know, but not which node of it: the path ends in a star. */
static void unknown_module(struct ly_ctx *ctx, struct model_err *err, const char *msg, struct text *t)
{
	char module[128] = "";
	const struct lys_module *mod;
	uint32_t i = 0;
	unsigned n = 0;
	size_t len = strlen(err->path);

	quoted(msg, 0, module, sizeof(module));
	snprintf(err->path + len, sizeof(err->path) - len, "/%s:*", module);
	add(t, "unknown module \"%s\"; valid: ", module);
	while ((mod = ly_ctx_get_module_iter(ctx, &i)))
		if (mod->implemented && mod->compiled && mod->compiled->data)
			add(t, "%s%s", n++ ? ", " : "", mod->name);
}

/* The schema node called by a schema path that may name choices. */
static const struct lysc_node *schema_with_choices(struct ly_ctx *ctx, const char *path)
{
	const struct lysc_node *node = NULL;
	char copy[1024], *save = NULL;

	snprintf(copy, sizeof(copy), "%s", path);
	const struct lys_module *mod = NULL;
	for (char *part = strtok_r(copy, "/", &save); part; part = strtok_r(NULL, "/", &save)) {
		char *colon = strchr(part, ':');
		if (colon) {
			*colon = 0;
			mod = ly_ctx_get_module_implemented(ctx, part);
			part = colon + 1;
		}
		if (!mod || !mod->compiled)
			return NULL;
		const struct lysc_node *child = NULL, *found = NULL;
		while (!found && (child = lys_getnext(child, node, node ? NULL : mod->compiled,
					  LYS_GETNEXT_WITHCHOICE | LYS_GETNEXT_WITHCASE)))
			if (child->module == mod && strcmp(child->name, part) == 0)
				found = child;
		if (!(node = found))
			return NULL;
	}
	return node;
}

static bool has_below(const struct lyd_node *inst, const struct lysc_node *missing)
{
	const struct lyd_node *child;

	LY_LIST_FOR (lyd_child(inst), child)
		for (const struct lysc_node *s = child->schema; s && s != inst->schema; s = s->parent)
			if (s == missing)
				return true;
	return false;
}

/* libyang names a missing node by its schema path only: find the first instance that lacks it. */
static void locate_missing(
	struct ly_ctx *ctx, const struct lyd_node *tree, const char *schema_path, struct model_err *err)
{
	const struct lysc_node *missing = schema_with_choices(ctx, schema_path);
	const struct lysc_node *parent = missing ? missing->parent : NULL;
	const struct lyd_node *top, *elem;

	snprintf(err->path, sizeof(err->path), "%s", schema_path);
	while (parent && (parent->nodetype & (LYS_CHOICE | LYS_CASE)))
		parent = parent->parent;
	if (!parent)
		return;
	LY_LIST_FOR (tree, top)
		LYD_TREE_DFS_BEGIN (top, elem) {
			if (elem->schema == parent && !has_below(elem, missing)) {
				if (lyd_path(elem, LYD_PATH_STD, err->path, sizeof(err->path) - 140)) {
					size_t n = strlen(err->path);
					bool foreign = missing->module != parent->module;
					snprintf(err->path + n, sizeof(err->path) - n, "/%s%s%s",
						foreign ? missing->module->name : "", foreign ? ":" : "",
						missing->name);
				}
				return;
			}
			LYD_TREE_DFS_END(top, elem);
		}
}

static bool about_a_value(const char *msg)
{
	static const char *const starts[] = {"Unsatisfied pattern", "Unsatisfied range", "Unsatisfied length",
		"Invalid enumeration value", "Invalid union value", "Invalid boolean value", "Invalid identityref",
		"Invalid leafref value", "Invalid type", "Value \"", "Invalid non-", "Invalid Base64", "Invalid empty",
		"Failed to convert"};

	for (unsigned i = 0; i < sizeof(starts) / sizeof(starts[0]); i++)
		if (strncmp(msg, starts[i], strlen(starts[i])) == 0)
			return true;
	return false;
}

static void bad_value(struct ly_ctx *ctx, const struct lyd_node *tree, const struct lysc_node *schema, const char *msg,
	struct text *t)
{
	char value[128] = "";

	if (schema && model_is_secret(schema))
		add(t, "the value is not valid"); /* and stays unprinted */
	else if (strncmp(msg, "Invalid leafref value", 21) == 0 && quoted(msg, 0, value, sizeof(value)))
		add(t, "\"%s\" does not exist", value);
	else if (quoted(msg, 0, value, sizeof(value)))
		add(t, "\"%s\" is not valid", value);
	else
		add(t, "%s", msg);
	if (strncmp(msg, "Invalid non-number-encoded", 26) == 0) /* RFC 7951, 6.1 */
		add(t, " in quotes, this is a number");
	if (!schema || !(schema->nodetype & (LYS_LEAF | LYS_LEAFLIST)))
		return;
	const struct lysc_type *type = ((const struct lysc_node_leaf *)schema)->type;
	size_t before = t->len;
	add(t, "; valid: ");
	size_t mark = t->len;
	describe_type(t, ctx, tree, type);
	if (t->len == mark) {
		t->len = before;
		t->buf[before] = 0;
	}
}

static const struct ly_err_item *first_error(struct ly_ctx *ctx)
{
	for (const struct ly_err_item *e = ly_err_first(ctx); e; e = e->next)
		if (e->level == LY_LLERR)
			return e;
	return NULL;
}

int model_explain(struct ly_ctx *ctx, const struct lyd_node *tree, struct model_err *err)
{
	const struct ly_err_item *e = first_error(ctx);
	struct text t = {.buf = err->text, .size = sizeof(err->text)};

	err->path[0] = 0;
	err->text[0] = 0;
	if (!e)
		return model_fail(err, NULL, "the configuration is not valid");
	const char *msg = e->msg ? e->msg : "the configuration is not valid";
	char schema_path[1024];
	if (!location(e->path, "Data location \"", err->path, sizeof(err->path)) &&
		location(e->path, "Schema location \"", schema_path, sizeof(schema_path)))
		locate_missing(ctx, tree, schema_path, err);
	if (!err->path[0] && e->path && e->path[0] == '/')
		snprintf(err->path, sizeof(err->path), "%s", e->path);

	const struct lysc_node *schema = schema_of(ctx, err->path);
	if (strncmp(msg, "Node \"", 6) == 0 && strstr(msg, "not found"))
		unknown_node(ctx, err, msg, &t);
	else if (strncmp(msg, "No module ", 10) == 0)
		unknown_module(ctx, err, msg, &t);
	else if (about_a_value(msg))
		bad_value(ctx, tree, schema, msg, &t);
	else if (strncmp(msg, "Mandatory ", 10) == 0)
		add(&t, "missing, and it is mandatory");
	else if (strncmp(msg, "When condition", 14) == 0)
		add(&t, "the node does not belong here: it needs %s", strchr(msg, '"') ? strchr(msg, '"') : msg);
	else
		add(&t, "%s", msg);
	while (t.len && t.len < t.size && t.buf[t.len - 1] == '.')
		t.buf[--t.len] = 0;
	unsigned long line = line_number(e->path);
	if (line > 1)
		add(&t, " (line %lu)", line);
	ly_err_clean(ctx, NULL);
	return -EINVAL;
}
