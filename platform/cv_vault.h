/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The vault: a memfd of fixed-size records in which the control process keeps what it must remember across its own
 * death: its established IKE SAs, with their keys. It lives in memory only: the dataplane holds the descriptor open
 * while the control process is away (cv_chan.h) and never maps it; when both die it is gone. Records carry a sequence
 * number and a checksum, so that a writer killed in the middle of a write loses that write only, never an older one
 * (two alternating copies per record). A record has room for an IKE SA with hundreds of children; memory is used only
 * for the pages that were written. Single writer thread.
 */
#ifndef CV_VAULT_H
#define CV_VAULT_H

#include <stddef.h>
#include <stdint.h>

#define CV_VAULT_RECORD_MAX (262144u - 64u) /* bytes of payload in one record */

struct cv_vault;

/* Create a new, empty vault with room for max_records. NULL with errno. */
struct cv_vault *cv_vault_create(uint32_t max_records);
/* Open what an earlier process left; takes over fd. NULL with errno EPROTO when it is not a vault of this version. */
struct cv_vault *cv_vault_open(int fd);
int cv_vault_fd(const struct cv_vault *v);
/* Allocate a record. Returns its number >= 0 or -ENOSPC. */
int cv_vault_alloc(struct cv_vault *v);
/* Replace the contents. 0, -EMSGSIZE or -ENOENT. The old contents survive until the new are complete. */
int cv_vault_write(struct cv_vault *v, int rec, const void *data, size_t len);
/* Read the newest complete copy. Returns its length, -ENOENT, or -EMSGSIZE when it is longer than size. */
int cv_vault_read(const struct cv_vault *v, int rec, void *buf, size_t size);
/* Zero and free. */
void cv_vault_free(struct cv_vault *v, int rec);
/* Next used record after `after` (-1 to start), or -1. */
int cv_vault_next(const struct cv_vault *v, int after);
/* Unmap and close this process's descriptor; wipe != 0 zeroes all records first. */
void cv_vault_close(struct cv_vault *v, int wipe);

#endif
