/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fragments of IKEv2 messages (RFC 7383): each is encrypted and authenticated by itself, so that only the peer can make
 * this end keep any. As many messages each way are put together as the window has, within bounds of number and size. A
 * finished message, whole or in fragments, is kept as the sequence of datagrams that it is sent as: each tells its own
 * length.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "v2_int.h"

#define FRAG_MAX 64u	      /* fragments of one message */
#define FRAG_BYTES_MAX 32768u /* of one message's payloads */
#define SKF_HEAD 8u	      /* generic header, fragment number, total fragments */
#define UDP_MARKER 12u	      /* UDP header and non-ESP marker around a message */

struct v2_frags {
	struct v2_frags *next;
	uint32_t msgid;
	uint16_t total, have;
	uint8_t first; /* type of the first payload, from fragment number one */
	size_t bytes;
	struct {
		uint8_t *p; /* NULL = not there yet */
		uint16_t len;
	} piece[FRAG_MAX];
};

static void frags_free(struct v2_frags **slot)
{
	struct v2_frags *f = *slot;
	*slot = f->next;
	for (unsigned i = 0; i < FRAG_MAX; i++) {
		if (f->piece[i].p)
			cv_secret_zero(f->piece[i].p, f->piece[i].len);
		free(f->piece[i].p);
	}
	free(f);
}

void v2_frags_fini(struct v2_sa *sa)
{
	for (unsigned i = 0; i < 2; i++)
		while (sa->frags[i])
			frags_free(&sa->frags[i]);
}

/* ---- receiving ---- */

/*
 * The place of the message that fragment m belongs to; NULL when there can be none. A larger total replaces a smaller
 * one: the peer has chosen smaller pieces. Where the window is full, the one begun first was given up by the peer.
 */
static struct v2_frags **frags_for(struct v2_frags **list, unsigned window, const struct v2_msg *m)
{
	struct v2_frags **slot = list, *f;
	unsigned n = 0;
	for (; *slot && (*slot)->msgid != m->h.msgid; slot = &(*slot)->next)
		n++;
	if (m->frag_total > FRAG_MAX || (*slot && m->frag_total < (*slot)->total))
		return NULL;
	if (*slot && (*slot)->total == m->frag_total)
		return slot;
	if (!*slot && n >= window)
		for (slot = list; (*slot)->next;)
			slot = &(*slot)->next;
	if (*slot)
		frags_free(slot);
	f = calloc(1, sizeof(*f));
	if (!f)
		return NULL;
	f->msgid = m->h.msgid;
	f->total = m->frag_total;
	f->next = *list;
	*list = f;
	return list;
}

static int join(struct v2_frags *f, uint8_t **whole, struct v2_view *inner)
{
	uint8_t *p = malloc(f->bytes ? f->bytes : 1);
	size_t at = 0;
	if (!p)
		return -EAGAIN;
	for (unsigned i = 0; i < f->total; i++) {
		memcpy(p + at, f->piece[i].p, f->piece[i].len);
		at += f->piece[i].len;
	}
	*whole = p;
	*inner = (struct v2_view){p, at};
	return 0;
}

int v2_frag_add(struct v2_sa *sa, const struct v2_msg *m, struct v2_view *inner, uint8_t *first, uint8_t **whole)
{
	bool response = m->h.flags & V2_FLAG_RESPONSE;
	struct v2_frags **slot = frags_for(&sa->frags[response], response ? sa->peer_window : sa->own_window, m);
	struct v2_frags *f = slot ? *slot : NULL;
	unsigned i = m->frag_num - 1u;
	if (!f || f->piece[i].p)
		return -EAGAIN;
	if (f->bytes + inner->len > FRAG_BYTES_MAX) {
		frags_free(slot);
		return -EAGAIN;
	}
	f->piece[i].p = malloc(inner->len ? inner->len : 1);
	if (!f->piece[i].p)
		return -EAGAIN;
	memcpy(f->piece[i].p, inner->p, inner->len);
	f->piece[i].len = (uint16_t)inner->len;
	f->bytes += inner->len;
	f->have++;
	if (i == 0)
		f->first = m->sk_next;
	if (f->have < f->total)
		return -EAGAIN;
	int err = join(f, whole, inner);
	*first = f->first;
	frags_free(slot);
	return err;
}

/* ---- sending ---- */

static int append(struct v2_buf *out, const uint8_t *data, size_t len)
{
	uint8_t *p = realloc(out->p, out->len + len);
	if (!p)
		return -ENOMEM;
	memcpy(p + out->len, data, len);
	out->p = p;
	out->len += len;
	return 0;
}

/* Longest IKE message for this SA; SIZE_MAX when messages go whole. */
static size_t message_max(const struct v2_sa *sa)
{
	size_t ip = sa->sa.path.remote.af == CV_AF_INET6 ? 40 : 20;
	size_t size = sa->sa.profile ? sa->sa.profile->fragment_size : 0;
	return sa->peer_frag && size > ip + UDP_MARKER ? size - ip - UDP_MARKER : SIZE_MAX;
}

/* One fragment: the header of the whole message, an SKF payload with this piece of what is inside. */
static int seal_piece(struct v2_sa *sa, const struct v2_enc *e, unsigned num, unsigned total, struct v2_view piece,
	struct v2_buf *out)
{
	uint8_t buf[IKE_MSG_MAX];
	struct v2_enc f = {.buf = buf, .size = sizeof(buf), .next_at = 16};
	v2_enc_bytes(&f, e->buf, IKE_HDR_LEN);
	v2_enc_skf(&f, (uint16_t)num, (uint16_t)total, v2_iv_len(&sa->suite));
	buf[f.sk_start] = num == 1 ? e->buf[e->sk_start] : V2_PL_NONE;
	v2_enc_bytes(&f, piece.p, piece.len);
	int err = v2_seal(sa, &f);
	return err ? err : append(out, buf, f.len);
}

int v2_seal_all(struct v2_sa *sa, struct v2_enc *e, struct v2_buf *out)
{
	size_t iv = v2_iv_len(&sa->suite), overhead = v2_sk_overhead(&sa->suite), max = message_max(sa);
	size_t data_at = e->sk_start + 4 + iv, len = e->len - data_at;
	int err = e->bad ? -EMSGSIZE : 0;
	v2_buf_free(out);
	if (err || IKE_HDR_LEN + 4 + overhead + len <= max || max < IKE_HDR_LEN + SKF_HEAD + overhead + 64) {
		err = err ? err : v2_seal(sa, e);
		return err ? err : append(out, e->buf, e->len);
	}
	size_t room = max - IKE_HDR_LEN - SKF_HEAD - overhead;
	unsigned total = (unsigned)((len + room - 1) / room);
	for (unsigned i = 0; !err && i < total; i++) {
		size_t at = i * room, n = len - at < room ? len - at : room;
		err = seal_piece(sa, e, i + 1, total, (struct v2_view){e->buf + data_at + at, n}, out);
	}
	return err;
}

void v2_send_all_to(struct v2_sa *sa, const struct ike_path *path, bool natt, const struct v2_buf *b)
{
	size_t at = 0;
	while (b->len - at >= IKE_HDR_LEN) {
		size_t len = v2_get32(b->p + at + 24);
		if (len < IKE_HDR_LEN || len > b->len - at)
			return; /* only a damaged vault record could say so */
		ike_sa_send_to(&sa->sa, path, natt, b->p + at, len);
		at += len;
	}
}

void v2_send_all(struct v2_sa *sa, const struct v2_buf *b)
{
	v2_send_all_to(sa, &sa->sa.path, sa->sa.natt, b);
	if (ike_timer_running(&sa->sa.keepalive))
		ike_keepalive_arm(&sa->sa);
}
