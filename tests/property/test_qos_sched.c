/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The queues in front of the crypto engine, on virtual time: an engine that takes a fixed time for a packet is given
 * bursts, and packets come as they like. Against brute force: nothing is lost but what is counted, flows keep their
 * order, classes get their shares. Then the same queues in real threads, which share rates. LLQ-T1, T2, T5, T6.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <pthread.h>
#include <cmocka.h>

#include <rte_eal.h>
#include <rte_mempool.h>

#include "qos_sched.h"

#define HZ UINT64_C(1000000000) /* a cycle is a nanosecond */
#define BURST 32u
#define ENGINE_NS 10000u /* of one packet: 100,000 packets a second */
#define LEN 200u

static struct rte_mempool *pool;
static unsigned seed = 20261121;
static struct qos_shared shared;
static struct cv_qos_counters count[CV_QOS_CLASSES];

static uint32_t below(uint32_t n)
{
	return n ? (uint32_t)random() % n : 0;
}

static struct cv_qos_class plain(uint32_t weight)
{
	return (struct cv_qos_class){.weight = weight, .queue_limit = 512, .fair_queues = 1};
}

static struct qos_sched *make(const struct cv_qos_class *cls, uint32_t n, uint64_t rate, uint64_t now)
{
	struct qos_sched *s;

	memset(count, 0, sizeof(count));
	qos_shared_init(&shared, cls, n, rate, HZ, now);
	s = qos_sched_create(cls, n, &shared, count, HZ);
	assert_non_null(s);
	return s;
}

/* What a packet says of itself. */
struct note {
	uint32_t class_no, flow, no;
	uint64_t came;
};

static struct rte_mbuf *packet(const struct note *n, uint32_t len)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(pool);

	assert_non_null(m);
	memcpy(rte_pktmbuf_append(m, (uint16_t)len), n, sizeof(*n));
	return m;
}

static struct note note_of(struct rte_mbuf *m)
{
	struct note n;

	memcpy(&n, rte_pktmbuf_mtod(m, void *), sizeof(n));
	return n;
}

static void put(struct qos_sched *s, const struct note *n, uint32_t len, uint64_t now)
{
	enum drop_reason why = DROP_NONE;
	struct rte_mbuf *victim = qos_sched_put(s, n->class_no, packet(n, len), n->flow, now, &why);

	assert_int_equal(victim != NULL, why != DROP_NONE);
	rte_pktmbuf_free(victim);
}

static void empty(struct qos_sched *s)
{
	struct rte_mbuf *out[BURST];
	uint32_t n;

	while ((n = qos_sched_get(s, out, BURST, UINT64_MAX / 2, QOS_GET_FLUSH)) != 0)
		rte_pktmbuf_free_bulk(out, n);
	assert_int_equal(qos_sched_backlog(s), 0);
	qos_sched_free(s);
}

/* The last one. */
static void end(struct qos_sched *s)
{
	empty(s);
	assert_int_equal(rte_mempool_in_use_count(pool), 0);
}

/* ---- slow engines ---- */

struct result {
	uint64_t offered[2], sent[2], worst[2]; /* data, voice; worst: until its own encryption begins */
	uint32_t last[2];
	bool disorder; /* within data, or within voice */
};

/* A worker: what it has queued, and its engine, which is busy until now. */
struct engine {
	struct qos_sched *s;
	uint32_t voice_class;
	uint64_t every[2], next[2],
		now; /* data, voice: between two packets that come to it, and when the next one does */
	struct result r;
};

/* Idle as yet: nothing comes. */
static void engine_start(struct engine *e, struct qos_sched *s, uint32_t voice_class)
{
	*e = (struct engine){.s = s, .voice_class = voice_class, .next = {UINT64_MAX, UINT64_MAX}};
}

static void data_comes(struct engine *e, uint64_t every_ns)
{
	e->every[0] = every_ns;
	e->next[0] = 0;
}

static void voice_comes(struct engine *e, uint64_t every_ns)
{
	e->every[1] = every_ns;
	e->next[1] = every_ns / 2;
}

/* As a worker does: take in what has come, then encrypt a burst. Looks again after a microsecond or so when nothing may
 * go. */
static void engine_round(struct engine *e)
{
	struct rte_mbuf *out[BURST];
	struct result *r = &e->r;

	for (unsigned k = 0; k < 2; k++)
		for (; e->next[k] <= e->now; e->next[k] += e->every[k]) {
			struct note n = {.class_no = k ? e->voice_class : 0,
				.flow = k,
				.no = (uint32_t)++r->offered[k],
				.came = e->next[k]};

			put(e->s, &n, LEN, e->now);
		}
	uint32_t got = qos_sched_get(e->s, out, BURST, e->now, QOS_GET_PRIORITY);

	got += qos_sched_get(e->s, out + got, BURST - got, e->now, QOS_GET_ALL);
	e->now += got ? 0 : 1 + below(2000);
	for (uint32_t i = 0; i < got; i++) {
		struct note n = note_of(out[i]);

		r->sent[n.flow]++;
		r->worst[n.flow] = RTE_MAX(r->worst[n.flow], e->now - n.came);
		e->now += ENGINE_NS;
		r->disorder |= n.no <= r->last[n.flow];
		r->last[n.flow] = n.no;
	}
	rte_pktmbuf_free_bulk(out, got);
}

/* One second of one of them: voice at regular intervals, data beyond what it can do. */
static struct result engine(struct qos_sched *s, uint32_t voice_class, uint64_t voice_ns, uint64_t data_ns)
{
	struct engine e;

	engine_start(&e, s, voice_class);
	data_comes(&e, data_ns);
	voice_comes(&e, voice_ns);
	while (e.now < HZ)
		engine_round(&e);
	return e.r;
}

/* LLQ-T1: 50 kbit/s of voice, data at twice what the engine does: no voice is lost, and none waits longer than for
 * the burst under way. LLQ-1, LLQ-2, LLQ-17. */
static void voice_passes_a_full_engine(void **state)
{
	struct cv_qos_class cls[3] = {plain(20), plain(1), plain(20)};

	(void)state;
	cls[0].fair_queues = 16;
	cls[1].priority = 50000;
	cls[1].priority_burst = 1563;
	struct qos_sched *s = make(cls, 3, 0, 0);
	struct result r = engine(s, 1, HZ * LEN * 8 / 50000, ENGINE_NS / 2);

	assert_true(r.offered[1] >= 31 && r.sent[1] + 1 >= r.offered[1]);
	assert_int_equal(count[1].queue_drops + count[1].priority_drops, 0);
	assert_true(r.worst[1] <= BURST * ENGINE_NS);
	assert_true(count[0].queue_drops > 90000 && r.sent[0] > 99000);
	assert_false(r.disorder);
	end(s);
}

/* LLQ-T2: the same without a priority class: voice waits and is lost like data. */
static void voice_suffers_without_it(void **state)
{
	struct cv_qos_class cls[1] = {plain(1)};

	(void)state;
	struct qos_sched *s = make(cls, 1, 0, 0);
	struct result r = engine(s, 0, HZ * LEN * 8 / 50000, ENGINE_NS / 2);

	assert_true(r.sent[1] * 10 < r.offered[1] * 9); /* data loses half of what it offers */
	assert_true(!r.sent[1] || r.worst[1] > 400 * ENGINE_NS);
	end(s);
}

/* LLQ-T5: a flood in the priority class gets its rate while data waits, and data the rest. */
static void voice_cannot_starve_data(void **state)
{
	struct cv_qos_class cls[2] = {plain(1), plain(1)};

	(void)state;
	cls[1].priority = 16000000; /* 10,000 packets a second */
	cls[1].priority_burst = 4000;
	struct qos_sched *s = make(cls, 2, 0, 0);
	struct result r = engine(s, 1, ENGINE_NS / 2, ENGINE_NS / 2);

	assert_true(r.sent[0] > 80000 && r.sent[1] >= 9900 && r.sent[1] < 12000);
	assert_true(count[1].priority_drops > 180000);
	end(s);
	/* and while nothing else waits, all of it goes (LLQ-9: what is not used is shared) */
	s = make(cls, 2, 0, 0);
	r = engine(s, 1, ENGINE_NS * 2, HZ);
	assert_true(r.sent[1] + 2 >= r.offered[1] && r.offered[1] > 49000);
	assert_int_equal(count[1].priority_drops, 0);
	end(s);
}

/* Two workers of one interface. */
static struct cv_qos_counters of_other[CV_QOS_CLASSES];

static void engines_start(struct engine e[2], const struct cv_qos_class *cls, uint32_t n, uint64_t rate)
{
	memset(of_other, 0, sizeof(of_other));
	engine_start(&e[0], make(cls, n, rate, 0), 1);
	engine_start(&e[1], qos_sched_create(cls, n, &shared, of_other, HZ), 1);
}

static void engines_run(struct engine e[2])
{
	while (RTE_MIN(e[0].now, e[1].now) < HZ)
		engine_round(&e[e[1].now < e[0].now]);
}

/* Of two workers on an interface with a rate one has voice, and both more data than goes: that of the other worker does
 * not come before the voice either, and together they send what the interface has. */
static void voice_passes_the_data_of_other_workers(void **state)
{
	const uint64_t rate = 16000000; /* a tenth of what one engine does */
	struct cv_qos_class cls[2] = {plain(1), plain(1)};
	struct engine e[2];

	(void)state;
	cls[1].priority = 500000;
	cls[1].priority_burst = 1563;
	engines_start(e, cls, 2, rate);
	voice_comes(&e[0], HZ * LEN * 8 / 500000);
	data_comes(&e[0], ENGINE_NS);
	data_comes(&e[1], ENGINE_NS);
	engines_run(e);
	assert_true(e[0].r.sent[1] + 1 >= e[0].r.offered[1] && e[0].r.offered[1] > 310);
	assert_true(e[0].r.worst[1] <= BURST * ENGINE_NS);
	assert_true((e[0].r.sent[0] + e[0].r.sent[1] + e[1].r.sent[0]) * LEN * 8 <= rate + rate / 50);
	empty(e[1].s);
	end(e[0].s);
}

/* LLQ-T5 between workers: data that waits for the interface's rate at one of them is not starved by voice at the other.
 */
static void voice_cannot_starve_data_of_other_workers(void **state)
{
	struct cv_qos_class cls[2] = {plain(1), plain(1)};
	struct engine e[2];

	(void)state;
	cls[1].priority = 4000000; /* 2,500 packets a second, of 10,000 */
	cls[1].priority_burst = 4000;
	engines_start(e, cls, 2, 16000000);
	voice_comes(&e[0], ENGINE_NS);
	data_comes(&e[1], ENGINE_NS);
	engines_run(e);
	assert_true(e[1].r.sent[0] > 7000 && e[1].r.sent[0] < 7800);
	assert_true(e[0].r.sent[1] > 2400 && e[0].r.sent[1] < 2700);
	empty(e[1].s);
	end(e[0].s);
}

/* A receiver's window of 64 packets (RFC 4303 3.4.3): how many it has dropped as too old. */
struct receiver {
	uint64_t top, dropped;
};

static void receive(struct receiver *r, uint64_t number)
{
	r->dropped += number + 64 <= r->top;
	r->top = RTE_MAX(r->top, number);
}

/* LLQ-T6, LLQ-17: numbered when they leave the queues, as esp_out does, no packet is too old for a window of 64 when it
 * arrives; numbered when they came, most of what was overtaken is. */
static void numbers_are_given_to_what_leaves(void **state)
{
	struct cv_qos_class cls[2] = {plain(1), plain(1)};
	struct receiver after = {0}, before = {0};
	struct rte_mbuf *out[BURST];
	uint64_t number = 0;

	(void)state;
	cls[1].priority = 100000000;
	cls[1].priority_burst = 100000;
	struct qos_sched *s = make(cls, 2, 0, 0);
	for (uint32_t round = 0; round < 2000; round++) {
		for (uint32_t i = 0; i < 40; i++)
			put(s, &(struct note){.class_no = i % 8 == 7, .no = 1 + round * 40 + i}, LEN, round * 1000);
		uint32_t got = qos_sched_get(s, out, BURST, round * 1000, QOS_GET_ALL);

		for (uint32_t i = 0; i < got; i++) {
			receive(&after, ++number);
			receive(&before, note_of(out[i]).no);
		}
		rte_pktmbuf_free_bulk(out, got);
	}
	assert_int_equal(after.dropped, 0);
	assert_true(before.dropped > 10000);
	end(s);
}

/* ---- shares ---- */

/* LLQ-9: classes that always have something get what their weights say, of what the engine does. */
static void shares_follow_weights(void **state)
{
	(void)state;
	for (unsigned t = 0; t < 40; t++) {
		struct cv_qos_class cls[8];
		uint64_t bytes[8] = {0}, weights = 0, all = 0;
		const uint32_t n = 2 + below(7);
		struct rte_mbuf *out[BURST];

		for (uint32_t i = 0; i < n; i++) {
			cls[i] = plain(1 + below(100));
			weights += cls[i].weight;
		}
		struct qos_sched *s = make(cls, n, 0, 0);

		for (uint32_t round = 0; round < 3000; round++) {
			for (uint32_t i = 0; i < n; i++)
				while (count[i].depth < 40)
					put(s, &(struct note){.class_no = i}, 100 + below(1400), round);
			uint32_t got = qos_sched_get(s, out, BURST, round, QOS_GET_ALL);

			assert_int_equal(got, BURST);
			for (uint32_t i = 0; i < got; i++) {
				bytes[note_of(out[i]).class_no] += out[i]->pkt_len;
				all += out[i]->pkt_len;
			}
			rte_pktmbuf_free_bulk(out, got);
		}
		for (uint32_t i = 0; i < n; i++) {
			const double due = (double)all * cls[i].weight / (double)weights;

			/* one packet of its own, and one for each other class */
			if ((double)bytes[i] < due - 1500.0 * (n + 1) || (double)bytes[i] > due + 1500.0 * (n + 1))
				fail_msg("class %u of %u, weight %u of %lu: %lu bytes, not %.0f", i, n, cls[i].weight,
					(unsigned long)weights, (unsigned long)bytes[i], due);
		}
		end(s);
	}
}

/* LLQ-11: in class-default flows get the same, whatever they offer; a full queue takes from who has most. */
static void flows_take_turns(void **state)
{
	struct cv_qos_class cls[1] = {plain(1)};
	uint64_t bytes[4] = {0};
	struct rte_mbuf *out[BURST];

	(void)state;
	cls[0].fair_queues = 16;
	cls[0].queue_limit = 128;
	struct qos_sched *s = make(cls, 1, 0, 0);
	for (uint32_t round = 0; round < 5000; round++) {
		for (uint32_t f = 0; f < 4; f++) /* flow 0 offers ten times as much */
			for (uint32_t i = 0; i < (f ? 10 : 100); i++)
				put(s, &(struct note){.flow = f, .no = round}, 100 + below(1400), round);
		uint32_t got = qos_sched_get(s, out, BURST, round, QOS_GET_ALL);

		for (uint32_t i = 0; i < got; i++)
			bytes[note_of(out[i]).flow] += out[i]->pkt_len;
		rte_pktmbuf_free_bulk(out, got);
	}
	for (uint32_t f = 1; f < 4; f++)
		assert_true(bytes[f] * 10 > bytes[0] * 9 && bytes[f] * 9 < bytes[0] * 10);
	assert_true(count[0].queue_drops > 0);
	end(s);
}

/* VTI-13: a shaped class, and a shaped interface, send their rate and lose nothing that fits the queue. */
static void shapes(void **state)
{
	(void)state;
	for (unsigned t = 0; t < 2; t++) {
		struct cv_qos_class cls[2] = {plain(1), plain(1)};
		struct rte_mbuf *out[BURST];
		uint64_t bytes = 0;

		cls[1].shape = t ? 0 : 8000000;
		cls[1].shape_burst = 10000;
		struct qos_sched *s = make(cls, 2, t ? 8000000 : 0, 0);

		for (uint64_t now = 0; now < HZ; now += 100000) {
			while (count[1].depth < 100)
				put(s, &(struct note){.class_no = 1}, 100 + below(1400), now);
			uint32_t got = qos_sched_get(s, out, BURST, now, QOS_GET_ALL);

			for (uint32_t i = 0; i < got; i++)
				bytes += out[i]->pkt_len;
			rte_pktmbuf_free_bulk(out, got);
		}
		assert_int_equal(count[1].queue_drops, 0);
		assert_true(bytes > 990000 && bytes < 1000000 + 10000 + 1500);
		end(s);
	}
}

/* ---- anything at all, against counting ---- */

static void nothing_is_lost_or_reordered(void **state)
{
	(void)state;
	for (unsigned t = 0; t < 100; t++) {
		struct cv_qos_class cls[6];
		uint32_t last[6][8], no = 0;
		uint64_t in = 0, gone = 0, now = 0;
		const uint32_t n = 1 + below(6);
		struct rte_mbuf *out[BURST];

		memset(last, 0, sizeof(last));
		for (uint32_t i = 0; i < n; i++) {
			cls[i] = plain(1 + below(1000));
			cls[i].queue_limit = 1 + below(100);
			cls[i].priority = i && !below(3) ? 1000000 : 0;
			cls[i].priority_burst = 2000;
			cls[i].shape = !cls[i].priority && !below(3) ? 10000000 : 0;
			cls[i].shape_burst = 3000;
			cls[i].fair_queues = !cls[i].priority && !below(2) ? 8 : 1;
		}
		struct qos_sched *s = make(cls, n, below(2) ? 50000000 : 0, 0);

		for (uint32_t round = 0; round < 500; round++) {
			now += below(300000);
			for (uint32_t i = below(60); i > 0; i--, in++)
				put(s, &(struct note){.class_no = below(n), .flow = below(8), .no = ++no},
					30 + below(1470), now);
			uint32_t got =
				qos_sched_get(s, out, below(BURST + 1), now, below(4) ? QOS_GET_ALL : QOS_GET_PRIORITY);

			for (uint32_t i = 0; i < got; i++) {
				struct note m = note_of(out[i]);

				assert_true(m.no > last[m.class_no][m.flow]);
				last[m.class_no][m.flow] = m.no;
			}
			gone += got;
			rte_pktmbuf_free_bulk(out, got);
		}
		for (uint32_t i = 0; i < n; i++) {
			uint64_t delays = 0;

			for (unsigned k = 0; k < CV_QOS_DELAYS; k++)
				delays += count[i].delay[k];
			assert_int_equal(delays, count[i].sent_packets);
			assert_true(count[i].depth_max <= cls[i].queue_limit);
			gone += count[i].queue_drops + count[i].priority_drops;
		}
		assert_int_equal(in, gone + qos_sched_backlog(s));
		end(s);
	}
}

/* ---- threads ---- */

#define THREADS 2u
#define STEPS 200000u
#define STEP_NS 2000u /* of all threads together */
#define MINE 1024u    /* packets of one thread */
enum { T_DATA, T_VOICE, T_SHAPED, T_CLASSES };

/* A worker: it judges nothing, for only the main thread can fail the test. */
struct thread {
	pthread_t id;
	struct qos_sched *s;
	struct cv_qos_counters count[CV_QOS_CLASSES];
	struct rte_mbuf *spare[MINE];
	uint32_t n_spare, put[T_CLASSES], last[T_CLASSES];
	uint64_t sent[T_CLASSES], dropped; /* bytes; packets */
	bool disorder, ran_out;
};
static uint64_t threads_clock;

static void thread_put(struct thread *t, uint32_t class_no, uint64_t now)
{
	const struct note n = {.class_no = class_no, .no = ++t->put[class_no], .came = now};
	enum drop_reason why;

	if (!t->n_spare) {
		t->ran_out = true;
		return;
	}
	struct rte_mbuf *m = t->spare[--t->n_spare];

	memcpy(rte_pktmbuf_mtod(m, void *), &n, sizeof(n));
	m = qos_sched_put(t->s, class_no, m, 0, now, &why);
	if (m) {
		t->spare[t->n_spare++] = m;
		t->dropped++;
	}
}

static void thread_get(struct thread *t, uint64_t now, enum qos_get what)
{
	struct rte_mbuf *out[BURST];
	const uint32_t got = qos_sched_get(t->s, out, BURST, now, what);

	for (uint32_t i = 0; i < got; i++) {
		const struct note n = note_of(out[i]);

		t->disorder |= n.no <= t->last[n.class_no];
		t->last[n.class_no] = n.no;
		t->sent[n.class_no] += what == QOS_GET_FLUSH ? 0 : LEN;
		t->spare[t->n_spare++] = out[i];
	}
}

static void *thread_run(void *arg)
{
	struct thread *t = arg;

	for (uint32_t i = 0; i < STEPS; i++) {
		const uint64_t now = __atomic_add_fetch(&threads_clock, STEP_NS, __ATOMIC_RELAXED);

		for (uint32_t k = 0; k < T_CLASSES; k++)
			thread_put(t, k, now);
		thread_get(t, now, QOS_GET_PRIORITY);
		thread_get(t, now, QOS_GET_ALL);
	}
	return NULL;
}

static void thread_start(struct thread *t, const struct cv_qos_class *cls)
{
	memset(t, 0, sizeof(*t));
	t->s = qos_sched_create(cls, T_CLASSES, &shared, t->count, HZ);
	assert_non_null(t->s);
	for (; t->n_spare < MINE; t->n_spare++)
		t->spare[t->n_spare] = packet(&(struct note){0}, LEN);
	assert_int_equal(pthread_create(&t->id, NULL, thread_run, t), 0);
}

/* It has kept its packets and their order. */
static void thread_end(struct thread *t)
{
	uint64_t sent = 0;

	assert_false(t->disorder || t->ran_out);
	while (qos_sched_backlog(t->s))
		thread_get(t, threads_clock, QOS_GET_FLUSH);
	assert_int_equal(t->n_spare, MINE);
	for (uint32_t k = 0; k < T_CLASSES; k++) {
		sent += t->count[k].sent_packets;
		t->dropped -= t->count[k].queue_drops + t->count[k].priority_drops;
	}
	assert_int_equal(t->dropped, 0);
	assert_int_equal(
		sent + t->count[T_DATA].queue_drops + t->count[T_VOICE].priority_drops + t->count[T_SHAPED].queue_drops,
		T_CLASSES * STEPS);
	rte_pktmbuf_free_bulk(t->spare, t->n_spare);
	qos_sched_free(t->s);
}

/* bytes: what all have sent of a rate, which gave depth at the beginning. Each may be one packet ahead of the others.
 */
static void assert_rate(const char *what, uint64_t bytes, uint64_t bps, uint64_t depth)
{
	const uint64_t due = depth + bps / 8 * threads_clock / HZ;

	if (bytes > due + (THREADS + 1) * LEN || bytes < due - due / 50)
		fail_msg("%s: %lu bytes, not %lu", what, (unsigned long)bytes, (unsigned long)due);
}

/* Workers that share an interface in real time: each keeps its packets, and together they get its rate, that of the
 * priority class and that of a shaped one, to the packet. 1.6 Gbit/s each offered of everything. */
static void workers_share_the_rates(void **state)
{
	static struct thread t[THREADS];
	struct cv_qos_class cls[T_CLASSES] = {plain(1), plain(1), plain(1)};
	uint64_t sent[T_CLASSES] = {0};

	(void)state;
	for (uint32_t k = 0; k < T_CLASSES; k++)
		cls[k].queue_limit = 64;
	cls[T_VOICE].priority = 100000000;
	cls[T_VOICE].priority_burst = 5000;
	cls[T_SHAPED].shape = 50000000;
	cls[T_SHAPED].shape_burst = 4000;
	threads_clock = 0;
	qos_shared_init(&shared, cls, T_CLASSES, 400000000, HZ, 0);
	for (uint32_t i = 0; i < THREADS; i++)
		thread_start(&t[i], cls);
	for (uint32_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(t[i].id, NULL), 0);
	for (uint32_t i = 0; i < THREADS; i++)
		for (uint32_t k = 0; k < T_CLASSES; k++)
			sent[k] += t[i].sent[k];
	/* its bucket was full, and it may owe a burst of the priority class when they end */
	assert_rate("the interface", sent[T_DATA] + sent[T_VOICE] + sent[T_SHAPED], 400000000, 500000);
	assert_rate("voice", sent[T_VOICE], 100000000, 5000);
	assert_rate("shaped", sent[T_SHAPED], 50000000, 4000);
	for (uint32_t i = 0; i < THREADS; i++)
		thread_end(&t[i]);
	assert_int_equal(shared.n_congested, 0);
	assert_int_equal(rte_mempool_in_use_count(pool), 0);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(voice_passes_a_full_engine),
		cmocka_unit_test(voice_suffers_without_it),
		cmocka_unit_test(voice_cannot_starve_data),
		cmocka_unit_test(voice_passes_the_data_of_other_workers),
		cmocka_unit_test(voice_cannot_starve_data_of_other_workers),
		cmocka_unit_test(numbers_are_given_to_what_leaves),
		cmocka_unit_test(shares_follow_weights),
		cmocka_unit_test(flows_take_turns),
		cmocka_unit_test(shapes),
		cmocka_unit_test(nothing_is_lost_or_reordered),
		cmocka_unit_test(workers_share_the_rates),
	};
	char *eal[] = {
		"test", "--no-huge", "--no-pci", "--no-shconf", "-l0", "-m64", "--log-level=4", "--no-telemetry"};

	if (argc > 1)
		seed = (unsigned)strtoul(argv[1], NULL, 0);
	srandom(seed);
	print_message("seed %u\n", seed);
	if (rte_eal_init(8, eal) < 0)
		return 1;
	pool = rte_pktmbuf_pool_create("packets", 4095, 0, sizeof(struct pkt_meta), 2048, SOCKET_ID_ANY);
	return pool ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
