/* SPDX-License-Identifier: BSD-3-Clause */
#include "radius.h"

#include <errno.h>
#include <string.h>

#include "cv_addr.h"
#include "cv_secret.h"
#include "ikecrypto.h"

#define HEAD 20u /* code, identifier, length, authenticator */

enum code { ACCESS_REQUEST = 1, ACCESS_ACCEPT = 2, ACCESS_REJECT = 3, ACCESS_CHALLENGE = 11 };
enum attribute {
	USER_NAME = 1,
	USER_PASSWORD = 2,
	NAS_IP_ADDRESS = 4,
	SERVICE_TYPE = 6,
	FRAMED_IP_ADDRESS = 8,
	VENDOR_SPECIFIC = 26,
	CALLING_STATION_ID = 31,
	NAS_IDENTIFIER = 32,
	NAS_PORT_TYPE = 61,
	TUNNEL_TYPE = 64,
	TUNNEL_PASSWORD = 69,
	MESSAGE_AUTHENTICATOR = 80,
	NAS_IPV6_ADDRESS = 95,
};
#define SERVICE_FRAMED 2u
#define SERVICE_OUTBOUND 5u
#define PORT_VIRTUAL 5u
#define TUNNEL_ESP 9u
#define VENDOR_CISCO 9u
#define CISCO_AVPAIR 1u

static int md5(const struct ikec_iov *iov, int n, uint8_t out[RADIUS_AUTH_LEN])
{
	return ikec_hash(IKE_PRF_HMAC_MD5, iov, n, out);
}

/* ---- writing ---- */

struct out {
	uint8_t *p;
	size_t len;
	bool overflow;
};

static void put(struct out *o, enum attribute type, const void *value, size_t len)
{
	if (!len || len > RADIUS_TEXT_MAX || o->len + 2 + len > RADIUS_MSG_MAX) {
		o->overflow = true;
		return;
	}
	o->p[o->len] = (uint8_t)type;
	o->p[o->len + 1] = (uint8_t)(2 + len);
	memcpy(o->p + o->len + 2, value, len);
	o->len += 2 + len;
}

static void put_u32(struct out *o, enum attribute type, uint32_t v)
{
	const uint8_t b[4] = {(uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};
	put(o, type, b, sizeof(b));
}

/* RFC 2865 5.2: each block of 16 is covered with MD5(secret, block before it). */
static void put_password(
	struct out *o, const struct radius_query *q, const uint8_t *auth, const uint8_t *secret, size_t n)
{
	uint8_t hidden[RADIUS_PASSWORD_MAX] = {0}, cover[RADIUS_AUTH_LEN];
	size_t len = q->password_len ? (q->password_len + 15) / 16 * 16 : 16;
	if (q->password_len > sizeof(hidden)) {
		o->overflow = true;
		return;
	}
	if (q->password_len)
		memcpy(hidden, q->password, q->password_len);
	for (size_t at = 0; at < len; at += 16) {
		struct ikec_iov iov[] = {{secret, n}, {at ? hidden + at - 16 : auth, 16}};
		o->overflow |= md5(iov, 2, cover) != 0;
		for (unsigned i = 0; i < 16; i++)
			hidden[at + i] ^= cover[i];
	}
	put(o, USER_PASSWORD, hidden, len);
	cv_secret_zero(cover, sizeof(cover));
}

static void put_addresses(struct out *o, const struct radius_query *q)
{
	char text[CV_ADDR_STR];
	if (q->nas.af == CV_AF_INET)
		put(o, NAS_IP_ADDRESS, q->nas.b, 4);
	else if (q->nas.af == CV_AF_INET6)
		put(o, NAS_IPV6_ADDRESS, q->nas.b, 16);
	if (q->calling.af) {
		cv_addr_str(&q->calling, text);
		put(o, CALLING_STATION_ID, text, strlen(text));
	}
}

size_t radius_request(const struct radius_query *q, uint8_t id, const uint8_t auth[RADIUS_AUTH_LEN],
	const uint8_t *secret, size_t secret_len, uint8_t *out)
{
	static const uint8_t zeros[16];
	struct out o = {.p = out, .len = HEAD};
	out[0] = ACCESS_REQUEST;
	out[1] = id;
	memcpy(out + 4, auth, RADIUS_AUTH_LEN);
	put(&o, MESSAGE_AUTHENTICATOR, zeros, sizeof(zeros));
	put(&o, USER_NAME, q->user, strlen(q->user));
	put_password(&o, q, auth, secret, secret_len);
	put_u32(&o, SERVICE_TYPE, q->outbound ? SERVICE_OUTBOUND : SERVICE_FRAMED);
	put_u32(&o, NAS_PORT_TYPE, PORT_VIRTUAL);
	put_addresses(&o, q);
	if (q->nas_id && *q->nas_id)
		put(&o, NAS_IDENTIFIER, q->nas_id, strlen(q->nas_id));
	out[2] = (uint8_t)(o.len >> 8);
	out[3] = (uint8_t)o.len;
	struct ikec_iov iov = {out, o.len};
	o.overflow |= ikec_prf(IKE_PRF_HMAC_MD5, secret, secret_len, &iov, 1, out + HEAD + 2) != 0;
	return o.overflow ? 0 : o.len;
}

/* ---- reading ---- */

struct attr {
	uint8_t type;
	const uint8_t *p;
	size_t len;
};

/* The attribute at *at; false at the end. Only after lengths_ok(). */
static bool next(const uint8_t *msg, size_t len, size_t *at, struct attr *a)
{
	if (*at >= len)
		return false;
	*a = (struct attr){msg[*at], msg + *at + 2, msg[*at + 1] - 2u};
	*at += msg[*at + 1];
	return true;
}

static bool lengths_ok(const uint8_t *msg, size_t len)
{
	for (size_t at = HEAD; at < len; at += msg[at + 1])
		if (len - at < 2 || msg[at + 1] < 2 || msg[at + 1] > len - at)
			return false;
	return true;
}

/* Response Authenticator (RFC 2865 3). */
static bool response_ok(const uint8_t *msg, size_t len, const uint8_t *auth, const uint8_t *secret, size_t n)
{
	uint8_t want[RADIUS_AUTH_LEN];
	struct ikec_iov iov[] = {{msg, 4}, {auth, RADIUS_AUTH_LEN}, {msg + HEAD, len - HEAD}, {secret, n}};
	return md5(iov, 4, want) == 0 && cv_secret_cmp(want, msg + 4, sizeof(want)) == 0;
}

/* Message-Authenticator (RFC 3579 3.2): over the message with the request's authenticator and zeros in its own place.
 */
static bool message_ok(
	const uint8_t *msg, size_t len, const uint8_t *auth, const uint8_t *secret, size_t n, bool need_ma)
{
	static const uint8_t zeros[16];
	uint8_t want[RADIUS_AUTH_LEN];
	const uint8_t *ma = NULL;
	struct attr a;
	for (size_t at = HEAD; next(msg, len, &at, &a);)
		if (a.type == MESSAGE_AUTHENTICATOR) {
			if (ma || a.len != sizeof(zeros))
				return false;
			ma = a.p;
		}
	if (!ma)
		return !need_ma;
	size_t before = (size_t)(ma - msg), after = before + sizeof(zeros);
	struct ikec_iov iov[] = {{msg, 4}, {auth, RADIUS_AUTH_LEN}, {msg + HEAD, before - HEAD}, {zeros, sizeof(zeros)},
		{msg + after, len - after}};
	return ikec_prf(IKE_PRF_HMAC_MD5, secret, n, iov, 5, want) == 0 && cv_secret_cmp(want, ma, sizeof(want)) == 0;
}

static void set_key(struct radius_answer *out, const uint8_t *p, size_t len)
{
	if (!len || len > sizeof(out->key))
		return;
	memcpy(out->key, p, len);
	out->key_len = len;
}

/* RFC 2868 3.5: tag, salt, and blocks covered with MD5(secret, block before it); a length octet comes first. */
static void tunnel_password(
	const struct attr *a, const uint8_t *auth, const uint8_t *secret, size_t n, struct radius_answer *out)
{
	uint8_t plain[RADIUS_TEXT_MAX], cover[RADIUS_AUTH_LEN];
	const uint8_t *salt = a->p + 1, *c = a->p + 3;
	size_t len = a->len < 3 ? 0 : a->len - 3;
	if (!len || len % 16 || out->key_len)
		return;
	for (size_t at = 0; at < len; at += 16) {
		struct ikec_iov first[] = {{secret, n}, {auth, RADIUS_AUTH_LEN}, {salt, 2}};
		struct ikec_iov later[] = {{secret, n}, {at ? c + at - 16 : c, 16}};
		if (at ? md5(later, 2, cover) : md5(first, 3, cover))
			return;
		for (unsigned i = 0; i < 16; i++)
			plain[at + i] = c[at + i] ^ cover[i];
	}
	if (plain[0] < len)
		set_key(out, plain + 1, plain[0]);
	cv_secret_zero(plain, sizeof(plain));
	cv_secret_zero(cover, sizeof(cover));
}

/* Addresses between blanks. */
static void name_servers(const char *text, struct radius_answer *out)
{
	while (*text && out->n_dns < RADIUS_DNS_MAX) {
		char one[CV_ADDR_STR];
		size_t len = strcspn(text, " ");
		struct cv_addr a;
		if (len && len < sizeof(one)) {
			memcpy(one, text, len);
			one[len] = 0;
			if (cv_addr_parse(one, &a) == 0 && a.af == CV_AF_INET)
				out->dns[out->n_dns++] = a;
		}
		text += len;
		text += strspn(text, " ");
	}
}

/* What a vendor's pairs say besides the key. */
struct pairs {
	uint8_t key[RADIUS_TEXT_MAX];
	size_t key_len;
	bool other; /* a tunnel that IKE does not make */
};

/* "ipsec:name=value" */
static void one_pair(const char *text, struct pairs *p, struct radius_answer *out)
{
	static const char password[] = "tunnel-password=", exchange[] = "key-exchange=", dns[] = "dns-servers=",
			  domain[] = "default-domain=";
	if (strncmp(text, "ipsec:", 6) != 0)
		return;
	text += 6;
	if (strncmp(text, password, sizeof(password) - 1) == 0) {
		p->key_len = strlen(text + sizeof(password) - 1);
		memcpy(p->key, text + sizeof(password) - 1, p->key_len);
	} else if (strncmp(text, exchange, sizeof(exchange) - 1) == 0) {
		p->other |= strcmp(text + sizeof(exchange) - 1, "ike") != 0;
	} else if (strncmp(text, dns, sizeof(dns) - 1) == 0) {
		name_servers(text + sizeof(dns) - 1, out);
	} else if (strncmp(text, domain, sizeof(domain) - 1) == 0) {
		strcpy(out->domain, text + sizeof(domain) - 1); /* no longer than an attribute */
	}
}

static void vendor(const struct attr *a, struct pairs *p, struct radius_answer *out)
{
	static const uint8_t cisco[4] = {0, 0, 0, VENDOR_CISCO};
	char text[RADIUS_TEXT_MAX + 1];
	if (a->len < 6 || memcmp(a->p, cisco, 4) != 0)
		return;
	for (size_t at = 4; a->len - at >= 2;) { /* the same shape inside */
		size_t len = a->p[at + 1];
		if (len < 2 || len > a->len - at)
			return;
		if (a->p[at] == CISCO_AVPAIR && !memchr(a->p + at + 2, 0, len - 2)) {
			memcpy(text, a->p + at + 2, len - 2);
			text[len - 2] = 0;
			one_pair(text, p, out);
			cv_secret_zero(text, sizeof(text));
		}
		at += len;
	}
}

/* 255.255.255.254 and .255: the address is left to us, or to the user (RFC 2865 5.8). */
static void framed(const struct attr *a, struct radius_answer *out)
{
	static const uint8_t ours[3] = {255, 255, 255}, none[4];
	if (a->len != 4 || memcmp(a->p, ours, 3) == 0 || memcmp(a->p, none, 4) == 0)
		return;
	out->address = (struct cv_addr){.af = CV_AF_INET};
	memcpy(out->address.b, a->p, 4);
}

static void contents(
	const uint8_t *msg, size_t len, const uint8_t *auth, const uint8_t *secret, size_t n, struct radius_answer *out)
{
	struct pairs pairs = {0};
	struct attr a;
	for (size_t at = HEAD; next(msg, len, &at, &a);) {
		if (a.type == FRAMED_IP_ADDRESS)
			framed(&a, out);
		else if (a.type == TUNNEL_TYPE && a.len == 4)
			pairs.other |= (a.p[1] << 16 | a.p[2] << 8 | a.p[3]) != TUNNEL_ESP; /* p[0] is the tag */
		else if (a.type == TUNNEL_PASSWORD)
			tunnel_password(&a, auth, secret, n, out);
		else if (a.type == VENDOR_SPECIFIC)
			vendor(&a, &pairs, out);
	}
	if (!out->key_len)
		set_key(out, pairs.key, pairs.key_len);
	if (pairs.other) {
		cv_secret_zero(out->key, sizeof(out->key));
		out->key_len = 0;
	}
	cv_secret_zero(&pairs, sizeof(pairs));
}

int radius_answer_read(const uint8_t *msg, size_t len, uint8_t id, const uint8_t auth[RADIUS_AUTH_LEN],
	const uint8_t *secret, size_t secret_len, bool need_ma, struct radius_answer *out)
{
	memset(out, 0, sizeof(*out));
	size_t claimed = len < HEAD ? 0 : (size_t)(msg[2] << 8 | msg[3]);
	if (claimed < HEAD || claimed > len || claimed > RADIUS_MSG_MAX || msg[1] != id || !lengths_ok(msg, claimed))
		return -EBADMSG;
	if (msg[0] != ACCESS_ACCEPT && msg[0] != ACCESS_REJECT && msg[0] != ACCESS_CHALLENGE)
		return -EBADMSG;
	if (!response_ok(msg, claimed, auth, secret, secret_len) ||
		!message_ok(msg, claimed, auth, secret, secret_len, need_ma))
		return -EBADMSG;
	out->accepted = msg[0] == ACCESS_ACCEPT; /* we cannot answer a challenge: it is a refusal */
	if (out->accepted)
		contents(msg, claimed, auth, secret, secret_len, out);
	return 0;
}

void radius_answer_zero(struct radius_answer *a)
{
	cv_secret_zero(a, sizeof(*a));
}
