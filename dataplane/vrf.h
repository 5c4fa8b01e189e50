/* SPDX-License-Identifier: BSD-3-Clause */
/* The VRFs: names and ids (VRF-1). Their tables belong to fib.h, their interfaces to iface.h. Main lcore only. */
#ifndef DATAPLANE_VRF_H
#define DATAPLANE_VRF_H

#include "dp.h"

extern const struct dp_module vrf_module;

/* Does the VRF exist once the transaction in progress is applied? CV_VRF_GLOBAL always does. */
bool vrf_exists(uint32_t vrf_id);
/* Its name, "" when it does not exist; "global" for VRF 0. Valid until the next commit. */
const char *vrf_name(uint32_t vrf_id);

/* Does the transaction in progress create, rename or delete VRFs? */
bool vrf_changing(void);

#endif
