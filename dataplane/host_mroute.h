/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The kernel's multicast routes over the host's devices (host.h) are Culvert's, beside its configured ones: smcroute,
 * or PIM and IGMP daemons, install them. Packets for which there is none go to the kernel while a daemon has its
 * interface, so that the daemon is asked. Part of host_route.c, which reads the messages. Main lcore but
 * host_multicast().
 */
#ifndef DATAPLANE_HOST_MROUTE_H
#define DATAPLANE_HOST_MROUTE_H

#include "host_ns.h"
#include "iface.h"

/* A message of the families that multicast routes have, or about what the kernel does on a device. False: of neither.
 */
bool host_mroute_message(struct host_ns *ns, const struct nlmsghdr *h);
/* What the walk through everything did not name goes. */
void host_mroute_sweep(struct host_ns *ns);

/* Does a daemon on the host route multicast packets of this family that come in by the interface? */
extern uint8_t host_multicast_families[CV_IF_MAX]; /* bit 0: IPv4, bit 1: IPv6 */
/* Worker or main. */
static inline bool host_multicast(uint32_t if_id, bool ip6)
{
	return __atomic_load_n(&host_multicast_families[if_id], __ATOMIC_RELAXED) >> ip6 & 1;
}

#endif
