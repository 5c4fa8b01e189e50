/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The public header of control/: what mgmt/ may call. Everything runs on the thread of the uv loop.
 */
#ifndef CONTROL_CONTROL_H
#define CONTROL_CONTROL_H

#include <jansson.h>
#include <uv.h>

#include "config.h"

struct control;

struct control_opts {
	const char *dataplane_socket; /* default /run/culvert/dataplane.sock */
	const char
		*run_dir; /* ids and other run-time state that survives a restart of culvertd, default /run/culvert */
	unsigned pk_threads;	   /* public-key thread pool, 0 = number of cores; counts for the whole process */
	unsigned reply_timeout_ms; /* for one answer of the dataplane, 0 = 60 s */
};

/* Create; starts connecting to the dataplane and keeps trying. NULL with errno. */
struct control *control_new(uv_loop_t *loop, const struct control_opts *opts);
/* Send deletes to IKE peers when `graceful`, then close all handles; cb when nothing is left on the loop. */
void control_stop(struct control *c, bool graceful, void (*cb)(void *arg), void *arg);

/*
 * Make cfg the running configuration: computes what changes, pushes it to the dataplane as one transaction, and on its
 * acknowledgement switches IKE over; sessions that the change does not touch go on. cb(err = NULL) on success; on
 * failure err says which object was refused and why, and nothing has changed anywhere. One at a time (-EBUSY). Takes a
 * reference on success. Without a dataplane the configuration is accepted and pushed when it comes. cb may be called
 * before control_apply() returns.
 */
int control_apply(struct control *c, struct cv_config *cfg, void (*cb)(void *arg, const char *err), void *arg);
struct cv_config *control_running(struct control *c);
/*
 * What of cfg the crypto engine cannot do: warn is called for each transform set that will be ignored when negotiating
 * (IKE-33); with none while no dataplane has told what it can.
 */
void control_warn(
	const struct control *c, const struct cv_config *cfg, void (*warn)(void *arg, const char *text), void *arg);

/*
 * The part of a long answer that is still to come: text for the inside of an array. Whoever gets one calls next() until
 * it returns false, perhaps with turns of the loop in between, and free() at any time; not after control_stop().
 */
struct show_text;
struct control_rest {
	const char *key; /* of the array; the answer that came with it does not have this member */
	bool (*next)(struct control_rest *rest, struct show_text *out); /* appends some 32 kB; false = that was all */
	void (*free)(struct control_rest *rest);
};
typedef void control_answer(void *arg, json_t *answer, struct control_rest *rest); /* rest NULL: that is all of it */

/*
 * Operational state as JSON. request: {"show": "crypto session", args...}. cb gets an object it must json_decref, or an
 * object with "error". The shapes are documented in docs/show.md; the words follow the manuals. May answer at once or
 * after a round trip to the dataplane.
 */
void control_show(struct control *c, const json_t *request, control_answer *cb, void *arg);
/* {"clear": "crypto sa" | "crypto session" | "counters" | "arp", selectors...} and {"do": "trace" | "capture" | ...}.
 * Same contract, never with a rest. */
void control_do(struct control *c, const json_t *request, control_answer *cb, void *arg);

#endif
