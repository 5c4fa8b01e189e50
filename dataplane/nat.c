/* SPDX-License-Identifier: BSD-3-Clause */
#include "nat.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#include <rte_random.h>

#include "acl.h"
#include "esp.h"
#include "track.h"
#include "worker.h"

#define PORT_LEAST 1024u
/* An interface's address is the router's own, too: above are the ports of what its Linux host begins. */
#define PORT_MOST_OWN 32767u
#define PORT_MOST 65535u
#define PORT_NATT 4500u
#define PORT_TRIES 512u
#define ADDRESS_TRIES 16u
#define BUCKETS 256u

struct rule {
	struct cv_nat_rule conf;
	uint32_t first, last; /* host order */
};
struct fixed {
	struct cv_nat_static conf;
	uint32_t local, global;		  /* network order */
	uint16_t next_local, next_global; /* in the chain of each; 0 = end */
};

/* What workers see; immutable. Entries with ports come before those without in every chain. */
struct nat_view {
	uint32_t n_rule, n_fixed;
	struct rule rule[CV_NAT_MAX]; /* by seq */
	struct fixed fixed[CV_NAT_MAX];
	uint16_t local[BUCKETS], global[BUCKETS], of_interface;
};

static const struct nat_view nothing;
static const struct nat_view *current = &nothing;

/* As configured, by number; id 0 = none. */
struct config {
	struct cv_nat_rule rule[CV_NAT_MAX];
	struct cv_nat_static fixed[CV_NAT_MAX];
};
static struct config live, staged;
static bool changed;
static struct nat_view *prepared;

static const struct nat_view *view(void)
{
	return __atomic_load_n(&current, __ATOMIC_ACQUIRE);
}

static uint32_t be32(const uint8_t *a)
{
	uint32_t v;

	memcpy(&v, a, sizeof(v));
	return v;
}

static uint32_t bucket_of(uint32_t addr)
{
	return addr * 2654435761u >> 24;
}

/* ---- static entries ---- */

static bool takes(const struct cv_nat_static *c, uint16_t conf_port, uint8_t proto, uint16_t port)
{
	return !c->proto || (c->proto == proto && rte_cpu_to_be_16(conf_port) == port);
}

/* By what goes out. AH covers the addresses. */
static const struct fixed *find_local(const struct conn_tuple *t)
{
	const struct nat_view *v = view();
	const uint32_t addr = be32(t->src);

	if (t->af != CV_AF_INET || t->proto == IPPROTO_AH)
		return NULL;
	for (uint32_t i = v->local[bucket_of(addr)]; i; i = v->fixed[i].next_local) {
		const struct fixed *f = &v->fixed[i];

		if (f->local == addr && f->conf.vrf_id == t->vrf &&
			takes(&f->conf, f->conf.local_port, t->proto, t->sport))
			return f;
	}
	return NULL;
}

static uint32_t global_of(const struct fixed *f)
{
	const struct dp_if *ifp = f->conf.if_id ? iface_get(f->conf.if_id) : NULL;

	return ifp ? ifp->addr4 : f->global;
}

/* By what comes in. */
static const struct fixed *find_global(const struct conn_tuple *t)
{
	const struct nat_view *v = view();
	const uint32_t addr = be32(t->dst);

	if (t->af != CV_AF_INET || t->proto == IPPROTO_AH)
		return NULL;
	for (unsigned pass = 0; pass < 2; pass++)
		for (uint32_t i = pass ? v->of_interface : v->global[bucket_of(addr)]; i; i = v->fixed[i].next_global) {
			const struct fixed *f = &v->fixed[i];

			if (global_of(f) == addr && takes(&f->conf, f->conf.global_port, t->proto, t->dport))
				return f;
		}
	return NULL;
}

/* ---- questions ---- */

/* The rule that translates the packet. */
static const struct rule *find_rule(struct worker *w, struct rte_mbuf *m, const struct conn_tuple *t)
{
	const struct nat_view *v = view();

	for (uint32_t i = 0; i < v->n_rule; i++) {
		struct spd_verdict verdict;

		if (v->rule[i].conf.vrf_id != t->vrf)
			continue;
		spd_match_list(w->ipsec->cache, v->rule[i].conf.acl_id, &m, 1, &verdict);
		if (verdict.action == CV_SPD_BYPASS)
			return &v->rule[i];
	}
	return NULL;
}

bool nat_wants(struct worker *w, struct rte_mbuf *m, const struct conn_tuple *t)
{
	return find_local(t) || find_rule(w, m, t);
}

bool nat_is_static(const struct conn_tuple *t)
{
	return find_global(t) != NULL;
}

static bool in_pool(const struct rule *r, uint32_t addr)
{
	return !r->conf.if_id && rte_be_to_cpu_32(addr) >= r->first && rte_be_to_cpu_32(addr) <= r->last;
}

bool nat_owns(const uint8_t *a)
{
	const struct nat_view *v = view();
	const uint32_t addr = be32(a);

	for (uint32_t i = 0; i < v->n_rule; i++)
		if (in_pool(&v->rule[i], addr))
			return true;
	for (uint32_t i = v->global[bucket_of(addr)]; i; i = v->fixed[i].next_global)
		if (v->fixed[i].global == addr)
			return true;
	return false;
}

/* ---- beginning ---- */

static bool is_free(const struct conn_tuple *t)
{
	unsigned dir;

	return !conn_find(t, &dir);
}

/* How the other end sees a connection: by this address, and in the answers' place for it a port that is free. */
static bool find_port(struct conn_tuple *answer, uint32_t addr, uint32_t most)
{
	const uint32_t own = rte_be_to_cpu_16(answer->dport), range = most - PORT_LEAST + 1;
	const uint32_t start = (uint32_t)rte_rand_max(range);

	memcpy(answer->dst, &addr, sizeof(addr));
	if (answer->dport == 0 || (own >= PORT_LEAST && own <= most && own != PORT_NATT)) {
		if (is_free(answer))
			return true;
		if (answer->dport == 0) /* the protocol has none */
			return false;
	}
	for (uint32_t i = 0; i < PORT_TRIES && i < range; i++) {
		const uint32_t port = PORT_LEAST + (start + i) % range;

		answer->dport = rte_cpu_to_be_16((uint16_t)port);
		if (port != PORT_NATT && is_free(answer))
			return true;
	}
	answer->dport = rte_cpu_to_be_16((uint16_t)own);
	return false;
}

static bool can_share(uint8_t proto)
{
	return proto != IPPROTO_ESP && proto != IPPROTO_AH && proto != IPPROTO_DCCP && proto != IPPROTO_UDPLITE;
}

static enum drop_reason share(const struct rule *r, struct conn_tuple *answer)
{
	const struct dp_if *ifp = r->conf.if_id ? iface_get(r->conf.if_id) : NULL;

	if (!can_share(answer->proto))
		return DROP_NAT_PROTOCOL;
	if (r->conf.if_id)
		return ifp && ifp->addr4 && find_port(answer, ifp->addr4, PORT_MOST_OWN) ? DROP_NONE : DROP_NAT_PORTS;
	for (uint32_t i = 0; i < ADDRESS_TRIES && i <= r->last - r->first; i++)
		if (find_port(answer, rte_cpu_to_be_32(r->first + i), PORT_MOST))
			return DROP_NONE;
	return DROP_NAT_PORTS;
}

enum drop_reason nat_begin_out(struct worker *w, struct rte_mbuf *m, const struct dp_if *tx, struct conn *c)
{
	const struct conn_tuple *t = &c->tuple[0];
	const struct fixed *f = find_local(t);
	const struct rule *r = f ? NULL : find_rule(w, m, t);
	struct conn_tuple *answer = &c->tuple[1];

	*answer = conn_tuple_mirror(t);
	answer->vrf = (uint16_t)tx->vrf_id;
	c->flags |= f || r ? CV_CONN_F_NAT : 0;
	if (r)
		return share(r, answer);
	if (!f)
		return DROP_NONE;
	const uint32_t global = global_of(f);

	memcpy(answer->dst, &global, sizeof(global));
	if (f->conf.proto)
		answer->dport = rte_cpu_to_be_16(f->conf.global_port);
	return global && is_free(answer) ? DROP_NONE : DROP_NAT_PORTS;
}

enum drop_reason nat_begin_in(struct conn *c)
{
	const struct fixed *f = find_global(&c->tuple[0]);
	struct conn_tuple *answer = &c->tuple[1];

	*answer = conn_tuple_mirror(&c->tuple[0]);
	if (!f)
		return DROP_NAT_UNKNOWN;
	answer->vrf = (uint16_t)f->conf.vrf_id;
	memcpy(answer->src, &f->local, sizeof(f->local));
	if (f->conf.proto)
		answer->sport = rte_cpu_to_be_16(f->conf.local_port);
	c->flags |= CV_CONN_F_NAT;
	return is_free(answer) ? DROP_NONE : DROP_NAT_PORTS;
}

/* Does a rule still lead to this address? */
static bool is_shared(uint32_t addr)
{
	const struct nat_view *v = view();

	for (uint32_t i = 0; i < v->n_rule; i++) {
		const struct dp_if *ifp = v->rule[i].conf.if_id ? iface_get(v->rule[i].conf.if_id) : NULL;

		if (in_pool(&v->rule[i], addr) || (ifp && ifp->addr4 == addr))
			return true;
	}
	return false;
}

bool nat_stays(const struct conn *c)
{
	const struct dp_if *from = iface_get(c->if_in);
	const struct conn_tuple *t = &c->tuple[0], *answer = &c->tuple[1];

	if (!from)
		return false;
	if (from->nat == CV_NAT_OUTSIDE) {
		const struct fixed *f = find_global(t);

		return f && f->local == be32(answer->src);
	}
	const struct fixed *f = find_local(t);

	return from->nat == CV_NAT_INSIDE && (f ? global_of(f) == be32(answer->dst) : is_shared(be32(answer->dst)));
}

/* ---- configuration ---- */

static int nat_stage(uint16_t type, const void *body, char *text)
{
	const uint32_t id = *(const uint32_t *)body;

	if (!changed)
		staged = live;
	changed = true;
	switch (type) {
	case CV_CMD_NAT_RULE_SET:
		staged.rule[id] = *(const struct cv_nat_rule *)body;
		return CV_OK;
	case CV_CMD_NAT_STATIC_SET:
		staged.fixed[id] = *(const struct cv_nat_static *)body;
		return CV_OK;
	case CV_CMD_NAT_RULE_DEL:
		staged.rule[id].rule_id = 0;
		return CV_OK;
	case CV_CMD_NAT_STATIC_DEL:
		staged.fixed[id].static_id = 0;
		return CV_OK;
	default:
		snprintf(text, 128, "translation: unexpected command %u", type);
		return CV_ERR_MALFORMED;
	}
}

static void nat_sync(void)
{
	memset(&staged, 0, sizeof(staged));
	changed = true;
}

static int by_seq(const void *a, const void *b)
{
	const struct rule *x = a, *y = b;

	return x->conf.seq < y->conf.seq ? -1 : x->conf.seq > y->conf.seq;
}

static void add_fixed(struct nat_view *v, const struct cv_nat_static *c)
{
	const uint16_t i = (uint16_t)++v->n_fixed;
	struct fixed *f = &v->fixed[i];

	*f = (struct fixed){.conf = *c, .local = be32(c->local.b), .global = be32(c->global.b)};
	uint16_t *local = &v->local[bucket_of(f->local)];
	uint16_t *global = c->if_id ? &v->of_interface : &v->global[bucket_of(f->global)];

	f->next_local = *local;
	f->next_global = *global;
	*local = *global = i;
}

static void build(struct nat_view *v, const struct config *c)
{
	for (uint32_t i = 1; i < CV_NAT_MAX; i++)
		if (c->rule[i].rule_id)
			v->rule[v->n_rule++] = (struct rule){.conf = c->rule[i],
				.first = rte_be_to_cpu_32(be32(c->rule[i].first.b)),
				.last = rte_be_to_cpu_32(be32(c->rule[i].last.b))};
	qsort(v->rule, v->n_rule, sizeof(v->rule[0]), by_seq);
	for (unsigned ports = 0; ports < 2; ports++) /* those with ports end up in front */
		for (uint32_t i = 1; i < CV_NAT_MAX; i++)
			if (c->fixed[i].static_id && (c->fixed[i].proto != 0) == ports)
				add_fixed(v, &c->fixed[i]);
}

/* What rules and entries name has to be there, also when they are not what changes. */
static int check(const struct config *c, char *text)
{
	for (uint32_t i = 1; i < CV_NAT_MAX; i++) {
		const struct cv_nat_rule *r = &c->rule[i];
		const struct cv_nat_static *f = &c->fixed[i];

		if (r->rule_id && (!acl_prepared(r->acl_id) || (r->if_id && !iface_staged(r->if_id)))) {
			snprintf(text, 128, "translation rule %u: no access list %u, or no interface %u", i, r->acl_id,
				r->if_id);
			return CV_ERR_NOT_FOUND;
		}
		if (f->static_id && f->if_id && !iface_staged(f->if_id)) {
			snprintf(text, 128, "static translation %u: there is no interface %u", i, f->if_id);
			return CV_ERR_NOT_FOUND;
		}
	}
	return CV_OK;
}

static int nat_prepare(char *text)
{
	int rc = check(changed ? &staged : &live, text);

	if (rc || !changed)
		return rc;
	prepared = calloc(1, sizeof(*prepared));
	if (!prepared)
		return CV_ERR_NO_MEMORY;
	build(prepared, &staged);
	return CV_OK;
}

static void nat_publish(void)
{
	const struct nat_view *old = current;

	if (!changed)
		return;
	live = staged;
	__atomic_store_n(&current, prepared, __ATOMIC_RELEASE);
	if (old != &nothing)
		dp_defer(free, (void *)(uintptr_t)old);
	prepared = NULL;
	changed = false;
	track_changed();
}

static void nat_abort(void)
{
	free(prepared);
	prepared = NULL;
	changed = false;
}

const struct dp_module nat_module = {.name = "nat",
	.stage = nat_stage,
	.sync = nat_sync,
	.prepare = nat_prepare,
	.publish = nat_publish,
	.abort = nat_abort};
