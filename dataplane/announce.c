/* SPDX-License-Identifier: BSD-3-Clause */
#include "announce.h"

#include <string.h>

#include "arp.h"
#include "cv_addr.h"
#include "nd.h"

#define ANNOUNCE_MAX 4096u /* waiting; more than that are not announced */
#define ANNOUNCE_TIMES 2u  /* RFC 5227 ANNOUNCE_NUM */
#define ANNOUNCE_MS 2000u  /* RFC 5227 ANNOUNCE_INTERVAL */
#define ANNOUNCE_BURST 64u /* sent in one tick */

struct announcement {
	uint32_t if_id;
	uint32_t left;
	uint64_t due_ms;
	struct cv_addr addr;
};

static struct announcement queue[ANNOUNCE_MAX]; /* in order of due_ms */
static uint32_t head, count;

static void add(const struct announcement *a)
{
	if (count < ANNOUNCE_MAX)
		queue[(head + count++) % ANNOUNCE_MAX] = *a;
}

static bool had(const struct dp_if *was, const struct cv_addr *a)
{
	return was && was->link && iface_owns(was, a);
}

void announce_addresses(const struct dp_if *was, const struct dp_if *is)
{
	bool all = !was || !was->link || memcmp(was->mac, is->mac, 6) != 0;
	struct announcement a = {.if_id = is->id, .left = ANNOUNCE_TIMES, .due_ms = dp_now_ms()};

	if (!is->link || !iface_has_port(is))
		return;
	for (uint32_t i = 0; i < is->n_addr; i++) {
		a.addr = is->addr[i].addr;
		if (all || !had(was, &a.addr))
			add(&a);
	}
}

static void send_one(struct worker *w, const struct announcement *a)
{
	const struct dp_if *ifp = iface_get(a->if_id);

	if (!ifp || !ifp->link || !iface_owns(ifp, &a->addr))
		return;
	if (a->addr.af == CV_AF_INET)
		arp_announce(w, ifp, &a->addr);
	else
		nd_announce(w, ifp, &a->addr);
}

void announce_tick(struct worker *w, uint64_t now_ms)
{
	for (unsigned i = 0; i < ANNOUNCE_BURST && count && queue[head].due_ms <= now_ms; i++) {
		struct announcement a = queue[head];

		head = (head + 1) % ANNOUNCE_MAX;
		count--;
		send_one(w, &a);
		a.due_ms = now_ms + ANNOUNCE_MS;
		if (--a.left)
			add(&a);
	}
}
