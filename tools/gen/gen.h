/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * culvert-gen: a traffic generator and no-drop-rate finder that drives one culvert-dataplane over two memif ports and
 * configures it over its channel, so that a benchmark needs neither a NIC nor a key exchange.
 *
 *      gen port 0  <== memif a ==>  inside  |gateway|  outside  <== memif b ==>  gen port 1
 *
 * One thread, one lcore: it transmits on one port at a fixed rate, receives on the other, and answers ARP on both; in
 * some trials it renews SAs, or changes routes and policy, meanwhile.
 */
#ifndef GEN_H
#define GEN_H

#include <stdbool.h>

#include <rte_ether.h>
#include <rte_mbuf.h>

#include "algo.h"
#include "cv_chan.h"
#include "histogram.h"

#define GEN_TUNNELS_MAX 4096u

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
	double latency_s;  /* > 0: then trials of this length at 50 and 90 % of the rate, with latencies */
	double hold_s;	   /* > 0: then trials of this length at 90 % while the gateway's state changes */
	unsigned changes;  /* of each kind in such a trial */
	bool no_gateway;   /* something else, not to be configured, forwards from port 0 to port 1 */
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
	uint64_t unmatched; /* came back and could not be told from what was sent when; only with latencies */
	double seconds;
	double offered_pps;
	double busy; /* part of its time that the generator had something to do: near 1 it is what limits the rate */
};

/* What changes while a trial runs. */
enum gen_change { GEN_CHANGE_NONE = 0, GEN_CHANGE_REKEY, GEN_CHANGE_TABLES };

/* ---- gateway.c: the gateway's state, pushed over the channel ---- */

struct gen_gateway;
#define GEN_INSIDE_IF 1u
#define GEN_OUTSIDE_IF 2u
extern const struct rte_ether_addr gen_gw_mac[2], gen_mac[2];

/* Connect to the dataplane. 0 or -errno. */
int gen_gateway_open(const struct gen_opts *o, struct gen_gateway **gw);
/* Ports, interfaces, routes, policy and SAs for a mode, as one SYNC transaction. generation: 0 or 1, which of its two
 * sets of SPIs and keys every tunnel has. 0 or -errno after printing why. */
int gen_gateway_setup(struct gen_gateway *gw, enum gen_mode mode, unsigned generation);
/* The tunnel whose SAs of either generation have this SPI (host order); >= GEN_TUNNELS_MAX: none. */
unsigned gen_gateway_tunnel(uint32_t spi);
/* Cycles the workers spent on packets and packets they received, since the dataplane started. */
void gen_gateway_cycles(const struct gen_gateway *gw, uint64_t *busy_cycles, uint64_t *packets);
/* Packets that main and workers dropped since the dataplane started, by reason; the reason's name, "" beyond the last.
 */
void gen_gateway_drops(const struct gen_gateway *gw, uint64_t drops[static CV_DROP_MAX]);
const char *gen_gateway_drop_name(const struct gen_gateway *gw, unsigned reason);

/* ---- change.c: commands while traffic runs, each a transaction of its own, as culvertd sends them ---- */

/*
 * Prepare changes of a kind, o->changes of them evenly over seconds. REKEY: SAs of the next generation take over from
 * those of the other; a tunnel is not renewed twice in a second. TABLES: routes to the single hosts that traffic goes
 * to, and rules for other ports of them in front of those in use, are added and a second later deleted.
 */
void gen_change_begin(struct gen_gateway *gw, enum gen_change kind, double seconds);
/* Send what is due after so many seconds, and take answers. Never waits. */
void gen_change_step(struct gen_gateway *gw, double elapsed_s);
/* Wait for the last answers. How many were done; 0 or -errno when one was refused, after printing why. */
int gen_change_end(struct gen_gateway *gw, unsigned *done);

/* ---- gateway.c, for change.c ---- */

/* One command without waiting; its answer is taken by gen_gateway_answers. 0 or -errno. */
int gen_gateway_post(struct gen_gateway *gw, enum cv_msg_type type, const void *body, size_t len);
/* Take what answers there are; wait: until none is missing. 0, or -errno once one said no. */
int gen_gateway_answers(struct gen_gateway *gw, bool wait);
/* What is pushed for tunnel i: a rule, an SA of the generation. The SA has a key: zero it. */
void gen_gateway_rule(enum gen_mode mode, unsigned i, struct cv_spd_rule *rule);
void gen_gateway_sa(
	const struct gen_gateway *gw, enum gen_mode mode, unsigned i, unsigned generation, struct cv_sa *sa);
void gen_gateway_route(enum gen_mode mode, struct cv_route *r);

/* Detach the ports, so that no memif peer outlives the other, and close. */
void gen_gateway_close(struct gen_gateway *gw);

/* ---- traffic.c: ports, templates, one trial ---- */

/* Create the two memif servers. 0 or -errno. */
int gen_traffic_open(const struct gen_opts *o);
/* Wait until the gateway has connected its end of both. 0 or -ETIMEDOUT. */
int gen_traffic_wait_link(void);
/* Build the packets of a mode and size. GEN_ESP_IN sends ESP that the gateway itself made (recorded before). */
int gen_traffic_load(enum gen_mode mode, const struct gen_size *size, unsigned n_sa);
/* Have the gateway (set up for GEN_ESP_OUT) encrypt the loaded packets, and keep the result as GEN_ESP_IN's load for
 * SAs of that generation (0 or 1). */
int gen_traffic_record(unsigned generation);
/* From now on tunnel i's packets of GEN_ESP_IN are those recorded for the generation. */
void gen_traffic_switch(unsigned i, unsigned generation);
/*
 * Send at rate_pps for seconds, wait for the stragglers, count. rate 0 = as fast as the memif takes them. latency: gets
 * one sample per packet that came back, from before it was given to the device until after it was received; NULL: do
 * not look. gw: changes that have begun go on meanwhile; NULL: none.
 */
void gen_traffic_trial(
	double rate_pps, double seconds, struct gen_trial *t, struct gen_histogram *latency, struct gen_gateway *gw);
void gen_traffic_close(void);

#endif
