/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a pair of SAs under an entry without peers needs. Under a virtual template's entry: an interface
 * (virtual_access.h). Else a temporary rule (IPSEC-57): an entry without peers is a template, and every flow that a
 * peer negotiates under it gets a rule of its own, in front of the entry's lines, for as long as a pair of SAs serves
 * it. They stand in struct desired like the rules of the configuration, so that commits and SYNCs treat them alike;
 * what flows there are follows from IKE's children, and under which number the dataplane knows a rule from its SAs, so
 * nothing of it is stored. Loop thread.
 */
#ifndef CONTROL_TEMPORARY_H
#define CONTROL_TEMPORARY_H

#include "desired.h"
#include "ike.h"

struct control;
struct child;

/* Numbers of temporary rules begin here; those of the configuration stay below (ids.h). */
#define TEMPORARY_RULE_MIN (1u << 23)

/* A pair was made under a dynamic entry: find its flow's rule or make one, here and in the dataplane. Sets ch->rule_id;
 * 0 = no map of the running configuration has the entry where p->path ends. */
void temporary_take(struct control *c, struct child *ch, const struct ike_child_params *p);
/* A pair of the rule is gone: the last one takes a temporary rule along; other rules stay as they are. */
void temporary_put(struct control *c, uint32_t rule_id);
/* d was made from cfg: put in the rules of the flows that exist and that cfg still has an entry for. Gives rules to
 * pairs that have none yet (after a restart). */
void temporary_carry(struct control *c, struct desired *d, const struct cv_config *cfg);

#endif
