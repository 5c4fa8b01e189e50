/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>
#include <string.h>

#include "cv_log.h"
#include "cv_secret.h"
#include "rpc.h"
#include "show_text.h"

#define RSA_BITS 3072u /* of a key whose size the operator leaves open */

/* ---- lines ---- */

char *rpc_lines_room(struct rpc_lines *l, size_t *room)
{
	if (l->len == l->size) {
		size_t size = l->size ? l->size * 2 : 4096;
		if (l->size >= l->max)
			return NULL;
		if (size > l->max)
			size = l->max;
		char *buf = malloc(size); /* not realloc: the old copy must be zeroed */
		if (!buf)
			return NULL;
		if (l->len)
			memcpy(buf, l->buf, l->len);
		if (l->buf)
			cv_secret_zero(l->buf, l->size);
		free(l->buf);
		l->buf = buf;
		l->size = size;
	}
	*room = l->size - l->len;
	return l->buf + l->len;
}

void rpc_lines_added(struct rpc_lines *l, size_t n)
{
	l->len += n;
}

long rpc_lines_first(struct rpc_lines *l)
{
	char *nl = l->len > l->scanned ? memchr(l->buf + l->scanned, '\n', l->len - l->scanned) : NULL;

	if (!nl) {
		l->scanned = l->len;
		return -1;
	}
	return nl - l->buf;
}

void rpc_lines_drop(struct rpc_lines *l, size_t line_len)
{
	size_t rest = l->len - line_len - 1;

	memmove(l->buf, l->buf + line_len + 1, rest);
	cv_secret_zero(l->buf + rest, line_len + 1);
	l->len = rest;
	l->scanned = 0;
}

void rpc_lines_free(struct rpc_lines *l)
{
	if (l->buf)
		cv_secret_zero(l->buf, l->size);
	free(l->buf);
	memset(l, 0, sizeof(*l));
}

/* ---- one request ---- */

struct call {
	const struct rpc_env *env;
	struct rpc_caller caller;
	json_t *request, *id;
	rpc_reply reply;
	void *arg;
};

static void call_free(struct call *c)
{
	json_decref(c->request);
	free(c);
}

static void answer(struct call *c, json_t *body)
{
	if (c->id)
		json_object_set(body, "id", c->id);
	char *text = json_dumps(body, JSON_COMPACT);
	json_decref(body);
	size_t len = text ? strlen(text) : 0;
	if (text) {
		text[len] = '\n'; /* in place of the terminating zero */
		c->reply(c->arg, text, len + 1, NULL);
	} else {
		static const char broken[] = "{\"error\":\"the answer cannot be encoded\"}\n";
		c->reply(c->arg, broken, sizeof(broken) - 1, NULL);
	}
	free(text);
	call_free(c);
}

static void answer_error(struct call *c, const struct model_err *err)
{
	char both[sizeof(err->path) + sizeof(err->text) + 4];
	json_t *body = json_object();

	json_object_set_new(body, "error", json_string(model_err_str(err, both, sizeof(both))));
	if (err->path[0])
		json_object_set_new(body, "path", json_string(err->path));
	json_object_set_new(body, "text", json_string(err->text));
	answer(c, body);
}

static void refuse(struct call *c, const char *text)
{
	struct model_err err;

	model_fail(&err, NULL, "%s", text);
	answer_error(c, &err);
}

static void answer_result(struct call *c, json_t *result)
{
	answer(c, json_pack("{s:o}", "result", result ? result : json_object()));
}

/* ---- an answer in pieces: {"id":...,"result":{...,"KEY":[ rest ]}} ---- */

struct rpc_more {
	struct call *c;
	struct control_rest *rest;
	struct show_text text;
};

static void more_free(struct rpc_more *m)
{
	m->rest->free(m->rest);
	text_free(&m->text);
	call_free(m->c);
	free(m);
}

void rpc_abandon(struct rpc_more *m)
{
	more_free(m);
}

/* Out goes what there is, with a slice more. */
void rpc_next(struct rpc_more *m)
{
	if (m->rest->next(m->rest, &m->text)) {
		struct show_text piece = m->text;

		m->text = (struct show_text){.comma = piece.comma};
		m->c->reply(m->c->arg, piece.p, piece.len, m); /* m may be gone now */
		text_free(&piece);
		return;
	}
	text_close(&m->text, ']');
	text_close(&m->text, '}');
	text_close(&m->text, '}');
	text_close(&m->text, '\n');
	m->c->reply(m->c->arg, m->text.p, m->text.len, NULL);
	more_free(m);
}

static void answer_pieces(struct call *c, json_t *result, struct control_rest *rest)
{
	struct rpc_more *m = calloc(1, sizeof(*m));
	const char *key;
	json_t *value;

	if (!m)
		abort();
	*m = (struct rpc_more){.c = c, .rest = rest};
	text_open(&m->text, NULL, '{');
	text_json(&m->text, "id", c->id);
	text_open(&m->text, "result", '{');
	json_object_foreach (result, key, value)
		text_json(&m->text, key, value);
	text_open(&m->text, rest->key, '[');
	json_decref(result);
	rpc_next(m);
}

/* Answer of control_show and control_do: ours to free. */
static void from_control(void *arg, json_t *result, struct control_rest *rest)
{
	struct call *c = arg;
	const char *error = json_string_value(json_object_get(result, "error"));

	if (error) {
		refuse(c, error);
		json_decref(result);
	} else if (rest) {
		answer_pieces(c, result, rest);
	} else {
		answer_result(c, result);
	}
}

static void from_store(void *arg, const struct model_err *err, const json_t *result)
{
	struct call *c = arg;

	if (err) {
		cv_notice("config", "%s by %s failed: %s %s", json_string_value(json_object_get(c->request, "config")),
			c->caller.name, err->path, err->text);
		answer_error(c, err);
		return;
	}
	cv_notice("config", "%s by %s", json_string_value(json_object_get(c->request, "config")), c->caller.name);
	answer_result(c, json_deep_copy(result));
}

static const char *text_of(const struct call *c, const char *name)
{
	return json_string_value(json_object_get(c->request, name));
}

/* A number of the request, as a JSON number or as digits; fallback when it is absent, malformed or above max. */
static long long number_of(const struct call *c, const char *name, long long max, long long fallback)
{
	json_t *v = json_object_get(c->request, name);
	const char *text = json_string_value(v);
	long long n = json_is_integer(v) ? json_integer_value(v) : -1;

	if (text && *text && strspn(text, "0123456789") == strlen(text) && strlen(text) < 10)
		n = strtoll(text, NULL, 10);
	return n < 0 || n > max ? fallback : n;
}

static void print_config(struct call *c, const char *which)
{
	struct model_err err;
	const char *format = text_of(c, "format");
	bool xml = format && strcmp(format, "xml") == 0;
	char *text = store_print(
		c->env->store, which ? which : "candidate", text_of(c, "path"), xml ? LYD_XML : LYD_JSON, &err);

	if (!text) {
		answer_error(c, &err);
		return;
	}
	json_t *result = json_pack("{s:s, s:s}", "format", xml ? "xml" : "json", "text", text);
	if (result && store_secret_notice(c->env->store))
		json_object_set_new(result, "notice", json_string(store_secret_notice(c->env->store)));
	model_text_free(text);
	if (result)
		answer_result(c, result);
	else
		refuse(c, "the configuration holds text that is not UTF-8");
}

/* Operations that answer with nothing but success or an error. */
static void simple(struct call *c, int rc, const struct model_err *err)
{
	if (rc)
		answer_error(c, err);
	else
		answer_result(c, NULL);
}

static void config_show(struct call *c)
{
	print_config(c, text_of(c, "source"));
}

static void config_load(struct call *c)
{
	struct model_err err;
	const char *text = text_of(c, "text");

	if (!text)
		refuse(c, "\"text\" is missing");
	else
		simple(c, store_load(c->env->store, text, json_is_true(json_object_get(c->request, "merge")), &err),
			&err);
}

static void config_set(struct call *c)
{
	struct model_err err;
	const char *path = text_of(c, "path");

	if (!path)
		refuse(c, "\"path\" is missing");
	else
		simple(c, store_set(c->env->store, path, text_of(c, "value"), &err), &err);
}

static void config_delete(struct call *c)
{
	struct model_err err;
	const char *path = text_of(c, "path");

	if (!path)
		refuse(c, "\"path\" is missing");
	else
		simple(c, store_delete(c->env->store, path, &err), &err);
}

static void config_discard(struct call *c)
{
	struct model_err err;

	simple(c, store_discard(c->env->store, &err), &err);
}

static void config_save(struct call *c)
{
	struct model_err err;
	const char *notice = store_secret_notice(c->env->store);

	if (store_save(c->env->store, &err))
		answer_error(c, &err);
	else
		answer_result(c, notice ? json_pack("{s:s}", "notice", notice) : NULL);
}

/* T6KEY-31..36: the dialogue is the command line's; here the texts arrive. */
static void config_master_key(struct call *c)
{
	const char *text = text_of(c, "text");
	bool remove = json_is_true(json_object_get(c->request, "remove"));

	if (json_is_true(json_object_get(c->request, "status")))
		answer_result(c, json_pack("{s:b}", "present", store_have_master_key(c->env->store)));
	else if (!text == !remove)
		refuse(c, "one of \"text\" and \"remove\" is needed");
	else
		store_master_key(c->env->store, text_of(c, "old"), text, c->caller.name, from_store, c);
}

static void config_generate_rsa(struct call *c)
{
	json_t *modulus = json_object_get(c->request, "modulus");

	store_generate_rsa(c->env->store, text_of(c, "name"), json_is_true(json_object_get(c->request, "usage-keys")),
		modulus ? (unsigned)number_of(c, "modulus", 1 << 20, 0) : RSA_BITS, from_store, c);
}

static void config_zeroize_rsa(struct call *c)
{
	struct model_err err;
	int rc = store_zeroize_rsa(c->env->store, text_of(c, "name"), &err);

	if (!rc)
		cv_warn("config", "RSA keys of the router wiped by %s", c->caller.name);
	simple(c, rc, &err);
}

static void config_password_logging(struct call *c)
{
	store_password_logging(c->env->store, !json_is_true(json_object_get(c->request, "off")));
	answer_result(c, NULL);
}

static void config_validate(struct call *c)
{
	struct model_err err;
	const char *text = text_of(c, "text");
	json_t *warnings = json_array();
	int rc = text ? store_check_text(c->env->store, text, warnings, &err)
		      : store_validate(c->env->store, warnings, &err);

	if (rc) {
		json_decref(warnings);
		answer_error(c, &err);
		return;
	}
	answer_result(c, json_pack("{s:o}", "warnings", warnings));
}

static void config_diff(struct call *c)
{
	struct model_err err;
	json_t *diff = store_diff(c->env->store, (int)number_of(c, "rollback", 1000, -1), &err);

	if (diff)
		answer_result(c, json_pack("{s:o}", "diff", diff));
	else
		answer_error(c, &err);
}

static void config_commit(struct call *c)
{
	long long seconds = 0;

	if (json_object_get(c->request, "confirmed")) {
		seconds = number_of(c, "confirmed", 86400, -1);
		if (seconds < 1) {
			refuse(c, "\"confirmed\" is not valid; valid: 1..86400 seconds");
			return;
		}
	}
	store_commit(c->env->store, c->caller.name, (uint32_t)seconds, from_store, c);
}

static void config_rollback(struct call *c)
{
	long long n = number_of(c, "number", 1000, -1);

	if (n < 0)
		refuse(c, "\"number\" is not valid; valid: 0..49");
	else
		store_rollback(c->env->store, (unsigned)n, c->caller.name, from_store, c);
}

static void config_history(struct call *c)
{
	answer_result(c, json_pack("{s:o}", "history", store_history(c->env->store)));
}

static void config_status(struct call *c)
{
	answer_result(c, store_status(c->env->store));
}

static void config_complete(struct call *c)
{
	const char *path = text_of(c, "path");

	answer_result(c, json_pack("{s:o}", "paths", store_complete(c->env->store, path ? path : "")));
}

static const struct {
	const char *name;
	enum rpc_role role;
	void (*run)(struct call *c);
} config_ops[] = {
	{"show", RPC_VIEW, config_show},
	{"diff", RPC_VIEW, config_diff},
	{"history", RPC_VIEW, config_history},
	{"status", RPC_VIEW, config_status},
	{"validate", RPC_VIEW, config_validate},
	{"complete", RPC_VIEW, config_complete},
	{"load", RPC_ADMIN, config_load},
	{"set", RPC_ADMIN, config_set},
	{"delete", RPC_ADMIN, config_delete},
	{"discard", RPC_ADMIN, config_discard},
	{"commit", RPC_ADMIN, config_commit},
	{"rollback", RPC_ADMIN, config_rollback},
	{"save", RPC_ADMIN, config_save},
	{"master-key", RPC_ADMIN, config_master_key},
	{"generate-rsa", RPC_ADMIN, config_generate_rsa},
	{"zeroize-rsa", RPC_ADMIN, config_zeroize_rsa},
	{"password-logging", RPC_ADMIN, config_password_logging},
};

/* What a request asks for, for the log. */
static const char *operation(const struct call *c)
{
	static const char *const verb[] = {"config", "show", "clear", "do"};
	const char *text = NULL;

	for (unsigned i = 0; !text && i < sizeof(verb) / sizeof(verb[0]); i++)
		text = text_of(c, verb[i]);
	return text ? text : "?";
}

static bool allowed(struct call *c, enum rpc_role needed)
{
	if (c->caller.role >= needed)
		return true;
	cv_warn("rpc", "refused to %s: \"%.64s\" needs the role %s", c->caller.name, operation(c),
		needed == RPC_ADMIN ? "admin" : "view");
	refuse(c, needed == RPC_ADMIN
			  ? "permission denied: only root and members of culvert-admin may change anything"
			  : "permission denied: only root and members of culvert-admin and culvert-view may look");
	return false;
}

static void dispatch_config(struct call *c, const char *op)
{
	for (unsigned i = 0; i < sizeof(config_ops) / sizeof(config_ops[0]); i++)
		if (strcmp(op, config_ops[i].name) == 0) {
			if (allowed(c, config_ops[i].role))
				config_ops[i].run(c);
			return;
		}
	refuse(c, "unknown \"config\" operation");
}

static void dispatch(struct call *c)
{
	const char *show = text_of(c, "show"), *config = text_of(c, "config");

	if (config) {
		dispatch_config(c, config);
	} else if (show && strcmp(show, "running-config") == 0) {
		if (allowed(c, RPC_VIEW))
			print_config(c, "running");
	} else if (show) {
		if (allowed(c, RPC_VIEW))
			c->env->show(c->env->ctx, c->request, from_control, c);
	} else if (text_of(c, "clear") || text_of(c, "do")) {
		if (!allowed(c, RPC_ADMIN))
			return;
		json_object_set_new(c->request, "caller", json_string(c->caller.name)); /* whatever the request says */
		cv_notice("rpc", "%s by %s", text_of(c, "clear") ? "clear" : text_of(c, "do"), c->caller.name);
		c->env->act(c->env->ctx, c->request, from_control, c);
	} else {
		refuse(c, "a request needs one of \"show\", \"clear\", \"do\", \"config\"");
	}
}

void rpc_handle(const struct rpc_env *env, const struct rpc_caller *caller, const char *line, size_t len,
	rpc_reply reply, void *arg)
{
	json_error_t where;
	struct call *c = calloc(1, sizeof(*c));

	if (!c)
		abort();
	*c = (struct call){.env = env, .caller = *caller, .reply = reply, .arg = arg};
	c->request = json_loadb(line, len, JSON_REJECT_DUPLICATES, &where);
	if (!json_is_object(c->request)) {
		refuse(c, "a request is one JSON object on one line");
		return;
	}
	c->id = json_object_get(c->request, "id");
	dispatch(c);
}
