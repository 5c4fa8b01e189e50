/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fragments of IKEv1 messages, as the vendor id FRAGMENTATION announces them: payload 132 carries a piece of a finished
 * message, encrypted or not, so that the pieces prove nothing and only the whole does. One message per SA is put
 * together at a time, of V1_MSG_MAX bytes at most; a piece of another one throws the first away.
 */
#include <stdlib.h>
#include <string.h>

#include "v1_internal.h"

#define FRAG_HEAD 8u	  /* generic payload header, id (2), number (1), last (1) */
#define IP_UDP_MARKER 32u /* what is around a message in an IPv4 packet */
#define FRAG_MAX 64u

struct v1_frags {
	uint16_t id;
	uint8_t n_have, n_total; /* total 0 = the last one is not there yet */
	size_t len;
	struct {
		uint8_t *p;
		uint16_t len;
	} piece[FRAG_MAX];
};

void v1_frags_free(struct v1_sa *v)
{
	for (unsigned i = 0; v->frags && i < FRAG_MAX; i++)
		free(v->frags->piece[i].p);
	free(v->frags);
	v->frags = NULL;
}

/* ---- sending ---- */

void v1_send(struct v1_sa *v, const uint8_t *data, size_t len)
{
	uint8_t b[V1_FRAG_SIZE_MAX];
	size_t size = v->sa.profile && v->fragment ? v->sa.profile->fragment_size : 0;
	size_t room = size < V1_FRAG_SIZE_MAX ? size : V1_FRAG_SIZE_MAX;
	if (room <= IP_UDP_MARKER + V1_HDR_LEN + FRAG_HEAD || len + IP_UDP_MARKER <= room) {
		ike_sa_send(&v->sa, data, len);
		return;
	}
	room -= IP_UDP_MARKER + V1_HDR_LEN + FRAG_HEAD;
	v->frag_id++;
	for (size_t at = 0, number = 1; at < len; at += room, number++) {
		size_t n = len - at < room ? len - at : room, total = V1_HDR_LEN + FRAG_HEAD + n;
		bool last = at + n == len;
		memcpy(b, data, V1_HDR_LEN);
		b[16] = V1_PL_FRAGMENT;
		b[19] &= (uint8_t)~V1_FLAG_ENCRYPTED;
		const uint8_t head[] = {0, 0, (uint8_t)(total >> 8), (uint8_t)total, 0, 0,
			(uint8_t)((FRAG_HEAD + n) >> 8), (uint8_t)(FRAG_HEAD + n), (uint8_t)(v->frag_id >> 8),
			(uint8_t)v->frag_id, (uint8_t)number, last};
		memcpy(b + 24, head, sizeof(head));
		memcpy(b + V1_HDR_LEN + FRAG_HEAD, data + at, n);
		ike_sa_send(&v->sa, b, total);
	}
}

/* ---- receiving ---- */

/* The whole message in buf once every piece is there; 0 until then. */
static size_t assemble(struct v1_sa *v, uint8_t *buf)
{
	const struct v1_frags *f = v->frags;
	size_t at = 0;
	if (!f->n_total || f->n_have != f->n_total)
		return 0;
	for (unsigned i = 0; i < f->n_total; i++) {
		memcpy(buf + at, f->piece[i].p, f->piece[i].len);
		at += f->piece[i].len;
	}
	v1_frags_free(v);
	return at;
}

/* Keep one piece; false when it cannot belong to a message that we would take. */
static bool keep(struct v1_frags *f, unsigned i, bool last, const uint8_t *data, size_t len)
{
	if (f->piece[i].p)
		return true; /* a repeat */
	if (f->len + len > V1_MSG_MAX || (f->n_total && i >= f->n_total) || (last && f->n_total && f->n_total != i + 1))
		return false;
	for (unsigned k = i + 1; last && k < FRAG_MAX; k++)
		if (f->piece[k].p)
			return false;
	f->piece[i].p = malloc(len);
	if (!f->piece[i].p)
		return false;
	memcpy(f->piece[i].p, data, len);
	f->piece[i].len = (uint16_t)len;
	f->len += len;
	f->n_have++;
	if (last)
		f->n_total = (uint8_t)(i + 1);
	return true;
}

size_t v1_fragment_input(struct v1_sa *v, const struct v1_hdr *h, const uint8_t *data, uint8_t *buf)
{
	const uint8_t *p = data + V1_HDR_LEN;
	size_t len = h->len - V1_HDR_LEN;
	/* as we announce it: message 2 of aggressive mode may come so before we have read what the peer takes */
	bool announced = v->sa.profile && v->sa.profile->fragment_size;
	if (!announced || len <= FRAG_HEAD || p[0] || (size_t)(p[2] << 8 | p[3]) != len || !p[6] || p[6] > FRAG_MAX) {
		v->sa.ike->stats.rx_malformed++;
		return 0;
	}
	uint16_t id = (uint16_t)(p[4] << 8 | p[5]);
	if (v->frags && v->frags->id != id)
		v1_frags_free(v);
	if (!v->frags) {
		v->frags = calloc(1, sizeof(*v->frags));
		if (!v->frags)
			return 0;
		v->frags->id = id;
	}
	if (!keep(v->frags, p[6] - 1u, p[7] & 1, p + FRAG_HEAD, len - FRAG_HEAD)) {
		v->sa.ike->stats.rx_malformed++;
		v1_frags_free(v);
		return 0;
	}
	return assemble(v, buf);
}
