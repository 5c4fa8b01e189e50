/* SPDX-License-Identifier: BSD-3-Clause */
/* The resource monitor of call admission control (CAC-13): how short of CPU and memory this process is. Loop thread. */
#ifndef CONTROL_LOAD_H
#define CONTROL_LOAD_H

#include <stdint.h>

struct load {
	uint64_t wall_ns, loop_ns, process_ns; /* at the last reading */
};

/*
 * Percent since the last reading, 0..100: the highest of the event loop's share of its core, the process's share of all
 * cores, and the memory of the machine that is in use (huge pages reserved for the dataplane aside). Readings less than
 * 100 ms apart give 0 for CPU: too short to tell.
 */
uint32_t load_read(struct load *l);

#endif
