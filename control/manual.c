/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Manual SAs: the pairs of map entries with session keys (IPSEC-66..71). They are there as long as their entry is, come
 * back at once when they are cleared, and keep the keys that they began with until then (IPSEC-70). Loop thread.
 */
#include <errno.h>
#include <string.h>

#include "control_priv.h"
#include "cv_log.h"

static struct child *pair_of_rule(struct control *c, uint32_t rule_id)
{
	for (struct child *ch = child_next(c->children, 0); ch && ch->id < CHILD_MANUAL_MAX;
		ch = child_next(c->children, ch->id))
		if (ch->manual && !ch->bundled && !ch->released && ch->rule_id == rule_id)
			return ch;
	return NULL;
}

/* Only the first permit line of a manual entry is one (IPSEC-67): desired_build makes no other rule of it. */
static int params_of(const struct rule_ref *r, struct ike_child_params *p)
{
	const struct cfg_map_entry *e = r->entry;
	const struct cv_addr *local = path_if_addr(r->local, e->peer[0].af);

	memset(p, 0, sizeof(*p));
	if (!local)
		return -ENETUNREACH;
	p->entry = e;
	p->rule_id = r->rule_id;
	p->path = (struct ike_path){.vrf = r->fvrf, .local = *local, .remote = e->peer[0]};
	p->suite = e->ts_ref[0]->suite;
	p->spi_in = e->manual->in.spi;
	p->spi_out = e->manual->out.spi;
	p->ah_spi_in = e->manual->in.ah_spi;
	p->ah_spi_out = e->manual->out.ah_spi;
	p->cpi_in = p->cpi_out = p->suite.comp ? CV_CPI_DEFLATE : 0;
	p->sel[0] = r->line->sel;
	p->n_sel = 1;
	p->transport = e->ts_ref[0]->transport && ike_flow_is_peers(&p->sel[0], &p->path);
	return 0;
}

static void each_missing(
	struct control *c, void (*each)(struct control *c, const struct rule_ref *r, const struct ike_child_params *p))
{
	for (unsigned i = 0; c->desired && i < c->desired->n_rule; i++) {
		const struct rule_ref *r = &c->desired->rule[i];
		struct ike_child_params p;

		if (r->entry->manual && !pair_of_rule(c, r->rule_id) && !params_of(r, &p))
			each(c, r, &p);
	}
}

static void install(struct control *c, const struct rule_ref *r, const struct ike_child_params *p)
{
	int err = child_add_manual(c->children, p, r->entry->manual);

	if (err == -EBUSY)
		cv_warn("control",
			"crypto map %s entry %u: its SPI 0x%08x is still used by the SA of another entry; clear crypto "
			"sa",
			r->entry->map->name, r->entry->seq, p->spi_in);
}

void manual_install(struct control *c)
{
	if (!dpclient_is_up(c->dp) || c->sync != SYNC_DONE)
		return;
	uint32_t id; /* what comes next is looked up afterwards: a bundle goes with both of its children */
	for (struct child *ch = child_next(c->children, 0); ch; ch = child_next(c->children, id)) {
		id = ch->id;
		if (!ch->manual || ch->bundled || ch->released || ch->pending)
			continue;
		if (child_complete(ch))
			session_child(c->sessions, ch, true); /* adopted */
		else
			child_del(c, id, 0); /* the dataplane has lost or refused it: made anew */
	}
	each_missing(c, install);
}

static void adopt(struct control *c, const struct rule_ref *r, const struct ike_child_params *p)
{
	(void)r;
	child_adopt_manual(c->children, p);
}

void manual_adopt(struct control *c)
{
	each_missing(c, adopt);
}
