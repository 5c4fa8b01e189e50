/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The transaction exchange (draft-dukes-ike-mode-cfg-02): one message and its answer, protected like an informational
 * exchange. Over it run Xauth (v1_xauth.c) and mode configuration (v1_modecfg.c), which stand between phase 1 and the
 * first quick mode: v1_cfg_next() takes an SA from one to the next. One exchange of ours is open at a time; of the
 * peer's, the last one is remembered so that a repeat gets the same answer.
 */
#include <stdlib.h>
#include <string.h>

#include "v1_internal.h"

#define REPEAT_MS 5000u /* VRF-45 */
#define TRIES 3u

struct v1_trx {
	uint32_t msgid; /* 0 = none */
	uint16_t id;
	uint8_t iv[V1_IV_MAX];
	struct v1_tx tx;
};

struct v1_cfg {
	struct v1_trx ours, theirs;
	uint8_t asked; /* type of our open message, 0 = none */
};

static struct v1_cfg *state_of(struct v1_sa *v)
{
	if (!v->cfg)
		v->cfg = calloc(1, sizeof(*v->cfg));
	return v->cfg;
}

void v1_cfg_free(struct v1_sa *v)
{
	if (!v->cfg)
		return;
	v1_tx_free(v, &v->cfg->ours.tx);
	v1_tx_free(v, &v->cfg->theirs.tx);
	free(v->cfg);
	v->cfg = NULL;
}

/* ---- sending ---- */

void v1_cfg_begin(struct v1_sa *v, struct v1_cfg_out *c, uint8_t type, const struct v1_cfg_msg *answer_to)
{
	struct v1_cfg *s = state_of(v);
	struct v1_trx *t = !s ? NULL : answer_to ? &s->theirs : &s->ours;
	c->trx = t;
	c->type = type;
	if (!t)
		return;
	if (!answer_to) {
		do {
			ikec_random(&t->msgid, sizeof(t->msgid));
		} while (!t->msgid);
		ikec_random(&t->id, sizeof(t->id));
		t->tx.rx_seen = false;
	} else {
		t->id = answer_to->id;
	}
	v1_begin(v, &c->o, V1_EX_TRANSACTION, V1_FLAG_ENCRYPTED, t->msgid);
	c->hash_at = v1_hash_begin(v, &c->o);
	v1_out_begin(&c->o, V1_PL_ATTR);
	v1_out_u8(&c->o, type);
	v1_out_u8(&c->o, 0);
	v1_out_u16(&c->o, t->id);
}

static void repeat_timer(struct ike *ike, struct ike_timer *t)
{
	struct v1_trx *x = IKE_CONTAINER(t, struct v1_trx, tx.timer);
	struct v1_sa *v = x->tx.owner;
	v->sa.bad++; /* VRF-45 */
	if (x->tx.repeats + 1 < TRIES && v1_tx_repeat(v, &x->tx)) {
		ike_timer_set(ike, t, ike_now(ike) + REPEAT_MS);
		return;
	}
	v->cfg->asked = 0;
	x->msgid = 0;
	if (v->sa.state == V1_CONF_XAUTH)
		v1_fail(v, "Xauth not answered"); /* IKE-55 */
	else
		v1_modecfg_unanswered(v);
}

bool v1_cfg_send(struct v1_sa *v, struct v1_cfg_out *c)
{
	struct v1_trx *t = c->trx;
	bool ours = t && t == &v->cfg->ours;
	if (!t)
		return false;
	v1_out_end(&c->o);
	if ((ours && v1_keys_iv2(&v->k, t->msgid, t->iv)) ||
		v1_hash_fill(v, &c->o, c->hash_at, t->msgid, v1_span_of(NULL, 0)) || v1_seal(&v->k, t->iv, &c->o) ||
		v1_tx_send(v, &t->tx, &c->o)) {
		v1_fail(v, "encryption failed");
		return false;
	}
	if (ours) {
		v->cfg->asked = c->type;
		t->tx.owner = v;
		t->tx.timer.fire = repeat_timer;
		ike_timer_set(v->sa.ike, &t->tx.timer, ike_now(v->sa.ike) + REPEAT_MS);
	}
	return true;
}

/* ---- receiving ---- */

/* Something that we asked. Its message id says so; identifiers are not echoed by everybody. */
static void answered(struct v1_sa *v, const struct v1_cfg_msg *m)
{
	uint8_t asked = v->cfg->asked;
	v1_tx_free(v, &v->cfg->ours.tx);
	v->cfg->asked = 0;
	if (m->type != (asked == V1_CFG_REQUEST ? V1_CFG_REPLY : V1_CFG_ACK)) {
		v->sa.ike->stats.rx_unexpected++;
		if (v->sa.state != V1_QM_IDLE)
			v1_fail(v, "wrong answer in a transaction exchange");
		return;
	}
	v->cfg->ours.msgid = 0;
	if (v->sa.state == V1_CONF_XAUTH)
		v1_xauth_answer(v, m);
	else
		v1_modecfg_answer(v, m);
}

/* Something that the peer asks. Xauth and mode configuration tell themselves apart by their attributes. */
static void asked(struct v1_sa *v, const struct v1_cfg_msg *m)
{
	if (m->type != V1_CFG_REQUEST && m->type != V1_CFG_SET)
		v->sa.ike->stats.rx_unexpected++;
	else if (!v1_xauth_asked(v, m))
		v1_modecfg_asked(v, m);
}

void v1_cfg_input(struct v1_sa *v, const struct ike_path *path, bool natt, const struct v1_hdr *h, const uint8_t *data)
{
	uint8_t buf[V1_MSG_MAX], iv[V1_IV_MAX], next[V1_IV_MAX];
	struct v1_msg m;
	struct v1_cfg *s = state_of(v);
	const struct v1_payload *p;
	if (!s || !h->msgid || v1_tx_seen(v, &s->theirs.tx, data, h->len, true) ||
		v1_tx_seen(v, &s->ours.tx, data, h->len, false))
		return;
	bool ours = s->asked && h->msgid == s->ours.msgid;
	if (ours || h->msgid == s->theirs.msgid)
		memcpy(iv, ours ? s->ours.iv : s->theirs.iv, V1_IV_MAX);
	else if (v1_keys_iv2(&v->k, h->msgid, iv))
		return;
	if (v1_decrypt(v, iv, h, data, buf, next, &m) || !v1_hash_check(v, &m, v1_span_of(NULL, 0)) ||
		!(p = v1_find(&m, V1_PL_ATTR, 0))) {
		v->sa.bad++;
		v->sa.ike->stats.rx_bad_integrity++;
	} else {
		struct v1_trx *t = ours ? &s->ours : &s->theirs;
		struct v1_cfg_msg c = v1_cfg_read(p->body);
		v1_heard(v, path, natt);
		if (!ours)
			t->msgid = h->msgid;
		memcpy(t->iv, next, V1_IV_MAX);
		if (!ours)
			v1_tx_free(v, &t->tx); /* an older answer */
		v1_tx_note_rx(&t->tx, data, h->len);
		if (ours)
			answered(v, &c);
		else
			asked(v, &c);
	}
	cv_secret_zero(buf, sizeof(buf)); /* it may have held a password */
}

/* ---- from phase 1 to quick mode ---- */

void v1_cfg_next(struct v1_sa *v)
{
	const struct cfg_ike_profile *p = v->sa.profile;
	if (p->xauth != CFG_XAUTH_OFF && !v->no_login && !v->xauth_done) {
		v->sa.state = V1_CONF_XAUTH;
		v->sa.fail_reason =
			p->xauth == CFG_XAUTH_SERVER ? "Xauth not answered" : "the peer did not ask for a login";
		v1_patience(v);
		if (p->xauth == CFG_XAUTH_SERVER)
			v1_xauth_start(v);
		return;
	}
	v->sa.fail_reason = NULL;
	if (!v->config_done && (p->config_request || p->config_initiate)) {
		v->sa.state = V1_CONF_ADDR;
		v1_patience(v);
		v1_modecfg_start(v);
		return;
	}
	v->sa.state = V1_QM_IDLE;
	v1_established(v);
}
