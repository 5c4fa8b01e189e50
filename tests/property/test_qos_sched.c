/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The queues in front of the crypto engine, on virtual time: an engine that takes a fixed time for a packet is given
 * bursts, and packets come as they like. Against brute force: nothing is lost but what is counted, flows keep their
 * order, classes get their shares. LLQ-T1, T2, T5, T6.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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
	return (uint32_t)random() % n;
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

static void end(struct qos_sched *s)
{
	struct rte_mbuf *out[BURST];
	uint32_t n;

	while ((n = qos_sched_get(s, out, BURST, UINT64_MAX / 2, QOS_GET_FLUSH)) != 0)
		rte_pktmbuf_free_bulk(out, n);
	assert_int_equal(qos_sched_backlog(s), 0);
	qos_sched_free(s);
	assert_int_equal(rte_mempool_in_use_count(pool), 0);
}

/* ---- the slow engine ---- */

struct result {
	uint64_t offered[2], sent[2], worst[2]; /* data, voice */
	uint32_t last[2];
	bool disorder; /* within data, or within voice */
};

/*
 * One second: voice packets at regular intervals, data beyond what the engine can do. Each round takes in what has
 * come, then encrypts a burst, as a worker does. voice_ns: between two voice packets.
 */
static struct result engine(struct qos_sched *s, uint32_t voice_class, uint64_t voice_ns, uint64_t data_ns)
{
	struct result r = {0};
	struct rte_mbuf *out[BURST];
	uint64_t next[2] = {0, voice_ns / 2}, now = 0;

	while (now < HZ) {
		for (unsigned k = 0; k < 2; k++)
			for (; next[k] <= now; next[k] += k ? voice_ns : data_ns) {
				struct note n = {.class_no = k ? voice_class : 0,
					.flow = k,
					.no = (uint32_t)++r.offered[k],
					.came = next[k]};

				put(s, &n, LEN, now);
			}
		uint32_t got = qos_sched_get(s, out, BURST, now, QOS_GET_PRIORITY);

		got += qos_sched_get(s, out + got, BURST - got, now, QOS_GET_ALL);
		now += got ? 0 : 1000;
		for (uint32_t i = 0; i < got; i++) {
			struct note n = note_of(out[i]);

			now += ENGINE_NS;
			r.sent[n.flow]++;
			r.worst[n.flow] = RTE_MAX(r.worst[n.flow], now - n.came);
			r.disorder |= n.no <= r.last[n.flow];
			r.last[n.flow] = n.no;
		}
		rte_pktmbuf_free_bulk(out, got);
	}
	return r;
}

/* LLQ-T1: 50 kbit/s of voice, data at twice what the engine does: no voice is lost, and none waits longer than the
 * burst under way and its own. LLQ-1, LLQ-2, LLQ-17. */
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
	assert_true(r.worst[1] <= 2 * BURST * ENGINE_NS);
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

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(voice_passes_a_full_engine),
		cmocka_unit_test(voice_suffers_without_it),
		cmocka_unit_test(voice_cannot_starve_data),
		cmocka_unit_test(numbers_are_given_to_what_leaves),
		cmocka_unit_test(shares_follow_weights),
		cmocka_unit_test(flows_take_turns),
		cmocka_unit_test(shapes),
		cmocka_unit_test(nothing_is_lost_or_reordered),
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
