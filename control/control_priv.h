/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files behind control.h share. All of it runs on the loop thread. */
#ifndef CONTROL_CONTROL_PRIV_H
#define CONTROL_CONTROL_PRIV_H

#include "aaa.h"
#include "child.h"
#include "control.h"
#include "cv_vault.h"
#include "debug.h"
#include "desired.h"
#include "dpclient.h"
#include "event_history.h"
#include "ids.h"
#include "ike.h"
#include "load.h"
#include "pk_pool.h"
#include "session.h"

struct if_rates;
struct ike_capture;
struct stats_base;
struct peer_names;
struct spi_memory;
struct trace;
struct virtual_access_table;

/* How far the dataplane that we are connected to is known to hold the running configuration. */
enum sync_state { SYNC_NONE, SYNC_BUSY, SYNC_DONE, SYNC_FAILED };

/* A configuration on its way into the dataplane. */
struct apply {
	struct cv_config *cfg; /* NULL = none under way */
	struct desired *desired;
	bool started;
	void (*cb)(void *arg, const char *err);
	void *arg;
};

struct control {
	uv_loop_t *loop;
	char *run_dir;
	struct dpclient *dp;
	struct cv_hello_info info; /* of the dataplane last connected to; info.instance 0 = none yet */
	uint64_t synced_instance;  /* whose state our child table describes; 0 = none */
	int vault_back;		   /* descriptor of an earlier process's vault, not yet looked at; -1 = none */
	struct cv_vault *vault;
	struct ids *ids;
	struct ike *ike;
	struct cv_config *running;
	struct desired *desired;   /* of running; NULL before the first configuration */
	struct desired *installed; /* what the dataplane acknowledged: desired or NULL */
	struct child_table *children;
	struct session_table *sessions;
	struct virtual_access_table *virtual_access;
	struct apply apply;
	enum sync_state sync;
	bool new_instance; /* the sync under way is with a dataplane that has lost everything */
	char push_error[640];
	uv_timer_t sync_timer;
	/* host.c */
	uv_prepare_t prepare;
	uv_timer_t ike_timer;
	uint64_t idle_at_ms;		       /* when idle.c looks next */
	uint32_t idle_shortest_s;	       /* the shortest idle time that is configured, 0 = none */
	uint64_t replay_at_ms, replay_dropped; /* when replay_log.c looks next, and what it has seen */
	struct spi_memory *spi;
	struct peer_names *peer_names;
	uint32_t temporary_next; /* temporary.c: running part of the next number */
	uint32_t acquire_rule;	 /* while ike_acquire() runs: the rule it is for; 0 = none */
	struct aaa *aaa;
	struct cv_config *aaa_config;	/* whose servers aaa_socket are of; one reference */
	struct aaa_socket **aaa_socket; /* NULL = nothing sent there yet */
	struct pk_pool pk_pool;
	unsigned n_jobs; /* in it: added and not done */
	uint16_t ip_id;
	struct cv_pkt out;
	/* counters cleared by the operator: a baseline that show subtracts */
	struct stats_base *base;
	struct if_rates *if_rates;
	struct load load;
	struct debug debug;
	struct ike_capture *ike_capture; /* NULL = none running */
	struct event_history *events;
	struct trace *trace; /* NULL = none running */
	uint64_t started_ms;
	/* stop */
	bool stopping, graceful;
	bool vault_frozen; /* stays as it is for the next culvertd */
	int handles;
	uint64_t stop_deadline_ms;
	void (*stop_cb)(void *arg);
	void *stop_arg;
};

/* control.c */
void control_maybe_free(struct control *c); /* when stopping and nothing is left on the loop */
uint32_t control_max_workers(const struct control *c);
/* sync.c: connection came, went; a configuration is there: make the dataplane hold it. */
void sync_up(void *ctx, const struct cv_hello_info *info, int vault_back);
void sync_down(void *ctx);
void sync_start(struct control *c);
void sync_retry(uv_timer_t *t);
/* The SYNC transaction of the running configuration is committed. */
void sync_done(struct control *c);
/* apply.c: a candidate's turn has come. */
void apply_run(struct control *c);
void apply_end(struct control *c, const char *err);
/* Make cfg and its objects the running ones; IKE switches over. Takes both over. */
/* Manual SAs (manual.c): put into the dataplane those that are missing, once it holds the configuration. */
void manual_install(struct control *c);
/* Before a SYNC: those of the configuration may be in the dataplane from before our restart. */
void manual_adopt(struct control *c);
/* Whether the dataplane last connected to can do all of it. */
bool control_can(const struct control *c, struct algo_suite s);
void apply_adopt(struct control *c, struct cv_config *cfg, struct desired *desired, bool installed);
/* Every object of d as one SYNC transaction, with the SAs we know. */
struct dp_txn *sync_transaction(struct control *c, const struct desired *d);

/* host.c */
extern const struct ike_ops host_ike_ops;
int host_start(struct control *c);
void host_packet(void *ctx, const struct cv_pkt *pkt);
void host_event(void *ctx, const struct cv_msg *msg);
int host_vault_fd(void *ctx);
uint64_t host_now_ms(void *ctx);
const char *host_vrf_name(const struct control *c, uint32_t vrf_id); /* NULL = global or unknown */

/* aaa_net.c */
extern const struct aaa_ops aaa_net_ops;
void aaa_net_config(struct control *c, struct cv_config *cfg);
void aaa_net_close(struct control *c);

/* show_debug.c: print what is asked for; cheap while nothing is. */
void debug_message(struct control *c, const struct ike_path *path, bool out, const uint8_t *data, size_t len);
void debug_event(struct control *c, const struct ike_event *ev);
/*
 * debug_crypto.c: the same for IPsec SAs and for what encrypts. error: it tells the cause of a failure. debug_child():
 * ipsec or engine, about one pair.
 */
void debug_child(enum debug_area area, bool error, const struct child *ch, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
void debug_engine(const struct control *c, enum debug_level level, bool error, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
void debug_invalid_spi(const struct control *c, const struct cv_evt_invalid_spi *e, const char *what);
bool debug_wants_notes(void *ctx);
void debug_note(void *ctx, const struct ike_note *n);
/* What a message of IKE is about, its SA included when there is one; brief holds the texts. */
void debug_message_context(const struct control *c, const struct ike_path *path, const uint8_t *data, size_t len,
	struct ike_sa_brief *brief, struct debug_ctx *ctx);

/* show.c, trace.c */
void show_base_free(struct stats_base *b);
void do_trace_record(struct control *c, const struct cv_evt_trace *rec);
void trace_end(struct control *c); /* answers a running trace */

/* idle.c: delete pairs that have carried nothing for too long. Milliseconds until it wants to be called again,
 * UINT64_MAX = nothing is configured. */
uint64_t idle_run(struct control *c);
void idle_config(struct control *c); /* another configuration is the running one */
/* replay_log.c: milliseconds until the next look, UINT64_MAX = none. */
uint64_t replay_log_run(struct control *c);

/* ---- acl_log.c ---- */
void acl_log_event(struct control *c, const struct cv_evt_acl_log *e);

/* peer_names.c: peers by host name. NULL = out of memory. */
struct peer_names *peer_names_new(void);
/* cfg has just become the running configuration. */
void peer_names_config(struct control *c, struct cv_config *cfg);
/* Milliseconds until it wants to be called again, UINT64_MAX = not by itself. */
uint64_t peer_names_run(struct control *c);
/* A tunnel of the entry has ended, or could not be made (nobody_there): its names may lead elsewhere by now. */
void peer_names_failed(struct control *c, const struct cfg_map_entry *e, bool nobody_there);
/* [{"name", "address", "error", "again_in"}] of the entry's names. */
json_t *peer_names_show(const struct control *c, const struct cfg_map_entry *e);
void peer_names_close(struct control *c); /* takes itself off the loop; c->handles follows */
void peer_names_free(struct peer_names *p);

/* spi.c: ESP or AH with an SPI that nobody has; counters for show. NULL = out of memory. */
struct spi_memory *spi_memory_new(void);
void spi_invalid(struct control *c, const struct cv_evt_invalid_spi *e);
void spi_show(const struct spi_memory *s, json_t *o);

/* path.c: which of our addresses reaches a peer. */
unsigned path_local_addrs(
	const struct control *c, const struct cfg_map_entry *e, uint32_t vrf, struct cv_addr *out, unsigned max);
int path_local_addr(const struct control *c, const struct cfg_map_entry *e, const struct cv_addr *remote,
	struct cv_addr *local, uint32_t *vrf);
/* The interface that a rule's traffic leaves by: the one that has the map. */
const struct cfg_interface *rule_interface(const struct control *c, const struct rule_ref *r);
bool path_if_has(const struct cfg_interface *i, const struct cv_addr *a);
/* The first address of the family, or NULL. */
const struct cv_addr *path_if_addr(const struct cfg_interface *i, uint8_t af);

#endif
