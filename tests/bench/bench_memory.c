/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory of culvert-dataplane: the program itself, over its channel, with a million IPv4 routes and 100,000 SA pairs,
 * each with a rule of its own, and what they add to its resident set. Without hugepages, so that the kernel counts all
 * of it: tables, keys, counters, packet buffers. Issue 5 wants them in 4 GiB, and 2 KiB per pair beside its keys.
 *
 *   bench_memory DATAPLANE [--routes N] [--pairs N] [--memory MB] [--json FILE]
 *
 * Route lengths are about those of the Internet's table: 3 of 5 are /24, a hundredth is longer. One thread.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "algo.h"
#include "cv_addr.h"
#include "cv_chan.h"
#include "cv_secret.h"

#define LIMIT_MB 4096.0
#define GIVE_UP_S 300
#define AT_ONCE 4096u /* objects of one transaction */
#define WINDOW 512u   /* commands without an answer */

static struct {
	char dir[64], path[96];
	pid_t pid;
	struct cv_chan *ch;
	uint64_t seq, answered;
} b;

static void __attribute__((noreturn)) die(const char *what)
{
	(void)fprintf(stderr, "bench_memory: %s\n", what);
	exit(1);
}

static void cleanup(void)
{
	if (b.pid > 0) {
		(void)kill(b.pid, SIGKILL);
		(void)waitpid(b.pid, NULL, 0);
	}
	(void)unlink(b.path);
	(void)rmdir(b.dir);
}

static void on_signal(int sig)
{
	exit(128 + sig);
}

static double now_s(void)
{
	struct timespec ts;
	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void nap(void)
{
	(void)nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
}

/* Megabytes of the dataplane, by the name that /proc/PID/status has for them. */
static double memory_mb(const char *what)
{
	char path[64], line[128];
	unsigned long kb = 0;
	(void)snprintf(path, sizeof(path), "/proc/%d/status", (int)b.pid);
	FILE *f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, what, strlen(what)))
			kb = strtoul(line + strlen(what) + 1, NULL, 10);
	if (f)
		(void)fclose(f);
	if (!kb)
		die("the dataplane has gone");
	return (double)kb / 1024;
}

static void answers(uint64_t until)
{
	struct cv_msg m;
	const double give_up = now_s() + GIVE_UP_S;
	while (b.answered < until) {
		if (cv_chan_recv(b.ch, &m) != 1) {
			if (now_s() > give_up || waitpid(b.pid, NULL, WNOHANG) != 0)
				die("no answer from the dataplane");
			nap();
			continue;
		}
		struct cv_reply r;
		if (m.h.type != CV_REPLY)
			continue;
		memcpy(&r, m.body, sizeof(r));
		if (r.err) {
			(void)fprintf(stderr, "bench_memory: command %u: error %u %s\n", r.cmd, r.err, r.text);
			exit(1);
		}
		b.answered = m.h.seq;
	}
}

static void command(enum cv_msg_type type, const void *body, size_t len)
{
	struct cv_msg m = {.h = {.type = (uint16_t)type, .len = (uint32_t)(sizeof(m.h) + len), .seq = ++b.seq}};
	if (len)
		memcpy(m.body, body, len);
	if (cv_chan_send(b.ch, &m))
		die("the channel is full");
	cv_secret_zero(&m, sizeof(m));
	if (b.seq > WINDOW)
		answers(b.seq - WINDOW);
}

/* Around each object k of n: those of AT_ONCE are one transaction. */
static void begin(uint32_t k)
{
	const struct cv_cmd_txn t = {0};
	if (k % AT_ONCE == 0)
		command(CV_CMD_TXN_BEGIN, &t, sizeof(t));
}

static void commit(uint32_t k, uint32_t n)
{
	if (k % AT_ONCE == AT_ONCE - 1 || k == n - 1)
		command(CV_CMD_TXN_COMMIT, NULL, 0);
}

static struct cv_addr ip4(uint32_t a)
{
	return (struct cv_addr){
		.af = CV_AF_INET, .b = {(uint8_t)(a >> 24), (uint8_t)(a >> 16), (uint8_t)(a >> 8), (uint8_t)a}};
}

static void network(void)
{
	struct cv_port port = {.port_id = 0, .name = "null0", .devargs = "net_null0"};
	struct cv_if ifc = {
		.if_id = 1, .type = CV_IF_ETHERNET, .port_id = 0, .mtu = 1500, .admin_up = 1, .name = "null0"};
	const struct cv_if_addr a = {.if_id = 1, .addr = ip4(0xc0a80001), .plen = 16};
	const struct cv_spd spd = {.spd_id = 1, .n_if = 1, .if_id = {1}};
	command(CV_CMD_PORT_ATTACH, &port, sizeof(port));
	command(CV_CMD_IF_SET, &ifc, sizeof(ifc));
	command(CV_CMD_IF_ADDR_ADD, &a, sizeof(a));
	command(CV_CMD_SPD_SET, &spd, sizeof(spd));
	answers(b.seq);
}

/* A number that looks random and is another one for every k (a multiplication by an odd number has an inverse). */
static uint32_t scatter(uint32_t k)
{
	return k * 2654435761u;
}

/* Three fifths /24, the rest /16 to /23, a hundredth /25 to /32: each prefix once. */
static void route(uint32_t k)
{
	const uint32_t r = scatter(k);
	const uint8_t len = k % 100 == 0 ? (uint8_t)(25 + k / 100 % 8) : k % 5 < 3 ? 24 : (uint8_t)(16 + k / 5 % 8);
	struct cv_route c = {.vrf_id = CV_VRF_GLOBAL, .prefix = {.addr = ip4(r), .len = len}, .distance = 1, .n_nh = 1};
	c.nh[0] = (struct cv_nexthop){.type = CV_NH_GATEWAY, .weight = 1, .if_id = 1, .gw = ip4(0xc0a80100 + k % 256)};
	cv_prefix_mask(&c.prefix);
	command(CV_CMD_ROUTE_SET, &c, sizeof(c));
}

/* Pair k: a rule 10.x.y.z -> 172.16/12 of its own, and an AES-128-GCM SA in each direction, as IKE makes them. */
static void pair(uint32_t k)
{
	struct cv_spd_rule rule = {.spd_id = 1,
		.rule_id = k + 1,
		.prio = 1ull << 32 | (k + 1),
		.action = CV_SPD_PROTECT,
		.vrf_id = CV_VRF_ANY};
	cv_selector_any(&rule.sel, CV_AF_INET);
	rule.sel.src.lo = rule.sel.src.hi = ip4(0x0a000000 + k);
	rule.sel.dst.lo = ip4(0xac100000), rule.sel.dst.hi = ip4(0xac1fffff);
	command(CV_CMD_SPD_RULE_SET, &rule, sizeof(rule));
	for (int in = 0; in < 2; in++) {
		struct cv_sa sa = {.index = k + 1 + (in ? 0 : CV_SA_MAX / 2),
			.spi = 1u << CV_SA_INDEX_BITS | (k + 1),
			.dir = in ? CV_SA_IN : CV_SA_OUT,
			.mode = CV_SA_TUNNEL,
			.ipproto = 50,
			.encr = CV_ENCR_AES128_GCM16,
			.replay_window = in ? 1024 : 0,
			.rule_id = k + 1,
			.pair_index = k + 1 + (in ? CV_SA_MAX / 2 : 0),
			.src = ip4(in ? 0xc0a80100 + k % 4096 : 0xc0a80001),
			.dst = ip4(in ? 0xc0a80001 : 0xc0a80100 + k % 4096),
			.n_sel = 1,
			.soft_bytes = 1ull << 40,
			.hard_bytes = 1ull << 41,
			.key_len = algo_key_len(CV_ENCR_AES128_GCM16, CV_INTEG_NONE)};
		sa.sel[0] = rule.sel;
		memset(sa.key, (int)(k & 0xff), sa.key_len); /* a bench key */
		command(CV_CMD_SA_ADD, &sa, sizeof(sa));
		cv_secret_zero(&sa, sizeof(sa));
	}
}

/* n objects; what they added, in megabytes. */
static double add(const char *what, uint32_t n, void (*one)(uint32_t))
{
	const double before = memory_mb("VmRSS:"), start = now_s();
	for (uint32_t k = 0; k < n; k++) {
		begin(k);
		one(k);
		commit(k, n);
	}
	answers(b.seq);
	const double grown = memory_mb("VmRSS:") - before, took = now_s() - start;
	(void)printf("%-10s %9u %9.1f MB %9.0f bytes each %9.0f /s\n", what, n, grown,
		n ? grown * 1024 * 1024 / n : 0.0, n / took);
	(void)fflush(stdout);
	return grown;
}

static void start(const char *dataplane, const char *mb)
{
	char sock[120], template[] = "/tmp/bench-memory-XXXXXX";
	int vault = -1, rc;
	if (!mkdtemp(template))
		die("cannot make a directory");
	(void)snprintf(b.dir, sizeof(b.dir), "%s", template);
	(void)snprintf(b.path, sizeof(b.path), "%s/dp.sock", b.dir);
	(void)snprintf(sock, sizeof(sock), "%s", b.path);
	if (atexit(cleanup) || (b.pid = fork()) < 0)
		die("cannot start a process");
	if (b.pid == 0) {
		(void)execl(dataplane, dataplane, "--socket", sock, "--no-huge", "--memory", mb, "--lcores", "0,0",
			(char *)NULL);
		_exit(127);
	}
	const double give_up = now_s() + GIVE_UP_S;
	while ((rc = cv_chan_connect(b.path, -1, &b.ch, &vault)) != 0) {
		if (now_s() > give_up || waitpid(b.pid, NULL, WNOHANG) != 0)
			die("the dataplane did not start");
		nap();
	}
	const struct cv_cmd_hello h = {0};
	command(CV_CMD_HELLO, &h, sizeof(h));
	answers(b.seq);
}

static uint32_t number(const char *text, uint32_t max)
{
	char *end = NULL;
	unsigned long v = strtoul(text, &end, 10);
	if (*end || v < 1 || v > max)
		die("a number is too large, or is none");
	return (uint32_t)v;
}

int main(int argc, char **argv)
{
	uint32_t routes = 1000000, pairs = 100000;
	const char *mb = "2048", *json = NULL;
	if (argc < 2 || argc % 2)
		die("usage: bench_memory DATAPLANE [--routes N] [--pairs N] [--memory MB] [--json FILE]");
	for (int i = 2; i < argc; i += 2) {
		if (!strcmp(argv[i], "--routes"))
			routes = number(argv[i + 1], 4000000);
		else if (!strcmp(argv[i], "--pairs"))
			pairs = number(argv[i + 1], CV_SA_MAX / 2 - 2);
		else if (!strcmp(argv[i], "--memory"))
			mb = argv[i + 1];
		else if (!strcmp(argv[i], "--json"))
			json = argv[i + 1];
		else
			die("unknown option");
	}
	(void)signal(SIGINT, on_signal);
	(void)signal(SIGTERM, on_signal);
	start(argv[1], mb);
	network();
	const double empty = memory_mb("VmRSS:");
	(void)printf("%-10s %9s %9.1f MB\n", "empty", "", empty);
	const double by_routes = add("routes", routes, route), by_pairs = add("SA pairs", pairs, pair);
	const double most = memory_mb("VmHWM:");
	(void)printf("%-10s %9s %9.1f MB of %.0f: %s\n", "most", "", most, LIMIT_MB,
		most <= LIMIT_MB ? "fits" : "does not fit");
	FILE *f = json ? fopen(json, "we") : NULL;
	if (json && (!f ||
			    fprintf(f,
				    "{\"routes\": %u, \"pairs\": %u, \"empty_mb\": %.1f, \"routes_mb\": %.1f, "
				    "\"pairs_mb\": %.1f, \"most_mb\": %.1f, \"limit_mb\": %.0f}\n",
				    routes, pairs, empty, by_routes, by_pairs, most, LIMIT_MB) < 0 ||
			    fclose(f)))
		die("cannot write the results");
	cv_chan_close(b.ch);
	return most <= LIMIT_MB ? 0 : 1;
}
