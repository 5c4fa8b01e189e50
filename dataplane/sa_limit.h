/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lifetimes in bytes (RFC 4301 section 4.4.2.1). What an SA has carried is in the workers' counters anyway. While the
 * next limit is so far away that what all workers have in their hands does not matter, its packets are not added up:
 * a packet has at most 65,535 bytes, so that up to some number the limit cannot be reached (sa_state.unasked). From
 * that number on it is worked out again, and close to the limit every packet is added to one sum.
 */
#ifndef DATAPLANE_SA_LIMIT_H
#define DATAPLANE_SA_LIMIT_H

#include "sa.h"

/* Main: of an SA that is being made, whose index nobody uses. */
void sa_limit_start(const struct sa *sa);

/* Worker: `bytes` of inner packets more have gone through an SA with SA_F_BYTE_LIMIT, the last with number last; they
 * are not in the worker's counters yet. Returns how many there are in all, exactly when a limit is near. */
uint64_t sa_limit_bytes(const struct sa *sa, uint64_t last, uint64_t bytes);

#endif
