/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which of the several peers of a map entry is the current one (DPD-12, PREF-6): negotiations begin with it; when it
 * does not answer, the next one of the list becomes the current one, round and round. When it dies, the next one does
 * as well, or the default peer of an entry that has one (PREF-4). Kept by name and sequence of the entry and by
 * address, so that it outlives a change of the configuration. Entries with one peer are not kept.
 */
#include <stdlib.h>
#include <string.h>

#include "ike_private.h"

struct ike_current {
	char map[64];
	uint32_t seq;
	struct cv_addr peer;
};

static struct ike_current key_of(const struct cfg_map_entry *e)
{
	struct ike_current k = {.seq = e->seq};
	strncpy(k.map, e->map->name, sizeof(k.map) - 1);
	return k;
}

static int compare(const void *a, const void *b)
{
	const struct ike_current *x = a, *y = b;
	int r = strncmp(x->map, y->map, sizeof(x->map));
	return r ? r : (x->seq > y->seq) - (x->seq < y->seq);
}

static struct ike_current *find(const struct ike *ike, const struct cfg_map_entry *e)
{
	struct ike_current k = key_of(e);
	return ike->n_current ? bsearch(&k, ike->current, ike->n_current, sizeof(k), compare) : NULL;
}

unsigned ike_peer_current(const struct ike *ike, const struct cfg_map_entry *e)
{
	const struct ike_current *c = e->n_peer > 1 ? find(ike, e) : NULL;
	for (unsigned i = 0; c && i < e->n_peer; i++)
		if (cv_addr_eq(&e->peer[i], &c->peer))
			return i;
	return 0;
}

void ike_peer_set_current(struct ike *ike, const struct cfg_map_entry *e, unsigned i)
{
	if (e->n_peer < 2 || ike_peer_current(ike, e) == i)
		return;
	struct ike_current *c = find(ike, e);
	if (!c) {
		c = realloc(ike->current, (ike->n_current + 1) * sizeof(*c));
		if (!c)
			return; /* the list is tried from its start then */
		ike->current = c;
		c += ike->n_current++;
		*c = key_of(e);
		c->peer = e->peer[i];
		qsort(ike->current, ike->n_current, sizeof(*c), compare);
		return;
	}
	c->peer = e->peer[i];
}

static void dead_for(struct ike *ike, const struct cfg_map_entry *e, const struct cv_addr *peer)
{
	for (unsigned i = 0; e && i < e->n_peer; i++)
		if (cv_addr_eq(&e->peer[i], peer) && ike_peer_current(ike, e) == i) {
			ike_peer_set_current(ike, e, e->default_peer ? 0 : (i + 1) % e->n_peer);
			return;
		}
}

void ike_peer_dead(struct ike_sa *sa)
{
	const struct ike_child *c;
	const struct cfg_map_entry *last = sa->entry;
	dead_for(sa->ike, sa->entry, &sa->peer);
	TAILQ_FOREACH (c, &sa->children, link) {
		if (c->p.entry == last || c->p.entry == sa->entry)
			continue;
		last = c->p.entry;
		dead_for(sa->ike, last, &sa->peer);
	}
}

void ike_peer_idle(struct ike *ike, const struct cfg_map_entry *e)
{
	if (e->idle_to_default)
		ike_peer_set_current(ike, e, 0);
}

void ike_peers_changed(struct ike *ike)
{
	ike_auto_soon(ike);
}

const struct cv_addr *ike_current_peer(const struct ike *ike, const struct cfg_map_entry *e)
{
	return e->n_peer ? &e->peer[ike_peer_current(ike, e)] : NULL;
}

void ike_peers_config(struct ike *ike)
{
	unsigned kept = 0;
	for (unsigned i = 0; i < ike->n_current; i++)
		if (config_entry_find(ike->cfg, ike->current[i].map, ike->current[i].seq))
			ike->current[kept++] = ike->current[i];
	ike->n_current = kept;
}
