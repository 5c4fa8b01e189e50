/* SPDX-License-Identifier: BSD-3-Clause */
/* IKE proposals that tests, benchmarks and fuzz targets have in common. */
#ifndef TESTS_IKE_PROPOSALS_H
#define TESTS_IKE_PROPOSALS_H

#include "config.h"

/*
 * The first IKE profile of a configuration that is not resolved yet takes AES-128-GCM, HMAC-SHA2-256 and Curve25519 and
 * nothing else. Returns the proposal, which is the configuration's.
 */
struct cfg_ike_proposal *ike_proposal_lean(struct cv_config *c);
/* The same with two additional key exchanges (RFC 9370) for the IKE SA, the children beside the first, and the rekeys
 * of both. */
void ike_proposal_three_exchanges(struct cv_config *c);

#endif
