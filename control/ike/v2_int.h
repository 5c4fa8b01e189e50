/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * IKEv2's private structures. An exchange that we start is a task: struct v2_task_ops builds the request and takes the
 * response; as many tasks are under way as the peer's window has room for (RFC 7296 2.3), the others queue. An exchange
 * that the peer starts is answered by one v2_*_request function, which ends with v2_respond(), perhaps later
 * (public-key work, dataplane); struct v2_answer stands for it meanwhile, and for its repetition later.
 */
#ifndef CONTROL_IKE_V2_INT_H
#define CONTROL_IKE_V2_INT_H

#include "v2_msg.h"

enum v2_state {
	V2_IDLE = 0,
	V2_INIT_PREPARE, /* initiator: key pair in the making */
	V2_INIT_SENT,
	V2_INIT_RCVD, /* responder: answered or about to */
	V2_AUTH_SENT,
	V2_AUTH_RCVD, /* responder: child being installed, answer not sent */
	V2_ESTABLISHED,
	V2_REKEYED,  /* replaced; waits for its delete */
	V2_DELETING, /* delete sent */
};

#define V2_KEY_MAX 64
struct v2_suite {
	enum ike_encr encr;
	uint16_t key_bits;    /* the key length attribute; 0 = the cipher has none */
	enum ike_integ integ; /* NONE for AEAD */
	enum ike_prf prf;
	enum ike_group group;
	enum ike_group addke[CFG_ADDKE_MAX]; /* additional key exchanges of the SA's creation (RFC 9370) */
	uint8_t n_addke;
};
struct v2_keys {
	uint8_t d[V2_KEY_MAX], ai[V2_KEY_MAX], ar[V2_KEY_MAX], ei[V2_KEY_MAX], er[V2_KEY_MAX];
	uint16_t d_len, a_len, e_len; /* e_len: with salt */
};
/* SK_p: of no use once the ends are authenticated. As long as SK_d. */
struct v2_proof_keys {
	uint8_t i[V2_KEY_MAX], r[V2_KEY_MAX];
};
/* The keys that a post-quantum preshared key is mixed into (RFC 8784), without it. */
struct v2_no_ppk {
	uint8_t d[V2_KEY_MAX];
	struct v2_proof_keys proof;
};

struct v2_nonce {
	uint16_t len;
	uint8_t b[V2_NONCE_MAX];
};
#define V2_NONCE_OURS 32 /* at least half the key size of every PRF we offer (RFC 7296 2.10) */

/* A message kept as sent or received. */
struct v2_buf {
	uint8_t *p;
	size_t len;
};
void v2_buf_set(struct v2_buf *b, const void *data, size_t len);
void v2_buf_free(struct v2_buf *b);

struct v2_sa;
struct v2_task;

/* A message that is repeated until it is answered (RFC 7296 2.1, 2.4). */
struct v2_request {
	struct v2_sa *sa;
	struct v2_task *task; /* NULL: IKE_SA_INIT */
	struct v2_buf out;    /* as sent */
	unsigned tries;
	struct ike_timer rexmit;
};

struct v2_task_ops {
	const char *name;
	uint8_t exchange;
	uint8_t kind;	/* enum v2_task_kind, for the vault */
	bool exclusive; /* nothing else may be under way beside it */
	/*
	 * The task has a place in the window. Either call v2_task_send() now or from a job later, or v2_task_drop()
	 * when there is nothing to do any more.
	 */
	void (*start)(struct v2_sa *sa, struct v2_task *t);
	/* Write the payloads inside SK. */
	void (*build)(struct v2_sa *sa, struct v2_task *t, struct v2_enc *e);
	/* The answer. The task is out of the window already; the callee frees it with v2_task_free or queues it again.
	 */
	void (*response)(struct v2_sa *sa, struct v2_task *t, struct v2_msg *m);
	/* The SA dies: release what the task holds besides itself. May be NULL. */
	void (*fini)(struct v2_task *t);
};
enum v2_task_kind { V2_TASK_OTHER = 0, V2_TASK_CHILD, V2_TASK_REKEY_IKE };
enum v2_task_place {
	V2_TASK_NOWHERE = 0, /* new, or answered */
	V2_TASK_QUEUED,
	V2_TASK_STARTED, /* has a place in the window, but no message yet (or any more) */
	V2_TASK_SENT,
};
struct v2_task {
	TAILQ_ENTRY(v2_task) link;
	enum v2_task_place place;
	uint32_t msgid; /* SENT */
	struct v2_request req;
	const struct v2_task_ops *ops;
	uint64_t not_before_ms;
	uint32_t spi[8]; /* delete: our inbound SPIs; rekey: [0] = inbound SPI of the old child */
	unsigned n_spi;
	uint8_t spi_proto;	/* V2_PROTO_AH or _ESP: of spi */
	struct v2_child *child; /* negotiated by it; child->task points back */
	struct ikec_dh *dh;
	enum ike_group group;
	struct v2_ke *ke;	   /* work of its own on the pool */
	struct v2_follow *follow;  /* the additional key exchanges of what it makes */
	struct v2_successor *succ; /* rekey of the IKE SA: the new one */
	unsigned retries;
	bool finished;	 /* our rekey is complete, but the answer to the peer's of the same object is not yet */
	bool answered;	 /* rekey of the IKE SA: the answer is in, the new SA in the making */
	bool no_rekey;	 /* REKEY_SA is left out: the peer does not know the old child */
	bool dpd;	 /* liveness check: its own retry interval */
	bool delete_ike; /* delete of the whole SA */
	bool window;	 /* informational: announce our window */
	bool update;	 /* MOBIKE: informational: UPDATE_SA_ADDRESSES, from `sent_on` */
	bool addresses;	 /* MOBIKE: informational: all that are ours (RFC 4555 3.6), from `sent_on` */
	struct ike_path sent_on;
	uint8_t cookie2[16]; /* informational: return routability check; all zero = none */
	uint16_t notify;     /* informational: send this notify */
	/* a rekey of the same object by the peer, answered while ours was under way (RFC 7296 2.8.1) */
	bool collided;
	uint32_t rival_spi;	       /* inbound SPI of the child that the peer's exchange made */
	uint8_t rival_sa[IKE_SPI_LEN]; /* the same for an IKE SA: our SPI of it */
	struct v2_nonce rival_nonce;   /* the lesser of its two */
	/* rekey of the IKE SA: what is ours of the new one */
	uint8_t new_spi[IKE_SPI_LEN];
	struct v2_nonce ni;
	uint8_t kind_before; /* of a restored request: the kind of the task that died with the process */
};
TAILQ_HEAD(v2_task_list, v2_task);

/* A request of the peer: being worked on, or answered and to be answered again if it is repeated (RFC 7296 2.3). */
struct v2_answer {
	TAILQ_ENTRY(v2_answer) link;
	uint32_t msgid;
	uint8_t exchange;
	bool open;	      /* not answered yet */
	struct ike_path path; /* where it came from, and the answer goes to (RFC 7296 2.11) */
	bool natt;
	struct v2_buf resp; /* else */
};
TAILQ_HEAD(v2_answer_list, v2_answer);

#define V2_COOKIE_MAX 64u   /* RFC 7296 2.6 */
#define V2_SOLUTION_MAX 64u /* of ours: four keys */
#define V2_OTHER_MAX 8u	    /* addresses of a peer beside the one in use */
#define V2_WINDOW_MAX 64u   /* requests; what a peer claims beyond it is not used */

/* An identity in the length that it has. */
struct v2_id {
	uint8_t type;
	uint16_t len;
	uint8_t data[];
};

/* What only the making of an SA needs: an established one, of which there may be ten thousand, has it no more. */
struct v2_setup {
	struct v2_nonce ni, nr;
	struct ikec_dh *dh;
	struct v2_buf init_req, init_resp; /* for AUTH (RFC 7296 2.15) and for repeating the answer */
	struct v2_request init;		   /* IKE_SA_INIT, which is no task */
	struct v2_proof_keys proof;
	uint8_t cookie[V2_COOKIE_MAX];
	uint8_t cookie_len;
	struct v2_puzzle *puzzle; /* being solved */
	uint8_t solution[V2_SOLUTION_MAX];
	uint8_t solution_len;	   /* 0 = none */
	enum ike_group want_group; /* initiator: of our KE payload */
	unsigned init_tries;
	uint64_t init_sent_ms;
	struct v2_buf doubted; /* an answer that anybody may have written, until `doubt` fires (v2_init.c) */
	struct ike_timer doubt;
	struct ike_id id_local, id_peer;

	/* signatures (v2_cert.c) */
	struct v2_buf peer_cas; /* key ids of the CAs in its CERTREQs */
	uint16_t peer_hashes;	/* bit per hash algorithm that the peer takes; 0 = it does not know RFC 7427 */
	struct pki_tp *own_tp;	/* whose key signs; a reference */
	struct v2_buf own_auth; /* our AUTH data, signed ahead of the message that carries it */
	uint8_t own_auth_method;

	/* announced methods (v2_methods.c) */
	struct v2_buf peer_methods;	   /* as received; empty = the peer has announced none */
	enum cfg_ike_method peer_may;	   /* responder: what we announce */
	bool peer_may_both, methods_later; /* later: in the last IKE_INTERMEDIATE */

	/* post-quantum preshared keys (v2_ppk.c) */
	bool use_ppk;		  /* both ends have announced them */
	struct v2_no_ppk *no_ppk; /* initiator, until the peer has answered; NULL = none */
	struct v2_buf own_auth_no_ppk;
};

struct v2_sa {
	struct ike_sa sa; /* first */
	struct v2_suite suite;
	struct v2_keys keys;
	struct v2_setup *setup;	    /* NULL: established and settled */
	struct v2_id *local, *peer; /* the identities from then on */

	bool peer_frag;		   /* both ends do fragmentation */
	struct v2_frags *frags[2]; /* being put together: requests, responses; newest first */

	/* MOBIKE (v2_mobike.c) */
	struct cv_addr *other;	   /* the peer's further addresses, V2_OTHER_MAX; NULL = none */
	unsigned n_other, n_tried; /* n_tried: since it was last heard */
	bool moving;		   /* the path is new, the children are not on it yet */
	uint32_t update_msgid;	   /* of its latest update; 0 = none */
	uint8_t seen_as[20];	   /* hash of our address as the peer sees it; all zero = not known */

	bool ppk_used; /* SK_d and the rest are made with a post-quantum preshared key (v2_ppk.c) */

	struct v2_inter *inter; /* both ends do IKE_INTERMEDIATE; NULL when not, and once the peer is authenticated */

	/* our requests (v2_window.c) */
	uint32_t next_msgid;
	uint8_t peer_window;	      /* how many the peer takes at a time; 1 until it says more */
	struct v2_task_list active;   /* have a place in the window */
	struct v2_task_list tasks;    /* wait for one */
	struct ike_timer queue_timer; /* a task with not_before_ms */
	uint64_t iv_last;

	/* the peer's requests (v2_window.c) */
	uint32_t peer_msgid;	       /* the lowest that has not come in */
	uint8_t own_window;	       /* how many we take at a time; 1 until we have said more */
	struct v2_answer_list answers; /* at most own_window */
	struct v2_answer *auth_answer; /* to IKE_AUTH */
	uint32_t *gone;		       /* SPIs that the peer deleted before we knew them (v2_child.c); NULL = none */
	unsigned n_gone;
	struct v2_task *rekey_answer; /* stands for the peer's rekey of the IKE SA, until that is answered to the end */

	struct ike_timer dpd;
	struct ike_timer stage;		 /* the end of its stage: half-open, authenticated (v2_reauth.c), replaced */
	uint64_t auth_until_ms;		 /* RFC 4478; 0 = for good */
	uint64_t reauth_at_ms;		 /* initiator of IKE_AUTH: when it begins to do it again */
	uint8_t reauth_spi[IKE_SPI_LEN]; /* ours of the SA that is to take over */
	bool auth_initiator;		 /* we began IKE_AUTH, perhaps several rekeys ago */
};

struct v2_nonces {
	struct v2_nonce i, r;
};

struct v2_child {
	struct ike_child c;	  /* first */
	struct v2_nonces *nonces; /* NULL once the pair is installed and no collision is open any more */
	enum ike_group pfs;
	uint8_t *shared; /* Diffie-Hellman secret until the keys are derived; NULL = none */
	size_t shared_len;
	uint8_t proposal_num;
	uint32_t old_spi;	/* inbound SPI of the child that this one replaces, 0 = none */
	uint32_t successor_spi; /* inbound SPI of the child that replaces this one, 0 = none */
	struct ike_timer activate;
	uint32_t answer_msgid;	  /* responder: of the request that made it */
	struct v2_task *task;	  /* our task that negotiates it, until installed */
	struct v2_answer *answer; /* the peer's request that it is made for, until answered */
	bool for_auth;		  /* made in IKE_AUTH */
	bool redundant;		  /* lost a collision: delete as soon as it is in */
	bool no_more;		  /* the peer wants no further child with these selectors (RFC 9611) */
	struct v2_ke *job;
	struct cv_selector want; /* what was asked for: a successor asks for the same again (RFC 7296 2.9.2) */
};

static inline struct v2_sa *v2_of(struct ike_sa *sa)
{
	return (struct v2_sa *)sa;
}
static inline struct v2_child *v2_child_of(struct ike_child *c)
{
	return (struct v2_child *)c;
}
/* A pair that the peer has made at our request and that is not installed here yet. */
static inline bool v2_child_dangling(const struct ike_child *c)
{
	return c->p.initiator && c->p.spi_out && c->state < IKE_CHILD_ESTABLISHED;
}

/* ---- v2_crypt.c ---- */

/* Lengths of the suite's keys into k. */
void v2_key_lengths(const struct v2_suite *s, struct v2_keys *k);
/*
 * SKEYSEED and SK_* of a new SA (RFC 7296 2.14); old_d non-NULL: of a rekey, with old_prf (2.18), and with the secrets
 * of its additional key exchanges in `more` (RFC 9370 2.2.4). 0 or -errno.
 */
int v2_derive(struct v2_sa *sa, const uint8_t *shared, size_t shared_len, const uint8_t *old_d, size_t old_d_len,
	enum ike_prf old_prf, struct v2_view more);
bool v2_wire_keys(const struct ike_sa *sa, struct ike_wire_keys *out);
#define V2_EMPTY ((struct v2_view){NULL, 0})
/*
 * KEYMAT of a child: prf+(SK_d, SK(0) | Ni | Nr | SK(1) | ... SK(n)) (RFC 7296 2.17, RFC 9370 2.2.4). sk0: of the first
 * key exchange, more: of the additional ones, both perhaps empty. len bytes into out. 0 or -errno.
 */
int v2_keymat(const struct v2_sa *sa, struct v2_view sk0, const struct v2_nonces *nonces, struct v2_view more,
	uint8_t *out, size_t len);
/* Child keys for c->p.suite. */
int v2_derive_child(const struct v2_sa *sa, const struct v2_child *c, struct ike_child_keys *out);
size_t v2_iv_len(const struct v2_suite *s);
/* At most so much longer than its data is what follows the header of an encrypted payload. */
size_t v2_sk_overhead(const struct v2_suite *s);
/* Close SK: pad, encrypt, ICV, total length. 0 or -errno. */
int v2_seal(struct v2_sa *sa, struct v2_enc *e);
/*
 * Check and decrypt the SK payload of m in place (the buffer is the caller's copy). *inner: the payloads inside.
 * 0, -EBADMSG (forged or damaged: no trace may remain but a counter) or -EPROTO (authentic, but bad padding).
 */
int v2_open(struct v2_sa *sa, struct v2_msg *m, uint8_t *buf, struct v2_view *inner);
/* AUTH of a preshared key (RFC 7296 2.15): of the initiator or of the responder. id_body: ID payload after its header.
 */
int v2_auth_psk(const struct v2_sa *sa, bool of_initiator, const struct cfg_psk *psk, const uint8_t *id_body,
	size_t id_len, uint8_t *out);

size_t v2_id_body(const struct ike_id *id, uint8_t out[4 + IKE_ID_MAX]);
/* What an end signs (RFC 7296 2.15), into out. */
int v2_auth_octets(
	const struct v2_sa *sa, bool of_initiator, const uint8_t *id_body, size_t id_len, struct v2_buf *out);

/* ---- v2_cert.c: certificates and signatures ---- */

void v2_enc_hash_algorithms(struct v2_enc *e);
void v2_take_hash_algorithms(struct v2_sa *sa, const struct v2_msg *m);
/* Key ids of the CAs of the profile, for the peer to choose its certificate by; none when it need not show one. */
void v2_certreq_of(const struct cfg_ike_profile *p, struct v2_buf *out);
void v2_enc_certreq(struct v2_enc *e, const struct v2_buf *ids);
void v2_enc_certs(struct v2_enc *e, const struct v2_sa *sa);
/* Settle sa->own_tp by what m and the messages before it ask for: CERTREQs, announced methods. */
void v2_choose_cert(struct v2_sa *sa, const struct v2_msg *m);
/* Settle sa->id_local; -EINVAL when our certificate has no usable subject. */
int v2_id_local(struct v2_sa *sa);
/*
 * On the pool: judge the peer's certificate, identity (sa->id_peer) and signature in m, and sign for us (into
 * sa->own_auth). then(sa, m, why) afterwards, unless the SA has died: why NULL = all is well; m is valid during the
 * call, NULL when none was given.
 */
void v2_cert_run(struct v2_sa *sa, const struct v2_msg *m, bool check_peer, bool sign_own,
	void (*then)(struct v2_sa *sa, struct v2_msg *m, const char *why));

/* ---- v2_methods.c: announced authentication methods (RFC 9593) ---- */

/* A way to sign. key: the only kind it is for; NONE = all that the scheme is for. */
struct v2_how {
	uint8_t method; /* of the AUTH payload */
	enum pki_scheme scheme;
	enum pki_hash hash;
	enum pki_key key;
};
/* Responder: settle what to announce, and when; IKE_INTERMEDIATE is agreed on or not. */
void v2_methods_begin(struct v2_sa *sa, const struct cfg_ike_profile *p);
/*
 * What we take, as notify: in the responder's answer to IKE_SA_INIT; in the last IKE_INTERMEDIATE when it was put off;
 * and in the initiator's IKE_AUTH.
 */
void v2_enc_methods_init(struct v2_enc *e, const struct v2_sa *sa);
void v2_enc_methods_inter(struct v2_enc *e, struct v2_sa *sa);
void v2_enc_methods_auth(struct v2_enc *e, const struct v2_sa *sa);
/* What m says of the peer's CAs and methods; without a word in it what was said before stands. */
void v2_take_certreqs(struct v2_sa *sa, const struct v2_msg *m);
void v2_take_methods(struct v2_sa *sa, const struct v2_msg *m);
/* How to sign with the key of tp: as announced where that can be done, else by what is known of the peer besides.
 * False: it takes none of our signatures. */
bool v2_method_choose(const struct v2_sa *sa, const struct pki_tp *tp, struct v2_how *out);
/* Has the peer announced a method that the key of tp can do? */
bool v2_method_announced(const struct v2_sa *sa, const struct pki_tp *tp);
/* Has it announced methods, and preshared keys are none of them? */
bool v2_methods_lack_psk(const struct v2_sa *sa);

/* ---- v2_frag.c: messages in fragments (RFC 7383) ---- */

/*
 * Take an authenticated fragment; inner is its content. 0 when the message is complete: then *inner is all of it,
 * *first the type of its first payload, and *whole what the caller frees (and zeroes) after use. -EAGAIN while pieces
 * are missing.
 */
int v2_frag_add(struct v2_sa *sa, const struct v2_msg *m, struct v2_view *inner, uint8_t *first, uint8_t **whole);
void v2_frags_fini(struct v2_sa *sa);
/* Seal e as one message, or as fragments where it is too long, into out: what v2_send_all() transmits. */
int v2_seal_all(struct v2_sa *sa, struct v2_enc *e, struct v2_buf *out);
void v2_send_all(struct v2_sa *sa, const struct v2_buf *b);
void v2_send_all_to(struct v2_sa *sa, const struct ike_path *path, bool natt, const struct v2_buf *b);

/* ---- v2_prop.c: what we offer and what we accept ---- */

void v2_enc_ike_sa(struct v2_enc *e, const struct cfg_ike_profile *p, const uint8_t *spi, size_t spi_len);
/*
 * Responder: the best of our proposals that the offer fits, with the group of the offered KE payload preferred.
 * Returns 0 and *num, or -ENOENT.
 */
int v2_choose_ike(const struct cfg_ike_profile *p, const struct v2_sa_pl *offer, uint16_t ke_group,
	struct v2_suite *out, struct v2_proposal *chosen);
/* The one proposal that stands for a suite: into an SA payload of a response. */
void v2_enc_ike_chosen(struct v2_enc *e, const struct v2_suite *s, uint8_t num, const uint8_t *spi, size_t spi_len);
/* First group that the profile offers, and whether it offers g. */
enum ike_group v2_first_group(const struct cfg_ike_profile *p);
bool v2_group_offered(const struct cfg_ike_profile *p, uint16_t g);
/* A proposal for each transform set of the entry that can be had. */
void v2_enc_child_sa(
	const struct ike *ike, struct v2_enc *e, const struct cfg_map_entry *entry, uint32_t spi, enum ike_group pfs);
/*
 * Responder: by our order of transform sets. pfs_ok: exchange that can carry a KE payload. transport: the peer asks for
 * transport mode, and the flow may have it. On success fills suite, ESN, mode, spi_out, pfs, proposal number, and the
 * additional key exchanges by transform type; -ENOENT when nothing fits.
 */
int v2_choose_child(const struct ike *ike, const struct cfg_map_entry *entry, const struct v2_sa_pl *offer, bool pfs_ok,
	uint16_t ke_group, bool transport, struct v2_child *c, enum ike_group addke[CFG_ADDKE_MAX]);
/* "1: ESP aes128-cbc sha1-96; 2: ..." for people, cut to size. Returns buf. */
const char *v2_offer_text(const struct v2_sa_pl *offer, char *buf, size_t size);
/* Initiator: the single proposal of a response against what we offered. */
int v2_accept_child(const struct ike *ike, const struct cfg_map_entry *entry, const struct v2_sa_pl *answer,
	enum ike_group pfs, struct v2_child *c);
void v2_enc_child_chosen(struct v2_enc *e, const struct v2_child *c);
/* What goes with either SA payload: transport mode asked for or agreed to; that TFC padding is not understood. */
void v2_enc_child_notifies(struct v2_enc *e, const struct v2_child *c);
/* Selectors (ours outbound) as TSi/TSr; `initiator`: our side is TSi. */
void v2_enc_child_ts(struct v2_enc *e, const struct cv_selector *sel, unsigned n, bool initiator);
/* One selector from a local and a remote TS. False when families or protocols do not go together. */
bool v2_ts_pair(const struct v2_ts *local, const struct v2_ts *remote, struct cv_selector *out);

/* ---- v2_window.c: our requests, the peer's, and the windows of both ---- */

struct v2_task *v2_task_new(const struct v2_task_ops *ops);
/* Release t wherever it is. Nothing is sent, and nothing else starts. */
void v2_task_free(struct v2_sa *sa, struct v2_task *t);
void v2_task_queue(struct v2_sa *sa, struct v2_task *t);
void v2_task_queue_first(struct v2_sa *sa, struct v2_task *t);
/* Give t a place in the window now: IKE_AUTH, or a task whose answer is in but not judged yet. */
void v2_task_keep(struct v2_sa *sa, struct v2_task *t);
void v2_task_send(struct v2_sa *sa, struct v2_task *t);
/* Give up a task that has a place in the window but sent nothing: another may start. */
void v2_task_drop(struct v2_sa *sa, struct v2_task *t);
/* Out of queue and window, still to be freed. */
void v2_task_detach(struct v2_sa *sa, struct v2_task *t);
/* From the queue of one SA to that of another, without starting it. */
void v2_task_move(struct v2_sa *to, struct v2_sa *from, struct v2_task *t);
/* The task of this kind that has a place in the window; NULL = none. */
struct v2_task *v2_task_active(const struct v2_sa *sa, const struct v2_task_ops *ops);
/* The same, or one that waits. */
bool v2_have_task(const struct v2_sa *sa, const struct v2_task_ops *ops);
void v2_queue_run(struct v2_sa *sa);
/* The task that response m answers, out of the window now; NULL when there is none. */
struct v2_task *v2_task_answered(struct v2_sa *sa, uint32_t msgid);
/* The exchange of its next or present request. */
static inline uint8_t v2_task_exchange(const struct v2_task *t)
{
	return t->follow ? V2_IKE_FOLLOWUP_KE : t->ops->exchange;
}
/* Is a request under way with this message id and exchange? */
bool v2_task_expected(const struct v2_sa *sa, uint32_t msgid, uint8_t exchange);
/* A request sent by an earlier process: go on repeating it. */
void v2_task_resume(struct v2_sa *sa, struct v2_task *t, uint32_t msgid, const void *out, size_t len);
/* Send r->out and repeat until v2_request_stop(). */
void v2_request_send(struct v2_sa *sa, struct v2_request *r);
void v2_request_stop(struct v2_sa *sa, struct v2_request *r);
/* The path is another one: send all that is under way at once, and give the peer the full time again. */
void v2_requests_again(struct v2_sa *sa);

/* What to do with the peer's request of this id: work on it, answer it again (*a), or nothing. */
enum v2_request_is { V2_REQUEST_NEW, V2_REQUEST_REPEATED, V2_REQUEST_UNEXPECTED };
enum v2_request_is v2_request_is(const struct v2_sa *sa, uint32_t msgid, struct v2_answer **a);
/* A new one, authenticated: its place in our window. What the peer has seen answered is forgotten. */
struct v2_answer *v2_answer_open(struct v2_sa *sa, const struct v2_msg *m);
/* One that an earlier process has answered. */
void v2_answer_resume(struct v2_sa *sa, uint32_t msgid, const void *resp, size_t len);
/* Start an encrypted response to the request that a stands for. */
void v2_resp_begin(struct v2_sa *sa, const struct v2_answer *a, struct v2_enc *e, uint8_t *buf);
/* Seal, save the SA, keep for repetition, send. */
void v2_respond(struct v2_sa *sa, struct v2_answer *a, struct v2_enc *e);
void v2_respond_notify(struct v2_sa *sa, struct v2_answer *a, uint16_t type, const void *data, size_t len);
/*
 * The answer to what an authenticated peer should not have sent: INVALID_SYNTAX, which ends the IKE SA (RFC 7296
 * 2.21.3). Not every implementation knows that, so a delete follows.
 */
void v2_malformed(struct v2_sa *sa, struct v2_answer *a);

/* SET_WINDOW_SIZE (RFC 7296 2.3): from now on we take as many as the profile says. Nothing is written for one. */
void v2_enc_window(struct v2_sa *sa, struct v2_enc *e);
void v2_take_window(struct v2_sa *sa, const struct v2_msg *m);
/* The successor of an SA starts with windows of one: who made it announces its own again, to a peer that has answered
 * so before. */
void v2_window_succeed(struct v2_sa *to, const struct v2_sa *from);
void v2_window_fini(struct v2_sa *sa);

/* ---- v2.c: messages ---- */

void v2_header(const struct v2_sa *sa, struct v2_hdr *h, uint8_t exchange, uint32_t msgid, bool response);
struct v2_sa *v2_sa_new(struct ike *ike);
/* The SA is made: what that took is zeroed and freed, the identities stay. */
void v2_setup_done(struct v2_sa *sa);
/* len 0 = not known yet. */
void v2_ids(const struct v2_sa *sa, struct ike_id *local, struct ike_id *peer);
void v2_set_timer(struct v2_sa *sa, struct ike_timer *t, void (*fire)(struct ike *, struct ike_timer *), uint64_t ms);
int v2_nonce_take(struct v2_nonce *n, struct v2_view v);
void v2_nonce_make(struct v2_nonce *n);
/* The lesser of two nonces in the order of RFC 7296 2.8.1. */
const struct v2_nonce *v2_nonce_min(const struct v2_nonce *a, const struct v2_nonce *b);
int v2_nonce_cmp(const struct v2_nonce *a, const struct v2_nonce *b);

/* ---- exchanges ---- */

/* v2_init.c */
struct ike_sa *v2_initiate(struct ike *ike, const struct cfg_map_entry *entry, const struct ike_path *path);
void v2_init_request(struct ike *ike, const struct ike_path *path, bool natt, struct v2_msg *m);
void v2_init_response(struct v2_sa *sa, struct v2_msg *m);
/* Forget an answer that waits for a better one. */
void v2_init_undoubt(struct v2_sa *sa);

/* The first message, with what the peer has asked for meanwhile: cookie, solution, group. */
void v2_init_send(struct v2_sa *sa);
/* An answer to a request that is given no state: begin, notifies, send. */
void v2_stateless_begin(struct v2_enc *e, uint8_t *buf, size_t size, const struct v2_msg *m);
void v2_stateless_send(struct ike *ike, const struct ike_path *path, bool natt, struct v2_enc *e);

/* ---- v2_cookie.c: cookies (RFC 7296 2.6) and when puzzles are demanded (RFC 8019) ---- */

/* Responder: must this first message come again with a cookie, or with work as well? Then that has been said. */
bool v2_cookie_demanded(struct ike *ike, const struct ike_path *path, bool natt, const struct v2_msg *m);
/* Responder: m is given an SA; its solution is good for no other. */
void v2_cookie_spend(struct ike *ike, const struct v2_msg *m);
/*
 * Initiator: the peer wants this cookie back (at most V2_COOKIE_MAX bytes), and perhaps a puzzle solved. The first
 * message goes out again, at once or when the puzzle is solved.
 */
void v2_cookie_take(struct v2_sa *sa, struct v2_view cookie, const struct v2_notify *puzzle);

/* ---- v2_puzzle.c: puzzles (RFC 8019 7.1.3) ---- */

struct v2_puzzle; /* being solved */
/* The zero bits that a solution has for a cookie: the least of its four keys. -1: it is none. */
int v2_puzzle_bits(enum ike_prf prf, struct v2_view cookie, struct v2_view solution);
/*
 * Search on the pool; sa keeps the search in *held until then() is called, with an empty solution where there is none,
 * and forgets it when it loses interest.
 */
void v2_puzzle_solve(struct v2_sa *sa, struct v2_puzzle **held, enum ike_prf prf, uint8_t bits, struct v2_view cookie,
	void (*then)(struct v2_sa *sa, struct v2_view solution));
void v2_puzzle_forget(struct v2_puzzle **held);

/* NAT detection (RFC 7296 2.23). force: tell the peer of a NAT that is not there. */
void v2_enc_nat(struct v2_enc *e, const struct v2_hdr *h, const struct ike_path *path, bool force);
/* Sets nat_local, nat_remote and encap; false when the message says nothing about it. */
bool v2_detect_nat(struct v2_sa *sa, const struct v2_msg *m, const struct ike_path *path, bool force);

/* v2_mobike.c: addresses that change (RFC 4555) */
void v2_enc_mobike(struct v2_sa *sa, struct v2_enc *e); /* in IKE_AUTH */
void v2_take_mobike(struct v2_sa *sa, const struct v2_msg *m);
/* The peer's further addresses: n of them, at most V2_OTHER_MAX. */
void v2_others_set(struct v2_sa *sa, const struct cv_addr *other, unsigned n);
/* An INFORMATIONAL request of ours, and its answer. False: the SA is gone. */
void v2_mobike_build(struct v2_sa *sa, struct v2_task *t, struct v2_enc *e);
bool v2_mobike_response(struct v2_sa *sa, struct v2_task *t, const struct v2_msg *m);
/* One of the peer's: e is the answer, which is sent afterwards. v2_mobike_follow() then, when this returned true. */
bool v2_mobike_request(struct v2_sa *sa, const struct v2_msg *m, struct v2_enc *e);
void v2_mobike_follow(struct v2_sa *sa);
void v2_mobike_resume(struct v2_sa *sa); /* after a restore */
void v2_readdress(struct ike_sa *sa, const struct cv_addr *local);
/* The peer does not answer: try another of its addresses. False when there is none left. */
bool v2_mobike_failover(struct v2_sa *sa);

/* v2_auth.c */
void v2_auth_start(struct v2_sa *sa);
void v2_auth_request(struct v2_sa *sa, struct v2_msg *m);
/* The child of the answer under way has died (operator, configuration): answer without it. */
void v2_auth_child_gone(struct v2_sa *sa);
extern const struct v2_task_ops v2_auth_task;

/* v2_ppk.c: post-quantum preshared keys (RFC 8784) */
bool v2_ppk_announced(const struct cfg_ike_profile *p, const struct v2_msg *m);
/* Initiator, before anything of IKE_AUTH is made. NULL or why there can be no SA. */
const char *v2_ppk_begin(struct v2_sa *sa);
void v2_ppk_enc_request(struct v2_sa *sa, struct v2_enc *e);
/* Initiator, before the peer is judged: has it used the key? */
const char *v2_ppk_answered(struct v2_sa *sa, const struct v2_msg *m);
/* Responder, the profile known: the key that the peer names, or its AUTH without one. NULL or why it is refused. */
const char *v2_ppk_judge(struct v2_sa *sa, struct v2_msg *m);
/* m->auth is what the end that lacks the key has to look at. */
void v2_ppk_pick_auth(const struct v2_sa *sa, struct v2_msg *m);
void v2_ppk_enc_response(const struct v2_sa *sa, struct v2_enc *e);
/* The keys with and without it change places; only between a call of v2_ppk_begin and the peer's answer. */
void v2_ppk_swap(struct v2_sa *sa);
void v2_ppk_fini(struct v2_sa *sa);
/* Initiator: the peer may do without the key, so that our AUTH is needed with the keys without it as well. */
static inline bool v2_ppk_alternative(const struct v2_sa *sa)
{
	return sa->setup->no_ppk && sa->sa.profile->ppk_mode == CFG_PPK_OPTIONAL;
}

/* v2_inter.c: IKE_INTERMEDIATE (RFC 9242), additional key exchanges (RFC 9370) */
#define V2_INTER_OCTETS_MAX (2 * IKEC_PRF_MAX + 4)
/* Does a proposal of the profile need it? Then it is announced. */
bool v2_inter_wanted(const struct cfg_ike_profile *p);
/* Both have announced it. */
void v2_inter_begin(struct v2_sa *sa);
/* Initiator: the next additional key exchange, IKE_AUTH after the last. */
void v2_inter_next(struct v2_sa *sa);
void v2_inter_request(struct v2_sa *sa, struct v2_msg *m);
/* Has every additional key exchange been done? */
bool v2_inter_complete(const struct v2_sa *sa);
/* A repeated request comes under the keys from before it was answered: swap, look, and swap back. */
void v2_inter_swap(struct v2_sa *sa);
/* IntAuth: what AUTH also covers; its length, 0 = there were no exchanges. */
size_t v2_inter_octets(const struct v2_sa *sa, uint8_t out[V2_INTER_OCTETS_MAX]);
void v2_inter_fini(struct v2_sa *sa);

/* ---- v2_ke.c: key exchanges on the pool ---- */

struct v2_ke {
	struct ike_job j;
	void *of;
	struct v2_ke **held; /* where its owner keeps it; NULL: forgotten */
	enum ike_group group;
	struct ikec_dh *dh; /* `then` may take it */
	uint8_t peer[IKEC_DH_PUB_MAX];
	size_t peer_len;
	uint8_t shared[IKEC_DH_PUB_MAX];
	size_t shared_len;
	int err;
	void (*then)(void *of, struct v2_ke *ke);
};
/*
 * ikec_ke() for `of`, which keeps it in *held until then(of, ke) is called, and forgets it when it goes itself. dh is
 * taken over; peer.p NULL: make a key pair.
 */
void v2_ke_run(struct v2_sa *sa, struct v2_ke **held, void *of, enum ike_group group, struct ikec_dh *dh,
	struct v2_view peer, void (*then)(void *of, struct v2_ke *ke));
void v2_ke_forget(struct v2_ke **held);

/* ---- v2_follow.c: IKE_FOLLOWUP_KE (RFC 9370) ---- */

/* A series of additional key exchanges belongs to a task: our own, or one that stands for the peer's exchange. */
struct v2_follow_ops {
	/* All have been done. a: the peer's request that is to be answered; NULL for a series of ours. */
	void (*done)(struct v2_sa *sa, struct v2_task *t, struct v2_answer *a);
	/* It came to nothing: our request was refused with this notify, or (0) an end made no sense or fell silent. */
	void (*failed)(struct v2_sa *sa, struct v2_task *t, uint16_t notify);
};
void v2_follow_new(struct v2_sa *sa, struct v2_task *t, const enum ike_group group[CFG_ADDKE_MAX],
	const struct v2_follow_ops *ops);
void v2_follow_free(struct v2_task *t);
/* SK(1) | ... of the task's series; empty when it has none. t may be NULL. */
struct v2_view v2_follow_secret(const struct v2_task *t);
/* The groups of the task's series by transform type, CFG_ADDKE_MAX; NULL when it has none. t may be NULL. */
const enum ike_group *v2_follow_groups(const struct v2_task *t);
/* Ours: what links the next request to m, the peer's answer; false when that says nothing. Then the next exchange. */
bool v2_follow_take_link(struct v2_task *t, const struct v2_msg *m);
void v2_follow_next(struct v2_task *t);
void v2_follow_build(const struct v2_task *t, struct v2_enc *e);
void v2_follow_response(struct v2_task *t, const struct v2_msg *m);
/* The peer's: may it have another series? Expect its next request; the link to it goes into the answer. */
bool v2_follow_room(const struct v2_sa *sa);
void v2_follow_wait(struct v2_task *t);
void v2_follow_enc_link(const struct v2_task *t, struct v2_enc *e);
void v2_follow_request(struct v2_sa *sa, struct v2_msg *m);

/* v2_child.c: children in CREATE_CHILD_SA */
void v2_child_initiate(struct ike_sa *sa, struct ike_req *req);
void v2_child_rekey(struct ike_child *c);
void v2_create_child_request(struct v2_sa *sa, struct v2_msg *m);
/* Responder, both exchanges: entry, proposal and selectors of an offered child; 0 or the error notify to send. */
uint16_t v2_child_from_offer(struct v2_sa *sa, struct v2_msg *m, bool create, struct v2_child **out);
/* Initiator, both exchanges: fill in c from the response's SA and TS; 0 or -EPROTO with *why. */
int v2_child_from_answer(struct v2_sa *sa, struct v2_msg *m, struct v2_child *c, const char **why);
struct v2_child *v2_child_new(struct v2_sa *sa, const struct cfg_map_entry *entry);
/* Initiator, once entry and flow are set: transport mode when the best transform set has it and the flow may. */
void v2_child_ask_mode(struct v2_child *c);
/* Derive keys and install; c->c.installed must be set. */
void v2_child_install(struct v2_sa *sa, struct v2_child *c);
void v2_child_enc_answer(struct v2_enc *e, const struct v2_child *c);
void v2_child_fini(struct ike_child *c);
/* Installed, and the nonces decide about no collision any more. */
void v2_child_settled(struct v2_child *c);
extern const struct v2_task_ops v2_new_child_task;
/* It did not come to be; its wish is told so, and an old pair that it was to replace goes on. */
void v2_child_failed(struct v2_sa *sa, struct v2_child *c, const char *reason);
/* The peer deletes a pair of this SPI that we do not know: perhaps the answer that makes it is still to come. */
void v2_child_gone(struct v2_sa *sa, uint32_t spi_out);
/* The peer deletes a successor instead of the old pair (its process was restarted): the old one counts again. */
void v2_child_withdrawn(struct v2_sa *sa, uint32_t spi_in);
/* The successor of c, which so far only receives, takes over sending. False when there is none. */
bool v2_child_replaced(struct v2_sa *sa, struct v2_child *c);

/* A child of ours with its task, which the caller queues. NULL: no SPI left. */
struct v2_child *v2_child_queue(
	struct v2_sa *sa, const struct cfg_map_entry *entry, const struct cv_selector *sel, uint32_t rule_id);

/* v2_resource.c: one child for each worker (RFC 9611) */
/* Initiator: the first one offers that more may follow. */
void v2_resource_ask(struct v2_child *c);
void v2_resource_enc(struct v2_enc *e, const struct v2_child *c);
void v2_resource_answered(struct v2_child *c, const struct v2_msg *m);
/* Responder: settle whether it is one of several, and for which worker. 0 or the error notify. */
uint16_t v2_resource_offer(struct v2_child *c, const struct v2_msg *m);
void v2_resource_inherit(struct v2_child *c, const struct ike_child *old);
/* A worker sends by c for want of one of its own. */
void v2_child_resource(struct ike_child *c, uint8_t resource);
/* Is a child that a worker has asked for still of use? */
bool v2_resource_wanted(const struct v2_child *c);
/* The peer refuses it: ask for no more until one is gone. */
void v2_resource_refused(struct v2_child *c, uint16_t type);
void v2_resource_gone(struct v2_child *c);

/* v2_rekey.c: the IKE SA in CREATE_CHILD_SA */
void v2_sa_rekey(struct ike_sa *sa);
void v2_rekey_ike_request(struct v2_sa *sa, struct v2_msg *m, const struct v2_sa_pl *offer);
/* Move children, wishes and waiting tasks. */
void v2_adopt(struct v2_sa *to, struct v2_sa *from);
/* The peer has deleted an SA that we are both rekeying: its exchange has won. True when a rival took over. */
bool v2_rekey_yield(struct v2_sa *sa);
extern const struct v2_task_ops v2_rekey_ike_task;

/* v2_reauth.c: the lifetime of an authentication (RFC 4478) */
void v2_reauth_arm(struct v2_sa *sa);
void v2_take_auth_lifetime(struct v2_sa *sa, const struct v2_msg *m); /* of an established SA */
void v2_enc_auth_lifetime(struct v2_sa *sa, struct v2_enc *e);	      /* in the answer to IKE_AUTH */
/* Responder of IKE_AUTH: before and after the first child is installed. */
void v2_reauth_overlap(struct v2_sa *sa, struct v2_child *c);
void v2_reauth_overlap_end(struct v2_sa *sa, struct v2_child *c);
void v2_reauth_succeed(struct v2_sa *to, const struct v2_sa *from); /* a rekey does not renew it */

/* v2_info.c */
void v2_info_request(struct v2_sa *sa, struct v2_msg *m);
void v2_send_delete(struct v2_sa *sa, uint8_t proto, uint32_t spi_in);
void v2_child_delete(struct ike_child *c);
void v2_sa_delete(struct ike_sa *sa, const char *reason);
void v2_sa_delete_replaced(struct v2_sa *sa);
void v2_dpd_arm(struct v2_sa *sa);
void v2_send_notify(struct v2_sa *sa, uint16_t type);
extern const struct v2_task_ops v2_info_task;

/* v2_vault.c */
void v2_serialize(const struct ike_sa *sa, struct ike_wbuf *w);
int v2_restore(struct ike_sa *sa, struct ike_rbuf *r);
void v2_child_serialize(const struct ike_child *c, struct ike_wbuf *w);
int v2_child_restore(struct ike_child *c, struct ike_rbuf *r);

#endif
