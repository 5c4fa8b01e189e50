/* SPDX-License-Identifier: BSD-3-Clause */
/* Transactions and dumps: sequences of commands over dpclient.c. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cv_array.h"
#include "cv_secret.h"
#include "dpclient_priv.h"

struct txn_cmd {
	enum cv_msg_type type;
	uint16_t len;
	char *label;
	void *body;
};

struct dp_txn {
	struct dpclient *dp;
	uint32_t flags;
	struct txn_cmd *cmd;
	unsigned n, cap;
	unsigned sent, answered;
	bool begun, finishing;
	int err; /* of the first refusal */
	char text[512];
	void (*cb)(void *arg, int err, const char *text);
	void *arg;
};

struct dp_txn *dp_txn_new(uint32_t flags)
{
	struct dp_txn *t = calloc(1, sizeof(*t));

	if (!t)
		abort();
	t->flags = flags;
	return t;
}

void dp_txn_add(struct dp_txn *t, enum cv_msg_type type, const void *body, size_t len, const char *label)
{
	struct txn_cmd *c;

	t->cmd = cv_array_need(t->cmd, t->n, &t->cap, sizeof(*t->cmd));
	c = &t->cmd[t->n++];
	*c = (struct txn_cmd){.type = type, .len = (uint16_t)len, .label = label ? strdup(label) : NULL};
	c->body = malloc(len ? len : 1);
	if (!c->body)
		abort();
	memcpy(c->body, body, len);
}

void dp_txn_free(struct dp_txn *t)
{
	for (unsigned i = 0; i < t->n; i++) {
		cv_secret_zero(t->cmd[i].body, t->cmd[i].len);
		free(t->cmd[i].body);
		free(t->cmd[i].label);
	}
	free(t->cmd);
	free(t);
}

void dp_txn_fail(struct dp_txn *t, int err)
{
	t->cb(t->arg, err, t->text[0] ? t->text : "the dataplane went away");
	dp_txn_free(t);
}

/* The last answer: give the channel back, then tell. */
static void txn_end(struct dp_txn *t, int err)
{
	struct dpclient *dp = t->dp;

	dp->txn = NULL;
	if (err)
		dp_txn_fail(t, err);
	else {
		t->cb(t->arg, 0, NULL);
		dp_txn_free(t);
	}
	dpclient_pump(dp);
}

static void note_error(struct dp_txn *t, int err, const struct cv_reply *rep, const char *label)
{
	if (t->err)
		return;
	t->err = err;
	snprintf(t->text, sizeof(t->text), "%s: %.*s%s%s", label ? label : "transaction", (int)sizeof(rep->text),
		rep->text, rep->text[0] ? "; " : "", dp_err_str(rep->err));
}

static void on_abort(void *arg, int err, const struct cv_reply *rep)
{
	struct dp_txn *t = arg;

	(void)rep;
	if (err != -ECONNRESET) /* fail_all() ends it then */
		txn_end(t, t->err);
}

/* Whose command the dataplane names as the reason (CV_BLAME), or NULL. */
static const char *blamed_label(const struct dp_txn *t, uint32_t blame)
{
	uint32_t id;

	for (unsigned i = 0; i < t->n; i++) {
		const struct txn_cmd *c = &t->cmd[i];

		if (c->len < sizeof(id))
			continue;
		memcpy(&id, c->body, sizeof(id));
		if (CV_BLAME(c->type, id) == blame)
			return c->label;
	}
	return NULL;
}

static void on_commit(void *arg, int err, const struct cv_reply *rep)
{
	struct dp_txn *t = arg;

	if (err == -ECONNRESET)
		return;
	if (err) {
		const char *label = blamed_label(t, rep->value);

		note_error(t, err, rep, label ? label : "commit");
	}
	txn_end(t, t->err);
}

static void txn_pump(struct dp_txn *t);

static void on_step(void *arg, int err, const struct cv_reply *rep)
{
	struct dp_txn *t = arg;

	if (err == -ECONNRESET)
		return;
	if (!t->begun) {
		t->begun = true;
		if (err) {
			note_error(t, err, rep, "begin");
			txn_end(t, t->err);
			return;
		}
	} else {
		/* replies come in the order of the commands, so the count says whose this is */
		if (err)
			note_error(t, err, rep, t->cmd[t->answered].label);
		t->answered++;
	}
	txn_pump(t);
}

static void txn_pump(struct dp_txn *t)
{
	struct dpclient *dp = t->dp;

	while (!t->err && t->sent < t->n) {
		struct txn_cmd *c = &t->cmd[t->sent];

		if (dpclient_put(dp, c->type, c->body, c->len, on_step, t))
			return; /* a reply is under way and calls again */
		t->sent++;
	}
	if (t->answered < t->sent || t->finishing)
		return;
	t->finishing = true;
	if (t->err)
		dpclient_put(dp, CV_CMD_TXN_ABORT, NULL, 0, on_abort, t);
	else
		dpclient_put(dp, CV_CMD_TXN_COMMIT, NULL, 0, on_commit, t);
}

bool dp_txn_start(struct dp_txn *t)
{
	struct cv_cmd_txn begin = {.flags = t->flags};

	return !dpclient_put(t->dp, CV_CMD_TXN_BEGIN, &begin, sizeof(begin), on_step, t);
}

int dp_txn_commit(struct dpclient *dp, struct dp_txn *t, void (*cb)(void *arg, int err, const char *text), void *arg)
{
	struct dp_item *it;

	if (!dp->up) {
		dp_txn_free(t);
		return -ENOTCONN;
	}
	t->dp = dp;
	t->cb = cb;
	t->arg = arg;
	it = dp_item_new(0);
	it->txn = t;
	dpclient_enqueue(dp, it);
	return 0;
}

/* ---- dumps ---- */

struct dump {
	struct dpclient *dp;
	struct cv_cmd_dump cmd;
	void (*each)(void *arg, const void *entry, size_t size);
	void (*done)(void *arg, int err);
	void *arg;
};

static void dump_end(struct dump *d, int err)
{
	d->done(d->arg, err);
	free(d);
}

static void on_dump(void *arg, int err, const struct cv_reply *rep)
{
	struct dump *d = arg;
	struct cv_dump_reply page;

	if (err || rep->data_len < offsetof(struct cv_dump_reply, entries)) {
		dump_end(d, err ? err : -EPROTO);
		return;
	}
	memcpy(&page, rep->data, rep->data_len < sizeof(page) ? rep->data_len : sizeof(page));
	if ((uint64_t)page.n * page.entry_size > rep->data_len - offsetof(struct cv_dump_reply, entries)) {
		dump_end(d, -EPROTO);
		return;
	}
	for (uint32_t i = 0; i < page.n; i++)
		d->each(d->arg, page.entries + (size_t)i * page.entry_size, page.entry_size);
	d->cmd.cursor = page.next;
	if (!page.next)
		dump_end(d, 0);
	else if (dpclient_command(d->dp, CV_CMD_DUMP, &d->cmd, sizeof(d->cmd), on_dump, d))
		dump_end(d, -ECONNRESET);
}

int dpclient_dump(struct dpclient *dp, enum cv_dump_kind kind, uint32_t scope,
	void (*each)(void *arg, const void *entry, size_t size), void (*done)(void *arg, int err), void *arg)
{
	struct dump *d;
	int r;

	d = calloc(1, sizeof(*d));
	if (!d)
		abort();
	*d = (struct dump){.dp = dp, .cmd = {.kind = kind, .scope = scope}, .each = each, .done = done, .arg = arg};
	r = dpclient_command(dp, CV_CMD_DUMP, &d->cmd, sizeof(d->cmd), on_dump, d);
	if (r)
		free(d);
	return r;
}
