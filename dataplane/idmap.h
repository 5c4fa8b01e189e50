/* SPDX-License-Identifier: BSD-3-Clause */
/* Map from a 24-bit id to a pointer, as a two-level table: for ids that control hands out densely. Main lcore. */
#ifndef DATAPLANE_IDMAP_H
#define DATAPLANE_IDMAP_H

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

#define IDMAP_MAX (1u << 24)

struct idmap {
	void **page[4096];
};

/* id below IDMAP_MAX. NULL when not set. */
static inline void *idmap_get(const struct idmap *m, uint32_t id)
{
	void **page = m->page[id >> 12];
	return page ? page[id & 4095u] : NULL;
}

/* 0 or -ENOMEM; cannot fail where the id was set before. */
static inline int idmap_set(struct idmap *m, uint32_t id, void *v)
{
	void ***page = &m->page[id >> 12];
	if (!*page && !(*page = calloc(4096, sizeof(void *))))
		return -ENOMEM;
	(*page)[id & 4095u] = v;
	return 0;
}

static inline void idmap_clear(struct idmap *m)
{
	for (unsigned i = 0; i < 4096; i++) {
		free(m->page[i]);
		m->page[i] = NULL;
	}
}

#endif
