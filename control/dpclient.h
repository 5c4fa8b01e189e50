/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The control process's side of the dataplane: one connection at a time on the uv loop, opened again when it is lost.
 * Everything here runs on the loop thread. Commands go out in the order they are given; a transaction has the channel
 * to itself from its BEGIN to its COMMIT or ABORT, because every command between the two belongs to it.
 */
#ifndef CONTROL_DPCLIENT_H
#define CONTROL_DPCLIENT_H

#include <uv.h>

#include "cv_chan.h"

struct dpclient;
struct dp_txn;

struct dpclient_ops {
	/* The vault to leave with a dataplane that has none; -1 = none. */
	int (*vault_fd)(void *ctx);
	/* HELLO was answered. vault_back: what an earlier client left, now the callee's, or -1. */
	void (*up)(void *ctx, const struct cv_hello_info *info, int vault_back);
	/* The connection is lost; called after every outstanding command has failed with -ECONNRESET. */
	void (*down)(void *ctx);
	void (*event)(void *ctx, const struct cv_msg *msg);
	void (*packet)(void *ctx, const struct cv_pkt *pkt);
};

struct dpclient_opts {
	const char *path;    /* of the dataplane's socket */
	unsigned timeout_ms; /* for one reply; after it the connection is given up. 0 = 60 s (a device may be slow) */
	unsigned retry_ms;   /* first delay before connecting again, doubled up to 20 times of it. 0 = 100 ms */
};

/* NULL with errno. Starts connecting. */
struct dpclient *dpclient_new(
	uv_loop_t *loop, const struct dpclient_opts *opts, const struct dpclient_ops *ops, void *ctx);
/* Fails what is outstanding, closes all handles; cb when the loop has let go of them and dp is freed. */
void dpclient_close(struct dpclient *dp, void (*cb)(void *arg), void *arg);
bool dpclient_is_up(const struct dpclient *dp);
/* NULL while not connected. */
const struct cv_stats_segment *dpclient_stats(const struct dpclient *dp);

/*
 * err: 0, -EREMOTEIO when the dataplane refused (rep says why), -ECONNRESET or -ETIMEDOUT when no answer came (rep
 * NULL). rep is valid during the call.
 */
typedef void (*dp_reply_cb)(void *arg, int err, const struct cv_reply *rep);

/* Queue one command; the body is copied and zeroed afterwards. cb may be NULL. 0, -ENOTCONN (cb is not called). */
int dpclient_command(
	struct dpclient *dp, enum cv_msg_type type, const void *body, size_t len, dp_reply_cb cb, void *arg);

/* A transaction. flags: CV_TXN_SYNC. label: what to call the object in an error ("PATH"), copied; may be NULL. */
struct dp_txn *dp_txn_new(uint32_t flags);
void dp_txn_add(struct dp_txn *txn, enum cv_msg_type type, const void *body, size_t len, const char *label);
void dp_txn_free(struct dp_txn *txn); /* one that was never committed */
/*
 * Run it; takes txn over. cb(err 0) after the commit is acknowledged; otherwise err as above and text = "LABEL: why",
 * and the dataplane is as before, unless the connection was lost (-ECONNRESET), when a later SYNC settles it.
 * 0 or -ENOTCONN (txn freed, cb not called).
 */
int dp_txn_commit(struct dpclient *dp, struct dp_txn *txn, void (*cb)(void *arg, int err, const char *text), void *arg);

/* Fetch a whole dump. each() gets every entry (entry_size bytes are valid); done() once, err as for dp_reply_cb. */
int dpclient_dump(struct dpclient *dp, enum cv_dump_kind kind, uint32_t scope,
	void (*each)(void *arg, const void *entry, size_t size), void (*done)(void *arg, int err), void *arg);

/* Inject a packet. 0, -ENOTCONN, -ENOBUFS (dropped). */
int dpclient_send_pkt(struct dpclient *dp, const struct cv_pkt *pkt);

/* Token for an enum cv_err: "not found", ... */
const char *dp_err_str(uint32_t err);

#endif
