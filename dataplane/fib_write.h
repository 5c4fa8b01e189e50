/* SPDX-License-Identifier: BSD-3-Clause */
/* The writing side of fib.c, for rib.c only. Main lcore. One transaction at a time, opened by the first change. */
#ifndef DATAPLANE_FIB_WRITE_H
#define DATAPLANE_FIB_WRITE_H

#include "fib.h"

/* Put a prefix with its route word (not 0) into the tables to be published. 0 or -ENOMEM. */
int fib_txn_set(uint32_t vrf_id, const struct cv_prefix *p, uint32_t word);
/* Take it out; cover as in trie_del(). 0 or -ENOMEM. */
int fib_txn_del(uint32_t vrf_id, const struct cv_prefix *p, uint32_t cover_word, unsigned cover_plen);
void fib_txn_publish(void);
void fib_txn_abort(void);

/* A group of next hops: buckets as given. Returns its number or 0 when all are used. */
uint32_t fib_group_alloc(const uint32_t bucket[static FIB_GROUP_BUCKETS]);
/* Free it: at once when no worker ever saw it, otherwise after quiescence. */
void fib_group_free(uint32_t group, bool published);

#endif
