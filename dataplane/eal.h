/* SPDX-License-Identifier: BSD-3-Clause */
/* Bringing DPDK's environment up and down. */
#ifndef DATAPLANE_EAL_H
#define DATAPLANE_EAL_H

#include "options.h"

/* Main thread, once. Logs why when it fails. 0 or -errno. */
int eal_start(const struct options *o);
/* Packet buffers that fit the memory asked for, leaving room for tables. Valid after eal_start. */
uint32_t eal_packet_buffers(const struct options *o);
/* Flows that the fast path of each thread may remember: a sixteenth of the memory for all of them (fast_worker_create).
 */
uint32_t eal_flows(const struct options *o);
void eal_end(void);

#endif
