/* SPDX-License-Identifier: BSD-3-Clause */
/* DSCP values (RFC 2474, 2597, 3246) by the names operators use, and sets of them: bit per value. Any thread. */
#ifndef CONTROL_DSCP_H
#define CONTROL_DSCP_H

#include <stdint.h>

/* 0..63, -1 when there is no such name. */
int dscp_by_name(const char *name);
/* NULL when the value has no name. */
const char *dscp_name(unsigned value);

/* The values with this IP precedence (0..7, RFC 791), or this TOS field (0..14 and even, RFC 1349; its lowest bit is
 * part of ECN today). */
uint64_t dscp_of_precedence(unsigned precedence);
uint64_t dscp_of_tos(unsigned tos);

#endif
