/* SPDX-License-Identifier: BSD-3-Clause */
/* Pairs of SAs across restarts of either process, and across changes of the configuration. */
#include <stdlib.h>

#include "child_priv.h"
#include "control_priv.h"
#include "cv_log.h"

/* ---- a restart of this process: IKE SAs came back from the vault ---- */

static bool adoptable(const struct child_table *t, uint32_t index_in)
{
	return index_in < CV_SA_MAX && !(index_in & 1) && !t->child[index_in / 2];
}

static void adopt(struct child_table *t, const struct ike_child_params *p, uint32_t id)
{
	const bool bundle = p->ah_index_in;
	struct child *ch;

	if (p->index_in != 2 * id || !adoptable(t, p->index_in) || (bundle && !adoptable(t, p->ah_index_in)) ||
		!(ch = child_from_params(t->c, id, p)))
		return;
	if (bundle && !child_bundle(ch, p->ah_index_in / 2, p)) {
		free(ch);
		return;
	}
	child_table_put(t, ch);
	session_adopt(t->c->sessions, ch);
	for (; ch; ch = ch->ah)
		ch->halves = CHILD_IN | CHILD_OUT; /* what of them is really there, the dump says */
}

void child_restore(struct child_table *t, const struct ike_child_info *info)
{
	adopt(t, info->params, info->child_id);
}

/* ---- SYNC ---- */

void child_forget_halves(struct child_table *t)
{
	for (struct child *ch = child_next(t, 0); ch; ch = child_next(t, ch->id))
		ch->halves = 0;
}

void child_sync_begin(struct child_table *t)
{
	for (struct child *ch = child_next(t, 0); ch; ch = child_next(t, ch->id))
		ch->seen = 0;
}

void child_seen(struct child_table *t, const struct cv_sa_entry *e)
{
	struct child *ch = child_by_ref(t, &e->ref);

	if (!ch)
		return;
	if (!ch->rule_id)
		ch->rule_id = e->rule_id;
	ch->seen |= e->ref.index == child_index(ch, CHILD_OUT) ? CHILD_OUT : CHILD_IN;
}

static void keep_half(const struct child *ch, unsigned half, struct dp_txn *txn)
{
	struct cv_sa_ref ref = {.index = child_index(ch, half), .spi = half == CHILD_OUT ? ch->spi_out : ch->spi_in};

	dp_txn_add(txn, CV_CMD_SA_KEEP, &ref, sizeof(ref), "IPsec SA");
}

void child_keep(struct child_table *t, const struct desired *next, struct dp_txn *txn)
{
	for (struct child *ch = child_next(t, 0); ch; ch = child_next(t, ch->id)) {
		ch->halves &= ch->seen;
		ch->leaving = !desired_rule(next, ch->rule_id);
		if (ch->leaving)
			continue; /* not named, so swept */
		if (ch->halves & CHILD_IN)
			keep_half(ch, CHILD_IN, txn);
		if (ch->halves & CHILD_OUT)
			keep_half(ch, CHILD_OUT, txn);
	}
}

static bool both_halves(const struct child *ch)
{
	return ch->halves & CHILD_IN && (ch->halves & CHILD_OUT || ch->out);
}

bool child_complete(const struct child *ch)
{
	return both_halves(ch) && (!ch->ah || both_halves(ch->ah));
}

void child_sync_end(struct child_table *t, bool all_lost)
{
	struct control *c = t->c;
	uint32_t id = 0;

	for (struct child *ch; (ch = child_next(t, id));) {
		id = ch->id;
		if (ch->released) {
			child_linger_check(t, ch);
			continue;
		}
		if (ch->manual || ch->bundled)
			continue; /* manual_install; the pair of ESP */
		if (all_lost || child_complete(ch))
			continue;
		cv_notice("control", "IPsec SA 0x%08x is not in the dataplane any more", ch->spi_in);
		ike_clear(c->ike, &(struct ike_match){.fvrf = -1, .ivrf = -1, .child_id = id});
	}
}

/* ---- a change of the configuration ---- */

void child_leave(struct child_table *t, const struct desired *next, struct dp_txn *txn)
{
	for (struct child *ch = child_next(t, 0); ch; ch = child_next(t, ch->id)) {
		struct cv_sa_ref in = {child_index(ch, CHILD_IN), ch->spi_in},
				 out = {child_index(ch, CHILD_OUT), ch->spi_out};

		if (desired_rule(next, ch->rule_id))
			continue;
		ch->leaving = true;
		if (ch->halves & CHILD_OUT)
			dp_txn_add(txn, CV_CMD_SA_DEL, &out, sizeof(out), "IPsec SA");
		if (ch->halves & CHILD_IN)
			dp_txn_add(txn, CV_CMD_SA_DEL, &in, sizeof(in), "IPsec SA");
	}
}

void child_left(struct child_table *t, bool committed)
{
	struct control *c = t->c;
	uint32_t id = 0;

	for (struct child *ch = child_next(t, 0); committed && ch; ch = child_next(t, ch->id))
		if (ch->leaving)
			ch->halves = 0;
	for (struct child *ch; (ch = child_next(t, id));) {
		id = ch->id;
		if (!ch->leaving)
			continue;
		ch->leaving = false;
		if (!committed || (ch->bundled && !ch->released))
			continue;
		if (ch->released)
			child_linger_check(t, ch);
		else if (ch->manual)
			child_del(c, id, 0);
		else
			ike_clear(c->ike, &(struct ike_match){.fvrf = -1, .ivrf = -1, .child_id = id});
	}
}
