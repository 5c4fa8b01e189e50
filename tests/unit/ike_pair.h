/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Two IKE engines in one process: a clock that the test turns, a network between them that delays, loses, repeats and
 * reorders, an optional NAT before host 0, and for each host the part of the control process and the dataplane that the
 * engine sees: SAs that carry simulated ESP packets, so that a test can ask whether a rekey lost any; a vault that
 * survives a restart of the engine. For either IKE version.
 *
 * Host i has the address 192.0.2.(i+1) and protects 10.(i+1).0.0/24; both have a map "vpn" with entry 10.
 */
#ifndef TESTS_IKE_PAIR_H
#define TESTS_IKE_PAIR_H

#include "cv_vault.h"
#include "ike.h"

#define PAIR_CHILD_MAX 256
#define PAIR_EVENT_MAX 256
#define PAIR_VAULT_MAX 32

struct pair;

struct pair_child {
	bool used;
	uint32_t id; /* = index_in */
	struct ike_child_params p;
	struct ike_child_keys keys;
	bool inbound, outbound;	   /* installed now */
	uint64_t in_until;	   /* inbound goes at this time; 0 = stays */
	uint64_t out_seq;	   /* order in which outbound SAs came up: the newest is used */
	uint64_t last_rx, last_tx; /* 0 = never */
	unsigned rx;
};

struct pair_host {
	struct pair *pair;
	int i;
	struct ike *ike;
	struct cv_config *cfg;
	struct cv_addr addr, second; /* second: another one, af NONE = none */
	struct pair_child child[PAIR_CHILD_MAX];
	uint64_t next_out_seq, last_acquire;
	uint32_t next_spi;
	struct {
		enum ike_event_type type;
		const char *reason;
	} event[PAIR_EVENT_MAX];
	unsigned n_event, acquire_failures, tx, spi_exhausted;
	unsigned workers; /* of the dataplane; 0 = one */
	int refuse_child; /* errno with which the next child_add is refused */
	struct {
		bool used;
		size_t len;
		uint8_t data[CV_VAULT_RECORD_MAX];
	} vault[PAIR_VAULT_MAX];
	/* what AAA servers were last asked; pair_aaa_answer() speaks for them */
	struct {
		bool none; /* there is nobody to ask */
		unsigned asked, cancelled;
		char user[256], password[129];
		bool outbound, open;
		aaa_done *done;
		void *arg;
	} aaa;
	/* simulated traffic */
	unsigned esp_sent, esp_received, esp_no_sa, esp_unknown;
};

struct pair_pkt {
	struct pair_pkt *next;
	uint64_t due, order;
	int to;
	bool natt, esp;
	struct ike_path path; /* as the receiver sees it */
	uint32_t spi;
	uint8_t key[CV_SA_KEY_MAX];
	size_t len;
	uint8_t data[];
};

/* Something that the host tells the engine later: public-key work that is done, an SA that is installed. */
struct pair_late {
	struct pair_late *next;
	uint64_t due;
	struct pair_host *h; /* NULL: work of an engine that is gone */
	void (*done)(void *job);
	void *job;
	void (*ack)(void *arg, int err);
	void *arg;
	int err;
};

struct pair {
	uint64_t now;
	unsigned async_ms; /* 0 = public-key work and installation are done at once; else up to this later */
	struct pair_late *late;
	struct pair_host h[2];
	struct pair_pkt *queue;
	uint64_t order;
	unsigned delay_ms;	    /* one way */
	unsigned loss, dup, jitter; /* IKE packets: per cent, per cent, up to ms more delay */
	uint64_t rng;
	bool cut; /* nothing passes */
	/* Addresses change: what goes from or to one that a host does not have (any more), or to `broken`, is lost. */
	bool moves;
	struct cv_addr broken;
	/* Asked for each IKE packet, counted from 0 over both directions: false = lose it. NULL = all pass. */
	bool (*filter)(struct pair *p, int from, unsigned n, const uint8_t *data, size_t len);
	unsigned n_ike;
	unsigned drop_nth; /* for filters; pair_lose_nth */
	bool nat;	   /* host 0 is behind a NAT: the other sees 198.51.100.1 and ports + nat_shift */
	uint16_t nat_shift;
	unsigned traffic_ms; /* 0 = off; both hosts send one ESP packet this often */
	uint64_t next_traffic;
	void (*tweak)(struct cv_config *c, int host); /* changes the configuration before it is resolved */
};

/* The configuration of host i: profile "p" of this version with preshared key "secret". Not resolved yet. */
struct cv_config *pair_config(int i, enum cfg_ike_version version);
/* Resolve; fails the test with the message when it is refused. */
void pair_resolve(struct cv_config *c);
/* Both engines with their configuration; tweak (may be NULL) is applied before it is resolved. */
struct pair *pair_new(enum cfg_ike_version version, void (*tweak)(struct cv_config *c, int host));
void pair_free(struct pair *p);
/* Let this much time pass. */
void pair_run(struct pair *p, uint64_t ms);
/* Let time pass until cond() or the limit; returns whether cond() came true. */
bool pair_until(struct pair *p, bool (*cond)(struct pair *p), uint64_t limit_ms);
/* Host i has a packet for its entry 10, ACL line `line`, and no SA. */
void pair_acquire(struct pair *p, int i, unsigned line);
/* A filter: packet drop_nth is lost. */
bool pair_lose_nth(struct pair *p, int from, unsigned n, const uint8_t *data, size_t len);
/* Number of IKE SAs (of show), and of pairs of SAs that can carry traffic both ways. */
unsigned pair_n_sas(struct pair *p, int i);
unsigned pair_n_children(struct pair *p, int i);
/* Both hosts have n pairs and each outbound SA has its inbound counterpart with the same key. */
bool pair_children_agree(struct pair *p, unsigned n);
unsigned pair_events(struct pair *p, int i, enum ike_event_type type);
/* Reason of the last event of a type, "" if none. */
const char *pair_reason(struct pair *p, int i, enum ike_event_type type);
/* A counter of ike_show_stats. */
uint64_t pair_stat(struct pair *p, int i, const char *name);
/* First IKE SA of show; a field as text in a static buffer. */
const char *pair_show(struct pair *p, int i, const char *field);
/* The answer to what host i has asked AAA servers last. */
void pair_aaa_answer(struct pair *p, int i, enum aaa_verdict verdict, const struct radius_answer *a);
/* Host i gets a new configuration: pair_config() of this version with this tweak (may be NULL). */
void pair_reconfigure(
	struct pair *p, int i, enum cfg_ike_version version, void (*tweak)(struct cv_config *c, int host));
/* The control process of host i dies and comes back: SAs stay in the dataplane, IKE comes back from the vault. */
void pair_restart(struct pair *p, int i);
/* The dataplane of host i dies and comes back empty. */
void pair_dataplane_restart(struct pair *p, int i);
/* The whole host i reboots: nothing survives, nobody is told. */
void pair_reboot(struct pair *p, int i);
/* The newest pair of host i that sends; NULL = none. */
struct pair_child *pair_newest(struct pair *p, int i);
/*
 * ACL line `line` of host 0 asks for a pair, and an operator clears it while the dataplane has not yet said that it is
 * installed: nothing may be left of it at either end.
 */
void pair_clear_while_installing(struct pair *p, unsigned line);

#endif
