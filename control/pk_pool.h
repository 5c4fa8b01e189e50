/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Public-key work on libuv's thread pool, handed over at the end of a turn of the loop. To wake a thread and to be
 * woken by it costs a good part of what an exchange over Curve25519 does: brief pieces go several at a time, and one
 * that is alone is done by the loop itself, which has nothing else to do then. Everything here is called on the loop.
 */
#ifndef CONTROL_PK_POOL_H
#define CONTROL_PK_POOL_H

#include <stdbool.h>
#include <sys/queue.h>

#include <uv.h>

struct pk_job {
	STAILQ_ENTRY(pk_job) link;
	bool brief;			/* takes some 0.1 ms */
	void (*work)(struct pk_job *j); /* on any thread */
	void (*done)(struct pk_job *j); /* on the loop, when work() has returned; may free j and add others */
};
STAILQ_HEAD(pk_job_list, pk_job);

struct pk_pool {
	uv_loop_t *loop;
	struct pk_job_list waiting;
};
void pk_pool_init(struct pk_pool *p, uv_loop_t *loop);
/* j must live until done(). Nothing happens to it before one of the next two. */
void pk_pool_add(struct pk_pool *p, struct pk_job *j);
/* Before the loop sleeps. */
void pk_pool_run(struct pk_pool *p);
/* The same without work on the loop: may be called while the loop is in something. */
void pk_pool_submit(struct pk_pool *p);

#endif
