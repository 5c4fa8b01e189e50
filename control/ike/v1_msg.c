/* SPDX-License-Identifier: BSD-3-Clause */
#include "v1_msg.h"

#include <errno.h>
#include <string.h>

#include "cv_addr.h"

#define GENERIC_LEN 4u
#define DOI_IPSEC 1u
#define SIT_IDENTITY_ONLY 1u

static uint16_t rd16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t rd32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

const char *v1_notify_name(unsigned type)
{
	static const struct {
		unsigned type;
		const char *name;
	} names[] = {
		{V1_N_INVALID_PAYLOAD_TYPE, "invalid-payload-type"},
		{V1_N_DOI_NOT_SUPPORTED, "doi-not-supported"},
		{V1_N_SITUATION_NOT_SUPPORTED, "situation-not-supported"},
		{V1_N_INVALID_COOKIE, "invalid-cookie"},
		{V1_N_INVALID_MAJOR_VERSION, "invalid-major-version"},
		{V1_N_INVALID_MINOR_VERSION, "invalid-minor-version"},
		{V1_N_INVALID_EXCHANGE_TYPE, "invalid-exchange-type"},
		{V1_N_INVALID_FLAGS, "invalid-flags"},
		{V1_N_INVALID_MESSAGE_ID, "invalid-message-id"},
		{V1_N_INVALID_PROTOCOL_ID, "invalid-protocol-id"},
		{V1_N_INVALID_SPI, "invalid-spi"},
		{V1_N_INVALID_TRANSFORM_ID, "invalid-transform-id"},
		{V1_N_ATTRIBUTES_NOT_SUPPORTED, "attributes-not-supported"},
		{V1_N_NO_PROPOSAL_CHOSEN, "no-proposal-chosen"},
		{V1_N_BAD_PROPOSAL_SYNTAX, "bad-proposal-syntax"},
		{V1_N_PAYLOAD_MALFORMED, "payload-malformed"},
		{V1_N_INVALID_KEY_INFORMATION, "invalid-key-information"},
		{V1_N_INVALID_ID_INFORMATION, "invalid-id-information"},
		{V1_N_INVALID_HASH_INFORMATION, "invalid-hash-information"},
		{V1_N_AUTHENTICATION_FAILED, "authentication-failed"},
		{V1_N_CONNECTED, "connected"},
		{V1_N_RESPONDER_LIFETIME, "responder-lifetime"},
		{V1_N_REPLAY_STATUS, "replay-status"},
		{V1_N_INITIAL_CONTACT, "initial-contact"},
		{V1_N_R_U_THERE, "r-u-there"},
		{V1_N_R_U_THERE_ACK, "r-u-there-ack"},
	};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i].type == type)
			return names[i].name;
	return "unknown";
}

/* ---- validate ---- */

unsigned v1_hdr_parse(const uint8_t *data, size_t len, struct v1_hdr *h)
{
	if (len < V1_HDR_LEN)
		return V1_N_PAYLOAD_MALFORMED;
	memcpy(h->icookie, data, V1_COOKIE_LEN);
	memcpy(h->rcookie, data + 8, V1_COOKIE_LEN);
	h->next = data[16];
	h->exchange = data[18];
	h->flags = data[19];
	h->msgid = rd32(data + 20);
	h->len = rd32(data + 24);
	if (data[17] >> 4 != 1)
		return V1_N_INVALID_MAJOR_VERSION;
	if (data[17] & 0x0f)
		return V1_N_INVALID_MINOR_VERSION;
	if (h->flags & ~(V1_FLAG_ENCRYPTED | V1_FLAG_COMMIT | V1_FLAG_AUTH_ONLY))
		return V1_N_INVALID_FLAGS;
	if (h->len < V1_HDR_LEN || h->len > len || h->len > V1_MSG_MAX)
		return V1_N_PAYLOAD_MALFORMED;
	return 0;
}

/* A chain of attributes: basic (type with the high bit, value) or type, length, value (RFC 2408 3.3). */
static unsigned validate_attrs(struct v1_span s)
{
	size_t offset = 0;
	while (offset < s.len) {
		size_t left = s.len - offset;
		if (left < 4)
			return V1_N_BAD_PROPOSAL_SYNTAX;
		if (s.p[offset] & 0x80) {
			offset += 4;
			continue;
		}
		size_t alen = rd16(s.p + offset + 2);
		if (alen > left - 4)
			return V1_N_BAD_PROPOSAL_SYNTAX;
		offset += 4 + alen;
	}
	return 0;
}

/*
 * A chain of proposals or transforms: each starts with next, reserved, length; next is `self` while another follows.
 * fixed: least length. Calls check() for each element.
 */
static unsigned validate_chain(
	struct v1_span s, uint8_t self, size_t fixed, unsigned (*check)(struct v1_span), unsigned *count)
{
	size_t offset = 0;
	*count = 0;
	for (;;) {
		size_t left = s.len - offset;
		if (left < fixed)
			return V1_N_BAD_PROPOSAL_SYNTAX;
		size_t elen = rd16(s.p + offset + 2);
		if (elen < fixed || elen > left)
			return V1_N_BAD_PROPOSAL_SYNTAX;
		unsigned err = check((struct v1_span){s.p + offset, elen});
		if (err)
			return err;
		++*count;
		uint8_t next = s.p[offset];
		offset += elen;
		if (next == 0)
			return offset == s.len ? 0 : V1_N_BAD_PROPOSAL_SYNTAX;
		if (next != self)
			return V1_N_BAD_PROPOSAL_SYNTAX;
	}
}

static unsigned validate_transform(struct v1_span s)
{
	return validate_attrs((struct v1_span){s.p + 8, s.len - 8});
}

static unsigned validate_proposal(struct v1_span s)
{
	size_t spi_len = s.p[6];
	unsigned n;
	if (spi_len > s.len - 8)
		return V1_N_BAD_PROPOSAL_SYNTAX;
	unsigned err = validate_chain(
		(struct v1_span){s.p + 8 + spi_len, s.len - 8 - spi_len}, V1_PL_TRANSFORM, 8, validate_transform, &n);
	if (err)
		return err;
	return n == s.p[7] ? 0 : V1_N_BAD_PROPOSAL_SYNTAX;
}

static unsigned validate_sa(struct v1_span b)
{
	unsigned n;
	if (b.len < 8)
		return V1_N_PAYLOAD_MALFORMED;
	if (rd32(b.p) != DOI_IPSEC)
		return V1_N_DOI_NOT_SUPPORTED;
	if (rd32(b.p + 4) != SIT_IDENTITY_ONLY)
		return V1_N_SITUATION_NOT_SUPPORTED;
	return validate_chain((struct v1_span){b.p + 8, b.len - 8}, V1_PL_PROPOSAL, 8, validate_proposal, &n);
}

static unsigned validate_id(struct v1_span b)
{
	static const uint8_t addr_len[] = {[V1_ID_IPV4] = 4,
		[V1_ID_IPV4_SUBNET] = 8,
		[V1_ID_IPV6] = 16,
		[V1_ID_IPV6_SUBNET] = 32,
		[V1_ID_IPV4_RANGE] = 8,
		[V1_ID_IPV6_RANGE] = 32};
	if (b.len < 4)
		return V1_N_PAYLOAD_MALFORMED;
	uint8_t type = b.p[0];
	size_t want = type < sizeof(addr_len) ? addr_len[type] : 0;
	return want == 0 || b.len - 4 == want ? 0 : V1_N_INVALID_ID_INFORMATION;
}

static unsigned validate_notify(struct v1_span b)
{
	if (b.len < 8 || b.p[5] > b.len - 8)
		return V1_N_PAYLOAD_MALFORMED;
	return rd32(b.p) <= DOI_IPSEC ? 0 : V1_N_DOI_NOT_SUPPORTED;
}

static unsigned validate_delete(struct v1_span b)
{
	if (b.len < 8 || b.p[5] == 0 || (size_t)b.p[5] * rd16(b.p + 6) != b.len - 8)
		return V1_N_PAYLOAD_MALFORMED;
	return rd32(b.p) <= DOI_IPSEC ? 0 : V1_N_DOI_NOT_SUPPORTED;
}

static unsigned validate_length(struct v1_span b, size_t min, size_t max)
{
	return b.len >= min && b.len <= max ? 0 : V1_N_PAYLOAD_MALFORMED;
}

static unsigned validate_body(uint8_t type, struct v1_span b)
{
	switch (type) {
	case V1_PL_SA:
		return validate_sa(b);
	case V1_PL_KE:
		return validate_length(b, 1, 1024);
	case V1_PL_ID:
		return validate_id(b);
	case V1_PL_HASH:
		return validate_length(b, 1, 64);
	case V1_PL_NONCE:
		return validate_length(b, 8, 256); /* RFC 2409 5 */
	case V1_PL_NOTIFY:
		return validate_notify(b);
	case V1_PL_DELETE:
		return validate_delete(b);
	case V1_PL_ATTR:
		return b.len < 4 ? V1_N_PAYLOAD_MALFORMED : validate_attrs((struct v1_span){b.p + 4, b.len - 4});
	case V1_PL_NAT_D:
	case V1_PL_NAT_D_DRAFT:
		return validate_length(b, 1, 64);
	case V1_PL_CERT:
	case V1_PL_CERT_REQ: /* a certificate type comes first */
	case V1_PL_SIG:
		return validate_length(b, 1, V1_MSG_MAX);
	case V1_PL_VENDOR:
	case V1_PL_NAT_OA:
	case V1_PL_NAT_OA_DRAFT:
		return 0;
	default:
		return V1_N_INVALID_PAYLOAD_TYPE;
	}
}

static bool known_type(uint8_t type)
{
	return type < 128 || type == V1_PL_NAT_D_DRAFT || type == V1_PL_NAT_OA_DRAFT;
}

/* What RSA with 512 to 8192 bits makes of an identity or a nonce. */
static unsigned validate_sealed(struct v1_span b)
{
	return validate_length(b, 64, 1024);
}

static unsigned chain_parse(
	const struct v1_hdr *h, const uint8_t *data, size_t len, bool padded, bool sealed, struct v1_msg *m)
{
	m->h = *h;
	m->n = 0;
	uint8_t type = h->next;
	size_t offset = 0;
	while (type != V1_PL_NONE) {
		size_t left = len - offset;
		if (left < GENERIC_LEN)
			return V1_N_PAYLOAD_MALFORMED;
		size_t plen = rd16(data + offset + 2);
		if (plen < GENERIC_LEN || plen > left)
			return V1_N_PAYLOAD_MALFORMED;
		struct v1_span body = {data + offset + GENERIC_LEN, plen - GENERIC_LEN};
		if (known_type(type)) {
			bool cipher = sealed && (type == V1_PL_ID || type == V1_PL_NONCE);
			unsigned err = cipher ? validate_sealed(body) : validate_body(type, body);
			if (err)
				return err;
			if (m->n == V1_PAYLOADS_MAX)
				return V1_N_PAYLOAD_MALFORMED;
			m->pl[m->n++] = (struct v1_payload){type, body};
		}
		type = data[offset];
		offset += plen;
	}
	if (!padded && offset != len)
		return V1_N_PAYLOAD_MALFORMED;
	m->chain = (struct v1_span){data, offset};
	return 0;
}

unsigned v1_chain_parse(const struct v1_hdr *h, const uint8_t *data, size_t len, bool padded, struct v1_msg *m)
{
	return chain_parse(h, data, len, padded, false, m);
}

unsigned v1_chain_parse_sealed(const struct v1_hdr *h, const uint8_t *data, size_t len, struct v1_msg *m)
{
	return chain_parse(h, data, len, false, true, m);
}

/* ---- use ---- */

const struct v1_payload *v1_find(const struct v1_msg *m, unsigned type, unsigned i)
{
	for (unsigned k = 0; k < m->n; k++)
		if (m->pl[k].type == type && i-- == 0)
			return &m->pl[k];
	return NULL;
}

unsigned v1_count(const struct v1_msg *m, unsigned type)
{
	unsigned n = 0;
	for (unsigned k = 0; k < m->n; k++)
		n += m->pl[k].type == type;
	return n;
}

static void advance(struct v1_span *s, size_t n)
{
	s->p += n;
	s->len -= n;
}

struct v1_span v1_sa_props(struct v1_span body)
{
	advance(&body, 8);
	return body;
}

bool v1_prop_next(struct v1_span *rest, struct v1_prop *p)
{
	if (rest->len == 0)
		return false;
	size_t len = rd16(rest->p + 2), spi_len = rest->p[6];
	p->num = rest->p[4];
	p->proto = rest->p[5];
	p->spi = (struct v1_span){rest->p + 8, spi_len};
	p->transforms = (struct v1_span){rest->p + 8 + spi_len, len - 8 - spi_len};
	advance(rest, len);
	return true;
}

bool v1_trans_next(struct v1_span *rest, struct v1_trans *t)
{
	if (rest->len == 0)
		return false;
	size_t len = rd16(rest->p + 2);
	t->num = rest->p[4];
	t->id = rest->p[5];
	t->attrs = (struct v1_span){rest->p + 8, len - 8};
	advance(rest, len);
	return true;
}

bool v1_attr_next(struct v1_span *rest, struct v1_attr *a)
{
	if (rest->len == 0)
		return false;
	a->type = rd16(rest->p) & 0x7fff;
	a->basic = rest->p[0] & 0x80;
	size_t v = rd16(rest->p + 2);
	if (a->basic) {
		a->value = v;
		a->data = (struct v1_span){rest->p + 2, 2};
		advance(rest, 4);
		return true;
	}
	a->data = (struct v1_span){rest->p + 4, v};
	a->value = v <= 8 ? 0 : UINT64_MAX;
	for (size_t i = 0; i < v && v <= 8; i++)
		a->value = a->value << 8 | rest->p[4 + i];
	advance(rest, 4 + v);
	return true;
}

struct v1_cfg_msg v1_cfg_read(struct v1_span b)
{
	return (struct v1_cfg_msg){.type = b.p[0], .id = rd16(b.p + 2), .attrs = {b.p + 4, b.len - 4}};
}

bool v1_cfg_find(const struct v1_cfg_msg *m, uint16_t type, struct v1_attr *a)
{
	struct v1_span rest = m->attrs;
	while (v1_attr_next(&rest, a))
		if (a->type == type)
			return true;
	return false;
}

static uint32_t clip32(uint64_t v)
{
	return v > UINT32_MAX ? UINT32_MAX : (uint32_t)v;
}

static uint16_t clip16(uint64_t v, bool *unknown)
{
	if (v > UINT16_MAX)
		*unknown = true;
	return (uint16_t)v;
}

/* A lifetime attribute belongs to the life type before it (RFC 2407 4.5, RFC 2409 appendix A). */
static void read_life(uint64_t type, uint64_t value, uint32_t *life_s, uint64_t *life_kb, bool *unknown)
{
	if (type == V1_LIFE_SECONDS)
		*life_s = clip32(value);
	else if (type == V1_LIFE_KB)
		*life_kb = value;
	else
		*unknown = true;
}

void v1_p1_attrs_read(struct v1_span attrs, struct v1_p1_attrs *out)
{
	struct v1_attr a;
	uint64_t life_type = 0;
	*out = (struct v1_p1_attrs){0};
	while (v1_attr_next(&attrs, &a))
		switch (a.type) {
		case V1_P1_ENCR:
			out->encr = clip16(a.value, &out->unknown);
			break;
		case V1_P1_HASH:
			out->hash = clip16(a.value, &out->unknown);
			break;
		case V1_P1_AUTH:
			out->auth = clip16(a.value, &out->unknown);
			break;
		case V1_P1_GROUP:
			out->group = clip16(a.value, &out->unknown);
			break;
		case V1_P1_KEY_LEN:
			out->key_bits = clip16(a.value, &out->unknown);
			break;
		case V1_P1_LIFE_TYPE:
			life_type = a.value;
			break;
		case V1_P1_LIFE:
			read_life(life_type, a.value, &out->life_s, &out->life_kb, &out->unknown);
			break;
		default:
			out->unknown = true;
		}
}

void v1_p2_attrs_read(struct v1_span attrs, struct v1_p2_attrs *out)
{
	struct v1_attr a;
	uint64_t life_type = 0;
	*out = (struct v1_p2_attrs){0};
	while (v1_attr_next(&attrs, &a))
		switch (a.type) {
		case V1_P2_LIFE_TYPE:
			life_type = a.value;
			break;
		case V1_P2_LIFE:
			read_life(life_type, a.value, &out->life_s, &out->life_kb, &out->unknown);
			break;
		case V1_P2_GROUP:
			out->group = clip16(a.value, &out->unknown);
			break;
		case V1_P2_ENCAP:
			out->encap = clip16(a.value, &out->unknown);
			break;
		case V1_P2_AUTH:
			out->auth = clip16(a.value, &out->unknown);
			break;
		case V1_P2_KEY_LEN:
			out->key_bits = clip16(a.value, &out->unknown);
			break;
		case V1_P2_ESN:
			out->esn = clip16(a.value, &out->unknown);
			break;
		default:
			out->unknown = true;
		}
}

struct v1_id v1_id_read(struct v1_span b)
{
	return (struct v1_id){b.p[0], b.p[1], rd16(b.p + 2), {b.p + 4, b.len - 4}};
}

static void addr_from(struct cv_addr *a, uint8_t af, const uint8_t *p)
{
	*a = (struct cv_addr){.af = af};
	memcpy(a->b, p, af == CV_AF_INET ? 4 : 16);
}

/* Prefix length of a mask, or -1 when its ones are not contiguous. */
static int mask_len(const uint8_t *mask, size_t n)
{
	int len = 0;
	bool ended = false;
	for (size_t i = 0; i < n * 8; i++) {
		bool one = mask[i / 8] & (0x80 >> (i % 8));
		if (one && ended)
			return -1;
		ended = !one;
		len += one;
	}
	return len;
}

bool v1_id_to_range(const struct v1_id *id, struct cv_range *r)
{
	bool v4 = id->type == V1_ID_IPV4 || id->type == V1_ID_IPV4_SUBNET || id->type == V1_ID_IPV4_RANGE;
	uint8_t af = v4 ? CV_AF_INET : CV_AF_INET6;
	size_t n = v4 ? 4 : 16;
	switch (id->type) {
	case V1_ID_IPV4:
	case V1_ID_IPV6:
		addr_from(&r->lo, af, id->data.p);
		r->hi = r->lo;
		return true;
	case V1_ID_IPV4_SUBNET:
	case V1_ID_IPV6_SUBNET: {
		struct cv_prefix p = {0};
		int len = mask_len(id->data.p + n, n);
		if (len < 0)
			return false;
		addr_from(&p.addr, af, id->data.p);
		p.len = (uint8_t)len;
		cv_prefix_mask(&p);
		cv_prefix_to_range(&p, r);
		return true;
	}
	case V1_ID_IPV4_RANGE:
	case V1_ID_IPV6_RANGE:
		addr_from(&r->lo, af, id->data.p);
		addr_from(&r->hi, af, id->data.p + n);
		return cv_addr_cmp(&r->lo, &r->hi) <= 0;
	default:
		return false;
	}
}

struct v1_notify_msg v1_notify_read(struct v1_span b)
{
	size_t spi_len = b.p[5];
	return (struct v1_notify_msg){
		b.p[4], rd16(b.p + 6), {b.p + 8, spi_len}, {b.p + 8 + spi_len, b.len - 8 - spi_len}};
}

struct v1_delete_msg v1_delete_read(struct v1_span b)
{
	return (struct v1_delete_msg){b.p[4], b.p[5], rd16(b.p + 6), {b.p + 8, b.len - 8}};
}

/* ---- writing ---- */

void v1_out_put(struct v1_out *o, const void *data, size_t len)
{
	if (len > V1_MSG_MAX - o->len) {
		o->overflow = true;
		return;
	}
	if (len)
		memcpy(o->buf + o->len, data, len);
	o->len += len;
}

void v1_out_u8(struct v1_out *o, uint8_t v)
{
	v1_out_put(o, &v, 1);
}

void v1_out_u16(struct v1_out *o, uint16_t v)
{
	v1_out_put(o, (uint8_t[]){(uint8_t)(v >> 8), (uint8_t)v}, 2);
}

void v1_out_u32(struct v1_out *o, uint32_t v)
{
	v1_out_u16(o, (uint16_t)(v >> 16));
	v1_out_u16(o, (uint16_t)v);
}

static void patch16(struct v1_out *o, size_t at, size_t v)
{
	if (o->overflow)
		return;
	o->buf[at] = (uint8_t)(v >> 8);
	o->buf[at + 1] = (uint8_t)v;
}

void v1_out_start(struct v1_out *o, const struct v1_hdr *h)
{
	o->len = 0;
	o->overflow = false;
	v1_out_put(o, h->icookie, V1_COOKIE_LEN);
	v1_out_put(o, h->rcookie, V1_COOKIE_LEN);
	o->next_at = o->len;
	v1_out_u8(o, V1_PL_NONE);
	v1_out_u8(o, 0x10);
	v1_out_u8(o, h->exchange);
	v1_out_u8(o, h->flags);
	v1_out_u32(o, h->msgid);
	v1_out_u32(o, 0);
}

void v1_out_begin(struct v1_out *o, uint8_t type)
{
	if (!o->overflow)
		o->buf[o->next_at] = type;
	o->next_at = o->body_at = o->len;
	v1_out_u32(o, 0);
}

void v1_out_end(struct v1_out *o)
{
	patch16(o, o->body_at + 2, o->len - o->body_at);
}

void v1_out_payload(struct v1_out *o, uint8_t type, const void *body, size_t len)
{
	v1_out_begin(o, type);
	v1_out_put(o, body, len);
	v1_out_end(o);
}

void v1_out_attr(struct v1_out *o, uint16_t type, uint32_t value)
{
	if (value <= UINT16_MAX) {
		v1_out_u16(o, type | 0x8000);
		v1_out_u16(o, (uint16_t)value);
		return;
	}
	v1_out_u16(o, type);
	v1_out_u16(o, 4);
	v1_out_u32(o, value);
}

void v1_out_attr_bytes(struct v1_out *o, uint16_t type, const void *data, size_t len)
{
	v1_out_u16(o, type);
	v1_out_u16(o, (uint16_t)len);
	v1_out_put(o, data, len);
}

size_t v1_out_prop(struct v1_out *o, bool more, uint8_t num, uint8_t proto, const void *spi, uint8_t spi_len, uint8_t n)
{
	size_t mark = o->len;
	v1_out_u8(o, more ? V1_PL_PROPOSAL : 0);
	v1_out_u8(o, 0);
	v1_out_u16(o, 0);
	v1_out_u8(o, num);
	v1_out_u8(o, proto);
	v1_out_u8(o, spi_len);
	v1_out_u8(o, n);
	v1_out_put(o, spi, spi_len);
	return mark;
}

size_t v1_out_trans(struct v1_out *o, bool more, uint8_t num, uint8_t id)
{
	size_t mark = o->len;
	v1_out_u8(o, more ? V1_PL_TRANSFORM : 0);
	v1_out_u8(o, 0);
	v1_out_u16(o, 0);
	v1_out_u8(o, num);
	v1_out_u8(o, id);
	v1_out_u16(o, 0);
	return mark;
}

void v1_out_sub_end(struct v1_out *o, size_t mark)
{
	patch16(o, mark + 2, o->len - mark);
}

void v1_out_id_range(struct v1_out *o, const struct cv_range *r, uint8_t proto, uint16_t port)
{
	bool v4 = r->lo.af == CV_AF_INET;
	size_t n = v4 ? 4 : 16;
	struct cv_prefix p;
	bool is_prefix = cv_range_to_prefix(r, &p);
	bool host = is_prefix && p.len == n * 8;
	uint8_t mask[16] = {0};

	v1_out_begin(o, V1_PL_ID);
	if (host)
		v1_out_u8(o, v4 ? V1_ID_IPV4 : V1_ID_IPV6);
	else if (is_prefix)
		v1_out_u8(o, v4 ? V1_ID_IPV4_SUBNET : V1_ID_IPV6_SUBNET);
	else
		v1_out_u8(o, v4 ? V1_ID_IPV4_RANGE : V1_ID_IPV6_RANGE);
	v1_out_u8(o, proto);
	v1_out_u16(o, port);
	v1_out_put(o, r->lo.b, n);
	if (is_prefix && !host) {
		for (unsigned i = 0; i < p.len; i++)
			mask[i / 8] |= (uint8_t)(0x80 >> (i % 8));
		v1_out_put(o, mask, n);
	} else if (!is_prefix) {
		v1_out_put(o, r->hi.b, n);
	}
	v1_out_end(o);
}

void v1_out_notify(struct v1_out *o, uint8_t proto, uint16_t type, const void *spi, uint8_t spi_len, const void *data,
	size_t data_len)
{
	v1_out_begin(o, V1_PL_NOTIFY);
	v1_out_u32(o, DOI_IPSEC);
	v1_out_u8(o, proto);
	v1_out_u8(o, spi_len);
	v1_out_u16(o, type);
	v1_out_put(o, spi, spi_len);
	v1_out_put(o, data, data_len);
	v1_out_end(o);
}

int v1_out_finish(struct v1_out *o)
{
	if (o->overflow)
		return -EMSGSIZE;
	patch16(o, 24, o->len >> 16);
	patch16(o, 26, o->len & 0xffff);
	return 0;
}
