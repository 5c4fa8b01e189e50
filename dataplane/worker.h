/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The worker: one poll-mode lcore that takes packets from its receive queues through all stages. Main has a struct
 * worker of its own (index 0), so that the slow path can use the same functions; it has no receive queues.
 */
#ifndef DATAPLANE_WORKER_H
#define DATAPLANE_WORKER_H

#include <rte_cycles.h>
#include <rte_ring.h>

#include "dp.h"
#include "stages.h"

#define WORKER_MAIN 0u
#define WORKER_RXQ_MAX 64u

struct tx_worker;    /* tx.h */
struct fast_worker;  /* fast.h */
struct ipsec_worker; /* ipsec.h */

struct worker_rxq {
	uint16_t eth;	  /* DPDK port */
	uint16_t queue;	  /* receive queue of it */
	uint32_t port_id; /* ours: index of port_worker_view() */
};

/* What a worker polls. Immutable once published in worker.rxqs; replaced as a whole. */
struct worker_rxqs {
	uint32_t n;
	struct worker_rxq q[WORKER_RXQ_MAX];
};

/* Token bucket of one slow-path class (slow.c). */
struct worker_bucket {
	uint64_t last;	 /* TSC of the last refill */
	uint64_t credit; /* TSC cycles saved up */
};

struct worker {
	uint32_t index;			/* 0 = main, i + 1 = worker i; same as the slot in the statistics segment */
	unsigned lcore;			/* EAL lcore id */
	struct cv_writer_block *stats;	/* only this thread writes it */
	const struct worker_rxqs *rxqs; /* main publishes, worker reads */
	struct tx_worker *tx;		/* tx.c */
	struct ipsec_worker *ipsec;	/* ipsec.h */
	struct fast_worker *fast;	/* fast.h; NULL: everything goes through the pipeline */
	uint64_t tsc;			/* at the start of this round of the loop */
	uint64_t inner_cycles;		/* stage_begin/stage_end: cycles of stages called from the current one */
	uint64_t profile;	 /* profile.h: the one this round of the loop belongs to; 0: stages are not counted */
	struct rte_ring *inject; /* worker index 1: packets main wants routed by a worker */
	struct worker_bucket slow[SLOW_CLASSES]; /* slow.c */
} __rte_cache_aligned;

/* By index; NULL beyond the last. Filled once, before the workers start. */
extern struct worker *dp_workers[CV_WRITERS];
/* Worker lcores there are (not all need be active). */
extern uint32_t dp_n_workers;

static inline struct worker *worker_main(void)
{
	return dp_workers[WORKER_MAIN];
}

/* ---- cycles per stage: a stage's own cycles, without those of the stages it calls; only while profiled ---- */

struct stage_mark {
	uint64_t start, outer;
};

static inline struct stage_mark stage_begin(struct worker *w)
{
	struct stage_mark m = {0};
	if (unlikely(w->profile != 0)) {
		m = (struct stage_mark){.start = rte_rdtsc(), .outer = w->inner_cycles};
		w->inner_cycles = 0;
	}
	return m;
}

/* What stage_end() does when it has to (profile.c). */
void stage_count(struct worker *w, enum stage stage, uint32_t n, uint64_t start, uint64_t outer);

/* n: packets the stage worked on. */
static inline void stage_end(struct worker *w, enum stage stage, uint32_t n, struct stage_mark m)
{
	if (unlikely(w->profile != 0))
		stage_count(w, stage, n, m.start, m.outer);
}

/* ---- main ---- */

struct frame_conf {
	struct cv_stats_segment *stats; /* NULL: private memory (tests, benchmarks) */
	uint32_t n_workers;		/* 0..CV_WORKER_MAX */
	uint32_t n_mbufs;
};

/*
 * Once, after rte_eal_init and before anything else of the dataplane: packet pool, QSBR, struct worker of main and of
 * every worker (without tx and ipsec, which are the owners' to make). Does not start threads: a test or benchmark can
 * go on and run stages on dp_workers[0]. 0 or -errno.
 */
int dp_frame_init(const struct frame_conf *conf);
/* Where the counters are: conf.stats, or the private memory. */
struct cv_stats_segment *dp_segment(void);
/* Run the deferred frees whose time has come. Main, every round. */
void dp_defer_run(void);
/* Wait until every worker has passed a quiescent point, then run all deferred frees. Milliseconds. */
void dp_quiesce(void);
/* Main, every round: refresh dp_uptime_s() and the heartbeat. */
void dp_clock_update(void);

/* Start the loop on every worker lcore; worker i runs on the i-th EAL worker lcore. 0 or -errno. */
int workers_launch(void);
/* Tell all to stop and wait for them. */
void workers_stop(void);
/* Main: how many are active (1..dp_n_workers) and how they wait. The others sleep. */
void workers_set_active(uint32_t n, enum cv_poll_mode mode);
uint32_t workers_active(void);
/* Main: give worker `index` a new list of receive queues; the old list is freed after quiescence. 0 or -ENOMEM. */
int worker_set_rxqs(uint32_t index, const struct worker_rxqs *rxqs);
/* Worker: QSBR; dp_frame_init has made one per index. Exposed for tests that run stages in threads of their own. */
void worker_online(struct worker *w);
void worker_quiescent(struct worker *w);
void worker_offline(struct worker *w);
/* Worker or main: w has not read any SA's owner that it still goes by (sa_owner.h). In the midst of a vector, too: this
 * is no quiescent point. */
void worker_pass_turn(struct worker *w);
/* Worker or main: until `other` has passed a turn, at a quiescent point or by the above, or is offline; w passes its
 * own meanwhile. What `other` has written before is seen then. */
void worker_wait_turn(struct worker *w, uint32_t other);

#endif
