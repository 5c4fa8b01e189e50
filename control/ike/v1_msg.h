/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ISAKMP messages (RFC 2408) with the IPsec DOI (RFC 2407), NAT traversal (RFC 3947) and DPD (RFC 3706) payloads.
 * Reading is split in two: v1_chain_parse() checks every length of every payload once (the validate half); the
 * accessors below it (the use half) then walk data that is known to be sound. Spans point into the caller's buffer.
 * All integers in structures are in host order. Pure functions, any thread.
 */
#ifndef CONTROL_IKE_V1_MSG_H
#define CONTROL_IKE_V1_MSG_H

#include "cv_types.h"

#define V1_HDR_LEN 28u
#define V1_COOKIE_LEN 8u
#define V1_MSG_MAX 8192u /* longest message we read or write, bytes */
#define V1_PAYLOADS_MAX 64u

enum v1_payload_type {
	V1_PL_NONE = 0,
	V1_PL_SA = 1,
	V1_PL_PROPOSAL = 2,
	V1_PL_TRANSFORM = 3,
	V1_PL_KE = 4,
	V1_PL_ID = 5,
	V1_PL_CERT = 6,
	V1_PL_CERT_REQ = 7,
	V1_PL_HASH = 8,
	V1_PL_SIG = 9,
	V1_PL_NONCE = 10,
	V1_PL_NOTIFY = 11,
	V1_PL_DELETE = 12,
	V1_PL_VENDOR = 13,
	V1_PL_ATTR = 14, /* mode configuration */
	V1_PL_NAT_D = 20,
	V1_PL_NAT_OA = 21,
	V1_PL_NAT_D_DRAFT = 130, /* draft-ietf-ipsec-nat-t-ike-02, -03 */
	V1_PL_NAT_OA_DRAFT = 131,
	V1_PL_FRAGMENT = 132, /* a piece of a message, by vendor id */
};

enum v1_exchange {
	V1_EX_MAIN = 2,
	V1_EX_AGGRESSIVE = 4,
	V1_EX_INFO = 5,
	V1_EX_TRANSACTION = 6,
	V1_EX_QUICK = 32,
	V1_EX_NEW_GROUP = 33,
};

#define V1_FLAG_ENCRYPTED 1u
#define V1_FLAG_COMMIT 2u
#define V1_FLAG_AUTH_ONLY 4u

#define V1_PROTO_ISAKMP 1u
#define V1_PROTO_AH 2u
#define V1_PROTO_ESP 3u
#define V1_PROTO_IPCOMP 4u

/* Notify message types. Parsers return one of the error types, or 0. */
enum v1_notify {
	V1_N_INVALID_PAYLOAD_TYPE = 1,
	V1_N_DOI_NOT_SUPPORTED = 2,
	V1_N_SITUATION_NOT_SUPPORTED = 3,
	V1_N_INVALID_COOKIE = 4,
	V1_N_INVALID_MAJOR_VERSION = 5,
	V1_N_INVALID_MINOR_VERSION = 6,
	V1_N_INVALID_EXCHANGE_TYPE = 7,
	V1_N_INVALID_FLAGS = 8,
	V1_N_INVALID_MESSAGE_ID = 9,
	V1_N_INVALID_PROTOCOL_ID = 10,
	V1_N_INVALID_SPI = 11,
	V1_N_INVALID_TRANSFORM_ID = 12,
	V1_N_ATTRIBUTES_NOT_SUPPORTED = 13,
	V1_N_NO_PROPOSAL_CHOSEN = 14,
	V1_N_BAD_PROPOSAL_SYNTAX = 15,
	V1_N_PAYLOAD_MALFORMED = 16,
	V1_N_INVALID_KEY_INFORMATION = 17,
	V1_N_INVALID_ID_INFORMATION = 18,
	V1_N_INVALID_HASH_INFORMATION = 23,
	V1_N_AUTHENTICATION_FAILED = 24,
	V1_N_CONNECTED = 16384,
	V1_N_RESPONDER_LIFETIME = 24576,
	V1_N_REPLAY_STATUS = 24577,
	V1_N_INITIAL_CONTACT = 24578,
	V1_N_R_U_THERE = 36136,
	V1_N_R_U_THERE_ACK = 36137,
};
/* Static text for logs: "no-proposal-chosen"; "unknown" for others. */
const char *v1_notify_name(unsigned type);

struct v1_span {
	const uint8_t *p;
	size_t len;
};

struct v1_hdr {
	uint8_t icookie[V1_COOKIE_LEN], rcookie[V1_COOKIE_LEN];
	uint8_t next, exchange, flags;
	uint32_t msgid, len;
};

struct v1_payload {
	uint8_t type;
	struct v1_span body; /* after the generic header */
};

struct v1_msg {
	struct v1_hdr h;
	unsigned n;
	struct v1_payload pl[V1_PAYLOADS_MAX];
	struct v1_span chain; /* all payloads with their generic headers, without padding */
};

/*
 * Check the fixed header: version 1.0, length field equal to or below what was received, flags. 0 or a notify type.
 * Bytes beyond h->len are ignored (RFC 2408 3.1 says the length field rules).
 */
unsigned v1_hdr_parse(const uint8_t *data, size_t len, struct v1_hdr *h);

/*
 * Check the payload chain in data[0..len), the (decrypted) bytes behind the header h, down to the last attribute.
 * padded: bytes behind the last payload are encryption padding and are ignored; otherwise they are an error.
 * Payload types from the private range that we do not know are skipped and not listed (RFC 2408 3.1: 128-255).
 */
unsigned v1_chain_parse(const struct v1_hdr *h, const uint8_t *data, size_t len, bool padded, struct v1_msg *m);
/* The same for a message in clear whose identity and nonce payloads are encrypted to a public key (RFC 2409 5.2). */
unsigned v1_chain_parse_sealed(const struct v1_hdr *h, const uint8_t *data, size_t len, struct v1_msg *m);

/* The i-th (from 0) payload of a type, NULL when there are not so many. */
const struct v1_payload *v1_find(const struct v1_msg *m, unsigned type, unsigned i);
unsigned v1_count(const struct v1_msg *m, unsigned type);

/* ---- SA payload ---- */
struct v1_prop {
	uint8_t num, proto;
	struct v1_span spi;
	struct v1_span transforms; /* to walk with v1_trans_next */
};
struct v1_trans {
	uint8_t num, id;
	struct v1_span attrs;
};
struct v1_attr {
	uint16_t type;
	bool basic;
	uint64_t value;	     /* numeric value; UINT64_MAX when longer than 8 bytes */
	struct v1_span data; /* the bytes of the value */
};
/* Start walking the proposals of a checked SA payload body. */
struct v1_span v1_sa_props(struct v1_span body);
/* Take the next element off the front of *rest; false at the end. */
bool v1_prop_next(struct v1_span *rest, struct v1_prop *p);
bool v1_trans_next(struct v1_span *rest, struct v1_trans *t);
bool v1_attr_next(struct v1_span *rest, struct v1_attr *a);

/* Attributes of a phase 1 transform (RFC 2409 appendix A), numbers of that registry. 0 = absent. */
struct v1_p1_attrs {
	uint16_t encr, hash, auth, group;
	uint16_t key_bits;
	uint32_t life_s;  /* clipped to UINT32_MAX */
	uint64_t life_kb; /* 0 = no volume limit */
	bool unknown;	  /* an attribute, or a value, that we do not understand: never choose this transform */
};
#define V1_P1_ENCR_DES 1u
#define V1_P1_ENCR_3DES 5u
#define V1_P1_ENCR_AES 7u
#define V1_P1_HASH_MD5 1u
#define V1_P1_HASH_SHA1 2u
#define V1_P1_HASH_SHA256 4u
#define V1_P1_HASH_SHA384 5u
#define V1_P1_HASH_SHA512 6u
#define V1_P1_AUTH_PSK 1u
#define V1_P1_AUTH_RSA_SIG 3u
#define V1_P1_AUTH_RSA_ENCR 4u
#define V1_P1_AUTH_ECDSA_256 9u		 /* RFC 4754: also P-384 (10) and P-521 (11) */
#define V1_P1_AUTH_XAUTH_INIT_PSK 65001u /* draft-beaulieu-ike-xauth-02: the initiator logs in after phase 1 */
#define V1_P1_AUTH_XAUTH_RESP_PSK 65002u
#define V1_P1_AUTH_XAUTH_INIT_RSA 65005u
#define V1_P1_AUTH_XAUTH_RESP_RSA 65006u
#define V1_P1_AUTH_XAUTH_INIT_RSA_ENCR 65007u
#define V1_P1_AUTH_XAUTH_RESP_RSA_ENCR 65008u
#define V1_KEY_IKE 1u /* the only phase 1 transform id */
enum v1_p1_attr {
	V1_P1_ENCR = 1,
	V1_P1_HASH = 2,
	V1_P1_AUTH = 3,
	V1_P1_GROUP = 4,
	V1_P1_LIFE_TYPE = 11,
	V1_P1_LIFE = 12,
	V1_P1_KEY_LEN = 14
};
void v1_p1_attrs_read(struct v1_span attrs, struct v1_p1_attrs *out);

/* Attributes of an IPsec transform (RFC 2407 4.5). 0 = absent. */
struct v1_p2_attrs {
	uint32_t life_s;
	uint64_t life_kb;
	uint16_t group, encap, auth, key_bits, esn;
	bool unknown;
};
#define V1_ENCAP_TUNNEL 1u
#define V1_ENCAP_TRANSPORT 2u
#define V1_ENCAP_UDP_TUNNEL 3u
#define V1_ENCAP_UDP_TRANSPORT 4u
#define V1_ENCAP_UDP_TUNNEL_DRAFT 61443u
#define V1_ENCAP_UDP_TRANSPORT_DRAFT 61444u
enum v1_p2_attr {
	V1_P2_LIFE_TYPE = 1,
	V1_P2_LIFE = 2,
	V1_P2_GROUP = 3,
	V1_P2_ENCAP = 4,
	V1_P2_AUTH = 5,
	V1_P2_KEY_LEN = 6,
	V1_P2_ESN = 11
};
#define V1_LIFE_SECONDS 1u
#define V1_LIFE_KB 2u
void v1_p2_attrs_read(struct v1_span attrs, struct v1_p2_attrs *out);

/* ---- ID payload ---- */
enum v1_id_type {
	V1_ID_IPV4 = 1,
	V1_ID_FQDN = 2,
	V1_ID_USER_FQDN = 3,
	V1_ID_IPV4_SUBNET = 4,
	V1_ID_IPV6 = 5,
	V1_ID_IPV6_SUBNET = 6,
	V1_ID_IPV4_RANGE = 7,
	V1_ID_IPV6_RANGE = 8,
	V1_ID_DER_DN = 9,
	V1_ID_DER_GN = 10,
	V1_ID_KEY_ID = 11
};
struct v1_id {
	uint8_t type, proto;
	uint16_t port;
	struct v1_span data;
};
struct v1_id v1_id_read(struct v1_span body);
/* As addresses: host, subnet (contiguous mask) or range. False for names and odd masks or ranges. */
bool v1_id_to_range(const struct v1_id *id, struct cv_range *r);

/* ---- NOTIFY and DELETE ---- */
struct v1_notify_msg {
	uint8_t proto;
	uint16_t type;
	struct v1_span spi, data;
};
struct v1_notify_msg v1_notify_read(struct v1_span body);
struct v1_delete_msg {
	uint8_t proto, spi_len;
	uint16_t n;
	struct v1_span spis; /* n * spi_len bytes */
};
struct v1_delete_msg v1_delete_read(struct v1_span body);

/* ---- mode configuration and Xauth (draft-dukes-ike-mode-cfg-02, draft-beaulieu-ike-xauth-02) ---- */
enum v1_cfg_type { V1_CFG_REQUEST = 1, V1_CFG_REPLY = 2, V1_CFG_SET = 3, V1_CFG_ACK = 4 };
enum v1_cfg_attr {
	V1_CFG_IP4_ADDRESS = 1,
	V1_CFG_IP4_NETMASK = 2,
	V1_CFG_IP4_DNS = 3,
	V1_CFG_IP4_NBNS = 4,
	V1_XAUTH_TYPE = 16520,
	V1_XAUTH_USER_NAME = 16521,
	V1_XAUTH_USER_PASSWORD = 16522,
	V1_XAUTH_STATUS = 16527,
	V1_CFG_DEFAULT_DOMAIN = 28674,
};
struct v1_cfg_msg {
	uint8_t type;
	uint16_t id;
	struct v1_span attrs; /* to walk with v1_attr_next */
};
struct v1_cfg_msg v1_cfg_read(struct v1_span body);
/* The first attribute of a type. */
bool v1_cfg_find(const struct v1_cfg_msg *m, uint16_t type, struct v1_attr *a);

/* ---- writing ---- */
struct v1_out {
	size_t len, next_at, body_at;
	bool overflow;
	uint8_t buf[V1_MSG_MAX];
};
/* Begin a message. h->next and h->len are filled in as payloads are added. */
void v1_out_start(struct v1_out *o, const struct v1_hdr *h);
/* Begin and end a payload; payloads do not nest. */
void v1_out_begin(struct v1_out *o, uint8_t type);
void v1_out_end(struct v1_out *o);
void v1_out_put(struct v1_out *o, const void *data, size_t len);
void v1_out_u8(struct v1_out *o, uint8_t v);
void v1_out_u16(struct v1_out *o, uint16_t v);
void v1_out_u32(struct v1_out *o, uint32_t v);
/* A whole payload from one piece. */
void v1_out_payload(struct v1_out *o, uint8_t type, const void *body, size_t len);
/* Attribute: basic form up to 65535, else four bytes. */
void v1_out_attr(struct v1_out *o, uint16_t type, uint32_t value);
/* Attribute of any length, always in the long form. */
void v1_out_attr_bytes(struct v1_out *o, uint16_t type, const void *data, size_t len);
/* Proposal and transform substructures inside an SA payload: more = another one follows. Returns the mark for end. */
size_t v1_out_prop(
	struct v1_out *o, bool more, uint8_t num, uint8_t proto, const void *spi, uint8_t spi_len, uint8_t n);
size_t v1_out_trans(struct v1_out *o, bool more, uint8_t num, uint8_t id);
void v1_out_sub_end(struct v1_out *o, size_t mark);
/* A selector half as a phase 2 ID payload: host, subnet or range, whichever fits. */
void v1_out_id_range(struct v1_out *o, const struct cv_range *r, uint8_t proto, uint16_t port);
void v1_out_notify(struct v1_out *o, uint8_t proto, uint16_t type, const void *spi, uint8_t spi_len, const void *data,
	size_t data_len);
/* Fill in the length field. 0 or -EMSGSIZE when the message did not fit. */
int v1_out_finish(struct v1_out *o);

#endif
