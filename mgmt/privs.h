/* SPDX-License-Identifier: BSD-3-Clause */
/* What culvertd gives up after its start. Before any thread exists: capabilities belong to threads. */
#ifndef MGMT_PRIVS_H
#define MGMT_PRIVS_H

#include <stdbool.h>
#include <sys/types.h>

struct privs {
	bool change; /* to uid and gid; false: stay who we are */
	uid_t uid;
	gid_t gid;
	const char *user;
};

/*
 * Find user and group. user NULL: "culvert" where it exists, else stay (a lab). group NULL: the user's. Not root: stay.
 * 0, or -ENOENT when something asked for by name does not exist.
 */
int privs_lookup(const char *user, const char *group, struct privs *p);
/* Keys must not reach a disk: no core dumps, no ptrace by others, memory locked as far as allowed. Before and after
 * drop. */
void privs_protect_memory(void);
/* Change user, drop every capability for good. 0 or negative errno. */
int privs_drop(const struct privs *p);

#endif
