/* SPDX-License-Identifier: BSD-3-Clause */
#include "pk_pool.h"

#include <stdlib.h>

#define BATCH                                                                                                          \
	4u /* brief pieces that one thread does before it reports: their peers wait for each other 0.4 ms at most */

struct batch {
	uv_work_t req;
	struct pk_job_list jobs;
};

void pk_pool_init(struct pk_pool *p, uv_loop_t *loop)
{
	p->loop = loop;
	STAILQ_INIT(&p->waiting);
}

void pk_pool_add(struct pk_pool *p, struct pk_job *j)
{
	STAILQ_INSERT_TAIL(&p->waiting, j, link);
}

static struct pk_job *take(struct pk_job_list *l)
{
	struct pk_job *j = STAILQ_FIRST(l);

	if (j)
		STAILQ_REMOVE_HEAD(l, link);
	return j;
}

static void batch_work(uv_work_t *req)
{
	struct batch *b = req->data;
	struct pk_job *j;

	STAILQ_FOREACH(j, &b->jobs, link)
	j->work(j);
}

static void batch_done(uv_work_t *req, int status)
{
	struct batch *b = req->data;
	struct pk_job *j;

	(void)status;
	while ((j = take(&b->jobs)))
		j->done(j);
	free(b);
}

/* Those at the head that may go together. */
static void submit_some(struct pk_pool *p)
{
	struct batch *b = calloc(1, sizeof(*b));
	struct pk_job *j;
	bool more = true;

	if (!b)
		abort();
	STAILQ_INIT(&b->jobs);
	for (unsigned n = 1; more && (j = take(&p->waiting)); n++) {
		const struct pk_job *next = STAILQ_FIRST(&p->waiting);

		STAILQ_INSERT_TAIL(&b->jobs, j, link);
		more = j->brief && next && next->brief && n < BATCH;
	}
	b->req.data = b;
	uv_queue_work(p->loop, &b->req, batch_work, batch_done);
}

void pk_pool_submit(struct pk_pool *p)
{
	while (!STAILQ_EMPTY(&p->waiting))
		submit_some(p);
}

void pk_pool_run(struct pk_pool *p)
{
	struct pk_job *first = STAILQ_FIRST(&p->waiting);

	if (first && first->brief && !STAILQ_NEXT(first, link)) {
		take(&p->waiting);
		first->work(first);
		first->done(first);
	}
	pk_pool_submit(p);
}
