/* SPDX-License-Identifier: BSD-3-Clause */
/* What the tests of both versions of IKE share: one pair of engines. */
#ifndef TESTS_IKE_ENV_H
#define TESTS_IKE_ENV_H

#include "ike_pair.h"

extern struct pair *p; /* freed by teardown */

int teardown(void **state);
/* Traffic of host 0 brings up one pair of SAs within a second. */
void bring_up(void);

#endif
