/* SPDX-License-Identifier: BSD-3-Clause */
/* What pairs have carried, how long ago, and how long they may live. */
#include <stdlib.h>
#include <string.h>

#include "child_priv.h"
#include "control_priv.h"
#include "desired.h"

static void slot_counters(const struct cv_stats_segment *s, uint32_t index, struct cv_sa_counters *out)
{
	memset(out, 0, sizeof(*out));
	for (unsigned w = 0; s && w < CV_WRITERS && w <= s->n_workers; w++) {
		const struct cv_sa_counters *c = &s->writer[w].sa[index];

		out->packets += c->packets;
		out->bytes += c->bytes;
		out->replay_drops += c->replay_drops;
		out->auth_errors += c->auth_errors;
		out->other_errors += c->other_errors;
		out->compressed += c->compressed;
		out->comp_failed += c->comp_failed;
		if (c->last_used_s > out->last_used_s)
			out->last_used_s = c->last_used_s;
	}
}

/* A slot that the dataplane has cleared since counts from zero. */
static uint64_t since(uint64_t now, uint64_t base)
{
	return now >= base ? now - base : now;
}

static void subtract(struct cv_sa_counters *n, const struct cv_sa_counters *base)
{
	n->packets = since(n->packets, base->packets);
	n->bytes = since(n->bytes, base->bytes);
	n->replay_drops = since(n->replay_drops, base->replay_drops);
	n->auth_errors = since(n->auth_errors, base->auth_errors);
	n->other_errors = since(n->other_errors, base->other_errors);
	n->compressed = since(n->compressed, base->compressed);
	n->comp_failed = since(n->comp_failed, base->comp_failed);
}

void child_counters_begin(struct child *ch, unsigned half)
{
	static const struct cv_sa_counters zero;
	struct cv_sa_counters now, **base = &ch->base[half == CHILD_OUT];

	slot_counters(dpclient_stats(ch->c->dp), child_index(ch, half), &now);
	if (!*base && memcmp(&now, &zero, sizeof(zero)) != 0)
		*base = malloc(sizeof(**base)); /* without it the count begins with that of the pair before */
	if (*base)
		**base = now;
}

void child_counters(const struct child *ch, enum cv_sa_dir dir, struct cv_sa_counters *out)
{
	unsigned out_half = dir == CV_SA_OUT;

	slot_counters(dpclient_stats(ch->c->dp), child_index(ch, out_half ? CHILD_OUT : CHILD_IN), out);
	if (ch->base[out_half])
		subtract(out, ch->base[out_half]);
}

void child_counters_clear(struct child *ch)
{
	if (!ch->cleared)
		ch->cleared = calloc(2, sizeof(*ch->cleared));
	if (!ch->cleared)
		return;
	child_counters(ch, CV_SA_IN, &ch->cleared[0]);
	child_counters(ch, CV_SA_OUT, &ch->cleared[1]);
}

void child_counters_shown(const struct child *ch, enum cv_sa_dir dir, struct cv_sa_counters *out)
{
	child_counters(ch, dir, out);
	if (ch->cleared)
		subtract(out, &ch->cleared[dir == CV_SA_OUT]);
}

uint64_t child_life_kb(const struct child *ch, const struct cv_sa_counters *n)
{
	uint64_t used = n->bytes / 1024;

	return used < ch->lifetime_kb ? ch->lifetime_kb - used : 0;
}

uint64_t child_life_s(const struct child *ch)
{
	uint64_t age = (host_now_ms(ch->c) - ch->added_ms) / 1000;

	return age < ch->lifetime_s ? ch->lifetime_s - age : 0;
}

static uint32_t idle_s(void *ctx, uint32_t child_id, enum cv_sa_dir dir)
{
	struct control *c = ctx;
	const struct cv_stats_segment *s = dpclient_stats(c->dp);
	struct child *ch = child_get(c->children, child_id);
	struct cv_sa_counters n;

	if (!ch || !s)
		return UINT32_MAX;
	child_counters(ch, dir, &n);
	if (!n.packets)
		return UINT32_MAX;
	return s->heartbeat > n.last_used_s ? (uint32_t)(s->heartbeat - n.last_used_s) : 0;
}

uint32_t child_idle_s(void *ctx, uint32_t child_id)
{
	return idle_s(ctx, child_id, CV_SA_IN);
}

uint32_t child_out_idle_s(void *ctx, uint32_t child_id)
{
	return idle_s(ctx, child_id, CV_SA_OUT);
}

uint32_t child_idle_limit(const struct child *ch)
{
	const struct rule_ref *r = desired_rule(ch->c->desired, ch->rule_id);

	return r && !ch->manual ? r->entry->idle_s : 0; /* IDLE-8 */
}

uint64_t child_quiet_s(const struct child *ch)
{
	uint64_t age = (host_now_ms(ch->c) - ch->active_ms) / 1000;
	uint32_t in = idle_s(ch->c, ch->id, CV_SA_IN), out = idle_s(ch->c, ch->id, CV_SA_OUT);
	uint32_t quiet = in < out ? in : out;

	return quiet < age ? quiet : age;
}
