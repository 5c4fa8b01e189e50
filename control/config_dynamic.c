/* SPDX-License-Identifier: BSD-3-Clause */
/* Dynamic maps (IPSEC-56): in every crypto map the entries that include one become the entries of that map. */
#include <stdlib.h>
#include <string.h>

#include "config_priv.h"

static const struct cfg_dynamic_map *find(const struct cv_config *c, const char *name)
{
	for (unsigned i = 0; i < c->n_dynamic_map; i++)
		if (!strcmp(c->dynamic_map[i].name, name))
			return &c->dynamic_map[i];
	return NULL;
}

/* How many entries the map will have. */
static int count(struct config_check *k, const struct cfg_crypto_map *m, unsigned *n)
{
	*n = 0;
	for (unsigned i = 0; i < m->n_entry; i++) {
		const struct cfg_map_entry *e = &m->entry[i];
		const struct cfg_dynamic_map *d = e->dynamic_map ? find(k->c, e->dynamic_map) : NULL;

		if (e->dynamic_map && !d)
			return check_fail(k, PATH_MAP "/entry[sequence='%u']/dynamic-map: no dynamic map named '%s'",
				m->name, e->seq, e->dynamic_map);
		*n += d ? d->n_entry : 1;
	}
	return 0;
}

static void include(struct cfg_map_entry **to, const struct cfg_map_entry *at, const struct cfg_dynamic_map *d)
{
	for (unsigned i = 0; i < d->n_entry; i++, (*to)++) {
		**to = d->entry[i];
		(*to)->seq = at->seq << CFG_PLACE_SHIFT | d->entry[i].seq;
		(*to)->dynamic_map = d->name;
	}
}

int config_add_dynamic(struct config_check *k)
{
	struct cv_config *c = k->c;

	for (unsigned i = 0; c->n_dynamic_map && i < c->n_map; i++) {
		struct cfg_crypto_map *m = &c->map[i];
		struct cfg_map_entry *to;
		unsigned n;
		int r = count(k, m, &n);

		if (r)
			return r;
		struct cfg_map_entry *all = to = config_alloc(c, n, sizeof(*all));
		for (unsigned j = 0; j < m->n_entry; j++)
			if (m->entry[j].dynamic_map)
				include(&to, &m->entry[j], find(c, m->entry[j].dynamic_map));
			else
				*to++ = m->entry[j];
		m->entry = all;
		m->n_entry = n;
	}
	return 0;
}
