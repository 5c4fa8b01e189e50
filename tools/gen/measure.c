/* SPDX-License-Identifier: BSD-3-Clause */
#include "measure.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <rte_cycles.h>

#define HOLD_LOAD 0.9 /* of the rate without loss, while the gateway changes */

const char *const gen_mode_name[GEN_MODE_MAX] = {"plain", "esp-out", "esp-in"};
const double gen_load[GEN_LOADS] = {0.5, 0.9};

static bool no_loss(const struct gen_trial *t)
{
	/* Everything asked for was sent, and all of that came back. */
	double wanted = t->offered_pps * t->seconds;
	return t->received == t->sent && (t->offered_pps <= 0 || (double)t->sent >= wanted * 0.999);
}

static void tell(const struct gen_result *r, const struct gen_trial *t, const char *what)
{
	(void)fprintf(stderr, "    %-8s %-5s %-8s offered %8.3f Mpps  sent %8.3f  received %8.3f  lost %.4f %%\n",
		gen_mode_name[r->mode], gen_sizes[r->size].name, what, t->offered_pps / 1e6,
		(double)t->sent / t->seconds / 1e6, (double)t->received / t->seconds / 1e6,
		t->sent > t->received ? 100.0 * (double)(t->sent - t->received) / (double)t->sent : 0.0);
}

static void trial(struct gen_gateway *gw, double rate, double seconds, struct gen_result *r)
{
	uint64_t c0 = 0, p0 = 0, c1 = 0, p1 = 0;
	if (gw)
		gen_gateway_cycles(gw, &c0, &p0);
	gen_traffic_trial(rate, seconds, &r->last, NULL, NULL);
	if (gw)
		gen_gateway_cycles(gw, &c1, &p1);
	r->cycles_per_packet = p1 > p0 ? (double)(c1 - c0) / (double)(p1 - p0) : 0;
	tell(r, &r->last, "");
}

/* More than was sent cannot come back: then the figures mean nothing. */
static int believe(const struct gen_trial *t)
{
	if (t->received > t->sent)
		(void)fprintf(stderr, "culvert-gen: %" PRIu64 " packets came back of %" PRIu64 " sent\n", t->received,
			t->sent);
	else if (t->unmatched)
		(void)fprintf(stderr, "culvert-gen: %" PRIu64 " packets came back that were not sent in this trial\n",
			t->unmatched);
	else
		return 0;
	return -EPROTO;
}

/* Binary search for the highest rate without loss. The flood in the beginning resolves ARP, warms caches and bounds it.
 */
static int search(struct gen_gateway *gw, const struct gen_opts *o, struct gen_result *r, const volatile int *stop)
{
	trial(gw, 1000, 0.3, r);
	trial(gw, 0, o->trial_s / 2, r);
	if (believe(&r->last))
		return -EPROTO;
	double lo = 0, hi = (double)r->last.received / r->last.seconds * 1.1, rate = hi / 1.1;
	struct gen_result best = *r;
	best.pps = 0;
	while (!*stop && hi - lo > hi * o->resolution) {
		trial(gw, rate, o->trial_s, r);
		if (no_loss(&r->last)) {
			lo = rate;
			best = *r;
			best.pps = (double)r->last.received / r->last.seconds;
		} else {
			hi = rate;
		}
		rate = (lo + hi) / 2;
	}
	*r = best;
	return 0;
}

/* One trial with latencies, and with changes. */
static int hold(struct gen_gateway *gw, const struct gen_result *r, double load, double seconds, enum gen_change change,
	struct gen_hold *h)
{
	static struct gen_histogram samples;
	static const char *const name[] = {"latency", "rekey", "tables"};
	const double us = 1e6 / (double)rte_get_tsc_hz();
	int rc = 0;
	uint64_t before[CV_DROP_MAX];
	memset(&samples, 0, sizeof(samples));
	if (gw)
		gen_gateway_drops(gw, before);
	if (change != GEN_CHANGE_NONE)
		gen_change_begin(gw, change, seconds);
	gen_traffic_trial(r->pps * load, seconds, &h->t, &samples, change == GEN_CHANGE_NONE ? NULL : gw);
	if (change != GEN_CHANGE_NONE)
		rc = gen_change_end(gw, &h->done);
	tell(r, &h->t, name[change]);
	if (gw)
		gen_gateway_drops(gw, h->drops);
	for (unsigned i = 0; gw && i < CV_DROP_MAX; i++)
		h->drops[i] -= before[i];
	h->ran = true;
	h->p50 = us * (double)gen_histogram_quantile(&samples, 0.5);
	h->p99 = us * (double)gen_histogram_quantile(&samples, 0.99);
	h->p9999 = us * (double)gen_histogram_quantile(&samples, 0.9999);
	h->max = us * (double)samples.max;
	return rc ? rc : believe(&h->t);
}

static int set_up(struct gen_gateway *gw, enum gen_mode mode, unsigned generation)
{
	int rc = gw ? gen_gateway_setup(gw, mode, generation) : 0;
	if (!rc && (rc = gen_traffic_wait_link()))
		(void)fprintf(stderr, "culvert-gen: nothing has connected to the memif ports\n");
	return rc;
}

/* What the gateway makes of the load with one generation of SAs. */
static int record(struct gen_gateway *gw, const struct gen_opts *o, struct gen_result *r, unsigned generation)
{
	int rc = set_up(gw, GEN_ESP_OUT, generation);
	if (!rc)
		rc = gen_traffic_load(GEN_ESP_OUT, &gen_sizes[r->size], o->n_sa);
	if (!rc) {
		trial(gw, 1000, 0.3, r); /* resolves ARP, so that nothing is missing in the record */
		rc = gen_traffic_record(generation);
	}
	if (rc)
		(void)fprintf(stderr, "culvert-gen: could not record ESP packets (%s)\n", strerror(-rc));
	return rc;
}

static int holds(struct gen_gateway *gw, const struct gen_opts *o, struct gen_result *r, const volatile int *stop)
{
	int rc = 0;
	for (unsigned i = 0; i < GEN_LOADS && o->latency_s > 0 && !rc && !*stop; i++)
		rc = hold(gw, r, gen_load[i], o->latency_s, GEN_CHANGE_NONE, &r->latency[i]);
	if (o->hold_s > 0 && gw && r->mode != GEN_PLAIN && !rc && !*stop)
		rc = hold(gw, r, HOLD_LOAD, o->hold_s, GEN_CHANGE_REKEY, &r->rekey);
	if (o->hold_s > 0 && gw && !rc && !*stop)
		rc = hold(gw, r, HOLD_LOAD, o->hold_s, GEN_CHANGE_TABLES, &r->tables);
	return rc;
}

int gen_measure(struct gen_gateway *gw, const struct gen_opts *o, struct gen_result *r, const volatile int *stop)
{
	int rc = 0;
	for (unsigned generation = 0; r->mode == GEN_ESP_IN && generation < 2 && !rc; generation++)
		rc = record(gw, o, r, generation);
	if (!rc)
		rc = set_up(gw, r->mode, 0);
	if (!rc)
		rc = gen_traffic_load(r->mode, &gen_sizes[r->size], o->n_sa);
	if (rc)
		return rc;
	if (o->rate_pps <= 0) {
		rc = search(gw, o, r, stop);
	} else {
		trial(gw, 1000, 0.3, r);
		trial(gw, o->rate_pps, o->trial_s, r);
		r->pps = (double)r->last.received / r->last.seconds;
		rc = believe(&r->last);
	}
	return rc || r->pps <= 0 ? rc : holds(gw, o, r, stop);
}
