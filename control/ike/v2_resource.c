/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Several children with the same selectors, one for each worker of the dataplane (RFC 9611). The first, which both ends
 * have made with SA_RESOURCE_INFO, serves every worker without a child of its own. Such a worker asks for one when it
 * has packets; the peer may refuse (TS_MAX_QUEUE). The number of a worker means nothing to the peer: each end binds
 * what it sends by to the workers it likes.
 */
#include <string.h>

#include "v2_int.h"

#define RESOURCES_MAX 32u /* numbers of workers are below */

/* The children with the same selectors as one of them. */
struct brothers {
	unsigned n;
	uint32_t taken; /* bit per worker that has one */
	bool refused;	/* the peer wants no more */
};

static bool is_brother(const struct v2_child *c, struct ike_child *o)
{
	return o->p.per_resource && o != &c->c && o->p.entry == c->c.p.entry &&
	       memcmp(&v2_child_of(o)->want, &c->want, sizeof(c->want)) == 0;
}

/* Without c itself. One that is being replaced counts, its successor does not: it takes the other's place. */
static struct brothers brothers_of(const struct v2_child *c)
{
	struct brothers b = {0};
	struct ike_child *o;
	TAILQ_FOREACH (o, &c->c.sa->children, link) {
		bool going = o->state == IKE_CHILD_REKEYED || o->state == IKE_CHILD_DELETING;
		if (!is_brother(c, o) || going)
			continue;
		b.n += !v2_child_of(o)->old_spi || o->state >= IKE_CHILD_ESTABLISHED;
		b.taken |= o->p.resource ? 1u << o->p.resource % RESOURCES_MAX : 0;
		b.refused |= v2_child_of(o)->no_more;
	}
	return b;
}

static unsigned most(const struct v2_child *c)
{
	return 1u + c->c.sa->profile->per_resource;
}

void v2_resource_ask(struct v2_child *c)
{
	c->c.p.per_resource = c->c.sa->profile->per_resource != 0;
}

void v2_resource_enc(struct v2_enc *e, const struct v2_child *c)
{
	if (c->c.p.per_resource) /* the data is for who looks for faults (RFC 9611 5.1) */
		v2_enc_notify(e, V2_N_SA_RESOURCE_INFO, &c->c.p.resource, c->c.p.resource ? 1 : 0);
}

void v2_resource_answered(struct v2_child *c, const struct v2_msg *m)
{
	/* only the first says whether the peer can do it; what replaces another has its place (RFC 9611 3) */
	if (!c->old_spi && !c->c.p.resource && !v2_find_notify(m, V2_N_SA_RESOURCE_INFO))
		c->c.p.per_resource = false;
}

uint16_t v2_resource_offer(struct v2_child *c, const struct v2_msg *m)
{
	const struct ike *ike = c->c.sa->ike;
	if (!c->c.sa->profile->per_resource || !v2_find_notify(m, V2_N_SA_RESOURCE_INFO) ||
		v2_find_notify(m, V2_N_REKEY_SA))
		return 0;
	struct brothers b = brothers_of(c);
	c->c.p.per_resource = true;
	if (b.n >= most(c))
		return V2_N_TS_MAX_QUEUE;
	unsigned n = b.n && ike->ops.resources ? ike->ops.resources(ike->ctx) : 0;
	for (unsigned i = n; i > 0; i--)
		if (!(b.taken & 1u << i % RESOURCES_MAX))
			c->c.p.resource = (uint8_t)i;
	return 0;
}

void v2_resource_inherit(struct v2_child *c, const struct ike_child *old)
{
	c->c.p.per_resource = old->p.per_resource;
	c->c.p.resource = old->p.resource;
}

void v2_child_resource(struct ike_child *base, uint8_t resource)
{
	struct v2_child *first = v2_child_of(base);
	struct v2_sa *sa = v2_of(base->sa);
	if (!base->p.per_resource || !base->p.entry || sa->sa.phase != IKE_PHASE_ESTABLISHED)
		return;
	struct brothers b = brothers_of(first);
	b.n += 1;
	if (b.n >= most(first) || b.refused || first->no_more || base->p.resource == resource ||
		b.taken & 1u << resource % RESOURCES_MAX)
		return;
	struct v2_child *c = v2_child_queue(sa, base->p.entry, &first->want, base->p.rule_id);
	if (!c)
		return;
	c->c.p.per_resource = true;
	c->c.p.resource = resource;
	v2_task_queue(sa, c->task);
}

bool v2_resource_wanted(const struct v2_child *c)
{
	return c->c.p.resource && brothers_of(c).n;
}

static void set_no_more(struct v2_child *c, bool value)
{
	struct ike_child *o;
	TAILQ_FOREACH (o, &c->c.sa->children, link)
		if (is_brother(c, o))
			v2_child_of(o)->no_more = value;
}

void v2_resource_refused(struct v2_child *c, uint16_t type)
{
	cv_info("ike", "no child of its own for worker %u: %s", c->c.p.resource, v2_notify_name(type));
	set_no_more(c, true);
}

void v2_resource_gone(struct v2_child *c)
{
	if (c->c.p.per_resource && c->c.child_id && c->c.state != IKE_CHILD_REKEYED)
		set_no_more(c, false);
}
