/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The wire format of IKEv2 (RFC 7296 section 3). Parsing is in pairs: v2_parse_* checks every bound once and leaves
 * views into the message (nothing is copied; the message must outlive them); whoever uses a view needs no check.
 * Pure functions, any thread.
 */
#ifndef CONTROL_IKE_V2_MSG_H
#define CONTROL_IKE_V2_MSG_H

#include "ike_internal.h"

enum v2_exchange {
	V2_IKE_SA_INIT = 34,
	V2_IKE_AUTH = 35,
	V2_CREATE_CHILD_SA = 36,
	V2_INFORMATIONAL = 37,
	V2_IKE_INTERMEDIATE = 43, /* RFC 9242 */
	V2_IKE_FOLLOWUP_KE = 44	  /* RFC 9370 */
};
enum { V2_FLAG_INITIATOR = 0x08, V2_FLAG_VERSION = 0x10, V2_FLAG_RESPONSE = 0x20 };

enum v2_payload {
	V2_PL_NONE = 0,
	V2_PL_SA = 33,
	V2_PL_KE = 34,
	V2_PL_IDI = 35,
	V2_PL_IDR = 36,
	V2_PL_CERT = 37,
	V2_PL_CERTREQ = 38,
	V2_PL_AUTH = 39,
	V2_PL_NONCE = 40,
	V2_PL_NOTIFY = 41,
	V2_PL_DELETE = 42,
	V2_PL_VID = 43,
	V2_PL_TSI = 44,
	V2_PL_TSR = 45,
	V2_PL_SK = 46,
	V2_PL_CP = 47,
	V2_PL_EAP = 48,
	V2_PL_SKF = 53,
	V2_PL_PS = 54, /* Puzzle Solution (RFC 8019 8.2) */
};

enum v2_notify_type {
	V2_N_UNSUPPORTED_CRITICAL_PAYLOAD = 1,
	V2_N_INVALID_IKE_SPI = 4,
	V2_N_INVALID_SYNTAX = 7,
	V2_N_INVALID_MESSAGE_ID = 9,
	V2_N_INVALID_SPI = 11,
	V2_N_NO_PROPOSAL_CHOSEN = 14,
	V2_N_INVALID_KE_PAYLOAD = 17,
	V2_N_AUTHENTICATION_FAILED = 24,
	V2_N_SINGLE_PAIR_REQUIRED = 34,
	V2_N_NO_ADDITIONAL_SAS = 35,
	V2_N_FAILED_CP_REQUIRED = 37,
	V2_N_TS_UNACCEPTABLE = 38,
	V2_N_UNACCEPTABLE_ADDRESSES = 40,
	V2_N_UNEXPECTED_NAT_DETECTED = 41,
	V2_N_TEMPORARY_FAILURE = 43,
	V2_N_CHILD_SA_NOT_FOUND = 44,
	V2_N_STATE_NOT_FOUND = 47, /* RFC 9370 */
	V2_N_TS_MAX_QUEUE = 48,	   /* RFC 9611 */
	V2_N_ERROR_MAX = 16383,
	V2_N_INITIAL_CONTACT = 16384,
	V2_N_NAT_DETECTION_SOURCE_IP = 16388,
	V2_N_NAT_DETECTION_DESTINATION_IP = 16389,
	V2_N_COOKIE = 16390,
	V2_N_REKEY_SA = 16393,
	V2_N_SET_WINDOW_SIZE = 16385,
	V2_N_IPCOMP_SUPPORTED = 16387,
	V2_N_USE_TRANSPORT_MODE = 16391,
	V2_N_ESP_TFC_PADDING_NOT_SUPPORTED = 16394,
	V2_N_MOBIKE_SUPPORTED = 16396,
	V2_N_ADDITIONAL_IP4_ADDRESS = 16397,
	V2_N_ADDITIONAL_IP6_ADDRESS = 16398,
	V2_N_NO_ADDITIONAL_ADDRESSES = 16399,
	V2_N_UPDATE_SA_ADDRESSES = 16400,
	V2_N_COOKIE2 = 16401,
	V2_N_NO_NATS_ALLOWED = 16402,
	V2_N_AUTH_LIFETIME = 16403, /* RFC 4478 */
	V2_N_IKEV2_FRAGMENTATION_SUPPORTED = 16430,
	V2_N_SIGNATURE_HASH_ALGORITHMS = 16431,
	V2_N_PUZZLE = 16434,  /* RFC 8019 8.1 */
	V2_N_USE_PPK = 16435, /* RFC 8784 */
	V2_N_PPK_IDENTITY = 16436,
	V2_N_NO_PPK_AUTH = 16437,
	V2_N_INTERMEDIATE_EXCHANGE_SUPPORTED = 16438,
	V2_N_ADDITIONAL_KEY_EXCHANGE = 16441, /* RFC 9370 */
	V2_N_SUPPORTED_AUTH_METHODS = 16443,  /* RFC 9593 */
	V2_N_SA_RESOURCE_INFO = 16444,	      /* RFC 9611 */
};

enum { V2_PROTO_IKE = 1, V2_PROTO_AH = 2, V2_PROTO_ESP = 3 };
enum { V2_T_ENCR = 1, V2_T_PRF = 2, V2_T_INTEG = 3, V2_T_DH = 4, V2_T_ESN = 5, V2_T_ADDKE1 = 6, V2_T_ADDKE7 = 12 };
enum {
	V2_AUTH_RSA = 1,
	V2_AUTH_PSK = 2,
	V2_AUTH_ECDSA256 = 9,
	V2_AUTH_ECDSA384 = 10,
	V2_AUTH_ECDSA521 = 11,
	V2_AUTH_DIGITAL = 14 /* RFC 7427 */
};
enum { V2_TS_IPV4 = 7, V2_TS_IPV6 = 8 };

#define V2_NONCE_MIN 16u
#define V2_NONCE_MAX 256u
#define V2_NOTIFY_MAX 24u
#define V2_DELETE_MAX 8u
#define V2_PROPOSAL_MAX 16u
#define V2_TRANSFORM_MAX 192u
#define V2_TS_MAX 8u
#define V2_CERT_MAX PKI_CHAIN_MAX
#define V2_CERTREQ_MAX 4u

struct v2_answer;

struct v2_view {
	const uint8_t *p; /* NULL = absent */
	size_t len;
};

struct v2_hdr {
	uint8_t spi_i[IKE_SPI_LEN], spi_r[IKE_SPI_LEN];
	uint8_t next, exchange, flags;
	uint32_t msgid;
};

struct v2_notify {
	uint8_t proto;
	uint16_t type;
	struct v2_view spi, data;
};

struct v2_delete {
	uint8_t proto;
	uint8_t spi_len;
	uint16_t n;
	const uint8_t *spis;
};

struct v2_transform {
	uint8_t type;
	uint16_t id;
	uint16_t key_bits; /* 0 = no key length attribute */
	bool strange;	   /* has an attribute that we do not know: never to be chosen (RFC 7296 3.3.6) */
};
struct v2_proposal {
	uint8_t num, proto;
	struct v2_view spi;
	unsigned first, n; /* in v2_sa_pl.transform */
};
/* A parsed SA payload. What goes beyond the arrays is left out, as if it had not been offered. */
struct v2_sa_pl {
	unsigned n, n_transform;
	struct v2_proposal prop[V2_PROPOSAL_MAX];
	struct v2_transform transform[V2_TRANSFORM_MAX];
};

struct v2_ts {
	uint8_t proto; /* 0 = any */
	uint16_t lo, hi;
	struct cv_range range;
};
struct v2_ts_pl {
	unsigned n; /* those of known types, at most V2_TS_MAX */
	struct v2_ts ts[V2_TS_MAX];
};

/* One message, its payloads as views. Of a payload that may come once, the first counts (a second is an error). */
struct v2_msg {
	struct v2_hdr h;
	const uint8_t *raw;
	size_t raw_len;
	struct v2_view sa, ke, idi, idr, auth, nonce, tsi, tsr, ps;
	uint16_t ke_group; /* with ke */
	uint8_t auth_method;
	struct v2_view sk;	       /* body of the encrypted payload: IV, ciphertext, ICV */
	uint8_t sk_next;	       /* first payload inside */
	uint16_t frag_num, frag_total; /* of an encrypted fragment (RFC 7383), from 1; 0 = sk is a whole message */
	unsigned n_notify, n_delete;
	struct v2_notify notify[V2_NOTIFY_MAX];
	struct v2_delete del[V2_DELETE_MAX];
	uint8_t critical; /* type of the first unknown payload with the critical bit, 0 = none */
	unsigned n_cert, n_certreq;
	struct v2_view cert[V2_CERT_MAX];	/* X.509, without the encoding byte */
	struct v2_view certreq[V2_CERTREQ_MAX]; /* key ids of CAs, PKI_KEYID_LEN bytes each */
	struct v2_view inner;			/* decrypted payloads; the first has type inner_first */
	uint8_t inner_first;
	const struct ike_path *path; /* of a request: where it came from */
	bool natt;
	struct v2_answer *answer; /* of a request: what it is answered with */
	bool url_cert;		  /* hash and URL was sent although we never ask for it: nothing is ever fetched */
	bool skipped_eap, skipped_cp;
};

/* Fixed header. data has at least IKE_HDR_LEN bytes. Returns 0 or -EPROTO (flags contradict themselves). */
int v2_parse_header(const uint8_t *data, size_t len, struct v2_msg *m);
/*
 * Walk the chain of payloads that starts with type `next`. Outside, an SK payload ends the chain; inside (encrypted),
 * SK is refused. Returns 0 or -EPROTO with *why static text.
 */
int v2_parse_payloads(struct v2_msg *m, uint8_t next, const uint8_t *data, size_t len, bool inside, const char **why);
int v2_parse_sa(struct v2_view v, struct v2_sa_pl *out);
int v2_parse_ts(struct v2_view v, struct v2_ts_pl *out);
/* The first notify of a type, or NULL. */
const struct v2_notify *v2_find_notify(const struct v2_msg *m, uint16_t type);
/* The first error notify (type < 16384), or NULL. */
const struct v2_notify *v2_find_error(const struct v2_msg *m);
const char *v2_notify_name(uint16_t type); /* as in RFC 7296 3.10.1, lower case for people */

/* ---- building ---- */

struct v2_enc {
	uint8_t *buf;
	size_t size, len;
	size_t next_at;	 /* where the type of the next payload is to be written */
	size_t start;	 /* of the open payload */
	size_t sk_start; /* of the SK or SKF payload, 0 = none */
	size_t sk_head;	 /* length of its header before the IV */
	bool bad;	 /* did not fit */
};
void v2_enc_header(struct v2_enc *e, uint8_t *buf, size_t size, const struct v2_hdr *h);
void v2_enc_bytes(struct v2_enc *e, const void *data, size_t len);
void v2_enc_u8(struct v2_enc *e, uint8_t v);
void v2_enc_u16(struct v2_enc *e, uint16_t v);
void v2_enc_u32(struct v2_enc *e, uint32_t v);
void v2_enc_begin(struct v2_enc *e, enum v2_payload type);
void v2_enc_end(struct v2_enc *e);
/* Open the SK payload and leave iv_len bytes; what follows is inside. Closed by v2_seal (v2_crypt.h). */
void v2_enc_sk(struct v2_enc *e, size_t iv_len);
/* The same for one fragment (RFC 7383 2.5). */
void v2_enc_skf(struct v2_enc *e, uint16_t num, uint16_t total, size_t iv_len);
/* Write the total length into the header: 0, or -EMSGSIZE when something did not fit. */
int v2_enc_finish(struct v2_enc *e);

void v2_enc_blob(struct v2_enc *e, enum v2_payload type, const void *data, size_t len); /* nonce */
void v2_enc_ke(struct v2_enc *e, const struct ikec_dh *dh);
void v2_enc_notify(struct v2_enc *e, uint16_t type, const void *data, size_t len);
void v2_enc_notify_spi(struct v2_enc *e, uint16_t type, uint8_t proto, uint32_t spi);
void v2_enc_id(struct v2_enc *e, enum v2_payload type, const struct ike_id *id);
void v2_enc_auth(struct v2_enc *e, uint8_t method, const void *data, size_t len);
void v2_enc_delete_ike(struct v2_enc *e);
void v2_enc_delete_children(struct v2_enc *e, uint8_t proto, const uint32_t *spi, unsigned n); /* host order */
void v2_enc_ts(struct v2_enc *e, enum v2_payload type, const struct v2_ts *ts, unsigned n);
/* SA payload: begin, then proposals, then end. last: the one after which no other follows. */
void v2_enc_proposal(struct v2_enc *e, const struct v2_proposal *p, const struct v2_transform *t, bool last);

static inline uint16_t v2_get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}
static inline uint32_t v2_get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

#endif
