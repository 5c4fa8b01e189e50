/* SPDX-License-Identifier: BSD-3-Clause */
#include "dpclient.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "cv_log.h"
#include "cv_secret.h"
#include "dpclient_priv.h"

#define RECV_BUDGET 64u /* messages and packets taken in one turn of the loop, so that timers get their turn too */
#define DEFAULT_TIMEOUT_MS 60000u
#define DEFAULT_RETRY_MS 100u

static void conn_lost(struct dpclient *dp, const char *why);
static void retry_later(struct dpclient *dp);

const char *dp_err_str(uint32_t err)
{
	static const char *const name[] = {"ok", "version not spoken", "malformed", "not found", "already exists",
		"in use", "table full", "not supported", "device error", "not allowed now", "injected fault"};

	return err < sizeof(name) / sizeof(name[0]) ? name[err] : "unknown error";
}

/* ---- commands in flight ---- */

static void watch_replies(struct dpclient *dp);

static void reply_timeout(uv_timer_t *t)
{
	struct dpclient *dp = t->data;
	uint64_t now = uv_now(dp->loop);

	if (dp->n_inflight && now - dp->oldest_ms >= dp->timeout_ms)
		conn_lost(dp, "no reply in time");
	watch_replies(dp);
}

/* oldest_ms moves with every reply, so a long transaction that makes progress is not cut off. */
static void watch_replies(struct dpclient *dp)
{
	if (!dp->n_inflight || dp->closing)
		uv_timer_stop(&dp->timer);
	else if (!uv_is_active((uv_handle_t *)&dp->timer))
		uv_timer_start(&dp->timer, reply_timeout, dp->timeout_ms / 4 + 1, dp->timeout_ms / 4 + 1);
}

int dpclient_put(struct dpclient *dp, enum cv_msg_type type, const void *body, size_t len, dp_reply_cb cb, void *arg)
{
	struct inflight *f = &dp->inflight[dp->next_seq % DP_WINDOW];
	struct cv_msg msg;
	int r;

	if (dp->n_inflight >= DP_WINDOW || f->used)
		return -ENOBUFS;
	msg.h.type = (uint16_t)type;
	msg.h.len = (uint32_t)(sizeof(msg.h) + len);
	msg.h.seq = dp->next_seq;
	if (len)
		memcpy(msg.body, body, len);
	r = cv_chan_send(dp->conn->ch, &msg);
	cv_secret_zero(msg.body, len);
	if (r)
		return r;
	*f = (struct inflight){.used = true, .seq = dp->next_seq++, .type = (uint16_t)type, .cb = cb, .arg = arg};
	if (!dp->n_inflight++)
		dp->oldest_ms = uv_now(dp->loop);
	watch_replies(dp);
	return 0;
}

static void take_reply(struct dpclient *dp, const struct cv_msg *msg)
{
	struct inflight *slot = &dp->inflight[msg->h.seq % DP_WINDOW], f = *slot;
	const struct cv_reply *rep = (const void *)msg->body;

	if (!f.used || f.seq != msg->h.seq || msg->h.len < sizeof(msg->h) + offsetof(struct cv_reply, data) ||
		rep->data_len > msg->h.len - sizeof(msg->h) - offsetof(struct cv_reply, data)) {
		conn_lost(dp, "a reply that nothing asked for");
		return;
	}
	slot->used = false;
	dp->n_inflight--;
	dp->oldest_ms = uv_now(dp->loop);
	watch_replies(dp);
	if (f.cb)
		f.cb(f.arg, rep->err ? -EREMOTEIO : 0, rep);
	else if (rep->err)
		cv_info("dataplane", "command %u: %s: %.*s", f.type, dp_err_str(rep->err), (int)sizeof(rep->text),
			rep->text);
}

/* ---- the queue: single commands and whole transactions in the order they came ---- */

static void item_free(struct dp_item *it)
{
	cv_secret_zero(it->body, it->len);
	free(it);
}

void dpclient_pump(struct dpclient *dp)
{
	struct dp_item *it;

	while (dp->up && !dp->txn && (it = STAILQ_FIRST(&dp->queue))) {
		if (it->txn ? !dp_txn_start(it->txn)
			    : dpclient_put(dp, it->type, it->body, it->len, it->cb, it->arg) != 0)
			return; /* the next reply makes room */
		dp->txn = it->txn;
		STAILQ_REMOVE_HEAD(&dp->queue, link);
		item_free(it);
	}
}

void dpclient_enqueue(struct dpclient *dp, struct dp_item *it)
{
	STAILQ_INSERT_TAIL(&dp->queue, it, link);
	dpclient_pump(dp);
}

struct dp_item *dp_item_new(size_t len)
{
	struct dp_item *it = calloc(1, sizeof(*it) + len);

	if (!it)
		abort();
	it->len = len;
	return it;
}

int dpclient_command(
	struct dpclient *dp, enum cv_msg_type type, const void *body, size_t len, dp_reply_cb cb, void *arg)
{
	struct dp_item *it;

	if (!dp->up)
		return -ENOTCONN;
	it = dp_item_new(len);
	it->type = type;
	it->cb = cb;
	it->arg = arg;
	if (len)
		memcpy(it->body, body, len);
	dpclient_enqueue(dp, it);
	return 0;
}

/* ---- receiving ---- */

static unsigned drain_messages(struct dpclient *dp, struct dp_conn *conn)
{
	struct cv_msg msg;
	unsigned n = 0;
	int r = 0;

	while (n < RECV_BUDGET && dp->conn == conn && (r = cv_chan_recv(conn->ch, &msg)) > 0) {
		n++;
		if (msg.h.type == CV_REPLY)
			take_reply(dp, &msg);
		else if (dp->up)
			dp->ops->event(dp->ctx, &msg);
	}
	if (dp->conn == conn && r < 0)
		conn_lost(dp, "a message that is not valid");
	return n;
}

static unsigned drain_packets(struct dpclient *dp, struct dp_conn *conn)
{
	unsigned n = 0;
	int r = 0;

	while (n < RECV_BUDGET && dp->conn == conn && (r = cv_chan_recv_pkt(conn->ch, &dp->pkt)) > 0) {
		n++;
		if (dp->up)
			dp->ops->packet(dp->ctx, &dp->pkt);
	}
	if (dp->conn == conn && r < 0)
		conn_lost(dp, "a packet that is not valid");
	return n;
}

static void on_event(uv_poll_t *h, int status, int events)
{
	struct dp_conn *conn = h->data;
	struct dpclient *dp = conn->dp;
	uint64_t count = 1;
	bool more;

	(void)status;
	(void)events;
	if (read(cv_chan_event_fd(conn->ch), &count, sizeof(count)) < 0 && errno != EAGAIN)
		cv_debug("dataplane", "eventfd: %s", strerror(errno));
	more = drain_messages(dp, conn) == RECV_BUDGET;
	if (dp->conn == conn)
		more |= drain_packets(dp, conn) == RECV_BUDGET;
	if (dp->conn != conn)
		return;
	dpclient_pump(dp);
	count = 1; /* what the budget left waits for the next turn: wake ourselves */
	if (more && write(cv_chan_event_fd(conn->ch), &count, sizeof(count)) < 0)
		cv_debug("dataplane", "eventfd: %s", strerror(errno));
}

static void on_socket(uv_poll_t *h, int status, int events)
{
	struct dp_conn *conn = h->data;
	char byte;
	ssize_t n = read(cv_chan_socket_fd(conn->ch), &byte, 1);

	(void)status;
	(void)events;
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		conn_lost(conn->dp, "the dataplane went away");
}

/* ---- connecting ---- */

static void conn_handle_closed(uv_handle_t *h)
{
	struct dp_conn *conn = h->data;

	if (--conn->handles)
		return;
	cv_chan_close(conn->ch);
	if (conn->vault_back >= 0)
		close(conn->vault_back);
	if (--conn->dp->n_conns == 0)
		dpclient_maybe_free(conn->dp);
	free(conn);
}

static void conn_close(struct dp_conn *conn)
{
	uv_close((uv_handle_t *)&conn->evt, conn_handle_closed);
	uv_close((uv_handle_t *)&conn->sock, conn_handle_closed);
}

/* Everything that waits for an answer gets told that none comes. Callbacks may queue nothing (up is false). */
static void fail_all(struct dpclient *dp)
{
	struct dp_txn *txn = dp->txn;
	struct dp_item *it;

	dp->txn = NULL;
	for (unsigned i = 0; i < DP_WINDOW; i++) {
		struct inflight f = dp->inflight[i];

		dp->inflight[i].used = false;
		if (f.used && f.cb)
			f.cb(f.arg, -ECONNRESET, NULL);
	}
	dp->n_inflight = 0;
	if (txn)
		dp_txn_fail(txn, -ECONNRESET);
	while ((it = STAILQ_FIRST(&dp->queue))) {
		STAILQ_REMOVE_HEAD(&dp->queue, link);
		if (it->txn)
			dp_txn_fail(it->txn, -ECONNRESET);
		else if (it->cb)
			it->cb(it->arg, -ECONNRESET, NULL);
		item_free(it);
	}
}

static void conn_lost(struct dpclient *dp, const char *why)
{
	bool was_up = dp->up;

	if (!dp->conn)
		return;
	if (!dp->closing)
		cv_warn("dataplane", "connection lost: %s", why);
	conn_close(dp->conn);
	dp->conn = NULL;
	dp->up = false;
	fail_all(dp);
	watch_replies(dp);
	if (was_up)
		dp->ops->down(dp->ctx);
	retry_later(dp);
}

static void hello_reply(void *arg, int err, const struct cv_reply *rep)
{
	struct dpclient *dp = arg;
	struct cv_hello_info info;
	int vault;

	if (err == -ECONNRESET)
		return;
	if (err || rep->data_len < sizeof(info)) {
		conn_lost(dp, err ? rep->text : "HELLO answered without its data");
		return;
	}
	memcpy(&info, rep->data, sizeof(info));
	info.version[sizeof(info.version) - 1] = info.provider[sizeof(info.provider) - 1] = '\0';
	vault = dp->conn->vault_back;
	dp->conn->vault_back = -1;
	dp->backoff_ms = dp->retry_ms;
	dp->up = true;
	dp->ops->up(dp->ctx, &info, vault);
}

static void say_hello(struct dpclient *dp)
{
	struct cv_cmd_hello hello = {.pid = (uint32_t)getpid()};

	if (dpclient_put(dp, CV_CMD_HELLO, &hello, sizeof(hello), hello_reply, dp))
		conn_lost(dp, "HELLO does not fit into the ring");
}

static int conn_open(struct dpclient *dp)
{
	struct dp_conn *conn = calloc(1, sizeof(*conn));
	int r;

	if (!conn)
		return -ENOMEM;
	conn->dp = dp;
	r = cv_chan_connect(dp->path, dp->ops->vault_fd(dp->ctx), &conn->ch, &conn->vault_back);
	if (r) {
		free(conn);
		return r;
	}
	uv_poll_init(dp->loop, &conn->evt, cv_chan_event_fd(conn->ch));
	uv_poll_init(dp->loop, &conn->sock, cv_chan_socket_fd(conn->ch));
	conn->evt.data = conn->sock.data = conn;
	conn->handles = 2;
	dp->n_conns++;
	dp->conn = conn;
	uv_poll_start(&conn->evt, UV_READABLE, on_event);
	uv_poll_start(&conn->sock, UV_READABLE | UV_DISCONNECT, on_socket);
	say_hello(dp);
	return 0;
}

static void try_connect(uv_timer_t *t)
{
	struct dpclient *dp = t->data;
	int r = conn_open(dp);

	if (!r)
		return;
	if (r != dp->last_errno)
		cv_notice("dataplane", "%s: %s; trying again", dp->path, strerror(-r));
	dp->last_errno = r;
	retry_later(dp);
}

static void retry_later(struct dpclient *dp)
{
	if (dp->closing)
		return;
	uv_timer_start(&dp->retry, try_connect, dp->backoff_ms, 0);
	if (dp->backoff_ms < dp->retry_ms * 20)
		dp->backoff_ms *= 2;
}

struct dpclient *dpclient_new(
	uv_loop_t *loop, const struct dpclient_opts *opts, const struct dpclient_ops *ops, void *ctx)
{
	struct dpclient *dp = calloc(1, sizeof(*dp));

	if (!dp || !(dp->path = strdup(opts->path))) {
		free(dp);
		return NULL;
	}
	dp->loop = loop;
	dp->ops = ops;
	dp->ctx = ctx;
	dp->timeout_ms = opts->timeout_ms ? opts->timeout_ms : DEFAULT_TIMEOUT_MS;
	dp->retry_ms = dp->backoff_ms = opts->retry_ms ? opts->retry_ms : DEFAULT_RETRY_MS;
	dp->next_seq = 1;
	STAILQ_INIT(&dp->queue);
	uv_timer_init(loop, &dp->retry);
	uv_timer_init(loop, &dp->timer);
	dp->retry.data = dp->timer.data = dp;
	uv_timer_start(&dp->retry, try_connect, 0, 0);
	return dp;
}

void dpclient_maybe_free(struct dpclient *dp)
{
	void (*cb)(void *arg) = dp->closed_cb;
	void *arg = dp->closed_arg;

	if (!dp->closing || dp->n_conns || dp->timers_open)
		return;
	free(dp->path);
	free(dp);
	if (cb)
		cb(arg);
}

static void timer_closed(uv_handle_t *h)
{
	struct dpclient *dp = h->data;

	dp->timers_open--;
	dpclient_maybe_free(dp);
}

void dpclient_close(struct dpclient *dp, void (*cb)(void *arg), void *arg)
{
	dp->closing = true;
	dp->closed_cb = cb;
	dp->closed_arg = arg;
	dp->timers_open = 2;
	conn_lost(dp, "closing");
	uv_close((uv_handle_t *)&dp->retry, timer_closed);
	uv_close((uv_handle_t *)&dp->timer, timer_closed);
}

bool dpclient_is_up(const struct dpclient *dp)
{
	return dp->up;
}

const struct cv_stats_segment *dpclient_stats(const struct dpclient *dp)
{
	return dp->conn ? cv_chan_stats(dp->conn->ch) : NULL;
}

int dpclient_send_pkt(struct dpclient *dp, const struct cv_pkt *pkt)
{
	return dp->up ? cv_chan_send_pkt(dp->conn->ch, pkt) : -ENOTCONN;
}
