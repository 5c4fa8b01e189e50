/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Virtual-access interfaces (VTI-22..35): the interface that a session gets whose IKE profile names a virtual template.
 * It is cloned with the session's first pair of SAs, when phase 1 and whatever login follows it are over (VTI-24, 25),
 * leads from the address that the peer has contacted to the peer's (VTI-29), and carries the one flow that the peer has
 * proposed (VTI-26). Routes lead into it: to the inner address that the peer was given, else to what the flow has on
 * its side (VTI-30). It goes when neither IPsec SAs nor an IKE SA of the session are left.
 *
 * A clone keeps what its template said when it was made (VTI-35). It stands in struct desired beside the objects of the
 * configuration, so that commits and SYNCs treat them alike. Its number is that of the interface in the dataplane, and
 * the number of its rule follows from it: after a restart of this process the SAs in the dataplane tell by their rule
 * which interface they are of, and it is made anew from the template as it is then, under the same number.
 *
 * Who the peers are is not known here: remote access of any kind needs an IKE profile, and nothing of this. Loop
 * thread.
 */
#ifndef CONTROL_VIRTUAL_ACCESS_H
#define CONTROL_VIRTUAL_ACCESS_H

#include "cv_types.h"
#include "desired.h"
#include "ike.h"

struct control;
struct child;
struct virtual_access_table;

/* The rule of interface n is this plus n: above those of the configuration (ids.h), below temporary ones. */
#define VIRTUAL_ACCESS_RULE_MIN ((1u << 23) - CV_IF_MAX)

struct virtual_access_table *virtual_access_new(struct control *c);
void virtual_access_free(struct virtual_access_table *t);

/* A pair was made under a template's entry: find its session's interface or make one, here and in the dataplane. Sets
 * ch->rule_id and ch->ivrf; rule_id 0 = no number is left, or the configuration has changed. */
void virtual_access_take(struct virtual_access_table *t, struct child *ch, const struct ike_child_params *p);
/* A pair is gone. False: rule_id is not one of a virtual-access interface. */
bool virtual_access_put(struct virtual_access_table *t, uint32_t rule_id);
/* The peer of a pair has another address or port now. */
void virtual_access_moved(struct virtual_access_table *t, const struct child *ch);

/* d was made from cfg. Begin to count pairs; then each pair that IKE knows under a template's entry, e being that of
 * cfg (a pair from before our restart makes its interface known); then the interfaces into d that cfg lets live. */
void virtual_access_carry_begin(struct virtual_access_table *t);
void virtual_access_carry_child(struct virtual_access_table *t, struct child *ch, const struct ike_child_params *p,
	const struct cfg_map_entry *e);
void virtual_access_carry(struct virtual_access_table *t, struct desired *d, const struct cv_config *cfg);
/* The configuration's objects are in force now, and were `was` before: interfaces that came while they were on their
 * way were told to the dataplane as part of was, and are put right here and there. */
void virtual_access_adopted(struct virtual_access_table *t, const struct desired *was);

/* Remove those whose session is over. Milliseconds until it wants to be called again, UINT64_MAX = none is waiting. */
uint64_t virtual_access_run(struct virtual_access_table *t);

/* ---- for show ---- */

struct virtual_access_info {
	const struct cfg_interface *interface; /* source and destination filled in; references are not resolved */
	const char *template, *ike_profile;
	const struct ike_path *path;
	struct cv_addr inner; /* address that the peer was given; af 0 = none */
	unsigned n_pair;
};
void virtual_access_each(
	const struct virtual_access_table *t, void (*cb)(void *arg, const struct virtual_access_info *i), void *arg);
/* By name or by number; NULL = there is none. */
const struct cfg_interface *virtual_access_by_name(const struct virtual_access_table *t, const char *name);
const struct cfg_interface *virtual_access_by_id(const struct virtual_access_table *t, uint32_t if_id);
/* The name of the one that leads to a session's peer, or NULL. */
const char *virtual_access_of_path(const struct virtual_access_table *t, const struct ike_path *path);

#endif
