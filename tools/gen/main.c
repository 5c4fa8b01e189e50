/* SPDX-License-Identifier: BSD-3-Clause */
#include "measure.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_errno.h>

static const char usage[] =
	"usage: culvert-gen [options]\n"
	"\n"
	"Drive a running culvert-dataplane over two memif ports and find the highest rate it forwards without\n"
	"loss (RFC 2544, section 26.1), for plain forwarding and for ESP in each direction. The dataplane must\n"
	"have no other client: culvert-gen configures it over its control socket.\n"
	"\n"
	"  --dataplane PATH    control socket of the dataplane (/run/culvert/dataplane.sock)\n"
	"  --memif-dir DIR     where the memif sockets go (/run/culvert)\n"
	"  --mode LIST         plain,esp-out,esp-in (all)\n"
	"  --size LIST         64,imix,1420 (all): 64-byte frames; 7:4:1 of 64, 570, 1518; 1420-byte IP packets\n"
	"  --alg NAME          ESP transform (aes128-gcm16)\n"
	"  --sas N             tunnels, 1 to 4096 (1)\n"
	"  --workers N         worker cores of the gateway (1)\n"
	"  --trial SECONDS     length of one trial (2)\n"
	"  --resolution PART   end of the search, as a fraction of the rate (0.01)\n"
	"  --rate PPS          one trial at this rate instead of a search\n"
	"  --latency SECONDS   then trials of this length at 50 and 90 % of that rate, with latencies (none)\n"
	"  --hold SECONDS      then trials of this length at 90 %: while SAs are renewed, and while routes and\n"
	"                      rules come and go (none)\n"
	"  --changes N         of each kind in such a trial, 1 to 65536; an SA at most once a second (1000)\n"
	"  --no-gateway        something else forwards from the first port to the second, and is not configured:\n"
	"                      what the ports themselves can do\n"
	"  --json FILE         write the results there too\n"
	"  --lcore N           core of the generator (0)\n"
	"  --help, --version\n";

static volatile int interrupted;

static void on_signal(int sig)
{
	interrupted = sig;
}

static int pick(const char *list, const char *(*name)(unsigned), unsigned n, uint32_t *bits)
{
	char *copy = strdup(list), *save = NULL;
	*bits = 0;
	for (char *word = copy ? strtok_r(copy, ",", &save) : NULL; word; word = strtok_r(NULL, ",", &save)) {
		unsigned i = 0;
		while (i < n && strcmp(word, name(i)) != 0)
			i++;
		if (i == n) {
			(void)fprintf(stderr, "culvert-gen: \"%s\" is not one of:", word);
			for (i = 0; i < n; i++)
				(void)fprintf(stderr, " %s", name(i));
			(void)fputc('\n', stderr);
			free(copy);
			return -EINVAL;
		}
		*bits |= 1u << i;
	}
	free(copy);
	return *bits ? 0 : -EINVAL;
}

static const char *nth_mode(unsigned i)
{
	return gen_mode_name[i];
}

static const char *nth_size(unsigned i)
{
	return gen_sizes[i].name;
}

static int number(const char *opt, const char *text, double lo, double hi, double *out)
{
	char *end = NULL;
	*out = strtod(text, &end);
	if (end != text && !*end && *out >= lo && *out <= hi)
		return 0;
	(void)fprintf(stderr, "culvert-gen: --%s %s: not a number from %g to %g\n", opt, text, lo, hi);
	return -EINVAL;
}

static int consistent(struct gen_opts *o)
{
	if (o->no_gateway) {
		o->modes = 1u << GEN_PLAIN;
		o->hold_s = 0;
	}
	if (o->workers == 1 || (o->latency_s <= 0 && o->hold_s <= 0))
		return 0;
	(void)fprintf(stderr, "culvert-gen: --latency and --hold need one worker: several take packets out of turn\n");
	return -EINVAL;
}

static int parse(int argc, char **argv, struct gen_opts *o, const char **lcore)
{
	static const struct option opt[] = {{"dataplane", 1, 0, 'd'}, {"memif-dir", 1, 0, 'm'}, {"mode", 1, 0, 'o'},
		{"size", 1, 0, 's'}, {"alg", 1, 0, 'a'}, {"sas", 1, 0, 'n'}, {"workers", 1, 0, 'w'},
		{"trial", 1, 0, 't'}, {"resolution", 1, 0, 'r'}, {"rate", 1, 0, 'p'}, {"json", 1, 0, 'j'},
		{"lcore", 1, 0, 'l'}, {"latency", 1, 0, 'L'}, {"hold", 1, 0, 'H'}, {"changes", 1, 0, 'c'},
		{"no-gateway", 0, 0, 'N'}, {"help", 0, 0, 'h'}, {"version", 0, 0, 'v'}, {0, 0, 0, 0}};
	int c, which = 0, rc = 0;
	double x = 0;
	while (!rc && (c = getopt_long(argc, argv, "", opt, &which)) != -1) {
		const char *name = opt[which].name;
		switch (c) {
		case 'd':
			o->dataplane_socket = optarg;
			break;
		case 'm':
			o->memif_dir = optarg;
			break;
		case 'o':
			rc = pick(optarg, nth_mode, GEN_MODE_MAX, &o->modes);
			break;
		case 's':
			rc = pick(optarg, nth_size, gen_n_sizes, &o->sizes);
			break;
		case 'a':
			if (!algo_suite_by_name(optarg, &o->suite) || o->suite.ah != CV_INTEG_NONE) {
				(void)fprintf(stderr, "culvert-gen: --alg %s: no such ESP transform\n", optarg);
				rc = -EINVAL;
			}
			break;
		case 'n':
			rc = number(name, optarg, 1, GEN_TUNNELS_MAX, &x);
			o->n_sa = (unsigned)x;
			break;
		case 'w':
			rc = number(name, optarg, 1, CV_WORKER_MAX, &x);
			o->workers = (unsigned)x;
			break;
		case 't':
			rc = number(name, optarg, 0.1, 600, &o->trial_s);
			break;
		case 'r':
			rc = number(name, optarg, 0.0001, 0.5, &o->resolution);
			break;
		case 'p':
			rc = number(name, optarg, 1, 1e9, &o->rate_pps);
			break;
		case 'L':
			rc = number(name, optarg, 0.1, 600, &o->latency_s);
			break;
		case 'H':
			rc = number(name, optarg, 2, 3600, &o->hold_s);
			break;
		case 'c':
			rc = number(name, optarg, 1, 65536, &x);
			o->changes = (unsigned)x;
			break;
		case 'N':
			o->no_gateway = true;
			break;
		case 'j':
			o->json = optarg;
			break;
		case 'l':
			*lcore = optarg;
			break;
		case 'h':
			(void)fputs(usage, stdout);
			exit(0);
		case 'v':
			(void)printf("culvert-gen %s\n", CULVERT_VERSION);
			exit(0);
		default:
			rc = -EINVAL;
		}
	}
	return rc ? rc : consistent(o);
}

static int run(const struct gen_opts *o)
{
	static struct gen_result r[GEN_MODE_MAX * 8];
	unsigned n = 0;
	struct gen_gateway *gw = NULL;
	int rc = gen_traffic_open(o);
	if (rc) {
		(void)fprintf(
			stderr, "culvert-gen: cannot create the memif ports in %s: %s\n", o->memif_dir, strerror(-rc));
		return rc;
	}
	rc = o->no_gateway ? 0 : gen_gateway_open(o, &gw);
	if (rc) {
		(void)fprintf(stderr, "culvert-gen: no dataplane at %s: %s\n", o->dataplane_socket, strerror(-rc));
		gen_traffic_close();
		return rc;
	}
	for (unsigned size = 0; size < gen_n_sizes && !rc; size++)
		for (unsigned mode = 0; mode < GEN_MODE_MAX && !rc && !interrupted; mode++)
			if ((o->sizes & (1u << size)) && (o->modes & (1u << mode))) {
				r[n] = (struct gen_result){.mode = mode, .size = size};
				rc = gen_measure(gw, o, &r[n], &interrupted);
				n += rc == 0;
			}
	int written = gen_report(o, gw, r, n);
	/* Our ends first: when the gateway takes its ends away, DPDK's interrupt thread disconnects ours, and closing
	 * them here meanwhile would free the same memory twice ("EAL: Error: Invalid memory"). */
	gen_traffic_close();
	if (gw)
		gen_gateway_close(gw);
	return interrupted ? -EINTR : rc ? rc : written;
}

int main(int argc, char **argv)
{
	struct gen_opts o = {.dataplane_socket = "/run/culvert/dataplane.sock",
		.memif_dir = "/run/culvert",
		.suite = {.encr = CV_ENCR_AES128_GCM16},
		.n_sa = 1,
		.workers = 1,
		.trial_s = 2,
		.resolution = 0.01,
		.changes = 1000,
		.modes = (1u << GEN_MODE_MAX) - 1,
		.sizes = (1u << 3) - 1};
	const char *lcore = "0";
	if (parse(argc, argv, &o, &lcore)) {
		(void)fputs("Try 'culvert-gen --help'.\n", stderr);
		return 2;
	}
	char prefix[40];
	(void)snprintf(prefix, sizeof(prefix), "--file-prefix=culvert-gen-%d", (int)getpid());
	char *eal[] = {argv[0], "-l", (char *)(uintptr_t)lcore, "--no-pci", "--no-huge", "--no-shconf", "-m", "256",
		"--no-telemetry", "--log-level=4", prefix};
	if (rte_eal_init((int)RTE_DIM(eal), eal) < 0) {
		(void)fprintf(stderr, "culvert-gen: DPDK did not start: %s\n", rte_strerror(rte_errno));
		return 1;
	}
	struct sigaction sa = {.sa_handler = on_signal};
	(void)sigaction(SIGINT, &sa, NULL);
	(void)sigaction(SIGTERM, &sa, NULL);
	int rc = run(&o);
	/* No rte_eal_cleanup(): it takes away memory that the interrupt thread may be reading for a closed memif. */
	return rc ? 1 : 0;
}
