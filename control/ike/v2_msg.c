/* SPDX-License-Identifier: BSD-3-Clause */
/* IKEv2 messages: strict parser and encoder. */
#include "v2_msg.h"

#include <errno.h>
#include <string.h>

#define PL_HDR 4u /* generic payload header (RFC 7296 3.2) */

int v2_parse_header(const uint8_t *data, size_t len, struct v2_msg *m)
{
	memset(m, 0, sizeof(*m));
	m->raw = data;
	m->raw_len = len;
	memcpy(m->h.spi_i, data, IKE_SPI_LEN);
	memcpy(m->h.spi_r, data + 8, IKE_SPI_LEN);
	m->h.next = data[16];
	m->h.exchange = data[18];
	m->h.flags = data[19];
	m->h.msgid = v2_get32(data + 20);
	static const uint8_t zero[IKE_SPI_LEN];
	return memcmp(m->h.spi_i, zero, IKE_SPI_LEN) == 0 ? -EPROTO : 0;
}

/* ---- one validate function per payload: body is what follows the generic header ---- */

static bool valid_nonce(struct v2_view b)
{
	return b.len >= V2_NONCE_MIN && b.len <= V2_NONCE_MAX;
}

static bool valid_notify(struct v2_view b)
{
	return b.len >= 4 && b.len >= 4u + b.p[1];
}

static bool valid_delete(struct v2_view b)
{
	if (b.len < 4)
		return false;
	size_t n = v2_get16(b.p + 2), size = b.p[1];
	if (b.p[0] == V2_PROTO_IKE)
		return size == 0 && n == 0 && b.len == 4;
	return size == 4 && b.len == 4 + n * size;
}

static bool valid_ts(struct v2_view b)
{
	if (b.len < 4 || b.p[0] == 0)
		return false;
	size_t off = 4;
	for (unsigned i = 0; i < b.p[0]; i++) {
		if (b.len - off < 8)
			return false;
		size_t len = v2_get16(b.p + off + 2);
		uint8_t type = b.p[off];
		if (len < 8 || len > b.len - off || (type == V2_TS_IPV4 && len != 16) ||
			(type == V2_TS_IPV6 && len != 40))
			return false;
		off += len;
	}
	return off == b.len;
}

static bool valid_attributes(const uint8_t *p, size_t left)
{
	while (left) {
		if (left < 4)
			return false;
		size_t len = p[0] & 0x80 ? 4 : 4u + v2_get16(p + 2);
		if (len > left)
			return false;
		p += len;
		left -= len;
	}
	return true;
}

static bool valid_transforms(const uint8_t *p, size_t left, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		if (left < 8)
			return false;
		size_t len = v2_get16(p + 2);
		if (len < 8 || len > left || p[0] != (i + 1 < n ? 3 : 0) || !valid_attributes(p + 8, len - 8))
			return false;
		p += len;
		left -= len;
	}
	return left == 0;
}

static bool valid_sa(struct v2_view b)
{
	const uint8_t *p = b.p;
	size_t left = b.len;
	bool more = true;
	while (more) {
		if (left < 8)
			return false;
		size_t len = v2_get16(p + 2), spi = p[6];
		if (len < 8 + spi || len > left || (p[0] != 0 && p[0] != 2) || p[7] == 0 ||
			!valid_transforms(p + 8 + spi, len - 8 - spi, p[7]))
			return false;
		more = p[0] == 2;
		p += len;
		left -= len;
	}
	return left == 0;
}

static const char *once(struct v2_view *slot, struct v2_view b, size_t skip)
{
	if (slot->p)
		return "payload given twice";
	if (b.len < skip)
		return "payload too short";
	slot->p = b.p + skip;
	slot->len = b.len - skip;
	return NULL;
}

static const char *use_notify(struct v2_msg *m, struct v2_view b)
{
	if (!valid_notify(b))
		return "bad Notify payload";
	if (m->n_notify < V2_NOTIFY_MAX) {
		struct v2_notify *n = &m->notify[m->n_notify++];
		n->proto = b.p[0];
		n->type = v2_get16(b.p + 2);
		n->spi = (struct v2_view){b.p + 4, b.p[1]};
		n->data = (struct v2_view){b.p + 4 + b.p[1], b.len - 4 - b.p[1]};
	}
	return NULL;
}

static const char *use_delete(struct v2_msg *m, struct v2_view b)
{
	if (!valid_delete(b))
		return "bad Delete payload";
	if (m->n_delete < V2_DELETE_MAX) {
		struct v2_delete *d = &m->del[m->n_delete++];
		d->proto = b.p[0];
		d->spi_len = b.p[1];
		d->n = v2_get16(b.p + 2);
		d->spis = b.p + 4;
	}
	return NULL;
}

enum { CERT_X509 = 4, CERT_URL = 12, CERT_URL_BUNDLE = 13 }; /* RFC 7296 3.6 */

static const char *use_cert(struct v2_msg *m, struct v2_view b)
{
	if (b.len < 2)
		return "bad CERT payload";
	if (b.p[0] == CERT_URL || b.p[0] == CERT_URL_BUNDLE)
		m->url_cert = true;
	if (b.p[0] == CERT_X509 && m->n_cert < V2_CERT_MAX)
		m->cert[m->n_cert++] = (struct v2_view){b.p + 1, b.len - 1};
	return NULL;
}

static const char *use_payload(struct v2_msg *m, uint8_t type, bool critical, struct v2_view b)
{
	switch (type) {
	case V2_PL_SA:
		return valid_sa(b) ? once(&m->sa, b, 0) : "bad SA payload";
	case V2_PL_KE:
		if (b.len < 5)
			return "bad KE payload";
		m->ke_group = v2_get16(b.p);
		return once(&m->ke, b, 4);
	case V2_PL_IDI:
	case V2_PL_IDR:
		/* the view keeps the four bytes of type and reserved: AUTH covers them */
		return b.len > 4 && b.len <= 4 + IKE_ID_MAX ? once(type == V2_PL_IDI ? &m->idi : &m->idr, b, 0)
							    : "bad ID payload";
	case V2_PL_AUTH:
		if (b.len < 5)
			return "bad AUTH payload";
		m->auth_method = b.p[0];
		return once(&m->auth, b, 4);
	case V2_PL_NONCE:
		return valid_nonce(b) ? once(&m->nonce, b, 0) : "bad Nonce payload";
	case V2_PL_PS:
		return b.len ? once(&m->ps, b, 0) : "bad Puzzle Solution payload";
	case V2_PL_NOTIFY:
		return use_notify(m, b);
	case V2_PL_DELETE:
		return use_delete(m, b);
	case V2_PL_TSI:
	case V2_PL_TSR:
		return valid_ts(b) ? once(type == V2_PL_TSI ? &m->tsi : &m->tsr, b, 0) : "bad TS payload";
	case V2_PL_CERT:
		return use_cert(m, b);
	case V2_PL_CERTREQ:
		if (!b.len)
			return "bad CERTREQ payload";
		if (b.p[0] == CERT_X509 && m->n_certreq < V2_CERTREQ_MAX)
			m->certreq[m->n_certreq++] = (struct v2_view){b.p + 1, b.len - 1};
		return NULL;
	case V2_PL_EAP:
		m->skipped_eap = true;
		return NULL;
	case V2_PL_CP:
		m->skipped_cp = true;
		return NULL;
	case V2_PL_VID:
		return NULL;
	default:
		if (critical && !m->critical)
			m->critical = type;
		return NULL;
	}
}

/* RFC 7383 2.5: number and total of the fragment come before the IV. */
static bool use_fragment(struct v2_msg *m, struct v2_view *b)
{
	if (b->len < 4)
		return false;
	m->frag_num = v2_get16(b->p);
	m->frag_total = v2_get16(b->p + 2);
	b->p += 4;
	b->len -= 4;
	return m->frag_num && m->frag_num <= m->frag_total;
}

int v2_parse_payloads(struct v2_msg *m, uint8_t next, const uint8_t *data, size_t len, bool inside, const char **why)
{
	size_t off = 0;
	*why = NULL;
	while (next != V2_PL_NONE) {
		size_t left = len - off;
		if (left < PL_HDR || v2_get16(data + off + 2) < PL_HDR || v2_get16(data + off + 2) > left) {
			*why = "payload length out of bounds";
			return -EPROTO;
		}
		const uint8_t *p = data + off;
		struct v2_view body = {p + PL_HDR, v2_get16(p + 2) - PL_HDR};
		off += PL_HDR + body.len;
		if (next == V2_PL_SK || next == V2_PL_SKF) {
			if (inside || off != len || (next == V2_PL_SKF && !use_fragment(m, &body))) {
				*why = "encrypted payload is not the last one, or a bad fragment";
				return -EPROTO;
			}
			m->sk = body;
			m->sk_next = p[0];
			return 0;
		}
		*why = use_payload(m, next, p[1] & 0x80, body);
		if (*why)
			return -EPROTO;
		next = p[0];
	}
	if (off != len) {
		*why = "bytes after the last payload";
		return -EPROTO;
	}
	return 0;
}

/* ---- use: the bounds have been checked by valid_sa / valid_ts ---- */

static void use_transform(const uint8_t *p, size_t len, struct v2_transform *t)
{
	memset(t, 0, sizeof(*t));
	t->type = p[4];
	t->id = v2_get16(p + 6);
	for (size_t off = 8; off < len;) {
		const uint8_t *a = p + off;
		if (a[0] & 0x80 && (v2_get16(a) & 0x7fff) == 14)
			t->key_bits = v2_get16(a + 2);
		else
			t->strange = true;
		off += a[0] & 0x80 ? 4 : 4u + v2_get16(a + 2);
	}
}

int v2_parse_sa(struct v2_view v, struct v2_sa_pl *out)
{
	out->n = out->n_transform = 0;
	if (!v.p || !valid_sa(v))
		return -EPROTO;
	for (size_t off = 0; off < v.len && out->n < V2_PROPOSAL_MAX; off += v2_get16(v.p + off + 2)) {
		const uint8_t *p = v.p + off, *t = p + 8 + p[6];
		struct v2_proposal *pr = &out->prop[out->n];
		if (out->n_transform + p[7] > V2_TRANSFORM_MAX)
			break;
		*pr = (struct v2_proposal){
			.num = p[4], .proto = p[5], .spi = {p + 8, p[6]}, .first = out->n_transform, .n = p[7]};
		for (unsigned i = 0; i < p[7]; i++, t += v2_get16(t + 2))
			use_transform(t, v2_get16(t + 2), &out->transform[out->n_transform++]);
		out->n++;
	}
	return 0;
}

int v2_parse_ts(struct v2_view v, struct v2_ts_pl *out)
{
	out->n = 0;
	if (!v.p || !valid_ts(v))
		return -EPROTO;
	for (size_t off = 4; off < v.len && out->n < V2_TS_MAX; off += v2_get16(v.p + off + 2)) {
		const uint8_t *p = v.p + off;
		struct v2_ts *ts = &out->ts[out->n];
		if (p[0] != V2_TS_IPV4 && p[0] != V2_TS_IPV6)
			continue;
		size_t alen = p[0] == V2_TS_IPV4 ? 4 : 16;
		memset(ts, 0, sizeof(*ts));
		ts->proto = p[1];
		ts->lo = v2_get16(p + 4);
		ts->hi = v2_get16(p + 6);
		ts->range.lo.af = ts->range.hi.af = alen == 4 ? CV_AF_INET : CV_AF_INET6;
		memcpy(ts->range.lo.b, p + 8, alen);
		memcpy(ts->range.hi.b, p + 8 + alen, alen);
		/* 65535..0 is OPAQUE (RFC 7296 3.13.1): never asked for here; an empty range matches nothing */
		if (ts->lo <= ts->hi && memcmp(ts->range.lo.b, ts->range.hi.b, alen) <= 0)
			out->n++;
	}
	return 0;
}

const struct v2_notify *v2_find_notify(const struct v2_msg *m, uint16_t type)
{
	for (unsigned i = 0; i < m->n_notify; i++)
		if (m->notify[i].type == type)
			return &m->notify[i];
	return NULL;
}

const struct v2_notify *v2_find_error(const struct v2_msg *m)
{
	for (unsigned i = 0; i < m->n_notify; i++)
		if (m->notify[i].type <= V2_N_ERROR_MAX)
			return &m->notify[i];
	return NULL;
}

const char *v2_notify_name(uint16_t type)
{
	switch (type) {
	case V2_N_UNSUPPORTED_CRITICAL_PAYLOAD:
		return "unsupported critical payload";
	case V2_N_STATE_NOT_FOUND:
		return "the peer has given up the exchange";
	case V2_N_TS_MAX_QUEUE:
		return "the peer wants no more SAs of these selectors";
	case V2_N_INVALID_SYNTAX:
		return "invalid syntax";
	case V2_N_NO_PROPOSAL_CHOSEN:
		return "no proposal chosen";
	case V2_N_INVALID_KE_PAYLOAD:
		return "invalid key exchange group";
	case V2_N_AUTHENTICATION_FAILED:
		return "authentication failed";
	case V2_N_SINGLE_PAIR_REQUIRED:
		return "single pair of traffic selectors required";
	case V2_N_NO_ADDITIONAL_SAS:
		return "no additional SAs";
	case V2_N_FAILED_CP_REQUIRED:
		return "configuration request required";
	case V2_N_TS_UNACCEPTABLE:
		return "traffic selectors unacceptable";
	case V2_N_TEMPORARY_FAILURE:
		return "temporary failure";
	case V2_N_CHILD_SA_NOT_FOUND:
		return "child SA not found";
	default:
		return "refused by peer";
	}
}

/* ---- encoder ---- */

void v2_enc_bytes(struct v2_enc *e, const void *data, size_t len)
{
	if (e->bad || len > e->size - e->len) {
		e->bad = true;
		return;
	}
	if (len)
		memcpy(e->buf + e->len, data, len);
	e->len += len;
}

void v2_enc_u8(struct v2_enc *e, uint8_t v)
{
	v2_enc_bytes(e, &v, 1);
}

void v2_enc_u16(struct v2_enc *e, uint16_t v)
{
	uint8_t b[2] = {(uint8_t)(v >> 8), (uint8_t)v};
	v2_enc_bytes(e, b, 2);
}

void v2_enc_u32(struct v2_enc *e, uint32_t v)
{
	uint8_t b[4] = {(uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};
	v2_enc_bytes(e, b, 4);
}

static void patch16(struct v2_enc *e, size_t at, size_t v)
{
	if (e->bad)
		return;
	e->buf[at] = (uint8_t)(v >> 8);
	e->buf[at + 1] = (uint8_t)v;
}

void v2_enc_header(struct v2_enc *e, uint8_t *buf, size_t size, const struct v2_hdr *h)
{
	*e = (struct v2_enc){.buf = buf, .size = size, .next_at = 16};
	v2_enc_bytes(e, h->spi_i, IKE_SPI_LEN);
	v2_enc_bytes(e, h->spi_r, IKE_SPI_LEN);
	v2_enc_u8(e, V2_PL_NONE);
	v2_enc_u8(e, 0x20);
	v2_enc_u8(e, h->exchange);
	v2_enc_u8(e, h->flags);
	v2_enc_u32(e, h->msgid);
	v2_enc_u32(e, 0);
}

void v2_enc_begin(struct v2_enc *e, enum v2_payload type)
{
	if (!e->bad)
		e->buf[e->next_at] = (uint8_t)type;
	e->start = e->next_at = e->len;
	v2_enc_u32(e, 0);
}

void v2_enc_end(struct v2_enc *e)
{
	patch16(e, e->start + 2, e->len - e->start);
}

void v2_enc_sk(struct v2_enc *e, size_t iv_len)
{
	static const uint8_t zero[16];
	v2_enc_begin(e, V2_PL_SK);
	e->sk_start = e->start;
	e->sk_head = PL_HDR;
	v2_enc_bytes(e, zero, iv_len);
}

void v2_enc_skf(struct v2_enc *e, uint16_t num, uint16_t total, size_t iv_len)
{
	static const uint8_t zero[16];
	v2_enc_begin(e, V2_PL_SKF);
	e->sk_start = e->start;
	e->sk_head = PL_HDR + 4;
	v2_enc_u16(e, num);
	v2_enc_u16(e, total);
	v2_enc_bytes(e, zero, iv_len);
}

int v2_enc_finish(struct v2_enc *e)
{
	if (e->bad)
		return -EMSGSIZE;
	e->buf[24] = (uint8_t)(e->len >> 24);
	e->buf[25] = (uint8_t)(e->len >> 16);
	e->buf[26] = (uint8_t)(e->len >> 8);
	e->buf[27] = (uint8_t)e->len;
	return 0;
}

void v2_enc_blob(struct v2_enc *e, enum v2_payload type, const void *data, size_t len)
{
	v2_enc_begin(e, type);
	v2_enc_bytes(e, data, len);
	v2_enc_end(e);
}

void v2_enc_ke(struct v2_enc *e, const struct ikec_dh *dh)
{
	v2_enc_begin(e, V2_PL_KE);
	v2_enc_u16(e, (uint16_t)ikec_dh_group(dh));
	v2_enc_u16(e, 0);
	v2_enc_bytes(e, ikec_dh_pub(dh), ikec_dh_pub_len(dh));
	v2_enc_end(e);
}

void v2_enc_notify(struct v2_enc *e, uint16_t type, const void *data, size_t len)
{
	v2_enc_begin(e, V2_PL_NOTIFY);
	v2_enc_u16(e, 0);
	v2_enc_u16(e, type);
	v2_enc_bytes(e, data, len);
	v2_enc_end(e);
}

void v2_enc_notify_spi(struct v2_enc *e, uint16_t type, uint8_t proto, uint32_t spi)
{
	v2_enc_begin(e, V2_PL_NOTIFY);
	v2_enc_u8(e, proto);
	v2_enc_u8(e, 4);
	v2_enc_u16(e, type);
	v2_enc_u32(e, spi);
	v2_enc_end(e);
}

void v2_enc_id(struct v2_enc *e, enum v2_payload type, const struct ike_id *id)
{
	v2_enc_begin(e, type);
	v2_enc_u8(e, id->type);
	v2_enc_u8(e, 0);
	v2_enc_u16(e, 0);
	v2_enc_bytes(e, id->data, id->len);
	v2_enc_end(e);
}

void v2_enc_auth(struct v2_enc *e, uint8_t method, const void *data, size_t len)
{
	v2_enc_begin(e, V2_PL_AUTH);
	v2_enc_u32(e, (uint32_t)method << 24);
	v2_enc_bytes(e, data, len);
	v2_enc_end(e);
}

void v2_enc_delete_ike(struct v2_enc *e)
{
	v2_enc_begin(e, V2_PL_DELETE);
	v2_enc_u32(e, (uint32_t)V2_PROTO_IKE << 24);
	v2_enc_end(e);
}

void v2_enc_delete_children(struct v2_enc *e, uint8_t proto, const uint32_t *spi, unsigned n)
{
	v2_enc_begin(e, V2_PL_DELETE);
	v2_enc_u8(e, proto);
	v2_enc_u8(e, 4);
	v2_enc_u16(e, (uint16_t)n);
	for (unsigned i = 0; i < n; i++)
		v2_enc_u32(e, spi[i]);
	v2_enc_end(e);
}

void v2_enc_ts(struct v2_enc *e, enum v2_payload type, const struct v2_ts *ts, unsigned n)
{
	v2_enc_begin(e, type);
	v2_enc_u32(e, (uint32_t)n << 24);
	for (unsigned i = 0; i < n; i++, ts++) {
		size_t alen = ts->range.lo.af == CV_AF_INET ? 4 : 16;
		v2_enc_u8(e, alen == 4 ? V2_TS_IPV4 : V2_TS_IPV6);
		v2_enc_u8(e, ts->proto);
		v2_enc_u16(e, (uint16_t)(8 + 2 * alen));
		v2_enc_u16(e, ts->lo);
		v2_enc_u16(e, ts->hi);
		v2_enc_bytes(e, ts->range.lo.b, alen);
		v2_enc_bytes(e, ts->range.hi.b, alen);
	}
	v2_enc_end(e);
}

void v2_enc_proposal(struct v2_enc *e, const struct v2_proposal *p, const struct v2_transform *t, bool last)
{
	size_t start = e->len;
	v2_enc_u16(e, last ? 0 : 0x0200);
	v2_enc_u16(e, 0);
	v2_enc_u8(e, p->num);
	v2_enc_u8(e, p->proto);
	v2_enc_u8(e, (uint8_t)p->spi.len);
	v2_enc_u8(e, (uint8_t)p->n);
	v2_enc_bytes(e, p->spi.p, p->spi.len);
	for (unsigned i = 0; i < p->n; i++, t++) {
		v2_enc_u16(e, i + 1 < p->n ? 0x0300 : 0);
		v2_enc_u16(e, t->key_bits ? 12 : 8);
		v2_enc_u8(e, t->type);
		v2_enc_u8(e, 0);
		v2_enc_u16(e, t->id);
		if (t->key_bits) {
			v2_enc_u16(e, 0x8000 | 14);
			v2_enc_u16(e, t->key_bits);
		}
	}
	patch16(e, start + 2, e->len - start);
}
