/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Idle SAs (spec/30 IDLE): a pair that has carried nothing in either direction for as long as its entry allows is
 * deleted with notice to the peer; with the last pair of a peer goes the IKE SA (IDLE-6). Workers store the second of
 * an SA's last packet in their own counters, this looks at them now and then.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "control_priv.h"
#include "cv_addr.h"
#include "cv_log.h"

#define LOOK_MS 5000u /* between two looks at the most */
#define LOOK_AGAIN_MS 50u
#define ENDS_MAX 64u /* pairs deleted in one turn of the loop: their peers are told one by one */

/* The shortest idle time of any entry, 0 = none is configured. */
static uint32_t shortest(const struct cv_config *cfg)
{
	uint32_t least = 0;

	for (unsigned i = 0; cfg && i < cfg->n_map; i++)
		for (unsigned j = 0; j < cfg->map[i].n_entry; j++) {
			uint32_t s = cfg->map[i].entry[j].idle_s;

			least = s && (!least || s < least) ? s : least;
		}
	return least;
}

/* Another pair to the same peer between the same endpoints. */
static bool has_company(struct control *c, const struct child *ch)
{
	const struct child *o = child_first_with(c->children, ch->path.vrf, &ch->path.remote);

	for (; o; o = child_next_with(o))
		if (o != ch && o != ch->ah && !o->released && o->path.rport == ch->path.rport &&
			cv_addr_eq(&o->path.local, &ch->path.local))
			return true;
	return false;
}

static void end(struct control *c, const struct child *ch, uint64_t quiet)
{
	struct ike_match m = {.fvrf = -1, .ivrf = -1};
	const struct rule_ref *r = desired_rule(c->desired, ch->rule_id);
	const struct cfg_map_entry *entry = r ? r->entry : NULL;	 /* the rule of a dynamic entry goes with ch */
	struct cv_addr local = ch->path.local, remote = ch->path.remote; /* ch goes away in ike_clear() */
	char text[CV_ADDR_STR];

	cv_notice("control", "IPsec SA 0x%08x to %s carried nothing for %" PRIu64 " seconds: deleted", ch->spi_out,
		cv_addr_str(&remote, text), quiet);
	if (has_company(c, ch)) {
		m.child_id = ch->id;
	} else {
		m.local = &local;
		m.remote = &remote;
		m.rport = ch->path.rport;
		m.fvrf = (int)ch->path.vrf;
	}
	ike_clear(c->ike, &m);
	/* where another pair keeps an IKE SA with this peer alive, IKE still goes to it first */
	if (entry)
		ike_peer_idle(c->ike, entry);
}

/* False: there may be more. */
static bool look(struct control *c)
{
	unsigned ended = 0;
	uint32_t id = 0;

	for (struct child *ch; (ch = child_next(c->children, id));) {
		uint32_t limit = child_idle_limit(ch);
		uint64_t quiet;

		id = ch->id; /* the pair may be gone afterwards */
		if (!limit || ch->released || ch->bundled)
			continue;
		quiet = child_quiet_s(ch);
		if (quiet < limit)
			continue;
		end(c, ch, quiet);
		if (++ended == ENDS_MAX)
			return false;
	}
	return true;
}

void idle_config(struct control *c)
{
	c->idle_shortest_s = shortest(c->running);
	c->idle_at_ms = 0;
}

uint64_t idle_run(struct control *c)
{
	uint64_t now = host_now_ms(c), between = c->idle_shortest_s * 250ull;

	if (!between || !child_count(c->children) || !dpclient_is_up(c->dp))
		return UINT64_MAX;
	between = between < LOOK_MS ? between : LOOK_MS;
	if (now >= c->idle_at_ms)
		c->idle_at_ms = now + (look(c) ? between : LOOK_AGAIN_MS);
	return c->idle_at_ms - now;
}
