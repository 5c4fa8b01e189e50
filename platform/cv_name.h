/* SPDX-License-Identifier: BSD-3-Clause */
/* Names that an operator gives to files of ours: never a path, never hidden. */
#ifndef CV_NAME_H
#define CV_NAME_H

#include <stdbool.h>
#include <string.h>

#define CV_FILE_NAME_MAX 64u

/* Letters, digits, '.', '_' and '-', no '.' in front; NULL is none. */
static inline bool cv_name_good(const char *name)
{
	static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";

	return name && *name && *name != '.' && strlen(name) <= CV_FILE_NAME_MAX && name[strspn(name, good)] == 0;
}

#endif
