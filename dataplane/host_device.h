/* SPDX-License-Identifier: BSD-3-Clause */
/* One network device of the host: made, set up through netlink, taken away. For host.c only; main lcore. */
#ifndef DATAPLANE_HOST_DEVICE_H
#define DATAPLANE_HOST_DEVICE_H

#include <linux/if_ether.h>

#include "host_ns.h"
#include "iface.h"

struct host_device {
	struct cv_host cfg;
	struct host_ns *ns;
	int fd; /* packets; of a tap with an Ethernet header in front */
	bool tap;
	uint32_t ifindex;
	/* what has been set */
	bool named, up, link;
	bool no_routers; /* the kernel does not heed router advertisements */
	uint16_t mtu;
	uint8_t mac[ETH_ALEN];
	uint32_t n_addr;
	struct cv_if_addr addr[IFACE_ADDR_MAX + 1];
};

/* A device, down and with a name that the kernel chose. NULL with text why it cannot be. */
struct host_device *host_device_make(const struct cv_host *cfg, bool tap, char *text);
void host_device_free(struct host_device *d);
/* Set it up like the interface. What the kernel refuses is logged; the rest is set. */
void host_device_set_up(struct host_device *d, const struct dp_if *ifp);
/* Is a device of this name there in the namespace? Its index, 0 = no. */
uint32_t host_device_index(const struct host_ns *ns, const char *name);

#endif
