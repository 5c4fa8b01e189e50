/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "build.h"
#include "cv_addr.h"
#include "cv_secret.h"

const struct lyd_node *tree_next(const struct lyd_node *parent, const char *name, const struct lyd_node *prev)
{
	const struct lyd_node *n = prev ? prev->next : parent ? lyd_child(parent) : NULL;

	while (n && (!n->schema || strcmp(n->schema->name, name) != 0))
		n = n->next;
	return n;
}

const struct lyd_node *tree_child(const struct lyd_node *node, const char *name)
{
	return tree_next(node, name, NULL);
}

unsigned tree_count(const struct lyd_node *parent, const char *name)
{
	unsigned n = 0;

	for (const struct lyd_node *c = NULL; (c = tree_next(parent, name, c));)
		n++;
	return n;
}

const struct lyd_node *tree_top(const struct lyd_node *tree, const char *module, const char *name)
{
	const struct lyd_node *n;

	LY_LIST_FOR (tree, n)
		if (strcmp(n->schema->name, name) == 0 && strcmp(n->schema->module->name, module) == 0)
			return n;
	return NULL;
}

const char *tree_text(const struct lyd_node *node, const char *name)
{
	const struct lyd_node *leaf = tree_child(node, name);

	return leaf ? lyd_get_value(leaf) : NULL;
}

uint64_t tree_number(const struct lyd_node *node, const char *name)
{
	const struct lyd_node *leaf = tree_child(node, name);

	if (!leaf)
		return 0;
	const struct lyd_value *v = &((const struct lyd_node_term *)leaf)->value;
	switch (v->realtype->basetype) {
	case LY_TYPE_UINT8:
		return v->uint8;
	case LY_TYPE_UINT16:
		return v->uint16;
	case LY_TYPE_UINT32:
		return v->uint32;
	default:
		return v->uint64;
	}
}

bool tree_flag(const struct lyd_node *node, const char *name)
{
	const char *v = tree_text(node, name);

	return v && strcmp(v, "true") == 0;
}

const char *build_text(struct build *b, const struct lyd_node *node, const char *name)
{
	const char *v = tree_text(node, name);

	return v ? config_strdup(b->c, v) : NULL;
}

bool build_fail(struct build *b, const struct lyd_node *node, const char *fmt, ...)
{
	va_list ap;

	if (b->failed)
		return false;
	b->failed = true;
	b->err->path[0] = 0;
	if (node)
		lyd_path(node, LYD_PATH_STD, b->err->path, sizeof(b->err->path));
	va_start(ap, fmt);
	vsnprintf(b->err->text, sizeof(b->err->text), fmt, ap);
	va_end(ap);
	return false;
}

bool build_addr(struct build *b, const struct lyd_node *leaf, struct cv_addr *out)
{
	if (leaf && cv_addr_parse(lyd_get_value(leaf), out) == 0)
		return true;
	return build_fail(
		b, leaf, "\"%s\" is not valid; valid: an IP address without a zone", leaf ? lyd_get_value(leaf) : "");
}

bool build_prefix(struct build *b, const struct lyd_node *leaf, struct cv_prefix *out)
{
	if (leaf && cv_prefix_parse(lyd_get_value(leaf), out) == 0)
		return true;
	return build_fail(b, leaf, "\"%s\" is not valid; valid: a prefix such as 192.0.2.0/24, or a host address",
		leaf ? lyd_get_value(leaf) : "");
}

const char **build_names(struct build *b, const struct lyd_node *node, const char *name, unsigned *n)
{
	*n = tree_count(node, name);
	if (!*n)
		return NULL;
	const char **out = config_alloc(b->c, *n, sizeof(*out));
	unsigned i = 0;
	for (const struct lyd_node *c = NULL; (c = tree_next(node, name, c));)
		out[i++] = config_strdup(b->c, lyd_get_value(c));
	return out;
}

enum ike_group build_group(const char *name)
{
	unsigned n = 0;

	/* the enumeration's names carry the IANA number */
	return name && sscanf(name, "group%u", &n) == 1 ? (enum ike_group)n : IKE_GROUP_NONE;
}

static void foreign(struct build *b, const struct lyd_node *leaf)
{
	char path[1024] = "", text[2048];

	if (!b->warn)
		return;
	lyd_path(leaf, LYD_PATH_STD, path, sizeof(path));
	snprintf(text, sizeof(text), "%s: type 6 secret \"%s\" %s; whatever needs it will not authenticate", path,
		lyd_get_value(leaf),
		secrets_have_key(b->secrets) ? "does not fit the master key" : "cannot be used without a master key");
	b->warn(b->arg, text);
}

static int nibble(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* In place. */
static bool from_hex(uint8_t *p, size_t *len)
{
	if (*len % 2)
		return false;
	for (size_t i = 0; i < *len / 2; i++) {
		int hi = nibble(p[2 * i]), lo = nibble(p[2 * i + 1]);
		if (hi < 0 || lo < 0)
			return false;
		p[i] = (uint8_t)(hi << 4 | lo);
	}
	*len /= 2;
	return true;
}

bool build_secret(struct build *b, const struct lyd_node *leaf, bool hex, const uint8_t **out, size_t *len)
{
	uint8_t plain[TYPE6_PLAIN_MAX + 1];
	const char *value = lyd_get_value(leaf);
	bool ok = true;

	*out = NULL;
	*len = 0;
	if (strcmp(value, MODEL_HIDDEN) == 0)
		return build_fail(
			b, leaf, "the secret was left out of the listing this comes from; write the real value");
	if (type6_is(value) && secrets_reveal(b->secrets, value, plain, len) != 0) {
		foreign(b, leaf);
		return true;
	}
	if (!type6_is(value)) {
		*len = strlen(value);
		if (*len > TYPE6_PLAIN_MAX)
			return build_fail(b, leaf, "too long; valid: up to %u characters", TYPE6_PLAIN_MAX);
		memcpy(plain, value, *len);
	}
	ok = !hex || from_hex(plain, len);
	if (ok)
		*out = config_secret(b->c, plain, *len);
	cv_secret_zero(plain, sizeof(plain));
	return ok || build_fail(b, leaf, "not hexadecimal; valid: an even number of digits 0-9, a-f");
}

static bool name_servers(struct build *b, const struct lyd_node *p)
{
	b->c->name_server = config_alloc(b->c, tree_count(p, "name-server"), sizeof(*b->c->name_server));
	for (const struct lyd_node *n = NULL; (n = tree_next(p, "name-server", n));) {
		struct cfg_name_server *s = &b->c->name_server[b->c->n_name_server++];

		s->port = (uint16_t)tree_number(n, "port");
		if (!build_addr(b, tree_child(n, "address"), &s->addr))
			return false;
	}
	return true;
}

static bool platform(struct build *b, const struct lyd_node *tree)
{
	const struct lyd_node *p = tree_top(tree, "culvert-platform", "platform");
	const char *poll = tree_text(p, "poll-mode");
	const char *hostname = tree_text(p, "hostname");

	b->c->hostname = config_strdup(b->c, hostname ? hostname : "culvert");
	b->c->workers = (unsigned)tree_number(p, "workers");
	b->c->busy_poll = poll && strcmp(poll, "busy") == 0;
	b->c->allow_legacy = tree_flag(p, "allow-legacy");
	return name_servers(b, p);
}

struct cv_config *build_config(const struct lyd_node *tree, const struct secrets *secrets,
	void (*warn)(void *arg, const char *text), void *arg, struct model_err *err)
{
	struct build b = {.c = config_new(), .err = err, .secrets = secrets, .warn = warn, .arg = arg};
	char why[CFG_ERR_MAX];

	if (!b.c) {
		model_fail(err, NULL, "out of memory");
		return NULL;
	}
	if (!platform(&b, tree) || !build_network(&b, tree) || !build_pki(&b, tree) || !build_aaa(&b, tree) ||
		!build_qos(&b, tree) || !build_firewall(&b, tree) || !build_multicast(&b, tree) ||
		!build_ike(&b, tree) || !build_ipsec(&b, tree))
		goto fail;
	if (config_resolve(b.c, why, warn, arg)) {
		/* "PATH: what": paths hold no ": " outside quotes */
		char *sep = why[0] == '/' ? strstr(why, ": ") : NULL;
		if (sep)
			*sep = 0;
		model_fail(err, sep ? why : NULL, "%s", sep ? sep + 2 : why);
		goto fail;
	}
	return b.c;
fail:
	config_unref(b.c);
	return NULL;
}
