/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * RADIUS messages of an access client (RFC 2865, 2868, 3579): writing Access-Request, reading its answers. Pure
 * functions, any thread. Every request carries a Message-Authenticator as its first attribute, and an answer without
 * one is believed only where the caller says so: without it whoever is on the way can turn Reject into Accept
 * (CVE-2024-3596).
 */
#ifndef CONTROL_AAA_RADIUS_H
#define CONTROL_AAA_RADIUS_H

#include "cv_types.h"

#define RADIUS_MSG_MAX 4096u	 /* RFC 2865 3, octets */
#define RADIUS_AUTH_LEN 16u	 /* an authenticator */
#define RADIUS_TEXT_MAX 253u	 /* value of an attribute */
#define RADIUS_PASSWORD_MAX 128u /* RFC 2865 5.2 */
#define RADIUS_KEY_MAX 239u	 /* a tunnel password: what an attribute can hold (RFC 2868 3.5) */
#define RADIUS_DNS_MAX 4u

/* What is asked. Strings and octets stay the caller's. */
struct radius_query {
	const char *user; /* 1..RADIUS_TEXT_MAX octets */
	const uint8_t *password;
	size_t password_len;
	bool outbound;		/* Service-Type Outbound: a profile is asked for, nobody logs in (AGGR-8) */
	const char *nas_id;	/* our name; NULL = none */
	struct cv_addr nas;	/* our address in the exchange that it is about; af 0 = none */
	struct cv_addr calling; /* of the peer; af 0 = none */
};

struct radius_answer {
	bool accepted;
	uint8_t key[RADIUS_KEY_MAX]; /* tunnel password (AGGR-9); secret */
	size_t key_len;		     /* 0 = none, or one for another kind of tunnel */
	struct cv_addr address;	     /* Framed-IP-Address; af 0 = none or left to us */
	struct cv_addr dns[RADIUS_DNS_MAX];
	unsigned n_dns;
	char domain[RADIUS_TEXT_MAX + 1]; /* "" = none */
};

/*
 * The request with this identifier and authenticator (16 random octets), for a server that shares secret.
 * out[RADIUS_MSG_MAX]; returns the length, 0 when a value is too long.
 */
size_t radius_request(const struct radius_query *q, uint8_t id, const uint8_t auth[RADIUS_AUTH_LEN],
	const uint8_t *secret, size_t secret_len, uint8_t *out);
/*
 * The answer to that request. 0; -EBADMSG when it is malformed, of another identifier, or not from who shares the
 * secret. need_ma: an answer without Message-Authenticator is not believed. out is zeroed by the caller who is done
 * with it (radius_answer_zero).
 */
int radius_answer_read(const uint8_t *msg, size_t len, uint8_t id, const uint8_t auth[RADIUS_AUTH_LEN],
	const uint8_t *secret, size_t secret_len, bool need_ma, struct radius_answer *out);
void radius_answer_zero(struct radius_answer *a);

#endif
