/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Puzzles (RFC 8019 4, 7.1.3): four different keys of equal length with each of which the PRF of the cookie ends in
 * enough zero bits. Their check, and the search for them on the pool, a slice at a time so that public-key work gets
 * its turn.
 */
#include <stdlib.h>
#include <string.h>

#include "ikeaesmac.h"
#include "v2_int.h"

#define KEYS 4u
#define HMAC_KEY_LEN 4u	 /* of the keys that we try: more of them than any search takes */
#define SLICE_MAX 32768u /* tries before others get their turn: some hundredths of a second */

struct v2_puzzle {
	struct ike_job j;
	struct v2_puzzle **held; /* NULL: nobody wants the solution any more */
	struct v2_sa *sa;
	void (*then)(struct v2_sa *sa, struct v2_view solution);
	enum ike_prf prf;
	uint8_t bits;
	uint8_t cookie[V2_COOKIE_MAX];
	size_t cookie_len;
	uint32_t next; /* the next key to try; 0 = all have been */
	unsigned found;
	uint8_t solution[V2_SOLUTION_MAX];
};

/* Those at the end of a result of the PRF. */
static unsigned zero_bits(const uint8_t *out, size_t len)
{
	unsigned n = 0;
	while (len && out[len - 1] == 0) {
		n += 8;
		len--;
	}
	return len ? n + (unsigned)__builtin_ctz(out[len - 1]) : n;
}

static int key_bits(enum ike_prf prf, const uint8_t *key, size_t key_len, struct v2_view cookie)
{
	struct ikec_iov iov = {cookie.p, cookie.len};
	uint8_t out[IKEC_PRF_MAX];
	if (ikec_prf(prf, key, key_len, &iov, 1, out) != 0)
		return -1;
	return (int)zero_bits(out, ikec_prf_len(prf));
}

int v2_puzzle_bits(enum ike_prf prf, struct v2_view cookie, struct v2_view solution)
{
	size_t most = ikec_prf_len(prf), len = solution.len / KEYS;
	int least = INT32_MAX;
	if (!most || !len || solution.len % KEYS || len > most || (ikec_aesmac_is(prf) && len != most))
		return -1;
	for (unsigned i = 0; i < KEYS && least >= 0; i++) {
		const uint8_t *key = solution.p + i * len;
		for (unsigned k = 0; k < i; k++)
			if (memcmp(key, solution.p + k * len, len) == 0)
				return -1;
		int bits = key_bits(prf, key, len, cookie);
		least = bits < least ? bits : least;
	}
	return least;
}

/* ---- the search ---- */

static size_t key_len(const struct v2_puzzle *z)
{
	return ikec_aesmac_is(z->prf) ? ikec_prf_len(z->prf) : HMAC_KEY_LEN;
}

static void solve_work(struct ike_job *j)
{
	struct v2_puzzle *z = (struct v2_puzzle *)j;
	size_t len = key_len(z);
	for (uint32_t tries = 0; tries < SLICE_MAX && z->next && z->found < KEYS; tries++) {
		uint8_t *key = z->solution + z->found * len;
		uint32_t number = z->next++;
		memset(key, 0, len);
		for (unsigned i = 0; i < HMAC_KEY_LEN; i++)
			key[i] = (uint8_t)(number >> (24 - 8 * i));
		int bits = key_bits(z->prf, key, len, (struct v2_view){z->cookie, z->cookie_len});
		if (bits < 0)
			z->next = 0;
		else if (bits >= z->bits)
			z->found++;
	}
}

static void solve_run(struct v2_puzzle *z);

/* Contents of a job go with it: the next slice is another one. */
static void solve_done(struct ike_job *j)
{
	struct v2_puzzle *z = (struct v2_puzzle *)j;
	if (!z->held)
		return;
	*z->held = NULL;
	if (!j->sa)
		return;
	if (z->found < KEYS && z->next) {
		struct v2_puzzle *more = malloc(sizeof(*more));
		if (!more)
			abort();
		*more = *z;
		memset(&more->j, 0, sizeof(more->j));
		solve_run(more);
		return;
	}
	z->then(z->sa, (struct v2_view){z->solution, z->found == KEYS ? KEYS * key_len(z) : 0});
}

static void solve_run(struct v2_puzzle *z)
{
	z->j.work = solve_work;
	z->j.done = solve_done;
	*z->held = z;
	ike_job_run(z->sa->sa.ike, &z->sa->sa, &z->j);
}

void v2_puzzle_solve(struct v2_sa *sa, struct v2_puzzle **held, enum ike_prf prf, uint8_t bits, struct v2_view cookie,
	void (*then)(struct v2_sa *sa, struct v2_view solution))
{
	struct v2_puzzle *z = calloc(1, sizeof(*z));
	if (!z)
		abort();
	z->held = held;
	z->sa = sa;
	z->then = then;
	z->prf = prf;
	z->bits = bits;
	memcpy(z->cookie, cookie.p, cookie.len);
	z->cookie_len = cookie.len;
	z->next = 1;
	solve_run(z);
}

void v2_puzzle_forget(struct v2_puzzle **held)
{
	if (*held)
		(*held)->held = NULL;
	*held = NULL;
}
