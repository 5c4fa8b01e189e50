/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The way from the workers to main: one bounded ring and one token bucket per class, so that a flood of one kind
 * neither drowns main nor crowds out another kind. dp_slow() (dp.h) is the workers' side.
 */
#ifndef DATAPLANE_SLOW_H
#define DATAPLANE_SLOW_H

#include "worker.h"

/* Main, once, after dp_frame_init. 0 or -errno. */
int slow_init(void);
/* Main, every round: hand what arrived to the handlers. Returns packets handled. */
unsigned slow_poll(struct worker *w);

#endif
