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
#include "pipeline.h"
#include "tx.h"

#define CHANGE_EVERY 1024u /* packets: at 10 million packets a second some 10,000 changes a second */
#define RUNS 60		   /* the fastest of these counts, vector by vector */
#define WINDOW 1024u	   /* of replay */

enum way { PLAIN, OUT, IN, N_WAYS };
static const char *const way_name[] = {"plain", "esp-out", "esp-in"};

static uint32_t vector = 64;
static unsigned runs = RUNS;
static enum suite suite = SUITE_GCM;
static const char *only_way, *only_size; /* NULL: all */
static uint32_t only_sas;		 /* 0: 1, 1000 and 10000 */
static uint32_t only_rules;		 /* rules in front of those that the traffic matches */
static uint32_t n_lines;		 /* of the access lists on both interfaces; 0: there are none */
static uint32_t n_workers;		 /* that poll devices; 0: no devices */
static const char *save_path;		 /* where frames go instead of being measured */
static bool quick, count_only, hugepages, changes;

/* ---- measuring ---- */

static void fill_mbuf(struct rte_mbuf *m, const void *data, uint16_t len)
{
	char *d = rte_pktmbuf_append(m, len);
	if (!d)
		die("frame too long");
	memcpy(d, data, len);
}

struct result {
	double total; /* cycles per packet, without making frames and without the device's transmit */
	double floor; /* of the same traffic; 0: none */
	double stage[STAGE_COUNT];
};

/* The cycles of one vector, by stage; kept when they are the fewest that this vector took in any run. */
static void keep_fastest(struct result *best, uint64_t cycles)
{
	const struct cv_stage_counters *st = the_worker->stats->stage;
	double total = (double)(cycles - st[STAGE_TX].cycles);
	if (best->total > 0 && best->total <= total)
		return;
	best->total = total;
	for (int s = 0; s < STAGE_COUNT; s++)
		best->stage[s] = (double)st[s].cycles;
}

/* What is measured. A function of its own, by whose name tests/bench/instructions counts what is inside. */
__rte_noinline void bench_measured(uint32_t port, struct rte_mbuf **pkts);
__rte_noinline void bench_measured(uint32_t port, struct rte_mbuf **pkts)
{
	ether_input(the_worker, port, pkts, vector);
	tx_flush(the_worker);
}

/* All frames once, vector by vector. */
static void one_round(uint32_t port, struct result *best)
{
	for (uint32_t i = 0; i < n_frames; i += vector) {
		struct rte_mbuf *pkts[DP_VEC];
		if (rte_pktmbuf_alloc_bulk(dp_pool(), pkts, vector))
			die("no buffers");
		for (uint32_t k = 0; k < vector; k++)
			fill_mbuf(pkts[k], frame[i + k].data, frame[i + k].len);
		if (changes && i % CHANGE_EVERY == 0)
			unrelated_change();
		memset(the_worker->stats->stage, 0, sizeof(the_worker->stats->stage));
		uint64_t t = rte_rdtsc();
		bench_measured(port, pkts);
		keep_fastest(&best[i / vector], rte_rdtsc() - t);
	}
}

/*
 * Every vector of a round has its own frames, SAs and cache misses, but is never the same twice where the machine is
 * shared: the fastest of several runs is taken for each vector, and the vectors are summed. Floor and pipeline take
 * turns, so that both see the same weather.
 */
static struct result measure(uint32_t port, uint32_t n_sa, struct floor *f)
{
	static struct result best[FRAMES_MAX];
	struct result sum = {0};
	memset(best, 0, sizeof(best));
	for (unsigned run = 0; run < runs; run++) {
		uint64_t sent = the_worker->stats->tx_packets;
		windows_reset(n_sa);
		one_round(port, best);
		if (the_worker->stats->tx_packets - sent != n_frames)
			die("packets were lost in the pipeline: the figures would be worthless");
		if (f)
			floor_round(f);
	}
	for (uint32_t v = 0; v < n_frames / vector; v++) {
		sum.total += best[v].total / n_frames;
		for (int s = 0; s < STAGE_COUNT; s++)
			sum.stage[s] += best[v].stage[s] / n_frames;
	}
	sum.floor = f ? floor_end(f) : 0;
	return sum;
}

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
		if (r->stage[s] >= 0.05 && s != STAGE_TX)
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
	struct floor *f = way == PLAIN ? NULL : floor_make(suite, t, way == OUT, n_sa, vector);
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
	static struct result best[FRAMES_MAX];
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
	one_round(way == IN ? WAN : LAN, best);
	if (the_worker->stats->tx_packets != n_frames)
		die("packets were lost in the pipeline: the figures would be worthless");
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
	"  --lists N                   access lists of N lines in and out on both interfaces; default none\n"
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
			runs = RUNS / 3;
		} else if (!strcmp(a, "--count")) {
			count_only = true;
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
			else if (!strcmp(a, "--lists"))
				n_lines = number(value, RULES_MAX - 1);
			else if (!strcmp(a, "--rules"))
				only_rules = number(value, RULES_MAX);
			else
				one_of(a, NULL, 0);
		}
	}
	if (FRAMES_USUAL % vector)
		die("the vector must divide 16384");
	if (n_workers || save_path) /* as few as the peers can hold: all stay in the cache */
		n_frames = only_sas > 1024 ? only_sas : 1024;
	return path;
}

static void start(void)
{
	eal_start();
	if (dp_frame_init(&(struct frame_conf){.n_workers = n_workers, .n_mbufs = n_workers ? 32768 : 2048}) ||
		neigh_init() || fib_init(1u << 14) || ipsec_init())
		die("initialisation");
	the_worker = worker_main();
	the_worker->tx = tx_worker_create(0, SOCKET_ID_ANY);
	the_worker->ipsec = ipsec_worker_create(0, SOCKET_ID_ANY);
	mgr = alloc_mb_mgr(0);
	the_worker->fast = fast_worker_create(FAST_FLOWS_MAX, SOCKET_ID_ANY);
	if (!the_worker->tx || !the_worker->ipsec || !the_worker->fast || !mgr)
		die("initialisation");
	init_mb_mgr_auto(mgr, NULL);
	dp_clock_update();
	port_make(LAN, "net_null0");
	port_make(WAN, "net_null1");
	network(n_lines);
	if (n_workers)
		device_start(n_workers);
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
	run_all();
	if (json && (fprintf(json, "\n]}\n") < 0 || fclose(json)))
		die("cannot write the results");
	frames_free();
	return 0;
}
