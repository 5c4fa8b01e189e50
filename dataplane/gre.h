/* SPDX-License-Identifier: BSD-3-Clause */
/* The GRE header (RFC 2784) with key and sequence number (RFC 2890). Pure functions; any thread. */
#ifndef DATAPLANE_GRE_H
#define DATAPLANE_GRE_H

#include "dp.h"

#define GRE_HEAD_MAX 16u

struct gre_header {
	uint32_t key, seq; /* host order, where has_ says so */
	bool has_key, has_seq;
	uint8_t len;	  /* of the header */
	uint8_t inner_af; /* CV_AF_* by its protocol type; CV_AF_NONE = type 0, a keepalive (keepalive.h) */
};

/* Bytes of the header that a tunnel sends (CV_TUNNEL_F_*). */
static inline uint32_t gre_length(uint8_t flags)
{
	return 4u + (flags & CV_TUNNEL_F_CHECKSUM ? 4u : 0) + (flags & CV_TUNNEL_F_KEY ? 4u : 0) +
	       (flags & CV_TUNNEL_F_SEQUENCE ? 4u : 0);
}

/* Write the header at p in front of the inner packet, which follows at p + gre_length() and is payload bytes long. */
void gre_write(uint8_t *p, const struct cv_tunnel *t, uint8_t inner_af, uint32_t seq, uint32_t payload);
/* Do the first bytes of a header, 8 at least, say what this tunnel sends: flags, and the key where it is among them? */
bool gre_is_of(const uint8_t *p, uint32_t len, const struct cv_tunnel *t);
/* Read the header at p; len: bytes from p to the end of the packet. False: malformed, routing (RFC 1701), version 1,
 * neither IPv4, IPv6 nor a keepalive inside, or a checksum that is wrong. */
bool gre_read(const uint8_t *p, uint32_t len, struct gre_header *h);

#endif
