/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What bench_pipeline measures with: one router, made of the real modules, with a network on each side, and the frames
 * that it is sent. Clear packets come in at LAN and go out at WAN, in ESP when there are tunnels; ESP comes in at WAN.
 * Everything ends the program when it fails. One thread.
 */
#ifndef BENCH_WORLD_H
#define BENCH_WORLD_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <intel-ipsec-mb.h>

#include "worker.h"

#define LAN 1u
#define WAN 2u
#define TUNNEL 3u /* where there is one */
#define SAS_MAX 100000u
#define RULES_MAX 20000u    /* in front of those of the SAs */
#define FRAMES_MAX 102400u  /* of one round */
#define FRAMES_USUAL 16384u /* enough that 1000 SAs see several each, and 10000 one at least */

enum traffic { T64, TIMIX, T1420, N_TRAFFIC };
extern const char *const traffic_name[N_TRAFFIC];
enum suite { SUITE_GCM, SUITE_CBC, SUITE_CHACHA, N_SUITES };
extern const char *const suite_name[N_SUITES];

struct frame {
	uint16_t len;
	uint8_t *data;
};
extern struct frame frame[FRAMES_MAX];
extern uint32_t n_frames;
extern struct worker *the_worker;
extern IMB_MGR *mgr;

__attribute__((noreturn)) void die(const char *what);

/* ---- bench_world.c ---- */

/* Length of the i-th inner IP packet. */
uint16_t packet_len(enum traffic t, uint32_t i);
/* What is configured beside addresses and routes; all zero: nothing. */
struct feature {
	uint32_t lines;	   /* of the access list that packets pass on their way in by the LAN */
	bool inspect, nat; /* what comes in by the LAN; sources of the LAN, by one address */
	enum { POLICY_NONE, POLICY_POLICE, POLICY_PRIORITY } policy; /* output policy map of the WAN */
	uint8_t tunnel;	 /* enum cv_tunnel_mode of the interface behind which remote networks are; 0 = none */
	bool protected;	 /* and its packets go by the SA of tunnels() */
	uint32_t routes; /* to so many networks, which the traffic visits evenly; 0: one to all */
	bool natt, v6;	 /* ESP in UDP; clear packets, also those inside of ESP, are IPv6 */
	bool outer6;	 /* ESP is over IPv6 */
};
/* Instead of what was there: both ports, their addresses, routes and neighbours. */
void network(const struct feature *f);
/* A DPDK device of this name becomes a port. */
void port_make(uint32_t id, const char *vdev);
/* What the ports are given to send is kept from now on, for sent_free() to free: the device takes no time then. */
void ports_keep_frames(void);
void sent_free(void);
/* Instead of what was there: n rules, each with a pair of SAs of the same key, so that our own output could be fed back
 * in; in front of them `idle` rules that no traffic matches. window: of replay, 0 = none. */
void tunnels(enum suite suite, uint32_t n, uint32_t idle, uint32_t window);
/* A rule, a route or an SA that no traffic has to do with comes or goes. */
void unrelated_change(void);
/* As if nothing had been received yet. */
void windows_reset(uint32_t n_sa);
/* frame[]: clear packets from the LAN, or ESP from the WAN, for n_sa tunnels in turns. */
void frames_clear(enum traffic t, uint32_t n_sa);
void frames_esp(enum suite suite, enum traffic t, uint32_t n_sa);
/* Of the remote host through the network's unprotected tunnel. */
void frames_tunnel(enum traffic t);
void frames_free(void);
/* frame[] as a capture file. */
void frames_save(const char *path);

/* ---- bench_measure.c ---- */

struct floor;
/* TSC cycles per packet. */
struct result {
	double total;	 /* without making frames and without the device's transmit */
	double floor;	 /* of the same traffic; 0: none */
	double profiled; /* the total while stages are counted */
	double stage[STAGE_COUNT];
};

extern uint32_t vector; /* packets of one */
extern unsigned runs;	/* the fastest of these counts, vector by vector */
extern bool changes;	/* unrelated_change() meanwhile */

/* frame[] once through the port, not measured: what a first packet sets going is done then, by main too. */
void measure_warm_up(uint32_t port);
/* frame[] once through the port, not measured; all have to come out. */
void measure_nothing(uint32_t port);
/* frame[] through the port; f: measured in turns with it, NULL = nothing is. Ends f. */
struct result measure(uint32_t port, uint32_t n_sa, struct floor *f);

/* ---- bench_features.c ---- */

/* By name; NULL: there is none. */
const struct feature *feature_named(const char *name);
/* A table of what each feature costs a packet, beside the same without it, in turns. json: an array is written there.
 */
void features_run(enum suite suite, const char *only_size, FILE *json);

/* ---- bench_crypto.c: from the RFCs and with the bare library, not by the code under test ---- */

/* The key of tunnel k, with salt and key of the integrity algorithm as struct cv_sa has it; returns its length. */
uint16_t suite_key(enum suite suite, uint32_t k, uint8_t *key);
/* The ESP packet that the peer of tunnel k would make of an inner one, at p; returns its length. */
uint16_t esp_make(enum suite suite, uint8_t *p, uint32_t k, uint32_t seq, const uint8_t *inner, uint16_t len);

/* Bare calls of the library, in place, nonce and AAD ready, in turns over n_keys keys and as many buffers as a vector
 * has packets: one-shot calls for AES-GCM, for the others the job manager with all its lanes full, which it is not
 * when a vector begins or ends in the pipeline. */
struct floor *floor_make(enum suite suite, enum traffic t, bool encrypt, uint32_t n_keys);
/* All frames' sizes once, vector by vector; the fastest time of each counts. */
void floor_round(struct floor *f);
/* TSC cycles per packet. */
double floor_end(struct floor *f);

#endif
