/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A slot is its worker's while it is free, and main's to free when it is used; the worker alone writes flow and count.
 * A packet that is counted in the moment in which main frees its slot is the one thing that may not be told.
 */
#include "acl_log.h"

#include <string.h>

#include <rte_hash_crc.h>

#include "flow.h"

#define SETS (ACL_LOG_SLOTS / ACL_LOG_WAYS)

struct seen {
	struct cv_addr src, dst;
	uint16_t sport, dport;
	uint32_t counter;
	uint8_t proto, pad[3];
};

struct slot {
	uint32_t used; /* released by the worker, set to 0 by main */
	struct seen flow;
	uint64_t packets;
};

/* What main has told of a slot. */
struct told {
	uint64_t packets; /* 0: nothing yet */
	uint64_t last;	  /* count at the look before */
	uint64_t again_ms;
};

/* Of one worker. Memory of tables that nothing was counted in is never touched. */
struct table {
	struct slot slot[ACL_LOG_SLOTS];
	uint64_t missed;
	uint32_t begun;
	/* main's */
	struct told told[ACL_LOG_SLOTS];
	uint64_t missed_seen;
};

static struct table tables[CV_WRITERS];

/* ---- worker ---- */

static void describe(const struct flow *f, uint32_t counter, struct seen *out)
{
	*out = (struct seen){.sport = f->sport, .dport = f->dport, .counter = counter, .proto = f->proto};
	flow_addr_to(f->src, f->af, &out->src);
	flow_addr_to(f->dst, f->af, &out->dst);
}

/* The place of a flow, or a free one for it (*fresh). NULL: there is none. */
static struct slot *place(struct table *t, const struct seen *flow, bool *fresh)
{
	struct slot *set = &t->slot[rte_hash_crc(flow, sizeof(*flow), 0) % SETS * ACL_LOG_WAYS], *empty = NULL;

	for (uint32_t i = 0; i < ACL_LOG_WAYS; i++) {
		if (!__atomic_load_n(&set[i].used, __ATOMIC_ACQUIRE))
			empty = empty ? empty : &set[i];
		else if (!memcmp(&set[i].flow, flow, sizeof(*flow)))
			return &set[i];
	}
	*fresh = true;
	return empty;
}

void acl_log_packet(struct worker *w, uint32_t counter, struct rte_mbuf *m)
{
	struct table *t = &tables[w->index];
	struct flow f;
	struct seen flow;
	bool fresh = false;

	if (!flow_parse(m, &f))
		return;
	describe(&f, counter, &flow);
	struct slot *s = place(t, &flow, &fresh);

	__atomic_store_n(&t->begun, 1, __ATOMIC_RELAXED);
	if (!s) {
		__atomic_store_n(&t->missed, t->missed + 1, __ATOMIC_RELAXED);
	} else if (!fresh) {
		__atomic_store_n(&s->packets, s->packets + 1, __ATOMIC_RELAXED);
	} else {
		s->flow = flow;
		__atomic_store_n(&s->packets, 1, __ATOMIC_RELAXED);
		__atomic_store_n(&s->used, 1, __ATOMIC_RELEASE);
	}
}

/* ---- main ---- */

static void tell(const struct seen *flow, uint64_t packets)
{
	struct cv_msg msg = {.h = {.type = CV_EVT_ACL_LOG, .len = sizeof(msg.h) + sizeof(struct cv_evt_acl_log)}};
	struct cv_evt_acl_log *e = (struct cv_evt_acl_log *)msg.body;

	*e = (struct cv_evt_acl_log){.packets = packets};
	if (flow) {
		e->counter = flow->counter;
		e->proto = flow->proto;
		e->src = flow->src;
		e->dst = flow->dst;
		e->sport = flow->sport;
		e->dport = flow->dport;
	}
	dp_event(&msg);
}

static void slot_free(struct table *t, uint32_t i)
{
	t->told[i] = (struct told){0};
	__atomic_store_n(&t->slot[i].used, 0, __ATOMIC_RELEASE);
}

/* True: something was told. crowded: a flow that has ended gives way to others. */
static bool look_at(struct table *t, uint32_t i, bool crowded, uint64_t now_ms)
{
	const struct slot *s = &t->slot[i];
	struct told *told = &t->told[i];

	if (!__atomic_load_n(&s->used, __ATOMIC_ACQUIRE))
		return false;
	const uint64_t n = __atomic_load_n(&s->packets, __ATOMIC_RELAXED);
	const bool due = !told->packets || now_ms >= told->again_ms, idle = n == told->last;

	told->last = n;
	if (n == told->packets && (due || (crowded && idle))) {
		slot_free(t, i);
		return false;
	}
	if (!due)
		return false;
	tell(&s->flow, n - told->packets);
	told->packets = n;
	told->again_ms = now_ms + ACL_LOG_AGAIN_MS;
	return true;
}

static void look_at_missed(uint64_t now_ms)
{
	static uint64_t told, not_before;
	uint64_t missed = 0;

	for (uint32_t w = 0; w <= dp_n_workers; w++) {
		tables[w].missed_seen = __atomic_load_n(&tables[w].missed, __ATOMIC_RELAXED);
		missed += tables[w].missed_seen;
	}
	if (missed == told || now_ms < not_before)
		return;
	tell(NULL, missed - told);
	told = missed;
	not_before = now_ms + ACL_LOG_MISSED_MS;
}

static void look(uint64_t now_ms)
{
	static uint32_t from; /* the next look goes on where this one had told enough */
	const uint32_t all = (dp_n_workers + 1) * ACL_LOG_SLOTS;
	uint32_t told = 0, i;

	for (i = 0; i < all && told < ACL_LOG_PER_LOOK; i++) {
		struct table *t = &tables[(from + i) % all / ACL_LOG_SLOTS];

		if (__atomic_load_n(&t->begun, __ATOMIC_RELAXED))
			told += look_at(t, (from + i) % ACL_LOG_SLOTS,
				__atomic_load_n(&t->missed, __ATOMIC_RELAXED) != t->missed_seen, now_ms);
	}
	from = from + i < all ? from + i : from + i - all;
	look_at_missed(now_ms);
}

void acl_log_tick(uint64_t now_ms)
{
	static uint64_t next;

	if (now_ms < next)
		return;
	next = now_ms + ACL_LOG_LOOK_MS;
	look(now_ms);
}

void acl_log_forget(const struct acl_counters *gone)
{
	for (uint32_t w = 0; w <= dp_n_workers; w++)
		for (uint32_t i = 0; tables[w].begun && i < ACL_LOG_SLOTS; i++)
			if (__atomic_load_n(&tables[w].slot[i].used, __ATOMIC_ACQUIRE) &&
				acl_counters_has(gone, tables[w].slot[i].flow.counter))
				slot_free(&tables[w], i);
}
