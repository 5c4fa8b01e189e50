/* SPDX-License-Identifier: BSD-3-Clause */
#include "ike_pair.h"

#include <errno.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cv_addr.h"

/* ---- network ---- */

static unsigned rnd(struct pair *p, unsigned below)
{
	p->rng = p->rng * 6364136223846793005ull + 1442695040888963407ull;
	return below ? (unsigned)(p->rng >> 33) % below : 0;
}

static void enqueue(struct pair *p, struct pair_pkt *k, uint64_t due)
{
	struct pair_pkt **at = &p->queue;
	k->due = due;
	k->order = p->order++;
	while (*at && ((*at)->due < due || ((*at)->due == due && (*at)->order < k->order)))
		at = &(*at)->next;
	k->next = *at;
	*at = k;
}

static struct pair_pkt *packet(const void *data, size_t len)
{
	struct pair_pkt *k = calloc(1, sizeof(*k) + len);
	assert_non_null(k);
	k->len = len;
	if (len)
		memcpy(k->data, data, len);
	return k;
}

static const struct cv_addr nat_addr = {.af = CV_AF_INET, .b = {198, 51, 100, 1}};

static bool has_addr(const struct pair_host *h, const struct cv_addr *a)
{
	return (cv_addr_eq(&h->addr, a) || cv_addr_eq(&h->second, a)) && !cv_addr_eq(&h->pair->broken, a);
}

/* The path as the receiver sees it; false when the NAT has no such mapping (any more). */
static bool translate(struct pair *p, int from, const struct ike_path *path, struct ike_path *out)
{
	*out = (struct ike_path){.vrf = path->vrf,
		.local = path->remote,
		.remote = path->local,
		.lport = path->rport,
		.rport = path->lport};
	if (!p->nat)
		return has_addr(&p->h[from], &path->local) && has_addr(&p->h[!from], &path->remote);
	if (from == 0) {
		out->remote = nat_addr;
		out->rport = (uint16_t)(path->lport + p->nat_shift);
		return true;
	}
	if (!cv_addr_eq(&path->remote, &nat_addr))
		return false;
	out->local = p->h[0].addr;
	out->lport = (uint16_t)(path->rport - p->nat_shift);
	return out->lport == 500 || out->lport == 4500;
}

static void transmit(struct pair *p, int from, const struct ike_path *path, bool natt, const void *data, size_t len)
{
	unsigned n = p->n_ike++;
	struct ike_path there;
	p->h[from].tx++;
	if (p->cut || !translate(p, from, path, &there))
		return;
	if (p->filter && !p->filter(p, from, n, data, len))
		return;
	if (rnd(p, 100) < p->loss)
		return;
	for (unsigned copies = rnd(p, 100) < p->dup ? 2 : 1; copies; copies--) {
		struct pair_pkt *k = packet(data, len);
		k->to = !from;
		k->natt = natt;
		k->path = there;
		enqueue(p, k, p->now + p->delay_ms + rnd(p, p->jitter + 1));
	}
}

/* ---- what the engine asks of its host ---- */

static uint64_t op_now(void *ctx)
{
	return ((struct pair_host *)ctx)->pair->now;
}

static void op_send(void *ctx, const struct ike_path *path, bool natt, const void *data, size_t len)
{
	struct pair_host *h = ctx;
	assert_true(h->pair->moves || cv_addr_eq(&path->local, &h->addr));
	assert_true(!natt || path->lport == 4500);
	transmit(h->pair, h->i, path, natt, data, len);
}

static void late_add(struct pair_host *h, const struct pair_late *what)
{
	struct pair *p = h->pair;
	struct pair_late *l = malloc(sizeof(*l)), **at = &p->late;
	assert_non_null(l);
	*l = *what;
	l->h = h;
	l->due = p->now + 1 + rnd(p, p->async_ms);
	while (*at && (*at)->due <= l->due)
		at = &(*at)->next;
	l->next = *at;
	*at = l;
}

static void late_run(struct pair *p)
{
	while (p->late && p->late->due <= p->now) {
		struct pair_late *l = p->late;
		p->late = l->next;
		if (l->done)
			l->done(l->job);
		else
			l->ack(l->arg, l->err);
		free(l);
	}
}

/* The engine of h is gone: work still comes to its end, acknowledgements do not. h NULL: of both. */
static void late_orphan(struct pair *p, const struct pair_host *h)
{
	struct pair_late **at = &p->late;
	while (*at) {
		struct pair_late *l = *at;
		if (h && l->h != h) {
			at = &l->next;
			continue;
		}
		*at = l->next;
		if (l->done)
			l->done(l->job);
		free(l);
	}
}

static void op_pk_run(void *ctx, bool brief, void (*work)(void *), void (*done)(void *), void *job)
{
	struct pair_host *h = ctx;
	(void)brief;
	work(job);
	if (h->pair->async_ms)
		late_add(h, &(struct pair_late){.done = done, .job = job});
	else
		done(job);
}

static void acknowledge(struct pair_host *h, void (*cb)(void *arg, int err), void *arg, int err)
{
	if (h->pair->async_ms)
		late_add(h, &(struct pair_late){.ack = cb, .arg = arg, .err = err});
	else
		cb(arg, err);
}

static struct pair_child *child(struct pair_host *h, uint32_t id)
{
	return id && id < PAIR_CHILD_MAX && h->child[id].used ? &h->child[id] : NULL;
}

static int op_alloc_spi(void *ctx, uint32_t *spi, uint32_t *index)
{
	struct pair_host *h = ctx;
	for (uint32_t i = 1; i < PAIR_CHILD_MAX; i++) {
		if (h->child[i].used)
			continue;
		memset(&h->child[i], 0, sizeof(h->child[i]));
		h->child[i].used = true;
		h->child[i].id = i;
		*index = i;
		*spi = (h->next_spi++ << CV_SA_INDEX_BITS) | i;
		return 0;
	}
	h->spi_exhausted++;
	return -ENOSPC;
}

static void op_free_spi(void *ctx, uint32_t index)
{
	struct pair_host *h = ctx;
	assert_non_null(child(h, index));
	assert_false(h->child[index].inbound);
	h->child[index].used = false;
}

static int op_child_add(void *ctx, const struct ike_child_params *p, struct ike_child_keys *keys, uint32_t *child_id,
	void (*cb)(void *arg, int err), void *arg)
{
	struct pair_host *h = ctx;
	struct pair_child *c = child(h, p->index_in);
	assert_non_null(c);
	assert_non_null(p->entry);
	assert_true(p->n_sel >= 1);
	assert_true(p->lifetime_s > 0);
	assert_int_equal(p->suite.encr && p->suite.ah, keys->ah_len != 0);
	assert_int_equal(p->suite.encr && p->suite.ah, p->ah_index_in != 0);
	*child_id = c->id;
	c->p = *p;
	c->keys = *keys;
	memset(keys, 0, sizeof(*keys));
	if (h->refuse_child) {
		int err = h->refuse_child;
		h->refuse_child = 0;
		acknowledge(h, cb, arg, -err);
		return 0;
	}
	c->inbound = true;
	if (!p->inbound_only) {
		c->outbound = true;
		c->out_seq = ++h->next_out_seq;
	}
	acknowledge(h, cb, arg, 0);
	return 0;
}

static void op_child_activate(void *ctx, uint32_t child_id)
{
	struct pair_host *h = ctx;
	struct pair_child *c = child(h, child_id);
	if (!c || c->outbound)
		return;
	c->outbound = true;
	c->out_seq = ++h->next_out_seq;
}

static void op_child_del(void *ctx, uint32_t child_id, uint32_t linger_ms)
{
	struct pair_host *h = ctx;
	struct pair_child *c = child(h, child_id);
	if (!c)
		return;
	c->outbound = false;
	c->in_until = h->pair->now + linger_ms;
	if (!linger_ms)
		c->used = c->inbound = false;
	if (c->p.ah_index_in)
		h->child[c->p.ah_index_in].used = false;
}

static void op_child_move(void *ctx, uint32_t child_id, const struct ike_path *path, bool udp_encap)
{
	struct pair_child *c = child(ctx, child_id);
	assert_non_null(c);
	c->p.path = *path;
	c->p.udp_encap = udp_encap;
}

static uint32_t op_child_idle_s(void *ctx, uint32_t child_id)
{
	struct pair_host *h = ctx;
	struct pair_child *c = child(h, child_id);
	return c && c->last_rx ? (uint32_t)((h->pair->now - c->last_rx) / 1000) : UINT32_MAX;
}

static uint32_t op_child_out_idle_s(void *ctx, uint32_t child_id)
{
	struct pair_host *h = ctx;
	struct pair_child *c = child(h, child_id);
	return c && c->last_tx ? (uint32_t)((h->pair->now - c->last_tx) / 1000) : UINT32_MAX;
}

static void op_acquire_failed(void *ctx, uint32_t rule_id)
{
	struct pair_host *h = ctx;
	assert_true(rule_id != 0);
	h->acquire_failures++;
}

static int op_local_addr(void *ctx, const struct cfg_map_entry *entry, const struct cv_addr *remote,
	struct cv_addr *local, uint32_t *vrf)
{
	struct pair_host *h = ctx;
	(void)entry, (void)remote;
	*local = h->addr;
	*vrf = 0;
	return 0;
}

static unsigned op_local_addrs(
	void *ctx, const struct cfg_map_entry *entry, uint32_t vrf, struct cv_addr *out, unsigned max)
{
	const struct pair_host *h = ctx;
	(void)entry, (void)vrf;
	assert_true(max >= 2);
	out[0] = h->addr;
	out[1] = h->second;
	return h->second.af ? 2 : 1;
}

static bool op_entry_serves(void *ctx, const struct ike_path *path, const struct cfg_map_entry *entry)
{
	struct pair_host *h = ctx;
	assert_true(h->pair->moves || cv_addr_eq(&path->local, &h->addr));
	return entry->map == &h->cfg->map[0];
}

static void op_event(void *ctx, const struct ike_event *ev)
{
	struct pair_host *h = ctx;
	if (getenv("IKE_PAIR_TRACE"))
		printf("[%8llu] host %d event %d %s\n", (unsigned long long)h->pair->now, h->i, ev->type,
			ev->reason ? ev->reason : "");
	if (h->n_event == PAIR_EVENT_MAX)
		return;
	h->event[h->n_event].type = ev->type;
	h->event[h->n_event++].reason = ev->reason;
}

static int op_vault_write(void *ctx, int rec, const void *data, size_t len)
{
	struct pair_host *h = ctx;
	assert_true(len <= sizeof(h->vault[0].data));
	for (int i = 0; rec < 0 && i < PAIR_VAULT_MAX; i++)
		if (!h->vault[i].used)
			rec = i;
	assert_true(rec >= 0 && rec < PAIR_VAULT_MAX);
	h->vault[rec].used = true;
	h->vault[rec].len = len;
	memcpy(h->vault[rec].data, data, len);
	return rec;
}

static void op_vault_free(void *ctx, int rec)
{
	struct pair_host *h = ctx;
	assert_true(h->vault[rec].used);
	memset(&h->vault[rec], 0, sizeof(h->vault[rec]));
}

static uint64_t op_aaa_ask(
	void *ctx, const struct cfg_aaa_group *g, const struct radius_query *q, aaa_done *done, void *arg)
{
	struct pair_host *h = ctx;
	(void)g;
	if (h->aaa.none)
		return 0;
	snprintf(h->aaa.user, sizeof(h->aaa.user), "%s", q->user);
	memset(h->aaa.password, 0, sizeof(h->aaa.password));
	assert_true(q->password_len < sizeof(h->aaa.password));
	memcpy(h->aaa.password, q->password, q->password_len);
	h->aaa.outbound = q->outbound;
	h->aaa.done = done;
	h->aaa.arg = arg;
	h->aaa.open = true;
	return ++h->aaa.asked;
}

static void op_aaa_cancel(void *ctx, uint64_t number)
{
	struct pair_host *h = ctx;
	if (number == h->aaa.asked && h->aaa.open) {
		h->aaa.cancelled++;
		h->aaa.open = false;
	}
}

void pair_aaa_answer(struct pair *q, int i, enum aaa_verdict verdict, const struct radius_answer *a)
{
	assert_true(q->h[i].aaa.open);
	q->h[i].aaa.open = false;
	q->h[i].aaa.done(q->h[i].aaa.arg, verdict, a);
}

static unsigned op_resources(void *ctx)
{
	const struct pair_host *h = ctx;
	return h->workers ? h->workers : 1;
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
	.child_idle_s = op_child_idle_s,
	.child_out_idle_s = op_child_out_idle_s,
	.acquire_failed = op_acquire_failed,
	.local_addr = op_local_addr,
	.local_addrs = op_local_addrs,
	.resources = op_resources,
	.entry_serves = op_entry_serves,
	.event = op_event,
	.aaa_ask = op_aaa_ask,
	.aaa_cancel = op_aaa_cancel,
	.vault_write = op_vault_write,
	.vault_free = op_vault_free,
};

/* ---- configuration ---- */

static void prefix(const char *text, struct cv_range *r)
{
	struct cv_prefix p;
	assert_int_equal(cv_prefix_parse(text, &p), 0);
	cv_prefix_to_range(&p, r);
}

static void access_list(struct cv_config *c, int i)
{
	char text[32];
	struct cfg_acl *a;
	c->acl = config_alloc(c, 1, sizeof(*c->acl));
	c->n_acl = 1;
	a = c->acl;
	a->name = "flows";
	a->line = config_alloc(c, 8, sizeof(*a->line));
	a->n_line = 1;
	a->line[0].seq = 10;
	a->line[0].permit = true;
	a->line[0].sel.sport_hi = a->line[0].sel.dport_hi = UINT16_MAX;
	snprintf(text, sizeof(text), "10.%d.0.0/24", i + 1);
	prefix(text, &a->line[0].sel.src);
	snprintf(text, sizeof(text), "10.%d.0.0/24", 2 - i);
	prefix(text, &a->line[0].sel.dst);
}

static void keyring(struct cv_config *c)
{
	c->keyring = config_alloc(c, 1, sizeof(*c->keyring));
	c->n_keyring = 1;
	c->keyring->name = "keys";
	c->keyring->psk = config_alloc(c, 1, sizeof(*c->keyring->psk));
	c->keyring->n_psk = 1;
	c->keyring->psk->peer = (struct cv_prefix){.addr = {.af = CV_AF_INET}};
	c->keyring->psk->key = config_secret(c, "secret", 6);
	c->keyring->psk->key_len = 6;
}

static void profile(struct cv_config *c, enum cfg_ike_version version)
{
	struct cfg_ike_profile *p = config_alloc(c, 1, sizeof(*p));
	c->ike_profile = p;
	c->n_ike_profile = 1;
	p->name = "p";
	p->version = version;
	p->lifetime_s = 86400;
	p->dpd_interval_s = 30;
	p->dpd_retry_s = 5;
	p->nat_traversal = true;
	p->nat_keepalive_s = 20;
	p->fragment_size = 1280;
	p->keyring = config_alloc(c, 1, sizeof(*p->keyring));
	p->keyring[0] = "keys";
	p->n_keyring = 1;
}

static void crypto_map(struct cv_config *c, int i)
{
	char text[32];
	struct cfg_map_entry *e = config_alloc(c, 4, sizeof(*e));
	c->transform_set = config_alloc(c, 16, sizeof(*c->transform_set));
	c->transform_set[0].name = "ts0";
	c->transform_set[0].suite = (struct algo_suite){.encr = CV_ENCR_AES128_GCM16};
	c->n_transform_set = 1;
	c->map = config_alloc(c, 1, sizeof(*c->map));
	c->n_map = 1;
	c->map->name = "vpn";
	c->map->entry = e;
	c->map->n_entry = 1;
	e->seq = 10;
	e->acl = "flows";
	e->ike_profile = "p";
	e->replay_window = 64;
	e->peer = config_alloc(c, 8, sizeof(*e->peer));
	e->n_peer = 1;
	snprintf(text, sizeof(text), "192.0.2.%d", 2 - i);
	assert_int_equal(cv_addr_parse(text, &e->peer[0]), 0);
	e->transform_set = config_alloc(c, 7, sizeof(*e->transform_set));
	e->transform_set[0] = "ts0";
	e->n_transform_set = 1;
}

struct cv_config *pair_config(int i, enum cfg_ike_version version)
{
	struct cv_config *c = config_new();
	assert_non_null(c);
	c->hostname = config_strdup(c, i ? "right" : "left");
	access_list(c, i);
	keyring(c);
	profile(c, version);
	crypto_map(c, i);
	return c;
}

void pair_resolve(struct cv_config *c)
{
	char err[CFG_ERR_MAX];
	if (config_resolve(c, err, NULL, NULL))
		fail_msg("configuration refused: %s", err);
}

/* ---- life ---- */

static void boot(struct pair_host *h)
{
	h->ike = ike_new(&ops, h);
	assert_non_null(h->ike);
	ike_set_config(h->ike, h->cfg);
}

void pair_reconfigure(struct pair *p, int i, enum cfg_ike_version version, void (*tweak)(struct cv_config *c, int host))
{
	struct pair_host *h = &p->h[i];
	struct cv_config *old = h->cfg;
	h->cfg = pair_config(i, version);
	if (tweak)
		tweak(h->cfg, i);
	pair_resolve(h->cfg);
	ike_set_config(h->ike, h->cfg);
	config_unref(old);
}

struct pair *pair_new(enum cfg_ike_version version, void (*tweak)(struct cv_config *c, int host))
{
	struct pair *p = calloc(1, sizeof(*p));
	assert_non_null(p);
	p->now = 1000000;
	p->delay_ms = 10;
	p->rng = 1;
	p->tweak = tweak;
	p->nat_shift = 10000;
	for (int i = 0; i < 2; i++) {
		struct pair_host *h = &p->h[i];
		h->pair = p;
		h->i = i;
		h->next_spi = (uint32_t)(i + 1) * 1000;
		h->addr = (struct cv_addr){.af = CV_AF_INET, .b = {192, 0, 2, (uint8_t)(i + 1)}};
		h->cfg = pair_config(i, version);
		if (tweak)
			tweak(h->cfg, i);
		pair_resolve(h->cfg);
		boot(h);
	}
	return p;
}

static void flush(struct pair *p)
{
	struct pair_pkt *k;
	while ((k = p->queue)) {
		p->queue = k->next;
		free(k);
	}
}

void pair_free(struct pair *p)
{
	for (int i = 0; i < 2; i++) {
		ike_free(p->h[i].ike);
		config_unref(p->h[i].cfg);
	}
	late_orphan(p, NULL);
	flush(p);
	free(p);
}

static void named(void *arg, const struct ike_child_info *info)
{
	((bool *)arg)[info->child_id] = true;
}

/* The SYNC transaction of a restarted control process: what IKE does not name is swept. */
static void sweep(struct pair_host *h)
{
	bool keep[PAIR_CHILD_MAX] = {false};
	ike_for_each_child(h->ike, named, keep);
	for (unsigned k = 1; k < PAIR_CHILD_MAX; k++)
		if (!keep[k] && !h->child[k].in_until)
			h->child[k].used = h->child[k].inbound = h->child[k].outbound = false;
}

void pair_restart(struct pair *p, int i)
{
	struct pair_host *h = &p->h[i];
	ike_free(h->ike);
	late_orphan(p, h);
	boot(h);
	for (int r = 0; r < PAIR_VAULT_MAX; r++)
		if (h->vault[r].used)
			assert_int_equal(ike_restore(h->ike, r, h->vault[r].data, h->vault[r].len), 0);
	sweep(h);
}

void pair_dataplane_restart(struct pair *p, int i)
{
	struct pair_host *h = &p->h[i];
	for (unsigned c = 1; c < PAIR_CHILD_MAX; c++)
		h->child[c].inbound = h->child[c].outbound = false;
	ike_children_lost(h->ike);
}

void pair_reboot(struct pair *p, int i)
{
	struct pair_host *h = &p->h[i];
	ike_free(h->ike);
	late_orphan(p, h);
	memset(h->child, 0, sizeof(h->child));
	memset(h->vault, 0, sizeof(h->vault));
	boot(h);
}

/* ---- simulated traffic ---- */

struct pair_child *pair_newest(struct pair *p, int i)
{
	struct pair_child *best = NULL;
	for (unsigned k = 1; k < PAIR_CHILD_MAX; k++) {
		struct pair_child *c = &p->h[i].child[k];
		if (c->used && c->outbound && (!best || c->out_seq > best->out_seq))
			best = c;
	}
	return best;
}

static void send_esp(struct pair *p, int i)
{
	struct pair_host *h = &p->h[i];
	struct pair_child *c = pair_newest(p, i);
	struct pair_pkt *k;
	if (!c) {
		h->esp_no_sa++;
		if (p->now - h->last_acquire >= 1000)
			pair_acquire(p, i, 0);
		return;
	}
	h->esp_sent++;
	c->last_tx = p->now;
	if (p->cut ||
		(p->moves && !p->nat && (!has_addr(h, &c->p.path.local) || !has_addr(&p->h[!i], &c->p.path.remote))))
		return;
	k = packet(NULL, 0);
	k->esp = true;
	k->to = !i;
	k->spi = c->p.spi_out;
	memcpy(k->key, c->keys.out, sizeof(k->key));
	enqueue(p, k, p->now + p->delay_ms);
}

static void receive_esp(struct pair_host *h, const struct pair_pkt *k)
{
	for (unsigned i = 1; i < PAIR_CHILD_MAX; i++) {
		struct pair_child *c = &h->child[i];
		if (!c->used || !c->inbound || c->p.spi_in != k->spi)
			continue;
		assert_memory_equal(c->keys.in, k->key, c->keys.len);
		c->last_rx = h->pair->now;
		c->rx++;
		h->esp_received++;
		return;
	}
	h->esp_unknown++;
}

static void lingering(struct pair *p)
{
	for (int i = 0; i < 2; i++)
		for (unsigned k = 1; k < PAIR_CHILD_MAX; k++) {
			struct pair_child *c = &p->h[i].child[k];
			if (c->used && c->in_until && c->in_until <= p->now)
				c->used = c->inbound = false;
		}
}

/* ---- time ---- */

static void deliver(struct pair *p)
{
	struct pair_pkt *k = p->queue;
	struct pair_host *h = &p->h[k->to];
	p->queue = k->next;
	if (k->esp)
		receive_esp(h, k);
	else
		ike_input(h->ike, &k->path, k->natt, k->data, k->len);
	free(k);
}

/* One step to the next thing that happens, not beyond end. */
static void step(struct pair *p, uint64_t end)
{
	uint64_t next = end;
	for (int i = 0; i < 2; i++) {
		uint64_t t = ike_next_timeout(p->h[i].ike);
		if (t != UINT64_MAX && p->now + t < next)
			next = p->now + t;
	}
	if (p->queue && p->queue->due < next)
		next = p->queue->due;
	if (p->traffic_ms && p->next_traffic < next)
		next = p->next_traffic;
	if (p->late && p->late->due < next)
		next = p->late->due;
	if (next > p->now)
		p->now = next;
	lingering(p);
	late_run(p);
	while (p->queue && p->queue->due <= p->now)
		deliver(p);
	for (int i = 0; i < 2; i++)
		ike_run_timers(p->h[i].ike);
	if (p->traffic_ms && p->next_traffic <= p->now) {
		p->next_traffic = p->now + p->traffic_ms;
		send_esp(p, 0);
		send_esp(p, 1);
	}
}

void pair_run(struct pair *p, uint64_t ms)
{
	uint64_t end = p->now + ms;
	if (p->next_traffic < p->now)
		p->next_traffic = p->now;
	do {
		step(p, end);
	} while (p->now < end);
}

bool pair_until(struct pair *p, bool (*cond)(struct pair *p), uint64_t limit_ms)
{
	uint64_t end = p->now + limit_ms;
	while (!cond(p)) {
		if (p->now >= end)
			return false;
		pair_run(p, 10);
	}
	return true;
}

bool pair_lose_nth(struct pair *p, int from, unsigned n, const uint8_t *data, size_t len)
{
	(void)from, (void)data, (void)len;
	return n != p->drop_nth;
}

void pair_acquire(struct pair *p, int i, unsigned line)
{
	struct pair_host *h = &p->h[i];
	const struct cfg_map_entry *e = &h->cfg->map[0].entry[0];
	const struct cv_selector *sel = &e->acl_ref->line[line].sel;
	struct cv_selector trigger = *sel;
	trigger.src.hi = trigger.src.lo;
	trigger.dst.hi = trigger.dst.lo;
	h->last_acquire = p->now;
	ike_acquire(h->ike, e, 100 + line, sel, &trigger);
}

/* ---- looking ---- */

unsigned pair_n_sas(struct pair *p, int i)
{
	json_t *a = ike_show_sas(p->h[i].ike, 0);
	unsigned n = (unsigned)json_array_size(a);
	json_decref(a);
	return n;
}

unsigned pair_n_children(struct pair *p, int i)
{
	unsigned n = 0;
	for (unsigned k = 1; k < PAIR_CHILD_MAX; k++)
		n += p->h[i].child[k].used && p->h[i].child[k].inbound && p->h[i].child[k].outbound;
	return n;
}

static bool same_ah(const struct pair_child *a, const struct pair_child *b)
{
	return a->p.ah_spi_in == b->p.ah_spi_out && a->p.ah_spi_out == b->p.ah_spi_in &&
	       a->keys.ah_len == b->keys.ah_len && !memcmp(a->keys.ah_in, b->keys.ah_out, a->keys.ah_len) &&
	       !memcmp(a->keys.ah_out, b->keys.ah_in, a->keys.ah_len);
}

static bool has_counterpart(struct pair *p, int other, const struct pair_child *c)
{
	for (unsigned k = 1; k < PAIR_CHILD_MAX; k++) {
		const struct pair_child *o = &p->h[other].child[k];
		struct cv_selector mirror;
		if (!o->used || !o->inbound || o->p.spi_in != c->p.spi_out)
			continue;
		cv_selector_mirror(&o->p.sel[0], &mirror);
		return o->p.spi_out == c->p.spi_in && algo_suite_equal(o->p.suite, c->p.suite) &&
		       o->keys.len == c->keys.len && memcmp(o->keys.in, c->keys.out, c->keys.len) == 0 &&
		       memcmp(o->keys.out, c->keys.in, c->keys.len) == 0 && same_ah(o, c) &&
		       cv_selector_contains(&mirror, &c->p.sel[0]) && cv_selector_contains(&c->p.sel[0], &mirror);
	}
	return false;
}

bool pair_children_agree(struct pair *p, unsigned n)
{
	for (int i = 0; i < 2; i++) {
		if (pair_n_children(p, i) != n)
			return false;
		for (unsigned k = 1; k < PAIR_CHILD_MAX; k++) {
			const struct pair_child *c = &p->h[i].child[k];
			if (c->used && c->outbound && !has_counterpart(p, !i, c))
				return false;
		}
	}
	return true;
}

unsigned pair_events(struct pair *p, int i, enum ike_event_type type)
{
	unsigned n = 0;
	for (unsigned k = 0; k < p->h[i].n_event; k++)
		n += p->h[i].event[k].type == type;
	return n;
}

const char *pair_reason(struct pair *p, int i, enum ike_event_type type)
{
	for (unsigned k = p->h[i].n_event; k--;)
		if (p->h[i].event[k].type == type)
			return p->h[i].event[k].reason ? p->h[i].event[k].reason : "";
	return "";
}

uint64_t pair_stat(struct pair *p, int i, const char *name)
{
	json_t *o = ike_show_stats(p->h[i].ike), *v = json_object_get(o, name);
	uint64_t n;
	if (!v)
		fail_msg("no counter %s", name);
	n = (uint64_t)json_integer_value(v);
	json_decref(o);
	return n;
}

const char *pair_show(struct pair *p, int i, const char *field)
{
	static char buf[512];
	json_t *a = ike_show_sas(p->h[i].ike, 0), *v = json_object_get(json_array_get(a, 0), field);
	buf[0] = 0;
	if (json_is_string(v))
		snprintf(buf, sizeof(buf), "%s", json_string_value(v));
	else if (json_is_integer(v))
		snprintf(buf, sizeof(buf), "%lld", (long long)json_integer_value(v));
	else if (json_is_boolean(v))
		snprintf(buf, sizeof(buf), "%s", json_is_true(v) ? "true" : "false");
	json_decref(a);
	return buf;
}

static uint64_t newest_before; /* out_seq */

static bool newer_pair(struct pair *p)
{
	const struct pair_child *c = pair_newest(p, 0);
	return c && c->out_seq > newest_before;
}

void pair_clear_while_installing(struct pair *p, unsigned line)
{
	const struct pair_child *c = pair_newest(p, 0);
	unsigned before = pair_n_children(p, 1);
	newest_before = c ? c->out_seq : 0;
	p->async_ms = 500;
	pair_acquire(p, 0, line);
	assert_true(pair_until(p, newer_pair, 20000));
	struct ike_match m = {.fvrf = -1, .ivrf = -1, .child_id = pair_newest(p, 0)->id};
	assert_int_equal(pair_n_children(p, 1), before + 1);
	assert_int_equal(ike_clear(p->h[0].ike, &m), 1);
	pair_run(p, 20000);
	assert_int_equal(pair_n_children(p, 0), before);
	assert_int_equal(pair_n_children(p, 1), before);
	p->async_ms = 0;
}
