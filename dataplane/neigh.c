/* SPDX-License-Identifier: BSD-3-Clause */
#include "neigh.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_ether.h>
#include <rte_ip.h>

#include "arp.h"
#include "cv_addr.h"
#include "fib.h"
#include "flow_change.h"
#include "iface.h"
#include "link.h"
#include "nd.h"
#include "neigh_send.h"
#include "pipeline.h"
#include "slowpath.h"
#include "worker.h"

#define RETRY_MS 1000u	    /* RFC 4861 RETRANS_TIMER; RFC 1122 2.3.2.1: at most one request a second */
#define RETRIES 3u	    /* MAX_MULTICAST_SOLICIT, MAX_UNICAST_SOLICIT */
#define REACHABLE_MS 30000u /* REACHABLE_TIME */
#define UNUSED_S 600u	    /* a stale entry that nobody used for so long is forgotten */
#define TOMBS_MAX (NEIGH_HASH_SIZE / 4)

enum { NEIGH_IDLE = 0 }; /* besides enum cv_neigh_state: known to routes, nobody asked yet or nobody answered */

/* Main's side of an adjacency, same index. */
struct neigh {
	uint8_t state;	 /* NEIGH_IDLE or enum cv_neigh_state */
	bool rebuilding; /* header is rewritten after quiescence */
	uint8_t retries; /* questions asked in this state */
	uint8_t n_hold;
	uint32_t pins;	   /* routes that use it */
	uint32_t slot;	   /* place in in_use[] */
	uint64_t next_ms;  /* when to ask again, or (idle) not before */
	uint64_t since_ms; /* last confirmed, or when the state was entered */
	struct rte_mbuf *hold[NEIGH_HOLD_MAX];
};

struct adj adj_table[ADJ_MAX];
uint32_t *neigh_hash;

static struct neigh table[ADJ_MAX];
static uint32_t in_use[ADJ_MAX], n_in_use;
static uint32_t free_idx[ADJ_MAX], n_free;
static uint32_t n_tombs;

int neigh_init(void)
{
	if (neigh_hash)
		return 0;
	neigh_hash = calloc(NEIGH_HASH_SIZE, sizeof(*neigh_hash));
	if (!neigh_hash)
		return -ENOMEM;
	for (uint32_t i = ADJ_MAX - 1; i > 0; i--)
		free_idx[n_free++] = i;
	return 0;
}

/* ---- entries ---- */

static void hash_insert(uint32_t *slots, uint32_t idx)
{
	uint32_t h = neigh_hash_fn(adj_table[idx].if_id, neigh_key6(adj_table[idx].nexthop.b));

	while (slots[h] != 0 && slots[h] != NEIGH_TOMB)
		h = (h + 1) & (NEIGH_HASH_SIZE - 1);
	n_tombs -= slots[h] == NEIGH_TOMB;
	__atomic_store_n(&slots[h], idx, __ATOMIC_RELEASE);
}

/* Too many removed entries make look-ups long: build a clean table beside the old one. */
static void hash_clean(void)
{
	uint32_t *fresh = calloc(NEIGH_HASH_SIZE, sizeof(*fresh)), *old = neigh_hash;

	if (!fresh)
		return;
	n_tombs = 0;
	for (uint32_t i = 0; i < n_in_use; i++)
		hash_insert(fresh, in_use[i]);
	__atomic_store_n(&neigh_hash, fresh, __ATOMIC_RELEASE);
	dp_defer(free, old);
}

static void hash_remove(uint32_t idx)
{
	uint32_t h = neigh_hash_fn(adj_table[idx].if_id, neigh_key6(adj_table[idx].nexthop.b));

	while (neigh_hash[h] != idx)
		h = (h + 1) & (NEIGH_HASH_SIZE - 1);
	__atomic_store_n(&neigh_hash[h], NEIGH_TOMB, __ATOMIC_RELEASE);
	n_tombs++;
}

/* What the interface says about a header. Not while workers may be using it: ready must be 0, and quiesced; or nobody
 * leads to it yet. A group's is complete at once: nobody has to be asked. */
static void fill_header(struct adj *a, const struct dp_if *ifp)
{
	uint16_t type = rte_cpu_to_be_16(a->carries == CV_AF_INET ? RTE_ETHER_TYPE_IPV4 : RTE_ETHER_TYPE_IPV6);
	uint16_t tag[2] = {rte_cpu_to_be_16(RTE_ETHER_TYPE_VLAN), rte_cpu_to_be_16(ifp->vlan_id)};

	a->mtu = iface_mtu(ifp, a->carries);
	a->port_id = (uint16_t)ifp->port_id;
	memcpy(a->l2 + 6, ifp->mac, 6);
	a->l2_len = ifp->vlan_id ? 18 : 14;
	if (ifp->vlan_id)
		memcpy(a->l2 + 12, tag, 4);
	memcpy(a->l2 + a->l2_len - 2, &type, 2);
	if (!cv_addr_is_multicast(&a->nexthop))
		return;
	link_group_mac(a->nexthop.af, a->nexthop.b, a->l2);
	__atomic_store_n(&a->ready, 1, __ATOMIC_RELEASE);
}

static uint32_t entry_new(uint8_t carries, const struct dp_if *ifp, const struct cv_addr *addr)
{
	if (!n_free)
		return 0;
	uint32_t idx = free_idx[--n_free];
	struct adj *a = &adj_table[idx];

	memset(a, 0, sizeof(*a));
	a->if_id = (uint16_t)ifp->id;
	a->nexthop = *addr;
	a->carries = carries;
	fill_header(a, ifp);
	table[idx] = (struct neigh){.slot = n_in_use, .since_ms = dp_now_ms()};
	in_use[n_in_use++] = idx;
	hash_insert(neigh_hash, idx);
	return idx;
}

static void index_put_back(void *arg)
{
	free_idx[n_free++] = (uint32_t)(uintptr_t)arg;
}

static void hold_drop(struct neigh *n)
{
	dp_drop(worker_main(), n->hold, n->n_hold, DROP_NEIGH_FAIL);
	n->n_hold = 0;
}

static void entry_free(uint32_t idx)
{
	struct neigh *n = &table[idx];

	hold_drop(n);
	hash_remove(idx);
	in_use[n->slot] = in_use[--n_in_use];
	table[in_use[n->slot]].slot = n->slot;
	flow_change_adj(idx); /* no flow is sent to its index any more when that is used again */
	dp_defer(index_put_back, (void *)(uintptr_t)idx);
	if (n_tombs > TOMBS_MAX)
		hash_clean();
}

static void set_state(struct neigh *n, uint8_t state, uint64_t now_ms)
{
	n->state = state;
	n->since_ms = now_ms;
	n->retries = 0;
}

/* No address known any more: gone, or idle while routes want it. */
static void unresolve(uint32_t idx, uint64_t now_ms)
{
	struct neigh *n = &table[idx];

	__atomic_store_n(&adj_table[idx].ready, 0, __ATOMIC_RELEASE);
	hold_drop(n);
	set_state(n, NEIGH_IDLE, now_ms);
	n->next_ms = now_ms + RETRY_MS;
	if (!n->pins)
		entry_free(idx);
}

uint32_t neigh_pin(uint8_t carries, uint32_t if_id, const struct cv_addr *a)
{
	const struct dp_if *ifp = iface_staged(if_id);
	uint32_t idx = neigh_find_for(carries, if_id, a->af, neigh_key6(a->b));

	if (!idx && ifp)
		idx = entry_new(carries, ifp, a);
	if (idx)
		table[idx].pins++;
	return idx;
}

void neigh_unpin(uint32_t adj)
{
	struct neigh *n = &table[adj];

	if (--n->pins == 0 && n->state == NEIGH_IDLE && !n->rebuilding)
		entry_free(adj);
}

/* ---- asking ---- */

static void ask(struct worker *w, uint32_t idx, const uint8_t *unicast)
{
	const struct adj *a = &adj_table[idx];
	const struct dp_if *ifp = iface_get(a->if_id);
	struct neigh *n = &table[idx];

	n->retries++;
	n->next_ms = dp_now_ms() + RETRY_MS;
	if (!ifp || !ifp->link)
		return;
	if (a->nexthop.af == CV_AF_INET)
		arp_request(w, ifp, &a->nexthop, unicast);
	else
		nd_solicit(w, ifp, &a->nexthop, unicast);
}

static void output_one(struct worker *w, uint32_t idx, struct rte_mbuf *m)
{
	struct pkt_vec v = {.n = 1, .pkt = {m}};

	pkt_meta(m)->adj = idx;
	pkt_meta(m)->if_tx = adj_table[idx].if_id;
	ip_output(w, &v);
}

/* Keep a packet until its next hop is known. When the queue is full the oldest goes (RFC 4861 7.2.2). */
static void hold(struct worker *w, uint32_t idx, struct rte_mbuf *m)
{
	struct neigh *n = &table[idx];

	if (n->n_hold == NEIGH_HOLD_MAX) {
		dp_drop1(w, n->hold[0], DROP_NEIGH_FAIL);
		memmove(n->hold, n->hold + 1, (NEIGH_HOLD_MAX - 1) * sizeof(n->hold[0]));
		n->n_hold--;
	}
	n->hold[n->n_hold++] = m;
	if (n->state != NEIGH_IDLE || n->rebuilding)
		return;
	if (dp_now_ms() < n->next_ms) { /* it did not answer a moment ago */
		hold_drop(n);
		return;
	}
	set_state(n, CV_NEIGH_INCOMPLETE, dp_now_ms());
	ask(w, idx, NULL);
}

static void send_via(struct worker *w, uint32_t idx, struct rte_mbuf *m)
{
	if (adj_table[idx].ready)
		output_one(w, idx, m);
	else
		hold(w, idx, m);
}

void neigh_send(struct worker *w, const struct dp_if *ifp, const struct cv_addr *nexthop, struct rte_mbuf *m)
{
	uint32_t idx = neigh_find(ifp->id, nexthop->af, neigh_key6(nexthop->b));

	if (!idx)
		idx = entry_new(nexthop->af, ifp, nexthop);
	if (idx)
		send_via(w, idx, m);
	else
		dp_drop1(w, m, DROP_NEIGH_FAIL);
}

static void packet_dst(const struct rte_mbuf *m, struct cv_addr *dst)
{
	memset(dst, 0, sizeof(*dst));
	if (pkt_meta((struct rte_mbuf *)(uintptr_t)m)->flags & PKT_F_IP6) {
		dst->af = CV_AF_INET6;
		memcpy(dst->b, rte_pktmbuf_mtod(m, const struct rte_ipv6_hdr *)->dst_addr, 16);
	} else {
		dst->af = CV_AF_INET;
		memcpy(dst->b, &rte_pktmbuf_mtod(m, const struct rte_ipv4_hdr *)->dst_addr, 4);
	}
}

/* The route is looked up again: what the worker saw may be gone by now, its adjacency used for someone else. */
void neigh_slow(struct worker *w, struct rte_mbuf *m)
{
	struct pkt_meta *meta = pkt_meta(m);
	struct cv_addr dst;

	packet_dst(m, &dst);
	uint32_t word = fib_pick(fib_lookup(meta->vrf, &dst), meta->flow_hash);
	const struct dp_if *ifp = FIB_KIND(word) == FIB_GLEAN ? iface_get(FIB_NUM(word)) : NULL;

	if (FIB_KIND(word) == FIB_ADJ)
		send_via(w, FIB_NUM(word), m);
	else if (ifp && iface_has_port(ifp))
		neigh_send(w, ifp, &dst, m);
	else
		dp_drop1(w, m, DROP_NO_ROUTE);
}

/* ---- learning ---- */

static void write_mac(struct adj *a, const uint8_t mac[6])
{
	union {
		uint64_t q;
		uint8_t b[8];
	} first = {.q = a->l2_first};

	memcpy(first.b, mac, 6);
	__atomic_store_n(&a->l2_first, first.q, __ATOMIC_RELEASE);
	__atomic_store_n(&a->ready, 1, __ATOMIC_RELEASE);
}

static void release_held(struct worker *w, uint32_t idx)
{
	struct neigh *n = &table[idx];
	unsigned count = n->n_hold;

	n->n_hold = 0;
	for (unsigned i = 0; i < count; i++)
		output_one(w, idx, n->hold[i]);
}

static void learn(struct worker *w, uint32_t idx, const struct neigh_news *news)
{
	uint64_t now = dp_now_ms();
	struct adj *a = &adj_table[idx];
	struct neigh *n = &table[idx];

	if (n->rebuilding)
		return;
	bool same = a->ready && memcmp(a->l2, news->mac, 6) == 0;

	if (a->ready && !same && !news->override) {
		if (n->state == CV_NEIGH_REACHABLE) /* RFC 4861 7.2.5: doubt it, do not believe the other */
			set_state(n, CV_NEIGH_STALE, now);
		return;
	}
	if (!same)
		write_mac(a, news->mac);
	if (news->solicited)
		set_state(n, CV_NEIGH_REACHABLE, now);
	else if (!same)
		set_state(n, CV_NEIGH_STALE, now);
	release_held(w, idx);
}

void neigh_learn(struct worker *w, const struct neigh_news *news)
{
	const struct dp_if *ifp = iface_get(news->if_id);
	const struct neigh_key key = neigh_key6(news->addr.b);
	uint32_t idx = neigh_find(news->if_id, news->addr.af, key);

	if (cv_addr_is_multicast(&news->addr))
		return;
	if (!idx && news->create && ifp)
		idx = entry_new(news->addr.af, ifp, &news->addr);
	if (idx)
		learn(w, idx, news);
	idx = news->addr.af == CV_AF_INET6 ? neigh_find_for(CV_AF_INET, news->if_id, CV_AF_INET6, key) : 0;
	if (idx)
		learn(w, idx, news);
}

/* ---- time ---- */

static void tell_unreachable(struct worker *w, struct neigh *n)
{
	unsigned count = n->n_hold;

	n->n_hold = 0;
	for (unsigned i = 0; i < count; i++) {
		struct pkt_meta *meta = pkt_meta(n->hold[i]);

		/* host unreachable (RFC 1812 5.2.7.1), address unreachable (RFC 4443 3.1) */
		meta->icmp_code = meta->flags & PKT_F_IP6 ? 3 : 1;
		icmp_slow_error(w, n->hold[i], SLOW_ICMP_UNREACH);
	}
}

static void tick_asking(struct worker *w, uint32_t idx, uint64_t now_ms)
{
	struct neigh *n = &table[idx];

	if (now_ms < n->next_ms)
		return;
	if (n->retries < RETRIES) {
		ask(w, idx, n->state == CV_NEIGH_PROBE ? adj_table[idx].l2 : NULL);
		return;
	}
	tell_unreachable(w, n);
	unresolve(idx, now_ms);
}

static void tick_stale(struct worker *w, uint32_t idx, uint64_t now_ms)
{
	struct neigh *n = &table[idx];
	uint32_t used_s = __atomic_load_n(&adj_table[idx].used, __ATOMIC_RELAXED);

	if (used_s > n->since_ms / 1000) {
		set_state(n, CV_NEIGH_PROBE, now_ms);
		ask(w, idx, adj_table[idx].l2);
	} else if (now_ms - n->since_ms > UNUSED_S * 1000ull) {
		unresolve(idx, now_ms);
	}
}

static void tick_one(struct worker *w, uint32_t idx, uint64_t now_ms)
{
	struct neigh *n = &table[idx];

	switch (n->state) {
	case CV_NEIGH_INCOMPLETE:
	case CV_NEIGH_PROBE:
		tick_asking(w, idx, now_ms);
		break;
	case CV_NEIGH_REACHABLE:
		if (now_ms - n->since_ms > REACHABLE_MS)
			set_state(n, CV_NEIGH_STALE, now_ms);
		break;
	case CV_NEIGH_STALE:
		tick_stale(w, idx, now_ms);
		break;
	default: /* idle: left without references by a route that is gone */
		if (!n->pins && !n->rebuilding && now_ms >= n->next_ms)
			entry_free(idx);
	}
}

void neigh_tick(struct worker *w, uint64_t now_ms)
{
	for (uint32_t i = n_in_use; i-- > 0;) /* backwards: the current entry may be freed */
		tick_one(w, in_use[i], now_ms);
}

/* ---- interfaces ---- */

static void rebuild(void *arg)
{
	uint32_t idx = (uint32_t)(uintptr_t)arg;
	struct neigh *n = &table[idx];
	const struct dp_if *ifp = iface_get(adj_table[idx].if_id);

	n->rebuilding = false;
	if (ifp)
		fill_header(&adj_table[idx], ifp);
	if (!n->n_hold)
		return;
	set_state(n, CV_NEIGH_INCOMPLETE, dp_now_ms());
	n->next_ms = 0;
}

static bool header_differs(const struct dp_if *a, const struct dp_if *b)
{
	return memcmp(a->mac, b->mac, 6) != 0 || a->vlan_id != b->vlan_id || a->port_id != b->port_id;
}

static void if_changed_one(uint32_t idx, const struct dp_if *was, const struct dp_if *is)
{
	struct neigh *n = &table[idx];

	const bool group = cv_addr_is_multicast(&adj_table[idx].nexthop);

	if (!was) { /* made by the routes of the same transaction, from what was known then */
		if (!adj_table[idx].ready || group)
			fill_header(&adj_table[idx], is);
		return;
	}
	if (is)
		__atomic_store_n(&adj_table[idx].mtu, iface_mtu(is, adj_table[idx].carries), __ATOMIC_RELAXED);
	if (is && (is->link || group) && !header_differs(was, is))
		return;
	__atomic_store_n(&adj_table[idx].ready, 0, __ATOMIC_RELEASE);
	if (is && header_differs(was, is) && !n->rebuilding) {
		n->rebuilding = true;
		set_state(n, NEIGH_IDLE, dp_now_ms());
		n->next_ms = 0;
		dp_defer(rebuild, (void *)(uintptr_t)idx);
	} else if (!n->rebuilding) {
		unresolve(idx, dp_now_ms());
		if (n->pins)
			n->next_ms = 0;
	}
}

void neigh_if_changed(const struct dp_if *was, const struct dp_if *is)
{
	uint32_t if_id = was ? was->id : is->id;

	for (uint32_t i = n_in_use; i-- > 0;)
		if (adj_table[in_use[i]].if_id == if_id)
			if_changed_one(in_use[i], was, is);
}

void neigh_clear(uint32_t if_id)
{
	for (uint32_t i = n_in_use; i-- > 0;) {
		uint32_t idx = in_use[i];

		if ((if_id && adj_table[idx].if_id != if_id) || table[idx].rebuilding ||
			cv_addr_is_multicast(&adj_table[idx].nexthop))
			continue;
		bool pinned = table[idx].pins;

		unresolve(idx, dp_now_ms());
		if (pinned)
			table[idx].next_ms = 0;
	}
}

/* One of the two adjacencies of an address is enough: that for its own family, if somebody asked for it. */
static bool is_shown(uint32_t idx)
{
	const struct adj *a = &adj_table[idx];
	const uint32_t own = neigh_find(a->if_id, a->nexthop.af, neigh_key6(a->nexthop.b));

	return table[idx].state != NEIGH_IDLE && (own == idx || !own || table[own].state == NEIGH_IDLE);
}

void neigh_dump(const struct cv_cmd_dump *req, struct cv_dump_reply *out)
{
	const unsigned room = sizeof(out->entries) / sizeof(struct cv_neigh_entry);

	out->n = 0;
	out->next = 0;
	out->entry_size = sizeof(struct cv_neigh_entry);
	for (uint64_t i = req->cursor; i < n_in_use; i++) {
		const struct neigh *n = &table[in_use[i]];
		const struct adj *a = &adj_table[in_use[i]];
		struct cv_neigh_entry e = {.addr = a->nexthop, .if_id = a->if_id, .state = n->state};

		if (!is_shown(in_use[i]))
			continue;
		if (out->n == room) {
			out->next = i;
			return;
		}
		if (a->ready)
			memcpy(e.mac, a->l2, 6);
		e.age_s = (uint32_t)((dp_now_ms() - n->since_ms) / 1000);
		memcpy(out->entries + out->n++ * sizeof(e), &e, sizeof(e));
	}
}
