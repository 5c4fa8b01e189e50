/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Configurations kept on disk with what is known about them: one file each, one line of JSON (the facts) and then the
 * configuration as JSON. Used for the commit history and for the running configuration of a process that may be killed.
 */
#ifndef MGMT_HISTORY_H
#define MGMT_HISTORY_H

#include <jansson.h>

#define HISTORY_MAX 50u /* configurations kept, the running one included */

/* The content of such a file; model_text_free() it. */
char *record_format(const json_t *facts, const char *config);
/* Read one: *facts to be json_decref'ed, *config points into *text (model_text_free). 0 or negative errno. */
int record_read(const char *path, json_t **facts, char **text, const char **config);

struct history;

/* Open the directory (created with mode 0700). NULL with errno. */
struct history *history_open(const char *dir);
void history_close(struct history *h);
/* Prepare the next entry; nothing counts until history_commit. 0 or negative errno. */
int history_prepare(struct history *h, const json_t *facts, const char *config);
int history_commit(struct history *h);
void history_abort(struct history *h);
/* Remove the newest entry again (a commit that failed after history_commit). */
void history_undo(struct history *h);
/* Put another text in the place of configuration n; facts as they were. 0 or negative errno. */
int history_rewrite(const struct history *h, unsigned n, const json_t *facts, const char *config);
unsigned history_count(const struct history *h);
/* Entry n, 0 = newest. As record_read; -ENOENT when there is none. */
int history_read(const struct history *h, unsigned n, json_t **facts, char **text, const char **config);

#endif
