/* SPDX-License-Identifier: BSD-3-Clause */
#include "trace.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <arpa/inet.h>

#include <rte_cycles.h>
#include <rte_ip.h>

#include "worker.h"

#define LOST_MS 1000u /* a packet that has not finished by then is given up: its record is sent as it is */

enum slot_state { SLOT_FREE = 0, SLOT_BUSY, SLOT_DONE };

struct slot {
	uint32_t state; /* enum slot_state; busy: belongs to the holder of the packet */
	struct cv_evt_trace t;
};

int32_t trace_wanted;

static struct slot slots[TRACE_MAX];
static uint32_t wanted_if;
static uint32_t next_slot; /* claimed by workers */
static uint32_t first_id;  /* id of slots[0] in the current request */

/* A request starts with all slots free: the one before must have finished (or been given up). */
int trace_start(const struct cv_cmd_trace *req)
{
	if (req->n_packets > TRACE_MAX || req->if_id >= CV_IF_MAX)
		return CV_ERR_MALFORMED;
	__atomic_store_n(&trace_wanted, 0, __ATOMIC_RELEASE);
	if (req->n_packets == 0)
		return 0;
	for (unsigned i = 0; i < TRACE_MAX; i++)
		if (__atomic_load_n(&slots[i].state, __ATOMIC_ACQUIRE) != SLOT_FREE)
			return CV_ERR_STATE;
	first_id += TRACE_MAX;
	wanted_if = req->if_id;
	__atomic_store_n(&next_slot, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&trace_wanted, (int32_t)req->n_packets, __ATOMIC_RELEASE);
	return 0;
}

/* The record of a packet; NULL when it was given up meanwhile. */
static struct slot *slot_of(const struct pkt_meta *meta)
{
	struct slot *s = &slots[meta->trace_id % TRACE_MAX];
	bool ours = __atomic_load_n(&s->state, __ATOMIC_ACQUIRE) == SLOT_BUSY && s->t.id == meta->trace_id;

	return ours ? s : NULL;
}

void trace_pick(struct rte_mbuf *m)
{
	struct pkt_meta *meta = pkt_meta(m);
	uint32_t len = rte_pktmbuf_pkt_len(m);

	if ((wanted_if && meta->if_rx != wanted_if) || __atomic_fetch_sub(&trace_wanted, 1, __ATOMIC_ACQ_REL) <= 0)
		return;
	uint32_t i = __atomic_fetch_add(&next_slot, 1, __ATOMIC_RELAXED);

	if (i >= TRACE_MAX)
		return;
	struct slot *s = &slots[i];

	memset(&s->t, 0, sizeof(s->t));
	s->t.id = first_id + i;
	s->t.tsc_start = rte_rdtsc();
	s->t.if_id = meta->if_rx;
	s->t.pkt_len = len;
	memcpy(s->t.head, rte_pktmbuf_mtod(m, const void *), len < sizeof(s->t.head) ? len : sizeof(s->t.head));
	meta->trace_id = s->t.id;
	meta->flags |= PKT_F_TRACED;
	__atomic_store_n(&s->state, SLOT_BUSY, __ATOMIC_RELEASE);
	trace_step_slow(m, "rx", "interface %u VRF %u", meta->if_rx, meta->vrf);
}

void trace_step_slow(struct rte_mbuf *m, const char *stage, const char *fmt, ...)
{
	struct slot *s = slot_of(pkt_meta(m));
	va_list ap;

	if (!s || s->t.n_steps == CV_TRACE_STEPS)
		return;
	uint32_t i = s->t.n_steps++;

	s->t.step[i].tsc = (uint32_t)(rte_rdtsc() - s->t.tsc_start);
	snprintf(s->t.step[i].stage, sizeof(s->t.step[i].stage), "%s", stage);
	va_start(ap, fmt);
	vsnprintf(s->t.step[i].note, sizeof(s->t.step[i].note), fmt, ap);
	va_end(ap);
}

void trace_end_slow(struct rte_mbuf *m, const char *stage, const char *note)
{
	struct pkt_meta *meta = pkt_meta(m);
	struct slot *s = slot_of(meta);

	trace_step_slow(m, stage, "%s", note);
	meta->flags &= ~PKT_F_TRACED;
	if (s)
		__atomic_store_n(&s->state, SLOT_DONE, __ATOMIC_RELEASE);
}

void trace_header(struct rte_mbuf *m)
{
	const struct pkt_meta *meta = pkt_meta(m);
	const uint8_t *p = rte_pktmbuf_mtod(m, const uint8_t *);
	bool ip6 = meta->flags & PKT_F_IP6;
	char dst[INET6_ADDRSTRLEN];

	inet_ntop(ip6 ? AF_INET6 : AF_INET, p + (ip6 ? 24 : 16), dst, sizeof(dst));
	trace_step_slow(m, "ip-input", "to %.24s protocol %u", dst, meta->l4_proto);
}

void trace_collect(void (*send)(const struct cv_evt_trace *t))
{
	uint64_t lost = rte_get_tsc_hz() / 1000 * LOST_MS;

	for (unsigned i = 0; i < TRACE_MAX; i++) {
		struct slot *s = &slots[i];
		uint32_t state = __atomic_load_n(&s->state, __ATOMIC_ACQUIRE);

		if (state == SLOT_FREE || (state == SLOT_BUSY && rte_rdtsc() - s->t.tsc_start < lost))
			continue;
		send(&s->t);
		__atomic_store_n(&s->state, SLOT_FREE, __ATOMIC_RELEASE);
	}
}
