/* SPDX-License-Identifier: BSD-3-Clause */
/* Small files that hold secrets: mode 0600, replaced as a whole or not at all. Blocking; loop thread. */
#ifndef MGMT_FILES_H
#define MGMT_FILES_H

#include <stddef.h>

#define FILES_MAX (64u << 20) /* bytes: the largest configuration that is read */

/* Write data to "path.new" and sync it. 0 or negative errno; nothing is left behind on failure. */
int files_prepare(const char *path, const char *data, size_t len);
/* Make "path.new" the file (rename, sync of the directory), or drop it. */
int files_commit(const char *path);
void files_abort(const char *path);
/* Both steps. */
int files_write(const char *path, const char *data, size_t len);
/* The whole file as a string; model_text_free() it. 0 or negative errno (-EFBIG over FILES_MAX, -EILSEQ with a 0 byte).
 */
int files_read(const char *path, char **text);
/* mkdir -p with mode for the parts that are missing. 0 or negative errno. */
int files_mkdir(const char *path, unsigned mode);

#endif
