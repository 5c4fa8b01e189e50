/* SPDX-License-Identifier: BSD-3-Clause */
/* What gateway.c and change.c share of the gateway's state. */
#ifndef GEN_GATEWAY_H
#define GEN_GATEWAY_H

#include "gen.h"

#define GEN_SPD 1u

struct gen_gateway {
	const struct gen_opts *o;
	struct cv_chan *ch;
	uint64_t seq, answered; /* of commands: the last sent, the last answered */
	unsigned unanswered;
	char failed[160]; /* text of the first refused command of a transaction */
	enum gen_mode mode;
	uint8_t generation[GEN_TUNNELS_MAX]; /* 0 or 1, of the SA that a tunnel uses */
	struct {
		enum gen_change kind;
		unsigned n;	 /* of each kind */
		double interval; /* seconds between two of them */
		unsigned begun, switched, ended;
	} change;
};

#endif
