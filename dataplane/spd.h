/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The security policy database (RFC 4301 section 4.4.1): per interface an ordered list of rules, the first match
 * decides (IPSEC-27..30, 41), the inside VRF is part of the match (VRF-7).
 *
 * Three layers: rules and their transactions (spd.c), a compiled classifier per SPD (spd_class.c), and per worker a
 * cache of flows already decided (spd_match.c). Every publication, of rules or of the SAs bound to them, moves
 * spd_generation on, which is part of a cache entry's key.
 *
 * Later fragments show no ports. A PROTECT or DISCARD rule with ports matches them by addresses and protocol, a BYPASS
 * rule or a skip line with ports does not: where it cannot be known, nothing leaves or enters in clear.
 */
#ifndef DATAPLANE_SPD_H
#define DATAPLANE_SPD_H

#include "flow.h"

#define SPD_RULES_MAX 131072u /* in one SPD */

/* An outbound SA that serves a rule. */
struct spd_binding {
	uint32_t sa;	   /* index */
	uint16_t n_sel;	   /* 0: its selectors cover the whole rule */
	uint16_t resource; /* index of the one worker whose packets it is for, 0 = any (RFC 9611) */
	struct flow_sel sel[CV_SA_SEL_MAX];
};
struct spd_bindings {
	uint32_t n;
	bool per_resource;	/* some SA may have brothers that are for one worker only */
	struct spd_binding b[]; /* newest first: the first whose selectors match is used */
};

struct spd_rule {
	struct flow_sel sel;
	uint64_t dscp; /* bit per value */
	bool wide;     /* later fragments match without ports */
	uint32_t rule_id, vrf;
	uint32_t action, flags; /* enum cv_spd_action, CV_RULE_* */
	uint64_t prio;
	struct spd_bindings *bind; /* published; NULL = no SA */
	/* main only */
	struct cv_spd_rule conf;
	uint64_t compiled; /* the last compilation that looked at it */
};

/* ---- classifier (spd_class.c): pure, immutable once published ---- */
struct spd_class;
/* Order of evaluation: by prio, then id. < 0, 0 or > 0. */
int spd_rule_order(const struct spd_rule *a, const struct spd_rule *b);
/* Put rules in that order. Main. */
void spd_rules_sort(struct spd_rule **rule, uint32_t n);
/* Compile n rules, in any order (the cheapest is that of evaluation). They must outlive the classifier. NULL when out
 * of memory. Main. */
struct spd_class *spd_class_build(struct spd_rule *const *rules, uint32_t n);
/*
 * A version of `from` without the rules in gone[], which are in it, and with those in come[]. It shares what is the
 * same with `from`, which stays as it is, and costs no more than the changes. It is either freed again, or put into the
 * place of `from` by spd_class_supersede() (which accepts one built anew, too), after which `from` is freed as soon as
 * no worker looks at it. One of them at a time. NULL when out of memory. Main.
 */
struct spd_class *spd_class_change(const struct spd_class *from, struct spd_rule *const *gone, uint32_t n_gone,
	struct spd_rule *const *come, uint32_t n_come);
void spd_class_supersede(struct spd_class *old, struct spd_class *new);
void spd_class_free(struct spd_class *c);
/* How many rules were written into tables to make this version. */
uint64_t spd_class_work(const struct spd_class *c);
/* The rule that decides about a flow (written in the outbound direction), NULL = no match, which means bypass. */
struct spd_rule *spd_class_lookup(const struct spd_class *c, const struct flow *f);

/* ---- decisions (spd_match.c), worker ---- */
struct spd_verdict {
	uint32_t action; /* enum cv_spd_action */
	uint32_t rule_id;
	uint32_t flags; /* CV_RULE_* */
	uint32_t sa;	/* PROTECT: index of the outbound SA, 0 = none */
};
/* One cache per worker, of the index `worker`. NULL when out of memory. */
struct spd_cache;
struct spd_cache *spd_cache_create(uint32_t worker);
void spd_cache_destroy(struct spd_cache *c);
/*
 * Decide about n packets (at most DP_VEC): data at the IP header, meta vrf. out: as they leave meta->if_tx; otherwise
 * as they entered by meta->if_rx, mirrored. Packets that are not IP are given to CV_SPD_DISCARD.
 */
void spd_match(struct spd_cache *c, bool out, struct rte_mbuf *const *pkts, uint32_t n, struct spd_verdict *verdict);
/*
 * Hold n packets (at most DP_VEC) against an access list (acl.h), as they are: action is CV_SPD_BYPASS for permit and
 * CV_SPD_DISCARD for deny, rule_id the counter of the line that decided, 0 = none did, which is a deny, and flags
 * ACL_LINE_LOG of that line.
 */
void spd_match_list(
	struct spd_cache *c, uint32_t acl_id, struct rte_mbuf *const *pkts, uint32_t n, struct spd_verdict *verdict);
/* What spd_match() says of one packet of a worker, without the cache: after an SA went away in the middle of a vector.
 */
void spd_match_uncached(uint32_t worker, bool out, struct rte_mbuf *m, struct spd_verdict *verdict);

/* ---- the database (spd.c) ---- */
extern const struct dp_module spd_module;
/* Moves on with every change that a cached decision may depend on, of access lists too. */
extern uint32_t spd_generation;

/* Worker or main: classifier of an interface, NULL = none. */
const struct spd_class *spd_on_interface(uint32_t if_id);
/* Main: does the rule exist once the transaction being prepared is published? */
bool spd_rule_prepared(uint32_t rule_id);
/* Main: build the list of SAs of a published rule anew from the SA table, and make it visible. */
void spd_rule_rebind(uint32_t rule_id);
/* Main: rule as published, NULL = none. */
const struct spd_rule *spd_rule_get(uint32_t rule_id);
/* Main: fill a CV_DUMP_SPD reply; req->scope is the SPD's id, 0 = all. */
void spd_dump(const struct cv_cmd_dump *req, struct cv_dump_reply *out);

#endif
