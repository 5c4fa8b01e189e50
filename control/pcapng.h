/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Blocks of a pcapng file (draft-ietf-opsawg-pcapng) in memory: one section, one interface whose packets begin with
 * their IP header. Pure functions; lengths in bytes; integers in the order of this machine, as the format wants.
 */
#ifndef CONTROL_PCAPNG_H
#define CONTROL_PCAPNG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PCAPNG_HEADER_MAX 256u
#define PCAPNG_PACKET_OVERHEAD 192u /* of a block around its packet, the comment included */
#define PCAPNG_COMMENT_MAX 80u

/* Section header and interface description. Returns the length. */
size_t pcapng_header(uint8_t out[static PCAPNG_HEADER_MAX], const char *application, const char *interface);
/* One packet, with its direction and a comment (NULL = none, cut to PCAPNG_COMMENT_MAX). out has room for len +
 * PCAPNG_PACKET_OVERHEAD. Returns the length. */
size_t pcapng_packet(
	uint8_t *out, uint64_t microseconds, bool outbound, const void *data, uint32_t len, const char *comment);

#endif
