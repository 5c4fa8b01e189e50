/* SPDX-License-Identifier: BSD-3-Clause */
/* Printing answers (docs/show.md) in the words of the manuals. */
#ifndef MGMT_CLI_RENDER_H
#define MGMT_CLI_RENDER_H

#include <inttypes.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

/* render.c: members of an object, with a fallback when absent. */
const char *jtext(const json_t *o, const char *key, const char *fallback);
const char *jstring(const json_t *v); /* "" for what is no string */
long long jint(const json_t *o, const char *key);
double jreal(const json_t *o, const char *key);
bool jflag(const json_t *o, const char *key);
const char *jvrf(const json_t *o, const char *key);	 /* "(none)" for the global table */
const char *hms(long long seconds, char buf[static 48]); /* 01:02:03, or 3d01h */
/* "10.1.0.0/24" as address and dotted mask; IPv6 keeps its length. */
void prefix_parts(const char *prefix, char addr[static 64], char mask[static 64]);

/* A table with columns as wide as they need; "-" aligns to the right. */
struct table;
struct table *table_new(unsigned columns, const char *const *titles, const char *align);
void table_cell(struct table *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void table_print(struct table *t, FILE *out); /* and frees */

#define RENDERER(name) void name(FILE *out, const json_t *result, const json_t *request)
/* render_crypto.c */
RENDERER(render_session);
RENDERER(render_isakmp_sa);
RENDERER(render_ikev2_sa);
RENDERER(render_isakmp_policy);
RENDERER(render_isakmp_profile);
RENDERER(render_identity);
RENDERER(render_isakmp_key);
RENDERER(render_isakmp_peer);
RENDERER(render_ikev2_proposal);
RENDERER(render_ike_stats);
/* render_admission.c */
RENDERER(render_aaa_servers);
RENDERER(render_call_admission);
RENDERER(render_crypto_admission);
/* render_debug.c */
RENDERER(render_session_history);
RENDERER(render_debug_condition);
RENDERER(render_ike_capture);
RENDERER(render_ike_capture_started);
/* render_ipsec.c */
RENDERER(render_ipsec_sa);
RENDERER(render_crypto_map);
RENDERER(render_transform_set);
RENDERER(render_sa_lifetime);
RENDERER(render_sa_replay);
RENDERER(render_sa_idle_time);
RENDERER(render_access_lists);
/* render_keys.c */
RENDERER(render_generated);
RENDERER(render_mypubkey);
RENDERER(render_pubkey_chain);
RENDERER(render_certificates);
/* render_multicast.c */
RENDERER(render_mroutes);
/* render_firewall.c */
RENDERER(render_inspect_sessions);
RENDERER(render_nat_translations);
/* render_qos.c */
RENDERER(render_class_map);
RENDERER(render_policy_map);
RENDERER(render_policy_map_interface);
RENDERER(render_engine_qos);
/* render_workers.c */
RENDERER(render_workers);
RENDERER(render_workers_profile);
/* render_net.c */
RENDERER(render_version);
RENDERER(render_dataplane);
RENDERER(render_engine);
RENDERER(render_interfaces);
RENDERER(render_vtemplate);
RENDERER(render_neighbours);
RENDERER(render_routes);
RENDERER(render_drops);
RENDERER(render_counters);
RENDERER(render_trace);
RENDERER(render_capture);
RENDERER(render_cleared);
/* render_config.c */
RENDERER(render_text);
RENDERER(render_diff);
RENDERER(render_commit);
RENDERER(render_warnings);
RENDERER(render_valid);
RENDERER(render_history);
RENDERER(render_status);

#endif
