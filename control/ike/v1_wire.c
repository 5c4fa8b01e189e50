/* SPDX-License-Identifier: BSD-3-Clause */
/* IKEv1 messages on their way: headers, repeats, encryption, the HASH payload; and the pool job of Diffie-Hellman. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "v1_internal.h"

/* ---- sending ---- */

void v1_begin(const struct v1_sa *v, struct v1_out *o, uint8_t exchange, uint8_t flags, uint32_t msgid)
{
	struct v1_hdr h = {.exchange = exchange, .flags = flags, .msgid = msgid};
	memcpy(h.icookie, v->sa.spi_i, V1_COOKIE_LEN);
	memcpy(h.rcookie, v->sa.spi_r, V1_COOKIE_LEN);
	v1_out_start(o, &h);
}

int v1_tx_send(struct v1_sa *v, struct v1_tx *tx, const struct v1_out *o)
{
	uint8_t *copy = malloc(o->len);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, o->buf, o->len);
	free(tx->data);
	tx->data = copy;
	tx->len = o->len;
	tx->repeats = 0;
	ike_timer_stop(v->sa.ike, &tx->timer);
	v1_send(v, tx->data, tx->len);
	return 0;
}

void v1_tx_arm(struct v1_sa *v, struct v1_tx *tx, void (*fire)(struct ike *ike, struct ike_timer *t))
{
	tx->timer.fire = fire;
	ike_timer_set(v->sa.ike, &tx->timer, ike_now(v->sa.ike) + ike_backoff_ms(tx->repeats));
}

static void repeat(struct v1_sa *v, const struct v1_tx *tx)
{
	v->sa.ike->stats.tx_retransmits++;
	v->sa.retransmits++;
	v1_send(v, tx->data, tx->len);
}

bool v1_tx_repeat(struct v1_sa *v, struct v1_tx *tx)
{
	if (tx->repeats >= IKE_RETRIES)
		return false;
	tx->repeats++;
	repeat(v, tx);
	return true;
}

void v1_tx_free(struct v1_sa *v, struct v1_tx *tx)
{
	ike_timer_stop(v->sa.ike, &tx->timer);
	free(tx->data);
	tx->data = NULL;
}

static void digest(const uint8_t *data, size_t len, uint8_t out[20])
{
	struct ikec_iov iov = {data, len};
	if (ikec_sha1(&iov, 1, out))
		ikec_random(out, 20); /* never equal to anything: a repeat is then processed again and refused */
}

void v1_tx_note_rx(struct v1_tx *tx, const uint8_t *data, size_t len)
{
	digest(data, len, tx->rx_digest);
	tx->rx_seen = true;
}

bool v1_tx_seen(struct v1_sa *v, struct v1_tx *tx, const uint8_t *data, size_t len, bool answer)
{
	uint8_t d[20];
	if (!tx->rx_seen)
		return false;
	digest(data, len, d);
	if (memcmp(d, tx->rx_digest, sizeof(d)) != 0)
		return false;
	v->sa.ike->stats.rx_retransmits++;
	if (tx->data && answer)
		repeat(v, tx);
	return true;
}

/* ---- encryption and HASH ---- */

unsigned v1_decrypt(const struct v1_sa *v, const uint8_t *iv, const struct v1_hdr *h, const uint8_t *data, uint8_t *buf,
	uint8_t *next, struct v1_msg *m)
{
	size_t len = h->len - V1_HDR_LEN;
	if (!(h->flags & V1_FLAG_ENCRYPTED))
		return V1_N_INVALID_FLAGS;
	memcpy(buf, data + V1_HDR_LEN, len);
	if (v1_open(&v->k, iv, buf, len, next))
		return V1_N_PAYLOAD_MALFORMED;
	return v1_chain_parse(h, buf, len, true, m);
}

size_t v1_hash_begin(const struct v1_sa *v, struct v1_out *o)
{
	static const uint8_t zeros[IKEC_PRF_MAX];
	v1_out_payload(o, V1_PL_HASH, zeros, v->k.hash_len);
	return o->len - v->k.hash_len;
}

int v1_hash_fill(const struct v1_sa *v, struct v1_out *o, size_t at, uint32_t msgid, struct v1_span nonce)
{
	size_t rest = at + v->k.hash_len;
	if (o->overflow)
		return -EMSGSIZE;
	return v1_hash_msg(&v->k, msgid, nonce, v1_span_of(o->buf + rest, o->len - rest), o->buf + at);
}

bool v1_hash_check(const struct v1_sa *v, const struct v1_msg *m, struct v1_span nonce)
{
	uint8_t want[IKEC_PRF_MAX];
	if (m->n == 0 || m->h.next != V1_PL_HASH || m->pl[0].body.len != v->k.hash_len)
		return false;
	const uint8_t *rest = m->pl[0].body.p + v->k.hash_len;
	struct v1_span behind = {rest, (size_t)(m->chain.p + m->chain.len - rest)};
	if (v1_hash_msg(&v->k, m->h.msgid, nonce, behind, want))
		return false;
	return cv_secret_cmp(want, m->pl[0].body.p, v->k.hash_len) == 0;
}

bool v1_buf_set(struct v1_buf *b, struct v1_span s)
{
	if (s.len > sizeof(b->p))
		return false;
	b->len = (uint16_t)s.len;
	memcpy(b->p, s.p, s.len);
	return true;
}

void v1_heard(struct v1_sa *v, const struct ike_path *path, bool natt)
{
	struct ike_sa *sa = &v->sa;
	sa->last_rx_ms = ike_now(sa->ike);
	sa->rx++;
	v->dpd_misses = 0; /* DPD-11 */
	if (natt && sa->natt && sa->nat_remote)
		ike_sa_move(sa, &path->remote, path->rport);
}

/* ---- Diffie-Hellman ---- */

static void dh_work(struct ike_job *j)
{
	struct v1_dh *d = (struct v1_dh *)j;
	if (!d->dh)
		d->err = ikec_dh_new(d->group, &d->dh);
	if (!d->err && d->peer.len)
		d->err = ikec_dh_shared(d->dh, d->peer.p, d->peer.len, d->secret, &d->secret_len);
}

static void dh_done(struct ike_job *j)
{
	struct v1_dh *d = (struct v1_dh *)j;
	if (j->sa && !j->sa->dead)
		d->done(v1_of(j->sa), d);
	if (d->dh)
		ikec_dh_free(d->dh);
	cv_secret_zero(d->secret, sizeof(d->secret));
}

int v1_dh_run(struct v1_sa *v, enum ike_group group, struct ikec_dh **dh, const struct v1_ke *peer, uint32_t msgid,
	void (*done)(struct v1_sa *v, struct v1_dh *d))
{
	struct v1_dh *d = calloc(1, sizeof(*d));
	if (!d)
		return -ENOMEM;
	d->job.brief = ikec_ke_is_brief(group);
	d->job.work = dh_work;
	d->job.done = dh_done;
	d->group = group;
	d->dh = *dh;
	*dh = NULL;
	if (peer)
		d->peer = *peer;
	d->msgid = msgid;
	d->done = done;
	ike_job_run(v->sa.ike, &v->sa, &d->job);
	return 0;
}
