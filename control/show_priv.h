/* SPDX-License-Identifier: BSD-3-Clause */
/* Shared by the files of show and do. The shapes are those of docs/show.md. */
#ifndef CONTROL_SHOW_PRIV_H
#define CONTROL_SHOW_PRIV_H

#include "control_priv.h"
#include "show_text.h"

/* One request until it is answered; freed by show_answer(). */
struct show {
	struct control *c;
	json_t *req; /* own reference */
	control_answer *cb;
	void *arg;
	json_t *out;			/* being built */
	json_t *list;			/* the array in it that grows; borrowed */
	void (*finish)(struct show *s); /* before the answer to a dump; NULL = nothing to do */
	struct control_rest *rest;	/* what comes after s->out; NULL = nothing */
};

/* Counters at the last `clear counters`. */
struct stats_base {
	uint64_t instance;
	struct cv_if_counters ifc[CV_IF_MAX];
	uint64_t cleared_ms[CV_IF_MAX]; /* 0 = never */
	uint64_t drops[CV_DROP_MAX];
	uint64_t events[CV_EVENT_MAX];
	uint64_t acl[CV_ACL_COUNTERS];
	struct cv_qos_counters qos[CV_QOS_SLOTS][CV_QOS_CLASSES];
	struct cv_mroute_counters mroute[CV_MROUTE_MAX];
};

/* ---- building JSON: a member without a value is left out ---- */
void set_str(json_t *o, const char *key, const char *value);
void set_int(json_t *o, const char *key, uint64_t value);
/* "dscp": names or numbers of a set; nothing when it is empty. */
void set_dscp(json_t *o, uint64_t set);
void set_dscp_value(json_t *o, const char *key, uint8_t dscp); /* its name, or the number; show_qos.c */
void set_flag(json_t *o, const char *key, bool value);
void set_addr(json_t *o, const char *key, const struct cv_addr *a);
void set_vrf(const struct control *c, json_t *o, const char *key, uint32_t vrf_id);
json_t *set_array(json_t *o, const char *key); /* a new empty array; borrowed */
/* "10.1.0.0/24", or the range when it is no prefix. */
const char *range_text(const struct cv_range *r, char buf[static 2 * 46 + 2]);
const char *proto_text(uint8_t proto, char buf[static 8]); /* "ip", "47" */

/* ---- arguments ---- */
const char *arg_str(const struct show *s, const char *key); /* NULL = not given */
bool arg_flag(const struct show *s, const char *key);
/* -1 = not given; -2 = given and not a number of at most max. */
long arg_int(const struct show *s, const char *key, long max);
/* 0 with out->af CV_AF_NONE when not given; -EINVAL (then the request is answered). */
int arg_addr(struct show *s, const char *key, struct cv_addr *out);
/* VRF id; -1 = not given. 0 or -EINVAL (answered). "global" is the global table. */
int arg_vrf(struct show *s, const char *key, int *vrf_id);
/* Interface; NULL = not given. 0 or -EINVAL (answered). */
int arg_interface(struct show *s, const struct cfg_interface **ifc);

/* ---- answering ---- */
void show_answer(struct show *s); /* s->out */
void show_error(struct show *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The reply of the one command a request consists of. */
void show_plain_reply(void *arg, int err, const struct cv_reply *rep);
/* Dump into s->list; the end answers. Without a dataplane: answers what there is, marked "down". */
void show_dump(struct show *s, enum cv_dump_kind kind, uint32_t scope,
	void (*each)(void *arg, const void *entry, size_t size));

/* The dataplane's clear; answers with how many it says. */
void clear_in_dataplane(struct show *s, const struct cv_cmd_clear *cmd);

const struct cfg_interface *if_by_id(const struct control *c, uint32_t if_id);
void sum_if_counters(const struct cv_stats_segment *seg, uint32_t if_id, struct cv_if_counters *out);
void sum_drops(const struct cv_stats_segment *seg, uint64_t out[static CV_DROP_MAX]);
void sum_events(const struct cv_stats_segment *seg, uint64_t out[static CV_EVENT_MAX]);
/* One counter of access lists. */
uint64_t sum_acl(const struct cv_stats_segment *seg, uint32_t counter);
/* The classes of a policy map on an interface, show_qos.c. */
/* "queueing" and "output_queue" of an interface. */
void show_output_queue(const struct control *c, const struct cfg_interface *i, json_t *o);
void sum_qos(const struct cv_stats_segment *seg, uint32_t slot, struct cv_qos_counters out[static CV_QOS_CLASSES]);
/* One multicast route, show_multicast.c. */
void sum_mroute(const struct cv_stats_segment *seg, uint32_t counter, struct cv_mroute_counters *out);
const struct stats_base *show_base(const struct control *c); /* NULL = nothing was cleared */

/* Handlers: each answers exactly once. */
void show_version(struct show *s);
void show_dataplane(struct show *s);
void show_engine(struct show *s);
void show_interfaces(struct show *s);
void show_vtemplate(struct show *s); /* show_vtemplate.c */
/* One interface as configured, and its counters. */
json_t *interface_entry(struct control *c, const struct cfg_interface *i);
void show_arp(struct show *s);
void show_nd(struct show *s);
void show_ip_route(struct show *s);
void show_ipv6_route(struct show *s);
void show_ip_mroute(struct show *s); /* show_multicast.c */
void show_ipv6_mroute(struct show *s);
void show_drops(struct show *s);
void show_counters(struct show *s);
void show_workers(struct show *s); /* show_workers.c */
void show_workers_profile(struct show *s);
void do_profile(struct show *s);
void show_session(struct show *s);
void show_ipsec_sa(struct show *s);
void show_isakmp_sa(struct show *s);
void show_ikev2_sa(struct show *s);
void show_ike_stats(struct show *s);
void show_policy(struct show *s);
void show_profile(struct show *s);
void show_identity(struct show *s);
void show_key(struct show *s);
void show_mypubkey(struct show *s);
void show_pubkey_chain(struct show *s);
void show_certificates(struct show *s);
void show_peer(struct show *s);
void show_proposal(struct show *s);
void show_map(struct show *s);
void show_transform_set(struct show *s);
void show_sa_lifetime(struct show *s);
void show_sa_replay(struct show *s);
void show_sa_idle_time(struct show *s);
void show_access_lists(struct show *s);

void show_inspect_sessions(struct show *s);
void clear_inspect_sessions(struct show *s);
void show_nat_translations(struct show *s);
void clear_nat_translations(struct show *s);

void show_class_map(struct show *s);
void show_policy_map(struct show *s);
void show_policy_map_interface(struct show *s);
void show_engine_qos(struct show *s);

void show_aaa_servers(struct show *s);
void show_call_admission(struct show *s);
void show_crypto_admission(struct show *s);

void show_default_policy(struct show *s);
void show_default_transform_set(struct show *s);
void show_session_history(struct show *s);
void show_debug_condition(struct show *s);
void show_ike_capture(struct show *s); /* ike_capture.c */
void do_ike_capture(struct show *s);
void clear_session_history(struct show *s);
void do_debug(struct show *s);
void do_debug_condition(struct show *s);
void do_debug_unmatched(struct show *s);
void clear_crypto_admission(struct show *s);
void clear_session(struct show *s);
void clear_sa(struct show *s);
void clear_isakmp(struct show *s);
void clear_counters(struct show *s);
void clear_access_list_counters(struct show *s);
void clear_arp(struct show *s);
void clear_nd(struct show *s);
void do_trace(struct show *s);
void do_capture(struct show *s);
void do_fail_at(struct show *s);
void do_log_level(struct show *s);

#endif
