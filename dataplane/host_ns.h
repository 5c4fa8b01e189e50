/* SPDX-License-Identifier: BSD-3-Clause */
/* Network namespaces of the host and the netlink sockets in them. Main lcore; its thread enters a namespace for as long
 * as it takes to open something there. For host*.c only. */
#ifndef DATAPLANE_HOST_NS_H
#define DATAPLANE_HOST_NS_H

#include <linux/netlink.h>
#include <stdbool.h>
#include <stdint.h>

#include "cv_types.h"
#include "fib.h"

struct mnl_socket;
struct host_ns {
	struct host_ns *next;
	char name[CV_NAME_MAX]; /* "" = our own */
	unsigned users;
	struct mnl_socket *nl; /* requests */
	uint32_t seq;
	/* host_route.c */
	struct mnl_socket *events, *walk; /* what changes; all there is, while walking (NULL = not) */
	bool walk_due;			  /* events were lost, or nothing is known yet */
	bool shadowed;			  /* a route was left out for another one's metric */
	bool walk_routes;		  /* the walk is among the routes, and over with what comes before them */
	bool sweeping;			  /* what the last walk did not name, in parts */
	struct fib_sweep sweep;
	uint32_t walk_number;
	uint64_t walk_not_before; /* ms */
};

/* All that are in use. */
extern struct host_ns *host_ns_all;

/* The namespace of this name with a reference more on it. NULL: errno says why it cannot be had. */
struct host_ns *host_ns_get(const char *name);
void host_ns_put(struct host_ns *ns);
/* Go there, and back with what enter() returned (>= -1). -2: errno says why not. */
int host_ns_enter(const struct host_ns *ns);
void host_ns_leave(int back);
/* A routing netlink socket there; flags as of socket(2). NULL with errno. */
struct mnl_socket *host_ns_socket(const struct host_ns *ns, int flags);
/* Send a request and wait for the kernel's verdict: 0 or -errno. Sets flags and sequence number. */
int host_ns_ask(struct host_ns *ns, struct nlmsghdr *request);

#endif
