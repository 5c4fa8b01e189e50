/* SPDX-License-Identifier: BSD-3-Clause */
/* What the program logs, to a file of the test and back to stderr. One at a time. */
#ifndef TESTS_LOG_CATCH_H
#define TESTS_LOG_CATCH_H

void log_catch(const char *dir); /* the file is "log" there */
unsigned log_count(const char *word);
void log_release(void);

#endif
