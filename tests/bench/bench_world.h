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

#include <intel-ipsec-mb.h>

#include "worker.h"

#define LAN 1u
#define WAN 2u
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
/* Both ports, their addresses, routes and neighbours. lines: of access lists in and out on both, 0 = none. */
void network(uint32_t lines);
/* A DPDK device of this name becomes a port. */
void port_make(uint32_t id, const char *vdev);
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
void frames_free(void);
/* frame[] as a capture file. */
void frames_save(const char *path);

/* ---- bench_crypto.c: from the RFCs and with the bare library, not by the code under test ---- */

/* The key of tunnel k, with salt and key of the integrity algorithm as struct cv_sa has it; returns its length. */
uint16_t suite_key(enum suite suite, uint32_t k, uint8_t *key);
/* The ESP packet that the peer of tunnel k would make of an inner one, at p; returns its length. */
uint16_t esp_make(enum suite suite, uint8_t *p, uint32_t k, uint32_t seq, const uint8_t *inner, uint16_t len);

/* Bare calls of the library, in place, nonce and AAD ready, in turns over n_keys keys and as many buffers as a vector
 * has packets: one-shot calls for AES-GCM, for the others the job manager, flushed after each vector. */
struct floor;
struct floor *floor_make(enum suite suite, enum traffic t, bool encrypt, uint32_t n_keys, uint32_t vector);
/* All frames' sizes once, vector by vector; the fastest time of each counts. */
void floor_round(struct floor *f);
/* TSC cycles per packet. */
double floor_end(struct floor *f);

#endif
