/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>

#include <rte_common.h>

#include "cv_secret.h"
#include "gateway.h"

#define SWITCH_S 0.2 /* after the new inbound SA was asked for: the peer begins to send by it */
#define END_S 0.9    /* after that: the old one goes; what was on its way by then has arrived */
#define TUNNEL_S 1.0 /* between two renewals of one tunnel */
#define AT_ONCE 8u   /* commands of a step: the traffic must not wait for them */
#define RULES_FROM 100000u

void gen_change_begin(struct gen_gateway *gw, enum gen_change kind, double seconds)
{
	double room = RTE_MAX(seconds - END_S - 0.1, 0.0);
	unsigned n = gw->o->changes;
	gw->failed[0] = 0;
	if (kind == GEN_CHANGE_REKEY)
		n = (unsigned)RTE_MIN((double)n, gw->o->n_sa * RTE_MAX(room / TUNNEL_S, 1.0));
	gw->change.kind = kind;
	gw->change.n = n;
	gw->change.interval = n ? room / n : 0;
	gw->change.begun = gw->change.switched = gw->change.ended = 0;
}

static int rekey_begin(struct gen_gateway *gw, unsigned k)
{
	const unsigned i = k % gw->o->n_sa;
	struct cv_sa sa;
	gen_gateway_sa(gw, gw->mode, i, !gw->generation[i], &sa);
	int rc = gen_gateway_post(gw, CV_CMD_SA_ADD, &sa, sizeof(sa));
	cv_secret_zero(&sa, sizeof(sa));
	return rc;
}

static int rekey_end(struct gen_gateway *gw, unsigned k)
{
	const unsigned i = k % gw->o->n_sa;
	struct cv_sa sa;
	gen_gateway_sa(gw, gw->mode, i, gw->generation[i], &sa);
	const struct cv_sa_ref ref = {.index = sa.index, .spi = sa.spi};
	cv_secret_zero(&sa, sizeof(sa));
	int rc = gen_gateway_post(gw, CV_CMD_SA_DEL, &ref, sizeof(ref));
	if (!rc)
		gw->generation[i] = !gw->generation[i];
	return rc;
}

/* A route to the one host that tunnel k's packets go to, by the same gateway as before. */
static void host_route(const struct gen_gateway *gw, unsigned k, struct cv_route *r)
{
	gen_gateway_route(gw->mode, r);
	r->prefix.len = 32;
	r->prefix.addr.b[2] = (uint8_t)(k >> 8);
	r->prefix.addr.b[3] = (uint8_t)k;
}

/* A rule in front of tunnel k's, for the same hosts and another port: traffic that it hit would be lost. */
static void port_rule(const struct gen_gateway *gw, unsigned k, struct cv_spd_rule *rule)
{
	gen_gateway_rule(gw->mode, k, rule);
	rule->rule_id = RULES_FROM + k;
	rule->prio = 1ull << 32 | (k + 1);
	rule->action = CV_SPD_DISCARD;
	rule->flags = 0;
	rule->sel.proto = IPPROTO_UDP;
	if (gw->mode == GEN_ESP_IN)
		rule->sel.sport_lo = rule->sel.sport_hi = 10;
	else
		rule->sel.dport_lo = rule->sel.dport_hi = 10;
}

static int tables_begin(struct gen_gateway *gw, unsigned k)
{
	struct cv_route route;
	struct cv_spd_rule rule;
	host_route(gw, k, &route);
	port_rule(gw, k, &rule);
	int rc = gen_gateway_post(gw, CV_CMD_ROUTE_SET, &route, sizeof(route));
	return rc || gw->mode == GEN_PLAIN ? rc : gen_gateway_post(gw, CV_CMD_SPD_RULE_SET, &rule, sizeof(rule));
}

static int tables_end(struct gen_gateway *gw, unsigned k)
{
	struct cv_route route;
	host_route(gw, k, &route);
	const struct cv_route_ref route_ref = {.vrf_id = route.vrf_id, .prefix = route.prefix};
	const struct cv_spd_rule_ref rule_ref = {.spd_id = GEN_SPD, .rule_id = RULES_FROM + k};
	int rc = gen_gateway_post(gw, CV_CMD_ROUTE_DEL, &route_ref, sizeof(route_ref));
	return rc || gw->mode == GEN_PLAIN ? rc
					   : gen_gateway_post(gw, CV_CMD_SPD_RULE_DEL, &rule_ref, sizeof(rule_ref));
}

/* How many of n evenly spaced events are due. */
static unsigned due(const struct gen_gateway *gw, double elapsed_s, double late)
{
	if (elapsed_s < late)
		return 0;
	double k = gw->change.interval > 0 ? (elapsed_s - late) / gw->change.interval + 1 : gw->change.n;
	return (unsigned)RTE_MIN(k, (double)gw->change.n);
}

void gen_change_step(struct gen_gateway *gw, double elapsed_s)
{
	const bool rekey = gw->change.kind == GEN_CHANGE_REKEY;
	if (gw->failed[0] || gw->change.kind == GEN_CHANGE_NONE)
		return;
	const unsigned begin = RTE_MIN(due(gw, elapsed_s, 0), gw->change.begun + AT_ONCE);
	int rc = 0;
	while (gw->change.begun < begin && !rc)
		if (!(rc = rekey ? rekey_begin(gw, gw->change.begun) : tables_begin(gw, gw->change.begun)))
			gw->change.begun++;
	const unsigned change = RTE_MIN(due(gw, elapsed_s, SWITCH_S), gw->change.begun);
	for (; rekey && gw->mode == GEN_ESP_IN && gw->change.switched < change; gw->change.switched++) {
		const unsigned i = gw->change.switched % gw->o->n_sa;
		gen_traffic_switch(i, !gw->generation[i]);
	}
	const unsigned end = RTE_MIN(RTE_MIN(due(gw, elapsed_s, END_S), gw->change.begun), gw->change.ended + AT_ONCE);
	while (gw->change.ended < end && !rc)
		if (!(rc = rekey ? rekey_end(gw, gw->change.ended) : tables_end(gw, gw->change.ended)))
			gw->change.ended++;
	(void)gen_gateway_answers(gw, false);
}

int gen_change_end(struct gen_gateway *gw, unsigned *done)
{
	int rc = gen_gateway_answers(gw, true);
	*done = gw->change.ended;
	if (!rc && gw->change.ended < gw->change.n) {
		(void)snprintf(gw->failed, sizeof(gw->failed), "%u of %u changes were not done in time",
			gw->change.n - gw->change.ended, gw->change.n);
		rc = -ETIMEDOUT;
	}
	gw->change.kind = GEN_CHANGE_NONE;
	if (rc)
		(void)fprintf(stderr, "culvert-gen: changing the gateway: %s\n", gw->failed);
	return rc;
}
