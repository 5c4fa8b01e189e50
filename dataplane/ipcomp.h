/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * IP payload compression (RFC 3173) with DEFLATE (RFC 2394), inside ESP. Each packet is compressed by itself, so that
 * loss and order do not matter. Contexts belong to one worker; nothing is allocated after ipcomp_new().
 */
#ifndef DATAPLANE_IPCOMP_H
#define DATAPLANE_IPCOMP_H

#include <stdbool.h>
#include <stdint.h>

#include "cv_msg.h"

#define IPCOMP_HDR_LEN 4u	  /* next header, flags, CPI */
#define IPCOMP_THRESHOLD 90u	  /* RFC 2394 4.1: shorter payloads hardly ever shrink */
#define IPCOMP_OUT_MAX CV_PKT_MAX /* no packet is larger than a buffer of the pool, whatever its sender claims */

struct ipcomp;

/* Main: NULL when out of memory. */
struct ipcomp *ipcomp_new(void);
void ipcomp_free(struct ipcomp *z);

/*
 * Worker: put len bytes at data, whose protocol is next, behind an IPComp header in their own place. Returns the length
 * with that header, always less than len; 0 = left as it was (RFC 3173 2.2): too short, does not shrink, or of an SA,
 * by its index, whose last packets did not, so that trying would be a waste for a while. *tried: whether it was tried.
 */
uint32_t ipcomp_pack(
	struct ipcomp *z, uint32_t sa, uint8_t *data, uint32_t len, uint8_t next, uint16_t cpi, bool *tried);

/*
 * Worker: the reverse. len bytes at data begin with an IPComp header; room (bytes from data on) and IPCOMP_OUT_MAX
 * bound what comes out. Returns its length and sets *next; 0 = malformed, of another CPI (or DEFLATE's well-known one),
 * too large, or compressed twice (RFC 3173 2.1); data is then undefined.
 */
uint32_t ipcomp_unpack(struct ipcomp *z, uint8_t *data, uint32_t len, uint32_t room, uint16_t cpi, uint8_t *next);

#endif
