/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * IKEv2's part of the vault record: keys, message ids, the last answer, and the request under way. A request whose task
 * died with the process goes on being repeated until it is answered, for the window would stay shut otherwise; what the
 * answer brings into being at the peer is deleted again, and the timers start the exchange anew.
 */
#include <errno.h>
#include <string.h>

#include "v2_int.h"

#define KEPT_MAX 3500u /* longest message kept: the record has about 8 kB */

/* A pair that the peer has made at our request and that is not installed here yet. */
static bool dangling(const struct ike_child *c)
{
	return c->p.initiator && c->p.spi_out && c->state < IKE_CHILD_ESTABLISHED;
}

static void put_dangling(const struct ike_sa *sa, struct ike_wbuf *w)
{
	const struct ike_child *c;
	uint8_t n = 0;
	TAILQ_FOREACH (c, &sa->children, link)
		n += dangling(c);
	ike_put_u8(w, n);
	TAILQ_FOREACH (c, &sa->children, link)
		if (dangling(c)) {
			ike_put_u8(w, ike_child_proto(&c->p));
			ike_put_u32(w, c->p.spi_in);
		}
}

/* Its keys are lost: the peer shall forget it, too, once this process is on its feet. */
static void get_dangling(struct v2_sa *sa, struct ike_rbuf *r)
{
	for (uint8_t n = ike_get_u8(r); n && !r->bad; n--) {
		struct v2_task *t = v2_task_new(&v2_info_task);
		t->spi_proto = ike_get_u8(r);
		t->spi[0] = ike_get_u32(r);
		t->n_spi = 1;
		t->not_before_ms = ike_now(sa->sa.ike) + 100;
		v2_task_queue(sa, t);
	}
}

void v2_serialize(const struct ike_sa *base, struct ike_wbuf *w)
{
	const struct v2_sa *sa = (const struct v2_sa *)base;
	const struct v2_task *t = sa->cur_sent && sa->out.p ? sa->cur : NULL;
	ike_put(w, &sa->suite, sizeof(sa->suite));
	ike_put(w, &sa->keys, sizeof(sa->keys));
	ike_put_id(w, &sa->id_local);
	ike_put_id(w, &sa->id_peer);
	ike_put_u32(w, sa->next_msgid);
	ike_put_u32(w, sa->peer_msgid);
	ike_put_u64(w, sa->iv_last);
	ike_put_u8(w, sa->peer_frag);
	ike_put_blob(w, sa->resp.p, sa->resp.len <= KEPT_MAX ? sa->resp.len : 0);
	ike_put_blob(w, sa->out.p, t ? sa->out.len : 0);
	ike_put_u8(w, t ? t->ops->exchange : 0);
	ike_put_u8(w, t ? (t->kind_before ? t->kind_before : t->ops->kind) : 0);
	ike_put_u8(w, t ? t->spi_proto : 0);
	ike_put_u32(w, t && t->n_spi ? t->spi[0] : 0);
	put_dangling(base, w);
}

/* ---- the orphan: a request whose task is gone ---- */

static void orphan_response(struct v2_sa *sa, struct v2_task *t, struct v2_msg *m)
{
	uint8_t kind = t->kind_before;
	uint32_t spi = t->spi[0];
	uint8_t proto = t->spi_proto;
	struct ike_child *c = spi ? ike_child_by_spi_in(&sa->sa, spi) : NULL;
	bool made = m->sa.p && !v2_find_error(m);
	v2_task_free(t);
	if (kind == V2_TASK_CHILD && made) {
		v2_send_delete(sa, proto, spi); /* our keys for it are lost */
	} else if (kind == V2_TASK_REKEY_IKE && made) {
		/* the peer has moved to an SA whose keys we do not have */
		ike_sa_destroy(&sa->sa, "IKE rekey interrupted by a restart");
	} else if (kind == V2_TASK_OTHER && c) {
		ike_child_remove(c, IKE_LINGER_MS); /* it was a delete */
	}
}

static const struct v2_task_ops orphan_create = {
	.name = "CREATE_CHILD_SA (restored)", .exchange = V2_CREATE_CHILD_SA, .response = orphan_response};
static const struct v2_task_ops orphan_info = {
	.name = "INFORMATIONAL (restored)", .exchange = V2_INFORMATIONAL, .response = orphan_response};

int v2_restore(struct ike_sa *base, struct ike_rbuf *r)
{
	struct v2_sa *sa = v2_of(base);
	size_t len;
	ike_get(r, &sa->suite, sizeof(sa->suite));
	ike_get(r, &sa->keys, sizeof(sa->keys));
	ike_get_id(r, &sa->id_local);
	ike_get_id(r, &sa->id_peer);
	sa->next_msgid = ike_get_u32(r);
	sa->peer_msgid = ike_get_u32(r);
	sa->iv_last = ike_get_u64(r);
	sa->peer_frag = ike_get_u8(r) != 0;
	const uint8_t *p = ike_get_blob(r, &len, KEPT_MAX);
	if (p && len)
		v2_buf_set(&sa->resp, p, len);
	const uint8_t *out = ike_get_blob(r, &len, IKE_MSG_MAX);
	uint8_t exchange = ike_get_u8(r), kind = ike_get_u8(r), proto = ike_get_u8(r);
	uint32_t spi = ike_get_u32(r);
	if (r->bad || base->phase != IKE_PHASE_ESTABLISHED || base->state != V2_ESTABLISHED ||
		sa->keys.d_len > V2_KEY_MAX || sa->keys.a_len > V2_KEY_MAX || sa->keys.e_len > V2_KEY_MAX)
		return -EPROTO;
	if (len) {
		v2_buf_set(&sa->out, out, len);
		sa->cur = v2_task_new(exchange == V2_CREATE_CHILD_SA ? &orphan_create : &orphan_info);
		sa->cur->kind_before = kind;
		sa->cur->spi[0] = spi;
		sa->cur->spi_proto = proto;
		sa->cur->n_spi = spi != 0;
		sa->cur_sent = true;
		v2_request_resume(sa);
	}
	get_dangling(sa, r);
	v2_dpd_arm(sa);
	return r->bad ? -EPROTO : 0;
}

void v2_child_serialize(const struct ike_child *base, struct ike_wbuf *w)
{
	const struct v2_child *c = (const struct v2_child *)base;
	ike_put_u32(w, c->successor_spi);
	ike_put(w, &c->want, sizeof(c->want));
}

int v2_child_restore(struct ike_child *base, struct ike_rbuf *r)
{
	struct v2_child *c = v2_child_of(base);
	c->successor_spi = ike_get_u32(r);
	ike_get(r, &c->want, sizeof(c->want));
	return r->bad ? -EPROTO : 0;
}
