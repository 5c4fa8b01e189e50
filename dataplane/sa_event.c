/* SPDX-License-Identifier: BSD-3-Clause */
#include "sa_event.h"

#include <string.h>

#include <rte_errno.h>
#include <rte_ring.h>
#include <rte_ring_elem.h>

#include "spd.h"

#define RING_SLOTS 4096u
#define POLL_MAX 256u
/* The same new address of the same SA is not reported again within this time. */
#define PEER_REPEAT_MS 5000u

struct news {
	uint32_t index, spi;
	uint16_t what; /* one SA_EVENT_* */
	uint16_t reason;
	uint16_t port;
	uint8_t af, pad;
	uint8_t addr[16];
};
_Static_assert(sizeof(struct news) == 32, "ring element");

static struct rte_ring *ring;

int sa_event_init(void)
{
	ring = rte_ring_create_elem("sa_events", sizeof(struct news), RING_SLOTS, SOCKET_ID_ANY, RING_F_SC_DEQ);
	return ring ? 0 : -rte_errno;
}

static void raise_once(const struct sa *sa, struct news *n, uint32_t bit)
{
	uint32_t old = __atomic_fetch_or(&sa->state->events, bit, __ATOMIC_RELAXED);
	if (old & bit)
		return;
	if (rte_ring_mp_enqueue_elem(ring, n, sizeof(*n)))
		__atomic_fetch_and(&sa->state->events, ~bit, __ATOMIC_RELAXED); /* full: the next packet tries */
}

void sa_event_raise(const struct sa *sa, uint32_t what, uint32_t reason)
{
	if (__atomic_load_n(&sa->state->events, __ATOMIC_RELAXED) & what)
		return;
	if (what == SA_EVENT_HARD) {
		__atomic_store_n(&sa->state->expired, 1, __ATOMIC_RELAXED);
		__atomic_store_n(&sa->state->unasked, 0, __ATOMIC_RELAXED);
	}
	struct news n = {.index = sa->index, .spi = sa->spi, .what = (uint16_t)what, .reason = (uint16_t)reason};
	raise_once(sa, &n, what);
}

void sa_event_resource(const struct sa *sa, uint32_t worker)
{
	uint32_t bit = SA_EVENT_RESOURCE_BIT(worker);
	if (__atomic_load_n(&sa->state->events, __ATOMIC_RELAXED) & bit)
		return;
	struct news n = {.index = sa->index, .spi = sa->spi, .what = SA_EVENT_RESOURCE, .reason = (uint16_t)worker};
	raise_once(sa, &n, bit);
}

void sa_event_peer(const struct sa *sa, const struct cv_addr *addr, uint16_t port)
{
	if (__atomic_load_n(&sa->state->events, __ATOMIC_RELAXED) & SA_EVENT_PEER)
		return;
	struct news n = {.index = sa->index, .spi = sa->spi, .what = SA_EVENT_PEER, .port = port, .af = addr->af};
	memcpy(n.addr, addr->b, sizeof(n.addr));
	raise_once(sa, &n, SA_EVENT_PEER);
}

static void send_expire(const struct sa *sa, const struct news *n)
{
	struct cv_msg msg = {.h = {.type = CV_EVT_SA_EXPIRE, .len = sizeof(msg.h) + sizeof(struct cv_evt_sa_expire)}};
	*(struct cv_evt_sa_expire *)msg.body = (struct cv_evt_sa_expire){
		.ref = {.index = n->index, .spi = n->spi}, .hard = n->what == SA_EVENT_HARD, .reason = n->reason};
	dp_event(&msg);
	/* an older SA of the rule may still be good; without one, packets wait for a new one */
	if (n->what == SA_EVENT_HARD && sa->dir == CV_SA_OUT)
		spd_rule_rebind(sa->rule_id);
}

static void send_peer(const struct sa *sa, const struct news *n)
{
	static struct news last;
	static uint64_t last_ms;
	__atomic_fetch_and(&sa->state->events, ~SA_EVENT_PEER, __ATOMIC_RELAXED);
	if (!memcmp(&last, n, sizeof(last)) && dp_now_ms() - last_ms < PEER_REPEAT_MS)
		return;
	last = *n;
	last_ms = dp_now_ms();
	struct cv_msg msg = {.h = {.type = CV_EVT_SA_PEER, .len = sizeof(msg.h) + sizeof(struct cv_evt_sa_peer)}};
	struct cv_evt_sa_peer *e = (struct cv_evt_sa_peer *)msg.body;
	e->ref = (struct cv_sa_ref){.index = n->index, .spi = n->spi};
	e->addr.af = n->af;
	memcpy(e->addr.b, n->addr, sizeof(e->addr.b));
	e->port = n->port;
	dp_event(&msg);
}

static void send_resource(const struct news *n)
{
	struct cv_msg msg = {
		.h = {.type = CV_EVT_SA_RESOURCE, .len = sizeof(msg.h) + sizeof(struct cv_evt_sa_resource)}};
	*(struct cv_evt_sa_resource *)msg.body =
		(struct cv_evt_sa_resource){.ref = {.index = n->index, .spi = n->spi}, .resource = n->reason};
	dp_event(&msg);
}

void sa_events_poll(void)
{
	struct news n;
	for (uint32_t i = 0; i < POLL_MAX && rte_ring_sc_dequeue_elem(ring, &n, sizeof(n)) == 0; i++) {
		const struct sa *sa = sa_get(n.index);
		if (!sa || sa->spi != n.spi)
			continue; /* removed meanwhile */
		if (n.what == SA_EVENT_PEER)
			send_peer(sa, &n);
		else if (n.what == SA_EVENT_RESOURCE)
			send_resource(&n);
		else
			send_expire(sa, &n);
	}
}
