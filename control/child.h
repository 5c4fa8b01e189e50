/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The pairs of IPsec SAs that IKE has installed: SPIs, indexes, the messages to the dataplane, what of them the
 * dataplane holds. A pair has a number k; it uses SA index 2k inbound and 2k+1 outbound, and k is the child_id IKE
 * knows it by, so that everything follows from the IKE SA's vault record after a restart. Loop thread.
 */
#ifndef CONTROL_CHILD_H
#define CONTROL_CHILD_H

#include <sys/queue.h>

#include "cv_msg.h"
#include "cv_stats.h"
#include "dpclient.h"
#include "ike.h"

struct control;
struct desired;
struct child_table;

#define CHILD_IN 1u /* the inbound SA is in the dataplane, or its SA_ADD is under way */
#define CHILD_OUT 2u
/*
 * Pairs below this number are for manual entries, whose SPIs the operator chooses: the low bits of an inbound SPI are
 * its index (cv_types.h), so that these are 256..4095.
 */
#define CHILD_MANUAL_MAX 2048u

struct child {
	uint32_t id; /* pair number */
	uint32_t spi_in, spi_out;
	uint32_t rule_id; /* 0 = a restored pair of a dynamic entry, whose rule the dataplane will tell */
	uint8_t halves;	  /* CHILD_IN | CHILD_OUT */
	uint8_t seen;	  /* halves that the last dump has found, or that were added since */
	bool released;	  /* IKE has let go of it: it only waits for its linger time or for replies */
	bool counted;	  /* in its session's count */
	bool leaving;	  /* its rule is not in the candidate: deleted by the transaction under way */
	unsigned pending; /* SA_ADDs without an answer */
	int err;	  /* the first refusal */
	void (*cb)(void *arg, int err);
	void *arg;
	struct cv_sa *out; /* CHILD without its outbound half yet (inbound_only): the message, with keys */
	struct ike_path path;
	uint32_t ivrf;
	bool udp_encap, initiator;
	struct algo_suite suite;
	bool esn, transport;
	uint16_t cpi_in, cpi_out; /* the suite compresses */
	bool per_resource;	  /* one of several with the same selectors (RFC 9611) ... */
	uint8_t resource;	  /* ... for worker resource - 1; 0 = for all that have none */
	bool manual;		  /* of an entry with session keys: not IKE's */
	bool odd;		  /* manual: the inbound SA has the odd one of the two indexes, because its SPI has */
	/*
	 * A bundle (IPSEC-18) is two pairs: that of ESP is the one IKE knows, that of AH goes around it and lives and
	 * dies with it. Either may be NULL once the other is gone.
	 */
	struct child *ah;  /* of the pair of ESP */
	struct child *esp; /* of the pair of AH */
	bool bundled;	   /* this is the pair of AH */
	uint32_t lifetime_s, replay_window;
	uint16_t path_mtu; /* as the dataplane has learned it; 0 = that of the interface */
	uint32_t egress;   /* CV_SA_F_EGRESS as the dataplane was last told */
	uint64_t lifetime_kb;
	uint64_t added_ms;
	uint64_t active_ms; /* the idle clock starts here: when it was added, for a rekey when the old pair was used */
	uint64_t linger_until_ms;
	TAILQ_ENTRY(child) link;     /* lingering */
	LIST_ENTRY(child) with_peer; /* in the table, by the peer's address */
	struct control *c;
	/* The counters of the two slots when the pair got them, [1] is outbound; NULL: zeros. */
	struct cv_sa_counters *base[2];
	struct cv_sa_counters *cleared; /* what the operator has cleared since, of both; NULL = nothing */
	uint64_t replay_told;		/* replay drops that are in the log (replay_log.c) */
	unsigned n_sel;
	struct cv_selector sel[];
};

struct child_table *child_table_new(struct control *c);
void child_table_free(struct child_table *t); /* zeroes keys; no reply may be outstanding */

/* ike_ops; ctx is struct control. */
int child_alloc_spi(void *ctx, uint32_t *spi, uint32_t *index);
void child_free_spi(void *ctx, uint32_t index);
int child_add(void *ctx, const struct ike_child_params *p, struct ike_child_keys *keys, uint32_t *child_id,
	void (*cb)(void *arg, int err), void *arg);
void child_activate(void *ctx, uint32_t child_id);
void child_del(void *ctx, uint32_t child_id, uint32_t linger_ms);
void child_move(void *ctx, uint32_t child_id, const struct ike_path *path, bool udp_encap);
uint32_t child_idle_s(void *ctx, uint32_t child_id);
uint32_t child_out_idle_s(void *ctx, uint32_t child_id);

/* NULL when there is none, or ref's SPI is not its; of a bundle either pair. */
struct child *child_by_ref(struct child_table *t, const struct cv_sa_ref *ref);
struct child *child_get(struct child_table *t, uint32_t id);
/* Next pair after number `after` (0 to start), or NULL; of a bundle both come. */
struct child *child_next(struct child_table *t, uint32_t after);
/* The first pair in the table with this peer, and the next one; of a bundle both come. NULL = no more. */
struct child *child_first_with(const struct child_table *t, uint32_t fvrf, const struct cv_addr *remote);
struct child *child_next_with(const struct child *ch);
unsigned child_count(const struct child_table *t); /* those IKE knows */
/* The number IKE knows a pair by: of a bundle that of its ESP pair, 0 when that is gone. */
static inline uint32_t child_ike_id(const struct child *ch)
{
	return ch->bundled ? (ch->esp ? ch->esp->id : 0) : ch->id;
}
/* Is everything that belongs to it in the dataplane? An outbound half that waits for its activation counts. */
bool child_complete(const struct child *ch);

/* Take over a pair that a restored IKE SA names. */
void child_restore(struct child_table *t, const struct ike_child_info *info);
/* The dataplane has none of them any more. */
void child_forget_halves(struct child_table *t);
/* Begin a SYNC: dump entries are reported to child_seen(), then child_keep() adds SA_KEEPs for what is there and has a
 * rule in `next`. child_left() tells how it ended. */
void child_sync_begin(struct child_table *t);
void child_seen(struct child_table *t, const struct cv_sa_entry *e);
void child_keep(struct child_table *t, const struct desired *next, struct dp_txn *txn);
/* After a SYNC: tell IKE of pairs that the dataplane does not have; all_lost: IKE knows already. */
void child_sync_end(struct child_table *t, bool all_lost);

/* Pairs whose rule is not in `next`: their SA_DELs into txn; then what happens at its end. */
void child_leave(struct child_table *t, const struct desired *next, struct dp_txn *txn);
void child_left(struct child_table *t, bool committed);

/*
 * A pair with the operator's SPIs and keys; nothing is negotiated. 0, -EBUSY when its number is taken, -ENOMEM. The
 * dataplane's refusal is logged, and leaves a pair without halves.
 */
int child_add_manual(struct child_table *t, const struct ike_child_params *p, const struct cfg_manual *keys);
/* The same for a pair that is perhaps in the dataplane already; a SYNC follows. */
void child_adopt_manual(struct child_table *t, const struct ike_child_params *p);
static inline uint32_t child_index(const struct child *ch, unsigned half)
{
	return 2 * ch->id + ((half == CHILD_OUT) != ch->odd);
}

/* Counters of one half since the pair was added (dir CV_SA_IN or CV_SA_OUT); all zero without a dataplane. */
void child_counters(const struct child *ch, enum cv_sa_dir dir, struct cv_sa_counters *out);
/* The operator clears them: what is counted now is not shown any more. */
void child_counters_clear(struct child *ch);
/* The same less what the operator has cleared. */
void child_counters_shown(const struct child *ch, enum cv_sa_dir dir, struct cv_sa_counters *out);
/* What is left: kilobytes after the counters n, and seconds. */
uint64_t child_life_kb(const struct child *ch, const struct cv_sa_counters *n);
uint64_t child_life_s(const struct child *ch);
/* Tell the dataplane of pairs whose interface now says something else about DF and fragments (FRAG-4). */
void child_egress(struct child_table *t);
/* The path MTU to a peer has changed; 0 = that of the interface. */
void child_path_mtu(struct child_table *t, uint32_t fvrf, const struct cv_addr *remote, uint16_t mtu);
/* What the entry of the pair says about idle SAs: seconds, 0 = they stay. */
uint32_t child_idle_limit(const struct child *ch);
/* Seconds since the pair carried a packet in either direction, or since it was added (IDLE-9). */
uint64_t child_quiet_s(const struct child *ch);
/* Delete lingering pairs whose time is over. Returns milliseconds until the next, UINT64_MAX = none. */
uint64_t child_run_linger(struct child_table *t, uint64_t now_ms);

#endif
