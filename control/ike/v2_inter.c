/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * IKE_INTERMEDIATE between IKE_SA_INIT and IKE_AUTH (RFC 9242), and what it is for: additional key exchanges
 * (RFC 9370), one in each. Every message of them is part of what AUTH proves (IntAuth). Each exchange is protected by
 * the keys of before, and new ones follow from it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "v2_int.h"

#define EXCHANGES_MAX 16u /* a peer that goes on and on is not served */
#define SK_HEAD 4u	  /* generic header of the encrypted payload */

struct v2_inter {
	unsigned done;		       /* additional key exchanges that are complete */
	unsigned n;		       /* exchanges */
	struct v2_keys before;	       /* those that protected the last exchange */
	uint8_t auth[2][IKEC_PRF_MAX]; /* IntAuth_i and IntAuth_r so far */
	struct v2_ke *ke;	       /* work on the pool */
	struct v2_answer *answer;      /* responder: waits for it */
};

bool v2_inter_wanted(const struct cfg_ike_profile *p)
{
	for (unsigned i = 0; i < p->n_proposal; i++)
		if (p->proposal_ref[i]->n_addke)
			return true;
	return false;
}

void v2_inter_begin(struct v2_sa *sa)
{
	sa->inter = calloc(1, sizeof(*sa->inter));
	if (!sa->inter)
		abort();
}

void v2_inter_fini(struct v2_sa *sa)
{
	if (sa->inter) {
		v2_ke_forget(&sa->inter->ke);
		cv_secret_zero(sa->inter, sizeof(*sa->inter));
	}
	free(sa->inter);
	sa->inter = NULL;
}

bool v2_inter_complete(const struct v2_sa *sa)
{
	return !sa->suite.n_addke || (sa->inter && sa->inter->done == sa->suite.n_addke);
}

void v2_inter_swap(struct v2_sa *sa)
{
	struct v2_keys k = sa->keys;
	sa->keys = sa->inter->before;
	sa->inter->before = k;
	cv_secret_zero(&k, sizeof(k));
}

/* ---- IntAuth (RFC 9242 3.3) ---- */

static void put32(uint8_t *p, size_t v)
{
	for (unsigned i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> (24 - 8 * i));
}

/*
 * One message more: prf(SK_p, IntAuth so far | A | P), A the header and that of the encrypted payload as if nothing
 * were encrypted or in fragments, P the payloads inside, the first of type `first`.
 */
static int note_message(struct v2_sa *sa, const struct v2_hdr *h, uint8_t first, struct v2_view inner)
{
	bool by_initiator = h->flags & V2_FLAG_INITIATOR;
	uint8_t a[IKE_HDR_LEN + SK_HEAD], *auth = sa->inter->auth[!by_initiator];
	size_t n = ikec_prf_len(sa->suite.prf);
	memcpy(a, h->spi_i, IKE_SPI_LEN);
	memcpy(a + 8, h->spi_r, IKE_SPI_LEN);
	a[16] = V2_PL_SK;
	a[17] = 0x20;
	a[18] = h->exchange;
	a[19] = h->flags;
	put32(a + 20, h->msgid);
	put32(a + 24, sizeof(a) + inner.len);
	a[28] = first;
	a[29] = 0;
	a[30] = (uint8_t)((SK_HEAD + inner.len) >> 8);
	a[31] = (uint8_t)(SK_HEAD + inner.len);
	/* each end sends one message of an exchange: the number of exchanges so far is that of its messages */
	struct ikec_iov iov[3] = {{auth, sa->inter->n ? n : 0}, {a, sizeof(a)}, {inner.p, inner.len}};
	uint8_t out[IKEC_PRF_MAX];
	int err = ikec_prf(
		sa->suite.prf, by_initiator ? sa->setup->proof.i : sa->setup->proof.r, sa->keys.d_len, iov, 3, out);
	if (!err)
		memcpy(auth, out, n);
	return err;
}

/* The same for a message of ours that is complete but for its encryption. */
static int note_own(struct v2_sa *sa, const struct v2_hdr *h, const struct v2_enc *e)
{
	size_t at = e->sk_start + e->sk_head + v2_iv_len(&sa->suite);
	return note_message(sa, h, e->buf[e->sk_start], (struct v2_view){e->buf + at, e->len - at});
}

size_t v2_inter_octets(const struct v2_sa *sa, uint8_t out[V2_INTER_OCTETS_MAX])
{
	size_t n = ikec_prf_len(sa->suite.prf);
	if (!sa->inter || !sa->inter->n)
		return 0;
	memcpy(out, sa->inter->auth[0], n);
	memcpy(out + n, sa->inter->auth[1], n);
	put32(out + 2 * n, sa->inter->n + 1); /* message id of IKE_AUTH */
	return 2 * n + 4;
}

/* ---- key exchanges ---- */

/* The one that is due; see v2_ke_run(). */
static void run(struct v2_sa *sa, struct ikec_dh *dh, struct v2_view peer, void (*then)(void *of, struct v2_ke *ke))
{
	v2_ke_run(sa, &sa->inter->ke, sa, sa->suite.addke[sa->inter->done], dh, peer, then);
}

/* The exchange is over: SKEYSEED(n) = prf(SK_d(n-1), SK(n) | Ni | Nr), all keys anew (RFC 9370 2.2.2). */
static int exchange_done(struct v2_sa *sa, const struct v2_ke *ke)
{
	sa->inter->before = sa->keys;
	sa->inter->n++;
	if (!ke)
		return 0;
	sa->inter->done++;
	return v2_derive(
		sa, ke->shared, ke->shared_len, sa->inter->before.d, sa->inter->before.d_len, sa->suite.prf, V2_EMPTY);
}

/* The KE payload that is due. */
static bool right_ke(const struct v2_sa *sa, const struct v2_msg *m)
{
	enum ike_group g = sa->suite.addke[sa->inter->done];
	size_t len = sa->sa.initiator ? ikec_group_answer_len(g) : ikec_group_pub_len(g);
	return m->ke.p && m->ke_group == g && m->ke.len == len;
}

/* ---- responder ---- */

static void answer(struct v2_sa *sa, struct v2_answer *a, const struct v2_ke *ke)
{
	uint8_t buf[IKE_MSG_MAX];
	struct v2_enc e;
	struct v2_hdr h;
	v2_header(sa, &h, V2_IKE_INTERMEDIATE, a->msgid, true);
	v2_resp_begin(sa, a, &e, buf);
	if (ke)
		v2_enc_ke(&e, ke->dh);
	if (sa->inter->done + (ke != NULL) == sa->suite.n_addke)
		v2_enc_methods_inter(&e, sa);
	if (note_own(sa, &h, &e) != 0)
		e.bad = true;
	v2_respond(sa, a, &e);
	if (!sa->sa.dead && exchange_done(sa, ke) != 0)
		ike_sa_destroy(&sa->sa, "cannot derive keys");
}

static void answer_shared(void *of, struct v2_ke *ke)
{
	struct v2_sa *sa = of;
	if (ke->err)
		ike_sa_destroy(&sa->sa, "bad value from peer in an additional key exchange");
	else
		answer(sa, sa->inter->answer, ke);
}

void v2_inter_request(struct v2_sa *sa, struct v2_msg *m)
{
	bool due = !v2_inter_complete(sa);
	if (sa->inter->n >= EXCHANGES_MAX || (due && !right_ke(sa, m)) ||
		note_message(sa, &m->h, m->inner_first, m->inner) != 0) {
		v2_respond_notify(sa, m->answer, V2_N_INVALID_SYNTAX, NULL, 0);
		ike_sa_destroy(&sa->sa, "invalid IKE_INTERMEDIATE from peer");
	} else if (due) {
		sa->inter->answer = m->answer;
		run(sa, NULL, m->ke, answer_shared);
	} else {
		answer(sa, m->answer, NULL); /* for something that we do not know: nothing to say to it */
	}
}

/* ---- initiator ---- */

static void inter_build(struct v2_sa *sa, struct v2_task *t, struct v2_enc *e)
{
	struct v2_hdr h;
	v2_header(sa, &h, V2_IKE_INTERMEDIATE, sa->next_msgid, false);
	v2_enc_ke(e, t->dh);
	if (note_own(sa, &h, e) != 0)
		e->bad = true;
}

static void own_shared(void *of, struct v2_ke *ke)
{
	struct v2_sa *sa = of;
	if (ke->err || exchange_done(sa, ke) != 0)
		ike_sa_destroy(&sa->sa, "bad value from peer in an additional key exchange");
	else
		v2_inter_next(sa);
}

static void inter_response(struct v2_sa *sa, struct v2_task *t, struct v2_msg *m)
{
	const struct v2_notify *err = v2_find_error(m);
	struct ikec_dh *dh = t->dh;
	t->dh = NULL;
	v2_task_free(sa, t);
	if (err || !right_ke(sa, m) || note_message(sa, &m->h, m->inner_first, m->inner) != 0) {
		ikec_dh_free(dh);
		ike_sa_destroy(&sa->sa, err ? v2_notify_name(err->type) : "invalid response from peer");
		return;
	}
	v2_choose_cert(sa, m);
	run(sa, dh, m->ke, own_shared);
}

static const struct v2_task_ops inter_task = {
	.name = "IKE_INTERMEDIATE",
	.exchange = V2_IKE_INTERMEDIATE,
	.build = inter_build,
	.response = inter_response,
};

static void pair_made(void *of, struct v2_ke *ke)
{
	struct v2_sa *sa = of;
	if (ke->err) {
		ike_sa_destroy(&sa->sa, "Diffie-Hellman group not available");
		return;
	}
	struct v2_task *t = v2_task_new(&inter_task);
	t->group = ke->group;
	t->dh = ke->dh;
	ke->dh = NULL;
	v2_task_keep(sa, t);
	v2_task_send(sa, t);
}

void v2_inter_next(struct v2_sa *sa)
{
	if (v2_inter_complete(sa))
		v2_auth_start(sa);
	else
		run(sa, NULL, V2_EMPTY, pair_made);
}
