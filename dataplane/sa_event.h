/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * News of SAs from workers to main: a soft or hard lifetime passed, a peer moved. Each kind is raised once per SA (a
 * bit in its state), so a worker pays nothing for the packets after the first, and the ring cannot be flooded.
 */
#ifndef DATAPLANE_SA_EVENT_H
#define DATAPLANE_SA_EVENT_H

#include "sa.h"

/* Main, once. 0 or -errno. */
int sa_event_init(void);

#endif
