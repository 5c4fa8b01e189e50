/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Measuring with devices, as the peers are measured (tests/bench/peers): real workers poll a net_pcap device each, that
 * repeats its capture file for ever, and send to the null device. What counts is the time that a worker's thread has
 * had, not the time on the wall: other work on the machine is not counted, receiving and sending is.
 */
#ifndef BENCH_DEVICE_H
#define BENCH_DEVICE_H

#include "bench_world.h"

/* Start n workers, once; EAL has a worker lcore for each. */
void device_start(unsigned n);
/* TSC cycles per packet of frame[] coming in at a port, over all workers: a worker's fastest window counts, and two
 * workers of 100 cycles each make 50. */
double device_measure(uint32_t port_id, uint32_t n_sa, unsigned windows);

#endif
