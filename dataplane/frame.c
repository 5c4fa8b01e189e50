/* SPDX-License-Identifier: BSD-3-Clause */
/* What all modules stand on: packet pool, clock, drops, and reclamation after quiescence. */
#include "trace.h"
#include "worker.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include <rte_errno.h>
#include <rte_malloc.h>
#include <rte_rcu_qsbr.h>

#define DEFER_MAX 65536u /* power of two */
#define POOL_CACHE 256u

struct worker *dp_workers[CV_WRITERS];
uint32_t dp_n_workers;

static struct rte_mempool *pool;
static struct cv_stats_segment *segment;
static uint64_t tsc_base, tsc_hz;
static uint32_t uptime_s;

/* qsbr: what workers hold no pointers to is freed. turns: what workers have read of SAs' owners (sa_owner.h). */
static struct rte_rcu_qsbr *qsbr, *turns;
#define QSBR_OFFLINE 0 /* the counter of a thread that is */

/* Frees waiting for quiescence, oldest first; tokens only grow, so only the head has to be looked at. */
static struct {
	uint32_t head, tail;
	struct {
		uint64_t token;
		void (*fn)(void *arg);
		void *arg;
	} entry[DEFER_MAX];
} defer;

static int rcu_init(struct rte_rcu_qsbr **v)
{
	*v = rte_zmalloc("qsbr", rte_rcu_qsbr_get_memsize(CV_WRITERS), RTE_CACHE_LINE_SIZE);
	if (*v == NULL)
		return -ENOMEM;
	return rte_rcu_qsbr_init(*v, CV_WRITERS) == 0 ? 0 : -EINVAL;
}

static int worker_create(uint32_t index)
{
	struct worker *w = rte_zmalloc("worker", sizeof(*w), RTE_CACHE_LINE_SIZE);
	if (w == NULL)
		return -ENOMEM;
	w->index = index;
	w->lcore = LCORE_ID_ANY;
	w->stats = &segment->writer[index];
	w->tsc = rte_rdtsc();
	dp_workers[index] = w;
	if (index == WORKER_MAIN)
		return 0;
	return rte_rcu_qsbr_thread_register(qsbr, index) || rte_rcu_qsbr_thread_register(turns, index) ? -EINVAL : 0;
}

int dp_frame_init(const struct frame_conf *conf)
{
	if (conf->n_workers > CV_WORKER_MAX)
		return -EINVAL;
	segment = conf->stats;
	if (segment == NULL) {
		void *p = mmap(NULL, sizeof(*segment), PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (p == MAP_FAILED)
			return -errno;
		segment = p;
	}
	tsc_base = rte_rdtsc();
	tsc_hz = rte_get_tsc_hz();
	segment->tsc_hz = tsc_hz;
	segment->n_workers = conf->n_workers;
	/*
	 * Relaxed tail sync: with the default ring every thread spins while one that was preempted in the middle of a
	 * get or put sleeps. Workers that share a CPU (laptops, CI, the main lcore) would stand still for whole time
	 * slices.
	 */
	pool = rte_pktmbuf_pool_create_by_ops("packets", conf->n_mbufs, POOL_CACHE, sizeof(struct pkt_meta),
		DP_HEADROOM + CV_PKT_MAX + DP_TAILROOM, SOCKET_ID_ANY, "ring_mt_rts");
	if (pool == NULL)
		return -rte_errno;
	int rc = rcu_init(&qsbr);
	if (rc == 0)
		rc = rcu_init(&turns);
	for (uint32_t i = 0; rc == 0 && i <= conf->n_workers; i++)
		rc = worker_create(i);
	dp_n_workers = conf->n_workers;
	return rc;
}

struct cv_stats_segment *dp_segment(void)
{
	return segment;
}

struct rte_mempool *dp_pool(void)
{
	return pool;
}

struct rte_mbuf *dp_alloc(void)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(pool);
	if (likely(m != NULL))
		memset(pkt_meta(m), 0, sizeof(struct pkt_meta));
	return m;
}

struct cv_writer_block *dp_stats(struct worker *w)
{
	return w->stats;
}

static const char *const drop_token[] = {
#define X(sym, token, sentence) token,
	DROP_REASONS(X)
#undef X
};

void dp_drop(struct worker *w, struct rte_mbuf **pkts, unsigned n, enum drop_reason why)
{
	w->stats->drops[why] += n;
	for (unsigned i = 0; i < n; i++)
		trace_end(pkts[i], "drop", drop_token[why]);
	rte_pktmbuf_free_bulk(pkts, n);
}

/* ---- clock ---- */

uint64_t dp_now_ms(void)
{
	uint64_t d = rte_rdtsc() - tsc_base;
	/* Seconds and rest apart: cycles times 1000 would overflow after some months. */
	return d / tsc_hz * 1000 + d % tsc_hz * 1000 / tsc_hz;
}

uint32_t dp_uptime_s(void)
{
	return __atomic_load_n(&uptime_s, __ATOMIC_RELAXED);
}

void dp_clock_update(void)
{
	uint32_t s = (uint32_t)((rte_rdtsc() - tsc_base) / tsc_hz);
	__atomic_store_n(&uptime_s, s, __ATOMIC_RELAXED);
	__atomic_store_n(&segment->heartbeat, s, __ATOMIC_RELAXED);
}

/* ---- reclamation ---- */

void worker_online(struct worker *w)
{
	rte_rcu_qsbr_thread_online(qsbr, w->index);
	rte_rcu_qsbr_thread_online(turns, w->index);
}

void worker_quiescent(struct worker *w)
{
	rte_rcu_qsbr_quiescent(qsbr, w->index);
	rte_rcu_qsbr_quiescent(turns, w->index);
}

void worker_offline(struct worker *w)
{
	rte_rcu_qsbr_thread_offline(turns, w->index);
	rte_rcu_qsbr_thread_offline(qsbr, w->index);
}

void worker_pass_turn(struct worker *w)
{
	if (w->index != WORKER_MAIN && __atomic_load_n(&turns->qsbr_cnt[w->index].cnt, __ATOMIC_RELAXED))
		rte_rcu_qsbr_quiescent(turns, w->index);
	rte_pause();
}

void worker_wait_turn(struct worker *w, uint32_t other)
{
	const uint64_t token = rte_rcu_qsbr_start(turns), *at = &turns->qsbr_cnt[other].cnt;
	uint64_t cnt;
	while ((cnt = __atomic_load_n(at, __ATOMIC_ACQUIRE)) != QSBR_OFFLINE && cnt < token)
		worker_pass_turn(w);
}

static void defer_run_one(void)
{
	uint32_t i = defer.head++ % DEFER_MAX;
	defer.entry[i].fn(defer.entry[i].arg);
}

void dp_defer(void (*fn)(void *arg), void *arg)
{
	/* Full: wait for the oldest. Its function may defer something in turn, which takes its place. */
	while (defer.tail - defer.head >= DEFER_MAX) {
		(void)rte_rcu_qsbr_check(qsbr, defer.entry[defer.head % DEFER_MAX].token, true);
		defer_run_one();
	}
	uint32_t i = defer.tail++ % DEFER_MAX;
	defer.entry[i].token = rte_rcu_qsbr_start(qsbr);
	defer.entry[i].fn = fn;
	defer.entry[i].arg = arg;
}

void dp_defer_run(void)
{
	while (defer.head != defer.tail &&
		rte_rcu_qsbr_check(qsbr, defer.entry[defer.head % DEFER_MAX].token, false) == 1)
		defer_run_one();
}

void dp_quiesce(void)
{
	rte_rcu_qsbr_synchronize(qsbr, RTE_QSBR_THRID_INVALID);
	while (defer.head != defer.tail) {
		(void)rte_rcu_qsbr_check(qsbr, defer.entry[defer.head % DEFER_MAX].token, true);
		defer_run_one();
	}
}
