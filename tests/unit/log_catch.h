/* SPDX-License-Identifier: BSD-3-Clause */
/* What the program logs, to a file of the test and back to stderr. One at a time. */
#ifndef TESTS_LOG_CATCH_H
#define TESTS_LOG_CATCH_H

#include <stdbool.h>

void log_catch(const char *dir); /* the file is "log" there */
unsigned log_count(const char *word);
/* Is there a line with each of them, the first of the one before the first of the other? */
bool log_in_order(const char *one, const char *other);
void log_release(void);

#endif
