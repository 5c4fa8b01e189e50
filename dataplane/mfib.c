/* SPDX-License-Identifier: BSD-3-Clause */
#include "mfib.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "addr_hash.h"
#include "fib.h"
#include "host.h"
#include "iface.h"
#include "neigh.h"
#include "worker.h"

#define BUCKETS 4096u
#define SAMPLE_S 10u

/* Who wants the route. What is configured goes before what the kernel of the host has. */
enum origin { CONFIGURED, HOST, ORIGINS };

struct wish {
	bool now, staged; /* is there one, and after this transaction? */
	uint32_t named;	  /* configured: in which transaction; host: as its walks are numbered */
	struct cv_mroute route, staged_route;
};

struct entry {
	struct cv_mroute_ref key;
	uint32_t next;		      /* in its bucket, 0 = end */
	const struct mfib_ways *ways; /* NULL = none */
	uint32_t sampled_s;	      /* any worker: uptime in seconds at the last sample */
	/* main only */
	bool touched;
	struct wish wish[ORIGINS];
	struct mfib_ways *coming;
};

static struct entry table[CV_MROUTE_MAX];
static uint32_t bucket[BUCKETS];
static uint32_t free_slot[CV_MROUTE_MAX], n_free, used = 1; /* slots from used on have never been */

static struct {
	bool open, syncing;
	uint32_t txn;
	uint32_t touched[CV_MROUTE_MAX], n;
} txn;

/* ---- look-up ---- */

static uint32_t bucket_of(uint32_t vrf_id, const struct cv_addr *group, const struct cv_addr *source)
{
	return addr_hash(group, addr_hash(source, vrf_id)) & (BUCKETS - 1);
}

static uint32_t slot_of(uint32_t vrf_id, const struct cv_addr *group, const struct cv_addr *source)
{
	uint32_t i = __atomic_load_n(&bucket[bucket_of(vrf_id, group, source)], __ATOMIC_ACQUIRE);

	while (i && !(table[i].key.vrf_id == vrf_id && cv_addr_eq(&table[i].key.group, group) &&
			    cv_addr_eq(&table[i].key.source, source)))
		i = __atomic_load_n(&table[i].next, __ATOMIC_ACQUIRE);
	return i;
}

uint32_t mfib_find(
	uint32_t vrf_id, const struct cv_addr *group, const struct cv_addr *source, const struct mfib_ways **ways)
{
	static const struct cv_addr any;
	uint32_t i = slot_of(vrf_id, group, source);

	*ways = i ? __atomic_load_n(&table[i].ways, __ATOMIC_ACQUIRE) : NULL;
	if (*ways)
		return i;
	i = slot_of(vrf_id, group, &any);
	*ways = i ? __atomic_load_n(&table[i].ways, __ATOMIC_ACQUIRE) : NULL;
	return *ways ? i : 0;
}

/* ---- slots ---- */

/* Nobody can find it any more, so nobody counts. */
static void slot_free(void *arg)
{
	const uint32_t slot = (uint32_t)(uintptr_t)arg;

	for (unsigned w = 0; w <= dp_n_workers; w++) {
		struct cv_mroute_counters *c = &dp_workers[w]->stats->mroute[slot];
		const struct cv_mroute_counters zero = {.former = c->former};

		if (memcmp(c, &zero, sizeof(zero)) != 0)
			*c = zero;
	}
	worker_main()->stats->mroute[slot].former++;
	free_slot[n_free++] = slot;
}

static uint32_t slot_new(const struct cv_mroute_ref *key)
{
	uint32_t *first = &bucket[bucket_of(key->vrf_id, &key->group, &key->source)];

	if (!n_free && used == CV_MROUTE_MAX)
		return 0;
	const uint32_t slot = n_free ? free_slot[--n_free] : used++;

	table[slot] = (struct entry){.key = *key, .next = *first};
	__atomic_store_n(first, slot, __ATOMIC_RELEASE);
	return slot;
}

static void slot_drop(uint32_t slot)
{
	const struct cv_mroute_ref *key = &table[slot].key;
	uint32_t *at = &bucket[bucket_of(key->vrf_id, &key->group, &key->source)];

	while (*at != slot)
		at = &table[*at].next;
	__atomic_store_n(at, table[slot].next, __ATOMIC_RELEASE);
	dp_defer(slot_free, (void *)(uintptr_t)slot);
}

/* ---- where it leads ---- */

static void unpin(const struct mfib_ways *y)
{
	for (uint32_t i = 0; i < y->n_out; i++)
		if (FIB_KIND(y->out[i].word) == FIB_ADJ)
			neigh_unpin(FIB_NUM(y->out[i].word));
}

static int refuse(char *text, uint32_t if_id, const char *why)
{
	(void)snprintf(text, 128, "multicast route: interface %u %s", if_id, why);
	return CV_ERR_NOT_FOUND;
}

/* The interface as it will be, NULL with text when packets of the VRF cannot come or go by it. */
static const struct dp_if *interface_of(uint32_t if_id, uint32_t vrf_id, char *text)
{
	const struct dp_if *ifp = iface_staged(if_id);

	if (!ifp)
		refuse(text, if_id, "does not exist");
	else if (ifp->vrf_id != vrf_id)
		refuse(text, if_id, "is in another VRF");
	else if (ifp->type == CV_IF_LOOPBACK)
		refuse(text, if_id, "is a loopback");
	else
		return ifp;
	return NULL;
}

static int add_way(struct mfib_ways *y, const struct cv_mroute *r, const struct cv_mroute_out *o, char *text)
{
	const struct dp_if *ifp = interface_of(o->if_id, r->ref.vrf_id, text);
	struct mfib_out *out = &y->out[y->n_out];

	if (!ifp)
		return CV_ERR_NOT_FOUND;
	*out = (struct mfib_out){.word = FIB_TUNNEL_WORD(o->if_id, 0), .if_id = (uint16_t)o->if_id, .ttl = o->ttl};
	if (ifp->type != CV_IF_TUNNEL) {
		const uint32_t adj = neigh_pin(r->ref.group.af, o->if_id, &r->ref.group);

		if (!adj) {
			(void)snprintf(text, 128, "no adjacency is free for one more group");
			return CV_ERR_NO_MEMORY;
		}
		out->word = FIB_WORD(FIB_ADJ, adj);
	}
	y->n_out++;
	return 0;
}

static int make_ways(struct entry *e, const struct cv_mroute *r, char *text)
{
	int rc = interface_of(r->if_in, r->ref.vrf_id, text) ? 0 : CV_ERR_NOT_FOUND;

	if (rc)
		return rc;
	e->coming = calloc(1, sizeof(*e->coming));
	if (!e->coming)
		return CV_ERR_NO_MEMORY;
	e->coming->if_in = r->if_in;
	for (uint32_t i = 0; !rc && i < r->n_out; i++)
		rc = add_way(e->coming, r, &r->out[i], text);
	return rc;
}

/* ---- transactions ---- */

static void txn_open(void)
{
	if (!txn.open)
		txn.txn++;
	txn.open = true;
}

static void touch(uint32_t slot)
{
	struct entry *e = &table[slot];

	if (e->touched)
		return;
	e->touched = true;
	for (struct wish *wish = e->wish; wish < e->wish + ORIGINS; wish++) {
		wish->staged = wish->now;
		wish->staged_route = wish->route;
	}
	txn.touched[txn.n++] = slot;
}

static bool is_staged(uint32_t slot, enum origin origin)
{
	const struct wish *wish = &table[slot].wish[origin];

	return table[slot].touched ? wish->staged : wish->now;
}

static int route_set(const struct cv_mroute *r, enum origin origin, uint32_t named, char *text)
{
	uint32_t slot = slot_of(r->ref.vrf_id, &r->ref.group, &r->ref.source);

	if (!slot)
		slot = slot_new(&r->ref);
	if (!slot) {
		(void)snprintf(text, 128, "there are %u multicast routes already", CV_MROUTE_MAX - 1);
		return CV_ERR_NO_MEMORY;
	}
	touch(slot);
	struct wish *wish = &table[slot].wish[origin];

	wish->staged = true;
	wish->staged_route = *r;
	wish->named = named;
	return 0;
}

static int route_del(const struct cv_mroute_ref *r, char *text)
{
	const uint32_t slot = slot_of(r->vrf_id, &r->group, &r->source);

	if (!slot || !is_staged(slot, CONFIGURED)) {
		(void)snprintf(text, 128, "no such multicast route in VRF %u", r->vrf_id);
		return CV_ERR_NOT_FOUND;
	}
	touch(slot);
	table[slot].wish[CONFIGURED].staged = false;
	return 0;
}

static int mfib_stage(uint16_t type, const void *body, char *text)
{
	txn_open();
	return type == CV_CMD_MROUTE_SET ? route_set(body, CONFIGURED, txn.txn, text) : route_del(body, text);
}

static void mfib_sync(void)
{
	txn_open();
	txn.syncing = true;
}

/* A route of the kernel's whose devices go, goes with them; ways out that go are left out. */
static void drop_lost(struct wish *wish)
{
	struct cv_mroute *r = &wish->staged_route;
	uint32_t keep = 0;

	for (uint32_t i = 0; i < r->n_out; i++)
		if (host_device_kept(r->out[i].if_id))
			r->out[keep++] = r->out[i];
	r->n_out = keep;
	wish->staged &= host_device_kept(r->if_in);
}

/* What was made for a transaction that does not come to it. */
static void discard(struct entry *e)
{
	if (e->coming)
		unpin(e->coming);
	free(e->coming);
	e->coming = NULL;
}

static int prepare_one(struct entry *e, bool interfaces, char *text)
{
	const struct wish *configured = &e->wish[CONFIGURED];
	struct wish *host = &e->wish[HOST];

	if (interfaces && host->staged)
		drop_lost(host);
	if (configured->staged)
		return make_ways(e, &configured->staged_route, text);
	if (!host->staged)
		return 0;
	int rc = make_ways(e, &host->staged_route, text);

	if (rc == CV_ERR_NOT_FOUND) { /* no reason to refuse what somebody else wants */
		host->staged = false;
		discard(e);
		return 0;
	}
	if (e->coming)
		e->coming->host = true;
	return rc;
}

static int mfib_prepare(char *text)
{
	const bool interfaces = iface_txn_in_progress();
	int rc = 0;

	for (uint32_t i = 1; (txn.syncing || interfaces) && i < used; i++) {
		struct wish *configured = &table[i].wish[CONFIGURED];

		if (!configured->now && !table[i].wish[HOST].now)
			continue;
		touch(i);
		if (txn.syncing && configured->named != txn.txn)
			configured->staged = false;
	}
	for (uint32_t i = 0; !rc && i < txn.n; i++)
		rc = prepare_one(&table[txn.touched[i]], interfaces, text);
	return rc;
}

static void txn_close(void)
{
	txn.n = 0;
	txn.open = txn.syncing = false;
}

static void drop_if_unused(uint32_t slot)
{
	if (!table[slot].wish[CONFIGURED].now && !table[slot].wish[HOST].now)
		slot_drop(slot);
}

static void publish_one(uint32_t slot)
{
	struct entry *e = &table[slot];
	struct mfib_ways *old = (struct mfib_ways *)(uintptr_t)e->ways;

	__atomic_store_n(&e->ways, e->coming, __ATOMIC_RELEASE);
	if (old) {
		unpin(old);
		dp_defer(free, old);
	}
	e->coming = NULL;
	e->touched = false;
	for (struct wish *wish = e->wish; wish < e->wish + ORIGINS; wish++) {
		wish->now = wish->staged;
		wish->route = wish->staged_route;
	}
	drop_if_unused(slot);
}

static void mfib_publish(void)
{
	for (uint32_t i = 0; i < txn.n; i++)
		publish_one(txn.touched[i]);
	txn_close();
}

static void mfib_abort(void)
{
	for (uint32_t i = 0; i < txn.n; i++) {
		struct entry *e = &table[txn.touched[i]];

		discard(e);
		e->touched = false;
		drop_if_unused(txn.touched[i]);
	}
	txn_close();
}

const struct dp_module mfib_module = {
	.name = "mfib",
	.stage = mfib_stage,
	.sync = mfib_sync,
	.prepare = mfib_prepare,
	.publish = mfib_publish,
	.abort = mfib_abort,
};

/* ---- the host's routes ---- */

int mfib_host_set(const struct cv_mroute *r, uint32_t named, char *text)
{
	txn_open();
	return route_set(r, HOST, named, text);
}

void mfib_host_sweep(mfib_host_stale_fn stale, void *arg)
{
	for (uint32_t i = 1; i < used; i++) {
		const struct wish *wish = &table[i].wish[HOST];

		if (!is_staged(i, HOST) ||
			!stale(arg, table[i].touched ? &wish->staged_route : &wish->route, wish->named))
			continue;
		txn_open();
		touch(i);
		table[i].wish[HOST].staged = false;
	}
}

bool mfib_txn_in_progress(void)
{
	return txn.open;
}

bool mfib_sample_due(uint32_t slot)
{
	uint32_t *last = &table[slot].sampled_s, now = dp_uptime_s(), was = __atomic_load_n(last, __ATOMIC_RELAXED);

	return now - was >= SAMPLE_S &&
	       __atomic_compare_exchange_n(last, &was, now, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

/* ---- for people ---- */

void mfib_dump(const struct cv_cmd_dump *req, struct cv_dump_reply *out)
{
	const unsigned room = sizeof(out->entries) / sizeof(struct cv_mroute_entry);

	out->entry_size = sizeof(struct cv_mroute_entry);
	for (uint64_t i = RTE_MAX(req->cursor, 1u); i < used; i++) {
		const bool configured = table[i].wish[CONFIGURED].now;
		const struct wish *wish = &table[i].wish[configured ? CONFIGURED : HOST];
		const struct cv_mroute_entry e = {
			.route = wish->route, .counter = (uint32_t)i, .from_host = !configured};

		if (!wish->now || table[i].key.vrf_id != req->scope)
			continue;
		if (out->n == room) {
			out->next = i;
			return;
		}
		memcpy(out->entries + out->n++ * sizeof(e), &e, sizeof(e));
	}
}
