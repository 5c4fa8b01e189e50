/* SPDX-License-Identifier: BSD-3-Clause */
/* What a virtual-access interface is (virtual_access.c), and its objects in struct desired and in the dataplane
 * (virtual_access_objects.c). Loop thread. */
#ifndef CONTROL_VIRTUAL_ACCESS_PRIV_H
#define CONTROL_VIRTUAL_ACCESS_PRIV_H

#include <sys/queue.h>

#include "config.h"
#include "control_priv.h"
#include "virtual_access.h"

struct access {
	TAILQ_ENTRY(access) link;
	char name[CV_NAME_MAX];
	char *template, *ike_profile, *map;
	struct cfg_interface ifc; /* as cloned; strings are its own, references NULL */
	struct cfg_tunnel tunnel;
	struct cv_if body;
	uint32_t rule_id;
	struct ike_path path;
	struct cv_selector sel;
	struct cv_addr inner;
	struct cv_route route;			  /* n_nh 0 = there is none */
	char policy_key[2][DESIRED_SLOT_KEY_MAX]; /* of the slots of its policy maps, in and out; "" = it has none */
	unsigned n_pair;
	bool carried; /* a carry has judged it; else it came since */
	bool alive;   /* while the table is looked through: it has no pair, but an IKE SA */
};

struct virtual_access_table {
	struct control *c;
	TAILQ_HEAD(access_list, access) all; /* the newest first */
	uint32_t cursor;		     /* where the search for a free number went on, downwards */
	uint64_t audit_at_ms;		     /* when to look for sessions that are over; UINT64_MAX = none may be */
};

/* Keep this number of interfaces for a virtual-access one; false: it is another thing's. */
bool virtual_access_claim(struct virtual_access_table *t, uint32_t number);

/* Is it in d? */
bool virtual_access_stands_in(const struct desired *d, const struct access *a);
/* Interface, rule, route and policy maps, which are cfg's, into d, and with send to the dataplane. e: its template's
 * entry in cfg. False: d has no place for them, and nothing was done. */
bool virtual_access_put_in(struct virtual_access_table *t, struct desired *d, struct access *a,
	const struct cv_config *cfg, const struct cfg_map_entry *e, bool send);
/* All of that out of d, if it is there, and with send out of the dataplane. */
void virtual_access_take_out(struct virtual_access_table *t, struct desired *d, struct access *a, bool send);
/* Its body has changed: tell the dataplane, if it is in force there. */
void virtual_access_put_again(struct virtual_access_table *t, const struct access *a);

#endif
