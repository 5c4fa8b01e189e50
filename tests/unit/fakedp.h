/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A dataplane without packets: the server end of the channel in a thread of its own, holding the objects it is given.
 * It acknowledges, refuses the n-th command, disappears in the middle of a transaction, comes back with or without what
 * it held, and passes injected packets to another one, so that two culvertds can negotiate through two of them.
 */
#ifndef TESTS_FAKEDP_H
#define TESTS_FAKEDP_H

#include "cv_chan.h"

struct fakedp;

struct fakedp *fakedp_new(const char *path);
void fakedp_free(struct fakedp *f);
/* Packets injected into one are punted by the other. */
void fakedp_connect(struct fakedp *a, struct fakedp *b);

/* Go away; come back. lose: with a new instance and nothing held. */
void fakedp_down(struct fakedp *f);
void fakedp_up(struct fakedp *f, bool lose);
/* Refuse the n-th command of a transaction from now (1 = first after BEGIN), once. 0 = off. */
void fakedp_fail_at(struct fakedp *f, unsigned n);
/* Go away instead of answering the n-th command of a transaction from now. */
void fakedp_vanish_at(struct fakedp *f, unsigned n);
/* Take commands no further than the end of a transaction, until it is let go; packets pass. */
void fakedp_hold_commit(struct fakedp *f, bool hold);
bool fakedp_holds(struct fakedp *f);
/* Throw away every packet. */
void fakedp_cut(struct fakedp *f, bool cut);
/* What its crypto engine can do: bit masks of enum cv_encr and enum cv_integ, told at the next connection; first all.
 */
void fakedp_engine(struct fakedp *f, uint64_t encr, uint64_t integ);
/* Do what an outbound SA asks for and never answer it. */
void fakedp_mute(struct fakedp *f, bool mute);
/* Send an event. */
void fakedp_event(struct fakedp *f, enum cv_msg_type type, const void *body, size_t len);

/* ---- what it holds and what it was told ---- */

struct fakedp_state {
	unsigned vrfs, ports, ifs, addrs, routes, spds, rules, sas;
	unsigned commits, aborts, syncs;
	unsigned changed;   /* objects created, replaced or removed by the last commit */
	unsigned unchanged; /* objects that the last commit named as they were */
	unsigned kept;	    /* SAs that the last SYNC kept */
};
void fakedp_state(struct fakedp *f, struct fakedp_state *out);
/* Fingerprint of everything held: equal = the same objects with the same bodies. */
uint64_t fakedp_digest(struct fakedp *f);
/* The i-th SA of a direction in order of index. */
bool fakedp_sa(struct fakedp *f, enum cv_sa_dir dir, unsigned i, struct cv_sa *out);
/* The n-th rule that protects. */
bool fakedp_rule(struct fakedp *f, unsigned n, struct cv_spd_rule *out);
bool fakedp_rule_by_id(struct fakedp *f, uint32_t rule_id, struct cv_spd_rule *out);
bool fakedp_if_by_id(struct fakedp *f, uint32_t if_id, struct cv_if *out);
/* The route whose first next hop is this interface. */
bool fakedp_route_by(struct fakedp *f, uint32_t if_id, struct cv_route *out);
/* The policy map on an interface. */
bool fakedp_policy_on(struct fakedp *f, uint32_t if_id, struct cv_qos_attach *out);
/* Commands of the last committed transaction, "route -rule ..." */
void fakedp_last(struct fakedp *f, char *buf, size_t size);
struct cv_stats_segment *fakedp_stats(struct fakedp *f);

#endif
