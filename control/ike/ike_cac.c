/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Call admission control (CAC-*): which new IKE SAs may be made, in both directions and for both versions. Existing
 * SAs are never touched, and a peer that has one is never refused another (CAC-3, 4).
 *
 * The load is the scarcest of three percentages (CAC-15): CPU and memory as the host reads them, IKE SAs of those that
 * this process can hold, negotiations of those that may be under way. The charge is scale x load / 100 (CAC-17).
 */
#include <string.h>

#include "ike_internal.h"

#define CAPACITY 16384u /* IKE SAs that find a place in the vault */
#define EVENT_BURST 10u /* refusals told at once, then one per second: a flood must not flood the log */
#define SOURCE_SHARE 8u /* under pressure one address may hold one part in so many of the half-open SAs */
#define SOURCE_MIN 4u	/* ... but at least these */

static uint32_t u32_min(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* ---- load (CAC-13..19) ---- */

/* n of max in percent; 0 where there is no max. */
static uint32_t percent(uint64_t n, uint64_t max)
{
	uint64_t p = max ? n * 100 / max : 0;
	return p < UINT32_MAX ? (uint32_t)p : UINT32_MAX;
}

/* With `extra` calls under consideration. */
static uint32_t load_now(const struct ike *ike, unsigned extra)
{
	uint32_t busy = ike->n_calls[IKE_CALL_NEGOTIATING] + extra;
	uint32_t held = percent(ike->n_calls[IKE_CALL_ACTIVE] + busy, CAPACITY);
	uint32_t open = percent(busy, ike->cfg ? ike->cfg->half_open_max : 0);
	uint32_t load = ike->cac.load;
	load = held > load ? held : load;
	return open > load ? open : load;
}

static uint32_t charge_of(const struct cfg_cac *c, uint32_t load)
{
	uint64_t charge = (uint64_t)c->scale * load / 100;
	return charge < UINT32_MAX ? (uint32_t)charge : UINT32_MAX;
}

static void poll_load(struct ike *ike, struct ike_timer *t)
{
	const struct cfg_cac *c = &ike->cfg->cac;
	if (ike->ops.load)
		ike->cac.load = ike->ops.load(ike->ctx);
	ike_timer_set(ike, t, ike_now(ike) + c->poll_s * 1000ull);
}

void ike_cac_config(struct ike *ike)
{
	ike->cac.poll.fire = poll_load;
	if (ike->ops.load && ike->cfg->cac.charge)
		poll_load(ike, &ike->cac.poll);
	else {
		ike_timer_stop(ike, &ike->cac.poll);
		ike->cac.load = 0;
	}
}

/* ---- half-open protection ---- */

/* Negotiations that a stranger may bring about before customers are refused. */
static uint32_t room_for_strangers(const struct ike *ike)
{
	const struct cv_config *cfg = ike->cfg;
	uint32_t room = cfg->half_open_max ? cfg->half_open_max : UINT32_MAX;
	uint32_t active = ike->n_calls[IKE_CALL_ACTIVE];
	if (cfg->cac.in_negotiation)
		room = u32_min(room, cfg->cac.in_negotiation);
	else if (cfg->cac.ike_sa)
		room = u32_min(room, cfg->cac.ike_sa > active ? cfg->cac.ike_sa - active : 0);
	return room;
}

void ike_cac_stranger(struct ike *ike)
{
	struct ike_cac *s = &ike->cac;
	uint64_t now = ike_now(ike), passed = now - s->second_ms;
	if (passed >= 1000) {
		s->before = passed < 2000 ? s->strange : 0;
		s->strange = 0;
		s->second_ms = now;
	}
	if (s->strange < UINT32_MAX)
		s->strange++;
}

/* More than so many in this second, or in the whole one before it. */
static bool rate_exceeded(const struct ike *ike)
{
	const struct ike_cac *s = &ike->cac;
	uint32_t limit = ike->cfg->cookie_rate;
	uint64_t passed = ike_now(ike) - s->second_ms;
	return limit && ((passed < 1000 && s->before > limit) || (passed < 2000 && s->strange > limit));
}

bool ike_cac_wants_proof(const struct ike *ike)
{
	uint32_t room = room_for_strangers(ike);
	return rate_exceeded(ike) || ike->n_half_open >= u32_min(ike->cfg->cookie_threshold, room / 2 + room % 2);
}

/* ---- puzzles: above the first number of half-open SAs, in the room up to the second ---- */

#define WORK_LEAST 8u /* zero bits wanted of who may choose: when puzzles begin, and that many more at the limit */

struct work_range {
	uint32_t from, to;
};

static struct work_range work_range(const struct ike *ike)
{
	uint32_t room = u32_min(room_for_strangers(ike), CAPACITY);
	return (struct work_range){u32_min(ike->cfg->puzzle_threshold, room - room / 4), room};
}

bool ike_cac_wants_work(const struct ike *ike)
{
	return ike->cfg->puzzle_threshold != CFG_PUZZLE_NEVER && ike->n_half_open >= work_range(ike).from;
}

unsigned ike_cac_work(const struct ike *ike)
{
	struct work_range r = work_range(ike);
	uint32_t in = u32_min(ike->n_half_open, r.to) - u32_min(r.from, ike->n_half_open);
	return WORK_LEAST + (r.to > r.from ? WORK_LEAST * in / (r.to - r.from) : WORK_LEAST);
}

/* One in two when puzzles begin, nobody from the middle of the range on: the rest is for those who work. */
bool ike_cac_lottery(const struct ike *ike, uint32_t lot)
{
	struct work_range r = work_range(ike);
	uint32_t middle = r.from + (r.to - r.from) / 2;
	if (ike->n_half_open >= middle)
		return false;
	return (uint64_t)lot * (r.to - r.from) < (uint64_t)(middle - ike->n_half_open) << 32;
}

/* SAs with the address, as far as they matter here; the walk ends when both counts have reached their bound. */
static void count_peer(
	struct ike *ike, const struct ike_path *path, unsigned *active, unsigned *half_open, bool *direct)
{
	struct ike_sa *sa = NULL;
	*active = *half_open = 0;
	*direct = false;
	while ((sa = ike_sa_next_by_addr(ike, path->vrf, &path->remote, sa))) {
		if (!cv_addr_eq(&sa->path.local, &path->local))
			continue;
		*active += sa->call == IKE_CALL_ACTIVE;
		*half_open += sa->call == IKE_CALL_NEGOTIATING && !sa->initiator;
		*direct |= sa->call == IKE_CALL_ACTIVE && !sa->nat_remote;
	}
}

/* ---- admission ---- */

enum refusal { ADMITTED = 0, REFUSED_RESOURCES, REFUSED_SA_LIMIT };

/* CAC-Q4: resources are looked at first, and one request counts under one reason. */
static enum refusal decide(const struct ike *ike, bool initiator, unsigned from_source)
{
	const struct cv_config *cfg = ike->cfg;
	const struct cfg_cac *c = &cfg->cac;
	uint32_t active = ike->n_calls[IKE_CALL_ACTIVE], busy = ike->n_calls[IKE_CALL_NEGOTIATING];
	if (c->charge && charge_of(c, load_now(ike, 1)) > c->charge) /* CAC-14, Q1: more than */
		return REFUSED_RESOURCES;
	if (c->in_negotiation && busy >= c->in_negotiation) /* CAC-10 */
		return REFUSED_SA_LIMIT;
	/* CAC-7, Q2: at the limit; CAC-11: with a limit of their own, negotiations do not count */
	if (c->ike_sa && active + (c->in_negotiation ? 0 : busy) >= c->ike_sa)
		return REFUSED_SA_LIMIT;
	if (initiator || !cfg->half_open_max)
		return ADMITTED;
	if (ike->n_half_open >= cfg->half_open_max)
		return REFUSED_SA_LIMIT;
	uint32_t share = cfg->half_open_max / SOURCE_SHARE;
	if (ike_cac_wants_proof(ike) && from_source >= (share > SOURCE_MIN ? share : SOURCE_MIN))
		return REFUSED_SA_LIMIT;
	return ADMITTED;
}

static void tell_refusal(struct ike *ike, const struct ike_path *path, bool initiator, enum refusal why)
{
	static const char *const text[2][2] = {{"incoming, system resources low", "incoming, IKE SA limit reached"},
		{"outgoing, system resources low", "outgoing, IKE SA limit reached"}};
	struct ike_cac *s = &ike->cac;
	uint64_t now = ike_now(ike), add = (now - s->refill_ms) / 1000;
	if (!s->refill_ms || s->tokens + add >= EVENT_BURST) {
		s->tokens = EVENT_BURST;
		s->refill_ms = now;
	} else {
		s->tokens += (unsigned)add;
		s->refill_ms += add * 1000;
	}
	if (!s->tokens)
		return;
	s->tokens--;
	ike_event(ike, IKE_EVT_REFUSED, NULL, path, NULL, text[initiator][why == REFUSED_SA_LIMIT]);
}

bool ike_cac_admit(struct ike *ike, const struct ike_path *path, bool initiator)
{
	struct ike_cac *s = &ike->cac;
	unsigned active, half_open;
	bool direct;
	count_peer(ike, path, &active, &half_open, &direct);
	/*
	 * The peer has an SA: one negotiation more for each, so that whoever forges its address wins nothing. Behind a
	 * NAT the address alone does not tell customers apart: as many may come back as are there.
	 */
	if (initiator ? active != 0 : half_open < (direct && active ? 1 : active))
		return true;
	enum refusal why = decide(ike, initiator, half_open);
	if (why == ADMITTED) {
		s->accepted[initiator]++;
		return true;
	}
	s->rejected[initiator]++;
	if (why == REFUSED_RESOURCES)
		s->rsrc_low++;
	else
		s->by_sa_limit++;
	if (!initiator && ike->cfg->half_open_max && ike->n_half_open >= ike->cfg->half_open_max)
		ike->stats.half_open_refused++;
	tell_refusal(ike, path, initiator, why);
	return false;
}

/* ---- statistics (CAC-20..22) ---- */

void ike_cac_stats(const struct ike *ike, struct ike_cac_stats *out)
{
	const struct ike_cac *s = &ike->cac;
	memset(out, 0, sizeof(*out));
	if (ike->cfg) {
		out->charge_limit = ike->cfg->cac.charge;
		out->sa_limit = ike->cfg->cac.ike_sa;
		out->negotiation_limit = ike->cfg->cac.in_negotiation;
		out->unscaled = load_now(ike, 0);
		out->charge = charge_of(&ike->cfg->cac, out->unscaled);
	}
	out->active = ike->n_calls[IKE_CALL_ACTIVE];
	out->negotiating = ike->n_calls[IKE_CALL_NEGOTIATING];
	out->in.accepted = s->accepted[0];
	out->in.rejected = s->rejected[0];
	out->out.accepted = s->accepted[1];
	out->out.rejected = s->rejected[1];
	out->rsrc_low = s->rsrc_low;
	out->by_sa_limit = s->by_sa_limit;
}

void ike_cac_clear(struct ike *ike)
{
	struct ike_cac *s = &ike->cac;
	memset(s->accepted, 0, sizeof(s->accepted));
	memset(s->rejected, 0, sizeof(s->rejected));
	s->rsrc_low = s->by_sa_limit = 0;
}
