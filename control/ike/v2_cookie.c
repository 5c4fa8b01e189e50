/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * No state for an initiator until it has proved its address by a cookie (RFC 7296 2.6), and under more load its good
 * will by work: a puzzle (RFC 8019). What we have to know about either comes back in the cookie, authenticated.
 */
#include <string.h>

#include "v2_int.h"

#define SECRET_MS 60000 /* a cookie is good for one to two of these */

/* version of the secret, what was asked for, when, HMAC-SHA-256 over those and what identifies the initiator */
enum { AT_VERSION = 0, AT_PUZZLE = 4, AT_PRF = 5, AT_DIFFICULTY = 6, AT_TIME = 7, AT_MAC = 11, COOKIE_LEN = 43 };

static void cookie_turn(struct ike *ike)
{
	uint64_t now = ike_now(ike);
	if (now - ike->cookie_changed_ms < SECRET_MS)
		return;
	memcpy(ike->cookie_secret[1], ike->cookie_secret[0], sizeof(ike->cookie_secret[0]));
	ikec_random(ike->cookie_secret[0], sizeof(ike->cookie_secret[0]));
	ike->cookie_version++;
	ike->cookie_changed_ms = now;
}

/* The MAC of a cookie whose other fields are set. */
static bool cookie_mac(const struct ike *ike, unsigned age, const struct ike_path *path, const struct v2_msg *m,
	const uint8_t cookie[COOKIE_LEN], uint8_t out[32])
{
	struct ikec_iov iov[6] = {{m->nonce.p, m->nonce.len}, {path->remote.b, 16}, {&path->rport, 2},
		{m->h.spi_i, IKE_SPI_LEN}, {&path->vrf, sizeof(path->vrf)}, {cookie, AT_MAC}};
	return ikec_prf(IKE_PRF_HMAC_SHA256, ike->cookie_secret[age], 32, iov, 6, out) == 0;
}

/* puzzle: 0 = none, else the PRF to solve it with. */
static bool cookie_make(struct ike *ike, const struct ike_path *path, const struct v2_msg *m, enum ike_prf puzzle,
	uint8_t out[COOKIE_LEN])
{
	uint32_t now = (uint32_t)ike_now(ike);
	cookie_turn(ike);
	memcpy(out + AT_VERSION, &ike->cookie_version, sizeof(ike->cookie_version));
	out[AT_PUZZLE] = puzzle != 0;
	out[AT_PRF] = (uint8_t)puzzle;
	out[AT_DIFFICULTY] = puzzle ? ike->cfg->puzzle_difficulty : 0;
	memcpy(out + AT_TIME, &now, sizeof(now)); /* a cookie asked for later is another puzzle and another lot */
	return cookie_mac(ike, 0, path, m, out, out + AT_MAC);
}

/* The cookie of m, when it is one of ours for this initiator; else NULL. */
static const uint8_t *cookie_good(struct ike *ike, const struct ike_path *path, const struct v2_msg *m)
{
	const struct v2_notify *n = v2_find_notify(m, V2_N_COOKIE);
	uint8_t mac[32];
	uint32_t version;
	cookie_turn(ike);
	if (!n || n->data.len != COOKIE_LEN)
		return NULL;
	memcpy(&version, n->data.p + AT_VERSION, sizeof(version));
	uint32_t age = ike->cookie_version - version;
	if (age > 1 || !cookie_mac(ike, age, path, m, n->data.p, mac) ||
		cv_secret_cmp(mac, n->data.p + AT_MAC, sizeof(mac)) != 0)
		return NULL;
	return n->data.p;
}

/* ---- puzzles ---- */

/* What nobody knows of a cookie before we give it away. */
static uint64_t cookie_tag(const uint8_t cookie[COOKIE_LEN])
{
	uint64_t tag;
	memcpy(&tag, cookie + AT_MAC, sizeof(tag));
	return tag;
}

static uint64_t *spent_slot(struct ike *ike, uint64_t tag)
{
	return &ike->spent[tag % (sizeof(ike->spent) / sizeof(ike->spent[0]))];
}

void v2_cookie_spend(struct ike *ike, const struct v2_msg *m)
{
	const struct v2_notify *n = v2_find_notify(m, V2_N_COOKIE);
	if (!m->ps.p || !n || n->data.len != COOKIE_LEN || !ike_cac_wants_work(ike))
		return;
	uint64_t tag = cookie_tag(n->data.p);
	*spent_slot(ike, tag) = tag;
}

/* RFC 8019 7.1.4, 7.1.5: the cookie is good; is there enough work in the request, or luck? */
static bool worth_serving(struct ike *ike, const struct v2_msg *m, const uint8_t cookie[COOKIE_LEN])
{
	uint64_t tag = cookie_tag(cookie);
	uint32_t lot = (uint32_t)(tag >> 32);
	if (cookie[AT_PUZZLE] && m->ps.p) {
		int bits = v2_puzzle_bits(cookie[AT_PRF], (struct v2_view){cookie, COOKIE_LEN}, m->ps);
		if (bits < cookie[AT_DIFFICULTY] || *spent_slot(ike, tag) == tag) {
			ike->stats.puzzles_wrong++;
			return false;
		}
		if (cookie[AT_DIFFICULTY] || (unsigned)bits >= ike_cac_work(ike)) {
			ike->stats.puzzles_solved++;
			return true;
		}
	}
	if (!ike_cac_lottery(ike, lot))
		return false;
	ike->stats.puzzles_excused++;
	return true;
}

/* The PRF of a puzzle: one that the initiator has offered (RFC 8019 7.1.1.1); 0 = we know none of them. */
static enum ike_prf puzzle_prf(const struct v2_msg *m)
{
	struct v2_sa_pl offer;
	enum ike_prf found = 0;
	v2_parse_sa(m->sa, &offer);
	for (unsigned i = 0; i < offer.n_transform; i++) {
		const struct v2_transform *t = &offer.transform[i];
		if (t->type != V2_T_PRF || t->strange || !ikec_prf_len((enum ike_prf)t->id))
			continue;
		if (!found || t->id == IKE_PRF_HMAC_SHA256)
			found = (enum ike_prf)t->id;
	}
	return found;
}

static void demand(struct ike *ike, const struct ike_path *path, bool natt, const struct v2_msg *m)
{
	uint8_t buf[256], cookie[COOKIE_LEN];
	struct v2_enc e;
	enum ike_prf prf = ike_cac_wants_work(ike) ? puzzle_prf(m) : 0;
	if (!cookie_make(ike, path, m, prf, cookie))
		return;
	v2_stateless_begin(&e, buf, sizeof(buf), m);
	v2_enc_notify(&e, V2_N_COOKIE, cookie, sizeof(cookie));
	ike->stats.cookies_sent++;
	if (prf) {
		uint8_t puzzle[3] = {(uint8_t)(prf >> 8), (uint8_t)prf, cookie[AT_DIFFICULTY]};
		v2_enc_notify(&e, V2_N_PUZZLE, puzzle, sizeof(puzzle));
		ike->stats.puzzles_sent++;
	}
	v2_stateless_send(ike, path, natt, &e);
}

bool v2_cookie_demanded(struct ike *ike, const struct ike_path *path, bool natt, const struct v2_msg *m)
{
	if (!v2_find_notify(m, V2_N_COOKIE))
		ike_cac_stranger(ike);
	bool work = ike_cac_wants_work(ike);
	if (!work && !ike_cac_wants_proof(ike))
		return false;
	const uint8_t *cookie = cookie_good(ike, path, m);
	if (cookie && (!work || worth_serving(ike, m, cookie)))
		return false;
	demand(ike, path, natt, m);
	return true;
}

/* ---- initiator ---- */

/* Is it one of those that we have offered? */
static bool prf_offered(const struct cfg_ike_profile *p, uint16_t prf)
{
	for (unsigned i = 0; i < p->n_proposal; i++)
		for (unsigned k = 0; k < p->proposal_ref[i]->n_prf; k++)
			if (p->proposal_ref[i]->prf[k] == prf)
				return true;
	return false;
}

static void solved(struct v2_sa *sa, struct v2_view solution)
{
	if (solution.len) {
		memcpy(sa->setup->solution, solution.p, solution.len);
		sa->setup->solution_len = (uint8_t)solution.len;
		sa->sa.ike->stats.puzzles_worked++;
	}
	v2_init_send(sa);
}

void v2_cookie_take(struct v2_sa *sa, struct v2_view cookie, const struct v2_notify *puzzle)
{
	struct v2_setup *s = sa->setup;
	uint8_t most = sa->sa.ike->cfg->puzzle_solve_max;
	memcpy(s->cookie, cookie.p, cookie.len);
	s->cookie_len = (uint8_t)cookie.len;
	s->solution_len = 0;
	v2_request_stop(sa, &s->init);
	if (!puzzle || puzzle->data.len != 3) {
		v2_init_send(sa);
		return;
	}
	uint16_t prf = v2_get16(puzzle->data.p);
	uint8_t bits = puzzle->data.p[2];
	if (!most || bits > most || !prf_offered(sa->sa.profile, prf)) { /* RFC 8019 7.1.2: the cookie alone */
		sa->sa.ike->stats.puzzles_declined++;
		v2_init_send(sa);
		return;
	}
	v2_puzzle_solve(sa, &s->puzzle, (enum ike_prf)prf, bits ? bits : most, cookie, solved);
}
