/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The kernel's routes over the host's devices (host.h) are Culvert's, in the VRF of the interface: what a routing
 * daemon installs is forwarded by, and goes when the daemon takes it back. They are followed by netlink events, a
 * bounded batch a round, each a transaction of its own between those of the control process. When the kernel had to
 * drop events, all routes are walked through again, and what the walk does not name is swept. Main lcore.
 */
#ifndef DATAPLANE_HOST_ROUTE_H
#define DATAPLANE_HOST_ROUTE_H

#include "host_ns.h"
#include "iface.h"

/* Inside the interfaces' transaction: routes over devices that go, go with them. */
void host_routes_prepare(void);
/* Every round. Returns how many messages of the kernel were read; not 0 while there is more to do. */
unsigned host_routes_poll(uint64_t now_ms);

/* Main: a configured route came into force, or is going out of it; word: where it leads (fib.h). */
void host_route_tell(const struct cv_route *r, uint32_t word, bool add);
/* Main: a device is new: its namespace has to hear of all configured routes, and is walked through again. */
void host_routes_tell_all(void);

#define RTPROT_CULVERT 199u /* none of linux/rtnetlink.h, nor of FRR */

/* ---- host.c, for the files of this one ---- */
/* The interface behind a device, NULL = it is none of ours. */
const struct dp_if *host_by_index(const struct host_ns *ns, uint32_t ifindex);
/* Of the interfaces with a device there the first of the lowest VRF: whose routes without a device are. NULL = none. */
const struct dp_if *host_first(const struct host_ns *ns);
/* The device of an interface, 0 = none; *ns where it is. */
uint32_t host_index(uint32_t if_id, struct host_ns **ns);

/* ---- host_route_read.c ---- */
/* What a message says of a route of the main table. */
struct host_route {
	struct cv_route route; /* n_nh 0: it does not lead over our devices */
	uint32_t metric;       /* of the kernel; in route.tag as well */
};
/* Read RTM_NEWROUTE or RTM_DELROUTE. False: a route that is not for us to follow. */
bool host_route_read(const struct host_ns *ns, const struct nlmsghdr *h, struct host_route *out);
/* For mnl_attr_parse(): note where an attribute is. data: const struct nlattr *[RTA_MAX + 1], by type; types above are
 * passed over. Always MNL_CB_OK. */
int host_route_note_attr(const struct nlattr *a, void *data);
/* Read the address of an attribute, network byte order; no attribute (NULL) is the address zero, as in rtnetlink.
 * af: CV_AF_* of the message. False: its length is not that of the family's addresses. */
bool host_route_addr(const struct nlattr *a, uint8_t af, struct cv_addr *out);

#endif
