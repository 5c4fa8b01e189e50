/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Debugging of IKE and IPsec: areas that are on, errors only, and the conditions that limit both (CDBG-*). Run-time
 * state of this process, never saved (CDBG-15). With no area on, a message costs one comparison (CDBG-5). Loop thread.
 */
#ifndef CONTROL_DEBUG_H
#define CONTROL_DEBUG_H

#include <jansson.h>
#include <stdbool.h>

#include "cv_types.h"

enum debug_area { DEBUG_ISAKMP = 0, DEBUG_IKEV2, DEBUG_IPSEC, DEBUG_ENGINE };
#define DEBUG_AREAS 4
enum debug_level { DEBUG_OFF = 0, DEBUG_ERROR, DEBUG_ON, DEBUG_DETAIL };

enum debug_cond_type {
	DEBUG_PEER = 1, /* address or subnet */
	DEBUG_HOSTNAME, /* what the peer calls itself */
	DEBUG_GROUP,
	DEBUG_USERNAME,
	DEBUG_FVRF,
	DEBUG_IVRF,
	DEBUG_SPI,    /* of either direction (CDBG-3) */
	DEBUG_CONNID, /* likewise */
	DEBUG_FLOWID,
};
#define DEBUG_CONDITIONS_MAX 64u /* CDBG-13 */

struct debug_cond {
	enum debug_cond_type type;
	struct cv_prefix peer;
	char text[128];
	uint32_t number, engine; /* SPI; connection or flow id with its engine */
};

struct debug {
	enum debug_level level[DEBUG_AREAS];
	bool unmatched[DEBUG_AREAS];
	struct debug_cond cond[DEBUG_CONDITIONS_MAX];
	unsigned n_cond;
};

/* What a message is about. Members that are not known are zero; nothing known = no context (CDBG-6). */
struct debug_ctx {
	struct cv_addr peer;
	const char *peer_id;	  /* name, group or user as the peer says */
	const char *fvrf, *ivrf;  /* "global" for the global table; NULL = not known */
	uint32_t spi[2], conn[2]; /* both directions */
};

/* Does it fit one of the conditions? Without conditions everything does. unmatched: what is said of no context. */
bool debug_matches(const struct debug *d, const struct debug_ctx *ctx, bool unmatched);
/* May a message be printed? error: it tells the cause of a failure (CDBG-10, 11). */
bool debug_passes(
	const struct debug *d, enum debug_area area, enum debug_level level, bool error, const struct debug_ctx *ctx);
/* 0, -EEXIST (nothing changes), -ENOSPC at the maximum, -EINVAL for a number out of range (CDBG-16). */
int debug_add(struct debug *d, const struct debug_cond *cond);
void debug_reset(struct debug *d); /* conditions and unmatched flags (CDBG-9) */
bool debug_any_area(const struct debug *d);
const char *debug_area_name(enum debug_area area);
json_t *debug_show(const struct debug *d);

#endif
