/* SPDX-License-Identifier: BSD-3-Clause */
/* Informational exchanges (RFC 2409 5.7): notifies and deletes, protected once there are keys. */
#include <string.h>

#include "v1_internal.h"

#define DOI_IPSEC 1u

/* ---- sending ---- */

static void info_begin(struct v1_sa *v, struct v1_out *o, uint32_t *msgid, size_t *hash_at)
{
	do {
		ikec_random(msgid, sizeof(*msgid));
	} while (*msgid == 0);
	v1_begin(v, o, V1_EX_INFO, V1_FLAG_ENCRYPTED, *msgid);
	*hash_at = v1_hash_begin(v, o);
}

static void info_send(struct v1_sa *v, struct v1_out *o, uint32_t msgid, size_t hash_at)
{
	uint8_t iv[V1_IV_MAX];
	if (v1_keys_iv2(&v->k, msgid, iv) == 0 && v1_hash_fill(v, o, hash_at, msgid, v1_span_of(NULL, 0)) == 0 &&
		v1_seal(&v->k, iv, o) == 0)
		v1_send(v, o->buf, o->len);
}

void v1_notify(struct v1_sa *v, uint8_t proto, uint16_t type, const void *spi, uint8_t spi_len, const void *data,
	size_t data_len)
{
	struct v1_out o;
	uint32_t msgid;
	size_t at;
	if (!v1_keyed(v))
		return;
	info_begin(v, &o, &msgid, &at);
	v1_out_notify(&o, proto, type, spi, spi_len, data, data_len);
	info_send(v, &o, msgid, at);
}

void v1_notify_clear(struct ike *ike, const struct ike_path *path, bool natt, const struct v1_hdr *h, uint16_t type)
{
	struct v1_out o;
	struct v1_hdr r = *h;
	r.exchange = V1_EX_INFO;
	r.flags = 0;
	ikec_random(&r.msgid, sizeof(r.msgid));
	v1_out_start(&o, &r);
	v1_out_notify(&o, V1_PROTO_ISAKMP, type, NULL, 0, NULL, 0);
	if (v1_out_finish(&o) == 0)
		ike->ops.send(ike->ctx, path, natt, o.buf, o.len);
}

static void send_delete(struct v1_sa *v, uint8_t proto, const void *spi, uint8_t spi_len)
{
	struct v1_out o;
	uint32_t msgid;
	size_t at;
	if (!v1_keyed(v))
		return;
	info_begin(v, &o, &msgid, &at);
	v1_out_begin(&o, V1_PL_DELETE);
	v1_out_u32(&o, DOI_IPSEC);
	v1_out_u8(&o, proto);
	v1_out_u8(&o, spi_len);
	v1_out_u16(&o, 1);
	v1_out_put(&o, spi, spi_len);
	v1_out_end(&o);
	info_send(v, &o, msgid, at);
}

void v1_send_delete_child(struct v1_sa *v, uint8_t proto, uint32_t spi)
{
	uint8_t b[4] = {(uint8_t)(spi >> 24), (uint8_t)(spi >> 16), (uint8_t)(spi >> 8), (uint8_t)spi};
	send_delete(v, proto, b, 4);
}

void v1_send_delete_sa(struct v1_sa *v)
{
	uint8_t cookies[2 * V1_COOKIE_LEN];
	memcpy(cookies, v1_cky_i(v), V1_COOKIE_LEN);
	memcpy(cookies + V1_COOKIE_LEN, v1_cky_r(v), V1_COOKIE_LEN);
	send_delete(v, V1_PROTO_ISAKMP, cookies, sizeof(cookies));
}

/* ---- RESPONDER-LIFETIME (RFC 2407 4.6.3.1) ---- */

static size_t put_attr(uint8_t *p, uint16_t type, uint32_t value)
{
	uint8_t b[8] = {(uint8_t)(type >> 8), (uint8_t)type, 0, 4, (uint8_t)(value >> 24), (uint8_t)(value >> 16),
		(uint8_t)(value >> 8), (uint8_t)value};
	memcpy(p, b, sizeof(b));
	return sizeof(b);
}

static size_t put_life(uint8_t *p, uint16_t type_attr, uint8_t kind, uint32_t value)
{
	uint8_t b[4] = {(uint8_t)(0x80 | type_attr >> 8), (uint8_t)type_attr, 0, kind};
	memcpy(p, b, sizeof(b));
	return sizeof(b) + put_attr(p + sizeof(b), type_attr + 1, value);
}

size_t v1_lifetime_attrs(uint8_t *buf, size_t size, uint16_t type_attr, uint32_t life_s, uint64_t life_kb)
{
	size_t n = 0;
	if (life_s && size - n >= 12)
		n += put_life(buf + n, type_attr, V1_LIFE_SECONDS, life_s);
	if (life_kb && size - n >= 12)
		n += put_life(buf + n, type_attr, V1_LIFE_KB, life_kb > UINT32_MAX ? UINT32_MAX : (uint32_t)life_kb);
	return n;
}

/* The attributes in a notify have not been checked with the message: a broken list reads as empty. */
static bool attrs_sound(struct v1_span s)
{
	while (s.len >= 4) {
		size_t n = s.p[0] & 0x80 ? 4 : 4u + (size_t)(s.p[2] << 8 | s.p[3]);
		if (n > s.len)
			return false;
		s.p += n;
		s.len -= n;
	}
	return s.len == 0;
}

void v1_lifetime_notify(struct v1_notify_msg n, struct ike_child_params *p)
{
	struct v1_p2_attrs a;
	if (n.type != V1_N_RESPONDER_LIFETIME || n.proto != ike_child_proto(p) || !attrs_sound(n.data))
		return;
	v1_p2_attrs_read(n.data, &a);
	if (a.life_s && a.life_s < p->lifetime_s)
		p->lifetime_s = a.life_s;
	if (a.life_kb && (!p->lifetime_kb || a.life_kb < p->lifetime_kb))
		p->lifetime_kb = a.life_kb;
}

static void phase1_lifetime(struct v1_sa *v, const struct v1_notify_msg *n)
{
	struct v1_p1_attrs a;
	struct ike_sa *sa = &v->sa;
	if (n->proto != V1_PROTO_ISAKMP || !attrs_sound(n->data))
		return;
	v1_p1_attrs_read(n->data, &a);
	uint64_t hard = a.life_s * 1000ull, now = ike_now(sa->ike);
	if (!a.life_s || a.life_s >= v->lifetime_s || sa->established_ms + hard <= now)
		return;
	v->lifetime_s = a.life_s;
	sa->hard_ms = sa->established_ms + hard;
	sa->soft_ms = sa->established_ms + ike_soft_ms(hard, sa->initiator);
	ike_timer_set(sa->ike, &sa->life, sa->soft_ms > now ? sa->soft_ms : sa->hard_ms);
	ike_sa_save(sa);
}

/* ---- receiving ---- */

static bool is_error(uint16_t type)
{
	return type > 0 && type < 8192; /* RFC 2408 3.14.1: 1..8191 and private 8192..16383 */
}

/* Returns whether the message proves that the peer lives: a replayed one must not (IKEv1 itself does not notice). */
static bool notify_in(struct v1_sa *v, struct v1_span body)
{
	struct v1_notify_msg n = v1_notify_read(body);
	switch (n.type) {
	case V1_N_R_U_THERE:
	case V1_N_R_U_THERE_ACK:
		return v1_dpd_notify(v, &n);
	case V1_N_INITIAL_CONTACT:
		v1_initial_contact(v);
		break;
	case V1_N_RESPONDER_LIFETIME:
		phase1_lifetime(v, &n);
		break;
	case V1_N_CONNECTED:
		if (n.spi.len == 4)
			v1_quick_connected(v, (uint32_t)n.spi.p[0] << 24 | (uint32_t)n.spi.p[1] << 16 |
						      (uint32_t)n.spi.p[2] << 8 | n.spi.p[3]);
		break;
	case V1_N_INVALID_SPI: /* ISPI-3, 11: only what comes protected gets here */
		if (n.spi.len == 4)
			v1_child_deleted_by_peer(v, n.proto,
				(uint32_t)n.spi.p[0] << 24 | (uint32_t)n.spi.p[1] << 16 | (uint32_t)n.spi.p[2] << 8 |
					n.spi.p[3]);
		break;
	default:
		if (is_error(n.type))
			cv_notice("ike", "IKEv1: peer reports %s", v1_notify_name(n.type));
		/* What could not be read may have been a repetition that came late: it says nothing of an exchange. */
		if (is_error(n.type) && n.type != V1_N_PAYLOAD_MALFORMED)
			v1_quick_error(v, n.type, n.spi);
	}
	return false;
}

static void delete_in(struct v1_sa *v, struct v1_span body)
{
	struct v1_delete_msg d = v1_delete_read(body);
	for (unsigned i = 0; i < d.n && !v->sa.dead; i++) {
		const uint8_t *spi = d.spis.p + (size_t)i * d.spi_len;
		if ((d.proto == V1_PROTO_ESP || d.proto == V1_PROTO_AH) && d.spi_len == 4) {
			v1_child_deleted_by_peer(v, d.proto,
				(uint32_t)spi[0] << 24 | (uint32_t)spi[1] << 16 | (uint32_t)spi[2] << 8 | spi[3]);
		} else if (d.proto == V1_PROTO_ISAKMP && d.spi_len == 2 * V1_COOKIE_LEN) {
			struct ike_sa *sa = NULL;
			/* perhaps another SA with the same peer: an old one is often deleted over its successor */
			while ((sa = ike_sa_next_by_addr(v->sa.ike, v->sa.path.vrf, &v->sa.peer, sa)))
				if (sa->v == &ike_v1 && v1_same_peer(sa, &v->sa) &&
					memcmp(sa->spi_i, spi, V1_COOKIE_LEN) == 0 &&
					memcmp(sa->spi_r, spi + V1_COOKIE_LEN, V1_COOKIE_LEN) == 0)
					break;
			if (sa)
				v1_deleted_by_peer(v1_of(sa));
		}
	}
}

/*
 * Before there are keys nothing can be protected. Whoever knows our fresh cookie saw our message, so an error that
 * answers the exchange we started is believed: it could as well have swallowed the message.
 */
static void clear_input(struct v1_sa *v, const struct v1_hdr *h, const uint8_t *data)
{
	struct v1_msg m;
	const struct v1_payload *p;
	if (v->sa.phase != IKE_PHASE_HALF_OPEN || !v->sa.initiator || !v->mm || v->mm->busy ||
		v1_chain_parse(h, data + V1_HDR_LEN, h->len - V1_HDR_LEN, false, &m) ||
		!(p = v1_find(&m, V1_PL_NOTIFY, 0))) {
		v->sa.ike->stats.rx_unexpected++;
		return;
	}
	struct v1_notify_msg n = v1_notify_read(p->body);
	if (!is_error(n.type))
		return;
	if (n.type == V1_N_NO_PROPOSAL_CHOSEN)
		v->sa.ike->stats.no_proposal_chosen++;
	if (n.type == V1_N_AUTHENTICATION_FAILED)
		v->sa.ike->stats.auth_failed++;
	cv_notice("ike", "IKEv1: peer refuses: %s", v1_notify_name(n.type));
	v1_fail(v, n.type == V1_N_NO_PROPOSAL_CHOSEN	  ? "no proposal chosen"
		   : n.type == V1_N_AUTHENTICATION_FAILED ? v1_wrong_proof(v)
							  : v1_notify_name(n.type));
}

void v1_info_input(struct v1_sa *v, const struct ike_path *path, bool natt, const struct v1_hdr *h, const uint8_t *data)
{
	uint8_t buf[V1_MSG_MAX], iv[V1_IV_MAX], next[V1_IV_MAX];
	struct v1_msg m;
	if (!(h->flags & V1_FLAG_ENCRYPTED)) {
		clear_input(v, h, data);
		return;
	}
	if (!v1_keyed(v)) {
		v->sa.ike->stats.rx_unexpected++;
		if (v->sa.state == V1_MM_KEY_EXCH)
			v1_auth_doubt(v);
		return;
	}
	if (v1_keys_iv2(&v->k, h->msgid, iv) || v1_decrypt(v, iv, h, data, buf, next, &m) ||
		!v1_hash_check(v, &m, v1_span_of(NULL, 0))) {
		v->sa.bad++;
		v->sa.ike->stats.rx_bad_integrity++;
		return;
	}
	v->sa.rx++;
	for (unsigned i = 0; i < m.n && !v->sa.dead; i++) {
		if (m.pl[i].type == V1_PL_NOTIFY && notify_in(v, m.pl[i].body))
			v1_heard(v, path, natt);
		else if (m.pl[i].type == V1_PL_DELETE)
			delete_in(v, m.pl[i].body);
	}
}
