/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Access lists (struct cv_acl) as the dataplane has them: compiled by the classifier of the SPD (spd_class.c), found by
 * number, and asked by spd_match_list(). What uses a list, such as an interface (filter.h), names it by number.
 */
#ifndef DATAPLANE_ACL_H
#define DATAPLANE_ACL_H

#include "spd.h"

#define ACL_LINE_LOG 1u /* flag of a rule and of a verdict: the line has `log` (acl_log.h) */

extern const struct dp_module acl_module;

/* Worker or main: the compiled list, NULL = there is none. Good until the next quiescent point; rules have rule_id =
 * counter and action CV_SPD_BYPASS or CV_SPD_DISCARD. */
const struct spd_class *acl_class(uint32_t acl_id);
/* Worker or main: the counter of packets that matched no line of the list, 0 = there is no list. */
uint32_t acl_counter(uint32_t acl_id);

/* Main: does the list exist once the transaction being prepared is published? */
bool acl_prepared(uint32_t acl_id);
/* Main: does the transaction take lists away? Then who names lists has to look again. */
bool acl_changing(void);

#endif
