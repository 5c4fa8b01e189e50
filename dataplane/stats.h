/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef DATAPLANE_STATS_H
#define DATAPLANE_STATS_H

#include "cv_stats.h"

/* Main, once: the names of drop reasons and stages, for readers that know neither. */
void stats_fill_names(struct cv_stats_segment *s);

#endif
