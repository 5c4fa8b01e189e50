/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef DATAPLANE_ADDR_HASH_H
#define DATAPLANE_ADDR_HASH_H

#include <string.h>

#include <rte_hash_crc.h>

#include "cv_addr.h"

/* A hash of the address's 16 bytes, which may lie at any alignment, on top of h. Any thread. */
static inline uint32_t addr_hash(const struct cv_addr *a, uint32_t h)
{
	uint64_t half[2];

	memcpy(half, a->b, sizeof(half));
	return rte_hash_crc_8byte(half[1], rte_hash_crc_8byte(half[0], h));
}

#endif
