/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Peers of crypto map entries by host name (IPSEC-50, RTR-1 to 8): the names of the running configuration are looked up
 * when it takes effect, when their answer has expired, and when a tunnel to them has failed; the address goes into the
 * entry's list of peers, where IKE finds it. A name without an address is a peer that cannot be reached: the next of
 * the list is asked. An answer that cannot be had again stays in force, and so does the address of a tunnel that is up.
 * Loop thread.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "control_priv.h"
#include "cv_addr.h"
#include "cv_log.h"
#include "resolver.h"

#define HOLD_MIN_S 30u	 /* an answer is good for so long at least, */
#define HOLD_MAX_S 3600u /* at most, */
#define HOLD_FILE_S 60u	 /* and one that says nothing itself (hosts file) */
#define RETRY_MIN_S 5u	 /* without an answer; doubled each time */
#define RETRY_MAX_S 300u
#define AGAIN_MS 5000u /* after a failed tunnel, no sooner than this after the last time */
#define LOOK_MS 1000u  /* between two looks at all names */
#define OPEN_MAX 32u

struct peer_name {
	struct control *c;
	const char *host; /* in the memory of this structure */
	bool asking;
	bool dropped;  /* no entry names it: freed with its answer */
	bool try_next; /* what leads to nobody: the next one of the answer */
	unsigned failures;
	const char *err; /* of the last look-up; NULL = none */
	uint64_t due_ms, asked_ms;
	struct cv_addr used; /* what an entry was last given; af 0 = nothing */
	unsigned n;
	struct cv_addr addr[RESOLVER_ADDR_MAX]; /* the last answer */
};

struct peer_names {
	struct resolver *resolver; /* NULL until there is a name to ask for */
	struct peer_name **name;   /* by host */
	unsigned n, open;
	uint64_t next_ms;
	bool settle; /* answers or tunnels have changed: entries may want other addresses */
};

static int compare(const void *a, const void *b)
{
	const struct peer_name *x = *(struct peer_name *const *)a, *y = *(struct peer_name *const *)b;

	return strcasecmp(x->host, y->host);
}

static struct peer_name *find(const struct peer_names *p, const char *host)
{
	struct peer_name like = {.host = host}, *key = &like, **at;

	at = p->n ? bsearch(&key, p->name, p->n, sizeof(p->name[0]), compare) : NULL;
	return at ? *at : NULL;
}

/* ---- which of its addresses an entry uses ---- */

/* A tunnel with the peer is up. */
static bool lives(const struct control *c, uint32_t fvrf, const struct cv_addr *remote)
{
	const struct child *ch = child_first_with(c->children, fvrf, remote);

	while (ch && ch->released)
		ch = child_next_with(ch);
	return ch != NULL;
}

static bool usable(const struct control *c, const struct cfg_map_entry *e, const struct cv_addr *a, bool *alive)
{
	struct cv_addr local;
	uint32_t fvrf;

	*alive = false;
	if (!cv_addr_bits(a) || cv_addr_is_zero(a) || path_local_addr(c, e, a, &local, &fvrf) || cv_addr_eq(a, &local))
		return false;
	*alive = lives(c, fvrf, a);
	return true;
}

/* The place of the address in the answer, n->n = it is not there. */
static unsigned place(const struct peer_name *n, const struct cv_addr *a)
{
	unsigned i = 0;

	while (i < n->n && !cv_addr_eq(&n->addr[i], a))
		i++;
	return i;
}

/* af 0: none. */
static struct cv_addr choose(
	const struct control *c, const struct cfg_map_entry *e, const struct cv_addr *now, const struct peer_name *n)
{
	const struct cv_addr *first = NULL;
	unsigned at = place(n, now), from = at + 1;
	bool alive;

	if (usable(c, e, now, &alive) && (alive || (at < n->n && !n->try_next) || !n->n))
		return *now;
	for (unsigned i = 0; i < n->n; i++) {
		const struct cv_addr *a = &n->addr[(from + i) % n->n];

		if (!usable(c, e, a, &alive))
			continue;
		if (alive)
			return *a;
		first = first ? first : a;
	}
	return first ? *first : (struct cv_addr){0};
}

static bool settle_peer(struct control *c, const struct cfg_map_entry *e, unsigned i)
{
	struct peer_name *n = find(c->peer_names, e->peer_host[i]);
	struct cv_addr *now = &e->peer[i], to;
	char text[CV_ADDR_STR];

	if (!n)
		return false;
	to = choose(c, e, cv_addr_bits(now) ? now : &n->used, n);
	if (cv_addr_eq(&to, now))
		return false;
	*now = to;
	if (!cv_addr_eq(&n->used, &to)) {
		n->used = to;
		cv_notice("control", "crypto map %s %u: peer %s is %s", e->map->name, cfg_entry_place(e), n->host,
			cv_addr_bits(&to) ? cv_addr_str(&to, text) : "at no address that we can reach");
	}
	return true;
}

static void settle(struct control *c)
{
	struct cv_config *cfg = c->running;
	bool changed = false;

	c->peer_names->settle = false;
	for (unsigned m = 0; m < cfg->n_map; m++)
		for (unsigned k = 0; k < cfg->map[m].n_entry; k++) {
			const struct cfg_map_entry *e = &cfg->map[m].entry[k];

			for (unsigned i = 0; e->peer_host && i < e->n_peer; i++)
				changed |= e->peer_host[i] && settle_peer(c, e, i);
		}
	for (unsigned i = 0; i < c->peer_names->n; i++)
		c->peer_names->name[i]->try_next = false;
	if (changed)
		config_peers_changed(cfg);
	if (changed && c->ike)
		ike_peers_changed(c->ike);
}

/* ---- asking ---- */

static uint64_t hold_ms(uint32_t ttl_s)
{
	uint32_t s = ttl_s ? ttl_s : HOLD_FILE_S;

	s = s < HOLD_MIN_S ? HOLD_MIN_S : s;
	return (s > HOLD_MAX_S ? HOLD_MAX_S : s) * 1000ull;
}

static uint64_t retry_ms(unsigned failures)
{
	uint64_t s = (uint64_t)RETRY_MIN_S << (failures < 8 ? failures : 8);

	return (s > RETRY_MAX_S ? RETRY_MAX_S : s) * 1000;
}

static void answered(void *arg, const char *err, const struct cv_addr *addr, unsigned n, uint32_t ttl_s)
{
	struct peer_name *name = arg;
	struct control *c = name->c;
	uint64_t now = host_now_ms(c);

	c->peer_names->open--;
	name->asking = false;
	name->err = err;
	if (name->dropped) {
		free(name);
		return;
	}
	if (err) {
		if (!name->failures)
			cv_warn("control", "peer %s cannot be looked up: %s", name->host, err);
		name->due_ms = now + retry_ms(name->failures++);
	} else {
		name->failures = 0;
		name->n = n;
		memcpy(name->addr, addr, n * sizeof(*addr));
		name->due_ms = now + hold_ms(ttl_s);
		c->peer_names->settle = true;
	}
	if (name->due_ms < c->peer_names->next_ms)
		c->peer_names->next_ms = name->due_ms;
}

static void look(struct control *c, uint64_t now)
{
	struct peer_names *p = c->peer_names;
	uint64_t next = UINT64_MAX;

	p->next_ms = UINT64_MAX; /* those that are answered at once say when they are due */
	for (unsigned i = 0; i < p->n; i++) {
		struct peer_name *n = p->name[i];

		if (n->asking)
			continue;
		if (n->due_ms <= now && p->open < OPEN_MAX) {
			n->asking = true;
			n->asked_ms = now;
			p->open++;
			resolver_ask(p->resolver, n->host, answered, n);
		} else if (n->due_ms < next) {
			next = n->due_ms;
		}
	}
	next = next < p->next_ms ? next : p->next_ms;
	p->next_ms = next < now + LOOK_MS ? now + LOOK_MS : next;
}

uint64_t peer_names_run(struct control *c)
{
	struct peer_names *p = c->peer_names;
	uint64_t now = host_now_ms(c);

	if (!p->n || !p->resolver)
		return UINT64_MAX;
	if (now >= p->next_ms)
		look(c, now);
	if (p->settle)
		settle(c);
	return p->next_ms == UINT64_MAX ? UINT64_MAX : p->next_ms - now;
}

void peer_names_failed(struct control *c, const struct cfg_map_entry *e, bool nobody_there)
{
	uint64_t now = host_now_ms(c);

	for (unsigned i = 0; e->peer_host && i < e->n_peer; i++) {
		struct peer_name *n = e->peer_host[i] ? find(c->peer_names, e->peer_host[i]) : NULL;

		if (!n)
			continue;
		c->peer_names->settle = true;
		n->try_next |= nobody_there;
		if (n->asking || n->failures || now < n->asked_ms + AGAIN_MS)
			continue;
		n->due_ms = now;
		c->peer_names->next_ms = now;
	}
}

/* ---- the configuration ---- */

static struct peer_name *name_new(struct control *c, const char *host)
{
	size_t len = strlen(host) + 1;
	struct peer_name *n = calloc(1, sizeof(*n) + len);

	if (!n)
		abort();
	memcpy(n + 1, host, len);
	n->host = (const char *)(n + 1);
	n->c = c;
	return n;
}

static void name_drop(struct peer_name *n)
{
	n->dropped = true;
	if (!n->asking)
		free(n);
}

static unsigned count(const struct cv_config *cfg)
{
	unsigned n = 0;

	for (unsigned m = 0; m < cfg->n_map; m++)
		for (unsigned k = 0; k < cfg->map[m].n_entry; k++)
			n += cfg->map[m].entry[k].peer_host ? cfg->map[m].entry[k].n_peer : 0;
	return n;
}

/* Every name that entries have, those that we know first; the list is the caller's. */
static unsigned collect(struct control *c, const struct cv_config *cfg, struct peer_name **out)
{
	unsigned n = 0, kept = 0;

	for (unsigned m = 0; m < cfg->n_map; m++)
		for (unsigned k = 0; k < cfg->map[m].n_entry; k++) {
			const struct cfg_map_entry *e = &cfg->map[m].entry[k];

			for (unsigned i = 0; e->peer_host && i < e->n_peer; i++)
				if (e->peer_host[i])
					out[n++] = name_new(c, e->peer_host[i]);
		}
	if (n)
		qsort(out, n, sizeof(*out), compare);
	for (unsigned i = 0; i < n; i++) {
		struct peer_name *old = find(c->peer_names, out[i]->host);

		if (kept && !strcasecmp(out[kept - 1]->host, out[i]->host)) {
			free(out[i]);
			continue;
		}
		if (old)
			free(out[i]);
		out[kept++] = old ? old : out[i];
	}
	return kept;
}

void peer_names_config(struct control *c, struct cv_config *cfg)
{
	struct peer_names *p = c->peer_names;
	unsigned n = count(cfg);
	struct peer_name **name = calloc(n + 1, sizeof(struct peer_name *));

	if (!name)
		abort();
	n = collect(c, cfg, name);
	for (unsigned i = 0; i < p->n; i++)
		p->name[i]->dropped = true;
	for (unsigned i = 0; i < n; i++)
		name[i]->dropped = false;
	for (unsigned i = 0; i < p->n; i++)
		if (p->name[i]->dropped)
			name_drop(p->name[i]);
	free(p->name);
	p->name = name;
	p->n = n;
	p->next_ms = 0;
	if (n && !p->resolver && (p->resolver = resolver_new(c->loop)))
		c->handles++;
	if (p->resolver)
		resolver_servers(p->resolver, cfg->name_server, cfg->n_name_server);
	settle(c); /* what is known already */
}

/* ---- show ---- */

json_t *peer_names_show(const struct control *c, const struct cfg_map_entry *e)
{
	json_t *list = json_array();

	for (unsigned i = 0; e->peer_host && i < e->n_peer; i++) {
		const struct peer_name *n = e->peer_host[i] ? find(c->peer_names, e->peer_host[i]) : NULL;
		char text[CV_ADDR_STR];
		json_t *o;

		if (!n)
			continue;
		uint64_t now = host_now_ms(n->c);
		o = json_pack("{ss}", "name", n->host);
		if (cv_addr_bits(&e->peer[i]))
			json_object_set_new(o, "address", json_string(cv_addr_str(&e->peer[i], text)));
		if (n->err)
			json_object_set_new(o, "error", json_string(n->err));
		json_object_set_new(
			o, "again_in", json_integer(n->due_ms > now ? (json_int_t)(n->due_ms - now) / 1000 : 0));
		json_array_append_new(list, o);
	}
	return list;
}

/* ---- birth and death ---- */

struct peer_names *peer_names_new(void)
{
	return calloc(1, sizeof(struct peer_names));
}

static void resolver_gone(void *arg)
{
	struct control *c = arg;

	c->handles--;
	control_maybe_free(c);
}

void peer_names_close(struct control *c)
{
	struct peer_names *p = c->peer_names;

	for (unsigned i = 0; i < p->n; i++)
		name_drop(p->name[i]);
	p->n = 0;
	if (p->resolver)
		resolver_close(p->resolver, resolver_gone, c);
	p->resolver = NULL;
}

void peer_names_free(struct peer_names *p)
{
	if (p)
		free(p->name);
	free(p);
}
