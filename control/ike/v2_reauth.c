/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The lifetime of an authentication (RFC 4478), which outlives every rekey of the IKE SA that it made. The responder of
 * IKE_AUTH says how long it is good for; the initiator makes another IKE SA to the same peer in time, with a child for
 * each that the old one has, and deletes the old one when they are up. An SA whose initiator did not is deleted.
 */
#include <string.h>

#include "ike_private.h"
#include "v2_int.h"

#define OVERLAP_MS 500 /* how long a responder goes on sending on the pair of the old SA */
#define LOOK_MS 1000   /* while the new SA is in the making */

static void put32(uint8_t *p, uint32_t v)
{
	for (unsigned i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> (24 - 8 * i));
}

/* ---- initiator ---- */

static void begin(struct v2_sa *sa)
{
	struct ike *ike = sa->sa.ike;
	struct ike_path path = sa->sa.path;
	struct ike_child *c;
	if (!sa->sa.entry || TAILQ_EMPTY(&sa->sa.children))
		return; /* nobody needs it: it ends when the authentication does */
	path.lport = path.rport = IKE_PORT;
	struct ike_sa *next = v2_initiate(ike, sa->sa.entry, &path);
	if (!next || next->dead)
		return;
	ike->stats.sa_initiated++;
	memcpy(sa->reauth_spi, next->spi_i, IKE_SPI_LEN);
	TAILQ_FOREACH (c, &sa->sa.children, link)
		if (c->child_id && c->p.entry && c->state <= IKE_CHILD_REKEYING)
			ike_req_add_to(next, c->p.entry, c->p.rule_id, &v2_child_of(c)->want);
}

/* The new SA is up, with every child that was asked for or refused for good, and the peer sends on them by now. */
static bool done(struct v2_sa *sa)
{
	struct ike_sa *next = ike_sa_by_spi(sa->sa.ike, &ike_v2, sa->reauth_spi);
	const struct ike_child *c;
	if (!next || next->phase != IKE_PHASE_ESTABLISHED || !TAILQ_EMPTY(&next->reqs) || TAILQ_EMPTY(&next->children))
		return false;
	TAILQ_FOREACH (c, &next->children, link)
		if (!c->established_ms || c->established_ms + LOOK_MS > ike_now(sa->sa.ike))
			return false;
	return true;
}

static void reauth_fire(struct ike *ike, struct ike_timer *t)
{
	struct v2_sa *sa = IKE_CONTAINER(t, struct v2_sa, stage);
	if (ike_now(ike) >= sa->auth_until_ms) {
		v2_sa_delete(&sa->sa, "authentication expired");
		return;
	}
	if (done(sa)) {
		struct ike_child *c;
		ike->stats.sa_reauthenticated++;
		while ((c = TAILQ_FIRST(&sa->sa.children))) /* what is under way on the old pairs still comes in */
			ike_child_remove(c, IKE_LINGER_MS);
		v2_sa_delete(&sa->sa, "reauthenticated");
		return;
	}
	if (!ike_sa_by_spi(ike, &ike_v2, sa->reauth_spi))
		begin(sa);
	v2_set_timer(sa, t, reauth_fire, LOOK_MS);
}

/* ---- responder ---- */

/*
 * Is there a pair for the same flow under another SA with the same peer? Then it goes on sending until the peer has had
 * time to install the new one.
 */
void v2_reauth_overlap(struct v2_sa *sa, struct v2_child *c)
{
	struct ike_sa *o = NULL;
	const struct ike_child *i;
	while ((o = ike_sa_next_by_addr(sa->sa.ike, sa->sa.path.vrf, &sa->sa.peer, o)))
		if (o != &sa->sa && o->v == &ike_v2 && o->phase == IKE_PHASE_ESTABLISHED)
			TAILQ_FOREACH (i, &o->children, link)
				c->c.p.inbound_only |= i->state == IKE_CHILD_ESTABLISHED &&
						       i->p.entry == c->c.p.entry &&
						       memcmp(&i->p.sel[0], &c->c.p.sel[0], sizeof(i->p.sel[0])) == 0;
}

static void overlap_fire(struct ike *ike, struct ike_timer *t)
{
	(void)ike;
	ike_child_activate(&IKE_CONTAINER(t, struct v2_child, activate)->c);
}

void v2_reauth_overlap_end(struct v2_sa *sa, struct v2_child *c)
{
	if (c->c.p.inbound_only)
		v2_set_timer(sa, &c->activate, overlap_fire, OVERLAP_MS);
}

/* ---- both ---- */

static void expired(struct ike *ike, struct ike_timer *t)
{
	(void)ike;
	v2_sa_delete(&IKE_CONTAINER(t, struct v2_sa, stage)->sa, "the peer did not authenticate again in time");
}

void v2_reauth_arm(struct v2_sa *sa)
{
	uint64_t now = ike_now(sa->sa.ike), until = sa->auth_until_ms;
	if (!until)
		return;
	uint64_t left = until > now ? until - now : 0;
	if (!sa->auth_initiator) {
		v2_set_timer(sa, &sa->stage, expired, left);
		return;
	}
	if (!sa->reauth_at_ms)
		sa->reauth_at_ms = now + ike_soft_ms(left, true);
	v2_set_timer(sa, &sa->stage, reauth_fire, sa->reauth_at_ms > now ? sa->reauth_at_ms - now : 0);
}

void v2_take_auth_lifetime(struct v2_sa *sa, const struct v2_msg *m)
{
	const struct v2_notify *n = v2_find_notify(m, V2_N_AUTH_LIFETIME);
	uint32_t s = n && n->data.len == 4 ? v2_get32(n->data.p) : 0;
	if (!s || !sa->auth_initiator || sa->sa.phase != IKE_PHASE_ESTABLISHED)
		return; /* who answered IKE_AUTH says it; from the other end it means nothing */
	sa->auth_until_ms = ike_now(sa->sa.ike) + s * 1000ull;
	sa->reauth_at_ms = 0;
	v2_reauth_arm(sa);
}

void v2_enc_auth_lifetime(struct v2_sa *sa, struct v2_enc *e)
{
	uint8_t b[4];
	uint32_t s = sa->sa.profile->auth_lifetime_s;
	if (!s)
		return;
	put32(b, s);
	v2_enc_notify(e, V2_N_AUTH_LIFETIME, b, sizeof(b));
	sa->auth_until_ms = ike_now(sa->sa.ike) + s * 1000ull;
}

void v2_reauth_succeed(struct v2_sa *to, const struct v2_sa *from)
{
	to->auth_until_ms = from->auth_until_ms;
	to->reauth_at_ms = from->reauth_at_ms;
	to->auth_initiator = from->auth_initiator;
	memcpy(to->reauth_spi, from->reauth_spi, IKE_SPI_LEN);
	v2_reauth_arm(to);
}
