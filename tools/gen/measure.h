/* SPDX-License-Identifier: BSD-3-Clause */
/* What is measured for one mode and size, and how it is reported. */
#ifndef GEN_MEASURE_H
#define GEN_MEASURE_H

#include "gen.h"

#define GEN_LOADS 2
extern const double gen_load[GEN_LOADS]; /* parts of the rate without loss at which latencies are taken */

/* A trial after the search. Latencies in microseconds; ran is false for one that was not asked for. */
struct gen_hold {
	bool ran;
	struct gen_trial t;
	unsigned done; /* changes of each kind */
	double p50, p99, p9999, max;
	uint64_t drops[CV_DROP_MAX]; /* of the gateway, by reason: where what was lost went */
};

struct gen_result {
	enum gen_mode mode;
	unsigned size;
	double pps, cycles_per_packet;
	struct gen_trial last;
	struct gen_hold latency[GEN_LOADS]; /* at gen_load[] of the rate */
	struct gen_hold rekey, tables;	    /* at 90 %, while SAs are renewed; while routes and policy change */
};

extern const char *const gen_mode_name[GEN_MODE_MAX];

/*
 * Set the gateway up for r->mode and r->size, find the highest rate without loss (RFC 2544, 26.1) or take the one that
 * was asked for, and then what else o asks for. gw: NULL with o->no_gateway. *stop: ends it early. 0 or -errno.
 */
int gen_measure(struct gen_gateway *gw, const struct gen_opts *o, struct gen_result *r, const volatile int *stop);

/* Tables to stdout, JSON to o->json; gw: for the names of drop reasons, or NULL. 0 or -errno when that cannot be
 * written. */
int gen_report(const struct gen_opts *o, const struct gen_gateway *gw, const struct gen_result *r, unsigned n);

#endif
