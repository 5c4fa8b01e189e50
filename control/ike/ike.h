/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The IKE engine: IKEv1 (RFC 2407-2409, 3947) and IKEv2 (RFC 7296). It has no sockets, no clock and no thread of its
 * own: everything outside comes through struct ike_ops, so that two engines can talk to each other inside one test with
 * a clock that the test turns. Single thread (the loop); the only other thread is the public-key pool behind pk_run.
 */
#ifndef CONTROL_IKE_IKE_H
#define CONTROL_IKE_IKE_H

#include <jansson.h>

#include "aaa.h"
#include "config.h"
#include "cv_msg.h"

struct ike;    /* the engine */
struct ike_sa; /* one IKE SA, either version */

/* Where an IKE packet came from or goes to. Ports in host order. */
struct ike_path {
	uint32_t vrf; /* front VRF */
	struct cv_addr local, remote;
	uint16_t lport, rport;
};

/* Is it traffic between the two ends of the tunnel themselves? Only that may have transport mode (IPSEC-21). */
bool ike_flow_is_peers(const struct cv_selector *sel, const struct ike_path *path);

/* A pair of IPsec SAs as negotiated. Keys are in KEYMAT order for cv_sa.key; whoever takes it over zeroes it. */
struct ike_child_keys {
	uint8_t in[CV_SA_KEY_MAX], out[CV_SA_KEY_MAX];
	uint16_t len;
	uint8_t ah_in[CV_SA_KEY_MAX], ah_out[CV_SA_KEY_MAX]; /* of the AH SAs of a bundle */
	uint16_t ah_len;				     /* 0 = no bundle */
};
struct ike_child_params {
	const struct cfg_map_entry *entry;
	uint32_t rule_id; /* from the acquire; 0 = responder: the host finds the rule by its selectors */
	struct ike_path path;
	bool udp_encap;
	struct algo_suite suite;
	bool esn;		  /* extended sequence numbers (RFC 4303 2.2.1) */
	bool transport;		  /* transport mode; the selectors' hosts are the two ends of path (IPSEC-21) */
	uint32_t spi_in, spi_out; /* host order */
	uint32_t index_in;	  /* from alloc_spi */
	/* The suite is AH and ESP (RFC 4301 4.4.2): of the AH SAs around those of ESP, which the three above are of. */
	uint32_t ah_spi_in, ah_spi_out, ah_index_in;
	uint16_t cpi_in, cpi_out; /* the suite compresses: of the two directions (RFC 3173 3.3), host order */
	struct cv_selector sel[CV_SA_SEL_MAX]; /* written as outbound: src is our side */
	unsigned n_sel;
	struct cv_addr inner; /* address that the peer got from us by mode configuration; af 0 = none */
	uint32_t lifetime_s;  /* hard, seconds; soft and jitter are the engine's business (it owns the rekey timers) */
	uint64_t lifetime_kb;
	bool initiator;
	bool rekey; /* replaces an older pair; make before break */
	/*
	 * Install the inbound SA only and keep the outbound keys until child_activate: the responder of a rekey must
	 * not send on the new pair before the peer can receive on it.
	 */
	bool inbound_only;
	/*
	 * One of several with the same selectors (RFC 9611): for the packets that worker resource - 1 sends, 0 = for
	 * all workers that have none of their own.
	 */
	bool per_resource;
	uint8_t resource;
};

/* What changed for an operator: feeds the log (MON-*), show and later SNMP. */
enum ike_event_type {
	IKE_EVT_UP = 1,
	IKE_EVT_DOWN,
	IKE_EVT_FAILED,
	IKE_EVT_REKEYED,
	IKE_EVT_PEER_MOVED,
	IKE_EVT_REFUSED
};
struct ike_event {
	enum ike_event_type type;
	const struct ike_sa *sa; /* may be NULL for FAILED */
	const struct ike_path *path;
	const struct cfg_map_entry *entry; /* may be NULL */
	const char *peer_id;		   /* text of the peer's identity; NULL = not known; valid during the call */
	const char *reason; /* static text: "authentication failed", "no proposal chosen", "peer not responding", ... */
};

/* A step of the negotiation of a pair of IPsec SAs, for people who debug it. */
struct ike_note {
	bool error;
	const struct ike_path *path;
	uint32_t ivrf, spi_in, spi_out; /* SPIs: 0 = not known yet */
	uint64_t ike_id;		/* of its IKE SA, as in show */
	const char *peer_id;		/* NULL = not known */
	const char *text;		/* valid during the call */
};

struct ike_ops {
	uint64_t (*now_ms)(void *ctx); /* monotonic */
	/*
	 * Transmit one UDP payload from path->lport to path->rport; natt: prefix the four zero bytes of the non-ESP
	 * marker. A NAT keepalive is one byte 0xff with natt false on port 4500 (RFC 3948).
	 */
	void (*send)(void *ctx, const struct ike_path *path, bool natt, const void *data, size_t len);
	/*
	 * Run work(job) on the pool, then done(job) on the loop. Tests run both at once. The engine keeps the job alive
	 * and copes with the SA being gone when done() comes. brief: it takes some 0.1 ms.
	 */
	void (*pk_run)(void *ctx, bool brief, void (*work)(void *job), void (*done)(void *job), void *job);
	/* A fresh inbound SPI with its SA index (cv_types.h). 0 or -ENOSPC. */
	int (*alloc_spi)(void *ctx, uint32_t *spi, uint32_t *index);
	void (*free_spi)(void *ctx, uint32_t index); /* never installed */
	/*
	 * Install a pair, inbound first. cb(arg, err) once the dataplane has acknowledged (0) or refused (negative
	 * errno). The host copies and zeroes the keys. *child_id identifies the pair from now on.
	 */
	int (*child_add)(void *ctx, const struct ike_child_params *p, struct ike_child_keys *keys, uint32_t *child_id,
		void (*cb)(void *arg, int err), void *arg);
	/* Now send on a pair that was added with inbound_only. */
	void (*child_activate)(void *ctx, uint32_t child_id);
	/* Stop sending on the pair at once, keep receiving for linger_ms, then remove. */
	void (*child_del)(void *ctx, uint32_t child_id, uint32_t linger_ms);
	/* New outer addresses or ports after a NAT mapping change. */
	void (*child_move)(void *ctx, uint32_t child_id, const struct ike_path *path, bool udp_encap);
	/* Seconds since a packet was last received on the pair, for liveness decisions; UINT32_MAX = never. */
	uint32_t (*child_idle_s)(void *ctx, uint32_t child_id);
	/* The same for packets sent: DPD on demand asks only while there is traffic (DPD-3). NULL = assume there is. */
	uint32_t (*child_out_idle_s)(void *ctx, uint32_t child_id);
	/* Negotiation for an acquire is over without an SA: release held packets. */
	void (*acquire_failed)(void *ctx, uint32_t rule_id);
	/* The local address that reaches remote for this entry (interface of the map or its local-address). 0 or
	 * -ENETUNREACH. */
	int (*local_addr)(void *ctx, const struct cfg_map_entry *entry, const struct cv_addr *remote,
		struct cv_addr *local, uint32_t *vrf);
	/*
	 * Every address in the front VRF at which the entry's tunnels may end, both families, at most max; NULL = only
	 * that of local_addr. Returns how many.
	 */
	unsigned (*local_addrs)(
		void *ctx, const struct cfg_map_entry *entry, uint32_t vrf, struct cv_addr *out, unsigned max);
	/* As responder: is the entry's map applied where path->local lives (IPSEC-36, 46, 47)? */
	bool (*entry_serves)(void *ctx, const struct ike_path *path, const struct cfg_map_entry *entry);
	void (*event)(void *ctx, const struct ike_event *ev);
	/* Does anybody want notes? Both or neither; NULL = nobody does. */
	bool (*wants_notes)(void *ctx);
	void (*note)(void *ctx, const struct ike_note *n);
	/* Can the crypto engine do it (IKE-34)? NULL = all of them. */
	bool (*suite_can)(void *ctx, struct algo_suite s);
	/* Workers of the dataplane. NULL = one. */
	unsigned (*resources)(void *ctx);
	/* Shortage of CPU and memory in percent, for call admission control (CAC-13). NULL = never short. */
	uint32_t (*load)(void *ctx);
	/* As aaa_ask() and aaa_cancel(). NULL = nobody to ask. */
	uint64_t (*aaa_ask)(
		void *ctx, const struct cfg_aaa_group *g, const struct radius_query *q, aaa_done *done, void *arg);
	void (*aaa_cancel)(void *ctx, uint64_t number);
	/* Keep, replace or drop the record by which an SA survives a restart of this process (cv_vault.h); rec -1 =
	 * new. */
	int (*vault_write)(void *ctx, int rec, const void *data, size_t len);
	void (*vault_free)(void *ctx, int rec);
};

struct ike *ike_new(const struct ike_ops *ops, void *ctx);
void ike_free(struct ike *ike); /* no packets are sent; keys zeroed */

/*
 * Switch to a new configuration. Existing SAs whose profile and entry still exist unchanged go on with the new objects;
 * others are deleted with notice to the peer, or renegotiated at their next rekey when only lifetimes or proposals
 * changed (IPSEC-24, 75).
 */
void ike_set_config(struct ike *ike, struct cv_config *cfg);

/* One received UDP payload, marker removed. natt: it came to port 4500. Bounded work, no trust in data. */
void ike_input(struct ike *ike, const struct ike_path *path, bool natt, const uint8_t *data, size_t len);

/* The dataplane wants an SA for a rule. trigger: addresses, protocol and ports of the packet; sel: the ACL line's flow.
 */
void ike_acquire(struct ike *ike, const struct cfg_map_entry *entry, uint32_t rule_id, const struct cv_selector *sel,
	const struct cv_selector *trigger);
/*
 * A peer (path->remote, front VRF and our address in path) sends ESP or AH (ipproto 50, 51) with an SPI that we have no
 * SA for: tell it over an established IKE SA (ISPI-1). False: there is none, nothing was sent.
 */
bool ike_invalid_spi(struct ike *ike, const struct ike_path *path, uint8_t ipproto, uint32_t spi);
/* A soft or hard limit of bytes, packets or sequence numbers was reached. */
void ike_child_expire(struct ike *ike, uint32_t child_id, bool hard);
/* A worker (1..) sends by this child for want of one of its own (RFC 9611). */
void ike_child_resource(struct ike *ike, uint32_t child_id, uint8_t resource);
/* All pairs are gone from the dataplane (it restarted): rekey every child over the living IKE SAs. */
void ike_children_lost(struct ike *ike);
/* An authenticated ESP packet came from a new place (NAT rebinding). */
void ike_peer_moved(struct ike *ike, uint32_t child_id, const struct cv_addr *addr, uint16_t port);

/* The tunnel of this entry with its current peer has ended for being idle (PREF-8). */
void ike_peer_idle(struct ike *ike, const struct cfg_map_entry *e);
/* Peers by name have other addresses now, in the configuration in force (IPSEC-50): auto-start entries try them. */
void ike_peers_changed(struct ike *ike);
/* The peer with which the next negotiation of the entry begins; NULL = it has none. The entry's own. */
const struct cv_addr *ike_current_peer(const struct ike *ike, const struct cfg_map_entry *e);

/* Milliseconds until ike_run_timers must be called, UINT64_MAX = nothing pending. */
uint64_t ike_next_timeout(struct ike *ike);
void ike_run_timers(struct ike *ike);

/* Rebuild an established SA from its vault record, children included. 0 or -EPROTO. Call after ike_set_config. */
int ike_restore(struct ike *ike, int rec, const void *data, size_t len);
/* For every child of restored SAs: tell the host its id, SPIs and index, so that it can name it in the SYNC
 * transaction. */
struct ike_child_info {
	uint32_t child_id; /* as given by the host at child_add; restored with the record */
	uint32_t spi_in, spi_out, index_in;
	const struct ike_child_params *params;
	const struct ike_sa *sa;
};
void ike_for_each_child(struct ike *ike, void (*cb)(void *arg, const struct ike_child_info *info), void *arg);

/* Every established IKE SA of either version; ivrf: of its profile. */
void ike_for_each_established(
	struct ike *ike, void (*cb)(void *arg, const struct ike_path *path, uint32_t ivrf), void *arg);

/* Delete SAs that match (NULL/0 = any), with notice to the peer: clear crypto session / isakmp sa. Returns how many. */
struct ike_match {
	const struct cv_addr *local, *remote;
	uint16_t rport;
	int fvrf, ivrf;	   /* -1 = any */
	uint32_t child_id; /* only this child; 0 = whole SAs */
	bool alone;	   /* of IKEv1 the IKE SAs only: their children stay (VTI-T11) */
};
unsigned ike_clear(struct ike *ike, const struct ike_match *m);

/* Which IKE SA: for lists that are made in several turns of the loop, between which SAs come and go. */
struct ike_sa_name {
	uint8_t version, spi[8]; /* ours */
};
/* Of the given version, 0 = both. */
void ike_for_each_sa(struct ike *ike, int version, void (*cb)(void *arg, const struct ike_sa_name *name), void *arg);
/* What `show crypto session` says of an IKE SA. */
struct ike_sa_brief {
	struct ike_path path;
	uint32_t ivrf;
	uint64_t id, established_s, remaining_s;
	bool established, natt;
	char peer_id[257]; /* empty = not known yet */
};
bool ike_sa_brief(struct ike *ike, const struct ike_sa_name *name, struct ike_sa_brief *out); /* false = gone */
/* The SA that a message of either end belongs to, by the SPIs in its header. False = none yet, or none any more. */
bool ike_sa_of_message(struct ike *ike, const uint8_t *data, size_t len, struct ike_sa_name *out);
/*
 * What decrypts an SA's messages: the cipher's keys (with a salt, where it has one) and those of their integrity; of
 * IKEv1, whose two directions share one, only ei. For a decrypted capture alone. Whoever asks zeroes them.
 */
#define IKE_WIRE_KEY_MAX 64
struct ike_wire_keys {
	uint8_t version, spi_i[8], spi_r[8];
	enum ike_encr encr;
	enum ike_integ integ;
	uint8_t ei[IKE_WIRE_KEY_MAX], er[IKE_WIRE_KEY_MAX], ai[IKE_WIRE_KEY_MAX], ar[IKE_WIRE_KEY_MAX];
	uint16_t e_len, a_len;
};
bool ike_wire_keys(struct ike *ike, const struct ike_sa_name *name, struct ike_wire_keys *out); /* false = none yet */
/* Objects for show (docs/show.md): an IKE SA with its children, NULL when it is gone; an array of those of a version, 0
 * = both; statistics. */
json_t *ike_show_sa(struct ike *ike, const struct ike_sa_name *name);
json_t *ike_show_sas(struct ike *ike, int version);
json_t *ike_show_stats(struct ike *ike);
/* Public keys learned from certificates (IKE-41), as entries of show crypto key pubkey-chain rsa. */
json_t *ike_show_learned(const struct ike *ike);

/* Call admission control (CAC-1..22): limits in force, gauges, counters, load. */
struct ike_cac_stats {
	uint32_t charge_limit, sa_limit, negotiation_limit; /* 0 = none (CAC-21) */
	uint32_t active, negotiating;
	uint32_t charge, unscaled; /* now; unscaled in percent */
	struct {
		uint64_t accepted, rejected;
	} in, out;
	uint64_t rsrc_low, by_sa_limit;
};
void ike_cac_stats(const struct ike *ike, struct ike_cac_stats *out);
void ike_cac_clear(struct ike *ike); /* counters to 0; the gauges are what they are (CAC-22) */

#endif
