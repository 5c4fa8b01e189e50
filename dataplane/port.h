/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Ports: DPDK devices attached at run time by PCI address or vdev string (CV_CMD_PORT_ATTACH). Only ports in our own
 * table are ever polled or sent to: DPDK's list also holds ports of others (pdump).
 */
#ifndef DATAPLANE_PORT_H
#define DATAPLANE_PORT_H

#include "worker.h"

/* How one worker (or main) transmits on a port: when owner is its own index it sends on queue itself, else it hands
 * the frame to the worker with that index, which then sends on its own queue. */
struct port_tx {
	uint16_t queue;
	uint16_t owner;
};

/* What workers see of a port. Immutable except link_up; valid until the reader's next quiescent point. */
struct mnl_socket;
struct port {
	uint32_t port_id;
	uint16_t dpdk_id;
	uint16_t n_rxq, n_txq;
	uint8_t mac[6];
	bool up;	     /* link, as of publication; main publishes a new view when it changes */
	bool rx_ip_checksum; /* the device checks IPv4 header checksums and says so in the mbuf */
	uint16_t mtu;	     /* of the device, layer-3 bytes; 0 = unknown */
	uint32_t speed_mbps;
	char name[CV_NAME_MAX];
	char driver[32];
	struct port_tx tx[CV_WRITERS]; /* by worker index */
	struct mnl_socket *shield;     /* of main; see port_shield.h */
};

extern const struct port *port_views[CV_PORT_MAX];
extern const struct dp_module port_module;

/* Worker or main: NULL when there is no such port. */
static inline const struct port *port_worker_view(uint32_t port_id)
{
	return port_id < CV_PORT_MAX ? __atomic_load_n(&port_views[port_id], __ATOMIC_ACQUIRE) : NULL;
}

/* Main: will the port exist once the transaction in progress is applied? */
bool port_exists(uint32_t port_id);
/* Main, every few milliseconds, between commands: link state (publishes a new view) and the devices' own counters,
 * then port_announce(). */
void port_tick(uint64_t now_ms);
/* Main, after a transaction is over: tell iface.c of the ports that came, went or changed. */
void port_announce(void);
/* Main: set the device's MTU (layer-3 bytes) to at least this; a driver that cannot (ENOTSUP) is not an error. */
int port_want_mtu(uint32_t port_id, uint16_t mtu);
/* Main: spread the receive queues over the first n_active workers. Waits for quiescence. */
void port_assign_queues(uint32_t n_active);
/* Main: fill a CV_DUMP_WORKER reply. */
void port_worker_dump(const struct cv_cmd_dump *req, struct cv_dump_reply *out);
/* Main, at exit, workers stopped: close every device. */
void port_close_all(void);

#endif
