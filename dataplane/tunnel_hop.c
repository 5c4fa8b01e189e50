/* SPDX-License-Identifier: BSD-3-Clause */
#include "tunnel_hop.h"

#include <stdio.h>
#include <string.h>

#include "addr_hash.h"
#include "iface.h"
#include "tunnel.h"

struct tunnel_hop tunnel_hops[TUNNEL_HOPS_MAX];
uint32_t tunnel_hop_bucket[TUNNEL_HOP_BUCKETS];
uint32_t tunnel_hop_flood[CV_IF_MAX];

static struct {
	bool open, syncing;
	uint32_t txn;
	uint32_t bucket[TUNNEL_HOP_BUCKETS]; /* those that come with the transaction, linked by next */
	uint32_t coming[TUNNEL_HOPS_MAX], n_coming;
	uint32_t going[TUNNEL_HOPS_MAX], n_going;
} staged;
static uint32_t free_slot[TUNNEL_HOPS_MAX], n_free, used = 1; /* slots from used on have never been */

static uint32_t bucket_of(uint32_t if_id, const struct cv_addr *a)
{
	return addr_hash(a, if_id) & (TUNNEL_HOP_BUCKETS - 1);
}

static bool is(const struct tunnel_hop *h, uint32_t if_id, const struct cv_addr *a)
{
	return h->conf.ref.if_id == if_id && cv_addr_eq(&h->conf.ref.next_hop, a);
}

uint32_t tunnel_hop_find(uint32_t if_id, const struct cv_addr *next_hop)
{
	uint32_t i = __atomic_load_n(&tunnel_hop_bucket[bucket_of(if_id, next_hop)], __ATOMIC_ACQUIRE);

	while (i && !is(&tunnel_hops[i], if_id, next_hop))
		i = __atomic_load_n(&tunnel_hops[i].next, __ATOMIC_ACQUIRE);
	return i;
}

uint32_t tunnel_hop_staged(uint32_t if_id, const struct cv_addr *next_hop)
{
	uint32_t i = staged.bucket[bucket_of(if_id, next_hop)];

	while (i && !is(&tunnel_hops[i], if_id, next_hop))
		i = tunnel_hops[i].next;
	if (!i && (i = tunnel_hop_find(if_id, next_hop)) && tunnel_hops[i].going)
		i = 0;
	return i;
}

bool tunnel_hop_at(uint32_t if_id, const struct cv_addr *outer)
{
	for (uint32_t i = 1; i < used; i++) {
		const struct cv_tunnel_hop *c = &tunnel_hops[i].conf;

		if (c->ref.if_id == if_id && cv_addr_eq(&c->outer, outer) &&
			tunnel_hop_find(if_id, &c->ref.next_hop) == i)
			return true;
	}
	return false;
}

uint32_t tunnel_hop_of_rule(uint32_t rule_id, uint32_t after)
{
	for (uint32_t i = after + 1; i < used; i++)
		if (tunnel_hops[i].conf.rule_id == rule_id)
			return i;
	return 0;
}

/* ---- chains ---- */

static void insert(uint32_t *first, uint32_t slot)
{
	tunnel_hops[slot].next = *first;
	__atomic_store_n(first, slot, __ATOMIC_RELEASE);
}

static void take_out(uint32_t *at, uint32_t slot)
{
	while (*at != slot)
		at = &tunnel_hops[*at].next;
	__atomic_store_n(at, tunnel_hops[slot].next, __ATOMIC_RELEASE);
}

static void flood_insert(uint32_t slot)
{
	uint32_t *first = &tunnel_hop_flood[tunnel_hops[slot].conf.ref.if_id];

	if (!(tunnel_hops[slot].conf.flags & CV_TUNNEL_HOP_MULTICAST))
		return;
	tunnel_hops[slot].next_flood = *first;
	__atomic_store_n(first, slot, __ATOMIC_RELEASE);
}

static void flood_take_out(uint32_t slot)
{
	uint32_t *at = &tunnel_hop_flood[tunnel_hops[slot].conf.ref.if_id];

	if (!(tunnel_hops[slot].conf.flags & CV_TUNNEL_HOP_MULTICAST))
		return;
	while (*at != slot)
		at = &tunnel_hops[*at].next_flood;
	__atomic_store_n(at, tunnel_hops[slot].next_flood, __ATOMIC_RELEASE);
}

/* ---- transactions ---- */

static void txn_open(void)
{
	if (!staged.open)
		staged.txn++;
	staged.open = true;
}

static void slot_free(void *arg)
{
	const uint32_t slot = (uint32_t)(uintptr_t)arg;

	tunnel_hops[slot].named = 0;
	free_slot[n_free++] = slot;
}

static void leaves(uint32_t slot)
{
	tunnel_hops[slot].going = true;
	staged.going[staged.n_going++] = slot;
}

/* One that came with this transaction and is not wanted any more. */
static void forget(uint32_t slot)
{
	const struct cv_tunnel_hop_ref *r = &tunnel_hops[slot].conf.ref;

	take_out(&staged.bucket[bucket_of(r->if_id, &r->next_hop)], slot);
	for (uint32_t i = 0; i < staged.n_coming; i++)
		if (staged.coming[i] == slot)
			staged.coming[i] = staged.coming[--staged.n_coming];
	slot_free((void *)(uintptr_t)slot);
}

static void withdraw(uint32_t slot)
{
	if (tunnel_hop_find(tunnel_hops[slot].conf.ref.if_id, &tunnel_hops[slot].conf.ref.next_hop) == slot)
		leaves(slot);
	else
		forget(slot);
}

static int hop_set(const struct cv_tunnel_hop *c, char *text)
{
	uint32_t slot = tunnel_hop_staged(c->ref.if_id, &c->ref.next_hop);

	if (slot && memcmp(&tunnel_hops[slot].conf, c, sizeof(*c)) == 0) {
		tunnel_hops[slot].named = staged.txn;
		return 0;
	}
	if (slot)
		withdraw(slot);
	if (!n_free && used == TUNNEL_HOPS_MAX) {
		snprintf(text, 128, "there are %u next hops of tunnels already", TUNNEL_HOPS_MAX - 1);
		return CV_ERR_NO_MEMORY;
	}
	slot = n_free ? free_slot[--n_free] : used++;
	tunnel_hops[slot] = (struct tunnel_hop){.conf = *c, .named = staged.txn};
	insert(&staged.bucket[bucket_of(c->ref.if_id, &c->ref.next_hop)], slot);
	staged.coming[staged.n_coming++] = slot;
	return 0;
}

static int hop_del(const struct cv_tunnel_hop_ref *c, char *text)
{
	uint32_t slot = tunnel_hop_staged(c->if_id, &c->next_hop);

	if (!slot) {
		snprintf(text, 128, "no such next hop on interface %u", c->if_id);
		return CV_ERR_NOT_FOUND;
	}
	withdraw(slot);
	return 0;
}

static int hop_stage(uint16_t type, const void *body, char *text)
{
	txn_open();
	return type == CV_CMD_TUNNEL_HOP_SET ? hop_set(body, text) : hop_del(body, text);
}

static void hop_sync(void)
{
	txn_open();
	staged.syncing = true;
}

static bool is_multipoint(uint32_t if_id)
{
	const struct dp_if *ifp = iface_staged(if_id);

	return ifp && ifp->type == CV_IF_TUNNEL && ifp->tunnel.flags & CV_TUNNEL_F_MULTIPOINT;
}

/* Routes by this next hop are to be looked at again. */
static void routes_change(uint32_t slot)
{
	const struct cv_tunnel_hop_ref *r = &tunnel_hops[slot].conf.ref;
	const struct dp_if *ifp = iface_staged(r->if_id);

	fib_if_changed(r->if_id);
	if (ifp)
		fib_gateway_changed(ifp->vrf_id, &r->next_hop);
}

static int hop_prepare(char *text)
{
	for (uint32_t i = 1; staged.syncing && i < used; i++)
		if (!tunnel_hops[i].going && tunnel_hops[i].named && tunnel_hops[i].named != staged.txn)
			leaves(i);
	for (uint32_t i = 0; i < staged.n_coming; i++) {
		const struct cv_tunnel_hop *c = &tunnel_hops[staged.coming[i]].conf;

		if (!is_multipoint(c->ref.if_id)) {
			snprintf(text, 128, "next hop of interface %u, which is no multipoint tunnel", c->ref.if_id);
			return CV_ERR_NOT_FOUND;
		}
		routes_change(staged.coming[i]);
	}
	for (uint32_t i = 0; i < staged.n_going; i++)
		routes_change(staged.going[i]);
	return 0;
}

static void txn_close(void)
{
	staged.n_coming = staged.n_going = 0;
	staged.open = staged.syncing = false;
}

static void hop_publish(void)
{
	for (uint32_t i = 0; i < staged.n_going; i++) {
		const uint32_t slot = staged.going[i];
		struct tunnel_hop *h = &tunnel_hops[slot];

		take_out(&tunnel_hop_bucket[bucket_of(h->conf.ref.if_id, &h->conf.ref.next_hop)], slot);
		flood_take_out(slot);
		dp_defer(slot_free, (void *)(uintptr_t)slot);
	}
	for (uint32_t i = 0; i < staged.n_coming; i++) {
		const uint32_t slot = staged.coming[i];
		const struct cv_tunnel_hop_ref *r = &tunnel_hops[slot].conf.ref;
		const uint32_t bucket = bucket_of(r->if_id, &r->next_hop);

		take_out(&staged.bucket[bucket], slot);
		tunnel_use_hop(slot);
		insert(&tunnel_hop_bucket[bucket], slot);
		flood_insert(slot);
	}
	txn_close();
}

static void hop_abort(void)
{
	while (staged.n_coming)
		forget(staged.coming[staged.n_coming - 1]);
	for (uint32_t i = 0; i < staged.n_going; i++)
		tunnel_hops[staged.going[i]].going = false;
	txn_close();
}

const struct dp_module tunnel_hop_module = {
	.name = "tunnel-hop",
	.stage = hop_stage,
	.sync = hop_sync,
	.prepare = hop_prepare,
	.publish = hop_publish,
	.abort = hop_abort,
};
