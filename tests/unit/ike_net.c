/* SPDX-License-Identifier: BSD-3-Clause */
#include "ike_net.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cv_addr.h"

#define MUST(x)                                                                                                        \
	do {                                                                                                           \
		if (!(x)) {                                                                                            \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x);                                        \
			abort();                                                                                       \
		}                                                                                                      \
	} while (0)

static struct cv_addr node_addr(unsigned i)
{
	if (!i)
		return (struct cv_addr){.af = CV_AF_INET, .b = {192, 0, 2, 1}};
	return (struct cv_addr){.af = CV_AF_INET, .b = {198, 18, (uint8_t)(i >> 8), (uint8_t)i}};
}

/* The node that has the address, or net->n. */
static unsigned node_at(const struct net *net, const struct cv_addr *a)
{
	struct cv_addr hub = node_addr(0);
	unsigned i = cv_addr_eq(a, &hub) ? 0 : (unsigned)a->b[2] << 8 | a->b[3];
	return i < net->n && cv_addr_eq(a, &net->node[i].addr) ? i : net->n;
}

static void span(struct net *net, unsigned node, bool begin)
{
	if (net->span)
		net->span(net, node, begin);
}

/* ---- what the engine asks of its host ---- */

static uint64_t op_now(void *ctx)
{
	return ((struct net_node *)ctx)->net->now;
}

static void enqueue(struct net *net, unsigned to, const struct ike_path *path, bool natt, const void *data, size_t len)
{
	struct net_pkt *k = calloc(1, sizeof(*k) + len);
	MUST(k);
	k->to = to;
	k->path = *path;
	k->natt = natt;
	k->len = len;
	memcpy(k->data, data, len);
	*net->tail = k;
	net->tail = &k->next;
}

static void op_send(void *ctx, const struct ike_path *path, bool natt, const void *data, size_t len)
{
	struct net_node *from = ctx;
	struct net *net = from->net;
	const struct ike_path there = {
		.local = path->remote, .remote = path->local, .lport = path->rport, .rport = path->lport};
	unsigned to = node_at(net, &path->remote);
	net->sent++;
	if (to == net->n) {
		net->lost++;
		return;
	}
	if (!to && net->uplink) {
		net->uplink(net, path, natt, data, len);
		return;
	}
	span(net, from->i, false);
	uint8_t *copy = malloc(len ? len : 1);
	MUST(copy);
	memcpy(copy, data, len);
	if (!net->filter || net->filter(net, from->i, copy, len))
		enqueue(net, to, &there, natt, copy, len);
	free(copy);
	span(net, from->i, true);
}

static void op_pk_run(void *ctx, bool brief, void (*work)(void *job), void (*done)(void *job), void *job)
{
	(void)ctx, (void)brief;
	work(job);
	done(job);
}

static int op_alloc_spi(void *ctx, uint32_t *spi, uint32_t *index)
{
	struct net_node *n = ctx;
	*index = 1 + n->next_index++ % (((1u << CV_SA_INDEX_BITS) - 2));
	*spi = (n->i + 1) << CV_SA_INDEX_BITS | *index;
	return 0;
}

static void op_free_spi(void *ctx, uint32_t index)
{
	(void)ctx, (void)index;
}

static int op_child_add(void *ctx, const struct ike_child_params *p, struct ike_child_keys *keys, uint32_t *child_id,
	void (*cb)(void *arg, int err), void *arg)
{
	struct net_node *n = ctx;
	MUST(p->entry && p->n_sel && p->lifetime_s);
	memset(keys, 0, sizeof(*keys));
	*child_id = p->index_in;
	n->children++;
	cb(arg, 0);
	return 0;
}

static void op_child_activate(void *ctx, uint32_t child_id)
{
	(void)ctx, (void)child_id;
}

static void op_child_del(void *ctx, uint32_t child_id, uint32_t linger_ms)
{
	(void)child_id, (void)linger_ms;
	MUST(((struct net_node *)ctx)->children--);
}

static void op_child_move(void *ctx, uint32_t child_id, const struct ike_path *path, bool udp_encap)
{
	(void)ctx, (void)child_id, (void)path, (void)udp_encap;
}

static uint32_t op_idle(void *ctx, uint32_t child_id)
{
	(void)ctx, (void)child_id;
	return 0;
}

static void op_acquire_failed(void *ctx, uint32_t rule_id)
{
	(void)ctx, (void)rule_id;
}

static int op_local_addr(void *ctx, const struct cfg_map_entry *entry, const struct cv_addr *remote,
	struct cv_addr *local, uint32_t *vrf)
{
	(void)entry, (void)remote;
	*local = ((struct net_node *)ctx)->addr;
	*vrf = 0;
	return 0;
}

static bool op_entry_serves(void *ctx, const struct ike_path *path, const struct cfg_map_entry *entry)
{
	return cv_addr_eq(&path->local, &((struct net_node *)ctx)->addr) && entry->map;
}

static void op_event(void *ctx, const struct ike_event *ev)
{
	struct net_node *n = ctx;
	n->events[ev->type]++;
	if (ev->reason)
		n->reason = ev->reason;
	if (ev->type == IKE_EVT_REFUSED)
		n->refused = *ev->path;
}

static uint32_t op_load(void *ctx)
{
	return ((struct net_node *)ctx)->load;
}

static int op_vault_write(void *ctx, int rec, const void *data, size_t len)
{
	struct net_node *n = ctx;
	(void)data;
	n->record = len > n->record ? len : n->record;
	return rec < 0 ? 0 : rec;
}

static void op_vault_free(void *ctx, int rec)
{
	(void)ctx, (void)rec;
}

static unsigned op_resources(void *ctx)
{
	(void)ctx;
	return 4;
}

static const struct ike_ops ops = {
	.now_ms = op_now,
	.send = op_send,
	.pk_run = op_pk_run,
	.alloc_spi = op_alloc_spi,
	.free_spi = op_free_spi,
	.child_add = op_child_add,
	.child_activate = op_child_activate,
	.child_del = op_child_del,
	.child_move = op_child_move,
	.child_idle_s = op_idle,
	.child_out_idle_s = op_idle,
	.acquire_failed = op_acquire_failed,
	.local_addr = op_local_addr,
	.entry_serves = op_entry_serves,
	.event = op_event,
	.load = op_load,
	.resources = op_resources,
	.vault_write = op_vault_write,
	.vault_free = op_vault_free,
};

/* ---- configuration ---- */

static void one_host(struct cv_range *r, unsigned i)
{
	r->lo = r->hi =
		(struct cv_addr){.af = CV_AF_INET, .b = {10, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i}};
}

static void entry(struct cv_config *c, unsigned at, unsigned own, unsigned peer)
{
	struct cfg_map_entry *e = &c->map->entry[at];
	struct cfg_acl *a = &c->acl[at];
	char name[16];
	snprintf(name, sizeof(name), "flow%u", at);
	a->name = config_strdup(c, name);
	a->line = config_alloc(c, 1, sizeof(*a->line));
	a->n_line = 1;
	a->line->seq = 10;
	a->line->permit = true;
	a->line->sel.sport_hi = a->line->sel.dport_hi = UINT16_MAX;
	one_host(&a->line->sel.src, own);
	one_host(&a->line->sel.dst, peer);
	e->seq = at + 1;
	e->acl = a->name;
	e->ike_profile = "p";
	e->replay_window = 64;
	e->peer = config_alloc(c, 1, sizeof(*e->peer));
	e->n_peer = 1;
	e->peer[0] = node_addr(peer);
	e->transform_set = config_alloc(c, 1, sizeof(*e->transform_set));
	e->transform_set[0] = "ts";
	e->n_transform_set = 1;
}

static struct cv_config *configure(const struct net *net, unsigned i, enum cfg_ike_version version)
{
	struct cv_config *c = config_new();
	struct cfg_ike_profile *p;
	unsigned n = i ? 1 : net->n - 1;
	MUST(c);
	c->keyring = config_alloc(c, 1, sizeof(*c->keyring));
	c->n_keyring = 1;
	c->keyring->name = "keys";
	c->keyring->psk = config_alloc(c, 1, sizeof(*c->keyring->psk));
	c->keyring->n_psk = 1;
	c->keyring->psk->peer.addr.af = CV_AF_INET;
	c->keyring->psk->key = config_secret(c, "secret", 6);
	c->keyring->psk->key_len = 6;
	p = c->ike_profile = config_alloc(c, 1, sizeof(*p));
	c->n_ike_profile = 1;
	p->name = "p";
	p->version = version;
	p->nat_traversal = true;
	c->transform_set = config_alloc(c, 1, sizeof(*c->transform_set));
	c->n_transform_set = 1;
	c->transform_set->name = "ts";
	c->transform_set->suite = (struct algo_suite){.encr = CV_ENCR_AES128_GCM16};
	c->map = config_alloc(c, 1, sizeof(*c->map));
	c->n_map = 1;
	c->map->name = "vpn";
	c->map->entry = config_alloc(c, n, sizeof(*c->map->entry));
	c->map->n_entry = n;
	c->acl = config_alloc(c, n, sizeof(*c->acl));
	c->n_acl = n;
	for (unsigned k = 0; k < n; k++)
		entry(c, k, i, i ? 0 : k + 1);
	return c;
}

static struct cv_config *resolved(const struct net *net, unsigned i, enum cfg_ike_version version,
	void (*tweak)(struct cv_config *c, unsigned node))
{
	char err[CFG_ERR_MAX];
	struct cv_config *c = configure(net, i, version);
	if (tweak)
		tweak(c, i);
	if (config_resolve(c, err, NULL, NULL)) {
		fprintf(stderr, "%s\n", err);
		abort();
	}
	return c;
}

struct net *net_new(unsigned n, enum cfg_ike_version version, void (*tweak)(struct cv_config *c, unsigned node))
{
	struct net *net = calloc(1, sizeof(*net));
	MUST(net);
	net->now = 1000000;
	net->n = n;
	net->tail = &net->queue;
	net->node = calloc(n, sizeof(*net->node));
	MUST(net->node);
	for (unsigned i = 0; i < n; i++) {
		struct net_node *h = &net->node[i];
		h->net = net;
		h->i = i;
		h->addr = node_addr(i);
		h->cfg = resolved(net, i, version, tweak);
		h->ike = ike_new(&ops, h);
		MUST(h->ike);
		ike_set_config(h->ike, h->cfg);
	}
	return net;
}

void net_restart(struct net *net, unsigned i)
{
	struct net_node *h = &net->node[i];
	ike_free(h->ike);
	h->children = 0;
	h->ike = ike_new(&ops, h);
	MUST(h->ike);
	ike_set_config(h->ike, h->cfg);
}

bool net_from_outside(struct net *net, const struct ike_path *path, bool natt, const uint8_t *data, size_t len)
{
	unsigned i = node_at(net, &path->local);
	if (i == net->n)
		return false;
	ike_input(net->node[i].ike, path, natt, data, len);
	return true;
}

void net_reconfigure(
	struct net *net, unsigned i, enum cfg_ike_version version, void (*tweak)(struct cv_config *c, unsigned node))
{
	struct cv_config *old = net->node[i].cfg;
	net->node[i].cfg = resolved(net, i, version, tweak);
	ike_set_config(net->node[i].ike, net->node[i].cfg);
	config_unref(old);
}

void net_free(struct net *net)
{
	struct net_pkt *k;
	while ((k = net->queue)) {
		net->queue = k->next;
		free(k);
	}
	for (unsigned i = 0; i < net->n; i++) {
		ike_free(net->node[i].ike);
		config_unref(net->node[i].cfg);
	}
	free(net->node);
	free(net);
}

/* ---- time ---- */

void net_deliver(struct net *net, unsigned max)
{
	while (net->queue && max--) {
		struct net_pkt *k = net->queue;
		net->queue = k->next;
		if (!net->queue)
			net->tail = &net->queue;
		span(net, k->to, true);
		ike_input(net->node[k->to].ike, &k->path, k->natt, k->data, k->len);
		span(net, k->to, false);
		free(k);
	}
}

void net_run_due(struct net *net, unsigned from, unsigned to)
{
	for (unsigned i = from; i < to; i++) {
		if (ike_next_timeout(net->node[i].ike))
			continue;
		span(net, i, true);
		ike_run_timers(net->node[i].ike);
		span(net, i, false);
	}
}

void net_run(struct net *net, uint64_t ms)
{
	uint64_t end = net->now + ms;
	for (;;) {
		uint64_t next = end;
		net_deliver(net, UINT32_MAX);
		for (unsigned i = 0; i < net->n; i++) {
			uint64_t t = ike_next_timeout(net->node[i].ike);
			if (t != UINT64_MAX && net->now + t < next)
				next = net->now + t;
		}
		if (next > net->now)
			net->now = next;
		net_run_due(net, 0, net->n);
		if (net->now >= end && !net->queue)
			return;
	}
}

void net_acquire(struct net *net, unsigned i, unsigned e)
{
	const struct cfg_map_entry *entry = &net->node[i].cfg->map->entry[e];
	const struct cv_selector *sel = &entry->acl_ref->line[0].sel;
	ike_acquire(net->node[i].ike, entry, 100 + e, sel, sel);
}

void net_inject(struct net *net, unsigned i, const struct ike_path *path, const uint8_t *data, size_t len)
{
	ike_input(net->node[i].ike, path, path->lport == 4500, data, len);
}
