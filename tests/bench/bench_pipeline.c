/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Cycles per packet of the pipeline, in one process: frames made in memory, from ether_input to the transmit buffers,
 * for plain forwarding, ESP out and ESP in. Everything is compared with what was measured in the same run, turn by
 * turn: "floor" is what the bare crypto library takes for data of the same size. Making the frames and the null
 * device's transmit are not part of the figures, unless they are wanted (bench_device.h). usage() says how it is told
 * what to do.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_ethdev.h>

#include "bench_device.h"
#include "bench_world.h"
#include "fast.h"
#include "fib.h"
#include "ipsec.h"
#include "neigh.h"
#include "slow.h"
#include "tx.h"

#define WINDOW 1024u /* of replay */
#define ROUTES_MAX 1000000u
#define COUNTED 2048u /* frames, where all do the same */

enum way { PLAIN, OUT, IN, N_WAYS };
static const char *const way_name[] = {"plain", "esp-out", "esp-in"};

static enum suite suite = SUITE_GCM;
static const char *only_way, *only_size; /* NULL: all */
static uint32_t only_sas;		 /* 0: 1, 1000 and 10000 */
static uint32_t only_rules;		 /* rules in front of those that the traffic matches */
static uint32_t n_workers;		 /* that poll devices; 0: no devices */
static const char *save_path;		 /* where frames go instead of being measured */
static bool quick, count_only, features, hugepages;
static struct feature feature; /* what is configured */

/* ---- report ---- */

static FILE *json;
static bool json_first = true;

static const char *const stage_names[] = {
#define X(sym, name) name,
	STAGES(X)
#undef X
};

static void head(void)
{
	printf("%-8s %6s %6s %6s %8s %8s %8s %7s %7s  cycles by stage\n", "way", "SAs", "rules", "size", "cycles",
		"floor", "overhead", "x floor", "x plain");
}

static void report_json(
	enum way way, enum traffic t, uint32_t n_sa, uint32_t n_rules, const struct result *r, double plain)
{
	fprintf(json,
		"%s\n  {\"way\": \"%s\", \"suite\": \"%s\", \"sas\": %u, \"rules\": %u, \"traffic\": \"%s\", "
		"\"workers\": %u, \"cycles\": %.2f, \"plain\": %.2f",
		json_first ? "" : ",", way_name[way], suite_name[suite], n_sa, n_rules, traffic_name[t], n_workers,
		r->total, plain);
	json_first = false;
	if (r->profiled > 0)
		fprintf(json, ", \"profiled\": %.2f", r->profiled);
	if (r->floor > 0)
		fprintf(json, ", \"floor\": %.2f, \"overhead\": %.2f, \"ratio_floor\": %.3f", r->floor,
			r->total - r->floor, r->total / r->floor);
	fprintf(json, ", \"stages\": {");
	for (int s = 0, first = 1; s < STAGE_COUNT; s++)
		if (r->stage[s] >= 0.05) {
			fprintf(json, "%s\"%s\": %.2f", first ? "" : ", ", stage_names[s], r->stage[s]);
			first = 0;
		}
	fprintf(json, "}}");
}

static void report(enum way way, enum traffic t, uint32_t n_sa, uint32_t n_rules, const struct result *r, double plain)
{
	printf("%-8s %6u %6u %6s %8.1f", way_name[way], n_sa, n_rules, traffic_name[t], r->total);
	if (r->floor <= 0)
		printf(" %8s %8s %7s %7s ", "-", "-", "-", way == PLAIN ? "1.00" : "-");
	else
		printf(" %8.1f %8.1f %7.2f %7.2f ", r->floor, r->total - r->floor, r->total / r->floor,
			r->total / plain);
	for (int s = 0; s < STAGE_COUNT; s++)
		if (r->stage[s] >= 0.05)
			printf(" %s %.1f", stage_names[s], r->stage[s]);
	printf("\n");
	fflush(stdout);
	if (json)
		report_json(way, t, n_sa, n_rules, r, plain);
}

static bool wanted(enum way way, enum traffic t)
{
	return (!only_way || !strcmp(only_way, way_name[way])) && (!only_size || !strcmp(only_size, traffic_name[t]));
}

static struct result measure_one(enum way way, enum traffic t, uint32_t n_sa)
{
	if (way == IN)
		frames_esp(suite, t, n_sa);
	else
		frames_clear(t, n_sa ? n_sa : 1);
	if (n_workers)
		return (struct result){.total = device_measure(way == IN ? WAN : LAN, n_sa, runs / 3)};
	struct floor *f = way == PLAIN ? NULL : floor_make(suite, t, way == OUT, n_sa);
	return measure(way == IN ? WAN : LAN, n_sa, f);
}

static void run_tunnels(uint32_t n_sa, uint32_t idle, const double *plain)
{
	const uint32_t usual = n_frames;
	if (n_sa > n_frames)
		n_frames = n_sa <= FRAMES_USUAL ? FRAMES_USUAL : FRAMES_MAX;
	tunnels(suite, n_sa, idle, n_workers ? 0 : WINDOW); /* what a device repeats would be dropped */
	for (int t = 0; t < N_TRAFFIC; t++)
		for (int way = OUT; way <= IN; way++) {
			if (!wanted((enum way)way, (enum traffic)t) || (quick && t == TIMIX))
				continue;
			struct result r = measure_one((enum way)way, (enum traffic)t, n_sa);
			report((enum way)way, (enum traffic)t, n_sa, n_sa + idle, &r, plain[t]);
		}
	frames_free();
	n_frames = usual;
}

static void run_plain(double *plain)
{
	for (int t = 0; t < N_TRAFFIC; t++) {
		if ((only_size && strcmp(only_size, traffic_name[t])) || (n_workers && !wanted(PLAIN, (enum traffic)t)))
			continue;
		tunnels(suite, 0, 0, WINDOW);
		struct result r = measure_one(PLAIN, (enum traffic)t, 0);
		plain[t] = r.total;
		if (wanted(PLAIN, (enum traffic)t))
			report(PLAIN, (enum traffic)t, 0, 0, &r, plain[t]);
	}
}

static void run_all(void)
{
	double plain[N_TRAFFIC] = {0};
	head();
	run_plain(plain);
	if (only_way && !strcmp(only_way, way_name[PLAIN]))
		return;
	if (only_sas || only_rules) {
		uint32_t n_sa = only_sas ? only_sas : 1;
		run_tunnels(n_sa, only_rules > n_sa ? only_rules - n_sa : 0, plain);
		return;
	}
	run_tunnels(1, 0, plain);
	if (!quick)
		run_tunnels(1, 9999, plain);
	run_tunnels(1000, 0, plain);
	if (quick)
		return;
	run_tunnels(10000, 0, plain);
	if (!n_workers)
		run_tunnels(SAS_MAX, 0, plain);
}

/* For tests/bench/instructions: one way, one size, no clock. */
static int index_of(const char *name, const char *const *names, int n)
{
	int i = 0;
	while (i < n && strcmp(name, names[i]))
		i++;
	return i;
}

/* One way, one size, no clock: for tests/bench/instructions, or to save the frames. */
static void run_counted(void)
{
	const uint32_t n_sa = only_sas ? only_sas : 1;
	const enum way way = only_way ? (enum way)index_of(only_way, way_name, N_WAYS) : PLAIN;
	const enum traffic t = only_size ? (enum traffic)index_of(only_size, traffic_name, N_TRAFFIC) : T64;
	if (way == IN)
		frames_esp(suite, t, n_sa);
	else
		frames_clear(t, n_sa);
	if (save_path) {
		frames_save(save_path);
		return;
	}
	tunnels(suite, way == PLAIN ? 0 : n_sa, 0, WINDOW);
	measure_warm_up(way == IN ? WAN : LAN); /* what a flow's first packet costs is not counted */
	windows_reset(n_sa);
	measure_nothing(way == IN ? WAN : LAN);
	printf("packets %u\n", n_frames);
}

static unsigned huge_free(void)
{
	unsigned n = 0;
	FILE *f = fopen("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "re");
	if (f) {
		if (fscanf(f, "%u", &n) != 1)
			n = 0;
		fclose(f);
	}
	return n;
}

/* Hugepages where there are enough, as the product does; but valgrind cannot map them. Workers run on the last CPUs,
 * and main, which then only waits, on the first. */
static void eal_start(void)
{
	static char prefix[40], mem[16], lcores[64] = "--lcores=0";
	const unsigned mb = only_sas > FRAMES_USUAL || (!only_sas && !quick && !n_workers) ? 1536 : 256;
	const long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	hugepages = !count_only && huge_free() >= mb / 2 + 16;
	snprintf(prefix, sizeof(prefix), "--file-prefix=bench%d", (int)getpid());
	snprintf(mem, sizeof(mem), "-m%u", hugepages ? mb : mb + 256);
	for (uint32_t i = 1; i <= n_workers; i++)
		snprintf(lcores + strlen(lcores), sizeof(lcores) - strlen(lcores), "%s,%u@%ld", i == 1 ? "@0" : "", i,
			(cpus - i) % cpus);
	char *args[] = {(char *)"bench", (char *)"--no-pci", (char *)"--no-telemetry", (char *)"--log-level=*:error",
		lcores, (char *)"--vdev=net_null0", (char *)"--vdev=net_null1", prefix, mem,
		hugepages ? (char *)"--in-memory" : (char *)"--no-huge", (char *)"--no-shconf"};
	if (rte_eal_init(hugepages ? 10 : 11, args) < 0)
		die("EAL");
}

static const char usage[] =
	"bench_pipeline: cycles per packet of Culvert's pipeline, in one process on one core.\n"
	"Run it on a CPU of its own: taskset -c 1 bench_pipeline\n"
	"\n"
	"  --way plain|esp-out|esp-in  only this; esp-in checks sequence numbers (window 1024)\n"
	"  --size 64|imix|1420         only this: 64-byte frames, 7:4:1 of 64, 570 and 1518, 1420-byte packets\n"
	"  --sas N                     this many SA pairs (up to 100000), each with a rule and one flow; default 1, "
	"1000,\n"
	"                              10000 and 100000\n"
	"  --suite aes-gcm|aes-cbc-sha256|chacha20   how packets are protected; default aes-gcm\n"
	"  --workers N                 through devices, receiving and sending counted: this many workers (1 or 2), "
	"each with\n"
	"                              a net_pcap device; sequence numbers are not checked then\n"
	"  --save FILE                 only write the frames that --way, --size, --sas say to a capture file\n"
	"  --rules N                   this many rules (up to 20000); those of the SAs come last; default 1 and 10000\n"
	"  --feature NAME              with this configured: acl-1, acl-100, inspect, nat, police, priority, vti, gre, "
	"ipip,\n"
	"                              gre-ipsec (not inbound), nat-t, ipv6, esp-ipv6\n"
	"  --routes N                  so many routes (up to 1000000), which the traffic visits evenly; behind "
	"--feature\n"
	"  --features                  only a table of what each of them costs, beside the same without it\n"
	"  --vector N                  packets that come in at once, up to 256; default 64\n"
	"  --runs N                    how often each vector is timed, the fastest time counts; default 60\n"
	"  --quick                     fewer runs, without IMIX and without 10000 SAs or rules\n"
	"  --changes                   while rules, routes and SAs come and go that the traffic has nothing to do "
	"with,\n"
	"                              one of them every 1024 packets\n"
	"  --json FILE                 also write the results there\n"
	"  --count                     no clock: send one round through bench_measured(), for an instruction counter\n"
	"  --help                      this\n"
	"\n"
	"cycles    TSC cycles per packet from ether_input to the transmit buffers: no device, no copying of frames\n"
	"floor     the bare calls of intel-ipsec-mb, one-shot or by its job manager: same sizes and number of keys, "
	"same run\n"
	"overhead  cycles - floor: headers, routing, policy, SA, counters, memory\n"
	"plain     forwarding of the same packets without IPsec\n"
	"stages    what each stage takes of it by itself; crypto is the provider's call inside the pipeline\n";

static uint32_t number(const char *text, uint32_t max)
{
	char *end;
	unsigned long v = strtoul(text, &end, 10);
	if (*end || v < 1 || v > max) {
		fprintf(stderr, "bench_pipeline: %s: a number from 1 to %u is wanted\n", text, max);
		exit(2);
	}
	return (uint32_t)v;
}

static const char *one_of(const char *text, const char *const *names, int n)
{
	for (int i = 0; i < n; i++)
		if (!strcmp(text, names[i]))
			return text;
	fprintf(stderr, "bench_pipeline: %s: not known here; --help says what is\n", text);
	exit(2);
}

/* The path of the JSON file, NULL for none. */
static const char *arguments(int argc, char **argv)
{
	const char *path = NULL;
	for (int i = 1; i < argc; i++) {
		const char *a = argv[i], *value = i + 1 < argc ? argv[i + 1] : NULL;
		if (!strcmp(a, "--help") || !strcmp(a, "-h")) {
			fputs(usage, stdout);
			exit(0);
		} else if (!strcmp(a, "--quick")) {
			quick = true;
			runs /= 3;
		} else if (!strcmp(a, "--count")) {
			count_only = true;
		} else if (!strcmp(a, "--features")) {
			features = true;
		} else if (!strcmp(a, "--changes")) {
			changes = true;
		} else if (!value) {
			one_of(a, NULL, 0);
		} else {
			i++;
			if (!strcmp(a, "--json"))
				path = value;
			else if (!strcmp(a, "--vector"))
				vector = number(value, DP_VEC);
			else if (!strcmp(a, "--runs"))
				runs = number(value, 100000);
			else if (!strcmp(a, "--way"))
				only_way = one_of(value, way_name, N_WAYS);
			else if (!strcmp(a, "--size"))
				only_size = one_of(value, traffic_name, N_TRAFFIC);
			else if (!strcmp(a, "--sas"))
				only_sas = number(value, SAS_MAX);
			else if (!strcmp(a, "--workers"))
				n_workers = number(value, 2);
			else if (!strcmp(a, "--suite"))
				suite = (enum suite)index_of(one_of(value, suite_name, N_SUITES), suite_name, N_SUITES);
			else if (!strcmp(a, "--save"))
				save_path = value;
			else if (!strcmp(a, "--feature"))
				feature = *feature_named(value);
			else if (!strcmp(a, "--routes"))
				feature.routes = number(value, ROUTES_MAX);
			else if (!strcmp(a, "--rules"))
				only_rules = number(value, RULES_MAX);
			else
				one_of(a, NULL, 0);
		}
	}
	if (FRAMES_USUAL % vector)
		die("the vector must divide 16384");
	if (count_only && only_sas <= 1)
		n_frames = COUNTED;
	if (n_workers || save_path) /* as few as the peers can hold: all stay in the cache */
		n_frames = only_sas > 1024 ? only_sas : 1024;
	return path;
}

static void start(void)
{
	eal_start();
	/* without devices this thread is worker 1, whose loop does not run: main is no worker to the SAs (sa_owner.h)
	 */
	const uint32_t n = n_workers ? n_workers : 1;
	if (dp_frame_init(&(struct frame_conf){.n_workers = n, .n_mbufs = n_workers ? 32768 : 2048}) || neigh_init() ||
		fib_init(1u << 14) || ipsec_init() || slow_init())
		die("initialisation");
	for (uint32_t i = 0; i <= (n_workers ? 0 : n); i++) {
		dp_workers[i]->tx = tx_worker_create(i, SOCKET_ID_ANY);
		dp_workers[i]->ipsec = ipsec_worker_create(i, SOCKET_ID_ANY);
		if (!dp_workers[i]->tx || !dp_workers[i]->ipsec)
			die("initialisation");
	}
	the_worker = dp_workers[n_workers ? WORKER_MAIN : 1];
	mgr = alloc_mb_mgr(0);
	the_worker->fast = fast_worker_create(FAST_FLOWS_MAX, SOCKET_ID_ANY);
	if (!the_worker->fast || !mgr)
		die("initialisation");
	init_mb_mgr_auto(mgr, NULL);
	dp_clock_update();
	port_make(LAN, "net_null0");
	port_make(WAN, "net_null1");
	network(&feature);
	if (n_workers)
		device_start(n_workers);
	else
		ports_keep_frames();
}

int main(int argc, char **argv)
{
	const char *path = arguments(argc, argv);
	start();
	if (count_only || save_path) {
		run_counted();
		frames_free();
		return 0;
	}
	printf("provider %s, TSC %.0f MHz, vector %u, hugepages %s; TSC cycles per packet, fastest of %u runs by "
	       "vector\n",
		ipsec_crypto()->describe(), (double)rte_get_tsc_hz() / 1e6, vector, hugepages ? "yes" : "no", runs);
	if (path && !(json = fopen(path, "we")))
		die(path);
	if (json)
		fprintf(json,
			"{\"provider\": \"%s\", \"tsc_hz\": %lu, \"vector\": %u, \"runs\": %u, \"hugepages\": %s, "
			"\"results\": [",
			ipsec_crypto()->describe(), (unsigned long)rte_get_tsc_hz(), vector, runs,
			hugepages ? "true" : "false");
	if (features)
		features_run(suite, only_size, json);
	else
		run_all();
	if (json && (fprintf(json, "\n]}\n") < 0 || fclose(json)))
		die("cannot write the results");
	frames_free();
	return 0;
}
