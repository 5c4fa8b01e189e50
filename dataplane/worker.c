/* SPDX-License-Identifier: BSD-3-Clause */
#include "worker.h"

#include <errno.h>
#include <sys/prctl.h>
#include <time.h>

#include <rte_ethdev.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_malloc.h>

#include "capture.h"
#include "pipeline.h"
#include "profile.h"
#include "qos.h"
#include "tx.h"

/* Packets taken from a queue before they are worked on: what more of them need (headers, flow, SA, counters) does not
 * stay in the first cache, with fewer the lanes of a multi-buffer cipher stay empty (docs/benchmarks.md). */
#define RX_VEC (2u * DP_BURST)
#define IDLE_ROUNDS 300u   /* empty rounds before an adaptive worker naps */
#define NAP_NS 50000	   /* short enough that 512 descriptors hold what arrives meanwhile at 10 Mpps */
#define INACTIVE_NS 500000 /* a worker that is switched off looks this often whether it is wanted */

static int stop_flag;
static uint32_t active_workers;
static uint32_t poll_mode = CV_POLL_ADAPTIVE;

static void nap(long ns)
{
	struct timespec ts = {.tv_nsec = ns};
	(void)nanosleep(&ts, NULL);
}

/* One queue, up to RX_VEC as long as bursts come full. */
static uint32_t rx_vector(const struct worker_rxq *q, struct rte_mbuf **pkts)
{
	uint32_t n = 0, got;
	do {
		got = rte_eth_rx_burst(q->eth, q->queue, pkts + n, DP_BURST);
		n += got;
	} while (got == DP_BURST && n < RX_VEC);
	return n;
}

static uint32_t poll_rx(struct worker *w)
{
	const struct worker_rxqs *rxqs = __atomic_load_n(&w->rxqs, __ATOMIC_ACQUIRE);
	struct rte_mbuf *pkts[RX_VEC];
	uint32_t total = 0;
	if (unlikely(rxqs == NULL))
		return 0;
	for (uint32_t i = 0; i < rxqs->n; i++) {
		const struct worker_rxq *q = &rxqs->q[i];
		struct stage_mark m = stage_begin(w);
		uint32_t n = rx_vector(q, pkts);
		if (n == 0)
			continue;
		stage_end(w, STAGE_RX, n, m);
		if (unlikely(capture_on(q->port_id)))
			capture_frames(q->port_id, pkts, n, false);
		ether_input(w, q->port_id, pkts, n);
		total += n;
	}
	w->stats->rx_packets += total;
	return total;
}

static uint32_t poll_inject(struct worker *w)
{
	if (likely(w->inject == NULL || rte_ring_empty(w->inject)))
		return 0;
	struct pkt_vec v;
	v.n = rte_ring_dequeue_burst(w->inject, (void **)v.pkt, DP_VEC, NULL);
	uint32_t n = v.n;
	ip_forward(w, &v);
	return n;
}

/* One round of the loop. True when there was something to do. */
static bool worker_round(struct worker *w)
{
	w->tsc = rte_rdtsc();
	profile_round(w);
	const uint32_t received = poll_rx(w);
	const uint32_t n = received + poll_inject(w) + qos_run(w, false);
	tx_flush(w);
	worker_quiescent(w);
	uint64_t cycles = rte_rdtsc() - w->tsc;
	w->stats->loops++;
	if (unlikely(w->profile != 0))
		profile_round_count(w, cycles, received, n != 0);
	if (n != 0) {
		w->stats->busy_cycles += cycles;
		return true;
	}
	w->stats->idle_loops++;
	w->stats->idle_cycles += cycles;
	return false;
}

static bool is_active(const struct worker *w)
{
	return w->index <= __atomic_load_n(&active_workers, __ATOMIC_RELAXED);
}

static void wait_until_active(struct worker *w)
{
	(void)qos_run(w, true);
	tx_flush(w);
	worker_offline(w);
	while (!is_active(w) && !__atomic_load_n(&stop_flag, __ATOMIC_RELAXED))
		nap(INACTIVE_NS);
	worker_online(w);
}

static int worker_loop(void *arg)
{
	struct worker *w = arg;
	uint32_t idle = 0;
	(void)prctl(PR_SET_TIMERSLACK, 1000ul); /* naps must not be stretched by the default 50 us */
	worker_online(w);
	while (!__atomic_load_n(&stop_flag, __ATOMIC_RELAXED)) {
		if (unlikely(!is_active(w)))
			wait_until_active(w);
		if (worker_round(w)) {
			idle = 0;
		} else if (++idle > IDLE_ROUNDS) {
			if (__atomic_load_n(&poll_mode, __ATOMIC_RELAXED) == CV_POLL_ADAPTIVE)
				nap(NAP_NS);
			else
				rte_pause();
		}
	}
	tx_flush(w);
	worker_offline(w);
	return 0;
}

int workers_launch(void)
{
	uint32_t index = WORKER_MAIN + 1;
	unsigned lcore;
	RTE_LCORE_FOREACH_WORKER (lcore) {
		if (index > dp_n_workers)
			break;
		struct worker *w = dp_workers[index++];
		w->lcore = lcore;
		int rc = rte_eal_remote_launch(worker_loop, w, lcore);
		if (rc != 0)
			return rc;
	}
	return index > dp_n_workers ? 0 : -ENODEV;
}

void workers_stop(void)
{
	__atomic_store_n(&stop_flag, 1, __ATOMIC_RELEASE);
	rte_eal_mp_wait_lcore();
}

void workers_set_active(uint32_t n, enum cv_poll_mode mode)
{
	__atomic_store_n(&active_workers, n, __ATOMIC_RELEASE);
	__atomic_store_n(&poll_mode, (uint32_t)mode, __ATOMIC_RELEASE);
}

uint32_t workers_active(void)
{
	return __atomic_load_n(&active_workers, __ATOMIC_RELAXED);
}

int worker_set_rxqs(uint32_t index, const struct worker_rxqs *rxqs)
{
	struct worker *w = dp_workers[index];
	struct worker_rxqs *copy = rte_malloc("rxqs", sizeof(*copy), RTE_CACHE_LINE_SIZE);
	if (copy == NULL)
		return -ENOMEM;
	*copy = *rxqs;
	void *old = (void *)(uintptr_t)w->rxqs;
	__atomic_store_n(&w->rxqs, copy, __ATOMIC_RELEASE);
	if (old != NULL)
		dp_defer(rte_free, old);
	return 0;
}
