/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The one place where messages of the control process are checked: lengths, enums, ids, ranges, names. What passes
 * here can be used by the modules without a second look at anything but the existence of other objects. Pure functions
 * without state.
 */
#ifndef DATAPLANE_VALIDATE_H
#define DATAPLANE_VALIDATE_H

#include "cv_msg.h"

#define VALIDATE_TEXT 128u

/*
 * Check a message as received: h.len bytes are valid. max_workers: what PLATFORM_SET may ask for. Returns CV_OK, or
 * CV_ERR_VERSION, CV_ERR_MALFORMED or CV_ERR_UNSUPPORTED with the reason in text (VALIDATE_TEXT bytes, terminated).
 */
enum cv_err validate_command(const struct cv_msg *msg, uint32_t max_workers, char *text);
/* Bytes of body that a command of this type has, -1 for types that are not commands. */
int validate_body_len(uint16_t type);

#endif
