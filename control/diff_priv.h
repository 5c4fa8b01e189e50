/* SPDX-License-Identifier: BSD-3-Clause */
/* Private to desired.c and diff.c. */
#ifndef CONTROL_DIFF_PRIV_H
#define CONTROL_DIFF_PRIV_H

#include "desired.h"

/* qsort order of struct dp_obj: kind, then key. */
int dp_obj_cmp(const void *a, const void *b);

#endif
