/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the two IKE versions share inside the engine: the SA table, timers, children, wishes for children, the vault and
 * the demultiplexer. IKEv1 and IKEv2 are two instances of struct ike_version; neither includes the other's headers.
 * Single thread: everything here runs on the loop. Times are milliseconds of ops->now_ms.
 *
 * Life and death: ike_sa_destroy() and ike_child_remove() unlink an object at once (no look-up finds it any more) and
 * leave its memory until the engine is entered no deeper than once: code further up the stack may still look at
 * sa->dead. Every entry point (ike.h functions, timers, host call-backs) is bracketed by ike_enter/ike_leave.
 */
#ifndef CONTROL_IKE_INTERNAL_H
#define CONTROL_IKE_INTERNAL_H

#include <sys/queue.h>

#include "cv_addr.h"
#include "cv_log.h"
#include "cv_secret.h"
#include "ike.h"
#include "ikecrypto.h"

#define IKE_SPI_LEN 8
#define IKE_HDR_LEN 28	   /* RFC 7296 3.1, RFC 2408 3.1 */
#define IKE_MSG_MAX 9000u  /* longest message built or taken */
#define IKE_PORT 500	   /* RFC 7296 2 */
#define IKE_NATT_PORT 4500 /* RFC 3947, RFC 7296 2.23 */
#define IKE_LINGER_MS 3000 /* how long a replaced inbound SA goes on receiving what is still under way */

#ifndef TAILQ_FOREACH_SAFE
#define TAILQ_FOREACH_SAFE(var, head, field, next)                                                                     \
	for ((var) = TAILQ_FIRST(head); (var) && ((next) = TAILQ_NEXT(var, field), 1); (var) = (next))
#endif

#define IKE_CONTAINER(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

struct ike_version;

/* ---- timers: a binary heap, O(log n) to set and to stop; a timer is embedded in what it belongs to ---- */

struct ike_timer {
	uint64_t at_ms;
	unsigned pos; /* place in the heap, 1.. ; 0 = not running */
	void (*fire)(struct ike *ike, struct ike_timer *t);
};
/* (Re)start: fire once at the absolute time at_ms. t->fire must be set. */
void ike_timer_set(struct ike *ike, struct ike_timer *t, uint64_t at_ms);
void ike_timer_stop(struct ike *ike, struct ike_timer *t);
static inline bool ike_timer_running(const struct ike_timer *t)
{
	return t->pos != 0;
}

/* ---- hash tables: intrusive, growing, seeded (peers choose part of the keys) ---- */

struct ike_hlink {
	struct ike_hlink *next, **pprev; /* pprev NULL = not in a table */
	uint64_t hash;
};
struct ike_htab {
	struct ike_hlink **bucket;
	unsigned mask, n;
};

/* ---- counters, shown by ike_show_stats ---- */
#define IKE_STATS(X)                                                                                                   \
	X(rx_messages)                                                                                                 \
	X(rx_malformed)                                                                                                \
	X(rx_unknown_version)                                                                                          \
	X(rx_unknown_spi)                                                                                              \
	X(rx_bad_integrity)                                                                                            \
	X(rx_retransmits)                                                                                              \
	X(rx_unexpected)                                                                                               \
	X(tx_messages)                                                                                                 \
	X(tx_retransmits)                                                                                              \
	X(cookies_sent)                                                                                                \
	X(puzzles_sent)                                                                                                \
	X(puzzles_solved)                                                                                              \
	X(puzzles_wrong)                                                                                               \
	X(puzzles_excused)                                                                                             \
	X(puzzles_worked)                                                                                              \
	X(puzzles_declined)                                                                                            \
	X(half_open_refused)                                                                                           \
	X(sa_initiated)                                                                                                \
	X(sa_responded)                                                                                                \
	X(sa_established)                                                                                              \
	X(sa_rekeyed)                                                                                                  \
	X(sa_reauthenticated)                                                                                          \
	X(sa_failed)                                                                                                   \
	X(auth_failed)                                                                                                 \
	X(no_proposal_chosen)                                                                                          \
	X(ts_unacceptable)                                                                                             \
	X(child_established)                                                                                           \
	X(child_rekeyed)                                                                                               \
	X(child_failed)                                                                                                \
	X(followup_ke)                                                                                                 \
	X(dpd_sent)                                                                                                    \
	X(dpd_dead)                                                                                                    \
	X(restored)                                                                                                    \
	X(acquires)                                                                                                    \
	X(acquires_early)                                                                                              \
	X(acquires_failed)                                                                                             \
	X(v1_no_profile)                                                                                               \
	X(v1_aggressive_refused)                                                                                       \
	X(v1_exchange_refused)                                                                                         \
	X(certmap_matched)                                                                                             \
	X(certmap_no_match)                                                                                            \
	X(identity_refused)
struct ike_stats {
#define X(name) uint64_t name;
	IKE_STATS(X)
#undef X
};

/* An IKE SA as call admission control sees it (CAC-1). */
enum ike_call { IKE_CALL_NONE = 0, IKE_CALL_NEGOTIATING, IKE_CALL_ACTIVE };
#define IKE_CALLS 3

/* State of call admission control: ike_cac.c. */
struct ike_cac {
	uint64_t accepted[2], rejected[2]; /* [0] incoming, [1] outgoing */
	uint64_t rsrc_low, by_sa_limit;
	uint32_t load; /* percent, as last read */
	struct ike_timer poll;
	uint64_t second_ms; /* when the second began in which `strange` were counted; `before`: in the one before */
	uint32_t strange, before;
	uint64_t refill_ms; /* token bucket of IKE_EVT_REFUSED */
	unsigned tokens;
};

TAILQ_HEAD(ike_sa_list, ike_sa);
TAILQ_HEAD(ike_child_list, ike_child);
TAILQ_HEAD(ike_req_list, ike_req);
TAILQ_HEAD(ike_job_list, ike_job);

/* The engine. */
struct ike {
	struct ike_ops ops;
	void *ctx;
	struct cv_config *cfg; /* one reference; NULL before the first ike_set_config */
	struct ike_timer **heap;
	unsigned heap_n, heap_size;
	uint64_t seed;
	struct ike_htab by_spi;	 /* local SPI (own cookie) */
	struct ike_htab by_peer; /* peer's SPI + peer's address: finds the SA of a repeated first message */
	struct ike_htab by_addr; /* front VRF + remote address: SAs with one peer */
	struct ike_htab by_child;
	struct ike_htab by_req;
	struct ike_sa_list sas;
	unsigned n_sas, n_half_open; /* n_half_open: as responder, not yet authenticated */
	unsigned n_calls[IKE_CALLS];
	struct ike_cac cac;
	struct ike_req_list reqs; /* every wish that has not come true */
	struct ike_job_list jobs;
	struct ike_sa_list dead_sas;
	struct ike_child_list dead_children;
	unsigned depth;
	struct ike_stats stats;
	struct ike_timer auto_timer;
	uint64_t v1_refused_ms;	     /* when a refusal was last logged */
	struct ike_pool *pools;	     /* v1_modecfg.c */
	struct v1_lore *lore;	     /* v1_learn.c */
	bool mixed_auth;	     /* IKEv2 profiles differ in how their peers prove themselves (v2_methods.c) */
	struct ike_current *current; /* sorted; ike_peers.c */
	unsigned n_current;
	uint64_t next_sa_id;
	uint8_t cookie_secret[2][32]; /* IKEv2 cookies: current and previous (RFC 7296 2.6) */
	uint32_t cookie_version;
	uint64_t cookie_changed_ms;
	uint64_t spent[1024]; /* cookies whose puzzles have been solved for an SA (v2_cookie.c) */
};

void ike_enter(struct ike *ike);
void ike_leave(struct ike *ike);
static inline uint64_t ike_now(const struct ike *ike)
{
	return ike->ops.now_ms(ike->ctx);
}

/* ---- IKE SA: the part both versions share; a version embeds it first in its own struct ---- */

enum ike_phase {
	IKE_PHASE_HALF_OPEN = 0, /* not authenticated yet */
	IKE_PHASE_ESTABLISHED,	 /* may carry children */
	IKE_PHASE_CLOSING,	 /* replaced or deleting: takes no new children */
};

struct ike_sa {
	struct ike *ike;
	const struct ike_version *v;
	TAILQ_ENTRY(ike_sa) all;
	struct ike_hlink by_spi, by_peer, by_addr;
	uint64_t id; /* for people: the connection id of show and log */
	uint8_t spi_i[IKE_SPI_LEN], spi_r[IKE_SPI_LEN];
	bool initiator; /* we sent the first message (of the SA's own creation) */
	bool dead;	/* destroyed; memory still there */
	bool counted_half_open;
	enum ike_call call; /* how it is counted in n_calls */
	enum ike_phase phase;
	int state;		    /* the version's own; named by v->state_name */
	struct ike_path path;	    /* where we send to; follows a NAT mapping */
	struct cv_addr peer;	    /* the configured address of the peer: remote, before any NAT moved it */
	bool natt;		    /* on port 4500: messages carry the marker */
	bool nat_local, nat_remote; /* a NAT before us, before the peer */
	bool encap;		    /* children use UDP encapsulation */
	bool mobike;		    /* addresses change, as the end that began decides (RFC 4555) */
	bool movable;		    /* ... and that is us */
	const struct cfg_ike_profile *profile;
	const struct cfg_map_entry *entry; /* the entry it was set up for; NULL while a responder does not know */
	struct ike_child_list children;
	struct ike_req_list reqs; /* waiting for this SA */
	uint64_t created_ms, established_ms;
	uint64_t soft_ms, hard_ms; /* rekey and end of the SA; 0 = not set */
	struct ike_timer life;	   /* soft, then hard: v->sa_rekey, v->sa_delete */
	struct ike_timer keepalive;
	uint64_t last_rx_ms; /* last authenticated message from the peer */
	int vault_rec;	     /* -1 = none */
	struct ike_job_list jobs;
	uint32_t rekeys;
	uint32_t tx, rx, retransmits, bad;
	const char *fail_reason; /* static text, for the event at destruction */
	/* what the peer has proven beyond a key (ike_cert.c); NULL = nothing */
	char *peer_subject; /* DN of its certificate */
	char *cert_map;	    /* "name sequence" of the certificate map that chose the profile */
	char *group;	    /* group it belongs to (CERTMAP-6, 7) */
	bool name_proven;   /* its identity is in its certificate, or its key belongs to that identity alone */
};

/* A pair of IPsec SAs; a version may embed it first in its own struct. */
enum ike_child_state {
	IKE_CHILD_NEGOTIATING = 0,
	IKE_CHILD_INSTALLING,  /* handed to the host, not acknowledged */
	IKE_CHILD_ESTABLISHED, /* carries traffic */
	IKE_CHILD_REKEYING,    /* carries traffic; its successor is being negotiated */
	IKE_CHILD_REKEYED,     /* its successor carries the traffic; waits for its delete */
	IKE_CHILD_DELETING,    /* delete sent */
};
struct ike_child {
	struct ike_sa *sa;
	TAILQ_ENTRY(ike_child) link;
	struct ike_hlink by_id;
	struct ike_child_params p; /* p.entry and p.path stay current */
	uint32_t child_id;	   /* 0 = not with the host */
	enum ike_child_state state;
	bool dead, has_spi, cb_pending;
	bool lost; /* the dataplane lost it; a new one is being made */
	uint64_t established_ms, soft_ms, hard_ms;
	struct ike_timer life; /* soft, then hard */
	struct ike_req *req;   /* the wish it fulfils, or NULL */
	uint32_t rekeys;
	void (*installed)(struct ike_child *c, int err);
};

/*
 * The wish for a child: from the dataplane (acquire), auto-start, or a lost child. One per rule and selectors. It moves
 * from peer to peer of its entry until a child is up or the list is at its end (IPSEC-48).
 */
struct ike_req {
	TAILQ_ENTRY(ike_req) all, link;
	struct ike_hlink by_key;
	struct ike *ike;
	const struct cfg_map_entry *entry;
	uint32_t rule_id; /* 0 = the host finds the rule by its selectors */
	struct cv_selector sel;
	struct cv_selector trigger; /* af of src.lo NONE = no packet behind it */
	unsigned peer, tried;	    /* index into entry->peer; how many have failed */
	struct ike_sa *sa;	    /* the SA that works on it or that it waits for */
	bool started;		    /* v->child_initiate has taken it */
	bool queued;		    /* ... and has not begun yet: the version's own business */
};

/* Work on the public-key pool. A version embeds it first in its job; sa is NULL in done() when the SA has died. */
struct ike_job {
	TAILQ_ENTRY(ike_job) link, all;
	struct ike *ike; /* NULL: the engine is gone as well */
	struct ike_sa *sa;
	bool brief;			 /* ikec_ke_is_brief() */
	void (*work)(struct ike_job *j); /* on a pool thread: touches the job only */
	void (*done)(struct ike_job *j); /* on the loop, bracketed; must free j's contents, not j */
};
/* j from calloc; freed after done(). sa may be NULL. */
void ike_job_run(struct ike *ike, struct ike_sa *sa, struct ike_job *j);

/* Append-only writer and strict reader for vault records. Errors stick in `bad`. */
struct ike_wbuf {
	uint8_t *p;
	size_t len, size;
	bool bad;
};
struct ike_rbuf {
	const uint8_t *p;
	size_t len, off;
	bool bad;
};
void ike_put(struct ike_wbuf *w, const void *data, size_t len);
void ike_put_u8(struct ike_wbuf *w, uint8_t v);
void ike_put_u32(struct ike_wbuf *w, uint32_t v);
void ike_put_u64(struct ike_wbuf *w, uint64_t v);
void ike_put_blob(struct ike_wbuf *w, const void *data, size_t len); /* length (32 bit) and bytes */
void ike_get(struct ike_rbuf *r, void *out, size_t len);
uint8_t ike_get_u8(struct ike_rbuf *r);
uint32_t ike_get_u32(struct ike_rbuf *r);
uint64_t ike_get_u64(struct ike_rbuf *r);
/* A view into the record; NULL with *len 0 when it does not fit into max. */
const uint8_t *ike_get_blob(struct ike_rbuf *r, size_t *len, size_t max);

/* ---- identities (VRF-25, 29): shared by both versions; types are those of RFC 7296 3.5, the same as RFC 2407's ----
 */

enum {
	IKE_ID_IPV4_ADDR = 1,
	IKE_ID_FQDN = 2,
	IKE_ID_RFC822_ADDR = 3,
	IKE_ID_IPV6_ADDR = 5,
	IKE_ID_DN = 9,
	IKE_ID_KEY_ID = 11
};
#define IKE_ID_MAX 256
struct ike_id {
	uint8_t type;
	uint16_t len;
	uint8_t data[IKE_ID_MAX];
};
/* Its vault record: a type and a blob. */
void ike_put_id(struct ike_wbuf *w, const struct ike_id *id);
void ike_get_id(struct ike_rbuf *r, struct ike_id *id);

/* What an IKE version gives to the engine. */
struct ike_version {
	unsigned major;
	/* A message of this major version: length >= IKE_HDR_LEN and equal to the header's length field. */
	void (*input)(struct ike *ike, const struct ike_path *path, bool natt, const uint8_t *data, size_t len);
	/*
	 * Start an SA as initiator towards path->remote; path is complete. Returns the new SA (phase HALF_OPEN, wishes
	 * are queued on it by the caller) or NULL.
	 */
	struct ike_sa *(*initiate)(struct ike *ike, const struct cfg_map_entry *entry, const struct ike_path *path);
	/*
	 * Negotiate a child for a wish over an established SA; queues behind exchanges under way. Ends with
	 * ike_req_done(). IKEv2 may also take the wish along in IKE_AUTH: it then sets req->started itself.
	 */
	void (*child_initiate)(struct ike_sa *sa, struct ike_req *req);
	/* Soft expiry: negotiate a successor. Called also while one is under way. */
	void (*child_rekey)(struct ike_child *c);
	/* A worker would like a child of its own beside this one. May be NULL. */
	void (*child_resource)(struct ike_child *c, uint8_t resource);
	/* Tell the peer and remove (hard expiry, clear, configuration change). */
	void (*child_delete)(struct ike_child *c);
	void (*sa_rekey)(struct ike_sa *sa); /* soft lifetime of the IKE SA */
	/* Tell the peer (best effort) and destroy; reason is static text or NULL for an orderly end. */
	void (*sa_delete)(struct ike_sa *sa, const char *reason);
	/* The same, but its children stay; NULL where they cannot. */
	void (*sa_delete_alone)(struct ike_sa *sa, const char *reason);
	/* Zero and free what the version hangs on the SA; the SA itself is the engine's to free. Sends nothing. */
	void (*sa_fini)(struct ike_sa *sa);
	void (*child_fini)(struct ike_child *c); /* may be NULL */
	/* An authenticated ESP packet came from a new place: path is already changed. May be NULL. */
	void (*moved)(struct ike_sa *sa);
	/* The configuration has given this end of an SA with MOBIKE another address. */
	void (*readdress)(struct ike_sa *sa, const struct cv_addr *local);
	const char *(*state_name)(const struct ike_sa *sa);
	/* The identities of the two ends; len 0 = not known yet. */
	void (*ids)(const struct ike_sa *sa, struct ike_id *local, struct ike_id *peer);
	/* Add this version's fields to the object of show: algorithms, message ids. */
	void (*show)(const struct ike_sa *sa, json_t *o);
	/* Keys and algorithms of its messages; the rest of out is filled in. False = not made yet. */
	bool (*wire_keys)(const struct ike_sa *sa, struct ike_wire_keys *out);
	/* Version part of the vault record. restore gets an SA with the shared part and its children filled in. */
	void (*serialize)(const struct ike_sa *sa, struct ike_wbuf *w);
	struct ike_sa *(*restore_new)(struct ike *ike); /* an SA of this version's size, unlinked */
	int (*restore)(struct ike_sa *sa, struct ike_rbuf *r);
	void (*child_serialize)(const struct ike_child *c, struct ike_wbuf *w); /* may be NULL, then both */
	int (*child_restore)(struct ike_child *c, struct ike_rbuf *r);
	size_t child_size; /* sizeof the version's child struct */
	/* The configuration has changed under an SA that stays; may be NULL. */
	void (*config_changed)(struct ike_sa *sa);
};
extern const struct ike_version ike_v1, ike_v2;

/* ---- SA table ---- */

/* A zeroed, unlinked SA of `size` bytes (>= sizeof(struct ike_sa)) for version v; the caller fills in and links it. */
struct ike_sa *ike_sa_new(struct ike *ike, const struct ike_version *v, size_t size);
/* Enter the SA into the tables by what is set in it now; call again after a SPI, peer or path has changed. */
void ike_sa_link(struct ike_sa *sa);
/*
 * Take it out and free it: children go from the host at once, wishes move on to the next peer (IPSEC-48), vault record
 * and jobs are dropped. Emits IKE_EVT_DOWN, or IKE_EVT_FAILED with `reason` when it was never established.
 */
void ike_sa_destroy(struct ike_sa *sa, const char *reason);
/* Authenticated: leaves the half-open count, starts the life and keepalive timers, emits IKE_EVT_UP. lifetime_s: hard.
 */
void ike_sa_established(struct ike_sa *sa, uint32_t lifetime_s);
struct ike_sa *ike_sa_by_spi(struct ike *ike, const struct ike_version *v, const uint8_t spi[IKE_SPI_LEN]);
/* The SA that a peer's first message (its SPI, its address) has already made, or NULL. */
struct ike_sa *ike_sa_by_peer(
	struct ike *ike, const struct ike_version *v, const uint8_t spi[IKE_SPI_LEN], const struct ike_path *path);
/* Walk the SAs with one remote address in one front VRF; prev NULL to start. */
struct ike_sa *ike_sa_next_by_addr(struct ike *ike, uint32_t vrf, const struct cv_addr *remote, struct ike_sa *prev);
/* A random SPI that is not in use and not zero. */
void ike_spi_new(struct ike *ike, uint8_t spi[IKE_SPI_LEN]);
static inline const uint8_t *ike_sa_local_spi(const struct ike_sa *sa)
{
	return sa->initiator ? sa->spi_i : sa->spi_r;
}
static inline const uint8_t *ike_sa_peer_spi(const struct ike_sa *sa)
{
	return sa->initiator ? sa->spi_r : sa->spi_i;
}
/* Replaced or deleting: takes no new children and is no longer a call (CAC-4). */
void ike_sa_closing(struct ike_sa *sa);
/* What was to replace it is gone: in service again, and a call. The caller arms its timers. */
void ike_sa_reopened(struct ike_sa *sa);

/* ---- call admission control (ike_cac.c) ---- */

/*
 * May a new IKE SA be made? Ask just before making it, with everything else checked; one question is one request of the
 * statistics. False: refused and counted, an IKE_EVT_REFUSED said so (at a bounded rate); make nothing and answer
 * nothing, so that the peer asks again later. An SA for a peer that has one is always admitted (CAC-3, 4).
 */
bool ike_cac_admit(struct ike *ike, const struct ike_path *path, bool initiator);
/* Must an initiator prove its address first (RFC 7296 2.6)? Long before any limit could refuse a customer. */
bool ike_cac_wants_proof(const struct ike *ike);
/* Must it also have solved a puzzle (RFC 8019)? Only where the configuration says so. */
bool ike_cac_wants_work(const struct ike *ike);
/* Zero bits that are enough now, where the initiator chose how hard to work. */
unsigned ike_cac_work(const struct ike *ike);
/* Is an initiator without work let in (RFC 8019 7.1)? By lot, of which the cookie has drawn `lot`, and by load. */
bool ike_cac_lottery(const struct ike *ike, uint32_t lot);
/* A first message has come without proof: counted, for their rate demands proof as well. */
void ike_cac_stranger(struct ike *ike);
void ike_cac_config(struct ike *ike); /* the configuration has changed */
/*
 * INITIAL_CONTACT (VRF-42): remove all other SAs between the same local address, remote address and remote port,
 * quietly.
 */
void ike_initial_contact(struct ike_sa *sa);
void ike_event(struct ike *ike, enum ike_event_type type, const struct ike_sa *sa, const struct ike_path *path,
	const struct cfg_map_entry *entry, const char *reason);
/* Transmit and count one message of this SA (path and marker from the SA). */
void ike_sa_send(struct ike_sa *sa, const void *data, size_t len);
/* Write the vault record of an established SA (children included). */
void ike_sa_save(struct ike_sa *sa);
/* Transmit on another path: a response goes to where its request came from (RFC 7296 2.11). */
void ike_sa_send_to(struct ike_sa *sa, const struct ike_path *path, bool natt, const void *data, size_t len);
/* sa->path or sa->encap has changed: move the children at the host, say so. */
void ike_sa_moved(struct ike_sa *sa);
/* Follow an authenticated peer to a new address or port: tables, children at the host, event (RFC 7296 2.23). */
void ike_sa_move(struct ike_sa *sa, const struct cv_addr *remote, uint16_t rport);
/* (Re)start the NAT keepalive timer as the SA's flags and profile say. */
void ike_keepalive_arm(struct ike_sa *sa);
/*
 * The map entries where path->local lives whose profile speaks v and serves that address (SAFENET-10), and that name
 * the peer or are open to peers by their identity; at most max.
 */
unsigned ike_entries_for(struct ike *ike, const struct ike_version *v, const struct ike_path *path,
	const struct cv_addr *peer, const struct cfg_map_entry **out, unsigned max);
#define IKE_ENTRIES_MAX 16384 /* more entries for one peer are not looked at */
bool ike_entry_has_peer(const struct cfg_map_entry *e, const struct cv_addr *peer);
static inline const struct ike_version *ike_version_of(const struct cfg_map_entry *e)
{
	return e->profile_ref->version == CFG_IKEV1 ? &ike_v1 : &ike_v2;
}

/* ---- identities ---- */

/* Our identity: the profile's, else the configuration's, else the local address. */
void ike_id_local(
	const struct cv_config *cfg, const struct cfg_ike_profile *p, const struct cv_addr *local, struct ike_id *out);
/*
 * The same for an end that signs with the certificate of `signs` (NULL = it does not): where nothing else is
 * configured, the certificate's subject. -EINVAL when that does not fit.
 */
int ike_id_own(const struct cv_config *cfg, const struct cfg_ike_profile *p, const struct cv_addr *local,
	const struct pki_tp *signs, struct ike_id *out);
/*
 * The trust point of the profile whose certificate we show: of those of a wanted kind the first of the highest rank, be
 * that 0, for a peer that names none of our CAs may still know the one we have.
 * keys: 1 << enum pki_key of the kinds wanted. rank(of, tp): how well does it suit what the peer has asked for?
 * *own loses its reference and gets one to the choice; NULL = none.
 */
void ike_tp_choose(struct pki_tp **own, const struct cfg_ike_profile *p, unsigned keys,
	unsigned (*rank)(const void *of, const struct pki_tp *tp), const void *of);
/* Does the identity of a peer in this front VRF fit one of the profile's match statements (VRF-25, 27)? False when it
 * has none. */
bool ike_id_matches(const struct cfg_ike_profile *p, uint32_t fvrf, const struct ike_id *id);
/* Printable form in buf. */
/* The address that the identity is; false = it is none. */
bool ike_id_addr(const struct ike_id *id, struct cv_addr *a);
const char *ike_id_str(const struct ike_id *id, char *buf, size_t size);
bool ike_id_eq(const struct ike_id *a, const struct ike_id *b);
/* The preshared key for a peer: by its address, else by its identity (FQDN, user FQDN, key id). NULL = none. */
const struct cfg_psk *ike_psk_for(const struct ike *ike, const struct cfg_ike_profile *p, const struct ike_path *path,
	const struct cv_addr *peer, const struct ike_id *id);
/* By identity alone. */
const struct cfg_psk *ike_psk_by_id(
	const struct ike *ike, const struct cfg_ike_profile *p, const struct ike_path *path, const struct ike_id *id);
/* The one that an SA was authenticated with, as this configuration and profile have it: that of the peer's name where
 * the key has proven the name. */
const struct cfg_psk *ike_psk_of(const struct cv_config *cfg, const struct cfg_ike_profile *p, const struct ike_sa *sa);

/* ---- certificates (ike_cert.c) ---- */

/*
 * CERTMAP-5: the first entry whose profile has a certificate map that fits cert (DER, still to be judged by that
 * profile's trust points); sa->cert_map then names it. NULL = none; counted when there were maps to ask.
 */
const struct cfg_map_entry *ike_entry_by_cert(struct ike_sa *sa, struct pki_blob cert);
/* Does a map of the SA's own profile fit? For an initiator, whose profile stands. */
bool ike_cert_fits(struct ike_sa *sa, struct pki_blob cert);
/* The peer has authenticated: with this certificate (NULL = none), as id. Settles subject and group. */
void ike_proof_take(struct ike_sa *sa, const struct pki_peer *cert, const struct ike_id *id);
void ike_proof_copy(struct ike_sa *to, const struct ike_sa *from);
void ike_proof_free(struct ike_sa *sa);
void ike_proof_put(struct ike_wbuf *w, const struct ike_sa *sa);
void ike_proof_get(struct ike_rbuf *r, struct ike_sa *sa);
/* DN-4, 5, 9: may this peer use the entry? */
bool ike_entry_allows(const struct ike_sa *sa, const struct cfg_map_entry *e);
/* DN-8: count and tell that it may not. */
void ike_entry_barred(struct ike_sa *sa);
#define IKE_BARRED "the peer does not satisfy the identity of the crypto map entry"

/* ---- children ---- */

static inline bool ike_wants_notes(const struct ike *ike)
{
	return ike->ops.note && ike->ops.wants_notes(ike->ctx);
}
/* Say what happens to the negotiation of a pair; cp NULL = it has not come so far. error: it has failed. */
void ike_note(const struct ike_sa *sa, const struct ike_child_params *cp, bool error, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* That a proposal was chosen; by: "we" or "the peer". */
void ike_note_chosen(const struct ike_sa *sa, const struct ike_child_params *cp, const char *by);

/* A child of sa with a fresh inbound SPI, size >= sizeof(struct ike_child). NULL when the host has none left. */
struct ike_child *ike_child_new(struct ike_sa *sa, size_t size);
/*
 * Hand a negotiated pair to the host; keys are zeroed. p must be complete (entry, selectors, SPIs, lifetimes).
 * c->installed(c, err) is called once, perhaps before this returns; never after the child was removed. On success the
 * child is ESTABLISHED, its life timer runs, its wish (c->req) is done.
 */
void ike_child_install(struct ike_child *c, struct ike_child_keys *keys);
/* Start sending on a pair that was installed with p.inbound_only. */
void ike_child_activate(struct ike_child *c);
/* Forget: from the host after linger_ms, from the tables at once. No message is sent. */
void ike_child_remove(struct ike_child *c, uint32_t linger_ms);
struct ike_child *ike_child_by_id(struct ike *ike, uint32_t child_id);
/* By the SPI that we send with / that we receive on. */
struct ike_child *ike_child_by_spi_out(struct ike_sa *sa, uint32_t spi);
struct ike_child *ike_child_by_spi_in(struct ike_sa *sa, uint32_t spi);
/* Its AH SA needs an inbound SPI too, unless it has one: 0 or -ENOSPC. */
int ike_child_bundle(struct ike_child *c);
/* Our CPI for it, 256..61439 (RFC 3173 3.3): one that no other pair with the peer has, unless there are 61,184. */
static inline uint16_t ike_child_cpi(const struct ike_child_params *cp)
{
	return (uint16_t)(256u + cp->index_in / 2 % 61184u);
}
#define IKE_SETS_MAX 6u /* transform sets of an entry (IPSEC-49) */
/* Those of the entry that the crypto engine can do, in their order; the others are not negotiated (IKE-34). How many.
 */
unsigned ike_entry_sets(
	const struct ike *ike, const struct cfg_map_entry *e, const struct cfg_transform_set *set[static IKE_SETS_MAX]);
/* Does the entry have a transform set with compression? */
bool ike_entry_compresses(const struct cfg_map_entry *e);
/* Give it back: the suite is no bundle. */
void ike_child_unbundle(struct ike_child *c);
/* AH and ESP together. */
static inline bool ike_suite_bundle(struct algo_suite s)
{
	return s.encr != CV_ENCR_NONE && s.ah != CV_INTEG_NONE;
}
/* The number of ESP (3) or AH (2) in notifies, deletes and proposals, the same in both versions of IKE. */
static inline uint8_t ike_child_proto(const struct ike_child_params *cp)
{
	return cp->suite.encr == CV_ENCR_NONE ? 2 : 3;
}
/* The same for what an entry would rather have. */
static inline uint8_t ike_entry_proto(const struct cfg_map_entry *e)
{
	return e->ts_ref[0]->suite.encr == CV_ENCR_NONE ? 2 : 3;
}
/* Key bytes of one SA of a suite: of ESP when it has both. */
static inline size_t ike_suite_key_len(struct algo_suite s)
{
	return s.encr == CV_ENCR_NONE ? algo_key_len(CV_ENCR_NONE, s.ah) : algo_key_len(s.encr, s.integ);
}
/* Hard lifetimes in force for an entry (IPSEC-51). */
uint32_t ike_entry_lifetime_s(const struct ike *ike, const struct cfg_map_entry *e);
uint64_t ike_entry_lifetime_kb(const struct ike *ike, const struct cfg_map_entry *e);
/*
 * Responder (IPSEC-36, 46, 47): the first of n entries of the SA's profile that names its peer or waits for peers by
 * identity, whose ACL permits the whole of `want` (written as outbound), and whose identity the peer satisfies (DN-4).
 * A deny line that comes first and overlaps ends the entry. NULL = none; *barred: one would do but for its identity.
 */
const struct cfg_map_entry *ike_entry_for_flow(const struct ike_sa *sa, const struct cfg_map_entry *const *entry,
	unsigned n, const struct cv_selector *want, bool *barred);
/* Does the entry's ACL permit the whole of sel? */
bool ike_acl_permits(const struct cfg_map_entry *e, const struct cv_selector *sel);
const char *ike_child_state_name(enum ike_child_state s);

/* ---- wishes ---- */

/* Negotiation for a wish is over: err 0 = child is up; else it failed for this peer. r is gone. */
void ike_req_done(struct ike_req *req, int err, const char *reason);
/* Start every wish that waits for an SA that has just been established. */
void ike_sa_run_reqs(struct ike_sa *sa);
/* Make (or find) the wish and set it going. */
void ike_req_add(struct ike *ike, const struct cfg_map_entry *entry, uint32_t rule_id, const struct cv_selector *sel,
	const struct cv_selector *trigger);

/* The dataplane asks for an SA for the packet `trigger`: is a child for it being made, by the peer perhaps, or up so
 * recently that the question was on its way already? */
bool ike_child_comes(struct ike *ike, const struct cfg_map_entry *e, const struct cv_selector *trigger);

/* ---- several peers of an entry (ike_peers.c) ---- */

/* The peer of this SA is dead: the next of the list, or the default one, becomes the current one for every entry that
 * the SA served. */
void ike_peer_dead(struct ike_sa *sa);

void ike_pools_free(struct ike *ike);	/* v1_modecfg.c */
void ike_learned_free(struct ike *ike); /* v1_learn.c: forget public keys learned from certificates */

/* ---- time ---- */

/* A soft lifetime for a hard one, with jitter; the responder's comes later so that the two ends rarely collide. */
uint64_t ike_soft_ms(uint64_t hard_ms, bool initiator);
/* Retransmission (RFC 7296 2.4): delay before repeat number n (0..), IKE_RETRIES repeats, then the peer is dead. */
#define IKE_RETRIES 5
uint64_t ike_backoff_ms(unsigned n);

#endif
