/* SPDX-License-Identifier: BSD-3-Clause */
/* Between the files of the engine itself; the two versions do not use it. */
#ifndef CONTROL_IKE_PRIVATE_H
#define CONTROL_IKE_PRIVATE_H

#include "ike_internal.h"

/* ike_table.c */
void ike_sa_resume(struct ike_sa *sa); /* link and start the timers of a restored SA */
void ike_child_index(struct ike_child *c);
void ike_child_unindex(struct ike_child *c);
void ike_req_index(struct ike *ike, struct ike_req *r);
void ike_req_unindex(struct ike *ike, struct ike_req *r);
struct ike_req *ike_req_find(
	struct ike *ike, uint32_t rule_id, const struct cv_selector *sel, const struct cfg_map_entry *entry);
void ike_tables_free(struct ike *ike);

/* ike_child.c */
void ike_child_arm(struct ike_child *c); /* start the life timer from soft_ms and hard_ms */

/* ike_req.c */
void ike_auto_soon(struct ike *ike); /* look after the auto-start entries within a second */
void ike_auto_start(struct ike *ike);
/* A wish for sa, whatever other SAs with the peer there are; none when the same one is under way. */
void ike_req_add_to(
	struct ike_sa *sa, const struct cfg_map_entry *entry, uint32_t rule_id, const struct cv_selector *sel);
void ike_req_drop(struct ike_req *r, const char *reason); /* end it without trying other peers */

/* ike_peers.c */
unsigned ike_peer_current(const struct ike *ike, const struct cfg_map_entry *e); /* index into e->peer */
void ike_peer_set_current(struct ike *ike, const struct cfg_map_entry *e, unsigned i);
void ike_peers_config(struct ike *ike); /* forget entries that are no more */

#endif
