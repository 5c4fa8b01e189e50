/* SPDX-License-Identifier: BSD-3-Clause */
/* Handling of key material. */
#ifndef CV_SECRET_H
#define CV_SECRET_H

#include <stddef.h>

/* Overwrite with zeros; never optimised away. */
void cv_secret_zero(void *p, size_t len);
/* Compare in constant time. Returns 0 when equal. */
int cv_secret_cmp(const void *a, const void *b, size_t len);
/*
 * Zeros over a file of the directory (a descriptor), then away with it; it goes also when it cannot be overwritten. 0
 * or a negative errno. What a file system or a disk keeps beside that is not ours to reach.
 */
int cv_secret_wipe_file(int dir, const char *name);

#endif
