/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Numbers for named things. The dataplane knows VRFs, ports, interfaces, SPDs and rules by number; a thing keeps its
 * number across commits and restarts of culvertd, so that what has not changed can be recognised as unchanged. The key
 * of a thing contains everything that cannot be changed in place: a change of that makes it another thing.
 *
 * One round per commit: begin, get for everything the new configuration has, save before anything is pushed, then
 * commit (numbers that were not asked for become free) or rollback (new numbers are taken back). Loop thread.
 */
#ifndef CONTROL_IDS_H
#define CONTROL_IDS_H

#include <stdint.h>

enum id_kind { ID_VRF, ID_PORT, ID_IF, ID_SPD, ID_RULE, ID_ACL, ID_ACL_COUNTER, ID_QOS_POLICY, ID_QOS_SLOT, ID_KINDS };

struct ids;

/* Read path when it exists; a file that cannot be used is reported and ignored. path NULL: nothing is kept. */
struct ids *ids_open(const char *path);
void ids_close(struct ids *ids);

void ids_begin(struct ids *ids);
/* The number of key, a new one if it has none. 0 or -ENOSPC. */
int ids_get(struct ids *ids, enum id_kind kind, const char *key, uint32_t *id);
/* Give key this very number, whatever becomes of the round. 0, or -EBUSY: it has another, or the number is another
 * key's or out of range. */
int ids_claim(struct ids *ids, enum id_kind kind, const char *key, uint32_t id);
/* Let go of a key between rounds. */
void ids_release(struct ids *ids, enum id_kind kind, const char *key);
/* Write the file (old and new numbers) through a temporary one. 0 or -errno. */
int ids_save(struct ids *ids);
void ids_commit(struct ids *ids);
void ids_rollback(struct ids *ids);

#endif
