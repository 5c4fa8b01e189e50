/* SPDX-License-Identifier: BSD-3-Clause */
#include "bench_world.h"

#include <string.h>

#include <rte_cycles.h>
#include <rte_prefetch.h>

#include "drop.h"
#include "pipeline.h"
#include "qos.h"
#include "slow.h"
#include "tx.h"

#define CHANGE_EVERY 1024u /* packets: at 10 million packets a second some 10,000 changes a second */

static const char *const drop_names[] = {
#define X(sym, token, sentence) token,
	DROP_REASONS(X)
#undef X
};

uint32_t vector = 64;
unsigned runs = 60;
bool changes;

/* The frame is read past the caches, as far as the CPU lets us: a network card that writes it into the buffer does not
 * push out what the router has there, either. */
static void fill_mbuf(struct rte_mbuf *m, const void *data, uint16_t len)
{
	char *d = rte_pktmbuf_append(m, len);
	if (!d)
		die("frame too long");
	for (uint32_t at = 0; at < len; at += RTE_CACHE_LINE_SIZE)
		rte_prefetch_non_temporal((const char *)data + at);
	memcpy(d, data, len);
}

/* The cycles of one vector; kept when they are the fewest that this vector took in any run. */
static void keep_fastest(struct result *best, double cycles)
{
	if (the_worker->profile == 0) {
		if (best->total <= 0 || cycles < best->total)
			best->total = cycles;
		return;
	}
	if (best->profiled > 0 && best->profiled <= cycles)
		return;
	best->profiled = cycles;
	for (int s = 0; s < STAGE_COUNT; s++)
		best->stage[s] = (double)the_worker->stats->profile.stage[s].cycles;
}

/* A round of a worker's loop. */
static inline void worker_round(uint32_t port, struct rte_mbuf **pkts)
{
	the_worker->tsc = rte_rdtsc();
	ether_input(the_worker, port, pkts, vector);
	while (qos_run(the_worker, false))
		;
	tx_flush(the_worker);
}

/* What is measured. A function of its own, by whose name tests/bench/instructions counts what is inside. */
__rte_noinline void bench_measured(uint32_t port, struct rte_mbuf **pkts);
__rte_noinline void bench_measured(uint32_t port, struct rte_mbuf **pkts)
{
	worker_round(port, pkts);
}

/* The frames of a vector, from this one on. */
static void take_vector(struct rte_mbuf **pkts, uint32_t first)
{
	if (rte_pktmbuf_alloc_bulk(dp_pool(), pkts, vector))
		die("no buffers");
	for (uint32_t k = 0; k < vector; k++)
		fill_mbuf(pkts[k], frame[first + k].data, frame[first + k].len);
}

/* All frames once, vector by vector. */
static void one_round(uint32_t port, struct result *best)
{
	for (uint32_t i = 0; i < n_frames; i += vector) {
		struct rte_mbuf *pkts[DP_VEC];
		take_vector(pkts, i);
		if (changes && i % CHANGE_EVERY == 0)
			unrelated_change();
		memset(the_worker->stats->profile.stage, 0, sizeof(the_worker->stats->profile.stage));
		uint64_t t = rte_rdtsc();
		bench_measured(port, pkts);
		keep_fastest(&best[i / vector], (double)(rte_rdtsc() - t));
		sent_free();
	}
}

static void all_came_out(uint64_t before)
{
	if (the_worker->stats->tx_packets - before == n_frames)
		return;
	for (unsigned i = 0; i < DROP_REASON_MAX; i++)
		if (the_worker->stats->drops[i])
			fprintf(stderr, "bench_pipeline: %lu of %s\n", the_worker->stats->drops[i], drop_names[i]);
	die("packets were lost in the pipeline: the figures would be worthless");
}

void measure_nothing(uint32_t port)
{
	static struct result best[FRAMES_MAX];
	const uint64_t before = the_worker->stats->tx_packets;
	one_round(port, best);
	all_came_out(before);
}

void measure_warm_up(uint32_t port)
{
	for (uint32_t i = 0; i < n_frames; i += vector) {
		struct rte_mbuf *pkts[DP_VEC];
		take_vector(pkts, i);
		worker_round(port, pkts);
		sent_free();
	}
	while (slow_poll(worker_main()))
		;
	tx_flush(worker_main());
	sent_free();
}

/*
 * Every vector of a round has its own frames, SAs and cache misses, but is never the same twice where the machine is
 * shared: the fastest of several runs is taken for each vector, and the vectors are summed. Floor and pipeline take
 * turns, so that both see the same weather. Every third run is profiled: it says where the cycles go, and what that
 * costs, and does not count otherwise.
 */
struct result measure(uint32_t port, uint32_t n_sa, struct floor *f)
{
	static struct result best[FRAMES_MAX];
	struct result sum = {0};
	memset(best, 0, sizeof(best));
	for (unsigned run = 0; run < runs; run++) {
		const uint64_t before = the_worker->stats->tx_packets;
		windows_reset(n_sa);
		the_worker->profile = run % 3 == 2;
		one_round(port, best);
		all_came_out(before);
		if (f)
			floor_round(f);
	}
	the_worker->profile = 0;
	for (uint32_t v = 0; v < n_frames / vector; v++) {
		sum.total += best[v].total / n_frames;
		sum.profiled += best[v].profiled / n_frames;
		for (int s = 0; s < STAGE_COUNT; s++)
			sum.stage[s] += best[v].stage[s] / n_frames;
	}
	sum.floor = f ? floor_end(f) : 0;
	return sum;
}
