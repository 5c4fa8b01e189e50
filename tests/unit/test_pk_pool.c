/* SPDX-License-Identifier: BSD-3-Clause */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pk_pool.h"

struct piece {
	struct pk_job j;
	struct world *w;
	pthread_t by; /* who did it */
	unsigned worked, done;
};

struct world {
	uv_loop_t loop;
	struct pk_pool pool;
	pthread_t self;
	unsigned n_done;
	struct piece *next; /* added by the first done() */
};

static void work(struct pk_job *j)
{
	struct piece *p = (struct piece *)j;

	p->worked++;
	p->by = pthread_self();
}

static void done(struct pk_job *j)
{
	struct piece *p = (struct piece *)j;

	assert_true(pthread_equal(pthread_self(), p->w->self));
	assert_int_equal(p->worked, 1);
	p->done++;
	p->w->n_done++;
	if (p->w->next)
		pk_pool_add(&p->w->pool, &p->w->next->j);
	p->w->next = NULL;
}

static void begin(struct world *w)
{
	*w = (struct world){.self = pthread_self()};
	assert_int_equal(uv_loop_init(&w->loop), 0);
	pk_pool_init(&w->pool, &w->loop);
}

static struct piece piece(struct world *w, bool brief)
{
	return (struct piece){.j = {.brief = brief, .work = work, .done = done}, .w = w};
}

static void end(struct world *w)
{
	uv_run(&w->loop, UV_RUN_DEFAULT);
	assert_true(STAILQ_EMPTY(&w->pool.waiting));
	assert_int_equal(uv_loop_close(&w->loop), 0);
}

/* A brief piece that is alone is done at once, by the loop; what it leads to is handed over, since a turn does one at
 * most. */
static void alone_on_the_loop(void **state)
{
	struct world w;
	struct piece first, second;
	(void)state;

	begin(&w);
	first = piece(&w, true);
	second = piece(&w, true);
	w.next = &second;
	pk_pool_add(&w.pool, &first.j);
	assert_int_equal(first.worked, 0);
	pk_pool_run(&w.pool);
	assert_int_equal(first.done, 1);
	assert_true(pthread_equal(first.by, w.self));
	assert_int_equal(second.done, 0);
	end(&w);
	assert_int_equal(second.done, 1);
	assert_false(pthread_equal(second.by, w.self));
}

static void long_ones_never_on_the_loop(void **state)
{
	struct world w;
	struct piece p;
	(void)state;

	begin(&w);
	p = piece(&w, false);
	pk_pool_add(&w.pool, &p.j);
	pk_pool_run(&w.pool);
	assert_int_equal(p.done, 0);
	end(&w);
	assert_int_equal(p.done, 1);
	assert_false(pthread_equal(p.by, w.self));
}

/* Nor is one that is submitted from inside of something. */
static void submitted_is_not_done_at_once(void **state)
{
	struct world w;
	struct piece p;
	(void)state;

	begin(&w);
	p = piece(&w, true);
	pk_pool_add(&w.pool, &p.j);
	pk_pool_submit(&w.pool);
	assert_int_equal(p.done, 0);
	end(&w);
	assert_int_equal(p.done, 1);
}

/* Whatever comes together: each piece is done once, brief ones that follow each other by one thread, four at a time. */
static void mixtures_are_done_once(void **state)
{
	struct world w;
	struct piece p[13];
	(void)state;

	for (unsigned kinds = 0; kinds < 1u << 13; kinds += 97) {
		begin(&w);
		for (unsigned i = 0; i < 13; i++) {
			p[i] = piece(&w, kinds >> i & 1);
			pk_pool_add(&w.pool, &p[i].j);
		}
		pk_pool_run(&w.pool);
		assert_int_equal(w.n_done, 0);
		end(&w);
		assert_int_equal(w.n_done, 13);
		for (unsigned i = 0; i < 13; i++)
			assert_int_equal(p[i].done, 1);
	}
	begin(&w);
	for (unsigned i = 0; i < 8; i++) {
		p[i] = piece(&w, true);
		pk_pool_add(&w.pool, &p[i].j);
	}
	pk_pool_run(&w.pool);
	end(&w);
	for (unsigned i = 0; i < 8; i++)
		assert_true(pthread_equal(p[i].by, p[i / 4 * 4].by));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(alone_on_the_loop),
		cmocka_unit_test(long_ones_never_on_the_loop),
		cmocka_unit_test(submitted_is_not_done_at_once),
		cmocka_unit_test(mixtures_are_done_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
