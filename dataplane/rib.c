/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The routes behind the forwarding tables: which sources offer a prefix, which next hops of a configured route resolve
 * and to what. Resolution is a pure function of this table and of the interfaces, so a change only has to find the
 * routes it may concern; the order in which they are looked at does not matter.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "cv_array.h"
#include "fib.h"
#include "fib_write.h"
#include "flow_change.h"
#include "host_route.h"
#include "iface.h"
#include "neigh.h"
#include "rib_gateway.h"
#include "rib_store.h"
#include "tunnel_hop.h"
#include "vrf.h"

#define RIB_DEPTH 8u /* gateways behind gateways */

struct member {
	uint32_t word;
	uint32_t share; /* relative weight */
};

/* What a route resolves to. */
struct resolution {
	unsigned n, n_pin;
	struct member m[RIB_MEMBERS];
	uint32_t pin[RIB_MEMBERS];
	bool full; /* out of adjacencies */
};

static struct {
	bool open, syncing;
	uint32_t txn;
	TAILQ_HEAD(, rib_prefix) touched;
	bool if_any;
	bool if_changed[CV_IF_MAX];
	struct rib_prefix **changed; /* prefixes whose word changed, in order; may name one twice */
	unsigned n_changed, cap_changed;
} rib = {.touched = TAILQ_HEAD_INITIALIZER(rib.touched)};

/* ---- staging: changes go into the store at once, with what was there kept for abort ---- */

static void txn_touch(struct rib_prefix *rp)
{
	if (rp->in_txn)
		return;
	rp->in_txn = true;
	rp->old = rp->cur;
	rp->old_word = rp->word;
	rp->old_pins = rp->pins;
	TAILQ_INSERT_TAIL(&rib.touched, rp, txn_link);
}

static struct cv_route *best(const struct rib_state *s)
{
	struct cv_route *r = NULL;

	for (unsigned i = 0; i < RIB_SOURCES; i++)
		if (s->offer[i] && (!r || s->offer[i]->distance < r->distance))
			r = s->offer[i];
	return r;
}

/* Follow the gateways of the route in force. -ENOMEM: they are not followed. */
static int choose(struct rib_prefix *rp)
{
	rib_gateway_del(rp);
	rp->cur.route = best(&rp->cur);
	return rp->cur.route ? rib_gateway_add(rp) : 0;
}

/* Put another route (NULL = none) in place of what this source offers. -ENOMEM: it is there, but its gateways are not
 * followed. */
static int set_offer(struct rib_prefix *rp, enum rib_source source, struct cv_route *route)
{
	struct cv_route *before = rp->cur.offer[source];

	rib_gateway_del(rp); /* reads the route in force, which may be the one that goes */
	if (before != rp->old.offer[source])
		free(before);
	rp->cur.offer[source] = route;
	return choose(rp);
}

static size_t route_size(const struct cv_route *r)
{
	return offsetof(struct cv_route, nh) + r->n_nh * sizeof(r->nh[0]);
}

static int route_check(const struct cv_route *r, char *text)
{
	if (r->vrf_id >= CV_VRF_MAX || r->n_nh == 0 || r->n_nh > CV_NH_MAX) {
		snprintf(text, 128, "route with VRF %u and %u next hops", r->vrf_id, r->n_nh);
		return CV_ERR_MALFORMED;
	}
	for (unsigned i = 0; i < r->n_nh; i++) {
		const struct cv_nexthop *nh = &r->nh[i];
		bool ok = nh->type >= CV_NH_GATEWAY && nh->type <= CV_NH_BLACKHOLE && nh->if_id < CV_IF_MAX &&
			  nh->vrf_id < CV_VRF_MAX && (nh->type != CV_NH_INTERFACE || nh->if_id) &&
			  (nh->type != CV_NH_GATEWAY || nh->gw.af == r->prefix.addr.af || nh->gw.af == CV_AF_INET6);

		if (!ok) {
			snprintf(text, 128, "next hop %u of a route is not valid", i + 1);
			return CV_ERR_MALFORMED;
		}
	}
	return 0;
}

static int route_set(const struct cv_route *cmd, enum rib_source source, uint32_t named, char *text)
{
	int rc = route_check(cmd, text);

	if (rc)
		return rc;
	struct rib_prefix *rp = rib_get(cmd->vrf_id, &cmd->prefix, true);

	if (!rp)
		return CV_ERR_NO_MEMORY;
	const struct cv_route *have = rp->cur.offer[source];

	rp->named[source] = named;
	if (have && route_size(have) == route_size(cmd) && memcmp(have, cmd, route_size(cmd)) == 0)
		return 0;
	struct cv_route *copy = malloc(route_size(cmd));

	if (!copy)
		return CV_ERR_NO_MEMORY;
	memcpy(copy, cmd, route_size(cmd));
	txn_touch(rp);
	return set_offer(rp, source, copy) ? CV_ERR_NO_MEMORY : 0;
}

static int route_del(const struct cv_route_ref *cmd, char *text)
{
	struct rib_prefix *rp = rib_get(cmd->vrf_id, &cmd->prefix, false);

	if (!rp || !rp->cur.offer[RIB_CONFIGURED]) {
		snprintf(text, 128, "no such route in VRF %u", cmd->vrf_id);
		return CV_ERR_NOT_FOUND;
	}
	txn_touch(rp);
	(void)set_offer(rp, RIB_CONFIGURED, NULL);
	return 0;
}

static void txn_open(void)
{
	if (!rib.open)
		rib.txn++;
	rib.open = true;
}

static int rib_stage(uint16_t type, const void *body, char *text)
{
	txn_open();
	return type == CV_CMD_ROUTE_SET ? route_set(body, RIB_CONFIGURED, rib.txn, text) : route_del(body, text);
}

int fib_host_route_set(const struct cv_route *route, uint32_t named, char *text)
{
	txn_open();
	return route_set(route, RIB_HOST, named, text);
}

const struct cv_route *fib_host_route(uint32_t vrf_id, const struct cv_prefix *p)
{
	const struct rib_prefix *rp = rib_get(vrf_id, p, false);

	return rp ? rp->cur.offer[RIB_HOST] : NULL;
}

void fib_host_route_del(uint32_t vrf_id, const struct cv_prefix *p)
{
	struct rib_prefix *rp = rib_get(vrf_id, p, false);

	if (!rp || !rp->cur.offer[RIB_HOST])
		return;
	txn_open();
	txn_touch(rp);
	(void)set_offer(rp, RIB_HOST, NULL);
}

struct host_sweep {
	fib_host_stale_fn stale;
	void *arg;
};

static void host_sweep_one(struct rib_prefix *rp, void *arg)
{
	const struct host_sweep *s = arg;

	if (!rp->cur.offer[RIB_HOST] || !s->stale(s->arg, rp->cur.offer[RIB_HOST], rp->named[RIB_HOST]))
		return;
	txn_open();
	txn_touch(rp);
	(void)set_offer(rp, RIB_HOST, NULL);
}

void fib_host_sweep(fib_host_stale_fn stale, void *arg)
{
	struct host_sweep s = {stale, arg};

	rib_walk(host_sweep_one, &s);
}

bool fib_host_sweep_part(struct fib_sweep *at, unsigned most, fib_host_stale_fn stale, void *arg)
{
	struct host_sweep s = {stale, arg};

	for (; at->vrf_id < CV_VRF_MAX; at->vrf_id++, at->serial = 0) {
		struct rib_prefix *rp = rib_next(RIB_SWEEP, at->vrf_id, at->serial);

		for (; rp; rp = TAILQ_NEXT(rp, vrf_link)) {
			if (most-- == 0) {
				at->serial = rp->serial;
				rib_bookmark(RIB_SWEEP, rp);
				return true;
			}
			host_sweep_one(rp, &s);
		}
	}
	return false;
}

static void rib_sync(void)
{
	txn_open();
	rib.syncing = true;
}

static void sweep_one(struct rib_prefix *rp, void *arg)
{
	(void)arg;
	if (!rp->cur.offer[RIB_CONFIGURED] || rp->named[RIB_CONFIGURED] == rib.txn)
		return;
	txn_touch(rp);
	(void)set_offer(rp, RIB_CONFIGURED, NULL);
}

int fib_if_prefix_add(uint32_t vrf_id, const struct cv_prefix *p, uint32_t word)
{
	txn_open();
	struct rib_prefix *rp = rib_get(vrf_id, p, true);

	if (!rp || rp->cur.n_if == RIB_IF_MAX)
		return CV_ERR_NO_MEMORY;
	txn_touch(rp);
	rp->cur.if_word[rp->cur.n_if++] = word;
	return 0;
}

int fib_if_prefix_del(uint32_t vrf_id, const struct cv_prefix *p, uint32_t word)
{
	txn_open();
	struct rib_prefix *rp = rib_get(vrf_id, p, false);

	for (unsigned i = 0; rp && i < rp->cur.n_if; i++) {
		if (rp->cur.if_word[i] != word)
			continue;
		txn_touch(rp);
		rp->cur.n_if--;
		memmove(&rp->cur.if_word[i], &rp->cur.if_word[i + 1], (rp->cur.n_if - i) * sizeof(rp->cur.if_word[0]));
		return 0;
	}
	return CV_ERR_NOT_FOUND;
}

void fib_if_changed(uint32_t if_id)
{
	txn_open();
	rib.if_changed[if_id] = rib.if_any = true;
}

static int look_again(struct rib_prefix *rp)
{
	txn_touch(rp);
	return 0;
}

void fib_gateway_changed(uint32_t vrf_id, const struct cv_addr *gateway)
{
	const struct cv_prefix p = {.addr = *gateway, .len = (uint8_t)cv_addr_bits_of(gateway->af)};

	txn_open();
	(void)rib_gateway_each(vrf_id, &p, look_again);
}

/* ---- resolution ---- */

/* The word an interface's own prefix gives: our address before broadcast before connected. 0 = none. */
static uint32_t if_word(const struct rib_prefix *rp)
{
	static const uint8_t rank[] = {[FIB_LOCAL] = 3, [FIB_BROADCAST] = 2, [FIB_GLEAN] = 1, [FIB_TUNNEL] = 1};
	uint32_t best = 0;

	for (unsigned i = 0; i < rp->cur.n_if; i++)
		if (!best || rank[FIB_KIND(rp->cur.if_word[i])] > rank[FIB_KIND(best)])
			best = rp->cur.if_word[i];
	return best;
}

static void add_member(struct resolution *res, uint32_t word, uint32_t share)
{
	for (unsigned i = 0; i < res->n; i++) {
		if (res->m[i].word == word) {
			res->m[i].share += share;
			return;
		}
	}
	if (res->n < RIB_MEMBERS)
		res->m[res->n++] = (struct member){.word = word, .share = share ? share : 1};
}

static bool add_adjacency(
	struct resolution *res, uint8_t carries, uint32_t if_id, const struct cv_addr *gw, uint32_t share)
{
	if (res->n_pin == RIB_MEMBERS)
		return false;
	uint32_t adj = neigh_pin(carries, if_id, gw);

	if (!adj) {
		res->full = true;
		return false;
	}
	res->pin[res->n_pin++] = adj;
	add_member(res, FIB_WORD(FIB_ADJ, adj), share);
	return true;
}

static bool if_usable(uint32_t if_id)
{
	const struct dp_if *ifp = iface_staged(if_id);

	return ifp && ifp->link;
}

static enum fib_kind link_kind(uint32_t if_id)
{
	return iface_staged(if_id)->type == CV_IF_TUNNEL ? FIB_TUNNEL : FIB_GLEAN;
}

/* By a gateway into a tunnel. One with one other end leads there, whatever that is called; a multipoint one has to know
 * where the gateway is. */
static bool add_tunnel(struct resolution *res, uint32_t if_id, const struct cv_addr *gw, uint32_t share)
{
	uint32_t hop = 0;

	if (iface_staged(if_id)->tunnel.flags & CV_TUNNEL_F_MULTIPOINT && !(hop = tunnel_hop_staged(if_id, gw)))
		return false;
	add_member(res, FIB_TUNNEL_WORD(if_id, hop), share);
	return true;
}

/* The routes on the way of a resolution: one met again is a loop. */
struct trail {
	uint8_t af; /* of the packets that they are for, which is not that of all gateways (RFC 8950) */
	const struct rib_prefix *rp[RIB_DEPTH];
	unsigned n;
};

static bool resolve_route(const struct rib_prefix *rp, uint32_t share, struct trail *t, struct resolution *res);

static bool resolve_gateway(const struct cv_nexthop *nh, uint32_t share, struct trail *t, struct resolution *res)
{
	int len = (int)cv_addr_bits_of(nh->gw.af);

	for (;;) {
		struct rib_prefix *q = rib_match(nh->vrf_id, &nh->gw, &len);

		if (!q)
			return false;
		uint32_t w = if_word(q);

		if (FIB_KIND(w) == FIB_TUNNEL)
			return add_tunnel(res, FIB_TUNNEL_IF(w), &nh->gw, share);
		if (w)
			return FIB_KIND(w) == FIB_GLEAN && add_adjacency(res, t->af, FIB_NUM(w), &nh->gw, share);
		if (q->cur.route && resolve_route(q, share, t, res))
			return true;
	}
}

static bool resolve_nexthop(const struct cv_nexthop *nh, uint32_t share, struct trail *t, struct resolution *res)
{
	switch (nh->type) {
	case CV_NH_BLACKHOLE:
		add_member(res, FIB_WORD(FIB_BLACKHOLE, 0), share);
		return true;
	case CV_NH_INTERFACE:
		if (!if_usable(nh->if_id))
			return false;
		if (iface_staged(nh->if_id)->type == CV_IF_LOOPBACK)
			add_member(res, FIB_WORD(FIB_BLACKHOLE, 0), share);
		else
			add_member(res, FIB_WORD(link_kind(nh->if_id), nh->if_id), share);
		return true;
	default:
		if (nh->if_id && !if_usable(nh->if_id))
			return false;
		if (nh->if_id && link_kind(nh->if_id) == FIB_TUNNEL)
			return add_tunnel(res, nh->if_id, &nh->gw, share);
		if (nh->if_id)
			return add_adjacency(res, t->af, nh->if_id, &nh->gw, share);
		return resolve_gateway(nh, share, t, res);
	}
}

/* Add what the route of rp leads to, `share` spread over its next hops by weight. False when nothing resolves. */
static bool resolve_route(const struct rib_prefix *rp, uint32_t share, struct trail *t, struct resolution *res)
{
	const struct cv_route *r = rp->cur.route;
	uint32_t sum = 0;
	bool any = false;

	for (unsigned i = 0; i < t->n; i++)
		if (t->rp[i] == rp)
			return false;
	if (t->n == RIB_DEPTH)
		return false;
	t->rp[t->n++] = rp;
	for (unsigned i = 0; i < r->n_nh; i++)
		sum += r->nh[i].weight ? r->nh[i].weight : 1;
	for (unsigned i = 0; i < r->n_nh; i++) {
		uint32_t weight = r->nh[i].weight ? r->nh[i].weight : 1;

		any |= resolve_nexthop(&r->nh[i], (uint32_t)((uint64_t)share * weight / sum), t, res);
	}
	t->n--;
	return any;
}

/* Spread the buckets over the members by share, at least one each: largest remainders get what is left over. */
static void fill_buckets(const struct resolution *res, uint32_t bucket[static FIB_GROUP_BUCKETS])
{
	uint64_t sum = 0, before = 0;
	unsigned b = 0;

	for (unsigned i = 0; i < res->n; i++)
		sum += res->m[i].share;
	for (unsigned i = 0; i < res->n; i++) {
		unsigned members_after = res->n - 1 - i;
		unsigned end;

		before += res->m[i].share;
		end = (unsigned)((before * FIB_GROUP_BUCKETS + sum / 2) / sum);
		if (end <= b)
			end = b + 1;
		if (end > FIB_GROUP_BUCKETS - members_after)
			end = FIB_GROUP_BUCKETS - members_after;
		while (b < end)
			bucket[b++] = res->m[i].word;
	}
}

static int members_to_word(const struct resolution *res, uint32_t old_word, uint32_t *word)
{
	uint32_t bucket[FIB_GROUP_BUCKETS];

	if (res->n <= 1) {
		*word = res->n ? res->m[0].word : 0;
		return 0;
	}
	fill_buckets(res, bucket);
	if (FIB_KIND(old_word) == FIB_GROUP &&
		memcmp(fib_groups[FIB_NUM(old_word)].bucket, bucket, sizeof(bucket)) == 0) {
		*word = old_word;
		return 0;
	}
	uint32_t g = fib_group_alloc(bucket);

	*word = FIB_WORD(FIB_GROUP, g);
	return g ? 0 : CV_ERR_NO_MEMORY;
}

/* ---- bringing the forwarding tables up to date ---- */

/* Longest installed prefix that covers rp and ends in the same trie node. */
static const struct rib_prefix *find_cover(const struct rib_prefix *rp)
{
	int len = (int)rp->prefix.len - 1;

	while (len >= (int)trie_same_node(rp->prefix.len)) {
		struct rib_prefix *q = rib_match(rp->vrf_id, &rp->prefix.addr, &len);

		if (!q || q->prefix.len < trie_same_node(rp->prefix.len))
			return NULL;
		if (q->word)
			return q;
	}
	return NULL;
}

static int note_change(struct rib_prefix *rp)
{
	struct rib_prefix **p = cv_array_room(rib.changed, rib.n_changed, &rib.cap_changed, sizeof(*p));

	if (!p)
		return CV_ERR_NO_MEMORY;
	rib.changed = p;
	rib.changed[rib.n_changed++] = rp;
	return 0;
}

static int install(struct rib_prefix *rp, uint32_t word)
{
	const struct rib_prefix *cover;
	int rc = note_change(rp);

	if (rc)
		return rc;
	rp->word = word;
	if (word) {
		rc = fib_txn_set(rp->vrf_id, &rp->prefix, word);
	} else {
		cover = find_cover(rp);
		rc = fib_txn_del(rp->vrf_id, &rp->prefix, cover ? cover->word : 0, cover ? cover->prefix.len : 0);
	}
	return rc ? CV_ERR_NO_MEMORY : 0;
}

static void pins_release(struct rib_pins *pins)
{
	for (unsigned i = 0; pins && i < pins->n; i++)
		neigh_unpin(pins->adj[i]);
	free(pins);
}

static int pins_replace(struct rib_prefix *rp, const struct resolution *res)
{
	struct rib_pins *pins = NULL;

	if (res->n_pin) {
		pins = malloc(sizeof(*pins) + res->n_pin * sizeof(pins->adj[0]));
		if (!pins)
			return CV_ERR_NO_MEMORY;
		pins->n = res->n_pin;
		memcpy(pins->adj, res->pin, res->n_pin * sizeof(pins->adj[0]));
	}
	if (rp->pins != rp->old_pins)
		pins_release(rp->pins);
	rp->pins = pins;
	return 0;
}

/* A group made by this transaction and not wanted any more. */
static void forget_new_group(const struct rib_prefix *rp, uint32_t word)
{
	if (FIB_KIND(word) == FIB_GROUP && FIB_NUM(word) && word != rp->old_word)
		fib_group_free(FIB_NUM(word), false);
}

/* Work out what the prefix leads to now, and change the table when that differs. */
static int evaluate(struct rib_prefix *rp)
{
	struct resolution res = {0};
	struct trail trail = {.af = rp->prefix.addr.af};
	uint32_t before = rp->word, word = if_word(rp);
	int rc = 0;

	txn_touch(rp);
	if (!word && rp->cur.route) {
		resolve_route(rp, 1u << 24, &trail, &res);
		rc = res.full ? CV_ERR_NO_MEMORY : members_to_word(&res, rp->word, &word);
	}
	if (!rc)
		rc = pins_replace(rp, &res);
	if (rc) {
		for (unsigned i = 0; i < res.n_pin; i++)
			neigh_unpin(res.pin[i]);
		return rc;
	}
	if (word == before)
		return 0;
	rc = install(rp, word);
	forget_new_group(rp, before);
	return rc;
}

/*
 * A change reaches the routes whose gateways lie behind the changed prefix; if that changes their words, further ones.
 * It ends: what a route resolves to does not depend on the order, so looking again at one changes nothing.
 */
static int evaluate_recursive(void)
{
	int rc = 0;

	for (unsigned i = 0; i < rib.n_changed && !rc; i++)
		rc = rib_gateway_each(rib.changed[i]->vrf_id, &rib.changed[i]->prefix, evaluate);
	return rc;
}

struct walk_result {
	int rc;
	char *text;
};

static bool route_uses_changed_if(const struct cv_route *r)
{
	for (unsigned i = 0; r && i < r->n_nh; i++)
		if (r->nh[i].if_id && rib.if_changed[r->nh[i].if_id])
			return true;
	return false;
}

static void evaluate_changed_if(struct rib_prefix *rp, void *arg)
{
	struct walk_result *wr = arg;

	if (!wr->rc && route_uses_changed_if(rp->cur.route))
		wr->rc = evaluate(rp);
}

/* VRFs that routes are in, or resolve in, must exist once the transaction is applied. */
static void check_vrfs(struct rib_prefix *rp, void *arg)
{
	struct walk_result *wr = arg;
	const struct cv_route *r = rp->cur.route;
	bool ok = vrf_exists(rp->vrf_id) || (!r && !rp->cur.n_if);

	for (unsigned i = 0; ok && r && i < r->n_nh; i++)
		ok = r->nh[i].type != CV_NH_GATEWAY || vrf_exists(r->nh[i].vrf_id);
	if (ok || wr->rc)
		return;
	snprintf(wr->text, 128, "a route needs a VRF that does not exist (in VRF %u)", rp->vrf_id);
	wr->rc = CV_ERR_IN_USE;
}

static int rib_prepare(char *text)
{
	struct walk_result wr = {.text = text};
	struct rib_prefix *rp;

	if (rib.syncing)
		rib_walk(sweep_one, NULL);
	if (vrf_changing())
		rib_walk(check_vrfs, &wr);
	TAILQ_FOREACH (rp, &rib.touched, txn_link)
		check_vrfs(rp, &wr);
	/* The list grows at its end while evaluate() runs: only prefixes already evaluated are added. */
	TAILQ_FOREACH (rp, &rib.touched, txn_link)
		if (!wr.rc)
			wr.rc = evaluate(rp);
	if (!wr.rc && rib.if_any)
		rib_walk(evaluate_changed_if, &wr);
	if (!wr.rc)
		wr.rc = evaluate_recursive();
	if (wr.rc == CV_ERR_NO_MEMORY && !text[0])
		snprintf(text, 128, "out of memory for routes, next hops or adjacencies");
	return wr.rc;
}

static void txn_close(void)
{
	memset(rib.if_changed, 0, sizeof(rib.if_changed));
	rib.open = rib.syncing = rib.if_any = false;
	rib.n_changed = 0;
}

static void close_prefix(struct rib_prefix *rp)
{
	TAILQ_REMOVE(&rib.touched, rp, txn_link);
	rp->in_txn = false;
	rp->old = (struct rib_state){0};
	rp->old_pins = NULL;
	rp->old_word = 0;
	if (!rp->cur.route && !rp->cur.n_if)
		rib_remove(rp);
}

/* The configured route that packets to this prefix take. NULL = they take another, or none. */
static const struct cv_route *in_force(const struct rib_state *s, uint32_t word)
{
	return word && !s->n_if && s->route == s->offer[RIB_CONFIGURED] ? s->route : NULL;
}

static void tell_host(const struct rib_prefix *rp)
{
	const struct cv_route *was = in_force(&rp->old, rp->old_word), *is = in_force(&rp->cur, rp->word);

	if (was && (!is || was->distance != is->distance))
		host_route_tell(was, rp->old_word, false);
	if (is && (is != was || rp->word != rp->old_word))
		host_route_tell(is, rp->word, true);
}

struct each_configured {
	void (*fn)(const struct cv_route *route, uint32_t word);
};

static void configured_one(struct rib_prefix *rp, void *arg)
{
	const struct cv_route *r = in_force(&rp->cur, rp->word);

	if (r)
		((struct each_configured *)arg)->fn(r, rp->word);
}

void fib_configured_each(void (*fn)(const struct cv_route *route, uint32_t word))
{
	struct each_configured e = {fn};

	rib_walk(configured_one, &e);
}

static void rib_publish(void)
{
	struct rib_prefix *rp;

	if (!rib.open)
		return;
	fib_txn_publish();
	for (unsigned i = 0; i < rib.n_changed; i++)
		flow_change_route(rib.changed[i]->vrf_id, &rib.changed[i]->prefix);
	while ((rp = TAILQ_FIRST(&rib.touched))) {
		tell_host(rp);
		for (unsigned i = 0; i < RIB_SOURCES; i++)
			if (rp->old.offer[i] != rp->cur.offer[i])
				free(rp->old.offer[i]);
		if (rp->old_pins != rp->pins)
			pins_release(rp->old_pins);
		if (FIB_KIND(rp->old_word) == FIB_GROUP && rp->old_word != rp->word)
			fib_group_free(FIB_NUM(rp->old_word), true);
		close_prefix(rp);
	}
	txn_close();
}

static void rib_abort(void)
{
	struct rib_prefix *rp;

	fib_txn_abort();
	while ((rp = TAILQ_FIRST(&rib.touched))) {
		forget_new_group(rp, rp->word);
		if (rp->pins != rp->old_pins)
			pins_release(rp->pins);
		/* Memory for its gateways was just freed by the route that goes; should it be gone, they do not follow
		 * their routes until the route is set again. */
		for (unsigned i = 0; i < RIB_SOURCES; i++)
			if (rp->cur.offer[i] != rp->old.offer[i])
				(void)set_offer(rp, i, rp->old.offer[i]);
		rp->cur = rp->old;
		rp->word = rp->old_word;
		rp->pins = rp->old_pins;
		close_prefix(rp);
	}
	txn_close();
}

bool fib_txn_in_progress(void)
{
	return rib.open;
}

const struct dp_module fib_module = {
	.name = "fib",
	.stage = rib_stage,
	.sync = rib_sync,
	.prepare = rib_prepare,
	.publish = rib_publish,
	.abort = rib_abort,
};

/* ---- CV_DUMP_FIB ---- */

static void dump_gateway(struct cv_nexthop *nh)
{
	uint32_t w = fib_pick(fib_lookup(nh->vrf_id, &nh->gw), 0);

	if (FIB_KIND(w) == FIB_GLEAN)
		nh->if_id = FIB_NUM(w);
	else if (FIB_KIND(w) == FIB_TUNNEL)
		nh->if_id = FIB_TUNNEL_IF(w);
	else if (FIB_KIND(w) == FIB_ADJ)
		nh->if_id = adj_table[FIB_NUM(w)].if_id;
}

static bool dump_prefix(const struct rib_prefix *rp, struct cv_route *out)
{
	uint32_t w = if_word(rp);

	if (!rp->word || FIB_KIND(w) == FIB_BROADCAST)
		return false;
	if (!w) {
		memcpy(out, rp->cur.route, route_size(rp->cur.route));
		for (unsigned i = 0; i < out->n_nh; i++)
			if (out->nh[i].type == CV_NH_GATEWAY && !out->nh[i].if_id)
				dump_gateway(&out->nh[i]);
		return true;
	}
	*out = (struct cv_route){.vrf_id = rp->vrf_id,
		.prefix = rp->prefix,
		.origin = FIB_KIND(w) == FIB_LOCAL ? FIB_ORIGIN_LOCAL : FIB_ORIGIN_CONNECTED,
		.n_nh = 1};
	out->nh[0] =
		(struct cv_nexthop){.type = CV_NH_INTERFACE, .weight = 1, .if_id = FIB_NUM(w), .vrf_id = rp->vrf_id};
	return true;
}

void fib_dump(const struct cv_cmd_dump *req, struct cv_dump_reply *out)
{
	const unsigned room = sizeof(out->entries) / sizeof(struct cv_fib_entry);
	struct rib_prefix *rp = rib_next(RIB_DUMP, req->scope, req->cursor);

	out->n = 0;
	out->next = 0;
	out->entry_size = sizeof(struct cv_fib_entry);
	for (; rp; rp = TAILQ_NEXT(rp, vrf_link)) {
		struct cv_fib_entry e = {0};

		if (!dump_prefix(rp, &e.route))
			continue;
		if (out->n == room) {
			out->next = rp->serial;
			rib_bookmark(RIB_DUMP, rp);
			return;
		}
		memcpy(out->entries + out->n++ * sizeof(e), &e, sizeof(e));
	}
}
