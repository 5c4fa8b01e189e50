/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * IKEv2 handshakes between a hub and many spokes, all engines of Culvert in one process without sockets (tests/unit/
 * ike_net.h): how many the hub does in a second of CPU time, what that time goes to, what memory a session holds, and
 * how long rekeying of all and `show` take meanwhile. Only the time inside the hub's engine is counted, its public-key
 * work included. The hub has a map entry, an access list and an address for each spoke.
 *
 * usage: bench_handshake [--json FILE] [SESSIONS]
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <x86intrin.h>

#include "../unit/ike_net.h"
#include "../unit/ike_proposals.h"
#include "ikecrypto.h"

/* ---- what belongs to the hub: linked with --wrap, so that the engine's own calls come through here ---- */

enum cause { DH, PRF, CIPHER, RANDOM, HEAP, CAUSES };
static const char *const cause_name[CAUSES] = {
	"Diffie-Hellman", "PRF and hash", "cipher and integrity", "random numbers", "heap"};

static struct {
	bool in_hub, split; /* split: causes are measured, which itself takes time */
	bool inside;	    /* a wrapped function: one within another counts as that one */
	struct timespec since;
	double cpu_s;
	uint64_t since_tsc, tsc;	     /* of the hub's engine */
	uint64_t cause[CAUSES], now[CAUSES]; /* now: since since_tsc */
	uint64_t calls[CAUSES];
	int64_t heap; /* bytes, with malloc's own */
} hub;

#define TSC_PREEMPTED 2000000u /* who runs longer at a stretch was interrupted by another process: left out */

static double cpu_now(struct timespec *ts)
{
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, ts);
	return (double)ts->tv_sec + (double)ts->tv_nsec / 1e9;
}

static void span(struct net *net, unsigned node, bool begin)
{
	struct timespec now;
	(void)net;
	if (node)
		return;
	hub.in_hub = begin;
	if (hub.split) {
		uint64_t t = __rdtsc();
		if (!begin && t - hub.since_tsc < TSC_PREEMPTED) {
			hub.tsc += t - hub.since_tsc;
			for (unsigned i = 0; i < CAUSES; i++)
				hub.cause[i] += hub.now[i];
		}
		memset(hub.now, 0, sizeof(hub.now));
		hub.since_tsc = t;
		return;
	}
	double t = cpu_now(&now);
	if (!begin)
		hub.cpu_s += t - ((double)hub.since.tv_sec + (double)hub.since.tv_nsec / 1e9);
	hub.since = now;
}

static bool measure_begin(uint64_t *t)
{
	if (!hub.in_hub || !hub.split || hub.inside)
		return false;
	hub.inside = true;
	*t = __rdtsc();
	return true;
}

static void measure_end(enum cause c, uint64_t t)
{
	hub.now[c] += __rdtsc() - t;
	hub.inside = false;
	hub.calls[c]++;
}

#define WRAP(cause, type, name, params, args)                                                                          \
	type __real_##name params;                                                                                     \
	type __wrap_##name params;                                                                                     \
	type __wrap_##name params                                                                                      \
	{                                                                                                              \
		uint64_t t = 0;                                                                                        \
		bool m = measure_begin(&t);                                                                            \
		type r = __real_##name args;                                                                           \
		if (m)                                                                                                 \
			measure_end(cause, t);                                                                         \
		return r;                                                                                              \
	}

WRAP(DH, int, ikec_ke,
	(enum ike_group g, struct ikec_dh **dh, const uint8_t *peer, size_t len, uint8_t *secret, size_t *n),
	(g, dh, peer, len, secret, n))
WRAP(PRF, int, ikec_prf,
	(enum ike_prf prf, const void *key, size_t len, const struct ikec_iov *iov, int n, uint8_t *out),
	(prf, key, len, iov, n, out))
WRAP(PRF, int, ikec_prf_plus,
	(enum ike_prf prf, const void *key, size_t len, const void *seed, size_t n, uint8_t *out, size_t out_len),
	(prf, key, len, seed, n, out, out_len))
WRAP(PRF, int, ikec_sha1, (const struct ikec_iov *iov, int n, uint8_t out[20]), (iov, n, out))
WRAP(CIPHER, int, ikec_aead,
	(enum ike_encr encr, bool encrypt, const void *key, size_t key_len, const uint8_t iv[8], const void *aad,
		size_t aad_len, uint8_t *data, size_t len, uint8_t *tag),
	(encr, encrypt, key, key_len, iv, aad, aad_len, data, len, tag))

void __real_ikec_random(void *out, size_t len);
void __wrap_ikec_random(void *out, size_t len);
void __wrap_ikec_random(void *out, size_t len)
{
	uint64_t t = 0;
	bool m = measure_begin(&t);
	__real_ikec_random(out, len);
	if (m)
		measure_end(RANDOM, t);
}

#define CHUNK_HEAD 8 /* bytes that malloc puts before each block (glibc) */

static void count(void *p, int sign)
{
	if (p && hub.in_hub)
		hub.heap += sign * (int64_t)(malloc_usable_size(p) + CHUNK_HEAD);
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void __real_free(void *p);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);
void __wrap_free(void *p);

void *__wrap_malloc(size_t size)
{
	uint64_t t = 0;
	bool m = measure_begin(&t);
	void *p = __real_malloc(size);
	if (m)
		measure_end(HEAP, t);
	count(p, 1);
	return p;
}

void *__wrap_calloc(size_t n, size_t size)
{
	uint64_t t = 0;
	bool m = measure_begin(&t);
	void *p = __real_calloc(n, size);
	if (m)
		measure_end(HEAP, t);
	count(p, 1);
	return p;
}

void *__wrap_realloc(void *p, size_t size)
{
	count(p, -1);
	void *q = __real_realloc(p, size);
	count(q, 1);
	return q;
}

void __wrap_free(void *p)
{
	uint64_t t = 0;
	count(p, -1);
	bool m = measure_begin(&t);
	__real_free(p);
	if (m)
		measure_end(HEAP, t);
}

/* ---- what is done ---- */

#define DOUBT_MS 20 /* how long a spoke waits for a better answer when it is sent a cookie */
#define BURST 64u   /* sessions that are set up at once: as many as a loop finds waiting */

static void tweak(struct cv_config *c, unsigned node)
{
	(void)ike_proposal_lean(c);
	c->ike_profile->lifetime_s = 86400;
	c->half_open_max = 1000;
	c->cookie_threshold = 500;
	(void)node;
}

static void reset(bool split)
{
	int64_t heap = hub.heap;
	memset(&hub, 0, sizeof(hub));
	hub.heap = heap;
	hub.split = split;
}

static void establish(struct net *net, unsigned from, unsigned to)
{
	for (unsigned i = from; i < to; i += BURST) {
		for (unsigned k = i; k < to && k < i + BURST; k++)
			net_acquire(net, k, 0);
		net_deliver(net, UINT32_MAX);
		net->now += DOUBT_MS;
		net_run_due(net, i, to < i + BURST ? to : i + BURST);
		net_deliver(net, UINT32_MAX);
	}
	if (net->node[0].children != to - 1) {
		fprintf(stderr, "%u of %u sessions came up\n", net->node[0].children, to - 1);
		exit(1);
	}
}

/* Each spoke renews its only child; its number is that of its SPI index. */
static void rekey_children(struct net *net)
{
	for (unsigned i = 1; i < net->n; i++) {
		ike_child_expire(net->node[i].ike, net->node[i].next_index, false);
		if (i % BURST == 0)
			net_deliver(net, UINT32_MAX);
	}
	net_deliver(net, UINT32_MAX);
}

/* The lifetime of every IKE SA comes near its end; each spoke renews its own. */
static void rekey_sas(struct net *net)
{
	net->now += 86400ull * 900;
	for (unsigned i = 1; i < net->n; i++) {
		ike_run_timers(net->node[i].ike);
		if (i % BURST == 0)
			net_deliver(net, UINT32_MAX);
	}
	net_deliver(net, UINT32_MAX);
}

static uint64_t stat_of(struct ike *ike, const char *name)
{
	json_t *o = ike_show_stats(ike);
	uint64_t n = (uint64_t)json_integer_value(json_object_get(o, name));
	json_decref(o);
	return n;
}

static double show_s(struct net *net)
{
	struct timespec ts;
	double t = cpu_now(&ts);
	json_t *o = ike_show_sas(net->node[0].ike, 0);
	char *text = json_dumps(o, JSON_COMPACT);
	json_decref(o);
	free(text);
	return cpu_now(&ts) - t;
}

static void print_split(json_t *out, unsigned n)
{
	uint64_t rest = hub.tsc;
	json_t *o = json_object();
	printf("what a handshake of the hub goes to:\n");
	for (unsigned i = 0; i < CAUSES; i++) {
		printf("  %-22s%6.1f %%  %5.1f calls\n", cause_name[i], (double)hub.cause[i] * 100 / (double)hub.tsc,
			(double)hub.calls[i] / n);
		json_object_set_new(o, cause_name[i], json_real((double)hub.cause[i] / (double)hub.tsc));
		rest -= hub.cause[i];
	}
	printf("  %-22s%6.1f %%\n", "messages and tables", (double)rest * 100 / (double)hub.tsc);
	json_object_set_new(out, "share", o);
}

static json_t *run(unsigned sessions)
{
	json_t *out = json_object();
	unsigned half = sessions / 2;
	struct net *net = net_new(sessions + 1, CFG_IKEV2, tweak);
	net->span = span;
	int64_t before = hub.heap;
	establish(net, 1, half + 1);
	double per = hub.cpu_s / half;
	printf("IKEv2, preshared key, Curve25519, AES-128-GCM, SHA-256; %u sessions\n", sessions);
	printf("handshakes per CPU second of the hub %8.0f\n", 1 / per);
	printf("CPU per handshake, us                %8.1f\n", per * 1e6);
	reset(true);
	establish(net, half + 1, sessions + 1);
	print_split(out, sessions - half);
	double heap = (double)(hub.heap - before) / sessions;
	printf("heap of the engine per session, bytes %7.0f\n", heap);
	printf("its vault record, bytes              %8zu\n", net->node[0].record);
	reset(false);
	double show = show_s(net);
	rekey_children(net);
	double child = hub.cpu_s;
	uint64_t children = stat_of(net->node[0].ike, "child_rekeyed");
	reset(false);
	rekey_sas(net);
	uint64_t sas = stat_of(net->node[0].ike, "sa_rekeyed");
	printf("show of all sessions, s              %8.3f\n", show);
	printf("children rekeyed %6llu, us each     %8.1f\n", (unsigned long long)children, child / sessions * 1e6);
	printf("IKE SAs rekeyed  %6llu, us each     %8.1f\n", (unsigned long long)sas, hub.cpu_s / sessions * 1e6);
	json_object_set_new(out, "sessions", json_integer(sessions));
	json_object_set_new(out, "handshakes_per_cpu_second", json_real(1 / per));
	json_object_set_new(out, "heap_per_session", json_real(heap));
	json_object_set_new(out, "vault_record", json_integer((json_int_t)net->node[0].record));
	json_object_set_new(out, "show_s", json_real(show));
	json_object_set_new(out, "child_rekey_us", json_real(child / sessions * 1e6));
	json_object_set_new(out, "ike_rekey_us", json_real(hub.cpu_s / sessions * 1e6));
	int bad = children != sessions || sas < sessions;
	reset(false);
	net_free(net);
	if (bad) {
		fprintf(stderr, "not everything was rekeyed\n");
		exit(1);
	}
	return out;
}

int main(int argc, char **argv)
{
	const char *json = NULL;
	unsigned sessions = 10000;
	for (int i = 1; i < argc; i++)
		if (!strcmp(argv[i], "--json") && i + 1 < argc)
			json = argv[++i];
		else
			sessions = (unsigned)atoi(argv[i]);
	if (sessions < 2 || sessions > 60000) {
		fprintf(stderr, "usage: bench_handshake [--json FILE] [SESSIONS, 2 to 60000]\n");
		return 2;
	}
	json_t *out = run(sessions);
	int err = json ? json_dump_file(out, json, JSON_INDENT(1) | JSON_SORT_KEYS) : 0;
	json_decref(out);
	return err != 0;
}
