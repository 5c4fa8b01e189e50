/* SPDX-License-Identifier: BSD-3-Clause */
/* Private to dpclient.c (connection, queue) and dptxn.c (transactions, dumps). */
#ifndef CONTROL_DPCLIENT_PRIV_H
#define CONTROL_DPCLIENT_PRIV_H

#include <sys/queue.h>

#include "dpclient.h"

#define DP_WINDOW 1024u /* commands in flight; well below CV_CHAN_EVT_SLOTS, so replies always find room */

struct inflight {
	bool used;
	uint16_t type;
	uint64_t seq;
	dp_reply_cb cb;
	void *arg;
};

/* A queued command, or a queued transaction (txn != NULL). */
struct dp_item {
	STAILQ_ENTRY(dp_item) link;
	struct dp_txn *txn;
	enum cv_msg_type type;
	dp_reply_cb cb;
	void *arg;
	size_t len;
	uint8_t body[];
};

/* One connection; outlives conn_lost() until uv has closed its handles. */
struct dp_conn {
	struct dpclient *dp;
	struct cv_chan *ch;
	uv_poll_t evt, sock;
	int handles;
	int vault_back;
};

struct dpclient {
	uv_loop_t *loop;
	char *path;
	const struct dpclient_ops *ops;
	void *ctx;
	unsigned timeout_ms, retry_ms, backoff_ms;
	int last_errno;
	struct dp_conn *conn;
	unsigned n_conns; /* including those being closed */
	bool up, closing;
	uv_timer_t retry, timer;
	int timers_open;
	void (*closed_cb)(void *arg);
	void *closed_arg;
	uint64_t next_seq, oldest_ms;
	struct inflight inflight[DP_WINDOW]; /* by seq modulo its size */
	unsigned n_inflight;
	STAILQ_HEAD(, dp_item) queue;
	struct dp_txn *txn; /* the one that has the channel */
	struct cv_pkt pkt;
};

struct dp_item *dp_item_new(size_t len);
void dpclient_enqueue(struct dpclient *dp, struct dp_item *it);
/* Send now. 0, or -ENOBUFS when the window is full. */
int dpclient_put(struct dpclient *dp, enum cv_msg_type type, const void *body, size_t len, dp_reply_cb cb, void *arg);
void dpclient_pump(struct dpclient *dp);
void dpclient_maybe_free(struct dpclient *dp);

/* Send BEGIN; false when the window is full, then to be tried again. */
bool dp_txn_start(struct dp_txn *txn);
void dp_txn_fail(struct dp_txn *txn, int err); /* calls back and frees */

#endif
