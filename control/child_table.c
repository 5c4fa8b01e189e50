/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of pairs: their numbers, which are SPIs and indexes as well, who is in it, when one is freed. */
#include <errno.h>
#include <stdlib.h>

#include "child_priv.h"
#include "control_priv.h"
#include "cv_addr.h"
#include "cv_secret.h"
#include "ikecrypto.h"

#define REUSE_MS 10000u /* a freed number rests, so that late packets of the old SA meet nothing */

static uint64_t now_ms(const struct child_table *t)
{
	return host_now_ms(t->c);
}

/* ---- numbers ---- */

static void number_free(struct child_table *t, uint32_t k)
{
	t->state[k] = PAIR_FREE;
	if (k < CHILD_MANUAL_MAX)
		return; /* never IKE's */
	t->free[(t->head + t->n_free++) % CHILD_PAIRS] = k;
	t->freed_ms[k] = now_ms(t);
}

static int number_take(struct child_table *t, uint32_t *k)
{
	while (t->n_free) {
		uint32_t n = t->free[t->head];

		if (t->freed_ms[n] && now_ms(t) - t->freed_ms[n] < REUSE_MS)
			return -ENOSPC;
		t->head = (t->head + 1) % CHILD_PAIRS;
		t->n_free--;
		if (t->state[n] != PAIR_FREE)
			continue; /* a restored pair took it out of turn */
		*k = n;
		return 0;
	}
	return -ENOSPC;
}

struct child_table *child_table_new(struct control *c)
{
	struct child_table *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->c = c;
	TAILQ_INIT(&t->linger);
	for (unsigned i = 0; i < CHILD_PEER_BUCKETS; i++)
		LIST_INIT(&t->peer[i]);
	for (uint32_t k = CHILD_MANUAL_MAX; k < CHILD_PAIRS; k++)
		t->free[t->n_free++] = k;
	return t;
}

int child_alloc_spi(void *ctx, uint32_t *spi, uint32_t *index)
{
	struct child_table *t = ((struct control *)ctx)->children;
	uint32_t k, high;

	if (number_take(t, &k))
		return -ENOSPC;
	t->state[k] = PAIR_RESERVED;
	do
		ikec_random(&high, sizeof(high));
	while (!(high >> CV_SA_INDEX_BITS));
	*index = 2 * k;
	*spi = (high & ~(CV_SA_MAX - 1)) | *index;
	return 0;
}

void child_free_spi(void *ctx, uint32_t index)
{
	struct child_table *t = ((struct control *)ctx)->children;

	if (index / 2 < CHILD_PAIRS && t->state[index / 2] == PAIR_RESERVED)
		number_free(t, index / 2);
}

/* ---- the table ---- */

struct child *child_get(struct child_table *t, uint32_t id)
{
	return id < CHILD_PAIRS ? t->child[id] : NULL;
}

struct child *child_by_ref(struct child_table *t, const struct cv_sa_ref *ref)
{
	struct child *ch = child_get(t, ref->index / 2);

	if (!ch || ref->spi != (ref->index == child_index(ch, CHILD_OUT) ? ch->spi_out : ch->spi_in))
		return NULL;
	return ch;
}

struct child *child_next(struct child_table *t, uint32_t after)
{
	for (uint32_t k = after + 1; k < CHILD_PAIRS; k++)
		if (t->child[k])
			return t->child[k];
	return NULL;
}

static unsigned peer_bucket(uint32_t fvrf, const struct cv_addr *remote)
{
	uint32_t h = 2166136261u ^ fvrf;

	for (size_t i = 0; i < sizeof(remote->b); i++)
		h = (h ^ remote->b[i]) * 16777619u;
	return h % CHILD_PEER_BUCKETS;
}

static struct child *same_peer(struct child *ch, uint32_t fvrf, const struct cv_addr *remote)
{
	while (ch && (ch->path.vrf != fvrf || !cv_addr_eq(&ch->path.remote, remote)))
		ch = LIST_NEXT(ch, with_peer);
	return ch;
}

struct child *child_first_with(const struct child_table *t, uint32_t fvrf, const struct cv_addr *remote)
{
	return same_peer(LIST_FIRST(&t->peer[peer_bucket(fvrf, remote)]), fvrf, remote);
}

struct child *child_next_with(const struct child *ch)
{
	return same_peer(LIST_NEXT(ch, with_peer), ch->path.vrf, &ch->path.remote);
}

unsigned child_count(const struct child_table *t)
{
	return t->n_held;
}

void child_drop_out(struct child *ch)
{
	if (ch->out)
		cv_secret_zero(ch->out, sizeof(*ch->out));
	free(ch->out);
	ch->out = NULL;
}

static void child_free(struct child *ch)
{
	free(ch->base[0]);
	free(ch->base[1]);
	free(ch->cleared);
	free(ch);
}

static void child_destroy(struct child_table *t, struct child *ch)
{
	child_drop_out(ch);
	if (ch->ah)
		ch->ah->esp = NULL;
	if (ch->esp)
		ch->esp->ah = NULL;
	t->child[ch->id] = NULL;
	LIST_REMOVE(ch, with_peer);
	number_free(t, ch->id);
	child_free(ch);
}

/* Freed once IKE, the linger time and every reply are through with it. */
void child_put(struct child_table *t, struct child *ch)
{
	if (ch->released && !ch->pending && !ch->halves && !ch->linger_until_ms)
		child_destroy(t, ch);
}

void child_table_free(struct child_table *t)
{
	if (!t)
		return;
	for (uint32_t k = 1; k < CHILD_PAIRS; k++) {
		if (!t->child[k])
			continue;
		child_drop_out(t->child[k]);
		child_free(t->child[k]);
	}
	free(t);
}

void child_table_put(struct child_table *t, struct child *ch)
{
	t->state[ch->id] = PAIR_USED;
	t->child[ch->id] = ch;
	LIST_INSERT_HEAD(&t->peer[peer_bucket(ch->path.vrf, &ch->path.remote)], ch, with_peer);
	t->n_held += !ch->bundled;
	if (ch->ah)
		child_table_put(t, ch->ah);
}

void child_rehash(struct child_table *t, struct child *ch)
{
	LIST_REMOVE(ch, with_peer);
	LIST_INSERT_HEAD(&t->peer[peer_bucket(ch->path.vrf, &ch->path.remote)], ch, with_peer);
}

void child_linger_check(struct child_table *t, struct child *ch)
{
	if (ch->halves || ch->pending)
		return;
	if (ch->linger_until_ms)
		TAILQ_REMOVE(&t->linger, ch, link);
	ch->linger_until_ms = 0;
	child_put(t, ch);
}
