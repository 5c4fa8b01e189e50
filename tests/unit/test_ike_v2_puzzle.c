/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Puzzles (RFC 8019): their arithmetic against Python's hmac and hashlib, both roles against each other, and what is no
 * solution. A flood with puzzles is in test_cac.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

/* its inline functions have a parameter named as the pair of engines is */
#include "v2_int.h"

#include "ike_env.h"

/* ---- the arithmetic: values computed by Python's hmac and hashlib (and cryptography for CMAC) ---- */

/* For the cookie 00 01 02 ... 2a: the first four numbers from 1 on whose four bytes are a key that gives enough bits.
 */
static const struct known {
	enum ike_prf prf;
	uint8_t bits; /* asked for, and the least of the four */
	size_t key_len;
	uint32_t key[4]; /* big endian, zeros behind */
} known[] = {
	{IKE_PRF_HMAC_SHA1, 8, 4, {0x76, 0x118, 0x12d, 0x1d2}},
	{IKE_PRF_HMAC_SHA256, 10, 4, {0xdda, 0xf89, 0x10fb, 0x1dc9}},
	{IKE_PRF_HMAC_SHA384, 9, 4, {0x155, 0x3dc, 0x714, 0x7e1}},
	{IKE_PRF_HMAC_SHA512, 9, 4, {0x57, 0x70, 0xcb, 0x2b3}},
	{IKE_PRF_AES128_CMAC, 8, 16, {0x35, 0xa6, 0xd9, 0x194}},
};
#define N_KNOWN (sizeof(known) / sizeof(known[0]))

static struct v2_view known_cookie(void)
{
	static uint8_t b[43];
	for (unsigned i = 0; i < sizeof(b); i++)
		b[i] = (uint8_t)i;
	return (struct v2_view){b, sizeof(b)};
}

static struct v2_view known_solution(const struct known *k)
{
	static uint8_t b[64];
	memset(b, 0, sizeof(b));
	for (unsigned i = 0; i < 4; i++) {
		b[i * k->key_len + 2] = (uint8_t)(k->key[i] >> 8);
		b[i * k->key_len + 3] = (uint8_t)k->key[i];
	}
	return (struct v2_view){b, 4 * k->key_len};
}

static void check(void **state)
{
	(void)state;
	for (unsigned i = 0; i < N_KNOWN; i++)
		assert_int_equal(
			v2_puzzle_bits(known[i].prf, known_cookie(), known_solution(&known[i])), known[i].bits);
	/* keys of one byte: 155, 178, 80 and 13 give 7, 7, 6 and 5 bits */
	static const uint8_t one[4] = {155, 178, 80, 13};
	assert_int_equal(v2_puzzle_bits(IKE_PRF_HMAC_SHA256, known_cookie(), (struct v2_view){one, 4}), 5);
}

static void check_form(void **state)
{
	uint8_t b[132] = {0};
	struct v2_view cookie = known_cookie();
	(void)state;
	for (unsigned i = 0; i < 4; i++)
		b[i * 33] = b[i * 32] = b[i * 16] = b[i * 8] = (uint8_t)(i + 1);
	assert_int_equal(v2_puzzle_bits(IKE_PRF_HMAC_SHA256, cookie, (struct v2_view){b, 0}), -1);
	assert_int_equal(v2_puzzle_bits(IKE_PRF_HMAC_SHA256, cookie, (struct v2_view){b, 3}), -1);
	assert_int_equal(v2_puzzle_bits(IKE_PRF_HMAC_SHA256, cookie, (struct v2_view){b, 131}), -1);
	/* no longer than the preferred key, and where the length is fixed no shorter */
	assert_true(v2_puzzle_bits(IKE_PRF_HMAC_SHA256, cookie, (struct v2_view){b, 128}) >= 0);
	assert_int_equal(v2_puzzle_bits(IKE_PRF_HMAC_SHA256, cookie, (struct v2_view){b, 132}), -1);
	assert_true(v2_puzzle_bits(IKE_PRF_AES128_CMAC, cookie, (struct v2_view){b, 64}) >= 0);
	assert_int_equal(v2_puzzle_bits(IKE_PRF_AES128_CMAC, cookie, (struct v2_view){b, 32}), -1);
	/* all four differ */
	struct v2_view v = known_solution(&known[1]);
	memcpy(b, v.p, v.len);
	memcpy(b + 12, b, 4);
	assert_int_equal(v2_puzzle_bits(IKE_PRF_HMAC_SHA256, cookie, (struct v2_view){b, v.len}), -1);
	assert_int_equal(v2_puzzle_bits((enum ike_prf)9999, cookie, v), -1);
}

/* ---- two engines ---- */

static uint8_t difficulty, solve_max;
static uint32_t half_open_max; /* of the responder; 1: no place for those who do not work */

static void puzzles(struct cv_config *c, int i)
{
	if (i) {
		c->puzzle_threshold = 0;
		c->puzzle_difficulty = difficulty;
		c->half_open_max = half_open_max;
	}
	c->puzzle_solve_max = solve_max;
}

static void start(uint8_t bits, uint8_t most, uint32_t places, void (*tweak)(struct cv_config *c, int i))
{
	difficulty = bits;
	solve_max = most;
	half_open_max = places;
	p = pair_new(CFG_IKEV2, tweak);
}

static struct v2_view found;

static void keep(struct v2_sa *sa, struct v2_view solution)
{
	static uint8_t b[64];
	(void)sa;
	memcpy(b, solution.p, solution.len);
	found = (struct v2_view){b, solution.len};
}

static void search(void **state)
{
	(void)state;
	start(0, 0, 100, NULL);
	bring_up();
	struct ike_sa *sa = TAILQ_FIRST(&p->h[0].ike->sas);
	for (unsigned i = 0; i < N_KNOWN; i++) {
		struct v2_puzzle *held = NULL;
		struct v2_view want = known_solution(&known[i]);
		found = V2_EMPTY;
		ike_enter(p->h[0].ike);
		v2_puzzle_solve(v2_of(sa), &held, known[i].prf, known[i].bits, known_cookie(), keep);
		ike_leave(p->h[0].ike);
		assert_null(held);
		assert_int_equal(found.len, want.len);
		assert_memory_equal(found.p, want.p, want.len);
	}
}

static void solved(void **state)
{
	(void)state;
	start(10, 18, 1, puzzles);
	bring_up();
	assert_int_equal(p->n_ike, 6);
	assert_int_equal(pair_stat(p, 1, "puzzles_sent"), 1);
	assert_int_equal(pair_stat(p, 1, "puzzles_solved"), 1);
	assert_int_equal(pair_stat(p, 1, "puzzles_wrong"), 0);
	assert_int_equal(pair_stat(p, 0, "puzzles_worked"), 1);
	assert_int_equal(pair_stat(p, 0, "puzzles_declined"), 0);
}

static bool at_work(struct pair *q)
{
	struct ike_sa *sa = TAILQ_FIRST(&q->h[0].ike->sas);
	return sa && v2_of(sa)->setup->puzzle;
}

/* Several slices of work; the SA goes while they are done, then the whole engine does, and the third time all is well.
 */
static void abandoned(void **state)
{
	(void)state;
	start(16, 16, 1, puzzles);
	p->async_ms = 50;
	pair_acquire(p, 0, 0);
	assert_true(pair_until(p, at_work, 1000));
	ike_enter(p->h[0].ike);
	ike_sa_destroy(TAILQ_FIRST(&p->h[0].ike->sas), "cleared");
	ike_leave(p->h[0].ike);
	pair_run(p, 500);
	assert_int_equal(pair_stat(p, 0, "puzzles_worked"), 0);
	pair_acquire(p, 0, 0);
	assert_true(pair_until(p, at_work, 60000));
	pair_restart(p, 0);
	pair_run(p, 500);
	assert_int_equal(pair_n_sas(p, 0), 0);
	pair_acquire(p, 0, 0);
	pair_run(p, 5000);
	assert_true(pair_children_agree(p, 1));
	assert_int_equal(pair_stat(p, 0, "puzzles_worked"), 1);
}

static void groups(struct cv_config *c, int i)
{
	puzzles(c, i);
	c->ike_profile->n_proposal = 1;
	c->ike_profile->proposal = config_alloc(c, 1, sizeof(*c->ike_profile->proposal));
	c->ike_profile->proposal[0] = "q";
	struct cfg_ike_proposal *q = config_alloc(c, 4, sizeof(*q));
	c->ike_proposal = q;
	c->n_ike_proposal = 1;
	q->name = "q";
	q->encr = config_alloc(c, 1, sizeof(*q->encr));
	q->encr[q->n_encr++] = (struct cfg_ike_encr){.encr = IKE_ENCR_AES_GCM16, .key_bits = 128};
	q->prf = config_alloc(c, 1, sizeof(*q->prf));
	q->prf[q->n_prf++] = IKE_PRF_HMAC_SHA384;
	q->group = config_alloc(c, 2, sizeof(*q->group));
	if (!i)
		q->group[q->n_group++] = IKE_GROUP_CURVE25519;
	q->group[q->n_group++] = IKE_GROUP_ECP256;
}

/* The responder wants another group as well: the work is not done twice. The PRF is one that was offered. */
static void with_group(void **state)
{
	(void)state;
	start(8, 8, 1, groups);
	bring_up();
	assert_int_equal(p->n_ike, 8);
	assert_int_equal(pair_stat(p, 0, "puzzles_worked"), 1);
	assert_int_equal(pair_stat(p, 1, "puzzles_wrong"), 0);
}

/* Difficulty 0: enough work is let in, too little is not. */
static void initiator_chooses(void **state)
{
	(void)state;
	start(0, 12, 100, puzzles);
	bring_up();
	assert_int_equal(pair_stat(p, 0, "puzzles_worked"), 1);
	assert_int_equal(pair_stat(p, 1, "puzzles_solved"), 1);
	assert_int_equal(pair_stat(p, 1, "puzzles_excused"), 0);
}

static void initiator_is_lazy(void **state)
{
	(void)state;
	start(0, 1, 1, puzzles); /* four keys of exactly one bit or little more */
	pair_acquire(p, 0, 0);
	pair_run(p, 1000);
	assert_true(pair_stat(p, 0, "puzzles_worked") >= 1);
	assert_int_equal(pair_stat(p, 1, "puzzles_solved"), 0);
	assert_int_equal(pair_n_sas(p, 1), 0);
}

/* Harder than we are ready for, or puzzles not known at all: by the cookie alone, and luck (RFC 8019 7.1). */
static void legacy(void **state)
{
	(void)state;
	start(12, 11, 1000, puzzles);
	for (unsigned i = 0; i < 50 && !pair_n_children(p, 0); i++) {
		pair_acquire(p, 0, 0);
		pair_run(p, 5000);
	}
	assert_true(pair_children_agree(p, 1));
	assert_true(pair_stat(p, 0, "puzzles_declined") >= 1);
	assert_int_equal(pair_stat(p, 0, "puzzles_worked"), 0);
	assert_int_equal(pair_stat(p, 1, "puzzles_excused"), 1);
	assert_int_equal(pair_stat(p, 1, "puzzles_solved") + pair_stat(p, 1, "puzzles_wrong"), 0);
}

/* Where all the places are for those who work, luck does not help; a lower load does. */
static void legacy_waits(void **state)
{
	(void)state;
	start(12, 0, 1, puzzles);
	for (unsigned i = 0; i < 5; i++) {
		pair_acquire(p, 0, 0);
		pair_run(p, 5000);
	}
	assert_int_equal(pair_n_sas(p, 1), 0);
	assert_int_equal(pair_stat(p, 1, "puzzles_excused"), 0);
	pair_reconfigure(p, 1, CFG_IKEV2, NULL); /* the attack is over */
	bring_up();
}

/* ---- what is no solution ---- */

static uint8_t first[2048], solution[2048];
static size_t first_len, solution_len;

/* Keep the initiator's two first messages; the second does not arrive. */
static bool take(struct pair *q, int from, unsigned n, const uint8_t *data, size_t len)
{
	(void)q;
	if (from || len > sizeof(first))
		return true;
	if (n == 0) {
		memcpy(first, data, len);
		first_len = len;
		return true;
	}
	if (!solution_len) {
		memcpy(solution, data, len);
		solution_len = len;
	}
	return false;
}

static struct ike_path path_to_1(void)
{
	return (struct ike_path){.local = p->h[1].addr, .remote = p->h[0].addr, .lport = 500, .rport = 500};
}

#define AT_COOKIE 36u	    /* header, Notify header */
#define AT_PS (28 + 8 + 43) /* the Puzzle Solution payload */
#define AT_KEYS (AT_PS + 4)
#define AT_DIFFICULTY (AT_COOKIE + 6)

static void put_len(uint8_t *b, size_t len)
{
	b[24] = b[25] = 0;
	b[26] = (uint8_t)(len >> 8);
	b[27] = (uint8_t)len;
}

/* The solution with `less` of its last bytes left out, or changed by change(): neither SA nor memory for it. */
static void refused(void (*change)(uint8_t *b, struct ike_path *path), size_t less, unsigned wrong)
{
	uint8_t b[sizeof(solution)];
	struct ike_path path = path_to_1();
	uint64_t before = pair_stat(p, 1, "puzzles_wrong"), sent = pair_stat(p, 1, "puzzles_sent");
	memcpy(b, solution, AT_KEYS + 16 - less);
	memcpy(b + AT_KEYS + 16 - less, solution + AT_KEYS + 16, solution_len - AT_KEYS - 16);
	b[AT_PS + 3] = (uint8_t)(20 - less);
	put_len(b, solution_len - less);
	if (change)
		change(b, &path);
	size_t memory = mallinfo2().uordblks;
	ike_input(p->h[1].ike, &path, false, b, solution_len - less);
	assert_true(mallinfo2().uordblks <= memory);
	assert_int_equal(pair_n_sas(p, 1), 0);
	assert_int_equal(pair_stat(p, 1, "puzzles_wrong"), before + wrong);
	assert_int_equal(pair_stat(p, 1, "puzzles_sent"), sent + 1);
}

static void another_key(uint8_t *b, struct ike_path *path)
{
	(void)path;
	b[AT_KEYS] ^= 0x80; /* the chance that it solves the puzzle as well is one in 2^16 */
}

static void twice_the_same(uint8_t *b, struct ike_path *path)
{
	(void)path;
	memcpy(b + AT_KEYS, b + AT_KEYS + 4, 4);
}

static void made_easier(uint8_t *b, struct ike_path *path)
{
	(void)path;
	assert_int_equal(b[AT_DIFFICULTY], 16);
	b[AT_DIFFICULTY] = 1;
}

static void for_another_sa(uint8_t *b, struct ike_path *path)
{
	(void)path;
	b[0] ^= 1;
}

static void from_elsewhere(uint8_t *b, struct ike_path *path)
{
	(void)b;
	path->rport++;
}

static void wrong(void **state)
{
	(void)state;
	first_len = solution_len = 0;
	start(16, 16, 1, puzzles);
	p->filter = take;
	struct ike_path path = path_to_1();
	pair_acquire(p, 0, 0);
	pair_run(p, 100);
	p->cut = true;
	assert_int_equal(pair_n_sas(p, 1), 0);
	assert_true(solution_len == first_len + 8 + 43 + 20);
	assert_int_equal(solution[16], 41);
	assert_int_equal(solution[28], 54); /* RFC 8019 8.2 */
	assert_int_equal(solution[AT_PS + 3], 20);
	refused(another_key, 0, 1);
	refused(twice_the_same, 0, 1);
	refused(NULL, 1, 1);
	refused(NULL, 4, 1);
	/* what binds the puzzle to its initiator is not right: no puzzle of ours */
	refused(made_easier, 0, 0);
	refused(for_another_sa, 0, 0);
	refused(from_elsewhere, 0, 0);
	/* and the right one is */
	ike_input(p->h[1].ike, &path, false, solution, solution_len);
	assert_int_equal(pair_n_sas(p, 1), 1);
	assert_int_equal(pair_stat(p, 1, "puzzles_solved"), 1);
	/* again: the same answer; and when the SA is gone, no other */
	ike_input(p->h[1].ike, &path, false, solution, solution_len);
	assert_int_equal(pair_n_sas(p, 1), 1);
	assert_int_equal(pair_stat(p, 1, "rx_retransmits"), 1);
	pair_run(p, 40000);
	assert_int_equal(pair_n_sas(p, 1), 0);
	refused(NULL, 0, 1);
	/* a minute or two later the cookie is none any more */
	pair_run(p, 60000);
	ike_input(p->h[1].ike, &path, false, first, first_len);
	pair_run(p, 60000);
	refused(NULL, 0, 0);
}

/* ---- what is no puzzle ---- */

/* An answer to `first` with a cookie and with a puzzle of so many bits, as far as asked for. */
static void forge(bool cookie, unsigned bits)
{
	uint8_t buf[256], data[43] = {0}, puzzle[3] = {0, IKE_PRF_HMAC_SHA256, (uint8_t)bits};
	struct v2_hdr h = {.exchange = V2_IKE_SA_INIT, .flags = V2_FLAG_RESPONSE};
	struct v2_enc e;
	struct ike_path path = {.local = p->h[0].addr, .remote = p->h[1].addr, .lport = 500, .rport = 500};
	memcpy(h.spi_i, first, IKE_SPI_LEN);
	v2_enc_header(&e, buf, sizeof(buf), &h);
	if (cookie)
		v2_enc_notify(&e, V2_N_COOKIE, data, sizeof(data));
	v2_enc_notify(&e, V2_N_PUZZLE, puzzle, sizeof(puzzle));
	assert_int_equal(v2_enc_finish(&e), 0);
	ike_input(p->h[0].ike, &path, false, buf, e.len);
}

static bool take_first(struct pair *q, int from, unsigned n, const uint8_t *data, size_t len)
{
	(void)q;
	if (!from && n == 0 && len <= sizeof(first)) {
		memcpy(first, data, len);
		first_len = len;
	}
	return true;
}

static void hard_worker(struct cv_config *c, int i)
{
	(void)i;
	c->puzzle_solve_max = 24;
}

/* Somebody on the way answers before the peer does, whose answer is taken while the forged puzzle is worked on. */
static void forged(void **state)
{
	(void)state;
	start(0, 0, 0, hard_worker);
	p->async_ms = 20;
	p->filter = take_first;
	p->delay_ms = 60; /* so that the forged answer is believed before */
	first_len = 0;
	pair_acquire(p, 0, 0);
	while (!first_len)
		pair_run(p, 1);
	forge(false, 4); /* malformed (RFC 8019 7.1.2) */
	assert_int_equal(pair_stat(p, 0, "rx_unexpected"), 1);
	forge(true, 24); /* hundreds of slices of work */
	forge(true, 1);	 /* one at a time, while it is in doubt */
	assert_int_equal(pair_stat(p, 0, "rx_unexpected"), 2);
	pair_run(p, 50);
	forge(true, 1); /* and while it is worked on */
	assert_int_equal(pair_stat(p, 0, "rx_unexpected"), 3);
	pair_run(p, 3000);
	assert_true(pair_children_agree(p, 1));
	assert_int_equal(pair_n_sas(p, 1), 1);
	assert_int_equal(pair_stat(p, 0, "puzzles_worked"), 0);
}

#define T(f) cmocka_unit_test_teardown(f, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(check),
		cmocka_unit_test(check_form),
		T(search),
		T(solved),
		T(abandoned),
		T(with_group),
		T(initiator_chooses),
		T(initiator_is_lazy),
		T(legacy),
		T(legacy_waits),
		T(wrong),
		T(forged),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
