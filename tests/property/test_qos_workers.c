/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Policy maps that change under two workers in threads of their own, as fast as control can say it: every packet that
 * came in has been sent or is counted as dropped, and no buffer is left. Under the address sanitizer also: nobody looks
 * at queues that are gone.
 *
 * port 0: if 1, 10.0.0.1/24; port 1: if 2, 10.1.0.1/24 with the policy; UDP to port 5000 has priority
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <pthread.h>
#include <sched.h>
#include <cmocka.h>

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_ether.h>

#include "cv_addr.h"
#include "../unit/fwd_env.h"
#include "pipeline.h"
#include "qos.h"
#include "tx.h"

#define WORKERS 2u
#define ROUNDS 4000u
#define PER_ROUND 40u /* more than a burst: there is always somebody who waits */
#define LEN 128u

static uint8_t frame[2][LEN]; /* data, voice */

/* Of a worker. It judges nothing, for only the main thread can fail the test. */
static struct job {
	pthread_t id;
	struct worker *w;
	uint64_t came, sent;
	uint32_t rounds;
	bool done;
} job[WORKERS];

static uint16_t device_transmit(void *queue, struct rte_mbuf **pkt, uint16_t n)
{
	((struct job *)queue)->sent += n;
	rte_pktmbuf_free_bulk(pkt, n);
	return n;
}

static void receive(struct job *j)
{
	struct rte_mbuf *pkt[PER_ROUND];
	unsigned n;

	for (n = 0; n < PER_ROUND && (pkt[n] = dp_alloc()) != NULL; n++)
		memcpy(rte_pktmbuf_append(pkt[n], LEN), frame[n % 8 == 0], LEN);
	j->came += n;
	if (n)
		ether_input(j->w, 0, pkt, n);
}

/* As worker_loop() does. */
static void *run(void *arg)
{
	struct job *j = arg;

	worker_online(j->w);
	for (unsigned i = 0; i < ROUNDS; i++) {
		j->w->tsc = rte_rdtsc();
		receive(j);
		(void)qos_run(j->w, false);
		tx_flush(j->w);
		worker_quiescent(j->w);
		__atomic_store_n(&j->rounds, i + 1, __ATOMIC_RELEASE);
		sched_yield(); /* so that they take turns where there is one CPU */
	}
	(void)qos_run(j->w, true);
	tx_flush(j->w);
	worker_offline(j->w);
	__atomic_store_n(&j->done, true, __ATOMIC_RELEASE);
	return NULL;
}

/* ---- control ---- */

static void policy(uint32_t queue_limit)
{
	struct cv_qos_rule r = {.policy_id = 1, .class_no = 1};

	for (uint32_t i = 0; i < 2; i++) {
		const struct cv_qos_class c = {.policy_id = 1,
			.class_no = i,
			.set_dscp = CV_QOS_DSCP_KEEP,
			.weight = 1,
			.priority = i * 1000000000ul,
			.priority_burst = 100000,
			.queue_limit = queue_limit,
			.fair_queues = i ? 1 : 16};

		env_stage(CV_CMD_QOS_CLASS_SET, &c, 0);
	}
	cv_selector_any(&r.sel, CV_AF_INET);
	r.sel.proto = IPPROTO_UDP;
	r.sel.dport_lo = r.sel.dport_hi = 5000;
	env_stage(CV_CMD_QOS_RULE_SET, &r, 0);
}

static void attach(uint32_t slot, uint64_t rate)
{
	const struct cv_qos_attach a = {
		.slot = slot, .if_id = 2, .policy_id = 1, .dir = CV_QOS_OUTPUT, .flags = CV_QOS_F_QUEUES, .rate = rate};

	env_stage(CV_CMD_QOS_ATTACH_SET, &a, 0);
}

/* One after another: other classes, another slot, a rate that nothing gets through at, no policy at all. */
static void change(unsigned i)
{
	switch (i % 4) {
	case 0:
		policy(16 + i % 64);
		attach(1, 0);
		break;
	case 1:
		env_stage(CV_CMD_QOS_ATTACH_DEL, &(uint32_t){1}, 0);
		attach(2, 0);
		break;
	case 2:
		attach(2, 1000);
		break;
	default:
		env_stage(CV_CMD_QOS_ATTACH_DEL, &(uint32_t){2}, 0);
		break;
	}
	assert_int_equal(env_commit(), 0);
}

/* ---- the test ---- */

static void frames_make(void)
{
	for (unsigned i = 0; i < 2; i++) {
		struct rte_mbuf *m = env_udp("10.0.0.2", "10.1.0.2", 1000, i ? 5000 : 5001, LEN - 14 - 28);
		const uint8_t ethernet[14] = {2, 0, 0, 0, 1, 0, 2, 0, 0, 0, 2, 1, 8, 0};

		memcpy(frame[i], ethernet, 14);
		memcpy(frame[i] + 14, rte_pktmbuf_mtod(m, const uint8_t *), LEN - 14);
		rte_pktmbuf_free(m);
	}
}

static uint64_t drops(const struct worker *w)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < DROP_REASON_MAX; i++)
		n += w->stats->drops[i];
	return n;
}

static bool all_done(void)
{
	bool done = true;

	for (unsigned i = 0; i < WORKERS; i++)
		done &= __atomic_load_n(&job[i].done, __ATOMIC_ACQUIRE);
	return done;
}

static uint32_t rounds(void)
{
	uint32_t n = 0;

	for (unsigned i = 0; i < WORKERS; i++)
		n += __atomic_load_n(&job[i].rounds, __ATOMIC_ACQUIRE);
	return n;
}

static void policies_change_under_workers(void **state)
{
	static void *queue[CV_WRITERS];
	unsigned changes = 0;

	(void)state;
	env_two_ports();
	assert_int_equal(env_commit(), 0);
	env_neigh(2, "10.1.0.2", 2);
	frames_make();
	rte_eth_fp_ops[0].tx_pkt_burst = device_transmit;
	rte_eth_fp_ops[0].txq.data = queue;
	for (unsigned i = 0; i < WORKERS; i++) {
		job[i].w = dp_workers[1 + i];
		queue[1 + i] = &job[i];
		assert_int_equal(pthread_create(&job[i].id, NULL, run, &job[i]), 0);
	}
	for (uint32_t at = 0; !all_done(); sched_yield()) {
		if (rounds() == at)
			continue;
		at = rounds();
		change(changes++);
	}
	for (unsigned i = 0; i < WORKERS; i++)
		assert_int_equal(pthread_join(job[i].id, NULL), 0);
	dp_quiesce();
	assert_true(changes > 100);
	for (unsigned i = 0; i < WORKERS; i++) {
		assert_true(job[i].came > ROUNDS && job[i].sent > job[i].came / 4);
		assert_int_equal(job[i].came, job[i].sent + drops(job[i].w));
	}
	assert_int_equal(env_n_slow, 0);
	assert_int_equal(env_mbufs(), 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(policies_change_under_workers, env_teardown),
	};

	env_init_workers(WORKERS);
	env_ports(2);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
