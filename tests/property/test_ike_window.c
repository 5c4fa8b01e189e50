/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Windows of IKEv2 (RFC 7296 2.3) between two engines on a network that loses, repeats and reorders, with control
 * processes that die and come back. What passes on the wire is held against the rules, told by the headers alone:
 * - no request goes further ahead of the peer's oldest unanswered one than the peer has announced;
 * - ids of requests are used in order, none twice: every repetition of a request or a response is the same, octet for
 *   octet, so that what a request asks for is done once;
 * - and in the end both hosts have the same pairs of SAs, at least one for each flow.
 */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on
#include <stdlib.h>
#include <string.h>

#include "../unit/ike_pair.h"

#define FLOWS 24u
#define SAS_MAX 64u
#define IDS_MAX 512u
#define RUNS 60u

static struct pair *p;
static uint64_t rng;
static unsigned window[2]; /* configured */
static bool pfs, restarts;

static unsigned draw(unsigned n)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return (unsigned)(rng % n);
}

/* ---- what the wire has seen ---- */

static struct wire_sa {
	uint8_t spi[16];
	struct wire_way {				      /* the requests of one host */
		uint64_t request[IDS_MAX], response[IDS_MAX]; /* checksum of what was sent, 0 = nothing yet */
		unsigned next;				      /* id */
		unsigned oldest;			      /* not answered */
	} way[2];
} wire[SAS_MAX];
static unsigned n_wire, most[2]; /* most: requests under way at a time, by host */

static struct wire_sa *wire_of(const uint8_t *spi)
{
	for (unsigned i = 0; i < n_wire; i++)
		if (memcmp(wire[i].spi, spi, 16) == 0)
			return &wire[i];
	assert_true(n_wire < SAS_MAX);
	memset(&wire[n_wire], 0, sizeof(wire[0]));
	memcpy(wire[n_wire].spi, spi, 16);
	return &wire[n_wire++];
}

static uint64_t checksum(const uint8_t *d, size_t len)
{
	uint64_t h = 0xcbf29ce484222325u;
	while (len--)
		h = (h ^ *d++) * 0x100000001b3u;
	return h | 1;
}

static void same(uint64_t *seen, uint64_t now)
{
	if (*seen)
		assert_true(*seen == now);
	*seen = now;
}

static bool watch(struct pair *pair, int from, unsigned n, const uint8_t *d, size_t len)
{
	(void)pair, (void)n;
	uint32_t id = (uint32_t)d[20] << 24 | (uint32_t)d[21] << 16 | (uint32_t)d[22] << 8 | d[23];
	bool response = d[19] & 0x20;
	if (d[18] == 34) /* IKE_SA_INIT: before there is an SA */
		return true;
	struct wire_way *w = &wire_of(d)->way[response ? !from : from];
	assert_true(id < IDS_MAX);
	if (response) {
		assert_true(w->request[id] != 0);
		same(&w->response[id], checksum(d, len));
		while (w->oldest < IDS_MAX && w->response[w->oldest])
			w->oldest++;
		return true;
	}
	if (!w->request[id]) {
		unsigned allowed = window[!from] ? window[!from] : 1;
		assert_true(id >= w->next);
		w->next = id + 1;
		if (w->oldest > id || !w->request[w->oldest])
			w->oldest = id; /* the first of this host: 0 or 1 */
		assert_true(id - w->oldest < allowed);
		if (id - w->oldest + 1 > most[from])
			most[from] = id - w->oldest + 1;
	}
	same(&w->request[id], checksum(d, len));
	return true;
}

/* ---- a run ---- */

static void tweak(struct cv_config *c, int i)
{
	struct cfg_acl *a = c->acl;
	struct cfg_acl_line first = a->line[0];
	a->line = config_alloc(c, FLOWS, sizeof(*a->line));
	a->n_line = FLOWS;
	for (unsigned l = 0; l < FLOWS; l++) {
		struct cv_range *own = i ? &a->line[l].sel.dst : &a->line[l].sel.src;
		a->line[l] = first;
		a->line[l].seq = 10 * (l + 1);
		own->lo.b[3] = own->hi.b[3] = (uint8_t)l;
	}
	c->ike_profile->window_size = (uint8_t)window[i];
	c->ike_profile->dpd_mode = CFG_DPD_PERIODIC; /* an end that gave up is found out */
	c->ike_profile->dpd_interval_s = 10;
	if (pfs)
		c->map->entry[0].pfs = IKE_GROUP_CURVE25519;
}

static struct pair_child *any_child(int host)
{
	unsigned at = draw(PAIR_CHILD_MAX);
	for (unsigned k = 0; k < PAIR_CHILD_MAX; k++) {
		struct pair_child *c = &p->h[host].child[(at + k) % PAIR_CHILD_MAX];
		if (c->used && c->outbound)
			return c;
	}
	return NULL;
}

/* Traffic for flow l at host 0: what the dataplane does when there is no SA. */
static void traffic(unsigned l)
{
	for (unsigned k = 1; k < PAIR_CHILD_MAX; k++)
		if (p->h[0].child[k].used && p->h[0].child[k].outbound && p->h[0].child[k].p.sel[0].src.lo.b[3] == l)
			return;
	pair_acquire(p, 0, l);
}

/*
 * Every flow has its pair: those that were cleared are asked for once more. A flow may have two where traffic asked for
 * another pair while the one before was going or coming at the other end; both ends know both.
 */
static bool complete(void)
{
	for (unsigned l = 0; l < FLOWS; l++)
		traffic(l);
	pair_run(p, 60000);
	unsigned n = pair_n_children(p, 0);
	return pair_children_agree(p, n) && n >= FLOWS && n <= FLOWS + FLOWS / 4;
}

static void something(void)
{
	int host = (int)draw(2);
	struct pair_child *c = any_child(host);
	struct ike_match one = {.fvrf = -1, .ivrf = -1, .child_id = c ? c->id : 0};
	switch (draw(20)) {
	case 0: /* an operator */
		if (c)
			ike_clear(p->h[host].ike, &one);
		break;
	case 1:
		if (restarts)
			pair_restart(p, host);
		break;
	case 2:
	case 3:
	case 4:
	case 5:
	case 6:
	case 7:
	case 8:
	case 9:
		if (c)
			ike_child_expire(p->h[host].ike, c->id, false);
		break;
	default:
		traffic(draw(FLOWS));
	}
}

static void run(uint64_t seed, unsigned left, unsigned right)
{
	rng = 0x9e3779b97f4a7c15u * (seed + 1);
	window[0] = left;
	window[1] = right;
	n_wire = 0;
	pfs = draw(2);
	restarts = draw(2);
	p = pair_new(CFG_IKEV2, tweak);
	p->filter = watch;
	p->rng = rng;
	p->async_ms = draw(2) ? 15 : 0;
	p->loss = draw(25);
	p->dup = draw(25);
	p->jitter = draw(200);
	for (unsigned l = 0; l < FLOWS; l++)
		traffic(l);
	for (unsigned i = 0; i < 60; i++) {
		pair_run(p, draw(400));
		something();
	}
	pair_run(p, 120000);
	p->loss = 0;
	bool good = false;
	for (unsigned i = 0; i < 5 && !good; i++)
		good = complete();
	if (!good)
		fail_msg("seed %llu, windows %u and %u: %u and %u pairs", (unsigned long long)seed, left, right,
			pair_n_children(p, 0), pair_n_children(p, 1));
	pair_free(p);
	p = NULL;
}

static void every_request_once(void **state)
{
	(void)state;
	memset(most, 0, sizeof(most));
	for (uint64_t seed = 0; seed < RUNS; seed++) {
		rng = seed * 77 + 5;
		run(seed, 2 + draw(14), 2 + draw(14));
	}
	assert_true(most[0] > 4 && most[1] > 4); /* the windows were used */
}

/* A peer that announces nothing, and one that could but is not told: one request at a time. */
static void one_unless_announced(void **state)
{
	(void)state;
	memset(most, 0, sizeof(most));
	for (uint64_t seed = 0; seed < RUNS / 6; seed++)
		run(1000 + seed, 8, seed & 1);
	assert_int_equal(most[0], 1);
	assert_true(most[1] > 1); /* what the left announces holds all the same */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_request_once), cmocka_unit_test(one_unless_announced)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
