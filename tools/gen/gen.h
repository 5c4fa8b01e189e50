/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * culvert-gen: a traffic generator and no-drop-rate finder that drives one culvert-dataplane over two memif ports and
 * configures it over its channel, so that a benchmark needs neither a NIC nor a key exchange.
 *
 *      gen port 0  <== memif a ==>  inside  |gateway|  outside  <== memif b ==>  gen port 1
 *
 * One thread, one lcore: it transmits on one port at a fixed rate, receives on the other, and answers ARP on both.
 */
#ifndef GEN_H
#define GEN_H

#include <rte_ether.h>
#include <rte_mbuf.h>

#include "algo.h"
#include "cv_chan.h"

enum gen_mode { GEN_PLAIN = 0, GEN_ESP_OUT, GEN_ESP_IN, GEN_MODE_MAX };

struct gen_opts {
	const char *dataplane_socket;
	const char *memif_dir;
	const char *json;	 /* file for the results, or NULL */
	struct algo_suite suite; /* ESP */
	unsigned n_sa;		 /* tunnels, one destination host each */
	unsigned workers;
	double trial_s;	   /* length of one trial */
	double resolution; /* the search ends when its interval is this fraction of the rate */
	double rate_pps;   /* > 0: one trial at this rate instead of a search */
	uint32_t modes;	   /* bit per enum gen_mode */
	uint32_t sizes;	   /* bit per row of gen_sizes */
};

/* A frame size mix: lengths are Ethernet frames without FCS, except "1420" which is the inner packet of the design. */
struct gen_size {
	const char *name;
	unsigned n;
	uint16_t ip_len[12]; /* IP packet lengths, in sending order */
};
extern const struct gen_size gen_sizes[];
extern const unsigned gen_n_sizes;

/* What one trial counted. */
struct gen_trial {
	uint64_t sent, received;
	double seconds;
	double offered_pps;
};

/* ---- gateway.c: the gateway's state, pushed over the channel ---- */

struct gen_gateway;
#define GEN_INSIDE_IF 1u
#define GEN_OUTSIDE_IF 2u
extern const struct rte_ether_addr gen_gw_mac[2], gen_mac[2];

/* Connect to the dataplane. 0 or -errno. */
int gen_gateway_open(const struct gen_opts *o, struct gen_gateway **gw);
/* Ports, interfaces, routes, policy and SAs for a mode, as one SYNC transaction. 0 or -errno after printing why. */
int gen_gateway_setup(struct gen_gateway *gw, enum gen_mode mode);
/* Cycles the workers spent on packets and packets they received, since the dataplane started. */
void gen_gateway_cycles(const struct gen_gateway *gw, uint64_t *busy_cycles, uint64_t *packets);
double gen_gateway_tsc_hz(const struct gen_gateway *gw);
/* Detach the ports, so that no memif peer outlives the other, and close. */
void gen_gateway_close(struct gen_gateway *gw);

/* ---- traffic.c: ports, templates, one trial ---- */

/* Create the two memif servers. 0 or -errno. */
int gen_traffic_open(const struct gen_opts *o);
/* Wait until the gateway has connected its end of both. 0 or -ETIMEDOUT. */
int gen_traffic_wait_link(void);
/* Build the packets of a mode and size. GEN_ESP_IN sends ESP that the gateway itself made (recorded before). */
int gen_traffic_load(enum gen_mode mode, const struct gen_size *size, unsigned n_sa);
/* Have the gateway (set up for GEN_ESP_OUT) encrypt the loaded packets, and keep the result as GEN_ESP_IN's load. */
int gen_traffic_record(void);
/* Send at rate_pps for seconds, wait for the stragglers, count. rate 0 = as fast as the memif takes them. */
void gen_traffic_trial(double rate_pps, double seconds, struct gen_trial *t);
void gen_traffic_close(void);

#endif
