/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * IKEv1 inside the engine (RFC 2407-2409, 3947, 3706): between the v1_*.c files only. Everything runs on the loop;
 * Diffie-Hellman alone runs on the pool (struct v1_dh).
 *
 * Phase 1 SAs and children live apart: when a newer phase 1 SA with the same peer and identity comes up, it adopts the
 * children of the older ones (v1_supersede). A phase 1 SA that the peer deleted while it still had children stays as
 * V1_DELETED, a container without keys, until a successor adopts them or they expire.
 */
#ifndef CONTROL_IKE_V1_INTERNAL_H
#define CONTROL_IKE_V1_INTERNAL_H

#include "ike_internal.h"
#include "v1_keys.h"
#include "v1_msg.h"

#define V1_NONCE_LEN 32u
#define V1_NONCE_MAX 256u
#define V1_ID_HEAD 4u		 /* type, protocol and port before the identity */
#define V1_HALF_OPEN_MS 30000u	 /* a responder waits this long for the rest of phase 1 */
#define V1_QM_KEEP_MS 50000u	 /* a finished quick mode goes on answering repeats (VRF-51) */
#define V1_CLOSE_MS 10000u	 /* a superseded phase 1 SA stays for quick modes under way */
#define V1_RETIRE_MS 1000u	 /* a replaced pair is deleted this long after its successor carries traffic */
#define V1_RETIRE_PEER_MS 60000u /* ... when that is the peer's to do and it does not */
#define V1_RETRY_MS 5000u	 /* a rekey that failed is tried again */
#define V1_QM_OPEN_MAX 64u	 /* unfinished quick modes of one SA that a peer may start */
#define V1_QM_OURS_MAX 2u	 /* unfinished quick modes that we start: some peers take three exchanges at a time */
#define V1_TURN_MS 100u		 /* a rekey that waits for its turn looks again */
#define V1_WRONG_KEY "authentication failed; do the preshared keys match?"
#define V1_NO_AAA "no AAA server answers"
#define V1_WRONG_RSA "authentication failed; does each end hold the other's public key?"
#define V1_WRONG_CERT "authentication failed; does each end take the other's certificate?"
#define V1_DPD_TRIES 5u /* DPD-5: one and four more */

enum v1_state {
	V1_MM_NO_STATE = 0, /* first message out, nothing agreed */
	V1_MM_SA_SETUP,	    /* policy agreed; aggressive mode: message 2 out, peer not authenticated */
	V1_MM_KEY_EXCH,	    /* keys exchanged, peer not authenticated */
	V1_CONF_XAUTH,	    /* authenticated; one end has to log in */
	V1_CONF_ADDR,	    /* ... and to get an inner address */
	V1_QM_IDLE,	    /* ready for quick modes */
	V1_DELETED,	    /* deleted by the peer; holds children until a successor comes up */
};

struct v1_buf {
	uint16_t len;
	uint8_t p[V1_NONCE_MAX];
};
struct v1_ke {
	uint16_t len;
	uint8_t p[IKEC_DH_PUB_MAX];
};

/* The last message of an exchange, to be repeated, and what it answered. */
struct v1_tx {
	uint8_t *data;
	size_t len;
	unsigned repeats;
	bool rx_seen;
	uint8_t rx_digest[20]; /* of the message that data answers: a repeat of it is answered with data again */
	struct ike_timer timer;
	struct v1_sa *owner; /* where the timer does not lead to it */
};

/* What only phase 1 needs; gone once it is over. */
struct v1_mm {
	uint8_t *sai_b; /* body of the initiator's SA payload */
	size_t sai_len;
	struct v1_buf ni, nr;
	struct v1_ke ke_i, ke_r;
	struct ikec_dh *dh;
	/* aggressive mode, encrypted nonces: what has to wait for the keys */
	uint8_t id_peer[V1_ID_HEAD + IKE_ID_MAX]; /* body of the peer's ID payload */
	uint16_t id_peer_len;
	uint8_t hash[IKEC_PRF_MAX]; /* HASH_R as received */
	struct v1_hdr msg2_hdr;	    /* initiator: of message 2 */
	uint8_t *msg2;		    /* ... and with signatures all of it, as received */
	uint8_t prop_num;	    /* responder: what was chosen; its attributes are in sai_b */
	struct v1_trans chosen;
	struct cfg_psk aaa_psk; /* key: aaa_key, or NULL */
	uint8_t aaa_key[RADIUS_KEY_MAX];
	bool busy;		    /* a job is on the pool: messages wait for their repeat */
	bool longer;		    /* the peer proposed a longer lifetime than ours */
	bool by_map;		    /* the peer's certificate fits a map of the profile */
	bool encryption_cert_asked; /* the peer wants our certificate for encryption (IKE-42) */
	unsigned methods;	    /* V1_CAN_*: what was offered, or would have been taken */
	/* encrypted nonces (and peer_rsa: signatures): our pair, the peer's key, the certificate it was learned from or
	 * NULL; to be decrypted */
	struct pki_rsa *own_rsa, *peer_rsa;
	struct pki_peer *learned;
	struct v1_nonce_job *sealed;
};

/* What an AAA server gave with a login. */
struct v1_given {
	struct cv_addr address; /* af 0 = none */
	struct cv_addr dns[RADIUS_DNS_MAX];
	unsigned n_dns;
	char domain[RADIUS_TEXT_MAX + 1]; /* "" = none */
};

struct v1_sa {
	struct ike_sa sa; /* first */
	struct v1_keys k;
	enum ike_group group;
	uint32_t lifetime_s;
	enum pki_key sig_key;  /* authenticated by signatures with such keys; NONE = by a preshared key */
	bool no_login;	       /* the peer's key spares it the login that the profile demands */
	bool nonces;	       /* authenticated by RSA encrypted nonces; sig_key is NONE then */
	struct pki_tp *own_tp; /* a reference; whose certificate we show, or whose subject we are */
	struct v1_mm *mm;
	struct v1_tx tx;       /* phase 1 */
	bool aggressive;       /* phase 1 was aggressive mode */
	struct ike_timer wait; /* responder: end of patience; superseded: time to delete */
	TAILQ_HEAD(, v1_qm) qms;
	unsigned n_open;       /* unfinished, started by the peer */
	unsigned n_ours;       /* unfinished, started by us */
	struct ike_timer more; /* wishes that waited for the end of a quick mode */
	struct ike_id id_local, id_peer;
	bool natt_rfc, natt_draft; /* what the peer can: RFC 3947, or only a draft of it */
	bool dpd;		   /* the peer announced RFC 3706 */
	bool fragment;		   /* both ends take fragments */
	uint16_t frag_id;	   /* of the last message sent in fragments */
	struct v1_cfg *cfg;	   /* transaction exchanges, NULL before the first */
	bool xauth_done, xauth_ok, config_done;
	bool gave_by_aaa;	    /* gave is not from the pool */
	bool local_ok;		    /* ike/user would take the login, and may when no AAA server answers */
	const char *xauth_why;	    /* not ok: static text */
	uint64_t aaa;		    /* question under way, 0 = none */
	struct v1_given *given;	    /* or NULL */
	char xauth_user[65];	    /* who logged in here */
	struct cv_addr gave, got;   /* inner address: from our pool to the peer; from the peer to us. af 0 = none */
	struct ike_pool *gave_from; /* NULL: gave is not from a pool */
	struct v1_frags *frags;	    /* a message that is not complete yet, or NULL */
	uint64_t rekey_of;	    /* id of the phase 1 SA this one is to replace */
	struct ike_timer dpd_timer;
	unsigned dpd_misses; /* unanswered probes */
	bool asking;	     /* questions beside the probes are open, from this number on */
	uint32_t ask_first;
	uint32_t dpd_first, dpd_seq; /* first unanswered, last sent */
	bool dpd_peer_seen;
	uint32_t dpd_peer_seq;
};

enum v1_qm_state {
	V1_QM_WORKING = 0, /* on the pool or with the host */
	V1_QM_SENT_1,	   /* initiator: waits for message 2 */
	V1_QM_SENT_2,	   /* responder: waits for message 3 */
	V1_QM_DONE,	   /* answers repeats only */
};

/* One transform of those that were chosen together: of AH, of ESP, of IPComp. */
#define V1_PARTS_MAX 3u
struct v1_part {
	uint8_t proto, trans_num, trans_id;
	uint16_t attrs_len;
	uint8_t attrs[256];
};

struct v1_child;
struct v1_qm {
	TAILQ_ENTRY(v1_qm) link;
	struct v1_sa *sa;
	uint32_t msgid;
	bool initiator;
	enum v1_qm_state state;
	uint8_t iv[V1_IV_MAX];
	struct v1_child *child; /* NULL once it is gone */
	uint32_t old_id;	/* child that is to be replaced, 0 = none */
	struct v1_buf ni, nr;
	enum ike_group group; /* of PFS */
	struct ikec_dh *dh;
	struct v1_ke peer_ke; /* len 0: no KE payload */
	bool commit;	      /* the responder asked to wait for CONNECTED */
	bool slow;	      /* the peer took its time for message 2 */
	uint8_t prop_num;     /* what was chosen, to be echoed: its number and its parts */
	unsigned n_part;
	struct v1_part part[V1_PARTS_MAX];
	uint8_t id_ci[64], id_cr[64];
	uint16_t id_ci_len, id_cr_len;
	bool has_ids, cut_lifetime; /* cut: we granted less than the initiator asked for */
	uint64_t started_ms;
	uint32_t done_child; /* initiator: the child that came of it */
	struct v1_tx tx;
};

struct v1_child {
	struct ike_child c;    /* first */
	struct v1_qm *qm;      /* while it is being negotiated */
	uint32_t replaces;     /* child_id of the pair it takes over from */
	struct ike_timer act;  /* initiator: when to begin to send */
	bool doubted;	       /* a successor was given up because the peer went on using this pair */
	uint64_t act_limit_ms; /* by then even without a sign from the peer */
	/* R-U-THERE after message 3: its SA and number, and when to ask once more; what was heard, and until when to
	 * wait */
	uint64_t asked_sa;
	uint32_t asked;
	bool asks, answered;
	uint64_t ask_ms, answer_limit_ms;
};

static inline struct v1_sa *v1_of(struct ike_sa *sa)
{
	return (struct v1_sa *)sa;
}
static inline struct v1_child *v1_child_of(struct ike_child *c)
{
	return (struct v1_child *)c;
}
static inline struct v1_span v1_span_of(const void *data, size_t len)
{
	return (struct v1_span){data, len};
}
static inline const uint8_t *v1_cky_i(const struct v1_sa *v)
{
	return v->sa.spi_i;
}
static inline const uint8_t *v1_cky_r(const struct v1_sa *v)
{
	return v->sa.spi_r;
}

/* ---- Diffie-Hellman on the pool: make a key pair when dh is NULL, then the shared secret when peer.len is set ---- */
struct v1_dh {
	struct ike_job job; /* first */
	enum ike_group group;
	struct ikec_dh *dh;
	struct v1_ke peer;
	uint8_t secret[IKEC_DH_PUB_MAX];
	size_t secret_len;
	int err;
	uint32_t msgid;					/* quick mode it is for, 0 = main mode */
	void (*done)(struct v1_sa *v, struct v1_dh *d); /* takes dh over by setting it NULL */
};
/* Takes over dh. 0 or -ENOMEM. */
int v1_dh_run(struct v1_sa *v, enum ike_group group, struct ikec_dh **dh, const struct v1_ke *peer, uint32_t msgid,
	void (*done)(struct v1_sa *v, struct v1_dh *d));

/* ---- v1_cfg.c: transaction exchanges ---- */
struct v1_trx;
struct v1_cfg_out {
	struct v1_trx *trx; /* NULL = out of memory */
	uint8_t type;
	size_t hash_at;
	struct v1_out o;
};
/* Begin a message: our own, or the answer to one of the peer; put the attributes into c->o, then send. */
void v1_cfg_begin(struct v1_sa *v, struct v1_cfg_out *c, uint8_t type, const struct v1_cfg_msg *answer_to);
/* False when the SA has failed over it. */
bool v1_cfg_send(struct v1_sa *v, struct v1_cfg_out *c);
void v1_cfg_input(struct v1_sa *v, const struct ike_path *path, bool natt, const struct v1_hdr *h, const uint8_t *data);
/* Phase 1 or a step after it is over: the next one that the profile asks for; at the end the SA is established. */
void v1_cfg_next(struct v1_sa *v);
void v1_cfg_free(struct v1_sa *v);

/* ---- v1_xauth.c ---- */
void v1_xauth_start(struct v1_sa *v);
/* An AAA server, or none, has judged the login. */
void v1_xauth_judged(struct v1_sa *v, enum aaa_verdict verdict);
void v1_xauth_answer(struct v1_sa *v, const struct v1_cfg_msg *m);
bool v1_xauth_asked(struct v1_sa *v, const struct v1_cfg_msg *m); /* false: it is not Xauth */

/* ---- v1_aaa.c: asking AAA servers ---- */
/* May they know a key for the peer that calls itself so? */
bool v1_aaa_has_keys(const struct cfg_ike_profile *p, const struct ike_id *id);
/* Responder of aggressive mode: ask for the peer's key; ends in v1_aggr_key_ready(), or the SA has failed. */
void v1_aaa_key(struct v1_sa *v);
/* Ask about the login of v->xauth_user; ends in v1_xauth_judged(). False when nobody can be asked. */
bool v1_aaa_login(struct v1_sa *v, struct v1_span password);
void v1_aaa_free(struct v1_sa *v);

/* ---- v1_modecfg.c ---- */
void v1_modecfg_start(struct v1_sa *v);
void v1_modecfg_answer(struct v1_sa *v, const struct v1_cfg_msg *m);
void v1_modecfg_unanswered(struct v1_sa *v);
void v1_modecfg_asked(struct v1_sa *v, const struct v1_cfg_msg *m);
/* Take this address of the profile's pool for the SA (restore); give it back. */
bool v1_modecfg_hold(struct v1_sa *v, const struct cv_addr *a);
void v1_modecfg_release(struct v1_sa *v);

/* Are there keys that protect what follows phase 1? */
static inline bool v1_keyed(const struct v1_sa *v)
{
	return v->sa.state >= V1_CONF_XAUTH && v->sa.state <= V1_QM_IDLE;
}

/* ---- v1_frag.c ---- */
#define V1_FRAG_SIZE_MAX 2048u
/* Transmit and count a finished message, in fragments when it is long and the peer takes them. */
void v1_send(struct v1_sa *v, const uint8_t *data, size_t len);
/* One fragment: the length of the whole message in buf[V1_MSG_MAX] if this completes it, else 0. */
size_t v1_fragment_input(struct v1_sa *v, const struct v1_hdr *h, const uint8_t *data, uint8_t *buf);
void v1_frags_free(struct v1_sa *v);

/* ---- v1_wire.c: messages on their way ---- */
void v1_begin(const struct v1_sa *v, struct v1_out *o, uint8_t exchange, uint8_t flags, uint32_t msgid);
/* Keep a finished message for repeats and send it. */
int v1_tx_send(struct v1_sa *v, struct v1_tx *tx, const struct v1_out *o);
/* Repeat it; false when it has been repeated often enough. */
bool v1_tx_repeat(struct v1_sa *v, struct v1_tx *tx);
void v1_tx_arm(struct v1_sa *v, struct v1_tx *tx, void (*fire)(struct ike *ike, struct ike_timer *t));
void v1_tx_free(struct v1_sa *v, struct v1_tx *tx);
/*
 * Is this the message that tx answers, once more? Then the answer is sent again if `answer`: that is for the side
 * without a timer of its own; if both did it, one repeated packet would bounce for ever.
 */
bool v1_tx_seen(struct v1_sa *v, struct v1_tx *tx, const uint8_t *data, size_t len, bool answer);
void v1_tx_note_rx(struct v1_tx *tx, const uint8_t *data, size_t len);
/* Decrypt a message into buf[V1_MSG_MAX] and check its payloads; next: the IV to commit. 0 or a notify type. */
unsigned v1_decrypt(const struct v1_sa *v, const uint8_t *iv, const struct v1_hdr *h, const uint8_t *data, uint8_t *buf,
	uint8_t *next, struct v1_msg *m);
/* Room for a HASH payload at the start of a message, and its computation over everything behind it. */
size_t v1_hash_begin(const struct v1_sa *v, struct v1_out *o);
int v1_hash_fill(const struct v1_sa *v, struct v1_out *o, size_t at, uint32_t msgid, struct v1_span nonce);
/* The HASH payload comes first and is right. */
bool v1_hash_check(const struct v1_sa *v, const struct v1_msg *m, struct v1_span nonce);
/* A copy of `len` bytes into a bounded buffer; false when it is too long. */
bool v1_buf_set(struct v1_buf *b, struct v1_span s);
/* An authenticated message has arrived on this path: the peer lives, and may have moved behind its NAT. */
void v1_heard(struct v1_sa *v, const struct ike_path *path, bool natt);

/* ---- v1_policy.c ---- */
/* Methods of authentication that a policy may name, as bits. */
#define V1_CAN_PSK 1u
#define V1_CAN_RSA_SIG 2u
#define V1_CAN_ECDSA_SIG 4u
#define V1_CAN_RSA_ENCR 8u
#define V1_NO_LOGIN 16u /* beside V1_CAN_PSK: the peer's key spares it the login (IKE-56) */
/* What a preshared key, or NULL, allows. */
static inline unsigned v1_psk_method(const struct cfg_psk *psk)
{
	return !psk ? 0 : psk->no_xauth ? V1_CAN_PSK | V1_NO_LOGIN : V1_CAN_PSK;
}
/* The offer (body of an SA payload) of all policies that can be used, of this group unless NONE. False: none. */
bool v1_policy_offer(const struct v1_sa *v, enum ike_group group, struct v1_out *o);
/* What aggressive mode has to commit itself to: the first policy of these methods that can be used (AGGR-Q4), or NULL.
 */
const struct cfg_ike_policy *v1_policy_first(
	const struct cv_config *cfg, const struct cfg_ike_profile *profile, unsigned methods);
/* The SA payload that answers an offer: the one transform that was chosen. */
void v1_policy_echo(struct v1_out *o, uint8_t prop_num, const struct v1_trans *t);
/* Responder: our first policy of these methods (V1_CAN_*) that the peer offers too (IKE-27, 28). */
const struct cfg_ike_policy *v1_policy_choose(const struct cv_config *cfg, const struct cfg_ike_profile *profile,
	unsigned methods, struct v1_span sa_body, uint8_t *prop_num, struct v1_trans *t, struct v1_p1_attrs *a);
/* Initiator: the policy that the answer names; NULL when it was not offered. */
const struct cfg_ike_policy *v1_policy_answer(const struct v1_sa *v, struct v1_span sa_body, struct v1_p1_attrs *a);
/* The lifetime both ends can live with: the shorter one (IKE-29). */
uint32_t v1_policy_lifetime(const struct cfg_ike_policy *p, const struct v1_p1_attrs *a);
/* Algorithms agreed: set up the keys. */
int v1_policy_apply(struct v1_sa *v, const struct cfg_ike_policy *p, const struct v1_p1_attrs *a);

/* ---- v1_main.c ---- */
/* Start main mode. natt: on port 4500 from the first message on (successor of an SA that is there already). */
struct v1_sa *v1_main_start(struct ike *ike, const struct cfg_map_entry *entry, const struct ike_path *path, bool natt,
	const struct cv_addr *peer);
void v1_main_first(
	struct ike *ike, const struct ike_path *path, bool natt, const struct v1_hdr *h, const uint8_t *data);
void v1_main_input(
	struct v1_sa *v, const struct ike_path *path, bool natt, const struct v1_hdr *h, const uint8_t *data);

/* ---- v1_aggr.c ---- */
/* The same for aggressive mode. */
struct v1_sa *v1_aggr_start(struct ike *ike, const struct cfg_map_entry *entry, const struct ike_path *path, bool natt,
	const struct cv_addr *peer);
void v1_aggr_first(
	struct ike *ike, const struct ike_path *path, bool natt, const struct v1_hdr *h, const uint8_t *data);
void v1_aggr_input(
	struct v1_sa *v, const struct ike_path *path, bool natt, const struct v1_hdr *h, const uint8_t *data);
/* Has this profile a method that may be used in aggressive mode? */
bool v1_aggr_allowed(const struct cfg_ike_profile *p);
/* Responder: the key that was asked for is in v->mm->aaa_psk. */
void v1_aggr_key_ready(struct v1_sa *v);
/* Responder: message 2, whose signature is ready. */
struct v1_sig_job;
void v1_aggr_signed(struct v1_sa *v, const struct v1_sig_job *job);

/* ---- v1_vendor.c ---- */
void v1_put_vendors(const struct v1_sa *v, struct v1_out *o);
void v1_read_vendors(struct v1_sa *v, const struct v1_msg *m);
void v1_put_nat_d(const struct v1_sa *v, struct v1_out *o);
/* Compare with where the message travelled (sa.path): sets nat_local, nat_remote and encap. */
void v1_detect_nat(struct v1_sa *v, const struct v1_msg *m);
/* RFC 3947 4: the initiator moves to port 4500 as soon as it knows of a NAT. */
void v1_natt_move(struct v1_sa *v);

/* ---- v1_phase1.c: both modes ---- */
/* A half-open SA, not linked yet. NULL when out of memory. */
struct v1_sa *v1_sa_new(struct ike *ike, const struct cfg_map_entry *entry, const struct ike_path *path, bool natt);
void v1_mm_free(struct v1_sa *v);
bool v1_keep_sai(struct v1_mm *mm, const uint8_t *p, size_t len);
/* The whole SA payload of an initiator, kept for the hashes. */
bool v1_offer(struct v1_sa *v, struct v1_out *o, enum ike_group group);
void v1_nonce_new(struct v1_buf *nonce);
/* Write KE and nonce; read those of the peer. */
void v1_put_ke(struct v1_out *o, const struct v1_ke *ke, const struct v1_buf *nonce);
/* Initiator: our key pair is there: its public value, and a nonce. False: the SA has failed. */
bool v1_begin_ke(struct v1_sa *v, struct v1_dh *d);
/* The answer to the peer's public value is there: ours, and a nonce. False: the peer's was bad, the SA has failed. */
bool v1_answer_ke(struct v1_sa *v, const struct v1_dh *d, struct v1_ke *ke, struct v1_buf *nonce);
bool v1_take_ke(struct v1_sa *v, const struct v1_msg *m, struct v1_ke *ke, struct v1_buf *nonce);
const struct cfg_psk *v1_psk_by_addr(const struct v1_sa *v);
/* All keys of phase 1; fails the SA when it needs psk and that is NULL. */
bool v1_derive(struct v1_sa *v, const struct cfg_psk *psk, const struct v1_dh *d);
/* Responder: give up unless the SA comes up in time. */
void v1_patience(struct v1_sa *v);
/* Responder: what was chosen of an offer; trans points into the offer. */
struct v1_accepted {
	const struct cfg_ike_policy *policy;
	uint8_t prop_num;
	struct v1_trans trans;
	struct v1_p1_attrs attrs;
};
/*
 * Responder: a linked SA for the peer whose first message offers sa, which gives up unless it comes up in time.
 * methods: V1_CAN_*. NULL when no policy fits (the peer is told), admission control refuses, or memory is short.
 */
struct v1_sa *v1_respond(struct ike *ike, const struct ike_path *path, bool natt, const struct v1_hdr *h,
	const struct cfg_map_entry *entry, unsigned methods, const struct v1_payload *sa, struct v1_accepted *out);
/*
 * Responder: the map entry that decides the profile, and with it the key. First those that name the peer's address,
 * then, for peers with dynamic addresses, those whose profile selects by identity (VRF-25, 39). NULL = none.
 */
typedef bool v1_entry_fit(
	struct ike *ike, const struct cfg_ike_profile *p, const struct ike_path *path, const struct ike_id *id);
const struct cfg_map_entry *v1_entry_for_peer(
	struct ike *ike, const struct ike_path *path, v1_entry_fit *fit, const struct ike_id *id);

/* ---- v1_auth.c: the encrypted end of main mode; identities and hashes of both modes ---- */
/* The body of our ID payload; returns its length. */
size_t v1_own_id(struct v1_sa *v, uint8_t body[V1_ID_HEAD + IKE_ID_MAX]);
void v1_take_id(struct ike_id *id, struct v1_span body);
/* What the hashes below are made with: the curve brings its own hash for what ECDSA signs (RFC 4754). */
enum ike_prf v1_auth_prf(const struct v1_sa *v);
/* HASH_I when the initiator's side is meant, else HASH_R. */
int v1_auth_hash(const struct v1_sa *v, bool initiator, struct v1_span id_b, uint8_t *out);
/* Does id_peer fit the profile (VRF-25)? As responder another entry for the same peer may take over. */
bool v1_identity_ok(struct v1_sa *v);
/* INITIAL-CONTACT when we have no SA with the peer at all. */
void v1_put_contact(const struct v1_sa *v, struct v1_out *o);
bool v1_has_notify(const struct v1_msg *m, uint16_t type);
/* Why a proof fails with this method: static text. */
const char *v1_wrong_proof(const struct v1_sa *v);
/* A message did not prove itself: count, tell the peer once, remember the reason. */
void v1_bad_auth(struct v1_sa *v, const struct ike_path *path, bool natt, const struct v1_hdr *h);
void v1_identity_refused(struct v1_sa *v, const struct ike_path *path, bool natt, const struct v1_hdr *h);
/* The SA ends with the certificate that its peer has proved itself by. */
void v1_limit_lifetime(struct v1_sa *v, const struct pki_peer *cert);
/* Phase 1 is over: the peer is who it says. */
void v1_auth_done(struct v1_sa *v);
void v1_auth_start(struct v1_sa *v); /* initiator, keys derived: message 5 */
/* Something encrypted that we cannot read came in answer to message 5: the peer cannot read us either. */
void v1_auth_doubt(struct v1_sa *v);
void v1_auth_input(
	struct v1_sa *v, const struct ike_path *path, bool natt, const struct v1_hdr *h, const uint8_t *data);

/* Encrypt, keep and send message 5 or 6. */
bool v1_auth_transmit(struct v1_sa *v, struct v1_out *o);
/* Message 5 or 6 (data, decrypted as m) has proved itself: commit its IV, note it, take over its path. */
void v1_auth_proved(struct v1_sa *v, const struct ike_path *path, bool natt, const struct v1_msg *m,
	const uint8_t *data, const uint8_t next_iv[V1_IV_MAX]);

/* ---- v1_sig.c: RSA and ECDSA signatures ---- */
/* The key that the profile signs with by this method; NONE = it has none. */
enum pki_key v1_sig_key(const struct cfg_ike_profile *p, enum cfg_ike_auth auth);
/* V1_CAN_*: which signatures do policies allow that the profile has a certificate for? */
unsigned v1_can_sign(const struct ike *ike, const struct cfg_ike_profile *p);
/* V1_CAN_*: what the configuration allows with this peer in main mode, which we begin or answer (IKE-31, 52). */
unsigned v1_methods(const struct ike *ike, const struct cfg_ike_profile *p, const struct ike_path *path,
	const struct cv_addr *peer, bool initiator);
/* Would both profiles judge a certificate in the same way? */
bool v1_sig_same_trust(const struct cfg_ike_profile *a, const struct cfg_ike_profile *b);
/* The peer has proved itself under its profile: would it have under p? */
bool v1_sig_same_key(const struct v1_sa *v, const struct cfg_ike_profile *p);
void v1_put_certreq(const struct v1_sa *v, struct v1_out *o);
/* Our certificate for the peer's request in m (NULL = not known any more); without one the first we have. */
void v1_choose_cert(struct v1_sa *v, const struct v1_msg *m);
/* As v1_auth_start(); in aggressive mode the responder's part, which ends in v1_aggr_signed(). */
void v1_sig_start(struct v1_sa *v);
/* Our certificates and the signature. */
void v1_sig_put(const struct v1_sig_job *job, struct v1_out *o);
/* Message 5 or 6; in aggressive mode 2 or 3, of which neither has to be encrypted. */
void v1_sig_input(struct v1_sa *v, const struct ike_path *path, bool natt, const struct v1_hdr *h, const uint8_t *data);

/* ---- v1_nonce.c: RSA encrypted nonces ---- */
struct v1_nonce_job;
bool v1_nonce_wanted(const struct ike *ike); /* is there a policy for them? */
/* Have we a pair, and a public key of the peer? As responder one that only its name will lead to is enough. */
bool v1_can_nonce(const struct ike *ike, const struct cfg_ike_profile *p, const struct ike_path *path,
	const struct cv_addr *peer, bool initiator);
/* The method has been agreed on: choose the keys. False: they are gone. */
bool v1_nonce_apply(struct v1_sa *v);
/* KE, and our identity and nonce encrypted to the peer; false when they do not fit its key. */
bool v1_nonce_put(struct v1_sa *v, struct v1_out *o, const struct v1_ke *ke, const struct v1_buf *nonce);
/* Read the peer's, to be decrypted by v1_nonce_open(). False: not what it should be, seen from outside. */
bool v1_nonce_take(struct v1_sa *v, const struct v1_msg *m, struct v1_ke *ke);
/* Decrypt on the pool, then go on with the nonce in mm, and mm->id_peer and id_peer; or the SA has failed. */
void v1_nonce_open(struct v1_sa *v, void (*then)(struct v1_sa *v));
void v1_nonce_free(struct v1_nonce_job *job); /* NULL is fine */
/* Responder: the key of the peer that id_peer is. False: nobody we know, the SA has failed. */
bool v1_nonce_meet(struct v1_sa *v);
/* The key of a peer that was entered by hand for its identity; NULL = none. */
const struct cfg_rsa_public *v1_rsa_of_id(
	const struct v1_sa *v, const struct cfg_ike_profile *p, const struct ike_id *id, enum cfg_rsa_usage use);
/* Would this profile have met the peer with the same key? */
bool v1_nonce_same_key(const struct v1_sa *v, const struct cfg_ike_profile *p);
/* The peer holds the key: may it call itself as it does? Notes whether the name belongs to the key alone. */
bool v1_nonce_proven(struct v1_sa *v);

/* ---- v1_learn.c: public keys from certificates, for encrypted nonces (IKE-41) ---- */
struct v1_learned;
bool v1_learns(const struct v1_sa *v); /* is there any use for what the peer's certificates teach? */
/*
 * The peer of v has proved itself; peer is the certificate that its nonces are to be encrypted with, special if that is
 * not the one it has signed with.
 */
void v1_learn(struct v1_sa *v, struct pki_peer *peer, bool special);
/* The latest that this profile may use with the peer at an address, of this identity unless NULL; NULL = none. */
const struct v1_learned *v1_learned(const struct ike *ike, const struct cfg_ike_profile *p, const struct ike_path *path,
	const struct cv_addr *addr, const struct ike_id *id);
/* Of the entry, not the caller's: */
struct pki_rsa *v1_learned_key(const struct v1_learned *l);
struct pki_peer *v1_learned_peer(const struct v1_learned *l);

/* ---- v1_quick.c, v1_quick_msg.c ---- */
void v1_quick_wish(struct ike_sa *sa, struct ike_req *req);
void v1_quick_rekey(struct ike_child *c);
/* Look for wishes that can begin now. */
void v1_quick_more(struct v1_sa *v);
void v1_quick_input(
	struct v1_sa *v, const struct ike_path *path, bool natt, const struct v1_hdr *h, const uint8_t *data);
/* A notify of the peer about a quick mode: an error ends it; CONNECTED releases its outbound SA. */
void v1_quick_error(struct v1_sa *v, uint16_t type, struct v1_span spi);
void v1_quick_connected(struct v1_sa *v, uint32_t spi);
/* The peer has answered the question of this number: it has seen what was sent before it, unless that was lost. */
void v1_quick_answered(struct v1_sa *v, uint32_t seq);
void v1_quick_free(struct v1_qm *q);
void v1_quick_fail(struct v1_qm *q, const char *reason);
void v1_child_gone(struct ike_child *c);
void v1_child_resume(struct ike_child *c); /* after a restore: an outbound SA that was still held back is released */
/* A newer pair for the same flow, or NULL. */
struct ike_child *v1_child_sibling(const struct ike_child *c);
/* Body of the SA payload of a quick mode: the offer of an entry, or what was chosen, one transform of each protocol. */
bool v1_quick_offer(const struct v1_qm *q, struct v1_out *o);
void v1_quick_answer(const struct v1_qm *q, struct v1_out *o);
/*
 * Responder: the first of the peer's transforms that the entry has too (VRF-47). Fills in algorithm, SPI, lifetimes and
 * PFS group of q and its child parameters. 0 or a notify type, with the reason for people in *why.
 */
unsigned v1_quick_choose(struct v1_qm *q, const struct cfg_map_entry *e, struct v1_span sa_body, bool has_ke,
	struct ike_child_params *p, const char **why);
/* Initiator: check and take over the answer. */
unsigned v1_quick_accept(struct v1_qm *q, struct v1_span sa_body, bool has_ke, const char **why);
/* Can IKEv1 say it? One address, prefix or range a side, one port or all. */
bool v1_selector_expressible(const struct cv_selector *s);
void v1_put_selector(struct v1_out *o, const struct cv_selector *s, bool ours_first);
/* The flow of a quick mode message written as outbound of ours; i_am: which ID is ours. 0 or a notify type. */
unsigned v1_get_selector(const struct v1_sa *v, const struct v1_msg *m, bool initiator, struct cv_selector *s);
int v1_quick_keys(struct v1_qm *q, struct v1_span gxy, struct ike_child_keys *keys);

/* ---- v1_info.c ---- */
void v1_info_input(
	struct v1_sa *v, const struct ike_path *path, bool natt, const struct v1_hdr *h, const uint8_t *data);
/* A protected notify over an established SA. */
void v1_notify(struct v1_sa *v, uint8_t proto, uint16_t type, const void *spi, uint8_t spi_len, const void *data,
	size_t data_len);
/* An unprotected one to whoever sent h (before there are keys). */
void v1_notify_clear(struct ike *ike, const struct ike_path *path, bool natt, const struct v1_hdr *h, uint16_t type);
void v1_send_delete_child(struct v1_sa *v, uint8_t proto, uint32_t spi);
void v1_send_delete_sa(struct v1_sa *v);
/* The peer grants less than we asked for in a quick mode: cut the lifetimes down. Other notifies are ignored. */
void v1_lifetime_notify(struct v1_notify_msg n, struct ike_child_params *p);
/* RESPONDER-LIFETIME: attributes of both kinds as present. */
size_t v1_lifetime_attrs(uint8_t *buf, size_t size, uint16_t type_attr, uint32_t life_s, uint64_t life_kb);

/* ---- v1_dpd.c ---- */
void v1_dpd_start(struct v1_sa *v);
/* R-U-THERE is answered. Returns whether it proves that the peer lives. */
bool v1_dpd_notify(struct v1_sa *v, const struct v1_notify_msg *n);
/*
 * Ask, whatever the profile says of DPD, to learn when the peer has come as far as this; v1_quick_answered() is called
 * then. False: the peer does not know RFC 3706.
 */
bool v1_dpd_ask(struct v1_sa *v, uint32_t *seq);

/* ---- v1.c: life of phase 1 SAs ---- */
/* Negotiation failed, or the peer is dead: destroy, and look after the SA that this one was to replace. */
void v1_fail(struct v1_sa *v, const char *reason);
void v1_established(struct v1_sa *v);
/* INITIAL-CONTACT (VRF-42): end what was established with the peer before this SA was begun. */
void v1_initial_contact(struct v1_sa *v);
/* The newest established SA with the same peer as `like` (itself included), NULL = none. */
struct v1_sa *v1_best(const struct ike_sa *like);
bool v1_same_peer(const struct ike_sa *a, const struct ike_sa *b);
/* Begin phase 1 in the mode of the entry's profile. natt: on port 4500 from the first message on. */
struct v1_sa *v1_start(struct ike *ike, const struct cfg_map_entry *entry, const struct ike_path *path, bool natt,
	const struct cv_addr *peer);
/* Make sure that a phase 1 SA to the peer of sa is there or under way. */
void v1_need_phase1(struct ike_sa *sa);
void v1_deleted_by_peer(struct v1_sa *v);
/* By one of its SPIs: of a bundle all goes (ISPI-7). */
void v1_child_deleted_by_peer(struct v1_sa *v, uint8_t proto, uint32_t spi);

#endif
