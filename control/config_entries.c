/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which map entries may serve an IKE peer, without a walk over all of them: an index by the addresses that entries
 * name, and the list of those that take peers by identity. Both in the order of maps and sequence numbers.
 */
#include <stdlib.h>
#include <string.h>

#include "config_priv.h"
#include "cv_addr.h"

struct entry_slot {
	struct cv_addr peer;
	unsigned order; /* of the entry among all */
	const struct cfg_map_entry *entry;
};
struct cfg_entry_index {
	struct entry_slot *named; /* sorted by peer, then order */
	struct entry_slot *open;  /* of profiles that select by identity, in order */
	unsigned n_named, n_open;
};

static int addr_order(const struct cv_addr *a, const struct cv_addr *b)
{
	return a->af != b->af ? (int)a->af - (int)b->af : cv_addr_cmp(a, b);
}

static int slot_cmp(const void *a, const void *b)
{
	const struct entry_slot *x = a, *y = b;
	int d = addr_order(&x->peer, &y->peer);
	return d ? d : (x->order > y->order) - (x->order < y->order);
}

/* Is it open to peers that it does not name? */
static bool is_open(const struct cfg_map_entry *e)
{
	return config_profile_selects(e->profile_ref) || !e->n_peer;
}

static void index_entry(struct cfg_entry_index *ix, const struct cfg_map_entry *e, unsigned order)
{
	if (is_open(e)) {
		ix->open[ix->n_open++] = (struct entry_slot){.order = order, .entry = e};
		return;
	}
	for (unsigned i = 0; i < e->n_peer; i++) {
		bool twice = !cv_addr_bits(&e->peer[i]); /* a name without an address */
		for (unsigned k = 0; k < i; k++)
			twice |= cv_addr_eq(&e->peer[k], &e->peer[i]);
		if (!twice)
			ix->named[ix->n_named++] = (struct entry_slot){.peer = e->peer[i], .order = order, .entry = e};
	}
}

static struct cfg_entry_index *index_new(struct cv_config *c)
{
	struct cfg_entry_index *ix = config_alloc(c, 1, sizeof(*ix));
	unsigned n_entry = 0, n_peer = 0;

	for (unsigned m = 0; m < c->n_map; m++)
		for (unsigned i = 0; i < c->map[m].n_entry; i++) {
			n_entry++;
			n_peer += c->map[m].entry[i].n_peer;
		}
	ix->named = config_alloc(c, n_peer, sizeof(*ix->named));
	ix->open = config_alloc(c, n_entry, sizeof(*ix->open));
	return ix;
}

static void index_fill(const struct cv_config *c, struct cfg_entry_index *ix)
{
	unsigned order = 0;

	ix->n_named = ix->n_open = 0;
	for (unsigned m = 0; m < c->n_map; m++)
		for (unsigned i = 0; i < c->map[m].n_entry; i++)
			if (!c->map[m].entry[i].manual) /* IPSEC-26: they negotiate nothing */
				index_entry(ix, &c->map[m].entry[i], order++);
	if (ix->n_named)
		qsort(ix->named, ix->n_named, sizeof(*ix->named), slot_cmp);
}

void config_index_entries(struct cv_config *c)
{
	c->entry_index = index_new(c);
	index_fill(c, c->entry_index);
}

void config_peers_changed(struct cv_config *c)
{
	index_fill(c, c->entry_index);
}

/* The first that names the peer; n_named when none does. */
static unsigned first_named(const struct cfg_entry_index *ix, const struct cv_addr *peer)
{
	unsigned lo = 0, hi = ix->n_named;

	while (lo < hi) {
		unsigned mid = lo + (hi - lo) / 2;

		if (addr_order(&ix->named[mid].peer, peer) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

void config_peer_entries(const struct cv_config *c, const struct cv_addr *peer,
	bool (*take)(void *arg, const struct cfg_map_entry *e), void *arg)
{
	const struct cfg_entry_index *ix = c->entry_index;
	unsigned i = ix ? first_named(ix, peer) : 0, k = 0;

	for (;;) {
		const struct entry_slot *named =
			ix && i < ix->n_named && cv_addr_eq(&ix->named[i].peer, peer) ? &ix->named[i] : NULL;
		const struct entry_slot *open = ix && k < ix->n_open ? &ix->open[k] : NULL;
		bool by_name = named && (!open || named->order < open->order);

		if (!named && !open)
			return;
		i += by_name;
		k += !by_name;
		if (!take(arg, by_name ? named->entry : open->entry))
			return;
	}
}
