/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The local management protocol: one JSON object per line in each direction, over a Unix socket. This part knows no
 * sockets: it cuts bytes into lines, checks a request, checks the caller's role, and hands the request on.
 *
 * Requests:  {"id": any, "show": "crypto session", ...}           role view
 *            {"id": any, "clear": "crypto sa", ...}               role admin
 *            {"id": any, "do": "trace", ...}                      role admin
 *            {"id": any, "config": "load" | "commit" | ..., ...}  view for what only reads, else admin
 * Answers:   {"id": ..., "result": {...}} or {"id": ..., "error": "PATH: text", "path": "PATH", "text": "..."}
 */
#ifndef MGMT_RPC_H
#define MGMT_RPC_H

#include <jansson.h>

#include "control.h"
#include "store.h"

#define RPC_LINE_MAX (80u << 20)      /* bytes; a configuration of FILES_MAX with its JSON escapes */
#define RPC_LINE_MAX_VIEW (64u << 10) /* what callers without the right to change anything may send */

enum rpc_role { RPC_NOBODY = 0, RPC_VIEW, RPC_ADMIN };

/* Where requests go. show and act have the contract of control_show() and control_do(). */
struct rpc_env {
	struct store *store;
	void *ctx;
	void (*show)(void *ctx, const json_t *request, control_answer *cb, void *arg);
	void (*act)(void *ctx, const json_t *request, control_answer *cb, void *arg);
};

struct rpc_caller {
	enum rpc_role role;
	char name[64]; /* for log and history */
};

struct rpc_more;
/*
 * text: one answer, a line with its newline, or the next piece of a long one; borrowed. more: there are further pieces;
 * the callee asks for the next one with rpc_next() when this one is out, or ends it with rpc_abandon().
 */
typedef void (*rpc_reply)(void *arg, const char *text, size_t len, struct rpc_more *more);
void rpc_next(struct rpc_more *more); /* not from within reply; calls it again, with the same arg */
void rpc_abandon(struct rpc_more *more);

/* Handle one line (without newline, any bytes). reply is called now or later; once, but for rpc_next(). Loop thread. */
void rpc_handle(const struct rpc_env *env, const struct rpc_caller *caller, const char *line, size_t len,
	rpc_reply reply, void *arg);

/* Lines out of a stream. */
struct rpc_lines {
	char *buf;
	size_t len, size, max;
	size_t scanned; /* bytes known to hold no newline */
};
/* Room for incoming bytes: at least one, or NULL when the line is longer than max or memory is out. */
char *rpc_lines_room(struct rpc_lines *l, size_t *room);
void rpc_lines_added(struct rpc_lines *l, size_t n);
/* Length of the line at the start of buf, or -1 when it is not complete yet. */
long rpc_lines_first(struct rpc_lines *l);
void rpc_lines_drop(struct rpc_lines *l, size_t line_len); /* with its newline */
void rpc_lines_free(struct rpc_lines *l);		   /* zeroes: requests may carry secrets */

#endif
