/* SPDX-License-Identifier: BSD-3-Clause */
/* Which routes have a gateway inside a given prefix: asked whenever a prefix changes, so that a route added for one
 * tunnel does not look at the routes of ten thousand others. For rib.c only; main lcore. */
#ifndef DATAPLANE_RIB_GATEWAY_H
#define DATAPLANE_RIB_GATEWAY_H

#include "rib_store.h"

/* Note the gateways of rp's current route that are resolved through routes. 0 or -ENOMEM (then none is noted). */
int rib_gateway_add(struct rib_prefix *rp);
/* Forget them. */
void rib_gateway_del(struct rib_prefix *rp);
/* Call fn for every route with a noted gateway in VRF vrf_id that p covers, once per such gateway, until it answers
 * other than 0; returns its last answer. fn must not add or delete. */
int rib_gateway_each(uint32_t vrf_id, const struct cv_prefix *p, int (*fn)(struct rib_prefix *rp));

#endif
